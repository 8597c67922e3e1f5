/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>

#include "esp_partition.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "freertos/task.h"
#include "kedge/agent.h"
#include "kedge/settings_files.h"
#include "kedge_esp/start.h"

/* Shared by the files of this port. Who touches what: the kedge task everything but http's client;
 * the kedge_http task `http` while a request is open; event handlers of ESP-IDF only `events` and
 * the atomics. */

#define PORT_TAG "kedge"

/** What kedge_http and the event handlers tell the kedge task. */
enum port_event_kind {
    PORT_WAKE,         /* look at the atomics */
    PORT_HTTP,         /* the agent's event is in `agent`; kedge_http waits until it was taken */
    PORT_MQTT_ACKED,   /* message_id */
    PORT_MQTT_DELETED, /* message_id: the outbox has given it up */
    PORT_COMMAND       /* text */
};

#define PORT_COMMAND_MAX 128u /* a command has 50 bytes */

struct port_event {
    enum port_event_kind kind;
    int message_id;
    struct kedge_event agent;
    uint16_t text_len;
    char text[PORT_COMMAND_MAX];
};

#define PORT_EVENTS         12u /* a queue of 1.9 KiB */
#define PORT_EVENT_RESERVED 6u  /* not for commands: a flood of them must not displace the rest */

/** One HTTPS request at a time over one connection that is kept. */
struct port_http {
    TaskHandle_t task;
    bool is_parked;         /* kedge task: kedge_http waits for us to have taken its event */
    atomic_bool is_staged;  /* a request lies in the fields below */
    atomic_bool is_taken;   /* by the kedge task: the event that kedge_http waits for */
    atomic_bool is_aborted; /* by the agent, in answer to an event of the open request */
    /* Written by the kedge task while kedge_http is idle or parked, else kedge_http's. */
    const char *path;
    const char *content_type;
    struct kedge_http_header headers[KEDGE_HTTP_MAX_HEADERS];
    uint32_t header_count;
    bool is_post;
    size_t body_len;
    uint32_t timeout_ms;
    char values[512];     /* of headers, NUL-terminated one behind the other */
    uint8_t buffer[4096]; /* the request's body, then pieces of the response's */
    /* kedge_http's own */
    void *client; /* esp_http_client_handle_t, NULL = none yet */
    struct kedge_http_response response;
    bool is_kept; /* the connection has carried a whole request and answer */
    /* For the watchdog: when kedge_http last got on, in ms since boot; 0 = it has nothing to do. */
    atomic_uint_least32_t busy_since_ms;
};

#define PORT_MQTT_TOKENS 8u

struct port_mqtt {
    void *client;         /* esp_mqtt_client_handle_t, NULL = not started */
    uint64_t start_at_ms; /* not before */
    char telemetry_topic[96], status_topic[96], command_topic[96];
    char uri[160];
    struct {
        int message_id; /* 0 = free */
        uint32_t token;
    } tokens[PORT_MQTT_TOKENS];
    uint32_t next; /* the token to be overwritten when all are in use */
};

/** Something that is up or down, set in an event handler. Odd = up; every change counts, so that
 * the agent hears of each in turn, however quickly they follow. */
struct port_link {
    atomic_uint changes;
    unsigned told; /* kedge task */
};

struct port {
    struct kedge_start_config config;
    struct kedge_agent agent;
    struct kedge_settings settings;
    struct kedge_settings_report found;
    struct kedge_settings_files files;
    const char *ca, *certificate, *key; /* PEM, NULL = none; allocated once */
    const esp_partition_t *fleet;
    const esp_partition_t *coredump; /* NULL = none */
    QueueHandle_t events;
    uint64_t wait_until_ms;
    bool is_watched; /* the task watchdog knows the kedge task */
    struct port_link net, mqtt_link;
    struct port_http http;
    struct port_mqtt mqtt;
};

/** Milliseconds since boot. */
uint64_t port_now_ms(void);

/* loop.c */
/** Body of the kedge task; arg is the port. */
void port_agent_task(void *arg);
/** From event handlers; never blocks. False: the queue is full. */
bool port_post(struct port *port, const struct port_event *event);
/** From event handlers: link is up, or down. */
void port_link_set(struct port *port, struct port_link *link, bool is_up);

/* http.c */
/** Body of the kedge_http task; arg is the port. */
void port_http_task(void *arg);
/** The request is copied. */
void port_http_start(struct port *port, const struct kedge_http_request *request);
void port_http_abort(struct port *port);
/** The event that kedge_http posted was taken: it may go on. */
void port_http_release(struct port *port);
/** kedge_http has got on lately, or has nothing to do. */
bool port_http_is_alive(const struct port *port);

/* mqtt.c */
/** Connect, once the network has been there. What fails is logged, and tried again by a later
 *  call. */
void port_mqtt_start(struct port *port);
void port_mqtt_publish(struct port *port, const struct kedge_mqtt_message *message);
/** Token of a message that the broker has acknowledged, or that is given up; 0 = none of ours. */
uint32_t port_mqtt_take_token(struct port *port, int message_id);

/* netif.c */
/** Errors: those of esp_event_handler_instance_register. */
esp_err_t port_netif_watch(struct port *port);

/* errors.c */
/** Kedge's code for an ESP-IDF one, which is logged with what failed; KEDGE_OK for ESP_OK. */
enum kedge_err port_err(const char *what, esp_err_t native);

/* system.c */
/** Print a line of the log, whatever the level. */
void port_log(enum kedge_log_level level, const char *event, const char *text);

/** The agent's platform; ctx is struct port. */
extern const struct kedge_plat_slots port_slots;
extern const struct kedge_plat_store port_store;
extern const struct kedge_plat_storage port_storage;
extern const struct kedge_plat_system port_system;
extern const struct kedge_plat_log port_log_ops;
extern const struct kedge_plat_crash port_crash;
