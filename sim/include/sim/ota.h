/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/bootmodel.h"

/*
 * The app's side of otadata: esp_ota_* of ESP-IDF (docs/esp-idf.md 2.5), each with the effects of
 * the release that it models, the harmful ones included. What a careful port adds is not here.
 */
enum sim_idf {
    SIM_IDF_5_3, /**< begin leaves the old record of the slot that it overwrites */
    SIM_IDF_5_5, /**< begin erases that record */
    SIM_IDF_6_0  /**< set_boot rewrites the active record in place if it names the slot already */
};

struct sim_ota {
    struct sim_boot_env env;
    enum sim_idf idf;
    bool rollback; /**< the app was built with it, maybe not its bootloader: docs/esp-idf.md 1 a3 */
    int running;   /**< slot that runs, as struct sim_boot has it */
};

/** esp_ota_begin with sequential writes. Errors: DENIED (slot runs), STATE (the running image is on
 *  trial), ARG (no such slot). Failing to erase the old record is ignored, as there. */
KEDGE_NODISCARD enum kedge_err sim_ota_begin(const struct sim_ota *ota, uint32_t slot);
/** esp_ota_resume: neither the trial check nor the erased record. Errors: DENIED, ARG. */
KEDGE_NODISCARD enum kedge_err sim_ota_resume(const struct sim_ota *ota, uint32_t slot);
/** One sector: erase, then write len bytes padded with FF to 16. Errors: RANGE, ALIGN, MAGIC (the
 *  first byte of an image is not E9), IO. */
KEDGE_NODISCARD enum kedge_err sim_ota_write_sector(const struct sim_ota *ota, uint32_t slot,
                                                    uint32_t offset, const void *data,
                                                    uint32_t len);
/** esp_ota_end. Errors: MISMATCH, IO, ARG. */
KEDGE_NODISCARD enum kedge_err sim_ota_end(const struct sim_ota *ota, uint32_t slot);
/** esp_ota_set_boot_partition, of the running slot too. Errors: MISMATCH, IO, ARG; VERSION (below
 *  the anti-rollback floor: the slot is erased then, all of it). */
KEDGE_NODISCARD enum kedge_err sim_ota_set_boot(const struct sim_ota *ota, uint32_t slot);
/** esp_ota_mark_app_valid_cancel_rollback: confirms the ACTIVE record, whatever runs, and
 *  raises the floor to what runs. Errors: STATE (there is none), IO, RANGE (confirmed, but eFuse
 * has no bits for the secure version). */
KEDGE_NODISCARD enum kedge_err sim_ota_mark_valid(const struct sim_ota *ota);
/** esp_ota_mark_app_invalid_rollback, without asking whether the image is on trial. Errors: STATE
 *  (nothing to go back to), IO. */
KEDGE_NODISCARD enum kedge_err sim_ota_mark_invalid(const struct sim_ota *ota);

/** esp_ota_get_state_partition: state of the first record with that slot and a good CRC. Errors:
 *  NOT_FOUND, IO. */
KEDGE_NODISCARD enum kedge_err sim_ota_get_state(const struct sim_ota *ota, uint32_t slot,
                                                 uint32_t *state);
/** Slot that the active record names. Errors: NOT_FOUND (no active record), IO. */
KEDGE_NODISCARD enum kedge_err sim_ota_get_boot_slot(const struct sim_ota *ota, uint32_t *slot);
