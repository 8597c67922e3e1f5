/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

enum kedge_err srv_store_member_put(struct srv_store *store, const struct srv_member_row *row)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_MEMBER_PUT,
        "INSERT OR REPLACE INTO rollout_members (rollout_id, device_id, position, stage, state,"
        " attempt, offered_at, heard_at, changed_at, cause, downloads, bytes_sent, acknowledged)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
    srv_sql_int(&sql, row->rollout_id);
    srv_sql_text(&sql, row->device_id);
    srv_sql_int(&sql, row->position);
    srv_sql_int(&sql, row->stage);
    srv_sql_text(&sql, fleet_member_state_text(row->state));
    srv_sql_int(&sql, row->attempt);
    srv_sql_int(&sql, row->offered_at);
    srv_sql_int(&sql, row->heard_at);
    srv_sql_int(&sql, row->changed_at);
    srv_sql_text(&sql, row->cause);
    srv_sql_int(&sql, row->downloads);
    srv_sql_int(&sql, (int64_t)row->bytes_sent);
    srv_sql_int(&sql, row->acknowledged);
    return srv_sql_run(&sql);
}

enum kedge_err srv_store_member_acknowledge(struct srv_store *store, int64_t rollout_id)
{
    struct srv_sql sql = srv_sql_begin(store, SRV_MEMBER_ACKNOWLEDGE,
                                       "UPDATE rollout_members SET acknowledged = 1"
                                       " WHERE rollout_id = ?1 AND state = ?2");
    srv_sql_int(&sql, rollout_id);
    srv_sql_text(&sql, fleet_member_state_text(FLEET_MEMBER_FAILED));
    return srv_sql_run(&sql);
}

static void read_row(struct srv_sql *sql, struct srv_member_row *row)
{
    row->rollout_id = srv_sql_read_int(sql);
    srv_sql_read_text(sql, row->device_id, sizeof row->device_id);
    row->position = srv_sql_read_u32(sql);
    row->stage = srv_sql_read_u32(sql);
    if (fleet_member_state_parse(srv_sql_borrow_text(sql), &row->state) != KEDGE_OK) {
        sql->err = KEDGE_ERR_SYNTAX;
    }
    row->attempt = srv_sql_read_u32(sql);
    row->offered_at = srv_sql_read_int(sql);
    row->heard_at = srv_sql_read_int(sql);
    row->changed_at = srv_sql_read_int(sql);
    srv_sql_read_text(sql, row->cause, sizeof row->cause);
    row->downloads = srv_sql_read_u32(sql);
    row->bytes_sent = (uint64_t)srv_sql_read_int(sql);
    row->acknowledged = srv_sql_read_int(sql) != 0;
}

enum kedge_err srv_store_member_each(struct srv_store *store,
                                     void (*each)(void *ctx, const struct srv_member_row *row),
                                     void *ctx)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_MEMBER_EACH,
        "SELECT rollout_id, device_id, position, stage, state, attempt, offered_at, heard_at,"
        " changed_at, cause, downloads, bytes_sent, acknowledged FROM rollout_members"
        " ORDER BY rollout_id, position");
    while (srv_sql_row(&sql)) {
        struct srv_member_row row = {0};
        read_row(&sql, &row);
        if (sql.err == KEDGE_OK) {
            each(ctx, &row);
        }
    }
    return srv_sql_end(&sql);
}
