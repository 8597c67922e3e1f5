/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/crypto.h"
#include "vectors.h"

/* Signed vectors, and the key of each block in order. */
static const struct {
    const char *name;
    const char *key_digests[3];
} signed_images[] = {
    {"signature/signed-rsa-a.bin", {"signature/rsa-a.digest.bin"}},
    {"signature/signed-rsa-a-short.bin", {"signature/rsa-a.digest.bin"}},
    {"signature/signed-rsa-a-then-b.bin",
     {"signature/rsa-a.digest.bin", "signature/rsa-b.digest.bin"}},
    {"signature/signed-rsa-abc.bin",
     {"signature/rsa-a.digest.bin", "signature/rsa-b.digest.bin", "signature/rsa-c.digest.bin"}},
    {"signature/signed-ec-a.bin", {"signature/ec-a.digest.bin"}},
    {"signature/signed-ec-ab.bin", {"signature/ec-a.digest.bin", "signature/ec-b.digest.bin"}},
};

/* A signed file, its parsed sector and the digest that the sector is about. */
struct signed_image {
    struct vector file;
    struct kedge_sig_sector sector;
    uint8_t digest[32];
};

static struct signed_image load(const char *name)
{
    struct signed_image image = {.file = vector_load(name)};
    size_t body_len = image.file.len - KEDGE_SIG_SECTOR_SIZE;
    struct kedge_fault fault;

    assert_int_equal(
        kedge_sig_parse((struct kedge_cspan){image.file.data + body_len, KEDGE_SIG_SECTOR_SIZE},
                        &image.sector, &fault),
        KEDGE_OK);
    kedge_sha256_of(image.file.data, body_len, image.digest);
    return image;
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
    char hex[65];

    kedge_hex_encode(bytes, len, hex);
    assert_string_equal(hex, expected);
}

