/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core.h"
#include "http_response.h"

/* The domain without sockets: requests are structs, answers are read from the response. One data
 * folder per test, removed at the end. */
#define TOKEN        "0123456789abcdef0123456789abcdef"
#define PROJECT      "kedge-demo"
#define CASES(table) (sizeof(table) / sizeof((table)[0]))

struct answer {
    unsigned status;
    char head[4096];
    char *body; /* owned by the fixture until the next call */
    size_t body_len;
};

struct fixture {
    char data[64];
    struct srv_config config;
    struct host_loop *loop;
    struct srv_core *core;
    struct answer answer;
    bool is_head;             /* requests are HEAD; body_len is then what a GET would send */
    bool hold_body;           /* leave the response open: the caller ends it */
    struct srv_response held; /* of the last call with hold_body */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/** Clean shutdown and start. */
void fixture_restart(struct fixture *f);
/** As after kill -9: the old core is dropped without a flush, its lock is let go. */
void fixture_kill(struct fixture *f);
/** Move the clocks and run the guard, as the timer would. */
void fixture_pass(struct fixture *f, uint64_t ms);

/** headers: "Name: value" lines joined by '\n'; NULL = none. Fails the test when the status
 *  differs. */
const struct answer *device_get(struct fixture *f, const char *id, const char *path,
                                const char *headers, unsigned status);
const struct answer *device_post(struct fixture *f, const char *id, const char *path,
                                 const char *body, unsigned status);
const struct answer *device_request(struct fixture *f, enum srv_method method,
                                    const struct srv_peer *peer, const char *path,
                                    const char *headers, const char *body, unsigned status);
const struct answer *admin_get(struct fixture *f, const char *path, unsigned status);
const struct answer *admin_post(struct fixture *f, const char *path, const char *body,
                                unsigned status);
const struct answer *admin_request(struct fixture *f, enum srv_method method, const char *path,
                                   const char *headers, const char *body, unsigned status);
/** POST /api/v1/releases in chunks of that size. */
const struct answer *upload(struct fixture *f, const void *data, size_t len, size_t chunk,
                            unsigned status);

/** Header of the last answer; "" when absent. */
const char *header(const struct answer *answer, const char *name);
/** Integer or text at a dotted path of the last answer's JSON, such as "counts.updated". */
int64_t json_int(const struct answer *answer, const char *path);
const char *json_text(const struct answer *answer, const char *path);

/** A valid image; free it. */
uint8_t *make_image(uint16_t chip, const char *version, size_t payload, size_t *len);
uint8_t *read_vector(const char *name, size_t *len);
/** Upload of a generated image of 4096 bytes payload; sha256 hex into out (65 bytes, may be NULL).
 */
void add_release(struct fixture *f, const char *version, char *sha256);
/** prefix + two digits, 1..count, chip esp32. */
void add_devices(struct fixture *f, const char *prefix, unsigned count);
/** One poll: the status that it got. version: of the device. */
unsigned poll(struct fixture *f, const char *id, const char *version, const char *more);
/** One report. */
void report(struct fixture *f, const char *id, unsigned attempt, unsigned seq, const char *sha256,
            const char *state, const char *cause, unsigned status);
/** Number of audit rows with that action. */
unsigned audit_count(struct fixture *f, const char *action);
