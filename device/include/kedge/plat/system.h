/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/message.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Readings of the moment. */
struct kedge_vitals {
    uint32_t free_heap_bytes;
    uint32_t min_free_heap_bytes;
    uint32_t largest_block_bytes;
    int8_t rssi_dbm;
    bool has_temperature;
    int32_t temperature_mc;
    /** For the trial gate: the storage partition is mounted and readable, and this firmware takes
     *  the configuration that is there (kedge_settings_storage_ok). */
    bool storage_ok;
    enum kedge_config_source config_source;
    int64_t unix_s; /**< 0 = the clock is not set */
};

/** An offered update, for the application's veto. Strings and digest are borrowed for the call. */
struct kedge_offer {
    const char *version;
    const uint8_t *sha256;
    uint32_t size_bytes;
    bool force;
};

enum kedge_self_test {
    KEDGE_SELF_TEST_PENDING,
    KEDGE_SELF_TEST_PASSED,
    KEDGE_SELF_TEST_FAILED
};

/** Everything else a platform and its application provide. Non-blocking. */
struct kedge_plat_system {
    /** Uniform 32 bits; need not be cryptographic (back-off jitter, attempt and boot ids). */
    uint32_t (*random)(void *ctx);
    void (*vitals)(void *ctx, struct kedge_vitals *out);
    /** The application allows this update now. false defers it; the agent asks again at the next
     *  poll. May be NULL = always. */
    bool (*may_update)(void *ctx, const struct kedge_offer *offer);
    /** The application's own check during a trial. May be NULL = passed. */
    enum kedge_self_test (*self_test)(void *ctx);
};

/** One line: a stable event name and key=value text. Borrowed for the call. */
struct kedge_plat_log {
    void (*write)(void *ctx, enum kedge_log_level level, const char *event, const char *text);
    /** A command has changed the level: of the agent, and of whatever else the platform logs. May
     *  be NULL. */
    void (*set_level)(void *ctx, enum kedge_log_level level);
};

#ifdef __cplusplus
}
#endif
