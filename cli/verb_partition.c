/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "host/fs.h"
#include "kedge/crypto.h"
#include "partition_file.h"

#define TEXT_MAX (KEDGE_PARTITION_MAX_ENTRIES * 128u)

struct partition_options {
    struct cli_common common;
    uint64_t offset;
    uint64_t flash_size;
    char *secure;
    char *out;
};

#define RULE_ROWS                                                                                  \
    {.name = "offset",                                                                             \
     .type = HOST_OPTION_SIZE,                                                                     \
     .offset = offsetof(struct partition_options, offset),                                         \
     .default_text = "0x8000",                                                                     \
     .min = 0x1000,                                                                                \
     .max = 0xFFFF0000,                                                                            \
     .flags = HOST_OPTION_FLAG_ONLY,                                                               \
     .value_name = "BYTES",                                                                        \
     .help = "where the table itself is in flash"},                                                \
        {.name = "flash-size",                                                                     \
         .type = HOST_OPTION_SIZE,                                                                 \
         .offset = offsetof(struct partition_options, flash_size),                                 \
         .max = 0xFFFFFFFF,                                                                        \
         .flags = HOST_OPTION_FLAG_ONLY,                                                           \
         .value_name = "BYTES",                                                                    \
         .help = "size of the flash, such as 4M: nothing may reach past it"},                      \
    {                                                                                              \
        .name = "secure", .type = HOST_OPTION_STRING,                                              \
        .offset = offsetof(struct partition_options, secure), .default_text = "none",              \
        .flags = HOST_OPTION_FLAG_ONLY, .value_name = "none|v1|v2",                                \
        .help = "Secure Boot version the table is for"                                             \
    }

static const struct host_option check_rows[] = {RULE_ROWS, CLI_COMMON_ROWS, {0}};
static const struct host_option_set check_set = {.rows = check_rows, .env_prefix = "KEDGE"};

static const struct host_option gen_rows[] = {
    {.name = "out",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct partition_options, out),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "FILE.bin",
     .help = "the binary table to write, from a CSV"},
    RULE_ROWS,
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set gen_set = {.rows = gen_rows, .env_prefix = "KEDGE"};

static enum cli_exit read_rules(const struct partition_options *options,
                                struct kedge_partition_rules *rules)
{
    static const struct {
        const char *text;
        enum kedge_secure_boot secure;
    } names[] = {{"none", KEDGE_SECURE_NONE}, {"v1", KEDGE_SECURE_V1}, {"v2", KEDGE_SECURE_V2}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(options->secure, names[i].text) == 0) {
            *rules = (struct kedge_partition_rules){
                .table_offset = (uint32_t)options->offset,
                .flash_size_bytes = (uint32_t)options->flash_size,
                .secure = names[i].secure,
            };
            return CLI_OK;
        }
    }
    return cli_error(CLI_USAGE, "--secure: \"%s\" is not understood, expected none, v1 or v2",
                     options->secure);
}

static enum cli_exit load(const struct cli_call *call, struct kedge_partition_table *table,
                          bool *binary)
{
    struct kedge_partition_rules rules;
    enum cli_exit code = read_rules(call->options, &rules);
    return code == CLI_OK ? cli_partition_read(call->args[0], &rules, table, binary) : code;
}

/* ---- what is shown ---- */

static enum cli_exit print_csv(const struct kedge_partition_table *table)
{
    char text[TEXT_MAX];
    size_t len = 0;
    enum kedge_err err = kedge_partition_write_csv(table, text, sizeof(text), &len);
    if (err != KEDGE_OK) {
        return cli_error(CLI_FAILED, "the table as CSV: %s", kedge_err_text(err));
    }
    fwrite(text, 1, len, stdout);
    return CLI_OK;
}

static void print_json(const struct kedge_partition_table *table)
{
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; i < table->count; i++) {
        const struct kedge_partition *entry = &table->entries[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", entry->name);
        cJSON_AddNumberToObject(item, "type", entry->type);
        cJSON_AddNumberToObject(item, "subtype", entry->subtype);
        cJSON_AddNumberToObject(item, "offset", entry->offset);
        cJSON_AddNumberToObject(item, "size", entry->size);
        cJSON_AddBoolToObject(item, "encrypted", (entry->flags & KEDGE_PARTITION_ENCRYPTED) != 0);
        cJSON_AddBoolToObject(item, "readonly", (entry->flags & KEDGE_PARTITION_READONLY) != 0);
        cJSON_AddItemToArray(array, item);
    }
    char *text = cJSON_PrintUnformatted(array);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(array);
}

static enum cli_exit run_check(const struct cli_call *call)
{
    struct kedge_partition_table table;
    bool binary = false;
    enum cli_exit code = load(call, &table, &binary);
    if (code != CLI_OK) {
        return code;
    }
    if (call->common->json) {
        print_json(&table);
        return CLI_OK;
    }
    printf("%s: ok, %" PRIu32 " partitions\n", call->args[0], table.count);
    return CLI_OK;
}

static enum cli_exit write_binary(const struct kedge_partition_table *table, const char *path)
{
    uint8_t bytes[KEDGE_PARTITION_TABLE_SIZE];
    struct kedge_md5 md5;
    struct kedge_span span = {bytes, sizeof(bytes)};
    enum kedge_err err = kedge_partition_encode(table, &kedge_md5_ops, &md5, span);
    if (err != KEDGE_OK) {
        return cli_error(CLI_FAILED, "the table as binary: %s", kedge_err_text(err));
    }
    if (host_fs_write_atomic(path, bytes, sizeof(bytes), 0644) != KEDGE_OK) {
        return cli_error(CLI_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    }
    return CLI_OK;
}

static enum cli_exit run_gen(const struct cli_call *call)
{
    const struct partition_options *options = call->options;
    struct kedge_partition_table table;
    bool binary = false;
    enum cli_exit code = load(call, &table, &binary);
    if (code != CLI_OK) {
        return code;
    }
    if (binary && options->out != NULL) {
        return cli_error(CLI_USAGE, "--out: %s is binary already; its CSV goes to the output",
                         call->args[0]);
    }
    if (!binary && options->out == NULL) {
        return cli_error(CLI_USAGE, "--out FILE.bin: required to make a binary table of a CSV");
    }
    if (!binary) {
        code = write_binary(&table, options->out);
    }
    if (code != CLI_OK) {
        return code;
    }
    if (call->common->json) {
        print_json(&table);
        return CLI_OK;
    }
    if (binary) {
        return print_csv(&table);
    }
    printf("%s: written, %" PRIu32 " partitions\n", options->out, table.count);
    return CLI_OK;
}

const struct cli_verb cli_partition_check = {
    .noun = "partition",
    .action = "check",
    .args = "FILE",
    .summary = "Check a partition table, CSV or binary, by ESP-IDF's rules",
    .detail = "Errors are said as file:line: what is wrong, what was expected.",
    .options = &check_set,
    .options_size = sizeof(struct partition_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_check,
};

const struct cli_verb cli_partition_gen = {
    .noun = "partition",
    .action = "gen",
    .args = "FILE",
    .summary = "Make the binary table of a CSV (--out), or the CSV of a binary",
    .detail = "The binary is byte for byte what gen_esp32part.py of ESP-IDF writes.",
    .options = &gen_set,
    .options_size = sizeof(struct partition_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_gen,
};
