/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/json.h"

/* text without its NUL, in memory of exactly that length, so that ASan sees an over-read. */
static enum kedge_err parse_bytes(const char *text, size_t len, struct kedge_fault *fault)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct kedge_json json;
    enum kedge_err err;

    memcpy(copy, text, len);
    err = kedge_json_parse((struct kedge_cspan){copy, len}, &json, fault);
    free(copy);
    return err;
}

static struct kedge_json parse_ok(const char *text)
{
    struct kedge_json json;
    struct kedge_fault fault = {0};
    enum kedge_err err =
        kedge_json_parse((struct kedge_cspan){(const uint8_t *)text, strlen(text)}, &json, &fault);

    if (err != KEDGE_OK) {
        fail_msg("%s: %s at %u", text, fault.what, fault.at);
    }
    return json;
}

static void a_flat_object_gives_its_members(void **state)
{
    (void)state;
    struct kedge_json json =
        parse_ok(" \t{ \"a\" : \"x\\ny\" ,\r\n\"b\":-12,\"c\":true,\"d\":null} ");
    char text[8];
    int64_t number;

    assert_int_equal(json.count, 4);
    assert_int_equal(kedge_json_get_string(&json, "a", text, sizeof(text)), KEDGE_OK);
    assert_string_equal(text, "x\ny");
    assert_int_equal(kedge_json_get_int(&json, "b", -100, 100, &number), KEDGE_OK);
    assert_int_equal(number, -12);
    assert_int_equal(kedge_json_find(&json, "c")->kind, KEDGE_JSON_BOOL);
    assert_int_equal(kedge_json_find(&json, "d")->kind, KEDGE_JSON_NULL);
    assert_null(kedge_json_find(&json, "e"));
    assert_null(kedge_json_find(&json, ""));
    assert_int_equal(parse_ok("{}").count, 0);
}

/* len 0: the text's own. */
static const struct {
    const char *text;
    size_t len;
    enum kedge_err err;
    uint32_t at;
} bad[] = {
    {"", 0, KEDGE_ERR_SYNTAX, 0},
    {"   ", 0, KEDGE_ERR_SYNTAX, 3},
    {"[]", 0, KEDGE_ERR_SYNTAX, 0},
    {"\"a\"", 0, KEDGE_ERR_SYNTAX, 0},
    {"{", 0, KEDGE_ERR_SYNTAX, 1},
    {"{\"a", 0, KEDGE_ERR_SYNTAX, 1},
    {"{\"a\"", 0, KEDGE_ERR_SYNTAX, 4},
    {"{\"a\":", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":1", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":1,", 0, KEDGE_ERR_SYNTAX, 7},
    {"{\"a\":1,}", 0, KEDGE_ERR_SYNTAX, 7},
    {"{,\"a\":1}", 0, KEDGE_ERR_SYNTAX, 1},
    {"{\"a\":1 \"b\":2}", 0, KEDGE_ERR_SYNTAX, 7},
    {"{\"a\":1}}", 0, KEDGE_ERR_SYNTAX, 7},
    {"{\"a\":1}\0", 8, KEDGE_ERR_SYNTAX, 7},
    {"{a:1}", 0, KEDGE_ERR_SYNTAX, 1},
    {"{'a':1}", 0, KEDGE_ERR_SYNTAX, 1},
    {"{\"a\":{}}", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":[1]}", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":tru}", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":truee}", 0, KEDGE_ERR_SYNTAX, 9},
    {"{\"a\":NaN}", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":01}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":-}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":+1}", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":.5}", 0, KEDGE_ERR_SYNTAX, 5},
    {"{\"a\":1.}", 0, KEDGE_ERR_SYNTAX, 7},
    {"{\"a\":1e}", 0, KEDGE_ERR_SYNTAX, 7},
    {"{\"a\":0x10}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\t\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\0\"}", 9, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\x\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\u12\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\u12G4\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\uD800\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\uDC00\\uD800\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\uD800\\u0041\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\\", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\xC0\xAF\"}", 0, KEDGE_ERR_SYNTAX, 6},         /* over-long */
    {"{\"a\":\"\xE0\x9F\xBF\"}", 0, KEDGE_ERR_SYNTAX, 6},     /* over-long */
    {"{\"a\":\"\xED\xA0\x80\"}", 0, KEDGE_ERR_SYNTAX, 6},     /* surrogate */
    {"{\"a\":\"\xF4\x90\x80\x80\"}", 0, KEDGE_ERR_SYNTAX, 6}, /* above U+10FFFF */
    {"{\"a\":\"\xE2\x82\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\xE2\x82", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"a\":\"\x80\"}", 0, KEDGE_ERR_SYNTAX, 6},
    {"{\"\xFF\":1}", 0, KEDGE_ERR_SYNTAX, 2},
    {"{\"a\":1,\"a\":2}", 0, KEDGE_ERR_DUPLICATE, 7},
    {"{\"a\":1,\"\\u0061\":2}", 0, KEDGE_ERR_DUPLICATE, 7},
    {"{\"\xC3\xA9\":1,\"\\u00E9\":2}", 0, KEDGE_ERR_DUPLICATE, 8},
    {"{\"\":1,\"\":2}", 0, KEDGE_ERR_DUPLICATE, 6},
};

