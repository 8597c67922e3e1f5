/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/image.h"

/*
 * Where things are in an ESP image: shared by the parser and the writer. Source: ESP-IDF
 * esp_app_format.h and esp_app_desc.h (formats/FORMATS.md, "App image").
 */
#define IMAGE_MAGIC          0xE9u
#define IMAGE_CHECKSUM_SEED  0xEFu
#define IMAGE_CHECKSUM_ALIGN 16u
#define DESC_MAGIC           0xABCD5432u

enum image_header_offset {
    IMAGE_AT_MAGIC = 0,
    IMAGE_AT_SEGMENT_COUNT = 1,
    IMAGE_AT_SPI_MODE = 2,
    IMAGE_AT_SPEED_SIZE = 3,
    IMAGE_AT_ENTRY = 4,
    IMAGE_AT_WP_PIN = 8,
    IMAGE_AT_CHIP_ID = 12,
    IMAGE_AT_MIN_REV_FULL = 15,
    IMAGE_AT_MAX_REV_FULL = 17,
    IMAGE_AT_HASH_APPENDED = 23
};

enum image_segment_offset {
    IMAGE_AT_SEGMENT_LOAD = 0,
    IMAGE_AT_SEGMENT_LEN = 4
};

/* From the first byte of the descriptor. */
enum image_desc_offset {
    DESC_AT_MAGIC = 0,
    DESC_AT_SECURE_VERSION = 4,
    DESC_AT_VERSION = 16,
    DESC_AT_PROJECT = 48,
    DESC_AT_TIME = 80,
    DESC_AT_DATE = 96,
    DESC_AT_IDF_VERSION = 112,
    DESC_AT_ELF_SHA256 = 144,
    DESC_AT_MAX_EFUSE_REV_FULL = 178,
    DESC_AT_MMU_PAGE_SIZE = 180
};

/* A text field: where in the descriptor, its bytes there, where in struct kedge_app_desc. */
struct desc_text {
    const char *name;
    uint16_t at;
    uint16_t size;
    uint16_t into;
};

#define DESC_TEXT_COUNT 5u
extern const struct desc_text desc_texts[DESC_TEXT_COUNT];

/* XOR of len bytes onto checksum. */
uint8_t image_checksum(uint8_t checksum, const uint8_t *data, size_t len);
