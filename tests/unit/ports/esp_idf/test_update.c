/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

#include "esp_image_format.h"
#include "esp_ota_ops.h"

/* The whole life of an update, over the ESP-IDF port: good images, bad ones, and what interrupts
 * them. */

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

/* ---- good images ---- */

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

static void a_second_update_goes_back_to_the_first_slot(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 0);
    bench_live(3, bench_committed);
    bench.world->server.report_count = 0;
    bench_offer("1.2.0", "", 0);

    bench_live(4, bench_committed);

    assert_int_equal(bench.world->running_slot, 0);
    assert_string_equal(bench.world->running.version, "1.2.0");
}

static bool has_100000(const struct stub_world *world)
{
    return world->server.body_bytes >= 100000;
}

static void a_download_that_a_reset_breaks_goes_on_where_it_was(void **state)
{
    const struct stub_request *request;

    (void)state;
    bench_offer("1.1.0", "", 300000);
    bench_boot(STUB_STOPPED, 600000, has_100000);

    bench.world->server.request_count = 0;
    bench_live(3, bench_committed);

    request = bench_request(BENCH_POLL, 1);
    assert_string_equal(request->range, "bytes=65536-");
    assert_int_equal(request->status, 206);
    assert_true(bench.world->server.body_bytes < 350000);
}

static void a_download_that_the_network_breaks_goes_on_without_a_reset(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 300000);
    bench.world->server.break_after = 100000;
    bench.world->server.breaks = 1;

    bench_boot(STUB_RESTARTED, 600000, NULL);

    assert_string_equal(bench_request(BENCH_POLL, 2)->range, "bytes=98304-");
    assert_int_equal(bench_request(BENCH_POLL, 2)->status, 206);
    bench_expect_log("http_broke /ota/firmware.bin -1");
}

static void a_server_that_stops_in_the_middle_of_a_body_costs_a_time_out(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 200000);
    bench.world->server.stall_after = 50000;

    bench_boot(STUB_TIME_IS_UP, 100000, NULL);

    bench_expect_log("http_broke /ota/firmware.bin -28679");
    bench.world->server.stall_after = 0;
    bench_live(3, bench_committed);
}

static void short_reads_and_short_writes_make_whole_bodies(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 60000);
    bench.world->server.read_max = 700;
    bench.world->server.write_max = 50;

    bench_live(3, bench_committed);

    bench_expect_reports("verified none, committed none");
}

/* ---- bad images ---- */

struct bad_image {
    const char *behaviour;
    enum stub_end end; /* of the trial */
    const char *reports;
};

static void expect_way_back(const struct bad_image *bad)
{
    void *none = NULL;

    assert_int_equal(bench_setup(&none), 0);
    bench_offer("1.1.0", bad->behaviour, 0);

    bench_boot(STUB_RESTARTED, 600000, NULL);
    bench_boot(bad->end, 600000, NULL);
    assert_int_equal(bench.world->running_slot, 1);
    bench_live(3, bench_rolled_back);

    assert_int_equal(bench.world->running_slot, 0);
    bench_expect_reports(bad->reports);
    assert_int_equal(bench_teardown(&none), 0);
}

static void a_bad_image_is_left_and_the_server_hears_why(void **state)
{
    static const struct bad_image images[] = {
        {"panic_at_boot_ms=5000\n", STUB_PANICKED, "verified none, rolled_back panic"},
        {"hang_at_ms=10000\n", STUB_WATCHDOG, "verified none, rolled_back watchdog"},
        {"restart_at_ms=20000\n", STUB_RESTARTED, "verified none, rolled_back restart"},
        {"no_broker=1\n", STUB_RESTARTED, "verified none, rolled_back broker"},
        {"self_test=fail\n", STUB_RESTARTED, "verified none, rolled_back self_test"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
        expect_way_back(&images[i]);
    }
}

static void a_power_cut_during_the_trial_is_no_fault_of_the_image(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 0);
    bench_boot(STUB_RESTARTED, 600000, NULL);
    bench_boot(STUB_TIME_IS_UP, 10000, NULL);
    assert_int_equal(bench.world->running_slot, 1);

    bench_live(4, bench_committed);

    assert_int_equal(bench.world->running_slot, 1);
    bench_expect_reports("verified none, rearmed power, committed none");
}

