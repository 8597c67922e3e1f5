/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <stdio.h>
#include <string.h>

#include "kedge/crypto.h"

static enum kedge_err slots_describe(void *ctx, struct kedge_boot_facts *facts)
{
    struct fake *fake = ctx;

    *facts = (struct kedge_boot_facts){
        .running_slot = fake->running,
        .boot_slot = fake->boot,
        .slot_count = 2,
        .slot_size_bytes = FAKE_SLOT_SIZE,
        .running_state = fake->slots[fake->running].state,
        .target_state = fake->slots[1 - fake->running].state,
        .reset_reason = fake->reset_reason,
        .can_rollback = true,
        .min_secure_version = fake->min_secure_version,
        .chip_id = KEDGE_CHIP_ESP32,
        .running = fake->slots[fake->running].desc,
    };
    return KEDGE_OK;
}

static enum kedge_err slots_read(void *ctx, uint8_t slot, uint32_t offset, void *out, uint32_t len)
{
    struct fake *fake = ctx;

    if (offset > FAKE_SLOT_SIZE || len > FAKE_SLOT_SIZE - offset) {
        return KEDGE_ERR_RANGE;
    }
    memcpy(out, &fake->slots[slot].bytes[offset], len);
    return KEDGE_OK;
}

static enum kedge_err slots_begin(void *ctx, uint8_t slot, uint32_t offset)
{
    struct fake *fake = ctx;

    (void)offset;
    if (slot == fake->running) {
        return KEDGE_ERR_DENIED;
    }
    if (fake->slots[fake->running].state == (uint32_t)KEDGE_OTA_PENDING_VERIFY) {
        return KEDGE_ERR_STATE;
    }
    fake->begins++;
    return KEDGE_OK;
}

static enum kedge_err slots_write(void *ctx, uint8_t slot, uint32_t offset, const void *data,
                                  uint32_t len)
{
    struct fake *fake = ctx;

    if (slot == fake->running || offset % 4096u != 0 || len > 4096u) {
        return KEDGE_ERR_RANGE;
    }
    memset(&fake->slots[slot].bytes[offset], 0xFF, 4096);
    memcpy(&fake->slots[slot].bytes[offset], data, len);
    fake->erased_sectors++;
    return KEDGE_OK;
}

static enum kedge_err load(struct fake *fake, uint8_t slot, struct kedge_app_desc *desc)
{
    struct kedge_image_parser parser;
    struct kedge_image_info info;
    struct kedge_sha256 sha;
    enum kedge_err err;

    kedge_image_parser_init(&parser, &kedge_sha256_ops, &sha);
    err = kedge_image_parser_feed(&parser,
                                  (struct kedge_cspan){fake->slots[slot].bytes, FAKE_SLOT_SIZE});
    if (err == KEDGE_OK) {
        err = kedge_image_parser_end(&parser, &info);
    }
    if (err != KEDGE_OK) {
        return KEDGE_ERR_MISMATCH;
    }
    *desc = info.desc;
    return KEDGE_OK;
}

static enum kedge_err slots_finish(void *ctx, uint8_t slot, uint32_t image_size)
{
    struct kedge_app_desc desc;

    (void)image_size;
    return load(ctx, slot, &desc);
}

static enum kedge_err slots_set_boot(void *ctx, uint8_t slot)
{
    struct fake *fake = ctx;
    enum kedge_err err = load(fake, slot, &fake->slots[slot].desc);

    if (err == KEDGE_OK) {
        fake->slots[slot].state = (uint32_t)KEDGE_OTA_NEW;
        fake->boot = slot;
    }
    return err;
}

static enum kedge_err slots_restore_record(void *ctx)
{
    struct fake *fake = ctx;

    if (fake->boot != KEDGE_NO_SLOT) {
        return KEDGE_ERR_STATE;
    }
    fake->boot = fake->running;
    fake->slots[fake->running].state = (uint32_t)KEDGE_OTA_VALID;
    return KEDGE_OK;
}

/* Both act on the active record, not on the slot that runs (docs/esp-idf.md 2.5). */
static enum kedge_err slots_mark_valid(void *ctx)
{
    struct fake *fake = ctx;

    fake->mark_valids++;
    if (fake->boot == KEDGE_NO_SLOT) {
        return KEDGE_ERR_STATE;
    }
    fake->slots[fake->boot].state = (uint32_t)KEDGE_OTA_VALID;
    return KEDGE_OK;
}

static enum kedge_err slots_mark_invalid(void *ctx)
{
    struct fake *fake = ctx;

    fake->mark_invalids++;
    if (fake->boot == KEDGE_NO_SLOT) {
        return KEDGE_ERR_STATE;
    }
    fake->slots[fake->boot].state = (uint32_t)KEDGE_OTA_INVALID;
    fake->boot = (uint8_t)(1 - fake->boot);
    return KEDGE_OK;
}

