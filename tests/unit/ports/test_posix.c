/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

static bool has_polled_thrice(const struct bench *bench)
{
    return bench->server.polls >= 3;
}

static bool has_sent_telemetry_twice(const struct bench *bench)
{
    return bench->telemetry_seen >= 2;
}

static bool is_seen_offline(const struct bench *bench)
{
    return strcmp(bench->status_seen, "offline") == 0;
}

static bool is_connected(const struct bench *bench)
{
    return bench->stats.mqtt_connects == 1 && bench->telemetry_seen > 0;
}

static bool has_reconnected(const struct bench *bench)
{
    return bench->stats.mqtt_connects >= 2;
}

static bool is_settled_on(const struct bench *bench, const char *version)
{
    return bench->device != NULL &&
           strcmp(sim_board_status(bench->board)->running.version, version) == 0 &&
           kedge_posix_device_state(bench->device) == KEDGE_STATE_IDLE;
}

static bool runs_1_1_0(const struct bench *bench)
{
    return is_settled_on(bench, "1.1.0");
}

static bool is_back_on_1_0_0(const struct bench *bench)
{
    return bench->reboots >= 2 && is_settled_on(bench, "1.0.0");
}

static bool is_cut_and_back(const struct bench *bench)
{
    return bench->cuts == bench->cuts_wanted && bench->device != NULL;
}

static bool has_failed_thrice(const struct bench *bench)
{
    return bench->stats.http_failures >= 3;
}

static void polls_share_one_kept_alive_connection(void **state)
{
    struct bench *bench = *state;
    bench_boot(bench);

    bench_until(bench, has_polled_thrice);

    assert_int_equal(bench->server.connections, 1);
    assert_int_equal(bench->stats.http_failures, 0);
}

static void telemetry_reaches_a_real_broker(void **state)
{
    struct bench *bench = *state;
    bench_boot(bench);

    bench_until(bench, has_sent_telemetry_twice);

    assert_int_equal(bench->stats.mqtt_connects, 1);
    assert_string_equal(bench->status_seen, "online");
}

static void a_destroyed_device_is_announced_by_its_last_will(void **state)
{
    struct bench *bench = *state;
    bench_boot(bench);
    bench_until(bench, is_connected);

    kedge_posix_device_destroy(bench->device);
    bench->device = NULL;

    bench_until(bench, is_seen_offline);
}

static void a_device_comes_back_when_the_broker_does(void **state)
{
    struct bench *bench = *state;
    bench_boot(bench);
    bench_until(bench, is_connected);

    bench_stop_broker(bench);
    bench_run_ms(bench, 400);
    bench_start_broker(bench);

    bench_until(bench, has_reconnected);
}

static void a_command_from_the_broker_reaches_the_agent(void **state)
{
    struct bench *bench = *state;
    static const char check_now[] = "{\"cmd\":\"check-now\"}";
    bench_boot(bench);
    bench_until(bench, has_polled_thrice);
    bench_until(bench, is_connected);
    kedge_posix_device_destroy(bench->device);
    bench->agent.poll_interval_ms = 3600000;
    sim_board_reset(bench->board, KEDGE_RESET_SW);
    bench->telemetry_seen = 0;
    bench_boot(bench);
    bench_until(bench, has_sent_telemetry_twice);
    uint32_t before = bench->server.polls;
    bench_run_ms(bench, 300);
    assert_int_equal(bench->server.polls, before);

    bench->server.polls = 2;
    assert_int_equal(mosquitto_publish(bench->observer, NULL, "devices/board-1/cmd",
                                       sizeof(check_now) - 1, check_now, 1, false),
                     MOSQ_ERR_SUCCESS);

    bench_until(bench, has_polled_thrice);
}

static void an_update_is_downloaded_tried_and_confirmed(void **state)
{
    struct bench *bench = *state;
    bench_offer(bench, "1.1.0", "");
    bench_boot(bench);

    bench_until(bench, runs_1_1_0);

    assert_int_equal(bench->stats.downloads, 1);
    assert_int_equal(bench->stats.download_bytes, bench->server.offer.len);
    assert_int_equal(bench->reboots, 1);
    assert_true(bench->server.reports >= 1);
}

static bool has_no_dump(const struct bench *bench)
{
    struct kedge_crash crash;
    return !bench->plat.crash->describe(bench->plat.ctx, &crash);
}

