/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "stub/world.h"

/* Shared by the stubs. */

/** The world there is. */
extern struct stub_world *stub_now;

/* ---- world.c ---- */

/** True when the call is to answer *result. label: of the partition, or NULL. */
bool stub_fault_hits(const char *call, const char *label, int64_t *result);
/** At the top of a function that a test can make fail. */
#define STUB_FAULT(type) STUB_FAULT_ON(type, NULL)
#define STUB_FAULT_ON(type, label)                                                                 \
    do {                                                                                           \
        int64_t result_;                                                                           \
        if (stub_fault_hits(__func__, label, &result_)) {                                          \
            return (type)result_;                                                                  \
        }                                                                                          \
    } while (0)
#define STUB_FAULT_NULL                                                                            \
    do {                                                                                           \
        int64_t result_;                                                                           \
        if (stub_fault_hits(__func__, NULL, &result_)) {                                           \
            return NULL;                                                                           \
        }                                                                                          \
    } while (0)

/** What is in flash goes back to the test, and the child ends. */
__attribute__((noreturn)) void stub_end_boot(enum stub_end end, enum kedge_reset next_reset);
/** esp_ota_* and the bootloader as the simulator has them. */
struct sim_ota stub_ota(void);
struct sim_boot_env stub_boot_env(struct stub_world *world);

/* ---- flash.c ---- */

/** The partitions as the table in flash has them. */
void stub_partitions_reset(void);

/* ---- rtos.c ---- */

/** Run app in a task, and the others it makes, until the boot ends. */
__attribute__((noreturn)) void stub_rtos_run(void (*app)(void), uint64_t limit_ms,
                                             bool (*until)(const struct stub_world *world));
struct stub_task;
struct stub_task *stub_task_start(void (*code)(void *arg), const char *name, void *arg);
/** Wait until ready(arg), or the deadline. False: the deadline. For ever: UINT64_MAX. */
bool stub_wait(bool (*ready)(void *arg), void *arg, uint64_t deadline_us);
/** Let so much time pass; others run meanwhile. */
void stub_sleep_ms(uint32_t ms);
/** Nobody else runs meanwhile: the flash is busy. Works outside of a boot, too. */
void stub_spend_us(uint32_t us);
/** NULL outside of a boot. */
struct stub_task *stub_task_self(void);

/* ---- server.c ---- */

#define STUB_HEADERS     16u
#define STUB_HEADER_SIZE 96u

struct stub_header {
    char name[32];
    char value[STUB_HEADER_SIZE];
};

/** What the client sends. */
struct stub_call {
    bool is_post;
    const char *path;
    uint32_t header_count;
    const struct stub_header *headers;
    struct kedge_cspan body;
};

struct stub_answer {
    int status;
    uint32_t header_count;
    struct stub_header headers[STUB_HEADERS];
    struct kedge_cspan body;
};

const char *stub_call_header(const struct stub_call *call, const char *name);
void stub_server_answer(struct stub_world *world, const struct stub_call *call,
                        struct stub_answer *answer);
