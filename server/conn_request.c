/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_internal.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>

#include "host/log.h"

#define FIRST_BUFFER 4096u

/* --- input --- */

void srv_conn_release_input(struct srv_conn *conn)
{
    free(conn->in);
    conn->in = NULL;
    conn->in_capacity = 0;
}

static void consume_input(struct srv_conn *conn, size_t len)
{
    conn->in_len -= len;
    if (conn->in_len > 0) {
        memmove(conn->in, conn->in + len, conn->in_len);
    }
}

static void reserve_input(struct srv_conn *conn, size_t capacity)
{
    if (conn->in_capacity < capacity) {
        conn->in = host_realloc(conn->in, capacity);
        conn->in_capacity = capacity;
    }
}

/* One read into the room that is reserved. AGAIN: something came. */
static enum srv_step read_input(struct srv_conn *conn)
{
    size_t len = 0;

    ERR_clear_error();

    int result =
        SSL_read_ex(conn->ssl, conn->in + conn->in_len, conn->in_capacity - conn->in_len, &len);

    if (result == 1) {
        conn->in_len += len;
        return SRV_STEP_AGAIN;
    }
    if (conn->in_len == 0) {
        srv_conn_release_input(conn); /* an idle connection holds no buffer */
    }
    return srv_conn_tls_result(conn, result);
}

/* --- answering --- */

static void log_access(const struct srv_conn *conn, const struct srv_request *request,
                       const struct srv_response *response)
{
    const char *route = conn->route != NULL ? conn->route->path : "-";

    host_log(HOST_LOG_DEBUG, "request",
             "listener=%s peer=%s cn=%s method=%s path=\"%s\" status=%u bytes=%zu",
             conn->listener->config.name, conn->peer.address, conn->peer.cn,
             request == NULL ? "-" : srv_method_name(request->method),
             request == NULL ? route : request->path, response->status,
             srv_response_body_len(response));
}

/* Body bytes that the client has yet to send, or that lie in the buffer. */
static uint64_t body_unread(const struct srv_conn *conn)
{
    uint64_t have = conn->in_len > conn->head_len ? conn->in_len - conn->head_len : 0;

    return have >= conn->body_len ? 0 : conn->body_len - have;
}

static void respond(struct srv_conn *conn, const struct srv_request *request,
                    struct srv_response *response)
{
    srv_response_settle(response);
    conn->keep_alive = conn->keep_alive && !response->close && !conn->listener->is_stopping;
    log_access(conn, request, response);
    srv_out_begin(&conn->out, response, conn->is_head, conn->keep_alive);
    conn->state = SRV_CONN_RESPOND;
    srv_conn_set_deadline(conn, srv_conn_limits(conn)->write_ms);
}

/* Answer at the head, before the body was looked at. A body that is not here yet ends the
 * connection: the client may be in the middle of it. */
static void respond_early(struct srv_conn *conn, const struct srv_request *request,
                          struct srv_response *response)
{
    if (body_unread(conn) > 0) {
        conn->keep_alive = false;
    } else {
        consume_input(conn, conn->head_len + (size_t)conn->body_len);
    }
    respond(conn, request, response);
}

/* Whoever has a refused certificate hears that and nothing else. */
static void fill_certificate_refused(const struct srv_conn *conn, struct srv_response *response)
{
    srv_response_error(response, 403, "certificate refused: %s", conn->peer.cert_error);
    response->close = true;
}

void srv_conn_respond_fault(struct srv_conn *conn, unsigned status, const char *what)
{
    struct srv_response response;

    srv_response_init(&response);
    if (conn->peer.cert_state == SRV_CERT_REFUSED) {
        fill_certificate_refused(conn, &response);
    } else {
        srv_response_error(&response, status, "%s", what);
    }
    conn->keep_alive = false;
    respond(conn, NULL, &response);
}

/* --- request --- */

/* authorise sees every request, so that it can put a refused certificate on record; but who has
 * one gets 403 whatever it says. false: response is filled. */
static bool admit(struct srv_conn *conn, const struct srv_request *request,
                  struct srv_response *response)
{
    const struct srv_app *app = conn->listener->config.app;
    bool is_admitted = app->authorise == NULL || app->authorise(app->ctx, request, response);

    if (conn->peer.cert_state != SRV_CERT_REFUSED) {
        return is_admitted;
    }
    srv_response_free(response);
    srv_response_init(response);
    fill_certificate_refused(conn, response);
    return false;
}

static void handle(struct srv_conn *conn, struct srv_request *request, const char *param)
{
    struct srv_response response;
    size_t body_len = (size_t)conn->body_len;

    srv_response_init(&response);
    request->param = param;
    request->body = (struct kedge_cspan){conn->in + conn->head_len, body_len};
    conn->route->handle(conn->listener->config.app->ctx, request, &response);
    consume_input(conn, conn->head_len + body_len);
    respond(conn, request, &response);
}

static void begin_upload(struct srv_conn *conn, struct srv_request *request,
                         struct srv_response *response)
{
    if (!request->has_content_length) {
        srv_response_error(response, 411, "send a Content-Length with the upload");
        response->close = true;
        respond_early(conn, request, response);
        return;
    }
    conn->upload = conn->route->upload->begin(conn->listener->config.app->ctx, request, response);
    if (conn->upload == NULL) {
        response->close = true;
        respond_early(conn, request, response);
        return;
    }
    srv_response_free(response);
    consume_input(conn, conn->head_len);
    conn->head_len = 0;
    conn->state = SRV_CONN_UPLOAD;
}

