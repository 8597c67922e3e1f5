/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <string.h>
#include <unistd.h>

#include "api.h"
#include "folder.h"
#include "host/buf.h"
#include "kedge/image.h"
#include "kedge/message.h"
#include "pki.h"
#include "table.h"

#define DEVICES_PATH    "/api/v1/devices"
#define DEVICE_PATH     "/api/v1/devices/"
#define DEVICE_YEARS    10u
#define FINGERPRINT_LEN 65u

/* ---- add ---- */

struct add_options {
    struct cli_common common;
    char *chip;
};

static const struct host_option add_rows[] = {
    {.name = "chip",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct add_options, chip),
     .flags = HOST_OPTION_FLAG_ONLY,
     .value_name = "CHIP",
     .help = "esp32, esp32s3, esp32c3 ...; learnt from the device when left out"},
    CLI_COMMON_ROWS,
    {0},
};
static const struct host_option_set add_set = {.rows = add_rows, .env_prefix = "KEDGE"};

/* One run of `device add`. */
struct add_job {
    const char *data;
    const char *chip; /* NULL = not said */
    struct cli_api *api;
    struct cli_pki *pki;
    cJSON *done; /* for --json; NULL without */
};

static enum cli_exit check_id(const char *id)
{
    if (!kedge_device_id_ok(id, strlen(id))) {
        return cli_error(CLI_USAGE,
                         "%s: not a device id, expected 1 to 64 of A-Z a-z 0-9 . _ - and no '.' or "
                         "'-' in front",
                         id);
    }
    if (strncmp(id, KEDGE_SERVICE_PREFIX, strlen(KEDGE_SERVICE_PREFIX)) == 0) {
        return cli_error(CLI_USAGE,
                         "%s: ids that start with " KEDGE_SERVICE_PREFIX " are Kedge's own", id);
    }
    return CLI_OK;
}

static enum cli_exit check_is_new(const struct add_job *job, const char *id)
{
    cJSON *answer = NULL;
    long status = 0;
    struct cli_request request = {.method = "GET", .path = DEVICE_PATH, .segment = id};
    enum cli_exit code = cli_api_call_status(job->api, &request, 404, &status, &answer);
    cJSON_Delete(answer);
    if (code == CLI_OK && status != 404) {
        return cli_error(CLI_FAILED, "%s: registered already; `kedge device show %s` shows it", id,
                         id);
    }
    return code;
}

/* Key and certificate, unless a run that broke off has left them. */
static enum cli_exit make_certificate(const struct add_job *job, const char *id,
                                      struct cli_path *key, struct cli_path *cert,
                                      char *fingerprint)
{
    char alt_name[sizeof("DNS:." CLI_PKI_OWN_DOMAIN) + KEDGE_DEVICE_ID_SIZE];
    enum kedge_err err = cli_path_pki(key, job->data, CLI_DEVICES, id, "key");
    if (err == KEDGE_OK) {
        err = cli_path_pki(cert, job->data, CLI_DEVICES, id, "crt");
    }
    if (err == KEDGE_OK && (access(key->text, F_OK) != 0 || access(cert->text, F_OK) != 0)) {
        snprintf(alt_name, sizeof(alt_name), "DNS:%s." CLI_PKI_OWN_DOMAIN, id);
        struct cli_pki_request request = {
            .common_name = id, .alt_names = alt_name, .use = CLI_PKI_CLIENT, .years = DEVICE_YEARS};
        err = cli_pki_issue(job->pki, &request, key->text, cert->text);
    }
    if (err == KEDGE_OK) {
        err = cli_pki_fingerprint(cert->text, fingerprint);
    }
    return err == KEDGE_OK ? CLI_OK : CLI_FAILED;
}

static enum cli_exit register_device(const struct add_job *job, const char *id,
                                     const char *fingerprint)
{
    cJSON *answer = NULL;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "id", id);
    cJSON_AddStringToObject(body, "cert_sha256", fingerprint);
    if (job->chip != NULL) {
        cJSON_AddStringToObject(body, "chip", job->chip);
    }
    struct cli_request request = {.method = "POST", .path = DEVICES_PATH, .body = body};
    enum cli_exit code = cli_api_call(job->api, &request, &answer);
    cJSON_Delete(answer);
    cJSON_Delete(body);
    return code;
}

