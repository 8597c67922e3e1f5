/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <stdlib.h>
#include <string.h>

#define FLASH_SIZE_BYTES 0x400000u

struct sim_board *sim_board_create(const struct sim_board_config *config)
{
    struct sim_board *board = host_calloc(1, sizeof(*board));
    struct sim_flash_config flash = {.size_bytes = FLASH_SIZE_BYTES,
                                     .encrypted = config->encrypted};

    board->config = *config;
    size_t id_len = strnlen(config->id, sizeof(board->id) - 1);
    memcpy(board->id, config->id, id_len);
    sim_random_seed(&board->random, config->seed, board->id);
    flash.seed = sim_random_u32(&board->random);
    board->flash = sim_flash_create(&flash);
    board->bootloader =
        (struct sim_bootloader){.chip_id = config->chip_id,
                                .chip_rev_full = config->chip_rev_full,
                                .rollback = config->rollback && !config->old_bootloader,
                                .anti_rollback = config->anti_rollback,
                                .secure_boot = config->secure_boot};
    board->next_reset = KEDGE_RESET_POWERON;
    board->rssi_dbm = (int8_t)(-45 - (int)sim_random_below(&board->random, 35));
    board->temperature_mc = 21000 + (int32_t)sim_random_below(&board->random, 17000);
    return board;
}

void sim_board_destroy(struct sim_board *board)
{
    if (board != NULL) {
        sim_flash_destroy(board->flash);
        free(board);
    }
}

/* The first boot encrypts these in place although they are empty, so that they go on reading as FF.
 * Slots without an image it leaves as they are. */
static void encrypt_empty(struct sim_board *board, struct sim_region region)
{
    uint8_t sector[SIM_FLASH_SECTOR_SIZE];
    memset(sector, 0xFF, sizeof(sector));
    for (uint32_t at = 0; board->config.encrypted && at < region.size; at += sizeof(sector)) {
        sim_flash_program(board->flash, region.offset + at, sector, sizeof(sector));
    }
}

enum kedge_err sim_board_program(struct sim_board *board, struct kedge_cspan image)
{
    uint8_t production[KEDGE_PARTITION_TABLE_SIZE];
    struct kedge_cspan table = board->config.table;

    if (table.data == NULL) {
        sim_layout_production_table(production);
        table = (struct kedge_cspan){production, sizeof(production)};
    }
    sim_flash_wipe(board->flash);
    sim_flash_power_on(board->flash);
    sim_flash_program(board->flash, SIM_TABLE_OFFSET, table.data, (uint32_t)table.len);
    enum kedge_err err = sim_layout_read(board->flash, &board->layout);
    if (err != KEDGE_OK) {
        return err;
    }
    if (image.len > board->layout.slots[0].size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    sim_flash_program(board->flash, board->layout.slots[0].offset, image.data, (uint32_t)image.len);
    encrypt_empty(board, board->layout.otadata);
    encrypt_empty(board, board->layout.fleet);
    return KEDGE_OK;
}

struct sim_boot_env board_boot_env(struct sim_board *board)
{
    return (struct sim_boot_env){.flash = board->flash,
                                 .layout = &board->layout,
                                 .bootloader = &board->bootloader,
                                 .secure_version = &board->secure_version};
}

/* The app's own start: what it is going to do stands in its image. */
static void load_firmware(struct sim_board *board, int slot)
{
    static const struct sim_firmware broken = {.hang_at_ms = SIM_NEVER, .restart_at_ms = SIM_NEVER};
    uint8_t payload[SIM_FIRMWARE_TEXT_MAX + sizeof(SIM_FIRMWARE_MAGIC)];
    uint32_t offset = board->layout.slots[slot].offset + KEDGE_IMAGE_PREFIX_SIZE;
    struct kedge_fault fault;

    board->firmware = broken;
    if (sim_flash_read(board->flash, offset, payload, sizeof(payload)) == KEDGE_OK) {
        struct kedge_cspan bytes = {payload, sizeof(payload)};
        if (sim_firmware_parse(bytes, &board->firmware, &fault) != KEDGE_OK) {
            board->firmware = broken;
        }
    }
}

static enum kedge_err run_bootloader(struct sim_board *board, struct sim_boot *boot)
{
    enum kedge_err err = sim_layout_read(board->flash, &board->layout);
    if (err != KEDGE_OK) {
        return err;
    }
    struct sim_boot_env env = board_boot_env(board);
    return sim_boot_run(&env, boot);
}

enum kedge_err sim_board_boot(struct sim_board *board)
{
    struct sim_board_status *status = &board->status;
    struct sim_boot boot;

    if (!sim_flash_has_power(board->flash)) {
        sim_flash_power_on(board->flash);
    }
    status->boots++;
    status->reset_reason = board->next_reset;
    status->resets[board->next_reset]++;
    enum kedge_err err = run_bootloader(board, &boot);
    if (err == KEDGE_OK && boot.slot < 0) {
        err = KEDGE_ERR_NOT_FOUND; /* our table has neither factory nor test app */
    }
    if (err != KEDGE_OK) {
        status->state = err == KEDGE_ERR_IO ? SIM_BOARD_OFF : SIM_BOARD_BRICKED;
        board->next_reset = KEDGE_RESET_POWERON;
        return err;
    }
    status->state = SIM_BOARD_RUNNING;
    status->running_slot = boot.slot;
    status->selected_slot = boot.selected;
    status->running = boot.image.desc;
    status->secure_version = board->secure_version;
    status->booted_at_ms = board->config.now_ms(board->config.ctx);
    load_firmware(board, boot.slot);
    return KEDGE_OK;
}

void sim_board_reset(struct sim_board *board, enum kedge_reset reason)
{
    if (board->status.state == SIM_BOARD_RUNNING) {
        board_write_coredump(board, reason);
    }
    board->status.state = SIM_BOARD_OFF;
    board->next_reset = sim_flash_has_power(board->flash) ? reason : KEDGE_RESET_POWERON;
}

void sim_board_power_off(struct sim_board *board)
{
    sim_flash_power_off(board->flash);
    sim_board_reset(board, KEDGE_RESET_POWERON);
}

bool sim_board_has_power(const struct sim_board *board)
{
    return sim_flash_has_power(board->flash);
}

const char *sim_board_id(const struct sim_board *board)
{
    return board->id;
}

const struct sim_board_status *sim_board_status(const struct sim_board *board)
{
    return &board->status;
}

const struct sim_firmware *sim_board_firmware(const struct sim_board *board)
{
    return &board->firmware;
}

struct kedge_plat sim_board_plat(struct sim_board *board)
{
    return (struct kedge_plat){.slots = &board_slots_ops,
                               .store = &board_store_ops,
                               .system = &board_system_ops,
                               .log = &board_log_ops,
                               .crash = &board_crash_ops,
                               .ctx = board};
}

struct sim_flash *sim_board_flash(struct sim_board *board)
{
    return board->flash;
}

const struct sim_layout *sim_board_layout(const struct sim_board *board)
{
    return &board->layout;
}
