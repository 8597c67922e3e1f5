/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ingest's sink. Messages wait in RAM and are written in one transaction by commit: a
 * transaction left open between two callbacks would catch the writes of other handlers. */

#define BATCH_MAX        65536u
#define TS_MAX_AHEAD_MS  300000       /* a device's clock may run ahead so much, */
#define TS_MAX_BEHIND_MS 2592000000ll /* and a message may have waited so long (30 days) */

enum topic_kind {
    TOPIC_NONE,
    TOPIC_TELEMETRY,
    TOPIC_STATUS
};

/* "devices/<id>/telemetry" or "…/status"; id into out. */
static enum topic_kind parse_topic(const char *topic, char *id)
{
    static const char prefix[] = "devices/";
    if (strncmp(topic, prefix, sizeof prefix - 1u) != 0) {
        return TOPIC_NONE;
    }
    topic += sizeof prefix - 1u;
    size_t len = strcspn(topic, "/");
    if (!kedge_device_id_ok(topic, len)) {
        return TOPIC_NONE;
    }
    memcpy(id, topic, len);
    id[len] = '\0';
    if (strcmp(topic + len, "/telemetry") == 0) {
        return TOPIC_TELEMETRY;
    }
    return strcmp(topic + len, "/status") == 0 ? TOPIC_STATUS : TOPIC_NONE;
}

static bool is_text(struct kedge_cspan payload, const char *text)
{
    return payload.len == strlen(text) && memcmp(payload.data, text, payload.len) == 0;
}

static void take_status(struct srv_core *core, struct srv_device *device,
                        struct kedge_cspan payload)
{
    bool online = is_text(payload, "online");
    if (!online && !is_text(payload, "offline")) {
        core->counters.malformed++;
        return;
    }
    const char *link = online ? "online" : "offline";
    if (strcmp(device->row.link, link) != 0) {
        (void)snprintf(device->row.link, sizeof device->row.link, "%s", link);
        device->row.link_since = srv_wall_ms(core);
        device->dirty = true;
    }
}

/* A queued message keeps its time; a device without a clock, or with a wrong one, gets ours. */
static int64_t message_time(const struct srv_core *core, const struct kedge_telemetry *telemetry)
{
    int64_t now = srv_wall_ms(core);
    int64_t ts =
        telemetry->ts_s > 0 && telemetry->ts_s < INT64_MAX / 1000 ? telemetry->ts_s * 1000 : 0;
    return ts > now - TS_MAX_BEHIND_MS && ts < now + TS_MAX_AHEAD_MS ? ts : now;
}

static struct srv_telemetry_row to_row(const struct srv_core *core,
                                       const struct kedge_telemetry *telemetry)
{
    struct srv_telemetry_row row = {
        .ts = message_time(core, telemetry),
        .boot_id = telemetry->boot_id,
        .seq = telemetry->seq,
        .values = {.uptime_s = telemetry->uptime_s,
                   .free_heap_bytes = telemetry->free_heap_bytes,
                   .min_free_heap_bytes = telemetry->min_free_heap_bytes,
                   .largest_block_bytes = telemetry->largest_block_bytes,
                   .rssi_dbm = telemetry->rssi_dbm,
                   .reset_reason = telemetry->reset_reason,
                   .has_temperature = telemetry->has_temperature,
                   .temperature_mc = telemetry->temperature_mc,
                   .boot_count = telemetry->boot_count},
    };
    memcpy(row.device_id, telemetry->device_id, sizeof row.device_id);
    memcpy(row.firmware, telemetry->firmware, sizeof row.firmware);
    return row;
}

static enum kedge_err append(struct srv_core *core, const struct srv_telemetry_row *row)
{
    if (core->batch_len == core->batch_capacity) {
        if (core->batch_capacity >= BATCH_MAX) {
            return KEDGE_ERR_NO_SPACE; /* the ingest asked for no commit: let it come again */
        }
        core->batch_capacity = core->batch_capacity > 0 ? core->batch_capacity * 2u : 256u;
        core->batch = host_realloc(core->batch, core->batch_capacity * sizeof *core->batch);
    }
    core->batch[core->batch_len++] = *row;
    return KEDGE_OK;
}

