/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#include "sim/random.h"

#define SIZE    (4u * SIM_FLASH_SECTOR_SIZE)
#define LEN     1280u /* five pages, or six when it begins inside one */
#define DETAILS 10u
#define SEEDS   8u

static const uint32_t details[DETAILS] = {0, 1, 7, 8, 9, 100, 255, 256, 4095, UINT32_MAX};

static struct sim_flash *create(uint64_t seed)
{
    return sim_flash_create(&(struct sim_flash_config){.size_bytes = SIZE, .seed = seed});
}

static void fill(uint8_t *data, uint32_t len, const char *label)
{
    struct sim_random random;
    sim_random_seed(&random, 1, label);
    for (uint32_t i = 0; i < len; i++) {
        data[i] = (uint8_t)sim_random_u32(&random);
    }
}

static void read_back(struct sim_flash *flash, uint32_t offset, uint8_t *out, uint32_t len)
{
    sim_flash_power_on(flash);
    assert_int_equal(sim_flash_read(flash, offset, out, len), KEDGE_OK);
}

/* What a write of data at offset, torn, leaves in an erased sector. */
static void torn_write(uint64_t seed, struct sim_cut cut, uint32_t offset, const uint8_t *data,
                       uint32_t len, uint8_t *left)
{
    struct sim_flash *flash = create(seed);
    cut.nth = 1;
    sim_flash_cut(flash, &cut);
    assert_int_equal(sim_flash_write(flash, offset, data, len), KEDGE_ERR_IO);
    read_back(flash, offset, left, len);
    sim_flash_destroy(flash);
}

static void torn_erase(uint64_t seed, struct sim_cut cut, const uint8_t *before, uint8_t *left)
{
    struct sim_flash *flash = create(seed);
    sim_flash_program(flash, SIM_FLASH_SECTOR_SIZE, before, SIM_FLASH_SECTOR_SIZE);
    cut.nth = 1;
    sim_flash_cut(flash, &cut);
    assert_int_equal(sim_flash_erase(flash, SIM_FLASH_SECTOR_SIZE), KEDGE_ERR_IO);
    read_back(flash, SIM_FLASH_SECTOR_SIZE, left, SIM_FLASH_SECTOR_SIZE);
    sim_flash_destroy(flash);
}

/* A cleared bit was one that the write was to clear; nothing outside of it changed. */
static void expect_legal_write(struct sim_cut cut, uint64_t seed, const uint8_t *data)
{
    struct sim_flash *flash = create(seed);
    uint8_t all[SIZE];
    const uint32_t offset = SIM_FLASH_SECTOR_SIZE - 528;

    cut.nth = 1;
    sim_flash_cut(flash, &cut);
    assert_int_equal(sim_flash_write(flash, offset, data, LEN), KEDGE_ERR_IO);
    read_back(flash, 0, all, sizeof(all));
    for (uint32_t i = 0; i < SIZE; i++) {
        uint8_t target = i >= offset && i < offset + LEN ? data[i - offset] : 0xFF;
        assert_int_equal(all[i] & target, target);
    }
    sim_flash_destroy(flash);
}

static void every_torn_write_is_a_state_of_nor(void **state)
{
    (void)state;
    uint8_t data[LEN];
    fill(data, LEN, "data");
    for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
        for (uint32_t d = 0; d < DETAILS; d++) {
            for (uint64_t seed = 0; seed < SEEDS; seed++) {
                struct sim_cut cut = {.tear = (enum sim_tear)tear, .detail = details[d]};
                expect_legal_write(cut, seed, data);
            }
        }
    }
}

/* Only noise may clear what was set: in the others an erase has set bits and no more. */
static void every_torn_erase_stays_in_its_sector(void **state)
{
    (void)state;
    uint8_t before[SIM_FLASH_SECTOR_SIZE], left[SIM_FLASH_SECTOR_SIZE];
    fill(before, sizeof(before), "before");
    for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
        for (uint32_t d = 0; d < DETAILS; d++) {
            struct sim_cut cut = {.tear = (enum sim_tear)tear, .detail = details[d]};
            torn_erase(3, cut, before, left);
            for (uint32_t i = 0; i < sizeof(left) && tear != SIM_TEAR_NOISE; i++) {
                assert_int_equal(left[i] & before[i], before[i]);
            }
        }
    }
}

