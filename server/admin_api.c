/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_body.h"
#include "host/parse.h"
#include "kedge/crypto.h"
#include "request.h"

#define DEFAULT_STAGES     "10,50,100"
#define DEFAULT_SOAK_MS    (30ull * 60 * 1000)
#define DEFAULT_SILENCE_MS (60ull * 60 * 1000)
#define MAX_DURATION_MS    (90ull * 24 * 3600 * 1000)
#define MIN_SILENCE_MS     1000ull
#define AUTHORIZATION_SIZE 512u
#define STAGES_TEXT_SIZE   64u

/* --- who may ask ------------------------------------------------------------------------------ */

static bool is_token(const struct srv_core *core, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    uint8_t digest[KEDGE_SHA256_SIZE];
    if (strncmp(authorization, scheme, sizeof scheme - 1u) != 0) {
        return false;
    }
    const char *token = authorization + sizeof scheme - 1u;
    kedge_sha256_of(token, strlen(token), digest);
    return kedge_equal_constant_time(digest, core->token_sha256, sizeof digest);
}

bool srv_admin_authorise(void *ctx, const struct srv_request *request,
                         struct srv_response *response)
{
    struct srv_core *core = ctx;
    char authorization[AUTHORIZATION_SIZE];
    bool present = false;
    if (strcmp(request->path, "/health") == 0) {
        return true;
    }
    if (srv_request_header(request, "Authorization", authorization, sizeof authorization,
                           &present) == KEDGE_OK &&
        present && is_token(core, authorization)) {
        return true;
    }
    srv_audit_refusal(core, request->peer->address, "admin token missing or wrong", request->path);
    srv_response_error(response, 401,
                       "send the admin token: Authorization: Bearer <content of admin.token>");
    srv_response_header(response, "WWW-Authenticate", "Bearer");
    return false;
}

/* --- bodies ------------------------------------------------------------------------------------
 */

struct caller {
    char name[SRV_ACTOR_SIZE];
    struct srv_actor actor;
};

static void read_caller(const struct srv_request *request, struct caller *caller)
{
    srv_request_actor(request, caller->name);
    caller->actor = (struct srv_actor){.name = caller->name, .address = request->peer->address};
}

static void answer_refusal(struct srv_response *response, const struct srv_refusal *refusal)
{
    srv_response_error(response, refusal->status, "%s", refusal->text);
}

/* --- lists -------------------------------------------------------------------------------------
 */

static void answer_list(struct srv_response *response, const char *name, cJSON *list)
{
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(json, name, list);
    srv_json_answer(response, 200, json);
}

static void answer_store_error(struct srv_response *response, enum kedge_err err)
{
    struct srv_refusal refusal;
    (void)srv_refuse_store(&refusal, err);
    answer_refusal(response, &refusal);
}

/* --- releases ----------------------------------------------------------------------------------
 */

static void list_releases(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    const struct srv_core *core = app;
    (void)request;
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < core->release_count; i++) {
        (void)cJSON_AddItemToArray(list, srv_json_release(core->releases[i]));
    }
    answer_list(response, "releases", list);
}

/* By sha256, or by version when that is unambiguous. */
static void show_release(void *app, const struct srv_request *request,
                         struct srv_response *response)
{
    const struct srv_core *core = app;
    uint32_t count = 1;
    const struct srv_release *release = srv_release_by_sha256(core, request->param);
    if (release == NULL) {
        release = srv_release_by_version(core, request->param, "", &count);
    }
    if (release == NULL) {
        srv_response_error(response, 404, "no release %s: `kedge release list` shows them",
                           request->param);
    } else if (count > 1) {
        srv_response_error(response, 409, "%u chips have a release %s: ask by its sha256", count,
                           request->param);
    } else {
        srv_json_answer(response, 200, srv_json_release(release));
    }
}

/* --- devices -----------------------------------------------------------------------------------
 */

