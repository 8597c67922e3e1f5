/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/partition.h"

#include <string.h>

#include "partition_names.h"

#define MD5_SIZE 16u

enum entry_offset {
    AT_MAGIC = 0,
    AT_TYPE = 2,
    AT_SUBTYPE = 3,
    AT_OFFSET = 4,
    AT_SIZE = 8,
    AT_NAME = 12,
    AT_FLAGS = 28,
    AT_MD5 = 16 /* in the MD5 row */
};

static enum kedge_err fail(struct kedge_fault *fault, struct kedge_fault found)
{
    if (fault != NULL) {
        *fault = found;
    }
    return found.err;
}

static bool is_filled(const uint8_t *bytes, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static size_t name_length(const uint8_t *row)
{
    const uint8_t *nul = memchr(row + AT_NAME, 0, KEDGE_PARTITION_NAME_SIZE - 1);

    return nul != NULL ? (size_t)(nul - (row + AT_NAME)) : KEDGE_PARTITION_NAME_SIZE - 1;
}

static enum kedge_err parse_entry(const uint8_t *row, uint32_t at,
                                  struct kedge_partition_table *table, struct kedge_fault *fault)
{
    struct kedge_partition *entry = &table->entries[table->count];
    uint16_t magic = kedge_get_le16(row + AT_MAGIC);
    size_t name_len = name_length(row);

    if (magic != PARTITION_ENTRY_MAGIC) {
        return fail(fault, (struct kedge_fault){KEDGE_ERR_MAGIC, at, "partition entry magic", magic,
                                                PARTITION_ENTRY_MAGIC});
    }
    if (!partition_name_ok(row + AT_NAME, name_len)) {
        return fail(fault,
                    (struct kedge_fault){KEDGE_ERR_RANGE, at + AT_NAME, "partition name", 0, 0});
    }
    *entry = (struct kedge_partition){
        .type = row[AT_TYPE],
        .subtype = row[AT_SUBTYPE],
        .offset = kedge_get_le32(row + AT_OFFSET),
        .size = kedge_get_le32(row + AT_SIZE),
        .flags = kedge_get_le32(row + AT_FLAGS),
    };
    memcpy(entry->name, row + AT_NAME, name_len);
    table->count++;
    return KEDGE_OK;
}

/* The MD5 row covers the entries before it, and must be the last one before the terminator. */
static enum kedge_err check_md5_row(struct kedge_cspan bytes, uint32_t at,
                                    const struct kedge_hash_ops *md5, void *md5_ctx,
                                    struct kedge_fault *fault)
{
    const uint8_t *row = bytes.data + at;
    uint8_t computed[MD5_SIZE];

    if (!is_filled(row + 2, AT_MD5 - 2, 0xFF)) {
        return fail(fault,
                    (struct kedge_fault){KEDGE_ERR_MAGIC, at + 2, "fill of the MD5 row", 0, 0xFF});
    }
    if (md5 == NULL) {
        return KEDGE_OK;
    }
    md5->init(md5_ctx);
    md5->update(md5_ctx, bytes.data, at);
    md5->final(md5_ctx, computed);
    if (memcmp(computed, row + AT_MD5, sizeof(computed)) != 0) {
        return fail(fault,
                    (struct kedge_fault){KEDGE_ERR_HASH, at + AT_MD5, "MD5 of the table", 0, 0});
    }
    return KEDGE_OK;
}

/* at is the offset of the terminator row, which follows the entries and the MD5 row. */
static enum kedge_err check_end(struct kedge_cspan bytes, uint32_t at, struct kedge_fault *fault)
{
    for (uint32_t i = at; i < bytes.len; i++) {
        if (bytes.data[i] != 0xFF) {
            return fail(fault,
                        (struct kedge_fault){KEDGE_ERR_MAGIC, i, "bytes after the end of the table",
                                             bytes.data[i], 0xFF});
        }
    }
    return KEDGE_OK;
}

static enum kedge_err check_length(struct kedge_cspan bytes, struct kedge_fault *fault)
{
    if (bytes.len > PARTITION_TABLE_SECTOR_SIZE) {
        return fail(fault,
                    (struct kedge_fault){KEDGE_ERR_TOO_LARGE, PARTITION_TABLE_SECTOR_SIZE,
                                         "partition table length", 0, PARTITION_TABLE_SECTOR_SIZE});
    }
    if (bytes.len == 0 || bytes.len % KEDGE_PARTITION_ENTRY_SIZE != 0) {
        return fail(fault, (struct kedge_fault){KEDGE_ERR_TRUNCATED, (uint32_t)bytes.len,
                                                "partition table length", (uint32_t)bytes.len,
                                                KEDGE_PARTITION_ENTRY_SIZE});
    }
    return KEDGE_OK;
}

static void encode_entry(const struct kedge_partition *entry, uint8_t *row)
{
    memset(row, 0, KEDGE_PARTITION_ENTRY_SIZE);
    kedge_put_le16(row + AT_MAGIC, PARTITION_ENTRY_MAGIC);
    row[AT_TYPE] = entry->type;
    row[AT_SUBTYPE] = entry->subtype;
    kedge_put_le32(row + AT_OFFSET, entry->offset);
    kedge_put_le32(row + AT_SIZE, entry->size);
    memcpy(row + AT_NAME, entry->name, strlen(entry->name));
    kedge_put_le32(row + AT_FLAGS, entry->flags);
}

enum kedge_err kedge_partition_parse_binary(struct kedge_cspan bytes,
                                            const struct kedge_hash_ops *md5, void *md5_ctx,
                                            struct kedge_partition_table *table,
                                            struct kedge_fault *fault)
{
    uint32_t at = 0;
    bool has_md5 = false;
    enum kedge_err err = check_length(bytes, fault);

    table->count = 0;
    while (err == KEDGE_OK && at < bytes.len) {
        const uint8_t *row = bytes.data + at;
        bool is_blank = is_filled(row, KEDGE_PARTITION_ENTRY_SIZE, 0xFF);
        if (is_blank && at > 0) { /* blank flash, without an entry, is no table */
            return check_end(bytes, at, fault);
        }
        if (at >= KEDGE_PARTITION_TABLE_SIZE - KEDGE_PARTITION_ENTRY_SIZE) {
            return fail(fault,
                        (struct kedge_fault){KEDGE_ERR_TOO_LARGE, at, "number of partition entries",
                                             0, KEDGE_PARTITION_MAX_ENTRIES});
        }
        if (has_md5) {
            return check_end(bytes, at, fault);
        }
        if (at > 0 && kedge_get_le16(row) == PARTITION_MD5_MAGIC) {
            has_md5 = true;
            err = check_md5_row(bytes, at, md5, md5_ctx, fault);
        } else {
            err = parse_entry(row, at, table, fault);
        }
        at += KEDGE_PARTITION_ENTRY_SIZE;
    }
    if (err != KEDGE_OK) {
        return err;
    }
    return fail(fault,
                (struct kedge_fault){KEDGE_ERR_TRUNCATED, at, "end of the partition table", 0, 0});
}

enum kedge_err kedge_partition_encode(const struct kedge_partition_table *table,
                                      const struct kedge_hash_ops *md5, void *md5_ctx,
                                      struct kedge_span out)
{
    /* The MD5 row and the terminator need a row each. */
    uint32_t entries_len = table->count * KEDGE_PARTITION_ENTRY_SIZE;
    uint8_t *md5_row;

    if (table->count > KEDGE_PARTITION_MAX_ENTRIES - 1u) {
        return KEDGE_ERR_TOO_LARGE;
    }
    if (out.len < KEDGE_PARTITION_TABLE_SIZE) {
        return KEDGE_ERR_NO_SPACE;
    }
    memset(out.data, 0xFF, KEDGE_PARTITION_TABLE_SIZE);
    for (uint32_t i = 0; i < table->count; i++) {
        encode_entry(&table->entries[i], out.data + i * KEDGE_PARTITION_ENTRY_SIZE);
    }
    md5_row = out.data + entries_len;
    kedge_put_le16(md5_row, PARTITION_MD5_MAGIC);
    md5->init(md5_ctx);
    md5->update(md5_ctx, out.data, entries_len);
    md5->final(md5_ctx, md5_row + AT_MD5);
    return KEDGE_OK;
}
