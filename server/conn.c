/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>

#include "host/log.h"
#include "tls.h"

/* A step moves at most one record: after 512 KB the others get their turn. */
#define STEPS_PER_ROUND 32

const struct srv_limits *srv_conn_limits(const struct srv_conn *conn)
{
    return conn->listener->config.limits;
}

/* --- deadlines: the timer is only moved when the new deadline is earlier than it --- */

void srv_conn_set_deadline(struct srv_conn *conn, uint64_t in_ms)
{
    struct host_loop *loop = conn->listener->loop;

    conn->deadline_ms = host_loop_now_ms(loop) + in_ms;
    if (conn->timer.heap_index == 0 || conn->timer.at_ms > conn->deadline_ms) {
        host_loop_arm(loop, &conn->timer, conn->deadline_ms);
    }
}

enum srv_step srv_conn_tls_result(struct srv_conn *conn, int result)
{
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return SRV_STEP_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return SRV_STEP_WANT_WRITE;
    default:
        return SRV_STEP_CLOSE;
    }
}

/* --- handshake --- */

static void warn_handshake(struct srv_conn *conn, const char *reason)
{
    uint64_t suppressed = 0;

    if (srv_listener_may_warn(conn->listener, &suppressed)) {
        host_log(HOST_LOG_WARN, "handshake_refused",
                 "listener=%s peer=%s reason=\"%s\" suppressed=%llu", conn->listener->config.name,
                 conn->peer.address, reason, (unsigned long long)suppressed);
    }
}

static enum srv_step step_handshake(struct srv_conn *conn)
{
    char text[256];

    ERR_clear_error();

    int result = SSL_accept(conn->ssl);

    if (result == 1) {
        srv_tls_peer(conn->ssl, &conn->peer);
        if (conn->peer.cert_state == SRV_CERT_REFUSED) {
            warn_handshake(conn, conn->peer.cert_error);
        }
        conn->state = SRV_CONN_HEAD;
        srv_conn_set_deadline(conn, srv_conn_limits(conn)->head_ms);
        return SRV_STEP_AGAIN;
    }

    enum srv_step step = srv_conn_tls_result(conn, result);

    if (step == SRV_STEP_CLOSE) {
        warn_handshake(conn, srv_tls_error(text, sizeof text));
    }
    return step;
}

/* --- output --- */

/* The answer is out: next request, or goodbye. */
static void finish_response(struct srv_conn *conn)
{
    srv_out_end(&conn->out);
    conn->scan = (struct srv_http_scan){0};
    conn->head_len = 0;
    conn->body_len = 0;
    conn->is_head = false;
    if (conn->keep_alive && !conn->listener->is_stopping) {
        conn->state = SRV_CONN_HEAD;
        srv_conn_set_deadline(conn, conn->in_len > 0 ? srv_conn_limits(conn)->head_ms
                                                     : srv_conn_limits(conn)->idle_ms);
        return;
    }
    /* Closing with unread bytes would make the kernel reset the connection, and the client lose
     * the answer (RFC 9112 9.6): say goodbye, then wait for it to close. */
    ERR_clear_error();
    (void)SSL_shutdown(conn->ssl);
    (void)shutdown(conn->fd, SHUT_WR);
    conn->in_len = 0;
    srv_conn_release_input(conn);
    conn->state = SRV_CONN_DRAIN;
    srv_conn_set_deadline(conn, srv_conn_limits(conn)->drain_ms);
}

static enum srv_step step_write(struct srv_conn *conn)
{
    switch (srv_out_step(&conn->out, conn->ssl)) {
    case SRV_OUT_PROGRESS:
        srv_conn_set_deadline(conn, srv_conn_limits(conn)->write_ms);
        return SRV_STEP_AGAIN;
    case SRV_OUT_WANT_READ:
        return SRV_STEP_WANT_READ;
    case SRV_OUT_WANT_WRITE:
        return SRV_STEP_WANT_WRITE;
    case SRV_OUT_BROKEN:
        return SRV_STEP_CLOSE;
    case SRV_OUT_DONE:
        break;
    }
    if (conn->state == SRV_CONN_CONTINUE) {
        srv_out_end(&conn->out);
        conn->state = conn->upload != NULL ? SRV_CONN_UPLOAD : SRV_CONN_BODY;
        srv_conn_set_deadline(conn, srv_conn_limits(conn)->body_ms);
    } else {
        finish_response(conn);
    }
    return SRV_STEP_AGAIN;
}

/* Raw bytes: nobody needs to know what they say. */
static enum srv_step step_drain(struct srv_conn *conn)
{
    char ignored[SRV_RECORD_SIZE];
    ssize_t len = recv(conn->fd, ignored, sizeof ignored, 0);

    if (len < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? SRV_STEP_WANT_READ
                                                                         : SRV_STEP_CLOSE;
    }
    conn->drained_bytes += (uint64_t)len;
    return len == 0 || conn->drained_bytes > srv_conn_limits(conn)->drain_max_bytes
               ? SRV_STEP_CLOSE
               : SRV_STEP_AGAIN;
}

