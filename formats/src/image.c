/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/image.h"

#include <string.h>

#include "image_layout.h"

_Static_assert(sizeof(((struct kedge_image_parser *)0)->held) >= KEDGE_IMAGE_DESC_SIZE,
               "the largest fixed-size part must fit the hold buffer");

/* What the next bytes belong to. All but DATA and TRAILER are collected in parser->held. */
enum part {
    PART_HEADER,
    PART_SEGMENT_HEADER,
    PART_DESC,
    PART_DATA,
    PART_CHECKSUM, /* zero padding, then the checksum byte */
    PART_HASH,
    PART_TRAILER
};

static const char *const part_names[] = {
    [PART_HEADER] = "header",           [PART_SEGMENT_HEADER] = "segment header",
    [PART_DESC] = "app descriptor",     [PART_DATA] = "segment data",
    [PART_CHECKSUM] = "checksum block", [PART_HASH] = "appended SHA-256",
    [PART_TRAILER] = "trailer",
};

static const struct {
    uint16_t id;
    const char *text;
} chips[] = {
#define X(name, id, text) {id, text},
    KEDGE_CHIP_MAP(X)
#undef X
};

static enum kedge_err fail(struct kedge_image_parser *parser, struct kedge_fault fault)
{
    parser->fault = fault;
    return fault.err;
}

/* Offset in the file of the first byte of parser->held. */
static uint32_t held_at(const struct kedge_image_parser *parser)
{
    return parser->offset - parser->held_len;
}

static void begin_part(struct kedge_image_parser *parser, enum part part, uint32_t size)
{
    parser->part = (uint8_t)part;
    parser->remaining = size;
    parser->held_len = 0;
}

/* Also serves segments of no data, which ESP-IDF's bootloader accepts. */
static void begin_segment_or_checksum(struct kedge_image_parser *parser)
{
    if (parser->segment < parser->info.segment_count) {
        begin_part(parser, PART_SEGMENT_HEADER, KEDGE_IMAGE_SEGMENT_HEADER_SIZE);
        return;
    }
    begin_part(parser, PART_CHECKSUM,
               kedge_align_up(parser->offset + 1u, IMAGE_CHECKSUM_ALIGN) - parser->offset);
}

static void begin_data(struct kedge_image_parser *parser, uint32_t size)
{
    if (size > 0) {
        begin_part(parser, PART_DATA, size);
        return;
    }
    parser->segment++;
    begin_segment_or_checksum(parser);
}

static void begin_trailer(struct kedge_image_parser *parser)
{
    parser->info.image_len = parser->offset;
    /* Offsets are 32 bits: a trailer that runs past them ends in end_trailer. */
    begin_part(parser, PART_TRAILER, UINT32_MAX - parser->offset);
}

static enum kedge_err end_header(struct kedge_image_parser *parser)
{
    const uint8_t *held = parser->held;
    struct kedge_image_info *info = &parser->info;

    if (held[IMAGE_AT_MAGIC] != IMAGE_MAGIC) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_MAGIC, IMAGE_AT_MAGIC, "image magic",
                                                 held[IMAGE_AT_MAGIC], IMAGE_MAGIC});
    }
    info->segment_count = held[IMAGE_AT_SEGMENT_COUNT];
    if (info->segment_count == 0 || info->segment_count > KEDGE_IMAGE_MAX_SEGMENTS) {
        return fail(parser,
                    (struct kedge_fault){KEDGE_ERR_RANGE, IMAGE_AT_SEGMENT_COUNT, "segment count",
                                         info->segment_count, KEDGE_IMAGE_MAX_SEGMENTS});
    }
    info->spi_mode = held[IMAGE_AT_SPI_MODE];
    info->flash_size_code = held[IMAGE_AT_SPEED_SIZE] >> 4;
    info->entry = kedge_get_le32(held + IMAGE_AT_ENTRY);
    info->chip_id = kedge_get_le16(held + IMAGE_AT_CHIP_ID);
    if (info->chip_id == KEDGE_CHIP_INVALID) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_RANGE, IMAGE_AT_CHIP_ID, "chip id",
                                                 info->chip_id, 0});
    }
    info->min_chip_rev_full = kedge_get_le16(held + IMAGE_AT_MIN_REV_FULL);
    info->max_chip_rev_full = kedge_get_le16(held + IMAGE_AT_MAX_REV_FULL);
    if (held[IMAGE_AT_HASH_APPENDED] > 1) {
        return fail(parser,
                    (struct kedge_fault){KEDGE_ERR_RANGE, IMAGE_AT_HASH_APPENDED,
                                         "hash-appended flag", held[IMAGE_AT_HASH_APPENDED], 1});
    }
    info->has_hash = held[IMAGE_AT_HASH_APPENDED] == 1;
    begin_segment_or_checksum(parser);
    return KEDGE_OK;
}

