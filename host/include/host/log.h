/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum host_log_level {
    HOST_LOG_ERROR,
    HOST_LOG_WARN,
    HOST_LOG_INFO,
    HOST_LOG_DEBUG
};

/** Process-wide log to stderr: set up once by main. program is borrowed. One line each:
 *  2026-01-31T12:00:00.123Z INFO program event key=value … */
void host_log_init(const char *program, enum host_log_level level);

/** event: a stable name; format: key=value text. ERROR = needs a human, WARN = degraded but
 * handled, INFO = life-cycle, DEBUG = off in production. Control characters in values are escaped.
 */
__attribute__((format(printf, 3, 4))) void host_log(enum host_log_level level, const char *event,
                                                    const char *format, ...);
