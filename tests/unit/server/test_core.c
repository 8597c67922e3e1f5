/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/fs.h"

/* Start and stop, the admin API, telemetry. */

static void a_second_kedged_on_the_same_folder_is_refused(void **state)
{
    struct fixture *f = *state;

    /* In a process of its own, as a second kedged would be. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct host_loop *loop = host_loop_create();
        struct srv_core *second = srv_core_open(loop, &f->config);
        _exit(second == NULL ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);

    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)admin_get(f, "/api/v1/status", 200); /* and the first goes on */
}

static void a_start_without_a_usable_token_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const tokens[] = {"", "short\n", "123456789012345\n\n"};
    char path[128];
    srv_core_close(f->core);
    (void)snprintf(path, sizeof path, "%s/admin.token", f->data);

    for (size_t i = 0; i < CASES(tokens); i++) {
        assert_int_equal(host_fs_write_atomic(path, tokens[i], strlen(tokens[i]), 0600), KEDGE_OK);
        assert_null(srv_core_open(f->loop, &f->config));
    }
    assert_int_equal(unlink(path), 0);
    assert_null(srv_core_open(f->loop, &f->config));
    assert_int_equal(host_fs_write_atomic(path, TOKEN, strlen(TOKEN), 0600), KEDGE_OK);
    f->core = srv_core_open(f->loop, &f->config);
    assert_non_null(f->core);
}

static void the_admin_api_wants_its_token(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        NULL,
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Basic " TOKEN,
        "Authorization: Bearer " TOKEN "x",
        "Authorization: Bearer 0123456789abcdef0123456789abcdeF",
        "Authorization: " TOKEN,
    };

    for (size_t i = 0; i < CASES(bad); i++) {
        (void)admin_request(f, SRV_GET, "/api/v1/status", bad[i], NULL, 401);
        assert_string_equal(header(&f->answer, "WWW-Authenticate"), "Bearer");
        (void)admin_request(f, SRV_POST, "/api/v1/devices", bad[i], "{\"id\":\"x\"}", 401);
    }
    (void)admin_request(f, SRV_GET, "/health", NULL, NULL, 200);
    assert_int_equal(f->core->device_count, 0);
    assert_int_equal(audit_count(f, "request.refused"), 1);
}

static void bodies_are_refused_by_what_is_wrong_in_them(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path, *body, *named;
    } cases[] = {
        {"devices", "", "not JSON"},
        {"devices", "{\"id\":\"a\"", "not JSON"},
        {"devices", "[]", "one JSON object"},
        {"devices", "{\"id\":\"a\"} {}", "one JSON object"},
        {"devices", "{}", "\"id\" is missing"},
        {"devices", "{\"id\":1}", "id:"},
        {"devices", "{\"id\":\"../a\"}", "id:"},
        {"devices", "{\"id\":\"a/b\"}", "id:"},
        {"devices", "{\"id\":\"+\"}", "id:"},
        {"devices", "{\"id\":\"\"}", "id:"},
        {"devices", "{\"id\":\"svc-ingest\"}", "service accounts"},
        {"devices", "{\"id\":\"svc-\"}", "service accounts"},
        {"devices", "{\"id\":\"a\",\"id\":\"b\"}", "twice"},
        {"devices", "{\"id\":\"a\",\"chips\":\"esp32\"}", "unknown member \"chips\""},
        {"devices", "{\"id\":\"a\",\"chip\":\"z80\"}", "chip:"},
        {"devices", "{\"id\":\"a\",\"cert_sha256\":\"12\"}", "cert_sha256:"},
        {"rollouts", "{}", "either"},
        {"rollouts", "{\"version\":\"1.0.0\",\"sha256\":\"00\"}", "either"},
        {"rollouts", "{\"version\":\"1.0.0\",\"stages\":\"50\"}", "stages:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"stages\":\"10,5,100\"}", "stages:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"stages\":10}", "stages:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"max_failures\":0}", "max_failures:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"max_failures\":1.5}", "max_failures:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"soak_ms\":-1}", "soak_ms:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"soak_ms\":1e300}", "soak_ms:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"silence_ms\":0}", "silence_ms:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"pace\":\"3\"}", "pace:"},
        {"rollouts", "{\"version\":\"1.0.0\",\"force\":1}", "force:"},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/api/v1/%s", cases[i].path);
        (void)admin_post(f, path, cases[i].body, 400);
        if (strstr(json_text(&f->answer, "error"), cases[i].named) == NULL) {
            fail_msg("case %zu: %s does not say %s", i, f->answer.body, cases[i].named);
        }
    }
    assert_int_equal(f->core->device_count, 0);
    assert_int_equal(f->core->rollout_count, 0);
}

