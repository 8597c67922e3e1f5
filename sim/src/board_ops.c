/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

/* The agent's platform over the board's flash: what ports/esp_idf does over esp_ota_* calls. */

static struct sim_ota ota_of(struct sim_board *board)
{
    return (struct sim_ota){.env = board_boot_env(board),
                            .idf = board->config.idf,
                            .rollback = board->config.rollback,
                            .running = board->status.running_slot};
}

static uint32_t state_or_undefined(const struct sim_ota *ota, uint32_t slot)
{
    uint32_t state;
    enum kedge_err err = sim_ota_get_state(ota, slot, &state);
    return err == KEDGE_OK ? state : (uint32_t)KEDGE_OTA_UNDEFINED;
}

static uint32_t smallest_slot(const struct sim_layout *layout)
{
    uint32_t size = UINT32_MAX;
    for (uint32_t i = 0; i < layout->slot_count; i++) {
        size = layout->slots[i].size < size ? layout->slots[i].size : size;
    }
    return size;
}

static enum kedge_err slots_describe(void *ctx, struct kedge_boot_facts *facts)
{
    struct sim_board *board = ctx;
    const struct sim_ota ota = ota_of(board);
    uint32_t running = (uint32_t)board->status.running_slot;
    uint32_t boot_slot = KEDGE_NO_SLOT;

    enum kedge_err err = sim_ota_get_boot_slot(&ota, &boot_slot);
    if (err != KEDGE_OK && err != KEDGE_ERR_NOT_FOUND) {
        return err;
    }
    *facts = (struct kedge_boot_facts){
        .running_slot = (uint8_t)running,
        .boot_slot = (uint8_t)boot_slot,
        .slot_count = (uint8_t)board->layout.slot_count,
        .slot_size_bytes = smallest_slot(&board->layout),
        .running_state = state_or_undefined(&ota, running),
        .target_state = state_or_undefined(&ota, 1 - running),
        .reset_reason = board->status.reset_reason,
        .can_rollback = board->config.rollback,
        .min_secure_version = board->bootloader.anti_rollback ? board->secure_version : 0,
        .chip_id = board->bootloader.chip_id,
        .running = board->status.running,
    };
    return KEDGE_OK;
}

static enum kedge_err slots_read(void *ctx, uint8_t slot, uint32_t offset, void *out, uint32_t len)
{
    struct sim_board *board = ctx;
    if (slot >= board->layout.slot_count) {
        return KEDGE_ERR_RANGE;
    }
    struct sim_region region = board->layout.slots[slot];
    if (len > region.size || offset > region.size - len) {
        return KEDGE_ERR_RANGE;
    }
    return sim_flash_read(board->flash, region.offset + offset, out, len);
}

static bool is_running(const struct sim_board *board, uint8_t slot)
{
    return slot == board->status.running_slot;
}

/* First no image, then no record: esp_ota_begin erases the record, and torn it may become one that
 * the bootloader takes for good. */
static enum kedge_err begin_anew(struct sim_board *board, const struct sim_ota *ota, uint8_t slot)
{
    if (slot >= board->layout.slot_count || is_running(board, slot)) {
        return KEDGE_ERR_DENIED;
    }
    enum kedge_err err = sim_flash_erase(board->flash, board->layout.slots[slot].offset);
    return err == KEDGE_OK ? sim_ota_begin(ota, slot) : err;
}

/* esp_ota_resume does not look whether the running image is on trial; a port has to. */
static enum kedge_err slots_begin(void *ctx, uint8_t slot, uint32_t offset)
{
    struct sim_board *board = ctx;
    const struct sim_ota ota = ota_of(board);
    if (state_or_undefined(&ota, (uint32_t)ota.running) == KEDGE_OTA_PENDING_VERIFY) {
        return KEDGE_ERR_STATE;
    }
    if (offset == 0) {
        return begin_anew(board, &ota, slot);
    }
    if (offset % SIM_FLASH_SECTOR_SIZE != 0 || offset > smallest_slot(&board->layout)) {
        return KEDGE_ERR_RANGE;
    }
    return sim_ota_resume(&ota, slot);
}

static enum kedge_err slots_write(void *ctx, uint8_t slot, uint32_t offset, const void *data,
                                  uint32_t len)
{
    struct sim_board *board = ctx;
    const struct sim_ota ota = ota_of(board);
    return is_running(board, slot) ? KEDGE_ERR_DENIED
                                   : sim_ota_write_sector(&ota, slot, offset, data, len);
}

static enum kedge_err slots_finish(void *ctx, uint8_t slot, uint32_t image_size)
{
    struct sim_board *board = ctx;
    struct kedge_image_info info;

