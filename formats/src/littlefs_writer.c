/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/littlefs_writer.h"

#include <string.h>

#define BLOCK_SIZE KEDGE_LITTLEFS_BLOCK_SIZE
#define MAX_FILES  KEDGE_LITTLEFS_MAX_FILES
#define ROOT_PAIR  2u /* blocks 0 and 1: root directory and superblock */

#define DISK_VERSION 0x00020001u
#define FILE_MAX     0x7FFFFFFFu /* what the library sets when it formats */
#define ATTR_MAX     1022u

/* Tag: valid bit (0), type (11 bits), id (10), length (10); big-endian, XORed with the one before.
 */
enum tag_type {
    TAG_NAME_FILE = 0x001,
    TAG_NAME_SUPERBLOCK = 0x0FF,
    TAG_STRUCT_INLINE = 0x201,
    TAG_STRUCT_CTZ = 0x202,
    TAG_CRC = 0x500
};
#define TAG_SIZE        4u
#define TAG_ID_NONE     0x3FFu
#define CTZ_SIZE        8u
#define SUPERBLOCK_SIZE 24u
#define MAGIC           "littlefs"
#define MAGIC_SIZE      8u

_Static_assert(4 + 2 * TAG_SIZE + MAGIC_SIZE + SUPERBLOCK_SIZE +
                       MAX_FILES * (2 * TAG_SIZE + KEDGE_LITTLEFS_NAME_SIZE + CTZ_SIZE) + TAG_SIZE +
                       4 <=
                   BLOCK_SIZE / 2,
               "a root with all files fits a block, and half of one: littlefs splits above that");

/* A file in its place. */
struct entry {
    const char *name;
    uint32_t head; /* last block of its skip-list */
    uint32_t size;
};

/* The root directory, sorted by name. */
struct root {
    struct entry entries[MAX_FILES];
    size_t count;
};

/* ---- files: CTZ skip-lists ---- */

/* Pointers at the start of a file's block: none in the first, ctz(index) + 1 in the others. */
static uint32_t pointer_count(uint32_t index)
{
    uint32_t count = 0;

    while (index != 0) {
        count++;
        index = (index & 1u) != 0 ? 0 : index >> 1;
    }
    return count;
}

static uint32_t room_in(uint32_t index)
{
    return BLOCK_SIZE - 4u * pointer_count(index);
}

static uint32_t blocks_of(size_t len)
{
    uint32_t count = 0;

    while (len > 0) {
        uint32_t room = room_in(count);
        len -= len < room ? len : room;
        count++;
    }
    return count;
}

/* The file's blocks stand in order, from block `first` on. Pointer x of a block leads 2^x back. */
static void put_file(struct kedge_span image, uint32_t first, struct kedge_cspan data)
{
    size_t done = 0;

    for (uint32_t index = 0; done < data.len; index++) {
        uint8_t *block = image.data + (size_t)(first + index) * BLOCK_SIZE;
        uint32_t pointers = pointer_count(index);
        size_t len = data.len - done;

        for (uint32_t x = 0; x < pointers; x++) {
            kedge_put_le32(block + 4u * x, first + index - (UINT32_C(1) << x));
        }
        len = len < room_in(index) ? len : room_in(index);
        memcpy(block + 4u * pointers, data.data + done, len);
        done += len;
    }
}

/* ---- the root: one commit ---- */

struct commit {
    uint8_t *block;
    uint32_t at;
    uint32_t last_tag;
};

static void put_tag(struct commit *commit, enum tag_type type, uint32_t id, uint32_t len)
{
    uint32_t tag = ((uint32_t)type << 20) | (id << 10) | len;
    uint32_t stored = tag ^ commit->last_tag;

    for (uint32_t i = 0; i < TAG_SIZE; i++) {
        commit->block[commit->at + i] = (uint8_t)(stored >> (24u - 8u * i));
    }
    commit->at += TAG_SIZE;
    commit->last_tag = tag;
}

static void put_bytes(struct commit *commit, const void *data, size_t len)
{
    memcpy(commit->block + commit->at, data, len);
    commit->at += (uint32_t)len;
}

static void put_word(struct commit *commit, uint32_t value)
{
    kedge_put_le32(commit->block + commit->at, value);
    commit->at += 4;
}

static void put_superblock(struct commit *commit, uint32_t block_count)
{
    put_tag(commit, TAG_NAME_SUPERBLOCK, 0, MAGIC_SIZE);
    put_bytes(commit, MAGIC, MAGIC_SIZE);
    put_tag(commit, TAG_STRUCT_INLINE, 0, SUPERBLOCK_SIZE);
    put_word(commit, DISK_VERSION);
    put_word(commit, BLOCK_SIZE);
    put_word(commit, block_count);
    put_word(commit, KEDGE_LITTLEFS_NAME_SIZE);
    put_word(commit, FILE_MAX);
    put_word(commit, ATTR_MAX);
}

