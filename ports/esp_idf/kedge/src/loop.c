/* SPDX-License-Identifier: Apache-2.0 */
#include "esp_log.h"
#include "esp_system.h"
#include "esp_task_wdt.h"
#include "port.h"

/* The kedge task: steps the agent, carries out what it answers, feeds the watchdog. */

/* How long the task sleeps at the most: the watchdog wants to be fed. */
#define SLEEP_MAX_MS 1000u

/* ---- from event handlers ---- */

bool port_post(struct port *port, const struct port_event *event)
{
    if (event->kind == PORT_COMMAND &&
        uxQueueSpacesAvailable(port->events) <= PORT_EVENT_RESERVED) {
        return false;
    }
    return xQueueSend(port->events, event, 0) == pdTRUE;
}

/* A full queue wakes the task just as well. */
void port_link_set(struct port *port, struct port_link *link, bool is_up)
{
    static const struct port_event wake = {.kind = PORT_WAKE};
    unsigned changes = atomic_load(&link->changes);

    if ((changes % 2u == 1u) != is_up) {
        atomic_store(&link->changes, changes + 1u); /* one writer: the handler of this link */
        (void)port_post(port, &wake);
    }
}

/* ---- actions ---- */

static void restart(void)
{
    ESP_LOGI(PORT_TAG, "restart");
    esp_restart();
}

/* True when the agent is to be asked for its next action. */
static bool carry_out(struct port *port, const struct kedge_action *action)
{
    switch (action->kind) {
    case KEDGE_ACTION_WAIT:
        port->wait_until_ms = action->wait_until_ms;
        return false;
    case KEDGE_ACTION_HTTP_REQUEST:
        port_http_start(port, &action->http);
        return true;
    case KEDGE_ACTION_HTTP_ABORT:
        port_http_abort(port);
        return true;
    case KEDGE_ACTION_MQTT_PUBLISH:
        port_mqtt_publish(port, &action->mqtt);
        return true;
    case KEDGE_ACTION_REBOOT:
        restart();
        return false;
    }
    return false;
}

static void deliver(struct port *port, const struct kedge_event *event)
{
    static const struct kedge_event tick = {.kind = KEDGE_EVENT_TICK};
    const struct kedge_action *action = kedge_agent_step(&port->agent, port_now_ms(), event);

    while (carry_out(port, action)) {
        action = kedge_agent_step(&port->agent, port_now_ms(), &tick);
    }
}

/* ---- events ---- */

static void deliver_acked(struct port *port, int message_id)
{
    uint32_t token = port_mqtt_take_token(port, message_id);

    if (token != 0) {
        deliver(port, &(struct kedge_event){.kind = KEDGE_EVENT_MQTT_ACKED, .token = token});
    }
}

static void take(struct port *port, const struct port_event *event)
{
    switch (event->kind) {
    case PORT_WAKE:
        return;
    case PORT_HTTP:
        port->http.is_parked = true;
        deliver(port, &event->agent);
        port->http.is_parked = false;
        port_http_release(port);
        return;
    case PORT_MQTT_ACKED:
        deliver_acked(port, event->message_id);
        return;
    case PORT_MQTT_DELETED:
        (void)port_mqtt_take_token(port, event->message_id);
        return;
    case PORT_COMMAND:
        deliver(port,
                &(struct kedge_event){.kind = KEDGE_EVENT_COMMAND,
                                      .bytes = {(const uint8_t *)event->text, event->text_len}});
        return;
    }
}

/* Every change of a link, in order. */
static void tell_link(struct port *port, struct port_link *link, enum kedge_event_kind up,
                      enum kedge_event_kind down)
{
    while (link->told != atomic_load(&link->changes)) {
        link->told++;
        deliver(port, &(struct kedge_event){.kind = link->told % 2u == 1u ? up : down});
    }
}

static void tell_links(struct port *port)
{
    tell_link(port, &port->net, KEDGE_EVENT_NET_UP, KEDGE_EVENT_NET_DOWN);
    if (port->mqtt.client == NULL && port->net.told > 0) {
        port_mqtt_start(port);
    }
    tell_link(port, &port->mqtt_link, KEDGE_EVENT_MQTT_UP, KEDGE_EVENT_MQTT_DOWN);
}

static TickType_t sleep_ticks(const struct port *port)
{
    uint64_t now_ms = port_now_ms();
    uint64_t left_ms = port->wait_until_ms > now_ms ? port->wait_until_ms - now_ms : 0;

    return pdMS_TO_TICKS((uint32_t)(left_ms < SLEEP_MAX_MS ? left_ms : SLEEP_MAX_MS)) + 1u;
}

/* ---- the watchdog ---- */

static void watch(struct port *port)
{
    esp_err_t err = esp_task_wdt_add(NULL);

    port->is_watched = err == ESP_OK;
    if (!port->is_watched) {
        ESP_LOGE(PORT_TAG, "not_watched %s: set CONFIG_ESP_TASK_WDT_INIT and _PANIC",
                 esp_err_to_name(err));
    }
}

/* A server task that hangs is a hang, too: nobody would fetch the next update. */
static void feed(const struct port *port)
{
    if (port->is_watched && port_http_is_alive(port)) {
        (void)esp_task_wdt_reset();
    }
}

void port_agent_task(void *arg)
{
    struct port *port = arg;
    struct port_event event;

    watch(port);
    deliver(port, &(struct kedge_event){.kind = KEDGE_EVENT_BOOT});
    for (;;) {
        tell_links(port);
        feed(port);
        if (xQueueReceive(port->events, &event, sleep_ticks(port)) == pdTRUE) {
            take(port, &event);
        } else {
            deliver(port, &(struct kedge_event){.kind = KEDGE_EVENT_TICK});
        }
    }
}
