/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"
#include "kedge/crypto.h"

/* The ingest's double: the engine's tests cover the real one. */
void srv_ingest_stats(const struct srv_ingest *ingest, struct srv_ingest_stats *out)
{
    (void)ingest;
    *out = (struct srv_ingest_stats){.connected = true, .received = 7};
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        (void)unlink(path);
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char child[512];
            (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            remove_tree(child);
        }
    }
    (void)closedir(dir);
    (void)rmdir(path);
}

int fixture_setup(void **state)
{
    struct fixture *f = host_calloc(1, sizeof *f);
    char token[128];
    host_log_init("test", HOST_LOG_ERROR);
    (void)snprintf(f->data, sizeof f->data, "/tmp/kedge-core-XXXXXX");
    assert_non_null(mkdtemp(f->data));
    (void)snprintf(token, sizeof token, "%s/admin.token", f->data);
    assert_int_equal(host_fs_write_atomic(token, TOKEN "\n", sizeof TOKEN, 0600), KEDGE_OK);
    f->config = (struct srv_config){
        .data = f->data,
        .admin_token_file = (char *)(uintptr_t) "admin.token",
        .project = (char *)(uintptr_t)PROJECT,
        .poll_interval_ms = 1500,
        .slot_size = 0x1B1000,
        .telemetry_keep_ms = 24ull * 3600 * 1000,
    };
    f->loop = host_loop_create();
    f->core = srv_core_open(f->loop, &f->config);
    assert_non_null(f->core);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    srv_core_close(f->core);
    host_loop_destroy(f->loop);
    remove_tree(f->data);
    free(f->answer.body);
    free(f);
    return 0;
}

static void reopen(struct fixture *f, uint64_t skew_ms)
{
    f->core = srv_core_open(f->loop, &f->config);
    assert_non_null(f->core);
    f->core->skew_ms = skew_ms;
    f->core->opened_ms = srv_guard_ms(f->core);
}

void fixture_restart(struct fixture *f)
{
    uint64_t skew_ms = f->core->skew_ms;
    srv_core_close(f->core);
    reopen(f, skew_ms);
}

void fixture_kill(struct fixture *f)
{
    struct srv_core *old = f->core;
    host_loop_disarm(f->loop, &old->guard_timer);
    host_loop_disarm(f->loop, &old->flush_timer);
    srv_rollouts_free(old);
    srv_devices_free(old);
    srv_releases_free(old);
    srv_store_close(old->store);
    (void)close(old->lock_fd);
    free(old->batch);
    uint64_t skew_ms = old->skew_ms;
    free(old);
    reopen(f, skew_ms);
}

void fixture_pass(struct fixture *f, uint64_t ms)
{
    f->core->skew_ms += ms;
    srv_guard_tick(f->core);
}

/* --- requests ----------------------------------------------------------------------------------
 */

static struct kedge_cspan span_of(const char *text, size_t len)
{
    return (struct kedge_cspan){.data = (const uint8_t *)text, .len = len};
}

static void add_headers(struct srv_request *request, const char *text)
{
    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, "\n");
        const char *colon = memchr(text, ':', len);
        assert_non_null(colon);
        const char *value = colon + 1;
        value += strspn(value, " ");
        assert_true(request->header_count < SRV_HTTP_MAX_HEADERS);
        request->headers[request->header_count++] =
            (struct srv_header){.name = span_of(text, (size_t)(colon - text)),
                                .value = span_of(value, len - (size_t)(value - text))};
        text += len + (text[len] == '\n');
    }
}

static void set_path(struct srv_request *request, const char *path)
{
    size_t len = strcspn(path, "?");
    assert_true(strlen(path) < sizeof request->path);
    memcpy(request->path, path, len);
    if (path[len] == '?') {
        (void)snprintf(request->query, sizeof request->query, "%s", path + len + 1);
    }
}

/* What the engine does with a finished answer. */
static void take_answer(struct fixture *f, struct srv_response *response)
{
    srv_response_settle(response);
    struct answer *answer = &f->answer;
    free(answer->body);
    *answer = (struct answer){.status = response->status};
    (void)snprintf(answer->head, sizeof answer->head, "%s", host_buf_text(&response->head));
    answer->body_len = srv_response_body_len(response);
    answer->body = host_alloc(answer->body_len + 1);
    const void *from = response->mapping != NULL
                           ? (const void *)(response->mapping->data + response->mapping_offset)
                           : response->body.data;
    if (answer->body_len > 0) {
        memcpy(answer->body, from, answer->body_len);
    }
    answer->body[answer->body_len] = '\0';
    if (f->hold_body) {
        f->held = *response;
        return;
    }
    if (response->progress != NULL) {
        response->progress(response->progress_ctx, answer->body_len, true);
    }
    srv_response_free(response);
}

