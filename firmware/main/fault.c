/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "esp_log.h"
#include "esp_timer.h"
#include "firmware.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#define FAULT_AFTER_US 5000000

/* Each as a real mistake would end: nothing here knows of updates. */
void fault_commit(void)
{
    if (esp_timer_get_time() < FAULT_AFTER_US) {
        return;
    }
#if defined(CONFIG_FIRMWARE_FAULT_PANIC)
    ESP_LOGE(FIRMWARE_TAG, "fault: panic");
    abort();
#elif defined(CONFIG_FIRMWARE_FAULT_HANG)
    ESP_LOGE(FIRMWARE_TAG, "fault: hang");
    vTaskDelay(portMAX_DELAY);
#endif
}
