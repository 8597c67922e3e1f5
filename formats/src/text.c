/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/text.h"

struct kedge_text kedge_text_begin(char *out, size_t size)
{
    out[0] = '\0';
    return (struct kedge_text){.out = out, .size = size};
}

void kedge_text_add(struct kedge_text *text, const char *string)
{
    while (*string != '\0' && text->len + 1 < text->size) {
        text->out[text->len++] = *string++;
    }
    text->out[text->len] = '\0';
}

void kedge_text_add_u32(struct kedge_text *text, uint32_t value)
{
    char digits[11];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    kedge_text_add(text, &digits[at]);
}

void kedge_text_copy(char *dst, size_t size, const char *src)
{
    struct kedge_text text = kedge_text_begin(dst, size);

    kedge_text_add(&text, src);
}
