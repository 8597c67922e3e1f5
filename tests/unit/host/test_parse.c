/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host/parse.h"

struct number_case {
    const char *text;
    enum kedge_err err;
    uint64_t value;
};

typedef enum kedge_err (*parse_fn)(const char *text, uint64_t *out);

static void check(parse_fn parse, const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 7;
        enum kedge_err err = parse(cases[i].text, &value);
        if (err != cases[i].err || value != (err == KEDGE_OK ? cases[i].value : 7)) {
            fail_msg("\"%s\" gave %d and %llu", cases[i].text, (int)err, (unsigned long long)value);
        }
    }
}

static enum kedge_err up_to_300(const char *text, uint64_t *out)
{
    return host_parse_u64(text, 3, 300, out);
}

static enum kedge_err any_u64(const char *text, uint64_t *out)
{
    return host_parse_u64(text, 0, UINT64_MAX, out);
}

static void numbers_are_whole_texts_within_bounds(void **state)
{
    (void)state;
    static const struct number_case bounded[] = {
        {"3", KEDGE_OK, 3},          {"300", KEDGE_OK, 300},      {"0x12C", KEDGE_OK, 300},
        {"2", KEDGE_ERR_RANGE, 0},   {"301", KEDGE_ERR_RANGE, 0}, {"", KEDGE_ERR_SYNTAX, 0},
        {"-4", KEDGE_ERR_SYNTAX, 0}, {"+4", KEDGE_ERR_SYNTAX, 0}, {" 4", KEDGE_ERR_SYNTAX, 0},
        {"4 ", KEDGE_ERR_SYNTAX, 0}, {"0x", KEDGE_ERR_SYNTAX, 0}, {"4f", KEDGE_ERR_SYNTAX, 0},
    };
    static const struct number_case wide[] = {
        {"18446744073709551615", KEDGE_OK, UINT64_MAX},
        {"18446744073709551616", KEDGE_ERR_RANGE, 0},
        {"0xFFFFFFFFFFFFFFFF", KEDGE_OK, UINT64_MAX},
        {"0x10000000000000000", KEDGE_ERR_RANGE, 0},
    };

    check(up_to_300, bounded, sizeof(bounded) / sizeof(bounded[0]));
    check(any_u64, wide, sizeof(wide) / sizeof(wide[0]));
}

static void durations_need_a_unit(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"500ms", KEDGE_OK, 500},     {"30s", KEDGE_OK, 30000},
        {"10m", KEDGE_OK, 600000},    {"2h", KEDGE_OK, 7200000},
        {"7d", KEDGE_OK, 604800000},  {"30", KEDGE_ERR_SYNTAX, 0},
        {"s", KEDGE_ERR_SYNTAX, 0},   {"1.5h", KEDGE_ERR_SYNTAX, 0},
        {"5 m", KEDGE_ERR_SYNTAX, 0}, {"18446744073709551615d", KEDGE_ERR_RANGE, 0},
    };

    check(host_parse_duration_ms, cases, sizeof(cases) / sizeof(cases[0]));
}

static void sizes_take_powers_of_1024(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"4096", KEDGE_OK, 4096},         {"64K", KEDGE_OK, 65536},
        {"16M", KEDGE_OK, 16777216},      {"1G", KEDGE_OK, 1073741824},
        {"0x1B1000", KEDGE_OK, 0x1B1000}, {"4k", KEDGE_ERR_SYNTAX, 0},
        {"K", KEDGE_ERR_SYNTAX, 0},       {"18446744073709551615G", KEDGE_ERR_RANGE, 0},
    };

    check(host_parse_size, cases, sizeof(cases) / sizeof(cases[0]));
}

static void addresses_split_into_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kedge_err err;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:8443", KEDGE_OK, "127.0.0.1", 8443},
        {"[::1]:0", KEDGE_OK, "::1", 0},
        {"ota.example.com:65535", KEDGE_OK, "ota.example.com", 65535},
        {"host:65536", KEDGE_ERR_RANGE, NULL, 0},
        {"host", KEDGE_ERR_SYNTAX, NULL, 0},
        {":80", KEDGE_ERR_SYNTAX, NULL, 0},
        {"::1:80", KEDGE_ERR_SYNTAX, NULL, 0},
        {"[::1]80", KEDGE_ERR_SYNTAX, NULL, 0},
        {"ho st:80", KEDGE_ERR_SYNTAX, NULL, 0},
        {"host:80\n", KEDGE_ERR_SYNTAX, NULL, 0},
        {"a-name-longer-than-the-room-it-has:80", KEDGE_ERR_TOO_LARGE, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[24] = "";
        uint16_t port = 0;
        enum kedge_err err = host_parse_address(cases[i].text, host, sizeof(host), &port);
        assert_int_equal(err, cases[i].err);
        if (err == KEDGE_OK) {
            assert_string_equal(host, cases[i].host);
            assert_int_equal(port, cases[i].port);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_texts_within_bounds),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(sizes_take_powers_of_1024),
        cmocka_unit_test(addresses_split_into_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
