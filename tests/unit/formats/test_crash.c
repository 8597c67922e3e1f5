/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/crash.h"

static struct kedge_cspan span(const char *text)
{
    return (struct kedge_cspan){(const uint8_t *)text, strlen(text)};
}

static struct kedge_crash some_crash(void)
{
    struct kedge_crash crash = {.size_bytes = 10752,
                                .reset_reason = KEDGE_RESET_PANIC,
                                .task = "app_main",
                                .pc = 0x400D1A2Cu,
                                .elf_sha256 = "5e7c02a91",
                                .backtrace_count = 2,
                                .backtrace = {0x400D1A2Cu, 0x00000001u},
                                .firmware = "1.1.0"};

    memset(crash.sha256, 0xA5, sizeof(crash.sha256));
    return crash;
}

static void assert_same(const struct kedge_crash *a, const struct kedge_crash *b)
{
    assert_int_equal(a->size_bytes, b->size_bytes);
    assert_memory_equal(a->sha256, b->sha256, sizeof(a->sha256));
    assert_int_equal(a->reset_reason, b->reset_reason);
    assert_string_equal(a->task, b->task);
    assert_int_equal(a->pc, b->pc);
    assert_string_equal(a->elf_sha256, b->elf_sha256);
    assert_int_equal(a->backtrace_count, b->backtrace_count);
    assert_memory_equal(a->backtrace, b->backtrace, sizeof(a->backtrace));
    assert_string_equal(a->firmware, b->firmware);
}

static void assert_round_trips(const struct kedge_crash *crash)
{
    struct kedge_crash back;
    struct kedge_fault fault;
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_crash_encode(crash, out, sizeof(out), &len), KEDGE_OK);
    assert_int_equal(len, strlen(out));
    assert_int_equal(kedge_crash_parse(span(out), &back, &fault), KEDGE_OK);
    assert_same(crash, &back);
}

static void a_crash_round_trips(void **state)
{
    (void)state;
    struct kedge_crash crash = some_crash();

    assert_round_trips(&crash);
}

static void the_longest_crash_fits_a_message(void **state)
{
    (void)state;
    struct kedge_crash crash = some_crash();

    crash.size_bytes = UINT32_MAX;
    crash.reset_reason = KEDGE_RESET_CPU_LOCKUP;
    memset(crash.task, '"', sizeof(crash.task) - 1);
    memset(crash.firmware, '\\', sizeof(crash.firmware) - 1);
    memset(crash.elf_sha256, 'f', sizeof(crash.elf_sha256) - 1);
    crash.backtrace_count = KEDGE_CRASH_BACKTRACE_MAX;
    for (uint32_t i = 0; i < KEDGE_CRASH_BACKTRACE_MAX; i++) {
        crash.backtrace[i] = 0xFFFFFFF0u + i;
    }

    assert_round_trips(&crash);
}

static void what_the_dump_does_not_say_stays_out(void **state)
{
    (void)state;
    struct kedge_crash crash = {.size_bytes = 1, .firmware = "1"};
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_crash_encode(&crash, out, sizeof(out), &len), KEDGE_OK);

    assert_null(strstr(out, "task"));
    assert_null(strstr(out, "elf"));
    assert_null(strstr(out, "pc"));
    assert_null(strstr(out, "backtrace"));
    assert_round_trips(&crash);
}

static void a_reset_reason_of_a_newer_device_is_unknown(void **state)
{
    (void)state;
    struct kedge_crash crash;
    struct kedge_fault fault;
    static const char text[] =
        "{\"size\":1,\"sha256\":"
        "\"00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\","
        "\"reset_reason\":\"lightning\",\"firmware\":\"9\",\"later\":true}";

    assert_int_equal(kedge_crash_parse(span(text), &crash, &fault), KEDGE_OK);
    assert_int_equal(crash.reset_reason, KEDGE_RESET_UNKNOWN);
    assert_int_equal(crash.sha256[0xA], 0xAA);
}

