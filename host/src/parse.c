/* SPDX-License-Identifier: Apache-2.0 */
#include "host/parse.h"

#include <string.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}, {NULL, 0},
};

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return 16;
}

/* Digits at *text, which is moved behind them. Errors: SYNTAX (none), RANGE. */
static enum kedge_err take_number(const char **text, uint64_t *out)
{
    const char *p = *text;
    uint64_t value = 0;
    int base = 10;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    const char *first = p;
    for (; digit_value(*p) < base; p++) {
        uint64_t digit = (uint64_t)digit_value(*p);
        if (value > (UINT64_MAX - digit) / (uint64_t)base) {
            return KEDGE_ERR_RANGE;
        }
        value = value * (uint64_t)base + digit;
    }
    if (p == first) {
        return KEDGE_ERR_SYNTAX;
    }
    *text = p;
    *out = value;
    return KEDGE_OK;
}

static enum kedge_err parse_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t value = 0;
    enum kedge_err err = take_number(&text, &value);
    if (err != KEDGE_OK) {
        return err;
    }
    for (const struct unit *unit = units; unit->suffix != NULL; unit++) {
        if (strcmp(text, unit->suffix) != 0) {
            continue;
        }
        if (value > UINT64_MAX / unit->factor) {
            return KEDGE_ERR_RANGE;
        }
        *out = value * unit->factor;
        return KEDGE_OK;
    }
    return KEDGE_ERR_SYNTAX;
}

enum kedge_err host_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    enum kedge_err err = take_number(&text, &value);
    if (err != KEDGE_OK) {
        return err;
    }
    if (*text != '\0') {
        return KEDGE_ERR_SYNTAX;
    }
    if (value < min || value > max) {
        return KEDGE_ERR_RANGE;
    }
    *out = value;
    return KEDGE_OK;
}

enum kedge_err host_parse_duration_ms(const char *text, uint64_t *out)
{
    return parse_with_unit(text, duration_units, out);
}

enum kedge_err host_parse_size(const char *text, uint64_t *out)
{
    return parse_with_unit(text, size_units, out);
}

/* Splits at the colon before the port; v6 addresses need their brackets. */
static enum kedge_err split_address(const char *text, const char **host, size_t *host_len,
                                    const char **port)
{
    const char *end;
    if (text[0] == '[') {
        *host = text + 1;
        end = strchr(text, ']');
        if (end == NULL || end[1] != ':') {
            return KEDGE_ERR_SYNTAX;
        }
        *port = end + 2;
    } else {
        *host = text;
        end = strchr(text, ':');
        if (end == NULL || strchr(end + 1, ':') != NULL) {
            return KEDGE_ERR_SYNTAX;
        }
        *port = end + 1;
    }
    *host_len = (size_t)(end - *host);
    return *host_len != 0 ? KEDGE_OK : KEDGE_ERR_SYNTAX;
}

enum kedge_err host_parse_address(const char *text, char *host, size_t host_size, uint16_t *port)
{
    static const char host_chars[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    static const char v6_chars[] = "ABCDEFabcdef0123456789:.";
    const char *name;
    const char *port_text;
    size_t len = 0;
    uint64_t number = 0;
    enum kedge_err err = split_address(text, &name, &len, &port_text);
    if (err != KEDGE_OK) {
        return err;
    }
    if (strspn(name, text[0] == '[' ? v6_chars : host_chars) < len) {
        return KEDGE_ERR_SYNTAX;
    }
    err = host_parse_u64(port_text, 0, UINT16_MAX, &number);
    if (err != KEDGE_OK) {
        return err;
    }
    if (len >= host_size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    memcpy(host, name, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return KEDGE_OK;
}
