/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/otadata.h"

static void load(const uint8_t *data, size_t size, size_t at, struct kedge_otadata_record *record)
{
    uint8_t bytes[KEDGE_OTADATA_RECORD_SIZE];
    uint8_t back[KEDGE_OTADATA_RECORD_SIZE];

    memset(bytes, 0xFF, sizeof(bytes)); /* what is not there reads as erased flash */
    if (at < size) {
        memcpy(bytes, data + at, size - at < sizeof(bytes) ? size - at : sizeof(bytes));
    }
    kedge_otadata_parse(bytes, record);
    kedge_otadata_encode(record, back);
    FUZZ_CHECK(memcmp(bytes, back, sizeof(bytes) - 4) == 0);
    FUZZ_CHECK(kedge_otadata_crc_ok(record) == (memcmp(bytes, back, sizeof(bytes)) == 0));
    FUZZ_CHECK(kedge_ota_state_text(record->state) != NULL);
}

/* The active record is valid, and no valid record has a larger sequence number. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kedge_otadata_record records[2];
    int active;

    load(data, size, 0, &records[0]);
    load(data, size, KEDGE_OTADATA_SECTOR_SIZE, &records[1]);
    active = kedge_otadata_active(records);
    if (active < 0) {
        FUZZ_CHECK(!kedge_otadata_is_valid(&records[0]) && !kedge_otadata_is_valid(&records[1]));
        return 0;
    }
    FUZZ_CHECK(active <= 1 && kedge_otadata_is_valid(&records[active]));
    FUZZ_CHECK(!kedge_otadata_is_valid(&records[1 - active]) ||
               records[1 - active].seq <= records[active].seq);
    if (records[active].seq != 0) {
        FUZZ_CHECK(kedge_otadata_slot(records[active].seq, 2) < 2);
    }
    return 0;
}
