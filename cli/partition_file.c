/* SPDX-License-Identifier: Apache-2.0 */
#include "partition_file.h"

#include "fault.h"
#include "kedge/crypto.h"

#define CSV_MAX (256u * 1024u)

/* A binary table starts with an entry's magic or the MD5 row's; no CSV starts so. */
static bool is_binary(const struct host_buf *file)
{
    const uint8_t *data = (const uint8_t *)host_buf_text(file);
    return file->len >= 2 &&
           ((data[0] == 0xAA && data[1] == 0x50) || (data[0] == 0xEB && data[1] == 0xEB) ||
            (data[0] == 0xFF && data[1] == 0xFF));
}

static enum cli_exit parse_binary(const char *path, const struct host_buf *file,
                                  const struct kedge_partition_rules *rules,
                                  struct kedge_partition_table *table)
{
    struct kedge_md5 md5;
    struct kedge_fault fault = {0};
    struct kedge_cspan bytes = {(const uint8_t *)host_buf_text(file), file->len};
    enum kedge_err err = kedge_partition_parse_binary(bytes, &kedge_md5_ops, &md5, table, &fault);
    if (err == KEDGE_OK) {
        err = kedge_partition_check(table, rules, &fault);
    }
    if (err != KEDGE_OK) {
        cli_fault_offset(path, &fault);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static enum cli_exit parse_csv(const char *path, const struct host_buf *file,
                               const struct kedge_partition_rules *rules,
                               struct kedge_partition_table *table)
{
    struct kedge_fault fault = {0};
    if (kedge_partition_parse_csv(host_buf_text(file), file->len, rules, table, &fault) !=
        KEDGE_OK) {
        cli_fault_line(path, &fault);
        return CLI_FAILED;
    }
    return CLI_OK;
}

enum cli_exit cli_partition_read(const char *path, const struct kedge_partition_rules *rules,
                                 struct kedge_partition_table *table, bool *binary)
{
    struct host_buf file;
    enum cli_exit code = cli_read_file(path, CSV_MAX, &file);
    if (code == CLI_OK) {
        *binary = is_binary(&file);
        code = *binary ? parse_binary(path, &file, rules, table)
                       : parse_csv(path, &file, rules, table);
    }
    host_buf_free(&file);
    return code;
}
