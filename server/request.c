/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <stdio.h>

void srv_request_actor(const struct srv_request *request, char *out)
{
    bool present = false;
    enum kedge_err err = srv_request_header(request, "X-Actor", out, SRV_ACTOR_SIZE, &present);
    if (err != KEDGE_OK || !present || !srv_is_printable(out)) {
        (void)snprintf(out, SRV_ACTOR_SIZE, "admin");
    }
}

bool srv_is_printable(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') {
            return false;
        }
    }
    return text[0] != '\0';
}
