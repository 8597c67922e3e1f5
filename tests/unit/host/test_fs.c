/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/fs.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/kedge-test-fs-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[128];
    static const char *const names[] = {"file", "lock", "a/b/c", "a/b", "a"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder); /* fails when a temporary was left behind */
}

static const char *in_folder(char *path, size_t size, const char *name)
{
    assert_int_equal(host_fs_join(path, size, folder, name), KEDGE_OK);
    return path;
}

static void what_is_written_atomically_is_read_back_with_its_mode(void **state)
{
    (void)state;
    char path[128];
    struct stat info;
    struct host_buf buf;
    host_buf_init(&buf, 64);
    in_folder(path, sizeof(path), "file");

    assert_int_equal(host_fs_write_atomic(path, "first", 5, 0644), KEDGE_OK);
    assert_int_equal(host_fs_write_atomic(path, "second", 6, 0600), KEDGE_OK);

    assert_int_equal(host_fs_read(path, &buf), KEDGE_OK);
    assert_string_equal(host_buf_text(&buf), "second");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    host_buf_free(&buf);
}

static void a_write_that_fails_leaves_the_old_file_and_nothing_else(void **state)
{
    (void)state;
    char path[128];
    in_folder(path, sizeof(path), "a");
    assert_int_equal(host_fs_make_dirs(path, 0755), KEDGE_OK);

    assert_int_equal(host_fs_write_atomic(path, "x", 1, 0644), KEDGE_ERR_IO);

    assert_int_equal(errno, EISDIR);
    char missing[160];
    assert_int_equal(host_fs_join(missing, sizeof(missing), path, "no/where"), KEDGE_OK);
    assert_int_equal(host_fs_write_atomic(missing, "x", 1, 0644), KEDGE_ERR_IO);
    assert_int_equal(errno, ENOENT);
}

static void reading_stops_at_the_limit_and_names_a_missing_file(void **state)
{
    (void)state;
    char path[128];
    struct host_buf buf;
    host_buf_init(&buf, 5);
    in_folder(path, sizeof(path), "file");

    assert_int_equal(host_fs_read(path, &buf), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(host_fs_write_atomic(path, "123456", 6, 0644), KEDGE_OK);

    assert_int_equal(host_fs_read(path, &buf), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(host_fs_read(folder, &buf), KEDGE_ERR_IO);
    host_buf_free(&buf);
}

static void make_dirs_makes_the_whole_path_and_accepts_what_is_there(void **state)
{
    (void)state;
    char path[128];
    struct stat info;
    in_folder(path, sizeof(path), "a/b/c");

    assert_int_equal(host_fs_make_dirs(path, 0700), KEDGE_OK);
    assert_int_equal(host_fs_make_dirs(path, 0700), KEDGE_OK);

    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    in_folder(path, sizeof(path), "file");
    assert_int_equal(host_fs_write_atomic(path, "x", 1, 0644), KEDGE_OK);
    assert_int_equal(host_fs_make_dirs(path, 0700), KEDGE_ERR_IO);
}

static void join_puts_one_slash_and_refuses_what_does_not_fit(void **state)
{
    (void)state;
    char out[8];

    assert_int_equal(host_fs_join(out, sizeof(out), "/a/", "bcde"), KEDGE_OK);
    assert_string_equal(out, "/a/bcde");
    assert_int_equal(host_fs_join(out, sizeof(out), "", "x"), KEDGE_OK);
    assert_string_equal(out, "x");

    assert_int_equal(host_fs_join(out, sizeof(out), "/a", "bcdef"), KEDGE_ERR_TOO_LARGE);
}

static void a_second_process_is_refused_the_lock_and_told_the_owner(void **state)
{
    (void)state;
    char path[128];
    int fd = -1;
    long owner = -1;
    in_folder(path, sizeof(path), "lock");
    assert_int_equal(host_fs_write_atomic(path, "4294967295 stale", 16, 0644), KEDGE_OK);
    assert_int_equal(host_fs_lock(path, &fd, &owner), KEDGE_OK);
    long parent = (long)getpid();

    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        enum kedge_err err = host_fs_lock(path, &fd, &owner);
        _exit(err == KEDGE_ERR_BUSY && owner == parent ? 0 : 1);
    }

    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
    int again = -1;
    assert_int_equal(host_fs_lock(path, &again, &owner), KEDGE_OK);
    close(again);
}

int main(void)
{
#define in_own_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        in_own_folder(what_is_written_atomically_is_read_back_with_its_mode),
        in_own_folder(a_write_that_fails_leaves_the_old_file_and_nothing_else),
        in_own_folder(reading_stops_at_the_limit_and_names_a_missing_file),
        in_own_folder(make_dirs_makes_the_whole_path_and_accepts_what_is_there),
        cmocka_unit_test(join_puts_one_slash_and_refuses_what_does_not_fit),
        in_own_folder(a_second_process_is_refused_the_lock_and_told_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
