/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "kedge/text.h"
#include "verdict.h"

/*
 * After a reset: what the journal meant to do meets what the bootloader did. Rules are tried in
 * order; the first match decides. Bootloader behaviour: docs/esp-idf.md 2.3, 2.4, 2.7.
 */

enum where {
    RUNS_OLD,
    RUNS_NEW
};

#define STATE(name)   (1u << KEDGE_STATE_##name)
#define SWITCHED      (STATE(REBOOTING) | STATE(TRIAL) | STATE(COMMITTED) | STATE(ROLLING_BACK))
#define ONCE_SWITCHED (STATE(SWITCHING) | SWITCHED | STATE(ROLLED_BACK))

/* Records fall into classes; RECORD_NONE is a lost or foreign one. */
enum record_class {
    RECORD_NONE = 1u << 0,
    RECORD_PENDING = 1u << 1, /* NEW or PENDING_VERIFY */
    RECORD_VALID = 1u << 2,
    RECORD_FAILED = 1u << 3, /* INVALID or ABORTED */
    RECORD_ANY = 0xFu
};

/* What a rule asks beside state, place and record. */
enum boot_condition {
    ALWAYS,
    IF_UNTOUCHED, /* the record is as it was before the switch: the switch never happened */
    IF_NOT_POWER  /* the reset was not the power's doing */
};

static const struct boot_rule {
    uint32_t states; /* journal state */
    enum where where;
    uint32_t record; /* class of the new image's record */
    enum boot_condition condition;
    enum kedge_state next;
    enum kedge_cause cause; /* where the journal has none; NONE: the reset reason says */
    const char *why;
} rules[] = {
    {STATE(COMMITTED), RUNS_NEW, RECORD_ANY, ALWAYS, KEDGE_STATE_COMMITTED, KEDGE_CAUSE_NONE,
     "proven, then cut"},
    /* A state torn in flash has a good CRC and is none that the bootloader watches; and a
     * bootloader built without rollback watches nothing. Then going back is up to us, before the
     * app starts. */
    {STATE(SWITCHING) | STATE(REBOOTING), RUNS_NEW, RECORD_NONE, ALWAYS, KEDGE_STATE_ROLLING_BACK,
     KEDGE_CAUSE_POWER, "record torn: the trial is not watched"},
    {STATE(TRIAL), RUNS_NEW, RECORD_PENDING | RECORD_VALID | RECORD_NONE, IF_NOT_POWER,
     KEDGE_STATE_ROLLING_BACK, KEDGE_CAUSE_NONE, "ended a trial that is not watched"},
    {STATE(ROLLING_BACK), RUNS_NEW, RECORD_ANY, ALWAYS, KEDGE_STATE_ROLLING_BACK, KEDGE_CAUSE_NONE,
     "rollback did not take"},
    {ONCE_SWITCHED, RUNS_NEW, RECORD_ANY, ALWAYS, KEDGE_STATE_TRIAL, KEDGE_CAUSE_NONE,
     "first boot"},
    {STATE(ROLLED_BACK), RUNS_OLD, RECORD_ANY, ALWAYS, KEDGE_STATE_ROLLED_BACK, KEDGE_CAUSE_NONE,
     "verdict still open"},
    {STATE(SWITCHING), RUNS_OLD, RECORD_ANY, IF_UNTOUCHED, KEDGE_STATE_SWITCHING, KEDGE_CAUSE_NONE,
     "cut before the switch"},
    {STATE(SWITCHING), RUNS_OLD, RECORD_NONE, ALWAYS, KEDGE_STATE_SWITCHING, KEDGE_CAUSE_NONE,
     "cut within the switch"},
    {STATE(SWITCHING) | SWITCHED, RUNS_OLD, RECORD_FAILED, ALWAYS, KEDGE_STATE_ROLLED_BACK,
     KEDGE_CAUSE_NONE, "trial ended"},
    {STATE(SWITCHING) | SWITCHED, RUNS_OLD, RECORD_PENDING | RECORD_VALID, ALWAYS,
     KEDGE_STATE_ROLLED_BACK, KEDGE_CAUSE_NOT_BOOTABLE, "bootloader fell back"},
    {SWITCHED, RUNS_OLD, RECORD_NONE, ALWAYS, KEDGE_STATE_ROLLED_BACK, KEDGE_CAUSE_POWER,
     "record lost between erase and write"},
};

