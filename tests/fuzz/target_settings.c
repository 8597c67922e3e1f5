/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "kedge/settings.h"

static bool is_printable(const char *text)
{
    while (*text >= 0x20 && *text <= 0x7E) {
        text++;
    }
    return *text == '\0';
}

static struct kedge_settings defaults(void)
{
    struct kedge_settings settings;

    kedge_settings_defaults(&settings);
    memcpy(settings.device_id, "fuzz", 5);
    memcpy(settings.server_url, "https://a", 10);
    memcpy(settings.broker_host, "a", 2);
    return settings;
}

/* Every refusal can be told to a person, and has left the result alone. */
static void check_refusal(enum kedge_err err, const struct kedge_settings_faults *faults,
                          const struct kedge_settings *out)
{
    static const struct kedge_settings blank;

    FUZZ_CHECK(faults->count > 0 && faults->list[0].err == err);
    FUZZ_CHECK(memcmp(out, &blank, sizeof blank) == 0);
    for (uint32_t i = 0; i < faults->count && i < KEDGE_SETTINGS_FAULTS_MAX; i++) {
        char text[160];

        kedge_settings_fault_text(&faults->list[i], text, sizeof text);
        FUZZ_CHECK(strlen(text) > 3 && strlen(text) < sizeof text - 1 && is_printable(text));
        FUZZ_CHECK(faults->list[i].err != KEDGE_OK && faults->list[i].err != KEDGE_ERR_NOT_FOUND);
    }
}

static void check_same(const struct kedge_settings *settings, const struct kedge_settings *again)
{
    size_t count;
    const struct kedge_setting *rows = kedge_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        const struct kedge_setting *row = &rows[i];
        const char *before = (const char *)settings + row->at;
        const char *after = (const char *)again + row->at;

        FUZZ_CHECK(row->type == KEDGE_SETTING_TEXT ? strcmp(before, after) == 0
                                                   : memcmp(before, after, 4) == 0);
    }
}

/* What is taken is valid, can be written, and reads back the same; so does a file with no more
 * members than it had. */
static void check_taken(const struct kedge_settings *settings, const struct kedge_settings *base,
                        uint32_t given)
{
    const uint32_t sets[] = {KEDGE_SETTINGS_ALL, given};
    struct kedge_settings_faults faults;
    struct kedge_settings again;
    char json[KEDGE_SETTINGS_FILE_MAX];
    size_t len;

    FUZZ_CHECK(kedge_settings_check(settings, &faults) == KEDGE_OK);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        FUZZ_CHECK(kedge_settings_encode(settings, sets[i], json, sizeof json, &len) == KEDGE_OK);
        struct kedge_cspan span = {(const uint8_t *)json, len};

        FUZZ_CHECK(kedge_settings_parse(span, base, &again, &faults) == KEDGE_OK);
        FUZZ_CHECK((kedge_settings_rows(span) & ~sets[i]) == 0);
        check_same(settings, &again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kedge_settings base = defaults();
    struct kedge_settings settings;
    struct kedge_settings_faults faults;

    memset(&settings, 0, sizeof settings);
    enum kedge_err err =
        kedge_settings_parse((struct kedge_cspan){data, size}, &base, &settings, &faults);
    if (err == KEDGE_OK) {
        check_taken(&settings, &base, kedge_settings_rows((struct kedge_cspan){data, size}));
    } else {
        check_refusal(err, &faults, &settings);
    }
    return 0;
}
