/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/partition.h"

#include <string.h>

#include "partition_names.h"

#define DEFAULT_TABLE_OFFSET 0x8000u
#define FIELD_COUNT          6u

enum field {
    FIELD_NAME,
    FIELD_TYPE,
    FIELD_SUBTYPE,
    FIELD_OFFSET,
    FIELD_SIZE,
    FIELD_FLAGS
};

struct text {
    const char *at;
    size_t len;
};

/* One CSV being read: the line at hand, and where a blank offset would start. */
struct reader {
    const struct kedge_partition_rules *rules;
    struct kedge_partition_table *table;
    struct kedge_fault *fault;
    uint32_t line;
    uint32_t table_offset;
    uint64_t last_end;
    struct text fields[FIELD_COUNT];
};

static enum kedge_err fail(const struct reader *reader, struct kedge_fault fault)
{
    if (reader->fault != NULL) {
        fault.at = reader->line;
        *reader->fault = fault;
    }
    return fault.err;
}

static enum kedge_err bad_field(const struct reader *reader, enum kedge_err err, const char *what)
{
    return fail(reader, (struct kedge_fault){.err = err, .what = what});
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

static struct text strip(struct text text)
{
    while (text.len > 0 && is_space(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Cuts text at the first stop character and returns the piece before it. */
static struct text next_piece(struct text *text, char stop)
{
    const char *found = text->len > 0 ? memchr(text->at, stop, text->len) : NULL;
    struct text piece = {text->at, found != NULL ? (size_t)(found - text->at) : text->len};
    size_t taken = piece.len + (found != NULL ? 1 : 0);

    text->at += taken;
    text->len -= taken;
    return piece;
}

/* Up to LF, CR LF or CR. */
static struct text next_line(struct text *text)
{
    struct text line = {text->at, 0};
    size_t end;

    while (line.len < text->len && line.at[line.len] != '\n' && line.at[line.len] != '\r') {
        line.len++;
    }
    end = line.len;
    if (end < text->len) {
        bool is_crlf = text->at[end] == '\r' && end + 1 < text->len && text->at[end + 1] == '\n';
        end += is_crlf ? 2 : 1;
    }
    text->at += end;
    text->len -= end;
    return line;
}

/* Value of a digit in the base, -1 for any other character. */
static int digit_value(char c, int base)
{
    int value = -1;

    if (c >= '0' && c <= '9') {
        value = c - '0';
    } else if (c >= 'a' && c <= 'f') {
        value = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
        value = c - 'A' + 10;
    }
    return value < base ? value : -1;
}

static int take_base(struct text *text)
{
    static const struct {
        char letter;
        int base;
    } prefixes[] = {{'x', 16}, {'X', 16}, {'o', 8}, {'O', 8}, {'b', 2}, {'B', 2}};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (text->len > 2 && text->at[0] == '0' && text->at[1] == prefixes[i].letter) {
            text->at += 2;
            text->len -= 2;
            return prefixes[i].base;
        }
    }
    return 10;
}

/* 1 << this is what a K or M at the end of the number multiplies by; 0 for no suffix. */
static uint32_t take_suffix(struct text *text)
{
    uint32_t shift = 0;
    char last = text->len > 0 ? text->at[text->len - 1] : '\0';

    if (last == 'k' || last == 'K') {
        shift = 10;
    } else if (last == 'm' || last == 'M') {
        shift = 20;
    }
    text->len -= shift > 0 ? 1 : 0;
    return shift;
}

/*
 * A number as Python's int(text, 0) reads it, with K or M after it: decimal without leading zeros,
 * 0x, 0o, 0b, an optional sign. Magnitudes over 32 bits are RANGE.
 */
static enum kedge_err parse_number(struct text text, int64_t *out)
{
    bool is_negative = text.len > 0 && text.at[0] == '-';
    uint32_t shift = take_suffix(&text);
    uint64_t value = 0;
    int base;

    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        text.at++;
        text.len--;
    }
    base = take_base(&text);
    if (text.len == 0) {
        return KEDGE_ERR_SYNTAX;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_value(text.at[i], base);
        if (digit < 0 || (base == 10 && i > 0 && text.at[0] == '0' && digit > 0)) {
            return KEDGE_ERR_SYNTAX;
        }
        value = value * (uint64_t)base + (uint64_t)digit;
        if (value > UINT32_MAX) {
            return KEDGE_ERR_RANGE;
        }
    }
    value <<= shift;
    if (value > UINT32_MAX) {
        return KEDGE_ERR_RANGE;
    }
    *out = is_negative ? -(int64_t)value : (int64_t)value;
    return KEDGE_OK;
}

static enum kedge_err parse_byte(const struct reader *reader, enum field field, const char *what,
                                 uint8_t *out)
{
    int64_t value;
    enum kedge_err err = parse_number(reader->fields[field], &value);

    if (err == KEDGE_OK && (value < 0 || value > UINT8_MAX)) {
        err = KEDGE_ERR_RANGE;
    }
    if (err != KEDGE_OK) {
        return bad_field(reader, err, what);
    }
    *out = (uint8_t)value;
    return KEDGE_OK;
}

static enum kedge_err parse_type(const struct reader *reader, struct kedge_partition *entry)
{
    struct text type = reader->fields[FIELD_TYPE];
    struct text subtype = reader->fields[FIELD_SUBTYPE];
    enum kedge_err err = KEDGE_OK;

