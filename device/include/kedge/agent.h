/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/err.h"
#include "kedge/image.h"
#include "kedge/journal.h"
#include "kedge/message.h"
#include "kedge/plat/crash.h"
#include "kedge/plat/net.h"
#include "kedge/plat/slots.h"
#include "kedge/plat/store.h"
#include "kedge/plat/system.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The update agent: a sans-I/O state machine. It is told what happened (event) and answers what to
 * do (action). The caller carries the action out and calls again, until the action is WAIT:
 *
 *     action = kedge_agent_step(agent, now_ms, &event);
 *     while (action->kind != KEDGE_ACTION_WAIT) { carry out; action = step(agent, now, TICK); }
 *
 * Flash is reached through plat ops during a step; network only through actions and events.
 * Not thread-safe; no heap, no clock, no globals; all state is in struct kedge_agent.
 */

/** Zero in a field means its default. */
struct kedge_config {
    const char *device_id; /**< 1..64 characters; borrowed for the agent's life */
    const char *project; /**< project name an image must carry; NULL = that of the running image */
    uint32_t poll_interval_ms;      /**< default 60 000; X-Poll-After overrides it */
    uint32_t telemetry_interval_ms; /**< default 60 000 */
    uint32_t trial_deadline_ms;     /**< default 300 000 */
    uint32_t trial_soak_ms; /**< default 30 000: an image is not confirmed younger than that */
    uint32_t verdict_deadline_ms; /**< default 60 000: a network that works has let the old
                                       image connect by then */
    uint32_t report_grace_ms;     /**< default 5 000: reboot waits so long for queued reports */
    uint32_t backoff_base_ms;     /**< default 2 000 */
    uint32_t backoff_cap_ms;      /**< default 900 000 */
    uint32_t http_timeout_ms;     /**< default 30 000 */
    uint32_t heap_floor_bytes;    /**< default 0 = no floor */
    uint32_t block_floor_bytes;   /**< default 0 = none: an offer waits while the largest free block
                                       is smaller (TLS needs about 17 KiB in one piece) */
    uint32_t rearm_max;           /**< default 3 */
    enum kedge_log_level log_level; /**< at boot; default INFO; a command changes it */
};

/** What a platform provides. Ops tables are static const; ctx pointers are handed back to them. */
struct kedge_plat {
    const struct kedge_plat_slots *slots;
    const struct kedge_plat_store *store;
    const struct kedge_plat_system *system;
    const struct kedge_plat_log *log;
    const struct kedge_plat_crash *crash; /**< NULL = the platform keeps no core dumps */
    void *ctx;                            /**< one context for all five */
};

enum kedge_event_kind {
    KEDGE_EVENT_BOOT,   /**< first event after init */
    KEDGE_EVENT_TICK,   /**< time passed, or the last action was carried out */
    KEDGE_EVENT_NET_UP, /**< an IP address is there */
    KEDGE_EVENT_NET_DOWN,
    KEDGE_EVENT_HTTP_RESPONSE, /**< status and headers are in */
    KEDGE_EVENT_HTTP_BODY,     /**< the next bytes of the body */
    KEDGE_EVENT_HTTP_END,      /**< the response is complete */
    KEDGE_EVENT_HTTP_FAILED,   /**< no connection, or it broke, or timed out */
    KEDGE_EVENT_MQTT_UP,       /**< CONNACK accepted, subscribed to the command topic */
    KEDGE_EVENT_MQTT_DOWN,
    KEDGE_EVENT_MQTT_ACKED, /**< PUBACK for token */
    KEDGE_EVENT_COMMAND     /**< a message on devices/<id>/cmd */
};

struct kedge_event {
    enum kedge_event_kind kind;
    const struct kedge_http_response *response; /**< HTTP_RESPONSE; borrowed for the call */
    struct kedge_cspan bytes;                   /**< HTTP_BODY, COMMAND; borrowed for the call */
    uint32_t token;                             /**< MQTT_ACKED */
};

enum kedge_action_kind {
    KEDGE_ACTION_WAIT,         /**< nothing until an event, or wait_until_ms: then TICK */
    KEDGE_ACTION_HTTP_REQUEST, /**< start http; exactly one is open at a time */
    KEDGE_ACTION_HTTP_ABORT,   /**< drop the open request; no further event of it */
    KEDGE_ACTION_MQTT_PUBLISH,
    KEDGE_ACTION_REBOOT /**< restart now (esp_restart); no further step */
};

struct kedge_action {
    enum kedge_action_kind kind;
    uint64_t wait_until_ms;
    struct kedge_http_request http;
    struct kedge_mqtt_message mqtt;
};

/** Life-cycle states; the table in agent.c says what each does and where it leads. Values are
 *  persisted: append only. X(NAME, value, text). */
