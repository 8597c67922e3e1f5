/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOT_LIMIT_S 60u /* of real time */

struct stub_world *stub_now;

#ifdef STUB_COVERAGE
void __gcov_dump(void);
#endif

/* ---- making one ---- */

static void program_table(struct stub_world *world)
{
    uint8_t table[KEDGE_PARTITION_TABLE_SIZE];

    sim_layout_production_table(table);
    sim_flash_program(world->flash, SIM_TABLE_OFFSET, table, sizeof table);
    if (sim_layout_read(world->flash, &world->layout) != KEDGE_OK) {
        abort();
    }
}

struct stub_world *stub_world_create(void)
{
    struct stub_world *world =
        mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (world == MAP_FAILED) {
        abort();
    }
    world->idf = SIM_IDF_5_5;
    world->bootloader = (struct sim_bootloader){
        .chip_id = KEDGE_CHIP_ESP32C3, .chip_rev_full = 300, .rollback = true};
    world->next_reset = KEDGE_RESET_POWERON;
    memcpy(world->mac, (const uint8_t[]){0x24, 0x0A, 0xC4, 0x00, 0x01, 0xFE}, sizeof world->mac);
    world->has_address = true;
    world->watchdog_ms = 15000;
    world->free_heap = 180000;
    world->min_heap = 150000;
    world->largest_block = 110000;
    world->log_level = -1;
    world->random = 0x9E3779B97F4A7C15u;
    world->flash = sim_flash_create(&(struct sim_flash_config){.size_bytes = STUB_FLASH_SIZE});
    program_table(world);
    stub_now = world;
    stub_partitions_reset();
    return world;
}

void stub_world_destroy(struct stub_world *world)
{
    sim_flash_destroy(world->flash);
    (void)munmap(world, sizeof *world);
    stub_now = NULL;
}

void stub_flash_image(struct stub_world *world, uint32_t slot, struct kedge_cspan image)
{
    sim_flash_program(world->flash, world->layout.slots[slot].offset, image.data,
                      (uint32_t)image.len);
}

void stub_at(struct stub_world *world, uint64_t at_ms, void (*fn)(const void *arg), const void *arg)
{
    for (size_t i = 0; i < STUB_STEPS; i++) {
        if (world->steps[i].fn == NULL) {
            world->steps[i] = (struct stub_step){.at_ms = at_ms, .fn = fn, .arg = arg};
            return;
        }
    }
    abort();
}

/* ---- faults ---- */

void stub_fault_arm(struct stub_world *world, const char *call, uint32_t nth, int64_t result)
{
    for (size_t i = 0; i < STUB_FAULTS; i++) {
        if (world->faults[i].call == NULL) {
            world->faults[i] = (struct stub_fault){.call = call, .nth = nth, .result = result};
            return;
        }
    }
    abort();
}

void stub_fault_clear(struct stub_world *world)
{
    memset(world->faults, 0, sizeof world->faults);
}

static bool names(const char *fault, const char *call, const char *label)
{
    size_t len = strlen(call);

    if (strncmp(fault, call, len) != 0) {
        return false;
    }
    return fault[len] == '\0' ||
           (fault[len] == ':' && label != NULL && strcmp(&fault[len + 1], label) == 0);
}

bool stub_fault_hits(const char *call, const char *label, int64_t *result)
{
    for (size_t i = 0; i < STUB_FAULTS && stub_now->faults[i].call != NULL; i++) {
        struct stub_fault *fault = &stub_now->faults[i];

        if (!names(fault->call, call, label)) {
            continue;
        }
        fault->seen++;
        if (fault->nth == 0 || fault->seen == fault->nth) {
            *result = fault->result;
            return true;
        }
    }
    return false;
}

/* ---- flash between the processes ---- */

static void save_flash(struct stub_world *world)
{
    sim_flash_power_on(world->flash);
    if (sim_flash_read(world->flash, 0, world->flash_bytes, STUB_FLASH_SIZE) != KEDGE_OK) {
        abort();
    }
}

