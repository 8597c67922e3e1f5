/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "esp_timer.h"
#include "mqtt_client.h"

/* tests/idf_stubs itself: what a test relies on when it says that the port works. */

static void wait_for_nobody(void)
{
    (void)ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
}

static void tasks_that_wait_for_each_other_are_a_deadlock(void **state)
{
    (void)state;
    assert_int_equal(stub_boot(bench.world, wait_for_nobody, 60000, NULL), STUB_DEADLOCK);
}

/* A handler that waits for a task, which waits for the client's lock. */
static StaticQueue_t queue;
static uint8_t item[1];
static QueueHandle_t taken;

static void wait_in_handler(void *arg, esp_event_base_t base, int32_t id, void *data)
{
    uint8_t byte;

    (void)arg;
    (void)base;
    (void)data;
    if (id == MQTT_EVENT_CONNECTED) {
        (void)xQueueReceive(taken, &byte, portMAX_DELAY);
    }
}

static void wait_for_lock(void)
{
    const esp_mqtt_client_config_t config = {
        .broker.address.uri = "mqtts://a",
        .credentials.client_id = "a",
        .session.last_will = {.topic = "t", .msg = "m", .msg_len = 1}};
    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&config);

    taken = xQueueCreateStatic(1, 1, item, &queue);
    (void)esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, wait_in_handler, NULL);
    (void)esp_mqtt_client_start(client);
    (void)ulTaskNotifyTake(pdTRUE, 100);
    (void)esp_mqtt_client_enqueue(client, "topic", "text", 4, 1, 0, true);
    (void)xQueueSend(taken, "x", portMAX_DELAY);
}

static void a_handler_that_waits_for_a_task_that_waits_for_the_client_is_a_deadlock(void **state)
{
    (void)state;
    assert_int_equal(stub_boot(bench.world, wait_for_lock, 60000, NULL), STUB_DEADLOCK);
}

static void crash(void)
{
    abort();
}

static void fail_it(void)
{
    stub_fail("as it should");
}

static void a_boot_that_crashes_or_fails_is_seen(void **state)
{
    (void)state;
    assert_int_equal(stub_boot(bench.world, crash, 60000, NULL), STUB_FAILED);
    assert_int_equal(stub_boot(bench.world, fail_it, 60000, NULL), STUB_FAILED);
    assert_string_equal(bench.world->message, "as it should");
}

static void count_boots(void)
{
    static uint64_t in_ram;
    const esp_partition_t *nvs = stub_partition("nvs");
    uint8_t bytes[16];

    if (esp_partition_read(nvs, 0, bytes, sizeof bytes) != ESP_OK) {
        stub_fail("cannot read");
    }
    bench.world->marks[0] = ++in_ram;
    bench.world->marks[1] = bytes[0];
    memset(bytes, 7, sizeof bytes);
    if (esp_partition_erase_range(nvs, 0, 4096) != ESP_OK ||
        esp_partition_write(nvs, 0, bytes, sizeof bytes) != ESP_OK) {
        stub_fail("cannot write");
    }
}

static void a_reset_forgets_memory_and_keeps_flash(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stub_boot(bench.world, count_boots, 60000, NULL), STUB_DEADLOCK);
        assert_int_equal(bench.world->marks[0], 1);
        assert_int_equal(bench.world->marks[1], i == 0 ? 0xFF : 7);
    }
}

static void sleep_an_hour(void)
{
    for (int i = 0; i < 3600; i++) {
        (void)ulTaskNotifyTake(pdTRUE, configTICK_RATE_HZ);
    }
    bench.world->marks[0] = (uint64_t)esp_timer_get_time() / 1000000u;
}

static void time_passes_while_all_wait(void **state)
{
    (void)state;
    assert_int_equal(stub_boot(bench.world, sleep_an_hour, 7200000, NULL), STUB_DEADLOCK);
    assert_in_range(bench.world->marks[0], 3600, 3601);
}

static void nothing_boots_from_an_empty_chip(void **state)
{
    (void)state;
    sim_flash_program(bench.world->flash, bench.world->layout.slots[0].offset, "", 1);
    assert_int_equal(stub_boot(bench.world, crash, 60000, NULL), STUB_NO_BOOT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tasks_that_wait_for_each_other_are_a_deadlock),
        CASE(a_handler_that_waits_for_a_task_that_waits_for_the_client_is_a_deadlock),
        CASE(a_boot_that_crashes_or_fails_is_seen),
        CASE(a_reset_forgets_memory_and_keeps_flash),
        CASE(time_passes_while_all_wait),
        CASE(nothing_boots_from_an_empty_chip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
