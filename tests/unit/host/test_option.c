/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/option.h"

struct target {
    char *name;
    char *token;
    bool verbose;
    uint64_t count;
    uint64_t wait_ms;
    uint64_t size;
};

static const struct host_option rows[] = {
    {"name", HOST_OPTION_STRING, offsetof(struct target, name), "nobody", 0, 0,
     HOST_OPTION_REQUIRED, "NAME", "who it is"},
    {"token", HOST_OPTION_STRING, offsetof(struct target, token), NULL, 0, 0, HOST_OPTION_SECRET,
     NULL, "what only we know"},
    {"verbose", HOST_OPTION_BOOL, offsetof(struct target, verbose), NULL, 0, 0,
     HOST_OPTION_FLAG_ONLY, NULL, "say more"},
    {"count", HOST_OPTION_UINT, offsetof(struct target, count), "3", 1, 8, 0, "N", "how many"},
    {"wait-time", HOST_OPTION_DURATION, offsetof(struct target, wait_ms), "30s", 1000, 604800000, 0,
     "TIME", "how long"},
    {"size", HOST_OPTION_SIZE, offsetof(struct target, size), "64K", 0, 0, 0, "BYTES", "how big"},
    {0},
};
static const struct host_option_set set = {.rows = rows, .env_prefix = "KEDGETEST"};

struct fixture {
    struct target target;
    FILE *err;
    char text[4096]; /* what was said, after said() */
    char path[64];
};

static int begin(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture.err = tmpfile();
    snprintf(fixture.path, sizeof(fixture.path), "/tmp/kedge-test-option-%ld.conf", (long)getpid());
    *state = &fixture;
    return host_options_defaults(&set, &fixture.target) == KEDGE_OK ? 0 : -1;
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    host_options_free(&set, &fixture->target);
    fclose(fixture->err);
    unlink(fixture->path);
    return 0;
}

static const char *said(struct fixture *fixture)
{
    rewind(fixture->err);
    size_t len = fread(fixture->text, 1, sizeof(fixture->text) - 1, fixture->err);
    fixture->text[len] = '\0';
    return fixture->text;
}

static enum kedge_err from_file(struct fixture *fixture, const char *content)
{
    assert_int_equal(host_fs_write_atomic(fixture->path, content, strlen(content), 0600), KEDGE_OK);
    return host_options_file(&set, &fixture->target, fixture->path, fixture->err);
}

static enum kedge_err from_args(struct fixture *fixture, const char **argv, const char **positional,
                                size_t *count)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    return host_options_args(&set, &fixture->target, argc, (char **)argv, positional, 2, count,
                             fixture->err);
}

static void defaults_come_first_then_file_then_environment_then_flags(void **state)
{
    struct fixture *fixture = *state;
    const char *argv[] = {"program", "--size=4096", NULL};
    setenv("KEDGETEST_WAIT_TIME", "2m", 1);
    setenv("KEDGETEST_SIZE", "2M", 1);

    assert_int_equal(from_file(fixture, "count = 5\nwait-time = 1m\nsize = 1M\n"), KEDGE_OK);
    assert_int_equal(host_options_env(&set, &fixture->target, fixture->err), KEDGE_OK);
    assert_int_equal(from_args(fixture, argv, NULL, NULL), KEDGE_OK);
    unsetenv("KEDGETEST_WAIT_TIME");
    unsetenv("KEDGETEST_SIZE");

    assert_string_equal(fixture->target.name, "nobody");
    assert_int_equal(fixture->target.count, 5);
    assert_int_equal(fixture->target.wait_ms, 120000);
    assert_int_equal(fixture->target.size, 4096);
}

static void a_file_may_hold_comments_blank_lines_and_any_line_end(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(from_file(fixture, "# first\r\n\r\n  name =  a name = with # signs \r\n"
                                        "\t# second\ntoken=\ncount=8"),
                     KEDGE_OK);

    assert_string_equal(fixture->target.name, "a name = with # signs");
    assert_string_equal(fixture->target.token, "");
    assert_int_equal(fixture->target.count, 8);
}

static void every_error_of_a_file_is_named_with_its_line(void **state)
{
    struct fixture *fixture = *state;
    char expected[1024];

    assert_int_equal(from_file(fixture, "nmae = x\n\ncount = 9\nwait-time = 30\nverbose = true\n"
                                        "just words\nsize = 1\nsize = 2\n"),
                     KEDGE_ERR_SYNTAX);

    snprintf(expected, sizeof(expected),
             "%1$s:1: unknown setting \"nmae\", expected one that --help lists\n"
             "%1$s:3: count: \"9\" is out of range, expected a whole number, from 1 to 8\n"
             "%1$s:4: wait-time: \"30\" is not understood, expected a duration such as 500ms, "
             "30s, 10m, 2h or 7d, from 1s to 7d\n"
             "%1$s:5: not a setting \"verbose\", expected it on the command line only\n"
             "%1$s:6: not understood: \"just words\", expected \"name = value\"\n"
             "%1$s:8: \"size\" is set again, expected once (first at line 7)\n",
             fixture->path);
    assert_string_equal(said(fixture), expected);
}

