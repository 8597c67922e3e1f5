/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core.h"

/* What the admin API reads: JSON bodies, by tables of fields, and numbers of a query. */
enum srv_field_kind {
    SRV_FIELD_TEXT,
    SRV_FIELD_COUNT,
    SRV_FIELD_BOOL
};

/* One member of a body: where it goes and what it may be. */
struct srv_field {
    const char *name;
    enum srv_field_kind kind;
    void *out; /* char[size], uint64_t or bool */
    size_t size;
    uint64_t min, max;
    bool is_required;
};

/** Fills the fields from the request's body, one flat JSON object; a member that is not there
 * leaves its field as it is. Unknown, repeated, missing and ill-typed members are refused by name
 * (400). */
bool srv_body_parse(const struct srv_request *request, const struct srv_field *fields, size_t count,
                    struct srv_refusal *refusal);

#define SRV_LIST_LIMIT_DEFAULT 100u
#define SRV_LIST_LIMIT_MAX     1000u

/** ?name=number up to max; fallback when it is not there. false: response says what is wrong. */
bool srv_query_number(const struct srv_request *request, const char *name, uint64_t max,
                      uint64_t fallback, uint64_t *out, struct srv_response *response);
