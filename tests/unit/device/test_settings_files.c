/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "kedge/settings_files.h"

/* A storage in RAM that keeps a list of what is asked of it, and fails on request. */
#define FILES 4u

struct disk {
    bool mounted;
    struct {
        char name[KEDGE_STORAGE_NAME_SIZE];
        char bytes[1u << 16];
        uint32_t len;
    } files[FILES];
    const char *fails; /* the call that fails, and on what file: "read device.json" */
    enum kedge_err error;
    bool corrupts; /* what is written is not what will be read */
    char calls[512];
};

static struct disk disk;
static struct kedge_settings_files files;
static struct kedge_settings defaults;
static struct kedge_settings settings;
static struct kedge_settings_report report;
static struct kedge_settings_faults faults;

static enum kedge_err called(const char *call, const char *name)
{
    char line[80];
    size_t len = strlen(disk.calls);

    snprintf(line, sizeof line, "%s %s", call, name);
    snprintf(disk.calls + len, sizeof disk.calls - len, "%s%s", len > 0 ? "; " : "", line);
    if (!disk.mounted) {
        return KEDGE_ERR_STATE;
    }
    return disk.fails != NULL && strcmp(disk.fails, line) == 0 ? disk.error : KEDGE_OK;
}

static int find(const char *name)
{
    for (int i = 0; i < (int)FILES; i++) {
        if (strcmp(disk.files[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static void put(const char *name, const void *bytes, size_t len)
{
    int i = find(name) >= 0 ? find(name) : find("");

    assert_in_range(i, 0, FILES - 1);
    snprintf(disk.files[i].name, sizeof disk.files[i].name, "%s", name);
    memcpy(disk.files[i].bytes, bytes, len);
    disk.files[i].len = (uint32_t)len;
}

static bool disk_mounted(void *ctx)
{
    (void)ctx;
    return disk.mounted;
}

static enum kedge_err disk_read(void *ctx, const char *name, void *out, uint32_t size,
                                uint32_t *len)
{
    enum kedge_err err = called("read", name);
    int i = find(name);

    (void)ctx;
    if (err != KEDGE_OK) {
        return err;
    }
    if (i < 0) {
        return KEDGE_ERR_NOT_FOUND;
    }
    if (disk.files[i].len > size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    memcpy(out, disk.files[i].bytes, disk.files[i].len);
    *len = disk.files[i].len;
    return KEDGE_OK;
}

static enum kedge_err disk_write(void *ctx, const char *name, const void *data, uint32_t len)
{
    enum kedge_err err = called("write", name);

    (void)ctx;
    put(name, data, err == KEDGE_OK ? len : len / 2);
    if (disk.corrupts) {
        disk.files[find(name)].bytes[len / 2] ^= 1;
    }
    return err;
}

static enum kedge_err disk_rename(void *ctx, const char *from, const char *to)
{
    enum kedge_err err = called("rename", from);
    int i = find(from);

    (void)ctx;
    if (err == KEDGE_OK && i >= 0) {
        if (find(to) >= 0) {
            disk.files[find(to)].name[0] = '\0';
        }
        snprintf(disk.files[i].name, sizeof disk.files[i].name, "%s", to);
    }
    return err;
}

static enum kedge_err disk_remove(void *ctx, const char *name)
{
    enum kedge_err err = called("remove", name);
    int i = find(name);

    (void)ctx;
    if (err == KEDGE_OK && i < 0) {
        return KEDGE_ERR_NOT_FOUND;
    }
    if (err == KEDGE_OK) {
        disk.files[i].name[0] = '\0';
    }
    return err;
}

static const struct kedge_plat_storage disk_ops = {disk_mounted, disk_read, disk_write, disk_rename,
                                                   disk_remove};

static int setup(void **state)
{
    (void)state;
    memset(&disk, 0, sizeof disk);
    disk.mounted = true;
    files = (struct kedge_settings_files){.ops = &disk_ops};
    kedge_settings_defaults(&defaults);
    memcpy(defaults.device_id, "built-in", 9);
    memcpy(defaults.server_url, "https://built-in.example", 25);
    memcpy(defaults.broker_host, "built-in.example", 17);
    return 0;
}

#define VALID(id) "{\"schema\":1,\"device_id\":\"" id "\"}"
#define NEW_LEFT  VALID("unfinished")

static void put_text(const char *name, const char *text)
{
    if (text != NULL) {
        put(name, text, strlen(text));
    }
}

/* The loading rule: what is on the storage, and what comes of it. NULL = no such file. */
static const struct {
    const char *device, *factory, *leftover;
    const char *id;
    enum kedge_config_source source;
    enum kedge_err device_err, factory_err;
    bool factory_tried;
    bool storage_ok;
} rules[] = {
    {VALID("d"), VALID("f"), NULL, "d", KEDGE_CONFIG_DEVICE, KEDGE_OK, KEDGE_OK, false, true},
    {VALID("d"), NULL, NULL, "d", KEDGE_CONFIG_DEVICE, KEDGE_OK, KEDGE_OK, false, true},
    {VALID("d"), "broken", NEW_LEFT, "d", KEDGE_CONFIG_DEVICE, KEDGE_OK, KEDGE_OK, false, true},
    {NULL, VALID("f"), NULL, "f", KEDGE_CONFIG_FACTORY, KEDGE_ERR_NOT_FOUND, KEDGE_OK, true, true},
    {NULL, VALID("f"), NEW_LEFT, "f", KEDGE_CONFIG_FACTORY, KEDGE_ERR_NOT_FOUND, KEDGE_OK, true,
     true},
    {"", VALID("f"), NULL, "f", KEDGE_CONFIG_FACTORY, KEDGE_ERR_SYNTAX, KEDGE_OK, true, false},
    {"{\"schema\":2}", VALID("f"), NULL, "f", KEDGE_CONFIG_FACTORY, KEDGE_ERR_VERSION, KEDGE_OK,
     true, false},
    {"{\"schema\":1,\"devise_id\":\"d\"}", VALID("f"), NULL, "f", KEDGE_CONFIG_FACTORY,
     KEDGE_ERR_UNSUPPORTED, KEDGE_OK, true, false},
    {"{\"schema\":1,\"broker_port\":0}", "{\"schema\":1,", NULL, "built-in", KEDGE_CONFIG_SAFE_MODE,
     KEDGE_ERR_RANGE, KEDGE_ERR_SYNTAX, true, false},
    {NULL, NULL, NULL, "built-in", KEDGE_CONFIG_SAFE_MODE, KEDGE_ERR_NOT_FOUND, KEDGE_ERR_NOT_FOUND,
     true, false},
    {NULL, NULL, NEW_LEFT, "built-in", KEDGE_CONFIG_SAFE_MODE, KEDGE_ERR_NOT_FOUND,
     KEDGE_ERR_NOT_FOUND, true, false},
};

static void the_first_file_that_is_valid_counts(void **state)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        print_message("    rule %zu\n", i);
        setup(state);
        put_text(KEDGE_SETTINGS_FILE, rules[i].device);
        put_text(KEDGE_SETTINGS_FACTORY_FILE, rules[i].factory);
        put_text(KEDGE_SETTINGS_NEW_FILE, rules[i].leftover);

        assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
        assert_string_equal(settings.device_id, rules[i].id);
        assert_int_equal(report.source, rules[i].source);
        assert_true(report.mounted);
        assert_int_equal(report.interrupted, rules[i].leftover != NULL);
        assert_int_equal(find(KEDGE_SETTINGS_NEW_FILE), -1);
        assert_true(report.files[KEDGE_SETTINGS_IN_DEVICE].tried);
        assert_int_equal(report.files[KEDGE_SETTINGS_IN_DEVICE].err, rules[i].device_err);
        assert_int_equal(report.files[KEDGE_SETTINGS_IN_DEVICE].faults.count > 0,
                         rules[i].device_err != KEDGE_OK);
        assert_int_equal(report.files[KEDGE_SETTINGS_IN_FACTORY].tried, rules[i].factory_tried);
        assert_int_equal(report.files[KEDGE_SETTINGS_IN_FACTORY].err, rules[i].factory_err);
        assert_int_equal(kedge_settings_storage_ok(&report), rules[i].storage_ok);
        assert_null(strstr(disk.calls, "write"));
        assert_null(strstr(disk.calls, "rename"));
        assert_null(strstr(disk.calls, "remove factory"));
        assert_null(strstr(disk.calls, "read device.json.new"));
    }
}

static void settings_that_the_unread_half_of_a_file_has_are_not_mixed(void **state)
{
    (void)state;
    put_text(KEDGE_SETTINGS_FILE, "{\"schema\":1,\"device_id\":\"half\",\"broker_port\":0}");
    put_text(KEDGE_SETTINGS_FACTORY_FILE, "{\"schema\":1,\"broker_port\":7}");

    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    assert_string_equal(settings.device_id, "built-in");
    assert_int_equal(settings.broker_port, 7);
}

static void a_file_of_64_kib_is_refused_and_the_factory_copy_serves(void **state)
{
    static char large[1u << 16];

    (void)state;
    memset(large, ' ', sizeof large);
    put(KEDGE_SETTINGS_FILE, large, sizeof large);
    put_text(KEDGE_SETTINGS_FACTORY_FILE, VALID("f"));

    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    assert_int_equal(report.files[0].err, KEDGE_ERR_TOO_LARGE);
    assert_string_equal(report.files[0].faults.list[0].what, kedge_err_text(KEDGE_ERR_TOO_LARGE));
    assert_string_equal(settings.device_id, "f");
}

static void a_file_that_cannot_be_read_is_not_the_end(void **state)
{
    (void)state;
    put_text(KEDGE_SETTINGS_FILE, VALID("d"));
    put_text(KEDGE_SETTINGS_FACTORY_FILE, VALID("f"));
    disk.fails = "read device.json";
    disk.error = KEDGE_ERR_IO;

    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    assert_int_equal(report.source, KEDGE_CONFIG_FACTORY);
    assert_int_equal(report.files[0].err, KEDGE_ERR_IO);
    assert_false(kedge_settings_storage_ok(&report));
}

static void a_leftover_that_cannot_be_removed_does_no_harm(void **state)
{
    (void)state;
    put_text(KEDGE_SETTINGS_FILE, VALID("d"));
    put_text(KEDGE_SETTINGS_NEW_FILE, NEW_LEFT);
    disk.fails = "remove device.json.new";
    disk.error = KEDGE_ERR_IO;

    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    assert_string_equal(settings.device_id, "d");
    assert_false(report.interrupted);
    assert_true(kedge_settings_storage_ok(&report));
}

static void a_storage_that_does_not_mount_is_left_alone(void **state)
{
    (void)state;
    put_text(KEDGE_SETTINGS_FILE, VALID("d"));
    disk.mounted = false;

    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    assert_int_equal(report.source, KEDGE_CONFIG_SAFE_MODE);
    assert_false(report.mounted);
    assert_false(report.files[0].tried);
    assert_memory_equal(&settings, &defaults, sizeof settings);
    assert_false(kedge_settings_storage_ok(&report));
    assert_int_equal(kedge_settings_store(&files, &settings, &faults), KEDGE_ERR_STATE);
    assert_string_equal(disk.calls, "");
}

static void defaults_that_could_not_run_a_device_are_refused(void **state)
{
    (void)state;
    put_text(KEDGE_SETTINGS_FILE, VALID("d"));
    defaults.server_url[0] = '\0';
    settings.device_id[0] = '?';

    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_ERR_ARG);
    assert_string_equal(report.files[0].faults.list[0].member, "server_url");
    assert_int_equal(settings.device_id[0], '?');
}

static void a_replace_is_written_beside_read_back_and_renamed(void **state)
{
    (void)state;
    put_text(KEDGE_SETTINGS_FILE, VALID("old"));
    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    settings.poll_interval_s = 600;
    disk.calls[0] = '\0';

    assert_int_equal(kedge_settings_store(&files, &settings, &faults), KEDGE_OK);
    assert_string_equal(disk.calls,
                        "write device.json.new; read device.json.new; rename device.json.new");
    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    assert_string_equal(settings.device_id, "old");
    assert_int_equal(settings.poll_interval_s, 600);
    assert_int_equal(report.source, KEDGE_CONFIG_DEVICE);
    assert_false(report.interrupted);
}

static void settings_that_are_wrong_never_reach_the_storage(void **state)
{
    (void)state;
    settings = defaults;
    settings.poll_interval_s = 1;

    assert_int_equal(kedge_settings_store(&files, &settings, &faults), KEDGE_ERR_RANGE);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].member, "poll_interval_s");
    assert_string_equal(disk.calls, "");
}

/* Each way in which a replace can fail short of a power cut. */
static const struct {
    const char *fails;
    enum kedge_err error;
    bool corrupts;
} failures[] = {
    {"write device.json.new", KEDGE_ERR_NO_SPACE, false},
    {"write device.json.new", KEDGE_ERR_IO, false},
    {"read device.json.new", KEDGE_ERR_IO, false},
    {NULL, KEDGE_ERR_MISMATCH, true},
    {"rename device.json.new", KEDGE_ERR_IO, false},
};

static void a_replace_that_fails_leaves_the_old_file_and_nothing_beside(void **state)
{
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        setup(state);
        put_text(KEDGE_SETTINGS_FILE, VALID("old"));
        disk.fails = failures[i].fails;
        disk.error = failures[i].error;
        disk.corrupts = failures[i].corrupts;

        assert_int_equal(kedge_settings_store(&files, &defaults, &faults), failures[i].error);
        assert_int_equal(faults.count, 0);
        assert_int_equal(find(KEDGE_SETTINGS_NEW_FILE), -1);
        disk.fails = NULL;
        assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
        assert_string_equal(settings.device_id, "old");
    }
}

