/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "kedge/crypto.h"

/* What a board can be like without anybody's fault: docs/esp-idf.md 2.7, and the
 * table "Device: flash and bootloader" of docs/failure-modes.md. */

static uint8_t image[FAKE_SLOT_SIZE];
static uint32_t image_size;

static void make_image(const char *version)
{
    image_size = fake_image(version, "test", KEDGE_CHIP_ESP32, 20000, image, sizeof image);
    assert_int_not_equal(image_size, 0);
}

static int setup(void **state)
{
    struct fake *fake = calloc(1, sizeof *fake);

    fake_init(fake);
    make_image("1.1.0");
    *state = fake;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static enum kedge_state state_of(const struct fake *fake)
{
    return kedge_agent_state(&fake->agent);
}

static void start(struct fake *fake)
{
    fake_boot(fake);
    fake_connect(fake);
}

/* Download, report, reboot into the new image. */
static void update_until_trial(struct fake *fake, const char *version)
{
    uint8_t old = fake->running;

    make_image(version);
    fake_download(fake, image, image_size, version);
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
    assert_true(fake_wait_reboot(fake, 60000));
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(fake->running, 1 - old);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
}

static void assert_reported(struct fake *fake, enum kedge_report_state state,
                            enum kedge_cause cause)
{
    struct kedge_report report;

    assert_int_not_equal(fake_take_reports(fake, &report), 0);
    assert_int_equal(report.state, state);
    assert_int_equal(report.cause, cause);
}

static const char *caps_of_next_poll(struct fake *fake)
{
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    return fake_header(fake, "X-Boot-Caps");
}

/* ---- a bootloader without rollback ---- */

static void a_first_boot_that_stays_new_shows_a_bootloader_without_rollback(void **state)
{
    struct fake *fake = *state;

    fake->no_rollback = true;
    start(fake);
    assert_string_equal(caps_of_next_poll(fake), "rollback"); /* as far as the app knows */
    update_until_trial(fake, "1.1.0");
    fake_connect(fake);
    assert_string_equal(caps_of_next_poll(fake), "pending");
    fake_prove(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NO_ROLLBACK);

    fake_reset(fake, KEDGE_RESET_POWERON);
    fake_connect(fake);
    assert_string_equal(caps_of_next_poll(fake), "none");
    update_until_trial(fake, "1.2.0");
    fake_prove(fake);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE); /* told once */
}

static void a_first_boot_that_is_pending_proves_nothing_against_the_bootloader(void **state)
{
    struct fake *fake = *state;

    start(fake);
    update_until_trial(fake, "1.1.0");
    fake_prove(fake);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE);
    assert_string_equal(caps_of_next_poll(fake), "rollback");
}

static void without_rollback_a_crash_on_trial_is_ended_by_the_journal(void **state)
{
    struct fake *fake = *state;

    fake->no_rollback = true;
    start(fake);
    update_until_trial(fake, "1.1.0");
    fake_reset(fake, KEDGE_RESET_PANIC); /* the bootloader starts the same image again */
    assert_int_equal(fake->running, 1);
    assert_true(fake_wait_reboot(fake, 60000));
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_INVALID);

    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(fake->running, 0);
    fake_connect(fake);
    assert_reported(fake, KEDGE_REPORT_ROLLED_BACK, KEDGE_CAUSE_PANIC);
    assert_string_equal(caps_of_next_poll(fake), "none");
}

static void without_rollback_a_power_cut_on_trial_just_goes_on_with_it(void **state)
{
    struct fake *fake = *state;

    fake->no_rollback = true;
    start(fake);
    update_until_trial(fake, "1.1.0");
    fake_reset(fake, KEDGE_RESET_BROWNOUT);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    fake_prove(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NO_ROLLBACK);
}

/* ---- memory ---- */

