/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/powercut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/parse.h"
#include "kedge/crypto.h"

#define IMAGE_SIZE    6144u /* a sector and a half */
#define IMAGE_LIMIT   0x1000000u
#define PROJECT       "powercut"
#define STEP_LIMIT_MS (3u * 3600u * 1000u)
#define MINUTE_MS     60000u
#define MAX_STEPS     3u

/* ---- what the lives are made of ---- */

enum image {
    IMAGE_FACTORY,
    IMAGE_GOOD,
    IMAGE_NEXT,
    IMAGE_PANICS,
    IMAGE_HANGS,
    IMAGE_RESTARTS,
    IMAGE_MUTE,
    IMAGE_RAISED,
    IMAGE_LOWERED,
    IMAGE_FOREIGN,
    IMAGE_COUNT
};

static const struct {
    const char *version;
    const char *behaviour;
    uint32_t secure_version;
    const char *project;
} images[IMAGE_COUNT] = {
    [IMAGE_FACTORY] = {"1.0.0", "", 0, PROJECT},
    [IMAGE_GOOD] = {"1.1.0", "", 0, PROJECT},
    [IMAGE_NEXT] = {"1.2.0", "", 0, PROJECT},
    [IMAGE_PANICS] = {"2.0.0", "panic_at_boot_ms=5\n", 0, PROJECT},
    [IMAGE_HANGS] = {"2.1.0", "hang_at_ms=5\n", 0, PROJECT},
    [IMAGE_RESTARTS] = {"2.2.0", "restart_at_ms=50\n", 0, PROJECT},
    [IMAGE_MUTE] = {"2.3.0", "no_broker=1\n", 0, PROJECT},
    [IMAGE_RAISED] = {"3.0.0", "", 1, PROJECT},
    [IMAGE_LOWERED] = {"3.1.0", "", 0, PROJECT},
    [IMAGE_FOREIGN] = {"4.0.0", "", 0, "another"},
};

/* The server offers, the world misbehaves, and this must come out of it. */
struct step {
    enum image offer;
    bool stubborn;    /* offered again although the device refused it */
    bool broker_down; /* for the whole step */
    uint64_t run_ms;  /* run so long and expect nothing yet; 0 = until the outcome is reported */
    enum image ends_on;
    enum kedge_report_state outcome;
    enum kedge_report_state or_outcome; /* as good, where a cut decides; 0 = none */
    enum kedge_cause cause;             /* that must be reported with it; NONE = any */
    bool keeps_slot;                    /* the other slot must not have been touched */
};

struct sim_powercut_scenario {
    const char *name;
    const char *summary;
    bool anti_rollback;
    bool bitrot;
    bool bad_proxy;
    uint32_t blackouts;
    uint32_t break_after;
    uint32_t step_count;
    struct step steps[MAX_STEPS];
};

#define GOOD_STEP                                                                                  \
    {                                                                                              \
        .offer = IMAGE_GOOD, .ends_on = IMAGE_GOOD, .outcome = KEDGE_REPORT_COMMITTED              \
    }
#define NEXT_STEP                                                                                  \
    {                                                                                              \
        .offer = IMAGE_NEXT, .ends_on = IMAGE_NEXT, .outcome = KEDGE_REPORT_COMMITTED              \
    }
#define BAD_STEP(image, why)                                                                       \
    {                                                                                              \
        .offer = image, .ends_on = IMAGE_FACTORY, .outcome = KEDGE_REPORT_ROLLED_BACK,             \
        .cause = why                                                                               \
    }

