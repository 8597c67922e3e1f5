/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet.h"

#include <string.h>

static const char *const rollout_state_texts[FLEET_ROLLOUT_STATE_COUNT] = {
#define X(name, text) [FLEET_ROLLOUT_##name] = text,
    FLEET_ROLLOUT_STATE_MAP(X)
#undef X
};

static const char *const member_state_texts[FLEET_MEMBER_STATE_COUNT] = {
#define X(name, text) [FLEET_MEMBER_##name] = text,
    FLEET_MEMBER_STATE_MAP(X)
#undef X
};

/* What a report makes of a member. Rows: the state before; columns: what the device reports.
 * - Only a device that ran the target and kept it is UPDATED, whatever was believed before: a late
 *   COMMITTED corrects a FAILED that came from silence.
 * - A FAILED member stays so until then: a report that merely shows life proves nothing.
 * - An UPDATED member may still deliver what it had queued on the way (VERIFIED, REARMED); only a
 *   rollback takes the success back. */
static const uint8_t report_table[FLEET_MEMBER_STATE_COUNT][KEDGE_REPORT_STATE_COUNT] = {
    [FLEET_MEMBER_PENDING] =
        {
            [KEDGE_REPORT_VERIFIED] = FLEET_MEMBER_INSTALLING,
            [KEDGE_REPORT_COMMITTED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_REARMED] = FLEET_MEMBER_INSTALLING,
            [KEDGE_REPORT_ROLLED_BACK] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_REJECTED] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_DEFERRED] = FLEET_MEMBER_PENDING,
        },
    [FLEET_MEMBER_OFFERED] =
        {
            [KEDGE_REPORT_VERIFIED] = FLEET_MEMBER_INSTALLING,
            [KEDGE_REPORT_COMMITTED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_REARMED] = FLEET_MEMBER_INSTALLING,
            [KEDGE_REPORT_ROLLED_BACK] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_REJECTED] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_DEFERRED] = FLEET_MEMBER_OFFERED,
        },
    [FLEET_MEMBER_INSTALLING] =
        {
            [KEDGE_REPORT_VERIFIED] = FLEET_MEMBER_INSTALLING,
            [KEDGE_REPORT_COMMITTED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_REARMED] = FLEET_MEMBER_INSTALLING,
            [KEDGE_REPORT_ROLLED_BACK] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_REJECTED] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_DEFERRED] = FLEET_MEMBER_INSTALLING,
        },
    [FLEET_MEMBER_UPDATED] =
        {
            [KEDGE_REPORT_VERIFIED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_COMMITTED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_REARMED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_ROLLED_BACK] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_REJECTED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_DEFERRED] = FLEET_MEMBER_UPDATED,
        },
    [FLEET_MEMBER_FAILED] =
        {
            [KEDGE_REPORT_VERIFIED] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_COMMITTED] = FLEET_MEMBER_UPDATED,
            [KEDGE_REPORT_REARMED] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_ROLLED_BACK] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_REJECTED] = FLEET_MEMBER_FAILED,
            [KEDGE_REPORT_DEFERRED] = FLEET_MEMBER_FAILED,
        },
};

static enum kedge_err find_text(const char *const *texts, size_t count, const char *text,
                                size_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            *out = i;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_NOT_FOUND;
}

const char *fleet_rollout_state_text(enum fleet_rollout_state state)
{
    return (unsigned)state < FLEET_ROLLOUT_STATE_COUNT ? rollout_state_texts[state] : "unknown";
}

const char *fleet_member_state_text(enum fleet_member_state state)
{
    return (unsigned)state < FLEET_MEMBER_STATE_COUNT ? member_state_texts[state] : "unknown";
}

enum kedge_err fleet_rollout_state_parse(const char *text, enum fleet_rollout_state *out)
{
    size_t i = 0;
    enum kedge_err err = find_text(rollout_state_texts, FLEET_ROLLOUT_STATE_COUNT, text, &i);
    if (err == KEDGE_OK) {
        *out = (enum fleet_rollout_state)i;
    }
    return err;
}

enum kedge_err fleet_member_state_parse(const char *text, enum fleet_member_state *out)
{
    size_t i = 0;
    enum kedge_err err = find_text(member_state_texts, FLEET_MEMBER_STATE_COUNT, text, &i);
    if (err == KEDGE_OK) {
        *out = (enum fleet_member_state)i;
    }
    return err;
}

enum fleet_member_state fleet_member_on_report(enum fleet_member_state state,
                                               enum kedge_report_state report)
{
    if ((unsigned)state >= FLEET_MEMBER_STATE_COUNT ||
        (unsigned)report >= KEDGE_REPORT_STATE_COUNT) {
        return state;
    }
    return (enum fleet_member_state)report_table[state][report];
}
