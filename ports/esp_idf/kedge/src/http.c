/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "esp_http_client.h"
#include "esp_log.h"
#include "port.h"

/*
 * The kedge_http task: esp_http_client's calls block, so they are made here and not where the agent
 * runs. One request at a time. Between staging a request and the last event of its answer the two
 * tasks take turns: kedge_http posts an event and waits until it was taken, so that the agent reads
 * the bytes where they were received.
 *
 * esp_http_client_perform would do less work here, but it cannot be left half-way when the agent
 * does not want the rest of an image.
 */
#define RECEIVE_SIZE 2048 /* of one TLS read */
#define SEND_SIZE    1024 /* longest header line, request line included */
#define URL_SIZE     192u
#define KEEP_MS                                                                                    \
    10000u /* then the connection gives its heap back; TLS tickets make a new one cheap */
#define SLACK_MS      30000u /* over what esp_http_client's own limits add up to */
#define LIMITED_CALLS 3u     /* name, connection and handshake each have the request's limit */

/* ---- the kedge task's side ---- */

static bool copy_headers(struct port_http *http, const struct kedge_http_request *request)
{
    size_t used = 0;

    for (uint32_t i = 0; i < request->header_count; i++) {
        size_t size = strlen(request->headers[i].value) + 1;

        if (size > sizeof http->values - used) {
            return false;
        }
        memcpy(&http->values[used], request->headers[i].value, size);
        http->headers[i] = (struct kedge_http_header){.name = request->headers[i].name,
                                                      .value = &http->values[used]};
        used += size;
    }
    http->header_count = request->header_count;
    return true;
}

/* Longer than any request of the agent's: what does not fit is a bug, and ends as a failure. */
static bool copy_request(struct port_http *http, const struct kedge_http_request *request)
{
    if (!copy_headers(http, request) || request->body_len > sizeof http->buffer) {
        return false;
    }
    http->path = request->path;
    http->content_type = request->content_type != NULL ? request->content_type : "application/json";
    http->is_post = request->body != NULL;
    http->body_len = http->is_post ? request->body_len : 0;
    if (http->is_post) {
        memcpy(http->buffer, request->body, request->body_len);
    }
    http->timeout_ms = request->timeout_ms;
    return true;
}

void port_http_start(struct port *port, const struct kedge_http_request *request)
{
    struct port_http *http = &port->http;

    if (!copy_request(http, request)) {
        http->path = NULL;
    }
    atomic_store(&http->is_staged, true);
    if (!http->is_parked) {
        xTaskNotifyGive(http->task);
    }
}

void port_http_abort(struct port *port)
{
    atomic_store(&port->http.is_aborted, true);
}

void port_http_release(struct port *port)
{
    atomic_store(&port->http.is_taken, true);
    xTaskNotifyGive(port->http.task);
}

bool port_http_is_alive(const struct port *port)
{
    uint32_t since = atomic_load(&port->http.busy_since_ms);
    uint32_t now = (uint32_t)port_now_ms() | 1u; /* as note_progress rounds */

    return since == 0 || now - since < LIMITED_CALLS * port->http.timeout_ms + SLACK_MS;
}

/* ---- kedge_http's side ---- */

/* 0 is taken: it says that there is nothing to do. */
static void note_progress(struct port_http *http)
{
    atomic_store(&http->busy_since_ms, (uint32_t)port_now_ms() | 1u);
}

/* False when the agent does not want the rest. A notification alone does not say that the event was
 * taken: one may be left over from a request that was staged while the last one was being closed.
 */
static bool tell(struct port *port, const struct kedge_event *event)
{
    const struct port_event posted = {.kind = PORT_HTTP, .agent = *event};
    struct port_http *http = &port->http;

    atomic_store(&http->is_taken, false);
    (void)xQueueSend(port->events, &posted, portMAX_DELAY);
    while (!atomic_load(&http->is_taken)) {
        (void)ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    }
    note_progress(http);
    return !atomic_load(&http->is_aborted);
}

static esp_err_t on_client_event(esp_http_client_event_t *event)
{
    struct port_http *http = event->user_data;

    if (event->event_id == HTTP_EVENT_ON_HEADER) {
        kedge_http_response_header(&http->response, event->header_key, strlen(event->header_key),
                                   event->header_value, strlen(event->header_value));
    }
    return ESP_OK;
}

static void close_connection(struct port_http *http)
{
    http->is_kept = false;
    if (http->client != NULL) {
        (void)esp_http_client_close(http->client);
    }
}

static bool open_client(struct port *port)
{
    struct port_http *http = &port->http;
    esp_http_client_config_t config = {
        .url = port->settings.server_url,
        .cert_pem = port->ca,
        .client_cert_pem = port->certificate,
        .client_key_pem = port->key,
        .timeout_ms = (int)http->timeout_ms,
        .disable_auto_redirect = true,
        .event_handler = on_client_event,
        .buffer_size = RECEIVE_SIZE,
        .buffer_size_tx = SEND_SIZE,
        .user_data = http,
        .keep_alive_enable = true,
    };

    if (http->client == NULL) {
        compat_resume_sessions(&config);
        http->client = esp_http_client_init(&config);
    }
    return http->client != NULL;
}

