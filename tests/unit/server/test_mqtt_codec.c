/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mqtt_codec.h"

/* Parse from a heap block of exactly len bytes, so that ASan sees a byte too far. What points into
 * the input is not looked at by the callers. */
static enum kedge_err parse_exact(const uint8_t *bytes, size_t len, struct srv_mqtt_packet *out)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(copy, bytes, len);
    }

    enum kedge_err err = srv_mqtt_parse((struct kedge_cspan){copy, len}, out);

    if (err == KEDGE_OK && out->topic.len > 0) {
        assert_true(out->topic.data >= copy && out->topic.data + out->topic.len <= copy + len);
        assert_true(out->payload.len == 0 || out->payload.data + out->payload.len <= copy + len);
    }
    free(copy);
    return err;
}

struct good_row {
    const char *bytes;
    size_t len;
    enum srv_mqtt_type type;
    uint16_t id;
    uint8_t qos;
    bool duplicate, retain;
};

#define ROW(text) text, sizeof text - 1

static const struct good_row good_rows[] = {
    {ROW("\x20\x02\x01\x00"), SRV_MQTT_CONNACK, 0, 0, false, false},
    {ROW("\x90\x04\x00\x01\x01\x80"), SRV_MQTT_SUBACK, 1, 0, false, false},
    {ROW("\x40\x02\xff\xfe"), SRV_MQTT_PUBACK, 0xfffe, 0, false, false},
    {ROW("\xd0\x00"), SRV_MQTT_PINGRESP, 0, 0, false, false},
    {ROW("\x3b\x0a\x00\x03"
         "a/b"
         "\x12\x34"
         "{}!"),
     SRV_MQTT_PUBLISH, 0x1234, 1, true, true},
    {ROW("\x30\x05\x00\x03"
         "a/b"),
     SRV_MQTT_PUBLISH, 0, 0, false, false},
};

static void good_packets_are_understood_and_every_truncation_asks_for_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_rows / sizeof good_rows[0]; i++) {
        const struct good_row *row = &good_rows[i];
        struct srv_mqtt_packet packet;

        for (size_t len = 0; len < row->len; len++) {
            assert_int_equal(parse_exact((const uint8_t *)row->bytes, len, &packet),
                             KEDGE_ERR_TRUNCATED);
        }
        assert_int_equal(parse_exact((const uint8_t *)row->bytes, row->len, &packet), KEDGE_OK);
        assert_int_equal(packet.type, row->type);
        assert_int_equal(packet.size, row->len);
        assert_int_equal(packet.id, row->id);
        assert_int_equal(packet.qos, row->qos);
        assert_int_equal(packet.duplicate, row->duplicate);
        assert_int_equal(packet.retain, row->retain);
    }
}

static void a_publish_gives_topic_and_payload(void **state)
{
    static const uint8_t bytes[] = "\x32\x0a\x00\x03"
                                   "a/b"
                                   "\x00\x07xyz"
                                   "next";
    struct srv_mqtt_packet packet;

    (void)state;
    assert_int_equal(srv_mqtt_parse((struct kedge_cspan){bytes, sizeof bytes - 1}, &packet),
                     KEDGE_OK);
    assert_int_equal(packet.size, 12);
    assert_int_equal(packet.topic.len, 3);
    assert_memory_equal(packet.topic.data, "a/b", 3);
    assert_int_equal(packet.payload.len, 3);
    assert_memory_equal(packet.payload.data, "xyz", 3);
}