/* ---- the agent in safe mode ---- */

static int setup_agent(void **state)
{
    struct fake *fake = calloc(1, sizeof *fake);

    setup(state);
    if (fake == NULL) {
        return 1;
    }
    fake_init(fake);
    *state = fake;
    return 0;
}

static int teardown_agent(void **state)
{
    free(*state);
    return 0;
}

/* What ports/TEMPLATE.c does with what load has found. */
static void start(struct fake *fake)
{
    assert_int_equal(kedge_settings_load(&files, &defaults, &settings, &report), KEDGE_OK);
    kedge_settings_config(&settings, &fake->config);
    fake->vitals.storage_ok = kedge_settings_storage_ok(&report);
    fake->vitals.config_source = report.source;
}

static void in_safe_mode_the_agent_polls_and_says_so(void **state)
{
    struct fake *fake = *state;

    disk.mounted = false;
    start(fake);
    fake_boot(fake);
    fake_connect(fake);

    assert_true(fake_wait_request(fake, "/ota/firmware.bin"));
    assert_string_equal(fake_header(fake, "X-Device-ID"), "built-in");
    fake_status(fake, 304);
    for (int i = 0; i < 200 && strstr(fake->published, "{") == NULL; i++) {
        fake_tick(fake, 1000);
    }
    assert_non_null(strstr(fake->published, "\"device_id\":\"built-in\""));
    assert_non_null(strstr(fake->published, "\"config\":\"safe_mode\""));
}

