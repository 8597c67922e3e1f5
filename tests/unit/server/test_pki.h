/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

/*
 * Certificates made on the spot, in a temporary folder: <name>.crt and <name>.key, PEM, P-256.
 */
struct test_pki {
    char dir[64];
    char path[4][160]; /**< ring for test_pki_path */
    unsigned next_path;
};

enum test_cert_kind {
    TEST_CERT_CA,
    TEST_CERT_SERVER, /**< SAN 127.0.0.1, EKU serverAuth */
    TEST_CERT_CLIENT, /**< EKU clientAuth */
    TEST_CERT_EXPIRED /**< a client's that ended yesterday */
};

/** Temporary folder; aborts on failure. */
void test_pki_init(struct test_pki *pki);
/** Remove the folder and what test_pki_make made. */
void test_pki_remove(struct test_pki *pki);
/** Write name.crt and name.key, signed by issuer (itself for a CA). */
void test_pki_make(struct test_pki *pki, const char *name, const char *cn, const char *issuer,
                   enum test_cert_kind kind);
/** dir/name; valid for the next four calls. */
const char *test_pki_path(struct test_pki *pki, const char *name);
