/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "fleet/fleet.h"

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

/* semver.org 2.0.0 section 11, its own examples first. */
static void versions_are_ordered_by_semver_precedence(void **state)
{
    (void)state;
    static const char *const rising[] = {
        "0.0.0",
        "0.0.1",
        "0.9.0",
        "1.0.0-0",
        "1.0.0-1",
        "1.0.0-10",
        "1.0.0-99999999999999999999999",
        "1.0.0--",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
        "2.1.0",
        "2.1.1",
        "10.0.0",
        "99999999999999999999999.0.0",
    };

    for (size_t i = 0; i < CASES(rising); i++) {
        for (size_t j = 0; j < CASES(rising); j++) {
            bool comparable = false;
            int order = fleet_version_compare(rising[i], rising[j], &comparable);
            assert_true(comparable);
            assert_int_equal(sign(order), (i > j) - (i < j));
        }
    }
}

static void a_leading_v_and_build_metadata_do_not_count(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"v1.2.3", "1.2.3"},
        {"V1.2.3", "v1.2.3"},
        {"1.2.3+a", "1.2.3+b"},
        {"1.2.3+007", "1.2.3"},
        {"1.2.3-rc.1+x.y", "1.2.3-rc.1"},
        {"1.2.3+20-dirty", "v1.2.3"},
    };

    for (size_t i = 0; i < CASES(same); i++) {
        bool comparable = false;
        assert_int_equal(fleet_version_compare(same[i][0], same[i][1], &comparable), 0);
        assert_true(comparable);
    }
}

static void what_is_no_semantic_version_only_has_equality(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "",       "1",        "1.2",        "1.2.3.4",  "01.2.3",  "1.02.3",   "1.2.3-",
        "1.2.3+", "1.2.3-01", "1.2.3-a..b", "1.2.3-a_", "x1.2.3",  "1.2.3 ",   "a1b2c3d",
        "-1.2.3", "1.2.-3",   "1.2.3-a.",   "1.2.3+.",  "vv1.2.3", "v1.2.3\n",
    };

    for (size_t i = 0; i < CASES(odd); i++) {
        bool comparable = true;
        assert_int_not_equal(fleet_version_compare(odd[i], "1.2.3", &comparable), 0);
        assert_false(comparable);
        comparable = true;
        assert_int_equal(fleet_version_compare(odd[i], odd[i], &comparable), 0);
        assert_false(comparable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_ordered_by_semver_precedence),
        cmocka_unit_test(a_leading_v_and_build_metadata_do_not_count),
        cmocka_unit_test(what_is_no_semantic_version_only_has_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
