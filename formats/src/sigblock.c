/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/sigblock.h"

#include <string.h>

#include "montgomery.h"

#define MAGIC           0xE7u
#define CURVE_P256      2u
#define EC_BYTES        64u
#define RSA_KEY_BYTES   (AT_RSA_SIGNATURE - AT_RSA_MODULUS)
#define EC_KEY_BYTES    (AT_EC_SIGNATURE - AT_EC_CURVE)
#define FILL_BYTES      (KEDGE_SIG_BLOCK_SIZE - AT_FILL)
#define EC_UNUSED_BYTES (AT_CRC - AT_EC_UNUSED)

enum block_offset {
    AT_MAGIC = 0,
    AT_VERSION = 1,
    AT_RESERVED = 2, /* ECDSA: the hash, 0 = SHA-256 */
    AT_DIGEST = 4,
    AT_RSA_MODULUS = 36,
    AT_RSA_EXPONENT = 420,
    AT_RSA_RINV = 424,
    AT_RSA_M_PRIME = 808,
    AT_RSA_SIGNATURE = 812,
    AT_EC_CURVE = 36,
    AT_EC_POINT = 37,
    AT_EC_SIGNATURE = 101,
    AT_EC_UNUSED = 165,
    AT_CRC = 1196,
    AT_FILL = 1200
};

_Static_assert(RSA_KEY_BYTES == 776 && EC_KEY_BYTES == 65, "what the eFuse digests cover");

/* One block of the sector; at is the block's offset, for faults. */
struct source {
    const uint8_t *bytes;
    uint32_t at;
    struct kedge_fault *fault;
};

static enum kedge_err fail(const struct source *source, enum kedge_err err, uint32_t at,
                           const char *what)
{
    if (source->fault != NULL) {
        *source->fault = (struct kedge_fault){.err = err, .at = source->at + at, .what = what};
    }
    return err;
}

static enum kedge_err fail_number(const struct source *source, struct kedge_fault fault)
{
    if (source->fault != NULL) {
        fault.at += source->at;
        *source->fault = fault;
    }
    return fault.err;
}

static bool is_filled(const uint8_t *bytes, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

/* The sector is little-endian throughout, crypto libraries take big-endian. */
static void copy_reversed(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] = from[len - 1 - i];
    }
}

/* X then Y, or r then s: each half is reversed by itself. */
static void copy_pair_reversed(uint8_t *to, const uint8_t *from)
{
    copy_reversed(to, from, EC_BYTES / 2);
    copy_reversed(to + EC_BYTES / 2, from + EC_BYTES / 2, EC_BYTES / 2);
}

static enum kedge_err check_rinv(const struct source *source)
{
    uint32_t r_squared[MONTGOMERY_WORDS];

    montgomery_r_squared(source->bytes + AT_RSA_MODULUS, r_squared);
    for (uint32_t i = 0; i < MONTGOMERY_WORDS; i++) {
        if (kedge_get_le32(source->bytes + AT_RSA_RINV + 4 * i) != r_squared[i]) {
            return fail(source, KEDGE_ERR_RANGE, AT_RSA_RINV + 4 * i, "rinv of the RSA key");
        }
    }
    return KEDGE_OK;
}

static enum kedge_err check_rsa_key(const struct source *source)
{
    const uint8_t *modulus = source->bytes + AT_RSA_MODULUS;
    uint32_t exponent = kedge_get_le32(source->bytes + AT_RSA_EXPONENT);
    uint32_t m_prime = kedge_get_le32(source->bytes + AT_RSA_M_PRIME);
    uint32_t expected;

    if ((modulus[0] & 1) == 0 || (modulus[KEDGE_SIG_RSA_BYTES - 1] & 0x80) == 0) {
        return fail(source, KEDGE_ERR_RANGE, AT_RSA_MODULUS, "RSA modulus, odd and of 3072 bits");
    }
    if (exponent % 2 == 0) {
        return fail_number(source, (struct kedge_fault){KEDGE_ERR_RANGE, AT_RSA_EXPONENT,
                                                        "RSA exponent", exponent, 65537});
    }
    expected = montgomery_m_prime(kedge_get_le32(modulus));
    if (m_prime != expected) {
        return fail_number(source, (struct kedge_fault){KEDGE_ERR_RANGE, AT_RSA_M_PRIME,
                                                        "m' of the RSA key", m_prime, expected});
    }
    return check_rinv(source);
}

