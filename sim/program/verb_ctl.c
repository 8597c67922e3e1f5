/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"

#define READ_CHUNK 16384u

struct ctl_options {
    bool help;
};

static const struct host_option rows[] = {
    PROGRAM_HELP_ROW,
    {0},
};
static const struct host_option_set option_set = {.rows = rows};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static bool send_command(int fd, const struct program_call *call)
{
    struct host_buf line;
    host_buf_init(&line, CONTROL_LINE_MAX);
    for (size_t i = 1; i < call->arg_count; i++) {
        host_buf_printf(&line, "%s%s", i > 1 ? " " : "", call->args[i]);
    }
    host_buf_append(&line, "\n", 1);
    bool sent =
        host_buf_ok(&line) && send(fd, line.data, line.len, MSG_NOSIGNAL) == (ssize_t)line.len;
    host_buf_free(&line);
    return sent;
}

static bool read_reply(int fd, struct host_buf *reply)
{
    char bytes[READ_CHUNK];
    while (reply->len == 0 || reply->data[reply->len - 1] != '\n') {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got <= 0) {
            return false;
        }
        host_buf_append(reply, bytes, (size_t)got);
        if (!host_buf_ok(reply)) {
            return false;
        }
    }
    return true;
}

static bool says_ok(const struct host_buf *reply)
{
    cJSON *json = cJSON_ParseWithLength(reply->data, reply->len);
    bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "ok"));
    cJSON_Delete(json);
    return ok;
}

static enum program_exit run(const struct program_call *call)
{
    int fd = connect_to(call->args[0]);
    if (fd < 0) {
        return program_error(PROGRAM_FAILED, "%s: %s", call->args[0], strerror(errno));
    }
    struct host_buf reply;
    enum program_exit code = PROGRAM_OK;
    host_buf_init(&reply, CONTROL_REPLY_MAX);
    if (!send_command(fd, call) || !read_reply(fd, &reply)) {
        code = program_error(PROGRAM_FAILED, "%s: no answer", call->args[0]);
    } else {
        fputs(host_buf_text(&reply), stdout);
        code = says_ok(&reply) ? PROGRAM_OK : PROGRAM_FAILED;
    }
    host_buf_free(&reply);
    close(fd);
    return code;
}

const struct program_verb verb_ctl = {
    .name = "ctl",
    .args = "SOCKET COMMAND …",
    .summary = "Talk to a running fleet; prints one line of JSON",
    .detail = "Commands: status; cut ID; cut-at-op ID N (in the Nth flash operation from now);\n"
              "cut-random COUNT; power ID on|off; quit.\n",
    .options = &option_set,
    .options_size = sizeof(struct ctl_options),
    .min_args = 2,
    .max_args = 4,
    .run = run,
};
