/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bench.h"
#include "esp_app_desc.h"
#include "esp_http_client.h"
#include "esp_image_format.h"
#include "esp_ota_ops.h"
#include "esp_partition.h"
#include "esp_timer.h"
#include "kedge/bytes.h"
#include "mbedtls/md.h"
#include "sdkconfig.h"

/*
 * An update as the agent makes it, without the switch: HTTPS into 4 KiB sectors of the inactive
 * slot, SHA-256 of what is in flash, ESP-IDF's own check. What the slot held is lost.
 */
#define SECTOR       4096u
#define WRITE_ALIGN  16u
#define TIMEOUT_MS   30000
#define RECEIVE_SIZE 2048
#define SHA_TEXT     64u

struct job {
    const esp_partition_t *slot;
    esp_http_client_handle_t client;
    char expected[SHA_TEXT + 1]; /* X-Firmware-SHA256; "" = the server sent none */
    uint32_t size;
    int64_t network_us, flash_us, hash_us, verify_us;
};

static uint8_t s_sector[SECTOR];

static esp_err_t on_client_event(esp_http_client_event_t *event)
{
    struct job *job = event->user_data;

    if (event->event_id == HTTP_EVENT_ON_HEADER &&
        strcasecmp(event->header_key, "X-Firmware-SHA256") == 0) {
        (void)snprintf(job->expected, sizeof job->expected, "%s", event->header_value);
    }
    return ESP_OK;
}

static esp_http_client_handle_t open_client(const struct identity *me, struct job *job)
{
    char url[256];

    (void)snprintf(url, sizeof url, "%s/ota/firmware.bin", me->settings.server_url);
    const esp_http_client_config_t config = {
        .url = CONFIG_BENCH_OTA_URL[0] != '\0' ? CONFIG_BENCH_OTA_URL : url,
        .cert_pem = me->ca,
        .client_cert_pem = me->certificate,
        .client_key_pem = me->key,
        .timeout_ms = TIMEOUT_MS,
        .event_handler = on_client_event,
        .buffer_size = RECEIVE_SIZE,
        .user_data = job,
    };
    esp_http_client_handle_t client = esp_http_client_init(&config);

    if (client != NULL) {
        (void)esp_http_client_set_header(client, "X-Device-ID", me->settings.device_id);
        (void)esp_http_client_set_header(client, "X-Current-Version",
                                         esp_app_get_description()->version);
        (void)esp_http_client_set_header(client, "X-Chip", CONFIG_IDF_TARGET);
        (void)esp_http_client_set_header(client, "X-Boot-Caps", "rollback");
    }
    return client;
}

/* What is wrong, or NULL. */
static const char *send_request(struct job *job)
{
    int64_t size;

    if (esp_http_client_open(job->client, 0) != ESP_OK) {
        return "no connection";
    }
    size = esp_http_client_fetch_headers(job->client);
    if (esp_http_client_get_status_code(job->client) == 304) {
        return "the server offers this device nothing (304): docs/benchmarks.md";
    }
    if (esp_http_client_get_status_code(job->client) != 200) {
        return "the server's answer is not 200";
    }
    if (size <= 0 || size > (int64_t)job->slot->size) {
        return "no Content-Length, or larger than the slot";
    }
    job->size = (uint32_t)size;
    return NULL;
}

/* The next bytes of the body; false = it ended early. */
static bool receive(struct job *job, uint32_t len)
{
    uint32_t got = 0;
    int64_t begin = esp_timer_get_time();

    while (got < len) {
        int now = esp_http_client_read(job->client, (char *)&s_sector[got], (int)(len - got));

        if (now <= 0) {
            return false;
        }
        got += (uint32_t)now;
    }
    job->network_us += esp_timer_get_time() - begin;
    return true;
}

static bool write_sector(struct job *job, uint32_t offset, uint32_t len)
{
    uint32_t padded = (len + WRITE_ALIGN - 1u) / WRITE_ALIGN * WRITE_ALIGN;
    int64_t begin = esp_timer_get_time();
    bool is_written;

    memset(&s_sector[len], 0xFF, padded - len);
    is_written = esp_partition_erase_range(job->slot, offset, SECTOR) == ESP_OK &&
                 esp_partition_write(job->slot, offset, s_sector, padded) == ESP_OK;
    job->flash_us += esp_timer_get_time() - begin;
    return is_written;
}

