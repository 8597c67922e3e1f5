/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/message.h"
#include "kedge/otadata.h"

static struct kedge_cspan span(const char *text)
{
    return (struct kedge_cspan){(const uint8_t *)text, strlen(text)};
}

static struct kedge_telemetry full_telemetry(void)
{
    return (struct kedge_telemetry){
        .device_id = "dev-0042",
        .firmware = "1.2.3",
        .uptime_s = 86400,
        .free_heap_bytes = 180000,
        .min_free_heap_bytes = 120000,
        .largest_block_bytes = 90000,
        .rssi_dbm = -71,
        .reset_reason = KEDGE_RESET_PANIC,
        .has_temperature = true,
        .temperature_mc = 21500,
        .chip_id = KEDGE_CHIP_ESP32,
        .boot_count = 7,
        .ota_state = (uint32_t)KEDGE_OTA_VALID,
        .config_source = KEDGE_CONFIG_DEVICE,
        .ts_s = 1795363200,
        .boot_id = 0xDEADBEEFu,
        .seq = 99,
    };
}

static void assert_same_telemetry(const struct kedge_telemetry *a, const struct kedge_telemetry *b)
{
    assert_string_equal(a->device_id, b->device_id);
    assert_string_equal(a->firmware, b->firmware);
    assert_int_equal(a->uptime_s, b->uptime_s);
    assert_int_equal(a->free_heap_bytes, b->free_heap_bytes);
    assert_int_equal(a->min_free_heap_bytes, b->min_free_heap_bytes);
    assert_int_equal(a->largest_block_bytes, b->largest_block_bytes);
    assert_int_equal(a->rssi_dbm, b->rssi_dbm);
    assert_int_equal(a->reset_reason, b->reset_reason);
    assert_int_equal(a->has_temperature, b->has_temperature);
    assert_int_equal(a->temperature_mc, b->temperature_mc);
    assert_int_equal(a->chip_id, b->chip_id);
    assert_int_equal(a->boot_count, b->boot_count);
    assert_int_equal(a->ota_state, b->ota_state);
    assert_int_equal(a->config_source, b->config_source);
    assert_true(a->ts_s == b->ts_s);
    assert_int_equal(a->boot_id, b->boot_id);
    assert_int_equal(a->seq, b->seq);
}

static void telemetry_round_trips(void **state)
{
    (void)state;
    struct kedge_telemetry telemetry = full_telemetry();
    struct kedge_telemetry back;
    struct kedge_fault fault;
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_telemetry_encode(&telemetry, out, sizeof(out), &len), KEDGE_OK);
    assert_string_equal(out,
                        "{\"device_id\":\"dev-0042\",\"firmware\":\"1.2.3\",\"uptime\":86400,"
                        "\"free_heap\":180000,\"min_free_heap\":120000,\"largest_block\":90000,"
                        "\"boot_count\":7,\"boot_id\":3735928559,\"seq\":99,\"rssi\":-71,"
                        "\"reset_reason\":\"panic\",\"temperature_c\":21.5,\"chip\":\"esp32\","
                        "\"ota_state\":\"valid\",\"config\":\"device\",\"ts\":1795363200}");
    assert_int_equal(len, strlen(out));
    assert_int_equal(kedge_telemetry_parse(span(out), &back, &fault), KEDGE_OK);
    assert_same_telemetry(&telemetry, &back);
}

static void the_longest_telemetry_fits_a_message(void **state)
{
    (void)state;
    struct kedge_telemetry telemetry = full_telemetry();
    struct kedge_telemetry back;
    struct kedge_fault fault;
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    memset(telemetry.device_id, 'd', KEDGE_DEVICE_ID_SIZE - 1);
    memset(telemetry.firmware, '"', KEDGE_DESC_STRING_SIZE - 1); /* escapes to twice its length */
    telemetry.uptime_s = telemetry.free_heap_bytes = telemetry.min_free_heap_bytes = UINT32_MAX;
    telemetry.largest_block_bytes = telemetry.boot_count = telemetry.seq = UINT32_MAX;
    telemetry.rssi_dbm = INT8_MIN;
    telemetry.temperature_mc = INT32_MIN;
    telemetry.reset_reason = KEDGE_RESET_PWR_GLITCH;
    telemetry.chip_id = KEDGE_CHIP_ESP32H21;
    telemetry.ota_state = (uint32_t)KEDGE_OTA_PENDING_VERIFY;
    telemetry.config_source = KEDGE_CONFIG_SAFE_MODE;
    telemetry.ts_s = INT64_MAX;

    assert_int_equal(kedge_telemetry_encode(&telemetry, out, sizeof(out), &len), KEDGE_OK);
    assert_int_equal(kedge_telemetry_parse(span(out), &back, &fault), KEDGE_OK);
    assert_same_telemetry(&telemetry, &back);
    assert_int_equal(kedge_telemetry_encode(&telemetry, out, len, &len), KEDGE_ERR_NO_SPACE);
}

