/* SPDX-License-Identifier: Apache-2.0 */
#include "littlefs_reader.h"

#include <stdlib.h>
#include <string.h>

#define NO_ID   0x3FFu
#define DELETED 0x3FFu /* as a length */

/* A tag and its data, unpacked. */
struct tag {
    uint32_t type, id, len;
    const uint8_t *data;
};

/* What is known of an id while the tags of a block are gone through. */
struct record {
    char name[256];
    uint32_t name_type;
    uint32_t struct_type;
    const uint8_t *data;
    uint32_t len;
};

struct state {
    const uint8_t *image;
    size_t len;
    struct littlefs_listing *out;
    struct record records[LITTLEFS_MAX_FILES + 1];
    size_t count;
    bool used[LITTLEFS_MAX_BLOCKS];
};

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

static uint32_t crc_bits(uint32_t crc, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0);
        }
    }
    return crc;
}

/* ---- one metadata block ---- */

/* The tag at `at`, and where the next one would be; false at the end of what is written. */
static bool next_tag(const uint8_t *block, size_t *at, uint32_t *last, struct tag *tag)
{
    if (*at + 4 > LITTLEFS_BLOCK_SIZE) {
        return false;
    }
    uint32_t word = be32(block + *at) ^ *last;
    *tag = (struct tag){word >> 20 & 0x7FFu, word >> 10 & 0x3FFu, word & 0x3FFu, block + *at + 4};
    size_t size = 4 + (tag->len == DELETED ? 0 : tag->len);
    if ((word & 0x80000000u) != 0 || *at + size > LITTLEFS_BLOCK_SIZE) {
        return false;
    }
    *at += size;
    *last = word;
    if ((tag->type & 0x7FEu) == 0x500) { /* the next commit's valid bit */
        *last ^= (tag->type & 1u) << 31;
    }
    return true;
}

/* Where the last commit ends whose CRC is right; 0 = none is. */
static size_t valid_end(const uint8_t *block, uint32_t *commits)
{
    size_t at = 4, begun = 0, end = 0;
    uint32_t last = UINT32_MAX;
    struct tag tag;
    *commits = 0;
    while (next_tag(block, &at, &last, &tag)) {
        if ((tag.type & 0x7FEu) != 0x500) {
            continue;
        }
        size_t crc_at = (size_t)(tag.data - block);
        if (tag.len < 4 || crc_bits(UINT32_MAX, block + begun, crc_at - begun) != le32(tag.data)) {
            break;
        }
        end = begun = at;
        ++*commits;
    }
    return end;
}

static const char *take_splice(struct state *state, const struct tag *tag)
{
    bool is_create = tag->type == 0x401;
    if (tag->id > state->count || (is_create && state->count > LITTLEFS_MAX_FILES) ||
        (!is_create && tag->id == state->count)) {
        return "create or delete of an id that cannot be";
    }
    struct record *record = &state->records[tag->id];
    size_t behind = state->count - tag->id;
    if (is_create) {
        memmove(record + 1, record, behind * sizeof(*record));
        memset(record, 0, sizeof(*record));
        state->count++;
    } else {
        memmove(record, record + 1, (behind - 1) * sizeof(*record));
        state->count--;
    }
    return NULL;
}

static const char *take_name(struct state *state, const struct tag *tag)
{
    if (tag->id > LITTLEFS_MAX_FILES || tag->len >= 256) {
        return "name: id or length";
    }
    while (state->count <= tag->id) { /* a compacted block has no create tags, and its own order */
        memset(&state->records[state->count++], 0, sizeof(state->records[0]));
    }
    struct record *record = &state->records[tag->id];
    memset(record->name, 0, sizeof(record->name));
    memcpy(record->name, tag->data, tag->len);
    record->name_type = tag->type;
    return strlen(record->name) == tag->len ? NULL : "name: NUL in it";
}

