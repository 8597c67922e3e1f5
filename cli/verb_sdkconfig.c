/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "fault.h"
#include "sdkconfig_rules.h"

#define FILES_MAX 16u
#define CSV_MAX   (256u * 1024u)
#define PATH_SIZE 4096u
/* A file of something else says so in its first lines. */
#define BAD_LINES_SHOWN 20u

struct sdkconfig_options {
    struct cli_common common;
    char *target;
    char *profile;
    char *partitions;
};

static const struct host_option check_rows[] = {
    {.name = "target",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct sdkconfig_options, target),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "CHIP",
     .help = "esp32, esp32s3 or esp32c3; needed when no FILE has CONFIG_IDF_TARGET"},
    {.name = "profile",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct sdkconfig_options, profile),
     .default_text = "prod",
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "prod|dev",
     .help = "dev asks for nothing that burns eFuses"},
    {.name = "partitions",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct sdkconfig_options, partitions),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "FILE.csv",
     .help = "the partition table; default: the one that the options name, beside the first FILE"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set check_set = {.rows = check_rows, .env_prefix = "KEDGE"};

/* ---- reading ---- */

static enum cli_exit read_lines(const char *path, struct kedge_cspan text,
                                struct cli_sdk_config *config)
{
    struct cli_sdk_reader reader;
    struct cli_sdk_line line;
    uint32_t bad = 0;
    cli_sdk_reader_init(&reader, text);
    while (bad < BAD_LINES_SHOWN && cli_sdk_reader_next(&reader, &line)) {
        if (line.wrong != NULL) {
            fprintf(stderr, "%s:%" PRIu32 ": %s, expected %s\n", path, line.number, line.wrong,
                    line.expected);
            bad++;
        } else if (cli_sdk_config_add(config, path, &line) != KEDGE_OK) {
            return cli_error(CLI_FAILED, "%s:%" PRIu32 ": too many options, expected at most %u",
                             path, line.number, CLI_SDK_OPTIONS_MAX);
        }
    }
    return bad == 0 ? CLI_OK : CLI_FAILED;
}

static enum cli_exit read_files(const struct cli_call *call, struct cli_sdk_config *config)
{
    enum cli_exit worst = CLI_OK;
    for (size_t i = 0; i < call->arg_count; i++) {
        struct host_buf buf;
        enum cli_exit code = cli_read_file(call->args[i], CLI_SDK_FILE_MAX, &buf);
        if (code == CLI_OK) {
            struct kedge_cspan text = {(const uint8_t *)host_buf_text(&buf), buf.len};
            code = read_lines(call->args[i], text, config);
        }
        host_buf_free(&buf);
        worst = code != CLI_OK ? code : worst;
    }
    return worst;
}

/* ---- what it is for ---- */

static enum cli_exit choose_target(const struct sdkconfig_options *options,
                                   struct cli_sdk_config *config, char *name, size_t size)
{
    static const char expected[] = "expected esp32, esp32s3 or esp32c3";
    bool in_file = cli_sdk_text(config, "IDF_TARGET", name, size) == KEDGE_OK;
    if (options->target == NULL && !in_file) {
        return cli_error(CLI_USAGE, "--target: no FILE has CONFIG_IDF_TARGET, %s", expected);
    }
    if (options->target != NULL && in_file && strcmp(options->target, name) != 0) {
        return cli_error(CLI_USAGE, "--target: %s, but CONFIG_IDF_TARGET is another chip",
                         options->target);
    }
    if (!in_file) {
        snprintf(name, size, "%s", options->target);
    }
    config->target = cli_sdk_target_parse(name);
    if (config->target == 0) {
        return options->target != NULL
                   ? cli_error(CLI_USAGE, "--target: \"%s\" is not known, %s", options->target,
                               expected)
                   : cli_error(CLI_FAILED, "CONFIG_IDF_TARGET is not known, %s", expected);
    }
    return CLI_OK;
}

static enum cli_exit choose_profile(const char *text, enum cli_sdk_profile *profile)
{
    static const char *const names[] = {[CLI_SDK_PROD] = "prod", [CLI_SDK_DEV] = "dev"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *profile = (enum cli_sdk_profile)i;
            return CLI_OK;
        }
    }
    return cli_error(CLI_USAGE, "--profile: \"%s\" is not understood, expected prod or dev", text);
}

/* ---- the partition table ---- */

