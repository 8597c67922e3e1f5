/* SPDX-License-Identifier: Apache-2.0 */
#include "tear.h"

#include <string.h>

#include "kedge/bytes.h"

#define CERTAIN       256u /* chances are out of 256 */
#define MAX_LATE_BITS 4u

/* A page pulse that ends early leaves most cells as they were, or nearly all done, or anything
 * between: the share of bits that did is drawn, too. */
static uint8_t random_bits(struct sim_random *random, uint32_t chance)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 8; i++) {
        bits |= (uint32_t)(sim_random_below(random, CERTAIN) < chance) << i;
    }
    return (uint8_t)bits;
}

/* Some of the bits that are to become 0 are still 1, each with the same chance. */
static void hold_back_share(struct sim_random *random, uint8_t *data, uint32_t len)
{
    uint32_t chance = 1 + sim_random_below(random, CERTAIN - 1);
    for (uint32_t i = 0; i < len; i++) {
        data[i] |= random_bits(random, chance);
    }
}

static bool is_cleared(const uint8_t *data, uint32_t bit)
{
    return ((uint32_t)data[bit / 8] >> bit % 8 & 1u) == 0;
}

/* All but a few bits are done: what makes one valid record read as another one
 * (docs/esp-idf.md 2.7.4). Bits are picked among those that are to become 0; all FF has none. */
static void hold_back_few(struct sim_random *random, uint8_t *data, uint32_t len)
{
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < 8 * len; i++) {
        zeros += is_cleared(data, i);
    }
    uint32_t late = 1 + sim_random_below(random, MAX_LATE_BITS);
    for (uint32_t i = 0; i < 8 * len && zeros > 0; i++) {
        if (!is_cleared(data, i)) {
            continue;
        }
        if (late > 0 && sim_random_below(random, zeros) < late) {
            data[i / 8] |= (uint8_t)(1u << i % 8);
            late--;
        }
        zeros--;
    }
}

static void mix_write(struct sim_random *random, uint8_t *data, uint32_t len)
{
    if (sim_random_below(random, 2) == 0) {
        hold_back_few(random, data, len);
    } else {
        hold_back_share(random, data, len);
    }
}

static void mix_erase(struct sim_random *random, uint8_t *data, uint32_t len, uint32_t chance)
{
    for (uint32_t i = 0; i < len; i++) {
        data[i] |= random_bits(random, chance);
    }
}

static void keep_bytes(uint8_t *data, uint32_t len, uint32_t count)
{
    if (count < len) {
        memset(data + count, 0xFF, len - count);
    }
}

/* The lowest `count` of the bits that are to become 0 did. */
static uint8_t lowest_zeros(uint8_t byte, uint32_t count)
{
    uint8_t out = 0xFF;
    for (uint32_t bit = 0; bit < 8 && count > 0; bit++) {
        if (is_cleared(&byte, bit)) {
            out &= (uint8_t) ~(1u << bit);
            count--;
        }
    }
    return out;
}

static void keep_bits(uint8_t *data, uint32_t len, uint32_t detail)
{
    uint32_t whole = detail / 8;
    if (whole < len) {
        data[whole] = lowest_zeros(data[whole], detail % 8);
        keep_bytes(data, len, whole + 1);
    }
}

/* Out of order: each page of the write is done or not begun, and the power fails in one. */
static void tear_pages(struct sim_random *random, uint32_t offset, uint8_t *data, uint32_t len)
{
    uint32_t first = offset / SIM_FLASH_PAGE_SIZE;
    uint32_t pages = (offset + len - 1) / SIM_FLASH_PAGE_SIZE - first + 1;
    uint32_t struck = first + sim_random_below(random, pages);

    for (uint32_t at = 0; at < len;) {
        uint32_t room = SIM_FLASH_PAGE_SIZE - (offset + at) % SIM_FLASH_PAGE_SIZE;
        uint32_t part = len - at < room ? len - at : room;
        if ((offset + at) / SIM_FLASH_PAGE_SIZE == struck) {
            mix_write(random, data + at, part);
        } else if (sim_random_below(random, 2) == 0) {
            keep_bytes(data + at, part, 0);
        }
        at += part;
    }
}

