/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/otadata.h"
#include "kedge/sigblock.h"
#include "sim/layout.h"

/*
 * The boot ROM and second-stage bootloader of ESP-IDF (docs/esp-idf.md 2.3 and 2.4), weaknesses
 * included: one attempt per image, states outside the CRC, a fallback that leaves otadata alone.
 * Decides on its own; shares only byte layouts (formats/) and hashing (crypto/) with the agent.
 */

#define SIM_TRUSTED_KEYS KEDGE_SIG_MAX_BLOCKS

/** Secure Boot V2: digests of the keys that were burnt into eFuse. */
struct sim_secure_boot {
    uint32_t key_count; /**< 0 = Secure Boot is off; the ESP32 has room for one */
    uint8_t key_digests[SIM_TRUSTED_KEYS][KEDGE_SHA256_SIZE];
};

/** How the bootloader was built, and on what chip it runs. */
struct sim_bootloader {
    uint16_t chip_id;
    uint16_t chip_rev_full; /**< major * 100 + minor */
    bool rollback;          /**< CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE, of the bootloader's build */
    bool anti_rollback;     /**< CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK; implies rollback */
    struct sim_secure_boot secure_boot;
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

/** esp_efuse_update_secure_version: one eFuse bit per step, of which a chip has 4 to 32. Errors:
 *  RANGE (more than that; the floor stays). Below the floor nothing happens. */
KEDGE_NODISCARD enum kedge_err sim_boot_raise_floor(const struct sim_boot_env *env,
                                                    uint32_t secure_version);

/**
 * One run of the bootloader, from reset to the jump into an app. Writes otadata where the real one
 * does. Errors: NOT_FOUND (nothing boots: the real one resets for ever), RANGE (otadata partition
 * under 8 KiB, fatal in the real one), IO (the power failed meanwhile).
 */
KEDGE_NODISCARD enum kedge_err sim_boot_run(const struct sim_boot_env *env, struct sim_boot *boot);

/**
 * Check the app image in a region as bootloader and esp_ota_end do: parse, checksum, chip id and
 * revision, appended SHA-256. With Secure Boot the signature sector stands for the last: a block
 * that a trusted key signed, of those that the chip looks at; the appended SHA-256 is then ignored,
 * as there. *info may be NULL. Errors: MISMATCH, IO.
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
