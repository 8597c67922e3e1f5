/* SPDX-License-Identifier: Apache-2.0 */
#include "http_parser.h"

#include <string.h>

#define CR 0x0d
#define LF 0x0a

/* Character classes of RFC 9110 5.6.2 (token) and RFC 3986 3.3, 3.4 (path, query). */
enum char_class {
    CLASS_TOKEN = 1u,
    CLASS_TARGET = 2u
};

static const char token_marks[] = "!#$%&'*+-.^_`|~";
static const char target_marks[] = "-._~!$&'()*+,;=:@/?%";

static bool is_in_class(uint8_t byte, enum char_class wanted)
{
    bool is_alnum = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                    (byte >= 'A' && byte <= 'Z');

    if (is_alnum) {
        return true;
    }
    return byte != 0 && strchr(wanted == CLASS_TOKEN ? token_marks : target_marks, byte) != NULL;
}

static bool is_all_in_class(struct kedge_cspan text, enum char_class wanted)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_in_class(text.data[i], wanted)) {
            return false;
        }
    }
    return text.len > 0;
}

static enum kedge_err refuse(struct srv_http_fault *fault, unsigned status, const char *what)
{
    *fault = (struct srv_http_fault){.status = status, .what = what};
    return KEDGE_ERR_SYNTAX;
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool span_equals(struct kedge_cspan span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

static bool span_equals_nocase(struct kedge_cspan span, const char *text)
{
    if (span.len != strlen(text)) {
        return false;
    }
    for (size_t i = 0; i < span.len; i++) {
        if (lower(span.data[i]) != lower((uint8_t)text[i])) {
            return false;
        }
    }
    return true;
}

static struct kedge_cspan trim(struct kedge_cspan span)
{
    while (span.len > 0 && (span.data[0] == ' ' || span.data[0] == '\t')) {
        span.data++;
        span.len--;
    }
    while (span.len > 0 && (span.data[span.len - 1] == ' ' || span.data[span.len - 1] == '\t')) {
        span.len--;
    }
    return span;
}

/* Cut text before the first `mark`; *rest starts behind it. false when there is none. */
static bool split(struct kedge_cspan text, char mark, struct kedge_cspan *before,
                  struct kedge_cspan *rest)
{
    const uint8_t *found = text.len == 0 ? NULL : memchr(text.data, mark, text.len);

    if (found == NULL) {
        return false;
    }
    *before = (struct kedge_cspan){text.data, (size_t)(found - text.data)};
    *rest = (struct kedge_cspan){found + 1, text.len - before->len - 1};
    return true;
}

/* --- scan --- */

static enum kedge_err check_head_byte(const struct srv_http_scan *scan, uint8_t byte,
                                      struct srv_http_fault *fault)
{
    if (scan->carriage_return && byte != LF) {
        return refuse(fault, 400, "CR without LF in the request head");
    }
    if (byte == LF && !scan->carriage_return) {
        return refuse(fault, 400, "LF without CR in the request head");
    }
    if (byte == 0) {
        return refuse(fault, 400, "NUL in the request head");
    }
    if ((byte < 0x20 && byte != CR && byte != LF && byte != '\t') || byte == 0x7f) {
        return refuse(fault, 400, "control character in the request head");
    }
    return KEDGE_OK;
}

static enum kedge_err check_head_size(const struct srv_http_scan *scan,
                                      struct srv_http_fault *fault)
{
    if (scan->lines == 0 && scan->at - scan->line_start >= SRV_HTTP_MAX_LINE) {
        return refuse(fault, 414, "request line longer than 2048 bytes");
    }
    if (scan->at >= SRV_HTTP_MAX_HEAD) {
        return refuse(fault, 431, "request head larger than 8192 bytes");
    }
    if (scan->lines > SRV_HTTP_MAX_HEADERS + 1u) {
        return refuse(fault, 431, "more than 48 header fields");
    }
    return KEDGE_OK;
}

/* A line ended at scan->at. true: it was the blank one after the head. */
static bool end_line(struct srv_http_scan *scan)
{
    bool is_blank = scan->at - scan->line_start == 2;

    scan->line_start = scan->at;
    if (is_blank && scan->lines == 0 && !scan->skipped_blank) {
        scan->skipped_blank = true; /* RFC 9112 2.2: some clients send CRLF after a body */
        return false;
    }
    scan->lines++;
    return is_blank;
}

enum kedge_err srv_http_scan(struct srv_http_scan *scan, struct kedge_cspan bytes, size_t *head_len,
                             struct srv_http_fault *fault)
{
    while (scan->at < bytes.len) {
        uint8_t byte = bytes.data[scan->at];
        enum kedge_err err = check_head_size(scan, fault);

        if (err == KEDGE_OK) {
            err = check_head_byte(scan, byte, fault);
        }
        if (err != KEDGE_OK) {
            return err;
        }
        scan->at++;
        scan->carriage_return = byte == CR;
        if (byte == LF && end_line(scan)) {
            *head_len = scan->at;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_TRUNCATED;
}

/* --- request line --- */

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = lower(digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The byte at *at, an escape undone; *at moves behind it. -1 for an escape that is none. */
static int decode_at(struct kedge_cspan text, size_t *at)
{
    if (text.data[*at] != '%') {
        return text.data[(*at)++];
    }
    if (text.len - *at < 3) {
        return -1;
    }

    int high = hex_value(text.data[*at + 1]);
    int low = hex_value(text.data[*at + 2]);

    *at += 3;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

enum kedge_err srv_http_percent_decode(struct kedge_cspan text, char *out, size_t size,
                                       size_t *len_out)
{
    size_t len = 0;

    for (size_t at = 0; at < text.len;) {
        int byte = decode_at(text, &at);

        if (byte < 0x20 || byte == 0x7f) {
            return KEDGE_ERR_SYNTAX;
        }
        if (len + 1 >= size) {
            return KEDGE_ERR_TOO_LARGE;
        }
        out[len++] = (char)byte;
    }
    if (size == 0) {
        return KEDGE_ERR_TOO_LARGE;
    }
    out[len] = '\0';
    *len_out = len;
    return KEDGE_OK;
}

static bool has_encoded_slash(struct kedge_cspan path)
{
    for (size_t at = 0; at < path.len;) {
        bool is_escape = path.data[at] == '%';

        if (decode_at(path, &at) == '/' && is_escape) {
            return true;
        }
    }
    return false;
}

static bool has_dot_dot_segment(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")) != NULL; at++) {
        if (at[3] == '/' || at[3] == '\0') {
            return true;
        }
    }
    return false;
}

static enum kedge_err parse_path(struct kedge_cspan raw, struct srv_request *request,
                                 struct srv_http_fault *fault)
{
    size_t len = 0;

    enum kedge_err err = srv_http_percent_decode(raw, request->path, sizeof request->path, &len);

    if (err == KEDGE_ERR_TOO_LARGE) {
        return refuse(fault, 414, "path longer than 511 bytes");
    }
    if (err != KEDGE_OK) {
        return refuse(fault, 400, "bad percent-encoding or control character in the path");
    }
    /* Decoded, it could not be told from a real one, and routes match by segment. */
    if (has_encoded_slash(raw)) {
        return refuse(fault, 400, "percent-encoded '/' in the path");
    }
    if (has_dot_dot_segment(request->path)) {
        return refuse(fault, 400, "'..' segment in the path");
    }
    return KEDGE_OK;
}

static enum kedge_err parse_query(struct kedge_cspan raw, struct srv_request *request,
                                  struct srv_http_fault *fault)
{
    if (raw.len >= sizeof request->query) {
        return refuse(fault, 414, "query longer than 511 bytes");
    }
    for (size_t at = 0; at < raw.len;) {
        int byte = decode_at(raw, &at);

        if (byte < 0x20 || byte == 0x7f) {
            return refuse(fault, 400, "bad percent-encoding or control character in the query");
        }
    }
    if (raw.len > 0) {
        memcpy(request->query, raw.data, raw.len);
    }
    request->query[raw.len] = '\0';
    return KEDGE_OK;
}

static enum kedge_err parse_target(struct kedge_cspan target, struct srv_request *request,
                                   struct srv_http_fault *fault)
{
    struct kedge_cspan path = target;
    struct kedge_cspan query = {0};

    if (target.len == 0 || target.data[0] != '/') {
        return refuse(fault, 400, "request target does not start with '/'");
    }
    if (!is_all_in_class(target, CLASS_TARGET)) {
        return refuse(fault, 400, "character in the request target that must be percent-encoded");
    }
    (void)split(target, '?', &path, &query);

    enum kedge_err err = parse_path(path, request, fault);

    return err != KEDGE_OK ? err : parse_query(query, request, fault);
}

static enum kedge_err parse_method(struct kedge_cspan name, struct srv_request *request,
                                   struct srv_http_fault *fault)
{
    static const struct {
        const char *name;
        enum srv_method method;
        bool is_head;
    } rows[] = {
        {"GET", SRV_GET, false}, {"HEAD", SRV_GET, true},       {"POST", SRV_POST, false},
        {"PUT", SRV_PUT, false}, {"DELETE", SRV_DELETE, false},
    };

    if (!is_all_in_class(name, CLASS_TOKEN)) {
        return refuse(fault, 400, "request line does not start with a method");
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (span_equals(name, rows[i].name)) {
            request->method = rows[i].method;
            request->is_head = rows[i].is_head;
            return KEDGE_OK;
        }
    }
    return refuse(fault, 501, "method is not GET, HEAD, POST, PUT or DELETE");
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static enum kedge_err parse_version(struct kedge_cspan version, bool *is_1_1,
                                    struct srv_http_fault *fault)
{
    *is_1_1 = span_equals(version, "HTTP/1.1");
    if (*is_1_1 || span_equals(version, "HTTP/1.0")) {
        return KEDGE_OK;
    }
    if (version.len == 8 && memcmp(version.data, "HTTP/", 5) == 0 && is_digit(version.data[5]) &&
        version.data[6] == '.' && is_digit(version.data[7])) {
        return refuse(fault, 505, "HTTP version is not 1.0 or 1.1");
    }
    return refuse(fault, 400, "request line does not end with an HTTP version");
}

static enum kedge_err parse_request_line(struct kedge_cspan line, struct srv_request *request,
                                         bool *is_1_1, struct srv_http_fault *fault)
{
    struct kedge_cspan method = {0}, target = {0}, rest = {0};

    if (!split(line, ' ', &method, &rest) || !split(rest, ' ', &target, &rest)) {
        return refuse(fault, 400, "request line is not 'METHOD target HTTP/1.1'");
    }

    enum kedge_err err = parse_method(method, request, fault);

    if (err == KEDGE_OK) {
        err = parse_version(rest, is_1_1, fault);
    }
    return err != KEDGE_OK ? err : parse_target(target, request, fault);
}

/* --- header fields --- */

static enum kedge_err parse_field(struct kedge_cspan line, struct srv_request *request,
                                  struct srv_http_fault *fault)
{
    struct srv_header *header = &request->headers[request->header_count];

    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return refuse(fault, 400, "header field continued on the next line (obs-fold)");
    }
    if (request->header_count == SRV_HTTP_MAX_HEADERS) {
        return refuse(fault, 431, "more than 48 header fields");
    }
    if (!split(line, ':', &header->name, &header->value)) {
        return refuse(fault, 400, "header field without ':'");
    }
    if (!is_all_in_class(header->name, CLASS_TOKEN)) {
        return refuse(fault, 400, "header field name is empty or holds a space or separator");
    }
    header->value = trim(header->value);
    request->header_count++;
    return KEDGE_OK;
}

/* What the engine itself reads while it walks the fields. */
struct field_state {
    struct srv_request *request;
    struct srv_http_fault *fault;
    bool has_host;
    bool asks_close, asks_keep_alive;
    bool expects_continue;
};

static enum kedge_err on_content_length(struct field_state *state, struct kedge_cspan value)
{
    uint64_t length = 0;

    if (state->request->has_content_length) {
        return refuse(state->fault, 400, "Content-Length sent twice");
    }
    if (value.len == 0) {
        return refuse(state->fault, 400, "Content-Length is empty");
    }
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.data[i])) {
            return refuse(state->fault, 400, "Content-Length is not a decimal number");
        }

        uint64_t digit = (uint64_t)(value.data[i] - '0');

        if (length > (UINT64_MAX - digit) / 10) {
            return refuse(state->fault, 400, "Content-Length does not fit 64 bits");
        }
        length = length * 10 + digit;
    }
    state->request->has_content_length = true;
    state->request->content_length = length;
    return KEDGE_OK;
}

static enum kedge_err on_transfer_encoding(struct field_state *state, struct kedge_cspan value)
{
    (void)value;
    return refuse(state->fault, 501, "Transfer-Encoding is not supported: send a Content-Length");
}

static enum kedge_err on_host(struct field_state *state, struct kedge_cspan value)
{
    if (state->has_host) {
        return refuse(state->fault, 400, "Host sent twice");
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] <= ' ' || value.data[i] >= 0x7f || strchr("/?#@\\,", value.data[i])) {
            return refuse(state->fault, 400, "Host is not host[:port]");
        }
    }
    state->has_host = true;
    return KEDGE_OK;
}