static void drive(struct srv_conn *conn)
{
    static enum srv_step (*const steps[SRV_CONN_STATE_COUNT])(struct srv_conn * conn) = {
        [SRV_CONN_HANDSHAKE] = step_handshake,
        [SRV_CONN_HEAD] = srv_conn_step_head,
        [SRV_CONN_CONTINUE] = step_write,
        [SRV_CONN_BODY] = srv_conn_step_body,
        [SRV_CONN_UPLOAD] = srv_conn_step_upload,
        [SRV_CONN_RESPOND] = step_write,
        [SRV_CONN_DRAIN] = step_drain,
    };
    static const unsigned interests[] = {
        /* More to do than its turn allows: a socket is nearly always writable, so that the next
         * round comes back to it. Bytes that TLS holds already would not make it readable. */
        [SRV_STEP_AGAIN] = HOST_LOOP_READ | HOST_LOOP_WRITE,
        [SRV_STEP_WANT_READ] = HOST_LOOP_READ,
        [SRV_STEP_WANT_WRITE] = HOST_LOOP_WRITE,
    };
    enum srv_step step = SRV_STEP_AGAIN;

    for (unsigned i = 0; step == SRV_STEP_AGAIN && i < STEPS_PER_ROUND; i++) {
        step = steps[conn->state](conn);
    }
    if (step == SRV_STEP_CLOSE) {
        srv_conn_destroy(conn);
    } else if (conn->watch.interest != interests[step]) {
        host_loop_change(conn->listener->loop, &conn->watch, interests[step]);
    }
}

/* --- events --- */

static void on_ready(void *ctx, unsigned events)
{
    (void)events; /* whatever it is, the next read or write tells */
    drive(ctx);
}

static bool body_is_moving(struct srv_conn *conn)
{
    uint64_t have = conn->state == SRV_CONN_UPLOAD ? conn->body_taken : conn->in_len;
    uint64_t gain = have - conn->body_mark;

    conn->body_mark = have;
    return gain >= srv_conn_limits(conn)->body_min_bytes;
}

/* Say goodbye if that is possible at once. */
static void close_idle(struct srv_conn *conn)
{
    ERR_clear_error();
    if (SSL_is_init_finished(conn->ssl)) {
        (void)SSL_shutdown(conn->ssl);
    }
    srv_conn_destroy(conn);
}

static void on_deadline(struct srv_conn *conn)
{
    switch (conn->state) {
    case SRV_CONN_HANDSHAKE:
        warn_handshake(conn, "timed out");
        srv_conn_destroy(conn);
        return;
    case SRV_CONN_HEAD:
        if (conn->in_len == 0) {
            close_idle(conn);
            return;
        }
        srv_conn_respond_fault(conn, 408, "request head took too long");
        break;
    case SRV_CONN_BODY:
    case SRV_CONN_UPLOAD:
        if (body_is_moving(conn)) {
            srv_conn_set_deadline(conn, srv_conn_limits(conn)->body_ms);
            return;
        }
        srv_conn_abort_upload(conn);
        srv_conn_respond_fault(conn, 408, "request body came too slowly");
        break;
    case SRV_CONN_CONTINUE:
    case SRV_CONN_RESPOND:
    case SRV_CONN_DRAIN:
    case SRV_CONN_STATE_COUNT:
        srv_conn_destroy(conn);
        return;
    }
    drive(conn);
}

static void on_timer(void *ctx)
{
    struct srv_conn *conn = ctx;
    struct host_loop *loop = conn->listener->loop;

    if (host_loop_now_ms(loop) < conn->deadline_ms) {
        host_loop_arm(loop, &conn->timer, conn->deadline_ms);
        return;
    }
    on_deadline(conn);
}

/* --- life --- */

void srv_conn_create(struct srv_listener *listener, int fd, const char *peer_address)
{
    SSL *ssl = SSL_new(listener->config.tls);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        (void)close(fd);
        return;
    }

    struct srv_conn *conn = host_calloc(1, sizeof *conn);

    conn->listener = listener;
    conn->fd = fd;
    conn->ssl = ssl;
    (void)snprintf(conn->peer.address, sizeof conn->peer.address, "%s", peer_address);
    conn->watch = (struct host_watch){.ready = on_ready, .ctx = conn};
    conn->timer = (struct host_timer){.fire = on_timer, .ctx = conn};
    conn->next = listener->conns;
    if (conn->next != NULL) {
        conn->next->prev = conn;
    }
    listener->conns = conn;
    listener->conn_count++;
    host_loop_watch(listener->loop, &conn->watch, fd, HOST_LOOP_READ);
    srv_conn_set_deadline(conn, srv_conn_limits(conn)->handshake_ms);
}

void srv_conn_destroy(struct srv_conn *conn)
{
    struct srv_listener *listener = conn->listener;

    host_loop_disarm(listener->loop, &conn->timer);
    host_loop_unwatch(listener->loop, &conn->watch);
    srv_conn_abort_upload(conn);
    srv_out_end(&conn->out);
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        listener->conns = conn->next;
    }
    listener->conn_count--;
    SSL_free(conn->ssl);
    (void)close(conn->fd);
    free(conn->in);
    free(conn);
}

void srv_conn_stop(struct srv_conn *conn)
{
    if (conn->state == SRV_CONN_HANDSHAKE || (conn->state == SRV_CONN_HEAD && conn->in_len == 0)) {
        close_idle(conn);
    }
}

struct srv_conn *srv_conn_next(const struct srv_conn *conn)
{
    return conn->next;
}
