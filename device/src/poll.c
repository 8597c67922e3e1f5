/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "backoff.h"
#include "kedge/text.h"

#define MAX_POLL_AFTER_S (7u * 24u * 3600u)

void poll_schedule(struct kedge_agent *agent, uint32_t delay_ms)
{
    agent->poll_at_ms = agent->now_ms + delay_ms;
}

static void schedule_next(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    uint32_t interval_ms = agent->config.poll_interval_ms;

    agent->poll_failures = 0;
    if (response->has_poll_after) {
        uint32_t seconds =
            response->poll_after_s < MAX_POLL_AFTER_S ? response->poll_after_s : MAX_POLL_AFTER_S;
        interval_ms = seconds * 1000u;
    }
    poll_schedule(agent, backoff_spread_ms(interval_ms, agent_random(agent)));
}

static uint32_t failure_delay_ms(struct kedge_agent *agent)
{
    agent->poll_failures++;
    return backoff_ms(agent->poll_failures, agent->config.backoff_base_ms,
                      agent->config.backoff_cap_ms, agent_random(agent));
}

void poll_failed(struct kedge_agent *agent)
{
    poll_schedule(agent, failure_delay_ms(agent));
}

/* Header values live in agent->values until the next step. */
static void add_header(struct kedge_agent *agent, struct kedge_text *text, const char *name)
{
    struct kedge_http_request *http = &agent->action.http;

    http->headers[http->header_count++] = (struct kedge_http_header){name, text->out};
    text->out += text->len + 1;
    text->size -= text->len + 1;
    text->len = 0;
}

static void add_u32(struct kedge_agent *agent, struct kedge_text *text, const char *name,
                    uint32_t value)
{
    kedge_text_add_u32(text, value);
    add_header(agent, text, name);
}

static void add_boot_caps(struct kedge_agent *agent, struct kedge_text *text)
{
    const struct {
        const char *name;
        bool is_set;
    } caps[] = {
        {"rollback", agent->facts.can_rollback},
        {"anti-rollback", agent->facts.min_secure_version > 0},
        {"pending", agent->journal.data.state == KEDGE_STATE_TRIAL ||
                        agent->facts.running_state == (uint32_t)KEDGE_OTA_PENDING_VERIFY},
    };

    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        if (caps[i].is_set) {
            kedge_text_add(text, text->len > 0 ? "," : "");
            kedge_text_add(text, caps[i].name);
        }
    }
    if (text->len == 0) {
        kedge_text_add(text, "none");
    }
    add_header(agent, text, "X-Boot-Caps");
}

static void add_etag(struct kedge_agent *agent, struct kedge_text *text, const char *name)
{
    char hex[2 * KEDGE_SHA256_SIZE + 1];

    kedge_hex_encode(agent->journal.data.sha256, KEDGE_SHA256_SIZE, hex);
    kedge_text_add(text, "\"");
    kedge_text_add(text, hex);
    kedge_text_add(text, "\"");
    add_header(agent, text, name);
}

/* What of the file is here already: a part to go on from, in the same file only (RFC 9110 13.1.5),
 * or all of it, while it is judged and may be started again (13.1.2). */
static void add_conditions(struct kedge_agent *agent, struct kedge_text *text)
{
    const struct kedge_journal_data *data = &agent->journal.data;

    if (data->state == KEDGE_STATE_DOWNLOADING && data->written > 0) {
        kedge_text_add(text, "bytes=");
        kedge_text_add_u32(text, data->written);
        kedge_text_add(text, "-");
        add_header(agent, text, "Range");
        add_etag(agent, text, "If-Range");
    } else if (data->state == KEDGE_STATE_ROLLED_BACK) {
        add_etag(agent, text, "If-None-Match");
    }
}

void poll_request(struct kedge_agent *agent)
{
    struct kedge_http_request *http = &agent->action.http;
    const struct kedge_boot_facts *facts = &agent->facts;
    struct kedge_text text = kedge_text_begin(agent->values, sizeof agent->values);
    const char *chip = kedge_chip_text(facts->chip_id);

    agent->action.kind = KEDGE_ACTION_HTTP_REQUEST;
    *http = (struct kedge_http_request){
        .path = "/ota/firmware.bin",
        .header_count = 3,
        .headers = {{"X-Device-ID", agent->config.device_id},
                    {"X-Current-Version", facts->running.version},
                    {"X-Chip", chip != NULL ? chip : "unknown"}},
        .timeout_ms = agent->config.http_timeout_ms,
    };
    add_u32(agent, &text, "X-Slot-Size", facts->slot_size_bytes);
    add_u32(agent, &text, "X-Secure-Version", facts->min_secure_version);
    kedge_hex_encode(facts->running.elf_sha256, KEDGE_SHA256_SIZE, text.out);
    text.len = 2u * KEDGE_SHA256_SIZE;
    add_header(agent, &text, "X-App-SHA256");
    kedge_text_add(&text, "");
    add_boot_caps(agent, &text);
    add_conditions(agent, &text);
    agent->http_use = KEDGE_HTTP_POLL;
}

/* What a 200 or 206 says about the file; false when it does not say enough. */
struct file {
    uint32_t size;
    const uint8_t *sha256;
};

