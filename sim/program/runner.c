/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/fs.h"
#include "host/log.h"
#include "sim/random.h"

#define CHIP_REVISION    300u
#define ROM_TIME_MS      100u
#define POWER_BACK_MS    300u
#define SPREAD_PER_BOARD 25u /* ms between two boards at the start, on average */
#define RANDOM_WINDOW_MS 2000u
#define RANDOM_MAX_OPS   64u
#define PATH_MAX_BYTES   512u
#define FLASH_FILE_MODE  0644u

struct unit {
    struct runner *runner;
    struct sim_board *board;
    struct kedge_plat plat;
    struct kedge_config agent;
    struct kedge_posix_config config;
    struct kedge_posix_device *device; /* owned; NULL while nothing runs */
    struct kedge_posix_stats stats;
    struct host_timer boot_timer;
    struct host_timer mishap_timer; /* what the firmware does to itself */
    struct host_timer cut_timer;
    bool is_hung;
    bool is_switched_off;
    char last_version[KEDGE_DESC_STRING_SIZE]; /* that ran before this boot */
    int last_slot;
    char cert_file[PATH_MAX_BYTES], key_file[PATH_MAX_BYTES];
};

struct runner {
    struct host_loop *loop;
    const struct runner_config *config;
    struct kedge_posix_net *net;
    struct sim_random random;
    char ca_file[PATH_MAX_BYTES];
    size_t count;
    struct unit **units;
};

static void arm(struct unit *unit, struct host_timer *timer, uint64_t delay_ms)
{
    struct host_loop *loop = unit->runner->loop;
    host_loop_arm(loop, timer, host_loop_now_ms(loop) + delay_ms);
}

/* ---- power cycles ---- */

static void stop(struct unit *unit)
{
    struct host_loop *loop = unit->runner->loop;
    kedge_posix_device_destroy(unit->device);
    unit->device = NULL;
    unit->is_hung = false;
    host_loop_disarm(loop, &unit->mishap_timer);
    host_loop_disarm(loop, &unit->boot_timer);
}

static void reset(struct unit *unit, enum kedge_reset reason)
{
    stop(unit);
    sim_board_reset(unit->board, reason);
    arm(unit, &unit->boot_timer, ROM_TIME_MS);
}

static void lose_power(struct unit *unit)
{
    host_log(HOST_LOG_INFO, "power_cut", "device=%s flash_ops=%llu", sim_board_id(unit->board),
             (unsigned long long)sim_flash_ops(sim_board_flash(unit->board)));
    stop(unit);
    host_loop_disarm(unit->runner->loop, &unit->cut_timer);
    sim_board_power_off(unit->board);
    if (!unit->is_switched_off) {
        arm(unit, &unit->boot_timer, POWER_BACK_MS);
    }
}

static void after_step(void *ctx)
{
    struct unit *unit = ctx;
    if (!sim_board_has_power(unit->board)) {
        lose_power(unit);
    }
}

static void on_reboot(void *ctx)
{
    reset(ctx, KEDGE_RESET_SW);
}

static void on_mishap(void *ctx)
{
    struct unit *unit = ctx;
    struct sim_due due = sim_firmware_due(sim_board_firmware(unit->board));
    if (due.hangs && !unit->is_hung) {
        unit->is_hung = true;
        kedge_posix_device_freeze(unit->device);
        arm(unit, &unit->mishap_timer, SIM_FIRMWARE_WATCHDOG_MS);
        return;
    }
    host_log(HOST_LOG_INFO, "crash", "device=%s version=%s reset=%s", sim_board_id(unit->board),
             sim_board_status(unit->board)->running.version, kedge_reset_text(due.reason));
    reset(unit, due.reason);
}

static void start_agent(struct unit *unit)
{
    const struct sim_firmware *firmware = sim_board_firmware(unit->board);
    struct sim_due due = sim_firmware_due(firmware);

    unit->config.no_broker = firmware->no_broker;
    unit->config.no_server = firmware->no_server;
    enum kedge_err err = kedge_posix_device_create(unit->runner->net, &unit->config, &unit->device);
    if (err != KEDGE_OK) {
        host_log(HOST_LOG_ERROR, "agent_failed", "device=%s reason=\"%s\"",
                 sim_board_id(unit->board), kedge_err_text(err));
        return;
    }
    if (due.at_ms != SIM_NEVER) {
        arm(unit, &unit->mishap_timer, due.at_ms);
    }
}

/* The bootloader went back: another slot runs than before, and the record of the last one says why.
 */
static bool has_rolled_back(struct unit *unit, const struct kedge_boot_facts *facts)
{
    return unit->last_version[0] != '\0' && unit->last_slot != facts->running_slot &&
           (facts->target_state == KEDGE_OTA_ABORTED || facts->target_state == KEDGE_OTA_INVALID);
}