static void an_image_for_another_chip_never_boots(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 0);
    bench.update.data[0x0C] = KEDGE_CHIP_ESP32S3;

    bench_live(1, bench_rejected);

    bench_expect_reports("rejected chip");
    assert_int_equal(bench.world->boots, 1);
}

/* ---- the application's say ---- */

static bool may_update(void *ctx, const struct kedge_offer *offer)
{
    (void)ctx;
    bench.world->marks[0]++;
    return strcmp(offer->version, "1.1.0") == 0 && bench.world->marks[0] > 2;
}

static void the_application_may_put_an_update_off(void **state)
{
    (void)state;
    bench.config.may_update = may_update;
    bench_offer("1.1.0", "", 0);

    bench_live(3, bench_committed);

    assert_true(bench.world->marks[0] >= 3);
    bench_expect_reports("deferred veto, verified none, committed none");
}

static void an_update_waits_while_no_block_of_heap_is_large_enough(void **state)
{
    (void)state;
    bench.world->largest_block = CONFIG_KEDGE_BLOCK_FLOOR - 1u;
    bench_offer("1.1.0", "", 0);

    bench_boot(STUB_TIME_IS_UP, 300000, NULL);

    bench_expect_reports("deferred heap");
    assert_int_equal(bench.world->server.body_bytes > 0, 0);
}

/* ---- what ESP-IDF's calls may answer, in the middle of an update ---- */

static bool is_settled(const struct stub_world *world)
{
    return bench_committed(world) || bench_rejected(world) || bench_rolled_back(world);
}

static const struct {
    const char *call;
    int64_t result;
} flash_faults[] = {
    {"esp_ota_begin", ESP_ERR_NO_MEM},
    {"esp_ota_abort", ESP_ERR_NOT_FOUND},
    {"esp_partition_erase_range:ota_1", ESP_ERR_FLASH_OP_FAIL},
    {"esp_partition_write:ota_1", ESP_ERR_FLASH_OP_TIMEOUT},
    {"esp_partition_read:ota_1", ESP_ERR_FLASH_OP_FAIL},
    {"esp_partition_read:otadata", ESP_ERR_FLASH_OP_FAIL},
    {"esp_partition_read:fleet", ESP_ERR_FLASH_OP_FAIL},
    {"esp_partition_write:fleet", ESP_ERR_FLASH_OP_FAIL},
    {"esp_partition_erase_range:fleet", ESP_ERR_FLASH_OP_TIMEOUT},
    {"esp_image_verify", ESP_ERR_IMAGE_FLASH_FAIL},
    {"esp_ota_set_boot_partition", ESP_ERR_FLASH_OP_FAIL},
    {"esp_ota_mark_app_valid_cancel_rollback", ESP_ERR_FLASH_OP_FAIL},
    {"esp_ota_get_state_partition", ESP_ERR_NOT_FOUND},
};

/* Whatever fails once: the device settles, and runs an image that boots. */
static void a_flash_call_that_fails_once_never_strands_the_device(void **state)
{
    void *none = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof flash_faults / sizeof flash_faults[0]; i++) {
        for (uint32_t nth = 1; nth <= 3; nth++) {
            assert_int_equal(bench_setup(&none), 0);
            bench_offer("1.1.0", "", 20000);
            bench.world->server.is_stubborn = true;
            stub_fault_arm(bench.world, flash_faults[i].call, nth, flash_faults[i].result);

            bench_live(8, is_settled);

            assert_true(stub_bootloader(bench.world));
            assert_int_equal(bench_teardown(&none), 0);
        }
    }
}

