/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/crash.h"

#include <string.h>

#include "kedge/json.h"
#include "message_text.h"

#define ADDRESS_DIGITS 8u
/* Addresses with a space between two. */
#define BACKTRACE_SIZE (KEDGE_CRASH_BACKTRACE_MAX * (ADDRESS_DIGITS + 1u))

static const char *const reset_texts[] = {
#define X(name, value, text) [value] = text,
    KEDGE_RESET_MAP(X)
#undef X
};

/* ---- texts ---- */

static bool is_printable(const char *text, size_t size)
{
    size_t len = 0;

    while (len < size && text[len] >= 0x20 && text[len] <= 0x7E) {
        len++;
    }
    return len < size && text[len] == '\0';
}

static bool is_lower_hex(const char *text, size_t size)
{
    size_t len = 0;

    while (len < size &&
           ((text[len] >= '0' && text[len] <= '9') || (text[len] >= 'a' && text[len] <= 'f'))) {
        len++;
    }
    return len < size && text[len] == '\0';
}

/* Most significant digit first, as addr2line and a person take it. */
static void put_address(char *out, uint32_t address)
{
    const uint8_t bytes[4] = {(uint8_t)(address >> 24), (uint8_t)(address >> 16),
                              (uint8_t)(address >> 8), (uint8_t)address};

    kedge_hex_encode(bytes, sizeof(bytes), out);
}

static bool get_address(const char *text, size_t len, uint32_t *out)
{
    uint8_t bytes[4];

    if (!kedge_hex_decode(text, len, bytes, sizeof(bytes))) {
        return false;
    }
    *out = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return true;
}

static bool get_backtrace(const char *text, struct kedge_crash *out)
{
    size_t left = strlen(text);

    while (left > 0) {
        if (out->backtrace_count == KEDGE_CRASH_BACKTRACE_MAX || left < ADDRESS_DIGITS ||
            !get_address(text, ADDRESS_DIGITS, &out->backtrace[out->backtrace_count])) {
            return false;
        }
        out->backtrace_count++;
        text += ADDRESS_DIGITS;
        left -= ADDRESS_DIGITS;
        if (left > 0 && (*text++ != ' ' || --left == 0)) {
            return false;
        }
    }
    return true;
}

/* ---- reading ---- */

static enum kedge_err read_dump(const struct kedge_json *json, struct kedge_crash *out,
                                struct kedge_fault *fault)
{
    char hex[2 * KEDGE_SHA256_SIZE + 1];
    enum kedge_err err = message_get_u32(json, "size", UINT32_MAX, &out->size_bytes, fault);

    if (err == KEDGE_OK && out->size_bytes == 0) {
        err = message_fail(fault, KEDGE_ERR_RANGE, "size");
    }
    if (err != KEDGE_OK) {
        return err;
    }
    err = kedge_json_get_string(json, "sha256", hex, sizeof(hex));
    if (err == KEDGE_OK && !kedge_hex_decode(hex, strlen(hex), out->sha256, sizeof(out->sha256))) {
        err = KEDGE_ERR_RANGE;
    }
    return err == KEDGE_OK ? KEDGE_OK : message_fail(fault, err, "sha256");
}

static enum kedge_err read_reporter(const struct kedge_json *json, struct kedge_crash *out,
                                    struct kedge_fault *fault)
{
    int reset;
    enum kedge_err err =
        message_get_choice(json, "reset_reason", reset_texts,
                           sizeof(reset_texts) / sizeof(reset_texts[0]), &reset, fault);

    if (err != KEDGE_OK) {
        return err;
    }
    out->reset_reason = reset < 0 ? KEDGE_RESET_UNKNOWN : (enum kedge_reset)reset;
    err = message_get_version(json, "firmware", out->firmware, fault);
    if (err == KEDGE_OK && out->firmware[0] == '\0') {
        return message_fail(fault, KEDGE_ERR_RANGE, "firmware");
    }
    return err;
}

/* A text member that may be absent; check says what it may hold. */
static enum kedge_err read_optional(const struct kedge_json *json, const char *name, char *out,
                                    size_t size, bool (*check)(const char *text, size_t size),
                                    struct kedge_fault *fault)
{
    enum kedge_err err = kedge_json_get_string(json, name, out, size);

    if (err == KEDGE_ERR_NOT_FOUND) {
        out[0] = '\0';
        return KEDGE_OK;
    }
    if (err == KEDGE_OK && !check(out, size)) {
        err = KEDGE_ERR_RANGE;
    }
    return err == KEDGE_OK ? KEDGE_OK : message_fail(fault, err, name);
}

