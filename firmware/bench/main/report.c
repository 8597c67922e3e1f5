/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define ROWS_MAX 48u

struct row {
    const char *name;
    char value[48];
    char note[96];
};

static struct row s_rows[ROWS_MAX];
static size_t s_count;

/* printf and not the log: no level, colour or time in a line that a program reads. */
static void add(const char *name, const char *value, const char *note)
{
    printf("bench: %s %s\n", name, value);
    if (s_count < ROWS_MAX) {
        struct row *row = &s_rows[s_count++];

        row->name = name;
        (void)snprintf(row->value, sizeof row->value, "%s", value);
        (void)snprintf(row->note, sizeof row->note, "%s", note);
    }
}

void report_tenths(const char *name, uint32_t tenths, const char *note)
{
    char value[16];

    (void)snprintf(value, sizeof value, "%" PRIu32 ".%" PRIu32, tenths / 10u, tenths % 10u);
    add(name, value, note);
}

void report_count(const char *name, uint32_t count, const char *note)
{
    char value[16];

    (void)snprintf(value, sizeof value, "%" PRIu32, count);
    add(name, value, note);
}

void report_text(const char *name, const char *text)
{
    add(name, text, "");
}

void report_skipped(const char *name, const char *why)
{
    printf("bench: %s skipped: %s\n", name, why);
    if (s_count < ROWS_MAX) {
        struct row *row = &s_rows[s_count++];

        row->name = name;
        (void)snprintf(row->value, sizeof row->value, "–");
        (void)snprintf(row->note, sizeof row->note, "skipped: %s", why);
    }
}

void report_table(void)
{
    printf("\n| row | value | how |\n|---|---|---|\n");
    for (size_t i = 0; i < s_count; i++) {
        printf("| %s | %s | %s |\n", s_rows[i].name, s_rows[i].value, s_rows[i].note);
    }
    printf("\nbench: end\n");
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

uint32_t report_median(uint32_t *samples, size_t count)
{
    qsort(samples, count, sizeof samples[0], compare);
    return samples[count / 2];
}

uint32_t report_p95(uint32_t *samples, size_t count)
{
    qsort(samples, count, sizeof samples[0], compare);
    return samples[(count * 95u - 1u) / 100u];
}
