/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * The fleet's certificate authority: ECDSA P-256, SHA-256, X.509 v3 (RFC 5280). Every error is said
 * to the user where it happens; the returned code only steers.
 */

/** Certificates of devices and services carry <CN>.<this> as their DNS name (RFC 2606: it never
 *  resolves). Without a DNS name, OpenSSL holds a CN with a dot in it against the CA's constraint.
 */
#define CLI_PKI_OWN_DOMAIN "kedge.invalid"

struct cli_pki; /* an open CA: its certificate and key */

/**
 * Make a CA: key_path (0600) and cert_path, 20 years. domains (comma-separated, "localhost,
 * example.com") are what its certificates may name: the name constraint. Errors: IO.
 */
KEDGE_NODISCARD enum kedge_err cli_pki_create(const char *domains, const char *key_path,
                                              const char *cert_path);
/** Errors: NOT_FOUND, IO. */
KEDGE_NODISCARD enum kedge_err cli_pki_open(const char *key_path, const char *cert_path,
                                            struct cli_pki **pki);
/** NULL is fine. */
void cli_pki_close(struct cli_pki *pki);

enum cli_pki_use {
    CLI_PKI_SERVER,
    CLI_PKI_CLIENT
};

/** One certificate to issue. */
struct cli_pki_request {
    const char *common_name;
    const char *alt_names; /**< subjectAltName as OpenSSL spells it: "DNS:localhost,IP:127.0.0.1" */
    enum cli_pki_use use;
    unsigned years;
};

/** New key to key_path (0600), certificate to cert_path. Errors: IO. */
KEDGE_NODISCARD enum kedge_err cli_pki_issue(const struct cli_pki *pki,
                                             const struct cli_pki_request *request,
                                             const char *key_path, const char *cert_path);
/** SHA-256 of the certificate's DER, lower-case hex and NUL into out[65]. Errors: NOT_FOUND, IO. */
KEDGE_NODISCARD enum kedge_err cli_pki_fingerprint(const char *cert_path, char *out);
/** *names: is host (DNS name or IP address) one that the certificate is for? Errors: NOT_FOUND, IO.
 */
KEDGE_NODISCARD enum kedge_err cli_pki_names(const char *cert_path, const char *host, bool *names);
/** size bytes from the system's random source. Errors: IO. */
KEDGE_NODISCARD enum kedge_err cli_pki_random(uint8_t *out, size_t size);