static void load_flash(struct stub_world *world)
{
    uint8_t sector[SIM_FLASH_SECTOR_SIZE];

    for (uint32_t at = 0; at < STUB_FLASH_SIZE; at += sizeof sector) {
        if (sim_flash_read(world->flash, at, sector, sizeof sector) != KEDGE_OK) {
            abort();
        }
        if (memcmp(sector, &world->flash_bytes[at], sizeof sector) != 0) {
            sim_flash_program(world->flash, at, &world->flash_bytes[at], sizeof sector);
        }
    }
}

/* ---- a boot ---- */

struct sim_boot_env stub_boot_env(struct stub_world *world)
{
    return (struct sim_boot_env){.flash = world->flash,
                                 .layout = &world->layout,
                                 .bootloader = &world->bootloader,
                                 .secure_version = &world->secure_version};
}

struct sim_ota stub_ota(void)
{
    return (struct sim_ota){.env = stub_boot_env(stub_now),
                            .idf = stub_now->idf,
                            .rollback = true,
                            .running = stub_now->running_slot};
}

bool stub_bootloader(struct stub_world *world)
{
    struct sim_boot_env env = stub_boot_env(world);
    struct sim_boot boot;

    world->boots++;
    world->now_us = 300000;
    world->message[0] = '\0';
    world->end = STUB_NO_BOOT;
    if (sim_boot_run(&env, &boot) != KEDGE_OK) {
        world->end = sim_flash_has_power(world->flash) ? STUB_NO_BOOT : STUB_POWER_CUT;
        world->next_reset = KEDGE_RESET_POWERON;
        sim_flash_power_on(world->flash);
        return false;
    }
    world->running_slot = boot.slot;
    world->running = boot.image.desc;
    world->end = STUB_FAILED;
    return true;
}

void stub_end_boot(enum stub_end end, enum kedge_reset next_reset)
{
    stub_now->end = end;
    stub_now->next_reset = next_reset;
    save_flash(stub_now);
#ifdef STUB_COVERAGE
    __gcov_dump();
#endif
    _exit(0);
}

void stub_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(stub_now->message, sizeof stub_now->message, format, args);
    va_end(args);
    fprintf(stderr, "stub: %s\n", stub_now->message);
    stub_end_boot(STUB_FAILED, KEDGE_RESET_UNKNOWN);
}

static void wait_for(struct stub_world *world, pid_t child)
{
    int status;

    sim_flash_power_on(world->flash); /* the cut was for the child */
    if (waitpid(child, &status, 0) != child) {
        abort();
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        world->end = STUB_FAILED;
        (void)snprintf(world->message, sizeof world->message, "the boot ended with status 0x%x",
                       (unsigned)status);
        return;
    }
    load_flash(world);
}

enum stub_end stub_boot(struct stub_world *world, void (*app)(void), uint64_t limit_ms,
                        bool (*until)(const struct stub_world *world))
{
    pid_t child;

    if (!stub_bootloader(world)) {
        return world->end;
    }
    child = fork();
    if (child < 0) {
        abort();
    }
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)alarm(BOOT_LIMIT_S);
        stub_rtos_run(app, limit_ms, until);
    }
    wait_for(world, child);
    return world->end;
}

/* ---- looking at it ---- */

static uint32_t oldest(uint32_t count, uint32_t kept)
{
    return count > kept ? count - kept : 0;
}

const char *stub_log_find(const struct stub_world *world, const char *text)
{
    for (uint32_t i = oldest(world->log_count, STUB_LOG_LINES); i < world->log_count; i++) {
        const char *line = world->log[i % STUB_LOG_LINES];

        if (strstr(line, text) != NULL) {
            return line;
        }
    }
    return NULL;
}

uint32_t stub_log_count(const struct stub_world *world, const char *text)
{
    uint32_t count = 0;

    for (uint32_t i = oldest(world->log_count, STUB_LOG_LINES); i < world->log_count; i++) {
        count += strstr(world->log[i % STUB_LOG_LINES], text) != NULL;
    }
    return count;
}

const struct stub_request *stub_request_find(const struct stub_world *world, const char *path,
                                             uint32_t nth)
{
    const struct stub_server *server = &world->server;

    for (uint32_t i = oldest(server->request_count, STUB_REQUESTS); i < server->request_count;
         i++) {
        const struct stub_request *request = &server->requests[i % STUB_REQUESTS];

        if (strcmp(request->path, path) == 0 && --nth == 0) {
            return request;
        }
    }
    return NULL;
}
