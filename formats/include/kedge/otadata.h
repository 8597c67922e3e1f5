/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * otadata: two records of 32 bytes, at offsets 0x0000 and 0x1000 of the partition. ESP-IDF
 * esp_flash_partitions.h (esp_ota_select_entry_t), bootloader_common_loader.c. Only bytes <->
 * structs and the predicates that define a record live here; who may select what is the boot
 * model's.
 */
#define KEDGE_OTADATA_RECORD_SIZE    32u
#define KEDGE_OTADATA_SECTOR_SIZE    0x1000u
#define KEDGE_OTADATA_PARTITION_SIZE 0x2000u
#define KEDGE_OTADATA_BLANK_SEQ      UINT32_MAX

/** esp_ota_img_states_t: X(NAME, value, text). */
#define KEDGE_OTA_STATE_MAP(X)                                                                     \
    X(NEW, 0u, "new")                                                                              \
    X(PENDING_VERIFY, 1u, "pending_verify")                                                        \
    X(VALID, 2u, "valid")                                                                          \
    X(INVALID, 3u, "invalid")                                                                      \
    X(ABORTED, 4u, "aborted")                                                                      \
    X(UNDEFINED, 0xFFFFFFFFu, "undefined")

enum kedge_ota_state {
#define X(name, value, text) KEDGE_OTA_##name = (int)(value),
    KEDGE_OTA_STATE_MAP(X)
#undef X
};

/** "pending_verify" and so on; "unknown" outside the list (a torn write can leave any value). */
const char *kedge_ota_state_text(uint32_t state);

struct kedge_otadata_record {
    uint32_t seq;      /**< 1-based; UINT32_MAX = blank */
    uint8_t label[20]; /**< unused by ESP-IDF, carried through as read */
    uint32_t state;    /**< raw: not every value on flash is in the enum */
    uint32_t crc;      /**< as read; covers seq only */
};

/** CRC-32 over the four bytes of seq, first seed UINT32_MAX (bootloader_common_ota_select_crc). */
uint32_t kedge_otadata_crc(uint32_t seq);
/** Reads 32 bytes. Any content is a record; ask the predicates what it is worth. */
void kedge_otadata_parse(const uint8_t *bytes, struct kedge_otadata_record *record);
/** Writes 32 bytes, crc computed from seq. */
void kedge_otadata_encode(const struct kedge_otadata_record *record, uint8_t *bytes);

bool kedge_otadata_crc_ok(const struct kedge_otadata_record *record);
/** seq blank, or state INVALID or ABORTED; the CRC is not looked at
 * (bootloader_common_ota_select_invalid). */
bool kedge_otadata_is_invalid(const struct kedge_otadata_record *record);
/** !invalid and CRC ok (bootloader_common_ota_select_valid). */
bool kedge_otadata_is_valid(const struct kedge_otadata_record *record);
/** Index of the active record: both valid -> larger seq, a tie -> 0; one valid -> it; none -> -1.
 */
int kedge_otadata_active(const struct kedge_otadata_record records[2]);
/** Slot a record names: (seq - 1) mod slot_count; seq and slot_count are not 0. */
uint32_t kedge_otadata_slot(uint32_t seq, uint32_t slot_count);

#ifdef __cplusplus
}
#endif
