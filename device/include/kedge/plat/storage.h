/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "kedge/err.h"
#include "kedge/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KEDGE_STORAGE_NAME_SIZE 32u /**< 31 characters and NUL */

/**
 * The storage partition: a few small files in one folder, with what LittleFS guarantees. Mounted by
 * the platform before the agent starts and left alone by every update. KEDGE_SETTINGS_FACTORY_FILE
 * is written in production, never by a device: write, rename and remove refuse it.
 *
 * There is no call that formats, on purpose. A partition that does not mount stays as it is: what
 * is in it may be the only copy of this device's key, and a later firmware may be able to read it.
 * On ESP-IDF: format_if_mount_failed = false, and no call of esp_littlefs_format anywhere.
 *
 * name: 1..31 characters, no folders. All calls block. While not mounted they return ERR_STATE.
 */
struct kedge_plat_storage {
    bool (*mounted)(void *ctx);
    /** The whole file into out. Errors: NOT_FOUND, TOO_LARGE (than size), IO. */
    KEDGE_NODISCARD enum kedge_err (*read)(void *ctx, const char *name, void *out, uint32_t size,
                                           uint32_t *len);
    /** Make the file hold these bytes: open, write, fsync, close. Durable when it returns OK. A cut
     *  leaves this file absent, empty, cut short, as it was or complete; every other file as it
     *  was. Errors: DENIED, NO_SPACE, IO. */
    KEDGE_NODISCARD enum kedge_err (*write)(void *ctx, const char *name, const void *data,
                                            uint32_t len);
    /** Give a file another name; a file that has it is replaced. Atomic and durable: a cut leaves
     *  either all as it was or all as asked for. Errors: NOT_FOUND, DENIED, IO. */
    KEDGE_NODISCARD enum kedge_err (*rename)(void *ctx, const char *from, const char *to);
    /** Atomic and durable as rename. Errors: NOT_FOUND, DENIED, IO. */
    KEDGE_NODISCARD enum kedge_err (*remove)(void *ctx, const char *name);
};

#ifdef __cplusplus
}
#endif
