/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "fleet/fleet.h"

#define SOAK    1000u
#define SILENCE 5000u
#define START   100000u

static void the_rollout_moves_only_when_the_line_holds(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum fleet_rollout_state state;
        uint32_t stage, max_failures;
        struct fleet_counts counts;
        uint64_t now_ms;
        enum fleet_step step;
    } cases[] = {
        {"nothing happened yet",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.pending = 4},
         START + 9999,
         FLEET_STEP_NONE},
        {"canary in flight",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.in_flight = 4},
         START + 9999,
         FLEET_STEP_NONE},
        {"one of the canary still pending",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.pending = 1, .updated = 3},
         START + 9999,
         FLEET_STEP_NONE},
        {"one of the canary still in flight",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.in_flight = 1, .updated = 3},
         START + 9999,
         FLEET_STEP_NONE},
        {"canary updated, soak not over",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.updated = 4},
         START + SOAK - 1,
         FLEET_STEP_NONE},
        {"canary updated, soak over",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.updated = 4},
         START + SOAK,
         FLEET_STEP_PROMOTE},
        {"clock set back", FLEET_ROLLOUT_RUNNING, 0, 1, {.updated = 4}, START - 1, FLEET_STEP_NONE},
        {"devices away do not hold it up",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.updated = 1, .away = 3},
         START + SOAK,
         FLEET_STEP_PROMOTE},
        {"everybody away is no proof",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.away = 4},
         START + SOAK,
         FLEET_STEP_NONE},
        {"second stage",
         FLEET_ROLLOUT_RUNNING,
         1,
         1,
         {.updated = 20},
         START + SOAK,
         FLEET_STEP_PROMOTE},
        {"last stage",
         FLEET_ROLLOUT_RUNNING,
         2,
         1,
         {.updated = 40},
         START + SOAK,
         FLEET_STEP_COMPLETE},
        {"one failure, threshold one",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.failed = 1, .updated = 3},
         START,
         FLEET_STEP_HALT},
        {"failure while others are in flight",
         FLEET_ROLLOUT_RUNNING,
         0,
         1,
         {.failed = 1, .in_flight = 3},
         START,
         FLEET_STEP_HALT},
        {"below the threshold",
         FLEET_ROLLOUT_RUNNING,
         0,
         3,
         {.failed = 2, .in_flight = 1},
         START,
         FLEET_STEP_NONE},
        {"failed below the threshold, rest updated",
         FLEET_ROLLOUT_RUNNING,
         0,
         3,
         {.failed = 2, .updated = 2},
         START + SOAK,
         FLEET_STEP_PROMOTE},
        {"only failures below the threshold are no proof",
         FLEET_ROLLOUT_RUNNING,
         0,
         3,
         {.failed = 2},
         START + SOAK,
         FLEET_STEP_NONE},
        {"at the threshold",
         FLEET_ROLLOUT_RUNNING,
         0,
         3,
         {.failed = 3, .updated = 90},
         START,
         FLEET_STEP_HALT},
        {"a threshold of 0 counts as 1",
         FLEET_ROLLOUT_RUNNING,
         0,
         0,
         {.updated = 4},
         START + SOAK,
         FLEET_STEP_PROMOTE},
        {"a threshold of 0 counts as 1, failed",
         FLEET_ROLLOUT_RUNNING,
         0,
         0,
         {.failed = 1},
         START,
         FLEET_STEP_HALT},
        {"complete, a latecomer failed",
         FLEET_ROLLOUT_COMPLETE,
         2,
         1,
         {.failed = 1, .updated = 39},
         START,
         FLEET_STEP_HALT},
        {"complete and well",
         FLEET_ROLLOUT_COMPLETE,
         2,
         1,
         {.updated = 40},
         START + SOAK,
         FLEET_STEP_NONE},
        {"paused never moves",
         FLEET_ROLLOUT_PAUSED,
         0,
         1,
         {.updated = 4},
         START + SOAK,
         FLEET_STEP_NONE},
        {"paused does not halt",
         FLEET_ROLLOUT_PAUSED,
         0,
         1,
         {.failed = 4},
         START + SOAK,
         FLEET_STEP_NONE},
        {"halted never moves",
         FLEET_ROLLOUT_HALTED,
         0,
         1,
         {.failed = 4},
         START + SOAK,
         FLEET_STEP_NONE},
        {"aborted never moves",
         FLEET_ROLLOUT_ABORTED,
         0,
         1,
         {.updated = 4},
         START + SOAK,
         FLEET_STEP_NONE},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_rollout_view view = {
            .plan = {.stage_count = 3,
                     .percent = {10, 50, 100},
                     .max_failures = cases[i].max_failures,
                     .soak_ms = SOAK,
                     .silence_ms = SILENCE},
            .state = cases[i].state,
            .stage = cases[i].stage,
            .last_progress_ms = START,
        };
        enum fleet_step step = fleet_rollout_decide(&view, &cases[i].counts, cases[i].now_ms);
        if (step != cases[i].step) {
            fail_msg("%s: step %d, expected %d", cases[i].what, (int)step, (int)cases[i].step);
        }
    }
}

