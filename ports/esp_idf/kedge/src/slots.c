/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "compat.h"
#include "esp_app_desc.h"
#include "esp_image_format.h"
#include "esp_ota_ops.h"
#include "esp_system.h"
#include "esp_task_wdt.h"
#include "kedge/otadata.h"
#include "port.h"

/*
 * The agent writes and goes on by sectors, over resets and on ESP-IDF 5.1 too, where esp_ota_resume
 * does not exist and later does not ask whether a trial runs. So esp_ota_begin is called for what
 * it checks and clears, and the bytes go through esp_partition; what verifies and switches is
 * ESP-IDF's own.
 */
#define SECTOR_SIZE 4096u
#define BREATH_SIZE 0x10000u
#define FLASH_ALIGN 16u /* what flash encryption writes at once */

static const esp_partition_t *slot_partition(uint8_t slot)
{
    return slot > 15 ? NULL
                     : esp_partition_find_first(
                           ESP_PARTITION_TYPE_APP,
                           (esp_partition_subtype_t)(ESP_PARTITION_SUBTYPE_APP_OTA_0 + slot), NULL);
}

/* KEDGE_NO_SLOT for the factory app. */
static uint8_t slot_of(const esp_partition_t *partition)
{
    return partition->subtype >= ESP_PARTITION_SUBTYPE_APP_OTA_MIN &&
                   partition->subtype < ESP_PARTITION_SUBTYPE_APP_OTA_MAX
               ? (uint8_t)(partition->subtype - ESP_PARTITION_SUBTYPE_APP_OTA_MIN)
               : KEDGE_NO_SLOT;
}

static bool is_running(const esp_partition_t *partition)
{
    const esp_partition_t *running = esp_ota_get_running_partition();

    return running != NULL && partition->address == running->address;
}

/* ---- what is there ---- */

/* UNDEFINED where there is no record, as ESP-IDF has it for one without rollback. */
static uint32_t state_of(const esp_partition_t *partition)
{
    esp_ota_img_states_t state;

    return partition != NULL && esp_ota_get_state_partition(partition, &state) == ESP_OK
               ? (uint32_t)state
               : (uint32_t)KEDGE_OTA_UNDEFINED;
}

/* What otadata names. Not esp_ota_get_boot_partition: where no record is active it answers with the
 * first slot, as if one were. */
static enum kedge_err read_boot_slot(uint8_t slot_count, uint8_t *boot_slot)
{
    struct kedge_otadata_record records[2];
    uint8_t bytes[KEDGE_OTADATA_RECORD_SIZE];
    const esp_partition_t *otadata =
        esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_OTA, NULL);
    int active;

    if (otadata == NULL || slot_count == 0) {
        return port_err("otadata", ESP_ERR_NOT_FOUND);
    }
    for (size_t i = 0; i < 2; i++) {
        enum kedge_err err =
            port_err("otadata", esp_partition_read(otadata, i * KEDGE_OTADATA_SECTOR_SIZE, bytes,
                                                   sizeof bytes));

        if (err != KEDGE_OK) {
            return err;
        }
        kedge_otadata_parse(bytes, &records[i]);
    }
    active = kedge_otadata_active(records);
    *boot_slot = active < 0 || records[active].seq == 0
                     ? KEDGE_NO_SLOT
                     : (uint8_t)kedge_otadata_slot(records[active].seq, slot_count);
    return KEDGE_OK;
}

/* The descriptor's strings may fill their fields without a NUL. */
static void copy_text(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    out[size] = '\0';
}

static void describe_running(struct kedge_app_desc *out)
{
    const esp_app_desc_t *desc = esp_app_get_description();

    *out = (struct kedge_app_desc){.secure_version = desc->secure_version};
    copy_text(out->version, desc->version, sizeof desc->version);
    copy_text(out->project, desc->project_name, sizeof desc->project_name);
    copy_text(out->time, desc->time, sizeof desc->time);
    copy_text(out->date, desc->date, sizeof desc->date);
    copy_text(out->idf_version, desc->idf_ver, sizeof desc->idf_ver);
    memcpy(out->elf_sha256, desc->app_elf_sha256, sizeof out->elf_sha256);
}

