/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"

static bool is_in_flight(enum fleet_member_state state)
{
    return state == FLEET_MEMBER_OFFERED || state == FLEET_MEMBER_INSTALLING;
}

bool srv_member_in_flight(const struct srv_member *member)
{
    return is_in_flight(member->row.state);
}

/* The counters follow every change of a member by taking it out and putting it back. */
static void account(struct srv_rollout *rollout, const struct srv_member_row *row, bool add)
{
    uint32_t *count = &rollout->counts[row->stage][row->state];
    *count = add ? *count + 1u : *count - 1u;
    if (row->state == FLEET_MEMBER_FAILED && !row->acknowledged) {
        rollout->failures = add ? rollout->failures + 1u : rollout->failures - 1u;
    }
}

void srv_member_apply(struct srv_member *member, const struct srv_member_row *row)
{
    account(member->rollout, &member->row, false);
    member->row = *row;
    account(member->rollout, &member->row, true);
    member->held = member->held && row->state == FLEET_MEMBER_PENDING;
}

/* X-Boot-Caps: words between commas. */
bool srv_device_lacks_rollback(const struct srv_device *device)
{
    static const char wanted[] = "rollback";
    const char *caps = device->row.boot_caps;
    if (caps[0] == '\0') {
        return false; /* a client that does not say */
    }
    while (*caps != '\0') {
        caps += strspn(caps, " ,");
        size_t len = strcspn(caps, " ,");
        if (len == sizeof wanted - 1u && memcmp(caps, wanted, len) == 0) {
            return false;
        }
        caps += len;
    }
    return true;
}

struct srv_member *srv_member_append(struct srv_rollout *rollout, struct srv_device *device,
                                     const struct srv_member_row *row)
{
    if (rollout->member_count == rollout->member_capacity) {
        rollout->member_capacity = rollout->member_capacity > 0 ? rollout->member_capacity * 2 : 64;
        rollout->members =
            host_realloc(rollout->members, rollout->member_capacity * sizeof *rollout->members);
    }
    struct srv_member *member = host_calloc(1, sizeof *member);
    *member = (struct srv_member){
        .row = *row,
        .rollout = rollout,
        .device = device,
        .older = device->members,
        .held = row->state == FLEET_MEMBER_PENDING && !rollout->row.allow_no_rollback &&
                srv_device_lacks_rollback(device),
        .held_for = FLEET_OFFER_NO_ROLLBACK,
    };
    device->members = member;
    rollout->members[rollout->member_count++] = member;
    account(rollout, row, true);
    return member;
}

struct srv_member_row srv_member_new_row(const struct srv_rollout *rollout,
                                         const struct srv_device *device)
{
    struct srv_member_row row = {
        .rollout_id = rollout->row.id,
        .position = rollout->member_count,
        .stage = rollout->row.plan.stage_count - 1u,
    };
    memcpy(row.device_id, device->row.id, sizeof row.device_id);
    return row;
}

struct srv_member *srv_member_find(const struct srv_device *device,
                                   const struct srv_rollout *rollout)
{
    struct srv_member *member = device->members;
    while (member != NULL && member->rollout != rollout) {
        member = member->older;
    }
    return member;
}

uint32_t srv_rollout_in_flight(const struct srv_rollout *rollout)
{
    uint32_t count = 0;
    for (uint32_t stage = 0; stage < rollout->row.plan.stage_count; stage++) {
        count += rollout->counts[stage][FLEET_MEMBER_OFFERED] +
                 rollout->counts[stage][FLEET_MEMBER_INSTALLING];
    }
    return count;
}

struct srv_rollout *srv_rollout_find(const struct srv_core *core, int64_t id)
{
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        if (core->rollouts[i]->row.id == id) {
            return core->rollouts[i];
        }
    }
    return NULL;
}

static struct srv_rollout *append(struct srv_core *core, const struct srv_rollout_row *row,
                                  struct srv_release *release)
{
    if (core->rollout_count == core->rollout_capacity) {
        core->rollout_capacity = core->rollout_capacity > 0 ? core->rollout_capacity * 2u : 16u;
        core->rollouts =
            host_realloc(core->rollouts, core->rollout_capacity * sizeof *core->rollouts);
    }
    struct srv_rollout *rollout = host_calloc(1, sizeof *rollout);
    rollout->row = *row;
    rollout->release = release;
    rollout->progress_ms = srv_guard_ms(core);
    core->rollouts[core->rollout_count++] = rollout;
    return rollout;
}

