/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* realpath, nftw */

#include "cli.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "folder.h"
#include "host/fs.h"
#include "names.h"
#include "pki.h"
#include "template.h"

#define SERVICE_YEARS 5u
#define TOKEN_BYTES   32u
#define TEXT_MAX      65536u
#define BROKER_USER   "mosquitto"

struct init_options {
    struct cli_common common;
    char *host;
    char *project;
    uint64_t device_port;
    uint64_t admin_port;
    uint64_t broker_port;
};

#define PORT_ROW(option, member, port, text)                                                       \
    {                                                                                              \
        .name = option, .type = HOST_OPTION_UINT, .offset = offsetof(struct init_options, member), \
        .default_text = port, .min = 1, .max = 65535, .flags = HOST_OPTION_FLAG_ONLY,              \
        .value_name = "PORT", .help = text                                                         \
    }

static const struct host_option rows[] = {
    {.name = "host",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct init_options, host),
     .default_text = "localhost",
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "NAME,...",
     .help = "DNS names or IP addresses by which devices reach this machine"},
    PORT_ROW("device-port", device_port, "8443", "HTTPS for devices"),
    PORT_ROW("admin-port", admin_port, "8444", "HTTPS for kedge and scripts, on 127.0.0.1"),
    PORT_ROW("broker-port", broker_port, "8883", "MQTT over TLS"),
    {.name = "project",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct init_options, project),
     .default_text = "",
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "NAME",
     .help = "project name that every image must carry"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set set = {.rows = rows, .env_prefix = "KEDGE"};

/* One run of init. Everything is made in a folder beside the final one and renamed at the end, so
 * that a data folder is whole or not there. */
struct init_job {
    const struct init_options *options;
    struct cli_names names;
    struct cli_path target;  /* absolute */
    struct cli_path scratch; /* absolute */
    struct cli_pki *pki;
    const struct passwd *broker_user; /* static storage of getpwnam; NULL: it stays who starts it */
    bool broker_as_root;
};

/* ---- where ---- */

static enum kedge_err say_errno(const char *path, const char *what)
{
    cli_error(CLI_FAILED, "%s: %s: %s", path, what, strerror(errno));
    return KEDGE_ERR_IO;
}

/* Absolute path of what need not exist yet; its parents are made. */
static enum kedge_err resolve_target(const char *dir, struct cli_path *target)
{
    char parent[PATH_MAX];
    char resolved[PATH_MAX];
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') {
        len--;
    }
    if (len == 0 || len >= sizeof(parent)) {
        cli_error(CLI_USAGE, "--data: \"%s\" is not a folder's name", dir);
        return KEDGE_ERR_ARG;
    }
    memcpy(parent, dir, len);
    parent[len] = '\0';
    char *slash = strrchr(parent, '/');
    char *name = slash != NULL ? slash + 1 : parent;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        cli_error(CLI_USAGE, "--data: \"%s\" cannot be made new, expected a folder's name", dir);
        return KEDGE_ERR_ARG;
    }
    char base[PATH_MAX];
    memcpy(base, name, strlen(name) + 1);
    if (slash == NULL) {
        memcpy(parent, ".", 2);
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    if (host_fs_make_dirs(parent, 0755) != KEDGE_OK || realpath(parent, resolved) == NULL) {
        return say_errno(parent, "cannot be made");
    }
    return cli_path_in(target, resolved, base);
}

static enum kedge_err check_target_is_new(const struct cli_path *target)
{
    struct stat info;
    if (lstat(target->text, &info) != 0 || cli_is_empty_folder(target->text)) {
        return KEDGE_OK;
    }
    cli_error(CLI_FAILED,
              "%s is already there and is not overwritten: its keys are in use by devices. Name "
              "another folder with --data, or remove it yourself",
              target->text);
    return KEDGE_ERR_STATE;
}

/* ---- who the broker runs as ---- */

/* Every folder above and including path lets others through. */
static bool others_may_enter(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    for (size_t i = 1; i <= len; i++) {
        struct stat info;
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (stat(part, &info) == 0 && (info.st_mode & S_IXOTH) == 0) {
            return false;
        }
    }
    return true;
}

/* Mosquitto started by root gives root up before it opens its files. */
static void choose_broker_user(struct init_job *job)
{
    if (geteuid() != 0) {
        return;
    }
    job->broker_user = getpwnam(BROKER_USER);
    if (job->broker_user == NULL || !others_may_enter(job->target.text)) {
        job->broker_user = NULL;
        job->broker_as_root = true;
    }
}

static const char *broker_user_line(const struct init_job *job)
{
    if (job->broker_as_root) {
        return "# User " BROKER_USER " cannot reach this folder: a folder above it is closed.\n"
               "user root";
    }
    return job->broker_user != NULL ? "user " BROKER_USER
                                    : "# Started by an ordinary user, it stays that user.";
}

