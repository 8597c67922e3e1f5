/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <string.h>
#include <strings.h>

#include "http_parser.h"

static bool is_named(const struct srv_header *header, const char *name)
{
    return header->name.len == strlen(name) &&
           strncasecmp((const char *)header->name.data, name, header->name.len) == 0;
}

static enum kedge_err copy_text(struct kedge_cspan value, char *out, size_t size)
{
    if (value.len >= size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < 0x20 || value.data[i] == 0x7f) {
            return KEDGE_ERR_SYNTAX;
        }
    }
    if (value.len > 0) {
        memcpy(out, value.data, value.len);
    }
    out[value.len] = '\0';
    return KEDGE_OK;
}

enum kedge_err srv_request_header(const struct srv_request *request, const char *name, char *out,
                                  size_t size, bool *present)
{
    const struct srv_header *found = NULL;

    for (uint32_t i = 0; i < request->header_count; i++) {
        if (!is_named(&request->headers[i], name)) {
            continue;
        }
        if (found != NULL) {
            return KEDGE_ERR_DUPLICATE;
        }
        found = &request->headers[i];
    }

    enum kedge_err err =
        copy_text(found == NULL ? (struct kedge_cspan){0} : found->value, out, size);

    if (err == KEDGE_OK) {
        *present = found != NULL;
    }
    return err;
}

/* In a query, '+' stands for a space (application/x-www-form-urlencoded). */
static enum kedge_err decode_value(const char *value, size_t len, char *out, size_t size)
{
    char text[sizeof((struct srv_request *)0)->query];
    size_t len_out = 0;

    if (len >= sizeof text) {
        return KEDGE_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < len; i++) {
        text[i] = value[i];
        if (text[i] == '+') {
            text[i] = ' ';
        }
    }
    return srv_http_percent_decode((struct kedge_cspan){(const uint8_t *)text, len}, out, size,
                                   &len_out);
}

enum kedge_err srv_request_query(const struct srv_request *request, const char *name, char *out,
                                 size_t size)
{
    size_t name_len = strlen(name);

    for (const char *at = request->query; *at != '\0';) {
        size_t len = strcspn(at, "&");

        if (len >= name_len && memcmp(at, name, name_len) == 0 &&
            (len == name_len || at[name_len] == '=')) {
            size_t skip = len == name_len ? name_len : name_len + 1;

            return decode_value(at + skip, len - skip, out, size);
        }
        at += len;
        at += *at == '&';
    }
    return KEDGE_ERR_NOT_FOUND;
}
