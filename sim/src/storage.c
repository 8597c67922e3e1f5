/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kedge/bytes.h"

/*
 * Directory sector: 0 magic "STOR" | 4 sequence | 8 number of entries | 12 CRC-32 of all the rest,
 * then per entry 0 name[32] | 32 sector | 36 length | 40 CRC-32 of the file | 44 zero.
 */
#define MAGIC             0x524F5453u
#define DIRECTORY_SECTORS 2u
#define HEADER_SIZE       16u
#define ENTRY_SIZE        48u
#define DIRECTORY_SIZE    (HEADER_SIZE + SIM_STORAGE_FILES * ENTRY_SIZE)
#define WRITE_ALIGN       16u

static uint32_t sector_offset(struct sim_region region, uint32_t sector)
{
    return region.offset + sector * SIM_FLASH_SECTOR_SIZE;
}

static uint32_t directory_crc(const uint8_t *bytes)
{
    return kedge_crc32(kedge_crc32(0, bytes, 12), bytes + HEADER_SIZE,
                       DIRECTORY_SIZE - HEADER_SIZE);
}

static void encode_directory(const struct sim_storage_entry *entries, uint32_t sequence,
                             uint8_t *bytes)
{
    memset(bytes, 0, DIRECTORY_SIZE);
    kedge_put_le32(bytes, MAGIC);
    kedge_put_le32(bytes + 4, sequence);
    kedge_put_le32(bytes + 8, SIM_STORAGE_FILES);
    for (uint32_t i = 0; i < SIM_STORAGE_FILES; i++) {
        uint8_t *to = bytes + HEADER_SIZE + i * ENTRY_SIZE;

        memcpy(to, entries[i].name, KEDGE_STORAGE_NAME_SIZE);
        kedge_put_le32(to + 32, entries[i].sector);
        kedge_put_le32(to + 36, entries[i].len_bytes);
        kedge_put_le32(to + 40, entries[i].crc);
    }
    kedge_put_le32(bytes + 12, directory_crc(bytes));
}

static bool is_directory(const uint8_t *bytes)
{
    return kedge_get_le32(bytes) == MAGIC && kedge_get_le32(bytes + 8) == SIM_STORAGE_FILES &&
           kedge_get_le32(bytes + 12) == directory_crc(bytes);
}

static void decode_directory(struct sim_storage *storage, const uint8_t *bytes)
{
    storage->sequence = kedge_get_le32(bytes + 4);
    for (uint32_t i = 0; i < SIM_STORAGE_FILES; i++) {
        const uint8_t *from = bytes + HEADER_SIZE + i * ENTRY_SIZE;
        struct sim_storage_entry *entry = &storage->entries[i];

        memcpy(entry->name, from, KEDGE_STORAGE_NAME_SIZE);
        entry->sector = kedge_get_le32(from + 32);
        entry->len_bytes = kedge_get_le32(from + 36);
        entry->crc = kedge_get_le32(from + 40);
    }
}

/* Make entries the directory, in the sector that is not in force. Power cut in either operation:
 * the one in force stays. */
static enum kedge_err commit(struct sim_storage *storage,
                             const struct sim_storage_entry entries[SIM_STORAGE_FILES])
{
    uint32_t sector = 1u - storage->newest;
    uint32_t offset = sector_offset(storage->region, sector);
    uint8_t bytes[DIRECTORY_SIZE];

    encode_directory(entries, storage->sequence + 1u, bytes);
    enum kedge_err err = sim_flash_erase(storage->flash, offset);
    if (err == KEDGE_OK) {
        err = sim_flash_write(storage->flash, offset, bytes, sizeof(bytes));
    }
    if (err != KEDGE_OK) {
        storage->is_mounted = false; /* which of the two counts, mounting finds out */
        return err;
    }
    storage->newest = sector;
    storage->sequence++;
    memmove(storage->entries, entries, sizeof(storage->entries));
    return KEDGE_OK;
}

static bool is_used(const struct sim_storage *storage, uint32_t sector)
{
    for (uint32_t i = 0; i < SIM_STORAGE_FILES; i++) {
        if (storage->entries[i].name[0] != '\0' && storage->entries[i].sector == sector) {
            return true;
        }
    }
    return false;
}

