/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sdkconfig_rules.h"

static struct kedge_cspan span(const char *text)
{
    return (struct kedge_cspan){(const uint8_t *)text, strlen(text)};
}

static void assert_span(struct kedge_cspan found, const char *expected)
{
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.data, expected, found.len);
}

/* The first line of text that says something. */
static struct cli_sdk_line first(const char *text)
{
    struct cli_sdk_reader reader;
    struct cli_sdk_line line;
    cli_sdk_reader_init(&reader, span(text));
    assert_true(cli_sdk_reader_next(&reader, &line));
    return line;
}

static void assert_nothing(const char *text)
{
    struct cli_sdk_reader reader;
    struct cli_sdk_line line;
    cli_sdk_reader_init(&reader, span(text));
    assert_false(cli_sdk_reader_next(&reader, &line));
}

static struct cli_sdk_config config_of(const char *text, unsigned target)
{
    struct cli_sdk_config config = {.target = target};
    struct cli_sdk_reader reader;
    struct cli_sdk_line line;
    cli_sdk_reader_init(&reader, span(text));
    while (cli_sdk_reader_next(&reader, &line)) {
        assert_null(line.wrong);
        assert_int_equal(cli_sdk_config_add(&config, "file", &line), KEDGE_OK);
    }
    return config;
}

static void assert_value(const char *text, const char *name, const char *expected)
{
    struct cli_sdk_config config = config_of(text, CLI_SDK_ESP32C3);
    assert_string_equal(cli_sdk_value(&config, name), expected);
    cli_sdk_config_free(&config);
}

/* ---- lines ---- */

static void every_kind_of_value_is_read_as_it_is_written(void **state)
{
    static const char *const values[] = {"y",
                                         "n",
                                         "",
                                         "0",
                                         "-1",
                                         "15",
                                         "0xE000",
                                         "0XffFF",
                                         "\"\"",
                                         "\"a b\"",
                                         "\"a\\\"b\"",
                                         "\"\\\\\"",
                                         "\"# no comment\""};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[64] = "CONFIG_A_1b=";
        strncat(text, values[i], sizeof(text) - strlen(text) - 1);

        struct cli_sdk_line line = first(text);

        assert_null(line.wrong);
        assert_span(line.name, "A_1b");
        assert_span(line.value, values[i]);
    }
}

static void is_not_set_means_n(void **state)
{
    (void)state;

    struct cli_sdk_line line = first("#\n# Bootloader\n#\n# CONFIG_X is not set\r\n");

    assert_span(line.name, "X");
    assert_span(line.value, "n");
    assert_int_equal(line.number, 4);
}

static void white_space_around_a_line_is_nothing(void **state)
{
    (void)state;

    struct cli_sdk_line line = first("\n \t\r\n  CONFIG_X=y \t\r\n");

    assert_span(line.value, "y");
    assert_int_equal(line.number, 3);
}

static void comments_are_passed_over(void **state)
{
    (void)state;

    assert_nothing("");
    assert_nothing("\n\r\n");
    assert_nothing("# CONFIG_X is not set yet\n#CONFIG_X=y\n# CONFIG_ is not set\n#");
}

static void what_esp_idf_repeats_under_old_names_is_passed_over(void **state)
{
    (void)state;

    struct cli_sdk_line line = first("# Deprecated options for backward compatibility\n"
                                     "CONFIG_TASK_WDT=y\n# CONFIG_INT_WDT is not set\n"
                                     "# End of deprecated options\nCONFIG_NEXT=y\n");

    assert_span(line.name, "NEXT");
    assert_int_equal(line.number, 5);
}

