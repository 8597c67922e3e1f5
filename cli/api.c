/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "fault.h"
#include "folder.h"
#include "host/parse.h"

#define ANSWER_MAX        (16u * 1024u * 1024u)
#define TOKEN_MAX         256u
#define URL_MAX           2048u
#define CONNECT_TIMEOUT_S 5L
#define CALL_TIMEOUT_S    30L
#define STALL_S           30L /* an upload that moves nothing for so long has failed */
#define BAR_WIDTH         40

struct cli_api {
    CURL *curl;
    char base[512]; /* "https://127.0.0.1:8444" */
    char ca_file[PATH_MAX];
    char curl_error[CURL_ERROR_SIZE];
    struct curl_slist *headers; /* Authorization, X-Actor */
    struct host_buf answer;
};

/* ---- opening ---- */

static const char *host_to_call(const char *listen_host)
{
    return strcmp(listen_host, "0.0.0.0") == 0 || strcmp(listen_host, "::") == 0 ? "localhost"
                                                                                 : listen_host;
}

static enum cli_exit set_base(struct cli_api *api, const char *listen)
{
    char host[256];
    uint16_t port = 0;
    if (host_parse_address(listen, host, sizeof(host), &port) != KEDGE_OK) {
        return cli_error(CLI_FAILED,
                         CLI_CONFIG ": listen-admin \"%s\" is not understood, expected HOST:PORT",
                         listen);
    }
    bool is_v6 = strchr(host, ':') != NULL && strcmp(host, "::") != 0;
    snprintf(api->base, sizeof(api->base), "https://%s%s%s:%u", is_v6 ? "[" : "",
             host_to_call(host), is_v6 ? "]" : "", (unsigned)port);
    return CLI_OK;
}

/* Who did it, for the audit: letters that cannot break a header. */
static void actor_name(char *out, size_t size)
{
    const char *name = getenv("USER");
    if (name == NULL || name[0] == '\0') {
        const struct passwd *user = getpwuid(geteuid());
        name = user != NULL ? user->pw_name : "unknown";
    }
    size_t len = 0;
    for (; name[len] != '\0' && len + 1 < size; len++) {
        bool plain = isalnum((unsigned char)name[len]) || strchr("._-@", name[len]) != NULL;
        out[len] = plain ? name[len] : '_';
    }
    out[len] = '\0';
}

static void add_header(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);
    if (longer == NULL) {
        abort(); /* out of memory */
    }
    *list = longer;
}

static enum cli_exit set_headers(struct cli_api *api, const char *token_path)
{
    struct host_buf token;
    char actor[64];
    char header[TOKEN_MAX + 64];
    enum cli_exit code = cli_read_file(token_path, TOKEN_MAX, &token);
    if (code == CLI_OK) {
        size_t len = strcspn(host_buf_text(&token), "\r\n");
        snprintf(header, sizeof(header), "Authorization: Bearer %.*s", (int)len,
                 host_buf_text(&token));
        add_header(&api->headers, header);
        actor_name(actor, sizeof(actor));
        snprintf(header, sizeof(header), "X-Actor: %s", actor);
        add_header(&api->headers, header);
    }
    host_buf_free(&token);
    return code == CLI_NOT_FOUND ? CLI_FAILED : code;
}

static size_t take_answer(char *data, size_t size, size_t count, void *ctx)
{
    struct cli_api *api = ctx;
    host_buf_append(&api->answer, data, size * count);
    return host_buf_ok(&api->answer) ? size * count : 0;
}

static enum cli_exit configure(struct cli_api *api, const char *data,
                               const struct cli_settings *settings)
{
    struct cli_path path;
    enum cli_exit code = set_base(api, settings->listen_admin);
    if (code != CLI_OK || cli_path_in(&path, data, settings->tls_ca) != KEDGE_OK) {
        return CLI_FAILED;
    }
    memcpy(api->ca_file, path.text, sizeof(api->ca_file));
    if (cli_path_in(&path, data, settings->admin_token_file) != KEDGE_OK) {
        return CLI_FAILED;
    }
    return set_headers(api, path.text);
}

