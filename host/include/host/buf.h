/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>

#include "kedge/bytes.h"
#include "kedge/err.h"

/**
 * A growing byte buffer with a mandatory limit. Errors stick: after an overflow every append is a
 * no-op and host_buf_ok is false. data is always NUL-terminated. Running out of memory aborts.
 */
struct host_buf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t capacity;
    size_t limit;
    bool overflow;
};

void host_buf_init(struct host_buf *buf, size_t limit);
void host_buf_free(struct host_buf *buf);
/** Empty it, keep the memory, forget the error. */
void host_buf_reset(struct host_buf *buf);
void host_buf_append(struct host_buf *buf, const void *data, size_t len);
__attribute__((format(printf, 2, 3))) void host_buf_printf(struct host_buf *buf, const char *format,
                                                           ...);
/** Drop the first len bytes. */
void host_buf_consume(struct host_buf *buf, size_t len);
bool host_buf_ok(const struct host_buf *buf);
/** "" when empty. */
const char *host_buf_text(const struct host_buf *buf);

/** malloc, calloc, strdup that abort when memory is gone: a supervisor restarts us. */
void *host_alloc(size_t size);
void *host_calloc(size_t count, size_t size);
void *host_realloc(void *old, size_t size);
char *host_strdup(const char *text);
