/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ESP application image. Layout: formats/FORMATS.md, from ESP-IDF esp_app_format.h
 * (esp_image_header_t, esp_image_segment_header_t) and esp_app_desc.h (esp_app_desc_t).
 */
#define KEDGE_IMAGE_HEADER_SIZE         24u
#define KEDGE_IMAGE_SEGMENT_HEADER_SIZE 8u
#define KEDGE_IMAGE_DESC_OFFSET         32u
#define KEDGE_IMAGE_DESC_SIZE           256u
/** Header + first segment header + descriptor: what must be seen before anything is erased. */
#define KEDGE_IMAGE_PREFIX_SIZE      (KEDGE_IMAGE_DESC_OFFSET + KEDGE_IMAGE_DESC_SIZE)
#define KEDGE_IMAGE_MAX_SEGMENTS     16u
#define KEDGE_IMAGE_MAX_SEGMENT_SIZE 0x1000000u
#define KEDGE_SHA256_SIZE            32u
/** Descriptor strings are 32 bytes and may fill them without a NUL; ours always have one. */
#define KEDGE_DESC_STRING_SIZE 33u

/** Chip ids, esp_chip_id_t: X(NAME, id, text as esptool and sdkconfig spell it). */
#define KEDGE_CHIP_MAP(X)                                                                          \
    X(ESP32, 0x0000, "esp32")                                                                      \
    X(ESP32S2, 0x0002, "esp32s2")                                                                  \
    X(ESP32C3, 0x0005, "esp32c3")                                                                  \
    X(ESP32S3, 0x0009, "esp32s3")                                                                  \
    X(ESP32C2, 0x000C, "esp32c2")                                                                  \
    X(ESP32C6, 0x000D, "esp32c6")                                                                  \
    X(ESP32H2, 0x0010, "esp32h2")                                                                  \
    X(ESP32P4, 0x0012, "esp32p4")                                                                  \
    X(ESP32C61, 0x0014, "esp32c61")                                                                \
    X(ESP32C5, 0x0017, "esp32c5")                                                                  \
    X(ESP32H21, 0x0019, "esp32h21")                                                                \
    X(ESP32H4, 0x001C, "esp32h4")

enum kedge_chip {
#define X(name, id, text) KEDGE_CHIP_##name = id,
    KEDGE_CHIP_MAP(X)
#undef X
    KEDGE_CHIP_INVALID = 0xFFFF
};

/** "esp32s3" for 0x0009; NULL for an id outside the list. Static. */
const char *kedge_chip_text(uint16_t chip_id);
/** Id of "esp32s3"; KEDGE_CHIP_INVALID when the name is unknown. name need not end in NUL. */
uint16_t kedge_chip_from_text(const char *name, size_t len);

/** The application descriptor, strings bounded, NUL-terminated and printable ASCII (the parser
 *  refuses others: they end up in HTTP headers, topics and log lines). */
struct kedge_app_desc {
    uint32_t secure_version;
    char version[KEDGE_DESC_STRING_SIZE];
    char project[KEDGE_DESC_STRING_SIZE];
    char time[17];
    char date[17];
    char idf_version[KEDGE_DESC_STRING_SIZE];
    uint8_t elf_sha256[KEDGE_SHA256_SIZE];
};

/** What an image says of itself. Lengths and offsets in bytes from the first byte of the file. */
struct kedge_image_info {
    uint16_t chip_id;
    uint8_t segment_count;
    uint8_t spi_mode;
    uint8_t flash_size_code; /**< high nibble of byte 3: 0 = 1 MB, 1 = 2 MB, 2 = 4 MB … */
    uint32_t entry;
    uint16_t min_chip_rev_full; /**< major * 100 + minor; 0 = unset */
    uint16_t max_chip_rev_full; /**< 65535 or 0 = unset */
    bool has_hash;              /**< an appended SHA-256 is present */
    struct kedge_app_desc desc;
    uint32_t image_len;   /**< header … checksum [… SHA-256] */
    uint32_t trailer_len; /**< bytes after image_len: 0, or signature padding and sector */
    uint8_t appended_sha256[KEDGE_SHA256_SIZE]; /**< as found; zero when !has_hash */
};

