/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kedge/crypto.h"
#include "partitions.h"

#define FLASH_SIZE    0x400000u
#define TYPE_FLEET    0x40u
#define SUBTYPE_FLEET 0x00u

void sim_layout_production_table(uint8_t out[KEDGE_PARTITION_TABLE_SIZE])
{
    const struct kedge_partition_rules rules = {.table_offset = SIM_TABLE_OFFSET,
                                                .flash_size_bytes = FLASH_SIZE,
                                                .secure = KEDGE_SECURE_V2};
    struct kedge_partition_table table;
    struct kedge_fault fault = {0};
    struct kedge_md5 md5;
    struct kedge_span span = {.data = out, .len = KEDGE_PARTITION_TABLE_SIZE};

    enum kedge_err err = kedge_partition_parse_csv(sim_partitions_csv, strlen(sim_partitions_csv),
                                                   &rules, &table, &fault);
    if (err == KEDGE_OK) {
        err = kedge_partition_encode(&table, &kedge_md5_ops, &md5, span);
    }
    if (err != KEDGE_OK) {
        fprintf(stderr, "sim: firmware/partitions.csv:%u: %s: %s\n", fault.at,
                fault.what != NULL ? fault.what : "as binary", kedge_err_text(err));
        abort();
    }
}

static struct sim_region find_region(const struct kedge_partition_table *table, uint8_t type,
                                     uint8_t subtype)
{
    const struct kedge_partition *found = kedge_partition_find(table, type, subtype);
    struct sim_region region = {0};
    if (found != NULL) {
        region.offset = found->offset;
        region.size = found->size;
    }
    return region;
}

static void fill_layout(const struct kedge_partition_table *table, struct sim_layout *layout)
{
    memset(layout, 0, sizeof(*layout));
    layout->otadata = find_region(table, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_OTA);
    layout->factory = find_region(table, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_FACTORY);
    layout->test = find_region(table, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_TEST);
    layout->fleet = find_region(table, TYPE_FLEET, SUBTYPE_FLEET);
    layout->coredump = find_region(table, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_COREDUMP);
    layout->storage = find_region(table, KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_LITTLEFS);
    for (uint8_t i = 0; i < SIM_MAX_SLOTS; i++) {
        layout->slots[i] =
            find_region(table, KEDGE_PARTITION_APP, (uint8_t)(KEDGE_PARTITION_APP_OTA_0 + i));
        layout->slot_count += layout->slots[i].size != 0;
    }
}

enum kedge_err sim_layout_read(const struct sim_flash *flash, struct sim_layout *layout)
{
    uint8_t bytes[KEDGE_PARTITION_TABLE_SIZE];
    enum kedge_err err = sim_flash_read(flash, SIM_TABLE_OFFSET, bytes, sizeof(bytes));
    if (err != KEDGE_OK) {
        return err;
    }
    struct kedge_partition_table table;
    struct kedge_fault fault;
    struct kedge_md5 md5;
    struct kedge_cspan span = {.data = bytes, .len = sizeof(bytes)};
    err = kedge_partition_parse_binary(span, &kedge_md5_ops, &md5, &table, &fault);
    if (err == KEDGE_OK) {
        fill_layout(&table, layout);
    }
    return err;
}
