/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "api.h"
#include "fault.h"
#include "folder.h"
#include "host/fs.h"
#include "kedge/message.h"
#include "partition_file.h"
#include "pki.h"
#include "provision.h"
#include "provision_settings.h"

#define PEM_MAX        16384u
#define PASSWORD_MAX   256u
#define SSID_MAX_LEN   32u
#define PASSPHRASE_MIN 8u
#define PASSPHRASE_MAX 63u
#define PSK_HEX_LEN    64u
#define FOLDER_MODE    0700u
#define STORAGE_NAME   "storage"
#define NVS_NAME       "nvs" /* ESP-IDF's own for the default one */
#define DEFAULT_TABLE  "firmware/partitions.csv"

struct provision_options {
    struct cli_common common;
    char *server;
    char *broker;
    char *settings;
    char *wifi_ssid;
    char *wifi_password_file;
    char *partitions;
    uint64_t table_offset;
    char *out;
    char *port;
    bool force;
};

#define TEXT_ROW(option, member, otherwise, value, text)                                           \
    {                                                                                              \
        .name = option, .type = HOST_OPTION_STRING,                                                \
        .offset = offsetof(struct provision_options, member), .default_text = otherwise,           \
        .flags = HOST_OPTION_FLAG_ONLY, .value_name = value, .help = text                          \
    }

static const struct host_option rows[] = {
    {.name = "server",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct provision_options, server),
     .flags = HOST_OPTION_FLAG_ONLY | HOST_OPTION_REQUIRED,
     .value_name = "URL",
     .help = "https://host:port by which the device reaches kedged"},
    TEXT_ROW("broker", broker, NULL, "HOST[:PORT]",
             "MQTT broker; default: that of --settings, else the server's host, and the port in "
             "kedged.conf"),
    TEXT_ROW("settings", settings, NULL, "FILE",
             "settings that the fleet has in common, a device.json without device_id"),
    TEXT_ROW("wifi-ssid", wifi_ssid, NULL, "NAME", "network to join; left out: no Wi-Fi"),
    TEXT_ROW("wifi-password-file", wifi_password_file, NULL, "FILE",
             "its password, the first line; left out: an open network"),
    TEXT_ROW("partitions", partitions, DEFAULT_TABLE, "FILE",
             "the firmware's partition table, CSV or binary"),
    {.name = "table-offset",
     .type = HOST_OPTION_SIZE,
     .offset = offsetof(struct provision_options, table_offset),
     .default_text = "0xE000",
     .min = 0x1000,
     .max = 0xFFFF0000,
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "BYTES",
     .help = "where that table is in flash"},
    TEXT_ROW("out", out, NULL, "DIR", "folder to make; default: provision/ID in the data folder"),
    TEXT_ROW("port", port, "/dev/ttyUSB0", "PORT", "serial port in the command that is printed"),
    {.name = "force",
     .type = HOST_OPTION_BOOL,
     .offset = offsetof(struct provision_options, force),
     .flags = HOST_OPTION_FLAG_ONLY,
     .help = "write into a folder that is there already"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set set = {.rows = rows, .env_prefix = "KEDGE"};

/* One run. */
struct provision_job {
    const char *id;
    const struct provision_options *options;
    struct cli_provision made;
    struct cli_path out;
};

/* ---- who it talks to ---- */

/* The data folder's own services only; who uses other certificates knows what is in them. */
static void warn_of_wrong_name(const struct provision_job *job, const char *stem, const char *host)
{
    struct cli_path cert;
    bool names = true;
    if (cli_path_pki(&cert, job->options->common.data, "pki", stem, "crt") == KEDGE_OK &&
        access(cert.text, F_OK) == 0 && cli_pki_names(cert.text, host, &names) == KEDGE_OK &&
        !names) {
        fprintf(stderr,
                "kedge: warning: %s is not for %s: a device will refuse it there. `kedge init "
                "--host %s` makes a data folder for that name\n",
                cert.text, host, host);
    }
}

static void warn_of_wrong_names(const struct provision_job *job)
{
    char host[KEDGE_HOST_MAX_LEN + 1];
    cli_provision_server_host(job->options->server, host);
    warn_of_wrong_name(job, "server", host);
    warn_of_wrong_name(job, "broker", job->made.settings.values.broker_host);
}

static enum cli_exit read_settings(struct provision_job *job)
{
    struct cli_settings local;
    if (cli_settings_read(job->options->common.data, &local) != KEDGE_OK) {
        return CLI_FAILED;
    }
    const struct cli_provision_source source = {
        .id = job->id,
        .server = job->options->server,
        .broker = job->options->broker,
        .path = job->options->settings,
        .local_broker = local.broker,
    };
    enum cli_exit code = cli_provision_settings(&source, &job->made.settings);
    cli_settings_free(&local);
    return code;
}

/* ---- Wi-Fi ---- */

static bool is_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

/* IEEE 802.11: a passphrase of printable ASCII, or the key itself in hex. */
static bool is_password(const char *text, size_t len)
{
    if (len == PSK_HEX_LEN) {
        return strspn(text, "0123456789abcdefABCDEF") >= len;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) {
            return false;
        }
    }
    return len >= PASSPHRASE_MIN && len <= PASSPHRASE_MAX;
}

