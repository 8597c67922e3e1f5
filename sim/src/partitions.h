/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** Text of firmware/partitions.csv, generated at build time. */
extern const char sim_partitions_csv[];
