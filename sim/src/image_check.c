/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/bootmodel.h"

#include "kedge/crypto.h"

#define REVISION_UNSET UINT16_MAX

static bool is_complete(const struct kedge_image_parser *parser)
{
    struct kedge_image_parser probe = *parser;
    struct kedge_image_info info;
    return kedge_image_parser_end(&probe, &info) == KEDGE_OK;
}

/* Feed the region until the image in it is complete, or the region ends. */
static enum kedge_err feed_region(const struct sim_flash *flash, struct sim_region region,
                                  struct kedge_image_parser *parser)
{
    uint8_t chunk[SIM_FLASH_SECTOR_SIZE];
    for (uint32_t at = 0; at < region.size && !is_complete(parser); at += sizeof(chunk)) {
        uint32_t left = region.size - at;
        uint32_t len = left < sizeof(chunk) ? left : (uint32_t)sizeof(chunk);
        if (sim_flash_read(flash, region.offset + at, chunk, len) != KEDGE_OK) {
            return KEDGE_ERR_IO;
        }
        if (kedge_image_parser_feed(parser, (struct kedge_cspan){chunk, len}) != KEDGE_OK) {
            return KEDGE_ERR_MISMATCH;
        }
    }
    return KEDGE_OK;
}

static bool runs_on(const struct kedge_image_info *image, const struct sim_bootloader *bootloader)
{
    bool has_max = image->max_chip_rev_full != 0 && image->max_chip_rev_full != REVISION_UNSET;
    return image->chip_id == bootloader->chip_id &&
           image->min_chip_rev_full <= bootloader->chip_rev_full &&
           (!has_max || bootloader->chip_rev_full <= image->max_chip_rev_full);
}

enum kedge_err sim_image_verify(const struct sim_flash *flash, struct sim_region region,
                                const struct sim_bootloader *bootloader,
                                struct kedge_image_info *info)
{
    struct kedge_sha256 sha;
    struct kedge_image_parser parser;
    struct kedge_image_info found;

    kedge_image_parser_init(&parser, &kedge_sha256_ops, &sha);
    enum kedge_err err = feed_region(flash, region, &parser);
    if (err != KEDGE_OK) {
        return err;
    }
    if (kedge_image_parser_end(&parser, &found) != KEDGE_OK || !runs_on(&found, bootloader)) {
        return KEDGE_ERR_MISMATCH;
    }
    if (info != NULL) {
        *info = found;
    }
    return KEDGE_OK;
}

enum kedge_err sim_image_describe(const struct sim_flash *flash, struct sim_region region,
                                  struct kedge_app_desc *desc)
{
    uint8_t prefix[KEDGE_IMAGE_PREFIX_SIZE];
    struct kedge_image_parser parser;
    const struct kedge_image_info *info;

    if (region.size < sizeof(prefix)) {
        return KEDGE_ERR_MISMATCH;
    }
    if (sim_flash_read(flash, region.offset, prefix, sizeof(prefix)) != KEDGE_OK) {
        return KEDGE_ERR_IO;
    }
    kedge_image_parser_init(&parser, NULL, NULL);
    struct kedge_cspan bytes = {prefix, sizeof(prefix)};
    if (kedge_image_parser_feed(&parser, bytes) != KEDGE_OK ||
        !kedge_image_parser_prefix(&parser, &info)) {
        return KEDGE_ERR_MISMATCH;
    }
    *desc = info->desc;
    return KEDGE_OK;
}
