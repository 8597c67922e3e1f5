/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <string.h>

#ifndef KEDGE_VERSION
#define KEDGE_VERSION "0"
#endif

void srv_json_int(cJSON *object, const char *name, int64_t value)
{
    /* A double holds 53 bits: enough for any time or count here; a digest is text. */
    (void)cJSON_AddNumberToObject(object, name, (double)value);
}

static void add_time(cJSON *object, const char *name, int64_t value)
{
    if (value != 0) {
        srv_json_int(object, name, value);
    } else {
        (void)cJSON_AddNullToObject(object, name);
    }
}

void srv_json_answer(struct srv_response *response, unsigned status, cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL) {
        srv_response_error(response, 500, "out of memory");
        return;
    }
    response->status = status;
    host_buf_append(&response->body, text, strlen(text));
    host_buf_append(&response->body, "\n", 1);
    cJSON_free(text);
    srv_response_header(response, "Content-Type", "application/json");
}

cJSON *srv_json_release(const struct srv_release *release)
{
    const struct srv_release_row *row = &release->row;
    cJSON *json = cJSON_CreateObject();
    srv_json_int(json, "id", row->id);
    (void)cJSON_AddStringToObject(json, "version", row->version);
    (void)cJSON_AddStringToObject(json, "chip", row->chip);
    (void)cJSON_AddStringToObject(json, "project", row->project);
    (void)cJSON_AddStringToObject(json, "sha256", row->sha256);
    srv_json_int(json, "size", row->size);
    srv_json_int(json, "secure_version", row->secure_version);
    (void)cJSON_AddStringToObject(json, "elf_sha256", row->elf_sha256);
    (void)cJSON_AddStringToObject(json, "notes", row->notes);
    add_time(json, "created_at", row->created_at);
    (void)cJSON_AddStringToObject(json, "created_by", row->created_by);
    return json;
}

static void add_values(cJSON *json, const struct srv_telemetry_values *values)
{
    srv_json_int(json, "uptime_s", values->uptime_s);
    srv_json_int(json, "free_heap", values->free_heap_bytes);
    srv_json_int(json, "min_free_heap", values->min_free_heap_bytes);
    srv_json_int(json, "largest_block", values->largest_block_bytes);
    srv_json_int(json, "rssi", values->rssi_dbm);
    (void)cJSON_AddStringToObject(json, "reset_reason", kedge_reset_text(values->reset_reason));
    if (values->has_temperature) {
        (void)cJSON_AddNumberToObject(json, "temperature_c", values->temperature_mc / 1000.0);
    }
    srv_json_int(json, "boot_count", values->boot_count);
}

cJSON *srv_json_telemetry(const struct srv_telemetry_row *row)
{
    cJSON *json = cJSON_CreateObject();
    srv_json_int(json, "ts", row->ts);
    srv_json_int(json, "boot_id", row->boot_id);
    srv_json_int(json, "seq", row->seq);
    (void)cJSON_AddStringToObject(json, "firmware", row->firmware);
    add_values(json, &row->values);
    return json;
}

static cJSON *member_json(const struct srv_member *member)
{
    const struct srv_member_row *row = &member->row;
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(json, "device", row->device_id);
    srv_json_int(json, "rollout", row->rollout_id);
    srv_json_int(json, "position", row->position);
    srv_json_int(json, "stage", row->stage);
    (void)cJSON_AddStringToObject(json, "state", fleet_member_state_text(row->state));
    (void)cJSON_AddStringToObject(json, "cause", row->cause);
    (void)cJSON_AddStringToObject(json, "version", member->device->row.version);
    srv_json_int(json, "attempt", row->attempt);
    srv_json_int(json, "downloads", row->downloads);
    srv_json_int(json, "bytes_sent", (int64_t)row->bytes_sent);
    add_time(json, "offered_at", row->offered_at);
    add_time(json, "heard_at", row->heard_at);
    add_time(json, "changed_at", row->changed_at);
    (void)cJSON_AddBoolToObject(json, "acknowledged", row->acknowledged);
    (void)cJSON_AddStringToObject(json, "held",
                                  member->held ? fleet_offer_text(member->held_for) : "");
    return json;
}

