/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>

#include "http.h"

/* TLS contexts (OpenSSL 3) and what a certificate says about the other side. */

/** PEM files; ca may be NULL for a server that asks its clients for no certificate. */
struct srv_tls_files {
    const char *ca, *cert, *key;
};

/**
 * TLS 1.2/1.3 server context. With a CA every client must show a certificate: without one the
 * handshake fails; with one that does not verify it completes, and srv_tls_peer says REFUSED, so
 * that the client can be told why in HTTP. Free with SSL_CTX_free. NULL after logging the reason.
 */
SSL_CTX *srv_tls_server(const struct srv_tls_files *files);
/** TLS client context: verifies the server against ca. NULL after logging the reason. */
SSL_CTX *srv_tls_client(const struct srv_tls_files *files);
/** Expect a certificate for host (name or address) and send it as SNI. Errors: ARG. */
KEDGE_NODISCARD enum kedge_err srv_tls_expect_host(SSL *ssl, const char *host);

/** cert_state, cert_error, cn and cert_sha256 of *peer after the handshake; the rest stays. Resumed
 *  sessions are judged by the verdict of their first handshake and by the expiry date now. */
void srv_tls_peer(SSL *ssl, struct srv_peer *peer);
/** Text of the oldest error in OpenSSL's queue, which is emptied. out is borrowed storage. */
const char *srv_tls_error(char *out, size_t size);
