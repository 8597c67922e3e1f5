/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "mqtt_codec.h"

static struct srv_outbox_message *find(struct srv_outbox *outbox, uint16_t id)
{
    for (size_t i = 0; i < SRV_OUTBOX_MAX; i++) {
        if (outbox->messages[i].id == id) {
            return &outbox->messages[i];
        }
    }
    return NULL;
}

static void release(struct srv_outbox_message *message)
{
    free(message->topic);
    free(message->payload);
    *message = (struct srv_outbox_message){0};
}

static uint16_t unused_id(struct srv_outbox *outbox)
{
    do {
        outbox->last_id = outbox->last_id < SRV_OUTBOX_FIRST_ID || outbox->last_id == UINT16_MAX
                              ? SRV_OUTBOX_FIRST_ID
                              : (uint16_t)(outbox->last_id + 1u);
    } while (find(outbox, outbox->last_id) != NULL);
    return outbox->last_id;
}

enum kedge_err srv_outbox_add(struct srv_outbox *outbox, const char *topic,
                              struct kedge_cspan payload, struct host_buf *out)
{
    struct srv_outbox_message *message = find(outbox, 0);

    if (message == NULL) {
        return KEDGE_ERR_BUSY;
    }

    uint16_t id = unused_id(outbox);
    enum kedge_err err = srv_mqtt_encode_publish(out, id, false, topic, payload);

    if (err != KEDGE_OK) {
        return err;
    }
    *message = (struct srv_outbox_message){.id = id,
                                           .topic = host_strdup(topic),
                                           .payload = host_alloc(payload.len + 1),
                                           .payload_len = payload.len};
    if (payload.len > 0) {
        memcpy(message->payload, payload.data, payload.len);
    }
    return KEDGE_OK;
}

void srv_outbox_acknowledge(struct srv_outbox *outbox, uint16_t id)
{
    struct srv_outbox_message *message = find(outbox, id);

    if (id != 0 && message != NULL) {
        release(message);
    }
}

enum kedge_err srv_outbox_resend(const struct srv_outbox *outbox, struct host_buf *out)
{
    enum kedge_err err = KEDGE_OK;

    for (size_t i = 0; i < SRV_OUTBOX_MAX && err == KEDGE_OK; i++) {
        const struct srv_outbox_message *message = &outbox->messages[i];
        struct kedge_cspan payload = {message->payload, message->payload_len};

        if (message->id != 0) {
            err = srv_mqtt_encode_publish(out, message->id, true, message->topic, payload);
        }
    }
    return err;
}

void srv_outbox_deinit(struct srv_outbox *outbox)
{
    for (size_t i = 0; i < SRV_OUTBOX_MAX; i++) {
        release(&outbox->messages[i]);
    }
}
