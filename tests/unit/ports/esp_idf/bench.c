/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "esp_system.h"
#include "esp_timer.h"
#include "kedge/crypto.h"

#define BOOT_LIMIT_MS (20ull * 60u * 1000u)

struct bench bench;

static const char device_json[] = "{\"schema\": 1, \"device_id\": \"bench-1\",\n"
                                  " \"server_url\": \"https://ota.example:8443\",\n"
                                  " \"broker_host\": \"mqtt.example\"}\n";

/* ---- the application ---- */

static struct sim_firmware firmware;

static uint64_t uptime_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000u;
}

/* In the kedge task: a hang of the application's, where Kedge calls it. */
static void read_vitals(void *ctx, struct kedge_vitals *vitals)
{
    (void)ctx;
    vitals->rssi_dbm = -60;
    vitals->has_temperature = true;
    vitals->temperature_mc = 21500;
    if (uptime_ms() >= firmware.hang_at_ms) {
        stub_hang();
    }
}

static enum kedge_self_test self_test(void *ctx)
{
    (void)ctx;
    return firmware.self_test_fails ? KEDGE_SELF_TEST_FAILED : KEDGE_SELF_TEST_PASSED;
}

/* What the running image says that it does. */
static void load_firmware(void)
{
    uint8_t payload[SIM_FIRMWARE_TEXT_MAX + sizeof SIM_FIRMWARE_MAGIC];
    const esp_partition_t *slot =
        stub_partition(bench.world->running_slot == 0 ? "ota_0" : "ota_1");
    struct kedge_fault fault;

    if (esp_partition_read(slot, KEDGE_IMAGE_PREFIX_SIZE, payload, sizeof payload) != ESP_OK ||
        sim_firmware_parse((struct kedge_cspan){payload, sizeof payload}, &firmware, &fault) !=
            KEDGE_OK) {
        stub_fail("the image does not say what it does");
    }
}

static void wait_until(uint64_t at_ms)
{
    while (uptime_ms() < at_ms) {
        (void)ulTaskNotifyTake(pdTRUE, 1);
    }
}

void bench_app(void)
{
    struct sim_due due;
    esp_err_t err;

    load_firmware();
    due = sim_firmware_due(&firmware);
    bench.world->broker.is_down = firmware.no_broker || bench.broker_is_down;
    err = kedge_start(&bench.config);
    if (err != ESP_OK) {
        stub_fail("kedge_start: %x", (unsigned)err);
    }
    if (due.at_ms == SIM_NEVER || due.hangs) {
        return;
    }
    wait_until(due.at_ms);
    if (due.reason == KEDGE_RESET_SW) {
        esp_restart();
    }
    stub_panic(NULL);
}

/* ---- making and flashing ---- */

static void build(struct host_buf *image, const char *version, const char *behaviour,
                  uint32_t size_bytes)
{
    const struct sim_image_spec spec = {.version = version,
                                        .project = "bench",
                                        .chip_id = KEDGE_CHIP_ESP32C3,
                                        .secure_version = strcmp(version, "9.9.9") == 0 ? 1 : 0,
                                        .size_bytes = size_bytes,
                                        .behaviour = behaviour};
    struct kedge_fault fault;

    host_buf_init(image, 1u << 20);
    assert_int_equal(sim_firmware_build(&spec, image, &fault), KEDGE_OK);
}

void bench_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", bench.storage, name);
    if (text == NULL) {
        (void)remove(path);
        return;
    }
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static struct kedge_cspan span_of(const struct host_buf *buf)
{
    return (struct kedge_cspan){(const uint8_t *)buf->data, buf->len};
}

/* The chip and release that this variant of the port was built for. */
static void fit_world(struct stub_world *world)
{
    world->idf = STUB_IDF_MAJOR >= 6   ? SIM_IDF_6_0
                 : STUB_IDF_MINOR >= 5 ? SIM_IDF_5_5
                                       : SIM_IDF_5_3;
#ifdef STUB_ANTI_ROLLBACK
    world->bootloader.anti_rollback = true;
#endif
#ifdef STUB_BARE
    world->bootloader.rollback = false; /* flashed before Kedge came */
#endif
}

int bench_setup(void **state)
{
    (void)state;
    bench = (struct bench){.storage = "/tmp/kedge-bench-XXXXXX"};
    assert_non_null(mkdtemp(bench.storage));
    bench_file("device.json", device_json);
    bench_file("ca.pem", "CA of the bench\n");
    bench_file("device.crt", "certificate of the bench\n");
    bench_file("device.key", "key of the bench\n");
    bench.config = (struct kedge_start_config){
        .storage_path = bench.storage, .self_test = self_test, .vitals = read_vitals};
    bench.world = stub_world_create();
    fit_world(bench.world);
    build(&bench.factory, "1.0.0", "", 0);
    stub_flash_image(bench.world, 0, span_of(&bench.factory));
    return 0;
}