/* The text of an sdkconfig does not make us read files elsewhere. */
static bool stays_beside(const char *name)
{
    return name[0] != '\0' && name[0] != '/' && strstr(name, "..") == NULL;
}

/* The CSV that the options name, if it is there; empty when it is not. */
static void find_table(const struct cli_call *call, const struct cli_sdk_config *config,
                       char path[PATH_SIZE])
{
    char name[512];
    const char *slash = strrchr(call->args[0], '/');
    int folder = slash != NULL ? (int)(slash - call->args[0]) + 1 : 0;
    path[0] = '\0';
    if (!cli_sdk_is_on(config, "PARTITION_TABLE_CUSTOM") ||
        cli_sdk_text(config, "PARTITION_TABLE_CUSTOM_FILENAME", name, sizeof(name)) != KEDGE_OK ||
        !stays_beside(name)) {
        return;
    }
    int len = snprintf(path, PATH_SIZE, "%.*s%s", folder, call->args[0], name);
    if (len < 0 || (size_t)len >= PATH_SIZE || access(path, R_OK) != 0) {
        path[0] = '\0';
    }
}

static enum cli_exit check_table(const struct cli_sdk_config *config, const char *path,
                                 struct cli_sdk_findings *findings)
{
    const struct kedge_partition_rules rules = cli_sdk_table_rules(config);
    struct kedge_partition_table table;
    struct kedge_fault fault = {0};
    struct host_buf buf;
    enum cli_exit code = cli_read_file(path, CSV_MAX, &buf);
    if (code == CLI_OK && kedge_partition_parse_csv(host_buf_text(&buf), buf.len, &rules, &table,
                                                    &fault) == KEDGE_OK) {
        cli_sdk_check_table(config, &table, path, findings);
    } else if (code == CLI_OK) {
        char text[CLI_FAULT_TEXT_MAX];
        cli_fault_text(&fault, text, sizeof(text));
        cli_sdk_table_fault(&rules, path, fault.at, text, findings);
    }
    host_buf_free(&buf);
    return code;
}

/* ---- what is shown ---- */

static const char *const headings[CLI_SDK_SEVERITIES] = {
    [CLI_SDK_BRICK] = "a device can end so that no update reaches it any more",
    [CLI_SDK_OPEN] = "somebody else can read it, or make it run what you did not release",
    [CLI_SDK_WEAK] = "a fault is found late, or leaves no trace"};

static size_t count_of(const struct cli_sdk_findings *findings, enum cli_sdk_severity severity)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++) {
        count += findings->list[i].severity == severity;
    }
    return count;
}

static void print_finding(const struct cli_sdk_finding *finding)
{
    const char *fix = finding->fix;
    printf("  %s %s", finding->subject, finding->found);
    if (finding->file != NULL && finding->line != 0) {
        printf(" (%s:%" PRIu32 ")", finding->file, finding->line);
    } else if (finding->file != NULL) {
        printf(" (%s)", finding->file);
    } else {
        printf(" (ESP-IDF's default)");
    }
    printf("\n    why  %s\n", finding->why);
    for (const char *title = "fix"; *fix != '\0'; title = "") {
        size_t len = strcspn(fix, "\n");
        printf("    %-3s  %.*s\n", title, (int)len, fix);
        fix += len + (fix[len] == '\n');
    }
}

static void print_text(const struct cli_sdk_findings *findings, const char *target,
                       const char *profile, const char *table)
{
    for (int i = 0; i < (int)CLI_SDK_SEVERITIES; i++) {
        enum cli_sdk_severity severity = (enum cli_sdk_severity)i;
        if (count_of(findings, severity) == 0) {
            continue;
        }
        printf("%s: %s\n", cli_sdk_severity_name(severity), headings[i]);
        for (size_t k = 0; k < findings->count; k++) {
            if (findings->list[k].severity == severity) {
                print_finding(&findings->list[k]);
            }
        }
        putchar('\n');
    }
    printf("%s, profile %s: %zu fault%s (%zu brick, %zu open, %zu weak), partition table %s\n",
           target, profile, findings->count, findings->count == 1 ? "" : "s",
           count_of(findings, CLI_SDK_BRICK), count_of(findings, CLI_SDK_OPEN),
           count_of(findings, CLI_SDK_WEAK), table != NULL ? table : "not checked: --partitions");
}

