/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/crypto.h"

#include <string.h>

#include "backend.h"

void kedge_sha256_of(const void *data, size_t len_bytes, uint8_t *out)
{
    struct kedge_sha256 sha;

    kedge_sha256_init(&sha);
    kedge_sha256_update(&sha, data, len_bytes);
    kedge_sha256_final(&sha, out);
}

static void sha256_op_init(void *sha)
{
    kedge_sha256_init(sha);
}

static void sha256_op_update(void *sha, const void *data, size_t len_bytes)
{
    kedge_sha256_update(sha, data, len_bytes);
}

static void sha256_op_final(void *sha, uint8_t *out)
{
    kedge_sha256_final(sha, out);
}

const struct kedge_hash_ops kedge_sha256_ops = {
    .init = sha256_op_init,
    .update = sha256_op_update,
    .final = sha256_op_final,
};

enum kedge_err kedge_verify_rsa3072_pss(const uint8_t *modulus, uint32_t exponent,
                                        const uint8_t *signature, const uint8_t *digest)
{
    bool is_3072_bits = (modulus[0] & 0x80) != 0;
    bool is_odd = (modulus[KEDGE_SIG_RSA_BYTES - 1] & 1) != 0;

    /* With e = 1 the signature is the padded message itself, which anyone can write. */
    if (!is_3072_bits || !is_odd || exponent % 2 == 0 || exponent < 3) {
        return KEDGE_ERR_ARG;
    }
    return backend_verify_rsa3072_pss(modulus, exponent, signature, digest);
}

enum kedge_err kedge_verify_ecdsa_p256(const uint8_t *point, const uint8_t *signature,
                                       const uint8_t *digest)
{
    return backend_verify_ecdsa_p256(point, signature, digest);
}

enum kedge_err kedge_sig_verify(const struct kedge_sig_block *block, const uint8_t *image_digest,
                                uint8_t *key_digest)
{
    enum kedge_err err = KEDGE_ERR_ARG;

    if (!kedge_equal_constant_time(block->digest, image_digest, KEDGE_SHA256_SIZE)) {
        return KEDGE_ERR_HASH;
    }
    switch (block->scheme) {
    case KEDGE_SIG_RSA_3072:
        err = kedge_verify_rsa3072_pss(block->rsa.modulus, block->rsa.exponent,
                                       block->rsa.signature, image_digest);
        break;
    case KEDGE_SIG_ECDSA_P256:
        err = kedge_verify_ecdsa_p256(block->ecdsa.point, block->ecdsa.signature, image_digest);
        break;
    }
    if (err == KEDGE_OK && key_digest != NULL) {
        kedge_sha256_of(block->key_material.data, block->key_material.len, key_digest);
    }
    return err;
}

bool kedge_equal_constant_time(const void *a, const void *b, size_t len_bytes)
{
    const volatile uint8_t *first = a;
    const volatile uint8_t *second = b;
    uint8_t difference = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        difference = (uint8_t)(difference | (first[i] ^ second[i]));
    }
    return difference == 0;
}
