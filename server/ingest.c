/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/rand.h>

#include "host/log.h"
#include "mqtt_codec.h"
#include "mqtt_outbox.h"
#include "tls.h"
#include "tls_client.h"

#define SETUP_MS        10000u /* TCP, TLS, CONNACK and SUBACK together */
#define KEEP_ALIVE_S    60u
#define PING_EVERY_MS   20000u
#define BACKOFF_MIN_MS  1000u
#define BACKOFF_MAX_MS  30000u
#define STABLE_MS       30000u /* a link that lasted so long starts over with short back-off */
#define GOODBYE_MS      500u
#define OUT_MAX         (8u * 1024u * 1024u) /* 64 publishes of 64 KiB and room for PUBACKs */
#define OUT_PAUSE       (256u * 1024u)       /* read no more while the broker takes no PUBACKs */
#define READS_PER_ROUND 16
#define SUBSCRIBE_ID    1u
#define TOPIC_SIZE      256u

enum ingest_state {
    INGEST_WAITING, /* for the next attempt */
    INGEST_CONNECTING,
    INGEST_HANDSHAKE,
    INGEST_CONNACK,
    INGEST_SUBACK,
    INGEST_LIVE
};

struct srv_ingest {
    struct host_loop *loop; /* borrowed */
    struct srv_ingest_config config;
    const struct srv_ingest_sink *sink; /* borrowed */
    void *sink_ctx;
    SSL_CTX *tls;

    enum ingest_state state;
    struct srv_tls_client link;
    struct host_watch watch;
    struct host_timer timer; /* what it means depends on state: next attempt, set-up, ping */
    struct host_timer batch_timer;
    unsigned attempts; /* since a link was stable */
    uint64_t up_since_ms;
    uint64_t pinged_ms; /* 0 = no PINGREQ is open */
    uint64_t heard_ms;  /* the last byte from the broker */

    uint8_t *in; /* SRV_MQTT_PACKET_MAX bytes while connected */
    size_t in_len;
    size_t skip_bytes; /* rest of an oversize packet */
    struct host_buf out;

    /* Messages accepted since the last commit, and the ids to acknowledge after it. */
    uint32_t batch_count;
    uint16_t *batch_ids;
    size_t batch_id_count, batch_id_capacity;

    struct srv_outbox outbox;
    struct srv_ingest_stats stats;
};

/* --- the batch --- */

/* Make durable what was accepted, then acknowledge it: never the other way round. */
static enum kedge_err flush(struct srv_ingest *ingest)
{
    host_loop_disarm(ingest->loop, &ingest->batch_timer);
    if (ingest->batch_count == 0 && ingest->batch_id_count == 0) {
        return KEDGE_OK;
    }

    enum kedge_err err = ingest->sink->commit(ingest->sink_ctx);

    for (size_t i = 0; i < ingest->batch_id_count && err == KEDGE_OK; i++) {
        err = srv_mqtt_encode_puback(&ingest->out, ingest->batch_ids[i]);
    }
    if (err == KEDGE_OK) {
        ingest->stats.acknowledged += ingest->batch_id_count;
        ingest->stats.batches++;
    }
    ingest->batch_count = 0;
    ingest->batch_id_count = 0;
    return err;
}

static void remember_id(struct srv_ingest *ingest, uint16_t id)
{
    if (ingest->batch_id_count == ingest->batch_id_capacity) {
        ingest->batch_id_capacity += 1024;
        ingest->batch_ids = host_realloc(ingest->batch_ids,
                                         ingest->batch_id_capacity * sizeof ingest->batch_ids[0]);
    }
    ingest->batch_ids[ingest->batch_id_count++] = id;
}

static enum kedge_err add_to_batch(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet)
{
    if (packet->qos == 1) {
        remember_id(ingest, packet->id);
    }
    ingest->batch_count++;
    if (ingest->batch_count >= ingest->config.batch_messages) {
        return flush(ingest);
    }
    if (ingest->batch_timer.heap_index == 0) {
        host_loop_arm(ingest->loop, &ingest->batch_timer,
                      host_loop_now_ms(ingest->loop) + ingest->config.batch_ms);
    }
    return KEDGE_OK;
}

/* --- the link --- */

