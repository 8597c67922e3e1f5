/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/agent.h"
#include "sim/firmware.h"
#include "sim/ota.h"

/*
 * A virtual ESP32 board: flash, bootloader, eFuse, reset reasons, and the platform that the agent
 * runs on (struct kedge_plat over the board's own flash). Whoever owns a board runs its agent:
 * boot, step the agent, look whether the power is still on, reset, boot again.
 */
enum sim_board_state {
    SIM_BOARD_OFF,     /**< no power, or in reset */
    SIM_BOARD_RUNNING, /**< an app runs */
    SIM_BOARD_BRICKED  /**< the bootloader found nothing to boot and resets for ever */
};

struct sim_board_config {
    const char *id; /**< copied */
    uint16_t chip_id;
    uint16_t chip_rev_full; /**< major * 100 + minor */
    bool rollback;
    bool old_bootloader; /**< without rollback, whatever the app was built with: no OTA mends it */
    bool anti_rollback;
    bool encrypted; /**< flash encryption, release mode */
    struct sim_secure_boot secure_boot;
    enum sim_idf idf;
    struct kedge_cspan table; /**< binary partition table, borrowed; NULL = the production table */
    uint64_t seed; /**< shared by a fleet; the id makes each board's randomness its own */
    uint64_t (*now_ms)(void *ctx); /**< monotonic */
    int64_t (*unix_s)(void *ctx);  /**< NULL = the board has no clock */
    /** The agent's log lines; NULL = dropped. */
    void (*log)(void *ctx, const char *id, enum kedge_log_level level, const char *event,
                const char *text);
    void *ctx; /**< of the three above; borrowed */
};

#define SIM_RESET_REASONS 16u

/** What an observer of the board sees. */
struct sim_board_status {
    enum sim_board_state state;
    int running_slot; /**< of the last boot */
    int selected_slot;
    struct kedge_app_desc running;
    enum kedge_reset reset_reason; /**< of the last boot */
    uint32_t boots;
    uint32_t resets[SIM_RESET_REASONS];
    uint32_t secure_version;
    uint64_t booted_at_ms;
};

struct sim_board; /* owned by whoever created it */

struct sim_board *sim_board_create(const struct sim_board_config *config);
void sim_board_destroy(struct sim_board *board);

/** What serial flashing does: partition table, image in ota_0, all else erased, otadata included;
 * with encryption, otadata and journal as the first boot encrypts them: they read as FF. Errors:
 * TOO_LARGE (for the slot). */
KEDGE_NODISCARD enum kedge_err sim_board_program(struct sim_board *board, struct kedge_cspan image);

/** Power on if it was off, then run the bootloader and load the app's behaviour from the slot that
 *  it chose. Errors: NOT_FOUND (BRICKED), IO (the power failed during boot: OFF), any other error
 * of the boot model (BRICKED). */
KEDGE_NODISCARD enum kedge_err sim_board_boot(struct sim_board *board);
/** The app ends by itself; the next boot sees this reason. Out of a panic or a watchdog it leaves a
 *  core dump in partition coredump; where the power fails in that, POWERON. */
void sim_board_reset(struct sim_board *board, enum kedge_reset reason);
/** The power fails, or is found to have failed; the next boot sees POWERON. */
void sim_board_power_off(struct sim_board *board);
/** False once a cut has struck, until the next boot. Ask after each step of the agent. */
bool sim_board_has_power(const struct sim_board *board);

const char *sim_board_id(const struct sim_board *board);
const struct sim_board_status *sim_board_status(const struct sim_board *board);
/** Behaviour of the running app. An image whose behaviour cannot be read panics at once. */
const struct sim_firmware *sim_board_firmware(const struct sim_board *board);
/** Ops tables and context for the agent; valid while the board lives. */
struct kedge_plat sim_board_plat(struct sim_board *board);
/** For faults, and for looking at what is left. */
struct sim_flash *sim_board_flash(struct sim_board *board);
const struct sim_layout *sim_board_layout(const struct sim_board *board);
