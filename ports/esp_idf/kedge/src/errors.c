/* SPDX-License-Identifier: Apache-2.0 */
#include "esp_log.h"
#include "esp_ota_ops.h"
#include "esp_image_format.h"
#include "port.h"

/* What the agent tells apart. Everything else is IO: the flash, or a bug. */
static const struct {
    esp_err_t native;
    enum kedge_err err;
} table[] = {
    {ESP_ERR_NO_MEM, KEDGE_ERR_NO_MEMORY},
    {ESP_ERR_INVALID_SIZE, KEDGE_ERR_RANGE},
    {ESP_ERR_OTA_PARTITION_CONFLICT, KEDGE_ERR_DENIED},
    {ESP_ERR_OTA_ROLLBACK_INVALID_STATE, KEDGE_ERR_STATE},
    {ESP_ERR_OTA_ROLLBACK_FAILED, KEDGE_ERR_STATE},
    {ESP_ERR_OTA_VALIDATE_FAILED, KEDGE_ERR_MISMATCH},
    {ESP_ERR_IMAGE_INVALID, KEDGE_ERR_MISMATCH},
    {ESP_ERR_OTA_SMALL_SEC_VER, KEDGE_ERR_VERSION},
};

enum kedge_err port_err(const char *what, esp_err_t native)
{
    if (native == ESP_OK) {
        return KEDGE_OK;
    }
    ESP_LOGW(PORT_TAG, "%s: 0x%x %s", what, (unsigned)native, esp_err_to_name(native));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].native == native) {
            return table[i].err;
        }
    }
    return KEDGE_ERR_IO;
}
