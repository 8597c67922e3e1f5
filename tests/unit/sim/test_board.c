/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#include "kedge/crypto.h"
#include "sim/board.h"

/* One board, a clock that the test sets, and what serial flashing put there. */
struct bench {
    struct sim_board *board;
    struct kedge_plat plat;
    uint64_t now_ms;
};

static uint64_t bench_now(void *ctx)
{
    return ((struct bench *)ctx)->now_ms;
}

static struct host_buf image_of(const char *version, const char *behaviour)
{
    struct sim_image_spec spec = {.version = version,
                                  .project = "kedge-test",
                                  .chip_id = KEDGE_CHIP_ESP32,
                                  .size_bytes = 10000 / 16 * 16,
                                  .behaviour = behaviour};
    struct host_buf image;
    struct kedge_fault fault;
    host_buf_init(&image, 1 << 20);
    assert_int_equal(sim_firmware_build(&spec, &image, &fault), KEDGE_OK);
    return image;
}

static struct kedge_cspan span_of(const struct host_buf *buf)
{
    return (struct kedge_cspan){(const uint8_t *)buf->data, buf->len};
}

static void flash_with(struct bench *bench, const char *version, const char *behaviour)
{
    struct host_buf image = image_of(version, behaviour);
    assert_int_equal(sim_board_program(bench->board, span_of(&image)), KEDGE_OK);
    host_buf_free(&image);
}

static int setup(void **state)
{
    static struct bench bench;
    bench = (struct bench){0};
    bench.board = sim_board_create(&(struct sim_board_config){.id = "board-1",
                                                              .chip_id = KEDGE_CHIP_ESP32,
                                                              .chip_rev_full = 300,
                                                              .rollback = true,
                                                              .idf = SIM_IDF_5_5,
                                                              .seed = 1,
                                                              .now_ms = bench_now,
                                                              .ctx = &bench});
    bench.plat = sim_board_plat(bench.board);
    flash_with(&bench, "1.0.0", "");
    *state = &bench;
    return 0;
}

/* Another board, with those options, flashed with the same image. */
static void replace_board(struct bench *bench, struct sim_board_config config)
{
    config.id = "board-2";
    config.chip_id = KEDGE_CHIP_ESP32;
    config.chip_rev_full = 300;
    config.rollback = true;
    config.idf = SIM_IDF_5_5;
    config.now_ms = bench_now;
    config.ctx = bench;
    sim_board_destroy(bench->board);
    bench->board = sim_board_create(&config);
    bench->plat = sim_board_plat(bench->board);
    flash_with(bench, "1.0.0", "");
}

static int teardown(void **state)
{
    sim_board_destroy(((struct bench *)*state)->board);
    return 0;
}

static struct kedge_boot_facts describe(struct bench *bench)
{
    struct kedge_boot_facts facts;
    assert_int_equal(bench->plat.slots->describe(bench->plat.ctx, &facts), KEDGE_OK);
    return facts;
}

static void boot(struct bench *bench)
{
    assert_int_equal(sim_board_boot(bench->board), KEDGE_OK);
}

static void cut(struct bench *bench, uint64_t nth)
{
    struct sim_cut cut = {.nth = nth, .tear = SIM_TEAR_SEEDED};
    sim_flash_cut(sim_board_flash(bench->board), &cut);
}

/* What the agent does, without the agent: write, verify, switch. */
static void install(struct bench *bench, uint8_t slot, const struct host_buf *image)
{
    const struct kedge_plat_slots *slots = bench->plat.slots;
    assert_int_equal(slots->begin(bench->plat.ctx, slot, 0), KEDGE_OK);
    for (uint32_t at = 0; at < image->len; at += SIM_FLASH_SECTOR_SIZE) {
        uint32_t left = (uint32_t)image->len - at;
        uint32_t len = left < SIM_FLASH_SECTOR_SIZE ? left : SIM_FLASH_SECTOR_SIZE;
        assert_int_equal(slots->write(bench->plat.ctx, slot, at, image->data + at, len), KEDGE_OK);
    }
    assert_int_equal(slots->finish(bench->plat.ctx, slot, (uint32_t)image->len), KEDGE_OK);
    assert_int_equal(slots->set_boot(bench->plat.ctx, slot), KEDGE_OK);
}

