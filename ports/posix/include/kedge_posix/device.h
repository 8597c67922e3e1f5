/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/loop.h"
#include "kedge/agent.h"

/*
 * Runs agents on a POSIX host: libcurl for HTTPS, libmosquitto for MQTT, both driven by one
 * host_loop, so that one process holds hundreds of devices. Single thread.
 */

/** What all devices of a loop share. Owned by whoever created it. */
struct kedge_posix_net;

/** Aborts when libcurl or libmosquitto cannot start. loop is borrowed. */
struct kedge_posix_net *kedge_posix_net_create(struct host_loop *loop);
/** All devices must have been destroyed. NULL is fine. */
void kedge_posix_net_destroy(struct kedge_posix_net *net);

/** Counted while a device lives; kept by the caller, so that they outlive its power cycles. */
struct kedge_posix_stats {
    uint64_t downloads;      /**< firmware responses with 200 or 206 that began */
    uint64_t download_bytes; /**< body bytes of those */
    uint64_t http_failures;  /**< requests that ended in HTTP_FAILED */
    uint64_t mqtt_connects;  /**< connections that came up */
};

/** Strings, ops and stats are borrowed for the device's life. */
struct kedge_posix_config {
    const struct kedge_config *agent;
    const struct kedge_plat *plat;
    const char *server_url; /**< "https://127.0.0.1:8443", without a path */
    const char *broker_host;
    uint16_t broker_port;
    const char *ca_file; /**< NULL = no TLS at all, http and plain MQTT: for tests */
    const char *cert_file;
    const char *key_file;
    bool no_broker;                  /**< the broker cannot be reached */
    bool no_server;                  /**< the OTA server cannot be reached */
    struct kedge_posix_stats *stats; /**< may be NULL */
    /** The agent wants to restart; it is not stepped any more. The callback may destroy the device.
     */
    void (*on_reboot)(void *ctx);
    /** After each step, before its action is carried out: the place to notice that the power
     *  failed, and to destroy the device then. May be NULL. */
    void (*after_step)(void *ctx);
    void *ctx;
};

struct kedge_posix_device; /* owned by whoever created it */

/** Start a device: BOOT and NET_UP follow from the loop. Errors: those of kedge_agent_init. */
KEDGE_NODISCARD enum kedge_err kedge_posix_device_create(struct kedge_posix_net *net,
                                                         const struct kedge_posix_config *config,
                                                         struct kedge_posix_device **out);
/** Safe at any time, from within its own callbacks too: no callback comes any more and nothing is
 *  sent; connections break without a good-bye. NULL is fine. */
void kedge_posix_device_destroy(struct kedge_posix_device *device);
/** The main task hangs: the agent is not stepped any more, connections stay up. */
void kedge_posix_device_freeze(struct kedge_posix_device *device);
enum kedge_state kedge_posix_device_state(const struct kedge_posix_device *device);
