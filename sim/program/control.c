/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/parse.h"

#define BACKLOG  16
#define MAX_ARGS 3u
#define MAX_OPS  1000000u

struct control {
    struct runner *runner;
    struct host_watch watch;
    struct client *clients;
    struct sockaddr_un address;
};

struct client {
    struct control *control;
    struct host_watch watch;
    struct host_buf in, out;
    struct client *next;
};

/* ---- answers ---- */

static cJSON *answer_ok(void)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    return json;
}

static cJSON *answer_error(const char *text)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddFalseToObject(json, "ok");
    cJSON_AddStringToObject(json, "error", text);
    return json;
}

static void add_count(cJSON *object, const char *name, double more)
{
    cJSON *old = cJSON_GetObjectItemCaseSensitive(object, name);
    if (old == NULL) {
        cJSON_AddNumberToObject(object, name, more);
    } else {
        cJSON_SetNumberValue(old, old->valuedouble + more);
    }
}

static void add_resets(cJSON *board, const struct sim_board_status *status)
{
    cJSON *resets = cJSON_AddObjectToObject(board, "resets");
    for (unsigned i = 0; i < SIM_RESET_REASONS; i++) {
        if (status->resets[i] != 0) {
            cJSON_AddNumberToObject(resets, kedge_reset_text((enum kedge_reset)i),
                                    status->resets[i]);
        }
    }
}

static cJSON *board_json(const struct unit_view *view)
{
    cJSON *board = cJSON_CreateObject();
    cJSON_AddStringToObject(board, "id", view->id);
    cJSON_AddBoolToObject(board, "powered", view->is_powered);
    cJSON_AddBoolToObject(board, "bricked", view->is_bricked);
    cJSON_AddStringToObject(board, "version", view->board->running.version);
    cJSON_AddNumberToObject(board, "slot", view->board->running_slot);
    cJSON_AddStringToObject(board, "state", view->agent_state);
    cJSON_AddNumberToObject(board, "boots", view->board->boots);
    add_resets(board, view->board);
    cJSON_AddNumberToObject(board, "downloads", (double)view->stats->downloads);
    cJSON_AddNumberToObject(board, "download_bytes", (double)view->stats->download_bytes);
    cJSON_AddNumberToObject(board, "flash_ops", (double)view->flash_ops);
    return board;
}

static cJSON *do_status(struct runner *runner, const char *const *args)
{
    (void)args;
    cJSON *json = answer_ok();
    cJSON *totals = cJSON_AddObjectToObject(json, "totals");
    cJSON *versions = cJSON_AddObjectToObject(totals, "versions");
    cJSON *boards = cJSON_AddArrayToObject(json, "boards");
    for (size_t i = 0; i < runner_count(runner); i++) {
        struct unit_view view;
        unit_look(runner_unit(runner, i), &view);
        cJSON_AddItemToArray(boards, board_json(&view));
        add_count(totals, "boards", 1);
        add_count(totals, "running", view.board->state == SIM_BOARD_RUNNING);
        add_count(totals, "bricked", view.is_bricked);
        add_count(totals, "downloads", (double)view.stats->downloads);
        add_count(totals, "download_bytes", (double)view.stats->download_bytes);
        if (view.board->running.version[0] != '\0') {
            add_count(versions, view.board->running.version, 1);
        }
    }
    return json;
}

/* ---- commands ---- */

static cJSON *do_cut(struct runner *runner, const char *const *args)
{
    struct unit *unit = runner_find(runner, args[0]);
    if (unit == NULL) {
        return answer_error("no board of that id");
    }
    unit_cut(unit);
    return answer_ok();
}

static cJSON *do_cut_at_op(struct runner *runner, const char *const *args)
{
    struct unit *unit = runner_find(runner, args[0]);
    uint64_t nth;
    if (unit == NULL) {
        return answer_error("no board of that id");
    }
    if (host_parse_u64(args[1], 1, MAX_OPS, &nth) != KEDGE_OK) {
        return answer_error("the flash operation is a number from 1 on");
    }
    unit_cut_at_op(unit, nth);
    return answer_ok();
}

static cJSON *do_cut_random(struct runner *runner, const char *const *args)
{
    uint64_t count;
    if (host_parse_u64(args[0], 1, MAX_OPS, &count) != KEDGE_OK) {
        return answer_error("the number of boards is from 1 on");
    }
    cJSON *json = answer_ok();
    cJSON_AddNumberToObject(json, "cut", (double)runner_cut_random(runner, (size_t)count));
    return json;
}

static cJSON *do_power(struct runner *runner, const char *const *args)
{
    struct unit *unit = runner_find(runner, args[0]);
    bool on = strcmp(args[1], "on") == 0;
    if (unit == NULL) {
        return answer_error("no board of that id");
    }
    if (!on && strcmp(args[1], "off") != 0) {
        return answer_error("power is on or off");
    }
    unit_set_power(unit, on);
    return answer_ok();
}

static cJSON *do_quit(struct runner *runner, const char *const *args)
{
    (void)args;
    host_loop_stop(runner_loop(runner));
    return answer_ok();
}

