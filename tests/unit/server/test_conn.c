/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <cmocka.h>

#include "conn.h"
#include "host/log.h"
#include "test_pki.h"
#include "tls.h"

/*
 * The engine over real TLS on loopback. Server and client share one thread: whenever the client
 * would wait, the server's loop takes a turn.
 */
#define FILE_SIZE    300000u
#define PATIENCE     2000 /* turns of at most 5 ms */
#define UPLOAD_LIMIT 1000000u

struct world {
    struct test_pki pki;
    struct host_loop *loop;
    SSL_CTX *server_tls;
    struct srv_limits limits;
    struct srv_listener *listener;
    struct sockaddr_in address;
    /* what the application saw */
    unsigned authorised, handled, aborted, ended;
    bool denies; /* authorise says 401 */
    char cn[80];
    char cert_sha256[65];
    struct srv_mapping mapping;
    uint8_t *file;
    uint64_t sent_total;
    unsigned progress_done;
    uint64_t uploaded;
    enum kedge_err upload_err;
};

/* --- the application --- */

static bool authorise(void *ctx, const struct srv_request *request, struct srv_response *response)
{
    struct world *world = ctx;

    world->authorised++;
    (void)snprintf(world->cn, sizeof world->cn, "%s", request->peer->cn);
    (void)snprintf(world->cert_sha256, sizeof world->cert_sha256, "%s", request->peer->cert_sha256);
    if (world->denies) {
        srv_response_error(response, 401, "show a token");
    }
    return !world->denies;
}

static void hello(void *ctx, const struct srv_request *request, struct srv_response *response)
{
    struct world *world = ctx;

    world->handled++;
    response->status = 200;
    host_buf_printf(&response->body, "hello %s", request->param);
}

static void echo(void *ctx, const struct srv_request *request, struct srv_response *response)
{
    struct world *world = ctx;

    world->handled++;
    response->status = 200;
    host_buf_append(&response->body, request->body.data, request->body.len);
}

static void on_progress(void *ctx, uint64_t sent_total, bool done)
{
    struct world *world = ctx;

    assert_true(sent_total >= world->sent_total);
    assert_int_equal(world->progress_done, 0);
    world->sent_total = sent_total;
    world->progress_done += done;
}

static void file(void *ctx, const struct srv_request *request, struct srv_response *response)
{
    struct world *world = ctx;
    bool is_part = request->query[0] != '\0';

    world->sent_total = 0;
    world->progress_done = 0;
    world->mapping.references++;
    response->status = is_part ? 206 : 200;
    response->mapping = &world->mapping;
    response->mapping_offset = is_part ? 1000 : 0;
    response->mapping_len = is_part ? 5 : FILE_SIZE;
    response->progress = on_progress;
    response->progress_ctx = world;
}

static void *upload_begin(void *ctx, const struct srv_request *request,
                          struct srv_response *response)
{
    struct world *world = ctx;

    world->uploaded = 0;
    if (request->query[0] != '\0') {
        srv_response_error(response, 404, "no such release");
        return NULL;
    }
    return world;
}

static enum kedge_err upload_write(void *upload, struct kedge_cspan bytes)
{
    struct world *world = upload;

    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != (uint8_t)((world->uploaded + i) * 7u)) {
            return KEDGE_ERR_MISMATCH;
        }
    }
    world->uploaded += bytes.len;
    return world->uploaded > UPLOAD_LIMIT ? KEDGE_ERR_NO_SPACE : KEDGE_OK;
}

static void upload_end(void *upload, enum kedge_err err, struct srv_response *response)
{
    struct world *world = upload;

    world->ended++;
    world->upload_err = err;
    if (err != KEDGE_OK) {
        srv_response_error(response, 507, "no space left");
        return;
    }
    response->status = 201;
}

static void upload_abort(void *upload)
{
    struct world *world = upload;

    world->aborted++;
}

static const struct srv_upload_ops upload_ops = {upload_begin, upload_write, upload_end,
                                                 upload_abort};
