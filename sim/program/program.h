/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/option.h"

#define PROGRAM_MAX_ARGS 64u

enum program_exit {
    PROGRAM_OK = 0,
    PROGRAM_FAILED = 1,
    PROGRAM_USAGE = 2
};

/** What a verb's run is given. */
struct program_call {
    const void *options;
    const char *const *args;
    size_t arg_count;
};

/** One verb of kedge-sim. Its options struct begins with a bool: --help. */
struct program_verb {
    const char *name;
    const char *args; /**< positional ones, for the synopsis */
    const char *summary;
    const char *detail;
    const struct host_option_set *options;
    size_t options_size;
    size_t min_args, max_args;
    enum program_exit (*run)(const struct program_call *call);
};

#define PROGRAM_HELP_ROW                                                                           \
    {                                                                                              \
        .name = "help", .type = HOST_OPTION_BOOL, .offset = 0, .flags = HOST_OPTION_FLAG_ONLY,     \
        .help = "print this and exit"                                                              \
    }

extern const struct program_verb verb_image;
extern const struct program_verb verb_run;
extern const struct program_verb verb_ctl;
extern const struct program_verb verb_powercut;

/** "kedge-sim: …" to stderr; returns code. */
__attribute__((format(printf, 2, 3))) enum program_exit program_error(enum program_exit code,
                                                                      const char *format, ...);
