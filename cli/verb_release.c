/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include "api.h"
#include "table.h"

#define RELEASES_PATH "/api/v1/releases"
#define RELEASE_PATH  "/api/v1/releases/"

struct add_options {
    struct cli_common common;
    char *notes;
};

static const struct host_option add_rows[] = {
    {.name = "notes",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct add_options, notes),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "TEXT",
     .help = "one line on what is new"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set add_set = {.rows = add_rows, .env_prefix = "KEDGE"};

static const struct cli_column list_columns[] = {
    {"VERSION", "version", CLI_CELL_TEXT}, {"CHIP", "chip", CLI_CELL_TEXT},
    {"PROJECT", "project", CLI_CELL_TEXT}, {"SIZE", "size", CLI_CELL_BYTES},
    {"ADDED", "created_at", CLI_CELL_AGE}, {"BY", "created_by", CLI_CELL_TEXT},
    {"SHA-256", "sha256", CLI_CELL_SHORT}, {"NOTES", "notes", CLI_CELL_TEXT},
    {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column show_columns[] = {
    {"version", "version", CLI_CELL_TEXT}, {"chip", "chip", CLI_CELL_TEXT},
    {"project", "project", CLI_CELL_TEXT}, {"secure version", "secure_version", CLI_CELL_NUMBER},
    {"size", "size", CLI_CELL_BYTES},      {"added", "created_at", CLI_CELL_TIME},
    {"by", "created_by", CLI_CELL_TEXT},   {"notes", "notes", CLI_CELL_TEXT},
    {"sha256", "sha256", CLI_CELL_TEXT},   {"elf sha256", "elf_sha256", CLI_CELL_TEXT},
    {NULL, NULL, CLI_CELL_TEXT},
};

static void show_release(const cJSON *answer)
{
    cli_record_print(answer, show_columns);
}

static void show_list(const cJSON *answer)
{
    cli_table_print(cJSON_GetObjectItemCaseSensitive(answer, "releases"), list_columns,
                    "no releases; `kedge release add FILE` adds one");
}

static enum cli_exit run_add(const struct cli_call *call)
{
    const struct add_options *options = call->options;
    struct cli_api *api = NULL;
    cJSON *answer = NULL;
    long status = 0;
    enum cli_exit code = cli_api_open(call->common->data, &api);
    if (code == CLI_OK) {
        code = cli_api_upload(api, RELEASES_PATH, call->args[0], options->notes, &status, &answer);
    }
    if (code == CLI_OK && call->common->json) {
        cli_print_json(answer);
    } else if (code == CLI_OK) {
        printf("%s: %s\n", call->args[0], status == 201 ? "added" : "kedged has it already");
        show_release(answer);
    }
    cJSON_Delete(answer);
    cli_api_close(api);
    return code;
}

static enum cli_exit run_list(const struct cli_call *call)
{
    struct cli_request request = {.method = "GET", .path = RELEASES_PATH};
    return cli_api_run(call, &request, show_list);
}

static enum cli_exit run_show(const struct cli_call *call)
{
    struct cli_request request = {.method = "GET", .path = RELEASE_PATH, .segment = call->args[0]};
    return cli_api_run(call, &request, show_release);
}

const struct cli_verb cli_release_add = {
    .noun = "release",
    .action = "add",
    .args = "FILE",
    .summary = "Upload an image; kedged checks it and keeps it",
    .detail = "Version, chip and project come from the image itself. Nothing is sent to a device "
              "before\n`kedge rollout create`.",
    .options = &add_set,
    .options_size = sizeof(struct add_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_add,
};

const struct cli_verb cli_release_list = {
    .noun = "release",
    .action = "list",
    .args = "",
    .summary = "List the releases",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .run = run_list,
};

const struct cli_verb cli_release_show = {
    .noun = "release",
    .action = "show",
    .args = "VERSION|SHA256",
    .summary = "Show one release",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_show,
};
