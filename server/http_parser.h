/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http.h"

/*
 * HTTP/1.1 request heads (RFC 9112): bytes in, struct srv_request out. Pure: no I/O, no heap.
 *
 * Two steps, so that a head that trickles in is looked at once per byte: scan finds the end of the
 * head and refuses what can never become one; parse takes the complete head apart.
 */
#define SRV_HTTP_MAX_LINE 2048u /**< request line; a longer one is answered 414 */

/** Why a head was refused: the status to answer and a static text that names the fault. */
struct srv_http_fault {
    unsigned status;
    const char *what;
};

/** Zero-initialised = nothing seen yet. */
struct srv_http_scan {
    size_t at;            /**< bytes looked at */
    size_t line_start;    /**< of the line that at is in */
    unsigned lines;       /**< complete lines, the request line included */
    bool carriage_return; /**< the last byte was CR */
    bool skipped_blank;   /**< one empty line before the request line was ignored */
};

/**
 * Look at the bytes from scan->at on. bytes starts where it started the last time and may have
 * grown. OK: the head is complete and its first *head_len bytes, blank line included, go to
 * srv_http_parse. Errors: TRUNCATED (more bytes are needed), SYNTAX (*fault says what to answer).
 */
KEDGE_NODISCARD enum kedge_err srv_http_scan(struct srv_http_scan *scan, struct kedge_cspan bytes,
                                             size_t *head_len, struct srv_http_fault *fault);

/** What the engine needs beside the request. */
struct srv_http_traits {
    bool keep_alive;      /**< the client allows another request on this connection */
    bool expect_continue; /**< waits for "100 Continue" before it sends the body */
};

/**
 * Take a complete head apart. Header spans and nothing else of *request point into head; peer,
 * param and body are left alone. Errors: SYNTAX, *fault says what to answer.
 */
KEDGE_NODISCARD enum kedge_err srv_http_parse(struct kedge_cspan head, struct srv_request *request,
                                              struct srv_http_traits *traits,
                                              struct srv_http_fault *fault);

/** Percent-decode text into out with NUL; *len_out without it. Errors: SYNTAX (bad escape, NUL or
 *  another control character), TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err srv_http_percent_decode(struct kedge_cspan text, char *out,
                                                       size_t size, size_t *len_out);