static enum kedge_err give_to_broker(const struct init_job *job, const char *name)
{
    struct cli_path path;
    enum kedge_err err = cli_path_in(&path, job->scratch.text, name);
    if (err != KEDGE_OK || job->broker_user == NULL) {
        return err;
    }
    if (lchown(path.text, job->broker_user->pw_uid, job->broker_user->pw_gid) != 0) {
        return say_errno(path.text, "cannot be given to user " BROKER_USER);
    }
    return KEDGE_OK;
}

/* ---- what ---- */

static enum kedge_err make_folders(const struct init_job *job)
{
    static const struct {
        const char *name;
        unsigned mode;
    } folders[] = {{"pki", 0755}, {CLI_DEVICES, 0700}, {"mosquitto", 0700}};
    if (mkdir(job->scratch.text, 0755) != 0) {
        return say_errno(job->scratch.text, "cannot be made");
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        struct cli_path path;
        enum kedge_err err = cli_path_in(&path, job->scratch.text, folders[i].name);
        if (err != KEDGE_OK) {
            return err;
        }
        if (mkdir(path.text, (mode_t)folders[i].mode) != 0) {
            return say_errno(path.text, "cannot be made");
        }
    }
    return KEDGE_OK;
}

static enum kedge_err make_ca(struct init_job *job)
{
    struct cli_path key, cert;
    enum kedge_err err = cli_path_in(&key, job->scratch.text, CLI_CA_KEY);
    if (err == KEDGE_OK) {
        err = cli_path_in(&cert, job->scratch.text, CLI_CA_CERT);
    }
    if (err == KEDGE_OK) {
        err = cli_pki_create(host_buf_text(&job->names.domains), key.text, cert.text);
    }
    if (err == KEDGE_OK) {
        err = cli_pki_open(key.text, cert.text, &job->pki);
    }
    return err;
}

static enum kedge_err make_service_certs(struct init_job *job)
{
    const struct {
        const char *stem;
        struct cli_pki_request request;
    } services[] = {
        {"server", {"kedged", host_buf_text(&job->names.alt_names), CLI_PKI_SERVER, SERVICE_YEARS}},
        {"broker", {"broker", host_buf_text(&job->names.alt_names), CLI_PKI_SERVER, SERVICE_YEARS}},
        {"svc-ingest",
         {"svc-ingest", "DNS:svc-ingest." CLI_PKI_OWN_DOMAIN, CLI_PKI_CLIENT, SERVICE_YEARS}},
    };
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        struct cli_path key, cert;
        enum kedge_err err = cli_path_pki(&key, job->scratch.text, "pki", services[i].stem, "key");
        if (err == KEDGE_OK) {
            err = cli_path_pki(&cert, job->scratch.text, "pki", services[i].stem, "crt");
        }
        if (err == KEDGE_OK) {
            err = cli_pki_issue(job->pki, &services[i].request, key.text, cert.text);
        }
        if (err != KEDGE_OK) {
            return err;
        }
    }
    return KEDGE_OK;
}

static enum kedge_err write_file(const struct init_job *job, const char *name, const char *text,
                                 size_t len, unsigned mode)
{
    struct cli_path path;
    enum kedge_err err = cli_path_in(&path, job->scratch.text, name);
    if (err != KEDGE_OK) {
        return err;
    }
    if (host_fs_write_atomic(path.text, text, len, mode) != KEDGE_OK) {
        return say_errno(path.text, "cannot be written");
    }
    return KEDGE_OK;
}

static enum kedge_err make_token(const struct init_job *job)
{
    uint8_t random[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 2];
    enum kedge_err err = cli_pki_random(random, sizeof(random));
    if (err != KEDGE_OK) {
        return err;
    }
    kedge_hex_encode(random, sizeof(random), text);
    memcpy(text + 2 * TOKEN_BYTES, "\n", 2);
    return write_file(job, CLI_TOKEN, text, strlen(text), CLI_KEY_MODE);
}

