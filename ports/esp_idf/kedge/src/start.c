/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge_esp/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_app_desc.h"
#include "esp_log.h"
#include "esp_mac.h"
#include "port.h"

#define FLEET_TYPE    ((esp_partition_type_t)0x40)
#define FLEET_SUBTYPE ((esp_partition_subtype_t)0x00)
#define PEM_MAX       8192u

/* One agent a chip: static, so that nothing of it can fail for want of heap later. */
static struct port s_port;
static bool s_is_started;
static StaticQueue_t s_queue;
static uint8_t s_queue_storage[PORT_EVENTS * sizeof(struct port_event)];
static StaticTask_t s_agent_task, s_http_task;
static StackType_t s_agent_stack[CONFIG_KEDGE_AGENT_STACK / sizeof(StackType_t)];
static StackType_t s_http_stack[CONFIG_KEDGE_HTTP_STACK / sizeof(StackType_t)];

/* ---- settings ---- */

static esp_err_t name_by_mac(struct kedge_settings *out)
{
    uint8_t mac[6];
    esp_err_t err = esp_efuse_mac_get_default(mac);

    if (err == ESP_OK) {
        (void)snprintf(out->device_id, sizeof out->device_id, "esp-%02x%02x%02x%02x%02x%02x",
                       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    }
    return err;
}

esp_err_t kedge_start_defaults(struct kedge_settings *out)
{
    kedge_settings_defaults(out);
    (void)snprintf(out->device_id, sizeof out->device_id, "%s", CONFIG_KEDGE_DEVICE_ID);
    (void)snprintf(out->server_url, sizeof out->server_url, "%s", CONFIG_KEDGE_SERVER_URL);
    (void)snprintf(out->broker_host, sizeof out->broker_host, "%s", CONFIG_KEDGE_BROKER_HOST);
    out->broker_port = CONFIG_KEDGE_BROKER_PORT;
    return out->device_id[0] == '\0' ? name_by_mac(out) : ESP_OK;
}

static void log_faults(const struct kedge_settings_report *report)
{
    char text[160];

    for (size_t i = 0; i < KEDGE_SETTINGS_CANDIDATES; i++) {
        const struct kedge_settings_faults *faults = &report->files[i].faults;

        for (size_t k = 0; k < faults->count && k < KEDGE_SETTINGS_FAULTS_MAX; k++) {
            kedge_settings_fault_text(&faults->list[k], text, sizeof text);
            port_log(KEDGE_LOG_ERROR, "settings_refused", text);
        }
    }
}

static esp_err_t load_settings(struct port *port)
{
    struct kedge_settings defaults;
    esp_err_t native = ESP_OK;
    enum kedge_err err;

    if (port->config.defaults != NULL) {
        defaults = *port->config.defaults;
    } else {
        native = kedge_start_defaults(&defaults);
    }
    if (native != ESP_OK) {
        return native;
    }
    port->files.ops = &port_storage;
    port->files.ctx = port;
    err = kedge_settings_load(&port->files, &defaults, &port->settings, &port->found);
    log_faults(&port->found);
    port_log(KEDGE_LOG_INFO, "config", kedge_config_source_text(port->found.source));
    return err == KEDGE_OK ? ESP_OK : ESP_ERR_INVALID_ARG;
}

/* ---- certificates ---- */

/* A PEM file as a text of its own length; what esp-tls is given must outlive the connections. */
static const char *load_pem(struct port *port, const char *name, const char *fallback)
{
    uint32_t len = 0;
    char *text = malloc(PEM_MAX);
    char *shrunk;

    if (text == NULL || port_storage.read(port, name, text, PEM_MAX - 1u, &len) != KEDGE_OK) {
        free(text);
        port_log(KEDGE_LOG_WARN, fallback != NULL ? "file_fallback" : "file_missing", name);
        return fallback;
    }
    text[len] = '\0';
    shrunk = realloc(text, len + 1u);
    return shrunk != NULL ? shrunk : text;
}

static void load_certificates(struct port *port)
{
    const struct kedge_start_config *config = &port->config;

    port->ca = load_pem(port, port->settings.ca_file, config->fallback_ca);
    port->certificate =
        load_pem(port, port->settings.certificate_file, config->fallback_certificate);
    port->key = load_pem(port, port->settings.key_file, config->fallback_key);
}

/* ---- start ---- */

static esp_err_t find_fleet(struct port *port)
{
    port->fleet = esp_partition_find_first(FLEET_TYPE, FLEET_SUBTYPE, NULL);
    if (port->fleet == NULL ||
        port->fleet->size < KEDGE_STORE_SECTOR_COUNT * KEDGE_STORE_SECTOR_SIZE) {
        port_log(KEDGE_LOG_ERROR, "no_journal",
                 "partitions.csv needs a line: fleet, 0x40, 0x00, , 0x2000, encrypted");
        return ESP_ERR_NOT_FOUND;
    }
    return ESP_OK;
}

static esp_err_t init_agent(struct port *port)
{
    const struct kedge_plat plat = {.slots = &port_slots,
                                    .store = &port_store,
                                    .system = &port_system,
                                    .log = &port_log_ops,
                                    .crash = &port_crash,
                                    .ctx = port};
    struct kedge_config config = {.block_floor_bytes = CONFIG_KEDGE_BLOCK_FLOOR};

    kedge_settings_config(&port->settings, &config);
    return kedge_agent_init(&port->agent, &config, &plat) == KEDGE_OK ? ESP_OK
                                                                      : ESP_ERR_INVALID_ARG;
}

static esp_err_t start_tasks(struct port *port)
{
    esp_err_t err;

    port->events =
        xQueueCreateStatic(PORT_EVENTS, sizeof(struct port_event), s_queue_storage, &s_queue);
    err = port_netif_watch(port);
    if (err != ESP_OK) {
        return err;
    }
    port->http.task = xTaskCreateStatic(port_http_task, "kedge_http", sizeof s_http_stack, port,
                                        CONFIG_KEDGE_PRIORITY, s_http_stack, &s_http_task);
    (void)xTaskCreateStatic(port_agent_task, "kedge", sizeof s_agent_stack, port,
                            CONFIG_KEDGE_PRIORITY, s_agent_stack, &s_agent_task);
    return ESP_OK;
}

esp_err_t kedge_start(const struct kedge_start_config *config)
{
    struct port *port = &s_port;
    esp_err_t err;

    if (config == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (s_is_started) {
        return ESP_ERR_INVALID_STATE;
    }
    port->config = *config;
    port_log(KEDGE_LOG_INFO, "version", esp_app_get_description()->version);
    err = find_fleet(port);
    if (err == ESP_OK) {
        err = load_settings(port);
    }
    if (err == ESP_OK) {
        err = init_agent(port);
    }
    if (err == ESP_OK) {
        load_certificates(port);
        err = start_tasks(port);
    }
    s_is_started = err == ESP_OK;
    return err;
}
