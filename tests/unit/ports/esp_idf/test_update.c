/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

/* The whole life of an update, over the ESP-IDF port. */

static uint32_t state_of_slot(uint32_t slot)
{
    const struct sim_ota ota = {.env = {.flash = bench.world->flash,
                                        .layout = &bench.world->layout,
                                        .bootloader = &bench.world->bootloader,
                                        .secure_version = &bench.world->secure_version},
                                .idf = bench.world->idf,
                                .rollback = true,
                                .running = bench.world->running_slot};
    uint32_t state;

    return sim_ota_get_state(&ota, slot, &state) == KEDGE_OK ? state
                                                             : (uint32_t)KEDGE_OTA_UNDEFINED;
}

static void an_update_is_downloaded_tried_committed_and_reported(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 200000);

    bench_boot(STUB_RESTARTED, 600000, bench_committed);
    assert_int_equal(bench.world->running_slot, 0);
    assert_int_equal(bench.world->server.body_bytes, 200000);

    bench_boot(STUB_STOPPED, 600000, bench_committed);
    assert_int_equal(bench.world->running_slot, 1);
    assert_string_equal(bench.world->running.version, "1.1.0");
    assert_int_equal(state_of_slot(1), KEDGE_OTA_VALID);
    assert_true(bench.world->now_us >= 30000000);
    bench_expect_reports("verified none, committed none");

    bench_boot(STUB_TIME_IS_UP, 200000, NULL);
    assert_int_equal(bench.world->running_slot, 1);
    bench_expect_log("I kedge: state TRIAL");
    bench_expect_log("I kedge: state COMMITTED");
    assert_non_null(bench_message("devices/bench-1/telemetry"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_update_is_downloaded_tried_committed_and_reported,
                                        bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
