/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/err.h"
#include "kedge/image.h"
#include "kedge/message.h"
#include "kedge/otadata.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KEDGE_NO_SLOT UINT8_MAX

/** What the platform knows at boot; read once by the agent, before anything else. */
struct kedge_boot_facts {
    uint8_t running_slot; /**< index of the slot that runs (esp_ota_get_running_partition) */
    uint8_t boot_slot; /**< slot otadata names (esp_ota_get_boot_partition); KEDGE_NO_SLOT = none */
    uint8_t slot_count;       /**< 2 */
    uint32_t slot_size_bytes; /**< of the smaller slot */
    uint32_t running_state;   /**< enum kedge_ota_state of the running slot's record, raw */
    uint32_t target_state;    /**< the same for the other slot; UNDEFINED when it has no record */
    enum kedge_reset reset_reason;
    bool can_rollback; /**< built with rollback, as far as the app knows; the bootloader may not be:
                            the agent finds out at the first boot of an update */
    uint32_t min_secure_version; /**< eFuse anti-rollback floor; 0 without anti-rollback */
    uint16_t chip_id;
    struct kedge_app_desc running; /**< descriptor of the running image */
};

/**
 * The app slots and the boot selection, with the semantics of ESP-IDF's esp_ota_* calls. All calls
 * block; ctx is the platform's own. "slot" is never the running one, or the call returns
 * ERR_DENIED.
 */
struct kedge_plat_slots {
    /** Fill *facts. Errors: IO. */
    KEDGE_NODISCARD enum kedge_err (*describe)(void *ctx, struct kedge_boot_facts *facts);
    /** Read len bytes at offset of a slot, any alignment. Errors: RANGE, IO. */
    KEDGE_NODISCARD enum kedge_err (*read)(void *ctx, uint8_t slot, uint32_t offset, void *out,
                                           uint32_t len);
    /** esp_ota_begin / esp_ota_resume: prepare to write from offset (multiple of 4096; 0 = a new
     *  image). For 0 the slot's first sector is erased before esp_ota_begin is called: from v5.5
     *  that erases the slot's record, and a cut can leave an ABORTED one in a state that the
     *  bootloader starts (docs/esp-idf.md 2.7.4); there must be no image then. Errors: DENIED,
     *  STATE (running image still PENDING_VERIFY), RANGE, IO. */
    KEDGE_NODISCARD enum kedge_err (*begin)(void *ctx, uint8_t slot, uint32_t offset);
    /** Erase the 4 KiB sector at offset (multiple of 4096) and write len (1..4096) bytes to it; the
     *  rest of the sector stays erased. A power cut leaves the sector torn. Errors: RANGE, IO. */
    KEDGE_NODISCARD enum kedge_err (*write)(void *ctx, uint8_t slot, uint32_t offset,
                                            const void *data, uint32_t len);
    /** esp_ota_end: verify the image in flash as the bootloader will. Errors: MISMATCH (does not
     *  verify), IO. */
    KEDGE_NODISCARD enum kedge_err (*finish)(void *ctx, uint8_t slot, uint32_t image_size);
    /** esp_ota_set_boot_partition: verify again, then name slot in otadata with state NEW. A cut
     *  before the write leaves the old selection, a cut within it may lose the record
     *  (docs/esp-idf.md 2.7.1). Errors: MISMATCH, DENIED, IO, VERSION (below the anti-rollback
     *  floor; ESP-IDF has erased the whole slot then). */
    KEDGE_NODISCARD enum kedge_err (*set_boot)(void *ctx, uint8_t slot);
    /** Where no record is active, give the running slot one that is VALID:
     * esp_ota_set_boot_partition of the running partition, then mark_app_valid. Without it a trial
     * would have nothing to go back to. A cut within leaves no active record, or one that the next
     * boot puts on trial. Errors: STATE (a record is active), IO. */
    KEDGE_NODISCARD enum kedge_err (*restore_record)(void *ctx);
    /** esp_ota_mark_app_valid_cancel_rollback. Errors: STATE, RANGE (it is confirmed, but eFuse has
     *  no bit left to raise the anti-rollback floor), IO. */
    KEDGE_NODISCARD enum kedge_err (*mark_valid)(void *ctx);
    /** esp_ota_mark_app_invalid_rollback: otadata then names the other slot; the agent asks for the
     *  reboot itself. Called while the running image is on trial, and when the slot that otadata
     *  names did not boot twice: that record is the active one then. Errors: STATE (nothing to go
     *  back to), IO. */
    KEDGE_NODISCARD enum kedge_err (*mark_invalid)(void *ctx);
};

#ifdef __cplusplus
}
#endif
