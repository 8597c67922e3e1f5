/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/world.h"

/*
 * The power-cut sweep: short lives of one device, each with one or two power cuts at chosen flash
 * operations, each judged by the same invariants. A life is named by its id, which replays it.
 */
#define SIM_POWERCUT_MAX_CUTS 2u
#define SIM_POWERCUT_ID_SIZE  96u

struct sim_powercut_scenario; /* static tables in powercut.c */

/** How the device was built. */
struct sim_powercut_variant {
    const char *name; /**< "5.5-plain" */
    enum sim_idf idf;
    bool encrypted;
};

extern const struct sim_powercut_variant sim_powercut_variants[];
extern const size_t sim_powercut_variant_count;

size_t sim_powercut_scenario_count(void);
/** "update", "panic" …; index under the count. */
const char *sim_powercut_scenario_name(size_t index);
/** One sentence for a person. */
const char *sim_powercut_scenario_summary(size_t index);

/** Images and table that the lives use. */
struct sim_powercut_kit; /* owned by whoever created it */

/**
 * Build the images. image_size is that of each (0 = 6 KiB, a sector and a half); table the binary
 * partition table (NULL data = the production table), borrowed. Errors: those of
 * sim_firmware_build; TOO_LARGE when a slot does not hold the images.
 */
KEDGE_NODISCARD enum kedge_err sim_powercut_kit_create(uint32_t image_size,
                                                       struct kedge_cspan table,
                                                       struct sim_powercut_kit **kit);
void sim_powercut_kit_destroy(struct sim_powercut_kit *kit);

/** One life: a scenario, a variant, and its cuts. The nth of the second cut counts from the
 * power-on after the first. */
struct sim_powercut_life {
    size_t scenario;
    size_t variant;
    uint32_t cut_count; /**< 0..2 */
    struct sim_cut cuts[SIM_POWERCUT_MAX_CUTS];
};

/** "update/5.5-plain/37.bytes.12/4.seeded.0". */
void sim_powercut_id(const struct sim_powercut_life *life, char out[SIM_POWERCUT_ID_SIZE]);
/** Reverse. Errors: SYNTAX, NOT_FOUND. */
KEDGE_NODISCARD enum kedge_err sim_powercut_parse_id(const char *id,
                                                     struct sim_powercut_life *life);

struct sim_powercut_outcome {
    const char *violation;   /**< static text; NULL = every invariant held */
    uint64_t ops;            /**< flash operations of the whole life */
    uint64_t ops_at_last_on; /**< … at the last power-on after a cut, 0 without one */
    uint32_t struck;         /**< cuts that did strike */
    uint64_t virtual_ms;
};

/** Live it. trace: every agent event on stderr. */
void sim_powercut_live(const struct sim_powercut_kit *kit, const struct sim_powercut_life *life,
                       bool trace, struct sim_powercut_outcome *outcome);