static enum cli_exit read_password(struct provision_job *job)
{
    const char *path = job->options->wifi_password_file;
    struct host_buf *password = &job->made.wifi_password;
    enum cli_exit code = cli_read_file(path, PASSWORD_MAX, password);
    if (code != CLI_OK) {
        return code;
    }
    size_t len = strcspn(host_buf_text(password), "\r\n");
    if (!is_password(host_buf_text(password), len)) {
        return cli_error(CLI_FAILED,
                         "%s: not a Wi-Fi password, expected 8 to 63 printable ASCII characters or "
                         "64 hex digits in the first line",
                         path);
    }
    password->data[len] = '\0'; /* the first line: not empty, so there is data */
    password->len = len;
    return CLI_OK;
}

static enum cli_exit read_wifi(struct provision_job *job)
{
    const char *ssid = job->options->wifi_ssid;
    if (ssid == NULL) {
        return job->options->wifi_password_file == NULL
                   ? CLI_OK
                   : cli_error(CLI_USAGE, "--wifi-password-file: expected --wifi-ssid with it");
    }
    size_t len = strlen(ssid);
    if (len < 1 || len > SSID_MAX_LEN || !is_text(ssid, len)) {
        return cli_error(CLI_USAGE,
                         "--wifi-ssid: expected 1 to %u bytes without control "
                         "characters",
                         SSID_MAX_LEN);
    }
    job->made.wifi_ssid = ssid;
    return job->options->wifi_password_file != NULL ? read_password(job) : CLI_OK;
}

/* ---- partition table ---- */

static enum cli_exit find_partition(const struct kedge_partition_table *table, uint8_t subtype,
                                    const char *name, struct kedge_partition *out)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct kedge_partition *entry = &table->entries[i];
        if (entry->type == KEDGE_PARTITION_DATA && entry->subtype == subtype &&
            strcmp(entry->name, name) == 0) {
            *out = *entry;
            return CLI_OK;
        }
    }
    return cli_error(CLI_FAILED, "the table has no partition \"%s\" of type data, subtype %s", name,
                     subtype == KEDGE_PARTITION_DATA_NVS ? "nvs" : "littlefs");
}

static enum cli_exit read_table(struct provision_job *job)
{
    const struct kedge_partition_rules rules = {.table_offset =
                                                    (uint32_t)job->options->table_offset};
    struct kedge_partition_table table;
    bool binary = false;
    enum cli_exit code = cli_partition_read(job->options->partitions, &rules, &table, &binary);
    if (code == CLI_OK) {
        code =
            find_partition(&table, KEDGE_PARTITION_DATA_LITTLEFS, STORAGE_NAME, &job->made.storage);
    }
    if (code == CLI_OK) {
        code = find_partition(&table, KEDGE_PARTITION_DATA_NVS, NVS_NAME, &job->made.nvs);
    }
    return code;
}

/* ---- key and certificates ---- */

static enum cli_exit read_identity(struct provision_job *job)
{
    struct cli_path ca, cert, key;
    const char *data = job->options->common.data;
    const char *id = job->id;
    if (cli_path_in(&ca, data, CLI_CA_CERT) != KEDGE_OK ||
        cli_path_pki(&cert, data, CLI_DEVICES, id, "crt") != KEDGE_OK ||
        cli_path_pki(&key, data, CLI_DEVICES, id, "key") != KEDGE_OK) {
        return CLI_FAILED;
    }
    if (access(cert.text, F_OK) != 0 && errno == ENOENT) {
        return cli_error(CLI_NOT_FOUND,
                         "%s: has no certificate in %s; `kedge device add %s` makes it", id,
                         CLI_DEVICES, id);
    }
    enum cli_exit code = cli_read_file(ca.text, PEM_MAX, &job->made.ca);
    if (code == CLI_OK) {
        code = cli_read_file(cert.text, PEM_MAX, &job->made.certificate);
    }
    return code == CLI_OK ? cli_read_file(key.text, PEM_MAX, &job->made.key) : code;
}

