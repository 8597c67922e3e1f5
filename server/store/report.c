/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

#include <string.h>

enum kedge_err srv_store_report_put(struct srv_store *store, const struct srv_report_row *row)
{
    const struct kedge_report *report = &row->report;
    char sha256[SRV_SHA256_HEX_SIZE];
    kedge_hex_encode(report->sha256, KEDGE_SHA256_SIZE, sha256);
    struct srv_sql sql = srv_sql_begin(
        store, SRV_REPORT_PUT,
        "INSERT OR REPLACE INTO reports (device_id, attempt, seq, received_at, sha256, state,"
        " cause, version_from, version_to, detail)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    srv_sql_text(&sql, row->device_id);
    srv_sql_int(&sql, report->attempt);
    srv_sql_int(&sql, report->seq);
    srv_sql_int(&sql, row->received_at);
    srv_sql_text(&sql, sha256);
    srv_sql_text(&sql, kedge_report_state_text(report->state));
    srv_sql_text(&sql, kedge_cause_text(report->cause));
    srv_sql_text(&sql, report->from);
    srv_sql_text(&sql, report->to);
    srv_sql_int(&sql, report->detail);
    return srv_sql_run(&sql);
}

static enum kedge_err state_parse(const char *text, enum kedge_report_state *out)
{
    for (int i = 0; i < KEDGE_REPORT_STATE_COUNT; i++) {
        if (strcmp(text, kedge_report_state_text((enum kedge_report_state)i)) == 0) {
            *out = (enum kedge_report_state)i;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_SYNTAX;
}

static enum kedge_err cause_parse(const char *text, enum kedge_cause *out)
{
    for (int i = 0; i < KEDGE_CAUSE_COUNT; i++) {
        if (strcmp(text, kedge_cause_text((enum kedge_cause)i)) == 0) {
            *out = (enum kedge_cause)i;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_SYNTAX;
}

static void read_row(struct srv_sql *sql, struct srv_report_row *row)
{
    struct kedge_report *report = &row->report;
    srv_sql_read_text(sql, row->device_id, sizeof row->device_id);
    report->attempt = srv_sql_read_u32(sql);
    report->seq = srv_sql_read_u32(sql);
    row->received_at = srv_sql_read_int(sql);
    const char *hex = srv_sql_borrow_text(sql);
    if (!kedge_hex_decode(hex, strlen(hex), report->sha256, KEDGE_SHA256_SIZE) ||
        state_parse(srv_sql_borrow_text(sql), &report->state) != KEDGE_OK ||
        cause_parse(srv_sql_borrow_text(sql), &report->cause) != KEDGE_OK) {
        sql->err = KEDGE_ERR_SYNTAX;
        return;
    }
    srv_sql_read_text(sql, report->from, sizeof report->from);
    srv_sql_read_text(sql, report->to, sizeof report->to);
    report->detail = srv_sql_read_u32(sql);
}

enum kedge_err srv_store_report_get(struct srv_store *store, const char *device_id,
                                    uint32_t attempt, uint32_t seq, struct srv_report_row *out)
{
    struct srv_sql sql = srv_sql_begin(
        store, SRV_REPORT_GET,
        "SELECT device_id, attempt, seq, received_at, sha256, state, cause, version_from,"
        " version_to, detail FROM reports WHERE device_id = ?1 AND attempt = ?2 AND seq = ?3");
    srv_sql_text(&sql, device_id);
    srv_sql_int(&sql, attempt);
    srv_sql_int(&sql, seq);
    struct srv_report_row row = {0};
    bool found = srv_sql_row(&sql);
    if (found) {
        read_row(&sql, &row);
    }
    enum kedge_err err = srv_sql_end(&sql);
    if (err != KEDGE_OK) {
        return err;
    }
    if (!found) {
        return KEDGE_ERR_NOT_FOUND;
    }
    *out = row;
    return KEDGE_OK;
}
