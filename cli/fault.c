/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "host/fs.h"

/* How the expected value relates to the found one. */
static const char *relation(enum kedge_err err)
{
    switch ((int)err) {
    case KEDGE_ERR_ALIGN:
        return "a multiple of ";
    case KEDGE_ERR_OVERLAP:
        return "at least ";
    case KEDGE_ERR_TOO_LARGE:
        return "at most ";
    default:
        return "";
    }
}

void cli_fault_text(const struct kedge_fault *fault, char *out, size_t size)
{
    char found[16] = "";
    char expected[64] = "";
    if (fault->found != 0 || fault->expected != 0) {
        snprintf(found, sizeof(found), " 0x%" PRIx32, fault->found);
    }
    if (fault->expected != 0) {
        snprintf(expected, sizeof(expected), ", expected %s0x%" PRIx32, relation(fault->err),
                 fault->expected);
    }
    snprintf(out, size, "%s%s: %s%s", fault->what, found, kedge_err_text(fault->err), expected);
}

void cli_fault_line(const char *path, const struct kedge_fault *fault)
{
    char text[CLI_FAULT_TEXT_MAX];
    cli_fault_text(fault, text, sizeof(text));
    fprintf(stderr, "%s:%" PRIu32 ": %s\n", path, fault->at, text);
}

void cli_fault_offset(const char *path, const struct kedge_fault *fault)
{
    char text[CLI_FAULT_TEXT_MAX];
    cli_fault_text(fault, text, sizeof(text));
    fprintf(stderr, "%s: offset 0x%" PRIx32 ": %s\n", path, fault->at, text);
}

enum cli_exit cli_read_file(const char *path, size_t limit, struct host_buf *buf)
{
    host_buf_init(buf, limit);
    enum kedge_err err = host_fs_read(path, buf);
    if (err == KEDGE_OK) {
        return CLI_OK;
    }
    if (err == KEDGE_ERR_TOO_LARGE) {
        return cli_error(CLI_FAILED, "%s: too large, expected at most %zu bytes", path, limit);
    }
    return cli_error(err == KEDGE_ERR_NOT_FOUND ? CLI_NOT_FOUND : CLI_FAILED,
                     "%s: cannot be read: %s", path, strerror(errno));
}