/* ---- the folder ---- */

static enum cli_exit choose_folder(struct provision_job *job)
{
    struct stat info;
    const struct provision_options *options = job->options;
    char name[sizeof("provision/") + KEDGE_DEVICE_ID_SIZE];
    snprintf(name, sizeof(name), "provision/%s", job->id);
    enum kedge_err err = options->out != NULL ? cli_path_in(&job->out, "", options->out)
                                              : cli_path_in(&job->out, options->common.data, name);
    if (err != KEDGE_OK) {
        return CLI_FAILED;
    }
    if (!options->force && lstat(job->out.text, &info) == 0 &&
        !cli_is_empty_folder(job->out.text)) {
        return cli_error(CLI_FAILED, "%s is already there; --force writes into it", job->out.text);
    }
    return CLI_OK;
}

static enum cli_exit make_folder(const struct cli_path *path)
{
    return host_fs_make_dirs(path->text, FOLDER_MODE) == KEDGE_OK
               ? CLI_OK
               : cli_error(CLI_FAILED, "%s: cannot be made: %s", path->text, strerror(errno));
}

static enum cli_exit write_file(const struct cli_path *folder, const char *name, const void *data,
                                size_t len)
{
    struct cli_path path;
    if (cli_path_in(&path, folder->text, name) != KEDGE_OK) {
        return CLI_FAILED;
    }
    return host_fs_write_atomic(path.text, data, len, CLI_KEY_MODE) == KEDGE_OK
               ? CLI_OK
               : cli_error(CLI_FAILED, "%s: cannot be written: %s", path.text, strerror(errno));
}

static enum cli_exit write_storage_files(const struct provision_job *job)
{
    struct cli_path folder;
    struct cli_provision_file files[CLI_PROVISION_FILES];
    if (cli_path_in(&folder, job->out.text, STORAGE_NAME) != KEDGE_OK) {
        return CLI_FAILED;
    }
    cli_provision_files(&job->made, files);
    enum cli_exit code = make_folder(&folder);
    for (size_t i = 0; code == CLI_OK && i < CLI_PROVISION_FILES; i++) {
        code = write_file(&folder, files[i].name, host_buf_text(files[i].data), files[i].data->len);
    }
    return code;
}

static enum cli_exit write_all(const struct provision_job *job)
{
    const struct cli_provision *made = &job->made;
    enum cli_exit code = make_folder(&job->out);
    if (code == CLI_OK) {
        code = write_storage_files(job);
    }
    if (code == CLI_OK) {
        code = write_file(&job->out, "storage.bin", made->storage_image, made->storage.size);
    }
    if (code == CLI_OK) {
        code = write_file(&job->out, "nvs.csv", host_buf_text(&made->nvs_csv), made->nvs_csv.len);
    }
    if (code == CLI_OK) {
        code = write_file(&job->out, "nvs.bin", made->nvs_image, made->nvs.size);
    }
    return code;
}

/* ---- what is shown ---- */

/* A word as a shell takes it: in single quotes where it has to be. */
static void put_word(struct host_buf *line, const char *word)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./_-+:,@";
    if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
        host_buf_printf(line, "%s", word);
        return;
    }
    host_buf_append(line, "'", 1);
    for (; *word != '\0'; word++) {
        host_buf_append(line, *word == '\'' ? "'\\''" : word, *word == '\'' ? 4 : 1);
    }
    host_buf_append(line, "'", 1);
}

static void put_image(struct host_buf *line, const struct provision_job *job,
                      const struct kedge_partition *partition, const char *name)
{
    struct cli_path path;
    if (cli_path_in(&path, job->out.text, name) == KEDGE_OK) {
        host_buf_printf(line, " 0x%" PRIx32 " ", partition->offset);
        put_word(line, path.text);
    }
}

/* esptool 4; 5 knows these names too. */
static void put_command(struct host_buf *line, const struct provision_job *job)
{
    host_buf_printf(line, "esptool.py --chip auto -p ");
    put_word(line, job->options->port);
    host_buf_printf(line, " write_flash");
    put_image(line, job, &job->made.storage, "storage.bin");
    put_image(line, job, &job->made.nvs, "nvs.bin");
}

