/* SPDX-License-Identifier: Apache-2.0 */
#include "sdkconfig.h"

#ifdef CONFIG_KEDGE_NET_WIFI

#include <stdio.h>
#include <string.h>

#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_timer.h"
#include "esp_wifi.h"
#include "board.h"
#include "nvs.h"

/* A Wi-Fi station that tries for ever, at longer and longer intervals. */
#define RETRY_BASE_US 500000u
#define RETRY_CAP_US  30000000u

static esp_timer_handle_t s_retry;
static uint64_t s_retry_us = RETRY_BASE_US;

static void on_retry(void *arg)
{
    (void)arg;
    (void)esp_wifi_connect();
}

static void on_disconnected(void)
{
    (void)esp_timer_stop(s_retry);
    (void)esp_timer_start_once(s_retry, s_retry_us);
    s_retry_us = 2u * s_retry_us < RETRY_CAP_US ? 2u * s_retry_us : RETRY_CAP_US;
}

static void on_wifi(void *arg, esp_event_base_t base, int32_t id, void *data)
{
    (void)arg;
    (void)base;
    (void)data;
    if (id == WIFI_EVENT_STA_START) {
        (void)esp_wifi_connect();
    } else if (id == WIFI_EVENT_STA_DISCONNECTED) {
        on_disconnected();
    } else if (id == WIFI_EVENT_STA_CONNECTED) {
        s_retry_us = RETRY_BASE_US;
    }
}

/* The text of a key into out of size bytes, "" where there is none. */
static void read_key(nvs_handle_t nvs, const char *key, char *out, size_t size)
{
    if (nvs_get_str(nvs, key, out, &size) != ESP_OK) {
        out[0] = '\0';
    }
}

struct credentials {
    char ssid[33], password[65];
};

/* Both from NVS, else both from menuconfig: the password of one network is not the other's. */
static struct credentials read_credentials(void)
{
    struct credentials found = {0};
    nvs_handle_t nvs;

    if (nvs_open(BOARD_NVS_NAMESPACE, NVS_READONLY, &nvs) == ESP_OK) {
        read_key(nvs, "wifi_ssid", found.ssid, sizeof found.ssid);
        read_key(nvs, "wifi_pass", found.password, sizeof found.password);
        nvs_close(nvs);
    }
    if (found.ssid[0] == '\0') {
        (void)snprintf(found.ssid, sizeof found.ssid, "%s", CONFIG_FIRMWARE_WIFI_SSID);
        (void)snprintf(found.password, sizeof found.password, "%s", CONFIG_FIRMWARE_WIFI_PASSWORD);
    }
    return found;
}

/* An SSID of 32 characters, or a key of 64, has no NUL in the driver's field. Without a password
 * the network is an open one, which the driver joins only if told that it may. */
static esp_err_t set_credentials(void)
{
    const struct credentials found = read_credentials();
    wifi_config_t config = {0};

    memcpy(config.sta.ssid, found.ssid, sizeof config.sta.ssid);
    memcpy(config.sta.password, found.password, sizeof config.sta.password);
    config.sta.threshold.authmode = found.password[0] == '\0' ? WIFI_AUTH_OPEN : WIFI_AUTH_WPA2_PSK;
    if (found.ssid[0] == '\0') {
        ESP_LOGE(BOARD_TAG, "no Wi-Fi SSID: flash the nvs.bin of `kedge device provision`");
    }
    return esp_wifi_set_config(WIFI_IF_STA, &config);
}

static esp_err_t start_station(void)
{
    const wifi_init_config_t init = WIFI_INIT_CONFIG_DEFAULT();
    const esp_timer_create_args_t timer = {.callback = on_retry, .name = "wifi_retry"};
    esp_err_t err = esp_timer_create(&timer, &s_retry);

    if (err == ESP_OK) {
        err = esp_wifi_init(&init);
    }
    if (err == ESP_OK) {
        err =
            esp_event_handler_instance_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_wifi, NULL, NULL);
    }
    return err == ESP_OK ? esp_wifi_set_storage(WIFI_STORAGE_RAM) : err;
}

esp_err_t network_start(void)
{
    esp_err_t err;

    if (esp_netif_create_default_wifi_sta() == NULL) {
        return ESP_ERR_NO_MEM;
    }
    err = start_station();
    if (err == ESP_OK) {
        err = esp_wifi_set_mode(WIFI_MODE_STA);
    }
    if (err == ESP_OK) {
        err = set_credentials();
    }
    return err == ESP_OK ? esp_wifi_start() : err;
}

bool network_rssi(int8_t *dbm)
{
    wifi_ap_record_t ap;

    if (esp_wifi_sta_get_ap_info(&ap) != ESP_OK) {
        return false;
    }
    *dbm = ap.rssi;
    return true;
}

#endif