struct load {
    struct srv_core *core;
    bool broken;
};

/* The soak goes on over a restart: what had passed by the wall clock, has passed. */
static void load_rollout(void *ctx, const struct srv_rollout_row *row)
{
    struct load *load = ctx;
    struct srv_release *release = srv_release_by_id(load->core, row->release_id);
    if (release == NULL || row->stage >= row->plan.stage_count) {
        load->broken = true;
        return;
    }
    struct srv_rollout *rollout = append(load->core, row, release);
    int64_t passed = srv_wall_ms(load->core) - row->progress_at;
    if (passed > 0 && (uint64_t)passed < SRV_GUARD_EPOCH_MS) {
        rollout->progress_ms -= (uint64_t)passed;
    }
}

static void load_member(void *ctx, const struct srv_member_row *row)
{
    struct load *load = ctx;
    struct srv_rollout *rollout = srv_rollout_find(load->core, row->rollout_id);
    struct srv_device *device = srv_device_find(load->core, row->device_id);
    if (rollout == NULL || device == NULL || row->stage >= rollout->row.plan.stage_count) {
        load->broken = true;
        return;
    }
    (void)srv_member_append(rollout, device, row);
}

enum kedge_err srv_rollouts_load(struct srv_core *core)
{
    struct load load = {.core = core};
    enum kedge_err err = srv_store_rollout_each(core->store, load_rollout, &load);
    if (err == KEDGE_OK) {
        err = srv_store_member_each(core->store, load_member, &load);
    }
    return err == KEDGE_OK && load.broken ? KEDGE_ERR_SYNTAX : err;
}

void srv_rollouts_free(struct srv_core *core)
{
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        struct srv_rollout *rollout = core->rollouts[i];
        for (uint32_t j = 0; j < rollout->member_count; j++) {
            free(rollout->members[j]);
        }
        free(rollout->members);
        free(rollout);
    }
    free(core->rollouts);
}

/* Two rollouts of one chip would fight over the same devices. */
static const struct srv_rollout *find_running(const struct srv_core *core, const char *chip)
{
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        const struct srv_rollout *rollout = core->rollouts[i];
        if (rollout->row.state == FLEET_ROLLOUT_RUNNING &&
            strcmp(rollout->release->row.chip, chip) == 0) {
            return rollout;
        }
    }
    return NULL;
}

struct candidate {
    struct srv_device *device;
    uint64_t rank;
};

struct candidates {
    struct candidate *items;
    size_t count;
    const char *chip;
    uint64_t seed;
};

static void collect(void *ctx, struct srv_device *device)
{
    struct candidates *candidates = ctx;
    if (device->row.revoked_at == 0 && strcmp(device->row.chip, candidates->chip) == 0) {
        candidates->items[candidates->count++] = (struct candidate){
            .device = device, .rank = fleet_rank(candidates->seed, device->row.id)};
    }
}

static int by_rank(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;
    if (left->rank != right->rank) {
        return left->rank < right->rank ? -1 : 1;
    }
    return strcmp(left->device->row.id, right->device->row.id);
}

static struct srv_member_row member_row(const struct srv_rollout_row *rollout,
                                        const struct candidates *candidates, uint32_t position)
{
    struct srv_member_row row = {
        .rollout_id = rollout->id,
        .position = position,
        .stage = fleet_stage_of(&rollout->plan, position, (uint32_t)candidates->count),
    };
    memcpy(row.device_id, candidates->items[position].device->row.id, sizeof row.device_id);
    return row;
}

static enum kedge_err write_members(struct srv_core *core, const struct srv_rollout_row *rollout,
                                    const struct candidates *candidates)
{
    for (uint32_t i = 0; i < candidates->count; i++) {
        struct srv_member_row row = member_row(rollout, candidates, i);
        enum kedge_err err = srv_store_member_put(core->store, &row);
        if (err != KEDGE_OK) {
            return err;
        }
    }
    return KEDGE_OK;
}