static void say_added(const struct add_job *job, const char *id, const char *key, const char *cert,
                      const char *fingerprint)
{
    if (job->done == NULL) {
        printf("%s: added, %s and %s go onto the device\n", id, cert, key);
        return;
    }
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", id);
    cJSON_AddStringToObject(item, "cert", cert);
    cJSON_AddStringToObject(item, "key", key);
    cJSON_AddStringToObject(item, "cert_sha256", fingerprint);
    cJSON_AddItemToArray(job->done, item);
}

static enum cli_exit add_one(const struct add_job *job, const char *id)
{
    struct cli_path key, cert;
    char fingerprint[FINGERPRINT_LEN];
    enum cli_exit code = check_is_new(job, id);
    if (code == CLI_OK) {
        code = make_certificate(job, id, &key, &cert, fingerprint);
    }
    if (code == CLI_OK) {
        code = register_device(job, id, fingerprint);
    }
    if (code == CLI_OK) {
        say_added(job, id, key.text, cert.text, fingerprint);
    }
    return code;
}

static enum cli_exit open_ca(struct add_job *job)
{
    struct cli_path key, cert;
    if (cli_path_in(&key, job->data, CLI_CA_KEY) != KEDGE_OK ||
        cli_path_in(&cert, job->data, CLI_CA_CERT) != KEDGE_OK ||
        cli_pki_open(key.text, cert.text, &job->pki) != KEDGE_OK) {
        return CLI_FAILED;
    }
    return CLI_OK;
}

static enum cli_exit add_all(struct add_job *job, const struct cli_call *call)
{
    enum cli_exit code = cli_api_open(job->data, &job->api);
    if (code == CLI_OK) {
        code = open_ca(job);
    }
    for (size_t i = 0; code == CLI_OK && i < call->arg_count; i++) {
        code = add_one(job, call->args[i]);
    }
    return code;
}

static enum cli_exit run_add(const struct cli_call *call)
{
    const struct add_options *options = call->options;
    struct add_job job = {.data = call->common->data, .chip = options->chip};
    if (job.chip != NULL &&
        kedge_chip_from_text(job.chip, strlen(job.chip)) == KEDGE_CHIP_INVALID) {
        return cli_error(CLI_USAGE, "--chip: \"%s\" is not known, expected for example esp32s3",
                         job.chip);
    }
    for (size_t i = 0; i < call->arg_count; i++) {
        enum cli_exit code = check_id(call->args[i]);
        if (code != CLI_OK) {
            return code;
        }
    }
    job.done = call->common->json ? cJSON_CreateArray() : NULL;
    enum cli_exit code = add_all(&job, call);
    if (job.done != NULL) {
        cli_print_json(job.done); /* what was added before an error is added */
    }
    cJSON_Delete(job.done);
    cli_pki_close(job.pki);
    cli_api_close(job.api);
    return code;
}

const struct cli_verb cli_device_add = {
    .noun = "device",
    .action = "add",
    .args = "ID...",
    .summary = "Make a key and certificate for each device and register it",
    .detail = "Writes pki/devices/ID.key and ID.crt (10 years) in the data folder, signed by its "
              "CA.\nAn id that is registered already is an error; the ids before it are done.",
    .options = &add_set,
    .options_size = sizeof(struct add_options),
    .min_args = 1,
    .max_args = CLI_MAX_ARGS,
    .run = run_add,
};

/* ---- list, show, revoke ---- */

