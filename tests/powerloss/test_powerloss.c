/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Power is cut at every flash operation of whole updates, in every tear mode, and the life goes on.
 * After each: the board boots, it ends where it must, no report contradicts another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "kedge/crypto.h"
#include "sim/world.h"

#define LIMIT_MS (4u * 3600u * 1000u)

struct image {
    struct host_buf bytes;
    struct sim_world_release release;
};

static struct image factory, good, panics, mute;

static void build(struct image *image, const char *version, const char *behaviour)
{
    struct sim_image_spec spec = {.version = version,
                                  .project = "powerloss",
                                  .chip_id = KEDGE_CHIP_ESP32,
                                  .size_bytes = 24u * 1024u,
                                  .behaviour = behaviour};
    struct kedge_fault fault;

    host_buf_init(&image->bytes, 1u << 20);
    assert_int_equal(sim_firmware_build(&spec, &image->bytes, &fault), KEDGE_OK);
    image->release.file =
        (struct kedge_cspan){(const uint8_t *)image->bytes.data, image->bytes.len};
    image->release.version = version;
    kedge_sha256_of(image->bytes.data, image->bytes.len, image->release.sha256);
}

static int setup(void **state)
{
    (void)state;
    build(&factory, "1.0.0", "");
    build(&good, "1.1.0", "");
    build(&panics, "1.2.0", "panic_at_boot_ms=5\n");
    build(&mute, "1.3.0", "no_broker=1\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_buf_free(&factory.bytes);
    host_buf_free(&good.bytes);
    host_buf_free(&panics.bytes);
    host_buf_free(&mute.bytes);
    return 0;
}

struct scenario {
    const struct image *offer;
    const char *ends_on;
    enum kedge_report_state outcome;
};

/* One life, named by what identifies it: printed when it goes wrong. */
struct life {
    enum sim_idf idf;
    bool encrypted;
    struct sim_cut cut;
};

static const struct scenario *current;

static bool arrived(const struct sim_world *world)
{
    const struct sim_world_reports *reports = sim_world_reports(world);

    for (uint32_t i = 0; i < reports->count; i++) {
        if (reports->reports[i].state == current->outcome) {
            return strcmp(sim_board_status(sim_world_board(world))->running.version,
                          current->ends_on) == 0;
        }
    }
    return false;
}

static struct sim_world *live(const struct scenario *scenario, const struct life *life)
{
    struct sim_world_config config = {.seed = 1 + life->cut.nth,
                                      .idf = life->idf,
                                      .encrypted = life->encrypted,
                                      .factory = factory.release.file,
                                      .chunk_bytes = 4096};
    struct sim_world *world = sim_world_create(&config);

    current = scenario;
    sim_world_offer(world, &scenario->offer->release);
    sim_flash_cut(sim_board_flash(sim_world_board(world)), &life->cut);
    if (!sim_world_run(world, LIMIT_MS, arrived)) {
        const struct sim_board_status *status = sim_board_status(sim_world_board(world));

        fail_msg("idf %d%s cut at op %llu tear %d.%u: %s, runs %s, agent %s", (int)life->idf,
                 life->encrypted ? " encrypted" : "", (unsigned long long)life->cut.nth,
                 (int)life->cut.tear, life->cut.detail,
                 status->state == SIM_BOARD_BRICKED ? "BRICKED" : "not arrived",
                 status->running.version,
                 kedge_state_text(kedge_agent_state(sim_world_agent(world))));
    }
    return world;
}

static uint32_t count_reports(const struct sim_world *world, enum kedge_report_state state)
{
    const struct sim_world_reports *reports = sim_world_reports(world);
    uint32_t count = 0;

    for (uint32_t i = 0; i < reports->count; i++) {
        count += reports->reports[i].state == state;
    }
    return count;
}

static uint64_t ops_of(const struct scenario *scenario, const struct life *life)
{
    struct sim_world *world = live(scenario, life);
    uint64_t ops = sim_flash_ops(sim_board_flash(sim_world_board(world)));

    sim_world_destroy(world);
    return ops;
}

static uint32_t sweep_lives(const struct scenario *scenario, struct life life)
{
    uint64_t ops = ops_of(scenario, &life);
    uint32_t lives = 0;

    for (uint64_t op = 1; op <= ops; op++) {
        for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
            life.cut = (struct sim_cut){op, (enum sim_tear)tear, (uint32_t)(op * 7 % 256)};
            struct sim_world *world = live(scenario, &life);

            assert_int_equal(sim_world_reports(world)->conflicts, 0);
            assert_int_equal(count_reports(world, scenario->outcome), 1);
            sim_world_destroy(world);
            lives++;
        }
    }
    return lives;
}

static void sweep(const struct scenario *scenario)
{
    uint32_t lives = 0;

    for (int idf = SIM_IDF_5_3; idf <= SIM_IDF_6_0; idf++) {
        lives += sweep_lives(scenario, (struct life){.idf = (enum sim_idf)idf});
    }
    lives += sweep_lives(scenario, (struct life){.idf = SIM_IDF_5_5, .encrypted = true});
    print_message("    %u lives with one cut, 0 bricked\n", lives);
}

static void a_good_update_arrives_whatever_operation_is_cut(void **state)
{
    static const struct scenario scenario = {&good, "1.1.0", KEDGE_REPORT_COMMITTED};

    (void)state;
    sweep(&scenario);
}

static void an_image_that_panics_is_left_whatever_operation_is_cut(void **state)
{
    static const struct scenario scenario = {&panics, "1.0.0", KEDGE_REPORT_ROLLED_BACK};

    (void)state;
    sweep(&scenario);
}

static void an_image_without_broker_is_left_whatever_operation_is_cut(void **state)
{
    static const struct scenario scenario = {&mute, "1.0.0", KEDGE_REPORT_ROLLED_BACK};

    (void)state;
    sweep(&scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_update_arrives_whatever_operation_is_cut),
        cmocka_unit_test(an_image_that_panics_is_left_whatever_operation_is_cut),
        cmocka_unit_test(an_image_without_broker_is_left_whatever_operation_is_cut),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