static void update_to(struct bench *bench, uint8_t slot, const char *version, const char *behaviour)
{
    struct host_buf image = image_of(version, behaviour);
    install(bench, slot, &image);
    host_buf_free(&image);
    sim_board_reset(bench->board, KEDGE_RESET_SW);
    boot(bench);
}

static void a_flashed_board_boots_slot_0_as_valid(void **state)
{
    struct bench *bench = *state;
    boot(bench);
    struct kedge_boot_facts facts = describe(bench);

    assert_int_equal(facts.running_slot, 0);
    assert_int_equal(facts.boot_slot, 0);
    assert_int_equal(facts.slot_count, 2);
    assert_int_equal(facts.slot_size_bytes, 0x1B1000);
    assert_int_equal(facts.running_state, KEDGE_OTA_VALID);
    assert_int_equal(facts.target_state, (uint32_t)KEDGE_OTA_UNDEFINED);
    assert_int_equal(facts.reset_reason, KEDGE_RESET_POWERON);
    assert_true(facts.can_rollback);
    assert_int_equal(facts.chip_id, KEDGE_CHIP_ESP32);
    assert_string_equal(facts.running.version, "1.0.0");
}

static void an_update_runs_on_trial_and_is_kept_once_marked_valid(void **state)
{
    struct bench *bench = *state;
    boot(bench);
    update_to(bench, 1, "1.1.0", "");
    assert_int_equal(describe(bench).running_slot, 1);
    assert_int_equal(describe(bench).running_state, KEDGE_OTA_PENDING_VERIFY);
    assert_int_equal(describe(bench).reset_reason, KEDGE_RESET_SW);

    assert_int_equal(bench->plat.slots->mark_valid(bench->plat.ctx), KEDGE_OK);
    sim_board_reset(bench->board, KEDGE_RESET_PANIC);
    boot(bench);

    assert_int_equal(describe(bench).running_slot, 1);
    assert_int_equal(describe(bench).running_state, KEDGE_OTA_VALID);
    assert_int_equal(describe(bench).reset_reason, KEDGE_RESET_PANIC);
    assert_int_equal(sim_board_status(bench->board)->resets[KEDGE_RESET_PANIC], 1);
    assert_int_equal(sim_board_status(bench->board)->boots, 3);
}

static void an_update_that_resets_on_trial_is_rolled_back(void **state)
{
    struct bench *bench = *state;
    boot(bench);
    update_to(bench, 1, "1.1.0", "");

    sim_board_power_off(bench->board);
    assert_false(sim_board_has_power(bench->board));
    boot(bench);

    assert_int_equal(describe(bench).running_slot, 0);
    assert_int_equal(describe(bench).target_state, KEDGE_OTA_ABORTED);
    assert_int_equal(describe(bench).reset_reason, KEDGE_RESET_POWERON);
}

static void the_board_does_what_the_image_in_its_flash_says(void **state)
{
    struct bench *bench = *state;
    boot(bench);
    assert_false(sim_board_firmware(bench->board)->no_broker);

    update_to(bench, 1, "1.1.0", "no_broker=1\npanic_at_boot_ms=40\n");
    assert_true(sim_board_firmware(bench->board)->no_broker);
    assert_int_equal(sim_firmware_due(sim_board_firmware(bench->board)).at_ms, 40);

    sim_board_reset(bench->board, KEDGE_RESET_PANIC);
    boot(bench);
    assert_false(sim_board_firmware(bench->board)->no_broker);
}

/* Valid for the bootloader; its program has a typo in it. */
static void an_image_with_a_wrong_program_panics_at_boot(void **state)
{
    struct bench *bench = *state;
    struct kedge_image_spec spec = {.chip_id = KEDGE_CHIP_ESP32,
                                    .payload = {(const uint8_t *)"KEDGEFW1no_brokr=1\n", 20},
                                    .append_hash = true};
    uint8_t bytes[1024];
    uint32_t len;
    struct kedge_sha256 sha;
    memcpy(spec.desc.version, "2.0.0", 6);
    assert_int_equal(kedge_image_write(&spec, &kedge_sha256_ops, &sha,
                                       (struct kedge_span){bytes, sizeof(bytes)}, &len),
                     KEDGE_OK);
    assert_int_equal(sim_board_program(bench->board, (struct kedge_cspan){bytes, len}), KEDGE_OK);

    boot(bench);

    struct sim_due due = sim_firmware_due(sim_board_firmware(bench->board));
    assert_int_equal(due.at_ms, 0);
    assert_int_equal(due.reason, KEDGE_RESET_PANIC);
}

