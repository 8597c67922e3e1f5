/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "kedge/crypto.h"

static uint8_t image[FAKE_SLOT_SIZE];
static uint32_t image_size;

static int setup(void **state)
{
    struct fake *fake = calloc(1, sizeof *fake);

    fake_init(fake);
    image_size = fake_image("1.1.0", "test", KEDGE_CHIP_ESP32, 20000, image, sizeof image);
    *state = fake;
    return image_size == 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static enum kedge_state state_of(const struct fake *fake)
{
    return kedge_agent_state(&fake->agent);
}

static void start(struct fake *fake)
{
    fake_boot(fake);
    fake_connect(fake);
}

/* Download, verify, report, reboot into the new image. */
static void update_until_trial(struct fake *fake)
{
    struct kedge_report report;

    start(fake);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_VERIFIED);
    assert_true(fake->reboot_wanted);
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(fake->running, 1);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
}

static void ack_telemetry(struct fake *fake)
{
    assert_true(fake_ack_telemetry(fake));
}

static void prove(struct fake *fake)
{
    fake_prove(fake);
}

/* Reset the old image after a failed trial and let it judge. */
static void assert_rolled_back(struct fake *fake, enum kedge_cause cause)
{
    struct kedge_report report;
    uint8_t sha[KEDGE_SHA256_SIZE];

    assert_int_equal(fake->running, 0);
    kedge_sha256_of(image, image_size, sha);
    if (state_of(fake) == KEDGE_STATE_ROLLED_BACK) {
        char quoted[67] = "\"";

        kedge_hex_encode(sha, sizeof sha, quoted + 1);
        quoted[65] = '"';
        fake_connect(fake);
        assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
        assert_string_equal(fake_header(fake, "If-None-Match"), quoted);
        prove(fake);
    } else {
        fake_connect(fake);
    }
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    assert_int_not_equal(fake_take_reports(fake, &report), 0);
    assert_int_equal(report.state, KEDGE_REPORT_ROLLED_BACK);
    assert_int_equal(report.cause, cause);
    assert_string_equal(report.from, "1.0.0");
    assert_string_equal(report.to, "1.1.0");
    assert_int_equal(fake->agent.journal.data.bad_count, 1);
    assert_memory_equal(fake->agent.journal.data.bad[0], sha, sizeof sha);
}

static void a_good_update_is_committed_and_reported_once(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;

    update_until_trial(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_PENDING_VERIFY);
    prove(fake);

    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_COMMITTED);
    assert_int_equal(report.seq, 2);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    fake_reset(fake, KEDGE_RESET_POWERON);
    assert_int_equal(fake->running, 1);
    assert_int_equal(fake->agent.journal.data.report_count, 0);
}

/* docs/failure-modes.md computes the wear of the journal's two sectors from these. */
static void an_update_writes_nine_snapshots_and_one_every_64_kib(void **state)
{
    static const struct {
        uint32_t payload_size, image_size, snapshots;
    } rows[] = {{20000, 0, 9}, {65200, 65536, 10}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake *fake = *state;
        struct kedge_report report;

        fake_init(fake);
        image_size = fake_image("1.1.0", "test", KEDGE_CHIP_ESP32, rows[i].payload_size, image,
                                sizeof image);
        assert_true(rows[i].image_size == 0 || image_size == rows[i].image_size);
        start(fake);
        uint32_t before = fake->store_writes;

        fake_download(fake, image, image_size, "1.1.0");
        assert_int_equal(fake_take_reports(fake, &report), 1);
        fake_reset(fake, KEDGE_RESET_SW);
        prove(fake);
        assert_int_equal(fake_take_reports(fake, &report), 1);
        assert_int_equal(report.state, KEDGE_REPORT_COMMITTED);
        assert_int_equal(fake->store_writes - before, rows[i].snapshots);
    }
}

