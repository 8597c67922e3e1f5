/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "esp_err.h"
#include "kedge/plat/system.h"
#include "kedge/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Kedge's agent as an ESP-IDF component, for ESP-IDF 5.1 to 6.0. It starts two tasks: "kedge",
 * which runs the agent and writes flash, and "kedge_http", which waits for the OTA server. esp-mqtt
 * brings its own.
 */

/** Where the files that device.json names are looked for, and what is called back. Strings and
 *  function pointers are borrowed for ever. Zero in a field means what its comment says. */
struct kedge_start_config {
    /** Folder in which the application has mounted the storage partition, "/storage"; NULL = it
     *  did not mount: the agent runs on defaults (safe mode) and says so. */
    const char *storage_path;
    /** Settings to fall back on; NULL = those of menuconfig (Kedge), see kedge_start_defaults. */
    const struct kedge_settings *defaults;
    /** PEM texts to use where the storage partition has no such file; NULL = none. */
    const char *fallback_ca;
    const char *fallback_certificate;
    const char *fallback_key;

    /** During a trial, again and again until it is not PENDING: does the application work? NULL =
     *  yes. In the kedge task, must not block. */
    enum kedge_self_test (*self_test)(void *ctx);
    /** May this update be taken now? false = ask again at the next poll. NULL = always. In the
     *  kedge task, must not block. */
    bool (*may_update)(void *ctx, const struct kedge_offer *offer);
    /** Add what only the application knows: rssi_dbm, a temperature as measured (calibration is
     *  applied behind it), and unix_s once the clock is right. NULL = none of these. In the kedge
     *  task, must not block. */
    void (*vitals)(void *ctx, struct kedge_vitals *vitals);
    void *ctx; /**< handed to the three above */
};

/**
 * Start the agent. Call once, from app_main, after esp_netif_init, esp_event_loop_create_default
 * and the mount of the storage partition; the network may come up before or after. While an image
 * is on trial nothing else may call esp_ota_mark_app_valid_cancel_rollback.
 *
 * Blocks for some flash reads. The tasks then live for ever.
 *
 * Errors: INVALID_STATE (called twice), INVALID_ARG (config is NULL, or the defaults do not pass
 * kedge_settings_check: the log says which member), NOT_FOUND (no partition of type 0x40, subtype
 * 0x00 with 8 KiB or more), and those of esp_event_handler_instance_register.
 */
esp_err_t kedge_start(const struct kedge_start_config *config);

/** Settings as menuconfig has them. device_id is "esp-" and the factory MAC address in hex where
 *  CONFIG_KEDGE_DEVICE_ID is empty. Errors: those of esp_efuse_mac_get_default. */
esp_err_t kedge_start_defaults(struct kedge_settings *out);

#ifdef __cplusplus
}
#endif
