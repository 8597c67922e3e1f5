/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/crypto.h"
#include "kedge/sigblock.h"
#include "vectors.h"

#define RSA_AT_EXPONENT 420
#define RSA_AT_RINV     424
#define RSA_AT_M_PRIME  808
#define AT_CRC          1196

static const struct {
    const char *name;
    uint32_t count;
    enum kedge_sig_scheme scheme;
} vectors[] = {
    {"signature/signed-rsa-a.bin", 1, KEDGE_SIG_RSA_3072},
    {"signature/signed-rsa-a-short.bin", 1, KEDGE_SIG_RSA_3072},
    {"signature/signed-rsa-a-then-b.bin", 2, KEDGE_SIG_RSA_3072},
    {"signature/signed-rsa-abc.bin", 3, KEDGE_SIG_RSA_3072},
    {"signature/signed-ec-a.bin", 1, KEDGE_SIG_ECDSA_P256},
    {"signature/signed-ec-ab.bin", 2, KEDGE_SIG_ECDSA_P256},
};

static struct kedge_cspan sector_of(const struct vector *file)
{
    return (struct kedge_cspan){file->data + file->len - KEDGE_SIG_SECTOR_SIZE,
                                KEDGE_SIG_SECTOR_SIZE};
}

static void refresh_crc(uint8_t *block)
{
    kedge_put_le32(block + AT_CRC, kedge_crc32(0, block, AT_CRC));
}

static void every_signed_vector_parses(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct vector file = vector_load(vectors[i].name);
        struct kedge_sig_sector sector;
        struct kedge_fault fault;
        uint8_t digest[32];

        assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_OK);
        kedge_sha256_of(file.data, file.len - KEDGE_SIG_SECTOR_SIZE, digest);
        assert_int_equal(sector.count, vectors[i].count);
        for (uint32_t b = 0; b < sector.count; b++) {
            assert_int_equal(sector.blocks[b].scheme, vectors[i].scheme);
            assert_memory_equal(sector.blocks[b].digest, digest, 32);
        }
        vector_free(&file);
    }
}

static void every_signed_vector_is_encoded_byte_for_byte(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct vector file = vector_load(vectors[i].name);
        struct kedge_sig_sector sector;
        struct kedge_fault fault;
        uint8_t out[KEDGE_SIG_SECTOR_SIZE];

        assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_OK);
        memset(out, 0xFF, sizeof(out));
        for (uint32_t b = 0; b < sector.count; b++) {
            assert_int_equal(
                kedge_sig_encode_block(&sector.blocks[b], b, (struct kedge_span){out, sizeof(out)}),
                KEDGE_OK);
        }
        assert_memory_equal(out, sector_of(&file).data, sizeof(out));
        vector_free(&file);
    }
}

static void every_changed_byte_of_a_sector_is_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("signature/signed-ec-ab.bin");
    uint8_t *bytes = file.data + file.len - KEDGE_SIG_SECTOR_SIZE;

    for (size_t at = 0; at < KEDGE_SIG_SECTOR_SIZE; at++) {
        struct kedge_sig_sector sector;
        struct kedge_fault fault = {0};
        bytes[at] ^= 0x01;
        assert_int_not_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_OK);
        assert_non_null(fault.what);
        bytes[at] ^= 0x01;
    }
    vector_free(&file);
}

/* One byte of a block changed, and its CRC made right again: only the field's own rule is left. */
static const struct {
    const char *name;
    size_t at;
    uint8_t value;
    enum kedge_err err;
    uint32_t fault_at;
    const char *what;
} damages[] = {
    {"signature/signed-rsa-a.bin", 1, 1, KEDGE_ERR_VERSION, 1, "signature block version"},
    {"signature/signed-rsa-a.bin", 2, 1, KEDGE_ERR_RANGE, 2, "reserved bytes"},
    {"signature/signed-rsa-a.bin", 36, 0x10, KEDGE_ERR_RANGE, 36,
     "RSA modulus, odd and of 3072 bits"},
    {"signature/signed-rsa-a.bin", 419, 0x7F, KEDGE_ERR_RANGE, 36,
     "RSA modulus, odd and of 3072 bits"},
    {"signature/signed-rsa-a.bin", RSA_AT_EXPONENT, 2, KEDGE_ERR_RANGE, RSA_AT_EXPONENT,
     "RSA exponent"},
    {"signature/signed-rsa-a.bin", 1200, 1, KEDGE_ERR_RANGE, 1200, "zero fill"},
    {"signature/signed-ec-a.bin", 2, 1, KEDGE_ERR_RANGE, 2, "hash of the ECDSA signature"},
    {"signature/signed-ec-a.bin", 36, 1, KEDGE_ERR_RANGE, 36, "ECDSA curve"},
    {"signature/signed-ec-a.bin", 165, 1, KEDGE_ERR_RANGE, 165, "zero fill"},
    {"signature/signed-ec-a.bin", 1195, 1, KEDGE_ERR_RANGE, 165, "zero fill"},
    {"signature/signed-ec-a.bin", 4095, 0, KEDGE_ERR_RANGE, 4095,
     "fill after the signature blocks"},
    {"signature/signed-ec-a.bin", 2432, 0xE7, KEDGE_ERR_RANGE, 2432,
     "fill after the signature blocks"}, /* a third block without a second */
    {"signature/signed-ec-ab.bin", 0, 0xFF, KEDGE_ERR_MAGIC, 0, "signature block magic"},
};