static void hostile_text_is_refused_where_it_is_wrong(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct kedge_fault fault = {0};
        size_t len = bad[i].len > 0 ? bad[i].len : strlen(bad[i].text);
        enum kedge_err err = parse_bytes(bad[i].text, len, &fault);
        if (err != bad[i].err || fault.err != err || fault.at != bad[i].at || fault.what == NULL) {
            fail_msg("case %zu, %s: %d, %s at %u", i, bad[i].text, err, fault.what, fault.at);
        }
    }
}

static void every_truncation_of_a_message_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"x\\u00e9\\uD83D\\uDE00\",\"b\":-1.25e3,\"c\":false}";

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct kedge_fault fault;
        assert_int_equal(parse_bytes(text, len, &fault), KEDGE_ERR_SYNTAX);
    }
    parse_ok(text);
}

static void deep_nesting_is_refused_at_once(void **state)
{
    (void)state;
    struct kedge_fault fault;
    char *text = malloc(60000);

    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', 59995);

    assert_int_equal(parse_bytes(text, 60000, &fault), KEDGE_ERR_SYNTAX);
    assert_int_equal(fault.at, 5);
    free(text);
}

static void more_members_or_bytes_than_allowed_are_refused(void **state)
{
    (void)state;
    struct kedge_fault fault;
    char text[512] = "{";
    size_t len = 1;
    char *huge = malloc(65536);

    for (unsigned i = 0; i <= KEDGE_JSON_MAX_MEMBERS; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"m%u\":0", i ? "," : "", i);
    }
    text[len++] = '}';
    memset(huge, ' ', 65536);
    memcpy(huge, "{}", 2);

    assert_int_equal(parse_bytes(text, len, &fault), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(parse_bytes(huge, 65535, &fault), KEDGE_OK);
    assert_int_equal(parse_bytes(huge, 65536, &fault), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(parse_bytes("{}", 2, NULL), KEDGE_OK);
    assert_int_equal(parse_bytes("{", 1, NULL), KEDGE_ERR_SYNTAX);
    free(huge);
}

static void a_name_is_found_in_its_escaped_form(void **state)
{
    (void)state;
    struct kedge_json json = parse_ok("{\"d\\u0065vice\":1,\"a\\u0000b\":2}");

    assert_non_null(kedge_json_find(&json, "device"));
    assert_null(kedge_json_find(&json, "a"));
    assert_null(kedge_json_find(&json, "devic"));
    assert_null(kedge_json_find(&json, "device2"));
}

static void strings_are_unescaped_and_bounded(void **state)
{
    (void)state;
    struct kedge_json json = parse_ok("{\"a\":\"\\u20AC\\uD83D\\uDE00\\\"\\\\\\/\\b\\f\\n\\r\\t\","
                                      "\"nul\":\"a\\u0000\",\"n\":1,\"empty\":\"\"}");
    char text[16];

    assert_int_equal(kedge_json_get_string(&json, "a", text, 16), KEDGE_OK);
    assert_string_equal(text, "\xE2\x82\xAC\xF0\x9F\x98\x80\"\\/\b\f\n\r\t");
    assert_int_equal(kedge_json_get_string(&json, "a", text, 15), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(kedge_json_get_string(&json, "a", text, 0), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(kedge_json_get_string(&json, "empty", text, 0), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(kedge_json_get_string(&json, "empty", text, 1), KEDGE_OK);
    assert_int_equal(kedge_json_get_string(&json, "nul", text, 16), KEDGE_ERR_SYNTAX);
    assert_int_equal(kedge_json_get_string(&json, "n", text, 16), KEDGE_ERR_SYNTAX);
    assert_int_equal(kedge_json_get_string(&json, "x", text, 16), KEDGE_ERR_NOT_FOUND);
}

static const struct {
    const char *number;
    enum kedge_err err;
    int64_t value;
} integers[] = {
    {"0", KEDGE_OK, 0},
    {"-0", KEDGE_OK, 0},
    {"9223372036854775807", KEDGE_OK, INT64_MAX},
    {"-9223372036854775808", KEDGE_OK, INT64_MIN},
    {"9223372036854775808", KEDGE_ERR_RANGE, 0},
    {"-9223372036854775809", KEDGE_ERR_RANGE, 0},
    {"99999999999999999999999999999999999999", KEDGE_ERR_RANGE, 0},
    {"1.0", KEDGE_ERR_SYNTAX, 0},
    {"1e3", KEDGE_ERR_SYNTAX, 0},
    {"\"1\"", KEDGE_ERR_SYNTAX, 0},
    {"null", KEDGE_ERR_SYNTAX, 0},
};

static void integers_are_exact_or_refused(void **state)
{
    (void)state;
    int64_t value = 5;
    struct kedge_json json = parse_ok("{\"n\":300}");

    assert_int_equal(kedge_json_get_int(&json, "n", 0, 299, &value), KEDGE_ERR_RANGE);
    assert_int_equal(kedge_json_get_int(&json, "n", 301, 400, &value), KEDGE_ERR_RANGE);
    assert_int_equal(value, 5);
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"n\":%s}", integers[i].number);
        json = parse_ok(text);
        value = 0;
        assert_int_equal(kedge_json_get_int(&json, "n", INT64_MIN, INT64_MAX, &value),
                         integers[i].err);
        assert_true(value == integers[i].value);
    }
}

static const struct {
    const char *number;
    enum kedge_err err;
    int64_t milli;
} decimals[] = {
    {"21.5", KEDGE_OK, 21500},
    {"-0.0019", KEDGE_OK, -1},
    {"-0.0009", KEDGE_OK, 0},
    {"0.1234567890123456789012345678901234567890", KEDGE_OK, 123},
    {"7", KEDGE_OK, 7000},
    {"9223372036854775.807", KEDGE_OK, INT64_MAX},
    {"9223372036854775.808", KEDGE_ERR_RANGE, 0},
    {"-9223372036854775.808", KEDGE_OK, INT64_MIN},
    {"9223372036854776", KEDGE_ERR_RANGE, 0},
    {"2e1", KEDGE_ERR_SYNTAX, 0},
};

static void decimals_become_thousandths(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(decimals) / sizeof(decimals[0]); i++) {
        char text[64];
        struct kedge_json json;
        int64_t milli = 0;
        snprintf(text, sizeof(text), "{\"n\":%s}", decimals[i].number);
        json = parse_ok(text);
        assert_int_equal(kedge_json_get_milli(&json, "n", &milli), decimals[i].err);
        assert_true(milli == decimals[i].milli);
    }
}

static void the_writer_escapes_and_formats(void **state)
{
    (void)state;
    struct kedge_json_writer writer;
    char out[256];
    size_t len;

    kedge_json_begin(&writer, out, sizeof(out));
    kedge_json_add_string(&writer, "s", "q\"b\\n\nc\x01\xE2\x82\xAC\xFFz");
    kedge_json_add_int(&writer, "min", INT64_MIN);
    kedge_json_add_int(&writer, "zero", 0);
    kedge_json_add_milli(&writer, "t", -21050);
    kedge_json_add_milli(&writer, "u", 5);
    kedge_json_add_milli(&writer, "v", -3000);

    assert_int_equal(kedge_json_end(&writer, &len), KEDGE_OK);
    assert_string_equal(out, "{\"s\":\"q\\\"b\\\\n\\u000ac\\u0001\xE2\x82\xAC\xEF\xBF\xBDz\","
                             "\"min\":-9223372036854775808,\"zero\":0,\"t\":-21.05,\"u\":0.005,"
                             "\"v\":-3}");
    assert_int_equal(len, strlen(out));
    parse_ok(out);
}

static void the_writer_never_exceeds_its_buffer(void **state)
{
    (void)state;
    static const char expected[] = "{\"a\":\"x\\u0002y\",\"b\":-7}";

    for (size_t size = 0; size <= sizeof(expected); size++) {
        char *out = malloc(size > 0 ? size : 1);
        struct kedge_json_writer writer;
        size_t len = 0;
        enum kedge_err err;
        kedge_json_begin(&writer, out, size);
        kedge_json_add_string(&writer, "a", "x\x02y");
        kedge_json_add_int(&writer, "b", -7);
        err = kedge_json_end(&writer, &len);
        assert_int_equal(err, size < sizeof(expected) ? KEDGE_ERR_NO_SPACE : KEDGE_OK);
        if (err == KEDGE_OK) {
            assert_string_equal(out, expected);
        }
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flat_object_gives_its_members),
        cmocka_unit_test(hostile_text_is_refused_where_it_is_wrong),
        cmocka_unit_test(every_truncation_of_a_message_is_refused),
        cmocka_unit_test(deep_nesting_is_refused_at_once),
        cmocka_unit_test(more_members_or_bytes_than_allowed_are_refused),
        cmocka_unit_test(a_name_is_found_in_its_escaped_form),
        cmocka_unit_test(strings_are_unescaped_and_bounded),
        cmocka_unit_test(integers_are_exact_or_refused),
        cmocka_unit_test(decimals_become_thousandths),
        cmocka_unit_test(the_writer_escapes_and_formats),
        cmocka_unit_test(the_writer_never_exceeds_its_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
