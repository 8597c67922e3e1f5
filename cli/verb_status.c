/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include "api.h"
#include "table.h"

static const struct cli_column columns[] = {
    {"kedged", "server_version", CLI_CELL_TEXT},
    {"uptime (s)", "uptime_s", CLI_CELL_NUMBER},
    {"devices", "devices.total", CLI_CELL_NUMBER},
    {"releases", "releases", CLI_CELL_NUMBER},
    {"broker", "ingest.connected", CLI_CELL_TEXT},
    {"telemetry", "ingest.stored", CLI_CELL_NUMBER},
    {"malformed", "ingest.malformed", CLI_CELL_NUMBER},
    {"polls", "polls", CLI_CELL_NUMBER},
    {"offers", "offers", CLI_CELL_NUMBER},
    {"reports", "reports", CLI_CELL_NUMBER},
    {"refusals", "refusals", CLI_CELL_NUMBER},
    {"sent", "bytes_sent", CLI_CELL_BYTES},
    {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column rollout_columns[] = {
    {"ROLLOUT", "id", CLI_CELL_NUMBER},
    {"VERSION", "version", CLI_CELL_TEXT},
    {"STATE", "state", CLI_CELL_TEXT},
    {"UPDATED", "counts.updated", CLI_CELL_NUMBER},
    {"FAILED", "counts.failed", CLI_CELL_NUMBER},
    {"DEVICES", "counts.members", CLI_CELL_NUMBER},
    {NULL, NULL, CLI_CELL_TEXT},
};

/* {"1.0.0":38,"1.1.0":2} on one line. */
static void print_tally(const char *title, const cJSON *tally)
{
    const cJSON *item = NULL;
    const char *separator = "";
    if (cJSON_GetArraySize(tally) == 0) {
        return;
    }
    printf("  %-16s", title);
    cJSON_ArrayForEach(item, tally)
    {
        char name[64];
        char count[32];
        cJSON *text = cJSON_CreateString(item->string);
        cli_cell_text(text, CLI_CELL_TEXT, name, sizeof(name));
        cJSON_Delete(text);
        cli_cell_text(item, CLI_CELL_NUMBER, count, sizeof(count));
        printf("%s%s: %s", separator, name, count);
        separator = ", ";
    }
    puts("");
}

static void show(const cJSON *answer)
{
    const cJSON *devices = cJSON_GetObjectItemCaseSensitive(answer, "devices");
    const cJSON *rollouts = cJSON_GetObjectItemCaseSensitive(answer, "rollouts");
    cli_record_print(answer, columns);
    print_tally("versions", cJSON_GetObjectItemCaseSensitive(devices, "by_version"));
    print_tally("states", cJSON_GetObjectItemCaseSensitive(devices, "by_state"));
    if (cJSON_GetArraySize(rollouts) > 0) {
        puts("");
        cli_table_print(rollouts, rollout_columns, "");
    }
}

static enum cli_exit run(const struct cli_call *call)
{
    struct cli_request request = {.method = "GET", .path = "/api/v1/status"};
    return cli_api_run(call, &request, show);
}

const struct cli_verb cli_status = {
    .noun = "status",
    .args = "",
    .summary = "Show whether kedged answers, and what it has seen",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .run = run,
};