static void an_image_that_panics_after_it_has_connected_is_not_confirmed_before(void **state)
{
    struct fake *fake = *state;

    update_until_trial(fake);
    fake_connect(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake_status(fake, 304);
    ack_telemetry(fake);
    fake_tick(fake, 20000);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    assert_int_equal(fake->agent.journal.data.cause, KEDGE_CAUSE_NONE);
    fake_reset(fake, KEDGE_RESET_PANIC);
    assert_rolled_back(fake, KEDGE_CAUSE_PANIC);
}

static void the_poll_says_all_that_the_server_needs(void **state)
{
    struct fake *fake = *state;

    start(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    assert_string_equal(fake_header(fake, "X-Device-ID"), "unit-1");
    assert_string_equal(fake_header(fake, "X-Current-Version"), "1.0.0");
    assert_string_equal(fake_header(fake, "X-Chip"), "esp32");
    assert_string_equal(fake_header(fake, "X-Slot-Size"), "65536");
    assert_string_equal(fake_header(fake, "X-Secure-Version"), "0");
    assert_int_equal(strlen(fake_header(fake, "X-App-SHA256")), 64);
    assert_string_equal(fake_header(fake, "X-Boot-Caps"), "rollback");
    assert_string_equal(fake_header(fake, "Range"), "");
}

static void a_poll_during_the_trial_says_pending(void **state)
{
    struct fake *fake = *state;

    update_until_trial(fake);
    fake_connect(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    assert_string_equal(fake_header(fake, "X-Current-Version"), "1.1.0");
    assert_string_equal(fake_header(fake, "X-Boot-Caps"), "rollback,pending");
}

static void a_panic_on_trial_makes_the_image_bad_at_once(void **state)
{
    struct fake *fake = *state;

    update_until_trial(fake);
    fake_reset(fake, KEDGE_RESET_PANIC);
    assert_rolled_back(fake, KEDGE_CAUSE_PANIC);
}

static void a_panic_counts_even_if_a_report_was_acknowledged_before(void **state)
{
    struct fake *fake = *state;

    update_until_trial(fake);
    fake_tick(fake, 1000);
    assert_int_equal(fake->agent.journal.data.cause, KEDGE_CAUSE_NETWORK);
    assert_int_equal(kedge_journal_save(&fake->agent.journal), KEDGE_OK);
    fake_reset(fake, KEDGE_RESET_TASK_WDT);
    assert_rolled_back(fake, KEDGE_CAUSE_WATCHDOG);
}

static void an_image_that_cannot_reach_the_broker_is_bad_when_the_old_one_can(void **state)
{
    struct fake *fake = *state;
    struct kedge_event up = {.kind = KEDGE_EVENT_NET_UP};

    update_until_trial(fake);
    fake_event(fake, &up);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake_status(fake, 304);
    for (int i = 0; i < 700 && !fake->reboot_wanted; i++) {
        fake_tick(fake, 1000);
        if (fake->http_open) {
            fake_status(fake, 304);
        }
    }
    assert_true(fake->reboot_wanted);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_INVALID);

    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(state_of(fake), KEDGE_STATE_ROLLED_BACK);
    assert_rolled_back(fake, KEDGE_CAUSE_BROKER);
}

static void an_outage_that_the_old_image_suffers_too_re_arms_without_a_download(void **state)
{
    struct fake *fake = *state;
    uint32_t begins;

    update_until_trial(fake);
    begins = fake->begins;
    for (int i = 0; i < 700 && !fake->reboot_wanted; i++) {
        fake_tick(fake, 1000);
    }
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(state_of(fake), KEDGE_STATE_ROLLED_BACK);
    for (int i = 0; i < 400; i++) { /* past the verdict deadline, still nothing */
        fake_tick(fake, 1000);
    }
    assert_int_equal(fake->agent.journal.data.cause, KEDGE_CAUSE_INFRASTRUCTURE);
    prove(fake); /* the network is back */
    for (int i = 0; i < 100 && !fake->reboot_wanted; i++) {
        fake_tick(fake, 1000);
        if (fake->http_open) {
            fake_status(fake, 200);
        }
    }
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(fake->running, 1);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    assert_int_equal(fake->begins, begins);
    prove(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_VALID);
}

static void power_loss_on_trial_re_arms_three_times_and_no_more(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;

    update_until_trial(fake);
    for (uint32_t i = 1; i <= 3; i++) {
        fake_reset(fake, KEDGE_RESET_BROWNOUT);
        assert_int_equal(fake->running, 0);
        fake_connect(fake);
        assert_int_not_equal(fake_take_reports(fake, &report), 0);
        assert_int_equal(report.state, KEDGE_REPORT_REARMED);
        assert_int_equal(report.cause, KEDGE_CAUSE_POWER);
        assert_int_equal(report.detail, i);
        fake_reset(fake, KEDGE_RESET_SW);
        assert_int_equal(fake->running, 1);
        assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    }
    fake_reset(fake, KEDGE_RESET_POWERON);
    assert_rolled_back(fake, KEDGE_CAUSE_REARM_LIMIT);
}

static void a_failed_self_test_rolls_back_without_waiting(void **state)
{
    struct fake *fake = *state;

    update_until_trial(fake);
    fake->self_test = KEDGE_SELF_TEST_FAILED;
    fake_connect(fake);
    for (int i = 0; i < 20 && !fake->reboot_wanted; i++) {
        fake_tick(fake, 500);
        if (fake->http_open) {
            fake_status(fake, 304);
        }
    }
    assert_true(fake->reboot_wanted);
    fake->self_test = KEDGE_SELF_TEST_PASSED;
    fake_reset(fake, KEDGE_RESET_SW);
    assert_rolled_back(fake, KEDGE_CAUSE_SELF_TEST);
}

static void a_broker_outage_never_downgrades_a_healthy_device(void **state)
{
    struct fake *fake = *state;

    fake_boot(fake);
    for (int i = 0; i < 4000; i++) {
        fake_tick(fake, 1000);
    }
    assert_false(fake->reboot_wanted);
    assert_int_equal(fake->slots[0].state, KEDGE_OTA_VALID);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
}

static void a_bad_sha_is_not_downloaded_again_unless_forced(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;
    struct kedge_http_response response = {.status = 200,
                                           .has_content_length = true,
                                           .content_length = image_size,
                                           .has_sha256 = true,
                                           .force = true,
                                           .version = "1.1.0"};

    update_until_trial(fake);
    fake_reset(fake, KEDGE_RESET_PANIC);
    assert_rolled_back(fake, KEDGE_CAUSE_PANIC);
    uint32_t written = fake->erased_sectors;

    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(fake->erased_sectors, written);
    assert_int_not_equal(fake_take_reports(fake, &report), 0);
    assert_int_equal(report.state, KEDGE_REPORT_REJECTED);
    assert_int_equal(report.cause, KEDGE_CAUSE_KNOWN_BAD);

    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    kedge_sha256_of(image, image_size, response.sha256);
    fake_respond(fake, &response);
    assert_int_equal(state_of(fake), KEDGE_STATE_DOWNLOADING);
}

static void wrong_images_are_refused_before_anything_is_erased(void **state)
{
    static const struct {
        const char *version, *project;
        uint16_t chip;
        enum kedge_cause cause;
    } rows[] = {
        {"1.1.0", "test", KEDGE_CHIP_ESP32S3, KEDGE_CAUSE_CHIP},
        {"1.1.0", "other", KEDGE_CHIP_ESP32, KEDGE_CAUSE_PROJECT},
        {"1.1.1", "test", KEDGE_CHIP_ESP32, KEDGE_CAUSE_VERSION},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake *fake = *state;
        struct kedge_report report;

        fake_init(fake);
        image_size =
            fake_image(rows[i].version, rows[i].project, rows[i].chip, 20000, image, sizeof image);
        start(fake);
        fake_download(fake, image, image_size, "1.1.0");
        assert_int_equal(fake->begins, 0);
        assert_int_equal(fake->erased_sectors, 0);
        assert_int_equal(fake_take_reports(fake, &report), 1);
        assert_int_equal(report.state, KEDGE_REPORT_REJECTED);
        assert_int_equal(report.cause, rows[i].cause);
        assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    }
}

static void a_file_that_is_no_image_and_one_too_large_are_refused(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;

    memset(image, 'x', 5000);
    start(fake);
    fake_download(fake, image, 5000, "1.1.0");
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.cause, KEDGE_CAUSE_IMAGE);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    uint32_t aborts = fake->aborts;
    static uint8_t large[FAKE_SLOT_SIZE + 1];

    fake_offer(fake, large, sizeof large, "1.2.0");
    assert_int_equal(fake->aborts, aborts + 1);
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.cause, KEDGE_CAUSE_SIZE);
    assert_int_equal(fake->erased_sectors, 0);
}

