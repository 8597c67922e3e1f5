/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every write of otadata that there is, cut at every byte and every bit, plain and encrypted, and
 * what the next boot makes of it. The expectations are worked out by hand from docs/esp-idf.md 2.1
 * to 2.7; a record of sequence 2 and its CRC, for example, end in 74 37 F6 55.
 */
#include "fixture.h"

#include <string.h>

#define NEW_ KEDGE_OTA_NEW
#define PV   KEDGE_OTA_PENDING_VERIFY
#define OKAY KEDGE_OTA_VALID
#define BAD  KEDGE_OTA_INVALID
#define ABT  KEDGE_OTA_ABORTED

#define ALL_BITS (8u * KEDGE_OTADATA_RECORD_SIZE)
#define SEEDS    500u

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    fixture_image(&fixture, 0, "1.0.0", 0);
    fixture_image(&fixture, 1, "1.1.0", 0);
    *state = &fixture;
    return 0;
}

static int setup_encrypted(void **state)
{
    (void)setup(state);
    fixture_encrypt(*state);
    fixture_image(*state, 0, "1.0.0", 0);
    fixture_image(*state, 1, "1.1.0", 0);
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    return 0;
}

static enum kedge_err boot_once(struct fixture *fixture)
{
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    return sim_boot_run(&env, &boot);
}

static enum kedge_err switch_to_1(struct fixture *fixture)
{
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 0);
    return sim_ota_set_boot(&ota, 1);
}

static enum kedge_err switch_to_0(struct fixture *fixture)
{
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    return sim_ota_set_boot(&ota, 0);
}

static enum kedge_err switch_to_0_in_place(struct fixture *fixture)
{
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_6_0, 1);
    return sim_ota_set_boot(&ota, 0);
}

static enum kedge_err confirm(struct fixture *fixture)
{
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    return sim_ota_mark_valid(&ota);
}

static enum kedge_err give_up(struct fixture *fixture)
{
    struct sim_ota ota = fixture_ota(fixture, SIM_IDF_5_5, 1);
    return sim_ota_mark_invalid(&ota);
}

/*
 * whole_from: bits of the record after which nothing is missing: the last byte of the CRC has four
 * zeros for sequence 1 (47) and 2 (55), two for 3 (ED).
 * rewrites: bits after which the next boot writes otadata (from, to); because the record is whole
 * and NEW, or because a whole PENDING_VERIFY (bits 192 to 223) is aborted without a look at the
 * CRC, or because nothing at all was written and both records are blank.
 */
static const struct otadata_write {
    const char *name;
    struct fixture_record before[2];
    enum kedge_err (*run)(struct fixture *fixture);
    int index; /* of the record written */
    uint32_t seq, state;
    int slot_torn, slot_whole; /* that the next boot loads */
    uint32_t whole_from;
    uint32_t rewrites_from, rewrites_to;
} writes[] = {
    {"set_boot", {{1, OKAY, 0}, {0}}, switch_to_1, 1, 2, NEW_, 0, 1, 252, 252, 257},
    {"set_boot back", {{1, OKAY, 0}, {2, OKAY, 0}}, switch_to_0, 0, 3, NEW_, 1, 0, 250, 250, 257},
    {"set_boot, v6 in place",
     {{3, PV, 0}, {2, OKAY, 0}},
     switch_to_0_in_place,
     0,
     3,
     NEW_,
     1,
     0,
     250,
     250,
     257},
    /* the trial is spent, whether its record is whole or not */
    {"first boot", {{1, OKAY, 0}, {2, NEW_, 0}}, boot_once, 1, 2, PV, 0, 0, 252, 224, 257},
    {"abort", {{1, OKAY, 0}, {2, PV, 0}}, boot_once, 1, 2, ABT, 0, 0, 252, 0, 0},
    /* weakness 1: a confirmed update reverts */
    {"confirm", {{1, OKAY, 0}, {2, PV, 0}}, confirm, 1, 2, OKAY, 0, 1, 252, 0, 0},
    {"give up", {{1, OKAY, 0}, {2, PV, 0}}, give_up, 1, 2, BAD, 0, 0, 252, 0, 0},
    /* torn, it is neither blank nor valid: path 5 from then on, ota_0 without any record */
    {"first record", {{0}, {0}}, boot_once, 0, 1, OKAY, 0, 0, 252, 0, 1},
};

#define WRITES (sizeof(writes) / sizeof(writes[0]))

/* Leaves the flash as the cut did, power on; true when the record is whole all the same. */
static bool cut_write(struct fixture *fixture, const struct otadata_write *write,
                      enum sim_tear tear, uint32_t detail)
{
    struct kedge_otadata_record records[2];
    const struct sim_cut cut = {.nth = 2, .tear = tear, .detail = detail};

