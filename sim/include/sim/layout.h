/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/partition.h"
#include "sim/flash.h"

/* Where things are in a flash, as its own partition table says. */
#define SIM_TABLE_OFFSET 0xE000u /**< CONFIG_PARTITION_TABLE_OFFSET of the production build */
#define SIM_MAX_SLOTS    16u

/** size 0 = there is none. */
struct sim_region {
    uint32_t offset;
    uint32_t size;
};

struct sim_layout {
    struct sim_region otadata;
    struct sim_region factory;
    struct sim_region test;
    struct sim_region slots[SIM_MAX_SLOTS];
    uint32_t slot_count; /**< ota_N partitions */
    struct sim_region fleet;
    struct sim_region coredump;
    struct sim_region storage;
};

/** firmware/partitions.csv (docs/esp-idf.md 8.3) as the bytes that stand in flash. */
void sim_layout_production_table(uint8_t out[KEDGE_PARTITION_TABLE_SIZE]);
/** Read the table that stands at SIM_TABLE_OFFSET. Errors: IO; any error of the table's parser. */
KEDGE_NODISCARD enum kedge_err sim_layout_read(const struct sim_flash *flash,
                                               struct sim_layout *layout);
