/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/firmware.h"

#include <stdlib.h>
#include <string.h>

#include "host/parse.h"
#include "kedge/crypto.h"
#include "sim/random.h"

#define MAGIC_LEN         (sizeof(SIM_FIRMWARE_MAGIC) - 1)
#define DEFAULT_FREE_HEAP 180000u
#define HEAP_EXHAUSTED    8192u /* a TLS record no longer fits */
#define LINE_MAX_BYTES    80u
#define DAY_MS            86400000u
#define DESC_TEXT_MAX     31u
#define CHECKSUM_ROOM     4u /* the checksum byte, in a payload that is a multiple of 4 */

enum key_kind {
    KEY_NUMBER,
    KEY_SWITCH
};

/* One row per key: a number in a uint64_t, or one of two words in a bool. */
struct key {
    const char *name;
    enum key_kind kind;
    size_t offset;
    uint64_t max;
    const char *off_text, *on_text;
};

#define FIELD(name) offsetof(struct sim_firmware, name)

static const struct key keys[] = {
    {"panic_at_boot_ms", KEY_NUMBER, FIELD(panic_at_boot_ms), DAY_MS, NULL, NULL},
    {"hang_at_ms", KEY_NUMBER, FIELD(hang_at_ms), DAY_MS, NULL, NULL},
    {"restart_at_ms", KEY_NUMBER, FIELD(restart_at_ms), DAY_MS, NULL, NULL},
    {"free_heap", KEY_NUMBER, FIELD(free_heap), UINT32_MAX, NULL, NULL},
    {"heap_leak_per_s", KEY_NUMBER, FIELD(heap_leak_per_s), UINT32_MAX, NULL, NULL},
    {"no_broker", KEY_SWITCH, FIELD(no_broker), 0, "0", "1"},
    {"no_server", KEY_SWITCH, FIELD(no_server), 0, "0", "1"},
    {"storage_broken", KEY_SWITCH, FIELD(storage_broken), 0, "0", "1"},
    {"self_test", KEY_SWITCH, FIELD(self_test_fails), 0, "pass", "fail"},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

static enum kedge_err set_key(const struct key *key, const char *value,
                              struct sim_firmware *firmware)
{
    void *field = (uint8_t *)firmware + key->offset;
    switch (key->kind) {
    case KEY_NUMBER:
        return host_parse_u64(value, 0, key->max, field);
    case KEY_SWITCH:
        if (strcmp(value, key->on_text) != 0 && strcmp(value, key->off_text) != 0) {
            return KEDGE_ERR_RANGE;
        }
        *(bool *)field = strcmp(value, key->on_text) == 0;
        return KEDGE_OK;
    }
    return KEDGE_ERR_ARG;
}

/* One line without its end. seen has a bit per row of keys. */
static enum kedge_err parse_line(const char *text, size_t len, struct sim_firmware *firmware,
                                 uint32_t *seen)
{
    char line[LINE_MAX_BYTES];
    if (len >= sizeof(line)) {
        return KEDGE_ERR_TOO_LARGE;
    }
    memcpy(line, text, len);
    line[len] = '\0';
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        return KEDGE_ERR_SYNTAX;
    }
    *equals = '\0';
    const struct key *key = find_key(line);
    if (key == NULL) {
        return KEDGE_ERR_NOT_FOUND;
    }
    uint32_t bit = 1u << (key - keys);
    if ((*seen & bit) != 0) {
        return KEDGE_ERR_DUPLICATE;
    }
    *seen |= bit;
    return set_key(key, equals + 1, firmware);
}

static enum kedge_err fail(struct kedge_fault *fault, enum kedge_err err, uint32_t at,
                           const char *what)
{
    *fault = (struct kedge_fault){.err = err, .at = at, .what = what};
    return err;
}

static enum kedge_err parse_text(const char *text, size_t len, struct sim_firmware *firmware,
                                 struct kedge_fault *fault)
{
    struct sim_firmware found = {.panic_at_boot_ms = SIM_NEVER,
                                 .hang_at_ms = SIM_NEVER,
                                 .restart_at_ms = SIM_NEVER,
                                 .free_heap = DEFAULT_FREE_HEAP};
    uint32_t seen = 0;

    for (uint32_t line = 1; len > 0; line++) {
        const char *end = memchr(text, '\n', len);
        if (end == NULL) {
            return fail(fault, KEDGE_ERR_SYNTAX, line, "behaviour line without an end");
        }
        size_t line_len = (size_t)(end - text);
        enum kedge_err err = parse_line(text, line_len, &found, &seen);
        if (err != KEDGE_OK) {
            return fail(fault, err, line, "behaviour line");
        }
        text += line_len + 1;
        len -= line_len + 1;
    }
    *firmware = found;
    return KEDGE_OK;
}

enum kedge_err sim_firmware_parse(struct kedge_cspan payload, struct sim_firmware *firmware,
                                  struct kedge_fault *fault)
{
    if (payload.len < MAGIC_LEN || memcmp(payload.data, SIM_FIRMWARE_MAGIC, MAGIC_LEN) != 0) {
        return fail(fault, KEDGE_ERR_MAGIC, 0, "demo firmware magic");
    }
    const char *text = (const char *)payload.data + MAGIC_LEN;
    size_t room = payload.len - MAGIC_LEN;
    const char *end = memchr(text, '\0', room);
    if (end == NULL || (size_t)(end - text) > SIM_FIRMWARE_TEXT_MAX) {
        return fail(fault, KEDGE_ERR_TOO_LARGE, 0, "behaviour text");
    }
    return parse_text(text, (size_t)(end - text), firmware, fault);
}

