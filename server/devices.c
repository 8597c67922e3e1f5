/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"

#define FIRST_BUCKETS 256u

static struct srv_device **bucket_of(const struct srv_core *core, const char *id)
{
    return &core->buckets[fleet_rank(0, id) & (core->bucket_count - 1u)];
}

static void grow(struct srv_core *core)
{
    struct srv_device **old = core->buckets;
    uint32_t old_count = core->bucket_count;
    core->bucket_count = old_count > 0 ? old_count * 2u : FIRST_BUCKETS;
    core->buckets = host_calloc(core->bucket_count, sizeof *core->buckets);
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct srv_device *device = old[i];
            old[i] = device->next;
            struct srv_device **bucket = bucket_of(core, device->row.id);
            device->next = *bucket;
            *bucket = device;
        }
    }
    free(old);
}

static struct srv_device *append(struct srv_core *core, const struct srv_device_row *row)
{
    if (core->device_count >= core->bucket_count) {
        grow(core);
    }
    struct srv_device *device = host_calloc(1, sizeof *device);
    device->row = *row;
    memcpy(device->stored_version, row->version, sizeof device->stored_version);
    struct srv_device **bucket = bucket_of(core, row->id);
    device->next = *bucket;
    *bucket = device;
    core->device_count++;
    return device;
}

static void load_one(void *ctx, const struct srv_device_row *row)
{
    (void)append(ctx, row);
}

enum kedge_err srv_devices_load(struct srv_core *core)
{
    grow(core);
    return srv_store_device_each(core->store, load_one, core);
}

void srv_devices_free(struct srv_core *core)
{
    for (uint32_t i = 0; i < core->bucket_count; i++) {
        while (core->buckets[i] != NULL) {
            struct srv_device *device = core->buckets[i];
            core->buckets[i] = device->next;
            free(device);
        }
    }
    free(core->buckets);
}

struct srv_device *srv_device_find(const struct srv_core *core, const char *id)
{
    struct srv_device *device = *bucket_of(core, id);
    while (device != NULL && strcmp(device->row.id, id) != 0) {
        device = device->next;
    }
    return device;
}

void srv_devices_each(const struct srv_core *core, void (*each)(void *ctx, struct srv_device *),
                      void *ctx)
{
    for (uint32_t i = 0; i < core->bucket_count; i++) {
        for (struct srv_device *device = core->buckets[i]; device != NULL; device = device->next) {
            each(ctx, device);
        }
    }
}

static int compare_ids(const void *a, const void *b)
{
    const struct srv_device *const *left = a;
    const struct srv_device *const *right = b;
    return strcmp((*left)->row.id, (*right)->row.id);
}

struct srv_device **srv_devices_sorted(const struct srv_core *core)
{
    struct srv_device **all = host_calloc(core->device_count, sizeof *all);
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->bucket_count; i++) {
        for (struct srv_device *device = core->buckets[i]; device != NULL; device = device->next) {
            all[count++] = device;
        }
    }
    qsort(all, count, sizeof *all, compare_ids);
    return all;
}

static cJSON *add_detail(const struct srv_device_row *row)
{
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "chip", row->chip);
    (void)cJSON_AddStringToObject(detail, "cert_sha256", row->cert_sha256);
    return detail;
}

bool srv_device_add(struct srv_core *core, const struct srv_actor *actor,
                    const struct srv_device_row *row, struct srv_refusal *refusal)
{
    if (srv_device_find(core, row->id) != NULL) {
        return srv_refuse(refusal, 409, "device %s is registered already", row->id);
    }
    struct srv_device_row fresh = *row;
    fresh.created_at = srv_wall_ms(core);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_device_insert(core->store, &fresh);
    }
    err = srv_audit(core, err, actor, "device.add", fresh.id, add_detail(&fresh));
    err = srv_core_finish(core, err);
    if (err != KEDGE_OK) {
        return srv_refuse_store(refusal, err);
    }
    (void)append(core, &fresh);
    return true;
}

/* A revoked device will not come back: it must neither hold up a stage nor count as a failure. */
static struct srv_member_row withdrawn(const struct srv_core *core, const struct srv_member *member)
{
    struct srv_member_row row = member->row;
    row.state = FLEET_MEMBER_PENDING;
    row.changed_at = srv_wall_ms(core);
    (void)snprintf(row.cause, sizeof row.cause, "revoked");
    return row;
}

static enum kedge_err write_revoke(struct srv_core *core, const struct srv_actor *actor,
                                   struct srv_device *device, const struct srv_device_row *row)
{
    enum kedge_err err = srv_store_device_update(core->store, row);
    for (struct srv_member *member = device->members; member != NULL && err == KEDGE_OK;
         member = member->older) {
        if (srv_member_in_flight(member)) {
            struct srv_member_row gone = withdrawn(core, member);
            err = srv_store_member_put(core->store, &gone);
        }
    }
    return srv_audit(core, err, actor, "device.revoke", row->id, NULL);
}

bool srv_device_revoke(struct srv_core *core, const struct srv_actor *actor,
                       struct srv_device *device, struct srv_refusal *refusal)
{
    if (device->row.revoked_at != 0) {
        return true; /* as asked */
    }
    struct srv_device_row row = device->row;
    row.revoked_at = srv_wall_ms(core);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = write_revoke(core, actor, device, &row);
    }
    err = srv_core_finish(core, err);
    if (err != KEDGE_OK) {
        return srv_refuse_store(refusal, err);
    }
    device->row = row;
    for (struct srv_member *member = device->members; member != NULL; member = member->older) {
        if (srv_member_in_flight(member)) {
            struct srv_member_row gone = withdrawn(core, member);
            srv_member_apply(member, &gone);
        }
    }
    return true;
}

static enum kedge_err audit_version(struct srv_core *core, const struct srv_device *device)
{
    struct srv_actor actor = {.name = device->row.id, .address = ""};
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "from", device->stored_version);
    (void)cJSON_AddStringToObject(detail, "to", device->row.version);
    (void)cJSON_AddBoolToObject(detail, "known", device->version_known);
    if (device->has_offer) {
        (void)cJSON_AddStringToObject(detail, "answer", fleet_offer_text(device->offer));
    }
    return srv_audit(core, KEDGE_OK, &actor, "device.version", device->row.id, detail);
}

struct write_state {
    struct srv_core *core;
    enum kedge_err err;
};

static void write_one(void *ctx, struct srv_device *device)
{
    struct write_state *state = ctx;
    if (!device->dirty || state->err != KEDGE_OK) {
        return;
    }
    state->err = srv_store_device_update(state->core->store, &device->row);
    if (state->err == KEDGE_OK && strcmp(device->stored_version, device->row.version) != 0) {
        state->err = audit_version(state->core, device);
    }
}

static void written_one(void *ctx, struct srv_device *device)
{
    (void)ctx;
    device->dirty = false;
    memcpy(device->stored_version, device->row.version, sizeof device->stored_version);
}

enum kedge_err srv_devices_write(struct srv_core *core)
{
    struct write_state state = {.core = core};
    srv_devices_each(core, write_one, &state);
    return state.err;
}

void srv_devices_written(struct srv_core *core)
{
    srv_devices_each(core, written_one, NULL);
}
