/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <string.h>

#include "host/log.h"

/* What polls and reports do to the model. */

static void take_text(char *out, size_t size, const char *value, bool *changed)
{
    if (value[0] != '\0' && strcmp(out, value) != 0) {
        (void)snprintf(out, size, "%s", value);
        *changed = true;
    }
}

/* What the device says of itself. */
static void take_claims(const struct srv_core *core, struct srv_device *device,
                        const struct srv_poll *poll)
{
    struct srv_device_row *row = &device->row;
    int64_t now = srv_wall_ms(core);
    bool version_changed = false;
    bool chip_changed = false;
    take_text(row->version, sizeof row->version, poll->version, &version_changed);
    take_text(row->elf_sha256, sizeof row->elf_sha256, poll->elf_sha256, &version_changed);
    take_text(row->chip, sizeof row->chip, poll->chip, &chip_changed);
    if (poll->has_boot_caps) {
        (void)snprintf(row->boot_caps, sizeof row->boot_caps, "%s", poll->boot_caps);
    }
    row->slot_size = poll->has_slot_size ? poll->slot_size : row->slot_size;
    row->secure_version = poll->has_secure_version ? poll->secure_version : row->secure_version;
    if (version_changed) {
        row->version_since = now;
    }
    if (version_changed || chip_changed || device->known_generation != core->release_generation) {
        device->version_known = srv_release_knows(core, row->version, row->chip);
        device->known_generation = core->release_generation;
    }
}

static void note_poll(struct srv_core *core, struct srv_device *device, const struct srv_poll *poll)
{
    struct srv_device_row *row = &device->row;
    core->counters.polls++;
    device->seen_ms = srv_guard_ms(core);
    device->dirty = true;
    row->last_seen = srv_wall_ms(core);
    row->first_seen = row->first_seen != 0 ? row->first_seen : row->last_seen;
    take_claims(core, device, poll);
}

/* The ELF's hash decides where both sides have one; the version has to agree as well, because tools
 * that patch a version into a finished image leave that hash as it was. */
static bool runs(const struct srv_poll *poll, const struct srv_release_row *release)
{
    static const char no_hash[] =
        "0000000000000000000000000000000000000000000000000000000000000000";
    if (strcmp(poll->version, release->version) != 0) {
        return false;
    }
    return poll->elf_sha256[0] == '\0' || strcmp(release->elf_sha256, no_hash) == 0 ||
           strcmp(poll->elf_sha256, release->elf_sha256) == 0;
}

static bool has_failed(const struct srv_device *device, const struct srv_release *release)
{
    for (const struct srv_member *member = device->members; member != NULL;
         member = member->older) {
        if (member->rollout->release == release && member->row.state == FLEET_MEMBER_FAILED) {
            return true;
        }
    }
    return false;
}

static struct fleet_offer_input offer_input(const struct srv_device *device,
                                            const struct srv_poll *poll,
                                            const struct srv_rollout *rollout,
                                            const struct srv_member *member)
{
    const struct srv_release_row *release = &rollout->release->row;
    struct fleet_offer_input in = {
        .rollout_state = rollout->row.state,
        .rollout_stage = rollout->row.stage,
        .member_state = member != NULL ? member->row.state : FLEET_MEMBER_PENDING,
        .member_stage = member != NULL ? member->row.stage : rollout->row.plan.stage_count - 1u,
        .in_flight = srv_rollout_in_flight(rollout),
        .pace = rollout->row.plan.pace,
        .runs_target = runs(poll, release),
        .version_known = device->version_known,
        .image_size = release->size,
        .slot_size = device->row.slot_size,
        .image_secure_version = release->secure_version,
        .device_secure_version = device->row.secure_version,
        .lacks_rollback = srv_device_lacks_rollback(device),
        .allow_no_rollback = rollout->row.allow_no_rollback,
    };
    in.version_order =
        fleet_version_compare(poll->version, release->version, &in.version_comparable);
    /* Force repeats what failed in an earlier rollout, once: not again within the same. */
    in.force = rollout->row.force && in.member_state != FLEET_MEMBER_FAILED;
    if (in.member_state == FLEET_MEMBER_PENDING && has_failed(device, rollout->release)) {
        in.member_state = FLEET_MEMBER_FAILED;
    }
    return in;
}

static struct srv_actor device_actor(const struct srv_device *device, const char *address)
{
    return (struct srv_actor){.name = device->row.id, .address = address};
}

