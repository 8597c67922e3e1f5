/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core.h"

/* What both APIs and the upload read from a request. */

/** X-Actor, or "admin"; out holds SRV_ACTOR_SIZE. */
void srv_request_actor(const struct srv_request *request, char *out);
/** One or more characters from ' ' to '~'. */
bool srv_is_printable(const char *text);
