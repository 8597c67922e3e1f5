/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/rsa.h>

#include "host/fs.h"
#include "kedge/crypto.h"
#include "sim/random.h"

#define OKAY      KEDGE_OTA_VALID
#define IMAGE_LEN 8192u

static const struct fixture_record blank = {0};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    fixture_otadata(&fixture, (struct fixture_record){1, OKAY, false}, blank);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    return 0;
}

static void load_vector(const char *name, struct host_buf *bytes)
{
    char path[512];
    host_buf_init(bytes, 1u << 20);
    assert_int_equal(host_fs_join(path, sizeof(path), KEDGE_VECTORS "/signature", name), KEDGE_OK);
    assert_int_equal(host_fs_read(path, bytes), KEDGE_OK);
}

/* The sector behind it is erased: an earlier signature must not be left there. */
static void put_vector(struct fixture *fixture, uint32_t slot, const char *name)
{
    struct host_buf bytes;
    load_vector(name, &bytes);
    uint32_t offset = fixture->layout.slots[slot].offset;
    sim_flash_program(fixture->flash, offset, bytes.data, (uint32_t)bytes.len);
    assert_int_equal(sim_flash_erase(fixture->flash, offset + (uint32_t)bytes.len), KEDGE_OK);
    host_buf_free(&bytes);
}

static void trust(struct fixture *fixture, const uint8_t *key_digest)
{
    struct sim_secure_boot *secure_boot = &fixture->bootloader.secure_boot;
    memcpy(secure_boot->key_digests[secure_boot->key_count++], key_digest, KEDGE_SHA256_SIZE);
}

static void trust_vector(struct fixture *fixture, const char *name)
{
    struct host_buf digest;
    load_vector(name, &digest);
    assert_int_equal(digest.len, KEDGE_SHA256_SIZE);
    trust(fixture, (const uint8_t *)digest.data);
    host_buf_free(&digest);
}

static enum kedge_err verify(const struct fixture *fixture, uint32_t slot)
{
    return sim_image_verify(fixture->flash, fixture->layout.slots[slot], &fixture->bootloader,
                            NULL);
}

/* Vectors are images for the ESP32, signed by espsecure. */
static void an_esp32_trusts_the_key_in_the_first_block_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *image, *key;
        enum kedge_err expected;
    } cases[] = {
        {"signed-rsa-a.bin", "rsa-a.digest.bin", KEDGE_OK},
        {"signed-rsa-a-short.bin", "rsa-a.digest.bin", KEDGE_OK},
        {"signed-rsa-a.bin", "rsa-b.digest.bin", KEDGE_ERR_MISMATCH},
        {"signed-rsa-abc.bin", "rsa-a.digest.bin", KEDGE_OK},
        {"signed-rsa-abc.bin", "rsa-b.digest.bin", KEDGE_ERR_MISMATCH},
        {"signed-rsa-abc.bin", "rsa-c.digest.bin", KEDGE_ERR_MISMATCH},
        {"signed-rsa-a-then-b.bin", "rsa-b.digest.bin", KEDGE_ERR_MISMATCH},
        {"unsigned-padded.bin", "rsa-a.digest.bin", KEDGE_ERR_MISMATCH},
        {"signed-ec-a.bin", "ec-a.digest.bin", KEDGE_ERR_MISMATCH}, /* has no ECDSA scheme */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture->bootloader.secure_boot.key_count = 0;
        put_vector(fixture, 0, cases[i].image);
        assert_int_equal(verify(fixture, 0), KEDGE_OK);

        trust_vector(fixture, cases[i].key);

        assert_int_equal(verify(fixture, 0), cases[i].expected);
    }
}

static void an_esp32_has_room_for_one_key(void **state)
{
    struct fixture *fixture = *state;
    put_vector(fixture, 0, "signed-rsa-a.bin");
    trust_vector(fixture, "rsa-b.digest.bin");
    trust_vector(fixture, "rsa-a.digest.bin");

    assert_int_equal(verify(fixture, 0), KEDGE_ERR_MISMATCH);
}

static void flip(struct fixture *fixture, uint32_t at)
{
    uint8_t sector[SIM_FLASH_SECTOR_SIZE];
    uint32_t offset =
        fixture->layout.slots[0].offset + at / SIM_FLASH_SECTOR_SIZE * SIM_FLASH_SECTOR_SIZE;
    assert_int_equal(sim_flash_read(fixture->flash, offset, sector, sizeof(sector)), KEDGE_OK);
    sector[at % sizeof(sector)] ^= 0x04;
    sim_flash_program(fixture->flash, offset, sector, sizeof(sector));
}

