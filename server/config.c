/* SPDX-License-Identifier: Apache-2.0 */
#include "kedged.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"
#include "host/parse.h"

#define PATH_SIZE 4096u
#define SECOND_MS UINT64_C(1000)
#define DAY_MS    (UINT64_C(86400) * SECOND_MS)
#define FIELD(f)  offsetof(struct srv_config, f)

static const struct host_option rows[] = {
    {.name = "config",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(config_file),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "FILE",
     .help = "read options from FILE; without it DATA/kedged.conf when that exists"},
    {.name = "check-config",
     .type = HOST_OPTION_BOOL,
     .offset = FIELD(check_config),
     .flags = HOST_OPTION_FLAG_ONLY,
     .help = "print the configuration that would be used, and exit"},
    {.name = "help",
     .type = HOST_OPTION_BOOL,
     .offset = FIELD(help),
     .flags = HOST_OPTION_FLAG_ONLY,
     .help = "print this text, and exit"},
    {.name = "version",
     .type = HOST_OPTION_BOOL,
     .offset = FIELD(version),
     .flags = HOST_OPTION_FLAG_ONLY,
     .help = "print the version, and exit"},
    {.name = "data",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(data),
     .default_text = "/var/lib/kedge",
     .value_name = "FOLDER",
     .help = "data folder; relative paths below are taken from it"},
    {.name = "listen-device",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(listen_device),
     .default_text = "0.0.0.0:8443",
     .value_name = "HOST:PORT",
     .help = "where devices come in; port 0 = any free one"},
    {.name = "listen-admin",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(listen_admin),
     .default_text = "127.0.0.1:8444",
     .value_name = "HOST:PORT",
     .help = "where the CLI and the dashboard come in"},
    {.name = "tls-ca",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(tls_ca),
     .default_text = "pki/ca.crt",
     .value_name = "FILE",
     .help = "CA that device certificates are checked against"},
    {.name = "tls-cert",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(tls_cert),
     .default_text = "pki/server.crt",
     .value_name = "FILE",
     .help = "server certificate, chain after it"},
    {.name = "tls-key",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(tls_key),
     .default_text = "pki/server.key",
     .value_name = "FILE",
     .help = "its private key"},
    {.name = "admin-token-file",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(admin_token_file),
     .default_text = "admin.token",
     .value_name = "FILE",
     .help = "token of the admin API"},
    {.name = "project",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(project),
     .value_name = "NAME",
     .help = "project name that an uploaded image must carry; default: any"},
    {.name = "broker",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(broker),
     .value_name = "HOST:PORT",
     .help = "MQTT broker for telemetry; default: none"},
    {.name = "broker-ca",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(broker_ca),
     .default_text = "pki/ca.crt",
     .value_name = "FILE",
     .help = "CA that the broker's certificate is checked against"},
    {.name = "broker-cert",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(broker_cert),
     .default_text = "pki/svc-ingest.crt",
     .value_name = "FILE",
     .help = "certificate shown to the broker"},
    {.name = "broker-key",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(broker_key),
     .default_text = "pki/svc-ingest.key",
     .value_name = "FILE",
     .help = "its private key"},
    {.name = "poll-interval",
     .type = HOST_OPTION_DURATION,
     .offset = FIELD(poll_interval_ms),
     .default_text = "5m",
     .min = SECOND_MS,
     .max = 7u * DAY_MS,
     .value_name = "DURATION",
     .help = "how often devices are told to poll"},
    {.name = "slot-size",
     .type = HOST_OPTION_SIZE,
     .offset = FIELD(slot_size),
     .default_text = "1732K", /* 0x1B1000: the reference 4 MB partition table */
     .min = 65536u,
     .max = 16u * 1024u * 1024u,
     .value_name = "BYTES",
     .help = "largest image accepted: the app slot of the partition table"},
    {.name = "telemetry-keep",
     .type = HOST_OPTION_DURATION,
     .offset = FIELD(telemetry_keep_ms),
     .default_text = "14d",
     .min = 60u * SECOND_MS,
     .max = 3650u * DAY_MS,
     .value_name = "DURATION",
     .help = "raw telemetry older than that is deleted"},
    {.name = "log-level",
     .type = HOST_OPTION_STRING,
     .offset = FIELD(log_level),
     .default_text = "info",
     .value_name = "LEVEL",
     .help = "error, warn, info or debug"},
    {0},
};

const struct host_option_set srv_config_options = {.rows = rows, .env_prefix = "KEDGED"};

enum kedge_err srv_config_log_level(const char *text, enum host_log_level *out)
{
    static const char *const names[] = {[HOST_LOG_ERROR] = "error",
                                        [HOST_LOG_WARN] = "warn",
                                        [HOST_LOG_INFO] = "info",
                                        [HOST_LOG_DEBUG] = "debug"};

    for (unsigned i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum host_log_level)i;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_SYNTAX;
}

/* Flags and environment; the flags win. */
static enum kedge_err overlay(struct srv_config *config, int argc, char **argv, FILE *err)
{
    const char *positional[1];
    size_t positional_count = 0;
    enum kedge_err env = host_options_env(&srv_config_options, config, err);
    enum kedge_err args = host_options_args(&srv_config_options, config, argc, argv, positional, 1,
                                            &positional_count, err);