static uint32_t smaller_slot(const esp_partition_t *a, const esp_partition_t *b)
{
    return a->size < b->size ? a->size : b->size;
}

static enum kedge_err slots_describe(void *ctx, struct kedge_boot_facts *facts)
{
    const esp_partition_t *running = esp_ota_get_running_partition();
    const esp_partition_t *slots[2] = {slot_partition(0), slot_partition(1)};
    uint8_t boot_slot;
    enum kedge_err err;

    (void)ctx;
    if (running == NULL || slots[0] == NULL || slots[1] == NULL) {
        return port_err("two slots, ota_0 and ota_1, in the partition table", ESP_ERR_NOT_FOUND);
    }
    err = read_boot_slot((uint8_t)esp_ota_get_app_partition_count(), &boot_slot);
    if (err != KEDGE_OK) {
        return err;
    }
    *facts = (struct kedge_boot_facts){
        .running_slot = slot_of(running),
        .boot_slot = boot_slot,
        .slot_count = 2,
        .slot_size_bytes = smaller_slot(slots[0], slots[1]),
        .running_state = state_of(running),
        .target_state = state_of(slots[slot_of(running) == 0 ? 1 : 0]),
        .reset_reason = (enum kedge_reset)esp_reset_reason(),
        .can_rollback = true, /* compat.c does not build otherwise */
        .min_secure_version = compat_min_secure_version(),
        .chip_id = CONFIG_IDF_FIRMWARE_CHIP_ID,
    };
    describe_running(&facts->running);
    return KEDGE_OK;
}

/* ---- the other slot ---- */

/* The partition of a slot that may be written. */
static enum kedge_err open_slot(uint8_t slot, const esp_partition_t **partition)
{
    *partition = slot_partition(slot);
    if (*partition == NULL) {
        return KEDGE_ERR_RANGE;
    }
    return is_running(*partition) ? KEDGE_ERR_DENIED : KEDGE_OK;
}

/* Verifying reads a whole image in one step of the agent. Every 64 KiB the tasks below get a turn,
 * IDLE and its watchdog among them, and ours is fed: this is progress. */
static void breathe(const struct port *port, uint32_t offset)
{
    if (offset % BREATH_SIZE != 0) {
        return;
    }
    if (port->is_watched) {
        (void)esp_task_wdt_reset();
    }
    vTaskDelay(1);
}

static enum kedge_err slots_read(void *ctx, uint8_t slot, uint32_t offset, void *out, uint32_t len)
{
    const esp_partition_t *partition = slot_partition(slot);

    breathe(ctx, offset);
    return partition == NULL
               ? KEDGE_ERR_RANGE
               : port_err("slot read", esp_partition_read(partition, offset, out, len));
}

static enum kedge_err erase_sector(const esp_partition_t *partition, uint32_t offset)
{
    return port_err("slot erase", esp_partition_erase_range(partition, offset, SECTOR_SIZE));
}

/* From ESP-IDF 5.5 esp_ota_begin erases the record of the image that is about to be overwritten. A
 * power cut in there can leave an ABORTED record in a state that the bootloader starts: by then
 * there is no image any more (docs/esp-idf.md 2.7.4). */
static enum kedge_err begin_image(const esp_partition_t *partition)
{
    esp_ota_handle_t handle;
    enum kedge_err err = erase_sector(partition, 0);

    if (err == KEDGE_OK) {
        err = port_err("esp_ota_begin",
                       esp_ota_begin(partition, OTA_WITH_SEQUENTIAL_WRITES, &handle));
    }
    return err == KEDGE_OK ? port_err("esp_ota_abort", esp_ota_abort(handle)) : err;
}

static enum kedge_err slots_begin(void *ctx, uint8_t slot, uint32_t offset)
{
    const esp_partition_t *partition;
    enum kedge_err err = open_slot(slot, &partition);

    (void)ctx;
    if (err != KEDGE_OK) {
        return err;
    }
    if (offset % SECTOR_SIZE != 0 || offset > partition->size) {
        return KEDGE_ERR_RANGE;
    }
    /* Asked here, too: esp_ota_begin asks, but after the erase. */
    if (state_of(esp_ota_get_running_partition()) == (uint32_t)KEDGE_OTA_PENDING_VERIFY) {
        return KEDGE_ERR_STATE;
    }
    return offset == 0 ? begin_image(partition) : KEDGE_OK;
}

