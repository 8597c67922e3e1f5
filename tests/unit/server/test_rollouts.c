/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole rollouts, as devices and operators see them. */

#define SOAK    "1000"
#define SILENCE "5000"

static void create(struct fixture *f, const char *version, const char *more)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"version\":\"%s\",\"stages\":\"10,50,100\",\"soak_ms\":" SOAK
                   ",\"silence_ms\":" SILENCE "%s}",
                   version, more);
    (void)admin_post(f, "/api/v1/rollouts", body, 201);
}

static const struct answer *show(struct fixture *f, int id)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/api/v1/rollouts/%d", id);
    return admin_get(f, path, 200);
}

static const char *device_name(unsigned i)
{
    static char name[16];
    (void)snprintf(name, sizeof name, "dev%02u", i);
    return name;
}

/* Ten devices with their versions; those that are offered the target take it. */
struct fleet {
    struct fixture *f;
    unsigned count;
    const char *version[64];
    unsigned attempts[64];
};

static void start_fleet(struct fleet *fleet, struct fixture *f, unsigned count, const char *version)
{
    *fleet = (struct fleet){.f = f, .count = count};
    for (unsigned i = 0; i < count; i++) {
        fleet->version[i] = version;
    }
}

static unsigned poll_all(struct fleet *fleet, const char *target, const char *sha256)
{
    unsigned offered = 0;
    for (unsigned i = 0; i < fleet->count; i++) {
        const char *id = device_name(i + 1);
        unsigned status = poll(fleet->f, id, fleet->version[i], "X-Chip: esp32");
        if (status == 200 && target != NULL) {
            offered++;
            fleet->attempts[i]++;
            report(fleet->f, id, fleet->attempts[i], 1, sha256, "verified", "none", 200);
            report(fleet->f, id, fleet->attempts[i], 2, sha256, "committed", "none", 200);
            fleet->version[i] = target;
        } else if (status == 200) {
            offered++;
        }
    }
    return offered;
}

static void a_good_release_reaches_everybody_stage_by_stage(void **state)
{
    struct fixture *f = *state;
    struct fleet fleet;
    char sha256[65];
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    start_fleet(&fleet, f, 20, "1.0.0");
    assert_int_equal(poll_all(&fleet, NULL, NULL), 0);
    create(f, "1.1.0", "");

    assert_int_equal(poll_all(&fleet, "1.1.0", sha256), 2);
    assert_int_equal(poll_all(&fleet, "1.1.0", sha256), 0);
    fixture_pass(f, 999);
    assert_int_equal(json_int(show(f, 1), "stage"), 0);
    fixture_pass(f, 1);
    assert_int_equal(json_int(show(f, 1), "stage"), 1);
    assert_int_equal(poll_all(&fleet, "1.1.0", sha256), 8);
    fixture_pass(f, 1000);
    assert_int_equal(poll_all(&fleet, "1.1.0", sha256), 10);
    fixture_pass(f, 1000);

    assert_string_equal(json_text(show(f, 1), "state"), "complete");
    assert_int_equal(json_int(&f->answer, "counts.updated"), 20);
    assert_int_equal(json_int(&f->answer, "downloads"), 20);
    assert_int_equal(json_int(&f->answer, "exposed"), 20);
    assert_int_equal(json_int(&f->answer, "stages.0.members"), 2);
    assert_int_equal(json_int(&f->answer, "stages.1.members"), 8);
    assert_int_equal(audit_count(f, "member.offered"), 20);
    assert_int_equal(audit_count(f, "rollout.promote"), 2);
    assert_int_equal(audit_count(f, "rollout.complete"), 1);
}

