/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads a LittleFS image of the flat kind that storage partitions are provisioned with, by littlefs
 * SPEC.md and independent of formats/: commits with their CRCs, XORed tags, names in order,
 * skip-lists with every pointer, no block used twice. Directories and unfinished moves are refused.
 */
#define LITTLEFS_BLOCK_SIZE 4096u
#define LITTLEFS_MAX_FILES  32u
#define LITTLEFS_MAX_BLOCKS 256u

struct littlefs_file {
    char name[256];
    uint32_t size;
    uint8_t *data; /* owned by the listing, size bytes */
    bool is_inline;
};

struct littlefs_listing {
    uint32_t version, block_count, name_max, file_max, attr_max;
    uint32_t revision; /* of the block that counts */
    uint32_t commits;
    bool has_forward_crc;
    size_t count;
    struct littlefs_file files[LITTLEFS_MAX_FILES];
};

/** NULL, or what is wrong with the image: static text. Free the listing in any case. */
const char *littlefs_list(const uint8_t *image, size_t len, struct littlefs_listing *out);
/** NULL when there is no such file. */
const struct littlefs_file *littlefs_find(const struct littlefs_listing *listing, const char *name);
void littlefs_free(struct littlefs_listing *listing);