    fixture_otadata(fixture, write->before[0], write->before[1]);
    sim_flash_cut(fixture->flash, &cut);
    assert_int_equal(write->run(fixture), KEDGE_ERR_IO);
    sim_flash_power_on(fixture->flash);
    assert_int_equal(sim_otadata_read(fixture->flash, &fixture->layout, records), KEDGE_OK);
    const struct kedge_otadata_record *left = &records[write->index];
    return left->seq == write->seq && left->state == write->state && kedge_otadata_crc_ok(left);
}

static void expect_next_boot(struct fixture *fixture, const struct otadata_write *write,
                             bool is_whole, bool rewrites, uint32_t bits)
{
    uint64_t before = sim_flash_ops(fixture->flash);
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;

    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_OK);
    int expected = is_whole ? write->slot_whole : write->slot_torn;
    uint64_t ops = sim_flash_ops(fixture->flash) - before;
    if (boot.slot != expected || ops != (rewrites ? 2 : 0)) {
        fail_msg("%s cut after %u bits: boots slot %d after %llu operations", write->name, bits,
                 boot.slot, (unsigned long long)ops);
    }
}

static void sweep_plain(struct fixture *fixture, enum sim_tear tear, uint32_t bits_each)
{
    for (size_t i = 0; i < WRITES; i++) {
        for (uint32_t bits = 0; bits <= ALL_BITS; bits += bits_each) {
            const struct otadata_write *write = &writes[i];
            bool is_whole = cut_write(fixture, write, tear, bits / bits_each);
            assert_int_equal(is_whole, bits >= write->whole_from);
            expect_next_boot(fixture, write, is_whole,
                             bits >= write->rewrites_from && bits < write->rewrites_to, bits);
        }
    }
}

static void a_write_cut_at_any_byte_leaves_the_selection_of_the_table(void **state)
{
    sweep_plain(*state, SIM_TEAR_BYTES, 8);
}

static void a_write_cut_at_any_bit_leaves_the_selection_of_the_table(void **state)
{
    sweep_plain(*state, SIM_TEAR_BITS, 1);
}

/* The CRC is in the second block and garbled with it: whole, or no record at all. What is erased is
 * not blank either, so that not even the first record is written again. */
static void sweep_encrypted(struct fixture *fixture, enum sim_tear tear, uint32_t details)
{
    for (size_t i = 0; i < WRITES; i++) {
        const struct otadata_write *write = &writes[i];
        uint32_t whole = 0;
        for (uint32_t detail = 0; detail <= details; detail++) {
            bool is_whole = cut_write(fixture, write, tear, detail);
            whole += is_whole;
            bool rewrites = is_whole && write->rewrites_to > ALL_BITS;
            expect_next_boot(fixture, write, is_whole, rewrites, detail);
        }
        assert_in_range(whole, 1, 16);
    }
}

static void an_encrypted_write_cut_at_any_byte_is_whole_or_no_record(void **state)
{
    sweep_encrypted(*state, SIM_TEAR_BYTES, KEDGE_OTADATA_RECORD_SIZE);
}

static void an_encrypted_write_cut_at_any_bit_is_whole_or_no_record(void **state)
{
    sweep_encrypted(*state, SIM_TEAR_BITS, ALL_BITS);
}

/* Where a record with a good CRC leads when the other one is VALID, names slot 0 and is older. */
static int slot_of_state(uint32_t torn)
{
    switch (torn) {
    case PV:  /* aborted at once */
    case BAD: /* an image confirmed or never tried is given up */
    case ABT:
        return 0;
    default: /* VALID, or a state that there is not: boots unmonitored */
        return 1;
    }
}

/* The old record goes bit by bit. As long as its CRC is good, its state rules, late bits or not. */
static int slot_after_torn_erase(const struct otadata_write *write,
                                 const struct kedge_otadata_record *left)
{
    uint32_t old_seq = write->before[write->index].seq;
    uint32_t other_seq = write->before[1 - write->index].seq;
    bool rules =
        kedge_otadata_crc_ok(left) && old_seq > other_seq && slot_of_state(left->state) == 1;
    return rules ? (int)((old_seq - 1) % 2) : write->slot_torn;
}

static void a_cut_in_the_erase_before_it_leaves_the_old_record_or_none(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < WRITES; i++) {
        for (uint32_t detail = 0; detail < 256; detail++) {
            const struct sim_cut cut = {1, (enum sim_tear)(detail % SIM_TEAR_COUNT), detail / 16};
            struct kedge_otadata_record records[2];

            fixture_otadata(fixture, writes[i].before[0], writes[i].before[1]);
            sim_flash_cut(fixture->flash, &cut);
            assert_int_equal(writes[i].run(fixture), KEDGE_ERR_IO);
            sim_flash_power_on(fixture->flash);
            assert_int_equal(sim_otadata_read(fixture->flash, &fixture->layout, records), KEDGE_OK);

            int slot = slot_after_torn_erase(&writes[i], &records[writes[i].index]);
            fixture_expect_boot(fixture, slot);
        }
    }
}

