/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <inttypes.h>

#include "api.h"
#include "table.h"

struct audit_options {
    struct cli_common common;
    uint64_t since_id;
    uint64_t limit;
};

static const struct host_option rows[] = {
    {.name = "since-id",
     .type = HOST_OPTION_UINT,
     .offset = offsetof(struct audit_options, since_id),
     .default_text = "0",
     .max = INT64_MAX,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "N",
     .help = "only rows after this id"},
    {.name = "limit",
     .type = HOST_OPTION_UINT,
     .offset = offsetof(struct audit_options, limit),
     .default_text = "100",
     .min = 1,
     .max = 1000,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "N",
     .help = "at most so many rows"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set set = {.rows = rows, .env_prefix = "KEDGE"};

static const struct cli_column columns[] = {
    {"ID", "id", CLI_CELL_NUMBER},     {"TIME", "ts", CLI_CELL_TIME},
    {"ACTOR", "actor", CLI_CELL_TEXT}, {"ACTION", "action", CLI_CELL_TEXT},
    {"ON", "subject", CLI_CELL_TEXT},  {"DETAIL", "detail", CLI_CELL_TEXT},
    {NULL, NULL, CLI_CELL_TEXT},
};

static void show(const cJSON *answer)
{
    cli_table_print(cJSON_GetObjectItemCaseSensitive(answer, "audit"), columns, "no rows");
}

static enum cli_exit run(const struct cli_call *call)
{
    const struct audit_options *options = call->options;
    char suffix[96];
    snprintf(suffix, sizeof(suffix), "?after=%" PRIu64 "&limit=%" PRIu64, options->since_id,
             options->limit);
    struct cli_request request = {.method = "GET", .path = "/api/v1/audit", .suffix = suffix};
    return cli_api_run(call, &request, show);
}

const struct cli_verb cli_audit = {
    .noun = "audit",
    .args = "",
    .summary = "Show who did what: operators and devices",
    .options = &set,
    .options_size = sizeof(struct audit_options),
    .run = run,
};
