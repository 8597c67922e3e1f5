/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/json.h"

/* What the messages share: reading a member and saying in the fault which one was wrong. */

/* Records err for member name in *fault (may be NULL) and returns err. */
enum kedge_err message_fail(struct kedge_fault *fault, enum kedge_err err, const char *name);

/* Parses an object of at most KEDGE_MESSAGE_MAX bytes. Errors: as kedge_json_parse. */
enum kedge_err message_open(struct kedge_cspan bytes, struct kedge_json *json,
                            struct kedge_fault *fault);

/* Unsigned integer up to max. Errors: NOT_FOUND, SYNTAX, RANGE. */
enum kedge_err message_get_u32(const struct kedge_json *json, const char *name, uint32_t max,
                               uint32_t *out, struct kedge_fault *fault);

/* Version text: printable ASCII, at most KEDGE_DESC_STRING_SIZE - 1. Errors: NOT_FOUND, SYNTAX,
 * RANGE, TOO_LARGE. */
enum kedge_err message_get_version(const struct kedge_json *json, const char *name, char *out,
                                   struct kedge_fault *fault);
/* What message_get_version takes; text is bounded by KEDGE_DESC_STRING_SIZE, NUL included. */
bool message_version_ok(const char *text);

/* Index of a string member in texts; -1 for a text that is not there. Errors: NOT_FOUND, SYNTAX. */
enum kedge_err message_get_choice(const struct kedge_json *json, const char *name,
                                  const char *const *texts, size_t count, int *out,
                                  struct kedge_fault *fault);
