/* SPDX-License-Identifier: Apache-2.0 */
#include "provision.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "kedge/littlefs_writer.h"
#include "kedge/nvs_writer.h"

#define NVS_NAMESPACE "kedge"
#define NVS_ENTRIES   3u
#define CSV_MAX       4096u
/* What a device replaces device.json with: a copy of it, and of the directory. */
#define SPARE_BLOCKS 4u

/* ---- storage partition ---- */

static enum cli_exit make_device_json(struct cli_provision *provision)
{
    char text[KEDGE_SETTINGS_FILE_MAX];
    size_t len = 0;
    const struct cli_device_settings *settings = &provision->settings;
    enum kedge_err err =
        kedge_settings_encode(&settings->values, settings->rows, text, sizeof(text), &len);
    if (err != KEDGE_OK) {
        return cli_error(CLI_FAILED, KEDGE_SETTINGS_FILE ": %s", kedge_err_text(err));
    }
    host_buf_init(&provision->device_json, KEDGE_SETTINGS_FILE_MAX);
    host_buf_printf(&provision->device_json, "%s\n", text);
    return CLI_OK;
}

void cli_provision_files(const struct cli_provision *provision,
                         struct cli_provision_file files[CLI_PROVISION_FILES])
{
    const struct kedge_settings *settings = &provision->settings.values;
    const struct cli_provision_file all[CLI_PROVISION_FILES] = {
        {KEDGE_SETTINGS_FILE, &provision->device_json},
        {KEDGE_SETTINGS_FACTORY_FILE, &provision->device_json},
        {settings->ca_file, &provision->ca},
        {settings->certificate_file, &provision->certificate},
        {settings->key_file, &provision->key},
    };
    memcpy(files, all, sizeof(all));
}

/* Settings may name the PEM files as they like, but not like one another, nor like a file that the
 * device writes or removes. */
static enum cli_exit check_names(const struct cli_provision_file files[CLI_PROVISION_FILES])
{
    for (size_t i = 0; i < CLI_PROVISION_FILES; i++) {
        bool is_taken = strcmp(files[i].name, KEDGE_SETTINGS_NEW_FILE) == 0;
        for (size_t k = 0; k < i; k++) {
            is_taken = is_taken || strcmp(files[i].name, files[k].name) == 0;
        }
        if (is_taken) {
            return cli_error(CLI_FAILED,
                             "ca_file, certificate_file, key_file: \"%s\" is another file's name, "
                             "expected one for each",
                             files[i].name);
        }
    }
    return CLI_OK;
}

static enum cli_exit make_storage_image(struct cli_provision *provision)
{
    struct cli_provision_file from[CLI_PROVISION_FILES];
    struct kedge_littlefs_file files[CLI_PROVISION_FILES];
    uint32_t size = provision->storage.size;
    cli_provision_files(provision, from);
    enum cli_exit code = check_names(from);
    if (code != CLI_OK) {
        return code;
    }
    for (size_t i = 0; i < CLI_PROVISION_FILES; i++) {
        files[i].name = from[i].name;
        files[i].data.data = (const uint8_t *)host_buf_text(from[i].data);
        files[i].data.len = from[i].data->len;
    }
    size_t least = kedge_littlefs_min_size(files, CLI_PROVISION_FILES) +
                   SPARE_BLOCKS * KEDGE_LITTLEFS_BLOCK_SIZE;
    if (size < least) {
        return cli_error(CLI_FAILED,
                         "partition %s: 0x%" PRIx32 " bytes, expected at least 0x%zx for these "
                         "files and their replacement",
                         provision->storage.name, size, least);
    }
    provision->storage_image = host_alloc(size);
    enum kedge_err err = kedge_littlefs_write(files, CLI_PROVISION_FILES,
                                              (struct kedge_span){provision->storage_image, size});
    return err == KEDGE_OK ? CLI_OK
                           : cli_error(CLI_FAILED, "partition %s of 0x%" PRIx32 " bytes: %s",
                                       provision->storage.name, size, kedge_err_text(err));
}

