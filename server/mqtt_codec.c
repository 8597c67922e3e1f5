/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_codec.h"

#include <string.h>

#define MAX_LENGTH_BYTES 4u /* 2.2.3 */
#define STRING_MAX       65535u
#define SUBACK_FAILURE   0x80u
#define PROTOCOL_LEVEL   4u /* 3.1.1 */

/* Big-endian, unlike anything else here. */
static uint16_t get_be16(const uint8_t *p)
{
    return (uint16_t)((uint16_t)(p[0] << 8) | p[1]);
}

/* --- from the broker --- */

/* Remaining length (2.2.3) behind the first byte; *header_len includes that byte. */
static enum kedge_err parse_length(struct kedge_cspan bytes, size_t *header_len, size_t *length)
{
    size_t value = 0;

    for (size_t i = 0; i < MAX_LENGTH_BYTES; i++) {
        if (1 + i >= bytes.len) {
            return KEDGE_ERR_TRUNCATED;
        }

        uint8_t byte = bytes.data[1 + i];

        value |= (size_t)(byte & 0x7fu) << (7 * i);
        if ((byte & 0x80u) == 0) {
            *header_len = 2 + i;
            *length = value;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_SYNTAX;
}

static enum kedge_err parse_connack(struct kedge_cspan body, struct srv_mqtt_packet *out)
{
    if (body.len != 2 || body.data[0] > 1) {
        return KEDGE_ERR_SYNTAX;
    }
    out->session_present = body.data[0] == 1;
    out->return_code = body.data[1];
    return KEDGE_OK;
}

static enum kedge_err take_id(struct kedge_cspan *body, struct srv_mqtt_packet *out)
{
    if (body->len < 2) {
        return KEDGE_ERR_SYNTAX;
    }
    out->id = get_be16(body->data);
    body->data += 2;
    body->len -= 2;
    return out->id == 0 ? KEDGE_ERR_SYNTAX : KEDGE_OK;
}

static enum kedge_err parse_puback(struct kedge_cspan body, struct srv_mqtt_packet *out)
{
    enum kedge_err err = take_id(&body, out);

    return err == KEDGE_OK && body.len > 0 ? KEDGE_ERR_SYNTAX : err;
}

static enum kedge_err parse_suback(struct kedge_cspan body, struct srv_mqtt_packet *out)
{
    enum kedge_err err = take_id(&body, out);

    if (err != KEDGE_OK || body.len == 0) {
        return KEDGE_ERR_SYNTAX;
    }
    for (size_t i = 0; i < body.len; i++) {
        if (body.data[i] > 2 && body.data[i] != SUBACK_FAILURE) {
            return KEDGE_ERR_SYNTAX;
        }
    }
    out->granted = body;
    return KEDGE_OK;
}

static enum kedge_err parse_pingresp(struct kedge_cspan body, struct srv_mqtt_packet *out)
{
    (void)out;
    return body.len == 0 ? KEDGE_OK : KEDGE_ERR_SYNTAX;
}

/* 4.7.3, and what a topic of ours never holds: a broker that sends it is broken. */
static bool is_topic(struct kedge_cspan topic)
{
    for (size_t i = 0; i < topic.len; i++) {
        if (topic.data[i] == '\0' || topic.data[i] == '+' || topic.data[i] == '#') {
            return false;
        }
    }
    return topic.len > 0;
}

/* Topic and id; what is left of body is the payload, or its start. */
static enum kedge_err parse_publish_head(uint8_t flags, struct kedge_cspan *body,
                                         struct srv_mqtt_packet *out)
{
    out->duplicate = (flags & 8u) != 0;
    out->retain = (flags & 1u) != 0;
    out->qos = (flags >> 1) & 3u;
    /* QoS 2 was never subscribed to; DUP at QoS 0 is forbidden (3.3.1.1). */
    if (out->qos > 1 || (out->qos == 0 && out->duplicate) || body->len < 2) {
        return KEDGE_ERR_SYNTAX;
    }

    size_t topic_len = get_be16(body->data);

    if (topic_len > body->len - 2) {
        return KEDGE_ERR_SYNTAX;
    }
    out->topic = (struct kedge_cspan){body->data + 2, topic_len};
    body->data += 2 + topic_len;
    body->len -= 2 + topic_len;
    if (!is_topic(out->topic)) {
        return KEDGE_ERR_SYNTAX;
    }
    return out->qos == 0 ? KEDGE_OK : take_id(body, out);
}

static enum kedge_err parse_publish(uint8_t flags, struct kedge_cspan body,
                                    struct srv_mqtt_packet *out)
{
    enum kedge_err err = parse_publish_head(flags, &body, out);

    if (err == KEDGE_OK) {
        out->payload = body;
    }
    return err;
}

/* A packet that memory is not spent on. Its id must be known before it can be skipped: without its
 * PUBACK the broker would send it again for ever. */
static enum kedge_err parse_oversize(uint8_t first, struct kedge_cspan have,
                                     struct srv_mqtt_packet *out)
{
    if (first >> 4 != SRV_MQTT_PUBLISH) {
        return KEDGE_ERR_SYNTAX;
    }
    if (have.len < 2 || have.len < 2u + get_be16(have.data) + 2u) {
        return KEDGE_ERR_TRUNCATED;
    }

    enum kedge_err err = parse_publish_head(first & 0x0fu, &have, out);

    out->topic = (struct kedge_cspan){0};
    return err == KEDGE_OK ? KEDGE_ERR_TOO_LARGE : err;
}

static enum kedge_err parse_body(uint8_t first, struct kedge_cspan body,
                                 struct srv_mqtt_packet *out)
{
    static enum kedge_err (*const parsers[16])(struct kedge_cspan, struct srv_mqtt_packet *) = {
        [SRV_MQTT_CONNACK] = parse_connack,
        [SRV_MQTT_PUBACK] = parse_puback,
        [SRV_MQTT_SUBACK] = parse_suback,
        [SRV_MQTT_PINGRESP] = parse_pingresp,
    };
    unsigned type = first >> 4;

    if (type == SRV_MQTT_PUBLISH) {
        return parse_publish(first & 0x0fu, body, out);
    }
    if (parsers[type] == NULL || (first & 0x0fu) != 0) {
        return KEDGE_ERR_SYNTAX;
    }
    return parsers[type](body, out);
}

enum kedge_err srv_mqtt_parse(struct kedge_cspan bytes, struct srv_mqtt_packet *out)
{
    size_t header_len = 0, length = 0;

    if (bytes.len == 0) {
        return KEDGE_ERR_TRUNCATED;
    }

    enum kedge_err err = parse_length(bytes, &header_len, &length);

    if (err != KEDGE_OK) {
        return err;
    }

    struct kedge_cspan body = {bytes.data + header_len, bytes.len - header_len};

    *out = (struct srv_mqtt_packet){.type = (enum srv_mqtt_type)(bytes.data[0] >> 4),
                                    .size = header_len + length};
    if (out->size > SRV_MQTT_PACKET_MAX) {
        return parse_oversize(bytes.data[0], body, out);
    }
    if (body.len < length) {
        return KEDGE_ERR_TRUNCATED;
    }
    body.len = length;
    return parse_body(bytes.data[0], body, out);
}

/* --- to the broker --- */

static void put_u8(struct host_buf *out, uint8_t value)
{
    host_buf_append(out, &value, 1);
}

static void put_be16(struct host_buf *out, uint16_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

    host_buf_append(out, bytes, sizeof bytes);
}

/* len <= STRING_MAX. */
static void put_string(struct host_buf *out, const char *text, size_t len)
{
    put_be16(out, (uint16_t)len);
    host_buf_append(out, text, len);
}

/* First byte and remaining length; the caller then appends exactly length bytes. */
static enum kedge_err put_header(struct host_buf *out, enum srv_mqtt_type type, uint8_t flags,
                                 size_t length)
{
    if (length > SRV_MQTT_PACKET_MAX - 1 - MAX_LENGTH_BYTES) {
        return KEDGE_ERR_TOO_LARGE;
    }
    put_u8(out, (uint8_t)((unsigned)type << 4 | flags));
    do {
        uint8_t byte = length & 0x7fu;

        length >>= 7;
        put_u8(out, (uint8_t)(length > 0 ? byte | 0x80u : byte));
    } while (length > 0);
    return KEDGE_OK;
}

static enum kedge_err finish(const struct host_buf *out)
{
    return host_buf_ok(out) ? KEDGE_OK : KEDGE_ERR_TOO_LARGE;
}

enum kedge_err srv_mqtt_encode_connect(struct host_buf *out, const char *client_id,
                                       uint16_t keep_alive_s)
{
    static const char protocol[] = "MQTT";
    size_t id_len = strlen(client_id);

    if (id_len > STRING_MAX ||
        put_header(out, SRV_MQTT_CONNECT, 0, 6u + 4u + 2u + id_len) != KEDGE_OK) {
        return KEDGE_ERR_TOO_LARGE;
    }
    put_string(out, protocol, sizeof protocol - 1);
    put_u8(out, PROTOCOL_LEVEL);
    put_u8(out, 0); /* connect flags: clean_session = 0 and nothing else */
    put_be16(out, keep_alive_s);
    put_string(out, client_id, id_len);
    return finish(out);
}

enum kedge_err srv_mqtt_encode_subscribe(struct host_buf *out, uint16_t id,
                                         const char *const *topics)
{
    size_t length = 2;

    for (size_t i = 0; topics[i] != NULL; i++) {
        size_t topic_len = strlen(topics[i]);

        if (topic_len > STRING_MAX) {
            return KEDGE_ERR_TOO_LARGE;
        }
        length += 2 + topic_len + 1;
    }
    if (put_header(out, SRV_MQTT_SUBSCRIBE, 2, length) != KEDGE_OK) {
        return KEDGE_ERR_TOO_LARGE;
    }
    put_be16(out, id);
    for (size_t i = 0; topics[i] != NULL; i++) {
        put_string(out, topics[i], strlen(topics[i]));
        put_u8(out, 1);
    }
    return finish(out);
}

enum kedge_err srv_mqtt_encode_publish(struct host_buf *out, uint16_t id, bool duplicate,
                                       const char *topic, struct kedge_cspan payload)
{
    size_t topic_len = strlen(topic);
    uint8_t flags = duplicate ? 0x0au : 0x02u;

    if (topic_len > STRING_MAX || payload.len > SRV_MQTT_PACKET_MAX ||
        put_header(out, SRV_MQTT_PUBLISH, flags, 2 + topic_len + 2 + payload.len) != KEDGE_OK) {
        return KEDGE_ERR_TOO_LARGE;
    }
    put_string(out, topic, topic_len);
    put_be16(out, id);
    if (payload.len > 0) {
        host_buf_append(out, payload.data, payload.len);
    }
    return finish(out);
}

enum kedge_err srv_mqtt_encode_puback(struct host_buf *out, uint16_t id)
{
    enum kedge_err err = put_header(out, SRV_MQTT_PUBACK, 0, 2);

    put_be16(out, id);
    return err != KEDGE_OK ? err : finish(out);
}

enum kedge_err srv_mqtt_encode_pingreq(struct host_buf *out)
{
    enum kedge_err err = put_header(out, SRV_MQTT_PINGREQ, 0, 0);

    return err != KEDGE_OK ? err : finish(out);
}

enum kedge_err srv_mqtt_encode_disconnect(struct host_buf *out)
{
    enum kedge_err err = put_header(out, SRV_MQTT_DISCONNECT, 0, 0);

    return err != KEDGE_OK ? err : finish(out);
}

const char *srv_mqtt_return_text(uint8_t return_code)
{
    static const char *const texts[] = {
        "accepted",           "protocol version not supported", "client id refused",
        "broker unavailable", "bad user name or password",      "not authorised",
    };

    return return_code < sizeof texts / sizeof texts[0] ? texts[return_code] : "unknown code";
}
