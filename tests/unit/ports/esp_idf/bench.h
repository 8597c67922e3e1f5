/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kedge_esp/start.h"
#include "port.h"
#include "sim/firmware.h"
#include "stub/world.h"

/*
 * A device with Kedge on it: image 1.0.0 in ota_0, device.json and certificates on the storage
 * partition, which is a folder. What an image does is written in it (sim/firmware.h); what the
 * application does is the same in each.
 */
#define BENCH_POLL "/ota/firmware.bin"

struct bench {
    struct stub_world *world;
    char storage[64];                 /* the folder */
    struct kedge_start_config config; /* of kedge_start; storage_path is set */
    struct host_buf factory, update;  /* images */
    bool broker_is_down;              /* for every image */
};

extern struct bench bench;

int bench_setup(void **state);
int bench_teardown(void **state);

/** Image `version` that does that: what the server offers from now on. Size 0 = small. */
void bench_offer(const char *version, const char *behaviour, uint32_t size_bytes);
/** A file on the storage partition; NULL removes it. */
void bench_file(const char *name, const char *text);

/** The application: kedge_start, then what the image says. */
void bench_app(void);
/** Boot until until(), or the boot ends by itself; fails the test when it does not end so. */
void bench_boot(enum stub_end expected, uint64_t limit_ms,
                bool (*until)(const struct stub_world *world));
/** Boot until it is over, again and again, until until(). */
void bench_live(uint32_t boots_max, bool (*until)(const struct stub_world *world));

/* For until. */
bool bench_committed(const struct stub_world *world);
bool bench_rolled_back(const struct stub_world *world);
bool bench_rejected(const struct stub_world *world);
bool bench_polled(const struct stub_world *world);

/** Fails the test unless the reports are these, "verified none, committed none". */
void bench_expect_reports(const char *expected);
/** Fails the test unless the log has a line with that text. */
void bench_expect_log(const char *text);
/** The last message to that topic; NULL = none. */
const struct stub_message *bench_message(const char *topic);
/** Fails the test unless the nth request to path exists; returns it. */
const struct stub_request *bench_request(const char *path, uint32_t nth);
