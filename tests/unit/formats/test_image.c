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

/* Where things are in the small image vectors: 24 + 8 + 3256, 8 + segment, checksum, hash. */
#define AT_SEGMENT_COUNT  1
#define AT_CHIP_ID        12
#define AT_HASH_APPENDED  23
#define AT_SEGMENT_LENGTH 28
#define AT_DESC           32
#define AT_VERSION        48

struct parsed {
    enum kedge_err feed;
    enum kedge_err end;
    struct kedge_image_info info;
    struct kedge_fault fault;
};

static struct parsed parse_in_chunks(const uint8_t *data, size_t len, size_t chunk, bool check_hash)
{
    struct kedge_image_parser parser;
    struct kedge_sha256 sha;
    struct parsed parsed = {0};

    kedge_image_parser_init(&parser, check_hash ? &kedge_sha256_ops : NULL, &sha);
    for (size_t at = 0; at < len && parsed.feed == KEDGE_OK; at += chunk) {
        size_t piece = len - at < chunk ? len - at : chunk;
        parsed.feed = kedge_image_parser_feed(&parser, (struct kedge_cspan){data + at, piece});
    }
    parsed.end = kedge_image_parser_end(&parser, &parsed.info);
    parsed.fault = parser.fault;
    return parsed;
}

static struct parsed parse(const uint8_t *data, size_t len)
{
    return parse_in_chunks(data, len, len > 0 ? len : 1, true);
}

static void assert_fault(struct parsed parsed, enum kedge_err err, uint32_t at, const char *what)
{
    assert_int_equal(parsed.end, err);
    assert_int_equal(parsed.fault.err, err);
    assert_int_equal(parsed.fault.at, at);
    assert_string_equal(parsed.fault.what, what);
}

static const struct {
    const char *name;
    uint16_t chip_id;
    const char *version;
    const char *project;
    uint32_t secure_version;
    bool has_hash;
    uint8_t hash_start[3];
    uint32_t image_len;
    uint32_t trailer_len;
} images[] = {
    {"image/esp32-1.0.0.bin", 0, "1.0.0", "kedge-demo", 0, true, {0x13, 0x88, 0xB8}, 4368, 0},
    {"image/esp32s3-1.2.3-secver2.bin",
     9,
     "1.2.3",
     "kedge-demo",
     2,
     true,
     {0x66, 0x06, 0x9B},
     4368,
     0},
    {"image/esp32c3-2.0.0-rc.1.bin",
     5,
     "2.0.0-rc.1",
     "kedge-demo",
     0,
     true,
     {0x79, 0xE7, 0x5D},
     4368,
     0},
    {"image/esp32-nohash.bin", 0, "0.9.0", "kedge-demo", 0, false, {0}, 4336, 0},
    {"image/esp32c3-full-length-strings.bin",
     5,
     "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
     "pppppppppppppppppppppppppppppppp",
     0,
     true,
     {0xA9, 0x4F, 0x32},
     4368,
     0},
    {"signature/unsigned-padded.bin",
     0,
     "1.1.0",
     "kedge-demo",
     1,
     true,
     {0xB9, 0x4B, 0xDD},
     65536,
     0},
    {"signature/signed-rsa-a.bin",
     0,
     "1.1.0",
     "kedge-demo",
     1,
     true,
     {0xB9, 0x4B, 0xDD},
     65536,
     4096},
    {"signature/signed-rsa-a-short.bin",
     0,
     "1.0.0",
     "kedge-demo",
     0,
     true,
     {0x13, 0x88, 0xB8},
     4368,
     7920},
};

