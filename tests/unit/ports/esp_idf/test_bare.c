/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

/* Every option off that the port can do without, under a bootloader without rollback. */

static void without_a_net_an_update_is_taken_and_says_so(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 0);

    bench_live(3, bench_committed);

    assert_string_equal(bench_request(BENCH_POLL, 1)->caps, "rollback");
    assert_string_equal(bench_request(BENCH_POLL, 2)->caps, "pending");
    bench_expect_reports("verified none, committed no_rollback");
    assert_false(bench.world->server.client_saves_session);
    assert_int_equal(bench.world->running_slot, 1);
}

static void a_boot_without_an_update_works(void **state)
{
    (void)state;
    bench_boot(STUB_TIME_IS_UP, 600000, NULL);

    assert_non_null(bench_message("devices/bench-1/telemetry"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_net_an_update_is_taken_and_says_so),
        CASE(a_boot_without_an_update_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
