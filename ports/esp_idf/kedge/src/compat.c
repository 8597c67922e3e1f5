/* SPDX-License-Identifier: Apache-2.0 */
#include "compat.h"

#include <stdlib.h>
#include <string.h>

#include "esp_core_dump.h"
#include "esp_efuse.h"
#include "esp_idf_version.h"
#include "esp_ota_ops.h"

#ifndef CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE
#error                                                                                             \
    "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE=y is missing: no update could be proven, so none is kept"
#endif

uint32_t compat_min_secure_version(void)
{
#ifdef CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK
    return esp_efuse_read_secure_version();
#else
    return 0;
#endif
}

esp_err_t compat_mark_invalid(void)
{
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 5, 0)
    return esp_ota_mark_app_invalid_rollback();
#else
    return esp_ota_mark_app_invalid_rollback_and_reboot();
#endif
}

void compat_resume_sessions(esp_http_client_config_t *config)
{
#if defined(CONFIG_ESP_TLS_CLIENT_SESSION_TICKETS) &&                                              \
    ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 0)
    config->save_client_session = true;
#else
    (void)config;
#endif
}

/* ESP-IDF 5 can store core dumps without the ELF headers that the summary is read from; 6 cannot.
 */
#if defined(CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH) &&                                                \
    (defined(CONFIG_ESP_COREDUMP_DATA_FORMAT_ELF) ||                                               \
     ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0))

static void copy_backtrace(const esp_core_dump_summary_t *summary, struct kedge_crash *out)
{
#ifdef __XTENSA__
    out->backtrace_count = summary->exc_bt_info.depth < KEDGE_CRASH_BACKTRACE_MAX
                               ? summary->exc_bt_info.depth
                               : KEDGE_CRASH_BACKTRACE_MAX;
    memcpy(out->backtrace, summary->exc_bt_info.bt,
           out->backtrace_count * sizeof out->backtrace[0]);
#else
    /* RISC-V cannot walk its stack without the ELF file: where it stopped, and the caller. */
    out->backtrace_count = 2;
    out->backtrace[0] = summary->exc_pc;
    out->backtrace[1] = summary->ex_info.ra;
#endif
}

/* The hex digits that there are; what is not one ends it. */
static void copy_elf_sha256(const uint8_t *text, size_t size, char *out, size_t out_size)
{
    size_t len = 0;

    while (len < size && len + 1 < out_size &&
           ((text[len] >= '0' && text[len] <= '9') || (text[len] >= 'a' && text[len] <= 'f'))) {
        out[len] = (char)text[len];
        len++;
    }
    out[len] = '\0';
}

static void copy_summary(const esp_core_dump_summary_t *summary, struct kedge_crash *out)
{
    size_t len = strnlen(summary->exc_task, sizeof summary->exc_task);

    memcpy(out->task, summary->exc_task, len);
    out->task[len] = '\0';
    out->pc = summary->exc_pc;
    copy_elf_sha256(summary->app_elf_sha256, sizeof summary->app_elf_sha256, out->elf_sha256,
                    sizeof out->elf_sha256);
    copy_backtrace(summary, out);
}

/* The summary holds over 1 KiB of stack on RISC-V: from the heap, for this one call after boot. */
bool compat_crash_describe(struct kedge_crash *out)
{
    size_t address, size;
    esp_core_dump_summary_t *summary;

    if (esp_core_dump_image_check() != ESP_OK ||
        esp_core_dump_image_get(&address, &size) != ESP_OK) {
        return false;
    }
    *out = (struct kedge_crash){.size_bytes = (uint32_t)size};
    summary = calloc(1, sizeof *summary);
    if (summary != NULL && esp_core_dump_get_summary(summary) == ESP_OK) {
        copy_summary(summary, out);
    }
    free(summary);
    return true;
}

esp_err_t compat_crash_erase(void)
{
    return esp_core_dump_image_erase();
}

#else

bool compat_crash_describe(struct kedge_crash *out)
{
    (void)out;
    return false;
}

esp_err_t compat_crash_erase(void)
{
    return ESP_ERR_NOT_SUPPORTED;
}

#endif
