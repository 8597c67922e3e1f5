/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "verdict.h"

/* The work of the states around the switch; the download's is in download.c, the trial's in
 * trial.c. Which state leads where is the table in agent.c. */

/* The bootloader fell back from an image that does not verify and left otadata naming it. One
 * reboot makes it mark that record ABORTED; confirming or updating before would hit the wrong
 * record. */
enum outcome idle_work(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    if (boot_is_aligned(agent) || data->realigned > 0) {
        return OUTCOME_STAY;
    }
    data->realigned++;
    agent_log(agent, KEDGE_LOG_WARN, "realign", "reason=running_slot_is_not_boot_slot");
    return OUTCOME_DONE;
}

/* Power cut in set_boot: facts/esp-idf.md 2.7.1; boot.c finds out what became of it. */
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

/* Power cut between the journal and mark_valid: the bootloader reverts, boot.c re-arms. */
enum outcome commit_work(struct kedge_agent *agent)
{
    enum kedge_err err = agent->plat.slots->mark_valid(agent->plat.ctx);

    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "mark_valid_failed", kedge_err_text(err));
        agent->journal.data.cause = KEDGE_CAUSE_FLASH;
        return OUTCOME_FAILED;
    }
    agent->facts.running_state = (uint32_t)KEDGE_OTA_VALID;
    outbox_add(agent, KEDGE_REPORT_COMMITTED, KEDGE_CAUSE_NONE, agent->journal.data.rearms);
    return OUTCOME_DONE;
}

/* Only ever reached from a trial. If it fails the reboot alone does it: the image is still pending.
 */
enum outcome roll_back_work(struct kedge_agent *agent)
{
    enum kedge_err err = agent->plat.slots->mark_invalid(agent->plat.ctx);

    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "mark_invalid_failed", kedge_err_text(err));
    }
    return OUTCOME_DONE;
}

static enum outcome rearm(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    data->rearms++;
    outbox_add(agent, KEDGE_REPORT_REARMED, (enum kedge_cause)data->cause, data->rearms);
    data->cause = KEDGE_CAUSE_NONE;
    data->detail = 0;
    return OUTCOME_DONE;
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
