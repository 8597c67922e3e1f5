/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <string.h>

#include "host/log.h"

#define HALT_MAX_DEVICES 6u /* named in the reason; all of them are in the members */

/* "system" is the actor of what nobody asked for. */
static const struct srv_actor system_actor = {.name = "system", .address = ""};

static void subject_of(const struct srv_rollout *rollout, char *out, size_t size)
{
    (void)snprintf(out, size, "rollout %lld", (long long)rollout->row.id);
}

/* Nobody listened before we were started. */
static uint64_t heard_ms(const struct srv_core *core, const struct srv_member *member)
{
    return member->device->seen_ms > core->opened_ms ? member->device->seen_ms : core->opened_ms;
}

static bool is_away(const struct srv_core *core, const struct srv_member *member)
{
    const struct srv_rollout *rollout = member->rollout;
    return member->held || member->device->row.revoked_at != 0 ||
           srv_guard_ms(core) - heard_ms(core, member) >= rollout->row.plan.silence_ms;
}

/* Which of the pending ones are away costs a walk over the members, so it is asked only when all
 * else is ready for the next stage. */
static uint32_t count_away(const struct srv_core *core, const struct srv_rollout *rollout)
{
    uint32_t away = 0;
    for (uint32_t i = 0; i < rollout->member_count; i++) {
        const struct srv_member *member = rollout->members[i];
        if (member->row.state == FLEET_MEMBER_PENDING && member->row.stage <= rollout->row.stage) {
            away += is_away(core, member);
        }
    }
    return away;
}

static struct fleet_counts count(const struct srv_core *core, const struct srv_rollout *rollout)
{
    struct fleet_counts counts = {.failed = rollout->failures};
    for (uint32_t stage = 0; stage <= rollout->row.stage; stage++) {
        counts.pending += rollout->counts[stage][FLEET_MEMBER_PENDING];
        counts.in_flight += rollout->counts[stage][FLEET_MEMBER_OFFERED];
        counts.in_flight += rollout->counts[stage][FLEET_MEMBER_INSTALLING];
        counts.updated += rollout->counts[stage][FLEET_MEMBER_UPDATED];
    }
    if (rollout->row.state == FLEET_ROLLOUT_RUNNING && counts.pending > 0 &&
        counts.in_flight == 0 && counts.updated > 0) {
        counts.away = count_away(core, rollout);
        counts.pending -= counts.away;
    }
    return counts;
}

static enum kedge_err write_step(struct srv_core *core, const struct srv_rollout *rollout,
                                 const struct srv_rollout_row *row, const char *action,
                                 cJSON *detail)
{
    char subject[32];
    subject_of(rollout, subject, sizeof subject);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_rollout_update(core->store, row);
    }
    err = srv_audit(core, err, &system_actor, action, subject, detail);
    return srv_core_finish(core, err);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static bool counts_against(const struct srv_member *member)
{
    return member->row.state == FLEET_MEMBER_FAILED && !member->row.acknowledged;
}

/* {"failed":2,"max_failures":2,"devices":[{"id":…,"cause":…}],"ms_since_first_offer":…, …} */
static cJSON *halt_reason(const struct srv_core *core, const struct srv_rollout *rollout)
{
    int64_t now = srv_wall_ms(core);
    int64_t first_offer = 0;
    int64_t first_failure = 0;
    uint32_t named = 0;
    cJSON *reason = cJSON_CreateObject();
    srv_json_int(reason, "failed", rollout->failures);
    srv_json_int(reason, "max_failures", rollout->row.plan.max_failures);
    cJSON *devices = cJSON_AddArrayToObject(reason, "devices");
    for (uint32_t i = 0; i < rollout->member_count; i++) {
        const struct srv_member *member = rollout->members[i];
        first_offer = earlier(first_offer, member->row.offered_at);
        if (!counts_against(member)) {
            continue;
        }
        first_failure = earlier(first_failure, member->row.changed_at);
        if (named++ < HALT_MAX_DEVICES) {
            cJSON *item = cJSON_CreateObject();
            (void)cJSON_AddStringToObject(item, "id", member->row.device_id);
            (void)cJSON_AddStringToObject(item, "cause", member->row.cause);
            (void)cJSON_AddItemToArray(devices, item);
        }
    }
    srv_json_int(reason, "ms_since_first_offer", first_offer > 0 ? now - first_offer : 0);
    srv_json_int(reason, "ms_since_first_failure", first_failure > 0 ? now - first_failure : 0);
    return reason;
}

