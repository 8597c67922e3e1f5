/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <inttypes.h>

#include <cjson/cJSON.h>

#include "fault.h"
#include "host/buf.h"
#include "kedge/crypto.h"
#include "kedge/image.h"
#include "kedge/sigblock.h"

#define IMAGE_FILE_MAX (64u * 1024u * 1024u)
#define HEX_SIZE       (2u * KEDGE_SHA256_SIZE + 1u)

/* One verified or refused signature block. */
struct signature {
    const char *scheme;
    enum kedge_err result;
    char key_digest[HEX_SIZE];
};

struct report {
    const char *path;
    struct kedge_image_info info;
    char file_sha256[HEX_SIZE];
    uint32_t signature_count;
    struct signature signatures[KEDGE_SIG_MAX_BLOCKS];
};

static const char *chip_name(const struct report *report)
{
    const char *name = kedge_chip_text(report->info.chip_id);
    return name != NULL ? name : "unknown";
}

static enum kedge_err parse_image(struct kedge_cspan bytes, struct report *report)
{
    struct kedge_image_parser parser;
    struct kedge_sha256 sha;
    kedge_image_parser_init(&parser, &kedge_sha256_ops, &sha);
    enum kedge_err err = kedge_image_parser_feed(&parser, bytes);
    if (err == KEDGE_OK) {
        err = kedge_image_parser_end(&parser, &report->info);
    }
    if (err != KEDGE_OK) {
        cli_fault_offset(report->path, &parser.fault);
    }
    return err;
}

/* A file with a trailer ends in a signature sector (Secure Boot V2). */
static enum kedge_err check_signatures(struct kedge_cspan bytes, struct report *report)
{
    uint8_t image_digest[KEDGE_SHA256_SIZE];
    struct kedge_sig_sector sector;
    struct kedge_fault fault = {0};
    if (report->info.trailer_len < KEDGE_SIG_SECTOR_SIZE) {
        return KEDGE_OK;
    }
    size_t signed_len = bytes.len - KEDGE_SIG_SECTOR_SIZE;
    struct kedge_cspan tail = {bytes.data + signed_len, KEDGE_SIG_SECTOR_SIZE};
    enum kedge_err err = kedge_sig_parse(tail, &sector, &fault);
    if (err == KEDGE_ERR_MAGIC) {
        return KEDGE_OK; /* padded, but not signed yet */
    }
    if (err != KEDGE_OK) {
        fault.at += (uint32_t)signed_len;
        cli_fault_offset(report->path, &fault);
        return err;
    }
    kedge_sha256_of(bytes.data, signed_len, image_digest);
    for (uint32_t i = 0; i < sector.count; i++) {
        uint8_t key_digest[KEDGE_SHA256_SIZE] = {0};
        struct signature *signature = &report->signatures[report->signature_count++];
        signature->scheme =
            sector.blocks[i].scheme == KEDGE_SIG_RSA_3072 ? "rsa-3072-pss" : "ecdsa-p256";
        signature->result = kedge_sig_verify(&sector.blocks[i], image_digest, key_digest);
        kedge_hex_encode(key_digest, sizeof(key_digest), signature->key_digest);
        if (signature->result != KEDGE_OK) {
            cli_error(CLI_FAILED, "%s: signature %" PRIu32 ": %s", report->path, i + 1,
                      kedge_err_text(signature->result));
            err = signature->result;
        }
    }
    return err;
}

