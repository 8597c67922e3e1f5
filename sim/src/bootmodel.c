/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/bootmodel.h"

#include <string.h>

#include "chip.h"

#define CRC_OFFSET 28u

/* What reading otadata led to. */
struct selection {
    int index;             /* slot to start from; SIM_SLOT_FACTORY when nothing names one */
    bool initial_contents; /* both records blank or corrupt: the slot that boots gets a record */
};

static uint32_t record_offset(const struct sim_layout *layout, int index)
{
    return layout->otadata.offset + (uint32_t)index * KEDGE_OTADATA_SECTOR_SIZE;
}

enum kedge_err sim_otadata_read(const struct sim_flash *flash, const struct sim_layout *layout,
                                struct kedge_otadata_record records[2])
{
    for (int i = 0; i < 2; i++) {
        uint8_t bytes[KEDGE_OTADATA_RECORD_SIZE];
        enum kedge_err err = sim_flash_read(flash, record_offset(layout, i), bytes, sizeof(bytes));
        if (err != KEDGE_OK) {
            return err;
        }
        kedge_otadata_parse(bytes, &records[i]);
    }
    return KEDGE_OK;
}

enum kedge_err sim_otadata_write(struct sim_flash *flash, const struct sim_layout *layout,
                                 int index, const struct kedge_otadata_record *record)
{
    uint8_t bytes[KEDGE_OTADATA_RECORD_SIZE];
    kedge_otadata_encode(record, bytes);
    kedge_put_le32(bytes + CRC_OFFSET, record->crc);

    enum kedge_err err = sim_flash_erase(flash, record_offset(layout, index));
    if (err == KEDGE_OK) {
        err = sim_flash_write(flash, record_offset(layout, index), bytes, sizeof(bytes));
    }
    return err;
}

static enum kedge_err set_state(const struct sim_boot_env *env, int index,
                                struct kedge_otadata_record *record, uint32_t state)
{
    record->state = state;
    return sim_otadata_write(env->flash, env->layout, index, record);
}

static bool has_no_sequence(const struct kedge_otadata_record *record)
{
    return record->seq == KEDGE_OTADATA_BLANK_SEQ || !kedge_otadata_crc_ok(record);
}

static struct sim_region region_of(const struct sim_layout *layout, int index)
{
    switch (index) {
    case SIM_SLOT_FACTORY:
        return layout->factory;
    case SIM_SLOT_TEST:
        return layout->test;
    default:
        return layout->slots[index];
    }
}

/* An image that cannot be described is left to the full check. */
static bool floor_allows(const struct sim_boot_env *env, struct sim_region region)
{
    struct kedge_app_desc desc;
    return !env->bootloader->anti_rollback ||
           (sim_image_describe(env->flash, region, &desc) == KEDGE_OK &&
            desc.secure_version >= *env->secure_version);
}

enum kedge_err sim_boot_raise_floor(const struct sim_boot_env *env, uint32_t secure_version)
{
    if (secure_version > chip_traits(env->bootloader->chip_id).floor_bits) {
        return KEDGE_ERR_RANGE;
    }
    if (secure_version > *env->secure_version) {
        *env->secure_version = secure_version;
    }
    return KEDGE_OK;
}

/* The bootloader goes on when it fails. */
static void burn_floor(const struct sim_boot_env *env, struct sim_region region)
{
    struct kedge_app_desc desc;
    if (env->bootloader->anti_rollback &&
        sim_image_describe(env->flash, region, &desc) == KEDGE_OK) {
        enum kedge_err err = sim_boot_raise_floor(env, desc.secure_version);
        (void)err;
    }
}

/* A trial that was not confirmed before this reset has failed. The CRC is not looked at, and is
 * written back as it was read. */
static enum kedge_err abort_trials(const struct sim_boot_env *env,
                                   struct kedge_otadata_record records[2])
{
    for (int i = 0; i < 2; i++) {
        if (records[i].state == KEDGE_OTA_PENDING_VERIFY) {
            enum kedge_err err = set_state(env, i, &records[i], KEDGE_OTA_ABORTED);
            if (err != KEDGE_OK) {
                return err;
            }
        }
    }
    return KEDGE_OK;
}

static enum kedge_err take_active(const struct sim_boot_env *env,
                                  struct kedge_otadata_record records[2], int active,
                                  struct selection *selection)
{
    if (active < 0) {
        return KEDGE_OK;
    }
    struct kedge_otadata_record *record = &records[active];
    selection->index = (int)kedge_otadata_slot(record->seq, env->layout->slot_count);
    if (env->bootloader->rollback && record->state == (uint32_t)KEDGE_OTA_NEW) {
        return set_state(env, active, record, KEDGE_OTA_PENDING_VERIFY);
    }
    if (record->state == (uint32_t)KEDGE_OTA_VALID) {
        burn_floor(env, region_of(env->layout, selection->index));
    }
    return KEDGE_OK;
}

