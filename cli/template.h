/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"

/* Configuration texts from deploy/templates, embedded by CMake: the one place they are kept. */

struct cli_template {
    const char *name; /**< file name in deploy/templates; NULL ends the list */
    const char *text;
};

/** Generated: one row per file. */
extern const struct cli_template cli_templates[];

/** Replaces @NAME@ in a template; rows end at name NULL. */
struct cli_template_value {
    const char *name;
    const char *value;
};

/** The template of that name, filled, into out. Errors: NOT_FOUND (no such template, or a @NAME@
 *  without a value: our own mistake). */
KEDGE_NODISCARD enum kedge_err
cli_template_fill(const char *name, const struct cli_template_value *values, struct host_buf *out);
