/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 character at the start of text (1..4); 0 when it is malformed, over-long, a
 * surrogate, above U+10FFFF or cut short, or when len is 0. RFC 3629 section 4. */
size_t utf8_length(const uint8_t *text, size_t len);
/* Writes 1..4 bytes of code_point (a Unicode scalar value); returns how many. */
size_t utf8_encode(uint32_t code_point, uint8_t out[4]);
