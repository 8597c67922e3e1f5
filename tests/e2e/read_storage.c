/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "host/buf.h"
#include "host/fs.h"
#include "kedge/settings.h"
#include "littlefs_reader.h"

/* read_storage IMAGE FOLDER: takes a storage partition's image apart, as strictly as tests/support
 * reads it, and its settings as the firmware does. Files go to FOLDER, which exists; the settings
 * to the output, one line a file. Ends with 1 and a reason. */

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

static int show_settings(const struct littlefs_file *file)
{
    char text[160];
    struct kedge_settings built_in, settings;
    struct kedge_settings_faults faults;
    kedge_settings_defaults(&built_in);
    memcpy(built_in.device_id, "built-in", sizeof("built-in"));
    memcpy(built_in.server_url, "https://built-in", sizeof("https://built-in"));
    memcpy(built_in.broker_host, "built-in", sizeof("built-in"));
    built_in.broker_port = 1;
    if (kedge_settings_parse((struct kedge_cspan){file->data, file->size}, &built_in, &settings,
                             &faults) != KEDGE_OK) {
        kedge_settings_fault_text(&faults.list[0], text, sizeof(text));
        return fail(file->name, text);
    }
    printf("%s %s %s %s %u %s %s %s\n", file->name, settings.device_id, settings.server_url,
           settings.broker_host, settings.broker_port, settings.ca_file, settings.certificate_file,
           settings.key_file);
    return 0;
}

static int take_file(const struct littlefs_file *file, const char *folder)
{
    char path[4096];
    if (host_fs_join(path, sizeof(path), folder, file->name) != KEDGE_OK ||
        host_fs_write_atomic(path, file->data, file->size, 0600) != KEDGE_OK) {
        return fail(file->name, "cannot be written");
    }
    return strstr(file->name, ".json") != NULL ? show_settings(file) : 0;
}

int main(int argc, char **argv)
{
    struct host_buf image;
    struct littlefs_listing listing = {0};
    int code = 1;
    host_buf_init(&image, (size_t)LITTLEFS_MAX_BLOCKS * LITTLEFS_BLOCK_SIZE);
    if (argc != 3 || host_fs_read(argv[1], &image) != KEDGE_OK) {
        fail("usage", "read_storage IMAGE FOLDER");
    } else {
        const char *wrong =
            littlefs_list((const uint8_t *)host_buf_text(&image), image.len, &listing);
        code = wrong != NULL ? fail(argv[1], wrong) : 0;
    }
    for (size_t i = 0; code == 0 && i < listing.count; i++) {
        code = take_file(&listing.files[i], argv[2]);
    }
    littlefs_free(&listing);
    host_buf_free(&image);
    return code;
}