static void dispatch(struct fixture *f, const struct srv_app *app, struct srv_request *request)
{
    char param[256];
    struct srv_response response;
    srv_response_init(&response);
    if (app->authorise(app->ctx, request, &response)) {
        const struct srv_route *route =
            srv_route_find(app, request, param, sizeof param, &response);
        if (route != NULL) {
            request->param = param;
            route->handle(app->ctx, request, &response);
        }
    }
    take_answer(f, &response);
}

static void expect(const struct fixture *f, const char *path, unsigned status)
{
    if (f->answer.status != status) {
        fail_msg("%s: status %u, expected %u: %s", path, f->answer.status, status, f->answer.body);
    }
}

const struct answer *device_request(struct fixture *f, enum srv_method method,
                                    const struct srv_peer *peer, const char *path,
                                    const char *headers, const char *body, unsigned status)
{
    struct srv_request request = {
        .method = method, .is_head = f->is_head, .param = "", .peer = peer};
    set_path(&request, path);
    add_headers(&request, headers);
    if (body != NULL) {
        request.body = span_of(body, strlen(body));
    }
    dispatch(f, srv_core_device_app(f->core), &request);
    expect(f, path, status);
    return &f->answer;
}

static struct srv_peer peer_of(const char *id)
{
    struct srv_peer peer = {.cert_state = SRV_CERT_OK, .address = "10.0.0.1:4711"};
    (void)snprintf(peer.cn, sizeof peer.cn, "%s", id);
    return peer;
}

const struct answer *device_get(struct fixture *f, const char *id, const char *path,
                                const char *headers, unsigned status)
{
    struct srv_peer peer = peer_of(id);
    return device_request(f, SRV_GET, &peer, path, headers, NULL, status);
}

const struct answer *device_post(struct fixture *f, const char *id, const char *path,
                                 const char *body, unsigned status)
{
    struct srv_peer peer = peer_of(id);
    return device_request(f, SRV_POST, &peer, path, NULL, body, status);
}

const struct answer *admin_request(struct fixture *f, enum srv_method method, const char *path,
                                   const char *headers, const char *body, unsigned status)
{
    struct srv_peer peer = {.address = "127.0.0.1:9"};
    struct srv_request request = {.method = method, .param = "", .peer = &peer};
    set_path(&request, path);
    add_headers(&request, headers);
    if (body != NULL) {
        request.body = span_of(body, strlen(body));
    }
    dispatch(f, srv_core_admin_app(f->core), &request);
    expect(f, path, status);
    return &f->answer;
}

#define ADMIN_HEADERS "Authorization: Bearer " TOKEN "\nX-Actor: tester"

const struct answer *admin_get(struct fixture *f, const char *path, unsigned status)
{
    return admin_request(f, SRV_GET, path, ADMIN_HEADERS, NULL, status);
}

const struct answer *admin_post(struct fixture *f, const char *path, const char *body,
                                unsigned status)
{
    return admin_request(f, SRV_POST, path, ADMIN_HEADERS, body, status);
}

const struct answer *upload(struct fixture *f, const void *data, size_t len, size_t chunk,
                            unsigned status)
{
    struct srv_peer peer = {.address = "127.0.0.1:9"};
    struct srv_request request = {.method = SRV_POST, .param = "", .peer = &peer};
    struct srv_response response;
    enum kedge_err err = KEDGE_OK;
    srv_response_init(&response);
    set_path(&request, "/api/v1/releases");
    add_headers(&request, ADMIN_HEADERS);
    void *upload = srv_release_upload.begin(f->core, &request, &response);
    if (upload != NULL) {
        for (size_t at = 0; at < len && err == KEDGE_OK; at += chunk) {
            size_t n = len - at < chunk ? len - at : chunk;
            err = srv_release_upload.write(upload, span_of((const char *)data + at, n));
        }
        srv_release_upload.end(upload, err, &response);
    }
    take_answer(f, &response);
    expect(f, "upload", status);
    return &f->answer;
}

/* --- answers -----------------------------------------------------------------------------------
 */

const char *header(const struct answer *answer, const char *name)
{
    static char value[512];
    size_t name_len = strlen(name);
    for (const char *line = answer->head; *line != '\0';) {
        size_t len = strcspn(line, "\r\n");
        if (len > name_len + 2 && strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
            (void)snprintf(value, sizeof value, "%.*s", (int)(len - name_len - 2),
                           line + name_len + 2);
            return value;
        }
        line += len + strspn(line + len, "\r\n");
    }
    return "";
}

static cJSON *find(const struct answer *answer, const char *path, cJSON **root)
{
    char name[64];
    *root = cJSON_Parse(answer->body);
    cJSON *item = *root;
    while (item != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, path);
        item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, name[0] - '0')
                                   : cJSON_GetObjectItemCaseSensitive(item, name);
        path += len + (path[len] == '.');
    }
    return item;
}

