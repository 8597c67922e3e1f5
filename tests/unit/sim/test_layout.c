/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/layout.h"
#include "vectors.h"

/* gen_esp32part.py made the vector: boards, firmware/partitions.csv and ESP-IDF agree. */
static void the_boards_table_is_the_bytes_that_esp_idf_makes(void **state)
{
    uint8_t made[KEDGE_PARTITION_TABLE_SIZE];
    struct vector tool = vector_load("partition/production.bin");

    (void)state;
    sim_layout_production_table(made);

    assert_int_equal(tool.len, sizeof(made));
    assert_memory_equal(made, tool.data, sizeof(made));
    vector_free(&tool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_boards_table_is_the_bytes_that_esp_idf_makes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
