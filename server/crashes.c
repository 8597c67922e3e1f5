/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"
#include "http_response.h"
#include "kedge/crypto.h"

/*
 * Core dumps. A row is written when the crash is announced; the file grows by pieces, each on the
 * disk before it is acknowledged, and is <sha256>.part until all of it is here and has that hash.
 * Its size is all the progress there is, so a kill at any moment costs one piece. Killed between
 * the rename and the row: the file tells at the next request.
 */
#define CRASH_PATH_SIZE  768u
#define PART_SUFFIX      ".part"
#define MATCH_DIGITS_MIN 8u /* of an elf_sha256, to call a release by it */
#define HOUR_MS          3600000ll

/* --- files ------------------------------------------------------------------------------------ */

static bool dump_path(const struct srv_core *core, const struct srv_crash_row *row,
                      const char *suffix, char *out)
{
    int len = snprintf(out, CRASH_PATH_SIZE, "%s/%s/%s%s", core->crashes_dir, row->device_id,
                       row->sha256, suffix);
    return len > 0 && (size_t)len < CRASH_PATH_SIZE;
}

/* Size of the file, -1 when there is none. */
static off_t size_of(const struct srv_core *core, const struct srv_crash_row *row,
                     const char *suffix)
{
    char path[CRASH_PATH_SIZE];
    struct stat info;
    return dump_path(core, row, suffix, path) && stat(path, &info) == 0 ? info.st_size : -1;
}

static void remove_file(const struct srv_core *core, const struct srv_crash_row *row,
                        const char *suffix)
{
    char path[CRASH_PATH_SIZE];
    if (dump_path(core, row, suffix, path)) {
        (void)unlink(path);
    }
}

uint32_t srv_crash_stored(const struct srv_core *core, const struct srv_crash_row *row)
{
    if (size_of(core, row, "") == (off_t)row->size) {
        return row->size;
    }
    off_t part = size_of(core, row, PART_SUFFIX);
    return part > 0 && part <= (off_t)row->size ? (uint32_t)part : 0;
}

struct srv_mapping *srv_crash_map(const struct srv_core *core, const struct srv_crash_row *row)
{
    char path[CRASH_PATH_SIZE];
    return dump_path(core, row, "", path) ? srv_map_file(path, row->size) : NULL;
}