static void a_board_without_an_image_is_bricked(void **state)
{
    struct bench *bench = *state;
    uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0};
    boot(bench);
    sim_flash_program(sim_board_flash(bench->board),
                      sim_board_layout(bench->board)->slots[0].offset, zeros, sizeof(zeros));

    assert_int_equal(sim_board_boot(bench->board), KEDGE_ERR_NOT_FOUND);

    assert_int_equal(sim_board_status(bench->board)->state, SIM_BOARD_BRICKED);
}

static void a_power_cut_while_booting_leaves_the_board_off(void **state)
{
    struct bench *bench = *state;
    cut(bench, 1);

    assert_int_equal(sim_board_boot(bench->board), KEDGE_ERR_IO);
    assert_int_equal(sim_board_status(bench->board)->state, SIM_BOARD_OFF);
    assert_false(sim_board_has_power(bench->board));

    boot(bench);
    assert_int_equal(describe(bench).running_slot, 0);
}

static void the_running_slot_is_denied_to_every_writer(void **state)
{
    struct bench *bench = *state;
    const struct kedge_plat_slots *slots = bench->plat.slots;
    uint8_t byte = 0xE9;
    boot(bench);
    uint64_t before = sim_flash_ops(sim_board_flash(bench->board));

    assert_int_equal(slots->begin(bench->plat.ctx, 0, 0), KEDGE_ERR_DENIED);
    assert_int_equal(slots->begin(bench->plat.ctx, 0, 4096), KEDGE_ERR_DENIED);
    assert_int_equal(slots->write(bench->plat.ctx, 0, 0, &byte, 1), KEDGE_ERR_DENIED);
    assert_int_equal(slots->finish(bench->plat.ctx, 0, 1), KEDGE_ERR_DENIED);
    assert_int_equal(slots->set_boot(bench->plat.ctx, 0), KEDGE_ERR_DENIED);

    assert_int_equal(sim_flash_ops(sim_board_flash(bench->board)), before);
}

static void no_download_begins_or_goes_on_during_a_trial(void **state)
{
    struct bench *bench = *state;
    boot(bench);
    update_to(bench, 1, "1.1.0", "");

    assert_int_equal(bench->plat.slots->begin(bench->plat.ctx, 0, 0), KEDGE_ERR_STATE);
    assert_int_equal(bench->plat.slots->begin(bench->plat.ctx, 0, 4096), KEDGE_ERR_STATE);
}

static void finish_finds_what_the_bootloader_would_refuse(void **state)
{
    struct bench *bench = *state;
    struct host_buf image = image_of("1.1.0", "");
    boot(bench);
    install(bench, 1, &image);

    assert_int_equal(bench->plat.slots->finish(bench->plat.ctx, 1, (uint32_t)image.len - 1),
                     KEDGE_ERR_MISMATCH);
    image.data[5000] ^= 1;
    assert_int_equal(bench->plat.slots->write(bench->plat.ctx, 1, 4096, image.data + 4096, 4096),
                     KEDGE_OK);
    assert_int_equal(bench->plat.slots->finish(bench->plat.ctx, 1, (uint32_t)image.len),
                     KEDGE_ERR_MISMATCH);
    host_buf_free(&image);
}

