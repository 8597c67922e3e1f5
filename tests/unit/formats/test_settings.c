/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG_127                                                                                   \
    "a2345678901234567890123456789012345678901234567890123456789012345678901234567890"             \
    "12345678901234567890123456789012345678901234567"
#define LONG_32 "12345678901234567890123456789012"

static struct kedge_settings defaults;
static struct kedge_settings parsed;
static struct kedge_settings_faults faults;

static int setup(void **state)
{
    (void)state;
    kedge_settings_defaults(&defaults);
    memcpy(defaults.device_id, "app", 4);
    memcpy(defaults.server_url, "https://app.example", 20);
    memcpy(defaults.broker_host, "app.example", 12);
    memset(&parsed, 0xA5, sizeof parsed);
    return 0;
}

static enum kedge_err parse_bytes(const void *bytes, size_t len)
{
    struct kedge_cspan span = {bytes, len};

    return kedge_settings_parse(span, &defaults, &parsed, &faults);
}

static enum kedge_err parse(const char *json)
{
    return parse_bytes(json, strlen(json));
}

/* A file with that one member, text as it stands. */
static enum kedge_err parse_member(const char *name, const char *value)
{
    char json[600];

    snprintf(json, sizeof json, "{\"schema\":1,\n\"%s\": %s}", name, value);
    return parse(json);
}

static bool untouched(void)
{
    const uint8_t *bytes = (const uint8_t *)&parsed;

    for (size_t i = 0; i < sizeof parsed; i++) {
        if (bytes[i] != 0xA5) {
            return false;
        }
    }
    return true;
}

static void assert_one_fault(enum kedge_err err, const char *member, uint32_t line)
{
    assert_int_equal(faults.count, 1);
    assert_int_equal(faults.list[0].err, err);
    assert_string_equal(faults.list[0].member, member);
    assert_int_equal(faults.list[0].line, line);
    assert_non_null(faults.list[0].what);
    assert_true(untouched());
}

static const struct kedge_setting *row_of(const char *name)
{
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row %s", name);
    return NULL;
}

static void a_file_with_every_member_is_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("{\n  \"schema\": 1,\n"
                           "  \"device_id\": \"greenhouse-1\",\n"
                           "  \"project\": \"climate\",\n"
                           "  \"server_url\": \"https://ota.example.com:8443\",\n"
                           "  \"broker_host\": \"mqtt.example.com\",\n"
                           "  \"broker_port\": 18883,\n"
                           "  \"ca_file\": \"root.pem\",\n"
                           "  \"certificate_file\": \"unit.crt\",\n"
                           "  \"key_file\": \"unit.key\",\n"
                           "  \"poll_interval_s\": 600,\n"
                           "  \"telemetry_interval_s\": 30,\n"
                           "  \"trial_deadline_s\": 120,\n"
                           "  \"trial_soak_s\": 20,\n"
                           "  \"verdict_deadline_s\": 240,\n"
                           "  \"heap_floor_bytes\": 50000,\n"
                           "  \"log_level\": \"debug\",\n"
                           "  \"temperature_offset_c\": -1.25,\n"
                           "  \"temperature_scale\": 1.012\n}\n"),
                     KEDGE_OK);
    assert_int_equal(faults.count, 0);
    assert_string_equal(parsed.device_id, "greenhouse-1");
    assert_string_equal(parsed.project, "climate");
    assert_string_equal(parsed.server_url, "https://ota.example.com:8443");
    assert_string_equal(parsed.broker_host, "mqtt.example.com");
    assert_int_equal(parsed.broker_port, 18883);
    assert_string_equal(parsed.ca_file, "root.pem");
    assert_string_equal(parsed.certificate_file, "unit.crt");
    assert_string_equal(parsed.key_file, "unit.key");
    assert_int_equal(parsed.poll_interval_s, 600);
    assert_int_equal(parsed.telemetry_interval_s, 30);
    assert_int_equal(parsed.trial_deadline_s, 120);
    assert_int_equal(parsed.trial_soak_s, 20);
    assert_int_equal(parsed.verdict_deadline_s, 240);
    assert_int_equal(parsed.heap_floor_bytes, 50000);
    assert_int_equal(parsed.log_level, KEDGE_LOG_DEBUG);
    assert_int_equal(parsed.temperature_offset_mc, -1250);
    assert_int_equal(parsed.temperature_scale_m, 1012);
}

