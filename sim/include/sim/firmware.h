/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"
#include "kedge/image.h"
#include "kedge/message.h"

/*
 * What a demo firmware does is written in its image, behind the descriptor: the magic, then lines
 * `key=value`, then a NUL and filler. The board executes what it downloaded; no flag says
 * otherwise. Everything is strict: an image with an unknown key panics at boot, so that a typo
 * cannot lie.
 */
#define SIM_FIRMWARE_MAGIC       "KEDGEFW1"
#define SIM_FIRMWARE_TEXT_MAX    1024u
#define SIM_FIRMWARE_WATCHDOG_MS 5000u /**< CONFIG_ESP_TASK_WDT_TIMEOUT_S */
#define SIM_NEVER                UINT64_MAX

struct sim_firmware {
    uint64_t panic_at_boot_ms; /**< times count from boot; SIM_NEVER = does not happen */
    uint64_t hang_at_ms;       /**< the main task stops; the task watchdog resets */
    uint64_t restart_at_ms;    /**< esp_restart, confirmed or not */
    uint64_t free_heap;        /**< bytes at boot */
    uint64_t heap_leak_per_s;  /**< bytes; an allocation fails, and panics, when little is left */
    bool no_broker;            /**< cannot reach the MQTT broker */
    bool no_server;            /**< cannot reach the OTA server */
    bool storage_broken;       /**< the storage partition does not mount */
    bool self_test_fails;
};

/** Behaviour from the bytes behind a descriptor. Errors: MAGIC (not a demo image), SYNTAX,
 *  NOT_FOUND (unknown key), DUPLICATE, RANGE, TOO_LARGE; fault->at is the line, 0 for the whole. */
KEDGE_NODISCARD enum kedge_err sim_firmware_parse(struct kedge_cspan payload,
                                                  struct sim_firmware *firmware,
                                                  struct kedge_fault *fault);

/** Free heap after so long, 0 when exhausted. */
uint64_t sim_firmware_free_heap(const struct sim_firmware *firmware, uint64_t uptime_ms);

/** What a firmware does to itself, and when. */
struct sim_due {
    uint64_t at_ms;          /**< since boot; SIM_NEVER = nothing */
    bool hangs;              /**< stands still from then on, and resets WATCHDOG_MS later */
    enum kedge_reset reason; /**< of the reset */
};

struct sim_due sim_firmware_due(const struct sim_firmware *firmware);

/** What to build. Strings are borrowed. */
struct sim_image_spec {
    const char *version;
    const char *project;
    uint16_t chip_id;
    uint32_t secure_version;
    uint32_t size_bytes;   /**< of the file, a multiple of 16; 0 = as small as possible */
    const char *behaviour; /**< lines `key=value\n`; "" = does what it should */
};

/** Build an app image that ESP-IDF's own tools accept, appended to out. app_elf_sha256 covers
 *  version and payload. Errors: those of sim_firmware_parse for behaviour; ARG (strings over 31
 *  characters), TOO_LARGE (size_bytes does not hold the behaviour, or is no multiple of 16). */
KEDGE_NODISCARD enum kedge_err sim_firmware_build(const struct sim_image_spec *spec,
                                                  struct host_buf *out, struct kedge_fault *fault);
