/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stub.h"

/*
 * esp-mqtt and the broker behind it. As there, a task of the client's own calls the handlers and
 * holds the client's lock meanwhile; most calls from other tasks take it, too.
 */
#define OUTBOX         16u
#define COMMANDS       32u
#define POLL_MS        1000u
#define NETWORK_MS     10000u /* a broker that does not answer */
#define EXPIRE_MS      30000u
#define SUBACK_REFUSED ((char)0x80)

struct outgoing {
    int message_id; /* 0 = free */
    bool is_sent;
    uint64_t since_us;
    struct stub_message message;
};

struct esp_mqtt_client {
    esp_event_handler_t handler;
    void *handler_arg;
    struct stub_task *owner; /* of the lock */
    uint32_t depth;
    bool is_started, is_connected, must_disconnect;
    int reconnect_ms;
    uint64_t limit;
    int last_id;
    int subscribing; /* message id of the SUBSCRIBE that waits for its SUBACK */
    struct outgoing outbox[OUTBOX];
};

static struct esp_mqtt_client *the_client;
static struct {
    char texts[COMMANDS][KEDGE_MESSAGE_MAX];
    uint32_t first, count;
    bool drops;
} inbox;

static struct stub_broker *broker(void)
{
    return &stub_now->broker;
}

/* ---- the lock ---- */

static bool is_free(void *arg)
{
    const struct esp_mqtt_client *client = arg;

    return client->owner == NULL;
}

static void lock(struct esp_mqtt_client *client)
{
    if (client->owner != stub_task_self() || client->depth == 0) {
        (void)stub_wait(is_free, client, UINT64_MAX);
        client->owner = stub_task_self();
    }
    client->depth++;
}

static void unlock(struct esp_mqtt_client *client)
{
    if (--client->depth == 0) {
        client->owner = NULL;
    }
}

/* ---- events ---- */

static void tell(struct esp_mqtt_client *client, esp_mqtt_event_t event)
{
    event.client = client;
    if (client->handler != NULL) {
        client->handler(client->handler_arg, "MQTT_EVENTS", (int32_t)event.event_id, &event);
    }
}

static void tell_settled(struct esp_mqtt_client *client, struct outgoing *outgoing,
                         esp_mqtt_event_id_t id)
{
    int message_id = outgoing->message_id;

    outgoing->message_id = 0;
    tell(client, (esp_mqtt_event_t){.event_id = id, .msg_id = message_id});
}

static void disconnect(struct esp_mqtt_client *client)
{
    client->is_connected = false;
    client->must_disconnect = false;
    client->subscribing = 0;
    broker()->disconnects++;
    for (size_t i = 0; i < OUTBOX; i++) {
        client->outbox[i].is_sent = false;
    }
    tell(client, (esp_mqtt_event_t){.event_id = MQTT_EVENT_DISCONNECTED});
}

/* ---- the task ---- */

static uint32_t latency_ms(void)
{
    return broker()->latency_ms > 0 ? broker()->latency_ms : 20;
}

static void try_to_connect(struct esp_mqtt_client *client)
{
    tell(client, (esp_mqtt_event_t){.event_id = MQTT_EVENT_BEFORE_CONNECT});
    stub_sleep_ms(broker()->is_down ? NETWORK_MS : 2u * latency_ms());
    if (broker()->is_down) {
        tell(client, (esp_mqtt_event_t){.event_id = MQTT_EVENT_ERROR});
        disconnect(client);
        return;
    }
    broker()->connects++;
    client->is_connected = true;
    inbox.drops = false;
    tell(client, (esp_mqtt_event_t){.event_id = MQTT_EVENT_CONNECTED});
}

static void receive_suback(struct esp_mqtt_client *client)
{
    char granted = broker()->refuses_subscription ? SUBACK_REFUSED : 1;
    int message_id = client->subscribing;

    client->subscribing = 0;
    stub_sleep_ms(latency_ms());
    tell(client, (esp_mqtt_event_t){.event_id = MQTT_EVENT_SUBSCRIBED,
                                    .msg_id = message_id,
                                    .data = &granted,
                                    .data_len = 1,
                                    .total_data_len = 1});
}