/* A good crash's text with one piece replaced. */
static const struct {
    const char *piece;
    const char *replacement;
    enum kedge_err err;
    const char *what;
} bad_crashes[] = {
    {"\"size\":10752,", "", KEDGE_ERR_NOT_FOUND, "size"},
    {"10752", "0", KEDGE_ERR_RANGE, "size"},
    {"10752", "4294967296", KEDGE_ERR_RANGE, "size"},
    {"10752", "-1", KEDGE_ERR_RANGE, "size"},
    {"10752", "\"1\"", KEDGE_ERR_SYNTAX, "size"},
    {"a5a5\",\"reset", "a5a\",\"reset", KEDGE_ERR_RANGE, "sha256"},
    {"a5a5\",\"reset", "a5a5a\",\"reset", KEDGE_ERR_TOO_LARGE, "sha256"},
    {"a5a5\",\"reset", "a5ag\",\"reset", KEDGE_ERR_RANGE, "sha256"},
    {"\"panic\"", "4", KEDGE_ERR_SYNTAX, "reset_reason"},
    {"1.1.0", "", KEDGE_ERR_RANGE, "firmware"},
    {"1.1.0", "1\\u00e9", KEDGE_ERR_RANGE, "firmware"},
    {"app_main", "app\\nmain", KEDGE_ERR_RANGE, "task"},
    {"app_main", "0123456789abcdefg", KEDGE_ERR_TOO_LARGE, "task"},
    {"5e7c02a91", "5E7C", KEDGE_ERR_RANGE, "elf_sha256"},
    {"5e7c02a91", "../etc", KEDGE_ERR_RANGE, "elf_sha256"},
    {"\"400d1a2c\"", "\"400d1a2\"", KEDGE_ERR_RANGE, "pc"},
    {"\"400d1a2c\"", "\"400d1a2cc\"", KEDGE_ERR_TOO_LARGE, "pc"},
    {"\"400d1a2c\"", "1074600492", KEDGE_ERR_SYNTAX, "pc"},
    {" 00000001", "  00000001", KEDGE_ERR_RANGE, "backtrace"},
    {" 00000001", " ", KEDGE_ERR_RANGE, "backtrace"},
    {" 00000001", "00000001", KEDGE_ERR_RANGE, "backtrace"},
    {" 00000001", " 0000000x", KEDGE_ERR_RANGE, "backtrace"},
};

static void bad_crashes_are_refused_by_the_name_of_their_member(void **state)
{
    (void)state;
    struct kedge_crash crash = some_crash();
    char good[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_crash_encode(&crash, good, sizeof(good), &len), KEDGE_OK);
    for (size_t i = 0; i < sizeof(bad_crashes) / sizeof(bad_crashes[0]); i++) {
        const char *at = strstr(good, bad_crashes[i].piece);
        struct kedge_fault fault = {0};
        char bad[2 * KEDGE_MESSAGE_MAX];

        assert_non_null(at);
        snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - good), good, bad_crashes[i].replacement,
                 at + strlen(bad_crashes[i].piece));
        enum kedge_err err = kedge_crash_parse(span(bad), &crash, &fault);
        if (err != bad_crashes[i].err || strcmp(fault.what, bad_crashes[i].what) != 0) {
            fail_msg("%s: %s at %s", bad, kedge_err_text(err), fault.what);
        }
    }
}

static void a_backtrace_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct kedge_crash crash;
    struct kedge_fault fault;
    char text[KEDGE_MESSAGE_MAX];
    int at = snprintf(text, sizeof(text),
                      "{\"size\":1,\"sha256\":\"%064d\",\"reset_reason\":\"panic\","
                      "\"firmware\":\"1\",\"backtrace\":\"",
                      0);

    for (uint32_t i = 0; i <= KEDGE_CRASH_BACKTRACE_MAX; i++) {
        at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%08x", i > 0 ? " " : "", i);
    }
    snprintf(text + at, sizeof(text) - (size_t)at, "\"}");

    assert_int_equal(kedge_crash_parse(span(text), &crash, &fault), KEDGE_ERR_TOO_LARGE);
    assert_string_equal(fault.what, "backtrace");
}

static void a_crash_that_we_would_refuse_is_not_sent(void **state)
{
    (void)state;
    struct kedge_crash bad[7];
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    for (size_t i = 0; i < 7; i++) {
        bad[i] = some_crash();
    }
    bad[0].size_bytes = 0;
    bad[1].firmware[0] = '\0';
    bad[2].task[3] = '\x1B';
    memset(bad[3].task, 'x', sizeof(bad[3].task));
    bad[4].elf_sha256[0] = 'G';
    bad[5].backtrace_count = KEDGE_CRASH_BACKTRACE_MAX + 1;
    bad[6].reset_reason = (enum kedge_reset)16;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(kedge_crash_encode(&bad[i], out, sizeof(out), &len), KEDGE_ERR_ARG);
    }
    struct kedge_crash good = some_crash();
    assert_int_equal(kedge_crash_encode(&good, out, 100, &len), KEDGE_ERR_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_round_trips),
        cmocka_unit_test(the_longest_crash_fits_a_message),
        cmocka_unit_test(what_the_dump_does_not_say_stays_out),
        cmocka_unit_test(a_reset_reason_of_a_newer_device_is_unknown),
        cmocka_unit_test(bad_crashes_are_refused_by_the_name_of_their_member),
        cmocka_unit_test(a_backtrace_over_the_limit_is_refused),
        cmocka_unit_test(a_crash_that_we_would_refuse_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