static void every_image_vector_says_what_its_name_says(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        struct vector image = vector_load(images[i].name);
        struct parsed parsed = parse(image.data, image.len);
        uint8_t elf_sha256[32];

        memset(elf_sha256, 0x11, sizeof(elf_sha256));
        assert_int_equal(parsed.end, KEDGE_OK);
        assert_int_equal(parsed.info.chip_id, images[i].chip_id);
        assert_string_equal(parsed.info.desc.version, images[i].version);
        assert_string_equal(parsed.info.desc.project, images[i].project);
        assert_string_equal(parsed.info.desc.time, "12:34:56");
        assert_string_equal(parsed.info.desc.date, "Nov 22 2026");
        assert_string_equal(parsed.info.desc.idf_version, "v5.5.5");
        assert_memory_equal(parsed.info.desc.elf_sha256, elf_sha256, 32);
        assert_int_equal(parsed.info.desc.secure_version, images[i].secure_version);
        assert_int_equal(parsed.info.has_hash, images[i].has_hash);
        assert_memory_equal(parsed.info.appended_sha256, images[i].hash_start, 3);
        assert_int_equal(parsed.info.image_len, images[i].image_len);
        assert_int_equal(parsed.info.trailer_len, images[i].trailer_len);
        assert_int_equal(parsed.info.flash_size_code, 2);
        assert_int_equal(parsed.info.max_chip_rev_full, 65535);
        vector_free(&image);
    }
}

static void chunks_of_every_size_give_the_same_result(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32c3-2.0.0-rc.1.bin");
    struct parsed whole = parse(image.data, image.len);

    for (size_t chunk = 1; chunk <= 64; chunk++) {
        struct parsed parsed = parse_in_chunks(image.data, image.len, chunk, true);
        assert_int_equal(parsed.end, KEDGE_OK);
        assert_memory_equal(&parsed.info, &whole.info, sizeof(whole.info));
    }
    vector_free(&image);
}

static void empty_chunks_change_nothing(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32-1.0.0.bin");
    struct kedge_image_parser parser;
    struct kedge_image_info info;

    kedge_image_parser_init(&parser, NULL, NULL);
    for (size_t at = 0; at < image.len; at++) {
        assert_int_equal(kedge_image_parser_feed(&parser, (struct kedge_cspan){NULL, 0}), KEDGE_OK);
        assert_int_equal(kedge_image_parser_feed(&parser, (struct kedge_cspan){image.data + at, 1}),
                         KEDGE_OK);
    }

    assert_int_equal(kedge_image_parser_end(&parser, &info), KEDGE_OK);
    vector_free(&image);
}

static void header_and_descriptor_are_known_after_288_bytes(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32s3-1.2.3-secver2.bin");
    const struct kedge_image_info *info = NULL;
    struct kedge_image_parser parser;

    kedge_image_parser_init(&parser, NULL, NULL);
    for (size_t at = 0; at < KEDGE_IMAGE_PREFIX_SIZE; at++) {
        assert_false(kedge_image_parser_prefix(&parser, &info));
        assert_int_equal(kedge_image_parser_feed(&parser, (struct kedge_cspan){image.data + at, 1}),
                         KEDGE_OK);
    }

    assert_true(kedge_image_parser_prefix(&parser, &info));
    assert_int_equal(info->chip_id, KEDGE_CHIP_ESP32S3);
    assert_string_equal(info->desc.version, "1.2.3");
    vector_free(&image);
}

static void every_truncation_is_refused_with_its_offset(void **state)
{
    (void)state;
    static const char *const names[] = {"image/esp32-1.0.0.bin", "image/esp32-nohash.bin"};

    for (size_t i = 0; i < 2; i++) {
        struct vector image = vector_load(names[i]);
        for (size_t len = 0; len < image.len; len++) {
            struct parsed parsed = parse(image.data, len);
            assert_int_equal(parsed.feed, KEDGE_OK);
            assert_int_equal(parsed.end, KEDGE_ERR_TRUNCATED);
            assert_int_equal(parsed.fault.at, len);
            assert_non_null(parsed.fault.what);
        }
        vector_free(&image);
    }
}

/*
 * With a hash every changed byte is refused, but for the flag that says that there is a hash: 0
 * makes the 32 bytes a trailer, which is never empty then and so never taken for a whole image.
 */
