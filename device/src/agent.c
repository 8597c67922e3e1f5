/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/agent.h"

#include <string.h>

#include "agent_priv.h"
#include "backoff.h"

#define RETRY_SAVE_MS  1000u
#define TRIAL_CHECK_MS 500u

/* ---- the table ---- */

enum state_flag {
    TAKES_IMAGE = 1u << 0, /* a firmware body is welcome */
    POLLS = 1u << 1,       /* asks the server */
    VOLATILE = 1u << 2     /* not journalled: lasts for one step, a reset forgets it */
};

/* What each state does and where it leads. A reset leads where boot.c's rules say: a state is on
 * flash before its work is done, and the work can be done again. */
static const struct state_row {
    enum outcome (*work)(struct kedge_agent *agent); /* NULL: driven by events */
    enum kedge_state on_done, on_failed, on_bad, on_timeout;
    size_t limit; /* offset of the limit in struct kedge_config; 0 = none */
    unsigned flags;
} table[KEDGE_STATE_COUNT] = {
    [KEDGE_STATE_IDLE] = {.work = idle_work,
                          .on_done = KEDGE_STATE_REBOOTING,
                          .flags = TAKES_IMAGE | POLLS},
    [KEDGE_STATE_OFFERED] = {.work = offer_work,
                             .on_done = KEDGE_STATE_DOWNLOADING,
                             .on_failed = KEDGE_STATE_IDLE,
                             .on_bad = KEDGE_STATE_REJECTED,
                             .flags = VOLATILE},
    [KEDGE_STATE_DOWNLOADING] = {.on_done = KEDGE_STATE_VERIFYING,
                                 .on_failed = KEDGE_STATE_DOWNLOADING,
                                 .on_bad = KEDGE_STATE_REJECTED,
                                 .flags = TAKES_IMAGE | POLLS},
    [KEDGE_STATE_VERIFYING] = {.work = verify_work,
                               .on_done = KEDGE_STATE_SWITCHING,
                               .on_failed = KEDGE_STATE_DOWNLOADING,
                               .on_bad = KEDGE_STATE_REJECTED},
    [KEDGE_STATE_SWITCHING] = {.work = switch_work,
                               .on_done = KEDGE_STATE_REBOOTING,
                               .on_bad = KEDGE_STATE_REJECTED},
    [KEDGE_STATE_REBOOTING] = {.work = reboot_work},
    [KEDGE_STATE_TRIAL] = {.work = trial_work,
                           .on_done = KEDGE_STATE_COMMITTED,
                           .on_failed = KEDGE_STATE_ROLLING_BACK,
                           .on_timeout = KEDGE_STATE_ROLLING_BACK,
                           .limit = offsetof(struct kedge_config, trial_deadline_ms),
                           .flags = POLLS},
    [KEDGE_STATE_COMMITTED] = {.work = commit_work,
                               .on_done = KEDGE_STATE_IDLE,
                               .on_failed = KEDGE_STATE_ROLLING_BACK},
    [KEDGE_STATE_ROLLING_BACK] = {.work = roll_back_work,
                                  .on_done = KEDGE_STATE_REBOOTING,
                                  .on_bad = KEDGE_STATE_REJECTED},
    [KEDGE_STATE_ROLLED_BACK] = {.work = verdict_work,
                                 .on_done = KEDGE_STATE_SWITCHING,
                                 .on_bad = KEDGE_STATE_REJECTED,
                                 .flags = POLLS},
    [KEDGE_STATE_REJECTED] = {.work = reject_work, .on_done = KEDGE_STATE_IDLE},
};

const char *kedge_state_text(enum kedge_state state)
{
    static const char *const texts[KEDGE_STATE_COUNT] = {
#define X(name, value, text) [value] = text,
        KEDGE_STATE_MAP(X)
#undef X
    };

    return (unsigned)state < KEDGE_STATE_COUNT ? texts[state] : "unknown";
}

static const struct state_row *row_of(const struct kedge_agent *agent)
{
    return &table[agent->journal.data.state];
}

/* ---- services for the other modules ---- */

uint32_t agent_random(struct kedge_agent *agent)
{
    return agent->plat.system->random(agent->plat.ctx);
}

void agent_log(struct kedge_agent *agent, enum kedge_log_level level, const char *event,
               const char *text)
{
    if (level <= agent->log_level) {
        agent->plat.log->write(agent->plat.ctx, level, event, text);
    }
}

