/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

/* What is asked of platform and application, once a step: the application's check may be dear. */
struct readings {
    struct kedge_vitals vitals;
    enum kedge_self_test self_test;
};

static void read_now(struct kedge_agent *agent, struct readings *now)
{
    const struct kedge_plat_system *system = agent->plat.system;

    *now = (struct readings){.self_test = KEDGE_SELF_TEST_PASSED};
    system->vitals(agent->plat.ctx, &now->vitals);
    if (system->self_test != NULL) {
        now->self_test = system->self_test(agent->plat.ctx);
    }
}

static bool storage_ok(const struct kedge_agent *agent, const struct readings *now)
{
    (void)agent;
    return now->vitals.storage_ok;
}

static bool heap_ok(const struct kedge_agent *agent, const struct readings *now)
{
    return now->vitals.free_heap_bytes >= agent->config.heap_floor_bytes;
}

static bool self_test_ok(const struct kedge_agent *agent, const struct readings *now)
{
    (void)agent;
    return now->self_test == KEDGE_SELF_TEST_PASSED;
}

/* The gate, in the order in which a missing part is named as the cause. Parts without a check are
 * events seen since boot (agent->gates). */
static const struct {
    enum kedge_gate gate;
    enum kedge_cause cause;
    bool (*check)(const struct kedge_agent *agent, const struct readings *now);
} gate_table[] = {
    {KEDGE_GATE_STORAGE, KEDGE_CAUSE_STORAGE, storage_ok},
    {KEDGE_GATE_NETWORK, KEDGE_CAUSE_NETWORK, NULL},
    {KEDGE_GATE_SERVER, KEDGE_CAUSE_SERVER, NULL},
    {KEDGE_GATE_TELEMETRY, KEDGE_CAUSE_BROKER, NULL},
    {KEDGE_GATE_HEAP, KEDGE_CAUSE_HEAP, heap_ok},
    {KEDGE_GATE_SELF_TEST, KEDGE_CAUSE_SELF_TEST, self_test_ok},
};

#define GATE_COUNT (sizeof gate_table / sizeof gate_table[0])

/* Gates open now; the checks are asked each time, events stay. */
static uint32_t gates_open(const struct kedge_agent *agent, const struct readings *now)
{
    uint32_t open = 0;

    for (size_t i = 0; i < GATE_COUNT; i++) {
        bool is_open = gate_table[i].check != NULL
                           ? gate_table[i].check(agent, now)
                           : (agent->gates & (uint32_t)gate_table[i].gate) != 0;

        open |= is_open ? (uint32_t)gate_table[i].gate : 0u;
    }
    return open;
}

static enum kedge_cause first_missing(uint32_t open)
{
    for (size_t i = 0; i < GATE_COUNT; i++) {
        if ((open & (uint32_t)gate_table[i].gate) == 0) {
            return gate_table[i].cause;
        }
    }
    return KEDGE_CAUSE_NONE;
}

/* An image that connects at once and panics a moment later must not be confirmed in between. */
static bool is_soaked(const struct kedge_agent *agent)
{
    uint32_t soak_ms = agent->config.trial_soak_ms;
    uint32_t most_ms = agent->config.trial_deadline_ms / 2u;

    return agent->now_ms - agent->boot_ms >= (soak_ms < most_ms ? soak_ms : most_ms);
}

enum outcome trial_work(struct kedge_agent *agent)
{
    struct readings now;
    uint32_t open;

    read_now(agent, &now);
    open = gates_open(agent, &now);

    /* In RAM until the trial ends: a reset before that is judged by its reason. */
    agent->journal.data.cause = (uint8_t)first_missing(open);
    agent->journal.data.detail = (uint32_t)KEDGE_GATE_ALL & ~open;
    if (open == (uint32_t)KEDGE_GATE_ALL) {
        return is_soaked(agent) ? OUTCOME_DONE : OUTCOME_STAY;
    }
    if (now.self_test == KEDGE_SELF_TEST_FAILED) {
        agent->journal.data.cause = KEDGE_CAUSE_SELF_TEST;
        return OUTCOME_FAILED;
    }
    return OUTCOME_STAY;
}

bool trial_is_connected(const struct kedge_agent *agent)
{
    uint32_t needed = KEDGE_GATE_NETWORK | KEDGE_GATE_SERVER | KEDGE_GATE_TELEMETRY;

    return (agent->gates & needed) == needed;
}
