/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function that a platform provides, as a skeleton: copy this file, replace the bodies. The
 * build compiles it, so that it stays true. The contracts stand in device/include/kedge/plat/ and
 * kedge/agent.h; what is said here is only what porters asked about or got wrong. ports/posix is a
 * complete port; sim/src/board_ops.c is a complete platform under it.
 *
 * All functions get the context that struct kedge_plat names. They run in the task that steps the
 * agent; flash calls may block for as long as the flash takes, the rest must not block.
 */
#include "kedge/agent.h"
#include "kedge/settings_files.h"

/* What a platform keeps; one per agent. */
struct port {
    struct kedge_agent agent; /* about 9 KiB: static or heap, not a task's stack */
    struct kedge_settings settings;
    struct kedge_settings_report found; /* where the settings are from, and what was wrong */
    struct kedge_settings_files files;  /* 2 KiB */
};

/* ---- slots: the app partitions and otadata ---- */

/* Read once, at boot. running_state and target_state are the raw values from otadata: on ESP-IDF
 * esp_ota_get_state_partition, UNDEFINED where it finds none. boot_slot is what otadata names, and
 * is not running_slot after the bootloader fell back: never report one for the other. */
static enum kedge_err port_describe(void *ctx, struct kedge_boot_facts *facts)
{
    (void)ctx;
    (void)facts;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Any alignment, plain text (ESP-IDF: esp_partition_read, which decrypts). */
static enum kedge_err port_read(void *ctx, uint8_t slot, uint32_t offset, void *out, uint32_t len)
{
    (void)ctx;
    (void)slot;
    (void)offset;
    (void)out;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

/* ESP-IDF: for offset 0 esp_partition_erase_range of the slot's first sector, so that no image is
 * left to start while the record is erased, then esp_ota_begin with OTA_WITH_SEQUENTIAL_WRITES;
 * esp_ota_resume otherwise. So that nothing is erased in vain, ask first for what esp_ota_begin
 * would refuse: the running slot, a running image on trial. esp_ota_resume does not refuse while
 * the running image is on trial: return ERR_STATE yourself. */
static enum kedge_err port_begin(void *ctx, uint8_t slot, uint32_t offset)
{
    (void)ctx;
    (void)slot;
    (void)offset;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Erase this sector, then write. Never erase ahead: the agent counts what is written by sectors and
 * goes on there after a reset. Under flash encryption pad len to 16 with FF. */
static enum kedge_err port_write(void *ctx, uint8_t slot, uint32_t offset, const void *data,
                                 uint32_t len)
{
    (void)ctx;
    (void)slot;
    (void)offset;
    (void)data;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Verify from flash, not from memory: what counts is what the bootloader will see. */
static enum kedge_err port_finish(void *ctx, uint8_t slot, uint32_t image_size)
{
    (void)ctx;
    (void)slot;
    (void)image_size;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Refuse the running slot: up to v5.x ESP-IDF overwrites the record of the image to fall back to.
 */
static enum kedge_err port_set_boot(void *ctx, uint8_t slot)
{
    (void)ctx;
    (void)slot;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Only where otadata has no active record: esp_ota_set_boot_partition of the running partition,
 * then esp_ota_mark_app_valid_cancel_rollback. */
static enum kedge_err port_restore_record(void *ctx)
{
    (void)ctx;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Nothing else in the application calls esp_ota_mark_app_valid_cancel_rollback. */
static enum kedge_err port_mark_valid(void *ctx)
{
    (void)ctx;
    return KEDGE_ERR_UNSUPPORTED;
}

/* esp_ota_mark_app_invalid_rollback, without the reboot: the agent reports first. */
static enum kedge_err port_mark_invalid(void *ctx)
{
    (void)ctx;
    return KEDGE_ERR_UNSUPPORTED;
}

/* ---- store: two sectors for the journal ---- */

static enum kedge_err port_store_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    (void)ctx;
    (void)offset;
    (void)out;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

/* Straight to flash: no cache, no key-value layer, done when it returns. */
static enum kedge_err port_store_write(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
    (void)ctx;
    (void)offset;
    (void)data;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

static enum kedge_err port_store_erase(void *ctx, uint32_t sector)
{
    (void)ctx;
    (void)sector;
    return KEDGE_ERR_UNSUPPORTED;
}

/* ---- storage: device.json, certificates ---- */

/* Mount before port_start, once, with format_if_mount_failed = false. If it does not mount, say so
 * here and go on: the agent runs on what the firmware was built with, and can still be updated. */
static bool port_storage_mounted(void *ctx)
{
    (void)ctx;
    return false;
}

static enum kedge_err port_storage_read(void *ctx, const char *name, void *out, uint32_t size,
                                        uint32_t *len)
{
    (void)ctx;
    (void)name;
    (void)out;
    (void)size;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

/* fopen, fwrite, fflush, fsync(fileno()), fclose, each of them checked: a full partition shows in
 * fflush or fclose. */
static enum kedge_err port_storage_write(void *ctx, const char *name, const void *data,
                                         uint32_t len)
{
    (void)ctx;
    (void)name;
    (void)data;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

/* LittleFS's rename, which replaces. Never remove first: FAT needs that, and is why FAT will not
 * do. */
static enum kedge_err port_storage_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    (void)from;
    (void)to;
    return KEDGE_ERR_UNSUPPORTED;
}

/* ENOENT is ERR_NOT_FOUND: asked for at every boot. */
static enum kedge_err port_storage_remove(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return KEDGE_ERR_UNSUPPORTED;
}

/* ---- system and log ---- */

/* esp_random, once Wi-Fi or the bootloader has seeded it. Two devices must not draw the same. */
static uint32_t port_random(void *ctx)
{
    (void)ctx;
    return 0;
}

/* Fields that are not known stay 0. A temperature goes through kedge_settings_temperature_mc. */
static void port_vitals(void *ctx, struct kedge_vitals *out)
{
    const struct port *port = ctx;

    *out = (struct kedge_vitals){.storage_ok = kedge_settings_storage_ok(&port->found),
                                 .config_source = port->found.source};
}

/* Optional (NULL = always): is this a moment in which a restart does no harm? */
static bool port_may_update(void *ctx, const struct kedge_offer *offer)
{
    (void)ctx;
    (void)offer;
    return true;
}

/* Optional (NULL = passed): asked again and again during a trial until it is not PENDING. */
static enum kedge_self_test port_self_test(void *ctx)
{
    (void)ctx;
    return KEDGE_SELF_TEST_PENDING;
}

static void port_log(void *ctx, enum kedge_log_level level, const char *event, const char *text)
{
    (void)ctx;
    (void)level;
    (void)event;
    (void)text;
}

/* Optional: a command wants more lines, or fewer. They stay on the device, whatever the level. */
static void port_log_level(void *ctx, enum kedge_log_level level)
{
    (void)ctx;
    (void)level;
}

/* ---- core dumps: optional, leave kedge_plat.crash NULL without them ---- */

/* ESP-IDF: esp_core_dump_image_check first, so that a torn dump is none, then _image_get for the
 * size and _get_summary for the rest. Texts of a dump are what a crashing system left: the agent
 * tidies them. */
static bool port_crash_describe(void *ctx, struct kedge_crash *out)
{
    (void)ctx;
    (void)out;
    return false;
}

/* The partition's bytes, decrypted, from where _image_get says that the dump begins. */
static enum kedge_err port_crash_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    (void)ctx;
    (void)offset;
    (void)out;
    (void)len;
    return KEDGE_ERR_UNSUPPORTED;
}

/* esp_core_dump_image_erase. */
static enum kedge_err port_crash_erase(void *ctx)
{
    (void)ctx;
    return KEDGE_ERR_UNSUPPORTED;
}

static const struct kedge_plat_slots slots_ops = {
    .describe = port_describe,
    .read = port_read,
    .begin = port_begin,
    .write = port_write,
    .finish = port_finish,
    .set_boot = port_set_boot,
    .restore_record = port_restore_record,
    .mark_valid = port_mark_valid,
    .mark_invalid = port_mark_invalid,
};
static const struct kedge_plat_store store_ops = {
    .read = port_store_read, .write = port_store_write, .erase = port_store_erase};
static const struct kedge_plat_storage storage_ops = {.mounted = port_storage_mounted,
                                                      .read = port_storage_read,
                                                      .write = port_storage_write,
                                                      .rename = port_storage_rename,
                                                      .remove = port_storage_remove};
static const struct kedge_plat_system system_ops = {.random = port_random,
                                                    .vitals = port_vitals,
                                                    .may_update = port_may_update,
                                                    .self_test = port_self_test};
static const struct kedge_plat_log log_ops = {.write = port_log, .set_level = port_log_level};
static const struct kedge_plat_crash crash_ops = {
    .describe = port_crash_describe, .read = port_crash_read, .erase = port_crash_erase};

/* ---- the network and the loop ---- */

/* One HTTPS connection, kept alive, mutual TLS. Copy what you need: the request is borrowed, and a
 * body may hold any byte (body_len counts, content_type says what it is). Answer
 * later with HTTP_RESPONSE (headers through kedge_http_response_header), HTTP_BODY …, HTTP_END, or
 * with HTTP_FAILED at any point. Never step the agent from in here. */
static void port_http_request(struct port *port, const struct kedge_http_request *request)
{
    (void)port;
    (void)request;
}

/* After this no event of that request may reach the agent any more. */
static void port_http_abort(struct port *port)
{
    (void)port;
}

/* QoS 1. MQTT_ACKED with the token when the PUBACK is in, and not before: this is the proof that
 * the trial waits for. */
static void port_publish(struct port *port, const struct kedge_mqtt_message *message)
{
    (void)port;
    (void)message;
}

static void port_restart(struct port *port)
{
    (void)port;
}

/* Sleep until an event comes or wait_until_ms is reached. */
static void port_wait(struct port *port, uint64_t wait_until_ms)
{
    (void)port;
    (void)wait_until_ms;
}

enum kedge_err port_start(struct port *port, const struct kedge_settings *defaults);
void port_on_event(struct port *port, uint64_t now_ms, const struct kedge_event *event);

static void log_refused_files(struct port *port)
{
    char text[160];

    for (size_t i = 0; i < KEDGE_SETTINGS_CANDIDATES; i++) {
        const struct kedge_settings_faults *faults = &port->found.files[i].faults;

        for (size_t k = 0; k < faults->count && k < KEDGE_SETTINGS_FAULTS_MAX; k++) {
            kedge_settings_fault_text(&faults->list[k], text, sizeof text);
            port_log(port, KEDGE_LOG_ERROR, "settings_refused", text);
        }
    }
}

/** Once after each reset; the first event is then KEDGE_EVENT_BOOT. defaults: what the firmware was
 *  built with, identity, server and broker included; safe mode runs on it. */
enum kedge_err port_start(struct port *port, const struct kedge_settings *defaults)
{
    struct kedge_config config = {0};
    const struct kedge_plat plat = {.slots = &slots_ops,
                                    .store = &store_ops,
                                    .system = &system_ops,
                                    .log = &log_ops,
                                    .crash = &crash_ops,
                                    .ctx = port};

    port->files.ops = &storage_ops;
    port->files.ctx = port;
    enum kedge_err err = kedge_settings_load(&port->files, defaults, &port->settings, &port->found);
    log_refused_files(port);
    if (err != KEDGE_OK) {
        return err;
    }
    kedge_settings_config(&port->settings, &config);
    return kedge_agent_init(&port->agent, &config, &plat);
}

/** For every event: network, broker, and the end of a wait (TICK). now_ms counts from the reset. */
void port_on_event(struct port *port, uint64_t now_ms, const struct kedge_event *event)
{
    static const struct kedge_event tick = {.kind = KEDGE_EVENT_TICK};
    const struct kedge_action *action = kedge_agent_step(&port->agent, now_ms, event);

    for (;;) {
        switch (action->kind) {
        case KEDGE_ACTION_WAIT:
            port_wait(port, action->wait_until_ms);
            return;
        case KEDGE_ACTION_HTTP_REQUEST:
            port_http_request(port, &action->http);
            break;
        case KEDGE_ACTION_HTTP_ABORT:
            port_http_abort(port);
            break;
        case KEDGE_ACTION_MQTT_PUBLISH:
            port_publish(port, &action->mqtt);
            break;
        case KEDGE_ACTION_REBOOT:
            port_restart(port);
            return;
        }
        action = kedge_agent_step(&port->agent, now_ms, &tick);
    }
}
