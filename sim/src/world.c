/* SPDX-License-Identifier: Apache-2.0 */
#include "world_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROM_MS       120u /* reset to app_main */
#define POWER_OFF_MS 300u
#define CHUNK_BYTES  1460u
#define BLACKOUT_MS  500u /* from the start of a trial */

static uint64_t world_now(void *ctx)
{
    return ((struct sim_world *)ctx)->now_ms;
}

static void world_log(void *ctx, const char *id, enum kedge_log_level level, const char *event,
                      const char *text)
{
    struct sim_world *world = ctx;

    (void)id;
    (void)level;
    if (world->config.trace) {
        fprintf(stderr, "%8llu ms op %4llu  %s %s\n", (unsigned long long)world->now_ms,
                (unsigned long long)sim_flash_ops(sim_board_flash(world->board)), event, text);
    }
}

struct sim_world *sim_world_create(const struct sim_world_config *config)
{
    struct sim_world *world = host_calloc(1, sizeof *world);
    struct sim_board_config board = {
        .id = "board",
        .chip_id = KEDGE_CHIP_ESP32,
        .chip_rev_full = 300,
        .rollback = true,
        .anti_rollback = config->anti_rollback,
        .encrypted = config->encrypted,
        .old_bootloader = config->old_bootloader,
        .idf = config->idf,
        .table = config->table,
        .seed = config->seed,
        .now_ms = world_now,
        .log = world_log,
        .ctx = world,
    };

    world->config = *config;
    world->blackouts = config->blackouts;
    world->rots = config->bitrot;
    world->board = sim_board_create(&board);
    const struct sim_layout *layout = sim_board_layout(world->board);

    if (sim_board_program(world->board, config->factory) != KEDGE_OK || layout->slot_count < 2 ||
        layout->otadata.size == 0 || layout->slots[1].size < config->factory.len ||
        layout->fleet.size < KEDGE_STORE_SECTOR_COUNT * KEDGE_STORE_SECTOR_SIZE) {
        sim_world_destroy(world);
        return NULL;
    }
    return world;
}

void sim_world_destroy(struct sim_world *world)
{
    if (world != NULL) {
        sim_board_destroy(world->board);
        free(world);
    }
}

void sim_world_offer(struct sim_world *world, const struct sim_world_release *release,
                     bool stubborn)
{
    world->release = release;
    world->stubborn = stubborn;
}

void sim_world_outage(struct sim_world *world, bool server_down, bool broker_down)
{
    world->server_down = server_down;
    world->broker_down = broker_down;
}

void sim_world_break_after(struct sim_world *world, uint32_t body_bytes)
{
    world->break_after = body_bytes;
}

void sim_world_on_power_on(struct sim_world *world, void (*fn)(void *ctx, struct sim_board *board),
                           void *ctx)
{
    world->on_power_on = fn;
    world->on_power_on_ctx = ctx;
}

struct sim_board *sim_world_board(const struct sim_world *world)
{
    return world->board;
}

const struct sim_world_reports *sim_world_reports(const struct sim_world *world)
{
    return &world->reports;
}

const char *sim_world_violation(const struct sim_world *world)
{
    return world->violation;
}

uint64_t sim_world_now_ms(const struct sim_world *world)
{
    return world->now_ms;
}

bool sim_world_has_fallback(const struct sim_world *world)
{
    const struct sim_bootloader bootloader = {.chip_id = KEDGE_CHIP_ESP32, .chip_rev_full = 300};
    int slot = 1 - sim_board_status(world->board)->running_slot;

    return sim_image_verify(sim_board_flash(world->board),
                            sim_board_layout(world->board)->slots[slot], &bootloader,
                            NULL) == KEDGE_OK;
}

void world_violate(struct sim_world *world, const char *what)
{
    if (world->violation == NULL) {
        world->violation = what;
    }
}

/* ---- the device's side ---- */