static void what_is_not_there_is_404_and_what_is_there_409(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);

    (void)admin_post(f, "/api/v1/devices", "{\"id\":\"dev01\"}", 409);
    (void)admin_get(f, "/api/v1/devices/ghost", 404);
    (void)admin_post(f, "/api/v1/devices/ghost/revoke", "", 404);
    (void)admin_get(f, "/api/v1/releases/9.9.9", 404);
    (void)admin_get(f, "/api/v1/rollouts/1", 404);
    (void)admin_get(f, "/api/v1/rollouts/x", 404);
    (void)admin_get(f, "/api/v1/rollouts/99999999999999999999", 404);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"9.9.9\"}", 404);
    (void)admin_get(f, "/api/v1/telemetry", 404);
    (void)admin_get(f, "/api/v1/telemetry?device=ghost", 404);
    (void)admin_get(f, "/api/v1/audit?limit=x", 400);
    (void)admin_get(f, "/api/v1/audit?after=-1", 400);
    (void)admin_get(f, "/api/v1/audit?limit=1001", 400);
}

static void lists_keep_their_order(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"b", "a.2", "Z", "a", "_", "a-10", "7", "a-9"};
    static const char *const sorted[] = {"7", "Z", "_", "a", "a-10", "a-9", "a.2", "b"};
    char body[64];
    char path[32];
    for (size_t i = 0; i < CASES(ids); i++) {
        (void)snprintf(body, sizeof body, "{\"id\":\"%s\"}", ids[i]);
        (void)admin_post(f, "/api/v1/devices", body, 201);
    }
    add_release(f, "1.1.0", NULL);
    add_release(f, "1.0.0", NULL);

    /* Devices by id, releases in the order in which they were added; also after a restart. */
    for (int start = 0; start < 2; start++) {
        (void)admin_get(f, "/api/v1/devices", 200);
        for (size_t i = 0; i < CASES(sorted); i++) {
            (void)snprintf(path, sizeof path, "devices.%zu.id", i);
            assert_string_equal(json_text(&f->answer, path), sorted[i]);
        }
        (void)admin_get(f, "/api/v1/releases", 200);
        assert_string_equal(json_text(&f->answer, "releases.0.version"), "1.1.0");
        assert_string_equal(json_text(&f->answer, "releases.1.version"), "1.0.0");
        fixture_restart(f);
    }
}

static void every_act_of_an_operator_is_on_the_record_with_its_actor(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.0.0\"}", 201);
    (void)admin_post(f, "/api/v1/rollouts/1/pause", "", 200);
    (void)admin_post(f, "/api/v1/rollouts/1/resume", "", 200);
    (void)admin_post(f, "/api/v1/rollouts/1/abort", "", 200);
    (void)admin_post(f, "/api/v1/devices/dev01/revoke", "", 200);
    fixture_kill(f);

    static const char *const actions[] = {"device.add",    "release.add",    "rollout.create",
                                          "rollout.pause", "rollout.resume", "rollout.abort",
                                          "device.revoke"};
    (void)admin_get(f, "/api/v1/audit", 200);
    for (size_t i = 0; i < CASES(actions); i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "audit.%zu.action", i);
        assert_string_equal(json_text(&f->answer, path), actions[i]);
        (void)snprintf(path, sizeof path, "audit.%zu.actor", i);
        assert_string_equal(json_text(&f->answer, path), "tester");
        (void)snprintf(path, sizeof path, "audit.%zu.address", i);
        assert_string_equal(json_text(&f->answer, path), "127.0.0.1:9");
    }
    assert_string_equal(json_text(&f->answer, "audit.2.detail.version"), "1.0.0");
}

