/* SPDX-License-Identifier: Apache-2.0 */
#include "esp_core_dump.h"
#include "stub.h"

/* The dump is what stands at the start of partition coredump; what it says is the test's. */

esp_err_t esp_core_dump_image_check(void)
{
    STUB_FAULT(esp_err_t);
    if (stub_now->coredump.size == 0) {
        return ESP_ERR_NOT_FOUND;
    }
    return stub_now->coredump.is_corrupt ? ESP_ERR_INVALID_CRC : ESP_OK;
}

esp_err_t esp_core_dump_image_get(size_t *out_addr, size_t *out_size)
{
    STUB_FAULT(esp_err_t);
    *out_addr = stub_partition("coredump")->address;
    *out_size = stub_now->coredump.size;
    return ESP_OK;
}

/* Not declared where the firmware keeps no dumps. */
esp_err_t esp_core_dump_get_summary(esp_core_dump_summary_t *summary);

esp_err_t esp_core_dump_get_summary(esp_core_dump_summary_t *summary)
{
    STUB_FAULT(esp_err_t);
    *summary = stub_now->coredump.summary;
    return ESP_OK;
}

esp_err_t esp_core_dump_image_erase(void)
{
    const esp_partition_t *partition = stub_partition("coredump");

    STUB_FAULT(esp_err_t);
    stub_now->coredump.size = 0;
    return esp_partition_erase_range(partition, 0, partition->erase_size);
}
