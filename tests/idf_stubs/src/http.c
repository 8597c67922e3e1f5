/* SPDX-License-Identifier: Apache-2.0 */
#include "esp_http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stub.h"

/*
 * esp_http_client as far as a request goes by open, write, fetch_headers and read. What a port may
 * get wrong is in it: headers stay until they are deleted, a connection is used again until it is
 * closed, an answer that was not read stays in it.
 */
#define BODY_MAX 4096u

struct esp_http_client {
    http_event_handle_cb on_event;
    void *user_data;
    int timeout_ms;
    char path[64];
    bool is_post;
    uint32_t header_count;
    struct stub_header headers[STUB_HEADERS];
    /* the connection */
    bool is_connected;
    uint32_t requests; /* on it */
    /* the request */
    int body_len; /* as announced */
    int body_sent;
    uint8_t body[BODY_MAX];
    struct stub_request *seen;
    struct stub_answer answer;
    size_t taken;
    bool has_head;
};

static void let_pass(void)
{
    uint32_t latency_ms = stub_now->server.latency_ms;

    stub_sleep_ms(latency_ms > 0 ? latency_ms : 20);
}

static bool is_read_out(const struct esp_http_client *client)
{
    return client->has_head && client->taken == client->answer.body.len;
}

/* ---- set up ---- */

static void note_client(const esp_http_client_config_t *config)
{
    struct stub_server *server = &stub_now->server;

    server->clients++;
    server->client_saves_session = config->save_client_session;
    server->client_has_identity = config->client_cert_pem != NULL && config->client_key_pem != NULL;
    server->client_redirects = !config->disable_auto_redirect;
    (void)snprintf(server->client_url, sizeof server->client_url, "%s", config->url);
    (void)snprintf(server->client_ca, sizeof server->client_ca, "%s",
                   config->cert_pem != NULL ? config->cert_pem : "");
}

esp_http_client_handle_t esp_http_client_init(const esp_http_client_config_t *config)
{
    struct esp_http_client *client;

    STUB_FAULT_NULL;
    note_client(config);
    client = calloc(1, sizeof *client);
    if (client != NULL) {
        client->on_event = config->event_handler;
        client->user_data = config->user_data;
        client->timeout_ms = config->timeout_ms;
    }
    return client;
}

