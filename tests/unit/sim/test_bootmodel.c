/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#include "host/fs.h"

#define NEW_ KEDGE_OTA_NEW
#define PV   KEDGE_OTA_PENDING_VERIFY
#define OKAY KEDGE_OTA_VALID
#define BAD  KEDGE_OTA_INVALID
#define ABT  KEDGE_OTA_ABORTED
#define UND  UINT32_MAX

static const struct fixture_record blank = {0};

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

static void load_vector(struct fixture *fixture, const char *name)
{
    char path[512];
    struct host_buf bytes;
    host_buf_init(&bytes, KEDGE_OTADATA_PARTITION_SIZE);
    assert_int_equal(host_fs_join(path, sizeof(path), KEDGE_VECTORS "/otadata", name), KEDGE_OK);
    assert_int_equal(host_fs_read(path, &bytes), KEDGE_OK);
    assert_int_equal(bytes.len, KEDGE_OTADATA_PARTITION_SIZE);
    sim_flash_program(fixture->flash, fixture->layout.otadata.offset, bytes.data,
                      (uint32_t)bytes.len);
    host_buf_free(&bytes);
}

/* tests/vectors/README.md, worked out by hand from docs/esp-idf.md 2.3. */
static void every_otadata_vector_boots_as_the_stock_bootloader_does(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        int slot;
        uint64_t ops;
        struct fixture_record first, second;
    } cases[] = {
        {"blank.bin", 0, 2, {1, OKAY, false}, {0}},
        {"first-valid.bin", 0, 0, {1, OKAY, false}, {0}},
        {"new-in-1.bin", 1, 2, {1, OKAY, false}, {2, PV, false}},
        {"pending-in-1.bin", 0, 2, {1, OKAY, false}, {2, ABT, false}},
        {"valid-both.bin", 1, 0, {1, OKAY, false}, {2, OKAY, false}},
        {"aborted-1.bin", 0, 0, {1, OKAY, false}, {2, ABT, false}},
        {"invalid-1.bin", 0, 0, {1, OKAY, false}, {2, BAD, false}},
        {"both-aborted.bin", 0, 0, {3, ABT, false}, {2, ABT, false}},
        {"bad-crc-1.bin", 0, 0, {1, OKAY, false}, {2, OKAY, true}},
        {"undefined-both.bin", 0, 0, {5, UND, false}, {4, UND, false}},
        {"wrapped-seq.bin", 1, 2, {3, OKAY, false}, {4, PV, false}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        load_vector(fixture, cases[i].name);
        uint64_t before = sim_flash_ops(fixture->flash);

        fixture_expect_boot(fixture, cases[i].slot);

        fixture_expect_otadata(fixture, cases[i].first, cases[i].second);
        assert_int_equal(sim_flash_ops(fixture->flash) - before, cases[i].ops);
    }
}

/* The branches of docs/esp-idf.md 2.3 that the vectors do not reach. */
static void records_without_an_active_one_try_every_slot_and_rewrite_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const struct fixture_record cases[][2] = {
        {{1, OKAY, true}, {2, ABT, false}},
        {{5, OKAY, true}, {6, OKAY, true}},
        {{1, BAD, false}, {2, BAD, false}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_otadata(fixture, cases[i][0], cases[i][1]);
        uint64_t before = sim_flash_ops(fixture->flash);

        fixture_expect_boot(fixture, 0);

        fixture_expect_otadata(fixture, cases[i][0], cases[i][1]);
        assert_int_equal(sim_flash_ops(fixture->flash), before);
    }
}

static void a_pending_record_is_aborted_without_a_look_at_its_crc(void **state)
{
    struct fixture *fixture = *state;
    fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                    (struct fixture_record){2, PV, true});

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, (struct fixture_record){1, OKAY, false},
                           (struct fixture_record){2, ABT, true});
}

static void two_bad_crcs_in_invalid_states_count_as_initial_contents(void **state)
{
    struct fixture *fixture = *state;
    fixture_otadata(fixture, (struct fixture_record){7, ABT, true},
                    (struct fixture_record){8, BAD, true});

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, (struct fixture_record){1, OKAY, false},
                           (struct fixture_record){8, BAD, true});
}

static void without_rollback_a_new_record_stays_new(void **state)
{
    struct fixture *fixture = *state;
    fixture->bootloader.rollback = false;
    fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                    (struct fixture_record){2, NEW_, false});

    fixture_expect_boot(fixture, 1);

    fixture_expect_otadata(fixture, (struct fixture_record){1, OKAY, false},
                           (struct fixture_record){2, NEW_, false});
}

static void a_bad_image_falls_back_both_ways_and_leaves_otadata(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_record one = {1, OKAY, false}, two = {2, OKAY, false},
                                three = {3, OKAY, false};
    fixture_otadata(fixture, one, two);
    fixture_corrupt(fixture, 1);
    fixture_expect_boot(fixture, 0);
    fixture_expect_otadata(fixture, one, two);

    fixture_image(fixture, 1, "1.1.0", 0);
    fixture_corrupt(fixture, 0);
    fixture_otadata(fixture, three, two);
    fixture_expect_boot(fixture, 1);
    fixture_expect_otadata(fixture, three, two);
}

