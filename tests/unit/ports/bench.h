/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <mosquitto.h>
#include <sys/types.h>

#include "kedge_posix/device.h"
#include "sim/board.h"

/*
 * A simulated board run by the posix port against a real mosquitto and a small HTTP server in the
 * test's own loop: plain TCP, ports of 127.0.0.1 that were free. TLS is covered end to end.
 */
struct bench_server {
    struct host_watch listener;
    struct bench_client *clients;
    uint16_t port;
    struct kedge_cspan offer; /* empty = 304 */
    const char *offer_version;
    uint32_t break_after; /* close after so many body bytes, once; 0 = never */
    uint32_t connections, polls, reports, ranges;
    uint8_t dump[16384]; /* what came on /crash/dump */
    uint32_t dump_len;
};

struct bench {
    struct host_loop *loop;
    struct kedge_posix_net *net;
    struct sim_board *board;
    struct kedge_plat plat;
    struct kedge_config agent;
    struct kedge_posix_config config;
    struct kedge_posix_stats stats;
    struct kedge_posix_device *device;
    struct host_timer boot_timer;
    bool is_cut_off; /* neither server nor broker, whatever the image says */
    uint32_t cuts, cuts_wanted, reboots;
    struct bench_server server;
    char server_url[64];
    char dir[64];
    uint16_t broker_port;
    pid_t broker;
    struct mosquitto *observer; /* hears all of devices/# */
    uint32_t telemetry_seen;
    char status_seen[16];
};

int bench_setup(void **state);
int bench_teardown(void **state);

/** Boot the board, start its agent; it is booted again after a restart or a cut. */
void bench_boot(struct bench *bench);
void bench_offer(struct bench *bench, const char *version, const char *behaviour);
void bench_start_broker(struct bench *bench);
void bench_stop_broker(struct bench *bench);
/** Run the loop until the claim holds; fails the test after 15 s. */
void bench_until(struct bench *bench, bool (*claim)(const struct bench *bench));
void bench_run_ms(struct bench *bench, uint64_t ms);
