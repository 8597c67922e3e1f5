/* SPDX-License-Identifier: Apache-2.0 */
#include "posix.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/buf.h"
#include "host/log.h"

#define KEEPALIVE_S         30
#define MISC_INTERVAL_MS    1000u
#define CONNECT_DEADLINE_MS 15000u
#define QOS                 1
#define SUBSCRIBE_REFUSED   0x80
#define TOPIC_MAX           128u
#define DEFAULT_BASE_MS     2000u
#define DEFAULT_CAP_MS      900000u
#define MAX_DOUBLINGS       16u
#define LAST_WILL           "offline"

static struct host_loop *loop_of(const struct posix_mqtt *mqtt)
{
    return mqtt->device->net->loop;
}

static const char *device_id(const struct posix_mqtt *mqtt)
{
    return mqtt->device->config.agent->device_id;
}

static struct host_buf topic_of(const struct posix_mqtt *mqtt, const char *leaf)
{
    struct host_buf topic;
    host_buf_init(&topic, TOPIC_MAX);
    host_buf_printf(&topic, "devices/%s/%s", device_id(mqtt), leaf);
    return topic;
}

/* ---- back-off and loss ---- */

static uint32_t value_or(uint32_t value, uint32_t fallback)
{
    return value == 0 ? fallback : value;
}

/* Full jitter: anything between now and the doubled limit, so that a fleet does not come as one. */
static uint32_t retry_delay_ms(const struct posix_mqtt *mqtt)
{
    const struct kedge_posix_config *config = &mqtt->device->config;
    uint64_t base = value_or(config->agent->backoff_base_ms, DEFAULT_BASE_MS);
    uint64_t cap = value_or(config->agent->backoff_cap_ms, DEFAULT_CAP_MS);
    uint32_t doublings = mqtt->failures < MAX_DOUBLINGS ? mqtt->failures : MAX_DOUBLINGS;
    uint64_t limit = base << doublings;
    uint64_t random = config->plat->system->random(config->plat->ctx);
    return (uint32_t)((random * ((limit < cap ? limit : cap) + 1)) >> 32);
}

static void drop_connection(struct posix_mqtt *mqtt)
{
    host_loop_disarm(loop_of(mqtt), &mqtt->misc_timer);
    if (mqtt->watch.loop != NULL) {
        host_loop_unwatch(loop_of(mqtt), &mqtt->watch);
        close(mqtt->watch.fd);
    }
    mosquitto_destroy(mqtt->mosq);
    mqtt->mosq = NULL;
    mqtt->broken = false;
    memset(mqtt->tokens, 0, sizeof(mqtt->tokens));
}

static void lose(struct posix_mqtt *mqtt)
{
    bool was_up = mqtt->up;
    drop_connection(mqtt);
    mqtt->up = false;
    host_loop_arm(loop_of(mqtt), &mqtt->retry_timer,
                  host_loop_now_ms(loop_of(mqtt)) + retry_delay_ms(mqtt));
    mqtt->failures++;
    if (was_up) {
        posix_deliver(mqtt->device, &(struct kedge_event){.kind = KEDGE_EVENT_MQTT_DOWN});
    }
}

/* For callers that libmosquitto may have called: the connection goes when they are through. */
static void lose_soon(struct posix_mqtt *mqtt)
{
    mqtt->broken = true;
    host_loop_arm(loop_of(mqtt), &mqtt->misc_timer, host_loop_now_ms(loop_of(mqtt)));
}

/* ---- what libmosquitto reports ---- */

static void on_connect(struct mosquitto *mosq, void *ctx, int result)
{
    struct posix_mqtt *mqtt = ctx;
    if (mqtt->device->is_doomed) {
        return;
    }
    struct host_buf topic = topic_of(mqtt, "cmd");
    if (result != 0 ||
        mosquitto_subscribe(mosq, NULL, host_buf_text(&topic), QOS) != MOSQ_ERR_SUCCESS) {
        host_log(HOST_LOG_WARN, "mqtt_refused", "device=%s code=%d", device_id(mqtt), result);
        lose_soon(mqtt);
    }
    host_buf_free(&topic);
}

static void on_subscribe(struct mosquitto *mosq, void *ctx, int message_id, int count,
                         const int *granted)
{
    struct posix_mqtt *mqtt = ctx;
    (void)mosq;
    (void)message_id;
    if (mqtt->device->is_doomed) {
        return;
    }
    if (count != 1 || granted[0] == SUBSCRIBE_REFUSED) {
        host_log(HOST_LOG_WARN, "mqtt_refused", "device=%s reason=subscribe", device_id(mqtt));
        lose_soon(mqtt);
        return;
    }
    mqtt->up = true;
    mqtt->failures = 0;
    if (mqtt->device->config.stats != NULL) {
        mqtt->device->config.stats->mqtt_connects++;
    }
    posix_deliver(mqtt->device, &(struct kedge_event){.kind = KEDGE_EVENT_MQTT_UP});
}

