/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Power is cut at every flash operation of a configuration replace, torn at every byte, and once
 * more during the boot and the replace after it. Whatever happens, the device finds the old
 * configuration or a new one, what was acknowledged stays, and nothing else on the partition
 * changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kedge/settings_files.h"
#include "sim/storage.h"

#define FLASH_SIZE 0x400000u
#define JSON_MAX   KEDGE_SETTINGS_FILE_MAX

#define LONGEST_WRITE 640u

/* poll_interval_s tells the versions apart. */
enum version {
    BUILT_IN = 60,
    FACTORY = 77,
    OLD = 100,
    FIRST = 200, /* a shorter file than OLD */
    SECOND = 30000
};

/* One life, as it is named when it goes wrong. */
struct life {
    bool encrypted;
    bool unconfigured; /* there is no device.json yet */
    struct sim_cut first, second;
    enum kedge_err (*replace)(struct kedge_settings_files *files,
                              const struct kedge_settings *settings,
                              struct kedge_settings_faults *faults);
};

struct device {
    struct sim_flash *flash;
    struct sim_storage storage;
    struct kedge_settings_files files;
    struct kedge_settings settings;
    struct kedge_settings_report report;
};

/* What came of a life. */
struct outcome {
    bool struck_first, struck_second;
    uint32_t version; /* found at the last boot */
    enum kedge_config_source source;
};

static struct sim_region region;
static struct kedge_settings built_in;
static char factory_json[JSON_MAX], old_json[JSON_MAX], ca_pem[1200];

static struct kedge_settings settings_of(uint32_t version)
{
    struct kedge_settings settings = built_in;

    settings.poll_interval_s = version;
    if (version == OLD) {
        memset(settings.project, 'p', sizeof settings.project - 1);
    }
    return settings;
}

static void encode(uint32_t version, char *json)
{
    struct kedge_settings settings = settings_of(version);
    size_t len;

    assert_int_equal(kedge_settings_encode(&settings, KEDGE_SETTINGS_ALL, json, JSON_MAX, &len),
                     KEDGE_OK);
}

static int setup(void **state)
{
    uint8_t table[KEDGE_PARTITION_TABLE_SIZE];
    struct sim_flash *flash =
        sim_flash_create(&(struct sim_flash_config){.size_bytes = FLASH_SIZE});
    struct sim_layout layout;

    (void)state;
    sim_layout_production_table(table);
    sim_flash_program(flash, SIM_TABLE_OFFSET, table, sizeof table);
    assert_int_equal(sim_layout_read(flash, &layout), KEDGE_OK);
    region = layout.storage;
    sim_flash_destroy(flash);
    assert_int_equal(region.size, 0x5F000);

    kedge_settings_defaults(&built_in);
    memcpy(built_in.device_id, "unit-1", 7);
    memcpy(built_in.server_url, "https://ota.example", 20);
    memcpy(built_in.broker_host, "mqtt.example", 13);
    encode(FACTORY, factory_json);
    encode(OLD, old_json);
    assert_true(strlen(old_json) < LONGEST_WRITE);
    memset(ca_pem, 'C', sizeof ca_pem - 1);
    return 0;
}

static struct kedge_cspan span(const char *text)
{
    return (struct kedge_cspan){(const uint8_t *)text, strlen(text)};
}

static void begin_life(struct device *device, const struct life *life)
{
    const struct sim_storage_file files[] = {{KEDGE_SETTINGS_FACTORY_FILE, span(factory_json)},
                                             {"ca.pem", span(ca_pem)},
                                             {KEDGE_SETTINGS_FILE, span(old_json)}};
    struct sim_flash_config config = {.size_bytes = FLASH_SIZE,
                                      .encrypted = life->encrypted,
                                      .seed = life->first.nth * 31u + life->second.nth};

    memset(device, 0, sizeof *device);
    device->flash = sim_flash_create(&config);
    device->files = (struct kedge_settings_files){.ops = &sim_storage_ops, .ctx = &device->storage};
    sim_storage_program(device->flash, region, files, life->unconfigured ? 2 : 3);
}

static void fail_life(const struct life *life, const char *what, uint32_t number)
{
    fail_msg("%s (%u): life %s%s first %u.%d.%u second %u.%d.%u", what, number,
             life->encrypted ? "encrypted" : "plain", life->unconfigured ? " unconfigured" : "",
             (unsigned)life->first.nth, (int)life->first.tear, life->first.detail,
             (unsigned)life->second.nth, (int)life->second.tear, life->second.detail);
}

