/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kedge/sigblock.h"

/** What of a chip matters to the boot model (docs/esp-idf.md 1 e1 and f, 3.3). */
struct chip_traits {
    uint16_t chip_id;
    uint32_t floor_bits;       /**< eFuse bits for the secure version: its largest value */
    uint32_t signature_blocks; /**< how many the ROM looks at, and keys that it can trust */
    bool has_rsa;              /**< Secure Boot V2 schemes */
    bool has_ecdsa;
};

/** Of a chip that is not in the table, what most have: all blocks, both schemes, 16 bits. */
struct chip_traits chip_traits(uint16_t chip_id);
