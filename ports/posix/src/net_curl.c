/* SPDX-License-Identifier: Apache-2.0 */
#include "posix.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/buf.h"

#define MAX_CONNECTIONS   4096L
#define HEADER_LINE_MAX   1024u
#define URL_MAX           512u
#define REQUEST_BODY_MAX  8192u
#define UNREACHABLE_MS    50u /* how long a refused connection takes */
#define FIRMWARE_PATH     "/ota/firmware.bin"
#define LOW_SPEED_BYTES_S 1L

struct posix_request {
    struct host_buf url;
    struct host_buf body;
    struct curl_slist *headers;
    bool has_body;
    bool is_firmware;
    uint32_t timeout_ms;
};

/* ---- requests ---- */

static void add_header(struct posix_request *copy, const char *name, const char *value)
{
    struct host_buf line;
    host_buf_init(&line, HEADER_LINE_MAX);
    host_buf_printf(&line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(copy->headers, host_buf_text(&line));
    if (longer == NULL || !host_buf_ok(&line)) {
        abort();
    }
    copy->headers = longer;
    host_buf_free(&line);
}

static struct posix_request *copy_request(const char *server_url,
                                          const struct kedge_http_request *request)
{
    struct posix_request *copy = host_calloc(1, sizeof(*copy));
    host_buf_init(&copy->url, URL_MAX);
    host_buf_printf(&copy->url, "%s%s", server_url, request->path);
    host_buf_init(&copy->body, REQUEST_BODY_MAX);
    copy->has_body = request->body != NULL;
    copy->is_firmware = !copy->has_body && strcmp(request->path, FIRMWARE_PATH) == 0;
    copy->timeout_ms = request->timeout_ms;
    for (uint32_t i = 0; i < request->header_count; i++) {
        add_header(copy, request->headers[i].name, request->headers[i].value);
    }
    if (copy->has_body) {
        host_buf_append(&copy->body, request->body, request->body_len);
        add_header(copy, "Content-Type",
                   request->content_type != NULL ? request->content_type : "application/json");
    }
    return copy;
}

static void free_request(struct posix_request *request)
{
    if (request != NULL) {
        host_buf_free(&request->url);
        host_buf_free(&request->body);
        curl_slist_free_all(request->headers);
        free(request);
    }
}

static void take_next(struct posix_http *http)
{
    free_request(http->open);
    http->open = http->next;
    http->next = NULL;
    http->aborted = false;
    http->headers_done = false;
    http->response = (struct kedge_http_response){0};
}

/* ---- what libcurl reports of a transfer ---- */

static void end_of_headers(struct posix_http *http)
{
    struct kedge_posix_stats *stats = http->device->config.stats;
    long status = 0;

    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 599) {
        return; /* an interim response; the final one follows */
    }
    http->headers_done = true;
    http->response.status = (uint16_t)status;
    http->is_firmware = http->open->is_firmware && (status == 200 || status == 206);
    if (stats != NULL && http->is_firmware) {
        stats->downloads++;
    }
    posix_deliver(http->device, &(struct kedge_event){.kind = KEDGE_EVENT_HTTP_RESPONSE,
                                                      .response = &http->response});
}

static void take_header(struct posix_http *http, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        http->response = (struct kedge_http_response){0}; /* a status line */
        return;
    }
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    kedge_http_response_header(&http->response, line, (size_t)(colon - line), value,
                               (size_t)(end - value));
}

static bool is_dropped(const struct posix_http *http)
{
    return http->aborted || http->device->is_doomed;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct posix_http *http = ctx;
    size_t total = size * count, len = total;
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r')) {
        len--;
    }
    if (!http->headers_done && !is_dropped(http)) {
        if (len == 0) {
            end_of_headers(http);
        } else {
            take_header(http, data, len);
        }
    }
    return is_dropped(http) ? 0 : total;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct posix_http *http = ctx;
    struct kedge_posix_stats *stats = http->device->config.stats;
    size_t len = size * count;

    if (is_dropped(http)) {
        return CURL_WRITEFUNC_ERROR;
    }
    if (stats != NULL && http->is_firmware) {
        stats->download_bytes += len;
    }
    posix_deliver(http->device, &(struct kedge_event){.kind = KEDGE_EVENT_HTTP_BODY,
                                                      .bytes = {(const uint8_t *)data, len}});
    return is_dropped(http) ? CURL_WRITEFUNC_ERROR : len;
}

