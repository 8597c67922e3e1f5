/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"
#include "kedge/message.h"

/*
 * The seam between the engine (connections, TLS, HTTP/1.1: conn.c, http_parser.c, tls.c) and the
 * APIs (device_api.c, admin_api.c). A handler gets a parsed request and fills a response; it never
 * sees a socket.
 */
#define SRV_HTTP_MAX_HEAD     8192u /**< request line and headers together */
#define SRV_HTTP_MAX_HEADERS  48u
#define SRV_HTTP_MAX_BODY     65536u               /**< of a buffered body; uploads are streamed */
#define SRV_HTTP_MAX_RESPONSE (8u * 1024u * 1024u) /**< of a buffered response body */

/** HEAD reaches a handler as GET with is_head set; the engine leaves the body out. */
enum srv_method {
    SRV_GET,
    SRV_POST,
    SRV_PUT,
    SRV_DELETE
};

enum srv_cert_state {
    SRV_CERT_NONE,   /**< this listener asks for none */
    SRV_CERT_OK,     /**< chain verified against our CA, purpose client */
    SRV_CERT_REFUSED /**< chain does not verify: cert_error says why. Every answer must be 403 */
};

/** Who is on the other side, from the TLS session. */
struct srv_peer {
    enum srv_cert_state cert_state;
    const char *cert_error;        /**< OpenSSL's text, static; NULL when OK */
    char cn[KEDGE_DEVICE_ID_SIZE]; /**< "" when missing, too long, or holding a NUL */
    char cert_sha256[65];          /**< hex of the certificate's SHA-256; "" when none */
    char address[64];              /**< "127.0.0.1:5432", for log and audit */
};

struct srv_header {
    struct kedge_cspan name, value; /**< value trimmed */
};

/** Borrowed by the handler for the call. */
struct srv_request {
    enum srv_method method;
    bool is_head;      /**< only the head of the answer is wanted: a handler must change nothing */
    char path[512];    /**< decoded, no query; "/" first; no "..", no NUL */
    char query[512];   /**< raw, without '?' */
    const char *param; /**< the part of path that a route's "*" matched; "" when none */
    uint32_t header_count;
    struct srv_header headers[SRV_HTTP_MAX_HEADERS];
    bool has_content_length;
    uint64_t content_length;
    struct kedge_cspan body; /**< complete, unless the route streams */
    const struct srv_peer *peer;
};

/** First header of that name (case-insensitive) as text into out, trimmed; "" when absent.
 *  Errors: TOO_LARGE (does not fit), DUPLICATE (sent twice), SYNTAX (control characters). */
KEDGE_NODISCARD enum kedge_err srv_request_header(const struct srv_request *request,
                                                  const char *name, char *out, size_t size,
                                                  bool *present);
/** Value of ?name=…, percent-decoded. Errors: NOT_FOUND, TOO_LARGE, SYNTAX. */
KEDGE_NODISCARD enum kedge_err srv_request_query(const struct srv_request *request,
                                                 const char *name, char *out, size_t size);

/** A read-only file mapping shared by responses; the engine releases it when the body is sent or
 * the connection is gone. */
struct srv_mapping {
    const uint8_t *data;
    size_t size;
    unsigned references;
    void (*free)(struct srv_mapping *mapping); /**< called at 0 references */
};

struct srv_response {
    unsigned status;
    struct host_buf head; /**< extra header lines, each ended by CRLF; use srv_response_header */
    struct host_buf body; /**< used when mapping is NULL */
    struct srv_mapping *mapping; /**< the response holds one reference */
    size_t mapping_offset, mapping_len;
    /** Called as body bytes leave, and once at the end with done = true (also when the connection
     *  broke; sent_total then says how far it came). May be NULL. */
    void (*progress)(void *ctx, uint64_t sent_total, bool done);
    void *progress_ctx;
    bool close; /**< close the connection after this response */
};

__attribute__((format(printf, 3, 4))) void
srv_response_header(struct srv_response *response, const char *name, const char *format, ...);
/** Status and a JSON body {"error": text}; text says what to do next. */
__attribute__((format(printf, 3, 4))) void
srv_response_error(struct srv_response *response, unsigned status, const char *format, ...);

/** Streamed request body. begin may refuse by filling the response and returning NULL; then the
 *  connection closes after it. */
struct srv_upload_ops {
    void *(*begin)(void *app, const struct srv_request *request, struct srv_response *response);
    /** Errors end the upload: end is called next with that error. */
    enum kedge_err (*write)(void *upload, struct kedge_cspan bytes);
    /** All bytes are in, or err says why not. Fills the response; frees upload. */
    void (*end)(void *upload, enum kedge_err err, struct srv_response *response);
    /** The client went away. Frees upload. */
    void (*abort)(void *upload);
};

struct srv_route {
    enum srv_method method;
    const char *path; /**< exact, or with one "*" that matches one path segment */
    void (*handle)(void *app, const struct srv_request *request, struct srv_response *response);
    const struct srv_upload_ops *upload; /**< instead of handle */
};

/** A listener's application. Rows end at path == NULL. No match: 404, wrong method: 405. */
struct srv_app {
    const struct srv_route *routes;
    void *ctx;
    /** Before any route, for every request: false = response is filled (401, 403). May be NULL. */
    bool (*authorise)(void *ctx, const struct srv_request *request, struct srv_response *response);
};
