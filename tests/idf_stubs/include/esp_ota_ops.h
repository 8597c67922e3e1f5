/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"
#include "esp_idf_version.h"
#include "esp_partition.h"
#include "sdkconfig.h"

#define ESP_ERR_OTA_PARTITION_CONFLICT     0x1501
#define ESP_ERR_OTA_SELECT_INFO_INVALID    0x1502
#define ESP_ERR_OTA_VALIDATE_FAILED        0x1503
#define ESP_ERR_OTA_SMALL_SEC_VER          0x1504
#define ESP_ERR_OTA_ROLLBACK_FAILED        0x1505
#define ESP_ERR_OTA_ROLLBACK_INVALID_STATE 0x1506

#define OTA_WITH_SEQUENTIAL_WRITES 0xFFFFFFFEu

typedef uint32_t esp_ota_handle_t;

typedef enum {
    ESP_OTA_IMG_NEW = 0,
    ESP_OTA_IMG_PENDING_VERIFY = 1,
    ESP_OTA_IMG_VALID = 2,
    ESP_OTA_IMG_INVALID = 3,
    ESP_OTA_IMG_ABORTED = 4,
    ESP_OTA_IMG_UNDEFINED = 0xFFFFFFFFU
} esp_ota_img_states_t;

esp_err_t esp_ota_begin(const esp_partition_t *partition, size_t image_size,
                        esp_ota_handle_t *out_handle);
esp_err_t esp_ota_abort(esp_ota_handle_t handle);
esp_err_t esp_ota_set_boot_partition(const esp_partition_t *partition);
const esp_partition_t *esp_ota_get_running_partition(void);
esp_err_t esp_ota_get_state_partition(const esp_partition_t *partition,
                                      esp_ota_img_states_t *ota_state);
uint8_t esp_ota_get_app_partition_count(void);
esp_err_t esp_ota_mark_app_valid_cancel_rollback(void);
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 2, 0)
esp_err_t esp_ota_mark_app_invalid_rollback(void);
#endif
esp_err_t esp_ota_mark_app_invalid_rollback_and_reboot(void);