static void set_timer(struct srv_ingest *ingest, uint64_t in_ms)
{
    host_loop_arm(ingest->loop, &ingest->timer, host_loop_now_ms(ingest->loop) + in_ms);
}

/* Full jitter: anywhere between 0 and a ceiling that doubles. */
static uint64_t backoff_ms(unsigned attempts)
{
    uint64_t ceiling = BACKOFF_MIN_MS;
    uint32_t random = 0;

    for (unsigned i = 1; i < attempts && ceiling < BACKOFF_MAX_MS; i++) {
        ceiling *= 2;
    }
    if (ceiling > BACKOFF_MAX_MS) {
        ceiling = BACKOFF_MAX_MS;
    }
    if (RAND_bytes((unsigned char *)&random, sizeof random) != 1) {
        random = UINT32_MAX / 2; /* no entropy: the middle is as good */
    }
    return random % (ceiling + 1);
}

static void close_link(struct srv_ingest *ingest)
{
    host_loop_unwatch(ingest->loop, &ingest->watch);
    host_loop_disarm(ingest->loop, &ingest->timer);
    host_loop_disarm(ingest->loop, &ingest->batch_timer);
    srv_tls_client_close(&ingest->link);
    free(ingest->in);
    ingest->in = NULL;
    ingest->in_len = 0;
    ingest->skip_bytes = 0;
    host_buf_free(&ingest->out);
    host_buf_init(&ingest->out, OUT_MAX);
    ingest->pinged_ms = 0;
    /* Uncommitted or not: what was not acknowledged comes again. */
    ingest->batch_count = 0;
    ingest->batch_id_count = 0;
}

static void set_link(struct srv_ingest *ingest, bool up)
{
    if (ingest->stats.connected == up) {
        return;
    }
    ingest->stats.connected = up;
    if (ingest->sink->link != NULL) {
        ingest->sink->link(ingest->sink_ctx, up);
    }
}

static void drop_link(struct srv_ingest *ingest, const char *reason)
{
    uint64_t now_ms = host_loop_now_ms(ingest->loop);

    if (ingest->stats.connected && now_ms - ingest->up_since_ms >= STABLE_MS) {
        ingest->attempts = 0;
    }
    ingest->attempts++;

    uint64_t wait_ms = backoff_ms(ingest->attempts);

    host_log(HOST_LOG_WARN, "ingest_down", "broker=%s:%u reason=\"%s\" retry_ms=%llu",
             ingest->config.broker_host, (unsigned)ingest->config.broker_port, reason,
             (unsigned long long)wait_ms);
    if (ingest->batch_count > 0) {
        (void)ingest->sink->commit(ingest->sink_ctx); /* leaves no transaction open meanwhile */
    }
    close_link(ingest);
    ingest->state = INGEST_WAITING;
    set_link(ingest, false);
    set_timer(ingest, wait_ms);
}

/* --- packets; an error drops the link, *reason says why --- */

static enum kedge_err on_connack(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet,
                                 const char **reason)
{
    if (ingest->state != INGEST_CONNACK) {
        *reason = "unexpected CONNACK";
        return KEDGE_ERR_STATE;
    }
    if (packet->return_code != 0) {
        *reason = srv_mqtt_return_text(packet->return_code);
        return KEDGE_ERR_DENIED;
    }
    ingest->state = INGEST_SUBACK;
    *reason = "topics too long";
    return srv_mqtt_encode_subscribe(&ingest->out, SUBSCRIBE_ID, ingest->config.topics);
}

static enum kedge_err on_suback(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet,
                                const char **reason)
{
    if (ingest->state != INGEST_SUBACK || packet->id != SUBSCRIBE_ID) {
        *reason = "unexpected SUBACK";
        return KEDGE_ERR_STATE;
    }
    for (size_t i = 0; i < packet->granted.len; i++) {
        if (packet->granted.data[i] != 1) {
            *reason = "subscription refused: check the broker's ACL";
            return KEDGE_ERR_DENIED;
        }
    }
    ingest->state = INGEST_LIVE;
    ingest->up_since_ms = host_loop_now_ms(ingest->loop);
    set_timer(ingest, PING_EVERY_MS);
    host_log(HOST_LOG_INFO, "ingest_up", "broker=%s:%u", ingest->config.broker_host,
             (unsigned)ingest->config.broker_port);
    set_link(ingest, true);
    *reason = "cannot send the commands again";
    return srv_outbox_resend(&ingest->outbox, &ingest->out);
}