static void what_a_file_leaves_out_is_as_the_application_says(void **state)
{
    (void)state;
    defaults.poll_interval_s = 77;

    assert_int_equal(parse("{\"schema\":1,\"broker_port\":1883}"), KEDGE_OK);
    assert_string_equal(parsed.device_id, "app");
    assert_string_equal(parsed.server_url, "https://app.example");
    assert_string_equal(parsed.project, "");
    assert_int_equal(parsed.poll_interval_s, 77);
    assert_int_equal(parsed.broker_port, 1883);
    assert_int_equal(parsed.telemetry_interval_s, 60);
    assert_int_equal(parsed.trial_deadline_s, 300);
    assert_int_equal(parsed.trial_soak_s, 30);
    assert_int_equal(parsed.verdict_deadline_s, 60);
    assert_int_equal(parsed.heap_floor_bytes, 0);
    assert_int_equal(parsed.log_level, KEDGE_LOG_INFO);
    assert_string_equal(parsed.ca_file, "ca.pem");
    assert_string_equal(parsed.certificate_file, "device.crt");
    assert_string_equal(parsed.key_file, "device.key");
    assert_int_equal(parsed.temperature_offset_mc, 0);
    assert_int_equal(parsed.temperature_scale_m, 1000);
}

/* Numbers, by hand and not from the table: least, most, and the next ones that are refused. */
static const struct {
    const char *name, *least, *most, *below, *above;
    int64_t kept_least, kept_most;
} numbers[] = {
    {"broker_port", "1", "65535", "0", "65536", 1, 65535},
    {"poll_interval_s", "10", "86400", "9", "86401", 10, 86400},
    {"telemetry_interval_s", "1", "86400", "0", "86401", 1, 86400},
    {"trial_deadline_s", "30", "3600", "29", "3601", 30, 3600},
    {"trial_soak_s", "1", "1800", "0", "1801", 1, 1800},
    {"verdict_deadline_s", "30", "86400", "29", "86401", 30, 86400},
    {"heap_floor_bytes", "0", "8388608", "-1", "8388609", 0, 8388608},
    {"temperature_offset_c", "-50", "50.000", "-50.001", "50.001", -50000, 50000},
    {"temperature_scale", "0.5", "2", "0.499", "2.001", 500, 2000},
};

static int64_t kept(const char *name)
{
    const struct kedge_setting *row = row_of(name);
    int32_t number;

    memcpy(&number, (const char *)&parsed + row->at, sizeof number);
    return number;
}

static void every_number_is_taken_up_to_its_bounds_and_not_beyond(void **state)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        print_message("    %s\n", numbers[i].name);
        assert_int_equal(parse_member(numbers[i].name, numbers[i].least), KEDGE_OK);
        assert_int_equal(kept(numbers[i].name), numbers[i].kept_least);
        assert_int_equal(parse_member(numbers[i].name, numbers[i].most), KEDGE_OK);
        assert_int_equal(kept(numbers[i].name), numbers[i].kept_most);

        const char *const bad[] = {numbers[i].below,       numbers[i].above,
                                   "-9223372036854775808", "9223372036854775807",
                                   "99999999999999999999", "4294967296"};
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            setup(state);
            assert_int_equal(parse_member(numbers[i].name, bad[k]), KEDGE_ERR_RANGE);
            assert_one_fault(KEDGE_ERR_RANGE, numbers[i].name, 2);
            assert_ptr_equal(faults.list[0].setting, row_of(numbers[i].name));
        }
    }
}

