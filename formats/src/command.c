/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/message.h"

#include "message_text.h"

/* max == 0: the command has no value. */
static const struct {
    const char *text;
    uint32_t min;
    uint32_t max;
} commands[] = {
    [KEDGE_COMMAND_CHECK_NOW] = {"check-now", 0, 0},
    [KEDGE_COMMAND_LOG_LEVEL] = {"log-level", 0, 4},
    [KEDGE_COMMAND_TELEMETRY_INTERVAL] = {"telemetry-interval", 1, 86400},
};

enum kedge_err kedge_command_encode(const struct kedge_command *command, char *out, size_t out_size,
                                    size_t *len_out)
{
    struct kedge_json_writer json;

    if ((unsigned)command->kind >= (unsigned)KEDGE_COMMAND_KIND_COUNT ||
        command->value < commands[command->kind].min ||
        command->value > commands[command->kind].max) {
        return KEDGE_ERR_ARG;
    }
    kedge_json_begin(&json, out, out_size);
    kedge_json_add_string(&json, "cmd", commands[command->kind].text);
    if (commands[command->kind].max > 0) {
        kedge_json_add_int(&json, "value", command->value);
    }
    return kedge_json_end(&json, len_out);
}

enum kedge_err kedge_command_parse(struct kedge_cspan json, struct kedge_command *out,
                                   struct kedge_fault *fault)
{
    const char *texts[KEDGE_COMMAND_KIND_COUNT];
    struct kedge_json object;
    uint32_t value = 0;
    int kind;
    enum kedge_err err = message_open(json, &object, fault);

    for (size_t i = 0; i < KEDGE_COMMAND_KIND_COUNT; i++) {
        texts[i] = commands[i].text;
    }
    if (err == KEDGE_OK) {
        err = message_get_choice(&object, "cmd", texts, KEDGE_COMMAND_KIND_COUNT, &kind, fault);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    if (kind < 0) {
        return message_fail(fault, KEDGE_ERR_RANGE, "cmd");
    }
    if (commands[kind].max > 0) {
        err = message_get_u32(&object, "value", commands[kind].max, &value, fault);
        if (err != KEDGE_OK) {
            return err;
        }
        if (value < commands[kind].min) {
            return message_fail(fault, KEDGE_ERR_RANGE, "value");
        }
    }
    *out = (struct kedge_command){.kind = (enum kedge_command_kind)kind, .value = value};
    return KEDGE_OK;
}
