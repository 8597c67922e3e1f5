/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/littlefs_writer.h"
#include "littlefs_reader.h"
#include "vectors.h"

#define BLOCK      KEDGE_LITTLEFS_BLOCK_SIZE
#define IMAGE_SIZE (24u * BLOCK)

/* Files of tests/vectors/littlefs/tool.bin, in the order in which they are given to our writer, and
 * their contents: byte i is 'a' + (7 i + size) mod 26. Sizes around the ends of skip-list blocks.
 */
static const struct {
    const char *name;
    size_t size;
} wanted[] = {
    {"zero-ctz", 4096},
    {"device.key", 241},
    {"ca.pem", 4097},
    {"device.crt", 8188},
    {"device.cr", 8189},
    {"big", 20000},
    {"one", 1},
    {"device.json", 600},
    {"factory.json", 12280},
    {"a-name-of-sixty-three-characters-0123456789-0123456789-01234567", 5},
};
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

struct fixture {
    uint8_t *contents[WANTED];
    struct kedge_littlefs_file files[WANTED];
    uint8_t *image; /* IMAGE_SIZE, of exactly that length for ASan */
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    for (size_t i = 0; i < WANTED; i++) {
        fixture->contents[i] = malloc(wanted[i].size);
        for (size_t at = 0; at < wanted[i].size; at++) {
            fixture->contents[i][at] = (uint8_t)('a' + (7 * at + wanted[i].size) % 26);
        }
        fixture->files[i] = (struct kedge_littlefs_file){
            .name = wanted[i].name, .data = {fixture->contents[i], wanted[i].size}};
    }
    fixture->image = malloc(IMAGE_SIZE);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < WANTED; i++) {
        free(fixture->contents[i]);
    }
    free(fixture->image);
    free(fixture);
    return 0;
}

static enum kedge_err write_image(const struct fixture *fixture, size_t count, size_t size)
{
    return kedge_littlefs_write(fixture->files, count, (struct kedge_span){fixture->image, size});
}

static void assert_contents(const struct fixture *fixture, const struct littlefs_listing *listing)
{
    assert_int_equal(listing->count, WANTED);
    for (size_t i = 0; i < WANTED; i++) {
        const struct littlefs_file *file = littlefs_find(listing, wanted[i].name);
        assert_non_null(file);
        assert_int_equal(file->size, wanted[i].size);
        assert_memory_equal(file->data, fixture->contents[i], wanted[i].size);
    }
}

static void the_reader_reads_what_another_tool_wrote(void **state)
{
    struct littlefs_listing listing;
    struct vector vector = vector_load("littlefs/tool.bin");

    assert_null(littlefs_list(vector.data, vector.len, &listing));

    assert_contents(*state, &listing);
    assert_int_equal(listing.version, 0x00020001);
    assert_true(listing.commits > 1); /* files were replaced, renamed and removed in it */
    assert_true(littlefs_find(&listing, "one")->is_inline);
    assert_false(littlefs_find(&listing, "big")->is_inline);
    littlefs_free(&listing);
    vector_free(&vector);
}

static void our_image_holds_the_same_files(void **state)
{
    struct fixture *fixture = *state;
    struct littlefs_listing listing;

    assert_int_equal(write_image(fixture, WANTED, IMAGE_SIZE), KEDGE_OK);

    assert_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
    assert_contents(fixture, &listing);
    littlefs_free(&listing);
}

static void the_superblock_says_what_esp_littlefs_is_configured_for(void **state)
{
    struct fixture *fixture = *state;
    struct littlefs_listing listing;

    assert_int_equal(write_image(fixture, WANTED, IMAGE_SIZE), KEDGE_OK);

    assert_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
    assert_int_equal(listing.version, 0x00020001);
    assert_int_equal(listing.block_count, IMAGE_SIZE / BLOCK);
    assert_int_equal(listing.name_max, 64);
    assert_int_equal(listing.file_max, 0x7FFFFFFF);
    assert_int_equal(listing.attr_max, 1022);
    littlefs_free(&listing);
}

/* Flash encryption: see put_crc in the writer. */
static void nothing_invites_a_device_to_write_without_erasing(void **state)
{
    struct fixture *fixture = *state;
    struct littlefs_listing listing;

    assert_int_equal(write_image(fixture, WANTED, IMAGE_SIZE), KEDGE_OK);

    assert_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
    assert_int_equal(listing.commits, 1);
    assert_false(listing.has_forward_crc);
    littlefs_free(&listing);
}

static void one_of_the_two_root_blocks_is_enough(void **state)
{
    struct fixture *fixture = *state;
    struct littlefs_listing listing;

    for (uint32_t damaged = 0; damaged < 2; damaged++) {
        assert_int_equal(write_image(fixture, WANTED, IMAGE_SIZE), KEDGE_OK);
        fixture->image[damaged * BLOCK + 100] ^= 1;

        assert_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
        assert_int_equal(listing.revision, damaged == 0 ? 2 : 1);
        assert_contents(fixture, &listing);
        littlefs_free(&listing);
    }
}

