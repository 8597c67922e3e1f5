/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

enum kedge_err srv_store_audit_insert(struct srv_store *store, const struct srv_audit_row *row)
{
    struct srv_sql sql =
        srv_sql_begin(store, SRV_AUDIT_INSERT,
                      "INSERT INTO audit (ts, actor, address, action, subject, detail)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    srv_sql_int(&sql, row->ts);
    srv_sql_text(&sql, row->actor);
    srv_sql_text(&sql, row->address);
    srv_sql_text(&sql, row->action);
    srv_sql_text(&sql, row->subject);
    srv_sql_text(&sql, row->detail);
    return srv_sql_run(&sql);
}

enum kedge_err srv_store_audit_each(struct srv_store *store, int64_t after, uint32_t limit,
                                    void (*each)(void *ctx, const struct srv_audit_row *row),
                                    void *ctx)
{
    struct srv_sql sql =
        srv_sql_begin(store, SRV_AUDIT_EACH,
                      "SELECT id, ts, actor, address, action, subject, detail FROM audit"
                      " WHERE id > ?1 ORDER BY id LIMIT ?2");
    srv_sql_int(&sql, after);
    srv_sql_int(&sql, limit);
    while (srv_sql_row(&sql)) {
        struct srv_audit_row row = {0};
        row.id = srv_sql_read_int(&sql);
        row.ts = srv_sql_read_int(&sql);
        row.actor = srv_sql_borrow_text(&sql);
        row.address = srv_sql_borrow_text(&sql);
        row.action = srv_sql_borrow_text(&sql);
        row.subject = srv_sql_borrow_text(&sql);
        row.detail = srv_sql_borrow_text(&sql);
        each(ctx, &row);
    }
    return srv_sql_end(&sql);
}