/* The device's folder, durable. */
static bool make_folder(const struct srv_core *core, const struct srv_crash_row *row)
{
    char path[CRASH_PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s/%s", core->crashes_dir, row->device_id);
    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    return access(path, F_OK) == 0 || (host_fs_make_dirs(path, 0700) == KEDGE_OK &&
                                       host_fs_sync_dir(core->crashes_dir) == KEDGE_OK);
}

static bool sync_folder(const struct srv_core *core, const struct srv_crash_row *row)
{
    char path[CRASH_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", core->crashes_dir, row->device_id);
    return host_fs_sync_dir(path) == KEDGE_OK;
}

/* The piece behind what is there; what cannot be written whole is taken back. */
static bool append_file(const struct srv_core *core, const struct srv_crash_row *row,
                        const struct srv_crash_piece *piece)
{
    char path[CRASH_PATH_SIZE];
    off_t at = (off_t)piece->first;
    if (!make_folder(core, row) || !dump_path(core, row, PART_SUFFIX, path)) {
        return false;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    bool ok = ftruncate(fd, at) == 0 &&
              host_fs_write_at(fd, piece->bytes.data, piece->bytes.len, (uint64_t)at) &&
              (at > 0 || sync_folder(core, row));
    int error = errno;
    if (!ok && ftruncate(fd, at) != 0) {
        host_log(HOST_LOG_ERROR, "crash_file_stuck", "path=%s error=\"%s\"", path, strerror(errno));
    }
    (void)close(fd);
    errno = error;
    return ok;
}

static bool has_hash(const struct srv_core *core, const struct srv_crash_row *row)
{
    char path[CRASH_PATH_SIZE];
    char hex[SRV_SHA256_HEX_SIZE];
    uint8_t digest[KEDGE_SHA256_SIZE];
    struct srv_mapping *mapping =
        dump_path(core, row, PART_SUFFIX, path) ? srv_map_file(path, row->size) : NULL;
    if (mapping == NULL) {
        return false;
    }
    kedge_sha256_of(mapping->data, mapping->size, digest);
    kedge_hex_encode(digest, sizeof digest, hex);
    srv_mapping_release(mapping);
    return strcmp(hex, row->sha256) == 0;
}

static bool rename_part(const struct srv_core *core, const struct srv_crash_row *row)
{
    char part[CRASH_PATH_SIZE];
    char whole[CRASH_PATH_SIZE];
    return dump_path(core, row, PART_SUFFIX, part) && dump_path(core, row, "", whole) &&
           rename(part, whole) == 0 && sync_folder(core, row);
}

/* --- leftovers -------------------------------------------------------------------------------- */

/* A name under a device's folder: the row it belongs to says whether it stays. */
static bool is_wanted(struct srv_core *core, const char *device_id, const char *name)
{
    char sha256[SRV_SHA256_HEX_SIZE];
    struct srv_crash_row row;
    size_t len = strcspn(name, ".");
    bool is_part = strcmp(name + len, PART_SUFFIX) == 0;
    if (len != sizeof sha256 - 1u || (name[len] != '\0' && !is_part)) {
        return false;
    }
    memcpy(sha256, name, len);
    sha256[len] = '\0';
    enum kedge_err err = srv_store_crash_get(core->store, device_id, sha256, &row);
    if (err != KEDGE_OK) {
        return err != KEDGE_ERR_NOT_FOUND; /* nothing is removed because the database failed */
    }
    return row.has_dump && !(is_part && row.completed_at != 0);
}

static void sweep_folder(struct srv_core *core, int parent, const char *device_id)
{
    int fd = openat(parent, device_id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.' && !is_wanted(core, device_id, entry->d_name) &&
            unlinkat(dirfd(dir), entry->d_name, 0) == 0) {
            host_log(HOST_LOG_INFO, "crash_leftover_removed", "device=%s file=%s", device_id,
                     entry->d_name);
        }
    }
    (void)closedir(dir);
}

void srv_crashes_sweep(struct srv_core *core)
{
    DIR *dir = opendir(core->crashes_dir);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (kedge_device_id_ok(entry->d_name, strlen(entry->d_name))) {
            sweep_folder(core, dirfd(dir), entry->d_name);
        }
    }
    (void)closedir(dir);
}

/* --- rows ------------------------------------------------------------------------------------- */

/* A device's crashes, newest first. */
struct shelf {
    struct srv_crash_row rows[SRV_CRASH_ROWS];
    uint32_t count;
};

static void put_on_shelf(void *ctx, const struct srv_crash_row *row)
{
    struct shelf *shelf = ctx;
    shelf->rows[shelf->count++] = *row;
}

/* The oldest whole dump, else the oldest; NULL while there is room. */
static struct srv_crash_row *dump_to_go(struct shelf *shelf)
{
    struct srv_crash_row *oldest = NULL;
    uint32_t dumps = 0;
    for (uint32_t i = 0; i < shelf->count; i++) {
        struct srv_crash_row *row = &shelf->rows[i];
        if (row->has_dump) {
            dumps++;
            bool is_better = oldest == NULL || row->completed_at != 0 || oldest->completed_at == 0;
            oldest = is_better ? row : oldest;
        }
    }
    return dumps >= SRV_CRASH_DUMPS ? oldest : NULL;
}

/* In the open transaction. *gone is the row whose file is to be removed after it. */
static enum kedge_err make_room(struct srv_core *core, struct shelf *shelf, bool for_new_row,
                                struct srv_crash_row *gone)
{
    struct srv_crash_row *dump = dump_to_go(shelf);
    enum kedge_err err = KEDGE_OK;
    if (dump != NULL) {
        dump->has_dump = false;
        *gone = *dump;
        err = srv_store_crash_update(core->store, dump);
    }
    if (!for_new_row || shelf->count < SRV_CRASH_ROWS) {
        return err;
    }
    for (uint32_t i = shelf->count; err == KEDGE_OK && i-- > 0;) {
        if (!shelf->rows[i].has_dump) {
            return srv_store_crash_delete(core->store, shelf->rows[i].id);
        }
    }
    return err;
}

/* The version of the one release, or of several that say the same, whose build this was. */
static const char *match_version(const struct srv_core *core, const char *elf_sha256)
{
    size_t len = strlen(elf_sha256);
    const char *version = NULL;
    for (uint32_t i = 0; len >= MATCH_DIGITS_MIN && i < core->release_count; i++) {
        const struct srv_release_row *row = &core->releases[i]->row;
        if (strncmp(row->elf_sha256, elf_sha256, len) != 0) {
            continue;
        }
        if (version != NULL && strcmp(version, row->version) != 0) {
            return NULL;
        }
        version = row->version;
    }
    return version;
}

static void put_backtrace(const struct kedge_crash *crash, char *out)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < crash->backtrace_count; i++) {
        at += (size_t)snprintf(out + at, SRV_BACKTRACE_SIZE - at, "%s%08x", i > 0 ? " " : "",
                               crash->backtrace[i]);
    }
}