    if (!partition_type_of(type.at, type.len, &entry->type)) {
        err = parse_byte(reader, FIELD_TYPE, "partition type", &entry->type);
    }
    if (err != KEDGE_OK) {
        return err;
    }
    if (subtype.len == 0 && entry->type != KEDGE_PARTITION_APP) {
        entry->subtype = PARTITION_DATA_UNDEFINED;
        return KEDGE_OK;
    }
    if (partition_subtype_of(entry->type, subtype.at, subtype.len, &entry->subtype)) {
        return KEDGE_OK;
    }
    return parse_byte(reader, FIELD_SUBTYPE, "partition subtype", &entry->subtype);
}

static enum kedge_err parse_flags(const struct reader *reader, struct kedge_partition *entry)
{
    struct text flags = reader->fields[FIELD_FLAGS];

    while (flags.len > 0) {
        struct text name = next_piece(&flags, ':');
        uint32_t flag = partition_flag_of(name.at, name.len);
        if (flag == 0 && name.len > 0) {
            return bad_field(reader, KEDGE_ERR_SYNTAX, "partition flag");
        }
        entry->flags |= flag;
    }
    return KEDGE_OK;
}

/* A blank offset continues after the entry before it; an offset must not go back. */
static enum kedge_err place(const struct reader *reader, struct kedge_partition *entry,
                            int64_t *offset)
{
    struct text field = reader->fields[FIELD_OFFSET];
    uint32_t align = entry->type == KEDGE_PARTITION_APP ? 0x10000u : 0x1000u;
    enum kedge_err err;

    if (field.len == 0) {
        *offset = (int64_t)((reader->last_end + (align - 1u)) & ~(uint64_t)(align - 1u));
        return KEDGE_OK;
    }
    err = parse_number(field, offset);
    if (err == KEDGE_OK && *offset < 0) {
        err = KEDGE_ERR_RANGE;
    }
    if (err != KEDGE_OK) {
        return bad_field(reader, err, "partition offset");
    }
    if ((uint64_t)*offset < reader->last_end) {
        return fail(reader, (struct kedge_fault){.err = KEDGE_ERR_OVERLAP,
                                                 .what = "partition offset",
                                                 .found = (uint32_t)*offset,
                                                 .expected = (uint32_t)reader->last_end});
    }
    return KEDGE_OK;
}

/* Offset and size; a negative size is the address where the partition ends. */
static enum kedge_err parse_extent(struct reader *reader, struct kedge_partition *entry)
{
    int64_t offset = 0;
    int64_t size;
    enum kedge_err err = place(reader, entry, &offset);

    if (err != KEDGE_OK) {
        return err;
    }
    if (entry->type == PARTITION_TYPE_TABLE) {
        size = PARTITION_TABLE_SECTOR_SIZE;
    } else {
        err = parse_number(reader->fields[FIELD_SIZE], &size);
        if (err != KEDGE_OK) {
            return bad_field(reader, err, "partition size");
        }
    }
    if (size < 0) {
        size = -size - offset;
    }
    if (size < 0 || offset + size > (int64_t)UINT32_MAX + 1 || offset > UINT32_MAX) {
        return bad_field(reader, KEDGE_ERR_RANGE, "partition end");
    }
    entry->offset = (uint32_t)offset;
    entry->size = (uint32_t)size;
    reader->last_end = (uint64_t)(offset + size);
    return KEDGE_OK;
}

static enum kedge_err parse_entry(struct reader *reader, struct kedge_partition *entry)
{
    struct text name = reader->fields[FIELD_NAME];
    enum kedge_err err;

    if (name.len >= KEDGE_PARTITION_NAME_SIZE) {
        return fail(reader, (struct kedge_fault){.err = KEDGE_ERR_TOO_LARGE,
                                                 .what = "length of the partition name",
                                                 .found = (uint32_t)name.len,
                                                 .expected = KEDGE_PARTITION_NAME_SIZE - 1});
    }
    if (!partition_name_ok((const uint8_t *)name.at, name.len)) {
        return bad_field(reader, KEDGE_ERR_SYNTAX, "partition name");
    }
    memcpy(entry->name, name.at, name.len);
    err = parse_type(reader, entry);
    if (err != KEDGE_OK) {
        return err;
    }
    if (entry->type == PARTITION_TYPE_BOOTLOADER) {
        /* gen_esp32part.py wants --primary-bootloader-offset for these; the rules have none. */
        return bad_field(reader, KEDGE_ERR_UNSUPPORTED, "partition of type bootloader");
    }
    if (entry->type == PARTITION_TYPE_TABLE && entry->subtype == PARTITION_PRIMARY) {
        entry->offset = reader->table_offset;
        entry->size = PARTITION_TABLE_SECTOR_SIZE;
    } else {
        err = parse_extent(reader, entry);
    }
    return err == KEDGE_OK ? parse_flags(reader, entry) : err;
}

static enum kedge_err parse_line(struct reader *reader, struct text line)
{
    struct kedge_partition_table *table = reader->table;
    struct kedge_partition *entry = &table->entries[table->count];
    enum kedge_err err;

