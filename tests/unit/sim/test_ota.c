/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#define NEW_ KEDGE_OTA_NEW
#define PV   KEDGE_OTA_PENDING_VERIFY
#define OKAY KEDGE_OTA_VALID
#define BAD  KEDGE_OTA_INVALID
#define ABT  KEDGE_OTA_ABORTED
#define UND  UINT32_MAX
#define REC(seq, state)                                                                            \
    (struct fixture_record)                                                                        \
    {                                                                                              \
        seq, state, false                                                                          \
    }
#define BLANK                                                                                      \
    (struct fixture_record)                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    fixture_image(&fixture, 0, "1.0.0", 0);
    fixture_image(&fixture, 1, "1.1.0", 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    return 0;
}

/* docs/esp-idf.md 2.5, last line: the records of a normal cycle. */
static void a_normal_cycle_leaves_the_records_that_the_table_says(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture_otadata(fixture, REC(1, OKAY), BLANK);

    assert_int_equal(sim_ota_begin(&ota, 1), KEDGE_OK);
    fixture_expect_otadata(fixture, REC(1, OKAY), BLANK);
    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_OK);
    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, NEW_));
    fixture_expect_boot(fixture, 1);
    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, PV));
    ota.running = 1;
    assert_int_equal(sim_ota_begin(&ota, 0), KEDGE_ERR_STATE);
    assert_int_equal(sim_ota_mark_valid(&ota), KEDGE_OK);
    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, OKAY));
    assert_int_equal(sim_ota_begin(&ota, 0), KEDGE_OK);
    fixture_expect_otadata(fixture, BLANK, REC(2, OKAY));
    assert_int_equal(sim_ota_set_boot(&ota, 0), KEDGE_OK);
    fixture_expect_otadata(fixture, REC(3, NEW_), REC(2, OKAY));
}

static void mark_invalid_goes_back_to_the_other_image(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, PV));

    assert_int_equal(sim_ota_mark_invalid(&ota), KEDGE_OK);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, BAD));
    fixture_expect_boot(fixture, 0);
    ota.running = 0;
    assert_int_equal(sim_ota_mark_invalid(&ota), KEDGE_ERR_STATE);
    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, BAD));
}

static void mark_invalid_needs_an_app_in_the_other_slot(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0};
    fixture_otadata(fixture, REC(1, OKAY), REC(2, PV));
    sim_flash_program(fixture->flash, fixture->layout.slots[0].offset, zeros, sizeof(zeros));

    assert_int_equal(sim_ota_mark_invalid(&ota), KEDGE_ERR_STATE);
}

static void a_slot_is_refused_while_it_runs_or_does_not_exist(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture_otadata(fixture, REC(1, OKAY), BLANK);

    assert_int_equal(sim_ota_begin(&ota, 0), KEDGE_ERR_DENIED);
    assert_int_equal(sim_ota_resume(&ota, 0), KEDGE_ERR_DENIED);
    assert_int_equal(sim_ota_begin(&ota, 2), KEDGE_ERR_ARG);
    assert_int_equal(sim_ota_set_boot(&ota, 2), KEDGE_ERR_ARG);
}

static void resume_forgets_to_ask_whether_a_trial_runs(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, PV));

    assert_int_equal(sim_ota_begin(&ota, 0), KEDGE_ERR_STATE);
    assert_int_equal(sim_ota_resume(&ota, 0), KEDGE_OK);
}

static void a_sector_is_erased_then_written_and_padded(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    uint8_t data[100], back[128];
    memset(data, 0xE9, sizeof(data));
    uint64_t before = sim_flash_ops(fixture->flash);

    assert_int_equal(sim_ota_write_sector(&ota, 1, 0, data, sizeof(data)), KEDGE_OK);

    assert_int_equal(sim_flash_ops(fixture->flash) - before, 2);
    assert_int_equal(
        sim_flash_read(fixture->flash, fixture->layout.slots[1].offset, back, sizeof(back)),
        KEDGE_OK);
    assert_memory_equal(back, data, sizeof(data));
    for (size_t i = sizeof(data); i < sizeof(back); i++) {
        assert_int_equal(back[i], 0xFF);
    }
}

