/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "bench.h"
#include "esp_app_desc.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "kedge/message.h"
#include "kedge/otadata.h"
#include "mqtt_client.h"
#include "sdkconfig.h"

/* A telemetry message of the agent's kind, QoS 1: from the call to the broker's PUBACK, one at a
 * time. kedged has no part in it. */
#define RUNS       CONFIG_BENCH_PUBLISHES
#define CONNECT_MS 20000
#define PUBACK_MS  10000

/* Written by esp-mqtt's task before it notifies us. */
static TaskHandle_t s_waiter;
static int64_t s_acked_us;

static void on_event(void *arg, esp_event_base_t base, int32_t id, void *data)
{
    (void)arg;
    (void)base;
    (void)data;
    if (id == MQTT_EVENT_CONNECTED || id == MQTT_EVENT_PUBLISHED) {
        s_acked_us = esp_timer_get_time();
        xTaskNotifyGive(s_waiter);
    }
}

static bool wait_for_event(uint32_t timeout_ms)
{
    return ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS(timeout_ms)) != 0;
}

static esp_mqtt_client_handle_t start_client(const struct identity *me)
{
    char uri[160];

    (void)snprintf(uri, sizeof uri, "mqtts://%s:%" PRIu32, me->settings.broker_host,
                   me->settings.broker_port);
    const esp_mqtt_client_config_t config = {
        .broker.address.uri = uri,
        .broker.verification.certificate = me->ca,
        .credentials.client_id = me->settings.device_id,
        .credentials.authentication.certificate = me->certificate,
        .credentials.authentication.key = me->key,
        .task.stack_size = CONFIG_KEDGE_MQTT_STACK,
        .task.priority = CONFIG_KEDGE_PRIORITY,
    };
    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&config); /* copies the URI */

    if (client != NULL &&
        (esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_event, NULL) != ESP_OK ||
         esp_mqtt_client_start(client) != ESP_OK)) {
        (void)esp_mqtt_client_destroy(client);
        return NULL;
    }
    return client;
}

static bool encode(const struct identity *me, uint32_t seq, uint32_t boot_id, char *out,
                   size_t *len)
{
    struct kedge_telemetry telemetry = {
        .uptime_s = (uint32_t)(esp_timer_get_time() / 1000000),
        .free_heap_bytes = 123456,
        .min_free_heap_bytes = 123456,
        .largest_block_bytes = 65536,
        .rssi_dbm = -60,
        .reset_reason = KEDGE_RESET_POWERON,
        .chip_id = CONFIG_IDF_FIRMWARE_CHIP_ID,
        .ota_state = KEDGE_OTA_VALID,
        .boot_id = boot_id,
        .seq = seq,
    };

    (void)snprintf(telemetry.device_id, sizeof telemetry.device_id, "%s", me->settings.device_id);
    (void)snprintf(telemetry.firmware, sizeof telemetry.firmware, "%s",
                   esp_app_get_description()->version);
    return kedge_telemetry_encode(&telemetry, out, KEDGE_MESSAGE_MAX, len) == KEDGE_OK;
}

/* Messages acknowledged. */
static size_t publish_often(const struct identity *me, esp_mqtt_client_handle_t client,
                            uint32_t *samples_us, size_t *len)
{
    static char payload[KEDGE_MESSAGE_MAX];
    char topic[96];
    uint32_t boot_id = esp_random();
    size_t done = 0;

    (void)snprintf(topic, sizeof topic, "devices/%s/telemetry", me->settings.device_id);
    while (done < RUNS && encode(me, (uint32_t)done, boot_id, payload, len)) {
        int64_t begin = esp_timer_get_time();

        if (esp_mqtt_client_publish(client, topic, payload, (int)*len, 1, 0) < 0 ||
            !wait_for_event(PUBACK_MS)) {
            break;
        }
        samples_us[done++] = (uint32_t)(s_acked_us - begin);
    }
    return done;
}

void publish_run(const struct identity *me)
{
    static uint32_t samples_us[RUNS];
    char note[96];
    size_t len = 0;

    s_waiter = xTaskGetCurrentTaskHandle();
    esp_mqtt_client_handle_t client = start_client(me);

    if (client == NULL || !wait_for_event(CONNECT_MS)) {
        report_skipped("mqtt_puback_median_ms", "no connection to the broker of device.json");
    } else if (publish_often(me, client, samples_us, &len) < RUNS) {
        report_skipped("mqtt_puback_median_ms", "a message was not acknowledged");
    } else {
        (void)snprintf(note, sizeof note, "QoS 1, %u bytes over TLS, %d messages", (unsigned)len,
                       RUNS);
        report_tenths("mqtt_puback_median_ms", report_median(samples_us, RUNS) / 100u, note);
        report_tenths("mqtt_puback_p95_ms", report_p95(samples_us, RUNS) / 100u, note);
    }
    if (client != NULL) {
        (void)esp_mqtt_client_destroy(client);
    }
}
