/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/settings.h"

#include <string.h>

#include "kedge/json.h"
#include "settings_faults.h"

static const struct kedge_setting schema_row = {.name = "schema",
                                                .type = KEDGE_SETTING_INTEGER,
                                                .min = KEDGE_SETTINGS_SCHEMA,
                                                .max = KEDGE_SETTINGS_SCHEMA,
                                                .form = "1"};

/* What a member says, before it is known to be a setting. */
struct value {
    int64_t number;
    char text[KEDGE_SETTINGS_URL_SIZE];
};

_Static_assert(KEDGE_SETTINGS_URL_SIZE >= KEDGE_SETTINGS_HOST_SIZE &&
                   KEDGE_SETTINGS_URL_SIZE >= KEDGE_DEVICE_ID_SIZE,
               "a value holds every text");

struct problem {
    enum kedge_err err;
    const char *what;
};

static const struct problem no_problem = {KEDGE_OK, NULL};

/* ---- one row: its rules, its place in the struct ---- */

static struct problem judge_text(const struct kedge_setting *row, const char *text)
{
    if (memchr(text, '\0', row->size) == NULL) {
        return (struct problem){KEDGE_ERR_RANGE, "too long"};
    }
    return row->is_ok(text) ? no_problem : (struct problem){KEDGE_ERR_RANGE, "not allowed"};
}

static struct problem judge_number(const struct kedge_setting *row, int64_t number)
{
    return number >= row->min && number <= row->max
               ? no_problem
               : (struct problem){KEDGE_ERR_RANGE, "out of range"};
}

static int64_t get_number(const struct kedge_settings *settings, const struct kedge_setting *row)
{
    uint32_t bits;

    memcpy(&bits, (const uint8_t *)settings + row->at, sizeof bits);
    return row->type == KEDGE_SETTING_DECIMAL ? (int64_t)(int32_t)bits : (int64_t)bits;
}

static void put_number(struct kedge_settings *settings, const struct kedge_setting *row,
                       int64_t number)
{
    uint32_t bits = (uint32_t)number;

    memcpy((uint8_t *)settings + row->at, &bits, sizeof bits);
}

static const char *get_text(const struct kedge_settings *settings, const struct kedge_setting *row)
{
    return (const char *)settings + row->at;
}

static void put_text(struct kedge_settings *settings, const struct kedge_setting *row,
                     const char *text)
{
    memcpy((char *)settings + row->at, text, strlen(text) + 1);
}

/* ---- one member of the JSON ---- */

static struct problem read_text(const struct kedge_json *json, const struct kedge_setting *row,
                                struct value *value)
{
    enum kedge_err err = kedge_json_get_string(json, row->name, value->text, row->size);

    if (err == KEDGE_ERR_TOO_LARGE) {
        return (struct problem){KEDGE_ERR_RANGE, "too long"};
    }
    if (err != KEDGE_OK) {
        return (struct problem){err, "NUL in a text"};
    }
    return judge_text(row, value->text);
}

static struct problem read_choice(const struct kedge_json *json, const struct kedge_setting *row,
                                  struct value *value)
{
    enum kedge_err err = kedge_json_get_string(json, row->name, value->text, sizeof value->text);

    value->number = row->min;
    while (err == KEDGE_OK && value->number <= row->max) {
        if (strcmp(value->text, row->choices[value->number - row->min]) == 0) {
            return no_problem;
        }
        value->number++;
    }
    return (struct problem){KEDGE_ERR_RANGE, "not allowed"};
}

static struct problem read_number(const struct kedge_json *json, const struct kedge_setting *row,
                                  struct value *value)
{
    bool is_decimal = row->type == KEDGE_SETTING_DECIMAL;
    enum kedge_err err =
        is_decimal ? kedge_json_get_milli(json, row->name, &value->number)
                   : kedge_json_get_int(json, row->name, INT64_MIN, INT64_MAX, &value->number);

    if (err == KEDGE_ERR_RANGE) {
        return (struct problem){err, "out of range"};
    }
    if (err != KEDGE_OK) {
        return (struct problem){err, is_decimal ? "has an exponent" : "not a whole number"};
    }
    return judge_number(row, value->number);
}

static const struct {
    uint8_t kind; /* enum kedge_json_kind that the member must be */
    const char *otherwise;
    struct problem (*read)(const struct kedge_json *json, const struct kedge_setting *row,
                           struct value *value);
    bool has_text;
} types[] = {
    [KEDGE_SETTING_TEXT] = {KEDGE_JSON_STRING, "not a text", read_text, true},
    [KEDGE_SETTING_CHOICE] = {KEDGE_JSON_STRING, "not a text", read_choice, false},
    [KEDGE_SETTING_INTEGER] = {KEDGE_JSON_NUMBER, "not a number", read_number, false},
    [KEDGE_SETTING_DECIMAL] = {KEDGE_JSON_NUMBER, "not a number", read_number, false},
};

