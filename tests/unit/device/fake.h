/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/agent.h"

/*
 * A board small enough to see through, for the agent's unit tests: two slots in RAM, one ota state
 * per slot, the bootloader's rules for them, a journal region that can fail, and a port that
 * records what the agent asks for. The real models (NOR flash, otadata records) are sim's.
 */
#define FAKE_SLOT_SIZE 65536u
#define FAKE_DUMP_MAX  16384u

struct fake_slot {
    uint8_t bytes[FAKE_SLOT_SIZE];
    uint32_t state; /* enum kedge_ota_state; UNDEFINED = no record */
    struct kedge_app_desc desc;
    bool bootable;
};

struct fake {
    struct fake_slot slots[2];
    uint8_t running, boot; /* boot: what otadata names; KEDGE_NO_SLOT = no active record */
    bool no_rollback;      /* the bootloader was built without, whatever the app believes */
    uint32_t min_secure_version;
    uint32_t mark_valids, mark_invalids;
    enum kedge_reset reset_reason;
    uint8_t store[8192];
    uint32_t store_writes, store_erases,
        store_fail_from; /* writes from this one on fail; 0 = none */
    uint32_t begins, erased_sectors;
    bool vetoed;
    enum kedge_log_level log_level; /* that a command asked the platform for */
    enum kedge_self_test self_test;
    struct kedge_vitals vitals;
    uint32_t random;
    uint64_t now_ms;
    uint64_t wait_until_ms;
    struct kedge_agent agent;
    struct kedge_config config;
    /* what the port did since the last take */
    struct kedge_http_request http;
    char http_headers[KEDGE_HTTP_MAX_HEADERS][96];
    char http_body[4097]; /* NUL added */
    bool http_open;
    uint32_t http_requests, aborts;
    char published[KEDGE_MESSAGE_MAX];
    enum kedge_topic topic;
    uint32_t token, publishes;
    bool reboot_wanted;
    /* the core dump in flash; without keeps_dumps the platform has no ops for it */
    bool keeps_dumps;
    uint8_t dump[FAKE_DUMP_MAX];
    struct kedge_crash crash; /* what describe says; size_bytes 0 = there is none */
    uint32_t dump_describes, dump_reads, dump_erases;
    bool dump_read_fails, dump_erase_fails;
};

/** Running image "1.0.0" of project "test" in slot 0, serially flashed (VALID). */
void fake_init(struct fake *fake);
/** (Re)start the agent: BOOT event. */
void fake_boot(struct fake *fake);
/** What a reset does: the bootloader's otadata rules, then fake_boot. */
void fake_reset(struct fake *fake, enum kedge_reset reason);
void fake_event(struct fake *fake, const struct kedge_event *event);
void fake_tick(struct fake *fake, uint64_t advance_ms);
void fake_connect(struct fake *fake); /* network and broker up */
/** Header value of the last request, "" when absent. */
const char *fake_header(const struct fake *fake, const char *name);

/** Make an image of that version; returns its size. */
uint32_t fake_image(const char *version, const char *project, uint16_t chip, uint32_t payload_size,
                    uint8_t *out, uint32_t out_size);

/* Server side: answer the open request. */
void fake_respond(struct fake *fake, const struct kedge_http_response *response);
void fake_body(struct fake *fake, const uint8_t *data, size_t len);
void fake_end(struct fake *fake);
void fake_fail(struct fake *fake);
/** 200 with all headers for the image. */
void fake_offer(struct fake *fake, const uint8_t *image, uint32_t size, const char *version);
void fake_status(struct fake *fake, uint16_t status);
/** Poll if need be, offer and deliver the whole image. */
void fake_download(struct fake *fake, const uint8_t *image, uint32_t size, const char *version);
/** Advance time until an HTTP request is open on that path; false after an hour. */
bool fake_wait_request(struct fake *fake, const char *path);
/** Let the broker acknowledge the next telemetry; false when none is published. */
bool fake_ack_telemetry(struct fake *fake);
/** All that a trial wants to see, until its soak is over. */
void fake_prove(struct fake *fake);
/** Time passes, polls are answered 304 and reports 200, until a reboot is wanted. */
bool fake_wait_reboot(struct fake *fake, uint64_t limit_ms);
/** Answer every queued report with 200; *last is the last one. Returns how many. */
uint32_t fake_take_reports(struct fake *fake, struct kedge_report *last);
