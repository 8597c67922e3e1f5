/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ota.h"

#include <string.h>

#define IMAGE_FIRST_BYTE 0xE9u
#define WRITE_BLOCK      16u

static enum kedge_err read_records(const struct sim_ota *ota,
                                   struct kedge_otadata_record records[2])
{
    return sim_otadata_read(ota->env.flash, ota->env.layout, records);
}

static uint32_t slot_of(const struct sim_ota *ota, const struct kedge_otadata_record *record)
{
    return kedge_otadata_slot(record->seq, ota->env.layout->slot_count);
}

/* rewrite_ota_seq: whatever the record held, it gets this sequence number and a CRC for it; the
 * label stays as read. */
static enum kedge_err rewrite(const struct sim_ota *ota, int index,
                              struct kedge_otadata_record record, uint32_t seq, uint32_t state)
{
    record.seq = seq;
    record.state = state;
    record.crc = kedge_otadata_crc(seq);
    return sim_otadata_write(ota->env.flash, ota->env.layout, index, &record);
}

/* A blank record has a CRC of FFFFFFFF, which is not that of its sequence number. */
static bool names_a_slot(const struct kedge_otadata_record *record)
{
    return record->seq != 0 && kedge_otadata_crc_ok(record);
}

enum kedge_err sim_ota_get_state(const struct sim_ota *ota, uint32_t slot, uint32_t *state)
{
    struct kedge_otadata_record records[2];
    enum kedge_err err = read_records(ota, records);
    if (err != KEDGE_OK) {
        return err;
    }
    for (int i = 0; i < 2; i++) {
        if (names_a_slot(&records[i]) && slot_of(ota, &records[i]) == slot) {
            *state = records[i].state;
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_NOT_FOUND;
}

enum kedge_err sim_ota_get_boot_slot(const struct sim_ota *ota, uint32_t *slot)
{
    struct kedge_otadata_record records[2];
    enum kedge_err err = read_records(ota, records);
    if (err != KEDGE_OK) {
        return err;
    }
    int active = kedge_otadata_active(records);
    if (active < 0 || ota->env.layout->slot_count == 0) {
        return KEDGE_ERR_NOT_FOUND;
    }
    *slot = slot_of(ota, &records[active]);
    return KEDGE_OK;
}

static enum kedge_err check_target(const struct sim_ota *ota, uint32_t slot)
{
    if (slot >= ota->env.layout->slot_count) {
        return KEDGE_ERR_ARG;
    }
    return (int)slot == ota->running ? KEDGE_ERR_DENIED : KEDGE_OK;
}

static bool is_on_trial(const struct sim_ota *ota)
{
    uint32_t state;
    return ota->rollback && ota->running >= 0 &&
           sim_ota_get_state(ota, (uint32_t)ota->running, &state) == KEDGE_OK &&
           state == (uint32_t)KEDGE_OTA_PENDING_VERIFY;
}

/* From v5.5 on: the record that is not active goes, unless it names the running slot. */
static enum kedge_err erase_inactive_record(const struct sim_ota *ota)
{
    struct kedge_otadata_record records[2];
    enum kedge_err err = read_records(ota, records);
    int active = kedge_otadata_active(records);
    if (err != KEDGE_OK || active < 0) {
        return err;
    }
    int inactive = 1 - active;
    if (!names_a_slot(&records[inactive]) ||
        (int)slot_of(ota, &records[inactive]) == ota->running) {
        return KEDGE_OK;
    }
    return sim_flash_erase(ota->env.flash, ota->env.layout->otadata.offset +
                                               (uint32_t)inactive * KEDGE_OTADATA_SECTOR_SIZE);
}

enum kedge_err sim_ota_begin(const struct sim_ota *ota, uint32_t slot)
{
    enum kedge_err err = check_target(ota, slot);
    if (err != KEDGE_OK) {
        return err;
    }
    if (is_on_trial(ota)) {
        return KEDGE_ERR_STATE;
    }
    if (ota->idf >= SIM_IDF_5_5) {
        (void)erase_inactive_record(ota); /* ESP-IDF ignores this error, too */
    }
    return KEDGE_OK;
}

enum kedge_err sim_ota_resume(const struct sim_ota *ota, uint32_t slot)
{
    return check_target(ota, slot);
}

enum kedge_err sim_ota_write_sector(const struct sim_ota *ota, uint32_t slot, uint32_t offset,
                                    const void *data, uint32_t len)
{
    uint8_t padded[SIM_FLASH_SECTOR_SIZE];

    if (slot >= ota->env.layout->slot_count || len == 0 || len > sizeof(padded)) {
        return KEDGE_ERR_RANGE;
    }
    struct sim_region region = ota->env.layout->slots[slot];
    if (offset % SIM_FLASH_SECTOR_SIZE != 0) {
        return KEDGE_ERR_ALIGN;
    }
    if (len > region.size || offset > region.size - len) {
        return KEDGE_ERR_RANGE;
    }
    if (offset == 0 && *(const uint8_t *)data != IMAGE_FIRST_BYTE) {
        return KEDGE_ERR_MAGIC;
    }
    memset(padded, 0xFF, sizeof(padded));
    memcpy(padded, data, len);
    enum kedge_err err = sim_flash_erase(ota->env.flash, region.offset + offset);
    if (err == KEDGE_OK) {
        err = sim_flash_write(ota->env.flash, region.offset + offset, padded,
                              kedge_align_up(len, WRITE_BLOCK));
    }
    return err;
}

enum kedge_err sim_ota_end(const struct sim_ota *ota, uint32_t slot)
{
    if (slot >= ota->env.layout->slot_count) {
        return KEDGE_ERR_ARG;
    }
    return sim_image_verify(ota->env.flash, ota->env.layout->slots[slot], ota->env.bootloader,
                            NULL);
}

/* Smallest sequence number that is not below at_least and names slot; it may equal at_least. */
static uint32_t next_sequence(uint32_t at_least, uint32_t slot, uint32_t slot_count)
{
    uint32_t seq = at_least;
    while (kedge_otadata_slot(seq, slot_count) != slot) {
        seq++;
    }
    return seq;
}

static enum kedge_err erase_slot(const struct sim_ota *ota, uint32_t slot)
{
    struct sim_region region = ota->env.layout->slots[slot];
    enum kedge_err err = KEDGE_OK;
    for (uint32_t at = 0; at < region.size && err == KEDGE_OK; at += SIM_FLASH_SECTOR_SIZE) {
        err = sim_flash_erase(ota->env.flash, region.offset + at);
    }
    return err;
}

/* An image below the floor is not only refused: its whole slot is erased. */
static enum kedge_err check_floor(const struct sim_ota *ota, uint32_t slot)
{
    struct kedge_app_desc desc;
    if (!ota->env.bootloader->anti_rollback) {
        return KEDGE_OK;
    }
    enum kedge_err err = sim_image_describe(ota->env.flash, ota->env.layout->slots[slot], &desc);
    if (err != KEDGE_OK || desc.secure_version >= *ota->env.secure_version) {
        return err;
    }
    err = erase_slot(ota, slot);
    return err == KEDGE_OK ? KEDGE_ERR_VERSION : err;
}

static enum kedge_err point_to(const struct sim_ota *ota, uint32_t slot)
{
    struct kedge_otadata_record records[2];
    enum kedge_err err = read_records(ota, records);
    if (err != KEDGE_OK) {
        return err;
    }
    uint32_t state = ota->rollback ? KEDGE_OTA_NEW : (uint32_t)KEDGE_OTA_UNDEFINED;
    int active = kedge_otadata_active(records);
    if (active < 0) {
        return rewrite(ota, 0, records[0], slot + 1, state);
    }
    uint32_t active_seq = records[active].seq;
    if (ota->idf >= SIM_IDF_6_0 && slot_of(ota, &records[active]) == slot) {
        return rewrite(ota, active, records[active], active_seq, state);
    }
    uint32_t seq = next_sequence(active_seq, slot, ota->env.layout->slot_count);
    return rewrite(ota, 1 - active, records[1 - active], seq, state);
}

enum kedge_err sim_ota_set_boot(const struct sim_ota *ota, uint32_t slot)
{
    enum kedge_err err = sim_ota_end(ota, slot);
    if (err == KEDGE_OK) {
        err = check_floor(ota, slot);
    }
    return err == KEDGE_OK ? point_to(ota, slot) : err;
}

/* Of the image that runs, whatever record was marked. */
static enum kedge_err burn_floor(const struct sim_ota *ota)
{
    struct kedge_app_desc desc;
    if (!ota->env.bootloader->anti_rollback || ota->running < 0 ||
        sim_image_describe(ota->env.flash, ota->env.layout->slots[ota->running], &desc) !=
            KEDGE_OK) {
        return KEDGE_OK;
    }
    return sim_boot_raise_floor(&ota->env, desc.secure_version);
}

enum kedge_err sim_ota_mark_valid(const struct sim_ota *ota)
{
    struct kedge_otadata_record records[2];
    enum kedge_err err = read_records(ota, records);
    if (err != KEDGE_OK) {
        return err;
    }
    int active = kedge_otadata_active(records);
    if (active < 0 || ota->env.layout->slot_count == 0) {
        return KEDGE_ERR_STATE;
    }
    if (records[active].state == (uint32_t)KEDGE_OTA_VALID) {
        return KEDGE_OK;
    }
    err = rewrite(ota, active, records[active], records[active].seq, KEDGE_OTA_VALID);
    return err == KEDGE_OK ? burn_floor(ota) : err;
}

/* esp_ota_check_rollback_is_possible: the other record is valid and its slot holds something that
 * looks like an app; the image itself is not verified. */
static bool can_go_back(const struct sim_ota *ota, const struct kedge_otadata_record records[2],
                        int active)
{
    const struct kedge_otadata_record *other = &records[1 - active];
    const struct sim_layout *layout = ota->env.layout;
    bool anti_rollback = ota->env.bootloader->anti_rollback;
    struct kedge_app_desc desc;

    if (!kedge_otadata_is_valid(other)) {
        return !anti_rollback && layout->factory.size != 0 &&
               sim_image_describe(ota->env.flash, layout->factory, &desc) == KEDGE_OK;
    }
    return sim_image_describe(ota->env.flash, layout->slots[slot_of(ota, other)], &desc) ==
               KEDGE_OK &&
           (!anti_rollback || desc.secure_version >= *ota->env.secure_version);
}

enum kedge_err sim_ota_mark_invalid(const struct sim_ota *ota)
{
    struct kedge_otadata_record records[2];
    enum kedge_err err = read_records(ota, records);
    if (err != KEDGE_OK) {
        return err;
    }
    int active = kedge_otadata_active(records);
    if (active < 0 || ota->env.layout->slot_count == 0 || !can_go_back(ota, records, active)) {
        return KEDGE_ERR_STATE;
    }
    return rewrite(ota, active, records[active], records[active].seq, KEDGE_OTA_INVALID);
}
