/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/buf.h"

static const struct program_verb *const verbs[] = {&verb_run, &verb_image, &verb_ctl,
                                                   &verb_powercut};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

enum program_exit program_error(enum program_exit code, const char *format, ...)
{
    va_list args;
    fputs("kedge-sim: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

static void print_overview(FILE *out)
{
    fprintf(out, "kedge-sim: a fleet of simulated ESP32 boards that runs the real device agent\n\n"
                 "Usage: kedge-sim VERB [options]\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        fprintf(out, "  %-9s %s\n", verbs[i]->name, verbs[i]->summary);
    }
    fprintf(out, "\n`kedge-sim VERB --help` lists the options of a verb.\n"
                 "Exit codes: 0 done, 1 failed, 2 wrong command line.\n");
}

static void print_verb_help(const struct program_verb *verb)
{
    printf("Usage: kedge-sim %s [options] %s\n\n%s.\n", verb->name, verb->args, verb->summary);
    if (verb->detail != NULL) {
        printf("\n%s", verb->detail);
    }
    printf("\nOptions:\n");
    host_options_help(verb->options, stdout);
}

static enum program_exit check_and_run(const struct program_verb *verb,
                                       const struct program_call *call)
{
    if (*(const bool *)call->options) {
        print_verb_help(verb);
        return PROGRAM_OK;
    }
    if (call->arg_count < verb->min_args || call->arg_count > verb->max_args) {
        return program_error(PROGRAM_USAGE, "%s argument, expected: kedge-sim %s [options] %s",
                             call->arg_count < verb->min_args ? "missing" : "unexpected",
                             verb->name, verb->args);
    }
    if (host_options_check(verb->options, call->options, stderr) != KEDGE_OK) {
        return PROGRAM_USAGE;
    }
    return verb->run(call);
}

/* argv[0] is the verb. */
static enum program_exit run_verb(const struct program_verb *verb, int argc, char **argv)
{
    const char *args[PROGRAM_MAX_ARGS];
    void *options = host_calloc(1, verb->options_size);
    struct program_call call = {.options = options, .args = args};
    enum program_exit code = PROGRAM_USAGE;
    if (host_options_defaults(verb->options, options) == KEDGE_OK &&
        host_options_args(verb->options, options, argc, argv, args, PROGRAM_MAX_ARGS,
                          &call.arg_count, stderr) == KEDGE_OK) {
        code = check_and_run(verb, &call);
    }
    host_options_free(verb->options, options);
    free(options);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return PROGRAM_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(stdout);
        return PROGRAM_OK;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argv[1], verbs[i]->name) == 0) {
            return (int)run_verb(verbs[i], argc - 1, argv + 1);
        }
    }
    return (int)program_error(
        PROGRAM_USAGE, "%s: unknown verb, expected one that `kedge-sim --help` lists", argv[1]);
}
