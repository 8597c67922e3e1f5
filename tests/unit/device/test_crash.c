/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "kedge/crypto.h"

#define DUMP_SIZE 10000u

static int setup(void **state)
{
    struct fake *fake = calloc(1, sizeof *fake);

    fake_init(fake);
    fake->keeps_dumps = true;
    fake->reset_reason = KEDGE_RESET_PANIC;
    fake->crash = (struct kedge_crash){.size_bytes = DUMP_SIZE,
                                       .task = "app_main",
                                       .pc = 0x400D1A2Cu,
                                       .elf_sha256 = "5e7c02a91",
                                       .backtrace_count = 1,
                                       .backtrace = {0x400D1A2Cu}};
    for (uint32_t i = 0; i < DUMP_SIZE; i++) {
        fake->dump[i] = (uint8_t)(i * 7u + (i >> 8));
    }
    *state = fake;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void poll_once(struct fake *fake)
{
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake_status(fake, 304);
}

static void start(struct fake *fake)
{
    fake_boot(fake);
    fake_connect(fake);
    poll_once(fake);
}

static bool is_open(const struct fake *fake, const char *path)
{
    return fake->http_open && strcmp(fake->http.path, path) == 0;
}

static void answer(struct fake *fake, uint16_t status, uint32_t offset)
{
    struct kedge_http_response response = {
        .status = status, .has_crash_offset = true, .crash_offset = offset};

    fake_respond(fake, &response);
    fake_end(fake);
}

static struct kedge_crash announced(const struct fake *fake)
{
    struct kedge_crash crash;
    struct kedge_fault fault;

    assert_string_equal(fake->http.path, "/crash");
    assert_null(fake->http.content_type);
    assert_string_equal(fake_header(fake, "X-Device-ID"), "unit-1");
    assert_int_equal(kedge_crash_parse((struct kedge_cspan){(const uint8_t *)fake->http_body,
                                                            fake->http.body_len},
                                       &crash, &fault),
                     KEDGE_OK);
    return crash;
}

/* Where the open request's piece belongs, after a look at everything that it says. */
static uint32_t piece_offset(const struct fake *fake)
{
    uint8_t sha[KEDGE_SHA256_SIZE];
    char hex[2 * KEDGE_SHA256_SIZE + 1];
    unsigned first, last, total;
    char rest;

    assert_string_equal(fake->http.path, "/crash/dump");
    assert_string_equal(fake->http.content_type, "application/octet-stream");
    kedge_sha256_of(fake->dump, DUMP_SIZE, sha);
    kedge_hex_encode(sha, sizeof sha, hex);
    assert_string_equal(fake_header(fake, "X-Crash-SHA256"), hex);
    assert_int_equal(sscanf(fake_header(fake, "Content-Range"), "bytes %u-%u/%u%c", &first, &last,
                            &total, &rest),
                     3);
    assert_int_equal(total, DUMP_SIZE);
    assert_int_equal(fake->http.body_len, last - first + 1u);
    assert_memory_equal(fake->http_body, &fake->dump[first], fake->http.body_len);
    return first;
}

/* A server that takes every piece until all is there. */
static void take_all(struct fake *fake)
{
    while (is_open(fake, "/crash/dump")) {
        uint32_t next = piece_offset(fake) + (uint32_t)fake->http.body_len;

        answer(fake, 200, next);
    }
}

/* Nothing about crashes for an hour; polls go on. */
static void assert_silent(struct fake *fake)
{
    uint64_t end = fake->now_ms + 3600000u;

    while (fake->now_ms < end) {
        assert_false(is_open(fake, "/crash"));
        assert_false(is_open(fake, "/crash/dump"));
        if (fake->http_open) {
            fake_status(fake, 304);
        } else {
            fake_tick(fake, fake->wait_until_ms - fake->now_ms);
        }
    }
}

static void a_dump_is_announced_sent_in_pieces_and_erased(void **state)
{
    struct fake *fake = *state;

    start(fake);
    assert_true(is_open(fake, "/crash"));
    answer(fake, 200, 0);
    assert_int_equal(piece_offset(fake), 0);
    assert_int_equal(fake->http.body_len, 4096);
    assert_int_equal(fake->dump_erases, 0);
    take_all(fake);

    assert_int_equal(fake->dump_erases, 1);
    assert_silent(fake);
    assert_int_equal(fake->dump_describes, 1);
    fake_reset(fake, KEDGE_RESET_SW);
    fake_connect(fake);
    poll_once(fake);
    assert_silent(fake);
}

static void the_summary_says_what_the_dump_and_the_boot_say(void **state)
{
    struct fake *fake = *state;
    uint8_t sha[KEDGE_SHA256_SIZE];

    start(fake);
    struct kedge_crash crash = announced(fake);

    kedge_sha256_of(fake->dump, DUMP_SIZE, sha);
    assert_memory_equal(crash.sha256, sha, sizeof sha);
    assert_int_equal(crash.size_bytes, DUMP_SIZE);
    assert_int_equal(crash.reset_reason, KEDGE_RESET_PANIC);
    assert_string_equal(crash.task, "app_main");
    assert_int_equal(crash.pc, 0x400D1A2Cu);
    assert_string_equal(crash.elf_sha256, "5e7c02a91");
    assert_int_equal(crash.backtrace_count, 1);
    assert_string_equal(crash.firmware, "1.0.0");
}

static void a_dump_that_is_older_than_this_boot_has_no_reset_reason(void **state)
{
    struct fake *fake = *state;

    fake->reset_reason = KEDGE_RESET_POWERON;
    start(fake);

    assert_int_equal(announced(fake).reset_reason, KEDGE_RESET_UNKNOWN);
}

static void texts_that_are_none_do_not_leave_the_device(void **state)
{
    struct fake *fake = *state;

    memset(fake->crash.task, 'x', sizeof fake->crash.task);
    fake->crash.task[1] = '\x1B';
    memset(fake->crash.elf_sha256, 0xFF, sizeof fake->crash.elf_sha256);
    fake->crash.backtrace_count = 4000000000u;
    start(fake);
    struct kedge_crash crash = announced(fake);

    assert_string_equal(crash.task, "x?xxxxxxxxxxxxxx");
    assert_string_equal(crash.elf_sha256, "");
    assert_int_equal(crash.backtrace_count, KEDGE_CRASH_BACKTRACE_MAX);
}

static void without_a_dump_or_ops_nothing_is_sent(void **state)
{
    struct fake *fake = *state;

    fake->crash.size_bytes = 0;
    start(fake);
    assert_silent(fake);
    assert_int_equal(fake->dump_describes, 1);

    fake->crash.size_bytes = DUMP_SIZE;
    fake->keeps_dumps = false;
    start(fake);
    assert_silent(fake);
}

static void nothing_is_read_or_sent_before_a_poll_was_answered(void **state)
{
    struct fake *fake = *state;

    fake_boot(fake);
    fake_connect(fake);
    for (int i = 0; i < 5; i++) {
        assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
        fake_status(fake, 500);
        assert_false(fake->http_open);
    }
    assert_int_equal(fake->dump_describes, 0);
    poll_once(fake);
    assert_true(is_open(fake, "/crash"));
}

static void a_poll_that_is_due_goes_before_the_next_piece(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 200, 0);
    assert_true(is_open(fake, "/crash/dump"));
    fake->now_ms = fake->agent.poll_at_ms + 1u;
    answer(fake, 200, 4096);

    assert_true(is_open(fake, "/ota/firmware.bin"));
    fake_status(fake, 304);
    assert_int_equal(piece_offset(fake), 4096);
}

