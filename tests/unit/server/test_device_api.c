/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "range.h"

#define FIRMWARE "/ota/firmware.bin"
#define CURRENT  "X-Current-Version: 1.0.0"

/* One device that may be updated to 1.1.0; the sha256 of that into f->data's stead. */
static void offer_one(struct fixture *f, char *sha256)
{
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.1.0\",\"stages\":\"100\"}", 201);
}

static void malformed_headers_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *headers;
        const char *named;
    } cases[] = {
        {"X-Chip: esp32", "X-Current-Version"},
        {"X-Current-Version:", "X-Current-Version"},
        {"X-Current-Version: 123456789012345678901234567890123", "X-Current-Version"},
        {"X-Current-Version: 1.0\x80", "X-Current-Version"},
        {"X-Current-Version: 1.0\t0", "X-Current-Version"},
        {CURRENT "\nX-Current-Version: 1.0.0", "X-Current-Version"},
        {CURRENT "\nX-Chip: ", "X-Chip"},
        {CURRENT "\nX-Chip: z80", "X-Chip"},
        {CURRENT "\nX-Chip: ESP32", "X-Chip"},
        {CURRENT "\nX-Chip: esp32s3", "X-Chip"}, /* registered as esp32 */
        {CURRENT "\nX-Slot-Size: 0", "X-Slot-Size"},
        {CURRENT "\nX-Slot-Size: -1", "X-Slot-Size"},
        {CURRENT "\nX-Slot-Size: 4294967296", "X-Slot-Size"},
        {CURRENT "\nX-Slot-Size: 12 34", "X-Slot-Size"},
        {CURRENT "\nX-Secure-Version: x", "X-Secure-Version"},
        {CURRENT "\nX-Secure-Version: 1\nX-Secure-Version: 1", "X-Secure-Version"},
        {CURRENT "\nX-App-SHA256: 1234", "X-App-SHA256"},
        {CURRENT "\nX-App-SHA256: "
                 "zz11111111111111111111111111111111111111111111111111111111111111",
         "X-App-SHA256"},
        {CURRENT "\nX-Boot-Caps: a,,b", "X-Boot-Caps"},
        {CURRENT "\nX-Boot-Caps: ,", "X-Boot-Caps"},
        {CURRENT "\nX-Boot-Caps: a,", "X-Boot-Caps"},
        {CURRENT "\nX-Boot-Caps: A;B", "X-Boot-Caps"},
        {CURRENT "\nRange: bytes=x-", "Range"},
        {CURRENT "\nRange: bytes=5-4", "Range"},
        {CURRENT "\nRange: bytes", "Range"},
        {CURRENT "\nRange: bytes=0-\nRange: bytes=1-", "Range"},
    };
    offer_one(f, NULL);

    for (size_t i = 0; i < CASES(cases); i++) {
        const struct answer *answer = device_get(f, "dev01", FIRMWARE, cases[i].headers, 400);
        if (strncmp(json_text(answer, "error"), cases[i].named, strlen(cases[i].named)) != 0) {
            fail_msg("case %zu: %s does not name %s", i, answer->body, cases[i].named);
        }
    }
    /* None of them counted as an offer. */
    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "exposed"), 0);
}

static void well_formed_headers_are_taken(void **state)
{
    struct fixture *f = *state;
    offer_one(f, NULL);

    (void)device_get(f, "dev01", FIRMWARE,
                     "X-Device-ID: dev01\nX-Current-Version: 1.0.0\nX-Chip: esp32\n"
                     "X-Slot-Size: 0x1B0000\nX-Secure-Version: 0\nX-App-SHA256: "
                     "AA11111111111111111111111111111111111111111111111111111111111111\n"
                     "X-Boot-Caps: rollback, anti_rollback",
                     200);

    (void)admin_get(f, "/api/v1/devices/dev01", 200);
    assert_string_equal(json_text(&f->answer, "version"), "1.0.0");
    assert_int_equal(json_int(&f->answer, "slot_size"), 0x1B0000);
    assert_string_equal(json_text(&f->answer, "elf_sha256"),
                        "aa11111111111111111111111111111111111111111111111111111111111111");
    assert_string_equal(json_text(&f->answer, "boot_caps"), "rollback, anti_rollback");
    assert_string_equal(json_text(&f->answer, "state"), "updating");
}

