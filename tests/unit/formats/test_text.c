/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void pieces_follow_one_another(void **state)
{
    char out[32];
    struct kedge_text text = kedge_text_begin(out, sizeof out);

    (void)state;
    assert_string_equal(out, "");
    kedge_text_add(&text, "bytes=");
    kedge_text_add_u32(&text, 0);
    kedge_text_add(&text, "");
    kedge_text_add(&text, "-");
    kedge_text_add_u32(&text, UINT32_MAX);

    assert_string_equal(out, "bytes=0-4294967295");
    assert_int_equal(text.len, strlen(out));
}

static void what_does_not_fit_is_cut_and_ends_with_nul(void **state)
{
    char out[10];

    (void)state;
    for (size_t size = 1; size < sizeof out; size++) {
        memset(out, '#', sizeof out);
        struct kedge_text text = kedge_text_begin(out, size);

        kedge_text_add(&text, "ab");
        kedge_text_add_u32(&text, 1234567);

        assert_int_equal(strlen(out), size - 1);
        assert_memory_equal(out, "ab1234567", size - 1);
        assert_int_equal(out[size], '#');
    }
}

static void a_copy_is_cut_to_its_room(void **state)
{
    char out[4] = "###";

    (void)state;
    kedge_text_copy(out, sizeof out, "ab");
    assert_string_equal(out, "ab");
    kedge_text_copy(out, sizeof out, "abcdef");
    assert_string_equal(out, "abc");
    kedge_text_copy(out, 1, "abc");
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_follow_one_another),
        cmocka_unit_test(what_does_not_fit_is_cut_and_ends_with_nul),
        cmocka_unit_test(a_copy_is_cut_to_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
