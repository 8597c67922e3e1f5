/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"
#include "kedge/crypto.h"
#include "request.h"

/* Streamed upload of a release: bytes go to a temporary file, through the image parser and the
 * hash as they come. Power lost before the rename: a leftover in tmp/, removed at start; after it
 * and before the commit: a file without a row, replaced by the next upload of the same image. */

#define UPLOAD_PATH_SIZE 640u

struct upload {
    struct srv_core *core;
    int fd;
    char path[UPLOAD_PATH_SIZE];
    char actor[SRV_ACTOR_SIZE];
    char address[SRV_ADDRESS_SIZE];
    char notes[SRV_NOTES_SIZE];
    uint64_t size;
    int write_errno;
    bool too_large;
    struct kedge_sha256 whole, body; /* of the file; of the image, for the parser */
    struct kedge_image_parser parser;
};

static void *upload_begin(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    struct srv_core *core = app;
    if (request->has_content_length && request->content_length > core->config->slot_size) {
        srv_response_error(response, 413,
                           "the image is %llu bytes, a slot holds %llu: make it smaller, or set "
                           "slot-size when the devices have larger slots",
                           (unsigned long long)request->content_length,
                           (unsigned long long)core->config->slot_size);
        return NULL;
    }
    struct upload *upload = host_calloc(1, sizeof *upload);
    upload->core = core;
    bool present;
    if (srv_request_header(request, "X-Release-Notes", upload->notes, sizeof upload->notes,
                           &present) != KEDGE_OK) {
        srv_response_error(response, 400, "X-Release-Notes: expected up to %u characters of text",
                           SRV_NOTES_SIZE - 1u);
        free(upload);
        return NULL;
    }
    srv_request_actor(request, upload->actor);
    (void)snprintf(upload->address, sizeof upload->address, "%s", request->peer->address);
    (void)snprintf(upload->path, sizeof upload->path, "%s/upload-XXXXXX", core->tmp_dir);
    upload->fd = mkstemp(upload->path);
    if (upload->fd < 0) {
        srv_response_error(response, 507, "cannot create a file in %s: %s", core->tmp_dir,
                           strerror(errno));
        free(upload);
        return NULL;
    }
    kedge_sha256_init(&upload->whole);
    kedge_image_parser_init(&upload->parser, &kedge_sha256_ops, &upload->body);
    return upload;
}

static enum kedge_err upload_write(void *ctx, struct kedge_cspan bytes)
{
    struct upload *upload = ctx;
    uint64_t at = upload->size;
    upload->size += bytes.len;
    if (upload->size > upload->core->config->slot_size) {
        upload->too_large = true;
        return KEDGE_ERR_TOO_LARGE;
    }
    enum kedge_err err = kedge_image_parser_feed(&upload->parser, bytes);
    if (err != KEDGE_OK) {
        return err;
    }
    kedge_sha256_update(&upload->whole, bytes.data, bytes.len);
    if (!host_fs_write_at(upload->fd, bytes.data, bytes.len, at)) {
        upload->write_errno = errno;
        return KEDGE_ERR_IO;
    }
    return KEDGE_OK;
}

static void upload_abort(void *ctx)
{
    struct upload *upload = ctx;
    (void)close(upload->fd);
    (void)unlink(upload->path);
    free(upload);
}

static bool refuse_write(struct srv_refusal *refusal, int error)
{
    bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return srv_refuse(refusal, 507, "the image could not be stored: %s; %s", strerror(error),
                      is_full ? "free some space and upload it again"
                              : "see kedged's log, then upload it again");
}

static bool refuse_image(struct srv_refusal *refusal, const struct kedge_fault *fault)
{
    char numbers[64] = "";
    if (fault->found != fault->expected) {
        (void)snprintf(numbers, sizeof numbers, ", found 0x%x, expected 0x%x", fault->found,
                       fault->expected);
    }
    return srv_refuse(refusal, 400,
                      "not a valid ESP application image: %s at offset %u (0x%x): %s%s",
                      kedge_err_text(fault->err), fault->at, fault->at,
                      fault->what != NULL ? fault->what : "image", numbers);
}

/* The trailer is 0xFF up to the next sector, then one signature sector; every block in it must hold
 * for the bytes before the sector. Whose keys they are is not judged here. */
