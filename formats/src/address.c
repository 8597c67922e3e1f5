/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/address.h"

#include <stdint.h>
#include <string.h>

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool kedge_host_ok(const char *text, size_t len)
{
    char before = '.';

    if (len == 0 || len > KEDGE_HOST_MAX_LEN) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? text[i] : '.';

        if (!is_letter_or_digit(c) && c != '-' && c != '.') {
            return false;
        }
        if ((c == '.' && (before == '.' || before == '-')) || (c == '-' && before == '.')) {
            return false;
        }
        before = c;
    }
    return true;
}

static bool is_port(const char *text)
{
    uint32_t port = 0;
    size_t len = strlen(text);

    for (size_t i = 0; i < len && i < 5; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        port = port * 10u + (uint32_t)(text[i] - '0');
    }
    return len >= 1 && len <= 5 && text[0] != '0' && port <= UINT16_MAX;
}

bool kedge_server_url_ok(const char *text)
{
    static const char scheme[] = "https://";
    const char *host = text + sizeof scheme - 1;
    const char *colon;

    if (strncmp(text, scheme, sizeof scheme - 1) != 0) {
        return false;
    }
    colon = strchr(host, ':');
    if (colon == NULL) {
        return kedge_host_ok(host, strlen(host));
    }
    return kedge_host_ok(host, (size_t)(colon - host)) && is_port(colon + 1);
}
