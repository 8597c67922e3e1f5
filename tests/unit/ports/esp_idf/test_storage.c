/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* storage.c: files of the storage partition, which is a folder here. */

static struct port port;

static int setup(void **state)
{
    bench_setup(state);
    port = (struct port){.config = {.storage_path = bench.storage}};
    return 0;
}

static enum kedge_err read_file(const char *name, uint32_t size, char *out)
{
    uint32_t len = 0;
    enum kedge_err err = port_storage.read(&port, name, out, size, &len);

    out[len] = '\0';
    return err;
}

static void make_folder(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", bench.storage, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void a_file_is_read_written_renamed_and_removed(void **state)
{
    char text[64];

    (void)state;
    assert_true(port_storage.mounted(&port));
    assert_int_equal(port_storage.write(&port, "other", "first", 5), KEDGE_OK);
    assert_int_equal(port_storage.write(&port, "other", "two", 3), KEDGE_OK);
    assert_int_equal(read_file("other", 63, text), KEDGE_OK);
    assert_string_equal(text, "two");
    assert_int_equal(port_storage.rename(&port, "other", "device.json"), KEDGE_OK);
    assert_int_equal(read_file("device.json", 63, text), KEDGE_OK);
    assert_string_equal(text, "two");
    assert_int_equal(port_storage.remove(&port, "device.json"), KEDGE_OK);
    assert_int_equal(read_file("device.json", 63, text), KEDGE_ERR_NOT_FOUND);
}

static void a_file_may_be_as_large_as_the_buffer_and_no_larger(void **state)
{
    char text[64];

    (void)state;
    assert_int_equal(port_storage.write(&port, "other", "12345678", 8), KEDGE_OK);
    assert_int_equal(read_file("other", 8, text), KEDGE_OK);
    assert_string_equal(text, "12345678");
    assert_int_equal(read_file("other", 7, text), KEDGE_ERR_TOO_LARGE);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(port_storage.remove(&port, "other"), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(port_storage.rename(&port, "other", "device.json"), KEDGE_ERR_NOT_FOUND);
    port.config.storage_path = "/nowhere";
    assert_int_equal(port_storage.write(&port, "other", "1", 1), KEDGE_ERR_NOT_FOUND);
}

static void a_full_partition_says_so(void **state)
{
    static const char large[32768];
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/other", bench.storage);
    assert_int_equal(symlink("/dev/full", path), 0);

    assert_int_equal(port_storage.write(&port, "other", "1", 1), KEDGE_ERR_NO_SPACE);
    assert_int_equal(port_storage.write(&port, "other", large, sizeof large), KEDGE_ERR_NO_SPACE);
}

static void what_is_no_file_is_an_error(void **state)
{
    char text[64];

    (void)state;
    make_folder("folder");
    assert_int_equal(read_file("folder", 63, text), KEDGE_ERR_IO);
    assert_int_equal(port_storage.write(&port, "folder", "1", 1), KEDGE_ERR_IO);
    assert_int_equal(port_storage.rename(&port, "device.json", "folder"), KEDGE_ERR_IO);
}

static void factory_json_is_read_and_never_changed(void **state)
{
    char text[64];

    (void)state;
    bench_file("factory.json", "made once");
    assert_int_equal(port_storage.write(&port, "factory.json", "1", 1), KEDGE_ERR_DENIED);
    assert_int_equal(port_storage.remove(&port, "factory.json"), KEDGE_ERR_DENIED);
    assert_int_equal(port_storage.rename(&port, "factory.json", "other"), KEDGE_ERR_DENIED);
    assert_int_equal(port_storage.rename(&port, "device.json", "factory.json"), KEDGE_ERR_DENIED);
    assert_int_equal(read_file("factory.json", 63, text), KEDGE_OK);
    assert_string_equal(text, "made once");
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    char path[128], text[64];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    port.config.storage_path = path;
    assert_int_equal(read_file("other", 63, text), KEDGE_ERR_RANGE);
    assert_int_equal(port_storage.write(&port, "other", "1", 1), KEDGE_ERR_RANGE);
    assert_int_equal(port_storage.remove(&port, "other"), KEDGE_ERR_RANGE);
    assert_int_equal(port_storage.rename(&port, "other", "device.json"), KEDGE_ERR_RANGE);
}

static void nothing_works_where_nothing_is_mounted(void **state)
{
    char text[64];

    (void)state;
    port.config.storage_path = NULL;
    assert_false(port_storage.mounted(&port));
    assert_int_equal(read_file("device.json", 63, text), KEDGE_ERR_STATE);
    assert_int_equal(port_storage.write(&port, "other", "1", 1), KEDGE_ERR_STATE);
    assert_int_equal(port_storage.rename(&port, "device.json", "other"), KEDGE_ERR_STATE);
    assert_int_equal(port_storage.remove(&port, "device.json"), KEDGE_ERR_STATE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_is_read_written_renamed_and_removed),
        CASE(a_file_may_be_as_large_as_the_buffer_and_no_larger),
        CASE(what_is_not_there_is_not_found),
        CASE(a_full_partition_says_so),
        CASE(what_is_no_file_is_an_error),
        CASE(factory_json_is_read_and_never_changed),
        CASE(a_path_that_does_not_fit_is_refused),
        CASE(nothing_works_where_nothing_is_mounted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
