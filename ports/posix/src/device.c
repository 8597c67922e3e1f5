/* SPDX-License-Identifier: Apache-2.0 */
#include "posix.h"

#include <assert.h>
#include <stdlib.h>

#include "host/buf.h"

static uint64_t uptime_ms(const struct kedge_posix_device *device)
{
    return host_loop_now_ms(device->net->loop) - device->created_ms;
}

static bool is_stopped(const struct kedge_posix_device *device)
{
    return device->is_doomed || device->is_frozen;
}

static void wait_until(struct kedge_posix_device *device, uint64_t until_ms)
{
    if (until_ms < UINT64_MAX - device->created_ms) {
        host_loop_arm(device->net->loop, &device->timer, device->created_ms + until_ms);
    } else {
        host_loop_disarm(device->net->loop, &device->timer);
    }
}

static void reboot(struct kedge_posix_device *device)
{
    kedge_posix_device_freeze(device);
    device->config.on_reboot(device->config.ctx);
}

/* True when the agent is to be asked for its next action. */
static bool carry_out(struct kedge_posix_device *device, const struct kedge_action *action)
{
    switch (action->kind) {
    case KEDGE_ACTION_WAIT:
        wait_until(device, action->wait_until_ms);
        return false;
    case KEDGE_ACTION_HTTP_REQUEST:
        posix_http_start(&device->http, &action->http);
        return true;
    case KEDGE_ACTION_HTTP_ABORT:
        posix_http_abort(&device->http);
        return true;
    case KEDGE_ACTION_MQTT_PUBLISH:
        posix_mqtt_publish(&device->mqtt, &action->mqtt);
        return true;
    case KEDGE_ACTION_REBOOT:
        reboot(device);
        return false;
    }
    return false;
}

static const struct kedge_action *step(struct kedge_posix_device *device,
                                       const struct kedge_event *event)
{
    assert(!device->is_stepping);
    device->is_stepping = true;
    const struct kedge_action *action = kedge_agent_step(&device->agent, uptime_ms(device), event);
    device->is_stepping = false;
    if (device->config.after_step != NULL) {
        device->config.after_step(device->config.ctx);
    }
    return action;
}

void posix_deliver(struct kedge_posix_device *device, const struct kedge_event *event)
{
    static const struct kedge_event tick = {.kind = KEDGE_EVENT_TICK};
    if (is_stopped(device)) {
        return;
    }
    const struct kedge_action *action = step(device, event);
    while (!is_stopped(device) && carry_out(device, action)) {
        action = step(device, &tick);
    }
}

static void on_timer(void *ctx)
{
    posix_deliver(ctx, &(struct kedge_event){.kind = KEDGE_EVENT_TICK});
}

static void on_boot(void *ctx)
{
    struct kedge_posix_device *device = ctx;
    device->timer.fire = on_timer;
    posix_deliver(device, &(struct kedge_event){.kind = KEDGE_EVENT_BOOT});
    posix_deliver(device, &(struct kedge_event){.kind = KEDGE_EVENT_NET_UP});
    if (!is_stopped(device)) {
        posix_mqtt_connect(&device->mqtt);
    }
}

enum kedge_err kedge_posix_device_create(struct kedge_posix_net *net,
                                         const struct kedge_posix_config *config,
                                         struct kedge_posix_device **out)
{
    struct kedge_posix_device *device = host_calloc(1, sizeof(*device));
    device->net = net;
    device->config = *config;
    device->created_ms = host_loop_now_ms(net->loop);
    enum kedge_err err = kedge_agent_init(&device->agent, config->agent, config->plat);
    if (err != KEDGE_OK) {
        free(device);
        return err;
    }
    posix_http_open(&device->http, device);
    posix_mqtt_open(&device->mqtt, device);
    device->timer = (struct host_timer){.fire = on_boot, .ctx = device};
    host_loop_arm(net->loop, &device->timer, device->created_ms);
    *out = device;
    return KEDGE_OK;
}

/* Only marks: the caller may stand in a callback of libcurl or libmosquitto about this device. */
void kedge_posix_device_destroy(struct kedge_posix_device *device)
{
    if (device == NULL || device->is_doomed) {
        return;
    }
    struct kedge_posix_net *net = device->net;
    device->is_doomed = true;
    host_loop_disarm(net->loop, &device->timer);
    device->next_doomed = net->doomed;
    net->doomed = device;
    host_loop_arm(net->loop, &net->reap_timer, host_loop_now_ms(net->loop));
}

void posix_reap(void *ctx)
{
    struct kedge_posix_net *net = ctx;
    while (net->doomed != NULL) {
        struct kedge_posix_device *device = net->doomed;
        net->doomed = device->next_doomed;
        posix_http_close(&device->http);
        posix_mqtt_close(&device->mqtt);
        free(device);
    }
}

void kedge_posix_device_freeze(struct kedge_posix_device *device)
{
    device->is_frozen = true;
    host_loop_disarm(device->net->loop, &device->timer);
}

enum kedge_state kedge_posix_device_state(const struct kedge_posix_device *device)
{
    return kedge_agent_state(&device->agent);
}

struct kedge_posix_net *kedge_posix_net_create(struct host_loop *loop)
{
    struct kedge_posix_net *net = host_calloc(1, sizeof(*net));
    net->loop = loop;
    net->reap_timer = (struct host_timer){.fire = posix_reap, .ctx = net};
    posix_curl_open(net);
    if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
        abort();
    }
    return net;
}

void kedge_posix_net_destroy(struct kedge_posix_net *net)
{
    if (net == NULL) {
        return;
    }
    posix_reap(net);
    host_loop_disarm(net->loop, &net->reap_timer);
    posix_curl_close(net);
    mosquitto_lib_cleanup();
    free(net);
}
