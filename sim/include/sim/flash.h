/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kedge/err.h"

/*
 * A NOR flash chip. Erasing a 4 KiB sector sets it to FF, writing clears bits and nothing else.
 * Only sectors that hold something take memory, so that a thousand chips fit into one process.
 *
 * Strict by default: use that a real driver would get away with today and regret later (unaligned,
 * out of range, a write over bytes that are not erased) is a bug of ours and aborts with a message.
 *
 * Encrypted, the cells hold cipher text in blocks of 16 bytes, and the calls take and give plain
 * text. An erased block then does not read as FF, but as bytes that belong to its address for ever,
 * and a block in which one bit is wrong reads as garbage throughout (docs/esp-idf.md 2.6).
 */
#define SIM_FLASH_SECTOR_SIZE 4096u

#define SIM_FLASH_PAGE_SIZE 256u

/**
 * What is left of the operation in which the power fails. All of it is NOR: a torn write has
 * cleared some of the bits that it was to clear and no others; after a torn erase any bit may be
 * anything. "Seeded" = drawn from the chip's seed and the cut's detail.
 */
enum sim_tear {
    SIM_TEAR_NOTHING,  /**< it had not begun */
    SIM_TEAR_COMPLETE, /**< it was just done */
    /** write: a prefix of bytes; erase: pages each erased, untouched or in between; seeded */
    SIM_TEAR_SEEDED,
    SIM_TEAR_BYTES, /**< the first `detail` bytes are written, or erased */
    /** write: the bytes before detail / 8 are in; of that byte the lowest detail % 8 of the bits
     * that are to become 0 did. erase: each bit is set with a chance of detail / 256, seeded */
    SIM_TEAR_BITS,
    /** pages out of order: a seeded subset is done, one page is a mixture of its bits */
    SIM_TEAR_PAGES,
    SIM_TEAR_NOISE, /**< write: all of it is a seeded mixture of bits; erase: noise everywhere */
    SIM_TEAR_COUNT
};

/** When the power fails, and what is left of the operation that it strikes. */
struct sim_cut {
    uint64_t nth; /**< operation from now, 1 = the next one; 0 = no cut */
    enum sim_tear tear;
    uint32_t detail; /**< see enum sim_tear; more than the operation has = all of it */
};

struct sim_flash_config {
    uint32_t size_bytes;  /**< multiple of the sector size */
    uint32_t write_align; /**< writes are multiples of it, in offset and length; 0 = 16 */
    bool encrypted;       /**< see above; write_align is a multiple of 16 then */
    bool lenient;         /**< misuse returns an error instead of aborting; writes then just AND */
    uint64_t seed;        /**< of what torn operations leave behind */
};

struct sim_flash; /* owned by whoever created it */

struct sim_flash *sim_flash_create(const struct sim_flash_config *config);
void sim_flash_destroy(struct sim_flash *flash);
uint32_t sim_flash_size(const struct sim_flash *flash);

/** Any alignment. Errors: IO (no power), RANGE (lenient). */
KEDGE_NODISCARD enum kedge_err sim_flash_read(const struct sim_flash *flash, uint32_t offset,
                                              void *out, uint32_t len);
/** One operation. Errors: IO (no power, or it failed meanwhile), RANGE and ALIGN (lenient). */
KEDGE_NODISCARD enum kedge_err sim_flash_write(struct sim_flash *flash, uint32_t offset,
                                               const void *data, uint32_t len);
/** One operation: the sector that begins at offset. Errors: as for write. */
KEDGE_NODISCARD enum kedge_err sim_flash_erase(struct sim_flash *flash, uint32_t offset);

/** Erase and write from outside, as a serial programmer does: not counted, never torn, offset on a
 *  sector border, the rest of the last sector erased. On an encrypted chip, what the programmer
 * wrote and the first boot then encrypted in place: reads as data. Aborts when it does not fit. */
void sim_flash_program(struct sim_flash *flash, uint32_t offset, const void *data, uint32_t len);
/** The whole chip to FF, not counted. */
void sim_flash_wipe(struct sim_flash *flash);

/** Erase and write operations begun since creation, the torn ones included. */
uint64_t sim_flash_ops(const struct sim_flash *flash);
/** Times that sector was erased by sim_flash_erase. */
uint32_t sim_flash_erase_count(const struct sim_flash *flash, uint32_t sector);
/** Bytes of memory that the chip takes now, bookkeeping included. */
size_t sim_flash_memory_bytes(const struct sim_flash *flash);

/** Arm a cut in place of the one that may be armed already. Copied. */
void sim_flash_cut(struct sim_flash *flash, const struct sim_cut *cut);
/** The power fails now: every call returns ERR_IO, without effect, until power_on. */
void sim_flash_power_off(struct sim_flash *flash);
/** Calls off a cut that is still to come, too. */
void sim_flash_power_on(struct sim_flash *flash);
bool sim_flash_has_power(const struct sim_flash *flash);