static void a_bad_release_is_stopped_at_the_canary(void **state)
{
    struct fixture *f = *state;
    struct fleet fleet;
    char sha256[65];
    char bad[65];
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.2.0", bad);
    add_release(f, "1.1.0", sha256);
    start_fleet(&fleet, f, 20, "1.0.0");
    (void)poll_all(&fleet, NULL, NULL);
    create(f, "1.2.0", "");
    assert_int_equal(poll_all(&fleet, NULL, NULL), 2);

    for (unsigned i = 1; i <= 20; i++) {
        if (poll(f, device_name(i), "1.0.0", "Range: bytes=100-") == 206) {
            fixture_pass(f, 20);
            report(f, device_name(i), 1, 1, bad, "rolled_back", "broker", 200);
            break;
        }
    }

    assert_string_equal(json_text(show(f, 1), "state"), "halted");
    assert_int_equal(json_int(&f->answer, "halt.failed"), 1);
    assert_string_equal(json_text(&f->answer, "halt.devices.0.cause"), "broker");
    assert_in_range(json_int(&f->answer, "halt.ms_since_first_offer"), 20, 5000);
    assert_int_equal(json_int(&f->answer, "exposed"), 2);
    assert_int_equal(poll_all(&fleet, NULL, NULL), 0);
    /* The next good release is not held up by it. */
    create(f, "1.1.0", "");
    assert_int_equal(poll_all(&fleet, "1.1.0", sha256), 2);
}

static unsigned first_offered(struct fixture *f, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        if (poll(f, device_name(i), "1.0.0", NULL) == 200) {
            return i;
        }
    }
    fail_msg("nobody was offered anything");
    return 0;
}

static void silence_after_an_offer_halts(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 10);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");
    unsigned canary = first_offered(f, 10);

    fixture_pass(f, 4000);
    assert_int_equal(poll(f, device_name(canary), "1.0.0", NULL), 200); /* heard */
    fixture_pass(f, 4999);
    assert_string_equal(json_text(show(f, 1), "state"), "running");
    fixture_pass(f, 1);

    assert_string_equal(json_text(show(f, 1), "state"), "halted");
    assert_string_equal(json_text(&f->answer, "halt.devices.0.cause"), "silence");
    assert_string_equal(json_text(&f->answer, "halt.devices.0.id"), device_name(canary));
}

static void an_outage_of_the_server_is_not_the_devices_silence(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 10);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");
    (void)first_offered(f, 10);
    f->core->skew_ms += 4999;

    fixture_restart(f);
    f->core->skew_ms += 3600000; /* an hour later by every clock, but kedged was off */
    f->core->opened_ms = srv_guard_ms(f->core);

    fixture_pass(f, 4999);
    assert_string_equal(json_text(show(f, 1), "state"), "running");
    fixture_pass(f, 1);
    assert_string_equal(json_text(show(f, 1), "state"), "halted");
}

static void a_late_commit_corrects_a_silence(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    add_devices(f, "dev", 10);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    create(f, "1.1.0", "");
    unsigned canary = first_offered(f, 10);
    fixture_pass(f, 5000);
    assert_int_equal(json_int(show(f, 1), "failures"), 1);

    report(f, device_name(canary), 1, 1, sha256, "committed", "none", 200);

    assert_int_equal(json_int(show(f, 1), "failures"), 0);
    assert_int_equal(json_int(&f->answer, "counts.updated"), 1);
    assert_string_equal(json_text(&f->answer, "state"), "halted"); /* an operator's decision now */
    (void)admin_post(f, "/api/v1/rollouts/1/resume", "", 200);
    fixture_pass(f, 1000);
    assert_int_equal(json_int(show(f, 1), "stage"), 1);
}

