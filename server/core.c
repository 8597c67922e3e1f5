/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"
#include "kedge/crypto.h"

#define TOKEN_MIN_LEN 16u
#define PATH_SIZE     512u

bool srv_refuse(struct srv_refusal *refusal, unsigned status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(refusal->text, sizeof refusal->text, format, args);
    va_end(args);
    refusal->status = status;
    return false;
}

bool srv_refuse_store(struct srv_refusal *refusal, enum kedge_err err)
{
    if (err == KEDGE_ERR_NO_SPACE) {
        return srv_refuse(refusal, 507, "the disk is full: free some space and try again");
    }
    return srv_refuse(refusal, 503,
                      "the database refused (%s): nothing was changed, see kedged's log",
                      kedge_err_text(err));
}

int64_t srv_wall_ms(const struct srv_core *core)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + (int64_t)core->skew_ms;
}

uint64_t srv_guard_ms(const struct srv_core *core)
{
    return host_loop_now_ms(core->loop) + SRV_GUARD_EPOCH_MS + core->skew_ms;
}

enum kedge_err srv_core_finish(struct srv_core *core, enum kedge_err err)
{
    if (err == KEDGE_OK) {
        return srv_store_commit(core->store);
    }
    srv_store_rollback(core->store);
    return err;
}

enum kedge_err srv_core_flush(struct srv_core *core)
{
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_devices_write(core);
    }
    if (err == KEDGE_OK) {
        err = srv_members_write(core);
    }
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK) {
        srv_devices_written(core);
        srv_members_written(core);
    }
    return err;
}

static void on_guard(void *ctx)
{
    struct srv_core *core = ctx;
    srv_guard_tick(core);
    host_loop_arm(core->loop, &core->guard_timer, host_loop_now_ms(core->loop) + SRV_GUARD_TICK_MS);
}

static void on_flush(void *ctx)
{
    struct srv_core *core = ctx;
    (void)!srv_core_flush(core); /* logged by the store; what is dirty stays so */
    srv_audit_flush(core);
    srv_telemetry_prune(core);
    host_loop_arm(core->loop, &core->flush_timer, host_loop_now_ms(core->loop) + SRV_FLUSH_MS);
}

static bool fail(const char *what, const char *path, const char *why, const char *next)
{
    host_log(HOST_LOG_ERROR, "start_refused", "what=\"%s\" path=%s error=\"%s\" next=\"%s\"", what,
             path, why, next);
    return false;
}

/* Relative paths of the configuration are taken from the data folder. */
static bool resolve(const struct srv_config *config, const char *path, char *out)
{
    if (path[0] == '/') {
        return snprintf(out, PATH_SIZE, "%s", path) < (int)PATH_SIZE;
    }
    return host_fs_join(out, PATH_SIZE, config->data, path) == KEDGE_OK;
}

static bool make_dirs(struct srv_core *core)
{
    if (!resolve(core->config, "releases", core->releases_dir) ||
        !resolve(core->config, "tmp", core->tmp_dir) ||
        !resolve(core->config, "crashes", core->crashes_dir)) {
        return fail("data folder", core->config->data, "path too long", "use a shorter one");
    }
    if (host_fs_make_dirs(core->releases_dir, 0700) != KEDGE_OK ||
        host_fs_make_dirs(core->tmp_dir, 0700) != KEDGE_OK ||
        host_fs_make_dirs(core->crashes_dir, 0700) != KEDGE_OK) {
        return fail("data folder", core->config->data, strerror(errno),
                    "make it writable for the user that runs kedged");
    }
    return true;
}

static bool take_lock(struct srv_core *core)
{
    char path[PATH_SIZE];
    char why[64];
    long owner = 0;
    if (!resolve(core->config, "lock", path)) {
        return fail("lock", core->config->data, "path too long", "use a shorter data folder");
    }
    enum kedge_err err = host_fs_lock(path, &core->lock_fd, &owner);
    if (err == KEDGE_ERR_BUSY) {
        (void)snprintf(why, sizeof why, "another kedged (pid %ld) works in this data folder",
                       owner);
        return fail("lock", path, why, "stop that one first, or give this one its own data folder");
    }
    return err == KEDGE_OK || fail("lock", path, strerror(errno), "check the folder's permissions");
}

static size_t trimmed_len(const struct host_buf *buf)
{
    size_t len = buf->len;
    while (len > 0 && (buf->data[len - 1u] == '\n' || buf->data[len - 1u] == '\r' ||
                       buf->data[len - 1u] == ' ')) {
        len--;
    }
    return len;
}

