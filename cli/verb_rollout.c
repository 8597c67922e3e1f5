/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "host/parse.h"
#include "table.h"

#define ROLLOUTS_PATH "/api/v1/rollouts"
#define ROLLOUT_PATH  "/api/v1/rollouts/"
#define BAR_WIDTH     40
#define WATCH_MS      500L
#define DAY_MS        UINT64_C(86400000)
#define MAX_STAGES    8

/* ---- create ---- */

struct create_options {
    struct cli_common common;
    char *stages;
    char *chip;
    uint64_t soak_ms;
    uint64_t silence_ms;
    uint64_t max_failures;
    uint64_t pace;
    bool force;
    bool allow_no_rollback;
};

static const struct host_option create_rows[] = {
    {.name = "stages",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct create_options, stages),
     .default_text = "10,50,100",
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "PERCENT,...",
     .help = "share of the fleet reached by each stage; the last is 100"},
    {.name = "soak",
     .type = HOST_OPTION_DURATION,
     .offset = offsetof(struct create_options, soak_ms),
     .default_text = "30m",
     .max = 30 * DAY_MS,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "TIME",
     .help = "wait after the last confirmation of a stage"},
    {.name = "silence",
     .type = HOST_OPTION_DURATION,
     .offset = offsetof(struct create_options, silence_ms),
     .default_text = "1h",
     .min = 1000,
     .max = 30 * DAY_MS,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "TIME",
     .help = "an updating device that is silent for so long has failed"},
    {.name = "max-failures",
     .type = HOST_OPTION_UINT,
     .offset = offsetof(struct create_options, max_failures),
     .default_text = "1",
     .min = 1,
     .max = 1000000,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "N",
     .help = "so many failed devices halt the rollout"},
    {.name = "pace",
     .type = HOST_OPTION_UINT,
     .offset = offsetof(struct create_options, pace),
     .default_text = "0",
     .max = 1000000,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "N",
     .help = "devices that update at the same time; 0 = no limit"},
    {.name = "chip",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct create_options, chip),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "CHIP",
     .help = "whose release, when several chips have this version"},
    {.name = "force",
     .type = HOST_OPTION_BOOL,
     .offset = offsetof(struct create_options, force),
     .flags = HOST_OPTION_FLAG_ONLY,
     .help = "offer it also to devices on which it failed before"},
    {.name = "allow-no-rollback",
     .type = HOST_OPTION_BOOL,
     .offset = offsetof(struct create_options, allow_no_rollback),
     .flags = HOST_OPTION_FLAG_ONLY,
     .help = "reach also devices whose bootloader cannot undo a bad update"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set create_set = {.rows = create_rows, .env_prefix = "KEDGE"};

/* Numbers from 1 to 100 between commas; whether they make a plan is kedged's to say. */
static enum cli_exit check_stages(const char *text)
{
    const char *rest = text;
    for (int count = 0; count < MAX_STAGES; count++) {
        char number[8] = "";
        uint64_t percent = 0;
        size_t len = strcspn(rest, ",");
        memcpy(number, rest, len < sizeof(number) ? len : 0);
        if (host_parse_u64(number, 1, 100, &percent) != KEDGE_OK) {
            break;
        }
        if (rest[len] == '\0') {
            return CLI_OK;
        }
        rest += len + 1;
    }
    return cli_error(
        CLI_USAGE,
        "--stages: \"%s\" is not understood, expected up to %d rising percentages such "
        "as 10,50,100",
        text, MAX_STAGES);
}

static void show_created(const cJSON *answer)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(answer, "id");
    int64_t number = cJSON_IsNumber(id) ? (int64_t)id->valuedouble : 0;
    printf("rollout %" PRId64 " runs; `kedge rollout watch %" PRId64 "` follows it\n", number,
           number);
    const cJSON *warning = NULL;
    cJSON_ArrayForEach(warning, cJSON_GetObjectItemCaseSensitive(answer, "warnings"))
    {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(warning, "text");
        printf("warning: %s\n", cJSON_IsString(text) ? text->valuestring : "");
    }
}