static void the_journal_sectors_keep_what_is_written_and_nothing_outside(void **state)
{
    struct bench *bench = *state;
    const struct kedge_plat_store *store = bench->plat.store;
    uint8_t data[32], back[32];
    memset(data, 0x5A, sizeof(data));
    boot(bench);

    assert_int_equal(store->write(bench->plat.ctx, 8192 - 32, data, 32), KEDGE_OK);
    sim_board_power_off(bench->board);
    boot(bench);
    assert_int_equal(store->read(bench->plat.ctx, 8192 - 32, back, 32), KEDGE_OK);
    assert_memory_equal(back, data, sizeof(data));
    assert_int_equal(store->erase(bench->plat.ctx, 1), KEDGE_OK);
    assert_int_equal(store->read(bench->plat.ctx, 8192 - 32, back, 32), KEDGE_OK);
    assert_int_equal(back[0], 0xFF);

    assert_int_equal(store->read(bench->plat.ctx, 8192 - 16, back, 32), KEDGE_ERR_RANGE);
    assert_int_equal(store->write(bench->plat.ctx, UINT32_MAX - 15, data, 32), KEDGE_ERR_RANGE);
    assert_int_equal(store->erase(bench->plat.ctx, 2), KEDGE_ERR_RANGE);
}

static void vitals_follow_the_firmware(void **state)
{
    struct bench *bench = *state;
    struct kedge_vitals vitals;
    flash_with(bench, "1.0.0",
               "free_heap=100000\nheap_leak_per_s=1000\nstorage_broken=1\n"
               "self_test=fail\n");
    bench->now_ms = 5000;
    boot(bench);
    bench->now_ms = 15000;

    bench->plat.system->vitals(bench->plat.ctx, &vitals);

    assert_int_equal(vitals.free_heap_bytes, 90000);
    assert_true(vitals.min_free_heap_bytes <= vitals.free_heap_bytes);
    assert_true(vitals.largest_block_bytes <= vitals.free_heap_bytes);
    assert_false(vitals.storage_ok);
    assert_int_equal(vitals.unix_s, 0);
    assert_int_equal(bench->plat.system->self_test(bench->plat.ctx), KEDGE_SELF_TEST_FAILED);
}

static uint32_t first_random(const char *id, uint64_t seed)
{
    struct sim_board *board =
        sim_board_create(&(struct sim_board_config){.id = id, .seed = seed, .now_ms = bench_now});
    struct kedge_plat plat = sim_board_plat(board);
    uint32_t value = plat.system->random(plat.ctx);
    sim_board_destroy(board);
    return value;
}

static void an_encrypted_board_starts_with_an_empty_journal_and_updates(void **state)
{
    struct bench *bench = *state;
    uint8_t journal[64], ff[sizeof(journal)];
    memset(ff, 0xFF, sizeof(ff));
    replace_board(bench, (struct sim_board_config){.encrypted = true});
    boot(bench);
    assert_int_equal(describe(bench).running_state, KEDGE_OTA_VALID);

    const struct kedge_plat_store *store = bench->plat.store;
    assert_int_equal(store->read(bench->plat.ctx, 0, journal, sizeof(journal)), KEDGE_OK);
    assert_memory_equal(journal, ff, sizeof(journal));
    assert_int_equal(store->erase(bench->plat.ctx, 0), KEDGE_OK);
    assert_int_equal(store->read(bench->plat.ctx, 0, journal, sizeof(journal)), KEDGE_OK);
    assert_memory_not_equal(journal, ff, sizeof(journal));

    update_to(bench, 1, "1.1.0", "no_broker=1\n");
    assert_int_equal(describe(bench).running_slot, 1);
    assert_true(sim_board_firmware(bench->board)->no_broker);
}

/* docs/esp-idf.md 1 a3: a field bootloader built without rollback leaves NEW as it is, and never
 * goes back. */
static void an_old_bootloader_leaves_an_update_new_for_ever(void **state)
{
    struct bench *bench = *state;
    replace_board(bench, (struct sim_board_config){.old_bootloader = true});
    boot(bench);
    update_to(bench, 1, "1.1.0", "");
    assert_true(describe(bench).can_rollback);

    for (int resets = 0; resets < 3; resets++) {
        assert_int_equal(describe(bench).running_slot, 1);
        assert_int_equal(describe(bench).running_state, KEDGE_OTA_NEW);
        sim_board_reset(bench->board, KEDGE_RESET_PANIC);
        boot(bench);
    }
}