static void each_damaged_field_is_named_with_its_offset(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct vector file = vector_load(damages[i].name);
        uint8_t *bytes = file.data + file.len - KEDGE_SIG_SECTOR_SIZE;
        struct kedge_sig_sector sector;
        struct kedge_fault fault = {0};

        bytes[damages[i].at] = damages[i].value;
        refresh_crc(bytes);

        assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), damages[i].err);
        assert_int_equal(fault.err, damages[i].err);
        assert_int_equal(fault.at, damages[i].fault_at);
        assert_string_equal(fault.what, damages[i].what);
        vector_free(&file);
    }
}

static void rinv_and_m_prime_that_do_not_belong_to_the_key_are_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("signature/signed-rsa-a.bin");
    uint8_t *bytes = file.data + file.len - KEDGE_SIG_SECTOR_SIZE;
    struct kedge_sig_sector sector;
    struct kedge_fault fault;

    for (size_t at = RSA_AT_RINV; at < RSA_AT_M_PRIME + 4; at += 7) {
        bytes[at] ^= 0x40;
        refresh_crc(bytes);
        assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_ERR_RANGE);
        bytes[at] ^= 0x40;
    }
    refresh_crc(bytes);
    assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_OK);
    vector_free(&file);
}

static void a_fault_in_the_second_block_is_located_in_the_sector(void **state)
{
    (void)state;
    struct vector file = vector_load("signature/signed-rsa-abc.bin");
    struct kedge_sig_sector sector;
    struct kedge_fault fault;

    file.data[file.len - KEDGE_SIG_SECTOR_SIZE + KEDGE_SIG_BLOCK_SIZE + 900] ^= 1;

    assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_ERR_CHECKSUM);
    assert_int_equal(fault.at, KEDGE_SIG_BLOCK_SIZE + AT_CRC);
    vector_free(&file);
}

static void a_sector_of_another_length_or_without_a_block_is_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("signature/unsigned-padded.bin");
    struct kedge_sig_sector sector;
    struct kedge_fault fault;

    assert_int_equal(kedge_sig_parse(sector_of(&file), &sector, &fault), KEDGE_ERR_MAGIC);
    assert_int_equal(kedge_sig_parse((struct kedge_cspan){file.data, 4095}, &sector, &fault),
                     KEDGE_ERR_TRUNCATED);
    assert_int_equal(kedge_sig_parse((struct kedge_cspan){file.data, 4097}, &sector, &fault),
                     KEDGE_ERR_TOO_LARGE);
    assert_int_equal(kedge_sig_parse((struct kedge_cspan){NULL, 0}, &sector, &fault),
                     KEDGE_ERR_TRUNCATED);
    vector_free(&file);
}

static void what_cannot_be_encoded_is_an_argument_error(void **state)
{
    (void)state;
    struct kedge_sig_block block = {.scheme = KEDGE_SIG_ECDSA_P256};
    uint8_t out[KEDGE_SIG_SECTOR_SIZE];
    struct kedge_span sector = {out, sizeof(out)};

    assert_int_equal(kedge_sig_encode_block(&block, 3, sector), KEDGE_ERR_ARG);
    assert_int_equal(kedge_sig_encode_block(&block, 0, (struct kedge_span){out, 4095}),
                     KEDGE_ERR_ARG);
    block.scheme = KEDGE_SIG_RSA_3072; /* modulus 0 */
    assert_int_equal(kedge_sig_encode_block(&block, 0, sector), KEDGE_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_signed_vector_parses),
        cmocka_unit_test(every_signed_vector_is_encoded_byte_for_byte),
        cmocka_unit_test(every_changed_byte_of_a_sector_is_refused),
        cmocka_unit_test(each_damaged_field_is_named_with_its_offset),
        cmocka_unit_test(rinv_and_m_prime_that_do_not_belong_to_the_key_are_refused),
        cmocka_unit_test(a_fault_in_the_second_block_is_located_in_the_sector),
        cmocka_unit_test(a_sector_of_another_length_or_without_a_block_is_refused),
        cmocka_unit_test(what_cannot_be_encoded_is_an_argument_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