static cJSON *finding_json(const struct cli_sdk_finding *finding)
{
    cJSON *item = cJSON_CreateObject();
    const char *fix = finding->fix;
    cJSON_AddStringToObject(item, "severity", cli_sdk_severity_name(finding->severity));
    cJSON_AddStringToObject(item, "subject", finding->subject);
    cJSON_AddStringToObject(item, "found", finding->found);
    if (finding->file != NULL) {
        cJSON_AddStringToObject(item, "file", finding->file);
        cJSON_AddNumberToObject(item, "line", finding->line);
    }
    cJSON *lines = cJSON_AddArrayToObject(item, "fix");
    while (*fix != '\0') {
        char line[sizeof(finding->fix)];
        size_t len = strcspn(fix, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)len, fix);
        cJSON_AddItemToArray(lines, cJSON_CreateString(line));
        fix += len + (fix[len] == '\n');
    }
    cJSON_AddStringToObject(item, "why", finding->why);
    return item;
}

static void print_json(const struct cli_sdk_findings *findings, const char *target,
                       const char *profile, const char *table)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "target", target);
    cJSON_AddStringToObject(object, "profile", profile);
    if (table != NULL) {
        cJSON_AddStringToObject(object, "partitions", table);
    } else {
        cJSON_AddNullToObject(object, "partitions");
    }
    cJSON *faults = cJSON_AddArrayToObject(object, "faults");
    for (size_t i = 0; i < findings->count; i++) {
        cJSON_AddItemToArray(faults, finding_json(&findings->list[i]));
    }
    char *text = cJSON_PrintUnformatted(object);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

/* ---- the verb ---- */

static enum cli_exit check(const struct cli_call *call, struct cli_sdk_config *config,
                           struct cli_sdk_findings *findings)
{
    const struct sdkconfig_options *options = call->options;
    enum cli_sdk_profile profile = CLI_SDK_PROD;
    char target[32] = "";
    char found[PATH_SIZE] = "";
    enum cli_exit code = choose_profile(options->profile, &profile);
    if (code == CLI_OK) {
        code = read_files(call, config);
    }
    if (code == CLI_OK) {
        code = choose_target(options, config, target, sizeof(target));
    }
    if (code != CLI_OK) {
        return code;
    }
    if (options->partitions == NULL) {
        find_table(call, config, found);
    }
    const char *table = options->partitions;
    if (table == NULL && found[0] != '\0') {
        table = found;
    }
    cli_sdk_check(config, profile, table != NULL, findings);
    code = table != NULL ? check_table(config, table, findings) : CLI_OK;
    if (code != CLI_OK) {
        return code;
    }
    (call->common->json ? print_json : print_text)(findings, target, options->profile, table);
    return findings->count == 0 ? CLI_OK : CLI_FAILED;
}

static enum cli_exit run(const struct cli_call *call)
{
    struct cli_sdk_config config = {0};
    struct cli_sdk_findings *findings = host_calloc(1, sizeof(*findings));
    enum cli_exit code = check(call, &config, findings);
    free(findings);
    cli_sdk_config_free(&config);
    return code;
}

const struct cli_verb cli_sdkconfig_check = {
    .noun = "sdkconfig",
    .action = "check",
    .args = "FILE...",
    .summary = "Say what in a project's sdkconfig would brick a device or leave it open",
    .detail =
        "FILE is the sdkconfig that idf.py wrote, or the files of SDKCONFIG_DEFAULTS in their\n"
        "order: the last one that sets an option counts, and what none sets has ESP-IDF's\n"
        "default (5.1 to 6.0). Name the .<chip> files too: kedge does not look for them.\n"
        "Each fault comes with why it is one, and the lines that mend it:\n\n"
        "  brick  a device can end so that no update reaches it any more\n"
        "  open   somebody else can read it, or make it run what you did not release\n"
        "  weak   a fault is found late, or leaves no trace\n\n"
        "Exit code 0 means none, 1 that there are some. docs/sdkconfig.md lists every rule.\n\n"
        "Examples:\n"
        "  kedge sdkconfig check sdkconfig\n"
        "  kedge sdkconfig check --target esp32c3 sdkconfig.defaults sdkconfig.defaults.prod \\\n"
        "      sdkconfig.defaults.prod.esp32c3\n"
        "  kedge sdkconfig check --profile dev --json sdkconfig",
    .options = &check_set,
    .options_size = sizeof(struct sdkconfig_options),
    .min_args = 1,
    .max_args = FILES_MAX,
    .run = run,
};