static void every_changed_byte_of_a_hashed_image_is_refused(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32-1.0.0.bin");

    for (size_t at = 0; at < image.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct parsed parsed;
            image.data[at] ^= (uint8_t)(1 << bit);
            parsed = parse(image.data, image.len);
            if (at == AT_HASH_APPENDED && bit == 0) {
                assert_int_equal(parsed.end, KEDGE_OK);
                assert_false(parsed.info.has_hash);
                assert_int_equal(parsed.info.trailer_len, 32);
            } else {
                assert_int_not_equal(parsed.end, KEDGE_OK);
            }
            image.data[at] ^= (uint8_t)(1 << bit);
        }
    }
    vector_free(&image);
}

/* Without one, the checksum guards the segments; the header's other fields only change info. */
static void every_changed_segment_byte_of_an_unhashed_image_is_refused(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32-nohash.bin");
    uint32_t first_len = kedge_get_le32(image.data + AT_SEGMENT_LENGTH);

    for (size_t at = AT_DESC; at < AT_DESC + first_len; at++) {
        struct parsed parsed;
        image.data[at] ^= 0x20;
        parsed = parse(image.data, image.len);
        assert_int_not_equal(parsed.end, KEDGE_OK);
        image.data[at] ^= 0x20;
    }
    vector_free(&image);
}

static void hash_is_left_to_the_caller_without_hash_ops(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32-1.0.0.bin");

    image.data[image.len - 1] ^= 1;

    assert_int_equal(parse_in_chunks(image.data, image.len, 100, false).end, KEDGE_OK);
    assert_fault(parse(image.data, image.len), KEDGE_ERR_HASH, (uint32_t)image.len - 32,
                 "appended SHA-256");
    vector_free(&image);
}

/* One field of a good image changed, and what must be said of it. */
static const struct {
    size_t at;
    uint8_t bytes[4];
    size_t len;
    enum kedge_err err;
    uint32_t fault_at;
    const char *what;
} damages[] = {
    {0, {0xEA}, 1, KEDGE_ERR_MAGIC, 0, "image magic"},
    {0, {0x7F, 'E', 'L', 'F'}, 4, KEDGE_ERR_MAGIC, 0, "image magic"},
    {AT_SEGMENT_COUNT, {0}, 1, KEDGE_ERR_RANGE, 1, "segment count"},
    {AT_SEGMENT_COUNT, {17}, 1, KEDGE_ERR_RANGE, 1, "segment count"},
    {AT_CHIP_ID, {0xFF, 0xFF}, 2, KEDGE_ERR_RANGE, 12, "chip id"},
    {AT_HASH_APPENDED, {2}, 1, KEDGE_ERR_RANGE, 23, "hash-appended flag"},
    {AT_SEGMENT_LENGTH, {252, 0, 0, 0}, 4, KEDGE_ERR_RANGE, 28, "first segment length"},
    {AT_SEGMENT_LENGTH, {1, 4, 0, 0}, 4, KEDGE_ERR_ALIGN, 28, "segment length"},
    {AT_SEGMENT_LENGTH, {0, 0, 0, 1}, 4, KEDGE_ERR_TOO_LARGE, 28, "segment length"},
    {AT_SEGMENT_LENGTH, {0xFC, 0xFF, 0xFF, 0xFF}, 4, KEDGE_ERR_TOO_LARGE, 28, "segment length"},
    {AT_SEGMENT_LENGTH, {0xFC, 0xFF, 0xFF, 0}, 4, KEDGE_ERR_TRUNCATED, 4368, "segment data"},
    {AT_DESC, {0x33}, 1, KEDGE_ERR_MAGIC, 32, "app descriptor magic"},
    {AT_VERSION + 2, {'\r', '\n'}, 2, KEDGE_ERR_RANGE, 50, "version"},
    {AT_VERSION, {0xC3, 0xA9}, 2, KEDGE_ERR_RANGE, 48, "version"},
    {300, {0xAA, 0x55, 0xAA, 0x54}, 4, KEDGE_ERR_CHECKSUM, 4335, "image checksum"},
};