/* With a persistent session the broker may deliver before its SUBACK (3.8.4). */
static enum kedge_err on_publish(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet,
                                 const char **reason)
{
    char topic[TOPIC_SIZE];

    *reason = "message before CONNACK";
    if (ingest->state != INGEST_SUBACK && ingest->state != INGEST_LIVE) {
        return KEDGE_ERR_STATE;
    }
    ingest->stats.received++;
    ingest->stats.duplicates += packet->duplicate;
    *reason = "the database does not take messages";
    if (packet->topic.len < sizeof topic) { /* a longer one is none of ours */
        memcpy(topic, packet->topic.data, packet->topic.len);
        topic[packet->topic.len] = '\0';

        enum kedge_err err =
            ingest->sink->accept(ingest->sink_ctx, topic, packet->payload, packet->duplicate);

        if (err != KEDGE_OK) {
            return err;
        }
    }
    return add_to_batch(ingest, packet);
}

static enum kedge_err on_packet(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet,
                                const char **reason)
{
    switch (packet->type) {
    case SRV_MQTT_CONNACK:
        return on_connack(ingest, packet, reason);
    case SRV_MQTT_SUBACK:
        return on_suback(ingest, packet, reason);
    case SRV_MQTT_PUBLISH:
        return on_publish(ingest, packet, reason);
    case SRV_MQTT_PUBACK:
        srv_outbox_acknowledge(&ingest->outbox, packet->id);
        return KEDGE_OK;
    case SRV_MQTT_PINGRESP:
        ingest->pinged_ms = 0;
        return KEDGE_OK;
    case SRV_MQTT_CONNECT:
    case SRV_MQTT_SUBSCRIBE:
    case SRV_MQTT_PINGREQ:
    case SRV_MQTT_DISCONNECT:
        break;
    }
    *reason = "packet that only a client sends";
    return KEDGE_ERR_SYNTAX;
}

/* --- bytes --- */

static void consume(struct srv_ingest *ingest, size_t len)
{
    ingest->in_len -= len;
    memmove(ingest->in, ingest->in + len, ingest->in_len);
}

/* A message that nobody of ours sent: acknowledge it unread, or it comes back for ever. */
static enum kedge_err skip_oversize(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet)
{
    host_log(HOST_LOG_WARN, "ingest_oversize", "bytes=%zu limit=%u", packet->size,
             SRV_MQTT_PACKET_MAX);
    ingest->stats.received++;
    ingest->skip_bytes = packet->size - ingest->in_len;
    ingest->in_len = 0;
    return add_to_batch(ingest, packet);
}

/* All complete packets in the buffer. */
static enum kedge_err take_packets(struct srv_ingest *ingest, const char **reason)
{
    size_t used = 0;
    enum kedge_err err = KEDGE_OK;

    while (err == KEDGE_OK) {
        struct srv_mqtt_packet packet;

        err =
            srv_mqtt_parse((struct kedge_cspan){ingest->in + used, ingest->in_len - used}, &packet);
        if (err == KEDGE_OK) {
            used += packet.size;
            err = on_packet(ingest, &packet, reason);
        } else if (err == KEDGE_ERR_TOO_LARGE) {
            consume(ingest, used);
            used = 0;
            err = skip_oversize(ingest, &packet);
        } else if (err == KEDGE_ERR_SYNTAX) {
            *reason = "malformed packet";
        }
    }
    consume(ingest, used);
    return err == KEDGE_ERR_TRUNCATED ? KEDGE_OK : err;
}

static enum srv_tls_io read_in(struct srv_ingest *ingest)
{
    size_t len = 0;
    enum srv_tls_io result = srv_tls_client_read(&ingest->link, ingest->in + ingest->in_len,
                                                 SRV_MQTT_PACKET_MAX - ingest->in_len, &len);