static uint32_t classify(uint32_t state)
{
    switch (state) {
    case (uint32_t)KEDGE_OTA_NEW:
    case (uint32_t)KEDGE_OTA_PENDING_VERIFY:
        return RECORD_PENDING;
    case (uint32_t)KEDGE_OTA_VALID:
        return RECORD_VALID;
    case (uint32_t)KEDGE_OTA_INVALID:
    case (uint32_t)KEDGE_OTA_ABORTED:
        return RECORD_FAILED;
    default:
        return RECORD_NONE;
    }
}

static bool holds(const struct kedge_agent *agent, enum boot_condition condition)
{
    switch (condition) {
    case IF_UNTOUCHED:
        return agent->facts.target_state == agent->journal.data.record_before;
    case IF_NOT_POWER:
        return verdict_cause_of_reset(agent->facts.reset_reason) != KEDGE_CAUSE_POWER;
    case ALWAYS:
        break;
    }
    return true;
}

static const struct boot_rule *find_rule(const struct kedge_agent *agent)
{
    const struct kedge_boot_facts *facts = &agent->facts;
    const struct kedge_journal_data *data = &agent->journal.data;
    enum where where = facts->running_slot == data->slot ? RUNS_NEW : RUNS_OLD;
    uint32_t record = classify(where == RUNS_NEW ? facts->running_state : facts->target_state);

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if ((rules[i].states & (1u << data->state)) != 0 && rules[i].where == where &&
            (rules[i].record & record) != 0 && holds(agent, rules[i].condition)) {
            return &rules[i];
        }
    }
    return NULL;
}

static void set_cause(struct kedge_agent *agent, enum kedge_cause cause)
{
    struct kedge_journal_data *data = &agent->journal.data;

    if (data->cause != KEDGE_CAUSE_NONE) {
        return; /* the image itself said why it gave up */
    }
    data->cause =
        (uint8_t)(cause != KEDGE_CAUSE_NONE ? cause
                                            : verdict_cause_of_reset(agent->facts.reset_reason));
    data->detail = (uint32_t)agent->facts.reset_reason;
}

/* Someone else (a serial flasher, another update path) put a different image where ours was. */
static bool is_foreign(const struct kedge_agent *agent)
{
    const struct kedge_journal_data *data = &agent->journal.data;

    return agent->facts.running_slot == data->slot && (ONCE_SWITCHED & (1u << data->state)) != 0 &&
           strcmp(agent->facts.running.version, data->to) != 0;
}

/* The running image is on trial although the journal knows of none: prove it all the same. */
static void adopt_trial(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    if (classify(agent->facts.running_state) != RECORD_PENDING ||
        agent->facts.running_slot != agent->facts.boot_slot) {
        return;
    }
    data->slot = agent->facts.running_slot;
    data->tried = 1;
    kedge_text_copy(data->to, sizeof data->to, agent->facts.running.version);
    agent_log(agent, KEDGE_LOG_INFO, "trial_adopted", data->to);
    agent_enter(agent, KEDGE_STATE_TRIAL);
}

static bool is_left_new(const struct kedge_agent *agent)
{
    return agent->facts.running_state == (uint32_t)KEDGE_OTA_NEW &&
           agent->facts.running_slot == agent->facts.boot_slot;
}

/* A bootloader with rollback turns NEW into PENDING_VERIFY before it starts the image
 * (docs/esp-idf.md 2.3). One without starts it again after every panic (1 a3). Known from then. */
static void learn_bootloader(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    if (data->bootloader == KEDGE_BOOTLOADER_UNKNOWN && is_left_new(agent)) {
        data->bootloader = KEDGE_BOOTLOADER_NO_ROLLBACK;
        agent_log(agent, KEDGE_LOG_WARN, "bootloader_cannot_roll_back", "");
    }
    if (data->bootloader != KEDGE_BOOTLOADER_UNKNOWN) {
        agent->facts.can_rollback = false;
    }
}

