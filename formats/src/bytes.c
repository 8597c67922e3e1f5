/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/bytes.h"

/* CRC of each 4-bit value: two look-ups per byte, 64 bytes of flash instead of 1 KiB. */
static const uint32_t crc_nibbles[16] = {
    0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
    0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
    0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
};

/* Value of a hex digit, -1 for any other character. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

uint32_t kedge_crc32(uint32_t seed, const void *data, size_t len_bytes)
{
    const uint8_t *bytes = data;
    uint32_t crc = ~seed;

    for (size_t i = 0; i < len_bytes; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ crc_nibbles[crc & 0x0Fu];
        crc = (crc >> 4) ^ crc_nibbles[crc & 0x0Fu];
    }
    return ~crc;
}

void kedge_hex_encode(const uint8_t *data, size_t len_bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len_bytes; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 0x0Fu];
    }
    out[2 * len_bytes] = '\0';
}

bool kedge_hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len_bytes)
{
    if (text_len % 2 != 0 || text_len / 2 != len_bytes) {
        return false;
    }
    /* Two passes, so that out is untouched when a digit is wrong. */
    for (size_t i = 0; i < text_len; i++) {
        if (hex_value(text[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < len_bytes; i++) {
        out[i] = (uint8_t)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
    }
    return true;
}