    if (result != SRV_TLS_DONE) {
        return result;
    }
    ingest->heard_ms = host_loop_now_ms(ingest->loop);
    ingest->in_len += len;
    if (ingest->skip_bytes > 0) {
        size_t skip = ingest->skip_bytes < ingest->in_len ? ingest->skip_bytes : ingest->in_len;

        ingest->skip_bytes -= skip;
        consume(ingest, skip);
    }
    return SRV_TLS_DONE;
}

static void watch_for(struct srv_ingest *ingest, unsigned interest)
{
    host_loop_change(ingest->loop, &ingest->watch, interest);
}

/* Write what waits; false after dropping the link. */
static bool push_out(struct srv_ingest *ingest)
{
    enum srv_tls_io result = srv_tls_client_write(&ingest->link, &ingest->out);
    char text[256];

    if (result == SRV_TLS_BROKEN) {
        drop_link(ingest, srv_tls_error(text, sizeof text));
        return false;
    }
    if (result == SRV_TLS_DONE) {
        watch_for(ingest, HOST_LOOP_READ);
    } else if (ingest->out.len > OUT_PAUSE) {
        watch_for(ingest, HOST_LOOP_WRITE);
    } else {
        watch_for(ingest, HOST_LOOP_READ | HOST_LOOP_WRITE);
    }
    return true;
}

static void exchange(struct srv_ingest *ingest)
{
    char text[256];

    if (!push_out(ingest)) {
        return;
    }
    for (unsigned i = 0; i < READS_PER_ROUND && ingest->out.len <= OUT_PAUSE; i++) {
        const char *reason = "";
        enum srv_tls_io result = read_in(ingest);

        if (result == SRV_TLS_BROKEN) {
            drop_link(ingest, srv_tls_error(text, sizeof text));
            return;
        }
        if (result != SRV_TLS_DONE) {
            (void)push_out(ingest);
            return;
        }
        if (take_packets(ingest, &reason) != KEDGE_OK) {
            drop_link(ingest, reason);
            return;
        }
    }
    /* Its turn is over, but TLS may hold more: being writable brings us back. */
    if (push_out(ingest)) {
        watch_for(ingest,
                  ingest->out.len > OUT_PAUSE ? HOST_LOOP_WRITE : HOST_LOOP_READ | HOST_LOOP_WRITE);
    }
}

static void shake_hands(struct srv_ingest *ingest)
{
    char text[256];

    switch (srv_tls_client_handshake(&ingest->link)) {
    case SRV_TLS_DONE:
        break;
    case SRV_TLS_WANT_READ:
        watch_for(ingest, HOST_LOOP_READ);
        return;
    case SRV_TLS_WANT_WRITE:
        watch_for(ingest, HOST_LOOP_WRITE);
        return;
    case SRV_TLS_BROKEN:
        drop_link(ingest, srv_tls_error(text, sizeof text));
        return;
    }
    ingest->state = INGEST_CONNACK;
    if (srv_mqtt_encode_connect(&ingest->out, ingest->config.client_id, KEEP_ALIVE_S) != KEDGE_OK) {
        drop_link(ingest, "client id too long");
        return;
    }
    exchange(ingest);
}

static void finish_connect(struct srv_ingest *ingest)
{
    const char *reason = "";

    if (srv_tls_client_start(&ingest->link, ingest->tls, ingest->config.broker_host, &reason) !=
        KEDGE_OK) {
        drop_link(ingest, reason);
        return;
    }
    ingest->in = host_alloc(SRV_MQTT_PACKET_MAX);
    ingest->state = INGEST_HANDSHAKE;
    shake_hands(ingest);
}

static void on_ready(void *ctx, unsigned events)
{
    struct srv_ingest *ingest = ctx;

    (void)events;
    if (ingest->state == INGEST_CONNECTING) {
        finish_connect(ingest);
    } else if (ingest->state == INGEST_HANDSHAKE) {
        shake_hands(ingest);
    } else {
        exchange(ingest);
    }
}

static void connect_broker(struct srv_ingest *ingest)
{
    const char *reason = "";

    ingest->stats.reconnects += ingest->attempts > 0;
    if (srv_tls_client_connect(&ingest->link, ingest->config.broker_host,
                               ingest->config.broker_port, ingest->attempts, &reason) != KEDGE_OK) {
        drop_link(ingest, reason);
        return;
    }
    ingest->state = INGEST_CONNECTING;
    host_loop_watch(ingest->loop, &ingest->watch, ingest->link.fd, HOST_LOOP_WRITE);
    set_timer(ingest, SETUP_MS);
}

