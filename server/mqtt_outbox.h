/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"
#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * Messages at QoS 1 on their way to the broker: kept until its PUBACK, and over any number of
 * connections (MQTT 3.1.1, 4.3.2 and 4.4).
 */
#define SRV_OUTBOX_MAX      64u
#define SRV_OUTBOX_FIRST_ID 2u /**< 1 is the SUBSCRIBE's */

struct srv_outbox_message {
    uint16_t id; /* 0 = free */
    char *topic;
    uint8_t *payload;
    size_t payload_len;
};

/** Zero-initialised = empty. */
struct srv_outbox {
    struct srv_outbox_message messages[SRV_OUTBOX_MAX];
    uint16_t last_id;
};

/** Keep a copy, and append the PUBLISH to out. Errors: BUSY (full), TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err srv_outbox_add(struct srv_outbox *outbox, const char *topic,
                                              struct kedge_cspan payload, struct host_buf *out);
/** The PUBACK came; an id that is not kept any more is fine. */
void srv_outbox_acknowledge(struct srv_outbox *outbox, uint16_t id);
/** Append all that is kept, marked as duplicates. Errors: TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err srv_outbox_resend(const struct srv_outbox *outbox,
                                                 struct host_buf *out);
void srv_outbox_deinit(struct srv_outbox *outbox);
