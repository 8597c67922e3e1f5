/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/fleet.h"
#include "kedge/crash.h"
#include "kedge/err.h"
#include "kedge/message.h"

/*
 * The only seam to a database: rows in, rows out, explicit transactions. Everything is loaded at
 * start and kept in RAM by the domain; the store is written, and read again only for reports, audit
 * and telemetry. Times are Unix milliseconds, 0 = never; digests are lower-case hex.
 *
 * Errors of every call unless said otherwise: BUSY (another process holds the database), NO_SPACE
 * (disk full), IO (logged with the database's own text).
 */
#define SRV_SHA256_HEX_SIZE 65u
#define SRV_ACTOR_SIZE      65u
#define SRV_CHIP_SIZE       16u
#define SRV_NOTES_SIZE      513u
#define SRV_CAPS_SIZE       129u
#define SRV_CAUSE_SIZE      32u
#define SRV_ACTION_SIZE     32u
#define SRV_ADDRESS_SIZE    64u
#define SRV_SUBJECT_SIZE    129u

struct srv_store; /* owned by whoever opened it */

/** Open or create the database and bring its schema up to date. Errors also: VERSION (written by a
 *  newer kedged; nothing was changed). Failures are logged with what to do. */
KEDGE_NODISCARD enum kedge_err srv_store_open(const char *path, struct srv_store **out);
void srv_store_close(struct srv_store *store);

/** Transactions do not nest. commit that fails has rolled back; rollback cannot fail. */
KEDGE_NODISCARD enum kedge_err srv_store_begin(struct srv_store *store);
KEDGE_NODISCARD enum kedge_err srv_store_commit(struct srv_store *store);
void srv_store_rollback(struct srv_store *store);
bool srv_store_in_transaction(const struct srv_store *store);

struct srv_release_row {
    int64_t id;
    char sha256[SRV_SHA256_HEX_SIZE]; /**< of the file: name under releases/ and ETag */
    char project[KEDGE_DESC_STRING_SIZE];
    char chip[SRV_CHIP_SIZE];
    char version[KEDGE_DESC_STRING_SIZE];
    uint32_t secure_version;
    uint32_t size;
    char elf_sha256[SRV_SHA256_HEX_SIZE];
    char notes[SRV_NOTES_SIZE];
    int64_t created_at;
    char created_by[SRV_ACTOR_SIZE];
};

/** *id is the new row's. Errors also: DUPLICATE (sha256, or project + chip + version). */
KEDGE_NODISCARD enum kedge_err
srv_store_release_insert(struct srv_store *store, const struct srv_release_row *row, int64_t *id);
/** Calls each for every release, oldest first; the row is borrowed for the call. */
KEDGE_NODISCARD enum kedge_err
srv_store_release_each(struct srv_store *store,
                       void (*each)(void *ctx, const struct srv_release_row *row), void *ctx);

/** The measured part of a telemetry message. */
struct srv_telemetry_values {
    uint32_t uptime_s;
    uint32_t free_heap_bytes;
    uint32_t min_free_heap_bytes;
    uint32_t largest_block_bytes;
    int32_t rssi_dbm;
    enum kedge_reset reset_reason;
    bool has_temperature;
    int32_t temperature_mc;
    uint32_t boot_count;
};

struct srv_device_row {
    char id[KEDGE_DEVICE_ID_SIZE];
    char chip[SRV_CHIP_SIZE];              /**< "" = not known yet */
    char cert_sha256[SRV_SHA256_HEX_SIZE]; /**< "" = any certificate of our CA with that CN */
    int64_t created_at;
    int64_t revoked_at;
    int64_t first_seen;
    int64_t last_seen;
    char version[KEDGE_DESC_STRING_SIZE];
    char elf_sha256[SRV_SHA256_HEX_SIZE];
    int64_t version_since;
    uint32_t slot_size;
    uint32_t secure_version;
    char boot_caps[SRV_CAPS_SIZE];
    char link[8]; /**< "online", "offline", "" = never told: the broker's view */
    int64_t link_since;
    int64_t telemetry_at;
    struct srv_telemetry_values telemetry; /**< of telemetry_at */
};

