/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"

/* What `kedge init --host` says, as the certificates and the configuration need it. */
struct cli_names {
    struct host_buf alt_names; /**< "DNS:localhost,IP:127.0.0.1,…" */
    struct host_buf domains;   /**< "localhost,example.com": what the CA may name */
    bool loopback_only;        /**< nothing but this machine was named */
};

/** Comma-separated DNS names and IP addresses; localhost, 127.0.0.1 and ::1 are always added.
 *  Errors, said to the user: SYNTAX. Free it in any case. */
KEDGE_NODISCARD enum kedge_err cli_names_parse(const char *hosts, struct cli_names *names);
void cli_names_free(struct cli_names *names);
