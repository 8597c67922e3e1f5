/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <stdlib.h>
#include <string.h>

#include "esp_efuse.h"
#include "esp_image_format.h"
#include "esp_ota_ops.h"
#include "esp_system.h"
#include "kedge/crypto.h"

/* Partitions, app slots and eFuse: ESP-IDF's calls over the simulator's flash and esp_ota model. */

#define ERASE_US 25000u /* per sector, as data sheets have it; a guess for a worn chip */
#define WRITE_US 1000u

static esp_partition_t partitions[KEDGE_PARTITION_MAX_ENTRIES];
static uint32_t partition_count;

/* ---- the table ---- */

static void read_table(void)
{
    uint8_t bytes[KEDGE_PARTITION_TABLE_SIZE];
    static struct kedge_partition_table table;
    struct kedge_fault fault;
    struct kedge_md5 md5;

    if (sim_flash_read(stub_now->flash, SIM_TABLE_OFFSET, bytes, sizeof bytes) != KEDGE_OK ||
        kedge_partition_parse_binary((struct kedge_cspan){bytes, sizeof bytes}, &kedge_md5_ops,
                                     &md5, &table, &fault) != KEDGE_OK) {
        abort();
    }
    for (uint32_t i = 0; i < table.count; i++) {
        const struct kedge_partition *from = &table.entries[i];

        partitions[i] =
            (esp_partition_t){.type = (esp_partition_type_t)from->type,
                              .subtype = (esp_partition_subtype_t)from->subtype,
                              .address = from->offset,
                              .size = from->size,
                              .erase_size = SIM_FLASH_SECTOR_SIZE,
                              .encrypted = (from->flags & KEDGE_PARTITION_ENCRYPTED) != 0};
        memcpy(partitions[i].label, from->name, sizeof from->name);
    }
    partition_count = table.count;
}

void stub_partitions_reset(void)
{
    read_table();
}

esp_partition_t *stub_partition(const char *label)
{
    for (uint32_t i = 0; i < partition_count; i++) {
        if (strcmp(partitions[i].label, label) == 0) {
            return &partitions[i];
        }
    }
    abort();
}

static const esp_partition_t *find(esp_partition_type_t type, esp_partition_subtype_t subtype)
{
    for (uint32_t i = 0; i < partition_count; i++) {
        if (partitions[i].type == type && partitions[i].subtype == subtype) {
            return &partitions[i];
        }
    }
    return NULL;
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
                                                esp_partition_subtype_t subtype, const char *label)
{
    const esp_partition_t *found = find(type, subtype);
    int64_t result;

    (void)label;
    return found != NULL && stub_fault_hits(__func__, found->label, &result) ? NULL : found;
}

/* ---- bytes ---- */

static esp_err_t check_range(const esp_partition_t *partition, size_t offset, size_t size)
{
    if (offset > partition->size) {
        return ESP_ERR_INVALID_ARG;
    }
    return size > partition->size - offset ? ESP_ERR_INVALID_SIZE : ESP_OK;
}

static void check_power(void)
{
    if (!sim_flash_has_power(stub_now->flash)) {
        stub_end_boot(STUB_POWER_CUT, KEDGE_RESET_POWERON);
    }
}

static esp_err_t native(enum kedge_err err)
{
    check_power();
    return err == KEDGE_OK ? ESP_OK : ESP_ERR_FLASH_OP_FAIL;
}

esp_err_t esp_partition_read(const esp_partition_t *partition, size_t src_offset, void *dst,
                             size_t size)
{
    esp_err_t err = check_range(partition, src_offset, size);

    STUB_FAULT_ON(esp_err_t, partition->label);
    return err != ESP_OK
               ? err
               : native(sim_flash_read(stub_now->flash, partition->address + (uint32_t)src_offset,
                                       dst, (uint32_t)size));
}

esp_err_t esp_partition_write(const esp_partition_t *partition, size_t dst_offset, const void *src,
                              size_t size)
{
    esp_err_t err = check_range(partition, dst_offset, size);

    STUB_FAULT_ON(esp_err_t, partition->label);
    stub_spend_us(WRITE_US);
    return err != ESP_OK
               ? err
               : native(sim_flash_write(stub_now->flash, partition->address + (uint32_t)dst_offset,
                                        src, (uint32_t)size));
}

esp_err_t esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size)
{
    esp_err_t err = check_range(partition, offset, size);

    STUB_FAULT_ON(esp_err_t, partition->label);
    if (err == ESP_OK && (offset % SIM_FLASH_SECTOR_SIZE != 0 || size % SIM_FLASH_SECTOR_SIZE)) {
        return ESP_ERR_INVALID_ARG;
    }
    for (size_t at = 0; err == ESP_OK && at < size; at += SIM_FLASH_SECTOR_SIZE) {
        stub_spend_us(ERASE_US);
        err = native(
            sim_flash_erase(stub_now->flash, partition->address + (uint32_t)offset + (uint32_t)at));
    }
    return err;
}

/* ---- slots ---- */

static uint32_t slot_of(const esp_partition_t *partition)
{
    return partition->type == ESP_PARTITION_TYPE_APP
               ? (uint32_t)partition->subtype - (uint32_t)ESP_PARTITION_SUBTYPE_APP_OTA_0
               : UINT32_MAX;
}

static bool has_otadata(void)
{
    return esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_OTA,
                                    NULL) != NULL;
}