static cJSON *member_detail(const struct srv_member_row *row, const struct srv_release *release,
                            const struct srv_device *device)
{
    cJSON *detail = cJSON_CreateObject();
    srv_json_int(detail, "rollout", row->rollout_id);
    srv_json_int(detail, "stage", row->stage);
    (void)cJSON_AddStringToObject(detail, "from", device->row.version);
    (void)cJSON_AddStringToObject(detail, "to", release->row.version);
    return detail;
}

/* A confirmation restarts the soak. */
static bool is_progress(const struct srv_member *member, const struct srv_member_row *row)
{
    return row->state == FLEET_MEMBER_UPDATED &&
           (member == NULL || member->row.state != FLEET_MEMBER_UPDATED);
}

static enum kedge_err write_progress(struct srv_core *core, const struct srv_rollout *rollout,
                                     const struct srv_member *member,
                                     const struct srv_member_row *row)
{
    if (!is_progress(member, row)) {
        return KEDGE_OK;
    }
    struct srv_rollout_row changed = rollout->row;
    changed.progress_at = srv_wall_ms(core);
    return srv_store_rollout_update(core->store, &changed);
}

static struct srv_member *take_over(struct srv_core *core, struct srv_device *device,
                                    struct srv_rollout *rollout, struct srv_member *member,
                                    const struct srv_member_row *row)
{
    if (is_progress(member, row)) {
        rollout->row.progress_at = srv_wall_ms(core);
        rollout->progress_ms = srv_guard_ms(core);
    }
    if (member == NULL) {
        return srv_member_append(rollout, device, row);
    }
    srv_member_apply(member, row);
    return member;
}

/* Put a device that is not a member yet, or change one that is. */
static enum kedge_err change(struct srv_core *core, struct srv_device *device,
                             struct srv_rollout *rollout, struct srv_member **member,
                             enum fleet_member_state state, const struct srv_actor *actor)
{
    static const char *const actions[FLEET_MEMBER_STATE_COUNT] = {
        [FLEET_MEMBER_PENDING] = "member.joined",
        [FLEET_MEMBER_UPDATED] = "member.updated",
    };
    struct srv_member_row row =
        *member != NULL ? (*member)->row : srv_member_new_row(rollout, device);
    row.state = state;
    row.changed_at = srv_wall_ms(core);
    row.heard_at = row.changed_at;
    row.cause[0] = '\0';
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_member_put(core->store, &row);
    }
    if (err == KEDGE_OK) {
        err = write_progress(core, rollout, *member, &row);
    }
    err = srv_audit(core, err, actor, actions[state], device->row.id,
                    member_detail(&row, rollout->release, device));
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK) {
        *member = take_over(core, device, rollout, *member, &row);
    }
    return err;
}

/* What the device was busy with in another rollout, it has given up for this one. */
static bool is_superseded(const struct srv_member *member, const struct srv_rollout *rollout)
{
    return member->rollout != rollout && srv_member_in_flight(member);
}

static struct srv_member_row superseded(const struct srv_core *core,
                                        const struct srv_member *member)
{
    struct srv_member_row row = member->row;
    row.state = FLEET_MEMBER_PENDING;
    row.changed_at = srv_wall_ms(core);
    (void)snprintf(row.cause, sizeof row.cause, "superseded");
    return row;
}

static enum kedge_err write_superseded(struct srv_core *core, const struct srv_device *device,
                                       const struct srv_rollout *rollout)
{
    enum kedge_err err = KEDGE_OK;
    for (const struct srv_member *other = device->members; other != NULL && err == KEDGE_OK;
         other = other->older) {
        if (is_superseded(other, rollout)) {
            struct srv_member_row row = superseded(core, other);
            err = srv_store_member_put(core->store, &row);
        }
    }
    return err;
}

