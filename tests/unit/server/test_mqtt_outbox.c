/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mqtt_codec.h"
#include "mqtt_outbox.h"

static struct kedge_cspan span(const char *text)
{
    return (struct kedge_cspan){(const uint8_t *)text, 1};
}

/* The next PUBLISH in out, taken off. */
static struct srv_mqtt_packet take(struct host_buf *out)
{
    struct srv_mqtt_packet packet;

    assert_int_equal(
        srv_mqtt_parse((struct kedge_cspan){(const uint8_t *)out->data, out->len}, &packet),
        KEDGE_OK);
    assert_int_equal(packet.type, SRV_MQTT_PUBLISH);
    host_buf_consume(out, packet.size);
    return packet;
}

static void what_is_not_acknowledged_is_sent_again_as_a_duplicate(void **state)
{
    struct srv_outbox outbox = {0};
    struct host_buf out;
    uint16_t ids[3];

    (void)state;
    host_buf_init(&out, 1u << 20);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(srv_outbox_add(&outbox, "t", span("x"), &out), KEDGE_OK);

        struct srv_mqtt_packet packet = take(&out);

        assert_false(packet.duplicate);
        ids[i] = packet.id;
    }
    srv_outbox_acknowledge(&outbox, ids[1]);
    srv_outbox_acknowledge(&outbox, ids[1]);
    srv_outbox_acknowledge(&outbox, 12345);

    assert_int_equal(srv_outbox_resend(&outbox, &out), KEDGE_OK);
    for (unsigned i = 0; i < 3; i += 2) {
        struct srv_mqtt_packet packet = take(&out);

        assert_true(packet.duplicate);
        assert_int_equal(packet.id, ids[i]);
    }
    assert_int_equal(out.len, 0);
    srv_outbox_deinit(&outbox);
    host_buf_free(&out);
}

static void a_full_outbox_takes_no_more_until_one_is_acknowledged(void **state)
{
    struct srv_outbox outbox = {0};
    struct host_buf out;

    (void)state;
    host_buf_init(&out, 1u << 20);
    for (unsigned i = 0; i < SRV_OUTBOX_MAX; i++) {
        assert_int_equal(srv_outbox_add(&outbox, "t", span("x"), &out), KEDGE_OK);
    }
    assert_int_equal(srv_outbox_add(&outbox, "t", span("x"), &out), KEDGE_ERR_BUSY);
    srv_outbox_acknowledge(&outbox, take(&out).id);
    assert_int_equal(srv_outbox_add(&outbox, "t", span("x"), &out), KEDGE_OK);
    srv_outbox_deinit(&outbox);
    host_buf_free(&out);
}

static void ids_wrap_around_and_pass_by_those_in_use(void **state)
{
    struct srv_outbox outbox = {.last_id = UINT16_MAX - 1};
    struct host_buf out;
    const uint16_t expected[] = {UINT16_MAX, 2, 3};

    (void)state;
    host_buf_init(&out, 1u << 20);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(srv_outbox_add(&outbox, "t", span("x"), &out), KEDGE_OK);
        assert_int_equal(take(&out).id, expected[i]);
    }
    outbox.last_id = UINT16_MAX;
    assert_int_equal(srv_outbox_add(&outbox, "t", span("x"), &out), KEDGE_OK);
    assert_int_equal(take(&out).id, 4);
    srv_outbox_deinit(&outbox);
    host_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_acknowledged_is_sent_again_as_a_duplicate),
        cmocka_unit_test(a_full_outbox_takes_no_more_until_one_is_acknowledged),
        cmocka_unit_test(ids_wrap_around_and_pass_by_those_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
