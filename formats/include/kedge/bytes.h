/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Borrowed read-only bytes. */
struct kedge_cspan {
    const uint8_t *data;
    size_t len;
};

/** Borrowed writable bytes. */
struct kedge_span {
    uint8_t *data;
    size_t len;
};

static inline uint16_t kedge_get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | ((uint16_t)p[1] << 8));
}

static inline uint32_t kedge_get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

static inline void kedge_put_le16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void kedge_put_le32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
    p[3] = (uint8_t)(value >> 24);
}

/** a + b into *out; false (and *out untouched) when it does not fit 32 bits. */
static inline bool kedge_add_u32(uint32_t a, uint32_t b, uint32_t *out)
{
    if (a > UINT32_MAX - b) {
        return false;
    }
    *out = a + b;
    return true;
}

/** value rounded up to a multiple of align (a power of two); the caller keeps value + align < 2^32.
 */
static inline uint32_t kedge_align_up(uint32_t value, uint32_t align)
{
    return (value + (align - 1u)) & ~(align - 1u);
}

/**
 * CRC-32 (IEEE 802.3, reflected, as zlib's crc32 and the ESP ROM's esp_rom_crc32_le).
 * Chain by passing the previous result as seed; the first seed is 0 for zlib's crc32(data) and
 * UINT32_MAX for otadata (ESP-IDF bootloader_common_ota_select_crc; docs/esp-idf.md 2.1).
 */
uint32_t kedge_crc32(uint32_t seed, const void *data, size_t len_bytes);

/** Lower-case hex of len_bytes bytes into out, NUL added; out holds 2 * len_bytes + 1. */
void kedge_hex_encode(const uint8_t *data, size_t len_bytes, char *out);

/** Exactly 2 * len_bytes hex digits of text (either case, NUL or not after them) into out.
 *  false when a digit is wrong or text_len differs. */
bool kedge_hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len_bytes);

#ifdef __cplusplus
}
#endif
