/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bounded text without stdio: what does not fit is cut, the NUL is always there. */
struct text {
    char *out;
    size_t size;
    size_t len;
};

struct text text_begin(char *out, size_t size);
void text_add(struct text *text, const char *string);
void text_add_u32(struct text *text, uint32_t value);

/** Copy src into dst of size bytes, cut if need be, NUL added. */
void text_copy(char *dst, size_t size, const char *src);