static void what_is_no_option_is_refused_and_says_what_was_expected(void **state)
{
    static const struct {
        const char *text, *wrong;
    } rows[] = {
        {"garbage", "not an option"},
        {"config_x=y", "not an option"},
        {"CONFIG_=y", "not an option"},
        {"CONFIG_X", "not an option"},
        {"CONFIG_X y", "not an option"},
        {"CONFIG_A-B=y", "not an option"},
        {"CONFIG_X=yes", "not a value"},
        {"CONFIG_X=m", "not a value"},
        {"CONFIG_X=partitions.csv", "not a value"},
        {"CONFIG_X=\"open", "not a value"},
        {"CONFIG_X=\"open\\\"", "not a value"},
        {"CONFIG_X=\"a\"b", "not a value"},
        {"CONFIG_X=0x", "not a value"},
        {"CONFIG_X=-", "not a value"},
        {"CONFIG_X=1f", "not a value"},
        {"CONFIG_X=15 # reason", "a comment behind the value"},
        {"CONFIG_X=y # reason", "a comment behind the value"},
        {"CONFIG_X=\"\x01\"", "a control character"},
        {"\x7f", "a control character"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cli_sdk_line line = first(rows[i].text);
        assert_string_equal(line.wrong, rows[i].wrong);
        assert_non_null(line.expected);
    }
}

static void a_nul_byte_and_an_endless_line_are_refused(void **state)
{
    static char endless[CLI_SDK_LINE_MAX + 2];
    struct cli_sdk_reader reader;
    struct cli_sdk_line line;
    (void)state;
    memset(endless, 'a', sizeof(endless) - 1);

    cli_sdk_reader_init(&reader, (struct kedge_cspan){(const uint8_t *)"CONFIG_X=\0y", 11});

    assert_true(cli_sdk_reader_next(&reader, &line));
    assert_string_equal(line.wrong, "a control character");
    assert_string_equal(first(endless).wrong, "a line of over 4096 characters");
}

/* ---- what the build will have ---- */

static void the_last_file_that_sets_an_option_counts(void **state)
{
    (void)state;

    assert_value("CONFIG_A=y\nCONFIG_A=n\n", "A", "n");
    assert_value("CONFIG_A=n\nCONFIG_A=y\n", "A", "y");
    assert_value("CONFIG_A=y\n# CONFIG_A is not set\n", "A", "n");
}

static void what_nobody_sets_has_esp_idfs_default(void **state)
{
    (void)state;

    assert_value("", "ESP_TASK_WDT_EN", "y");
    assert_value("", "ESP_TASK_WDT_PANIC", "");
    assert_value("", "PARTITION_TABLE_OFFSET", "0x8000");
    assert_value("", "NVS_ENCRYPTION", "");
    assert_value("CONFIG_SECURE_FLASH_ENC_ENABLED=y\n", "NVS_ENCRYPTION", "y");
}

static void what_is_missing_in_a_complete_file_is_off(void **state)
{
    (void)state;

    assert_value("CONFIG_IDF_CMAKE=y\n", "ESP_TASK_WDT_EN", "");
    assert_value("CONFIG_IDF_CMAKE=y\n", "ESP_COREDUMP_ENABLE_TO_NONE", "");
}

static void of_a_choice_only_the_member_set_last_is_on(void **state)
{
    static const char both[] = "CONFIG_SECURE_FLASH_ENC_ENABLED=y\n"
                               "CONFIG_SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y\n"
                               "CONFIG_SECURE_FLASH_ENCRYPTION_MODE_DEVELOPMENT=y\n";
    (void)state;

    assert_value(both, "SECURE_FLASH_ENCRYPTION_MODE_RELEASE", "n");
    assert_value(both, "SECURE_FLASH_ENCRYPTION_MODE_DEVELOPMENT", "y");
    assert_value("CONFIG_ESP_SYSTEM_PANIC_GDBSTUB=y\n", "ESP_SYSTEM_PANIC_PRINT_REBOOT", "n");
    assert_value("CONFIG_ESP_SYSTEM_PANIC_PRINT_REBOOT=n\n", "ESP_SYSTEM_PANIC_PRINT_REBOOT", "y");
}

static void an_old_name_sets_the_new_option(void **state)
{
    (void)state;

    assert_value("CONFIG_TASK_WDT_PANIC=y\n", "ESP_TASK_WDT_PANIC", "y");
    assert_value("CONFIG_FLASH_ENCRYPTION_ENABLED=y\n", "SECURE_FLASH_ENC_ENABLED", "y");
}

static void a_string_is_read_without_quotes_and_escapes(void **state)
{
    struct cli_sdk_config config =
        config_of("CONFIG_A=\"a\\\"b\\\\\"\nCONFIG_B=5\n", CLI_SDK_ESP32);
    char text[8];
    (void)state;

    assert_int_equal(cli_sdk_text(&config, "A", text, sizeof(text)), KEDGE_OK);
    assert_string_equal(text, "a\"b\\");
    assert_int_equal(cli_sdk_text(&config, "A", text, 4), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(cli_sdk_text(&config, "B", text, sizeof(text)), KEDGE_ERR_SYNTAX);
    assert_int_equal(cli_sdk_text(&config, "C", text, sizeof(text)), KEDGE_ERR_SYNTAX);
    cli_sdk_config_free(&config);
}

static void too_many_options_are_refused(void **state)
{
    struct cli_sdk_config config = {0};
    struct cli_sdk_line line = first("CONFIG_X=y");
    (void)state;
    for (size_t i = 0; i < CLI_SDK_OPTIONS_MAX; i++) {
        assert_int_equal(cli_sdk_config_add(&config, "file", &line), KEDGE_OK);
    }

    assert_int_equal(cli_sdk_config_add(&config, "file", &line), KEDGE_ERR_TOO_LARGE);

    cli_sdk_config_free(&config);
}

/* ---- rules ---- */

static struct cli_sdk_findings *check(const char *text, unsigned target)
{
    struct cli_sdk_findings *findings = calloc(1, sizeof(*findings));
    struct cli_sdk_config config = config_of(text, target);
    assert_non_null(findings);
    cli_sdk_check(&config, CLI_SDK_PROD, false, findings);
    cli_sdk_config_free(&config);
    return findings;
}

static bool has(const struct cli_sdk_findings *findings, const char *subject)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (strcmp(findings->list[i].subject, subject) == 0) {
            return true;
        }
    }
    return false;
}

