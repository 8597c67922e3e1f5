/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "port.h"

/* The storage partition as the application has mounted it: joltwallet/littlefs, whose rename
 * replaces and is atomic. FAT and SPIFFS will not do. Nothing in here formats. */

#define PATH_SIZE 96u

static bool storage_mounted(void *ctx)
{
    const struct port *port = ctx;

    return port->config.storage_path != NULL;
}

static enum kedge_err err_of(int error)
{
    switch (error) {
    case ENOENT:
        return KEDGE_ERR_NOT_FOUND;
    case ENOSPC:
        return KEDGE_ERR_NO_SPACE;
    default:
        return KEDGE_ERR_IO;
    }
}

static enum kedge_err path_of(const struct port *port, const char *name, char *path)
{
    int len;

    if (port->config.storage_path == NULL) {
        return KEDGE_ERR_STATE;
    }
    len = snprintf(path, PATH_SIZE, "%s/%s", port->config.storage_path, name);
    return len > 0 && (size_t)len < PATH_SIZE ? KEDGE_OK : KEDGE_ERR_RANGE;
}

/* The same, for a file that is to be changed. */
static enum kedge_err own_path_of(const struct port *port, const char *name, char *path)
{
    return strcmp(name, KEDGE_SETTINGS_FACTORY_FILE) == 0 ? KEDGE_ERR_DENIED
                                                          : path_of(port, name, path);
}

static enum kedge_err read_all(FILE *file, void *out, uint32_t size, uint32_t *len)
{
    size_t got = fread(out, 1, size, file);

    if (ferror(file)) {
        return KEDGE_ERR_IO;
    }
    if (got == size && fgetc(file) != EOF) {
        return KEDGE_ERR_TOO_LARGE;
    }
    *len = (uint32_t)got;
    return KEDGE_OK;
}

static enum kedge_err storage_read(void *ctx, const char *name, void *out, uint32_t size,
                                   uint32_t *len)
{
    char path[PATH_SIZE];
    enum kedge_err err = path_of(ctx, name, path);
    FILE *file;

    if (err != KEDGE_OK) {
        return err;
    }
    file = fopen(path, "rb");
    if (file == NULL) {
        return err_of(errno);
    }
    err = read_all(file, out, size, len);
    (void)fclose(file);
    return err;
}

/* A full partition shows in fflush, fsync or fclose. */
static enum kedge_err write_all(FILE *file, const void *data, uint32_t len)
{
    if (fwrite(data, 1, len, file) != len || fflush(file) != 0 || fsync(fileno(file)) != 0) {
        return err_of(errno);
    }
    return KEDGE_OK;
}

static enum kedge_err storage_write(void *ctx, const char *name, const void *data, uint32_t len)
{
    char path[PATH_SIZE];
    enum kedge_err err = own_path_of(ctx, name, path);
    FILE *file;

    if (err != KEDGE_OK) {
        return err;
    }
    file = fopen(path, "wb");
    if (file == NULL) {
        return err_of(errno);
    }
    err = write_all(file, data, len);
    if (fclose(file) != 0 && err == KEDGE_OK) {
        err = err_of(errno);
    }
    return err;
}

static enum kedge_err storage_rename(void *ctx, const char *from, const char *to)
{
    char from_path[PATH_SIZE], to_path[PATH_SIZE];
    enum kedge_err err = own_path_of(ctx, from, from_path);

    if (err == KEDGE_OK) {
        err = own_path_of(ctx, to, to_path);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    return rename(from_path, to_path) == 0 ? KEDGE_OK : err_of(errno);
}

static enum kedge_err storage_remove(void *ctx, const char *name)
{
    char path[PATH_SIZE];
    enum kedge_err err = own_path_of(ctx, name, path);

    if (err != KEDGE_OK) {
        return err;
    }
    return remove(path) == 0 ? KEDGE_OK : err_of(errno);
}

const struct kedge_plat_storage port_storage = {.mounted = storage_mounted,
                                                .read = storage_read,
                                                .write = storage_write,
                                                .rename = storage_rename,
                                                .remove = storage_remove};
