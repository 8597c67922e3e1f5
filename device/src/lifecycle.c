/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "verdict.h"

/* The work of the states around the switch; the download's is in download.c, the trial's in
 * trial.c. Which state leads where is the table in agent.c. */

/* What to do about running slot != boot slot, by the reboots spent on it so far. */
#define REALIGN_REBOOT 0u /* a record on trial becomes ABORTED by that */
#define REALIGN_REPAIR 1u /* it is a confirmed image that broke: its record is struck out */

/* Strike out the record of the slot that does not boot: it is the active one. Only where the
 * running slot's own record is good to fall back on. Power cut inside: that record is lost, which
 * is the same. */
static bool strike_out_boot_slot(struct kedge_agent *agent)
{
    enum kedge_err err;

    if (agent->facts.running_state != (uint32_t)KEDGE_OTA_VALID) {
        return false;
    }
    err = agent->plat.slots->mark_invalid(agent->plat.ctx);
    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "realign_failed", kedge_err_text(err));
    }
    return err == KEDGE_OK;
}

/* The bootloader fell back from an image that does not verify and left otadata naming it.
 * Confirming or updating now would hit the wrong record. */
enum outcome idle_work(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;
    uint8_t step = data->realigned;

    if (boot_is_aligned(agent) || step > REALIGN_REPAIR) {
        return OUTCOME_STAY;
    }
    data->realigned++;
    if (step == REALIGN_REPAIR && !strike_out_boot_slot(agent)) {
        (void)agent_save(agent);
        return OUTCOME_STAY;
    }
    agent_log(agent, KEDGE_LOG_WARN, "realign", "reason=running_slot_is_not_boot_slot");
    return OUTCOME_DONE;
}

enum outcome agent_ready_to_switch(struct kedge_agent *agent)
{
    struct kedge_boot_facts now;

    if (agent->plat.slots->describe(agent->plat.ctx, &now) != KEDGE_OK) {
        agent->journal.data.cause = KEDGE_CAUSE_FLASH;
        return OUTCOME_BAD;
    }
    agent->journal.data.record_before = now.target_state;
    return OUTCOME_DONE;
}

/* Power cut in set_boot: docs/esp-idf.md 2.7.1; boot.c finds out what became of it. */
enum outcome switch_work(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;
    enum kedge_err err = agent->plat.slots->set_boot(agent->plat.ctx, data->slot);

    if (err == KEDGE_OK) {
        return OUTCOME_DONE;
    }
    data->cause = err == KEDGE_ERR_MISMATCH ? KEDGE_CAUSE_IMAGE : KEDGE_CAUSE_FLASH;
    return OUTCOME_BAD;
}

/* The server hears what is coming before the device goes dark, but not for the price of hanging. */
enum outcome reboot_work(struct kedge_agent *agent)
{
    if (!outbox_is_empty(agent) &&
        agent->now_ms - agent->entered_ms < agent->config.report_grace_ms) {
        return OUTCOME_STAY;
    }
    agent->action.kind = KEDGE_ACTION_REBOOT;
    return OUTCOME_STAY;
}

/* Confirming may have raised the floor in eFuse; the next offer must not be measured by the old
 * one. */
static void refresh_floor(struct kedge_agent *agent)
{
    struct kedge_boot_facts now;

    if (agent->plat.slots->describe(agent->plat.ctx, &now) == KEDGE_OK) {
        agent->facts.min_secure_version = now.min_secure_version;
    }
}

static bool names_running_slot(const struct kedge_agent *agent)
{
    return agent->facts.boot_slot == agent->facts.running_slot;
}

/* mark_valid confirms what otadata names. Where that is not the image that runs there is nothing to
 * confirm: the bootloader came to it by its fallback and will again. */
static enum kedge_err confirm(struct kedge_agent *agent)
{
    enum kedge_err err;

    if (!names_running_slot(agent)) {
        agent_log(agent, KEDGE_LOG_WARN, "confirmed_without_record", agent->journal.data.to);
        return KEDGE_OK;
    }
    err = agent->plat.slots->mark_valid(agent->plat.ctx);
    if (err == KEDGE_ERR_RANGE) { /* confirmed, only that eFuse has no bit left for the floor */
        agent_log(agent, KEDGE_LOG_ERROR, "anti_rollback_exhausted", "");
        err = KEDGE_OK;
    }
    if (err == KEDGE_OK) {
        agent->facts.running_state = (uint32_t)KEDGE_OTA_VALID;
        refresh_floor(agent);
    }
    return err;
}

