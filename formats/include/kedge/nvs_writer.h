/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A plaintext NVS partition (page version 2) with one namespace that fits one page, as
 * nvs_partition_gen.py of ESP-IDF writes it. formats/FORMATS.md, "NVS image".
 */
#define KEDGE_NVS_PAGE_SIZE 4096u
#define KEDGE_NVS_MIN_SIZE                                                                         \
    (3u * KEDGE_NVS_PAGE_SIZE)    /**< ESP-IDF's, for one that is written to                       \
                                   */
#define KEDGE_NVS_KEY_SIZE  16u   /**< of keys and namespaces, with NUL */
#define KEDGE_NVS_TEXT_SIZE 4000u /**< with NUL */

struct kedge_nvs_entry {
    const char *key;  /**< borrowed */
    const char *text; /**< type string, borrowed; NULL = it is number that counts */
    uint32_t number;  /**< type u32 */
};

/**
 * All of image, whose length is the partition's size. Errors: ARG (length no multiple of the page
 * size or under KEDGE_NVS_MIN_SIZE, an empty name), TOO_LARGE (name, text), DUPLICATE (key),
 * NO_SPACE (more than a page).
 */
KEDGE_NODISCARD enum kedge_err kedge_nvs_write(const char *name_space,
                                               const struct kedge_nvs_entry *entries, size_t count,
                                               struct kedge_span image);

#ifdef __cplusplus
}
#endif