static const char *take_struct(struct state *state, const struct tag *tag)
{
    if (tag->id >= state->count) {
        return "struct of an id without name";
    }
    struct record *record = &state->records[tag->id];
    record->struct_type = tag->type;
    record->data = tag->data;
    record->len = tag->len;
    return tag->len == DELETED ? "struct without data" : NULL;
}

static const char *take_tag(struct state *state, const struct tag *tag)
{
    switch (tag->type >> 8) {
    case 0:
        return take_name(state, tag);
    case 2:
        return take_struct(state, tag);
    case 3: /* user attributes say nothing of contents */
        return NULL;
    case 4:
        return take_splice(state, tag);
    case 5:
        state->out->has_forward_crc |= tag->type == 0x5FF;
        return NULL;
    default:
        return "a tail or a move: not the flat, settled kind";
    }
}

static const char *take_block(struct state *state, const uint8_t *block, size_t end)
{
    size_t at = 4;
    uint32_t last = UINT32_MAX;
    struct tag tag;
    const char *wrong = NULL;
    while (wrong == NULL && at < end && next_tag(block, &at, &last, &tag)) {
        wrong = take_tag(state, &tag);
    }
    return wrong;
}

/* The block of pair 0, 1 that counts, or NULL. */
static const uint8_t *newest(struct state *state, size_t *end)
{
    const uint8_t *blocks[2] = {state->image, state->image + LITTLEFS_BLOCK_SIZE};
    int first = (int32_t)(le32(blocks[1]) - le32(blocks[0])) > 0;
    for (int i = 0; i < 2; i++) {
        const uint8_t *block = blocks[first ^ i];
        *end = valid_end(block, &state->out->commits);
        if (*end != 0) {
            state->out->revision = le32(block);
            return block;
        }
    }
    return NULL;
}

/* ---- the superblock ---- */

static const char *take_superblock(struct state *state, const uint8_t *block)
{
    const struct record *record = &state->records[0];
    struct littlefs_listing *out = state->out;
    if (memcmp(block + 8, "littlefs", 8) != 0 || state->count == 0 || record->name_type != 0x0FF ||
        strcmp(record->name, "littlefs") != 0 || record->struct_type != 0x201 ||
        record->len != 24) {
        return "superblock";
    }
    out->version = le32(record->data);
    out->block_count = le32(record->data + 8);
    out->name_max = le32(record->data + 12);
    out->file_max = le32(record->data + 16);
    out->attr_max = le32(record->data + 20);
    if (out->version != 0x00020000u && out->version != 0x00020001u) {
        return "superblock: version";
    }
    if (le32(record->data + 4) != LITTLEFS_BLOCK_SIZE ||
        (size_t)out->block_count * LITTLEFS_BLOCK_SIZE != state->len) {
        return "superblock: size";
    }
    return out->name_max >= 1 && out->name_max <= 1022 && out->attr_max <= 1022 &&
                   out->file_max <= 0x7FFFFFFFu
               ? NULL
               : "superblock: limits";
}

/* ---- files ---- */

static uint32_t pointers_of(uint32_t index)
{
    return index == 0 ? 0 : (uint32_t)__builtin_ctz(index) + 1;
}

static uint32_t index_of_last(uint32_t size)
{
    uint32_t index = 0;
    for (uint64_t held = LITTLEFS_BLOCK_SIZE; held < size; index++) {
        held += LITTLEFS_BLOCK_SIZE - 4u * pointers_of(index + 1);
    }
    return index;
}

static const char *claim(struct state *state, uint32_t block)
{
    if (block < 2 || block >= state->out->block_count) {
        return "skip-list: a block that is not for files";
    }
    if (state->used[block]) {
        return "skip-list: a block that is used already";
    }
    state->used[block] = true;
    return NULL;
}

/* From the head backwards by every block's first pointer. */
static const char *find_blocks(struct state *state, uint32_t head, uint32_t last, uint32_t *blocks)
{
    for (uint32_t i = last + 1; i-- > 0;) {
        const char *wrong = claim(state, head);
        if (wrong != NULL) {
            return wrong;
        }
        blocks[i] = head;
        head = le32(state->image + (size_t)head * LITTLEFS_BLOCK_SIZE);
    }
    return NULL;
}