/* A data sector that no file uses, in turns over the region; 0 = none. */
static uint32_t find_free(struct sim_storage *storage)
{
    uint32_t count = storage->region.size / SIM_FLASH_SECTOR_SIZE - DIRECTORY_SECTORS;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t sector = DIRECTORY_SECTORS + storage->probe % count;

        storage->probe++;
        if (!is_used(storage, sector)) {
            return sector;
        }
    }
    return 0;
}

/* The entry of that name; name "" finds a free one. NULL = none. */
static struct sim_storage_entry *find_entry(struct sim_storage_entry entries[SIM_STORAGE_FILES],
                                            const char *name)
{
    for (uint32_t i = 0; i < SIM_STORAGE_FILES; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return &entries[i];
        }
    }
    return NULL;
}

static bool is_name(const char *name)
{
    return name[0] != '\0' && strnlen(name, KEDGE_STORAGE_NAME_SIZE) < KEDGE_STORAGE_NAME_SIZE &&
           strchr(name, '/') == NULL;
}

static void set_name(struct sim_storage_entry *entry, const char *name)
{
    memset(entry->name, 0, sizeof(entry->name));
    memcpy(entry->name, name, strlen(name));
}

/* May this file be changed now? */
static enum kedge_err check_change(const struct sim_storage *storage, const char *name)
{
    if (!storage->is_mounted) {
        return KEDGE_ERR_STATE;
    }
    if (!is_name(name)) {
        return KEDGE_ERR_ARG;
    }
    return strcmp(name, KEDGE_SETTINGS_FACTORY_FILE) == 0 ? KEDGE_ERR_DENIED : KEDGE_OK;
}

static bool storage_mounted(void *ctx)
{
    const struct sim_storage *storage = ctx;
    return storage->is_mounted;
}