static const char *receive_image(struct job *job)
{
    for (uint32_t offset = 0; offset < job->size; offset += SECTOR) {
        uint32_t left = job->size - offset;
        uint32_t len = left < SECTOR ? left : SECTOR;

        if (!receive(job, len)) {
            return "the connection broke";
        }
        if (!write_sector(job, offset, len)) {
            return "the flash did not take it";
        }
    }
    return NULL;
}

static bool hash_slot(const struct job *job, uint8_t *digest)
{
    mbedtls_md_context_t md;
    bool is_good;

    mbedtls_md_init(&md);
    is_good = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) == 0 &&
              mbedtls_md_starts(&md) == 0;
    for (uint32_t offset = 0; is_good && offset < job->size; offset += SECTOR) {
        uint32_t left = job->size - offset;
        uint32_t len = left < SECTOR ? left : SECTOR;

        is_good = esp_partition_read(job->slot, offset, s_sector, len) == ESP_OK &&
                  mbedtls_md_update(&md, s_sector, len) == 0;
    }
    is_good = is_good && mbedtls_md_finish(&md, digest) == 0;
    mbedtls_md_free(&md);
    return is_good;
}

static const char *check_hash(struct job *job)
{
    uint8_t digest[32];
    char text[SHA_TEXT + 1];
    int64_t begin = esp_timer_get_time();

    if (!hash_slot(job, digest)) {
        return "the slot cannot be hashed";
    }
    job->hash_us = esp_timer_get_time() - begin;
    kedge_hex_encode(digest, sizeof digest, text);
    return job->expected[0] != '\0' && strcmp(text, job->expected) != 0
               ? "what is in flash is not what the server named"
               : NULL;
}

static const char *check_image(struct job *job)
{
    const esp_partition_pos_t at = {.offset = job->slot->address, .size = job->slot->size};
    esp_image_metadata_t found = {0};
    int64_t begin = esp_timer_get_time();

    if (esp_image_verify(ESP_IMAGE_VERIFY, &at, &found) != ESP_OK) {
        return "it is not an image that this chip would boot";
    }
    job->verify_us = esp_timer_get_time() - begin;
    return NULL;
}

static const char *update(const struct identity *me, struct job *job)
{
    const char *fault;
    int64_t begin;
    esp_ota_img_states_t state;

    job->slot = esp_ota_get_next_update_partition(NULL);
    if (job->slot == NULL) {
        return "no second slot";
    }
    if (esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) == ESP_OK &&
        state == ESP_OTA_IMG_PENDING_VERIFY) {
        return "this image is on trial: the other slot is its way back";
    }
    job->client = open_client(me, job);
    if (job->client == NULL) {
        return "no memory for the client";
    }
    begin = esp_timer_get_time();
    fault = send_request(job);
    job->network_us = esp_timer_get_time() - begin;
    if (fault == NULL) {
        fault = receive_image(job);
    }
    (void)esp_http_client_cleanup(job->client);
    if (fault == NULL) {
        fault = check_hash(job);
    }
    return fault != NULL ? fault : check_image(job);
}

static uint32_t tenths_of_ms(int64_t us)
{
    return (uint32_t)(us / 100);
}

void download_run(const struct identity *me)
{
    static struct job job;
    const char *fault = update(me, &job);

    if (fault != NULL) {
        report_skipped("ota_bytes_per_s", fault);
        return;
    }
    int64_t total_us = job.network_us + job.flash_us + job.hash_us + job.verify_us;

    report_count("ota_bytes", job.size, "size of the image");
    report_tenths("ota_network_ms", tenths_of_ms(job.network_us),
                  "TLS handshake, request, every read; one run");
    report_tenths("ota_flash_ms", tenths_of_ms(job.flash_us),
                  "erase and write of 4 KiB at a time; one run");
    report_tenths("ota_sha256_ms", tenths_of_ms(job.hash_us), "read back and hashed; one run");
    report_tenths("ota_image_verify_ms", tenths_of_ms(job.verify_us), "esp_image_verify; one run");
    report_count("ota_bytes_per_s", (uint32_t)((int64_t)job.size * 1000000 / total_us),
                 "over all four, which do not overlap");
    report_tenths("ota_1mb_s", (uint32_t)(total_us * 10 / (int64_t)job.size),
                  "the same for 1,000,000 bytes, in seconds");
}
