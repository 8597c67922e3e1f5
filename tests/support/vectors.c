/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

static void give_up(const char *path, const char *why)
{
    fprintf(stderr, "vector %s: %s\n", path, why);
    abort();
}

struct vector vector_load(const char *name)
{
    struct vector vector = {0};
    char path[1024];
    FILE *file;
    long len;

    if (snprintf(path, sizeof(path), "%s/%s", KEDGE_VECTORS, name) >= (int)sizeof(path)) {
        give_up(name, "path too long");
    }
    file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (len = ftell(file)) < 0) {
        give_up(path, "cannot be opened");
    }
    rewind(file);
    vector.len = (size_t)len;
    vector.data = malloc(vector.len > 0 ? vector.len : 1);
    if (vector.data == NULL || fread(vector.data, 1, vector.len, file) != vector.len) {
        give_up(path, "cannot be read");
    }
    fclose(file);
    return vector;
}

void vector_free(struct vector *vector)
{
    free(vector->data);
    *vector = (struct vector){0};
}
