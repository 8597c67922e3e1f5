/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "control.h"
#include "host/fs.h"
#include "host/log.h"
#include "host/parse.h"
#include "runner.h"

#define IMAGE_LIMIT       0x400000u
#define DEVICES_LIMIT     (1u << 20)
#define MAX_BOARDS        2000u
#define FILES_PER_BOARD   8u
#define HOUR_MS           3600000u
#define DEFAULT_SEED_BITS 0xFFFFFFFFu

struct run_options {
    bool help;
    bool quiet;
    char *server;
    char *broker;
    char *pki;
    char *devices;
    char *prefix;
    char *image;
    char *chip;
    char *flash_dir;
    char *control;
    uint64_t count;
    uint64_t seed;
    uint64_t poll_interval;
    uint64_t telemetry_interval;
    uint64_t trial_deadline;
    uint64_t trial_soak;
    uint64_t verdict_deadline;
    uint64_t backoff_base;
    uint64_t backoff_cap;
};

#define FIELD(name) offsetof(struct run_options, name)
#define INTERVAL(name, field, help)                                                                \
    {                                                                                              \
        name, HOST_OPTION_DURATION, FIELD(field), NULL, 0, HOUR_MS, 0, "TIME", help                \
    }

static const struct host_option rows[] = {
    {"server", HOST_OPTION_STRING, FIELD(server), NULL, 0, 0, HOST_OPTION_REQUIRED, "URL",
     "OTA server: https://127.0.0.1:8443"},
    {"broker", HOST_OPTION_STRING, FIELD(broker), NULL, 0, 0, HOST_OPTION_REQUIRED, "HOST:PORT",
     "MQTT broker, TLS"},
    {"pki", HOST_OPTION_STRING, FIELD(pki), NULL, 0, 0, HOST_OPTION_REQUIRED, "DIR",
     "ca.crt, devices/<id>.crt and devices/<id>.key"},
    {"devices", HOST_OPTION_STRING, FIELD(devices), NULL, 0, 0, 0, "FILE",
     "device ids, one a line; instead of prefix and count"},
    {"prefix", HOST_OPTION_STRING, FIELD(prefix), "demo-", 0, 0, 0, "TEXT",
     "device ids are this and three digits, from 001"},
    {"count", HOST_OPTION_UINT, FIELD(count), "40", 1, MAX_BOARDS, 0, "N", "boards"},
    {"image", HOST_OPTION_STRING, FIELD(image), NULL, 0, 0, HOST_OPTION_REQUIRED, "FILE",
     "what the boards were flashed with at the factory"},
    {"chip", HOST_OPTION_STRING, FIELD(chip), "esp32", 0, 0, 0, "CHIP", "chip of the boards"},
    {"flash-dir", HOST_OPTION_STRING, FIELD(flash_dir), NULL, 0, 0, 0, "DIR",
     "read <id>.bin from here where there is one, write all at an orderly end"},
    {"seed", HOST_OPTION_UINT, FIELD(seed), NULL, 0, 0, 0, "N", "of all randomness; 0 = draw one"},
    {"control", HOST_OPTION_STRING, FIELD(control), NULL, 0, 0, 0, "SOCKET",
     "Unix socket for `kedge-sim ctl`"},
    {"quiet", HOST_OPTION_BOOL, FIELD(quiet), NULL, 0, 0, 0, NULL, "log warnings and errors only"},
    INTERVAL("poll-interval", poll_interval, "of the agents; 0 = the agent's default"),
    INTERVAL("telemetry-interval", telemetry_interval, "of the agents"),
    INTERVAL("trial-deadline", trial_deadline, "of the agents"),
    INTERVAL("trial-soak", trial_soak, "of the agents"),
    INTERVAL("verdict-deadline", verdict_deadline, "of the agents"),
    INTERVAL("backoff-base", backoff_base, "of the agents"),
    INTERVAL("backoff-cap", backoff_cap, "of the agents"),
    PROGRAM_HELP_ROW,
    {0},
};
static const struct host_option_set option_set = {.rows = rows};

static enum program_exit fill_config(const struct run_options *options,
                                     struct runner_config *config)
{
    *config = (struct runner_config){
        .server_url = options->server,
        .pki_dir = options->pki,
        .flash_dir = options->flash_dir,
        .chip_id = kedge_chip_from_text(options->chip, strlen(options->chip)),
        .seed = options->seed,
        .agent = {.poll_interval_ms = (uint32_t)options->poll_interval,
                  .telemetry_interval_ms = (uint32_t)options->telemetry_interval,
                  .trial_deadline_ms = (uint32_t)options->trial_deadline,
                  .trial_soak_ms = (uint32_t)options->trial_soak,
                  .verdict_deadline_ms = (uint32_t)options->verdict_deadline,
                  .backoff_base_ms = (uint32_t)options->backoff_base,
                  .backoff_cap_ms = (uint32_t)options->backoff_cap}};
    if (config->chip_id == KEDGE_CHIP_INVALID) {
        return program_error(PROGRAM_USAGE, "--chip: %s is not known", options->chip);
    }
    if (host_parse_address(options->broker, config->broker_host, sizeof(config->broker_host),
                           &config->broker_port) != KEDGE_OK) {
        return program_error(PROGRAM_USAGE, "--broker: %s is not HOST:PORT", options->broker);
    }
    if (config->seed == 0) {
        uint32_t drawn = 1;
        (void)!getrandom(&drawn, sizeof(drawn), 0);
        config->seed = (drawn & DEFAULT_SEED_BITS) | 1u;
    }
    return PROGRAM_OK;
}

