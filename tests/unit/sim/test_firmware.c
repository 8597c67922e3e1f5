/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#include "kedge/crypto.h"

#define PAYLOAD(text) ((struct kedge_cspan){(const uint8_t *)(text), sizeof(text)})

static struct sim_firmware parse(struct kedge_cspan payload)
{
    struct sim_firmware firmware;
    struct kedge_fault fault;
    assert_int_equal(sim_firmware_parse(payload, &firmware, &fault), KEDGE_OK);
    return firmware;
}

static void no_lines_make_a_firmware_that_does_what_it_should(void **state)
{
    (void)state;
    struct sim_firmware firmware = parse(PAYLOAD("KEDGEFW1"));

    assert_false(firmware.no_broker || firmware.no_server || firmware.storage_broken ||
                 firmware.self_test_fails);
    assert_true(firmware.free_heap > 100000);
    assert_true(sim_firmware_due(&firmware).at_ms == SIM_NEVER);
}

static void every_key_is_understood(void **state)
{
    (void)state;
    struct sim_firmware firmware = parse(PAYLOAD("KEDGEFW1"
                                                 "panic_at_boot_ms=1\nhang_at_ms=2\n"
                                                 "restart_at_ms=3\nfree_heap=90000\n"
                                                 "heap_leak_per_s=5\nno_broker=1\nno_server=1\n"
                                                 "storage_broken=1\nself_test=fail\n"));

    assert_int_equal(firmware.panic_at_boot_ms, 1);
    assert_int_equal(firmware.hang_at_ms, 2);
    assert_int_equal(firmware.restart_at_ms, 3);
    assert_int_equal(firmware.free_heap, 90000);
    assert_int_equal(firmware.heap_leak_per_s, 5);
    assert_true(firmware.no_broker && firmware.no_server && firmware.storage_broken &&
                firmware.self_test_fails);
}

