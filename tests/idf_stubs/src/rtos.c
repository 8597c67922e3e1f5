/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "freertos/queue.h"
#include "freertos/task.h"

/*
 * FreeRTOS and the clock. Tasks are threads of which one holds the baton: it runs until it waits.
 * Then the next task in turn that is ready goes on, and when none is, the clock jumps to the first
 * deadline: time passes only while all wait. The same run every time.
 */
#define TASKS       8u
#define TICK_US     (1000000u / configTICK_RATE_HZ)
#define NEVER       UINT64_MAX
#define LIMIT_STEPS 20000000u /* waits of one boot, then it is going round in circles */

struct stub_task {
    const char *name;
    void (*code)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_cond_t wake;
    bool is_over;
    bool is_waiting;
    bool (*ready)(void *arg); /* of the wait; NULL = the deadline only */
    void *ready_arg;
    uint64_t deadline_us;
    uint32_t notified;
    bool is_watched;
    uint64_t fed_us;
};

static struct {
    pthread_mutex_t baton;
    struct stub_task tasks[TASKS];
    size_t count;
    size_t current;
    bool is_running;
    uint64_t limit_us;
    uint32_t steps;
    bool (*until)(const struct stub_world *world);
} rtos = {.baton = PTHREAD_MUTEX_INITIALIZER};

/* ---- whose turn it is ---- */

static bool is_ready(const struct stub_task *task)
{
    return !task->is_over && task->is_waiting &&
           (task->deadline_us <= stub_now->now_us ||
            (task->ready != NULL && task->ready(task->ready_arg)));
}

static struct stub_task *next_ready(void)
{
    for (size_t i = 1; i <= rtos.count; i++) {
        size_t at = (rtos.current + i) % rtos.count;

        if (is_ready(&rtos.tasks[at])) {
            rtos.current = at;
            return &rtos.tasks[at];
        }
    }
    return NULL;
}

static uint64_t first_deadline(void)
{
    uint64_t at = NEVER;

    for (size_t i = 0; i < rtos.count; i++) {
        const struct stub_task *task = &rtos.tasks[i];

        if (!task->is_over && task->is_waiting && task->deadline_us < at) {
            at = task->deadline_us;
        }
    }
    return at;
}

/* When the watchdog bites if nobody feeds it. */
static uint64_t watchdog_at(void)
{
    uint64_t at = NEVER;

    for (size_t i = 0; i < rtos.count; i++) {
        const struct stub_task *task = &rtos.tasks[i];

        if (task->is_watched && task->fed_us + stub_now->watchdog_ms * 1000ull < at) {
            at = task->fed_us + stub_now->watchdog_ms * 1000ull;
        }
    }
    return at;
}

static void bite(uint64_t at)
{
    stub_now->now_us = at;
    stub_end_boot(STUB_WATCHDOG, KEDGE_RESET_TASK_WDT);
}

/* Tasks wait; those that wait for ever are woken by the others or never. */
static void pass_time(void)
{
    uint64_t at = first_deadline();
    uint64_t bites = watchdog_at();

    if (bites <= at && bites != NEVER && bites <= rtos.limit_us) {
        bite(bites);
    }
    if (at == NEVER) {
        stub_end_boot(STUB_DEADLOCK, KEDGE_RESET_POWERON);
    }
    if (at > rtos.limit_us) {
        stub_now->now_us = rtos.limit_us;
        stub_end_boot(STUB_TIME_IS_UP, KEDGE_RESET_POWERON);
    }
    stub_now->now_us = at;
}

static void check_end(void)
{
    if (rtos.until != NULL && rtos.until(stub_now)) {
        stub_end_boot(STUB_STOPPED, KEDGE_RESET_POWERON);
    }
    if (stub_now->now_us >= rtos.limit_us) {
        stub_end_boot(STUB_TIME_IS_UP, KEDGE_RESET_POWERON);
    }
    if (watchdog_at() <= stub_now->now_us) {
        bite(stub_now->now_us);
    }
    if (++rtos.steps > LIMIT_STEPS) {
        stub_fail("endless: %u waits in %llu ms", LIMIT_STEPS,
                  (unsigned long long)(stub_now->now_us / 1000));
    }
}

