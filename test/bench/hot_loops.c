/*  hot_loops.c - each macro, and the least that could do in its place

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"
#include "hot.h"
#include "zibrato.h"

//  --------------------------------------------------------------------------
//  The limits

static __thread double s_count;

//  Of a counter: 1.0 added to a double of this thread.
static HOT_CALLED void
s_limit (void)
{
    s_count += 1.0;
}

static inline uint64_t
s_clock_read (void)
{
#ifdef __x86_64__
    if (zb_tsc_on_)
        return __builtin_ia32_rdtsc ();
#endif
    return bench_ns ();
}

//  Of a timer: two reads of the clock that it uses.
static HOT_CALLED void
s_clock (void)
{
    uint64_t start = s_clock_read ();
    uint64_t ticks = s_clock_read () - start;
    __asm__ volatile("" : : "r"(ticks));
}

enum { RING_SIZE = 4096 };

typedef struct {
    const void *series;
    double value;
    uint64_t time, more;
} s_reading_t;

static __thread s_reading_t s_ring[RING_SIZE];
static __thread uint64_t s_head;

//  Of a gauge: one read of the clock, 32 bytes to a ring of this thread, and
//  the head that says so to another one.
static HOT_CALLED void
s_store (void)
{
    s_reading_t *reading = &s_ring[s_head % RING_SIZE];
    reading->series = &s_ring;
    reading->value = 17.5;
    reading->time = s_clock_read ();
    reading->more = s_head;
    __atomic_store_n (&s_head, s_head + 1, __ATOMIC_RELEASE);
}

//  --------------------------------------------------------------------------
//  Ours, at a level that has a listener and at one that has none

static HOT_CALLED void
s_counter (void)
{
    ZB_COUNT_ME ("info", "hot.counter");
}

static HOT_CALLED void
s_timer (void)
{
    ZB_TIME_ME ("info", "hot.timer");
}

static HOT_CALLED void
s_gauge (void)
{
    ZB_GAUGE ("info", "hot.gauge", 17.5);
}

static HOT_CALLED void
s_counter_unheard (void)
{
    ZB_COUNT_ME ("unheard", "hot.counter");
}

static HOT_CALLED void
s_timer_unheard (void)
{
    ZB_TIME_ME ("unheard", "hot.timer");
}

static HOT_CALLED void
s_gauge_unheard (void)
{
    ZB_GAUGE ("unheard", "hot.gauge", 17.5);
}

//  --------------------------------------------------------------------------
//  Eight of each in turn: an addition need not wait for the one before, so what
//  shows is how much there is to do, and not how long a memory cell takes

#define EIGHT(of) of (0) of (1) of (2) of (3) of (4) of (5) of (6) of (7)
#define LIMIT(n)                                                               \
    static __thread double s_count_##n;                                        \
    static HOT_CALLED void s_limit_##n (void)                                  \
    {                                                                          \
        s_count_##n += 1.0;                                                    \
    }
#define COUNTER(n)                                                             \
    static HOT_CALLED void s_counter_##n (void)                                \
    {                                                                          \
        ZB_COUNT_ME ("info", "hot.counter." #n);                               \
    }
#define CALL_LIMIT(n)   s_limit_##n ();
#define CALL_COUNTER(n) s_counter_##n ();

EIGHT (LIMIT)
EIGHT (COUNTER)

static void
s_limits_loop (long n)
{
    for (; n > 0; n -= 8) {
        EIGHT (CALL_LIMIT)
    }
}

static void
s_counters_loop (long n)
{
    for (; n > 0; n -= 8) {
        EIGHT (CALL_COUNTER)
    }
}

HOT_LOOP (s_limit)
HOT_LOOP (s_clock)
HOT_LOOP (s_store)
HOT_LOOP (s_counter)
HOT_LOOP (s_timer)
HOT_LOOP (s_gauge)
HOT_LOOP (s_counter_unheard)
HOT_LOOP (s_timer_unheard)
HOT_LOOP (s_gauge_unheard)

static const hot_loop_t s_loops[] = {
  {"limit", s_limit_loop},
  {"limits", s_limits_loop},
  {"clock", s_clock_loop},
  {"store", s_store_loop},
  {"counter", s_counter_loop},
  {"counters", s_counters_loop},
  {"timer", s_timer_loop},
  {"gauge", s_gauge_loop},
  {"counter.unheard", s_counter_unheard_loop},
  {"timer.unheard", s_timer_unheard_loop},
  {"gauge.unheard", s_gauge_unheard_loop},
  {NULL, NULL},
};

//  --------------------------------------------------------------------------
//  The instance

static void
s_prepare (int series, int heard, int counter)
{
    uint64_t until = bench_ns () + 5000000000;
    zb_stats_t stats;
    char name[32];
    int i;
    for (i = 0; i < series; i++) {
        snprintf (name, sizeof name, "hot.other.%d", i);
        zb_count ("info", name);
    }
    s_counter ();
    BENCH_CHECK (zb_stats (NULL, &stats) == 0);
    BENCH_CHECK (stats.dropped == 0);
    if (stats.series == 0)
        return;  //  switched off
#ifdef __x86_64__
    //  300 ms is what its calibration takes; a CPU may have none that serves
    while (counter && !__atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE)
           && bench_ns () < until - 3000000000)
        zb_flush (NULL, 10);
#endif
    while (heard && zb_stats (NULL, &stats) == 0 && !stats.sent) {
        BENCH_CHECK (bench_ns () < until);
        zb_flush (NULL, 10);
    }
}

static void
s_rest (void)
{
    zb_flush (NULL, 10);
}

const hot_t hot = {s_loops, s_prepare, s_rest};
