/* SPDX-License-Identifier: Apache-2.0 */
#include "sdkconfig.h"

#ifdef CONFIG_KEDGE_NET_OPENETH

#include "esp_eth.h"
#include "esp_eth_netif_glue.h"
#include "esp_event.h"
#include "esp_idf_version.h"
#include "esp_netif.h"
#include "board.h"

/* The one that ESP-IDF links with this MAC. */
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#define new_phy esp_eth_phy_new_generic
#else
#define new_phy esp_eth_phy_new_dp83848
#endif

#define AUTONEGOTIATION_MS 100

esp_err_t network_start(void)
{
    const esp_netif_config_t netif_config = ESP_NETIF_DEFAULT_ETH();
    esp_netif_t *netif = esp_netif_new(&netif_config);
    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    esp_eth_handle_t eth = NULL;

    phy_config.autonego_timeout_ms = AUTONEGOTIATION_MS;
    const esp_eth_config_t config =
        ETH_DEFAULT_CONFIG(esp_eth_mac_new_openeth(&mac_config), new_phy(&phy_config));
    esp_err_t err = esp_eth_driver_install(&config, &eth);

    if (err == ESP_OK) {
        err = esp_netif_attach(netif, esp_eth_new_netif_glue(eth));
    }
    return err == ESP_OK ? esp_eth_start(eth) : err;
}

bool network_rssi(int8_t *dbm)
{
    (void)dbm;
    return false;
}

#endif
