/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/bootmodel.h"

#include <string.h>

#include "chip.h"
#include "kedge/crypto.h"

#define REVISION_UNSET UINT16_MAX

static bool is_complete(const struct kedge_image_parser *parser)
{
    struct kedge_image_parser probe = *parser;
    struct kedge_image_info info;
    return kedge_image_parser_end(&probe, &info) == KEDGE_OK;
}

/* Feed the region, sector by sector, until the image in it is complete or the region ends. sectors
 * (NULL = not wanted) covers what was fed, which is what a signature behind the image covers. */
static enum kedge_err feed_region(const struct sim_flash *flash, struct sim_region region,
                                  struct kedge_image_parser *parser, struct kedge_sha256 *sectors)
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
        if (sectors != NULL) {
            kedge_sha256_update(sectors, chunk, len);
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

static bool is_trusted(const struct sim_secure_boot *secure_boot, uint32_t limit,
                       const uint8_t *key_digest)
{
    bool found = false;
    for (uint32_t i = 0; i < secure_boot->key_count && i < limit; i++) {
        found |= memcmp(secure_boot->key_digests[i], key_digest, KEDGE_SHA256_SIZE) == 0;
    }
    return found;
}

/* The ROM judges each block by itself: what stands in the others does not matter to it. Our parser
 * judges sectors, so the block gets one of its own. */
static bool block_holds(const struct sim_bootloader *bootloader, const struct chip_traits *chip,
                        const uint8_t *block, const uint8_t *image_digest)
{
    uint8_t sector[KEDGE_SIG_SECTOR_SIZE];
    uint8_t key_digest[KEDGE_SHA256_SIZE];
    struct kedge_sig_sector parsed;
    struct kedge_fault fault;

    memset(sector, 0xFF, sizeof(sector));
    memcpy(sector, block, KEDGE_SIG_BLOCK_SIZE);
    struct kedge_cspan bytes = {sector, sizeof(sector)};
    if (kedge_sig_parse(bytes, &parsed, &fault) != KEDGE_OK) {
        return false;
    }
    bool is_rsa = parsed.blocks[0].scheme == KEDGE_SIG_RSA_3072;
    return (is_rsa ? chip->has_rsa : chip->has_ecdsa) &&
           kedge_sig_verify(&parsed.blocks[0], image_digest, key_digest) == KEDGE_OK &&
           is_trusted(&bootloader->secure_boot, chip->signature_blocks, key_digest);
}

static enum kedge_err verify_signature(const struct sim_flash *flash, struct sim_region region,
                                       const struct sim_bootloader *bootloader, uint32_t image_len,
                                       const uint8_t *image_digest)
{
    const struct chip_traits chip = chip_traits(bootloader->chip_id);
    uint8_t sector[KEDGE_SIG_SECTOR_SIZE];
    uint32_t at = kedge_align_up(image_len, KEDGE_SIG_SECTOR_SIZE);

    if (region.size < sizeof(sector) || at > region.size - sizeof(sector)) {
        return KEDGE_ERR_MISMATCH;
    }
    if (sim_flash_read(flash, region.offset + at, sector, sizeof(sector)) != KEDGE_OK) {
        return KEDGE_ERR_IO;
    }
    for (uint32_t i = 0; i < chip.signature_blocks; i++) {
        const uint8_t *block = sector + (size_t)i * KEDGE_SIG_BLOCK_SIZE;
        if (block_holds(bootloader, &chip, block, image_digest)) {
            return KEDGE_OK;
        }
    }
    return KEDGE_ERR_MISMATCH;
}

enum kedge_err sim_image_verify(const struct sim_flash *flash, struct sim_region region,
                                const struct sim_bootloader *bootloader,
                                struct kedge_image_info *info)
{
    bool is_secure = bootloader->secure_boot.key_count > 0;
    struct kedge_sha256 sha, sectors;
    struct kedge_image_parser parser;
    struct kedge_image_info found;
    uint8_t digest[KEDGE_SHA256_SIZE];

    kedge_sha256_init(&sectors);
    kedge_image_parser_init(&parser, is_secure ? NULL : &kedge_sha256_ops, &sha);
    enum kedge_err err = feed_region(flash, region, &parser, is_secure ? &sectors : NULL);
    if (err != KEDGE_OK) {
        return err;
    }
    if (kedge_image_parser_end(&parser, &found) != KEDGE_OK || !runs_on(&found, bootloader)) {
        return KEDGE_ERR_MISMATCH;
    }
    if (is_secure) {
        kedge_sha256_final(&sectors, digest);
        err = verify_signature(flash, region, bootloader, found.image_len, digest);
    }
    if (err == KEDGE_OK && info != NULL) {
        *info = found;
    }
    return err;
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