/* Power on, mount, load. A cut that is armed afterwards may strike load's own writes. */
static void boot(struct device *device, const struct life *life, const struct sim_cut *cut)
{
    sim_flash_power_on(device->flash);
    if (cut != NULL) {
        sim_flash_cut(device->flash, cut);
    }
    enum kedge_err err = sim_storage_mount(&device->storage, device->flash, region);
    if (err != KEDGE_OK) {
        fail_life(life, "does not mount", (uint32_t)-err);
    }
    assert_int_equal(
        kedge_settings_load(&device->files, &built_in, &device->settings, &device->report),
        KEDGE_OK);
}

/* Replace the configuration; true when it was acknowledged. */
static bool replace(struct device *device, const struct life *life, uint32_t version)
{
    struct kedge_settings settings = settings_of(version);
    struct kedge_settings_faults faults;
    enum kedge_err err = life->replace(&device->files, &settings, &faults);

    if (err != KEDGE_OK && sim_flash_has_power(device->flash)) {
        fail_life(life, "a replace fails with the power on", (uint32_t)-err);
    }
    return err == KEDGE_OK;
}

/* A file holds these bytes and its sector was never touched. */
static void assert_file(struct device *device, const struct life *life, const char *name,
                        const char *text, uint32_t sector)
{
    uint8_t bytes[SIM_STORAGE_FILE_SIZE];
    uint32_t len = 0;

    if (sim_storage_ops.read(&device->storage, name, bytes, sizeof bytes, &len) != KEDGE_OK ||
        len != strlen(text) || memcmp(bytes, text, len) != 0) {
        fail_life(life, name, len);
    }
    if (sim_flash_erase_count(device->flash, region.offset / SIM_FLASH_SECTOR_SIZE + sector) != 0) {
        fail_life(life, "the sector of another file was erased", sector);
    }
}

/* No code path erases the partition, or anything beside it. */
static void assert_not_formatted(struct device *device, const struct life *life)
{
    uint32_t first = region.offset / SIM_FLASH_SECTOR_SIZE;
    uint32_t count = region.size / SIM_FLASH_SECTOR_SIZE;
    uint32_t erased = 0;

    for (uint32_t i = 0; i < FLASH_SIZE / SIM_FLASH_SECTOR_SIZE; i++) {
        bool is_ours = i >= first && i < first + count;

        if (sim_flash_erase_count(device->flash, i) != 0) {
            erased++;
            if (!is_ours) {
                fail_life(life, "a sector outside the partition was erased", i);
            }
        }
    }
    if (erased > 6) { /* two of the directory, and one for each file that is written */
        fail_life(life, "too many sectors were erased", erased);
    }
}

/* The settings are all of one version, not a mixture. */
static uint32_t version_found(const struct device *device, const struct life *life)
{
    char found[JSON_MAX];
    char expected[JSON_MAX];
    size_t len;

    assert_int_equal(
        kedge_settings_encode(&device->settings, KEDGE_SETTINGS_ALL, found, sizeof found, &len),
        KEDGE_OK);
    encode(device->settings.poll_interval_s, expected);
    if (strcmp(found, expected) != 0) {
        fail_life(life, "a mixture of versions", device->settings.poll_interval_s);
    }
    return device->settings.poll_interval_s;
}

static struct outcome live(const struct life *life)
{
    struct device device;
    struct outcome outcome = {0};
    uint32_t acknowledged = life->unconfigured ? FACTORY : OLD;

    begin_life(&device, life);
    assert_int_equal(sim_storage_mount(&device.storage, device.flash, region), KEDGE_OK);
    sim_flash_cut(device.flash, &life->first);
    if (replace(&device, life, FIRST)) {
        acknowledged = FIRST;
    }
    outcome.struck_first = !sim_flash_has_power(device.flash);
    if (life->second.nth != 0) {
        boot(&device, life, &life->second);
        if (replace(&device, life, SECOND)) {
            acknowledged = SECOND;
        }
        outcome.struck_second = !sim_flash_has_power(device.flash);
    }
    boot(&device, life, NULL);
    outcome.version = version_found(&device, life);
    outcome.source = device.report.source;

