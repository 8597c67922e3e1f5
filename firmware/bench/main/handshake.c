/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "esp_timer.h"
#include "esp_tls.h"
#include "kedge/bytes.h"
#include "mbedtls/ssl.h"
#include "sdkconfig.h"

/*
 * TCP connection and TLS handshake, timed one after the other. The handshake's time has the parsing
 * of CA, certificate and key in it: esp-tls does that for every connection.
 */
#define RUNS       CONFIG_BENCH_HANDSHAKES
#define TIMEOUT_MS 15000

struct server {
    char host[KEDGE_SETTINGS_HOST_SIZE];
    int port;
};

struct times {
    uint32_t tcp_us[RUNS], tls_us[RUNS];
};

/* The settings' check has seen the URL: https://host or https://host:port, host perhaps in []. */
static void split_url(const char *url, struct server *out)
{
    const char *host = strstr(url, "://") + 3;
    const char *end = *host == '[' ? strchr(host, ']') : strchr(host, ':');
    const char *colon = end != NULL ? strchr(end, ':') : NULL;
    size_t len;

    host += *host == '[' ? 1 : 0;
    len = end != NULL ? (size_t)(end - host) : strlen(host);
    memcpy(out->host, host, len);
    out->host[len] = '\0';
    out->port = colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 443;
}

static esp_tls_cfg_t config_of(const struct identity *me)
{
    return (esp_tls_cfg_t){
        .cacert_buf = (const unsigned char *)me->ca,
        .cacert_bytes = strlen(me->ca) + 1u,
        .clientcert_buf = (const unsigned char *)me->certificate,
        .clientcert_bytes = strlen(me->certificate) + 1u,
        .clientkey_buf = (const unsigned char *)me->key,
        .clientkey_bytes = strlen(me->key) + 1u,
        .timeout_ms = TIMEOUT_MS,
    };
}

static bool open_tcp(esp_tls_t *tls, const struct server *server, const esp_tls_cfg_t *config)
{
    esp_tls_error_handle_t error;
    int fd;

    return esp_tls_get_error_handle(tls, &error) == ESP_OK &&
           esp_tls_plain_tcp_connect(server->host, (int)strlen(server->host), server->port, config,
                                     error, &fd) == ESP_OK &&
           esp_tls_set_conn_sockfd(tls, fd) == ESP_OK &&
           esp_tls_set_conn_state(tls, ESP_TLS_CONNECTING) == ESP_OK;
}

/* NULL = it failed. */
static esp_tls_t *connect_once(const struct server *server, const esp_tls_cfg_t *config,
                               uint32_t *tcp_us, uint32_t *tls_us)
{
    esp_tls_t *tls = esp_tls_init();
    int64_t begin = esp_timer_get_time(), connected;

    if (tls == NULL || !open_tcp(tls, server, config)) {
        (void)esp_tls_conn_destroy(tls);
        return NULL;
    }
    connected = esp_timer_get_time();
    if (esp_tls_conn_new_sync(server->host, (int)strlen(server->host), server->port, config, tls) !=
        1) {
        (void)esp_tls_conn_destroy(tls);
        return NULL;
    }
    *tcp_us = (uint32_t)(connected - begin);
    *tls_us = (uint32_t)(esp_timer_get_time() - connected);
    return tls;
}

static bool connect_often(const struct server *server, const esp_tls_cfg_t *config,
                          struct times *times)
{
    for (size_t i = 0; i < RUNS; i++) {
        esp_tls_t *tls = connect_once(server, config, &times->tcp_us[i], &times->tls_us[i]);

        if (tls == NULL) {
            return false;
        }
        (void)esp_tls_conn_destroy(tls);
    }
    return true;
}

static uint32_t median_tenths(uint32_t *samples_us)
{
    return report_median(samples_us, RUNS) / 100u;
}

static void report_handshake(const char *name, struct times *times, const char *suite)
{
    char note[96];

    (void)snprintf(note, sizeof note, "median of %d; %s", RUNS, suite);
    report_tenths(name, median_tenths(times->tls_us), note);
}