    line = strip(line);
    if (line.len == 0 || line.at[0] == '#') {
        return KEDGE_OK;
    }
    if (table->count == KEDGE_PARTITION_MAX_ENTRIES) {
        return fail(reader, (struct kedge_fault){.err = KEDGE_ERR_TOO_LARGE,
                                                 .what = "number of partition entries",
                                                 .found = table->count + 1,
                                                 .expected = KEDGE_PARTITION_MAX_ENTRIES});
    }
    if (memchr(line.at, '$', line.len) != NULL) {
        /* The tool would put the environment in; a check must not depend on that. */
        return bad_field(reader, KEDGE_ERR_SYNTAX, "environment variable");
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) { /* fields beyond these are ignored, as in the tool */
        reader->fields[i] = strip(next_piece(&line, ','));
    }
    memset(entry, 0, sizeof(*entry));
    entry->line = reader->line;
    err = parse_entry(reader, entry);
    table->count += err == KEDGE_OK;
    return err;
}

/* A growing text; an overflow sticks. */
struct writer {
    char *out;
    size_t size;
    size_t len;
    bool overflow;
};

static void put(struct writer *writer, const char *text)
{
    size_t len = strlen(text);

    if (writer->overflow || writer->size - writer->len <= len) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->out + writer->len, text, len);
    writer->len += len;
}

static void put_number(struct writer *writer, uint32_t value, uint32_t base)
{
    char digits[11]; /* 2^32 - 1 has 10 */
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    put(writer, digits + at);
}

static void put_size(struct writer *writer, uint32_t size)
{
    if (size % 0x100000u == 0) {
        put_number(writer, size / 0x100000u, 10);
        put(writer, "M");
    } else if (size % 0x400u == 0) {
        put_number(writer, size / 0x400u, 10);
        put(writer, "K");
    } else {
        put(writer, "0x");
        put_number(writer, size, 16);
    }
}

static void put_name_or_number(struct writer *writer, const char *name, uint32_t number)
{
    if (name != NULL) {
        put(writer, name);
    } else {
        put_number(writer, number, 10);
    }
    put(writer, ",");
}

static void put_flags(struct writer *writer, uint32_t flags)
{
    static const enum kedge_partition_flag known[] = {KEDGE_PARTITION_ENCRYPTED,
                                                      KEDGE_PARTITION_READONLY};
    bool any = false;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if ((flags & (uint32_t)known[i]) != 0) {
            put(writer, any ? ":" : "");
            put(writer, partition_flag_name(known[i]));
            any = true;
        }
    }
}

static void put_entry(struct writer *writer, const struct kedge_partition *entry)
{
    put(writer, entry->name);
    put(writer, ",");
    put_name_or_number(writer, partition_type_name(entry->type), entry->type);
    put_name_or_number(writer, partition_subtype_name(entry->type, entry->subtype), entry->subtype);
    put(writer, "0x");
    put_number(writer, entry->offset, 16);
    put(writer, ",");
    put_size(writer, entry->size);
    put(writer, ",");
    put_flags(writer, entry->flags);
    put(writer, "\n");
}

enum kedge_err kedge_partition_parse_csv(const char *text, size_t len,
                                         const struct kedge_partition_rules *rules,
                                         struct kedge_partition_table *table,
                                         struct kedge_fault *fault)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    struct text rest = {text, len};
    struct reader reader = {
        .rules = rules,
        .table = table,
        .fault = fault,
        .table_offset = rules->table_offset != 0 ? rules->table_offset : DEFAULT_TABLE_OFFSET,
    };

    reader.last_end = (uint64_t)reader.table_offset + PARTITION_TABLE_SECTOR_SIZE;
    table->count = 0;
    if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        rest.at += 3;
        rest.len -= 3;
    }
    while (rest.len > 0) {
        enum kedge_err err;
        struct text line = next_line(&rest);
        reader.line++;
        err = parse_line(&reader, line);
        if (err != KEDGE_OK) {
            return err;
        }
    }
    return kedge_partition_check(table, rules, fault);
}

enum kedge_err kedge_partition_write_csv(const struct kedge_partition_table *table, char *out,
                                         size_t out_size, size_t *len_out)
{
    struct writer writer = {.out = out, .size = out_size};

    put(&writer, "# ESP-IDF Partition Table\n");
    put(&writer, "# Name, Type, SubType, Offset, Size, Flags\n");
    for (uint32_t i = 0; i < table->count; i++) {
        put_entry(&writer, &table->entries[i]);
    }
    if (writer.overflow) {
        return KEDGE_ERR_NO_SPACE;
    }
    out[writer.len] = '\0';
    *len_out = writer.len;
    return KEDGE_OK;
}
