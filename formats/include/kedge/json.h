/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Flat JSON objects (RFC 8259) without heap: one level of string, number, true, false and null
 * members, which is all that Kedge's messages use. Anything nested is refused. Host code that needs
 * trees uses cJSON.
 */
#define KEDGE_JSON_MAX_MEMBERS 32u

enum kedge_json_kind {
    KEDGE_JSON_STRING,
    KEDGE_JSON_NUMBER,
    KEDGE_JSON_BOOL,
    KEDGE_JSON_NULL
};

/** One member, as offsets into the input; a string's text is still escaped, without quotes. */
struct kedge_json_member {
    uint16_t name_at;
    uint16_t name_len;
    uint16_t text_at;
    uint16_t text_len;
    uint8_t kind; /**< enum kedge_json_kind */
};

/** A parsed object: about 350 bytes, so that it fits a task stack on the device. */
struct kedge_json {
    const uint8_t *bytes; /**< the input, borrowed */
    uint32_t count;
    struct kedge_json_member members[KEDGE_JSON_MAX_MEMBERS];
};

/** Parse a whole object; trailing bytes other than white space, duplicate names and bad UTF-8 are
 *  errors. Borrows bytes. Errors: SYNTAX, DUPLICATE, TOO_LARGE (members, or input over
 *  65,535 bytes); fault->at = offset. *out is undefined after an error. */
KEDGE_NODISCARD enum kedge_err kedge_json_parse(struct kedge_cspan bytes, struct kedge_json *out,
                                                struct kedge_fault *fault);
/** Member by name, NULL when absent. */
const struct kedge_json_member *kedge_json_find(const struct kedge_json *json, const char *name);
/** Unescaped string into out with NUL. Errors: NOT_FOUND, SYNTAX (not a string, or an escaped NUL),
 *  TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err kedge_json_get_string(const struct kedge_json *json,
                                                     const char *name, char *out, size_t out_size);
/** Integer in [min, max]. Fractions and exponents are refused. Errors: NOT_FOUND, SYNTAX, RANGE. */
KEDGE_NODISCARD enum kedge_err kedge_json_get_int(const struct kedge_json *json, const char *name,
                                                  int64_t min, int64_t max, int64_t *out);
/** Decimal number as thousandths, rounded toward zero ("21.5" -> 21500). Errors as above. */
KEDGE_NODISCARD enum kedge_err kedge_json_get_milli(const struct kedge_json *json, const char *name,
                                                    int64_t *out);

/** Writer into a caller's buffer; an overflow sticks and shows in end. */
struct kedge_json_writer {
    char *out;
    size_t size;
    size_t len;
    bool overflow;
    bool any;
};

void kedge_json_begin(struct kedge_json_writer *writer, char *out, size_t size);
/** Strings are escaped; bytes that are not UTF-8 are written as U+FFFD. */
void kedge_json_add_string(struct kedge_json_writer *writer, const char *name, const char *value);
void kedge_json_add_int(struct kedge_json_writer *writer, const char *name, int64_t value);
/** Thousandths as a decimal number: 21500 -> 21.5. */
void kedge_json_add_milli(struct kedge_json_writer *writer, const char *name, int64_t value);
/** Closes the object, adds NUL. *len_out without NUL. Errors: NO_SPACE. */
KEDGE_NODISCARD enum kedge_err kedge_json_end(struct kedge_json_writer *writer, size_t *len_out);

#ifdef __cplusplus
}
#endif
