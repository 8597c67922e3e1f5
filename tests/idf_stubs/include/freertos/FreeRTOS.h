/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "sdkconfig.h"

typedef int BaseType_t;
typedef unsigned UBaseType_t;
typedef uint32_t TickType_t;
typedef uint8_t StackType_t;

#define pdFALSE            0
#define pdTRUE             1
#define configTICK_RATE_HZ CONFIG_FREERTOS_HZ
#define portMAX_DELAY      UINT32_MAX
#define portTICK_PERIOD_MS (1000u / configTICK_RATE_HZ)
#define pdMS_TO_TICKS(ms)  ((TickType_t)((uint64_t)(ms)*configTICK_RATE_HZ / 1000u))

typedef struct {
    void *opaque[4];
} StaticTask_t;

typedef struct {
    void *opaque[16];
} StaticQueue_t;
