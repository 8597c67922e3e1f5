/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/log.h"
#include "host/parse.h"
#include "kedge/crypto.h"

#define LIMIT_MS     15000u
#define REQUEST_MAX  8192u
#define RESPONSE_MAX (1u << 20)
#define MOSQUITTO    "/usr/sbin/mosquitto"

struct bench_client {
    struct bench *bench;
    struct host_watch watch;
    struct host_buf in, out;
    bool closes;
    struct bench_client *next;
};

/* ---- HTTP ---- */

static int listen_on_free_port(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void drop_client(struct bench_client *client)
{
    struct bench_client **link = &client->bench->server.clients;
    while (*link != client) {
        link = &(*link)->next;
    }
    *link = client->next;
    host_loop_unwatch(client->bench->loop, &client->watch);
    close(client->watch.fd);
    host_buf_free(&client->in);
    host_buf_free(&client->out);
    free(client);
}

static uint32_t number_after(const char *request, const char *name)
{
    const char *at = strstr(request, name);
    char digits[12] = {0};
    uint64_t value = 0;
    if (at == NULL) {
        return 0;
    }
    at += strlen(name);
    size_t len = strspn(at, "0123456789");
    memcpy(digits, at, len < sizeof(digits) - 1 ? len : sizeof(digits) - 1);
    assert_int_equal(host_parse_u64(digits, 0, UINT32_MAX, &value), KEDGE_OK);
    return (uint32_t)value;
}

static bool runs_offer(const struct bench_server *server, const char *request)
{
    char header[64];
    snprintf(header, sizeof(header), "X-Current-Version: %s\r\n", server->offer_version);
    return strstr(request, header) != NULL;
}

static void send_image(struct bench_client *client, const char *request)
{
    struct bench_server *server = &client->bench->server;
    uint32_t first = number_after(request, "Range: bytes=");
    uint32_t total = (uint32_t)server->offer.len, len = total - first;
    uint8_t digest[KEDGE_SHA256_SIZE];
    char hex[2 * KEDGE_SHA256_SIZE + 1];

    kedge_sha256_of(server->offer.data, server->offer.len, digest);
    kedge_hex_encode(digest, sizeof(digest), hex);
    server->ranges += first > 0;
    host_buf_printf(&client->out, "HTTP/1.1 %s\r\n", first > 0 ? "206 Partial" : "200 OK");
    if (first > 0) {
        host_buf_printf(&client->out, "Content-Range: bytes %u-%u/%u\r\n", first, total - 1, total);
    }
    host_buf_printf(&client->out,
                    "ETag: \"%s\"\r\nX-Firmware-SHA256: %s\r\nX-Firmware-Version: %s\r\n"
                    "Content-Length: %u\r\n\r\n",
                    hex, hex, server->offer_version, len);
    if (server->break_after != 0) {
        len = server->break_after;
        server->break_after = 0;
        client->closes = true;
    }
    host_buf_append(&client->out, server->offer.data + first, len);
}

static void take_crash(struct bench_client *client, const char *request, struct kedge_cspan body)
{
    struct bench_server *server = &client->bench->server;
    bool is_piece = strncmp(request, "POST /crash/dump ", 17) == 0;
    const char *type = is_piece ? "\r\nContent-Type: application/octet-stream\r\n"
                                : "\r\nContent-Type: application/json\r\n";

    assert_non_null(strstr(request, type));
    if (is_piece) {
        assert_int_equal(number_after(request, "Content-Range: bytes "), server->dump_len);
        assert_true(body.len <= sizeof(server->dump) - server->dump_len);
        memcpy(server->dump + server->dump_len, body.data, body.len);
        server->dump_len += (uint32_t)body.len;
    }
    host_buf_printf(&client->out,
                    "HTTP/1.1 200 OK\r\nX-Crash-Offset: %u\r\nContent-Length: 0\r\n\r\n",
                    server->dump_len);
}

static void answer(struct bench_client *client, const char *request, struct kedge_cspan body)
{
    struct bench_server *server = &client->bench->server;
    if (strncmp(request, "POST /crash", 11) == 0) {
        take_crash(client, request, body);
        return;
    }
    if (strncmp(request, "POST ", 5) == 0) {
        server->reports++;
        host_buf_printf(&client->out, "HTTP/1.1 204 No Content\r\n\r\n");
        return;
    }
    server->polls++;
    if (server->offer.len == 0 || runs_offer(server, request)) {
        host_buf_printf(&client->out, "HTTP/1.1 304 Not Modified\r\n\r\n");
    } else {
        send_image(client, request);
    }
}

static void answer_complete_requests(struct bench_client *client)
{
    const char *end;
    while (client->in.len > 0 && (end = strstr(client->in.data, "\r\n\r\n")) != NULL) {
        size_t head = (size_t)(end - client->in.data) + 4;
        size_t len = head + number_after(client->in.data, "Content-Length: ");
        if (client->in.len < len) {
            return;
        }
        client->in.data[head - 1] = '\0';
        answer(client, client->in.data,
               (struct kedge_cspan){(const uint8_t *)client->in.data + head, len - head});
        host_buf_consume(&client->in, len);
    }
}

static void on_client(void *ctx, unsigned events)
{
    struct bench_client *client = ctx;
    char bytes[REQUEST_MAX];
    if ((events & HOST_LOOP_READ) != 0) {
        ssize_t got = recv(client->watch.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got <= 0) {
            drop_client(client);
            return;
        }
        host_buf_append(&client->in, bytes, (size_t)got);
        answer_complete_requests(client);
    }
    if (client->out.len > 0) {
        ssize_t sent =
            send(client->watch.fd, client->out.data, client->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        host_buf_consume(&client->out, sent > 0 ? (size_t)sent : 0);
    }
    if ((events & HOST_LOOP_ERROR) != 0 || (client->closes && client->out.len == 0)) {
        drop_client(client);
        return;
    }
    host_loop_change(client->bench->loop, &client->watch,
                     HOST_LOOP_READ | (client->out.len > 0 ? HOST_LOOP_WRITE : 0u));
}

static void on_listener(void *ctx, unsigned events)
{
    struct bench *bench = ctx;
    (void)events;
    int fd = accept(bench->server.listener.fd, NULL, NULL);
    if (fd < 0) {
        return;
    }
    struct bench_client *client = host_calloc(1, sizeof(*client));
    bench->server.connections++;
    client->bench = bench;
    client->next = bench->server.clients;
    bench->server.clients = client;
    host_buf_init(&client->in, REQUEST_MAX);
    host_buf_init(&client->out, RESPONSE_MAX);
    client->watch.ready = on_client;
    client->watch.ctx = client;
    host_loop_watch(bench->loop, &client->watch, fd, HOST_LOOP_READ);
}

/* ---- MQTT ---- */

static void observe(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message)
{
    struct bench *bench = ctx;
    (void)mosq;
    bench->telemetry_seen += strstr(message->topic, "/telemetry") != NULL;
    if (strstr(message->topic, "/status") != NULL) {
        snprintf(bench->status_seen, sizeof(bench->status_seen), "%.*s", message->payloadlen,
                 (const char *)message->payload);
    }
}

static void observe_connect(struct mosquitto *mosq, void *ctx, int result)
{
    (void)ctx;
    assert_int_equal(result, 0);
    assert_int_equal(mosquitto_subscribe(mosq, NULL, "devices/+/telemetry", 1), MOSQ_ERR_SUCCESS);
    assert_int_equal(mosquitto_subscribe(mosq, NULL, "devices/+/status", 1), MOSQ_ERR_SUCCESS);
}

static void connect_observer(struct bench *bench)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    int result = MOSQ_ERR_ERRNO;
    bench->observer = mosquitto_new("observer", true, bench);
    assert_non_null(bench->observer);
    mosquitto_message_callback_set(bench->observer, observe);
    mosquitto_connect_callback_set(bench->observer, observe_connect);
    for (int tries = 0; tries < 250 && result != MOSQ_ERR_SUCCESS; tries++) {
        nanosleep(&pause, NULL); /* until the broker listens */
        result = mosquitto_connect(bench->observer, "127.0.0.1", bench->broker_port, 60);
    }
    assert_int_equal(result, MOSQ_ERR_SUCCESS);
}

void bench_start_broker(struct bench *bench)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/mosquitto.conf", bench->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "listener %u 127.0.0.1\nallow_anonymous true\nlog_type none\nuser root\n",
            bench->broker_port);
    assert_int_equal(fclose(file), 0);
    bench->broker = fork();
    assert_true(bench->broker >= 0);
    if (bench->broker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails hard leaves no broker behind */
        execl(MOSQUITTO, MOSQUITTO, "-c", path, (char *)NULL);
        _exit(127);
    }
    connect_observer(bench);
}