static void a_board_with_trusted_keys_boots_nothing_unsigned(void **state)
{
    struct bench *bench = *state;
    replace_board(bench, (struct sim_board_config){.secure_boot.key_count = 1});

    assert_int_equal(sim_board_boot(bench->board), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(sim_board_status(bench->board)->state, SIM_BOARD_BRICKED);
}

static void randomness_comes_from_seed_and_id_alone(void **state)
{
    (void)state;
    assert_int_equal(first_random("a", 1), first_random("a", 1));
    assert_int_not_equal(first_random("a", 1), first_random("b", 1));
    assert_int_not_equal(first_random("a", 1), first_random("a", 2));
}

/* Every operation of a whole update cut once, partly done: the board always boots one of the two.
 */
static void a_cut_at_any_operation_of_an_update_leaves_a_board_that_boots(void **state)
{
    struct bench *bench = *state;
    struct host_buf image = image_of("1.1.0", "");
    const struct kedge_plat_slots *slots = bench->plat.slots;
    bool finished = false;

    for (uint64_t nth = 1; !finished; nth++) {
        flash_with(bench, "1.0.0", "");
        boot(bench);
        cut(bench, nth);
        enum kedge_err err = slots->begin(bench->plat.ctx, 1, 0);
        for (uint32_t at = 0; at < image.len && err == KEDGE_OK; at += SIM_FLASH_SECTOR_SIZE) {
            uint32_t left = (uint32_t)image.len - at;
            err = slots->write(bench->plat.ctx, 1, at, image.data + at,
                               left < SIM_FLASH_SECTOR_SIZE ? left : SIM_FLASH_SECTOR_SIZE);
        }
        if (err == KEDGE_OK) {
            err = slots->set_boot(bench->plat.ctx, 1);
        }
        finished = err == KEDGE_OK;
        sim_board_power_off(bench->board);
        boot(bench);
        assert_int_equal(describe(bench).running_slot, finished ? 1 : 0);
    }
    host_buf_free(&image);
}

/* begin makes the platform erase the record of the slot (v5.5 and later). Torn, that erase can
 * leave a state which the bootloader takes for good, with sequence and CRC intact: the image that
 * was given up must be gone by then. */
static void a_cut_in_begin_never_starts_the_image_that_was_rolled_back(void **state)
{
    struct bench *bench = *state;

    for (uint64_t nth = 1; nth <= 2; nth++) {
        for (uint32_t detail = 1; detail <= 40; detail++) {
            struct sim_cut cut = {.nth = nth, .tear = SIM_TEAR_BITS, .detail = detail};
            flash_with(bench, "1.0.0", "");
            boot(bench);
            update_to(bench, 1, "2.0.0", "");
            sim_board_reset(bench->board, KEDGE_RESET_SW);
            boot(bench);
            assert_int_equal(describe(bench).running_slot, 0);
            assert_int_equal(describe(bench).target_state, KEDGE_OTA_ABORTED);

            sim_flash_cut(sim_board_flash(bench->board), &cut);
            (void)!bench->plat.slots->begin(bench->plat.ctx, 1, 0);
            assert_false(sim_board_has_power(bench->board));
            sim_board_power_off(bench->board);
            boot(bench);
            assert_int_equal(describe(bench).running_slot, 0);
        }
    }
}

/* ---- core dumps ---- */

static bool dump_of(struct bench *bench, struct kedge_crash *crash)
{
    return bench->plat.crash->describe(bench->plat.ctx, crash);
}

static void a_crash_leaves_a_dump_that_outlives_resets_and_an_update(void **state)
{
    struct bench *bench = *state;
    struct kedge_crash crash, later;
    char elf[2 * KEDGE_SHA256_SIZE + 1];
    uint8_t bytes[16];
    boot(bench);
    assert_false(dump_of(bench, &crash));
    kedge_hex_encode(describe(bench).running.elf_sha256, KEDGE_SHA256_SIZE, elf);
    sim_board_reset(bench->board, KEDGE_RESET_PANIC);
    boot(bench);

    assert_true(dump_of(bench, &crash));
    assert_string_equal(crash.task, "main");
    assert_int_equal(strlen(crash.elf_sha256), 9);
    assert_memory_equal(crash.elf_sha256, elf, 9);
    assert_int_equal(crash.pc, crash.backtrace[0]);
    update_to(bench, 1, "1.1.0", "");
    assert_true(dump_of(bench, &later));
    assert_int_equal(later.pc, crash.pc);
    assert_int_equal(bench->plat.crash->read(bench->plat.ctx, crash.size_bytes - 16, bytes, 16),
                     KEDGE_OK);
    assert_int_equal(bench->plat.crash->read(bench->plat.ctx, crash.size_bytes - 15, bytes, 16),
                     KEDGE_ERR_RANGE);

    assert_int_equal(bench->plat.crash->erase(bench->plat.ctx), KEDGE_OK);
    assert_false(dump_of(bench, &crash));
}

static void only_what_the_panic_handler_sees_leaves_a_dump(void **state)
{
    static const struct {
        enum kedge_reset reason;
        bool leaves;
    } cases[] = {
        {KEDGE_RESET_SW, false},      {KEDGE_RESET_POWERON, false}, {KEDGE_RESET_BROWNOUT, false},
        {KEDGE_RESET_TASK_WDT, true}, {KEDGE_RESET_INT_WDT, true},
    };
    struct bench *bench = *state;
    struct kedge_crash crash;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        flash_with(bench, "1.0.0", "");
        boot(bench);
        sim_board_reset(bench->board, cases[i].reason);
        boot(bench);
        assert_int_equal(dump_of(bench, &crash), cases[i].leaves);
    }
}

