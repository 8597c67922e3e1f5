/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

/* Columns that change, in the order of the table. */
static void bind_mutable(struct srv_sql *sql, const struct srv_device_row *row)
{
    srv_sql_text(sql, row->chip);
    srv_sql_text(sql, row->cert_sha256);
    srv_sql_int(sql, row->revoked_at);
    srv_sql_int(sql, row->first_seen);
    srv_sql_int(sql, row->last_seen);
    srv_sql_text(sql, row->version);
    srv_sql_text(sql, row->elf_sha256);
    srv_sql_int(sql, row->version_since);
    srv_sql_int(sql, row->slot_size);
    srv_sql_int(sql, row->secure_version);
    srv_sql_text(sql, row->boot_caps);
    srv_sql_text(sql, row->link);
    srv_sql_int(sql, row->link_since);
    srv_sql_int(sql, row->telemetry_at);
    srv_sql_bind_values(sql, &row->telemetry);
}

enum kedge_err srv_store_device_insert(struct srv_store *store, const struct srv_device_row *row)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_DEVICE_INSERT,
        "INSERT INTO devices (id, created_at, chip, cert_sha256, revoked_at, first_seen, last_seen,"
        " version, elf_sha256, version_since, slot_size, secure_version, boot_caps, link,"
        " link_since, telemetry_at, uptime_s, free_heap, min_free_heap, largest_block, rssi,"
        " reset_reason, temperature_mc, boot_count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
        " ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)");
    srv_sql_text(&sql, row->id);
    srv_sql_int(&sql, row->created_at);
    bind_mutable(&sql, row);
    return srv_sql_run(&sql);
}

enum kedge_err srv_store_device_update(struct srv_store *store, const struct srv_device_row *row)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_DEVICE_UPDATE,
        "UPDATE devices SET chip = ?1, cert_sha256 = ?2, revoked_at = ?3, first_seen = ?4,"
        " last_seen = ?5, version = ?6, elf_sha256 = ?7, version_since = ?8, slot_size = ?9,"
        " secure_version = ?10, boot_caps = ?11, link = ?12, link_since = ?13, telemetry_at = ?14,"
        " uptime_s = ?15, free_heap = ?16, min_free_heap = ?17, largest_block = ?18, rssi = ?19,"
        " reset_reason = ?20, temperature_mc = ?21, boot_count = ?22 WHERE id = ?23");
    bind_mutable(&sql, row);
    srv_sql_text(&sql, row->id);
    enum kedge_err err = srv_sql_run(&sql);
    if (err == KEDGE_OK && sqlite3_changes(store->db) == 0) {
        return KEDGE_ERR_NOT_FOUND;
    }
    return err;
}

static void read_row(struct srv_sql *sql, struct srv_device_row *row)
{
    srv_sql_read_text(sql, row->id, sizeof row->id);
    row->created_at = srv_sql_read_int(sql);
    srv_sql_read_text(sql, row->chip, sizeof row->chip);
    srv_sql_read_text(sql, row->cert_sha256, sizeof row->cert_sha256);
    row->revoked_at = srv_sql_read_int(sql);
    row->first_seen = srv_sql_read_int(sql);
    row->last_seen = srv_sql_read_int(sql);
    srv_sql_read_text(sql, row->version, sizeof row->version);
    srv_sql_read_text(sql, row->elf_sha256, sizeof row->elf_sha256);
    row->version_since = srv_sql_read_int(sql);
    row->slot_size = srv_sql_read_u32(sql);
    row->secure_version = srv_sql_read_u32(sql);
    srv_sql_read_text(sql, row->boot_caps, sizeof row->boot_caps);
    srv_sql_read_text(sql, row->link, sizeof row->link);
    row->link_since = srv_sql_read_int(sql);
    row->telemetry_at = srv_sql_read_int(sql);
    srv_sql_read_values(sql, &row->telemetry);
}

enum kedge_err srv_store_device_each(struct srv_store *store,
                                     void (*each)(void *ctx, const struct srv_device_row *row),
                                     void *ctx)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_DEVICE_EACH,
        "SELECT id, created_at, chip, cert_sha256, revoked_at, first_seen, last_seen, version,"
        " elf_sha256, version_since, slot_size, secure_version, boot_caps, link, link_since,"
        " telemetry_at, uptime_s, free_heap, min_free_heap, largest_block, rssi, reset_reason,"
        " temperature_mc, boot_count FROM devices ORDER BY id");
    while (srv_sql_row(&sql)) {
        struct srv_device_row row = {0};
        read_row(&sql, &row);
        if (sql.err == KEDGE_OK) {
            each(ctx, &row);
        }
    }
    return srv_sql_end(&sql);
}
