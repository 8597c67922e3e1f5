/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/crypto.h"
#include "kedge/image.h"
#include "vectors.h"

#define BUFFER_SIZE 0x30000u

static const struct kedge_image_spec plain = {
    .chip_id = KEDGE_CHIP_ESP32C3,
    .desc = {.secure_version = 3,
             .version = "1.4.0-rc.2",
             .project = "kedge-demo",
             .time = "12:34:56",
             .date = "Nov 22 2026",
             .idf_version = "v5.5.5"},
    .payload = {(const uint8_t *)"behave=ok\n\n\n", 12},
    .append_hash = true,
};

/* Writes spec into buffer and parses it again. */
static struct kedge_image_info write_and_parse(const struct kedge_image_spec *spec, uint8_t *buffer,
                                               uint32_t *len)
{
    struct kedge_image_parser parser;
    struct kedge_image_info info = {0};
    struct kedge_sha256 sha;

    assert_int_equal(kedge_image_write(spec, &kedge_sha256_ops, &sha,
                                       (struct kedge_span){buffer, BUFFER_SIZE}, len),
                     KEDGE_OK);
    assert_int_equal(*len, kedge_image_write_size(spec));
    kedge_image_parser_init(&parser, &kedge_sha256_ops, &sha);
    assert_int_equal(kedge_image_parser_feed(&parser, (struct kedge_cspan){buffer, *len}),
                     KEDGE_OK);
    assert_int_equal(kedge_image_parser_end(&parser, &info), KEDGE_OK);
    return info;
}

static void what_is_written_parses_back(void **state)
{
    (void)state;
    uint8_t *buffer = malloc(BUFFER_SIZE);
    uint32_t len;

    struct kedge_image_info info = write_and_parse(&plain, buffer, &len);

    assert_int_equal(len, info.image_len);
    assert_int_equal(info.trailer_len, 0);
    assert_int_equal(info.chip_id, KEDGE_CHIP_ESP32C3);
    assert_true(info.has_hash);
    assert_memory_equal(&info.desc, &plain.desc, sizeof(info.desc));
    assert_memory_equal(buffer + KEDGE_IMAGE_PREFIX_SIZE, "behave=ok\n\n\n", 12);
    free(buffer);
}

static void file_offset_and_load_address_agree_within_a_page_on_every_chip(void **state)
{
    (void)state;
    static const uint16_t chips[] = {
#define X(name, id, text) id,
        KEDGE_CHIP_MAP(X)
#undef X
    };
    uint8_t *buffer = malloc(BUFFER_SIZE);

    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        struct kedge_image_spec spec = plain;
        uint32_t len;
        spec.chip_id = chips[i];
        assert_int_equal(write_and_parse(&spec, buffer, &len).chip_id, chips[i]);
        assert_int_equal(kedge_get_le32(buffer + 24) % 0x10000, KEDGE_IMAGE_DESC_OFFSET);
    }
    free(buffer);
}

static void secure_padding_ends_on_64_kib_for_every_payload_length(void **state)
{
    (void)state;
    uint8_t *buffer = malloc(BUFFER_SIZE);
    uint8_t *payload = calloc(1, 0x10000);

    for (size_t len = 0; len <= 0x10000; len += len < 0xFE00 ? 0x3F4 : 4) {
        struct kedge_image_spec spec = plain;
        uint32_t written;
        spec.secure_pad = true;
        spec.payload = (struct kedge_cspan){payload, len};
        write_and_parse(&spec, buffer, &written);
        assert_int_equal(written % 0x10000, 0);
    }
    free(payload);
    free(buffer);
}

static void full_length_strings_are_written_without_nul(void **state)
{
    (void)state;
    struct kedge_image_spec spec = plain;
    uint8_t *buffer = malloc(BUFFER_SIZE);
    uint32_t len;

    memset(spec.desc.version, 'v', 32);

    assert_string_equal(write_and_parse(&spec, buffer, &len).desc.version, spec.desc.version);
    free(buffer);
}

