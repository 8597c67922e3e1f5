/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/** A small deterministic generator (SplitMix64), for simulation only. */
struct sim_random {
    uint64_t state;
};

/** Start the stream that belongs to seed and label ("demo-007"); other labels, other streams. */
void sim_random_seed(struct sim_random *random, uint64_t seed, const char *label);
/** The generator's mixing function: a permutation of 64-bit words in which every bit counts. */
uint64_t sim_random_mix(uint64_t word);
uint32_t sim_random_u32(struct sim_random *random);
/** Uniform in 0..bound-1; bound is at least 1. */
uint32_t sim_random_below(struct sim_random *random, uint32_t bound);
