/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "freertos/FreeRTOS.h"

typedef struct stub_task *TaskHandle_t;
typedef void (*TaskFunction_t)(void *arg);

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t stack_depth,
                               void *arg, UBaseType_t priority, StackType_t *stack,
                               StaticTask_t *task);
BaseType_t xTaskNotifyGive(TaskHandle_t task);
uint32_t ulTaskNotifyTake(BaseType_t clear_on_exit, TickType_t ticks);
void vTaskDelay(TickType_t ticks);
