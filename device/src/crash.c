/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "backoff.h"
#include "kedge/crypto.h"
#include "kedge/text.h"

/*
 * The core dump in flash goes to the server when there is nothing else to do: announced by POST
 * /crash, then piece by piece by POST /crash/dump. The server says where it wants to go on, so no
 * progress is kept here: a reset or a broken connection costs one piece. The dump is erased when
 * the server has all of it, and its hash is right. Pieces are read into agent->sector, which a
 * download owns: no request of ours is open then, and none is made outside of IDLE.
 */
#define PIECE_SIZE    4096u
#define MAX_SETBACKS  3u /* times the server may begin again before we stop asking */
#define MAX_DUMP_SIZE (1024u * 1024u)

_Static_assert(sizeof((struct kedge_agent *)0)->sector == PIECE_SIZE, "one piece");

static void give_up(struct kedge_agent *agent, const char *why)
{
    agent->crash.stage = KEDGE_CRASH_OVER;
    agent_log(agent, KEDGE_LOG_WARN, "crash_kept", why);
}

/* ---- what flash holds ---- */

/* Ended whatever happens, as the hash of an image is. */
static enum kedge_err hash_dump(struct kedge_agent *agent, struct kedge_crash *crash)
{
    struct kedge_sha256 sha;
    enum kedge_err err = KEDGE_OK;

    kedge_sha256_init(&sha);
    for (uint32_t offset = 0; err == KEDGE_OK && offset < crash->size_bytes; offset += PIECE_SIZE) {
        uint32_t rest = crash->size_bytes - offset;
        uint32_t len = rest < PIECE_SIZE ? rest : PIECE_SIZE;

        err = agent->plat.crash->read(agent->plat.ctx, offset, agent->sector, len);
        if (err == KEDGE_OK) {
            kedge_sha256_update(&sha, agent->sector, len);
        }
    }
    kedge_sha256_final(&sha, crash->sha256);
    return err;
}

/* A dump is what a crashing system wrote: of a text that is none the server hears nothing. */
static void tidy(struct kedge_crash *crash)
{
    crash->task[sizeof crash->task - 1] = '\0';
    for (char *at = crash->task; *at != '\0'; at++) {
        *at = *at >= 0x20 && *at <= 0x7E ? *at : '?';
    }
    crash->elf_sha256[sizeof crash->elf_sha256 - 1] = '\0';
    if (strspn(crash->elf_sha256, "0123456789abcdef") != strlen(crash->elf_sha256)) {
        crash->elf_sha256[0] = '\0';
    }
    if (crash->backtrace_count > KEDGE_CRASH_BACKTRACE_MAX) {
        crash->backtrace_count = KEDGE_CRASH_BACKTRACE_MAX;
    }
}

/* Once per boot. */
static void look(struct kedge_agent *agent)
{
    struct kedge_crash *crash = &agent->crash.facts;

    agent->crash.stage = KEDGE_CRASH_OVER;
    if (!agent->plat.crash->describe(agent->plat.ctx, crash)) {
        return;
    }
    if (crash->size_bytes == 0 || crash->size_bytes > MAX_DUMP_SIZE) {
        give_up(agent, "reason=size");
        return;
    }
    if (hash_dump(agent, crash) != KEDGE_OK) {
        give_up(agent, "reason=read");
        return;
    }
    tidy(crash);
    crash->reset_reason = kedge_reset_is_crash(agent->facts.reset_reason)
                              ? agent->facts.reset_reason
                              : KEDGE_RESET_UNKNOWN;
    kedge_text_copy(crash->firmware, sizeof crash->firmware, agent->facts.running.version);
    agent->crash.stage = KEDGE_CRASH_ANNOUNCE;
    agent_log(agent, KEDGE_LOG_INFO, "crash_found", crash->task);
}

/* ---- requests ---- */

static void announce(struct kedge_agent *agent)
{
    struct kedge_http_request *http = &agent->action.http;
    size_t len;

    if (kedge_crash_encode(&agent->crash.facts, agent->text, sizeof agent->text, &len) !=
        KEDGE_OK) {
        give_up(agent, "reason=encode");
        return;
    }
    agent->action.kind = KEDGE_ACTION_HTTP_REQUEST;
    *http = (struct kedge_http_request){
        .path = "/crash",
        .header_count = 1,
        .headers = {{"X-Device-ID", agent->config.device_id}},
        .body = agent->text,
        .body_len = len,
        .timeout_ms = agent->config.http_timeout_ms,
    };
}

/* "bytes 0-4095/10752" (RFC 9110 14.4, here in a request: this is where the piece belongs). */
static void put_range(const struct kedge_agent *agent, struct kedge_text *text, uint32_t len)
{
    kedge_text_add(text, "bytes ");
    kedge_text_add_u32(text, agent->crash.offset);
    kedge_text_add(text, "-");
    kedge_text_add_u32(text, agent->crash.offset + len - 1u);
    kedge_text_add(text, "/");
    kedge_text_add_u32(text, agent->crash.facts.size_bytes);
}

