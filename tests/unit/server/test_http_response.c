/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "http_response.h"

static struct kedge_cspan span(const char *text)
{
    return (struct kedge_cspan){(const uint8_t *)text, strlen(text)};
}

static void a_header_is_found_without_case_and_bounded(void **state)
{
    struct srv_request request = {.header_count = 4,
                                  .headers = {{span("X-Chip"), span("esp32")},
                                              {span("Twice"), span("a")},
                                              {span("tWice"), span("b")},
                                              {span("Odd"), span("a\tb")}}};
    char out[6];
    bool present = true;

    (void)state;
    assert_int_equal(srv_request_header(&request, "x-chip", out, sizeof out, &present), KEDGE_OK);
    assert_true(present);
    assert_string_equal(out, "esp32");
    assert_int_equal(srv_request_header(&request, "x-chip", out, 5, &present), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(srv_request_header(&request, "Twice", out, sizeof out, &present),
                     KEDGE_ERR_DUPLICATE);
    assert_int_equal(srv_request_header(&request, "Odd", out, sizeof out, &present),
                     KEDGE_ERR_SYNTAX);
    assert_int_equal(srv_request_header(&request, "X-Chi", out, sizeof out, &present), KEDGE_OK);
    assert_false(present);
    assert_string_equal(out, "");
}

static void a_query_value_is_decoded_and_bounded(void **state)
{
    struct srv_request request = {.query = "ab=1&a=x%2Fy+z&empty&bad=%0a&half=%4&eq=a=b&a=late"};
    char out[8];

    (void)state;
    assert_int_equal(srv_request_query(&request, "a", out, sizeof out), KEDGE_OK);
    assert_string_equal(out, "x/y z");
    assert_int_equal(srv_request_query(&request, "a", out, 5), KEDGE_ERR_TOO_LARGE);
    assert_int_equal(srv_request_query(&request, "empty", out, sizeof out), KEDGE_OK);
    assert_string_equal(out, "");
    assert_int_equal(srv_request_query(&request, "eq", out, sizeof out), KEDGE_OK);
    assert_string_equal(out, "a=b");
    assert_int_equal(srv_request_query(&request, "bad", out, sizeof out), KEDGE_ERR_SYNTAX);
    assert_int_equal(srv_request_query(&request, "half", out, sizeof out), KEDGE_ERR_SYNTAX);
    assert_int_equal(srv_request_query(&request, "b", out, sizeof out), KEDGE_ERR_NOT_FOUND);
    request.query[0] = '\0';
    assert_int_equal(srv_request_query(&request, "a", out, sizeof out), KEDGE_ERR_NOT_FOUND);
}

static void a_header_value_cannot_start_another_header(void **state)
{
    struct srv_response response;

    (void)state;
    srv_response_init(&response);
    srv_response_header(&response, "X-Version", "%s", "1.0\r\nSet-Cookie: x");
    assert_string_equal(host_buf_text(&response.head), "X-Version: 1.0??Set-Cookie: x\r\n");
    srv_response_free(&response);
}

static void an_error_is_json_whatever_its_text_holds(void **state)
{
    struct srv_response response;

    (void)state;
    srv_response_init(&response);
    host_buf_append(&response.body, "half an answer", 14);
    srv_response_error(&response, 400, "bad \"%s\"\n", "x\\y");
    assert_int_equal(response.status, 400);
    assert_string_equal(host_buf_text(&response.body),
                        "{\"error\":\"bad \\\"x\\\\y\\\"\\u000a\"}\n");
    srv_response_free(&response);
}

static void the_longest_error_text_still_is_json(void **state)
{
    struct srv_response response;
    char text[2000];

    (void)state;
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    srv_response_init(&response);
    srv_response_error(&response, 500, "%s", text);
    assert_true(response.body.len > 511u * 6u);
    assert_memory_equal(response.body.data + response.body.len - 3, "\"}\n", 3);
    srv_response_free(&response);
}

static void encode(const struct srv_response *response, bool keep_alive, char *out, size_t size)
{
    struct host_buf buf;

    host_buf_init(&buf, 4096);
    srv_response_encode_head(response, keep_alive, 784111777, &buf);
    (void)snprintf(out, size, "%s", host_buf_text(&buf));
    host_buf_free(&buf);
}

static void a_head_has_date_length_and_connection(void **state)
{
    struct srv_response response;
    char text[512];

    (void)state;
    srv_response_init(&response);
    response.status = 200;
    srv_response_header(&response, "ETag", "\"%d\"", 7);
    host_buf_append(&response.body, "hello", 5);
    encode(&response, true, text, sizeof text);
    assert_string_equal(text, "HTTP/1.1 200 OK\r\n"
                              "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" /* RFC 9110 5.6.7 */
                              "Content-Length: 5\r\n"
                              "Connection: keep-alive\r\n"
                              "ETag: \"7\"\r\n\r\n");
    response.status = 304;
    encode(&response, false, text, sizeof text);
    assert_string_equal(text, "HTTP/1.1 304 Not Modified\r\n"
                              "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                              "Connection: close\r\n"
                              "ETag: \"7\"\r\n\r\n");
    assert_int_equal(srv_response_body_len(&response), 0);
    srv_response_free(&response);
}

static void count_free(struct srv_mapping *mapping)
{
    mapping->size = 0;
}

static void what_a_handler_forgot_or_overran_becomes_a_500(void **state)
{
    struct srv_mapping mapping = {.size = 10, .references = 1, .free = count_free};
    struct srv_response response;

    (void)state;
    srv_response_init(&response);
    srv_response_settle(&response);
    assert_int_equal(response.status, 500);
    srv_response_free(&response);

    srv_response_init(&response);
    response.status = 200;
    response.body.overflow = true;
    srv_response_settle(&response);
    assert_int_equal(response.status, 500);
    srv_response_free(&response);

    srv_response_init(&response);
    response.status = 206;
    response.mapping = &mapping;
    response.mapping_offset = 5;
    response.mapping_len = 6;
    srv_response_settle(&response);
    assert_int_equal(response.status, 500);
    assert_int_equal(mapping.size, 0);
    srv_response_free(&response);
}

static void handle(void *app, const struct srv_request *request, struct srv_response *response)
{
    (void)app;
    (void)request;
    response->status = 200;
}

static void routes_match_whole_segments_and_know_their_methods(void **state)
{
    static const struct srv_route routes[] = {
        {SRV_GET, "/health", handle, NULL},
        {SRV_GET, "/devices/*", handle, NULL},
        {SRV_DELETE, "/devices/*", handle, NULL},
        {SRV_POST, "/rollouts/*/pause", handle, NULL},
        {0},
    };
    static const struct {
        enum srv_method method;
        const char *path, *param;
        int row; /* -1 = refused */
        unsigned status;
    } cases[] = {
        {SRV_GET, "/health", "", 0, 0},
        {SRV_GET, "/devices/a-1", "a-1", 1, 0},
        {SRV_DELETE, "/devices/x", "x", 2, 0},
        {SRV_POST, "/rollouts/7/pause", "7", 3, 0},
        {SRV_POST, "/health", "", -1, 405},
        {SRV_POST, "/devices/x", "", -1, 405},
        {SRV_GET, "/devices/", "", -1, 404},
        {SRV_GET, "/devices/a/b", "", -1, 404},
        {SRV_GET, "/healthy", "", -1, 404},
        {SRV_POST, "/rollouts//pause", "", -1, 404},
        {SRV_POST, "/rollouts/7/pause/", "", -1, 404},
    };
    const struct srv_app app = {.routes = routes};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct srv_request request = {.method = cases[i].method};
        struct srv_response response;
        char param[16] = "";

        srv_response_init(&response);
        (void)snprintf(request.path, sizeof request.path, "%s", cases[i].path);

        const struct srv_route *route =
            srv_route_find(&app, &request, param, sizeof param, &response);

        if (cases[i].row < 0) {
            assert_null(route);
            assert_int_equal(response.status, cases[i].status);
        } else {
            assert_ptr_equal(route, &routes[cases[i].row]);
            assert_string_equal(param, cases[i].param);
        }
        srv_response_free(&response);
    }
}

static void a_405_lists_what_is_allowed(void **state)
{
    static const struct srv_route routes[] = {
        {SRV_GET, "/a", handle, NULL}, {SRV_PUT, "/*", handle, NULL}, {0}};
    const struct srv_app app = {.routes = routes};
    struct srv_request request = {.method = SRV_DELETE, .path = "/a"};
    struct srv_response response;
    char param[8];

    (void)state;
    srv_response_init(&response);
    assert_null(srv_route_find(&app, &request, param, sizeof param, &response));
    assert_non_null(strstr(host_buf_text(&response.head), "Allow: GET, PUT\r\n"));
    srv_response_free(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_found_without_case_and_bounded),
        cmocka_unit_test(a_query_value_is_decoded_and_bounded),
        cmocka_unit_test(a_header_value_cannot_start_another_header),
        cmocka_unit_test(an_error_is_json_whatever_its_text_holds),
        cmocka_unit_test(the_longest_error_text_still_is_json),
        cmocka_unit_test(a_head_has_date_length_and_connection),
        cmocka_unit_test(what_a_handler_forgot_or_overran_becomes_a_500),
        cmocka_unit_test(routes_match_whole_segments_and_know_their_methods),
        cmocka_unit_test(a_405_lists_what_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
