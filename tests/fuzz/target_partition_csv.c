/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/crypto.h"
#include "kedge/partition.h"

static const struct kedge_partition_rules rules = {.flash_size_bytes = 0x1000000};

static void encode(const struct kedge_partition_table *table, uint8_t *out)
{
    struct kedge_md5 md5;

    FUZZ_CHECK(kedge_partition_encode(table, &kedge_md5_ops, &md5,
                                      (struct kedge_span){out, KEDGE_PARTITION_TABLE_SIZE}) ==
               KEDGE_OK);
}

/* What is taken goes to binary and back to CSV and binary without a change. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char csv[KEDGE_PARTITION_MAX_ENTRIES * 80];
    uint8_t first[KEDGE_PARTITION_TABLE_SIZE];
    uint8_t second[KEDGE_PARTITION_TABLE_SIZE];
    struct kedge_partition_table table;
    struct kedge_fault fault = {0};
    struct kedge_md5 md5;
    size_t len;

    if (kedge_partition_parse_csv((const char *)data, size, &rules, &table, &fault) != KEDGE_OK) {
        FUZZ_CHECK(fault.err != KEDGE_OK && fault.what != NULL && fault.at <= size + 1);
        return 0;
    }
    if (table.count == 0 || table.count == KEDGE_PARTITION_MAX_ENTRIES) {
        return 0; /* a CSV of comments, or one that leaves no room for the MD5 row */
    }
    encode(&table, first);
    FUZZ_CHECK(kedge_partition_parse_binary((struct kedge_cspan){first, sizeof(first)},
                                            &kedge_md5_ops, &md5, &table, &fault) == KEDGE_OK);
    FUZZ_CHECK(kedge_partition_write_csv(&table, csv, sizeof(csv), &len) == KEDGE_OK);
    FUZZ_CHECK(kedge_partition_parse_csv(csv, len, &rules, &table, &fault) == KEDGE_OK);
    encode(&table, second);
    FUZZ_CHECK(memcmp(first, second, sizeof(first)) == 0);
    return 0;
}
