/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "program.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/fs.h"
#include "kedge/crypto.h"
#include "sim/powercut.h"

#define FILE_LIMIT  0x1000000u
#define LARGE_IMAGE 0x10000u /* above that the sweep is thinned out */
#define MAX_JOBS    64u
#define PROGRESS_MS 500u

struct powercut_options {
    bool help;
    char *replay;
    char *scenario;
    char *partitions;
    char *image;
    uint64_t jobs;
    uint64_t every;
    uint64_t max_violations;
    bool list;
};

#define FIELD(name) offsetof(struct powercut_options, name)

static const struct host_option rows[] = {
    {"replay", HOST_OPTION_STRING, FIELD(replay), NULL, 0, 0, 0, "ID",
     "live that one life with a trace"},
    {"scenario", HOST_OPTION_STRING, FIELD(scenario), NULL, 0, 0, 0, "NAME",
     "only that scenario; --list names them"},
    {"every", HOST_OPTION_UINT, FIELD(every), "1", 1, 1000000, 0, "N",
     "live only every Nth life, a slice of the whole"},
    {"max-violations", HOST_OPTION_UINT, FIELD(max_violations), "20", 1, 1000000, 0, "N",
     "stop after so many"},
    {"jobs", HOST_OPTION_UINT, FIELD(jobs), "0", 0, MAX_JOBS, 0, "N",
     "processes side by side; 0 = one a core"},
    {"partitions", HOST_OPTION_STRING, FIELD(partitions), NULL, 0, 0, 0, "FILE.csv",
     "your partition table; it needs ota_0, ota_1, otadata and a fleet partition (0x40, 0x00)"},
    {"image", HOST_OPTION_STRING, FIELD(image), NULL, 0, 0, 0, "FILE.bin",
     "your app image: the lives use images of its size (over 64 KiB: ESP-IDF 5.5 only, thinned)"},
    {"list", HOST_OPTION_BOOL, FIELD(list), NULL, 0, 0, 0, NULL, "list scenarios and variants"},
    PROGRAM_HELP_ROW,
    {0},
};
static const struct host_option_set option_set = {.rows = rows};

/* ---- what is cut, and how ---- */

struct tear {
    enum sim_tear tear;
    uint32_t detail;
};

static const struct tear single_tears[] = {
    {SIM_TEAR_NOTHING, 0}, {SIM_TEAR_COMPLETE, 0}, {SIM_TEAR_NOISE, 0},   {SIM_TEAR_PAGES, 0},
    {SIM_TEAR_SEEDED, 0},  {SIM_TEAR_BYTES, 1},    {SIM_TEAR_BYTES, 3},   {SIM_TEAR_BYTES, 4},
    {SIM_TEAR_BYTES, 8},   {SIM_TEAR_BYTES, 12},   {SIM_TEAR_BYTES, 15},  {SIM_TEAR_BYTES, 16},
    {SIM_TEAR_BYTES, 17},  {SIM_TEAR_BYTES, 24},   {SIM_TEAR_BYTES, 25},  {SIM_TEAR_BYTES, 28},
    {SIM_TEAR_BYTES, 31},  {SIM_TEAR_BYTES, 100},  {SIM_TEAR_BYTES, 256}, {SIM_TEAR_BYTES, 2048},
    {SIM_TEAR_BITS, 1},    {SIM_TEAR_BITS, 5},     {SIM_TEAR_BITS, 130},  {SIM_TEAR_BITS, 192},
    {SIM_TEAR_BITS, 193},  {SIM_TEAR_BITS, 194},   {SIM_TEAR_BITS, 195},  {SIM_TEAR_BITS, 199},
    {SIM_TEAR_BITS, 226},  {SIM_TEAR_BITS, 250},
};
/* Mixtures are drawn from their detail: one late bit shows only in some of them. */
static const enum sim_tear drawn_tears[] = {SIM_TEAR_PAGES, SIM_TEAR_NOISE, SIM_TEAR_SEEDED};
#define DRAWS 16u
static const enum sim_tear first_tears[] = {SIM_TEAR_COMPLETE, SIM_TEAR_SEEDED, SIM_TEAR_PAGES,
                                            SIM_TEAR_NOISE};