static void list_devices(void *app, const struct srv_request *request,
                         struct srv_response *response)
{
    const struct srv_core *core = app;
    (void)request;
    struct srv_device **devices = srv_devices_sorted(core);
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < core->device_count; i++) {
        (void)cJSON_AddItemToArray(list, srv_json_device(devices[i], false));
    }
    free(devices);
    answer_list(response, "devices", list);
}

static struct srv_device *find_device(struct srv_core *core, const struct srv_request *request,
                                      struct srv_response *response)
{
    struct srv_device *device = srv_device_find(core, request->param);
    if (device == NULL) {
        srv_response_error(response, 404, "no device %s: `kedge device list` shows them",
                           request->param);
    }
    return device;
}

static void show_device(void *app, const struct srv_request *request, struct srv_response *response)
{
    const struct srv_device *device = find_device(app, request, response);
    if (device != NULL) {
        srv_json_answer(response, 200, srv_json_device(device, true));
    }
}

static bool check_device(struct srv_device_row *row, struct srv_refusal *refusal)
{
    uint8_t digest[KEDGE_SHA256_SIZE];
    if (!kedge_device_id_ok(row->id, strlen(row->id))) {
        return srv_refuse(refusal, 400,
                          "id: expected 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -");
    }
    if (strncmp(row->id, KEDGE_SERVICE_PREFIX, strlen(KEDGE_SERVICE_PREFIX)) == 0) {
        return srv_refuse(refusal, 400,
                          "id: ids that start with " KEDGE_SERVICE_PREFIX
                          " are service accounts, which the broker lets read every device");
    }
    if (row->chip[0] != '\0' &&
        kedge_chip_from_text(row->chip, strlen(row->chip)) == KEDGE_CHIP_INVALID) {
        return srv_refuse(refusal, 400, "chip: \"%s\" is none that we know", row->chip);
    }
    if (row->cert_sha256[0] == '\0') {
        return true;
    }
    if (!kedge_hex_decode(row->cert_sha256, strlen(row->cert_sha256), digest, sizeof digest)) {
        return srv_refuse(refusal, 400, "cert_sha256: expected 64 hex digits");
    }
    kedge_hex_encode(digest, sizeof digest, row->cert_sha256);
    return true;
}

static void add_device(void *app, const struct srv_request *request, struct srv_response *response)
{
    struct srv_core *core = app;
    struct srv_device_row row = {0};
    struct srv_refusal refusal;
    struct caller caller;
    const struct srv_field fields[] = {
        {"id", SRV_FIELD_TEXT, row.id, sizeof row.id, 0, 0, true},
        {"chip", SRV_FIELD_TEXT, row.chip, sizeof row.chip, 0, 0, false},
        {"cert_sha256", SRV_FIELD_TEXT, row.cert_sha256, sizeof row.cert_sha256, 0, 0, false},
    };
    read_caller(request, &caller);
    if (!srv_body_parse(request, fields, sizeof fields / sizeof fields[0], &refusal) ||
        !check_device(&row, &refusal) || !srv_device_add(core, &caller.actor, &row, &refusal)) {
        answer_refusal(response, &refusal);
        return;
    }
    srv_json_answer(response, 201, srv_json_device(srv_device_find(core, row.id), true));
}

static void revoke_device(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    struct srv_core *core = app;
    struct srv_device *device = find_device(core, request, response);
    struct srv_refusal refusal;
    struct caller caller;
    if (device == NULL) {
        return;
    }
    read_caller(request, &caller);
    if (!srv_device_revoke(core, &caller.actor, device, &refusal)) {
        answer_refusal(response, &refusal);
        return;
    }
    srv_json_answer(response, 200, srv_json_device(device, true));
}

/* --- rollouts ----------------------------------------------------------------------------------
 */

/* Body of POST rollouts, with the defaults of a careful operator. */
struct rollout_body {
    char version[KEDGE_DESC_STRING_SIZE];
    char sha256[SRV_SHA256_HEX_SIZE];
    char chip[SRV_CHIP_SIZE];
    char stages[STAGES_TEXT_SIZE];
    uint64_t soak_ms, silence_ms, max_failures, pace;
    bool force, allow_no_rollback;
};

