/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "esp_heap_caps.h"
#include "esp_log.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "port.h"

uint64_t port_now_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000u;
}

static uint32_t system_random(void *ctx)
{
    (void)ctx;
    return esp_random();
}

/* Internal RAM: what TLS, tasks and drivers live on. */
static void read_heap(struct kedge_vitals *out)
{
    const uint32_t caps = MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT;

    out->free_heap_bytes = (uint32_t)heap_caps_get_free_size(caps);
    out->min_free_heap_bytes = (uint32_t)heap_caps_get_minimum_free_size(caps);
    out->largest_block_bytes = (uint32_t)heap_caps_get_largest_free_block(caps);
}

static void system_vitals(void *ctx, struct kedge_vitals *out)
{
    struct port *port = ctx;

    *out = (struct kedge_vitals){.storage_ok = kedge_settings_storage_ok(&port->found),
                                 .config_source = port->found.source};
    read_heap(out);
    if (port->config.vitals != NULL) {
        port->config.vitals(port->config.ctx, out);
    }
    if (out->has_temperature) {
        out->temperature_mc = kedge_settings_temperature_mc(&port->settings, out->temperature_mc);
    }
}

static bool system_may_update(void *ctx, const struct kedge_offer *offer)
{
    const struct port *port = ctx;

    return port->config.may_update == NULL || port->config.may_update(port->config.ctx, offer);
}

static enum kedge_self_test system_self_test(void *ctx)
{
    const struct port *port = ctx;

    return port->config.self_test == NULL ? KEDGE_SELF_TEST_PASSED
                                          : port->config.self_test(port->config.ctx);
}

const struct kedge_plat_system port_system = {.random = system_random,
                                              .vitals = system_vitals,
                                              .may_update = system_may_update,
                                              .self_test = system_self_test};

/* ---- log ---- */

static const esp_log_level_t levels[] = {
    [KEDGE_LOG_NONE] = ESP_LOG_NONE,   [KEDGE_LOG_ERROR] = ESP_LOG_ERROR,
    [KEDGE_LOG_WARN] = ESP_LOG_WARN,   [KEDGE_LOG_INFO] = ESP_LOG_INFO,
    [KEDGE_LOG_DEBUG] = ESP_LOG_DEBUG,
};

/* "state TRIAL": what a person, or a test on a serial line that drops bytes, looks for. */
static void log_state(const char *text)
{
    char name[24];
    size_t len = 0;

    while (text[len] != '\0' && len + 1 < sizeof name) {
        name[len] = (char)toupper((unsigned char)text[len]);
        len++;
    }
    name[len] = '\0';
    ESP_LOGI(PORT_TAG, "state %s", name);
}

void port_log(enum kedge_log_level level, const char *event, const char *text)
{
    if (strcmp(event, "state") == 0) {
        log_state(text);
        return;
    }
    ESP_LOG_LEVEL(levels[level], PORT_TAG, "%s%s%s", event, text[0] != '\0' ? " " : "", text);
}

static void log_write(void *ctx, enum kedge_log_level level, const char *event, const char *text)
{
    (void)ctx;
    port_log(level, event, text);
}

/* A command asks for more, or less: the whole firmware's lines, as far as
 * CONFIG_LOG_MAXIMUM_LEVEL has left them in. They go to the console, never to the broker. */
static void log_set_level(void *ctx, enum kedge_log_level level)
{
    (void)ctx;
    esp_log_level_set("*", levels[level]);
}

const struct kedge_plat_log port_log_ops = {.write = log_write, .set_level = log_set_level};