enum cli_exit cli_api_open(const char *data, struct cli_api **api_out)
{
    struct cli_settings settings;
    if (cli_settings_read(data, &settings) != KEDGE_OK) {
        return CLI_FAILED;
    }
    struct cli_api *api = host_calloc(1, sizeof(*api));
    host_buf_init(&api->answer, ANSWER_MAX);
    enum cli_exit code = configure(api, data, &settings);
    cli_settings_free(&settings);
    if (code == CLI_OK && (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
                           (api->curl = curl_easy_init()) == NULL)) {
        code = cli_error(CLI_FAILED, "libcurl does not start");
    }
    if (code != CLI_OK) {
        cli_api_close(api);
        return code;
    }
    *api_out = api;
    return CLI_OK;
}

void cli_api_close(struct cli_api *api)
{
    if (api == NULL) {
        return;
    }
    curl_easy_cleanup(api->curl);
    curl_slist_free_all(api->headers);
    host_buf_free(&api->answer);
    free(api);
}

/* ---- one request ---- */

static enum cli_exit say_curl(const struct cli_api *api, CURLcode result)
{
    const char *detail = api->curl_error[0] != '\0' ? api->curl_error : curl_easy_strerror(result);
    switch ((int)result) {
    case CURLE_COULDNT_CONNECT:
        return cli_error(CLI_FAILED,
                         "kedged is not answering at %s: start it with `make run` or `kedged "
                         "--data DIR`, or name its folder with --data",
                         api->base);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return cli_error(CLI_FAILED,
                         "%s is not the kedged of this data folder (%s): name the right folder "
                         "with --data",
                         api->base, detail);
    case CURLE_OPERATION_TIMEDOUT:
        return cli_error(CLI_FAILED, "kedged at %s took too long (%s): see its log", api->base,
                         detail);
    case CURLE_WRITE_ERROR:
        return cli_error(CLI_FAILED, "the answer of %s is larger than %u bytes", api->base,
                         ANSWER_MAX);
    default:
        return cli_error(CLI_FAILED, "%s: %s; see the log of kedged", api->base, detail);
    }
}

static enum cli_exit say_status(const struct cli_api *api, long status, const cJSON *answer)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    if (status == 401) {
        return cli_error(CLI_FAILED,
                         "%s does not take the token of this data folder: name the right folder "
                         "with --data",
                         api->base);
    }
    enum cli_exit code = status == 404 ? CLI_NOT_FOUND : CLI_FAILED;
    if (cJSON_IsString(error)) {
        return cli_error(code, "%s", error->valuestring);
    }
    return cli_error(code, "%s answered HTTP %ld without a reason; see the log of kedged",
                     api->base, status);
}

