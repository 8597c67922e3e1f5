/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

/* Numbers from text. The whole text must be used; no white space, no sign unless signed. */

/** Decimal or 0x hex in [min, max]. Errors: SYNTAX, RANGE. */
KEDGE_NODISCARD enum kedge_err host_parse_u64(const char *text, uint64_t min, uint64_t max,
                                              uint64_t *out);
/** "500ms", "30s", "10m", "2h", "7d" as milliseconds. A bare number is an error. */
KEDGE_NODISCARD enum kedge_err host_parse_duration_ms(const char *text, uint64_t *out);
/** "4096", "0x1B1000", "64K", "16M", "1G" (powers of 1024) as bytes. */
KEDGE_NODISCARD enum kedge_err host_parse_size(const char *text, uint64_t *out);
/** "host:port", "[v6]:port"; host into out. Port 0 passes: a listener's "any". Errors: SYNTAX,
 * RANGE, TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err host_parse_address(const char *text, char *host, size_t host_size,
                                                  uint16_t *port);
