/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cmocka.h wants these four before it, in this order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#define CASES(table) (sizeof(table) / sizeof((table)[0]))