static enum cli_exit run_create(const struct cli_call *call)
{
    const struct create_options *options = call->options;
    enum cli_exit code = check_stages(options->stages);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "version", call->args[0]);
    if (options->chip != NULL) {
        cJSON_AddStringToObject(body, "chip", options->chip);
    }
    cJSON_AddStringToObject(body, "stages", options->stages);
    cJSON_AddNumberToObject(body, "soak_ms", (double)options->soak_ms);
    cJSON_AddNumberToObject(body, "silence_ms", (double)options->silence_ms);
    cJSON_AddNumberToObject(body, "max_failures", (double)options->max_failures);
    cJSON_AddNumberToObject(body, "pace", (double)options->pace);
    cJSON_AddBoolToObject(body, "force", options->force);
    cJSON_AddBoolToObject(body, "allow_no_rollback", options->allow_no_rollback);
    struct cli_request request = {.method = "POST", .path = ROLLOUTS_PATH, .body = body};
    code = cli_api_run(call, &request, show_created);
    cJSON_Delete(body);
    return code;
}

/* ---- one clear screen ---- */

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0.0;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* "[########|.......|..........]  stage 1 of 3, 10 % of the fleet" */
static void print_stages(const cJSON *rollout)
{
    const cJSON *stages = cJSON_GetObjectItemCaseSensitive(rollout, "stages");
    int count = cJSON_GetArraySize(stages);
    int stage = (int)number_of(rollout, "stage");
    double percent = number_of(cJSON_GetArrayItem(stages, stage), "percent");
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++) {
        bar[i] = (double)i * 100.0 / BAR_WIDTH < percent ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    const cJSON *mark = NULL;
    cJSON_ArrayForEach(mark, stages)
    {
        int at = (int)(number_of(mark, "percent") * BAR_WIDTH / 100.0);
        if (at > 0 && at < BAR_WIDTH) {
            bar[at] = '|';
        }
    }
    printf("  [%s]  stage %d of %d, %.0f %% of the fleet\n", bar, stage + 1, count, percent);
}