static void what_a_broker_must_not_send_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {ROW("\x00\x00")},                         /* type 0 */
        {ROW("\x10\x00")},                         /* CONNECT */
        {ROW("\x82\x00")},                         /* SUBSCRIBE */
        {ROW("\xf0\x00")},                         /* type 15 */
        {ROW("\x21\x02\x00\x00")},                 /* CONNACK with flags */
        {ROW("\x20\x01\x00")},                     /* CONNACK too short */
        {ROW("\x20\x03\x00\x00\x00")},             /* CONNACK too long */
        {ROW("\x20\x02\x02\x00")},                 /* reserved bits */
        {ROW("\x40\x02\x00\x00")},                 /* PUBACK with id 0 */
        {ROW("\x40\x03\x00\x01\x00")},             /* PUBACK too long */
        {ROW("\x90\x02\x00\x01")},                 /* SUBACK without a code */
        {ROW("\x90\x03\x00\x01\x03")},             /* SUBACK with code 3 */
        {ROW("\xd0\x01\x00")},                     /* PINGRESP with a body */
        {ROW("\x34\x07\x00\x01t\x00\x01xy")},      /* PUBLISH at QoS 2 */
        {ROW("\x36\x07\x00\x01t\x00\x01xy")},      /* PUBLISH at QoS 3 */
        {ROW("\x38\x04\x00\x01tx")},               /* DUP at QoS 0 */
        {ROW("\x32\x05\x00\x01t\x00\x00")},        /* PUBLISH with id 0 */
        {ROW("\x32\x04\x00\x01t\x01")},            /* half an id */
        {ROW("\x30\x03\x00\x02t")},                /* topic longer than the packet */
        {ROW("\x30\x01\x00")},                     /* half a topic length */
        {ROW("\x30\x02\x00\x00")},                 /* empty topic */
        {ROW("\x30\x05\x00\x03t\x00t")},           /* NUL in the topic */
        {ROW("\x30\x05\x00\x03t/#")},              /* wildcard */
        {ROW("\x30\x05\x00\x03t/+")},              /* wildcard */
        {ROW("\x30\x80\x80\x80\x80\x01")},         /* length of five bytes */
        {ROW("\x20\xff\xff\xff\x7f")},             /* CONNACK of 256 MB */
        {ROW("\x34\xff\xff\xff\x7f\x00\x01tabc")}, /* oversize, and QoS 2 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct srv_mqtt_packet packet;

        if (parse_exact((const uint8_t *)rows[i].bytes, rows[i].len, &packet) != KEDGE_ERR_SYNTAX) {
            fail_msg("row %zu was not refused", i);
        }
    }
}

static void an_oversize_publish_gives_the_id_that_lets_it_be_skipped(void **state)
{
    static const char bytes[] = "\x32\x80\x80\x04\x00\x03t/x\x01\x02payload"; /* 65536 + 4 */
    struct srv_mqtt_packet packet;

    (void)state;
    for (size_t len = 0; len < 11; len++) {
        assert_int_equal(parse_exact((const uint8_t *)bytes, len, &packet), KEDGE_ERR_TRUNCATED);
    }
    assert_int_equal(parse_exact((const uint8_t *)bytes, 11, &packet), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(packet.id, 0x0102);
    assert_int_equal(packet.qos, 1);
    assert_int_equal(packet.size, 65536 + 4);
}

static void the_largest_packet_is_still_taken(void **state)
{
    uint8_t *bytes = calloc(1, SRV_MQTT_PACKET_MAX);
    struct srv_mqtt_packet packet;
    const uint8_t head[] = {0x30, 0xfc, 0xff, 0x03, 0x00, 0x01, 't'}; /* 65532 + 4 */

    (void)state;
    memcpy(bytes, head, sizeof head);
    assert_int_equal(parse_exact(bytes, SRV_MQTT_PACKET_MAX, &packet), KEDGE_OK);
    assert_int_equal(packet.payload.len, SRV_MQTT_PACKET_MAX - sizeof head);
    free(bytes);
}

