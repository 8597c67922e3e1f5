/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "mqtt_codec.h"

static bool is_inside(struct kedge_cspan part, const uint8_t *data, size_t size)
{
    return part.len == 0 || (part.data >= data && part.data + part.len <= data + size);
}

/* A QoS 1 PUBLISH that was taken encodes to the bytes that it came from, but for RETAIN, which
 * we never set, and a length that took more bytes than it needs. */
static void check_round_trip(const struct srv_mqtt_packet *packet, const uint8_t *data)
{
    struct host_buf out;
    char topic[1024];

    if (packet->qos != 1 || packet->retain || packet->topic.len >= sizeof topic) {
        return;
    }
    memcpy(topic, packet->topic.data, packet->topic.len);
    topic[packet->topic.len] = '\0';
    host_buf_init(&out, 2u * SRV_MQTT_PACKET_MAX);
    FUZZ_CHECK(srv_mqtt_encode_publish(&out, packet->id, packet->duplicate, topic,
                                       packet->payload) == KEDGE_OK);
    FUZZ_CHECK(out.len <= packet->size);
    FUZZ_CHECK(out.len < packet->size || memcmp(out.data, data, out.len) == 0);
    host_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct srv_mqtt_packet packet = {0};
    enum kedge_err err = srv_mqtt_parse((struct kedge_cspan){data, size}, &packet);

    if (err == KEDGE_ERR_TOO_LARGE) {
        FUZZ_CHECK(packet.size > SRV_MQTT_PACKET_MAX);
        FUZZ_CHECK(packet.type == SRV_MQTT_PUBLISH && (packet.qos == 0 || packet.id != 0));
        return 0;
    }
    if (err != KEDGE_OK) {
        FUZZ_CHECK(err == KEDGE_ERR_TRUNCATED || err == KEDGE_ERR_SYNTAX);
        return 0;
    }
    FUZZ_CHECK(packet.size >= 2 && packet.size <= size);
    FUZZ_CHECK(is_inside(packet.topic, data, packet.size));
    FUZZ_CHECK(is_inside(packet.payload, data, packet.size));
    FUZZ_CHECK(is_inside(packet.granted, data, packet.size));
    if (packet.type == SRV_MQTT_PUBLISH) {
        check_round_trip(&packet, data);
    }
    return 0;
}
