/* SPDX-License-Identifier: Apache-2.0 */
#include "host/option.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/fs.h"
#include "host/parse.h"

#define CONFIG_MAX_SIZE 65536u
#define NAME_MAX_SIZE   64u
#define NUMBER_TEXT_MAX 32u

static void *field_of(const struct host_option *row, void *target)
{
    return (char *)target + row->offset;
}

static const void *const_field_of(const struct host_option *row, const void *target)
{
    return (const char *)target + row->offset;
}

static const struct host_option *find_row(const struct host_option_set *set, const char *name,
                                          size_t len)
{
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        if (strlen(row->name) == len && memcmp(row->name, name, len) == 0) {
            return row;
        }
    }
    return NULL;
}

/* ---- numbers as text ---- */

struct unit_name {
    uint64_t factor;
    const char *suffix;
};

/* Largest unit that divides value; rows end at factor 1. */
static void format_units(const struct unit_name *unit, uint64_t value, char *out, size_t size)
{
    while (unit->factor > 1 && (value == 0 || value % unit->factor != 0)) {
        unit++;
    }
    snprintf(out, size, "%" PRIu64 "%s", value / unit->factor, unit->suffix);
}

static void format_number(enum host_option_type type, uint64_t value, char *out, size_t size)
{
    static const struct unit_name durations[] = {
        {86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"},
    };
    static const struct unit_name sizes[] = {
        {1u << 30, "G"},
        {1u << 20, "M"},
        {1u << 10, "K"},
        {1, ""},
    };
    static const struct unit_name plain[] = {{1, ""}};
    const struct unit_name *units = type == HOST_OPTION_DURATION ? durations
                                    : type == HOST_OPTION_SIZE   ? sizes
                                                                 : plain;
    format_units(units, value, out, size);
}

/* "expected a duration such as 30s or 10m, from 1s to 7d" */
static void print_expected(const struct host_option *row, FILE *err)
{
    static const char *const kinds[] = {
        [HOST_OPTION_STRING] = "text",
        [HOST_OPTION_BOOL] = "true or false",
        [HOST_OPTION_UINT] = "a whole number",
        [HOST_OPTION_DURATION] = "a duration such as 500ms, 30s, 10m, 2h or 7d",
        [HOST_OPTION_SIZE] = "a size such as 4096, 64K or 16M",
    };
    char min[NUMBER_TEXT_MAX];
    char max[NUMBER_TEXT_MAX];
    fprintf(err, "expected %s", kinds[row->type]);
    if (row->type < HOST_OPTION_UINT) {
        return;
    }
    format_number(row->type, row->min, min, sizeof(min));
    format_number(row->type, row->max, max, sizeof(max));
    if (row->max != 0) {
        fprintf(err, ", from %s to %s", min, max);
    } else if (row->min != 0) {
        fprintf(err, ", at least %s", min);
    }
}

/* ---- one value ---- */

static enum kedge_err parse_bool(const char *text, bool *out)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *out = text[0] == 't';
        return KEDGE_OK;
    }
    return KEDGE_ERR_SYNTAX;
}

