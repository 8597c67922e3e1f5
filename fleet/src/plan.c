/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet.h"

#include <string.h>

/* One decimal number of at most three digits; *text is moved behind it. */
static enum kedge_err parse_percent(const char **text, uint32_t *out)
{
    const char *p = *text;
    uint32_t value = 0;
    size_t digits = 0;
    while (*p >= '0' && *p <= '9') {
        if (++digits > 3) {
            return KEDGE_ERR_RANGE;
        }
        value = value * 10u + (uint32_t)(*p++ - '0');
    }
    if (digits == 0) {
        return KEDGE_ERR_SYNTAX;
    }
    *text = p;
    *out = value;
    return KEDGE_OK;
}

enum kedge_err fleet_plan_parse_stages(const char *text, struct fleet_plan *plan)
{
    uint8_t percent[FLEET_MAX_STAGES] = {0};
    uint32_t count = 0;
    uint32_t previous = 0;
    for (;;) {
        uint32_t value = 0;
        enum kedge_err err = parse_percent(&text, &value);
        if (err != KEDGE_OK) {
            return err;
        }
        if (value <= previous || value > 100u) {
            return KEDGE_ERR_RANGE;
        }
        if (count == FLEET_MAX_STAGES) {
            return KEDGE_ERR_TOO_LARGE;
        }
        percent[count++] = (uint8_t)value;
        previous = value;
        if (*text != ',') {
            break;
        }
        text++;
    }
    if (*text != '\0') {
        return KEDGE_ERR_SYNTAX;
    }
    if (previous != 100u) {
        return KEDGE_ERR_RANGE;
    }
    memcpy(plan->percent, percent, sizeof percent);
    plan->stage_count = count;
    return KEDGE_OK;
}

/* FNV-1a over the id, seeded, then SplitMix64's finaliser: FNV alone leaves the high bits of
 * similar short ids ("dev-0001", "dev-0002") close together, and the rank is compared from the top.
 */
uint64_t fleet_rank(uint64_t rollout_seed, const char *device_id)
{
    uint64_t hash = 0xCBF29CE484222325u ^ rollout_seed;
    for (const char *p = device_id; *p != '\0'; p++) {
        hash ^= (uint8_t)*p;
        hash *= 0x100000001B3u;
    }
    hash += 0x9E3779B97F4A7C15u;
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    return hash ^ (hash >> 31);
}

uint32_t fleet_stage_of(const struct fleet_plan *plan, uint32_t position, uint32_t count)
{
    uint32_t last = plan->stage_count > 0 ? plan->stage_count - 1u : 0;
    for (uint32_t stage = 0; stage < last; stage++) {
        uint64_t share = ((uint64_t)count * plan->percent[stage] + 99u) / 100u;
        if (position < (share > 0 ? share : 1u)) {
            return stage;
        }
    }
    return last;
}
