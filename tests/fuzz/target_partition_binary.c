/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/crypto.h"
#include "kedge/partition.h"

static void check_table(const struct kedge_partition_table *table)
{
    const struct kedge_partition_rules rules = {.flash_size_bytes = 0x400000};
    static char csv[KEDGE_PARTITION_MAX_ENTRIES * 80];
    struct kedge_partition_table back;
    struct kedge_fault fault;
    struct kedge_md5 md5;
    uint8_t out[KEDGE_PARTITION_TABLE_SIZE];
    size_t len;

    FUZZ_CHECK(table->count > 0 && table->count <= KEDGE_PARTITION_MAX_ENTRIES);
    FUZZ_CHECK(kedge_partition_write_csv(table, csv, sizeof(csv), &len) == KEDGE_OK);
    if (kedge_partition_check(table, &rules, &fault) != KEDGE_OK) {
        FUZZ_CHECK(fault.at % KEDGE_PARTITION_ENTRY_SIZE == 0 && fault.what != NULL);
    }
    if (kedge_partition_encode(table, &kedge_md5_ops, &md5,
                               (struct kedge_span){out, sizeof(out)}) == KEDGE_OK) {
        FUZZ_CHECK(kedge_partition_parse_binary((struct kedge_cspan){out, sizeof(out)},
                                                &kedge_md5_ops, &md5, &back, &fault) == KEDGE_OK);
        FUZZ_CHECK(back.count == table->count);
        for (uint32_t i = 0; i < back.count; i++) {
            FUZZ_CHECK(strcmp(back.entries[i].name, table->entries[i].name) == 0);
            FUZZ_CHECK(back.entries[i].offset == table->entries[i].offset);
            FUZZ_CHECK(back.entries[i].flags == table->entries[i].flags);
        }
    }
}

/* With the MD5, and without, where the bytes behind it are read too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kedge_cspan bytes = {data, size};
    struct kedge_partition_table table;
    struct kedge_fault fault = {0};
    struct kedge_md5 md5;
    enum kedge_err err = kedge_partition_parse_binary(bytes, NULL, NULL, &table, &fault);

    if (err == KEDGE_OK) {
        check_table(&table);
        err = kedge_partition_parse_binary(bytes, &kedge_md5_ops, &md5, &table, &fault);
        FUZZ_CHECK(err == KEDGE_OK || err == KEDGE_ERR_HASH);
    } else {
        FUZZ_CHECK(fault.err == err && fault.what != NULL && fault.at <= size);
    }
    return 0;
}
