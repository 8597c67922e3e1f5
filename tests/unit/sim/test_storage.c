/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "sim/storage.h"

static const struct sim_region region = {.offset = 0x2000, .size = 0xC000};

struct fixture {
    struct sim_flash *flash;
    struct sim_storage storage;
};

static struct fixture fixture;

static int setup(void **state)
{
    static const struct sim_storage_file files[] = {
        {KEDGE_SETTINGS_FACTORY_FILE, {(const uint8_t *)"factory", 7}},
        {"device.json", {(const uint8_t *)"old", 3}},
        {"empty", {(const uint8_t *)"", 0}},
    };

    (void)state;
    fixture.flash = sim_flash_create(&(struct sim_flash_config){.size_bytes = 0x10000});
    sim_storage_program(fixture.flash, region, files, 3);
    return sim_storage_mount(&fixture.storage, fixture.flash, region) == KEDGE_OK ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    sim_flash_destroy(fixture.flash);
    return 0;
}

static void remount(void)
{
    sim_flash_power_on(fixture.flash);
    assert_int_equal(sim_storage_mount(&fixture.storage, fixture.flash, region), KEDGE_OK);
}

/* Content of a file as text, "-" when there is none. */
static const char *text_of(const char *name)
{
    static char text[64];
    uint32_t len = 0;
    enum kedge_err err = sim_storage_ops.read(&fixture.storage, name, text, sizeof text - 1, &len);

    if (err == KEDGE_ERR_NOT_FOUND) {
        return "-";
    }
    assert_int_equal(err, KEDGE_OK);
    text[len] = '\0';
    return text;
}

static enum kedge_err write_text(const char *name, const char *text)
{
    return sim_storage_ops.write(&fixture.storage, name, text, (uint32_t)strlen(text));
}

static void what_was_flashed_and_what_was_written_is_there_after_a_remount(void **state)
{
    (void)state;
    assert_int_equal(write_text("a", "first"), KEDGE_OK);
    assert_int_equal(write_text("a", "second"), KEDGE_OK);
    remount();
    assert_string_equal(text_of("a"), "second");
    assert_string_equal(text_of("device.json"), "old");
    assert_string_equal(text_of("empty"), "");
    assert_string_equal(text_of(KEDGE_SETTINGS_FACTORY_FILE), "factory");
    assert_string_equal(text_of("nothing"), "-");
}

static void a_rename_replaces_and_a_removed_file_is_gone(void **state)
{
    (void)state;
    assert_int_equal(write_text("new", "new"), KEDGE_OK);
    assert_int_equal(sim_storage_ops.rename(&fixture.storage, "new", "device.json"), KEDGE_OK);
    assert_int_equal(sim_storage_ops.remove(&fixture.storage, "empty"), KEDGE_OK);
    assert_int_equal(sim_storage_ops.remove(&fixture.storage, "empty"), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(sim_storage_ops.rename(&fixture.storage, "new", "x"), KEDGE_ERR_NOT_FOUND);
    remount();
    assert_string_equal(text_of("device.json"), "new");
    assert_string_equal(text_of("new"), "-");
    assert_string_equal(text_of("empty"), "-");
}

static void the_factory_file_cannot_be_changed(void **state)
{
    struct sim_storage *storage = &fixture.storage;

    (void)state;
    assert_int_equal(write_text(KEDGE_SETTINGS_FACTORY_FILE, "x"), KEDGE_ERR_DENIED);
    assert_int_equal(sim_storage_ops.remove(storage, KEDGE_SETTINGS_FACTORY_FILE),
                     KEDGE_ERR_DENIED);
    assert_int_equal(sim_storage_ops.rename(storage, "device.json", KEDGE_SETTINGS_FACTORY_FILE),
                     KEDGE_ERR_DENIED);
    assert_int_equal(sim_storage_ops.rename(storage, KEDGE_SETTINGS_FACTORY_FILE, "x"),
                     KEDGE_ERR_DENIED);
    assert_string_equal(text_of(KEDGE_SETTINGS_FACTORY_FILE), "factory");
    assert_int_equal(sim_flash_ops(fixture.flash), 0);
}

static void limits_are_errors(void **state)
{
    static const uint8_t large[SIM_STORAGE_FILE_SIZE + 1];
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    char small[2];
    uint32_t len;

    (void)state;
    assert_int_equal(sim_storage_ops.write(&fixture.storage, "large", large, sizeof large),
                     KEDGE_ERR_NO_SPACE);
    assert_int_equal(sim_storage_ops.write(&fixture.storage, "full", large, sizeof large - 1),
                     KEDGE_OK);
    assert_int_equal(
        sim_storage_ops.read(&fixture.storage, "device.json", small, sizeof small, &len),
        KEDGE_ERR_TOO_LARGE);
    assert_int_equal(write_text("12345678901234567890123456789012", "x"), KEDGE_ERR_ARG);
    assert_int_equal(write_text("a/b", "x"), KEDGE_ERR_ARG);
    assert_int_equal(write_text("", "x"), KEDGE_ERR_ARG);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(write_text(names[i], names[i]), KEDGE_OK);
    }
    assert_int_equal(write_text(names[4], names[4]), KEDGE_ERR_NO_SPACE);
    assert_string_equal(text_of("a"), "a");
}

