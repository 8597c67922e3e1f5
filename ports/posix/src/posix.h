/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <curl/curl.h>
#include <mosquitto.h>

#include "kedge_posix/device.h"

/* Shared by device.c (steps the agent), net_curl.c and mqtt_mosquitto.c (carry its actions out). */

struct kedge_posix_net {
    struct host_loop *loop;
    CURLM *multi;
    struct host_timer curl_timer;
    bool in_curl; /* libcurl is calling us: its handles must not be added or removed now */
    struct host_timer reap_timer;
    struct kedge_posix_device *doomed; /* destroyed, freed by reap_timer */
};

void posix_curl_open(struct kedge_posix_net *net);
void posix_curl_close(struct kedge_posix_net *net);

struct posix_request; /* our copy of a request; in net_curl.c */

/* One device's HTTPS side: one request at a time over one kept-alive connection. */
struct posix_http {
    struct kedge_posix_device *device;
    CURL *easy;
    struct posix_request *open; /* owned; NULL = idle */
    struct posix_request *next; /* owned; waits until libcurl has let go of an aborted one */
    struct kedge_http_response response;
    bool headers_done;
    bool aborted;
    bool is_firmware; /* the open response carries an image */
    struct host_timer fail_timer;
};

void posix_http_open(struct posix_http *http, struct kedge_posix_device *device);
void posix_http_close(struct posix_http *http);
/* The request is copied. */
void posix_http_start(struct posix_http *http, const struct kedge_http_request *request);
void posix_http_abort(struct posix_http *http);

#define POSIX_MQTT_TOKENS 16u

/* One device's MQTT side. Each connection has a struct mosquitto of its own: what was not
 * acknowledged when it broke is the agent's to send again. */
struct posix_mqtt {
    struct kedge_posix_device *device;
    struct mosquitto *mosq; /* NULL = not connected, retry_timer is armed */
    struct host_watch watch;
    struct host_timer misc_timer; /* keep-alive and connect deadline, each second */
    struct host_timer retry_timer;
    uint64_t connect_ms;
    uint32_t failures; /* in a row */
    bool up;           /* CONNACK and SUBACK are in */
    bool broken;       /* to be closed as soon as no callback runs */
    struct {
        int message_id; /* 0 = free */
        uint32_t token;
    } tokens[POSIX_MQTT_TOKENS];
};

void posix_mqtt_open(struct posix_mqtt *mqtt, struct kedge_posix_device *device);
void posix_mqtt_close(struct posix_mqtt *mqtt);
void posix_mqtt_connect(struct posix_mqtt *mqtt);
void posix_mqtt_publish(struct posix_mqtt *mqtt, const struct kedge_mqtt_message *message);

struct kedge_posix_device {
    struct kedge_posix_net *net;
    struct kedge_posix_config config;
    struct kedge_agent agent;
    uint64_t created_ms;
    struct host_timer timer;
    bool is_stepping;
    bool is_frozen; /* rebooting or hung: no more steps */
    bool is_doomed; /* destroyed, but something of it may still be on the stack */
    struct posix_http http;
    struct posix_mqtt mqtt;
    struct kedge_posix_device *next_doomed;
};

/* Step the agent with an event, carry out what it answers. The device may be doomed afterwards. */
void posix_deliver(struct kedge_posix_device *device, const struct kedge_event *event);
/* Free what was destroyed. Not from within a callback of libcurl or libmosquitto. */
void posix_reap(void *net);