static void receive_command(struct esp_mqtt_client *client)
{
    char *text = inbox.texts[inbox.first];
    int total = (int)strlen(text);
    int piece = broker()->fragment > 0 ? (int)broker()->fragment : total;

    for (int at = 0; at < total || at == 0; at += piece > 0 ? piece : 1) {
        tell(client, (esp_mqtt_event_t){.event_id = MQTT_EVENT_DATA,
                                        .topic = broker()->topic,
                                        .topic_len = at == 0 ? (int)strlen(broker()->topic) : 0,
                                        .data = text + at,
                                        .data_len = total - at < piece ? total - at : piece,
                                        .total_data_len = total,
                                        .current_data_offset = at});
    }
    inbox.first = (inbox.first + 1u) % COMMANDS;
    inbox.count--;
}

static void send_next(struct esp_mqtt_client *client)
{
    for (size_t i = 0; i < OUTBOX; i++) {
        struct outgoing *outgoing = &client->outbox[i];

        if (outgoing->message_id == 0 || outgoing->is_sent) {
            continue;
        }
        outgoing->is_sent = true;
        outgoing->message.at_ms = stub_now->now_us / 1000u;
        broker()->messages[broker()->message_count++ % STUB_MESSAGES] = outgoing->message;
        stub_sleep_ms(latency_ms());
        if (!broker()->keeps_acks) {
            tell_settled(client, outgoing, MQTT_EVENT_PUBLISHED);
        }
        return;
    }
}

static void expire(struct esp_mqtt_client *client)
{
    uint64_t limit_us = (broker()->expire_ms > 0 ? broker()->expire_ms : EXPIRE_MS) * 1000ull;

    for (size_t i = 0; i < OUTBOX; i++) {
        if (client->outbox[i].message_id != 0 &&
            stub_now->now_us - client->outbox[i].since_us > limit_us) {
            tell_settled(client, &client->outbox[i], MQTT_EVENT_DELETED);
        }
    }
}

static bool has_unsent(const struct esp_mqtt_client *client)
{
    for (size_t i = 0; i < OUTBOX; i++) {
        if (client->outbox[i].message_id != 0 && !client->outbox[i].is_sent) {
            return true;
        }
    }
    return false;
}

static void run_connected(struct esp_mqtt_client *client)
{
    if (client->must_disconnect || inbox.drops || broker()->is_down) {
        inbox.drops = false;
        disconnect(client);
    } else if (client->subscribing != 0) {
        receive_suback(client);
    } else if (inbox.count > 0) {
        receive_command(client);
    } else {
        send_next(client);
    }
}

static bool has_work(void *arg)
{
    const struct esp_mqtt_client *client = arg;

    return client->is_connected && (client->must_disconnect || inbox.drops || inbox.count > 0 ||
                                    client->subscribing != 0 || has_unsent(client));
}

static void run_client(void *arg)
{
    struct esp_mqtt_client *client = arg;

    for (;;) {
        bool was_connected;

        lock(client);
        expire(client);
        was_connected = client->is_connected;
        if (was_connected) {
            run_connected(client);
        } else {
            try_to_connect(client);
        }
        unlock(client);
        if (!client->is_connected) {
            stub_sleep_ms((uint32_t)client->reconnect_ms);
        } else {
            (void)stub_wait(has_work, client, stub_now->now_us + POLL_MS * 1000ull);
        }
    }
}

/* ---- what the port calls ---- */

static void note_client(const esp_mqtt_client_config_t *config)
{
    struct stub_broker *seen = broker();

    seen->clients++;
    (void)snprintf(seen->uri, sizeof seen->uri, "%s", config->broker.address.uri);
    (void)snprintf(seen->client_id, sizeof seen->client_id, "%s", config->credentials.client_id);
    (void)snprintf(seen->will_topic, sizeof seen->will_topic, "%s",
                   config->session.last_will.topic);
    (void)snprintf(seen->will, sizeof seen->will, "%.*s", config->session.last_will.msg_len,
                   config->session.last_will.msg);
    seen->will_qos = config->session.last_will.qos;
    seen->will_retain = config->session.last_will.retain;
    seen->keepalive = config->session.keepalive;
    seen->reconnect_ms = config->network.reconnect_timeout_ms;
    seen->stack_size = config->task.stack_size;
    seen->priority = config->task.priority;
    seen->outbox_limit = config->outbox.limit;
    seen->has_ca = config->broker.verification.certificate != NULL;
    seen->has_identity = config->credentials.authentication.certificate != NULL &&
                         config->credentials.authentication.key != NULL;
}

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config)
{
    STUB_FAULT_NULL;
    note_client(config);
    the_client = calloc(1, sizeof *the_client);
    if (the_client != NULL) {
        the_client->limit = config->outbox.limit;
        the_client->reconnect_ms = config->network.reconnect_timeout_ms;
    }
    return the_client;
}

esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t client, esp_mqtt_event_id_t event,
                                         esp_event_handler_t event_handler, void *event_handler_arg)
{
    STUB_FAULT(esp_err_t);
    if (event != MQTT_EVENT_ANY) {
        return ESP_ERR_INVALID_ARG;
    }
    client->handler = event_handler;
    client->handler_arg = event_handler_arg;
    return ESP_OK;
}

esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t client)
{
    STUB_FAULT(esp_err_t);
    if (client->is_started) {
        return ESP_FAIL;
    }
    client->is_started = true;
    (void)stub_task_start(run_client, "mqtt_task", client);
    return ESP_OK;
}

esp_err_t esp_mqtt_client_disconnect(esp_mqtt_client_handle_t client)
{
    STUB_FAULT(esp_err_t);
    client->must_disconnect = true;
    return ESP_OK;
}

esp_err_t esp_mqtt_client_destroy(esp_mqtt_client_handle_t client)
{
    broker()->destroyed++;
    if (client->is_started) {
        stub_fail("esp_mqtt_client_destroy of a client that runs");
    }
    free(client);
    the_client = NULL;
    STUB_FAULT(esp_err_t);
    return ESP_OK;
}

static int next_id(struct esp_mqtt_client *client)
{
    client->last_id = client->last_id == 0xFFFF ? 1 : client->last_id + 1;
    return client->last_id;
}

int esp_mqtt_client_subscribe_single(esp_mqtt_client_handle_t client, const char *topic, int qos)
{
    STUB_FAULT(int);
    if (qos != 1 || !client->is_connected) {
        return -1;
    }
    lock(client);
    broker()->subscriptions++;
    (void)snprintf(broker()->topic, sizeof broker()->topic, "%s", topic);
    client->subscribing = next_id(client);
    unlock(client);
    return client->last_id;
}

static uint64_t outbox_size(const struct esp_mqtt_client *client)
{
    uint64_t size = 0;

    for (size_t i = 0; i < OUTBOX; i++) {
        size += client->outbox[i].message_id != 0 ? client->outbox[i].message.len : 0;
    }
    return size;
}

static struct outgoing *free_place(struct esp_mqtt_client *client)
{
    for (size_t i = 0; i < OUTBOX; i++) {
        if (client->outbox[i].message_id == 0) {
            return &client->outbox[i];
        }
    }
    stub_fail("the outbox holds %u messages, and another", OUTBOX);
}

int esp_mqtt_client_enqueue(esp_mqtt_client_handle_t client, const char *topic, const char *data,
                            int len, int qos, int retain, bool store)
{
    struct outgoing *outgoing;

    STUB_FAULT(int);
    if (client->limit > 0 && (uint64_t)len + outbox_size(client) > client->limit) {
        return -2;
    }
    if (qos != 1 || !store || len <= 0 || (size_t)len > sizeof outgoing->message.payload) {
        stub_fail("enqueue: QoS %d, %d bytes", qos, len);
    }
    lock(client);
    outgoing = free_place(client);
    *outgoing = (struct outgoing){.message_id = next_id(client), .since_us = stub_now->now_us};
    outgoing->message.len = (uint32_t)len;
    outgoing->message.retain = retain != 0;
    (void)snprintf(outgoing->message.topic, sizeof outgoing->message.topic, "%s", topic);
    memcpy(outgoing->message.payload, data, (size_t)len);
    unlock(client);
    return outgoing->message_id;
}

/* ---- from outside ---- */

void stub_command(const void *arg)
{
    const char *text = arg;

    if (inbox.count == COMMANDS) {
        stub_fail("more than %u commands at once", COMMANDS);
    }
    (void)snprintf(inbox.texts[(inbox.first + inbox.count) % COMMANDS], KEDGE_MESSAGE_MAX, "%s",
                   text);
    inbox.count++;
}

void stub_drop_broker(const void *unused)
{
    (void)unused;
    inbox.drops = true;
}