static bool check_signature(const uint8_t *file, uint32_t size, uint32_t image_len,
                            struct srv_refusal *refusal)
{
    uint32_t sector = size - KEDGE_SIG_SECTOR_SIZE;
    for (uint32_t at = image_len; at < sector; at++) {
        if (file[at] != 0xFF) {
            return srv_refuse(refusal, 400,
                              "trailing bytes at offset %u: expected 0xFF up to the signature "
                              "sector, found 0x%02x",
                              at, file[at]);
        }
    }
    struct kedge_sig_sector parsed;
    struct kedge_fault fault = {0};
    struct kedge_cspan bytes = {.data = file + sector, .len = KEDGE_SIG_SECTOR_SIZE};
    enum kedge_err err = kedge_sig_parse(bytes, &parsed, &fault);
    if (err != KEDGE_OK) {
        return srv_refuse(refusal, 400, "signature sector: %s at offset %u: %s",
                          kedge_err_text(err), sector + fault.at,
                          fault.what != NULL ? fault.what : "sector");
    }
    uint8_t digest[KEDGE_SHA256_SIZE];
    kedge_sha256_of(file, sector, digest);
    for (uint32_t i = 0; i < parsed.count; i++) {
        err = kedge_sig_verify(&parsed.blocks[i], digest, NULL);
        if (err != KEDGE_OK) {
            return srv_refuse(refusal, 400, "signature block %u at offset %u: %s", i,
                              sector + i * KEDGE_SIG_BLOCK_SIZE, kedge_err_text(err));
        }
    }
    return true;
}

static bool read_back(const struct upload *upload, uint8_t *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(upload->fd, out + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static bool check_trailer(const struct upload *upload, const struct kedge_image_info *info,
                          struct srv_refusal *refusal)
{
    if (info->trailer_len == 0) {
        return true;
    }
    uint32_t size = (uint32_t)upload->size;
    if (info->trailer_len < KEDGE_SIG_SECTOR_SIZE || size % KEDGE_SIG_SECTOR_SIZE != 0 ||
        info->trailer_len >= 2u * KEDGE_SIG_SECTOR_SIZE) {
        return srv_refuse(refusal, 400,
                          "%u bytes follow the image at offset %u: only a signature sector may "
                          "(padded with 0xFF to a multiple of 4096)",
                          info->trailer_len, info->image_len);
    }
    uint8_t *file = host_alloc(size);
    bool ok = read_back(upload, file, size) ? check_signature(file, size, info->image_len, refusal)
                                            : refuse_write(refusal, errno);
    free(file);
    return ok;
}

static bool check_identity(const struct srv_core *core, const struct kedge_image_info *info,
                           struct srv_refusal *refusal)
{
    const char *project = core->config->project;
    const struct kedge_app_desc *desc = &info->desc;
    if (kedge_chip_text(info->chip_id) == NULL) {
        return srv_refuse(refusal, 400, "chip id 0x%04x at offset 12 is not a chip that we know",
                          info->chip_id);
    }
    if (project != NULL && project[0] != '\0' && strcmp(project, desc->project) != 0) {
        return srv_refuse(refusal, 400,
                          "project name at offset 80 is \"%s\", this server takes \"%s\"",
                          desc->project, project);
    }
    if (desc->version[0] == '\0') {
        return srv_refuse(refusal, 400, "version at offset 48 is empty: set PROJECT_VER");
    }
    if (!srv_is_printable(desc->version) || !srv_is_printable(desc->project)) {
        return srv_refuse(refusal, 400,
                          "version (offset 48) or project name (offset 80) has characters that are "
                          "not printable ASCII");
    }
    return true;
}

/* Same bytes: *existing. Same name with other bytes: refused, releases are immutable. */
static bool check_known(const struct srv_core *core, const struct srv_release_row *row,
                        struct srv_release **existing, struct srv_refusal *refusal)
{
    *existing = srv_release_by_sha256(core, row->sha256);
    if (*existing != NULL) {
        return true;
    }
    for (uint32_t i = 0; i < core->release_count; i++) {
        const struct srv_release_row *other = &core->releases[i]->row;
        if (strcmp(other->project, row->project) == 0 && strcmp(other->chip, row->chip) == 0 &&
            strcmp(other->version, row->version) == 0) {
            return srv_refuse(refusal, 409,
                              "version %s for %s is there already with other bytes (sha256 %s): "
                              "releases never change, give the image a new version",
                              row->version, row->chip, other->sha256);
        }
    }
    return true;
}

static void fill_row(const struct upload *upload, const struct kedge_image_info *info,
                     struct srv_release_row *row)
{
    struct kedge_sha256 whole = upload->whole;
    uint8_t digest[KEDGE_SHA256_SIZE];
    kedge_sha256_final(&whole, digest);
    kedge_hex_encode(digest, sizeof digest, row->sha256);
    kedge_hex_encode(info->desc.elf_sha256, KEDGE_SHA256_SIZE, row->elf_sha256);
    memcpy(row->project, info->desc.project, sizeof row->project);
    memcpy(row->version, info->desc.version, sizeof row->version);
    (void)snprintf(row->chip, sizeof row->chip, "%s", kedge_chip_text(info->chip_id));
    row->secure_version = info->desc.secure_version;
    row->size = (uint32_t)upload->size;
    memcpy(row->notes, upload->notes, sizeof row->notes);
    memcpy(row->created_by, upload->actor, sizeof row->created_by);
    row->created_at = srv_wall_ms(upload->core);
}

static bool check(const struct upload *upload, enum kedge_err err, struct srv_release_row *row,
                  struct srv_release **existing, struct srv_refusal *refusal)
{
    const struct srv_core *core = upload->core;
    struct kedge_image_parser parser = upload->parser;
    struct kedge_image_info info;
    if (upload->write_errno != 0) {
        return refuse_write(refusal, upload->write_errno);
    }
    if (upload->too_large) {
        return srv_refuse(refusal, 413, "the image is larger than a slot (%llu bytes)",
                          (unsigned long long)core->config->slot_size);
    }
    if (upload->size == 0) {
        return srv_refuse(refusal, 400, "the image is empty: 0 bytes were sent");
    }
    enum kedge_err end = kedge_image_parser_end(&parser, &info);
    if (end != KEDGE_OK) {
        parser.fault.err = end;
        return refuse_image(refusal, &parser.fault);
    }
    if (err != KEDGE_OK) {
        return srv_refuse(refusal, 400, "the upload broke off: %s", kedge_err_text(err));
    }
    if (!check_trailer(upload, &info, refusal) || !check_identity(core, &info, refusal)) {
        return false;
    }
    fill_row(upload, &info, row);
    return check_known(core, row, existing, refusal);
}

/* The file is durable under its final name before the row is. */
static bool store_file(const struct upload *upload, const char *path, struct srv_refusal *refusal)
{
    if (fsync(upload->fd) != 0 || rename(upload->path, path) != 0) {
        return refuse_write(refusal, errno);
    }
    if (host_fs_sync_dir(upload->core->releases_dir) != KEDGE_OK) {
        int error = errno;
        (void)unlink(path);
        return refuse_write(refusal, error);
    }
    return true;
}

static enum kedge_err write_row(const struct upload *upload, struct srv_release_row *row)
{
    struct srv_core *core = upload->core;
    struct srv_actor actor = {.name = upload->actor, .address = upload->address};
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "sha256", row->sha256);
    (void)cJSON_AddStringToObject(detail, "chip", row->chip);
    srv_json_int(detail, "size", row->size);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_release_insert(core->store, row, &row->id);
    }
    err = srv_audit(core, err, &actor, "release.add", row->version, detail);
    return srv_core_finish(core, err);
}