bool agent_save(struct kedge_agent *agent)
{
    enum kedge_err err = kedge_journal_save(&agent->journal);

    agent->dirty = err != KEDGE_OK;
    if (agent->dirty) {
        agent->hold_ms = agent->now_ms + RETRY_SAVE_MS;
        agent_log(agent, KEDGE_LOG_ERROR, "journal_write_failed", kedge_err_text(err));
    }
    return !agent->dirty;
}

static void forget_attempt(struct kedge_journal_data *data)
{
    data->cause = KEDGE_CAUSE_NONE;
    data->detail = 0;
    data->tried = 0;
    data->rearms = 0;
    data->restarts = 0;
    data->image_size = 0;
    data->written = 0;
    data->to[0] = '\0';
    data->from[0] = '\0';
    memset(data->sha256, 0, sizeof data->sha256);
}

void agent_enter(struct kedge_agent *agent, enum kedge_state state)
{
    agent->journal.data.state = (uint8_t)state;
    agent->entered_ms = agent->now_ms;
    if (state == KEDGE_STATE_IDLE) {
        forget_attempt(&agent->journal.data);
    }
    agent_log(agent, KEDGE_LOG_INFO, "state", kedge_state_text(state));
    if ((table[state].flags & VOLATILE) == 0) {
        (void)agent_save(agent);
    }
}

void agent_leave(struct kedge_agent *agent, enum outcome outcome)
{
    const struct state_row *row = row_of(agent);

    switch (outcome) {
    case OUTCOME_STAY:
        return;
    case OUTCOME_DONE:
        agent_enter(agent, row->on_done);
        return;
    case OUTCOME_FAILED:
        agent_enter(agent, row->on_failed);
        return;
    case OUTCOME_BAD:
        agent_enter(agent, row->on_bad);
        return;
    case OUTCOME_TIMED_OUT:
        agent_enter(agent, row->on_timeout);
        return;
    }
}

static uint32_t limit_ms(const struct kedge_agent *agent)
{
    uint32_t limit;

    memcpy(&limit, (const uint8_t *)&agent->config + row_of(agent)->limit, sizeof limit);
    return limit;
}

static enum outcome work_once(struct kedge_agent *agent)
{
    const struct state_row *row = row_of(agent);
    enum outcome outcome = row->work != NULL ? row->work(agent) : OUTCOME_STAY;

    if (outcome == OUTCOME_STAY && row->limit != 0 &&
        agent->now_ms - agent->entered_ms >= limit_ms(agent)) {
        return OUTCOME_TIMED_OUT;
    }
    return outcome;
}

void agent_work(struct kedge_agent *agent)
{
    if (agent->dirty && (agent->now_ms < agent->hold_ms || !agent_save(agent))) {
        return;
    }
    for (unsigned i = 0; i < KEDGE_STATE_COUNT && !agent->dirty; i++) {
        enum outcome outcome = work_once(agent);

        if (outcome == OUTCOME_STAY) {
            return;
        }
        agent_leave(agent, outcome);
    }
}

bool agent_takes_image(const struct kedge_agent *agent)
{
    return (row_of(agent)->flags & TAKES_IMAGE) != 0;
}

bool agent_has_attempt(const struct kedge_agent *agent)
{
    return agent->journal.data.to[0] != '\0';
}

bool agent_has_offer(const struct kedge_agent *agent)
{
    const struct kedge_journal_data *data = &agent->journal.data;

    for (size_t i = 0; i < sizeof data->sha256; i++) {
        if (data->sha256[i] != 0) {
            return true;
        }
    }
    return false;
}

/* ---- events ---- */

static void on_boot(struct kedge_agent *agent, const struct kedge_event *event)
{
    bool fresh = false;
    enum kedge_err err;

    (void)event;
    agent->boot_ms = agent->now_ms;
    agent->boot_id = agent_random(agent);
    err = agent->plat.slots->describe(agent->plat.ctx, &agent->facts);
    if (err == KEDGE_OK) {
        err = kedge_journal_open(&agent->journal, agent->plat.store, agent->plat.ctx, &fresh);
    }
    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "boot_failed", kedge_err_text(err));
        agent->action.kind = KEDGE_ACTION_REBOOT;
        return;
    }
    if (fresh) {
        agent->journal.data.attempt = agent_random(agent);
    }
    agent->booted = true;
    telemetry_begin(agent);
    boot_begin(agent);
    /* A building that gets its power back must not poll as one; an update under way must not wait.
     */
    poll_schedule(agent, agent_has_attempt(agent) ? 0
                                                  : backoff_uniform(agent->config.poll_interval_ms,
                                                                    agent_random(agent)));
}