static void each_damaged_field_is_named_with_its_offset(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct vector image = vector_load("image/esp32-1.0.0.bin");
        memcpy(image.data + damages[i].at, damages[i].bytes, damages[i].len);

        assert_fault(parse(image.data, image.len), damages[i].err, damages[i].fault_at,
                     damages[i].what);
        assert_fault(parse_in_chunks(image.data, image.len, 1, true), damages[i].err,
                     damages[i].fault_at, damages[i].what);
        vector_free(&image);
    }
}

static void the_first_error_sticks(void **state)
{
    (void)state;
    struct vector image = vector_load("image/esp32-1.0.0.bin");
    struct kedge_image_parser parser;
    struct kedge_image_info info;
    uint8_t zeros[24] = {0};

    kedge_image_parser_init(&parser, NULL, NULL);

    assert_int_equal(kedge_image_parser_feed(&parser, (struct kedge_cspan){zeros, 24}),
                     KEDGE_ERR_MAGIC);
    assert_int_equal(kedge_image_parser_feed(&parser, (struct kedge_cspan){image.data, image.len}),
                     KEDGE_ERR_MAGIC);
    assert_int_equal(kedge_image_parser_end(&parser, &info), KEDGE_ERR_MAGIC);
    vector_free(&image);
}

static void an_empty_segment_is_taken_as_the_bootloader_takes_it(void **state)
{
    (void)state;
    /* header, segment of a bare descriptor, segment of nothing, checksum block */
    uint8_t image[24 + 8 + 256 + 8 + 8] = {0xE9, 2};
    uint8_t checksum = 0xEF;

    kedge_put_le32(image + 28, 256);
    kedge_put_le32(image + 32, 0xABCD5432u);
    for (size_t i = 32; i < 288; i++) {
        checksum ^= image[i];
    }
    image[sizeof(image) - 1] = checksum;

    assert_int_equal(parse(image, sizeof(image)).end, KEDGE_OK);
    assert_int_equal(parse_in_chunks(image, sizeof(image), 1, true).end, KEDGE_OK);
}

static void chips_are_known_by_id_and_by_name(void **state)
{
    (void)state;

    assert_string_equal(kedge_chip_text(9), "esp32s3");
    assert_null(kedge_chip_text(KEDGE_CHIP_INVALID));
    assert_null(kedge_chip_text(1));
    assert_int_equal(kedge_chip_from_text("esp32c61xx", 8), KEDGE_CHIP_ESP32C61);
    assert_int_equal(kedge_chip_from_text("esp32", 5), KEDGE_CHIP_ESP32);
    assert_int_equal(kedge_chip_from_text("esp", 3), KEDGE_CHIP_INVALID);
    assert_int_equal(kedge_chip_from_text("", 0), KEDGE_CHIP_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_vector_says_what_its_name_says),
        cmocka_unit_test(chunks_of_every_size_give_the_same_result),
        cmocka_unit_test(empty_chunks_change_nothing),
        cmocka_unit_test(header_and_descriptor_are_known_after_288_bytes),
        cmocka_unit_test(every_truncation_is_refused_with_its_offset),
        cmocka_unit_test(every_changed_byte_of_a_hashed_image_is_refused),
        cmocka_unit_test(every_changed_segment_byte_of_an_unhashed_image_is_refused),
        cmocka_unit_test(hash_is_left_to_the_caller_without_hash_ops),
        cmocka_unit_test(each_damaged_field_is_named_with_its_offset),
        cmocka_unit_test(the_first_error_sticks),
        cmocka_unit_test(an_empty_segment_is_taken_as_the_bootloader_takes_it),
        cmocka_unit_test(chips_are_known_by_id_and_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
