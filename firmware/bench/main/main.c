/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bench.h"
#include "board.h"
#include "esp_chip_info.h"
#include "esp_event.h"
#include "esp_heap_caps.h"
#include "esp_idf_version.h"
#include "esp_netif.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "kedge_esp/start.h"
#include "nvs_flash.h"
#include "sdkconfig.h"

#define ADDRESS_WAIT_S 60u
#define SAMPLE_MS      250u
#define RUN_STACK      10240u
#define HEAP_CAPS      (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT)

/* ---- the chip ---- */

static void report_chip(void)
{
    esp_chip_info_t chip;
    char revision[16];

    esp_chip_info(&chip);
    (void)snprintf(revision, sizeof revision, "v%u.%u", chip.revision / 100u, chip.revision % 100u);
    report_text("chip", CONFIG_IDF_TARGET);
    report_text("revision", revision);
    report_text("idf", IDF_VER);
    report_count("cpu_mhz", CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ, "");
    report_text("flash_clock", CONFIG_ESPTOOLPY_FLASHFREQ);
#ifdef CONFIG_KEDGE_NET_OPENETH
    report_text("where", "emulator: no time in here means anything");
#else
    report_text("where", "chip");
#endif
}

/* ---- memory ---- */

struct heap {
    uint32_t free, largest;
};

static struct heap heap_now(void)
{
    return (struct heap){.free = (uint32_t)heap_caps_get_free_size(HEAP_CAPS),
                         .largest = (uint32_t)heap_caps_get_largest_free_block(HEAP_CAPS)};
}

static void report_stack(const char *name, const char *task)
{
    TaskHandle_t handle = xTaskGetHandle(task);

    if (handle == NULL) {
        report_skipped(name, "there is no such task");
        return;
    }
    report_count(name, (uint32_t)uxTaskGetStackHighWaterMark(handle),
                 "bytes of its stack never used");
}

/* ---- the agent at work ---- */

static bool never(void *ctx, const struct kedge_offer *offer)
{
    (void)ctx;
    (void)offer;
    return false; /* it would replace the bench */
}

/* Polls, connects to the broker and sends telemetry; each connection stays open for a while. */
static void run_agent(void)
{
    const struct kedge_start_config config = {.storage_path = BOARD_STORAGE_PATH,
                                              .may_update = never};
    struct heap lowest = heap_now();

    if (kedge_start(&config) != ESP_OK) {
        report_skipped("heap_agent_free", "kedge_start failed");
        return;
    }
    for (uint32_t ms = 0; ms < CONFIG_BENCH_AGENT_S * 1000u; ms += SAMPLE_MS) {
        struct heap now = heap_now();

        lowest.free = now.free < lowest.free ? now.free : lowest.free;
        lowest.largest = now.largest < lowest.largest ? now.largest : lowest.largest;
        vTaskDelay(pdMS_TO_TICKS(SAMPLE_MS));
    }
    report_count("heap_agent_free", lowest.free, "lowest seen: poll, MQTT and telemetry over TLS");
    report_count("heap_agent_largest", lowest.largest, "smallest largest free block seen");
    report_stack("stack_kedge_free", "kedge");
    report_stack("stack_kedge_http_free", "kedge_http");
    report_stack("stack_mqtt_free", "mqtt_task");
    report_stack("stack_main_free", "main");
}

/* ---- the rest ---- */

static bool start_network(void)
{
    if (esp_netif_init() != ESP_OK || esp_event_loop_create_default() != ESP_OK ||
        network_start() != ESP_OK) {
        return false;
    }
    clock_start_sntp();
    for (uint32_t s = 0; s < ADDRESS_WAIT_S; s++) {
        esp_netif_t *netif = esp_netif_get_default_netif();
        esp_netif_ip_info_t info;

        if (netif != NULL && esp_netif_get_ip_info(netif, &info) == ESP_OK && info.ip.addr != 0) {
            return true;
        }
        vTaskDelay(pdMS_TO_TICKS(1000));
    }
    return false;
}

/* In a task of its own: main keeps the stack that it has in a firmware. */
static void run_rows(void *arg)
{
    TaskHandle_t main_task = arg;
    static struct identity me;

    hash_run();
    if (identity_load(&me)) {
        handshake_run(&me);
        publish_run(&me);
        download_run(&me);
    }
    xTaskNotifyGive(main_task);
    vTaskDelete(NULL);
}

void app_main(void)
{
    struct heap idle;

    report_chip();
    (void)storage_mount();
    (void)nvs_flash_init();
    clock_begin();
    report_text("network", start_network() ? "up" : "down: the rows that need it will be skipped");
    idle = heap_now();
    report_count("heap_idle_free", idle.free, "network up, no connection, no agent");
    report_count("heap_idle_largest", idle.largest, "largest free block, then");
    if (xTaskCreate(run_rows, "bench", RUN_STACK, xTaskGetCurrentTaskHandle(), 1, NULL) == pdPASS) {
        (void)ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    }
    run_agent();
    report_count("heap_min_ever", (uint32_t)heap_caps_get_minimum_free_size(HEAP_CAPS),
                 "lowest since boot, all rows included");
    report_table();
}
