/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

uint32_t backoff_uniform(uint32_t below, uint32_t random)
{
    return (uint32_t)(((uint64_t)random * below) >> 32);
}

uint32_t backoff_ms(uint32_t failures, uint32_t base_ms, uint32_t cap_ms, uint32_t random)
{
    uint64_t limit = base_ms;

    for (uint32_t i = 1; i < failures && limit < cap_ms; i++) {
        limit *= 2u;
    }
    if (limit > cap_ms) {
        limit = cap_ms;
    }
    return 1u + backoff_uniform((uint32_t)limit, random);
}

uint32_t backoff_spread_ms(uint32_t interval_ms, uint32_t random)
{
    uint32_t tenth = interval_ms / 10u;

    return interval_ms - tenth + backoff_uniform(2u * tenth + 1u, random);
}
