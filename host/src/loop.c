/* SPDX-License-Identifier: Apache-2.0 */
#include "host/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "host/buf.h"

#define LOOP_EVENTS 64

struct host_loop {
    int epoll_fd;
    bool stopping;
    uint64_t now_ms;

    struct host_timer **heap; /* heap[0] fires first; borrowed timers */
    size_t heap_count;
    size_t heap_capacity;
    uint64_t next_order; /* of the next timer armed */

    struct epoll_event events[LOOP_EVENTS]; /* data.ptr NULL: unwatched since epoll_wait */
    int event_count;

    struct host_watch signal_watch;
    sigset_t old_mask;
    void (*on_signal)(void *ctx, int signal);
    void *on_signal_ctx;
};

/* The kernel refuses what only a bug of ours can ask for, or has run out: nothing to go on with. */
static void die(const char *what)
{
    fprintf(stderr, "event loop: %s: %s\n", what, strerror(errno));
    abort();
}

static uint64_t clock_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        die("clock_gettime");
    }
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* ---- timers: binary heap, equal times in the order of arming ---- */

static bool fires_before(const struct host_timer *a, const struct host_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_put(struct host_loop *loop, size_t index, struct host_timer *timer)
{
    loop->heap[index] = timer;
    timer->heap_index = index + 1;
}

static void heap_rise(struct host_loop *loop, size_t index)
{
    struct host_timer *timer = loop->heap[index];
    while (index > 0 && fires_before(timer, loop->heap[(index - 1) / 2])) {
        heap_put(loop, index, loop->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_put(loop, index, timer);
}

static void heap_sink(struct host_loop *loop, size_t index)
{
    struct host_timer *timer = loop->heap[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child + 1 < loop->heap_count &&
            fires_before(loop->heap[child + 1], loop->heap[child])) {
            child++;
        }
        if (child >= loop->heap_count || !fires_before(loop->heap[child], timer)) {
            break;
        }
        heap_put(loop, index, loop->heap[child]);
        index = child;
    }
    heap_put(loop, index, timer);
}

void host_loop_arm(struct host_loop *loop, struct host_timer *timer, uint64_t at_ms)
{
    host_loop_disarm(loop, timer);
    if (loop->heap_count == loop->heap_capacity) {
        loop->heap_capacity = loop->heap_capacity == 0 ? 64 : loop->heap_capacity * 2;
        loop->heap = host_realloc(loop->heap, loop->heap_capacity * sizeof(struct host_timer *));
    }
    /* Never before now: a timer that arms itself for the past must not starve the others. */
    timer->at_ms = at_ms > loop->now_ms ? at_ms : loop->now_ms;
    timer->order = loop->next_order++;
    heap_put(loop, loop->heap_count++, timer);
    heap_rise(loop, loop->heap_count - 1);
}

void host_loop_disarm(struct host_loop *loop, struct host_timer *timer)
{
    if (timer->heap_index == 0) {
        return;
    }
    size_t index = timer->heap_index - 1;
    timer->heap_index = 0;
    struct host_timer *last = loop->heap[--loop->heap_count];
    if (last == timer) {
        return;
    }
    heap_put(loop, index, last);
    heap_rise(loop, index);
    heap_sink(loop, last->heap_index - 1);
}

static void fire_timers(struct host_loop *loop)
{
    uint64_t end_order = loop->next_order; /* what is armed from here on waits for the next round */
    while (loop->heap_count > 0) {
        struct host_timer *timer = loop->heap[0];
        if (timer->at_ms > loop->now_ms || timer->order >= end_order) {
            return;
        }
        host_loop_disarm(loop, timer);
        timer->fire(timer->ctx);
    }
}

/* ---- watches ---- */

static uint32_t epoll_mask(unsigned interest)
{
    return ((interest & HOST_LOOP_READ) != 0 ? (uint32_t)EPOLLIN : 0u) |
           ((interest & HOST_LOOP_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0u);
}

/* A hang-up is an end of file to a reader and an error to anyone else. */
static unsigned ready_events(uint32_t mask, unsigned interest)
{
    unsigned events = 0;
    if ((mask & EPOLLIN) != 0 || ((mask & EPOLLHUP) != 0 && (interest & HOST_LOOP_READ) != 0)) {
        events |= HOST_LOOP_READ;
    }
    if ((mask & EPOLLOUT) != 0) {
        events |= HOST_LOOP_WRITE;
    }
    if ((mask & EPOLLERR) != 0 || ((mask & EPOLLHUP) != 0 && (interest & HOST_LOOP_READ) == 0)) {
        events |= HOST_LOOP_ERROR;
    }
    return events;
}

static void epoll_control(struct host_loop *loop, int operation, struct host_watch *watch)
{
    struct epoll_event event = {.events = epoll_mask(watch->interest), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

void host_loop_watch(struct host_loop *loop, struct host_watch *watch, int fd, unsigned interest)
{
    host_loop_unwatch(loop, watch);
    watch->fd = fd;
    watch->interest = interest;
    watch->loop = loop;
    epoll_control(loop, EPOLL_CTL_ADD, watch);
}

void host_loop_change(struct host_loop *loop, struct host_watch *watch, unsigned interest)
{
    if (watch->loop == NULL || watch->interest == interest) {
        return;
    }
    watch->interest = interest;
    epoll_control(loop, EPOLL_CTL_MOD, watch);
}

void host_loop_unwatch(struct host_loop *loop, struct host_watch *watch)
{
    if (watch->loop == NULL) {
        return;
    }
    epoll_control(loop, EPOLL_CTL_DEL, watch);
    watch->loop = NULL;
    for (int i = 0; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

static void dispatch_watches(struct host_loop *loop)
{
    for (int i = 0; i < loop->event_count; i++) {
        struct host_watch *watch = loop->events[i].data.ptr;
        if (watch != NULL) {
            watch->ready(watch->ctx, ready_events(loop->events[i].events, watch->interest));
        }
    }
    loop->event_count = 0;
}

/* ---- signals ---- */

static void read_signals(void *ctx, unsigned events)
{
    struct host_loop *loop = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (loop->signal_watch.loop != NULL &&
           read(loop->signal_watch.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        loop->on_signal(loop->on_signal_ctx, (int)info.ssi_signo);
    }
}

void host_loop_on_signal(struct host_loop *loop, void (*fn)(void *ctx, int signal), void *ctx)
{
    loop->on_signal = fn;
    loop->on_signal_ctx = ctx;
    if (loop->signal_watch.loop != NULL) {
        return;
    }
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    int fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0 || sigprocmask(SIG_BLOCK, &mask, &loop->old_mask) != 0) {
        die("signalfd");
    }
    signal(SIGPIPE, SIG_IGN);
    loop->signal_watch = (struct host_watch){.ready = read_signals, .ctx = loop};
    host_loop_watch(loop, &loop->signal_watch, fd, HOST_LOOP_READ);
}

/* ---- the loop ---- */

struct host_loop *host_loop_create(void)
{
    struct host_loop *loop = host_calloc(1, sizeof(*loop));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        die("epoll_create1");
    }
    loop->now_ms = clock_ms();
    return loop;
}

void host_loop_destroy(struct host_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->signal_watch.loop != NULL) {
        int fd = loop->signal_watch.fd;
        host_loop_unwatch(loop, &loop->signal_watch);
        close(fd);
        sigprocmask(SIG_SETMASK, &loop->old_mask, NULL);
    }
    while (loop->heap_count > 0) {
        host_loop_disarm(loop, loop->heap[loop->heap_count - 1]);
    }
    close(loop->epoll_fd);
    free(loop->heap);
    free(loop);
}

uint64_t host_loop_now_ms(const struct host_loop *loop)
{
    return loop->now_ms;
}

static int wait_ms(const struct host_loop *loop, uint64_t limit_ms)
{
    uint64_t now_ms = clock_ms();
    if (loop->heap_count > 0) {
        uint64_t at_ms = loop->heap[0]->at_ms;
        uint64_t until_ms = at_ms > now_ms ? at_ms - now_ms : 0;
        limit_ms = until_ms < limit_ms ? until_ms : limit_ms;
    }
    return limit_ms > INT_MAX ? INT_MAX : (int)limit_ms;
}

void host_loop_once(struct host_loop *loop, uint64_t timeout_ms)
{
    int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS, wait_ms(loop, timeout_ms));
    if (count < 0 && errno != EINTR) {
        die("epoll_wait");
    }
    loop->event_count = count > 0 ? count : 0;
    loop->now_ms = clock_ms();
    dispatch_watches(loop);
    fire_timers(loop);
}

void host_loop_run(struct host_loop *loop)
{
    while (!loop->stopping) {
        host_loop_once(loop, UINT64_MAX);
    }
    loop->stopping = false;
}

void host_loop_stop(struct host_loop *loop)
{
    loop->stopping = true;
}