static void log_boot(struct unit *unit)
{
    const struct sim_board_status *status = sim_board_status(unit->board);
    struct kedge_boot_facts facts;

    if (unit->plat.slots->describe(unit->plat.ctx, &facts) != KEDGE_OK) {
        return;
    }
    host_log(HOST_LOG_INFO, "boot", "device=%s slot=%d version=%s state=%s reset=%s boots=%u",
             sim_board_id(unit->board), status->running_slot, status->running.version,
             kedge_ota_state_text(facts.running_state), kedge_reset_text(status->reset_reason),
             status->boots);
    if (has_rolled_back(unit, &facts)) {
        host_log(HOST_LOG_WARN, "rollback", "device=%s from=%s to=%s state=%s",
                 sim_board_id(unit->board), unit->last_version, status->running.version,
                 kedge_ota_state_text(facts.target_state));
    }
    unit->last_slot = status->running_slot;
    memcpy(unit->last_version, status->running.version, sizeof(unit->last_version));
}

static void on_boot(void *ctx)
{
    struct unit *unit = ctx;
    enum kedge_err err = sim_board_boot(unit->board);
    if (err == KEDGE_ERR_IO) {
        lose_power(unit);
        return;
    }
    if (err != KEDGE_OK) {
        host_log(HOST_LOG_ERROR, "bricked", "device=%s reason=\"%s\"", sim_board_id(unit->board),
                 kedge_err_text(err));
        return;
    }
    log_boot(unit);
    start_agent(unit);
}

static void on_cut(void *ctx)
{
    lose_power(ctx);
}

void unit_cut(struct unit *unit)
{
    if (!unit->is_switched_off) {
        lose_power(unit);
    }
}

void unit_cut_at_op(struct unit *unit, uint64_t nth)
{
    struct sim_cut cut = {.nth = nth, .tear = SIM_TEAR_SEEDED};
    sim_flash_cut(sim_board_flash(unit->board), &cut);
}

void unit_set_power(struct unit *unit, bool on)
{
    bool was_off = unit->is_switched_off;
    unit->is_switched_off = !on;
    if (!on && !was_off) {
        lose_power(unit);
    }
    if (on && was_off) {
        arm(unit, &unit->boot_timer, ROM_TIME_MS);
    }
}

/* Either at a moment, or in a flash operation, which needs a moment of its own in case the board
 * does not write. */
static void cut_randomly(struct unit *unit)
{
    struct sim_random *random = &unit->runner->random;
    uint64_t moment_ms = sim_random_below(random, RANDOM_WINDOW_MS);
    if (sim_random_below(random, 2) == 0) {
        struct sim_cut cut = {.nth = 1 + sim_random_below(random, RANDOM_MAX_OPS)};
        cut.tear = (enum sim_tear)sim_random_below(random, SIM_TEAR_COUNT);
        cut.detail = sim_random_below(random, SIM_FLASH_SECTOR_SIZE);
        sim_flash_cut(sim_board_flash(unit->board), &cut);
        moment_ms = RANDOM_WINDOW_MS;
    }
    arm(unit, &unit->cut_timer, moment_ms);
}

size_t runner_cut_random(struct runner *runner, size_t count)
{
    size_t *running = host_calloc(runner->count + 1, sizeof(*running));
    size_t left = 0, cut = 0;
    for (size_t i = 0; i < runner->count; i++) {
        if (runner->units[i]->device != NULL) {
            running[left++] = i;
        }
    }
    for (; cut < count && left > 0; cut++) {
        size_t pick = sim_random_below(&runner->random, (uint32_t)left);
        cut_randomly(runner->units[running[pick]]);
        running[pick] = running[--left];
    }
    free(running);
    return cut;
}

/* ---- the fleet ---- */

static uint64_t board_now_ms(void *ctx)
{
    return host_loop_now_ms(((struct runner *)ctx)->loop);
}