/* ---- nvs partition ---- */

static size_t nvs_entries(const struct cli_provision *provision,
                          struct kedge_nvs_entry entries[NVS_ENTRIES])
{
    size_t count = 0;
    if (provision->wifi_ssid != NULL) {
        entries[count++] =
            (struct kedge_nvs_entry){.key = "wifi_ssid", .text = provision->wifi_ssid};
    }
    if (provision->wifi_password.len > 0) {
        entries[count++] = (struct kedge_nvs_entry){
            .key = "wifi_pass", .text = host_buf_text(&provision->wifi_password)};
    }
    entries[count++] =
        (struct kedge_nvs_entry){.key = "time_floor", .number = provision->time_floor};
    return count;
}

/* A CSV field in quotes, those in it doubled. */
static void put_quoted(struct host_buf *csv, const char *text)
{
    host_buf_append(csv, "\"", 1);
    for (; *text != '\0'; text++) {
        host_buf_append(csv, "\"\"", *text == '"' ? 2 : 0);
        host_buf_append(csv, text, *text == '"' ? 0 : 1);
    }
    host_buf_append(csv, "\"", 1);
}

static void make_nvs_csv(struct host_buf *csv, const struct kedge_nvs_entry *entries, size_t count)
{
    host_buf_init(csv, CSV_MAX);
    host_buf_printf(csv, "key,type,encoding,value\n" NVS_NAMESPACE ",namespace,,\n");
    for (size_t i = 0; i < count; i++) {
        host_buf_printf(csv, "%s,data,", entries[i].key);
        if (entries[i].text == NULL) {
            host_buf_printf(csv, "u32,%" PRIu32 "\n", entries[i].number);
        } else {
            host_buf_printf(csv, "string,");
            put_quoted(csv, entries[i].text);
            host_buf_append(csv, "\n", 1);
        }
    }
}

static enum cli_exit make_nvs_image(struct cli_provision *provision)
{
    struct kedge_nvs_entry entries[NVS_ENTRIES];
    size_t count = nvs_entries(provision, entries);
    uint32_t size = provision->nvs.size;
    if (size < KEDGE_NVS_MIN_SIZE) {
        return cli_error(CLI_FAILED, "partition %s: 0x%" PRIx32 " bytes, expected at least 0x%x",
                         provision->nvs.name, size, KEDGE_NVS_MIN_SIZE);
    }
    make_nvs_csv(&provision->nvs_csv, entries, count);
    provision->nvs_image = host_alloc(size);
    enum kedge_err err = kedge_nvs_write(NVS_NAMESPACE, entries, count,
                                         (struct kedge_span){provision->nvs_image, size});
    return err == KEDGE_OK ? CLI_OK
                           : cli_error(CLI_FAILED, "partition %s of 0x%" PRIx32 " bytes: %s",
                                       provision->nvs.name, size, kedge_err_text(err));
}

enum cli_exit cli_provision_make(struct cli_provision *provision)
{
    enum cli_exit code = make_device_json(provision);
    if (code == CLI_OK) {
        code = make_storage_image(provision);
    }
    return code == CLI_OK ? make_nvs_image(provision) : code;
}

/* ---- the end ---- */

static void wipe(struct host_buf *buf)
{
    if (buf->data != NULL) {
        OPENSSL_cleanse(buf->data, buf->capacity);
    }
    host_buf_free(buf);
}

static void wipe_image(uint8_t *image, size_t size)
{
    if (image != NULL) {
        OPENSSL_cleanse(image, size);
    }
    free(image);
}

void cli_provision_free(struct cli_provision *provision)
{
    host_buf_free(&provision->ca);
    host_buf_free(&provision->certificate);
    host_buf_free(&provision->device_json);
    wipe(&provision->key);
    wipe(&provision->wifi_password);
    wipe(&provision->nvs_csv);
    wipe_image(provision->storage_image, provision->storage.size);
    wipe_image(provision->nvs_image, provision->nvs.size);
}