static void a_wrong_program_is_an_error_with_its_line(void **state)
{
    (void)state;
    static const struct {
        struct kedge_cspan payload;
        enum kedge_err err;
        uint32_t line;
    } cases[] = {
        {PAYLOAD("KEDGEFW2"), KEDGE_ERR_MAGIC, 0},
        {PAYLOAD(""), KEDGE_ERR_MAGIC, 0},
        {{(const uint8_t *)"KEDGEFW1", 8}, KEDGE_ERR_TOO_LARGE, 0},
        {PAYLOAD("KEDGEFW1no_brokr=1\n"), KEDGE_ERR_NOT_FOUND, 1},
        {PAYLOAD("KEDGEFW1no_broker=1\nno_broker=1\n"), KEDGE_ERR_DUPLICATE, 2},
        {PAYLOAD("KEDGEFW1no_broker=yes\n"), KEDGE_ERR_RANGE, 1},
        {PAYLOAD("KEDGEFW1no_broker\n"), KEDGE_ERR_SYNTAX, 1},
        {PAYLOAD("KEDGEFW1no_broker=1"), KEDGE_ERR_SYNTAX, 1},
        {PAYLOAD("KEDGEFW1\n"), KEDGE_ERR_SYNTAX, 1},
        {PAYLOAD("KEDGEFW1hang_at_ms=1x\n"), KEDGE_ERR_SYNTAX, 1},
        {PAYLOAD("KEDGEFW1hang_at_ms=-1\n"), KEDGE_ERR_SYNTAX, 1},
        {PAYLOAD("KEDGEFW1hang_at_ms=86400001\n"), KEDGE_ERR_RANGE, 1},
        {PAYLOAD("KEDGEFW1no_broker=000000000000000000000000000000000000000000000000000000000"
                 "00000000000000000000\n"),
         KEDGE_ERR_TOO_LARGE, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sim_firmware firmware;
        struct kedge_fault fault;

        assert_int_equal(sim_firmware_parse(cases[i].payload, &firmware, &fault), cases[i].err);

        assert_int_equal(fault.err, cases[i].err);
        assert_int_equal(fault.at, cases[i].line);
    }
}

static void the_earliest_mishap_comes_first(void **state)
{
    (void)state;
    struct sim_firmware hang = parse(PAYLOAD("KEDGEFW1hang_at_ms=500\nrestart_at_ms=900\n"));
    struct sim_firmware panic = parse(PAYLOAD("KEDGEFW1hang_at_ms=500\npanic_at_boot_ms=0\n"));

    assert_int_equal(sim_firmware_due(&hang).at_ms, 500);
    assert_true(sim_firmware_due(&hang).hangs);
    assert_int_equal(sim_firmware_due(&hang).reason, KEDGE_RESET_TASK_WDT);
    assert_int_equal(sim_firmware_due(&panic).at_ms, 0);
    assert_int_equal(sim_firmware_due(&panic).reason, KEDGE_RESET_PANIC);
}

static void a_leak_eats_the_heap_and_ends_in_a_panic(void **state)
{
    (void)state;
    struct sim_firmware firmware =
        parse(PAYLOAD("KEDGEFW1free_heap=28192\nheap_leak_per_s=10000\n"));

    assert_int_equal(sim_firmware_free_heap(&firmware, 0), 28192);
    assert_int_equal(sim_firmware_free_heap(&firmware, 1500), 13192);
    assert_int_equal(sim_firmware_free_heap(&firmware, 60000), 0);
    assert_int_equal(sim_firmware_due(&firmware).at_ms, 2000);
    assert_int_equal(sim_firmware_due(&firmware).reason, KEDGE_RESET_PANIC);
}

static struct host_buf build(const char *version, uint32_t size, const char *behaviour)
{
    struct sim_image_spec spec = {.version = version,
                                  .project = "kedge-demo",
                                  .chip_id = KEDGE_CHIP_ESP32C3,
                                  .size_bytes = size,
                                  .behaviour = behaviour};
    struct host_buf image;
    struct kedge_fault fault;
    host_buf_init(&image, 1 << 20);
    assert_int_equal(sim_firmware_build(&spec, &image, &fault), KEDGE_OK);
    return image;
}

static struct kedge_image_info parse_image(const struct host_buf *image)
{
    struct kedge_image_parser parser;
    struct kedge_sha256 sha;
    struct kedge_image_info info;
    kedge_image_parser_init(&parser, &kedge_sha256_ops, &sha);
    struct kedge_cspan bytes = {(const uint8_t *)image->data, image->len};
    assert_int_equal(kedge_image_parser_feed(&parser, bytes), KEDGE_OK);
    assert_int_equal(kedge_image_parser_end(&parser, &info), KEDGE_OK);
    return info;
}

static void a_built_image_parses_and_carries_its_program(void **state)
{
    (void)state;
    struct host_buf image = build("1.2.3", 65536, "no_broker=1\n");
    struct kedge_image_info info = parse_image(&image);
    struct kedge_cspan payload = {(const uint8_t *)image.data + KEDGE_IMAGE_PREFIX_SIZE,
                                  image.len - KEDGE_IMAGE_PREFIX_SIZE};

    assert_int_equal(image.len, 65536);
    assert_int_equal(info.chip_id, KEDGE_CHIP_ESP32C3);
    assert_string_equal(info.desc.version, "1.2.3");
    assert_string_equal(info.desc.project, "kedge-demo");
    assert_true(info.has_hash);
    assert_int_equal(info.trailer_len, 0);
    assert_true(parse(payload).no_broker);
    host_buf_free(&image);
}

static void builds_that_differ_have_different_elf_digests(void **state)
{
    (void)state;
    struct host_buf images[] = {build("1.0.0", 0, ""), build("1.0.1", 0, ""),
                                build("1.0.0", 0, "no_server=1\n"), build("1.0.0", 0, "")};
    struct kedge_image_info infos[4];
    for (size_t i = 0; i < 4; i++) {
        infos[i] = parse_image(&images[i]);
    }

    assert_memory_not_equal(infos[0].desc.elf_sha256, infos[1].desc.elf_sha256, 32);
    assert_memory_not_equal(infos[0].desc.elf_sha256, infos[2].desc.elf_sha256, 32);
    assert_memory_equal(infos[0].desc.elf_sha256, infos[3].desc.elf_sha256, 32);
    for (size_t i = 0; i < 4; i++) {
        host_buf_free(&images[i]);
    }
}

static void an_impossible_image_is_refused(void **state)
{
    (void)state;
    struct sim_image_spec good = {
        .version = "1", .project = "p", .chip_id = KEDGE_CHIP_ESP32, .behaviour = ""};
    struct sim_image_spec odd = good, small = good, typo = good, long_version = good;
    odd.size_bytes = 65537;
    small.size_bytes = 320;
    typo.behaviour = "panic=1\n";
    long_version.version = "12345678901234567890123456789012";
    const struct {
        const struct sim_image_spec *spec;
        enum kedge_err err;
    } cases[] = {{&odd, KEDGE_ERR_TOO_LARGE},
                 {&small, KEDGE_ERR_TOO_LARGE},
                 {&typo, KEDGE_ERR_NOT_FOUND},
                 {&long_version, KEDGE_ERR_ARG}};
    for (size_t i = 0; i < 4; i++) {
        struct host_buf image;
        struct kedge_fault fault;
        host_buf_init(&image, 1 << 20);

        assert_int_equal(sim_firmware_build(cases[i].spec, &image, &fault), cases[i].err);

        assert_int_equal(image.len, 0);
        host_buf_free(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_lines_make_a_firmware_that_does_what_it_should),
        cmocka_unit_test(every_key_is_understood),
        cmocka_unit_test(a_wrong_program_is_an_error_with_its_line),
        cmocka_unit_test(the_earliest_mishap_comes_first),
        cmocka_unit_test(a_leak_eats_the_heap_and_ends_in_a_panic),
        cmocka_unit_test(a_built_image_parses_and_carries_its_program),
        cmocka_unit_test(builds_that_differ_have_different_elf_digests),
        cmocka_unit_test(an_impossible_image_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
