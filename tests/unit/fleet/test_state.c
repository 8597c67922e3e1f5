/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "fleet/fleet.h"

static void state_texts_go_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < FLEET_ROLLOUT_STATE_COUNT; i++) {
        enum fleet_rollout_state out = FLEET_ROLLOUT_STATE_COUNT;
        assert_int_equal(
            fleet_rollout_state_parse(fleet_rollout_state_text((enum fleet_rollout_state)i), &out),
            KEDGE_OK);
        assert_int_equal(out, i);
    }
    for (int i = 0; i < FLEET_MEMBER_STATE_COUNT; i++) {
        enum fleet_member_state out = FLEET_MEMBER_STATE_COUNT;
        assert_int_equal(
            fleet_member_state_parse(fleet_member_state_text((enum fleet_member_state)i), &out),
            KEDGE_OK);
        assert_int_equal(out, i);
    }
}

static void unknown_state_texts_are_not_found(void **state)
{
    (void)state;
    enum fleet_rollout_state rollout = FLEET_ROLLOUT_PAUSED;
    enum fleet_member_state member = FLEET_MEMBER_OFFERED;

    assert_int_equal(fleet_rollout_state_parse("Running", &rollout), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(fleet_member_state_parse("", &member), KEDGE_ERR_NOT_FOUND);

    assert_int_equal(rollout, FLEET_ROLLOUT_PAUSED);
    assert_int_equal(member, FLEET_MEMBER_OFFERED);
}

/* P pending, O offered, I installing, U updated, F failed. Columns: verified, committed, rearmed,
 * rolled_back, rejected, deferred. Written apart from the table in state.c, by hand. */
static void every_report_moves_every_member_as_the_life_cycle_says(void **state)
{
    (void)state;
    static const char letters[] = "POIUF";
    static const char *const expected[FLEET_MEMBER_STATE_COUNT] = {
        [FLEET_MEMBER_PENDING] = "IUIFFP",    [FLEET_MEMBER_OFFERED] = "IUIFFO",
        [FLEET_MEMBER_INSTALLING] = "IUIFFI", [FLEET_MEMBER_UPDATED] = "UUUFUU",
        [FLEET_MEMBER_FAILED] = "FUFFFF",
    };
    static const enum kedge_report_state columns[] = {
        KEDGE_REPORT_VERIFIED,    KEDGE_REPORT_COMMITTED, KEDGE_REPORT_REARMED,
        KEDGE_REPORT_ROLLED_BACK, KEDGE_REPORT_REJECTED,  KEDGE_REPORT_DEFERRED,
    };

    assert_int_equal(CASES(columns), KEDGE_REPORT_STATE_COUNT);
    for (int from = 0; from < FLEET_MEMBER_STATE_COUNT; from++) {
        for (size_t i = 0; i < CASES(columns); i++) {
            enum fleet_member_state to =
                fleet_member_on_report((enum fleet_member_state)from, columns[i]);
            assert_int_equal(letters[to], expected[from][i]);
        }
    }
}

static void values_outside_the_enums_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(fleet_member_on_report(FLEET_MEMBER_OFFERED, (enum kedge_report_state)77),
                     FLEET_MEMBER_OFFERED);
    assert_string_equal(fleet_member_state_text((enum fleet_member_state)77), "unknown");
    assert_string_equal(fleet_rollout_state_text((enum fleet_rollout_state)77), "unknown");
    assert_string_equal(fleet_offer_text((enum fleet_offer)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_texts_go_both_ways),
        cmocka_unit_test(unknown_state_texts_are_not_found),
        cmocka_unit_test(every_report_moves_every_member_as_the_life_cycle_says),
        cmocka_unit_test(values_outside_the_enums_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
