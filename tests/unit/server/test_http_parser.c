/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http_parser.h"

#define GOOD                                                                                       \
    "GET /ota/firmware.bin?chip=esp32&x=%20 HTTP/1.1\r\n"                                          \
    "Host: ota.example:8443\r\n"                                                                   \
    "X-Device-ID: \t dev-1 \r\n"                                                                   \
    "Empty:\r\n"                                                                                   \
    "Content-Length: 12\r\n"                                                                       \
    "\r\n"

/* Feed text in two pieces, each in a heap block of its exact size, so that ASan sees a byte too
 * far. The head that comes out is parsed from a copy that *copy owns. */
static enum kedge_err feed(const char *text, size_t len, size_t first, struct srv_request *request,
                           struct srv_http_traits *traits, struct srv_http_fault *fault,
                           uint8_t **copy)
{
    struct srv_http_scan scan = {0};
    const size_t ends[] = {first, len};
    enum kedge_err err = KEDGE_ERR_TRUNCATED;
    size_t head_len = 0;

    *copy = NULL;
    for (size_t i = 0; i < 2 && err == KEDGE_ERR_TRUNCATED; i++) {
        free(*copy);
        *copy = malloc(ends[i] > 0 ? ends[i] : 1);
        memcpy(*copy, text, ends[i]);
        err = srv_http_scan(&scan, (struct kedge_cspan){*copy, ends[i]}, &head_len, fault);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    return srv_http_parse((struct kedge_cspan){*copy, head_len}, request, traits, fault);
}

static enum kedge_err feed_whole(const char *text, struct srv_request *request,
                                 struct srv_http_traits *traits, struct srv_http_fault *fault,
                                 uint8_t **copy)
{
    size_t len = strlen(text);

    return feed(text, len, len, request, traits, fault, copy);
}

static void assert_good(const struct srv_request *request, const struct srv_http_traits *traits)
{
    char value[32];
    bool present = false;

    assert_int_equal(request->method, SRV_GET);
    assert_string_equal(request->path, "/ota/firmware.bin");
    assert_string_equal(request->query, "chip=esp32&x=%20");
    assert_int_equal(request->header_count, 4);
    assert_true(request->has_content_length);
    assert_int_equal(request->content_length, 12);
    assert_int_equal(srv_request_header(request, "x-device-id", value, sizeof value, &present),
                     KEDGE_OK);
    assert_true(present);
    assert_string_equal(value, "dev-1");
    assert_false(request->is_head);
    assert_true(traits->keep_alive);
    assert_false(traits->expect_continue);
}

static void a_good_head_is_the_same_at_every_split_point(void **state)
{
    (void)state;
    for (size_t first = 0; first <= strlen(GOOD); first++) {
        struct srv_request request = {0};
        struct srv_http_traits traits = {0};
        struct srv_http_fault fault = {0};
        uint8_t *copy = NULL;

        assert_int_equal(feed(GOOD, strlen(GOOD), first, &request, &traits, &fault, &copy),
                         KEDGE_OK);
        assert_good(&request, &traits);
        free(copy);
    }
}

static void a_head_that_is_not_complete_asks_for_more(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(GOOD); len++) {
        struct srv_http_scan scan = {0};
        struct srv_http_fault fault = {0};
        size_t head_len = 0;

        assert_int_equal(srv_http_scan(&scan, (struct kedge_cspan){(const uint8_t *)GOOD, len},
                                       &head_len, &fault),
                         KEDGE_ERR_TRUNCATED);
    }
}

static void a_scan_stops_at_the_end_of_the_head_when_more_is_there(void **state)
{
    static const char two[] = GOOD "body and next";
    struct srv_http_scan scan = {0};
    struct srv_http_fault fault = {0};
    size_t head_len = 0;

    (void)state;
    assert_int_equal(srv_http_scan(&scan,
                                   (struct kedge_cspan){(const uint8_t *)two, sizeof two - 1},
                                   &head_len, &fault),
                     KEDGE_OK);
    assert_int_equal(head_len, strlen(GOOD));
}

#define H "Host: h\r\n"