static void only_a_device_in_flight_can_be_silent(void **state)
{
    (void)state;
    static const struct {
        enum fleet_member_state state;
        uint64_t silence_ms, now_ms;
        bool silent;
    } cases[] = {
        {FLEET_MEMBER_PENDING, SILENCE, START + SILENCE, false},
        {FLEET_MEMBER_OFFERED, SILENCE, START + SILENCE - 1, false},
        {FLEET_MEMBER_OFFERED, SILENCE, START + SILENCE, true},
        {FLEET_MEMBER_INSTALLING, SILENCE, START + SILENCE, true},
        {FLEET_MEMBER_INSTALLING, SILENCE, START, false},
        {FLEET_MEMBER_INSTALLING, SILENCE, START - 1, false},
        {FLEET_MEMBER_UPDATED, SILENCE, START + SILENCE, false},
        {FLEET_MEMBER_FAILED, SILENCE, START + SILENCE, false},
        {FLEET_MEMBER_OFFERED, 0, START + SILENCE, false},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_plan plan = {.silence_ms = cases[i].silence_ms};
        assert_int_equal(fleet_member_is_silent(&plan, cases[i].state, START, cases[i].now_ms),
                         cases[i].silent);
    }
}

/* A device that may be updated: running rollout, its stage reached, older known version. */
static struct fleet_offer_input eligible(void)
{
    return (struct fleet_offer_input){
        .rollout_state = FLEET_ROLLOUT_RUNNING,
        .rollout_stage = 1,
        .member_state = FLEET_MEMBER_PENDING,
        .member_stage = 1,
        .version_known = true,
        .version_order = -1,
        .version_comparable = true,
        .image_size = 1000,
        .slot_size = 1000,
    };
}

static void an_eligible_device_is_offered_the_image(void **state)
{
    (void)state;
    struct fleet_offer_input in = eligible();
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
    in.member_stage = 0; /* an earlier stage */
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
    in.slot_size = 0; /* did not say */
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
}

static void one_reason_is_enough_to_leave_a_device_alone(void **state)
{
    (void)state;
    struct fleet_offer_input in = eligible();
    in.runs_target = true;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_CURRENT);

    in = eligible();
    in.version_order = 1;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_NEWER);
    in.version_known = false;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_NEWER);
    in.force = true; /* force repeats an attempt; it never downgrades */
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_NEWER);

    in = eligible();
    in.version_known = false;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_UNKNOWN);

    in = eligible();
    in.slot_size = 999;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_TOO_LARGE);

    in = eligible();
    in.device_secure_version = 2;
    in.image_secure_version = 1;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_SECURE_VERSION);

    in = eligible();
    in.member_stage = 2;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_NOT_YET);

    in = eligible();
    in.member_state = FLEET_MEMBER_FAILED;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_FAILED_BEFORE);
    in.force = true;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
}

static void versions_that_cannot_be_compared_are_only_equal_or_not(void **state)
{
    (void)state;
    struct fleet_offer_input in = eligible();
    in.version_comparable = false;
    in.version_order = 1; /* means nothing */
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
    in.version_known = false;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_UNKNOWN);
}

static void the_same_version_built_differently_is_replaced(void **state)
{
    (void)state;
    struct fleet_offer_input in = eligible();
    in.version_order = 0; /* its elf sha differs, so runs_target is false */
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
}

static void the_pace_holds_back_new_devices_but_not_those_in_flight(void **state)
{
    (void)state;
    static const struct {
        uint32_t pace, in_flight;
        enum fleet_member_state member;
        enum fleet_offer offer;
    } cases[] = {
        {0, 9999, FLEET_MEMBER_PENDING, FLEET_OFFER_IMAGE},
        {2, 1, FLEET_MEMBER_PENDING, FLEET_OFFER_IMAGE},
        {2, 2, FLEET_MEMBER_PENDING, FLEET_OFFER_NOT_YET},
        {2, 3, FLEET_MEMBER_PENDING, FLEET_OFFER_NOT_YET},
        {2, 2, FLEET_MEMBER_OFFERED, FLEET_OFFER_IMAGE},
        {2, 2, FLEET_MEMBER_INSTALLING, FLEET_OFFER_IMAGE},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_offer_input in = eligible();
        in.pace = cases[i].pace;
        in.in_flight = cases[i].in_flight;
        in.member_state = cases[i].member;
        assert_int_equal(fleet_offer_decide(&in), cases[i].offer);
    }
}

