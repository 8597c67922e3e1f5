/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cjson/cJSON.h>

#include "cli.h"
#include "host/buf.h"

/* kedged's admin API over HTTPS, verified against the data folder's CA. Whatever goes wrong is said
 * to the user, with what to do next; the exit code is the verb's. */
struct cli_api;

/** Reads address, CA and token from the data folder. */
enum cli_exit cli_api_open(const char *data, struct cli_api **api);
/** NULL is fine. */
void cli_api_close(struct cli_api *api);

/** One request: path + segment (percent-encoded; may be NULL) + suffix (may be NULL). */
struct cli_request {
    const char *method; /**< "GET" or "POST" */
    const char *path;
    const char *segment;
    const char *suffix;
    const cJSON *body; /**< borrowed; NULL = none */
};

/** *answer (owned by the caller, NULL when the body is empty) is set on CLI_OK only. A 404 is
 *  CLI_NOT_FOUND. */
enum cli_exit cli_api_call(struct cli_api *api, const struct cli_request *request, cJSON **answer);

/** As above, but a status among accepted is no error: *status tells. */
enum cli_exit cli_api_call_status(struct cli_api *api, const struct cli_request *request,
                                  long accepted, long *status, cJSON **answer);

/** GET of something that is not JSON into bytes (initialised here; free it in any case). */
enum cli_exit cli_api_fetch(struct cli_api *api, const struct cli_request *request,
                            struct host_buf *bytes);

/** POST of a file's bytes with the header X-Release-Notes (when notes is not NULL), with a progress
 *  bar when stderr is a terminal. *status: 201 when it is new, 200 when kedged had it. */
enum cli_exit cli_api_upload(struct cli_api *api, const char *path, const char *file,
                             const char *notes, long *status, cJSON **answer);

/** `{open, call, print or show, close}` for verbs that do just that. show is called with the answer
 *  unless --json was given; may be NULL. */
enum cli_exit cli_api_run(const struct cli_call *call, const struct cli_request *request,
                          void (*show)(const cJSON *answer));

/** The answer as one line of JSON. */
void cli_print_json(const cJSON *json);