static enum kedge_err select_plain(const struct sim_boot_env *env,
                                   struct kedge_otadata_record records[2],
                                   struct selection *selection)
{
    bool none = kedge_otadata_is_invalid(&records[0]) && kedge_otadata_is_invalid(&records[1]);
    if (!none && env->layout->slot_count > 0) {
        return take_active(env, records, kedge_otadata_active(records), selection);
    }
    if (env->layout->factory.size == 0) {
        selection->index = 0;
        selection->initial_contents = has_no_sequence(&records[0]) && has_no_sequence(&records[1]);
    }
    return KEDGE_OK;
}

static enum kedge_err select_secure(const struct sim_boot_env *env,
                                    struct kedge_otadata_record records[2],
                                    struct selection *selection)
{
    if (has_no_sequence(&records[0]) && has_no_sequence(&records[1])) {
        selection->initial_contents = true;
        return KEDGE_OK;
    }
    struct kedge_otadata_record eligible[2];
    for (int i = 0; i < 2; i++) {
        eligible[i] = records[i];
        if (!kedge_otadata_is_valid(&records[i])) {
            continue;
        }
        uint32_t slot = kedge_otadata_slot(records[i].seq, env->layout->slot_count);
        if (!floor_allows(env, env->layout->slots[slot])) {
            eligible[i].state = KEDGE_OTA_INVALID; /* only for the choice; flash keeps its state */
        }
    }
    return take_active(env, records, kedge_otadata_active(eligible), selection);
}

static enum kedge_err select_slot(const struct sim_boot_env *env, struct selection *selection)
{
    struct kedge_otadata_record records[2];

    *selection = (struct selection){.index = SIM_SLOT_FACTORY};
    if (env->layout->otadata.size == 0) {
        return KEDGE_OK;
    }
    if (env->layout->otadata.size < KEDGE_OTADATA_PARTITION_SIZE) {
        return KEDGE_ERR_RANGE;
    }
    enum kedge_err err = sim_otadata_read(env->flash, env->layout, records);
    if (err == KEDGE_OK && env->bootloader->rollback) {
        err = abort_trials(env, records);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    return env->bootloader->anti_rollback ? select_secure(env, records, selection)
                                          : select_plain(env, records, selection);
}

/* The slots in the order in which they are tried: from the selected one down to factory, then up
 * from it, the test app last. */
static int load_order(const struct sim_layout *layout, int selected, int out[SIM_MAX_SLOTS + 2])
{
    int count = 0;
    for (int i = selected; i >= SIM_SLOT_FACTORY; i--) {
        out[count++] = i;
    }
    for (int i = selected + 1; i < (int)layout->slot_count; i++) {
        out[count++] = i;
    }
    out[count++] = SIM_SLOT_TEST;
    return count;
}

/* The only record that a load writes: over blank otadata, for the slot that booted. */
static enum kedge_err write_first_record(const struct sim_boot_env *env, int slot)
{
    struct kedge_otadata_record record = {.seq = (uint32_t)slot + 1, .state = KEDGE_OTA_VALID};
    memset(record.label, 0xFF, sizeof(record.label));
    record.crc = kedge_otadata_crc(record.seq);

    enum kedge_err err = sim_otadata_write(env->flash, env->layout, 0, &record);
    if (err == KEDGE_OK) {
        burn_floor(env, env->layout->slots[slot]);
    }
    return err;
}

static enum kedge_err load(const struct sim_boot_env *env, struct sim_boot *boot)
{
    int order[SIM_MAX_SLOTS + 2];
    int count = load_order(env->layout, boot->selected, order);

    for (int i = 0; i < count; i++) {
        struct sim_region region = region_of(env->layout, order[i]);
        if (region.size == 0 || !floor_allows(env, region)) {
            continue;
        }
        enum kedge_err err = sim_image_verify(env->flash, region, env->bootloader, &boot->image);
        if (err != KEDGE_ERR_MISMATCH) {
            boot->slot = order[i];
            return err;
        }
    }
    return KEDGE_ERR_NOT_FOUND;
}

enum kedge_err sim_boot_run(const struct sim_boot_env *env, struct sim_boot *boot)
{
    struct selection selection;
    enum kedge_err err = select_slot(env, &selection);
    if (err != KEDGE_OK) {
        return err;
    }
    boot->selected = selection.index;
    err = load(env, boot);
    if (err == KEDGE_OK && selection.initial_contents && boot->slot >= 0) {
        err = write_first_record(env, boot->slot);
    }
    return err;
}