static void an_offer_waits_until_one_block_is_large_enough(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;

    fake->config.block_floor_bytes = 40000;
    fake->vitals.largest_block_bytes = 39999;
    start(fake);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_DEFERRED);
    assert_int_equal(report.cause, KEDGE_CAUSE_HEAP);
    assert_int_equal(report.detail, 39999);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(fake->agent.journal.data.report_count, 0); /* said once */
    fake->vetoed = true;
    fake->vitals.largest_block_bytes = 40000;
    fake_download(fake, image, image_size, "1.1.0");
    assert_reported(fake, KEDGE_REPORT_DEFERRED, KEDGE_CAUSE_VETO); /* another reason is news */
    assert_int_equal(fake->begins, 0);
    assert_int_equal(fake->erased_sectors, 0);

    fake->vetoed = false;
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
}

static void without_a_floor_the_largest_block_does_not_matter(void **state)
{
    struct fake *fake = *state;

    fake->vitals.largest_block_bytes = 0;
    start(fake);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
}

/* ---- the image does not fit the board ---- */

static void
an_image_below_the_anti_rollback_floor_is_refused_before_anything_is_erased(void **state)
{
    struct fake *fake = *state;

    fake->min_secure_version = 1; /* the image has 0 */
    start(fake);
    assert_string_equal(caps_of_next_poll(fake), "rollback,anti-rollback");
    assert_string_equal(fake_header(fake, "X-Secure-Version"), "1");
    fake_offer(fake, image, image_size, "1.1.0");
    fake_body(fake, image, KEDGE_IMAGE_PREFIX_SIZE); /* no byte more is needed to know */
    assert_int_equal(fake->aborts, 1);
    assert_int_equal(fake->begins, 0);
    assert_int_equal(fake->erased_sectors, 0);
    assert_reported(fake, KEDGE_REPORT_REJECTED, KEDGE_CAUSE_SECURE_VERSION);
}

/* ---- otadata ---- */

static void without_any_active_record_an_update_still_works(void **state)
{
    struct fake *fake = *state;

    fake->boot = KEDGE_NO_SLOT;
    fake->slots[0].state = (uint32_t)KEDGE_OTA_UNDEFINED;
    start(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    update_until_trial(fake, "1.1.0");
    fake_prove(fake);
    assert_int_equal(fake->boot, 1);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE);
}

/* On trial in slot 0; then both records are lost, and the bootloader starts ota_0 unmonitored. */
static void lose_otadata_on_trial(struct fake *fake)
{
    struct kedge_report report;

    start(fake);
    update_until_trial(fake, "1.1.0");
    fake_prove(fake);
    (void)fake_take_reports(fake, &report);
    update_until_trial(fake, "1.2.0");
    fake->boot = KEDGE_NO_SLOT;
    fake->slots[0].state = (uint32_t)KEDGE_OTA_UNDEFINED;
    fake->slots[1].state = (uint32_t)KEDGE_OTA_UNDEFINED;
    fake->mark_valids = 0;
    fake_reset(fake, KEDGE_RESET_POWERON);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
}

static void a_trial_without_a_record_is_proven_and_has_nothing_to_confirm(void **state)
{
    struct fake *fake = *state;

    lose_otadata_on_trial(fake);
    fake_prove(fake);
    assert_int_equal(fake->mark_valids, 0);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE);
}

static void a_failed_trial_without_a_record_does_not_lock_out_the_next_release(void **state)
{
    struct fake *fake = *state;

    lose_otadata_on_trial(fake);
    fake->self_test = KEDGE_SELF_TEST_FAILED;
    fake_connect(fake);
    fake_tick(fake, 1000);
    assert_reported(fake, KEDGE_REPORT_ROLLED_BACK, KEDGE_CAUSE_SELF_TEST);
    assert_false(fake->reboot_wanted);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);

    fake->self_test = KEDGE_SELF_TEST_PASSED;
    update_until_trial(fake, "1.3.0");
    fake_prove(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
}