static void strangers_get_403_and_are_on_the_record_once_a_minute(void **state)
{
    struct fixture *f = *state;
    (void)admin_post(f, "/api/v1/devices",
                     "{\"id\":\"pinned\",\"cert_sha256\":\"AA111111111111111111111111111111111111"
                     "11111111111111111111111111\"}",
                     201);
    add_devices(f, "dev", 2);
    (void)admin_post(f, "/api/v1/devices/dev02/revoke", "", 200);
    const struct {
        struct srv_peer peer;
        const char *headers;
        const char *reason;
    } cases[] = {
        {{.cert_state = SRV_CERT_REFUSED,
          .cert_error = "self-signed certificate",
          .cn = "dev01",
          .address = "10.0.0.1:1"},
         CURRENT,
         "does not verify: self-signed"},
        {{.cert_state = SRV_CERT_NONE, .cn = "dev01", .address = "10.0.0.1:1"},
         CURRENT,
         "does not verify"},
        {{.cert_state = SRV_CERT_OK, .cn = "", .address = "10.0.0.1:1"}, CURRENT, "CN"},
        {{.cert_state = SRV_CERT_OK, .cn = "../etc", .address = "10.0.0.1:1"}, CURRENT, "CN"},
        {{.cert_state = SRV_CERT_OK, .cn = "nobody", .address = "10.0.0.1:1"},
         CURRENT,
         "not registered"},
        {{.cert_state = SRV_CERT_OK, .cn = "dev02", .address = "10.0.0.1:1"}, CURRENT, "revoked"},
        {{.cert_state = SRV_CERT_OK, .cn = "dev01", .address = "10.0.0.1:1"},
         CURRENT "\nX-Device-ID: dev02",
         "X-Device-ID"},
        {{.cert_state = SRV_CERT_OK, .cn = "pinned", .cert_sha256 = "bb", .address = "10.0.0.1:1"},
         CURRENT,
         "another certificate"},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        const struct answer *answer =
            device_request(f, SRV_GET, &cases[i].peer, FIRMWARE, cases[i].headers, NULL, 403);
        assert_non_null(strstr(json_text(answer, "error"), cases[i].reason));
        for (int j = 0; j < 50; j++) {
            (void)device_request(f, SRV_POST, &cases[i].peer, "/ota/report", cases[i].headers, "{}",
                                 403);
        }
    }

    /* Two pairs share a reason, and two more do: six kinds. */
    assert_int_equal(audit_count(f, "request.refused"), 6);
    f->core->skew_ms += 60000;
    srv_audit_flush(f->core);
    assert_int_equal(audit_count(f, "request.refused"), 12);
    assert_non_null(strstr(f->answer.body, "audit"));
    f->core->skew_ms += 60000;
    srv_audit_flush(f->core);
    assert_int_equal(audit_count(f, "request.refused"), 12);
}

static void the_pinned_certificate_is_let_in(void **state)
{
    struct fixture *f = *state;
    struct srv_peer peer = {.cert_state = SRV_CERT_OK, .cn = "pinned", .address = "10.0.0.1:1"};
    (void)snprintf(peer.cert_sha256, sizeof peer.cert_sha256, "%064d", 7);
    (void)admin_post(f, "/api/v1/devices",
                     "{\"id\":\"pinned\",\"cert_sha256\":\"000000000000000000000000000000000000000"
                     "0000000000000000000000007\"}",
                     201);

    (void)device_request(f, SRV_GET, &peer, FIRMWARE, CURRENT, NULL, 304);
}

static void health_needs_a_certificate_but_no_registration(void **state)
{
    struct fixture *f = *state;
    struct srv_peer refused = {
        .cert_state = SRV_CERT_REFUSED, .cn = "dev01", .address = "10.0.0.1:1"};

    assert_string_equal(device_get(f, "stranger", "/health", NULL, 200)->body, "ok\n");
    (void)device_request(f, SRV_GET, &refused, "/health", NULL, NULL, 403);
    srv_core_stop(f->core);
    (void)device_get(f, "stranger", "/health", NULL, 503);
}

static void nothing_to_do_is_304_with_the_next_poll(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);

    const struct answer *answer = device_get(f, "dev01", FIRMWARE, CURRENT, 304);

    assert_string_equal(header(answer, "X-Poll-After"), "2"); /* 1500 ms, rounded up */
    assert_int_equal(answer->body_len, 0);
}

