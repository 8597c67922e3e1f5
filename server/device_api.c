/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/parse.h"
#include "range.h"
#include "request.h"

#define RETRY_AFTER_S     30u
#define HEADER_VALUE_SIZE 256u
#define RANGE_VALUE_SIZE  128u

/* --- who may ask ------------------------------------------------------------------------------ */

/* Why this peer is refused, as a static text; NULL = it may ask. */
static const char *refuse_peer(const struct srv_core *core, const struct srv_request *request)
{
    const struct srv_peer *peer = request->peer;
    char id[KEDGE_DEVICE_ID_SIZE] = "";
    bool present = false;
    if (peer->cert_state != SRV_CERT_OK) {
        return "client certificate does not verify";
    }
    if (strcmp(request->path, "/health") == 0) {
        return NULL;
    }
    if (!kedge_device_id_ok(peer->cn, strlen(peer->cn))) {
        return "the certificate's CN is not a device id";
    }
    if (srv_request_header(request, "X-Device-ID", id, sizeof id, &present) != KEDGE_OK ||
        (present && strcmp(id, peer->cn) != 0)) {
        return "X-Device-ID is not the certificate's CN";
    }
    const struct srv_device *device = srv_device_find(core, peer->cn);
    if (device == NULL) {
        return "device is not registered: add it with `kedge device add`";
    }
    if (device->row.revoked_at != 0) {
        return "device is revoked";
    }
    if (device->row.cert_sha256[0] != '\0' &&
        strcmp(device->row.cert_sha256, peer->cert_sha256) != 0) {
        return "device is registered with another certificate";
    }
    return NULL;
}

bool srv_device_authorise(void *ctx, const struct srv_request *request,
                          struct srv_response *response)
{
    struct srv_core *core = ctx;
    const struct srv_peer *peer = request->peer;
    const char *reason = refuse_peer(core, request);
    if (reason == NULL) {
        return true;
    }
    srv_audit_refusal(core, peer->address, reason, peer->cn);
    if (peer->cert_error != NULL) {
        srv_response_error(response, 403, "%s: %s", reason, peer->cert_error);
    } else {
        srv_response_error(response, 403, "%s", reason);
    }
    return false;
}

/* --- what a poll says --------------------------------------------------------------------------
 */

static bool take_version(struct srv_poll *poll, const char *value)
{
    if (strlen(value) >= sizeof poll->version || !srv_is_printable(value)) {
        return false;
    }
    (void)snprintf(poll->version, sizeof poll->version, "%s", value);
    return true;
}

static bool take_chip(struct srv_poll *poll, const char *value)
{
    if (kedge_chip_from_text(value, strlen(value)) == KEDGE_CHIP_INVALID) {
        return false;
    }
    (void)snprintf(poll->chip, sizeof poll->chip, "%s", value);
    return true;
}

static bool take_u32(const char *value, uint64_t min, uint32_t *out, bool *present)
{
    uint64_t number;
    if (host_parse_u64(value, min, UINT32_MAX, &number) != KEDGE_OK) {
        return false;
    }
    *out = (uint32_t)number;
    *present = true;
    return true;
}

static bool take_slot_size(struct srv_poll *poll, const char *value)
{
    return take_u32(value, 1, &poll->slot_size, &poll->has_slot_size);
}

static bool take_secure_version(struct srv_poll *poll, const char *value)
{
    return take_u32(value, 0, &poll->secure_version, &poll->has_secure_version);
}

static bool take_elf_sha256(struct srv_poll *poll, const char *value)
{
    uint8_t digest[KEDGE_SHA256_SIZE];
    if (!kedge_hex_decode(value, strlen(value), digest, sizeof digest)) {
        return false;
    }
    kedge_hex_encode(digest, sizeof digest, poll->elf_sha256);
    return true;
}