static bool parse_rollout(const struct srv_request *request, struct rollout_body *body,
                          struct srv_refusal *refusal)
{
    *body = (struct rollout_body){.stages = DEFAULT_STAGES,
                                  .soak_ms = DEFAULT_SOAK_MS,
                                  .silence_ms = DEFAULT_SILENCE_MS,
                                  .max_failures = 1};
    const struct srv_field fields[] = {
        {"version", SRV_FIELD_TEXT, body->version, sizeof body->version, 0, 0, false},
        {"sha256", SRV_FIELD_TEXT, body->sha256, sizeof body->sha256, 0, 0, false},
        {"chip", SRV_FIELD_TEXT, body->chip, sizeof body->chip, 0, 0, false},
        {"stages", SRV_FIELD_TEXT, body->stages, sizeof body->stages, 0, 0, false},
        {"soak_ms", SRV_FIELD_COUNT, &body->soak_ms, 0, 0, MAX_DURATION_MS, false},
        {"silence_ms", SRV_FIELD_COUNT, &body->silence_ms, 0, MIN_SILENCE_MS, MAX_DURATION_MS,
         false},
        {"max_failures", SRV_FIELD_COUNT, &body->max_failures, 0, 1, UINT32_MAX, false},
        {"pace", SRV_FIELD_COUNT, &body->pace, 0, 0, UINT32_MAX, false},
        {"force", SRV_FIELD_BOOL, &body->force, 0, 0, 0, false},
        {"allow_no_rollback", SRV_FIELD_BOOL, &body->allow_no_rollback, 0, 0, 0, false},
    };
    if (!srv_body_parse(request, fields, sizeof fields / sizeof fields[0], refusal)) {
        return false;
    }
    if ((body->version[0] != '\0') == (body->sha256[0] != '\0')) {
        return srv_refuse(refusal, 400, "give either \"version\" or \"sha256\"");
    }
    return true;
}

static const struct srv_release *choose_release(const struct srv_core *core,
                                                const struct rollout_body *body,
                                                struct srv_refusal *refusal)
{
    uint32_t count = 0;
    const struct srv_release *release =
        body->sha256[0] != '\0' ? srv_release_by_sha256(core, body->sha256)
                                : srv_release_by_version(core, body->version, body->chip, &count);
    if (release == NULL) {
        (void)srv_refuse(refusal, 404, "no release %s%s%s: add it with `kedge release add`",
                         body->sha256[0] != '\0' ? body->sha256 : body->version,
                         body->chip[0] != '\0' ? " for " : "", body->chip);
    } else if (count > 1) {
        (void)srv_refuse(refusal, 409, "%u chips have a release %s: give \"chip\"", count,
                         body->version);
        release = NULL;
    } else if (body->chip[0] != '\0' && strcmp(release->row.chip, body->chip) != 0) {
        (void)srv_refuse(refusal, 409, "that release is for %s, not %s", release->row.chip,
                         body->chip);
        release = NULL;
    }
    return release;
}

static bool to_request(const struct srv_core *core, const struct rollout_body *body,
                       struct srv_rollout_request *out, struct srv_refusal *refusal)
{
    *out = (struct srv_rollout_request){
        .plan = {.max_failures = (uint32_t)body->max_failures,
                 .pace = (uint32_t)body->pace,
                 .soak_ms = body->soak_ms,
                 .silence_ms = body->silence_ms},
        .force = body->force,
        .allow_no_rollback = body->allow_no_rollback,
    };
    enum kedge_err err = fleet_plan_parse_stages(body->stages, &out->plan);
    if (err != KEDGE_OK) {
        return srv_refuse(refusal, 400,
                          "stages: %s: expected rising percents up to 100, at most %u, such as "
                          "10,50,100",
                          kedge_err_text(err), FLEET_MAX_STAGES);
    }
    out->release = choose_release(core, body, refusal);
    return out->release != NULL;
}

