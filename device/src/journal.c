/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/journal.h"

#include <string.h>

#include "kedge/bytes.h"

/*
 * Record, little-endian, padded with zeros to 16 bytes (formats/FORMATS.md, "Journal"):
 *   0 magic "KJ" | 2 version u16 | 4 length u32, header and payload | 8 sequence u32 |
 *   12 CRC-32 of the record with this field zero | 16 payload
 */
#define MAGIC       0x4A4Bu
#define VERSION     1u
#define HEADER_SIZE 16u
#define FIXED_SIZE  136u
#define STRING_SIZE 32u
#define REPORT_SIZE 112u
#define SECTOR_SIZE KEDGE_STORE_SECTOR_SIZE
#define NO_RECORD   UINT32_MAX

_Static_assert(HEADER_SIZE + FIXED_SIZE + KEDGE_JOURNAL_BAD_MAX * KEDGE_SHA256_SIZE +
                       KEDGE_JOURNAL_REPORT_MAX * REPORT_SIZE <=
                   KEDGE_JOURNAL_RECORD_MAX,
               "scratch holds the largest record");
_Static_assert(KEDGE_JOURNAL_RECORD_MAX % KEDGE_STORE_WRITE_ALIGN == 0, "records are padded");
_Static_assert(KEDGE_DESC_STRING_SIZE == STRING_SIZE + 1u, "strings carry a NUL in RAM only");

static uint32_t payload_size(const struct kedge_journal_data *data)
{
    return FIXED_SIZE + data->bad_count * KEDGE_SHA256_SIZE + data->report_count * REPORT_SIZE;
}

static void put_string(uint8_t *p, const char *string)
{
    size_t len = 0;

    while (len < STRING_SIZE && string[len] != '\0') {
        len++;
    }
    memset(p, 0, STRING_SIZE);
    memcpy(p, string, len);
}

static void get_string(char *string, const uint8_t *p)
{
    memcpy(string, p, STRING_SIZE);
    string[STRING_SIZE] = '\0';
}

static void encode_report(uint8_t *p, const struct kedge_report *report)
{
    kedge_put_le32(p, report->attempt);
    kedge_put_le32(p + 4, report->seq);
    kedge_put_le32(p + 8, report->detail);
    p[12] = (uint8_t)report->state;
    p[13] = (uint8_t)report->cause;
    p[14] = 0;
    p[15] = 0;
    memcpy(p + 16, report->sha256, KEDGE_SHA256_SIZE);
    put_string(p + 48, report->from);
    put_string(p + 80, report->to);
}

static void decode_report(struct kedge_report *report, const uint8_t *p)
{
    report->attempt = kedge_get_le32(p);
    report->seq = kedge_get_le32(p + 4);
    report->detail = kedge_get_le32(p + 8);
    report->state = (enum kedge_report_state)p[12];
    report->cause = (enum kedge_cause)p[13];
    memcpy(report->sha256, p + 16, KEDGE_SHA256_SIZE);
    get_string(report->from, p + 48);
    get_string(report->to, p + 80);
}

static void encode_payload(uint8_t *p, const struct kedge_journal_data *data)
{
    const uint8_t small[8] = {data->state, data->cause,     data->slot,      data->rearms,
                              data->tried, data->realigned, data->bad_count, data->report_count};
    const uint32_t words[6] = {data->detail,     data->attempt,    data->report_seq,
                               data->boot_count, data->image_size, data->written};

    memcpy(p, small, sizeof small);
    for (size_t i = 0; i < 6; i++) {
        kedge_put_le32(p + 8 + 4 * i, words[i]);
    }
    memset(p + 32, 0, 8);
    p[32] = data->restarts;
    p[33] = data->bootloader;
    kedge_put_le32(p + 36, data->record_before);
    memcpy(p + 40, data->sha256, KEDGE_SHA256_SIZE);
    put_string(p + 72, data->to);
    put_string(p + 104, data->from);
    p += FIXED_SIZE;
    memcpy(p, data->bad, data->bad_count * KEDGE_SHA256_SIZE);
    p += data->bad_count * KEDGE_SHA256_SIZE;
    for (uint32_t i = 0; i < data->report_count; i++) {
        encode_report(p + i * REPORT_SIZE, &data->reports[i]);
    }
}

