/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/partition.h"
#include "sdkconfig.h"

enum cli_sdk_severity {
    CLI_SDK_BRICK, /**< a device can end so that no update reaches it any more */
    CLI_SDK_OPEN,  /**< somebody else can read it, or make it run what we did not release */
    CLI_SDK_WEAK   /**< a fault is found late or leaves no trace */
};
#define CLI_SDK_SEVERITIES 3u
/** "brick", "open", "weak". Static. */
const char *cli_sdk_severity_name(enum cli_sdk_severity severity);

/** What the configuration is for: dev leaves out what burns eFuses. */
enum cli_sdk_profile {
    CLI_SDK_PROD,
    CLI_SDK_DEV
};

enum cli_sdk_rule_kind {
    CLI_SDK_MUST,     /**< be y */
    CLI_SDK_MUST_NOT, /**< be y */
    CLI_SDK_TEST      /**< is_wrong says */
};

/** Rows end at option NULL. */
struct cli_sdk_rule {
    enum cli_sdk_severity severity;
    enum cli_sdk_rule_kind kind;
    bool prod_only;
    bool without_table; /**< the check of a partition table says it better */
    unsigned targets;   /**< 0 = all */
    const char *when;   /**< only while this option is on; NULL = always */
    const char *option; /**< what is asked for, or named when is_wrong says so */
    bool (*is_wrong)(const struct cli_sdk_config *config);
    const char *fix; /**< lines, '\n' between them */
    const char *why; /**< one line */
};
extern const struct cli_sdk_rule cli_sdk_rules[];

/** Bytes of flash in the image header; 0 = not said. */
uint32_t cli_sdk_flash_size(const struct cli_sdk_config *config);

struct cli_sdk_finding {
    enum cli_sdk_severity severity;
    char subject[80]; /**< "CONFIG_SECURE_BOOT", "partition nvs_keys" */
    char found[96];   /**< "is not set" */
    const char *file; /**< borrowed from who set it; NULL = ESP-IDF's default */
    uint32_t line;    /**< 0 = the file as a whole */
    char fix[320];    /**< the lines to write, '\n' between them */
    const char *why;  /**< static */
};

/** More than there are rules. */
#define CLI_SDK_FINDINGS_MAX 128u
struct cli_sdk_findings {
    size_t count;
    struct cli_sdk_finding list[CLI_SDK_FINDINGS_MAX];
};

/** The rules on options. has_table: the partition table is checked too, against the flash size. */
void cli_sdk_check(const struct cli_sdk_config *config, enum cli_sdk_profile profile,
                   bool has_table, struct cli_sdk_findings *findings);

/** What `kedge partition check` has to ask of this configuration's table. */
struct kedge_partition_rules cli_sdk_table_rules(const struct cli_sdk_config *config);
/** The table itself is wrong: text is what the partition check says. file is borrowed. */
void cli_sdk_table_fault(const struct kedge_partition_rules *rules, const char *file, uint32_t line,
                         const char *text, struct cli_sdk_findings *findings);
/** The rules on a table that passed the partition check. file is borrowed. */
void cli_sdk_check_table(const struct cli_sdk_config *config,
                         const struct kedge_partition_table *table, const char *file,
                         struct cli_sdk_findings *findings);

/** One more; when the list is full, the last one again. */
struct cli_sdk_finding *cli_sdk_findings_add(struct cli_sdk_findings *findings,
                                             enum cli_sdk_severity severity, const char *why,
                                             const char *fix);