static void what_the_device_does_not_know_stays_out(void **state)
{
    (void)state;
    struct kedge_telemetry telemetry = {.device_id = "d",
                                        .firmware = "1",
                                        .chip_id = KEDGE_CHIP_INVALID,
                                        .ota_state = (uint32_t)KEDGE_OTA_UNDEFINED};
    struct kedge_telemetry back;
    struct kedge_fault fault;
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_telemetry_encode(&telemetry, out, sizeof(out), &len), KEDGE_OK);
    assert_string_equal(out,
                        "{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":0,\"free_heap\":0,"
                        "\"rssi\":0,\"reset_reason\":\"unknown\",\"ota_state\":\"undefined\"}");
    assert_int_equal(kedge_telemetry_parse(span(out), &back, &fault), KEDGE_OK);
    assert_same_telemetry(&telemetry, &back);
}

#define MINIMUM                                                                                    \
    "\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":1,\"free_heap\":2,\"rssi\":-3,"             \
    "\"reset_reason\":\"sw\""

static void telemetry_of_a_newer_device_is_taken(void **state)
{
    (void)state;
    struct kedge_telemetry telemetry;
    struct kedge_fault fault;

    assert_int_equal(kedge_telemetry_parse(span("{" MINIMUM ",\"chip\":\"esp32z9\","
                                                "\"ota_state\":\"dreaming\",\"config\":\"moon\","
                                                "\"mood\":\"fine\"}"),
                                           &telemetry, &fault),
                     KEDGE_OK);
    assert_int_equal(telemetry.chip_id, KEDGE_CHIP_INVALID);
    assert_int_equal(telemetry.ota_state, (uint32_t)KEDGE_OTA_UNDEFINED);
    assert_int_equal(telemetry.config_source, KEDGE_CONFIG_UNKNOWN);
    assert_int_equal(telemetry.reset_reason, KEDGE_RESET_SW);
    assert_int_equal(telemetry.rssi_dbm, -3);
    assert_int_equal(telemetry.boot_count, 0);
    assert_false(telemetry.has_temperature);
}

static const struct {
    const char *text;
    enum kedge_err err;
    const char *what;
} bad_telemetry[] = {
    {"{}", KEDGE_ERR_NOT_FOUND, "device_id"},
    {"{\"device_id\":\"-d\"}", KEDGE_ERR_RANGE, "device_id"},
    {"{\"device_id\":\"a/b\"}", KEDGE_ERR_RANGE, "device_id"},
    {"{\"device_id\":7}", KEDGE_ERR_SYNTAX, "device_id"},
    {"{\"device_id\":\"d\"}", KEDGE_ERR_NOT_FOUND, "firmware"},
    {"{\"device_id\":\"d\",\"firmware\":\"\"}", KEDGE_ERR_RANGE, "firmware"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\\n2\"}", KEDGE_ERR_RANGE, "firmware"},
    {"{\"device_id\":\"d\",\"firmware\":\"123456789012345678901234567890123\"}",
     KEDGE_ERR_TOO_LARGE, "firmware"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\"}", KEDGE_ERR_NOT_FOUND, "uptime"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":-1}", KEDGE_ERR_RANGE, "uptime"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":4294967296}", KEDGE_ERR_RANGE, "uptime"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":1.5}", KEDGE_ERR_SYNTAX, "uptime"},
    {"{" MINIMUM ",\"seq\":\"1\"}", KEDGE_ERR_SYNTAX, "seq"},
    {"{" MINIMUM ",\"ts\":-1}", KEDGE_ERR_RANGE, "ts"},
    {"{" MINIMUM ",\"temperature_c\":2147483.648}", KEDGE_ERR_RANGE, "temperature_c"},
    {"{" MINIMUM ",\"temperature_c\":null}", KEDGE_ERR_SYNTAX, "temperature_c"},
    {"{" MINIMUM ",\"chip\":5}", KEDGE_ERR_SYNTAX, "chip"},
    {"{" MINIMUM ",\"ota_state\":2}", KEDGE_ERR_SYNTAX, "ota_state"},
    {"{" MINIMUM ",\"config\":true}", KEDGE_ERR_SYNTAX, "config"},
    {"{" MINIMUM ",\"uptime\":5}", KEDGE_ERR_DUPLICATE, "member name"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":1,\"free_heap\":2,\"rssi\":128}",
     KEDGE_ERR_RANGE, "rssi"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":1,\"free_heap\":2,\"rssi\":1,"
     "\"reset_reason\":\"gremlins\"}",
     KEDGE_ERR_RANGE, "reset_reason"},
    {"{\"device_id\":\"d\",\"firmware\":\"1\",\"uptime\":1,\"free_heap\":2,\"rssi\":1,"
     "\"reset_reason\":4}",
     KEDGE_ERR_SYNTAX, "reset_reason"},
};

