/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <string.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "host/log.h"

/* A chain is device, (intermediate,) CA; certificates beyond that are not worth the CPU time. */
#define MAX_CHAIN_DEPTH 3
#define MAX_CHAIN_BYTES 16384
/* A resumed session skips the chain check: bound how long the verdict is believed. */
#define SESSION_LIFETIME_S 3600

static const unsigned char session_context[] = "kedged";

const char *srv_tls_error(char *out, size_t size)
{
    unsigned long code = ERR_peek_error(); /* the first one names the cause */

    if (code == 0) {
        return "connection closed by the other side";
    }
    ERR_error_string_n(code, out, size);
    ERR_clear_error();
    return out;
}

/* Complete the handshake whatever the verdict: OpenSSL keeps it as the session's verify result,
 * and also in tickets, so that a resumed session carries it. */
static int verify_chain(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    if (X509_verify_cert(store) != 1) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

        if (X509_STORE_CTX_get_error(store) == X509_V_OK) {
            X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
        }
        /* Nothing to gain from a resumption that ends in a 403. (TLS 1.2 has promised its ticket
         * by now; there the verify result in the ticket decides.) */
        (void)SSL_set_num_tickets(ssl, 0);
    }
    return 1;
}

static SSL_CTX *fail(SSL_CTX *ctx, const char *what, const char *file, const char *advice)
{
    char text[256];

    host_log(HOST_LOG_ERROR, "tls_setup", "what=\"%s\" file=\"%s\" reason=\"%s\" advice=\"%s\"",
             what, file, srv_tls_error(text, sizeof text), advice);
    SSL_CTX_free(ctx);
    return NULL;
}

static SSL_CTX *create(const SSL_METHOD *method, const struct srv_tls_files *files)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL) {
        return fail(NULL, "cannot create a TLS context", "", "check the OpenSSL installation");
    }
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1) {
        return fail(ctx, "cannot load the certificate", files->cert,
                    "run `kedge init` or point the option at a PEM file");
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1) {
        return fail(ctx, "cannot load the private key of the certificate", files->key,
                    "it must be a PEM file that belongs to the certificate");
    }
    if (files->ca != NULL && SSL_CTX_load_verify_file(ctx, files->ca) != 1) {
        return fail(ctx, "cannot load the CA certificate", files->ca,
                    "run `kedge init` or point the option at a PEM file");
    }
    return ctx;
}

SSL_CTX *srv_tls_server(const struct srv_tls_files *files)
{
    SSL_CTX *ctx = create(TLS_server_method(), files);

    if (ctx == NULL || files->ca == NULL) {
        return ctx;
    }

    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(files->ca);

    if (names == NULL) {
        return fail(ctx, "cannot read the CA's name", files->ca, "it must be a PEM file");
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(ctx, MAX_CHAIN_DEPTH);
    SSL_CTX_set_max_cert_list(ctx, MAX_CHAIN_BYTES);
    SSL_CTX_set_cert_verify_callback(ctx, verify_chain, NULL);
    /* Tickets only: no memory per session. Their keys live as long as the process. */
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(ctx, SESSION_LIFETIME_S);
    (void)SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
    return ctx;
}

SSL_CTX *srv_tls_client(const struct srv_tls_files *files)
{
    SSL_CTX *ctx = create(TLS_client_method(), files);

    if (ctx != NULL) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    return ctx;
}

enum kedge_err srv_tls_expect_host(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1) {
        return KEDGE_OK; /* RFC 6066 3: an address is not sent as SNI */
    }
    ERR_clear_error();
    if (SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1) {
        ERR_clear_error();
        return KEDGE_ERR_ARG;
    }
    return KEDGE_OK;
}

/* The one CN as UTF-8; "" when there is none, more than one, or one that a C string cannot hold. */
static void read_cn(X509 *cert, char *out, size_t size)
{
    X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *text = NULL;

    out[0] = '\0';
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) {
        return;
    }

    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));

    if (len > 0 && (size_t)len < size && memchr(text, '\0', (size_t)len) == NULL) {
        memcpy(out, text, (size_t)len);
        out[len] = '\0';
    }
    if (len >= 0) {
        OPENSSL_free(text);
    }
}

static long verdict(SSL *ssl, X509 *cert)
{
    long result = SSL_get_verify_result(ssl);

    if (result == X509_V_OK && SSL_session_reused(ssl) &&
        X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) {
        return X509_V_ERR_CERT_HAS_EXPIRED;
    }
    return result;
}

void srv_tls_peer(SSL *ssl, struct srv_peer *peer)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    X509 *cert = SSL_get0_peer_certificate(ssl);

    peer->cert_state = SRV_CERT_NONE;
    peer->cert_error = NULL;
    peer->cn[0] = '\0';
    peer->cert_sha256[0] = '\0';
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) {
        return;
    }
    peer->cert_state = SRV_CERT_REFUSED;
    if (cert == NULL) {
        peer->cert_error = "no certificate"; /* the handshake does not let this happen */
        return;
    }

    long result = verdict(ssl, cert);

    if (result == X509_V_OK) {
        peer->cert_state = SRV_CERT_OK;
    } else {
        peer->cert_error = X509_verify_cert_error_string(result);
    }
    read_cn(cert, peer->cn, sizeof peer->cn);
    if (X509_digest(cert, EVP_sha256(), digest, &digest_len) == 1) {
        kedge_hex_encode(digest, digest_len, peer->cert_sha256);
    }
    ERR_clear_error();
}
