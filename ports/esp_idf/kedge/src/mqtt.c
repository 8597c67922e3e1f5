/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "esp_log.h"
#include "esp_random.h"
#include "mqtt_client.h"
#include "port.h"

/*
 * The broker, by esp-mqtt. Its handlers run in its own task with its lock held, and take nothing
 * but what port_post and the atomics give: whoever waits for the kedge task in there, which waits
 * for that lock, waits for ever.
 */
#define QOS              1
#define RECONNECT_MS     5000u
#define OUTBOX_LIMIT     8192u /* bytes; the agent has at most four messages under way */
#define KEEPALIVE_S      60
#define START_AGAIN_MS   30000u
#define SUBSCRIBE_FAILED 0x80 /* MQTT 3.1.1, 3.9.3 */

static const char offline[] = "offline";

/* ---- esp-mqtt's task ---- */

static void on_connected(struct port *port, esp_mqtt_client_handle_t client)
{
    if (esp_mqtt_client_subscribe_single(client, port->mqtt.command_topic, QOS) < 0) {
        ESP_LOGW(PORT_TAG, "subscribe_failed %s", port->mqtt.command_topic);
        (void)esp_mqtt_client_disconnect(client);
    }
}

/* Refused by the broker's ACL: without commands we are not up, and try again by and by. */
static void on_subscribed(struct port *port, const esp_mqtt_event_t *event)
{
    if (event->data_len > 0 && (uint8_t)event->data[0] == SUBSCRIBE_FAILED) {
        ESP_LOGE(PORT_TAG, "subscribe_refused %s: see the broker's ACL", port->mqtt.command_topic);
        (void)esp_mqtt_client_disconnect(event->client);
        return;
    }
    port_link_set(port, &port->mqtt_link, true);
}

/* A command fits into one piece; what does not is none of ours. */
static void on_data(struct port *port, const esp_mqtt_event_t *event)
{
    struct port_event posted = {.kind = PORT_COMMAND};

    if (event->data_len <= 0 || event->data_len != event->total_data_len ||
        (size_t)event->data_len > sizeof posted.text) {
        ESP_LOGW(PORT_TAG, "command_refused %d bytes, expected 1..%u", event->total_data_len,
                 PORT_COMMAND_MAX);
        return;
    }
    posted.text_len = (uint16_t)event->data_len;
    memcpy(posted.text, event->data, posted.text_len);
    if (!port_post(port, &posted)) {
        ESP_LOGW(PORT_TAG, "command_dropped: too many");
    }
}

static void on_settled(struct port *port, const esp_mqtt_event_t *event, enum port_event_kind kind)
{
    const struct port_event posted = {.kind = kind, .message_id = event->msg_id};

    if (!port_post(port, &posted)) {
        ESP_LOGW(PORT_TAG, "ack_dropped %d", event->msg_id);
    }
}

static void on_event(void *arg, esp_event_base_t base, int32_t id, void *data)
{
    struct port *port = arg;
    const esp_mqtt_event_t *event = data;

    (void)base;
    switch (id) {
    case MQTT_EVENT_CONNECTED:
        on_connected(port, event->client);
        return;
    case MQTT_EVENT_SUBSCRIBED:
        on_subscribed(port, event);
        return;
    case MQTT_EVENT_DISCONNECTED:
        port_link_set(port, &port->mqtt_link, false);
        return;
    case MQTT_EVENT_PUBLISHED:
        on_settled(port, event, PORT_MQTT_ACKED);
        return;
    case MQTT_EVENT_DELETED:
        on_settled(port, event, PORT_MQTT_DELETED);
        return;
    case MQTT_EVENT_DATA:
        on_data(port, event);
        return;
    default:
        return;
    }
}

/* ---- the kedge task ---- */

