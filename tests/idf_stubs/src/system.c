/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "esp_app_desc.h"
#include "esp_event.h"
#include "esp_heap_caps.h"
#include "esp_log.h"
#include "esp_mac.h"
#include "esp_netif.h"
#include "esp_random.h"
#include "esp_system.h"

/* ---- resets ---- */

/* next_reset is this boot's own until it ends. */
esp_reset_reason_t esp_reset_reason(void)
{
    return (esp_reset_reason_t)stub_now->next_reset;
}

void esp_restart(void)
{
    stub_end_boot(STUB_RESTARTED, KEDGE_RESET_SW);
}

void stub_panic(const void *unused)
{
    (void)unused;
    stub_end_boot(STUB_PANICKED, KEDGE_RESET_PANIC);
}

/* ---- what the chip knows ---- */

uint32_t esp_random(void)
{
    stub_now->random ^= stub_now->random << 13;
    stub_now->random ^= stub_now->random >> 7;
    stub_now->random ^= stub_now->random << 17;
    return (uint32_t)(stub_now->random >> 32);
}

esp_err_t esp_efuse_mac_get_default(uint8_t *mac)
{
    STUB_FAULT(esp_err_t);
    memcpy(mac, stub_now->mac, sizeof stub_now->mac);
    return ESP_OK;
}

size_t heap_caps_get_free_size(uint32_t caps)
{
    return caps == (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT) ? stub_now->free_heap : 0;
}

size_t heap_caps_get_minimum_free_size(uint32_t caps)
{
    return caps == (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT) ? stub_now->min_heap : 0;
}

size_t heap_caps_get_largest_free_block(uint32_t caps)
{
    return caps == (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT) ? stub_now->largest_block : 0;
}

const esp_app_desc_t *esp_app_get_description(void)
{
    static esp_app_desc_t desc;
    const struct kedge_app_desc *running = &stub_now->running;

    desc = (esp_app_desc_t){.magic_word = 0xABCD5432u, .secure_version = running->secure_version};
    memcpy(desc.version, running->version, sizeof desc.version);
    memcpy(desc.project_name, running->project, sizeof desc.project_name);
    memcpy(desc.time, running->time, sizeof desc.time);
    memcpy(desc.date, running->date, sizeof desc.date);
    memcpy(desc.idf_ver, running->idf_version, sizeof desc.idf_ver);
    memcpy(desc.app_elf_sha256, running->elf_sha256, sizeof desc.app_elf_sha256);
    return &desc;
}

/* ---- log ---- */

static const struct {
    esp_err_t code;
    const char *name;
} names[] = {
    {ESP_OK, "ESP_OK"},
    {ESP_FAIL, "ESP_FAIL"},
    {ESP_ERR_NO_MEM, "ESP_ERR_NO_MEM"},
    {ESP_ERR_INVALID_STATE, "ESP_ERR_INVALID_STATE"},
};

const char *esp_err_to_name(esp_err_t code)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "ESP_ERR";
}

/* "W kedge: http_failed /crash" */
void esp_log_write(esp_log_level_t level, const char *tag, const char *format, ...)
{
    char *line = stub_now->log[stub_now->log_count % STUB_LOG_LINES];
    int len = snprintf(line, STUB_LINE_SIZE, "%c %s: ", "NEWIDV"[level], tag);
    va_list args;

    stub_now->log_count++;
    va_start(args, format);
    (void)vsnprintf(line + len, STUB_LINE_SIZE - (size_t)len, format, args);
    va_end(args);
}

void esp_log_level_set(const char *tag, esp_log_level_t level)
{
    if (strcmp(tag, "*") == 0) {
        stub_now->log_level = (int)level;
    }
}

/* ---- events ---- */

esp_event_base_t const IP_EVENT = "IP_EVENT";

static struct {
    esp_event_handler_t handler;
    void *arg;
} on_ip;

esp_err_t esp_event_handler_instance_register(esp_event_base_t event_base, int32_t event_id,
                                              esp_event_handler_t event_handler,
                                              void *event_handler_arg,
                                              esp_event_handler_instance_t *instance)
{
    STUB_FAULT(esp_err_t);
    if (event_base != IP_EVENT || event_id != ESP_EVENT_ANY_ID || instance != NULL ||
        on_ip.handler != NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    on_ip.handler = event_handler;
    on_ip.arg = event_handler_arg;
    return ESP_OK;
}

void stub_ip_event(const void *arg)
{
    if (on_ip.handler != NULL) {
        on_ip.handler(on_ip.arg, IP_EVENT, (int32_t)(intptr_t)arg, NULL);
    }
}

struct esp_netif_obj {
    uint32_t addr;
};

esp_netif_t *esp_netif_get_default_netif(void)
{
    static esp_netif_t netif;

    STUB_FAULT_NULL;
    netif.addr = stub_now->has_address ? 0x0A00000Au : 0;
    return &netif;
}

esp_err_t esp_netif_get_ip_info(esp_netif_t *esp_netif, esp_netif_ip_info_t *ip_info)
{
    STUB_FAULT(esp_err_t);
    *ip_info = (esp_netif_ip_info_t){.ip = {esp_netif->addr}};
    return ESP_OK;
}
