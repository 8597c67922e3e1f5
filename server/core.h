/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cjson/cJSON.h>

#include "host/loop.h"
#include "http.h"
#include "ingest.h"
#include "kedged.h"
#include "store/store.h"

/*
 * The domain's model: everything that a poll needs is in RAM, loaded at start. A change is written
 * first, in one transaction with its audit row, and taken over in RAM only when that has committed.
 * Single-threaded; private to the domain's files and their tests.
 */
#define SRV_GUARD_TICK_MS   250u
#define SRV_FLUSH_MS        5000u
#define SRV_PRUNE_BATCH     50u    /* devices whose telemetry is pruned per flush */
#define SRV_MAX_FULL_LOADS  5u     /* whole downloads without an update: it is going in circles */
#define SRV_REFUSALS        256u   /* address + reason pairs whose refusals are counted */
#define SRV_REFUSAL_WAIT_MS 60000u /* one audit row per pair and minute */
#define SRV_CRASH_SIZE_MAX  (1024u * 1024u) /* of a core dump */
#define SRV_CRASH_PIECE_MAX 16384u          /* of one request; devices send 4096 */
#define SRV_CRASH_DUMPS     8u              /* kept per device; the oldest goes first */
#define SRV_CRASH_ROWS      64u             /* crashes known per device, dump or not */
#define SRV_CRASH_PER_HOUR  16u             /* new ones of one device: a boot loop fills no disk */
#define SRV_GUARD_EPOCH_MS  (1ull << 40)    /* so that no difference of guard times underflows */

struct srv_release {
    struct srv_release_row row;
    struct srv_mapping *mapping; /* one reference is ours; NULL until it is first served */
};

struct srv_rollout;
struct srv_device;

struct srv_member {
    struct srv_member_row row;
    struct srv_rollout *rollout;
    struct srv_device *device;
    struct srv_member *older; /* of the same device */
    uint32_t full_loads;      /* complete downloads since it was offered, this process */
    bool held; /* pending, and it is known why it cannot be offered: the stage does not wait */
    enum fleet_offer held_for; /* why; valid while held */
    bool dirty;
};

struct srv_rollout {
    struct srv_rollout_row row;
    struct srv_release *release;
    struct srv_member **members; /* by position; each owned */
    uint32_t member_count, member_capacity;
    uint32_t counts[FLEET_MAX_STAGES][FLEET_MEMBER_STATE_COUNT];
    uint32_t failures;    /* failed and not acknowledged */
    uint64_t progress_ms; /* guard clock */
};

struct srv_device {
    struct srv_device_row row;
    struct srv_device *next;    /* same hash bucket */
    struct srv_member *members; /* newest rollout first */
    uint64_t seen_ms;           /* guard clock; 0 = not since start */
    char stored_version[KEDGE_DESC_STRING_SIZE];
    bool version_known; /* some release has its version; valid at known_generation */
    uint32_t known_generation;
    bool has_offer;
    enum fleet_offer offer; /* of the last poll */
    bool dirty;
};

/* Refusals of one kind, so that an attacker cannot fill the disk with audit rows. */
struct srv_refusal_count {
    char address[SRV_ADDRESS_SIZE];
    const char *reason; /* static; NULL = free */
    char subject[SRV_SUBJECT_SIZE];
    uint64_t since_ms;
    uint32_t held_back;
};

struct srv_core_counters {
    uint64_t polls, offers, reports, refusals, bytes_sent;
    uint64_t telemetry, malformed, foreign, duplicates;
    uint64_t crashes, crash_mismatches; /* announced; dumps that did not have their hash */
};

struct srv_core {
    struct host_loop *loop;
    const struct srv_config *config; /* borrowed */
    struct srv_store *store;
    int lock_fd;
    char releases_dir[512];
    char tmp_dir[512];
    char crashes_dir[512];
    uint8_t token_sha256[KEDGE_SHA256_SIZE];
    uint64_t skew_ms; /* tests move both clocks by it */
    uint64_t opened_ms;
    bool closing;