static enum kedge_err parse_number(const struct host_option *row, const char *text, uint64_t *out)
{
    uint64_t value = 0;
    enum kedge_err err = KEDGE_OK;
    if (row->type == HOST_OPTION_DURATION) {
        err = host_parse_duration_ms(text, &value);
    } else if (row->type == HOST_OPTION_SIZE) {
        err = host_parse_size(text, &value);
    } else {
        err = host_parse_u64(text, 0, UINT64_MAX, &value);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    if (value < row->min || (row->max != 0 && value > row->max)) {
        return KEDGE_ERR_RANGE;
    }
    *out = value;
    return KEDGE_OK;
}

static enum kedge_err store(const struct host_option *row, void *target, const char *text)
{
    void *field = field_of(row, target);
    switch (row->type) {
    case HOST_OPTION_STRING:
        free(*(char **)field);
        *(char **)field = host_strdup(text);
        return KEDGE_OK;
    case HOST_OPTION_BOOL:
        return parse_bool(text, field);
    case HOST_OPTION_UINT:
    case HOST_OPTION_DURATION:
    case HOST_OPTION_SIZE:
        return parse_number(row, text, field);
    }
    return KEDGE_ERR_ARG;
}

/* where: "kedged.conf:3: poll-interval", "--poll-interval" or "KEDGED_POLL_INTERVAL". */
static enum kedge_err store_or_say(const struct host_option *row, void *target, const char *text,
                                   const char *where, FILE *err)
{
    enum kedge_err result = store(row, target, text);
    if (result == KEDGE_OK) {
        return KEDGE_OK;
    }
    const char *shown = (row->flags & HOST_OPTION_SECRET) != 0 ? "***" : text;
    fprintf(err, "%s: \"%s\" is %s, ", where, shown,
            result == KEDGE_ERR_RANGE ? "out of range" : "not understood");
    print_expected(row, err);
    fputc('\n', err);
    return KEDGE_ERR_SYNTAX;
}

enum kedge_err host_options_defaults(const struct host_option_set *set, void *target)
{
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        if (row->default_text == NULL) {
            continue;
        }
        enum kedge_err err = store(row, target, row->default_text);
        if (err != KEDGE_OK) {
            return err;
        }
    }
    return KEDGE_OK;
}

/* ---- file ---- */

struct file_reader {
    const struct host_option_set *set;
    void *target;
    const char *path;
    FILE *err;
    size_t line;
    size_t *seen; /* per row: the line that set it, 0 = none */
    enum kedge_err result;
};

static void say_line(struct file_reader *reader, const char *what, const char *name,
                     const char *expected)
{
    fprintf(reader->err, "%s:%zu: %s \"%s\", expected %s\n", reader->path, reader->line, what, name,
            expected);
    reader->result = KEDGE_ERR_SYNTAX;
}

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static void take_setting(struct file_reader *reader, const char *name, const char *value)
{
    const struct host_option *row = find_row(reader->set, name, strlen(name));
    if (row == NULL && reader->set->skip_unknown) {
        return;
    }
    if (row == NULL) {
        say_line(reader, "unknown setting", name, "one that --help lists");
        return;
    }
    if ((row->flags & HOST_OPTION_FLAG_ONLY) != 0) {
        say_line(reader, "not a setting", name, "it on the command line only");
        return;
    }
    size_t *seen = &reader->seen[row - reader->set->rows];
    if (*seen != 0) {
        fprintf(reader->err, "%s:%zu: \"%s\" is set again, expected once (first at line %zu)\n",
                reader->path, reader->line, name, *seen);
        reader->result = KEDGE_ERR_SYNTAX;
        return;
    }
    *seen = reader->line;

    struct host_buf where;
    host_buf_init(&where, SIZE_MAX);
    host_buf_printf(&where, "%s:%zu: %s", reader->path, reader->line, name);
    if (store_or_say(row, reader->target, value, host_buf_text(&where), reader->err) != KEDGE_OK) {
        reader->result = KEDGE_ERR_SYNTAX;
    }
    host_buf_free(&where);
}

static void take_line(struct file_reader *reader, char *line)
{
    char *text = trim(line);
    if (text[0] == '\0' || text[0] == '#') {
        return;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        say_line(reader, "not understood:", text, "\"name = value\"");
        return;
    }
    *equals = '\0';
    take_setting(reader, trim(text), trim(equals + 1));
}

static void take_lines(struct file_reader *reader, struct host_buf *text)
{
    char *next = text->data;
    while (next != NULL && *next != '\0') {
        char *line = next;
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        next = end != NULL ? end + 1 : NULL;
        reader->line++;
        take_line(reader, line);
    }
}

static size_t count_rows(const struct host_option_set *set)
{
    size_t count = 0;
    while (set->rows[count].name != NULL) {
        count++;
    }
    return count;
}

