/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * One table for options: configuration file, environment and flags, their help, defaults, bounds
 * and redaction. Later sources win: default < file < environment < flag. An option "listen-device"
 * is `listen-device = …` in the file, `--listen-device …` as flag, `<PREFIX>_LISTEN_DEVICE` in the
 * environment. Unknown names are errors everywhere but in the environment.
 */
enum host_option_type {
    HOST_OPTION_STRING,   /**< field: char *, owned by the target struct, freed by host_options_free
                           */
    HOST_OPTION_BOOL,     /**< field: bool; flag without value = true; "true"/"false" elsewhere */
    HOST_OPTION_UINT,     /**< field: uint64_t, min..max */
    HOST_OPTION_DURATION, /**< field: uint64_t milliseconds, min..max */
    HOST_OPTION_SIZE      /**< field: uint64_t bytes, min..max */
};

enum host_option_flag {
    HOST_OPTION_SECRET = 1u << 0,    /**< never printed */
    HOST_OPTION_REQUIRED = 1u << 1,  /**< must be set by someone */
    HOST_OPTION_FLAG_ONLY = 1u << 2, /**< not in file or environment */
};

struct host_option {
    const char *name;
    enum host_option_type type;
    size_t offset;            /**< offsetof the field in the target struct */
    const char *default_text; /**< NULL = NULL, false or 0 */
    uint64_t min, max;        /**< max 0 = no bound */
    unsigned flags;
    const char *value_name; /**< "HOST:PORT" for the help */
    const char *help;
};

/** A program's or verb's table; rows end at name == NULL. */
struct host_option_set {
    const struct host_option *rows;
    const char *env_prefix; /**< "KEDGED"; NULL = no environment */
    bool skip_unknown;      /**< the file is another program's: its other names are not ours */
};

/** Errors are printed to err as "file:line: what is wrong, what was expected" (or "--flag: …",
 *  "KEDGED_X: …"), all of them, before the call returns ERR_SYNTAX. The target starts zeroed. */
KEDGE_NODISCARD enum kedge_err host_options_defaults(const struct host_option_set *set,
                                                     void *target);
/** "name = value" lines, "#" lines, blank lines; no comment behind a value. A file that cannot be
 *  read is said too. Errors: SYNTAX, NOT_FOUND, IO, TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err host_options_file(const struct host_option_set *set, void *target,
                                                 const char *path, FILE *err);
KEDGE_NODISCARD enum kedge_err host_options_env(const struct host_option_set *set, void *target,
                                                FILE *err);
/** argv[0] (program or verb) is skipped. Flags anywhere after it; what is not a flag is collected
 * in order into positional (borrowed from argv, at most positional_max; more is an error). "--"
 * ends flags. */
KEDGE_NODISCARD enum kedge_err host_options_args(const struct host_option_set *set, void *target,
                                                 int argc, char **argv, const char **positional,
                                                 size_t positional_max, size_t *positional_count,
                                                 FILE *err);
/** Required ones are there: text not empty, number not 0. */
KEDGE_NODISCARD enum kedge_err host_options_check(const struct host_option_set *set,
                                                  const void *target, FILE *err);
/** Aligned help text, one option a line with default. */
void host_options_help(const struct host_option_set *set, FILE *out);
/** "name = value" lines as the file takes them, secrets as "***". */
void host_options_print(const struct host_option_set *set, const void *target, FILE *out);
void host_options_free(const struct host_option_set *set, void *target);