static void an_update_goes_before_the_next_piece_and_its_trial_too(void **state)
{
    struct fake *fake = *state;
    static uint8_t image[FAKE_SLOT_SIZE];
    uint32_t size = fake_image("1.1.0", "test", KEDGE_CHIP_ESP32, 20000, image, sizeof image);
    struct kedge_report report;

    start(fake);
    answer(fake, 200, 0);
    fake->now_ms = fake->agent.poll_at_ms + 1u;
    answer(fake, 200, 4096);
    fake_offer(fake, image, size, "1.1.0");
    for (uint32_t at = 0; at < size / 2u; at += 1000) {
        fake_body(fake, image + at, 1000);
    }
    fake_fail(fake);
    assert_int_equal(kedge_agent_state(&fake->agent), KEDGE_STATE_DOWNLOADING);
    uint32_t reads = fake->dump_reads;
    fake_download(fake, image, size, "1.1.0");
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(fake->dump_reads, reads);
    fake_reset(fake, KEDGE_RESET_SW);
    fake_prove(fake);
    assert_int_equal(fake->dump_reads, reads);
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_COMMITTED);

    assert_true(fake_wait_request(fake, "/crash"));
    assert_string_equal(announced(fake).firmware, "1.1.0");
    answer(fake, 200, 4096);
    assert_int_equal(piece_offset(fake), 4096);
    take_all(fake);
    assert_int_equal(fake->dump_erases, 1);
}

