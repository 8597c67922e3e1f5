/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/crypto.h"
#include "kedge/image.h"

struct result {
    enum kedge_err err;
    struct kedge_fault fault;
    struct kedge_image_info info;
};

static struct result parse(const uint8_t *data, size_t size, size_t chunk,
                           const struct kedge_hash_ops *hash)
{
    struct kedge_image_parser parser;
    struct kedge_sha256 sha;
    struct result result;

    memset(&result, 0, sizeof(result));
    kedge_image_parser_init(&parser, hash, &sha);
    for (size_t at = 0; at < size; at += chunk) {
        size_t len = size - at < chunk ? size - at : chunk;
        enum kedge_err err = kedge_image_parser_feed(&parser, (struct kedge_cspan){data + at, len});
        FUZZ_CHECK(err == parser.fault.err);
    }
    result.err = kedge_image_parser_end(&parser, &result.info);
    result.fault = parser.fault;
    return result;
}

/* The chunking never shows; what is taken is bounded by what was given. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole = parse(data, size, size + 1, &kedge_sha256_ops);
    struct result pieces = parse(data, size, 1 + size % 61, &kedge_sha256_ops);
    struct result unhashed = parse(data, size, size + 1, NULL);

    FUZZ_CHECK(whole.err == pieces.err);
    FUZZ_CHECK(whole.fault.at == pieces.fault.at && whole.fault.what == pieces.fault.what);
    FUZZ_CHECK(memcmp(&whole.info, &pieces.info, sizeof(whole.info)) == 0);
    if (whole.err == KEDGE_OK) {
        FUZZ_CHECK(unhashed.err == KEDGE_OK);
        FUZZ_CHECK((uint64_t)whole.info.image_len + whole.info.trailer_len == size);
        FUZZ_CHECK(memchr(whole.info.desc.version, 0, KEDGE_DESC_STRING_SIZE) != NULL);
    } else {
        FUZZ_CHECK(whole.fault.err == whole.err && whole.fault.what != NULL);
        FUZZ_CHECK(whole.fault.at <= size);
    }
    return 0;
}