/* RUNS connections after one that says which version and suite they have. */
static bool measure(const struct server *server, const esp_tls_cfg_t *config, struct times *times,
                    char *suite, size_t size)
{
    uint32_t unused;
    esp_tls_t *tls = connect_once(server, config, &unused, &unused);

    if (tls == NULL) {
        return false;
    }
    const mbedtls_ssl_context *ssl = esp_tls_get_ssl_context(tls);

    (void)snprintf(suite, size, "%s %s", mbedtls_ssl_get_version(ssl),
                   mbedtls_ssl_get_ciphersuite(ssl));
    (void)esp_tls_conn_destroy(tls);
    return connect_often(server, config, times);
}

/* ---- the rows ---- */

static void run_full(const struct server *server, const esp_tls_cfg_t *config, struct times *times)
{
    char suite[64];

    if (!measure(server, config, times, suite, sizeof suite)) {
        report_skipped("tls_full_ms", "no connection to the OTA server of device.json");
        return;
    }
    report_tenths("tcp_connect_ms", median_tenths(times->tcp_us), "name and TCP connection");
    report_handshake("tls_full_ms", times, suite);
}

static void run_ticket(const struct server *server, esp_tls_cfg_t config, struct times *times)
{
#ifdef CONFIG_ESP_TLS_CLIENT_SESSION_TICKETS
    uint32_t unused;
    esp_tls_t *tls = connect_once(server, &config, &unused, &unused);
    esp_tls_client_session_t *session = tls != NULL ? esp_tls_get_client_session(tls) : NULL;

    (void)esp_tls_conn_destroy(tls);
    config.client_session = session;
    if (session == NULL || !connect_often(server, &config, times)) {
        report_skipped("tls_ticket_ms", "no session from the OTA server");
    } else {
        report_handshake("tls_ticket_ms", times, "with the session of an earlier connection");
    }
    esp_tls_free_client_session(session);
#else
    (void)server;
    (void)config;
    (void)times;
    report_skipped("tls_ticket_ms", "CONFIG_ESP_TLS_CLIENT_SESSION_TICKETS is off");
#endif
}

static void run_psk(struct times *times)
{
#ifdef CONFIG_ESP_TLS_PSK_VERIFICATION
    const struct server server = {.host = CONFIG_BENCH_PSK_HOST, .port = CONFIG_BENCH_PSK_PORT};
    uint8_t key[32];
    size_t key_len = strlen(CONFIG_BENCH_PSK_KEY) / 2u;
    const psk_hint_key_t psk = {.key = key, .key_size = key_len, .hint = CONFIG_BENCH_PSK_IDENTITY};
    const esp_tls_cfg_t config = {.psk_hint_key = &psk, .timeout_ms = TIMEOUT_MS};
    char suite[64];

    if (server.host[0] == '\0') {
        report_skipped("tls_psk_ms", "no server is named: CONFIG_BENCH_PSK_HOST");
        return;
    }
    if (key_len > sizeof key ||
        !kedge_hex_decode(CONFIG_BENCH_PSK_KEY, strlen(CONFIG_BENCH_PSK_KEY), key, key_len)) {
        report_skipped("tls_psk_ms", "CONFIG_BENCH_PSK_KEY is not up to 32 bytes in hex");
        return;
    }
    if (!measure(&server, &config, times, suite, sizeof suite)) {
        report_skipped("tls_psk_ms", "no connection to CONFIG_BENCH_PSK_HOST");
        return;
    }
    report_handshake("tls_psk_ms", times, suite);
#else
    (void)times;
    report_skipped("tls_psk_ms", "CONFIG_ESP_TLS_PSK_VERIFICATION is off");
#endif
}

void handshake_run(const struct identity *me)
{
    static struct times times;
    const esp_tls_cfg_t config = config_of(me);
    struct server server;

    split_url(me->settings.server_url, &server);
    run_full(&server, &config, &times);
    run_ticket(&server, config, &times);
    run_psk(&times);
}