/* Tokens of [a-z0-9_-] between commas; blanks around them are allowed. */
static bool take_boot_caps(struct srv_poll *poll, const char *value)
{
    static const char token_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    if (strlen(value) >= sizeof poll->boot_caps) {
        return false;
    }
    poll->has_boot_caps = true;
    (void)snprintf(poll->boot_caps, sizeof poll->boot_caps, "%s", value);
    while (*value != '\0') {
        value += strspn(value, " ");
        size_t len = strspn(value, token_chars);
        poll->is_pending = poll->is_pending || (len == 7 && strncmp(value, "pending", 7) == 0);
        const char *end = value + len + strspn(value + len, " ");
        if (len == 0 || (*end != ',' && *end != '\0') || (*end == ',' && end[1] == '\0')) {
            return false;
        }
        value = *end == ',' ? end + 1 : end;
    }
    return true;
}

static const struct {
    const char *name;
    bool (*take)(struct srv_poll *poll, const char *value);
    bool is_required;
    const char *expected;
} poll_headers[] = {
    {"X-Current-Version", take_version, true, "1 to 32 printable ASCII characters"},
    {"X-Chip", take_chip, false, "a chip such as esp32, esp32s3 or esp32c3"},
    {"X-Slot-Size", take_slot_size, false, "a number of bytes, 1 or more"},
    {"X-Secure-Version", take_secure_version, false, "a number from 0"},
    {"X-App-SHA256", take_elf_sha256, false, "64 hex digits"},
    {"X-Boot-Caps", take_boot_caps, false, "words separated by commas"},
};

static bool parse_poll(const struct srv_request *request, struct srv_poll *poll,
                       struct srv_response *response)
{
    for (size_t i = 0; i < sizeof poll_headers / sizeof poll_headers[0]; i++) {
        char value[HEADER_VALUE_SIZE];
        bool present = false;
        enum kedge_err err =
            srv_request_header(request, poll_headers[i].name, value, sizeof value, &present);
        bool ok = err == KEDGE_OK &&
                  (present ? poll_headers[i].take(poll, value) : !poll_headers[i].is_required);
        if (!ok) {
            srv_response_error(response, 400, "%s: expected %s%s%s", poll_headers[i].name,
                               poll_headers[i].expected, err != KEDGE_OK ? ": " : "",
                               err != KEDGE_OK ? kedge_err_text(err) : "");
            return false;
        }
    }
    return true;
}

/* --- the answer --------------------------------------------------------------------------------
 */

/* Follows the bytes of one answer; freed by the last call. */
struct transfer {
    struct srv_core *core;
    struct srv_member *member;
    uint64_t counted;
    bool is_whole;
};

static void on_progress(void *ctx, uint64_t sent_total, bool done)
{
    struct transfer *transfer = ctx;
    struct srv_core *core = transfer->core;
    struct srv_member *member = transfer->member;
    uint64_t news = sent_total - transfer->counted;
    transfer->counted = sent_total;
    member->row.bytes_sent += news;
    member->dirty = true;
    core->counters.bytes_sent += news;
    if (news > 0) {
        member->device->seen_ms = srv_guard_ms(core); /* a slow download is not silence */
    }
    if (!done) {
        return;
    }
    bool complete = transfer->is_whole && sent_total == member->rollout->release->row.size;
    free(transfer);
    if (complete && member->row.state == FLEET_MEMBER_OFFERED &&
        ++member->full_loads >= SRV_MAX_FULL_LOADS) {
        srv_guard_fail(core, member, "download_loop");
    }
}

static void add_poll_after(const struct srv_core *core, struct srv_response *response)
{
    uint64_t seconds = (core->config->poll_interval_ms + 999u) / 1000u;
    srv_response_header(response, "X-Poll-After", "%llu",
                        (unsigned long long)(seconds > 0 ? seconds : 1u));
}

static void answer_retry(struct srv_response *response, const char *why)
{
    srv_response_error(response, 503, "%s: ask again later", why);
    srv_response_header(response, "Retry-After", "%u", RETRY_AFTER_S);
}

static bool read_range_header(const struct srv_request *request, const char *name, char *value,
                              bool *present, struct srv_response *response)
{
    enum kedge_err err = srv_request_header(request, name, value, RANGE_VALUE_SIZE, present);
    if (err != KEDGE_OK) {
        srv_response_error(response, 400, "%s: %s", name, kedge_err_text(err));
    }
    return err == KEDGE_OK;
}

struct part {
    bool has_range, has_condition;
    char range[RANGE_VALUE_SIZE], condition[RANGE_VALUE_SIZE];
    char none_match[HEADER_VALUE_SIZE];
};