static const struct srv_route routes[] = {
    {SRV_GET, "/hello/*", hello, NULL},
    {SRV_POST, "/echo", echo, NULL},
    {SRV_GET, "/file", file, NULL},
    {SRV_PUT, "/upload", NULL, &upload_ops},
    {0},
};

static void keep_mapping(struct srv_mapping *mapping)
{
    (void)mapping; /* the world holds a reference of its own: this is a leak's opposite */
    fail_msg("the mapping was released once too often");
}

/* --- the world --- */

static void start(struct world *world)
{
    static struct srv_app app;
    const char *colon = NULL;

    app = (struct srv_app){.routes = routes, .ctx = world, .authorise = authorise};
    world->listener =
        srv_listener_create(world->loop, &(struct srv_listener_config){.name = "test",
                                                                       .address = "127.0.0.1:0",
                                                                       .tls = world->server_tls,
                                                                       .app = &app,
                                                                       .limits = &world->limits});
    assert_non_null(world->listener);
    colon = strrchr(srv_listener_address(world->listener), ':');
    world->address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    (void)signal(SIGPIPE, SIG_IGN);
    host_log_init("test", HOST_LOG_ERROR);
    test_pki_init(&world->pki);
    test_pki_make(&world->pki, "ca", "Test CA", NULL, TEST_CERT_CA);
    test_pki_make(&world->pki, "foreign", "Foreign CA", NULL, TEST_CERT_CA);
    test_pki_make(&world->pki, "server", "server", "ca", TEST_CERT_SERVER);
    test_pki_make(&world->pki, "good", "dev-1", "ca", TEST_CERT_CLIENT);
    test_pki_make(&world->pki, "stranger", "dev-1", "foreign", TEST_CERT_CLIENT);
    test_pki_make(&world->pki, "expired", "dev-1", "ca", TEST_CERT_EXPIRED);

    const struct srv_tls_files files = {test_pki_path(&world->pki, "ca.crt"),
                                        test_pki_path(&world->pki, "server.crt"),
                                        test_pki_path(&world->pki, "server.key")};

    world->server_tls = srv_tls_server(&files);
    assert_non_null(world->server_tls);
    world->loop = host_loop_create();
    world->limits = srv_limits_default;
    world->file = malloc(FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++) {
        world->file[i] = (uint8_t)(i * 31u >> 3);
    }
    world->mapping = (struct srv_mapping){
        .data = world->file, .size = FILE_SIZE, .references = 1, .free = keep_mapping};
    start(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    srv_listener_destroy(world->listener);
    assert_int_equal(world->mapping.references, 1);
    host_loop_destroy(world->loop);
    SSL_CTX_free(world->server_tls);
    test_pki_remove(&world->pki);
    free(world->file);
    free(world);
    return 0;
}

/* Other limits need another listener. */
static void restart(struct world *world)
{
    srv_listener_destroy(world->listener);
    start(world);
}

/* --- the client --- */

struct client {
    struct world *world;
    SSL_CTX *tls;
    SSL *ssl;
    int fd;
};

/* A turn of the server when the client has to wait; false when it may not go on. */
static bool wait_turn(struct client *client, int result, unsigned *turns)
{
    int error = SSL_get_error(client->ssl, result);

    if ((error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) || ++*turns > PATIENCE) {
        return false;
    }
    host_loop_once(client->world->loop, 5);
    return true;
}

static void open_socket(struct client *client)
{
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client->fd, (const struct sockaddr *)&client->world->address,
                             sizeof client->world->address),
                     0);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
}

static bool shake_hands(struct client *client, SSL_SESSION *session)
{
    unsigned turns = 0;
    int result = 0;

    open_socket(client);
    client->ssl = SSL_new(client->tls);
    assert_int_equal(SSL_set_fd(client->ssl, client->fd), 1);
    if (session != NULL) {
        assert_int_equal(SSL_set_session(client->ssl, session), 1);
    }
    do {
        ERR_clear_error();
        result = SSL_connect(client->ssl);
    } while (result != 1 && wait_turn(client, result, &turns));
    return result == 1;
}