static enum kedge_err storage_read(void *ctx, const char *name, void *out, uint32_t size,
                                   uint32_t *len)
{
    struct sim_storage *storage = ctx;

    if (!storage->is_mounted) {
        return KEDGE_ERR_STATE;
    }
    const struct sim_storage_entry *entry =
        is_name(name) ? find_entry(storage->entries, name) : NULL;
    if (entry == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    if (entry->len_bytes > size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    if (entry->len_bytes > 0) {
        enum kedge_err err = sim_flash_read(
            storage->flash, sector_offset(storage->region, entry->sector), out, entry->len_bytes);
        if (err != KEDGE_OK || kedge_crc32(0, out, entry->len_bytes) != entry->crc) {
            return KEDGE_ERR_IO;
        }
    }
    *len = entry->len_bytes;
    return KEDGE_OK;
}

/* Power cut in either operation: no directory names that sector. */
static enum kedge_err write_data(struct sim_storage *storage, uint32_t sector, const void *data,
                                 uint32_t len)
{
    uint8_t padded[SIM_FLASH_SECTOR_SIZE];
    uint32_t offset = sector_offset(storage->region, sector);

    memset(padded, 0xFF, sizeof(padded));
    memcpy(padded, data, len);
    enum kedge_err err = sim_flash_erase(storage->flash, offset);
    if (err == KEDGE_OK) {
        err = sim_flash_write(storage->flash, offset, padded, kedge_align_up(len, WRITE_ALIGN));
    }
    storage->is_mounted = err == KEDGE_OK;
    return err;
}

/* Commit 1: the file is there, and empty. */
static enum kedge_err truncate_file(struct sim_storage *storage, const char *name)
{
    struct sim_storage_entry entries[SIM_STORAGE_FILES];

    memcpy(entries, storage->entries, sizeof(entries));
    struct sim_storage_entry *entry = find_entry(entries, name);
    entry = entry != NULL ? entry : find_entry(entries, "");
    if (entry == NULL) {
        return KEDGE_ERR_NO_SPACE;
    }
    *entry = (struct sim_storage_entry){0};
    set_name(entry, name);
    return commit(storage, entries);
}

static enum kedge_err storage_write(void *ctx, const char *name, const void *data, uint32_t len)
{
    struct sim_storage *storage = ctx;
    struct sim_storage_entry entries[SIM_STORAGE_FILES];
    uint32_t sector = 0;

    enum kedge_err err = check_change(storage, name);
    if (err == KEDGE_OK && len > SIM_STORAGE_FILE_SIZE) {
        err = KEDGE_ERR_NO_SPACE;
    }
    if (err == KEDGE_OK) {
        err = truncate_file(storage, name);
    }
    if (err != KEDGE_OK || len == 0) {
        return err;
    }
    sector = find_free(storage);
    err = sector == 0 ? KEDGE_ERR_NO_SPACE : write_data(storage, sector, data, len);
    if (err != KEDGE_OK) {
        return err;
    }
    memcpy(entries, storage->entries, sizeof(entries));
    struct sim_storage_entry *entry = find_entry(entries, name);
    entry->sector = sector;
    entry->len_bytes = len;
    entry->crc = kedge_crc32(0, data, len);
    return commit(storage, entries);
}

static enum kedge_err storage_rename(void *ctx, const char *from, const char *to)
{
    struct sim_storage *storage = ctx;
    struct sim_storage_entry entries[SIM_STORAGE_FILES];

    enum kedge_err err = check_change(storage, from);
    if (err == KEDGE_OK) {
        err = check_change(storage, to);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    memcpy(entries, storage->entries, sizeof(entries));
    struct sim_storage_entry *moved = find_entry(entries, from);
    struct sim_storage_entry *replaced = find_entry(entries, to);
    if (moved == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    if (replaced != NULL && replaced != moved) {
        *replaced = (struct sim_storage_entry){0};
    }
    set_name(moved, to);
    return commit(storage, entries);
}

static enum kedge_err storage_remove(void *ctx, const char *name)
{
    struct sim_storage *storage = ctx;
    struct sim_storage_entry entries[SIM_STORAGE_FILES];

    enum kedge_err err = check_change(storage, name);
    if (err != KEDGE_OK) {
        return err;
    }
    memcpy(entries, storage->entries, sizeof(entries));
    struct sim_storage_entry *entry = find_entry(entries, name);
    if (entry == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    *entry = (struct sim_storage_entry){0};
    return commit(storage, entries);
}

const struct kedge_plat_storage sim_storage_ops = {.mounted = storage_mounted,
                                                   .read = storage_read,
                                                   .write = storage_write,
                                                   .rename = storage_rename,
                                                   .remove = storage_remove};

enum kedge_err sim_storage_mount(struct sim_storage *storage, struct sim_flash *flash,
                                 struct sim_region region)
{
    uint8_t bytes[DIRECTORY_SIZE];

    *storage = (struct sim_storage){.flash = flash, .region = region};
    for (uint32_t sector = 0; sector < DIRECTORY_SECTORS; sector++) {
        enum kedge_err err =
            sim_flash_read(flash, sector_offset(region, sector), bytes, sizeof(bytes));
        if (err != KEDGE_OK) {
            return err;
        }
        if (is_directory(bytes) &&
            (!storage->is_mounted || kedge_get_le32(bytes + 4) > storage->sequence)) {
            decode_directory(storage, bytes);
            storage->newest = sector;
            storage->is_mounted = true;
        }
    }
    storage->probe = storage->sequence;
    return storage->is_mounted ? KEDGE_OK : KEDGE_ERR_NOT_FOUND;
}

void sim_storage_program(struct sim_flash *flash, struct sim_region region,
                         const struct sim_storage_file *files, uint32_t count)
{
    static const uint8_t blank[WRITE_ALIGN] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                               0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    struct sim_storage_entry entries[SIM_STORAGE_FILES] = {0};
    uint8_t bytes[DIRECTORY_SIZE];

    for (uint32_t i = 0; i < count; i++) {
        if (i == SIM_STORAGE_FILES || !is_name(files[i].name) ||
            files[i].bytes.len > SIM_STORAGE_FILE_SIZE ||
            (DIRECTORY_SECTORS + i + 1u) * SIM_FLASH_SECTOR_SIZE > region.size) {
            fprintf(stderr, "sim storage: cannot program file %u of %u\n", i + 1, count);
            abort();
        }
        set_name(&entries[i], files[i].name);
        entries[i].len_bytes = (uint32_t)files[i].bytes.len;
        entries[i].sector = entries[i].len_bytes > 0 ? DIRECTORY_SECTORS + i : 0;
        entries[i].crc = kedge_crc32(0, files[i].bytes.data, files[i].bytes.len);
        if (entries[i].len_bytes > 0) {
            sim_flash_program(flash, sector_offset(region, entries[i].sector), files[i].bytes.data,
                              entries[i].len_bytes);
        }
    }
    encode_directory(entries, 1, bytes);
    sim_flash_program(flash, sector_offset(region, 0), bytes, sizeof(bytes));
    sim_flash_program(flash, sector_offset(region, 1), blank, sizeof(blank));
}
