/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "http_parser.h"

/* The scan's answer to data that comes in two pieces. */
static enum kedge_err scan(struct kedge_cspan data, size_t first, size_t *head_len,
                           struct srv_http_fault *fault)
{
    struct srv_http_scan scan = {0};
    enum kedge_err err =
        srv_http_scan(&scan, (struct kedge_cspan){data.data, first}, head_len, fault);

    return err == KEDGE_ERR_TRUNCATED ? srv_http_scan(&scan, data, head_len, fault) : err;
}

static void check_request(struct kedge_cspan head, const struct srv_request *request)
{
    FUZZ_CHECK(request->path[0] == '/');
    FUZZ_CHECK(memchr(request->path, '\0', sizeof request->path) != NULL);
    FUZZ_CHECK(memchr(request->query, '\0', sizeof request->query) != NULL);
    FUZZ_CHECK(strstr(request->path, "/../") == NULL);
    FUZZ_CHECK(request->header_count <= SRV_HTTP_MAX_HEADERS);
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct srv_header *header = &request->headers[i];

        FUZZ_CHECK(header->name.data >= head.data && header->name.len > 0);
        FUZZ_CHECK(header->value.data + header->value.len <= head.data + head.len);
    }
}

/* Where the data is cut does not show; a refusal has a status and a reason; a request keeps what
 * http.h promises of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kedge_cspan bytes = {data, size};
    struct srv_http_fault fault = {0}, split_fault = {0};
    struct srv_request request = {0};
    struct srv_http_traits traits = {0};
    size_t head_len = 0, split_len = 0;
    enum kedge_err err = scan(bytes, size, &head_len, &fault);

    FUZZ_CHECK(scan(bytes, size / 2, &split_len, &split_fault) == err);
    FUZZ_CHECK(split_len == head_len && split_fault.what == fault.what);
    if (err == KEDGE_OK) {
        FUZZ_CHECK(head_len <= size && head_len <= SRV_HTTP_MAX_HEAD);
        bytes.len = head_len;
        err = srv_http_parse(bytes, &request, &traits, &fault);
        if (err == KEDGE_OK) {
            check_request(bytes, &request);
        }
    }
    FUZZ_CHECK(err != KEDGE_ERR_SYNTAX ||
               (fault.status >= 400 && fault.status <= 505 && fault.what != NULL));
    return 0;
}