/* 64 KiB image, then the sector: block 0 at 0x10000, block 1 at 0x104C0. */
static void one_flipped_bit_counts_where_the_esp32_looks(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint32_t at;
        enum kedge_err expected;
    } cases[] = {
        {0x30, KEDGE_ERR_MISMATCH},          /* descriptor: the signature does not cover this one */
        {0xFFFF, KEDGE_ERR_MISMATCH},        /* last byte of the appended SHA-256 */
        {0x10000 + 4, KEDGE_ERR_MISMATCH},   /* digest in the block */
        {0x10000 + 36, KEDGE_ERR_MISMATCH},  /* modulus */
        {0x10000 + 900, KEDGE_ERR_MISMATCH}, /* signature */
        {0x104C0 + 4, KEDGE_OK},             /* another block */
        {0x10FFF, KEDGE_OK},                 /* fill */
    };
    trust_vector(fixture, "rsa-a.digest.bin");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_vector(fixture, 0, "signed-rsa-abc.bin");
        flip(fixture, cases[i].at);
        assert_int_equal(verify(fixture, 0), cases[i].expected);
    }
}

static void an_unsigned_update_is_refused_by_the_app_and_passed_over_at_boot(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_record valid = {1, OKAY, false}, fresh = {2, KEDGE_OTA_NEW, false},
                                tried = {2, KEDGE_OTA_PENDING_VERIFY, false};
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    trust_vector(fixture, "rsa-a.digest.bin");
    put_vector(fixture, 0, "signed-rsa-a.bin");
    put_vector(fixture, 1, "unsigned-padded.bin");

    assert_int_equal(sim_ota_end(&ota, 1), KEDGE_ERR_MISMATCH);
    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_ERR_MISMATCH);
    fixture_expect_otadata(fixture, valid, blank);

    fixture_otadata(fixture, valid, fresh);
    fixture_expect_boot(fixture, 0);
    fixture_expect_otadata(fixture, valid, tried);
}

static void without_one_signed_image_nothing_boots(void **state)
{
    struct fixture *fixture = *state;
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    trust_vector(fixture, "rsa-b.digest.bin");
    put_vector(fixture, 0, "signed-rsa-a.bin");
    put_vector(fixture, 1, "unsigned-padded.bin");

    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_ERR_NOT_FOUND);
}

/* From here on: chips that look at three blocks. Keys and signatures are made by mbedTLS. */

static int draw(void *ctx, unsigned char *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (unsigned char)sim_random_u32(ctx);
    }
    return 0;
}

/* An image and an empty signature sector behind it. */
static void build(uint16_t chip_id, struct host_buf *file)
{
    struct sim_image_spec spec = {.version = "1.0.0",
                                  .project = "kedge-test",
                                  .chip_id = chip_id,
                                  .size_bytes = IMAGE_LEN,
                                  .behaviour = ""};
    struct kedge_fault fault;
    uint8_t sector[KEDGE_SIG_SECTOR_SIZE];

    host_buf_init(file, 1u << 16);
    assert_int_equal(sim_firmware_build(&spec, file, &fault), KEDGE_OK);
    memset(sector, 0xFF, sizeof(sector));
    host_buf_append(file, sector, sizeof(sector));
}

static void add_block(struct host_buf *file, uint32_t index, struct kedge_sig_block *block,
                      uint8_t *key_digest)
{
    struct kedge_span sector = {(uint8_t *)file->data + IMAGE_LEN, KEDGE_SIG_SECTOR_SIZE};
    uint8_t alone[KEDGE_SIG_SECTOR_SIZE];
    struct kedge_sig_sector parsed;
    struct kedge_fault fault;

    assert_int_equal(kedge_sig_encode_block(block, index, sector), KEDGE_OK);
    memset(alone, 0xFF, sizeof(alone));
    assert_int_equal(kedge_sig_encode_block(block, 0, (struct kedge_span){alone, sizeof(alone)}),
                     KEDGE_OK);
    assert_int_equal(kedge_sig_parse((struct kedge_cspan){alone, sizeof(alone)}, &parsed, &fault),
                     KEDGE_OK);
    assert_int_equal(kedge_sig_verify(&parsed.blocks[0], block->digest, key_digest), KEDGE_OK);
}

static void sign_ecdsa(struct host_buf *file, uint32_t index, uint64_t key, uint8_t *key_digest)
{
    struct kedge_sig_block block = {.scheme = KEDGE_SIG_ECDSA_P256};
    struct sim_random random;
    mbedtls_ecdsa_context ecdsa;
    mbedtls_mpi r, s;

    sim_random_seed(&random, key, "ecdsa");
    mbedtls_ecdsa_init(&ecdsa);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    kedge_sha256_of(file->data, IMAGE_LEN, block.digest);
    assert_int_equal(mbedtls_ecdsa_genkey(&ecdsa, MBEDTLS_ECP_DP_SECP256R1, draw, &random), 0);
    assert_int_equal(mbedtls_ecdsa_sign(&ecdsa.grp, &r, &s, &ecdsa.d, block.digest,
                                        KEDGE_SHA256_SIZE, draw, &random),
                     0);
    assert_int_equal(mbedtls_mpi_write_binary(&ecdsa.Q.X, block.ecdsa.point, 32), 0);
    assert_int_equal(mbedtls_mpi_write_binary(&ecdsa.Q.Y, block.ecdsa.point + 32, 32), 0);
    assert_int_equal(mbedtls_mpi_write_binary(&r, block.ecdsa.signature, 32), 0);
    assert_int_equal(mbedtls_mpi_write_binary(&s, block.ecdsa.signature + 32, 32), 0);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    mbedtls_ecdsa_free(&ecdsa);
    add_block(file, index, &block, key_digest);
}