static int64_t board_unix_s(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

static void board_log(void *ctx, const char *id, enum kedge_log_level level, const char *event,
                      const char *text)
{
    static const enum host_log_level levels[] = {[KEDGE_LOG_NONE] = HOST_LOG_DEBUG,
                                                 [KEDGE_LOG_ERROR] = HOST_LOG_ERROR,
                                                 [KEDGE_LOG_WARN] = HOST_LOG_WARN,
                                                 [KEDGE_LOG_INFO] = HOST_LOG_INFO,
                                                 [KEDGE_LOG_DEBUG] = HOST_LOG_DEBUG};
    (void)ctx;
    host_log(levels[level], event, "device=%s text=\"%s\"", id, text);
}

static struct sim_board *make_board(struct runner *runner, const char *id)
{
    return sim_board_create(&(struct sim_board_config){.id = id,
                                                       .chip_id = runner->config->chip_id,
                                                       .chip_rev_full = CHIP_REVISION,
                                                       .rollback = true,
                                                       .idf = SIM_IDF_5_5,
                                                       .seed = runner->config->seed,
                                                       .now_ms = board_now_ms,
                                                       .unix_s = board_unix_s,
                                                       .log = board_log,
                                                       .ctx = runner});
}

static void fill_config(struct unit *unit)
{
    const struct runner_config *config = unit->runner->config;
    unit->agent = config->agent;
    unit->agent.device_id = sim_board_id(unit->board);
    unit->plat = sim_board_plat(unit->board);
    unit->config = (struct kedge_posix_config){.agent = &unit->agent,
                                               .plat = &unit->plat,
                                               .server_url = config->server_url,
                                               .broker_host = config->broker_host,
                                               .broker_port = config->broker_port,
                                               .ca_file = unit->runner->ca_file,
                                               .cert_file = unit->cert_file,
                                               .key_file = unit->key_file,
                                               .stats = &unit->stats,
                                               .on_reboot = on_reboot,
                                               .after_step = after_step,
                                               .ctx = unit};
}

static enum kedge_err fill_paths(struct unit *unit)
{
    struct host_buf name;
    char dir[PATH_MAX_BYTES];
    enum kedge_err err = host_fs_join(dir, sizeof(dir), unit->runner->config->pki_dir, "devices");
    host_buf_init(&name, KEDGE_DEVICE_ID_SIZE + 4);
    host_buf_printf(&name, "%s.crt", sim_board_id(unit->board));
    if (err == KEDGE_OK) {
        err = host_fs_join(unit->cert_file, sizeof(unit->cert_file), dir, host_buf_text(&name));
    }
    host_buf_reset(&name);
    host_buf_printf(&name, "%s.key", sim_board_id(unit->board));
    if (err == KEDGE_OK) {
        err = host_fs_join(unit->key_file, sizeof(unit->key_file), dir, host_buf_text(&name));
    }
    host_buf_free(&name);
    return err;
}

static enum kedge_err flash_path(const struct unit *unit, char *path, size_t size)
{
    struct host_buf name;
    host_buf_init(&name, KEDGE_DEVICE_ID_SIZE + 4);
    host_buf_printf(&name, "%s.bin", sim_board_id(unit->board));
    enum kedge_err err =
        host_fs_join(path, size, unit->runner->config->flash_dir, host_buf_text(&name));
    host_buf_free(&name);
    return err;
}

/* A raw copy of the chip without the erased end, as esptool reads one. */
static enum kedge_err load_flash(struct unit *unit)
{
    struct sim_flash *flash = sim_board_flash(unit->board);
    char path[PATH_MAX_BYTES];
    struct host_buf bytes;
    if (unit->runner->config->flash_dir == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    enum kedge_err err = flash_path(unit, path, sizeof(path));
    if (err != KEDGE_OK) {
        return err;
    }
    host_buf_init(&bytes, sim_flash_size(flash));
    err = host_fs_read(path, &bytes);
    if (err == KEDGE_OK) {
        sim_flash_wipe(flash);
        sim_flash_program(flash, 0, bytes.data, (uint32_t)bytes.len);
    }
    host_buf_free(&bytes);
    return err;
}

static uint32_t used_size(const struct sim_flash *flash, uint8_t *sector)
{
    uint32_t used = 0;
    for (uint32_t at = 0; at < sim_flash_size(flash); at += SIM_FLASH_SECTOR_SIZE) {
        if (sim_flash_read(flash, at, sector, SIM_FLASH_SECTOR_SIZE) == KEDGE_OK &&
            (sector[0] != 0xFF || memcmp(sector, sector + 1, SIM_FLASH_SECTOR_SIZE - 1) != 0)) {
            used = at + SIM_FLASH_SECTOR_SIZE;
        }
    }
    return used;
}

/* Without fsync: forty chips of a simulation are not worth seconds of waiting for the disk. */
static enum kedge_err write_file(const char *path, const uint8_t *bytes, uint32_t len)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return KEDGE_ERR_IO;
    }
    bool written = fwrite(bytes, 1, len, file) == len;
    return fclose(file) == 0 && written ? KEDGE_OK : KEDGE_ERR_IO;
}