static void fill_row(const struct srv_core *core, const struct srv_device *device,
                     const struct kedge_crash *crash, struct srv_crash_row *row)
{
    const char *version = match_version(core, crash->elf_sha256);
    *row = (struct srv_crash_row){.size = crash->size_bytes,
                                  .received_at = srv_wall_ms(core),
                                  .has_dump = true,
                                  .is_matched = version != NULL,
                                  .reset_reason = crash->reset_reason,
                                  .pc = crash->pc};
    memcpy(row->device_id, device->row.id, sizeof row->device_id);
    kedge_hex_encode(crash->sha256, KEDGE_SHA256_SIZE, row->sha256);
    memcpy(row->reporter, crash->firmware, sizeof row->reporter);
    (void)snprintf(row->version, sizeof row->version, "%s",
                   version != NULL ? version : crash->firmware);
    memcpy(row->task, crash->task, sizeof row->task);
    memcpy(row->elf_sha256, crash->elf_sha256, sizeof row->elf_sha256);
    put_backtrace(crash, row->backtrace);
}

static cJSON *crash_detail(const struct srv_crash_row *row)
{
    char pc[16] = "";
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "version", row->version);
    (void)cJSON_AddStringToObject(detail, "reset_reason", kedge_reset_text(row->reset_reason));
    (void)cJSON_AddStringToObject(detail, "task", row->task);
    if (row->pc != 0) {
        (void)snprintf(pc, sizeof pc, "0x%08x", row->pc);
    }
    (void)cJSON_AddStringToObject(detail, "pc", pc);
    (void)cJSON_AddStringToObject(detail, "sha256", row->sha256);
    srv_json_int(detail, "size", row->size);
    return detail;
}

/* One transaction: the new row (id 0) with its audit, or the one that gets its dump again, and what
 * makes way for it. */
static enum kedge_err write_rows(struct srv_core *core, struct shelf *shelf,
                                 struct srv_crash_row *row, const char *address)
{
    struct srv_actor actor = {.name = row->device_id, .address = address};
    struct srv_crash_row gone = {0};
    bool is_new = row->id == 0;
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = make_room(core, shelf, is_new, &gone);
    }
    if (err == KEDGE_OK) {
        err = is_new ? srv_store_crash_insert(core->store, row, &row->id)
                     : srv_store_crash_update(core->store, row);
    }
    if (is_new) {
        err = srv_audit(core, err, &actor, "crash", row->device_id, crash_detail(row));
    }
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK && gone.id != 0) { /* killed before: the sweep removes it */
        remove_file(core, &gone, "");
        remove_file(core, &gone, PART_SUFFIX);
    }
    return err;
}

/* --- what a device asks ----------------------------------------------------------------------- */

