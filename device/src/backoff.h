/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/**
 * Exponential back-off with full jitter: uniform in 1 .. min(cap_ms, base_ms * 2^(failures - 1)).
 * failures counts from 1. random is 32 uniform bits. base_ms and cap_ms are at least 1.
 */
uint32_t backoff_ms(uint32_t failures, uint32_t base_ms, uint32_t cap_ms, uint32_t random);

/** interval_ms moved by up to a tenth either way, so that devices do not march in step. */
uint32_t backoff_spread_ms(uint32_t interval_ms, uint32_t random);

/** Uniform in 0 .. below - 1; 0 when below is 0. */
uint32_t backoff_uniform(uint32_t below, uint32_t random);