/* Texts, by hand: what each takes and what it does not. */
static const struct {
    const char *name;
    const char *good[6];
    const char *bad[16];
} texts[] = {
    {"device_id",
     {"a", "A.b_c-9", LONG_32 LONG_32},
     {"", ".a", "-a", "a b", "a/b", "a\\u00e9", LONG_32 LONG_32 "3"}},
    {"project", {"", "a b", "~!", LONG_32}, {LONG_32 "3", "a\\tb", "\xC3\xA9", "a\\u0000b"}},
    {"server_url",
     {"https://a", "https://a.b:1", "https://10.0.0.1:65535", "https://" LONG_127 ":65535"},
     {"", "http://a", "https://", "https://:8443", "https://a:", "https://a:0", "https://a:65536",
      "https://a:08443", "https://a/", "https://a/ota", "https://u@a", "https://a:1:2", "HTTPS://a",
      "https://a..b", "https://a:844x", "https://" LONG_127 "8"}},
    {"broker_host",
     {"a", "a.b-c.example", "192.168.1.10", LONG_127},
     {"", ".a", "a.", "-a", "a-", "a.-b", "a-.b", "a b", "a_b", "a:1883", "mqtt://a", "[::1]",
      LONG_127 "8"}},
    {"ca_file", {"a", "root-1.pem"}, {"", ".x", "../x", "a/b", LONG_32}},
    {"certificate_file", {"a", "root-1.pem"}, {"", ".x", "../x", "a/b", LONG_32}},
    {"key_file", {"a", "1234567890123456789012345678901"}, {"", ".x", "../x", "a/b", LONG_32}},
    {"log_level",
     {"error", "warn", "info", "debug"},
     {"", "none", "Info", "information", "3", LONG_127 LONG_127}},
};

static enum kedge_err parse_text(const char *name, const char *text)
{
    char quoted[300];

    snprintf(quoted, sizeof quoted, "\"%s\"", text);
    return parse_member(name, quoted);
}

static void every_text_is_held_to_its_rule(void **state)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t k = 0; k < 6 && texts[i].good[k] != NULL; k++) {
            print_message("    %s takes %s\n", texts[i].name, texts[i].good[k]);
            assert_int_equal(parse_text(texts[i].name, texts[i].good[k]), KEDGE_OK);
        }
        for (size_t k = 0; k < 16 && texts[i].bad[k] != NULL; k++) {
            print_message("    %s refuses %s\n", texts[i].name, texts[i].bad[k]);
            setup(state);
            assert_int_not_equal(parse_text(texts[i].name, texts[i].bad[k]), KEDGE_OK);
            assert_one_fault(faults.list[0].err, texts[i].name, 2);
        }
    }
}

static void every_row_of_the_table_is_tried_above(void **state)
{
    size_t count;

    (void)state;
    (void)kedge_settings_table(&count);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_non_null(row_of(numbers[i].name));
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_non_null(row_of(texts[i].name));
    }
    assert_int_equal(sizeof numbers / sizeof numbers[0] + sizeof texts / sizeof texts[0], count);
}

static void a_value_of_another_type_is_refused(void **state)
{
    static const char *const others[] = {"true", "false", "null"};
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        bool is_text = rows[i].type == KEDGE_SETTING_TEXT || rows[i].type == KEDGE_SETTING_CHOICE;

        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            setup(state);
            assert_int_equal(parse_member(rows[i].name, others[k]), KEDGE_ERR_SYNTAX);
            assert_one_fault(KEDGE_ERR_SYNTAX, rows[i].name, 2);
        }
        setup(state);
        assert_int_equal(parse_member(rows[i].name, is_text ? "60" : "\"60\""), KEDGE_ERR_SYNTAX);
        assert_one_fault(KEDGE_ERR_SYNTAX, rows[i].name, 2);
        setup(state);
        if (!is_text) {
            assert_int_equal(parse_member(rows[i].name, "6e1"), KEDGE_ERR_SYNTAX);
            assert_one_fault(KEDGE_ERR_SYNTAX, rows[i].name, 2);
        }
        setup(state);
        if (rows[i].type == KEDGE_SETTING_INTEGER) {
            assert_int_equal(parse_member(rows[i].name, "60.0"), KEDGE_ERR_SYNTAX);
            assert_one_fault(KEDGE_ERR_SYNTAX, rows[i].name, 2);
        }
    }
}