/* Or the tests above would say nothing. */
static void the_reader_notices_every_flipped_bit_of_root_and_pointers(void **state)
{
    struct fixture *fixture = *state;
    struct littlefs_listing listing;
    size_t commit = 0;

    assert_int_equal(write_image(fixture, WANTED, IMAGE_SIZE), KEDGE_OK);
    memset(fixture->image, 0xFF, BLOCK); /* leaves one root block */
    while (fixture->image[BLOCK + commit] != 0xFF || fixture->image[BLOCK + commit + 8] != 0xFF) {
        commit++;
    }
    for (size_t bit = 0; bit < 8 * commit; bit++) {
        fixture->image[BLOCK + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_non_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
        littlefs_free(&listing);
        fixture->image[BLOCK + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * 4; bit++) { /* the second block of ca.pem begins with one */
        fixture->image[5 * BLOCK + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_non_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
        littlefs_free(&listing);
        fixture->image[5 * BLOCK + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_null(littlefs_list(fixture->image, IMAGE_SIZE, &listing));
    littlefs_free(&listing);
}

static void an_image_may_be_just_as_large_as_its_files_need(void **state)
{
    struct fixture *fixture = *state;
    size_t least = kedge_littlefs_min_size(fixture->files, WANTED);

    assert_true(least < IMAGE_SIZE);
    assert_int_equal(write_image(fixture, WANTED, least), KEDGE_OK);
    assert_int_equal(write_image(fixture, WANTED, least - BLOCK), KEDGE_ERR_NO_SPACE);
    assert_int_equal(write_image(fixture, 0, 2 * BLOCK), KEDGE_OK);
    assert_int_equal(write_image(fixture, 0, BLOCK), KEDGE_ERR_NO_SPACE);
    assert_int_equal(write_image(fixture, 0, 0), KEDGE_ERR_NO_SPACE);
}

static void an_image_is_a_whole_number_of_blocks(void **state)
{
    assert_int_equal(write_image(*state, WANTED, IMAGE_SIZE - 1), KEDGE_ERR_ARG);
}

static void names_and_files_that_cannot_be_are_refused(void **state)
{
    static const char too_long[] =
        "a-name-of-sixty-four-characters--0123456789-0123456789-012345678";
    static const struct {
        const char *name;
        size_t size;
        enum kedge_err err;
    } bad[] = {
        {"", 1, KEDGE_ERR_ARG},
        {".", 1, KEDGE_ERR_ARG},
        {"..", 1, KEDGE_ERR_ARG},
        {"a/b", 1, KEDGE_ERR_ARG},
        {too_long, 1, KEDGE_ERR_TOO_LARGE},
        {"empty", 0, KEDGE_ERR_ARG},
        {"first", 1, KEDGE_ERR_DUPLICATE},
    };
    struct fixture *fixture = *state;
    uint8_t byte = 0;

    assert_int_equal(strlen(too_long), 64);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct kedge_littlefs_file files[] = {{"first", {&byte, 1}},
                                              {bad[i].name, {&byte, bad[i].size}}};
        assert_int_equal(
            kedge_littlefs_write(files, 2, (struct kedge_span){fixture->image, IMAGE_SIZE}),
            bad[i].err);
    }
}

static void more_files_than_the_root_is_made_for_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct kedge_littlefs_file files[KEDGE_LITTLEFS_MAX_FILES + 1];
    char names[KEDGE_LITTLEFS_MAX_FILES + 1][2] = {{0}};
    struct kedge_span image = {fixture->image, IMAGE_SIZE};
    struct littlefs_listing listing;
    uint8_t byte = 'x';

    for (size_t i = 0; i <= KEDGE_LITTLEFS_MAX_FILES; i++) {
        names[i][0] = (char)('z' - i);
        files[i] = (struct kedge_littlefs_file){names[i], {&byte, 1}};
    }

    assert_int_equal(kedge_littlefs_write(files, KEDGE_LITTLEFS_MAX_FILES, image), KEDGE_OK);
    assert_null(littlefs_list(image.data, image.len, &listing));
    assert_int_equal(listing.count, KEDGE_LITTLEFS_MAX_FILES);
    littlefs_free(&listing);
    assert_int_equal(kedge_littlefs_write(files, KEDGE_LITTLEFS_MAX_FILES + 1, image),
                     KEDGE_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_reads_what_another_tool_wrote),
        cmocka_unit_test(our_image_holds_the_same_files),
        cmocka_unit_test(the_superblock_says_what_esp_littlefs_is_configured_for),
        cmocka_unit_test(nothing_invites_a_device_to_write_without_erasing),
        cmocka_unit_test(one_of_the_two_root_blocks_is_enough),
        cmocka_unit_test(the_reader_notices_every_flipped_bit_of_root_and_pointers),
        cmocka_unit_test(an_image_may_be_just_as_large_as_its_files_need),
        cmocka_unit_test(an_image_is_a_whole_number_of_blocks),
        cmocka_unit_test(names_and_files_that_cannot_be_are_refused),
        cmocka_unit_test(more_files_than_the_root_is_made_for_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
