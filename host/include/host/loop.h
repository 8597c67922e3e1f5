/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"
#include "kedge/err.h"

/*
 * The one event loop (epoll, timers in a heap, signals by signalfd). Single thread. Used by kedged,
 * by the posix port and by kedge-sim. Callbacks may add and remove any watch or timer, their own
 * included.
 */
struct host_loop; /* owned by whoever created it */

enum host_loop_interest {
    HOST_LOOP_READ = 1u,
    HOST_LOOP_WRITE = 2u,
    HOST_LOOP_ERROR = 4u
};

/** Embed in the owner's struct; zero-initialised = not watched. */
struct host_watch {
    int fd;
    unsigned interest;
    /** READ|WRITE|ERROR bits. A hang-up is READ to a watch that reads (the read sees the end) and
     *  ERROR to any other; ERROR comes whatever the interest, 0 included. */
    void (*ready)(void *ctx, unsigned events);
    void *ctx;
    struct host_loop *loop; /* set while watched */
};

/** Embed in the owner's struct; zero-initialised = not armed. One-shot. */
struct host_timer {
    void (*fire)(void *ctx);
    void *ctx;
    uint64_t at_ms;
    uint64_t order;    /* among equal at_ms, the one armed first fires first */
    size_t heap_index; /* 1-based; 0 = not armed */
};

/** Aborts when the system has no epoll. */
struct host_loop *host_loop_create(void);
/** Nothing may be watched or armed any more, or it is forgotten. */
void host_loop_destroy(struct host_loop *loop);

/** Monotonic milliseconds; constant within one callback. */
uint64_t host_loop_now_ms(const struct host_loop *loop);

void host_loop_watch(struct host_loop *loop, struct host_watch *watch, int fd, unsigned interest);
void host_loop_change(struct host_loop *loop, struct host_watch *watch, unsigned interest);
/** Call before the fd is closed; safe on a watch that is not watched. */
void host_loop_unwatch(struct host_loop *loop, struct host_watch *watch);

/** Arm or re-arm; at_ms in the past fires in the next round. */
void host_loop_arm(struct host_loop *loop, struct host_timer *timer, uint64_t at_ms);
void host_loop_disarm(struct host_loop *loop, struct host_timer *timer);

/** Call fn for each SIGINT, SIGTERM or SIGHUP from now on. SIGPIPE is ignored.
 *  They are blocked for the process until host_loop_destroy. */
void host_loop_on_signal(struct host_loop *loop, void (*fn)(void *ctx, int signal), void *ctx);

/** Run until host_loop_stop; returns at once when it was called before. */
void host_loop_run(struct host_loop *loop);
void host_loop_stop(struct host_loop *loop);
/** One round: wait at most timeout_ms, dispatch. For tests. */
void host_loop_once(struct host_loop *loop, uint64_t timeout_ms);
