/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA256_Init and MD5_Init are deprecated since OpenSSL 3.0 in favour of EVP_MD_CTX, which is a
 * heap object. Kedge's hash states are plain values that can be copied to fork a stream, so the
 * low-level calls are the right ones; signatures below go through EVP.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "kedge/crypto.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "backend.h"

#define UNCOMPRESSED_POINT 0x04
/* Two INTEGERs of at most 33 bytes, each with 2 bytes of header, in a SEQUENCE with 2. */
#define DER_SIGNATURE_MAX 72

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct kedge_sha256), "opaque is too small");
_Static_assert(sizeof(MD5_CTX) <= sizeof(struct kedge_md5), "opaque is too small");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct kedge_sha256), "alignment");
_Static_assert(_Alignof(MD5_CTX) <= _Alignof(struct kedge_md5), "alignment");

static SHA256_CTX *sha256_context(struct kedge_sha256 *sha)
{
    return (SHA256_CTX *)sha->opaque;
}

static MD5_CTX *md5_context(void *md5)
{
    return (MD5_CTX *)((struct kedge_md5 *)md5)->opaque;
}

static void md5_op_init(void *md5)
{
    (void)MD5_Init(md5_context(md5));
}

static void md5_op_update(void *md5, const void *data, size_t len_bytes)
{
    (void)MD5_Update(md5_context(md5), data, len_bytes);
}

static void md5_op_final(void *md5, uint8_t *out)
{
    (void)MD5_Final(out, md5_context(md5));
    OPENSSL_cleanse(md5, sizeof(struct kedge_md5));
}

/* Why an OpenSSL call returned nothing: memory, or fallback. */
static enum kedge_err failure(enum kedge_err fallback)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE ? KEDGE_ERR_NO_MEMORY
                                                                         : fallback;
}

/* A public key of a type from its parameters, which are consumed; NULL on failure. */
static EVP_PKEY *build_key(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (context == NULL || params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(const uint8_t *modulus, uint32_t exponent)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, KEDGE_SIG_RSA_BYTES, NULL);
    OSSL_PARAM *params = NULL;

    if (builder != NULL && n != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_uint32(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        params = OSSL_PARAM_BLD_to_param(builder);
    }
    BN_free(n);
    OSSL_PARAM_BLD_free(builder);
    return build_key("RSA", params);
}

static EVP_PKEY *p256_key(const uint8_t *x_y)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    uint8_t encoded[1 + 64];

    encoded[0] = UNCOMPRESSED_POINT;
    memcpy(encoded + 1, x_y, 64);
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, encoded,
                                         sizeof(encoded)) == 1) {
        params = OSSL_PARAM_BLD_to_param(builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return build_key("EC", params);
}

static bool set_pss(EVP_PKEY_CTX *context)
{
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, KEDGE_SHA256_SIZE) == 1;
}

/* set_up may be NULL. */
static enum kedge_err verify(EVP_PKEY *key, bool (*set_up)(EVP_PKEY_CTX *),
                             struct kedge_cspan signature, const uint8_t *digest)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    enum kedge_err err = KEDGE_OK;

    if (context == NULL || EVP_PKEY_verify_init(context) != 1 ||
        (set_up != NULL && !set_up(context)) ||
        EVP_PKEY_verify(context, signature.data, signature.len, digest, KEDGE_SHA256_SIZE) != 1) {
        err = failure(KEDGE_ERR_SIGNATURE);
    }
    EVP_PKEY_CTX_free(context);
    return err;
}

/* r and s as DER, into out of DER_SIGNATURE_MAX bytes; 0 when memory is out. */
static size_t encode_der(const uint8_t *r_s, uint8_t *out)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(r_s, 32, NULL);
    BIGNUM *s = BN_bin2bn(r_s + 32, 32, NULL);
    int len = 0;

    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        len = i2d_ECDSA_SIG(signature, &out);
    }
    ECDSA_SIG_free(signature);
    return len > 0 ? (size_t)len : 0;
}

const struct kedge_hash_ops kedge_md5_ops = {
    .init = md5_op_init,
    .update = md5_op_update,
    .final = md5_op_final,
};

void kedge_sha256_init(struct kedge_sha256 *sha)
{
    (void)SHA256_Init(sha256_context(sha));
}

void kedge_sha256_update(struct kedge_sha256 *sha, const void *data, size_t len_bytes)
{
    (void)SHA256_Update(sha256_context(sha), data, len_bytes);
}

void kedge_sha256_final(struct kedge_sha256 *sha, uint8_t *out)
{
    (void)SHA256_Final(out, sha256_context(sha));
    OPENSSL_cleanse(sha, sizeof(*sha));
}

enum kedge_err backend_verify_rsa3072_pss(const uint8_t *modulus, uint32_t exponent,
                                          const uint8_t *signature, const uint8_t *digest)
{
    const struct kedge_cspan bytes = {signature, KEDGE_SIG_RSA_BYTES};
    enum kedge_err err;
    EVP_PKEY *key;

    ERR_set_mark(); /* a bad signature must not leave errors for the caller's TLS to find */
    key = rsa_key(modulus, exponent);
    err = key == NULL ? KEDGE_ERR_NO_MEMORY : verify(key, set_pss, bytes, digest);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return err;
}

enum kedge_err backend_verify_ecdsa_p256(const uint8_t *point, const uint8_t *signature,
                                         const uint8_t *digest)
{
    uint8_t der[DER_SIGNATURE_MAX];
    enum kedge_err err = KEDGE_ERR_NO_MEMORY;
    size_t der_len;
    EVP_PKEY *key;

    ERR_set_mark();
    key = p256_key(point);
    if (key == NULL) {
        err = failure(KEDGE_ERR_ARG);
    } else {
        der_len = encode_der(signature, der);
        if (der_len > 0) {
            err = verify(key, NULL, (struct kedge_cspan){der, der_len}, digest);
        }
    }
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return err;
}