/* cert NULL = none; version 0 = any. */
static bool client_open(struct client *client, struct world *world, const char *cert, int version)
{
    char file_name[80];

    *client = (struct client){.world = world, .tls = SSL_CTX_new(TLS_client_method())};
    assert_int_equal(SSL_CTX_load_verify_file(client->tls, test_pki_path(&world->pki, "ca.crt")),
                     1);
    SSL_CTX_set_verify(client->tls, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_session_cache_mode(client->tls, SSL_SESS_CACHE_CLIENT);
    if (version != 0) {
        (void)SSL_CTX_set_min_proto_version(client->tls, version);
        (void)SSL_CTX_set_max_proto_version(client->tls, version);
    }
    if (cert != NULL) {
        (void)snprintf(file_name, sizeof file_name, "%s.crt", cert);
        assert_int_equal(
            SSL_CTX_use_certificate_chain_file(client->tls, test_pki_path(&world->pki, file_name)),
            1);
        (void)snprintf(file_name, sizeof file_name, "%s.key", cert);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(
                             client->tls, test_pki_path(&world->pki, file_name), SSL_FILETYPE_PEM),
                         1);
    }
    return shake_hands(client, NULL);
}

static void client_hang_up(struct client *client)
{
    SSL_free(client->ssl);
    client->ssl = NULL;
    if (client->fd >= 0) {
        (void)close(client->fd);
        client->fd = -1;
    }
}

static void client_close(struct client *client)
{
    client_hang_up(client);
    SSL_CTX_free(client->tls);
}

/* Bytes that were sent before the server stopped taking them. */
static size_t client_send(struct client *client, const void *data, size_t len)
{
    unsigned turns = 0;
    size_t sent = 0;

    while (sent < len) {
        size_t written = 0;

        ERR_clear_error();
        (void)SSL_set_mode(client->ssl,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

        int result = SSL_write_ex(client->ssl, (const char *)data + sent, len - sent, &written);

        if (result == 1) {
            sent += written;
            turns = 0;
        } else if (!wait_turn(client, result, &turns)) {
            break;
        }
    }
    return sent;
}

static void client_say(struct client *client, const char *text)
{
    assert_int_equal(client_send(client, text, strlen(text)), strlen(text));
}

/* len bytes into out; fewer when the server closed. */
static size_t client_receive(struct client *client, char *out, size_t len)
{
    unsigned turns = 0;
    size_t got = 0;

    while (got < len) {
        size_t part = 0;

        ERR_clear_error();

        int result = SSL_read_ex(client->ssl, out + got, len - got, &part);

        if (result == 1) {
            got += part;
            turns = 0;
        } else if (!wait_turn(client, result, &turns)) {
            break;
        }
    }
    return got;
}

struct reply {
    unsigned status; /* 0 = the connection ended first */
    char head[2048];
    char *body; /* NUL added; owned */
    size_t body_len;
};

static bool read_head(struct client *client, struct reply *reply)
{
    size_t len = 0;

    while (len < sizeof reply->head - 1 && client_receive(client, reply->head + len, 1) == 1) {
        len++;
        reply->head[len] = '\0';
        if (len >= 4 && memcmp(reply->head + len - 4, "\r\n\r\n", 4) == 0) {
            return true;
        }
    }
    return false;
}

static void read_reply(struct client *client, struct reply *reply, bool has_body)
{
    *reply = (struct reply){0};
    if (!read_head(client, reply)) {
        return;
    }
    reply->status = (unsigned)strtoul(reply->head + strlen("HTTP/1.1 "), NULL, 10);

    const char *length = strstr(reply->head, "Content-Length: ");
    size_t body_len = length == NULL || !has_body ? 0 : (size_t)strtoul(length + 16, NULL, 10);

    reply->body = malloc(body_len + 1);
    reply->body_len = client_receive(client, reply->body, body_len);
    assert_int_equal(reply->body_len, body_len);
    reply->body[body_len] = '\0';
}

static void expect_reply(struct client *client, unsigned status, const char *body)
{
    struct reply reply;

    read_reply(client, &reply, true);
    assert_int_equal(reply.status, status);
    if (body != NULL && strstr(reply.body, body) == NULL) {
        fail_msg("body \"%s\" does not hold \"%s\"", reply.body, body);
    }
    free(reply.body);
}

/* The server ended the connection, and sent nothing more. */
static void expect_end(struct client *client)
{
    char byte;

    assert_int_equal(client_receive(client, &byte, 1), 0);
    assert_int_not_equal(SSL_get_error(client->ssl, 0), SSL_ERROR_WANT_READ);
}

#define GET_HELLO "GET /hello/x HTTP/1.1\r\nHost: h\r\n\r\n"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* --- who may come in --- */

static void a_device_with_our_certificate_reaches_the_handler(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        struct client client;

        assert_true(client_open(&client, world, "good", versions[i]));
        client_say(&client, GET_HELLO);
        expect_reply(&client, 200, "hello x");
        client_close(&client);
    }
    assert_string_equal(world->cn, "dev-1");
    assert_int_equal(strlen(world->cert_sha256), 64);
    assert_int_equal(world->handled, 2);
}

