/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "esp_netif.h"

/* start.c, loop.c and netif.c: what kedge_start wants, where settings and certificates come from,
 * how the device learns that it has a network, and its watchdog. */

#define MARK_ERR   0 /* what kedge_start answered, + 1 */
#define MARK_AGAIN 1 /* the same, the second time */

static bool is_marked(const struct stub_world *world)
{
    return world->marks[MARK_AGAIN] != 0;
}

/* ---- what kedge_start answers ---- */

static void start_once(void)
{
    bench.world->marks[MARK_ERR] = (uint64_t)kedge_start(&bench.config) + 1u;
    bench.world->marks[MARK_AGAIN] = 1;
}

static void start_twice(void)
{
    bench.world->marks[MARK_ERR] = (uint64_t)kedge_start(&bench.config) + 1u;
    bench.world->marks[MARK_AGAIN] = (uint64_t)kedge_start(&bench.config) + 1u;
}

static void start_without_config(void)
{
    bench.world->marks[MARK_ERR] = (uint64_t)kedge_start(NULL) + 1u;
    bench.world->marks[MARK_AGAIN] = 1;
}

static void expect_start(void (*app)(void), esp_err_t expected)
{
    memset(bench.world->marks, 0, sizeof bench.world->marks);
    assert_int_equal(stub_boot(bench.world, app, 60000, is_marked), STUB_STOPPED);
    assert_int_equal(bench.world->marks[MARK_ERR], (uint64_t)expected + 1u);
}

static void without_a_configuration_nothing_starts(void **state)
{
    (void)state;
    expect_start(start_without_config, ESP_ERR_INVALID_ARG);
}

static void it_starts_once(void **state)
{
    (void)state;
    expect_start(start_twice, ESP_OK);
    assert_int_equal(bench.world->marks[MARK_AGAIN], ESP_ERR_INVALID_STATE + 1);
    bench_expect_log("I kedge: version 1.0.0");
    bench_expect_log("I kedge: config device");
}

static void a_table_without_a_journal_is_named(void **state)
{
    (void)state;
    stub_partition("fleet")->size = 0x1000;
    expect_start(start_once, ESP_ERR_NOT_FOUND);
    bench_expect_log("E kedge: no_journal partitions.csv needs a line: fleet, 0x40, 0x00");
    stub_partition("fleet")->subtype = (esp_partition_subtype_t)7;
    expect_start(start_once, ESP_ERR_NOT_FOUND);
}

static void defaults_that_are_none_are_named(void **state)
{
    static struct kedge_settings defaults;

    (void)state;
    kedge_settings_defaults(&defaults);
    bench.config.defaults = &defaults;

    expect_start(start_once, ESP_ERR_INVALID_ARG);

    bench_expect_log("E kedge: settings_refused device_id");
}

