/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What the agent asks of the network and what it is told of the answers. The port owns connections
 * and TLS; it keeps one HTTPS connection alive for polls, downloads and reports.
 */
#define KEDGE_HTTP_MAX_HEADERS 10u

struct kedge_http_header {
    const char *name;
    const char *value;
};

/** Borrowed from the agent until its next step. Body NULL = GET, else POST. */
struct kedge_http_request {
    const char *path; /**< "/ota/firmware.bin", "/ota/report", "/crash" or "/crash/dump" */
    uint32_t header_count;
    struct kedge_http_header headers[KEDGE_HTTP_MAX_HEADERS];
    const char *body; /**< may hold any byte; at most 4096 */
    size_t body_len;
    const char *content_type; /**< of body; NULL = application/json */
    uint32_t timeout_ms;      /**< without any byte received */
};

/** The parts of a response that the agent acts on. Fill status, then one call of
 *  kedge_http_response_header per header line; begin with a zeroed struct. */
struct kedge_http_response {
    uint16_t status;
    bool has_content_length;
    uint64_t content_length;
    bool has_content_range;
    uint64_t range_first, range_last, range_total;
    bool has_sha256; /**< X-Firmware-SHA256 */
    uint8_t sha256[KEDGE_SHA256_SIZE];
    bool has_etag; /**< strong ETag that is a SHA-256 in hex */
    uint8_t etag_sha256[KEDGE_SHA256_SIZE];
    char version[KEDGE_DESC_STRING_SIZE]; /**< X-Firmware-Version, "" when absent */
    bool has_poll_after;                  /**< X-Poll-After, seconds */
    uint32_t poll_after_s;
    bool has_retry_after; /**< Retry-After in seconds (RFC 9110 10.2.3); dates are ignored */
    uint32_t retry_after_s;
    bool has_crash_offset; /**< X-Crash-Offset: next byte of the core dump that is wanted */
    uint32_t crash_offset;
    bool force;     /**< X-Firmware-Force: 1 */
    bool malformed; /**< a header that we know had a value we do not understand */
};

/** Take one response header; names are case-insensitive, unknown ones ignored. Lengths in bytes,
 *  no NUL needed. Bad values set response->malformed. */
void kedge_http_response_header(struct kedge_http_response *response, const char *name,
                                size_t name_len, const char *value, size_t value_len);

enum kedge_topic {
    KEDGE_TOPIC_TELEMETRY, /**< devices/<id>/telemetry, QoS 1 */
    KEDGE_TOPIC_STATUS     /**< devices/<id>/status, QoS 1, retained; last will "offline" */
};

/** Borrowed from the agent until its next step. */
struct kedge_mqtt_message {
    enum kedge_topic topic;
    const char *payload;
    size_t payload_len;
    bool retain;
    uint32_t token; /**< comes back in KEDGE_EVENT_MQTT_ACKED after the broker's PUBACK */
};

#ifdef __cplusplus
}
#endif