static enum kedge_err save_flash(const struct unit *unit)
{
    struct sim_flash *flash = sim_board_flash(unit->board);
    char path[PATH_MAX_BYTES];
    enum kedge_err err = flash_path(unit, path, sizeof(path));
    if (err != KEDGE_OK) {
        return err;
    }
    sim_flash_power_on(flash);
    uint8_t *bytes = host_alloc(sim_flash_size(flash));
    uint32_t used = used_size(flash, bytes);
    err = sim_flash_read(flash, 0, bytes, used);
    if (err == KEDGE_OK) {
        err = write_file(path, bytes, used);
    }
    free(bytes);
    return err;
}

static void destroy_unit(struct unit *unit)
{
    stop(unit);
    host_loop_disarm(unit->runner->loop, &unit->cut_timer);
}

static void free_unit(struct unit *unit)
{
    sim_board_destroy(unit->board);
    free(unit);
}

enum kedge_err runner_add(struct runner *runner, const char *id, struct kedge_cspan image)
{
    if (runner_find(runner, id) != NULL) {
        return KEDGE_ERR_DUPLICATE;
    }
    struct unit *unit = host_calloc(1, sizeof(*unit));
    unit->runner = runner;
    unit->board = make_board(runner, id);
    unit->boot_timer = (struct host_timer){.fire = on_boot, .ctx = unit};
    unit->mishap_timer = (struct host_timer){.fire = on_mishap, .ctx = unit};
    unit->cut_timer = (struct host_timer){.fire = on_cut, .ctx = unit};
    fill_config(unit);
    enum kedge_err err = fill_paths(unit);
    if (err == KEDGE_OK) {
        err = load_flash(unit);
    }
    if (err == KEDGE_ERR_NOT_FOUND) {
        err = sim_board_program(unit->board, image);
    }
    if (err != KEDGE_OK) {
        free_unit(unit);
        return err;
    }
    runner->units = host_realloc(runner->units, (runner->count + 1) * sizeof(*runner->units));
    runner->units[runner->count++] = unit;
    return KEDGE_OK;
}

struct runner *runner_create(struct host_loop *loop, const struct runner_config *config)
{
    struct runner *runner = host_calloc(1, sizeof(*runner));
    runner->loop = loop;
    runner->config = config;
    runner->net = kedge_posix_net_create(loop);
    sim_random_seed(&runner->random, config->seed, "runner");
    if (host_fs_join(runner->ca_file, sizeof(runner->ca_file), config->pki_dir, "ca.crt") !=
        KEDGE_OK) {
        runner_destroy(runner);
        return NULL;
    }
    return runner;
}

void runner_destroy(struct runner *runner)
{
    if (runner == NULL) {
        return;
    }
    for (size_t i = 0; i < runner->count; i++) {
        destroy_unit(runner->units[i]);
    }
    kedge_posix_net_destroy(runner->net); /* frees the devices, which borrow from the units */
    for (size_t i = 0; i < runner->count; i++) {
        free_unit(runner->units[i]);
    }
    free(runner->units);
    free(runner);
}

void runner_start(struct runner *runner)
{
    uint32_t spread_ms = (uint32_t)runner->count * SPREAD_PER_BOARD + 1;
    for (size_t i = 0; i < runner->count; i++) {
        arm(runner->units[i], &runner->units[i]->boot_timer,
            sim_random_below(&runner->random, spread_ms));
    }
}

enum kedge_err runner_save(struct runner *runner)
{
    if (runner->config->flash_dir == NULL) {
        return KEDGE_OK;
    }
    enum kedge_err first = host_fs_make_dirs(runner->config->flash_dir, 0755);
    for (size_t i = 0; i < runner->count && first == KEDGE_OK; i++) {
        first = save_flash(runner->units[i]);
    }
    return first;
}

size_t runner_count(const struct runner *runner)
{
    return runner->count;
}

struct unit *runner_unit(struct runner *runner, size_t index)
{
    return runner->units[index];
}

struct unit *runner_find(struct runner *runner, const char *id)
{
    for (size_t i = 0; i < runner->count; i++) {
        if (strcmp(sim_board_id(runner->units[i]->board), id) == 0) {
            return runner->units[i];
        }
    }
    return NULL;
}

struct host_loop *runner_loop(struct runner *runner)
{
    return runner->loop;
}

void unit_look(const struct unit *unit, struct unit_view *view)
{
    const struct sim_board_status *status = sim_board_status(unit->board);
    *view = (struct unit_view){
        .id = sim_board_id(unit->board),
        .agent_state =
            unit->device == NULL ? "off" : kedge_state_text(kedge_posix_device_state(unit->device)),
        .is_powered = sim_board_has_power(unit->board) && !unit->is_switched_off,
        .is_bricked = status->state == SIM_BOARD_BRICKED,
        .board = status,
        .stats = &unit->stats,
        .flash_ops = sim_flash_ops(sim_board_flash(unit->board)),
    };
}
