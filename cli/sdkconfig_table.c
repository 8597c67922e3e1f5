/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "sdkconfig_rules.h"

/* What Kedge needs in a partition table besides ESP-IDF's own rules. docs/sdkconfig.md lists it. */

#define TYPE_FLEET     0x40u
#define SUBTYPE_SPIFFS 0x82u

static bool needs_nvs_keys(const struct cli_sdk_config *config)
{
    return cli_sdk_is_on(config, "NVS_ENCRYPTION") &&
           !cli_sdk_is_on(config, "NVS_SEC_KEY_PROTECT_USING_HMAC");
}

static bool dumps_to_flash(const struct cli_sdk_config *config)
{
    return cli_sdk_is_on(config, "ESP_COREDUMP_ENABLE_TO_FLASH");
}

static bool is_encrypted(const struct cli_sdk_config *config)
{
    return cli_sdk_is_on(config, "SECURE_FLASH_ENC_ENABLED");
}

static bool has_anti_rollback(const struct cli_sdk_config *config)
{
    return cli_sdk_is_on(config, "BOOTLOADER_APP_ANTI_ROLLBACK");
}

enum table_fault {
    MISSING,  /* there is none */
    PRESENT,  /* there is one */
    PLAIN,    /* there is one without `encrypted` */
    ENCRYPTED /* there is one with it */
};

struct table_rule {
    enum cli_sdk_severity severity;
    enum table_fault fault;
    uint8_t type, subtype;
    const char *name;                                  /* for a person */
    bool (*when)(const struct cli_sdk_config *config); /* NULL = always */
    const char *fix;
    const char *why;
};

static const struct table_rule table_rules[] = {
    {CLI_SDK_BRICK, MISSING, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_OTA, "otadata", NULL,
     "otadata, data, ota, , 0x2000,", "the bootloader does not know which slot to start"},
    {CLI_SDK_BRICK, MISSING, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_OTA_0, "ota_0", NULL,
     "ota_0, app, ota_0, , 0x1B1000,", "an update needs two slots"},
    {CLI_SDK_BRICK, MISSING, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_OTA_0 + 1, "ota_1", NULL,
     "ota_1, app, ota_1, , 0x1B1000,", "an update needs two slots"},
    {CLI_SDK_BRICK, MISSING, TYPE_FLEET, 0, "fleet", NULL, "fleet, 0x40, 0x00, , 0xF000, encrypted",
     "the agent has nowhere to keep its journal, and does not start"},
    {CLI_SDK_BRICK, MISSING, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_NVS_KEYS, "nvs_keys",
     needs_nvs_keys, "nvs_keys, data, nvs_keys, , 0x1000, encrypted",
     "NVS is encrypted and does not open without its keys"},
    {CLI_SDK_BRICK, ENCRYPTED, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_NVS, "nvs", is_encrypted,
     "nvs, data, nvs, , 0xE000,", "NVS does not open with that flag: it has its own encryption"},
    {CLI_SDK_BRICK, ENCRYPTED, KEDGE_PARTITION_DATA, SUBTYPE_SPIFFS, "spiffs", is_encrypted,
     "storage, data, littlefs, , 0x5F000, encrypted", "SPIFFS does not mount with that flag"},
    {CLI_SDK_OPEN, PRESENT, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_FACTORY, "factory",
     has_anti_rollback, "ota_0 and ota_1 only",
     "with anti-rollback ESP-IDF's build refuses a factory app: no version floor would hold for "
     "it"},
    {CLI_SDK_OPEN, PRESENT, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_TEST, "test",
     has_anti_rollback, "ota_0 and ota_1 only",
     "with anti-rollback ESP-IDF's build refuses a test app: no version floor would hold for it"},
    {CLI_SDK_OPEN, PLAIN, TYPE_FLEET, 0, "fleet", is_encrypted,
     "fleet, 0x40, 0x00, , 0xF000, encrypted", "whoever has the board reads and changes it"},
    {CLI_SDK_OPEN, PLAIN, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_LITTLEFS, "littlefs",
     is_encrypted, "storage, data, littlefs, , 0x5F000, encrypted",
     "whoever has the board reads the device's private key in it"},
    {CLI_SDK_OPEN, PLAIN, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_COREDUMP, "coredump",
     is_encrypted, "coredump, data, coredump, , 0x10000, encrypted",
     "whoever has the board reads keys out of a crash"},
    {CLI_SDK_WEAK, MISSING, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_COREDUMP, "coredump",
     dumps_to_flash, "coredump, data, coredump, , 0x10000, encrypted",
     "a crash in the field leaves nothing to look at"},
};

