/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "backoff.h"
#include "kedge/text.h"

/* Life-cycle reports wait in the journal until the server has acknowledged them. */

static bool is_final(enum kedge_report_state state)
{
    return state == KEDGE_REPORT_COMMITTED || state == KEDGE_REPORT_ROLLED_BACK ||
           state == KEDGE_REPORT_REJECTED;
}

static void remove_at(struct kedge_journal_data *data, uint32_t index)
{
    data->report_count--;
    memmove(&data->reports[index], &data->reports[index + 1],
            (data->report_count - index) * sizeof data->reports[0]);
}

/* Full: the oldest that is not an outcome goes, else the oldest. */
static void make_room(struct kedge_journal_data *data)
{
    for (uint32_t i = 0; i < data->report_count; i++) {
        if (!is_final(data->reports[i].state)) {
            remove_at(data, i);
            return;
        }
    }
    remove_at(data, 0);
}

void outbox_add(struct kedge_agent *agent, enum kedge_report_state state, enum kedge_cause cause,
                uint32_t detail)
{
    struct kedge_journal_data *data = &agent->journal.data;
    struct kedge_report *report;

    if (!agent_has_offer(agent)) {
        return;
    }
    if (data->report_count == KEDGE_JOURNAL_REPORT_MAX) {
        make_room(data);
    }
    report = &data->reports[data->report_count++];
    *report = (struct kedge_report){
        .attempt = data->attempt,
        .seq = ++data->report_seq,
        .state = state,
        .cause = cause,
        .detail = detail,
    };
    kedge_text_copy(report->from, sizeof report->from, data->from);
    kedge_text_copy(report->to, sizeof report->to, data->to);
    memcpy(report->sha256, data->sha256, sizeof report->sha256);
    agent->report_at_ms = agent->now_ms;
}

bool outbox_is_empty(const struct kedge_agent *agent)
{
    return agent->journal.data.report_count == 0;
}

bool outbox_request(struct kedge_agent *agent)
{
    struct kedge_http_request *http = &agent->action.http;
    size_t len;

    if (outbox_is_empty(agent) || agent->now_ms < agent->report_at_ms) {
        return false;
    }
    if (kedge_report_encode(&agent->journal.data.reports[0], agent->text, sizeof agent->text,
                            &len) != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "report_dropped", "reason=encode");
        remove_at(&agent->journal.data, 0);
        return false;
    }
    agent->action.kind = KEDGE_ACTION_HTTP_REQUEST;
    *http = (struct kedge_http_request){
        .path = "/ota/report",
        .header_count = 1,
        .headers = {{"X-Device-ID", agent->config.device_id}},
        .body = agent->text,
        .body_len = len,
        .timeout_ms = agent->config.http_timeout_ms,
    };
    agent->http_use = KEDGE_HTTP_REPORT;
    return true;
}

void outbox_failed(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    uint32_t delay_ms;

    agent->report_failures++;
    delay_ms = backoff_ms(agent->report_failures, agent->config.backoff_base_ms,
                          agent->config.backoff_cap_ms, agent_random(agent));
    agent->report_at_ms = agent->now_ms + delay_ms;
    if (response != NULL && response->has_retry_after) {
        agent->report_at_ms += 1000ull * response->retry_after_s;
    }
}

/* The server understood and will never take it: keeping it would block those behind it. */
static bool is_refused_for_good(uint16_t status)
{
    return status == 400 || status == 404 || status == 409 || status == 413 || status == 422;
}

void outbox_on_response(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    bool is_taken = response->status >= 200 && response->status < 300;

    if (is_taken || is_refused_for_good(response->status)) {
        if (!is_taken) {
            agent_log(agent, KEDGE_LOG_WARN, "report_refused", "");
        }
        if (!outbox_is_empty(agent)) {
            remove_at(&agent->journal.data, 0);
        }
        agent->report_failures = 0;
        agent->report_at_ms = agent->now_ms;
        (void)agent_save(agent);
        return;
    }
    outbox_failed(agent, response);
}
