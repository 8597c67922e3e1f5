/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/flash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cipher.h"
#include "host/buf.h"
#include "sim/random.h"
#include "tear.h"

#define DEFAULT_WRITE_ALIGN 16u

struct sim_flash {
    uint32_t size_bytes;
    uint32_t write_align;
    bool encrypted;
    bool lenient;
    bool has_power;
    uint64_t ops;
    uint64_t cut_at_op; /* value of ops in which the power fails; 0 = none */
    struct sim_cut cut;
    uint64_t seed;
    uint32_t sectors_held;
    uint32_t *erase_counts;
    uint8_t **sectors; /* NULL = erased */
};

static uint32_t sector_count(const struct sim_flash *flash)
{
    return flash->size_bytes / SIM_FLASH_SECTOR_SIZE;
}

struct sim_flash *sim_flash_create(const struct sim_flash_config *config)
{
    if (config->size_bytes == 0 || config->size_bytes % SIM_FLASH_SECTOR_SIZE != 0) {
        fprintf(stderr, "sim flash: size %u is not a multiple of %u\n", config->size_bytes,
                SIM_FLASH_SECTOR_SIZE);
        abort();
    }
    if (config->encrypted && config->write_align % CIPHER_BLOCK_SIZE != 0) {
        fprintf(stderr, "sim flash: writes of %u bytes cannot be encrypted\n", config->write_align);
        abort();
    }
    struct sim_flash *flash = host_calloc(1, sizeof(*flash));
    flash->size_bytes = config->size_bytes;
    flash->write_align = config->write_align == 0 ? DEFAULT_WRITE_ALIGN : config->write_align;
    flash->encrypted = config->encrypted;
    flash->lenient = config->lenient;
    flash->has_power = true;
    flash->erase_counts = host_calloc(sector_count(flash), sizeof(*flash->erase_counts));
    flash->sectors = host_calloc(sector_count(flash), sizeof(*flash->sectors));
    flash->seed = config->seed;
    return flash;
}

void sim_flash_destroy(struct sim_flash *flash)
{
    if (flash == NULL) {
        return;
    }
    sim_flash_wipe(flash);
    free(flash->sectors);
    free(flash->erase_counts);
    free(flash);
}

uint32_t sim_flash_size(const struct sim_flash *flash)
{
    return flash->size_bytes;
}

