/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/plat/storage.h"
#include "sim/layout.h"

/*
 * The storage partition of a board: the contract of kedge/plat/storage.h on the simulated flash, so
 * that cuts strike it. It stands for LittleFS and is not LittleFS: no wear levelling worth the
 * name, no folders, a file is one sector at the most.
 *
 * Two sectors hold the directory in turns, each with a sequence number and a CRC-32: the newest
 * intact one counts. A file's bytes go to a sector that no file uses, and count when the directory
 * says so. What is weaker here than in LittleFS, on purpose, is write: it empties the file first,
 * in a commit of its own, because that is as much as plat/storage.h promises.
 */
#define SIM_STORAGE_FILES     8u
#define SIM_STORAGE_FILE_SIZE SIM_FLASH_SECTOR_SIZE

struct sim_storage_entry {
    char name[KEDGE_STORAGE_NAME_SIZE]; /**< "" = free */
    uint32_t sector;                    /**< within the region; 0 = the file is empty */
    uint32_t len_bytes;
    uint32_t crc;
};

/** Held by the caller; mount fills it. */
struct sim_storage {
    struct sim_flash *flash; /**< borrowed */
    struct sim_region region;
    bool is_mounted;
    uint32_t sequence;
    uint32_t newest; /**< directory sector in force, 0 or 1 */
    uint32_t probe;  /**< where to look for a free sector next */
    struct sim_storage_entry entries[SIM_STORAGE_FILES];
};

/** A file of the image that is flashed in production. Borrowed for the call. */
struct sim_storage_file {
    const char *name;
    struct kedge_cspan bytes;
};

/** What serial flashing does: a region with these files, whatever was in it. Aborts when they do
 *  not fit. */
void sim_storage_program(struct sim_flash *flash, struct sim_region region,
                         const struct sim_storage_file *files, uint32_t count);

/** Once per boot; power lost in a call unmounts. Writes nothing, whatever it finds. Errors:
 *  NOT_FOUND (no directory that is intact: not mounted), IO. */
KEDGE_NODISCARD enum kedge_err sim_storage_mount(struct sim_storage *storage,
                                                 struct sim_flash *flash, struct sim_region region);

/** ctx is the struct sim_storage. */
extern const struct kedge_plat_storage sim_storage_ops;