static void resume_acknowledges_the_failures_so_far(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    create(f, "1.1.0", "");
    unsigned canary = first_offered(f, 20);
    report(f, device_name(canary), 1, 1, sha256, "rolled_back", "panic", 200);
    assert_string_equal(json_text(show(f, 1), "state"), "halted");

    (void)admin_post(f, "/api/v1/rollouts/1/resume", "", 200);
    fixture_pass(f, 300);

    assert_string_equal(json_text(show(f, 1), "state"), "running");
    assert_int_equal(poll(f, device_name(canary), "1.0.0", NULL), 304); /* it failed: not again */
    fixture_restart(f);
    fixture_pass(f, 300);
    assert_string_equal(json_text(show(f, 1), "state"), "running");
    unsigned second = first_offered(f, 20);
    assert_int_not_equal(second, canary);
    report(f, device_name(second), 1, 1, sha256, "rolled_back", "panic", 200);
    assert_string_equal(json_text(show(f, 1), "state"), "halted");
    assert_int_equal(json_int(&f->answer, "halt.failed"), 1);
}

static void a_device_that_comes_back_after_completion_is_updated_under_the_same_guard(void **state)
{
    struct fixture *f = *state;
    struct fleet fleet;
    char sha256[65];
    add_devices(f, "dev", 4);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    start_fleet(&fleet, f, 3, "1.0.0"); /* dev04 is away */
    (void)admin_post(
        f, "/api/v1/rollouts",
        "{\"version\":\"1.1.0\",\"stages\":\"100\",\"soak_ms\":1000,\"silence_ms\":5000}", 201);
    assert_int_equal(poll_all(&fleet, "1.1.0", sha256), 3);
    fixture_pass(f, 4999);
    assert_string_equal(json_text(show(f, 1), "state"), "running"); /* it may still turn up */
    fixture_pass(f, 1);
    assert_string_equal(json_text(show(f, 1), "state"), "complete");
    assert_int_equal(json_int(&f->answer, "counts.updated"), 3);

    assert_int_equal(poll(f, "dev04", "1.0.0", NULL), 200);
    report(f, "dev04", 1, 1, sha256, "rolled_back", "watchdog", 200);

    assert_string_equal(json_text(show(f, 1), "state"), "halted");
    assert_int_equal(poll(f, "dev04", "1.0.0", NULL), 304);
    (void)admin_post(f, "/api/v1/rollouts/1/resume", "", 200);
    assert_string_equal(json_text(&f->answer, "state"), "complete"); /* not over again */
}

static void a_device_that_is_new_joins_the_last_stage(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 10);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");
    (void)admin_post(f, "/api/v1/devices", "{\"id\":\"late\"}", 201); /* chip unknown */

    assert_int_equal(poll(f, "late", "1.0.0", "X-Chip: esp32"), 304);

    assert_int_equal(json_int(show(f, 1), "counts.members"), 11);
    assert_int_equal(json_int(&f->answer, "stages.2.members"), 6);
    (void)admin_get(f, "/api/v1/devices/late", 200);
    assert_string_equal(json_text(&f->answer, "chip"), "esp32");
    assert_string_equal(json_text(&f->answer, "state"), "not_yet");
    fixture_kill(f);
    assert_int_equal(json_int(show(f, 1), "counts.members"), 11);
}

static void nobody_is_downgraded_or_moved_from_an_unknown_version(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 3);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    (void)admin_post(f, "/api/v1/rollouts",
                     "{\"version\":\"1.1.0\",\"stages\":\"100\",\"soak_ms\":0}", 201);

    assert_int_equal(poll(f, "dev01", "2.0.0", NULL), 304);
    assert_int_equal(poll(f, "dev02", "0.5.0", NULL), 304);
    assert_int_equal(poll(f, "dev03", "1.0.0", NULL), 200);

    (void)admin_get(f, "/api/v1/devices/dev01", 200);
    assert_string_equal(json_text(&f->answer, "state"), "newer");
    (void)admin_get(f, "/api/v1/devices/dev02", 200);
    assert_string_equal(json_text(&f->answer, "state"), "unknown_version");
    assert_int_equal(srv_core_flush(f->core), KEDGE_OK);
    assert_int_equal(audit_count(f, "device.version"), 3);
    /* They do not hold up the others either. */
    assert_int_equal(poll(f, "dev03", "1.1.0", NULL), 304);
    fixture_pass(f, 1);
    assert_string_equal(json_text(show(f, 1), "state"), "complete");
}