static void carry_out(struct sim_world *world, const struct kedge_action *action)
{
    switch (action->kind) {
    case KEDGE_ACTION_WAIT:
        world->wait_until_ms = action->wait_until_ms;
        return;
    case KEDGE_ACTION_HTTP_REQUEST:
        world_open_request(world, &action->http);
        return;
    case KEDGE_ACTION_HTTP_ABORT:
        world->reply = REPLY_NONE;
        return;
    case KEDGE_ACTION_MQTT_PUBLISH:
        world->ack_token = action->mqtt.token;
        world->ack_ms = world->now_ms + ROUND_TRIP_MS;
        return;
    case KEDGE_ACTION_REBOOT:
        sim_board_reset(world->board, KEDGE_RESET_SW);
        return;
    }
}

static bool app_is_alive(const struct sim_world *world)
{
    return sim_board_has_power(world->board) &&
           sim_board_status(world->board)->state == SIM_BOARD_RUNNING;
}

static void end_app(struct sim_world *world)
{
    world->app_runs = false;
    world->hangs = false;
    world->mqtt_up = false;
    world->ack_token = 0;
    world->reply = REPLY_NONE;
}

/* Events go in until the agent waits, restarts, or loses its power under its hands. */
static void deliver(struct sim_world *world, const struct kedge_event *event)
{
    static const struct kedge_event tick = {.kind = KEDGE_EVENT_TICK};

    for (;;) {
        const struct kedge_action *action = kedge_agent_step(&world->agent, world->now_ms, event);

        if (!sim_board_has_power(world->board)) {
            sim_board_power_off(world->board);
            end_app(world);
            return;
        }
        if (world->agent.journal.data.restarts > 0) {
            world_violate(world, "the slot held other bytes than were offered");
        }
        carry_out(world, action);
        if (!app_is_alive(world)) {
            end_app(world);
            return;
        }
        if (action->kind == KEDGE_ACTION_WAIT) {
            return;
        }
        event = &tick;
    }
}

static void deliver_kind(struct sim_world *world, enum kedge_event_kind kind)
{
    struct kedge_event event = {.kind = kind};

    if (world->app_runs) {
        deliver(world, &event);
    }
}

/* What must hold at every boot, whatever was cut before. */
static void check_boot(struct sim_world *world)
{
    const struct sim_board_status *status = sim_board_status(world->board);
    const struct kedge_journal_data *data = &world->agent.journal.data;
    const char *running = status->running.version;

    if (world->committed[0] == '\0') {
        snprintf(world->committed, sizeof world->committed, "%s", running); /* the factory image */
    }
    if (!world->config.any_image && strcmp(running, world->committed) != 0 &&
        (world->tried == NULL || strcmp(running, world->tried->version) != 0)) {
        world_violate(world, "neither the committed image nor the one on offer runs");
    }
    if (status->running.secure_version < status->secure_version) {
        world_violate(world, "an image below the anti-rollback floor runs");
    }
    if (data->boot_count <= world->boot_count) {
        world_violate(world, "the journal lost what it held");
    }
    world->boot_count = data->boot_count;
    for (uint32_t i = 0; i < data->bad_count && world->tried != NULL; i++) {
        if (memcmp(data->bad[i], world->tried->sha256, KEDGE_SHA256_SIZE) == 0 &&
            strcmp(running, world->tried->version) == 0) {
            world_violate(world, "an image on the BAD list runs");
        }
    }
}

static void start_app(struct sim_world *world)
{
    struct kedge_config config = {
        .device_id = "board",
        .trial_deadline_ms = world->config.trial_deadline_ms,
        .heap_floor_bytes = 20000,
    };
    struct kedge_plat plat = sim_board_plat(world->board);

    if (kedge_agent_init(&world->agent, &config, &plat) != KEDGE_OK) {
        abort();
    }
    world->app_runs = true;
    world->app_start_ms = world->now_ms;
    deliver_kind(world, KEDGE_EVENT_BOOT);
    if (world->app_runs && !world->agent.dirty) {
        check_boot(world);
    }
    world->blackout_ms = 0;
    if (world->blackouts > 0 && kedge_agent_state(&world->agent) == KEDGE_STATE_TRIAL) {
        world->blackouts--;
        world->blackout_ms = world->now_ms + BLACKOUT_MS;
    }
    deliver_kind(world, KEDGE_EVENT_NET_UP);
}

