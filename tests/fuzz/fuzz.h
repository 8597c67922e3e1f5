/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/** What libFuzzer calls, and driver.c in its place. data is exactly size bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A claim that holds for every input; the driver saves the input that breaks it. */
#define FUZZ_CHECK(claim) ((claim) ? (void)0 : abort())