static enum kedge_err end_segment_header(struct kedge_image_parser *parser)
{
    uint32_t len_at = held_at(parser) + IMAGE_AT_SEGMENT_LEN;
    uint32_t len = kedge_get_le32(parser->held + IMAGE_AT_SEGMENT_LEN);

    if (len >= KEDGE_IMAGE_MAX_SEGMENT_SIZE) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_TOO_LARGE, len_at, "segment length", len,
                                                 KEDGE_IMAGE_MAX_SEGMENT_SIZE - 4u});
    }
    if (len % 4 != 0) {
        return fail(parser,
                    (struct kedge_fault){KEDGE_ERR_ALIGN, len_at, "segment length", len, 4});
    }
    if (parser->segment > 0) {
        begin_data(parser, len);
        return KEDGE_OK;
    }
    if (len < KEDGE_IMAGE_DESC_SIZE) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_RANGE, len_at, "first segment length",
                                                 len, KEDGE_IMAGE_DESC_SIZE});
    }
    parser->after_desc = len - KEDGE_IMAGE_DESC_SIZE;
    begin_part(parser, PART_DESC, KEDGE_IMAGE_DESC_SIZE);
    return KEDGE_OK;
}

/*
 * One text field of the descriptor into out (field_size + 1 bytes). Printable ASCII only: these
 * strings go into HTTP headers, topics and log lines.
 */
static enum kedge_err take_text(struct kedge_image_parser *parser, const struct desc_text *field)
{
    const uint8_t *text = parser->held + field->at;
    char *out = (char *)&parser->info.desc + field->into;

    memset(out, 0, field->size + 1u);
    for (uint32_t i = 0; i < field->size && text[i] != 0; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) {
            return fail(parser,
                        (struct kedge_fault){KEDGE_ERR_RANGE, held_at(parser) + field->at + i,
                                             field->name, text[i], 0});
        }
        out[i] = (char)text[i];
    }
    return KEDGE_OK;
}

static enum kedge_err end_desc(struct kedge_image_parser *parser)
{
    uint32_t magic = kedge_get_le32(parser->held + DESC_AT_MAGIC);

    if (magic != DESC_MAGIC) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_MAGIC, held_at(parser) + DESC_AT_MAGIC,
                                                 "app descriptor magic", magic, DESC_MAGIC});
    }
    for (size_t i = 0; i < DESC_TEXT_COUNT; i++) {
        enum kedge_err err = take_text(parser, &desc_texts[i]);
        if (err != KEDGE_OK) {
            return err;
        }
    }
    parser->info.desc.secure_version = kedge_get_le32(parser->held + DESC_AT_SECURE_VERSION);
    memcpy(parser->info.desc.elf_sha256, parser->held + DESC_AT_ELF_SHA256, KEDGE_SHA256_SIZE);
    parser->has_prefix = true;
    begin_data(parser, parser->after_desc);
    return KEDGE_OK;
}

static enum kedge_err end_data(struct kedge_image_parser *parser)
{
    parser->segment++;
    begin_segment_or_checksum(parser);
    return KEDGE_OK;
}

static enum kedge_err end_checksum(struct kedge_image_parser *parser)
{
    uint8_t found = parser->held[parser->held_len - 1u];

    if (found != parser->checksum) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_CHECKSUM, parser->offset - 1u,
                                                 "image checksum", found, parser->checksum});
    }
    if (parser->info.has_hash) {
        begin_part(parser, PART_HASH, KEDGE_SHA256_SIZE);
    } else {
        begin_trailer(parser);
    }
    return KEDGE_OK;
}

