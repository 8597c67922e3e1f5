/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/random.h"

#define GOLDEN_GAMMA 0x9E3779B97F4A7C15u

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void sim_random_seed(struct sim_random *random, uint64_t seed, const char *label)
{
    uint64_t state = mix(seed + GOLDEN_GAMMA);
    for (; *label != '\0'; label++) {
        state = mix(state ^ (uint8_t)*label);
    }
    random->state = state;
}

uint32_t sim_random_u32(struct sim_random *random)
{
    random->state += GOLDEN_GAMMA;
    return (uint32_t)(mix(random->state) >> 32);
}

uint32_t sim_random_below(struct sim_random *random, uint32_t bound)
{
    return (uint32_t)(((uint64_t)sim_random_u32(random) * bound) >> 32);
}
