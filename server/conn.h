/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>

#include "host/loop.h"
#include "http.h"

/*
 * HTTPS listener and its connections: TLS, HTTP/1.1 with keep-alive and pipelining, one request at
 * a time per connection, deadlines per phase. Nothing here blocks.
 */

/** Milliseconds unless named otherwise. */
struct srv_limits {
    uint64_t handshake_ms;    /**< accept to finished handshake */
    uint64_t head_ms;         /**< first byte of a head (or end of handshake) to its last */
    uint64_t idle_ms;         /**< keep-alive without a byte */
    uint64_t body_ms;         /**< within each such window a body must bring */
    uint64_t body_min_bytes;  /**< so many bytes */
    uint64_t write_ms;        /**< without a byte taken by the client */
    uint64_t drain_ms;        /**< to let the client read an answer after which we close */
    uint64_t drain_max_bytes; /**< that it may still send then */
    unsigned max_connections; /**< per listener; more are accepted and closed */
};

extern const struct srv_limits srv_limits_default;

/** Borrowed for the listener's life. */
struct srv_listener_config {
    const char *name;    /**< for the log: "device" */
    const char *address; /**< "0.0.0.0:8443", port 0 = any free one */
    SSL_CTX *tls;
    const struct srv_app *app;
    const struct srv_limits *limits;
};

struct srv_listener; /* owned by whoever created it */

/** Bind, listen and accept from now on. NULL after logging the reason and what to do. */
struct srv_listener *srv_listener_create(struct host_loop *loop,
                                         const struct srv_listener_config *config);
/** "127.0.0.1:8443" with the real port; borrowed. */
const char *srv_listener_address(const struct srv_listener *listener);
/** Accept no more, close idle connections; the others close after the answer they are at. */
void srv_listener_stop(struct srv_listener *listener);
unsigned srv_listener_connections(const struct srv_listener *listener);
/** Close everything that is left. */
void srv_listener_destroy(struct srv_listener *listener);
