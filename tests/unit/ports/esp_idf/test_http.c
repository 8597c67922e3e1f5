/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "esp_http_client.h"
#include "esp_timer.h"

/* http.c: what goes over esp_http_client, and what becomes of each of its answers. */

static uint32_t polls_answered(const struct stub_world *world)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->server.request_count && i < STUB_REQUESTS; i++) {
        const struct stub_request *request = &world->server.requests[i];

        count += strcmp(request->path, BENCH_POLL) == 0 && request->status != 0;
    }
    return count;
}

static bool two_polls(const struct stub_world *world)
{
    return polls_answered(world) >= 2;
}

/* ---- the connection ---- */

static void the_client_is_made_once_with_the_device_s_own_certificates(void **state)
{
    const struct stub_server *server = &bench.world->server;

    (void)state;
    bench_boot(STUB_STOPPED, 600000, two_polls);

    assert_int_equal(server->clients, 1);
    assert_string_equal(server->client_url, "https://ota.example:8443");
    assert_string_equal(server->client_ca, "CA of the bench\n");
    assert_true(server->client_has_identity);
    assert_false(server->client_redirects);
    assert_int_equal(server->client_saves_session, STUB_IDF_MAJOR > 5 || STUB_IDF_MINOR >= 3);
    assert_int_equal(bench_request(BENCH_POLL, 1)->timeout_ms, 30000);
}

static void a_connection_is_kept_for_a_while(void **state)
{
    (void)state;
    bench.world->server.poll_after_s = 5;

    bench_boot(STUB_STOPPED, 600000, two_polls);

    assert_int_equal(bench.world->server.connections, 1);
}

static void a_connection_that_nobody_uses_is_closed(void **state)
{
    (void)state;
    bench.world->server.poll_after_s = 30;

    bench_boot(STUB_STOPPED, 600000, two_polls);

    assert_int_equal(bench.world->server.connections, 2);
}

static void expect_one_retry(bool drops_unnoticed)
{
    bench.world->server.poll_after_s = 5;
    bench.world->server.drops_kept = 1;
    bench.world->server.drops_unnoticed = drops_unnoticed;

    bench_boot(STUB_STOPPED, 600000, two_polls);

    assert_int_equal(bench.world->server.drops_kept, 0);
    assert_int_equal(bench.world->server.connections, 2);
    assert_null(stub_log_find(bench.world, "http_failed"));
}

static void a_kept_connection_that_is_gone_costs_one_silent_retry(void **state)
{
    (void)state;
    expect_one_retry(false);
}

static void a_kept_connection_that_is_gone_shows_late_and_is_retried_too(void **state)
{
    (void)state;
    expect_one_retry(true);
}

static void take_server_down(const void *unused)
{
    (void)unused;
    bench.world->server.is_down = true;
}

static bool has_failed(const struct stub_world *world)
{
    return stub_log_find(world, "http_failed /ota/firmware.bin") != NULL;
}

static void a_fresh_connection_that_fails_is_a_failure(void **state)
{
    (void)state;
    bench.world->server.poll_after_s = 5;
    bench.world->server.drops_kept = 1;
    bench_boot(STUB_STOPPED, 600000, bench_polled);
    stub_at(bench.world, bench.world->now_us / 1000u, take_server_down, NULL);
    bench.world->server.request_count = 0;

    bench_boot(STUB_STOPPED, 600000, has_failed);
}

static void a_silent_server_costs_the_time_out_and_no_more(void **state)
{
    (void)state;
    bench.world->server.is_silent = true;

    bench_boot(STUB_TIME_IS_UP, 600000, NULL);

    assert_true(stub_log_count(bench.world, "http_failed") > 3);
    bench.world->server.is_silent = false;
    bench.world->server.request_count = 0;
    bench_boot(STUB_STOPPED, 600000, bench_polled);
}

/* ---- answers ---- */

static void a_status_that_is_none_is_a_failure(void **state)
{
    static const int odd[] = {100, 199, 600, 999, 0, -1};

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        bench.world->server.odd_path = BENCH_POLL;
        bench.world->server.odd_status = odd[i];
        bench.world->server.odd_times = 1;
        bench.world->log_count = 0;

        bench_boot(STUB_STOPPED, 600000, has_failed);
    }
}