#define KEDGE_STATE_MAP(X)                                                                         \
    X(IDLE, 0, "idle")                                                                             \
    X(OFFERED, 1, "offered")                                                                       \
    X(DOWNLOADING, 2, "downloading")                                                               \
    X(VERIFYING, 3, "verifying")                                                                   \
    X(SWITCHING, 4, "switching")                                                                   \
    X(REBOOTING, 5, "rebooting")                                                                   \
    X(TRIAL, 6, "trial")                                                                           \
    X(COMMITTED, 7, "committed")                                                                   \
    X(ROLLING_BACK, 8, "rolling_back")                                                             \
    X(ROLLED_BACK, 9, "rolled_back")                                                               \
    X(REJECTED, 10, "rejected")

enum kedge_state {
#define X(name, value, text) KEDGE_STATE_##name = value,
    KEDGE_STATE_MAP(X)
#undef X
    KEDGE_STATE_COUNT
};

const char *kedge_state_text(enum kedge_state state);

/** What the trial gate wants to see; the table in trial.c gives each its check and cause. */
enum kedge_gate {
    KEDGE_GATE_STORAGE = 1u << 0,
    KEDGE_GATE_NETWORK = 1u << 1,
    KEDGE_GATE_SERVER = 1u << 2,    /**< a poll was answered with 200, 206 or 304 */
    KEDGE_GATE_TELEMETRY = 1u << 3, /**< a telemetry publish was acknowledged */
    KEDGE_GATE_HEAP = 1u << 4,
    KEDGE_GATE_SELF_TEST = 1u << 5,
    KEDGE_GATE_ALL = (1u << 6) - 1u
};

enum kedge_http_use {
    KEDGE_HTTP_NONE,
    KEDGE_HTTP_POLL,
    KEDGE_HTTP_REPORT,
    KEDGE_HTTP_CRASH
};

/** How far the core dump in flash has come, in this boot. */
enum kedge_crash_stage {
    KEDGE_CRASH_UNSEEN,   /**< not looked for yet */
    KEDGE_CRASH_ANNOUNCE, /**< found and hashed: the server is to hear of it */
    KEDGE_CRASH_SENDING,  /**< piece by piece, from offset on */
    KEDGE_CRASH_OVER      /**< none, delivered, or not wanted: until the next boot */
};

/** Held by the caller, about 9 KiB; fields are private to device/. */
struct kedge_agent {
    struct kedge_config config;
    struct kedge_plat plat;
    struct kedge_boot_facts facts;
    struct kedge_journal journal;
    struct kedge_action action;
    /* this power cycle */
    uint64_t now_ms;
    uint64_t boot_ms;
    uint64_t entered_ms; /* when the current state was entered */
    uint64_t hold_ms;    /* when to try again to write the journal */
    bool dirty;          /* journal.data is not on flash yet: nothing may be acted on */
    uint32_t boot_id;
    uint32_t gates; /* enum kedge_gate bits seen since boot */
    bool booted;
    bool net_up;
    bool mqtt_up;
    bool status_due;               /* "online" is to be published */
    enum kedge_cause deferred_for; /* reported as DEFERRED; NONE = not since the last update */
    enum kedge_log_level log_level;
    /* the one HTTP request */
    enum kedge_http_use http_use;
    bool http_abort;
    uint16_t http_status; /* of the open request, 0 until the response is in */
    uint64_t poll_at_ms;
    uint64_t report_at_ms;
    uint32_t poll_failures;
    uint32_t report_failures;
    /* telemetry */
    uint64_t telemetry_at_ms;
    uint64_t bucket_at_ms;  /* last refill of the token bucket */
    uint32_t bucket_tokens; /* messages that may be sent now */
    uint32_t telemetry_seq;
    uint32_t telemetry_token; /* of the last publish, not yet acknowledged; 0 = none */
    uint32_t token_counter;
    /* the open download */
    bool body_wanted;
    bool offer_force;
    bool prefix_checked;
    uint32_t body_offset; /* file offset of the next body byte */
    uint32_t checkpoint;  /* file offset of the last journalled progress */
    uint32_t sector_len;  /* bytes in sector, not yet in flash */
    struct kedge_image_parser parser;
    uint8_t sector[4096];
    /* the core dump in flash */
    struct {
        enum kedge_crash_stage stage;
        uint32_t offset; /* next byte that the server wants */
        uint64_t at_ms;  /* not before */
        uint32_t failures;
        uint32_t setbacks;
        struct kedge_crash facts; /* from ANNOUNCE on */
    } crash;
    /* what actions borrow */
    char text[KEDGE_MESSAGE_MAX];
    char values[320];
};

/** Take config and platform (both copied; strings and ops stay borrowed). Does no I/O.
 *  Errors: ARG (no or bad device id, missing ops). */
KEDGE_NODISCARD enum kedge_err kedge_agent_init(struct kedge_agent *agent,
                                                const struct kedge_config *config,
                                                const struct kedge_plat *plat);

/**
 * One step. now_ms: monotonic milliseconds of this power cycle, never decreasing. The first event
 * must be BOOT. The returned action is borrowed from the agent until the next step.
 */
const struct kedge_action *kedge_agent_step(struct kedge_agent *agent, uint64_t now_ms,
                                            const struct kedge_event *event);

/** Where the agent is, for display. */
enum kedge_state kedge_agent_state(const struct kedge_agent *agent);

#ifdef __cplusplus
}
#endif