static void sign_rsa(struct host_buf *file, uint32_t index, uint8_t *key_digest)
{
    struct kedge_sig_block block = {.scheme = KEDGE_SIG_RSA_3072, .rsa.exponent = 65537};
    struct sim_random random;
    mbedtls_rsa_context rsa;

    sim_random_seed(&random, 1, "rsa");
    mbedtls_rsa_init(&rsa, MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256);
    kedge_sha256_of(file->data, IMAGE_LEN, block.digest);
    assert_int_equal(mbedtls_rsa_gen_key(&rsa, draw, &random, 8 * KEDGE_SIG_RSA_BYTES, 65537), 0);
    assert_int_equal(mbedtls_rsa_export_raw(&rsa, block.rsa.modulus, KEDGE_SIG_RSA_BYTES, NULL, 0,
                                            NULL, 0, NULL, 0, NULL, 0),
                     0);
    assert_int_equal(mbedtls_rsa_rsassa_pss_sign(&rsa, draw, &random, MBEDTLS_RSA_PRIVATE,
                                                 MBEDTLS_MD_SHA256, KEDGE_SHA256_SIZE, block.digest,
                                                 block.rsa.signature),
                     0);
    mbedtls_rsa_free(&rsa);
    add_block(file, index, &block, key_digest);
}

static void put_file(struct fixture *fixture, uint32_t slot, struct host_buf *file)
{
    sim_flash_program(fixture->flash, fixture->layout.slots[slot].offset, file->data,
                      (uint32_t)file->len);
}

static void an_esp32c6_takes_any_of_three_blocks_and_keys(void **state)
{
    struct fixture *fixture = *state;
    struct host_buf file;
    uint8_t keys[4][KEDGE_SHA256_SIZE];
    fixture->bootloader.chip_id = KEDGE_CHIP_ESP32C6;
    build(KEDGE_CHIP_ESP32C6, &file);
    for (uint32_t i = 0; i < 3; i++) {
        sign_ecdsa(&file, i, i + 1, keys[i]);
    }
    memset(keys[3], 0x33, sizeof(keys[3]));
    put_file(fixture, 0, &file);

    for (uint32_t key = 0; key < 4; key++) {
        fixture->bootloader.secure_boot.key_count = 0;
        trust(fixture, keys[3]);
        trust(fixture, keys[3]);
        trust(fixture, keys[key]);
        assert_int_equal(verify(fixture, 0), key < 3 ? KEDGE_OK : KEDGE_ERR_MISMATCH);
    }
    host_buf_free(&file);
}

/* Broken or foreign blocks in front of it do not matter to the ROM. */
static void an_esp32s3_finds_its_rsa_key_in_the_third_block(void **state)
{
    struct fixture *fixture = *state;
    struct host_buf file;
    uint8_t rsa_key[KEDGE_SHA256_SIZE], ec_key[KEDGE_SHA256_SIZE];
    fixture->bootloader.chip_id = KEDGE_CHIP_ESP32S3;
    build(KEDGE_CHIP_ESP32S3, &file);
    sign_ecdsa(&file, 0, 1, ec_key);
    sign_ecdsa(&file, 1, 2, ec_key);
    sign_rsa(&file, 2, rsa_key);
    file.data[IMAGE_LEN + 40] ^= 1;
    put_file(fixture, 0, &file);

    trust(fixture, ec_key);
    assert_int_equal(verify(fixture, 0), KEDGE_ERR_MISMATCH);
    trust(fixture, rsa_key);
    assert_int_equal(verify(fixture, 0), KEDGE_OK);
    host_buf_free(&file);
}

/* docs/esp-idf.md 3.3, last paragraph: the bootloader asks the signature instead. */
static void a_signed_image_with_a_wrong_appended_hash_boots(void **state)
{
    struct fixture *fixture = *state;
    struct host_buf file;
    uint8_t key[KEDGE_SHA256_SIZE];
    fixture->bootloader.chip_id = KEDGE_CHIP_ESP32C6;
    build(KEDGE_CHIP_ESP32C6, &file);
    file.data[IMAGE_LEN - 1] ^= 1;
    sign_ecdsa(&file, 0, 1, key);
    put_file(fixture, 0, &file);
    assert_int_equal(verify(fixture, 0), KEDGE_ERR_MISMATCH);

    trust(fixture, key);

    assert_int_equal(verify(fixture, 0), KEDGE_OK);
    host_buf_free(&file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_esp32_trusts_the_key_in_the_first_block_and_no_other),
        TEST(an_esp32_has_room_for_one_key),
        TEST(one_flipped_bit_counts_where_the_esp32_looks),
        TEST(an_unsigned_update_is_refused_by_the_app_and_passed_over_at_boot),
        TEST(without_one_signed_image_nothing_boots),
        TEST(an_esp32c6_takes_any_of_three_blocks_and_keys),
        TEST(an_esp32s3_finds_its_rsa_key_in_the_third_block),
        TEST(a_signed_image_with_a_wrong_appended_hash_boots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