static bool set_headers(struct port_http *http)
{
    for (uint32_t i = 0; i < http->header_count; i++) {
        if (esp_http_client_set_header(http->client, http->headers[i].name,
                                       http->headers[i].value) != ESP_OK) {
            return false;
        }
    }
    return !http->is_post ||
           esp_http_client_set_header(http->client, "Content-Type", http->content_type) == ESP_OK;
}

/* They would go out with the next request as well. Before the agent hears of the answer: it may
 * stage that request, and with it other headers, while it does. */
static void delete_headers(struct port_http *http)
{
    for (uint32_t i = 0; i < http->header_count; i++) {
        (void)esp_http_client_delete_header(http->client, http->headers[i].name);
    }
    (void)esp_http_client_delete_header(http->client, "Content-Type");
}

static bool prepare(struct port *port)
{
    struct port_http *http = &port->http;
    char url[URL_SIZE];
    int len;

    if (http->path == NULL || !open_client(port)) {
        return false;
    }
    len = snprintf(url, sizeof url, "%s%s", port->settings.server_url, http->path);
    return len > 0 && (size_t)len < sizeof url &&
           esp_http_client_set_url(http->client, url) == ESP_OK &&
           esp_http_client_set_method(http->client, http->is_post ? HTTP_METHOD_POST
                                                                  : HTTP_METHOD_GET) == ESP_OK &&
           esp_http_client_set_timeout_ms(http->client, (int)http->timeout_ms) == ESP_OK &&
           set_headers(http);
}

static bool send_body(struct port_http *http)
{
    size_t sent = 0;

    while (sent < http->body_len) {
        int len = esp_http_client_write(http->client, (const char *)&http->buffer[sent],
                                        (int)(http->body_len - sent));

        if (len <= 0) {
            return false;
        }
        sent += (size_t)len;
    }
    return true;
}

/* Request out, head of the answer in. */
static bool exchange(struct port_http *http)
{
    http->response = (struct kedge_http_response){0};
    if (esp_http_client_open(http->client, (int)http->body_len) != ESP_OK || !send_body(http) ||
        esp_http_client_fetch_headers(http->client) < 0) {
        return false;
    }
    int status = esp_http_client_get_status_code(http->client);

    http->response.status = (uint16_t)status;
    return status >= 200 && status <= 599;
}

/* A connection that was kept may be gone on the server's side, and shows it only now. Every request
 * of the agent may be sent twice. */
static bool exchange_or_reconnect(struct port_http *http)
{
    bool was_kept = http->is_kept;

    if (exchange(http)) {
        return true;
    }
    close_connection(http);
    note_progress(http);
    return was_kept && exchange(http);
}

static bool receive_head(struct port *port)
{
    struct port_http *http = &port->http;
    bool has_head = prepare(port) && exchange_or_reconnect(http);

    if (http->client != NULL) {
        delete_headers(http);
    }
    if (!has_head) {
        ESP_LOGW(PORT_TAG, "http_failed %s", http->path != NULL ? http->path : "too long");
        return false;
    }
    return tell(port, &(struct kedge_event){.kind = KEDGE_EVENT_HTTP_RESPONSE,
                                            .response = &http->response});
}

/* False: it broke, or the agent does not want more. */
static bool receive_body(struct port *port)
{
    struct port_http *http = &port->http;

    for (;;) {
        int len =
            esp_http_client_read(http->client, (char *)http->buffer, (int)sizeof http->buffer);

        if (len < 0) {
            ESP_LOGW(PORT_TAG, "http_broke %s %d", http->path, len);
            return false;
        }
        if (len == 0) {
            return esp_http_client_is_complete_data_received(http->client);
        }
        if (!tell(port, &(struct kedge_event){.kind = KEDGE_EVENT_HTTP_BODY,
                                              .bytes = {http->buffer, (size_t)len}})) {
            return false;
        }
    }
}

static void run(struct port *port)
{
    struct port_http *http = &port->http;
    bool worked;

    atomic_store(&http->is_staged, false);
    atomic_store(&http->is_aborted, false);
    note_progress(http);
    worked = receive_head(port) && receive_body(port);
    if (!worked) {
        close_connection(http);
    }
    http->is_kept = worked;
    if (!atomic_load(&http->is_aborted)) {
        (void)tell(port, &(struct kedge_event){.kind = worked ? KEDGE_EVENT_HTTP_END
                                                              : KEDGE_EVENT_HTTP_FAILED});
    }
    atomic_store(&http->busy_since_ms, 0);
}

void port_http_task(void *arg)
{
    struct port *port = arg;
    struct port_http *http = &port->http;

    for (;;) {
        TickType_t ticks = http->is_kept ? pdMS_TO_TICKS(KEEP_MS) : portMAX_DELAY;

        if (ulTaskNotifyTake(pdTRUE, ticks) == 0) {
            close_connection(http);
        }
        while (atomic_load(&http->is_staged)) {
            run(port);
        }
    }
}