static bool describe_file(const struct kedge_http_response *response, struct file *file)
{
    bool is_part = response->status == 206;
    uint64_t size = is_part ? response->range_total : response->content_length;
    bool has_size = is_part ? response->has_content_range : response->has_content_length;

    if (response->malformed || !has_size || size == 0 || size > UINT32_MAX ||
        response->version[0] == '\0' || (!response->has_sha256 && !response->has_etag)) {
        return false;
    }
    if (response->has_sha256 && response->has_etag &&
        memcmp(response->sha256, response->etag_sha256, KEDGE_SHA256_SIZE) != 0) {
        return false;
    }
    file->size = (uint32_t)size;
    file->sha256 = response->has_sha256 ? response->sha256 : response->etag_sha256;
    return true;
}

static bool is_same_file(const struct kedge_agent *agent, const struct file *file)
{
    const struct kedge_journal_data *data = &agent->journal.data;

    return data->state == KEDGE_STATE_DOWNLOADING && data->image_size == file->size &&
           memcmp(data->sha256, file->sha256, KEDGE_SHA256_SIZE) == 0;
}

static void drop_body(struct kedge_agent *agent)
{
    agent->http_abort = true;
    agent->body_wanted = false;
}

static void begin_attempt(struct kedge_agent *agent, const struct kedge_http_response *response,
                          const struct file *file)
{
    struct kedge_journal_data *data = &agent->journal.data;

    data->attempt++;
    data->attempt += data->attempt == 0 ? 1u : 0u;
    data->report_seq = 0;
    data->cause = KEDGE_CAUSE_NONE;
    data->detail = 0;
    data->tried = 0;
    data->rearms = 0;
    data->restarts = 0;
    data->written = 0;
    data->image_size = file->size;
    data->slot = agent->facts.running_slot == 0 ? 1 : 0;
    memcpy(data->sha256, file->sha256, KEDGE_SHA256_SIZE);
    kedge_text_copy(data->to, sizeof data->to, response->version);
    kedge_text_copy(data->from, sizeof data->from, agent->facts.running.version);
    agent->offer_force = response->force;
    agent_enter(agent, KEDGE_STATE_OFFERED);
    agent_work(agent);
}

static void start_again(struct kedge_agent *agent, const char *why)
{
    agent_log(agent, KEDGE_LOG_WARN, "download_restarts", why);
    agent->journal.data.written = 0;
    (void)agent_save(agent);
    drop_body(agent);
    poll_failed(agent);
}

/* The whole file from byte 0: a new offer, or the same one again by a server or proxy that does not
 * serve ranges. */
static void on_whole_file(struct kedge_agent *agent, const struct kedge_http_response *response,
                          const struct file *file)
{
    if (!is_same_file(agent, file)) {
        begin_attempt(agent, response, file);
    } else if (agent->journal.data.written != 0) {
        agent->journal.data.written = 0;
        (void)agent_save(agent);
    }
    if (agent->journal.data.state != KEDGE_STATE_DOWNLOADING || agent->dirty ||
        !download_begin(agent, 0)) {
        drop_body(agent);
    }
}

/* A part must be of our file, begin where we stopped and run to its end (esp-idf PR 17960 and
 * golioth 693 are what happens otherwise). */
static void on_part(struct kedge_agent *agent, const struct kedge_http_response *response,
                    const struct file *file)
{
    uint32_t written = agent->journal.data.written;

    if (!is_same_file(agent, file) || !response->has_etag ||
        memcmp(response->etag_sha256, agent->journal.data.sha256, KEDGE_SHA256_SIZE) != 0 ||
        response->range_first != written || response->range_last != file->size - 1u ||
        (response->has_content_length && response->content_length != file->size - written)) {
        start_again(agent, "reason=other_range_or_file");
        return;
    }
    if (!download_begin(agent, written)) {
        drop_body(agent);
    }
}

static void on_file(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    struct file file;

    agent->gates |= KEDGE_GATE_SERVER;
    schedule_next(agent, response);
    if (!agent_takes_image(agent)) {
        drop_body(agent);
        return;
    }
    if (!describe_file(response, &file)) {
        agent_log(agent, KEDGE_LOG_WARN, "offer_malformed", "");
        drop_body(agent);
        poll_failed(agent);
        return;
    }
    if (response->status == 206) {
        on_part(agent, response, &file);
    } else {
        on_whole_file(agent, response, &file);
    }
}

static void on_nothing_new(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    agent->gates |= KEDGE_GATE_SERVER;
    schedule_next(agent, response);
    if (agent->journal.data.state == KEDGE_STATE_DOWNLOADING) {
        agent_log(agent, KEDGE_LOG_INFO, "offer_withdrawn", agent->journal.data.to);
        agent_enter(agent, KEDGE_STATE_IDLE);
    }
}

static void on_busy(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    uint32_t delay_ms = failure_delay_ms(agent);

    if (response->has_retry_after && response->retry_after_s < MAX_POLL_AFTER_S) {
        delay_ms += response->retry_after_s * 1000u;
    }
    poll_schedule(agent, delay_ms);
}

static void on_bad_range(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    (void)response;
    start_again(agent, "status=416");
}

static void on_other(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    char line[24];
    struct kedge_text text = kedge_text_begin(line, sizeof line);

    kedge_text_add(&text, "status=");
    kedge_text_add_u32(&text, response->status);
    agent_log(agent, KEDGE_LOG_WARN, "poll_refused", line);
    poll_failed(agent);
}

static const struct {
    uint16_t status;
    void (*handle)(struct kedge_agent *agent, const struct kedge_http_response *response);
} statuses[] = {
    {200, on_file}, {206, on_file},      {304, on_nothing_new},
    {429, on_busy}, {416, on_bad_range}, {503, on_busy},
};

void poll_on_response(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == response->status) {
            statuses[i].handle(agent, response);
            return;
        }
    }
    on_other(agent, response);
}
