/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#define SIZE      (16u * SIM_FLASH_SECTOR_SIZE)
#define BLOCK     32u
#define BOARDS    1000u
#define IMAGE_LEN (256u * 1024u)

static struct sim_flash *create(bool lenient)
{
    return sim_flash_create(
        &(struct sim_flash_config){.size_bytes = SIZE, .lenient = lenient, .seed = 7});
}

static void cut(struct sim_flash *flash, struct sim_cut cut)
{
    sim_flash_cut(flash, &cut);
}

static uint8_t byte_at(const struct sim_flash *flash, uint32_t offset)
{
    uint8_t byte;
    assert_int_equal(sim_flash_read(flash, offset, &byte, 1), KEDGE_OK);
    return byte;
}

static void a_fresh_chip_reads_ff_and_holds_no_sectors(void **state)
{
    (void)state;
    struct sim_flash *flash = create(false);
    size_t empty = sim_flash_memory_bytes(flash);

    assert_int_equal(byte_at(flash, 0), 0xFF);
    assert_int_equal(byte_at(flash, SIZE - 1), 0xFF);

    assert_int_equal(sim_flash_memory_bytes(flash), empty);
    assert_true(empty < 4096);
    sim_flash_destroy(flash);
}

static void what_is_written_across_sectors_reads_back(void **state)
{
    (void)state;
    struct sim_flash *flash = create(false);
    uint8_t data[2 * SIM_FLASH_SECTOR_SIZE], back[sizeof(data)];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31u);
    }

    assert_int_equal(sim_flash_write(flash, 2048, data, sizeof(data)), KEDGE_OK);
    assert_int_equal(sim_flash_read(flash, 2048, back, sizeof(back)), KEDGE_OK);

    assert_memory_equal(back, data, sizeof(data));
    assert_int_equal(sim_flash_ops(flash), 1);
    sim_flash_destroy(flash);
}

static void an_erased_sector_gives_its_memory_back_and_counts(void **state)
{
    (void)state;
    struct sim_flash *flash = create(false);
    uint8_t data[BLOCK] = {0};
    size_t empty = sim_flash_memory_bytes(flash);
    assert_int_equal(sim_flash_write(flash, 4096, data, sizeof(data)), KEDGE_OK);
    assert_int_equal(sim_flash_memory_bytes(flash), empty + SIM_FLASH_SECTOR_SIZE);

    assert_int_equal(sim_flash_erase(flash, 4096), KEDGE_OK);
    assert_int_equal(sim_flash_erase(flash, 4096), KEDGE_OK);

    assert_int_equal(sim_flash_memory_bytes(flash), empty);
    assert_int_equal(byte_at(flash, 4096), 0xFF);
    assert_int_equal(sim_flash_erase_count(flash, 1), 2);
    assert_int_equal(sim_flash_erase_count(flash, 0), 0);
    assert_int_equal(sim_flash_ops(flash), 3);
    sim_flash_destroy(flash);
}

static void a_lenient_write_only_clears_bits(void **state)
{
    (void)state;
    struct sim_flash *flash = create(true);
    uint8_t first[16], second[16];
    memset(first, 0xF0, sizeof(first));
    memset(second, 0x3C, sizeof(second));

    assert_int_equal(sim_flash_write(flash, 0, first, sizeof(first)), KEDGE_OK);
    assert_int_equal(sim_flash_write(flash, 0, second, sizeof(second)), KEDGE_OK);

    assert_int_equal(byte_at(flash, 0), 0x30);
    sim_flash_destroy(flash);
}

