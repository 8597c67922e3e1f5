/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli.h"
#include "kedge/partition.h"

/** A partition table, CSV or binary (*binary), read and checked by the rules. Errors are said to
 * the user as file:line or file: offset. CLI_NOT_FOUND when there is no such file. */
enum cli_exit cli_partition_read(const char *path, const struct kedge_partition_rules *rules,
                                 struct kedge_partition_table *table, bool *binary);
