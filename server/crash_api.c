/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <string.h>

#include "admin_body.h"
#include "host/parse.h"
#include "range.h"

/* The crash rows of both APIs: devices bring dumps, operators list and fetch them. */

#define RETRY_AFTER_S     30u
#define LONG_RETRY_S      3600u /* a device that crashes more often than we want to hear of */
#define HEADER_VALUE_SIZE 128u

/* --- devices ---------------------------------------------------------------------------------- */

static void add_offset(struct srv_response *response, const struct srv_crash_place *place)
{
    if (place->is_known) {
        srv_response_header(response, "X-Crash-Offset", "%u", place->next);
    }
}

/* Refused is answered with where to go on only when that is why. */
static void answer(struct srv_response *response, bool ok, const struct srv_crash_place *place,
                   const struct srv_refusal *refusal)
{
    if (ok) {
        response->status = place->is_new ? 201 : 200;
        host_buf_printf(&response->body, "{\"offset\":%u}\n", place->next);
        srv_response_header(response, "Content-Type", "application/json");
        add_offset(response, place);
        return;
    }
    srv_response_error(response, refusal->status, "crash: %s", refusal->text);
    if (refusal->status == 409) {
        add_offset(response, place);
    } else if (refusal->status == 503 || refusal->status == 507) {
        srv_response_header(response, "Retry-After", "%u", RETRY_AFTER_S);
    } else if (refusal->status == 429) {
        srv_response_header(response, "Retry-After", "%u", LONG_RETRY_S);
    }
}

static bool is_closing(const struct srv_core *core, struct srv_response *response)
{
    if (core->closing) {
        srv_response_error(response, 503, "the server is stopping: ask again later");
        srv_response_header(response, "Retry-After", "%u", RETRY_AFTER_S);
    }
    return core->closing;
}

void srv_crash_handle_announce(void *app, const struct srv_request *request,
                               struct srv_response *response)
{
    struct srv_core *core = app;
    struct kedge_crash crash;
    struct kedge_fault fault = {0};
    struct srv_crash_place place = {0};
    struct srv_refusal refusal = {0};
    if (is_closing(core, response)) {
        return;
    }
    enum kedge_err err = kedge_crash_parse(request->body, &crash, &fault);
    if (err != KEDGE_OK) {
        srv_response_error(response, 400, "crash: %s: %s at offset %u", kedge_err_text(err),
                           fault.what != NULL ? fault.what : "body", fault.at);
        return;
    }
    bool ok = srv_crash_announce(core, srv_device_find(core, request->peer->cn), &crash,
                                 request->peer->address, &place, &refusal);
    answer(response, ok, &place, &refusal);
}

static bool read_header(const struct srv_request *request, const char *name, char *value)
{
    bool present = false;
    return srv_request_header(request, name, value, HEADER_VALUE_SIZE, &present) == KEDGE_OK &&
           present;
}

static bool read_sha256(const struct srv_request *request, struct srv_crash_piece *piece)
{
    char value[HEADER_VALUE_SIZE];
    uint8_t digest[KEDGE_SHA256_SIZE];
    if (!read_header(request, "X-Crash-SHA256", value) ||
        !kedge_hex_decode(value, strlen(value), digest, sizeof digest)) {
        return false;
    }
    kedge_hex_encode(digest, sizeof digest, piece->sha256);
    return true;
}

static bool read_piece(const struct srv_request *request, struct srv_crash_piece *piece,
                       struct srv_refusal *refusal)
{
    char range[HEADER_VALUE_SIZE];
    uint64_t last;
    piece->bytes = request->body;
    if (piece->bytes.len > SRV_CRASH_PIECE_MAX) {
        return srv_refuse(refusal, 413, "a piece of %zu bytes: at most %u are taken",
                          piece->bytes.len, SRV_CRASH_PIECE_MAX);
    }
    if (!read_sha256(request, piece)) {
        return srv_refuse(refusal, 400, "X-Crash-SHA256: expected 64 hex digits");
    }
    if (!read_header(request, "Content-Range", range) ||
        !srv_range_parse_content(range, &piece->first, &last, &piece->total)) {
        return srv_refuse(refusal, 400, "Content-Range: expected bytes FIRST-LAST/SIZE");
    }
    if (piece->bytes.len != last - piece->first + 1u) {
        return srv_refuse(refusal, 400, "Content-Range: names %llu bytes, the body has %zu",
                          (unsigned long long)(last - piece->first + 1u), piece->bytes.len);
    }
    return true;
}

void srv_crash_handle_piece(void *app, const struct srv_request *request,
                            struct srv_response *response)
{
    struct srv_core *core = app;
    struct srv_crash_piece piece = {0};
    struct srv_crash_place place = {0};
    struct srv_refusal refusal = {0};
    if (is_closing(core, response)) {
        return;
    }
    bool ok = read_piece(request, &piece, &refusal) &&
              srv_crash_append(core, srv_device_find(core, request->peer->cn), &piece,
                               request->peer->address, &place, &refusal);
    answer(response, ok, &place, &refusal);
}

/* --- operators -------------------------------------------------------------------------------- */

static const char *dump_state(const struct srv_crash_row *row)
{
    if (!row->has_dump) {
        return "removed";
    }
    return row->completed_at != 0 ? "complete" : "partial";
}