/* Every count and enum of a payload is in range, and its length is what they say. */
static bool payload_ok(const uint8_t *p, uint32_t len)
{
    uint32_t bad_count = p[6];
    uint32_t report_count = p[7];
    const uint8_t *reports = p + FIXED_SIZE + bad_count * KEDGE_SHA256_SIZE;

    if (p[1] >= KEDGE_CAUSE_COUNT || bad_count > KEDGE_JOURNAL_BAD_MAX ||
        report_count > KEDGE_JOURNAL_REPORT_MAX ||
        len != FIXED_SIZE + bad_count * KEDGE_SHA256_SIZE + report_count * REPORT_SIZE) {
        return false;
    }
    for (uint32_t i = 0; i < report_count; i++) {
        const uint8_t *report = reports + i * REPORT_SIZE;

        if (report[12] >= KEDGE_REPORT_STATE_COUNT || report[13] >= KEDGE_CAUSE_COUNT) {
            return false;
        }
    }
    return true;
}

static void decode_payload(struct kedge_journal_data *data, const uint8_t *p)
{
    memset(data, 0, sizeof *data);
    data->state = p[0];
    data->cause = p[1];
    data->slot = p[2];
    data->rearms = p[3];
    data->tried = p[4];
    data->realigned = p[5];
    data->bad_count = p[6];
    data->report_count = p[7];
    data->detail = kedge_get_le32(p + 8);
    data->attempt = kedge_get_le32(p + 12);
    data->report_seq = kedge_get_le32(p + 16);
    data->boot_count = kedge_get_le32(p + 20);
    data->image_size = kedge_get_le32(p + 24);
    data->written = kedge_get_le32(p + 28);
    data->restarts = p[32];
    data->bootloader = p[33];
    data->record_before = kedge_get_le32(p + 36);
    memcpy(data->sha256, p + 40, KEDGE_SHA256_SIZE);
    get_string(data->to, p + 72);
    get_string(data->from, p + 104);
    p += FIXED_SIZE;
    memcpy(data->bad, p, data->bad_count * KEDGE_SHA256_SIZE);
    p += data->bad_count * KEDGE_SHA256_SIZE;
    for (uint32_t i = 0; i < data->report_count; i++) {
        decode_report(&data->reports[i], p + i * REPORT_SIZE);
    }
}

static uint32_t record_crc(const uint8_t *record, uint32_t len)
{
    static const uint8_t zero[4];
    uint32_t crc = kedge_crc32(0, record, 12);

    crc = kedge_crc32(crc, zero, sizeof zero);
    return kedge_crc32(crc, record + HEADER_SIZE, len - HEADER_SIZE);
}

/* The record at offset into journal->record. *len is its length without padding, 0 when there is no
 * intact record there. */
static enum kedge_err read_record(struct kedge_journal *journal, uint32_t offset, uint32_t limit,
                                  uint32_t *len)
{
    uint8_t *record = journal->record;
    enum kedge_err err;
    uint32_t size;

    *len = 0;
    if (limit - offset < HEADER_SIZE) {
        return KEDGE_OK;
    }
    err = journal->store->read(journal->ctx, offset, record, HEADER_SIZE);
    if (err != KEDGE_OK) {
        return err;
    }
    size = kedge_get_le32(record + 4);
    if (kedge_get_le16(record) != MAGIC || kedge_get_le16(record + 2) != VERSION ||
        size < HEADER_SIZE + FIXED_SIZE || size > KEDGE_JOURNAL_RECORD_MAX ||
        size > limit - offset) {
        return KEDGE_OK;
    }
    err = journal->store->read(journal->ctx, offset + HEADER_SIZE, record + HEADER_SIZE,
                               size - HEADER_SIZE);
    if (err == KEDGE_OK && record_crc(record, size) == kedge_get_le32(record + 12)) {
        *len = size;
    }
    return err;
}

/* Is the rest of the sector provably erased? Under flash encryption an erased sector reads as
 * noise: then the answer is no, and the next record goes to the other sector, which costs one
 * erase. */
static enum kedge_err is_erased(struct kedge_journal *journal, uint32_t offset, uint32_t end,
                                bool *erased)
{
    uint8_t *chunk = journal->record;

    *erased = false;
    while (offset < end) {
        uint32_t rest = end - offset;
        uint32_t len = rest < KEDGE_JOURNAL_RECORD_MAX ? rest : KEDGE_JOURNAL_RECORD_MAX;
        enum kedge_err err = journal->store->read(journal->ctx, offset, chunk, len);

        if (err != KEDGE_OK) {
            return err;
        }
        for (uint32_t i = 0; i < len; i++) {
            if (chunk[i] != 0xFFu) {
                return KEDGE_OK;
            }
        }
        offset += len;
    }
    *erased = true;
    return KEDGE_OK;
}

