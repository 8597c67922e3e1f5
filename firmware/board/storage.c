/* SPDX-License-Identifier: Apache-2.0 */
#include "esp_littlefs.h"
#include "esp_log.h"
#include "board.h"

const char *storage_mount(void)
{
    const esp_vfs_littlefs_conf_t conf = {
        .base_path = BOARD_STORAGE_PATH,
        .partition_label = "storage",
        .format_if_mount_failed = false, /* a loose wire must not cost the device its key */
    };
    esp_err_t err = esp_vfs_littlefs_register(&conf);

    if (err != ESP_OK) {
        ESP_LOGE(BOARD_TAG, "storage %s: safe mode", esp_err_to_name(err));
        return NULL;
    }
    return BOARD_STORAGE_PATH;
}
