/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/settings.h"

/** Count a problem, and list it if there is room. name: len bytes, made printable and cut. */
void settings_add_fault(struct kedge_settings_faults *faults, struct kedge_settings_fault fault,
                        const void *name, size_t len);
/** Error of the first fault, OK when there is none. */
enum kedge_err settings_verdict(const struct kedge_settings_faults *faults);