static void a_lenient_chip_returns_errors_for_misuse(void **state)
{
    (void)state;
    struct sim_flash *flash = create(true);
    uint8_t data[16] = {0};

    assert_int_equal(sim_flash_write(flash, 8, data, 16), KEDGE_ERR_ALIGN);
    assert_int_equal(sim_flash_write(flash, 0, data, 8), KEDGE_ERR_ALIGN);
    assert_int_equal(sim_flash_write(flash, SIZE, data, 16), KEDGE_ERR_RANGE);
    assert_int_equal(sim_flash_read(flash, UINT32_MAX, data, 16), KEDGE_ERR_RANGE);
    assert_int_equal(sim_flash_erase(flash, 16), KEDGE_ERR_ALIGN);
    assert_int_equal(sim_flash_erase(flash, SIZE), KEDGE_ERR_RANGE);

    assert_int_equal(sim_flash_ops(flash), 0);
    sim_flash_destroy(flash);
}

static void write_unaligned(struct sim_flash *flash)
{
    uint8_t data[16] = {0};
    (void)!sim_flash_write(flash, 4, data, sizeof(data));
}

static void write_twice(struct sim_flash *flash)
{
    uint8_t data[16] = {0};
    (void)!sim_flash_write(flash, 0x100, data, sizeof(data));
    (void)!sim_flash_write(flash, 0x100, data, sizeof(data));
}

static void write_outside(struct sim_flash *flash)
{
    uint8_t data[16] = {0};
    (void)!sim_flash_write(flash, sim_flash_size(flash), data, sizeof(data));
}

static void read_outside(struct sim_flash *flash)
{
    uint8_t data[16];
    (void)!sim_flash_read(flash, sim_flash_size(flash) - 8, data, sizeof(data));
}

static void erase_unaligned(struct sim_flash *flash)
{
    (void)!sim_flash_erase(flash, 0x10);
}

static void a_strict_chip_aborts_and_says_why(void **state)
{
    (void)state;
    fixture_expect_abort(write_unaligned, "write of 16 bytes at 0x4 is not aligned to 16");
    fixture_expect_abort(write_twice, "byte 0x100 holds 00, it is not erased");
    fixture_expect_abort(write_outside, "leaves the 262144 byte chip");
    fixture_expect_abort(read_outside, "read of 16 bytes");
    fixture_expect_abort(erase_unaligned, "is not aligned to 4096");
}

static void a_dead_chip_answers_io_and_changes_nothing(void **state)
{
    (void)state;
    struct sim_flash *flash = create(false);
    uint8_t data[BLOCK] = {0};
    assert_int_equal(sim_flash_write(flash, 0, data, sizeof(data)), KEDGE_OK);

    sim_flash_power_off(flash);
    assert_int_equal(sim_flash_write(flash, 4096, data, sizeof(data)), KEDGE_ERR_IO);
    assert_int_equal(sim_flash_erase(flash, 0), KEDGE_ERR_IO);
    assert_int_equal(sim_flash_read(flash, 0, data, 1), KEDGE_ERR_IO);
    assert_int_equal(sim_flash_ops(flash), 1);

    sim_flash_power_on(flash);
    assert_int_equal(byte_at(flash, 0), 0);
    assert_int_equal(byte_at(flash, 4096), 0xFF);
    sim_flash_destroy(flash);
}

/* Four operations; the cut falls into each of them in turn. */
static uint32_t run_until_cut(struct sim_flash *flash, const uint8_t *data)
{
    uint32_t done = 0;
    done += sim_flash_erase(flash, 0) == KEDGE_OK;
    done += sim_flash_write(flash, 0, data, BLOCK) == KEDGE_OK;
    done += sim_flash_erase(flash, 4096) == KEDGE_OK;
    done += sim_flash_write(flash, 4096, data, BLOCK) == KEDGE_OK;
    return done;
}

static void a_cut_at_any_operation_ends_all_that_follow(void **state)
{
    (void)state;
    uint8_t data[BLOCK] = {0};
    for (uint32_t nth = 1; nth <= 4; nth++) {
        for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
            struct sim_flash *flash = create(false);
            cut(flash, (struct sim_cut){.nth = nth, .tear = (enum sim_tear)tear, .detail = 9});

            assert_int_equal(run_until_cut(flash, data), nth - 1);

            assert_false(sim_flash_has_power(flash));
            assert_int_equal(sim_flash_ops(flash), nth);
            sim_flash_power_on(flash);
            assert_true(sim_flash_has_power(flash));
            sim_flash_destroy(flash);
        }
    }
}