/* Does everything up to `boot`, in which the power fails at the nth flash operation. True = it
 * struck. */
static bool cut_in_boot(uint32_t boot, uint64_t nth)
{
    const struct sim_cut cut = {.nth = nth, .tear = SIM_TEAR_SEEDED, .detail = (uint32_t)nth};
    enum stub_end end;

    for (uint32_t i = 0; i < boot; i++) {
        bench_boot(STUB_RESTARTED, 600000, NULL);
    }
    sim_flash_cut(bench.world->flash, &cut);
    end = stub_boot(bench.world, bench_app, 600000, bench_committed);
    assert_true(end == STUB_POWER_CUT || end == STUB_RESTARTED || end == STUB_STOPPED);
    return end == STUB_POWER_CUT;
}

/* The sweep of tests/powerloss lives many more lives, but on the simulator's platform. */
static void a_power_cut_at_any_flash_operation_delays_the_update_and_no_more(void **state)
{
    void *none = NULL;

    (void)state;
    for (uint32_t boot = 0; boot < 2; boot++) {
        bool has_struck = true;
        uint64_t nth = 1;

        for (; has_struck; nth++) {
            assert_int_equal(bench_setup(&none), 0);
            bench_offer("1.1.0", "", 0);
            has_struck = cut_in_boot(boot, nth);

            bench_live(8, bench_committed);

            assert_int_equal(bench.world->running_slot, 1);
            assert_int_equal(bench_teardown(&none), 0);
        }
        assert_true(nth > 5);
    }
}

#ifdef STUB_ANTI_ROLLBACK

static void a_commit_raises_the_anti_rollback_floor(void **state)
{
    (void)state;
    bench_offer("9.9.9", "", 0); /* secure version 1 */
    bench_live(3, bench_committed);

    assert_int_equal(bench.world->secure_version, 1);

    assert_string_equal(bench_request(BENCH_POLL, 1)->caps, "rollback");

    bench_offer("1.1.0", "", 0); /* secure version 0 */
    bench_live(2, bench_rejected);

    bench_expect_reports("verified none, committed none, rejected secure_version");
}

static void an_eFuse_without_a_bit_left_confirms_all_the_same(void **state)
{
    (void)state;
    bench_offer("9.9.9", "", 0);
    bench_boot(STUB_RESTARTED, 600000, NULL);
    stub_fault_arm(bench.world, "esp_ota_mark_app_valid_cancel_rollback", 1, ESP_ERR_INVALID_ARG);

    bench_live(1, bench_committed);

    bench_expect_log("anti-rollback floor: 0x102");
}

#endif

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_update_is_downloaded_tried_committed_and_reported),
        CASE(a_second_update_goes_back_to_the_first_slot),
        CASE(a_download_that_a_reset_breaks_goes_on_where_it_was),
        CASE(a_download_that_the_network_breaks_goes_on_without_a_reset),
        CASE(a_server_that_stops_in_the_middle_of_a_body_costs_a_time_out),
        CASE(short_reads_and_short_writes_make_whole_bodies),
        cmocka_unit_test(a_bad_image_is_left_and_the_server_hears_why),
        CASE(a_power_cut_during_the_trial_is_no_fault_of_the_image),
        CASE(an_image_for_another_chip_never_boots),
        CASE(the_application_may_put_an_update_off),
        CASE(an_update_waits_while_no_block_of_heap_is_large_enough),
        cmocka_unit_test(a_flash_call_that_fails_once_never_strands_the_device),
        cmocka_unit_test(a_power_cut_at_any_flash_operation_delays_the_update_and_no_more),
#ifdef STUB_ANTI_ROLLBACK
        CASE(a_commit_raises_the_anti_rollback_floor),
        CASE(an_eFuse_without_a_bit_left_confirms_all_the_same),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
