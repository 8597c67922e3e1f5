/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KEDGE_NODISCARD __attribute__((warn_unused_result))
#else
#define KEDGE_NODISCARD
#endif

/** The one list of error codes: name, value, text for a person. 0 is success, errors are < 0. */
#define KEDGE_ERR_MAP(X)                                                                           \
    X(OK, 0, "ok")                                                                                 \
    X(ERR_ARG, -1, "invalid argument")                                                             \
    X(ERR_TRUNCATED, -2, "input ends too early")                                                   \
    X(ERR_TOO_LARGE, -3, "too large")                                                              \
    X(ERR_MAGIC, -4, "wrong magic number")                                                         \
    X(ERR_VERSION, -5, "unsupported version")                                                      \
    X(ERR_CHECKSUM, -6, "checksum does not match")                                                 \
    X(ERR_HASH, -7, "hash does not match")                                                         \
    X(ERR_SIGNATURE, -8, "signature does not verify")                                              \
    X(ERR_RANGE, -9, "value out of range")                                                         \
    X(ERR_SYNTAX, -10, "syntax error")                                                             \
    X(ERR_DUPLICATE, -11, "duplicate")                                                             \
    X(ERR_OVERLAP, -12, "regions overlap")                                                         \
    X(ERR_ALIGN, -13, "not aligned")                                                               \
    X(ERR_NOT_FOUND, -14, "not found")                                                             \
    X(ERR_NO_SPACE, -15, "no space left")                                                          \
    X(ERR_IO, -16, "input/output error")                                                           \
    X(ERR_STATE, -17, "not possible in this state")                                                \
    X(ERR_BUSY, -18, "busy")                                                                       \
    X(ERR_MISMATCH, -19, "does not match")                                                         \
    X(ERR_UNSUPPORTED, -20, "not supported")                                                       \
    X(ERR_NO_MEMORY, -21, "out of memory")                                                         \
    X(ERR_DENIED, -22, "not allowed")                                                              \
    X(ERR_TIMEOUT, -23, "timed out")

enum kedge_err {
#define X(name, value, text) KEDGE_##name = value,
    KEDGE_ERR_MAP(X)
#undef X
};

/** Text of an error code for a person; "unknown error" for a value outside the list. Static. */
const char *kedge_err_text(enum kedge_err err);

/**
 * What is wrong in a piece of input, and where. Filled by parsers on failure only.
 * Rendered for a person by whoever has a screen; no formatting on the device.
 */
struct kedge_fault {
    enum kedge_err err;
    uint32_t at;       /**< byte offset, or 1-based line for text formats */
    const char *what;  /**< the field or rule, static text: "segment length" */
    uint32_t found;    /**< value found, 0 where a number says nothing */
    uint32_t expected; /**< value, limit or multiple expected */
};

#ifdef __cplusplus
}
#endif
