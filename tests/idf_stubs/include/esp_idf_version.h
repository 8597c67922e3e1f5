/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define ESP_IDF_VERSION_VAL(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define ESP_IDF_VERSION                          ESP_IDF_VERSION_VAL(STUB_IDF_MAJOR, STUB_IDF_MINOR, 0)
