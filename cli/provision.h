/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli.h"
#include "host/buf.h"
#include "kedge/partition.h"
#include "kedge/settings.h"

/* What makes a chip one certain device: the files of its storage partition, the entries of its nvs
 * partition, and both as images. formats/FORMATS.md: "device.json", "LittleFS image", "NVS image".
 */

/** The members of a device.json. What is left out stays the firmware's to choose: a later firmware
 *  may have better defaults. */
struct cli_device_settings {
    struct kedge_settings values;
    uint32_t rows; /**< those that are written */
};

struct cli_provision {
    /* given; borrowed */
    struct cli_device_settings settings;
    const char *wifi_ssid; /**< NULL = no Wi-Fi */
    uint32_t time_floor;   /**< Unix seconds */
    struct kedge_partition storage, nvs;
    /* read or made; owned */
    struct host_buf ca, certificate, key;
    struct host_buf wifi_password; /**< empty = an open network */
    struct host_buf device_json;
    struct host_buf nvs_csv; /**< as nvs_partition_gen.py takes it */
    uint8_t *storage_image;  /**< storage.size bytes */
    uint8_t *nvs_image;      /**< nvs.size bytes */
};

/** A file of the storage partition, by the name that it has there. */
struct cli_provision_file {
    const char *name;
    const struct host_buf *data; /**< borrowed from the struct cli_provision */
};
#define CLI_PROVISION_FILES 5u

/** All of the given set, of the others what is read: makes the rest. Errors are said to
 *  the user. */
enum cli_exit cli_provision_make(struct cli_provision *provision);
void cli_provision_files(const struct cli_provision *provision,
                         struct cli_provision_file files[CLI_PROVISION_FILES]);
/** Secrets are wiped. */
void cli_provision_free(struct cli_provision *provision);
