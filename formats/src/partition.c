/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/partition.h"

#include <string.h>

#include "partition_names.h"

#define DEFAULT_TABLE_OFFSET 0x8000u
#define APP_ALIGN            0x10000u
#define SECTOR               0x1000u
#define NVS_WRITABLE_MIN     0x3000u
#define OTADATA_SIZE         0x2000u

struct check {
    const struct kedge_partition_table *table;
    const struct kedge_partition_rules *rules;
    struct kedge_fault *fault;
};

static uint64_t end_of(const struct kedge_partition *entry)
{
    return (uint64_t)entry->offset + entry->size;
}

static bool is_data(const struct kedge_partition *entry, uint8_t subtype)
{
    return entry->type == KEDGE_PARTITION_DATA && entry->subtype == subtype;
}

/* The primary bootloader and the table itself: the only entries below the table's end. */
static bool is_primary(const struct kedge_partition *entry)
{
    return (entry->type == PARTITION_TYPE_BOOTLOADER || entry->type == PARTITION_TYPE_TABLE) &&
           entry->subtype == PARTITION_PRIMARY;
}

static enum kedge_err fail(const struct check *check, uint32_t index, struct kedge_fault fault)
{
    uint32_t line = check->table->entries[index].line;

    if (check->fault != NULL) {
        fault.at = line != 0 ? line : index * KEDGE_PARTITION_ENTRY_SIZE;
        *check->fault = fault;
    }
    return fault.err;
}

static enum kedge_err check_alignment(const struct check *check, uint32_t index)
{
    const struct kedge_partition *entry = &check->table->entries[index];
    bool is_app = entry->type == KEDGE_PARTITION_APP;
    uint32_t offset_align = is_app ? APP_ALIGN : SECTOR;
    uint32_t size_align = check->rules->secure == KEDGE_SECURE_V1 ? APP_ALIGN : SECTOR;

    if (entry->offset % offset_align != 0) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_ALIGN,
                                         .what = "partition offset",
                                         .found = entry->offset,
                                         .expected = offset_align});
    }
    if (is_app && entry->size % size_align != 0) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_ALIGN,
                                         .what = "app partition size",
                                         .found = entry->size,
                                         .expected = size_align});
    }
    return KEDGE_OK;
}

static enum kedge_err check_flags(const struct check *check, uint32_t index)
{
    const struct kedge_partition *entry = &check->table->entries[index];
    bool is_readonly = (entry->flags & KEDGE_PARTITION_READONLY) != 0;

    if (is_readonly && (is_data(entry, KEDGE_PARTITION_DATA_OTA) ||
                        is_data(entry, KEDGE_PARTITION_DATA_COREDUMP))) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_RANGE,
                                         .what = "readonly flag on otadata or coredump",
                                         .found = entry->flags});
    }
    if (!is_readonly && is_data(entry, KEDGE_PARTITION_DATA_NVS) &&
        entry->size < NVS_WRITABLE_MIN) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_RANGE,
                                         .what = "size of a writable nvs partition",
                                         .found = entry->size,
                                         .expected = NVS_WRITABLE_MIN});
    }
    return KEDGE_OK;
}

static enum kedge_err check_name(const struct check *check, uint32_t index)
{
    const struct kedge_partition *entries = check->table->entries;

    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(entries[i].name, entries[index].name) == 0) {
            return fail(check, index,
                        (struct kedge_fault){.err = KEDGE_ERR_DUPLICATE, .what = "partition name"});
        }
    }
    return KEDGE_OK;
}

static enum kedge_err check_place(const struct check *check, uint32_t index)
{
    const struct kedge_partition *entry = &check->table->entries[index];
    uint32_t table_offset =
        check->rules->table_offset != 0 ? check->rules->table_offset : DEFAULT_TABLE_OFFSET;
    uint64_t table_end = (uint64_t)table_offset + PARTITION_TABLE_SECTOR_SIZE;

    if (entry->offset < table_end && !is_primary(entry)) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_OVERLAP,
                                         .what = "partition below the end of the table",
                                         .found = entry->offset,
                                         .expected = (uint32_t)table_end});
    }
    return KEDGE_OK;
}

static enum kedge_err check_overlap(const struct check *check, uint32_t index)
{
    const struct kedge_partition *entries = check->table->entries;

    for (uint32_t i = 0; i < index; i++) {
        bool is_later = entries[index].offset >= entries[i].offset;
        uint32_t upper = is_later ? index : i;
        uint32_t lower = is_later ? i : index;
        if (entries[upper].offset < end_of(&entries[lower])) {
            return fail(check, upper,
                        (struct kedge_fault){.err = KEDGE_ERR_OVERLAP,
                                             .what = "partition offset",
                                             .found = entries[upper].offset,
                                             .expected = (uint32_t)end_of(&entries[lower])});
        }
    }
    return KEDGE_OK;
}

/* otadata, and its counterpart for the TEE: one of each, two sectors. */
static enum kedge_err check_otadata(const struct check *check, uint32_t index)
{
    const struct kedge_partition *entry = &check->table->entries[index];

    if (!is_data(entry, KEDGE_PARTITION_DATA_OTA) && !is_data(entry, PARTITION_DATA_TEE_OTA)) {
        return KEDGE_OK;
    }
    if (kedge_partition_find(check->table, entry->type, entry->subtype) != entry) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_DUPLICATE, .what = "otadata partition"});
    }
    if (entry->size != OTADATA_SIZE) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_RANGE,
                                         .what = "otadata size",
                                         .found = entry->size,
                                         .expected = OTADATA_SIZE});
    }
    return KEDGE_OK;
}

static enum kedge_err check_size(const struct check *check, uint32_t index)
{
    uint64_t end = end_of(&check->table->entries[index]);
    uint64_t limit = check->rules->flash_size_bytes != 0 ? check->rules->flash_size_bytes
                                                         : (uint64_t)UINT32_MAX + 1;

    if (end > limit) {
        return fail(check, index,
                    (struct kedge_fault){.err = KEDGE_ERR_TOO_LARGE,
                                         .what = "partition end, past the flash",
                                         .found = end > UINT32_MAX ? UINT32_MAX : (uint32_t)end,
                                         .expected = (uint32_t)limit});
    }
    return KEDGE_OK;
}

/* In the order in which gen_esp32part.py looks, each over the whole table. */
static enum kedge_err (*const checks[])(const struct check *, uint32_t) = {
    check_alignment, check_flags, check_name, check_place, check_overlap, check_otadata, check_size,
};

enum kedge_err kedge_partition_check(const struct kedge_partition_table *table,
                                     const struct kedge_partition_rules *rules,
                                     struct kedge_fault *fault)
{
    const struct check check = {table, rules, fault};

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        for (uint32_t index = 0; index < table->count; index++) {
            enum kedge_err err = checks[i](&check, index);
            if (err != KEDGE_OK) {
                return err;
            }
        }
    }
    return KEDGE_OK;
}

const struct kedge_partition *kedge_partition_find(const struct kedge_partition_table *table,
                                                   uint8_t type, uint8_t subtype)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->entries[i].type == type && table->entries[i].subtype == subtype) {
            return &table->entries[i];
        }
    }
    return NULL;
}
