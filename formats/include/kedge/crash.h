/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The evidence of a crash: what POST /crash says of the core dump that /crash/dump then carries. */

#define KEDGE_CRASH_BACKTRACE_MAX 16u
#define KEDGE_CRASH_TASK_SIZE     17u /**< 16 characters, a FreeRTOS task's name, and NUL */
#define KEDGE_CRASH_ELF_SIZE      65u /**< 64 hex digits and NUL */

/** What a core dump says of itself. Texts end with NUL. */
struct kedge_crash {
    uint32_t size_bytes; /**< of the dump as it is stored; not 0 */
    /** Of these bytes: the crash's identity. Filled by the agent. */
    uint8_t sha256[KEDGE_SHA256_SIZE];
    /** Of this boot, or UNKNOWN where it was no crash: the dump is older. Filled by the agent. */
    enum kedge_reset reset_reason;
    char task[KEDGE_CRASH_TASK_SIZE]; /**< that crashed; "" = unknown */
    uint32_t pc;                      /**< 0 = unknown */
    /** app_elf_sha256 of the build that crashed in lower-case hex, or its beginning: ESP-IDF keeps
     *  CONFIG_APP_RETRIEVE_LEN_ELF_SHA characters. "" = unknown. */
    char elf_sha256[KEDGE_CRASH_ELF_SIZE];
    uint32_t backtrace_count;
    uint32_t backtrace[KEDGE_CRASH_BACKTRACE_MAX]; /**< innermost first */
    /** Version that runs now, the reporter's. Filled by the agent. */
    char firmware[KEDGE_DESC_STRING_SIZE];
};

/** JSON with NUL into out; KEDGE_MESSAGE_MAX always suffices. What is unknown stays out. Errors:
 *  ARG (a field that the parser would refuse), NO_SPACE. */
KEDGE_NODISCARD enum kedge_err kedge_crash_encode(const struct kedge_crash *crash, char *out,
                                                  size_t out_size, size_t *len_out);
/** Required: size, sha256, reset_reason, firmware. A reset reason that we do not know is UNKNOWN.
 *  Errors: SYNTAX, NOT_FOUND, RANGE, TOO_LARGE; fault->what names the member. */
KEDGE_NODISCARD enum kedge_err kedge_crash_parse(struct kedge_cspan json, struct kedge_crash *out,
                                                 struct kedge_fault *fault);

#ifdef __cplusplus
}
#endif