/* Keep the record in scratch if it is newer than what the journal has. */
static void take_if_newer(struct kedge_journal *journal, uint32_t offset, uint32_t len)
{
    uint32_t sequence = kedge_get_le32(journal->record + 8);

    if (journal->newest != NO_RECORD && sequence <= journal->sequence) {
        return;
    }
    if (payload_ok(journal->record + HEADER_SIZE, len - HEADER_SIZE)) {
        decode_payload(&journal->data, journal->record + HEADER_SIZE);
        journal->sequence = sequence;
        journal->newest = offset;
        journal->next = offset + kedge_align_up(len, KEDGE_STORE_WRITE_ALIGN);
    }
}

static enum kedge_err scan_sector(struct kedge_journal *journal, uint32_t sector)
{
    uint32_t offset = sector * SECTOR_SIZE;
    uint32_t limit = offset + SECTOR_SIZE;
    uint32_t len;

    do {
        enum kedge_err err = read_record(journal, offset, limit, &len);

        if (err != KEDGE_OK) {
            return err;
        }
        if (len != 0) {
            take_if_newer(journal, offset, len);
            offset += kedge_align_up(len, KEDGE_STORE_WRITE_ALIGN);
        }
    } while (len != 0);
    return KEDGE_OK;
}

static uint32_t newest_sector_end(const struct kedge_journal *journal)
{
    return (journal->newest / SECTOR_SIZE + 1u) * SECTOR_SIZE;
}

enum kedge_err kedge_journal_open(struct kedge_journal *journal,
                                  const struct kedge_plat_store *store, void *ctx, bool *fresh)
{
    enum kedge_err err = KEDGE_OK;
    bool erased;

    memset(journal, 0, sizeof *journal);
    journal->store = store;
    journal->ctx = ctx;
    journal->newest = NO_RECORD;
    for (uint32_t sector = 0; sector < KEDGE_STORE_SECTOR_COUNT && err == KEDGE_OK; sector++) {
        err = scan_sector(journal, sector);
    }
    *fresh = journal->newest == NO_RECORD;
    if (err != KEDGE_OK || *fresh) {
        return err;
    }
    err = is_erased(journal, journal->next, newest_sector_end(journal), &erased);
    if (err == KEDGE_OK && !erased) {
        journal->next = newest_sector_end(journal); /* a torn record: nothing fits behind it */
    }
    return err;
}

/* Where a record of len bytes goes: behind the newest, or at the start of the other sector, erased
 * first. Power cut during the erase: that sector is undefined, the newest record is not in it. */
static enum kedge_err make_room(struct kedge_journal *journal, uint32_t len, uint32_t *offset)
{
    bool empty = journal->newest == NO_RECORD;

    if (!empty && len <= newest_sector_end(journal) - journal->next) {
        *offset = journal->next;
        return KEDGE_OK;
    }
    uint32_t sector = empty ? 0 : (journal->newest / SECTOR_SIZE + 1u) % KEDGE_STORE_SECTOR_COUNT;

    *offset = sector * SECTOR_SIZE;
    return journal->store->erase(journal->ctx, sector);
}

enum kedge_err kedge_journal_save(struct kedge_journal *journal)
{
    uint32_t len = HEADER_SIZE + payload_size(&journal->data);
    uint32_t padded = kedge_align_up(len, KEDGE_STORE_WRITE_ALIGN);
    uint8_t *record = journal->record;
    uint32_t offset;
    enum kedge_err err = make_room(journal, padded, &offset);

    if (err != KEDGE_OK) {
        return err;
    }
    memset(record, 0, padded);
    kedge_put_le16(record, MAGIC);
    kedge_put_le16(record + 2, VERSION);
    kedge_put_le32(record + 4, len);
    kedge_put_le32(record + 8, journal->sequence + 1u);
    encode_payload(record + HEADER_SIZE, &journal->data);
    kedge_put_le32(record + 12, record_crc(record, len));
    /* Power cut during the write: the CRC does not match, the record before it counts. */
    err = journal->store->write(journal->ctx, offset, record, padded);
    if (err != KEDGE_OK) {
        if (journal->newest != NO_RECORD) {
            journal->next = newest_sector_end(journal); /* those bytes are no longer erased */
        }
        return err;
    }
    journal->sequence++;
    journal->newest = offset;
    journal->next = offset + padded;
    return KEDGE_OK;
}
