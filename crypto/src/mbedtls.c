/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/crypto.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md5.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include "backend.h"

/*
 * mbedTLS 2.28 (Debian 12) and 3.x (ESP-IDF 5): the differences between the two stand here and
 * nowhere else. A stream can be forked by copying only where the hash is in software; the agent
 * does not fork. On the ESP32 the SHA engine belongs to one hash from its first update to its end.
 */
#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#define md5_starts    mbedtls_md5_starts_ret
#define md5_update    mbedtls_md5_update_ret
#define md5_finish    mbedtls_md5_finish_ret
#define rsa_init(rsa) mbedtls_rsa_init((rsa), MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256)
#define pss_verify(rsa, digest, signature)                                                         \
    mbedtls_rsa_rsassa_pss_verify_ext((rsa), NULL, NULL, MBEDTLS_RSA_PUBLIC, MBEDTLS_MD_SHA256,    \
                                      KEDGE_SHA256_SIZE, (digest), MBEDTLS_MD_SHA256,              \
                                      KEDGE_SHA256_SIZE, (signature))
#else
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#define md5_starts    mbedtls_md5_starts
#define md5_update    mbedtls_md5_update
#define md5_finish    mbedtls_md5_finish
#define rsa_init(rsa) mbedtls_rsa_init(rsa)
#define pss_verify(rsa, digest, signature)                                                         \
    mbedtls_rsa_rsassa_pss_verify_ext((rsa), MBEDTLS_MD_SHA256, KEDGE_SHA256_SIZE, (digest),       \
                                      MBEDTLS_MD_SHA256, KEDGE_SHA256_SIZE, (signature))
#endif

#define UNCOMPRESSED_POINT 0x04

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct kedge_sha256),
               "opaque is too small");
_Static_assert(sizeof(mbedtls_md5_context) <= sizeof(struct kedge_md5), "opaque is too small");
_Static_assert(_Alignof(mbedtls_sha256_context) <= _Alignof(struct kedge_sha256), "alignment");
_Static_assert(_Alignof(mbedtls_md5_context) <= _Alignof(struct kedge_md5), "alignment");

static mbedtls_sha256_context *sha256_context(struct kedge_sha256 *sha)
{
    return (mbedtls_sha256_context *)sha->opaque;
}

static mbedtls_md5_context *md5_context(void *md5)
{
    return (mbedtls_md5_context *)((struct kedge_md5 *)md5)->opaque;
}

/*
 * Software hashes cannot fail, but the API can say so. A zeroed state makes the digest wrong, so
 * that a failure ends as a mismatch and never as a match.
 */
static void wipe_on_failure(int result, void *context, size_t size)
{
    if (result != 0) {
        mbedtls_platform_zeroize(context, size);
    }
}

static void md5_op_init(void *md5)
{
    mbedtls_md5_init(md5_context(md5));
    wipe_on_failure(md5_starts(md5_context(md5)), md5, sizeof(struct kedge_md5));
}

static void md5_op_update(void *md5, const void *data, size_t len_bytes)
{
    wipe_on_failure(md5_update(md5_context(md5), data, len_bytes), md5, sizeof(struct kedge_md5));
}

static void md5_op_final(void *md5, uint8_t *out)
{
    wipe_on_failure(md5_finish(md5_context(md5), out), out, 16);
    mbedtls_platform_zeroize(md5, sizeof(struct kedge_md5));
}

static enum kedge_err error_of(int result)
{
    if (result == 0) {
        return KEDGE_OK;
    }
    return result == MBEDTLS_ERR_MPI_ALLOC_FAILED || result == MBEDTLS_ERR_ECP_ALLOC_FAILED
               ? KEDGE_ERR_NO_MEMORY
               : KEDGE_ERR_SIGNATURE;
}

/* X and Y into point; ARG when they are not on the curve. */
static enum kedge_err load_point(const mbedtls_ecp_group *group, mbedtls_ecp_point *point,
                                 const uint8_t *x_y)
{
    uint8_t encoded[1 + 64];
    int result;

    encoded[0] = UNCOMPRESSED_POINT;
    for (size_t i = 0; i < 64; i++) {
        encoded[1 + i] = x_y[i];
    }
    result = mbedtls_ecp_point_read_binary(group, point, encoded, sizeof(encoded));
    if (result == 0) {
        result = mbedtls_ecp_check_pubkey(group, point);
    }
    if (result == 0 || error_of(result) == KEDGE_ERR_NO_MEMORY) {
        return error_of(result);
    }
    return KEDGE_ERR_ARG;
}

const struct kedge_hash_ops kedge_md5_ops = {
    .init = md5_op_init,
    .update = md5_op_update,
    .final = md5_op_final,
};

void kedge_sha256_init(struct kedge_sha256 *sha)
{
    mbedtls_sha256_init(sha256_context(sha));
    wipe_on_failure(sha256_starts(sha256_context(sha), 0), sha, sizeof(*sha));
}

void kedge_sha256_update(struct kedge_sha256 *sha, const void *data, size_t len_bytes)
{
    wipe_on_failure(sha256_update(sha256_context(sha), data, len_bytes), sha, sizeof(*sha));
}

void kedge_sha256_final(struct kedge_sha256 *sha, uint8_t *out)
{
    wipe_on_failure(sha256_finish(sha256_context(sha), out), out, KEDGE_SHA256_SIZE);
    mbedtls_platform_zeroize(sha, sizeof(*sha));
}

enum kedge_err backend_verify_rsa3072_pss(const uint8_t *modulus, uint32_t exponent,
                                          const uint8_t *signature, const uint8_t *digest)
{
    const uint8_t exponent_be[4] = {(uint8_t)(exponent >> 24), (uint8_t)(exponent >> 16),
                                    (uint8_t)(exponent >> 8), (uint8_t)exponent};
    mbedtls_rsa_context rsa;
    int result;

    rsa_init(&rsa);
    result = mbedtls_rsa_import_raw(&rsa, modulus, KEDGE_SIG_RSA_BYTES, NULL, 0, NULL, 0, NULL, 0,
                                    exponent_be, sizeof(exponent_be));
    if (result == 0) {
        result = mbedtls_rsa_complete(&rsa);
    }
    if (result == 0) {
        result = pss_verify(&rsa, digest, signature);
    }
    mbedtls_rsa_free(&rsa);
    return error_of(result);
}

enum kedge_err backend_verify_ecdsa_p256(const uint8_t *point, const uint8_t *signature,
                                         const uint8_t *digest)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point key;
    mbedtls_mpi r;
    mbedtls_mpi s;
    enum kedge_err err;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&key);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    err = error_of(mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1));
    if (err == KEDGE_OK) {
        err = load_point(&group, &key, point);
    }
    if (err == KEDGE_OK) {
        err = error_of(mbedtls_mpi_read_binary(&r, signature, 32));
    }
    if (err == KEDGE_OK) {
        err = error_of(mbedtls_mpi_read_binary(&s, signature + 32, 32));
    }
    if (err == KEDGE_OK) {
        err = error_of(mbedtls_ecdsa_verify(&group, digest, KEDGE_SHA256_SIZE, &key, &r, &s));
    }
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&key);
    mbedtls_ecp_group_free(&group);
    return err;
}
