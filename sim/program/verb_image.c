/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <string.h>

#include "host/fs.h"
#include "sim/firmware.h"

#define IMAGE_LIMIT     0x1000000u
#define BEHAVIOUR_LIMIT (2u * SIM_FIRMWARE_TEXT_MAX)
#define FILE_MODE       0644u

struct image_options {
    bool help;
    char *version;
    char *chip;
    char *project;
    char *behaviour;
    char *out;
    uint64_t size;
    uint64_t secure_version;
};

#define FIELD(name) offsetof(struct image_options, name)

static const struct host_option rows[] = {
    {"version", HOST_OPTION_STRING, FIELD(version), NULL, 0, 0, HOST_OPTION_REQUIRED, "V",
     "version in the app descriptor"},
    {"chip", HOST_OPTION_STRING, FIELD(chip), "esp32", 0, 0, 0, "CHIP",
     "esp32, esp32s3, esp32c3 …"},
    {"project", HOST_OPTION_STRING, FIELD(project), "kedge-demo", 0, 0, 0, "NAME",
     "project name in the app descriptor"},
    {"secure-version", HOST_OPTION_UINT, FIELD(secure_version), NULL, 0, 32, 0, "N",
     "anti-rollback version"},
    {"size", HOST_OPTION_SIZE, FIELD(size), NULL, 0, IMAGE_LIMIT, 0, "BYTES",
     "size of the file, a multiple of 16; 0 = as small as possible"},
    {"behaviour", HOST_OPTION_STRING, FIELD(behaviour), NULL, 0, 0, 0, "KEY=VALUE …",
     "what the firmware does wrong; more pairs may follow"},
    {"out", HOST_OPTION_STRING, FIELD(out), NULL, 0, 0, HOST_OPTION_REQUIRED, "FILE",
     "where to write the image"},
    PROGRAM_HELP_ROW,
    {0},
};
static const struct host_option_set option_set = {.rows = rows};

static enum program_exit write_image(const struct image_options *options,
                                     const struct sim_image_spec *spec)
{
    struct host_buf image;
    struct kedge_fault fault;
    enum program_exit code = PROGRAM_OK;

    host_buf_init(&image, IMAGE_LIMIT);
    enum kedge_err err = sim_firmware_build(spec, &image, &fault);
    if (err != KEDGE_OK) {
        code = program_error(PROGRAM_USAGE, "%s %u: %s", fault.what, fault.at, kedge_err_text(err));
    } else if (host_fs_write_atomic(options->out, image.data, image.len, FILE_MODE) != KEDGE_OK) {
        code = program_error(PROGRAM_FAILED, "%s: cannot be written", options->out);
    }
    host_buf_free(&image);
    return code;
}

static enum program_exit run(const struct program_call *call)
{
    const struct image_options *options = call->options;
    struct host_buf behaviour;
    struct sim_image_spec spec = {.version = options->version,
                                  .project = options->project,
                                  .chip_id =
                                      kedge_chip_from_text(options->chip, strlen(options->chip)),
                                  .secure_version = (uint32_t)options->secure_version,
                                  .size_bytes = (uint32_t)options->size};
    if (spec.chip_id == KEDGE_CHIP_INVALID) {
        return program_error(PROGRAM_USAGE, "--chip: %s is not known", options->chip);
    }
    host_buf_init(&behaviour, BEHAVIOUR_LIMIT);
    if (options->behaviour != NULL) {
        host_buf_printf(&behaviour, "%s\n", options->behaviour);
    }
    for (size_t i = 0; i < call->arg_count; i++) {
        host_buf_printf(&behaviour, "%s\n", call->args[i]);
    }
    spec.behaviour = host_buf_text(&behaviour);
    enum program_exit code = write_image(options, &spec);
    host_buf_free(&behaviour);
    return code;
}

const struct program_verb verb_image = {
    .name = "image",
    .args = "[KEY=VALUE …]",
    .summary = "Write a demo firmware: a valid ESP app image that says what it does",
    .detail = "Behaviour keys: panic_at_boot_ms, hang_at_ms (the task watchdog resets 5 s later),\n"
              "restart_at_ms, free_heap, heap_leak_per_s (bytes), no_broker=1, no_server=1,\n"
              "storage_broken=1, self_test=fail.\n",
    .options = &option_set,
    .options_size = sizeof(struct image_options),
    .max_args = PROGRAM_MAX_ARGS,
    .run = run,
};
