/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <inttypes.h>

#include "api.h"
#include "table.h"

struct telemetry_options {
    struct cli_common common;
    uint64_t limit;
};

static const struct host_option rows[] = {
    {.name = "limit",
     .type = HOST_OPTION_UINT,
     .offset = offsetof(struct telemetry_options, limit),
     .default_text = "20",
     .min = 1,
     .max = 1000,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "N",
     .help = "at most so many messages"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set set = {.rows = rows, .env_prefix = "KEDGE"};

static const struct cli_column columns[] = {
    {"TIME", "ts", CLI_CELL_TIME},
    {"FIRMWARE", "firmware", CLI_CELL_TEXT},
    {"UPTIME (S)", "uptime_s", CLI_CELL_NUMBER},
    {"FREE HEAP", "free_heap", CLI_CELL_BYTES},
    {"RSSI (DBM)", "rssi", CLI_CELL_NUMBER},
    {"RESET", "reset_reason", CLI_CELL_TEXT},
    {NULL, NULL, CLI_CELL_TEXT},
};

static void show(const cJSON *answer)
{
    cli_table_print(cJSON_GetObjectItemCaseSensitive(answer, "telemetry"), columns,
                    "no telemetry; does the device reach the broker? `kedge status` shows whether "
                    "kedged does");
}

static enum cli_exit run(const struct cli_call *call)
{
    const struct telemetry_options *options = call->options;
    char suffix[32];
    snprintf(suffix, sizeof(suffix), "&limit=%" PRIu64, options->limit);
    struct cli_request request = {.method = "GET",
                                  .path = "/api/v1/telemetry?device=",
                                  .segment = call->args[0],
                                  .suffix = suffix};
    return cli_api_run(call, &request, show);
}

const struct cli_verb cli_telemetry = {
    .noun = "telemetry",
    .args = "DEVICE",
    .summary = "Show what a device has told of itself, newest first",
    .options = &set,
    .options_size = sizeof(struct telemetry_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