static void status_counts_devices_by_version_and_state(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 4);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0", NULL);
    (void)admin_post(f, "/api/v1/rollouts", "{\"version\":\"1.1.0\",\"stages\":\"100\"}", 201);
    (void)poll(f, "dev01", "1.0.0", NULL);
    (void)poll(f, "dev02", "1.1.0", NULL);
    (void)admin_post(f, "/api/v1/devices/dev03/revoke", "", 200);
    srv_core_set_ingest(f->core, (struct srv_ingest *)f); /* the double does not look */

    (void)admin_get(f, "/api/v1/status", 200);

    assert_int_equal(json_int(&f->answer, "devices.total"), 4);
    assert_int_equal(json_int(&f->answer, "devices.by_state.updating"), 1);
    assert_int_equal(json_int(&f->answer, "devices.by_state.current"), 1);
    assert_int_equal(json_int(&f->answer, "devices.by_state.revoked"), 1);
    assert_int_equal(json_int(&f->answer, "devices.by_state.never_seen"), 1);
    assert_int_equal(json_int(&f->answer, "rollouts.0.counts.updated"), 1);
    assert_int_equal(json_int(&f->answer, "polls"), 2);
    assert_int_equal(json_int(&f->answer, "ingest.received"), 7);
}

/* --- telemetry -----------------------------------------------------------------------------------
 */

static void message(struct fixture *f, const char *topic, const char *payload)
{
    struct kedge_cspan bytes = {.data = (const uint8_t *)payload, .len = strlen(payload)};
    assert_int_equal(srv_core_sink.accept(f->core, topic, bytes, false), KEDGE_OK);
}

#define TELEMETRY(id, more)                                                                        \
    "{\"device_id\":\"" id "\",\"firmware\":\"1.0.0\",\"uptime\":60,\"free_heap\":81234,"          \
    "\"rssi\":-61,\"reset_reason\":\"panic\"" more "}"

static void telemetry_is_stored_by_commit_and_shown(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);

    message(f, "devices/dev01/telemetry",
            TELEMETRY("dev01", ",\"boot_id\":5,\"seq\":1,\"temperature_c\":21.5"));
    assert_int_equal(json_int(admin_get(f, "/api/v1/status", 200), "ingest.stored"), 0);
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);
    fixture_kill(f);

    (void)admin_get(f, "/api/v1/telemetry?device=dev01&limit=10", 200);
    assert_int_equal(json_int(&f->answer, "telemetry.0.free_heap"), 81234);
    assert_string_equal(json_text(&f->answer, "telemetry.0.reset_reason"), "panic");
    assert_int_equal(json_int(&f->answer, "telemetry.0.temperature_c"), 21);
}

static void what_is_not_committed_comes_again_and_is_not_counted_twice(void **state)
{
    struct fixture *f = *state;
    const char *payload = TELEMETRY("dev01", ",\"boot_id\":5,\"seq\":1");
    add_devices(f, "dev", 1);

    message(f, "devices/dev01/telemetry", payload);
    srv_core_sink.link(f->core, false); /* the connection broke before the commit */
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);
    assert_int_equal(f->core->counters.telemetry, 0);
    message(f, "devices/dev01/telemetry", payload);
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);
    message(f, "devices/dev01/telemetry", payload); /* PUBACK was lost */
    message(f, "devices/dev01/telemetry", payload);
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);

    assert_int_equal(f->core->counters.telemetry, 1);
    assert_int_equal(f->core->counters.duplicates, 2);
}