static void bad_telemetry_is_refused_by_the_name_of_its_member(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(bad_telemetry) / sizeof(bad_telemetry[0]); i++) {
        struct kedge_telemetry telemetry;
        struct kedge_fault fault = {0};
        enum kedge_err err = kedge_telemetry_parse(span(bad_telemetry[i].text), &telemetry, &fault);
        if (err != bad_telemetry[i].err || strcmp(fault.what, bad_telemetry[i].what) != 0) {
            fail_msg("%s: %d %s", bad_telemetry[i].text, err, fault.what);
        }
    }
}

static void a_message_over_the_limit_is_refused_unread(void **state)
{
    (void)state;
    struct kedge_telemetry telemetry;
    struct kedge_fault fault;
    uint8_t text[KEDGE_MESSAGE_MAX + 1];

    memset(text, ' ', sizeof(text));

    assert_int_equal(
        kedge_telemetry_parse((struct kedge_cspan){text, sizeof(text)}, &telemetry, &fault),
        KEDGE_ERR_TOO_LARGE);
    assert_int_equal(fault.found, KEDGE_MESSAGE_MAX + 1);
}

static void telemetry_that_we_would_refuse_is_not_sent(void **state)
{
    (void)state;
    struct kedge_telemetry no_id = full_telemetry();
    struct kedge_telemetry no_firmware = full_telemetry();
    struct kedge_telemetry unterminated = full_telemetry();
    struct kedge_telemetry no_source = full_telemetry();
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    no_id.device_id[0] = '\0';
    no_firmware.firmware[0] = '\0';
    memset(unterminated.firmware, 'x', sizeof(unterminated.firmware));
    no_source.config_source = KEDGE_CONFIG_SOURCE_COUNT;

    assert_int_equal(kedge_telemetry_encode(&no_id, out, sizeof(out), &len), KEDGE_ERR_ARG);
    assert_int_equal(kedge_telemetry_encode(&no_firmware, out, sizeof(out), &len), KEDGE_ERR_ARG);
    assert_int_equal(kedge_telemetry_encode(&unterminated, out, sizeof(out), &len), KEDGE_ERR_ARG);
    assert_int_equal(kedge_telemetry_encode(&no_source, out, sizeof(out), &len), KEDGE_ERR_ARG);
}

static struct kedge_report some_report(void)
{
    struct kedge_report report = {.attempt = 3,
                                  .seq = 2,
                                  .from = "1.1.0",
                                  .to = "1.2.0",
                                  .state = KEDGE_REPORT_ROLLED_BACK,
                                  .cause = KEDGE_CAUSE_BROKER,
                                  .detail = 8};

    memset(report.sha256, 0xA5, sizeof(report.sha256));
    return report;
}

static void every_report_state_and_cause_round_trips(void **state)
{
    (void)state;
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    for (int s = 0; s < KEDGE_REPORT_STATE_COUNT; s++) {
        for (int c = 0; c < KEDGE_CAUSE_COUNT; c++) {
            struct kedge_report report = some_report();
            struct kedge_report back;
            struct kedge_fault fault;
            report.state = (enum kedge_report_state)s;
            report.cause = (enum kedge_cause)c;
            assert_int_equal(kedge_report_encode(&report, out, sizeof(out), &len), KEDGE_OK);
            assert_int_equal(kedge_report_parse(span(out), &back, &fault), KEDGE_OK);
            assert_int_equal(back.attempt, 3);
            assert_int_equal(back.seq, 2);
            assert_string_equal(back.from, "1.1.0");
            assert_string_equal(back.to, "1.2.0");
            assert_memory_equal(back.sha256, report.sha256, 32);
            assert_int_equal(back.state, s);
            assert_int_equal(back.cause, c);
            assert_int_equal(back.detail, 8);
        }
    }
}

