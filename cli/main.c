/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/buf.h"

#ifndef KEDGE_VERSION
#error "KEDGE_VERSION comes from CMakeLists.txt"
#endif

static const struct cli_verb *const verbs[] = {
    &cli_init,
    &cli_device_add,
    &cli_device_provision,
    &cli_device_list,
    &cli_device_show,
    &cli_device_revoke,
    &cli_release_add,
    &cli_release_list,
    &cli_release_show,
    &cli_rollout_create,
    &cli_rollout_list,
    &cli_rollout_show,
    &cli_rollout_watch,
    &cli_rollout_pause,
    &cli_rollout_resume,
    &cli_rollout_abort,
    &cli_crash_list,
    &cli_crash_get,
    &cli_audit,
    &cli_status,
    &cli_telemetry,
    &cli_image_info,
    &cli_partition_check,
    &cli_partition_gen,
    &cli_sdkconfig_check,
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static const struct host_option plain_rows[] = {
    CLI_COMMON_ROWS,
    {0},
};
const struct host_option_set cli_plain_options = {.rows = plain_rows, .env_prefix = "KEDGE"};

enum cli_exit cli_error(enum cli_exit code, const char *format, ...)
{
    va_list args;
    fputs("kedge: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

static void print_synopsis(const struct cli_verb *verb, FILE *out)
{
    fprintf(out, "%s%s%s%s%s", verb->noun, verb->action != NULL ? " " : "",
            verb->action != NULL ? verb->action : "", verb->args[0] != '\0' ? " " : "", verb->args);
}

/* The verbs of noun, or all of them when noun is NULL, aligned. */
static void print_verbs(const char *noun, FILE *out)
{
    int widest = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < VERB_COUNT; i++) {
            const struct cli_verb *verb = verbs[i];
            if (noun != NULL && strcmp(noun, verb->noun) != 0) {
                continue;
            }
            int width =
                (int)(strlen(verb->noun) + strlen(verb->args) + (verb->args[0] != '\0' ? 1 : 0) +
                      (verb->action != NULL ? 1 + strlen(verb->action) : 0));
            if (pass == 0) {
                widest = width > widest ? width : widest;
                continue;
            }
            fprintf(out, "  ");
            print_synopsis(verb, out);
            fprintf(out, "%*s  %s\n", widest - width, "", verb->summary);
        }
    }
}

static void print_overview(FILE *out)
{
    fprintf(out, "kedge " KEDGE_VERSION ": staged firmware updates for ESP32 fleets\n\n"
                 "Usage: kedge VERB [options]\n\n");
    print_verbs(NULL, out);
    fprintf(out, "\n`kedge VERB --help` lists the options of a verb. Every verb takes --data DIR "
                 "(or KEDGE_DATA; default ./var/kedge) and --json.\n\n"
                 "Exit codes:\n"
                 "  0  done\n"
                 "  1  failed: kedged refused, did not answer, or a file is bad\n"
                 "  2  the command line is wrong\n"
                 "  3  the device, release, rollout or file that was named does not exist\n");
}

static void print_verb_help(const struct cli_verb *verb)
{
    printf("Usage: kedge ");
    print_synopsis(verb, stdout);
    printf(" [options]\n\n%s.\n", verb->summary);
    if (verb->detail != NULL) {
        printf("\n%s\n", verb->detail);
    }
    printf("\nOptions:\n");
    host_options_help(verb->options, stdout);
    printf("\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 not found.\n");
}

static enum kedge_err read_options(const struct cli_verb *verb, void *options, int argc,
                                   char **argv, const char **args, size_t *arg_count)
{
    enum kedge_err err = host_options_defaults(verb->options, options);
    if (err == KEDGE_OK) {
        err = host_options_env(verb->options, options, stderr);
    }
    if (err == KEDGE_OK) {
        err = host_options_args(verb->options, options, argc, argv, args, CLI_MAX_ARGS, arg_count,
                                stderr);
    }
    return err;
}

static enum cli_exit check_and_run(const struct cli_verb *verb, const struct cli_call *call)
{
    if (call->common->help) {
        print_verb_help(verb);
        return CLI_OK;
    }
    if (call->arg_count < verb->min_args || call->arg_count > verb->max_args) {
        fprintf(stderr, "kedge: %s argument, expected: kedge ",
                call->arg_count < verb->min_args ? "missing" : "unexpected");
        print_synopsis(verb, stderr);
        fputc('\n', stderr);
        return CLI_USAGE;
    }
    if (host_options_check(verb->options, call->options, stderr) != KEDGE_OK) {
        return CLI_USAGE;
    }
    return verb->run(call);
}

/* argv[0] is the verb's last word. */
static enum cli_exit run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    void *options = host_calloc(1, verb->options_size);
    const char **args = host_calloc(CLI_MAX_ARGS, sizeof(*args));
    struct cli_call call = {.common = options, .options = options, .args = args};
    enum cli_exit code = CLI_USAGE;
    if (read_options(verb, options, argc, argv, args, &call.arg_count) == KEDGE_OK) {
        code = check_and_run(verb, &call);
    }
    host_options_free(verb->options, options);
    free(options);
    free(args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return code == CLI_OK ? cli_error(CLI_FAILED, "the output cannot be written") : code;
    }
    return code;
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0 || strcmp(text, "help") == 0;
}

static enum cli_exit dispatch(int argc, char **argv)
{
    bool noun_known = false;
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argv[1], verbs[i]->noun) != 0) {
            continue;
        }
        noun_known = true;
        if (verbs[i]->action == NULL) {
            return run_verb(verbs[i], argc - 1, argv + 1);
        }
        if (argc > 2 && strcmp(argv[2], verbs[i]->action) == 0) {
            return run_verb(verbs[i], argc - 2, argv + 2);
        }
    }
    if (!noun_known) {
        return cli_error(CLI_USAGE, "%s: unknown verb, expected one that `kedge --help` lists",
                         argv[1]);
    }
    if (argc > 2 && is_help(argv[2])) {
        print_verbs(argv[1], stdout);
        return CLI_OK;
    }
    cli_error(CLI_USAGE, "%s needs one of:", argv[1]);
    print_verbs(argv[1], stderr);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_help(argv[1])) {
        print_overview(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("kedge " KEDGE_VERSION);
        return CLI_OK;
    }
    return (int)dispatch(argc, argv);
}