static void a_stopping_server_sends_devices_away(void **state)
{
    struct fixture *f = *state;
    offer_one(f, NULL);
    srv_core_stop(f->core);

    const struct answer *answer = device_get(f, "dev01", FIRMWARE, CURRENT, 503);

    assert_string_equal(header(answer, "Retry-After"), "30");
}

static void a_stock_client_gets_what_esp_https_ota_expects(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    char etag[80];
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.1.0", 4096, &len);
    offer_one(f, sha256);
    (void)snprintf(etag, sizeof etag, "\"%s\"", sha256);

    const struct answer *answer =
        device_get(f, "dev01", FIRMWARE, "X-Device-ID: dev01\n" CURRENT, 200);

    assert_string_equal(header(answer, "ETag"), etag);
    assert_string_equal(header(answer, "X-Firmware-SHA256"), sha256);
    assert_string_equal(header(answer, "X-Firmware-Version"), "1.1.0");
    assert_string_equal(header(answer, "Accept-Ranges"), "bytes");
    assert_string_equal(header(answer, "X-Firmware-Force"), "");
    assert_int_equal(answer->body_len, len);
    assert_memory_equal(answer->body, image, len);
    free(image);
}

static void ranges_are_answered_as_rfc_9110_says(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    char headers[256];
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.1.0", 4096, &len);
    offer_one(f, sha256);
    const struct {
        const char *range;
        const char *if_range; /* NULL = none; "=" = the ETag */
        unsigned status;
        size_t first, count;
    } cases[] = {
        {"bytes=0-", "=", 206, 0, len},
        {"bytes=100-", "=", 206, 100, len - 100},
        {"bytes=100-", NULL, 206, 100, len - 100},
        {"bytes=100-199", "=", 206, 100, 100},
        {"bytes=100-100", "=", 206, 100, 1},
        {"bytes=100-99999999", "=", 206, 100, len - 100},
        {"BYTES=100-", "=", 206, 100, len - 100},
        {"bytes=-10", "=", 206, len - 10, 10},
        {"bytes=100-", "\"other\"", 200, 0, len},
        {"bytes=100-", "Tue, 01 Jan 2030 00:00:00 GMT", 200, 0, len},
        {"bytes=99999999-", "\"other\"", 200, 0, len},
        {"bytes=0-9,20-29", "=", 200, 0, len},
        {"lines=1-2", "=", 200, 0, len},
        {"bytes=99999999-", "=", 416, 0, 0},
        {"bytes=-0", "=", 416, 0, 0},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        char etag[80];
        char expected[64];
        (void)snprintf(etag, sizeof etag, "\"%s\"", sha256);
        const char *condition = cases[i].if_range;
        condition = condition != NULL && condition[0] == '=' ? etag : condition;
        (void)snprintf(headers, sizeof headers, CURRENT "\nRange: %s%s%s", cases[i].range,
                       condition != NULL ? "\nIf-Range: " : "", condition != NULL ? condition : "");
        const struct answer *answer = device_get(f, "dev01", FIRMWARE, headers, cases[i].status);
        if (cases[i].status == 416) {
            (void)snprintf(expected, sizeof expected, "bytes */%zu", len);
            assert_string_equal(header(answer, "Content-Range"), expected);
            continue;
        }
        assert_int_equal(answer->body_len, cases[i].count);
        assert_memory_equal(answer->body, image + cases[i].first, cases[i].count);
        (void)snprintf(expected, sizeof expected, "bytes %zu-%zu/%zu", cases[i].first,
                       cases[i].first + cases[i].count - 1, len);
        assert_string_equal(header(answer, "Content-Range"),
                            cases[i].status == 206 ? expected : "");
        /* keep the fixture's whole downloads from looking like a loop */
        f->core->rollouts[0]->members[0]->full_loads = 0;
    }
    free(image);
}

static void a_resume_is_not_a_second_download(void **state)
{
    struct fixture *f = *state;
    offer_one(f, NULL);

    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 200);
    size_t len = f->answer.body_len;
    for (int i = 0; i < 3; i++) {
        (void)device_get(f, "dev01", FIRMWARE, CURRENT "\nRange: bytes=1000-", 206);
    }

    (void)admin_get(f, "/api/v1/rollouts/1", 200);
    assert_int_equal(json_int(&f->answer, "downloads"), 1);
    assert_int_equal(json_int(&f->answer, "bytes_sent"), len + 3 * (len - 1000));
    assert_int_equal(audit_count(f, "member.offered"), 1);
}