static enum kedge_err take_telemetry(struct srv_core *core, const struct srv_device *device,
                                     struct kedge_cspan payload)
{
    struct kedge_telemetry telemetry;
    struct kedge_fault fault;
    if (payload.len > KEDGE_MESSAGE_MAX ||
        kedge_telemetry_parse(payload, &telemetry, &fault) != KEDGE_OK) {
        core->counters.malformed++;
        return KEDGE_OK;
    }
    if (strcmp(telemetry.device_id, device->row.id) != 0) {
        core->counters.foreign++;
        return KEDGE_OK;
    }
    struct srv_telemetry_row row = to_row(core, &telemetry);
    return append(core, &row);
}

static enum kedge_err sink_accept(void *ctx, const char *topic, struct kedge_cspan payload,
                                  bool duplicate)
{
    struct srv_core *core = ctx;
    char id[KEDGE_DEVICE_ID_SIZE];
    (void)duplicate; /* the broker's DUP flag is a hint; (device, boot, seq) decides */
    enum topic_kind kind = parse_topic(topic, id);
    struct srv_device *device = kind != TOPIC_NONE ? srv_device_find(core, id) : NULL;
    if (device == NULL || device->row.revoked_at != 0) {
        core->counters.foreign++;
        return KEDGE_OK;
    }
    if (kind == TOPIC_STATUS) {
        take_status(core, device, payload);
        return KEDGE_OK;
    }
    return take_telemetry(core, device, payload);
}

static enum kedge_err write_batch(struct srv_core *core, size_t *stored)
{
    for (size_t i = 0; i < core->batch_len; i++) {
        bool is_duplicate = false;
        enum kedge_err err =
            srv_store_telemetry_insert(core->store, &core->batch[i], &is_duplicate);
        if (err != KEDGE_OK) {
            return err;
        }
        *stored += !is_duplicate;
    }
    return KEDGE_OK;
}

static void show_last(struct srv_core *core, const struct srv_telemetry_row *row)
{
    struct srv_device *device = srv_device_find(core, row->device_id);
    if (device != NULL && row->ts >= device->row.telemetry_at) {
        device->row.telemetry_at = row->ts;
        device->row.telemetry = row->values;
        device->dirty = true;
    }
}

static enum kedge_err sink_commit(void *ctx)
{
    struct srv_core *core = ctx;
    size_t stored = 0;
    if (core->batch_len == 0) {
        return KEDGE_OK;
    }
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = write_batch(core, &stored);
    }
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK) {
        core->counters.telemetry += stored;
        core->counters.duplicates += core->batch_len - stored;
        for (size_t i = 0; i < core->batch_len; i++) {
            show_last(core, &core->batch[i]);
        }
    }
    core->batch_len = 0; /* not acknowledged, so the broker sends it again */
    return err;
}

static void sink_link(void *ctx, bool up)
{
    struct srv_core *core = ctx;
    core->ingest_up = up;
    if (!up) {
        core->batch_len = 0; /* unacknowledged: comes again with the next session */
    }
}

const struct srv_ingest_sink srv_core_sink = {
    .accept = sink_accept, .commit = sink_commit, .link = sink_link};

void srv_telemetry_prune(struct srv_core *core)
{
    int64_t before = srv_wall_ms(core) - (int64_t)core->config->telemetry_keep_ms;
    uint32_t done = 0;
    enum kedge_err err = srv_store_begin(core->store);
    for (uint32_t i = 0; i < core->bucket_count && done < SRV_PRUNE_BATCH && err == KEDGE_OK; i++) {
        core->prune_bucket = (core->prune_bucket + 1u) & (core->bucket_count - 1u);
        const struct srv_device *device = core->buckets[core->prune_bucket];
        for (; device != NULL && err == KEDGE_OK; device = device->next) {
            err = srv_store_telemetry_prune(core->store, device->row.id, before);
            done++;
        }
    }
    (void)!srv_core_finish(core, err); /* logged by the store; the next round tries again */
}