const esp_partition_t *esp_ota_get_running_partition(void)
{
    STUB_FAULT_NULL;
    return stub_now->running_slot < 0
               ? find(ESP_PARTITION_TYPE_APP, ESP_PARTITION_SUBTYPE_APP_FACTORY)
               : find(ESP_PARTITION_TYPE_APP,
                      (esp_partition_subtype_t)((int)ESP_PARTITION_SUBTYPE_APP_OTA_0 +
                                                stub_now->running_slot));
}

uint8_t esp_ota_get_app_partition_count(void)
{
    STUB_FAULT(uint8_t);
    return (uint8_t)stub_now->layout.slot_count;
}

/* state: what STATE means for the call. */
static esp_err_t ota_native(enum kedge_err err, esp_err_t state)
{
    static const struct {
        enum kedge_err err;
        esp_err_t code;
    } codes[] = {
        {KEDGE_OK, ESP_OK},
        {KEDGE_ERR_ARG, ESP_ERR_INVALID_ARG},
        {KEDGE_ERR_RANGE, ESP_ERR_INVALID_ARG},
        {KEDGE_ERR_DENIED, ESP_ERR_OTA_PARTITION_CONFLICT},
        {KEDGE_ERR_MISMATCH, ESP_ERR_OTA_VALIDATE_FAILED},
        {KEDGE_ERR_VERSION, ESP_ERR_OTA_SMALL_SEC_VER},
    };

    check_power();
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].err == err) {
            return codes[i].code;
        }
    }
    return err == KEDGE_ERR_STATE ? state : ESP_ERR_FLASH_OP_FAIL;
}

static uint32_t open_handles;

esp_err_t esp_ota_begin(const esp_partition_t *partition, size_t image_size,
                        esp_ota_handle_t *out_handle)
{
    const struct sim_ota ota = stub_ota();
    esp_err_t err;

    STUB_FAULT(esp_err_t);
    if (image_size != OTA_WITH_SEQUENTIAL_WRITES) {
        stub_fail("esp_ota_begin would erase the whole slot at once");
    }
    err = ota_native(sim_ota_begin(&ota, slot_of(partition)), ESP_ERR_OTA_ROLLBACK_INVALID_STATE);
    if (err == ESP_OK) {
        *out_handle = ++open_handles;
    }
    return err;
}

esp_err_t esp_ota_abort(esp_ota_handle_t handle)
{
    STUB_FAULT(esp_err_t);
    if (handle == 0 || handle != open_handles) {
        return ESP_ERR_NOT_FOUND;
    }
    open_handles--;
    return ESP_OK;
}

esp_err_t esp_ota_set_boot_partition(const esp_partition_t *partition)
{
    const struct sim_ota ota = stub_ota();

    STUB_FAULT(esp_err_t);
    if (!has_otadata()) {
        return ESP_ERR_NOT_FOUND;
    }
    return ota_native(sim_ota_set_boot(&ota, slot_of(partition)), ESP_FAIL);
}

esp_err_t esp_ota_get_state_partition(const esp_partition_t *partition,
                                      esp_ota_img_states_t *ota_state)
{
    const struct sim_ota ota = stub_ota();
    uint32_t state;

    STUB_FAULT(esp_err_t);
    if (slot_of(partition) >= SIM_MAX_SLOTS) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    if (sim_ota_get_state(&ota, slot_of(partition), &state) != KEDGE_OK) {
        return ESP_ERR_NOT_FOUND;
    }
    *ota_state = (esp_ota_img_states_t)state;
    return ESP_OK;
}

esp_err_t esp_ota_mark_app_valid_cancel_rollback(void)
{
    const struct sim_ota ota = stub_ota();

    STUB_FAULT(esp_err_t);
    return ota_native(sim_ota_mark_valid(&ota), ESP_FAIL);
}

static esp_err_t mark_invalid(void)
{
    const struct sim_ota ota = stub_ota();
    uint32_t slot;

    if (sim_ota_get_boot_slot(&ota, &slot) != KEDGE_OK) {
        return ESP_FAIL;
    }
    return ota_native(sim_ota_mark_invalid(&ota), ESP_ERR_OTA_ROLLBACK_FAILED);
}

/* ESP-IDF 5.1 has no such function, and its header does not declare it. */
esp_err_t esp_ota_mark_app_invalid_rollback(void);

esp_err_t esp_ota_mark_app_invalid_rollback(void)
{
    STUB_FAULT(esp_err_t);
    return mark_invalid();
}

esp_err_t esp_ota_mark_app_invalid_rollback_and_reboot(void)
{
    esp_err_t err;

    STUB_FAULT(esp_err_t);
    err = mark_invalid();
    if (err == ESP_OK) {
        esp_restart();
    }
    return err;
}

esp_err_t esp_image_verify(esp_image_load_mode_t mode, const esp_partition_pos_t *part,
                           esp_image_metadata_t *data)
{
    const struct sim_region region = {.offset = part->offset, .size = part->size};
    struct kedge_image_info info;
    enum kedge_err err;

    (void)mode;
    STUB_FAULT(esp_err_t);
    err = sim_image_verify(stub_now->flash, region, &stub_now->bootloader, &info);
    if (err != KEDGE_OK) {
        return err == KEDGE_ERR_MISMATCH ? ESP_ERR_IMAGE_INVALID : ESP_ERR_IMAGE_FLASH_FAIL;
    }
    *data = (esp_image_metadata_t){.start_addr = part->offset, .image_len = info.image_len};
    return ESP_OK;
}

uint32_t esp_efuse_read_secure_version(void)
{
    return stub_now->secure_version;
}