/* The record that mark_valid was rewriting, as a cut can leave it, and who runs then. */
static void a_mark_valid_cut_short_confirms_after_all_and_reports_it_once(void **state)
{
    static const struct {
        uint32_t record;
        bool old_runs;
    } rows[] = {
        {(uint32_t)KEDGE_OTA_UNDEFINED, true},  /* erased, not written */
        {(uint32_t)KEDGE_OTA_INVALID, true},    /* torn: 2 read as 3 */
        {(uint32_t)KEDGE_OTA_UNDEFINED, false}, /* torn: not a bit of the state is cleared yet */
        {0xFFFFFF02u, false},                   /* torn: no state at all, still bootable */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake *fake = *state;

        fake_init(fake);
        start(fake);
        update_until_trial(fake, "1.1.0");
        fake->agent.journal.data.state = KEDGE_STATE_COMMITTED; /* journalled, then cut */
        fake->agent.journal.data.cause = KEDGE_CAUSE_NONE;
        fake->agent.journal.data.detail = 0;
        assert_int_equal(kedge_journal_save(&fake->agent.journal), KEDGE_OK);
        fake->slots[1].state = rows[i].record;
        fake->boot = rows[i].old_runs ? 0 : 1;
        fake_reset(fake, KEDGE_RESET_POWERON);
        if (rows[i].old_runs) {
            fake_connect(fake);
            assert_true(fake_wait_reboot(fake, 600000)); /* re-armed, no download */
            fake_reset(fake, KEDGE_RESET_SW);
            assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
            fake_prove(fake);
        }
        assert_int_equal(fake->running, 1);
        assert_int_equal(state_of(fake), KEDGE_STATE_IDLE); /* where it still runs: proven before */
        fake_connect(fake);
        assert_int_equal(fake->begins, 1);
        assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
        assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE);
        fake_reset(fake, KEDGE_RESET_POWERON);
        assert_int_equal(fake->agent.journal.data.report_count, 0);
    }
}

/* ---- running slot != boot slot ---- */

/* The bootloader cannot load the slot that otadata names, whatever its record says. */
static void fall_back(struct fake *fake)
{
    fake->running = (uint8_t)(1 - fake->boot);
    fake_boot(fake);
    fake_connect(fake);
}

static void a_confirmed_image_that_broke_is_struck_out_and_replaced(void **state)
{
    struct fake *fake = *state;

    fake->slots[1].state = (uint32_t)KEDGE_OTA_VALID;
    fake->boot = 1;
    fall_back(fake);
    assert_true(fake_wait_reboot(fake, 60000)); /* a reboot would do for an image on trial */
    assert_int_equal(fake->mark_invalids, 0);
    fall_back(fake);
    assert_true(fake_wait_reboot(fake, 60000));
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_INVALID);
    assert_int_equal(fake->slots[0].state, KEDGE_OTA_VALID);

    fake_reset(fake, KEDGE_RESET_SW);
    fake_connect(fake);
    assert_int_equal(fake->begins, 0);
    update_until_trial(fake, "1.1.0");
    fake_prove(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
}

static void a_board_that_cannot_be_repaired_stays_up_and_touches_nothing(void **state)
{
    struct fake *fake = *state;

    fake->slots[0].state = (uint32_t)KEDGE_OTA_ABORTED; /* nothing good to fall back on */
    fake->slots[1].state = (uint32_t)KEDGE_OTA_VALID;
    fake->boot = 1;
    fall_back(fake);
    assert_true(fake_wait_reboot(fake, 60000));
    for (int boots = 0; boots < 3; boots++) {
        fall_back(fake);
        assert_false(fake_wait_reboot(fake, 600000));
        fake_download(fake, image, image_size, "1.1.0");
        assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    }
    assert_int_equal(fake->mark_invalids + fake->mark_valids + fake->begins, 0);
}