static void send_piece(struct kedge_agent *agent)
{
    const struct kedge_crash *crash = &agent->crash.facts;
    uint32_t rest = crash->size_bytes - agent->crash.offset;
    uint32_t len = rest < PIECE_SIZE ? rest : PIECE_SIZE;
    const size_t hex_size = 2u * KEDGE_SHA256_SIZE + 1u;
    struct kedge_text range =
        kedge_text_begin(agent->values + hex_size, sizeof agent->values - hex_size);

    if (agent->plat.crash->read(agent->plat.ctx, agent->crash.offset, agent->sector, len) !=
        KEDGE_OK) {
        give_up(agent, "reason=read");
        return;
    }
    kedge_hex_encode(crash->sha256, KEDGE_SHA256_SIZE, agent->values);
    put_range(agent, &range, len);
    agent->action.kind = KEDGE_ACTION_HTTP_REQUEST;
    agent->action.http = (struct kedge_http_request){
        .path = "/crash/dump",
        .header_count = 3,
        .headers = {{"X-Device-ID", agent->config.device_id},
                    {"X-Crash-SHA256", agent->values},
                    {"Content-Range", range.out}},
        .body = (const char *)agent->sector,
        .body_len = len,
        .content_type = "application/octet-stream",
        .timeout_ms = agent->config.http_timeout_ms,
    };
}

static bool may_send(const struct kedge_agent *agent)
{
    return agent->plat.crash != NULL && agent->crash.stage != KEDGE_CRASH_OVER &&
           agent->journal.data.state == KEDGE_STATE_IDLE && outbox_is_empty(agent) &&
           (agent->gates & KEDGE_GATE_SERVER) != 0;
}

uint64_t crash_next_ms(const struct kedge_agent *agent)
{
    return may_send(agent) ? agent->crash.at_ms : UINT64_MAX;
}

bool crash_request(struct kedge_agent *agent)
{
    if (!may_send(agent) || agent->now_ms < agent->crash.at_ms) {
        return false;
    }
    if (agent->crash.stage == KEDGE_CRASH_UNSEEN) {
        look(agent);
    }
    if (agent->crash.stage == KEDGE_CRASH_ANNOUNCE) {
        announce(agent);
    } else if (agent->crash.stage == KEDGE_CRASH_SENDING) {
        send_piece(agent);
    }
    if (agent->action.kind != KEDGE_ACTION_HTTP_REQUEST) {
        return false;
    }
    agent->http_use = KEDGE_HTTP_CRASH;
    return true;
}

/* ---- answers ---- */

void crash_failed(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    uint32_t delay_ms;

    agent->crash.failures++;
    delay_ms = backoff_ms(agent->crash.failures, agent->config.backoff_base_ms,
                          agent->config.backoff_cap_ms, agent_random(agent));
    agent->crash.at_ms = agent->now_ms + delay_ms;
    if (response != NULL && response->has_retry_after) {
        agent->crash.at_ms += 1000ull * response->retry_after_s;
    }
}

/* Power cut inside: it is announced again at the next boot, or gone. */
static void finish(struct kedge_agent *agent)
{
    enum kedge_err err = agent->plat.crash->erase(agent->plat.ctx);

    agent->crash.stage = KEDGE_CRASH_OVER;
    agent_log(agent, err == KEDGE_OK ? KEDGE_LOG_INFO : KEDGE_LOG_ERROR,
              err == KEDGE_OK ? "crash_delivered" : "crash_erase_failed", kedge_err_text(err));
}

/* The server begins again: what it got did not have the hash, or it lost what it had. */
static void set_back(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    agent->crash.setbacks++;
    if (agent->crash.setbacks >= MAX_SETBACKS) {
        give_up(agent, "reason=setbacks");
    } else {
        crash_failed(agent, response);
    }
}

static void go_on(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    bool is_setback =
        agent->crash.stage == KEDGE_CRASH_SENDING && response->crash_offset <= agent->crash.offset;

    agent->crash.stage = KEDGE_CRASH_SENDING;
    agent->crash.offset = response->crash_offset;
    if (agent->crash.offset == agent->crash.facts.size_bytes) {
        finish(agent);
    } else if (is_setback) {
        set_back(agent, response);
    } else {
        agent->crash.failures = 0;
        agent->crash.at_ms = agent->now_ms;
    }
}

/* The server understood and does not want it: not now, not later in this boot. */
static bool is_refused_for_good(uint16_t status)
{
    static const uint16_t statuses[] = {400, 404, 405, 409, 413, 415, 416, 422};

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i] == status) {
            return true;
        }
    }
    return false;
}

static void refuse(struct kedge_agent *agent, uint16_t status)
{
    char line[24];
    struct kedge_text text = kedge_text_begin(line, sizeof line);

    kedge_text_add(&text, "status=");
    kedge_text_add_u32(&text, status);
    give_up(agent, line);
}

void crash_on_response(struct kedge_agent *agent, const struct kedge_http_response *response)
{
    bool is_taken = response->status >= 200 && response->status < 300;
    bool has_offset =
        response->has_crash_offset && response->crash_offset <= agent->crash.facts.size_bytes;

    if (has_offset && (is_taken || response->status == 409)) {
        go_on(agent, response);
    } else if (is_refused_for_good(response->status)) {
        refuse(agent, response->status);
    } else {
        crash_failed(agent, response);
    }
}