static void methods_versions_and_connection_options_are_understood(void **state)
{
    static const struct {
        const char *text;
        enum srv_method method;
        bool is_head, keep_alive, expect_continue;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", SRV_GET, false, true, false},
        {"\r\nGET / HTTP/1.1\r\n" H "\r\n", SRV_GET, false, true, false},
        {"HEAD / HTTP/1.1\r\n" H "\r\n", SRV_GET, true, true, false},
        {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n", SRV_POST, false, true, true},
        {"PUT / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", SRV_PUT, false, false, false},
        {"DELETE / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n", SRV_DELETE, false, false, false},
        {"GET / HTTP/1.0\r\n\r\n", SRV_GET, false, false, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", SRV_GET, false, true, false},
        {"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", SRV_GET, false, false, false},
        {"GET / HTTP/1.1\r\nHost:\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", SRV_GET,
         false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct srv_request request = {0};
        struct srv_http_traits traits = {0};
        struct srv_http_fault fault = {0};
        uint8_t *copy = NULL;

        assert_int_equal(feed_whole(rows[i].text, &request, &traits, &fault, &copy), KEDGE_OK);
        assert_int_equal(request.method, rows[i].method);
        assert_int_equal(request.is_head, rows[i].is_head);
        assert_int_equal(traits.keep_alive, rows[i].keep_alive);
        assert_int_equal(traits.expect_continue, rows[i].expect_continue);
        free(copy);
    }
}

static void paths_are_decoded_and_queries_are_not(void **state)
{
    static const struct {
        const char *text, *path, *query;
    } rows[] = {
        {"GET /a%20b%2e?q=%41 HTTP/1.1\r\n" H "\r\n", "/a b.", "q=%41"},
        {"GET /..a/b../... HTTP/1.1\r\n" H "\r\n", "/..a/b../...", ""},
        {"GET /?a=/../?b HTTP/1.1\r\n" H "\r\n", "/", "a=/../?b"},
        {"GET /%c3%a9 HTTP/1.1\r\n" H "\r\n", "/\xc3\xa9", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct srv_request request = {0};
        struct srv_http_traits traits = {0};
        struct srv_http_fault fault = {0};
        uint8_t *copy = NULL;

        assert_int_equal(feed_whole(rows[i].text, &request, &traits, &fault, &copy), KEDGE_OK);
        assert_string_equal(request.path, rows[i].path);
        assert_string_equal(request.query, rows[i].query);
        free(copy);
    }
}

/* text is what comes in; what must be named in the fault. */
struct bad_row {
    const char *text;
    unsigned status;
    const char *what;
};

static const struct bad_row bad_rows[] = {
    {"GET / HTTP/1.1\n\n", 400, "LF without CR"},
    {"GET / HTTP/1.1\rX", 400, "CR without LF"},
    {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400, "CR without LF"},
    {"GET /\x01 HTTP/1.1\r\n" H "\r\n", 400, "control character"},
    {"GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", 400, "control character"},
    {"GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400, "obs-fold"},
    {"GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", 400, "obs-fold"},
    {"GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", 400, "field name"},
    {"GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400, "field name"},
    {"GET / HTTP/1.1\r\n" H "A(: b\r\n\r\n", 400, "field name"},
    {"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400, "without ':'"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "twice"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400, "decimal"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, "decimal"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\n", 400, "decimal"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400, "decimal"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400, "decimal"},
    {"GET / HTTP/1.1\r\n" H "Content-Length:  \r\n\r\n", 400, "empty"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", 400, "64 bits"},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", 400, "64 bits"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 501, "Transfer-Encoding"},
    {"POST / HTTP/1.1\r\n" H "transfer-encoding: identity\r\n\r\n", 501, "Transfer-Encoding"},
    {"GET / HTTP/1.1\r\n\r\n", 400, "Host is missing"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "Host sent twice"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "host[:port]"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "host[:port]"},
    {"GET / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417, "Expect"},
    {"GET http://h/ HTTP/1.1\r\n" H "\r\n", 400, "does not start with '/'"},
    {"GET h:80 HTTP/1.1\r\n" H "\r\n", 400, "does not start with '/'"},
    {"GET * HTTP/1.1\r\n" H "\r\n", 400, "does not start with '/'"},
    {"GET  HTTP/1.1\r\n" H "\r\n", 400, "does not start with '/'"},
    {"GET  / HTTP/1.1\r\n" H "\r\n", 400, "HTTP version"},
    {"GET / /b HTTP/1.1\r\n" H "\r\n", 400, "HTTP version"},
    {"GET / HTTP/1.1 \r\n" H "\r\n", 400, "HTTP version"},
    {"GET /\r\n\r\n", 400, "request line"},
    {"GET\r\n\r\n", 400, "request line"},
    {" GET / HTTP/1.1\r\n" H "\r\n", 400, "method"},
    {"G@T / HTTP/1.1\r\n" H "\r\n", 400, "method"},
    {"get / HTTP/1.1\r\n" H "\r\n", 501, "method"},
    {"OPTIONS / HTTP/1.1\r\n" H "\r\n", 501, "method"},
    {"GET / http/1.1\r\n" H "\r\n", 400, "HTTP version"},
    {"GET / HTTP/1\r\n" H "\r\n", 400, "HTTP version"},
    {"GET / HTTP/11.1\r\n" H "\r\n", 400, "HTTP version"},
    {"GET / HTTP/2.0\r\n" H "\r\n", 505, "version"},
    {"GET / HTTP/1.2\r\n" H "\r\n", 505, "version"},
    {"GET /../etc HTTP/1.1\r\n" H "\r\n", 400, "'..'"},
    {"GET /a/.. HTTP/1.1\r\n" H "\r\n", 400, "'..'"},
    {"GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n", 400, "'..'"},
    {"GET /a%2fb HTTP/1.1\r\n" H "\r\n", 400, "encoded '/'"},
    {"GET /a%00b HTTP/1.1\r\n" H "\r\n", 400, "percent-encoding"},
    {"GET /a%0d%0ab HTTP/1.1\r\n" H "\r\n", 400, "percent-encoding"},
    {"GET /a%g0 HTTP/1.1\r\n" H "\r\n", 400, "percent-encoding"},
    {"GET /a%2 HTTP/1.1\r\n" H "\r\n", 400, "percent-encoding"},
    {"GET /a% HTTP/1.1\r\n" H "\r\n", 400, "percent-encoding"},
    {"GET /?a=%zz HTTP/1.1\r\n" H "\r\n", 400, "query"},
    {"GET /?a=%00 HTTP/1.1\r\n" H "\r\n", 400, "query"},
    {"GET /a\"b HTTP/1.1\r\n" H "\r\n", 400, "percent-encoded"},
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400, "percent-encoded"},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400, "percent-encoded"},
};

static void assert_refused(const char *text, size_t len, size_t first, unsigned status,
                           const char *what)
{
    struct srv_request request = {0};
    struct srv_http_traits traits = {0};
    struct srv_http_fault fault = {0};
    uint8_t *copy = NULL;

    enum kedge_err err = feed(text, len, first, &request, &traits, &fault, &copy);

    free(copy);
    if (err != KEDGE_ERR_SYNTAX || fault.status != status || strstr(fault.what, what) == NULL) {
        fail_msg("split %zu of \"%.60s\": err %d, %u \"%s\"; wanted %u \"%s\"", first, text, err,
                 fault.status, fault.what == NULL ? "" : fault.what, status, what);
    }
}

static void bad_heads_are_refused_by_name_at_every_split_point(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof bad_rows[0]; i++) {
        size_t len = strlen(bad_rows[i].text);

        for (size_t first = 0; first <= len; first++) {
            assert_refused(bad_rows[i].text, len, first, bad_rows[i].status, bad_rows[i].what);
        }
    }
}

static void a_nul_byte_is_refused(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";

    (void)state;
    assert_refused(text, sizeof text - 1, 5, 400, "NUL");
}

/* prefix, count times filler, suffix. */
static char *repeat(const char *prefix, const char *filler, size_t count, const char *suffix)
{
    struct host_buf buf;

    host_buf_init(&buf, 1u << 20);
    host_buf_printf(&buf, "%s", prefix);
    for (size_t i = 0; i < count; i++) {
        host_buf_printf(&buf, "%s", filler);
    }
    host_buf_printf(&buf, "%s", suffix);
    return buf.data;
}

static void what_is_too_long_is_refused_with_the_status_that_says_so(void **state)
{
    static const struct {
        const char *prefix, *filler;
        size_t count;
        const char *suffix;
        unsigned status;
        const char *what;
    } rows[] = {
        {"GET /", "a", 511, " HTTP/1.1\r\n" H "\r\n", 414, "path longer"},
        {"GET /?", "a", 512, " HTTP/1.1\r\n" H "\r\n", 414, "query longer"},
        {"GET /", "a", 3000, " HTTP/1.1\r\n" H "\r\n", 414, "request line longer"},
        {"GET /", "a", 3000, "", 414, "request line longer"},
        {"GET / HTTP/1.1\r\n" H "A: ", "a", 8192, "\r\n\r\n", 431, "8192"},
        {"GET / HTTP/1.1\r\n" H, "A: b\r\n", 48, "\r\n", 431, "48 header"},
        {"GET / HTTP/1.1\r\n" H, "A: b\r\n", 60, "", 431, "48 header"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = repeat(rows[i].prefix, rows[i].filler, rows[i].count, rows[i].suffix);
        size_t len = strlen(text);

        assert_refused(text, len, len, rows[i].status, rows[i].what);
        assert_refused(text, len, 1, rows[i].status, rows[i].what);
        free(text);
    }
}

static void the_longest_allowed_is_accepted(void **state)
{
    static const struct {
        const char *prefix, *filler;
        size_t count;
        const char *suffix;
    } rows[] = {
        {"GET /", "a", 510, " HTTP/1.1\r\n" H "\r\n"},
        {"GET /?", "a", 511, " HTTP/1.1\r\n" H "\r\n"},
        {"GET / HTTP/1.1\r\n" H, "A: b\r\n", 47, "\r\n"},
        {"GET / HTTP/1.1\r\n" H "A: ", "a", 8192 - 16 - 9 - 3 - 4, "\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = repeat(rows[i].prefix, rows[i].filler, rows[i].count, rows[i].suffix);
        struct srv_request request = {0};
        struct srv_http_traits traits = {0};
        struct srv_http_fault fault = {0};
        uint8_t *copy = NULL;

        if (feed_whole(text, &request, &traits, &fault, &copy) != KEDGE_OK) {
            fail_msg("row %zu: %u %s", i, fault.status, fault.what);
        }
        free(copy);
        free(text);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Whatever comes in, the parser either asks for more, refuses with a status and a reason, or gives
 * a request that keeps its promises. ASan and UBSan watch. */
static void mutated_heads_never_break_the_promises(void **state)
{
    static const char alphabet[] = "\r\n\0 :/%.?aZ09-,\t\x80\xff";
    uint32_t seed = 20260131;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        const char *source =
            round % 2 == 0 ? GOOD
                           : bad_rows[round / 2 % (sizeof bad_rows / sizeof bad_rows[0])].text;
        char text[512];
        size_t len = strlen(source);
        struct srv_request request = {0};
        struct srv_http_traits traits = {0};
        struct srv_http_fault fault = {0};
        uint8_t *copy = NULL;

        memcpy(text, source, len);
        for (uint32_t i = next_random(&seed) % 4; i > 0; i--) {
            text[next_random(&seed) % len] = alphabet[next_random(&seed) % (sizeof alphabet - 1)];
        }

        enum kedge_err err =
            feed(text, len, next_random(&seed) % (len + 1), &request, &traits, &fault, &copy);

        if (err == KEDGE_OK) {
            assert_int_equal(request.path[0], '/');
            assert_null(strstr(request.path, "/../"));
            assert_true(request.header_count <= SRV_HTTP_MAX_HEADERS);
            assert_non_null(memchr(request.query, '\0', sizeof request.query));
        } else if (err == KEDGE_ERR_SYNTAX) {
            assert_in_range(fault.status, 400, 505);
            assert_non_null(fault.what);
        } else {
            assert_int_equal(err, KEDGE_ERR_TRUNCATED);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_head_is_the_same_at_every_split_point),
        cmocka_unit_test(a_head_that_is_not_complete_asks_for_more),
        cmocka_unit_test(a_scan_stops_at_the_end_of_the_head_when_more_is_there),
        cmocka_unit_test(methods_versions_and_connection_options_are_understood),
        cmocka_unit_test(paths_are_decoded_and_queries_are_not),
        cmocka_unit_test(bad_heads_are_refused_by_name_at_every_split_point),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(what_is_too_long_is_refused_with_the_status_that_says_so),
        cmocka_unit_test(the_longest_allowed_is_accepted),
        cmocka_unit_test(mutated_heads_never_break_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
