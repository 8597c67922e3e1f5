/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "esp_log.h"
#include "esp_netif_sntp.h"
#include "board.h"
#include "mbedtls/x509_crt.h"
#include "nvs.h"

/*
 * A chip without a battery starts in 1970, where every certificate lies in the future and TLS fails
 * (CONFIG_MBEDTLS_HAVE_TIME_DATE). The floor is a time that is certainly past: late enough for the
 * first connection, and put right by SNTP soon after.
 */
#define FLOOR_KEY    "time_floor"
#define DAY_S        86400
#define KEEP_AFTER_S DAY_S /* one NVS write a day */
#define CERTIFICATE  BOARD_STORAGE_PATH "/device.crt"
#define PEM_SIZE     4096u

static atomic_bool s_is_synced; /* by SNTP, since boot */

static time_t read_kept_floor(void)
{
    nvs_handle_t nvs;
    uint32_t floor = 0;

    if (nvs_open(BOARD_NVS_NAMESPACE, NVS_READONLY, &nvs) != ESP_OK) {
        return 0;
    }
    if (nvs_get_u32(nvs, FLOOR_KEY, &floor) != ESP_OK) {
        floor = 0;
    }
    nvs_close(nvs);
    return (time_t)floor;
}

static void write_floor(time_t floor)
{
    nvs_handle_t nvs;
    esp_err_t err = nvs_open(BOARD_NVS_NAMESPACE, NVS_READWRITE, &nvs);

    if (err == ESP_OK) {
        err = nvs_set_u32(nvs, FLOOR_KEY, (uint32_t)floor);
        if (err == ESP_OK) {
            err = nvs_commit(nvs);
        }
        nvs_close(nvs);
    }
    if (err != ESP_OK) {
        ESP_LOGW(BOARD_TAG, "time floor %s", esp_err_to_name(err));
    }
}

/* Days since 1970 of a date of the Gregorian calendar, from 1970 on. Not every libc has timegm. */
static int64_t days_since_1970(int year, int month, int day)
{
    static const int before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t years = year - 1970;
    int leap_days = (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 - 477;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return years * 365 + leap_days + before_month[month - 1] + (is_leap && month > 2 ? 1 : 0) +
           day - 1;
}

static time_t issued_at(const mbedtls_x509_time *from)
{
    if (from->year < 1970 || from->mon < 1 || from->mon > 12) {
        return 0;
    }
    return (time_t)(days_since_1970(from->year, from->mon, from->day) * DAY_S + from->hour * 3600 +
                    from->min * 60 + from->sec);
}

static size_t read_certificate(char *pem, size_t size)
{
    FILE *file = fopen(CERTIFICATE, "rb");
    size_t len = 0;

    if (file != NULL) {
        len = fread(pem, 1, size - 1u, file);
        (void)fclose(file);
    }
    pem[len] = '\0';
    return len;
}

/* A device is given its certificate before it is switched on: that moment is past. */
static time_t read_certificate_floor(void)
{
    mbedtls_x509_crt crt;
    char *pem = malloc(PEM_SIZE);
    time_t floor = 0;

    if (pem == NULL) {
        return 0;
    }
    size_t len = read_certificate(pem, PEM_SIZE);

    mbedtls_x509_crt_init(&crt);
    if (len > 0 && mbedtls_x509_crt_parse(&crt, (const unsigned char *)pem, len + 1u) == 0) {
        floor = issued_at(&crt.valid_from);
    }
    mbedtls_x509_crt_free(&crt);
    free(pem);
    return floor;
}

void clock_begin(void)
{
    time_t kept = read_kept_floor(), issued = read_certificate_floor();
    const struct timeval floor = {.tv_sec = kept > issued ? kept : issued};

    if (time(NULL) < floor.tv_sec) {
        (void)settimeofday(&floor, NULL);
        ESP_LOGI(BOARD_TAG, "clock floor %lld", (long long)floor.tv_sec);
    }
}

/* In lwIP's task. */
static void on_synced(struct timeval *now)
{
    (void)now;
    atomic_store(&s_is_synced, true);
}

void clock_start_sntp(void)
{
    esp_sntp_config_t config = ESP_NETIF_SNTP_DEFAULT_CONFIG(CONFIG_FIRMWARE_SNTP_SERVER);

    config.sync_cb = on_synced;
    esp_err_t err = esp_netif_sntp_init(&config);

    if (err != ESP_OK) {
        ESP_LOGW(BOARD_TAG, "sntp %s", esp_err_to_name(err));
    }
}

int64_t clock_now_s(void)
{
    return atomic_load(&s_is_synced) ? (int64_t)time(NULL) : 0;
}

void clock_keep(void)
{
    int64_t now = clock_now_s();

    if (now - (int64_t)read_kept_floor() > KEEP_AFTER_S) {
        write_floor((time_t)now);
    }
}