static enum kedge_err end_hash(struct kedge_image_parser *parser)
{
    if (parser->hash != NULL) {
        uint8_t computed[KEDGE_SHA256_SIZE];
        parser->hash->final(parser->hash_ctx, computed);
        if (memcmp(computed, parser->held, sizeof(computed)) != 0) {
            return fail(parser, (struct kedge_fault){KEDGE_ERR_HASH, held_at(parser),
                                                     "appended SHA-256", 0, 0});
        }
    }
    memcpy(parser->info.appended_sha256, parser->held, KEDGE_SHA256_SIZE);
    begin_trailer(parser);
    return KEDGE_OK;
}

static enum kedge_err end_trailer(struct kedge_image_parser *parser)
{
    return fail(parser, (struct kedge_fault){KEDGE_ERR_TOO_LARGE, parser->offset, "file length",
                                             parser->offset, UINT32_MAX - 1u});
}

static enum kedge_err (*const end_of[])(struct kedge_image_parser *) = {
    [PART_HEADER] = end_header,     [PART_SEGMENT_HEADER] = end_segment_header,
    [PART_DESC] = end_desc,         [PART_DATA] = end_data,
    [PART_CHECKSUM] = end_checksum, [PART_HASH] = end_hash,
    [PART_TRAILER] = end_trailer,
};

/* Takes bytes of the current part; returns how many. */
static uint32_t take(struct kedge_image_parser *parser, struct kedge_cspan bytes)
{
    uint32_t len = bytes.len < parser->remaining ? (uint32_t)bytes.len : parser->remaining;

    if (parser->part != PART_DATA && parser->part != PART_TRAILER) {
        memcpy(parser->held + parser->held_len, bytes.data, len);
        parser->held_len = (uint16_t)(parser->held_len + len);
    }
    if (parser->part == PART_DESC || parser->part == PART_DATA) {
        parser->checksum = image_checksum(parser->checksum, bytes.data, len);
    }
    if (parser->hash != NULL && parser->part < PART_HASH) {
        parser->hash->update(parser->hash_ctx, bytes.data, len);
    }
    parser->offset += len;
    parser->remaining -= len;
    return len;
}

const char *kedge_chip_text(uint16_t chip_id)
{
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        if (chips[i].id == chip_id) {
            return chips[i].text;
        }
    }
    return NULL;
}

uint16_t kedge_chip_from_text(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        if (strlen(chips[i].text) == len && memcmp(chips[i].text, name, len) == 0) {
            return chips[i].id;
        }
    }
    return KEDGE_CHIP_INVALID;
}

void kedge_image_parser_init(struct kedge_image_parser *parser, const struct kedge_hash_ops *hash,
                             void *hash_ctx)
{
    memset(parser, 0, sizeof(*parser));
    parser->hash = hash;
    parser->hash_ctx = hash_ctx;
    parser->checksum = IMAGE_CHECKSUM_SEED;
    if (hash != NULL) {
        hash->init(hash_ctx);
    }
    begin_part(parser, PART_HEADER, KEDGE_IMAGE_HEADER_SIZE);
}

enum kedge_err kedge_image_parser_feed(struct kedge_image_parser *parser, struct kedge_cspan bytes)
{
    while (parser->fault.err == KEDGE_OK && bytes.len > 0) {
        uint32_t taken = take(parser, bytes);
        bytes.data += taken;
        bytes.len -= taken;
        if (parser->remaining == 0) {
            enum kedge_err err = end_of[parser->part](parser);
            if (err != KEDGE_OK) {
                return err;
            }
        }
    }
    return parser->fault.err;
}

bool kedge_image_parser_prefix(const struct kedge_image_parser *parser,
                               const struct kedge_image_info **info)
{
    if (parser->has_prefix) {
        *info = &parser->info;
    }
    return parser->has_prefix;
}

enum kedge_err kedge_image_parser_end(struct kedge_image_parser *parser,
                                      struct kedge_image_info *info)
{
    if (parser->fault.err != KEDGE_OK) {
        return parser->fault.err;
    }
    if (parser->part != PART_TRAILER) {
        return fail(parser, (struct kedge_fault){KEDGE_ERR_TRUNCATED, parser->offset,
                                                 part_names[parser->part], 0, parser->remaining});
    }
    parser->info.trailer_len = parser->offset - parser->info.image_len;
    *info = parser->info;
    return KEDGE_OK;
}
