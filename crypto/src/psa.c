/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/crypto.h"

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <string.h>

#include "backend.h"

/*
 * The PSA Crypto API, all that mbedTLS 4 (ESP-IDF 6) leaves public. mbedTLS 2.28 (Debian 12) has it
 * too, for the tests. As with mbedtls.c a stream can be forked by copying only where the hash is in
 * software; the agent does not fork.
 */
_Static_assert(sizeof(psa_hash_operation_t) <= sizeof(struct kedge_sha256), "opaque is too small");
_Static_assert(sizeof(psa_hash_operation_t) <= sizeof(struct kedge_md5), "opaque is too small");
_Static_assert(_Alignof(psa_hash_operation_t) <= _Alignof(struct kedge_sha256), "alignment");
_Static_assert(_Alignof(psa_hash_operation_t) <= _Alignof(struct kedge_md5), "alignment");
_Static_assert(sizeof(struct kedge_md5) == sizeof(struct kedge_sha256), "hash_end wipes either");

#define UNCOMPRESSED_POINT 0x04

/* ---- hashes: an operation that failed gives a digest of zeros, a mismatch and never a match ----
 */

static void hash_begin(void *opaque, psa_algorithm_t algorithm)
{
    psa_hash_operation_t *operation = opaque;

    *operation = psa_hash_operation_init();
    if (psa_crypto_init() == PSA_SUCCESS) {
        (void)psa_hash_setup(operation, algorithm);
    }
}

static void hash_update(void *opaque, const void *data, size_t len_bytes)
{
    (void)psa_hash_update(opaque, data, len_bytes);
}

static void hash_end(void *opaque, uint8_t *out, size_t size)
{
    size_t len = 0;

    if (psa_hash_finish(opaque, out, size, &len) != PSA_SUCCESS || len != size) {
        memset(out, 0, size);
    }
    (void)psa_hash_abort(opaque);
    mbedtls_platform_zeroize(opaque, sizeof(struct kedge_sha256));
}

static void md5_init(void *ctx)
{
    hash_begin(((struct kedge_md5 *)ctx)->opaque, PSA_ALG_MD5);
}

static void md5_update(void *ctx, const void *data, size_t len_bytes)
{
    hash_update(((struct kedge_md5 *)ctx)->opaque, data, len_bytes);
}

static void md5_final(void *ctx, uint8_t *out)
{
    hash_end(((struct kedge_md5 *)ctx)->opaque, out, 16);
}

const struct kedge_hash_ops kedge_md5_ops = {
    .init = md5_init, .update = md5_update, .final = md5_final};

void kedge_sha256_init(struct kedge_sha256 *sha)
{
    hash_begin(sha->opaque, PSA_ALG_SHA_256);
}

void kedge_sha256_update(struct kedge_sha256 *sha, const void *data, size_t len_bytes)
{
    hash_update(sha->opaque, data, len_bytes);
}

void kedge_sha256_final(struct kedge_sha256 *sha, uint8_t *out)
{
    hash_end(sha->opaque, out, KEDGE_SHA256_SIZE);
}

/* ---- signatures ---- */

struct key {
    psa_key_type_t type;
    psa_algorithm_t algorithm;
    const uint8_t *data;
    size_t len;
};

static enum kedge_err error_of(psa_status_t status)
{
    if (status == PSA_SUCCESS) {
        return KEDGE_OK;
    }
    return status == PSA_ERROR_INSUFFICIENT_MEMORY ? KEDGE_ERR_NO_MEMORY : KEDGE_ERR_SIGNATURE;
}

static psa_status_t import_key(const struct key *key, psa_key_id_t *id)
{
    psa_key_attributes_t attributes = psa_key_attributes_init();
    psa_status_t status = psa_crypto_init();

    if (status != PSA_SUCCESS) {
        return status;
    }
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&attributes, key->algorithm);
    psa_set_key_type(&attributes, key->type);
    return psa_import_key(&attributes, key->data, key->len, id);
}

static enum kedge_err verify(const struct key *key, const uint8_t *digest, const uint8_t *signature,
                             size_t signature_len)
{
    psa_key_id_t id = 0;
    psa_status_t status = import_key(key, &id);

    if (status == PSA_ERROR_INVALID_ARGUMENT) {
        return KEDGE_ERR_ARG;
    }
    if (status == PSA_SUCCESS) {
        status = psa_verify_hash(id, key->algorithm, digest, KEDGE_SHA256_SIZE, signature,
                                 signature_len);
        (void)psa_destroy_key(id);
    }
    return error_of(status);
}

/* RSAPublicKey (RFC 8017 A.1.1): SEQUENCE of the INTEGERs modulus and exponent, both positive. */
enum kedge_err backend_verify_rsa3072_pss(const uint8_t *modulus, uint32_t exponent,
                                          const uint8_t *signature, const uint8_t *digest)
{
    const uint8_t head[] = {0x30, 0x82, 0x01, 0x8C, 0x02, 0x82, 0x01, 0x81, 0x00};
    const uint8_t tail[] = {0x02,
                            0x05,
                            0x00,
                            (uint8_t)(exponent >> 24),
                            (uint8_t)(exponent >> 16),
                            (uint8_t)(exponent >> 8),
                            (uint8_t)exponent};
    uint8_t der[sizeof head + KEDGE_SIG_RSA_BYTES + sizeof tail];
    const struct key key = {.type = PSA_KEY_TYPE_RSA_PUBLIC_KEY,
                            .algorithm = PSA_ALG_RSA_PSS(PSA_ALG_SHA_256),
                            .data = der,
                            .len = sizeof der};
    enum kedge_err err;

    memcpy(der, head, sizeof head);
    memcpy(&der[sizeof head], modulus, KEDGE_SIG_RSA_BYTES);
    memcpy(&der[sizeof head + KEDGE_SIG_RSA_BYTES], tail, sizeof tail);
    err = verify(&key, digest, signature, KEDGE_SIG_RSA_BYTES);
    return err == KEDGE_ERR_ARG ? KEDGE_ERR_SIGNATURE : err;
}

enum kedge_err backend_verify_ecdsa_p256(const uint8_t *point, const uint8_t *signature,
                                         const uint8_t *digest)
{
    uint8_t encoded[1 + 64] = {UNCOMPRESSED_POINT};
    const struct key key = {.type = PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1),
                            .algorithm = PSA_ALG_ECDSA(PSA_ALG_SHA_256),
                            .data = encoded,
                            .len = sizeof encoded};

    memcpy(&encoded[1], point, 64);
    return verify(&key, digest, signature, 64);
}
