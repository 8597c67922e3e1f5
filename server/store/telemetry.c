/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

#include <string.h>

void srv_sql_bind_values(struct srv_sql *sql, const struct srv_telemetry_values *values)
{
    srv_sql_int(sql, values->uptime_s);
    srv_sql_int(sql, values->free_heap_bytes);
    srv_sql_int(sql, values->min_free_heap_bytes);
    srv_sql_int(sql, values->largest_block_bytes);
    srv_sql_int(sql, values->rssi_dbm);
    srv_sql_text(sql, kedge_reset_text(values->reset_reason));
    if (values->has_temperature) {
        srv_sql_int(sql, values->temperature_mc);
    } else {
        srv_sql_null(sql);
    }
    srv_sql_int(sql, values->boot_count);
}

enum kedge_reset srv_sql_read_reset(struct srv_sql *sql)
{
    const char *text = srv_sql_borrow_text(sql);
    static const struct {
        const char *text;
        enum kedge_reset reason;
    } reasons[] = {
#define X(name, value, label) {label, KEDGE_RESET_##name},
        KEDGE_RESET_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (strcmp(reasons[i].text, text) == 0) {
            return reasons[i].reason;
        }
    }
    return KEDGE_RESET_UNKNOWN;
}

void srv_sql_read_values(struct srv_sql *sql, struct srv_telemetry_values *values)
{
    values->uptime_s = srv_sql_read_u32(sql);
    values->free_heap_bytes = srv_sql_read_u32(sql);
    values->min_free_heap_bytes = srv_sql_read_u32(sql);
    values->largest_block_bytes = srv_sql_read_u32(sql);
    values->rssi_dbm = (int32_t)srv_sql_read_int(sql);
    values->reset_reason = srv_sql_read_reset(sql);
    values->has_temperature = !srv_sql_next_is_null(sql);
    values->temperature_mc = (int32_t)srv_sql_read_int(sql);
    values->boot_count = srv_sql_read_u32(sql);
}

enum kedge_err srv_store_telemetry_insert(struct srv_store *store,
                                          const struct srv_telemetry_row *row, bool *is_duplicate)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_TELEMETRY_INSERT,
        "INSERT OR IGNORE INTO telemetry (device_id, ts, boot_id, seq, firmware, uptime_s,"
        " free_heap, min_free_heap, largest_block, rssi, reset_reason, temperature_mc, boot_count)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
    srv_sql_text(&sql, row->device_id);
    srv_sql_int(&sql, row->ts);
    srv_sql_int(&sql, row->boot_id);
    srv_sql_int(&sql, row->seq);
    srv_sql_text(&sql, row->firmware);
    srv_sql_bind_values(&sql, &row->values);
    enum kedge_err err = srv_sql_run(&sql);
    if (err == KEDGE_OK) {
        *is_duplicate = sqlite3_changes(store->db) == 0;
    }
    return err;
}

enum kedge_err
srv_store_telemetry_each(struct srv_store *store, const char *device_id, uint32_t limit,
                         void (*each)(void *ctx, const struct srv_telemetry_row *row), void *ctx)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_TELEMETRY_EACH,
        "SELECT device_id, ts, boot_id, seq, firmware, uptime_s, free_heap, min_free_heap,"
        " largest_block, rssi, reset_reason, temperature_mc, boot_count FROM telemetry"
        " WHERE device_id = ?1 ORDER BY ts DESC, boot_id DESC, seq DESC LIMIT ?2");
    srv_sql_text(&sql, device_id);
    srv_sql_int(&sql, limit);
    while (srv_sql_row(&sql)) {
        struct srv_telemetry_row row = {0};
        srv_sql_read_text(&sql, row.device_id, sizeof row.device_id);
        row.ts = srv_sql_read_int(&sql);
        row.boot_id = srv_sql_read_u32(&sql);
        row.seq = srv_sql_read_u32(&sql);
        srv_sql_read_text(&sql, row.firmware, sizeof row.firmware);
        srv_sql_read_values(&sql, &row.values);
        if (sql.err == KEDGE_OK) {
            each(ctx, &row);
        }
    }
    return srv_sql_end(&sql);
}

enum kedge_err srv_store_telemetry_prune(struct srv_store *store, const char *device_id,
                                         int64_t before)
{
    struct srv_sql sql = srv_sql_begin(store, SRV_TELEMETRY_PRUNE,
                                       "DELETE FROM telemetry WHERE device_id = ?1 AND ts < ?2");
    srv_sql_text(&sql, device_id);
    srv_sql_int(&sql, before);
    return srv_sql_run(&sql);
}
