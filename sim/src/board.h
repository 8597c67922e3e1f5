/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/board.h"
#include "sim/random.h"

/* Shared by board.c (life) and board_ops.c (the platform that the agent sees). */
struct sim_board {
    struct sim_board_config config;
    char id[KEDGE_DEVICE_ID_SIZE];
    struct sim_flash *flash;
    struct sim_layout layout;
    struct sim_bootloader bootloader;
    uint32_t secure_version;
    struct sim_board_status status;
    enum kedge_reset next_reset;
    struct sim_firmware firmware;
    struct sim_random random;
    int8_t rssi_dbm;
    int32_t temperature_mc;
};

extern const struct kedge_plat_slots board_slots_ops;
extern const struct kedge_plat_store board_store_ops;
extern const struct kedge_plat_system board_system_ops;
extern const struct kedge_plat_log board_log_ops;
extern const struct kedge_plat_crash board_crash_ops;

/* The panic handler: a core dump, if that reset leaves one and the table has room for it. */
void board_write_coredump(struct sim_board *board, enum kedge_reset reason);

struct sim_boot_env board_boot_env(struct sim_board *board);
