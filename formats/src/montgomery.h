/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * The two numbers that a Secure Boot V2 block carries beside its RSA key, because the boot ROM
 * multiplies in Montgomery form. Public values only: no need for constant time.
 */
#define MONTGOMERY_WORDS 96u /* 3072 bits */

/* R * R mod n with R = 2^3072, least significant word first. modulus: 384 bytes little-endian, its
 * top bit set. About a million word operations. */
void montgomery_r_squared(const uint8_t *modulus, uint32_t out[MONTGOMERY_WORDS]);

/* -1/n mod 2^32, from the lowest word of an odd modulus. */
uint32_t montgomery_m_prime(uint32_t lowest_word);