/* One word for where a device stands. */
static const char *device_state(const struct srv_device *device)
{
    if (device->row.revoked_at != 0) {
        return "revoked";
    }
    if (device->row.first_seen == 0) {
        return "never_seen";
    }
    if (device->members != NULL && srv_member_in_flight(device->members)) {
        return "updating";
    }
    return device->has_offer ? fleet_offer_text(device->offer) : "idle";
}

cJSON *srv_json_device(const struct srv_device *device, bool with_rollouts)
{
    const struct srv_device_row *row = &device->row;
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(json, "id", row->id);
    (void)cJSON_AddStringToObject(json, "state", device_state(device));
    (void)cJSON_AddStringToObject(json, "chip", row->chip);
    (void)cJSON_AddStringToObject(json, "version", row->version);
    add_time(json, "version_since", row->version_since);
    (void)cJSON_AddStringToObject(json, "elf_sha256", row->elf_sha256);
    (void)cJSON_AddStringToObject(json, "cert_sha256", row->cert_sha256);
    add_time(json, "created_at", row->created_at);
    add_time(json, "revoked_at", row->revoked_at);
    add_time(json, "first_seen", row->first_seen);
    add_time(json, "last_seen", row->last_seen);
    srv_json_int(json, "slot_size", row->slot_size);
    srv_json_int(json, "secure_version", row->secure_version);
    (void)cJSON_AddStringToObject(json, "boot_caps", row->boot_caps);
    (void)cJSON_AddStringToObject(json, "link", row->link);
    add_time(json, "link_since", row->link_since);
    if (row->telemetry_at != 0) {
        cJSON *telemetry = cJSON_AddObjectToObject(json, "telemetry");
        add_time(telemetry, "ts", row->telemetry_at);
        add_values(telemetry, &row->telemetry);
    } else {
        (void)cJSON_AddNullToObject(json, "telemetry");
    }
    if (with_rollouts) {
        cJSON *rollouts = cJSON_AddArrayToObject(json, "rollouts");
        for (const struct srv_member *member = device->members; member != NULL;
             member = member->older) {
            (void)cJSON_AddItemToArray(rollouts, member_json(member));
        }
    }
    return json;
}

static void add_counts(cJSON *json, const uint32_t *counts)
{
    for (int state = 0; state < FLEET_MEMBER_STATE_COUNT; state++) {
        srv_json_int(json, fleet_member_state_text((enum fleet_member_state)state), counts[state]);
    }
}

static void add_stages(cJSON *json, const struct srv_rollout *rollout)
{
    cJSON *stages = cJSON_AddArrayToObject(json, "stages");
    uint32_t total[FLEET_MEMBER_STATE_COUNT] = {0};
    for (uint32_t stage = 0; stage < rollout->row.plan.stage_count; stage++) {
        cJSON *item = cJSON_CreateObject();
        uint32_t members = 0;
        for (int state = 0; state < FLEET_MEMBER_STATE_COUNT; state++) {
            total[state] += rollout->counts[stage][state];
            members += rollout->counts[stage][state];
        }
        srv_json_int(item, "percent", rollout->row.plan.percent[stage]);
        srv_json_int(item, "members", members);
        add_counts(item, rollout->counts[stage]);
        (void)cJSON_AddItemToArray(stages, item);
    }
    cJSON *counts = cJSON_AddObjectToObject(json, "counts");
    srv_json_int(counts, "members", rollout->member_count);
    add_counts(counts, total);
}