static const char *read_list(struct state *state, const struct record *record,
                             struct littlefs_file *file)
{
    uint32_t blocks[LITTLEFS_MAX_BLOCKS];
    if (record->len != 8) {
        return "skip-list: length of its tag";
    }
    file->size = le32(record->data + 4);
    if (file->size == 0 || file->size > state->len) {
        return "skip-list: size";
    }
    uint32_t last = index_of_last(file->size);
    const char *wrong = find_blocks(state, le32(record->data), last, blocks);
    if (wrong != NULL) {
        return wrong;
    }
    file->data = malloc(file->size);
    uint32_t done = 0;
    for (uint32_t i = 0; i <= last; i++) {
        const uint8_t *block = state->image + (size_t)blocks[i] * LITTLEFS_BLOCK_SIZE;
        uint32_t room = LITTLEFS_BLOCK_SIZE - 4u * pointers_of(i);
        uint32_t len = file->size - done < room ? file->size - done : room;
        for (uint32_t x = 0; x < pointers_of(i); x++) {
            if (le32(block + 4u * x) != blocks[i - (1u << x)]) {
                return "skip-list: a pointer";
            }
        }
        memcpy(file->data + done, block + 4u * pointers_of(i), len);
        done += len;
    }
    return NULL;
}

static const char *read_file(struct state *state, const struct record *record,
                             struct littlefs_file *file)
{
    memcpy(file->name, record->name, sizeof(file->name));
    if (record->name_type != 0x001) {
        return "not a regular file";
    }
    if (record->struct_type == 0x202) {
        return read_list(state, record, file);
    }
    if (record->struct_type != 0x201) {
        return "file without contents";
    }
    file->is_inline = true;
    file->size = record->len;
    file->data = malloc(record->len > 0 ? record->len : 1);
    memcpy(file->data, record->data, record->len);
    return NULL;
}

/* As littlefs compares: bytes, and of two names that begin alike the longer comes first. */
static bool is_before(const char *first, const char *second)
{
    size_t common = strlen(first) < strlen(second) ? strlen(first) : strlen(second);
    int order = memcmp(first, second, common);
    return order != 0 ? order < 0 : strlen(first) > strlen(second);
}

static const char *read_files(struct state *state)
{
    for (size_t i = 1; i < state->count; i++) {
        const struct record *record = &state->records[i];
        if (strlen(record->name) == 0 || strlen(record->name) > state->out->name_max) {
            return "name: length";
        }
        if (i > 1 && !is_before(state->records[i - 1].name, record->name)) {
            return "names are not in order";
        }
        state->out->count = i;
        const char *wrong = read_file(state, record, &state->out->files[i - 1]);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

const char *littlefs_list(const uint8_t *image, size_t len, struct littlefs_listing *out)
{
    struct state state = {.image = image, .len = len, .out = out};
    size_t end = 0;
    memset(out, 0, sizeof(*out));
    if (len % LITTLEFS_BLOCK_SIZE != 0 || len < 2 * LITTLEFS_BLOCK_SIZE ||
        len > (size_t)LITTLEFS_MAX_BLOCKS * LITTLEFS_BLOCK_SIZE) {
        return "size of the image";
    }
    const uint8_t *block = newest(&state, &end);
    if (block == NULL) {
        return "no commit with a right CRC";
    }
    const char *wrong = take_block(&state, block, end);
    if (wrong == NULL) {
        wrong = take_superblock(&state, block);
    }
    return wrong == NULL ? read_files(&state) : wrong;
}

const struct littlefs_file *littlefs_find(const struct littlefs_listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->files[i].name, name) == 0) {
            return &listing->files[i];
        }
    }
    return NULL;
}

void littlefs_free(struct littlefs_listing *listing)
{
    for (size_t i = 0; i < LITTLEFS_MAX_FILES; i++) {
        free(listing->files[i].data);
    }
    memset(listing, 0, sizeof(*listing));
}
