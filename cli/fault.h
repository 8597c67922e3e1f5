/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli.h"
#include "host/buf.h"

#define CLI_FAULT_TEXT_MAX 160u

/** "partition offset 0x9100: not aligned, expected a multiple of 0x10000" into out. */
void cli_fault_text(const struct kedge_fault *fault, char *out, size_t size);
/** "path:4: partition offset 0x9100: not aligned, expected a multiple of 0x10000" to stderr.
 *  fault->at is a line for text formats and a byte offset for binary ones. */
void cli_fault_line(const char *path, const struct kedge_fault *fault);
void cli_fault_offset(const char *path, const struct kedge_fault *fault);

/** The whole file into buf, which is initialised with that limit. Errors are said to the user; free
 *  buf in any case. CLI_NOT_FOUND when there is no such file. */
enum cli_exit cli_read_file(const char *path, size_t limit, struct host_buf *buf);