static void a_wrong_write_is_refused_before_the_flash_is_touched(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    uint32_t slot_size = fixture->layout.slots[1].size;
    uint8_t data[SIM_FLASH_SECTOR_SIZE] = {0};
    uint64_t before = sim_flash_ops(fixture->flash);

    assert_int_equal(sim_ota_write_sector(&ota, 1, 0, data, 16), KEDGE_ERR_MAGIC);
    assert_int_equal(sim_ota_write_sector(&ota, 1, 100, data, 16), KEDGE_ERR_ALIGN);
    assert_int_equal(sim_ota_write_sector(&ota, 1, slot_size, data, 16), KEDGE_ERR_RANGE);
    assert_int_equal(sim_ota_write_sector(&ota, 1, 4096, data, 0), KEDGE_ERR_RANGE);
    assert_int_equal(sim_ota_write_sector(&ota, 1, 4096, data, 4097), KEDGE_ERR_RANGE);

    assert_int_equal(sim_flash_ops(fixture->flash), before);
}

static void set_boot_verifies_the_image_first(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture_otadata(fixture, REC(1, OKAY), BLANK);
    fixture_corrupt(fixture, 1);

    assert_int_equal(sim_ota_end(&ota, 1), KEDGE_ERR_MISMATCH);
    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_ERR_MISMATCH);

    fixture_expect_otadata(fixture, REC(1, OKAY), BLANK);
}

static void set_boot_without_an_active_record_writes_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture_otadata(fixture, REC(7, ABT), REC(8, ABT));

    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_OK);

    fixture_expect_otadata(fixture, REC(2, NEW_), REC(8, ABT));
}

static void an_app_built_without_rollback_writes_undefined(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    ota.rollback = false;
    fixture_otadata(fixture, REC(1, OKAY), BLANK);

    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_OK);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, UND));
}

static void mark_valid_burns_the_floor_of_the_running_image(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    fixture->bootloader.anti_rollback = true;
    fixture_image(fixture, 1, "1.1.0", 4);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, PV));

    assert_int_equal(sim_ota_mark_valid(&ota), KEDGE_OK);

    assert_int_equal(fixture->secure_version, 4);
}

static void mark_valid_confirms_an_image_whose_version_efuse_cannot_hold(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    fixture->bootloader.anti_rollback = true;
    fixture_image(fixture, 1, "1.1.0", 33);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, PV));

    assert_int_equal(sim_ota_mark_valid(&ota), KEDGE_ERR_RANGE);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, OKAY));
    assert_int_equal(fixture->secure_version, 0);
}

static void set_boot_below_the_floor_erases_the_slot_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    uint32_t first = fixture->layout.slots[1].offset / SIM_FLASH_SECTOR_SIZE;
    uint32_t count = fixture->layout.slots[1].size / SIM_FLASH_SECTOR_SIZE;
    fixture->bootloader.anti_rollback = true;
    fixture->secure_version = 2;
    fixture_image(fixture, 0, "1.0.0", 2);
    fixture_image(fixture, 1, "1.1.0", 1);
    fixture_otadata(fixture, REC(1, OKAY), BLANK);
    uint64_t before = sim_flash_ops(fixture->flash);

    assert_int_equal(sim_ota_end(&ota, 1), KEDGE_OK);
    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_ERR_VERSION);

    assert_int_equal(sim_flash_ops(fixture->flash) - before, count);
    assert_int_equal(sim_flash_erase_count(fixture->flash, first), 1);
    assert_int_equal(sim_flash_erase_count(fixture->flash, first + count - 1), 1);
    assert_int_equal(sim_flash_erase_count(fixture->flash, first + count), 0);
    assert_int_equal(sim_ota_end(&ota, 1), KEDGE_ERR_MISMATCH);
    fixture_expect_otadata(fixture, REC(1, OKAY), BLANK);
    fixture_expect_boot(fixture, 0);
}

static void set_boot_at_the_floor_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture->bootloader.anti_rollback = true;
    fixture->secure_version = 2;
    fixture_image(fixture, 1, "1.1.0", 2);
    fixture_otadata(fixture, REC(1, OKAY), BLANK);

    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_OK);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, NEW_));
}

/* From here on: the weaknesses of docs/esp-idf.md 2.7, by their numbers. The agent must live
 * with each. */

static void weakness_1_a_cut_in_mark_valid_reverts_a_confirmed_update(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, PV));

    sim_flash_cut(fixture->flash, &(struct sim_cut){.nth = 2, .tear = SIM_TEAR_NOTHING});
    assert_int_equal(sim_ota_mark_valid(&ota), KEDGE_ERR_IO);
    sim_flash_power_on(fixture->flash);

    fixture_expect_otadata(fixture, REC(1, OKAY), BLANK);
    fixture_expect_boot(fixture, 0);
}

