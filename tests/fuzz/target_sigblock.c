/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/sigblock.h"

#define AT_CRC 1196u

/* What is taken encodes to the same bytes. */
static void check_sector(struct kedge_cspan bytes)
{
    struct kedge_sig_sector sector;
    struct kedge_fault fault = {0};
    uint8_t out[KEDGE_SIG_SECTOR_SIZE];
    enum kedge_err err = kedge_sig_parse(bytes, &sector, &fault);

    if (err != KEDGE_OK) {
        FUZZ_CHECK(fault.err == err && fault.what != NULL && fault.at < KEDGE_SIG_SECTOR_SIZE);
        return;
    }
    memset(out, 0xFF, sizeof(out));
    for (uint32_t i = 0; i < sector.count; i++) {
        FUZZ_CHECK(kedge_sig_encode_block(&sector.blocks[i], i,
                                          (struct kedge_span){out, sizeof(out)}) == KEDGE_OK);
    }
    FUZZ_CHECK(memcmp(out, bytes.data, sizeof(out)) == 0);
}

/* As it is, and with the CRCs made right, so that the fields behind them are reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sector[KEDGE_SIG_SECTOR_SIZE];

    check_sector((struct kedge_cspan){data, size});
    memset(sector, 0xFF, sizeof(sector));
    memcpy(sector, data, size < sizeof(sector) ? size : sizeof(sector));
    for (uint32_t i = 0; i < KEDGE_SIG_MAX_BLOCKS; i++) {
        uint8_t *block = sector + i * KEDGE_SIG_BLOCK_SIZE;
        if (block[0] == 0xE7) {
            kedge_put_le32(block + AT_CRC, kedge_crc32(0, block, AT_CRC));
        }
    }
    check_sector((struct kedge_cspan){sector, sizeof(sector)});
    return 0;
}