/* One problem in a file, and how it reads for a person. */
static const struct {
    const char *json;
    enum kedge_err err;
    const char *text;
} files[] = {
    {"", KEDGE_ERR_SYNTAX, "line 1: object expected"},
    {" \n ", KEDGE_ERR_SYNTAX, "line 2: object expected"},
    {"[]", KEDGE_ERR_SYNTAX, "line 1: object expected"},
    {"{}", KEDGE_ERR_VERSION, "schema: missing, expected 1"},
    {"{\"schema\":2,\"telepathy\":true}", KEDGE_ERR_VERSION,
     "line 1: schema: unknown version, expected 1"},
    {"{\"schema\":\"1\"}", KEDGE_ERR_VERSION, "line 1: schema: unknown version, expected 1"},
    {"{\"schema\":0}", KEDGE_ERR_VERSION, "line 1: schema: unknown version, expected 1"},
    {"{\"schema\":1,\n\n\"pol_interval_s\":60}", KEDGE_ERR_UNSUPPORTED,
     "line 3: pol_interval_s: unknown member"},
    {"{\"schema\":1,\"\":60}", KEDGE_ERR_UNSUPPORTED, "line 1: unknown member"},
    {"{\"schema\":1,\"t\xC3\xA9\\u0001\":60}", KEDGE_ERR_UNSUPPORTED,
     "line 1: t??\\u0001: unknown member"},
    {"{\"schema\":1,\n\"poll_interval_s\":5}", KEDGE_ERR_RANGE,
     "line 2: poll_interval_s: out of range, expected a whole number 10..86400"},
    {"{\"schema\":1,\"poll_interval_s\":\"60\"}", KEDGE_ERR_SYNTAX,
     "line 1: poll_interval_s: not a number, expected a whole number 10..86400"},
    {"{\"schema\":1,\"poll_interval_s\":60.5}", KEDGE_ERR_SYNTAX,
     "line 1: poll_interval_s: not a whole number, expected a whole number 10..86400"},
    {"{\"schema\":1,\"temperature_scale\":3}", KEDGE_ERR_RANGE,
     "line 1: temperature_scale: out of range, expected a number 0.5..2"},
    {"{\"schema\":1,\"temperature_offset_c\":1e1}", KEDGE_ERR_SYNTAX,
     "line 1: temperature_offset_c: has an exponent, expected a number -50..50"},
    {"{\"schema\":1,\"log_level\":\"loud\"}", KEDGE_ERR_RANGE,
     "line 1: log_level: not allowed, expected error, warn, info or debug"},
    {"{\"schema\":1,\"server_url\":\"http://a\"}", KEDGE_ERR_RANGE,
     "line 1: server_url: not allowed, expected https://host or https://host:port"},
    {"{\"schema\":1,\"project\":\"a\\u0000\"}", KEDGE_ERR_SYNTAX,
     "line 1: project: NUL in a text, expected at most 32 printable ASCII characters"},
    {"{\"schema\":1,\n\"broker_port\":1,\n\"broker_port\":1}", KEDGE_ERR_DUPLICATE,
     "line 3: broker_port: named twice"},
    {"{\"schema\":1,\"schema\":1}", KEDGE_ERR_DUPLICATE, "line 1: schema: named twice"},
    {"{\"schema\":1,\"project\" : {\"a\":1}}", KEDGE_ERR_SYNTAX, "line 1: project: nested value"},
    {"{\"schema\":1,\n\"project\":\n[1]}", KEDGE_ERR_SYNTAX, "line 3: project: nested value"},
    {"{\"schema\":1,\"project\":climate}", KEDGE_ERR_SYNTAX, "line 1: project: value expected"},
    {"{\"schema\":1,\"project\":\"\xFF\"}", KEDGE_ERR_SYNTAX, "line 1: character in a string"},
    {"{\"schema\":1,\"project\":\"\xC0\xAF\"}", KEDGE_ERR_SYNTAX, "line 1: character in a string"},
    {"{\"schema\":1,\"project\":\"a", KEDGE_ERR_SYNTAX, "line 1: project: unterminated string"},
    {"{\"schema\":1,}", KEDGE_ERR_SYNTAX, "line 1: string expected"},
    {"{\"schema\":1} {}", KEDGE_ERR_SYNTAX, "line 1: bytes after the object"},
    {"\xEF\xBB\xBF{\"schema\":1}", KEDGE_ERR_SYNTAX, "line 1: object expected"},
};

static void a_problem_is_named_with_its_line_and_what_was_expected(void **state)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char text[160];

        setup(state);
        assert_int_equal(parse(files[i].json), files[i].err);
        assert_int_equal(faults.count, 1);
        assert_int_equal(faults.list[0].err, files[i].err);
        kedge_settings_fault_text(&faults.list[0], text, sizeof text);
        assert_string_equal(text, files[i].text);
        assert_true(untouched());
    }
}

