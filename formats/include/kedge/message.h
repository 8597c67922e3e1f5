/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The JSON messages between device and server: telemetry, life-cycle reports, commands. */

#define KEDGE_DEVICE_ID_SIZE 65u  /**< 64 characters and NUL */
#define KEDGE_MESSAGE_MAX    640u /**< longest message we write; longer input is refused */

/** 1..64 characters of [A-Za-z0-9._-], not starting with '.' or '-': safe as CN, topic and file
 * name. */
bool kedge_device_id_ok(const char *text, size_t len);

/** Ids that start so are the system's own accounts at the broker, never devices: its ACL gives them
 *  more than a device's rights. */
#define KEDGE_SERVICE_PREFIX "svc-"

/** Reset reasons, esp_reset_reason_t: X(NAME, value, text as telemetry carries it). */
#define KEDGE_RESET_MAP(X)                                                                         \
    X(UNKNOWN, 0, "unknown")                                                                       \
    X(POWERON, 1, "poweron")                                                                       \
    X(EXT, 2, "ext")                                                                               \
    X(SW, 3, "sw")                                                                                 \
    X(PANIC, 4, "panic")                                                                           \
    X(INT_WDT, 5, "int_wdt")                                                                       \
    X(TASK_WDT, 6, "task_wdt")                                                                     \
    X(WDT, 7, "wdt")                                                                               \
    X(DEEPSLEEP, 8, "deepsleep")                                                                   \
    X(BROWNOUT, 9, "brownout")                                                                     \
    X(SDIO, 10, "sdio")                                                                            \
    X(USB, 11, "usb")                                                                              \
    X(JTAG, 12, "jtag")                                                                            \
    X(EFUSE, 13, "efuse")                                                                          \
    X(PWR_GLITCH, 14, "pwr_glitch")                                                                \
    X(CPU_LOCKUP, 15, "cpu_lockup")

enum kedge_reset {
#define X(name, value, text) KEDGE_RESET_##name = value,
    KEDGE_RESET_MAP(X)
#undef X
};

const char *kedge_reset_text(enum kedge_reset reason);
/** Panic, the watchdogs and CPU lock-up: the firmware's own fault. */
bool kedge_reset_is_crash(enum kedge_reset reason);
/** Power-on, brown-out and power glitch: not the firmware's fault. */
bool kedge_reset_is_power(enum kedge_reset reason);

/** Where a device has its configuration from (kedge/settings.h): X(NAME, text). */
#define KEDGE_CONFIG_SOURCE_MAP(X)                                                                 \
    X(UNKNOWN, "unknown")                                                                          \
    X(DEVICE, "device")       /* device.json */                                                    \
    X(FACTORY, "factory")     /* device.json is absent or refused: factory.json */                 \
    X(SAFE_MODE, "safe_mode") /* neither: what the firmware was built with */

enum kedge_config_source {
#define X(name, text) KEDGE_CONFIG_##name,
    KEDGE_CONFIG_SOURCE_MAP(X)
#undef X
    KEDGE_CONFIG_SOURCE_COUNT
};

const char *kedge_config_source_text(enum kedge_config_source source);

/** devices/<id>/telemetry. Fields that the device does not know stay out of the JSON. */
struct kedge_telemetry {
    char device_id[KEDGE_DEVICE_ID_SIZE];
    char firmware[KEDGE_DESC_STRING_SIZE];
    uint32_t uptime_s;
    uint32_t free_heap_bytes;
    uint32_t min_free_heap_bytes;
    uint32_t largest_block_bytes;
    int8_t rssi_dbm;
    enum kedge_reset reset_reason;
    bool has_temperature;
    int32_t temperature_mc; /**< thousandths of a degree Celsius */
    uint16_t chip_id;
    uint32_t boot_count;
    uint32_t ota_state; /**< kedge_ota_state of the running slot */
    enum kedge_config_source config_source;
    int64_t ts_s;     /**< Unix time, 0 = the device has no clock */
    uint32_t boot_id; /**< random per boot; with seq it recognises a redelivered message */
    uint32_t seq;
};

/** JSON with NUL into out; KEDGE_MESSAGE_MAX always suffices. Errors: ARG (device id or firmware is
 *  not what the parser takes), NO_SPACE. */
KEDGE_NODISCARD enum kedge_err kedge_telemetry_encode(const struct kedge_telemetry *telemetry,
                                                      char *out, size_t out_size, size_t *len_out);
/** Required: device_id, firmware, uptime, free_heap, rssi, reset_reason; the others default to
 *  0, chip to KEDGE_CHIP_INVALID, ota_state to KEDGE_OTA_UNDEFINED and config to UNKNOWN, also
 *  where the text is one that a newer device knows and we do not. Unknown members are ignored.
 * firmware is 1..32 characters of printable ASCII. Errors: SYNTAX, NOT_FOUND, RANGE, TOO_LARGE;
 * fault->what names it.
 */
KEDGE_NODISCARD enum kedge_err kedge_telemetry_parse(struct kedge_cspan json,
                                                     struct kedge_telemetry *out,
                                                     struct kedge_fault *fault);

/** Life-cycle states a device reports: X(NAME, text). */
#define KEDGE_REPORT_STATE_MAP(X)                                                                  \
    X(VERIFIED, "verified")       /* downloaded, checked, about to switch */                       \
    X(COMMITTED, "committed")     /* trial passed, marked valid */                                 \
    X(REARMED, "rearmed")         /* rolled back, not the firmware's fault, will be tried again */ \
    X(ROLLED_BACK, "rolled_back") /* rolled back, sha is BAD */                                    \
    X(REJECTED, "rejected")       /* never booted: bad download, wrong chip …; sha is BAD */     \
    X(DEFERRED, "deferred")       /* not now: the application, or too little memory */

