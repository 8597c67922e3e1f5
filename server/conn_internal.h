/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "conn.h"
#include "http_parser.h"
#include "http_response.h"

/* What listener.c, conn.c and conn_out.c share: nobody else includes this. */

#define SRV_RECORD_SIZE 16384u /**< largest TLS record: what one write hands to OpenSSL */

/** At most WARN_BURST lines per WARN_WINDOW_MS; the rest is counted. */
struct srv_warn_limit {
    uint64_t window_start_ms;
    unsigned in_window;
    uint64_t suppressed;
};

struct srv_listener {
    struct host_loop *loop; /* borrowed */
    struct srv_listener_config config;
    int fd; /* -1 once stopped */
    struct host_watch watch;
    struct host_timer resume; /* accept again after the process ran out of descriptors */
    char address[64];
    bool is_stopping;
    struct srv_conn *conns; /* owned, doubly linked */
    unsigned conn_count;
    struct srv_warn_limit warn;
};

/** The answer being sent. */
struct srv_out {
    struct srv_response response;
    struct host_buf stage; /* head, then as many body bytes as fit the same record */
    size_t stage_sent;
    size_t head_len;     /* bytes of stage that are head */
    const uint8_t *body; /* of response.mapping or response.body */
    size_t body_len;     /* 0 for HEAD */
    size_t body_sent;    /* of it handed to TLS, the part in stage included */
    bool is_active;
};

enum srv_out_result {
    SRV_OUT_DONE,
    SRV_OUT_PROGRESS,
    SRV_OUT_WANT_READ,
    SRV_OUT_WANT_WRITE,
    SRV_OUT_BROKEN
};

/** Take the settled response over (moved out of *response) and stage its head. */
void srv_out_begin(struct srv_out *out, struct srv_response *response, bool is_head,
                   bool keep_alive);
/** Send literal bytes that are no response: "100 Continue". */
void srv_out_begin_interim(struct srv_out *out, const char *text);
/** Write at most one record. */
enum srv_out_result srv_out_step(struct srv_out *out, SSL *ssl);
/** Report the end to progress and release everything; safe when nothing is active. */
void srv_out_end(struct srv_out *out);

enum srv_conn_state {
    SRV_CONN_HANDSHAKE,
    SRV_CONN_HEAD,     /* between requests, or a head is coming in */
    SRV_CONN_CONTINUE, /* "100 Continue" is going out */
    SRV_CONN_BODY,     /* a body is being buffered */
    SRV_CONN_UPLOAD,   /* a body is being streamed to the route */
    SRV_CONN_RESPOND,
    SRV_CONN_DRAIN, /* answered and shut down; lets the client read the answer */
    SRV_CONN_STATE_COUNT
};

enum srv_step {
    SRV_STEP_AGAIN,
    SRV_STEP_WANT_READ,
    SRV_STEP_WANT_WRITE,
    SRV_STEP_CLOSE
};

struct srv_conn {
    struct srv_listener *listener; /* borrowed */
    struct srv_conn *next, *prev;
    int fd;
    SSL *ssl;
    struct host_watch watch;
    struct host_timer timer;
    uint64_t deadline_ms;
    enum srv_conn_state state;
    struct srv_peer peer;

    /* What came in and is not used up; NULL while there is nothing. */
    uint8_t *in;
    size_t in_len, in_capacity;
    struct srv_http_scan scan;

    /* The request in progress. */
    size_t head_len;
    uint64_t body_len;
    uint64_t body_taken; /* of an upload */
    uint64_t body_mark;  /* body bytes at the start of the progress window */
    const struct srv_route *route;
    void *upload; /* owned by the route until end or abort */
    bool is_head;
    bool keep_alive;

    struct srv_out out;
    uint64_t drained_bytes;
};

/* --- conn_request.c: from bytes to an answer --- */

/** A request head is coming in. */
enum srv_step srv_conn_step_head(struct srv_conn *conn);
/** A body is being buffered. */
enum srv_step srv_conn_step_body(struct srv_conn *conn);
/** A body is being streamed. */
enum srv_step srv_conn_step_upload(struct srv_conn *conn);
/** Answer with an error that the engine found itself, then close. */
void srv_conn_respond_fault(struct srv_conn *conn, unsigned status, const char *what);
/** Tell the route that its upload will not come to an end; nothing when there is none. */
void srv_conn_abort_upload(struct srv_conn *conn);
/** Forget what came in. */
void srv_conn_release_input(struct srv_conn *conn);

/* --- conn.c --- */

void srv_conn_set_deadline(struct srv_conn *conn, uint64_t in_ms);
/** What to wait for after an OpenSSL call that returned result <= 0. */
enum srv_step srv_conn_tls_result(struct srv_conn *conn, int result);
const struct srv_limits *srv_conn_limits(const struct srv_conn *conn);

/** A connection on an accepted socket; it owns the socket and lives in listener->conns. */
void srv_conn_create(struct srv_listener *listener, int fd, const char *peer_address);
/** Close now, whatever it is doing. */
void srv_conn_destroy(struct srv_conn *conn);
/** Close when nothing is in progress, else after the current answer. */
void srv_conn_stop(struct srv_conn *conn);
struct srv_conn *srv_conn_next(const struct srv_conn *conn);

/** May this warning be logged? *suppressed = how many were not since the last one. */
bool srv_listener_may_warn(struct srv_listener *listener, uint64_t *suppressed);