int64_t json_int(const struct answer *answer, const char *path)
{
    cJSON *root;
    cJSON *item = find(answer, path, &root);
    if (!cJSON_IsNumber(item)) {
        fail_msg("no number at %s in %s", path, answer->body);
    }
    int64_t value = (int64_t)item->valuedouble;
    cJSON_Delete(root);
    return value;
}

const char *json_text(const struct answer *answer, const char *path)
{
    static char value[512];
    cJSON *root;
    cJSON *item = find(answer, path, &root);
    if (!cJSON_IsString(item)) {
        fail_msg("no text at %s in %s", path, answer->body);
    }
    (void)snprintf(value, sizeof value, "%s", item->valuestring);
    cJSON_Delete(root);
    return value;
}

/* --- releases and devices ----------------------------------------------------------------------
 */

uint8_t *make_image(uint16_t chip, const char *version, size_t payload, size_t *len)
{
    uint8_t *content = host_calloc(1, payload);
    struct kedge_sha256 sha;
    struct kedge_image_spec spec = {
        .chip_id = chip, .payload = {.data = content, .len = payload}, .append_hash = true};
    uint32_t written = 0;
    for (size_t i = 0; i < payload; i++) {
        content[i] = (uint8_t)(i * 31u + (i >> 8) + (uint8_t)version[0]);
    }
    (void)snprintf(spec.desc.version, sizeof spec.desc.version, "%s", version);
    (void)snprintf(spec.desc.project, sizeof spec.desc.project, "%s", PROJECT);
    kedge_sha256_of(version, strlen(version), spec.desc.elf_sha256);
    uint32_t size = kedge_image_write_size(&spec);
    uint8_t *image = host_alloc(size);
    assert_int_equal(kedge_image_write(&spec, &kedge_sha256_ops, &sha,
                                       (struct kedge_span){.data = image, .len = size}, &written),
                     KEDGE_OK);
    free(content);
    *len = written;
    return image;
}

uint8_t *read_vector(const char *name, size_t *len)
{
    char path[512];
    struct host_buf buf;
    (void)snprintf(path, sizeof path, "%s/%s", KEDGE_VECTORS, name);
    host_buf_init(&buf, 4u * 1024 * 1024);
    assert_int_equal(host_fs_read(path, &buf), KEDGE_OK);
    *len = buf.len;
    return (uint8_t *)buf.data; /* owned by the caller now */
}

void add_release(struct fixture *f, const char *version, char *sha256)
{
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, version, 4096, &len);
    (void)upload(f, image, len, 1000, 201);
    if (sha256 != NULL) {
        (void)snprintf(sha256, SRV_SHA256_HEX_SIZE, "%s", json_text(&f->answer, "sha256"));
    }
    free(image);
}

void add_devices(struct fixture *f, const char *prefix, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"id\":\"%s%02u\",\"chip\":\"esp32\"}", prefix, i);
        (void)admin_post(f, "/api/v1/devices", body, 201);
    }
}

unsigned poll(struct fixture *f, const char *id, const char *version, const char *more)
{
    char headers[512];
    struct srv_peer peer = peer_of(id);
    struct srv_request request = {.param = "", .peer = &peer};
    (void)snprintf(headers, sizeof headers, "X-Device-ID: %s\nX-Current-Version: %s%s%s", id,
                   version, more != NULL ? "\n" : "", more != NULL ? more : "");
    set_path(&request, "/ota/firmware.bin");
    add_headers(&request, headers);
    dispatch(f, srv_core_device_app(f->core), &request);
    return f->answer.status;
}

void report(struct fixture *f, const char *id, unsigned attempt, unsigned seq, const char *sha256,
            const char *state, const char *cause, unsigned status)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"attempt\":%u,\"seq\":%u,\"from\":\"1.0.0\",\"to\":\"1.1.0\","
                   "\"sha256\":\"%s\",\"state\":\"%s\",\"cause\":\"%s\",\"detail\":0}",
                   attempt, seq, sha256, state, cause);
    (void)device_post(f, id, "/ota/report", body, status);
}

unsigned audit_count(struct fixture *f, const char *action)
{
    unsigned count = 0;
    int64_t after = 0;
    for (;;) {
        char path[64];
        (void)snprintf(path, sizeof path, "/api/v1/audit?after=%lld&limit=1000", (long long)after);
        (void)admin_get(f, path, 200);
        cJSON *root = cJSON_Parse(f->answer.body);
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "audit");
        const cJSON *row;
        cJSON_ArrayForEach(row, list)
        {
            count +=
                strcmp(cJSON_GetObjectItemCaseSensitive(row, "action")->valuestring, action) == 0;
            after = (int64_t)cJSON_GetObjectItemCaseSensitive(row, "id")->valuedouble;
        }
        int rows = cJSON_GetArraySize(list);
        cJSON_Delete(root);
        if (rows == 0) {
            return count;
        }
    }
}
