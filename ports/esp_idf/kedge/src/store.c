/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

/* The journal: the first two sectors of partition "fleet", straight on flash. */

static bool holds(uint32_t offset, uint32_t len)
{
    const uint32_t size = KEDGE_STORE_SECTOR_COUNT * KEDGE_STORE_SECTOR_SIZE;

    return len <= size && offset <= size - len;
}

static enum kedge_err store_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    const struct port *port = ctx;

    return holds(offset, len)
               ? port_err("journal read", esp_partition_read(port->fleet, offset, out, len))
               : KEDGE_ERR_RANGE;
}

static enum kedge_err store_write(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
    const struct port *port = ctx;

    return holds(offset, len)
               ? port_err("journal write", esp_partition_write(port->fleet, offset, data, len))
               : KEDGE_ERR_RANGE;
}

static enum kedge_err store_erase(void *ctx, uint32_t sector)
{
    const struct port *port = ctx;

    return sector < KEDGE_STORE_SECTOR_COUNT
               ? port_err("journal erase",
                          esp_partition_erase_range(port->fleet, sector * KEDGE_STORE_SECTOR_SIZE,
                                                    KEDGE_STORE_SECTOR_SIZE))
               : KEDGE_ERR_RANGE;
}

const struct kedge_plat_store port_store = {
    .read = store_read, .write = store_write, .erase = store_erase};
