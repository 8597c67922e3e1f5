/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "host/buf.h"

static void an_empty_buffer_is_an_empty_text(void **state)
{
    (void)state;
    struct host_buf buf;
    host_buf_init(&buf, 10);

    assert_string_equal(host_buf_text(&buf), "");
    assert_true(host_buf_ok(&buf));
    host_buf_free(&buf);
}

static void it_takes_exactly_its_limit_and_not_one_byte_more(void **state)
{
    (void)state;
    struct host_buf buf;
    host_buf_init(&buf, 5);

    host_buf_append(&buf, "abc", 3);
    host_buf_printf(&buf, "%d", 42);

    assert_true(host_buf_ok(&buf));
    assert_string_equal(host_buf_text(&buf), "abc42");
    host_buf_append(&buf, "x", 1);
    assert_false(host_buf_ok(&buf));
    assert_string_equal(host_buf_text(&buf), "abc42");
    host_buf_free(&buf);
}

static void an_overflow_sticks_until_reset(void **state)
{
    (void)state;
    struct host_buf buf;
    host_buf_init(&buf, 4);

    host_buf_printf(&buf, "%s", "too long");
    host_buf_append(&buf, "ok", 2);

    assert_false(host_buf_ok(&buf));
    assert_int_equal(buf.len, 0);
    host_buf_reset(&buf);
    host_buf_append(&buf, "ok", 2);
    assert_true(host_buf_ok(&buf));
    assert_string_equal(host_buf_text(&buf), "ok");
    host_buf_free(&buf);
}

static void it_grows_over_many_appends(void **state)
{
    (void)state;
    struct host_buf buf;
    host_buf_init(&buf, 1u << 20);

    for (int i = 0; i < 10000; i++) {
        host_buf_printf(&buf, "%04d", i);
    }

    assert_true(host_buf_ok(&buf));
    assert_int_equal(buf.len, 40000);
    assert_memory_equal(buf.data + 4 * 9999, "9999", 5);
    host_buf_free(&buf);
}

static void consume_drops_from_the_front_and_keeps_the_end(void **state)
{
    (void)state;
    struct host_buf buf;
    host_buf_init(&buf, 100);
    host_buf_append(&buf, "header body", 11);

    host_buf_consume(&buf, 7);
    assert_string_equal(host_buf_text(&buf), "body");
    host_buf_consume(&buf, 4);

    assert_int_equal(buf.len, 0);
    assert_string_equal(host_buf_text(&buf), "");
    host_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_is_an_empty_text),
        cmocka_unit_test(it_takes_exactly_its_limit_and_not_one_byte_more),
        cmocka_unit_test(an_overflow_sticks_until_reset),
        cmocka_unit_test(it_grows_over_many_appends),
        cmocka_unit_test(consume_drops_from_the_front_and_keeps_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
