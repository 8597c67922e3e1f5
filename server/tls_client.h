/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>

#include "host/buf.h"
#include "kedge/err.h"

/* One outgoing TLS connection on a non-blocking socket; whoever holds it watches fd. */
struct srv_tls_client {
    int fd;   /**< -1 = closed */
    SSL *ssl; /**< NULL until start */
};

enum srv_tls_io {
    SRV_TLS_DONE,
    SRV_TLS_WANT_READ,
    SRV_TLS_WANT_WRITE,
    SRV_TLS_BROKEN /**< srv_tls_error says why */
};

/**
 * Begin to connect; fd gets writable when it is decided. attempt picks among the host's addresses
 * in turn. An address resolves at once; a name takes as long as the resolver does, so host should
 * be an address or in /etc/hosts. Errors: IO (*reason says why: static, or valid until the next
 * call of the C library's error functions).
 */
KEDGE_NODISCARD enum kedge_err srv_tls_client_connect(struct srv_tls_client *client,
                                                      const char *host, uint16_t port,
                                                      unsigned attempt, const char **reason);
/** The socket is connected, or has failed: look, and set TLS up for host. Errors: as above. */
KEDGE_NODISCARD enum kedge_err srv_tls_client_start(struct srv_tls_client *client, SSL_CTX *tls,
                                                    const char *host, const char **reason);
enum srv_tls_io srv_tls_client_handshake(struct srv_tls_client *client);
/** DONE: *len bytes, at least one, came into out. */
enum srv_tls_io srv_tls_client_read(struct srv_tls_client *client, void *out, size_t size,
                                    size_t *len);
/** DONE: all of out is written. What was written is consumed in any case. */
enum srv_tls_io srv_tls_client_write(struct srv_tls_client *client, struct host_buf *out);
void srv_tls_client_close(struct srv_tls_client *client);