static void a_certificate_that_does_not_verify_is_told_why_and_reaches_no_handler(void **state)
{
    static const struct {
        const char *cert, *reason;
    } rows[] = {
        {"stranger", "unable to get local issuer"},
        {"expired", "certificate has expired"},
        {"server", "purpose"},
        {"foreign", "self-signed"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct client client;

        assert_true(client_open(&client, world, rows[i / 2].cert, versions[i % 2]));
        client_say(&client, GET_HELLO);
        expect_reply(&client, 403, rows[i / 2].reason);
        expect_end(&client);
        assert_int_equal(world->authorised, i + 1);
        client_close(&client);
    }
    assert_int_equal(world->handled, 0);
}

static void a_refused_peer_hears_403_even_for_nonsense(void **state)
{
    struct client client;

    assert_true(client_open(&client, *state, "stranger", 0));
    client_say(&client, "nonsense\r\n\r\n");
    expect_reply(&client, 403, "certificate refused");
    client_close(&client);
}

static void without_a_certificate_there_is_no_answer(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        struct client client;
        struct reply reply = {0};

        if (client_open(&client, world, NULL, versions[i])) {
            /* TLS 1.3: the client learns of it when it reads */
            (void)client_send(&client, GET_HELLO, strlen(GET_HELLO));
            read_reply(&client, &reply, true);
        }
        assert_int_equal(reply.status, 0);
        client_close(&client);
    }
    assert_int_equal(world->authorised, 0);
}

/* A request on a first connection, then one on a second that offers its session. */
static bool resume(struct world *world, const char *cert, int version, unsigned status)
{
    struct client client;

    assert_true(client_open(&client, world, cert, version));
    client_say(&client, GET_HELLO);
    expect_reply(&client, status, NULL);

    SSL_SESSION *session = SSL_get1_session(client.ssl);

    (void)SSL_shutdown(client.ssl);
    client_hang_up(&client);
    assert_true(shake_hands(&client, session));

    bool is_reused = SSL_session_reused(client.ssl) == 1;

    client_say(&client, GET_HELLO);
    expect_reply(&client, status, NULL);
    SSL_SESSION_free(session);
    client_close(&client);
    return is_reused;
}

static void a_good_session_is_resumed_and_still_has_its_name(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        world->cn[0] = '\0';
        assert_true(resume(world, "good", versions[i], 200));
        assert_string_equal(world->cn, "dev-1");
    }
}

static void a_refused_session_stays_refused_when_resumed(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        bool is_reused = resume(world, "stranger", versions[i], 403);

        /* Else this test would not show anything for TLS 1.2. */
        assert_int_equal(is_reused, versions[i] == TLS1_2_VERSION);
    }
    assert_int_equal(world->handled, 0);
}

