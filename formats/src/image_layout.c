/* SPDX-License-Identifier: Apache-2.0 */
#include "image_layout.h"

const struct desc_text desc_texts[DESC_TEXT_COUNT] = {
    {"version", DESC_AT_VERSION, 32, offsetof(struct kedge_app_desc, version)},
    {"project name", DESC_AT_PROJECT, 32, offsetof(struct kedge_app_desc, project)},
    {"compile time", DESC_AT_TIME, 16, offsetof(struct kedge_app_desc, time)},
    {"compile date", DESC_AT_DATE, 16, offsetof(struct kedge_app_desc, date)},
    {"IDF version", DESC_AT_IDF_VERSION, 32, offsetof(struct kedge_app_desc, idf_version)},
};

uint8_t image_checksum(uint8_t checksum, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        checksum ^= data[i];
    }
    return checksum;
}