/** Errors also: DUPLICATE. */
KEDGE_NODISCARD enum kedge_err srv_store_device_insert(struct srv_store *store,
                                                       const struct srv_device_row *row);
/** Write all but id and created_at. Errors also: NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err srv_store_device_update(struct srv_store *store,
                                                       const struct srv_device_row *row);
/** By id, rising. */
KEDGE_NODISCARD enum kedge_err
srv_store_device_each(struct srv_store *store,
                      void (*each)(void *ctx, const struct srv_device_row *row), void *ctx);

struct srv_rollout_row {
    int64_t id;
    int64_t release_id;
    struct fleet_plan plan;
    bool force;
    bool allow_no_rollback;
    enum fleet_rollout_state state;
    uint32_t stage;
    char halt_reason[1024]; /**< JSON object; "" = was never halted */
    char created_by[SRV_ACTOR_SIZE];
    int64_t created_at;
    int64_t progress_at; /**< last confirmation, or start of the stage */
    int64_t halted_at;
    int64_t ended_at; /**< completed or aborted */
};

KEDGE_NODISCARD enum kedge_err
srv_store_rollout_insert(struct srv_store *store, const struct srv_rollout_row *row, int64_t *id);
/** Write state, stage, halt_reason and the times. Errors also: NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err srv_store_rollout_update(struct srv_store *store,
                                                        const struct srv_rollout_row *row);
/** Oldest first. Errors also: SYNTAX (a state or plan that this kedged does not know). */
KEDGE_NODISCARD enum kedge_err
srv_store_rollout_each(struct srv_store *store,
                       void (*each)(void *ctx, const struct srv_rollout_row *row), void *ctx);

struct srv_member_row {
    int64_t rollout_id;
    char device_id[KEDGE_DEVICE_ID_SIZE];
    uint32_t position;
    uint32_t stage;
    enum fleet_member_state state;
    uint32_t attempt; /**< of the last report */
    int64_t offered_at;
    int64_t heard_at;
    int64_t changed_at;         /**< of state */
    char cause[SRV_CAUSE_SIZE]; /**< why it failed or was set back; "" = it was not */
    uint32_t downloads;         /**< answers that began at byte 0 */
    uint64_t bytes_sent;
    bool acknowledged; /**< its failure was acknowledged by a resume: no longer counted */
};

/** Insert or replace. */
KEDGE_NODISCARD enum kedge_err srv_store_member_put(struct srv_store *store,
                                                    const struct srv_member_row *row);
/** Mark every failed member of the rollout as acknowledged. */
KEDGE_NODISCARD enum kedge_err srv_store_member_acknowledge(struct srv_store *store,
                                                            int64_t rollout_id);
/** By rollout, then position. Errors also: SYNTAX. */
KEDGE_NODISCARD enum kedge_err
srv_store_member_each(struct srv_store *store,
                      void (*each)(void *ctx, const struct srv_member_row *row), void *ctx);

struct srv_report_row {
    char device_id[KEDGE_DEVICE_ID_SIZE];
    int64_t received_at;
    struct kedge_report report;
};

/** Insert, or replace the one with the same (device, attempt, seq). */
KEDGE_NODISCARD enum kedge_err srv_store_report_put(struct srv_store *store,
                                                    const struct srv_report_row *row);
/** Errors also: NOT_FOUND, SYNTAX. */
KEDGE_NODISCARD enum kedge_err srv_store_report_get(struct srv_store *store, const char *device_id,
                                                    uint32_t attempt, uint32_t seq,
                                                    struct srv_report_row *out);

/** Strings are borrowed; detail is a JSON object. */
struct srv_audit_row {
    int64_t id;
    int64_t ts;
    const char *actor;
    const char *address;
    const char *action;
    const char *subject;
    const char *detail;
};