enum kedge_err host_options_file(const struct host_option_set *set, void *target, const char *path,
                                 FILE *err)
{
    struct host_buf text;
    host_buf_init(&text, CONFIG_MAX_SIZE);
    enum kedge_err result = host_fs_read(path, &text);
    if (result != KEDGE_OK) {
        fprintf(err, "%s: cannot be read: %s\n", path, strerror(errno));
        host_buf_free(&text);
        return result;
    }
    if (strlen(host_buf_text(&text)) != text.len) {
        fprintf(err, "%s: holds a NUL byte, expected text\n", path);
        host_buf_free(&text);
        return KEDGE_ERR_SYNTAX;
    }
    struct file_reader reader = {
        .set = set,
        .target = target,
        .path = path,
        .err = err,
        .seen = host_calloc(count_rows(set), sizeof(size_t)),
        .result = KEDGE_OK,
    };
    take_lines(&reader, &text);
    free(reader.seen);
    host_buf_free(&text);
    return reader.result;
}

/* ---- environment ---- */

static void env_name(const char *prefix, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s_%s", prefix, name);
    for (char *p = out; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
}

enum kedge_err host_options_env(const struct host_option_set *set, void *target, FILE *err)
{
    enum kedge_err result = KEDGE_OK;
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        char name[NAME_MAX_SIZE];
        if (set->env_prefix == NULL || (row->flags & HOST_OPTION_FLAG_ONLY) != 0) {
            continue;
        }
        env_name(set->env_prefix, row->name, name, sizeof(name));
        const char *value = getenv(name);
        if (value != NULL && store_or_say(row, target, value, name, err) != KEDGE_OK) {
            result = KEDGE_ERR_SYNTAX;
        }
    }
    return result;
}

/* ---- flags ---- */

struct arg_reader {
    const struct host_option_set *set;
    void *target;
    FILE *err;
    int argc;
    char **argv;
    int next;
};

/* The flag at argv[next - 1], "--name", "--name=value" or "--name value". */
static enum kedge_err take_flag(struct arg_reader *reader, const char *arg)
{
    const char *name = arg + 2;
    size_t name_len = strcspn(name, "=");
    const char *value = name[name_len] == '=' ? name + name_len + 1 : NULL;
    const struct host_option *row = arg[1] == '-' ? find_row(reader->set, name, name_len) : NULL;
    if (row == NULL) {
        fprintf(reader->err, "%.*s: unknown option, expected one that --help lists\n",
                (int)strcspn(arg, "="), arg);
        return KEDGE_ERR_SYNTAX;
    }
    if (value == NULL && row->type == HOST_OPTION_BOOL) {
        value = "true";
    }
    if (value == NULL && reader->next < reader->argc &&
        strncmp(reader->argv[reader->next], "--", 2) != 0) {
        value = reader->argv[reader->next++];
    }
    if (value == NULL) {
        fprintf(reader->err, "--%s: the value is missing, ", row->name);
        print_expected(row, reader->err);
        fputc('\n', reader->err);
        return KEDGE_ERR_SYNTAX;
    }
    char where[NAME_MAX_SIZE];
    snprintf(where, sizeof(where), "--%s", row->name);
    return store_or_say(row, reader->target, value, where, reader->err);
}

enum kedge_err host_options_args(const struct host_option_set *set, void *target, int argc,
                                 char **argv, const char **positional, size_t positional_max,
                                 size_t *positional_count, FILE *err)
{
    struct arg_reader reader = {
        .set = set, .target = target, .err = err, .argc = argc, .argv = argv, .next = 1};
    enum kedge_err result = KEDGE_OK;
    bool flags_ended = false;
    size_t count = 0;
    while (reader.next < argc) {
        const char *arg = argv[reader.next++];
        if (!flags_ended && strcmp(arg, "--") == 0) {
            flags_ended = true;
        } else if (!flags_ended && arg[0] == '-' && arg[1] != '\0') {
            result = take_flag(&reader, arg) == KEDGE_OK ? result : KEDGE_ERR_SYNTAX;
        } else if (count < positional_max) {
            positional[count++] = arg;
        } else {
            fprintf(err, "%s: one argument too many, expected at most %zu\n", arg, positional_max);
            result = KEDGE_ERR_SYNTAX;
        }
    }
    if (positional_count != NULL) {
        *positional_count = count;
    }
    return result;
}