/* A good report's text with one piece replaced. */
static const struct {
    const char *piece;
    const char *replacement;
    enum kedge_err err;
    const char *what;
} bad_reports[] = {
    {"\"attempt\":3", "\"attempt\":0", KEDGE_ERR_RANGE, "attempt"},
    {"\"attempt\":3", "\"attempt\":-3", KEDGE_ERR_RANGE, "attempt"},
    {"\"attempt\":3,", "", KEDGE_ERR_NOT_FOUND, "attempt"},
    {"\"seq\":2", "\"seq\":0", KEDGE_ERR_RANGE, "seq"},
    {"1.1.0", "1.1.0\\u0007", KEDGE_ERR_RANGE, "from"},
    {"\"from\":\"1.1.0\",", "", KEDGE_ERR_NOT_FOUND, "from"},
    {"\"1.2.0\"", "12", KEDGE_ERR_SYNTAX, "to"},
    {"a5a5a5", "a5a5g5", KEDGE_ERR_RANGE, "sha256"},
    {"a5a5a5", "a5a5", KEDGE_ERR_RANGE, "sha256"},
    {"a5a5a5", "a5a5a5a5", KEDGE_ERR_TOO_LARGE, "sha256"},
    {"rolled_back", "rolled", KEDGE_ERR_RANGE, "state"},
    {"\"broker\"", "true", KEDGE_ERR_SYNTAX, "cause"},
    {"broker", "", KEDGE_ERR_RANGE, "cause"},
    {"\"detail\":8", "\"detail\":4294967296", KEDGE_ERR_RANGE, "detail"},
};

static void bad_reports_are_refused_by_the_name_of_their_member(void **state)
{
    (void)state;
    struct kedge_report report = some_report();
    char good[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_report_encode(&report, good, sizeof(good), &len), KEDGE_OK);
    for (size_t i = 0; i < sizeof(bad_reports) / sizeof(bad_reports[0]); i++) {
        const char *at = strstr(good, bad_reports[i].piece);
        char bad[KEDGE_MESSAGE_MAX + 32];
        struct kedge_fault fault = {0};
        enum kedge_err err;
        assert_non_null(at);
        snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - good), good, bad_reports[i].replacement,
                 at + strlen(bad_reports[i].piece));
        err = kedge_report_parse(span(bad), &report, &fault);
        if (err != bad_reports[i].err || strcmp(fault.what, bad_reports[i].what) != 0) {
            fail_msg("%s: %d %s", bad, err, fault.what);
        }
    }
}

static void a_report_without_detail_has_none(void **state)
{
    (void)state;
    struct kedge_report report = some_report();
    struct kedge_fault fault;
    char text[KEDGE_MESSAGE_MAX];
    size_t len;

    assert_int_equal(kedge_report_encode(&report, text, sizeof(text), &len), KEDGE_OK);
    memcpy(strstr(text, ",\"detail\""), "}", 2);

    assert_int_equal(kedge_report_parse(span(text), &report, &fault), KEDGE_OK);
    assert_int_equal(report.detail, 0);
}

static void a_report_that_we_would_refuse_is_not_sent(void **state)
{
    (void)state;
    struct kedge_report report = some_report();
    char out[KEDGE_MESSAGE_MAX];
    size_t len;

    report.attempt = 0;
    assert_int_equal(kedge_report_encode(&report, out, sizeof(out), &len), KEDGE_ERR_ARG);
    report = some_report();
    report.state = KEDGE_REPORT_STATE_COUNT;
    assert_int_equal(kedge_report_encode(&report, out, sizeof(out), &len), KEDGE_ERR_ARG);
    report = some_report();
    report.to[0] = '\x7F';
    assert_int_equal(kedge_report_encode(&report, out, sizeof(out), &len), KEDGE_ERR_ARG);
}

static const struct {
    const char *text;
    struct kedge_command command;
} commands[] = {
    {"{\"cmd\":\"check-now\"}", {KEDGE_COMMAND_CHECK_NOW, 0}},
    {"{\"cmd\":\"log-level\",\"value\":0}", {KEDGE_COMMAND_LOG_LEVEL, 0}},
    {"{\"cmd\":\"log-level\",\"value\":4}", {KEDGE_COMMAND_LOG_LEVEL, 4}},
    {"{\"cmd\":\"telemetry-interval\",\"value\":86400}", {KEDGE_COMMAND_TELEMETRY_INTERVAL, 86400}},
};

static void commands_round_trip(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct kedge_command back;
        struct kedge_fault fault;
        char out[128];
        size_t len;
        assert_int_equal(kedge_command_encode(&commands[i].command, out, sizeof(out), &len),
                         KEDGE_OK);
        assert_string_equal(out, commands[i].text);
        assert_int_equal(kedge_command_parse(span(out), &back, &fault), KEDGE_OK);
        assert_int_equal(back.kind, commands[i].command.kind);
        assert_int_equal(back.value, commands[i].command.value);
    }
}