static void what_a_call_underneath_answers_is_handed_on_and_tried_again(void **state)
{
    static const struct {
        const char *call;
        esp_err_t result;
    } rows[] = {
        {"esp_efuse_mac_get_default", ESP_ERR_INVALID_ARG},
        {"esp_efuse_mac_get_default", ESP_ERR_INVALID_CRC},
        {"esp_event_handler_instance_register", ESP_ERR_NO_MEM},
        {"esp_event_handler_instance_register", ESP_ERR_INVALID_ARG},
        {"esp_event_handler_instance_register", ESP_FAIL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stub_fault_clear(bench.world);
        stub_fault_arm(bench.world, rows[i].call, 1, rows[i].result);
        expect_start(start_twice, rows[i].result);
        assert_int_equal(bench.world->marks[MARK_AGAIN], ESP_OK + 1);
    }
}

/* ---- settings ---- */

static bool has_telemetry(const struct stub_world *world)
{
    return world->broker.message_count > 1;
}

static struct kedge_telemetry last_telemetry(const char *topic)
{
    const struct stub_message *message = bench_message(topic);
    struct kedge_telemetry telemetry;
    struct kedge_fault fault;

    assert_non_null(message);
    assert_int_equal(
        kedge_telemetry_parse((struct kedge_cspan){(const uint8_t *)message->payload, message->len},
                              &telemetry, &fault),
        KEDGE_OK);
    return telemetry;
}

static void without_storage_it_runs_on_menuconfig_s_defaults(void **state)
{
    (void)state;
    bench.config.storage_path = NULL;
    bench.config.fallback_ca = "fallback CA";

    bench_boot(STUB_STOPPED, 600000, has_telemetry);

    bench_expect_log("I kedge: config safe_mode");
    bench_expect_log("W kedge: file_fallback ca.pem");
    bench_expect_log("W kedge: file_missing device.key");
    assert_string_equal(bench.world->broker.uri, "mqtts://kedge.invalid:8883");
    assert_string_equal(bench.world->broker.client_id, "esp-240ac40001fe");
    assert_false(bench.world->broker.has_identity);
    assert_int_equal(last_telemetry("devices/esp-240ac40001fe/telemetry").config_source,
                     KEDGE_CONFIG_SAFE_MODE);
    bench_boot(STUB_STOPPED, 600000, bench_polled);
    assert_string_equal(bench.world->server.client_url, "https://kedge.invalid:8443");
    assert_string_equal(bench.world->server.client_ca, "fallback CA");
}

static void defaults_of_the_application_s_own_come_first(void **state)
{
    static struct kedge_settings defaults;

    (void)state;
    kedge_settings_defaults(&defaults);
    (void)snprintf(defaults.device_id, sizeof defaults.device_id, "%s", "own");
    (void)snprintf(defaults.server_url, sizeof defaults.server_url, "%s", "https://own.example");
    (void)snprintf(defaults.broker_host, sizeof defaults.broker_host, "%s", "own.example");
    bench.config.defaults = &defaults;
    bench.config.storage_path = NULL;

    bench_boot(STUB_STOPPED, 600000, has_telemetry);

    assert_string_equal(bench.world->broker.client_id, "own");
}

static void a_broken_configuration_is_named_and_the_factory_s_used(void **state)
{
    (void)state;
    bench_file("device.json", "{\"schema\": 1,\n\"device_id\": \"bad id\",\n\"pol\": 1}\n");
    bench_file("factory.json", "{\"schema\": 1, \"device_id\": \"made-1\",\n"
                               " \"server_url\": \"https://ota.example\",\n"
                               " \"broker_host\": \"mqtt.example\"}\n");

    bench_boot(STUB_STOPPED, 600000, has_telemetry);

    bench_expect_log("E kedge: settings_refused line 2: device_id");
    bench_expect_log("E kedge: settings_refused line 3: pol");
    bench_expect_log("I kedge: config factory");
    assert_string_equal(bench.world->broker.client_id, "made-1");
}

static void a_certificate_that_is_too_large_is_replaced_by_the_fallback(void **state)
{
    static char large[9000];

    (void)state;
    memset(large, 'x', sizeof large - 1);
    bench_file("ca.pem", large);
    bench_file("device.key", NULL);
    bench.config.fallback_ca = "fallback CA";
    bench.config.fallback_key = "fallback key";

    bench_boot(STUB_STOPPED, 600000, bench_polled);

    assert_string_equal(bench.world->server.client_ca, "fallback CA");
    assert_true(bench.world->server.client_has_identity);
    bench_expect_log("W kedge: file_fallback device.key");
}

/* ---- the network ---- */

static const struct {
    int32_t up, down;
} links[] = {
    {IP_EVENT_STA_GOT_IP, IP_EVENT_STA_LOST_IP},
    {IP_EVENT_ETH_GOT_IP, IP_EVENT_ETH_LOST_IP},
    {IP_EVENT_PPP_GOT_IP, IP_EVENT_PPP_LOST_IP},
    {IP_EVENT_GOT_IP6, IP_EVENT_STA_LOST_IP},
};

static void an_address_on_any_interface_is_a_network(void **state)
{
    void *none = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        assert_int_equal(bench_setup(&none), 0);
        bench.world->has_address = false;
        stub_at(bench.world, 100000, stub_ip_event, (void *)(intptr_t)links[i].up);
        stub_at(bench.world, 400000, stub_ip_event, (void *)(intptr_t)links[i].down);

        bench_boot(STUB_TIME_IS_UP, 700000, NULL);

        assert_true(bench_request(BENCH_POLL, 1)->at_ms >= 100000);
        for (uint32_t k = 0; k < bench.world->server.request_count; k++) {
            assert_true(bench.world->server.requests[k].at_ms < 400000);
        }
        assert_true(bench.world->broker.messages[0].at_ms >= 100000);
        assert_int_equal(bench_teardown(&none), 0);
    }
}

