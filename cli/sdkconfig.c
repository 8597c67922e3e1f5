/* SPDX-License-Identifier: Apache-2.0 */
#include "sdkconfig.h"

#include <stdlib.h>
#include <string.h>

#include "host/buf.h"
#include "host/parse.h"

/* kconfgen writes these around what it repeats under old names. */
#define OLD_NAMES_BEGIN "# Deprecated options for backward compatibility"
#define OLD_NAMES_END   "# End of deprecated options"
#define PREFIX          "CONFIG_"
#define NOT_SET         " is not set"
#define LENGTH(text)    (sizeof(text) - 1)

unsigned cli_sdk_target_parse(const char *text)
{
    static const struct {
        const char *name;
        unsigned target;
    } rows[] = {
        {"esp32", CLI_SDK_ESP32}, {"esp32s3", CLI_SDK_ESP32S3}, {"esp32c3", CLI_SDK_ESP32C3}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(text, rows[i].name) == 0) {
            return rows[i].target;
        }
    }
    return 0;
}

/* ---- lines ---- */

static struct kedge_cspan from(struct kedge_cspan span, size_t start)
{
    return (struct kedge_cspan){span.data + start, span.len - start};
}

static bool starts_with(struct kedge_cspan span, const char *text)
{
    size_t len = strlen(text);
    return span.len >= len && memcmp(span.data, text, len) == 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Without the white space around it, as ESP-IDF reads a line. */
static struct kedge_cspan trimmed(struct kedge_cspan span)
{
    while (span.len > 0 && is_blank(span.data[0])) {
        span = from(span, 1);
    }
    while (span.len > 0 && is_blank(span.data[span.len - 1])) {
        span.len--;
    }
    return span;
}

static bool has_control(struct kedge_cspan span)
{
    for (size_t i = 0; i < span.len; i++) {
        if ((span.data[i] < 0x20 && span.data[i] != '\t') || span.data[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

static size_t name_length(struct kedge_cspan span)
{
    size_t len = 0;
    while (len < span.len &&
           ((span.data[len] >= 'A' && span.data[len] <= 'Z') ||
            (span.data[len] >= 'a' && span.data[len] <= 'z') ||
            (span.data[len] >= '0' && span.data[len] <= '9') || span.data[len] == '_')) {
        len++;
    }
    return len;
}

/* In quotes, of which those within are escaped. */
static bool is_string(struct kedge_cspan value)
{
    if (value.len < 2 || value.data[0] != '"') {
        return false;
    }
    for (size_t i = 1; i < value.len; i++) {
        if (value.data[i] == '"') {
            return i == value.len - 1;
        }
        i += value.data[i] == '\\';
    }
    return false;
}

static bool is_number(struct kedge_cspan value)
{
    bool is_hex = starts_with(value, "0x") || starts_with(value, "0X");
    size_t i = is_hex ? 2 : (value.len > 0 && value.data[0] == '-');
    if (i == value.len) {
        return false;
    }
    for (; i < value.len; i++) {
        uint8_t byte = value.data[i];
        uint8_t lower = (uint8_t)(byte | 0x20);
        if ((byte < '0' || byte > '9') && !(is_hex && lower >= 'a' && lower <= 'f')) {
            return false;
        }
    }
    return true;
}

static bool is_value(struct kedge_cspan value)
{
    return (value.len == 1 && (value.data[0] == 'y' || value.data[0] == 'n')) || value.len == 0 ||
           is_number(value) || is_string(value);
}

static bool reject(struct cli_sdk_line *line, const char *wrong, const char *expected)
{
    line->wrong = wrong;
    line->expected = expected;
    return true;
}

static bool read_value(struct cli_sdk_line *line, struct kedge_cspan value)
{
    if (!is_value(value)) {
        bool comment = memchr(value.data, '#', value.len) != NULL;
        return reject(line, comment ? "a comment behind the value" : "not a value",
                      comment ? "the comment on a line of its own"
                              : "y, n, a number or a string in quotes");
    }
    line->value = value;
    return true;
}

static bool read_option(struct cli_sdk_line *line, struct kedge_cspan text)
{
    struct kedge_cspan rest = from(text, LENGTH(PREFIX));
    size_t len = name_length(rest);
    if (len == 0 || len == rest.len || rest.data[len] != '=') {
        return reject(line, "not an option",
                      "CONFIG_NAME=value, the name of letters, digits and _");
    }
    line->name = (struct kedge_cspan){rest.data, len};
    return read_value(line, from(rest, len + 1));
}

/* "# CONFIG_X is not set" is an option; any other comment says nothing. */
static bool read_comment(struct cli_sdk_reader *reader, struct cli_sdk_line *line,
                         struct kedge_cspan text)
{
    static const uint8_t no = 'n';
    if (starts_with(text, OLD_NAMES_BEGIN) || starts_with(text, OLD_NAMES_END)) {
        reader->in_old_names = starts_with(text, OLD_NAMES_BEGIN);
        return false;
    }
    if (!starts_with(text, "# " PREFIX)) {
        return false;
    }
    struct kedge_cspan rest = from(text, LENGTH("# " PREFIX));
    size_t len = name_length(rest);
    struct kedge_cspan tail = from(rest, len);
    if (len == 0 || tail.len != LENGTH(NOT_SET) || !starts_with(tail, NOT_SET)) {
        return false;
    }
    line->name = (struct kedge_cspan){rest.data, len};
    line->value = (struct kedge_cspan){&no, 1};
    return true;
}

static bool read_line(struct cli_sdk_reader *reader, struct cli_sdk_line *line,
                      struct kedge_cspan text)
{
    if (text.len > CLI_SDK_LINE_MAX) {
        return reject(line, "a line of over 4096 characters", "a shorter one");
    }
    text = trimmed(text);
    if (text.len == 0) {
        return false;
    }
    if (has_control(text)) {
        return reject(line, "a control character", "text");
    }
    if (text.data[0] == '#') {
        return read_comment(reader, line, text) && !reader->in_old_names;
    }
    if (reader->in_old_names) {
        return false;
    }
    if (!starts_with(text, PREFIX)) {
        return reject(line, "not an option", "CONFIG_NAME=value, or # for a comment");
    }
    return read_option(line, text);
}

void cli_sdk_reader_init(struct cli_sdk_reader *reader, struct kedge_cspan text)
{
    *reader = (struct cli_sdk_reader){.rest = text};
}

bool cli_sdk_reader_next(struct cli_sdk_reader *reader, struct cli_sdk_line *line)
{
    while (reader->rest.len > 0) {
        const uint8_t *end = memchr(reader->rest.data, '\n', reader->rest.len);
        size_t len = end != NULL ? (size_t)(end - reader->rest.data) : reader->rest.len;
        struct kedge_cspan text = {reader->rest.data, len};
        reader->rest = from(reader->rest, end != NULL ? len + 1 : len);
        reader->line++;
        *line = (struct cli_sdk_line){.number = reader->line};
        if (read_line(reader, line, text)) {
            return true;
        }
    }
    return false;
}

/* ---- options ---- */

static char *copy(struct kedge_cspan span)
{
    char *text = host_alloc(span.len + 1);
    memcpy(text, span.data, span.len);
    text[span.len] = '\0';
    return text;
}

static void grow(struct cli_sdk_config *config)
{
    if (config->count == config->capacity) {
        config->capacity = config->capacity != 0 ? 2 * config->capacity : 256;
        config->options =
            host_realloc(config->options, config->capacity * sizeof(*config->options));
    }
}

static void use_new_name(struct cli_sdk_option *option)
{
    for (const struct cli_sdk_renamed *row = cli_sdk_renamed; row->old_name != NULL; row++) {
        if (strcmp(option->name, row->old_name) == 0) {
            free(option->name);
            option->name = host_strdup(row->name);
            option->old_name = row->old_name;
            return;
        }
    }
}

void cli_sdk_config_free(struct cli_sdk_config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        free(config->options[i].name);
        free(config->options[i].value);
    }
    free(config->options);
    *config = (struct cli_sdk_config){0};
}

enum kedge_err cli_sdk_config_add(struct cli_sdk_config *config, const char *file,
                                  const struct cli_sdk_line *line)
{
    if (config->count >= CLI_SDK_OPTIONS_MAX) {
        return KEDGE_ERR_TOO_LARGE;
    }
    grow(config);
    struct cli_sdk_option *option = &config->options[config->count++];
    *option = (struct cli_sdk_option){
        .name = copy(line->name), .value = copy(line->value), .file = file, .line = line->number};
    use_new_name(option);
    /* Nobody can set it, so only ESP-IDF writes it. */
    config->is_complete = config->is_complete || strcmp(option->name, "IDF_CMAKE") == 0;
    return KEDGE_OK;
}

const struct cli_sdk_option *cli_sdk_find(const struct cli_sdk_config *config, const char *name)
{
    for (size_t i = config->count; i > 0; i--) {
        if (strcmp(config->options[i - 1].name, name) == 0) {
            return &config->options[i - 1];
        }
    }
    return NULL;
}

static bool is_member(const struct cli_sdk_choice *choice, const char *name)
{
    for (size_t i = 0; choice->members[i] != NULL; i++) {
        if (strcmp(choice->members[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static const struct cli_sdk_choice *choice_of(const char *name)
{
    for (const struct cli_sdk_choice *choice = cli_sdk_choices; choice->members[0] != NULL;
         choice++) {
        if (is_member(choice, name)) {
            return choice;
        }
    }
    return NULL;
}

static const char *default_value(const struct cli_sdk_config *config, const char *name)
{
    if (config->is_complete) {
        return "";
    }
    for (const struct cli_sdk_default *row = cli_sdk_defaults; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0 && (row->targets & config->target) != 0 &&
            (row->when == NULL || cli_sdk_is_on(config, row->when))) {
            return row->value;
        }
    }
    return "";
}

const struct cli_sdk_option *cli_sdk_chosen(const struct cli_sdk_config *config, const char *name)
{
    const struct cli_sdk_choice *choice = choice_of(name);
    for (size_t i = choice != NULL ? config->count : 0; i > 0; i--) {
        const struct cli_sdk_option *option = &config->options[i - 1];
        if (strcmp(option->value, "y") == 0 && is_member(choice, option->name)) {
            return option;
        }
    }
    return NULL;
}

const char *cli_sdk_value(const struct cli_sdk_config *config, const char *name)
{
    const struct cli_sdk_option *chosen = cli_sdk_chosen(config, name);
    if (chosen != NULL) {
        return strcmp(chosen->name, name) == 0 ? "y" : "n";
    }
    const struct cli_sdk_option *option =
        choice_of(name) == NULL ? cli_sdk_find(config, name) : NULL;
    return option != NULL ? option->value : default_value(config, name);
}

bool cli_sdk_is_on(const struct cli_sdk_config *config, const char *name)
{
    return strcmp(cli_sdk_value(config, name), "y") == 0;
}

enum kedge_err cli_sdk_number(const struct cli_sdk_config *config, const char *name, uint64_t *out)
{
    return host_parse_u64(cli_sdk_value(config, name), 0, UINT64_MAX, out);
}

enum kedge_err cli_sdk_text(const struct cli_sdk_config *config, const char *name, char *out,
                            size_t size)
{
    const char *value = cli_sdk_value(config, name);
    size_t len = 0;
    if (!is_string((struct kedge_cspan){(const uint8_t *)value, strlen(value)})) {
        return KEDGE_ERR_SYNTAX;
    }
    for (const char *at = value + 1; at[1] != '\0'; at++) {
        at += *at == '\\';
        if (len + 1 >= size) {
            return KEDGE_ERR_TOO_LARGE;
        }
        out[len++] = *at;
    }
    out[len] = '\0';
    return KEDGE_OK;
}
