/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api.h"
#include "host/fs.h"
#include "kedge/crypto.h"
#include "table.h"

#define PREFIX_MIN  4u
#define SHORT_DIGIT 12
#define ALL_LIMIT   1000
#define DUMP_MODE   0600u /* memory of a device: keys may be in it */

struct list_options {
    struct cli_common common;
    char *device;
    uint64_t limit;
};

static const struct host_option list_rows[] = {
    {.name = "device",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct list_options, device),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "ID",
     .help = "only this device's"},
    {.name = "limit",
     .type = HOST_OPTION_UINT,
     .offset = offsetof(struct list_options, limit),
     .default_text = "20",
     .min = 1,
     .max = ALL_LIMIT,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "N",
     .help = "at most so many crashes"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set list_set = {.rows = list_rows, .env_prefix = "KEDGE"};

static const struct cli_column columns[] = {
    {"TIME", "received_at", CLI_CELL_TIME}, {"DEVICE", "device_id", CLI_CELL_TEXT},
    {"VERSION", "version", CLI_CELL_TEXT},  {"RESET", "reset_reason", CLI_CELL_TEXT},
    {"TASK", "task", CLI_CELL_TEXT},        {"PC", "pc", CLI_CELL_TEXT},
    {"SIZE", "size", CLI_CELL_BYTES},       {"DUMP", "dump", CLI_CELL_TEXT},
    {"SHA256", "sha256", CLI_CELL_SHORT},   {NULL, NULL, CLI_CELL_TEXT},
};

static void show_list(const cJSON *answer)
{
    cli_table_print(cJSON_GetObjectItemCaseSensitive(answer, "crashes"), columns, "no crashes");
}

static enum cli_exit run_list(const struct cli_call *call)
{
    const struct list_options *options = call->options;
    char suffix[32];
    snprintf(suffix, sizeof(suffix), "%slimit=%" PRIu64, options->device != NULL ? "&" : "?",
             options->limit);
    struct cli_request request = {.method = "GET",
                                  .path = options->device != NULL ? "/api/v1/crashes?device="
                                                                  : "/api/v1/crashes",
                                  .segment = options->device,
                                  .suffix = suffix};
    return cli_api_run(call, &request, show_list);
}

/* ---- get ---- */

struct get_options {
    struct cli_common common;
    char *out;
};

static const struct host_option get_rows[] = {
    {.name = "out",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct get_options, out),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "FILE",
     .help = "where to write the dump; default DEVICE-SHA256.coredump"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set get_set = {.rows = get_rows, .env_prefix = "KEDGE"};

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

/* The one crash whose digest begins so; borrowed from answer. */
static enum cli_exit choose(const cJSON *answer, const char *device, const char *prefix,
                            const cJSON **out)
{
    const cJSON *crash;
    const cJSON *found = NULL;
    cJSON_ArrayForEach(crash, cJSON_GetObjectItemCaseSensitive(answer, "crashes"))
    {
        if (strncmp(text_of(crash, "sha256"), prefix, strlen(prefix)) != 0) {
            continue;
        }
        if (found != NULL) {
            return cli_error(CLI_FAILED, "several crashes of %s begin with %s: give more digits",
                             device, prefix);
        }
        found = crash;
    }
    if (found == NULL) {
        return cli_error(CLI_NOT_FOUND,
                         "no crash of %s begins with %s: `kedge crash list --device %s` shows them",
                         device, prefix, device);
    }
    *out = found;
    return CLI_OK;
}

static enum cli_exit check_digest(const cJSON *crash, const struct host_buf *bytes)
{
    uint8_t digest[KEDGE_SHA256_SIZE];
    char hex[2 * KEDGE_SHA256_SIZE + 1];
    kedge_sha256_of(host_buf_text(bytes), bytes->len, digest);
    kedge_hex_encode(digest, sizeof(digest), hex);
    if (strcmp(hex, text_of(crash, "sha256")) != 0) {
        return cli_error(CLI_FAILED, "what kedged sent does not have the dump's SHA-256: its file "
                                     "has changed on the server");
    }
    return CLI_OK;
}

/* The file gets its name when all of it is there. */
static enum cli_exit save(struct cli_api *api, const cJSON *crash, const char *path)
{
    char suffix[64];
    struct host_buf bytes;
    snprintf(suffix, sizeof(suffix), "%.0f/dump",
             cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(crash, "id")));
    struct cli_request request = {.method = "GET", .path = "/api/v1/crashes/", .suffix = suffix};
    enum cli_exit code = cli_api_fetch(api, &request, &bytes);
    if (code == CLI_OK) {
        code = check_digest(crash, &bytes);
    }
    if (code == CLI_OK &&
        host_fs_write_atomic(path, bytes.data, bytes.len, DUMP_MODE) != KEDGE_OK) {
        code = cli_error(CLI_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    }
    host_buf_free(&bytes);
    return code;
}

static void tell(const struct cli_call *call, cJSON *crash, const char *path)
{
    if (call->common->json) {
        (void)cJSON_AddStringToObject(crash, "file", path);
        cli_print_json(crash);
        return;
    }
    printf("%s: the core dump of %s, version %s%s\n\n"
           "With the ELF file of that build (app_elf_sha256 %s), in its project:\n"
           "  idf.py coredump-info -c %s\n"
           "or without ESP-IDF:\n"
           "  esp-coredump info_corefile --core %s --core-format raw build/app.elf\n",
           path, text_of(crash, "device_id"), text_of(crash, "version"),
           strcmp(text_of(crash, "version_from"), "release") == 0
               ? ""
               : " (what it ran afterwards; no release has that build)",
           text_of(crash, "elf_sha256")[0] != '\0' ? text_of(crash, "elf_sha256") : "unknown", path,
           path);
}

static enum cli_exit get(const struct cli_call *call, struct cli_api *api, const cJSON *answer)
{
    const struct get_options *options = call->options;
    const cJSON *crash = NULL;
    struct host_buf path;
    enum cli_exit code = choose(answer, call->args[0], call->args[1], &crash);
    if (code != CLI_OK) {
        return code;
    }
    host_buf_init(&path, SIZE_MAX);
    if (options->out != NULL) {
        host_buf_printf(&path, "%s", options->out);
    } else {
        host_buf_printf(&path, "%s-%.*s.coredump", call->args[0], SHORT_DIGIT,
                        text_of(crash, "sha256"));
    }
    code = save(api, crash, host_buf_text(&path));
    if (code == CLI_OK) {
        cJSON *copy = cJSON_Duplicate(crash, true);
        tell(call, copy, host_buf_text(&path));
        cJSON_Delete(copy);
    }
    host_buf_free(&path);
    return code;
}

static enum cli_exit run_get(const struct cli_call *call)
{
    struct cli_api *api = NULL;
    cJSON *answer = NULL;
    if (strlen(call->args[1]) < PREFIX_MIN) {
        return cli_error(CLI_USAGE, "%s: expected at least %u digits of the dump's SHA-256",
                         call->args[1], PREFIX_MIN);
    }
    enum cli_exit code = cli_api_open(call->common->data, &api);
    if (code != CLI_OK) {
        return code;
    }
    struct cli_request request = {.method = "GET",
                                  .path = "/api/v1/crashes?device=",
                                  .segment = call->args[0],
                                  .suffix = "&limit=1000"};
    code = cli_api_call(api, &request, &answer);
    if (code == CLI_OK) {
        code = get(call, api, answer);
    }
    cJSON_Delete(answer);
    cli_api_close(api);
    return code;
}

const struct cli_verb cli_crash_list = {
    .noun = "crash",
    .action = "list",
    .args = "",
    .summary = "List what crashed, newest first",
    .detail =
        "VERSION is the release whose app_elf_sha256 the core dump names; when none has it, "
        "what the\ndevice ran when it reported. DUMP: complete, partial (the device goes on), "
        "or removed (it made\nway for newer ones).",
    .options = &list_set,
    .options_size = sizeof(struct list_options),
    .run = run_list,
};

const struct cli_verb cli_crash_get = {
    .noun = "crash",
    .action = "get",
    .args = "DEVICE SHA256",
    .summary = "Fetch a core dump for `idf.py coredump-info`",
    .detail = "SHA256: at least 4 digits of what `kedge crash list` shows. The file holds memory "
              "of the device,\nkeys perhaps: it is readable for you alone.",
    .options = &get_set,
    .options_size = sizeof(struct get_options),
    .min_args = 2,
    .max_args = 2,
    .run = run_get,
};