static void packets_are_encoded_as_the_standard_shows_them(void **state)
{
    static const char *const topics[] = {"a/b", "c/d", NULL};
    static const char expected[] = "\x10\x0e\x00\x04MQTT\x04\x00\x00\x3c\x00\x02id"
                                   "\x82\x0e\x00\x01\x00\x03"
                                   "a/b\x01\x00\x03"
                                   "c/d\x01"
                                   "\x3a\x09\x00\x03t/c\x00\x09hi"
                                   "\x40\x02\x12\x34"
                                   "\xc0\x00\xe0\x00";
    struct host_buf out;

    (void)state;
    host_buf_init(&out, 1024);
    assert_int_equal(srv_mqtt_encode_connect(&out, "id", 60), KEDGE_OK);
    assert_int_equal(srv_mqtt_encode_subscribe(&out, 1, topics), KEDGE_OK);
    assert_int_equal(srv_mqtt_encode_publish(&out, 9, true, "t/c",
                                             (struct kedge_cspan){(const uint8_t *)"hi", 2}),
                     KEDGE_OK);
    assert_int_equal(srv_mqtt_encode_puback(&out, 0x1234), KEDGE_OK);
    assert_int_equal(srv_mqtt_encode_pingreq(&out), KEDGE_OK);
    assert_int_equal(srv_mqtt_encode_disconnect(&out), KEDGE_OK);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.len);
    host_buf_free(&out);
}

static void what_is_published_is_what_is_parsed_at_every_length_size(void **state)
{
    static const size_t lengths[] = {0, 1, 121, 122, 123, 16376, 16377, 16378, 65000};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t *payload = calloc(1, lengths[i] + 1);
        struct srv_mqtt_packet packet;
        struct host_buf out;

        host_buf_init(&out, 1u << 20);
        assert_int_equal(
            srv_mqtt_encode_publish(&out, 7, false, "t", (struct kedge_cspan){payload, lengths[i]}),
            KEDGE_OK);
        assert_int_equal(
            srv_mqtt_parse((struct kedge_cspan){(const uint8_t *)out.data, out.len}, &packet),
            KEDGE_OK);
        assert_int_equal(packet.size, out.len);
        assert_int_equal(packet.payload.len, lengths[i]);
        host_buf_free(&out);
        free(payload);
    }
}

static void what_does_not_fit_is_not_encoded(void **state)
{
    static uint8_t payload[70000];
    struct host_buf out;

    (void)state;
    host_buf_init(&out, 1u << 20);
    assert_int_equal(
        srv_mqtt_encode_publish(&out, 1, false, "t", (struct kedge_cspan){payload, sizeof payload}),
        KEDGE_ERR_TOO_LARGE);
    assert_int_equal(out.len, 0);
    host_buf_free(&out);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void mutated_packets_never_break_the_promises(void **state)
{
    uint32_t seed = 20260131;

    (void)state;
    for (unsigned round = 0; round < 60000; round++) {
        const struct good_row *row = &good_rows[round % (sizeof good_rows / sizeof good_rows[0])];
        uint8_t bytes[32];
        size_t len = row->len;
        struct srv_mqtt_packet packet = {0};

        memcpy(bytes, row->bytes, len);
        for (uint32_t i = next_random(&seed) % 4; i > 0; i--) {
            bytes[next_random(&seed) % len] = (uint8_t)next_random(&seed);
        }

        enum kedge_err err = parse_exact(bytes, len, &packet);

        if (err == KEDGE_OK) {
            assert_in_range(packet.size, 2, len);
            assert_true(packet.qos == 0 || packet.id != 0);
        } else if (err == KEDGE_ERR_TOO_LARGE) {
            assert_in_range(packet.size, SRV_MQTT_PACKET_MAX + 1, 1u << 29);
        } else {
            assert_true(err == KEDGE_ERR_TRUNCATED || err == KEDGE_ERR_SYNTAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets_are_understood_and_every_truncation_asks_for_more),
        cmocka_unit_test(a_publish_gives_topic_and_payload),
        cmocka_unit_test(what_a_broker_must_not_send_is_refused),
        cmocka_unit_test(an_oversize_publish_gives_the_id_that_lets_it_be_skipped),
        cmocka_unit_test(the_largest_packet_is_still_taken),
        cmocka_unit_test(packets_are_encoded_as_the_standard_shows_them),
        cmocka_unit_test(what_is_published_is_what_is_parsed_at_every_length_size),
        cmocka_unit_test(what_does_not_fit_is_not_encoded),
        cmocka_unit_test(mutated_packets_never_break_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
