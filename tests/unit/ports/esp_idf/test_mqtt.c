/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

/* mqtt.c: what goes over esp-mqtt, and what becomes of each of its answers and events. */

#define TELEMETRY "devices/bench-1/telemetry"
#define STATUS    "devices/bench-1/status"

static uint32_t count_of(const struct stub_world *world, const char *topic)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->broker.message_count && i < STUB_MESSAGES; i++) {
        count += strcmp(world->broker.messages[i].topic, topic) == 0;
    }
    return count;
}

static bool has_telemetry(const struct stub_world *world)
{
    return count_of(world, TELEMETRY) > 0;
}

static bool has_two_telemetries(const struct stub_world *world)
{
    return count_of(world, TELEMETRY) > 1;
}

/* ---- the connection ---- */

static void the_client_is_made_as_the_configuration_says(void **state)
{
    const struct stub_broker *broker = &bench.world->broker;

    (void)state;
    bench_boot(STUB_STOPPED, 600000, has_telemetry);

    assert_int_equal(broker->clients, 1);
    assert_string_equal(broker->uri, "mqtts://mqtt.example:8883");
    assert_string_equal(broker->client_id, "bench-1");
    assert_string_equal(broker->topic, "devices/bench-1/cmd");
    assert_string_equal(broker->will_topic, STATUS);
    assert_string_equal(broker->will, "offline");
    assert_int_equal(broker->will_qos, 1);
    assert_int_equal(broker->will_retain, 1);
    assert_int_equal(broker->keepalive, 60);
    assert_in_range(broker->reconnect_ms, 5000, 9999);
    assert_int_equal(broker->outbox_limit, 8192);
    assert_int_equal(broker->stack_size, CONFIG_KEDGE_MQTT_STACK);
    assert_int_equal(broker->priority, CONFIG_KEDGE_PRIORITY);
    assert_true(broker->has_ca && broker->has_identity);
}

static void the_device_says_that_it_is_online_and_how_it_is(void **state)
{
    struct kedge_telemetry telemetry;
    const struct stub_message *message;
    struct kedge_fault fault;

    (void)state;
    bench_boot(STUB_STOPPED, 600000, has_telemetry);

    message = bench_message(STATUS);
    assert_non_null(message);
    assert_string_equal(message->payload, "online");
    assert_true(message->retain);
    message = bench_message(TELEMETRY);
    assert_false(message->retain);
    assert_int_equal(
        kedge_telemetry_parse((struct kedge_cspan){(const uint8_t *)message->payload, message->len},
                              &telemetry, &fault),
        KEDGE_OK);
    assert_string_equal(telemetry.firmware, "1.0.0");
    assert_int_equal(telemetry.free_heap_bytes, 180000);
    assert_int_equal(telemetry.min_free_heap_bytes, 150000);
    assert_int_equal(telemetry.largest_block_bytes, 110000);
    assert_int_equal(telemetry.rssi_dbm, -60);
    assert_int_equal(telemetry.temperature_mc, 21500);
    assert_int_equal(telemetry.config_source, KEDGE_CONFIG_DEVICE);
    assert_int_equal(telemetry.reset_reason, KEDGE_RESET_POWERON);
}

static void a_lost_connection_comes_back_and_says_so_again(void **state)
{
    (void)state;
    stub_at(bench.world, 90000, stub_drop_broker, NULL);

    bench_boot(STUB_TIME_IS_UP, 300000, NULL);

    assert_int_equal(bench.world->broker.disconnects, 1);
    assert_int_equal(bench.world->broker.connects, 2);
    assert_int_equal(bench.world->broker.clients, 1);
    assert_int_equal(count_of(bench.world, STATUS), 2);
}

static void a_broker_that_is_down_is_tried_again(void **state)
{
    (void)state;
    bench.broker_is_down = true;

    bench_boot(STUB_TIME_IS_UP, 120000, NULL);

    assert_true(bench.world->broker.disconnects > 3);
    assert_int_equal(bench.world->broker.message_count, 0);
    assert_non_null(stub_request_find(bench.world, BENCH_POLL, 1));
}

static void allow_subscriptions(const void *unused)
{
    (void)unused;
    bench.world->broker.refuses_subscription = false;
}

static void a_subscription_that_the_broker_refuses_is_no_connection(void **state)
{
    (void)state;
    bench.world->broker.refuses_subscription = true;
    stub_at(bench.world, 60000, allow_subscriptions, NULL);

    bench_boot(STUB_STOPPED, 600000, has_telemetry);

    bench_expect_log("E kedge: subscribe_refused devices/bench-1/cmd: see the broker's ACL");
    assert_true(bench.world->broker.disconnects > 2);
    assert_true(bench_message(STATUS)->at_ms > 60000);
}

/* ---- every call, every documented answer ---- */

