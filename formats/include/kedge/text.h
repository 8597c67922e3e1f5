/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bounded text without stdio, in the caller's buffer: what does not fit is cut, the NUL is always
 *  there. */
struct kedge_text {
    char *out;
    size_t size;
    size_t len;
};

/** size > 0. */
struct kedge_text kedge_text_begin(char *out, size_t size);
void kedge_text_add(struct kedge_text *text, const char *string);
void kedge_text_add_u32(struct kedge_text *text, uint32_t value);

/** Copy src into dst of size bytes, cut if need be, NUL added. size > 0. */
void kedge_text_copy(char *dst, size_t size, const char *src);

#ifdef __cplusplus
}
#endif