static void on_tick(struct kedge_agent *agent, const struct kedge_event *event)
{
    (void)agent;
    (void)event;
}

static void on_net_up(struct kedge_agent *agent, const struct kedge_event *event)
{
    (void)event;
    agent->net_up = true;
    agent->gates |= KEDGE_GATE_NETWORK;
}

static void on_net_down(struct kedge_agent *agent, const struct kedge_event *event)
{
    (void)event;
    agent->net_up = false;
}

static void on_http_response(struct kedge_agent *agent, const struct kedge_event *event)
{
    agent->http_status = event->response->status;
    agent->gates |= KEDGE_GATE_NETWORK;
    switch (agent->http_use) {
    case KEDGE_HTTP_POLL:
        poll_on_response(agent, event->response);
        return;
    case KEDGE_HTTP_REPORT:
        outbox_on_response(agent, event->response);
        return;
    case KEDGE_HTTP_CRASH:
        crash_on_response(agent, event->response);
        return;
    case KEDGE_HTTP_NONE:
        return;
    }
}

/* No answer came. */
static void request_failed(struct kedge_agent *agent, enum kedge_http_use use)
{
    switch (use) {
    case KEDGE_HTTP_POLL:
        poll_failed(agent);
        return;
    case KEDGE_HTTP_REPORT:
        outbox_failed(agent, NULL);
        return;
    case KEDGE_HTTP_CRASH:
        crash_failed(agent, NULL);
        return;
    case KEDGE_HTTP_NONE:
        return;
    }
}

static void end_body(struct kedge_agent *agent, enum outcome outcome)
{
    agent->body_wanted = false;
    if (outcome == OUTCOME_FAILED) {
        poll_failed(agent); /* go on from what is written, after a pause */
    }
    agent_leave(agent, outcome);
}

static void on_http_body(struct kedge_agent *agent, const struct kedge_event *event)
{
    enum outcome outcome;

    if (!agent->body_wanted) {
        return;
    }
    outcome = download_feed(agent, event->bytes);
    if (outcome != OUTCOME_STAY) {
        agent->http_abort = true;
        end_body(agent, outcome);
    }
}

static void on_http_end(struct kedge_agent *agent, const struct kedge_event *event)
{
    (void)event;
    agent->http_use = KEDGE_HTTP_NONE;
    agent->http_abort = false;
    if (agent->body_wanted) {
        end_body(agent, download_end(agent));
    }
}

static void on_http_failed(struct kedge_agent *agent, const struct kedge_event *event)
{
    enum kedge_http_use use = agent->http_use;

    (void)event;
    agent->http_use = KEDGE_HTTP_NONE;
    agent->http_abort = false;
    if (agent->body_wanted) {
        end_body(agent, OUTCOME_FAILED);
    } else if (agent->http_status == 0) {
        request_failed(agent, use);
    }
}

static void on_mqtt_up(struct kedge_agent *agent, const struct kedge_event *event)
{
    (void)event;
    agent->mqtt_up = true;
    agent->gates |= KEDGE_GATE_NETWORK;
    agent->status_due = true;
    agent->telemetry_at_ms = agent->now_ms;
}

static void on_mqtt_down(struct kedge_agent *agent, const struct kedge_event *event)
{
    (void)event;
    agent->mqtt_up = false;
    agent->telemetry_token = 0;
}

static void on_mqtt_acked(struct kedge_agent *agent, const struct kedge_event *event)
{
    telemetry_on_acked(agent, event->token);
}

static void on_command(struct kedge_agent *agent, const struct kedge_event *event)
{
    telemetry_on_command(agent, event->bytes);
}

static void (*const handlers[])(struct kedge_agent *agent, const struct kedge_event *event) = {
    [KEDGE_EVENT_BOOT] = on_boot,
    [KEDGE_EVENT_TICK] = on_tick,
    [KEDGE_EVENT_NET_UP] = on_net_up,
    [KEDGE_EVENT_NET_DOWN] = on_net_down,
    [KEDGE_EVENT_HTTP_RESPONSE] = on_http_response,
    [KEDGE_EVENT_HTTP_BODY] = on_http_body,
    [KEDGE_EVENT_HTTP_END] = on_http_end,
    [KEDGE_EVENT_HTTP_FAILED] = on_http_failed,
    [KEDGE_EVENT_MQTT_UP] = on_mqtt_up,
    [KEDGE_EVENT_MQTT_DOWN] = on_mqtt_down,
    [KEDGE_EVENT_MQTT_ACKED] = on_mqtt_acked,
    [KEDGE_EVENT_COMMAND] = on_command,
};