/** Ids rise and are never used again. */
KEDGE_NODISCARD enum kedge_err srv_store_audit_insert(struct srv_store *store,
                                                      const struct srv_audit_row *row);
/** At most limit rows with an id above after, oldest first. */
KEDGE_NODISCARD enum kedge_err
srv_store_audit_each(struct srv_store *store, int64_t after, uint32_t limit,
                     void (*each)(void *ctx, const struct srv_audit_row *row), void *ctx);

struct srv_telemetry_row {
    char device_id[KEDGE_DEVICE_ID_SIZE];
    int64_t ts;
    uint32_t boot_id, seq;
    char firmware[KEDGE_DESC_STRING_SIZE];
    struct srv_telemetry_values values;
};

/** *is_duplicate: that message is stored already, nothing was written. */
KEDGE_NODISCARD enum kedge_err srv_store_telemetry_insert(struct srv_store *store,
                                                          const struct srv_telemetry_row *row,
                                                          bool *is_duplicate);
/** At most limit rows of a device, newest first. */
KEDGE_NODISCARD enum kedge_err
srv_store_telemetry_each(struct srv_store *store, const char *device_id, uint32_t limit,
                         void (*each)(void *ctx, const struct srv_telemetry_row *row), void *ctx);
/** Delete what a device sent before that time. */
KEDGE_NODISCARD enum kedge_err srv_store_telemetry_prune(struct srv_store *store,
                                                         const char *device_id, int64_t before);

#define SRV_BACKTRACE_SIZE                                                                         \
    (KEDGE_CRASH_BACKTRACE_MAX * 9u) /**< addresses as the message has them */

struct srv_crash_row {
    int64_t id;
    char device_id[KEDGE_DEVICE_ID_SIZE];
    char sha256[SRV_SHA256_HEX_SIZE]; /**< of the dump: with the device, the crash's identity */
    uint32_t size;
    int64_t received_at;
    int64_t completed_at;                 /**< 0 = bytes of the dump are missing */
    bool has_dump;                        /**< false: its file was removed to make room */
    char version[KEDGE_DESC_STRING_SIZE]; /**< that crashed */
    bool is_matched; /**< version is the release's that has elf_sha256; else the reporter's */
    char reporter[KEDGE_DESC_STRING_SIZE];
    enum kedge_reset reset_reason;
    char task[KEDGE_CRASH_TASK_SIZE];
    uint32_t pc;
    char elf_sha256[KEDGE_CRASH_ELF_SIZE];
    char backtrace[SRV_BACKTRACE_SIZE];
};

/** *id is the new row's; ids are never used again. Errors also: DUPLICATE (device and sha256). */
KEDGE_NODISCARD enum kedge_err srv_store_crash_insert(struct srv_store *store,
                                                      const struct srv_crash_row *row, int64_t *id);
/** Write completed_at and has_dump. Errors also: NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err srv_store_crash_update(struct srv_store *store,
                                                      const struct srv_crash_row *row);
KEDGE_NODISCARD enum kedge_err srv_store_crash_delete(struct srv_store *store, int64_t id);
/** Errors also: NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err srv_store_crash_get(struct srv_store *store, const char *device_id,
                                                   const char *sha256, struct srv_crash_row *out);
/** Errors also: NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err srv_store_crash_by_id(struct srv_store *store, int64_t id,
                                                     struct srv_crash_row *out);
/** At most limit crashes, newest first. */
KEDGE_NODISCARD enum kedge_err
srv_store_crash_each(struct srv_store *store, uint32_t limit,
                     void (*each)(void *ctx, const struct srv_crash_row *row), void *ctx);
/** The same, of one device. */
KEDGE_NODISCARD enum kedge_err
srv_store_crash_each_of(struct srv_store *store, const char *device_id, uint32_t limit,
                        void (*each)(void *ctx, const struct srv_crash_row *row), void *ctx);
