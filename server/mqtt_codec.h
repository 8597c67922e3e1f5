/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/buf.h"
#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * MQTT 3.1.1 (OASIS, section numbers below) as a client needs it: bytes <-> packets. Pure: no I/O.
 */
#define SRV_MQTT_PACKET_MAX 65536u /**< largest packet that is kept in memory, header included */

/** Packet types (2.2.1) that a client sends or receives here. */
enum srv_mqtt_type {
    SRV_MQTT_CONNECT = 1,
    SRV_MQTT_CONNACK = 2,
    SRV_MQTT_PUBLISH = 3,
    SRV_MQTT_PUBACK = 4,
    SRV_MQTT_SUBSCRIBE = 8,
    SRV_MQTT_SUBACK = 9,
    SRV_MQTT_PINGREQ = 12,
    SRV_MQTT_PINGRESP = 13,
    SRV_MQTT_DISCONNECT = 14
};

/** A packet from the broker. Spans point into the input. */
struct srv_mqtt_packet {
    enum srv_mqtt_type type;           /**< CONNACK, PUBLISH, PUBACK, SUBACK or PINGRESP */
    size_t size;                       /**< bytes of input it takes */
    uint16_t id;                       /**< PUBLISH at QoS 1, PUBACK, SUBACK; else 0 */
    uint8_t qos;                       /**< PUBLISH: 0 or 1 */
    bool duplicate, retain;            /**< PUBLISH */
    struct kedge_cspan topic, payload; /**< PUBLISH; topic has no NUL */
    bool session_present;              /**< CONNACK */
    uint8_t return_code;               /**< CONNACK: 0 = accepted (3.2.2.3) */
    struct kedge_cspan granted;        /**< SUBACK: one byte per topic, 0x80 = refused */
};

/**
 * The packet at the start of bytes. Errors: TRUNCATED (more bytes are needed), TOO_LARGE (a
 * PUBLISH over SRV_MQTT_PACKET_MAX, id read: type, size, qos, id and flags are filled,
 * so that it can be skipped), SYNTAX (whatever a broker must not send: drop the connection).
 */
KEDGE_NODISCARD enum kedge_err srv_mqtt_parse(struct kedge_cspan bytes,
                                              struct srv_mqtt_packet *out);

/* Encoders append one packet to out. Errors: TOO_LARGE (a string over 65535 bytes, the packet over
 * SRV_MQTT_PACKET_MAX, or out's limit). */

/** clean_session = 0, no will, no user name. keep_alive_s as the broker is told. */
KEDGE_NODISCARD enum kedge_err srv_mqtt_encode_connect(struct host_buf *out, const char *client_id,
                                                       uint16_t keep_alive_s);
/** All topics at QoS 1. topics is NULL-terminated and not empty. */
KEDGE_NODISCARD enum kedge_err srv_mqtt_encode_subscribe(struct host_buf *out, uint16_t id,
                                                         const char *const *topics);
/** At QoS 1. */
KEDGE_NODISCARD enum kedge_err srv_mqtt_encode_publish(struct host_buf *out, uint16_t id,
                                                       bool duplicate, const char *topic,
                                                       struct kedge_cspan payload);
KEDGE_NODISCARD enum kedge_err srv_mqtt_encode_puback(struct host_buf *out, uint16_t id);
KEDGE_NODISCARD enum kedge_err srv_mqtt_encode_pingreq(struct host_buf *out);
KEDGE_NODISCARD enum kedge_err srv_mqtt_encode_disconnect(struct host_buf *out);

/** Text of a CONNACK return code, static. */
const char *srv_mqtt_return_text(uint8_t return_code);
