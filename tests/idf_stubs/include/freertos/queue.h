/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "freertos/FreeRTOS.h"

typedef struct stub_queue *QueueHandle_t;

QueueHandle_t xQueueCreateStatic(UBaseType_t length, UBaseType_t item_size, uint8_t *storage,
                                 StaticQueue_t *queue);
BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t ticks);
BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t ticks);
UBaseType_t uxQueueSpacesAvailable(QueueHandle_t queue);
