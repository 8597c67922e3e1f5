/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/json.h"

#include <string.h>

#include "utf8.h"

/* All or nothing; one byte of room stays for the NUL. */
static void put(struct kedge_json_writer *writer, const void *text, size_t len)
{
    if (writer->overflow || writer->size - writer->len <= len) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->out + writer->len, text, len);
    writer->len += len;
}

static void put_control(struct kedge_json_writer *writer, uint8_t byte)
{
    char escape[7] = "\\u00";

    kedge_hex_encode(&byte, 1, escape + 4);
    put(writer, escape, 6);
}

static void put_string(struct kedge_json_writer *writer, const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t left = strlen(text);

    put(writer, "\"", 1);
    while (left > 0) {
        size_t len = utf8_length(bytes, left);
        if (len == 0) {
            put(writer, "\xEF\xBF\xBD", 3); /* U+FFFD */
            len = 1;
        } else if (bytes[0] < 0x20) {
            put_control(writer, bytes[0]);
        } else {
            if (bytes[0] == '"' || bytes[0] == '\\') {
                put(writer, "\\", 1);
            }
            put(writer, bytes, len);
        }
        bytes += len;
        left -= len;
    }
    put(writer, "\"", 1);
}

static void put_name(struct kedge_json_writer *writer, const char *name)
{
    if (writer->any) {
        put(writer, ",", 1);
    }
    writer->any = true;
    put_string(writer, name);
    put(writer, ":", 1);
}

static void put_unsigned(struct kedge_json_writer *writer, uint64_t value)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(writer, digits + at, sizeof(digits) - at);
}

/* Writes the sign and returns the rest; INT64_MIN has no positive int64_t. */
static uint64_t put_sign(struct kedge_json_writer *writer, int64_t value)
{
    if (value >= 0) {
        return (uint64_t)value;
    }
    put(writer, "-", 1);
    return 0u - (uint64_t)value;
}

void kedge_json_begin(struct kedge_json_writer *writer, char *out, size_t size)
{
    *writer = (struct kedge_json_writer){.out = out, .size = size};
    put(writer, "{", 1);
}

void kedge_json_add_string(struct kedge_json_writer *writer, const char *name, const char *value)
{
    put_name(writer, name);
    put_string(writer, value);
}

void kedge_json_add_int(struct kedge_json_writer *writer, const char *name, int64_t value)
{
    put_name(writer, name);
    put_unsigned(writer, put_sign(writer, value));
}

void kedge_json_add_milli(struct kedge_json_writer *writer, const char *name, int64_t value)
{
    uint64_t magnitude;
    uint32_t rest;

    put_name(writer, name);
    magnitude = put_sign(writer, value);
    put_unsigned(writer, magnitude / 1000);
    rest = (uint32_t)(magnitude % 1000);
    if (rest > 0) {
        char digits[3] = {(char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                          (char)('0' + rest % 10)};
        size_t len = sizeof(digits);
        while (digits[len - 1] == '0') {
            len--;
        }
        put(writer, ".", 1);
        put(writer, digits, len);
    }
}

enum kedge_err kedge_json_end(struct kedge_json_writer *writer, size_t *len_out)
{
    put(writer, "}", 1);
    if (writer->overflow) {
        return KEDGE_ERR_NO_SPACE;
    }
    writer->out[writer->len] = '\0';
    *len_out = writer->len;
    return KEDGE_OK;
}
