/* SPDX-License-Identifier: Apache-2.0 */
#include "chip.h"

#include <stddef.h>

static const struct chip_traits table[] = {
    {KEDGE_CHIP_ESP32, 32, 1, true, false},    {KEDGE_CHIP_ESP32S2, 16, 3, true, false},
    {KEDGE_CHIP_ESP32S3, 16, 3, true, false},  {KEDGE_CHIP_ESP32C3, 16, 3, true, false},
    {KEDGE_CHIP_ESP32H21, 16, 3, true, false}, {KEDGE_CHIP_ESP32C2, 4, 3, false, true},
    {KEDGE_CHIP_ESP32C61, 16, 3, false, true}, {KEDGE_CHIP_ESP32C5, 9, 3, true, true},
};

struct chip_traits chip_traits(uint16_t chip_id)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].chip_id == chip_id) {
            return table[i];
        }
    }
    return (struct chip_traits){chip_id, 16, KEDGE_SIG_MAX_BLOCKS, true, true};
}