/* Download an image and put it on trial with everything but the storage in order; true when it is
 * confirmed. */
static bool update_is_confirmed(struct fake *fake)
{
    static uint8_t image[FAKE_SLOT_SIZE];
    uint32_t size = fake_image("1.1.0", "test", KEDGE_CHIP_ESP32, 20000, image, sizeof image);
    struct kedge_report last;

    fake_boot(fake);
    fake_connect(fake);
    fake_download(fake, image, size, "1.1.0");
    assert_int_equal(fake_take_reports(fake, &last), 1);
    assert_int_equal(last.state, KEDGE_REPORT_VERIFIED);
    fake_reset(fake, KEDGE_RESET_SW);
    assert_int_equal(kedge_agent_state(&fake->agent), KEDGE_STATE_TRIAL);
    fake_connect(fake);
    for (int i = 0;
         i < 400 && !fake->reboot_wanted && kedge_agent_state(&fake->agent) == KEDGE_STATE_TRIAL;
         i++) {
        struct kedge_event acked = {.kind = KEDGE_EVENT_MQTT_ACKED, .token = fake->token};

        fake_event(fake, &acked);
        if (fake->http_open) {
            fake_status(fake, 304);
        }
        fake_tick(fake, 1000);
    }
    return fake->slots[1].state == (uint32_t)KEDGE_OTA_VALID;
}