static bool read_part(const struct srv_request *request, struct part *part,
                      struct srv_response *response)
{
    bool present = false;
    uint64_t ignored;
    if (!read_range_header(request, "Range", part->range, &part->has_range, response) ||
        !read_range_header(request, "If-Range", part->condition, &part->has_condition, response)) {
        return false;
    }
    part->has_range = part->has_range && !request->is_head; /* RFC 9110 14.2: GET alone has them */
    if (srv_request_header(request, "If-None-Match", part->none_match, sizeof part->none_match,
                           &present) != KEDGE_OK) {
        srv_response_error(response, 400, "If-None-Match: expected one ETag");
        return false;
    }
    /* Refused before anything is offered on the strength of it. */
    if (part->has_range &&
        srv_range_parse(part->range, UINT64_MAX, &ignored, &ignored) == SRV_RANGE_MALFORMED) {
        srv_response_error(response, 400, "Range: expected bytes=FIRST- or bytes=FIRST-LAST");
        return false;
    }
    return true;
}

/* RFC 9110 13.1.5: a condition that does not match exactly makes the whole file the answer. */
static enum srv_range choose_range(const struct part *part, const struct srv_release *release,
                                   uint64_t *first, uint64_t *last)
{
    char etag[SRV_SHA256_HEX_SIZE + 2u];
    (void)snprintf(etag, sizeof etag, "\"%s\"", release->row.sha256);
    if (!part->has_range || (part->has_condition && strcmp(part->condition, etag) != 0)) {
        return SRV_RANGE_WHOLE;
    }
    return srv_range_parse(part->range, release->row.size, first, last);
}

static void add_image_headers(struct srv_response *response, const struct srv_rollout *rollout,
                              bool is_forced)
{
    const struct srv_release_row *release = &rollout->release->row;
    srv_response_header(response, "Content-Type", "application/octet-stream");
    srv_response_header(response, "ETag", "\"%s\"", release->sha256);
    srv_response_header(response, "X-Firmware-Version", "%s", release->version);
    srv_response_header(response, "X-Firmware-SHA256", "%s", release->sha256);
    srv_response_header(response, "Accept-Ranges", "bytes");
    if (is_forced) {
        srv_response_header(response, "X-Firmware-Force", "1");
    }
}

/* Head and bytes of the answer; false: it is an error. */
static bool fill_image(struct srv_core *core, const struct srv_rollout *rollout,
                       const struct part *part, struct srv_response *response)
{
    uint32_t size = rollout->release->row.size;
    uint64_t first = 0;
    uint64_t last = size - 1u;
    enum srv_range range = choose_range(part, rollout->release, &first, &last);
    if (range == SRV_RANGE_UNSATISFIABLE) {
        srv_response_error(response, 416, "Range: the image has %u bytes", size);
        srv_response_header(response, "Content-Range", "bytes */%u", size);
        return false;
    }
    response->mapping = srv_release_map(core, rollout->release);
    if (response->mapping == NULL) {
        answer_retry(response, "the image cannot be read on the server");
        return false;
    }
    response->mapping_offset = (size_t)first;
    response->mapping_len = (size_t)(last - first + 1u);
    response->status = range == SRV_RANGE_PART ? 206 : 200;
    add_image_headers(response, rollout, rollout->row.force);
    if (range == SRV_RANGE_PART) {
        srv_response_header(response, "Content-Range", "bytes %llu-%llu/%u",
                            (unsigned long long)first, (unsigned long long)last, size);
    }
    return true;
}

static void answer_image(struct srv_core *core, const struct srv_answer *answer,
                         const struct part *part, struct srv_response *response)
{
    struct srv_member *member = answer->member;
    if (!fill_image(core, member->rollout, part, response)) {
        return;
    }
    if (response->mapping_offset == 0 && !answer->is_counted) {
        member->row.downloads++;
        member->dirty = true;
    }
    struct transfer *transfer = host_calloc(1, sizeof *transfer);
    *transfer = (struct transfer){.core = core,
                                  .member = member,
                                  .is_whole = response->mapping_len == response->mapping->size};
    response->progress = on_progress;
    response->progress_ctx = transfer;
}