static enum kedge_err on_connection(struct field_state *state, struct kedge_cspan value)
{
    struct kedge_cspan option = value, rest = value;
    bool has_more = true;

    while (has_more) {
        has_more = split(rest, ',', &option, &rest);
        option = trim(has_more ? option : rest);
        state->asks_close |= span_equals_nocase(option, "close");
        state->asks_keep_alive |= span_equals_nocase(option, "keep-alive");
    }
    return KEDGE_OK;
}

static enum kedge_err on_expect(struct field_state *state, struct kedge_cspan value)
{
    if (!span_equals_nocase(value, "100-continue")) {
        return refuse(state->fault, 417, "Expect is not 100-continue");
    }
    state->expects_continue = true;
    return KEDGE_OK;
}

static enum kedge_err inspect_field(struct field_state *state, const struct srv_header *header)
{
    static const struct {
        const char *name;
        enum kedge_err (*on)(struct field_state *state, struct kedge_cspan value);
    } rows[] = {
        {"Content-Length", on_content_length},
        {"Transfer-Encoding", on_transfer_encoding},
        {"Host", on_host},
        {"Connection", on_connection},
        {"Expect", on_expect},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (span_equals_nocase(header->name, rows[i].name)) {
            return rows[i].on(state, header->value);
        }
    }
    return KEDGE_OK;
}

