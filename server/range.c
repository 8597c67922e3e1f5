/* SPDX-License-Identifier: Apache-2.0 */
#include "range.h"

#include <string.h>
#include <strings.h>

/* Digits at *text, moved behind them; false when there are none or too many. */
static bool take_number(const char **text, uint64_t *out)
{
    const char *p = *text;
    uint64_t value = 0;
    while (*p >= '0' && *p <= '9') {
        if (p - *text >= 18) {
            return false;
        }
        value = value * 10u + (uint64_t)(*p++ - '0');
    }
    bool any = p != *text;
    *text = p;
    *out = value;
    return any;
}

static enum srv_range suffix(const char *text, uint64_t size, uint64_t *first, uint64_t *last)
{
    uint64_t count;
    if (!take_number(&text, &count) || *text != '\0') {
        return SRV_RANGE_MALFORMED;
    }
    if (count == 0 || size == 0) {
        return SRV_RANGE_UNSATISFIABLE;
    }
    *first = count < size ? size - count : 0;
    *last = size - 1u;
    return SRV_RANGE_PART;
}

enum srv_range srv_range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *last)
{
    static const char unit[] = "bytes=";
    uint64_t from;
    uint64_t to = UINT64_MAX;
    if (strncasecmp(text, unit, sizeof unit - 1u) != 0) {
        return strchr(text, '=') != NULL && text[0] != '=' ? SRV_RANGE_WHOLE : SRV_RANGE_MALFORMED;
    }
    text += sizeof unit - 1u;
    if (strchr(text, ',') != NULL) {
        return SRV_RANGE_WHOLE;
    }
    if (*text == '-') {
        return suffix(text + 1, size, first, last);
    }
    if (!take_number(&text, &from) || *text++ != '-') {
        return SRV_RANGE_MALFORMED;
    }
    if (*text != '\0' && (!take_number(&text, &to) || *text != '\0' || to < from)) {
        return SRV_RANGE_MALFORMED;
    }
    if (from >= size) {
        return SRV_RANGE_UNSATISFIABLE;
    }
    *first = from;
    *last = to < size ? to : size - 1u;
    return SRV_RANGE_PART;
}

bool srv_range_parse_content(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
    static const char unit[] = "bytes ";
    if (strncasecmp(text, unit, sizeof unit - 1u) != 0) {
        return false;
    }
    text += sizeof unit - 1u;
    return take_number(&text, first) && *text++ == '-' && take_number(&text, last) &&
           *text++ == '/' && take_number(&text, total) && *text == '\0' && *first <= *last &&
           *last < *total;
}
