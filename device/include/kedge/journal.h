/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/err.h"
#include "kedge/image.h"
#include "kedge/message.h"
#include "kedge/plat/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The agent's memory over resets: two flash sectors, append-only. Each record is a whole snapshot
 * with a sequence number and a CRC-32; the newest intact one counts. A cut at any byte leaves the
 * one before it. formats/FORMATS.md has the bytes.
 */
#define KEDGE_JOURNAL_BAD_MAX    8u
#define KEDGE_JOURNAL_REPORT_MAX 6u

/** What first boots have shown about the bootloader; persisted: append only. */
enum kedge_bootloader {
    KEDGE_BOOTLOADER_UNKNOWN = 0,
    KEDGE_BOOTLOADER_NO_ROLLBACK = 1, /**< it started a NEW image and left it NEW: no rollback */
    KEDGE_BOOTLOADER_REPORTED = 2     /**< the same, and the server was told */
};

/** The persisted state. All-zero is a valid start: IDLE, nothing known. */
struct kedge_journal_data {
    uint8_t state;      /**< enum kedge_state */
    uint8_t cause;      /**< enum kedge_cause, of the trial or rejection under way */
    uint8_t slot;       /**< slot the update is written to */
    uint8_t tried;      /**< 1 = the new image has been started in this attempt */
    uint8_t realigned;  /**< reboots spent on running slot != boot slot, docs/esp-idf.md 2.7.2 */
    uint8_t restarts;   /**< downloads begun anew because the hash did not match */
    uint8_t rearms;     /**< re-arms of this attempt so far */
    uint8_t bootloader; /**< enum kedge_bootloader; outlives attempts */
    uint32_t detail;
    uint32_t record_before; /**< raw ota state of the slot's record when SWITCHING was entered */
    uint32_t attempt;       /**< id of the current or last attempt */
    uint32_t report_seq;    /**< last seq used within the attempt */
    uint32_t boot_count;
    uint32_t image_size; /**< of the offered file */
    uint32_t written;    /**< bytes known to be in the slot, multiple of 4096 until complete */
    uint8_t sha256[KEDGE_SHA256_SIZE]; /**< of the offered file */
    char to[KEDGE_DESC_STRING_SIZE];
    char from[KEDGE_DESC_STRING_SIZE];
    uint8_t bad_count; /**< entries used of bad; the oldest is dropped when full */
    uint8_t bad[KEDGE_JOURNAL_BAD_MAX][KEDGE_SHA256_SIZE];
    uint8_t report_count; /**< queued reports, oldest first */
    struct kedge_report reports[KEDGE_JOURNAL_REPORT_MAX];
};

/** Largest record: 16 bytes header, 136 fixed, BAD list and reports at their limits, padded. */
#define KEDGE_JOURNAL_RECORD_MAX 1104u

struct kedge_journal {
    const struct kedge_plat_store *store;
    void *ctx;
    uint32_t sequence; /* of the newest record */
    uint32_t newest;   /* its offset; UINT32_MAX = none */
    uint32_t next;     /* where the next record goes, in the sector of the newest */
    struct kedge_journal_data data;
    uint8_t record[KEDGE_JOURNAL_RECORD_MAX]; /* scratch for one record */
};

/** Read the newest intact snapshot into journal->data; none at all gives the all-zero start, and
 *  *fresh is set. Errors: IO. */
KEDGE_NODISCARD enum kedge_err kedge_journal_open(struct kedge_journal *journal,
                                                  const struct kedge_plat_store *store, void *ctx,
                                                  bool *fresh);
/** Append journal->data. Durable when it returns OK; on error the previous snapshot still counts.
 *  Power lost before, during: the previous snapshot; after: this one. Errors: IO. */
KEDGE_NODISCARD enum kedge_err kedge_journal_save(struct kedge_journal *journal);

#ifdef __cplusplus
}
#endif
