/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <string.h>

#include "kedge/crypto.h"

/* Progress is journalled so often, in bytes: what a power cut costs at the most. */
#define CHECKPOINT_SIZE 65536u
#define SECTOR_SIZE     4096u

_Static_assert(sizeof((struct kedge_agent *)0)->sector == SECTOR_SIZE, "one flash sector");
_Static_assert(KEDGE_IMAGE_PREFIX_SIZE <= SECTOR_SIZE, "checked before the first sector is erased");

static enum outcome blame(struct kedge_agent *agent, enum kedge_cause cause)
{
    agent->journal.data.cause = (uint8_t)cause;
    return OUTCOME_BAD;
}

/* ---- OFFERED: take it or leave it ---- */

static bool is_known_bad(const struct kedge_journal_data *data)
{
    for (uint32_t i = 0; i < data->bad_count; i++) {
        if (memcmp(data->bad[i], data->sha256, KEDGE_SHA256_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static enum outcome check_alignment(struct kedge_agent *agent)
{
    if (boot_is_aligned(agent)) {
        return OUTCOME_STAY;
    }
    agent_log(agent, KEDGE_LOG_WARN, "offer_declined", "reason=running_slot_is_not_boot_slot");
    return OUTCOME_FAILED;
}

static enum outcome check_bad_list(struct kedge_agent *agent)
{
    if (agent->offer_force || !is_known_bad(&agent->journal.data)) {
        return OUTCOME_STAY;
    }
    return blame(agent, KEDGE_CAUSE_KNOWN_BAD);
}

static enum outcome check_size(struct kedge_agent *agent)
{
    uint32_t size = agent->journal.data.image_size;

    if (size > agent->facts.slot_size_bytes) {
        return blame(agent, KEDGE_CAUSE_SIZE);
    }
    return size < KEDGE_IMAGE_PREFIX_SIZE ? blame(agent, KEDGE_CAUSE_IMAGE) : OUTCOME_STAY;
}

/* Once per reason: polls repeat the offer for as long as it stands. */
static enum outcome defer(struct kedge_agent *agent, enum kedge_cause cause, uint32_t detail)
{
    if (agent->deferred_for != cause) {
        outbox_add(agent, KEDGE_REPORT_DEFERRED, cause, detail);
        agent->deferred_for = cause;
        agent_log(agent, KEDGE_LOG_WARN, "offer_deferred", kedge_cause_text(cause));
    }
    return OUTCOME_FAILED;
}

/* Free heap in pieces does not carry a TLS record: a download would die half-way, the slot erased.
 */
static enum outcome check_block(struct kedge_agent *agent)
{
    struct kedge_vitals vitals = {0};

    if (agent->config.block_floor_bytes == 0) {
        return OUTCOME_STAY;
    }
    agent->plat.system->vitals(agent->plat.ctx, &vitals);
    return vitals.largest_block_bytes >= agent->config.block_floor_bytes
               ? OUTCOME_STAY
               : defer(agent, KEDGE_CAUSE_HEAP, vitals.largest_block_bytes);
}

static enum outcome check_veto(struct kedge_agent *agent)
{
    const struct kedge_journal_data *data = &agent->journal.data;
    struct kedge_offer offer = {
        .version = data->to,
        .sha256 = data->sha256,
        .size_bytes = data->image_size,
        .force = agent->offer_force,
    };

    if (agent->plat.system->may_update == NULL ||
        agent->plat.system->may_update(agent->plat.ctx, &offer)) {
        return OUTCOME_STAY;
    }
    return defer(agent, KEDGE_CAUSE_VETO, 0);
}

enum outcome offer_work(struct kedge_agent *agent)
{
    static enum outcome (*const checks[])(struct kedge_agent *) = {
        check_alignment, check_bad_list, check_size, check_block, check_veto};

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        enum outcome outcome = checks[i](agent);

        if (outcome != OUTCOME_STAY) {
            return outcome;
        }
    }
    agent->deferred_for = KEDGE_CAUSE_NONE;
    return OUTCOME_DONE;
}

/* ---- DOWNLOADING: bytes into the slot ---- */

bool download_begin(struct kedge_agent *agent, uint32_t offset)
{
    agent->body_offset = offset;
    agent->checkpoint = offset;
    agent->sector_len = 0;
    agent->prefix_checked = offset > 0;
    agent->body_wanted = true;
    if (offset == 0) {
        kedge_image_parser_init(&agent->parser, NULL, NULL);
        return true; /* the slot is begun when the prefix has been checked */
    }
    return agent->plat.slots->begin(agent->plat.ctx, agent->journal.data.slot, offset) == KEDGE_OK;
}

static bool is_project(const struct kedge_agent *agent, const char *project)
{
    const char *own =
        agent->config.project != NULL ? agent->config.project : agent->facts.running.project;

    return strcmp(own, project) == 0;
}

/* The first 288 bytes say whether the rest is worth an erase. */
static enum outcome check_prefix(struct kedge_agent *agent, struct kedge_cspan bytes)
{
    const struct kedge_image_info *info;

    if (kedge_image_parser_feed(&agent->parser, bytes) != KEDGE_OK) {
        return blame(agent, KEDGE_CAUSE_IMAGE);
    }
    if (!kedge_image_parser_prefix(&agent->parser, &info)) {
        return OUTCOME_STAY;
    }
    agent->prefix_checked = true;
    if (info->chip_id != agent->facts.chip_id) {
        return blame(agent, KEDGE_CAUSE_CHIP);
    }
    if (!is_project(agent, info->desc.project)) {
        return blame(agent, KEDGE_CAUSE_PROJECT);
    }
    if (strcmp(info->desc.version, agent->journal.data.to) != 0) {
        return blame(agent, KEDGE_CAUSE_VERSION);
    }
    if (info->desc.secure_version < agent->facts.min_secure_version) {
        return blame(agent, KEDGE_CAUSE_SECURE_VERSION);
    }
    return OUTCOME_STAY;
}

/* Power cut here: the sector is torn, but beyond what the journal counts as written. */
static enum outcome flush_sector(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;
    const struct kedge_plat_slots *slots = agent->plat.slots;
    uint32_t offset = agent->body_offset - agent->sector_len;
    enum kedge_err err = KEDGE_OK;

    if (!agent->prefix_checked) {
        return blame(agent, KEDGE_CAUSE_IMAGE);
    }
    if (offset == 0) {
        err = slots->begin(agent->plat.ctx, data->slot, 0);
    }
    if (err == KEDGE_OK) {
        err = slots->write(agent->plat.ctx, data->slot, offset, agent->sector, agent->sector_len);
    }
    if (err != KEDGE_OK) {
        agent_log(agent, KEDGE_LOG_ERROR, "slot_write_failed", kedge_err_text(err));
        return blame(agent, KEDGE_CAUSE_FLASH);
    }
    data->written = agent->body_offset;
    agent->sector_len = 0;
    if (data->written - agent->checkpoint >= CHECKPOINT_SIZE) {
        agent->checkpoint = data->written;
        (void)agent_save(agent);
    }
    return OUTCOME_STAY;
}

enum outcome download_feed(struct kedge_agent *agent, struct kedge_cspan bytes)
{
    if (bytes.len > agent->journal.data.image_size - agent->body_offset) {
        return OUTCOME_FAILED; /* more than was announced: not the image's fault */
    }
    if (!agent->prefix_checked && check_prefix(agent, bytes) == OUTCOME_BAD) {
        return OUTCOME_BAD;
    }
    while (bytes.len > 0) {
        size_t room = SECTOR_SIZE - agent->sector_len;
        size_t len = bytes.len < room ? bytes.len : room;

        memcpy(&agent->sector[agent->sector_len], bytes.data, len);
        agent->sector_len += (uint32_t)len;
        agent->body_offset += (uint32_t)len;
        bytes.data += len;
        bytes.len -= len;
        if (agent->sector_len == SECTOR_SIZE && flush_sector(agent) == OUTCOME_BAD) {
            return OUTCOME_BAD;
        }
    }
    return OUTCOME_STAY;
}

enum outcome download_end(struct kedge_agent *agent)
{
    if (agent->body_offset != agent->journal.data.image_size) {
        return OUTCOME_FAILED;
    }
    if (agent->sector_len > 0 && flush_sector(agent) == OUTCOME_BAD) {
        return OUTCOME_BAD;
    }
    return OUTCOME_DONE;
}

/* ---- VERIFYING: what is in flash, not what went by ---- */

struct slot_content {
    uint8_t sha256[KEDGE_SHA256_SIZE];
    bool is_image;
    struct kedge_image_info info;
};

/* Feeds hash and parser with what the slot holds. *parsed says how the parser liked it. Errors:
 * those of the platform's read. */
static enum kedge_err feed_slot(struct kedge_agent *agent, struct kedge_sha256 *sha,
                                enum kedge_err *parsed)
{
    const struct kedge_journal_data *data = &agent->journal.data;

    for (uint32_t offset = 0; offset < data->image_size; offset += SECTOR_SIZE) {
        uint32_t rest = data->image_size - offset;
        uint32_t len = rest < SECTOR_SIZE ? rest : SECTOR_SIZE;
        enum kedge_err err =
            agent->plat.slots->read(agent->plat.ctx, data->slot, offset, agent->sector, len);

        if (err != KEDGE_OK) {
            return err;
        }
        kedge_sha256_update(sha, agent->sector, len);
        if (*parsed == KEDGE_OK) {
            *parsed =
                kedge_image_parser_feed(&agent->parser, (struct kedge_cspan){agent->sector, len});
        }
    }
    return KEDGE_OK;
}

/* A hash that was begun is ended whatever happens: on the ESP32 it holds the SHA engine till then.
 */
static enum kedge_err read_slot(struct kedge_agent *agent, struct slot_content *content)
{
    struct kedge_sha256 sha;
    enum kedge_err parsed = KEDGE_OK;
    enum kedge_err err;

    kedge_sha256_init(&sha);
    kedge_image_parser_init(&agent->parser, NULL, NULL);
    err = feed_slot(agent, &sha, &parsed);
    kedge_sha256_final(&sha, content->sha256);
    content->is_image =
        parsed == KEDGE_OK && kedge_image_parser_end(&agent->parser, &content->info) == KEDGE_OK;
    return err;
}

/* Once, a wrong hash may be flash or a proxy: the download begins anew. Twice is the file's fault.
 */
static enum outcome on_wrong_hash(struct kedge_agent *agent)
{
    struct kedge_journal_data *data = &agent->journal.data;

    if (data->restarts > 0) {
        return blame(agent, KEDGE_CAUSE_HASH);
    }
    agent_log(agent, KEDGE_LOG_WARN, "download_restarts", "reason=hash");
    data->restarts++;
    data->written = 0;
    poll_failed(agent);
    return OUTCOME_FAILED;
}

enum outcome verify_work(struct kedge_agent *agent)
{
    const struct kedge_journal_data *data = &agent->journal.data;
    struct slot_content content;
    enum kedge_err err = read_slot(agent, &content);

    if (err != KEDGE_OK) {
        return blame(agent, KEDGE_CAUSE_FLASH);
    }
    if (memcmp(content.sha256, data->sha256, KEDGE_SHA256_SIZE) != 0) {
        return on_wrong_hash(agent);
    }
    if (!content.is_image || content.info.chip_id != agent->facts.chip_id) {
        return blame(agent, KEDGE_CAUSE_IMAGE);
    }
    if (strcmp(content.info.desc.version, data->to) != 0) {
        return blame(agent, KEDGE_CAUSE_VERSION);
    }
    err = agent->plat.slots->finish(agent->plat.ctx, data->slot, data->image_size);
    if (err != KEDGE_OK) {
        return blame(agent, err == KEDGE_ERR_MISMATCH ? KEDGE_CAUSE_IMAGE : KEDGE_CAUSE_FLASH);
    }
    outbox_add(agent, KEDGE_REPORT_VERIFIED, KEDGE_CAUSE_NONE, 0);
    return agent_ready_to_switch(agent);
}
