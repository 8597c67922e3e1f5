/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdbool.h>
#include <string.h>

#include "kedge/plat/net.h"

#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct kedge_http_response parse(const char *name, const char *value)
{
    struct kedge_http_response response = {0};

    kedge_http_response_header(&response, name, strlen(name), value, strlen(value));
    return response;
}

static void known_headers_are_read_in_any_case_and_with_blanks_around(void **state)
{
    (void)state;
    assert_int_equal(parse("content-LENGTH", " 1234 \r\n").content_length, 1234);
    assert_true(parse("Content-Length", "0").has_content_length);
    assert_string_equal(parse("X-Firmware-Version", "1.2.3-rc.1").version, "1.2.3-rc.1");
    assert_int_equal(parse("X-Firmware-SHA256", SHA).sha256[1], 0x11);
    assert_true(parse("ETag", "\"" SHA "\"").has_etag);
    assert_int_equal(parse("Retry-After", "120").retry_after_s, 120);
    assert_int_equal(parse("X-Poll-After", "30").poll_after_s, 30);
    assert_true(parse("X-Firmware-Force", "1").force);
    assert_true(parse("x-crash-offset", "0").has_crash_offset);
    assert_int_equal(parse("X-Crash-Offset", "8192").crash_offset, 8192);
}

static void content_range_is_taken_apart(void **state)
{
    struct kedge_http_response response = parse("Content-Range", "bytes 4096-9999/10000");

    (void)state;
    assert_true(response.has_content_range);
    assert_int_equal(response.range_first, 4096);
    assert_int_equal(response.range_last, 9999);
    assert_int_equal(response.range_total, 10000);
    assert_false(parse("Content-Range", "bytes */10000").has_content_range);
    assert_false(parse("Content-Range", "bytes */10000").malformed);
}

static void bad_values_are_marked_not_guessed(void **state)
{
    static const char *const rows[][2] = {
        {"Content-Length", ""},
        {"Content-Length", "-1"},
        {"X-Crash-Offset", "-1"},
        {"X-Crash-Offset", "4294967296"},
        {"X-Crash-Offset", "4096 5"},
        {"Content-Length", "12a"},
        {"Content-Length", "99999999999999999999"},
        {"Content-Range", "bytes 5-4/10"},
        {"Content-Range", "bytes 5-10/10"},
        {"Content-Range", "items 0-1/2"},
        {"Content-Range", "bytes 0-1/2x"},
        {"X-Firmware-SHA256", "0011"},
        {"X-Firmware-SHA256", "zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
        {"X-Firmware-Version", ""},
        {"X-Firmware-Version", "a b"},
        {"X-Firmware-Version", "123456789012345678901234567890123"},
        {"X-Poll-After", "4294967296"},
        {"X-Firmware-Force", "yes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(parse(rows[i][0], rows[i][1]).malformed);
    }
}

static void etags_that_prove_nothing_and_dates_are_passed_over(void **state)
{
    (void)state;
    assert_false(parse("ETag", "W/\"" SHA "\"").has_etag);
    assert_false(parse("ETag", "\"abc\"").has_etag);
    assert_false(parse("ETag", "").malformed);
    assert_false(parse("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT").has_retry_after);
    assert_false(parse("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT").malformed);
    assert_false(parse("Server", "whatever").malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_headers_are_read_in_any_case_and_with_blanks_around),
        cmocka_unit_test(content_range_is_taken_apart),
        cmocka_unit_test(bad_values_are_marked_not_guessed),
        cmocka_unit_test(etags_that_prove_nothing_and_dates_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