    bool was_struck = outcome.struck_first || outcome.struck_second;
    if (!was_struck && outcome.version != acknowledged) {
        fail_life(life, "not what was acknowledged", outcome.version);
    }
    if (acknowledged == SECOND && outcome.version != SECOND) {
        fail_life(life, "an acknowledged replace was lost", outcome.version);
    }
    assert_file(&device, life, KEDGE_SETTINGS_FACTORY_FILE, factory_json, 2);
    assert_file(&device, life, "ca.pem", ca_pem, 3);
    assert_not_formatted(&device, life);
    if (sim_storage_ops.remove(&device.storage, KEDGE_SETTINGS_NEW_FILE) != KEDGE_ERR_NOT_FOUND) {
        fail_life(life, "a leftover outlived a boot", 0);
    }
    sim_flash_destroy(device.flash);
    return outcome;
}

/* Old or new, never neither. */
static bool is_allowed(const struct life *life, const struct outcome *outcome)
{
    bool is_new = outcome->version == FIRST || outcome->version == SECOND;

    if (life->unconfigured && outcome->version == FACTORY) {
        return outcome->source == KEDGE_CONFIG_FACTORY;
    }
    return outcome->source == KEDGE_CONFIG_DEVICE &&
           (is_new || (!life->unconfigured && outcome->version == OLD));
}

static struct outcome live_well(const struct life *life)
{
    struct outcome outcome = live(life);

    if (!is_allowed(life, &outcome)) {
        fail_life(life, "neither old nor new", outcome.version);
    }
    return outcome;
}

static uint32_t ops_of_a_replace(const struct life *life)
{
    struct life whole = *life;

    for (whole.first.nth = 1; live_well(&whole).struck_first; whole.first.nth++) {
    }
    return (uint32_t)whole.first.nth - 1u;
}

/* Details to try: each byte of the longest write, and bits in steps that come to every position
 * within a byte. */
static const struct {
    enum sim_tear tear;
    uint32_t step, end;
} tears[] = {
    {SIM_TEAR_NOTHING, 1, 1},
    {SIM_TEAR_COMPLETE, 1, 1},
    {SIM_TEAR_SEEDED, 1, 16},
    {SIM_TEAR_BYTES, 1, LONGEST_WRITE},
    {SIM_TEAR_BITS, 61, LONGEST_WRITE * 8},
    {SIM_TEAR_PAGES, 1, 16},
    {SIM_TEAR_NOISE, 1, 16},
};

_Static_assert(sizeof tears / sizeof tears[0] == SIM_TEAR_COUNT, "every way to tear");

static void for_each_device(void (*sweep)(struct life life))
{
    for (unsigned i = 0; i < 4; i++) {
        sweep((struct life){.encrypted = (i & 1u) != 0,
                            .unconfigured = (i & 2u) != 0,
                            .replace = kedge_settings_store});
    }
}

static void sweep_single_cuts(struct life life)
{
    uint32_t ops = ops_of_a_replace(&life);
    uint32_t lives = 0;
    bool seen_old = false;
    bool seen_new = false;

    assert_in_range(ops, 6, 12);
    for (uint32_t op = 1; op <= ops; op++) {
        for (size_t t = 0; t < SIM_TEAR_COUNT; t++) {
            for (uint32_t detail = 0; detail < tears[t].end; detail += tears[t].step) {
                life.first = (struct sim_cut){op, tears[t].tear, detail};
                struct outcome outcome = live_well(&life);

                assert_true(outcome.struck_first);
                seen_new = seen_new || outcome.version == FIRST;
                seen_old = seen_old || outcome.version != FIRST;
                lives++;
            }
        }
    }
    assert_true(seen_old && seen_new);
    print_message("    %u lives with one cut in %u operations\n", lives, ops);
}

static void one_cut_leaves_the_old_configuration_or_the_new(void **state)
{
    (void)state;
    for_each_device(sweep_single_cuts);
}

static uint32_t sweep_second_cut(struct life *life)
{
    uint32_t lives = 0;

    for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
        bool is_struck = true;

        for (uint64_t op = 1; is_struck; op++) {
            life->second = (struct sim_cut){op, (enum sim_tear)tear, (uint32_t)(op * 37 % 512)};
            is_struck = live_well(life).struck_second;
            lives++;
        }
    }
    life->second = (struct sim_cut){0};
    return lives;
}

static void sweep_pairs(struct life life)
{
    uint32_t ops = ops_of_a_replace(&life);
    uint32_t lives = 0;

    for (uint32_t op = 1; op <= ops; op++) {
        for (int tear = 0; tear < SIM_TEAR_COUNT; tear++) {
            life.first = (struct sim_cut){op, (enum sim_tear)tear, op * 53 % 512};
            lives += sweep_second_cut(&life);
        }
    }
    print_message("    %u lives with two cuts\n", lives);
}

