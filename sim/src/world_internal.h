/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/world.h"

/* Shared by world.c (time, board, broker) and world_server.c. */
#define ROUND_TRIP_MS 20u

/* What the network owes the device next. */
enum reply {
    REPLY_NONE,
    REPLY_HEAD,
    REPLY_BODY,
    REPLY_END,
    REPLY_FAIL
};

/* The core dump that the server got, or is getting. */
struct sim_world_dump {
    uint32_t size, len; /* size 0 = none was announced */
    uint8_t sha256[KEDGE_SHA256_SIZE];
    uint8_t bytes[16384];
    uint32_t delivered;
};

struct sim_world {
    struct sim_world_config config;
    struct sim_board *board;
    struct kedge_agent agent;
    uint64_t now_ms;
    uint64_t wait_until_ms;
    uint64_t app_start_ms; /* of this power cycle */
    bool app_runs;
    bool hangs;
    const char *violation;
    uint32_t blackouts;
    uint64_t blackout_ms; /* when the power fails in this trial; 0 = it does not */
    bool rots;            /* the new image is still to decay */
    uint32_t boot_count;  /* the journal's, highest seen */
    /* versions that may run: the last that was confirmed, and the one offered since */
    char committed[KEDGE_DESC_STRING_SIZE];
    const struct sim_world_release *tried;
    /* world */
    const struct sim_world_release *release;
    bool stubborn;
    bool server_down, broker_down;
    uint32_t break_after;
    void (*on_power_on)(void *ctx, struct sim_board *board);
    void *on_power_on_ctx;
    struct sim_world_reports reports;
    struct sim_world_dump dump;
    /* the open request */
    enum reply reply;
    uint64_t reply_ms;
    struct kedge_http_response response;
    uint32_t body_at, body_end;
    uint32_t ranges;         /* asked for so far */
    struct kedge_cspan body; /* what the open response sends of */
    /* the broker */
    bool mqtt_up;
    uint32_t ack_token; /* 0 = none */
    uint64_t ack_ms;
};

/** The first one counts. */
void world_violate(struct sim_world *world, const char *what);
/** The agent asks: note the report, or choose what the answer will be. */
void world_open_request(struct sim_world *world, const struct kedge_http_request *request);