static void a_core_dump_travels_over_the_one_connection_byte_for_byte(void **state)
{
    struct bench *bench = *state;
    struct kedge_crash crash;
    static uint8_t dump[sizeof(bench->server.dump)];
    assert_int_equal(sim_board_boot(bench->board), KEDGE_OK);
    sim_board_reset(bench->board, KEDGE_RESET_PANIC);
    bench_boot(bench);
    assert_true(bench->plat.crash->describe(bench->plat.ctx, &crash));
    assert_int_equal(bench->plat.crash->read(bench->plat.ctx, 0, dump, crash.size_bytes), KEDGE_OK);

    bench_until(bench, has_no_dump);

    assert_int_equal(bench->server.dump_len, crash.size_bytes);
    assert_memory_equal(bench->server.dump, dump, crash.size_bytes);
    assert_int_equal(bench->server.connections, 1);
}

/* The power fails within the step that a body callback of libcurl made. */
static void a_power_cut_in_the_middle_of_a_download_is_survived(void **state)
{
    struct bench *bench = *state;
    bench_offer(bench, "1.1.0", "");
    bench_boot(bench);
    for (bench->cuts_wanted = 1; bench->cuts_wanted <= 4; bench->cuts_wanted++) {
        sim_flash_cut(sim_board_flash(bench->board),
                      &(struct sim_cut){.nth = 5 * bench->cuts_wanted, .tear = SIM_TEAR_SEEDED});
        bench_until(bench, is_cut_and_back);
    }

    bench_until(bench, runs_1_1_0);
}

static void a_broken_download_goes_on_where_it_stopped(void **state)
{
    struct bench *bench = *state;
    bench_offer(bench, "1.1.0", "");
    bench->server.break_after = 20000;
    bench_boot(bench);

    bench_until(bench, runs_1_1_0);

    assert_int_equal(bench->server.ranges, 1);
    assert_int_equal(bench->stats.downloads, 2);
    assert_true(bench->stats.download_bytes < bench->server.offer.len + 4096);
    assert_true(bench->stats.http_failures >= 1);
}

static void an_image_that_cannot_reach_the_broker_goes_back(void **state)
{
    struct bench *bench = *state;
    bench_offer(bench, "1.1.0", "no_broker=1\n");
    bench->agent.trial_deadline_ms = 500;
    bench_boot(bench);

    bench_until(bench, is_back_on_1_0_0);

    assert_int_equal(bench->stats.downloads, 1);
}

static void without_a_server_requests_fail_and_without_a_broker_nothing_connects(void **state)
{
    struct bench *bench = *state;
    bench->is_cut_off = true;
    bench_boot(bench);

    bench_until(bench, has_failed_thrice);

    assert_int_equal(bench->server.connections, 0);
    assert_int_equal(bench->stats.mqtt_connects, 0);
}

static void a_frozen_device_is_not_stepped_any_more(void **state)
{
    struct bench *bench = *state;
    bench_boot(bench);
    bench_until(bench, has_polled_thrice);

    kedge_posix_device_freeze(bench->device);
    bench_run_ms(bench, 50);
    uint32_t before = bench->server.polls;
    bench_run_ms(bench, 400);

    assert_int_equal(bench->server.polls, before);
}

static void a_device_can_be_destroyed_before_it_has_done_anything(void **state)
{
    struct bench *bench = *state;
    bench_boot(bench);

    kedge_posix_device_destroy(bench->device);
    kedge_posix_device_destroy(NULL);
    bench->device = NULL;
    bench_run_ms(bench, 50);

    assert_int_equal(bench->server.connections, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(polls_share_one_kept_alive_connection),
        TEST(telemetry_reaches_a_real_broker),
        TEST(a_destroyed_device_is_announced_by_its_last_will),
        TEST(a_device_comes_back_when_the_broker_does),
        TEST(a_command_from_the_broker_reaches_the_agent),
        TEST(an_update_is_downloaded_tried_and_confirmed),
        TEST(a_core_dump_travels_over_the_one_connection_byte_for_byte),
        TEST(a_power_cut_in_the_middle_of_a_download_is_survived),
        TEST(a_broken_download_goes_on_where_it_stopped),
        TEST(an_image_that_cannot_reach_the_broker_goes_back),
        TEST(without_a_server_requests_fail_and_without_a_broker_nothing_connects),
        TEST(a_frozen_device_is_not_stepped_any_more),
        TEST(a_device_can_be_destroyed_before_it_has_done_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