/* One byte in the middle of the new image changes, where only the bootloader can notice. */
static void decay(struct sim_world *world)
{
    struct sim_flash *flash = sim_board_flash(world->board);
    uint32_t offset = sim_board_layout(world->board)->slots[1].offset + SIM_FLASH_SECTOR_SIZE;
    uint8_t sector[SIM_FLASH_SECTOR_SIZE];

    world->rots = false;
    if (sim_flash_read(flash, offset, sector, sizeof sector) == KEDGE_OK) {
        sector[100] ^= 0x04;
        sim_flash_program(flash, offset, sector, sizeof sector);
    }
}

/* The next boot is the first of the image in ota_1. */
static bool has_switched(const struct sim_world *world)
{
    struct kedge_otadata_record records[2];
    int active;

    if (sim_otadata_read(sim_board_flash(world->board), sim_board_layout(world->board), records) !=
        KEDGE_OK) {
        return false;
    }
    active = kedge_otadata_active(records);
    return active >= 0 && records[active].state == (uint32_t)KEDGE_OTA_NEW &&
           kedge_otadata_slot(records[active].seq, 2) == 1;
}

static void power_up(struct sim_world *world)
{
    bool was_cut = !sim_board_has_power(world->board);

    world->now_ms += was_cut ? POWER_OFF_MS : ROM_MS;
    if (was_cut) {
        sim_flash_power_on(sim_board_flash(world->board));
        if (world->on_power_on != NULL) {
            world->on_power_on(world->on_power_on_ctx, world->board);
        }
    }
    if (world->rots && has_switched(world)) {
        decay(world);
    }
    if (sim_board_boot(world->board) == KEDGE_OK) {
        start_app(world);
    } else if (sim_board_status(world->board)->state == SIM_BOARD_BRICKED) {
        world_violate(world, "bricked: nothing boots");
    } else {
        sim_board_power_off(world->board);
    }
}

/* ---- time ---- */

static void next_reply(struct sim_world *world)
{
    struct kedge_event event = {.kind = KEDGE_EVENT_HTTP_RESPONSE, .response = &world->response};
    uint32_t chunk = world->config.chunk_bytes != 0 ? world->config.chunk_bytes : CHUNK_BYTES;
    uint32_t rest = world->body_end - world->body_at;

    switch (world->reply) {
    case REPLY_NONE:
        return;
    case REPLY_HEAD:
        world->reply = rest > 0 ? REPLY_BODY : REPLY_END;
        break;
    case REPLY_BODY:
        chunk = chunk < rest ? chunk : rest;
        event.kind = KEDGE_EVENT_HTTP_BODY;
        event.bytes = (struct kedge_cspan){world->body.data + world->body_at, chunk};
        world->body_at += chunk;
        world->reports.body_bytes += chunk;
        world->reply = world->body_at == world->body_end ? REPLY_END : REPLY_BODY;
        if (world->break_after != 0 && world->reports.body_bytes % world->break_after < chunk) {
            world->reply = REPLY_FAIL;
        }
        break;
    case REPLY_END:
        event.kind = KEDGE_EVENT_HTTP_END;
        world->reply = REPLY_NONE;
        break;
    case REPLY_FAIL:
        event.kind = KEDGE_EVENT_HTTP_FAILED;
        world->reply = REPLY_NONE;
        break;
    }
    world->reply_ms = world->now_ms + 1u;
    deliver(world, &event);
}

