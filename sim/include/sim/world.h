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
    const char *version; /**< borrowed */
};

struct sim_world_config {
    uint64_t seed;
    enum sim_idf idf;
    bool anti_rollback;
    bool encrypted;
    bool old_bootloader;        /**< as in struct sim_board_config */
    struct kedge_cspan factory; /**< image in ota_0, borrowed for create */
    uint32_t trial_deadline_ms; /**< 0 = the agent's default */
    uint32_t chunk_bytes;       /**< body bytes per event; 0 = 1460 */
    bool trace;                 /**< one line per event on stderr */
};

struct sim_world; /* owned by whoever created it */

struct sim_world *sim_world_create(const struct sim_world_config *config);
void sim_world_destroy(struct sim_world *world);

/** What the server answers polls with from now on; NULL = 304. Borrowed. It is offered to a device
 *  that does not run that version and did not reject that file. */
void sim_world_offer(struct sim_world *world, const struct sim_world_release *release);
/** Outages that every image suffers. */
void sim_world_outage(struct sim_world *world, bool server_down, bool broker_down);
/** Let the connection break after so many body bytes of every response; 0 = never. */
void sim_world_break_after(struct sim_world *world, uint32_t body_bytes);
/** Before the next boot after a power cut, call fn: it may arm another cut. */
void sim_world_on_power_on(struct sim_world *world, void (*fn)(void *ctx, struct sim_board *board),
                           void *ctx);

/** Run until the board is settled (idle, nothing queued, everything reported, and done() or NULL),
 *  or limit_ms of virtual time are over, or it is bricked. True = settled. */
bool sim_world_run(struct sim_world *world, uint64_t limit_ms,
                   bool (*done)(const struct sim_world *world));

struct sim_board *sim_world_board(const struct sim_world *world);
const struct kedge_agent *sim_world_agent(const struct sim_world *world);

/** What the server was told, each (attempt, seq) once. */
struct sim_world_reports {
    uint32_t count;
    struct kedge_report reports[SIM_WORLD_REPORTS];
    uint32_t repeats;    /**< the same (attempt, seq) with the same content */
    uint32_t conflicts;  /**< the same (attempt, seq) with other content: a bug */
    uint64_t body_bytes; /**< firmware bytes sent */
};

const struct sim_world_reports *sim_world_reports(const struct sim_world *world);
