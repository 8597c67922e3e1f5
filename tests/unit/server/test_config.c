/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "kedged.h"

#define MAX_ARGS 8

/* Each case has a data folder; file, when not NULL, is its kedged.conf. */
struct world {
    char dir[64];
    char conf[96];
    char *messages;
    size_t messages_len;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    (void)snprintf(world->dir, sizeof world->dir, "/tmp/kedge-config-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    (void)snprintf(world->conf, sizeof world->conf, "%s/kedged.conf", world->dir);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    (void)unlink(world->conf);
    (void)rmdir(world->dir);
    free(world->messages);
    free(world);
    return 0;
}

static void write_file(const struct world *world, const char *text)
{
    FILE *file = fopen(world->conf, "w");

    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* kedged --data DIR first second. */
static enum kedge_err load(struct world *world, struct srv_config *config, const char *first,
                           const char *second)
{
    const char *args[MAX_ARGS] = {"kedged", "--data", world->dir, first, second};
    int count = first == NULL ? 3 : second == NULL ? 4 : 5;

    free(world->messages);

    FILE *err = open_memstream(&world->messages, &world->messages_len);
    enum kedge_err result;

    *config = (struct srv_config){0};
    result = srv_config_load(config, count, (char **)(uintptr_t)args, err);
    (void)fclose(err);
    return result;
}

static void paths_are_absolute_and_taken_from_the_data_folder(void **state)
{
    struct world *world = *state;
    struct srv_config config;
    char expected[128];

    assert_int_equal(load(world, &config, "--tls-key", "/etc/key.pem"), KEDGE_OK);
    (void)snprintf(expected, sizeof expected, "%s/pki/server.crt", world->dir);
    assert_string_equal(config.tls_cert, expected);
    assert_string_equal(config.tls_key, "/etc/key.pem");
    assert_int_equal(config.slot_size, 0x1B1000);
    assert_int_equal(config.poll_interval_ms, 300000);
    srv_config_free(&config);
}

static void a_flag_beats_the_environment_which_beats_the_file(void **state)
{
    struct world *world = *state;
    struct srv_config config;

    write_file(world, "poll-interval = 10s\nproject = from-file\nlog-level = warn\n");
    (void)setenv("KEDGED_POLL_INTERVAL", "20s", 1);
    (void)setenv("KEDGED_LOG_LEVEL", "error", 1);
    assert_int_equal(load(world, &config, "--poll-interval", "30s"), KEDGE_OK);
    (void)unsetenv("KEDGED_POLL_INTERVAL");
    (void)unsetenv("KEDGED_LOG_LEVEL");
    assert_int_equal(config.poll_interval_ms, 30000);
    assert_string_equal(config.log_level, "error");
    assert_string_equal(config.project, "from-file");
    srv_config_free(&config);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *first, *second, *what;
    } rows[] = {
        {"--listen-device", "8443", "listen-device"},
        {"--listen-admin", "a:99999", "listen-admin"},
        {"--broker", "no-port", "broker"},
        {"--log-level", "loud", "log-level"},
        {"--poll-interval", "1ms", "poll-interval"},
        {"--slot-size", "1", "slot-size"},
        {"--nonsense", "1", "nonsense"},
        {"serve", NULL, "serve"},
        {"--config", "/nonexistent/kedged.conf", "/nonexistent/kedged.conf"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct srv_config config;

        if (load(world, &config, rows[i].first, rows[i].second) == KEDGE_OK) {
            fail_msg("%s was accepted", rows[i].first);
        }
        assert_non_null(strstr(world->messages, rows[i].what));
        srv_config_free(&config);
    }
}

static void a_fault_in_the_file_is_named_with_its_line(void **state)
{
    struct world *world = *state;
    struct srv_config config;

    write_file(world, "# a comment\n\npoll-intervall = 10s\n");
    assert_int_not_equal(load(world, &config, NULL, NULL), KEDGE_OK);
    assert_non_null(strstr(world->messages, "kedged.conf:3"));
    assert_non_null(strstr(world->messages, "poll-intervall"));
    srv_config_free(&config);
}

static void help_needs_no_good_file(void **state)
{
    struct world *world = *state;
    struct srv_config config;

    write_file(world, "rubbish\n");
    assert_int_equal(load(world, &config, "--help", NULL), KEDGE_OK);
    assert_true(config.help);
    srv_config_free(&config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(paths_are_absolute_and_taken_from_the_data_folder),
        TEST(a_flag_beats_the_environment_which_beats_the_file),
        TEST(what_is_wrong_is_named),
        TEST(a_fault_in_the_file_is_named_with_its_line),
        TEST(help_needs_no_good_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
