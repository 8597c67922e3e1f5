/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "host/loop.h"

/* Records who was called, in order. */
struct trace {
    struct host_loop *loop;
    char calls[32];
    size_t count;
};

struct actor {
    struct trace *trace;
    char name;
    struct host_timer timer;
    struct host_watch watch;
    struct actor *victim; /* disarmed and unwatched by the callback */
    bool rearm;
    unsigned events;
};

static void note(struct actor *actor)
{
    struct trace *trace = actor->trace;
    assert_true(trace->count + 1 < sizeof(trace->calls));
    trace->calls[trace->count++] = actor->name;
    if (actor->victim != NULL) {
        host_loop_disarm(trace->loop, &actor->victim->timer);
        host_loop_unwatch(trace->loop, &actor->victim->watch);
    }
}

static void on_timer(void *ctx)
{
    struct actor *actor = ctx;
    note(actor);
    if (actor->rearm) {
        host_loop_arm(actor->trace->loop, &actor->timer, 0);
    }
}

static void on_ready(void *ctx, unsigned events)
{
    struct actor *actor = ctx;
    actor->events = events;
    note(actor);
}

static void actor_init(struct actor *actor, struct trace *trace, char name)
{
    *actor = (struct actor){.trace = trace, .name = name};
    actor->timer = (struct host_timer){.fire = on_timer, .ctx = actor};
    actor->watch = (struct host_watch){.ready = on_ready, .ctx = actor};
}

static int make_loop(void **state)
{
    static struct trace trace;
    trace = (struct trace){.loop = host_loop_create()};
    *state = &trace;
    return 0;
}

static int drop_loop(void **state)
{
    struct trace *trace = *state;
    host_loop_destroy(trace->loop);
    return 0;
}

static void run_until(struct trace *trace, size_t calls)
{
    for (int i = 0; i < 100 && trace->count < calls; i++) {
        host_loop_once(trace->loop, 50);
    }
}

static void timers_fire_by_time_and_equal_times_by_order_of_arming(void **state)
{
    struct trace *trace = *state;
    struct actor actors[20];
    uint64_t now_ms = host_loop_now_ms(trace->loop);
    /* 37 is coprime to 20: every timer is armed once, in a scrambled order. */
    for (size_t i = 0; i < 20; i++) {
        size_t k = (i * 37) % 20;
        actor_init(&actors[k], trace, (char)('a' + k));
        host_loop_arm(trace->loop, &actors[k].timer, now_ms + 1 + k / 2);
    }

    run_until(trace, 20);

    assert_int_equal(trace->count, 20);
    for (size_t i = 0; i < 20; i += 2) {
        /* Pairs share a time; within a pair the one that was armed first comes first. */
        char pair[2] = {trace->calls[i], trace->calls[i + 1]};
        char low = (char)('a' + i);
        bool low_first = ((i * 13) % 20) < (((i + 1) * 13) % 20); /* 13 = 37^-1 mod 20 */
        assert_int_equal(pair[0], low_first ? low : low + 1);
        assert_int_equal(pair[1], low_first ? low + 1 : low);
    }
}

static void a_timer_armed_for_the_past_starves_nobody(void **state)
{
    struct trace *trace = *state;
    struct actor hungry, other;
    actor_init(&hungry, trace, 'h');
    actor_init(&other, trace, 'o');
    hungry.rearm = true;
    host_loop_arm(trace->loop, &hungry.timer, 0);
    host_loop_arm(trace->loop, &other.timer, 0);

    host_loop_once(trace->loop, 0);
    host_loop_once(trace->loop, 0);

    assert_string_equal(trace->calls, "hoh");
}

static void disarmed_and_moved_timers_do_as_they_were_told_last(void **state)
{
    struct trace *trace = *state;
    struct actor a, b, c;
    actor_init(&a, trace, 'a');
    actor_init(&b, trace, 'b');
    actor_init(&c, trace, 'c');
    uint64_t now_ms = host_loop_now_ms(trace->loop);
    host_loop_arm(trace->loop, &a.timer, now_ms + 1);
    host_loop_arm(trace->loop, &b.timer, now_ms + 2);
    host_loop_arm(trace->loop, &c.timer, now_ms + 3);
    a.victim = &b;

    host_loop_arm(trace->loop, &c.timer, 0);
    run_until(trace, 2);
    host_loop_once(trace->loop, 5);

    assert_string_equal(trace->calls, "ca");
    assert_int_equal(b.timer.heap_index, 0);
}