uint64_t sim_firmware_free_heap(const struct sim_firmware *firmware, uint64_t uptime_ms)
{
    uint64_t leaked = firmware->heap_leak_per_s * uptime_ms / 1000u;
    return leaked < firmware->free_heap ? firmware->free_heap - leaked : 0;
}

static uint64_t heap_exhausted_ms(const struct sim_firmware *firmware)
{
    if (firmware->free_heap <= HEAP_EXHAUSTED) {
        return 0;
    }
    if (firmware->heap_leak_per_s == 0) {
        return SIM_NEVER;
    }
    return (firmware->free_heap - HEAP_EXHAUSTED) * 1000u / firmware->heap_leak_per_s;
}

struct sim_due sim_firmware_due(const struct sim_firmware *firmware)
{
    const struct sim_due candidates[] = {
        {firmware->panic_at_boot_ms, false, KEDGE_RESET_PANIC},
        {heap_exhausted_ms(firmware), false, KEDGE_RESET_PANIC},
        {firmware->hang_at_ms, true, KEDGE_RESET_TASK_WDT},
        {firmware->restart_at_ms, false, KEDGE_RESET_SW},
    };
    struct sim_due first = candidates[0];
    for (size_t i = 1; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        if (candidates[i].at_ms < first.at_ms) {
            first = candidates[i];
        }
    }
    return first;
}

static uint32_t payload_size(const struct sim_image_spec *spec, size_t program_len)
{
    uint32_t overhead = KEDGE_IMAGE_PREFIX_SIZE + CHECKSUM_ROOM + KEDGE_SHA256_SIZE;
    if (spec->size_bytes == 0) {
        return kedge_align_up((uint32_t)program_len, 4);
    }
    if (spec->size_bytes % 16 != 0 || spec->size_bytes < overhead + program_len) {
        return 0;
    }
    return spec->size_bytes - overhead;
}

/* Magic, text, NUL, then filler that differs by version. */
static void fill_payload(const struct sim_image_spec *spec, uint8_t *payload, uint32_t size)
{
    size_t text_len = strlen(spec->behaviour);
    size_t at = MAGIC_LEN + text_len + 1;
    struct sim_random random;

    memcpy(payload, SIM_FIRMWARE_MAGIC, MAGIC_LEN);
    memcpy(payload + MAGIC_LEN, spec->behaviour, text_len + 1);
    sim_random_seed(&random, size, spec->version);
    for (; at < size; at++) {
        payload[at] = (uint8_t)sim_random_u32(&random);
    }
}

static void fill_desc(const struct sim_image_spec *spec, struct kedge_cspan payload,
                      struct kedge_app_desc *desc)
{
    static const struct kedge_app_desc common = {
        .time = "00:00:00", .date = "Jan  1 2026", .idf_version = "v5.5.5"};
    struct kedge_sha256 sha;

    *desc = common;
    desc->secure_version = spec->secure_version;
    memcpy(desc->version, spec->version, strlen(spec->version));
    memcpy(desc->project, spec->project, strlen(spec->project));
    kedge_sha256_init(&sha);
    kedge_sha256_update(&sha, desc->version, sizeof(desc->version));
    kedge_sha256_update(&sha, payload.data, payload.len);
    kedge_sha256_final(&sha, desc->elf_sha256);
}

static enum kedge_err write_image(const struct sim_image_spec *spec, struct kedge_cspan payload,
                                  struct host_buf *out)
{
    struct kedge_image_spec image = {
        .chip_id = spec->chip_id, .payload = payload, .append_hash = true};
    fill_desc(spec, payload, &image.desc);

    uint32_t size = kedge_image_write_size(&image);
    if (size == 0) {
        return KEDGE_ERR_TOO_LARGE;
    }
    struct kedge_sha256 sha;
    struct kedge_span span = {.data = host_alloc(size), .len = size};
    uint32_t written;
    enum kedge_err err = kedge_image_write(&image, &kedge_sha256_ops, &sha, span, &written);
    if (err == KEDGE_OK) {
        host_buf_append(out, span.data, written);
        err = host_buf_ok(out) ? KEDGE_OK : KEDGE_ERR_TOO_LARGE;
    }
    free(span.data);
    return err;
}

enum kedge_err sim_firmware_build(const struct sim_image_spec *spec, struct host_buf *out,
                                  struct kedge_fault *fault)
{
    size_t text_len = strlen(spec->behaviour);
    struct sim_firmware firmware;

    if (strlen(spec->version) > DESC_TEXT_MAX || strlen(spec->project) > DESC_TEXT_MAX) {
        return fail(fault, KEDGE_ERR_ARG, 0, "version and project of at most 31 characters");
    }
    if (text_len > SIM_FIRMWARE_TEXT_MAX) {
        return fail(fault, KEDGE_ERR_TOO_LARGE, 0, "behaviour text");
    }
    enum kedge_err err = parse_text(spec->behaviour, text_len, &firmware, fault);
    if (err != KEDGE_OK) {
        return err;
    }
    uint32_t size = payload_size(spec, MAGIC_LEN + text_len + 1);
    if (size == 0) {
        return fail(fault, KEDGE_ERR_TOO_LARGE, 0, "image size, a multiple of 16");
    }
    uint8_t *payload = host_calloc(1, size);
    fill_payload(spec, payload, size);
    err = write_image(spec, (struct kedge_cspan){payload, size}, out);
    free(payload);
    return err == KEDGE_OK ? KEDGE_OK : fail(fault, err, 0, "image");
}
