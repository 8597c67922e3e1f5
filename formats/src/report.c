/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/message.h"

#include <string.h>

#include "message_text.h"

static const char *const state_texts[] = {
#define X(name, text) [KEDGE_REPORT_##name] = text,
    KEDGE_REPORT_STATE_MAP(X)
#undef X
};

static const char *const cause_texts[] = {
#define X(name, text) [KEDGE_CAUSE_##name] = text,
    KEDGE_CAUSE_MAP(X)
#undef X
};

static enum kedge_err read_numbers(const struct kedge_json *json, struct kedge_report *out,
                                   struct kedge_fault *fault)
{
    enum kedge_err err = message_get_u32(json, "attempt", UINT32_MAX, &out->attempt, fault);

    if (err == KEDGE_OK) {
        err = message_get_u32(json, "seq", UINT32_MAX, &out->seq, fault);
    }
    if (err == KEDGE_OK && out->attempt == 0) {
        err = message_fail(fault, KEDGE_ERR_RANGE, "attempt");
    }
    if (err == KEDGE_OK && out->seq == 0) {
        err = message_fail(fault, KEDGE_ERR_RANGE, "seq");
    }
    if (err == KEDGE_OK && kedge_json_find(json, "detail") != NULL) {
        err = message_get_u32(json, "detail", UINT32_MAX, &out->detail, fault);
    }
    return err;
}

static enum kedge_err read_versions(const struct kedge_json *json, struct kedge_report *out,
                                    struct kedge_fault *fault)
{
    enum kedge_err err = message_get_version(json, "from", out->from, fault);

    if (err == KEDGE_OK) {
        err = message_get_version(json, "to", out->to, fault);
    }
    return err;
}

static enum kedge_err read_sha256(const struct kedge_json *json, struct kedge_report *out,
                                  struct kedge_fault *fault)
{
    char hex[2 * KEDGE_SHA256_SIZE + 1];
    enum kedge_err err = kedge_json_get_string(json, "sha256", hex, sizeof(hex));

    if (err == KEDGE_OK && !kedge_hex_decode(hex, strlen(hex), out->sha256, sizeof(out->sha256))) {
        err = KEDGE_ERR_RANGE;
    }
    return err == KEDGE_OK ? KEDGE_OK : message_fail(fault, err, "sha256");
}

static enum kedge_err read_choices(const struct kedge_json *json, struct kedge_report *out,
                                   struct kedge_fault *fault)
{
    int state;
    int cause;
    enum kedge_err err =
        message_get_choice(json, "state", state_texts, KEDGE_REPORT_STATE_COUNT, &state, fault);

    if (err != KEDGE_OK) {
        return err;
    }
    if (state < 0) {
        return message_fail(fault, KEDGE_ERR_RANGE, "state");
    }
    err = message_get_choice(json, "cause", cause_texts, KEDGE_CAUSE_COUNT, &cause, fault);
    if (err != KEDGE_OK) {
        return err;
    }
    if (cause < 0) {
        return message_fail(fault, KEDGE_ERR_RANGE, "cause");
    }
    out->state = (enum kedge_report_state)state;
    out->cause = (enum kedge_cause)cause;
    return KEDGE_OK;
}

static enum kedge_err (*const readers[])(const struct kedge_json *, struct kedge_report *,
                                         struct kedge_fault *) = {
    read_numbers,
    read_versions,
    read_sha256,
    read_choices,
};

static bool can_encode(const struct kedge_report *report)
{
    return report->attempt != 0 && report->seq != 0 && message_version_ok(report->from) &&
           message_version_ok(report->to) &&
           (unsigned)report->state < (unsigned)KEDGE_REPORT_STATE_COUNT &&
           (unsigned)report->cause < (unsigned)KEDGE_CAUSE_COUNT;
}

const char *kedge_report_state_text(enum kedge_report_state state)
{
    return (unsigned)state < (unsigned)KEDGE_REPORT_STATE_COUNT ? state_texts[state] : "unknown";
}

const char *kedge_cause_text(enum kedge_cause cause)
{
    return (unsigned)cause < (unsigned)KEDGE_CAUSE_COUNT ? cause_texts[cause] : "unknown";
}

enum kedge_err kedge_report_encode(const struct kedge_report *report, char *out, size_t out_size,
                                   size_t *len_out)
{
    struct kedge_json_writer json;
    char hex[2 * KEDGE_SHA256_SIZE + 1];

    if (!can_encode(report)) {
        return KEDGE_ERR_ARG;
    }
    kedge_hex_encode(report->sha256, sizeof(report->sha256), hex);
    kedge_json_begin(&json, out, out_size);
    kedge_json_add_int(&json, "attempt", report->attempt);
    kedge_json_add_int(&json, "seq", report->seq);
    kedge_json_add_string(&json, "from", report->from);
    kedge_json_add_string(&json, "to", report->to);
    kedge_json_add_string(&json, "sha256", hex);
    kedge_json_add_string(&json, "state", kedge_report_state_text(report->state));
    kedge_json_add_string(&json, "cause", kedge_cause_text(report->cause));
    kedge_json_add_int(&json, "detail", report->detail);
    return kedge_json_end(&json, len_out);
}

enum kedge_err kedge_report_parse(struct kedge_cspan json, struct kedge_report *out,
                                  struct kedge_fault *fault)
{
    struct kedge_json object;
    struct kedge_report report;
    enum kedge_err err = message_open(json, &object, fault);

    memset(&report, 0, sizeof(report));
    for (size_t i = 0; err == KEDGE_OK && i < sizeof(readers) / sizeof(readers[0]); i++) {
        err = readers[i](&object, &report, fault);
    }
    if (err == KEDGE_OK) {
        *out = report;
    }
    return err;
}