static void create_rollout(void *app, const struct srv_request *request,
                           struct srv_response *response)
{
    struct srv_core *core = app;
    struct rollout_body body;
    struct srv_rollout_request wanted;
    struct srv_rollout *rollout = NULL;
    struct srv_refusal refusal;
    struct caller caller;
    read_caller(request, &caller);
    if (!parse_rollout(request, &body, &refusal) || !to_request(core, &body, &wanted, &refusal) ||
        !srv_rollout_create(core, &caller.actor, &wanted, &rollout, &refusal)) {
        answer_refusal(response, &refusal);
        return;
    }
    cJSON *json = srv_json_rollout(rollout, true);
    (void)cJSON_AddItemToObject(json, "warnings", srv_json_warnings(rollout));
    srv_json_answer(response, 201, json);
}

static void list_rollouts(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    const struct srv_core *core = app;
    (void)request;
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = core->rollout_count; i-- > 0;) {
        (void)cJSON_AddItemToArray(list, srv_json_rollout(core->rollouts[i], false));
    }
    answer_list(response, "rollouts", list);
}

static struct srv_rollout *find_rollout(const struct srv_core *core,
                                        const struct srv_request *request,
                                        struct srv_response *response)
{
    uint64_t id;
    struct srv_rollout *rollout = NULL;
    if (host_parse_u64(request->param, 1, INT64_MAX, &id) == KEDGE_OK) {
        rollout = srv_rollout_find(core, (int64_t)id);
    }
    if (rollout == NULL) {
        srv_response_error(response, 404, "no rollout %s: `kedge rollout list` shows them",
                           request->param);
    }
    return rollout;
}

static void show_rollout(void *app, const struct srv_request *request,
                         struct srv_response *response)
{
    const struct srv_rollout *rollout = find_rollout(app, request, response);
    if (rollout != NULL) {
        srv_json_answer(response, 200, srv_json_rollout(rollout, true));
    }
}

static void act_on_rollout(struct srv_core *core, const struct srv_request *request,
                           enum srv_rollout_verb verb, struct srv_response *response)
{
    struct srv_rollout *rollout = find_rollout(core, request, response);
    struct srv_refusal refusal;
    struct caller caller;
    if (rollout == NULL) {
        return;
    }
    read_caller(request, &caller);
    if (!srv_rollout_act(core, &caller.actor, rollout, verb, &refusal)) {
        answer_refusal(response, &refusal);
        return;
    }
    srv_json_answer(response, 200, srv_json_rollout(rollout, true));
}

static void pause_rollout(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    act_on_rollout(app, request, SRV_ROLLOUT_PAUSE, response);
}

static void resume_rollout(void *app, const struct srv_request *request,
                           struct srv_response *response)
{
    act_on_rollout(app, request, SRV_ROLLOUT_RESUME, response);
}

static void abort_rollout(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    act_on_rollout(app, request, SRV_ROLLOUT_ABORT, response);
}

/* --- audit, telemetry, status ------------------------------------------------------------------
 */

static void add_audit(void *ctx, const struct srv_audit_row *row)
{
    cJSON *list = ctx;
    cJSON *json = cJSON_CreateObject();
    srv_json_int(json, "id", row->id);
    srv_json_int(json, "ts", row->ts);
    (void)cJSON_AddStringToObject(json, "actor", row->actor);
    (void)cJSON_AddStringToObject(json, "address", row->address);
    (void)cJSON_AddStringToObject(json, "action", row->action);
    (void)cJSON_AddStringToObject(json, "subject", row->subject);
    cJSON *detail = cJSON_Parse(row->detail);
    (void)cJSON_AddItemToObject(json, "detail", detail != NULL ? detail : cJSON_CreateNull());
    (void)cJSON_AddItemToArray(list, json);
}

