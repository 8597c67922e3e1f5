/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/partition.h"

/* Types and subtypes by name, from ESP-IDF esp_partition.h and gen_esp32part.py. */
#define PARTITION_TYPE_BOOTLOADER 0x02u
#define PARTITION_TYPE_TABLE      0x03u
#define PARTITION_PRIMARY         0x00u /* subtype of both */
#define PARTITION_DATA_UNDEFINED  0x06u
#define PARTITION_DATA_TEE_OTA    0x90u

#define PARTITION_TABLE_SECTOR_SIZE 0x1000u
#define PARTITION_ENTRY_MAGIC       0x50AAu
#define PARTITION_MD5_MAGIC         0xEBEBu

/* NULL where the number has no name. Static. */
const char *partition_type_name(uint8_t type);
const char *partition_subtype_name(uint8_t type, uint8_t subtype);
const char *partition_flag_name(enum kedge_partition_flag flag);

/* By name, letter case ignored; false when there is no such name. */
bool partition_type_of(const char *name, size_t len, uint8_t *type);
bool partition_subtype_of(uint8_t type, const char *name, size_t len, uint8_t *subtype);

/* Letter case matters for flags, as in gen_esp32part.py. 0 when there is no such name. */
uint32_t partition_flag_of(const char *name, size_t len);

/* A name that survives a CSV: UTF-8 of at most 16 bytes, without control characters and commas. */
bool partition_name_ok(const uint8_t *name, size_t len);