/* The weakest that plat/storage.h allows, so that nobody relies on more. */
static void a_write_that_is_cut_can_leave_the_file_empty(void **state)
{
    (void)state;
    sim_flash_cut(fixture.flash, &(struct sim_cut){.nth = 3, .tear = SIM_TEAR_NOTHING});
    assert_int_equal(write_text("device.json", "new"), KEDGE_ERR_IO);
    assert_false(sim_storage_ops.mounted(&fixture.storage));
    assert_int_equal(write_text("device.json", "new"), KEDGE_ERR_STATE);
    remount();
    assert_string_equal(text_of("device.json"), "");
    assert_string_equal(text_of("empty"), "");
}

static void a_blank_partition_does_not_mount_and_stays_blank(void **state)
{
    uint8_t byte = 0;

    (void)state;
    sim_flash_wipe(fixture.flash);
    assert_int_equal(sim_storage_mount(&fixture.storage, fixture.flash, region),
                     KEDGE_ERR_NOT_FOUND);
    assert_false(sim_storage_ops.mounted(&fixture.storage));
    assert_int_equal(write_text("a", "a"), KEDGE_ERR_STATE);
    assert_int_equal(sim_storage_ops.remove(&fixture.storage, "a"), KEDGE_ERR_STATE);
    assert_int_equal(sim_storage_ops.rename(&fixture.storage, "a", "b"), KEDGE_ERR_STATE);
    assert_int_equal(sim_flash_ops(fixture.flash), 0);
    assert_int_equal(sim_flash_read(fixture.flash, region.offset, &byte, 1), KEDGE_OK);
    assert_int_equal(byte, 0xFF);
}

static void many_writes_use_every_sector_and_lose_nothing(void **state)
{
    char text[3] = "00";

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        text[0] = (char)('0' + i / 10);
        text[1] = (char)('0' + i % 10);
        assert_int_equal(write_text("device.json", text), KEDGE_OK);
        assert_string_equal(text_of("device.json"), text);
    }
    remount();
    assert_string_equal(text_of("device.json"), "99");
    assert_string_equal(text_of(KEDGE_SETTINGS_FACTORY_FILE), "factory");
    for (uint32_t sector = 3; sector < 12; sector++) {
        assert_int_not_equal(sim_flash_erase_count(fixture.flash, 2 + sector), 0);
    }
    assert_int_equal(sim_flash_erase_count(fixture.flash, 2 + 2), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_was_flashed_and_what_was_written_is_there_after_a_remount),
        CASE(a_rename_replaces_and_a_removed_file_is_gone),
        CASE(the_factory_file_cannot_be_changed),
        CASE(limits_are_errors),
        CASE(a_write_that_is_cut_can_leave_the_file_empty),
        CASE(a_blank_partition_does_not_mount_and_stays_blank),
        CASE(many_writes_use_every_sector_and_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
