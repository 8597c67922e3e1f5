/* SPDX-License-Identifier: Apache-2.0 */
#include "host/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/parse.h"

#define READ_CHUNK 16384u

static enum kedge_err error_from_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return KEDGE_ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return KEDGE_ERR_NO_SPACE;
    default:
        return KEDGE_ERR_IO;
    }
}

/* Releases while the reason for the release stays in errno. */
static void close_keeping_errno(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

static enum kedge_err read_to_end(int fd, struct host_buf *buf)
{
    char chunk[READ_CHUNK];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return KEDGE_ERR_IO;
        }
        if (got == 0) {
            return KEDGE_OK;
        }
        host_buf_append(buf, chunk, (size_t)got);
        if (!host_buf_ok(buf)) {
            errno = EFBIG;
            return KEDGE_ERR_TOO_LARGE;
        }
    }
}

enum kedge_err host_fs_read(const char *path, struct host_buf *buf)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_from_errno();
    }
    enum kedge_err err = read_to_end(fd, buf);
    close_keeping_errno(fd);
    return err;
}

bool host_fs_write_at(int fd, const void *data, size_t len, uint64_t at)
{
    const char *from = data;
    while (len > 0) {
        ssize_t written = pwrite(fd, from, len, (off_t)at);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        from += written;
        len -= (size_t)written;
        at += (uint64_t)written;
    }
    return true;
}

/* Writes path anew and makes it durable; a temporary left by a crash of an earlier owner of this
 * pid is replaced. */
static bool write_new_file(const char *path, const void *data, size_t len, unsigned mode)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, flags, (mode_t)mode);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0) {
        fd = open(path, flags, (mode_t)mode);
    }
    if (fd < 0) {
        return false;
    }
    bool ok = host_fs_write_at(fd, data, len, 0) && fsync(fd) == 0;
    if (!ok) {
        close_keeping_errno(fd);
        return false;
    }
    return close(fd) == 0;
}

static enum kedge_err sync_parent(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == NULL) {
        return host_fs_sync_dir(".");
    }
    if (len == 0) {
        return host_fs_sync_dir("/");
    }
    if (len >= sizeof(dir)) {
        errno = ENAMETOOLONG;
        return KEDGE_ERR_IO;
    }
    memcpy(dir, path, len);
    dir[len] = '\0';
    return host_fs_sync_dir(dir);
}

enum kedge_err host_fs_write_atomic(const char *path, const void *data, size_t len, unsigned mode)
{
    char temporary[PATH_MAX];
    int name_len = snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid());
    if (name_len < 0 || (size_t)name_len >= sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return KEDGE_ERR_IO;
    }
    /* Power lost before the rename: the old file stands. After it: the new one, whole. */
    if (!write_new_file(temporary, data, len, mode) || rename(temporary, path) != 0) {
        int saved = errno;
        unlink(temporary);
        errno = saved;
        return error_from_errno() == KEDGE_ERR_NO_SPACE ? KEDGE_ERR_NO_SPACE : KEDGE_ERR_IO;
    }
    return sync_parent(path);
}

enum kedge_err host_fs_make_dirs(const char *path, unsigned mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part)) {
        errno = len == 0 ? EINVAL : ENAMETOOLONG;
        return KEDGE_ERR_IO;
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST) {
            return KEDGE_ERR_IO;
        }
    }
    struct stat info;
    if (stat(path, &info) != 0) {
        return KEDGE_ERR_IO;
    }
    if (!S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return KEDGE_ERR_IO;
    }
    return KEDGE_OK;
}

enum kedge_err host_fs_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return KEDGE_ERR_IO;
    }
    bool ok = fsync(fd) == 0;
    close_keeping_errno(fd);
    return ok ? KEDGE_OK : KEDGE_ERR_IO;
}

enum kedge_err host_fs_join(char *out, size_t size, const char *dir, const char *name)
{
    size_t dir_len = strlen(dir);
    const char *separator = dir_len == 0 || dir[dir_len - 1] == '/' ? "" : "/";
    size_t need = dir_len + strlen(separator) + strlen(name) + 1;
    if (need > size) {
        return KEDGE_ERR_TOO_LARGE;
    }
    snprintf(out, size, "%s%s%s", dir, separator, name);
    return KEDGE_OK;
}

static long read_pid(int fd)
{
    char text[24];
    uint64_t pid = 0;
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return host_parse_u64(text, 1, INT_MAX, &pid) == KEDGE_OK ? (long)pid : 0;
}

enum kedge_err host_fs_lock(const char *path, int *fd_out, long *owner_pid)
{
    char text[24];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return KEDGE_ERR_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool busy = errno == EWOULDBLOCK;
        if (busy) {
            *owner_pid = read_pid(fd);
        }
        close_keeping_errno(fd);
        return busy ? KEDGE_ERR_BUSY : KEDGE_ERR_IO;
    }
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || !host_fs_write_at(fd, text, (size_t)len, 0)) {
        close_keeping_errno(fd);
        return KEDGE_ERR_IO;
    }
    *fd_out = fd;
    return KEDGE_OK;
}
