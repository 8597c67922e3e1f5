/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mbedTLS's portable SHA-256, compiled here once more under other names: where the accelerator is
 * configured the library itself leaves it out. BENCH_SHA256_SOURCE is the file in ESP-IDF.
 */
#include "mbedtls/build_info.h"

#undef MBEDTLS_SHA256_ALT
#undef MBEDTLS_SHA256_PROCESS_ALT
#undef MBEDTLS_SHA224_C
#undef MBEDTLS_SELF_TEST
#ifndef MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_C
#endif

#define mbedtls_sha256_init             bench_sha256_init
#define mbedtls_sha256_free             bench_sha256_free
#define mbedtls_sha256_clone            bench_sha256_clone
#define mbedtls_sha256_starts           bench_sha256_starts
#define mbedtls_sha256_update           bench_sha256_update
#define mbedtls_sha256_finish           bench_sha256_finish
#define mbedtls_sha256                  bench_sha256
#define mbedtls_internal_sha256_process bench_internal_sha256_process

#include BENCH_SHA256_SOURCE

#include "bench.h"

void hash_software(const uint8_t *data, size_t len_bytes, uint8_t *out)
{
    (void)mbedtls_sha256(data, len_bytes, out, 0);
}
