/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "host/parse.h"

#define LISTEN_BACKLOG  1024
#define ACCEPT_BURST    64  /* per round, so that open connections get their turn */
#define ACCEPT_PAUSE_MS 200 /* after the process ran out of descriptors */
#define WARN_BURST      5
#define WARN_WINDOW_MS  10000

const struct srv_limits srv_limits_default = {
    .handshake_ms = 10000,
    .head_ms = 10000,
    .idle_ms = 90000,
    .body_ms = 10000,
    .body_min_bytes = 1024,
    .write_ms = 30000,
    .drain_ms = 5000,
    .drain_max_bytes = 8u * 1024u * 1024u,
    .max_connections = 4096,
};

bool srv_listener_may_warn(struct srv_listener *listener, uint64_t *suppressed)
{
    struct srv_warn_limit *warn = &listener->warn;
    uint64_t now_ms = host_loop_now_ms(listener->loop);

    if (now_ms - warn->window_start_ms >= WARN_WINDOW_MS) {
        warn->window_start_ms = now_ms;
        warn->in_window = 0;
    }
    if (warn->in_window >= WARN_BURST) {
        warn->suppressed++;
        return false;
    }
    warn->in_window++;
    *suppressed = warn->suppressed;
    warn->suppressed = 0;
    return true;
}

/* "127.0.0.1:5432" or "[::1]:5432". */
static void format_address(const struct sockaddr *address, socklen_t len, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN + 8];
    char port[8];

    if (getnameinfo(address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(out, size, "unknown");
        return;
    }
    (void)snprintf(out, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool set_non_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void take(struct srv_listener *listener, int fd, const struct sockaddr *peer, socklen_t len)
{
    char address[64];
    uint64_t suppressed = 0;

    format_address(peer, len, address, sizeof address);
    if (listener->conn_count >= listener->config.limits->max_connections || !set_non_blocking(fd)) {
        (void)close(fd);
        if (srv_listener_may_warn(listener, &suppressed)) {
            host_log(HOST_LOG_WARN, "connection_refused",
                     "listener=%s peer=%s reason=\"too many connections\" open=%u suppressed=%llu",
                     listener->config.name, address, listener->conn_count,
                     (unsigned long long)suppressed);
        }
        return;
    }
    srv_conn_create(listener, fd, address);
}

static void resume_accept(void *ctx)
{
    struct srv_listener *listener = ctx;

    host_loop_change(listener->loop, &listener->watch, HOST_LOOP_READ);
}

/* A pending connection that cannot be taken keeps the socket readable: look away for a while. */
static void pause_accept(struct srv_listener *listener)
{
    host_log(HOST_LOG_ERROR, "accept_failed",
             "listener=%s reason=\"%s\" advice=\"raise ulimit -n\"", listener->config.name,
             strerror(errno));
    host_loop_change(listener->loop, &listener->watch, 0);
    host_loop_arm(listener->loop, &listener->resume,
                  host_loop_now_ms(listener->loop) + ACCEPT_PAUSE_MS);
}

static void on_acceptable(void *ctx, unsigned events)
{
    struct srv_listener *listener = ctx;

    (void)events;
    for (unsigned i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept(listener->fd, (struct sockaddr *)&peer, &len);

        if (fd >= 0) {
            take(listener, fd, (const struct sockaddr *)&peer, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accept(listener);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* else: that one connection went away while it waited (accept(2)) */
    }
}

static int bind_one(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    /* NODELAY is inherited by what is accepted; else small answers wait for the peer's ACK. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!set_non_blocking(fd) || bind(fd, info->ai_addr, info->ai_addrlen) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* -1 after logging. */
static int bind_address(const struct srv_listener_config *config)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    char host[256], port_text[8];
    uint16_t port = 0;
    enum kedge_err err = host_parse_address(config->address, host, sizeof host, &port);

    if (err != KEDGE_OK) {
        host_log(HOST_LOG_ERROR, "listen_failed",
                 "listener=%s address=\"%s\" reason=\"%s\" advice=\"write HOST:PORT\"",
                 config->name, config->address, kedge_err_text(err));
        return -1;
    }
    (void)snprintf(port_text, sizeof port_text, "%u", (unsigned)port);

    int resolved = getaddrinfo(host, port_text, &hints, &infos);

    if (resolved != 0) {
        host_log(HOST_LOG_ERROR, "listen_failed", "listener=%s address=\"%s\" reason=\"%s\"",
                 config->name, config->address, gai_strerror(resolved));
        return -1;
    }

    int fd = bind_one(infos);

    if (fd < 0) {
        host_log(HOST_LOG_ERROR, "listen_failed",
                 "listener=%s address=\"%s\" reason=\"%s\" advice=\"is another kedged running, or "
                 "the address not this machine's?\"",
                 config->name, config->address, strerror(errno));
    }
    freeaddrinfo(infos);
    return fd;
}

struct srv_listener *srv_listener_create(struct host_loop *loop,
                                         const struct srv_listener_config *config)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    int fd = bind_address(config);

    if (fd < 0) {
        return NULL;
    }

    struct srv_listener *listener = host_calloc(1, sizeof *listener);

    listener->loop = loop;
    listener->config = *config;
    listener->fd = fd;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0) {
        format_address((const struct sockaddr *)&bound, len, listener->address,
                       sizeof listener->address);
    }
    listener->resume = (struct host_timer){.fire = resume_accept, .ctx = listener};
    listener->watch = (struct host_watch){.ready = on_acceptable, .ctx = listener};
    host_loop_watch(loop, &listener->watch, fd, HOST_LOOP_READ);
    return listener;
}

const char *srv_listener_address(const struct srv_listener *listener)
{
    return listener->address;
}

void srv_listener_stop(struct srv_listener *listener)
{
    if (listener->is_stopping) {
        return;
    }
    listener->is_stopping = true;
    host_loop_disarm(listener->loop, &listener->resume);
    host_loop_unwatch(listener->loop, &listener->watch);
    (void)close(listener->fd);
    listener->fd = -1;
    for (struct srv_conn *conn = listener->conns; conn != NULL;) {
        struct srv_conn *next = srv_conn_next(conn);

        srv_conn_stop(conn);
        conn = next;
    }
}

unsigned srv_listener_connections(const struct srv_listener *listener)
{
    return listener->conn_count;
}

void srv_listener_destroy(struct srv_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    srv_listener_stop(listener);
    while (listener->conns != NULL) {
        srv_conn_destroy(listener->conns);
    }
    free(listener);
}
