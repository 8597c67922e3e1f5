/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn.h"
#include "host/log.h"
#include "host/loop.h"
#include "host/parse.h"
#include "ingest.h"
#include "kedged.h"
#include "tls.h"

#define EXIT_CONFIG      2
#define SHUTDOWN_MS      5000
#define SHUTDOWN_POLL_MS 20
#define BATCH_MESSAGES   1000
#define BATCH_MS         50
#define FILE_MASK        077 /* database, releases and lock are for our own user only */

static const char *const topics[] = {"devices/+/telemetry", "devices/+/status", NULL};

/* Everything that main opened, in that order. */
struct daemon {
    const struct srv_config *config;
    struct host_loop *loop;
    struct srv_core *core;
    SSL_CTX *device_tls, *admin_tls;
    struct srv_listener *device, *admin;
    struct srv_ingest *ingest;
    char broker_host[256];
    struct host_timer shutdown_timer;
    uint64_t shutdown_at_ms; /* 0 = not shutting down */
};

/* Each device holds a descriptor: take what the system grants. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* systemd's readiness protocol, sd_notify(3): one datagram. */
static void notify_ready(void)
{
    static const char message[] = "READY=1";
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);

    if (len == 0 || len >= sizeof address.sun_path) {
        return;
    }
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* abstract socket */
    }

    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (fd < 0 ||
        sendto(fd, message, sizeof message - 1, MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
        host_log(HOST_LOG_WARN, "notify_failed", "socket=\"%s\" reason=\"%s\"", path,
                 strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static bool open_listeners(struct daemon *daemon)
{
    const struct srv_config *config = daemon->config;
    const struct srv_tls_files files = {config->tls_ca, config->tls_cert, config->tls_key};
    const struct srv_tls_files admin_files = {NULL, config->tls_cert, config->tls_key};

    daemon->device_tls = srv_tls_server(&files);
    daemon->admin_tls = daemon->device_tls == NULL ? NULL : srv_tls_server(&admin_files);
    if (daemon->admin_tls == NULL) {
        return false;
    }
    daemon->device = srv_listener_create(
        daemon->loop, &(struct srv_listener_config){.name = "device",
                                                    .address = config->listen_device,
                                                    .tls = daemon->device_tls,
                                                    .app = srv_core_device_app(daemon->core),
                                                    .limits = &srv_limits_default});
    daemon->admin = daemon->device == NULL
                        ? NULL
                        : srv_listener_create(
                              daemon->loop,
                              &(struct srv_listener_config){.name = "admin",
                                                            .address = config->listen_admin,
                                                            .tls = daemon->admin_tls,
                                                            .app = srv_core_admin_app(daemon->core),
                                                            .limits = &srv_limits_default});
    return daemon->admin != NULL;
}

static bool open_ingest(struct daemon *daemon)
{
    const struct srv_config *config = daemon->config;
    uint16_t port = 0;

    if (config->broker == NULL || config->broker[0] == '\0') {
        return true;
    }
    if (host_parse_address(config->broker, daemon->broker_host, sizeof daemon->broker_host,
                           &port) != KEDGE_OK) {
        return false; /* srv_config_load has checked it */
    }
    daemon->ingest =
        srv_ingest_create(daemon->loop,
                          &(struct srv_ingest_config){.broker_host = daemon->broker_host,
                                                      .broker_port = port,
                                                      .ca_file = config->broker_ca,
                                                      .cert_file = config->broker_cert,
                                                      .key_file = config->broker_key,
                                                      .client_id = "kedged-ingest",
                                                      .topics = topics,
                                                      .batch_messages = BATCH_MESSAGES,
                                                      .batch_ms = BATCH_MS},
                          &srv_core_sink, daemon->core);
    srv_core_set_ingest(daemon->core, daemon->ingest);
    return daemon->ingest != NULL;
}

static void check_drained(void *ctx)
{
    struct daemon *daemon = ctx;
    unsigned open =
        srv_listener_connections(daemon->device) + srv_listener_connections(daemon->admin);
    uint64_t now_ms = host_loop_now_ms(daemon->loop);

    if (open == 0 || now_ms >= daemon->shutdown_at_ms) {
        host_loop_stop(daemon->loop);
        return;
    }
    host_loop_arm(daemon->loop, &daemon->shutdown_timer, now_ms + SHUTDOWN_POLL_MS);
}

static void on_signal(void *ctx, int signal_number)
{
    struct daemon *daemon = ctx;

    if (signal_number == SIGHUP) {
        return; /* nothing is re-read yet; it must not end us */
    }
    if (daemon->shutdown_at_ms != 0) {
        host_loop_stop(daemon->loop); /* asked twice: do not wait */
        return;
    }
    host_log(HOST_LOG_INFO, "stopping", "signal=%d", signal_number);
    daemon->shutdown_at_ms = host_loop_now_ms(daemon->loop) + SHUTDOWN_MS;
    daemon->shutdown_timer = (struct host_timer){.fire = check_drained, .ctx = daemon};
    srv_core_stop(daemon->core);
    srv_listener_stop(daemon->device);
    srv_listener_stop(daemon->admin);
    check_drained(daemon);
}

static bool open_all(struct daemon *daemon)
{
    daemon->core = srv_core_open(daemon->loop, daemon->config);
    return daemon->core != NULL && open_listeners(daemon) && open_ingest(daemon);
}

static void close_all(struct daemon *daemon)
{
    host_loop_disarm(daemon->loop, &daemon->shutdown_timer);
    srv_listener_destroy(daemon->device);
    srv_listener_destroy(daemon->admin);
    if (daemon->ingest != NULL) {
        srv_ingest_destroy(daemon->ingest);
        srv_core_set_ingest(daemon->core, NULL);
    }
    if (daemon->core != NULL) {
        srv_core_close(daemon->core);
    }
    SSL_CTX_free(daemon->device_tls);
    SSL_CTX_free(daemon->admin_tls);
    host_loop_destroy(daemon->loop);
}

static int serve(const struct srv_config *config)
{
    struct daemon daemon = {.config = config, .loop = host_loop_create()};
    int status = EXIT_FAILURE;

    (void)umask(FILE_MASK);
    raise_descriptor_limit();
    /* Handled by the loop, once it runs: whoever sees a port open may end us cleanly. */
    host_loop_on_signal(daemon.loop, on_signal, &daemon);
    if (open_all(&daemon)) {
        host_log(HOST_LOG_INFO, "ready", "device=%s admin=%s", srv_listener_address(daemon.device),
                 srv_listener_address(daemon.admin));
        notify_ready();
        host_loop_run(daemon.loop);
        status = EXIT_SUCCESS;
    }
    close_all(&daemon);
    if (status == EXIT_SUCCESS) {
        host_log(HOST_LOG_INFO, "stopped", "status=%d", status);
    }
    return status;
}

static int run(const struct srv_config *config)
{
    enum host_log_level level = HOST_LOG_INFO;

    if (config->help) {
        printf("usage: kedged [options]\n\n"
               "Kedge's server: firmware and rollouts for devices over HTTPS with client\n"
               "certificates, an admin API, telemetry from MQTT. Options come from the\n"
               "configuration file, the environment (KEDGED_LISTEN_DEVICE=...) and flags;\n"
               "the later wins.\n\n");
        host_options_help(&srv_config_options, stdout);
        return EXIT_SUCCESS;
    }
    if (config->version) {
        printf("kedged %s\n", KEDGE_VERSION);
        return EXIT_SUCCESS;
    }
    if (config->check_config) {
        host_options_print(&srv_config_options, config, stdout);
        return EXIT_SUCCESS;
    }
    if (srv_config_log_level(config->log_level, &level) != KEDGE_OK) {
        return EXIT_CONFIG; /* srv_config_load has checked it */
    }
    host_log_init("kedged", level);
    return serve(config);
}

int main(int argc, char **argv)
{
    struct srv_config config = {0};
    int status = EXIT_CONFIG;

    if (srv_config_load(&config, argc, argv, stderr) == KEDGE_OK) {
        status = run(&config);
    } else {
        fprintf(stderr, "kedged: the configuration is not usable; `kedged --help` lists all "
                        "options\n");
    }
    srv_config_free(&config);
    return status;
}