static struct problem read_member(const struct kedge_json *json,
                                  const struct kedge_json_member *member,
                                  const struct kedge_setting *row, struct value *value)
{
    if (member->kind != types[row->type].kind) {
        return (struct problem){KEDGE_ERR_SYNTAX, types[row->type].otherwise};
    }
    return types[row->type].read(json, row, value);
}

/* ---- a whole file ---- */

static uint32_t line_of(const uint8_t *bytes, size_t at)
{
    uint32_t line = 1;

    for (size_t i = 0; i < at; i++) {
        line += bytes[i] == '\n';
    }
    return line;
}

static void refuse_member(const struct kedge_json *json, const struct kedge_json_member *member,
                          const struct kedge_setting *row, struct problem problem,
                          struct kedge_settings_faults *faults)
{
    struct kedge_settings_fault fault = {.err = problem.err,
                                         .line = line_of(json->bytes, member->name_at),
                                         .what = problem.what,
                                         .setting = row};

    settings_add_fault(faults, fault, json->bytes + member->name_at, member->name_len);
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Where the last byte before `at` that is not white space stands; 0 when there is none. */
static size_t back(struct kedge_cspan bytes, size_t at)
{
    while (at > 0 && is_space(bytes.data[at - 1])) {
        at--;
    }
    return at > 0 ? at - 1 : 0;
}

/* The name of the member whose value should begin at `at`; empty when it is not a value that is
 * wrong there. */
static struct kedge_cspan name_before(struct kedge_cspan bytes, size_t at)
{
    size_t colon = back(bytes, at);
    size_t end = back(bytes, colon);
    size_t start = end;

    if (bytes.data[colon] != ':' || bytes.data[end] != '"') {
        return (struct kedge_cspan){bytes.data, 0};
    }
    while (start > 0 && bytes.data[start - 1] != '"') {
        start--;
    }
    return (struct kedge_cspan){bytes.data + start, end - start};
}

/* JSON that does not parse is one problem: what follows it means nothing. */
static void refuse_json(struct kedge_cspan bytes, const struct kedge_fault *json,
                        struct kedge_settings_faults *faults)
{
    struct kedge_settings_fault fault = {
        .err = json->err, .line = line_of(bytes.data, json->at), .what = json->what};
    struct kedge_cspan name = {bytes.data, 0};

    if (json->err == KEDGE_ERR_DUPLICATE) {
        fault.what = "named twice";
        name.data = bytes.data + json->at + 1;
        while (name.data[name.len] != '"') { /* it parsed as a string: there is one */
            name.len++;
        }
    } else if (json->at > 0) {
        name = name_before(bytes, json->at);
    }
    settings_add_fault(faults, fault, name.data, name.len);
}

static bool open_file(struct kedge_cspan bytes, struct kedge_json *json,
                      struct kedge_settings_faults *faults)
{
    struct kedge_fault fault = {0};
    struct value value;

    faults->count = 0;
    if (bytes.len > KEDGE_SETTINGS_FILE_MAX) {
        settings_add_fault(faults,
                           (struct kedge_settings_fault){.err = KEDGE_ERR_TOO_LARGE,
                                                         .what = "file over 2048 bytes"},
                           "", 0);
        return false;
    }
    if (kedge_json_parse(bytes, json, &fault) != KEDGE_OK) {
        refuse_json(bytes, &fault, faults);
        return false;
    }
    const struct kedge_json_member *schema = kedge_json_find(json, schema_row.name);

    if (schema == NULL) {
        settings_add_fault(faults,
                           (struct kedge_settings_fault){
                               .err = KEDGE_ERR_VERSION, .what = "missing", .setting = &schema_row},
                           schema_row.name, strlen(schema_row.name));
        return false;
    }
    if (read_member(json, schema, &schema_row, &value).err != KEDGE_OK) {
        struct problem problem = {KEDGE_ERR_VERSION, "unknown version"};

        refuse_member(json, schema, &schema_row, problem, faults);
        return false;
    }
    return true;
}

/* Every row that the file has; every member that no row has. */
static void check_members(const struct kedge_json *json, struct kedge_settings_faults *faults)
{
    static const struct problem unknown = {KEDGE_ERR_UNSUPPORTED, "unknown member"};
    const struct kedge_json_member *schema = kedge_json_find(json, schema_row.name);
    uint32_t known = UINT32_C(1) << (schema - json->members);
    struct value value;
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        const struct kedge_json_member *member = kedge_json_find(json, rows[i].name);

        if (member != NULL) {
            struct problem problem = read_member(json, member, &rows[i], &value);

            known |= UINT32_C(1) << (member - json->members);
            if (problem.err != KEDGE_OK) {
                refuse_member(json, member, &rows[i], problem, faults);
            }
        }
    }
    for (uint32_t i = 0; i < json->count; i++) {
        if ((known & UINT32_C(1) << i) == 0) {
            refuse_member(json, &json->members[i], NULL, unknown, faults);
        }
    }
}