static void a_watch_removed_by_another_callback_is_not_called(void **state)
{
    struct trace *trace = *state;
    struct actor a, b;
    int first[2], second[2];
    actor_init(&a, trace, 'x');
    actor_init(&b, trace, 'x');
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(pipe(first), 0);
    assert_int_equal(pipe(second), 0);
    host_loop_watch(trace->loop, &a.watch, first[0], HOST_LOOP_READ);
    host_loop_watch(trace->loop, &b.watch, second[0], HOST_LOOP_READ);
    assert_int_equal(write(first[1], "1", 1), 1);
    assert_int_equal(write(second[1], "2", 1), 1);

    host_loop_once(trace->loop, 50);

    assert_string_equal(trace->calls, "x");
    host_loop_unwatch(trace->loop, &a.watch);
    host_loop_unwatch(trace->loop, &b.watch);
    for (int i = 0; i < 2; i++) {
        close(first[i]);
        close(second[i]);
    }
}

static void a_watch_may_remove_itself(void **state)
{
    struct trace *trace = *state;
    struct actor a;
    int ends[2];
    actor_init(&a, trace, 'a');
    a.victim = &a;
    assert_int_equal(pipe(ends), 0);
    host_loop_watch(trace->loop, &a.watch, ends[1], HOST_LOOP_WRITE);

    host_loop_once(trace->loop, 50);
    host_loop_once(trace->loop, 0);

    assert_string_equal(trace->calls, "a");
    assert_int_equal(a.events, HOST_LOOP_WRITE);
    close(ends[0]);
    close(ends[1]);
}

static void a_hang_up_is_an_end_to_a_reader_and_an_error_to_a_writer(void **state)
{
    struct trace *trace = *state;
    struct actor reader, writer;
    int first[2], second[2];
    actor_init(&reader, trace, 'r');
    actor_init(&writer, trace, 'w');
    assert_int_equal(pipe(first), 0);
    assert_int_equal(pipe(second), 0);
    host_loop_watch(trace->loop, &reader.watch, first[0], HOST_LOOP_READ);
    host_loop_watch(trace->loop, &writer.watch, second[1], 0);

    close(first[1]);
    close(second[0]);
    host_loop_once(trace->loop, 50);

    assert_int_equal(trace->count, 2);
    assert_int_equal(reader.events, HOST_LOOP_READ);
    assert_int_equal(writer.events, HOST_LOOP_ERROR);
    host_loop_unwatch(trace->loop, &reader.watch);
    host_loop_unwatch(trace->loop, &writer.watch);
    close(first[0]);
    close(second[1]);
}

static void interest_can_be_changed(void **state)
{
    struct trace *trace = *state;
    struct actor a;
    int ends[2];
    actor_init(&a, trace, 'a');
    assert_int_equal(pipe(ends), 0);
    host_loop_watch(trace->loop, &a.watch, ends[1], 0);
    host_loop_once(trace->loop, 0);
    assert_int_equal(trace->count, 0);

    host_loop_change(trace->loop, &a.watch, HOST_LOOP_WRITE);
    host_loop_once(trace->loop, 50);

    assert_string_equal(trace->calls, "a");
    host_loop_unwatch(trace->loop, &a.watch);
    close(ends[0]);
    close(ends[1]);
}

static void stop_from_a_timer(void *ctx)
{
    struct trace *trace = ctx;
    raise(SIGTERM);
    raise(SIGHUP);
    trace->calls[trace->count++] = 't';
}

static void stop_on_signal(void *ctx, int signal)
{
    struct trace *trace = ctx;
    trace->calls[trace->count++] = signal == SIGTERM ? 'T' : signal == SIGHUP ? 'H' : '?';
    if (signal == SIGTERM) {
        host_loop_stop(trace->loop);
    }
}

static void signals_arrive_as_calls_and_stop_ends_the_run(void **state)
{
    struct trace *trace = *state;
    struct host_timer timer = {.fire = stop_from_a_timer, .ctx = trace};
    host_loop_on_signal(trace->loop, stop_on_signal, trace);
    host_loop_arm(trace->loop, &timer, 0);

    host_loop_run(trace->loop);

    assert_int_equal(trace->count, 3);
    assert_int_equal(trace->calls[0], 't');
    assert_non_null(strchr(trace->calls, 'T'));
    assert_non_null(strchr(trace->calls, 'H'));
}

static void a_stop_before_the_run_is_not_lost(void **state)
{
    struct trace *trace = *state;

    host_loop_stop(trace->loop);
    host_loop_run(trace->loop);

    assert_int_equal(trace->count, 0);
}

int main(void)
{
#define with_loop(test) cmocka_unit_test_setup_teardown(test, make_loop, drop_loop)
    const struct CMUnitTest tests[] = {
        with_loop(timers_fire_by_time_and_equal_times_by_order_of_arming),
        with_loop(a_timer_armed_for_the_past_starves_nobody),
        with_loop(disarmed_and_moved_timers_do_as_they_were_told_last),
        with_loop(a_watch_removed_by_another_callback_is_not_called),
        with_loop(a_watch_may_remove_itself),
        with_loop(a_hang_up_is_an_end_to_a_reader_and_an_error_to_a_writer),
        with_loop(interest_can_be_changed),
        with_loop(signals_arrive_as_calls_and_stop_ends_the_run),
        with_loop(a_stop_before_the_run_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