static const struct {
    const char *call;
    int64_t result;
    const char *log;
    uint32_t destroyed;
} start_answers[] = {
    {"esp_mqtt_client_init", 0, "mqtt_init_failed mqtts://mqtt.example:8883", 0},
    {"esp_mqtt_client_register_event", ESP_ERR_NO_MEM, "mqtt_start_failed ESP_ERR_NO_MEM", 1},
    {"esp_mqtt_client_register_event", ESP_ERR_INVALID_ARG, "mqtt_start_failed", 1},
    {"esp_mqtt_client_start", ESP_ERR_INVALID_ARG, "mqtt_start_failed", 1},
    {"esp_mqtt_client_start", ESP_FAIL, "mqtt_start_failed ESP_FAIL", 1},
};

static void a_client_that_cannot_be_started_is_made_again_after_half_a_minute(void **state)
{
    void *none = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof start_answers / sizeof start_answers[0]; i++) {
        assert_int_equal(bench_setup(&none), 0);
        stub_fault_arm(bench.world, start_answers[i].call, 1, start_answers[i].result);

        bench_boot(STUB_STOPPED, 600000, has_telemetry);

        bench_expect_log(start_answers[i].log);
        assert_int_equal(bench.world->broker.destroyed, start_answers[i].destroyed);
        assert_in_range(bench_message(STATUS)->at_ms, 30000, 35000);
        assert_int_equal(bench_teardown(&none), 0);
    }
}

static void a_client_that_cannot_even_be_destroyed_changes_nothing(void **state)
{
    (void)state;
    stub_fault_arm(bench.world, "esp_mqtt_client_start", 1, ESP_FAIL);
    stub_fault_arm(bench.world, "esp_mqtt_client_destroy", 1, ESP_ERR_INVALID_ARG);

    bench_boot(STUB_STOPPED, 600000, has_telemetry);
}

static void a_subscription_that_cannot_be_sent_costs_the_connection(void **state)
{
    void *none = NULL;

    (void)state;
    for (int64_t result = -2; result < 0; result++) {
        assert_int_equal(bench_setup(&none), 0);
        stub_fault_arm(bench.world, "esp_mqtt_client_subscribe_single", 1, result);

        bench_boot(STUB_STOPPED, 600000, has_telemetry);

        bench_expect_log("W kedge: subscribe_failed devices/bench-1/cmd");
        assert_int_equal(bench.world->broker.connects, 2);
        assert_int_equal(bench_teardown(&none), 0);
    }
}

static void a_message_that_cannot_be_queued_is_lost_and_the_next_is_not(void **state)
{
    void *none = NULL;

    (void)state;
    for (int64_t result = -2; result <= 0; result++) {
        assert_int_equal(bench_setup(&none), 0);
        stub_fault_arm(bench.world, "esp_mqtt_client_enqueue", 2, result);

        bench_boot(STUB_STOPPED, 600000, has_telemetry);

        bench_expect_log("W kedge: publish_failed");
        assert_int_equal(bench_teardown(&none), 0);
    }
}

/* ---- acknowledgements ---- */

static void what_the_outbox_gives_up_is_forgotten(void **state)
{
    (void)state;
    bench.world->broker.keeps_acks = true;
    bench.world->broker.expire_ms = 20000;

    bench_boot(STUB_TIME_IS_UP, 1200000, NULL);

    assert_true(count_of(bench.world, TELEMETRY) > 12);
}

static void more_messages_than_tokens_lose_the_oldest_token_only(void **state)
{
    struct port port = {0};

    (void)state;
    for (int id = 1; id <= 9; id++) {
        const struct kedge_mqtt_message message = {
            .payload = "x", .payload_len = 1, .token = (uint32_t)id * 10u};

        stub_fault_arm(bench.world, "esp_mqtt_client_enqueue", 1, id);
        port_mqtt_publish(&port, &message);
        stub_fault_clear(bench.world);
    }
    assert_int_equal(port_mqtt_take_token(&port, 1), 0);
    for (int id = 2; id <= 9; id++) {
        assert_int_equal(port_mqtt_take_token(&port, id), id * 10);
        assert_int_equal(port_mqtt_take_token(&port, id), 0);
    }
}

static void an_acknowledgement_without_a_message_is_none_of_ours(void **state)
{
    struct port port = {0};
    const struct kedge_mqtt_message message = {.payload = "x", .payload_len = 1, .token = 5};

    (void)state;
    stub_fault_arm(bench.world, "esp_mqtt_client_enqueue", 1, 3);
    port_mqtt_publish(&port, &message);
    assert_int_equal(port_mqtt_take_token(&port, 3), 5);
    assert_int_equal(port_mqtt_take_token(&port, 0), 0);
    assert_int_equal(port_mqtt_take_token(&port, -1), 0);
}

/* ---- commands ---- */

static void a_command_is_carried_out(void **state)
{
    (void)state;
    bench.world->server.poll_after_s = 3600;
    stub_at(bench.world, 200000, stub_command, "{\"cmd\":\"check-now\"}");

    bench_boot(STUB_TIME_IS_UP, 220000, NULL);

    assert_in_range(bench_request(BENCH_POLL, 2)->at_ms, 200000, 201000);
}

