/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "host/log.h"
#include "mqtt_codec.h"
#include "tls.h"

#define SETUP_MS         10000u /* TCP, TLS, CONNACK and SUBACK together */
#define KEEP_ALIVE_S     60u
#define PING_EVERY_MS    20000u
#define BACKOFF_MIN_MS   1000u
#define BACKOFF_MAX_MS   30000u
#define STABLE_MS        30000u /* a link that lasted so long starts over with short back-off */
#define GOODBYE_MS       500u
#define PUBLISH_MAX      64u
#define OUT_MAX          (8u * 1024u * 1024u) /* 64 publishes of 64 KiB and room for PUBACKs */
#define OUT_PAUSE        (256u * 1024u)       /* read no more while the broker takes no PUBACKs */
#define READS_PER_ROUND  16
#define SUBSCRIBE_ID     1u
#define FIRST_PUBLISH_ID 2u
#define TOPIC_SIZE       256u

enum ingest_state {
    INGEST_WAITING, /* for the next attempt */
    INGEST_CONNECTING,
    INGEST_HANDSHAKE,
    INGEST_CONNACK,
    INGEST_SUBACK,
    INGEST_LIVE
};

/* A command on its way; kept until its PUBACK. */
struct outgoing {
    uint16_t id; /* 0 = free */
    char *topic;
    uint8_t *payload;
    size_t payload_len;
};

struct srv_ingest {
    struct host_loop *loop; /* borrowed */
    struct srv_ingest_config config;
    const struct srv_ingest_sink *sink; /* borrowed */
    void *sink_ctx;
    SSL_CTX *tls;

    enum ingest_state state;
    int fd;
    SSL *ssl;
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

    struct outgoing outgoing[PUBLISH_MAX];
    uint16_t next_id;
    struct srv_ingest_stats stats;
};

/* --- outgoing publishes --- */

static void free_outgoing(struct outgoing *message)
{
    free(message->topic);
    free(message->payload);
    *message = (struct outgoing){0};
}

static struct outgoing *find_outgoing(struct srv_ingest *ingest, uint16_t id)
{
    for (size_t i = 0; i < PUBLISH_MAX; i++) {
        if (ingest->outgoing[i].id == id) {
            return &ingest->outgoing[i];
        }
    }
    return NULL;
}

static uint16_t free_id(struct srv_ingest *ingest)
{
    do {
        ingest->next_id =
            ingest->next_id == UINT16_MAX ? FIRST_PUBLISH_ID : (uint16_t)(ingest->next_id + 1u);
    } while (find_outgoing(ingest, ingest->next_id) != NULL);
    return ingest->next_id;
}

