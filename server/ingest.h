/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/loop.h"
#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * MQTT ingest: subscribe at QoS 1 with a persistent session, hand each message to the sink, commit
 * in batches, PUBACK only after COMMIT. That is why it is not built on libmosquitto, which writes
 * the PUBACK before its callback runs.
 */

/** Where messages go. accept may keep nothing of its arguments. */
struct srv_ingest_sink {
    /** One message into the open batch (the sink opens it when needed). A message that is malformed
     *  is counted and dropped by the sink: it returns OK, so that it is acknowledged and not sent
     *  again for ever. Errors: IO, NO_SPACE: nothing is acknowledged, the connection is dropped and
     *  retried with back-off. */
    enum kedge_err (*accept)(void *ctx, const char *topic, struct kedge_cspan payload,
                             bool duplicate);
    /** Make the batch durable. */
    enum kedge_err (*commit)(void *ctx);
    /** The connection to the broker came up or went down. */
    void (*link)(void *ctx, bool up);
};

/** Strings are borrowed for the ingest's life. */
struct srv_ingest_config {
    const char *broker_host;
    uint16_t broker_port;
    const char *ca_file, *cert_file, *key_file;
    const char *client_id;     /**< fixed: the session is persistent */
    const char *const *topics; /**< NULL-terminated: "devices/+/telemetry", … */
    uint32_t batch_messages;   /**< commit at so many, */
    uint32_t batch_ms;         /**< or so long after the first */
};

struct srv_ingest; /* owned by whoever created it */

struct srv_ingest *srv_ingest_create(struct host_loop *loop, const struct srv_ingest_config *config,
                                     const struct srv_ingest_sink *sink, void *sink_ctx);
/** QoS 1 publish over the same connection; kept in memory until the broker's PUBACK, at most 64.
 *  Errors: BUSY (no link, or queue full), TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err srv_ingest_publish(struct srv_ingest *ingest, const char *topic,
                                                  struct kedge_cspan payload);
/** Commits what is open, acknowledges, DISCONNECT. */
void srv_ingest_destroy(struct srv_ingest *ingest);

struct srv_ingest_stats {
    bool connected;
    uint64_t received, acknowledged, duplicates, batches, reconnects;
};
void srv_ingest_stats(const struct srv_ingest *ingest, struct srv_ingest_stats *out);