/* Only its hash is kept: comparing hashes takes the same time for every wrong token. */
static bool read_token(struct srv_core *core)
{
    char path[PATH_SIZE];
    struct host_buf text;
    host_buf_init(&text, 4096);
    bool ok = resolve(core->config, core->config->admin_token_file, path) &&
              host_fs_read(path, &text) == KEDGE_OK;
    size_t len = trimmed_len(&text);
    if (!ok) {
        (void)fail("admin token", path, strerror(errno), "make one with `kedge init`");
    } else if (len < TOKEN_MIN_LEN) {
        ok = fail("admin token", path, "shorter than 16 characters", "make one with `kedge init`");
    } else {
        kedge_sha256_of(text.data, len, core->token_sha256);
    }
    if (text.data != NULL) {
        memset(text.data, 0, text.len);
    }
    host_buf_free(&text);
    return ok;
}

static bool open_store(struct srv_core *core)
{
    char path[PATH_SIZE];
    if (!resolve(core->config, "kedge.db", path)) {
        return fail("database", core->config->data, "path too long", "use a shorter data folder");
    }
    enum kedge_err err = srv_store_open(path, &core->store);
    if (err != KEDGE_OK) {
        return fail("database", path, kedge_err_text(err), "see the line above");
    }
    err = srv_releases_load(core);
    if (err == KEDGE_OK) {
        err = srv_devices_load(core);
    }
    if (err == KEDGE_OK) {
        err = srv_rollouts_load(core);
    }
    if (err != KEDGE_OK) {
        return fail("database", path, kedge_err_text(err),
                    "it holds rows that do not fit together: restore a backup");
    }
    srv_crashes_sweep(core);
    return true;
}

static void release_core(struct srv_core *core)
{
    srv_rollouts_free(core);
    srv_devices_free(core);
    srv_releases_free(core);
    srv_store_close(core->store);
    if (core->lock_fd >= 0) {
        (void)close(core->lock_fd);
    }
    free(core->batch);
    free(core);
}

static void start(struct srv_core *core)
{
    uint64_t now = host_loop_now_ms(core->loop);
    core->device_app = (struct srv_app){
        .routes = srv_device_routes, .ctx = core, .authorise = srv_device_authorise};
    core->admin_app =
        (struct srv_app){.routes = srv_admin_routes, .ctx = core, .authorise = srv_admin_authorise};
    core->guard_timer = (struct host_timer){.fire = on_guard, .ctx = core};
    core->flush_timer = (struct host_timer){.fire = on_flush, .ctx = core};
    host_loop_arm(core->loop, &core->guard_timer, now + SRV_GUARD_TICK_MS);
    host_loop_arm(core->loop, &core->flush_timer, now + SRV_FLUSH_MS);
    host_log(HOST_LOG_INFO, "core_open", "data=%s releases=%u devices=%u rollouts=%u",
             core->config->data, core->release_count, core->device_count, core->rollout_count);
}

struct srv_core *srv_core_open(struct host_loop *loop, const struct srv_config *config)
{
    struct srv_core *core = host_calloc(1, sizeof *core);
    core->loop = loop;
    core->config = config;
    core->lock_fd = -1;
    core->opened_ms = srv_guard_ms(core);
    /* A file size limit shall be an error of write, not the end of the process. */
    (void)signal(SIGXFSZ, SIG_IGN);
    if (!make_dirs(core) || !take_lock(core) || !read_token(core) || !open_store(core)) {
        release_core(core);
        return NULL;
    }
    start(core);
    return core;
}

void srv_core_stop(struct srv_core *core)
{
    core->closing = true;
}

void srv_core_close(struct srv_core *core)
{
    if (core == NULL) {
        return;
    }
    core->closing = true;
    host_loop_disarm(core->loop, &core->guard_timer);
    host_loop_disarm(core->loop, &core->flush_timer);
    (void)!srv_core_sink.commit(core);
    (void)!srv_core_flush(core);
    srv_audit_flush(core);
    release_core(core);
}

const struct srv_app *srv_core_device_app(struct srv_core *core)
{
    return &core->device_app;
}

const struct srv_app *srv_core_admin_app(struct srv_core *core)
{
    return &core->admin_app;
}

void srv_core_set_ingest(struct srv_core *core, struct srv_ingest *ingest)
{
    core->ingest = ingest;
}
