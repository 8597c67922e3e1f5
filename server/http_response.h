/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http.h"

/* The engine's side of struct srv_response, and the route table. */

/** An empty response, status 0, that owns nothing yet. */
void srv_response_init(struct srv_response *response);
/** Release buffers and the mapping. Does not call progress. */
void srv_response_free(struct srv_response *response);
/** Drop one reference; frees at 0. NULL is fine. */
void srv_mapping_release(struct srv_mapping *mapping);

/** What a handler left behind made fit to send: a response without status, with a buffer that
 *  overflowed or with a range outside its mapping becomes a 500. */
void srv_response_settle(struct srv_response *response);
/** Body bytes that a GET gets. */
size_t srv_response_body_len(const struct srv_response *response);
/** Status line and all headers with the blank line, appended to out. unix_time_s is for Date. */
void srv_response_encode_head(const struct srv_response *response, bool keep_alive,
                              int64_t unix_time_s, struct host_buf *out);

/** Route of app for a request; its "*" part goes to param (size bytes). NULL: response holds 404,
 *  405 with Allow, or 414. */
const struct srv_route *srv_route_find(const struct srv_app *app, const struct srv_request *request,
                                       char *param, size_t size, struct srv_response *response);
const char *srv_method_name(enum srv_method method);
