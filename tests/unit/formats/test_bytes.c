/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/bytes.h"
#include "kedge/err.h"

static void crc32_of_the_check_string_is_zlibs(void **state)
{
    (void)state;

    assert_int_equal(kedge_crc32(0, "123456789", 9), 0xCBF43926u);
}

static void crc32_chains_over_pieces(void **state)
{
    (void)state;
    uint32_t first = kedge_crc32(0, "1234", 4);

    assert_int_equal(kedge_crc32(first, "56789", 5), 0xCBF43926u);
    assert_int_equal(kedge_crc32(77, NULL, 0), 77);
}

static void little_endian_numbers_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[4];

    kedge_put_le32(bytes, 0x89ABCDEFu);

    assert_memory_equal(bytes, "\xEF\xCD\xAB\x89", 4);
    assert_int_equal(kedge_get_le32(bytes), 0x89ABCDEFu);
    assert_int_equal(kedge_get_le16(bytes), 0xCDEF);
}

static void hex_is_lower_case_and_takes_both_cases(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x1F, 0xFF, 0xA5};
    uint8_t back[4];
    char text[9];

    kedge_hex_encode(bytes, sizeof(bytes), text);

    assert_string_equal(text, "001fffa5");
    assert_true(kedge_hex_decode("001FfFA5", 8, back, sizeof(back)));
    assert_memory_equal(back, bytes, sizeof(bytes));
}

static void hex_of_wrong_length_or_digit_is_refused_and_out_untouched(void **state)
{
    (void)state;
    uint8_t out[2] = {0x55, 0x66};

    assert_false(kedge_hex_decode("123", 3, out, 2));
    assert_false(kedge_hex_decode("12345", 5, out, 2));
    assert_false(kedge_hex_decode("123456", 6, out, 2));
    assert_false(kedge_hex_decode("12g4", 4, out, 2));
    assert_false(kedge_hex_decode("12 4", 4, out, 2));

    assert_memory_equal(out, "\x55\x66", 2);
}

static void sums_over_32_bits_are_refused(void **state)
{
    (void)state;
    uint32_t sum = 1;

    assert_true(kedge_add_u32(UINT32_MAX - 1, 1, &sum));
    assert_int_equal(sum, UINT32_MAX);
    assert_false(kedge_add_u32(UINT32_MAX, 1, &sum));
    assert_int_equal(sum, UINT32_MAX);
}

static void every_error_has_a_text_of_its_own(void **state)
{
    (void)state;

    assert_string_equal(kedge_err_text(KEDGE_OK), "ok");
    assert_string_equal(kedge_err_text(KEDGE_ERR_HASH), "hash does not match");
    assert_string_equal(kedge_err_text((enum kedge_err) - 1000), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32_of_the_check_string_is_zlibs),
        cmocka_unit_test(crc32_chains_over_pieces),
        cmocka_unit_test(little_endian_numbers_round_trip),
        cmocka_unit_test(hex_is_lower_case_and_takes_both_cases),
        cmocka_unit_test(hex_of_wrong_length_or_digit_is_refused_and_out_untouched),
        cmocka_unit_test(sums_over_32_bits_are_refused),
        cmocka_unit_test(every_error_has_a_text_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
