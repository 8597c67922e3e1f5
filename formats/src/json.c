/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/json.h"

#include <string.h>

#include "utf8.h"

struct cursor {
    const uint8_t *bytes;
    uint32_t len; /* <= UINT16_MAX */
    uint32_t at;
    struct kedge_fault *fault;
};

/* One character of a string, escape resolved. taken == 0 means that it is malformed. */
struct character {
    size_t taken; /* bytes of input */
    uint8_t utf8[4];
    size_t utf8_len;
};

static enum kedge_err fail_at(const struct cursor *cursor, uint32_t at, enum kedge_err err,
                              const char *what)
{
    if (cursor->fault != NULL) {
        *cursor->fault = (struct kedge_fault){err, at, what, 0, 0};
        if (err == KEDGE_ERR_SYNTAX && at < cursor->len) {
            cursor->fault->found = cursor->bytes[at];
        }
    }
    return err;
}

static enum kedge_err fail(const struct cursor *cursor, const char *what)
{
    return fail_at(cursor, cursor->at, KEDGE_ERR_SYNTAX, what);
}

/* The next byte, 0 at the end; a NUL in the input is a syntax error wherever it can stand. */
static uint8_t peek(const struct cursor *cursor)
{
    return cursor->at < cursor->len ? cursor->bytes[cursor->at] : 0;
}

static bool accept(struct cursor *cursor, uint8_t byte)
{
    if (cursor->at < cursor->len && cursor->bytes[cursor->at] == byte) {
        cursor->at++;
        return true;
    }
    return false;
}

static void skip_space(struct cursor *cursor)
{
    while (peek(cursor) == ' ' || peek(cursor) == '\t' || peek(cursor) == '\n' ||
           peek(cursor) == '\r') {
        cursor->at++;
    }
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Four hex digits; false when they are not there. */
static bool read_hex4(const uint8_t *text, size_t len, uint32_t *out)
{
    uint8_t bytes[2];

    if (len < 4 || !kedge_hex_decode((const char *)text, 4, bytes, sizeof(bytes))) {
        return false;
    }
    *out = ((uint32_t)bytes[0] << 8) | bytes[1];
    return true;
}

/* text starts at a backslash followed by u. A surrogate must be half of a pair. */
static struct character read_unicode_escape(const uint8_t *text, size_t len)
{
    struct character character = {0};
    uint32_t code_point;
    uint32_t low;

    if (!read_hex4(text + 2, len - 2, &code_point)) {
        return character;
    }
    if (code_point >= 0xD800 && code_point <= 0xDFFF) {
        if (code_point > 0xDBFF || len < 12 || text[6] != '\\' || text[7] != 'u' ||
            !read_hex4(text + 8, len - 8, &low) || low < 0xDC00 || low > 0xDFFF) {
            return character;
        }
        code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
        character.taken = 12;
    } else {
        character.taken = 6;
    }
    character.utf8_len = utf8_encode(code_point, character.utf8);
    return character;
}

static struct character read_escape(const uint8_t *text, size_t len)
{
    static const char escapes[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    struct character character = {0};
    const char *found;

    if (len < 2) {
        return character;
    }
    if (text[1] == 'u') {
        return read_unicode_escape(text, len);
    }
    found = memchr(escapes, text[1], sizeof(escapes) - 1);
    if (found != NULL) {
        character.taken = 2;
        character.utf8[0] = (uint8_t)meanings[found - escapes];
        character.utf8_len = 1;
    }
    return character;
}

static struct character read_character(const uint8_t *text, size_t len)
{
    struct character character = {0};

    if (len == 0 || text[0] < 0x20) {
        return character;
    }
    if (text[0] == '\\') {
        return read_escape(text, len);
    }
    character.taken = utf8_length(text, len);
    character.utf8_len = character.taken;
    memcpy(character.utf8, text, character.taken);
    return character;
}

/* Cursor at the opening quote; *at and *len become the text between the quotes. */
static enum kedge_err parse_string(struct cursor *cursor, uint16_t *at, uint16_t *len)
{
    uint32_t opened_at = cursor->at;
    uint32_t start;

    if (!accept(cursor, '"')) {
        return fail(cursor, "string expected");
    }
    start = cursor->at;
    while (peek(cursor) != '"') {
        struct character character =
            read_character(cursor->bytes + cursor->at, cursor->len - cursor->at);
        if (cursor->at >= cursor->len) {
            return fail_at(cursor, opened_at, KEDGE_ERR_SYNTAX, "unterminated string");
        }
        if (character.taken == 0) {
            return fail(cursor, "character in a string");
        }
        cursor->at += (uint32_t)character.taken;
    }
    *at = (uint16_t)start;
    *len = (uint16_t)(cursor->at - start);
    cursor->at++;
    return KEDGE_OK;
}

static enum kedge_err skip_digits(struct cursor *cursor)
{
    if (!is_digit(peek(cursor))) {
        return fail(cursor, "digit expected");
    }
    while (is_digit(peek(cursor))) {
        cursor->at++;
    }
    return KEDGE_OK;
}

/* RFC 8259 section 6; the value is read later, by the getter that knows its range. */
static enum kedge_err parse_number(struct cursor *cursor)
{
    enum kedge_err err = KEDGE_OK;

    accept(cursor, '-');
    if (!accept(cursor, '0')) {
        err = skip_digits(cursor);
    }
    if (err == KEDGE_OK && accept(cursor, '.')) {
        err = skip_digits(cursor);
    }
    if (err == KEDGE_OK && (accept(cursor, 'e') || accept(cursor, 'E'))) {
        if (!accept(cursor, '+')) {
            accept(cursor, '-');
        }
        err = skip_digits(cursor);
    }
    return err;
}

static enum kedge_err parse_word(struct cursor *cursor, uint8_t *kind)
{
    static const struct {
        const char *text;
        uint8_t kind;
    } words[] = {
        {"true", KEDGE_JSON_BOOL},
        {"false", KEDGE_JSON_BOOL},
        {"null", KEDGE_JSON_NULL},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].text);
        if (cursor->len - cursor->at >= len &&
            memcmp(cursor->bytes + cursor->at, words[i].text, len) == 0) {
            cursor->at += (uint32_t)len;
            *kind = words[i].kind;
            return KEDGE_OK;
        }
    }
    return fail(cursor, "value expected");
}