    struct srv_release **releases; /* each owned; oldest first */
    uint32_t release_count, release_capacity;
    uint32_t release_generation; /* changes when releases do; starts at 1 */
    struct srv_device **buckets; /* bucket_count is a power of two */
    uint32_t bucket_count, device_count;
    uint32_t prune_bucket;
    struct srv_rollout **rollouts; /* each owned; oldest first */
    uint32_t rollout_count, rollout_capacity;

    struct srv_telemetry_row *batch; /* accepted, not yet committed */
    size_t batch_len, batch_capacity;
    struct srv_ingest *ingest; /* borrowed; may be NULL */
    bool ingest_up;
    struct srv_refusal_count refusals[SRV_REFUSALS];
    struct srv_core_counters counters;

    struct host_timer guard_timer, flush_timer;
    struct srv_app device_app, admin_app;
};

/* Who did it, for the audit. Borrowed. */
struct srv_actor {
    const char *name;
    const char *address;
};

/* Why something is not done, for whoever asked. */
struct srv_refusal {
    unsigned status; /* HTTP */
    char text[384];
};

/** Fills refusal; always false, so that callers can return it. */
__attribute__((format(printf, 3, 4))) bool srv_refuse(struct srv_refusal *refusal, unsigned status,
                                                      const char *format, ...);
/** The refusal for a store that failed. */
bool srv_refuse_store(struct srv_refusal *refusal, enum kedge_err err);

/* core.c */
/** Unix milliseconds, for rows. */
int64_t srv_wall_ms(const struct srv_core *core);
/** Monotonic milliseconds, for deadlines: a clock that is set does not fail a fleet. */
uint64_t srv_guard_ms(const struct srv_core *core);
/** Commit when err is OK, else roll back; what came of it. */
KEDGE_NODISCARD enum kedge_err srv_core_finish(struct srv_core *core, enum kedge_err err);
/** Write what polls changed: devices and members. Errors: as the store's; then it is tried again.
 */
KEDGE_NODISCARD enum kedge_err srv_core_flush(struct srv_core *core);

/* audit.c */
/** One row in the open transaction, unless err (of what came before in it) is an error: that is
 *  returned then. SQLite may have rolled back by itself, and the row would stand alone. detail (may
 *  be NULL) is freed. */
KEDGE_NODISCARD enum kedge_err srv_audit(struct srv_core *core, enum kedge_err err,
                                         const struct srv_actor *actor, const char *action,
                                         const char *subject, cJSON *detail);
/** A refused request: a row at once for a new address and reason (static text), afterwards one a
 *  minute with the count. */
void srv_audit_refusal(struct srv_core *core, const char *address, const char *reason,
                       const char *subject);
/** Write the counts whose minute is over; all of them when closing. */
void srv_audit_flush(struct srv_core *core);

/* devices.c */
KEDGE_NODISCARD enum kedge_err srv_devices_load(struct srv_core *core);
void srv_devices_free(struct srv_core *core);
struct srv_device *srv_device_find(const struct srv_core *core, const char *id);
/** Calls each for every device, in no order. */
void srv_devices_each(const struct srv_core *core, void (*each)(void *ctx, struct srv_device *),
                      void *ctx);
/** All device_count devices by id; free the array, not what it points to. */
struct srv_device **srv_devices_sorted(const struct srv_core *core);
/** Register. row: id, chip, cert_sha256. */
KEDGE_NODISCARD bool srv_device_add(struct srv_core *core, const struct srv_actor *actor,
                                    const struct srv_device_row *row, struct srv_refusal *refusal);
KEDGE_NODISCARD bool srv_device_revoke(struct srv_core *core, const struct srv_actor *actor,
                                       struct srv_device *device, struct srv_refusal *refusal);
/** Writes dirty devices in the open transaction, with an audit row for each new version. */
KEDGE_NODISCARD enum kedge_err srv_devices_write(struct srv_core *core);
/** After the transaction of srv_devices_write has committed. */
void srv_devices_written(struct srv_core *core);

/* releases.c, upload.c */
KEDGE_NODISCARD enum kedge_err srv_releases_load(struct srv_core *core);
void srv_releases_free(struct srv_core *core);
void srv_release_append(struct srv_core *core, const struct srv_release_row *row);
struct srv_release *srv_release_by_sha256(const struct srv_core *core, const char *sha256);
struct srv_release *srv_release_by_id(const struct srv_core *core, int64_t id);
/** The release of that version, "" chip = any. *count = how many match. */
struct srv_release *srv_release_by_version(const struct srv_core *core, const char *version,
                                           const char *chip, uint32_t *count);