/* The transaction that lies between a poll and the first byte of the image. */
static enum kedge_err begin_offer(struct srv_core *core, struct srv_device *device,
                                  const struct srv_poll *poll, struct srv_rollout *rollout,
                                  struct srv_member **member, const struct srv_actor *actor)
{
    struct srv_member_row row =
        *member != NULL ? (*member)->row : srv_member_new_row(rollout, device);
    row.state = FLEET_MEMBER_OFFERED;
    row.offered_at = srv_wall_ms(core);
    row.changed_at = row.offered_at;
    row.heard_at = row.offered_at;
    row.cause[0] = '\0';
    row.downloads += poll->has_range ? 0u : 1u;
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_member_put(core->store, &row);
    }
    if (err == KEDGE_OK) {
        err = write_superseded(core, device, rollout);
    }
    err = srv_audit(core, err, actor, "member.offered", device->row.id,
                    member_detail(&row, rollout->release, device));
    err = srv_core_finish(core, err);
    if (err != KEDGE_OK) {
        return err;
    }
    for (struct srv_member *other = device->members; other != NULL; other = other->older) {
        if (is_superseded(other, rollout)) {
            struct srv_member_row given_up = superseded(core, other);
            srv_member_apply(other, &given_up);
        }
    }
    *member = take_over(core, device, rollout, *member, &row);
    (*member)->full_loads = 0;
    core->counters.offers++;
    return KEDGE_OK;
}

/* Confirmed not long ago, and back on the old image without a word: a client that cannot report has
 * rolled back. Much later it is a device that somebody has flashed by hand. */
static bool has_regressed(const struct srv_core *core, const struct srv_member *member,
                          const struct srv_poll *poll)
{
    const struct srv_rollout *rollout = member->rollout;
    const struct fleet_plan *plan = &rollout->row.plan;
    bool comparable;
    uint64_t watch_ms = plan->silence_ms > plan->soak_ms ? plan->silence_ms : plan->soak_ms;
    int64_t age = srv_wall_ms(core) - member->row.changed_at;
    return member->row.state == FLEET_MEMBER_UPDATED && !poll->is_pending && age >= 0 &&
           (uint64_t)age < watch_ms &&
           fleet_version_compare(poll->version, rollout->release->row.version, &comparable) < 0 &&
           comparable;
}

/* Reasons for which the newest rollout leaves the device to an older one. */
static bool is_undecided(enum fleet_offer offer)
{
    return offer == FLEET_OFFER_NOT_YET || offer == FLEET_OFFER_STOPPED ||
           offer == FLEET_OFFER_FAILED_BEFORE || offer == FLEET_OFFER_TOO_LARGE ||
           offer == FLEET_OFFER_SECURE_VERSION || offer == FLEET_OFFER_NO_ROLLBACK;
}

/* Reasons that the rollout need not wait for: only a release, or somebody's hand, changes them. */
static bool is_held(enum fleet_offer offer)
{
    return offer == FLEET_OFFER_NEWER || offer == FLEET_OFFER_UNKNOWN ||
           offer == FLEET_OFFER_FAILED_BEFORE || offer == FLEET_OFFER_TOO_LARGE ||
           offer == FLEET_OFFER_SECURE_VERSION || offer == FLEET_OFFER_NO_ROLLBACK;
}

/* What was decided, in the light of what the device has and does. */
static enum fleet_offer settle(const struct srv_poll *poll, const struct srv_rollout *rollout,
                               enum fleet_offer decided)
{
    if (decided != FLEET_OFFER_IMAGE) {
        return decided;
    }
    if (poll->none_match != NULL && strstr(poll->none_match, rollout->release->row.sha256)) {
        return FLEET_OFFER_CURRENT; /* it has those bytes: nothing to send */
    }
    return poll->is_pending ? FLEET_OFFER_NOT_YET : FLEET_OFFER_IMAGE; /* one trial at a time */
}

struct visit {
    struct srv_core *core;
    struct srv_device *device;
    const struct srv_poll *poll;
    struct srv_actor actor;
};

/* Carry out what was decided for one rollout. */
static enum kedge_err act(const struct visit *visit, struct srv_rollout *rollout,
                          struct srv_member *member, struct srv_answer *answer)
{
    struct srv_core *core = visit->core;
    enum kedge_err err = KEDGE_OK;
    bool is_running = rollout->row.state == FLEET_ROLLOUT_RUNNING;
    enum fleet_offer decided = answer->offer;
    answer->offer = settle(visit->poll, rollout, decided);
    if (answer->offer == FLEET_OFFER_IMAGE) {
        if (member == NULL || !srv_member_in_flight(member)) {
            err = begin_offer(core, visit->device, visit->poll, rollout, &member, &visit->actor);
            answer->is_counted = err == KEDGE_OK && !visit->poll->has_range;
        }
        answer->member = member;
    } else if (decided == FLEET_OFFER_CURRENT && !visit->poll->is_pending &&
               (member != NULL ? member->row.state != FLEET_MEMBER_UPDATED : is_running)) {
        err = change(core, visit->device, rollout, &member, FLEET_MEMBER_UPDATED, &visit->actor);
    } else if (decided != FLEET_OFFER_IMAGE && member == NULL && is_running) {
        err = change(core, visit->device, rollout, &member, FLEET_MEMBER_PENDING, &visit->actor);
    }
    if (member != NULL) {
        member->held = member->row.state == FLEET_MEMBER_PENDING && is_held(answer->offer);
        member->held_for = answer->offer;
    }
    return err;
}

