/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

#include "esp_image_format.h"
#include "esp_ota_ops.h"
#include "kedge/otadata.h"

/* slots.c, store.c, errors.c and compat.c by themselves: what each call of theirs answers, for
 * every error that ESP-IDF documents for the calls underneath. */

#define UPDATE_SIZE 20000u

static struct port port;
static struct kedge_boot_facts facts;

static int setup(void **state)
{
    bench_setup(state);
    port = (struct port){.fleet = stub_partition("fleet")};
    bench_offer("1.1.0", "", UPDATE_SIZE);
    return stub_bootloader(bench.world) ? 0 : -1;
}

/* ---- one row: the call underneath answers that, ours answers this ---- */

static enum kedge_err describe(void)
{
    return port_slots.describe(&port, &facts);
}

static enum kedge_err begin(void)
{
    return port_slots.begin(&port, 1, 0);
}

static enum kedge_err write_sector(void)
{
    static const uint8_t data[100] = {0xE9};

    return port_slots.write(&port, 1, 4096, data, sizeof data);
}

static enum kedge_err read_slot(void)
{
    uint8_t byte;

    return port_slots.read(&port, 1, 5, &byte, 1);
}

static enum kedge_err finish(void)
{
    return port_slots.finish(&port, 1, UPDATE_SIZE);
}

static enum kedge_err set_boot(void)
{
    return port_slots.set_boot(&port, 1);
}

static enum kedge_err restore_record(void)
{
    return port_slots.restore_record(&port);
}

static enum kedge_err mark_valid(void)
{
    return port_slots.mark_valid(&port);
}

static enum kedge_err mark_invalid(void)
{
    return port_slots.mark_invalid(&port);
}

static enum kedge_err read_store(void)
{
    uint8_t bytes[16];

    return port_store.read(&port, 0, bytes, sizeof bytes);
}

static enum kedge_err write_store(void)
{
    static const uint8_t bytes[16];

    return port_store.write(&port, 0, bytes, sizeof bytes);
}

static enum kedge_err erase_store(void)
{
    return port_store.erase(&port, 1);
}

#if STUB_IDF_MAJOR == 5 && STUB_IDF_MINOR < 5
#define MARK_INVALID "esp_ota_mark_app_invalid_rollback_and_reboot"
#else
#define MARK_INVALID "esp_ota_mark_app_invalid_rollback"
#endif

