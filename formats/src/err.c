/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/err.h"

#include <stddef.h>

static const struct {
    int value;
    const char *text;
} errors[] = {
#define X(name, value, text) {value, text},
    KEDGE_ERR_MAP(X)
#undef X
};

const char *kedge_err_text(enum kedge_err err)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].value == (int)err) {
            return errors[i].text;
        }
    }
    return "unknown error";
}
