/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "host/buf.h"
#include "host/log.h"

#define BUSY_TIMEOUT_MS 5000

static enum kedge_err map_error(int code)
{
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return KEDGE_ERR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return KEDGE_ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return KEDGE_ERR_DUPLICATE;
    default:
        return KEDGE_ERR_IO;
    }
}

enum kedge_err srv_sql_error(struct srv_store *store, const char *what)
{
    enum kedge_err err = map_error(sqlite3_extended_errcode(store->db));
    if (err != KEDGE_ERR_DUPLICATE) { /* the caller has an answer for that one */
        host_log(HOST_LOG_ERROR, "store_failed", "what=%s code=%d error=\"%s\"", what,
                 sqlite3_extended_errcode(store->db), sqlite3_errmsg(store->db));
    }
    return err;
}

struct srv_sql srv_sql_begin(struct srv_store *store, enum srv_statement id, const char *text)
{
    struct srv_sql sql = {.store = store, .column = 1};
    if (store->statements[id] == NULL &&
        sqlite3_prepare_v3(store->db, text, -1, SQLITE_PREPARE_PERSISTENT, &store->statements[id],
                           NULL) != SQLITE_OK) {
        sql.err = srv_sql_error(store, "prepare");
        return sql;
    }
    sql.statement = store->statements[id];
    return sql;
}

static void check_bind(struct srv_sql *sql, int code)
{
    if (code != SQLITE_OK) {
        sql->err = srv_sql_error(sql->store, "bind");
    }
}

void srv_sql_text(struct srv_sql *sql, const char *value)
{
    if (sql->err == KEDGE_OK) {
        check_bind(sql, sqlite3_bind_text(sql->statement, sql->column++, value, -1, SQLITE_STATIC));
    }
}

void srv_sql_int(struct srv_sql *sql, int64_t value)
{
    if (sql->err == KEDGE_OK) {
        check_bind(sql, sqlite3_bind_int64(sql->statement, sql->column++, value));
    }
}

void srv_sql_null(struct srv_sql *sql)
{
    if (sql->err == KEDGE_OK) {
        check_bind(sql, sqlite3_bind_null(sql->statement, sql->column++));
    }
}

bool srv_sql_row(struct srv_sql *sql)
{
    if (sql->err != KEDGE_OK) {
        return false;
    }
    int code = sqlite3_step(sql->statement);
    sql->column = 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        sql->err = srv_sql_error(sql->store, sqlite3_sql(sql->statement));
    }
    return code == SQLITE_ROW;
}

const char *srv_sql_borrow_text(struct srv_sql *sql)
{
    const unsigned char *text = sqlite3_column_text(sql->statement, sql->column++);
    return text != NULL ? (const char *)text : "";
}

void srv_sql_read_text(struct srv_sql *sql, char *out, size_t size)
{
    const char *text = srv_sql_borrow_text(sql);
    size_t len = strlen(text);
    if (len >= size) {
        sql->err = KEDGE_ERR_SYNTAX;
        out[0] = '\0';
        return;
    }
    memcpy(out, text, len + 1u);
}

int64_t srv_sql_read_int(struct srv_sql *sql)
{
    return sqlite3_column_int64(sql->statement, sql->column++);
}

uint32_t srv_sql_read_u32(struct srv_sql *sql)
{
    int64_t value = srv_sql_read_int(sql);
    if (value < 0 || value > UINT32_MAX) {
        sql->err = KEDGE_ERR_SYNTAX;
        return 0;
    }
    return (uint32_t)value;
}

bool srv_sql_next_is_null(const struct srv_sql *sql)
{
    return sqlite3_column_type(sql->statement, sql->column) == SQLITE_NULL;
}

enum kedge_err srv_sql_end(struct srv_sql *sql)
{
    if (sql->statement != NULL) {
        (void)sqlite3_reset(sql->statement); /* repeats the error of the step, if any */
        (void)sqlite3_clear_bindings(sql->statement);
    }
    return sql->err;
}