static uint32_t zeros_from_start(const struct sim_flash *flash, uint32_t len)
{
    uint32_t count = 0;
    while (count < len && byte_at(flash, count) == 0) {
        count++;
    }
    for (uint32_t i = count; i < len; i++) {
        assert_int_equal(byte_at(flash, i), 0xFF);
    }
    return count;
}

static uint32_t torn_write_len(uint64_t seed, enum sim_tear tear)
{
    struct sim_flash *flash =
        sim_flash_create(&(struct sim_flash_config){.size_bytes = SIZE, .seed = seed});
    uint8_t data[BLOCK] = {0};
    cut(flash, (struct sim_cut){.nth = 1, .tear = tear});
    assert_int_equal(sim_flash_write(flash, 0, data, BLOCK), KEDGE_ERR_IO);
    sim_flash_power_on(flash);
    uint32_t len = zeros_from_start(flash, BLOCK);
    sim_flash_destroy(flash);
    return len;
}

static void a_torn_write_leaves_a_prefix_that_the_seed_decides(void **state)
{
    (void)state;
    uint32_t seen = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        uint32_t len = torn_write_len(seed, SIM_TEAR_SEEDED);
        assert_true(len < BLOCK);
        assert_int_equal(len, torn_write_len(seed, SIM_TEAR_SEEDED));
        seen |= 1u << len;
    }
    assert_int_equal(seen, UINT32_MAX);
    assert_int_equal(torn_write_len(1, SIM_TEAR_NOTHING), 0);
    assert_int_equal(torn_write_len(1, SIM_TEAR_COMPLETE), BLOCK);
}

static void a_torn_erase_leaves_a_mixture(void **state)
{
    (void)state;
    struct sim_flash *flash = create(false);
    uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0}, left[SIM_FLASH_SECTOR_SIZE];
    assert_int_equal(sim_flash_write(flash, 0, zeros, sizeof(zeros)), KEDGE_OK);

    cut(flash, (struct sim_cut){.nth = 1, .tear = SIM_TEAR_SEEDED});
    assert_int_equal(sim_flash_erase(flash, 0), KEDGE_ERR_IO);
    sim_flash_power_on(flash);

    uint32_t erased = 0, kept = 0;
    assert_int_equal(sim_flash_read(flash, 0, left, sizeof(left)), KEDGE_OK);
    for (size_t i = 0; i < sizeof(left); i++) {
        erased += left[i] == 0xFF;
        kept += left[i] == 0;
    }
    assert_true(erased > 0 && kept > 0 && erased + kept < sizeof(left));
    sim_flash_destroy(flash);
}

static void a_cut_that_was_called_off_does_not_strike(void **state)
{
    (void)state;
    struct sim_flash *flash = create(false);
    cut(flash, (struct sim_cut){.nth = 1, .tear = SIM_TEAR_NOTHING});
    cut(flash, (struct sim_cut){0});

    assert_int_equal(sim_flash_erase(flash, 0), KEDGE_OK);

    sim_flash_destroy(flash);
}

static struct sim_flash *create_encrypted(uint64_t seed)
{
    return sim_flash_create(
        &(struct sim_flash_config){.size_bytes = SIZE, .encrypted = true, .seed = seed});
}

static uint32_t differing_blocks(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < len; at += 16) {
        count += memcmp(a + at, b + at, 16) != 0;
    }
    return count;
}

