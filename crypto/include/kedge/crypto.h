/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/image.h"
#include "kedge/sigblock.h"

#include <stdalign.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Hashes and signature verification. Three backends implement this header: mbedTLS 2.28 and 3
 * (ESP-IDF 5, host tests, sim), PSA Crypto (ESP-IDF 6) and OpenSSL (server, CLI). A program links
 * exactly one.
 */

/** Streaming SHA-256 (FIPS 180-4) held by value: copy it to fork the stream. No heap. */
struct kedge_sha256 {
    alignas(8) uint8_t opaque[256];
};

void kedge_sha256_init(struct kedge_sha256 *sha);
void kedge_sha256_update(struct kedge_sha256 *sha, const void *data, size_t len_bytes);
/** out: 32 bytes. The state is wiped and must be init'ed before it is used again. */
void kedge_sha256_final(struct kedge_sha256 *sha, uint8_t *out);
void kedge_sha256_of(const void *data, size_t len_bytes, uint8_t *out);

/** The same as ops for formats/; ctx is a struct kedge_sha256 *. */
extern const struct kedge_hash_ops kedge_sha256_ops;

/** MD5 (RFC 1321), for the partition table's integrity row only; ctx is a struct kedge_md5 *. */
struct kedge_md5 {
    alignas(8) uint8_t opaque[256];
};
extern const struct kedge_hash_ops kedge_md5_ops;

/**
 * RSASSA-PSS with RSA-3072, SHA-256, MGF1-SHA-256, salt 32 (RFC 8017 8.1.2).
 * modulus and signature: 384 bytes big-endian; digest: 32 bytes.
 * Errors: SIGNATURE; ARG for a modulus that is not 3072 bits or an even exponent; NO_MEMORY.
 */
KEDGE_NODISCARD enum kedge_err kedge_verify_rsa3072_pss(const uint8_t *modulus, uint32_t exponent,
                                                        const uint8_t *signature,
                                                        const uint8_t *digest);

/**
 * ECDSA over P-256 with a SHA-256 digest (FIPS 186-5). point: X‖Y, signature: r‖s, 64 bytes each,
 * big-endian. Errors: SIGNATURE; ARG for a point off the curve; NO_MEMORY.
 */
KEDGE_NODISCARD enum kedge_err
kedge_verify_ecdsa_p256(const uint8_t *point, const uint8_t *signature, const uint8_t *digest);

/**
 * One Secure Boot V2 block: its digest field equals image_digest, and the signature over it holds.
 * key_digest (32 bytes, may be NULL) receives what eFuse would hold; trust is the caller's
 * decision. Errors: HASH (digest field differs), SIGNATURE, ARG.
 */
KEDGE_NODISCARD enum kedge_err kedge_sig_verify(const struct kedge_sig_block *block,
                                                const uint8_t *image_digest, uint8_t *key_digest);

/** Compare in time that depends on len_bytes only. */
bool kedge_equal_constant_time(const void *a, const void *b, size_t len_bytes);

#ifdef __cplusplus
}
#endif