/* A use that our own code must never make: says which, and aborts unless the chip is lenient. */
__attribute__((format(printf, 3, 4))) static enum kedge_err
misuse(const struct sim_flash *flash, enum kedge_err err, const char *format, ...)
{
    if (flash->lenient) {
        return err;
    }
    va_list args;
    va_start(args, format);
    fputs("sim flash: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

static enum kedge_err check_range(const struct sim_flash *flash, const char *call, uint32_t offset,
                                  uint32_t len)
{
    if (len > flash->size_bytes || offset > flash->size_bytes - len) {
        return misuse(flash, KEDGE_ERR_RANGE, "%s of %u bytes at 0x%x leaves the %u byte chip",
                      call, len, offset, flash->size_bytes);
    }
    return KEDGE_OK;
}

static enum kedge_err check_align(const struct sim_flash *flash, const char *call, uint32_t offset,
                                  uint32_t len, uint32_t align)
{
    if (offset % align != 0 || len % align != 0) {
        return misuse(flash, KEDGE_ERR_ALIGN, "%s of %u bytes at 0x%x is not aligned to %u", call,
                      len, offset, align);
    }
    return KEDGE_OK;
}

static void check_erased(const struct sim_flash *flash, uint32_t offset, uint32_t len)
{
    for (uint32_t i = offset; i < offset + len; i++) {
        const uint8_t *sector = flash->sectors[i / SIM_FLASH_SECTOR_SIZE];
        if (sector != NULL && sector[i % SIM_FLASH_SECTOR_SIZE] != 0xFF) {
            (void)misuse(flash, KEDGE_ERR_STATE,
                         "write of %u bytes at 0x%x: byte 0x%x holds %02x, it is not erased", len,
                         offset, i, sector[i % SIM_FLASH_SECTOR_SIZE]);
            return;
        }
    }
}

static void drop_sector(struct sim_flash *flash, uint32_t index)
{
    if (flash->sectors[index] != NULL) {
        free(flash->sectors[index]);
        flash->sectors[index] = NULL;
        flash->sectors_held--;
    }
}

static uint8_t *hold_sector(struct sim_flash *flash, uint32_t index)
{
    if (flash->sectors[index] == NULL) {
        flash->sectors[index] = host_alloc(SIM_FLASH_SECTOR_SIZE);
        memset(flash->sectors[index], 0xFF, SIM_FLASH_SECTOR_SIZE);
        flash->sectors_held++;
    }
    return flash->sectors[index];
}

static void read_cells(const struct sim_flash *flash, uint32_t offset, uint8_t *out, uint32_t len)
{
    while (len > 0) {
        uint32_t within = offset % SIM_FLASH_SECTOR_SIZE;
        uint32_t room = SIM_FLASH_SECTOR_SIZE - within;
        uint32_t part = len < room ? len : room;
        const uint8_t *sector = flash->sectors[offset / SIM_FLASH_SECTOR_SIZE];
        if (sector == NULL) {
            memset(out, 0xFF, part);
        } else {
            memcpy(out, sector + within, part);
        }
        out += part;
        offset += part;
        len -= part;
    }
}

/* Whole blocks are decrypted, however little of them is asked for. */
static void read_plain(const struct sim_flash *flash, uint32_t offset, uint8_t *out, uint32_t len)
{
    while (len > 0) {
        uint8_t block[CIPHER_BLOCK_SIZE];
        uint32_t within = offset % CIPHER_BLOCK_SIZE;
        uint32_t room = CIPHER_BLOCK_SIZE - within;
        uint32_t part = len < room ? len : room;
        read_cells(flash, offset - within, block, sizeof(block));
        cipher_decrypt(flash->seed, offset - within, block);
        memcpy(out, block + within, part);
        out += part;
        offset += part;
        len -= part;
    }
}

enum kedge_err sim_flash_read(const struct sim_flash *flash, uint32_t offset, void *out,
                              uint32_t len)
{
    if (!flash->has_power) {
        return KEDGE_ERR_IO;
    }
    enum kedge_err err = check_range(flash, "read", offset, len);
    if (err != KEDGE_OK) {
        return err;
    }
    if (flash->encrypted) {
        read_plain(flash, offset, out, len);
    } else {
        read_cells(flash, offset, out, len);
    }
    return KEDGE_OK;
}

/* Clear the bits that are 0 in data. Bytes of FF change nothing and take no memory. */
static void clear_bits(struct sim_flash *flash, uint32_t offset, const uint8_t *data, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        if (data[i] != 0xFF) {
            uint32_t at = offset + i;
            hold_sector(flash, at / SIM_FLASH_SECTOR_SIZE)[at % SIM_FLASH_SECTOR_SIZE] &= data[i];
        }
    }
}

/* Count an operation; true when the power fails in it. */
static bool power_fails(struct sim_flash *flash)
{
    flash->ops++;
    return flash->cut_at_op != 0 && flash->ops >= flash->cut_at_op;
}

/* A stream that the same chip, cut and operation always get. */
static struct sim_random tear_random(const struct sim_flash *flash)
{
    struct sim_random random;
    uint64_t which = (uint64_t)flash->cut.detail << 32 | (uint32_t)flash->ops;
    sim_random_seed(&random, flash->seed ^ which, "tear");
    return random;
}

/* A copy of data as the cells are to hold it, padded with FF to whole blocks; the caller frees it.
 */
static uint8_t *to_cells(const struct sim_flash *flash, uint32_t offset, const void *data,
                         uint32_t len)
{
    uint32_t padded = kedge_align_up(len, CIPHER_BLOCK_SIZE);
    uint8_t *cells = host_alloc(padded);
    memset(cells, 0xFF, padded);
    memcpy(cells, data, len);
    for (uint32_t at = 0; flash->encrypted && at < padded; at += CIPHER_BLOCK_SIZE) {
        cipher_encrypt(flash->seed, offset + at, cells + at);
    }
    return cells;
}

enum kedge_err sim_flash_write(struct sim_flash *flash, uint32_t offset, const void *data,
                               uint32_t len)
{
    if (!flash->has_power) {
        return KEDGE_ERR_IO;
    }
    enum kedge_err err = check_range(flash, "write", offset, len);
    if (err == KEDGE_OK) {
        err = check_align(flash, "write", offset, len, flash->write_align);
    }
    if (err != KEDGE_OK || len == 0) {
        return err;
    }
    check_erased(flash, offset, len);
    uint8_t *cells = to_cells(flash, offset, data, len);
    bool is_cut = power_fails(flash);
    if (is_cut) {
        struct sim_random random = tear_random(flash);
        tear_write(&flash->cut, &random, offset, cells, len);
        sim_flash_power_off(flash);
    }
    clear_bits(flash, offset, cells, len);
    free(cells);
    return is_cut ? KEDGE_ERR_IO : KEDGE_OK;
}

static bool is_erased(const uint8_t *sector)
{
    uint32_t i = 0;
    while (i < SIM_FLASH_SECTOR_SIZE && sector[i] == 0xFF) {
        i++;
    }
    return i == SIM_FLASH_SECTOR_SIZE;
}

static void torn_erase(struct sim_flash *flash, uint32_t index)
{
    struct sim_random random = tear_random(flash);
    uint8_t *sector = hold_sector(flash, index);
    tear_erase(&flash->cut, &random, sector);
    if (is_erased(sector)) {
        drop_sector(flash, index);
    }
}

enum kedge_err sim_flash_erase(struct sim_flash *flash, uint32_t offset)
{
    if (!flash->has_power) {
        return KEDGE_ERR_IO;
    }
    enum kedge_err err = check_range(flash, "erase", offset, SIM_FLASH_SECTOR_SIZE);
    if (err == KEDGE_OK) {
        err = check_align(flash, "erase", offset, SIM_FLASH_SECTOR_SIZE, SIM_FLASH_SECTOR_SIZE);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    uint32_t index = offset / SIM_FLASH_SECTOR_SIZE;
    flash->erase_counts[index]++;
    if (power_fails(flash)) {
        torn_erase(flash, index);
        sim_flash_power_off(flash);
        return KEDGE_ERR_IO;
    }
    drop_sector(flash, index);
    return KEDGE_OK;
}

void sim_flash_program(struct sim_flash *flash, uint32_t offset, const void *data, uint32_t len)
{
    if (offset % SIM_FLASH_SECTOR_SIZE != 0 || len > flash->size_bytes ||
        offset > flash->size_bytes - len) {
        fprintf(stderr, "sim flash: cannot program %u bytes at 0x%x\n", len, offset);
        abort();
    }
    for (uint32_t at = offset; at < offset + len; at += SIM_FLASH_SECTOR_SIZE) {
        drop_sector(flash, at / SIM_FLASH_SECTOR_SIZE);
    }
    uint8_t *cells = to_cells(flash, offset, data, len);
    clear_bits(flash, offset, cells, kedge_align_up(len, CIPHER_BLOCK_SIZE));
    free(cells);
}

void sim_flash_wipe(struct sim_flash *flash)
{
    for (uint32_t i = 0; i < sector_count(flash); i++) {
        drop_sector(flash, i);
    }
}

uint64_t sim_flash_ops(const struct sim_flash *flash)
{
    return flash->ops;
}

uint32_t sim_flash_erase_count(const struct sim_flash *flash, uint32_t sector)
{
    return sector < sector_count(flash) ? flash->erase_counts[sector] : 0;
}

size_t sim_flash_memory_bytes(const struct sim_flash *flash)
{
    size_t per_sector = sizeof(*flash->sectors) + sizeof(*flash->erase_counts);
    return sizeof(*flash) + sector_count(flash) * per_sector +
           (size_t)flash->sectors_held * SIM_FLASH_SECTOR_SIZE;
}

void sim_flash_cut(struct sim_flash *flash, const struct sim_cut *cut)
{
    flash->cut_at_op = cut->nth == 0 ? 0 : flash->ops + cut->nth;
    flash->cut = *cut;
}

void sim_flash_power_off(struct sim_flash *flash)
{
    flash->has_power = false;
    flash->cut_at_op = 0;
}

void sim_flash_power_on(struct sim_flash *flash)
{
    flash->has_power = true;
    flash->cut_at_op = 0;
}

bool sim_flash_has_power(const struct sim_flash *flash)
{
    return flash->has_power;
}
