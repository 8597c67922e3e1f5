/* SPDX-License-Identifier: Apache-2.0 */
#include "esp_event.h"
#include "esp_netif.h"
#include "port.h"

/* An address is there, or is gone, on any interface: Wi-Fi station, Ethernet, PPP. */
static const struct {
    int32_t id;
    bool is_up;
} ip_events[] = {
    {IP_EVENT_STA_GOT_IP, true},   {IP_EVENT_STA_LOST_IP, false}, {IP_EVENT_ETH_GOT_IP, true},
    {IP_EVENT_ETH_LOST_IP, false}, {IP_EVENT_PPP_GOT_IP, true},   {IP_EVENT_PPP_LOST_IP, false},
    {IP_EVENT_GOT_IP6, true},
};

static void on_ip_event(void *arg, esp_event_base_t base, int32_t id, void *data)
{
    struct port *port = arg;

    (void)base;
    (void)data;
    for (size_t i = 0; i < sizeof ip_events / sizeof ip_events[0]; i++) {
        if (ip_events[i].id == id) {
            port_link_set(port, &port->net, ip_events[i].is_up);
        }
    }
}

/* The address may have come before we listened. */
static bool has_address(void)
{
    esp_netif_t *netif = esp_netif_get_default_netif();
    esp_netif_ip_info_t info;

    return netif != NULL && esp_netif_get_ip_info(netif, &info) == ESP_OK && info.ip.addr != 0;
}

esp_err_t port_netif_watch(struct port *port)
{
    esp_err_t err =
        esp_event_handler_instance_register(IP_EVENT, ESP_EVENT_ANY_ID, on_ip_event, port, NULL);

    if (err == ESP_OK && has_address()) {
        port_link_set(port, &port->net, true);
    }
    return err;
}