static void blank_otadata_and_a_bad_first_slot_get_a_record_for_the_second(void **state)
{
    struct fixture *fixture = *state;
    fixture_otadata(fixture, blank, blank);
    fixture_corrupt(fixture, 0);

    fixture_expect_boot(fixture, 1);

    fixture_expect_otadata(fixture, (struct fixture_record){2, OKAY, false}, blank);
}

static void nothing_bootable_is_said_so(void **state)
{
    struct fixture *fixture = *state;
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    fixture_corrupt(fixture, 0);
    fixture_corrupt(fixture, 1);

    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_ERR_NOT_FOUND);
}

static void an_image_for_another_chip_or_revision_is_not_started(void **state)
{
    struct fixture *fixture = *state;
    struct kedge_image_info info;
    struct sim_bootloader other = {.chip_id = KEDGE_CHIP_ESP32S3, .chip_rev_full = 300};
    assert_int_equal(
        sim_image_verify(fixture->flash, fixture->layout.slots[0], &fixture->bootloader, &info),
        KEDGE_OK);
    assert_string_equal(info.desc.version, "1.0.0");

    assert_int_equal(sim_image_verify(fixture->flash, fixture->layout.slots[0], &other, &info),
                     KEDGE_ERR_MISMATCH);
}

static void anti_rollback_passes_over_records_below_the_floor(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_record one = {1, OKAY, false}, two = {2, OKAY, false};
    fixture->bootloader.anti_rollback = true;
    fixture->secure_version = 2;
    fixture_image(fixture, 0, "2.0.0", 2);
    fixture_image(fixture, 1, "1.1.0", 1);
    fixture_otadata(fixture, one, two);

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, one, two);
    fixture_corrupt(fixture, 0);
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_ERR_NOT_FOUND);
}

static void anti_rollback_burns_the_floor_for_a_valid_record_only(void **state)
{
    struct fixture *fixture = *state;
    fixture->bootloader.anti_rollback = true;
    fixture_image(fixture, 1, "1.1.0", 3);
    fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                    (struct fixture_record){2, NEW_, false});
    fixture_expect_boot(fixture, 1);
    assert_int_equal(fixture->secure_version, 0);

    fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                    (struct fixture_record){2, OKAY, false});
    fixture_expect_boot(fixture, 1);
    assert_int_equal(fixture->secure_version, 3);
}

static void anti_rollback_takes_blank_otadata_for_initial_contents(void **state)
{
    struct fixture *fixture = *state;
    fixture->bootloader.anti_rollback = true;
    fixture_image(fixture, 0, "1.0.0", 1);
    fixture_otadata(fixture, blank, blank);

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, (struct fixture_record){1, OKAY, false}, blank);
    assert_int_equal(fixture->secure_version, 1);
}

/* Facts 1 f: bits per chip; one bump more is ignored, and the image boots all the same. */
static void the_floor_stops_where_the_chip_has_no_more_bits(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint16_t chip_id;
        uint32_t bits;
    } cases[] = {{KEDGE_CHIP_ESP32, 32},   {KEDGE_CHIP_ESP32S3, 16}, {KEDGE_CHIP_ESP32C3, 16},
                 {KEDGE_CHIP_ESP32C6, 16}, {KEDGE_CHIP_ESP32C5, 9},  {KEDGE_CHIP_ESP32C2, 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sim_boot_env env = fixture_env(fixture);
        fixture->bootloader.chip_id = cases[i].chip_id;
        fixture->secure_version = 0;

        assert_int_equal(sim_boot_raise_floor(&env, cases[i].bits + 1), KEDGE_ERR_RANGE);
        assert_int_equal(fixture->secure_version, 0);
        assert_int_equal(sim_boot_raise_floor(&env, cases[i].bits), KEDGE_OK);
        assert_int_equal(sim_boot_raise_floor(&env, 1), KEDGE_OK);
        assert_int_equal(fixture->secure_version, cases[i].bits);
    }
    fixture->bootloader = (struct sim_bootloader){
        .chip_id = KEDGE_CHIP_ESP32, .chip_rev_full = 300, .rollback = true, .anti_rollback = true};
    fixture->secure_version = 3;
    fixture_image(fixture, 1, "9.0.0", 33);
    fixture_otadata(fixture, blank, (struct fixture_record){2, OKAY, false});
    fixture_expect_boot(fixture, 1);
    assert_int_equal(fixture->secure_version, 3);
}

static void a_power_cut_while_booting_is_an_io_error(void **state)
{
    struct fixture *fixture = *state;
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                    (struct fixture_record){2, NEW_, false});
    sim_flash_cut(fixture->flash, &(struct sim_cut){.nth = 2, .tear = SIM_TEAR_NOTHING});

    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_ERR_IO);
}

