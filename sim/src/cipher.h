/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * Stands for the chip's flash encryption (AES-XTS): a permutation of 16-byte blocks that depends on
 * key and address. One changed bit makes the whole block garbage; that is all that a power cut can
 * tell from the real one. It hides nothing from anybody.
 */
#define CIPHER_BLOCK_SIZE 16u

/** In place; address is that of the block's first byte. */
void cipher_encrypt(uint64_t key, uint32_t address, uint8_t block[CIPHER_BLOCK_SIZE]);
void cipher_decrypt(uint64_t key, uint32_t address, uint8_t block[CIPHER_BLOCK_SIZE]);