static cJSON *create_detail(const struct srv_rollout_row *row, const struct srv_release *release,
                            size_t members)
{
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "version", release->row.version);
    (void)cJSON_AddStringToObject(detail, "chip", release->row.chip);
    (void)cJSON_AddStringToObject(detail, "sha256", release->row.sha256);
    srv_json_int(detail, "members", (int64_t)members);
    srv_json_int(detail, "stages", row->plan.stage_count);
    srv_json_int(detail, "max_failures", row->plan.max_failures);
    (void)cJSON_AddBoolToObject(detail, "force", row->force);
    (void)cJSON_AddBoolToObject(detail, "allow_no_rollback", row->allow_no_rollback);
    return detail;
}

/* The rollout's id seeds the ranks, so its row comes first. */
static enum kedge_err write_rollout(struct srv_core *core, const struct srv_actor *actor,
                                    const struct srv_release *release, struct srv_rollout_row *row,
                                    struct candidates *candidates)
{
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_rollout_insert(core->store, row, &row->id);
    }
    if (err == KEDGE_OK) {
        candidates->seed = (uint64_t)row->id;
        srv_devices_each(core, collect, candidates);
        if (candidates->count > 0) {
            qsort(candidates->items, candidates->count, sizeof candidates->items[0], by_rank);
        }
        err = write_members(core, row, candidates);
    }
    char subject[32];
    (void)snprintf(subject, sizeof subject, "rollout %lld", (long long)row->id);
    err = srv_audit(core, err, actor, "rollout.create", subject,
                    create_detail(row, release, candidates->count));
    return srv_core_finish(core, err);
}

bool srv_rollout_create(struct srv_core *core, const struct srv_actor *actor,
                        const struct srv_rollout_request *request, struct srv_rollout **out,
                        struct srv_refusal *refusal)
{
    struct srv_release *release = srv_release_by_id(core, request->release->row.id);
    const struct srv_rollout *running = find_running(core, release->row.chip);
    if (running != NULL) {
        return srv_refuse(
            refusal, 409, "rollout %lld of %s is running for %s: wait for it, pause it or abort it",
            (long long)running->row.id, running->release->row.version, release->row.chip);
    }
    struct srv_rollout_row row = {
        .release_id = release->row.id,
        .plan = request->plan,
        .force = request->force,
        .allow_no_rollback = request->allow_no_rollback,
        .state = FLEET_ROLLOUT_RUNNING,
        .created_at = srv_wall_ms(core),
        .progress_at = srv_wall_ms(core),
    };
    (void)snprintf(row.created_by, sizeof row.created_by, "%s", actor->name);
    struct candidates candidates = {
        .chip = release->row.chip,
        .items = host_calloc((size_t)core->device_count + 1u, sizeof *candidates.items),
    };
    enum kedge_err err = write_rollout(core, actor, release, &row, &candidates);
    if (err == KEDGE_OK) {
        struct srv_rollout *rollout = append(core, &row, release);
        for (uint32_t i = 0; i < candidates.count; i++) {
            struct srv_member_row member = member_row(&row, &candidates, i);
            (void)srv_member_append(rollout, candidates.items[i].device, &member);
        }
        *out = rollout;
        host_log(HOST_LOG_INFO, "rollout_created", "rollout=%lld version=%s members=%u",
                 (long long)row.id, release->row.version, rollout->member_count);
    }
    free(candidates.items);
    return err == KEDGE_OK || srv_refuse_store(refusal, err);
}

/* Bits of the states in which a verb makes sense. */
#define IN(state) (1u << FLEET_ROLLOUT_##state)

static const struct {
    const char *action;
    const char *name;
    unsigned from;
    enum fleet_rollout_state to;
} verbs[] = {
    [SRV_ROLLOUT_PAUSE] = {"rollout.pause", "paused", IN(RUNNING), FLEET_ROLLOUT_PAUSED},
    [SRV_ROLLOUT_RESUME] = {"rollout.resume", "resumed", IN(PAUSED) | IN(HALTED),
                            FLEET_ROLLOUT_RUNNING},
    [SRV_ROLLOUT_ABORT] = {"rollout.abort", "aborted",
                           IN(RUNNING) | IN(PAUSED) | IN(HALTED) | IN(COMPLETE),
                           FLEET_ROLLOUT_ABORTED},
};