static void a_log_level_by_command_is_that_of_the_whole_firmware(void **state)
{
    static char commands[5][48];

    (void)state;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(commands[i], sizeof commands[i], "{\"cmd\":\"log-level\",\"value\":%d}", i);
        stub_at(bench.world, 60000, stub_command, commands[i]);
        bench_boot(STUB_TIME_IS_UP, 70000, NULL);
        assert_int_equal(bench.world->log_level, i);
        memset(bench.world->steps, 0, sizeof bench.world->steps);
    }
}

static void what_is_no_command_is_refused(void **state)
{
    static char large[PORT_COMMAND_MAX + 2];

    (void)state;
    memset(large, 'x', sizeof large - 1);
    stub_at(bench.world, 60000, stub_command, large);
    stub_at(bench.world, 61000, stub_command, "");
    stub_at(bench.world, 62000, stub_command, "{\"cmd\":\"self-destruct\"}");

    bench_boot(STUB_TIME_IS_UP, 100000, NULL);

    bench_expect_log("command_refused 129 bytes, expected 1..128");
    bench_expect_log("command_refused 0 bytes");
}

static void a_command_in_pieces_is_refused(void **state)
{
    (void)state;
    bench.world->broker.fragment = 5;
    bench.world->server.poll_after_s = 3600;
    stub_at(bench.world, 60000, stub_command, "{\"cmd\":\"check-now\"}");

    bench_boot(STUB_TIME_IS_UP, 100000, NULL);

    bench_expect_log("command_refused 19 bytes");
    assert_null(stub_request_find(bench.world, BENCH_POLL, 2));
}

static void send_flood(const void *unused)
{
    (void)unused;
    for (int i = 0; i < 30; i++) {
        stub_command("{\"cmd\":\"telemetry-interval\",\"value\":60}");
    }
}

/* esp-mqtt's task delivers them all while it holds its lock, which the kedge task waits for. */
static void a_flood_of_commands_drops_some_and_blocks_nobody(void **state)
{
    (void)state;
    stub_at(bench.world, 60000, send_flood, NULL);

    bench_boot(STUB_STOPPED, 600000, has_two_telemetries);
    bench_boot(STUB_TIME_IS_UP, 300000, NULL);

    bench_expect_log("W kedge: command_dropped: too many");
    assert_int_equal(bench.world->broker.disconnects, 0);
}

/* ---- the queue ---- */

static void a_full_queue_keeps_room_for_what_must_not_be_lost(void **state)
{
    static StaticQueue_t queue;
    static uint8_t storage[PORT_EVENTS * sizeof(struct port_event)];
    struct port port = {
        .events = xQueueCreateStatic(PORT_EVENTS, sizeof(struct port_event), storage, &queue)};
    const struct port_event command = {.kind = PORT_COMMAND};
    const struct port_event acked = {.kind = PORT_MQTT_ACKED};

    (void)state;
    for (unsigned i = 0; i < PORT_EVENTS - PORT_EVENT_RESERVED; i++) {
        assert_true(port_post(&port, &command));
    }
    assert_false(port_post(&port, &command));
    for (unsigned i = 0; i < PORT_EVENT_RESERVED; i++) {
        assert_true(port_post(&port, &acked));
    }
    assert_false(port_post(&port, &acked));

    port_link_set(&port, &port.net, true);
    port_link_set(&port, &port.net, true);
    assert_int_equal(atomic_load(&port.net.changes), 1);
    port_link_set(&port, &port.net, false);
    assert_int_equal(atomic_load(&port.net.changes), 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_client_is_made_as_the_configuration_says),
        CASE(the_device_says_that_it_is_online_and_how_it_is),
        CASE(a_lost_connection_comes_back_and_says_so_again),
        CASE(a_broker_that_is_down_is_tried_again),
        CASE(a_subscription_that_the_broker_refuses_is_no_connection),
        cmocka_unit_test(a_client_that_cannot_be_started_is_made_again_after_half_a_minute),
        CASE(a_client_that_cannot_even_be_destroyed_changes_nothing),
        cmocka_unit_test(a_subscription_that_cannot_be_sent_costs_the_connection),
        cmocka_unit_test(a_message_that_cannot_be_queued_is_lost_and_the_next_is_not),
        CASE(what_the_outbox_gives_up_is_forgotten),
        CASE(more_messages_than_tokens_lose_the_oldest_token_only),
        CASE(an_acknowledgement_without_a_message_is_none_of_ours),
        CASE(a_command_is_carried_out),
        CASE(a_log_level_by_command_is_that_of_the_whole_firmware),
        CASE(what_is_no_command_is_refused),
        CASE(a_command_in_pieces_is_refused),
        CASE(a_flood_of_commands_drops_some_and_blocks_nobody),
        CASE(a_full_queue_keeps_room_for_what_must_not_be_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