static void retry_after_is_heeded(void **state)
{
    (void)state;
    bench.world->server.odd_path = BENCH_POLL;
    bench.world->server.odd_status = 503;
    bench.world->server.odd_times = 1;
    bench.world->server.odd_header = "Retry-After";
    bench.world->server.odd_value = "100";

    bench_boot(STUB_STOPPED, 600000, two_polls);

    assert_true(bench_request(BENCH_POLL, 2)->at_ms >=
                bench_request(BENCH_POLL, 1)->at_ms + 100000);
}

/* ---- abort ---- */

static bool is_broken(const struct stub_world *world)
{
    return stub_log_find(world, "http_broke") != NULL;
}

static bool has_third_poll(const struct stub_world *world)
{
    return stub_request_find(world, BENCH_POLL, 3) != NULL;
}

/* A broken download polls with Range. Then the server has another file, which the device does not
 * want: it leaves the body half-way, and reports. */
static void abort_with_headers(bool closes_slowly)
{
    bench_offer("1.1.0", "", 200000);
    bench.world->server.break_after = 100000;
    bench.world->server.breaks = 1;
    bench_boot(STUB_STOPPED, 600000, is_broken);
    bench.world->server.request_count = 0;
    bench_offer("1.2.0", "", 200000);
    bench.update.data[0x0C] = KEDGE_CHIP_ESP32S3;
    bench.world->server.closes_slowly = closes_slowly;
    bench.world->server.poll_after_s = 5;

    bench_boot(STUB_STOPPED, 600000, has_third_poll);

    assert_string_not_equal(bench_request(BENCH_POLL, 1)->range, "");
    assert_true(bench_request("/ota/report", 1)->connection !=
                bench_request(BENCH_POLL, 1)->connection);
}

static void an_unwanted_body_is_not_read_and_its_connection_closed(void **state)
{
    (void)state;
    abort_with_headers(false);
    bench_expect_reports("rejected chip");
    assert_true(bench.world->server.body_bytes < 200000);
}

static void headers_of_a_request_that_was_left_do_not_go_out_with_the_next(void **state)
{
    (void)state;
    abort_with_headers(false);
    assert_string_equal(bench_request("/ota/report", 1)->names, "X-Device-ID,Content-Type");
    assert_string_equal(bench_request(BENCH_POLL, 2)->range, "");
    assert_string_equal(bench_request(BENCH_POLL, 2)->content_type, "");
}

static void a_request_while_the_last_one_is_being_closed_is_sent_whole(void **state)
{
    (void)state;
    abort_with_headers(true);
    bench_expect_reports("rejected chip");
    assert_string_equal(bench_request("/ota/report", 1)->names, "X-Device-ID,Content-Type");
}

/* ---- every call, every documented answer ---- */

/* fails: the request ends in a failure, and the agent polls again by and by. */
static const struct {
    const char *call;
    int64_t result;
    bool fails;
} answers[] = {
    {"esp_http_client_init", 0, true},
    {"esp_http_client_set_url", ESP_ERR_INVALID_ARG, true},
    {"esp_http_client_set_url", ESP_ERR_NO_MEM, true},
    {"esp_http_client_set_method", ESP_ERR_INVALID_ARG, true},
    {"esp_http_client_set_timeout_ms", ESP_ERR_INVALID_ARG, true},
    {"esp_http_client_set_header", ESP_ERR_INVALID_ARG, true},
    {"esp_http_client_set_header", ESP_ERR_NO_MEM, true},
    {"esp_http_client_delete_header", ESP_ERR_INVALID_ARG, false},
    {"esp_http_client_delete_header", ESP_ERR_NOT_FOUND, false},
    {"esp_http_client_open", ESP_FAIL, true},
    {"esp_http_client_open", ESP_ERR_INVALID_STATE, true},
    {"esp_http_client_open", ESP_ERR_HTTP_CONNECT, true},
    {"esp_http_client_open", ESP_ERR_HTTP_WRITE_DATA, true},
    {"esp_http_client_open", ESP_ERR_HTTP_INVALID_TRANSPORT, true},
    {"esp_http_client_open", ESP_ERR_HTTP_CONNECTING, true},
    {"esp_http_client_open", ESP_ERR_HTTP_EAGAIN, true},
    {"esp_http_client_fetch_headers", ESP_FAIL, true},
    {"esp_http_client_fetch_headers", -ESP_ERR_HTTP_EAGAIN, true},
    {"esp_http_client_fetch_headers", -ESP_ERR_HTTP_CONNECTION_CLOSED, true},
    {"esp_http_client_get_status_code", 0, true},
    {"esp_http_client_close", ESP_FAIL, false},
};

