/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kedge/bytes.h"
#include "kedge/err.h"
#include "kedge/message.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Configuration outside firmware: device.json, a flat JSON object whose members are the rows of one
 * table (formats/FORMATS.md, "device.json"). Unknown members are errors: a typo must not pass for
 * a default. Where the file is kept and what the agent does with it is in device/, in
 * kedge/settings_files.h.
 */
#define KEDGE_SETTINGS_FILE         "device.json"
#define KEDGE_SETTINGS_NEW_FILE     "device.json.new" /**< of a replace under way; never read */
#define KEDGE_SETTINGS_FACTORY_FILE "factory.json"

#define KEDGE_SETTINGS_SCHEMA   1u
#define KEDGE_SETTINGS_FILE_MAX 2048u /**< longest file we take; ours are under 1200 bytes */

#define KEDGE_SETTINGS_HOST_SIZE 128u
#define KEDGE_SETTINGS_URL_SIZE  144u /**< https://, a host, a port */
#define KEDGE_SETTINGS_NAME_SIZE 32u  /**< of members, and of files */

/** 508 bytes. Texts end with NUL. */
struct kedge_settings {
    /* identity */
    char device_id[KEDGE_DEVICE_ID_SIZE];
    char project[KEDGE_DESC_STRING_SIZE]; /**< "" = that of the running image */
    /* who it talks to */
    char server_url[KEDGE_SETTINGS_URL_SIZE]; /**< https://host or https://host:port */
    char broker_host[KEDGE_SETTINGS_HOST_SIZE];
    uint32_t broker_port;
    /* files on the storage partition, PEM */
    char ca_file[KEDGE_SETTINGS_NAME_SIZE];
    char certificate_file[KEDGE_SETTINGS_NAME_SIZE];
    char key_file[KEDGE_SETTINGS_NAME_SIZE];
    /* the agent: FORMATS.md says what they set */
    uint32_t poll_interval_s;
    uint32_t telemetry_interval_s;
    uint32_t trial_deadline_s;
    uint32_t trial_soak_s;
    uint32_t verdict_deadline_s;
    uint32_t heap_floor_bytes;
    uint32_t log_level; /**< enum kedge_log_level, ERROR..DEBUG */
    /* calibration: kedge_settings_temperature_mc */
    int32_t temperature_offset_mc; /**< thousandths of a degree */
    int32_t temperature_scale_m;   /**< thousandths; 1000 = as measured */
};

enum kedge_setting_type {
    KEDGE_SETTING_TEXT,
    KEDGE_SETTING_CHOICE,  /**< JSON text, kept as min + its index in choices */
    KEDGE_SETTING_INTEGER, /**< uint32_t */
    KEDGE_SETTING_DECIMAL /**< JSON number with up to three decimals, kept as int32_t thousandths */
};

/** A row of the table: all there is to know about one member. */
struct kedge_setting {
    const char *name;
    enum kedge_setting_type type;
    uint16_t at;                 /**< offset in struct kedge_settings */
    uint16_t size;               /**< TEXT: of the buffer there */
    bool (*is_ok)(const char *); /**< TEXT: rule beside the size; NULL = none */
    const char *form;            /**< TEXT, CHOICE: what it must be, for a person */
    const char *const *choices;  /**< CHOICE: max - min + 1 texts */
    int32_t min, max;            /**< all but TEXT, both allowed; DECIMAL in thousandths */
    int32_t fallback;            /**< all but TEXT: when absent */
    const char *fallback_text;   /**< TEXT: the same; "" = the application has to say */
};

/** The table, static. "schema" is not in it: every file has it, no setting is behind it. */
const struct kedge_setting *kedge_settings_table(size_t *count);

/** Sets of rows: bit i is row i of the table. */
#define KEDGE_SETTINGS_ALL UINT32_MAX
/** The set of one member; empty when no row has that name. */
uint32_t kedge_settings_row(const char *name);
/** The rows that a file has: tells a member that is absent from one that says its default. Empty
 *  when it is no JSON object. */
uint32_t kedge_settings_rows(struct kedge_cspan json);

/** One problem. Rendered by kedge_settings_fault_text. */
struct kedge_settings_fault {
    enum kedge_err err;
    uint32_t line;                         /**< 1-based; 0 = none, or the whole file */
    const char *what;                      /**< static: "out of range" */
    const struct kedge_setting *setting;   /**< what was expected; NULL = no such member */
    char member[KEDGE_SETTINGS_NAME_SIZE]; /**< printable, perhaps cut; "" = none in particular */
};

#define KEDGE_SETTINGS_FAULTS_MAX 6u

struct kedge_settings_faults {
    uint32_t count; /**< problems found; those over KEDGE_SETTINGS_FAULTS_MAX are not listed */
    struct kedge_settings_fault list[KEDGE_SETTINGS_FAULTS_MAX];
};

/** "line 4: poll_interval_s: out of range, expected a whole number 10..86400" with NUL into out,
 *  cut if need be; 160 bytes hold the longest. size > 0. */
void kedge_settings_fault_text(const struct kedge_settings_fault *fault, char *out, size_t size);

/** What the table says. device_id, server_url and broker_host are then "": an application that
 *  wants defaults to load with sets these three, and whatever else it likes. */
void kedge_settings_defaults(struct kedge_settings *out);

/** Are these settings such as parse would take? faults is always written. Errors: that of the first
 *  fault: RANGE. */
KEDGE_NODISCARD enum kedge_err kedge_settings_check(const struct kedge_settings *settings,
                                                    struct kedge_settings_faults *faults);

/**
 * Read a file. Members that are absent are as in defaults; where those pass check, *out does. *out
 * only on success and may be *defaults; faults is always written, with every problem there is
 * unless the JSON itself is broken or the schema is not ours: then with that one. Errors: that of
 * the first fault: TOO_LARGE, SYNTAX, DUPLICATE, VERSION (schema absent or not ours), UNSUPPORTED
 * (unknown member), RANGE; never NOT_FOUND, which is for a file that is not there.
 */
KEDGE_NODISCARD enum kedge_err kedge_settings_parse(struct kedge_cspan json,
                                                    const struct kedge_settings *defaults,
                                                    struct kedge_settings *out,
                                                    struct kedge_settings_faults *faults);

/** The schema and the members of these rows, as JSON with NUL into out; KEDGE_SETTINGS_FILE_MAX
 *  always suffices. Errors: ARG (check fails), NO_SPACE. */
KEDGE_NODISCARD enum kedge_err kedge_settings_encode(const struct kedge_settings *settings,
                                                     uint32_t rows, char *out, size_t size,
                                                     size_t *len_out);

/** A measured temperature, calibrated: raw * scale + offset, in thousandths of a degree Celsius. */
int32_t kedge_settings_temperature_mc(const struct kedge_settings *settings, int32_t raw_mc);

#ifdef __cplusplus
}
#endif