static void a_missing_file_and_a_nul_byte_are_errors(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(host_options_file(&set, &fixture->target, fixture->path, fixture->err),
                     KEDGE_ERR_NOT_FOUND);
    assert_int_equal(host_fs_write_atomic(fixture->path, "name = a\0b\n", 11, 0600), KEDGE_OK);
    assert_int_equal(host_options_file(&set, &fixture->target, fixture->path, fixture->err),
                     KEDGE_ERR_SYNTAX);

    assert_non_null(strstr(said(fixture), "cannot be read: No such file or directory\n"));
    assert_string_equal(fixture->target.name, "nobody");
}

static void flags_and_arguments_may_stand_in_any_order(void **state)
{
    struct fixture *fixture = *state;
    const char *positional[2] = {NULL, NULL};
    size_t count = 0;
    const char *argv[] = {"program", "first", "--verbose", "-", "--name", "--count-you", NULL};
    const char *good[] = {"program", "first", "--verbose", "--name", "-5", "--", "--last", NULL};

    assert_int_equal(from_args(fixture, argv, positional, &count), KEDGE_ERR_SYNTAX);
    assert_int_equal(from_args(fixture, good, positional, &count), KEDGE_OK);

    assert_true(fixture->target.verbose);
    assert_string_equal(fixture->target.name, "-5");
    assert_int_equal(count, 2);
    assert_string_equal(positional[0], "first");
    assert_string_equal(positional[1], "--last");
    assert_non_null(strstr(said(fixture), "--name: the value is missing, expected text\n"));
    assert_non_null(strstr(said(fixture), "--count-you: unknown option"));
}

static void every_bad_flag_is_named(void **state)
{
    struct fixture *fixture = *state;
    const char *positional[2];
    size_t count = 0;
    const char *argv[] = {"program", "--no-such=1", "-v",          "--count", "0", "a",
                          "b",       "c",           "--verbose=1", "--size",  NULL};

    assert_int_equal(from_args(fixture, argv, positional, &count), KEDGE_ERR_SYNTAX);

    assert_string_equal(said(fixture),
                        "--no-such: unknown option, expected one that --help lists\n"
                        "-v: unknown option, expected one that --help lists\n"
                        "--count: \"0\" is out of range, expected a whole number, from 1 to 8\n"
                        "c: one argument too many, expected at most 2\n"
                        "--verbose: \"1\" is not understood, expected true or false\n"
                        "--size: the value is missing, expected a size such as 4096, 64K or 16M\n");
}

static void a_bad_value_in_the_environment_names_its_variable(void **state)
{
    struct fixture *fixture = *state;
    setenv("KEDGETEST_COUNT", "many", 1);
    setenv("KEDGETEST_VERBOSE", "true", 1);

    enum kedge_err err = host_options_env(&set, &fixture->target, fixture->err);
    unsetenv("KEDGETEST_COUNT");
    unsetenv("KEDGETEST_VERBOSE");

    assert_int_equal(err, KEDGE_ERR_SYNTAX);
    assert_false(fixture->target.verbose); /* flag only */
    assert_string_equal(said(fixture), "KEDGETEST_COUNT: \"many\" is not understood, expected a "
                                       "whole number, from 1 to 8\n");
}

static void what_is_required_and_missing_is_said(void **state)
{
    struct fixture *fixture = *state;
    const char *argv[] = {"program", "--name=", NULL};

    assert_int_equal(host_options_check(&set, &fixture->target, fixture->err), KEDGE_OK);
    assert_int_equal(from_args(fixture, argv, NULL, NULL), KEDGE_OK);
    assert_int_equal(host_options_check(&set, &fixture->target, fixture->err), KEDGE_ERR_SYNTAX);

    assert_string_equal(said(fixture), "--name NAME: required, who it is\n");
}

static void a_secret_is_never_printed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(from_file(fixture, "token = hunter2\nwait-time = 90s\n"), KEDGE_OK);

    host_options_print(&set, &fixture->target, fixture->err);

    assert_string_equal(said(fixture), "name = nobody\ntoken = ***\ncount = 3\n"
                                       "wait-time = 90s\nsize = 64K\n");
}

static void help_is_aligned_and_shows_defaults(void **state)
{
    struct fixture *fixture = *state;

    host_options_help(&set, fixture->err);

    assert_string_equal(said(fixture), "  --name NAME       who it is (required)\n"
                                       "  --token VALUE     what only we know\n"
                                       "  --verbose         say more\n"
                                       "  --count N         how many (default 3)\n"
                                       "  --wait-time TIME  how long (default 30s)\n"
                                       "  --size BYTES      how big (default 64K)\n");
}

int main(void)
{
#define fresh(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        fresh(defaults_come_first_then_file_then_environment_then_flags),
        fresh(a_file_may_hold_comments_blank_lines_and_any_line_end),
        fresh(every_error_of_a_file_is_named_with_its_line),
        fresh(a_missing_file_and_a_nul_byte_are_errors),
        fresh(flags_and_arguments_may_stand_in_any_order),
        fresh(every_bad_flag_is_named),
        fresh(a_bad_value_in_the_environment_names_its_variable),
        fresh(what_is_required_and_missing_is_said),
        fresh(a_secret_is_never_printed),
        fresh(help_is_aligned_and_shows_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