static void weakness_1_a_cut_while_booting_leaves_no_trace_of_the_trial(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t before[] = {NEW_, PV};
    for (size_t i = 0; i < 2; i++) {
        struct sim_boot_env env = fixture_env(fixture);
        struct sim_boot boot;
        fixture_otadata(fixture, REC(1, OKAY), REC(2, before[i]));

        sim_flash_cut(fixture->flash, &(struct sim_cut){.nth = 1, .tear = SIM_TEAR_COMPLETE});
        assert_int_equal(sim_boot_run(&env, &boot), KEDGE_ERR_IO);
        sim_flash_power_on(fixture->flash);

        fixture_expect_boot(fixture, 0);
        fixture_expect_otadata(fixture, REC(1, OKAY), BLANK);
    }
}

static void weakness_2a_mark_valid_after_a_fallback_confirms_the_bad_slot(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, NEW_));
    fixture_corrupt(fixture, 1);
    fixture_expect_boot(fixture, 0);
    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, PV));

    assert_int_equal(sim_ota_mark_valid(&ota), KEDGE_OK);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, OKAY));
}

/* Running ota_1 after a fallback from ota_0, an update into ota_0, which then fails its trial. */
static void update_from_fallback(struct fixture *fixture, enum sim_idf idf)
{
    struct sim_ota ota = fixture_ota(fixture, idf, 1);
    fixture_otadata(fixture, REC(3, NEW_), REC(2, OKAY));
    fixture_corrupt(fixture, 0);
    fixture_expect_boot(fixture, 1);
    fixture_expect_otadata(fixture, REC(3, PV), REC(2, OKAY));
    assert_int_equal(sim_ota_begin(&ota, 0), KEDGE_OK);
    fixture_image(fixture, 0, "1.2.0", 0);
    assert_int_equal(sim_ota_set_boot(&ota, 0), KEDGE_OK);
}

static void weakness_2b_an_update_from_fallback_ends_in_the_bad_image_for_ever(void **state)
{
    struct fixture *fixture = *state;
    update_from_fallback(fixture, SIM_IDF_5_5);
    fixture_expect_otadata(fixture, REC(3, PV), REC(3, NEW_));

    fixture_expect_boot(fixture, 0);
    fixture_expect_otadata(fixture, REC(3, ABT), REC(3, PV));
    for (int resets = 0; resets < 3; resets++) {
        fixture_expect_boot(fixture, 0);
        fixture_expect_otadata(fixture, REC(3, ABT), REC(3, ABT));
    }
}

static void weakness_2b_is_mended_by_the_set_boot_rule_of_v6(void **state)
{
    struct fixture *fixture = *state;
    update_from_fallback(fixture, SIM_IDF_6_0);
    fixture_expect_otadata(fixture, REC(3, NEW_), REC(2, OKAY));

    fixture_expect_boot(fixture, 0);
    fixture_expect_boot(fixture, 1);
    fixture_expect_otadata(fixture, REC(3, ABT), REC(2, OKAY));
}

static void weakness_3_two_dead_records_boot_ota_0_unmonitored(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    fixture_otadata(fixture, REC(3, BAD), REC(4, ABT));

    fixture_expect_boot(fixture, 0);
    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, REC(3, BAD), REC(4, ABT));
    assert_int_equal(sim_ota_mark_valid(&ota), KEDGE_ERR_STATE);
}

static void weakness_4_a_torn_state_keeps_a_good_crc(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint32_t torn;
        int slot;
        uint32_t after;
    } cases[] = {{UND, 1, UND}, {BAD, 0, BAD}, {ABT, 0, ABT}, {PV, 0, ABT}, {OKAY, 1, OKAY}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_otadata(fixture, REC(1, OKAY), REC(2, cases[i].torn));

        fixture_expect_boot(fixture, cases[i].slot);

        fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, cases[i].after));
    }
}

static void weakness_5_lost_otadata_downgrades_and_says_valid(void **state)
{
    struct fixture *fixture = *state;
    fixture_otadata(fixture, REC(1, OKAY), REC(2, OKAY));
    fixture_expect_boot(fixture, 1);

    fixture_otadata(fixture, BLANK, BLANK);

    fixture_expect_boot(fixture, 0);
    fixture_expect_otadata(fixture, REC(1, OKAY), BLANK);
}