static void an_impossible_spec_has_no_size_and_is_refused(void **state)
{
    (void)state;
    struct kedge_image_spec odd = plain;
    struct kedge_image_spec huge = plain;
    struct kedge_image_spec unknown_chip = plain;
    struct kedge_image_spec pad_without_hash = plain;
    const struct kedge_image_spec *const specs[] = {&odd, &huge, &unknown_chip, &pad_without_hash};
    uint8_t buffer[512];
    uint32_t len = 7;

    odd.payload.len = 11;
    huge.payload.len = KEDGE_IMAGE_MAX_SEGMENT_SIZE - KEDGE_IMAGE_DESC_SIZE;
    unknown_chip.chip_id = 0x0001;
    pad_without_hash.append_hash = false;
    pad_without_hash.secure_pad = true;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(kedge_image_write_size(specs[i]), 0);
        assert_int_equal(
            kedge_image_write(specs[i], NULL, NULL, (struct kedge_span){buffer, 512}, &len),
            KEDGE_ERR_ARG);
    }
    assert_int_equal(len, 7);
}

static void a_short_buffer_and_a_missing_hash_are_refused(void **state)
{
    (void)state;
    uint32_t size = kedge_image_write_size(&plain);
    uint8_t *buffer = malloc(size - 1);
    struct kedge_sha256 sha;
    uint32_t len;

    assert_int_equal(kedge_image_write(&plain, &kedge_sha256_ops, &sha,
                                       (struct kedge_span){buffer, size - 1}, &len),
                     KEDGE_ERR_NO_SPACE);
    assert_int_equal(
        kedge_image_write(&plain, NULL, NULL, (struct kedge_span){buffer, size - 1}, &len),
        KEDGE_ERR_ARG);
    assert_int_equal(
        kedge_image_write(&plain, &kedge_sha256_ops, &sha, (struct kedge_span){NULL, 0}, &len),
        KEDGE_ERR_NO_SPACE);
    free(buffer);
}

/* The vectors have a code segment that the writer has no use for; everything before it agrees. */
static void the_descriptor_equals_the_vectors_byte_for_byte(void **state)
{
    (void)state;
    struct vector vector = vector_load("image/esp32-1.0.0.bin");
    struct kedge_image_spec spec = {
        .chip_id = KEDGE_CHIP_ESP32,
        .desc = {.version = "1.0.0",
                 .project = "kedge-demo",
                 .time = "12:34:56",
                 .date = "Nov 22 2026",
                 .idf_version = "v5.5.5"},
        .payload = {vector.data + KEDGE_IMAGE_PREFIX_SIZE, 0xCB8 - KEDGE_IMAGE_DESC_SIZE},
        .append_hash = true,
    };
    uint8_t *buffer = malloc(BUFFER_SIZE);
    uint32_t len;

    memset(spec.desc.elf_sha256, 0x11, sizeof(spec.desc.elf_sha256));
    write_and_parse(&spec, buffer, &len);

    assert_memory_equal(buffer + 2, vector.data + 2, 2);  /* DIO, 80 MHz, 4 MB */
    assert_memory_equal(buffer + 8, vector.data + 8, 16); /* pins, chip, revisions, hash flag */
    assert_memory_equal(buffer + 24, vector.data + 24, 8 + 0xCB8); /* the whole first segment */
    free(buffer);
    vector_free(&vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_parses_back),
        cmocka_unit_test(file_offset_and_load_address_agree_within_a_page_on_every_chip),
        cmocka_unit_test(secure_padding_ends_on_64_kib_for_every_payload_length),
        cmocka_unit_test(full_length_strings_are_written_without_nul),
        cmocka_unit_test(an_impossible_spec_has_no_size_and_is_refused),
        cmocka_unit_test(a_short_buffer_and_a_missing_hash_are_refused),
        cmocka_unit_test(the_descriptor_equals_the_vectors_byte_for_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
