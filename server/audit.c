/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#include "host/log.h"

enum kedge_err srv_audit(struct srv_core *core, enum kedge_err err, const struct srv_actor *actor,
                         const char *action, const char *subject, cJSON *detail)
{
    if (err != KEDGE_OK) {
        cJSON_Delete(detail);
        return err;
    }
    char *text = detail != NULL ? cJSON_PrintUnformatted(detail) : NULL;
    struct srv_audit_row row = {
        .ts = srv_wall_ms(core),
        .actor = actor->name,
        .address = actor->address,
        .action = action,
        .subject = subject,
        .detail = text != NULL ? text : "{}",
    };
    err = srv_store_audit_insert(core->store, &row);
    cJSON_free(text);
    cJSON_Delete(detail);
    return err;
}

/* The port differs with each connection and says nothing. */
static void copy_host(const char *address, char *out, size_t size)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t)(colon - address) : strlen(address);
    len = len < size ? len : size - 1u;
    memcpy(out, address, len);
    out[len] = '\0';
}

static bool is_over(const struct srv_core *core, const struct srv_refusal_count *count)
{
    return core->closing || srv_guard_ms(core) - count->since_ms >= SRV_REFUSAL_WAIT_MS;
}

static void write_refusals(struct srv_core *core, const struct srv_refusal_count *count,
                           uint32_t times)
{
    struct srv_actor actor = {.name = "device", .address = count->address};
    cJSON *detail = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(detail, "reason", count->reason);
    srv_json_int(detail, "count", times);
    enum kedge_err err = srv_store_begin(core->store);
    err = srv_audit(core, err, &actor, "request.refused", count->subject, detail);
    err = srv_core_finish(core, err);
    if (err != KEDGE_OK) {
        host_log(HOST_LOG_ERROR, "audit_lost", "address=%s reason=\"%s\" count=%u error=\"%s\"",
                 count->address, count->reason, times, kedge_err_text(err));
    }
}

static struct srv_refusal_count *find_refusals(struct srv_core *core, const char *host,
                                               const char *reason)
{
    struct srv_refusal_count *free_entry = NULL;
    for (size_t i = 0; i < SRV_REFUSALS; i++) {
        struct srv_refusal_count *count = &core->refusals[i];
        if (count->reason == NULL) {
            free_entry = free_entry != NULL ? free_entry : count;
        } else if (strcmp(count->reason, reason) == 0 && strcmp(count->address, host) == 0) {
            return count;
        }
    }
    return free_entry;
}

void srv_audit_refusal(struct srv_core *core, const char *address, const char *reason,
                       const char *subject)
{
    char host[SRV_ADDRESS_SIZE];
    copy_host(address, host, sizeof host);
    core->counters.refusals++;
    struct srv_refusal_count *count = find_refusals(core, host, reason);
    if (count == NULL) {
        return; /* the table is full: counted, and for a minute not on the record */
    }
    if (count->reason != NULL) {
        count->held_back++;
        return;
    }
    *count = (struct srv_refusal_count){.reason = reason, .since_ms = srv_guard_ms(core)};
    memcpy(count->address, host, sizeof host);
    size_t len = strnlen(subject, sizeof count->subject - 1u);
    memcpy(count->subject, subject, len);
    write_refusals(core, count, 1);
}

void srv_audit_flush(struct srv_core *core)
{
    for (size_t i = 0; i < SRV_REFUSALS; i++) {
        struct srv_refusal_count *count = &core->refusals[i];
        if (count->reason == NULL || !is_over(core, count)) {
            continue;
        }
        if (count->held_back == 0) {
            count->reason = NULL;
            continue;
        }
        write_refusals(core, count, count->held_back);
        count->held_back = 0;
        count->since_ms = srv_guard_ms(core);
    }
}
