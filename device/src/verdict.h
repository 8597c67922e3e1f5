/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/message.h"

/* What a failed trial says about the image: pure. */

/** Why a trial ended, from the reset that ended it, where the image did not say so itself. */
enum kedge_cause verdict_cause_of_reset(enum kedge_reset reason);

enum verdict {
    VERDICT_WAIT,           /* not known yet */
    VERDICT_BAD,            /* the image is to blame */
    VERDICT_REARM,          /* it is not: start it again, no second download */
    VERDICT_INFRASTRUCTURE, /* the old image cannot connect either: wait, then re-arm */
    VERDICT_REARM_LIMIT     /* not to blame, but interrupted too often */
};

struct verdict_input {
    enum kedge_cause cause;
    bool connected;     /* the old image reached server and broker since it booted */
    bool deadline_over; /* it had verdict_deadline_ms to do so */
    uint32_t rearms;
    uint32_t rearm_max;
};

enum verdict verdict_decide(const struct verdict_input *in);