static void begin_open(struct posix_http *http);

static void on_done(struct posix_http *http, CURLcode result)
{
    struct kedge_posix_stats *stats = http->device->config.stats;
    bool was_aborted = http->aborted;
    bool worked = result == CURLE_OK && http->headers_done;

    take_next(http);
    if (was_aborted) {
        begin_open(http);
        return;
    }
    if (!worked && stats != NULL) {
        stats->http_failures++;
    }
    posix_deliver(http->device, &(struct kedge_event){.kind = worked ? KEDGE_EVENT_HTTP_END
                                                                     : KEDGE_EVENT_HTTP_FAILED});
}

static void on_unreachable(void *ctx)
{
    on_done(ctx, CURLE_COULDNT_CONNECT);
}

/* ---- one device ---- */

/* LOW_SPEED counts whole seconds: the request's limit rounded up. */
static long limit_s(const struct posix_request *request)
{
    return (long)((request->timeout_ms + 999u) / 1000u);
}

static void set_request(CURL *easy, const struct posix_request *request)
{
    curl_easy_setopt(easy, CURLOPT_URL, host_buf_text(&request->url));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, limit_s(request));
    if (request->has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, host_buf_text(&request->body));
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
}

static void begin_open(struct posix_http *http)
{
    struct kedge_posix_net *net = http->device->net;
    if (http->open == NULL || http->device->is_doomed) {
        return;
    }
    if (http->device->config.no_server) {
        host_loop_arm(net->loop, &http->fail_timer, host_loop_now_ms(net->loop) + UNREACHABLE_MS);
        return;
    }
    set_request(http->easy, http->open);
    if (curl_multi_add_handle(net->multi, http->easy) != CURLM_OK) {
        abort(); /* out of memory, or a bug of ours */
    }
}

void posix_http_start(struct posix_http *http, const struct kedge_http_request *request)
{
    struct posix_request *copy = copy_request(http->device->config.server_url, request);
    if (http->open != NULL) {
        free_request(http->next);
        http->next = copy;
        return;
    }
    http->next = copy;
    take_next(http);
    begin_open(http);
}

void posix_http_abort(struct posix_http *http)
{
    struct kedge_posix_net *net = http->device->net;
    if (http->open == NULL) {
        return;
    }
    if (net->in_curl) {
        http->aborted = true; /* its callback ends the transfer, on_done does the rest */
        return;
    }
    host_loop_disarm(net->loop, &http->fail_timer);
    (void)curl_multi_remove_handle(net->multi, http->easy);
    take_next(http);
}

/* A device comes out of reset without a connection: FRESH_CONNECT for its first request. After it,
 * libcurl finds that connection by the client certificate, which is the device's own. */
static int on_connected(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    struct posix_http *http = ctx;
    (void)fd;
    (void)purpose;
    curl_easy_setopt(http->easy, CURLOPT_FRESH_CONNECT, 0L);
    return CURL_SOCKOPT_OK;
}

void posix_http_open(struct posix_http *http, struct kedge_posix_device *device)
{
    const struct kedge_posix_config *config = &device->config;
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        abort();
    }
    http->device = device;
    http->easy = easy;
    http->fail_timer = (struct host_timer){.fire = on_unreachable, .ctx = http};
    curl_easy_setopt(easy, CURLOPT_PRIVATE, http);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, config->ca_file != NULL ? "https" : "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, http);
    curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
    curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert_file);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
}