static void print_text(const struct provision_job *job, const char *command)
{
    const struct cli_provision *made = &job->made;
    const struct kedge_settings *settings = &made->settings.values;
    printf(
        "%s: made\n"
        "  device    %s\n"
        "  server    %s\n"
        "  broker    %s:%" PRIu32 "\n"
        "  wifi      %s%s\n"
        "  storage   0x%" PRIx32 " bytes at 0x%" PRIx32 ": storage.bin, its files in storage/\n"
        "  nvs       0x%" PRIx32 " bytes at 0x%" PRIx32 ": nvs.bin, nvs.csv\n\n"
        "For a chip without flash encryption:\n"
        "  %s\n\n"
        "In production storage.bin is encrypted, or flashed before the first boot that encrypts, "
        "and nvs.bin\nis made of nvs.csv with the NVS keys: docs/provisioning.md. Whoever has "
        "this folder is this device.\n",
        job->out.text, job->id, settings->server_url, settings->broker_host, settings->broker_port,
        made->wifi_ssid != NULL ? made->wifi_ssid : "none",
        made->wifi_ssid != NULL && made->wifi_password.len == 0 ? ", open" : "", made->storage.size,
        made->storage.offset, made->nvs.size, made->nvs.offset, command);
}

static void add_image(cJSON *object, const struct provision_job *job,
                      const struct kedge_partition *partition, const char *name)
{
    struct cli_path path;
    cJSON *item = cJSON_AddObjectToObject(object, partition->name);
    if (cli_path_in(&path, job->out.text, name) == KEDGE_OK) {
        cJSON_AddStringToObject(item, "image", path.text);
    }
    cJSON_AddNumberToObject(item, "offset", partition->offset);
    cJSON_AddNumberToObject(item, "size", partition->size);
    cJSON_AddBoolToObject(item, "encrypted", (partition->flags & KEDGE_PARTITION_ENCRYPTED) != 0);
}

static void print_json(const struct provision_job *job, const char *command)
{
    const struct kedge_settings *settings = &job->made.settings.values;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "id", job->id);
    cJSON_AddStringToObject(object, "folder", job->out.text);
    cJSON_AddStringToObject(object, "server_url", settings->server_url);
    cJSON_AddStringToObject(object, "broker_host", settings->broker_host);
    cJSON_AddNumberToObject(object, "broker_port", settings->broker_port);
    add_image(object, job, &job->made.storage, "storage.bin");
    add_image(object, job, &job->made.nvs, "nvs.bin");
    cJSON_AddStringToObject(object, "esptool", command);
    cli_print_json(object);
    cJSON_Delete(object);
}

static void print_result(const struct provision_job *job)
{
    struct host_buf command;
    host_buf_init(&command, 8 * (size_t)PATH_MAX);
    put_command(&command, job);
    if (job->options->common.json) {
        print_json(job, host_buf_text(&command));
    } else {
        print_text(job, host_buf_text(&command));
    }
    host_buf_free(&command);
}

/* ---- the verb ---- */

static enum cli_exit provision(struct provision_job *job)
{
    static enum cli_exit (*const steps[])(struct provision_job *) = {
        read_settings, read_identity, read_wifi, read_table, choose_folder};
    enum cli_exit code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        code = steps[i](job);
    }
    if (code == CLI_OK) {
        code = cli_provision_make(&job->made);
    }
    if (code == CLI_OK) {
        code = write_all(job);
    }
    if (code == CLI_OK) {
        warn_of_wrong_names(job);
        print_result(job);
    }
    return code;
}

static enum cli_exit run(const struct cli_call *call)
{
    struct provision_job job = {
        .id = call->args[0],
        .options = call->options,
        .made = {.time_floor = (uint32_t)time(NULL)},
    };
    enum cli_exit code = provision(&job);
    cli_provision_free(&job.made);
    return code;
}

const struct cli_verb cli_device_provision = {
    .noun = "device",
    .action = "provision",
    .args = "ID",
    .summary = "Make the flash images that make a chip this device",
    .detail = "Needs what `device add` left in pki/devices, but no server. Writes, all of it "
              "closed to others:\n  storage/      device.json, factory.json, ca.pem, device.crt, "
              "device.key\n  storage.bin   the same as LittleFS, as large as the partition\n"
              "  nvs.csv       Wi-Fi and time floor, for ESP-IDF's nvs_partition_gen.py\n"
              "  nvs.bin       the same as a plaintext NVS partition\nand prints the esptool "
              "command line.",
    .options = &set,
    .options_size = sizeof(struct provision_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