static enum kedge_err visit_rollout(const struct visit *visit, struct srv_rollout *rollout,
                                    struct srv_answer *answer)
{
    struct srv_core *core = visit->core;
    struct srv_member *member = srv_member_find(visit->device, rollout);
    if (member != NULL && has_regressed(core, member, visit->poll)) {
        srv_guard_fail(core, member, "regressed");
        srv_guard_check(core, rollout);
    }
    struct fleet_offer_input in = offer_input(visit->device, visit->poll, rollout, member);
    answer->offer = fleet_offer_decide(&in);
    return act(visit, rollout, member, answer);
}

/* Rollouts for other chips do not concern it; "" = it could be any. */
static const char *chip_of(const struct srv_core *core, const struct srv_device *device)
{
    return device->row.chip[0] != '\0' ? device->row.chip : srv_release_only_chip(core);
}

enum kedge_err srv_offer(struct srv_core *core, struct srv_device *device,
                         const struct srv_poll *poll, const char *address,
                         struct srv_answer *answer)
{
    struct visit visit = {
        .core = core, .device = device, .poll = poll, .actor = device_actor(device, address)};
    bool is_first = true;
    note_poll(core, device, poll);
    device->has_offer = false;
    *answer = (struct srv_answer){.offer = FLEET_OFFER_CURRENT};
    const char *chip = chip_of(core, device);
    for (uint32_t i = core->rollout_count; i-- > 0;) {
        struct srv_rollout *rollout = core->rollouts[i];
        if (strcmp(rollout->release->row.chip, chip) != 0) {
            continue;
        }
        bool was_complete = rollout->row.state == FLEET_ROLLOUT_COMPLETE;
        enum kedge_err err = visit_rollout(&visit, rollout, answer);
        if (err != KEDGE_OK) {
            return err;
        }
        if (is_first || answer->offer == FLEET_OFFER_IMAGE) {
            device->offer = answer->offer;
            device->has_offer = true;
            is_first = false;
        }
        if (was_complete || !is_undecided(answer->offer)) {
            break;
        }
    }
    return KEDGE_OK;
}

const struct srv_rollout *srv_offer_preview(const struct srv_core *core,
                                            const struct srv_device *device,
                                            const struct srv_poll *poll)
{
    struct srv_device claimed = *device;
    take_claims(core, &claimed, poll);
    const char *chip = chip_of(core, &claimed);
    for (uint32_t i = core->rollout_count; i-- > 0;) {
        const struct srv_rollout *rollout = core->rollouts[i];
        if (strcmp(rollout->release->row.chip, chip) != 0) {
            continue;
        }
        const struct srv_member *member = srv_member_find(&claimed, rollout);
        struct fleet_offer_input in = offer_input(&claimed, poll, rollout, member);
        if (member != NULL && has_regressed(core, member, poll)) {
            in.member_state = FLEET_MEMBER_FAILED; /* what its next poll makes of it */
            in.force = false;
        }
        enum fleet_offer offer = settle(poll, rollout, fleet_offer_decide(&in));
        if (offer == FLEET_OFFER_IMAGE) {
            return rollout;
        }
        if (rollout->row.state == FLEET_ROLLOUT_COMPLETE || !is_undecided(offer)) {
            break;
        }
    }
    return NULL;
}

/* The one in flight; else the newest of that release. */
static struct srv_member *find_reported(const struct srv_device *device,
                                        const struct srv_release *release)
{
    struct srv_member *newest = NULL;
    for (struct srv_member *member = device->members; member != NULL; member = member->older) {
        if (member->rollout->release != release) {
            continue;
        }
        if (srv_member_in_flight(member)) {
            return member;
        }
        newest = newest != NULL ? newest : member;
    }
    return newest;
}