static void messages_of_strangers_and_garbage_are_counted_and_dropped(void **state)
{
    struct fixture *f = *state;
    static char huge[2000];
    static const struct {
        const char *topic, *payload;
        bool is_foreign; /* else malformed */
    } cases[] = {
        {"devices/ghost/telemetry", TELEMETRY("ghost", ""), true},
        {"devices/dev02/telemetry", TELEMETRY("dev02", ""), true}, /* revoked */
        {"devices/dev01/telemetry", TELEMETRY("dev03", ""), true}, /* says another id */
        {"devices/dev01/event", TELEMETRY("dev01", ""), true},
        {"devices/dev01/telemetry/x", TELEMETRY("dev01", ""), true},
        {"devices//telemetry", TELEMETRY("dev01", ""), true},
        {"devices/telemetry", TELEMETRY("dev01", ""), true},
        {"dev01/telemetry", TELEMETRY("dev01", ""), true},
        {"", "", true},
        {"devices/dev01/telemetry", "", false},
        {"devices/dev01/telemetry", "{", false},
        {"devices/dev01/telemetry", "{\"device_id\":\"dev01\"}", false},
        {"devices/dev01/telemetry", TELEMETRY("dev01", ",\"rssi\":5000"), false},
        {"devices/dev01/telemetry", huge, false},
        {"devices/dev01/status", "", false},
        {"devices/dev01/status", "Online", false},
    };
    uint64_t foreign = 0;
    uint64_t malformed = 0;
    memset(huge, ' ', sizeof huge - 1);
    add_devices(f, "dev", 3);
    (void)admin_post(f, "/api/v1/devices/dev02/revoke", "", 200);

    for (size_t i = 0; i < CASES(cases); i++) {
        message(f, cases[i].topic, cases[i].payload);
        foreign += cases[i].is_foreign;
        malformed += !cases[i].is_foreign;
        assert_int_equal(f->core->counters.foreign, foreign);
        assert_int_equal(f->core->counters.malformed, malformed);
    }
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);
    assert_int_equal(f->core->counters.telemetry, 0);
}

static void status_messages_show_the_link(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);

    message(f, "devices/dev01/status", "online");
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev01", 200), "link"), "online");
    message(f, "devices/dev01/status", "offline");
    assert_string_equal(json_text(admin_get(f, "/api/v1/devices/dev01", 200), "link"), "offline");
}

static void old_telemetry_is_pruned(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 3);
    message(f, "devices/dev01/telemetry", TELEMETRY("dev01", ",\"boot_id\":5,\"seq\":1"));
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);
    f->core->skew_ms += f->config.telemetry_keep_ms;
    message(f, "devices/dev01/telemetry", TELEMETRY("dev01", ",\"boot_id\":5,\"seq\":2"));
    assert_int_equal(srv_core_sink.commit(f->core), KEDGE_OK);
    f->core->skew_ms += 1000;

    srv_telemetry_prune(f->core);

    (void)admin_get(f, "/api/v1/telemetry?device=dev01", 200);
    assert_int_equal(json_int(&f->answer, "telemetry.0.seq"), 2);
    assert_null(strstr(f->answer.body, "\"seq\":1"));
}

static void a_wild_clock_does_not_scatter_the_telemetry(void **state)
{
    struct fixture *f = *state;
    char payload[256];
    int64_t now = srv_wall_ms(f->core);
    const struct {
        int64_t ts_s;
        bool is_kept;
    } cases[] = {
        {now / 1000 - 3600, true},        {now / 1000 + 60, true},
        {now / 1000 + 3600, false},       {1, false},
        {now / 1000 - 31 * 86400, false},
    };
    add_devices(f, "dev", 1);

    for (size_t i = 0; i < CASES(cases); i++) {
        (void)snprintf(payload, sizeof payload,
                       TELEMETRY("dev01", ",\"boot_id\":%zu,\"seq\":1,\"ts\":%lld"), i + 1,
                       (long long)cases[i].ts_s);
        message(f, "devices/dev01/telemetry", payload);
        int64_t stored = f->core->batch[i].ts;
        assert_int_equal(stored == cases[i].ts_s * 1000, cases[i].is_kept);
        assert_true(cases[i].is_kept || (stored >= now && stored < now + 60000));
    }
}

#define CORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_second_kedged_on_the_same_folder_is_refused),
        CORE_TEST(a_start_without_a_usable_token_is_refused),
        CORE_TEST(the_admin_api_wants_its_token),
        CORE_TEST(bodies_are_refused_by_what_is_wrong_in_them),
        CORE_TEST(what_is_not_there_is_404_and_what_is_there_409),
        CORE_TEST(lists_keep_their_order),
        CORE_TEST(every_act_of_an_operator_is_on_the_record_with_its_actor),
        CORE_TEST(status_counts_devices_by_version_and_state),
        CORE_TEST(telemetry_is_stored_by_commit_and_shown),
        CORE_TEST(what_is_not_committed_comes_again_and_is_not_counted_twice),
        CORE_TEST(messages_of_strangers_and_garbage_are_counted_and_dropped),
        CORE_TEST(status_messages_show_the_link),
        CORE_TEST(old_telemetry_is_pruned),
        CORE_TEST(a_wild_clock_does_not_scatter_the_telemetry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
