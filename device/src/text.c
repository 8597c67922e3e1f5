/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

struct text text_begin(char *out, size_t size)
{
    out[0] = '\0';
    return (struct text){.out = out, .size = size};
}

void text_add(struct text *text, const char *string)
{
    while (*string != '\0' && text->len + 1 < text->size) {
        text->out[text->len++] = *string++;
    }
    text->out[text->len] = '\0';
}

void text_add_u32(struct text *text, uint32_t value)
{
    char digits[11];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    text_add(text, &digits[at]);
}

void text_copy(char *dst, size_t size, const char *src)
{
    struct text text = text_begin(dst, size);

    text_add(&text, src);
}
