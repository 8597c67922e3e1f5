/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"

/* What one call wrote to stderr. */
struct capture {
    int saved;
    FILE *file;
    char text[16384];
};

static void capture_begin(struct capture *capture)
{
    fflush(stderr);
    capture->saved = dup(STDERR_FILENO);
    capture->file = tmpfile();
    assert_non_null(capture->file);
    dup2(fileno(capture->file), STDERR_FILENO);
}

static void capture_end(struct capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    rewind(capture->file);
    size_t len = fread(capture->text, 1, sizeof(capture->text) - 1, capture->file);
    capture->text[len] = '\0';
    fclose(capture->file);
}

static void a_line_has_time_level_program_event_and_values(void **state)
{
    (void)state;
    struct capture capture;
    host_log_init("kedged", HOST_LOG_INFO);

    capture_begin(&capture);
    host_log(HOST_LOG_WARN, "broker-down", "host=%s retry_ms=%d", "localhost", 500);
    capture_end(&capture);

    assert_int_equal(strspn(capture.text, "0123456789-T:.Z"), strlen("2026-01-31T12:00:00.123Z"));
    assert_string_equal(capture.text + strlen("2026-01-31T12:00:00.123Z"),
                        " WARN kedged broker-down host=localhost retry_ms=500\n");
}

static void a_level_below_the_threshold_writes_nothing(void **state)
{
    (void)state;
    struct capture capture;
    host_log_init("kedged", HOST_LOG_WARN);

    capture_begin(&capture);
    host_log(HOST_LOG_INFO, "poll", "device=a");
    capture_end(&capture);

    assert_string_equal(capture.text, "");
}

static void control_characters_from_a_peer_cannot_forge_a_line(void **state)
{
    (void)state;
    struct capture capture;
    host_log_init(NULL, HOST_LOG_INFO);

    capture_begin(&capture);
    host_log(HOST_LOG_INFO, "poll", "id=%s", "a\n2026 ERROR \033[2J\177");
    capture_end(&capture);

    assert_non_null(strstr(capture.text, "id=a\\x0a2026 ERROR \\x1b[2J\\x7f\n"));
    assert_ptr_equal(strchr(capture.text, '\n'), capture.text + strlen(capture.text) - 1);
}

static void a_line_that_is_too_long_is_cut_and_says_so(void **state)
{
    (void)state;
    static char value[10000];
    struct capture capture;
    memset(value, '\001', sizeof(value) - 1);

    capture_begin(&capture);
    host_log(HOST_LOG_ERROR, "bad", "%s", value);
    capture_end(&capture);

    size_t len = strlen(capture.text);
    assert_true(len > 2000 && len < sizeof(value));
    assert_string_equal(capture.text + len - 4, "...\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_program_event_and_values),
        cmocka_unit_test(a_level_below_the_threshold_writes_nothing),
        cmocka_unit_test(control_characters_from_a_peer_cannot_forge_a_line),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