static enum kedge_err parse_value(struct cursor *cursor, struct kedge_json_member *member)
{
    uint32_t start = cursor->at;
    enum kedge_err err;

    if (peek(cursor) == '{' || peek(cursor) == '[') {
        return fail(cursor, "nested value");
    }
    if (peek(cursor) == '"') {
        member->kind = KEDGE_JSON_STRING;
        return parse_string(cursor, &member->text_at, &member->text_len);
    }
    if (peek(cursor) == '-' || is_digit(peek(cursor))) {
        member->kind = KEDGE_JSON_NUMBER;
        err = parse_number(cursor);
    } else {
        err = parse_word(cursor, &member->kind);
    }
    member->text_at = (uint16_t)start;
    member->text_len = (uint16_t)(cursor->at - start);
    return err;
}

/* Resumable reading of a member's name, byte for byte of its unescaped form. */
struct name_reader {
    const uint8_t *text;
    size_t len;
    struct character held;
    size_t held_at;
};

static struct name_reader read_name(const struct kedge_json *json,
                                    const struct kedge_json_member *member)
{
    return (struct name_reader){.text = json->bytes + member->name_at, .len = member->name_len};
}

/* The next byte of the name, -1 after the last. Only for names that parse_string has accepted. */
static int next_name_byte(struct name_reader *reader)
{
    if (reader->held_at == reader->held.utf8_len) {
        if (reader->len == 0) {
            return -1;
        }
        reader->held = read_character(reader->text, reader->len);
        reader->held_at = 0;
        reader->text += reader->held.taken;
        reader->len -= reader->held.taken;
    }
    return reader->held.utf8[reader->held_at++];
}

/* "a" and "\u0061" are the same name. */
static bool same_name(const struct kedge_json *json, const struct kedge_json_member *a,
                      const struct kedge_json_member *b)
{
    struct name_reader first = read_name(json, a);
    struct name_reader second = read_name(json, b);
    int byte;

    do {
        byte = next_name_byte(&first);
        if (byte != next_name_byte(&second)) {
            return false;
        }
    } while (byte >= 0);
    return true;
}

static bool has_name(const struct kedge_json *json, const struct kedge_json_member *member,
                     const char *name)
{
    struct name_reader reader = read_name(json, member);

    for (size_t i = 0; name[i] != '\0'; i++) {
        if (next_name_byte(&reader) != (uint8_t)name[i]) {
            return false;
        }
    }
    return next_name_byte(&reader) < 0;
}

static enum kedge_err parse_member(struct cursor *cursor, struct kedge_json *json)
{
    struct kedge_json_member *member = &json->members[json->count];
    uint32_t start = cursor->at;
    enum kedge_err err;

    if (json->count == KEDGE_JSON_MAX_MEMBERS) {
        return fail_at(cursor, start, KEDGE_ERR_TOO_LARGE, "number of members");
    }
    err = parse_string(cursor, &member->name_at, &member->name_len);
    if (err != KEDGE_OK) {
        return err;
    }
    for (uint32_t i = 0; i < json->count; i++) {
        if (same_name(json, &json->members[i], member)) {
            return fail_at(cursor, start, KEDGE_ERR_DUPLICATE, "member name");
        }
    }
    skip_space(cursor);
    if (!accept(cursor, ':')) {
        return fail(cursor, "colon expected");
    }
    skip_space(cursor);
    err = parse_value(cursor, member);
    json->count += err == KEDGE_OK;
    return err;
}

static enum kedge_err parse_members(struct cursor *cursor, struct kedge_json *json)
{
    skip_space(cursor);
    if (accept(cursor, '}')) {
        return KEDGE_OK;
    }
    for (;;) {
        enum kedge_err err = parse_member(cursor, json);
        if (err != KEDGE_OK) {
            return err;
        }
        skip_space(cursor);
        if (accept(cursor, '}')) {
            return KEDGE_OK;
        }
        if (!accept(cursor, ',')) {
            return fail(cursor, "comma or closing brace expected");
        }
        skip_space(cursor);
    }
}

