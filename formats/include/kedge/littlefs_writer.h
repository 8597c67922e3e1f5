/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A new LittleFS file system (disk version 2.1; littlefs SPEC.md) with a few files in its root, as
 * the storage partition of a device is first written. Mounts with esp_littlefs as it is configured
 * by default. formats/FORMATS.md, "LittleFS image".
 */
#define KEDGE_LITTLEFS_BLOCK_SIZE 4096u /**< flash sector; esp_littlefs fixes it */
#define KEDGE_LITTLEFS_NAME_SIZE  64u   /**< with NUL; CONFIG_LITTLEFS_OBJ_NAME_LEN */
#define KEDGE_LITTLEFS_MAX_FILES  16u

struct kedge_littlefs_file {
    const char *name;        /**< NUL-terminated, borrowed */
    struct kedge_cspan data; /**< borrowed; 1 byte or more */
};

/** What an image with these files takes at the least, in bytes: two blocks and those of each file.
 *  A device needs some more to write in. */
size_t kedge_littlefs_min_size(const struct kedge_littlefs_file *files, size_t count);

/**
 * All of image, whose length is the partition's size. Errors: ARG (length not a multiple of the
 * block size, an empty file, a name that is empty, "." or "..", or has a '/' in it), TOO_LARGE (a
 * name, too many files), DUPLICATE (name), NO_SPACE.
 */
KEDGE_NODISCARD enum kedge_err kedge_littlefs_write(const struct kedge_littlefs_file *files,
                                                    size_t count, struct kedge_span image);

#ifdef __cplusplus
}
#endif
