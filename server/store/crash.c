/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

#define COLUMNS                                                                                    \
    "id, device_id, sha256, size, received_at, completed_at, has_dump, version, is_matched,"       \
    " reporter, reset_reason, task, pc, elf_sha256, backtrace"

enum kedge_err srv_store_crash_insert(struct srv_store *store, const struct srv_crash_row *row,
                                      int64_t *id)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_CRASH_INSERT,
        "INSERT INTO crashes (device_id, sha256, size, received_at, completed_at, has_dump,"
        " version, is_matched, reporter, reset_reason, task, pc, elf_sha256, backtrace)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)");
    srv_sql_text(&sql, row->device_id);
    srv_sql_text(&sql, row->sha256);
    srv_sql_int(&sql, row->size);
    srv_sql_int(&sql, row->received_at);
    srv_sql_int(&sql, row->completed_at);
    srv_sql_int(&sql, row->has_dump);
    srv_sql_text(&sql, row->version);
    srv_sql_int(&sql, row->is_matched);
    srv_sql_text(&sql, row->reporter);
    srv_sql_text(&sql, kedge_reset_text(row->reset_reason));
    srv_sql_text(&sql, row->task);
    srv_sql_int(&sql, row->pc);
    srv_sql_text(&sql, row->elf_sha256);
    srv_sql_text(&sql, row->backtrace);
    enum kedge_err err = srv_sql_run(&sql);
    if (err == KEDGE_OK) {
        *id = sqlite3_last_insert_rowid(store->db);
    }
    return err;
}

enum kedge_err srv_store_crash_update(struct srv_store *store, const struct srv_crash_row *row)
{
    struct srv_sql sql =
        srv_sql_begin(store, SRV_CRASH_UPDATE,
                      "UPDATE crashes SET completed_at = ?1, has_dump = ?2 WHERE id = ?3");
    srv_sql_int(&sql, row->completed_at);
    srv_sql_int(&sql, row->has_dump);
    srv_sql_int(&sql, row->id);
    enum kedge_err err = srv_sql_run(&sql);
    return err == KEDGE_OK && sqlite3_changes(store->db) == 0 ? KEDGE_ERR_NOT_FOUND : err;
}

enum kedge_err srv_store_crash_delete(struct srv_store *store, int64_t id)
{
    struct srv_sql sql =
        srv_sql_begin(store, SRV_CRASH_DELETE, "DELETE FROM crashes WHERE id = ?1");
    srv_sql_int(&sql, id);
    return srv_sql_run(&sql);
}

static void read_row(struct srv_sql *sql, struct srv_crash_row *row)
{
    row->id = srv_sql_read_int(sql);
    srv_sql_read_text(sql, row->device_id, sizeof row->device_id);
    srv_sql_read_text(sql, row->sha256, sizeof row->sha256);
    row->size = srv_sql_read_u32(sql);
    row->received_at = srv_sql_read_int(sql);
    row->completed_at = srv_sql_read_int(sql);
    row->has_dump = srv_sql_read_int(sql) != 0;
    srv_sql_read_text(sql, row->version, sizeof row->version);
    row->is_matched = srv_sql_read_int(sql) != 0;
    srv_sql_read_text(sql, row->reporter, sizeof row->reporter);
    row->reset_reason = srv_sql_read_reset(sql);
    srv_sql_read_text(sql, row->task, sizeof row->task);
    row->pc = srv_sql_read_u32(sql);
    srv_sql_read_text(sql, row->elf_sha256, sizeof row->elf_sha256);
    srv_sql_read_text(sql, row->backtrace, sizeof row->backtrace);
}

static enum kedge_err read_one(struct srv_sql *sql, struct srv_crash_row *out)
{
    struct srv_crash_row row = {0};
    bool found = srv_sql_row(sql);
    if (found) {
        read_row(sql, &row);
    }
    enum kedge_err err = srv_sql_end(sql);
    if (err == KEDGE_OK && !found) {
        return KEDGE_ERR_NOT_FOUND;
    }
    if (err == KEDGE_OK) {
        *out = row;
    }
    return err;
}

enum kedge_err srv_store_crash_get(struct srv_store *store, const char *device_id,
                                   const char *sha256, struct srv_crash_row *out)
{
    struct srv_sql sql =
        srv_sql_begin(store, SRV_CRASH_GET,
                      "SELECT " COLUMNS " FROM crashes WHERE device_id = ?1 AND sha256 = ?2");
    srv_sql_text(&sql, device_id);
    srv_sql_text(&sql, sha256);
    return read_one(&sql, out);
}

enum kedge_err srv_store_crash_by_id(struct srv_store *store, int64_t id, struct srv_crash_row *out)
{
    struct srv_sql sql =
        srv_sql_begin(store, SRV_CRASH_BY_ID, "SELECT " COLUMNS " FROM crashes WHERE id = ?1");
    srv_sql_int(&sql, id);
    return read_one(&sql, out);
}

static enum kedge_err each_row(struct srv_sql *sql,
                               void (*each)(void *ctx, const struct srv_crash_row *row), void *ctx)
{
    while (srv_sql_row(sql)) {
        struct srv_crash_row row = {0};
        read_row(sql, &row);
        if (sql->err == KEDGE_OK) {
            each(ctx, &row);
        }
    }
    return srv_sql_end(sql);
}

enum kedge_err srv_store_crash_each(struct srv_store *store, uint32_t limit,
                                    void (*each)(void *ctx, const struct srv_crash_row *row),
                                    void *ctx)
{
    struct srv_sql sql = srv_sql_begin(store, SRV_CRASH_EACH,
                                       "SELECT " COLUMNS " FROM crashes ORDER BY id DESC LIMIT ?1");
    srv_sql_int(&sql, limit);
    return each_row(&sql, each, ctx);
}

enum kedge_err srv_store_crash_each_of(struct srv_store *store, const char *device_id,
                                       uint32_t limit,
                                       void (*each)(void *ctx, const struct srv_crash_row *row),
                                       void *ctx)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_CRASH_EACH_OF,
        "SELECT " COLUMNS " FROM crashes WHERE device_id = ?1 ORDER BY id DESC LIMIT ?2");
    srv_sql_text(&sql, device_id);
    srv_sql_int(&sql, limit);
    return each_row(&sql, each, ctx);
}