static const enum sim_tear second_tears[] = {SIM_TEAR_COMPLETE, SIM_TEAR_SEEDED, SIM_TEAR_PAGES,
                                             SIM_TEAR_NOISE, SIM_TEAR_BYTES};

#define COUNT(table)       (sizeof(table) / sizeof((table)[0]))
#define LARGE_DOUBLE_TEARS 2u
#define LARGE_SINGLE_TEARS 5u /* the first so many, for large images */

/* Shared by the processes. */
struct tally {
    atomic_uint next_job;
    atomic_uint jobs_done;
    atomic_ullong singles, doubles, violations, bricked;
};

struct sweep {
    const struct sim_powercut_kit *kit;
    struct tally *tally;
    uint64_t every;
    uint64_t max_violations;
    bool is_large;
    size_t first_scenario, scenario_count;
    uint64_t counter; /* of lives, for every */
};

static void judge(struct sweep *sweep, const struct sim_powercut_life *life,
                  const struct sim_powercut_outcome *outcome)
{
    char id[SIM_POWERCUT_ID_SIZE];

    if (outcome->violation == NULL) {
        return;
    }
    atomic_fetch_add(&sweep->tally->bricked, strncmp(outcome->violation, "bricked", 7) == 0);
    atomic_fetch_add(&sweep->tally->violations, 1);
    sim_powercut_id(life, id);
    fprintf(stderr, "\nVIOLATION %s: %s\n", id, outcome->violation);
}

static bool is_chosen(struct sweep *sweep)
{
    return sweep->counter++ % sweep->every == 0 &&
           atomic_load(&sweep->tally->violations) < sweep->max_violations;
}

/* A large image has hundreds of operations that write its middle, each like the other. */
static bool is_worth_one(const struct sweep *sweep, uint64_t op, uint64_t ops)
{
    return !sweep->is_large || op <= 30 || op + 60 > ops || op % 40 == 0;
}

/* Pairs are for the short phases: everything but the download. */
static bool is_worth_two(const struct sweep *sweep, uint64_t op, uint64_t ops)
{
    return !sweep->is_large || op <= 5 || op + 30 > ops;
}

static void live_once(struct sweep *sweep, struct sim_powercut_life *life, uint64_t op,
                      enum sim_tear tear, uint32_t detail)
{
    struct sim_powercut_outcome outcome;

    life->cuts[0] = (struct sim_cut){op, tear, detail};
    life->cuts[1] = (struct sim_cut){0};
    if (is_chosen(sweep)) {
        sim_powercut_live(sweep->kit, life, false, &outcome);
        atomic_fetch_add(&sweep->tally->singles, 1);
        judge(sweep, life, &outcome);
    }
}

static void cut_once(struct sweep *sweep, struct sim_powercut_life *life, uint64_t op)
{
    size_t tears = sweep->is_large ? LARGE_SINGLE_TEARS : COUNT(single_tears);

    life->cut_count = 1;
    for (size_t i = 0; i < tears; i++) {
        live_once(sweep, life, op, single_tears[i].tear, single_tears[i].detail);
    }
    for (size_t i = 0; i < COUNT(drawn_tears) && !sweep->is_large; i++) {
        for (uint32_t draw = 1; draw <= DRAWS; draw++) {
            live_once(sweep, life, op, drawn_tears[i], draw);
        }
    }
}

/* Every operation after the power is back, up to the end of the life. */
static void cut_again(struct sweep *sweep, struct sim_powercut_life *life, uint64_t ops_left)
{
    size_t tears = sweep->is_large ? LARGE_DOUBLE_TEARS : COUNT(second_tears);
    struct sim_powercut_outcome outcome;

    life->cut_count = 2;
    for (uint64_t op = 1; op <= ops_left; op++) {
        for (size_t i = 0; i < tears && is_worth_two(sweep, op, ops_left); i++) {
            life->cuts[1] = (struct sim_cut){op, second_tears[i], (uint32_t)op};
            if (is_chosen(sweep)) {
                sim_powercut_live(sweep->kit, life, false, &outcome);
                atomic_fetch_add(&sweep->tally->doubles, 1);
                judge(sweep, life, &outcome);
            }
        }
    }
}

