/* SPDX-License-Identifier: Apache-2.0 */
#include "world_internal.h"

#include <stdio.h>
#include <string.h>

#include "kedge/crypto.h"

/* The server of a world, and the proxy in front of it: what a request is going to be answered. */

static const char *find_header(const struct kedge_http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return "";
}

static bool same_report(const struct kedge_report *a, const struct kedge_report *b)
{
    return a->state == b->state && a->cause == b->cause && a->detail == b->detail &&
           strcmp(a->to, b->to) == 0 && memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

static uint16_t take_report(struct sim_world *world, const struct kedge_http_request *request)
{
    struct sim_world_reports *reports = &world->reports;
    struct kedge_report report;
    struct kedge_fault fault;

    if (kedge_report_parse((struct kedge_cspan){(const uint8_t *)request->body, request->body_len},
                           &report, &fault) != KEDGE_OK) {
        world_violate(world, "a report is malformed");
        return 400;
    }
    for (uint32_t i = 0; i < reports->count; i++) {
        if (reports->reports[i].attempt == report.attempt &&
            reports->reports[i].seq == report.seq) {
            bool is_same = same_report(&reports->reports[i], &report);

            reports->repeats += is_same;
            if (!is_same) {
                world_violate(world, "two reports with one number say different things");
            }
            return 200;
        }
    }
    if (reports->count < SIM_WORLD_REPORTS) {
        reports->reports[reports->count++] = report;
    } else {
        world_violate(world, "reports without end");
    }
    if (report.state == KEDGE_REPORT_COMMITTED && world->tried != NULL &&
        strcmp(world->tried->version, report.to) == 0) {
        snprintf(world->committed, sizeof world->committed, "%s", report.to);
        world->tried = NULL;
    }
    return 200;
}

/* A device that reported the file as bad is not offered it again. */
static bool was_refused(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->reports.count; i++) {
        const struct kedge_report *report = &world->reports.reports[i];

        if ((report->state == KEDGE_REPORT_ROLLED_BACK || report->state == KEDGE_REPORT_REJECTED) &&
            memcmp(report->sha256, world->release->sha256, KEDGE_SHA256_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t range_start(const struct sim_world *world, const struct kedge_http_request *request)
{
    const char *range = find_header(request, "Range");
    char etag[2 * KEDGE_SHA256_SIZE + 1];
    uint32_t start = 0;

    kedge_hex_encode(world->release->sha256, KEDGE_SHA256_SIZE, etag);
    if (strncmp(range, "bytes=", 6) != 0 ||
        strncmp(find_header(request, "If-Range") + 1, etag, sizeof etag - 1) != 0) {
        return 0;
    }
    for (range += 6; *range >= '0' && *range <= '9'; range++) {
        start = start * 10u + (uint32_t)(*range - '0');
    }
    return start < world->release->file.len ? start : 0;
}

static void answer_poll(struct sim_world *world, const struct kedge_http_request *request)
{
    static const uint8_t other_etag[KEDGE_SHA256_SIZE] = {1, 2, 3};
    struct kedge_http_response *response = &world->response;
    const struct sim_world_release *release = world->release;

    if (release == NULL || (!world->stubborn && was_refused(world)) ||
        find_header(request, "If-None-Match")[0] != '\0' ||
        strcmp(find_header(request, "X-Current-Version"), release->version) == 0) {
        response->status = 304;
        return;
    }
    world->tried = release;
    world->body_at = range_start(world, request);
    world->body_end = (uint32_t)release->file.len;
    world->body = release->file;
    const uint8_t *etag = release->sha256;

    if (world->config.bad_proxy && world->body_at > 0) {
        world->ranges++;
        if (world->ranges == 1) {
            world->body = world->config.factory;
            etag = other_etag;
        } else if (world->ranges == 2) {
            world->body_at = 0;
            world->break_after = 0; /* and this time all of it comes through */
        }
    }
    response->status = world->body_at > 0 ? 206 : 200;
    response->has_content_length = true;
    response->content_length = world->body_end - world->body_at;
    response->has_content_range = world->body_at > 0;
    response->range_first = world->body_at;
    response->range_last = world->body_end - 1u;
    response->range_total = world->body_end;
    response->has_sha256 = true;
    response->has_etag = true;
    memcpy(response->sha256, etag, KEDGE_SHA256_SIZE);
    memcpy(response->etag_sha256, etag, KEDGE_SHA256_SIZE);
    snprintf(response->version, sizeof response->version, "%s", release->version);
}

/* ---- core dumps ---- */

static void answer_offset(struct sim_world *world, uint16_t status)
{
    world->response.status = status;
    world->response.has_crash_offset = true;
    world->response.crash_offset = world->dump.len;
}

static void take_crash(struct sim_world *world, const struct kedge_http_request *request)
{
    struct kedge_crash crash;
    struct kedge_fault fault;

    if (kedge_crash_parse((struct kedge_cspan){(const uint8_t *)request->body, request->body_len},
                          &crash, &fault) != KEDGE_OK ||
        crash.size_bytes > sizeof world->dump.bytes) {
        world_violate(world, "a crash is malformed");
        world->response.status = 400;
        return;
    }
    if (world->dump.size != crash.size_bytes ||
        memcmp(world->dump.sha256, crash.sha256, KEDGE_SHA256_SIZE) != 0) {
        world->dump.size = crash.size_bytes;
        world->dump.len = 0;
        memcpy(world->dump.sha256, crash.sha256, KEDGE_SHA256_SIZE);
    }
    answer_offset(world, 200);
}

static void take_piece(struct sim_world *world, const struct kedge_http_request *request)
{
    struct sim_world_dump *dump = &world->dump;
    uint8_t sha[KEDGE_SHA256_SIZE];
    char expected[64];

    snprintf(expected, sizeof expected, "bytes %u-%u/%u", dump->len,
             dump->len + (uint32_t)request->body_len - 1u, dump->size);
    if (strcmp(find_header(request, "Content-Range"), expected) != 0 ||
        request->body_len > dump->size - dump->len) {
        world_violate(world, "a piece of a core dump does not fit");
        answer_offset(world, 409);
        return;
    }
    memcpy(dump->bytes + dump->len, request->body, request->body_len);
    dump->len += (uint32_t)request->body_len;
    if (dump->len == dump->size) {
        kedge_sha256_of(dump->bytes, dump->len, sha);
        if (memcmp(sha, dump->sha256, sizeof sha) != 0) {
            world_violate(world, "a core dump is not what was announced");
        }
        dump->delivered++;
    }
    answer_offset(world, 200);
}

static void answer_report(struct sim_world *world, const struct kedge_http_request *request)
{
    world->response.status = take_report(world, request);
}

static const struct {
    const char *path;
    void (*answer)(struct sim_world *world, const struct kedge_http_request *request);
} paths[] = {
    {"/ota/firmware.bin", answer_poll},
    {"/ota/report", answer_report},
    {"/crash", take_crash},
    {"/crash/dump", take_piece},
};

void world_open_request(struct sim_world *world, const struct kedge_http_request *request)
{
    world->response = (struct kedge_http_response){0};
    world->body_at = 0;
    world->body_end = 0;
    world->reply_ms = world->now_ms + ROUND_TRIP_MS;
    if (world->server_down || sim_board_firmware(world->board)->no_server) {
        world->reply = REPLY_FAIL;
        return;
    }
    world->reply = REPLY_HEAD;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(paths[i].path, request->path) == 0) {
            paths[i].answer(world, request);
        }
    }
}