static void put_entry(struct commit *commit, uint32_t id, const struct entry *entry)
{
    size_t len = strlen(entry->name);

    put_tag(commit, TAG_NAME_FILE, id, (uint32_t)len);
    put_bytes(commit, entry->name, len);
    put_tag(commit, TAG_STRUCT_CTZ, id, CTZ_SIZE);
    put_word(commit, entry->head);
    put_word(commit, entry->size);
}

/* No forward CRC, and so no commit is ever appended to this one: littlefs erases the other block
 * and writes there. With flash encryption the rest of this block reads as erased but holds
 * ciphertext, and what is programmed over that is lost. */
static void put_crc(struct commit *commit)
{
    put_tag(commit, TAG_CRC, TAG_ID_NONE, 4);
    /* littlefs leaves out zlib's final inversion */
    put_word(commit, ~kedge_crc32(0, commit->block, commit->at));
}

static void put_root(uint8_t *block, uint32_t revision, uint32_t block_count,
                     const struct root *root)
{
    struct commit commit = {.block = block, .last_tag = UINT32_MAX};

    put_word(&commit, revision);
    put_superblock(&commit, block_count);
    for (uint32_t i = 0; i < root->count; i++) {
        put_entry(&commit, i + 1, &root->entries[i]);
    }
    put_crc(&commit);
}

/* ---- what is asked for ---- */

static enum kedge_err check_name(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        return KEDGE_ERR_ARG;
    }
    return strlen(name) < KEDGE_LITTLEFS_NAME_SIZE ? KEDGE_OK : KEDGE_ERR_TOO_LARGE;
}

static enum kedge_err check_file(const struct kedge_littlefs_file *files, size_t at)
{
    enum kedge_err err = check_name(files[at].name);

    if (err == KEDGE_OK && files[at].data.len == 0) {
        err = KEDGE_ERR_ARG;
    }
    for (size_t i = 0; err == KEDGE_OK && i < at; i++) {
        if (strcmp(files[i].name, files[at].name) == 0) {
            err = KEDGE_ERR_DUPLICATE;
        }
    }
    return err;
}

static enum kedge_err check(const struct kedge_littlefs_file *files, size_t count,
                            struct kedge_span image)
{
    if (image.len % BLOCK_SIZE != 0) {
        return KEDGE_ERR_ARG;
    }
    if (count > MAX_FILES) {
        return KEDGE_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < count; i++) {
        enum kedge_err err = check_file(files, i);
        if (err != KEDGE_OK) {
            return err;
        }
    }
    return kedge_littlefs_min_size(files, count) <= image.len ? KEDGE_OK : KEDGE_ERR_NO_SPACE;
}

/* The order in which littlefs keeps names: bytes, and a name comes behind those that it begins. */
static bool belongs_behind(const char *name, const char *other)
{
    while (*name == *other && *name != '\0') {
        name++;
        other++;
    }
    return *name == '\0' || (*other != '\0' && (uint8_t)*name > (uint8_t)*other);
}

static void insert(struct root *root, struct entry entry)
{
    size_t at = root->count++;

    while (at > 0 && belongs_behind(root->entries[at - 1].name, entry.name)) {
        root->entries[at] = root->entries[at - 1];
        at--;
    }
    root->entries[at] = entry;
}

size_t kedge_littlefs_min_size(const struct kedge_littlefs_file *files, size_t count)
{
    size_t blocks = ROOT_PAIR;

    for (size_t i = 0; i < count; i++) {
        blocks += blocks_of(files[i].data.len);
    }
    return blocks * BLOCK_SIZE;
}

enum kedge_err kedge_littlefs_write(const struct kedge_littlefs_file *files, size_t count,
                                    struct kedge_span image)
{
    struct root root = {.count = 0};
    uint32_t next = ROOT_PAIR;
    uint32_t block_count = (uint32_t)(image.len / BLOCK_SIZE);
    enum kedge_err err = check(files, count, image);

    if (err != KEDGE_OK) {
        return err;
    }
    memset(image.data, 0xFF, image.len);
    for (size_t i = 0; i < count; i++) {
        uint32_t blocks = blocks_of(files[i].data.len);

        put_file(image, next, files[i].data);
        next += blocks;
        insert(&root, (struct entry){.name = files[i].name,
                                     .head = next - 1,
                                     .size = (uint32_t)files[i].data.len});
    }
    /* Twice: the second counts, the first is there should that one not be readable. */
    put_root(image.data, 1, block_count, &root);
    put_root(image.data + BLOCK_SIZE, 2, block_count, &root);
    return KEDGE_OK;
}