static void list_audit(void *app, const struct srv_request *request, struct srv_response *response)
{
    struct srv_core *core = app;
    uint64_t after;
    uint64_t limit;
    if (!srv_query_number(request, "after", INT64_MAX, 0, &after, response) ||
        !srv_query_number(request, "limit", SRV_LIST_LIMIT_MAX, SRV_LIST_LIMIT_DEFAULT, &limit,
                          response)) {
        return;
    }
    cJSON *list = cJSON_CreateArray();
    enum kedge_err err =
        srv_store_audit_each(core->store, (int64_t)after, (uint32_t)limit, add_audit, list);
    if (err != KEDGE_OK) {
        cJSON_Delete(list);
        answer_store_error(response, err);
        return;
    }
    answer_list(response, "audit", list);
}

static void add_telemetry(void *ctx, const struct srv_telemetry_row *row)
{
    (void)cJSON_AddItemToArray(ctx, srv_json_telemetry(row));
}

static void list_telemetry(void *app, const struct srv_request *request,
                           struct srv_response *response)
{
    struct srv_core *core = app;
    char id[KEDGE_DEVICE_ID_SIZE];
    uint64_t limit;
    if (srv_request_query(request, "device", id, sizeof id) != KEDGE_OK) {
        srv_response_error(response, 404, "device: expected the id of a registered device");
        return;
    }
    if (srv_device_find(core, id) == NULL) {
        srv_response_error(response, 404, "no device %s: `kedge device list` shows them", id);
        return;
    }
    if (!srv_query_number(request, "limit", SRV_LIST_LIMIT_MAX, SRV_LIST_LIMIT_DEFAULT, &limit,
                          response)) {
        return;
    }
    cJSON *list = cJSON_CreateArray();
    enum kedge_err err =
        srv_store_telemetry_each(core->store, id, (uint32_t)limit, add_telemetry, list);
    if (err != KEDGE_OK) {
        cJSON_Delete(list);
        answer_store_error(response, err);
        return;
    }
    answer_list(response, "telemetry", list);
}

static void show_status(void *app, const struct srv_request *request, struct srv_response *response)
{
    (void)request;
    srv_json_answer(response, 200, srv_json_status(app));
}

static void show_health(void *app, const struct srv_request *request, struct srv_response *response)
{
    const struct srv_core *core = app;
    (void)request;
    response->status = core->closing ? 503 : 200;
    host_buf_printf(&response->body, "%s\n", core->closing ? "stopping" : "ok");
    srv_response_header(response, "Content-Type", "text/plain");
}

const struct srv_route srv_admin_routes[] = {
    {SRV_GET, "/health", show_health, NULL},
    {SRV_GET, "/api/v1/status", show_status, NULL},
    {SRV_GET, "/api/v1/releases", list_releases, NULL},
    {SRV_POST, "/api/v1/releases", NULL, &srv_release_upload},
    {SRV_GET, "/api/v1/releases/*", show_release, NULL},
    {SRV_GET, "/api/v1/devices", list_devices, NULL},
    {SRV_POST, "/api/v1/devices", add_device, NULL},
    {SRV_GET, "/api/v1/devices/*", show_device, NULL},
    {SRV_POST, "/api/v1/devices/*/revoke", revoke_device, NULL},
    {SRV_GET, "/api/v1/rollouts", list_rollouts, NULL},
    {SRV_POST, "/api/v1/rollouts", create_rollout, NULL},
    {SRV_GET, "/api/v1/rollouts/*", show_rollout, NULL},
    {SRV_POST, "/api/v1/rollouts/*/pause", pause_rollout, NULL},
    {SRV_POST, "/api/v1/rollouts/*/resume", resume_rollout, NULL},
    {SRV_POST, "/api/v1/rollouts/*/abort", abort_rollout, NULL},
    {SRV_GET, "/api/v1/audit", list_audit, NULL},
    {SRV_GET, "/api/v1/telemetry", list_telemetry, NULL},
    {SRV_GET, "/api/v1/crashes", srv_crash_handle_list, NULL},
    {SRV_GET, "/api/v1/crashes/*/dump", srv_crash_handle_dump, NULL},
    {SRV_GET, NULL, NULL, NULL},
};