void bench_stop_broker(struct bench *bench)
{
    mosquitto_destroy(bench->observer);
    bench->observer = NULL;
    assert_int_equal(kill(bench->broker, SIGKILL), 0);
    assert_int_equal(waitpid(bench->broker, NULL, 0), bench->broker);
}

/* ---- the board ---- */

static uint64_t now_ms(void *ctx)
{
    return host_loop_now_ms(((struct bench *)ctx)->loop);
}

static void boot_soon(struct bench *bench)
{
    kedge_posix_device_destroy(bench->device);
    bench->device = NULL;
    host_loop_arm(bench->loop, &bench->boot_timer, host_loop_now_ms(bench->loop) + 10);
}

static void on_reboot(void *ctx)
{
    struct bench *bench = ctx;
    bench->reboots++;
    sim_board_reset(bench->board, KEDGE_RESET_SW);
    boot_soon(bench);
}

static void after_step(void *ctx)
{
    struct bench *bench = ctx;
    if (!sim_board_has_power(bench->board)) {
        bench->cuts++;
        sim_board_power_off(bench->board);
        boot_soon(bench);
    }
}

void bench_boot(struct bench *bench)
{
    assert_int_equal(sim_board_boot(bench->board), KEDGE_OK);
    const struct sim_firmware *firmware = sim_board_firmware(bench->board);
    bench->config.no_broker = bench->is_cut_off || firmware->no_broker;
    bench->config.no_server = bench->is_cut_off || firmware->no_server;
    assert_int_equal(kedge_posix_device_create(bench->net, &bench->config, &bench->device),
                     KEDGE_OK);
}

