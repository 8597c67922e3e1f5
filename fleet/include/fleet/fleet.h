/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/err.h"
#include "kedge/message.h"

/*
 * Rollout decisions, pure: no I/O, no clock, no heap. The server and the rehearsal call the same
 * functions. Times are milliseconds of one monotonic or wall clock, the caller's choice, never
 * decreasing between calls.
 */

#define FLEET_MAX_STAGES 8u

/** Rollout states: X(NAME, text). Persisted by text. */
#define FLEET_ROLLOUT_STATE_MAP(X)                                                                 \
    X(RUNNING, "running")                                                                          \
    X(PAUSED, "paused")     /* an operator's pause; resume goes on */                              \
    X(HALTED, "halted")     /* the guard stopped it; an operator may resume or abort */            \
    X(ABORTED, "aborted")   /* ended by an operator, for good */                                   \
    X(COMPLETE, "complete") /* all stages done; still offers to devices that come back */

enum fleet_rollout_state {
#define X(name, text) FLEET_ROLLOUT_##name,
    FLEET_ROLLOUT_STATE_MAP(X)
#undef X
    FLEET_ROLLOUT_STATE_COUNT
};

/** A device's state within one rollout: X(NAME, text). Persisted by text. */
#define FLEET_MEMBER_STATE_MAP(X)                                                                  \
    X(PENDING, "pending")       /* not offered yet */                                              \
    X(OFFERED, "offered")       /* the server answered a poll with the image */                    \
    X(INSTALLING, "installing") /* device reported that it verified the image, or re-armed it */   \
    X(UPDATED, "updated")       /* confirmed healthy on the target */                              \
    X(FAILED, "failed")         /* rolled back, rejected, or silent past the deadline */

enum fleet_member_state {
#define X(name, text) FLEET_MEMBER_##name,
    FLEET_MEMBER_STATE_MAP(X)
#undef X
    FLEET_MEMBER_STATE_COUNT
};

const char *fleet_rollout_state_text(enum fleet_rollout_state state);
const char *fleet_member_state_text(enum fleet_member_state state);
/** Reverse of the above. Errors: NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err fleet_rollout_state_parse(const char *text,
                                                         enum fleet_rollout_state *out);
KEDGE_NODISCARD enum kedge_err fleet_member_state_parse(const char *text,
                                                        enum fleet_member_state *out);

/** What an operator asks for. */
struct fleet_plan {
    uint32_t stage_count;              /**< 1..FLEET_MAX_STAGES */
    uint8_t percent[FLEET_MAX_STAGES]; /**< cumulative, rising, last is 100 */
    uint32_t max_failures;             /**< this many failed devices halt it; at least 1 */
    uint32_t pace;                     /**< devices in flight at once; 0 = no limit */
    uint64_t soak_ms;                  /**< wait after the last confirmation of a stage */
    uint64_t silence_ms;               /**< in flight and unheard so long = failed */
};

/** "10,50,100" into a plan's stages. Errors: SYNTAX, RANGE (not rising, over 100, last not 100),
 *  TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err fleet_plan_parse_stages(const char *text, struct fleet_plan *plan);

/** Stable rank of a device in a rollout: the order in which devices are reached. */
uint64_t fleet_rank(uint64_t rollout_seed, const char *device_id);

/** Stage of the device at position (0-based, devices sorted by rank) of count: the first stage
 *  whose share, rounded up, covers it. Every stage share is at least one device. */
uint32_t fleet_stage_of(const struct fleet_plan *plan, uint32_t position, uint32_t count);

/** Semantic-version precedence (semver.org 2.0.0 section 11; a leading "v" is ignored): < 0, 0, >
 * 0. *comparable is false when either is not a semantic version; then only equality means anything.
 */
int fleet_version_compare(const char *a, const char *b, bool *comparable);

/** Counts of the members of stages 0..current, kept incrementally by the caller. */
struct fleet_counts {
    uint32_t pending;   /**< seen lately, not offered */
    uint32_t away;      /**< pending, and not seen within silence_ms */
    uint32_t in_flight; /**< OFFERED or INSTALLING */
    uint32_t updated;
    uint32_t failed; /**< over all stages of the rollout */
};

enum fleet_step {
    FLEET_STEP_NONE,
    FLEET_STEP_HALT,    /**< failed >= max_failures */
    FLEET_STEP_PROMOTE, /**< go to the next stage */
    FLEET_STEP_COMPLETE /**< the last stage is done */
};

struct fleet_rollout_view {
    struct fleet_plan plan;
    enum fleet_rollout_state state;
    uint32_t stage;            /**< current, 0-based */
    uint64_t last_progress_ms; /**< last confirmation, or start of the stage */
};

/**
 * What the rollout should do now. RUNNING: halt on failures; promote or complete when nothing of
 * the reached stages is pending or in flight, at least one device is updated, and the soak is over.
 * COMPLETE: halt on failures still (devices that come back are under the same guard). Other states
 * never move by themselves.
 */
enum fleet_step fleet_rollout_decide(const struct fleet_rollout_view *rollout,
                                     const struct fleet_counts *counts, uint64_t now_ms);

/** The member's deadline has passed. */
bool fleet_member_is_silent(const struct fleet_plan *plan, enum fleet_member_state state,
                            uint64_t last_heard_ms, uint64_t now_ms);

/** State after a life-cycle report: one table. A report for a member that is UPDATED or FAILED can
 *  still correct it (a late COMMITTED after silence). */
enum fleet_member_state fleet_member_on_report(enum fleet_member_state state,
                                               enum kedge_report_state report);

/** What one poll is told. */
enum fleet_offer {
    FLEET_OFFER_IMAGE,          /**< send the target */
    FLEET_OFFER_CURRENT,        /**< runs the target */
    FLEET_OFFER_NEWER,          /**< runs something newer than the target: left alone */
    FLEET_OFFER_UNKNOWN,        /**< runs a version the server never saw: left alone, recorded */
    FLEET_OFFER_NOT_YET,        /**< its stage is not reached, or the pace is full */
    FLEET_OFFER_STOPPED,        /**< rollout paused, halted or aborted */
    FLEET_OFFER_FAILED_BEFORE,  /**< this device failed this release; not again unless forced */
    FLEET_OFFER_TOO_LARGE,      /**< image larger than the device's slot */
    FLEET_OFFER_SECURE_VERSION, /**< image below the device's anti-rollback floor */
    FLEET_OFFER_NO_ROLLBACK     /**< its bootloader cannot undo a bad update; the rollout does not
                                     allow that */
};

const char *fleet_offer_text(enum fleet_offer offer);

struct fleet_offer_input {
    enum fleet_rollout_state rollout_state;
    uint32_t rollout_stage;
    enum fleet_member_state member_state;
    uint32_t member_stage;
    uint32_t in_flight;
    uint32_t pace;
    bool force;
    bool runs_target;   /**< same elf sha, or same version when the device sent no sha */
    bool version_known; /**< some release has the version that the device runs */
    int version_order;  /**< fleet_version_compare(device, target) */
    bool version_comparable;
    uint32_t image_size;
    uint32_t slot_size; /**< 0 = the device did not say */
    uint32_t image_secure_version;
    uint32_t device_secure_version; /**< 0 = the device did not say */
    bool lacks_rollback;            /**< the device said so; false also when it said nothing */
    bool allow_no_rollback;
};

/** The one place where it is decided whether a device gets an image. A member already in flight is
 *  always offered again (resume), except when the rollout was aborted or halted before it verified.
 */
enum fleet_offer fleet_offer_decide(const struct fleet_offer_input *in);
