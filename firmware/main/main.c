/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "firmware.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nvs_flash.h"

#define LOOP_MS      1000u
#define STALL_MS     10000u
#define KEEP_EVERY_S 60u

/* When the application's own loop last came round, in ms since boot. */
static atomic_uint_least32_t s_alive_ms;

static uint32_t uptime_ms(void)
{
    return (uint32_t)(esp_timer_get_time() / 1000);
}

/* Does the application work? Yours will know better: sensors answer, the motor is in its place. */
static enum kedge_self_test self_test(void *ctx)
{
    (void)ctx;
    return uptime_ms() - atomic_load(&s_alive_ms) < STALL_MS ? KEDGE_SELF_TEST_PASSED
                                                             : KEDGE_SELF_TEST_PENDING;
}

/* Does a restart do no harm now? */
static bool may_update(void *ctx, const struct kedge_offer *offer)
{
    (void)ctx;
    ESP_LOGI(FIRMWARE_TAG, "offer %s, %u bytes", offer->version, (unsigned)offer->size_bytes);
    return true;
}

/* Erased for nothing in the world: it may hold the only copy of the Wi-Fi password. */
static void start_nvs(void)
{
    esp_err_t err = nvs_flash_init();

    if (err != ESP_OK) {
        ESP_LOGE(FIRMWARE_TAG, "nvs %s: going on without it", esp_err_to_name(err));
    }
}

static void start_network(void)
{
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    esp_err_t err = network_start();

    if (err != ESP_OK) {
        ESP_LOGE(FIRMWARE_TAG, "network %s", esp_err_to_name(err));
        return;
    }
    clock_start_sntp();
}

void app_main(void)
{
    const struct kedge_start_config config = {
        .storage_path = storage_mount(),
        .self_test = self_test,
        .may_update = may_update,
        .vitals = vitals_fill,
    };

    /* From here a hang is a reset, and a reset of an image on trial its end. */
    ESP_ERROR_CHECK(esp_task_wdt_add(NULL));
    start_nvs();
    clock_begin();
    start_network();
    ESP_ERROR_CHECK(kedge_start(&config));
    for (uint32_t round = 0;; round++) {
        atomic_store(&s_alive_ms, uptime_ms());
        (void)esp_task_wdt_reset();
        if (round % KEEP_EVERY_S == 0) {
            clock_keep();
        }
        fault_commit();
        vTaskDelay(pdMS_TO_TICKS(LOOP_MS));
    }
}
