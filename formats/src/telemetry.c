/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/message.h"

#include <string.h>

#include "kedge/otadata.h"
#include "message_text.h"

/* Unsigned members: all are uint32_t in the struct, by offset. */
struct number {
    const char *name;
    size_t into;
    bool required;
};

static const struct number numbers[] = {
    {"uptime", offsetof(struct kedge_telemetry, uptime_s), true},
    {"free_heap", offsetof(struct kedge_telemetry, free_heap_bytes), true},
    {"min_free_heap", offsetof(struct kedge_telemetry, min_free_heap_bytes), false},
    {"largest_block", offsetof(struct kedge_telemetry, largest_block_bytes), false},
    {"boot_count", offsetof(struct kedge_telemetry, boot_count), false},
    {"boot_id", offsetof(struct kedge_telemetry, boot_id), false},
    {"seq", offsetof(struct kedge_telemetry, seq), false},
};

static const char *const reset_texts[] = {
#define X(name, value, text) [value] = text,
    KEDGE_RESET_MAP(X)
#undef X
};

static const struct {
    uint32_t state;
    const char *text;
} ota_states[] = {
#define X(name, value, text) {value, text},
    KEDGE_OTA_STATE_MAP(X)
#undef X
};

static const char *const config_texts[] = {
#define X(name, text) [KEDGE_CONFIG_##name] = text,
    KEDGE_CONFIG_SOURCE_MAP(X)
#undef X
};

#define STATE_COUNT (sizeof(ota_states) / sizeof(ota_states[0]))

static uint32_t get_number(const struct kedge_telemetry *telemetry, const struct number *number)
{
    uint32_t value;

    memcpy(&value, (const char *)telemetry + number->into, sizeof(value));
    return value;
}

static enum kedge_err read_numbers(const struct kedge_json *json, struct kedge_telemetry *out,
                                   struct kedge_fault *fault)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint32_t value;
        enum kedge_err err;
        if (!numbers[i].required && kedge_json_find(json, numbers[i].name) == NULL) {
            continue;
        }
        err = message_get_u32(json, numbers[i].name, UINT32_MAX, &value, fault);
        if (err != KEDGE_OK) {
            return err;
        }
        memcpy((char *)out + numbers[i].into, &value, sizeof(value));
    }
    return KEDGE_OK;
}

static enum kedge_err read_identity(const struct kedge_json *json, struct kedge_telemetry *out,
                                    struct kedge_fault *fault)
{
    enum kedge_err err =
        kedge_json_get_string(json, "device_id", out->device_id, sizeof(out->device_id));

    if (err == KEDGE_OK && !kedge_device_id_ok(out->device_id, strlen(out->device_id))) {
        err = KEDGE_ERR_RANGE;
    }
    if (err != KEDGE_OK) {
        return message_fail(fault, err, "device_id");
    }
    err = message_get_version(json, "firmware", out->firmware, fault);
    if (err == KEDGE_OK && out->firmware[0] == '\0') {
        return message_fail(fault, KEDGE_ERR_RANGE, "firmware");
    }
    return err;
}

static enum kedge_err read_radio_and_reset(const struct kedge_json *json,
                                           struct kedge_telemetry *out, struct kedge_fault *fault)
{
    int64_t rssi;
    int reset;
    enum kedge_err err = kedge_json_get_int(json, "rssi", INT8_MIN, INT8_MAX, &rssi);

    if (err != KEDGE_OK) {
        return message_fail(fault, err, "rssi");
    }
    out->rssi_dbm = (int8_t)rssi;
    err = message_get_choice(json, "reset_reason", reset_texts,
                             sizeof(reset_texts) / sizeof(reset_texts[0]), &reset, fault);
    if (err != KEDGE_OK) {
        return err;
    }
    if (reset < 0) {
        return message_fail(fault, KEDGE_ERR_RANGE, "reset_reason");
    }
    out->reset_reason = (enum kedge_reset)reset;
    return KEDGE_OK;
}

static enum kedge_err read_clock_and_temperature(const struct kedge_json *json,
                                                 struct kedge_telemetry *out,
                                                 struct kedge_fault *fault)
{
    int64_t milli;
    enum kedge_err err = kedge_json_get_int(json, "ts", 0, INT64_MAX, &out->ts_s);

    if (err != KEDGE_OK && err != KEDGE_ERR_NOT_FOUND) {
        return message_fail(fault, err, "ts");
    }
    err = kedge_json_get_milli(json, "temperature_c", &milli);
    if (err == KEDGE_ERR_NOT_FOUND) {
        return KEDGE_OK;
    }
    if (err == KEDGE_OK && (milli < INT32_MIN || milli > INT32_MAX)) {
        err = KEDGE_ERR_RANGE;
    }
    if (err != KEDGE_OK) {
        return message_fail(fault, err, "temperature_c");
    }
    out->has_temperature = true;
    out->temperature_mc = (int32_t)milli;
    return KEDGE_OK;
}