static enum kedge_err write_verb(struct srv_core *core, const struct srv_actor *actor,
                                 const struct srv_rollout *rollout,
                                 const struct srv_rollout_row *row, enum srv_rollout_verb verb)
{
    char subject[32];
    (void)snprintf(subject, sizeof subject, "rollout %lld", (long long)row->id);
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "version", rollout->release->row.version);
    (void)cJSON_AddStringToObject(detail, "from", fleet_rollout_state_text(rollout->row.state));
    srv_json_int(detail, "failures", rollout->failures);
    enum kedge_err err = srv_store_begin(core->store);
    if (err == KEDGE_OK) {
        err = srv_store_rollout_update(core->store, row);
    }
    if (err == KEDGE_OK && verb == SRV_ROLLOUT_RESUME) {
        err = srv_store_member_acknowledge(core->store, row->id);
    }
    err = srv_audit(core, err, actor, verbs[verb].action, subject, detail);
    return srv_core_finish(core, err);
}

static void acknowledge(struct srv_rollout *rollout)
{
    for (uint32_t i = 0; i < rollout->member_count; i++) {
        struct srv_member *member = rollout->members[i];
        if (member->row.state == FLEET_MEMBER_FAILED) {
            struct srv_member_row row = member->row;
            row.acknowledged = true;
            srv_member_apply(member, &row);
        }
    }
}

bool srv_rollout_act(struct srv_core *core, const struct srv_actor *actor,
                     struct srv_rollout *rollout, enum srv_rollout_verb verb,
                     struct srv_refusal *refusal)
{
    struct srv_rollout_row row = rollout->row;
    if ((verbs[verb].from & (1u << row.state)) == 0) {
        return srv_refuse(refusal, 409, "rollout %lld is %s and cannot be %s", (long long)row.id,
                          fleet_rollout_state_text(row.state), verbs[verb].name);
    }
    row.state = verbs[verb].to;
    if (verb == SRV_ROLLOUT_RESUME && row.ended_at != 0) {
        row.state = FLEET_ROLLOUT_COMPLETE; /* it was halted by a latecomer */
    }
    const struct srv_rollout *running = find_running(core, rollout->release->row.chip);
    if (row.state == FLEET_ROLLOUT_RUNNING && running != NULL) {
        return srv_refuse(refusal, 409, "rollout %lld of %s is running for %s: end it first",
                          (long long)running->row.id, running->release->row.version,
                          rollout->release->row.chip);
    }
    if (verb == SRV_ROLLOUT_ABORT) {
        row.ended_at = srv_wall_ms(core);
    }
    enum kedge_err err = write_verb(core, actor, rollout, &row, verb);
    if (err != KEDGE_OK) {
        return srv_refuse_store(refusal, err);
    }
    rollout->row = row;
    if (verb == SRV_ROLLOUT_RESUME) {
        acknowledge(rollout);
    }
    host_log(HOST_LOG_INFO, "rollout_changed", "rollout=%lld state=%s by=%s", (long long)row.id,
             fleet_rollout_state_text(row.state), actor->name);
    return true;
}

enum kedge_err srv_members_write(struct srv_core *core)
{
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        const struct srv_rollout *rollout = core->rollouts[i];
        for (uint32_t j = 0; j < rollout->member_count; j++) {
            if (rollout->members[j]->dirty) {
                enum kedge_err err = srv_store_member_put(core->store, &rollout->members[j]->row);
                if (err != KEDGE_OK) {
                    return err;
                }
            }
        }
    }
    return KEDGE_OK;
}

void srv_members_written(struct srv_core *core)
{
    for (uint32_t i = 0; i < core->rollout_count; i++) {
        for (uint32_t j = 0; j < core->rollouts[i]->member_count; j++) {
            core->rollouts[i]->members[j]->dirty = false;
        }
    }
}
