/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/agent.h"
#include "kedge/plat/storage.h"
#include "kedge/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a device does with its settings: the files they are in (formats/FORMATS.md, "device.json"),
 * and what they set in the agent. Blocks where the storage does.
 */

/** Set the fields of *config that settings are about, leave the others. Borrows the texts: settings
 *  must live as long as the agent. */
void kedge_settings_config(const struct kedge_settings *settings, struct kedge_config *config);

/** The storage and room for one file: about 2 KiB, held by the caller. Set ops and ctx. */
struct kedge_settings_files {
    const struct kedge_plat_storage *ops;
    void *ctx;
    uint8_t scratch[KEDGE_SETTINGS_FILE_MAX];
};

/** Files that settings are looked for in, in this order. */
enum kedge_settings_candidate {
    KEDGE_SETTINGS_IN_DEVICE,  /**< KEDGE_SETTINGS_FILE */
    KEDGE_SETTINGS_IN_FACTORY, /**< KEDGE_SETTINGS_FACTORY_FILE */
    KEDGE_SETTINGS_CANDIDATES
};

/** What load found; about 600 bytes on a 32-bit chip. */
struct kedge_settings_report {
    enum kedge_config_source source; /**< for telemetry: vitals.config_source */
    bool mounted;
    bool interrupted; /**< power had failed in a replace; what it left is gone */
    struct {
        bool tried;
        enum kedge_err err; /**< why it is not what is used; NOT_FOUND when there is no such file */
        struct kedge_settings_faults faults;
    } files[KEDGE_SETTINGS_CANDIDATES];
};

/**
 * Once at boot: device.json, else factory.json, else safe mode, which is *defaults. Whatever the
 * storage holds, *out are settings that the agent can run on: in safe mode it polls, reports and
 * says so. Errors: ARG (defaults do not pass check; report->files[0].faults says why. A bug of
 * the application, found at its first start).
 */
KEDGE_NODISCARD enum kedge_err kedge_settings_load(struct kedge_settings_files *files,
                                                   const struct kedge_settings *defaults,
                                                   struct kedge_settings *out,
                                                   struct kedge_settings_report *report);

/** For vitals.storage_ok: mounted, and no device.json that this firmware refuses. An image on trial
 *  that cannot read the configuration its predecessor ran on must not be confirmed. */
bool kedge_settings_storage_ok(const struct kedge_settings_report *report);

/**
 * Replace device.json. Checked first, written beside, read back, renamed: after a cut anywhere
 * device.json is what it was or what it should be. faults is always written. Errors: RANGE (check),
 * STATE (not mounted), MISMATCH (what was written does not read back), NO_SPACE, IO; device.json is
 * then what it was, unless the error is the rename's own.
 */
KEDGE_NODISCARD enum kedge_err kedge_settings_store(struct kedge_settings_files *files,
                                                    const struct kedge_settings *settings,
                                                    struct kedge_settings_faults *faults);

#ifdef __cplusplus
}
#endif