/* R running, P paused, H halted, A aborted, C complete; what a member in each state is told. */
static void a_stopped_rollout_lets_only_verified_images_through(void **state)
{
    (void)state;
    static const struct {
        enum fleet_rollout_state rollout;
        enum fleet_offer pending, offered, installing, updated;
    } cases[] = {
        {FLEET_ROLLOUT_RUNNING, FLEET_OFFER_IMAGE, FLEET_OFFER_IMAGE, FLEET_OFFER_IMAGE,
         FLEET_OFFER_IMAGE},
        {FLEET_ROLLOUT_PAUSED, FLEET_OFFER_STOPPED, FLEET_OFFER_IMAGE, FLEET_OFFER_IMAGE,
         FLEET_OFFER_STOPPED},
        {FLEET_ROLLOUT_HALTED, FLEET_OFFER_STOPPED, FLEET_OFFER_STOPPED, FLEET_OFFER_IMAGE,
         FLEET_OFFER_STOPPED},
        {FLEET_ROLLOUT_ABORTED, FLEET_OFFER_STOPPED, FLEET_OFFER_STOPPED, FLEET_OFFER_IMAGE,
         FLEET_OFFER_STOPPED},
        {FLEET_ROLLOUT_COMPLETE, FLEET_OFFER_IMAGE, FLEET_OFFER_IMAGE, FLEET_OFFER_IMAGE,
         FLEET_OFFER_IMAGE},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_offer_input in = eligible();
        in.rollout_state = cases[i].rollout;
        in.member_state = FLEET_MEMBER_PENDING;
        assert_int_equal(fleet_offer_decide(&in), cases[i].pending);
        in.member_state = FLEET_MEMBER_OFFERED;
        assert_int_equal(fleet_offer_decide(&in), cases[i].offered);
        in.member_state = FLEET_MEMBER_INSTALLING;
        assert_int_equal(fleet_offer_decide(&in), cases[i].installing);
        in.member_state = FLEET_MEMBER_UPDATED;
        assert_int_equal(fleet_offer_decide(&in), cases[i].updated);
    }
}

static void a_complete_rollout_serves_every_stage(void **state)
{
    (void)state;
    struct fleet_offer_input in = eligible();
    in.rollout_state = FLEET_ROLLOUT_COMPLETE;
    in.rollout_stage = 0;
    in.member_stage = 7;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_IMAGE);
}

static void a_device_in_flight_that_got_something_newer_elsewhere_is_left_alone(void **state)
{
    (void)state;
    struct fleet_offer_input in = eligible();
    in.member_state = FLEET_MEMBER_OFFERED;
    in.version_order = 1;
    assert_int_equal(fleet_offer_decide(&in), FLEET_OFFER_NEWER);
}

static void a_device_that_cannot_roll_back_is_kept_out_unless_allowed(void **state)
{
    (void)state;
    static const struct {
        bool lacks, allowed;
        enum fleet_member_state member;
        uint32_t member_stage;
        enum fleet_offer offer;
    } cases[] = {
        {false, false, FLEET_MEMBER_PENDING, 1, FLEET_OFFER_IMAGE},
        {true, false, FLEET_MEMBER_PENDING, 1, FLEET_OFFER_NO_ROLLBACK},
        {true, false, FLEET_MEMBER_PENDING, 2, FLEET_OFFER_NO_ROLLBACK}, /* known beforehand */
        {true, true, FLEET_MEMBER_PENDING, 1, FLEET_OFFER_IMAGE},
        {true, true, FLEET_MEMBER_PENDING, 2, FLEET_OFFER_NOT_YET},
        {true, false, FLEET_MEMBER_OFFERED, 1, FLEET_OFFER_IMAGE}, /* has begun: let it finish */
        {true, false, FLEET_MEMBER_INSTALLING, 1, FLEET_OFFER_IMAGE},
        {true, false, FLEET_MEMBER_FAILED, 1, FLEET_OFFER_FAILED_BEFORE},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        struct fleet_offer_input in = eligible();
        in.lacks_rollback = cases[i].lacks;
        in.allow_no_rollback = cases[i].allowed;
        in.member_state = cases[i].member;
        in.member_stage = cases[i].member_stage;
        assert_int_equal(fleet_offer_decide(&in), cases[i].offer);
    }
    assert_string_equal(fleet_offer_text(FLEET_OFFER_NO_ROLLBACK), "no_rollback");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rollout_moves_only_when_the_line_holds),
        cmocka_unit_test(only_a_device_in_flight_can_be_silent),
        cmocka_unit_test(an_eligible_device_is_offered_the_image),
        cmocka_unit_test(one_reason_is_enough_to_leave_a_device_alone),
        cmocka_unit_test(versions_that_cannot_be_compared_are_only_equal_or_not),
        cmocka_unit_test(the_same_version_built_differently_is_replaced),
        cmocka_unit_test(the_pace_holds_back_new_devices_but_not_those_in_flight),
        cmocka_unit_test(a_stopped_rollout_lets_only_verified_images_through),
        cmocka_unit_test(a_complete_rollout_serves_every_stage),
        cmocka_unit_test(a_device_that_cannot_roll_back_is_kept_out_unless_allowed),
        cmocka_unit_test(a_device_in_flight_that_got_something_newer_elsewhere_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