/* exposed: devices that were ever told to take this image; held: that cannot be offered it. */
static void add_sums(cJSON *json, const struct srv_rollout *rollout)
{
    uint32_t exposed = 0;
    uint32_t held = 0;
    uint64_t downloads = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rollout->member_count; i++) {
        const struct srv_member_row *row = &rollout->members[i]->row;
        exposed += row->offered_at != 0;
        held += rollout->members[i]->held;
        downloads += row->downloads;
        bytes += row->bytes_sent;
    }
    srv_json_int(json, "exposed", exposed);
    srv_json_int(json, "held", held);
    srv_json_int(json, "downloads", (int64_t)downloads);
    srv_json_int(json, "bytes_sent", (int64_t)bytes);
}

static void add_plan(cJSON *json, const struct fleet_plan *plan)
{
    cJSON *object = cJSON_AddObjectToObject(json, "plan");
    srv_json_int(object, "max_failures", plan->max_failures);
    srv_json_int(object, "pace", plan->pace);
    srv_json_int(object, "soak_ms", (int64_t)plan->soak_ms);
    srv_json_int(object, "silence_ms", (int64_t)plan->silence_ms);
}

cJSON *srv_json_rollout(const struct srv_rollout *rollout, bool with_members)
{
    const struct srv_rollout_row *row = &rollout->row;
    cJSON *json = cJSON_CreateObject();
    srv_json_int(json, "id", row->id);
    (void)cJSON_AddStringToObject(json, "version", rollout->release->row.version);
    (void)cJSON_AddStringToObject(json, "chip", rollout->release->row.chip);
    (void)cJSON_AddStringToObject(json, "sha256", rollout->release->row.sha256);
    (void)cJSON_AddStringToObject(json, "state", fleet_rollout_state_text(row->state));
    srv_json_int(json, "stage", row->stage);
    add_plan(json, &row->plan);
    (void)cJSON_AddBoolToObject(json, "force", row->force);
    (void)cJSON_AddBoolToObject(json, "allow_no_rollback", row->allow_no_rollback);
    add_stages(json, rollout);
    srv_json_int(json, "failures", rollout->failures);
    add_sums(json, rollout);
    cJSON *halt = row->halt_reason[0] != '\0' ? cJSON_Parse(row->halt_reason) : NULL;
    (void)cJSON_AddItemToObject(json, "halt", halt != NULL ? halt : cJSON_CreateNull());
    (void)cJSON_AddStringToObject(json, "created_by", row->created_by);
    add_time(json, "created_at", row->created_at);
    add_time(json, "progress_at", row->progress_at);
    add_time(json, "halted_at", row->halted_at);
    add_time(json, "ended_at", row->ended_at);
    if (with_members) {
        cJSON *members = cJSON_AddArrayToObject(json, "members");
        for (uint32_t i = 0; i < rollout->member_count; i++) {
            (void)cJSON_AddItemToArray(members, member_json(rollout->members[i]));
        }
    }
    return json;
}

static void add_warning(cJSON *warnings, const char *what, uint32_t devices, const char *text)
{
    if (devices > 0) {
        cJSON *warning = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(warning, "what", what);
        srv_json_int(warning, "devices", devices);
        (void)cJSON_AddStringToObject(warning, "text", text);
        (void)cJSON_AddItemToArray(warnings, warning);
    }
}

/* From what the devices said in their last polls, whenever that was. */
cJSON *srv_json_warnings(const struct srv_rollout *rollout)
{
    const struct srv_release_row *release = &rollout->release->row;
    cJSON *warnings = cJSON_CreateArray();
    uint32_t below = 0;
    uint32_t without = 0;
    uint32_t floor = 0;
    char text[256];
    for (uint32_t i = 0; i < rollout->member_count; i++) {
        const struct srv_device *device = rollout->members[i]->device;
        uint32_t secure_version = device->row.secure_version;
        floor = secure_version > floor ? secure_version : floor;
        below += secure_version > release->secure_version;
        without += srv_device_lacks_rollback(device);
    }
    (void)snprintf(text, sizeof text,
                   "%u of %u devices cannot take %s: its secure version %u is below their "
                   "anti-rollback floor (the highest is %u)",
                   below, rollout->member_count, release->version, release->secure_version, floor);
    add_warning(warnings, "secure_version", below, text);
    (void)snprintf(text, sizeof text,
                   rollout->row.allow_no_rollback
                       ? "%u of %u devices cannot roll back: a bad image stays on them"
                       : "%u of %u devices cannot roll back and are kept out",
                   without, rollout->member_count);
    add_warning(warnings, "no_rollback", without, text);
    return warnings;
}