void posix_http_close(struct posix_http *http)
{
    struct kedge_posix_net *net = http->device->net;
    host_loop_disarm(net->loop, &http->fail_timer);
    (void)curl_multi_remove_handle(net->multi, http->easy);
    curl_easy_cleanup(http->easy);
    free_request(http->open);
    free_request(http->next);
}

/* ---- libcurl on the loop ---- */

/* Watched through a descriptor of our own: when a transfer is dropped half-way, libcurl 7.88 closes
 * its socket before it says that we need not watch it any more. */
struct socket_watch {
    struct host_watch watch;
    curl_socket_t socket; /* libcurl's */
    struct kedge_posix_net *net;
};

static void finish_transfers(struct kedge_posix_net *net)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(net->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        struct posix_http *http = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &http);
        (void)curl_multi_remove_handle(net->multi, easy); /* message is gone from here on */
        on_done(http, result);
    }
}

static void socket_action(struct kedge_posix_net *net, curl_socket_t fd, int events)
{
    int running;
    net->in_curl = true;
    (void)curl_multi_socket_action(net->multi, fd, events, &running);
    net->in_curl = false;
    finish_transfers(net);
}

static void on_socket_ready(void *ctx, unsigned events)
{
    struct socket_watch *socket = ctx;
    int mask = ((events & HOST_LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & HOST_LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & HOST_LOOP_ERROR) != 0 ? CURL_CSELECT_ERR : 0);
    socket_action(socket->net, socket->socket, mask);
}

static void watch_socket(struct kedge_posix_net *net, curl_socket_t fd, unsigned interest)
{
    int own = dup(fd);
    if (own < 0) {
        return; /* out of descriptors: the request times out */
    }
    struct socket_watch *socket = host_calloc(1, sizeof(*socket));
    socket->net = net;
    socket->socket = fd;
    socket->watch.ready = on_socket_ready;
    socket->watch.ctx = socket;
    host_loop_watch(net->loop, &socket->watch, own, interest);
    (void)curl_multi_assign(net->multi, fd, socket);
}

static void forget_socket(struct socket_watch *socket)
{
    host_loop_unwatch(socket->net->loop, &socket->watch);
    close(socket->watch.fd);
    free(socket);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct kedge_posix_net *net = ctx;
    struct socket_watch *socket = socket_ctx;
    unsigned interest = ((what & CURL_POLL_IN) != 0 ? HOST_LOOP_READ : 0u) |
                        ((what & CURL_POLL_OUT) != 0 ? HOST_LOOP_WRITE : 0u);
    (void)easy;
    if (socket == NULL && what != CURL_POLL_REMOVE) {
        watch_socket(net, fd, interest);
    } else if (socket != NULL && what != CURL_POLL_REMOVE) {
        host_loop_change(net->loop, &socket->watch, interest);
    } else if (socket != NULL) {
        forget_socket(socket);
    }
    return 0;
}

static int on_timeout_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
    struct kedge_posix_net *net = ctx;
    (void)multi;
    if (timeout_ms < 0) {
        host_loop_disarm(net->loop, &net->curl_timer);
    } else {
        host_loop_arm(net->loop, &net->curl_timer,
                      host_loop_now_ms(net->loop) + (uint64_t)timeout_ms);
    }
    return 0;
}

static void on_curl_timer(void *ctx)
{
    socket_action(ctx, CURL_SOCKET_TIMEOUT, 0);
}

void posix_curl_open(struct kedge_posix_net *net)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (net->multi = curl_multi_init()) == NULL) {
        abort();
    }
    net->curl_timer = (struct host_timer){.fire = on_curl_timer, .ctx = net};
    curl_multi_setopt(net->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(net->multi, CURLMOPT_SOCKETDATA, net);
    curl_multi_setopt(net->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(net->multi, CURLMOPT_TIMERDATA, net);
    curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
}

void posix_curl_close(struct kedge_posix_net *net)
{
    curl_multi_cleanup(net->multi);
    host_loop_disarm(net->loop, &net->curl_timer);
    curl_global_cleanup();
}
