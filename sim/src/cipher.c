/* SPDX-License-Identifier: Apache-2.0 */
#include "cipher.h"

#include "kedge/bytes.h"
#include "sim/random.h"

#define ROUNDS 4u /* of a Feistel network: the least with which both halves depend on both */

static uint64_t get_half(const uint8_t *bytes)
{
    return (uint64_t)kedge_get_le32(bytes + 4) << 32 | kedge_get_le32(bytes);
}

static void put_half(uint8_t *bytes, uint64_t half)
{
    kedge_put_le32(bytes, (uint32_t)half);
    kedge_put_le32(bytes + 4, (uint32_t)(half >> 32));
}

static uint64_t round_of(uint64_t key, uint32_t address, uint32_t round, uint64_t half)
{
    return sim_random_mix(half ^ sim_random_mix(key ^ ((uint64_t)round << 32 | address)));
}

void cipher_encrypt(uint64_t key, uint32_t address, uint8_t block[CIPHER_BLOCK_SIZE])
{
    uint64_t left = get_half(block), right = get_half(block + 8);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t next = left ^ round_of(key, address, round, right);
        left = right;
        right = next;
    }
    put_half(block, left);
    put_half(block + 8, right);
}

void cipher_decrypt(uint64_t key, uint32_t address, uint8_t block[CIPHER_BLOCK_SIZE])
{
    uint64_t left = get_half(block), right = get_half(block + 8);
    for (uint32_t round = ROUNDS; round-- > 0;) {
        uint64_t previous = right ^ round_of(key, address, round, left);
        right = left;
        left = previous;
    }
    put_half(block, left);
    put_half(block + 8, right);
}