static void head(struct fixture *f, const char *headers, unsigned status)
{
    f->is_head = true;
    (void)device_get(f, "dev01", FIRMWARE, headers, status);
    f->is_head = false;
}

static void a_head_is_answered_like_a_get_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    char etag[80];
    offer_one(f, sha256);
    (void)snprintf(etag, sizeof etag, "\"%s\"", sha256);
    const struct srv_device *device = srv_device_find(f->core, "dev01");
    const struct srv_device before = *device;
    static const struct {
        const char *headers;
        unsigned status;
    } cases[] = {
        {CURRENT, 200},
        {CURRENT "\nX-Slot-Size: 0x1B0000\nX-Secure-Version: 0", 200},
        {CURRENT "\nRange: bytes=100-", 200}, /* RFC 9110 14.2: ranges are for GET */
        {CURRENT "\nRange: bytes=x-", 200},
        {CURRENT "\nX-Slot-Size: 100", 304},
        {CURRENT "\nX-Boot-Caps: none", 304},
        {CURRENT "\nX-Boot-Caps: rollback,pending", 304},
        {"X-Current-Version: 1.1.0", 304},
        {"X-Current-Version: 2.0.0", 304},
        {"X-Current-Version: by-hand", 304},
        {"X-Chip: esp32", 400},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        head(f, cases[i].headers, cases[i].status);
        assert_string_equal(header(&f->answer, "ETag"), cases[i].status == 200 ? etag : "");
        assert_string_equal(header(&f->answer, "Content-Range"), "");
        assert_memory_equal(device, &before, sizeof before);
    }

    assert_int_equal(f->core->counters.polls, 0);
    assert_int_equal(f->core->counters.offers, 0);
    (void)admin_get(f, "/api/v1/rollouts/1", 200);
    assert_int_equal(json_int(&f->answer, "exposed"), 0);
    assert_int_equal(json_int(&f->answer, "downloads"), 0);
    assert_int_equal(json_int(&f->answer, "counts.pending"), 1);
    assert_int_equal(audit_count(f, "member.offered"), 0);
    assert_int_equal(audit_count(f, "member.updated"), 0);

    /* and the GET after it is the first */
    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 200);
    size_t len = f->answer.body_len;
    head(f, CURRENT, 200); /* in flight: the same once more */
    assert_int_equal(f->answer.body_len, len);
    (void)admin_get(f, "/api/v1/rollouts/1", 200);
    assert_int_equal(json_int(&f->answer, "downloads"), 1);
    assert_int_equal(json_int(&f->answer, "bytes_sent"), len);
}

static void a_head_from_the_old_version_is_no_regression(void **state)
{
    struct fixture *f = *state;
    offer_one(f, NULL);
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);
    assert_int_equal(poll(f, "dev01", "1.1.0", NULL), 304);

    head(f, CURRENT, 304);
    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "counts.updated"), 1);

    /* a poll is */
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 304);
    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "counts.failed"), 1);
}

static void bytes_that_never_left_are_not_counted(void **state)
{
    struct fixture *f = *state;
    offer_one(f, NULL);
    f->hold_body = true;

    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 200);
    f->held.progress(f->held.progress_ctx, 1000, false);
    f->held.progress(f->held.progress_ctx, 1500, true); /* the connection broke */
    f->hold_body = false;
    srv_response_free(&f->held);

    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "bytes_sent"), 1500);
}

static void what_the_client_has_already_is_not_sent(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    char headers[256];
    offer_one(f, sha256);
    (void)snprintf(headers, sizeof headers, CURRENT "\nIf-None-Match: \"%s\"", sha256);

    (void)device_get(f, "dev01", FIRMWARE, headers, 304);

    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "exposed"), 0);
    (void)device_get(f, "dev01", FIRMWARE, CURRENT "\nIf-None-Match: \"other\"", 200);
}

static void a_poll_that_cannot_be_put_on_record_is_sent_away_and_offered_nothing(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    offer_one(f, NULL);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);

    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 503);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_string_equal(header(&f->answer, "Retry-After"), "30");
    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "exposed"), 0);
    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 200);
    fixture_kill(f);
    assert_int_equal(json_int(admin_get(f, "/api/v1/rollouts/1", 200), "downloads"), 1);
}

