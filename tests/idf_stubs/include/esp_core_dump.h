/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"
#include "sdkconfig.h"

esp_err_t esp_core_dump_image_check(void);
esp_err_t esp_core_dump_image_get(size_t *out_addr, size_t *out_size);
esp_err_t esp_core_dump_image_erase(void);

#ifdef __XTENSA__
typedef struct {
    uint32_t bt[16];
    uint32_t depth;
    bool corrupted;
} esp_core_dump_bt_info_t;

typedef struct {
    uint32_t exc_cause;
    uint32_t exc_vaddr;
} esp_core_dump_summary_extra_info_t;
#else
typedef struct {
    uint8_t stackdump[CONFIG_ESP_COREDUMP_SUMMARY_STACKDUMP_SIZE];
    uint32_t dump_size;
} esp_core_dump_bt_info_t;

typedef struct {
    uint32_t mcause;
    uint32_t ra;
    uint32_t sp;
} esp_core_dump_summary_extra_info_t;
#endif

typedef struct {
    uint32_t exc_tcb;
    char exc_task[16];
    uint32_t exc_pc;
    esp_core_dump_bt_info_t exc_bt_info;
    uint32_t core_dump_version;
    uint8_t app_elf_sha256[CONFIG_APP_RETRIEVE_LEN_ELF_SHA + 1];
    esp_core_dump_summary_extra_info_t ex_info;
} esp_core_dump_summary_t;

#ifdef CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH
esp_err_t esp_core_dump_get_summary(esp_core_dump_summary_t *summary);
#endif
