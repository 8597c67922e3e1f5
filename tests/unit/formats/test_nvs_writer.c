/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/nvs_writer.h"
#include "vectors.h"

#define SIZE KEDGE_NVS_MIN_SIZE

/* The entries of the CSV files in tests/vectors/nvs. */
static const struct kedge_nvs_entry wifi[] = {
    {.key = "wifi_ssid", .text = "Werk 2, \"Halle\", #7"},
    {.key = "wifi_pass",
     .text = "63 characters, \"quoted\"; its NUL fills the second entry: 012345"},
    {.key = "time_floor", .number = 1795363200},
};
static const struct kedge_nvs_entry texts[] = {
    {.key = "a", .text = ""},
    {.key = "key_of_15_chars", .text = "31 characters and a NUL: 123456"},
    {.key = "b", .text = "32 characters and a NUL: 1234567"},
    {.key = "most", .number = UINT32_MAX},
};

static void assert_as_the_tool(const char *name, const char *name_space,
                               const struct kedge_nvs_entry *entries, size_t count)
{
    struct vector vector = vector_load(name);
    uint8_t *image = malloc(vector.len);

    assert_int_equal(
        kedge_nvs_write(name_space, entries, count, (struct kedge_span){image, vector.len}),
        KEDGE_OK);

    assert_memory_equal(image, vector.data, vector.len);
    free(image);
    vector_free(&vector);
}

static void the_bytes_are_those_of_esp_idfs_generator(void **state)
{
    (void)state;

    assert_as_the_tool("nvs/wifi.bin", "kedge", wifi, 3);
    assert_as_the_tool("nvs/floor.bin", "kedge", wifi + 2, 1);
    assert_as_the_tool("nvs/texts.bin", "fifteen_letters", texts, 4);
}

static enum kedge_err try(const char *name_space, struct kedge_nvs_entry entry, size_t size)
{
    struct kedge_nvs_entry entries[] = {{.key = "first", .number = 1}, entry};
    uint8_t *image = malloc(size + 1);
    enum kedge_err err = kedge_nvs_write(name_space, entries, 2, (struct kedge_span){image, size});

    free(image);
    return err;
}

static void sizes_that_esp_idf_does_not_take_are_refused(void **state)
{
    struct kedge_nvs_entry entry = {.key = "k", .number = 1};
    (void)state;

    assert_int_equal(try("kedge", entry, SIZE), KEDGE_OK);
    assert_int_equal(try("kedge", entry, SIZE - KEDGE_NVS_PAGE_SIZE), KEDGE_ERR_ARG);
    assert_int_equal(try("kedge", entry, SIZE + 1), KEDGE_ERR_ARG);
    assert_int_equal(try("kedge", entry, 0), KEDGE_ERR_ARG);
}

static void names_and_texts_that_do_not_fit_are_refused(void **state)
{
    char text[KEDGE_NVS_TEXT_SIZE + 1];
    struct kedge_nvs_entry longest = {.key = "k", .text = text};
    (void)state;
    memset(text, 'x', sizeof(text));

    text[KEDGE_NVS_TEXT_SIZE] = '\0';
    assert_int_equal(try("kedge", longest, SIZE), KEDGE_ERR_TOO_LARGE);
    text[123 * 32 - 1] = '\0'; /* namespace, first, header, 123 of text */
    assert_int_equal(try("kedge", longest, SIZE), KEDGE_OK);
    text[123 * 32 - 1] = 'x';
    text[123 * 32] = '\0';
    assert_int_equal(try("kedge", longest, SIZE), KEDGE_ERR_NO_SPACE);
    assert_int_equal(try("", longest, SIZE), KEDGE_ERR_ARG);
    assert_int_equal(try("sixteen_letters_", longest, SIZE), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(try("kedge", (struct kedge_nvs_entry){.key = ""}, SIZE), KEDGE_ERR_ARG);
    assert_int_equal(try("kedge", (struct kedge_nvs_entry){.key = "sixteen_letters_"}, SIZE),
                     KEDGE_ERR_TOO_LARGE);
    assert_int_equal(try("kedge", (struct kedge_nvs_entry){.key = "first"}, SIZE),
                     KEDGE_ERR_DUPLICATE);
}

static void what_is_refused_is_not_written(void **state)
{
    uint8_t image[SIZE];
    struct kedge_nvs_entry entry = {.key = ""};
    (void)state;
    memset(image, 0x5A, sizeof(image));

    assert_int_equal(kedge_nvs_write("kedge", &entry, 1, (struct kedge_span){image, SIZE}),
                     KEDGE_ERR_ARG);

    for (size_t i = 0; i < SIZE; i++) {
        assert_int_equal(image[i], 0x5A);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_esp_idfs_generator),
        cmocka_unit_test(sizes_that_esp_idf_does_not_take_are_refused),
        cmocka_unit_test(names_and_texts_that_do_not_fit_are_refused),
        cmocka_unit_test(what_is_refused_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
