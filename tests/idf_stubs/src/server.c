/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kedge/crypto.h"

/* The OTA server: docs/device-api.md, for one device. */

const char *stub_call_header(const struct stub_call *call, const char *name)
{
    for (uint32_t i = 0; i < call->header_count; i++) {
        if (strcmp(call->headers[i].name, name) == 0) {
            return call->headers[i].value;
        }
    }
    return "";
}

__attribute__((format(printf, 3, 4))) static void
add_header(struct stub_answer *answer, const char *name, const char *format, ...)
{
    struct stub_header *header = &answer->headers[answer->header_count++];
    va_list args;

    (void)snprintf(header->name, sizeof header->name, "%s", name);
    va_start(args, format);
    (void)vsnprintf(header->value, sizeof header->value, format, args);
    va_end(args);
}

/* ---- firmware ---- */

static void etag_of(const struct stub_release *release, char etag[2 * KEDGE_SHA256_SIZE + 3])
{
    char hex[2 * KEDGE_SHA256_SIZE + 1];

    kedge_hex_encode(release->sha256, KEDGE_SHA256_SIZE, hex);
    (void)snprintf(etag, 2 * KEDGE_SHA256_SIZE + 3, "\"%s\"", hex);
}

static bool was_refused(const struct stub_server *server)
{
    for (uint32_t i = 0; i < server->report_count; i++) {
        const struct kedge_report *report = &server->reports[i];

        if ((report->state == KEDGE_REPORT_ROLLED_BACK || report->state == KEDGE_REPORT_REJECTED) &&
            memcmp(report->sha256, server->release.sha256, KEDGE_SHA256_SIZE) == 0) {
            return !server->is_stubborn;
        }
    }
    return false;
}

static bool is_offered(const struct stub_server *server, const struct stub_call *call,
                       const char *etag)
{
    return server->release.file.data != NULL && !was_refused(server) &&
           strcmp(stub_call_header(call, "If-None-Match"), etag) != 0 &&
           strcmp(stub_call_header(call, "X-Current-Version"), server->release.version) != 0;
}

/* "bytes=4096-", of the same file; 0 = the whole file. */
static uint32_t range_start(const struct stub_call *call, const char *etag)
{
    const char *range = stub_call_header(call, "Range");

    return strncmp(range, "bytes=", 6) == 0 && strcmp(stub_call_header(call, "If-Range"), etag) == 0
               ? (uint32_t)strtoul(range + 6, NULL, 10)
               : 0;
}

static void answer_poll(struct stub_world *world, const struct stub_call *call,
                        struct stub_answer *answer)
{
    const struct stub_release *release = &world->server.release;
    uint32_t size = (uint32_t)release->file.len;
    char etag[2 * KEDGE_SHA256_SIZE + 3];
    char sha256[2 * KEDGE_SHA256_SIZE + 1];
    uint32_t start;

    etag_of(release, etag);
    if (world->server.poll_after_s > 0) {
        add_header(answer, "X-Poll-After", "%u", world->server.poll_after_s);
    }
    if (!is_offered(&world->server, call, etag)) {
        answer->status = 304;
        return;
    }
    start = range_start(call, etag);
    answer->status = start > 0 ? 206 : 200;
    answer->body = (struct kedge_cspan){release->file.data + start, size - start};
    kedge_hex_encode(release->sha256, KEDGE_SHA256_SIZE, sha256);
    add_header(answer, "ETag", "%s", etag);
    add_header(answer, "X-Firmware-Version", "%s", release->version);
    add_header(answer, "X-Firmware-SHA256", "%s", sha256);
    if (start > 0) {
        add_header(answer, "Content-Range", "bytes %u-%u/%u", start, size - 1u, size);
    }
    if (release->force) {
        add_header(answer, "X-Firmware-Force", "1");
    }
}

/* ---- reports ---- */

static void answer_report(struct stub_world *world, const struct stub_call *call,
                          struct stub_answer *answer)
{
    static const char body[] = "{\"repeat\":false}";
    struct stub_server *server = &world->server;
    struct kedge_report report;
    struct kedge_fault fault;

    if (kedge_report_parse(call->body, &report, &fault) != KEDGE_OK) {
        stub_fail("a report is malformed: %s", fault.what);
    }
    answer->status = 200;
    answer->body = (struct kedge_cspan){(const uint8_t *)body, sizeof body - 1};
    for (uint32_t i = 0; i < server->report_count; i++) {
        if (server->reports[i].attempt == report.attempt && server->reports[i].seq == report.seq) {
            return;
        }
    }
    if (server->report_count == STUB_REPORTS) {
        stub_fail("reports without end");
    }
    server->reports[server->report_count++] = report;
}

/* ---- core dumps ---- */

static void answer_crash(struct stub_world *world, const struct stub_call *call,
                         struct stub_answer *answer)
{
    struct stub_server *server = &world->server;
    struct kedge_fault fault;

    if (kedge_crash_parse(call->body, &server->crash, &fault) != KEDGE_OK ||
        server->crash.size_bytes > STUB_DUMP_SIZE) {
        stub_fail("a crash is malformed");
    }
    server->crash_count++;
    answer->status = 200;
    add_header(answer, "X-Crash-Offset", "%u", server->dump_len);
}

static void answer_piece(struct stub_world *world, const struct stub_call *call,
                         struct stub_answer *answer)
{
    struct stub_server *server = &world->server;
    uint8_t sha256[KEDGE_SHA256_SIZE];
    char expected[64];

    (void)snprintf(expected, sizeof expected, "bytes %u-%zu/%u", server->dump_len,
                   server->dump_len + call->body.len - 1u, server->crash.size_bytes);
    if (strcmp(stub_call_header(call, "Content-Range"), expected) != 0 ||
        strcmp(stub_call_header(call, "Content-Type"), "application/octet-stream") != 0) {
        stub_fail("a piece of a core dump does not fit: not %s", expected);
    }
    memcpy(&server->dump[server->dump_len], call->body.data, call->body.len);
    server->dump_len += (uint32_t)call->body.len;
    if (server->dump_len == server->crash.size_bytes) {
        kedge_sha256_of(server->dump, server->dump_len, sha256);
        if (memcmp(sha256, server->crash.sha256, sizeof sha256) != 0) {
            stub_fail("a core dump is not what was announced");
        }
        server->dumps++;
    }
    answer->status = 200;
    add_header(answer, "X-Crash-Offset", "%u", server->dump_len);
}

static const struct {
    const char *path;
    void (*answer)(struct stub_world *world, const struct stub_call *call,
                   struct stub_answer *answer);
} paths[] = {
    {"/ota/firmware.bin", answer_poll},
    {"/ota/report", answer_report},
    {"/crash", answer_crash},
    {"/crash/dump", answer_piece},
};

static bool is_odd(struct stub_server *server, const struct stub_call *call)
{
    if (server->odd_path == NULL || server->odd_times == 0 ||
        strcmp(server->odd_path, call->path) != 0) {
        return false;
    }
    server->odd_times--;
    return true;
}

void stub_server_answer(struct stub_world *world, const struct stub_call *call,
                        struct stub_answer *answer)
{
    *answer = (struct stub_answer){.status = 404};
    if (is_odd(&world->server, call)) {
        answer->status = world->server.odd_status;
        if (world->server.odd_header != NULL) {
            add_header(answer, world->server.odd_header, "%s", world->server.odd_value);
        }
        return;
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(paths[i].path, call->path) == 0) {
            paths[i].answer(world, call, answer);
        }
    }
}
