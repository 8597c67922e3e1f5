/* SPDX-License-Identifier: Apache-2.0 */

/* The sweep's own parts; the sweep itself is `kedge-sim powercut`, of which ctest runs a slice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "sim/powercut.h"

static struct sim_powercut_kit *kit;

static int setup(void **state)
{
    (void)state;
    return sim_powercut_kit_create(0, (struct kedge_cspan){0}, &kit) == KEDGE_OK ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    sim_powercut_kit_destroy(kit);
    return 0;
}

static void every_scenario_holds_without_a_cut(void **state)
{
    (void)state;
    for (size_t scenario = 0; scenario < sim_powercut_scenario_count(); scenario++) {
        for (size_t variant = 0; variant < sim_powercut_variant_count; variant++) {
            struct sim_powercut_life life = {.scenario = scenario, .variant = variant};
            struct sim_powercut_outcome outcome;

            sim_powercut_live(kit, &life, false, &outcome);
            if (outcome.violation != NULL) {
                fail_msg("%s/%s: %s", sim_powercut_scenario_name(scenario),
                         sim_powercut_variants[variant].name, outcome.violation);
            }
            assert_int_equal(outcome.struck, 0);
        }
    }
}

static void a_life_is_the_same_every_time(void **state)
{
    struct sim_powercut_life life;
    struct sim_powercut_outcome first;
    struct sim_powercut_outcome second;

    (void)state;
    assert_int_equal(sim_powercut_parse_id("mute/5.5-plain/10.seeded.0/5.noise.0", &life),
                     KEDGE_OK);
    sim_powercut_live(kit, &life, false, &first);
    sim_powercut_live(kit, &life, false, &second);
    assert_int_equal(first.struck, 2);
    assert_int_equal(first.ops, second.ops);
    assert_int_equal(first.virtual_ms, second.virtual_ms);
}

static void ids_are_read_back(void **state)
{
    static const char *const ids[] = {"update/5.3-plain", "panic/6.0-encrypted/1.nothing.0",
                                      "outage/5.5-plain/37.bytes.12/4.bits.193"};
    struct sim_powercut_life life;
    char id[SIM_POWERCUT_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_equal(sim_powercut_parse_id(ids[i], &life), KEDGE_OK);
        sim_powercut_id(&life, id);
        assert_string_equal(id, ids[i]);
    }
}

static void bad_ids_are_refused(void **state)
{
    static const char *const ids[] = {"",
                                      "update",
                                      "nothing/5.5-plain",
                                      "update/4.4-plain",
                                      "update/5.5-plain/x",
                                      "update/5.5-plain/0.bytes.1",
                                      "update/5.5-plain/1.bytes",
                                      "update/5.5-plain/1.shreds.1",
                                      "update/5.5-plain/1.bytes.1/2.bytes.1/3.bytes.1"};
    struct sim_powercut_life life;

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_not_equal(sim_powercut_parse_id(ids[i], &life), KEDGE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scenario_holds_without_a_cut),
        cmocka_unit_test(a_life_is_the_same_every_time),
        cmocka_unit_test(ids_are_read_back),
        cmocka_unit_test(bad_ids_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
