/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/otadata.h"
#include "sim/layout.h"

/*
 * The boot ROM and second-stage bootloader of ESP-IDF (facts/esp-idf.md 2.3 and 2.4), weaknesses
 * included: one attempt per image, states outside the CRC, a fallback that leaves otadata alone.
 * Decides on its own; shares only byte layouts (formats/) and hashing (crypto/) with the agent.
 */

/** How the bootloader was built, and on what chip it runs. */
struct sim_bootloader {
    uint16_t chip_id;
    uint16_t chip_rev_full; /**< major * 100 + minor */
    bool rollback;          /**< CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE */
    bool anti_rollback;     /**< CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK; implies rollback */
};

/** Indices beside ota_0 … ota_15, in the bootloader's own numbering. */
enum sim_slot {
    SIM_SLOT_FACTORY = -1,
    SIM_SLOT_TEST = -2
};

struct sim_boot {
    int slot;     /**< what was loaded: 0 …, or enum sim_slot */
    int selected; /**< what otadata asked for; differs from slot after a fallback */
    struct kedge_image_info image;
};

/** Everything the boot model works on; borrowed. */
struct sim_boot_env {
    struct sim_flash *flash;
    const struct sim_layout *layout;
    const struct sim_bootloader *bootloader;
    uint32_t *secure_version; /**< eFuse floor; only ever raised */
};

/**
 * One run of the bootloader, from reset to the jump into an app. Writes otadata where the real one
 * does. Errors: NOT_FOUND (nothing boots: the real one resets for ever), RANGE (otadata partition
 * under 8 KiB, fatal in the real one), IO (the power failed meanwhile).
 */
KEDGE_NODISCARD enum kedge_err sim_boot_run(const struct sim_boot_env *env, struct sim_boot *boot);

/**
 * Check the app image in a region as bootloader and esp_ota_end do: parse, checksum, appended
 * SHA-256, chip id and revision. *info may be NULL. Errors: MISMATCH, IO.
 */
KEDGE_NODISCARD enum kedge_err sim_image_verify(const struct sim_flash *flash,
                                                struct sim_region region,
                                                const struct sim_bootloader *bootloader,
                                                struct kedge_image_info *info);
/** Only the descriptor at the region's start, no checks of the rest. Errors: MISMATCH, IO. */
KEDGE_NODISCARD enum kedge_err sim_image_describe(const struct sim_flash *flash,
                                                  struct sim_region region,
                                                  struct kedge_app_desc *desc);

/** Both otadata records as they stand in flash. Errors: IO. */
KEDGE_NODISCARD enum kedge_err sim_otadata_read(const struct sim_flash *flash,
                                                const struct sim_layout *layout,
                                                struct kedge_otadata_record records[2]);
/** Erase a record's sector, then write it, its CRC as it is in the struct: two flash operations.
 *  A cut between them leaves it blank. Errors: IO. */
KEDGE_NODISCARD enum kedge_err sim_otadata_write(struct sim_flash *flash,
                                                 const struct sim_layout *layout, int index,
                                                 const struct kedge_otadata_record *record);
