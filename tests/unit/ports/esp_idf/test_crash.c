/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

/* crash.c and compat.c: the core dump that a panic has left, and its way to the server. */

#define DUMP_SIZE 10000u

static struct port port;
static struct kedge_crash crash;

static void put_dump(void)
{
    struct stub_coredump *dump = &bench.world->coredump;
    uint8_t bytes[DUMP_SIZE];

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7u);
    }
    sim_flash_program(bench.world->flash, stub_partition("coredump")->address, bytes, sizeof bytes);
    *dump = (struct stub_coredump){.size = DUMP_SIZE};
    dump->summary.exc_pc = 0x42001234;
    memcpy(dump->summary.exc_task, "measure", 8);
    memcpy(dump->summary.app_elf_sha256, "0123abcde", 10);
#ifdef __XTENSA__
    dump->summary.exc_bt_info.depth = 3;
    for (uint32_t i = 0; i < 16; i++) {
        dump->summary.exc_bt_info.bt[i] = 0x400D0000u + i;
    }
#else
    dump->summary.ex_info.ra = 0x42005678;
#endif
}

static int setup(void **state)
{
    bench_setup(state);
    port = (struct port){0};
    crash = (struct kedge_crash){.size_bytes = 77};
    put_dump();
    return 0;
}

#ifdef STUB_BARE

static void a_firmware_without_core_dumps_finds_none(void **state)
{
    (void)state;
    assert_false(port_crash.describe(&port, &crash));
    assert_int_equal(port_crash.erase(&port), KEDGE_ERR_IO);
    assert_int_equal(crash.size_bytes, 77);
}

#else

static void a_dump_is_described_by_its_summary(void **state)
{
    (void)state;
    assert_true(port_crash.describe(&port, &crash));

    assert_int_equal(crash.size_bytes, DUMP_SIZE);
    assert_string_equal(crash.task, "measure");
    assert_int_equal(crash.pc, 0x42001234);
    assert_string_equal(crash.elf_sha256, "0123abcde");
#ifdef __XTENSA__
    assert_int_equal(crash.backtrace_count, 3);
    assert_int_equal(crash.backtrace[2], 0x400D0002);
#else
    assert_int_equal(crash.backtrace_count, 2);
    assert_int_equal(crash.backtrace[0], 0x42001234);
    assert_int_equal(crash.backtrace[1], 0x42005678);
#endif
}

static void texts_that_fill_their_fields_and_garbage_end_in_time(void **state)
{
    struct stub_coredump *dump = &bench.world->coredump;

    (void)state;
    memset(dump->summary.exc_task, 't', sizeof dump->summary.exc_task);
    memset(dump->summary.app_elf_sha256, 'a', sizeof dump->summary.app_elf_sha256);
#ifdef __XTENSA__
    dump->summary.exc_bt_info.depth = 1000;
#endif
    assert_true(port_crash.describe(&port, &crash));
    assert_int_equal(strlen(crash.task), 16);
    assert_int_equal(strlen(crash.elf_sha256), sizeof dump->summary.app_elf_sha256);
    assert_true(crash.backtrace_count <= KEDGE_CRASH_BACKTRACE_MAX);

    memcpy(dump->summary.app_elf_sha256, "09af:\xFF", 6);
    assert_true(port_crash.describe(&port, &crash));
    assert_string_equal(crash.elf_sha256, "09af");
    memcpy(dump->summary.app_elf_sha256, "/Gg", 4);
    assert_true(port_crash.describe(&port, &crash));
    assert_string_equal(crash.elf_sha256, "");
}

static void no_dump_or_a_torn_one_is_none(void **state)
{
    static const struct {
        const char *call;
        int64_t result;
    } rows[] = {
        {"esp_partition_find_first:coredump", 0},
        {"esp_core_dump_image_check", ESP_ERR_NOT_FOUND},
        {"esp_core_dump_image_check", ESP_ERR_INVALID_SIZE},
        {"esp_core_dump_image_check", ESP_ERR_INVALID_CRC},
        {"esp_core_dump_image_check", ESP_ERR_FLASH_OP_FAIL},
        {"esp_core_dump_image_get", ESP_ERR_INVALID_ARG},
        {"esp_core_dump_image_get", ESP_ERR_NOT_FOUND},
        {"esp_core_dump_image_get", ESP_ERR_INVALID_SIZE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stub_fault_arm(bench.world, rows[i].call, 1, rows[i].result);
        assert_false(port_crash.describe(&port, &crash));
        assert_int_equal(crash.size_bytes, 77);
        assert_int_equal(bench.world->faults[0].seen, 1);
        stub_fault_clear(bench.world);
    }
}

static void a_dump_without_a_summary_is_a_dump_all_the_same(void **state)
{
    static const int64_t errors[] = {ESP_FAIL, ESP_ERR_NO_MEM, ESP_ERR_NOT_FOUND,
                                     ESP_ERR_INVALID_ARG};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        stub_fault_arm(bench.world, "esp_core_dump_get_summary", 1, errors[i]);
        assert_true(port_crash.describe(&port, &crash));
        assert_int_equal(crash.size_bytes, DUMP_SIZE);
        assert_string_equal(crash.task, "");
        assert_int_equal(crash.backtrace_count, 0);
        stub_fault_clear(bench.world);
    }
}

