/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/crash.h"
#include "kedge/json.h"
#include "kedge/message.h"

/* Text that our own encoder wrote, and whether it is the same after another round. */
struct text {
    char bytes[KEDGE_MESSAGE_MAX];
    size_t len;
};

static struct kedge_cspan span(const struct text *text)
{
    return (struct kedge_cspan){(const uint8_t *)text->bytes, text->len};
}

static void check_same(const struct text *a, const struct text *b)
{
    FUZZ_CHECK(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0);
}

/*
 * What is taken can be sent again, and reads the same then. The longest message is ours to keep
 * under KEDGE_MESSAGE_MAX, so NO_SPACE would be a bug as well.
 */
#define CHECK_MESSAGE(kind, input)                                                                 \
    do {                                                                                           \
        struct kedge_##kind message;                                                               \
        struct kedge_fault fault = {0};                                                            \
        struct text first;                                                                         \
        struct text second;                                                                        \
        enum kedge_err err = kedge_##kind##_parse((input), &message, &fault);                      \
        FUZZ_CHECK(fault.err == err);                                                              \
        if (err != KEDGE_OK) {                                                                     \
            FUZZ_CHECK(fault.what != NULL);                                                        \
            break;                                                                                 \
        }                                                                                          \
        FUZZ_CHECK(kedge_##kind##_encode(&message, first.bytes, sizeof(first.bytes),               \
                                         &first.len) == KEDGE_OK);                                 \
        FUZZ_CHECK(kedge_##kind##_parse(span(&first), &message, &fault) == KEDGE_OK);              \
        FUZZ_CHECK(kedge_##kind##_encode(&message, second.bytes, sizeof(second.bytes),             \
                                         &second.len) == KEDGE_OK);                                \
        check_same(&first, &second);                                                               \
    } while (0)

/* Every getter on every name the parser has seen as plain text. */
static void check_json(struct kedge_cspan input)
{
    struct kedge_json json;
    struct kedge_fault fault = {0};

    if (kedge_json_parse(input, &json, &fault) != KEDGE_OK) {
        FUZZ_CHECK(fault.err != KEDGE_OK && fault.what != NULL && fault.at <= input.len);
        return;
    }
    FUZZ_CHECK(json.count <= KEDGE_JSON_MAX_MEMBERS);
    for (uint32_t i = 0; i < json.count; i++) {
        const struct kedge_json_member *member = &json.members[i];
        char name[64] = {0};
        char text[16];
        int64_t number;
        FUZZ_CHECK((size_t)member->name_at + member->name_len < input.len);
        FUZZ_CHECK((size_t)member->text_at + member->text_len < input.len);
        if (member->name_len < sizeof(name)) {
            memcpy(name, input.data + member->name_at, member->name_len);
            FUZZ_CHECK(strchr(name, '\\') != NULL || kedge_json_find(&json, name) == member);
            (void)!kedge_json_get_string(&json, name, text, sizeof(text));
            (void)!kedge_json_get_int(&json, name, INT64_MIN, INT64_MAX, &number);
            (void)!kedge_json_get_milli(&json, name, &number);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kedge_cspan input = {data, size};

    check_json(input);
    CHECK_MESSAGE(telemetry, input);
    CHECK_MESSAGE(report, input);
    CHECK_MESSAGE(command, input);
    CHECK_MESSAGE(crash, input);
    return 0;
}
