/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "sdkconfig_rules.h"

static bool is_printable(const char *text)
{
    while (*text == '\n' || (*text >= 0x20 && *text <= 0x7E)) {
        text++;
    }
    return *text == '\0';
}

/* An option written out again is the same option. */
static void check_again(const struct cli_sdk_line *line)
{
    static char text[CLI_SDK_LINE_MAX + 64];
    struct cli_sdk_reader reader;
    struct cli_sdk_line again;
    size_t len = 0;

    memcpy(text, "CONFIG_", 7);
    len = 7;
    memcpy(text + len, line->name.data, line->name.len);
    len += line->name.len;
    text[len++] = '=';
    memcpy(text + len, line->value.data, line->value.len);
    len += line->value.len;
    cli_sdk_reader_init(&reader, (struct kedge_cspan){(const uint8_t *)text, len});
    FUZZ_CHECK(cli_sdk_reader_next(&reader, &again) && again.wrong == NULL);
    FUZZ_CHECK(again.name.len == line->name.len && again.value.len == line->value.len);
    FUZZ_CHECK(memcmp(again.value.data, line->value.data, line->value.len) == 0);
}

static void check_findings(const struct cli_sdk_config *config, enum cli_sdk_profile profile)
{
    struct cli_sdk_findings *findings = calloc(1, sizeof(*findings));

    FUZZ_CHECK(findings != NULL);
    cli_sdk_check(config, profile, false, findings);
    FUZZ_CHECK(findings->count < CLI_SDK_FINDINGS_MAX);
    for (size_t i = 0; i < findings->count; i++) {
        const struct cli_sdk_finding *finding = &findings->list[i];

        FUZZ_CHECK(finding->subject[0] != '\0' && is_printable(finding->subject));
        FUZZ_CHECK(finding->found[0] != '\0' && is_printable(finding->found));
        FUZZ_CHECK(finding->fix[0] != '\0' && is_printable(finding->fix));
        FUZZ_CHECK(finding->why != NULL && (finding->file != NULL) == (finding->line != 0));
    }
    free(findings);
}

/* Every line is an option or says what is wrong with it; every finding can be shown to a person. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cli_sdk_config config = {0};
    struct cli_sdk_reader reader;
    struct cli_sdk_line line;
    uint32_t last = 0;
    char text[64];

    cli_sdk_reader_init(&reader, (struct kedge_cspan){data, size});
    while (cli_sdk_reader_next(&reader, &line)) {
        FUZZ_CHECK(line.number > last && (line.wrong == NULL) == (line.expected == NULL));
        last = line.number;
        if (line.wrong == NULL) {
            check_again(&line);
            FUZZ_CHECK(cli_sdk_config_add(&config, "fuzz", &line) == KEDGE_OK);
        }
    }
    FUZZ_CHECK(last <= size + 1);
    for (unsigned target = CLI_SDK_ESP32; target <= CLI_SDK_ESP32C3; target <<= 1) {
        config.target = target;
        check_findings(&config, target == CLI_SDK_ESP32S3 ? CLI_SDK_DEV : CLI_SDK_PROD);
    }
    (void)!cli_sdk_text(&config, "PARTITION_TABLE_CUSTOM_FILENAME", text, sizeof(text));
    cli_sdk_config_free(&config);
    return 0;
}