static void cut_twice(struct sweep *sweep, struct sim_powercut_life *life, uint64_t op)
{
    size_t tears = sweep->is_large ? LARGE_DOUBLE_TEARS : COUNT(first_tears);
    struct sim_powercut_outcome outcome;

    for (size_t i = 0; i < tears && atomic_load(&sweep->tally->violations) < sweep->max_violations;
         i++) {
        life->cut_count = 1;
        life->cuts[0] = (struct sim_cut){op, first_tears[i], (uint32_t)op};
        life->cuts[1] = (struct sim_cut){0};
        sim_powercut_live(sweep->kit, life, false, &outcome);
        if (outcome.violation == NULL && outcome.struck == 1) {
            cut_again(sweep, life, outcome.ops - outcome.ops_at_last_on);
        }
    }
}

static void run_job(struct sweep *sweep, unsigned job)
{
    struct sim_powercut_life life = {
        .scenario = sweep->first_scenario + job / sim_powercut_variant_count,
        .variant = job % sim_powercut_variant_count,
    };
    struct sim_powercut_outcome outcome;
    uint64_t ops;

    if (sweep->is_large && sim_powercut_variants[life.variant].idf != SIM_IDF_5_5) {
        atomic_fetch_add(&sweep->tally->jobs_done, 1);
        return;
    }
    sweep->counter = job; /* slices of the jobs differ */
    sim_powercut_live(sweep->kit, &life, false, &outcome);
    judge(sweep, &life, &outcome);
    ops = outcome.violation == NULL ? outcome.ops : 0;
    for (uint64_t op = 1; op <= ops; op++) {
        if (is_worth_one(sweep, op, ops)) {
            cut_once(sweep, &life, op);
        }
    }
    for (uint64_t op = 1; op <= ops; op++) {
        if (is_worth_two(sweep, op, ops)) {
            cut_twice(sweep, &life, op);
        }
    }
    atomic_fetch_add(&sweep->tally->jobs_done, 1);
}

/* ---- side by side ---- */

static unsigned job_count(const struct sweep *sweep)
{
    return (unsigned)(sweep->scenario_count * sim_powercut_variant_count);
}

static void work(struct sweep *sweep)
{
    unsigned job;

    while ((job = atomic_fetch_add(&sweep->tally->next_job, 1)) < job_count(sweep)) {
        run_job(sweep, job);
    }
}

static void show_progress(const struct sweep *sweep, bool last)
{
    struct tally *tally = sweep->tally;
    unsigned done = atomic_load(&tally->jobs_done);
    unsigned total = job_count(sweep);
    char bar[41] = "";

    memset(bar, '.', 40);
    memset(bar, '#', 40u * done / total);
    fprintf(stderr, "\r[%s] %u/%u  %llu single, %llu double, %llu violations%s", bar, done, total,
            atomic_load(&tally->singles), atomic_load(&tally->doubles),
            atomic_load(&tally->violations), last ? "\n" : "");
}

/* Wait for the children; false when one of them ended by itself (a crash, an abort of the model).
 */
static bool wait_for(const struct sweep *sweep, unsigned children)
{
    const struct timespec pause = {.tv_nsec = PROGRESS_MS * 1000000l};
    bool is_tty = isatty(STDERR_FILENO) != 0;
    bool ok = true;

    while (children > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid > 0) {
            children--;
            ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
            continue;
        }
        if (is_tty) {
            show_progress(sweep, false);
        }
        nanosleep(&pause, NULL);
    }
    if (is_tty) {
        show_progress(sweep, true);
    }
    return ok;
}

static bool run_side_by_side(struct sweep *sweep, unsigned jobs)
{
    unsigned started = 0;

    fflush(NULL);
    for (; started < jobs; started++) {
        pid_t pid = fork();

        if (pid == 0) {
            work(sweep);
            _exit(0);
        }
        if (pid < 0) {
            break;
        }
    }
    if (started == 0) {
        work(sweep); /* no processes to be had: alone, then */
    }
    return wait_for(sweep, started);
}

