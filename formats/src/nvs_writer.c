/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/nvs_writer.h"

#include <string.h>

#define ENTRY_SIZE       32u
#define ENTRIES_PER_PAGE 126u

#define PAGE_ACTIVE     0xFFFFFFFEu
#define PAGE_VERSION    0xFEu
#define PAGE_AT_SEQ     4u
#define PAGE_AT_VERSION 8u
#define PAGE_AT_CRC     28u
#define PAGE_AT_BITMAP  32u /* two bits an entry: 11 empty, 10 written */
#define PAGE_AT_ENTRIES 64u

#define ENTRY_AT_NAMESPACE 0u
#define ENTRY_AT_TYPE      1u
#define ENTRY_AT_SPAN      2u
#define ENTRY_AT_CHUNK     3u
#define ENTRY_AT_CRC       4u
#define ENTRY_AT_KEY       8u
#define ENTRY_AT_DATA      24u
#define ENTRY_AT_TEXT_CRC  28u

enum type {
    TYPE_U8 = 0x01,
    TYPE_U32 = 0x04,
    TYPE_STRING = 0x21
};

_Static_assert(PAGE_AT_ENTRIES + ENTRIES_PER_PAGE * ENTRY_SIZE == KEDGE_NVS_PAGE_SIZE, "a page");

#define NAMESPACES     0u /* index of the namespace that lists namespaces … */
#define FIRST_INDEX    1u /* … and of the only one in it */
#define NO_CHUNK_INDEX 0xFFu

struct page {
    uint8_t *bytes;
    uint32_t used; /* entries */
};

static enum kedge_err check_name(const char *name)
{
    if (name[0] == '\0') {
        return KEDGE_ERR_ARG;
    }
    return strlen(name) < KEDGE_NVS_KEY_SIZE ? KEDGE_OK : KEDGE_ERR_TOO_LARGE;
}

/* Entries that the text takes beside its header; its NUL is stored. 0 for a number. */
static uint32_t text_entries(const struct kedge_nvs_entry *entry)
{
    return entry->text == NULL
               ? 0
               : (uint32_t)(strlen(entry->text) + 1u + ENTRY_SIZE - 1u) / ENTRY_SIZE;
}

static enum kedge_err check_entry(const struct kedge_nvs_entry *entries, size_t at)
{
    enum kedge_err err = check_name(entries[at].key);

    if (err == KEDGE_OK && entries[at].text != NULL &&
        strlen(entries[at].text) >= KEDGE_NVS_TEXT_SIZE) {
        err = KEDGE_ERR_TOO_LARGE;
    }
    for (size_t i = 0; err == KEDGE_OK && i < at; i++) {
        if (strcmp(entries[i].key, entries[at].key) == 0) {
            err = KEDGE_ERR_DUPLICATE;
        }
    }
    return err;
}

static enum kedge_err check(const char *name_space, const struct kedge_nvs_entry *entries,
                            size_t count, struct kedge_span image)
{
    uint32_t needed = 1; /* the namespace */
    enum kedge_err err = check_name(name_space);

    if (image.len % KEDGE_NVS_PAGE_SIZE != 0 || image.len < KEDGE_NVS_MIN_SIZE) {
        err = KEDGE_ERR_ARG;
    }
    for (size_t i = 0; err == KEDGE_OK && i < count; i++) {
        err = check_entry(entries, i);
        if (err == KEDGE_OK) {
            needed += 1 + text_entries(&entries[i]);
            err = needed <= ENTRIES_PER_PAGE ? KEDGE_OK : KEDGE_ERR_NO_SPACE;
        }
    }
    return err;
}

static void put_page_header(uint8_t *page)
{
    kedge_put_le32(page, PAGE_ACTIVE);
    kedge_put_le32(page + PAGE_AT_SEQ, 0);
    page[PAGE_AT_VERSION] = PAGE_VERSION;
    kedge_put_le32(page + PAGE_AT_CRC,
                   kedge_crc32(UINT32_MAX, page + PAGE_AT_SEQ, PAGE_AT_CRC - PAGE_AT_SEQ));
}

/* The next entry, its fields but data and CRC set; it and the span - 1 after it become written. */
static uint8_t *begin_entry(struct page *page, uint8_t name_space, enum type type, uint32_t span,
                            const char *key)
{
    uint8_t *entry = page->bytes + PAGE_AT_ENTRIES + page->used * ENTRY_SIZE;

    entry[ENTRY_AT_NAMESPACE] = name_space;
    entry[ENTRY_AT_TYPE] = (uint8_t)type;
    entry[ENTRY_AT_SPAN] = (uint8_t)span;
    entry[ENTRY_AT_CHUNK] = NO_CHUNK_INDEX;
    memset(entry + ENTRY_AT_KEY, 0, KEDGE_NVS_KEY_SIZE);
    memcpy(entry + ENTRY_AT_KEY, key, strlen(key));
    for (uint32_t i = page->used; i < page->used + span; i++) {
        page->bytes[PAGE_AT_BITMAP + i / 4] &= (uint8_t) ~(1u << (i % 4 * 2));
    }
    page->used += span;
    return entry;
}

/* Over the entry without the CRC itself. */
static void end_entry(uint8_t *entry)
{
    uint32_t crc = kedge_crc32(UINT32_MAX, entry, ENTRY_AT_CRC);

    kedge_put_le32(entry + ENTRY_AT_CRC,
                   kedge_crc32(crc, entry + ENTRY_AT_KEY, ENTRY_SIZE - ENTRY_AT_KEY));
}

static void put_number(struct page *page, const struct kedge_nvs_entry *from)
{
    uint8_t *entry = begin_entry(page, FIRST_INDEX, TYPE_U32, 1, from->key);

    kedge_put_le32(entry + ENTRY_AT_DATA, from->number);
    end_entry(entry);
}

static void put_text(struct page *page, const struct kedge_nvs_entry *from)
{
    size_t len = strlen(from->text) + 1;
    uint8_t *entry = begin_entry(page, FIRST_INDEX, TYPE_STRING, 1 + text_entries(from), from->key);

    kedge_put_le16(entry + ENTRY_AT_DATA, (uint16_t)len);
    kedge_put_le32(entry + ENTRY_AT_TEXT_CRC, kedge_crc32(UINT32_MAX, from->text, len));
    end_entry(entry);
    memcpy(entry + ENTRY_SIZE, from->text, len);
}

static void put_namespace(struct page *page, const char *name)
{
    uint8_t *entry = begin_entry(page, NAMESPACES, TYPE_U8, 1, name);

    entry[ENTRY_AT_DATA] = FIRST_INDEX;
    end_entry(entry);
}

enum kedge_err kedge_nvs_write(const char *name_space, const struct kedge_nvs_entry *entries,
                               size_t count, struct kedge_span image)
{
    struct page page = {.bytes = image.data};
    enum kedge_err err = check(name_space, entries, count, image);

    if (err != KEDGE_OK) {
        return err;
    }
    memset(image.data, 0xFF, image.len); /* the other pages stay blank */
    put_page_header(image.data);
    put_namespace(&page, name_space);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].text != NULL) {
            put_text(&page, &entries[i]);
        } else {
            put_number(&page, &entries[i]);
        }
    }
    return KEDGE_OK;
}
