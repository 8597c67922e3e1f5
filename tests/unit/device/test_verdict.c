/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdbool.h>

#include "backoff.h"
#include "verdict.h"

static void every_reset_reason_has_its_cause(void **state)
{
    static const struct {
        enum kedge_reset reason;
        enum kedge_cause cause;
    } rows[] = {
        {KEDGE_RESET_POWERON, KEDGE_CAUSE_POWER},     {KEDGE_RESET_BROWNOUT, KEDGE_CAUSE_POWER},
        {KEDGE_RESET_PWR_GLITCH, KEDGE_CAUSE_POWER},  {KEDGE_RESET_PANIC, KEDGE_CAUSE_PANIC},
        {KEDGE_RESET_CPU_LOCKUP, KEDGE_CAUSE_PANIC},  {KEDGE_RESET_INT_WDT, KEDGE_CAUSE_WATCHDOG},
        {KEDGE_RESET_TASK_WDT, KEDGE_CAUSE_WATCHDOG}, {KEDGE_RESET_WDT, KEDGE_CAUSE_WATCHDOG},
        {KEDGE_RESET_SW, KEDGE_CAUSE_RESTART},        {KEDGE_RESET_DEEPSLEEP, KEDGE_CAUSE_RESTART},
        {KEDGE_RESET_UNKNOWN, KEDGE_CAUSE_RESTART},   {KEDGE_RESET_EXT, KEDGE_CAUSE_POWER},
        {KEDGE_RESET_USB, KEDGE_CAUSE_POWER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(verdict_cause_of_reset(rows[i].reason), rows[i].cause);
    }
}

static void the_verdict_follows_the_cause(void **state)
{
    static const struct {
        enum kedge_cause cause;
        bool connected, deadline_over;
        uint32_t rearms;
        enum verdict verdict;
    } rows[] = {
        /* the image is to blame, whatever else is true */
        {KEDGE_CAUSE_PANIC, false, false, 0, VERDICT_BAD},
        {KEDGE_CAUSE_WATCHDOG, true, true, 0, VERDICT_BAD},
        {KEDGE_CAUSE_RESTART, false, false, 0, VERDICT_BAD},
        {KEDGE_CAUSE_STORAGE, false, false, 0, VERDICT_BAD},
        {KEDGE_CAUSE_HEAP, false, false, 0, VERDICT_BAD},
        {KEDGE_CAUSE_SELF_TEST, false, false, 0, VERDICT_BAD},
        {KEDGE_CAUSE_NOT_BOOTABLE, false, false, 0, VERDICT_BAD},
        /* power is not */
        {KEDGE_CAUSE_POWER, false, false, 0, VERDICT_REARM},
        {KEDGE_CAUSE_POWER, true, true, 2, VERDICT_REARM},
        {KEDGE_CAUSE_POWER, true, true, 3, VERDICT_REARM_LIMIT},
        /* connection: the old image is the judge */
        {KEDGE_CAUSE_BROKER, false, false, 0, VERDICT_WAIT},
        {KEDGE_CAUSE_BROKER, true, false, 0, VERDICT_BAD},
        {KEDGE_CAUSE_SERVER, true, true, 0, VERDICT_BAD},
        {KEDGE_CAUSE_NETWORK, false, true, 0, VERDICT_INFRASTRUCTURE},
        {KEDGE_CAUSE_INFRASTRUCTURE, false, true, 0, VERDICT_WAIT},
        {KEDGE_CAUSE_INFRASTRUCTURE, true, true, 0, VERDICT_REARM},
        {KEDGE_CAUSE_INFRASTRUCTURE, true, true, 3, VERDICT_REARM_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct verdict_input input = {rows[i].cause, rows[i].connected, rows[i].deadline_over,
                                      rows[i].rearms, 3};

        assert_int_equal(verdict_decide(&input), rows[i].verdict);
    }
}

static void backoff_doubles_to_its_cap_with_full_jitter(void **state)
{
    (void)state;
    assert_int_equal(backoff_ms(1, 2000, 900000, 0), 1);
    assert_int_equal(backoff_ms(1, 2000, 900000, UINT32_MAX), 2000);
    assert_int_equal(backoff_ms(2, 2000, 900000, UINT32_MAX), 4000);
    assert_int_equal(backoff_ms(9, 2000, 900000, UINT32_MAX), 512000);
    assert_int_equal(backoff_ms(10, 2000, 900000, UINT32_MAX), 900000);
    assert_int_equal(backoff_ms(UINT32_MAX, 2000, 900000, UINT32_MAX), 900000);
    assert_int_equal(backoff_ms(40, 3000000000u, UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

static void intervals_of_an_hour_to_a_week_are_spread_by_a_tenth(void **state)
{
    (void)state;
    for (uint32_t hours = 1; hours <= 168; hours++) {
        uint32_t interval = hours * 3600u * 1000u;

        assert_in_range(backoff_spread_ms(interval, 0), interval - interval / 10, interval);
        assert_in_range(backoff_spread_ms(interval, UINT32_MAX), interval,
                        interval + interval / 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reset_reason_has_its_cause),
        cmocka_unit_test(the_verdict_follows_the_cause),
        cmocka_unit_test(backoff_doubles_to_its_cap_with_full_jitter),
        cmocka_unit_test(intervals_of_an_hour_to_a_week_are_spread_by_a_tenth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