static enum program_exit finish(const struct sweep *sweep, bool ok)
{
    const struct tally *tally = sweep->tally;
    unsigned long long violations = atomic_load(&tally->violations);

    if (!ok) {
        return program_error(PROGRAM_FAILED, "a process of the sweep crashed; see above");
    }
    if (violations > 0) {
        fprintf(stderr,
                "%llu lives broke an invariant; `kedge-sim powercut --replay ID` shows one\n",
                violations);
    }
    printf("%llu single cuts, %llu double cuts, %llu bricked\n", atomic_load(&tally->singles),
           atomic_load(&tally->doubles), atomic_load(&tally->bricked));
    return violations == 0 ? PROGRAM_OK : PROGRAM_FAILED;
}

static enum program_exit sweep_all(const struct powercut_options *options,
                                   const struct sim_powercut_kit *kit, bool is_large)
{
    struct tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sweep sweep = {.kit = kit,
                          .tally = tally,
                          .every = options->every,
                          .max_violations = options->max_violations,
                          .is_large = is_large,
                          .scenario_count = sim_powercut_scenario_count()};
    unsigned jobs = (unsigned)options->jobs;

    if (tally == MAP_FAILED) {
        return program_error(PROGRAM_FAILED, "no shared memory");
    }
    if (options->scenario != NULL) {
        while (sweep.first_scenario < sweep.scenario_count &&
               strcmp(sim_powercut_scenario_name(sweep.first_scenario), options->scenario) != 0) {
            sweep.first_scenario++;
        }
        if (sweep.first_scenario == sweep.scenario_count) {
            return program_error(PROGRAM_USAGE, "--scenario: no scenario %s; --list names them",
                                 options->scenario);
        }
        sweep.scenario_count = 1;
    }
    if (jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);

        jobs = cores > 0 && cores < (long)MAX_JOBS ? (unsigned)cores : 1u;
    }
    bool ok = run_side_by_side(&sweep, jobs);
    enum program_exit code = finish(&sweep, ok);

    munmap(tally, sizeof *tally);
    return code;
}

/* ---- the user's own table and image ---- */

static enum program_exit read_table(const char *path, uint8_t out[KEDGE_PARTITION_TABLE_SIZE])
{
    const struct kedge_partition_rules rules = {
        .table_offset = SIM_TABLE_OFFSET, .flash_size_bytes = 0x400000u, .secure = KEDGE_SECURE_V2};
    static struct kedge_partition_table table;
    struct kedge_fault fault = {0};
    struct kedge_md5 md5;
    struct host_buf text;
    enum program_exit code = PROGRAM_OK;

    host_buf_init(&text, FILE_LIMIT);
    enum kedge_err err = host_fs_read(path, &text);

    if (err != KEDGE_OK) {
        code = program_error(PROGRAM_USAGE, "%s: %s", path, kedge_err_text(err));
    } else if ((err = kedge_partition_parse_csv(host_buf_text(&text), text.len, &rules, &table,
                                                &fault)) != KEDGE_OK ||
               (err = kedge_partition_encode(
                    &table, &kedge_md5_ops, &md5,
                    (struct kedge_span){out, KEDGE_PARTITION_TABLE_SIZE})) != KEDGE_OK) {
        code = program_error(PROGRAM_USAGE, "%s:%u: %s: %s", path, fault.at,
                             fault.what != NULL ? fault.what : "table", kedge_err_text(err));
    }
    host_buf_free(&text);
    return code;
}

/* Size of the user's image, as a multiple of 16; it must be an app image for the sweep to mean
 * anything. */
static enum program_exit read_image_size(const char *path, uint32_t *size)
{
    struct kedge_image_parser parser;
    struct kedge_image_info info;
    struct kedge_sha256 sha;
    struct host_buf file;
    enum program_exit code = PROGRAM_OK;

    host_buf_init(&file, FILE_LIMIT);
    enum kedge_err err = host_fs_read(path, &file);

