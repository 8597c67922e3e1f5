/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"
#include "http_response.h"

#define IMAGE_PATH_SIZE 640u

static bool image_path(const struct srv_core *core, const char *sha256, char *out)
{
    int len = snprintf(out, IMAGE_PATH_SIZE, "%s/%s.bin", core->releases_dir, sha256);
    return len > 0 && (size_t)len < IMAGE_PATH_SIZE;
}

void srv_release_append(struct srv_core *core, const struct srv_release_row *row)
{
    if (core->release_count == core->release_capacity) {
        core->release_capacity = core->release_capacity > 0 ? core->release_capacity * 2u : 16u;
        core->releases =
            host_realloc(core->releases, core->release_capacity * sizeof *core->releases);
    }
    struct srv_release *release = host_calloc(1, sizeof *release);
    release->row = *row;
    core->releases[core->release_count++] = release;
    core->release_generation++;
}

/* What a killed upload left behind. */
static void clear_tmp(const struct srv_core *core)
{
    DIR *dir = opendir(core->tmp_dir);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0) == 0) {
            host_log(HOST_LOG_INFO, "upload_leftover_removed", "file=%s", entry->d_name);
        }
    }
    (void)closedir(dir);
}

static void load_one(void *ctx, const struct srv_release_row *row)
{
    struct srv_core *core = ctx;
    char path[IMAGE_PATH_SIZE];
    struct stat info;
    if (!image_path(core, row->sha256, path) || stat(path, &info) != 0 ||
        info.st_size != (off_t)row->size) {
        host_log(HOST_LOG_ERROR, "release_without_file",
                 "release=%lld version=%s path=%s error=\"missing or of another size: upload the "
                 "same image again\"",
                 (long long)row->id, row->version, path);
    }
    srv_release_append(core, row);
}

enum kedge_err srv_releases_load(struct srv_core *core)
{
    clear_tmp(core);
    core->release_generation = 1;
    return srv_store_release_each(core->store, load_one, core);
}

static void mapping_free(struct srv_mapping *mapping)
{
    (void)munmap((void *)(uintptr_t)mapping->data, mapping->size);
    free(mapping);
}

void srv_releases_free(struct srv_core *core)
{
    for (uint32_t i = 0; i < core->release_count; i++) {
        srv_mapping_release(core->releases[i]->mapping);
        free(core->releases[i]);
    }
    free(core->releases);
}

struct srv_release *srv_release_by_sha256(const struct srv_core *core, const char *sha256)
{
    for (uint32_t i = 0; i < core->release_count; i++) {
        if (strcmp(core->releases[i]->row.sha256, sha256) == 0) {
            return core->releases[i];
        }
    }
    return NULL;
}

struct srv_release *srv_release_by_id(const struct srv_core *core, int64_t id)
{
    for (uint32_t i = 0; i < core->release_count; i++) {
        if (core->releases[i]->row.id == id) {
            return core->releases[i];
        }
    }
    return NULL;
}

static bool matches(const struct srv_release_row *row, const char *version, const char *chip)
{
    return strcmp(row->version, version) == 0 && (chip[0] == '\0' || strcmp(row->chip, chip) == 0);
}

struct srv_release *srv_release_by_version(const struct srv_core *core, const char *version,
                                           const char *chip, uint32_t *count)
{
    struct srv_release *found = NULL;
    *count = 0;
    for (uint32_t i = 0; i < core->release_count; i++) {
        if (matches(&core->releases[i]->row, version, chip)) {
            found = core->releases[i];
            (*count)++;
        }
    }
    return found;
}

bool srv_release_knows(const struct srv_core *core, const char *version, const char *chip)
{
    uint32_t count;
    return srv_release_by_version(core, version, chip, &count) != NULL;
}

const char *srv_release_only_chip(const struct srv_core *core)
{
    for (uint32_t i = 1; i < core->release_count; i++) {
        if (strcmp(core->releases[i]->row.chip, core->releases[0]->row.chip) != 0) {
            return "";
        }
    }
    return core->release_count > 0 ? core->releases[0]->row.chip : "";
}

struct srv_mapping *srv_map_file(const char *path, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    struct stat info;
    void *data = MAP_FAILED;
    if (fstat(fd, &info) == 0 && info.st_size == (off_t)size) {
        data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    } else {
        errno = EIO;
    }
    (void)close(fd);
    if (data == MAP_FAILED) {
        return NULL;
    }
    struct srv_mapping *mapping = host_calloc(1, sizeof *mapping);
    *mapping =
        (struct srv_mapping){.data = data, .size = size, .references = 1, .free = mapping_free};
    return mapping;
}

struct srv_mapping *srv_release_map(struct srv_core *core, struct srv_release *release)
{
    if (release->mapping == NULL) {
        char path[IMAGE_PATH_SIZE];
        release->mapping = image_path(core, release->row.sha256, path)
                               ? srv_map_file(path, release->row.size)
                               : NULL;
        if (release->mapping == NULL) {
            host_log(HOST_LOG_ERROR, "release_unreadable", "version=%s path=%s error=\"%s\"",
                     release->row.version, path, strerror(errno));
            return NULL;
        }
    }
    release->mapping->references++;
    return release->mapping;
}