static bool store_release(const struct upload *upload, struct srv_release_row *row,
                          struct srv_refusal *refusal)
{
    char path[UPLOAD_PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s/%s.bin", upload->core->releases_dir, row->sha256);
    if (len < 0 || (size_t)len >= sizeof path) {
        return srv_refuse(refusal, 500, "the data folder's path is too long");
    }
    if (!store_file(upload, path, refusal)) {
        return false;
    }
    enum kedge_err err = write_row(upload, row);
    if (err != KEDGE_OK) {
        (void)unlink(path);
        return srv_refuse_store(refusal, err);
    }
    srv_release_append(upload->core, row);
    return true;
}

/* The same image again puts back a file that has gone missing since. */
static bool restore_file(const struct upload *upload, const struct srv_release *release,
                         struct srv_refusal *refusal)
{
    char path[UPLOAD_PATH_SIZE];
    struct stat info;
    int len =
        snprintf(path, sizeof path, "%s/%s.bin", upload->core->releases_dir, release->row.sha256);
    if (len < 0 || (size_t)len >= sizeof path ||
        (stat(path, &info) == 0 && info.st_size == (off_t)release->row.size)) {
        return true;
    }
    return store_file(upload, path, refusal);
}

static void upload_end(void *ctx, enum kedge_err err, struct srv_response *response)
{
    struct upload *upload = ctx;
    struct srv_core *core = upload->core;
    struct srv_release_row row = {0};
    struct srv_release *release = NULL;
    struct srv_refusal refusal = {0};
    bool ok = check(upload, err, &row, &release, &refusal);
    bool is_new = ok && release == NULL;
    if (is_new) {
        ok = store_release(upload, &row, &refusal);
        release = ok ? core->releases[core->release_count - 1u] : NULL;
    } else if (ok) {
        ok = restore_file(upload, release, &refusal);
    }
    if (ok) {
        srv_json_answer(response, is_new ? 201 : 200, srv_json_release(release));
        host_log(HOST_LOG_INFO, "release_added", "version=%s chip=%s sha256=%s new=%d",
                 release->row.version, release->row.chip, release->row.sha256, is_new);
    } else {
        srv_response_error(response, refusal.status, "%s", refusal.text);
    }
    upload_abort(upload); /* after a rename there is no temporary left to remove */
}

const struct srv_upload_ops srv_release_upload = {
    .begin = upload_begin,
    .write = upload_write,
    .end = upload_end,
    .abort = upload_abort,
};
