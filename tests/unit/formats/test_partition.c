/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/crypto.h"
#include "kedge/partition.h"
#include "vectors.h"

static const struct kedge_partition_rules seed_rules = {.table_offset = 0x8000,
                                                        .flash_size_bytes = 0x400000};

static const struct {
    const char *csv;
    const char *binary;
    const char *resolved; /* NULL: the tool's CSV of the binary is not among the vectors */
    struct kedge_partition_rules rules;
} tables[] = {
    {"partition/seed.csv", "partition/seed.bin", NULL, {0x8000, 0x400000, KEDGE_SECURE_NONE}},
    {"partition/auto-offsets.csv",
     "partition/auto-offsets.bin",
     "partition/auto-offsets.resolved.csv",
     {0x8000, 0x400000, KEDGE_SECURE_NONE}},
    {"partition/production.csv",
     "partition/production.bin",
     "partition/production.resolved.csv",
     {0xE000, 0x400000, KEDGE_SECURE_V2}},
};

static enum kedge_err parse_text(const char *text, const struct kedge_partition_rules *rules,
                                 struct kedge_partition_table *table, struct kedge_fault *fault)
{
    /* A copy of exactly that length, so that ASan sees an over-read. */
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    enum kedge_err err;

    memcpy(copy, text, len);
    err = kedge_partition_parse_csv(copy, len, rules, table, fault);
    free(copy);
    return err;
}

static enum kedge_err parse_binary(const struct vector *file, struct kedge_partition_table *table,
                                   struct kedge_fault *fault)
{
    struct kedge_md5 md5;

    return kedge_partition_parse_binary((struct kedge_cspan){file->data, file->len}, &kedge_md5_ops,
                                        &md5, table, fault);
}

static void csv_becomes_the_binary_of_gen_esp32part_byte_for_byte(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct vector csv = vector_load(tables[i].csv);
        struct vector binary = vector_load(tables[i].binary);
        struct kedge_partition_table table;
        struct kedge_fault fault;
        struct kedge_md5 md5;
        uint8_t out[KEDGE_PARTITION_TABLE_SIZE];

        assert_int_equal(kedge_partition_parse_csv((const char *)csv.data, csv.len,
                                                   &tables[i].rules, &table, &fault),
                         KEDGE_OK);
        assert_int_equal(kedge_partition_encode(&table, &kedge_md5_ops, &md5,
                                                (struct kedge_span){out, sizeof(out)}),
                         KEDGE_OK);
        assert_int_equal(binary.len, sizeof(out));
        assert_memory_equal(out, binary.data, sizeof(out));
        vector_free(&csv);
        vector_free(&binary);
    }
}

static void binary_becomes_the_csv_of_gen_esp32part_byte_for_byte(void **state)
{
    (void)state;
    size_t compared = 0;

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct vector binary = vector_load(tables[i].binary);
        struct kedge_partition_table table;
        struct kedge_fault fault;
        char out[2048];
        size_t len;

        assert_int_equal(parse_binary(&binary, &table, &fault), KEDGE_OK);
        assert_int_equal(kedge_partition_check(&table, &tables[i].rules, &fault), KEDGE_OK);
        assert_int_equal(kedge_partition_write_csv(&table, out, sizeof(out), &len), KEDGE_OK);
        assert_int_equal(strlen(out), len);
        if (tables[i].resolved != NULL) {
            struct vector resolved = vector_load(tables[i].resolved);
            assert_int_equal(len, resolved.len);
            assert_memory_equal(out, resolved.data, len);
            vector_free(&resolved);
            compared++;
        }
        vector_free(&binary);
    }
    assert_int_equal(compared, 2);
}

static void resolved_csv_becomes_the_same_binary(void **state)
{
    (void)state;
    struct vector csv = vector_load("partition/production.resolved.csv");
    struct vector binary = vector_load("partition/production.bin");
    struct kedge_partition_table table;
    struct kedge_fault fault;
    struct kedge_md5 md5;
    uint8_t out[KEDGE_PARTITION_TABLE_SIZE];

    assert_int_equal(kedge_partition_parse_csv((const char *)csv.data, csv.len, &tables[2].rules,
                                               &table, &fault),
                     KEDGE_OK);
    assert_int_equal(
        kedge_partition_encode(&table, &kedge_md5_ops, &md5, (struct kedge_span){out, sizeof(out)}),
        KEDGE_OK);
    assert_memory_equal(out, binary.data, sizeof(out));
    vector_free(&csv);
    vector_free(&binary);
}