static void no_otadata_partition_tries_factory_then_the_slots(void **state)
{
    struct fixture *fixture = *state;
    fixture->layout.otadata.size = 0;
    fixture_expect_boot(fixture, 0);

    fixture->layout.factory = fixture->layout.slots[1];
    fixture_expect_boot(fixture, SIM_SLOT_FACTORY);
}

static void an_otadata_partition_under_8_kib_is_fatal(void **state)
{
    struct fixture *fixture = *state;
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    fixture->layout.otadata.size = 0x1000;

    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_ERR_RANGE);
}

static const struct fixture_record garbage = {.seq = FIXTURE_ERASED};

static void encrypt(struct fixture *fixture)
{
    fixture_encrypt(fixture);
    fixture_image(fixture, 0, "1.0.0", 0);
    fixture_image(fixture, 1, "1.1.0", 0);
}

/* docs/esp-idf.md 2.6: what the first boot encrypted reads as FF, so path 3 holds for it. */
static void encrypted_otadata_reads_as_blank_on_the_first_boot_only(void **state)
{
    struct fixture *fixture = *state;
    encrypt(fixture);
    fixture_otadata(fixture, blank, blank);

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, (struct fixture_record){1, OKAY, false}, blank);
}

/* Path 5: no active record and not invalid either, so nothing is rewritten, boot after boot. */
static void erased_encrypted_otadata_is_not_blank_and_boots_ota_0_unrecorded(void **state)
{
    struct fixture *fixture = *state;
    encrypt(fixture);
    fixture_otadata(fixture, garbage, garbage);
    uint64_t before = sim_flash_ops(fixture->flash);

    fixture_expect_boot(fixture, 0);
    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, garbage, garbage);
    assert_int_equal(sim_flash_ops(fixture->flash), before);
}

static void one_erased_encrypted_record_leaves_the_choice_to_the_other(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        struct fixture_record other;
        int slot;
    } cases[] = {
        {{2, OKAY, false}, 1},
        {{2, ABT, false}, 0}, /* none active: from factory on, ota_0 is the first there is */
        {{3, BAD, false}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        encrypt(fixture);
        fixture_otadata(fixture, garbage, cases[i].other);

        fixture_expect_boot(fixture, cases[i].slot);

        fixture_expect_otadata(fixture, garbage, cases[i].other);
    }
}

/* Step 3 of anti-rollback asks for bad CRCs, not for FF: here the record does come. */
static void anti_rollback_takes_erased_encrypted_otadata_for_initial_contents(void **state)
{
    struct fixture *fixture = *state;
    encrypt(fixture);
    fixture->bootloader.anti_rollback = true;
    fixture_otadata(fixture, garbage, garbage);

    fixture_expect_boot(fixture, 0);

    fixture_expect_otadata(fixture, (struct fixture_record){1, OKAY, false}, garbage);
}

static void the_test_app_is_the_last_resort(void **state)
{
    struct fixture *fixture = *state;
    fixture->layout.test = fixture->layout.slots[0];
    fixture->layout.slots[0] = fixture->layout.slots[1];
    fixture_corrupt(fixture, 1);

    fixture_expect_boot(fixture, SIM_SLOT_TEST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_otadata_vector_boots_as_the_stock_bootloader_does),
        TEST(records_without_an_active_one_try_every_slot_and_rewrite_nothing),
        TEST(a_pending_record_is_aborted_without_a_look_at_its_crc),
        TEST(two_bad_crcs_in_invalid_states_count_as_initial_contents),
        TEST(without_rollback_a_new_record_stays_new),
        TEST(a_bad_image_falls_back_both_ways_and_leaves_otadata),
        TEST(blank_otadata_and_a_bad_first_slot_get_a_record_for_the_second),
        TEST(nothing_bootable_is_said_so),
        TEST(an_image_for_another_chip_or_revision_is_not_started),
        TEST(anti_rollback_passes_over_records_below_the_floor),
        TEST(anti_rollback_burns_the_floor_for_a_valid_record_only),
        TEST(anti_rollback_takes_blank_otadata_for_initial_contents),
        TEST(the_floor_stops_where_the_chip_has_no_more_bits),
        TEST(a_power_cut_while_booting_is_an_io_error),
        TEST(no_otadata_partition_tries_factory_then_the_slots),
        TEST(an_otadata_partition_under_8_kib_is_fatal),
        TEST(encrypted_otadata_reads_as_blank_on_the_first_boot_only),
        TEST(erased_encrypted_otadata_is_not_blank_and_boots_ota_0_unrecorded),
        TEST(one_erased_encrypted_record_leaves_the_choice_to_the_other),
        TEST(anti_rollback_takes_erased_encrypted_otadata_for_initial_contents),
        TEST(the_test_app_is_the_last_resort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