_Static_assert(KEDGE_JSON_MAX_MEMBERS <= 32, "a bit for each");

/* Only after check_members has found nothing wrong. */
static void take_members(const struct kedge_json *json, struct kedge_settings *out)
{
    struct value value;
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        const struct kedge_json_member *member = kedge_json_find(json, rows[i].name);

        if (member == NULL) {
            continue;
        }
        (void)read_member(json, member, &rows[i], &value);
        if (types[rows[i].type].has_text) {
            put_text(out, &rows[i], value.text);
        } else {
            put_number(out, &rows[i], value.number);
        }
    }
}

enum kedge_err kedge_settings_parse(struct kedge_cspan json, const struct kedge_settings *defaults,
                                    struct kedge_settings *out,
                                    struct kedge_settings_faults *faults)
{
    struct kedge_json object;

    if (open_file(json, &object, faults)) {
        check_members(&object, faults);
    }
    if (faults->count == 0) {
        *out = *defaults;
        take_members(&object, out);
    }
    return settings_verdict(faults);
}

/* ---- sets of rows ---- */

uint32_t kedge_settings_row(const char *name)
{
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return UINT32_C(1) << i;
        }
    }
    return 0;
}

uint32_t kedge_settings_rows(struct kedge_cspan json)
{
    struct kedge_json object;
    uint32_t found = 0;
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    if (kedge_json_parse(json, &object, NULL) != KEDGE_OK) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (kedge_json_find(&object, rows[i].name) != NULL) {
            found |= UINT32_C(1) << i;
        }
    }
    return found;
}

/* ---- the struct ---- */

void kedge_settings_defaults(struct kedge_settings *out)
{
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < count; i++) {
        if (types[rows[i].type].has_text) {
            put_text(out, &rows[i], rows[i].fallback_text);
        } else {
            put_number(out, &rows[i], rows[i].fallback);
        }
    }
}

enum kedge_err kedge_settings_check(const struct kedge_settings *settings,
                                    struct kedge_settings_faults *faults)
{
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    faults->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct problem problem = types[rows[i].type].has_text
                                     ? judge_text(&rows[i], get_text(settings, &rows[i]))
                                     : judge_number(&rows[i], get_number(settings, &rows[i]));

        if (problem.err != KEDGE_OK) {
            settings_add_fault(faults,
                               (struct kedge_settings_fault){
                                   .err = problem.err, .what = problem.what, .setting = &rows[i]},
                               rows[i].name, strlen(rows[i].name));
        }
    }
    return settings_verdict(faults);
}

static void add_member(struct kedge_json_writer *json, const struct kedge_settings *settings,
                       const struct kedge_setting *row)
{
    switch (row->type) {
    case KEDGE_SETTING_TEXT:
        kedge_json_add_string(json, row->name, get_text(settings, row));
        return;
    case KEDGE_SETTING_CHOICE:
        kedge_json_add_string(json, row->name, row->choices[get_number(settings, row) - row->min]);
        return;
    case KEDGE_SETTING_INTEGER:
        kedge_json_add_int(json, row->name, get_number(settings, row));
        return;
    case KEDGE_SETTING_DECIMAL:
        kedge_json_add_milli(json, row->name, get_number(settings, row));
        return;
    }
}

enum kedge_err kedge_settings_encode(const struct kedge_settings *settings, uint32_t rows,
                                     char *out, size_t size, size_t *len_out)
{
    struct kedge_settings_faults faults;
    struct kedge_json_writer json;
    size_t count;
    const struct kedge_setting *table = kedge_settings_table(&count);

    if (kedge_settings_check(settings, &faults) != KEDGE_OK) {
        return KEDGE_ERR_ARG;
    }
    kedge_json_begin(&json, out, size);
    kedge_json_add_int(&json, schema_row.name, KEDGE_SETTINGS_SCHEMA);
    for (size_t i = 0; i < count; i++) {
        if ((rows & UINT32_C(1) << i) != 0) {
            add_member(&json, settings, &table[i]);
        }
    }
    return kedge_json_end(&json, len_out);
}

int32_t kedge_settings_temperature_mc(const struct kedge_settings *settings, int32_t raw_mc)
{
    int64_t calibrated =
        (int64_t)raw_mc * settings->temperature_scale_m / 1000 + settings->temperature_offset_mc;

    if (calibrated < INT32_MIN) {
        return INT32_MIN;
    }
    return calibrated > INT32_MAX ? INT32_MAX : (int32_t)calibrated;
}
