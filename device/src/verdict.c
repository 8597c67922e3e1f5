/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

/* A button, a debugger: not the image's doing, and as little as a power cut is. */
static bool is_from_outside(enum kedge_reset reason)
{
    return reason == KEDGE_RESET_EXT || reason == KEDGE_RESET_SDIO || reason == KEDGE_RESET_USB ||
           reason == KEDGE_RESET_JTAG;
}

enum kedge_cause verdict_cause_of_reset(enum kedge_reset reason)
{
    if (kedge_reset_is_power(reason) || is_from_outside(reason)) {
        return KEDGE_CAUSE_POWER;
    }
    if (reason == KEDGE_RESET_PANIC || reason == KEDGE_RESET_CPU_LOCKUP) {
        return KEDGE_CAUSE_PANIC;
    }
    return kedge_reset_is_crash(reason) ? KEDGE_CAUSE_WATCHDOG : KEDGE_CAUSE_RESTART;
}

enum blame {
    BLAME_IMAGE,
    BLAME_POWER,
    BLAME_OPEN,
    BLAME_INFRASTRUCTURE
};

static enum blame blame_of(enum kedge_cause cause)
{
    switch (cause) {
    case KEDGE_CAUSE_POWER:
        return BLAME_POWER;
    case KEDGE_CAUSE_NETWORK:
    case KEDGE_CAUSE_SERVER:
    case KEDGE_CAUSE_BROKER:
        return BLAME_OPEN;
    case KEDGE_CAUSE_INFRASTRUCTURE:
        return BLAME_INFRASTRUCTURE;
    case KEDGE_CAUSE_NONE:
    case KEDGE_CAUSE_PANIC:
    case KEDGE_CAUSE_WATCHDOG:
    case KEDGE_CAUSE_RESTART:
    case KEDGE_CAUSE_STORAGE:
    case KEDGE_CAUSE_HEAP:
    case KEDGE_CAUSE_SELF_TEST:
    case KEDGE_CAUSE_NOT_BOOTABLE:
    case KEDGE_CAUSE_REARM_LIMIT:
    case KEDGE_CAUSE_HASH:
    case KEDGE_CAUSE_IMAGE:
    case KEDGE_CAUSE_CHIP:
    case KEDGE_CAUSE_PROJECT:
    case KEDGE_CAUSE_VERSION:
    case KEDGE_CAUSE_SECURE_VERSION:
    case KEDGE_CAUSE_SIZE:
    case KEDGE_CAUSE_FLASH:
    case KEDGE_CAUSE_VETO:
    case KEDGE_CAUSE_KNOWN_BAD:
    case KEDGE_CAUSE_NO_ROLLBACK:
    case KEDGE_CAUSE_COUNT:
        break;
    }
    return BLAME_IMAGE;
}

static enum verdict rearm(const struct verdict_input *in)
{
    return in->rearms < in->rearm_max ? VERDICT_REARM : VERDICT_REARM_LIMIT;
}

enum verdict verdict_decide(const struct verdict_input *in)
{
    switch (blame_of(in->cause)) {
    case BLAME_POWER:
        return rearm(in);
    case BLAME_OPEN:
        if (in->connected) {
            return VERDICT_BAD;
        }
        return in->deadline_over ? VERDICT_INFRASTRUCTURE : VERDICT_WAIT;
    case BLAME_INFRASTRUCTURE:
        return in->connected ? rearm(in) : VERDICT_WAIT;
    case BLAME_IMAGE:
        break;
    }
    return VERDICT_BAD;
}