static void touch(const struct srv_core *core, struct srv_device *device)
{
    device->seen_ms = srv_guard_ms(core);
    device->row.last_seen = srv_wall_ms(core);
    device->dirty = true;
}

static enum kedge_err complete(struct srv_core *core, struct srv_crash_row *row,
                               const char *address)
{
    struct srv_actor actor = {.name = row->device_id, .address = address};
    row->completed_at = srv_wall_ms(core);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_crash_update(core->store, row);
    }
    err = srv_audit(core, err, &actor, "crash.dump", row->device_id, crash_detail(row));
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK) {
        host_log(HOST_LOG_INFO, "crash_dump", "device=%s version=%s sha256=%s size=%u",
                 row->device_id, row->version, row->sha256, row->size);
    }
    return err;
}

/* All bytes are here, as the part or, after a kill, under the final name. Errors: HASH (they are
 * not what was announced, and gone), IO, the store's. */
static enum kedge_err settle(struct srv_core *core, struct srv_crash_row *row, const char *address)
{
    if (size_of(core, row, "") != (off_t)row->size) {
        if (!has_hash(core, row)) {
            core->counters.crash_mismatches++;
            host_log(HOST_LOG_WARN, "crash_dump_mismatch", "device=%s sha256=%s", row->device_id,
                     row->sha256);
            remove_file(core, row, PART_SUFFIX);
            return KEDGE_ERR_HASH;
        }
        if (!rename_part(core, row)) {
            host_log(HOST_LOG_ERROR, "crash_file_failed", "error=\"%s\"", strerror(errno));
            return KEDGE_ERR_IO;
        }
    }
    return complete(core, row, address);
}

/* How far a known dump is; what a kill left undone is done now. */
static enum kedge_err locate(struct srv_core *core, struct srv_crash_row *row, const char *address,
                             struct srv_crash_place *place)
{
    uint32_t stored = row->completed_at != 0 ? row->size : srv_crash_stored(core, row);
    if (stored == row->size && row->completed_at == 0) {
        enum kedge_err err = settle(core, row, address);
        if (err != KEDGE_OK && err != KEDGE_ERR_HASH) {
            return err;
        }
        stored = err == KEDGE_OK ? row->size : 0;
    }
    place->next = stored;
    place->is_known = true;
    return KEDGE_OK;
}

static uint32_t new_this_hour(const struct srv_core *core, const struct shelf *shelf)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < shelf->count; i++) {
        count += shelf->rows[i].received_at > srv_wall_ms(core) - HOUR_MS;
    }
    return count;
}

static bool announce_new(struct srv_core *core, const struct srv_device *device,
                         const struct kedge_crash *crash, const char *address,
                         struct srv_refusal *refusal)
{
    struct shelf shelf = {0};
    struct srv_crash_row row;
    enum kedge_err err =
        srv_store_crash_each_of(core->store, device->row.id, SRV_CRASH_ROWS, put_on_shelf, &shelf);
    if (err == KEDGE_OK && new_this_hour(core, &shelf) >= SRV_CRASH_PER_HOUR) {
        return srv_refuse(refusal, 429, "%u new crashes of this device within an hour",
                          SRV_CRASH_PER_HOUR);
    }
    fill_row(core, device, crash, &row);
    if (err == KEDGE_OK) {
        err = write_rows(core, &shelf, &row, address);
    }
    if (err != KEDGE_OK) {
        return srv_refuse_store(refusal, err);
    }
    core->counters.crashes++;
    host_log(HOST_LOG_WARN, "device_crash", "device=%s version=%s reset=%s task=\"%s\" pc=0x%08x",
             row.device_id, row.version, kedge_reset_text(row.reset_reason), row.task, row.pc);
    return true;
}

/* A dump that made way before all of it was here, and whose device still has it. */
static enum kedge_err take_back(struct srv_core *core, struct srv_crash_row *row,
                                const char *address)
{
    struct shelf shelf = {0};
    enum kedge_err err =
        srv_store_crash_each_of(core->store, row->device_id, SRV_CRASH_ROWS, put_on_shelf, &shelf);
    row->has_dump = true;
    return err == KEDGE_OK ? write_rows(core, &shelf, row, address) : err;
}