static enum kedge_err read_program(const struct kedge_json *json, struct kedge_crash *out,
                                   struct kedge_fault *fault)
{
    enum kedge_err err =
        read_optional(json, "task", out->task, sizeof(out->task), is_printable, fault);

    if (err == KEDGE_OK) {
        err = read_optional(json, "elf_sha256", out->elf_sha256, sizeof(out->elf_sha256),
                            is_lower_hex, fault);
    }
    return err;
}

static enum kedge_err read_addresses(const struct kedge_json *json, struct kedge_crash *out,
                                     struct kedge_fault *fault)
{
    char text[BACKTRACE_SIZE];
    char pc[ADDRESS_DIGITS + 1];
    enum kedge_err err = read_optional(json, "pc", pc, sizeof(pc), is_printable, fault);

    if (err == KEDGE_OK && pc[0] != '\0' && !get_address(pc, strlen(pc), &out->pc)) {
        err = message_fail(fault, KEDGE_ERR_RANGE, "pc");
    }
    if (err == KEDGE_OK) {
        err = read_optional(json, "backtrace", text, sizeof(text), is_printable, fault);
    }
    if (err == KEDGE_OK && !get_backtrace(text, out)) {
        err = message_fail(fault, KEDGE_ERR_RANGE, "backtrace");
    }
    return err;
}

static enum kedge_err (*const readers[])(const struct kedge_json *, struct kedge_crash *,
                                         struct kedge_fault *) = {
    read_dump,
    read_reporter,
    read_program,
    read_addresses,
};

/* ---- the two ways ---- */

static bool can_encode(const struct kedge_crash *crash)
{
    return crash->size_bytes != 0 && crash->firmware[0] != '\0' &&
           message_version_ok(crash->firmware) &&
           (unsigned)crash->reset_reason < sizeof(reset_texts) / sizeof(reset_texts[0]) &&
           is_printable(crash->task, sizeof(crash->task)) &&
           is_lower_hex(crash->elf_sha256, sizeof(crash->elf_sha256)) &&
           crash->backtrace_count <= KEDGE_CRASH_BACKTRACE_MAX;
}

static void add_addresses(struct kedge_json_writer *json, const struct kedge_crash *crash)
{
    char text[BACKTRACE_SIZE + 1];

    if (crash->pc != 0) {
        put_address(text, crash->pc);
        kedge_json_add_string(json, "pc", text);
    }
    if (crash->backtrace_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < crash->backtrace_count; i++) {
        char *at = &text[i * (ADDRESS_DIGITS + 1u)];

        put_address(at, crash->backtrace[i]);
        at[ADDRESS_DIGITS] = ' ';
    }
    text[crash->backtrace_count * (ADDRESS_DIGITS + 1u) - 1u] = '\0';
    kedge_json_add_string(json, "backtrace", text);
}

static void add_known(struct kedge_json_writer *json, const char *name, const char *text)
{
    if (text[0] != '\0') {
        kedge_json_add_string(json, name, text);
    }
}

enum kedge_err kedge_crash_encode(const struct kedge_crash *crash, char *out, size_t out_size,
                                  size_t *len_out)
{
    struct kedge_json_writer json;
    char hex[2 * KEDGE_SHA256_SIZE + 1];

    if (!can_encode(crash)) {
        return KEDGE_ERR_ARG;
    }
    kedge_hex_encode(crash->sha256, sizeof(crash->sha256), hex);
    kedge_json_begin(&json, out, out_size);
    kedge_json_add_int(&json, "size", crash->size_bytes);
    kedge_json_add_string(&json, "sha256", hex);
    kedge_json_add_string(&json, "reset_reason", kedge_reset_text(crash->reset_reason));
    kedge_json_add_string(&json, "firmware", crash->firmware);
    add_known(&json, "task", crash->task);
    add_known(&json, "elf_sha256", crash->elf_sha256);
    add_addresses(&json, crash);
    return kedge_json_end(&json, len_out);
}

enum kedge_err kedge_crash_parse(struct kedge_cspan json, struct kedge_crash *out,
                                 struct kedge_fault *fault)
{
    struct kedge_json object;
    struct kedge_crash crash;
    enum kedge_err err = message_open(json, &object, fault);

    memset(&crash, 0, sizeof(crash));
    for (size_t i = 0; err == KEDGE_OK && i < sizeof(readers) / sizeof(readers[0]); i++) {
        err = readers[i](&object, &crash, fault);
    }
    if (err == KEDGE_OK) {
        *out = crash;
    }
    return err;
}
