/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

#include <stdio.h>

/* 8 stages of at most "100," */
#define STAGES_SIZE (FLEET_MAX_STAGES * 4u + 1u)

static void stages_text(const struct fleet_plan *plan, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < plan->stage_count && len < size; i++) {
        int n = snprintf(out + len, size - len, "%s%u", i > 0 ? "," : "", plan->percent[i]);
        len += n > 0 ? (size_t)n : 0;
    }
}

enum kedge_err srv_store_rollout_insert(struct srv_store *store, const struct srv_rollout_row *row,
                                        int64_t *id)
{
    char stages[STAGES_SIZE];
    stages_text(&row->plan, stages, sizeof stages);
    struct srv_sql sql = srv_sql_begin(
        store, SRV_ROLLOUT_INSERT,
        "INSERT INTO rollouts (release_id, stages, max_failures, pace, soak_ms, silence_ms, force,"
        " state, stage, halt_reason, created_by, created_at, progress_at, halted_at, ended_at,"
        " allow_no_rollback)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)");
    srv_sql_int(&sql, row->release_id);
    srv_sql_text(&sql, stages);
    srv_sql_int(&sql, row->plan.max_failures);
    srv_sql_int(&sql, row->plan.pace);
    srv_sql_int(&sql, (int64_t)row->plan.soak_ms);
    srv_sql_int(&sql, (int64_t)row->plan.silence_ms);
    srv_sql_int(&sql, row->force);
    srv_sql_text(&sql, fleet_rollout_state_text(row->state));
    srv_sql_int(&sql, row->stage);
    srv_sql_text(&sql, row->halt_reason);
    srv_sql_text(&sql, row->created_by);
    srv_sql_int(&sql, row->created_at);
    srv_sql_int(&sql, row->progress_at);
    srv_sql_int(&sql, row->halted_at);
    srv_sql_int(&sql, row->ended_at);
    srv_sql_int(&sql, row->allow_no_rollback);
    enum kedge_err err = srv_sql_run(&sql);
    if (err == KEDGE_OK) {
        *id = sqlite3_last_insert_rowid(store->db);
    }
    return err;
}

enum kedge_err srv_store_rollout_update(struct srv_store *store, const struct srv_rollout_row *row)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_ROLLOUT_UPDATE,
        "UPDATE rollouts SET state = ?1, stage = ?2, halt_reason = ?3, progress_at = ?4,"
        " halted_at = ?5, ended_at = ?6 WHERE id = ?7");
    srv_sql_text(&sql, fleet_rollout_state_text(row->state));
    srv_sql_int(&sql, row->stage);
    srv_sql_text(&sql, row->halt_reason);
    srv_sql_int(&sql, row->progress_at);
    srv_sql_int(&sql, row->halted_at);
    srv_sql_int(&sql, row->ended_at);
    srv_sql_int(&sql, row->id);
    enum kedge_err err = srv_sql_run(&sql);
    if (err == KEDGE_OK && sqlite3_changes(store->db) == 0) {
        return KEDGE_ERR_NOT_FOUND;
    }
    return err;
}

static void read_plan(struct srv_sql *sql, struct fleet_plan *plan)
{
    if (fleet_plan_parse_stages(srv_sql_borrow_text(sql), plan) != KEDGE_OK) {
        sql->err = KEDGE_ERR_SYNTAX;
    }
    plan->max_failures = srv_sql_read_u32(sql);
    plan->pace = srv_sql_read_u32(sql);
    plan->soak_ms = (uint64_t)srv_sql_read_int(sql);
    plan->silence_ms = (uint64_t)srv_sql_read_int(sql);
}

static void read_row(struct srv_sql *sql, struct srv_rollout_row *row)
{
    row->id = srv_sql_read_int(sql);
    row->release_id = srv_sql_read_int(sql);
    read_plan(sql, &row->plan);
    row->force = srv_sql_read_int(sql) != 0;
    if (fleet_rollout_state_parse(srv_sql_borrow_text(sql), &row->state) != KEDGE_OK) {
        sql->err = KEDGE_ERR_SYNTAX;
    }
    row->stage = srv_sql_read_u32(sql);
    srv_sql_read_text(sql, row->halt_reason, sizeof row->halt_reason);
    srv_sql_read_text(sql, row->created_by, sizeof row->created_by);
    row->created_at = srv_sql_read_int(sql);
    row->progress_at = srv_sql_read_int(sql);
    row->halted_at = srv_sql_read_int(sql);
    row->ended_at = srv_sql_read_int(sql);
    row->allow_no_rollback = srv_sql_read_int(sql) != 0;
}

enum kedge_err srv_store_rollout_each(struct srv_store *store,
                                      void (*each)(void *ctx, const struct srv_rollout_row *row),
                                      void *ctx)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_ROLLOUT_EACH,
        "SELECT id, release_id, stages, max_failures, pace, soak_ms, silence_ms, force, state,"
        " stage, halt_reason, created_by, created_at, progress_at, halted_at, ended_at,"
        " allow_no_rollback FROM rollouts ORDER BY id");
    while (srv_sql_row(&sql)) {
        struct srv_rollout_row row = {0};
        read_row(&sql, &row);
        if (sql.err == KEDGE_OK) {
            each(ctx, &row);
        }
    }
    return srv_sql_end(&sql);
}