static enum kedge_err read_chip(const struct kedge_json *json, struct kedge_telemetry *out,
                                struct kedge_fault *fault)
{
    char text[16];
    enum kedge_err err = kedge_json_get_string(json, "chip", text, sizeof(text));

    out->chip_id = KEDGE_CHIP_INVALID;
    if (err == KEDGE_OK) {
        out->chip_id = kedge_chip_from_text(text, strlen(text));
    } else if (err != KEDGE_ERR_NOT_FOUND && err != KEDGE_ERR_TOO_LARGE) {
        return message_fail(fault, err, "chip");
    }
    return KEDGE_OK;
}

static enum kedge_err read_ota_state(const struct kedge_json *json, struct kedge_telemetry *out,
                                     struct kedge_fault *fault)
{
    const char *texts[STATE_COUNT];
    int state;
    enum kedge_err err;

    out->ota_state = (uint32_t)KEDGE_OTA_UNDEFINED;
    if (kedge_json_find(json, "ota_state") == NULL) {
        return KEDGE_OK;
    }
    for (size_t i = 0; i < STATE_COUNT; i++) {
        texts[i] = ota_states[i].text;
    }
    err = message_get_choice(json, "ota_state", texts, STATE_COUNT, &state, fault);
    if (err == KEDGE_OK && state >= 0) {
        out->ota_state = ota_states[state].state;
    }
    return err;
}

static enum kedge_err read_config_source(const struct kedge_json *json, struct kedge_telemetry *out,
                                         struct kedge_fault *fault)
{
    int source;
    enum kedge_err err;

    if (kedge_json_find(json, "config") == NULL) {
        return KEDGE_OK;
    }
    err =
        message_get_choice(json, "config", config_texts, KEDGE_CONFIG_SOURCE_COUNT, &source, fault);
    if (err == KEDGE_OK && source >= 0) {
        out->config_source = (enum kedge_config_source)source;
    }
    return err;
}

static enum kedge_err (*const readers[])(const struct kedge_json *, struct kedge_telemetry *,
                                         struct kedge_fault *) = {
    read_identity, read_numbers,   read_radio_and_reset, read_clock_and_temperature,
    read_chip,     read_ota_state, read_config_source,
};

const char *kedge_config_source_text(enum kedge_config_source source)
{
    return (unsigned)source < KEDGE_CONFIG_SOURCE_COUNT ? config_texts[source] : "unknown";
}

static bool can_encode(const struct kedge_telemetry *telemetry)
{
    return memchr(telemetry->device_id, '\0', sizeof(telemetry->device_id)) != NULL &&
           kedge_device_id_ok(telemetry->device_id, strlen(telemetry->device_id)) &&
           telemetry->firmware[0] != '\0' && message_version_ok(telemetry->firmware) &&
           telemetry->ts_s >= 0 &&
           (unsigned)telemetry->config_source < (unsigned)KEDGE_CONFIG_SOURCE_COUNT;
}

enum kedge_err kedge_telemetry_encode(const struct kedge_telemetry *telemetry, char *out,
                                      size_t out_size, size_t *len_out)
{
    const char *chip = kedge_chip_text(telemetry->chip_id);
    struct kedge_json_writer json;

    if (!can_encode(telemetry)) {
        return KEDGE_ERR_ARG;
    }
    kedge_json_begin(&json, out, out_size);
    kedge_json_add_string(&json, "device_id", telemetry->device_id);
    kedge_json_add_string(&json, "firmware", telemetry->firmware);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint32_t value = get_number(telemetry, &numbers[i]);
        if (numbers[i].required || value != 0) {
            kedge_json_add_int(&json, numbers[i].name, value);
        }
    }
    kedge_json_add_int(&json, "rssi", telemetry->rssi_dbm);
    kedge_json_add_string(&json, "reset_reason", kedge_reset_text(telemetry->reset_reason));
    if (telemetry->has_temperature) {
        kedge_json_add_milli(&json, "temperature_c", telemetry->temperature_mc);
    }
    if (chip != NULL) {
        kedge_json_add_string(&json, "chip", chip);
    }
    kedge_json_add_string(&json, "ota_state", kedge_ota_state_text(telemetry->ota_state));
    if (telemetry->config_source != KEDGE_CONFIG_UNKNOWN) {
        kedge_json_add_string(&json, "config", config_texts[telemetry->config_source]);
    }
    if (telemetry->ts_s > 0) {
        kedge_json_add_int(&json, "ts", telemetry->ts_s);
    }
    return kedge_json_end(&json, len_out);
}

enum kedge_err kedge_telemetry_parse(struct kedge_cspan json, struct kedge_telemetry *out,
                                     struct kedge_fault *fault)
{
    struct kedge_json object;
    struct kedge_telemetry telemetry;
    enum kedge_err err = message_open(json, &object, fault);

    memset(&telemetry, 0, sizeof(telemetry));
    for (size_t i = 0; err == KEDGE_OK && i < sizeof(readers) / sizeof(readers[0]); i++) {
        err = readers[i](&object, &telemetry, fault);
    }
    if (err == KEDGE_OK) {
        *out = telemetry;
    }
    return err;
}
