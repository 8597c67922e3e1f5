/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Secure Boot V2 signature sector: 4096 bytes, three blocks of 1216, then FF. ESP-IDF
 * rom/secure_boot.h (ets_secure_boot_sig_block_t). Layout only; crypto/ verifies.
 */
#define KEDGE_SIG_SECTOR_SIZE 4096u
#define KEDGE_SIG_BLOCK_SIZE  1216u
#define KEDGE_SIG_MAX_BLOCKS  3u
#define KEDGE_SIG_RSA_BYTES   384u

enum kedge_sig_scheme {
    KEDGE_SIG_RSA_3072 = 2,
    KEDGE_SIG_ECDSA_P256 = 3
};

/** One parsed block. Numbers are big-endian here, as crypto libraries take them. */
struct kedge_sig_block {
    enum kedge_sig_scheme scheme;
    uint8_t digest[KEDGE_SHA256_SIZE]; /**< SHA-256 of everything before the sector */
    union {
        struct {
            uint8_t modulus[KEDGE_SIG_RSA_BYTES];
            uint32_t exponent;
            uint8_t signature[KEDGE_SIG_RSA_BYTES];
        } rsa;
        struct {
            uint8_t point[64];     /**< X then Y */
            uint8_t signature[64]; /**< r then s */
        } ecdsa;
    };
    /** The bytes whose SHA-256 is the key digest in eFuse (776 for RSA, 65 for P-256); they point
     *  into the sector given to the parser. */
    struct kedge_cspan key_material;
};

struct kedge_sig_sector {
    uint32_t count; /**< 1..3 */
    struct kedge_sig_block blocks[KEDGE_SIG_MAX_BLOCKS];
};

/**
 * Parse a sector of 4096 bytes (borrowed by the result). Checks magic, version, CRC-32 of each
 * block, rinv and m' against n and e for RSA (the ROM uses them), odd n and e, zero and FF fill, no
 * gap between blocks. Errors: TRUNCATED or TOO_LARGE (not 4096 bytes), MAGIC (no
 * block), VERSION, CHECKSUM, RANGE. About 1,000,000 word operations per RSA block.
 */
KEDGE_NODISCARD enum kedge_err
kedge_sig_parse(struct kedge_cspan sector, struct kedge_sig_sector *out, struct kedge_fault *fault);

/** Write one block at index into a sector of 4096 bytes (fill the sector with FF first). rinv and
 * m' are computed. Errors: ARG. */
KEDGE_NODISCARD enum kedge_err kedge_sig_encode_block(const struct kedge_sig_block *block,
                                                      uint32_t index, struct kedge_span sector);

#ifdef __cplusplus
}
#endif