static const struct cli_column stage_columns[] = {
    {"UP TO %", "percent", CLI_CELL_NUMBER},       {"DEVICES", "members", CLI_CELL_NUMBER},
    {"PENDING", "pending", CLI_CELL_NUMBER},       {"OFFERED", "offered", CLI_CELL_NUMBER},
    {"INSTALLING", "installing", CLI_CELL_NUMBER}, {"UPDATED", "updated", CLI_CELL_NUMBER},
    {"FAILED", "failed", CLI_CELL_NUMBER},         {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column plan_columns[] = {
    {"devices", "counts.members", CLI_CELL_NUMBER},
    {"exposed", "exposed", CLI_CELL_NUMBER},
    {"kept out", "held", CLI_CELL_NUMBER},
    {"downloads", "downloads", CLI_CELL_NUMBER},
    {"failures", "failures", CLI_CELL_NUMBER},
    {"halts at", "plan.max_failures", CLI_CELL_NUMBER},
    {"soak", "plan.soak_ms", CLI_CELL_SPAN},
    {"silence", "plan.silence_ms", CLI_CELL_SPAN},
    {"pace", "plan.pace", CLI_CELL_NUMBER},
    {"started", "created_at", CLI_CELL_TIME},
    {"by", "created_by", CLI_CELL_TEXT},
    {"halted", "halted_at", CLI_CELL_TIME},
    {"ended", "ended_at", CLI_CELL_TIME},
    {"time to halt", "halt.ms_since_first_offer", CLI_CELL_SPAN},
    {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column failure_columns[] = {
    {"FAILED", "device", CLI_CELL_TEXT}, {"STAGE", "stage", CLI_CELL_ORDINAL},
    {"CAUSE", "cause", CLI_CELL_TEXT},   {"DOWNLOADS", "downloads", CLI_CELL_NUMBER},
    {"RUNS", "version", CLI_CELL_TEXT},  {"WHEN", "changed_at", CLI_CELL_AGE},
    {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column held_columns[] = {
    {"KEPT OUT", "device", CLI_CELL_TEXT}, {"STAGE", "stage", CLI_CELL_ORDINAL},
    {"WHY", "held", CLI_CELL_TEXT},        {"RUNS", "version", CLI_CELL_TEXT},
    {NULL, NULL, CLI_CELL_TEXT},
};

static bool is_failed(const cJSON *member)
{
    return strcmp(text_of(member, "state"), "failed") == 0;
}

static bool is_held(const cJSON *member)
{
    return text_of(member, "held")[0] != '\0';
}

static void print_members(const cJSON *rollout, bool (*is_meant)(const cJSON *member),
                          const struct cli_column *columns)
{
    cJSON *meant = cJSON_CreateArray();
    const cJSON *member = NULL;
    cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(rollout, "members"))
    {
        if (is_meant(member)) {
            cJSON_AddItemReferenceToArray(meant, (cJSON *)(uintptr_t)member);
        }
    }
    if (cJSON_GetArraySize(meant) > 0) {
        puts("");
        cli_table_print(meant, columns, "");
    }
    cJSON_Delete(meant);
}

static void show_rollout(const cJSON *rollout)
{
    printf("rollout %.0f: %s on %s, %s\n", number_of(rollout, "id"), text_of(rollout, "version"),
           text_of(rollout, "chip"), text_of(rollout, "state"));
    print_stages(rollout);
    cli_record_print(rollout, plan_columns);
    puts("");
    cli_table_print(cJSON_GetObjectItemCaseSensitive(rollout, "stages"), stage_columns, "");
    print_members(rollout, is_failed, failure_columns);
    print_members(rollout, is_held, held_columns);
}

/* ---- list, show and the three that steer ---- */

static const struct cli_column list_columns[] = {
    {"ROLLOUT", "id", CLI_CELL_NUMBER},
    {"VERSION", "version", CLI_CELL_TEXT},
    {"CHIP", "chip", CLI_CELL_TEXT},
    {"STATE", "state", CLI_CELL_TEXT},
    {"STARTED", "created_at", CLI_CELL_AGE},
    {"BY", "created_by", CLI_CELL_TEXT},
    {"UPDATED", "counts.updated", CLI_CELL_NUMBER},
    {"FAILED", "counts.failed", CLI_CELL_NUMBER},
    {"DEVICES", "counts.members", CLI_CELL_NUMBER},
    {NULL, NULL, CLI_CELL_TEXT},
};

static void show_list(const cJSON *answer)
{
    cli_table_print(cJSON_GetObjectItemCaseSensitive(answer, "rollouts"), list_columns,
                    "no rollouts; `kedge rollout create VERSION` starts one");
}

static enum cli_exit check_number(const char *id)
{
    uint64_t number = 0;
    if (host_parse_u64(id, 1, INT64_MAX, &number) != KEDGE_OK) {
        return cli_error(CLI_USAGE,
                         "%s: not a rollout, expected its number; `kedge rollout list` "
                         "shows them",
                         id);
    }
    return CLI_OK;
}

static enum cli_exit run_list(const struct cli_call *call)
{
    struct cli_request request = {.method = "GET", .path = ROLLOUTS_PATH};
    return cli_api_run(call, &request, show_list);
}

static enum cli_exit run_on_one(const struct cli_call *call, const char *method, const char *suffix)
{
    struct cli_request request = {
        .method = method, .path = ROLLOUT_PATH, .segment = call->args[0], .suffix = suffix};
    enum cli_exit code = check_number(call->args[0]);
    return code != CLI_OK ? code : cli_api_run(call, &request, show_rollout);
}

static enum cli_exit run_show(const struct cli_call *call)
{
    return run_on_one(call, "GET", NULL);
}

static enum cli_exit run_pause(const struct cli_call *call)
{
    return run_on_one(call, "POST", "/pause");
}

static enum cli_exit run_resume(const struct cli_call *call)
{
    return run_on_one(call, "POST", "/resume");
}

static enum cli_exit run_abort(const struct cli_call *call)
{
    return run_on_one(call, "POST", "/abort");
}

/* ---- watch ---- */

static bool has_ended(const cJSON *rollout)
{
    static const char *const ends[] = {"complete", "halted", "aborted"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(text_of(rollout, "state"), ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* On a terminal the screen is drawn again in place; elsewhere a line for every change. */
static void draw(const cJSON *rollout, bool is_terminal, char *last, size_t last_size)
{
    char line[256];
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(rollout, "counts");
    if (is_terminal) {
        fputs("\033[H\033[J", stdout);
        show_rollout(rollout);
    } else {
        snprintf(line, sizeof(line),
                 "rollout %.0f %s: stage %.0f, %.0f pending, %.0f in flight, %.0f updated, %.0f "
                 "failed",
                 number_of(rollout, "id"), text_of(rollout, "state"),
                 number_of(rollout, "stage") + 1, number_of(counts, "pending"),
                 number_of(counts, "offered") + number_of(counts, "installing"),
                 number_of(counts, "updated"), number_of(counts, "failed"));
        if (strcmp(line, last) != 0) {
            puts(line);
            snprintf(last, last_size, "%s", line);
        }
    }
    fflush(stdout);
}

static enum cli_exit follow(struct cli_api *api, const struct cli_call *call)
{
    const struct timespec pause = {.tv_nsec = WATCH_MS * 1000000L};
    struct cli_request request = {.method = "GET", .path = ROLLOUT_PATH, .segment = call->args[0]};
    bool is_terminal = isatty(STDOUT_FILENO) && !call->common->json;
    char last[256] = "";
    for (;;) {
        cJSON *rollout = NULL;
        enum cli_exit code = cli_api_call(api, &request, &rollout);
        if (code != CLI_OK) {
            return code;
        }
        bool ended = has_ended(rollout);
        if (call->common->json && ended) {
            cli_print_json(rollout);
        } else if (!call->common->json) {
            draw(rollout, is_terminal, last, sizeof(last));
        }
        bool complete = strcmp(text_of(rollout, "state"), "complete") == 0;
        cJSON_Delete(rollout);
        if (ended) {
            return complete ? CLI_OK : CLI_FAILED;
        }
        nanosleep(&pause, NULL);
    }
}

static enum cli_exit run_watch(const struct cli_call *call)
{
    struct cli_api *api = NULL;
    enum cli_exit code = check_number(call->args[0]);
    if (code == CLI_OK) {
        code = cli_api_open(call->common->data, &api);
    }
    if (code == CLI_OK) {
        code = follow(api, call);
    }
    cli_api_close(api);
    return code;
}

const struct cli_verb cli_rollout_create = {
    .noun = "rollout",
    .action = "create",
    .args = "VERSION",
    .summary = "Roll a release out, stage by stage",
    .detail = "Each stage reaches more of the fleet; the next one starts when all reached devices "
              "have\nconfirmed and the soak is over. Failed and silent devices halt it.",
    .options = &create_set,
    .options_size = sizeof(struct create_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_create,
};

const struct cli_verb cli_rollout_list = {
    .noun = "rollout",
    .action = "list",
    .args = "",
    .summary = "List the rollouts",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .run = run_list,
};

#define ROLLOUT_VERB(word, function, text, more)                                                   \
    const struct cli_verb cli_rollout_##word = {                                                   \
        .noun = "rollout",                                                                         \
        .action = #word,                                                                           \
        .args = "ID",                                                                              \
        .summary = text,                                                                           \
        .detail = more,                                                                            \
        .options = &cli_plain_options,                                                             \
        .options_size = sizeof(struct cli_plain_options),                                          \
        .min_args = 1,                                                                             \
        .max_args = 1,                                                                             \
        .run = function,                                                                           \
    }

ROLLOUT_VERB(show, run_show, "Show one rollout: stages, counts, failures and their causes", NULL);
ROLLOUT_VERB(watch, run_watch, "Follow a rollout until it ends",
             "Exit code 0 when it is complete, 1 when it was halted or aborted.");
ROLLOUT_VERB(pause, run_pause, "Offer the release to no further device until resumed", NULL);
ROLLOUT_VERB(resume, run_resume, "Go on with a paused or halted rollout",
             "After a halt this acknowledges the failures so far: only new ones count.");
ROLLOUT_VERB(abort, run_abort, "End a rollout for good", NULL);