static enum kedge_err make_configs(const struct init_job *job)
{
    char device_port[8], admin_port[8], broker_port[8];
    snprintf(device_port, sizeof(device_port), "%" PRIu16, (uint16_t)job->options->device_port);
    snprintf(admin_port, sizeof(admin_port), "%" PRIu16, (uint16_t)job->options->admin_port);
    snprintf(broker_port, sizeof(broker_port), "%" PRIu16, (uint16_t)job->options->broker_port);
    const struct cli_template_value values[] = {
        {"DATA", job->target.text},
        {"BIND", job->names.loopback_only ? "127.0.0.1" : "0.0.0.0"},
        {"DEVICE_PORT", device_port},
        {"ADMIN_PORT", admin_port},
        {"BROKER_PORT", broker_port},
        {"PROJECT", job->options->project},
        {"USER", broker_user_line(job)},
        {NULL, NULL},
    };
    static const struct {
        const char *template, *name;
    } files[] = {
        {"kedged.conf", CLI_CONFIG},
        {"mosquitto.conf", "mosquitto.conf"},
        {"mosquitto.acl", "mosquitto.acl"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct host_buf text;
        host_buf_init(&text, TEXT_MAX);
        enum kedge_err err = cli_template_fill(files[i].template, values, &text);
        if (err == KEDGE_OK) {
            err = write_file(job, files[i].name, host_buf_text(&text), text.len, 0644);
        } else {
            cli_error(CLI_FAILED, "template %s: %s", files[i].template, kedge_err_text(err));
        }
        host_buf_free(&text);
        if (err != KEDGE_OK) {
            return err;
        }
    }
    return KEDGE_OK;
}

static enum kedge_err make_all(struct init_job *job)
{
    static const char *const broker_files[] = {"pki/broker.key", "mosquitto", NULL};
    enum kedge_err err = make_folders(job);
    if (err == KEDGE_OK) {
        err = make_ca(job);
    }
    if (err == KEDGE_OK) {
        err = make_service_certs(job);
    }
    if (err == KEDGE_OK) {
        err = make_token(job);
    }
    if (err == KEDGE_OK) {
        err = make_configs(job);
    }
    for (size_t i = 0; err == KEDGE_OK && broker_files[i] != NULL; i++) {
        err = give_to_broker(job, broker_files[i]);
    }
    if (err == KEDGE_OK && rename(job->scratch.text, job->target.text) != 0) {
        err = say_errno(job->target.text, "cannot be made");
    }
    return err;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

/* ---- the verb ---- */

static void print_result(const struct init_job *job, bool json)
{
    const struct init_options *options = job->options;
    if (!json) {
        printf("%s: made\n"
               "  certificates  for %s; the CA may name %s\n"
               "  devices       https port %" PRIu64 "%s\n"
               "  admin API     https://127.0.0.1:%" PRIu64 ", token in " CLI_TOKEN "\n"
               "  broker        port %" PRIu64 ", started with mosquitto.conf\n"
               "Keep pki/ca.key safe: who has it can make devices.\n",
               job->target.text, host_buf_text(&job->names.alt_names),
               host_buf_text(&job->names.domains), options->device_port,
               job->names.loopback_only ? " (this machine only; --host opens it)" : "",
               options->admin_port, options->broker_port);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "data", job->target.text);
    cJSON_AddNumberToObject(object, "device_port", (double)options->device_port);
    cJSON_AddNumberToObject(object, "admin_port", (double)options->admin_port);
    cJSON_AddNumberToObject(object, "broker_port", (double)options->broker_port);
    cJSON_AddStringToObject(object, "names", host_buf_text(&job->names.alt_names));
    char *text = cJSON_PrintUnformatted(object);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static bool is_one_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F) {
            return false;
        }
    }
    return true;
}

static enum cli_exit make_folder(struct init_job *job)
{
    if (check_target_is_new(&job->target) != KEDGE_OK) {
        return CLI_FAILED;
    }
    int len = snprintf(job->scratch.text, sizeof(job->scratch.text), "%s.init-%ld",
                       job->target.text, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof(job->scratch.text)) {
        return cli_error(CLI_FAILED, "%s: the path is too long", job->target.text);
    }
    choose_broker_user(job);
    enum kedge_err err = make_all(job);
    cli_pki_close(job->pki);
    if (err != KEDGE_OK) {
        nftw(job->scratch.text, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        return CLI_FAILED;
    }
    print_result(job, job->options->common.json);
    return CLI_OK;
}

static enum cli_exit run(const struct cli_call *call)
{
    struct init_job job = {.options = call->options};
    if (!is_one_line(job.options->project)) {
        return cli_error(CLI_USAGE, "--project: control characters, expected a name");
    }
    umask(022); /* modes are as written here: user mosquitto has to read the certificates */
    enum cli_exit code = CLI_USAGE;
    if (cli_names_parse(job.options->host, &job.names) == KEDGE_OK &&
        resolve_target(job.options->common.data, &job.target) == KEDGE_OK) {
        code = make_folder(&job);
    }
    cli_names_free(&job.names);
    return code;
}

const struct cli_verb cli_init = {
    .noun = "init",
    .args = "",
    .summary = "Make a data folder: CA, certificates, token, configurations",
    .detail = "Makes DIR with a certificate authority (20 years), certificates for kedged, the "
              "broker and\nkedged's own MQTT client (5 years), an admin token, kedged.conf and the "
              "broker's\nconfiguration. An existing folder is never touched. Without --host "
              "everything listens on\nthis machine only.",
    .options = &set,
    .options_size = sizeof(struct init_options),
    .run = run,
};
