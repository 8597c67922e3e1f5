/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/image.h"

#include <string.h>

#include "image_layout.h"

/* 64 KiB: the flash page that the MMU maps, and the step of a signed file's length. */
#define PAGE_SIZE 0x10000u
/* Secure Boot V2 padding (esptool --secure-pad-v2): a checksum block and the SHA-256 follow it. */
#define AFTER_SECURE_PAD (IMAGE_CHECKSUM_ALIGN + KEDGE_SHA256_SIZE)

/* Where each chip maps flash data into its address space; ESP-IDF soc.h, SOC_DROM_LOW. */
static const struct {
    uint16_t chip_id;
    uint32_t data_base;
} chips[] = {
    {KEDGE_CHIP_ESP32, 0x3F400000u},    {KEDGE_CHIP_ESP32S2, 0x3F000000u},
    {KEDGE_CHIP_ESP32C3, 0x3C000000u},  {KEDGE_CHIP_ESP32S3, 0x3C000000u},
    {KEDGE_CHIP_ESP32C2, 0x3C000000u},  {KEDGE_CHIP_ESP32C6, 0x42000000u},
    {KEDGE_CHIP_ESP32H2, 0x42000000u},  {KEDGE_CHIP_ESP32P4, 0x40000000u},
    {KEDGE_CHIP_ESP32C61, 0x42000000u}, {KEDGE_CHIP_ESP32C5, 0x42000000u},
    {KEDGE_CHIP_ESP32H21, 0x42000000u}, {KEDGE_CHIP_ESP32H4, 0x42000000u},
};

/* Lengths of the parts of an image, in the order in which they are written. */
struct plan {
    uint32_t data_base;
    uint32_t segment_len; /* descriptor and payload */
    bool has_pad;
    uint32_t pad_len; /* zeros in the padding segment */
    uint32_t checksum_at;
    uint32_t total;
};

/* 0 for a chip that is not in the table. */
static uint32_t data_base_of(uint16_t chip_id)
{
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        if (chips[i].chip_id == chip_id) {
            return chips[i].data_base;
        }
    }
    return 0;
}

static bool plan_image(const struct kedge_image_spec *spec, struct plan *plan)
{
    uint32_t end;

    *plan = (struct plan){.data_base = data_base_of(spec->chip_id), .has_pad = spec->secure_pad};
    if (plan->data_base == 0 || spec->payload.len % 4 != 0 ||
        spec->payload.len >= KEDGE_IMAGE_MAX_SEGMENT_SIZE - KEDGE_IMAGE_DESC_SIZE) {
        return false;
    }
    if (spec->secure_pad && !spec->append_hash) {
        return false; /* Secure Boot V2 signs images with a hash only */
    }
    plan->segment_len = KEDGE_IMAGE_DESC_SIZE + (uint32_t)spec->payload.len;
    end = KEDGE_IMAGE_DESC_OFFSET + plan->segment_len;
    if (plan->has_pad) {
        uint32_t least = end + KEDGE_IMAGE_SEGMENT_HEADER_SIZE + AFTER_SECURE_PAD;
        plan->pad_len = kedge_align_up(least, PAGE_SIZE) - least;
        end += KEDGE_IMAGE_SEGMENT_HEADER_SIZE + plan->pad_len;
    }
    plan->checksum_at = kedge_align_up(end + 1u, IMAGE_CHECKSUM_ALIGN) - 1u;
    plan->total = plan->checksum_at + 1u + (spec->append_hash ? KEDGE_SHA256_SIZE : 0u);
    return true;
}