static void another_event_is_no_address(void **state)
{
    (void)state;
    bench.world->has_address = false;
    stub_at(bench.world, 1000, stub_ip_event, (void *)(intptr_t)IP_EVENT_AP_STAIPASSIGNED);

    bench_boot(STUB_TIME_IS_UP, 300000, NULL);

    assert_int_equal(bench.world->server.request_count, 0);
    assert_int_equal(bench.world->broker.clients, 0);
}

static void an_interface_that_cannot_be_asked_is_waited_for(void **state)
{
    static const struct {
        const char *call;
        int64_t result;
    } rows[] = {
        {"esp_netif_get_default_netif", 0},
        {"esp_netif_get_ip_info", ESP_ERR_ESP_NETIF_INVALID_PARAMS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stub_fault_arm(bench.world, rows[i].call, 1, rows[i].result);
        stub_at(bench.world, 200000, stub_ip_event, (void *)(intptr_t)IP_EVENT_STA_GOT_IP);
        bench.world->server.request_count = 0;

        bench_boot(STUB_STOPPED, 600000, bench_polled);

        assert_true(bench_request(BENCH_POLL, 1)->at_ms >= 200000);
        memset(bench.world->steps, 0, sizeof bench.world->steps);
        stub_fault_clear(bench.world);
    }
}

/* ---- the loop ---- */

static void a_boot_whose_flash_cannot_be_read_restarts(void **state)
{
    (void)state;
    stub_fault_arm(bench.world, "esp_partition_read:otadata", 1, ESP_ERR_FLASH_OP_FAIL);

    bench_boot(STUB_RESTARTED, 600000, NULL);

    bench_expect_log("boot_failed");
    bench_expect_log("I kedge: restart");
}

static void a_firmware_without_a_task_watchdog_runs_and_says_so(void **state)
{
    static const esp_err_t errors[] = {ESP_ERR_NO_MEM, ESP_ERR_INVALID_ARG, ESP_FAIL};

    (void)state;
    bench.world->watchdog_ms = 0;
    bench_boot(STUB_STOPPED, 600000, has_telemetry);
    bench_expect_log("E kedge: not_watched ESP_ERR_INVALID_STATE: set CONFIG_ESP_TASK_WDT_INIT");

    bench.world->watchdog_ms = 15000;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        bench.world->log_count = 0;
        stub_fault_arm(bench.world, "esp_task_wdt_add", 1, errors[i]);
        bench_boot(STUB_TIME_IS_UP, 100000, NULL);
        bench_expect_log("E kedge: not_watched");
        stub_fault_clear(bench.world);
    }
}

static void the_watchdog_is_fed_as_long_as_all_goes_well(void **state)
{
    (void)state;
    bench.world->watchdog_ms = 2000;
    bench_boot(STUB_TIME_IS_UP, 3600000, NULL);
}

static void a_watchdog_that_is_not_fed_bites(void **state)
{
    (void)state;
    stub_fault_arm(bench.world, "esp_task_wdt_reset", 0, ESP_ERR_NOT_FOUND);
    bench_boot(STUB_WATCHDOG, 600000, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_configuration_nothing_starts),
        CASE(it_starts_once),
        CASE(a_table_without_a_journal_is_named),
        CASE(defaults_that_are_none_are_named),
        CASE(what_a_call_underneath_answers_is_handed_on_and_tried_again),
        CASE(without_storage_it_runs_on_menuconfig_s_defaults),
        CASE(defaults_of_the_application_s_own_come_first),
        CASE(a_broken_configuration_is_named_and_the_factory_s_used),
        CASE(a_certificate_that_is_too_large_is_replaced_by_the_fallback),
        cmocka_unit_test(an_address_on_any_interface_is_a_network),
        CASE(another_event_is_no_address),
        CASE(an_interface_that_cannot_be_asked_is_waited_for),
        CASE(a_boot_whose_flash_cannot_be_read_restarts),
        CASE(a_firmware_without_a_task_watchdog_runs_and_says_so),
        CASE(the_watchdog_is_fed_as_long_as_all_goes_well),
        CASE(a_watchdog_that_is_not_fed_bites),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
