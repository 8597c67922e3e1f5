/* SPDX-License-Identifier: Apache-2.0 */
#include "partition_names.h"

#include <string.h>

#include "utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    uint8_t type;
    const char *name;
} types[] = {
    {KEDGE_PARTITION_APP, "app"},
    {KEDGE_PARTITION_DATA, "data"},
    {PARTITION_TYPE_BOOTLOADER, "bootloader"},
    {PARTITION_TYPE_TABLE, "partition_table"},
};

static const struct {
    uint8_t type;
    uint8_t subtype;
    const char *name;
} subtypes[] = {
    {KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_FACTORY, "factory"},
    {KEDGE_PARTITION_APP, 0x10, "ota_0"},
    {KEDGE_PARTITION_APP, 0x11, "ota_1"},
    {KEDGE_PARTITION_APP, 0x12, "ota_2"},
    {KEDGE_PARTITION_APP, 0x13, "ota_3"},
    {KEDGE_PARTITION_APP, 0x14, "ota_4"},
    {KEDGE_PARTITION_APP, 0x15, "ota_5"},
    {KEDGE_PARTITION_APP, 0x16, "ota_6"},
    {KEDGE_PARTITION_APP, 0x17, "ota_7"},
    {KEDGE_PARTITION_APP, 0x18, "ota_8"},
    {KEDGE_PARTITION_APP, 0x19, "ota_9"},
    {KEDGE_PARTITION_APP, 0x1A, "ota_10"},
    {KEDGE_PARTITION_APP, 0x1B, "ota_11"},
    {KEDGE_PARTITION_APP, 0x1C, "ota_12"},
    {KEDGE_PARTITION_APP, 0x1D, "ota_13"},
    {KEDGE_PARTITION_APP, 0x1E, "ota_14"},
    {KEDGE_PARTITION_APP, 0x1F, "ota_15"},
    {KEDGE_PARTITION_APP, KEDGE_PARTITION_APP_TEST, "test"},
    {KEDGE_PARTITION_APP, 0x30, "tee_0"},
    {KEDGE_PARTITION_APP, 0x31, "tee_1"},
    {KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_OTA, "ota"},
    {KEDGE_PARTITION_DATA, 0x01, "phy"},
    {KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_NVS, "nvs"},
    {KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_COREDUMP, "coredump"},
    {KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_NVS_KEYS, "nvs_keys"},
    {KEDGE_PARTITION_DATA, 0x05, "efuse"},
    {KEDGE_PARTITION_DATA, PARTITION_DATA_UNDEFINED, "undefined"},
    {KEDGE_PARTITION_DATA, 0x80, "esphttpd"},
    {KEDGE_PARTITION_DATA, 0x81, "fat"},
    {KEDGE_PARTITION_DATA, 0x82, "spiffs"},
    {KEDGE_PARTITION_DATA, KEDGE_PARTITION_DATA_LITTLEFS, "littlefs"},
    {KEDGE_PARTITION_DATA, PARTITION_DATA_TEE_OTA, "tee_ota"},
    {PARTITION_TYPE_BOOTLOADER, PARTITION_PRIMARY, "primary"},
    {PARTITION_TYPE_BOOTLOADER, 0x01, "ota"},
    {PARTITION_TYPE_BOOTLOADER, 0x02, "recovery"},
    {PARTITION_TYPE_TABLE, PARTITION_PRIMARY, "primary"},
    {PARTITION_TYPE_TABLE, 0x01, "ota"},
};

static const struct {
    enum kedge_partition_flag flag;
    const char *name;
} flags[] = {
    {KEDGE_PARTITION_ENCRYPTED, "encrypted"},
    {KEDGE_PARTITION_READONLY, "readonly"},
};

/* name is lower case and ends in NUL; text has len bytes. */
static bool same_ignoring_case(const char *name, const char *text, size_t len)
{
    if (strlen(name) != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char lower = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (lower != name[i]) {
            return false;
        }
    }
    return true;
}

const char *partition_type_name(uint8_t type)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        if (types[i].type == type) {
            return types[i].name;
        }
    }
    return NULL;
}

const char *partition_subtype_name(uint8_t type, uint8_t subtype)
{
    for (size_t i = 0; i < COUNT(subtypes); i++) {
        if (subtypes[i].type == type && subtypes[i].subtype == subtype) {
            return subtypes[i].name;
        }
    }
    return NULL;
}

const char *partition_flag_name(enum kedge_partition_flag flag)
{
    for (size_t i = 0; i < COUNT(flags); i++) {
        if (flags[i].flag == flag) {
            return flags[i].name;
        }
    }
    return NULL;
}

bool partition_type_of(const char *name, size_t len, uint8_t *type)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        if (same_ignoring_case(types[i].name, name, len)) {
            *type = types[i].type;
            return true;
        }
    }
    return false;
}

bool partition_subtype_of(uint8_t type, const char *name, size_t len, uint8_t *subtype)
{
    for (size_t i = 0; i < COUNT(subtypes); i++) {
        if (subtypes[i].type == type && same_ignoring_case(subtypes[i].name, name, len)) {
            *subtype = subtypes[i].subtype;
            return true;
        }
    }
    return false;
}

uint32_t partition_flag_of(const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT(flags); i++) {
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0) {
            return (uint32_t)flags[i].flag;
        }
    }
    return 0;
}

bool partition_name_ok(const uint8_t *name, size_t len)
{
    size_t at = 0;

    if (len >= KEDGE_PARTITION_NAME_SIZE) {
        return false;
    }
    while (at < len) {
        size_t character = utf8_length(name + at, len - at);
        if (character == 0 || name[at] < 0x20 || name[at] == 0x7F || name[at] == ',') {
            return false;
        }
        at += character;
    }
    return true;
}