/** A streaming hash the parser feeds, so that formats/ needs no crypto library. ctx is the
 * caller's. */
struct kedge_hash_ops {
    void (*init)(void *ctx);
    void (*update)(void *ctx, const void *data, size_t len_bytes);
    void (*final)(void *ctx, uint8_t *out); /**< out: 32 bytes for SHA-256, 16 for MD5 */
};

/** Parser state; private, public only so that the caller can hold it (about 600 bytes, no heap). */
struct kedge_image_parser {
    const struct kedge_hash_ops *hash;
    void *hash_ctx;
    struct kedge_image_info info;
    struct kedge_fault fault;
    uint32_t offset;     /* bytes consumed */
    uint32_t remaining;  /* bytes left of the current part */
    uint32_t after_desc; /* bytes of the first segment after the descriptor */
    uint8_t part;        /* enum in image.c */
    uint8_t segment;     /* index of the current segment */
    uint8_t checksum;
    bool has_prefix; /* header and descriptor are in info */
    uint16_t held_len;
    uint8_t held[KEDGE_IMAGE_DESC_SIZE]; /* the fixed-size field being collected */
};

/**
 * Start parsing. hash (SHA-256, borrowed with ctx until end) checks the appended digest; NULL
 * leaves it unchecked, for callers that verify a digest or signature over the whole file.
 */
void kedge_image_parser_init(struct kedge_image_parser *parser, const struct kedge_hash_ops *hash,
                             void *hash_ctx);

/**
 * Take the next bytes, any chunking down to one byte. The first error sticks: later calls return
 * it. Errors: MAGIC, RANGE, TOO_LARGE, ALIGN, CHECKSUM, HASH; the detail is in parser->fault.
 */
KEDGE_NODISCARD enum kedge_err kedge_image_parser_feed(struct kedge_image_parser *parser,
                                                       struct kedge_cspan bytes);

/** True once header and descriptor (the first 288 bytes) are in; then *info's header and desc
 * fields are valid although the rest is still to come. info is borrowed from the parser. */
bool kedge_image_parser_prefix(const struct kedge_image_parser *parser,
                               const struct kedge_image_info **info);

/**
 * All bytes are in. Whatever followed the image is counted in trailer_len, its content is the
 * signature parser's business (kedge/sigblock.h). Errors: the sticky one, or TRUNCATED.
 */
KEDGE_NODISCARD enum kedge_err kedge_image_parser_end(struct kedge_image_parser *parser,
                                                      struct kedge_image_info *info);

/** What to write: one descriptor segment (load address 0x3F400020-like, chosen per chip) holding
 *  desc + payload. payload is borrowed, its length a multiple of 4. */
struct kedge_image_spec {
    uint16_t chip_id;
    struct kedge_app_desc desc;
    struct kedge_cspan payload;
    bool append_hash;
    bool
        secure_pad; /**< pad so that the file is a multiple of 64 KiB before the signature sector */
};

/** Bytes that kedge_image_write needs for spec; 0 when spec is impossible (too large, odd payload).
 */
uint32_t kedge_image_write_size(const struct kedge_image_spec *spec);

/**
 * Write a valid image into out (out.len >= kedge_image_write_size). hash is required when
 * append_hash. *len_out = bytes written. Errors: ARG, NO_SPACE.
 */
KEDGE_NODISCARD enum kedge_err kedge_image_write(const struct kedge_image_spec *spec,
                                                 const struct kedge_hash_ops *hash, void *hash_ctx,
                                                 struct kedge_span out, uint32_t *len_out);

#ifdef __cplusplus
}
#endif
