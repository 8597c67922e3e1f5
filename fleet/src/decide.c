/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet.h"

static bool is_in_flight(enum fleet_member_state state)
{
    return state == FLEET_MEMBER_OFFERED || state == FLEET_MEMBER_INSTALLING;
}

/* last_progress_ms may lie ahead of now_ms when the wall clock was set back: then wait. */
static bool has_passed(uint64_t since_ms, uint64_t wait_ms, uint64_t now_ms)
{
    return now_ms >= since_ms && now_ms - since_ms >= wait_ms;
}

enum fleet_step fleet_rollout_decide(const struct fleet_rollout_view *rollout,
                                     const struct fleet_counts *counts, uint64_t now_ms)
{
    bool guarded =
        rollout->state == FLEET_ROLLOUT_RUNNING || rollout->state == FLEET_ROLLOUT_COMPLETE;
    uint32_t threshold = rollout->plan.max_failures > 0 ? rollout->plan.max_failures : 1u;
    if (guarded && counts->failed >= threshold) {
        return FLEET_STEP_HALT;
    }
    if (rollout->state != FLEET_ROLLOUT_RUNNING || counts->pending > 0 || counts->in_flight > 0 ||
        counts->updated == 0 ||
        !has_passed(rollout->last_progress_ms, rollout->plan.soak_ms, now_ms)) {
        return FLEET_STEP_NONE;
    }
    return rollout->stage + 1u < rollout->plan.stage_count ? FLEET_STEP_PROMOTE
                                                           : FLEET_STEP_COMPLETE;
}

bool fleet_member_is_silent(const struct fleet_plan *plan, enum fleet_member_state state,
                            uint64_t last_heard_ms, uint64_t now_ms)
{
    return is_in_flight(state) && plan->silence_ms > 0 &&
           has_passed(last_heard_ms, plan->silence_ms, now_ms);
}

static const char *const offer_texts[] = {
    [FLEET_OFFER_IMAGE] = "image",
    [FLEET_OFFER_CURRENT] = "current",
    [FLEET_OFFER_NEWER] = "newer",
    [FLEET_OFFER_UNKNOWN] = "unknown_version",
    [FLEET_OFFER_NOT_YET] = "not_yet",
    [FLEET_OFFER_STOPPED] = "stopped",
    [FLEET_OFFER_FAILED_BEFORE] = "failed_before",
    [FLEET_OFFER_TOO_LARGE] = "too_large",
    [FLEET_OFFER_SECURE_VERSION] = "secure_version",
    [FLEET_OFFER_NO_ROLLBACK] = "no_rollback",
};

const char *fleet_offer_text(enum fleet_offer offer)
{
    return (unsigned)offer < sizeof offer_texts / sizeof offer_texts[0] ? offer_texts[offer]
                                                                        : "unknown";
}

/* What the device itself says against this image: no rollout can overrule it. */
static enum fleet_offer check_device(const struct fleet_offer_input *in)
{
    if (in->runs_target) {
        return FLEET_OFFER_CURRENT;
    }
    if (in->version_comparable && in->version_order > 0) {
        return FLEET_OFFER_NEWER;
    }
    if (!in->version_known) {
        return FLEET_OFFER_UNKNOWN;
    }
    if (in->slot_size > 0 && in->image_size > in->slot_size) {
        return FLEET_OFFER_TOO_LARGE;
    }
    if (in->image_secure_version < in->device_secure_version) {
        return FLEET_OFFER_SECURE_VERSION;
    }
    return FLEET_OFFER_IMAGE;
}

/* A device that holds a verified image goes on by itself; one that is still downloading is cut off
 * when the rollout was stopped for good or by the guard. A pause lets it finish. */
static enum fleet_offer check_resume(const struct fleet_offer_input *in)
{
    bool stopped =
        in->rollout_state == FLEET_ROLLOUT_HALTED || in->rollout_state == FLEET_ROLLOUT_ABORTED;
    return stopped && in->member_state == FLEET_MEMBER_OFFERED ? FLEET_OFFER_STOPPED
                                                               : FLEET_OFFER_IMAGE;
}

static enum fleet_offer check_rollout(const struct fleet_offer_input *in)
{
    if (in->rollout_state != FLEET_ROLLOUT_RUNNING && in->rollout_state != FLEET_ROLLOUT_COMPLETE) {
        return FLEET_OFFER_STOPPED;
    }
    if (in->rollout_state == FLEET_ROLLOUT_RUNNING && in->member_stage > in->rollout_stage) {
        return FLEET_OFFER_NOT_YET;
    }
    if (in->pace > 0 && in->in_flight >= in->pace) {
        return FLEET_OFFER_NOT_YET;
    }
    return FLEET_OFFER_IMAGE;
}

enum fleet_offer fleet_offer_decide(const struct fleet_offer_input *in)
{
    enum fleet_offer offer = check_device(in);
    if (offer != FLEET_OFFER_IMAGE) {
        return offer;
    }
    if (in->member_state == FLEET_MEMBER_FAILED && !in->force) {
        return FLEET_OFFER_FAILED_BEFORE;
    }
    if (is_in_flight(in->member_state)) {
        return check_resume(in);
    }
    return in->lacks_rollback && !in->allow_no_rollback ? FLEET_OFFER_NO_ROLLBACK
                                                        : check_rollout(in);
}