static void a_trial_that_otadata_does_not_name_confirms_no_other_record(void **state)
{
    struct fake *fake = *state;

    start(fake);
    update_until_trial(fake, "1.1.0");
    fake->slots[1].state = (uint32_t)KEDGE_OTA_ABORTED; /* its trial was cut, … */
    fake->boot = 0;                                     /* … and the old image does not load */
    fall_back(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    fake_prove(fake);
    assert_int_equal(fake->mark_valids, 0);
    assert_int_equal(fake->mark_invalids, 0);
    assert_reported(fake, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE);
}

/* ---- PENDING_VERIFY that is not ours ---- */

static void a_trial_adopted_from_outside_takes_no_download_until_it_is_confirmed(void **state)
{
    struct fake *fake = *state;

    fake->slots[0].state = (uint32_t)KEDGE_OTA_PENDING_VERIFY;
    start(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    assert_string_equal(caps_of_next_poll(fake), "rollback,pending");
    fake_download(fake, image, image_size, "1.1.0"); /* from a server that does not look at that */
    assert_false(fake->http_open);
    assert_int_equal(fake->begins, 0);
    assert_int_equal(fake->erased_sectors, 0);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);

    fake_prove(fake);
    assert_int_equal(fake->slots[0].state, KEDGE_OTA_VALID);
    update_until_trial(fake, "1.1.0");
}

static void break_off_download(struct fake *fake)
{
    start(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake_offer(fake, image, image_size, "1.1.0");
    fake_body(fake, image, 10000);
    fake_fail(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_DOWNLOADING);
}

static void a_download_is_not_resumed_when_the_running_image_came_on_trial_meanwhile(void **state)
{
    struct fake *fake = *state;

    break_off_download(fake);
    fake->slots[0].state = (uint32_t)KEDGE_OTA_NEW;
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    fake_connect(fake);
    (void)caps_of_next_poll(fake);
    assert_string_equal(fake_header(fake, "Range"), "");
    fake_prove(fake);
    assert_int_equal(fake->slots[0].state, KEDGE_OTA_VALID);
    assert_int_equal(fake->begins, 1);
    update_until_trial(fake, "1.1.0");
}

static void a_download_into_the_slot_that_runs_by_now_is_given_up(void **state)
{
    struct fake *fake = *state;

    break_off_download(fake);
    fake->slots[1].state = (uint32_t)KEDGE_OTA_VALID; /* flashed by wire */
    fake->slots[1].desc = (struct kedge_app_desc){.version = "1.0.5", .project = "test"};
    fake->boot = 1;
    fake_reset(fake, KEDGE_RESET_POWERON);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    fake_connect(fake);
    update_until_trial(fake, "1.1.0");
    assert_int_equal(fake->running, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_boot_that_stays_new_shows_a_bootloader_without_rollback),
        TEST(a_first_boot_that_is_pending_proves_nothing_against_the_bootloader),
        TEST(without_rollback_a_crash_on_trial_is_ended_by_the_journal),
        TEST(without_rollback_a_power_cut_on_trial_just_goes_on_with_it),
        TEST(an_offer_waits_until_one_block_is_large_enough),
        TEST(without_a_floor_the_largest_block_does_not_matter),
        TEST(an_image_below_the_anti_rollback_floor_is_refused_before_anything_is_erased),
        TEST(without_any_active_record_an_update_still_works),
        TEST(a_trial_without_a_record_is_proven_and_has_nothing_to_confirm),
        TEST(a_failed_trial_without_a_record_does_not_lock_out_the_next_release),
        TEST(a_mark_valid_cut_short_confirms_after_all_and_reports_it_once),
        TEST(a_confirmed_image_that_broke_is_struck_out_and_replaced),
        TEST(a_board_that_cannot_be_repaired_stays_up_and_touches_nothing),
        TEST(a_trial_that_otadata_does_not_name_confirms_no_other_record),
        TEST(a_trial_adopted_from_outside_takes_no_download_until_it_is_confirmed),
        TEST(a_download_is_not_resumed_when_the_running_image_came_on_trial_meanwhile),
        TEST(a_download_into_the_slot_that_runs_by_now_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
