/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

/* RFC 3629 section 4, by first byte: total length, and the range of the second byte. */
static const struct {
    uint8_t first_min, first_max;
    uint8_t len;
    uint8_t second_min, second_max;
} forms[] = {
    {0x00, 0x7F, 1, 0x00, 0x00}, {0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF},
    {0xE1, 0xEC, 3, 0x80, 0xBF}, {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF},
    {0xF0, 0xF0, 4, 0x90, 0xBF}, {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F},
};

size_t utf8_length(const uint8_t *text, size_t len)
{
    size_t form = 0;

    if (len == 0) {
        return 0;
    }
    while (text[0] < forms[form].first_min || text[0] > forms[form].first_max) {
        if (++form == sizeof(forms) / sizeof(forms[0])) {
            return 0;
        }
    }
    if (forms[form].len > len) {
        return 0;
    }
    for (size_t i = 1; i < forms[form].len; i++) {
        uint8_t min = i == 1 ? forms[form].second_min : 0x80;
        uint8_t max = i == 1 ? forms[form].second_max : 0xBF;
        if (text[i] < min || text[i] > max) {
            return 0;
        }
    }
    return forms[form].len;
}

size_t utf8_encode(uint32_t code_point, uint8_t out[4])
{
    if (code_point < 0x80) {
        out[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (uint8_t)(0xC0 | (code_point >> 6));
        out[1] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (uint8_t)(0xE0 | (code_point >> 12));
        out[1] = (uint8_t)(0x80 | ((code_point >> 6) & 0x3F));
        out[2] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | (code_point >> 18));
    out[1] = (uint8_t)(0x80 | ((code_point >> 12) & 0x3F));
    out[2] = (uint8_t)(0x80 | ((code_point >> 6) & 0x3F));
    out[3] = (uint8_t)(0x80 | (code_point & 0x3F));
    return 4;
}