esp_err_t esp_http_client_set_url(esp_http_client_handle_t client, const char *url)
{
    const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
    const char *path = host != NULL ? strchr(host, '/') : NULL;

    STUB_FAULT(esp_err_t);
    if (path == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    (void)snprintf(client->path, sizeof client->path, "%s", path);
    return ESP_OK;
}

esp_err_t esp_http_client_set_method(esp_http_client_handle_t client,
                                     esp_http_client_method_t method)
{
    STUB_FAULT(esp_err_t);
    client->is_post = method == HTTP_METHOD_POST;
    return ESP_OK;
}

esp_err_t esp_http_client_set_timeout_ms(esp_http_client_handle_t client, int timeout_ms)
{
    STUB_FAULT(esp_err_t);
    client->timeout_ms = timeout_ms;
    return ESP_OK;
}

static struct stub_header *find_header(struct esp_http_client *client, const char *key)
{
    for (uint32_t i = 0; i < client->header_count; i++) {
        if (strcmp(client->headers[i].name, key) == 0) {
            return &client->headers[i];
        }
    }
    return NULL;
}

esp_err_t esp_http_client_set_header(esp_http_client_handle_t client, const char *key,
                                     const char *value)
{
    struct stub_header *header = find_header(client, key);

    STUB_FAULT(esp_err_t);
    if (header == NULL && client->header_count == STUB_HEADERS) {
        return ESP_ERR_NO_MEM;
    }
    if (header == NULL) {
        header = &client->headers[client->header_count++];
    }
    (void)snprintf(header->name, sizeof header->name, "%s", key);
    (void)snprintf(header->value, sizeof header->value, "%s", value);
    return ESP_OK;
}

esp_err_t esp_http_client_delete_header(esp_http_client_handle_t client, const char *key)
{
    struct stub_header *header = find_header(client, key);

    STUB_FAULT(esp_err_t);
    if (header == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    *header = client->headers[--client->header_count];
    return ESP_OK;
}

/* ---- the request ---- */

static esp_err_t connect_to_server(struct esp_http_client *client)
{
    let_pass();
    if (stub_now->server.is_down) {
        return ESP_ERR_HTTP_CONNECT;
    }
    client->is_connected = true;
    client->requests = 0;
    stub_now->server.connections++;
    return ESP_OK;
}

static void note_names(const struct esp_http_client *client, struct stub_request *seen)
{
    size_t len = 0;

    for (uint32_t i = 0; i < client->header_count && len < sizeof seen->names; i++) {
        len += (size_t)snprintf(&seen->names[len], sizeof seen->names - len, "%s%s",
                                i > 0 ? "," : "", client->headers[i].name);
    }
}

static struct stub_call call_of(const struct esp_http_client *client)
{
    return (struct stub_call){.is_post = client->is_post,
                              .path = client->path,
                              .header_count = client->header_count,
                              .headers = client->headers,
                              .body = {client->body, (size_t)client->body_sent}};
}

static void note_request(struct esp_http_client *client)
{
    struct stub_server *server = &stub_now->server;
    struct stub_request *seen = &server->requests[server->request_count++ % STUB_REQUESTS];
    const struct stub_call call = call_of(client);
    const struct {
        const char *name;
        char *out;
        size_t size;
    } kept[] = {
        {"Range", seen->range, sizeof seen->range},
        {"If-Range", seen->if_range, sizeof seen->if_range},
        {"If-None-Match", seen->if_none_match, sizeof seen->if_none_match},
        {"X-Current-Version", seen->version, sizeof seen->version},
        {"X-Boot-Caps", seen->caps, sizeof seen->caps},
        {"Content-Type", seen->content_type, sizeof seen->content_type},
    };

    *seen = (struct stub_request){.at_ms = stub_now->now_us / 1000u,
                                  .connection = server->connections,
                                  .is_post = client->is_post,
                                  .timeout_ms = client->timeout_ms,
                                  .body_len = (uint32_t)client->body_len};
    (void)snprintf(seen->path, sizeof seen->path, "%s", client->path);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        (void)snprintf(kept[i].out, kept[i].size, "%s", stub_call_header(&call, kept[i].name));
    }
    note_names(client, seen);
    client->seen = seen;
}

/* The server has closed a connection that was kept. */
static bool is_dropped(struct esp_http_client *client, bool shows_in_write)
{
    struct stub_server *server = &stub_now->server;

    if (client->requests < 2 || server->drops_kept == 0 ||
        server->drops_unnoticed == shows_in_write) {
        return false;
    }
    server->drops_kept--;
    return true;
}

esp_err_t esp_http_client_open(esp_http_client_handle_t client, int write_len)
{
    esp_err_t err = ESP_OK;

    STUB_FAULT(esp_err_t);
    if (client->is_connected && client->requests > 0 && !is_read_out(client)) {
        stub_fail("%s goes over a connection whose last answer was not read", client->path);
    }
    if (!client->is_connected) {
        err = connect_to_server(client);
    }
    if (err != ESP_OK) {
        return err;
    }
    client->requests++;
    client->body_len = write_len;
    client->body_sent = 0;
    client->has_head = false;
    client->taken = 0;
    if (is_dropped(client, true)) {
        client->is_connected = false;
        return ESP_ERR_HTTP_WRITE_DATA;
    }
    note_request(client);
    return ESP_OK;
}

int esp_http_client_write(esp_http_client_handle_t client, const char *buffer, int len)
{
    uint32_t most = stub_now->server.write_max;

    STUB_FAULT(int);
    let_pass();
    if (most > 0 && (uint32_t)len > most) {
        len = (int)most;
    }
    if (client->body_sent + len > client->body_len || client->body_sent + len > (int)BODY_MAX) {
        stub_fail("%s has more body than was announced", client->path);
    }
    memcpy(&client->body[client->body_sent], buffer, (size_t)len);
    client->body_sent += len;
    return len;
}

/* ---- the answer ---- */

static void tell_header(struct esp_http_client *client, const char *name, const char *value)
{
    char key[sizeof((struct stub_header *)0)->name], text[STUB_HEADER_SIZE];
    esp_http_client_event_t event = {.event_id = HTTP_EVENT_ON_HEADER,
                                     .client = client,
                                     .user_data = client->user_data,
                                     .header_key = key,
                                     .header_value = text};

    (void)snprintf(key, sizeof key, "%s", name);
    (void)snprintf(text, sizeof text, "%s", value);
    (void)client->on_event(&event);
}

static void tell_other(struct esp_http_client *client, esp_http_client_event_id_t id)
{
    esp_http_client_event_t event = {
        .event_id = id, .client = client, .user_data = client->user_data};

    (void)client->on_event(&event);
}

static void tell_headers(struct esp_http_client *client)
{
    char length[16];

    for (uint32_t i = 0; i < client->answer.header_count; i++) {
        tell_header(client, client->answer.headers[i].name, client->answer.headers[i].value);
    }
    if (client->answer.status != 304) {
        (void)snprintf(length, sizeof length, "%zu", client->answer.body.len);
        tell_header(client, "Content-Length", length);
    }
}

int64_t esp_http_client_fetch_headers(esp_http_client_handle_t client)
{
    const struct stub_server *server = &stub_now->server;
    struct stub_call call;

    STUB_FAULT(int64_t);
    if (!client->is_connected) {
        return ESP_FAIL;
    }
    if (server->hangs) {
        stub_hang();
    }
    if (server->is_silent) {
        stub_sleep_ms((uint32_t)client->timeout_ms);
        return -ESP_ERR_HTTP_EAGAIN;
    }
    let_pass();
    if (is_dropped(client, false)) {
        return ESP_FAIL;
    }
    if (client->body_sent != client->body_len) {
        stub_fail("%s has less body than was announced", client->path);
    }
    call = call_of(client);
    stub_server_answer(stub_now, &call, &client->answer);
    client->has_head = true;
    client->seen->status = client->answer.status;
    tell_other(client, HTTP_EVENT_HEADERS_SENT);
    tell_headers(client);
    return (int64_t)client->answer.body.len;
}

int esp_http_client_get_status_code(esp_http_client_handle_t client)
{
    STUB_FAULT(int);
    return client->answer.status;
}

/* Bytes that come before a limit strikes; *is_struck when it does. */
static size_t allowed(const struct esp_http_client *client, uint32_t limit, size_t len,
                      bool *is_struck)
{
    size_t left = limit > client->taken ? limit - client->taken : 0;

    *is_struck = limit > 0 && limit < client->answer.body.len && left < len;
    return *is_struck ? left : len;
}

static bool is_breaking(struct esp_http_client *client)
{
    struct stub_server *server = &stub_now->server;

    client->is_connected = false;
    if (server->breaks > 0 && --server->breaks == 0) {
        server->break_after = 0;
    }
    return true;
}

int esp_http_client_read(esp_http_client_handle_t client, char *buffer, int len)
{
    const struct stub_server *server = &stub_now->server;
    size_t most = client->answer.body.len - client->taken;
    bool breaks, stalls;

    STUB_FAULT(int);
    most = most < (size_t)len ? most : (size_t)len;
    most = server->read_max > 0 && most > server->read_max ? server->read_max : most;
    if (most > 0) {
        let_pass();
    }
    most = allowed(client, server->break_after, most, &breaks);
    most = allowed(client, server->stall_after, most, &stalls);
    if (stalls && most == 0) {
        stub_sleep_ms((uint32_t)client->timeout_ms);
        return -ESP_ERR_HTTP_EAGAIN;
    }
    if (breaks && most == 0 && is_breaking(client)) {
        return ESP_FAIL;
    }
    if (most > 0) {
        memcpy(buffer, client->answer.body.data + client->taken, most);
    }
    client->taken += most;
    if (strcmp(client->path, "/ota/firmware.bin") == 0) {
        stub_now->server.body_bytes += most;
    }
    return (int)most;
}

bool esp_http_client_is_complete_data_received(esp_http_client_handle_t client)
{
    STUB_FAULT(bool);
    return is_read_out(client);
}

esp_err_t esp_http_client_close(esp_http_client_handle_t client)
{
    client->is_connected = false;
    if (stub_now->server.closes_slowly) {
        stub_sleep_ms(50);
    }
    STUB_FAULT(esp_err_t);
    return ESP_OK;
}