static void the_server_says_where_to_go_on(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 201, 5000);
    assert_int_equal(piece_offset(fake), 5000);
    answer(fake, 409, 8192);
    assert_int_equal(piece_offset(fake), 8192);
    assert_int_equal(fake->http.body_len, DUMP_SIZE - 8192u);
    take_all(fake);

    assert_int_equal(fake->dump_erases, 1);
}

static void what_the_server_has_already_is_only_erased(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 200, DUMP_SIZE);

    assert_int_equal(fake->dump_erases, 1);
    assert_silent(fake);
}

static void a_broken_connection_costs_one_piece_and_a_pause(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 200, 0);
    answer(fake, 200, 4096);
    fake_fail(fake);
    assert_false(fake->http_open);
    assert_true(fake->wait_until_ms > fake->now_ms);
    assert_true(fake_wait_request(fake, "/crash/dump"));
    assert_int_equal(piece_offset(fake), 4096);

    fake_reset(fake, KEDGE_RESET_POWERON);
    fake_connect(fake);
    assert_true(fake_wait_request(fake, "/crash"));
    answer(fake, 200, 8192);
    assert_int_equal(piece_offset(fake), 8192);
    take_all(fake);
    assert_int_equal(fake->dump_erases, 1);
}

static void a_busy_server_is_left_alone_for_as_long_as_it_says(void **state)
{
    struct fake *fake = *state;
    struct kedge_http_response busy = {
        .status = 503, .has_retry_after = true, .retry_after_s = 200};

    start(fake);
    fake_respond(fake, &busy);
    fake_end(fake);
    uint64_t asked_ms = fake->now_ms;
    assert_true(fake_wait_request(fake, "/crash"));

    assert_true(fake->now_ms - asked_ms >= 200000u);
}

static void failures_space_out_and_success_resets_them(void **state)
{
    struct fake *fake = *state;

    start(fake);
    for (int i = 0; i < 12; i++) {
        assert_true(fake_wait_request(fake, "/crash"));
        fake_status(fake, i % 2 == 0 ? 507 : 200); /* 200 without an offset is no answer */
    }
    assert_int_equal(fake->agent.crash.failures, 12);
    assert_true(fake_wait_request(fake, "/crash"));
    answer(fake, 200, 0);

    assert_int_equal(fake->agent.crash.failures, 0);
    assert_true(is_open(fake, "/crash/dump"));
}

static void a_refusal_ends_it_until_the_next_boot_and_the_dump_stays(void **state)
{
    static const uint16_t statuses[] = {400, 404, 405, 409, 413, 415, 416, 422};
    struct fake *fake = *state;

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        fake_reset(fake, KEDGE_RESET_SW);
        fake_connect(fake);
        assert_true(fake_wait_request(fake, "/crash"));
        if (i % 2 == 1) {
            answer(fake, 200, 0);
        }
        fake_status(fake, statuses[i]);
        assert_silent(fake);
    }
    assert_int_equal(fake->dump_erases, 0);
}