/* Start a download and break it after so many bytes. */
static void broken_download(struct fake *fake, uint32_t bytes)
{
    start(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake_offer(fake, image, image_size, "1.1.0");
    fake_body(fake, image, bytes);
    fake_fail(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_DOWNLOADING);
}

static void answer_part(struct fake *fake, uint32_t first, uint32_t last, uint32_t total,
                        const uint8_t *sha)
{
    struct kedge_http_response response = {.status = 206,
                                           .has_content_range = true,
                                           .range_first = first,
                                           .range_last = last,
                                           .range_total = total,
                                           .has_etag = true,
                                           .version = "1.1.0"};

    memcpy(response.etag_sha256, sha, sizeof response.etag_sha256);
    fake_respond(fake, &response);
}

static void a_broken_download_goes_on_at_a_sector_even_over_a_reset(void **state)
{
    struct fake *fake = *state;
    uint8_t sha[KEDGE_SHA256_SIZE];
    char quoted[70] = "\"";

    broken_download(fake, 10000);
    fake_reset(fake, KEDGE_RESET_POWERON);
    fake_connect(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    assert_string_equal(fake_header(fake, "Range"), "bytes=8192-");
    kedge_sha256_of(image, image_size, sha);
    kedge_hex_encode(sha, sizeof sha, quoted + 1);
    quoted[65] = '"';
    assert_string_equal(fake_header(fake, "If-Range"), quoted);
    answer_part(fake, 8192, image_size - 1, image_size, sha);
    fake_body(fake, image + 8192, image_size - 8192);
    fake_end(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
    assert_memory_equal(fake->slots[1].bytes, image, image_size);
}

static void a_part_of_something_else_starts_the_download_again(void **state)
{
    static const struct {
        uint32_t first, last_delta, total_delta;
        uint8_t sha_flip;
    } rows[] = {{4096, 0, 0, 0}, {8192, 1, 0, 0}, {8192, 0, 1, 0}, {8192, 0, 0, 1}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake *fake = *state;
        uint8_t sha[KEDGE_SHA256_SIZE];

        fake_init(fake);
        broken_download(fake, 10000);
        assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
        kedge_sha256_of(image, image_size, sha);
        sha[0] ^= rows[i].sha_flip;
        answer_part(fake, rows[i].first, image_size - 1 - rows[i].last_delta,
                    image_size + rows[i].total_delta, sha);
        assert_false(fake->http_open);
        assert_int_equal(fake->agent.journal.data.written, 0);
        fake_download(fake, image, image_size, "1.1.0");
        assert_string_equal(fake_header(fake, "Range"), "");
        assert_memory_equal(fake->slots[1].bytes, image, image_size);
    }
}

static void a_server_that_ignores_range_gets_the_whole_file_taken(void **state)
{
    struct fake *fake = *state;

    broken_download(fake, 10000);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
    assert_memory_equal(fake->slots[1].bytes, image, image_size);
}

static void a_wrong_hash_is_tried_once_more_and_then_rejected(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;
    uint8_t sha[KEDGE_SHA256_SIZE];

    start(fake);
    for (int attempt = 0; attempt < 2; attempt++) {
        struct kedge_http_response response = {.status = 200,
                                               .has_content_length = true,
                                               .content_length = image_size,
                                               .has_sha256 = true,
                                               .version = "1.1.0"};

        assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
        kedge_sha256_of(image, image_size, sha);
        sha[5] ^= 1;
        memcpy(response.sha256, sha, sizeof sha);
        fake_respond(fake, &response);
        fake_body(fake, image, image_size);
        fake_end(fake);
    }
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_REJECTED);
    assert_int_equal(report.cause, KEDGE_CAUSE_HASH);
    assert_int_equal(fake->boot, 0);
}

static void retry_after_and_poll_after_are_obeyed(void **state)
{
    struct fake *fake = *state;
    struct kedge_http_response busy = {
        .status = 503, .has_retry_after = true, .retry_after_s = 100};
    struct kedge_http_response later = {
        .status = 304, .has_poll_after = true, .poll_after_s = 1000};
    uint64_t asked;

    start(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    asked = fake->now_ms;
    fake_respond(fake, &busy);
    fake_end(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    assert_in_range(fake->now_ms - asked, 100000, 102100);
    asked = fake->now_ms;
    fake_respond(fake, &later);
    fake_end(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    assert_in_range(fake->now_ms - asked, 900000, 1100100);
}

static void a_veto_defers_and_is_reported_once(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;

    fake->vetoed = true;
    start(fake);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_DEFERRED);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(fake->agent.journal.data.report_count, 0);
    fake->vetoed = false;
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
}

static void reports_survive_a_reset_and_a_server_that_refuses(void **state)
{
    struct fake *fake = *state;
    struct kedge_report report;

    update_until_trial(fake);
    prove(fake);
    assert_true(fake_wait_request(fake, "/ota/report"));
    fake_status(fake, 500);
    assert_int_equal(fake->agent.journal.data.report_count, 1);
    fake_reset(fake, KEDGE_RESET_POWERON);
    fake_connect(fake);
    assert_int_equal(fake_take_reports(fake, &report), 1);
    assert_int_equal(report.state, KEDGE_REPORT_COMMITTED);
}

static void a_withdrawn_offer_ends_the_download(void **state)
{
    struct fake *fake = *state;

    broken_download(fake, 10000);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake_status(fake, 304);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
}

static void a_slot_the_bootloader_fell_back_from_is_not_confirmed(void **state)
{
    struct fake *fake = *state;

    update_until_trial(fake);
    /* the bootloader could not verify slot 1: it runs slot 0, otadata still names slot 1 */
    fake->running = 0;
    fake->boot = 1;
    fake->reset_reason = KEDGE_RESET_POWERON;
    fake_boot(fake);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_PENDING_VERIFY);
    assert_true(fake->reboot_wanted || state_of(fake) == KEDGE_STATE_REBOOTING);
    fake_connect(fake);
    for (int i = 0; i < 20 && !fake->reboot_wanted; i++) {
        fake_tick(fake, 1000);
        if (fake->http_open) {
            fake_status(fake, 200);
        }
    }
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(fake->running, 0);
    assert_int_equal(fake->boot, 0);
    assert_int_equal(fake->slots[1].state, KEDGE_OTA_ABORTED);
    assert_int_equal(state_of(fake), KEDGE_STATE_IDLE);
    assert_int_equal(fake->agent.journal.data.bad_count, 1);
}

static void nothing_is_acted_on_while_the_journal_cannot_be_written(void **state)
{
    struct fake *fake = *state;

    start(fake);
    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    fake->store_fail_from = fake->store_writes + 1;
    fake_offer(fake, image, image_size, "1.1.0");
    assert_false(fake->http_open);
    assert_int_equal(fake->erased_sectors, 0);
    fake->store_fail_from = 0;
    fake_tick(fake, 2000);
    fake_download(fake, image, image_size, "1.1.0");
    assert_int_equal(state_of(fake), KEDGE_STATE_REBOOTING);
}

static void a_pending_image_unknown_to_the_journal_is_put_on_trial(void **state)
{
    struct fake *fake = *state;

    fake->slots[0].state = (uint32_t)KEDGE_OTA_PENDING_VERIFY;
    fake_boot(fake);
    assert_int_equal(state_of(fake), KEDGE_STATE_TRIAL);
    prove(fake);
    assert_int_equal(fake->slots[0].state, KEDGE_OTA_VALID);
    assert_int_equal(fake->agent.journal.data.report_count, 0);
}

static void commands_cannot_make_a_device_hammer_the_broker(void **state)
{
    static const char command[] = "{\"cmd\":\"telemetry-interval\",\"value\":1}";
    struct fake *fake = *state;
    struct kedge_event event = {.kind = KEDGE_EVENT_COMMAND,
                                .bytes = {(const uint8_t *)command, sizeof command - 1}};
    uint32_t before;

    start(fake);
    before = fake->publishes;
    for (int i = 0; i < 1000; i++) { /* 10 seconds of being told 100 times a second */
        fake_event(fake, &event);
        fake_tick(fake, 10);
    }
    assert_in_range(fake->publishes - before, 5, 16);
}

static void a_log_level_command_reaches_the_agent_and_the_platform(void **state)
{
    static const char command[] = "{\"cmd\":\"log-level\",\"value\":4}";
    struct fake *fake = *state;
    struct kedge_event event = {.kind = KEDGE_EVENT_COMMAND,
                                .bytes = {(const uint8_t *)command, sizeof command - 1}};

    start(fake);
    fake_event(fake, &event);

    assert_int_equal(fake->agent.log_level, KEDGE_LOG_DEBUG);
    assert_int_equal(fake->log_level, KEDGE_LOG_DEBUG);
}

static void malformed_commands_change_nothing(void **state)
{
    static const char *const commands[] = {"",
                                           "{}",
                                           "{\"cmd\":\"reboot\"}",
                                           "[1]",
                                           "{\"cmd\":\"telemetry-interval\",\"value\":0}",
                                           "{\"cmd\":\"log-level\",\"value\":9}"};
    struct fake *fake = *state;

    start(fake);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct kedge_event event = {.kind = KEDGE_EVENT_COMMAND,
                                    .bytes = {(const uint8_t *)commands[i], strlen(commands[i])}};

        fake_event(fake, &event);
        assert_int_equal(fake->agent.config.telemetry_interval_ms, 60000);
        assert_int_equal(fake->agent.log_level, KEDGE_LOG_INFO);
    }
}

static void init_refuses_bad_device_ids(void **state)
{
    static const char *const ids[] = {NULL, "", "a/b", "+", "a b", "-x"};
    struct fake *fake = *state;

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        fake->config.device_id = ids[i];
        fake_boot(fake);
        assert_true(fake->reboot_wanted);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_update_is_committed_and_reported_once),
        TEST(an_update_writes_nine_snapshots_and_one_every_64_kib),
        TEST(an_image_that_panics_after_it_has_connected_is_not_confirmed_before),
        TEST(the_poll_says_all_that_the_server_needs),
        TEST(a_poll_during_the_trial_says_pending),
        TEST(a_panic_on_trial_makes_the_image_bad_at_once),
        TEST(a_panic_counts_even_if_a_report_was_acknowledged_before),
        TEST(an_image_that_cannot_reach_the_broker_is_bad_when_the_old_one_can),
        TEST(an_outage_that_the_old_image_suffers_too_re_arms_without_a_download),
        TEST(power_loss_on_trial_re_arms_three_times_and_no_more),
        TEST(a_failed_self_test_rolls_back_without_waiting),
        TEST(a_broker_outage_never_downgrades_a_healthy_device),
        TEST(a_bad_sha_is_not_downloaded_again_unless_forced),
        TEST(wrong_images_are_refused_before_anything_is_erased),
        TEST(a_file_that_is_no_image_and_one_too_large_are_refused),
        TEST(a_broken_download_goes_on_at_a_sector_even_over_a_reset),
        TEST(a_part_of_something_else_starts_the_download_again),
        TEST(a_server_that_ignores_range_gets_the_whole_file_taken),
        TEST(a_wrong_hash_is_tried_once_more_and_then_rejected),
        TEST(retry_after_and_poll_after_are_obeyed),
        TEST(a_veto_defers_and_is_reported_once),
        TEST(reports_survive_a_reset_and_a_server_that_refuses),
        TEST(a_withdrawn_offer_ends_the_download),
        TEST(a_slot_the_bootloader_fell_back_from_is_not_confirmed),
        TEST(nothing_is_acted_on_while_the_journal_cannot_be_written),
        TEST(a_pending_image_unknown_to_the_journal_is_put_on_trial),
        TEST(commands_cannot_make_a_device_hammer_the_broker),
        TEST(a_log_level_command_reaches_the_agent_and_the_platform),
        TEST(malformed_commands_change_nothing),
        TEST(init_refuses_bad_device_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