static void an_encrypted_board_keeps_dumps_too(void **state)
{
    struct bench *bench = *state;
    struct kedge_crash crash;
    replace_board(bench, (struct sim_board_config){.encrypted = true});
    boot(bench);
    assert_false(dump_of(bench, &crash));
    sim_board_reset(bench->board, KEDGE_RESET_PANIC);
    boot(bench);

    assert_true(dump_of(bench, &crash));
    assert_int_equal(bench->plat.crash->erase(bench->plat.ctx), KEDGE_OK);
    assert_false(dump_of(bench, &crash));
}

/* Three sectors, two operations each: cut in any of them, there is no dump and no crash to tell. */
static void a_dump_that_the_power_cut_is_none(void **state)
{
    struct bench *bench = *state;
    struct kedge_crash crash;

    for (uint64_t nth = 1; nth <= 6; nth++) {
        struct sim_cut cut = {.nth = nth, .tear = SIM_TEAR_NOTHING};
        flash_with(bench, "1.0.0", "");
        boot(bench);
        sim_flash_cut(sim_board_flash(bench->board), &cut);
        sim_board_reset(bench->board, KEDGE_RESET_PANIC);
        assert_false(sim_board_has_power(bench->board));
        boot(bench);
        assert_false(dump_of(bench, &crash));
        assert_int_equal(describe(bench).reset_reason, KEDGE_RESET_POWERON);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flashed_board_boots_slot_0_as_valid),
        TEST(an_update_runs_on_trial_and_is_kept_once_marked_valid),
        TEST(an_update_that_resets_on_trial_is_rolled_back),
        TEST(the_board_does_what_the_image_in_its_flash_says),
        TEST(an_image_with_a_wrong_program_panics_at_boot),
        TEST(a_board_without_an_image_is_bricked),
        TEST(a_power_cut_while_booting_leaves_the_board_off),
        TEST(the_running_slot_is_denied_to_every_writer),
        TEST(no_download_begins_or_goes_on_during_a_trial),
        TEST(finish_finds_what_the_bootloader_would_refuse),
        TEST(the_journal_sectors_keep_what_is_written_and_nothing_outside),
        TEST(vitals_follow_the_firmware),
        TEST(an_encrypted_board_starts_with_an_empty_journal_and_updates),
        TEST(an_old_bootloader_leaves_an_update_new_for_ever),
        TEST(a_board_with_trusted_keys_boots_nothing_unsigned),
        TEST(a_cut_in_begin_never_starts_the_image_that_was_rolled_back),
        TEST(a_crash_leaves_a_dump_that_outlives_resets_and_an_update),
        TEST(only_what_the_panic_handler_sees_leaves_a_dump),
        TEST(an_encrypted_board_keeps_dumps_too),
        TEST(a_dump_that_the_power_cut_is_none),
        TEST(randomness_comes_from_seed_and_id_alone),
        TEST(a_cut_at_any_operation_of_an_update_leaves_a_board_that_boots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
