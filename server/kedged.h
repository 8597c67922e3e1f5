/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/log.h"
#include "host/option.h"

/** kedged's configuration: one row per field in config.c. srv_config_load leaves all paths
 *  absolute; what was relative was taken from the data folder. */
struct srv_config {
    char *data;             /**< data folder: kedge.db, releases/, lock */
    char *listen_device;    /**< "0.0.0.0:8443" */
    char *listen_admin;     /**< "127.0.0.1:8444" */
    char *tls_ca;           /**< "pki/ca.crt": device certificates are checked against it */
    char *tls_cert;         /**< "pki/server.crt" */
    char *tls_key;          /**< "pki/server.key" */
    char *admin_token_file; /**< "admin.token" */
    char *project;          /**< project name an uploaded image must carry; NULL = any */
    char *broker;           /**< "127.0.0.1:8883"; NULL or "" = no ingest */
    char *broker_ca, *broker_cert, *broker_key; /**< "pki/ca.crt", "pki/svc-ingest.crt", ….key */
    uint64_t poll_interval_ms;                  /**< told to devices by X-Poll-After */
    uint64_t slot_size;                         /**< largest image accepted: 0x1B1000 */
    uint64_t telemetry_keep_ms;                 /**< raw telemetry older than that is pruned */
    char *log_level;                            /**< error, warn, info, debug */

    /* Flags only. */
    char *config_file; /**< NULL = DATA/kedged.conf when it exists */
    bool check_config, help, version;
};

extern const struct host_option_set srv_config_options;
/** Defaults, file, environment, flags, in that order, then checks and absolute paths. With --help
 *  or --version the file is not read. Every fault is printed to err. Free *config in any case.
 *  Errors: SYNTAX, NOT_FOUND, TOO_LARGE, IO. */
KEDGE_NODISCARD enum kedge_err srv_config_load(struct srv_config *config, int argc, char **argv,
                                               FILE *err);
void srv_config_free(struct srv_config *config);
/** Errors: SYNTAX. */
KEDGE_NODISCARD enum kedge_err srv_config_log_level(const char *text, enum host_log_level *out);

/* Application seams that main.c wires together: the domain (core.c) behind three faces. */
struct host_loop;
struct srv_app;
struct srv_ingest;
struct srv_ingest_sink;
struct srv_core; /* releases, devices, rollouts, audit; owns the store */

/** Open the data folder (refused when another kedged has it), migrate, load. NULL after logging the
 *  reason and what to do. config is borrowed. */
struct srv_core *srv_core_open(struct host_loop *loop, const struct srv_config *config);
/** From now on polls are told to come back (503, Retry-After): call it when the shutdown begins. */
void srv_core_stop(struct srv_core *core);
/** Flush and close. */
void srv_core_close(struct srv_core *core);
/** The two HTTP applications; valid while core is open. */
const struct srv_app *srv_core_device_app(struct srv_core *core);
const struct srv_app *srv_core_admin_app(struct srv_core *core);
/** Sink for telemetry; ctx is core. */
extern const struct srv_ingest_sink srv_core_sink;
/** For commands to devices and for /api/v1/status; may be NULL. */
void srv_core_set_ingest(struct srv_core *core, struct srv_ingest *ingest);
