/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/otadata.h"
#include "vectors.h"

/* What each vector's name and tests/vectors/README.md say of its two records. */
static const struct {
    const char *name;
    uint32_t seq[2];
    uint32_t state[2];
    bool crc_ok[2];
    int active;
} vectors[] = {
    {"otadata/blank.bin", {UINT32_MAX, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}, {false, false}, -1},
    {"otadata/first-valid.bin", {1, UINT32_MAX}, {2, UINT32_MAX}, {true, false}, 0},
    {"otadata/new-in-1.bin", {1, 2}, {2, 0}, {true, true}, 1},
    {"otadata/pending-in-1.bin", {1, 2}, {2, 1}, {true, true}, 1},
    {"otadata/valid-both.bin", {1, 2}, {2, 2}, {true, true}, 1},
    {"otadata/aborted-1.bin", {1, 2}, {2, 4}, {true, true}, 0},
    {"otadata/invalid-1.bin", {1, 2}, {2, 3}, {true, true}, 0},
    {"otadata/both-aborted.bin", {3, 2}, {4, 4}, {true, true}, -1},
    {"otadata/bad-crc-1.bin", {1, 2}, {2, 2}, {true, false}, 0},
    {"otadata/undefined-both.bin", {5, 4}, {UINT32_MAX, UINT32_MAX}, {true, true}, 0},
    {"otadata/wrapped-seq.bin", {3, 4}, {2, 0}, {true, true}, 1},
};

static void load(const struct vector *vector, struct kedge_otadata_record records[2])
{
    assert_int_equal(vector->len, KEDGE_OTADATA_PARTITION_SIZE);
    for (uint32_t i = 0; i < 2; i++) {
        kedge_otadata_parse(vector->data + i * KEDGE_OTADATA_SECTOR_SIZE, &records[i]);
    }
}

static void crc_of_seq_has_the_values_that_esp_idf_writes(void **state)
{
    (void)state;

    assert_int_equal(kedge_otadata_crc(1), 0x4743989Au);
    assert_int_equal(kedge_otadata_crc(2), 0x55F63774u);
    assert_int_equal(kedge_otadata_crc(3), 0xED4A5011u);
    assert_int_equal(kedge_otadata_crc(4), 0x709D68A8u);
    assert_int_equal(kedge_otadata_crc(5), 0xC8210FCDu);
    assert_int_equal(kedge_otadata_crc(UINT32_MAX), 0x2144DF1Cu);
}

static void every_vector_reads_as_described(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct vector vector = vector_load(vectors[i].name);
        struct kedge_otadata_record records[2];
        load(&vector, records);
        for (int r = 0; r < 2; r++) {
            assert_int_equal(records[r].seq, vectors[i].seq[r]);
            assert_int_equal(records[r].state, vectors[i].state[r]);
            assert_int_equal(kedge_otadata_crc_ok(&records[r]), vectors[i].crc_ok[r]);
        }
        assert_int_equal(kedge_otadata_active(records), vectors[i].active);
        vector_free(&vector);
    }
}

static void seq_decides_by_number_and_names_the_slot(void **state)
{
    (void)state;
    struct vector undefined = vector_load("otadata/undefined-both.bin");
    struct vector wrapped = vector_load("otadata/wrapped-seq.bin");
    struct kedge_otadata_record records[2];
    int active;

    load(&undefined, records);
    active = kedge_otadata_active(records);
    assert_int_equal(records[active].seq, 5);
    assert_int_equal(kedge_otadata_slot(records[active].seq, 2), 0);

    load(&wrapped, records);
    active = kedge_otadata_active(records);
    assert_int_equal(records[active].seq, 4);
    assert_int_equal(kedge_otadata_slot(records[active].seq, 2), 1);

    vector_free(&undefined);
    vector_free(&wrapped);
}

static void every_record_with_a_good_crc_is_encoded_as_it_was(void **state)
{
    (void)state;
    size_t encoded = 0;

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct vector vector = vector_load(vectors[i].name);
        struct kedge_otadata_record records[2];
        load(&vector, records);
        for (uint32_t r = 0; r < 2; r++) {
            uint8_t bytes[KEDGE_OTADATA_RECORD_SIZE];
            if (!kedge_otadata_crc_ok(&records[r])) {
                continue;
            }
            kedge_otadata_encode(&records[r], bytes);
            assert_memory_equal(bytes, vector.data + r * KEDGE_OTADATA_SECTOR_SIZE, 32);
            encoded++;
        }
        vector_free(&vector);
    }
    assert_int_equal(encoded, 18);
}

static void equal_seq_makes_the_first_record_active(void **state)
{
    (void)state;
    struct kedge_otadata_record records[2] = {
        {.seq = 3, .state = (uint32_t)KEDGE_OTA_VALID, .crc = kedge_otadata_crc(3)},
        {.seq = 3, .state = (uint32_t)KEDGE_OTA_VALID, .crc = kedge_otadata_crc(3)},
    };

    assert_int_equal(kedge_otadata_active(records), 0);
}

static void a_bad_crc_is_neither_valid_nor_invalid(void **state)
{
    (void)state;
    struct kedge_otadata_record record = {.seq = 1, .state = (uint32_t)KEDGE_OTA_VALID, .crc = 0};

    assert_false(kedge_otadata_is_valid(&record));
    assert_false(kedge_otadata_is_invalid(&record));
}

static void a_torn_state_has_a_text(void **state)
{
    (void)state;

    assert_string_equal(kedge_ota_state_text(1), "pending_verify");
    assert_string_equal(kedge_ota_state_text(UINT32_MAX), "undefined");
    assert_string_equal(kedge_ota_state_text(0xFFFFFF02u), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_of_seq_has_the_values_that_esp_idf_writes),
        cmocka_unit_test(every_vector_reads_as_described),
        cmocka_unit_test(seq_decides_by_number_and_names_the_slot),
        cmocka_unit_test(every_record_with_a_good_crc_is_encoded_as_it_was),
        cmocka_unit_test(equal_seq_makes_the_first_record_active),
        cmocka_unit_test(a_bad_crc_is_neither_valid_nor_invalid),
        cmocka_unit_test(a_torn_state_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