/* ---- the whole ---- */

static bool is_unset(const struct host_option *row, const void *target)
{
    const void *field = const_field_of(row, target);
    switch (row->type) {
    case HOST_OPTION_STRING: {
        const char *text = *(char *const *)field;
        return text == NULL || text[0] == '\0';
    }
    case HOST_OPTION_BOOL:
        return false;
    case HOST_OPTION_UINT:
    case HOST_OPTION_DURATION:
    case HOST_OPTION_SIZE:
        return *(const uint64_t *)field == 0;
    }
    return false;
}

enum kedge_err host_options_check(const struct host_option_set *set, const void *target, FILE *err)
{
    enum kedge_err result = KEDGE_OK;
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        if ((row->flags & HOST_OPTION_REQUIRED) == 0 || !is_unset(row, target)) {
            continue;
        }
        fprintf(err, "--%s %s: required, %s\n", row->name,
                row->value_name != NULL ? row->value_name : "VALUE", row->help);
        result = KEDGE_ERR_SYNTAX;
    }
    return result;
}

static int flag_width(const struct host_option *row)
{
    size_t width = strlen(row->name) + 2;
    if (row->type != HOST_OPTION_BOOL) {
        width += 1 + strlen(row->value_name != NULL ? row->value_name : "VALUE");
    }
    return (int)width;
}

void host_options_help(const struct host_option_set *set, FILE *out)
{
    int widest = 0;
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        widest = flag_width(row) > widest ? flag_width(row) : widest;
    }
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        const char *value = row->value_name != NULL ? row->value_name : "VALUE";
        bool has_value = row->type != HOST_OPTION_BOOL;
        fprintf(out, "  --%s%s%s%*s  %s", row->name, has_value ? " " : "", has_value ? value : "",
                widest - flag_width(row), "", row->help);
        if ((row->flags & HOST_OPTION_REQUIRED) != 0) {
            fprintf(out, " (required)");
        } else if (has_value && row->default_text != NULL && row->default_text[0] != '\0') {
            fprintf(out, " (default %s)", row->default_text);
        }
        fputc('\n', out);
    }
}

static void print_value(const struct host_option *row, const void *field, FILE *out)
{
    char number[NUMBER_TEXT_MAX];
    switch (row->type) {
    case HOST_OPTION_STRING: {
        const char *text = *(char *const *)field;
        fputs(text != NULL ? text : "", out);
        break;
    }
    case HOST_OPTION_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case HOST_OPTION_UINT:
    case HOST_OPTION_DURATION:
    case HOST_OPTION_SIZE:
        format_number(row->type, *(const uint64_t *)field, number, sizeof(number));
        fputs(number, out);
        break;
    }
}

void host_options_print(const struct host_option_set *set, const void *target, FILE *out)
{
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        if ((row->flags & HOST_OPTION_FLAG_ONLY) != 0) {
            continue;
        }
        fprintf(out, "%s = ", row->name);
        if ((row->flags & HOST_OPTION_SECRET) != 0) {
            fputs("***", out);
        } else {
            print_value(row, const_field_of(row, target), out);
        }
        fputc('\n', out);
    }
}

void host_options_free(const struct host_option_set *set, void *target)
{
    for (const struct host_option *row = set->rows; row->name != NULL; row++) {
        if (row->type == HOST_OPTION_STRING) {
            char **field = field_of(row, target);
            free(*field);
            *field = NULL;
        }
    }
}
