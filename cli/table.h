/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cjson/cJSON.h>

/* JSON answers as text for a person: one table says which members are shown, and how. */

enum cli_cell {
    CLI_CELL_TEXT,
    CLI_CELL_NUMBER,
    CLI_CELL_ORDINAL, /**< counted from 0, shown from 1 */
    CLI_CELL_BYTES,   /**< "1.2 MiB"; 0: "", it is not known */
    CLI_CELL_TIME,    /**< Unix milliseconds as "2026-01-31 12:00:00Z"; 0 or null: "never" */
    CLI_CELL_AGE,     /**< Unix milliseconds as "12 s ago"; 0 or null: "never" */
    CLI_CELL_SPAN,    /**< milliseconds as "1 h 30 min" */
    CLI_CELL_SHORT,   /**< first 12 characters: digests */
    CLI_CELL_YES      /**< true, or a time that is not 0: "yes"; else "" */
};

/** Rows end at title NULL. member "plan.pace" is pace of the member plan. */
struct cli_column {
    const char *title;
    const char *member;
    enum cli_cell kind;
};

/** An array of objects, one a line, aligned; none, when it is empty, followed by a new line. */
void cli_table_print(const cJSON *array, const struct cli_column *columns, const char *none);
/** One object, one member a line. Members that are missing, null or empty are left out. */
void cli_record_print(const cJSON *object, const struct cli_column *columns);
/** One cell as text into out; control characters show as '?'. */
void cli_cell_text(const cJSON *value, enum cli_cell kind, char *out, size_t size);
