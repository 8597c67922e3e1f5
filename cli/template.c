/* SPDX-License-Identifier: Apache-2.0 */
#include "template.h"

#include <string.h>

static const char *find_text(const char *name)
{
    for (const struct cli_template *row = cli_templates; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) {
            return row->text;
        }
    }
    return NULL;
}

static const char *find_value(const struct cli_template_value *values, const char *name, size_t len)
{
    for (; values->name != NULL; values++) {
        if (strlen(values->name) == len && memcmp(values->name, name, len) == 0) {
            return values->value;
        }
    }
    return NULL;
}

enum kedge_err cli_template_fill(const char *name, const struct cli_template_value *values,
                                 struct host_buf *out)
{
    const char *text = find_text(name);
    if (text == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    while (*text != '\0') {
        size_t plain = strcspn(text, "@");
        host_buf_append(out, text, plain);
        text += plain;
        if (*text == '\0') {
            break;
        }
        size_t len = strcspn(text + 1, "@");
        const char *value = find_value(values, text + 1, len);
        if (value == NULL) {
            return KEDGE_ERR_NOT_FOUND;
        }
        host_buf_printf(out, "%s", value);
        text += len + 2;
    }
    return KEDGE_OK;
}
