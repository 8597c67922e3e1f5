/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/agent.h"

/* What the modules of the agent share. agent.c owns the state; the others work on what it hands
 * them. */

/** How the work of a state ended; the table in agent.c says where each leads. */
enum outcome {
    OUTCOME_STAY,
    OUTCOME_DONE,
    OUTCOME_FAILED,
    OUTCOME_BAD,      /* the offered image is to blame */
    OUTCOME_TIMED_OUT /* the state's limit has passed */
};

/* agent.c */
uint32_t agent_random(struct kedge_agent *agent);
void agent_log(struct kedge_agent *agent, enum kedge_log_level level, const char *event,
               const char *text);
/** Put journal.data on flash; false (and tried again later) when that failed. */
bool agent_save(struct kedge_agent *agent);
/** Change state, forget the attempt when it is IDLE, save. */
void agent_enter(struct kedge_agent *agent, enum kedge_state state);
/** Leave the current state by one of its exits. */
void agent_leave(struct kedge_agent *agent, enum outcome outcome);
/** Do the work of the current state and of those it leads to, until one waits. */
void agent_work(struct kedge_agent *agent);
/** May the current state take a firmware body? */
bool agent_takes_image(const struct kedge_agent *agent);
/** An update is under way (or a trial of an image that somebody else installed). */
bool agent_has_attempt(const struct kedge_agent *agent);
/** The attempt began with an offer: there is a sha to report against and to call BAD. */
bool agent_has_offer(const struct kedge_agent *agent);

/* boot.c */
/** otadata names the slot that runs, or none at all: then the bootloader fell back to ota_0, and
 * the next switch writes a fresh record. False: confirming or updating would hit the wrong record.
 */
bool boot_is_aligned(const struct kedge_agent *agent);
void boot_begin(struct kedge_agent *agent);

/* poll.c: GET /ota/firmware.bin */
void poll_schedule(struct kedge_agent *agent, uint32_t delay_ms);
void poll_failed(struct kedge_agent *agent);
void poll_request(struct kedge_agent *agent);
void poll_on_response(struct kedge_agent *agent, const struct kedge_http_response *response);

/* download.c */
enum outcome offer_work(struct kedge_agent *agent);
enum outcome verify_work(struct kedge_agent *agent);
/** Take the body from file offset 0 or data.written on. */
bool download_begin(struct kedge_agent *agent, uint32_t offset);
enum outcome download_feed(struct kedge_agent *agent, struct kedge_cspan bytes);
enum outcome download_end(struct kedge_agent *agent);

/* lifecycle.c */
/** Note what the slot's record says before it is changed; DONE, or BAD when it cannot be read. */
enum outcome agent_ready_to_switch(struct kedge_agent *agent);
enum outcome idle_work(struct kedge_agent *agent);
enum outcome switch_work(struct kedge_agent *agent);
enum outcome reboot_work(struct kedge_agent *agent);
enum outcome commit_work(struct kedge_agent *agent);
enum outcome roll_back_work(struct kedge_agent *agent);
enum outcome verdict_work(struct kedge_agent *agent);
enum outcome reject_work(struct kedge_agent *agent);

/* trial.c */
enum outcome trial_work(struct kedge_agent *agent);
bool trial_is_connected(const struct kedge_agent *agent);

/* outbox.c: POST /ota/report */
void outbox_add(struct kedge_agent *agent, enum kedge_report_state state, enum kedge_cause cause,
                uint32_t detail);
bool outbox_is_empty(const struct kedge_agent *agent);
bool outbox_request(struct kedge_agent *agent);
void outbox_on_response(struct kedge_agent *agent, const struct kedge_http_response *response);
void outbox_failed(struct kedge_agent *agent, const struct kedge_http_response *response);

/* crash.c: POST /crash and /crash/dump */
bool crash_request(struct kedge_agent *agent);
/** When the next request of it is due; UINT64_MAX = nothing is to be sent. */
uint64_t crash_next_ms(const struct kedge_agent *agent);
void crash_on_response(struct kedge_agent *agent, const struct kedge_http_response *response);
void crash_failed(struct kedge_agent *agent, const struct kedge_http_response *response);

/* telemetry.c */
void telemetry_begin(struct kedge_agent *agent);
bool telemetry_publish(struct kedge_agent *agent);
uint64_t telemetry_next_ms(const struct kedge_agent *agent);
void telemetry_on_acked(struct kedge_agent *agent, uint32_t token);
void telemetry_on_command(struct kedge_agent *agent, struct kedge_cspan json);