static void begin_body(struct srv_conn *conn, struct srv_request *request, const char *param,
                       struct srv_response *response)
{
    if (conn->body_len > SRV_HTTP_MAX_BODY) {
        srv_response_error(response, 413, "body larger than %u bytes", SRV_HTTP_MAX_BODY);
        respond_early(conn, request, response);
        return;
    }
    srv_response_free(response);
    if (body_unread(conn) == 0) {
        handle(conn, request, param);
    } else {
        conn->state = SRV_CONN_BODY;
    }
}

/* The client waits for a word before it sends a body that we want: give it. */
static void maybe_continue(struct srv_conn *conn, const struct srv_http_traits *traits)
{
    bool awaits_body = conn->state == SRV_CONN_BODY || conn->state == SRV_CONN_UPLOAD;

    if (!awaits_body) {
        return;
    }
    conn->body_mark = 0;
    srv_conn_set_deadline(conn, srv_conn_limits(conn)->body_ms);
    if (traits->expect_continue && conn->in_len == conn->head_len && conn->body_len > 0) {
        srv_out_begin_interim(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn->state = SRV_CONN_CONTINUE;
    }
}

/* A complete head is in the buffer. */
static void begin_request(struct srv_conn *conn)
{
    struct srv_request request = {.peer = &conn->peer, .param = ""};
    struct srv_http_traits traits = {0};
    struct srv_http_fault fault;
    struct srv_response response;
    char param[sizeof request.path];

    if (srv_http_parse((struct kedge_cspan){conn->in, conn->head_len}, &request, &traits, &fault) !=
        KEDGE_OK) {
        conn->is_head = request.is_head;
        srv_conn_respond_fault(conn, fault.status, fault.what);
        return;
    }
    conn->is_head = request.is_head;
    conn->keep_alive = traits.keep_alive;
    conn->route = NULL;
    conn->body_len = request.content_length;
    conn->body_taken = 0;
    srv_response_init(&response);
    if (!admit(conn, &request, &response)) {
        respond_early(conn, &request, &response);
        return;
    }
    conn->route =
        srv_route_find(conn->listener->config.app, &request, param, sizeof param, &response);
    request.param = param;
    if (conn->route == NULL) {
        respond_early(conn, &request, &response);
    } else if (conn->route->upload != NULL) {
        begin_upload(conn, &request, &response);
    } else {
        begin_body(conn, &request, param, &response);
    }
    maybe_continue(conn, &traits);
}

enum srv_step srv_conn_step_head(struct srv_conn *conn)
{
    struct kedge_cspan bytes = {conn->in, conn->in_len};
    struct srv_http_fault fault;
    bool was_empty = conn->in_len == 0;

    if (conn->scan.at < conn->in_len) {
        enum kedge_err err = srv_http_scan(&conn->scan, bytes, &conn->head_len, &fault);

        if (err == KEDGE_OK) {
            begin_request(conn);
            return SRV_STEP_AGAIN;
        }
        if (err != KEDGE_ERR_TRUNCATED) {
            srv_conn_respond_fault(conn, fault.status, fault.what);
            return SRV_STEP_AGAIN;
        }
    }
    reserve_input(conn, conn->in_len < FIRST_BUFFER / 2 ? FIRST_BUFFER : 2u * SRV_HTTP_MAX_HEAD);

    enum srv_step step = read_input(conn);

    if (step == SRV_STEP_AGAIN && was_empty) {
        srv_conn_set_deadline(conn, srv_conn_limits(conn)->head_ms);
    }
    return step;
}

/* The head was parsed when it came; its spans went stale while the buffer grew. */
static void finish_body(struct srv_conn *conn)
{
    struct srv_request request = {.peer = &conn->peer};
    struct srv_http_traits traits;
    struct srv_http_fault fault;
    struct srv_response response;
    char param[sizeof request.path];

    srv_response_init(&response);
    if (srv_http_parse((struct kedge_cspan){conn->in, conn->head_len}, &request, &traits, &fault) ==
            KEDGE_OK &&
        srv_route_find(conn->listener->config.app, &request, param, sizeof param, &response) ==
            conn->route) {
        srv_response_free(&response);
        handle(conn, &request, param);
        return;
    }
    srv_response_free(&response); /* cannot be: the same bytes gave a route before */
    srv_conn_respond_fault(conn, 500, "request changed while its body was read");
}

enum srv_step srv_conn_step_body(struct srv_conn *conn)
{
    if (body_unread(conn) == 0) {
        finish_body(conn);
        return SRV_STEP_AGAIN;
    }
    reserve_input(conn, conn->head_len + (size_t)conn->body_len);
    return read_input(conn);
}

static void finish_upload(struct srv_conn *conn, enum kedge_err err)
{
    struct srv_response response;
    void *upload = conn->upload;

    srv_response_init(&response);
    conn->upload = NULL;
    conn->route->upload->end(upload, err, &response);
    if (err != KEDGE_OK) {
        response.close = true;
    }
    respond(conn, NULL, &response);
}

enum srv_step srv_conn_step_upload(struct srv_conn *conn)
{
    uint64_t missing = conn->body_len - conn->body_taken;
    size_t take = missing < conn->in_len ? (size_t)missing : conn->in_len;

    if (missing == 0) {
        finish_upload(conn, KEDGE_OK);
        return SRV_STEP_AGAIN;
    }
    if (take == 0) {
        reserve_input(conn, SRV_RECORD_SIZE);
        return read_input(conn);
    }

    enum kedge_err err =
        conn->route->upload->write(conn->upload, (struct kedge_cspan){conn->in, take});

    consume_input(conn, take);
    conn->body_taken += take;
    if (err != KEDGE_OK) {
        finish_upload(conn, err);
    }
    return SRV_STEP_AGAIN;
}

void srv_conn_abort_upload(struct srv_conn *conn)
{
    if (conn->upload != NULL) {
        conn->route->upload->abort(conn->upload);
        conn->upload = NULL;
    }
}
