/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

enum kedge_err srv_store_release_insert(struct srv_store *store, const struct srv_release_row *row,
                                        int64_t *id)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_RELEASE_INSERT,
        "INSERT INTO releases (sha256, project, chip, version, secure_version, size, elf_sha256,"
        " notes, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    srv_sql_text(&sql, row->sha256);
    srv_sql_text(&sql, row->project);
    srv_sql_text(&sql, row->chip);
    srv_sql_text(&sql, row->version);
    srv_sql_int(&sql, row->secure_version);
    srv_sql_int(&sql, row->size);
    srv_sql_text(&sql, row->elf_sha256);
    srv_sql_text(&sql, row->notes);
    srv_sql_int(&sql, row->created_at);
    srv_sql_text(&sql, row->created_by);
    enum kedge_err err = srv_sql_run(&sql);
    if (err == KEDGE_OK) {
        *id = sqlite3_last_insert_rowid(store->db);
    }
    return err;
}

enum kedge_err srv_store_release_each(struct srv_store *store,
                                      void (*each)(void *ctx, const struct srv_release_row *row),
                                      void *ctx)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_RELEASE_EACH,
        "SELECT id, sha256, project, chip, version, secure_version, size, elf_sha256, notes,"
        " created_at, created_by FROM releases ORDER BY id");
    while (srv_sql_row(&sql)) {
        struct srv_release_row row = {.id = srv_sql_read_int(&sql)};
        srv_sql_read_text(&sql, row.sha256, sizeof row.sha256);
        srv_sql_read_text(&sql, row.project, sizeof row.project);
        srv_sql_read_text(&sql, row.chip, sizeof row.chip);
        srv_sql_read_text(&sql, row.version, sizeof row.version);
        row.secure_version = srv_sql_read_u32(&sql);
        row.size = srv_sql_read_u32(&sql);
        srv_sql_read_text(&sql, row.elf_sha256, sizeof row.elf_sha256);
        srv_sql_read_text(&sql, row.notes, sizeof row.notes);
        row.created_at = srv_sql_read_int(&sql);
        srv_sql_read_text(&sql, row.created_by, sizeof row.created_by);
        if (sql.err == KEDGE_OK) {
            each(ctx, &row);
        }
    }
    return srv_sql_end(&sql);
}