static enum kedge_err parse_rsa(const struct source *source, struct kedge_sig_block *block)
{
    enum kedge_err err = check_rsa_key(source);

    if (err != KEDGE_OK) {
        return err;
    }
    if (kedge_get_le16(source->bytes + AT_RESERVED) != 0) {
        return fail(source, KEDGE_ERR_RANGE, AT_RESERVED, "reserved bytes");
    }
    copy_reversed(block->rsa.modulus, source->bytes + AT_RSA_MODULUS, KEDGE_SIG_RSA_BYTES);
    copy_reversed(block->rsa.signature, source->bytes + AT_RSA_SIGNATURE, KEDGE_SIG_RSA_BYTES);
    block->rsa.exponent = kedge_get_le32(source->bytes + AT_RSA_EXPONENT);
    block->key_material = (struct kedge_cspan){source->bytes + AT_RSA_MODULUS, RSA_KEY_BYTES};
    return KEDGE_OK;
}

static enum kedge_err parse_ecdsa(const struct source *source, struct kedge_sig_block *block)
{
    if (kedge_get_le16(source->bytes + AT_RESERVED) != 0) {
        return fail(source, KEDGE_ERR_RANGE, AT_RESERVED, "hash of the ECDSA signature");
    }
    if (source->bytes[AT_EC_CURVE] != CURVE_P256) {
        return fail_number(source, (struct kedge_fault){KEDGE_ERR_RANGE, AT_EC_CURVE, "ECDSA curve",
                                                        source->bytes[AT_EC_CURVE], CURVE_P256});
    }
    if (!is_filled(source->bytes + AT_EC_UNUSED, EC_UNUSED_BYTES, 0)) {
        return fail(source, KEDGE_ERR_RANGE, AT_EC_UNUSED, "zero fill");
    }
    copy_pair_reversed(block->ecdsa.point, source->bytes + AT_EC_POINT);
    copy_pair_reversed(block->ecdsa.signature, source->bytes + AT_EC_SIGNATURE);
    block->key_material = (struct kedge_cspan){source->bytes + AT_EC_CURVE, EC_KEY_BYTES};
    return KEDGE_OK;
}

static enum kedge_err parse_block(const struct source *source, struct kedge_sig_block *block)
{
    uint8_t version = source->bytes[AT_VERSION];
    uint32_t crc = kedge_get_le32(source->bytes + AT_CRC);
    uint32_t expected = kedge_crc32(0, source->bytes, AT_CRC);

    if (version != KEDGE_SIG_RSA_3072 && version != KEDGE_SIG_ECDSA_P256) {
        return fail_number(source, (struct kedge_fault){KEDGE_ERR_VERSION, AT_VERSION,
                                                        "signature block version", version, 0});
    }
    if (crc != expected) {
        return fail_number(source, (struct kedge_fault){KEDGE_ERR_CHECKSUM, AT_CRC,
                                                        "signature block CRC", crc, expected});
    }
    if (!is_filled(source->bytes + AT_FILL, FILL_BYTES, 0)) {
        return fail(source, KEDGE_ERR_RANGE, AT_FILL, "zero fill");
    }
    block->scheme = (enum kedge_sig_scheme)version;
    memcpy(block->digest, source->bytes + AT_DIGEST, KEDGE_SHA256_SIZE);
    return version == KEDGE_SIG_RSA_3072 ? parse_rsa(source, block) : parse_ecdsa(source, block);
}

/* From the first slot without a block on, the sector must be FF: no gap, no hidden bytes. */
static enum kedge_err check_rest(struct kedge_cspan sector, uint32_t at, struct kedge_fault *fault)
{
    for (uint32_t i = at; i < KEDGE_SIG_SECTOR_SIZE; i++) {
        if (sector.data[i] != 0xFF) {
            const struct source source = {sector.data, 0, fault};
            return fail_number(&source, (struct kedge_fault){KEDGE_ERR_RANGE, i,
                                                             "fill after the signature blocks",
                                                             sector.data[i], 0xFF});
        }
    }
    return KEDGE_OK;
}

