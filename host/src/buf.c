/* SPDX-License-Identifier: Apache-2.0 */
#include "host/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN_CAPACITY 256u

static void die_without_memory(void)
{
    static const char text[] = "out of memory\n";
    fwrite(text, 1, sizeof(text) - 1, stderr);
    abort();
}

void *host_alloc(size_t size)
{
    void *memory = malloc(size != 0 ? size : 1);
    if (memory == NULL) {
        die_without_memory();
    }
    return memory;
}

void *host_calloc(size_t count, size_t size)
{
    void *memory = calloc(count != 0 ? count : 1, size != 0 ? size : 1);
    if (memory == NULL) {
        die_without_memory();
    }
    return memory;
}

void *host_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size != 0 ? size : 1);
    if (memory == NULL) {
        die_without_memory();
    }
    return memory;
}

char *host_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = host_alloc(size);
    memcpy(copy, text, size);
    return copy;
}

void host_buf_init(struct host_buf *buf, size_t limit)
{
    *buf = (struct host_buf){.limit = limit};
}

void host_buf_free(struct host_buf *buf)
{
    free(buf->data);
    *buf = (struct host_buf){.limit = buf->limit};
}

void host_buf_reset(struct host_buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

/* Room for extra more bytes and the NUL; false once the limit would be passed. */
static bool buf_reserve(struct host_buf *buf, size_t extra)
{
    if (buf->overflow || extra > buf->limit - buf->len || extra >= SIZE_MAX - buf->len) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + extra + 1;
    if (need <= buf->capacity) {
        return true;
    }
    size_t capacity = buf->capacity < BUF_MIN_CAPACITY ? BUF_MIN_CAPACITY : buf->capacity;
    while (capacity < need) {
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    }
    buf->data = host_realloc(buf->data, capacity);
    buf->capacity = capacity;
    return true;
}

void host_buf_append(struct host_buf *buf, const void *data, size_t len)
{
    if (!buf_reserve(buf, len)) {
        return;
    }
    if (len != 0) {
        memcpy(buf->data + buf->len, data, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void host_buf_printf(struct host_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !buf_reserve(buf, (size_t)len)) {
        buf->overflow = true;
        return;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void host_buf_consume(struct host_buf *buf, size_t len)
{
    if (len >= buf->len) {
        len = buf->len;
    }
    if (len == 0) {
        return;
    }
    memmove(buf->data, buf->data + len, buf->len - len + 1);
    buf->len -= len;
}

bool host_buf_ok(const struct host_buf *buf)
{
    return !buf->overflow;
}

const char *host_buf_text(const struct host_buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}