static void on_boot(void *ctx)
{
    bench_boot(ctx);
}

static struct host_buf make_image(const char *version, const char *behaviour)
{
    struct sim_image_spec spec = {.version = version,
                                  .project = "kedge-test",
                                  .chip_id = KEDGE_CHIP_ESP32,
                                  .size_bytes = 65536,
                                  .behaviour = behaviour};
    struct host_buf image;
    struct kedge_fault fault;
    host_buf_init(&image, 1 << 20);
    assert_int_equal(sim_firmware_build(&spec, &image, &fault), KEDGE_OK);
    return image;
}

void bench_offer(struct bench *bench, const char *version, const char *behaviour)
{
    struct host_buf image = make_image(version, behaviour);
    bench->server.offer = (struct kedge_cspan){(const uint8_t *)image.data, image.len};
    bench->server.offer_version = version;
}

static void make_board(struct bench *bench)
{
    struct host_buf image = make_image("1.0.0", "");
    bench->board = sim_board_create(&(struct sim_board_config){.id = "board-1",
                                                               .chip_id = KEDGE_CHIP_ESP32,
                                                               .chip_rev_full = 300,
                                                               .rollback = true,
                                                               .idf = SIM_IDF_5_5,
                                                               .seed = 3,
                                                               .now_ms = now_ms,
                                                               .ctx = bench});
    assert_int_equal(
        sim_board_program(bench->board,
                          (struct kedge_cspan){(const uint8_t *)image.data, image.len}),
        KEDGE_OK);
    host_buf_free(&image);
    bench->plat = sim_board_plat(bench->board);
}

