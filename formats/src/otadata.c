/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/otadata.h"

#include <string.h>

enum record_offset {
    AT_SEQ = 0,
    AT_LABEL = 4,
    AT_STATE = 24,
    AT_CRC = 28
};

const char *kedge_ota_state_text(uint32_t state)
{
    switch (state) {
#define X(name, value, text)                                                                       \
    case value:                                                                                    \
        return text;
        KEDGE_OTA_STATE_MAP(X)
#undef X
    default: /* a raw flash value, not the enum */
        return "unknown";
    }
}

uint32_t kedge_otadata_crc(uint32_t seq)
{
    uint8_t bytes[4];

    kedge_put_le32(bytes, seq);
    return kedge_crc32(UINT32_MAX, bytes, sizeof(bytes));
}

void kedge_otadata_parse(const uint8_t *bytes, struct kedge_otadata_record *record)
{
    record->seq = kedge_get_le32(bytes + AT_SEQ);
    memcpy(record->label, bytes + AT_LABEL, sizeof(record->label));
    record->state = kedge_get_le32(bytes + AT_STATE);
    record->crc = kedge_get_le32(bytes + AT_CRC);
}

void kedge_otadata_encode(const struct kedge_otadata_record *record, uint8_t *bytes)
{
    kedge_put_le32(bytes + AT_SEQ, record->seq);
    memcpy(bytes + AT_LABEL, record->label, sizeof(record->label));
    kedge_put_le32(bytes + AT_STATE, record->state);
    kedge_put_le32(bytes + AT_CRC, kedge_otadata_crc(record->seq));
}

bool kedge_otadata_crc_ok(const struct kedge_otadata_record *record)
{
    return record->crc == kedge_otadata_crc(record->seq);
}

bool kedge_otadata_is_invalid(const struct kedge_otadata_record *record)
{
    return record->seq == KEDGE_OTADATA_BLANK_SEQ || record->state == (uint32_t)KEDGE_OTA_INVALID ||
           record->state == (uint32_t)KEDGE_OTA_ABORTED;
}

bool kedge_otadata_is_valid(const struct kedge_otadata_record *record)
{
    return !kedge_otadata_is_invalid(record) && kedge_otadata_crc_ok(record);
}

int kedge_otadata_active(const struct kedge_otadata_record records[2])
{
    bool first_valid = kedge_otadata_is_valid(&records[0]);
    bool second_valid = kedge_otadata_is_valid(&records[1]);

    if (first_valid && second_valid) {
        return records[1].seq > records[0].seq ? 1 : 0;
    }
    if (first_valid) {
        return 0;
    }
    return second_valid ? 1 : -1;
}

uint32_t kedge_otadata_slot(uint32_t seq, uint32_t slot_count)
{
    return (seq - 1u) % slot_count;
}