static const struct {
    const char *name;
    enum kedge_err err;
    uint32_t line;
    const char *what;
} bad_files[] = {
    {"partition/bad-below-table.csv", KEDGE_ERR_OVERLAP, 1, "partition offset"},
    {"partition/bad-duplicate-name.csv", KEDGE_ERR_DUPLICATE, 2, "partition name"},
    {"partition/bad-flag.csv", KEDGE_ERR_SYNTAX, 1, "partition flag"},
    {"partition/bad-otadata-size.csv", KEDGE_ERR_RANGE, 1, "otadata size"},
    {"partition/bad-overlap.csv", KEDGE_ERR_OVERLAP, 2, "partition offset"},
    {"partition/bad-subtype.csv", KEDGE_ERR_SYNTAX, 1, "partition subtype"},
    {"partition/bad-too-big.csv", KEDGE_ERR_TOO_LARGE, 3, "partition end, past the flash"},
    {"partition/bad-unaligned-app.csv", KEDGE_ERR_ALIGN, 2, "partition offset"},
};

static void every_bad_csv_is_refused_at_its_line(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        struct vector csv = vector_load(bad_files[i].name);
        struct kedge_partition_table table;
        struct kedge_fault fault = {0};

        assert_int_equal(
            kedge_partition_parse_csv((const char *)csv.data, csv.len, &seed_rules, &table, &fault),
            bad_files[i].err);
        assert_int_equal(fault.err, bad_files[i].err);
        assert_int_equal(fault.at, bad_files[i].line);
        assert_string_equal(fault.what, bad_files[i].what);
        vector_free(&csv);
    }
}

/* Texts the tool refuses too, but for the three where the header says that we are stricter. */
static const struct {
    const char *text;
    enum kedge_err err;
    uint32_t line;
} bad_texts[] = {
    {"nvs,,nvs,0x9000,0x6000\n", KEDGE_ERR_SYNTAX, 1},
    {"\n# c\nnvs,data,nvs,0x9000\n", KEDGE_ERR_SYNTAX, 3},
    {"app,app,,0x10000,1M\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,09000,0x6000\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,0x,0x6000\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,0x9000,K\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,0x9000,24 K\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,0x9000,-\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,0x9000,99999999999999999999999\n", KEDGE_ERR_RANGE, 1},
    {"nvs,data,nvs,0x9000,4096M\n", KEDGE_ERR_RANGE, 1},
    {"nvs,data,nvs,0xFFFFF000,0x2000\n", KEDGE_ERR_RANGE, 1},
    {"nvs,data,nvs,0x9000,-0x8000\n", KEDGE_ERR_RANGE, 1},
    {"nvs,data,nvs,-1,0x6000\n", KEDGE_ERR_RANGE, 1},
    {"x,256,0,0x9000,0x6000\n", KEDGE_ERR_RANGE, 1},
    {"x,0x40,-1,0x9000,0x6000\n", KEDGE_ERR_RANGE, 1},
    {"nvs,data,nvs,0x9000,0x6000,Encrypted\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,0x9100,0x6000\n", KEDGE_ERR_ALIGN, 1},
    {"nvs,data,nvs,0x9000,0x2000\n", KEDGE_ERR_RANGE, 1},
    {"otadata,data,ota,0x9000,0x2000,readonly\n", KEDGE_ERR_RANGE, 1},
    {"core,data,coredump,0x9000,64K,encrypted:readonly\n", KEDGE_ERR_RANGE, 1},
    {"a,data,ota,,0x2000\nb,data,ota,,0x2000\n", KEDGE_ERR_DUPLICATE, 2},
    {"a,data,tee_ota,,0x2000\nb,data,tee_ota,,0x2000\n", KEDGE_ERR_DUPLICATE, 2},
    {"a,app,ota_0,0x10000,0x10800\n", KEDGE_ERR_ALIGN, 1},
    {"b,bootloader,primary,,\n", KEDGE_ERR_UNSUPPORTED, 1},
    {"seventeen_letters,data,fat,,4K\n", KEDGE_ERR_TOO_LARGE, 1},
    {"n\x01,data,fat,,4K\n", KEDGE_ERR_SYNTAX, 1},
    {"n\xFF,data,fat,,4K\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,data,nvs,$OFFSET,0x6000\n", KEDGE_ERR_SYNTAX, 1},
    {"nvs,datak,nvs,,0x6000\n", KEDGE_ERR_SYNTAX, 1},
};

static void every_bad_line_is_refused_with_its_number(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++) {
        struct kedge_partition_table table;
        struct kedge_fault fault = {0};

        enum kedge_err err = parse_text(bad_texts[i].text, &seed_rules, &table, &fault);
        if (err != bad_texts[i].err || fault.at != bad_texts[i].line) {
            fail_msg("%s: %d at %u", bad_texts[i].text, err, fault.at);
        }
    }
}