static const struct sim_powercut_scenario scenarios[] = {
    {"update", "a good image: download, switch, first boot, trial, commit", .step_count = 1,
     .steps = {GOOD_STEP}},
    {"twice", "two good images, one into each slot; the journal turns over", .step_count = 2,
     .steps = {GOOD_STEP, NEXT_STEP}},
    {"panic", "an image that panics at boot", .step_count = 1,
     .steps = {BAD_STEP(IMAGE_PANICS, KEDGE_CAUSE_PANIC)}},
    {"hang", "an image that hangs until the watchdog resets it", .step_count = 1,
     .steps = {BAD_STEP(IMAGE_HANGS, KEDGE_CAUSE_WATCHDOG)}},
    {"restart", "an image that restarts before it is proven", .step_count = 1,
     .steps = {BAD_STEP(IMAGE_RESTARTS, KEDGE_CAUSE_RESTART)}},
    {"mute", "an image that cannot reach the broker: trial deadline, rollback, verdict",
     .step_count = 1, .steps = {BAD_STEP(IMAGE_MUTE, KEDGE_CAUSE_BROKER)}},
    {"outage", "a good image, but the broker is down for everybody until after the verdict",
     .step_count = 2,
     .steps = {{.offer = IMAGE_GOOD, .broker_down = true, .run_ms = 20u * MINUTE_MS}, GOOD_STEP}},
    {"blackout", "power fails in the trial of a good image: re-arm", .blackouts = 1,
     .step_count = 1, .steps = {GOOD_STEP}},
    {"resume", "the connection breaks again and again: Range and If-Range", .break_after = 5000,
     .step_count = 1, .steps = {GOOD_STEP}},
    {"proxy",
     "it breaks, and a proxy answers the Range with another file's part, then with the whole file",
     .break_after = 5000, .bad_proxy = true, .step_count = 1, .steps = {GOOD_STEP}},
    {"bitrot", "the new image decays after the switch, the bootloader falls back; then a good one",
     .bitrot = true, .step_count = 2,
     .steps = {{.offer = IMAGE_GOOD,
                .ends_on = IMAGE_FACTORY,
                .outcome = KEDGE_REPORT_REJECTED,
                .or_outcome = KEDGE_REPORT_ROLLED_BACK},
               NEXT_STEP}},
    {"stubborn", "a bad image, a good one, and the bad one offered again", .step_count = 3,
     .steps = {BAD_STEP(IMAGE_PANICS, KEDGE_CAUSE_PANIC),
               GOOD_STEP,
               {.offer = IMAGE_PANICS,
                .stubborn = true,
                .ends_on = IMAGE_GOOD,
                .outcome = KEDGE_REPORT_REJECTED,
                .cause = KEDGE_CAUSE_KNOWN_BAD,
                .keeps_slot = true}}},
    {"floor", "an image that raises the anti-rollback floor, then one below it, then a foreign one",
     .anti_rollback = true, .step_count = 3,
     .steps = {{.offer = IMAGE_RAISED, .ends_on = IMAGE_RAISED, .outcome = KEDGE_REPORT_COMMITTED},
               {.offer = IMAGE_LOWERED,
                .ends_on = IMAGE_RAISED,
                .outcome = KEDGE_REPORT_REJECTED,
                .cause = KEDGE_CAUSE_SECURE_VERSION,
                .keeps_slot = true},
               {.offer = IMAGE_FOREIGN,
                .ends_on = IMAGE_RAISED,
                .outcome = KEDGE_REPORT_REJECTED,
                .cause = KEDGE_CAUSE_PROJECT,
                .keeps_slot = true}}},
};

#define SCENARIO_COUNT (sizeof scenarios / sizeof scenarios[0])

const struct sim_powercut_variant sim_powercut_variants[] = {
    {"5.3-plain", SIM_IDF_5_3, false},    {"5.5-plain", SIM_IDF_5_5, false},
    {"6.0-plain", SIM_IDF_6_0, false},    {"5.3-encrypted", SIM_IDF_5_3, true},
    {"5.5-encrypted", SIM_IDF_5_5, true}, {"6.0-encrypted", SIM_IDF_6_0, true},
};
const size_t sim_powercut_variant_count =
    sizeof sim_powercut_variants / sizeof sim_powercut_variants[0];

size_t sim_powercut_scenario_count(void)
{
    return SCENARIO_COUNT;
}

const char *sim_powercut_scenario_name(size_t index)
{
    return scenarios[index].name;
}

const char *sim_powercut_scenario_summary(size_t index)
{
    return scenarios[index].summary;
}

/* ---- the kit ---- */