static void an_offset_behind_the_dump_is_no_delivery(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 200, DUMP_SIZE + 1u);

    assert_false(fake->http_open);
    assert_int_equal(fake->dump_erases, 0);
    assert_int_equal(fake->agent.crash.failures, 1);
}

/* Its hash does not match, again and again: flash that reads differently, or a server that lies. */
static void a_server_that_begins_again_three_times_is_not_asked_a_fourth_time(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 200, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(fake_wait_request(fake, "/crash/dump"));
        assert_int_equal(piece_offset(fake), 0);
        answer(fake, 200, 4096);
        answer(fake, 409, 0);
        assert_false(fake->http_open);
    }

    assert_silent(fake);
    assert_int_equal(fake->dump_erases, 0);
}

static void a_server_that_does_not_move_is_not_hammered(void **state)
{
    struct fake *fake = *state;

    start(fake);
    answer(fake, 200, 0);
    answer(fake, 200, 0);

    assert_false(fake->http_open);
    assert_true(fake->wait_until_ms > fake->now_ms);
}

static void flash_that_cannot_be_read_ends_it_until_the_next_boot(void **state)
{
    struct fake *fake = *state;

    fake->dump_read_fails = true;
    start(fake);
    assert_silent(fake);

    fake->dump_read_fails = false;
    fake_reset(fake, KEDGE_RESET_SW);
    fake_connect(fake);
    assert_true(fake_wait_request(fake, "/crash"));
    fake->dump_read_fails = true;
    answer(fake, 200, 0);
    assert_silent(fake);
}

static void a_dump_that_cannot_be_erased_is_not_sent_again(void **state)
{
    struct fake *fake = *state;

    fake->dump_erase_fails = true;
    start(fake);
    answer(fake, 200, 0);
    take_all(fake);
    assert_int_equal(fake->dump_erases, 1);
    assert_silent(fake);

    fake->dump_erase_fails = false;
    fake_reset(fake, KEDGE_RESET_SW);
    fake_connect(fake);
    assert_true(fake_wait_request(fake, "/crash"));
    answer(fake, 200, DUMP_SIZE); /* the server knows it */
    assert_int_equal(fake->dump_erases, 2);
}

static void a_dump_over_the_limit_is_not_even_hashed(void **state)
{
    struct fake *fake = *state;

    fake->crash.size_bytes = 1024u * 1024u + 1u;
    start(fake);

    assert_silent(fake);
    assert_int_equal(fake->dump_reads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_dump_is_announced_sent_in_pieces_and_erased),
        T(the_summary_says_what_the_dump_and_the_boot_say),
        T(a_dump_that_is_older_than_this_boot_has_no_reset_reason),
        T(texts_that_are_none_do_not_leave_the_device),
        T(without_a_dump_or_ops_nothing_is_sent),
        T(nothing_is_read_or_sent_before_a_poll_was_answered),
        T(a_poll_that_is_due_goes_before_the_next_piece),
        T(an_update_goes_before_the_next_piece_and_its_trial_too),
        T(the_server_says_where_to_go_on),
        T(what_the_server_has_already_is_only_erased),
        T(a_broken_connection_costs_one_piece_and_a_pause),
        T(a_busy_server_is_left_alone_for_as_long_as_it_says),
        T(failures_space_out_and_success_resets_them),
        T(a_refusal_ends_it_until_the_next_boot_and_the_dump_stays),
        T(an_offset_behind_the_dump_is_no_delivery),
        T(a_server_that_begins_again_three_times_is_not_asked_a_fourth_time),
        T(a_server_that_does_not_move_is_not_hammered),
        T(flash_that_cannot_be_read_ends_it_until_the_next_boot),
        T(a_dump_that_cannot_be_erased_is_not_sent_again),
        T(a_dump_over_the_limit_is_not_even_hashed),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