static void add_address(cJSON *json, const char *name, uint32_t address)
{
    char text[16] = "";
    if (address != 0) {
        (void)snprintf(text, sizeof text, "0x%08x", address);
    }
    (void)cJSON_AddStringToObject(json, name, text);
}

static cJSON *crash_json(const struct srv_core *core, const struct srv_crash_row *row)
{
    cJSON *json = cJSON_CreateObject();
    srv_json_int(json, "id", row->id);
    (void)cJSON_AddStringToObject(json, "device_id", row->device_id);
    srv_json_int(json, "received_at", row->received_at);
    (void)cJSON_AddStringToObject(json, "version", row->version);
    (void)cJSON_AddStringToObject(json, "version_from", row->is_matched ? "release" : "reporter");
    (void)cJSON_AddStringToObject(json, "reporter", row->reporter);
    (void)cJSON_AddStringToObject(json, "reset_reason", kedge_reset_text(row->reset_reason));
    (void)cJSON_AddStringToObject(json, "task", row->task);
    add_address(json, "pc", row->pc);
    (void)cJSON_AddStringToObject(json, "backtrace", row->backtrace);
    (void)cJSON_AddStringToObject(json, "elf_sha256", row->elf_sha256);
    (void)cJSON_AddStringToObject(json, "sha256", row->sha256);
    srv_json_int(json, "size", row->size);
    srv_json_int(json, "stored", row->has_dump ? srv_crash_stored(core, row) : 0);
    (void)cJSON_AddStringToObject(json, "dump", dump_state(row));
    return json;
}

struct listing {
    const struct srv_core *core;
    cJSON *list;
};

static void add_crash(void *ctx, const struct srv_crash_row *row)
{
    struct listing *listing = ctx;
    (void)cJSON_AddItemToArray(listing->list, crash_json(listing->core, row));
}

/* ?device=ID, or all devices without; false: response says what is wrong. */
static bool read_device(const struct srv_core *core, const struct srv_request *request, char *id,
                        struct srv_response *response)
{
    enum kedge_err err = srv_request_query(request, "device", id, KEDGE_DEVICE_ID_SIZE);
    if (err == KEDGE_ERR_NOT_FOUND) {
        id[0] = '\0';
        return true;
    }
    if (err != KEDGE_OK || srv_device_find(core, id) == NULL) {
        srv_response_error(response, 404, "no device %s: `kedge device list` shows them",
                           err == KEDGE_OK ? id : "of that name");
        return false;
    }
    return true;
}

static void answer_store(struct srv_response *response, enum kedge_err err)
{
    struct srv_refusal refusal;
    (void)srv_refuse_store(&refusal, err);
    srv_response_error(response, refusal.status, "%s", refusal.text);
}

void srv_crash_handle_list(void *app, const struct srv_request *request,
                           struct srv_response *response)
{
    struct srv_core *core = app;
    char id[KEDGE_DEVICE_ID_SIZE];
    uint64_t limit;
    if (!read_device(core, request, id, response) ||
        !srv_query_number(request, "limit", SRV_LIST_LIMIT_MAX, SRV_LIST_LIMIT_DEFAULT, &limit,
                          response)) {
        return;
    }
    struct listing listing = {.core = core, .list = cJSON_CreateArray()};
    enum kedge_err err =
        id[0] == '\0'
            ? srv_store_crash_each(core->store, (uint32_t)limit, add_crash, &listing)
            : srv_store_crash_each_of(core->store, id, (uint32_t)limit, add_crash, &listing);
    if (err != KEDGE_OK) {
        cJSON_Delete(listing.list);
        answer_store(response, err);
        return;
    }
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(json, "crashes", listing.list);
    srv_json_answer(response, 200, json);
}

static bool find_crash(const struct srv_core *core, const struct srv_request *request,
                       struct srv_crash_row *row, struct srv_response *response)
{
    uint64_t id;
    enum kedge_err err = host_parse_u64(request->param, 1, INT64_MAX, &id);
    if (err == KEDGE_OK) {
        err = srv_store_crash_by_id(core->store, (int64_t)id, row);
    } else {
        err = KEDGE_ERR_NOT_FOUND;
    }
    if (err == KEDGE_ERR_NOT_FOUND) {
        srv_response_error(response, 404, "no crash %s: `kedge crash list` shows them",
                           request->param);
    } else if (err != KEDGE_OK) {
        answer_store(response, err);
    }
    return err == KEDGE_OK;
}

void srv_crash_handle_dump(void *app, const struct srv_request *request,
                           struct srv_response *response)
{
    struct srv_core *core = app;
    struct srv_crash_row row;
    if (!find_crash(core, request, &row, response)) {
        return;
    }
    if (!row.has_dump || row.completed_at == 0) {
        srv_response_error(response, 404, "the dump of this crash is %s: %s", dump_state(&row),
                           row.has_dump ? "the device goes on with it when it next polls"
                                        : "it made way for a newer one");
        return;
    }
    response->mapping = srv_crash_map(core, &row);
    if (response->mapping == NULL) {
        srv_response_error(response, 500, "the dump's file cannot be read: see kedged's log");
        return;
    }
    response->mapping_len = response->mapping->size;
    response->status = 200;
    srv_response_header(response, "Content-Type", "application/octet-stream");
    srv_response_header(response, "ETag", "\"%s\"", row.sha256);
}