/* The caller waits, or is over. Returns when it is its turn. */
static void hand_on(struct stub_task *self)
{
    struct stub_task *next;

    check_end();
    while ((next = next_ready()) == NULL) {
        pass_time();
    }
    next->is_waiting = false;
    if (next == self) {
        return;
    }
    (void)pthread_cond_signal(&next->wake);
    while (self->is_over || self->is_waiting) {
        (void)pthread_cond_wait(&self->wake, &rtos.baton);
    }
}

bool stub_wait(bool (*ready)(void *arg), void *arg, uint64_t deadline_us)
{
    struct stub_task *self = stub_task_self();

    if (ready != NULL && ready(arg)) {
        return true;
    }
    if (self == NULL || deadline_us <= stub_now->now_us) {
        return false;
    }
    self->ready = ready;
    self->ready_arg = arg;
    self->deadline_us = deadline_us;
    self->is_waiting = true;
    hand_on(self);
    return ready != NULL && ready(arg);
}

void stub_sleep_ms(uint32_t ms)
{
    (void)stub_wait(NULL, NULL, stub_now->now_us + ms * 1000ull);
}

void stub_spend_us(uint32_t us)
{
    stub_now->now_us += us;
}

void stub_hang(void)
{
    for (;;) {
        (void)stub_wait(NULL, NULL, NEVER);
    }
}

struct stub_task *stub_task_self(void)
{
    return rtos.is_running ? &rtos.tasks[rtos.current] : NULL;
}

/* ---- tasks ---- */

static void *run_task(void *arg)
{
    struct stub_task *self = arg;

    (void)pthread_mutex_lock(&rtos.baton);
    while (self->is_waiting) {
        (void)pthread_cond_wait(&self->wake, &rtos.baton);
    }
    self->code(self->arg);
    self->is_over = true;
    hand_on(self);
    return NULL;
}

struct stub_task *stub_task_start(void (*code)(void *arg), const char *name, void *arg)
{
    struct stub_task *task = &rtos.tasks[rtos.count];

    if (rtos.count == TASKS) {
        stub_fail("more than %u tasks", TASKS);
    }
    rtos.count++;
    *task = (struct stub_task){.name = name, .code = code, .arg = arg, .is_waiting = true};
    (void)pthread_cond_init(&task->wake, NULL);
    if (pthread_create(&task->thread, NULL, run_task, task) != 0) {
        stub_fail("no thread for task %s", name);
    }
    return task;
}

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t stack_depth,
                               void *arg, UBaseType_t priority, StackType_t *stack,
                               StaticTask_t *task)
{
    (void)priority;
    if (stack == NULL || task == NULL || stack_depth == 0) {
        return NULL;
    }
    return stub_task_start(code, name, arg);
}

static void run_app(void *arg)
{
    void (*app)(void);

    memcpy(&app, arg, sizeof app);
    app();
}

static void run_steps(void *arg)
{
    const struct stub_step *steps = arg;
    uint64_t boot_us = 0;

    for (size_t i = 0; i < STUB_STEPS && steps[i].fn != NULL; i++) {
        (void)stub_wait(NULL, NULL, boot_us + steps[i].at_ms * 1000ull);
        steps[i].fn(steps[i].arg);
    }
    stub_hang(); /* it counts as a task that waits for ever */
}