static void on_publish(struct mosquitto *mosq, void *ctx, int message_id)
{
    struct posix_mqtt *mqtt = ctx;
    (void)mosq;
    for (size_t i = 0; i < POSIX_MQTT_TOKENS; i++) {
        if (mqtt->tokens[i].message_id == message_id) {
            mqtt->tokens[i].message_id = 0;
            posix_deliver(mqtt->device, &(struct kedge_event){.kind = KEDGE_EVENT_MQTT_ACKED,
                                                              .token = mqtt->tokens[i].token});
            return;
        }
    }
}

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message)
{
    struct posix_mqtt *mqtt = ctx;
    (void)mosq;
    if (message->payloadlen <= 0) {
        return;
    }
    struct kedge_cspan bytes = {message->payload, (size_t)message->payloadlen};
    posix_deliver(mqtt->device, &(struct kedge_event){.kind = KEDGE_EVENT_COMMAND, .bytes = bytes});
}

/* ---- libmosquitto on the loop ---- */

/* libmosquitto does not say whether it is still shaking hands; OpenSSL does. */
static bool is_shaking_hands(const struct posix_mqtt *mqtt)
{
    SSL *ssl = mosquitto_ssl_get(mqtt->mosq);
    return ssl != NULL && !SSL_is_init_finished(ssl);
}

static unsigned wanted(const struct posix_mqtt *mqtt)
{
    if (is_shaking_hands(mqtt)) {
        bool reads = SSL_want_read((SSL *)mosquitto_ssl_get(mqtt->mosq));
        return HOST_LOOP_READ | (reads ? 0u : HOST_LOOP_WRITE);
    }
    return HOST_LOOP_READ | (mosquitto_want_write(mqtt->mosq) ? HOST_LOOP_WRITE : 0u);
}

static void change_interest(struct posix_mqtt *mqtt)
{
    if (mqtt->watch.loop != NULL) {
        host_loop_change(loop_of(mqtt), &mqtt->watch, wanted(mqtt));
    }
}

/* After any call into libmosquitto from the loop. */
static void settle(struct posix_mqtt *mqtt, int result)
{
    if (mqtt->device->is_doomed) {
        return;
    }
    if (result != MOSQ_ERR_SUCCESS || mqtt->broken) {
        lose(mqtt);
        return;
    }
    change_interest(mqtt);
}

/* mosquitto_loop_read takes one packet. OpenSSL may hold more of them, already read from the
 * socket, which epoll then does not report. */
static int read_packets(struct posix_mqtt *mqtt)
{
    int result;
    do {
        result = mosquitto_loop_read(mqtt->mosq, 1);
    } while (result == MOSQ_ERR_SUCCESS && !mqtt->device->is_doomed && !mqtt->broken &&
             mosquitto_ssl_get(mqtt->mosq) != NULL &&
             SSL_pending(mosquitto_ssl_get(mqtt->mosq)) > 0);
    return result;
}

