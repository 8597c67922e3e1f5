/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KEDGE_STORE_SECTOR_SIZE  4096u
#define KEDGE_STORE_SECTOR_COUNT 2u
#define KEDGE_STORE_WRITE_ALIGN  16u /**< flash encryption writes whole 16-byte blocks */

/**
 * Two raw flash sectors for the journal (partition "fleet"), addressed 0..8191. NOR rules: erase
 * sets a sector to FF (or, under flash encryption, to what looks like noise), a write only happens
 * to erased bytes. Blocking.
 */
struct kedge_plat_store {
    KEDGE_NODISCARD enum kedge_err (*read)(void *ctx, uint32_t offset, void *out, uint32_t len);
    /** offset and len are multiples of 16. A cut leaves any prefix written. */
    KEDGE_NODISCARD enum kedge_err (*write)(void *ctx, uint32_t offset, const void *data,
                                            uint32_t len);
    /** sector is 0 or 1. A cut leaves the sector undefined. */
    KEDGE_NODISCARD enum kedge_err (*erase)(void *ctx, uint32_t sector);
};

#ifdef __cplusplus
}
#endif