/** Some release of that chip ("" = any) has that version. */
bool srv_release_knows(const struct srv_core *core, const char *version, const char *chip);
/** The chip of all releases when there is just one; else "". */
const char *srv_release_only_chip(const struct srv_core *core);
/** One reference more to the image's mapping; NULL after logging why. */
struct srv_mapping *srv_release_map(struct srv_core *core, struct srv_release *release);
/** A file of just that size for reading, with one reference; NULL: errno says why. */
struct srv_mapping *srv_map_file(const char *path, size_t size);
/** Streams POST /api/v1/releases; its app is a struct srv_core *. */
extern const struct srv_upload_ops srv_release_upload;

/* rollouts.c */
KEDGE_NODISCARD enum kedge_err srv_rollouts_load(struct srv_core *core);
void srv_rollouts_free(struct srv_core *core);
struct srv_rollout *srv_rollout_find(const struct srv_core *core, int64_t id);
struct srv_member *srv_member_find(const struct srv_device *device,
                                   const struct srv_rollout *rollout);

struct srv_rollout_request {
    const struct srv_release *release;
    struct fleet_plan plan;
    bool force;
    bool allow_no_rollback;
};
/** *out is borrowed from core. */
KEDGE_NODISCARD bool srv_rollout_create(struct srv_core *core, const struct srv_actor *actor,
                                        const struct srv_rollout_request *request,
                                        struct srv_rollout **out, struct srv_refusal *refusal);

/** What an operator can do with a rollout. */
enum srv_rollout_verb {
    SRV_ROLLOUT_PAUSE,
    SRV_ROLLOUT_RESUME,
    SRV_ROLLOUT_ABORT
};
KEDGE_NODISCARD bool srv_rollout_act(struct srv_core *core, const struct srv_actor *actor,
                                     struct srv_rollout *rollout, enum srv_rollout_verb verb,
                                     struct srv_refusal *refusal);
/** Take over a row that has been committed. */
void srv_member_apply(struct srv_member *member, const struct srv_member_row *row);
/** A member at the end of the last stage; in RAM only, not yet written. */
struct srv_member *srv_member_append(struct srv_rollout *rollout, struct srv_device *device,
                                     const struct srv_member_row *row);
/** Row of a device that joins now. */
struct srv_member_row srv_member_new_row(const struct srv_rollout *rollout,
                                         const struct srv_device *device);
/** The device has said what its bootloader can do, and rolling back is not part of it. */
bool srv_device_lacks_rollback(const struct srv_device *device);
uint32_t srv_rollout_in_flight(const struct srv_rollout *rollout);
bool srv_member_in_flight(const struct srv_member *member);
KEDGE_NODISCARD enum kedge_err srv_members_write(struct srv_core *core);
void srv_members_written(struct srv_core *core);

/* guard.c */
/** Deadlines and the next step of one rollout; called after each change and by the tick. */
void srv_guard_check(struct srv_core *core, struct srv_rollout *rollout);
void srv_guard_tick(struct srv_core *core);
/** Fails the member with that cause (static text), in a transaction of its own. */
void srv_guard_fail(struct srv_core *core, struct srv_member *member, const char *cause);

/* offer.c */
/** What a device says of itself in a poll. Strings "" and numbers 0 when it does not say. */
struct srv_poll {
    char version[KEDGE_DESC_STRING_SIZE];
    char chip[SRV_CHIP_SIZE];
    char elf_sha256[SRV_SHA256_HEX_SIZE];
    char boot_caps[SRV_CAPS_SIZE];
    uint32_t slot_size;
    uint32_t secure_version;
    bool has_slot_size, has_secure_version, has_boot_caps;
    bool is_pending;        /* the running image is on trial */
    bool has_range;         /* asks for a part: a resume */
    const char *none_match; /* If-None-Match; borrowed */
};