/* Each rule's fixes, all together, leave no fault: what we advise is what we ask for. */
static void following_every_fix_leaves_no_fault(void **state)
{
    static const unsigned targets[] = {CLI_SDK_ESP32, CLI_SDK_ESP32S3, CLI_SDK_ESP32C3};
    (void)state;
    for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
        char text[8192] = "";
        size_t rounds = 0;
        struct cli_sdk_findings *findings = check(text, targets[t]);
        while (findings->count > 0 && rounds++ < 3) {
            for (size_t i = 0; i < findings->count; i++) {
                strncat(text, findings->list[i].fix, sizeof(text) - strlen(text) - 2);
                strncat(text, "\n", 2);
            }
            free(findings);
            findings = check(text, targets[t]);
        }

        assert_int_equal(findings->count, 0);
        free(findings);
    }
}

/* A rule that nothing can break would be noise: each is broken by the opposite of its fix. */
static void every_rule_can_be_broken(void **state)
{
    static const char worst[] =
        "CONFIG_PARTITION_TABLE_MD5=n\nCONFIG_ESP_TASK_WDT_INIT=n\n"
        "CONFIG_ESP_TASK_WDT_CHECK_IDLE_TASK_CPU0=n\nCONFIG_ESP_TASK_WDT_CHECK_IDLE_TASK_CPU1=n\n"
        "CONFIG_ESP_INT_WDT_CHECK_CPU1=n\nCONFIG_BOOTLOADER_WDT_ENABLE=n\n"
        "CONFIG_ESP_SYSTEM_PANIC_GDBSTUB=y\nCONFIG_ESP_BROWNOUT_DET=n\n"
        "CONFIG_SPI_FLASH_DANGEROUS_WRITE_ALLOWED=y\nCONFIG_BOOTLOADER_SKIP_VALIDATE_ALWAYS=y\n"
        "CONFIG_BOOTLOADER_SKIP_VALIDATE_ON_POWER_ON=y\n"
        "CONFIG_BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP=y\nCONFIG_ESP_HTTP_CLIENT_ENABLE_HTTPS=n\n"
        "CONFIG_SECURE_BOOT_ENABLE_AGGRESSIVE_KEY_REVOKE=y\n"
        "CONFIG_BOOTLOADER_EFUSE_SECURE_VERSION_EMULATE=y\nCONFIG_ESP32C3_REV_MIN_0=y\n"
        "CONFIG_SECURE_BOOT_INSECURE=y\nCONFIG_SECURE_BOOT_ALLOW_JTAG=y\n"
        "CONFIG_SECURE_BOOT_ALLOW_ROM_BASIC=y\nCONFIG_SECURE_BOOT_ALLOW_SHORT_APP_PARTITION=y\n"
        "CONFIG_SECURE_BOOT_ALLOW_UNUSED_DIGEST_SLOTS=y\n"
        "CONFIG_SECURE_BOOT_V2_ALLOW_EFUSE_RD_DIS=y\n"
        "CONFIG_SECURE_FLASH_UART_BOOTLOADER_ALLOW_ENC=y\n"
        "CONFIG_SECURE_FLASH_UART_BOOTLOADER_ALLOW_DEC=y\n"
        "CONFIG_SECURE_FLASH_UART_BOOTLOADER_ALLOW_CACHE=y\nCONFIG_EFUSE_VIRTUAL=y\n"
        "CONFIG_ESP_SYSTEM_GDBSTUB_RUNTIME=y\nCONFIG_ESP_TLS_INSECURE=y\n"
        "CONFIG_ESP_TLS_SKIP_SERVER_CERT_VERIFY=y\nCONFIG_ESP_HTTPS_OTA_ALLOW_HTTP=y\n"
        "CONFIG_FREERTOS_CHECK_STACKOVERFLOW_NONE=y\n";
    static const char *const more[] = {
        "",
        "CONFIG_ESP_TASK_WDT_EN=n\nCONFIG_ESP_INT_WDT=n\nCONFIG_NVS_ENCRYPTION=y\n",
        "CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK=y\nCONFIG_BOOTLOADER_APP_SECURE_VERSION=33\n"
        "CONFIG_SECURE_BOOT=y\nCONFIG_SECURE_SIGNED_APPS_ECDSA_SCHEME=y\n"
        "CONFIG_SECURE_FLASH_ENC_ENABLED=y\nCONFIG_SECURE_FLASH_CHECK_ENC_EN_IN_APP=n\n"
        "CONFIG_NVS_SEC_KEY_PROTECT_USING_HMAC=y\nCONFIG_NVS_SEC_HMAC_EFUSE_KEY_ID=-1\n",
        "CONFIG_SECURE_SIGNED_APPS_ECDSA_V2_SCHEME=y\n",
    };
    struct cli_sdk_findings *all[12];
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        char text[4096] = "";
        strncat(text, worst, sizeof(text) - 1);
        strncat(text, more[i], sizeof(text) - strlen(text) - 1);
        all[count++] = check(text, CLI_SDK_ESP32);
        all[count++] = check(text, CLI_SDK_ESP32S3);
        all[count++] = check(text, CLI_SDK_ESP32C3);
    }

    for (const struct cli_sdk_rule *rule = cli_sdk_rules; rule->option != NULL; rule++) {
        bool seen = false;
        for (size_t i = 0; i < count && !seen; i++) {
            for (size_t k = 0; k < all[i]->count && !seen; k++) {
                seen = all[i]->list[k].why == rule->why;
            }
        }
        if (!seen) {
            fail_msg("nothing breaks the rule on CONFIG_%s: %s", rule->option, rule->why);
        }
    }
    for (size_t i = 0; i < count; i++) {
        free(all[i]);
    }
}