static enum kedge_err store_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    struct fake *fake = ctx;

    memcpy(out, &fake->store[offset], len);
    return KEDGE_OK;
}

static enum kedge_err store_write(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
    struct fake *fake = ctx;
    const uint8_t *bytes = data;

    fake->store_writes++;
    if (fake->store_fail_from != 0 && fake->store_writes >= fake->store_fail_from) {
        return KEDGE_ERR_IO;
    }
    for (uint32_t i = 0; i < len; i++) {
        fake->store[offset + i] &= bytes[i];
    }
    return KEDGE_OK;
}

static enum kedge_err store_erase(void *ctx, uint32_t sector)
{
    struct fake *fake = ctx;

    fake->store_erases++;
    memset(&fake->store[sector * 4096u], 0xFF, 4096);
    return KEDGE_OK;
}

static uint32_t system_random(void *ctx)
{
    struct fake *fake = ctx;

    fake->random = fake->random * 1664525u + 1013904223u;
    return fake->random;
}

static void system_vitals(void *ctx, struct kedge_vitals *out)
{
    *out = ((struct fake *)ctx)->vitals;
}

static bool system_may_update(void *ctx, const struct kedge_offer *offer)
{
    (void)offer;
    return !((struct fake *)ctx)->vetoed;
}

static enum kedge_self_test system_self_test(void *ctx)
{
    return ((struct fake *)ctx)->self_test;
}

static bool dump_describe(void *ctx, struct kedge_crash *out)
{
    struct fake *fake = ctx;

    fake->dump_describes++;
    if (fake->crash.size_bytes != 0) {
        *out = fake->crash;
    }
    return fake->crash.size_bytes != 0;
}

static enum kedge_err dump_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    struct fake *fake = ctx;

    fake->dump_reads++;
    if (fake->dump_read_fails) {
        return KEDGE_ERR_IO;
    }
    if (offset + len > fake->crash.size_bytes) {
        return KEDGE_ERR_RANGE;
    }
    memcpy(out, &fake->dump[offset], len);
    return KEDGE_OK;
}

static enum kedge_err dump_erase(void *ctx)
{
    struct fake *fake = ctx;

    fake->dump_erases++;
    if (fake->dump_erase_fails) {
        return KEDGE_ERR_IO;
    }
    fake->crash.size_bytes = 0;
    return KEDGE_OK;
}

static void log_write(void *ctx, enum kedge_log_level level, const char *event, const char *text)
{
    (void)ctx;
    printf("    log %d %s %s\n", (int)level, event, text);
}

static void log_set_level(void *ctx, enum kedge_log_level level)
{
    ((struct fake *)ctx)->log_level = level;
}

static const struct kedge_plat_slots slots_ops = {
    .describe = slots_describe,
    .read = slots_read,
    .begin = slots_begin,
    .write = slots_write,
    .finish = slots_finish,
    .set_boot = slots_set_boot,
    .restore_record = slots_restore_record,
    .mark_valid = slots_mark_valid,
    .mark_invalid = slots_mark_invalid,
};
static const struct kedge_plat_store store_ops = {store_read, store_write, store_erase};
static const struct kedge_plat_system system_ops = {system_random, system_vitals, system_may_update,
                                                    system_self_test};
static const struct kedge_plat_log log_ops = {log_write, log_set_level};
static const struct kedge_plat_crash crash_ops = {dump_describe, dump_read, dump_erase};

void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof *fake);
    memset(fake->store, 0xFF, sizeof fake->store);
    fake->slots[0].state = (uint32_t)KEDGE_OTA_VALID;
    fake->slots[1].state = (uint32_t)KEDGE_OTA_UNDEFINED;
    fake->slots[0].desc = (struct kedge_app_desc){.version = "1.0.0", .project = "test"};
    fake->reset_reason = KEDGE_RESET_POWERON;
    fake->self_test = KEDGE_SELF_TEST_PASSED;
    fake->vitals = (struct kedge_vitals){.free_heap_bytes = 120000, .storage_ok = true};
    fake->random = 1;
    fake->config = (struct kedge_config){.device_id = "unit-1", .heap_floor_bytes = 50000};
}

static void take_body(struct fake *fake, const struct kedge_http_request *http)
{
    size_t len = http->body_len < sizeof fake->http_body ? http->body_len : 0;

    if (len > 0) {
        memcpy(fake->http_body, http->body, len);
    }
    fake->http_body[len] = '\0';
}

