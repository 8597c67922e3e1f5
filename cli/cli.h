/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/option.h"

/* What the verbs share: how a verb is described, how it is called, how it ends. */

/** Exit codes; `kedge --help` documents them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,   /**< the server refused, the network or a file did not do */
    CLI_USAGE = 2,    /**< the command line is wrong */
    CLI_NOT_FOUND = 3 /**< what was named does not exist */
};

/** First member of every verb's option struct. */
struct cli_common {
    char *data; /**< data folder */
    bool json;
    bool help;
};

/** The rows of struct cli_common; offsets hold because it comes first in every option struct. */
#define CLI_COMMON_ROWS                                                                            \
    {.name = "data",                                                                               \
     .type = HOST_OPTION_STRING,                                                                   \
     .offset = offsetof(struct cli_common, data),                                                  \
     .default_text = "./var/kedge",                                                                \
     .value_name = "DIR",                                                                          \
     .help = "data folder; KEDGE_DATA in the environment sets it too"},                            \
        {.name = "json",                                                                           \
         .type = HOST_OPTION_BOOL,                                                                 \
         .offset = offsetof(struct cli_common, json),                                              \
         .flags = HOST_OPTION_FLAG_ONLY,                                                           \
         .help = "print JSON for scripts"},                                                        \
    {                                                                                              \
        .name = "help", .type = HOST_OPTION_BOOL, .offset = offsetof(struct cli_common, help),     \
        .flags = HOST_OPTION_FLAG_ONLY, .help = "this text"                                        \
    }

/** A verb that has the common options only. */
struct cli_plain_options {
    struct cli_common common;
};
extern const struct host_option_set cli_plain_options;

struct cli_call {
    const struct cli_common *common;
    const void *options; /**< the verb's own struct, which starts with common */
    const char *const *args;
    size_t arg_count;
};

#define CLI_MAX_ARGS 1024u

/** One row of `kedge --help`. */
struct cli_verb {
    const char *noun;
    const char *action; /**< NULL for a verb of one word */
    const char *args;   /**< "ID..." for the usage line; "" when it takes none */
    const char *summary;
    const char *detail; /**< further lines of help; NULL = none */
    const struct host_option_set *options;
    size_t options_size;
    size_t min_args, max_args;
    enum cli_exit (*run)(const struct cli_call *call);
};

extern const struct cli_verb cli_init;
extern const struct cli_verb cli_device_add, cli_device_provision, cli_device_list, cli_device_show,
    cli_device_revoke;
extern const struct cli_verb cli_release_add, cli_release_list, cli_release_show;
extern const struct cli_verb cli_rollout_create, cli_rollout_list, cli_rollout_show,
    cli_rollout_watch, cli_rollout_pause, cli_rollout_resume, cli_rollout_abort;
extern const struct cli_verb cli_crash_list, cli_crash_get;
extern const struct cli_verb cli_audit, cli_status, cli_telemetry;
extern const struct cli_verb cli_image_info, cli_partition_check, cli_partition_gen;
extern const struct cli_verb cli_sdkconfig_check;

/** "kedge: …" to stderr; returns code, so that a verb ends with `return cli_error(…)`. */
__attribute__((format(printf, 2, 3))) enum cli_exit cli_error(enum cli_exit code,
                                                              const char *format, ...);