/* ---- what to do next ---- */

static bool next_http(struct kedge_agent *agent)
{
    if (agent->http_use != KEDGE_HTTP_NONE || !agent->net_up) {
        return false;
    }
    agent->http_status = 0;
    if (outbox_request(agent)) {
        return true;
    }
    if ((row_of(agent)->flags & POLLS) != 0 && agent->now_ms >= agent->poll_at_ms) {
        poll_request(agent);
        return true;
    }
    return crash_request(agent);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct kedge_agent *agent)
{
    const struct state_row *row = row_of(agent);
    uint64_t at = telemetry_next_ms(agent);

    if (agent->http_use == KEDGE_HTTP_NONE && agent->net_up) {
        at = (row->flags & POLLS) != 0 ? earlier(at, agent->poll_at_ms) : at;
        at = outbox_is_empty(agent) ? at : earlier(at, agent->report_at_ms);
        at = earlier(at, crash_next_ms(agent));
    }
    if (agent->dirty) {
        at = earlier(at, agent->hold_ms);
    } else if (row->work != NULL && agent->journal.data.state != KEDGE_STATE_IDLE) {
        at = earlier(at, agent->now_ms + TRIAL_CHECK_MS);
    }
    return at > agent->now_ms ? at : agent->now_ms + 1u;
}

static void choose_action(struct kedge_agent *agent)
{
    if (agent->action.kind != KEDGE_ACTION_WAIT) {
        return;
    }
    if (agent->http_abort) {
        agent->http_abort = false;
        agent->http_use = KEDGE_HTTP_NONE;
        agent->action.kind = KEDGE_ACTION_HTTP_ABORT;
        return;
    }
    if (next_http(agent) || telemetry_publish(agent)) {
        return;
    }
    agent->action.wait_until_ms = next_deadline(agent);
}

const struct kedge_action *kedge_agent_step(struct kedge_agent *agent, uint64_t now_ms,
                                            const struct kedge_event *event)
{
    agent->now_ms = now_ms;
    agent->action.kind = KEDGE_ACTION_WAIT;
    if (agent->booted || event->kind == KEDGE_EVENT_BOOT) {
        handlers[event->kind](agent, event);
    }
    if (agent->booted && agent->action.kind == KEDGE_ACTION_WAIT) {
        agent_work(agent);
        choose_action(agent);
    }
    return &agent->action;
}

enum kedge_state kedge_agent_state(const struct kedge_agent *agent)
{
    return (enum kedge_state)agent->journal.data.state;
}

/* ---- init ---- */

static const struct {
    size_t offset;
    uint32_t value;
} defaults[] = {
    {offsetof(struct kedge_config, poll_interval_ms), 60u * 1000u},
    {offsetof(struct kedge_config, telemetry_interval_ms), 60u * 1000u},
    {offsetof(struct kedge_config, trial_deadline_ms), 300u * 1000u},
    {offsetof(struct kedge_config, trial_soak_ms), 30u * 1000u},
    {offsetof(struct kedge_config, verdict_deadline_ms), 60u * 1000u},
    {offsetof(struct kedge_config, report_grace_ms), 5u * 1000u},
    {offsetof(struct kedge_config, backoff_base_ms), 2u * 1000u},
    {offsetof(struct kedge_config, backoff_cap_ms), 900u * 1000u},
    {offsetof(struct kedge_config, http_timeout_ms), 30u * 1000u},
    {offsetof(struct kedge_config, rearm_max), 3u},
};

static void apply_defaults(struct kedge_config *config)
{
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        uint8_t *field = (uint8_t *)config + defaults[i].offset;
        uint32_t value;

        memcpy(&value, field, sizeof value);
        if (value == 0) {
            memcpy(field, &defaults[i].value, sizeof value);
        }
    }
}

enum kedge_err kedge_agent_init(struct kedge_agent *agent, const struct kedge_config *config,
                                const struct kedge_plat *plat)
{
    if (config->device_id == NULL ||
        !kedge_device_id_ok(config->device_id, strlen(config->device_id)) || plat->slots == NULL ||
        plat->store == NULL || plat->system == NULL || plat->log == NULL) {
        return KEDGE_ERR_ARG;
    }
    memset(agent, 0, sizeof *agent);
    agent->config = *config;
    agent->plat = *plat;
    agent->log_level = config->log_level != KEDGE_LOG_NONE ? config->log_level : KEDGE_LOG_INFO;
    apply_defaults(&agent->config);
    return KEDGE_OK;
}