static void neighbours_of_a_torn_erase_are_as_they_were(void **state)
{
    (void)state;
    uint8_t before[SIZE], after[SIZE];
    fill(before, sizeof(before), "chip");
    for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
        struct sim_flash *flash = create(9);
        sim_flash_program(flash, 0, before, SIZE);
        sim_flash_cut(flash, &(struct sim_cut){1, (enum sim_tear)tear, 128});
        assert_int_equal(sim_flash_erase(flash, SIM_FLASH_SECTOR_SIZE), KEDGE_ERR_IO);
        read_back(flash, 0, after, SIZE);

        assert_memory_equal(after, before, SIM_FLASH_SECTOR_SIZE);
        assert_memory_equal(after + 2 * SIM_FLASH_SECTOR_SIZE, before + 2 * SIM_FLASH_SECTOR_SIZE,
                            2 * SIM_FLASH_SECTOR_SIZE);
        sim_flash_destroy(flash);
    }
}

static void bytes_are_a_prefix_of_that_length(void **state)
{
    (void)state;
    uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0}, left[SIM_FLASH_SECTOR_SIZE];
    static const uint32_t lengths[] = {0, 1, 31, 32, 33};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct sim_cut cut = {.tear = SIM_TEAR_BYTES, .detail = lengths[i]};
        torn_write(1, cut, 0, zeros, 32, left);
        for (uint32_t at = 0; at < 32; at++) {
            assert_int_equal(left[at], at < lengths[i] ? 0 : 0xFF);
        }
        torn_erase(1, cut, zeros, left);
        for (uint32_t at = 0; at < sizeof(left); at++) {
            assert_int_equal(left[at], at < lengths[i] ? 0xFF : 0);
        }
    }
}

static void bits_are_the_lowest_of_those_that_become_0(void **state)
{
    (void)state;
    static const struct {
        uint8_t second; /* byte 1 of the data; the others are 0 */
        uint32_t detail;
        uint8_t left[3];
    } cases[] = {
        {0x00, 0, {0xFF, 0xFF, 0xFF}},  {0x00, 3, {0xF8, 0xFF, 0xFF}},
        {0x00, 8, {0x00, 0xFF, 0xFF}},  {0x00, 9, {0x00, 0xFE, 0xFF}},
        {0x0F, 10, {0x00, 0xCF, 0xFF}}, {0xAA, 11, {0x00, 0xEA, 0xFF}},
        {0xFE, 15, {0x00, 0xFE, 0xFF}}, {0x55, 16, {0x00, 0x55, 0xFF}},
        {0x00, 17, {0x00, 0x00, 0xFE}}, {0x12, 4096, {0x00, 0x12, 0x00}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t data[16] = {0}, left[16];
        data[1] = cases[i].second;
        torn_write(1, (struct sim_cut){.tear = SIM_TEAR_BITS, .detail = cases[i].detail}, 0, data,
                   sizeof(data), left);
        assert_memory_equal(left, cases[i].left, 3);
    }
}

static uint32_t ones(const uint8_t *data, uint32_t len)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < len; i++) {
        count += (uint32_t)__builtin_popcount(data[i]);
    }
    return count;
}

static void erased_bits_have_the_density_of_the_detail(void **state)
{
    (void)state;
    const uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0};
    const uint32_t total = 8 * SIM_FLASH_SECTOR_SIZE;
    uint8_t left[SIM_FLASH_SECTOR_SIZE];
    static const uint32_t densities[] = {0, 64, 128, 250, 256};
    for (size_t i = 0; i < sizeof(densities) / sizeof(densities[0]); i++) {
        struct sim_cut cut = {.tear = SIM_TEAR_BITS, .detail = densities[i]};
        torn_erase(5, cut, zeros, left);
        uint32_t expected = total / 256 * densities[i];
        assert_in_range(ones(left, sizeof(left)), expected - expected / 20,
                        expected + expected / 20);
    }
}