struct sim_powercut_kit {
    struct kedge_cspan table;
    struct host_buf files[IMAGE_COUNT];
    struct sim_world_release releases[IMAGE_COUNT];
};

static enum kedge_err build_image(struct sim_powercut_kit *kit, enum image image,
                                  uint32_t image_size)
{
    struct host_buf *file = &kit->files[image];
    struct sim_world_release *release = &kit->releases[image];
    struct sim_image_spec spec = {
        .version = images[image].version,
        .project = images[image].project,
        .chip_id = KEDGE_CHIP_ESP32,
        .secure_version = images[image].secure_version,
        .size_bytes = image_size,
        .behaviour = images[image].behaviour,
    };
    struct kedge_fault fault;

    host_buf_init(file, IMAGE_LIMIT);
    enum kedge_err err = sim_firmware_build(&spec, file, &fault);

    if (err == KEDGE_OK) {
        release->file = (struct kedge_cspan){(const uint8_t *)file->data, file->len};
        release->version = images[image].version;
        kedge_sha256_of(file->data, file->len, release->sha256);
    }
    return err;
}

/* A board takes the table and the factory image, or the sweep makes no sense. */
static enum kedge_err check_fit(const struct sim_powercut_kit *kit)
{
    struct sim_world_config config = {.factory = kit->releases[IMAGE_FACTORY].file,
                                      .table = kit->table};
    struct sim_world *world = sim_world_create(&config);

    if (world == NULL) {
        return KEDGE_ERR_TOO_LARGE;
    }
    sim_world_destroy(world);
    return KEDGE_OK;
}

enum kedge_err sim_powercut_kit_create(uint32_t image_size, struct kedge_cspan table,
                                       struct sim_powercut_kit **out)
{
    struct sim_powercut_kit *kit = host_calloc(1, sizeof *kit);
    enum kedge_err err = KEDGE_OK;

    kit->table = table;
    for (int i = 0; i < IMAGE_COUNT && err == KEDGE_OK; i++) {
        err = build_image(kit, (enum image)i, image_size != 0 ? image_size : IMAGE_SIZE);
    }
    if (err == KEDGE_OK) {
        err = check_fit(kit);
    }
    if (err != KEDGE_OK) {
        sim_powercut_kit_destroy(kit);
        return err;
    }
    *out = kit;
    return KEDGE_OK;
}

void sim_powercut_kit_destroy(struct sim_powercut_kit *kit)
{
    for (int i = 0; i < IMAGE_COUNT; i++) {
        host_buf_free(&kit->files[i]);
    }
    free(kit);
}

/* ---- ids ---- */

static const char *const tear_names[] = {
    [SIM_TEAR_NOTHING] = "nothing", [SIM_TEAR_COMPLETE] = "complete", [SIM_TEAR_SEEDED] = "seeded",
    [SIM_TEAR_BYTES] = "bytes",     [SIM_TEAR_BITS] = "bits",         [SIM_TEAR_PAGES] = "pages",
    [SIM_TEAR_NOISE] = "noise",
};

void sim_powercut_id(const struct sim_powercut_life *life, char out[SIM_POWERCUT_ID_SIZE])
{
    int len = snprintf(out, SIM_POWERCUT_ID_SIZE, "%s/%s", scenarios[life->scenario].name,
                       sim_powercut_variants[life->variant].name);

    for (uint32_t i = 0; i < life->cut_count && len > 0 && len < (int)SIM_POWERCUT_ID_SIZE; i++) {
        len += snprintf(out + len, SIM_POWERCUT_ID_SIZE - (size_t)len, "/%llu.%s.%u",
                        (unsigned long long)life->cuts[i].nth, tear_names[life->cuts[i].tear],
                        life->cuts[i].detail);
    }
}

/* The next word of *text up to one of stops into word; *text moves behind the stop. */
static bool next_word(const char **text, const char *stops, char *word, size_t size)
{
    size_t len = strcspn(*text, stops);

    if (len == 0 || len >= size) {
        return false;
    }
    memcpy(word, *text, len);
    word[len] = '\0';
    *text += len;
    if (**text != '\0') {
        (*text)++;
    }
    return true;
}