static void a_dump_is_read_at_any_offset_and_not_beyond_its_partition(void **state)
{
    uint8_t bytes[4];

    (void)state;
    assert_int_equal(port_crash.read(&port, 0, bytes, 1), KEDGE_ERR_RANGE);
    assert_true(port_crash.describe(&port, &crash));
    assert_int_equal(port_crash.read(&port, 3, bytes, 3), KEDGE_OK);
    assert_memory_equal(bytes, ((const uint8_t[]){21, 28, 35}), 3);
    assert_int_equal(port_crash.read(&port, port.coredump->size - 3u, bytes, 4), KEDGE_ERR_RANGE);
    assert_int_equal(port_crash.read(&port, 0, bytes, port.coredump->size + 1u), KEDGE_ERR_RANGE);
    stub_fault_arm(bench.world, "esp_partition_read:coredump", 1, ESP_ERR_FLASH_OP_FAIL);
    assert_int_equal(port_crash.read(&port, 0, bytes, 4), KEDGE_ERR_IO);
}

static void what_erasing_may_answer_is_an_error(void **state)
{
    static const int64_t errors[] = {ESP_ERR_NOT_FOUND, ESP_ERR_INVALID_SIZE,
                                     ESP_ERR_FLASH_OP_FAIL};
    static const enum kedge_err expected[] = {KEDGE_ERR_IO, KEDGE_ERR_RANGE, KEDGE_ERR_IO};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        stub_fault_arm(bench.world, "esp_core_dump_image_erase", 1, errors[i]);
        assert_int_equal(port_crash.erase(&port), expected[i]);
        stub_fault_clear(bench.world);
    }
    assert_int_equal(port_crash.erase(&port), KEDGE_OK);
    assert_false(port_crash.describe(&port, &crash));
}

/* ---- to the server ---- */

static bool has_dump(const struct stub_world *world)
{
    return stub_log_find(world, "crash_delivered") != NULL;
}

static void a_dump_goes_to_the_server_in_pieces_and_is_erased(void **state)
{
    (void)state;
    bench.world->next_reset = KEDGE_RESET_PANIC;
    bench_boot(STUB_STOPPED, 600000, has_dump);

    assert_int_equal(bench.world->server.dumps, 1);
    assert_int_equal(bench.world->server.dump_len, DUMP_SIZE);
    assert_string_equal(bench.world->server.crash.task, "measure");
    assert_int_equal(bench.world->server.crash.reset_reason, KEDGE_RESET_PANIC);
    assert_int_equal(bench_request("/crash/dump", 1)->body_len, 4096);
    assert_int_equal(bench_request("/crash/dump", 3)->body_len, DUMP_SIZE - 8192);
    assert_string_equal(bench_request("/crash/dump", 1)->content_type, "application/octet-stream");
    assert_string_equal(bench_request("/crash", 1)->content_type, "application/json");
    assert_int_equal(bench.world->coredump.size, 0);

    bench_boot(STUB_TIME_IS_UP, 300000, NULL);
    assert_int_equal(bench.world->server.crash_count, 1);
}

static bool has_piece(const struct stub_world *world)
{
    return world->server.dump_len > 4096;
}

static void an_upload_that_a_reset_breaks_goes_on_where_it_was(void **state)
{
    (void)state;
    bench_boot(STUB_STOPPED, 600000, has_piece);

    bench_boot(STUB_STOPPED, 600000, has_dump);

    assert_int_equal(bench.world->server.dumps, 1);
    assert_int_equal(bench.world->server.crash_count, 2);
}

#endif

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef STUB_BARE
        CASE(a_firmware_without_core_dumps_finds_none),
#else
        CASE(a_dump_is_described_by_its_summary),
        CASE(texts_that_fill_their_fields_and_garbage_end_in_time),
        CASE(no_dump_or_a_torn_one_is_none),
        CASE(a_dump_without_a_summary_is_a_dump_all_the_same),
        CASE(a_dump_is_read_at_any_offset_and_not_beyond_its_partition),
        CASE(what_erasing_may_answer_is_an_error),
        CASE(a_dump_goes_to_the_server_in_pieces_and_is_erased),
        CASE(an_upload_that_a_reset_breaks_goes_on_where_it_was),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