static void what_authorise_denies_reaches_no_handler(void **state)
{
    struct world *world = *state;
    struct client client;

    world->denies = true;
    assert_true(client_open(&client, world, "good", 0));
    client_say(&client, GET_HELLO);
    expect_reply(&client, 401, "token");
    client_say(&client, GET_HELLO); /* the connection is still good */
    expect_reply(&client, 401, "token");
    assert_int_equal(world->handled, 0);
    client_close(&client);
}

/* --- requests and answers --- */

static void a_connection_takes_many_requests(void **state)
{
    struct client client;

    assert_true(client_open(&client, *state, "good", 0));
    for (unsigned i = 0; i < 50; i++) {
        client_say(&client, GET_HELLO);
        expect_reply(&client, 200, "hello x");
    }
    client_close(&client);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct client client;
    struct reply reply;

    assert_true(client_open(&client, *state, "good", 0));
    client_say(&client, "GET /hello/a HTTP/1.1\r\nHost: h\r\n\r\n"
                        "HEAD /hello/bcd HTTP/1.1\r\nHost: h\r\n\r\n"
                        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
                        "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect_reply(&client, 200, "hello a");
    read_reply(&client, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.head, "Content-Length: 9\r\n"));
    free(reply.body);
    expect_reply(&client, 200, "body");
    read_reply(&client, &reply, true);
    assert_int_equal(reply.status, 404);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    free(reply.body);
    expect_end(&client);
    client_close(&client);
}

static void a_head_in_single_bytes_is_a_head(void **state)
{
    struct client client;

    assert_true(client_open(&client, *state, "good", 0));
    for (const char *at = GET_HELLO; *at != '\0'; at++) {
        assert_int_equal(client_send(&client, at, 1), 1);
        host_loop_once(client.world->loop, 0);
    }
    expect_reply(&client, 200, "hello x");
    client_close(&client);
}

static void a_bad_request_is_named_and_ends_the_connection(void **state)
{
    static const struct {
        const char *text, *what;
        unsigned status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "Host is missing", 400},
        {"GET / HTTP/1.1\n", "LF without CR", 400},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer", 501},
        {"GET / HTTP/3.0\r\nHost: h\r\n\r\n", "version", 505},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client client;

        assert_true(client_open(&client, *state, "good", 0));
        client_say(&client, rows[i].text);
        expect_reply(&client, rows[i].status, rows[i].what);
        expect_end(&client);
        client_close(&client);
    }
}

static void a_mapping_is_sent_whole_and_in_part(void **state)
{
    struct world *world = *state;
    struct client client;
    struct reply reply;

    for (size_t i = 0; i < 2; i++) {
        assert_true(client_open(&client, world, "good", versions[i]));
        client_say(&client, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
        read_reply(&client, &reply, true);
        assert_int_equal(reply.body_len, FILE_SIZE);
        assert_memory_equal(reply.body, world->file, FILE_SIZE);
        free(reply.body);
        assert_int_equal(world->sent_total, FILE_SIZE);
        client_say(&client, "GET /file?part HTTP/1.1\r\nHost: h\r\n\r\n");
        read_reply(&client, &reply, true);
        assert_int_equal(reply.status, 206);
        assert_int_equal(reply.body_len, 5);
        assert_memory_equal(reply.body, world->file + 1000, 5);
        free(reply.body);
        client_close(&client);
    }
}

static void head_of_a_mapping_has_its_length_and_no_byte(void **state)
{
    struct world *world = *state;
    struct client client;
    struct reply reply;

    assert_true(client_open(&client, world, "good", 0));
    client_say(&client, "HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n");
    read_reply(&client, &reply, false);
    assert_non_null(strstr(reply.head, "Content-Length: 300000\r\n"));
    free(reply.body);
    client_say(&client, GET_HELLO);
    expect_reply(&client, 200, "hello x");
    assert_int_equal(world->sent_total, 0);
    assert_int_equal(world->progress_done, 1);
    client_close(&client);
}

static void a_broken_download_is_reported_once_with_how_far_it_came(void **state)
{
    struct world *world = *state;
    struct client client;
    char some[1000];
    int small = 4096;

    assert_true(client_open(&client, world, "good", 0));
    (void)setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_say(&client, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(client_receive(&client, some, sizeof some), sizeof some);
    client_close(&client);
    for (unsigned i = 0; i < PATIENCE && srv_listener_connections(world->listener) > 0; i++) {
        host_loop_once(world->loop, 5);
    }
    assert_int_equal(world->progress_done, 1);
    assert_true(world->sent_total > 0);
    assert_int_equal(world->mapping.references, 1);
}

/* --- bodies --- */

static uint8_t *make_upload(size_t len)
{
    uint8_t *bytes = malloc(len);

    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7u);
    }
    return bytes;
}