static void
a_client_that_cannot_report_is_confirmed_by_its_poll_and_caught_when_it_reverts(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");
    unsigned canary = first_offered(f, 20);

    assert_int_equal(poll(f, device_name(canary), "1.1.0", "X-Boot-Caps: rollback,pending"), 304);
    assert_int_equal(json_int(show(f, 1), "counts.updated"), 0); /* on trial: proves nothing */
    assert_int_equal(poll(f, device_name(canary), "1.1.0", NULL), 304);
    assert_int_equal(json_int(show(f, 1), "counts.updated"), 1);
    assert_int_equal(poll(f, device_name(canary), "1.0.0", NULL), 304);

    assert_string_equal(json_text(show(f, 1), "state"), "halted");
    assert_string_equal(json_text(&f->answer, "halt.devices.0.cause"), "regressed");
}

static void a_device_on_trial_is_not_offered_another_image(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");

    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: pending"), 304);
    assert_int_equal(json_int(show(f, 1), "counts.pending"), 1);
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: rollback"), 200);
}

static void a_client_that_downloads_in_circles_is_a_failure(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 10);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");
    unsigned canary = first_offered(f, 10);

    for (int i = 0; i < 4; i++) {
        assert_int_equal(poll(f, device_name(canary), "1.0.0", NULL), 200);
    }
    fixture_pass(f, 1);

    assert_string_equal(json_text(show(f, 1), "state"), "halted");
    assert_string_equal(json_text(&f->answer, "halt.devices.0.cause"), "download_loop");
    assert_int_equal(json_int(&f->answer, "downloads"), 5);
}

static void kill_in_the_middle_loses_nothing_and_updates_nobody_twice(void **state)
{
    struct fixture *f = *state;
    struct fleet fleet;
    char sha256[65];
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    start_fleet(&fleet, f, 20, "1.0.0");
    create(f, "1.1.0", "");
    (void)poll_all(&fleet, "1.1.0", sha256);
    unsigned offered = audit_count(f, "member.offered");
    unsigned reports = audit_count(f, "device.report");

    fixture_kill(f);

    assert_int_equal(json_int(show(f, 1), "counts.updated"), 2);
    assert_int_equal(audit_count(f, "member.offered"), offered);
    assert_int_equal(audit_count(f, "device.report"), reports);
    for (int i = 0; i < 6; i++) {
        (void)poll_all(&fleet, "1.1.0", sha256);
        fixture_pass(f, 1000);
        fixture_kill(f);
    }
    assert_string_equal(json_text(show(f, 1), "state"), "complete");
    assert_int_equal(json_int(&f->answer, "counts.updated"), 20);
    assert_int_equal(json_int(&f->answer, "downloads"), 20);
    assert_int_equal(audit_count(f, "member.offered"), 20);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(fleet.attempts[i], 1);
    }
}

static void a_repeated_report_changes_nothing(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    create(f, "1.1.0", ",\"max_failures\":2");
    unsigned canary = first_offered(f, 20);

    for (int i = 0; i < 3; i++) {
        report(f, device_name(canary), 1, 1, sha256, "rolled_back", "panic", 200);
    }

    assert_int_equal(json_int(show(f, 1), "failures"), 1);
    assert_int_equal(audit_count(f, "device.report"), 1);
    fixture_kill(f);
    report(f, device_name(canary), 1, 1, sha256, "rolled_back", "panic", 200);
    assert_int_equal(audit_count(f, "device.report"), 1);
    /* A device that lost its journal counts from 1 again: that is news. */
    report(f, device_name(canary), 1, 1, sha256, "committed", "none", 200);
    assert_int_equal(json_int(show(f, 1), "counts.updated"), 1);
}

