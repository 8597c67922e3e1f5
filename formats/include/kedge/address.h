/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a device names its server and its broker. Whether there is such a host, the resolver knows.
 */
#define KEDGE_HOST_MAX_LEN 127u

/** Host name or IPv4 address, len bytes: dot-separated labels of A-Za-z0-9-, none of which begins
 *  or ends with '-'. */
bool kedge_host_ok(const char *text, size_t len);

/** https://host or https://host:port, nothing behind it: the paths are the agent's, and a user in
 *  front would be ignored. */
bool kedge_server_url_ok(const char *text);

#ifdef __cplusplus
}
#endif