static void bad_commands_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kedge_err err;
        const char *what;
    } bad[] = {
        {"{}", KEDGE_ERR_NOT_FOUND, "cmd"},
        {"{\"cmd\":1}", KEDGE_ERR_SYNTAX, "cmd"},
        {"{\"cmd\":\"reboot\"}", KEDGE_ERR_RANGE, "cmd"},
        {"{\"cmd\":\"a name that is longer than every command there is\"}", KEDGE_ERR_RANGE, "cmd"},
        {"{\"cmd\":\"log-level\"}", KEDGE_ERR_NOT_FOUND, "value"},
        {"{\"cmd\":\"log-level\",\"value\":5}", KEDGE_ERR_RANGE, "value"},
        {"{\"cmd\":\"telemetry-interval\",\"value\":0}", KEDGE_ERR_RANGE, "value"},
        {"{\"cmd\":\"telemetry-interval\",\"value\":86401}", KEDGE_ERR_RANGE, "value"},
    };
    const struct kedge_command out_of_range = {KEDGE_COMMAND_TELEMETRY_INTERVAL, 0};
    const struct kedge_command no_command = {KEDGE_COMMAND_KIND_COUNT, 0};
    char out[128];
    size_t len;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct kedge_command command;
        struct kedge_fault fault = {0};
        assert_int_equal(kedge_command_parse(span(bad[i].text), &command, &fault), bad[i].err);
        assert_string_equal(fault.what, bad[i].what);
    }
    assert_int_equal(kedge_command_encode(&out_of_range, out, sizeof(out), &len), KEDGE_ERR_ARG);
    assert_int_equal(kedge_command_encode(&no_command, out, sizeof(out), &len), KEDGE_ERR_ARG);
}

static void device_ids_are_safe_as_topic_and_file_name(void **state)
{
    (void)state;
    static const char longest[] =
        "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    assert_true(kedge_device_id_ok("a", 1));
    assert_true(kedge_device_id_ok("_a.b-c", 6));
    assert_true(kedge_device_id_ok(longest, 64));
    assert_int_equal(strlen(longest), 64);
    assert_false(kedge_device_id_ok(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 65));
    assert_false(kedge_device_id_ok("", 0));
    assert_false(kedge_device_id_ok(".a", 2));
    assert_false(kedge_device_id_ok("-a", 2));
    assert_false(kedge_device_id_ok("a/b", 3));
    assert_false(kedge_device_id_ok("a+", 2));
    assert_false(kedge_device_id_ok("#", 1));
    assert_false(kedge_device_id_ok("a b", 3));
    assert_false(kedge_device_id_ok("a\0b", 3));
    assert_false(kedge_device_id_ok("\xC3\xA9", 2));
}

static void crash_and_power_resets_are_told_apart(void **state)
{
    (void)state;
    unsigned crashes = 0;
    unsigned powers = 0;

    for (int reason = 0; reason <= 15; reason++) {
        crashes |= (unsigned)kedge_reset_is_crash((enum kedge_reset)reason) << reason;
        powers |= (unsigned)kedge_reset_is_power((enum kedge_reset)reason) << reason;
    }

    assert_int_equal(crashes, 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 15);
    assert_int_equal(powers, 1u << 1 | 1u << 9 | 1u << 14);
    assert_string_equal(kedge_reset_text(KEDGE_RESET_PANIC), "panic");
    assert_string_equal(kedge_reset_text((enum kedge_reset)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(telemetry_round_trips),
        cmocka_unit_test(the_longest_telemetry_fits_a_message),
        cmocka_unit_test(what_the_device_does_not_know_stays_out),
        cmocka_unit_test(telemetry_of_a_newer_device_is_taken),
        cmocka_unit_test(bad_telemetry_is_refused_by_the_name_of_its_member),
        cmocka_unit_test(a_message_over_the_limit_is_refused_unread),
        cmocka_unit_test(telemetry_that_we_would_refuse_is_not_sent),
        cmocka_unit_test(every_report_state_and_cause_round_trips),
        cmocka_unit_test(bad_reports_are_refused_by_the_name_of_their_member),
        cmocka_unit_test(a_report_without_detail_has_none),
        cmocka_unit_test(a_report_that_we_would_refuse_is_not_sent),
        cmocka_unit_test(commands_round_trip),
        cmocka_unit_test(bad_commands_are_refused),
        cmocka_unit_test(device_ids_are_safe_as_topic_and_file_name),
        cmocka_unit_test(crash_and_power_resets_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