enum kedge_err srv_sql_run(struct srv_sql *sql)
{
    (void)srv_sql_row(sql);
    return srv_sql_end(sql);
}

static enum kedge_err execute(struct srv_store *store, const char *text)
{
    return sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK
               ? KEDGE_OK
               : srv_sql_error(store, text);
}

enum kedge_err srv_store_begin(struct srv_store *store)
{
    return execute(store, "BEGIN IMMEDIATE");
}

enum kedge_err srv_store_commit(struct srv_store *store)
{
    enum kedge_err err = execute(store, "COMMIT");
    if (err != KEDGE_OK) {
        srv_store_rollback(store);
    }
    return err;
}

void srv_store_rollback(struct srv_store *store)
{
    /* Some errors roll back by themselves; then there is nothing left to do. */
    if (srv_store_in_transaction(store)) {
        (void)execute(store, "ROLLBACK");
    }
}

bool srv_store_in_transaction(const struct srv_store *store)
{
    return sqlite3_get_autocommit(store->db) == 0;
}

static enum kedge_err schema_version(struct srv_store *store, int *out)
{
    sqlite3_stmt *statement = NULL;
    enum kedge_err err = KEDGE_OK;
    if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        *out = sqlite3_column_int(statement, 0);
    } else {
        err = srv_sql_error(store, "user_version");
    }
    (void)sqlite3_finalize(statement);
    return err;
}

/* One migration and its number are one transaction: a kill leaves the schema before or after. */
static enum kedge_err migrate_one(struct srv_store *store, int number)
{
    struct host_buf text;
    host_buf_init(&text, 256 * 1024);
    host_buf_printf(&text, "%s;PRAGMA user_version=%d;", srv_migrations[number - 1].sql, number);
    enum kedge_err err = srv_store_begin(store);
    if (err == KEDGE_OK) {
        err = host_buf_ok(&text) ? execute(store, host_buf_text(&text)) : KEDGE_ERR_TOO_LARGE;
        if (err == KEDGE_OK) {
            err = srv_store_commit(store);
        } else {
            srv_store_rollback(store);
        }
    }
    host_buf_free(&text);
    if (err == KEDGE_OK) {
        host_log(HOST_LOG_INFO, "store_migrated", "to=%d name=%s", number,
                 srv_migrations[number - 1].name);
    }
    return err;
}

static enum kedge_err migrate(struct srv_store *store, const char *path)
{
    int version = 0;
    enum kedge_err err = schema_version(store, &version);
    if (err == KEDGE_OK && version > srv_migration_count) {
        host_log(HOST_LOG_ERROR, "store_newer",
                 "path=%s schema=%d known=%d error=\"written by a newer kedged: install that "
                 "version, or restore a backup made before the upgrade\"",
                 path, version, srv_migration_count);
        return KEDGE_ERR_VERSION;
    }
    while (err == KEDGE_OK && version < srv_migration_count) {
        err = migrate_one(store, ++version);
    }
    return err;
}

/* FULL: what is acknowledged is on the disk, also when the machine loses power. */
static const char settings[] = "PRAGMA journal_mode=WAL;"
                               "PRAGMA synchronous=FULL;"
                               "PRAGMA foreign_keys=ON;"
                               "PRAGMA cache_size=-65536;";

enum kedge_err srv_store_open(const char *path, struct srv_store **out)
{
    struct srv_store *store = host_calloc(1, sizeof *store);
    enum kedge_err err = KEDGE_OK;
    if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        err = srv_sql_error(store, path);
    }
    if (err == KEDGE_OK) {
        (void)sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
        err = execute(store, settings);
    }
    if (err == KEDGE_OK) {
        err = migrate(store, path);
    }
    if (err != KEDGE_OK) {
        srv_store_close(store);
        return err;
    }
    *out = store;
    return KEDGE_OK;
}

void srv_store_close(struct srv_store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < SRV_STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(store->statements[i]);
    }
    (void)sqlite3_close(store->db);
    free(store);
}