static void put_header(const struct kedge_image_spec *spec, const struct plan *plan, uint8_t *out)
{
    out[IMAGE_AT_MAGIC] = IMAGE_MAGIC;
    out[IMAGE_AT_SEGMENT_COUNT] = plan->has_pad ? 2 : 1;
    out[IMAGE_AT_SPI_MODE] = 2;      /* DIO */
    out[IMAGE_AT_SPEED_SIZE] = 0x2F; /* 4 MB, 80 MHz */
    /* Nothing runs this code: the entry only has to be an address of the image. */
    kedge_put_le32(out + IMAGE_AT_ENTRY, plan->data_base + KEDGE_IMAGE_PREFIX_SIZE);
    out[IMAGE_AT_WP_PIN] = 0xEE; /* disabled */
    kedge_put_le16(out + IMAGE_AT_CHIP_ID, spec->chip_id);
    kedge_put_le16(out + IMAGE_AT_MAX_REV_FULL, UINT16_MAX); /* unset */
    out[IMAGE_AT_HASH_APPENDED] = spec->append_hash ? 1 : 0;
}

static void put_segment_header(uint8_t *out, uint32_t load_address, uint32_t len)
{
    kedge_put_le32(out + IMAGE_AT_SEGMENT_LOAD, load_address);
    kedge_put_le32(out + IMAGE_AT_SEGMENT_LEN, len);
}

static void put_desc(const struct kedge_app_desc *desc, uint8_t *out)
{
    kedge_put_le32(out + DESC_AT_MAGIC, DESC_MAGIC);
    kedge_put_le32(out + DESC_AT_SECURE_VERSION, desc->secure_version);
    for (size_t i = 0; i < DESC_TEXT_COUNT; i++) {
        const char *text = (const char *)desc + desc_texts[i].into;
        for (size_t n = 0; n < desc_texts[i].size && text[n] != '\0'; n++) {
            out[desc_texts[i].at + n] = (uint8_t)text[n];
        }
    }
    memcpy(out + DESC_AT_ELF_SHA256, desc->elf_sha256, KEDGE_SHA256_SIZE);
    kedge_put_le16(out + DESC_AT_MAX_EFUSE_REV_FULL, 99); /* as ESP-IDF leaves it: any block 0.x */
    out[DESC_AT_MMU_PAGE_SIZE] = 16;                      /* log2 of PAGE_SIZE */
}

uint32_t kedge_image_write_size(const struct kedge_image_spec *spec)
{
    struct plan plan;

    return plan_image(spec, &plan) ? plan.total : 0;
}

enum kedge_err kedge_image_write(const struct kedge_image_spec *spec,
                                 const struct kedge_hash_ops *hash, void *hash_ctx,
                                 struct kedge_span out, uint32_t *len_out)
{
    struct plan plan;
    uint8_t *data;

    if (!plan_image(spec, &plan) || (spec->append_hash && hash == NULL)) {
        return KEDGE_ERR_ARG;
    }
    if (out.len < plan.total) {
        return KEDGE_ERR_NO_SPACE;
    }
    memset(out.data, 0, plan.total);
    put_header(spec, &plan, out.data);
    put_segment_header(out.data + KEDGE_IMAGE_HEADER_SIZE, plan.data_base + KEDGE_IMAGE_DESC_OFFSET,
                       plan.segment_len);
    data = out.data + KEDGE_IMAGE_DESC_OFFSET;
    put_desc(&spec->desc, data);
    if (spec->payload.len > 0) {
        memcpy(data + KEDGE_IMAGE_DESC_SIZE, spec->payload.data, spec->payload.len);
    }
    if (plan.has_pad) { /* zeros at load address 0; they leave the checksum as it is */
        put_segment_header(data + plan.segment_len, 0, plan.pad_len);
    }
    out.data[plan.checksum_at] = image_checksum(IMAGE_CHECKSUM_SEED, data, plan.segment_len);
    if (spec->append_hash) {
        hash->init(hash_ctx);
        hash->update(hash_ctx, out.data, plan.checksum_at + 1u);
        hash->final(hash_ctx, out.data + plan.checksum_at + 1u);
    }
    *len_out = plan.total;
    return KEDGE_OK;
}