static void say_upload(struct client *client, const char *target, size_t len, const char *extra)
{
    char head[256];

    (void)snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n%s\r\n",
                   target, len, extra);
    client_say(client, head);
}

static void an_upload_is_streamed_and_the_connection_goes_on(void **state)
{
    struct world *world = *state;
    struct client client;
    uint8_t *bytes = make_upload(UPLOAD_LIMIT);

    assert_true(client_open(&client, world, "good", 0));
    say_upload(&client, "/upload", UPLOAD_LIMIT, "");
    assert_int_equal(client_send(&client, bytes, UPLOAD_LIMIT), UPLOAD_LIMIT);
    expect_reply(&client, 201, NULL);
    assert_int_equal(world->uploaded, UPLOAD_LIMIT);
    assert_int_equal(world->upload_err, KEDGE_OK);
    client_say(&client, GET_HELLO);
    expect_reply(&client, 200, "hello x");
    client_close(&client);
    free(bytes);
}

static void a_client_that_expects_100_continue_gets_it(void **state)
{
    struct world *world = *state;
    struct client client;
    uint8_t *bytes = make_upload(50000);

    assert_true(client_open(&client, world, "good", 0));
    say_upload(&client, "/upload", 50000, "Expect: 100-continue\r\n");
    expect_reply(&client, 100, NULL);
    assert_int_equal(client_send(&client, bytes, 50000), 50000);
    expect_reply(&client, 201, NULL);
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
                        "Expect: 100-continue\r\n\r\n");
    expect_reply(&client, 100, NULL);
    client_say(&client, "small");
    expect_reply(&client, 200, "small");
    say_upload(&client, "/upload?refuse", 50000, "Expect: 100-continue\r\n");
    expect_reply(&client, 404, "no such release");
    client_close(&client);
    free(bytes);
}

static void an_early_refusal_reaches_a_client_that_is_still_sending(void **state)
{
    static const struct {
        const char *target;
        unsigned status;
        bool denies;
    } rows[] = {{"/upload?refuse", 404, false},
                {"/none", 404, false},
                {"/upload", 401, true},
                {"/hello/x", 405, false}};
    struct world *world = *state;
    size_t len = 3000000;
    uint8_t *bytes = make_upload(len);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client client;

        world->denies = rows[i].denies;
        assert_true(client_open(&client, world, "good", 0));
        say_upload(&client, rows[i].target, len, "");
        assert_int_equal(client_send(&client, bytes, len), len);
        expect_reply(&client, rows[i].status, NULL);
        expect_end(&client);
        client_close(&client);
    }
    assert_int_equal(world->uploaded, 0);
    free(bytes);
}

static void an_upload_that_the_route_gives_up_on_is_answered(void **state)
{
    struct world *world = *state;
    struct client client;
    size_t len = UPLOAD_LIMIT + 500000;
    uint8_t *bytes = make_upload(len);

    assert_true(client_open(&client, world, "good", 0));
    say_upload(&client, "/upload", len, "");
    assert_int_equal(client_send(&client, bytes, len), len);
    expect_reply(&client, 507, "no space");
    expect_end(&client);
    assert_int_equal(world->upload_err, KEDGE_ERR_NO_SPACE);
    assert_int_equal(world->ended, 1);
    client_close(&client);
    free(bytes);
}