static const struct command {
    const char *name;
    size_t arg_count;
    cJSON *(*run)(struct runner *runner, const char *const *args);
} commands[] = {
    {"status", 0, do_status},         {"cut", 1, do_cut},     {"cut-at-op", 2, do_cut_at_op},
    {"cut-random", 1, do_cut_random}, {"power", 2, do_power}, {"quit", 0, do_quit},
};

/* Words of a line, in place; more than fit are counted only. */
static size_t split(char *line, const char **words, size_t max)
{
    size_t count = 0;
    for (;;) {
        line += strspn(line, " \t\r");
        if (*line == '\0') {
            return count;
        }
        if (count < max) {
            words[count] = line;
        }
        count++;
        line += strcspn(line, " \t\r");
        if (*line != '\0') {
            *line++ = '\0';
        }
    }
}

static cJSON *run_line(struct runner *runner, char *line)
{
    const char *words[MAX_ARGS] = {NULL};
    size_t count = split(line, words, MAX_ARGS);
    for (size_t i = 0; count > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, words[0]) == 0) {
            return count == commands[i].arg_count + 1 ? commands[i].run(runner, words + 1)
                                                      : answer_error("wrong number of arguments");
        }
    }
    return answer_error("unknown command; expected status, cut ID, cut-at-op ID N, cut-random N, "
                        "power ID on|off or quit");
}

static void answer(struct client *client, char *line)
{
    cJSON *json = run_line(client->control->runner, line);
    char *text = cJSON_PrintUnformatted(json);
    host_buf_append(&client->out, text, strlen(text));
    host_buf_append(&client->out, "\n", 1);
    cJSON_free(text);
    cJSON_Delete(json);
}

/* ---- sockets ---- */

static struct host_loop *loop_of(const struct client *client)
{
    return runner_loop(client->control->runner);
}

static void free_client(struct client *client)
{
    struct client **link = &client->control->clients;
    while (*link != client) {
        link = &(*link)->next;
    }
    *link = client->next;
    host_loop_unwatch(loop_of(client), &client->watch);
    close(client->watch.fd);
    host_buf_free(&client->in);
    host_buf_free(&client->out);
    free(client);
}

/* False when the client is gone. */
static bool send_out(struct client *client)
{
    while (client->out.len > 0) {
        ssize_t sent = send(client->watch.fd, client->out.data, client->out.len, MSG_NOSIGNAL);
        if (sent < 0) {
            break;
        }
        host_buf_consume(&client->out, (size_t)sent);
    }
    bool is_stuck = client->out.len > 0 && errno != EAGAIN && errno != EINTR;
    unsigned interest = HOST_LOOP_READ | (client->out.len > 0 ? HOST_LOOP_WRITE : 0u);
    host_loop_change(loop_of(client), &client->watch, interest);
    return !is_stuck && host_buf_ok(&client->out);
}

static bool read_in(struct client *client)
{
    char bytes[CONTROL_LINE_MAX];
    ssize_t got = recv(client->watch.fd, bytes, sizeof(bytes), 0);
    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    host_buf_append(&client->in, bytes, (size_t)got);
    if (!host_buf_ok(&client->in)) {
        return false;
    }
    char *end;
    while (client->in.len > 0 && (end = memchr(client->in.data, '\n', client->in.len)) != NULL) {
        *end = '\0';
        size_t len = (size_t)(end - client->in.data) + 1;
        answer(client, client->in.data);
        host_buf_consume(&client->in, len);
    }
    return true;
}

static void on_client(void *ctx, unsigned events)
{
    struct client *client = ctx;
    bool alive = true;
    if ((events & (HOST_LOOP_READ | HOST_LOOP_ERROR)) != 0) {
        alive = read_in(client);
    }
    if (!alive || !send_out(client)) {
        free_client(client);
    }
}

static void on_listener(void *ctx, unsigned events)
{
    struct control *control = ctx;
    (void)events;
    int fd = accept(control->watch.fd, NULL, NULL);
    if (fd < 0) {
        return;
    }
    struct client *client = host_calloc(1, sizeof(*client));
    client->control = control;
    client->next = control->clients;
    control->clients = client;
    host_buf_init(&client->in, 2u * CONTROL_LINE_MAX);
    host_buf_init(&client->out, CONTROL_REPLY_MAX);
    client->watch.ready = on_client;
    client->watch.ctx = client;
    host_loop_watch(loop_of(client), &client->watch, fd, HOST_LOOP_READ);
}

struct control *control_open(struct runner *runner, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    memcpy(address.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)unlink(path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = saved;
        return NULL;
    }
    struct control *control = host_calloc(1, sizeof(*control));
    control->runner = runner;
    control->address = address;
    control->watch.ready = on_listener;
    control->watch.ctx = control;
    host_loop_watch(runner_loop(runner), &control->watch, fd, HOST_LOOP_READ);
    return control;
}

void control_close(struct control *control)
{
    if (control == NULL) {
        return;
    }
    while (control->clients != NULL) {
        free_client(control->clients);
    }
    host_loop_unwatch(runner_loop(control->runner), &control->watch);
    close(control->watch.fd);
    (void)unlink(control->address.sun_path);
    free(control);
}