static void an_encrypted_chip_gives_back_what_was_written_at_any_alignment(void **state)
{
    (void)state;
    struct sim_flash *flash = create_encrypted(1);
    uint8_t data[SIM_FLASH_SECTOR_SIZE], back[sizeof(data)];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7u);
    }
    assert_int_equal(sim_flash_write(flash, 4096 - 32, data, sizeof(data)), KEDGE_OK);

    for (uint32_t skip = 0; skip < 40; skip++) {
        uint32_t len = (uint32_t)sizeof(data) - 2 * skip;
        assert_int_equal(sim_flash_read(flash, 4096 - 32 + skip, back, len), KEDGE_OK);
        assert_memory_equal(back, data + skip, len);
    }
    sim_flash_destroy(flash);
}

static void an_encrypted_sector_erased_reads_as_the_garbage_of_its_address(void **state)
{
    (void)state;
    struct sim_flash *flash = create_encrypted(1);
    uint8_t first[4096], again[4096], other[4096], ff[4096], data[32] = {0};
    memset(ff, 0xFF, sizeof(ff));
    size_t empty = sim_flash_memory_bytes(flash);

    assert_int_equal(sim_flash_read(flash, 4096, first, sizeof(first)), KEDGE_OK);
    assert_int_equal(sim_flash_write(flash, 4096, data, sizeof(data)), KEDGE_OK);
    assert_int_equal(sim_flash_erase(flash, 4096), KEDGE_OK);
    assert_int_equal(sim_flash_read(flash, 4096, again, sizeof(again)), KEDGE_OK);
    assert_int_equal(sim_flash_read(flash, 8192, other, sizeof(other)), KEDGE_OK);

    assert_memory_equal(first, again, sizeof(first));
    assert_int_equal(differing_blocks(first, other, 4096), 256);
    assert_int_equal(differing_blocks(first, ff, 4096), 256);
    assert_int_equal(sim_flash_memory_bytes(flash), empty);
    sim_flash_destroy(flash);
}

/* However few bits are missing, the block of 16 bytes is garbage; the other one is whole. */
static void a_torn_block_of_an_encrypted_chip_is_garbage_as_a_whole(void **state)
{
    (void)state;
    uint8_t data[BLOCK], back[BLOCK], blank_bytes[BLOCK];
    memset(data, 0x42, sizeof(data));
    for (uint32_t bit = 1; bit < 8 * BLOCK; bit++) {
        struct sim_flash *flash = create_encrypted(1);
        assert_int_equal(sim_flash_read(flash, 0, blank_bytes, BLOCK), KEDGE_OK);
        cut(flash, (struct sim_cut){1, SIM_TEAR_BITS, bit});
        assert_int_equal(sim_flash_write(flash, 0, data, BLOCK), KEDGE_ERR_IO);
        sim_flash_power_on(flash);
        assert_int_equal(sim_flash_read(flash, 0, back, BLOCK), KEDGE_OK);

        uint32_t struck = bit < 8 * 16 ? 0 : 16;
        uint32_t alike = 0;
        for (uint32_t i = 0; i < 16; i++) {
            alike += back[struck + i] == data[struck + i];
        }
        bool is_whole = alike == 16; /* the missing bits were to stay 1 */
        assert_true(is_whole || alike <= 4);
        assert_memory_equal(struck == 0 ? back + 16 : back, struck == 0 ? blank_bytes + 16 : data,
                            16);
        sim_flash_destroy(flash);
    }
}

static void an_encrypted_block_written_twice_is_garbage(void **state)
{
    (void)state;
    struct sim_flash *flash = sim_flash_create(&(struct sim_flash_config){
        .size_bytes = SIZE, .encrypted = true, .lenient = true, .seed = 1});
    uint8_t data[16], cleared[16], back[16];
    memset(data, 0xFF, sizeof(data));
    memset(cleared, 0xF0, sizeof(cleared));

    assert_int_equal(sim_flash_write(flash, 0, data, sizeof(data)), KEDGE_OK);
    assert_int_equal(sim_flash_write(flash, 0, cleared, sizeof(cleared)), KEDGE_OK);
    assert_int_equal(sim_flash_read(flash, 0, back, sizeof(back)), KEDGE_OK);

    assert_memory_not_equal(back, cleared, sizeof(back));
    assert_memory_not_equal(back, data, sizeof(back));
    sim_flash_destroy(flash);
}