    if (positional_count > 0) {
        fprintf(err, "%s: not an option; kedged takes options only, see --help\n", positional[0]);
        return KEDGE_ERR_SYNTAX;
    }
    return env != KEDGE_OK ? env : args;
}

/* Which file to read; "" = none. Only the default one may be missing. */
static enum kedge_err choose_file(const struct srv_config *config, char *path, FILE *err)
{
    if (config->config_file != NULL) {
        if (strlen(config->config_file) >= PATH_SIZE) {
            fprintf(err, "--config: path too long\n");
            return KEDGE_ERR_TOO_LARGE;
        }
        memcpy(path, config->config_file, strlen(config->config_file) + 1);
        return KEDGE_OK;
    }
    if (host_fs_join(path, PATH_SIZE, config->data, "kedged.conf") != KEDGE_OK) {
        fprintf(err, "--data: path too long\n");
        return KEDGE_ERR_TOO_LARGE;
    }
    if (access(path, F_OK) != 0) {
        path[0] = '\0';
    }
    return KEDGE_OK;
}

/* *path, when relative, becomes base + "/" + *path. */
static enum kedge_err make_absolute(char **path, const char *base, FILE *err)
{
    char joined[PATH_SIZE];

    if (*path == NULL || (*path)[0] == '\0' || (*path)[0] == '/') {
        return KEDGE_OK;
    }
    if (host_fs_join(joined, sizeof joined, base, *path) != KEDGE_OK) {
        fprintf(err, "%s: path too long\n", *path);
        return KEDGE_ERR_TOO_LARGE;
    }
    free(*path);
    *path = host_strdup(joined);
    return KEDGE_OK;
}

static enum kedge_err resolve_paths(struct srv_config *config, FILE *err)
{
    char **const paths[] = {&config->tls_ca,           &config->tls_cert,  &config->tls_key,
                            &config->admin_token_file, &config->broker_ca, &config->broker_cert,
                            &config->broker_key};
    char here[PATH_SIZE];

    if (getcwd(here, sizeof here) == NULL) {
        fprintf(err, "cannot tell the current folder: %s; give --data an absolute path\n",
                strerror(errno));
        return KEDGE_ERR_IO;
    }

    enum kedge_err result = make_absolute(&config->data, here, err);

    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && result == KEDGE_OK; i++) {
        result = make_absolute(paths[i], config->data, err);
    }
    return result;
}

static bool is_address(const char *name, const char *text, FILE *err)
{
    char host[256];
    uint16_t port = 0;

    if (host_parse_address(text, host, sizeof host, &port) == KEDGE_OK) {
        return true;
    }
    fprintf(err, "%s: \"%s\" is not HOST:PORT\n", name, text);
    return false;
}

/* What the option table cannot say. Every fault is printed. */
static enum kedge_err check_values(const struct srv_config *config, FILE *err)
{
    enum host_log_level level;
    bool is_good = is_address("listen-device", config->listen_device, err);

    is_good = is_address("listen-admin", config->listen_admin, err) && is_good;
    if (config->broker != NULL && config->broker[0] != '\0') {
        is_good = is_address("broker", config->broker, err) && is_good;
    }
    if (srv_config_log_level(config->log_level, &level) != KEDGE_OK) {
        fprintf(err, "log-level: \"%s\" is not error, warn, info or debug\n", config->log_level);
        is_good = false;
    }
    return is_good ? KEDGE_OK : KEDGE_ERR_SYNTAX;
}

/* First pass: only to learn --config, --data and whether help is all that is wanted. */
static enum kedge_err find_file(int argc, char **argv, char *path, bool *is_query, FILE *err)
{
    struct srv_config config = {0};
    enum kedge_err result = host_options_defaults(&srv_config_options, &config);

    if (result == KEDGE_OK) {
        result = overlay(&config, argc, argv, err);
    }
    if (result == KEDGE_OK) {
        *is_query = config.help || config.version;
        result = choose_file(&config, path, err);
    }
    host_options_free(&srv_config_options, &config);
    return result;
}

enum kedge_err srv_config_load(struct srv_config *config, int argc, char **argv, FILE *err)
{
    char path[PATH_SIZE] = "";
    bool is_query = false;
    enum kedge_err result = find_file(argc, argv, path, &is_query, err);

    if (result == KEDGE_OK) {
        result = host_options_defaults(&srv_config_options, config);
    }
    if (result == KEDGE_OK && path[0] != '\0' && !is_query) {
        result = host_options_file(&srv_config_options, config, path, err);
    }
    if (result == KEDGE_OK) {
        result = overlay(config, argc, argv, err);
    }
    if (result == KEDGE_OK && !is_query) {
        result = host_options_check(&srv_config_options, config, err);
    }
    if (result == KEDGE_OK) {
        result = resolve_paths(config, err);
    }
    if (result == KEDGE_OK && !is_query) {
        result = check_values(config, err);
    }
    return result;
}

void srv_config_free(struct srv_config *config)
{
    host_options_free(&srv_config_options, config);
}
