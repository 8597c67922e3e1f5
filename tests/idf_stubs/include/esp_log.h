/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

typedef enum {
    ESP_LOG_NONE,
    ESP_LOG_ERROR,
    ESP_LOG_WARN,
    ESP_LOG_INFO,
    ESP_LOG_DEBUG,
    ESP_LOG_VERBOSE
} esp_log_level_t;

__attribute__((format(printf, 3, 4))) void esp_log_write(esp_log_level_t level, const char *tag,
                                                         const char *format, ...);
void esp_log_level_set(const char *tag, esp_log_level_t level);

#define ESP_LOG_LEVEL(level, tag, ...) esp_log_write(level, tag, __VA_ARGS__)
#define ESP_LOGE(tag, ...)             esp_log_write(ESP_LOG_ERROR, tag, __VA_ARGS__)
#define ESP_LOGW(tag, ...)             esp_log_write(ESP_LOG_WARN, tag, __VA_ARGS__)
#define ESP_LOGI(tag, ...)             esp_log_write(ESP_LOG_INFO, tag, __VA_ARGS__)
