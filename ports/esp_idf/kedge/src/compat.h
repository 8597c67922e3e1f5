/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "esp_err.h"
#include "esp_http_client.h"
#include "kedge/crash.h"
#include "sdkconfig.h"

/*
 * All that differs between ESP-IDF 5.1, 5.5 and 6.0, or between chips, for this port. No other file
 * asks for a version or an architecture.
 */

/** eFuse's anti-rollback floor; 0 without anti-rollback. */
uint32_t compat_min_secure_version(void);
/** esp_ota_mark_app_invalid_rollback; before ESP-IDF 5.5 (where it does not exist) the variant that
 *  restarts, and so does not return when it succeeds. */
esp_err_t compat_mark_invalid(void);

/** Let a new connection go on with the TLS session of the one before it, by ticket; without effect
 *  where ESP-IDF cannot, or CONFIG_ESP_TLS_CLIENT_SESSION_TICKETS is off. */
void compat_resume_sessions(esp_http_client_config_t *config);

/** The core dump at the start of partition coredump, and what it says of itself. False (*out
 *  untouched) = none that is whole, or this firmware keeps none. */
bool compat_crash_describe(struct kedge_crash *out);
/** Errors: those of esp_core_dump_image_erase; NOT_SUPPORTED. */
esp_err_t compat_crash_erase(void);