/* A member of the kind, or the error to return. */
static enum kedge_err find_kind(const struct kedge_json *json, const char *name,
                                enum kedge_json_kind kind, const struct kedge_json_member **member)
{
    *member = kedge_json_find(json, name);
    if (*member == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    return (*member)->kind == kind ? KEDGE_OK : KEDGE_ERR_SYNTAX;
}

/*
 * A decimal number without exponent, times 10^decimals, digits beyond those dropped. Errors: SYNTAX
 * (exponent, or a fraction where decimals is 0), RANGE.
 */
static enum kedge_err read_decimal(const uint8_t *text, size_t len, uint32_t decimals, int64_t *out)
{
    bool negative = text[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1u : 0u);
    uint64_t value = 0;
    uint32_t fraction_digits = 0;
    bool in_fraction = false;

    for (size_t i = negative ? 1 : 0; i < len; i++) {
        uint64_t digit = (uint64_t)text[i] - '0';
        if (text[i] == '.' && decimals > 0) {
            in_fraction = true;
            continue;
        }
        if (!is_digit(text[i])) {
            return KEDGE_ERR_SYNTAX;
        }
        if (in_fraction && fraction_digits++ >= decimals) {
            continue;
        }
        if (value > (limit - digit) / 10) {
            return KEDGE_ERR_RANGE;
        }
        value = value * 10 + digit;
    }
    for (uint32_t i = fraction_digits; i < decimals; i++) {
        if (value > limit / 10) {
            return KEDGE_ERR_RANGE;
        }
        value *= 10;
    }
    *out = negative ? (int64_t)(0u - value) : (int64_t)value;
    return KEDGE_OK;
}

enum kedge_err kedge_json_parse(struct kedge_cspan bytes, struct kedge_json *out,
                                struct kedge_fault *fault)
{
    struct cursor cursor = {.bytes = bytes.data, .len = (uint32_t)bytes.len, .fault = fault};
    enum kedge_err err;

    out->bytes = bytes.data;
    out->count = 0;
    if (bytes.len > UINT16_MAX) {
        cursor.len = 0;
        return fail_at(&cursor, UINT16_MAX, KEDGE_ERR_TOO_LARGE, "JSON length");
    }
    skip_space(&cursor);
    if (!accept(&cursor, '{')) {
        return fail(&cursor, "object expected");
    }
    err = parse_members(&cursor, out);
    if (err != KEDGE_OK) {
        return err;
    }
    skip_space(&cursor);
    if (cursor.at < cursor.len) {
        return fail(&cursor, "bytes after the object");
    }
    return KEDGE_OK;
}

const struct kedge_json_member *kedge_json_find(const struct kedge_json *json, const char *name)
{
    for (uint32_t i = 0; i < json->count; i++) {
        if (has_name(json, &json->members[i], name)) {
            return &json->members[i];
        }
    }
    return NULL;
}

enum kedge_err kedge_json_get_string(const struct kedge_json *json, const char *name, char *out,
                                     size_t out_size)
{
    const struct kedge_json_member *member;
    enum kedge_err err = find_kind(json, name, KEDGE_JSON_STRING, &member);
    size_t out_len = 0;

    if (err != KEDGE_OK) {
        return err;
    }
    for (size_t at = 0; at < member->text_len;) {
        struct character character =
            read_character(json->bytes + member->text_at + at, member->text_len - at);
        if (character.utf8[0] == 0) {
            return KEDGE_ERR_SYNTAX;
        }
        if (out_size - out_len <= character.utf8_len) {
            return KEDGE_ERR_TOO_LARGE;
        }
        memcpy(out + out_len, character.utf8, character.utf8_len);
        out_len += character.utf8_len;
        at += character.taken;
    }
    if (out_len >= out_size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    out[out_len] = '\0';
    return KEDGE_OK;
}

enum kedge_err kedge_json_get_int(const struct kedge_json *json, const char *name, int64_t min,
                                  int64_t max, int64_t *out)
{
    const struct kedge_json_member *member;
    enum kedge_err err = find_kind(json, name, KEDGE_JSON_NUMBER, &member);
    int64_t value;

    if (err != KEDGE_OK) {
        return err;
    }
    err = read_decimal(json->bytes + member->text_at, member->text_len, 0, &value);
    if (err != KEDGE_OK) {
        return err;
    }
    if (value < min || value > max) {
        return KEDGE_ERR_RANGE;
    }
    *out = value;
    return KEDGE_OK;
}

enum kedge_err kedge_json_get_milli(const struct kedge_json *json, const char *name, int64_t *out)
{
    const struct kedge_json_member *member;
    enum kedge_err err = find_kind(json, name, KEDGE_JSON_NUMBER, &member);

    if (err != KEDGE_OK) {
        return err;
    }
    return read_decimal(json->bytes + member->text_at, member->text_len, 3, out);
}
