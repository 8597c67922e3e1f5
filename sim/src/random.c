/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/random.h"

#define GOLDEN_GAMMA 0x9E3779B97F4A7C15u

uint64_t sim_random_mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

void sim_random_seed(struct sim_random *random, uint64_t seed, const char *label)
{
    uint64_t state = sim_random_mix(seed + GOLDEN_GAMMA);
    for (; *label != '\0'; label++) {
        state = sim_random_mix(state ^ (uint8_t)*label);
    }
    random->state = state;
}

uint32_t sim_random_u32(struct sim_random *random)
{
    random->state += GOLDEN_GAMMA;
    return (uint32_t)(sim_random_mix(random->state) >> 32);
}

uint32_t sim_random_below(struct sim_random *random, uint32_t bound)
{
    return (uint32_t)(((uint64_t)sim_random_u32(random) * bound) >> 32);
}