static void weakness_6_a_power_cut_in_the_trial_rejects_a_good_image(void **state)
{
    struct fixture *fixture = *state;
    fixture_otadata(fixture, REC(1, OKAY), REC(2, NEW_));
    fixture_expect_boot(fixture, 1);

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, ABT));
}

static void weakness_7_set_boot_to_the_running_slot_eats_the_fallback_record(void **state)
{
    struct fixture *fixture = *state;
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    fixture_otadata(fixture, REC(1, OKAY), REC(2, OKAY));

    assert_int_equal(sim_ota_set_boot(&ota, 1), KEDGE_OK);

    fixture_expect_otadata(fixture, REC(2, NEW_), REC(2, OKAY));
}

static void weakness_8_an_old_begin_leaves_the_record_of_what_it_overwrites(void **state)
{
    struct fixture *fixture = *state;
    uint8_t half[SIM_FLASH_SECTOR_SIZE];
    memset(half, 0xE9, sizeof(half));
    static const struct {
        enum sim_idf idf;
        bool keeps;
    } cases[] = {{SIM_IDF_5_3, true}, {SIM_IDF_5_5, false}, {SIM_IDF_6_0, false}};
    for (size_t i = 0; i < 3; i++) {
        struct sim_ota ota = fixture_ota(fixture, cases[i].idf, 1);
        fixture_otadata(fixture, REC(1, OKAY), REC(2, OKAY));

        assert_int_equal(sim_ota_begin(&ota, 0), KEDGE_OK);
        assert_int_equal(sim_ota_write_sector(&ota, 0, 0, half, sizeof(half)), KEDGE_OK);

        fixture_expect_otadata(fixture, cases[i].keeps ? REC(1, OKAY) : BLANK, REC(2, OKAY));
        fixture_expect_boot(fixture, 1);
    }
}

static void weakness_10_the_trial_is_spent_before_the_image_is_verified(void **state)
{
    struct fixture *fixture = *state;
    fixture_otadata(fixture, REC(1, OKAY), REC(2, NEW_));
    fixture_corrupt(fixture, 1);

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, REC(1, OKAY), REC(2, PV));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_normal_cycle_leaves_the_records_that_the_table_says),
        TEST(mark_invalid_goes_back_to_the_other_image),
        TEST(mark_invalid_needs_an_app_in_the_other_slot),
        TEST(a_slot_is_refused_while_it_runs_or_does_not_exist),
        TEST(resume_forgets_to_ask_whether_a_trial_runs),
        TEST(a_sector_is_erased_then_written_and_padded),
        TEST(a_wrong_write_is_refused_before_the_flash_is_touched),
        TEST(set_boot_verifies_the_image_first),
        TEST(set_boot_without_an_active_record_writes_the_first),
        TEST(an_app_built_without_rollback_writes_undefined),
        TEST(mark_valid_burns_the_floor_of_the_running_image),
        TEST(mark_valid_confirms_an_image_whose_version_efuse_cannot_hold),
        TEST(set_boot_below_the_floor_erases_the_slot_and_nothing_else),
        TEST(set_boot_at_the_floor_is_allowed),
        TEST(weakness_1_a_cut_in_mark_valid_reverts_a_confirmed_update),
        TEST(weakness_1_a_cut_while_booting_leaves_no_trace_of_the_trial),
        TEST(weakness_2a_mark_valid_after_a_fallback_confirms_the_bad_slot),
        TEST(weakness_2b_an_update_from_fallback_ends_in_the_bad_image_for_ever),
        TEST(weakness_2b_is_mended_by_the_set_boot_rule_of_v6),
        TEST(weakness_3_two_dead_records_boot_ota_0_unmonitored),
        TEST(weakness_4_a_torn_state_keeps_a_good_crc),
        TEST(weakness_5_lost_otadata_downgrades_and_says_valid),
        TEST(weakness_6_a_power_cut_in_the_trial_rejects_a_good_image),
        TEST(weakness_7_set_boot_to_the_running_slot_eats_the_fallback_record),
        TEST(weakness_8_an_old_begin_leaves_the_record_of_what_it_overwrites),
        TEST(weakness_10_the_trial_is_spent_before_the_image_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
