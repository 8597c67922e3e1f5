/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** A file of tests/vectors in memory of exactly its length, so that ASan sees an over-read. */
struct vector {
    uint8_t *data;
    size_t len;
};

/** Reads tests/vectors/<name>; ends the test program when it cannot. Freed by vector_free. */
struct vector vector_load(const char *name);
void vector_free(struct vector *vector);