static void print_json(const struct report *report)
{
    const struct kedge_image_info *info = &report->info;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "file", report->path);
    cJSON_AddStringToObject(object, "chip", chip_name(report));
    cJSON_AddStringToObject(object, "version", info->desc.version);
    cJSON_AddStringToObject(object, "project", info->desc.project);
    cJSON_AddNumberToObject(object, "secure_version", info->desc.secure_version);
    cJSON_AddStringToObject(object, "idf_version", info->desc.idf_version);
    cJSON_AddStringToObject(object, "built_date", info->desc.date);
    cJSON_AddStringToObject(object, "built_time", info->desc.time);
    cJSON_AddNumberToObject(object, "segments", info->segment_count);
    cJSON_AddNumberToObject(object, "image_size", info->image_len);
    cJSON_AddNumberToObject(object, "size", (double)info->image_len + info->trailer_len);
    cJSON_AddBoolToObject(object, "has_hash", info->has_hash);
    cJSON_AddStringToObject(object, "sha256", report->file_sha256);
    cJSON *signatures = cJSON_AddArrayToObject(object, "signatures");
    for (uint32_t i = 0; i < report->signature_count; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "scheme", report->signatures[i].scheme);
        cJSON_AddStringToObject(item, "key_digest", report->signatures[i].key_digest);
        cJSON_AddBoolToObject(item, "valid", report->signatures[i].result == KEDGE_OK);
        cJSON_AddItemToArray(signatures, item);
    }
    char *text = cJSON_PrintUnformatted(object);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void print_text(const struct report *report)
{
    const struct kedge_image_info *info = &report->info;
    printf("%s\n", report->path);
    printf("  chip            %s\n", chip_name(report));
    printf("  version         %s\n", info->desc.version);
    printf("  project         %s\n", info->desc.project);
    printf("  secure version  %" PRIu32 "\n", info->desc.secure_version);
    printf("  built           %s %s with ESP-IDF %s\n", info->desc.date, info->desc.time,
           info->desc.idf_version);
    printf("  size            %" PRIu32 " bytes in %u segments", info->image_len,
           info->segment_count);
    if (info->trailer_len != 0) {
        printf(", %" PRIu32 " more of padding and signature", info->trailer_len);
    }
    printf("\n  checks          checksum%s\n",
           info->has_hash ? " and appended SHA-256" : "; the image has no appended SHA-256");
    printf("  file SHA-256    %s\n", report->file_sha256);
    if (report->signature_count == 0) {
        printf("  signature       none\n");
    }
    for (uint32_t i = 0; i < report->signature_count; i++) {
        const struct signature *signature = &report->signatures[i];
        printf("  signature %u     %s, %s, key %s\n", i + 1, signature->scheme,
               signature->result == KEDGE_OK ? "valid" : kedge_err_text(signature->result),
               signature->key_digest);
    }
}

static enum cli_exit inspect(struct kedge_cspan bytes, struct report *report, bool json)
{
    uint8_t digest[KEDGE_SHA256_SIZE];
    if (parse_image(bytes, report) != KEDGE_OK) {
        return CLI_FAILED;
    }
    kedge_sha256_of(bytes.data, bytes.len, digest);
    kedge_hex_encode(digest, sizeof(digest), report->file_sha256);
    enum kedge_err err = check_signatures(bytes, report);
    if (json) {
        print_json(report);
    } else {
        print_text(report);
    }
    return err == KEDGE_OK ? CLI_OK : CLI_FAILED;
}

static enum cli_exit run(const struct cli_call *call)
{
    struct report report = {.path = call->args[0]};
    struct host_buf buf;
    enum cli_exit code = cli_read_file(report.path, IMAGE_FILE_MAX, &buf);
    if (code == CLI_OK) {
        struct kedge_cspan bytes = {(const uint8_t *)host_buf_text(&buf), buf.len};
        code = inspect(bytes, &report, call->common->json);
    }
    host_buf_free(&buf);
    return code;
}

const struct cli_verb cli_image_info = {
    .noun = "image",
    .action = "info",
    .args = "FILE",
    .summary = "Check an ESP application image and show what it says of itself",
    .detail = "Checks header, segments, checksum, appended SHA-256 and every Secure Boot V2\n"
              "signature. What is wrong is said with its byte offset.",
    .options = &cli_plain_options,
    .options_size = sizeof(struct cli_plain_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