bool srv_crash_announce(struct srv_core *core, struct srv_device *device,
                        const struct kedge_crash *crash, const char *address,
                        struct srv_crash_place *place, struct srv_refusal *refusal)
{
    char sha256[SRV_SHA256_HEX_SIZE];
    struct srv_crash_row row;
    touch(core, device);
    if (crash->size_bytes > SRV_CRASH_SIZE_MAX) {
        return srv_refuse(refusal, 413, "a core dump of %u bytes: at most %u are taken",
                          crash->size_bytes, SRV_CRASH_SIZE_MAX);
    }
    kedge_hex_encode(crash->sha256, KEDGE_SHA256_SIZE, sha256);
    enum kedge_err err = srv_store_crash_get(core->store, device->row.id, sha256, &row);
    if (err == KEDGE_ERR_NOT_FOUND) {
        *place = (struct srv_crash_place){.is_known = true, .is_new = true};
        return announce_new(core, device, crash, address, refusal);
    }
    if (err == KEDGE_OK && row.size != crash->size_bytes) {
        return srv_refuse(refusal, 422, "that dump has %u bytes, not %u", row.size,
                          crash->size_bytes);
    }
    if (err == KEDGE_OK && !row.has_dump && row.completed_at == 0) {
        err = take_back(core, &row, address);
    }
    if (err == KEDGE_OK) {
        err = locate(core, &row, address, place);
    }
    return err == KEDGE_OK || srv_refuse_store(refusal, err);
}

/* The last piece is in. */
static bool finish(struct srv_core *core, struct srv_crash_row *row, const char *address,
                   struct srv_crash_place *place, struct srv_refusal *refusal)
{
    enum kedge_err err = settle(core, row, address);
    if (err == KEDGE_ERR_HASH) {
        place->next = 0;
        return srv_refuse(refusal, 409, "the whole does not have that SHA-256: begin again");
    }
    return err == KEDGE_OK || srv_refuse_store(refusal, err);
}

static bool check_piece(const struct srv_crash_row *row, const struct srv_crash_piece *piece,
                        struct srv_refusal *refusal)
{
    if (piece->total != row->size) {
        return srv_refuse(refusal, 400, "Content-Range: this dump has %u bytes", row->size);
    }
    if (piece->bytes.len > row->size - piece->first) { /* first < total, which is the size */
        return srv_refuse(refusal, 416, "Content-Range: reaches beyond the dump's end");
    }
    return true;
}

bool srv_crash_append(struct srv_core *core, struct srv_device *device,
                      const struct srv_crash_piece *piece, const char *address,
                      struct srv_crash_place *place, struct srv_refusal *refusal)
{
    struct srv_crash_row row;
    touch(core, device);
    enum kedge_err err = srv_store_crash_get(core->store, device->row.id, piece->sha256, &row);
    if (err == KEDGE_ERR_NOT_FOUND || (err == KEDGE_OK && !row.has_dump && row.completed_at == 0)) {
        return srv_refuse(refusal, 404, "no such crash: announce it with POST /crash");
    }
    if (err == KEDGE_OK) {
        err = locate(core, &row, address, place);
    }
    if (err != KEDGE_OK) {
        return srv_refuse_store(refusal, err);
    }
    if (!check_piece(&row, piece, refusal)) {
        return false;
    }
    if (place->next == row.size) {
        return true; /* said again */
    }
    if (piece->first != place->next) {
        return srv_refuse(refusal, 409, "go on at byte %u", place->next);
    }
    if (!append_file(core, &row, piece)) {
        host_log(HOST_LOG_ERROR, "crash_file_failed", "error=\"%s\"", strerror(errno));
        return srv_refuse(refusal, 507, "the piece could not be stored: ask again later");
    }
    place->next += (uint32_t)piece->bytes.len;
    return place->next < row.size || finish(core, &row, address, place, refusal);
}