static const struct cli_column list_columns[] = {
    {"DEVICE", "id", CLI_CELL_TEXT},
    {"STATE", "state", CLI_CELL_TEXT},
    {"CHIP", "chip", CLI_CELL_TEXT},
    {"VERSION", "version", CLI_CELL_TEXT},
    {"SEEN", "last_seen", CLI_CELL_AGE},
    {"MQTT", "link", CLI_CELL_TEXT},
    {"FREE HEAP", "telemetry.free_heap", CLI_CELL_BYTES},
    {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column show_columns[] = {
    {"device", "id", CLI_CELL_TEXT},
    {"state", "state", CLI_CELL_TEXT},
    {"chip", "chip", CLI_CELL_TEXT},
    {"version", "version", CLI_CELL_TEXT},
    {"since", "version_since", CLI_CELL_TIME},
    {"added", "created_at", CLI_CELL_TIME},
    {"revoked", "revoked_at", CLI_CELL_TIME},
    {"last seen", "last_seen", CLI_CELL_AGE},
    {"mqtt", "link", CLI_CELL_TEXT},
    {"mqtt since", "link_since", CLI_CELL_TIME},
    {"telemetry", "telemetry.ts", CLI_CELL_AGE},
    {"uptime (s)", "telemetry.uptime_s", CLI_CELL_NUMBER},
    {"free heap", "telemetry.free_heap", CLI_CELL_BYTES},
    {"min free heap", "telemetry.min_free_heap", CLI_CELL_BYTES},
    {"rssi (dBm)", "telemetry.rssi", CLI_CELL_NUMBER},
    {"temperature (C)", "telemetry.temperature_c", CLI_CELL_NUMBER},
    {"last reset", "telemetry.reset_reason", CLI_CELL_TEXT},
    {"boots", "telemetry.boot_count", CLI_CELL_NUMBER},
    {"slot size", "slot_size", CLI_CELL_BYTES},
    {"secure version", "secure_version", CLI_CELL_NUMBER},
    {"boot caps", "boot_caps", CLI_CELL_TEXT},
    {"certificate", "cert_sha256", CLI_CELL_TEXT},
    {NULL, NULL, CLI_CELL_TEXT},
};

static const struct cli_column history_columns[] = {
    {"ROLLOUT", "rollout", CLI_CELL_NUMBER},
    {"STAGE", "stage", CLI_CELL_ORDINAL},
    {"STATE", "state", CLI_CELL_TEXT},
    {"CAUSE", "cause", CLI_CELL_TEXT},
    {"DOWNLOADS", "downloads", CLI_CELL_NUMBER},
    {"CHANGED", "changed_at", CLI_CELL_AGE},
    {NULL, NULL, CLI_CELL_TEXT},
};

static void show_list(const cJSON *answer)
{
    cli_table_print(cJSON_GetObjectItemCaseSensitive(answer, "devices"), list_columns,
                    "no devices; `kedge device add ID` adds one");
}

static void show_device(const cJSON *answer)
{
    const cJSON *history = cJSON_GetObjectItemCaseSensitive(answer, "rollouts");
    cli_record_print(answer, show_columns);
    if (cJSON_GetArraySize(history) > 0) {
        puts("");
        cli_table_print(history, history_columns, "");
    }
}

static enum cli_exit run_list(const struct cli_call *call)
{
    struct cli_request request = {.method = "GET", .path = DEVICES_PATH};
    return cli_api_run(call, &request, show_list);
}

static enum cli_exit run_show(const struct cli_call *call)
{
    struct cli_request request = {.method = "GET", .path = DEVICE_PATH, .segment = call->args[0]};
    return cli_api_run(call, &request, show_device);
}

static void show_revoked(const cJSON *answer)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(answer, "id");
    printf("%s: revoked, its certificate is refused from now on\n",
           cJSON_IsString(id) ? id->valuestring : "device");
}

static enum cli_exit run_revoke(const struct cli_call *call)
{
    struct cli_request request = {
        .method = "POST", .path = DEVICE_PATH, .segment = call->args[0], .suffix = "/revoke"};
    return cli_api_run(call, &request, show_revoked);
}

const struct cli_verb cli_device_list = {
    .noun = "device",
    .action = "list",
    .args = "",
    .summary = "List the devices, what they run and when they were seen",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .run = run_list,
};

const struct cli_verb cli_device_show = {
    .noun = "device",
    .action = "show",
    .args = "ID",
    .summary = "Show one device, its health and its rollouts",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_show,
};

const struct cli_verb cli_device_revoke = {
    .noun = "device",
    .action = "revoke",
    .args = "ID",
    .summary = "Refuse a device from now on",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_revoke,
};
