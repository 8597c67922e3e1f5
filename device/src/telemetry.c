/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "backoff.h"
#include "kedge/text.h"

/* A burst of so many messages, then one a second: no command can make a device hammer the broker.
 */
#define BUCKET_SIZE      4u
#define BUCKET_REFILL_MS 1000u

void telemetry_begin(struct kedge_agent *agent)
{
    agent->bucket_tokens = BUCKET_SIZE;
    agent->bucket_at_ms = agent->now_ms;
    agent->telemetry_at_ms = agent->now_ms;
}

static void refill(struct kedge_agent *agent)
{
    uint64_t earned = (agent->now_ms - agent->bucket_at_ms) / BUCKET_REFILL_MS;

    if (agent->bucket_tokens + earned >= BUCKET_SIZE) {
        agent->bucket_tokens = BUCKET_SIZE;
        agent->bucket_at_ms = agent->now_ms;
    } else {
        agent->bucket_tokens += (uint32_t)earned;
        agent->bucket_at_ms += earned * BUCKET_REFILL_MS;
    }
}

uint64_t telemetry_next_ms(const struct kedge_agent *agent)
{
    uint64_t at = agent->status_due ? agent->now_ms : agent->telemetry_at_ms;

    if (!agent->mqtt_up) {
        return UINT64_MAX;
    }
    if (agent->bucket_tokens == 0 && at < agent->bucket_at_ms + BUCKET_REFILL_MS) {
        at = agent->bucket_at_ms + BUCKET_REFILL_MS;
    }
    return at;
}

static void fill(struct kedge_agent *agent, struct kedge_telemetry *telemetry)
{
    struct kedge_vitals vitals = {0};

    agent->plat.system->vitals(agent->plat.ctx, &vitals);
    *telemetry = (struct kedge_telemetry){
        .uptime_s = (uint32_t)((agent->now_ms - agent->boot_ms) / 1000u),
        .free_heap_bytes = vitals.free_heap_bytes,
        .min_free_heap_bytes = vitals.min_free_heap_bytes,
        .largest_block_bytes = vitals.largest_block_bytes,
        .rssi_dbm = vitals.rssi_dbm,
        .reset_reason = agent->facts.reset_reason,
        .has_temperature = vitals.has_temperature,
        .temperature_mc = vitals.temperature_mc,
        .chip_id = agent->facts.chip_id,
        .boot_count = agent->journal.data.boot_count,
        .ota_state = agent->facts.running_state,
        .config_source = vitals.config_source,
        .ts_s = vitals.unix_s,
        .boot_id = agent->boot_id,
        .seq = ++agent->telemetry_seq,
    };
    kedge_text_copy(telemetry->device_id, sizeof telemetry->device_id, agent->config.device_id);
    kedge_text_copy(telemetry->firmware, sizeof telemetry->firmware, agent->facts.running.version);
}

static void publish(struct kedge_agent *agent, enum kedge_topic topic, const char *payload,
                    size_t len)
{
    agent->bucket_tokens--;
    agent->token_counter++;
    agent->action.kind = KEDGE_ACTION_MQTT_PUBLISH;
    agent->action.mqtt = (struct kedge_mqtt_message){
        .topic = topic,
        .payload = payload,
        .payload_len = len,
        .retain = topic == KEDGE_TOPIC_STATUS,
        .token = agent->token_counter,
    };
}

bool telemetry_publish(struct kedge_agent *agent)
{
    static const char online[] = "online";
    struct kedge_telemetry telemetry;
    size_t len;

    refill(agent);
    if (!agent->mqtt_up || agent->bucket_tokens == 0) {
        return false;
    }
    if (agent->status_due) {
        agent->status_due = false;
        publish(agent, KEDGE_TOPIC_STATUS, online, sizeof online - 1);
        return true;
    }
    if (agent->now_ms < agent->telemetry_at_ms) {
        return false;
    }
    agent->telemetry_at_ms =
        agent->now_ms + backoff_spread_ms(agent->config.telemetry_interval_ms, agent_random(agent));
    fill(agent, &telemetry);
    if (kedge_telemetry_encode(&telemetry, agent->text, sizeof agent->text, &len) != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "telemetry_dropped", "reason=encode");
        return false;
    }
    publish(agent, KEDGE_TOPIC_TELEMETRY, agent->text, len);
    agent->telemetry_token = agent->token_counter;
    return true;
}

void telemetry_on_acked(struct kedge_agent *agent, uint32_t token)
{
    if (agent->telemetry_token != 0 && token == agent->telemetry_token) {
        agent->telemetry_token = 0;
        agent->gates |= KEDGE_GATE_NETWORK | KEDGE_GATE_TELEMETRY;
    }
}

static void check_now(struct kedge_agent *agent, uint32_t value)
{
    (void)value;
    poll_schedule(agent, 0);
}

static void set_log_level(struct kedge_agent *agent, uint32_t value)
{
    agent->log_level = (enum kedge_log_level)value;
    if (agent->plat.log->set_level != NULL) {
        agent->plat.log->set_level(agent->plat.ctx, agent->log_level);
    }
}

static void set_interval(struct kedge_agent *agent, uint32_t value)
{
    agent->config.telemetry_interval_ms = value * 1000u;
    agent->telemetry_at_ms = agent->now_ms;
}

static void (*const commands[KEDGE_COMMAND_KIND_COUNT])(struct kedge_agent *agent,
                                                        uint32_t value) = {
    [KEDGE_COMMAND_CHECK_NOW] = check_now,
    [KEDGE_COMMAND_LOG_LEVEL] = set_log_level,
    [KEDGE_COMMAND_TELEMETRY_INTERVAL] = set_interval,
};

void telemetry_on_command(struct kedge_agent *agent, struct kedge_cspan json)
{
    struct kedge_command command;
    struct kedge_fault fault;

    if (kedge_command_parse(json, &command, &fault) != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_WARN, "command_refused", fault.what);
        return;
    }
    commands[command.kind](agent, command.value);
}