/* Weakness (docs/esp-idf.md 2.7.4): the CRC is good, one or two bits of the state are still 1. */
static void a_state_with_late_bits_is_another_state_under_a_good_crc(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t written[] = {NEW_, PV, OKAY, BAD, ABT};
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        for (uint32_t pair = 0; pair < 32 * 32; pair++) {
            uint32_t torn = written[i] | 1u << pair / 32 | 1u << pair % 32;
            if (torn == written[i] || pair / 32 > pair % 32) {
                continue;
            }
            fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                            (struct fixture_record){2, torn, false});
            fixture_expect_boot(fixture, slot_of_state(torn));
            fixture_expect_otadata(
                fixture, (struct fixture_record){1, OKAY, false},
                (struct fixture_record){2, torn == (uint32_t)PV ? (uint32_t)ABT : torn, false});
        }
    }
}

/* The ones that matter, by hand: what was meant, the late bits, what the next boot does. */
static void the_late_bits_that_change_an_update_s_fate(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint32_t written, late;
        int slot;
    } cases[] = {
        {NEW_, 1, 0},          /* PENDING_VERIFY: a trial that was never begun counts as failed */
        {NEW_, 2, 1},          /* VALID: confirmed without a trial */
        {NEW_, 3, 0},          /* INVALID */
        {NEW_, 4, 0},          /* ABORTED */
        {NEW_, UINT32_MAX, 1}, /* UNDEFINED: runs for ever without a trial */
        {PV, 2, 0},            /* INVALID */
        {PV, 4, 1},            /* 5: the trial never ends by a reset */
        {OKAY, 1, 0},          /* INVALID: a confirmed image is left */
        {OKAY, 4, 1},          /* 6: goes on as if it were VALID */
        {ABT, 1, 1},           /* 5: the image that failed comes back, unmonitored */
        {ABT, 2, 1},           /* 6: the same */
        {BAD, 4, 1},           /* 7: the same */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_otadata(fixture, (struct fixture_record){1, OKAY, false},
                        (struct fixture_record){2, cases[i].written | cases[i].late, false});
        fixture_expect_boot(fixture, cases[i].slot);
    }
}

struct tally {
    uint32_t whole, lost, other_state;
};

static struct tally tally_noise(struct fixture *fixture, const struct otadata_write *write)
{
    struct tally tally = {0};
    for (uint32_t detail = 0; detail < SEEDS; detail++) {
        struct kedge_otadata_record records[2];
        bool is_whole = cut_write(fixture, write, SIM_TEAR_NOISE, detail);
        assert_int_equal(sim_otadata_read(fixture->flash, &fixture->layout, records), KEDGE_OK);
        bool has_crc = kedge_otadata_crc_ok(&records[write->index]);
        tally.whole += is_whole;
        tally.lost += !has_crc;
        tally.other_state += has_crc && !is_whole;
    }
    return tally;
}

static void noise_reaches_records_in_another_state(void **state)
{
    for (size_t i = 0; i < WRITES; i++) {
        struct tally tally = tally_noise(*state, &writes[i]);
        assert_true(tally.other_state > SEEDS / 50);
        assert_true(tally.lost > SEEDS / 2);
    }
}

static void noise_on_an_encrypted_chip_reaches_none(void **state)
{
    for (size_t i = 0; i < WRITES; i++) {
        struct tally tally = tally_noise(*state, &writes[i]);
        assert_int_equal(tally.other_state, 0);
        assert_true(tally.lost > SEEDS * 9 / 10);
    }
}

#define PLAIN(name)     cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ENCRYPTED(name) cmocka_unit_test_setup_teardown(name, setup_encrypted, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(a_write_cut_at_any_byte_leaves_the_selection_of_the_table),
        PLAIN(a_write_cut_at_any_bit_leaves_the_selection_of_the_table),
        ENCRYPTED(an_encrypted_write_cut_at_any_byte_is_whole_or_no_record),
        ENCRYPTED(an_encrypted_write_cut_at_any_bit_is_whole_or_no_record),
        PLAIN(a_cut_in_the_erase_before_it_leaves_the_old_record_or_none),
        ENCRYPTED(a_cut_in_the_erase_before_it_leaves_the_old_record_or_none),
        PLAIN(a_state_with_late_bits_is_another_state_under_a_good_crc),
        PLAIN(the_late_bits_that_change_an_update_s_fate),
        PLAIN(noise_reaches_records_in_another_state),
        ENCRYPTED(noise_on_an_encrypted_chip_reaches_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
