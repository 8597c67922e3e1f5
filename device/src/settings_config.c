/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/settings_files.h"

#include <string.h>

/* Numbers, from struct kedge_settings to struct kedge_config: uint32_t both. */
#define SETS(field, config_field, times)                                                           \
    {                                                                                              \
        offsetof(struct kedge_settings, field), offsetof(struct kedge_config, config_field), times \
    }

static const struct {
    uint16_t from, to;
    uint16_t factor;
} numbers[] = {
    SETS(poll_interval_s, poll_interval_ms, 1000),
    SETS(telemetry_interval_s, telemetry_interval_ms, 1000),
    SETS(trial_deadline_s, trial_deadline_ms, 1000),
    SETS(trial_soak_s, trial_soak_ms, 1000),
    SETS(verdict_deadline_s, verdict_deadline_ms, 1000),
    SETS(heap_floor_bytes, heap_floor_bytes, 1),
};

void kedge_settings_config(const struct kedge_settings *settings, struct kedge_config *config)
{
    config->device_id = settings->device_id;
    config->project = settings->project[0] != '\0' ? settings->project : NULL;
    config->log_level = (enum kedge_log_level)settings->log_level;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint32_t value;

        memcpy(&value, (const uint8_t *)settings + numbers[i].from, sizeof value);
        value *= numbers[i].factor;
        memcpy((uint8_t *)config + numbers[i].to, &value, sizeof value);
    }
}