static void a_colon_in_odd_places_is_not_taken_for_a_member(void **state)
{
    static const char *const odd[] = {
        ":", " :", "{:", "{ : :", "{\"a\"::", "{\"a:\x01", "{\"a\":1}: x", "\":\":x", "{\"a\":"};

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        setup(state);
        assert_int_equal(parse(odd[i]), KEDGE_ERR_SYNTAX);
        assert_int_equal(faults.count, 1);
    }
    assert_string_equal(faults.list[0].member, "a");
}

static void every_problem_of_a_file_is_found(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"schema\":1,\n\"pol\":60,\n\"broker_port\":0,\n\"ca_file\":7,\n"
                           "\"log_level\":\"loud\"}"),
                     KEDGE_ERR_RANGE);
    assert_int_equal(faults.count, 4);
    assert_string_equal(faults.list[0].member, "broker_port");
    assert_int_equal(faults.list[0].line, 3);
    assert_string_equal(faults.list[1].member, "ca_file");
    assert_int_equal(faults.list[1].line, 4);
    assert_string_equal(faults.list[2].member, "log_level");
    assert_int_equal(faults.list[2].line, 5);
    assert_string_equal(faults.list[3].member, "pol");
    assert_int_equal(faults.list[3].line, 2);
}

static void more_problems_than_are_listed_are_counted(void **state)
{
    (void)state;
    assert_int_equal(
        parse("{\"schema\":1,\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1}"),
        KEDGE_ERR_UNSUPPORTED);
    assert_int_equal(faults.count, 7);
    assert_string_equal(faults.list[KEDGE_SETTINGS_FAULTS_MAX - 1].member, "f");
}

static void a_long_unknown_name_is_cut(void **state)
{
    (void)state;
    assert_int_equal(parse_member(LONG_127, "1"), KEDGE_ERR_UNSUPPORTED);
    assert_int_equal(strlen(faults.list[0].member), KEDGE_SETTINGS_NAME_SIZE - 1);
}

static void a_name_may_be_escaped(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"sch\\u0065ma\":1,\"broker\\u005fport\":7}"), KEDGE_OK);
    assert_int_equal(parsed.broker_port, 7);
}

static void a_file_over_the_limit_is_refused_unread(void **state)
{
    static const size_t sizes[] = {KEDGE_SETTINGS_FILE_MAX + 1, 65535, 65536, 70000};
    uint8_t *bytes = malloc(70000);

    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        setup(state);
        memset(bytes, ' ', 70000);
        memcpy(bytes, "{\"schema\":1}", 12);
        assert_int_equal(parse_bytes(bytes, KEDGE_SETTINGS_FILE_MAX), KEDGE_OK);
        setup(state);
        assert_int_equal(parse_bytes(bytes, sizes[i]), KEDGE_ERR_TOO_LARGE);
        assert_one_fault(KEDGE_ERR_TOO_LARGE, "", 0);
    }
    free(bytes);
}

static void thirty_three_members_are_too_many(void **state)
{
    char json[512] = "{\"schema\":1";
    size_t len = strlen(json);

    (void)state;
    for (int i = 0; i < 32; i++) {
        len += (size_t)snprintf(json + len, sizeof json - len, ",\"m%d\":1", i);
    }
    snprintf(json + len, sizeof json - len, "}");
    assert_int_equal(parse(json), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(faults.count, 1);
}

static void defaults_and_result_may_be_the_same_struct(void **state)
{
    static const char json[] = "{\"schema\":1,\"broker_port\":9}";
    struct kedge_cspan span = {(const uint8_t *)json, sizeof json - 1};

    (void)state;
    assert_int_equal(kedge_settings_parse(span, &defaults, &defaults, &faults), KEDGE_OK);
    assert_int_equal(defaults.broker_port, 9);
    assert_string_equal(defaults.device_id, "app");
}

static struct kedge_settings longest_settings(void)
{
    struct kedge_settings longest = defaults;

    memset(longest.device_id, 'd', sizeof longest.device_id - 1);
    memset(longest.project, '"', sizeof longest.project - 1);
    memcpy(longest.server_url, "https://" LONG_127 ":65535", 142);
    memcpy(longest.broker_host, LONG_127, 128);
    memset(longest.ca_file, 'c', sizeof longest.ca_file - 1);
    memset(longest.certificate_file, 'c', sizeof longest.certificate_file - 1);
    memset(longest.key_file, 'k', sizeof longest.key_file - 1);
    longest.broker_port = 65535;
    longest.poll_interval_s = longest.telemetry_interval_s = 86400;
    longest.verdict_deadline_s = 86400;
    longest.heap_floor_bytes = 8388608;
    longest.temperature_offset_mc = -49999;
    longest.temperature_scale_m = 1999;
    return longest;
}

static void what_is_encoded_parses_to_the_same(void **state)
{
    struct kedge_settings all[2];
    char json[KEDGE_SETTINGS_FILE_MAX];
    size_t len;

    (void)state;
    all[0] = defaults;
    all[1] = longest_settings();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            kedge_settings_encode(&all[i], KEDGE_SETTINGS_ALL, json, sizeof json, &len), KEDGE_OK);
        assert_int_equal(strlen(json), len);
        assert_in_range(len, 300, 1200);
        assert_int_equal(parse(json), KEDGE_OK);
        assert_memory_equal(&parsed, &all[i], sizeof parsed);
        assert_int_equal(kedge_settings_encode(&all[i], KEDGE_SETTINGS_ALL, json, len, &len),
                         KEDGE_ERR_NO_SPACE);
    }
}