static enum program_exit add_board(struct runner *runner, const char *id, struct kedge_cspan image)
{
    if (!kedge_device_id_ok(id, strlen(id))) {
        return program_error(PROGRAM_USAGE, "\"%s\" is not a device id", id);
    }
    if (runner_count(runner) >= MAX_BOARDS) {
        return program_error(PROGRAM_USAGE, "more than %u boards", MAX_BOARDS);
    }
    enum kedge_err err = runner_add(runner, id, image);
    if (err != KEDGE_OK) {
        return program_error(PROGRAM_FAILED, "board %s: %s", id, kedge_err_text(err));
    }
    return PROGRAM_OK;
}

static enum program_exit add_listed(struct runner *runner, const char *path,
                                    struct kedge_cspan image)
{
    enum program_exit code = PROGRAM_OK;
    struct host_buf text;
    host_buf_init(&text, DEVICES_LIMIT);
    if (host_fs_read(path, &text) != KEDGE_OK) {
        code = program_error(PROGRAM_FAILED, "%s: cannot be read", path);
    }
    char *line = text.data;
    while (code == PROGRAM_OK && line != NULL && *line != '\0') {
        size_t len = strcspn(line, "\r\n");
        char *next = line + len + strspn(line + len, "\r\n");
        line[len] = '\0';
        if (len > 0) {
            code = add_board(runner, line, image);
        }
        line = next;
    }
    host_buf_free(&text);
    return code;
}

static enum program_exit add_counted(struct runner *runner, const struct run_options *options,
                                     struct kedge_cspan image)
{
    enum program_exit code = PROGRAM_OK;
    for (uint64_t i = 1; i <= options->count && code == PROGRAM_OK; i++) {
        struct host_buf id;
        host_buf_init(&id, KEDGE_DEVICE_ID_SIZE);
        host_buf_printf(&id, "%s%03u", options->prefix, (unsigned)i);
        code = add_board(runner, host_buf_text(&id), image);
        host_buf_free(&id);
    }
    return code;
}

static enum program_exit add_boards(struct runner *runner, const struct run_options *options)
{
    struct host_buf image;
    host_buf_init(&image, IMAGE_LIMIT);
    enum program_exit code;
    if (host_fs_read(options->image, &image) != KEDGE_OK) {
        code = program_error(PROGRAM_FAILED, "--image: %s cannot be read", options->image);
    } else {
        struct kedge_cspan bytes = {(const uint8_t *)image.data, image.len};
        code = options->devices != NULL ? add_listed(runner, options->devices, bytes)
                                        : add_counted(runner, options, bytes);
    }
    host_buf_free(&image);
    return code;
}

static void raise_file_limit(uint64_t boards)
{
    struct rlimit limit;
    rlim_t wanted = boards * FILES_PER_BOARD + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_signal(void *ctx, int signal)
{
    (void)signal;
    host_loop_stop(ctx);
}

static enum program_exit run_until_stopped(struct runner *runner, const struct run_options *options)
{
    struct control *control = NULL;
    enum program_exit code = PROGRAM_OK;
    if (options->control != NULL) {
        control = control_open(runner, options->control);
        if (control == NULL) {
            return program_error(PROGRAM_FAILED, "--control: %s: %s", options->control,
                                 strerror(errno));
        }
    }
    host_loop_on_signal(runner_loop(runner), on_signal, runner_loop(runner));
    runner_start(runner);
    host_loop_run(runner_loop(runner));
    if (runner_save(runner) != KEDGE_OK) {
        code =
            program_error(PROGRAM_FAILED, "--flash-dir: %s: cannot be written", options->flash_dir);
    }
    control_close(control);
    return code;
}

static enum program_exit run(const struct program_call *call)
{
    const struct run_options *options = call->options;
    struct runner_config config;
    enum program_exit code = fill_config(options, &config);
    if (code != PROGRAM_OK) {
        return code;
    }
    host_log_init("kedge-sim", options->quiet ? HOST_LOG_WARN : HOST_LOG_INFO);
    raise_file_limit(options->devices != NULL ? MAX_BOARDS : options->count);
    struct host_loop *loop = host_loop_create();
    struct runner *runner = runner_create(loop, &config);
    code = runner == NULL ? program_error(PROGRAM_USAGE, "--pki: the path is too long")
                          : add_boards(runner, options);
    if (code == PROGRAM_OK) {
        printf("kedge-sim: %zu boards, seed %llu\n", runner_count(runner),
               (unsigned long long)config.seed);
        (void)fflush(stdout);
        code = run_until_stopped(runner, options);
    }
    runner_destroy(runner);
    host_loop_destroy(loop);
    return code;
}

const struct program_verb verb_run = {
    .name = "run",
    .args = "",
    .summary = "Run a fleet of boards against a server and a broker",
    .detail = "Each board boots from its own simulated 4 MB flash and does what the image that it\n"
              "runs says. SIGINT, SIGTERM or `ctl SOCKET quit` end it in order.\n",
    .options = &option_set,
    .options_size = sizeof(struct run_options),
    .run = run,
};