static void each_answer_of_each_call_ends_in_another_poll(void **state)
{
    void *none = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        assert_int_equal(bench_setup(&none), 0);
        stub_fault_arm(bench.world, answers[i].call, 1, answers[i].result);

        bench_boot(STUB_STOPPED, 900000, two_polls);

        if (answers[i].fails != has_failed(bench.world)) {
            fail_msg("%s answers %lld", answers[i].call, (long long)answers[i].result);
        }
        assert_int_equal(bench_teardown(&none), 0);
    }
}

static const struct {
    const char *call;
    int64_t result;
} body_answers[] = {
    {"esp_http_client_write", ESP_FAIL},
    {"esp_http_client_write", 0},
    {"esp_http_client_read", ESP_FAIL},
    {"esp_http_client_read", -ESP_ERR_HTTP_EAGAIN},
    {"esp_http_client_read", -ESP_ERR_HTTP_CONNECTION_CLOSED},
    {"esp_http_client_read", 0}, /* short of what was announced */
    {"esp_http_client_is_complete_data_received", false},
};

/* Broken bodies, either way: the update comes through at the second attempt. */
static void a_body_that_breaks_is_sent_or_fetched_again(void **state)
{
    void *none = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof body_answers / sizeof body_answers[0]; i++) {
        for (uint32_t nth = 1; nth <= 3; nth += 2) {
            assert_int_equal(bench_setup(&none), 0);
            bench_offer("1.1.0", "", 30000);
            stub_fault_arm(bench.world, body_answers[i].call, nth, body_answers[i].result);

            bench_live(3, bench_committed);

            assert_int_equal(bench_teardown(&none), 0);
        }
    }
}

/* ---- requests that do not fit ---- */

static struct port port;

/* The task alone, with a request as the agent would never make it. */
static void make(const struct kedge_http_request *request)
{
    static StaticQueue_t queue;
    static uint8_t storage[PORT_EVENTS * sizeof(struct port_event)];
    static StaticTask_t task;
    static StackType_t stack[1];
    struct port_event event;

    (void)snprintf(port.settings.server_url, sizeof port.settings.server_url, "%s",
                   "https://ota.example:8443");
    port.events = xQueueCreateStatic(PORT_EVENTS, sizeof(struct port_event), storage, &queue);
    port.http.task =
        xTaskCreateStatic(port_http_task, "kedge_http", sizeof stack, &port, 5, stack, &task);
    port_http_start(&port, request);
    if (xQueueReceive(port.events, &event, 1000) != pdTRUE) {
        stub_fail("no event");
    }
    bench.world->marks[0] = event.agent.kind;
    bench.world->marks[1] = port_http_is_alive(&port);
    port_http_release(&port);
}

static char long_text[600];

static void send_long_header(void)
{
    make(&(struct kedge_http_request){
        .path = BENCH_POLL, .header_count = 1, .headers = {{"X-Long", long_text}}});
}

static void send_long_path(void)
{
    make(&(struct kedge_http_request){.path = long_text});
}

static void send_long_body(void)
{
    make(&(struct kedge_http_request){
        .path = BENCH_POLL, .body = long_text, .body_len = sizeof port.http.buffer + 1u});
}

static bool has_event(const struct stub_world *world)
{
    return world->marks[0] != 0;
}

static void a_request_that_is_too_long_ends_as_a_failure(void **state)
{
    static void (*const apps[])(void) = {send_long_header, send_long_path, send_long_body};

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[0] = '/';
    for (size_t i = 0; i < sizeof apps / sizeof apps[0]; i++) {
        bench.world->marks[0] = 0;
        assert_int_equal(stub_boot(bench.world, apps[i], 60000, has_event), STUB_STOPPED);
        assert_int_equal(bench.world->marks[0], KEDGE_EVENT_HTTP_FAILED);
    }
    assert_int_equal(stub_log_count(bench.world, "http_failed too long"), 2);
    assert_int_equal(bench.world->server.request_count, 0);
}

