/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/crypto.h"

/*
 * What mbedtls.c and openssl.c each provide beside the hashes of kedge/crypto.h. sigverify.c has
 * checked the arguments: a modulus of 3072 bits and odd, an odd exponent above 1.
 */

/* Errors: SIGNATURE, NO_MEMORY. */
enum kedge_err backend_verify_rsa3072_pss(const uint8_t *modulus, uint32_t exponent,
                                          const uint8_t *signature, const uint8_t *digest);
/* Errors: SIGNATURE, ARG (point off the curve), NO_MEMORY. */
enum kedge_err backend_verify_ecdsa_p256(const uint8_t *point, const uint8_t *signature,
                                         const uint8_t *digest);
