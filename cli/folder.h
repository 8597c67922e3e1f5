/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>

#include "host/buf.h"

/* The data folder that `kedge init` lays out and that the other verbs read. */

#define CLI_CA_CERT  "pki/ca.crt"
#define CLI_CA_KEY   "pki/ca.key"
#define CLI_CONFIG   "kedged.conf"
#define CLI_TOKEN    "admin.token"
#define CLI_DEVICES  "pki/devices"
#define CLI_KEY_MODE 0600u

/** A path in the data folder. */
struct cli_path {
    char text[PATH_MAX];
};

/** dir/name. Errors, said to the user: TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err cli_path_in(struct cli_path *path, const char *dir,
                                           const char *name);
/** Files of pki/: dir/folder/stem.suffix. Errors, said to the user: TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err cli_path_pki(struct cli_path *path, const char *dir,
                                            const char *folder, const char *stem,
                                            const char *suffix);

/** A folder that is there, and nothing in it. */
bool cli_is_empty_folder(const char *path);

/** What the CLI needs of kedged.conf; the rest of it is kedged's. */
struct cli_settings {
    char *listen_admin;
    char *listen_device;
    char *broker;
    char *tls_ca;
    char *admin_token_file;
};

/** Errors, said to the user with what to do: NOT_FOUND, SYNTAX, IO. */
KEDGE_NODISCARD enum kedge_err cli_settings_read(const char *dir, struct cli_settings *settings);
void cli_settings_free(struct cli_settings *settings);