static void put_rsa(const struct kedge_sig_block *block, uint8_t *out)
{
    uint32_t r_squared[MONTGOMERY_WORDS];

    copy_reversed(out + AT_RSA_MODULUS, block->rsa.modulus, KEDGE_SIG_RSA_BYTES);
    kedge_put_le32(out + AT_RSA_EXPONENT, block->rsa.exponent);
    montgomery_r_squared(out + AT_RSA_MODULUS, r_squared);
    for (uint32_t i = 0; i < MONTGOMERY_WORDS; i++) {
        kedge_put_le32(out + AT_RSA_RINV + 4 * i, r_squared[i]);
    }
    kedge_put_le32(out + AT_RSA_M_PRIME, montgomery_m_prime(kedge_get_le32(out + AT_RSA_MODULUS)));
    copy_reversed(out + AT_RSA_SIGNATURE, block->rsa.signature, KEDGE_SIG_RSA_BYTES);
}

static void put_ecdsa(const struct kedge_sig_block *block, uint8_t *out)
{
    out[AT_EC_CURVE] = CURVE_P256;
    copy_pair_reversed(out + AT_EC_POINT, block->ecdsa.point);
    copy_pair_reversed(out + AT_EC_SIGNATURE, block->ecdsa.signature);
}

static bool can_encode(const struct kedge_sig_block *block)
{
    switch (block->scheme) {
    case KEDGE_SIG_RSA_3072:
        return (block->rsa.modulus[0] & 0x80) != 0 &&
               (block->rsa.modulus[KEDGE_SIG_RSA_BYTES - 1] & 1) != 0 &&
               block->rsa.exponent % 2 != 0;
    case KEDGE_SIG_ECDSA_P256:
        return true;
    }
    return false;
}

enum kedge_err kedge_sig_parse(struct kedge_cspan sector, struct kedge_sig_sector *out,
                               struct kedge_fault *fault)
{
    struct source source = {sector.data, 0, fault};

    out->count = 0;
    if (sector.len != KEDGE_SIG_SECTOR_SIZE) {
        return fail_number(&source, (struct kedge_fault){
                                        sector.len < KEDGE_SIG_SECTOR_SIZE ? KEDGE_ERR_TRUNCATED
                                                                           : KEDGE_ERR_TOO_LARGE,
                                        0, "signature sector length",
                                        sector.len > UINT32_MAX ? UINT32_MAX : (uint32_t)sector.len,
                                        KEDGE_SIG_SECTOR_SIZE});
    }
    if (sector.data[AT_MAGIC] != MAGIC) {
        return fail_number(&source,
                           (struct kedge_fault){KEDGE_ERR_MAGIC, 0, "signature block magic",
                                                sector.data[0], MAGIC});
    }
    while (out->count < KEDGE_SIG_MAX_BLOCKS && source.bytes[AT_MAGIC] == MAGIC) {
        enum kedge_err err = parse_block(&source, &out->blocks[out->count]);
        if (err != KEDGE_OK) {
            return err;
        }
        out->count++;
        source.at += KEDGE_SIG_BLOCK_SIZE;
        source.bytes += KEDGE_SIG_BLOCK_SIZE;
    }
    return check_rest(sector, source.at, fault);
}

enum kedge_err kedge_sig_encode_block(const struct kedge_sig_block *block, uint32_t index,
                                      struct kedge_span sector)
{
    uint8_t *out;

    if (index >= KEDGE_SIG_MAX_BLOCKS || sector.len < KEDGE_SIG_SECTOR_SIZE || !can_encode(block)) {
        return KEDGE_ERR_ARG;
    }
    out = sector.data + index * KEDGE_SIG_BLOCK_SIZE;
    memset(out, 0, KEDGE_SIG_BLOCK_SIZE);
    out[AT_MAGIC] = MAGIC;
    out[AT_VERSION] = (uint8_t)block->scheme;
    memcpy(out + AT_DIGEST, block->digest, KEDGE_SHA256_SIZE);
    if (block->scheme == KEDGE_SIG_RSA_3072) {
        put_rsa(block, out);
    } else {
        put_ecdsa(block, out);
    }
    kedge_put_le32(out + AT_CRC, kedge_crc32(0, out, AT_CRC));
    return KEDGE_OK;
}