static void the_pace_limits_devices_in_flight(void **state)
{
    struct fixture *f = *state;
    struct fleet fleet;
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    start_fleet(&fleet, f, 20, "1.0.0");
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.1.0\",\"stages\":\"100\",\"pace\":3}",
                     201);

    assert_int_equal(poll_all(&fleet, NULL, NULL), 3);
    assert_int_equal(poll_all(&fleet, NULL, NULL), 3); /* the same ones resume */
    assert_int_equal(json_int(show(f, 1), "counts.offered"), 3);
}

static void pause_lets_those_in_flight_finish_and_abort_does_not(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 20);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    create(f, "1.1.0", "");
    unsigned canary = first_offered(f, 20);

    (void)admin_post(f, "/api/v1/rollouts/1/pause", "", 200);
    assert_int_equal(poll(f, device_name(canary), "1.0.0", NULL), 200);
    assert_int_equal(json_int(show(f, 1), "exposed"), 1);
    (void)admin_post(f, "/api/v1/rollouts/1/pause", "", 409);
    (void)admin_post(f, "/api/v1/rollouts/1/abort", "", 200);
    assert_int_equal(poll(f, device_name(canary), "1.0.0", NULL), 304);
    (void)admin_post(f, "/api/v1/rollouts/1/resume", "", 409);
    (void)admin_post(f, "/api/v1/rollouts/2/resume", "", 404);
}

static void one_chip_has_one_running_rollout(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32S3, "1.1.0", 4096, &len);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    add_release(f, "1.2.0", NULL);
    (void)upload(f, image, len, len, 201);
    free(image);

    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.1.0\"}", 409); /* which chip? */
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.1.0\",\"chip\":\"esp32\"}", 201);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.2.0\"}", 409);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.1.0\",\"chip\":\"esp32s3\"}", 201);
    (void)admin_post(f, "/api/v1/rollouts/1/pause", "", 200);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.2.0\"}", 201);
    (void)admin_post(f, "/api/v1/rollouts/1/resume", "", 409);
}

static void a_failed_release_is_not_offered_again_unless_forced(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    create(f, "1.1.0", "");
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);
    report(f, "dev01", 1, 1, sha256, "rolled_back", "panic", 200);
    (void)admin_post(f, "/api/v1/rollouts/1/abort", "", 200);

    create(f, "1.1.0", "");
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 304);
    (void)admin_post(f, "/api/v1/rollouts/2/abort", "", 200);
    create(f, "1.1.0", ",\"force\":true");
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);
    assert_string_equal(header(&f->answer, "X-Firmware-Force"), "1");
    report(f, "dev01", 2, 1, sha256, "rolled_back", "panic", 200);
    (void)admin_post(f, "/api/v1/rollouts/3/resume", "", 200);
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 304); /* once was asked for */
}

static void an_older_complete_rollout_serves_while_the_newest_is_stopped(void **state)
{
    struct fixture *f = *state;
    char sha256[65];
    char next[65];
    add_devices(f, "dev", 2);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", sha256);
    add_release(f, "1.2.0", next);
    (void)admin_post(f, "/api/v1/rollouts",
                     "{\"version\":\"1.1.0\",\"stages\":\"100\",\"soak_ms\":0,\"silence_ms\":5000}",
                     201);
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);
    assert_int_equal(poll(f, "dev01", "1.1.0", NULL), 304);
    fixture_pass(f, 5000); /* dev02 is away */
    assert_string_equal(json_text(show(f, 1), "state"), "complete");
    create(f, "1.2.0", "");
    (void)admin_post(f, "/api/v1/rollouts/2/pause", "", 200);

    assert_int_equal(poll(f, "dev02", "1.0.0", NULL), 200);
    assert_string_equal(header(&f->answer, "X-Firmware-Version"), "1.1.0");
    assert_int_equal(poll(f, "dev01", "1.1.0", NULL), 304);
    assert_int_equal(poll(f, "dev01", "1.2.0", NULL), 304); /* runs the newest: no way back */
}

