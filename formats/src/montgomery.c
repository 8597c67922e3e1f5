/* SPDX-License-Identifier: Apache-2.0 */
#include "montgomery.h"

#include <stdbool.h>

#include "kedge/bytes.h"

static uint32_t modulus_word(const uint8_t *modulus, uint32_t i)
{
    return kedge_get_le32(modulus + 4u * i);
}

/* number mod 2^3072 -= modulus */
static void subtract(uint32_t *number, const uint8_t *modulus)
{
    uint32_t borrow = 0;

    for (uint32_t i = 0; i < MONTGOMERY_WORDS; i++) {
        uint64_t difference = (uint64_t)number[i] - modulus_word(modulus, i) - borrow;
        number[i] = (uint32_t)difference;
        borrow = (uint32_t)(difference >> 32) & 1u;
    }
}

static bool is_at_least(const uint32_t *number, const uint8_t *modulus)
{
    for (uint32_t i = MONTGOMERY_WORDS; i-- > 0;) {
        uint32_t word = modulus_word(modulus, i);
        if (number[i] != word) {
            return number[i] > word;
        }
    }
    return true;
}

/* number *= 2; returns the bit that fell out. */
static uint32_t shift_left(uint32_t *number)
{
    uint32_t carry = 0;

    for (uint32_t i = 0; i < MONTGOMERY_WORDS; i++) {
        uint32_t top = number[i] >> 31;
        number[i] = (number[i] << 1) | carry;
        carry = top;
    }
    return carry;
}

void montgomery_r_squared(const uint8_t *modulus, uint32_t out[MONTGOMERY_WORDS])
{
    /* 2^3072 - n is R mod n, because n has its top bit set. */
    for (uint32_t i = 0; i < MONTGOMERY_WORDS; i++) {
        out[i] = 0;
    }
    subtract(out, modulus);
    /* 3072 doublings multiply it by R; each result stays below n. */
    for (uint32_t i = 0; i < 32u * MONTGOMERY_WORDS; i++) {
        if (shift_left(out) != 0 || is_at_least(out, modulus)) {
            subtract(out, modulus);
        }
    }
}

uint32_t montgomery_m_prime(uint32_t lowest_word)
{
    /* Newton: an odd number is its own inverse mod 8, and each step doubles the bits. */
    uint32_t inverse = lowest_word;

    for (int bits = 3; bits < 32; bits *= 2) {
        inverse *= 2u - lowest_word * inverse;
    }
    return 0u - inverse;
}
