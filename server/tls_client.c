/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>

#include "tls.h"

/* The attempt'th of the list, again from its start behind its end. */
static const struct addrinfo *pick(const struct addrinfo *infos, unsigned attempt)
{
    unsigned count = 0;

    for (const struct addrinfo *info = infos; info != NULL; info = info->ai_next) {
        count++;
    }
    for (unsigned skip = attempt % count; skip > 0; skip--) {
        infos = infos->ai_next;
    }
    return infos;
}

/* A non-blocking connect; -1 with errno. */
static int begin_connect(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
        (connect(fd, info->ai_addr, info->ai_addrlen) != 0 && errno != EINPROGRESS)) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

enum kedge_err srv_tls_client_connect(struct srv_tls_client *client, const char *host,
                                      uint16_t port, unsigned attempt, const char **reason)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    char port_text[8];

    (void)snprintf(port_text, sizeof port_text, "%u", (unsigned)port);

    int resolved = getaddrinfo(host, port_text, &hints, &infos);

    if (resolved != 0) {
        *reason = gai_strerror(resolved);
        return KEDGE_ERR_IO;
    }
    client->fd = begin_connect(pick(infos, attempt));

    int error = errno;

    freeaddrinfo(infos);
    if (client->fd < 0) {
        *reason = strerror(error);
        return KEDGE_ERR_IO;
    }
    return KEDGE_OK;
}

enum kedge_err srv_tls_client_start(struct srv_tls_client *client, SSL_CTX *tls, const char *host,
                                    const char **reason)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        *reason = strerror(error != 0 ? error : errno);
        return KEDGE_ERR_IO;
    }
    client->ssl = SSL_new(tls);
    if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1 ||
        srv_tls_expect_host(client->ssl, host) != KEDGE_OK) {
        *reason = "cannot set up TLS";
        return KEDGE_ERR_IO;
    }
    return KEDGE_OK;
}

static enum srv_tls_io io_result(struct srv_tls_client *client, int result)
{
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return SRV_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return SRV_TLS_WANT_WRITE;
    default:
        return SRV_TLS_BROKEN;
    }
}

enum srv_tls_io srv_tls_client_handshake(struct srv_tls_client *client)
{
    ERR_clear_error();

    int result = SSL_connect(client->ssl);

    return result == 1 ? SRV_TLS_DONE : io_result(client, result);
}

enum srv_tls_io srv_tls_client_read(struct srv_tls_client *client, void *out, size_t size,
                                    size_t *len)
{
    ERR_clear_error();

    int result = SSL_read_ex(client->ssl, out, size, len);

    return result == 1 ? SRV_TLS_DONE : io_result(client, result);
}

enum srv_tls_io srv_tls_client_write(struct srv_tls_client *client, struct host_buf *out)
{
    while (out->len > 0) {
        size_t written = 0;

        ERR_clear_error();

        int result = SSL_write_ex(client->ssl, out->data, out->len, &written);

        if (result != 1) {
            return io_result(client, result);
        }
        host_buf_consume(out, written);
    }
    return SRV_TLS_DONE;
}

void srv_tls_client_close(struct srv_tls_client *client)
{
    SSL_free(client->ssl);
    client->ssl = NULL;
    if (client->fd >= 0) {
        (void)close(client->fd);
        client->fd = -1;
    }
}