static void settings_that_parse_would_refuse_are_not_encoded(void **state)
{
    char json[KEDGE_SETTINGS_FILE_MAX];
    struct kedge_settings bad[5];
    size_t len;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        bad[i] = defaults;
    }
    bad[0].broker_port = 65536;
    bad[1].log_level = KEDGE_LOG_NONE;
    memset(bad[2].project, 'p', sizeof bad[2].project); /* no NUL */
    bad[3].device_id[0] = '\0';
    bad[4].temperature_offset_mc = -50001;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(
            kedge_settings_encode(&bad[i], KEDGE_SETTINGS_ALL, json, sizeof json, &len),
            KEDGE_ERR_ARG);
        assert_int_equal(kedge_settings_check(&bad[i], &faults), KEDGE_ERR_RANGE);
        assert_int_equal(faults.count, 1);
    }
    assert_int_equal(kedge_settings_check(&defaults, &faults), KEDGE_OK);
}

static void a_set_of_rows_is_what_a_file_has(void **state)
{
    static const char json[] =
        "{\"schema\":1,\"log_level\":\"info\",\n\"broker_port\":\"x\",\"zz\":1}";
    static const char *const broken[] = {"", "[]", "{\"broker_port\":1", "{\"broker_port\":1}}"};
    struct kedge_cspan span = {(const uint8_t *)json, sizeof json - 1};

    (void)state;
    assert_int_equal(kedge_settings_rows(span),
                     kedge_settings_row("log_level") | kedge_settings_row("broker_port"));
    assert_int_equal(kedge_settings_row("device_id"), 1);
    assert_int_equal(kedge_settings_row("schema"), 0);
    assert_int_equal(kedge_settings_row("zz"), 0);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        span = (struct kedge_cspan){(const uint8_t *)broken[i], strlen(broken[i])};
        assert_int_equal(kedge_settings_rows(span), 0);
    }
}

static void what_is_left_out_of_a_file_stays_the_firmwares_choice(void **state)
{
    static const char said[] = "{\"schema\":1,\"device_id\":\"app\",\"poll_interval_s\":60,"
                               "\"temperature_offset_c\":-1.25}";
    struct kedge_cspan span = {(const uint8_t *)said, sizeof said - 1};
    char json[KEDGE_SETTINGS_FILE_MAX];
    size_t len;

    (void)state;
    assert_int_equal(parse(said), KEDGE_OK);
    assert_int_equal(
        kedge_settings_encode(&parsed, kedge_settings_rows(span), json, sizeof json, &len),
        KEDGE_OK);
    assert_string_equal(json, said);
    assert_int_equal(len, sizeof said - 1);

    defaults.poll_interval_s = 300;
    defaults.telemetry_interval_s = 301;
    assert_int_equal(parse(json), KEDGE_OK);
    assert_int_equal(parsed.poll_interval_s, 60);
    assert_int_equal(parsed.telemetry_interval_s, 301);
}

static void the_tables_defaults_lack_only_what_they_cannot_know(void **state)
{
    struct kedge_settings settings;

    (void)state;
    kedge_settings_defaults(&settings);
    assert_int_equal(kedge_settings_check(&settings, &faults), KEDGE_ERR_RANGE);
    assert_int_equal(faults.count, 3);
    assert_string_equal(faults.list[0].member, "device_id");
    assert_string_equal(faults.list[1].member, "server_url");
    assert_string_equal(faults.list[2].member, "broker_host");
}

