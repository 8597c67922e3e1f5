/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet.h"

#include <string.h>

/* A semantic version cut into spans: semver.org 2.0.0. Build metadata has no precedence. */
struct version {
    struct kedge_cspan core[3];
    struct kedge_cspan prerelease; /* len 0 = none */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static struct kedge_cspan span_of(const char *start, const char *end)
{
    return (struct kedge_cspan){.data = (const uint8_t *)start, .len = (size_t)(end - start)};
}

static bool is_numeric(struct kedge_cspan span)
{
    for (size_t i = 0; i < span.len; i++) {
        if (!is_digit((char)span.data[i])) {
            return false;
        }
    }
    return span.len > 0;
}

static bool take_number(const char **text, struct kedge_cspan *out)
{
    const char *p = *text;
    while (is_digit(*p)) {
        p++;
    }
    *out = span_of(*text, p);
    bool leading_zero = out->len > 1 && out->data[0] == '0';
    *text = p;
    return out->len > 0 && !leading_zero;
}

/* Dot-separated identifiers up to a character that cannot belong to them. In a pre-release (strict)
 * numbers must not have leading zeros. */
static bool take_identifiers(const char **text, bool strict, struct kedge_cspan *out)
{
    const char *start = *text;
    const char *p = start;
    for (;;) {
        const char *identifier = p;
        while (is_identifier_char(*p)) {
            p++;
        }
        struct kedge_cspan span = span_of(identifier, p);
        if (span.len == 0 || (strict && span.len > 1 && span.data[0] == '0' && is_numeric(span))) {
            return false;
        }
        if (*p != '.') {
            break;
        }
        p++;
    }
    *out = span_of(start, p);
    *text = p;
    return true;
}

static bool parse(const char *text, struct version *out)
{
    struct kedge_cspan build;
    if (*text == 'v' || *text == 'V') {
        text++;
    }
    for (size_t i = 0; i < 3; i++) {
        if (i > 0 && *text++ != '.') {
            return false;
        }
        if (!take_number(&text, &out->core[i])) {
            return false;
        }
    }
    out->prerelease = (struct kedge_cspan){0};
    if (*text == '-') {
        text++;
        if (!take_identifiers(&text, true, &out->prerelease)) {
            return false;
        }
    }
    if (*text == '+') {
        text++;
        if (!take_identifiers(&text, false, &build)) {
            return false;
        }
    }
    return *text == '\0';
}

static int compare_bytes(struct kedge_cspan a, struct kedge_cspan b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* Numbers without leading zeros: the longer one is larger, whatever its size. */
static int compare_numbers(struct kedge_cspan a, struct kedge_cspan b)
{
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return memcmp(a.data, b.data, a.len);
}

static int compare_identifiers(struct kedge_cspan a, struct kedge_cspan b)
{
    bool a_numeric = is_numeric(a);
    bool b_numeric = is_numeric(b);
    if (a_numeric != b_numeric) {
        return a_numeric ? -1 : 1;
    }
    return a_numeric ? compare_numbers(a, b) : compare_bytes(a, b);
}

static struct kedge_cspan next_identifier(struct kedge_cspan *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->data[len] != '.') {
        len++;
    }
    struct kedge_cspan head = {.data = rest->data, .len = len};
    size_t used = len < rest->len ? len + 1u : len;
    rest->data += used;
    rest->len -= used;
    return head;
}

static int compare_prereleases(struct kedge_cspan a, struct kedge_cspan b)
{
    if (a.len == 0 || b.len == 0) {
        return (a.len == 0) - (b.len == 0); /* a release comes after its pre-releases */
    }
    while (a.len > 0 && b.len > 0) {
        int order = compare_identifiers(next_identifier(&a), next_identifier(&b));
        if (order != 0) {
            return order;
        }
    }
    return (a.len > 0) - (b.len > 0);
}

int fleet_version_compare(const char *a, const char *b, bool *comparable)
{
    struct version left, right;
    *comparable = parse(a, &left) && parse(b, &right);
    if (!*comparable) {
        return strcmp(a, b);
    }
    for (size_t i = 0; i < 3; i++) {
        int order = compare_numbers(left.core[i], right.core[i]);
        if (order != 0) {
            return order;
        }
    }
    return compare_prereleases(left.prerelease, right.prerelease);
}