static enum kedge_err parse_cut(const char **text, struct sim_cut *cut)
{
    char word[32];
    uint64_t detail;

    if (!next_word(text, ".", word, sizeof word) ||
        host_parse_u64(word, 1, UINT64_MAX, &cut->nth) != KEDGE_OK ||
        !next_word(text, ".", word, sizeof word)) {
        return KEDGE_ERR_SYNTAX;
    }
    for (size_t i = 0; i < sizeof tear_names / sizeof tear_names[0]; i++) {
        if (strcmp(word, tear_names[i]) == 0) {
            cut->tear = (enum sim_tear)i;
            if (!next_word(text, "/", word, sizeof word) ||
                host_parse_u64(word, 0, UINT32_MAX, &detail) != KEDGE_OK) {
                return KEDGE_ERR_SYNTAX;
            }
            cut->detail = (uint32_t)detail;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_NOT_FOUND;
}

static bool find_scenario(const char *name, size_t *index)
{
    for (*index = 0; *index < SCENARIO_COUNT; (*index)++) {
        if (strcmp(scenarios[*index].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool find_variant(const char *name, size_t *index)
{
    for (*index = 0; *index < sim_powercut_variant_count; (*index)++) {
        if (strcmp(sim_powercut_variants[*index].name, name) == 0) {
            return true;
        }
    }
    return false;
}

enum kedge_err sim_powercut_parse_id(const char *id, struct sim_powercut_life *life)
{
    char word[32];

    *life = (struct sim_powercut_life){0};
    if (!next_word(&id, "/", word, sizeof word)) {
        return KEDGE_ERR_SYNTAX;
    }
    if (!find_scenario(word, &life->scenario)) {
        return KEDGE_ERR_NOT_FOUND;
    }
    if (!next_word(&id, "/", word, sizeof word)) {
        return KEDGE_ERR_SYNTAX;
    }
    if (!find_variant(word, &life->variant)) {
        return KEDGE_ERR_NOT_FOUND;
    }
    while (*id != '\0') {
        if (life->cut_count == SIM_POWERCUT_MAX_CUTS) {
            return KEDGE_ERR_SYNTAX;
        }
        enum kedge_err err = parse_cut(&id, &life->cuts[life->cut_count++]);

        if (err != KEDGE_OK) {
            return err;
        }
    }
    return KEDGE_OK;
}

/* ---- one life ---- */

struct run {
    const struct sim_powercut_kit *kit;
    const struct sim_powercut_life *life;
    const struct step *step;
    uint32_t first_report; /* of the step */
    uint32_t cuts_armed;
    struct sim_powercut_outcome *outcome;
};

static void arm_next(void *ctx, struct sim_board *board)
{
    struct run *run = ctx;

    run->outcome->struck = run->cuts_armed;
    run->outcome->ops_at_last_on = sim_flash_ops(sim_board_flash(board));
    if (run->cuts_armed < run->life->cut_count) {
        sim_flash_cut(sim_board_flash(board), &run->life->cuts[run->cuts_armed++]);
    }
}

struct outcomes {
    uint32_t all;      /* outcomes of the step's image that were reported since the step began */
    uint32_t expected; /* … that are the one that was to come */
    bool twice;        /* two of them for one attempt */
    bool wrong_cause;
};

static bool is_outcome(const struct run *run, const struct kedge_report *report)
{
    return (report->state == KEDGE_REPORT_COMMITTED || report->state == KEDGE_REPORT_ROLLED_BACK ||
            report->state == KEDGE_REPORT_REJECTED) &&
           memcmp(report->sha256, run->kit->releases[run->step->offer].sha256, KEDGE_SHA256_SIZE) ==
               0;
}

static struct outcomes count_outcomes(const struct run *run, const struct sim_world *world)
{
    const struct sim_world_reports *reports = sim_world_reports(world);
    const struct step *step = run->step;
    struct outcomes outcomes = {0};

    for (uint32_t i = run->first_report; i < reports->count; i++) {
        const struct kedge_report *report = &reports->reports[i];

        if (!is_outcome(run, report)) {
            continue;
        }
        outcomes.all++;
        outcomes.expected += report->state == step->outcome ||
                             (step->or_outcome != 0 && report->state == step->or_outcome);
        outcomes.wrong_cause |= step->cause != KEDGE_CAUSE_NONE && report->cause != step->cause;
        for (uint32_t j = run->first_report; j < i; j++) {
            outcomes.twice |= is_outcome(run, &reports->reports[j]) &&
                              reports->reports[j].attempt == report->attempt;
        }
    }
    return outcomes;
}

static bool has_ended(void *ctx, const struct sim_world *world)
{
    return count_outcomes(ctx, world).expected > 0;
}

static const char *judge_step(const struct run *run, const struct sim_world *world, bool settled)
{
    const char *running = sim_board_status(sim_world_board(world))->running.version;
    struct outcomes outcomes = count_outcomes(run, world);

    if (sim_world_violation(world) != NULL) {
        return sim_world_violation(world);
    }
    if (!settled) {
        return "did not arrive within 3 hours of good power and network";
    }
    /* Offered again and again, it is refused again and again: once an attempt. */
    if (outcomes.twice || outcomes.all != outcomes.expected ||
        (!run->step->stubborn && outcomes.all != 1)) {
        return "the outcome was not reported exactly once";
    }
    if (outcomes.wrong_cause) {
        return "the wrong cause was reported";
    }
    if (run->step->keeps_slot && !sim_world_has_fallback(world)) {
        return "a refused image cost the one to fall back on";
    }
    return strcmp(running, images[run->step->ends_on].version) == 0 ? NULL
                                                                    : "ended on another version";
}

static const char *live_step(struct run *run, struct sim_world *world)
{
    const struct step *step = run->step;

    run->first_report = sim_world_reports(world)->count;
    sim_world_outage(world, false, step->broker_down);
    sim_world_offer(world, &run->kit->releases[step->offer], step->stubborn);
    if (step->run_ms != 0) {
        /* An image that is not at fault must not be given up, and nothing is reported twice. */
        (void)sim_world_run(world, step->run_ms, has_ended, run);
        return sim_world_violation(world);
    }
    bool settled = sim_world_run(world, STEP_LIMIT_MS, has_ended, run);
    const char *violation = judge_step(run, world, settled);

    sim_world_offer(world, NULL, false);
    return violation;
}

void sim_powercut_live(const struct sim_powercut_kit *kit, const struct sim_powercut_life *life,
                       bool trace, struct sim_powercut_outcome *outcome)
{
    const struct sim_powercut_scenario *scenario = &scenarios[life->scenario];
    const struct sim_powercut_variant *variant = &sim_powercut_variants[life->variant];
    struct sim_world_config config = {
        .seed = 1u + life->cuts[0].nth * 31u + life->cuts[1].nth,
        .idf = variant->idf,
        .encrypted = variant->encrypted,
        .anti_rollback = scenario->anti_rollback,
        .factory = kit->releases[IMAGE_FACTORY].file,
        .table = kit->table,
        .blackouts = scenario->blackouts,
        .bitrot = scenario->bitrot,
        .bad_proxy = scenario->bad_proxy,
        .chunk_bytes = scenario->break_after != 0 ? 1024u : 4096u,
        .trace = trace,
    };
    struct sim_world *world = sim_world_create(&config);
    struct run run = {.kit = kit, .life = life, .outcome = outcome};

    *outcome = (struct sim_powercut_outcome){0};
    sim_world_break_after(world, scenario->break_after);
    sim_world_on_power_on(world, arm_next, &run);
    if (life->cut_count > 0) {
        sim_flash_cut(sim_board_flash(sim_world_board(world)), &life->cuts[run.cuts_armed++]);
    }
    for (uint32_t i = 0; i < scenario->step_count && outcome->violation == NULL; i++) {
        run.step = &scenario->steps[i];
        outcome->violation = live_step(&run, world);
    }
    outcome->ops = sim_flash_ops(sim_board_flash(sim_world_board(world)));
    outcome->virtual_ms = sim_world_now_ms(world);
    sim_world_destroy(world);
}