static void a_second_cut_during_recovery_leaves_the_old_or_a_new_one(void **state)
{
    (void)state;
    for_each_device(sweep_pairs);
}

/* ---- the sweep can bite ---- */

static enum kedge_err write_over(struct kedge_settings_files *files,
                                 const struct kedge_settings *settings,
                                 struct kedge_settings_faults *faults)
{
    size_t len;
    enum kedge_err err = kedge_settings_encode(settings, KEDGE_SETTINGS_ALL, (char *)files->scratch,
                                               sizeof files->scratch, &len);

    faults->count = 0;
    return err != KEDGE_OK
               ? err
               : files->ops->write(files->ctx, KEDGE_SETTINGS_FILE, files->scratch, (uint32_t)len);
}

static enum kedge_err remove_then_rename(struct kedge_settings_files *files,
                                         const struct kedge_settings *settings,
                                         struct kedge_settings_faults *faults)
{
    size_t len;
    enum kedge_err err = kedge_settings_encode(settings, KEDGE_SETTINGS_ALL, (char *)files->scratch,
                                               sizeof files->scratch, &len);

    faults->count = 0;
    if (err == KEDGE_OK) {
        err = files->ops->write(files->ctx, KEDGE_SETTINGS_NEW_FILE, files->scratch, (uint32_t)len);
    }
    if (err == KEDGE_OK) {
        err = files->ops->remove(files->ctx, KEDGE_SETTINGS_FILE);
    }
    return err != KEDGE_OK
               ? err
               : files->ops->rename(files->ctx, KEDGE_SETTINGS_NEW_FILE, KEDGE_SETTINGS_FILE);
}

static uint32_t lives_lost(struct life life)
{
    uint32_t lost = 0;
    bool is_struck = true;

    for (uint64_t op = 1; is_struck; op++) {
        life.first = (struct sim_cut){op, SIM_TEAR_NOTHING, 0};
        struct outcome outcome = live(&life);

        is_struck = outcome.struck_first;
        lost += !is_allowed(&life, &outcome);
    }
    return lost;
}

static void a_replace_in_place_and_one_that_removes_first_are_caught(void **state)
{
    (void)state;
    assert_int_not_equal(lives_lost((struct life){.replace = write_over}), 0);
    assert_int_not_equal(lives_lost((struct life){.replace = remove_then_rename}), 0);
    assert_int_equal(lives_lost((struct life){.replace = kedge_settings_store}), 0);
}

/* ---- a partition that does not mount ---- */

static void a_partition_that_does_not_mount_is_left_as_it_is(void **state)
{
    struct life life = {.replace = kedge_settings_store};
    uint8_t noise[SIM_FLASH_SECTOR_SIZE];
    uint8_t after[SIM_FLASH_SECTOR_SIZE];
    struct kedge_settings_faults faults;
    struct device device;

    (void)state;
    begin_life(&device, &life);
    memset(noise, 0x5A, sizeof noise);
    sim_flash_program(device.flash, region.offset, noise, sizeof noise);
    sim_flash_program(device.flash, region.offset + SIM_FLASH_SECTOR_SIZE, noise, sizeof noise);

    assert_int_equal(sim_storage_mount(&device.storage, device.flash, region), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(
        kedge_settings_load(&device.files, &built_in, &device.settings, &device.report), KEDGE_OK);
    assert_int_equal(device.report.source, KEDGE_CONFIG_SAFE_MODE);
    assert_int_equal(version_found(&device, &life), BUILT_IN);
    assert_false(kedge_settings_storage_ok(&device.report));
    assert_int_equal(kedge_settings_store(&device.files, &built_in, &faults), KEDGE_ERR_STATE);

    assert_int_equal(sim_flash_ops(device.flash), 0);
    assert_int_equal(sim_flash_read(device.flash, region.offset, after, sizeof after), KEDGE_OK);
    assert_memory_equal(after, noise, sizeof noise);
    sim_flash_destroy(device.flash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_cut_leaves_the_old_configuration_or_the_new),
        cmocka_unit_test(a_second_cut_during_recovery_leaves_the_old_or_a_new_one),
        cmocka_unit_test(a_replace_in_place_and_one_that_removes_first_are_caught),
        cmocka_unit_test(a_partition_that_does_not_mount_is_left_as_it_is),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
