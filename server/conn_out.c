/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_internal.h"

#include <string.h>
#include <time.h>
#include <openssl/err.h>

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void srv_out_begin(struct srv_out *out, struct srv_response *response, bool is_head,
                   bool keep_alive)
{
    *out = (struct srv_out){.response = *response, .is_active = true};
    response = &out->response;
    host_buf_init(&out->stage, 2u * SRV_RECORD_SIZE);
    srv_response_encode_head(response, keep_alive, (int64_t)time(NULL), &out->stage);
    out->head_len = out->stage.len;
    out->body_len = is_head ? 0 : srv_response_body_len(response);
    if (out->body_len == 0) {
        return;
    }
    out->body = response->mapping != NULL ? response->mapping->data + response->mapping_offset
                                          : (const uint8_t *)response->body.data;
    if (out->head_len < SRV_RECORD_SIZE) {
        host_buf_append(&out->stage, out->body,
                        min_size(out->body_len, SRV_RECORD_SIZE - out->head_len));
    }
}

void srv_out_begin_interim(struct srv_out *out, const char *text)
{
    *out = (struct srv_out){.is_active = true};
    srv_response_init(&out->response);
    host_buf_init(&out->stage, SRV_RECORD_SIZE);
    host_buf_append(&out->stage, text, strlen(text));
    out->head_len = out->stage.len;
}

/* The next bytes to hand to TLS: what is left of the stage, then the body where it lies. */
static struct kedge_cspan next_bytes(const struct srv_out *out)
{
    size_t left = out->stage.len - out->stage_sent;

    if (left > 0) {
        return (struct kedge_cspan){(const uint8_t *)out->stage.data + out->stage_sent,
                                    min_size(left, SRV_RECORD_SIZE)};
    }
    left = out->body_len - out->body_sent;
    if (left == 0) {
        return (struct kedge_cspan){0};
    }
    return (struct kedge_cspan){out->body + out->body_sent, min_size(left, SRV_RECORD_SIZE)};
}

static void count_sent(struct srv_out *out, size_t len)
{
    size_t before = out->body_sent;

    if (out->stage_sent < out->stage.len) {
        out->stage_sent += len;
        out->body_sent = out->stage_sent > out->head_len ? out->stage_sent - out->head_len : 0;
    } else {
        out->body_sent += len;
    }
    if (out->body_sent != before && out->response.progress != NULL) {
        out->response.progress(out->response.progress_ctx, out->body_sent, false);
    }
}

enum srv_out_result srv_out_step(struct srv_out *out, SSL *ssl)
{
    struct kedge_cspan bytes = next_bytes(out);
    size_t written = 0;

    if (bytes.len == 0) {
        return SRV_OUT_DONE;
    }
    ERR_clear_error();

    int result = SSL_write_ex(ssl, bytes.data, bytes.len, &written);

    if (result == 1) {
        count_sent(out, written);
        return SRV_OUT_PROGRESS;
    }
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return SRV_OUT_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return SRV_OUT_WANT_WRITE;
    default:
        return SRV_OUT_BROKEN;
    }
}

void srv_out_end(struct srv_out *out)
{
    if (!out->is_active) {
        return;
    }
    if (out->response.progress != NULL) {
        out->response.progress(out->response.progress_ctx, out->body_sent, true);
    }
    srv_response_free(&out->response);
    host_buf_free(&out->stage);
    *out = (struct srv_out){0};
}
