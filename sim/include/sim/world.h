/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/board.h"

/*
 * One board, its agent, a server and a broker, all in one process on a virtual clock: no sockets,
 * no waiting, the same run every time. For tests and sweeps that need a million lives of a device.
 * The real protocols are the fleet runner's.
 */
#define SIM_WORLD_REPORTS 32u

/** A file that the server offers. */
struct sim_world_release {
    struct kedge_cspan file; /**< borrowed */
    uint8_t sha256[KEDGE_SHA256_SIZE];
    const char *version; /**< borrowed; no two releases share one */
};

struct sim_world_config {
    uint64_t seed;
    enum sim_idf idf;
    bool encrypted;
    bool old_bootloader; /**< as in struct sim_board_config */
    bool anti_rollback;
    struct kedge_cspan factory; /**< image in ota_0, borrowed for create */
    struct kedge_cspan table; /**< binary partition table, borrowed for create; NULL = production */
    uint32_t trial_deadline_ms; /**< 0 = the agent's default */
    uint32_t blackouts; /**< so many times the power fails shortly after a trial has begun */
    bool bitrot; /**< once, between the switch and the boot, a byte of the new image in ota_1 decays
                  */
    bool any_image;       /**< the test breaks otadata or images itself: whatever boots is right */
    bool bad_proxy;       /**< the first Range is answered with 206 and a part of another file (the
                               factory image), as its ETag says; the second with 200 and the whole file */
    uint32_t chunk_bytes; /**< body bytes per event; 0 = 1460 */
    bool trace;           /**< one line per event on stderr */
};

struct sim_world; /* owned by whoever created it */

/** NULL when the table lacks something or the slots do not hold the image. */
struct sim_world *sim_world_create(const struct sim_world_config *config);
void sim_world_destroy(struct sim_world *world);

/** What the server answers polls with from now on; NULL = 304. Borrowed. It is offered to a device
 *  that does not run that version and, unless stubborn, did not reject that file. */
void sim_world_offer(struct sim_world *world, const struct sim_world_release *release,
                     bool stubborn);
/** Outages that every image suffers. */
void sim_world_outage(struct sim_world *world, bool server_down, bool broker_down);
/** Let the connection break after so many body bytes of every response; 0 = never. */
void sim_world_break_after(struct sim_world *world, uint32_t body_bytes);
/** Before the next boot after a power cut, call fn: it may arm another cut. */
void sim_world_on_power_on(struct sim_world *world, void (*fn)(void *ctx, struct sim_board *board),
                           void *ctx);

/** Run until the board is settled (idle, nothing queued, everything reported, and done() or NULL),
 *  or limit_ms of virtual time are over, or an invariant is broken. True = settled. */
bool sim_world_run(struct sim_world *world, uint64_t limit_ms,
                   bool (*done)(void *ctx, const struct sim_world *world), void *ctx);

/**
 * The first invariant that did not hold at some boot, static text; NULL = all did:
 * the board boots something; never a file on its BAD list; never below the anti-rollback floor;
 * never anything but the last committed image and the one being tried since; the journal never
 * loses what it held; no report contradicts an earlier one; a download ends with the offered bytes
 * in the slot.
 */
const char *sim_world_violation(const struct sim_world *world);
uint64_t sim_world_now_ms(const struct sim_world *world);
/** The slot that does not run holds an image that boots. */
bool sim_world_has_fallback(const struct sim_world *world);

struct sim_board *sim_world_board(const struct sim_world *world);

/** What the server was told, each (attempt, seq) once. */
struct sim_world_reports {
    uint32_t count;
    struct kedge_report reports[SIM_WORLD_REPORTS];
    uint32_t repeats;    /**< the same (attempt, seq) with the same content */
    uint64_t body_bytes; /**< firmware bytes sent */
};

const struct sim_world_reports *sim_world_reports(const struct sim_world *world);
