/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

/* A firmware and a bootloader with every option off that the port asks for. */

/* Its own esp_ota_set_boot_partition leaves a record that no bootloader watches, which the agent
 * cannot tell from a torn one: it takes no chances, and the old image stays. */
static void without_rollback_it_says_so_and_stays_with_the_old_image(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 0);

    bench_live(12, bench_rolled_back);

    assert_string_equal(bench_request(BENCH_POLL, 1)->caps, "none");
    assert_false(bench.world->server.client_saves_session);
    assert_int_equal(bench.world->running_slot, 0);
    assert_string_equal(bench.world->running.version, "1.0.0");
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
        CASE(without_rollback_it_says_so_and_stays_with_the_old_image),
        CASE(a_boot_without_an_update_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