static void bump(cJSON *object, const char *name)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item != NULL) {
        (void)cJSON_SetNumberValue(item, item->valuedouble + 1);
    } else {
        (void)cJSON_AddNumberToObject(object, name, 1);
    }
}

struct tally {
    cJSON *by_version, *by_state;
};

static void tally_device(void *ctx, struct srv_device *device)
{
    struct tally *tally = ctx;
    bump(tally->by_state, device_state(device));
    if (device->row.revoked_at == 0 && device->row.version[0] != '\0') {
        bump(tally->by_version, device->row.version);
    }
}

static void add_ingest(cJSON *json, const struct srv_core *core)
{
    struct srv_ingest_stats stats = {0};
    if (core->ingest != NULL) {
        srv_ingest_stats(core->ingest, &stats);
    }
    cJSON *ingest = cJSON_AddObjectToObject(json, "ingest");
    (void)cJSON_AddBoolToObject(ingest, "configured", core->ingest != NULL);
    (void)cJSON_AddBoolToObject(ingest, "connected", core->ingest_up);
    srv_json_int(ingest, "received", (int64_t)stats.received);
    srv_json_int(ingest, "acknowledged", (int64_t)stats.acknowledged);
    srv_json_int(ingest, "batches", (int64_t)stats.batches);
    srv_json_int(ingest, "reconnects", (int64_t)stats.reconnects);
    srv_json_int(ingest, "stored", (int64_t)core->counters.telemetry);
    srv_json_int(ingest, "malformed", (int64_t)core->counters.malformed);
    srv_json_int(ingest, "foreign", (int64_t)core->counters.foreign);
    srv_json_int(ingest, "duplicates", (int64_t)core->counters.duplicates);
}

cJSON *srv_json_status(const struct srv_core *core)
{
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(json, "server_version", KEDGE_VERSION);
    srv_json_int(json, "uptime_s", (int64_t)((srv_guard_ms(core) - core->opened_ms) / 1000u));
    cJSON *devices = cJSON_AddObjectToObject(json, "devices");
    srv_json_int(devices, "total", core->device_count);
    struct tally tally = {.by_version = cJSON_AddObjectToObject(devices, "by_version"),
                          .by_state = cJSON_AddObjectToObject(devices, "by_state")};
    srv_devices_each(core, tally_device, &tally);
    srv_json_int(json, "releases", core->release_count);
    cJSON *rollouts = cJSON_AddArrayToObject(json, "rollouts");
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        enum fleet_rollout_state state = core->rollouts[i]->row.state;
        if (state != FLEET_ROLLOUT_COMPLETE && state != FLEET_ROLLOUT_ABORTED) {
            (void)cJSON_AddItemToArray(rollouts, srv_json_rollout(core->rollouts[i], false));
        }
    }
    srv_json_int(json, "polls", (int64_t)core->counters.polls);
    srv_json_int(json, "offers", (int64_t)core->counters.offers);
    srv_json_int(json, "reports", (int64_t)core->counters.reports);
    srv_json_int(json, "refusals", (int64_t)core->counters.refusals);
    srv_json_int(json, "bytes_sent", (int64_t)core->counters.bytes_sent);
    srv_json_int(json, "crashes", (int64_t)core->counters.crashes);
    srv_json_int(json, "crash_mismatches", (int64_t)core->counters.crash_mismatches);
    add_ingest(json, core);
    return json;
}