static void name_topics(struct port *port)
{
    struct port_mqtt *mqtt = &port->mqtt;
    const struct kedge_settings *settings = &port->settings;

    (void)snprintf(mqtt->telemetry_topic, sizeof mqtt->telemetry_topic, "devices/%s/telemetry",
                   settings->device_id);
    (void)snprintf(mqtt->status_topic, sizeof mqtt->status_topic, "devices/%s/status",
                   settings->device_id);
    (void)snprintf(mqtt->command_topic, sizeof mqtt->command_topic, "devices/%s/cmd",
                   settings->device_id);
    (void)snprintf(mqtt->uri, sizeof mqtt->uri, "mqtts://%s:%" PRIu32, settings->broker_host,
                   settings->broker_port);
}

static esp_mqtt_client_handle_t init_client(struct port *port)
{
    const esp_mqtt_client_config_t config = {
        .broker.address.uri = port->mqtt.uri,
        .broker.verification.certificate = port->ca,
        .credentials.client_id = port->settings.device_id,
        .credentials.authentication.certificate = port->certificate,
        .credentials.authentication.key = port->key,
        .session.last_will = {.topic = port->mqtt.status_topic,
                              .msg = offline,
                              .msg_len = (int)sizeof offline - 1,
                              .qos = QOS,
                              .retain = 1},
        .session.keepalive = KEEPALIVE_S,
        /* Not all devices of a building at once when the broker comes back. */
        .network.reconnect_timeout_ms = (int)(RECONNECT_MS + esp_random() % RECONNECT_MS),
        .task.stack_size = CONFIG_KEDGE_MQTT_STACK,
        .task.priority = CONFIG_KEDGE_PRIORITY,
        .outbox.limit = OUTBOX_LIMIT,
    };

    return esp_mqtt_client_init(&config);
}

void port_mqtt_start(struct port *port)
{
    esp_mqtt_client_handle_t client;
    esp_err_t err;

    if (port_now_ms() < port->mqtt.start_at_ms) {
        return;
    }
    port->mqtt.start_at_ms = port_now_ms() + START_AGAIN_MS;
    name_topics(port);
    client = init_client(port);
    if (client == NULL) {
        ESP_LOGE(PORT_TAG, "mqtt_init_failed %s", port->mqtt.uri);
        return;
    }
    err = esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_event, port);
    if (err == ESP_OK) {
        err = esp_mqtt_client_start(client);
    }
    if (err != ESP_OK) {
        ESP_LOGE(PORT_TAG, "mqtt_start_failed %s", esp_err_to_name(err));
        (void)esp_mqtt_client_destroy(client);
        return;
    }
    port->mqtt.client = client;
}

static void remember(struct port_mqtt *mqtt, int message_id, uint32_t token)
{
    for (uint32_t i = 0; i < PORT_MQTT_TOKENS; i++) {
        if (mqtt->tokens[i].message_id == 0) {
            mqtt->next = i;
            break;
        }
    }
    mqtt->tokens[mqtt->next].message_id = message_id;
    mqtt->tokens[mqtt->next].token = token;
    mqtt->next = (mqtt->next + 1u) % PORT_MQTT_TOKENS;
}

/* enqueue and not publish, which waits for the network. A failure is a message that is never
 * acknowledged; the agent sends the next. */
void port_mqtt_publish(struct port *port, const struct kedge_mqtt_message *message)
{
    struct port_mqtt *mqtt = &port->mqtt;
    const char *topic =
        message->topic == KEDGE_TOPIC_STATUS ? mqtt->status_topic : mqtt->telemetry_topic;
    int message_id = esp_mqtt_client_enqueue(mqtt->client, topic, message->payload,
                                             (int)message->payload_len, QOS, message->retain, true);

    if (message_id <= 0) {
        ESP_LOGW(PORT_TAG, "publish_failed %d", message_id);
        return;
    }
    remember(mqtt, message_id, message->token);
}

uint32_t port_mqtt_take_token(struct port *port, int message_id)
{
    struct port_mqtt *mqtt = &port->mqtt;

    for (uint32_t i = 0; i < PORT_MQTT_TOKENS; i++) {
        if (message_id > 0 && mqtt->tokens[i].message_id == message_id) {
            mqtt->tokens[i].message_id = 0;
            return mqtt->tokens[i].token;
        }
    }
    return 0;
}