static void take_event(enum kedge_event_kind expected)
{
    struct port_event event;

    if (xQueueReceive(port.events, &event, 1000) != pdTRUE || event.agent.kind != expected) {
        stub_fail("event %d instead of %d", (int)event.agent.kind, (int)expected);
    }
}

/* The agent leaves a request, and stages the next while the connection is still being closed. */
static void stage_while_closing(void)
{
    const struct kedge_http_request poll = {.path = BENCH_POLL};

    make(&poll);
    take_event(KEDGE_EVENT_HTTP_BODY);
    port_http_abort(&port);
    port_http_release(&port);
    (void)ulTaskNotifyTake(pdTRUE, 1);
    port_http_start(&port, &poll);
    bench.world->server.body_bytes = 0;
    take_event(KEDGE_EVENT_HTTP_RESPONSE);
    (void)ulTaskNotifyTake(pdTRUE, 100);
    bench.world->marks[2] = bench.world->server.body_bytes;
    bench.world->marks[3] = 1;
}

static bool is_marked(const struct stub_world *world)
{
    return world->marks[3] != 0;
}

static void no_byte_is_received_before_the_agent_has_taken_those_before_it(void **state)
{
    (void)state;
    bench_offer("1.1.0", "", 20000);
    bench.world->server.closes_slowly = true;

    assert_int_equal(stub_boot(bench.world, stage_while_closing, 60000, is_marked), STUB_STOPPED);

    assert_int_equal(bench.world->marks[2], 0);
}

/* ---- the watchdog ---- */

static void a_server_task_that_hangs_resets_the_device(void **state)
{
    (void)state;
    bench.world->server.hangs = true;

    bench_boot(STUB_WATCHDOG, 600000, NULL);

    /* Three times the time-out of 30 s, 30 s more, and the watchdog's own 15 s. */
    assert_true(bench.world->now_us / 1000u >= bench_request(BENCH_POLL, 1)->at_ms + 120000);
    assert_true(bench.world->now_us / 1000u <= bench_request(BENCH_POLL, 1)->at_ms + 140000);
}

static void a_request_just_begun_is_alive_at_even_and_odd_milliseconds(void **state)
{
    struct port idle = {.http = {.timeout_ms = 30000}};

    (void)state;
    assert_true(port_http_is_alive(&idle));
    for (uint64_t now_ms = 1000; now_ms < 1004; now_ms++) {
        bench.world->now_us = now_ms * 1000u;
        atomic_store(&idle.http.busy_since_ms, (uint32_t)now_ms | 1u);
        assert_true(port_http_is_alive(&idle));
    }
    bench.world->now_us += 119000000;
    assert_true(port_http_is_alive(&idle));
    bench.world->now_us += 2000000;
    assert_false(port_http_is_alive(&idle));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_client_is_made_once_with_the_device_s_own_certificates),
        CASE(a_connection_is_kept_for_a_while),
        CASE(a_connection_that_nobody_uses_is_closed),
        CASE(a_kept_connection_that_is_gone_costs_one_silent_retry),
        CASE(a_kept_connection_that_is_gone_shows_late_and_is_retried_too),
        CASE(a_fresh_connection_that_fails_is_a_failure),
        CASE(a_silent_server_costs_the_time_out_and_no_more),
        CASE(a_status_that_is_none_is_a_failure),
        CASE(retry_after_is_heeded),
        CASE(an_unwanted_body_is_not_read_and_its_connection_closed),
        CASE(headers_of_a_request_that_was_left_do_not_go_out_with_the_next),
        CASE(a_request_while_the_last_one_is_being_closed_is_sent_whole),
        cmocka_unit_test(each_answer_of_each_call_ends_in_another_poll),
        cmocka_unit_test(a_body_that_breaks_is_sent_or_fetched_again),
        CASE(a_request_that_is_too_long_ends_as_a_failure),
        CASE(no_byte_is_received_before_the_agent_has_taken_those_before_it),
        CASE(a_server_task_that_hangs_resets_the_device),
        CASE(a_request_just_begun_is_alive_at_even_and_odd_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
