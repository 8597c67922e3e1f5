/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"

/* Small file helpers; the caller that decides logs the error, with strerror(errno). */

/** Whole file into buf (its limit bounds it). Errors: NOT_FOUND, IO (errno is set), TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err host_fs_read(const char *path, struct host_buf *buf);
/** All of it into an open regular file, from offset at on. False: errno says why, and a part of it
 * may be written. */
KEDGE_NODISCARD bool host_fs_write_at(int fd, const void *data, size_t len, uint64_t at);
/** Write a temporary beside path, fsync, rename, fsync the folder. mode as for open.
 *  Errors: IO, NO_SPACE (errno is set). */
KEDGE_NODISCARD enum kedge_err host_fs_write_atomic(const char *path, const void *data, size_t len,
                                                    unsigned mode);
/** mkdir -p. Errors: IO. */
KEDGE_NODISCARD enum kedge_err host_fs_make_dirs(const char *path, unsigned mode);
/** fsync of a folder, after rename or unlink in it. Errors: IO. */
KEDGE_NODISCARD enum kedge_err host_fs_sync_dir(const char *path);
/** dir + "/" + name into out (size bytes). Errors: TOO_LARGE. */
KEDGE_NODISCARD enum kedge_err host_fs_join(char *out, size_t size, const char *dir,
                                            const char *name);
/** Exclusive flock on a lock file holding our pid; the fd stays open for the process' life.
 *  Errors: BUSY (*owner_pid is the other's, 0 if unreadable), IO. */
KEDGE_NODISCARD enum kedge_err host_fs_lock(const char *path, int *fd, long *owner_pid);