static void set_common(struct cli_api *api, const char *url, const struct curl_slist *headers)
{
    curl_easy_reset(api->curl);
    host_buf_reset(&api->answer);
    api->curl_error[0] = '\0';
    curl_easy_setopt(api->curl, CURLOPT_URL, url);
    curl_easy_setopt(api->curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(api->curl, CURLOPT_CAINFO, api->ca_file);
    curl_easy_setopt(api->curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(api->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(api->curl, CURLOPT_ERRORBUFFER, api->curl_error);
    curl_easy_setopt(api->curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(api->curl, CURLOPT_WRITEDATA, api);
    curl_easy_setopt(api->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(api->curl, CURLOPT_NOSIGNAL, 1L);
}

/* The answer's bytes are in api->answer when it is CLI_OK. */
static enum cli_exit exchange(struct cli_api *api, long accepted, long *status)
{
    CURLcode result = curl_easy_perform(api->curl);
    curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, status);
    /* A server that refuses an upload early may close before it has all of it; what it said counts.
     */
    if (result != CURLE_OK && (*status < 400 || api->answer.len == 0)) {
        return say_curl(api, result);
    }
    if ((*status >= 200 && *status < 300) || *status == accepted) {
        return CLI_OK;
    }
    cJSON *json = cJSON_ParseWithLength(host_buf_text(&api->answer), api->answer.len);
    enum cli_exit code = say_status(api, *status, json);
    cJSON_Delete(json);
    return code;
}

static enum cli_exit perform(struct cli_api *api, long accepted, long *status, cJSON **answer)
{
    enum cli_exit code = exchange(api, accepted, status);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *json = cJSON_ParseWithLength(host_buf_text(&api->answer), api->answer.len);
    if (json == NULL && api->answer.len != 0) {
        return cli_error(CLI_FAILED, "%s answered something that is not JSON: is it kedged?",
                         api->base);
    }
    *answer = json;
    return CLI_OK;
}

/* base + path + segment + suffix. */
static enum cli_exit make_url(struct cli_api *api, const struct cli_request *request, char *url)
{
    char *escaped =
        request->segment != NULL ? curl_easy_escape(api->curl, request->segment, 0) : NULL;
    int len =
        snprintf(url, URL_MAX, "%s%s%s%s", api->base, request->path, escaped != NULL ? escaped : "",
                 request->suffix != NULL ? request->suffix : "");
    curl_free(escaped);
    if (len < 0 || (size_t)len >= URL_MAX) {
        return cli_error(CLI_USAGE, "the name is too long, expected at most 64 characters");
    }
    return CLI_OK;
}

enum cli_exit cli_api_call_status(struct cli_api *api, const struct cli_request *request,
                                  long accepted, long *status, cJSON **answer)
{
    char url[URL_MAX];
    enum cli_exit code = make_url(api, request, url);
    if (code != CLI_OK) {
        return code;
    }
    struct curl_slist *headers = NULL;
    for (const struct curl_slist *row = api->headers; row != NULL; row = row->next) {
        add_header(&headers, row->data);
    }
    add_header(&headers, "Content-Type: application/json");
    char *body = request->body != NULL ? cJSON_PrintUnformatted(request->body) : NULL;

    set_common(api, url, headers);
    curl_easy_setopt(api->curl, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
    if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(api->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(body != NULL ? strlen(body) : 0));
        curl_easy_setopt(api->curl, CURLOPT_COPYPOSTFIELDS, body != NULL ? body : "");
    }
    code = perform(api, accepted, status, answer);
    cJSON_free(body);
    curl_slist_free_all(headers);
    return code;
}

enum cli_exit cli_api_call(struct cli_api *api, const struct cli_request *request, cJSON **answer)
{
    long status = 0;
    return cli_api_call_status(api, request, 200, &status, answer);
}

enum cli_exit cli_api_fetch(struct cli_api *api, const struct cli_request *request,
                            struct host_buf *bytes)
{
    char url[URL_MAX];
    long status = 0;
    host_buf_init(bytes, ANSWER_MAX);
    enum cli_exit code = make_url(api, request, url);
    if (code != CLI_OK) {
        return code;
    }
    set_common(api, url, api->headers);
    curl_easy_setopt(api->curl, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
    code = exchange(api, 200, &status);
    if (code == CLI_OK) {
        host_buf_append(bytes, host_buf_text(&api->answer), api->answer.len);
    }
    return code;
}

/* ---- upload ---- */

static size_t read_file(char *out, size_t size, size_t count, void *ctx)
{
    FILE *file = ctx;
    size_t got = fread(out, size, count, file);
    return ferror(file) ? CURL_READFUNC_ABORT : got;
}

static int draw_bar(void *ctx, curl_off_t down_total, curl_off_t down_now, curl_off_t total,
                    curl_off_t now)
{
    int *drawn = ctx;
    (void)down_total;
    (void)down_now;
    int percent = total > 0 ? (int)(now * 100 / total) : 0;
    if (total <= 0 || percent == *drawn) {
        return 0;
    }
    *drawn = percent;
    int full = BAR_WIDTH * percent / 100;
    fprintf(stderr, "\rupload [%.*s%*s] %3d %%%s", full, "########################################",
            BAR_WIDTH - full, "", percent, percent == 100 ? "\n" : "");
    return 0;
}

static enum cli_exit notes_header(const char *notes, struct curl_slist **headers)
{
    struct host_buf header;
    for (const char *p = notes; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) {
            return cli_error(CLI_USAGE, "--notes: control characters, expected one line of text");
        }
    }
    host_buf_init(&header, SIZE_MAX);
    host_buf_printf(&header, "X-Release-Notes: %s", notes);
    add_header(headers, host_buf_text(&header));
    host_buf_free(&header);
    return CLI_OK;
}

static enum cli_exit send_file(struct cli_api *api, const char *path, FILE *file, off_t size,
                               struct curl_slist *headers, long *status, cJSON **answer)
{
    char url[URL_MAX];
    int drawn = -1;
    snprintf(url, sizeof(url), "%s%s", api->base, path);
    set_common(api, url, headers);
    curl_easy_setopt(api->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(api->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    curl_easy_setopt(api->curl, CURLOPT_READFUNCTION, read_file);
    curl_easy_setopt(api->curl, CURLOPT_READDATA, file);
    curl_easy_setopt(api->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(api->curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
    if (isatty(STDERR_FILENO)) {
        curl_easy_setopt(api->curl, CURLOPT_XFERINFOFUNCTION, draw_bar);
        curl_easy_setopt(api->curl, CURLOPT_XFERINFODATA, &drawn);
        curl_easy_setopt(api->curl, CURLOPT_NOPROGRESS, 0L);
    }
    return perform(api, 200, status, answer);
}

enum cli_exit cli_api_upload(struct cli_api *api, const char *path, const char *file_path,
                             const char *notes, long *status, cJSON **answer)
{
    struct stat info;
    FILE *file = fopen(file_path, "rb");
    if (file == NULL || fstat(fileno(file), &info) != 0) {
        enum cli_exit code = errno == ENOENT ? CLI_NOT_FOUND : CLI_FAILED;
        cli_error(code, "%s: cannot be read: %s", file_path, strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return code;
    }
    struct curl_slist *headers = NULL;
    for (const struct curl_slist *row = api->headers; row != NULL; row = row->next) {
        add_header(&headers, row->data);
    }
    add_header(&headers, "Content-Type: application/octet-stream");
    add_header(&headers, "Expect:"); /* one round trip less; a refusal is read all the same */
    enum cli_exit code = notes != NULL ? notes_header(notes, &headers) : CLI_OK;
    if (code == CLI_OK && !S_ISREG(info.st_mode)) {
        code = cli_error(CLI_FAILED, "%s: not a file, expected an image", file_path);
    }
    if (code == CLI_OK) {
        code = send_file(api, path, file, info.st_size, headers, status, answer);
    }
    curl_slist_free_all(headers);
    fclose(file);
    return code;
}

/* ---- for simple verbs ---- */

void cli_print_json(const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    puts(text != NULL ? text : "null");
    cJSON_free(text);
}

enum cli_exit cli_api_run(const struct cli_call *call, const struct cli_request *request,
                          void (*show)(const cJSON *answer))
{
    struct cli_api *api = NULL;
    cJSON *answer = NULL;
    enum cli_exit code = cli_api_open(call->common->data, &api);
    if (code != CLI_OK) {
        return code;
    }
    code = cli_api_call(api, request, &answer);
    if (code == CLI_OK && call->common->json) {
        cli_print_json(answer);
    } else if (code == CLI_OK && show != NULL) {
        show(answer);
    }
    cJSON_Delete(answer);
    cli_api_close(api);
    return code;
}