static void numbers_are_read_as_python_reads_them(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF# mark and comment\r\n"
                               "  a , DATA , 0x40 , 0x9000 , 4k ,, ignored\r"
                               "b,0x40,0b11,0o120000,+4096\n"
                               "c,0x41,00,0xB000,-0x10000\n"
                               "d,app,OTA_3,,0X1M,:encrypted::readonly:";
    struct kedge_partition_table table;
    struct kedge_fault fault;

    assert_int_equal(parse_text(text, &seed_rules, &table, &fault), KEDGE_OK);

    assert_int_equal(table.count, 4);
    assert_string_equal(table.entries[0].name, "a");
    assert_int_equal(table.entries[0].subtype, 0x40);
    assert_int_equal(table.entries[0].size, 4096);
    assert_int_equal(table.entries[0].line, 2);
    assert_int_equal(table.entries[1].type, 0x40);
    assert_int_equal(table.entries[1].subtype, 3);
    assert_int_equal(table.entries[1].offset, 0xA000);
    assert_int_equal(table.entries[2].size, 0x5000); /* up to 0x10000 */
    assert_int_equal(table.entries[3].offset, 0x10000);
    assert_int_equal(table.entries[3].subtype, 0x13);
    assert_int_equal(table.entries[3].flags, KEDGE_PARTITION_ENCRYPTED | KEDGE_PARTITION_READONLY);
    assert_int_equal(table.entries[3].line, 5);
}

static void the_secure_scheme_decides_the_alignment_of_app_sizes(void **state)
{
    (void)state;
    static const char text[] = "a,app,ota_0,0x10000,0x11000\n";
    struct kedge_partition_rules v1 = {.secure = KEDGE_SECURE_V1};
    struct kedge_partition_rules v2 = {.secure = KEDGE_SECURE_V2};
    struct kedge_partition_table table;
    struct kedge_fault fault;

    assert_int_equal(parse_text(text, &v1, &table, &fault), KEDGE_ERR_ALIGN);
    assert_int_equal(fault.expected, 0x10000);
    assert_int_equal(parse_text(text, &v2, &table, &fault), KEDGE_OK);
}

static void overlap_in_a_binary_is_found_in_any_order_and_located(void **state)
{
    (void)state;
    struct kedge_partition_table table = {
        .count = 3,
        .entries = {{.name = "high", .type = 0x40, .offset = 0x20000, .size = 0x1000},
                    {.name = "low", .type = 0x40, .offset = 0x9000, .size = 0x18000},
                    {.name = "far", .type = 0x40, .offset = 0x30000, .size = 0x1000}},
    };
    struct kedge_fault fault;

    assert_int_equal(kedge_partition_check(&table, &seed_rules, &fault), KEDGE_ERR_OVERLAP);
    assert_int_equal(fault.at, 0);
    assert_int_equal(fault.found, 0x20000);
    assert_int_equal(fault.expected, 0x21000);

    table.entries[1].size = 0x17000;
    assert_int_equal(kedge_partition_check(&table, &seed_rules, &fault), KEDGE_OK);
    table.entries[2].size = UINT32_MAX;
    assert_int_equal(kedge_partition_check(&table, &seed_rules, &fault), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(fault.at, 64);
}

static void every_changed_byte_of_a_binary_is_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("partition/production.bin");
    struct kedge_partition_table table;
    struct kedge_fault fault;

    for (size_t at = 0; at < file.len; at++) {
        file.data[at] ^= 0x10;
        assert_int_not_equal(parse_binary(&file, &table, &fault), KEDGE_OK);
        file.data[at] ^= 0x10;
    }
    assert_int_equal(parse_binary(&file, &table, &fault), KEDGE_OK);
    vector_free(&file);
}

static void every_truncation_of_a_binary_before_its_end_is_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("partition/seed.bin"); /* 6 entries, MD5, terminator */
    struct kedge_partition_table table;
    struct kedge_fault fault;

    for (size_t len = 0; len < file.len; len++) {
        struct vector cut = {file.data, len};
        enum kedge_err err = parse_binary(&cut, &table, &fault);
        assert_int_equal(err, len >= 8 * 32 && len % 32 == 0 ? KEDGE_OK : KEDGE_ERR_TRUNCATED);
    }
    vector_free(&file);
}

static void entries_after_the_md5_row_are_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("partition/seed.bin");
    struct kedge_partition_table table;
    struct kedge_fault fault;

    memcpy(file.data + 7 * 32, file.data + 6 * 32, 32); /* a second MD5 row */
    assert_int_equal(parse_binary(&file, &table, &fault), KEDGE_ERR_MAGIC);
    assert_int_equal(fault.at, 7 * 32);

    memcpy(file.data + 7 * 32, file.data, 32); /* an entry that no MD5 covers */
    assert_int_equal(parse_binary(&file, &table, &fault), KEDGE_ERR_MAGIC);
    assert_int_equal(fault.at, 7 * 32);
    vector_free(&file);
}

