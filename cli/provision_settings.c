/* SPDX-License-Identifier: Apache-2.0 */
#include "provision_settings.h"

#include <inttypes.h>
#include <string.h>

#include "fault.h"
#include "host/parse.h"
#include "kedge/message.h"
#include "kedge/text.h"

#define VALUE_TEXT_MAX (KEDGE_SETTINGS_URL_SIZE + 3u)

/* ---- the command line ---- */

static enum cli_exit take_id(const char *id, struct cli_device_settings *said)
{
    if (!kedge_device_id_ok(id, strlen(id))) {
        return cli_error(CLI_USAGE, "%s: not a device id", id);
    }
    kedge_text_copy(said->values.device_id, sizeof(said->values.device_id), id);
    said->rows |= kedge_settings_row("device_id");
    return CLI_OK;
}

static enum cli_exit take_server(const char *url, struct cli_device_settings *said)
{
    if (!kedge_server_url_ok(url)) {
        return cli_error(CLI_USAGE,
                         "--server: \"%s\" is not understood, expected https://host or "
                         "https://host:port, the host a name or an IPv4 address",
                         url);
    }
    kedge_text_copy(said->values.server_url, sizeof(said->values.server_url), url);
    said->rows |= kedge_settings_row("server_url");
    return CLI_OK;
}

static enum cli_exit take_broker(const char *text, struct cli_device_settings *said)
{
    size_t len = strcspn(text, ":");
    bool has_port = text[len] == ':';
    uint64_t port = 0;
    if (!kedge_host_ok(text, len) ||
        (has_port && host_parse_u64(text + len + 1, 1, UINT16_MAX, &port) != KEDGE_OK)) {
        return cli_error(CLI_USAGE,
                         "--broker: \"%s\" is not understood, expected host or host:port, the host "
                         "a name or an IPv4 address",
                         text);
    }
    kedge_text_copy(said->values.broker_host, len + 1, text);
    said->rows |= kedge_settings_row("broker_host");
    if (has_port) {
        said->values.broker_port = (uint32_t)port;
        said->rows |= kedge_settings_row("broker_port");
    }
    return CLI_OK;
}

static enum cli_exit take_command_line(const struct cli_provision_source *source,
                                       struct cli_device_settings *said)
{
    kedge_settings_defaults(&said->values);
    said->rows = 0;
    enum cli_exit code = take_id(source->id, said);
    if (code == CLI_OK) {
        code = take_server(source->server, said);
    }
    return code == CLI_OK && source->broker != NULL ? take_broker(source->broker, said) : code;
}

/* ---- the file ---- */

static void print_faults(const char *path, const struct kedge_settings_faults *faults)
{
    for (uint32_t i = 0; i < faults->count && i < KEDGE_SETTINGS_FAULTS_MAX; i++) {
        struct kedge_settings_fault fault = faults->list[i];
        char line[16] = "";
        char text[CLI_FAULT_TEXT_MAX];
        if (fault.line != 0) {
            snprintf(line, sizeof(line), "%" PRIu32 ":", fault.line);
        }
        fault.line = 0; /* it stands behind the path */
        kedge_settings_fault_text(&fault, text, sizeof(text));
        fprintf(stderr, "%s:%s %s\n", path, line, text);
    }
    if (faults->count > KEDGE_SETTINGS_FAULTS_MAX) {
        fprintf(stderr, "%s: %" PRIu32 " more\n", path, faults->count - KEDGE_SETTINGS_FAULTS_MAX);
    }
}

static void value_text(const struct kedge_setting *row, const struct kedge_settings *settings,
                       char out[VALUE_TEXT_MAX])
{
    const char *at = (const char *)settings + row->at;
    uint32_t number;
    if (row->type == KEDGE_SETTING_TEXT) {
        snprintf(out, VALUE_TEXT_MAX, "\"%s\"", at);
    } else {
        memcpy(&number, at, sizeof(number));
        snprintf(out, VALUE_TEXT_MAX, "%" PRIu32, number);
    }
}

/* What both name has to be the same: neither is taken over the other in silence. */
static enum cli_exit compare(const char *path, const struct cli_device_settings *said,
                             const struct cli_device_settings *file)
{
    size_t count;
    const struct kedge_setting *table = kedge_settings_table(&count);
    for (size_t i = 0; i < count; i++) {
        char is[VALUE_TEXT_MAX];
        char expected[VALUE_TEXT_MAX];
        value_text(&table[i], &file->values, is);
        value_text(&table[i], &said->values, expected);
        if ((said->rows & file->rows & UINT32_C(1) << i) != 0 && strcmp(is, expected) != 0) {
            return cli_error(CLI_FAILED,
                             "%s: %s: %s is not what the command line says, expected %s or no such "
                             "member",
                             path, table[i].name, is, expected);
        }
    }
    return CLI_OK;
}

static enum cli_exit take_file(const char *path, const struct cli_device_settings *said,
                               struct cli_device_settings *out)
{
    struct host_buf text;
    struct kedge_settings_faults faults;
    struct cli_device_settings file;
    enum cli_exit code = cli_read_file(path, KEDGE_SETTINGS_FILE_MAX, &text);
    if (code == CLI_OK) {
        struct kedge_cspan json = {(const uint8_t *)host_buf_text(&text), text.len};
        file.rows = kedge_settings_rows(json);
        if (kedge_settings_parse(json, &said->values, &file.values, &faults) != KEDGE_OK) {
            print_faults(path, &faults);
            code = CLI_FAILED;
        }
    }
    host_buf_free(&text);
    if (code == CLI_OK) {
        code = compare(path, said, &file);
    }
    if (code == CLI_OK) {
        *out = (struct cli_device_settings){file.values, said->rows | file.rows};
    }
    return code;
}

/* ---- the rest ---- */

void cli_provision_server_host(const char *url, char out[KEDGE_HOST_MAX_LEN + 1])
{
    const char *host = url + strlen("https://");
    kedge_text_copy(out, strcspn(host, ":") + 1, host);
}

/* A broker that nobody named is the data folder's own: on the server's host, at kedged.conf's port,
 * which is that of the devices too. */
static void choose_broker(const char *local_broker, struct cli_device_settings *settings)
{
    char host[KEDGE_HOST_MAX_LEN + 1];
    uint16_t port = 0;
    uint32_t missing = ~settings->rows;
    if ((missing & kedge_settings_row("broker_host")) == 0) {
        return;
    }
    cli_provision_server_host(settings->values.server_url, settings->values.broker_host);
    if ((missing & kedge_settings_row("broker_port")) != 0 &&
        host_parse_address(local_broker, host, sizeof(host), &port) == KEDGE_OK && port != 0) {
        settings->values.broker_port = port;
    }
}

enum cli_exit cli_provision_settings(const struct cli_provision_source *source,
                                     struct cli_device_settings *out)
{
    struct cli_device_settings said;
    enum cli_exit code = take_command_line(source, &said);
    if (code == CLI_OK && source->path != NULL) {
        code = take_file(source->path, &said, &said);
    }
    if (code == CLI_OK) {
        choose_broker(source->local_broker, &said);
        said.rows |= kedge_settings_row("broker_host") | kedge_settings_row("broker_port");
        *out = said;
    }
    return code;
}
