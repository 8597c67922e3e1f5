/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/address.h"
#include "provision.h"

/* Who a device is and whom it talks to, from the command line and from the file with what the whole
 * fleet has in common. */
struct cli_provision_source {
    const char *id;
    const char *server;
    const char *broker;       /**< host or host:port; NULL = not said */
    const char *path;         /**< --settings: like a device.json; NULL = none */
    const char *local_broker; /**< where kedged.conf has the broker */
};

/** Errors are said to the user, those of the file with their lines. */
enum cli_exit cli_provision_settings(const struct cli_provision_source *source,
                                     struct cli_device_settings *out);
/** The host of a URL that kedge_server_url_ok takes. */
void cli_provision_server_host(const char *url, char out[KEDGE_HOST_MAX_LEN + 1]);
