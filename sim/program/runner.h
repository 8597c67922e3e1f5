/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge_posix/device.h"
#include "sim/board.h"

/* A fleet of boards on one event loop: powers them, resets them when they crash, cuts their power
 * when told to. */
struct runner;
struct unit; /* one board and its agent */

struct runner_config {
    const char *server_url;
    char broker_host[256];
    uint16_t broker_port;
    const char *pki_dir;
    const char *flash_dir; /**< NULL = flash is forgotten at the end */
    uint16_t chip_id;
    uint64_t seed;
    struct kedge_config agent; /**< intervals; the device id is each board's own */
};

/** config is borrowed. */
struct runner *runner_create(struct host_loop *loop, const struct runner_config *config);
void runner_destroy(struct runner *runner);

/** A board of that name, with its flash from flash_dir, or flashed with image. Errors: DUPLICATE,
 *  TOO_LARGE, IO (flash_dir). */
KEDGE_NODISCARD enum kedge_err runner_add(struct runner *runner, const char *id,
                                          struct kedge_cspan image);
/** Switch all boards on, spread over a little time. */
void runner_start(struct runner *runner);
/** Write every board's flash to flash_dir. Errors: IO. */
KEDGE_NODISCARD enum kedge_err runner_save(struct runner *runner);

size_t runner_count(const struct runner *runner);
struct unit *runner_unit(struct runner *runner, size_t index);
struct unit *runner_find(struct runner *runner, const char *id);
struct host_loop *runner_loop(struct runner *runner);

/** The power fails now; it is back 300 ms later. */
void unit_cut(struct unit *unit);
/** The power fails in the nth flash operation from now; back 300 ms later. */
void unit_cut_at_op(struct unit *unit, uint64_t nth);
/** Cuts of that many boards that run, each at a random moment or flash operation within 2 s.
 *  Returns how many there are. */
size_t runner_cut_random(struct runner *runner, size_t count);
/** Off until it is switched on again. */
void unit_set_power(struct unit *unit, bool on);

/** What status shows of a board. */
struct unit_view {
    const char *id;
    const char *agent_state; /**< "off" while no agent runs */
    bool is_powered;         /**< not switched off by unit_set_power, nor in a cut */
    bool is_bricked;
    const struct sim_board_status *board;
    const struct kedge_posix_stats *stats;
    uint64_t flash_ops;
};
void unit_look(const struct unit *unit, struct unit_view *view);