    if (err != KEDGE_OK) {
        code = program_error(PROGRAM_USAGE, "%s: %s", path, kedge_err_text(err));
    } else {
        struct kedge_cspan bytes = {(const uint8_t *)file.data, file.len};

        kedge_image_parser_init(&parser, &kedge_sha256_ops, &sha);
        err = kedge_image_parser_feed(&parser, bytes);
        if (err == KEDGE_OK) {
            err = kedge_image_parser_end(&parser, &info);
        }
        if (err != KEDGE_OK) {
            code = program_error(PROGRAM_USAGE, "%s: offset %u: %s: %s", path, parser.fault.at,
                                 parser.fault.what, kedge_err_text(err));
        }
        *size = kedge_align_up((uint32_t)file.len, 16u);
    }
    host_buf_free(&file);
    return code;
}

/* ---- the verb ---- */

static enum program_exit list_all(void)
{
    printf("scenarios\n");
    for (size_t i = 0; i < sim_powercut_scenario_count(); i++) {
        printf("  %-9s %s\n", sim_powercut_scenario_name(i), sim_powercut_scenario_summary(i));
    }
    printf("variants: ESP-IDF release whose OTA functions run, flash encryption\n");
    for (size_t i = 0; i < sim_powercut_variant_count; i++) {
        printf("  %s\n", sim_powercut_variants[i].name);
    }
    return PROGRAM_OK;
}

static enum program_exit replay(const struct sim_powercut_kit *kit, const char *id)
{
    struct sim_powercut_life life;
    struct sim_powercut_outcome outcome;

    if (sim_powercut_parse_id(id, &life) != KEDGE_OK) {
        return program_error(
            PROGRAM_USAGE, "--replay: %s is not an id, expected: update/5.5-plain/37.bytes.12", id);
    }
    sim_powercut_live(kit, &life, true, &outcome);
    printf("%s: %s (%" PRIu64 " flash operations, %u of %u cuts struck, %.1f s)\n", id,
           outcome.violation != NULL ? outcome.violation : "all invariants held", outcome.ops,
           outcome.struck, life.cut_count, (double)outcome.virtual_ms / 1000.0);
    return outcome.violation == NULL ? PROGRAM_OK : PROGRAM_FAILED;
}

static enum program_exit run(const struct program_call *call)
{
    const struct powercut_options *options = call->options;
    static uint8_t table_bytes[KEDGE_PARTITION_TABLE_SIZE];
    struct kedge_cspan table = {0};
    struct sim_powercut_kit *kit = NULL;
    uint32_t image_size = 0;
    enum program_exit code = PROGRAM_OK;

    if (options->list) {
        return list_all();
    }
    if (options->partitions != NULL) {
        code = read_table(options->partitions, table_bytes);
        table = (struct kedge_cspan){table_bytes, sizeof table_bytes};
    }
    if (code == PROGRAM_OK && options->image != NULL) {
        code = read_image_size(options->image, &image_size);
    }
    if (code != PROGRAM_OK) {
        return code;
    }
    enum kedge_err err = sim_powercut_kit_create(image_size, table, &kit);

    if (err != KEDGE_OK) {
        return program_error(
            PROGRAM_USAGE,
            "%s: the table needs otadata, ota_0 and ota_1 that hold the image, and "
            "a partition of type 0x40, subtype 0x00 for the agent's journal",
            kedge_err_text(err));
    }
    code = options->replay != NULL ? replay(kit, options->replay)
                                   : sweep_all(options, kit, image_size > LARGE_IMAGE);
    sim_powercut_kit_destroy(kit);
    return code;
}

const struct program_verb verb_powercut = {
    .name = "powercut",
    .args = "",
    .summary = "cut the power at every flash operation, and at every pair of them",
    .detail =
        "Lives of one device, each with one or two power cuts, judged by invariants: the board\n"
        "boots; never a file on its BAD list; never below the anti-rollback floor; never\n"
        "anything but the committed image and the one on offer; the journal loses nothing;\n"
        "the outcome is reported exactly once; with power and server good, it arrives.\n"
        "A life that breaks one is named by an id that --replay takes.\n"
        "Ends on `N single cuts, M double cuts, K bricked`; exit 1 if any invariant broke.\n",
    .options = &option_set,
    .options_size = sizeof(struct powercut_options),
    .run = run,
};
