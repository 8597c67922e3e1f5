/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runner.h"

/* The control socket: one command a line in, one line of JSON back. */
#define CONTROL_LINE_MAX  256u
#define CONTROL_REPLY_MAX (4u << 20)

struct control;

/** Listens on a Unix socket at path (a stale one is replaced). NULL when it cannot (errno). */
struct control *control_open(struct runner *runner, const char *path);
/** NULL is fine. */
void control_close(struct control *control);