struct srv_answer {
    enum fleet_offer offer;
    struct srv_member *member; /* for IMAGE: whose rollout's release is to be sent */
    bool is_counted;           /* as a download, already */
};
/** Takes note of the poll and decides. Writes only when something changes. Errors: the store's;
 *  then nothing has changed and the device has to ask again. */
KEDGE_NODISCARD enum kedge_err srv_offer(struct srv_core *core, struct srv_device *device,
                                         const struct srv_poll *poll, const char *address,
                                         struct srv_answer *answer);
/** The rollout whose image srv_offer would send now; NULL: none. Changes nothing. */
const struct srv_rollout *srv_offer_preview(const struct srv_core *core,
                                            const struct srv_device *device,
                                            const struct srv_poll *poll);
/** One life-cycle report. *is_repeat: it was known. Errors: NOT_FOUND (sha of no release; on the
 *  record all the same), or the store's. */
KEDGE_NODISCARD enum kedge_err srv_report(struct srv_core *core, struct srv_device *device,
                                          const struct kedge_report *report, const char *address,
                                          bool *is_repeat);

/* telemetry.c */
void srv_telemetry_prune(struct srv_core *core);

/* crashes.c */
/** Where a device is to go on with a dump; next is a byte offset, SIZE of the dump = it is here. */
struct srv_crash_place {
    uint32_t next;
    bool is_known; /* next says something */
    bool is_new;   /* the crash was not known before */
};
/** A piece of a dump. bytes are borrowed. */
struct srv_crash_piece {
    char sha256[SRV_SHA256_HEX_SIZE];
    uint64_t first, total;
    struct kedge_cspan bytes;
};
/** Remove files that no row speaks of. */
void srv_crashes_sweep(struct srv_core *core);
/** A crash is announced: its row, and room for its dump. place is filled also where refused. */
KEDGE_NODISCARD bool srv_crash_announce(struct srv_core *core, struct srv_device *device,
                                        const struct kedge_crash *crash, const char *address,
                                        struct srv_crash_place *place, struct srv_refusal *refusal);
/** Durable when it returns true; with the last piece, the whole has its hash. place is filled also
 *  where refused. */
KEDGE_NODISCARD bool srv_crash_append(struct srv_core *core, struct srv_device *device,
                                      const struct srv_crash_piece *piece, const char *address,
                                      struct srv_crash_place *place, struct srv_refusal *refusal);
/** Bytes of the dump that are here. */
uint32_t srv_crash_stored(const struct srv_core *core, const struct srv_crash_row *row);
/** The whole dump, one reference; NULL: it is not here, or cannot be read. */
struct srv_mapping *srv_crash_map(const struct srv_core *core, const struct srv_crash_row *row);

/* crash_api.c: rows of the two route tables */
void srv_crash_handle_announce(void *app, const struct srv_request *request,
                               struct srv_response *response);
void srv_crash_handle_piece(void *app, const struct srv_request *request,
                            struct srv_response *response);
void srv_crash_handle_list(void *app, const struct srv_request *request,
                           struct srv_response *response);
void srv_crash_handle_dump(void *app, const struct srv_request *request,
                           struct srv_response *response);

/* device_api.c, admin_api.c */
extern const struct srv_route srv_device_routes[];
bool srv_device_authorise(void *ctx, const struct srv_request *request,
                          struct srv_response *response);
extern const struct srv_route srv_admin_routes[];
bool srv_admin_authorise(void *ctx, const struct srv_request *request,
                         struct srv_response *response);

/* admin_json.c */
cJSON *srv_json_release(const struct srv_release *release);
cJSON *srv_json_device(const struct srv_device *device, bool with_rollouts);
cJSON *srv_json_rollout(const struct srv_rollout *rollout, bool with_members);
/** What an operator should know about a rollout that was just created: array, may be empty. */
cJSON *srv_json_warnings(const struct srv_rollout *rollout);
cJSON *srv_json_telemetry(const struct srv_telemetry_row *row);
cJSON *srv_json_status(const struct srv_core *core);
/** Numbers of 64 bits that matter as integers. */
void srv_json_int(cJSON *object, const char *name, int64_t value);
/** Status and body; frees json. */
void srv_json_answer(struct srv_response *response, unsigned status, cJSON *json);