/* --- timers --- */

static void keep_alive(struct srv_ingest *ingest)
{
    if (ingest->pinged_ms != 0 && ingest->heard_ms < ingest->pinged_ms) {
        drop_link(ingest, "no answer to PINGREQ");
        return;
    }
    ingest->pinged_ms = host_loop_now_ms(ingest->loop);
    if (srv_mqtt_encode_pingreq(&ingest->out) != KEDGE_OK) {
        drop_link(ingest, "the broker takes no bytes");
        return;
    }
    set_timer(ingest, PING_EVERY_MS);
    (void)push_out(ingest);
}

static void on_timer(void *ctx)
{
    struct srv_ingest *ingest = ctx;

    if (ingest->state == INGEST_WAITING) {
        connect_broker(ingest);
    } else if (ingest->state == INGEST_LIVE) {
        keep_alive(ingest);
    } else {
        drop_link(ingest, "timed out while connecting");
    }
}

static void on_batch_timer(void *ctx)
{
    struct srv_ingest *ingest = ctx;

    if (flush(ingest) != KEDGE_OK) {
        drop_link(ingest, "the database did not commit");
        return;
    }
    (void)push_out(ingest);
}

/* --- public --- */

struct srv_ingest *srv_ingest_create(struct host_loop *loop, const struct srv_ingest_config *config,
                                     const struct srv_ingest_sink *sink, void *sink_ctx)
{
    const struct srv_tls_files files = {config->ca_file, config->cert_file, config->key_file};
    SSL_CTX *tls = srv_tls_client(&files);

    if (tls == NULL) {
        return NULL;
    }

    struct srv_ingest *ingest = host_calloc(1, sizeof *ingest);

    ingest->loop = loop;
    ingest->config = *config;
    ingest->sink = sink;
    ingest->sink_ctx = sink_ctx;
    ingest->tls = tls;
    ingest->link.fd = -1;
    host_buf_init(&ingest->out, OUT_MAX);
    ingest->watch = (struct host_watch){.ready = on_ready, .ctx = ingest};
    ingest->timer = (struct host_timer){.fire = on_timer, .ctx = ingest};
    ingest->batch_timer = (struct host_timer){.fire = on_batch_timer, .ctx = ingest};
    set_timer(ingest, 0);
    return ingest;
}

enum kedge_err srv_ingest_publish(struct srv_ingest *ingest, const char *topic,
                                  struct kedge_cspan payload)
{
    if (ingest->state != INGEST_LIVE) {
        return KEDGE_ERR_BUSY;
    }

    enum kedge_err err = srv_outbox_add(&ingest->outbox, topic, payload, &ingest->out);

    if (err == KEDGE_OK) {
        (void)push_out(ingest); /* a broken link resends it later */
    }
    return err;
}

/* Let the last PUBACKs and the DISCONNECT leave; not longer than GOODBYE_MS. */
static void say_goodbye(struct srv_ingest *ingest)
{
    struct pollfd wait = {.fd = ingest->link.fd, .events = POLLOUT};

    if (flush(ingest) != KEDGE_OK || srv_mqtt_encode_disconnect(&ingest->out) != KEDGE_OK) {
        return;
    }
    while (srv_tls_client_write(&ingest->link, &ingest->out) == SRV_TLS_WANT_WRITE &&
           poll(&wait, 1, GOODBYE_MS) > 0) {
    }
    (void)SSL_shutdown(ingest->link.ssl);
}

void srv_ingest_destroy(struct srv_ingest *ingest)
{
    if (ingest == NULL) {
        return;
    }
    if (ingest->state == INGEST_SUBACK || ingest->state == INGEST_LIVE) {
        say_goodbye(ingest);
    }
    close_link(ingest);
    srv_outbox_deinit(&ingest->outbox);
    host_buf_free(&ingest->out);
    SSL_CTX_free(ingest->tls);
    free(ingest->batch_ids);
    free(ingest);
}

void srv_ingest_stats(const struct srv_ingest *ingest, struct srv_ingest_stats *out)
{
    *out = ingest->stats;
}