static void blank_flash_and_full_tables_are_refused(void **state)
{
    (void)state;
    struct vector file = vector_load("partition/seed.bin");
    struct kedge_partition_table table;
    struct kedge_fault fault;
    uint8_t entry[32];

    memcpy(entry, file.data, sizeof(entry));
    memset(file.data, 0xFF, file.len);
    assert_int_equal(parse_binary(&file, &table, &fault), KEDGE_ERR_MAGIC);

    for (size_t at = 0; at < file.len; at += 32) { /* 96 entries, no room for a terminator */
        memcpy(file.data + at, entry, 32);
    }
    assert_int_equal(parse_binary(&file, &table, &fault), KEDGE_ERR_TOO_LARGE);
    vector_free(&file);
}

static void ninety_four_entries_fit_and_ninety_five_do_not(void **state)
{
    (void)state;
    char text[96 * 24];
    size_t len = 0;
    struct kedge_partition_table table;
    struct kedge_fault fault;
    struct kedge_md5 md5;
    uint8_t out[KEDGE_PARTITION_TABLE_SIZE];
    struct kedge_span span = {out, sizeof(out)};

    for (int i = 0; i < 94; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "p%d,0x40,0,,4K\n", i);
    }
    assert_int_equal(parse_text(text, &seed_rules, &table, &fault), KEDGE_OK);
    assert_int_equal(kedge_partition_encode(&table, &kedge_md5_ops, &md5, span), KEDGE_OK);
    assert_int_equal(kedge_partition_parse_binary((struct kedge_cspan){out, sizeof(out)},
                                                  &kedge_md5_ops, &md5, &table, &fault),
                     KEDGE_OK);

    snprintf(text + len, sizeof(text) - len, "p94,0x40,0,,4K\n");
    assert_int_equal(parse_text(text, &seed_rules, &table, &fault), KEDGE_OK);
    assert_int_equal(kedge_partition_encode(&table, &kedge_md5_ops, &md5, span),
                     KEDGE_ERR_TOO_LARGE);
    snprintf(text + len, sizeof(text) - len, "p94,0x40,0,,4K\np95,0x40,0,,4K\n");
    assert_int_equal(parse_text(text, &seed_rules, &table, &fault), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(fault.at, 96);
}

static void short_buffers_are_refused(void **state)
{
    (void)state;
    struct kedge_partition_table table = {
        .count = 1, .entries = {{.name = "x", .type = 0x40, .offset = 0x9000, .size = 0x1001}}};
    char out[128];
    size_t needed;
    size_t len;
    struct kedge_md5 md5;
    uint8_t binary[16];

    assert_int_equal(kedge_partition_write_csv(&table, out, sizeof(out), &needed), KEDGE_OK);
    assert_non_null(strstr(out, "x,64,0,0x9000,0x1001,\n"));
    for (size_t size = 0; size <= needed; size++) {
        assert_int_equal(kedge_partition_write_csv(&table, out, size, &len), KEDGE_ERR_NO_SPACE);
    }
    assert_int_equal(
        kedge_partition_encode(&table, &kedge_md5_ops, &md5, (struct kedge_span){binary, 16}),
        KEDGE_ERR_NO_SPACE);
}

static void partitions_are_found_by_type_and_subtype(void **state)
{
    (void)state;
    struct vector file = vector_load("partition/production.bin");
    struct kedge_partition_table table;
    struct kedge_fault fault;

    assert_int_equal(parse_binary(&file, &table, &fault), KEDGE_OK);

    assert_string_equal(kedge_partition_find(&table, KEDGE_PARTITION_APP, 0x11)->name, "ota_1");
    assert_null(kedge_partition_find(&table, KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_FACTORY));
    vector_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_becomes_the_binary_of_gen_esp32part_byte_for_byte),
        cmocka_unit_test(binary_becomes_the_csv_of_gen_esp32part_byte_for_byte),
        cmocka_unit_test(resolved_csv_becomes_the_same_binary),
        cmocka_unit_test(every_bad_csv_is_refused_at_its_line),
        cmocka_unit_test(every_bad_line_is_refused_with_its_number),
        cmocka_unit_test(numbers_are_read_as_python_reads_them),
        cmocka_unit_test(the_secure_scheme_decides_the_alignment_of_app_sizes),
        cmocka_unit_test(overlap_in_a_binary_is_found_in_any_order_and_located),
        cmocka_unit_test(every_changed_byte_of_a_binary_is_refused),
        cmocka_unit_test(every_truncation_of_a_binary_before_its_end_is_refused),
        cmocka_unit_test(entries_after_the_md5_row_are_refused),
        cmocka_unit_test(blank_flash_and_full_tables_are_refused),
        cmocka_unit_test(ninety_four_entries_fit_and_ninety_five_do_not),
        cmocka_unit_test(short_buffers_are_refused),
        cmocka_unit_test(partitions_are_found_by_type_and_subtype),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