static void calibration_scales_then_shifts(void **state)
{
    (void)state;
    assert_int_equal(kedge_settings_temperature_mc(&defaults, 21500), 21500);
    defaults.temperature_scale_m = 1010;
    defaults.temperature_offset_mc = -1500;
    assert_int_equal(kedge_settings_temperature_mc(&defaults, 20000), 18700);
    assert_int_equal(kedge_settings_temperature_mc(&defaults, -20000), -21700);
    defaults.temperature_scale_m = 2000;
    assert_int_equal(kedge_settings_temperature_mc(&defaults, INT32_MAX), INT32_MAX);
    assert_int_equal(kedge_settings_temperature_mc(&defaults, INT32_MIN), INT32_MIN);
}

static void a_fault_text_is_cut_to_the_room_there_is(void **state)
{
    struct kedge_settings_fault longest = {.err = KEDGE_ERR_RANGE,
                                           .line = 2048,
                                           .what = "not allowed",
                                           .setting = row_of("device_id")};
    char text[160];
    char small[8];

    (void)state;
    memset(longest.member, 'm', sizeof longest.member - 1);
    kedge_settings_fault_text(&longest, text, sizeof text);
    assert_in_range(strlen(text), 100, sizeof text - 2);
    kedge_settings_fault_text(&longest, small, sizeof small);
    assert_string_equal(small, "line 20");
}

/* formats/FORMATS.md has a line for each row, with what the table says. */
static void the_document_says_what_the_table_says(void **state)
{
    static char text[1u << 16];
    FILE *file = fopen(KEDGE_VECTORS "/../../formats/FORMATS.md", "rb");
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    (void)state;
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (size_t i = 0; i < count; i++) {
        struct kedge_settings_fault fault = {.what = "", .setting = &rows[i]};
        char must_be[160];
        char line[256];

        kedge_settings_fault_text(&fault, must_be, sizeof must_be);
        snprintf(line, sizeof line, "\n| %s | %s | ", rows[i].name,
                 must_be + strlen(", expected "));
        if (strstr(text, line) == NULL) {
            fail_msg("FORMATS.md has no line \"%s\"", line + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_with_every_member_is_taken, setup),
        cmocka_unit_test_setup(what_a_file_leaves_out_is_as_the_application_says, setup),
        cmocka_unit_test_setup(every_number_is_taken_up_to_its_bounds_and_not_beyond, setup),
        cmocka_unit_test_setup(every_text_is_held_to_its_rule, setup),
        cmocka_unit_test_setup(every_row_of_the_table_is_tried_above, setup),
        cmocka_unit_test_setup(a_value_of_another_type_is_refused, setup),
        cmocka_unit_test_setup(a_problem_is_named_with_its_line_and_what_was_expected, setup),
        cmocka_unit_test_setup(a_colon_in_odd_places_is_not_taken_for_a_member, setup),
        cmocka_unit_test_setup(every_problem_of_a_file_is_found, setup),
        cmocka_unit_test_setup(more_problems_than_are_listed_are_counted, setup),
        cmocka_unit_test_setup(a_long_unknown_name_is_cut, setup),
        cmocka_unit_test_setup(a_name_may_be_escaped, setup),
        cmocka_unit_test_setup(a_file_over_the_limit_is_refused_unread, setup),
        cmocka_unit_test_setup(thirty_three_members_are_too_many, setup),
        cmocka_unit_test_setup(defaults_and_result_may_be_the_same_struct, setup),
        cmocka_unit_test_setup(what_is_encoded_parses_to_the_same, setup),
        cmocka_unit_test_setup(settings_that_parse_would_refuse_are_not_encoded, setup),
        cmocka_unit_test_setup(a_set_of_rows_is_what_a_file_has, setup),
        cmocka_unit_test_setup(what_is_left_out_of_a_file_stays_the_firmwares_choice, setup),
        cmocka_unit_test_setup(the_tables_defaults_lack_only_what_they_cannot_know, setup),
        cmocka_unit_test_setup(calibration_scales_then_shifts, setup),
        cmocka_unit_test_setup(a_fault_text_is_cut_to_the_room_there_is, setup),
        cmocka_unit_test_setup(the_document_says_what_the_table_says, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
