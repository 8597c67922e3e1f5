/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "sdkconfig_rules.h"

const char *cli_sdk_severity_name(enum cli_sdk_severity severity)
{
    static const char *const names[CLI_SDK_SEVERITIES] = {
        [CLI_SDK_BRICK] = "brick", [CLI_SDK_OPEN] = "open", [CLI_SDK_WEAK] = "weak"};
    return names[severity];
}

struct cli_sdk_finding *cli_sdk_findings_add(struct cli_sdk_findings *findings,
                                             enum cli_sdk_severity severity, const char *why,
                                             const char *fix)
{
    findings->count += findings->count < CLI_SDK_FINDINGS_MAX;
    struct cli_sdk_finding *finding = &findings->list[findings->count - 1];
    *finding = (struct cli_sdk_finding){.severity = severity, .why = why};
    snprintf(finding->fix, sizeof(finding->fix), "%s", fix);
    return finding;
}

/* What is not ASCII shows as '?'. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        *text = *text == '\n' || (*text >= 0x20 && *text <= 0x7E) ? *text : '?';
    }
}

/* "is y", "is 0x8000", "is not set", "is not set: CONFIG_<other of the choice> is". */
static void say_value(const char *value, const struct cli_sdk_option *chosen, char *out,
                      size_t size)
{
    if (value[0] != '\0' && strcmp(value, "n") != 0) {
        snprintf(out, size, "is %.60s", value);
    } else if (chosen != NULL) {
        snprintf(out, size, "is not set: CONFIG_%.60s is", chosen->name);
    } else {
        snprintf(out, size, "is not set");
    }
    make_printable(out);
}

static void add_option(const struct cli_sdk_config *config, const struct cli_sdk_rule *rule,
                       struct cli_sdk_findings *findings)
{
    const struct cli_sdk_option *chosen = cli_sdk_chosen(config, rule->option);
    const struct cli_sdk_option *option =
        chosen != NULL ? chosen : cli_sdk_find(config, rule->option);
    struct cli_sdk_finding *finding =
        cli_sdk_findings_add(findings, rule->severity, rule->why, rule->fix);
    snprintf(finding->subject, sizeof(finding->subject), "CONFIG_%s", rule->option);
    say_value(cli_sdk_value(config, rule->option), chosen, finding->found, sizeof(finding->found));
    if (option != NULL) {
        finding->file = option->file;
        finding->line = option->line;
    }
}

static bool applies(const struct cli_sdk_config *config, enum cli_sdk_profile profile,
                    const struct cli_sdk_rule *rule)
{
    return (!rule->prod_only || profile == CLI_SDK_PROD) &&
           (rule->targets == 0 || (rule->targets & config->target) != 0) &&
           (rule->when == NULL || cli_sdk_is_on(config, rule->when));
}

static bool is_broken(const struct cli_sdk_config *config, const struct cli_sdk_rule *rule)
{
    switch (rule->kind) {
    case CLI_SDK_MUST:
        return !cli_sdk_is_on(config, rule->option);
    case CLI_SDK_MUST_NOT:
        return cli_sdk_is_on(config, rule->option);
    case CLI_SDK_TEST:
        return rule->is_wrong(config);
    }
    return false;
}

static void add_old_name(const struct cli_sdk_renamed *row, const struct cli_sdk_option *option,
                         struct cli_sdk_findings *findings)
{
    struct cli_sdk_finding *finding = cli_sdk_findings_add(
        findings, CLI_SDK_WEAK, "ESP-IDF renames it without an error, and drops it one day", "");
    snprintf(finding->subject, sizeof(finding->subject), "CONFIG_%s", row->old_name);
    snprintf(finding->found, sizeof(finding->found), "is an old name of CONFIG_%s", row->name);
    if (row->fix != NULL) {
        snprintf(finding->fix, sizeof(finding->fix), "%s", row->fix);
    } else {
        snprintf(finding->fix, sizeof(finding->fix), "CONFIG_%s=%.60s", row->name, option->value);
    }
    make_printable(finding->fix);
    finding->file = option->file;
    finding->line = option->line;
}

/* Old names in a file that a person wrote: each once, where it is set last. */
static void check_old_names(const struct cli_sdk_config *config, struct cli_sdk_findings *findings)
{
    for (const struct cli_sdk_renamed *row = cli_sdk_renamed; row->old_name != NULL; row++) {
        for (size_t i = config->count; i > 0; i--) {
            if (config->options[i - 1].old_name == row->old_name) {
                add_old_name(row, &config->options[i - 1], findings);
                break;
            }
        }
    }
}

void cli_sdk_check(const struct cli_sdk_config *config, enum cli_sdk_profile profile,
                   bool has_table, struct cli_sdk_findings *findings)
{
    for (const struct cli_sdk_rule *rule = cli_sdk_rules; rule->option != NULL; rule++) {
        bool left_to_table = has_table && rule->without_table;
        if (!left_to_table && applies(config, profile, rule) && is_broken(config, rule)) {
            add_option(config, rule, findings);
        }
    }
    check_old_names(config, findings);
}