/* HEAD: what a GET would be answered now. Nothing is offered, so nothing is on record. */
static void answer_head(struct srv_core *core, const struct srv_device *device,
                        const struct srv_poll *poll, const struct part *part,
                        struct srv_response *response)
{
    const struct srv_rollout *rollout = srv_offer_preview(core, device, poll);
    add_poll_after(core, response);
    if (rollout != NULL) {
        (void)fill_image(core, rollout, part, response);
    } else {
        response->status = 304;
    }
}

/* A board does not change its chip: either the registration is wrong, or the board is. */
static bool check_chip(struct srv_core *core, const struct srv_device *device,
                       const struct srv_poll *poll, const struct srv_request *request,
                       struct srv_response *response)
{
    if (poll->chip[0] == '\0' || device->row.chip[0] == '\0' ||
        strcmp(poll->chip, device->row.chip) == 0) {
        return true;
    }
    srv_audit_refusal(core, request->peer->address, "X-Chip is not the registered chip",
                      device->row.id);
    srv_response_error(response, 400, "X-Chip: this device is registered as %s, not %s",
                       device->row.chip, poll->chip);
    return false;
}

static void handle_firmware(void *app, const struct srv_request *request,
                            struct srv_response *response)
{
    struct srv_core *core = app;
    struct srv_device *device = srv_device_find(core, request->peer->cn);
    struct srv_poll poll = {0};
    struct part part = {0};
    struct srv_answer answer;
    if (core->closing) {
        answer_retry(response, "the server is stopping");
        return;
    }
    if (!parse_poll(request, &poll, response) || !read_part(request, &part, response) ||
        !check_chip(core, device, &poll, request, response)) {
        return;
    }
    poll.has_range = part.has_range;
    poll.none_match = part.none_match;
    if (request->is_head) {
        answer_head(core, device, &poll, &part, response);
        return;
    }
    enum kedge_err err = srv_offer(core, device, &poll, request->peer->address, &answer);
    if (err != KEDGE_OK) {
        answer_retry(response, "the server cannot write its database");
        return;
    }
    add_poll_after(core, response);
    if (answer.offer == FLEET_OFFER_IMAGE) {
        answer_image(core, &answer, &part, response);
    } else {
        response->status = 304;
    }
}

static void handle_report(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    struct srv_core *core = app;
    struct srv_device *device = srv_device_find(core, request->peer->cn);
    struct kedge_report report;
    struct kedge_fault fault = {0};
    bool is_repeat = false;
    enum kedge_err err = kedge_report_parse(request->body, &report, &fault);
    if (err != KEDGE_OK) {
        srv_response_error(response, 400, "report: %s: %s at offset %u", kedge_err_text(err),
                           fault.what != NULL ? fault.what : "body", fault.at);
        return;
    }
    err = srv_report(core, device, &report, request->peer->address, &is_repeat);
    if (err == KEDGE_ERR_NOT_FOUND) {
        srv_response_error(response, 404, "report: no release has that sha256");
    } else if (err != KEDGE_OK) {
        answer_retry(response, "the server cannot write its database");
    } else {
        response->status = 200;
        host_buf_printf(&response->body, "{\"repeat\":%s}", is_repeat ? "true" : "false");
        srv_response_header(response, "Content-Type", "application/json");
    }
}

static void handle_health(void *app, const struct srv_request *request,
                          struct srv_response *response)
{
    const struct srv_core *core = app;
    (void)request;
    if (core->closing) {
        answer_retry(response, "the server is stopping");
        return;
    }
    response->status = 200;
    host_buf_printf(&response->body, "ok\n");
    srv_response_header(response, "Content-Type", "text/plain");
}

const struct srv_route srv_device_routes[] = {
    {SRV_GET, "/ota/firmware.bin", handle_firmware, NULL},
    {SRV_POST, "/ota/report", handle_report, NULL},
    {SRV_POST, "/crash", srv_crash_handle_announce, NULL},
    {SRV_POST, "/crash/dump", srv_crash_handle_piece, NULL},
    {SRV_GET, "/health", handle_health, NULL},
    {SRV_GET, NULL, NULL, NULL},
};