static void an_image_that_refuses_the_device_json_is_not_confirmed(void **state)
{
    struct fake *fake = *state;

    put_text(KEDGE_SETTINGS_FILE, "{\"schema\":2}");
    put_text(KEDGE_SETTINGS_FACTORY_FILE, VALID("f"));
    start(fake);

    assert_int_equal(fake->vitals.config_source, KEDGE_CONFIG_FACTORY);
    assert_false(update_is_confirmed(fake));
    assert_int_equal(fake->agent.journal.data.cause, KEDGE_CAUSE_STORAGE);
}

static void an_image_that_takes_the_device_json_is_confirmed(void **state)
{
    struct fake *fake = *state;

    put_text(KEDGE_SETTINGS_FILE, VALID("d"));
    start(fake);

    assert_true(update_is_confirmed(fake));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_file_that_is_valid_counts, setup),
        cmocka_unit_test_setup(settings_that_the_unread_half_of_a_file_has_are_not_mixed, setup),
        cmocka_unit_test_setup(a_file_of_64_kib_is_refused_and_the_factory_copy_serves, setup),
        cmocka_unit_test_setup(a_file_that_cannot_be_read_is_not_the_end, setup),
        cmocka_unit_test_setup(a_leftover_that_cannot_be_removed_does_no_harm, setup),
        cmocka_unit_test_setup(a_storage_that_does_not_mount_is_left_alone, setup),
        cmocka_unit_test_setup(defaults_that_could_not_run_a_device_are_refused, setup),
        cmocka_unit_test_setup(a_replace_is_written_beside_read_back_and_renamed, setup),
        cmocka_unit_test_setup(settings_that_are_wrong_never_reach_the_storage, setup),
        cmocka_unit_test_setup(a_replace_that_fails_leaves_the_old_file_and_nothing_beside, setup),
        cmocka_unit_test_setup_teardown(in_safe_mode_the_agent_polls_and_says_so, setup_agent,
                                        teardown_agent),
        cmocka_unit_test_setup_teardown(an_image_that_refuses_the_device_json_is_not_confirmed,
                                        setup_agent, teardown_agent),
        cmocka_unit_test_setup_teardown(an_image_that_takes_the_device_json_is_confirmed,
                                        setup_agent, teardown_agent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