void stub_rtos_run(void (*app)(void), uint64_t limit_ms,
                   bool (*until)(const struct stub_world *world))
{
    struct stub_task self = {.is_over = true};

    rtos.limit_us = limit_ms * 1000ull;
    rtos.until = until;
    (void)pthread_cond_init(&self.wake, NULL);
    (void)pthread_mutex_lock(&rtos.baton);
    (void)stub_task_start(run_app, "main", &app);
    (void)stub_task_start(run_steps, "steps", stub_now->steps);
    rtos.current = rtos.count - 1;
    rtos.is_running = true;
    hand_on(&self);
    abort();
}

/* ---- notifications ---- */

static bool is_notified(void *arg)
{
    const struct stub_task *task = arg;

    return task->notified > 0;
}

static uint64_t deadline_of(TickType_t ticks)
{
    uint64_t tick = stub_now->now_us / TICK_US;

    return ticks == portMAX_DELAY ? NEVER : (tick + ticks) * TICK_US;
}

BaseType_t xTaskNotifyGive(TaskHandle_t task)
{
    task->notified++;
    return pdTRUE;
}

uint32_t ulTaskNotifyTake(BaseType_t clear_on_exit, TickType_t ticks)
{
    struct stub_task *self = stub_task_self();
    uint32_t taken;

    (void)stub_wait(is_notified, self, deadline_of(ticks));
    taken = self->notified;
    self->notified = clear_on_exit || taken == 0 ? 0 : taken - 1;
    return taken;
}

void vTaskDelay(TickType_t ticks)
{
    (void)stub_wait(NULL, NULL, deadline_of(ticks));
}

/* ---- queues ---- */

struct stub_queue {
    uint8_t *storage;
    UBaseType_t length, item_size, first, used;
};

_Static_assert(sizeof(struct stub_queue) <= sizeof(StaticQueue_t), "fits into what a port holds");

static bool has_room(void *arg)
{
    const struct stub_queue *queue = arg;

    return queue->used < queue->length;
}

static bool has_item(void *arg)
{
    const struct stub_queue *queue = arg;

    return queue->used > 0;
}

QueueHandle_t xQueueCreateStatic(UBaseType_t length, UBaseType_t item_size, uint8_t *storage,
                                 StaticQueue_t *queue)
{
    struct stub_queue *made = (struct stub_queue *)(void *)queue;

    *made = (struct stub_queue){.storage = storage, .length = length, .item_size = item_size};
    return made;
}

BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t ticks)
{
    UBaseType_t at;

    if (!stub_wait(has_room, queue, deadline_of(ticks))) {
        return pdFALSE;
    }
    at = (queue->first + queue->used) % queue->length;
    memcpy(&queue->storage[(size_t)at * queue->item_size], item, queue->item_size);
    queue->used++;
    return pdTRUE;
}

BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t ticks)
{
    if (!stub_wait(has_item, queue, deadline_of(ticks))) {
        return pdFALSE;
    }
    memcpy(item, &queue->storage[(size_t)queue->first * queue->item_size], queue->item_size);
    queue->first = (queue->first + 1u) % queue->length;
    queue->used--;
    return pdTRUE;
}

UBaseType_t uxQueueSpacesAvailable(QueueHandle_t queue)
{
    return queue->length - queue->used;
}

/* ---- clock and watchdog ---- */

int64_t esp_timer_get_time(void)
{
    return (int64_t)stub_now->now_us;
}

esp_err_t esp_task_wdt_add(TaskHandle_t task_handle)
{
    struct stub_task *task = task_handle != NULL ? task_handle : stub_task_self();

    STUB_FAULT(esp_err_t);
    if (stub_now->watchdog_ms == 0) {
        return ESP_ERR_INVALID_STATE;
    }
    task->is_watched = true;
    task->fed_us = stub_now->now_us;
    return ESP_OK;
}

esp_err_t esp_task_wdt_reset(void)
{
    struct stub_task *self = stub_task_self();

    STUB_FAULT(esp_err_t);
    if (!self->is_watched) {
        return ESP_ERR_NOT_FOUND;
    }
    self->fed_us = stub_now->now_us;
    return ESP_OK;
}