/* During the handshake libmosquitto takes a closed socket for one that needs more time. */
static int shake_hands(struct posix_mqtt *mqtt, unsigned events)
{
    char byte;
    int result = mosquitto_loop_read(mqtt->mosq, 1);
    if (result == MOSQ_ERR_SUCCESS && is_shaking_hands(mqtt) &&
        ((events & HOST_LOOP_ERROR) != 0 ||
         recv(mosquitto_socket(mqtt->mosq), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)) {
        result = MOSQ_ERR_CONN_LOST;
    }
    return result;
}

static void on_ready(void *ctx, unsigned events)
{
    struct posix_mqtt *mqtt = ctx;
    int result = MOSQ_ERR_SUCCESS;
    if (mqtt->device->is_doomed) {
        return;
    }
    if (is_shaking_hands(mqtt)) {
        settle(mqtt, shake_hands(mqtt, events));
        return;
    }
    if ((events & (HOST_LOOP_READ | HOST_LOOP_ERROR)) != 0) {
        result = read_packets(mqtt);
    }
    if (result == MOSQ_ERR_SUCCESS && (events & HOST_LOOP_WRITE) != 0 && !mqtt->device->is_doomed) {
        result = mosquitto_loop_write(mqtt->mosq, 1);
    }
    settle(mqtt, result);
}

static void on_misc(void *ctx)
{
    struct posix_mqtt *mqtt = ctx;
    uint64_t now_ms = host_loop_now_ms(loop_of(mqtt));
    if (mqtt->device->is_doomed) {
        return;
    }
    if (mqtt->broken || (!mqtt->up && now_ms - mqtt->connect_ms > CONNECT_DEADLINE_MS)) {
        lose(mqtt);
        return;
    }
    host_loop_arm(loop_of(mqtt), &mqtt->misc_timer, now_ms + MISC_INTERVAL_MS);
    settle(mqtt, mosquitto_loop_misc(mqtt->mosq));
}

/* ---- one device ---- */

static int set_options(struct posix_mqtt *mqtt)
{
    const struct kedge_posix_config *config = &mqtt->device->config;
    struct host_buf will_topic = topic_of(mqtt, "status");
    mosquitto_connect_callback_set(mqtt->mosq, on_connect);
    mosquitto_subscribe_callback_set(mqtt->mosq, on_subscribe);
    mosquitto_publish_callback_set(mqtt->mosq, on_publish);
    mosquitto_message_callback_set(mqtt->mosq, on_message);
    int result = mosquitto_int_option(mqtt->mosq, MOSQ_OPT_TCP_NODELAY, 1);
    if (result == MOSQ_ERR_SUCCESS) {
        result = mosquitto_will_set(mqtt->mosq, host_buf_text(&will_topic), (int)strlen(LAST_WILL),
                                    LAST_WILL, QOS, true);
    }
    if (result == MOSQ_ERR_SUCCESS && config->ca_file != NULL) {
        result = mosquitto_tls_set(mqtt->mosq, config->ca_file, NULL, config->cert_file,
                                   config->key_file, NULL);
    }
    host_buf_free(&will_topic);
    return result;
}

/* Through a descriptor of our own: libmosquitto closes its socket on an error before it returns,
 * while the loop still watches. */
static void watch_socket(struct posix_mqtt *mqtt)
{
    int fd = dup(mosquitto_socket(mqtt->mosq));
    if (fd < 0) {
        lose_soon(mqtt);
        return;
    }
    host_loop_watch(loop_of(mqtt), &mqtt->watch, fd, wanted(mqtt));
}

void posix_mqtt_connect(struct posix_mqtt *mqtt)
{
    const struct kedge_posix_config *config = &mqtt->device->config;
    if (config->no_broker) {
        return;
    }
    mqtt->mosq = mosquitto_new(device_id(mqtt), true, mqtt);
    if (mqtt->mosq == NULL) {
        abort();
    }
    mqtt->connect_ms = host_loop_now_ms(loop_of(mqtt));
    int result = set_options(mqtt);
    if (result == MOSQ_ERR_SUCCESS) {
        result = mosquitto_connect_async(mqtt->mosq, config->broker_host, config->broker_port,
                                         KEEPALIVE_S);
    }
    if (result != MOSQ_ERR_SUCCESS) {
        host_log(HOST_LOG_DEBUG, "mqtt_connect_failed", "device=%s reason=\"%s\"", device_id(mqtt),
                 mosquitto_strerror(result));
        lose(mqtt);
        return;
    }
    host_loop_arm(loop_of(mqtt), &mqtt->misc_timer, mqtt->connect_ms + MISC_INTERVAL_MS);
    watch_socket(mqtt);
}

static void on_retry(void *ctx)
{
    struct posix_mqtt *mqtt = ctx;
    if (!mqtt->device->is_doomed) {
        posix_mqtt_connect(mqtt);
    }
}

void posix_mqtt_open(struct posix_mqtt *mqtt, struct kedge_posix_device *device)
{
    mqtt->device = device;
    mqtt->watch.ready = on_ready;
    mqtt->watch.ctx = mqtt;
    mqtt->misc_timer = (struct host_timer){.fire = on_misc, .ctx = mqtt};
    mqtt->retry_timer = (struct host_timer){.fire = on_retry, .ctx = mqtt};
}

void posix_mqtt_close(struct posix_mqtt *mqtt)
{
    host_loop_disarm(loop_of(mqtt), &mqtt->retry_timer);
    if (mqtt->mosq != NULL) {
        drop_connection(mqtt);
    }
}

static bool keep_token(struct posix_mqtt *mqtt, int message_id, uint32_t token)
{
    for (size_t i = 0; i < POSIX_MQTT_TOKENS; i++) {
        if (mqtt->tokens[i].message_id == 0) {
            mqtt->tokens[i].message_id = message_id;
            mqtt->tokens[i].token = token;
            return true;
        }
    }
    return false;
}

void posix_mqtt_publish(struct posix_mqtt *mqtt, const struct kedge_mqtt_message *message)
{
    static const char *const leaves[] = {
        [KEDGE_TOPIC_TELEMETRY] = "telemetry", [KEDGE_TOPIC_STATUS] = "status"};
    int message_id = 0;
    if (!mqtt->up || mqtt->broken) {
        return; /* it broke meanwhile: MQTT_DOWN is on its way to the agent, or was there */
    }
    struct host_buf topic = topic_of(mqtt, leaves[message->topic]);
    int result =
        mosquitto_publish(mqtt->mosq, &message_id, host_buf_text(&topic), (int)message->payload_len,
                          message->payload, QOS, message->retain);
    host_buf_free(&topic);
    if (result != MOSQ_ERR_SUCCESS || !keep_token(mqtt, message_id, message->token)) {
        lose_soon(mqtt);
        return;
    }
    change_interest(mqtt);
}