static void carry_out(struct fake *fake, const struct kedge_action *action)
{
    switch (action->kind) {
    case KEDGE_ACTION_WAIT:
        fake->wait_until_ms = action->wait_until_ms;
        return;
    case KEDGE_ACTION_HTTP_REQUEST:
        fake->http = action->http;
        for (uint32_t i = 0; i < action->http.header_count; i++) {
            snprintf(fake->http_headers[i], sizeof fake->http_headers[i], "%s",
                     action->http.headers[i].value);
        }
        take_body(fake, &action->http);
        fake->http_open = true;
        fake->http_requests++;
        return;
    case KEDGE_ACTION_HTTP_ABORT:
        fake->http_open = false;
        fake->aborts++;
        return;
    case KEDGE_ACTION_MQTT_PUBLISH:
        snprintf(fake->published, sizeof fake->published, "%.*s", (int)action->mqtt.payload_len,
                 action->mqtt.payload);
        fake->topic = action->mqtt.topic;
        fake->token = action->mqtt.token;
        fake->publishes++;
        return;
    case KEDGE_ACTION_REBOOT:
        fake->reboot_wanted = true;
        return;
    }
}

void fake_event(struct fake *fake, const struct kedge_event *event)
{
    static const struct kedge_event tick = {.kind = KEDGE_EVENT_TICK};
    const struct kedge_action *action = kedge_agent_step(&fake->agent, fake->now_ms, event);

    while (!fake->reboot_wanted) {
        carry_out(fake, action);
        if (action->kind == KEDGE_ACTION_WAIT || fake->reboot_wanted) {
            return;
        }
        action = kedge_agent_step(&fake->agent, fake->now_ms, &tick);
    }
}

void fake_boot(struct fake *fake)
{
    struct kedge_plat plat = {.slots = &slots_ops,
                              .store = &store_ops,
                              .system = &system_ops,
                              .log = &log_ops,
                              .crash = fake->keeps_dumps ? &crash_ops : NULL,
                              .ctx = fake};
    struct kedge_event boot = {.kind = KEDGE_EVENT_BOOT};

    fake->reboot_wanted = false;
    fake->http_open = false;
    if (kedge_agent_init(&fake->agent, &fake->config, &plat) != KEDGE_OK) {
        fake->reboot_wanted = true;
        return;
    }
    fake_event(fake, &boot);
}

static void run_bootloader_states(struct fake *fake)
{
    for (int i = 0; i < 2; i++) {
        if (fake->slots[i].state == (uint32_t)KEDGE_OTA_PENDING_VERIFY) {
            fake->slots[i].state = (uint32_t)KEDGE_OTA_ABORTED;
            if (fake->boot == i) {
                fake->boot = (uint8_t)(1 - i);
            }
        }
    }
    if (fake->boot != KEDGE_NO_SLOT && fake->slots[fake->boot].state == (uint32_t)KEDGE_OTA_NEW) {
        fake->slots[fake->boot].state = (uint32_t)KEDGE_OTA_PENDING_VERIFY;
    }
}

void fake_reset(struct fake *fake, enum kedge_reset reason)
{
    fake->reset_reason = reason;
    if (!fake->no_rollback) {
        run_bootloader_states(fake);
    }
    fake->running = fake->boot == KEDGE_NO_SLOT ? 0 : fake->boot;
    fake_boot(fake);
}

void fake_tick(struct fake *fake, uint64_t advance_ms)
{
    struct kedge_event tick = {.kind = KEDGE_EVENT_TICK};

    fake->now_ms += advance_ms;
    fake_event(fake, &tick);
}

void fake_connect(struct fake *fake)
{
    struct kedge_event up = {.kind = KEDGE_EVENT_NET_UP};
    struct kedge_event mqtt = {.kind = KEDGE_EVENT_MQTT_UP};

    fake_event(fake, &up);
    fake_event(fake, &mqtt);
}

const char *fake_header(const struct fake *fake, const char *name)
{
    for (uint32_t i = 0; i < fake->http.header_count; i++) {
        if (strcmp(fake->http.headers[i].name, name) == 0) {
            return fake->http_headers[i];
        }
    }
    return "";
}

uint32_t fake_image(const char *version, const char *project, uint16_t chip, uint32_t payload_size,
                    uint8_t *out, uint32_t out_size)
{
    static uint8_t payload[FAKE_SLOT_SIZE];
    struct kedge_image_spec spec = {
        .chip_id = chip, .payload = {payload, payload_size}, .append_hash = true};
    struct kedge_sha256 sha;
    uint32_t len = 0;

    memset(payload, version[0] ^ version[2], payload_size);
    snprintf(spec.desc.version, sizeof spec.desc.version, "%s", version);
    snprintf(spec.desc.project, sizeof spec.desc.project, "%s", project);
    if (kedge_image_write(&spec, &kedge_sha256_ops, &sha, (struct kedge_span){out, out_size},
                          &len) != KEDGE_OK) {
        return 0;
    }
    return len;
}