static void add(const struct table_rule *rule, const char *name, uint32_t line, const char *found,
                const char *file, struct cli_sdk_findings *findings)
{
    struct cli_sdk_finding *finding =
        cli_sdk_findings_add(findings, rule->severity, rule->why, rule->fix);
    snprintf(finding->subject, sizeof(finding->subject), "partition %s", name);
    snprintf(finding->found, sizeof(finding->found), "%s", found);
    finding->file = file;
    finding->line = line;
}

/* NULL = nothing is wrong with this entry. */
static const char *entry_fault(const struct table_rule *rule, const struct kedge_partition *entry)
{
    bool encrypted = (entry->flags & KEDGE_PARTITION_ENCRYPTED) != 0;
    switch (rule->fault) {
    case MISSING:
        return NULL;
    case PRESENT:
        return "is in the table";
    case PLAIN:
        return encrypted ? NULL : "is not encrypted";
    case ENCRYPTED:
        return encrypted ? "has the flag encrypted" : NULL;
    }
    return NULL;
}

static void check_rule(const struct table_rule *rule, const struct kedge_partition_table *table,
                       const char *file, struct cli_sdk_findings *findings)
{
    if (rule->fault == MISSING && kedge_partition_find(table, rule->type, rule->subtype) == NULL) {
        add(rule, rule->name, 0, "is missing", file, findings);
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct kedge_partition *entry = &table->entries[i];
        if (entry->type == rule->type && entry->subtype == rule->subtype) {
            const char *found = entry_fault(rule, entry);
            if (found != NULL) {
                add(rule, entry->name, entry->line, found, file, findings);
            }
        }
    }
}

static void check_slot_sizes(const struct kedge_partition_table *table, const char *file,
                             struct cli_sdk_findings *findings)
{
    static const struct table_rule unequal = {
        .severity = CLI_SDK_WEAK,
        .fix = "ota_0 and ota_1 of the same size",
        .why = "a release that fits one slot can be too large for the other: half the fleet"};
    const struct kedge_partition *first =
        kedge_partition_find(table, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_OTA_0);
    const struct kedge_partition *second =
        kedge_partition_find(table, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_OTA_0 + 1);
    if (first != NULL && second != NULL && first->size != second->size) {
        char found[96];
        snprintf(found, sizeof(found), "is 0x%" PRIx32 " bytes, %s 0x%" PRIx32, second->size,
                 first->name, first->size);
        add(&unequal, second->name, second->line, found, file, findings);
    }
}

struct kedge_partition_rules cli_sdk_table_rules(const struct cli_sdk_config *config)
{
    uint64_t offset = 0;
    struct kedge_partition_rules rules = {.flash_size_bytes = cli_sdk_flash_size(config)};
    if (cli_sdk_number(config, "PARTITION_TABLE_OFFSET", &offset) == KEDGE_OK &&
        offset <= UINT32_MAX) {
        rules.table_offset = (uint32_t)offset;
    }
    if (cli_sdk_is_on(config, "SECURE_BOOT")) {
        rules.secure =
            cli_sdk_is_on(config, "SECURE_BOOT_V2_ENABLED") ? KEDGE_SECURE_V2 : KEDGE_SECURE_V1;
    }
    return rules;
}

void cli_sdk_table_fault(const struct kedge_partition_rules *rules, const char *file, uint32_t line,
                         const char *text, struct cli_sdk_findings *findings)
{
    static const char *const secure[] = {
        [KEDGE_SECURE_NONE] = "none", [KEDGE_SECURE_V1] = "v1", [KEDGE_SECURE_V2] = "v2"};
    struct cli_sdk_finding *finding = cli_sdk_findings_add(
        findings, CLI_SDK_BRICK, "ESP-IDF refuses the table, or boots what it should not", "");
    snprintf(finding->subject, sizeof(finding->subject), "partition table");
    snprintf(finding->found, sizeof(finding->found), "%s", text);
    snprintf(finding->fix, sizeof(finding->fix),
             "the line, until `kedge partition check --secure %s --offset 0x%" PRIx32
             " --flash-size 0x%" PRIx32 "` passes",
             secure[rules->secure], rules->table_offset, rules->flash_size_bytes);
    finding->file = file;
    finding->line = line;
}

void cli_sdk_check_table(const struct cli_sdk_config *config,
                         const struct kedge_partition_table *table, const char *file,
                         struct cli_sdk_findings *findings)
{
    for (size_t i = 0; i < sizeof(table_rules) / sizeof(table_rules[0]); i++) {
        const struct table_rule *rule = &table_rules[i];
        if (rule->when == NULL || rule->when(config)) {
            check_rule(rule, table, file, findings);
        }
    }
    check_slot_sizes(table, file, findings);
}
