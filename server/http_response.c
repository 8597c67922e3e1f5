/* SPDX-License-Identifier: Apache-2.0 */
#include "http_response.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kedge/json.h"

#define MAX_EXTRA_HEAD 8192u
#define MAX_VALUE      1024u
#define MAX_ERROR_TEXT 512u

void srv_response_init(struct srv_response *response)
{
    *response = (struct srv_response){0};
    host_buf_init(&response->head, MAX_EXTRA_HEAD);
    host_buf_init(&response->body, SRV_HTTP_MAX_RESPONSE);
}

void srv_mapping_release(struct srv_mapping *mapping)
{
    if (mapping != NULL && --mapping->references == 0) {
        mapping->free(mapping);
    }
}

void srv_response_free(struct srv_response *response)
{
    host_buf_free(&response->head);
    host_buf_free(&response->body);
    srv_mapping_release(response->mapping);
    response->mapping = NULL;
}

void srv_response_header(struct srv_response *response, const char *name, const char *format, ...)
{
    char value[MAX_VALUE];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(value, sizeof value, format, args);
    va_end(args);

    if (len < 0 || (size_t)len >= sizeof value) {
        response->head.overflow = true; /* srv_response_settle makes a 500 of it */
        return;
    }
    for (char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = '?'; /* a CR or LF in a value would start another header */
        }
    }
    host_buf_printf(&response->head, "%s: %s\r\n", name, value);
}

void srv_response_error(struct srv_response *response, unsigned status, const char *format, ...)
{
    char text[MAX_ERROR_TEXT];
    char json[MAX_ERROR_TEXT * 6 + 16]; /* \u00XX is the longest escape */
    struct kedge_json_writer writer;
    size_t len = 0;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);

    kedge_json_begin(&writer, json, sizeof json);
    kedge_json_add_string(&writer, "error", text);
    if (kedge_json_end(&writer, &len) != KEDGE_OK) {
        len = 0; /* cannot happen: json holds the longest text */
    }
    srv_mapping_release(response->mapping);
    response->mapping = NULL;
    response->status = status;
    host_buf_reset(&response->body);
    host_buf_append(&response->body, json, len);
    host_buf_append(&response->body, "\n", 1);
    srv_response_header(response, "Content-Type", "application/json");
}

static bool is_range_inside(const struct srv_response *response)
{
    const struct srv_mapping *mapping = response->mapping;

    return mapping == NULL || (response->mapping_offset <= mapping->size &&
                               response->mapping_len <= mapping->size - response->mapping_offset);
}

void srv_response_settle(struct srv_response *response)
{
    const char *fault = NULL;

    if (response->status < 200 || response->status > 599) {
        fault = "the server has no answer to this request";
    } else if (!host_buf_ok(&response->head) || !host_buf_ok(&response->body)) {
        fault = "the answer is larger than the server sends: ask for less";
    } else if (!is_range_inside(response)) {
        fault = "the answer lies outside its file";
    }
    if (fault != NULL) {
        host_buf_reset(&response->head);
        srv_response_error(response, 500, "%s", fault);
    }
}

/* RFC 9110 6.4.1, 15.4.5: these end with their head. */
static bool is_bodiless(unsigned status)
{
    return status == 204 || status == 304;
}

size_t srv_response_body_len(const struct srv_response *response)
{
    if (is_bodiless(response->status)) {
        return 0;
    }
    return response->mapping != NULL ? response->mapping_len : response->body.len;
}

static const char *reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            return rows[i].text;
        }
    }
    return "Other";
}

/* RFC 9110 5.6.7, IMF-fixdate; by hand, because strftime follows the locale. */
static void append_date(struct host_buf *out, int64_t unix_time_s)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)unix_time_s;
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL) {
        return; /* a year beyond int: Date may be left out */
    }
    host_buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
                    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                    tm.tm_sec);
}

void srv_response_encode_head(const struct srv_response *response, bool keep_alive,
                              int64_t unix_time_s, struct host_buf *out)
{
    host_buf_printf(out, "HTTP/1.1 %u %s\r\n", response->status, reason(response->status));
    append_date(out, unix_time_s);
    if (!is_bodiless(response->status)) {
        host_buf_printf(out, "Content-Length: %zu\r\n", srv_response_body_len(response));
    }
    host_buf_printf(out, "Connection: %s\r\n", keep_alive ? "keep-alive" : "close");
    if (response->head.len > 0) {
        host_buf_append(out, response->head.data, response->head.len);
    }
    host_buf_append(out, "\r\n", 2);
}

/* --- routes --- */

const char *srv_method_name(enum srv_method method)
{
    static const char *const names[] = {
        [SRV_GET] = "GET", [SRV_POST] = "POST", [SRV_PUT] = "PUT", [SRV_DELETE] = "DELETE"};

    return names[method];
}

/* Does path match pattern? What its "*" stands for is *part. */
static bool match(const char *pattern, const char *path, struct kedge_cspan *part)
{
    const char *star = strchr(pattern, '*');

    *part = (struct kedge_cspan){0};
    if (star == NULL) {
        return strcmp(pattern, path) == 0;
    }

    size_t before = (size_t)(star - pattern);

    if (strncmp(pattern, path, before) != 0) {
        return false;
    }
    *part = (struct kedge_cspan){(const uint8_t *)path + before, strcspn(path + before, "/")};
    return part->len > 0 && strcmp(star + 1, path + before + part->len) == 0;
}

static void refuse_method(const struct srv_app *app, const struct srv_request *request,
                          struct srv_response *response)
{
    struct host_buf allow;
    struct kedge_cspan part;

    host_buf_init(&allow, MAX_VALUE / 2);
    for (const struct srv_route *row = app->routes; row->path != NULL; row++) {
        if (match(row->path, request->path, &part)) {
            host_buf_printf(&allow, "%s%s", allow.len > 0 ? ", " : "",
                            srv_method_name(row->method));
        }
    }
    srv_response_header(response, "Allow", "%s", host_buf_text(&allow));
    srv_response_error(response, 405, "%s is not possible here; allowed: %s",
                       srv_method_name(request->method), host_buf_text(&allow));
    host_buf_free(&allow);
}

const struct srv_route *srv_route_find(const struct srv_app *app, const struct srv_request *request,
                                       char *param, size_t size, struct srv_response *response)
{
    bool has_path = false;
    struct kedge_cspan part;

    for (const struct srv_route *row = app->routes; row->path != NULL; row++) {
        if (!match(row->path, request->path, &part)) {
            continue;
        }
        has_path = true;
        if (row->method != request->method) {
            continue;
        }
        if (part.len >= size) {
            srv_response_error(response, 414, "path segment too long");
            return NULL;
        }
        if (part.len > 0) {
            memcpy(param, part.data, part.len);
        }
        param[part.len] = '\0';
        return row;
    }
    if (has_path) {
        refuse_method(app, request, response);
    } else {
        srv_response_error(response, 404, "no such resource");
    }
    return NULL;
}
