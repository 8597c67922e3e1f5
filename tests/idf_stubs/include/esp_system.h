/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

typedef enum {
    ESP_RST_UNKNOWN = 0,
    ESP_RST_POWERON = 1,
    ESP_RST_SW = 3,
    ESP_RST_PANIC = 4,
    ESP_RST_TASK_WDT = 6,
    ESP_RST_BROWNOUT = 9
} esp_reset_reason_t;

esp_reset_reason_t esp_reset_reason(void);
__attribute__((noreturn)) void esp_restart(void);
