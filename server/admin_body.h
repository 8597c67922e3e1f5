/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core.h"

/* JSON bodies of the admin API, read by tables of fields. */
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