static bool is_same_report(const struct kedge_report *a, const struct kedge_report *b)
{
    return a->state == b->state && a->cause == b->cause && a->detail == b->detail &&
           strcmp(a->from, b->from) == 0 && strcmp(a->to, b->to) == 0 &&
           memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

static struct srv_member_row reported_row(const struct srv_core *core,
                                          const struct srv_member *member,
                                          const struct kedge_report *report)
{
    struct srv_member_row row = member->row;
    row.state = fleet_member_on_report(row.state, report->state);
    row.attempt = report->attempt;
    row.heard_at = srv_wall_ms(core);
    if (row.state != member->row.state) {
        row.changed_at = row.heard_at;
        row.acknowledged = false;
    }
    bool has_cause = report->cause != KEDGE_CAUSE_NONE && row.state != FLEET_MEMBER_UPDATED;
    if (has_cause) {
        (void)snprintf(row.cause, sizeof row.cause, "%s", kedge_cause_text(report->cause));
    } else if (row.state != FLEET_MEMBER_FAILED) {
        row.cause[0] = '\0';
    }
    return row;
}

static cJSON *report_detail(const struct kedge_report *report)
{
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "state", kedge_report_state_text(report->state));
    (void)cJSON_AddStringToObject(detail, "cause", kedge_cause_text(report->cause));
    (void)cJSON_AddStringToObject(detail, "from", report->from);
    (void)cJSON_AddStringToObject(detail, "to", report->to);
    srv_json_int(detail, "attempt", report->attempt);
    srv_json_int(detail, "seq", report->seq);
    srv_json_int(detail, "detail", report->detail);
    return detail;
}

/* Row, member and audit in one transaction: the device forgets the report when it is answered. */
static enum kedge_err take_report(struct srv_core *core, struct srv_device *device,
                                  const struct kedge_report *report, struct srv_member *member,
                                  const struct srv_actor *actor)
{
    struct srv_report_row stored = {.received_at = srv_wall_ms(core), .report = *report};
    memcpy(stored.device_id, device->row.id, sizeof stored.device_id);
    struct srv_member_row row = {0};
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_report_put(core->store, &stored);
    }
    if (err == KEDGE_OK && member != NULL) {
        row = reported_row(core, member, report);
        err = srv_store_member_put(core->store, &row);
    }
    if (err == KEDGE_OK && member != NULL) {
        err = write_progress(core, member->rollout, member, &row);
    }
    err = srv_audit(core, err, actor, "device.report", device->row.id, report_detail(report));
    err = srv_core_finish(core, err);
    if (err == KEDGE_OK && member != NULL) {
        (void)take_over(core, device, member->rollout, member, &row);
        if (row.state == FLEET_MEMBER_FAILED) {
            srv_guard_check(core, member->rollout); /* before the next device is offered it */
        }
    }
    return err;
}

enum kedge_err srv_report(struct srv_core *core, struct srv_device *device,
                          const struct kedge_report *report, const char *address, bool *is_repeat)
{
    char sha256[SRV_SHA256_HEX_SIZE];
    kedge_hex_encode(report->sha256, KEDGE_SHA256_SIZE, sha256);
    struct srv_actor actor = device_actor(device, address);
    core->counters.reports++;
    device->seen_ms = srv_guard_ms(core);
    device->row.last_seen = srv_wall_ms(core);
    device->dirty = true;
    struct srv_release *release = srv_release_by_sha256(core, sha256);
    if (release == NULL) {
        srv_audit_refusal(core, address, "report about an image that is no release",
                          device->row.id);
        return KEDGE_ERR_NOT_FOUND;
    }
    struct srv_report_row known;
    enum kedge_err err =
        srv_store_report_get(core->store, device->row.id, report->attempt, report->seq, &known);
    /* Attempts count from 1 again when a device has lost its journal: other content is news. */
    *is_repeat = err == KEDGE_OK && is_same_report(&known.report, report);
    if (*is_repeat || (err != KEDGE_OK && err != KEDGE_ERR_NOT_FOUND)) {
        return *is_repeat ? KEDGE_OK : err;
    }
    err = take_report(core, device, report, find_reported(device, release), &actor);
    if (err == KEDGE_OK) {
        host_log(HOST_LOG_INFO, "device_report", "device=%s state=%s cause=%s from=%s to=%s",
                 device->row.id, kedge_report_state_text(report->state),
                 kedge_cause_text(report->cause), report->from, report->to);
    }
    return err;
}