static void a_newer_rollout_takes_over_what_the_older_one_began(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    add_release(f, "1.2.0", NULL);
    create(f, "1.1.0", "");
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);
    (void)admin_post(f, "/api/v1/rollouts/1/pause", "", 200);
    create(f, "1.2.0", "");

    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);

    assert_string_equal(header(&f->answer, "X-Firmware-Version"), "1.2.0");
    assert_int_equal(json_int(show(f, 1), "counts.pending"), 1);
    assert_string_equal(json_text(&f->answer, "members.0.cause"), "superseded");
}

static void a_revoked_device_neither_holds_up_nor_fails_a_rollout(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 2);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    (void)admin_post(f, "/api/v1/rollouts",
                     "{\"version\":\"1.1.0\",\"stages\":\"100\",\"soak_ms\":0,\"silence_ms\":5000}",
                     201);
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 200);
    assert_int_equal(poll(f, "dev02", "1.0.0", NULL), 200);

    (void)admin_post(f, "/api/v1/devices/dev01/revoke", "", 200);
    assert_int_equal(poll(f, "dev01", "1.0.0", NULL), 403);
    assert_int_equal(poll(f, "dev02", "1.1.0", NULL), 304);
    fixture_pass(f, 1);

    assert_string_equal(json_text(show(f, 1), "state"), "complete");
    assert_int_equal(json_int(&f->answer, "failures"), 0);
}

#define ROLLOUT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#define ALL_AT_ONCE "{\"version\":\"1.1.0\",\"stages\":\"100\",\"soak_ms\":0"

static void devices_that_cannot_roll_back_are_kept_out_and_hold_nobody_up(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 3);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: none"), 304);
    assert_int_equal(poll(f, "dev02", "1.0.0", "X-Boot-Caps: anti-rollback, rollback"), 304);
    assert_int_equal(poll(f, "dev03", "1.0.0", NULL), 304); /* a stock client: it does not say */
    (void)admin_post(f, "/api/v1/rollouts", ALL_AT_ONCE "}", 201);
    assert_string_equal(json_text(&f->answer, "warnings.0.what"), "no_rollback");
    assert_int_equal(json_int(&f->answer, "warnings.0.devices"), 1);
    assert_int_equal(json_int(&f->answer, "held"), 1);

    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: none"), 304);
    assert_int_equal(poll(f, "dev02", "1.0.0", "X-Boot-Caps: rollback"), 200);
    assert_int_equal(poll(f, "dev03", "1.0.0", NULL), 200);
    assert_int_equal(poll(f, "dev02", "1.1.0", "X-Boot-Caps: rollback"), 304);
    assert_int_equal(poll(f, "dev03", "1.1.0", NULL), 304);
    fixture_restart(f); /* it is known from the device, not from its last poll */
    fixture_pass(f, 300);

    assert_string_equal(json_text(show(f, 1), "state"), "complete");
    assert_int_equal(json_int(&f->answer, "counts.updated"), 2);
    assert_int_equal(json_int(&f->answer, "counts.pending"), 1);
    assert_int_equal(json_int(&f->answer, "held"), 1);
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: none"), 304); /* later, too */
    (void)admin_get(f, "/api/v1/devices/dev01", 200);
    assert_string_equal(json_text(&f->answer, "state"), "no_rollback");
    assert_string_equal(json_text(&f->answer, "rollouts.0.held"), "no_rollback");
    assert_string_equal(json_text(&f->answer, "rollouts.0.state"), "pending");
}

static void a_rollout_that_allows_it_reaches_devices_that_cannot_roll_back(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: none"), 304);
    (void)admin_post(f, "/api/v1/rollouts", ALL_AT_ONCE ",\"allow_no_rollback\":true}", 201);
    assert_int_equal(json_int(&f->answer, "warnings.0.devices"), 1);
    assert_int_equal(json_int(&f->answer, "held"), 0);

    fixture_restart(f);

    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: none"), 200);
    assert_int_equal(audit_count(f, "rollout.create"), 1);
}

