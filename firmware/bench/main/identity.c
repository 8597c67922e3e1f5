/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "board.h"
#include "kedge_esp/start.h"

#define FILE_MAX 8192u

/* The file as a text of its own length; NULL = not there. */
static char *read_file(const char *name, size_t *len)
{
    char path[96];
    char *text = calloc(1, FILE_MAX);
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", BOARD_STORAGE_PATH, name);
    file = fopen(path, "rb");
    if (text == NULL || file == NULL) {
        free(text);
        return NULL;
    }
    *len = fread(text, 1, FILE_MAX - 1u, file);
    (void)fclose(file);
    return text;
}

static bool load_settings(struct kedge_settings *out)
{
    struct kedge_settings defaults;
    struct kedge_settings_faults faults;
    size_t len = 0;
    char *json = read_file(KEDGE_SETTINGS_FILE, &len);
    bool is_good = json != NULL && kedge_start_defaults(&defaults) == ESP_OK &&
                   kedge_settings_parse((struct kedge_cspan){(const uint8_t *)json, len}, &defaults,
                                        out, &faults) == KEDGE_OK;

    free(json);
    return is_good;
}

bool identity_load(struct identity *out)
{
    size_t len;

    if (!load_settings(&out->settings)) {
        report_text("identity", "no valid device.json: flash what `kedge device provision` made");
        return false;
    }
    out->ca = read_file(out->settings.ca_file, &len);
    out->certificate = read_file(out->settings.certificate_file, &len);
    out->key = read_file(out->settings.key_file, &len);
    if (out->ca == NULL || out->certificate == NULL || out->key == NULL) {
        report_text("identity", "a certificate or key is missing on the storage partition");
        return false;
    }
    return true;
}