static void sha256_has_the_values_of_fips_180(void **state)
{
    (void)state;
    uint8_t out[32];

    kedge_sha256_of("abc", 3, out);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    kedge_sha256_of(NULL, 0, out);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    kedge_sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
    assert_hex(out, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void sha256_is_the_same_in_any_chunks(void **state)
{
    (void)state;
    uint8_t data[200];
    uint8_t whole[32];
    uint8_t pieces[32];

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    kedge_sha256_of(data, sizeof(data), whole);
    for (size_t chunk = 1; chunk <= sizeof(data); chunk++) {
        struct kedge_sha256 sha;
        kedge_sha256_init(&sha);
        for (size_t at = 0; at < sizeof(data); at += chunk) {
            size_t len = sizeof(data) - at < chunk ? sizeof(data) - at : chunk;
            kedge_sha256_update(&sha, data + at, len);
        }
        kedge_sha256_final(&sha, pieces);
        assert_memory_equal(pieces, whole, 32);
    }
}

static void a_copied_sha256_is_a_fork_of_the_stream(void **state)
{
    (void)state;
    struct kedge_sha256 sha;
    struct kedge_sha256 fork;
    uint8_t out[32];

    kedge_sha256_init(&sha);
    kedge_sha256_update(&sha, "ab", 2);
    fork = sha;
    kedge_sha256_update(&fork, "x", 1);
    kedge_sha256_final(&fork, out);
    kedge_sha256_update(&sha, "c", 1);
    kedge_sha256_final(&sha, out);

    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_finished_sha256_keeps_nothing(void **state)
{
    (void)state;
    struct kedge_sha256 sha;
    static const struct kedge_sha256 wiped;
    uint8_t out[32];

    kedge_sha256_init(&sha);
    kedge_sha256_update(&sha, "secret", 6);
    kedge_sha256_final(&sha, out);

    assert_memory_equal(&sha, &wiped, sizeof(sha));
}

static void md5_has_the_values_of_rfc_1321(void **state)
{
    (void)state;
    struct kedge_md5 md5;
    uint8_t out[16];

    kedge_md5_ops.init(&md5);
    kedge_md5_ops.update(&md5, "message ", 8);
    kedge_md5_ops.update(&md5, "digest", 6);
    kedge_md5_ops.final(&md5, out);

    assert_hex(out, 16, "f96b697d7cb7938d525a2f31aaf161d0");
}

static void every_signed_vector_verifies_and_names_its_key(void **state)
{
    (void)state;
    uint32_t verified = 0;

    for (size_t i = 0; i < sizeof(signed_images) / sizeof(signed_images[0]); i++) {
        struct signed_image image = load(signed_images[i].name);
        for (uint32_t b = 0; b < image.sector.count; b++) {
            struct vector expected = vector_load(signed_images[i].key_digests[b]);
            uint8_t key_digest[32];
            assert_int_equal(kedge_sig_verify(&image.sector.blocks[b], image.digest, key_digest),
                             KEDGE_OK);
            assert_int_equal(expected.len, 32);
            assert_memory_equal(key_digest, expected.data, 32);
            vector_free(&expected);
            verified++;
        }
        vector_free(&image.file);
    }
    assert_int_equal(verified, 10);
}

static void a_changed_image_fails_by_its_hash(void **state)
{
    (void)state;
    struct signed_image image = load("signature/signed-rsa-a.bin");
    uint8_t key_digest[32] = {0x77};
    uint8_t untouched[32] = {0x77};

    image.file.data[5000] ^= 1;
    kedge_sha256_of(image.file.data, image.file.len - KEDGE_SIG_SECTOR_SIZE, image.digest);

    assert_int_equal(kedge_sig_verify(&image.sector.blocks[0], image.digest, key_digest),
                     KEDGE_ERR_HASH);
    assert_memory_equal(key_digest, untouched, 32);
    vector_free(&image.file);
}

/* An attacker who replaces the digest field too still has no signature over it. */
static void a_changed_image_with_its_digest_replaced_fails_by_its_signature(void **state)
{
    (void)state;
    static const char *const names[] = {"signature/signed-rsa-a.bin", "signature/signed-ec-a.bin"};

    for (size_t i = 0; i < 2; i++) {
        struct signed_image image = load(names[i]);
        image.digest[0] ^= 1;
        memcpy(image.sector.blocks[0].digest, image.digest, 32);
        assert_int_equal(kedge_sig_verify(&image.sector.blocks[0], image.digest, NULL),
                         KEDGE_ERR_SIGNATURE);
        vector_free(&image.file);
    }
}

static void another_key_does_not_verify(void **state)
{
    (void)state;
    struct signed_image rsa = load("signature/signed-rsa-abc.bin");
    struct signed_image ec = load("signature/signed-ec-ab.bin");
    struct kedge_sig_block *blocks = rsa.sector.blocks;

    assert_int_equal(kedge_verify_rsa3072_pss(blocks[1].rsa.modulus, blocks[1].rsa.exponent,
                                              blocks[0].rsa.signature, rsa.digest),
                     KEDGE_ERR_SIGNATURE);
    blocks = ec.sector.blocks;
    assert_int_equal(
        kedge_verify_ecdsa_p256(blocks[1].ecdsa.point, blocks[0].ecdsa.signature, ec.digest),
        KEDGE_ERR_SIGNATURE);
    vector_free(&rsa.file);
    vector_free(&ec.file);
}

static void no_flipped_bit_of_an_rsa_signature_verifies(void **state)
{
    (void)state;
    struct signed_image image = load("signature/signed-rsa-a.bin");
    struct kedge_sig_block *block = &image.sector.blocks[0];

    for (size_t bit = 0; bit < 8 * sizeof(block->rsa.signature); bit += 101) {
        block->rsa.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(kedge_sig_verify(block, image.digest, NULL), KEDGE_ERR_SIGNATURE);
        block->rsa.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(kedge_sig_verify(block, image.digest, NULL), KEDGE_OK);
    vector_free(&image.file);
}

static void no_flipped_bit_of_an_ecdsa_signature_verifies(void **state)
{
    (void)state;
    struct signed_image image = load("signature/signed-ec-a.bin");
    struct kedge_sig_block *block = &image.sector.blocks[0];

    for (size_t bit = 0; bit < 8 * sizeof(block->ecdsa.signature); bit += 13) {
        block->ecdsa.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(kedge_sig_verify(block, image.digest, NULL), KEDGE_ERR_SIGNATURE);
        block->ecdsa.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    vector_free(&image.file);
}

static void degenerate_signatures_do_not_verify(void **state)
{
    (void)state;
    struct signed_image rsa = load("signature/signed-rsa-a.bin");
    struct signed_image ec = load("signature/signed-ec-a.bin");
    static const uint8_t fills[] = {0x00, 0x01, 0xFF};

    for (size_t i = 0; i < sizeof(fills); i++) {
        struct kedge_sig_block *block = &rsa.sector.blocks[0];
        memset(block->rsa.signature, fills[i], sizeof(block->rsa.signature));
        assert_int_equal(kedge_sig_verify(block, rsa.digest, NULL), KEDGE_ERR_SIGNATURE);
        block = &ec.sector.blocks[0];
        memset(block->ecdsa.signature, fills[i], sizeof(block->ecdsa.signature));
        assert_int_equal(kedge_sig_verify(block, ec.digest, NULL), KEDGE_ERR_SIGNATURE);
    }
    vector_free(&rsa.file);
    vector_free(&ec.file);
}

static void keys_that_are_no_keys_are_argument_errors(void **state)
{
    (void)state;
    struct signed_image rsa = load("signature/signed-rsa-a.bin");
    struct signed_image ec = load("signature/signed-ec-a.bin");
    struct kedge_sig_block *block = &rsa.sector.blocks[0];

    block->rsa.exponent = 65536;
    assert_int_equal(kedge_sig_verify(block, rsa.digest, NULL), KEDGE_ERR_ARG);
    block->rsa.exponent = 1;
    assert_int_equal(kedge_sig_verify(block, rsa.digest, NULL), KEDGE_ERR_ARG);
    block->rsa.exponent = 65537;
    block->rsa.modulus[0] &= 0x7F;
    assert_int_equal(kedge_sig_verify(block, rsa.digest, NULL), KEDGE_ERR_ARG);
    block->rsa.modulus[0] |= 0x80;
    block->rsa.modulus[KEDGE_SIG_RSA_BYTES - 1] &= 0xFE;
    assert_int_equal(kedge_sig_verify(block, rsa.digest, NULL), KEDGE_ERR_ARG);

    block = &ec.sector.blocks[0];
    block->ecdsa.point[63] ^= 1; /* off the curve */
    assert_int_equal(kedge_sig_verify(block, ec.digest, NULL), KEDGE_ERR_ARG);
    memset(block->ecdsa.point, 0, sizeof(block->ecdsa.point));
    assert_int_equal(kedge_sig_verify(block, ec.digest, NULL), KEDGE_ERR_ARG);
    memset(block->ecdsa.point, 0xFF, sizeof(block->ecdsa.point)); /* above the field */
    assert_int_equal(kedge_sig_verify(block, ec.digest, NULL), KEDGE_ERR_ARG);
    vector_free(&rsa.file);
    vector_free(&ec.file);
}

static void constant_time_comparison_compares(void **state)
{
    (void)state;

    assert_true(kedge_equal_constant_time("abc", "abc", 3));
    assert_false(kedge_equal_constant_time("abc", "abd", 3));
    assert_false(kedge_equal_constant_time("\x80", "\x00", 1));
    assert_true(kedge_equal_constant_time("abc", "abd", 2));
    assert_true(kedge_equal_constant_time(NULL, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_has_the_values_of_fips_180),
        cmocka_unit_test(sha256_is_the_same_in_any_chunks),
        cmocka_unit_test(a_copied_sha256_is_a_fork_of_the_stream),
        cmocka_unit_test(a_finished_sha256_keeps_nothing),
        cmocka_unit_test(md5_has_the_values_of_rfc_1321),
        cmocka_unit_test(every_signed_vector_verifies_and_names_its_key),
        cmocka_unit_test(a_changed_image_fails_by_its_hash),
        cmocka_unit_test(a_changed_image_with_its_digest_replaced_fails_by_its_signature),
        cmocka_unit_test(another_key_does_not_verify),
        cmocka_unit_test(no_flipped_bit_of_an_rsa_signature_verifies),
        cmocka_unit_test(no_flipped_bit_of_an_ecdsa_signature_verifies),
        cmocka_unit_test(degenerate_signatures_do_not_verify),
        cmocka_unit_test(keys_that_are_no_keys_are_argument_errors),
        cmocka_unit_test(constant_time_comparison_compares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
