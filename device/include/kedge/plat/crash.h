/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/crash.h"
#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The core dump that the last crash left in flash. The agent asks once per boot, when nothing else
 * is to be done, and never during a download or a trial. All calls block for as long as the flash
 * takes.
 */
struct kedge_plat_crash {
    /** The dump that flash holds, whole and intact: size_bytes, task, pc, elf_sha256 and backtrace
     *  of *out, the rest is the agent's. False (*out untouched): there is none. */
    bool (*describe)(void *ctx, struct kedge_crash *out);
    /** len bytes at offset of the dump as it is stored, any alignment. Errors: RANGE, IO. */
    KEDGE_NODISCARD enum kedge_err (*read)(void *ctx, uint32_t offset, void *out, uint32_t len);
    /** The server has it: make room for the next. A cut within leaves it, or none. Errors: IO. */
    KEDGE_NODISCARD enum kedge_err (*erase)(void *ctx);
};

#ifdef __cplusplus
}
#endif