/* What the running firmware does to itself. True when it did something. */
static bool firmware_acts(struct sim_world *world)
{
    struct sim_due due = sim_firmware_due(sim_board_firmware(world->board));
    uint64_t age = world->now_ms - world->app_start_ms;

    if (due.at_ms == SIM_NEVER || age < due.at_ms) {
        return false;
    }
    if (due.hangs && age < due.at_ms + SIM_FIRMWARE_WATCHDOG_MS) {
        world->hangs = true;
        return false;
    }
    sim_board_reset(world->board, due.reason);
    end_app(world);
    return true;
}

static bool broker_reachable(const struct sim_world *world)
{
    return !world->broker_down && !sim_board_firmware(world->board)->no_broker;
}

static void advance(struct sim_world *world)
{
    struct sim_due due = sim_firmware_due(sim_board_firmware(world->board));
    uint64_t next = world->wait_until_ms;
    uint64_t age = world->now_ms - world->app_start_ms;

    if (world->reply != REPLY_NONE && world->reply_ms < next) {
        next = world->reply_ms;
    }
    if (world->ack_token != 0 && world->ack_ms < next) {
        next = world->ack_ms;
    }
    if (world->hangs) {
        next = world->app_start_ms + due.at_ms + SIM_FIRMWARE_WATCHDOG_MS;
    } else if (due.at_ms != SIM_NEVER && due.at_ms > age &&
               world->app_start_ms + due.at_ms < next) {
        next = world->app_start_ms + due.at_ms;
    }
    if (world->blackout_ms != 0 && world->blackout_ms < next) {
        next = world->blackout_ms;
    }
    world->now_ms = next > world->now_ms ? next : world->now_ms + 1u;
}

static void run_app(struct sim_world *world)
{
    if (world->blackout_ms != 0 && world->now_ms >= world->blackout_ms) {
        sim_board_power_off(world->board);
        end_app(world);
        return;
    }
    if (firmware_acts(world)) {
        return;
    }
    if (world->hangs) {
        advance(world);
        return;
    }
    if (world->mqtt_up != broker_reachable(world)) {
        world->mqtt_up = !world->mqtt_up;
        deliver_kind(world, world->mqtt_up ? KEDGE_EVENT_MQTT_UP : KEDGE_EVENT_MQTT_DOWN);
        return;
    }
    if (world->reply != REPLY_NONE && world->reply_ms <= world->now_ms) {
        next_reply(world);
        return;
    }
    if (world->ack_token != 0 && world->ack_ms <= world->now_ms) {
        struct kedge_event event = {.kind = KEDGE_EVENT_MQTT_ACKED, .token = world->ack_token};

        world->ack_token = 0;
        if (world->mqtt_up) {
            deliver(world, &event);
        }
        return;
    }
    if (world->wait_until_ms <= world->now_ms) {
        deliver_kind(world, KEDGE_EVENT_TICK);
        return;
    }
    advance(world);
}

/* A core dump that the agent has yet to see or to deliver. */
static bool owes_dump(const struct sim_world *world)
{
    struct kedge_plat plat = sim_board_plat(world->board);
    struct kedge_crash crash;

    return world->agent.crash.stage != KEDGE_CRASH_OVER && plat.crash->describe(plat.ctx, &crash);
}

static bool is_settled(const struct sim_world *world,
                       bool (*done)(void *ctx, const struct sim_world *world), void *ctx)
{
    return world->app_runs && !world->hangs && world->reply == REPLY_NONE &&
           kedge_agent_state(&world->agent) == KEDGE_STATE_IDLE &&
           world->agent.journal.data.report_count == 0 && !owes_dump(world) &&
           (done == NULL || done(ctx, world));
}

bool sim_world_run(struct sim_world *world, uint64_t limit_ms,
                   bool (*done)(void *ctx, const struct sim_world *world), void *ctx)
{
    uint64_t end = world->now_ms + limit_ms;

    while (world->violation == NULL && world->now_ms < end) {
        if (is_settled(world, done, ctx)) {
            return true;
        }
        if (world->app_runs) {
            run_app(world);
        } else {
            power_up(world);
        }
    }
    return false;
}
