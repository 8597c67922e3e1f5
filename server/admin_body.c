/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_body.h"

#include <string.h>

#include "host/parse.h"
#include "request.h"

static bool take_text(const struct srv_field *field, const cJSON *item, struct srv_refusal *refusal)
{
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= field->size ||
        (item->valuestring[0] != '\0' && !srv_is_printable(item->valuestring))) {
        return srv_refuse(refusal, 400, "%s: expected a text of at most %zu printable characters",
                          field->name, field->size - 1u);
    }
    memcpy(field->out, item->valuestring, strlen(item->valuestring) + 1u);
    return true;
}

static bool take_count(const struct srv_field *field, const cJSON *item,
                       struct srv_refusal *refusal)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= (double)field->min && value <= (double)field->max) ||
        (double)(uint64_t)value != value) {
        return srv_refuse(refusal, 400, "%s: expected a whole number from %llu to %llu",
                          field->name, (unsigned long long)field->min,
                          (unsigned long long)field->max);
    }
    *(uint64_t *)field->out = (uint64_t)value;
    return true;
}

static bool take_field(const struct srv_field *field, const cJSON *item,
                       struct srv_refusal *refusal)
{
    switch (field->kind) {
    case SRV_FIELD_TEXT:
        return take_text(field, item, refusal);
    case SRV_FIELD_COUNT:
        return take_count(field, item, refusal);
    case SRV_FIELD_BOOL:
        if (!cJSON_IsBool(item)) {
            return srv_refuse(refusal, 400, "%s: expected true or false", field->name);
        }
        *(bool *)field->out = cJSON_IsTrue(item);
        return true;
    }
    return false;
}

static const struct srv_field *find_field(const struct srv_field *fields, size_t count,
                                          const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* Members that we do not know are errors: a misspelt limit must not be a limit that is not there.
 */
static bool take_object(const cJSON *json, const struct srv_field *fields, size_t count,
                        struct srv_refusal *refusal)
{
    for (const cJSON *item = json->child; item != NULL; item = item->next) {
        const struct srv_field *field = find_field(fields, count, item->string);
        if (field == NULL) {
            return srv_refuse(refusal, 400, "unknown member \"%.64s\"", item->string);
        }
        if (cJSON_GetObjectItemCaseSensitive(json, item->string) != item) {
            return srv_refuse(refusal, 400, "member \"%s\" is given twice", item->string);
        }
        if (!take_field(field, item, refusal)) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].is_required &&
            cJSON_GetObjectItemCaseSensitive(json, fields[i].name) == NULL) {
            return srv_refuse(refusal, 400, "member \"%s\" is missing", fields[i].name);
        }
    }
    return true;
}

bool srv_body_parse(const struct srv_request *request, const struct srv_field *fields, size_t count,
                    struct srv_refusal *refusal)
{
    const char *text = (const char *)request->body.data;
    const char *end = NULL;
    cJSON *json =
        request->body.len > 0 ? cJSON_ParseWithLengthOpts(text, request->body.len, &end, 0) : NULL;
    bool ok = false;
    if (json == NULL) {
        (void)srv_refuse(refusal, 400, "the body is not JSON: error at offset %zu",
                         end != NULL ? (size_t)(end - text) : 0);
    } else if (!cJSON_IsObject(json) ||
               strspn(end, " \t\r\n") < request->body.len - (size_t)(end - text)) {
        (void)srv_refuse(refusal, 400, "the body must be one JSON object");
    } else {
        ok = take_object(json, fields, count, refusal);
    }
    cJSON_Delete(json);
    return ok;
}

bool srv_query_number(const struct srv_request *request, const char *name, uint64_t max,
                      uint64_t fallback, uint64_t *out, struct srv_response *response)
{
    char text[32];
    enum kedge_err err = srv_request_query(request, name, text, sizeof text);
    if (err == KEDGE_ERR_NOT_FOUND) {
        *out = fallback;
        return true;
    }
    if (err != KEDGE_OK || host_parse_u64(text, 0, max, out) != KEDGE_OK) {
        srv_response_error(response, 400, "%s: expected a number up to %llu", name,
                           (unsigned long long)max);
        return false;
    }
    return true;
}
