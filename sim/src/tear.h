/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/flash.h"
#include "sim/random.h"

/** Turn data, what a write at offset was to program, into what it has programmed when the power
 *  fails: bits that are not cleared yet become 1 again. */
void tear_write(const struct sim_cut *cut, struct sim_random *random, uint32_t offset,
                uint8_t *data, uint32_t len);

/** Turn the bytes of a sector into what an erase of it leaves when the power fails. */
void tear_erase(const struct sim_cut *cut, struct sim_random *random,
                uint8_t sector[SIM_FLASH_SECTOR_SIZE]);
