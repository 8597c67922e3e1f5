/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "board.h"
#include "kedge_esp/start.h"

/* The reference firmware: wiring only. What it does with an update is Kedge's. */

#define FIRMWARE_TAG "firmware"

/** For kedge_start: time, RSSI and temperature. */
void vitals_fill(void *ctx, struct kedge_vitals *vitals);

/** What menuconfig asks for under "Misbehave on purpose"; nothing in a release. */
void fault_commit(void);