/* 0 = untouched, 1 = done, 2 = a mixture. */
static int page_fate(const uint8_t *page, uint8_t target)
{
    uint32_t done = 0, untouched = 0;
    for (uint32_t i = 0; i < SIM_FLASH_PAGE_SIZE; i++) {
        done += page[i] == target;
        untouched += (page[i] ^ target) == 0xFF;
    }
    return done == SIM_FLASH_PAGE_SIZE ? 1 : untouched == SIM_FLASH_PAGE_SIZE ? 0 : 2;
}

static void expect_pages(const uint8_t *left, uint32_t pages, uint8_t target, bool *out_of_order)
{
    uint32_t mixtures = 0;
    for (uint32_t page = 0; page < pages; page++) {
        int fate = page_fate(left + (size_t)page * SIM_FLASH_PAGE_SIZE, target);
        mixtures += fate == 2;
        *out_of_order |= page > 0 && fate == 1 &&
                         page_fate(left + (size_t)(page - 1) * SIM_FLASH_PAGE_SIZE, target) == 0;
    }
    assert_true(mixtures <= 1);
}

static void pages_are_done_out_of_order_and_one_is_a_mixture(void **state)
{
    (void)state;
    const uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0};
    uint8_t left[SIM_FLASH_SECTOR_SIZE];
    bool writes_jump = false, erases_jump = false;
    for (uint32_t detail = 0; detail < 50; detail++) {
        struct sim_cut cut = {.tear = SIM_TEAR_PAGES, .detail = detail};
        torn_write(1, cut, 0, zeros, sizeof(zeros), left);
        expect_pages(left, 16, 0x00, &writes_jump);
        torn_erase(1, cut, zeros, left);
        expect_pages(left, 16, 0xFF, &erases_jump);
    }
    assert_true(writes_jump && erases_jump);
}

static void a_noisy_write_is_never_far_from_all_states_between(void **state)
{
    (void)state;
    const uint8_t zeros[32] = {0};
    uint8_t left[32];
    uint32_t nearly_done = 0, hardly_begun = 0;
    for (uint32_t detail = 0; detail < 200; detail++) {
        struct sim_cut cut = {.tear = SIM_TEAR_NOISE, .detail = detail};
        torn_write(1, cut, 0, zeros, sizeof(zeros), left);
        uint32_t late = ones(left, sizeof(left));
        nearly_done += late > 0 && late <= 4;
        hardly_begun += late > 200;
    }
    assert_true(nearly_done > 50);
    assert_true(hardly_begun > 5);
}

static void the_same_seed_and_detail_leave_the_same(void **state)
{
    (void)state;
    const uint8_t zeros[SIM_FLASH_SECTOR_SIZE] = {0};
    uint8_t first[SIM_FLASH_SECTOR_SIZE], again[SIM_FLASH_SECTOR_SIZE];
    static const enum sim_tear seeded[] = {SIM_TEAR_SEEDED, SIM_TEAR_PAGES, SIM_TEAR_NOISE};
    for (size_t i = 0; i < 3; i++) {
        struct sim_cut cut = {.tear = seeded[i], .detail = 4};
        torn_erase(1, cut, zeros, first);
        torn_erase(1, cut, zeros, again);
        assert_memory_equal(first, again, sizeof(first));

        torn_erase(2, cut, zeros, again);
        assert_memory_not_equal(first, again, sizeof(first));
        cut.detail = 5;
        torn_erase(1, cut, zeros, again);
        assert_memory_not_equal(first, again, sizeof(first));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_torn_write_is_a_state_of_nor),
        cmocka_unit_test(every_torn_erase_stays_in_its_sector),
        cmocka_unit_test(neighbours_of_a_torn_erase_are_as_they_were),
        cmocka_unit_test(bytes_are_a_prefix_of_that_length),
        cmocka_unit_test(bits_are_the_lowest_of_those_that_become_0),
        cmocka_unit_test(erased_bits_have_the_density_of_the_detail),
        cmocka_unit_test(pages_are_done_out_of_order_and_one_is_a_mixture),
        cmocka_unit_test(a_noisy_write_is_never_far_from_all_states_between),
        cmocka_unit_test(the_same_seed_and_detail_leave_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
