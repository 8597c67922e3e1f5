/* SPDX-License-Identifier: Apache-2.0 */
#include "host/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_TEXT_MAX 2048u /* a longer line is cut and ends in "..." */
#define LOG_LINE_MAX (LOG_TEXT_MAX * 4u + 128u)

/* The log is the process' own, like stderr: the one piece of state in host/ that no caller holds.
 */
static struct {
    const char *program;
    enum host_log_level level;
} log_state = {.program = NULL, .level = HOST_LOG_INFO};

static const char *const level_names[] = {
    [HOST_LOG_ERROR] = "ERROR",
    [HOST_LOG_WARN] = "WARN",
    [HOST_LOG_INFO] = "INFO",
    [HOST_LOG_DEBUG] = "DEBUG",
};

void host_log_init(const char *program, enum host_log_level level)
{
    log_state.program = program;
    log_state.level = level;
}

static size_t put_prefix(char *out, size_t size, enum host_log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(out + len, size - len, ".%03ldZ %s %s%s%s ", now.tv_nsec / 1000000,
                        level_names[level], log_state.program != NULL ? log_state.program : "",
                        log_state.program != NULL ? " " : "", event);
    return more < 0 || (size_t)more >= size - len ? len : len + (size_t)more;
}

/* What peers send ends up in values: nothing in it may start a line of its own or drive a terminal.
 */
static size_t put_escaped(char *out, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte >= 0x20 && byte != 0x7F) {
            out[len++] = *p;
            continue;
        }
        out[len++] = '\\';
        out[len++] = 'x';
        out[len++] = hex[byte >> 4];
        out[len++] = hex[byte & 15];
    }
    return len;
}

static void write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, data, len);
        if (written <= 0) {
            return; /* nobody reads our stderr: there is no other place to say so */
        }
        data += written;
        len -= (size_t)written;
    }
}

void host_log(enum host_log_level level, const char *event, const char *format, ...)
{
    char text[LOG_TEXT_MAX];
    char line[LOG_LINE_MAX];
    if (level > log_state.level) {
        return;
    }
    va_list args;
    va_start(args, format);
    int text_len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (text_len < 0) {
        text[0] = '\0';
    }

    size_t len = put_prefix(line, 128, level, event);
    len += put_escaped(line + len, text);
    if (text_len >= (int)sizeof(text)) {
        line[len - 3] = line[len - 2] = line[len - 1] = '.';
    }
    while (line[len - 1] == ' ') {
        len--;
    }
    line[len++] = '\n';
    write_all(line, len); /* one write: lines of several processes do not mix */
}
