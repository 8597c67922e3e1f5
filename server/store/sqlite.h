/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store.h"

/* What the entity files share: statements prepared once, and binding and reading in column order.
 */

/** One per SQL text; the text stands in the entity's file. */
enum srv_statement {
    SRV_RELEASE_INSERT,
    SRV_RELEASE_EACH,
    SRV_DEVICE_INSERT,
    SRV_DEVICE_UPDATE,
    SRV_DEVICE_EACH,
    SRV_ROLLOUT_INSERT,
    SRV_ROLLOUT_UPDATE,
    SRV_ROLLOUT_EACH,
    SRV_MEMBER_PUT,
    SRV_MEMBER_ACKNOWLEDGE,
    SRV_MEMBER_EACH,
    SRV_REPORT_PUT,
    SRV_REPORT_GET,
    SRV_AUDIT_INSERT,
    SRV_AUDIT_EACH,
    SRV_TELEMETRY_INSERT,
    SRV_TELEMETRY_EACH,
    SRV_TELEMETRY_PRUNE,
    SRV_CRASH_INSERT,
    SRV_CRASH_UPDATE,
    SRV_CRASH_DELETE,
    SRV_CRASH_GET,
    SRV_CRASH_BY_ID,
    SRV_CRASH_EACH,
    SRV_CRASH_EACH_OF,
    SRV_STATEMENT_COUNT
};

struct srv_store {
    sqlite3 *db;
    sqlite3_stmt *statements[SRV_STATEMENT_COUNT];
};

/** A numbered migration, embedded at build time from server/sql. */
struct srv_migration {
    const char *name;
    const char *sql;
};
extern const struct srv_migration srv_migrations[];
extern const int srv_migration_count;

/** A statement being bound or read. err sticks; with an error the other calls do nothing. */
struct srv_sql {
    struct srv_store *store;
    sqlite3_stmt *statement;
    int column; /* next to bind (1-based) or to read (0-based) */
    enum kedge_err err;
};

/** Map and log the database's last error. */
enum kedge_err srv_sql_error(struct srv_store *store, const char *what);

struct srv_sql srv_sql_begin(struct srv_store *store, enum srv_statement id, const char *text);
void srv_sql_text(struct srv_sql *sql, const char *value); /* borrowed until srv_sql_end */
void srv_sql_int(struct srv_sql *sql, int64_t value);
void srv_sql_null(struct srv_sql *sql);
/** Next row is there; false at the end and on error. Reading begins at column 0. */
bool srv_sql_row(struct srv_sql *sql);
/** Text that does not fit size is an error (SYNTAX): nobody but us writes the database. */
void srv_sql_read_text(struct srv_sql *sql, char *out, size_t size);
/** Borrowed until the next row. */
const char *srv_sql_borrow_text(struct srv_sql *sql);
int64_t srv_sql_read_int(struct srv_sql *sql);
uint32_t srv_sql_read_u32(struct srv_sql *sql);
/** Text of KEDGE_RESET_MAP; UNKNOWN for any other. */
enum kedge_reset srv_sql_read_reset(struct srv_sql *sql);
bool srv_sql_next_is_null(const struct srv_sql *sql);
/** Reset the statement; the first error of all. */
enum kedge_err srv_sql_end(struct srv_sql *sql);
/** Run a statement without rows to its end. */
enum kedge_err srv_sql_run(struct srv_sql *sql);

/* Telemetry values stand in two tables, in the same order. */
void srv_sql_bind_values(struct srv_sql *sql, const struct srv_telemetry_values *values);
void srv_sql_read_values(struct srv_sql *sql, struct srv_telemetry_values *values);
