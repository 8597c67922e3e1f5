/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/message.h"

#include <string.h>

#include "message_text.h"

/* Longer than every choice there is; a longer text is none of them. */
#define CHOICE_SIZE 32u

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool kedge_device_id_ok(const char *text, size_t len)
{
    if (len == 0 || len >= KEDGE_DEVICE_ID_SIZE || text[0] == '.' || text[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alphanumeric(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-') {
            return false;
        }
    }
    return true;
}

const char *kedge_reset_text(enum kedge_reset reason)
{
    switch (reason) {
#define X(name, value, text)                                                                       \
    case KEDGE_RESET_##name:                                                                       \
        return text;
        KEDGE_RESET_MAP(X)
#undef X
    }
    return "unknown";
}

bool kedge_reset_is_crash(enum kedge_reset reason)
{
    return reason == KEDGE_RESET_PANIC || reason == KEDGE_RESET_INT_WDT ||
           reason == KEDGE_RESET_TASK_WDT || reason == KEDGE_RESET_WDT ||
           reason == KEDGE_RESET_CPU_LOCKUP;
}

bool kedge_reset_is_power(enum kedge_reset reason)
{
    return reason == KEDGE_RESET_POWERON || reason == KEDGE_RESET_BROWNOUT ||
           reason == KEDGE_RESET_PWR_GLITCH;
}

enum kedge_err message_fail(struct kedge_fault *fault, enum kedge_err err, const char *name)
{
    if (fault != NULL) {
        *fault = (struct kedge_fault){.err = err, .what = name};
    }
    return err;
}

enum kedge_err message_open(struct kedge_cspan bytes, struct kedge_json *json,
                            struct kedge_fault *fault)
{
    if (bytes.len > KEDGE_MESSAGE_MAX) {
        if (fault != NULL) {
            *fault = (struct kedge_fault){KEDGE_ERR_TOO_LARGE, KEDGE_MESSAGE_MAX, "message length",
                                          bytes.len > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes.len,
                                          KEDGE_MESSAGE_MAX};
        }
        return KEDGE_ERR_TOO_LARGE;
    }
    return kedge_json_parse(bytes, json, fault);
}

enum kedge_err message_get_u32(const struct kedge_json *json, const char *name, uint32_t max,
                               uint32_t *out, struct kedge_fault *fault)
{
    int64_t value;
    enum kedge_err err = kedge_json_get_int(json, name, 0, max, &value);

    if (err != KEDGE_OK) {
        return message_fail(fault, err, name);
    }
    *out = (uint32_t)value;
    return KEDGE_OK;
}

bool message_version_ok(const char *text)
{
    size_t len = 0;

    while (len < KEDGE_DESC_STRING_SIZE && text[len] != '\0') {
        if (text[len] < 0x20 || text[len] > 0x7E) {
            return false;
        }
        len++;
    }
    return len < KEDGE_DESC_STRING_SIZE;
}

enum kedge_err message_get_version(const struct kedge_json *json, const char *name, char *out,
                                   struct kedge_fault *fault)
{
    enum kedge_err err = kedge_json_get_string(json, name, out, KEDGE_DESC_STRING_SIZE);

    if (err != KEDGE_OK) {
        return message_fail(fault, err, name);
    }
    return message_version_ok(out) ? KEDGE_OK : message_fail(fault, KEDGE_ERR_RANGE, name);
}

enum kedge_err message_get_choice(const struct kedge_json *json, const char *name,
                                  const char *const *texts, size_t count, int *out,
                                  struct kedge_fault *fault)
{
    char text[CHOICE_SIZE];
    enum kedge_err err = kedge_json_get_string(json, name, text, sizeof(text));

    *out = -1;
    if (err == KEDGE_ERR_TOO_LARGE) {
        return KEDGE_OK;
    }
    if (err != KEDGE_OK) {
        return message_fail(fault, err, name);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            *out = (int)i;
        }
    }
    return KEDGE_OK;
}