    if (slot >= board->layout.slot_count || is_running(board, slot)) {
        return KEDGE_ERR_DENIED;
    }
    enum kedge_err err =
        sim_image_verify(board->flash, board->layout.slots[slot], &board->bootloader, &info);
    if (err == KEDGE_OK && info.image_len > image_size) {
        err = KEDGE_ERR_MISMATCH;
    }
    return err;
}

/* On v5.x, naming the running slot overwrites the fallback's record (docs/esp-idf.md 2.7.7). */
static enum kedge_err slots_set_boot(void *ctx, uint8_t slot)
{
    struct sim_board *board = ctx;
    const struct sim_ota ota = ota_of(board);
    return is_running(board, slot) ? KEDGE_ERR_DENIED : sim_ota_set_boot(&ota, slot);
}

static enum kedge_err slots_restore_record(void *ctx)
{
    struct sim_board *board = ctx;
    const struct sim_ota ota = ota_of(board);
    uint32_t slot;
    enum kedge_err err = sim_ota_get_boot_slot(&ota, &slot);

    if (err != KEDGE_ERR_NOT_FOUND) {
        return err == KEDGE_OK ? KEDGE_ERR_STATE : err;
    }
    err = sim_ota_set_boot(&ota, (uint32_t)board->status.running_slot);
    return err == KEDGE_OK ? sim_ota_mark_valid(&ota) : err;
}

static enum kedge_err slots_mark_valid(void *ctx)
{
    const struct sim_ota ota = ota_of(ctx);
    return sim_ota_mark_valid(&ota);
}

static enum kedge_err slots_mark_invalid(void *ctx)
{
    const struct sim_ota ota = ota_of(ctx);
    return sim_ota_mark_invalid(&ota);
}

const struct kedge_plat_slots board_slots_ops = {
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

static bool store_holds(uint32_t offset, uint32_t len)
{
    uint32_t size = KEDGE_STORE_SECTOR_COUNT * KEDGE_STORE_SECTOR_SIZE;
    return len <= size && offset <= size - len;
}

static enum kedge_err store_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    struct sim_board *board = ctx;
    return store_holds(offset, len)
               ? sim_flash_read(board->flash, board->layout.fleet.offset + offset, out, len)
               : KEDGE_ERR_RANGE;
}

static enum kedge_err store_write(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
    struct sim_board *board = ctx;
    return store_holds(offset, len)
               ? sim_flash_write(board->flash, board->layout.fleet.offset + offset, data, len)
               : KEDGE_ERR_RANGE;
}

static enum kedge_err store_erase(void *ctx, uint32_t sector)
{
    struct sim_board *board = ctx;
    return sector < KEDGE_STORE_SECTOR_COUNT
               ? sim_flash_erase(board->flash,
                                 board->layout.fleet.offset + sector * KEDGE_STORE_SECTOR_SIZE)
               : KEDGE_ERR_RANGE;
}

const struct kedge_plat_store board_store_ops = {
    .read = store_read, .write = store_write, .erase = store_erase};

static uint32_t system_random(void *ctx)
{
    struct sim_board *board = ctx;
    return sim_random_u32(&board->random);
}

static void system_vitals(void *ctx, struct kedge_vitals *out)
{
    struct sim_board *board = ctx;
    uint64_t now_ms = board->config.now_ms(board->config.ctx);
    uint64_t heap = sim_firmware_free_heap(&board->firmware, now_ms - board->status.booted_at_ms);
    int32_t drift_mc = (int32_t)sim_random_below(&board->random, 1000) - 500;

    *out = (struct kedge_vitals){
        .free_heap_bytes = (uint32_t)heap,
        .min_free_heap_bytes = (uint32_t)(heap - heap / 16),
        .largest_block_bytes = (uint32_t)(heap - heap / 4),
        .rssi_dbm = (int8_t)(board->rssi_dbm + (int)sim_random_below(&board->random, 7) - 3),
        .has_temperature = true,
        .temperature_mc = board->temperature_mc + drift_mc,
        .storage_ok = !board->firmware.storage_broken,
        .unix_s = board->config.unix_s == NULL ? 0 : board->config.unix_s(board->config.ctx),
    };
}

static enum kedge_self_test system_self_test(void *ctx)
{
    struct sim_board *board = ctx;
    return board->firmware.self_test_fails ? KEDGE_SELF_TEST_FAILED : KEDGE_SELF_TEST_PASSED;
}

const struct kedge_plat_system board_system_ops = {
    .random = system_random, .vitals = system_vitals, .self_test = system_self_test};

static void log_write(void *ctx, enum kedge_log_level level, const char *event, const char *text)
{
    struct sim_board *board = ctx;
    if (board->config.log != NULL) {
        board->config.log(board->config.ctx, board->id, level, event, text);
    }
}

const struct kedge_plat_log board_log_ops = {.write = log_write};