/* 4.4: what was not acknowledged is sent again when the session goes on. */
static enum kedge_err resend(struct srv_ingest *ingest)
{
    for (size_t i = 0; i < PUBLISH_MAX; i++) {
        const struct outgoing *message = &ingest->outgoing[i];

        if (message->id == 0) {
            continue;
        }

        enum kedge_err err =
            srv_mqtt_encode_publish(&ingest->out, message->id, true, message->topic,
                                    (struct kedge_cspan){message->payload, message->payload_len});

        if (err != KEDGE_OK) {
            return err;
        }
    }
    return KEDGE_OK;
}

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
    SSL_free(ingest->ssl);
    ingest->ssl = NULL;
    if (ingest->fd >= 0) {
        (void)close(ingest->fd);
        ingest->fd = -1;
    }
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

    host_log(HOST_LOG_WARN, "ingest-down", "broker=%s:%u reason=\"%s\" retry_ms=%llu",
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
    host_log(HOST_LOG_INFO, "ingest-up", "broker=%s:%u", ingest->config.broker_host,
             (unsigned)ingest->config.broker_port);
    set_link(ingest, true);
    *reason = "cannot send the commands again";
    return resend(ingest);
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

static enum kedge_err on_puback(struct srv_ingest *ingest, const struct srv_mqtt_packet *packet,
                                const char **reason)
{
    struct outgoing *message = find_outgoing(ingest, packet->id);

    (void)reason;
    if (message != NULL) { /* else: an answer to a resend that had arrived after all */
        free_outgoing(message);
    }
    return KEDGE_OK;
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
        return on_puback(ingest, packet, reason);
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
    host_log(HOST_LOG_WARN, "ingest-oversize", "bytes=%zu limit=%u", packet->size,
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

enum io_result {
    IO_DONE,
    IO_WANT_READ,
    IO_WANT_WRITE,
    IO_BROKEN
};

static enum io_result io_result(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    default:
        return IO_BROKEN;
    }
}

static enum io_result write_out(struct srv_ingest *ingest)
{
    while (ingest->out.len > 0) {
        size_t written = 0;

        ERR_clear_error();

        int result = SSL_write_ex(ingest->ssl, ingest->out.data, ingest->out.len, &written);

        if (result != 1) {
            return io_result(ingest->ssl, result);
        }
        host_buf_consume(&ingest->out, written);
    }
    return IO_DONE;
}

static enum io_result read_in(struct srv_ingest *ingest)
{
    size_t len = 0;

    ERR_clear_error();

    int result = SSL_read_ex(ingest->ssl, ingest->in + ingest->in_len,
                             SRV_MQTT_PACKET_MAX - ingest->in_len, &len);

    if (result != 1) {
        return io_result(ingest->ssl, result);
    }
    ingest->heard_ms = host_loop_now_ms(ingest->loop);
    ingest->in_len += len;
    if (ingest->skip_bytes > 0) {
        size_t skip = ingest->skip_bytes < ingest->in_len ? ingest->skip_bytes : ingest->in_len;

        ingest->skip_bytes -= skip;
        consume(ingest, skip);
    }
    return IO_DONE;
}

static void watch_for(struct srv_ingest *ingest, unsigned interest)
{
    host_loop_change(ingest->loop, &ingest->watch, interest);
}

/* Write what waits; false after dropping the link. */
static bool push_out(struct srv_ingest *ingest)
{
    enum io_result result = write_out(ingest);
    char text[256];

    if (result == IO_BROKEN) {
        drop_link(ingest, srv_tls_error(text, sizeof text));
        return false;
    }
    if (result == IO_DONE) {
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
        enum io_result result = read_in(ingest);

        if (result == IO_BROKEN) {
            drop_link(ingest, srv_tls_error(text, sizeof text));
            return;
        }
        if (result != IO_DONE) {
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

    ERR_clear_error();

    int result = SSL_connect(ingest->ssl);

    if (result == 1) {
        ingest->state = INGEST_CONNACK;
        if (srv_mqtt_encode_connect(&ingest->out, ingest->config.client_id, KEEP_ALIVE_S) !=
            KEDGE_OK) {
            drop_link(ingest, "client id too long");
            return;
        }
        exchange(ingest);
        return;
    }
    switch (io_result(ingest->ssl, result)) {
    case IO_WANT_READ:
        watch_for(ingest, HOST_LOOP_READ);
        break;
    case IO_WANT_WRITE:
        watch_for(ingest, HOST_LOOP_WRITE);
        break;
    case IO_DONE:
    case IO_BROKEN:
        drop_link(ingest, srv_tls_error(text, sizeof text));
        break;
    }
}

static void finish_connect(struct srv_ingest *ingest)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(ingest->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        drop_link(ingest, strerror(error != 0 ? error : errno));
        return;
    }
    ingest->ssl = SSL_new(ingest->tls);
    if (ingest->ssl == NULL || SSL_set_fd(ingest->ssl, ingest->fd) != 1 ||
        srv_tls_expect_host(ingest->ssl, ingest->config.broker_host) != KEDGE_OK) {
        drop_link(ingest, "cannot set up TLS");
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
    switch (ingest->state) {
    case INGEST_CONNECTING:
        finish_connect(ingest);
        break;
    case INGEST_HANDSHAKE:
        shake_hands(ingest);
        break;
    case INGEST_CONNACK:
    case INGEST_SUBACK:
    case INGEST_LIVE:
        exchange(ingest);
        break;
    case INGEST_WAITING:
        break;
    }
}

/* --- connect --- */

/* A non-blocking connect to the first address; -1 with errno. */
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

/* An address resolves without waiting; a name may block for as long as the resolver does, which is
 * why broker_host should be an address or in /etc/hosts. */
static void connect_broker(struct srv_ingest *ingest)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    char port[8];

    ingest->stats.reconnects += ingest->attempts > 0;
    (void)snprintf(port, sizeof port, "%u", (unsigned)ingest->config.broker_port);

    int resolved = getaddrinfo(ingest->config.broker_host, port, &hints, &infos);

    if (resolved != 0) {
        drop_link(ingest, gai_strerror(resolved));
        return;
    }
    ingest->fd = begin_connect(infos);
    freeaddrinfo(infos);
    if (ingest->fd < 0) {
        drop_link(ingest, strerror(errno));
        return;
    }
    ingest->state = INGEST_CONNECTING;
    host_loop_watch(ingest->loop, &ingest->watch, ingest->fd, HOST_LOOP_WRITE);
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

    switch (ingest->state) {
    case INGEST_WAITING:
        connect_broker(ingest);
        break;
    case INGEST_LIVE:
        keep_alive(ingest);
        break;
    case INGEST_CONNECTING:
    case INGEST_HANDSHAKE:
    case INGEST_CONNACK:
    case INGEST_SUBACK:
        drop_link(ingest, "timed out while connecting");
        break;
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
    ingest->fd = -1;
    ingest->next_id = FIRST_PUBLISH_ID;
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
    struct outgoing *message = find_outgoing(ingest, 0);

    if (ingest->state != INGEST_LIVE || message == NULL) {
        return KEDGE_ERR_BUSY;
    }

    uint16_t id = free_id(ingest);
    enum kedge_err err = srv_mqtt_encode_publish(&ingest->out, id, false, topic, payload);

    if (err != KEDGE_OK) {
        return err;
    }
    *message = (struct outgoing){.id = id,
                                 .topic = host_strdup(topic),
                                 .payload = host_alloc(payload.len + 1),
                                 .payload_len = payload.len};
    if (payload.len > 0) {
        memcpy(message->payload, payload.data, payload.len);
    }
    (void)push_out(ingest); /* a broken link resends it later */
    return KEDGE_OK;
}

/* Let the last PUBACKs and the DISCONNECT leave; not longer than GOODBYE_MS. */
static void say_goodbye(struct srv_ingest *ingest)
{
    struct pollfd wait = {.fd = ingest->fd, .events = POLLOUT};

    if (flush(ingest) != KEDGE_OK || srv_mqtt_encode_disconnect(&ingest->out) != KEDGE_OK) {
        return;
    }
    while (write_out(ingest) == IO_WANT_WRITE && poll(&wait, 1, GOODBYE_MS) > 0) {
    }
    (void)SSL_shutdown(ingest->ssl);
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
    for (size_t i = 0; i < PUBLISH_MAX; i++) {
        free_outgoing(&ingest->outgoing[i]);
    }
    host_buf_free(&ingest->out);
    SSL_CTX_free(ingest->tls);
    free(ingest->batch_ids);
    free(ingest);
}

void srv_ingest_stats(const struct srv_ingest *ingest, struct srv_ingest_stats *out)
{
    *out = ingest->stats;
}
