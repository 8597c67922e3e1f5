/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * ESP-IDF's sdkconfig, and defaults files for one: lines CONFIG_NAME=value, where a value is y, n,
 * a number or a quoted string, and "# CONFIG_NAME is not set". Names are without CONFIG_ here.
 */
#define CLI_SDK_FILE_MAX    (1024u * 1024u)
#define CLI_SDK_LINE_MAX    4096u
#define CLI_SDK_OPTIONS_MAX 32768u

/** Bits, so that a rule can name several. */
enum cli_sdk_target {
    CLI_SDK_ESP32 = 1u,
    CLI_SDK_ESP32S3 = 2u,
    CLI_SDK_ESP32C3 = 4u
};
#define CLI_SDK_DUAL_CORE (CLI_SDK_ESP32 | CLI_SDK_ESP32S3)
#define CLI_SDK_ANY       (CLI_SDK_ESP32 | CLI_SDK_ESP32S3 | CLI_SDK_ESP32C3)

/** "esp32c3" to its bit; 0 when it is none of ours. */
unsigned cli_sdk_target_parse(const char *text);

/** Goes through the text of one file; borrows it. */
struct cli_sdk_reader {
    struct kedge_cspan rest;
    uint32_t line;
    bool in_old_names; /* in the block that repeats options under their old names */
};

/** An option, or what is wrong with the line. Spans are in the reader's text. */
struct cli_sdk_line {
    uint32_t number; /**< from 1 */
    struct kedge_cspan name;
    struct kedge_cspan value; /**< as written, quotes included; "n" for "is not set" */
    const char *wrong;        /**< NULL = fine: else static text, and so is expected */
    const char *expected;
};

void cli_sdk_reader_init(struct cli_sdk_reader *reader, struct kedge_cspan text);
/** The next option or bad line; comments and the block of old names are passed over. False at the
 *  end. */
bool cli_sdk_reader_next(struct cli_sdk_reader *reader, struct cli_sdk_line *line);

struct cli_sdk_option {
    char *name;           /* owned; the new name when it was set under an old one */
    char *value;          /* owned, as written */
    const char *old_name; /* static; NULL when it was set under its own name */
    const char *file;     /* borrowed */
    uint32_t line;
};

/** What all files together set, in their order: the last one counts. Zero-initialised = empty. */
struct cli_sdk_config {
    struct cli_sdk_option *options; /* owned */
    size_t count, capacity;
    unsigned target;  /* one bit of enum cli_sdk_target; the caller's to set */
    bool is_complete; /* an sdkconfig that ESP-IDF wrote: what is missing is off */
};

void cli_sdk_config_free(struct cli_sdk_config *config);
/** A line without fault. file is borrowed until free. Errors: TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err cli_sdk_config_add(struct cli_sdk_config *config, const char *file,
                                                  const struct cli_sdk_line *line);

/** Who set the option last; NULL = nobody did. */
const struct cli_sdk_option *cli_sdk_find(const struct cli_sdk_config *config, const char *name);
/** Who was set to y last in the choice that name belongs to; NULL = nobody, or name is in none. */
const struct cli_sdk_option *cli_sdk_chosen(const struct cli_sdk_config *config, const char *name);
/** What the build will have, as written: of a choice only the member set last is y; what nobody set
 *  has ESP-IDF's default, as far as the rules ask for it, and else "". Borrowed from config. */
const char *cli_sdk_value(const struct cli_sdk_config *config, const char *name);
bool cli_sdk_is_on(const struct cli_sdk_config *config, const char *name);
/** The value as a number. Errors: SYNTAX, RANGE. */
KEDGE_NODISCARD enum kedge_err cli_sdk_number(const struct cli_sdk_config *config, const char *name,
                                              uint64_t *out);
/** A string's text without quotes and escapes. Errors: SYNTAX (not a string), TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err cli_sdk_text(const struct cli_sdk_config *config, const char *name,
                                            char *out, size_t size);

/** Options that older ESP-IDF versions named otherwise. Rows end at old_name NULL. */
struct cli_sdk_renamed {
    const char *old_name;
    const char *name;
    const char *fix; /* lines to write instead; NULL = the new name with the same value */
};
extern const struct cli_sdk_renamed cli_sdk_renamed[];

/** Options of which exactly one is y. Rows end at members[0] NULL. */
struct cli_sdk_choice {
    const char *members[12]; /* NULL ends them */
};
extern const struct cli_sdk_choice cli_sdk_choices[];

/** ESP-IDF's default where it is not "n" or nothing; the first row that applies counts. The same in
 *  5.1, 5.5 and 6.0. Rows end at name NULL. */
struct cli_sdk_default {
    const char *name;
    const char *value;
    unsigned targets;
    const char *when; /* only while this option is on; NULL = always */
};
extern const struct cli_sdk_default cli_sdk_defaults[];
