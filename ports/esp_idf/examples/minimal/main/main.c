/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"
#include "esp_event.h"
#include "esp_netif.h"
#include "kedge_esp/start.h"
#include "nvs_flash.h"

/* Asked during a trial until it is not PENDING: does what this device is for work? */
static enum kedge_self_test self_test(void *ctx)
{
    (void)ctx;
    return KEDGE_SELF_TEST_PASSED;
}

/* Asked before each download: may the device restart soon? */
static bool may_update(void *ctx, const struct kedge_offer *offer)
{
    (void)ctx;
    (void)offer;
    return true;
}

void app_main(void)
{
    const struct kedge_start_config config = {
        .storage_path = storage_mount(),
        .self_test = self_test,
        .may_update = may_update,
    };

    (void)nvs_flash_init();
    clock_begin();
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(kedge_start(&config));
    (void)network_start();
    clock_start_sntp();
    /* What this device is for goes here. Returning is fine: the agent has tasks of its own. */
}