/* The line up to CRLF; *head moves behind it. Only called on heads that scan has accepted, so that
 * every line has its CRLF; a head from elsewhere ends at its last byte. */
static struct kedge_cspan take_line(struct kedge_cspan *head)
{
    struct kedge_cspan line = *head;

    if (!split(*head, CR, &line, head)) {
        *head = (struct kedge_cspan){head->data + head->len, 0};
    } else if (head->len > 0) {
        head->data++; /* LF */
        head->len--;
    }
    return line;
}

static enum kedge_err parse_fields(struct kedge_cspan head, struct field_state *state)
{
    struct srv_request *request = state->request;

    for (;;) {
        struct kedge_cspan line = take_line(&head);

        if (line.len == 0) {
            return KEDGE_OK;
        }

        enum kedge_err err = parse_field(line, request, state->fault);

        if (err == KEDGE_OK) {
            err = inspect_field(state, &request->headers[request->header_count - 1]);
        }
        if (err != KEDGE_OK) {
            return err;
        }
    }
}

enum kedge_err srv_http_parse(struct kedge_cspan head, struct srv_request *request,
                              struct srv_http_traits *traits, struct srv_http_fault *fault)
{
    struct field_state state = {.request = request, .fault = fault};
    struct kedge_cspan line = take_line(&head);
    bool is_1_1 = false;

    request->header_count = 0;
    request->has_content_length = false;
    request->content_length = 0;
    if (line.len == 0) {
        line = take_line(&head); /* the blank line that scan let pass */
    }

    enum kedge_err err = parse_request_line(line, request, &is_1_1, fault);

    if (err == KEDGE_OK) {
        err = parse_fields(head, &state);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    if (is_1_1 && !state.has_host) {
        return refuse(fault, 400, "Host is missing");
    }
    traits->keep_alive = !state.asks_close && (is_1_1 || state.asks_keep_alive);
    traits->expect_continue = is_1_1 && state.expects_continue;
    return KEDGE_OK;
}
