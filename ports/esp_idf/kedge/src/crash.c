/* SPDX-License-Identifier: Apache-2.0 */
#include "compat.h"
#include "port.h"

/* The core dump in partition "coredump", which ESP-IDF writes on a panic. */

static bool crash_describe(void *ctx, struct kedge_crash *out)
{
    struct port *port = ctx;

    port->coredump = esp_partition_find_first(ESP_PARTITION_TYPE_DATA,
                                              ESP_PARTITION_SUBTYPE_DATA_COREDUMP, NULL);
    return port->coredump != NULL && compat_crash_describe(out);
}

static enum kedge_err crash_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    const struct port *port = ctx;

    if (port->coredump == NULL || len > port->coredump->size ||
        offset > port->coredump->size - len) {
        return KEDGE_ERR_RANGE;
    }
    return port_err("core dump read", esp_partition_read(port->coredump, offset, out, len));
}

static enum kedge_err crash_erase(void *ctx)
{
    (void)ctx;
    return port_err("core dump erase", compat_crash_erase());
}

const struct kedge_plat_crash port_crash = {
    .describe = crash_describe, .read = crash_read, .erase = crash_erase};