enum kedge_report_state {
#define X(name, text) KEDGE_REPORT_##name,
    KEDGE_REPORT_STATE_MAP(X)
#undef X
    KEDGE_REPORT_STATE_COUNT
};

/** Causes: X(NAME, text). */
#define KEDGE_CAUSE_MAP(X)                                                                         \
    X(NONE, "none")                                                                                \
    X(POWER, "power") /* power was cut during the trial */                                         \
    X(PANIC, "panic")                                                                              \
    X(WATCHDOG, "watchdog")                                                                        \
    X(RESTART, "restart")     /* the image on trial restarted or slept before it was proven */     \
    X(STORAGE, "storage")     /* trial gate: storage not mounted */                                \
    X(NETWORK, "network")     /* trial gate: no network */                                         \
    X(SERVER, "server")       /* trial gate: OTA server did not answer */                          \
    X(BROKER, "broker")       /* trial gate: telemetry was not acknowledged */                     \
    X(HEAP, "heap")           /* trial gate, or offer deferred: heap under the floor */            \
    X(SELF_TEST, "self_test") /* trial gate: the application's own check */                        \
    X(INFRASTRUCTURE, "infrastructure") /* the old image has no connection either */               \
    X(NOT_BOOTABLE, "not_bootable")     /* the bootloader did not start the new slot */            \
    X(REARM_LIMIT, "rearm_limit")       /* interrupted too often */                                \
    X(HASH, "hash")                     /* whole-file SHA-256 differs */                           \
    X(IMAGE, "image")                   /* not a valid app image */                                \
    X(CHIP, "chip")                                                                                \
    X(PROJECT, "project")                                                                          \
    X(VERSION, "version")               /* the image is not the version that was offered */        \
    X(SECURE_VERSION, "secure_version") /* below the anti-rollback floor */                        \
    X(SIZE, "size")                     /* larger than the slot */                                 \
    X(FLASH, "flash")                   /* erase, write or verify failed */                        \
    X(VETO, "veto")                                                                                \
    X(KNOWN_BAD, "known_bad")     /* on the device's BAD list from an earlier attempt */           \
    X(NO_ROLLBACK, "no_rollback") /* with COMMITTED: the trial ran without a net, because the      \
                                     bootloader cannot roll back; told once */

enum kedge_cause {
#define X(name, text) KEDGE_CAUSE_##name,
    KEDGE_CAUSE_MAP(X)
#undef X
    KEDGE_CAUSE_COUNT
};

const char *kedge_report_state_text(enum kedge_report_state state);
const char *kedge_cause_text(enum kedge_cause cause);

/** Body of POST /ota/report. */
struct kedge_report {
    uint32_t attempt; /**< one update attempt of one device; not 0 */
    uint32_t seq;     /**< 1, 2, 3 … within the attempt */
    char from[KEDGE_DESC_STRING_SIZE];
    char to[KEDGE_DESC_STRING_SIZE];
    uint8_t sha256[KEDGE_SHA256_SIZE]; /**< of the offered file: the ETag */
    enum kedge_report_state state;
    enum kedge_cause cause;
    uint32_t detail; /**< cause-specific: reset reason, re-arm count, missing gate bits … */
};

/** JSON with NUL into out; KEDGE_MESSAGE_MAX always suffices. Errors: ARG (a field that the parser
 *  would refuse), NO_SPACE. */
KEDGE_NODISCARD enum kedge_err kedge_report_encode(const struct kedge_report *report, char *out,
                                                   size_t out_size, size_t *len_out);
/** All members required but detail; from and to are at most 32 characters of printable ASCII.
 * Errors: SYNTAX, NOT_FOUND, RANGE, TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err kedge_report_parse(struct kedge_cspan json, struct kedge_report *out,
                                                  struct kedge_fault *fault);

/** What a device logs: this and whatever is more severe. */
enum kedge_log_level {
    KEDGE_LOG_NONE,
    KEDGE_LOG_ERROR,
    KEDGE_LOG_WARN,
    KEDGE_LOG_INFO,
    KEDGE_LOG_DEBUG
};

/** devices/<id>/cmd. */
enum kedge_command_kind {
    KEDGE_COMMAND_CHECK_NOW,          /**< {"cmd":"check-now"} */
    KEDGE_COMMAND_LOG_LEVEL,          /**< {"cmd":"log-level","value":enum kedge_log_level} */
    KEDGE_COMMAND_TELEMETRY_INTERVAL, /**< {"cmd":"telemetry-interval","value":seconds 1..86400} */
    KEDGE_COMMAND_KIND_COUNT
};

struct kedge_command {
    enum kedge_command_kind kind;
    uint32_t value;
};

/** JSON with NUL into out. Errors: ARG (kind or value out of range), NO_SPACE. */
KEDGE_NODISCARD enum kedge_err kedge_command_encode(const struct kedge_command *command, char *out,
                                                    size_t out_size, size_t *len_out);
/** Errors: SYNTAX, NOT_FOUND, RANGE (unknown cmd, value out of its range), TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err
kedge_command_parse(struct kedge_cspan json, struct kedge_command *out, struct kedge_fault *fault);

#ifdef __cplusplus
}
#endif