static enum kedge_err halt(struct srv_core *core, struct srv_rollout *rollout)
{
    struct srv_rollout_row row = rollout->row;
    cJSON *reason = halt_reason(core, rollout);
    row.state = FLEET_ROLLOUT_HALTED;
    row.halted_at = srv_wall_ms(core);
    if (!cJSON_PrintPreallocated(reason, row.halt_reason, sizeof row.halt_reason, false)) {
        (void)snprintf(row.halt_reason, sizeof row.halt_reason, "{}");
    }
    enum kedge_err err = write_step(core, rollout, &row, "rollout.halt", reason);
    if (err == KEDGE_OK) {
        rollout->row = row;
        host_log(HOST_LOG_WARN, "rollout_halted", "rollout=%lld version=%s reason=%s",
                 (long long)row.id, rollout->release->row.version, row.halt_reason);
    }
    return err;
}

static enum kedge_err advance(struct srv_core *core, struct srv_rollout *rollout, bool is_last)
{
    struct srv_rollout_row row = rollout->row;
    row.progress_at = srv_wall_ms(core);
    if (is_last) {
        row.state = FLEET_ROLLOUT_COMPLETE;
        row.ended_at = row.progress_at;
    } else {
        row.stage++;
    }
    cJSON *detail = cJSON_CreateObject();
    srv_json_int(detail, "stage", row.stage);
    enum kedge_err err =
        write_step(core, rollout, &row, is_last ? "rollout.complete" : "rollout.promote", detail);
    if (err == KEDGE_OK) {
        rollout->row = row;
        rollout->progress_ms = srv_guard_ms(core);
        host_log(HOST_LOG_INFO, is_last ? "rollout_complete" : "rollout_promoted",
                 "rollout=%lld version=%s stage=%u", (long long)row.id,
                 rollout->release->row.version, row.stage);
    }
    return err;
}

void srv_guard_fail(struct srv_core *core, struct srv_member *member, const char *cause)
{
    struct srv_member_row row = member->row;
    row.state = FLEET_MEMBER_FAILED;
    row.acknowledged = false;
    row.changed_at = srv_wall_ms(core);
    (void)snprintf(row.cause, sizeof row.cause, "%s", cause);
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "version", member->rollout->release->row.version);
    (void)cJSON_AddStringToObject(detail, "cause", cause);
    srv_json_int(detail, "rollout", row.rollout_id);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_member_put(core->store, &row);
    }
    err = srv_audit(core, err, &system_actor, "member.failed", row.device_id, detail);
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK) { /* else it is tried again by the next tick */
        srv_member_apply(member, &row);
        host_log(HOST_LOG_WARN, "member_failed", "rollout=%lld device=%s cause=%s",
                 (long long)row.rollout_id, row.device_id, cause);
    }
}

static void fail_silent(struct srv_core *core, struct srv_rollout *rollout)
{
    for (uint32_t i = 0; i < rollout->member_count; i++) {
        struct srv_member *member = rollout->members[i];
        if (fleet_member_is_silent(&rollout->row.plan, member->row.state, heard_ms(core, member),
                                   srv_guard_ms(core))) {
            srv_guard_fail(core, member, "silence");
        }
    }
}

void srv_guard_check(struct srv_core *core, struct srv_rollout *rollout)
{
    enum fleet_rollout_state state = rollout->row.state;
    if (state != FLEET_ROLLOUT_RUNNING && state != FLEET_ROLLOUT_COMPLETE) {
        return;
    }
    if (srv_rollout_in_flight(rollout) > 0) {
        fail_silent(core, rollout);
    }
    struct fleet_rollout_view view = {
        .plan = rollout->row.plan,
        .state = state,
        .stage = rollout->row.stage,
        .last_progress_ms = rollout->progress_ms,
    };
    struct fleet_counts counts = count(core, rollout);
    /* An error is logged by the store, leaves everything as it was, and is met again next tick. */
    switch (fleet_rollout_decide(&view, &counts, srv_guard_ms(core))) {
    case FLEET_STEP_HALT:
        (void)!halt(core, rollout);
        break;
    case FLEET_STEP_PROMOTE:
        (void)!advance(core, rollout, false);
        break;
    case FLEET_STEP_COMPLETE:
        (void)!advance(core, rollout, true);
        break;
    case FLEET_STEP_NONE:
        break;
    }
}

void srv_guard_tick(struct srv_core *core)
{
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        srv_guard_check(core, core->rollouts[i]);
    }
}