static void fill_config(struct bench *bench)
{
    bench->agent = (struct kedge_config){.device_id = "board-1",
                                         .poll_interval_ms = 100,
                                         .telemetry_interval_ms = 100,
                                         .trial_deadline_ms = 3000,
                                         .verdict_deadline_ms = 3000,
                                         .report_grace_ms = 500,
                                         .backoff_base_ms = 50,
                                         .backoff_cap_ms = 200};
    snprintf(bench->server_url, sizeof(bench->server_url), "http://127.0.0.1:%u",
             bench->server.port);
    bench->config = (struct kedge_posix_config){.agent = &bench->agent,
                                                .plat = &bench->plat,
                                                .server_url = bench->server_url,
                                                .broker_host = "127.0.0.1",
                                                .broker_port = bench->broker_port,
                                                .stats = &bench->stats,
                                                .on_reboot = on_reboot,
                                                .after_step = after_step,
                                                .ctx = bench};
}

int bench_setup(void **state)
{
    struct bench *bench = host_calloc(1, sizeof(*bench));
    host_log_init("test", HOST_LOG_ERROR);
    snprintf(bench->dir, sizeof(bench->dir), "/tmp/kedge-ports-XXXXXX");
    assert_non_null(mkdtemp(bench->dir));
    bench->loop = host_loop_create();
    bench->net = kedge_posix_net_create(bench->loop);
    bench->boot_timer = (struct host_timer){.fire = on_boot, .ctx = bench};
    bench->server.listener.ready = on_listener;
    bench->server.listener.ctx = bench;
    host_loop_watch(bench->loop, &bench->server.listener, listen_on_free_port(&bench->server.port),
                    HOST_LOOP_READ);
    close(listen_on_free_port(&bench->broker_port));
    bench_start_broker(bench);
    make_board(bench);
    fill_config(bench);
    *state = bench;
    return 0;
}

int bench_teardown(void **state)
{
    struct bench *bench = *state;
    char path[128];
    host_loop_disarm(bench->loop, &bench->boot_timer);
    kedge_posix_device_destroy(bench->device);
    kedge_posix_net_destroy(bench->net);
    while (bench->server.clients != NULL) {
        drop_client(bench->server.clients);
    }
    host_loop_unwatch(bench->loop, &bench->server.listener);
    close(bench->server.listener.fd);
    host_loop_destroy(bench->loop);
    bench_stop_broker(bench);
    sim_board_destroy(bench->board);
    free((void *)(uintptr_t)bench->server.offer.data);
    snprintf(path, sizeof(path), "%s/mosquitto.conf", bench->dir);
    (void)unlink(path);
    (void)rmdir(bench->dir);
    free(bench);
    return 0;
}

static void turn(struct bench *bench)
{
    host_loop_once(bench->loop, 10);
    if (bench->observer != NULL) {
        assert_int_equal(mosquitto_loop(bench->observer, 0, 1), MOSQ_ERR_SUCCESS);
    }
}

void bench_until(struct bench *bench, bool (*claim)(const struct bench *bench))
{
    uint64_t end_ms = host_loop_now_ms(bench->loop) + LIMIT_MS;
    while (!claim(bench)) {
        assert_true(host_loop_now_ms(bench->loop) < end_ms);
        turn(bench);
    }
}

void bench_run_ms(struct bench *bench, uint64_t ms)
{
    uint64_t end_ms = host_loop_now_ms(bench->loop) + ms;
    while (host_loop_now_ms(bench->loop) < end_ms) {
        turn(bench);
    }
}
