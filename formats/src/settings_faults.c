/* SPDX-License-Identifier: Apache-2.0 */
#include "settings_faults.h"

#include "kedge/text.h"

void settings_add_fault(struct kedge_settings_faults *faults, struct kedge_settings_fault fault,
                        const void *name, size_t len)
{
    const char *from = name;
    size_t room = sizeof fault.member - 1;

    if (faults->count < KEDGE_SETTINGS_FAULTS_MAX) {
        for (size_t i = 0; i < len && i < room; i++) {
            bool is_printable = from[i] >= 0x20 && from[i] <= 0x7E;

            fault.member[i] = is_printable ? from[i] : '?';
        }
        fault.member[len < room ? len : room] = '\0';
        faults->list[faults->count] = fault;
    }
    faults->count++;
}

enum kedge_err settings_verdict(const struct kedge_settings_faults *faults)
{
    return faults->count == 0 ? KEDGE_OK : faults->list[0].err;
}

/* A bound of a row, thousandths as a decimal number. */
static void add_bound(struct kedge_text *text, const struct kedge_setting *setting, int32_t bound)
{
    bool is_decimal = setting->type == KEDGE_SETTING_DECIMAL;
    uint32_t magnitude = bound < 0 ? 0u - (uint32_t)bound : (uint32_t)bound;
    uint32_t rest = is_decimal ? magnitude % 1000u : 0;

    kedge_text_add(text, bound < 0 ? "-" : "");
    kedge_text_add_u32(text, is_decimal ? magnitude / 1000u : magnitude);
    if (rest != 0) {
        kedge_text_add(text, rest < 10 ? ".00" : rest < 100 ? ".0" : ".");
        while (rest % 10u == 0) {
            rest /= 10u;
        }
        kedge_text_add_u32(text, rest);
    }
}

static void add_expected(struct kedge_text *text, const struct kedge_setting *setting)
{
    kedge_text_add(text, ", expected ");
    if (setting->form != NULL) {
        kedge_text_add(text, setting->form);
        return;
    }
    kedge_text_add(text, setting->type == KEDGE_SETTING_DECIMAL ? "a number " : "a whole number ");
    add_bound(text, setting, setting->min);
    kedge_text_add(text, "..");
    add_bound(text, setting, setting->max);
}

void kedge_settings_fault_text(const struct kedge_settings_fault *fault, char *out, size_t size)
{
    struct kedge_text text = kedge_text_begin(out, size);

    if (fault->line != 0) {
        kedge_text_add(&text, "line ");
        kedge_text_add_u32(&text, fault->line);
        kedge_text_add(&text, ": ");
    }
    if (fault->member[0] != '\0') {
        kedge_text_add(&text, fault->member);
        kedge_text_add(&text, ": ");
    }
    kedge_text_add(&text, fault->what);
    if (fault->setting != NULL) {
        add_expected(&text, fault->setting);
    }
}
