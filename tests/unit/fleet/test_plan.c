/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/fleet.h"

static void stages_are_parsed_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kedge_err err;
        uint32_t count;
        uint8_t first, last;
    } cases[] = {
        {"100", KEDGE_OK, 1, 100, 100},
        {"10,50,100", KEDGE_OK, 3, 10, 100},
        {"1,2,3,4,5,6,7,100", KEDGE_OK, 8, 1, 100},
        {"1,2,3,4,5,6,7,8,100", KEDGE_ERR_TOO_LARGE, 0, 0, 0},
        {"", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {",100", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"10,,100", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"10,100,", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"10%,100", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"10, 100", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"-1,100", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"100x", KEDGE_ERR_SYNTAX, 0, 0, 0},
        {"0,100", KEDGE_ERR_RANGE, 0, 0, 0},
        {"10", KEDGE_ERR_RANGE, 0, 0, 0},
        {"10,50", KEDGE_ERR_RANGE, 0, 0, 0},
        {"50,10,100", KEDGE_ERR_RANGE, 0, 0, 0},
        {"10,10,100", KEDGE_ERR_RANGE, 0, 0, 0},
        {"10,101", KEDGE_ERR_RANGE, 0, 0, 0},
        {"4294967396", KEDGE_ERR_RANGE, 0, 0, 0},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_plan plan = {.stage_count = 77, .percent = {42}};
        assert_int_equal(fleet_plan_parse_stages(cases[i].text, &plan), cases[i].err);
        if (cases[i].err == KEDGE_OK) {
            assert_int_equal(plan.stage_count, cases[i].count);
            assert_int_equal(plan.percent[0], cases[i].first);
            assert_int_equal(plan.percent[plan.stage_count - 1], cases[i].last);
        } else {
            assert_int_equal(plan.stage_count, 77); /* untouched */
            assert_int_equal(plan.percent[0], 42);
        }
    }
}

static void every_position_falls_into_the_first_stage_that_covers_it(void **state)
{
    (void)state;
    static const struct {
        const char *stages;
        uint32_t count;
        uint32_t members[FLEET_MAX_STAGES]; /* how many devices each stage adds */
    } cases[] = {
        {"10,50,100", 40, {4, 16, 20}},
        {"10,50,100", 1, {1, 0, 0}},
        {"10,50,100", 2, {1, 0, 1}},
        {"10,50,100", 3, {1, 1, 1}},
        {"10,50,100", 11, {2, 4, 5}},
        {"100", 7, {7}},
        {"1,10,100", 5, {1, 0, 4}},
        {"1,10,100", 1000, {10, 90, 900}},
        {"99,100", 10, {10, 0}},
        {"33,66,100", 100000, {33000, 33000, 34000}},
        {"1,2,3,4,5,6,7,100", 50, {1, 0, 1, 0, 1, 0, 1, 46}},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_plan plan = {0};
        assert_int_equal(fleet_plan_parse_stages(cases[i].stages, &plan), KEDGE_OK);
        uint32_t members[FLEET_MAX_STAGES] = {0};
        uint32_t previous = 0;
        for (uint32_t position = 0; position < cases[i].count; position++) {
            uint32_t stage = fleet_stage_of(&plan, position, cases[i].count);
            assert_true(stage >= previous && stage < plan.stage_count);
            members[stage]++;
            previous = stage;
        }
        assert_memory_equal(members, cases[i].members, sizeof members);
    }
}

static void a_device_that_appears_later_joins_the_last_stage(void **state)
{
    (void)state;
    struct fleet_plan plan = {0};
    assert_int_equal(fleet_plan_parse_stages("10,50,100", &plan), KEDGE_OK);

    assert_int_equal(fleet_stage_of(&plan, 40, 40), 2);
    assert_int_equal(fleet_stage_of(&plan, UINT32_MAX, 40), 2);
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void ranks_are_stable_distinct_and_differ_by_rollout(void **state)
{
    (void)state;
    enum {
        COUNT = 5000
    };
    static uint64_t ranks[COUNT];
    uint32_t low_half = 0;
    uint32_t moved = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "sensor-%05u", i);
        ranks[i] = fleet_rank(7, id);
        assert_true(ranks[i] == fleet_rank(7, id));
        low_half += ranks[i] < UINT64_MAX / 2;
        moved += (ranks[i] < UINT64_MAX / 2) != (fleet_rank(8, id) < UINT64_MAX / 2);
    }

    /* A canary share must not follow the numbering of the devices, nor be the same ones each time.
     */
    assert_in_range(low_half, COUNT * 45 / 100, COUNT * 55 / 100);
    assert_in_range(moved, COUNT * 45 / 100, COUNT * 55 / 100);
    qsort(ranks, COUNT, sizeof ranks[0], by_value);
    for (uint32_t i = 1; i < COUNT; i++) {
        assert_true(ranks[i] != ranks[i - 1]);
    }
    /* Persisted positions depend on it: a change of the function is a change of format. */
    assert_true(fleet_rank(1, "dev-0001") == 0x3FA0A96847DDA373u);
    assert_true(fleet_rank(0, "") == 0xC3817C016BA4FF30u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_are_parsed_or_refused),
        cmocka_unit_test(every_position_falls_into_the_first_stage_that_covers_it),
        cmocka_unit_test(a_device_that_appears_later_joins_the_last_stage),
        cmocka_unit_test(ranks_are_stable_distinct_and_differ_by_rollout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
