/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "esp_err.h"

/* What a board needs before Kedge, or the bench, can run: storage, time, network. */

#define BOARD_TAG           "board"
#define BOARD_STORAGE_PATH  "/storage"
#define BOARD_NVS_NAMESPACE "kedge" /* keys: wifi_ssid, wifi_pass, time_floor */

/** Mount partition "storage"; never formats. NULL when it does not mount. */
const char *storage_mount(void);

/** Set the clock to the latest time that is certainly past, so that certificates can be checked
 *  before the network is there: NVS's time_floor, or the moment the device's certificate was
 *  issued. */
void clock_begin(void);
/** Ask SNTP, once the network stack is there. */
void clock_start_sntp(void);
/** Unix time in seconds; 0 while it is only a floor. */
int64_t clock_now_s(void);
/** Now and then: keep the time that SNTP gave as the next floor. */
void clock_keep(void);

/** Bring up the interface of menuconfig; it goes on connecting by itself. Errors: as ESP-IDF's. */
esp_err_t network_start(void);
/** Signal strength, where there is such a thing. */
bool network_rssi(int8_t *dbm);