static void resume(struct kedge_agent *agent)
{
    const struct boot_rule *rule = is_foreign(agent) ? NULL : find_rule(agent);
    struct kedge_journal_data *data = &agent->journal.data;

    if (rule == NULL) {
        agent_enter(agent, KEDGE_STATE_IDLE);
        return;
    }
    agent_log(agent, KEDGE_LOG_INFO, "boot_rule", rule->why);
    if (data->state == KEDGE_STATE_TRIAL) {
        data->cause = KEDGE_CAUSE_NONE; /* what was still missing; the reset ended the trial */
    }
    if (rule->next == KEDGE_STATE_TRIAL) {
        data->tried = 1;
        data->cause = KEDGE_CAUSE_NONE; /* a cause of an earlier trial of the same image */
        data->detail = 0;
    }
    if (rule->next == KEDGE_STATE_ROLLED_BACK || rule->next == KEDGE_STATE_ROLLING_BACK) {
        data->tried = rule->cause != KEDGE_CAUSE_NOT_BOOTABLE || data->tried != 0;
        set_cause(agent, rule->cause);
    }
    agent_enter(agent, rule->next);
}

bool boot_is_aligned(const struct kedge_agent *agent)
{
    return agent->facts.boot_slot == agent->facts.running_slot ||
           agent->facts.boot_slot == KEDGE_NO_SLOT;
}

/* While we were off somebody else updated this board: the slot that we were writing to runs or is
 * to run, or the running image is on trial, and esp_ota_resume would not mind
 * (docs/esp-idf.md 2.5). */
static bool is_overtaken(const struct kedge_agent *agent)
{
    const struct kedge_journal_data *data = &agent->journal.data;
    const uint32_t writing = STATE(DOWNLOADING) | STATE(VERIFYING);
    const uint32_t unswitched = writing | STATE(SWITCHING);
    uint32_t state = 1u << data->state;

    if (agent->facts.running_slot == data->slot || !boot_is_aligned(agent)) {
        return (writing & state) != 0;
    }
    return (unswitched & state) != 0 && classify(agent->facts.running_state) == RECORD_PENDING;
}

/* The bootloader found no record and fell back to what runs now. Before anything else is tried,
 * that image gets a record: a trial without one has nothing to go back to. */
static void restore_record(struct kedge_agent *agent)
{
    const uint32_t new_image_runs = STATE(TRIAL) | STATE(COMMITTED) | STATE(ROLLING_BACK);
    enum kedge_err err;

    if (agent->facts.boot_slot != KEDGE_NO_SLOT ||
        (new_image_runs & (1u << agent->journal.data.state)) != 0) {
        return;
    }
    err = agent->plat.slots->restore_record(agent->plat.ctx);
    agent_log(agent, KEDGE_LOG_WARN, "record_restored", kedge_err_text(err));
    if (err == KEDGE_OK) {
        agent->facts.boot_slot = agent->facts.running_slot;
        agent->facts.running_state = (uint32_t)KEDGE_OTA_VALID;
    }
}

void boot_begin(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    data->boot_count++;
    if (boot_is_aligned(agent)) {
        data->realigned = 0;
    }
    if (data->state >= KEDGE_STATE_COUNT) {
        data->state = KEDGE_STATE_IDLE; /* written by a newer agent */
    }
    /* States before the switch simply go on; their work can be done again. */
    const uint32_t repeatable = STATE(DOWNLOADING) | STATE(VERIFYING) | STATE(REJECTED);

    learn_bootloader(agent);
    if (!agent_has_attempt(agent) || is_overtaken(agent)) {
        agent_enter(agent, KEDGE_STATE_IDLE);
    } else if ((repeatable & (1u << data->state)) != 0) {
        agent_enter(agent, (enum kedge_state)data->state);
    } else {
        resume(agent);
    }
    if (data->state == KEDGE_STATE_IDLE) {
        adopt_trial(agent);
    }
    restore_record(agent);
}
