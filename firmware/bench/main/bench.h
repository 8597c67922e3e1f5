/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kedge/settings.h"

/* Prints what a chip really does: docs/benchmarks.md. */

/** Who this device is, from the storage partition. Texts live as long as the bench. */
struct identity {
    struct kedge_settings settings;
    const char *ca, *certificate, *key; /* PEM */
};

/* report.c: a row is printed as it is measured, and again in the table. */

/** `bench: name 12.3`. note: how it was measured; copied. */
void report_tenths(const char *name, uint32_t tenths, const char *note);
/** `bench: name 12`. */
void report_count(const char *name, uint32_t count, const char *note);
/** `bench: name text`. */
void report_text(const char *name, const char *text);
/** `bench: name skipped: why`. */
void report_skipped(const char *name, const char *why);
/** Everything so far as a Markdown table. */
void report_table(void);
/** Median and 95th percentile; sorts. count > 0. */
uint32_t report_median(uint32_t *samples, size_t count);
uint32_t report_p95(uint32_t *samples, size_t count);

/* identity.c */
/** False: no device.json or no certificates; has said why. */
bool identity_load(struct identity *out);

/* The rows. */
void hash_run(void);
void handshake_run(const struct identity *me);
void publish_run(const struct identity *me);
void download_run(const struct identity *me);

/* hash_software.c */
/** SHA-256 by mbedTLS's portable C. out: 32 bytes. */
void hash_software(const uint8_t *data, size_t len_bytes, uint8_t *out);
