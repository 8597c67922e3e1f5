/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/firmware.h"
#include "sim/ota.h"

/* A chip with two slots and otadata, and the images that tests put there. */
struct fixture {
    struct sim_flash *flash;
    struct sim_layout layout;
    struct sim_bootloader bootloader;
    uint32_t secure_version;
};

void fixture_init(struct fixture *fixture);
/** The chip is replaced by an encrypted one: everything reads as garbage. */
void fixture_encrypt(struct fixture *fixture);
void fixture_deinit(struct fixture *fixture);
struct sim_boot_env fixture_env(struct fixture *fixture);
struct sim_ota fixture_ota(struct fixture *fixture, enum sim_idf idf, int running);

/** A good image in that slot. */
void fixture_image(struct fixture *fixture, uint32_t slot, const char *version,
                   uint32_t secure_version);
/** One byte of the image in that slot flipped. */
void fixture_corrupt(struct fixture *fixture, uint32_t slot);

/** A record as it may stand in flash. seq 0 = the sector reads as FF; FIXTURE_ERASED = erased: on
 * an encrypted chip, garbage with a bad CRC and in no state that counts. */
#define FIXTURE_ERASED UINT32_MAX

struct fixture_record {
    uint32_t seq;
    uint32_t state;
    bool bad_crc;
};
void fixture_otadata(struct fixture *fixture, struct fixture_record first,
                     struct fixture_record second);
/** Erase the sector of a record, as a cut between erase and write leaves it. */
void fixture_erase_record(struct fixture *fixture, uint32_t index);
/** Fails the test unless flash holds these two records. */
void fixture_expect_otadata(const struct fixture *fixture, struct fixture_record first,
                            struct fixture_record second);
/** Boot; fails the test unless it loads this slot. */
void fixture_expect_boot(struct fixture *fixture, int slot);
/** Runs fn in a child; fails the test unless it aborts and says text on stderr. */
void fixture_expect_abort(void (*fn)(struct sim_flash *flash), const char *text);
