/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "kedge/settings_files.h"

static void the_agents_config_is_set_and_the_rest_of_it_left(void **state)
{
    struct kedge_settings settings;
    struct kedge_config config = {.rearm_max = 7, .backoff_cap_ms = 9};

    (void)state;
    kedge_settings_defaults(&settings);
    settings.verdict_deadline_s = 86400;
    settings.poll_interval_s = 61;
    settings.telemetry_interval_s = 62;
    settings.trial_deadline_s = 63;
    settings.trial_soak_s = 64;
    settings.heap_floor_bytes = 50000;
    settings.log_level = KEDGE_LOG_WARN;
    kedge_settings_config(&settings, &config);

    assert_ptr_equal(config.device_id, settings.device_id);
    assert_null(config.project);
    assert_int_equal(config.poll_interval_ms, 61000);
    assert_int_equal(config.telemetry_interval_ms, 62000);
    assert_int_equal(config.trial_deadline_ms, 63000);
    assert_int_equal(config.trial_soak_ms, 64000);
    assert_int_equal(config.verdict_deadline_ms, 86400000);
    assert_int_equal(config.heap_floor_bytes, 50000);
    assert_int_equal(config.log_level, KEDGE_LOG_WARN);
    assert_int_equal(config.rearm_max, 7);
    assert_int_equal(config.backoff_cap_ms, 9);

    settings.project[0] = 'p';
    kedge_settings_config(&settings, &config);
    assert_string_equal(config.project, "p");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agents_config_is_set_and_the_rest_of_it_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