static void an_upload_whose_client_leaves_is_aborted_once(void **state)
{
    struct world *world = *state;
    struct client client;
    uint8_t *bytes = make_upload(100000);

    assert_true(client_open(&client, world, "good", 0));
    say_upload(&client, "/upload", UPLOAD_LIMIT, "");
    assert_int_equal(client_send(&client, bytes, 100000), 100000);
    client_close(&client);
    for (unsigned i = 0; i < PATIENCE && world->aborted == 0; i++) {
        host_loop_once(world->loop, 5);
    }
    assert_int_equal(world->aborted, 1);
    assert_int_equal(world->ended, 0);
    free(bytes);
}

static void lengths_that_cannot_be_are_refused(void **state)
{
    struct client client;

    assert_true(client_open(&client, *state, "good", 0));
    client_say(&client, "PUT /upload HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_reply(&client, 411, "Content-Length");
    client_close(&client);

    assert_true(client_open(&client, *state, "good", 0));
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n");
    expect_reply(&client, 413, "65536");
    expect_end(&client);
    client_close(&client);
}

static void the_largest_buffered_body_arrives(void **state)
{
    struct client client;
    struct reply reply;
    uint8_t *bytes = make_upload(SRV_HTTP_MAX_BODY);

    assert_true(client_open(&client, *state, "good", 0));
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n");
    assert_int_equal(client_send(&client, bytes, SRV_HTTP_MAX_BODY), SRV_HTTP_MAX_BODY);
    read_reply(&client, &reply, true);
    assert_int_equal(reply.body_len, SRV_HTTP_MAX_BODY);
    assert_memory_equal(reply.body, bytes, SRV_HTTP_MAX_BODY);
    free(reply.body);
    client_close(&client);
    free(bytes);
}

/* --- slow and many --- */

static void a_slow_head_is_cut_off(void **state)
{
    struct world *world = *state;
    struct client client;

    world->limits.head_ms = 50;
    restart(world);
    assert_true(client_open(&client, world, "good", 0));
    client_say(&client, "GET /hel");
    expect_reply(&client, 408, "head");
    expect_end(&client);
    client_close(&client);
}

static void a_slow_body_is_cut_off(void **state)
{
    struct world *world = *state;
    struct client client;

    world->limits.body_ms = 50;
    restart(world);
    assert_true(client_open(&client, world, "good", 0));
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\nabc");
    expect_reply(&client, 408, "body");
    client_close(&client);

    assert_true(client_open(&client, world, "good", 0));
    say_upload(&client, "/upload", 5000, "");
    expect_reply(&client, 408, "body");
    assert_int_equal(world->aborted, 1);
    client_close(&client);
}

static void an_idle_connection_and_a_silent_one_are_closed(void **state)
{
    struct world *world = *state;
    struct client client;

    world->limits.idle_ms = 50;
    world->limits.handshake_ms = 50;
    restart(world);
    assert_true(client_open(&client, world, "good", 0));
    client_say(&client, GET_HELLO);
    expect_reply(&client, 200, NULL);
    expect_end(&client);
    client_close(&client);

    client = (struct client){.world = world};
    open_socket(&client);
    for (unsigned i = 0; i < 10; i++) {
        host_loop_once(world->loop, 2);
    }
    assert_int_equal(srv_listener_connections(world->listener), 1);
    for (unsigned i = 0; i < PATIENCE && srv_listener_connections(world->listener) > 0; i++) {
        host_loop_once(world->loop, 5);
    }
    assert_int_equal(srv_listener_connections(world->listener), 0);
    (void)close(client.fd);
}

static void a_client_that_stops_reading_is_cut_off(void **state)
{
    struct world *world = *state;
    struct client client;
    int small = 4096;

    world->limits.write_ms = 100;
    restart(world);
    assert_true(client_open(&client, world, "good", 0));
    (void)setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (unsigned i = 0; i < 40; i++) {
        client_say(&client, "GET /hello/x HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    world->progress_done = 0;
    /* Enough of them to fill what the kernel buffers on loopback (2.5 MB to 6 MB). */
    for (unsigned i = 0; i < 40; i++) {
        client_say(&client, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (unsigned i = 0; i < PATIENCE && srv_listener_connections(world->listener) > 0; i++) {
        host_loop_once(world->loop, 5);
    }
    assert_int_equal(srv_listener_connections(world->listener), 0);
    assert_int_equal(world->progress_done, 1);
    assert_true(world->sent_total < FILE_SIZE);
    client_close(&client);
}

static void connections_above_the_cap_are_closed_at_once(void **state)
{
    struct world *world = *state;
    struct client first, second;

    world->limits.max_connections = 1;
    restart(world);
    assert_true(client_open(&first, world, "good", 0));
    assert_false(client_open(&second, world, "good", 0));
    client_close(&second);
    client_say(&first, GET_HELLO);
    expect_reply(&first, 200, NULL);
    client_close(&first);
}

static void a_stopped_listener_finishes_what_it_sends(void **state)
{
    struct world *world = *state;
    struct client idle, busy;
    struct reply reply;
    int small = 40000; /* less makes loopback crawl */

    assert_true(client_open(&idle, world, "good", 0));
    client_say(&idle, GET_HELLO);
    expect_reply(&idle, 200, NULL);
    assert_true(client_open(&busy, world, "good", 0));
    (void)setsockopt(busy.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_say(&busy, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    for (unsigned i = 0; i < 20 && world->sent_total == 0; i++) {
        host_loop_once(world->loop, 5);
    }

    srv_listener_stop(world->listener);

    expect_end(&idle);
    read_reply(&busy, &reply, true);
    assert_int_equal(reply.body_len, FILE_SIZE);
    free(reply.body);
    expect_end(&busy);
    client_close(&idle);
    client_close(&busy);
    for (unsigned i = 0; i < PATIENCE && srv_listener_connections(world->listener) > 0; i++) {
        host_loop_once(world->loop, 5);
    }
    assert_int_equal(srv_listener_connections(world->listener), 0);
}

static void a_missing_or_foreign_key_file_is_refused(void **state)
{
    struct world *world = *state;
    struct test_pki *pki = &world->pki;
    struct srv_tls_files files = {NULL, test_pki_path(pki, "none.crt"),
                                  test_pki_path(pki, "server.key")};

    assert_null(srv_tls_server(&files));
    files = (struct srv_tls_files){NULL, test_pki_path(pki, "server.crt"),
                                   test_pki_path(pki, "good.key")};
    assert_null(srv_tls_server(&files));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_with_our_certificate_reaches_the_handler),
        TEST(a_certificate_that_does_not_verify_is_told_why_and_reaches_no_handler),
        TEST(a_refused_peer_hears_403_even_for_nonsense),
        TEST(without_a_certificate_there_is_no_answer),
        TEST(a_good_session_is_resumed_and_still_has_its_name),
        TEST(a_refused_session_stays_refused_when_resumed),
        TEST(what_authorise_denies_reaches_no_handler),
        TEST(a_connection_takes_many_requests),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(a_head_in_single_bytes_is_a_head),
        TEST(a_bad_request_is_named_and_ends_the_connection),
        TEST(a_mapping_is_sent_whole_and_in_part),
        TEST(head_of_a_mapping_has_its_length_and_no_byte),
        TEST(a_broken_download_is_reported_once_with_how_far_it_came),
        TEST(an_upload_is_streamed_and_the_connection_goes_on),
        TEST(a_client_that_expects_100_continue_gets_it),
        TEST(an_early_refusal_reaches_a_client_that_is_still_sending),
        TEST(an_upload_that_the_route_gives_up_on_is_answered),
        TEST(an_upload_whose_client_leaves_is_aborted_once),
        TEST(lengths_that_cannot_be_are_refused),
        TEST(the_largest_buffered_body_arrives),
        TEST(a_slow_head_is_cut_off),
        TEST(a_slow_body_is_cut_off),
        TEST(an_idle_connection_and_a_silent_one_are_closed),
        TEST(a_client_that_stops_reading_is_cut_off),
        TEST(connections_above_the_cap_are_closed_at_once),
        TEST(a_stopped_listener_finishes_what_it_sends),
        TEST(a_missing_or_foreign_key_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