/* The last bytes of an image, padded with FF to what flash encryption writes at once. */
static enum kedge_err write_tail(const esp_partition_t *partition, uint32_t offset,
                                 const uint8_t *data, uint32_t len)
{
    uint8_t block[FLASH_ALIGN];

    if (len == 0) {
        return KEDGE_OK;
    }
    memset(block, 0xFF, sizeof block);
    memcpy(block, data, len);
    return port_err("slot write", esp_partition_write(partition, offset, block, sizeof block));
}

/* Power cut in here: the sector is torn, but beyond what the agent counts as written. */
static enum kedge_err slots_write(void *ctx, uint8_t slot, uint32_t offset, const void *data,
                                  uint32_t len)
{
    const esp_partition_t *partition;
    uint32_t whole = len / FLASH_ALIGN * FLASH_ALIGN;
    enum kedge_err err = open_slot(slot, &partition);

    (void)ctx;
    if (err != KEDGE_OK) {
        return err;
    }
    if (offset % SECTOR_SIZE != 0 || len == 0 || len > SECTOR_SIZE || offset >= partition->size) {
        return KEDGE_ERR_RANGE;
    }
    err = erase_sector(partition, offset);
    if (err == KEDGE_OK && whole > 0) {
        err = port_err("slot write", esp_partition_write(partition, offset, data, whole));
    }
    return err == KEDGE_OK
               ? write_tail(partition, offset + whole, (const uint8_t *)data + whole, len - whole)
               : err;
}

/* What esp_ota_end does, without a handle: after a reset there is none. */
static enum kedge_err slots_finish(void *ctx, uint8_t slot, uint32_t image_size)
{
    const esp_partition_t *partition;
    esp_image_metadata_t found;
    enum kedge_err err = open_slot(slot, &partition);

    (void)ctx;
    if (err != KEDGE_OK) {
        return err;
    }
    const esp_partition_pos_t at = {.offset = partition->address, .size = partition->size};

    memset(&found, 0, sizeof found);
    err = port_err("esp_image_verify", esp_image_verify(ESP_IMAGE_VERIFY, &at, &found));
    return err == KEDGE_OK && found.image_len > image_size ? KEDGE_ERR_MISMATCH : err;
}

/* ---- which image boots ---- */

static enum kedge_err slots_set_boot(void *ctx, uint8_t slot)
{
    const esp_partition_t *partition;
    enum kedge_err err = open_slot(slot, &partition);

    (void)ctx;
    return err == KEDGE_OK
               ? port_err("esp_ota_set_boot_partition", esp_ota_set_boot_partition(partition))
               : err;
}

/* eFuse without a bit left answers INVALID_ARG, after the record was written. */
static enum kedge_err slots_mark_valid(void *ctx)
{
    esp_err_t native = esp_ota_mark_app_valid_cancel_rollback();

    (void)ctx;
    if (native == ESP_ERR_INVALID_ARG) {
        (void)port_err("anti-rollback floor", native);
        return KEDGE_ERR_RANGE;
    }
    return native == ESP_FAIL ? KEDGE_ERR_STATE
                              : port_err("esp_ota_mark_app_valid_cancel_rollback", native);
}

static enum kedge_err slots_restore_record(void *ctx)
{
    const esp_partition_t *running = esp_ota_get_running_partition();
    uint8_t boot_slot;
    enum kedge_err err = read_boot_slot((uint8_t)esp_ota_get_app_partition_count(), &boot_slot);

    if (err != KEDGE_OK) {
        return err;
    }
    if (running == NULL || boot_slot != KEDGE_NO_SLOT) {
        return KEDGE_ERR_STATE;
    }
    err = port_err("esp_ota_set_boot_partition", esp_ota_set_boot_partition(running));
    return err == KEDGE_OK ? slots_mark_valid(ctx) : err;
}

static enum kedge_err slots_mark_invalid(void *ctx)
{
    esp_err_t native = compat_mark_invalid();

    (void)ctx;
    return native == ESP_FAIL ? KEDGE_ERR_STATE
                              : port_err("esp_ota_mark_app_invalid_rollback", native);
}

const struct kedge_plat_slots port_slots = {
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