void tear_write(const struct sim_cut *cut, struct sim_random *random, uint32_t offset,
                uint8_t *data, uint32_t len)
{
    switch (cut->tear) {
    case SIM_TEAR_NOTHING:
        keep_bytes(data, len, 0);
        return;
    case SIM_TEAR_SEEDED:
        keep_bytes(data, len, sim_random_below(random, len));
        return;
    case SIM_TEAR_BYTES:
        keep_bytes(data, len, cut->detail);
        return;
    case SIM_TEAR_BITS:
        keep_bits(data, len, cut->detail);
        return;
    case SIM_TEAR_PAGES:
        tear_pages(random, offset, data, len);
        return;
    case SIM_TEAR_NOISE:
        mix_write(random, data, len);
        return;
    case SIM_TEAR_COMPLETE:
    case SIM_TEAR_COUNT:
        return;
    }
}

/* Each page is erased, untouched, or anything in between. */
static void half_erase(struct sim_random *random, uint8_t *sector)
{
    for (uint32_t page = 0; page < SIM_FLASH_SECTOR_SIZE; page += SIM_FLASH_PAGE_SIZE) {
        uint32_t fate = sim_random_below(random, 3);
        if (fate == 1) {
            memset(sector + page, 0xFF, SIM_FLASH_PAGE_SIZE);
        } else if (fate == 2) {
            mix_erase(random, sector + page, SIM_FLASH_PAGE_SIZE, CERTAIN / 2);
        }
    }
}

static void erase_pages(struct sim_random *random, uint8_t *sector)
{
    uint32_t pages = SIM_FLASH_SECTOR_SIZE / SIM_FLASH_PAGE_SIZE;
    uint32_t struck = sim_random_below(random, pages);

    for (uint32_t page = 0; page < pages; page++) {
        uint8_t *bytes = sector + (size_t)page * SIM_FLASH_PAGE_SIZE;
        if (page == struck) {
            mix_erase(random, bytes, SIM_FLASH_PAGE_SIZE, sim_random_below(random, CERTAIN));
        } else if (sim_random_below(random, 2) == 0) {
            memset(bytes, 0xFF, SIM_FLASH_PAGE_SIZE);
        }
    }
}

static void fill_with_noise(struct sim_random *random, uint8_t *sector)
{
    for (uint32_t i = 0; i < SIM_FLASH_SECTOR_SIZE; i += 4) {
        kedge_put_le32(sector + i, sim_random_u32(random));
    }
}

void tear_erase(const struct sim_cut *cut, struct sim_random *random,
                uint8_t sector[SIM_FLASH_SECTOR_SIZE])
{
    uint32_t bytes = cut->detail < SIM_FLASH_SECTOR_SIZE ? cut->detail : SIM_FLASH_SECTOR_SIZE;

    switch (cut->tear) {
    case SIM_TEAR_NOTHING:
        return;
    case SIM_TEAR_SEEDED:
        half_erase(random, sector);
        return;
    case SIM_TEAR_BYTES:
        memset(sector, 0xFF, bytes);
        return;
    case SIM_TEAR_BITS:
        mix_erase(random, sector, SIM_FLASH_SECTOR_SIZE, cut->detail);
        return;
    case SIM_TEAR_PAGES:
        erase_pages(random, sector);
        return;
    case SIM_TEAR_NOISE:
        fill_with_noise(random, sector);
        return;
    case SIM_TEAR_COMPLETE:
    case SIM_TEAR_COUNT:
        memset(sector, 0xFF, SIM_FLASH_SECTOR_SIZE);
        return;
    }
}
