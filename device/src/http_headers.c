/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/plat/net.h"

#include <string.h>

/* A header value being read; every take_* moves the cursor and says whether it matched. */
struct cursor {
    const char *at;
    const char *end;
};

static bool take_text(struct cursor *cursor, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(cursor->end - cursor->at) < len || memcmp(cursor->at, text, len) != 0) {
        return false;
    }
    cursor->at += len;
    return true;
}

static bool take_u64(struct cursor *cursor, uint64_t max, uint64_t *out)
{
    const char *start = cursor->at;
    uint64_t value = 0;

    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        uint64_t digit = (uint64_t)(*cursor->at - '0');

        if (value > (max - digit) / 10u) {
            return false;
        }
        value = value * 10u + digit;
        cursor->at++;
    }
    *out = value;
    return cursor->at != start;
}

static bool parse_u32(struct cursor *cursor, uint32_t *out)
{
    uint64_t value;

    if (!take_u64(cursor, UINT32_MAX, &value) || cursor->at != cursor->end) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool parse_content_length(struct kedge_http_response *response, struct cursor *cursor)
{
    response->has_content_length =
        take_u64(cursor, INT64_MAX, &response->content_length) && cursor->at == cursor->end;
    return response->has_content_length;
}

/* "bytes 0-99/1234" (RFC 9110 14.4); "bytes * /1234" of a 416 carries no range and is let pass. */
static bool parse_content_range(struct kedge_http_response *response, struct cursor *cursor)
{
    if (!take_text(cursor, "bytes ")) {
        return false;
    }
    if (take_text(cursor, "*/")) {
        return true;
    }
    response->has_content_range =
        take_u64(cursor, INT64_MAX, &response->range_first) && take_text(cursor, "-") &&
        take_u64(cursor, INT64_MAX, &response->range_last) && take_text(cursor, "/") &&
        take_u64(cursor, INT64_MAX, &response->range_total) && cursor->at == cursor->end &&
        response->range_first <= response->range_last &&
        response->range_last < response->range_total;
    return response->has_content_range;
}

static bool parse_sha256(struct kedge_http_response *response, struct cursor *cursor)
{
    response->has_sha256 = kedge_hex_decode(cursor->at, (size_t)(cursor->end - cursor->at),
                                            response->sha256, sizeof response->sha256);
    return response->has_sha256;
}

/* Only a strong ETag that is a quoted SHA-256 can prove which file a range belongs to; any other
 * ETag is legal and counts as none. */
static bool parse_etag(struct kedge_http_response *response, struct cursor *cursor)
{
    size_t hex = 2u * KEDGE_SHA256_SIZE;

    response->has_etag =
        (size_t)(cursor->end - cursor->at) == hex + 2u && cursor->at[0] == '"' &&
        cursor->end[-1] == '"' &&
        kedge_hex_decode(cursor->at + 1, hex, response->etag_sha256, sizeof response->etag_sha256);
    return true;
}

static bool parse_version(struct kedge_http_response *response, struct cursor *cursor)
{
    size_t len = (size_t)(cursor->end - cursor->at);

    if (len == 0 || len >= sizeof response->version) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (cursor->at[i] < 0x21 || cursor->at[i] > 0x7E) {
            return false;
        }
    }
    memcpy(response->version, cursor->at, len);
    response->version[len] = '\0';
    return true;
}

static bool parse_poll_after(struct kedge_http_response *response, struct cursor *cursor)
{
    response->has_poll_after = parse_u32(cursor, &response->poll_after_s);
    return response->has_poll_after;
}

/* A date is legal too (RFC 9110 10.2.3); the agent has no clock and falls back to its back-off. */
static bool parse_retry_after(struct kedge_http_response *response, struct cursor *cursor)
{
    response->has_retry_after = parse_u32(cursor, &response->retry_after_s);
    return true;
}

static bool parse_crash_offset(struct kedge_http_response *response, struct cursor *cursor)
{
    response->has_crash_offset = parse_u32(cursor, &response->crash_offset);
    return response->has_crash_offset;
}

static bool parse_force(struct kedge_http_response *response, struct cursor *cursor)
{
    response->force = take_text(cursor, "1") && cursor->at == cursor->end;
    return response->force;
}

static const struct {
    const char *name; /* lower case */
    bool (*parse)(struct kedge_http_response *response, struct cursor *cursor);
} headers[] = {
    {"content-length", parse_content_length},
    {"content-range", parse_content_range},
    {"etag", parse_etag},
    {"retry-after", parse_retry_after},
    {"x-crash-offset", parse_crash_offset},
    {"x-firmware-force", parse_force},
    {"x-firmware-sha256", parse_sha256},
    {"x-firmware-version", parse_version},
    {"x-poll-after", parse_poll_after},
};

static bool name_is(const char *name, size_t len, const char *lower)
{
    if (len != strlen(lower)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        if (c != lower[i]) {
            return false;
        }
    }
    return true;
}

void kedge_http_response_header(struct kedge_http_response *response, const char *name,
                                size_t name_len, const char *value, size_t value_len)
{
    struct cursor cursor = {.at = value, .end = value + value_len};

    while (cursor.at < cursor.end && (*cursor.at == ' ' || *cursor.at == '\t')) {
        cursor.at++;
    }
    while (cursor.end > cursor.at && strchr(" \t\r\n", cursor.end[-1]) != NULL &&
           cursor.end[-1] != '\0') {
        cursor.end--;
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (name_is(name, name_len, headers[i].name) && !headers[i].parse(response, &cursor)) {
            response->malformed = true;
        }
    }
}