static void write_ff_then_data(struct sim_flash *plain)
{
    uint8_t data[16];
    struct sim_flash *flash = create_encrypted(1);
    (void)plain;
    memset(data, 0xFF, sizeof(data));
    (void)!sim_flash_write(flash, 0x200, data, sizeof(data));
    (void)!sim_flash_write(flash, 0x200, data, sizeof(data));
}

/* Plain, FF may be written as often as one likes. */
static void a_strict_encrypted_chip_aborts_when_even_ff_is_written_over(void **state)
{
    (void)state;
    fixture_expect_abort(write_ff_then_data, "it is not erased");
}

static void what_is_programmed_on_an_encrypted_chip_reads_as_data(void **state)
{
    (void)state;
    struct sim_flash *flash = create_encrypted(1);
    uint8_t data[100], back[112];
    memset(data, 0x77, sizeof(data));

    sim_flash_program(flash, 4096, data, sizeof(data));

    assert_int_equal(sim_flash_read(flash, 4096, back, sizeof(back)), KEDGE_OK);
    assert_memory_equal(back, data, sizeof(data));
    assert_int_equal(back[111], 0xFF);
    sim_flash_destroy(flash);
}

/* Both slots full, journal and otadata in use: the most that a board of that image holds. */
static void a_thousand_boards_fit_in_a_gibibyte(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    uint8_t *image = test_malloc(IMAGE_LEN);
    memset(image, 0x5A, IMAGE_LEN);
    const uint32_t offsets[] = {fixture.layout.slots[0].offset, fixture.layout.slots[1].offset};

    for (size_t i = 0; i < 2; i++) {
        sim_flash_program(fixture.flash, offsets[i], image, IMAGE_LEN);
    }
    sim_flash_program(fixture.flash, fixture.layout.otadata.offset, image, 0x2000);
    sim_flash_program(fixture.flash, fixture.layout.fleet.offset, image, 0x2000);
    sim_flash_program(fixture.flash, SIM_TABLE_OFFSET, image, 0x1000);

    assert_true(sim_flash_memory_bytes(fixture.flash) > 2 * IMAGE_LEN);
    assert_true(sim_flash_memory_bytes(fixture.flash) * BOARDS < 1024u * 1024u * 1024u);
    test_free(image);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_chip_reads_ff_and_holds_no_sectors),
        cmocka_unit_test(what_is_written_across_sectors_reads_back),
        cmocka_unit_test(an_erased_sector_gives_its_memory_back_and_counts),
        cmocka_unit_test(a_lenient_write_only_clears_bits),
        cmocka_unit_test(a_lenient_chip_returns_errors_for_misuse),
        cmocka_unit_test(a_strict_chip_aborts_and_says_why),
        cmocka_unit_test(a_dead_chip_answers_io_and_changes_nothing),
        cmocka_unit_test(a_cut_at_any_operation_ends_all_that_follow),
        cmocka_unit_test(a_torn_write_leaves_a_prefix_that_the_seed_decides),
        cmocka_unit_test(a_torn_erase_leaves_a_mixture),
        cmocka_unit_test(a_cut_that_was_called_off_does_not_strike),
        cmocka_unit_test(an_encrypted_chip_gives_back_what_was_written_at_any_alignment),
        cmocka_unit_test(an_encrypted_sector_erased_reads_as_the_garbage_of_its_address),
        cmocka_unit_test(a_torn_block_of_an_encrypted_chip_is_garbage_as_a_whole),
        cmocka_unit_test(an_encrypted_block_written_twice_is_garbage),
        cmocka_unit_test(a_strict_encrypted_chip_aborts_when_even_ff_is_written_over),
        cmocka_unit_test(what_is_programmed_on_an_encrypted_chip_reads_as_data),
        cmocka_unit_test(a_thousand_boards_fit_in_a_gibibyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
