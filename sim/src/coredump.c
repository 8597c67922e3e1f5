/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

#include "kedge/crypto.h"

/*
 * What the panic handler leaves in partition coredump, and the platform that the agent reads it
 * through. A stand-in: like ESP-IDF's, a dump begins with its length and ends with a SHA-256 over
 * what comes before, but between the two are these fields and filler, not an ELF file.
 *
 *   0  u32 length, all of it        16  16 * u32 backtrace, innermost first
 *   4  u32 magic                    80  task, 16 bytes, NUL-padded
 *   8  u32 program counter          96  beginning of app_elf_sha256 in hex, 16 bytes, NUL-padded
 *  12  u32 backtrace entries       112  "stacks" up to the checksum
 */
#define DUMP_SIZE    10752u
#define DUMP_MAGIC   0x4D49534Bu /* "KSIM" */
#define HEADER_SIZE  112u
#define TASK_AT      80u
#define ELF_AT       96u
#define FIELD_SIZE   16u
#define ELF_DIGITS   9u /* CONFIG_APP_RETRIEVE_LEN_ELF_SHA */
#define CODE_BASE    0x400D0020u
#define BACKTRACE    5u
#define CHECKED_SIZE (DUMP_SIZE - KEDGE_SHA256_SIZE)

_Static_assert(DUMP_SIZE % 16u == 0, "whole blocks, for flash encryption");

/* ---- writing ---- */

/* Resets that come out of the panic handler, and the task that it finds. */
static const struct {
    enum kedge_reset reason;
    const char *task;
} crashes[] = {
    {KEDGE_RESET_PANIC, "main"},
    {KEDGE_RESET_INT_WDT, "ipc0"},
    {KEDGE_RESET_TASK_WDT, "worker"},
};

static const char *task_of(enum kedge_reset reason)
{
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
        if (crashes[i].reason == reason) {
            return crashes[i].task;
        }
    }
    return NULL;
}

/* The same build crashes at the same place. */
static void fill(struct sim_board *board, const char *task, uint8_t dump[DUMP_SIZE])
{
    const struct kedge_app_desc *desc = &board->status.running;
    char elf[2 * KEDGE_SHA256_SIZE + 1];
    uint32_t pc = CODE_BASE + (kedge_get_le32(desc->elf_sha256) & 0x3FFFCu) + (uint8_t)task[0];

    memset(dump, 0, HEADER_SIZE);
    kedge_put_le32(dump, DUMP_SIZE);
    kedge_put_le32(dump + 4, DUMP_MAGIC);
    kedge_put_le32(dump + 8, pc);
    kedge_put_le32(dump + 12, BACKTRACE);
    for (uint32_t i = 0; i < BACKTRACE; i++) {
        kedge_put_le32(dump + 16 + 4 * i, pc + 0x40u * i);
    }
    memcpy(dump + TASK_AT, task, strlen(task));
    kedge_hex_encode(desc->elf_sha256, KEDGE_SHA256_SIZE, elf);
    memcpy(dump + ELF_AT, elf, ELF_DIGITS);
    for (uint32_t at = HEADER_SIZE; at < CHECKED_SIZE; at += 4) {
        kedge_put_le32(dump + at, sim_random_u32(&board->random));
    }
    kedge_sha256_of(dump, CHECKED_SIZE, dump + CHECKED_SIZE);
}

/* Power cut inside: a torn dump, whose checksum does not hold. */
void board_write_coredump(struct sim_board *board, enum kedge_reset reason)
{
    struct sim_region region = board->layout.coredump;
    const char *task = task_of(reason);
    uint8_t dump[DUMP_SIZE];

    if (task == NULL || region.size < DUMP_SIZE) {
        return;
    }
    fill(board, task, dump);
    for (uint32_t at = 0; at < DUMP_SIZE; at += SIM_FLASH_SECTOR_SIZE) {
        uint32_t rest = DUMP_SIZE - at;
        uint32_t len = rest < SIM_FLASH_SECTOR_SIZE ? rest : SIM_FLASH_SECTOR_SIZE;

        if (sim_flash_erase(board->flash, region.offset + at) != KEDGE_OK ||
            sim_flash_write(board->flash, region.offset + at, dump + at, len) != KEDGE_OK) {
            return;
        }
    }
}

/* ---- the agent's platform ---- */

static bool read_dump(struct sim_board *board, uint8_t dump[DUMP_SIZE])
{
    struct sim_region region = board->layout.coredump;
    uint8_t sha[KEDGE_SHA256_SIZE];

    if (region.size < DUMP_SIZE ||
        sim_flash_read(board->flash, region.offset, dump, 8) != KEDGE_OK ||
        kedge_get_le32(dump) != DUMP_SIZE || kedge_get_le32(dump + 4) != DUMP_MAGIC ||
        sim_flash_read(board->flash, region.offset, dump, DUMP_SIZE) != KEDGE_OK) {
        return false;
    }
    kedge_sha256_of(dump, CHECKED_SIZE, sha);
    return memcmp(sha, dump + CHECKED_SIZE, sizeof sha) == 0;
}

static bool crash_describe(void *ctx, struct kedge_crash *out)
{
    uint8_t dump[DUMP_SIZE];

    if (!read_dump(ctx, dump)) {
        return false;
    }
    *out = (struct kedge_crash){
        .size_bytes = DUMP_SIZE,
        .pc = kedge_get_le32(dump + 8),
        .backtrace_count = BACKTRACE,
    };
    for (uint32_t i = 0; i < BACKTRACE; i++) {
        out->backtrace[i] = kedge_get_le32(dump + 16 + 4 * i);
    }
    memcpy(out->task, dump + TASK_AT, FIELD_SIZE);
    memcpy(out->elf_sha256, dump + ELF_AT, FIELD_SIZE);
    return true;
}

static enum kedge_err crash_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    struct sim_board *board = ctx;

    if (len > DUMP_SIZE || offset > DUMP_SIZE - len) {
        return KEDGE_ERR_RANGE;
    }
    return sim_flash_read(board->flash, board->layout.coredump.offset + offset, out, len);
}

/* The first sector holds the length: without it there is no dump. */
static enum kedge_err crash_erase(void *ctx)
{
    struct sim_board *board = ctx;

    return sim_flash_erase(board->flash, board->layout.coredump.offset);
}

const struct kedge_plat_crash board_crash_ops = {
    .describe = crash_describe, .read = crash_read, .erase = crash_erase};