void fake_respond(struct fake *fake, const struct kedge_http_response *response)
{
    struct kedge_event event = {.kind = KEDGE_EVENT_HTTP_RESPONSE, .response = response};

    fake_event(fake, &event);
}

void fake_body(struct fake *fake, const uint8_t *data, size_t len)
{
    struct kedge_event event = {.kind = KEDGE_EVENT_HTTP_BODY, .bytes = {data, len}};

    if (fake->http_open) {
        fake_event(fake, &event);
    }
}

void fake_end(struct fake *fake)
{
    struct kedge_event event = {.kind = KEDGE_EVENT_HTTP_END};

    if (fake->http_open) {
        fake->http_open = false;
        fake_event(fake, &event);
    }
}

void fake_fail(struct fake *fake)
{
    struct kedge_event event = {.kind = KEDGE_EVENT_HTTP_FAILED};

    fake->http_open = false;
    fake_event(fake, &event);
}

void fake_status(struct fake *fake, uint16_t status)
{
    struct kedge_http_response response = {.status = status};

    fake_respond(fake, &response);
    fake_end(fake);
}

void fake_offer(struct fake *fake, const uint8_t *image, uint32_t size, const char *version)
{
    struct kedge_http_response response = {.status = 200,
                                           .has_content_length = true,
                                           .content_length = size,
                                           .has_sha256 = true,
                                           .has_etag = true};

    kedge_sha256_of(image, size, response.sha256);
    memcpy(response.etag_sha256, response.sha256, sizeof response.sha256);
    snprintf(response.version, sizeof response.version, "%s", version);
    fake_respond(fake, &response);
}

bool fake_wait_request(struct fake *fake, const char *path)
{
    uint64_t end = fake->now_ms + 3600000u;

    while (fake->now_ms < end) {
        if (fake->http_open && strcmp(fake->http.path, path) == 0) {
            return true;
        }
        if (fake->reboot_wanted) {
            return false;
        }
        if (fake->http_open) {
            fake_status(fake, strcmp(fake->http.path, "/ota/report") == 0 ? 200 : 304);
        } else {
            fake_tick(fake,
                      fake->wait_until_ms > fake->now_ms ? fake->wait_until_ms - fake->now_ms : 1);
        }
    }
    return false;
}

void fake_download(struct fake *fake, const uint8_t *image, uint32_t size, const char *version)
{
    if (!fake_wait_request(fake, "/ota/firmware.bin")) {
        return;
    }
    fake_offer(fake, image, size, version);
    for (uint32_t at = 0; at < size; at += 1000) {
        fake_body(fake, image + at, size - at < 1000 ? size - at : 1000);
    }
    fake_end(fake);
}

bool fake_ack_telemetry(struct fake *fake)
{
    struct kedge_event event = {.kind = KEDGE_EVENT_MQTT_ACKED};

    for (int i = 0; i < 100 && fake->agent.telemetry_token == 0; i++) {
        fake_tick(fake, 1000);
    }
    event.token = fake->agent.telemetry_token;
    if (event.token != 0) {
        fake_event(fake, &event);
    }
    return event.token != 0;
}

void fake_prove(struct fake *fake)
{
    fake_connect(fake);
    if (!fake_wait_request(fake, "/ota/firmware.bin")) {
        return;
    }
    fake_status(fake, 304);
    (void)fake_ack_telemetry(fake);
    for (int i = 0; i < 40 && kedge_agent_state(&fake->agent) == KEDGE_STATE_TRIAL; i++) {
        fake_tick(fake, 1000);
        if (fake->http_open && strcmp(fake->http.path, "/ota/firmware.bin") == 0) {
            fake_status(fake, 304);
        }
    }
}

bool fake_wait_reboot(struct fake *fake, uint64_t limit_ms)
{
    uint64_t end = fake->now_ms + limit_ms;

    while (!fake->reboot_wanted && fake->now_ms < end) {
        fake_tick(fake, 500);
        if (fake->http_open) {
            fake_status(fake, strcmp(fake->http.path, "/ota/report") == 0 ? 200 : 304);
        }
    }
    return fake->reboot_wanted;
}

uint32_t fake_take_reports(struct fake *fake, struct kedge_report *last)
{
    uint32_t count = 0;
    struct kedge_fault fault;

    while (fake->agent.journal.data.report_count > 0) {
        if (!fake_wait_request(fake, "/ota/report")) {
            return count;
        }
        if (kedge_report_parse(
                (struct kedge_cspan){(const uint8_t *)fake->http_body, strlen(fake->http_body)},
                last, &fault) != KEDGE_OK) {
            return UINT32_MAX;
        }
        count++;
        fake_status(fake, 200);
    }
    return count;
}
