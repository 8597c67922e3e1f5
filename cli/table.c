/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/buf.h"

#define CELL_SIZE    256u
#define COLUMNS_MAX  16u
#define SHORT_DIGITS 12
#define RECORD_WIDTH 16

/* ---- cells ---- */

static void put_text(const cJSON *value, char *out, size_t size)
{
    if (cJSON_IsString(value)) {
        snprintf(out, size, "%s", value->valuestring);
    } else if (cJSON_IsNumber(value)) {
        snprintf(out, size, "%.10g", value->valuedouble);
    } else if (cJSON_IsBool(value)) {
        snprintf(out, size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    } else if (cJSON_IsObject(value) || cJSON_IsArray(value)) {
        char *text = cJSON_PrintUnformatted(value);
        snprintf(out, size, "%s", text != NULL ? text : "");
        cJSON_free(text);
    }
    for (char *p = out; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) {
            *p = '?';
        }
    }
}

static void put_bytes(double bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (bytes >= 1024.0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024.0;
        unit++;
    }
    snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

/* The two largest units: "1 h 30 min". */
static void put_span(double ms, char *out, size_t size)
{
    static const struct {
        uint64_t factor;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    const size_t count = sizeof(units) / sizeof(units[0]);
    uint64_t left = ms > 0 ? (uint64_t)ms : 0;
    size_t unit = 0;
    while (unit + 1 < count && left < units[unit].factor) {
        unit++;
    }
    int len = snprintf(out, size, "%" PRIu64 " %s", left / units[unit].factor, units[unit].name);
    left %= units[unit].factor;
    if (unit < 3 && left >= units[unit + 1].factor && len > 0 && (size_t)len < size) {
        snprintf(out + len, size - (size_t)len, " %" PRIu64 " %s", left / units[unit + 1].factor,
                 units[unit + 1].name);
    }
}

static void put_time(double ms, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000.0);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL) {
        strftime(out, size, "%Y-%m-%d %H:%M:%SZ", &utc);
    }
}

static void put_age(double ms, char *out, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double age_ms = (double)now.tv_sec * 1000.0 + (double)now.tv_nsec / 1e6 - ms;
    uint64_t whole_s = age_ms > 0.0 ? (uint64_t)(age_ms / 1000.0) : 0;
    put_span((double)whole_s * 1000.0, out, size);
    if (age_ms < 1000.0) {
        snprintf(out, size, "now");
    } else {
        size_t len = strlen(out);
        snprintf(out + len, size - len, " ago");
    }
}

void cli_cell_text(const cJSON *value, enum cli_cell kind, char *out, size_t size)
{
    out[0] = '\0';
    double number = cJSON_IsNumber(value) ? value->valuedouble : 0.0;
    switch (kind) {
    case CLI_CELL_TEXT:
    case CLI_CELL_NUMBER:
        put_text(value, out, size);
        break;
    case CLI_CELL_ORDINAL:
        snprintf(out, size, "%.0f", number + 1.0);
        break;
    case CLI_CELL_BYTES:
        if (number > 0.0) {
            put_bytes(number, out, size);
        }
        break;
    case CLI_CELL_TIME:
    case CLI_CELL_AGE:
        if (number <= 0.0) {
            snprintf(out, size, "never");
        } else if (kind == CLI_CELL_TIME) {
            put_time(number, out, size);
        } else {
            put_age(number, out, size);
        }
        break;
    case CLI_CELL_SPAN:
        put_span(number, out, size);
        break;
    case CLI_CELL_SHORT:
        put_text(value, out, size);
        out[strnlen(out, SHORT_DIGITS)] = '\0';
        break;
    case CLI_CELL_YES:
        snprintf(out, size, "%s", cJSON_IsTrue(value) || number > 0.0 ? "yes" : "");
        break;
    }
}

/* "plan.soak_ms": the member of a member. NULL when there is none. */
static const cJSON *find_member(const cJSON *object, const char *path)
{
    char name[64];
    size_t len = strcspn(path, ".");
    if (path[len] == '\0' || len >= sizeof(name)) {
        return cJSON_GetObjectItemCaseSensitive(object, path);
    }
    memcpy(name, path, len);
    name[len] = '\0';
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, name),
                                            path + len + 1);
}

/* ---- tables ---- */

static size_t measure(const cJSON *array, const struct cli_column *columns, size_t *widths)
{
    size_t count = 0;
    for (; columns[count].title != NULL && count < COLUMNS_MAX; count++) {
        widths[count] = strlen(columns[count].title);
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, array)
    {
        for (size_t i = 0; i < count; i++) {
            char cell[CELL_SIZE];
            cli_cell_text(find_member(item, columns[i].member), columns[i].kind, cell,
                          sizeof(cell));
            widths[i] = strlen(cell) > widths[i] ? strlen(cell) : widths[i];
        }
    }
    return count;
}

static void print_cell(const char *text, enum cli_cell kind, size_t width, bool is_last)
{
    bool right = kind == CLI_CELL_NUMBER || kind == CLI_CELL_ORDINAL || kind == CLI_CELL_BYTES;
    if (right) {
        printf("%*s", (int)width, text);
    } else {
        printf("%-*s", is_last ? 0 : (int)width, text);
    }
    fputs(is_last ? "\n" : "  ", stdout);
}

void cli_table_print(const cJSON *array, const struct cli_column *columns, const char *none)
{
    size_t widths[COLUMNS_MAX];
    size_t count = measure(array, columns, widths);
    if (cJSON_GetArraySize(array) == 0) {
        puts(none);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        print_cell(columns[i].title, columns[i].kind, widths[i], i + 1 == count);
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, array)
    {
        for (size_t i = 0; i < count; i++) {
            char cell[CELL_SIZE];
            cli_cell_text(find_member(item, columns[i].member), columns[i].kind, cell,
                          sizeof(cell));
            print_cell(cell, columns[i].kind, widths[i], i + 1 == count);
        }
    }
}

void cli_record_print(const cJSON *object, const struct cli_column *columns)
{
    for (; columns->title != NULL; columns++) {
        char cell[CELL_SIZE];
        const cJSON *value = find_member(object, columns->member);
        cli_cell_text(value, columns->kind, cell, sizeof(cell));
        if (value != NULL && !cJSON_IsNull(value) && cell[0] != '\0') {
            printf("  %-*s%s\n", RECORD_WIDTH, columns->title, cell);
        }
    }
}
