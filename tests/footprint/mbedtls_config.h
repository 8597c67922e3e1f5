/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Debian's mbedTLS without its threads, which a bare-metal compiler has no header for. */
#include <mbedtls/config.h>
#undef MBEDTLS_THREADING_C
#undef MBEDTLS_THREADING_PTHREAD