/* Power cut between the journal and mark_valid: the bootloader reverts, boot.c re-arms. */
enum outcome commit_work(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;
    enum kedge_cause cause = KEDGE_CAUSE_NONE;
    enum kedge_err err = confirm(agent);

    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "mark_valid_failed", kedge_err_text(err));
        data->cause = KEDGE_CAUSE_FLASH;
        return OUTCOME_FAILED;
    }
    if (data->bootloader == KEDGE_BOOTLOADER_NO_ROLLBACK && agent_has_offer(agent)) {
        data->bootloader = KEDGE_BOOTLOADER_REPORTED;
        cause = KEDGE_CAUSE_NO_ROLLBACK;
    }
    outbox_add(agent, KEDGE_REPORT_COMMITTED, cause, data->rearms);
    return OUTCOME_DONE;
}

/* Only ever reached from a trial. If it fails the reboot alone does it, as long as the image is
 * pending. Without a record of its own there is no way back, and trying again for ever would lock
 * out the next release: the image is reported as bad and stays until that one comes. */
enum outcome roll_back_work(struct kedge_agent *agent)
{
    enum kedge_err err = names_running_slot(agent)
                             ? agent->plat.slots->mark_invalid(agent->plat.ctx)
                             : KEDGE_ERR_STATE;

    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "mark_invalid_failed", kedge_err_text(err));
    }
    return err == KEDGE_ERR_STATE &&
                   agent->facts.running_state != (uint32_t)KEDGE_OTA_PENDING_VERIFY
               ? OUTCOME_BAD
               : OUTCOME_DONE;
}

static enum outcome rearm(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    data->rearms++;
    outbox_add(agent, KEDGE_REPORT_REARMED, (enum kedge_cause)data->cause, data->rearms);
    data->cause = KEDGE_CAUSE_NONE;
    data->detail = 0;
    return agent_ready_to_switch(agent);
}

enum outcome verdict_work(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;
    struct verdict_input input = {
        .cause = (enum kedge_cause)data->cause,
        .connected = trial_is_connected(agent),
        .deadline_over = agent->now_ms - agent->entered_ms >= agent->config.verdict_deadline_ms,
        .rearms = data->rearms,
        .rearm_max = agent->config.rearm_max,
    };

    switch (verdict_decide(&input)) {
    case VERDICT_WAIT:
        return OUTCOME_STAY;
    case VERDICT_REARM:
        return rearm(agent);
    case VERDICT_INFRASTRUCTURE:
        data->cause = KEDGE_CAUSE_INFRASTRUCTURE;
        (void)agent_save(agent);
        return OUTCOME_STAY;
    case VERDICT_REARM_LIMIT:
        data->cause = KEDGE_CAUSE_REARM_LIMIT;
        return OUTCOME_BAD;
    case VERDICT_BAD:
        break;
    }
    return OUTCOME_BAD;
}

static void add_to_bad_list(struct kedge_journal_data *data)
{
    for (uint32_t i = 0; i < data->bad_count; i++) {
        if (memcmp(data->bad[i], data->sha256, KEDGE_SHA256_SIZE) == 0) {
            return;
        }
    }
    if (data->bad_count == KEDGE_JOURNAL_BAD_MAX) {
        memmove(data->bad[0], data->bad[1], sizeof data->bad - sizeof data->bad[0]);
        data->bad_count--;
    }
    memcpy(data->bad[data->bad_count++], data->sha256, KEDGE_SHA256_SIZE);
}

enum outcome reject_work(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    if (agent_has_offer(agent)) {
        add_to_bad_list(data);
    }
    outbox_add(agent, data->tried ? KEDGE_REPORT_ROLLED_BACK : KEDGE_REPORT_REJECTED,
               (enum kedge_cause)data->cause, data->detail);
    agent_log(agent, KEDGE_LOG_WARN, "image_rejected",
              kedge_cause_text((enum kedge_cause)data->cause));
    return OUTCOME_DONE;
}
