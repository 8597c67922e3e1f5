/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bench.h"
#include "esp_timer.h"
#include "mbedtls/md.h"
#include "sdkconfig.h"

/* SHA-256 of 1 KiB in RAM, from the first call to the digest. */
#define RUNS    21u
#define IN_RUN  64u
#define MESSAGE 1024u

static void hash_library(const uint8_t *data, size_t len_bytes, uint8_t *out)
{
    (void)mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), data, len_bytes, out);
}

/* Tenths of a microsecond each. */
static uint32_t measure(void (*hash)(const uint8_t *, size_t, uint8_t *), uint8_t *digest)
{
    static uint8_t message[MESSAGE];
    uint32_t runs[RUNS];

    memset(message, 0xA5, sizeof message);
    for (size_t run = 0; run < RUNS; run++) {
        int64_t begin = esp_timer_get_time();

        for (size_t i = 0; i < IN_RUN; i++) {
            hash(message, sizeof message, digest);
        }
        runs[run] = (uint32_t)((esp_timer_get_time() - begin) * 10 / (int64_t)IN_RUN);
    }
    return report_median(runs, RUNS);
}

void hash_run(void)
{
    uint8_t software[32], library[32];

    report_tenths("sha256_1k_sw_us", measure(hash_software, software),
                  "mbedTLS's portable C; median of 21 runs of 64");
#ifdef CONFIG_MBEDTLS_HARDWARE_SHA
    report_tenths("sha256_1k_hw_us", measure(hash_library, library),
                  "mbedTLS by the accelerator; median of 21 runs of 64");
    if (memcmp(software, library, sizeof software) != 0) {
        report_text("sha256", "the two digests differ: do not believe either figure");
    }
#else
    (void)library;
    (void)hash_library;
    report_skipped("sha256_1k_hw_us", "CONFIG_MBEDTLS_HARDWARE_SHA is off");
#endif
}
