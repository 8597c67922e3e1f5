/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ESP-IDF partition table, binary (esp_flash_partitions.h) and CSV (gen_esp32part.py), with that
 * tool's rules and bytes. Table of 0xC00 bytes, 32-byte entries, MD5 row, FF terminator.
 */
#define KEDGE_PARTITION_ENTRY_SIZE  32u
#define KEDGE_PARTITION_TABLE_SIZE  0xC00u
#define KEDGE_PARTITION_MAX_ENTRIES 95u
#define KEDGE_PARTITION_NAME_SIZE   17u

enum kedge_partition_type {
    KEDGE_PARTITION_APP = 0x00,
    KEDGE_PARTITION_DATA = 0x01
};
enum kedge_partition_subtype {
    KEDGE_PARTITION_APP_FACTORY = 0x00,
    KEDGE_PARTITION_APP_OTA_0 = 0x10,
    KEDGE_PARTITION_APP_TEST = 0x20,
    KEDGE_PARTITION_DATA_OTA = 0x00,
    KEDGE_PARTITION_DATA_NVS = 0x02,
    KEDGE_PARTITION_DATA_COREDUMP = 0x03,
    KEDGE_PARTITION_DATA_NVS_KEYS = 0x04,
    KEDGE_PARTITION_DATA_LITTLEFS = 0x83
};
enum kedge_partition_flag {
    KEDGE_PARTITION_ENCRYPTED = 1u,
    KEDGE_PARTITION_READONLY = 2u
};
enum kedge_secure_boot {
    KEDGE_SECURE_NONE,
    KEDGE_SECURE_V1,
    KEDGE_SECURE_V2
};

struct kedge_partition {
    char name[KEDGE_PARTITION_NAME_SIZE]; /**< NUL-terminated; 16 bytes at the most */
    uint8_t type;
    uint8_t subtype;
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint32_t line; /**< CSV line it came from, 0 when parsed from binary */
};

struct kedge_partition_table {
    uint32_t count;
    struct kedge_partition entries[KEDGE_PARTITION_MAX_ENTRIES];
};

/** What the table is checked against: gen_esp32part.py --offset, --flash-size and --secure. */
struct kedge_partition_rules {
    uint32_t table_offset;     /**< 0 = 0x8000, ESP-IDF's default */
    uint32_t flash_size_bytes; /**< 0 = no bound */
    enum kedge_secure_boot secure;
};

/**
 * CSV text into entries, blank offsets and sizes resolved as the tool does; checked by the rules.
 * Errors: SYNTAX, RANGE, DUPLICATE, OVERLAP, ALIGN, TOO_LARGE, UNSUPPORTED (type bootloader);
 * fault->at is the line. *table is undefined after an error. Stricter than the tool in four
 * places: names over 16 bytes (it cuts them), environment variables, underscores between digits,
 * and a unit after a keyword or another unit ("1kk").
 */
KEDGE_NODISCARD enum kedge_err kedge_partition_parse_csv(const char *text, size_t len,
                                                         const struct kedge_partition_rules *rules,
                                                         struct kedge_partition_table *table,
                                                         struct kedge_fault *fault);

/** The rules alone, for a table from flash; fault->at is the CSV line, or the entry's byte offset.
 */
KEDGE_NODISCARD enum kedge_err kedge_partition_check(const struct kedge_partition_table *table,
                                                     const struct kedge_partition_rules *rules,
                                                     struct kedge_fault *fault);

/**
 * Binary table into entries. md5 (init/update/final, 16 bytes out) checks the MD5 row when present;
 * a second MD5 row, a missing terminator and bytes after it are errors. Blank
 * flash is no table. Errors: MAGIC, HASH, RANGE (name), TRUNCATED, TOO_LARGE.
 */
KEDGE_NODISCARD enum kedge_err kedge_partition_parse_binary(struct kedge_cspan bytes,
                                                            const struct kedge_hash_ops *md5,
                                                            void *md5_ctx,
                                                            struct kedge_partition_table *table,
                                                            struct kedge_fault *fault);

/** 0xC00 bytes as gen_esp32part.py writes them, MD5 row included. Errors: NO_SPACE, TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err kedge_partition_encode(const struct kedge_partition_table *table,
                                                      const struct kedge_hash_ops *md5,
                                                      void *md5_ctx, struct kedge_span out);

/** CSV of a table, as gen_esp32part.py prints one. *len_out = bytes without NUL. Errors: NO_SPACE.
 */
KEDGE_NODISCARD enum kedge_err kedge_partition_write_csv(const struct kedge_partition_table *table,
                                                         char *out, size_t out_size,
                                                         size_t *len_out);

/** First entry of that type and subtype; NULL when there is none. */
const struct kedge_partition *kedge_partition_find(const struct kedge_partition_table *table,
                                                   uint8_t type, uint8_t subtype);

#ifdef __cplusplus
}
#endif