static const struct row {
    enum kedge_err (*ours)(void);
    const char *call;
    int64_t result;
    enum kedge_err expected;
} rows[] = {
    {describe, "esp_ota_get_running_partition", 0, KEDGE_ERR_IO},
    {describe, "esp_partition_find_first:ota_0", 0, KEDGE_ERR_IO},
    {describe, "esp_partition_find_first:ota_1", 0, KEDGE_ERR_IO},
    {describe, "esp_partition_find_first:otadata", 0, KEDGE_ERR_IO},
    {describe, "esp_ota_get_app_partition_count", 0, KEDGE_ERR_IO},
    {describe, "esp_partition_read:otadata", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {describe, "esp_partition_read:otadata", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {describe, "esp_partition_read:otadata", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {describe, "esp_partition_read:otadata", ESP_ERR_FLASH_OP_TIMEOUT, KEDGE_ERR_IO},
    {describe, "esp_ota_get_state_partition", ESP_ERR_INVALID_ARG, KEDGE_OK},
    {describe, "esp_ota_get_state_partition", ESP_ERR_NOT_SUPPORTED, KEDGE_OK},
    {describe, "esp_ota_get_state_partition", ESP_ERR_NOT_FOUND, KEDGE_OK},
    {begin, "esp_partition_find_first:ota_1", 0, KEDGE_ERR_RANGE},
    {begin, "esp_partition_erase_range:ota_1", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {begin, "esp_partition_erase_range:ota_1", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {begin, "esp_ota_begin", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {begin, "esp_ota_begin", ESP_ERR_NO_MEM, KEDGE_ERR_NO_MEMORY},
    {begin, "esp_ota_begin", ESP_ERR_OTA_PARTITION_CONFLICT, KEDGE_ERR_DENIED},
    {begin, "esp_ota_begin", ESP_ERR_NOT_FOUND, KEDGE_ERR_IO},
    {begin, "esp_ota_begin", ESP_ERR_OTA_SELECT_INFO_INVALID, KEDGE_ERR_IO},
    {begin, "esp_ota_begin", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {begin, "esp_ota_begin", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {begin, "esp_ota_begin", ESP_ERR_FLASH_OP_TIMEOUT, KEDGE_ERR_IO},
    {begin, "esp_ota_begin", ESP_ERR_OTA_ROLLBACK_INVALID_STATE, KEDGE_ERR_STATE},
    {begin, "esp_ota_abort", ESP_ERR_NOT_FOUND, KEDGE_ERR_IO},
    {write_sector, "esp_partition_find_first:ota_1", 0, KEDGE_ERR_RANGE},
    {write_sector, "esp_partition_erase_range:ota_1", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {write_sector, "esp_partition_erase_range:ota_1", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {write_sector, "esp_partition_erase_range:ota_1", ESP_ERR_NOT_ALLOWED, KEDGE_ERR_IO},
    {write_sector, "esp_partition_erase_range:ota_1", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {write_sector, "esp_partition_write:ota_1", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {write_sector, "esp_partition_write:ota_1", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {write_sector, "esp_partition_write:ota_1", ESP_ERR_NOT_ALLOWED, KEDGE_ERR_IO},
    {write_sector, "esp_partition_write:ota_1", ESP_ERR_FLASH_OP_TIMEOUT, KEDGE_ERR_IO},
    {read_slot, "esp_partition_find_first:ota_1", 0, KEDGE_ERR_RANGE},
    {read_slot, "esp_partition_read:ota_1", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {read_slot, "esp_partition_read:ota_1", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {read_slot, "esp_partition_read:ota_1", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {finish, "esp_partition_find_first:ota_1", 0, KEDGE_ERR_RANGE},
    {finish, "esp_image_verify", ESP_ERR_IMAGE_FLASH_FAIL, KEDGE_ERR_IO},
    {finish, "esp_image_verify", ESP_ERR_IMAGE_INVALID, KEDGE_ERR_MISMATCH},
    {finish, "esp_image_verify", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {set_boot, "esp_partition_find_first:ota_1", 0, KEDGE_ERR_RANGE},
    {set_boot, "esp_ota_set_boot_partition", ESP_ERR_INVALID_ARG, KEDGE_ERR_IO},
    {set_boot, "esp_ota_set_boot_partition", ESP_ERR_OTA_VALIDATE_FAILED, KEDGE_ERR_MISMATCH},
    {set_boot, "esp_ota_set_boot_partition", ESP_ERR_OTA_SMALL_SEC_VER, KEDGE_ERR_VERSION},
    {set_boot, "esp_ota_set_boot_partition", ESP_ERR_NOT_FOUND, KEDGE_ERR_IO},
    {set_boot, "esp_ota_set_boot_partition", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {set_boot, "esp_ota_set_boot_partition", ESP_ERR_FLASH_OP_TIMEOUT, KEDGE_ERR_IO},
    {restore_record, "esp_partition_read:otadata", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {mark_valid, "esp_ota_mark_app_valid_cancel_rollback", ESP_FAIL, KEDGE_ERR_STATE},
    {mark_valid, "esp_ota_mark_app_valid_cancel_rollback", ESP_ERR_INVALID_ARG, KEDGE_ERR_RANGE},
    {mark_valid, "esp_ota_mark_app_valid_cancel_rollback", ESP_ERR_NOT_FOUND, KEDGE_ERR_IO},
    {mark_valid, "esp_ota_mark_app_valid_cancel_rollback", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {mark_invalid, MARK_INVALID, ESP_FAIL, KEDGE_ERR_STATE},
    {mark_invalid, MARK_INVALID, ESP_ERR_OTA_ROLLBACK_FAILED, KEDGE_ERR_STATE},
    {mark_invalid, MARK_INVALID, ESP_ERR_NOT_FOUND, KEDGE_ERR_IO},
    {mark_invalid, MARK_INVALID, ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {read_store, "esp_partition_read:fleet", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {read_store, "esp_partition_read:fleet", ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {write_store, "esp_partition_write:fleet", ESP_ERR_NOT_ALLOWED, KEDGE_ERR_IO},
    {write_store, "esp_partition_write:fleet", ESP_ERR_FLASH_OP_TIMEOUT, KEDGE_ERR_IO},
    {erase_store, "esp_partition_erase_range:fleet", ESP_ERR_FLASH_OP_FAIL, KEDGE_ERR_IO},
    {erase_store, "esp_partition_erase_range:fleet", ESP_ERR_NOT_ALLOWED, KEDGE_ERR_IO},
};

static void each_documented_error_becomes_what_the_agent_can_tell_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum kedge_err err;

        stub_fault_arm(bench.world, rows[i].call, 1, rows[i].result);
        err = rows[i].ours();
        if (err != rows[i].expected || bench.world->faults[0].seen == 0) {
            fail_msg("row %zu, %s answers 0x%llx: %s instead of %s", i, rows[i].call,
                     (unsigned long long)rows[i].result, kedge_err_text(err),
                     kedge_err_text(rows[i].expected));
        }
        stub_fault_clear(bench.world);
    }
}

static void a_native_error_is_logged_with_what_failed(void **state)
{
    (void)state;
    assert_int_equal(port_err("this", ESP_OK), KEDGE_OK);
    assert_int_equal(bench.world->log_count, 0);
    assert_int_equal(port_err("that", ESP_ERR_NO_MEM), KEDGE_ERR_NO_MEMORY);
    bench_expect_log("W kedge: that: 0x101 ESP_ERR_NO_MEM");
}

/* ---- facts ---- */

static void the_facts_of_a_boot_are_those_of_chip_and_otadata(void **state)
{
    (void)state;
    bench.world->next_reset = KEDGE_RESET_BROWNOUT;

    assert_int_equal(describe(), KEDGE_OK);

    assert_int_equal(facts.running_slot, 0);
    assert_int_equal(facts.boot_slot, 0);
    assert_int_equal(facts.slot_count, 2);
    assert_int_equal(facts.slot_size_bytes, 0x1B1000);
    assert_int_equal(facts.running_state, KEDGE_OTA_VALID);
    assert_int_equal(facts.target_state, (uint32_t)KEDGE_OTA_UNDEFINED);
    assert_int_equal(facts.reset_reason, KEDGE_RESET_BROWNOUT);
    assert_int_equal(facts.chip_id, KEDGE_CHIP_ESP32C3);
    assert_string_equal(facts.running.version, "1.0.0");
    assert_string_equal(facts.running.project, "bench");
    assert_true(facts.can_rollback);
    bench.world->secure_version = 3;
    assert_int_equal(describe(), KEDGE_OK);
#ifdef STUB_ANTI_ROLLBACK
    assert_int_equal(facts.min_secure_version, 3);
#else
    assert_int_equal(facts.min_secure_version, 0);
#endif
}

static void the_smaller_slot_counts_and_texts_may_fill_their_fields(void **state)
{
    (void)state;
    stub_partition("ota_1")->size = 0x100000;
    memset(bench.world->running.version, 'v', 32);

    assert_int_equal(describe(), KEDGE_OK);

    assert_int_equal(facts.slot_size_bytes, 0x100000);
    assert_int_equal(strlen(facts.running.version), 32);
}

static void where_no_record_is_active_no_slot_is_the_boot_slot(void **state)
{
    (void)state;
    assert_int_equal(sim_flash_erase(bench.world->flash, bench.world->layout.otadata.offset),
                     KEDGE_OK);

    assert_int_equal(describe(), KEDGE_OK);
    assert_int_equal(facts.boot_slot, KEDGE_NO_SLOT);
    assert_int_equal(facts.running_state, (uint32_t)KEDGE_OTA_UNDEFINED);

    assert_int_equal(restore_record(), KEDGE_OK);
    assert_int_equal(describe(), KEDGE_OK);
    assert_int_equal(facts.boot_slot, 0);
    assert_int_equal(facts.running_state, KEDGE_OTA_VALID);
    assert_int_equal(restore_record(), KEDGE_ERR_STATE);
}

static void a_record_that_cannot_be_restored_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(sim_flash_erase(bench.world->flash, bench.world->layout.otadata.offset),
                     KEDGE_OK);
    stub_fault_arm(bench.world, "esp_ota_set_boot_partition", 1, ESP_ERR_FLASH_OP_FAIL);
    assert_int_equal(restore_record(), KEDGE_ERR_IO);
    stub_fault_arm(bench.world, "esp_ota_get_running_partition", 1, 0);
    assert_int_equal(restore_record(), KEDGE_ERR_STATE);
}

static void a_factory_app_has_no_slot(void **state)
{
    (void)state;
    stub_partition("nvs")->type = ESP_PARTITION_TYPE_APP;
    stub_partition("nvs")->subtype = ESP_PARTITION_SUBTYPE_APP_FACTORY;
    bench.world->running_slot = SIM_SLOT_FACTORY;

    assert_int_equal(describe(), KEDGE_OK);

    assert_int_equal(facts.running_slot, KEDGE_NO_SLOT);
    assert_int_equal(facts.running_state, (uint32_t)KEDGE_OTA_UNDEFINED);
}

/* ---- the other slot ---- */

static void the_running_slot_and_what_is_no_slot_are_refused(void **state)
{
    uint8_t bytes[16] = {0};

    (void)state;
    assert_int_equal(port_slots.begin(&port, 0, 0), KEDGE_ERR_DENIED);
    assert_int_equal(port_slots.write(&port, 0, 0, bytes, 16), KEDGE_ERR_DENIED);
    assert_int_equal(port_slots.finish(&port, 0, 16), KEDGE_ERR_DENIED);
    assert_int_equal(port_slots.set_boot(&port, 0), KEDGE_ERR_DENIED);
    assert_int_equal(port_slots.begin(&port, 2, 0), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.read(&port, 16, 0, bytes, 1), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.read(&port, KEDGE_NO_SLOT, 0, bytes, 1), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.read(&port, 0, 0, bytes, 16), KEDGE_OK);
    assert_int_equal(bytes[0], 0xE9);
}

static void what_lies_outside_of_a_slot_is_refused(void **state)
{
    static const uint8_t data[4097];

    (void)state;
    assert_int_equal(port_slots.begin(&port, 1, 100), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.begin(&port, 1, 0x1B2000), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.write(&port, 1, 100, data, 16), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.write(&port, 1, 0, data, 0), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.write(&port, 1, 0, data, 4097), KEDGE_ERR_RANGE);
    assert_int_equal(port_slots.write(&port, 1, 0x1B1000, data, 16), KEDGE_ERR_RANGE);
}

static void an_image_is_written_by_sectors_and_its_tail_padded(void **state)
{
    uint8_t read[48];

    (void)state;
    assert_int_equal(begin(), KEDGE_OK);
    for (uint32_t at = 0; at < UPDATE_SIZE; at += 4096) {
        uint32_t len = UPDATE_SIZE - at < 4096 ? UPDATE_SIZE - at : 4096;

        assert_int_equal(port_slots.begin(&port, 1, at), KEDGE_OK);
        assert_int_equal(port_slots.write(&port, 1, at, bench.update.data + at, len), KEDGE_OK);
    }
    assert_int_equal(finish(), KEDGE_OK);
    assert_int_equal(port_slots.finish(&port, 1, UPDATE_SIZE - 16), KEDGE_ERR_MISMATCH);

    assert_int_equal(port_slots.write(&port, 1, 0x8000, "seven b", 7), KEDGE_OK);
    assert_int_equal(port_slots.read(&port, 1, 0x8000, read, sizeof read), KEDGE_OK);
    assert_memory_equal(read, "seven b", 7);
    for (size_t i = 7; i < sizeof read; i++) {
        assert_int_equal(read[i], 0xFF);
    }
}

static void flash_update(void)
{
    stub_flash_image(bench.world, 1,
                     (struct kedge_cspan){(const uint8_t *)bench.update.data, bench.update.len});
}

static uint8_t first_byte(uint32_t slot)
{
    uint8_t byte;

    assert_int_equal(port_slots.read(&port, (uint8_t)slot, 0, &byte, 1), KEDGE_OK);
    return byte;
}

static void during_a_trial_no_download_begins_or_goes_on(void **state)
{
    (void)state;
#ifdef STUB_BARE
    skip();
#endif
    flash_update();
    assert_int_equal(set_boot(), KEDGE_OK);
    assert_true(stub_bootloader(bench.world));
    assert_int_equal(bench.world->running_slot, 1);

    assert_int_equal(port_slots.begin(&port, 0, 0), KEDGE_ERR_STATE);
    assert_int_equal(port_slots.begin(&port, 0, 4096), KEDGE_ERR_STATE);
    assert_int_equal(first_byte(0), 0xE9);
    assert_int_equal(mark_valid(), KEDGE_OK);
    assert_int_equal(port_slots.begin(&port, 0, 4096), KEDGE_OK);
}

static void the_image_goes_before_its_record_and_nothing_goes_in_vain(void **state)
{
    (void)state;
    flash_update();
    stub_fault_arm(bench.world, "esp_partition_erase_range:ota_1", 1, ESP_ERR_FLASH_OP_FAIL);
    stub_fault_arm(bench.world, "esp_ota_begin", 1, ESP_ERR_NO_MEM);

    assert_int_equal(begin(), KEDGE_ERR_IO);
    assert_int_equal(bench.world->faults[1].seen, 0);
    assert_int_equal(first_byte(1), 0xE9);
    assert_int_equal(begin(), KEDGE_ERR_NO_MEMORY);
    assert_int_equal(first_byte(1), 0xFF);
    assert_int_equal(port_slots.begin(&port, 0, 0), KEDGE_ERR_DENIED);
    assert_int_equal(first_byte(0), 0xE9);
}

static void a_new_image_that_is_broken_is_not_booted(void **state)
{
    (void)state;
    flash_update();
    sim_flash_program(bench.world->flash, bench.world->layout.slots[1].offset + 8192, "broken", 6);

    assert_int_equal(finish(), KEDGE_ERR_MISMATCH);
    assert_int_equal(set_boot(), KEDGE_ERR_MISMATCH);
}

static void where_there_is_nothing_to_go_back_to_nothing_is_marked(void **state)
{
    (void)state;
    assert_int_equal(mark_invalid(), KEDGE_ERR_STATE);
    assert_int_equal(sim_flash_erase(bench.world->flash, bench.world->layout.otadata.offset),
                     KEDGE_OK);
    assert_int_equal(mark_invalid(), KEDGE_ERR_STATE);
    assert_int_equal(mark_valid(), KEDGE_ERR_STATE);
}

/* ---- the journal ---- */

static void the_journal_has_two_sectors(void **state)
{
    uint8_t bytes[16] = "0123456789abcde";

    (void)state;
    assert_int_equal(erase_store(), KEDGE_OK);
    assert_int_equal(port_store.write(&port, 8176, bytes, 16), KEDGE_OK);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(port_store.read(&port, 8176, bytes, 16), KEDGE_OK);
    assert_memory_equal(bytes, "0123456789abcde", 16);

    assert_int_equal(port_store.write(&port, 8192, bytes, 16), KEDGE_ERR_RANGE);
    assert_int_equal(port_store.read(&port, 8185, bytes, 8), KEDGE_ERR_RANGE);
    assert_int_equal(port_store.read(&port, 0, bytes, 8193), KEDGE_ERR_RANGE);
    assert_int_equal(port_store.erase(&port, 2), KEDGE_ERR_RANGE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_documented_error_becomes_what_the_agent_can_tell_apart),
        CASE(a_native_error_is_logged_with_what_failed),
        CASE(the_facts_of_a_boot_are_those_of_chip_and_otadata),
        CASE(the_smaller_slot_counts_and_texts_may_fill_their_fields),
        CASE(where_no_record_is_active_no_slot_is_the_boot_slot),
        CASE(a_record_that_cannot_be_restored_is_an_error),
        CASE(a_factory_app_has_no_slot),
        CASE(the_running_slot_and_what_is_no_slot_are_refused),
        CASE(what_lies_outside_of_a_slot_is_refused),
        CASE(an_image_is_written_by_sectors_and_its_tail_padded),
        CASE(during_a_trial_no_download_begins_or_goes_on),
        CASE(the_image_goes_before_its_record_and_nothing_goes_in_vain),
        CASE(a_new_image_that_is_broken_is_not_booted),
        CASE(where_there_is_nothing_to_go_back_to_nothing_is_marked),
        CASE(the_journal_has_two_sectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