int bench_teardown(void **state)
{
    static const char *const names[] = {"device.json", "device.json.new", "factory.json", "ca.pem",
                                        "device.crt",  "device.key",      "other",        "folder"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", bench.storage, names[i]);
        (void)chmod(path, 0700);
        (void)remove(path);
    }
    (void)rmdir(bench.storage);
    host_buf_free(&bench.factory);
    host_buf_free(&bench.update);
    stub_world_destroy(bench.world);
    return 0;
}

void bench_offer(const char *version, const char *behaviour, uint32_t size_bytes)
{
    struct stub_release *release = &bench.world->server.release;

    host_buf_free(&bench.update);
    build(&bench.update, version, behaviour, size_bytes);
    release->file = span_of(&bench.update);
    release->version = version;
    kedge_sha256_of(release->file.data, release->file.len, release->sha256);
}

/* ---- running ---- */

static void show(const struct stub_world *world)
{
    uint32_t first = world->log_count > 60 ? world->log_count - 60 : 0;

    for (uint32_t i = first; i < world->log_count; i++) {
        print_message("    %s\n", world->log[i % STUB_LOG_LINES]);
    }
    print_message("boot %u, slot %d, %llu ms, end %d: %s\n", world->boots, world->running_slot,
                  (unsigned long long)(world->now_us / 1000u), world->end, world->message);
}

void bench_boot(enum stub_end expected, uint64_t limit_ms,
                bool (*until)(const struct stub_world *world))
{
    enum stub_end end = stub_boot(bench.world, bench_app, limit_ms, until);

    if (end != expected) {
        show(bench.world);
    }
    assert_int_equal(end, expected);
}

void bench_live(uint32_t boots_max, bool (*until)(const struct stub_world *world))
{
    enum stub_end end = STUB_TIME_IS_UP;

    for (uint32_t i = 0; i < boots_max && end != STUB_STOPPED; i++) {
        end = stub_boot(bench.world, bench_app, BOOT_LIMIT_MS, until);
        if (end == STUB_FAILED || end == STUB_DEADLOCK || end == STUB_NO_BOOT) {
            break;
        }
    }
    if (end != STUB_STOPPED) {
        show(bench.world);
    }
    assert_int_equal(end, STUB_STOPPED);
}

/* Of what the server offers now. */
static bool has_report(const struct stub_world *world, enum kedge_report_state state)
{
    for (uint32_t i = 0; i < world->server.report_count; i++) {
        const struct kedge_report *report = &world->server.reports[i];

        if (report->state == state && strcmp(report->to, world->server.release.version) == 0) {
            return true;
        }
    }
    return false;
}

bool bench_committed(const struct stub_world *world)
{
    return has_report(world, KEDGE_REPORT_COMMITTED);
}

bool bench_rolled_back(const struct stub_world *world)
{
    return has_report(world, KEDGE_REPORT_ROLLED_BACK);
}

bool bench_rejected(const struct stub_world *world)
{
    return has_report(world, KEDGE_REPORT_REJECTED);
}

bool bench_polled(const struct stub_world *world)
{
    const struct stub_request *poll = stub_request_find(world, BENCH_POLL, 1);

    return poll != NULL && poll->status != 0;
}

/* ---- looking ---- */

void bench_expect_reports(const char *expected)
{
    char found[512] = "";
    size_t len = 0;

    for (uint32_t i = 0; i < bench.world->server.report_count; i++) {
        const struct kedge_report *report = &bench.world->server.reports[i];

        len += (size_t)snprintf(&found[len], sizeof found - len, "%s%s %s", i > 0 ? ", " : "",
                                kedge_report_state_text(report->state),
                                kedge_cause_text(report->cause));
    }
    assert_string_equal(found, expected);
}

void bench_expect_log(const char *text)
{
    if (stub_log_find(bench.world, text) == NULL) {
        show(bench.world);
        fail_msg("not in the log: %s", text);
    }
}

const struct stub_message *bench_message(const char *topic)
{
    const struct stub_broker *broker = &bench.world->broker;

    for (uint32_t i = broker->message_count; i > 0 && broker->message_count - i < STUB_MESSAGES;
         i--) {
        const struct stub_message *message = &broker->messages[(i - 1) % STUB_MESSAGES];

        if (strcmp(message->topic, topic) == 0) {
            return message;
        }
    }
    return NULL;
}

const struct stub_request *bench_request(const char *path, uint32_t nth)
{
    const struct stub_request *request = stub_request_find(bench.world, path, nth);

    if (request == NULL) {
        show(bench.world);
        fail_msg("no request %u to %s", nth, path);
    }
    return request;
}
