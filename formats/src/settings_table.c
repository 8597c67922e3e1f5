/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kedge/address.h"
#include "kedge/json.h"
#include "kedge/settings.h"

/* What the texts may be. Size and NUL are checked before. */

static bool is_device_id(const char *text)
{
    return kedge_device_id_ok(text, strlen(text));
}

static bool is_printable(const char *text)
{
    while (*text >= 0x20 && *text <= 0x7E) {
        text++;
    }
    return *text == '\0';
}

static bool is_host(const char *text)
{
    return kedge_host_ok(text, strlen(text));
}

_Static_assert(KEDGE_HOST_MAX_LEN < KEDGE_SETTINGS_HOST_SIZE &&
                   sizeof "https://" + KEDGE_HOST_MAX_LEN + sizeof ":65535" <=
                       KEDGE_SETTINGS_URL_SIZE,
               "what the rules let pass fits");

static const char *const log_levels[] = {"error", "warn", "info", "debug"};

_Static_assert(sizeof log_levels / sizeof log_levels[0] == KEDGE_LOG_DEBUG - KEDGE_LOG_ERROR + 1,
               "a text for every level");

#define AT(field)   (uint16_t) offsetof(struct kedge_settings, field)
#define SIZE(field) (uint16_t)(sizeof((struct kedge_settings *)NULL)->field)

/* clang-format off: a row a line */
#define TEXT(field, rule, must_be, otherwise)                                                      \
    {                                                                                              \
        .name = #field, .type = KEDGE_SETTING_TEXT, .at = AT(field), .size = SIZE(field),          \
        .is_ok = rule, .form = must_be, .fallback_text = otherwise                                 \
    }
#define INTEGER(field, least, most, otherwise)                                                     \
    {                                                                                              \
        .name = #field, .type = KEDGE_SETTING_INTEGER, .at = AT(field), .min = least, .max = most, \
        .fallback = otherwise                                                                      \
    }
#define DECIMAL(member, field, least, most, otherwise)                                             \
    {                                                                                              \
        .name = member, .type = KEDGE_SETTING_DECIMAL, .at = AT(field), .min = least, .max = most, \
        .fallback = otherwise                                                                      \
    }

static const char device_id_form[] = "1..64 characters of A-Za-z0-9._-, not '.' or '-' first";
static const char project_form[] = "at most 32 printable ASCII characters";
static const char url_form[] = "https://host or https://host:port";
static const char host_form[] = "a host name or IPv4 address, at most 127 characters";
static const char file_form[] =
    "a file name: 1..31 characters of A-Za-z0-9._-, not '.' or '-' first";

static const struct kedge_setting table[] = {
    TEXT(device_id, is_device_id, device_id_form, ""),
    TEXT(project, is_printable, project_form, ""),
    TEXT(server_url, kedge_server_url_ok, url_form, ""),
    TEXT(broker_host, is_host, host_form, ""),
    INTEGER(broker_port, 1, 65535, 8883),
    TEXT(ca_file, is_device_id, file_form, "ca.pem"),
    TEXT(certificate_file, is_device_id, file_form, "device.crt"),
    TEXT(key_file, is_device_id, file_form, "device.key"),
    INTEGER(poll_interval_s, 10, 86400, 60),
    INTEGER(telemetry_interval_s, 1, 86400, 60),
    INTEGER(trial_deadline_s, 30, 3600, 300),
    INTEGER(trial_soak_s, 1, 1800, 30),
    INTEGER(verdict_deadline_s, 30, 86400, 60),
    INTEGER(heap_floor_bytes, 0, 8 * 1024 * 1024, 0),
    {.name = "log_level",
     .type = KEDGE_SETTING_CHOICE,
     .at = AT(log_level),
     .form = "error, warn, info or debug",
     .choices = log_levels,
     .min = KEDGE_LOG_ERROR,
     .max = KEDGE_LOG_DEBUG,
     .fallback = KEDGE_LOG_INFO},
    DECIMAL("temperature_offset_c", temperature_offset_mc, -50000, 50000, 0),
    DECIMAL("temperature_scale", temperature_scale_m, 500, 2000, 1000),
};
/* clang-format on */

_Static_assert(sizeof table / sizeof table[0] + 1 <= KEDGE_JSON_MAX_MEMBERS,
               "a file can hold all of them and the schema");
_Static_assert(sizeof table / sizeof table[0] <= 32, "a bit for each");

const struct kedge_setting *kedge_settings_table(size_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}