static void a_missing_image_file_is_503_and_comes_back_with_the_same_upload(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    char path[256];
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.1.0", 4096, &len);
    offer_one(f, sha256);
    (void)snprintf(path, sizeof path, "%s/releases/%s.bin", f->data, sha256);
    assert_int_equal(remove(path), 0);

    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 503);
    (void)upload(f, image, len, len, 200);
    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 200);
    free(image);
}

static void reports_are_refused_with_a_reason(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"attempt\":1}",
        "{\"attempt\":0,\"seq\":1,\"from\":\"1\",\"to\":\"2\",\"sha256\":\"00\",\"state\":\"x\","
        "\"cause\":\"none\"}",
    };
    char sha256[65];
    offer_one(f, sha256);

    for (size_t i = 0; i < CASES(bad); i++) {
        (void)device_post(f, "dev01", "/ota/report", bad[i], 400);
        assert_int_equal(strncmp(json_text(&f->answer, "error"), "report:", 7), 0);
    }
    report(f, "dev01", 1, 1, sha256, "exploded", "none", 400);
    report(f, "dev01", 1, 1, sha256, "verified", "gremlins", 400);
    report(f, "dev01", 1, 1, "0000000000000000000000000000000000000000000000000000000000000000",
           "verified", "none", 404);
    assert_int_equal(audit_count(f, "device.report"), 0);
    assert_int_equal(audit_count(f, "request.refused"), 1);
}

static void an_image_that_does_not_fit_is_not_offered(void **state)
{
    struct fixture *f = *state;
    offer_one(f, NULL);

    (void)device_get(f, "dev01", FIRMWARE, CURRENT "\nX-Slot-Size: 4096", 304);
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev01", 200), "state"),
                        "too_large");
    (void)device_get(f, "dev01", FIRMWARE, CURRENT "\nX-Slot-Size: 65536\nX-Secure-Version: 1",
                     304);
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev01", 200), "state"),
                        "secure_version");
}

static void a_device_without_a_chip_is_taken_for_the_only_one_there_is(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32C3, "1.0.0", 4096, &len);
    offer_one(f, NULL);
    (void)admin_post(f, "/api/v1/devices", "{\"id\":\"plain\"}", 201);
    (void)admin_post(f, "/api/v1/devices", "{\"id\":\"other\"}", 201);

    (void)device_get(f, "plain", FIRMWARE, CURRENT, 200);
    (void)upload(f, image, len, len, 201); /* now there are two chips */
    (void)device_get(f, "other", FIRMWARE, CURRENT, 304);
    free(image);
}

static void polls_reach_the_database_in_batches(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 2);
    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 304);

    fixture_kill(f);
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev01", 200), "version"), "");
    (void)device_get(f, "dev01", FIRMWARE, CURRENT, 304);
    assert_int_equal(srv_core_flush(f->core), KEDGE_OK);
    fixture_kill(f);
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev01", 200), "version"), "1.0.0");
    (void)device_get(f, "dev02", FIRMWARE, CURRENT, 304);
    fixture_restart(f); /* a clean shutdown flushes */
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev02", 200), "version"), "1.0.0");
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(malformed_headers_are_refused_by_name),
        API_TEST(well_formed_headers_are_taken),
        API_TEST(strangers_get_403_and_are_on_the_record_once_a_minute),
        API_TEST(the_pinned_certificate_is_let_in),
        API_TEST(health_needs_a_certificate_but_no_registration),
        API_TEST(nothing_to_do_is_304_with_the_next_poll),
        API_TEST(a_stopping_server_sends_devices_away),
        API_TEST(a_stock_client_gets_what_esp_https_ota_expects),
        API_TEST(ranges_are_answered_as_rfc_9110_says),
        API_TEST(a_resume_is_not_a_second_download),
        API_TEST(a_head_is_answered_like_a_get_and_changes_nothing),
        API_TEST(a_head_from_the_old_version_is_no_regression),
        API_TEST(bytes_that_never_left_are_not_counted),
        API_TEST(what_the_client_has_already_is_not_sent),
        API_TEST(a_poll_that_cannot_be_put_on_record_is_sent_away_and_offered_nothing),
        API_TEST(a_missing_image_file_is_503_and_comes_back_with_the_same_upload),
        API_TEST(reports_are_refused_with_a_reason),
        API_TEST(an_image_that_does_not_fit_is_not_offered),
        API_TEST(a_device_without_a_chip_is_taken_for_the_only_one_there_is),
        API_TEST(polls_reach_the_database_in_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
