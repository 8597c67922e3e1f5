/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/settings_files.h"

#include <string.h>

_Static_assert(KEDGE_SETTINGS_NAME_SIZE == KEDGE_STORAGE_NAME_SIZE, "file names fit");

/* Where settings are looked for, in this order; if none will do, safe mode. There is no backup of
 * an earlier device.json: a replace is atomic, so that a broken one was written by somebody, and
 * what he replaced may have been wrong in ways that a parser does not see. */
static const struct {
    const char *file;
    enum kedge_config_source source;
} candidates[KEDGE_SETTINGS_CANDIDATES] = {
    [KEDGE_SETTINGS_IN_DEVICE] = {KEDGE_SETTINGS_FILE, KEDGE_CONFIG_DEVICE},
    [KEDGE_SETTINGS_IN_FACTORY] = {KEDGE_SETTINGS_FACTORY_FILE, KEDGE_CONFIG_FACTORY},
};

static enum kedge_err read_candidate(struct kedge_settings_files *files, const char *name,
                                     const struct kedge_settings *defaults,
                                     struct kedge_settings *out,
                                     struct kedge_settings_faults *faults)
{
    uint32_t len = 0;
    enum kedge_err err =
        files->ops->read(files->ctx, name, files->scratch, sizeof files->scratch, &len);

    if (err != KEDGE_OK) {
        faults->list[0] = (struct kedge_settings_fault){.err = err, .what = kedge_err_text(err)};
        faults->count = 1;
        return err;
    }
    return kedge_settings_parse((struct kedge_cspan){files->scratch, len}, defaults, out, faults);
}

/* A file of this name is a replace that never came to its rename: what it says was never in force.
 * Power cut meanwhile: it is there at the next boot too. */
static bool drop_leftover(struct kedge_settings_files *files)
{
    return files->ops->remove(files->ctx, KEDGE_SETTINGS_NEW_FILE) == KEDGE_OK;
}

enum kedge_err kedge_settings_load(struct kedge_settings_files *files,
                                   const struct kedge_settings *defaults,
                                   struct kedge_settings *out, struct kedge_settings_report *report)
{
    memset(report, 0, sizeof *report);
    if (kedge_settings_check(defaults, &report->files[0].faults) != KEDGE_OK) {
        return KEDGE_ERR_ARG;
    }
    *out = *defaults;
    report->source = KEDGE_CONFIG_SAFE_MODE;
    report->mounted = files->ops->mounted(files->ctx);
    if (!report->mounted) {
        return KEDGE_OK;
    }
    for (size_t i = 0; i < KEDGE_SETTINGS_CANDIDATES && report->source == KEDGE_CONFIG_SAFE_MODE;
         i++) {
        report->files[i].tried = true;
        report->files[i].err =
            read_candidate(files, candidates[i].file, defaults, out, &report->files[i].faults);
        if (report->files[i].err == KEDGE_OK) {
            report->source = candidates[i].source;
        }
    }
    report->interrupted = drop_leftover(files);
    return KEDGE_OK;
}

bool kedge_settings_storage_ok(const struct kedge_settings_report *report)
{
    return report->mounted &&
           (report->source == KEDGE_CONFIG_DEVICE ||
            (report->source == KEDGE_CONFIG_FACTORY &&
             report->files[KEDGE_SETTINGS_IN_DEVICE].err == KEDGE_ERR_NOT_FOUND));
}

/* What stands in a file is what was to be written: length and CRC-32, so that one buffer does. */
static enum kedge_err read_back(struct kedge_settings_files *files, const char *name, uint32_t len,
                                uint32_t crc)
{
    uint32_t found = 0;
    enum kedge_err err =
        files->ops->read(files->ctx, name, files->scratch, sizeof files->scratch, &found);

    if (err != KEDGE_OK) {
        return err;
    }
    return found == len && kedge_crc32(0, files->scratch, found) == crc ? KEDGE_OK
                                                                        : KEDGE_ERR_MISMATCH;
}

enum kedge_err kedge_settings_store(struct kedge_settings_files *files,
                                    const struct kedge_settings *settings,
                                    struct kedge_settings_faults *faults)
{
    enum kedge_err err = kedge_settings_check(settings, faults);
    size_t len = 0;
    uint32_t crc;

    if (err == KEDGE_OK && !files->ops->mounted(files->ctx)) {
        err = KEDGE_ERR_STATE;
    }
    if (err == KEDGE_OK) {
        err = kedge_settings_encode(settings, KEDGE_SETTINGS_ALL, (char *)files->scratch,
                                    sizeof files->scratch, &len);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    crc = kedge_crc32(0, files->scratch, len);
    /* Power cut: device.json is untouched, load drops what is here. */
    err = files->ops->write(files->ctx, KEDGE_SETTINGS_NEW_FILE, files->scratch, (uint32_t)len);
    if (err == KEDGE_OK) {
        err = read_back(files, KEDGE_SETTINGS_NEW_FILE, (uint32_t)len, crc);
    }
    if (err == KEDGE_OK) {
        /* Power cut: the old device.json, or the new one. */
        err = files->ops->rename(files->ctx, KEDGE_SETTINGS_NEW_FILE, KEDGE_SETTINGS_FILE);
    }
    if (err != KEDGE_OK) {
        (void)drop_leftover(files);
    }
    return err;
}