static void the_secure_version_is_bounded_by_the_chips_efuse_bits(void **state)
{
    static const struct {
        const char *version;
        unsigned target;
        bool fault;
    } rows[] = {
        {"32", CLI_SDK_ESP32, false},
        {"33", CLI_SDK_ESP32, true},
        {"16", CLI_SDK_ESP32C3, false},
        {"17", CLI_SDK_ESP32C3, true},
        {"16", CLI_SDK_ESP32S3, false},
        {"17", CLI_SDK_ESP32S3, true},
        {"9\nCONFIG_BOOTLOADER_APP_SEC_VER_SIZE_EFUSE_FIELD=8", CLI_SDK_ESP32, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256] = "CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK=y\nCONFIG_BOOTLOADER_APP_SECURE_"
                         "VERSION=";
        strncat(text, rows[i].version, sizeof(text) - strlen(text) - 1);
        struct cli_sdk_findings *findings = check(text, rows[i].target);
        assert_int_equal(has(findings, "CONFIG_BOOTLOADER_APP_SECURE_VERSION"), rows[i].fault);
        free(findings);
    }
}

static void secure_boot_on_an_old_esp32_is_v1(void **state)
{
    struct cli_sdk_findings *old = check("CONFIG_SECURE_BOOT=y\n", CLI_SDK_ESP32);
    struct cli_sdk_findings *forced =
        check("CONFIG_SECURE_BOOT=y\nCONFIG_ESP32_REV_MIN_3=y\nCONFIG_SECURE_BOOT_V1_ENABLED=y\n",
              CLI_SDK_ESP32);
    struct cli_sdk_findings *good =
        check("CONFIG_SECURE_BOOT=y\nCONFIG_ESP32_REV_MIN_3_1=y\n", CLI_SDK_ESP32);
    (void)state;

    assert_true(has(old, "CONFIG_ESP32_REV_MIN_3"));
    assert_true(has(forced, "CONFIG_ESP32_REV_MIN_3"));
    assert_false(has(good, "CONFIG_ESP32_REV_MIN_3"));
    free(old);
    free(forced);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_read_as_it_is_written),
        cmocka_unit_test(is_not_set_means_n),
        cmocka_unit_test(white_space_around_a_line_is_nothing),
        cmocka_unit_test(comments_are_passed_over),
        cmocka_unit_test(what_esp_idf_repeats_under_old_names_is_passed_over),
        cmocka_unit_test(what_is_no_option_is_refused_and_says_what_was_expected),
        cmocka_unit_test(a_nul_byte_and_an_endless_line_are_refused),
        cmocka_unit_test(the_last_file_that_sets_an_option_counts),
        cmocka_unit_test(what_nobody_sets_has_esp_idfs_default),
        cmocka_unit_test(what_is_missing_in_a_complete_file_is_off),
        cmocka_unit_test(of_a_choice_only_the_member_set_last_is_on),
        cmocka_unit_test(an_old_name_sets_the_new_option),
        cmocka_unit_test(a_string_is_read_without_quotes_and_escapes),
        cmocka_unit_test(too_many_options_are_refused),
        cmocka_unit_test(following_every_fix_leaves_no_fault),
        cmocka_unit_test(every_rule_can_be_broken),
        cmocka_unit_test(the_secure_version_is_bounded_by_the_chips_efuse_bits),
        cmocka_unit_test(secure_boot_on_an_old_esp32_is_v1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