static void a_release_below_the_floor_of_devices_is_created_with_a_warning(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 3);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL); /* secure version 0 */
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Secure-Version: 1"), 304);
    assert_int_equal(poll(f, "dev02", "1.0.0", "X-Secure-Version: 4"), 304);
    assert_int_equal(poll(f, "dev03", "1.0.0", "X-Secure-Version: 0"), 304);

    (void)admin_post(f, "/api/v1/rollouts", ALL_AT_ONCE "}", 201);

    assert_string_equal(json_text(&f->answer, "warnings.0.what"), "secure_version");
    assert_int_equal(json_int(&f->answer, "warnings.0.devices"), 2);
    assert_non_null(strstr(json_text(&f->answer, "warnings.0.text"), "2 of 3 devices"));
    assert_non_null(strstr(json_text(&f->answer, "warnings.0.text"), "the highest is 4"));
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Secure-Version: 1"), 304);
    assert_int_equal(poll(f, "dev03", "1.0.0", "X-Secure-Version: 0"), 200);
    (void)show(f, 1);
    assert_int_equal(json_int(&f->answer, "held"), 1); /* those that have polled since */
}

static void a_release_that_everybody_can_take_has_no_warning(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    assert_int_equal(poll(f, "dev01", "1.0.0", "X-Boot-Caps: rollback"), 304);

    (void)admin_post(f, "/api/v1/rollouts", ALL_AT_ONCE "}", 201);

    assert_non_null(strstr(f->answer.body, "\"warnings\":[]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROLLOUT_TEST(a_good_release_reaches_everybody_stage_by_stage),
        ROLLOUT_TEST(a_bad_release_is_stopped_at_the_canary),
        ROLLOUT_TEST(silence_after_an_offer_halts),
        ROLLOUT_TEST(an_outage_of_the_server_is_not_the_devices_silence),
        ROLLOUT_TEST(a_late_commit_corrects_a_silence),
        ROLLOUT_TEST(resume_acknowledges_the_failures_so_far),
        ROLLOUT_TEST(a_device_that_comes_back_after_completion_is_updated_under_the_same_guard),
        ROLLOUT_TEST(a_device_that_is_new_joins_the_last_stage),
        ROLLOUT_TEST(nobody_is_downgraded_or_moved_from_an_unknown_version),
        ROLLOUT_TEST(
            a_client_that_cannot_report_is_confirmed_by_its_poll_and_caught_when_it_reverts),
        ROLLOUT_TEST(a_device_on_trial_is_not_offered_another_image),
        ROLLOUT_TEST(a_client_that_downloads_in_circles_is_a_failure),
        ROLLOUT_TEST(kill_in_the_middle_loses_nothing_and_updates_nobody_twice),
        ROLLOUT_TEST(a_repeated_report_changes_nothing),
        ROLLOUT_TEST(the_pace_limits_devices_in_flight),
        ROLLOUT_TEST(pause_lets_those_in_flight_finish_and_abort_does_not),
        ROLLOUT_TEST(one_chip_has_one_running_rollout),
        ROLLOUT_TEST(a_failed_release_is_not_offered_again_unless_forced),
        ROLLOUT_TEST(an_older_complete_rollout_serves_while_the_newest_is_stopped),
        ROLLOUT_TEST(a_newer_rollout_takes_over_what_the_older_one_began),
        ROLLOUT_TEST(a_revoked_device_neither_holds_up_nor_fails_a_rollout),
        ROLLOUT_TEST(devices_that_cannot_roll_back_are_kept_out_and_hold_nobody_up),
        ROLLOUT_TEST(a_rollout_that_allows_it_reaches_devices_that_cannot_roll_back),
        ROLLOUT_TEST(a_release_below_the_floor_of_devices_is_created_with_a_warning),
        ROLLOUT_TEST(a_release_that_everybody_can_take_has_no_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
