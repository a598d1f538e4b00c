/*  zibrato.h - numbers out of a running program, without slowing it

    One header, no build step. In one file of the program:

        #define ZIBRATO_IMPLEMENTATION
        #include "zibrato.h"

    in all others only the #include, and link with -lzmq -lpthread. (With
    CMake: target_link_libraries (app zibrato::zibrato) brings the body, and
    nobody defines anything.) Then, wherever there is something to measure:

        int myfunct (void) {
            ZB_TIME_ME ("debug", "myfunct_timer");
            ZB_COUNT_ME ("info", "myfunct_counter", .value = 5);
            ZB_GAUGE ("crit", "queue_depth", depth, .source = "q1");
            return slow ();
        }

    Measurements go to `zibrato broker` (127.0.0.1:5550 unless told
    otherwise), and from there to every worker that wants their level.

    What it does to the host program: one background thread, and two of
    ZeroMQ's, with all signals blocked. No signal handler, no output, no locale,
    no random(). Without a broker it costs the same and keeps counting; nothing
    blocks, nothing grows beyond the bounds below. Where descriptors, threads or
    memory run out it is measuring that stops.

    Compile-time switches, defined before the #include:

        ZIBRATO_IMPLEMENTATION  this file gets the body (one file of a program)
        ZB_DISABLE              every macro and function compiles to nothing,
                                arguments unevaluated; no library needed

    Sections of this file:

        1. Instances             zb_open, zb_flush, zb_stats, zb_close
        2. Measuring             ZB_COUNT_ME, ZB_TIME_ME, ZB_GAUGE, zb_count ...
        3. The wire format       in words: for programs without this header
        4. Backends              zb_backend_t: what a new worker implements
        5. What the macros expand to                        (private from here)
        6. The body              under ZIBRATO_IMPLEMENTATION

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZIBRATO_H
#define ZIBRATO_H

#include <stddef.h>
#include <stdint.h>

#ifndef __GNUC__
#error "zibrato.h needs __attribute__ ((cleanup)): compile with gcc or clang"
#endif

#define ZIBRATO_VERSION "1.0.0"

#ifdef __cplusplus
extern "C" {
#endif

//  --------------------------------------------------------------------------
//  1. Instances
//
//  Most programs need none of this: the first measurement opens the default
//  instance from the environment. Options that are left out come from the
//  environment too, and then from the defaults given here.

typedef struct zb_s zb_t;

typedef struct {
    const char *host;      //  of the broker; ZIBRATO_HOST, "127.0.0.1"
    int port;              //  of the broker, 1..65535; ZIBRATO_PORT, 5550
    const char *endpoint;  //  any ZeroMQ endpoints, separated by commas, in
                           //  place of host and port; ZIBRATO_ENDPOINT
    const char *source;    //  of measurements that name none, 1..255 bytes;
                           //  ZIBRATO_SOURCE, "not_specified"
    void *context;         //  ZeroMQ context to use; the caller keeps it, and
                           //  closes the instance first. Default: its own
    int interval_ms;       //  between reports, 1..3600000;
                           //  ZIBRATO_INTERVAL_MS, 250
    int linger_ms;   //  zb_close and exit take at most so long, 0..3600000;
                     //  ZIBRATO_LINGER_MS, 500
    int max_series;  //  series kept at most, 1..10000000;
                     //  ZIBRATO_MAX_SERIES, 10000
    int classic;     //  1: six-field lines only, one measurement a
                     //  message, as the Python package sent them.
                     //  Not exact when messages get lost. 0
    const char *curve_server_key;  //  of a broker with CURVE: its public key,
                                   //  40 characters; ZIBRATO_CURVE_SERVER_KEY
    const char *curve_cert;        //  and the file of our own key pair, as
                                   //  `zibrato keygen` makes it;
                                   //  ZIBRATO_CURVE_CERT
} zb_config_t;

//  What became of the measurements. A measurement is one line: a counter or
//  timer counts once a report, however often it was passed; a gauge's reading
//  counts once.
typedef struct {
    uint64_t measured;  //  sent + held + dropped
    uint64_t sent;      //  handed to ZeroMQ, repeats not counted
    uint64_t held;      //  waiting: for a listener, or for the next report
    uint64_t dropped;   //  the sum of the next five
    uint64_t dropped_series;  //  passes of series beyond max_series
    uint64_t dropped_ring;    //  readings faster than the pump took them
    uint64_t dropped_held;    //  oldest readings, held for too long
    uint64_t dropped_async;   //  in a signal handler that interrupted this
                              //  header, or at the very end of a thread
    uint64_t refused;         //  NaN, Inf, or a bad level, name or source
    uint64_t series;          //  known now
    uint64_t repeated;        //  lines sent again so that lost ones heal
    uint64_t messages;        //  ZeroMQ messages, and
    uint64_t bytes;           //  their bytes
    int listening;            //  1: at least one level has a listener
    int connected;            //  brokers that we are connected to now
    uint64_t denied;          //  handshakes that failed: wrong keys, CURVE on
                              //  one side only, or no broker at the port
} zb_stats_t;

#ifndef ZB_DISABLE

//  zb_t *zb_open (.host = "10.0.0.1", .source = "deathstar");
//
//  Opens an instance. The first one opened so is the default from then on:
//  where measurements without .to go. Strings are copied. Does not wait for
//  the broker. Returns NULL, errno set: an option is out of range, endpoint or
//  key is not one (EINVAL), the certificate cannot be read, libzmq has no CURVE
//  (ENOTSUP), memory or descriptors are short. Caller owns the return value;
//  what is open at exit is flushed and closed then.
#define zb_open(...)                                                           \
    __extension__ ({                                                           \
        zb_config_t zb_config_ = ZB_CONFIG_INIT_;                              \
        ZB_EACH_ (zb_config_, __VA_ARGS__)                                     \
        zb_open_ (&zb_config_);                                                \
    })

//  Reports now instead of at the next interval, and waits at most ms
//  milliseconds until all is handed to ZeroMQ, which sends it in the background:
//  before _exit, zb_close. NULL is the default instance. Returns 0, or -1 if
//  something is still held (no broker, no listener).
int zb_flush (zb_t *self, int ms);

//  Fills in what became of the measurements so far. NULL is the default
//  instance. Returns 0, or -1 if there is none.
int zb_stats (zb_t *self, zb_stats_t *stats);

//  Flushes within linger_ms and frees the instance; *self_p becomes NULL.
//  What is measured into it from then on goes nowhere: threads that still
//  measure are safe.
void zb_close (zb_t **self_p);

//  --------------------------------------------------------------------------
//  2. Measuring
//
//  Level and name of the capital-letter macros are string literals: each is a
//  static call site, resolved once a thread, nanoseconds after that. Options,
//  in any order and all optional:
//
//      .value    what a counter adds, a finite double; 1. Zero counts zero
//      .source   1..255 bytes; read anew at each pass, so it may change
//      .to       an instance other than the default
//
//  A signal handler may use ZB_COUNT_ME, ZB_GAUGE, zb_count and zb_gauge, with
//  names of its own: a counter that it shares with the code it interrupts may
//  miss a pass. One that finds its thread inside this header is dropped and
//  counted (dropped_async). The first pass in a thread allocates memory, so let
//  it happen before, outside of the handler.
//
//  Level, name and source hold no '|' and no control characters. What is NaN,
//  Inf or badly named is refused and counted (zb_stats).
//
//  A scope macro is a declaration: it stands where one may stand, on a line of
//  its own, and does its work when the scope is left by return, break,
//  continue, goto or a C++ exception; not by longjmp, exit or pthread_exit.

//  ZB_COUNT_ME ("info", "requests");
//  ZB_COUNT_ME ("info", "bytes", .value = size, .source = "q1");
//
//  Adds .value to a counter when the enclosing scope ends: first in a function
//  it counts calls, first in a block it counts passes of the block.
#define ZB_COUNT_ME(...)                                                       \
    ZB_SITE_ (zb_count_, ZB_TYPE_COUNTER, __VA_ARGS__)                         \
    zb_count_scope_ ZB_NAME_ (zb_count_scope_)                                 \
      __attribute__ ((cleanup (zb_count_end_), unused)) = __extension__ ({     \
          zb_count_scope_ zb_count_options_ = {&ZB_NAME_ (zb_count_site_),     \
                                               &ZB_NAME_ (zb_count_cell_),     \
                                               1.0, NULL, NULL};               \
          ZB_OPTIONS_ (zb_count_options_, __VA_ARGS__)                         \
          zb_count_options_;                                                   \
      })

//  ZB_TIME_ME ("debug", "myfunct_timer");
//
//  Times the rest of the enclosing scope, in nanoseconds of a clock that never
//  steps. Takes .source and .to.
#define ZB_TIME_ME(...)                                                        \
    ZB_SITE_ (zb_time_, ZB_TYPE_TIMER, __VA_ARGS__)                            \
    zb_time_scope_ ZB_NAME_ (zb_time_scope_)                                   \
      __attribute__ ((cleanup (zb_time_end_), unused)) = __extension__ ({      \
          zb_time_scope_ zb_time_options_ = {&ZB_NAME_ (zb_time_site_),        \
                                             &ZB_NAME_ (zb_time_cell_), 0,     \
                                             NULL, NULL};                      \
          ZB_OPTIONS_ (zb_time_options_, __VA_ARGS__)                          \
          if (!zb_off_ (zb_time_options_.cell, zb_time_options_.to))           \
              zb_time_options_.start = zb_ticks_ ();                           \
          zb_time_options_;                                                    \
      })

//  ZB_GAUGE ("crit", "queue_depth", depth);
//
//  Records a reading, a finite double, with the time of now. A statement.
//  Takes .source and .to.
#define ZB_GAUGE(...)                                                          \
    do {                                                                       \
        ZB_SITE_ (zb_gauge_, ZB_TYPE_GAUGE, __VA_ARGS__)                       \
        zb_options_ zb_gauge_options_ = {0.0, NULL, NULL};                     \
        ZB_READING_ (zb_gauge_options_, __VA_ARGS__)                           \
        if (!zb_off_ (&ZB_NAME_ (zb_gauge_cell_), zb_gauge_options_.to))       \
            zb_gauge_put_ (&ZB_NAME_ (zb_gauge_site_),                         \
                           &ZB_NAME_ (zb_gauge_cell_),                         \
                           zb_gauge_options_.value, zb_gauge_options_.source,  \
                           zb_gauge_options_.to);                              \
    } while (0)

//  The same for levels and names that are known only at run time, any string:
//
//  zb_count (level, name, .value = 3, .source = "q1");
//  zb_time (level, name, seconds);     a duration that the program measured
//  zb_gauge (level, name, reading);
#define zb_count(...)                                                          \
    do {                                                                       \
        zb_options_ zb_count_options_ = {1.0, NULL, NULL};                     \
        ZB_OPTIONS_ (zb_count_options_, __VA_ARGS__)                           \
        zb_record_ (ZB_TYPE_COUNTER, ZB_ARG1_ (__VA_ARGS__, 0),                \
                    ZB_ARG2_ (__VA_ARGS__, 0), &zb_count_options_);            \
    } while (0)

#define zb_time(...)  ZB_RECORD_ (ZB_TYPE_TIMER, __VA_ARGS__)
#define zb_gauge(...) ZB_RECORD_ (ZB_TYPE_GAUGE, __VA_ARGS__)

#endif  //  !ZB_DISABLE

//  --------------------------------------------------------------------------
//  3. The wire format
//
//  A ZeroMQ message is one frame of text: lines of one level, separated by
//  '\n', at most 64 KiB. A line is a measurement:
//
//      level|type|name|value|time|source            classic, six fields
//      level|type|name|value|time|source|stream     idempotent, seven fields
//
//      level    1..255 bytes, the topic: subscribe to "level|"
//      type     Counter, Timer or Gauge; in any case, with or without an s
//      name     1..255 bytes; source likewise
//      value    Counter: the increment since the last report
//               Timer: seconds, the sum since the last report
//               Gauge: the reading
//      time     Unix seconds, decimals allowed: when it was measured
//      stream   Counter: ID:SEQ:FIRST:TOTAL
//               Timer:   ID:SEQ:FIRST:COUNT:SUM:SUMSQ:MIN:MAX:BUCKETS
//               Gauge:   ID:SEQ:SENT, or ID:SEQ
//
//  ID is one stream: what one publisher reports at one level since its first
//  report there; the time of its birth (Unix milliseconds) and 64 random bits
//  of the publisher, in hexadecimal, joined by '-'. SEQ grows by one with
//  every Counter and Timer line of a stream, and, counted apart, with every
//  new Gauge line: a gap among gauges is a loss, a gap among states heals with
//  the next one. FIRST is the SEQ of the series' own first line. Gauges below
//  SENT have been sent before this message was made: a line whose SEQ is below
//  its own SENT is a repetition, with value and time of the first. TOTAL,
//  COUNT, SUM (seconds), SUMSQ (seconds squared) and BUCKETS run since birth;
//  MIN and MAX (seconds) since the last report. BUCKETS is i=n,i=n... in
//  ascending i: n samples in (2^(i/32), 2^((i+1)/32)] seconds, the base-2
//  exponential histogram of scale 5 (OpenTelemetry metrics data model,
//  "ExponentialHistogram"). A state that is only repeated has value 0.

//  Also used below: what a series is.
typedef enum {
    ZB_TYPE_COUNTER = 1,
    ZB_TYPE_TIMER = 2,
    ZB_TYPE_GAUGE = 3
} zb_type_t;

//  --------------------------------------------------------------------------
//  5. What the macros expand to: private from here on
//
//  Each macro owns a site, static, and a cell, static in each thread, which
//  remembers the slot that the site resolved to. A slot is one series in one
//  thread: only that thread writes it, so a counter is a load, an add and a
//  store. ZB_COUNT_ME ("info", "n", .value = 5) on line 7 becomes
//
//      static const zb_site_ zb_count_site_7 = {ZB_TYPE_COUNTER, "info", "n"};
//      static __thread zb_cell_ zb_count_cell_7;
//      zb_count_scope_ zb_count_scope_7
//        __attribute__ ((cleanup (zb_count_end_), unused)) =
//          ({ zb_count_scope_ o = {&site, &cell, 1.0, NULL, NULL};
//             (void) (o .value = 5); o; });
//
//  The attribute stands behind the name so that `if (c) ZB_COUNT_ME (...)`
//  does not compile, instead of losing its cleanup.

// clang-format off
#define ZB_CONFIG_INIT_ {NULL, -1, NULL, NULL, NULL, -1, -1, -1, -1, NULL, NULL}

#define ZB_CAT2_(a, b)       a##b
#define ZB_CAT_(a, b)        ZB_CAT2_ (a, b)
#define ZB_NAME_(prefix)     ZB_CAT_ (prefix, __LINE__)
#define ZB_ARG1_(a, ...)     a
#define ZB_ARG2_(a, b, ...)  b

//  How many arguments, up to twelve; none counts as one, empty.
#define ZB_COUNT2_(a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define ZB_COUNT_(...)                                                        \
    ZB_COUNT2_ (__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

//  ZB_EACH_ (o, .value = 4, .source = s) becomes
//  (void) (o .value = 4); (void) (o .source = s);
#define ZB_EACH_(o, ...)                                                      \
    ZB_CAT_ (ZB_EACH_, ZB_COUNT_ (__VA_ARGS__)) (o, __VA_ARGS__)
#define ZB_EACH_1(o, a)       (void) (o a);
#define ZB_EACH_2(o, a, ...)  (void) (o a); ZB_EACH_1 (o, __VA_ARGS__)
#define ZB_EACH_3(o, a, ...)  (void) (o a); ZB_EACH_2 (o, __VA_ARGS__)
#define ZB_EACH_4(o, a, ...)  (void) (o a); ZB_EACH_3 (o, __VA_ARGS__)
#define ZB_EACH_5(o, a, ...)  (void) (o a); ZB_EACH_4 (o, __VA_ARGS__)
#define ZB_EACH_6(o, a, ...)  (void) (o a); ZB_EACH_5 (o, __VA_ARGS__)
#define ZB_EACH_7(o, a, ...)  (void) (o a); ZB_EACH_6 (o, __VA_ARGS__)
#define ZB_EACH_8(o, a, ...)  (void) (o a); ZB_EACH_7 (o, __VA_ARGS__)
#define ZB_EACH_9(o, a, ...)  (void) (o a); ZB_EACH_8 (o, __VA_ARGS__)
#define ZB_EACH_10(o, a, ...) (void) (o a); ZB_EACH_9 (o, __VA_ARGS__)
#define ZB_EACH_11(o, a, ...) (void) (o a); ZB_EACH_10 (o, __VA_ARGS__)
#define ZB_EACH_12(o, a, ...) (void) (o a); ZB_EACH_11 (o, __VA_ARGS__)

//  The same behind level and name, and behind level, name and value.
#define ZB_OPTIONS_(o, ...)                                                   \
    ZB_CAT_ (ZB_OPTIONS_, ZB_COUNT_ (__VA_ARGS__)) (o, __VA_ARGS__)
#define ZB_OPTIONS_2(o, level, name)
#define ZB_OPTIONS_3(o, level, name, a)   (void) (o a);
#define ZB_OPTIONS_4(o, level, name, ...) ZB_EACH_2 (o, __VA_ARGS__)
#define ZB_OPTIONS_5(o, level, name, ...) ZB_EACH_3 (o, __VA_ARGS__)
#define ZB_READING_(o, ...)                                                   \
    ZB_CAT_ (ZB_READING_, ZB_COUNT_ (__VA_ARGS__)) (o, __VA_ARGS__)
#define ZB_READING_3(o, level, name, v)      (o).value = (v);
#define ZB_READING_4(o, level, name, v, a)   (o).value = (v); (void) (o a);
#define ZB_READING_5(o, level, name, v, ...)                                  \
    (o).value = (v);                                                          \
    ZB_EACH_2 (o, __VA_ARGS__)
// clang-format on

#define ZB_RECORD_(type, ...)                                                  \
    do {                                                                       \
        zb_options_ zb_record_options_ = {0.0, NULL, NULL};                    \
        ZB_READING_ (zb_record_options_, __VA_ARGS__)                          \
        zb_record_ (type, ZB_ARG1_ (__VA_ARGS__, 0),                           \
                    ZB_ARG2_ (__VA_ARGS__, 0), &zb_record_options_);           \
    } while (0)

//  What both ends of the wire hold to (section 3).
enum {
    ZB_LABEL_MAX_ = 255,  //  bytes of a level, name or source
    ZB_KEY_SIZE_ = 41,    //  of a CURVE key in Z85, terminated
    ZB_BUCKET_0_ = -957,  //  bucket of 1 ns
    ZB_PAGES_ = 65,       //  pages of 32 buckets: octaves of 1 ns
    ZB_PAGE_SIZE_ = 32
};

typedef struct {
    double value;
    const char *source;
    zb_t *to;
} zb_options_;

#ifndef ZB_DISABLE

//  "" s "" lets only a literal through: in C++ a static initializer would
//  freeze the first run-time value, in C it would not compile.
//
//  How a cell is found is left to the compiler: by an offset in a program, by a
//  call in a shared library. There the initial-exec model would save less than a
//  nanosecond, and 60 sites of a library be enough that no program can load it
//  any more (glibc has 1664 bytes to spare for such).
#define ZB_SITE_(prefix, type, ...)                                            \
    static const zb_site_ ZB_CAT_ (prefix##site_, __LINE__) = {                \
      type, "" ZB_ARG1_ (__VA_ARGS__, 0) "", "" ZB_ARG2_ (__VA_ARGS__, 0) ""}; \
    static __thread zb_cell_ ZB_CAT_ (prefix##cell_, __LINE__);

#define ZB_LIKELY_(condition) __builtin_expect (!!(condition), 1)

typedef struct {
    zb_type_t type;
    const char *level;
    const char *name;
} zb_site_;

//  One series in one thread, which allocates, writes and frees it. The first
//  three are its work place; the rest is for finding it again.
typedef struct zb_slot_ {
    double total;               //  counter: this thread's share
    struct zb_timer_ *timer;    //  timer: this thread's share
    struct zb_ring_ *ring;      //  gauge: this thread's ring
    struct zb_series_ *series;  //  of an instance that is not dead
    struct zb_slot_ *next;      //  same series, next thread
    struct zb_slot_ *sibling;   //  same thread, next series
    zb_t *owner;                //  the instance, never dereferenced
    uint64_t hash;              //  of the label, below
    struct zb_block_ *block;    //  where it lies
    int dead;                   //  the instance is closed
    uint32_t label_size;
} zb_slot_;

typedef struct {
    zb_slot_ *slot;      //  NULL: `to` is switched off, whatever the source
    const char *source;  //  of the slot; NULL: the instance's
    zb_t *to;
    uint32_t generation;  //  zb_generation_ when it was resolved
} zb_cell_;

typedef struct {
    const zb_site_ *site;
    zb_cell_ *cell;
    double value;
    const char *source;
    zb_t *to;
} zb_count_scope_;

typedef struct {
    const zb_site_ *site;
    zb_cell_ *cell;
    uint64_t start;  //  of zb_ticks_; 0: switched off when it began
    const char *source;
    zb_t *to;
} zb_time_scope_;

//  The time-stamp counter as a clock, once the pump has measured its rate
//  against CLOCK_MONOTONIC: ns = base_ns + (ticks - base_ticks) * rate / 2^32.
typedef struct {
    uint64_t base_ticks;
    uint64_t base_ns;
    uint64_t rate;
} zb_tsc_t_;

extern uint32_t zb_generation_;  //  grows when cells must resolve anew
extern int zb_tsc_on_;
extern zb_tsc_t_ zb_tsc_;

zb_t *zb_open_ (const zb_config_t *config);
int zb_curve_read_ (const char *path, char *public_key, char *secret_key);
uint64_t zb_clock_ticks_ (void);
void zb_count_slow_ (const zb_site_ *site, zb_cell_ *cell, double value,
                     const char *source, zb_t *to) __attribute__ ((cold));
void zb_time_stop_ (const zb_site_ *site, zb_cell_ *cell, uint64_t start,
                    const char *source, zb_t *to);
void zb_gauge_put_ (const zb_site_ *site, zb_cell_ *cell, double value,
                    const char *source, zb_t *to);
void zb_record_ (zb_type_t type, const char *level, const char *name,
                 const zb_options_ *options);

__extension__ typedef unsigned __int128 zb_u128_;

//  A reading of the clock that durations are made from: ticks of the time-stamp
//  counter; where that is not used, nanoseconds, marked by the highest bit.
static inline uint64_t
zb_ticks_ (void)
{
#ifdef __x86_64__
    if (ZB_LIKELY_ (__atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE)))
        return __builtin_ia32_rdtsc ();
#endif
    return zb_clock_ticks_ ();
}

//  By bits, since -ffast-math takes isfinite away.
static inline int
zb_finite_ (double value)
{
    uint64_t bits;
    __builtin_memcpy (&bits, &value, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

//  Is what the cell remembers still right for this source and instance? A
//  source or instance that is constantly absent costs nothing to compare.
static inline int
zb_hit_ (const zb_cell_ *cell, const char *source, const zb_t *to)
{
    if (__atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE) != cell->generation)
        return 0;
    if (__builtin_constant_p (source == NULL && to == NULL) && !source && !to)
        return 1;
    return to == cell->to
           && (source == NULL || cell->source == NULL
                 ? source == cell->source || !cell->slot
                 : __builtin_strcmp (source, cell->source) == 0);
}

//  Does the cell remember that nothing is to be measured? Then neither clock
//  nor source is of interest. What begins so is not measured, even if it ends
//  when an instance has been opened.
static inline int
zb_off_ (const zb_cell_ *cell, const zb_t *to)
{
    return zb_hit_ (cell, NULL, to) && !cell->slot;
}

static inline void
zb_slot_add_ (zb_slot_ *self, double value)
{
    double total;
    __atomic_load (&self->total, &total, __ATOMIC_RELAXED);
    total += value;
    __atomic_store (&self->total, &total, __ATOMIC_RELAXED);
}

//  Inline, or gcc splits it and has to keep its scope in memory.
__attribute__ ((always_inline)) static inline void
zb_count_end_ (zb_count_scope_ *self)
{
    if (!ZB_LIKELY_ (zb_finite_ (self->value)
                     && zb_hit_ (self->cell, self->source, self->to)))
        zb_count_slow_ (self->site, self->cell, self->value, self->source,
                        self->to);
    else if (ZB_LIKELY_ (self->cell->slot != NULL))
        zb_slot_add_ (self->cell->slot, self->value);
}

__attribute__ ((always_inline)) static inline void
zb_time_end_ (zb_time_scope_ *self)
{
    if (ZB_LIKELY_ (self->start != 0))
        zb_time_stop_ (self->site, self->cell, self->start, self->source,
                       self->to);
}

#else  //  ZB_DISABLE: checked by the compiler, evaluated never

#define ZB_NEVER_(...) (0 && __extension__ ({ __VA_ARGS__ 0; }))

#define zb_open(...)                                                           \
    ((void) ZB_NEVER_ (zb_config_t zb_config_ = ZB_CONFIG_INIT_;               \
                       ZB_EACH_ (zb_config_, __VA_ARGS__)),                    \
     (zb_t *) NULL)
#define ZB_COUNT_ME(...)                                                       \
    int ZB_NAME_ (zb_count_off_) __attribute__ ((unused)) =                    \
      ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL};                      \
                 ZB_OPTIONS_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define ZB_TIME_ME(...)                                                        \
    int ZB_NAME_ (zb_time_off_) __attribute__ ((unused)) =                     \
      ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL};                      \
                 ZB_OPTIONS_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define zb_count(...)                                                          \
    (void) ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL};                 \
                      (void) (ZB_ARG1_ (__VA_ARGS__, 0));                      \
                      (void) (ZB_ARG2_ (__VA_ARGS__, 0));                      \
                      ZB_OPTIONS_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define zb_gauge(...)                                                          \
    (void) ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL};                 \
                      (void) (ZB_ARG1_ (__VA_ARGS__, 0));                      \
                      (void) (ZB_ARG2_ (__VA_ARGS__, 0));                      \
                      ZB_READING_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define zb_time(...)  zb_gauge (__VA_ARGS__)
#define ZB_GAUGE(...) zb_gauge (__VA_ARGS__)

static inline int
zb_flush (zb_t *self, int ms)
{
    (void) self;
    (void) ms;
    return 0;
}

static inline int
zb_stats (zb_t *self, zb_stats_t *stats)
{
    (void) self;
    __builtin_memset (stats, 0, sizeof *stats);
    return 0;
}

static inline void
zb_close (zb_t **self_p)
{
    *self_p = NULL;
}

#endif  //  ZB_DISABLE

#ifdef __cplusplus
}
#endif

#endif  //  ZIBRATO_H

//  --------------------------------------------------------------------------
//  6. The body
//
//      macros ─▶ slots and rings, one writer each ─▶ pump ─▶ XPUB ─▶ broker
//
//  Bottom-up: clock, text, histogram, the structures, threads and slots,
//  rings, connections, the pump's report, the pump, instances, fork and exit.
//  To see how a measurement travels, read zb_resolve_, then zb_report_.
//
//  Locks: zb_lock_ guards the lists of instances and threads and what hangs
//  on a thread; an instance's own lock guards its series, levels and queues.
//  Taken in that order. The hot path takes neither.

#ifdef ZIBRATO_IMPLEMENTATION
#if !defined ZB_DISABLE && !defined ZIBRATO_BODY_
#define ZIBRATO_BODY_

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

//  -std=c11 hides POSIX, and a feature test macro comes too late where a
//  system header stands before this one. So here is what the body uses of
//  POSIX.1-2008 beyond C11, with Linux' values (linux/time.h, asm/signal.h).
#ifndef CLOCK_MONOTONIC
#define CLOCK_REALTIME  0
#define CLOCK_MONOTONIC 1
int clock_gettime (clockid_t, struct timespec *);
#endif
#ifndef SIG_SETMASK
#define SIG_SETMASK 2
int sigfillset (sigset_t *);
int pthread_sigmask (int, const sigset_t *, sigset_t *);
#endif
#if defined __linux__ && !defined __USE_XOPEN2K
int pthread_condattr_setclock (pthread_condattr_t *, clockid_t);
#endif

enum {
    ZB_MESSAGE_MAX_ = 65536,  //  bytes, section 3
    ZB_UNDO_MAX_ = 2048,      //  lines of a message at most
    ZB_RING_SIZE_ = 4096,     //  readings a thread is ahead of the pump
    ZB_QUEUE_MAX_ = 16384,    //  readings that a level holds
    ZB_KEPT_MAX_ = 4096,      //  and that it keeps when they are sent,
    ZB_KEPT_MS_ = 25000,      //  for longer than a dead peer is trusted:
                              //  interval and timeout of heartbeats
    ZB_SUBSCRIPTIONS_MAX_ = 1024,
    ZB_SUBSCRIPTION_MAX_ = 1024,    //  bytes
    ZB_TOPICS_BYTES_MAX_ = 262144,  //  of all; a broker that wants more,
    ZB_TOPICS_MAX_ = 2048,          //  or more topics, is left alone
    ZB_ALONE_MS_ = 5000,            //  for so long
    ZB_DEAD_MS_ = 20000,            //  nothing sent was acknowledged so long
    ZB_AHEAD_MAX_ = 2,              //  subscriptions read ahead, see below
    ZB_TOPIC_MAX_ = ZB_LABEL_MAX_ + 2,  //  one that a level can match
    ZB_HWM_ = 256,                      //  messages in ZeroMQ's pipe: 16 MiB
    ZB_QUIET_MS_ = 2000,                //  a series that rests is repeated once
    ZB_BEAT_MS_ = 30000,                //  and all are, at this beat
    ZB_SETTLE_MS_ = 100,                //  after a subscription others follow
    ZB_SPARE_FDS_ = 24,     //  ZeroMQ opens ten; the rest is for others
    ZB_SPARE_MS_ = 1000,    //  how long the host's whole system has some
    ZB_SPARE_THREADS_ = 4,  //  two of ZeroMQ's, the pump, and one more
    ZB_NAP_MS_ = 50,        //  where there is no descriptor
    ZB_RETRY_MS_ = 1000,    //  to start a pump that could not be
    ZB_ORPHAN_MS_ = 250,    //  past linger_ms for ZeroMQ to end
    ZB_WINDOWS_ = 4         //  of a timer: three, and a power of two
};

//  --------------------------------------------------------------------------
//  Clock: CLOCK_MONOTONIC, or the time-stamp counter where it is invariant

uint32_t zb_generation_ = 1;
int zb_tsc_on_ = 0;
zb_tsc_t_ zb_tsc_ = {0, 0, 0};

static uint64_t
zb_clock_read_ (clockid_t id)
{
    struct timespec now;
    clock_gettime (id, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static uint64_t
zb_clock_ns_ (void)
{
    return zb_clock_read_ (CLOCK_MONOTONIC);
}

static int64_t
zb_clock_ms_ (void)
{
    return (int64_t) (zb_clock_ns_ () / 1000000);
}

enum { ZB_CLOCK_BIT_ = 63 };  //  of a reading that is no ticks

uint64_t
zb_clock_ticks_ (void)
{
    return zb_clock_ns_ () | (uint64_t) 1 << ZB_CLOCK_BIT_;
}

static inline uint64_t
zb_tsc_ns_ (uint64_t ticks)
{
    return (uint64_t) (((zb_u128_) ticks * zb_tsc_.rate) >> 32);
}

//  Nanoseconds of a clock that never steps, with any beginning.
static inline uint64_t
zb_ticks_ns_ (uint64_t ticks)
{
    if (ticks >> ZB_CLOCK_BIT_)
        return ticks & ~((uint64_t) 1 << ZB_CLOCK_BIT_);
    return zb_tsc_.base_ns + zb_tsc_ns_ (ticks - zb_tsc_.base_ticks);
}

static inline uint64_t
zb_now_ (void)
{
    return zb_ticks_ns_ (zb_ticks_ ());
}

//  When the time-stamp counter was last found to be right. Written while it is
//  used, read when it no longer is.
static uint64_t zb_tsc_ok_ticks_, zb_tsc_ok_ns_;

//  Nanoseconds of CLOCK_MONOTONIC at a reading from before the counter was given
//  up: it may have gone far from that clock in a year, at no more than 100 ppm.
static uint64_t
zb_tsc_was_ns_ (uint64_t ticks)
{
    return ticks > zb_tsc_ok_ticks_
             ? zb_tsc_ok_ns_ + zb_tsc_ns_ (ticks - zb_tsc_ok_ticks_)
             : zb_tsc_ok_ns_ - zb_tsc_ns_ (zb_tsc_ok_ticks_ - ticks);
}

//  Nanoseconds from a reading of the clock to now. Where the clock has changed
//  meanwhile, by way of CLOCK_MONOTONIC, which both stand for.
static inline uint64_t
zb_elapsed_ (uint64_t start)
{
    uint64_t now = zb_ticks_ ();
    if (ZB_LIKELY_ ((start | now) >> ZB_CLOCK_BIT_ == 0))
        return now > start ? zb_tsc_ns_ (now - start) : 0;
    start = now >> ZB_CLOCK_BIT_ && !(start >> ZB_CLOCK_BIT_)
              ? zb_tsc_was_ns_ (start)
              : zb_ticks_ns_ (start);
    now = zb_ticks_ns_ (now);
    return now > start ? now - start : 0;
}

static pthread_mutex_t zb_tsc_lock_ = PTHREAD_MUTEX_INITIALIZER;

#ifdef __x86_64__

//  AMD64 Architecture Programmer's Manual vol. 3, CPUID Fn8000_0007_EDX bit 8
//  (Intel SDM vol. 3B, 18.17.1, the same): the TSC runs at one rate always.
static int
zb_tsc_invariant_ (void)
{
    unsigned a, b, c, d = 0;
    return __get_cpuid (0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
}

//  Reads both clocks as one: the tightest of some tries.
static void
zb_tsc_pair_ (uint64_t *ticks, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;
    int i;
    *ticks = *ns = 0;
    for (i = 0; i < 8; i++) {
        uint64_t before = __builtin_ia32_rdtsc ();
        uint64_t now = zb_clock_ns_ ();
        uint64_t width = __builtin_ia32_rdtsc () - before;
        if (width < best) {
            best = width;
            *ticks = before + width / 2;
            *ns = now;
        }
    }
}

//  By how much the counter's nanoseconds differ from the clock's.
static uint64_t
zb_tsc_off_ (uint64_t ticks, uint64_t ns)
{
    uint64_t got = zb_ticks_ns_ (ticks);
    return got > ns ? got - ns : ns - got;
}

//  Called by pumps, now and then. The first call notes a pair of readings;
//  one at least 100 ms later makes the rate; from then on each compares, and
//  a counter that went astray by more than 100 ppm is given up for good.
static void
zb_tsc_tend_ (void)
{
    static enum { ZB_NEW_, ZB_NOTED_, ZB_ON_, ZB_OFF_ } state = ZB_NEW_;
    uint64_t ticks, ns, age;
    int on = 0;
    pthread_mutex_lock (&zb_tsc_lock_);
    zb_tsc_pair_ (&ticks, &ns);
    age = ns - zb_tsc_.base_ns;
    if (state == ZB_NEW_) {
        zb_tsc_.base_ticks = ticks;
        zb_tsc_.base_ns = ns;
        state = zb_tsc_invariant_ () ? ZB_NOTED_ : ZB_OFF_;
    }
    else if (state == ZB_NOTED_
             && (ticks <= zb_tsc_.base_ticks || ticks >> (ZB_CLOCK_BIT_ - 1)))
        state = ZB_OFF_;
    else if (state == ZB_NOTED_ && age >= 100000000u) {
        zb_tsc_.rate =
          (uint64_t) (((zb_u128_) age << 32) / (ticks - zb_tsc_.base_ticks));
        state = ZB_ON_;
        on = 1;
    }
    else if (state == ZB_ON_) {
        on =
          age < 1000000000u || zb_tsc_off_ (ticks, ns) <= age / 10000 + 10000;
        if (!on)
            state = ZB_OFF_;
    }
    if (on) {
        zb_tsc_ok_ticks_ = ticks;
        zb_tsc_ok_ns_ = ns;
    }
    if (on != zb_tsc_on_)
        __atomic_store_n (&zb_tsc_on_, on, __ATOMIC_RELEASE);
    pthread_mutex_unlock (&zb_tsc_lock_);
}

#else

static void
zb_tsc_tend_ (void)
{
}

#endif

//  Not from random (), which is the host's.
static uint64_t
zb_random_ (void)
{
    uint64_t bits;
    if (getrandom (&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t) sizeof bits)
        bits = zb_clock_read_ (CLOCK_REALTIME) * 0x9e3779b97f4a7c15u
               ^ (uint64_t) getpid () << 32 ^ (uint64_t) (uintptr_t) &bits;
    return bits;
}

//  --------------------------------------------------------------------------
//  Text: a bounded line, written without locale

typedef struct {
    char *text;
    size_t size, capacity;
} zb_text_;

static void
zb_put_ (zb_text_ *self, const char *bytes, size_t size)
{
    if (size > self->capacity - self->size)
        size = self->capacity - self->size;
    memcpy (self->text + self->size, bytes, size);
    self->size += size;
}

static void
zb_put_char_ (zb_text_ *self, char c)
{
    if (self->size < self->capacity)
        self->text[self->size++] = c;
}

static void
zb_put_string_ (zb_text_ *self, const char *string)
{
    zb_put_ (self, string, strlen (string));
}

static const uint64_t zb_powers_[] = {1,
                                      10,
                                      100,
                                      1000,
                                      10000,
                                      100000,
                                      1000000,
                                      10000000,
                                      100000000,
                                      1000000000,
                                      10000000000,
                                      100000000000,
                                      1000000000000,
                                      10000000000000,
                                      100000000000000,
                                      1000000000000000,
                                      10000000000000000,
                                      100000000000000000,
                                      1000000000000000000,
                                      10000000000000000000u};

//  How many decimal digits it has: as many as a number of so many bits has at
//  least, or one more. 0 has as many as 1, and no odd number fewer than the even
//  one before it.
static size_t
zb_digits_ (uint64_t value)
{
    size_t least;
    value |= 1;
    least = (size_t) (64 - __builtin_clzll (value)) * 1233 >> 12;
    return least + (value >= zb_powers_[least]);
}

//  Two digits at a time, since reports are mostly numbers.
static void
zb_put_uint_ (zb_text_ *self, uint64_t value)
{
    static const char pairs[] = "00010203040506070809"
                                "10111213141516171819"
                                "20212223242526272829"
                                "30313233343536373839"
                                "40414243444546474849"
                                "50515253545556575859"
                                "60616263646566676869"
                                "70717273747576777879"
                                "80818283848586878889"
                                "90919293949596979899";
    char digits[20];
    size_t size = zb_digits_ (value);
    int fits = size <= self->capacity - self->size;
    char *end = (fits ? self->text + self->size : digits) + size;
    for (; value >= 100; value /= 100)
        memcpy (end -= 2, pairs + value % 100 * 2, 2);
    if (value >= 10)
        memcpy (end - 2, pairs + value * 2, 2);
    else
        end[-1] = (char) ('0' + value);
    if (fits)
        self->size += size;
    else
        zb_put_ (self, digits, size);
}

static void
zb_put_int_ (zb_text_ *self, int64_t value)
{
    if (value < 0)
        zb_put_char_ (self, '-');
    zb_put_uint_ (self, value < 0 ? 0 - (uint64_t) value : (uint64_t) value);
}

//  value / 10^places, to the last digit that is not zero.
static void
zb_put_decimal_ (zb_text_ *self, uint64_t value, int places)
{
    char digits[20];
    int size = places;
    zb_put_uint_ (self, value / zb_powers_[places]);
    value %= zb_powers_[places];
    if (value == 0)
        return;
    for (places = size; places; places--, value /= 10)
        digits[places - 1] = (char) ('0' + value % 10);
    while (digits[size - 1] == '0')
        size--;
    zb_put_char_ (self, '.');
    zb_put_ (self, digits, (size_t) size);
}

//  digits / 10^places as %g writes it: so many as there are, and an exponent
//  below 0.0001.
static void
zb_put_scaled_ (zb_text_ *self, uint64_t digits, int places)
{
    char text[24];
    zb_text_ whole = {text, 0, sizeof text};
    int exponent;
    for (; places > 0 && digits % 10 == 0; places--)
        digits /= 10;
    zb_put_uint_ (&whole, digits);
    exponent = (int) whole.size - 1 - places;
    if (exponent < -4) {
        zb_put_char_ (self, *text);
        if (whole.size > 1)
            zb_put_char_ (self, '.');
        zb_put_ (self, text + 1, whole.size - 1);
        zb_put_string_ (self, exponent > -10 ? "e-0" : "e-");
        zb_put_uint_ (self, (uint64_t) -exponent);
        return;
    }
    zb_put_ (self, text, exponent < 0 ? 0 : (size_t) exponent + 1);
    zb_put_ (self, "0.000", exponent < 0 ? (size_t) (1 - exponent) : 0);
    if (exponent >= 0 && places)
        zb_put_char_ (self, '.');
    zb_put_ (self, text + (exponent < 0 ? 0 : exponent + 1),
             whole.size - (exponent < 0 ? 0 : (size_t) exponent + 1));
}

//  value * 10^places, rounded: value is mantissa * 2^exponent, and the product
//  with 5^places has 128 bits at most. `exact` is 1 if that reads back as the
//  same value: it is not as far from it as half of the mantissa's last bit, or
//  half of that below a power of two.
static uint64_t
zb_scale_ (uint64_t mantissa, int exponent, int places, int *exact)
{
    zb_u128_ five = 1, product, back;
    int i, shift = -exponent - places;
    uint64_t digits;
    for (i = 0; i < places; i++)
        five *= 5;
    product = mantissa * five;
    digits = (uint64_t) ((product + ((zb_u128_) 1 << (shift - 1))) >> shift);
    back = (zb_u128_) digits << shift;
    back = back > product ? back - product : product - back;
    *exact = back << (mantissa & (mantissa - 1) ? 1 : 2) < five;
    return digits;
}

//  The same as below of 1e-15 to 1e15, without the C library, which takes
//  longer for it than all else in a line does.
static void
zb_put_fraction_ (zb_text_ *self, double value)
{
    uint64_t bits, digits;
    int exponent, places, exact;
    memcpy (&bits, &value, sizeof bits);
    exponent = (int) (bits >> 52) - 1075;
    bits = (bits & (((uint64_t) 1 << 52) - 1)) | (uint64_t) 1 << 52;
    //  15 digits: 14 behind the first. Its place is log10 (value), floored, or
    //  one less: then there are 16
    places = 14 - ((exponent + 52) * 1233 >> 12);
    digits = zb_scale_ (bits, exponent, places, &exact);
    if (digits >= 1000000000000000u)
        digits = zb_scale_ (bits, exponent, --places, &exact);
    if (!exact) {
        places += 2;
        digits = zb_scale_ (bits, exponent, places, &exact);
    }
    zb_put_scaled_ (self, digits, places);
}

//  The shortest of 15 or 17 digits that reads back the same. The decimal
//  point is whatever the host's locale makes of it, so it is put right.
static void
zb_put_double_ (zb_text_ *self, double value)
{
    char digits[64];
    const char *c;
    if (value > -9007199254740992.0 && value < 9007199254740992.0
        && (double) (int64_t) value == value) {
        zb_put_int_ (self, (int64_t) value);
        return;
    }
    if (value >= 1e-15 && value < 1e15) {
        zb_put_fraction_ (self, value);
        return;
    }
    snprintf (digits, sizeof digits, "%.15g", value);
    if (strtod (digits, NULL) != value)
        snprintf (digits, sizeof digits, "%.17g", value);
    for (c = digits; *c; c++) {
        if (strchr ("+-0123456789e", *c))
            zb_put_char_ (self, *c);
        else if (c == digits || strchr ("0123456789", c[-1]))
            zb_put_char_ (self, '.');
    }
}

//  --------------------------------------------------------------------------
//  Histogram: base-2 exponential, scale 5, from nanoseconds without logarithm
//
//  A duration is normalized to 64 bits (bit 63 set), so that p, its highest
//  bit's place, gives the octave and a table of 32 boundaries the rest. The
//  boundaries are floor (2^63 * 2^((k + 1 - d) / 32)) for k = 0..31 with
//  d = 957 - 32 log2 (10^9), since buckets are of seconds.

static const uint64_t zb_boundaries_[ZB_PAGE_SIZE_] = {
  0x81ffa7a9549ca6e3u, 0x84d8626d3118d396u, 0x87c11235836d16a3u,
  0x8aba10758e1ea3cfu, 0x8dc3b8960164a7d9u, 0x90de67fff600044cu,
  0x940a7e28259fb382u, 0x97485c9a622adb60u, 0x9a9867054d512391u,
  0x9dfb034651c99c68u, 0xa1709975dfb06757u, 0xa4f993f3ed7b61cau,
  0xa8965f74bf065071u, 0xac476b0df43f745fu, 0xb00d2843e1060dc2u,
  0xb3e80b172fd51af7u, 0xb7d88a12d0dd9ea0u, 0xbbdf1e5a373ce5c6u,
  0xbffc43b7e604a922u, 0xc43078ac4ed47ae7u, 0xc87c3e7d03cdbec3u,
  0xcce019443eb56ce4u, 0xd15c9000bf211c1fu, 0xd5f22ca6019743e0u,
  0xdaa17c2cd19555dbu, 0xdf6b0ea438793a89u, 0xe44f7742cb56e3ddu,
  0xe94f4c7859ce1066u, 0xee6b280000000000u, 0xf3a3a6f29dd0c333u,
  0xf8f969d9b5abf948u, 0xfe6d14c2b5114024u};

//  Boundaries below the first value with these six bits behind the highest: at
//  most one more is to be tried.
// clang-format off
static const uint8_t zb_boundaries_below_[64] = {
  0,  1,  1,  2,  3,  3,  4,  5,  5,  6,  6,  7,  8,  8,  9,  10,
  10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 16, 16, 17, 17, 18, 18,
  19, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 24, 25, 25,
  26, 26, 26, 27, 27, 28, 28, 28, 29, 29, 30, 30, 30, 31, 31, 31};
// clang-format on

//  The bucket of a duration, counted from that of 1 ns (ZB_BUCKET_0_). What
//  took no time at all goes there too.
static unsigned
zb_bucket_ (uint64_t ns)
{
    unsigned zeros, below;
    uint64_t normal;
    if (ns == 0)
        ns = 1;
    zeros = (unsigned) __builtin_clzll (ns);
    normal = ns << zeros;
    below = zb_boundaries_below_[normal >> 57 & 63];
    below += (unsigned) (normal > zb_boundaries_[below]);
    return (63 - zeros) * ZB_PAGE_SIZE_ + below;
}

//  --------------------------------------------------------------------------
//  Timer: one thread's share of a series
//
//  Written by its thread alone, read by the pump as one consistent set: seq
//  is odd while the thread writes (a sequence lock whose order comes from
//  release stores and acquire loads, which cost nothing on x86). Buckets are
//  read after the set, or a thread that times flat out would never let the
//  pump finish: they may run ahead by the samples of that microsecond.
//
//  Least and most are wanted since the last report, and only the thread may
//  write: so the pump asks for a new window by a number, and the thread keeps
//  the newest windows apart. What falls between the asking and the reading is
//  in both reports' ranges, in one report's count. A sample that began before
//  the asking and ended after the reading is in the window before, which its
//  report then takes into its range: it is known by there being samples since
//  the last reading that are in no window asked for since.
//
//  A bucket grows with the sample after: CPUs (AMD's at least) read no
//  time-stamp counter before they know where earlier stores go, so who times
//  again at once would wait for all that makes a bucket of a duration. The
//  newest sample is the reader's to add, as long as its bucket has not grown.

typedef struct zb_timer_ {
    uint64_t seq;
    uint64_t count;
    uint64_t sum_ns;
    double sum_squares;  //  seconds squared
    uint64_t asked;      //  by the pump: window of new samples
    uint64_t read;       //  by the pump: count at the last reading,
    int unread;          //  and whether it failed
    struct {
        uint64_t number, before, min_ns, max_ns;
    } window[ZB_WINDOWS_];      //  by number; samples before it
    uint64_t last;              //  bucket of the newest sample, plus 1
    uint64_t lost;              //  samples without bucket, for want of memory
    uint64_t *page[ZB_PAGES_];  //  of buckets, made at first touch
} zb_timer_;

//  What several of them add up to. The pages touched are marked so that
//  clearing does not cost more than filling.
typedef struct {
    uint64_t count, sum_ns;
    double sum_squares;
    uint64_t min_ns, max_ns;  //  min > max: none
    uint64_t last, lost;      //  of the one read last
    unsigned char touched[ZB_PAGES_];
    uint64_t bucket[ZB_PAGES_ * ZB_PAGE_SIZE_];
} zb_sum_;

static uint64_t
zb_get_ (const uint64_t *from)
{
    return __atomic_load_n (from, __ATOMIC_ACQUIRE);
}

static void
zb_set_ (uint64_t *to, uint64_t value)
{
    __atomic_store_n (to, value, __ATOMIC_RELEASE);
}

static double
zb_get_double_ (const double *from)
{
    double value;
    __atomic_load ((double *) from, &value, __ATOMIC_ACQUIRE);
    return value;
}

static void
zb_set_double_ (double *to, double value)
{
    __atomic_store (to, &value, __ATOMIC_RELEASE);
}

static zb_timer_ *
zb_timer_new_ (void)
{
    size_t size = (sizeof (zb_timer_) + 63) / 64 * 64;
    zb_timer_ *self = (zb_timer_ *) aligned_alloc (64, size);
    if (self) {
        memset (self, 0, size);
        self->asked = 1;
    }
    return self;
}

static void
zb_timer_destroy_ (zb_timer_ **self_p)
{
    zb_timer_ *self = *self_p;
    int i;
    if (!self)
        return;
    for (i = 0; i < ZB_PAGES_; i++)
        free (self->page[i]);
    free (self);
    *self_p = NULL;
}

//  Everything to nothing, for the child of a fork.
static void
zb_timer_clear_ (zb_timer_ *self)
{
    int i;
    self->seq = self->count = self->sum_ns = self->read = 0;
    self->last = self->lost = 0;
    self->unread = 0;
    self->sum_squares = 0;
    self->asked = 1;
    memset (self->window, 0, sizeof self->window);
    for (i = 0; i < ZB_PAGES_; i++)
        if (self->page[i])
            memset (self->page[i], 0, ZB_PAGE_SIZE_ * sizeof (uint64_t));
}

static inline int
zb_timer_has_ (const zb_timer_ *self, unsigned bucket)
{
    return self->page[bucket / ZB_PAGE_SIZE_] != NULL;
}

//  Makes the bucket's page. Returns -1 without memory.
static int
zb_timer_page_ (zb_timer_ *self, unsigned bucket)
{
    int keep = errno;
    uint64_t *page = (uint64_t *) calloc (ZB_PAGE_SIZE_, sizeof (uint64_t));
    errno = keep;
    __atomic_store_n (&self->page[bucket / ZB_PAGE_SIZE_], page,
                      __ATOMIC_RELEASE);
    return page ? 0 : -1;
}

static inline uint64_t *
zb_timer_place_ (const zb_timer_ *self, unsigned bucket)
{
    return self->page[bucket / ZB_PAGE_SIZE_] + bucket % ZB_PAGE_SIZE_;
}

//  By the owning thread only. The bucket should have a page.
static inline void
zb_timer_add_ (zb_timer_ *self, uint64_t ns)
{
    unsigned bucket = zb_bucket_ (ns);
    uint64_t last = self->last;
    double seconds = (double) (int64_t) ns * 1e-9;
    uint64_t seq = self->seq, count = self->count, asked;
    unsigned at;

    __atomic_store_n (&self->seq, seq + 1, __ATOMIC_RELAXED);
    //  not before seq is odd: who is preempted here keeps the pump waiting
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    asked = zb_get_ (&self->asked);
    at = asked % ZB_WINDOWS_;
    zb_set_ (&self->count, count + 1);
    zb_set_ (&self->sum_ns, self->sum_ns + ns);
    zb_set_double_ (&self->sum_squares, self->sum_squares + seconds * seconds);
    if (self->window[at].number != asked) {
        zb_set_ (&self->window[at].number, asked);
        zb_set_ (&self->window[at].before, count);
        zb_set_ (&self->window[at].min_ns, ns);
        zb_set_ (&self->window[at].max_ns, ns);
    }
    else if (ns < self->window[at].min_ns)
        zb_set_ (&self->window[at].min_ns, ns);
    else if (ns > self->window[at].max_ns)
        zb_set_ (&self->window[at].max_ns, ns);
    if (last) {
        uint64_t *place = zb_timer_place_ (self, (unsigned) last - 1);
        zb_set_ (place, *place + 1);
    }
    zb_set_ (&self->last, bucket + 1);
    if (!ZB_LIKELY_ (zb_timer_has_ (self, bucket))) {
        zb_set_ (&self->last, 0);
        zb_set_ (&self->lost, self->lost + 1);
    }
    zb_set_ (&self->seq, seq + 2);
}

static void
zb_sum_clear_ (zb_sum_ *self)
{
    int i;
    self->count = self->sum_ns = self->max_ns = 0;
    self->min_ns = UINT64_MAX;
    self->sum_squares = 0;
    for (i = 0; i < ZB_PAGES_; i++)
        if (self->touched[i]) {
            memset (self->bucket + i * ZB_PAGE_SIZE_, 0,
                    ZB_PAGE_SIZE_ * sizeof (uint64_t));
            self->touched[i] = 0;
        }
}

static void
zb_sum_range_ (zb_sum_ *self, uint64_t min_ns, uint64_t max_ns)
{
    if (min_ns < self->min_ns)
        self->min_ns = min_ns;
    if (max_ns > self->max_ns)
        self->max_ns = max_ns;
}

static void
zb_sum_add_ (zb_sum_ *self, const zb_sum_ *other)
{
    int i, j;
    self->count += other->count;
    self->sum_ns += other->sum_ns;
    self->sum_squares += other->sum_squares;
    zb_sum_range_ (self, other->min_ns, other->max_ns);
    for (i = 0; i < ZB_PAGES_; i++)
        if (other->touched[i]) {
            self->touched[i] = 1;
            for (j = i * ZB_PAGE_SIZE_; j < (i + 1) * ZB_PAGE_SIZE_; j++)
                self->bucket[j] += other->bucket[j];
        }
}

//  Takes the range of a window, if it has that number. Returns the samples
//  before it, or else `before`.
static uint64_t
zb_timer_range_ (const zb_timer_ *self, uint64_t number, uint64_t before,
                 zb_sum_ *sum)
{
    unsigned at = number % ZB_WINDOWS_;
    if (number == 0 || zb_get_ (&self->window[at].number) != number)
        return before;
    zb_sum_range_ (sum, zb_get_ (&self->window[at].min_ns),
                   zb_get_ (&self->window[at].max_ns));
    return zb_get_ (&self->window[at].before);
}

//  One try at a consistent set, with the range of this window and the next.
static int
zb_timer_try_ (const zb_timer_ *self, uint64_t window, zb_sum_ *sum)
{
    uint64_t seq = zb_get_ (&self->seq), before;
    sum->count = before = zb_get_ (&self->count);
    sum->sum_ns = zb_get_ (&self->sum_ns);
    sum->sum_squares = zb_get_double_ (&self->sum_squares);
    sum->last = zb_get_ (&self->last);
    sum->lost = zb_get_ (&self->lost);
    sum->min_ns = UINT64_MAX;
    sum->max_ns = 0;
    before = zb_timer_range_ (self, window + 1, before, sum);
    before = zb_timer_range_ (self, window, before, sum);
    if (before > self->read)
        zb_timer_range_ (self, window - 1, before, sum);
    return (seq & 1) == 0 && zb_get_ (&self->seq) == seq ? 0 : -1;
}

//  Into a sum that may hold something else. Returns how many samples have been
//  found in buckets.
static uint64_t
zb_timer_read_pages_ (const zb_timer_ *self, zb_sum_ *sum)
{
    uint64_t samples = 0;
    int i, j;
    for (i = 0; i < ZB_PAGES_; i++) {
        const uint64_t *page =
          __atomic_load_n (&self->page[i], __ATOMIC_ACQUIRE);
        uint64_t *bucket = sum->bucket + i * ZB_PAGE_SIZE_;
        for (j = 0; page && j < ZB_PAGE_SIZE_; j++)
            samples += bucket[j] = zb_get_ (page + j);
        if (!page && sum->touched[i])
            memset (bucket, 0, ZB_PAGE_SIZE_ * sizeof *bucket);
        sum->touched[i] = page != NULL;
    }
    return samples;
}

//  Asks for a new window and reads what there is up to now. Returns -1 if the
//  thread was caught writing each time: the next round reads the same window,
//  and the sum is worth nothing.
static int
zb_timer_read_ (zb_timer_ *self, zb_sum_ *sum)
{
    int tries;
    if (!self->unread)
        zb_set_ (&self->asked, self->asked + 1);
    self->unread = 0;
    for (tries = 0; zb_timer_try_ (self, self->asked - 1, sum) == -1; tries++) {
        if (tries == 200) {
            self->unread = 1;
            return -1;
        }
        if (tries % 16 == 15)
            sched_yield ();
    }
    self->read = sum->count;
    //  the newest is missing if there is nothing yet that came after it
    if (zb_timer_read_pages_ (self, sum) + sum->lost < sum->count && sum->last)
        sum->bucket[sum->last - 1]++;
    return 0;
}

//  No thread writes it any more: its newest sample gets its bucket.
static void
zb_timer_settle_ (zb_timer_ *self)
{
    if (self->last)
        ++*zb_timer_place_ (self, (unsigned) self->last - 1);
    self->last = 0;
}

//  Adds to one that no thread writes any more.
static void
zb_timer_merge_ (zb_timer_ *self, const zb_sum_ *sum)
{
    unsigned i, bucket;
    self->count += sum->count;
    self->sum_ns += sum->sum_ns;
    self->sum_squares += sum->sum_squares;
    for (i = 0; i < ZB_PAGES_; i++)
        for (bucket = i * ZB_PAGE_SIZE_;
             sum->touched[i] && bucket < (i + 1) * ZB_PAGE_SIZE_; bucket++) {
            if (sum->bucket[bucket]
                && (zb_timer_has_ (self, bucket)
                    || zb_timer_page_ (self, bucket) == 0))
                *zb_timer_place_ (self, bucket) += sum->bucket[bucket];
        }
}

//  --------------------------------------------------------------------------
//  Blocks: lines of the cache, for what one owner makes many of
//
//  Asked for such lines one by one, malloc loses as much as it gives. A block
//  is freed when all that lies in it is, and its owner has gone on to the next.

typedef struct zb_block_ {
    size_t used, references;
} zb_block_;

enum { ZB_BLOCK_SIZE_ = 16384 };

static void
zb_block_drop_ (zb_block_ **self_p)
{
    if (*self_p && --(*self_p)->references == 0)
        free (*self_p);
    *self_p = NULL;
}

//  So many bytes of the block, or of a new one, cleared. What is in them has to
//  drop `*block` in the end. Returns NULL without memory.
static void *
zb_block_take_ (zb_block_ **self_p, size_t size, zb_block_ **block)
{
    zb_block_ *self = *self_p;
    size = (size + 63) / 64 * 64;
    if (!self || self->used + size > ZB_BLOCK_SIZE_) {
        self = (zb_block_ *) aligned_alloc (64, ZB_BLOCK_SIZE_);
        if (!self)
            return NULL;
        self->used = 64;
        self->references = 1;
        zb_block_drop_ (self_p);
        *self_p = self;
    }
    self->used += size;
    self->references++;
    *block = self;
    return memset ((char *) self + self->used - size, 0, size);
}

//  --------------------------------------------------------------------------
//  CURVE: keys of certificate files

//  By a pointer that the compiler does not see through, or it would leave out
//  what nobody reads afterwards.
static void
zb_wipe_ (void *memory, size_t size)
{
    volatile char *at = (volatile char *) memory;
    while (size--)
        *at++ = 0;
}

static int
zb_key_ok_ (const char *key)
{
    uint8_t bytes[32];
    int rc = strlen (key) == ZB_KEY_SIZE_ - 1 && zmq_z85_decode (bytes, key);
    zb_wipe_ (bytes, sizeof bytes);
    return rc;
}

//  Reads `name = "key"` of a line. What is no such line is left alone.
static void
zb_key_take_ (const char *line, const char *name, char *key)
{
    char text[ZB_KEY_SIZE_] = "";
    size_t size = strlen (name);
    line += strspn (line, " \t");
    if (strncmp (line, name, size) != 0)
        return;
    line += size + strspn (line + size, " \t");
    if (*line != '=')
        return;
    line += 1 + strspn (line + 1, " \t\"'");
    size = strcspn (line, " \t\r\n\"'");
    if (size == sizeof text - 1)
        memcpy (text, line, size);
    if (zb_key_ok_ (text))
        memcpy (key, text, sizeof text);
    zb_wipe_ (text, sizeof text);
}

//  Reads the keys in section "curve" of a certificate of czmq's (zcert(3), in
//  ZPL: rfc.zeromq.org/spec/4). A key that is not there is left as it was.
static int
zb_curve_file_ (const char *path, char *public_key, char *secret_key)
{
    char line[512];
    int ours = 0;
    FILE *file = fopen (path, "re");
    if (!file)
        return -1;
    //  a buffer of stdio's own would keep the secret in freed memory
    setvbuf (file, NULL, _IONBF, 0);
    while (fgets (line, sizeof line, file)) {
        //  neither indented, nor a comment, nor blank: a section
        if (!strchr (" \t#\r\n", *line))
            ours = strncmp (line, "curve", 5) == 0;
        if (ours) {
            zb_key_take_ (line, "public-key", public_key);
            zb_key_take_ (line, "secret-key", secret_key);
        }
    }
    fclose (file);
    zb_wipe_ (line, sizeof line);
    return 0;
}

//  Reads a key pair: from the file, or from the one of the same name with
//  "_secret" behind it, where czmq puts the secret half. *secret_key stays ""
//  if there is none. Returns 0, or -1: errno of open, EINVAL for what is no
//  certificate.
int
zb_curve_read_ (const char *path, char *public_key, char *secret_key)
{
    size_t size = strlen (path) + sizeof "_secret";
    char *other = (char *) malloc (size);
    int rc, keep;
    *public_key = *secret_key = 0;
    if (!other)
        return -1;
    snprintf (other, size, "%s_secret", path);
    rc = zb_curve_file_ (path, public_key, secret_key);
    keep = errno;
    if (!*secret_key && zb_curve_file_ (other, public_key, secret_key) == 0)
        rc = 0;
    free (other);
    errno = rc == -1 ? keep : EINVAL;
    return rc == 0 && *public_key ? 0 : -1;
}

//  --------------------------------------------------------------------------
//  Links: the connections of a socket, one a broker
//
//  ZeroMQ connects again when a connection breaks, but gives it up for good
//  when a handshake fails (libzmq 4.3, session_base_t::engine_error): a broker
//  that did not know our key yet, or whose port somebody else had for a while,
//  would never see us again. So we read its monitor, and make such a link
//  anew. The workers of the executable do the same.

//
//  In a host program we make all anew, of the transports that programs use:
//  ZeroMQ takes random numbers for it from rand (), and so from the host's.

enum {
    ZB_LINK_RETRY_MS_ = 2000,
    ZB_LINK_FIRST_MS_ = 100,   //  ours: that doubles up to the one above
    ZB_LINK_LIMIT_MS_ = 5000,  //  for TCP's part of a try
    ZB_LINK_HANDSHAKE_MS_ =
      40000,                     //  ours: for all of it; ZeroMQ gives it 30 s
    ZB_LINK_SILENCE_MS_ = 2000,  //  ours: of a try that nothing is heard of;
    ZB_LINK_SILENCE_MAX_MS_ = 16000  //  doubles up to this
};

typedef struct {
    char *endpoint;    //  as it was given
    char name[128];    //  what ZeroMQ calls it, after it has looked it up
    int up;            //  the handshake is done
    int given_up;      //  not ZeroMQ's any more
    int64_t again_ms;  //  make it anew then, unless it gets up; 0: no need to
    int ours, trying;  //  to make anew; and made, but nothing has come of it
    int delay_ms, silence_ms;
    const char *said;  //  the owner's: why it failed last
} zb_link_;

typedef struct {
    void *socket, *monitor;
    zb_link_ *link;
    size_t size;
    int ours;  //  to make anew, as far as we can
} zb_links_;

//  A report of the monitor. The link is NULL if there is none.
typedef struct {
    zb_link_ *link;
    int event, value;  //  ZMQ_EVENT_..., and what it says
    int was_up;
} zb_link_report_;

//  ZeroMQ takes any number for a port, and would try it for ever.
static int
zb_endpoint_ok_ (const char *endpoint)
{
    const char *colon = strrchr (endpoint, ':');
    char *end = NULL;
    long port;
    if (strncmp (endpoint, "tcp://", 6) != 0)
        return 1;
    port = strtol (colon + 1, &end, 10);
    return *end == 0 && port >= 1 && port <= 65535;
}

static void
zb_links_free_ (zb_links_ *self)
{
    while (self->size)
        free (self->link[--self->size].endpoint);
    free (self->link);
    memset (self, 0, sizeof *self);
}

//  The socket stays open. The monitor is to be stopped first: ZeroMQ's I/O
//  thread would wait for ever to say something to a socket that is closed.
static void
zb_links_close_ (zb_links_ *self)
{
    if (self->monitor) {
        zmq_socket_monitor (self->socket, NULL, 0);
        zmq_close (self->monitor);
    }
    zb_links_free_ (self);
}

//  What is to be known before the first connection is.
static int
zb_links_watch_ (zb_links_ *self, void *context)
{
    static unsigned number;
    const int events =
      ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_DELAYED
      | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED
      | (self->ours ? ZMQ_EVENT_CLOSED : 0) | ZMQ_EVENT_HANDSHAKE_SUCCEEDED
      | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    char name[64];
    int none = 0;
    snprintf (name, sizeof name, "inproc://zibrato-monitor-%p-%u",
              (void *) self, __atomic_add_fetch (&number, 1, __ATOMIC_RELAXED));
    self->monitor = zmq_socket (context, ZMQ_PAIR);
    if (!self->monitor)
        return -1;
    zmq_setsockopt (self->monitor, ZMQ_LINGER, &none, sizeof none);
    if (zmq_socket_monitor (self->socket, name, events) == -1)
        return -1;
    return zmq_connect (self->monitor, name);
}

//  ZeroMQ notes the interval with each connection.
static int
zb_link_connect_ (zb_links_ *self, zb_link_ *link, int64_t now_ms)
{
    int interval_ms = link->ours ? -1 : ZB_LINK_FIRST_MS_;
    link->given_up = 0;
    link->trying = link->ours;
    link->again_ms = link->ours ? now_ms + link->silence_ms : 0;
    if (self->ours)
        zmq_setsockopt (self->socket, ZMQ_RECONNECT_IVL, &interval_ms,
                        sizeof interval_ms);
    return zmq_connect (self->socket, link->endpoint);
}

//  Connects the socket to endpoints, separated by commas; one that is named
//  twice counts once. Returns 0, or -1, errno set, with nothing left over but
//  connections of the socket.
static int
zb_links_open_ (zb_links_ *self, void *context, void *socket,
                const char *endpoints)
{
    const char *at = endpoints, *end;
    size_t most = 1, i;
    int rc = 0, keep;
    self->socket = socket;
    for (; *at; at++)
        most += *at == ',';
    self->link = (zb_link_ *) calloc (most, sizeof *self->link);
    rc = self->link ? zb_links_watch_ (self, context) : -1;
    for (at = endpoints; at && rc == 0; at = *end ? end + 1 : NULL) {
        zb_link_ *link = &self->link[self->size];
        end = at + strcspn (at, ",");
        link->endpoint = (char *) calloc (1, (size_t) (end - at) + 1);
        if (!link->endpoint) {
            rc = -1;
            break;
        }
        memcpy (link->endpoint, at, (size_t) (end - at));
        link->ours =
          self->ours
          && (strncmp (at, "tcp://", 6) == 0 || strncmp (at, "ipc://", 6) == 0);
        link->delay_ms = ZB_LINK_FIRST_MS_;
        link->silence_ms = ZB_LINK_SILENCE_MS_;
        self->size++;
        for (i = 0; strcmp (self->link[i].endpoint, link->endpoint) != 0; i++) {
        }
        errno = EINVAL;
        if (&self->link[i] == link)
            rc = zb_endpoint_ok_ (link->endpoint)
                   ? zb_link_connect_ (self, link, zb_clock_ms_ ())
                   : -1;
        else
            free (self->link[--self->size].endpoint);
    }
    keep = errno;
    if (rc == -1)
        zb_links_close_ (self);
    errno = keep;
    return rc;
}

//  Which link is it that ZeroMQ calls so? The first attempt goes by the
//  endpoint as given, later ones by its address, which is first said right
//  after the link has broken.
static zb_link_ *
zb_links_find_ (zb_links_ *self, const char *name)
{
    zb_link_ *link, *broken = self->link;
    for (link = self->link; link < self->link + self->size; link++) {
        if (strcmp (link->endpoint, name) == 0
            || strcmp (link->name, name) == 0)
            return link;
        if (link->again_ms > broken->again_ms)
            broken = link;
    }
    snprintf (broken->name, sizeof broken->name, "%s", name);
    return broken;
}

static void
zb_link_give_up_ (zb_links_ *self, zb_link_ *link)
{
    if (!link->given_up)
        zmq_disconnect (self->socket, link->endpoint);
    link->given_up = 1;
}

//  One of ours is lost, or a try has failed, which may be said twice.
static void
zb_link_lost_ (zb_link_ *link, int64_t now_ms)
{
    if (link->given_up || (link->again_ms && !link->trying))
        return;
    link->trying = 0;
    link->again_ms =
      now_ms + link->delay_ms
      - (int64_t) (zb_random_ () % (unsigned) link->delay_ms) / 2;
    link->delay_ms *= 2;
    if (link->delay_ms > ZB_LINK_RETRY_MS_)
        link->delay_ms = ZB_LINK_RETRY_MS_;
}

static void
zb_link_apply_ours_ (zb_link_ *link, int event, int64_t now_ms)
{
    if (link->given_up)
        return;  //  of a try that took too long
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            link->up = 1;
            link->trying = 0;
            link->again_ms = 0;
            link->delay_ms = ZB_LINK_FIRST_MS_;
            link->silence_ms = ZB_LINK_SILENCE_MS_;
            break;
        case ZMQ_EVENT_CONNECTED:
        case ZMQ_EVENT_CONNECT_DELAYED:
            if (link->trying)
                link->again_ms = now_ms + ZB_LINK_HANDSHAKE_MS_;
            break;
        case ZMQ_EVENT_CONNECT_RETRIED:
            break;
        default:
            link->up = 0;
            zb_link_lost_ (link, now_ms);
    }
}

//  What a report means for its link. A DISCONNECTED that is not followed by
//  CONNECT_RETRIED was the last that ZeroMQ has to say.
static void
zb_links_apply_ (zb_links_ *self, const zb_link_report_ *report, int64_t now_ms)
{
    zb_link_ *link = report->link;
    if (link->ours) {
        zb_link_apply_ours_ (link, report->event, now_ms);
        return;
    }
    switch (report->event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            link->up = 1;
            link->again_ms = 0;
            break;
        case ZMQ_EVENT_CONNECTED:
        case ZMQ_EVENT_CONNECT_DELAYED:
        case ZMQ_EVENT_CONNECT_RETRIED:
            if (!link->given_up)
                link->again_ms = 0;
            break;
        case ZMQ_EVENT_DISCONNECTED:
            link->up = 0;
            if (!link->given_up)
                link->again_ms = now_ms + ZB_LINK_RETRY_MS_;
            break;
        default:  //  a handshake failed
            link->up = 0;
            link->again_ms = now_ms + ZB_LINK_RETRY_MS_;
            zb_link_give_up_ (self, link);
    }
}

//  Takes in the next report of the monitor.
static zb_link_report_
zb_links_read_ (zb_links_ *self, int64_t now_ms)
{
    zb_link_report_ report = {NULL, 0, 0, 0};
    unsigned char bytes[6] = {0};
    char name[128];
    uint16_t event;
    int size;
    if (zmq_recv (self->monitor, bytes, sizeof bytes, ZMQ_DONTWAIT) == -1)
        return report;
    size = zmq_recv (self->monitor, name, sizeof name, ZMQ_DONTWAIT);
    if (size < 0 || size >= (int) sizeof name)
        size = size < 0 ? 0 : (int) sizeof name - 1;
    name[size] = 0;
    memcpy (&event, bytes, sizeof event);
    memcpy (&report.value, bytes + 2, sizeof report.value);
    report.event = event;
    report.link = zb_links_find_ (self, name);
    report.was_up = report.link->up;
    zb_links_apply_ (self, &report, now_ms);
    return report;
}

//  When the next one is to be made anew, INT64_MAX if none is.
static int64_t
zb_links_next_ (const zb_links_ *self)
{
    const zb_link_ *link;
    int64_t next_ms = INT64_MAX;
    for (link = self->link; link < self->link + self->size; link++)
        if (link->again_ms && link->again_ms < next_ms)
            next_ms = link->again_ms;
    return next_ms;
}

//  Makes anew what is due. Returns when the next one is, INT64_MAX if none is.
//  ZeroMQ finds a connection by the address of an object, which may be freed
//  and used again: so none is made before all that are broken are gone.
static int64_t
zb_links_mend_ (zb_links_ *self, int64_t now_ms)
{
    zb_link_ *link, *end = self->link + self->size;
    if (zb_links_next_ (self) > now_ms)
        return zb_links_next_ (self);
    //  nothing is said of a try that has found no address
    for (link = self->link; link < end; link++)
        if (link->trying && link->again_ms <= now_ms) {
            link->silence_ms *= 2;
            if (link->silence_ms > ZB_LINK_SILENCE_MAX_MS_)
                link->silence_ms = ZB_LINK_SILENCE_MAX_MS_;
            zb_link_lost_ (link, now_ms);
        }
    for (link = self->link; link < end; link++)
        if (link->again_ms && !link->trying)
            zb_link_give_up_ (self, link);
    for (link = self->link; link < end; link++)
        if (link->again_ms && !link->trying && link->again_ms <= now_ms
            && zb_link_connect_ (self, link, now_ms) == -1)
            zb_link_lost_ (link, now_ms);
    return zb_links_next_ (self);
}

//  --------------------------------------------------------------------------
//  Instance, level, series, ring, thread: who owns what
//
//  The instance owns levels and series, a thread its slots and rings. Who
//  leaves first folds the slots into the series (a thread), or marks them
//  dead and lets them be (an instance): so a thread in the midst of a macro
//  never writes to memory that another one has freed.

//  One gauge reading, or one timing in classic mode.
typedef struct {
    struct zb_series_ *series;
    double value;
    uint64_t ns;  //  of zb_now_
} zb_reading_;

//  Readings on their way from one thread to the pump of one instance: single
//  producer, single consumer.
typedef struct zb_ring_ {
    uint64_t head;       //  thread: next to write
    uint64_t tail_seen;  //  thread: tail when last looked at
    uint64_t dropped;    //  thread: came when the ring was full
    int writing;         //  thread: a signal handler must not write now
    int hurried;         //  the pump was woken, and has not come
    int wake_fd;         //  of the pump
    int dead;
    zb_t *owner;
    struct zb_ring_ *next;     //  same instance, next thread
    struct zb_ring_ *sibling;  //  same thread, next instance
    uint64_t tail __attribute__ ((aligned (64)));  //  pump: next to read
    zb_reading_ reading[ZB_RING_SIZE_];
} zb_ring_;

//  What listeners have been told of a series.
typedef struct {
    double total;
    uint64_t count;
    int64_t at_ms;
    uint32_t green;          //  level's green when told
    unsigned char known;     //  told at all
    unsigned char echoed;    //  told twice
    uint64_t sum_ns, first;  //  first: SEQ of the first report
} zb_told_;

//  What tells whether it has changed stands first, in one line of the cache:
//  each round looks at all series.
typedef struct zb_series_ {
    zb_slot_ *slots;  //  one a thread and way of naming it
    zb_timer_ *gone;  //  of threads that are gone, NULL before there is one
    double total;     //  the same of a counter
    zb_type_t type;
    int fresh;  //  made in this process, not before fork
    zb_told_ told;
    struct zb_level_ *level;
    struct zb_series_ *chain;  //  same place of the hash table
    uint64_t hash;
    uint64_t min_ns, max_ns;  //  read and not reported yet
    zb_block_ *block;         //  where it lies
    uint16_t name_at, head_size, source_size;
} zb_series_;

//  A reading that was sent, and may have been lost on its way.
typedef struct {
    const zb_series_ *series;
    double value;
    uint64_t unix_ns;  //  when it was read, as the line said
    int64_t sent_ms;
} zb_kept_;

typedef struct zb_level_ {
    struct zb_level_ *next;
    char *name, *topic;       //  "info", "info|"
    int heard;                //  somebody listens
    uint32_t green;           //  how often it turned so
    uint64_t seq, gauge_seq;  //  of the next report
    char id[48];              //  of the stream: |ID: or, before birth, empty
    size_t id_size;
    zb_series_ **series;  //  counters and timers
    size_t series_size, series_max;
    zb_reading_ *queue;  //  gauges: a ring of queue_max readings
    size_t queue_size, queue_max, queue_at;
    zb_kept_ *kept;  //  the newest of those sent, SEQ by SEQ: a ring
    size_t kept_size, kept_max, kept_at;
    size_t again;  //  of those kept, to be sent again: the newest
} zb_level_;

//  A topic that somebody wants: all that begins with it.
typedef struct {
    char text[ZB_TOPIC_MAX_];
    size_t size;
} zb_topic_;

struct zb_s {
    zb_t *next;
    pthread_mutex_t lock;
    pthread_cond_t told;  //  a round is over, or the pump is
    char *endpoint, *source;
    char server_key[ZB_KEY_SIZE_];  //  of the broker; "": no CURVE
    char public_key[ZB_KEY_SIZE_], secret_key[ZB_KEY_SIZE_];
    int interval_ms, linger_ms, classic, disabled;
    size_t max_series;

    zb_level_ *levels;
    zb_series_ **table;  //  by hash, chained
    size_t table_size, series_size;
    zb_block_ *block;  //  of series
    zb_ring_ *rings;
    zb_topic_ subscription[ZB_SUBSCRIPTIONS_MAX_];
    size_t subscriptions_size;
    size_t crowd;         //  subscriptions beyond: then all levels are heard
    size_t topics_bytes;  //  of both
    int64_t alone_ms;     //  not connected until then, if it came to that
    int64_t settled_ms;   //  when the last subscription came
    uint64_t random;

    void *context, *context_given, *socket;
    zb_links_ links;    //  the pump's
    int zmq_fd[2];      //  of the socket, and of their monitor
    int zmq_news;       //  the pump: they must be asked before it sleeps
    int64_t zmq_ok_ms;  //  the pump: when there were descriptors to spare,
    int64_t opened_ms;  //  and when some were opened to see that
    int connected;      //  of these
    uint64_t denied;
    int wake_fd;
    pthread_t pump;
    int pump_runs, stop;
    int pump_left, pump_ended;  //  after its last round, and ZeroMQ too
    int64_t deadline_ms;        //  of a stop
    uint64_t round, round_wanted;

    uint64_t sent, repeated, messages, bytes;
    uint64_t dropped_series, refused, dropped_ring, dropped_held;
    uint64_t dropped_async;
    uint64_t dropped_told;       //  as zibrato.dropped
    struct zb_series_ *dropped;  //  that series

    char message[ZB_MESSAGE_MAX_];
    zb_sum_ sum, part;  //  of the series being reported
    struct {
        zb_series_ *series;
        zb_told_ told;
        uint64_t min_ns, max_ns;
    } undo[ZB_UNDO_MAX_];  //  for a message that could not go
};

//  What a thread owns. The table finds a slot by label without a lock.
typedef struct zb_thread_ {
    struct zb_thread_ *next;
    zb_slot_ *slots;       //  by sibling
    zb_ring_ *rings;       //  by sibling
    zb_slot_ *dead_slots;  //  of closed instances, to be freed
    zb_ring_ *dead_rings;
    zb_block_ *block;  //  of slots
    zb_slot_ **table;  //  open addressing, a power of two
    size_t table_size, used;
    uint32_t generation;  //  zb_generation_ at the last purge
    int goodbyes;         //  rounds of key destructors
} zb_thread_;

static pthread_mutex_t zb_lock_ = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t zb_once_ = PTHREAD_ONCE_INIT;
static pthread_key_t zb_key_;
static int zb_key_made_;
static zb_t *zb_instances_;
static zb_t *zb_default_;
static int zb_default_implied_;  //  opened by a measurement, not by zb_open
static int zb_default_closed_;   //  and not to be opened anew
static zb_thread_ *zb_threads_;
static zb_t *zb_orphans_;     //  closed, but ZeroMQ has not ended yet
static int zb_stalled_;       //  instances wait for a pump:
static int64_t zb_retry_ms_;  //  0: after a fork; else since it failed
static int zb_over_;          //  nothing is measured any more
static int zb_exiting_;       //  the program ends: this is no dlclose
static __thread zb_thread_ *zb_self_;

//  What stands for the slot where nothing is to be measured: never written to.
static zb_slot_ zb_nowhere_;

//  A signal handler may measure while its thread is in here, holding locks or
//  changing the thread's tables. So each way in marks the thread as busy; what
//  a handler measures then is dropped, and counted when the thread leaves.
static __thread int zb_busy_;
static __thread uint64_t zb_missed_;
static __thread int zb_gone_;  //  its last destructor has run

static void zb_once_init_ (void);

static zb_t *
zb_default_get_ (void)
{
    return __atomic_load_n (&zb_default_, __ATOMIC_ACQUIRE);
}

static void
zb_default_set_ (zb_t *instance)
{
    __atomic_store_n (&zb_default_, instance, __ATOMIC_RELEASE);
}

static void
zb_bump_generation_ (void)
{
    __atomic_add_fetch (&zb_generation_, 1, __ATOMIC_ACQ_REL);
}

//  Returns -1 if the thread is in here already.
static int
zb_enter_ (void)
{
    if (zb_busy_)
        return -1;
    zb_busy_ = 1;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    return 0;
}

//  What was missed goes to the default instance, whichever it was meant for:
//  that one may be closed by now.
static void
zb_leave_ (void)
{
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    zb_busy_ = 0;
    while (__atomic_load_n (&zb_missed_, __ATOMIC_RELAXED)
           && zb_enter_ () == 0) {
        uint64_t missed =
          __atomic_exchange_n (&zb_missed_, 0, __ATOMIC_RELAXED);
        pthread_mutex_lock (&zb_lock_);
        if (zb_default_)
            __atomic_add_fetch (&zb_default_->dropped_async, missed,
                                __ATOMIC_RELAXED);
        pthread_mutex_unlock (&zb_lock_);
        __atomic_signal_fence (__ATOMIC_SEQ_CST);
        zb_busy_ = 0;
    }
}

static void
zb_miss_ (void)
{
    __atomic_add_fetch (&zb_missed_, 1, __ATOMIC_RELAXED);
}

//  A descriptor that wakes a pump. When an instance closes it is kept for the
//  next one: a thread that is just about to wake the old pump must not write
//  to whatever file would have got its number.
static pthread_mutex_t zb_wake_lock_ = PTHREAD_MUTEX_INITIALIZER;
static int zb_wake_spare_[16];
static size_t zb_wake_spares_;

static int
zb_wake_open_ (void)
{
    int fd = -1;
    pthread_mutex_lock (&zb_wake_lock_);
    if (zb_wake_spares_)
        fd = zb_wake_spare_[--zb_wake_spares_];
    pthread_mutex_unlock (&zb_wake_lock_);
    return fd != -1 ? fd : eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void
zb_wake_close_ (int *fd)
{
    pthread_mutex_lock (&zb_wake_lock_);
    if (zb_wake_spares_ < sizeof zb_wake_spare_ / sizeof *zb_wake_spare_)
        zb_wake_spare_[zb_wake_spares_++] = *fd;
    else
        close (*fd);
    pthread_mutex_unlock (&zb_wake_lock_);
    *fd = -1;
}

//  Closes the spare ones: at exit, and in a child, which would wake its
//  parent with them.
static void
zb_wake_clear_ (void)
{
    while (zb_wake_spares_)
        close (zb_wake_spare_[--zb_wake_spares_]);
}

static void
zb_wake_ (int fd)
{
    uint64_t one = 1;
    if (fd != -1 && write (fd, &one, sizeof one) == -1) {
        //  EAGAIN: it has been woken already
    }
}

static char *
zb_strdup_ (const char *string)
{
    size_t size = strlen (string) + 1;
    char *copy = (char *) malloc (size);
    if (copy)
        memcpy (copy, string, size);
    return copy;
}

//  --------------------------------------------------------------------------
//  Labels: level, type, name and source as one string, and its hash

//  1 to 255 bytes without '|' and control characters.
static int
zb_label_ok_ (const char *text)
{
    const char *c = text;
    if (!text || !*text)
        return 0;
    for (; *c; c++)
        if (*c == '|' || (unsigned char) *c < 0x20 || *c == 0x7f
            || c - text >= ZB_LABEL_MAX_)
            return 0;
    return 1;
}

//  Large enough for three labels, four terminators and the type.
typedef struct {
    char text[3 * ZB_LABEL_MAX_ + 8];
    size_t size;
    uint64_t hash;
} zb_label_;

//  A source of NULL is a label of its own: the instance's.
static int
zb_label_make_ (zb_label_ *self, zb_type_t type, const char *level,
                const char *name, const char *source)
{
    zb_text_ text = {self->text, 0, sizeof self->text};
    size_t i;
    if (!zb_label_ok_ (level) || !zb_label_ok_ (name)
        || (source && !zb_label_ok_ (source)))
        return -1;
    zb_put_char_ (&text, (char) ('0' + type));
    zb_put_ (&text, level, strlen (level) + 1);
    zb_put_ (&text, name, strlen (name) + 1);
    if (source)
        zb_put_ (&text, source, strlen (source) + 1);
    self->size = text.size;
    //  FNV-1a, 64 bits (draft-eastlake-fnv)
    self->hash = 0xcbf29ce484222325u;
    for (i = 0; i < text.size; i++)
        self->hash =
          (self->hash ^ (unsigned char) text.text[i]) * 0x100000001b3u;
    return 0;
}

//  --------------------------------------------------------------------------
//  Levels and series. The caller holds the instance's lock.

static int
zb_topic_is_ (const char *topic, size_t size, const zb_level_ *level)
{
    size_t most = strlen (level->topic);
    return memcmp (topic, level->topic, size < most ? size : most) == 0;
}

static void
zb_level_listen_ (zb_t *self, zb_level_ *level)
{
    int heard = self->crowd > 0;
    size_t i;
    for (i = 0; i < self->subscriptions_size && !heard; i++)
        heard = zb_topic_is_ (self->subscription[i].text,
                              self->subscription[i].size, level);
    if (heard && !level->heard)
        level->green++;
    if (heard != level->heard)
        level->again = heard ? level->kept_size : 0;
    level->heard = heard;
}

static zb_level_ *
zb_level_find_ (zb_t *self, const char *name)
{
    zb_level_ *level;
    for (level = self->levels; level; level = level->next)
        if (strcmp (level->name, name) == 0)
            return level;
    level = (zb_level_ *) calloc (1, sizeof *level);
    if (!level)
        return NULL;
    level->name = zb_strdup_ (name);
    level->topic = (char *) malloc (strlen (name) + 2);
    if (!level->name || !level->topic) {
        free (level->name);
        free (level->topic);
        free (level);
        return NULL;
    }
    strcpy (level->topic, name);
    strcat (level->topic, "|");
    level->next = self->levels;
    self->levels = level;
    zb_level_listen_ (self, level);
    return level;
}

static int
zb_level_add_ (zb_level_ *self, zb_series_ *series)
{
    if (self->series_size == self->series_max) {
        size_t max = self->series_max ? self->series_max * 2 : 16;
        zb_series_ **grown =
          (zb_series_ **) realloc (self->series, max * sizeof *grown);
        if (!grown)
            return -1;
        self->series = grown;
        self->series_max = max;
    }
    self->series[self->series_size++] = series;
    return 0;
}

//  Behind the structure: level|type|name|, as lines begin, and the source.
static char *
zb_series_head_ (const zb_series_ *self)
{
    return (char *) (self + 1);
}

static const char *
zb_series_source_ (const zb_series_ *self)
{
    return zb_series_head_ (self) + self->head_size;
}

static int
zb_series_is_ (const zb_series_ *self, const char *name, const char *source)
{
    const char *own = zb_series_head_ (self) + self->name_at;
    size_t size = (size_t) (self->head_size - self->name_at - 1);
    return strncmp (own, name, size) == 0 && name[size] == 0
           && strcmp (zb_series_source_ (self), source) == 0;
}

static void
zb_series_label_ (zb_series_ *self, const char *level, const char *type,
                  const char *name, const char *source)
{
    zb_text_ text = {zb_series_head_ (self), 0, 4 * ZB_LABEL_MAX_};
    zb_put_string_ (&text, level);
    zb_put_char_ (&text, '|');
    zb_put_string_ (&text, type);
    zb_put_char_ (&text, '|');
    self->name_at = (uint16_t) text.size;
    zb_put_string_ (&text, name);
    zb_put_char_ (&text, '|');
    self->head_size = (uint16_t) text.size;
    self->source_size = (uint16_t) strlen (source);
    zb_put_ (&text, source, self->source_size + 1u);
}

static void
zb_series_destroy_ (zb_series_ **self_p)
{
    zb_block_ *block;
    if (!*self_p)
        return;
    block = (*self_p)->block;
    zb_timer_destroy_ (&(*self_p)->gone);
    zb_block_drop_ (&block);
    *self_p = NULL;
}

//  How a type is kept: in classic mode a timing goes its way like a reading,
//  for a classic line is one sample.
static zb_type_t
zb_kind_ (const zb_t *self, zb_type_t type)
{
    return self->classic && type == ZB_TYPE_TIMER ? ZB_TYPE_GAUGE : type;
}

//  Caller does not own the return value. Returns NULL without memory.
static zb_series_ *
zb_series_new_ (zb_t *self, uint64_t hash, zb_type_t type, const char *level,
                const char *name, const char *source)
{
    static const char *const types[] = {"", "Counter", "Timer", "Gauge"};
    size_t size = sizeof (zb_series_) + strlen (level) + strlen (types[type])
                  + strlen (name) + strlen (source) + 4;
    zb_block_ *block;
    zb_series_ *series =
      (zb_series_ *) zb_block_take_ (&self->block, size, &block);
    if (!series)
        return NULL;
    series->block = block;
    zb_series_label_ (series, level, types[type], name, source);
    series->hash = hash;
    series->type = type;
    series->fresh = !self->classic;
    series->told.at_ms = zb_clock_ms_ ();
    series->min_ns = UINT64_MAX;
    series->level = zb_level_find_ (self, level);
    if (!series->level
        || (zb_kind_ (self, type) != ZB_TYPE_GAUGE
            && zb_level_add_ (series->level, series) == -1))
        zb_series_destroy_ (&series);
    return series;
}

static int
zb_table_grow_ (zb_t *self)
{
    size_t i, size = self->table_size ? self->table_size * 2 : 64;
    zb_series_ **table = (zb_series_ **) calloc (size, sizeof *table);
    if (!table)
        return -1;
    for (i = 0; i < self->table_size; i++)
        while (self->table[i]) {
            zb_series_ *series = self->table[i];
            self->table[i] = series->chain;
            series->chain = table[series->hash & (size - 1)];
            table[series->hash & (size - 1)] = series;
        }
    free (self->table);
    self->table = table;
    self->table_size = size;
    return 0;
}

//  Finds or makes a series. Returns NULL, counted, if there is no room.
static zb_series_ *
zb_series_find_ (zb_t *self, zb_type_t type, const char *level,
                 const char *name, const char *source)
{
    zb_label_ label;
    zb_series_ *series = NULL;
    zb_label_make_ (&label, type, level, name, source);
    if (self->table_size)
        series = self->table[label.hash & (self->table_size - 1)];
    for (; series; series = series->chain)
        if (series->hash == label.hash && series->type == type
            && strcmp (series->level->name, level) == 0
            && zb_series_is_ (series, name, source))
            return series;
    if (self->series_size < self->max_series
        && (self->series_size < self->table_size || zb_table_grow_ (self) == 0))
        series = zb_series_new_ (self, label.hash, type, level, name, source);
    if (series) {
        series->chain = self->table[label.hash & (self->table_size - 1)];
        self->table[label.hash & (self->table_size - 1)] = series;
        self->series_size++;
    }
    else
        __atomic_add_fetch (&self->dropped_series, 1, __ATOMIC_RELAXED);
    return series;
}

//  --------------------------------------------------------------------------
//  Rings and queues of readings

//  By the owning thread.
static void
zb_ring_put_ (zb_ring_ *self, zb_series_ *series, double value, uint64_t ns)
{
    uint64_t head = self->head;
    zb_reading_ *reading = &self->reading[head % ZB_RING_SIZE_];
    if (head - self->tail_seen >= ZB_RING_SIZE_ / 2) {
        self->tail_seen = zb_get_ (&self->tail);
        if (head - self->tail_seen >= ZB_RING_SIZE_) {
            __atomic_add_fetch (&self->dropped, 1, __ATOMIC_RELAXED);
            return;
        }
        if (head - self->tail_seen >= ZB_RING_SIZE_ / 2
            && !__atomic_exchange_n (&self->hurried, 1, __ATOMIC_ACQ_REL)) {
            int keep = errno;
            zb_wake_ (self->wake_fd);
            errno = keep;
        }
    }
    reading->series = series;
    reading->value = value;
    reading->ns = ns;
    zb_set_ (&self->head, head + 1);
}

//  Makes a ring that is full twice as large, its oldest item the first. Returns
//  NULL without memory; else the given one is freed.
static void *
zb_grow_ (void *ring, size_t max, size_t at, size_t item)
{
    char *grown = (char *) malloc ((max ? max * 2 : 64) * item);
    if (grown && max) {
        memcpy (grown, (char *) ring + at * item, (max - at) * item);
        memcpy (grown + (max - at) * item, ring, at * item);
    }
    if (grown)
        free (ring);
    return grown;
}

//  The same, unless it is a signal handler that has interrupted it.
static void
zb_ring_offer_ (zb_ring_ *self, zb_series_ *series, double value, uint64_t ns)
{
    if (self->writing) {
        __atomic_add_fetch (&self->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    self->writing = 1;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    zb_ring_put_ (self, series, value, ns);
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    self->writing = 0;
}

//  The oldest reading goes when the queue has its full length.
static void
zb_queue_put_ (zb_t *instance, const zb_reading_ *reading)
{
    zb_level_ *self = reading->series->level;
    if (self->queue_size == self->queue_max
        && self->queue_max < ZB_QUEUE_MAX_) {
        void *grown = zb_grow_ (self->queue, self->queue_max, self->queue_at,
                                sizeof *self->queue);
        if (grown) {
            self->queue = (zb_reading_ *) grown;
            self->queue_max = self->queue_max ? self->queue_max * 2 : 64;
            self->queue_at = 0;
        }
    }
    if (self->queue_size == self->queue_max) {
        instance->dropped_held++;
        if (self->queue_max == 0)
            return;
        self->queue_at = (self->queue_at + 1) % self->queue_max;
        self->queue_size--;
    }
    self->queue[(self->queue_at + self->queue_size++) % self->queue_max] =
      *reading;
}

//  The i-th reading kept, from the oldest on. Behind them are those of the
//  message that is on its way.
static zb_kept_ *
zb_kept_at_ (const zb_level_ *self, size_t i)
{
    return &self->kept[(self->kept_at + i) % self->kept_max];
}

static void
zb_kept_drop_ (zb_level_ *self)
{
    self->kept_at = (self->kept_at + 1) % self->kept_max;
    self->kept_size--;
}

//  A place for one more, behind those kept and so many others of the message.
//  Without memory the oldest goes. Returns NULL if there is none to go.
static zb_kept_ *
zb_kept_next_ (zb_level_ *self, size_t others)
{
    if (self->kept_size + others == self->kept_max) {
        void *grown = zb_grow_ (self->kept, self->kept_max, self->kept_at,
                                sizeof *self->kept);
        if (grown) {
            self->kept = (zb_kept_ *) grown;
            self->kept_max = self->kept_max ? self->kept_max * 2 : 64;
            self->kept_at = 0;
        }
        else if (self->kept_size > self->again)
            zb_kept_drop_ (self);
        else
            return NULL;
    }
    return zb_kept_at_ (self, self->kept_size + others);
}

//  What is too much or too old goes, unless it is to be sent again.
static void
zb_kept_prune_ (zb_level_ *self, int64_t now_ms)
{
    while (self->kept_size > self->again
           && (self->kept_size > ZB_KEPT_MAX_
               || now_ms - zb_kept_at_ (self, 0)->sent_ms > ZB_KEPT_MS_))
        zb_kept_drop_ (self);
}

//  The caller holds the instance's lock.
static void
zb_ring_drain_ (zb_t *instance, zb_ring_ *self)
{
    uint64_t tail = self->tail, head;
    __atomic_store_n (&self->hurried, 0, __ATOMIC_RELEASE);
    head = zb_get_ (&self->head);
    for (; tail != head; tail++)
        zb_queue_put_ (instance, &self->reading[tail % ZB_RING_SIZE_]);
    zb_set_ (&self->tail, tail);
}

static uint64_t
zb_ring_dropped_ (const zb_t *self)
{
    uint64_t dropped = self->dropped_ring;
    zb_ring_ *ring;
    for (ring = self->rings; ring; ring = ring->next)
        dropped += zb_get_ (&ring->dropped);
    return dropped;
}

//  --------------------------------------------------------------------------
//  Threads and slots

static zb_slot_ *
zb_slot_find_ (zb_thread_ *thread, const zb_label_ *label, zb_t *owner)
{
    size_t at;
    if (!thread->table_size)
        return NULL;
    for (at = label->hash & (thread->table_size - 1); thread->table[at];
         at = (at + 1) & (thread->table_size - 1)) {
        zb_slot_ *slot = thread->table[at];
        if (slot->hash == label->hash && slot->owner == owner
            && slot->label_size == label->size
            && memcmp (slot + 1, label->text, label->size) == 0)
            return slot;
    }
    return NULL;
}

static void
zb_slot_index_ (zb_thread_ *thread, zb_slot_ *slot)
{
    size_t at = slot->hash & (thread->table_size - 1);
    while (thread->table[at])
        at = (at + 1) & (thread->table_size - 1);
    thread->table[at] = slot;
}

//  Makes the table anew for at least `more` further slots.
static int
zb_thread_reindex_ (zb_thread_ *self, size_t more)
{
    size_t size = 64;
    zb_slot_ *slot, **table;
    while (size < (self->used + more) * 2)
        size *= 2;
    table = (zb_slot_ **) calloc (size, sizeof *table);
    if (!table)
        return -1;
    free (self->table);
    self->table = table;
    self->table_size = size;
    for (slot = self->slots; slot; slot = slot->sibling)
        zb_slot_index_ (self, slot);
    return 0;
}

static void
zb_slot_destroy_ (zb_slot_ **self_p)
{
    zb_block_ *block;
    if (!*self_p)
        return;
    block = (*self_p)->block;
    zb_timer_destroy_ (&(*self_p)->timer);
    zb_block_drop_ (&block);
    *self_p = NULL;
}

//  Frees what the purge before has removed.
static void
zb_thread_bury_ (zb_thread_ *self)
{
    zb_slot_ *slot;
    zb_ring_ *ring;
    while ((slot = self->dead_slots)) {
        self->dead_slots = slot->sibling;
        zb_slot_destroy_ (&slot);
    }
    while ((ring = self->dead_rings)) {
        self->dead_rings = ring->sibling;
        free (ring);
    }
}

//  Removes the slots and rings of closed instances. The caller holds zb_lock_
//  and is the thread. It may be a signal handler that has interrupted a macro
//  just when that was about to write to one of them: so they are freed at the
//  next time.
static void
zb_thread_purge_ (zb_thread_ *self)
{
    zb_slot_ **slot = &self->slots, *dead_slot;
    zb_ring_ **ring = &self->rings, *dead_ring;
    zb_thread_bury_ (self);
    self->used = 0;
    while ((dead_slot = *slot)) {
        if (dead_slot->dead) {
            *slot = dead_slot->sibling;
            dead_slot->sibling = self->dead_slots;
            self->dead_slots = dead_slot;
        }
        else {
            self->used++;
            slot = &dead_slot->sibling;
        }
    }
    while ((dead_ring = *ring)) {
        if (dead_ring->dead) {
            *ring = dead_ring->sibling;
            dead_ring->sibling = self->dead_rings;
            self->dead_rings = dead_ring;
        }
        else
            ring = &dead_ring->sibling;
    }
    if (self->table)
        memset (self->table, 0, self->table_size * sizeof *self->table);
    for (dead_slot = self->slots; dead_slot; dead_slot = dead_slot->sibling)
        zb_slot_index_ (self, dead_slot);
    self->generation = __atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE);
}

//  The ring of this thread for an instance, made at first need.
static zb_ring_ *
zb_ring_find_ (zb_thread_ *thread, zb_t *owner)
{
    zb_ring_ *ring;
    size_t size = (sizeof (zb_ring_) + 63) / 64 * 64;
    for (ring = thread->rings; ring; ring = ring->sibling)
        if (ring->owner == owner && !ring->dead)
            return ring;
    ring = (zb_ring_ *) aligned_alloc (64, size);
    if (!ring)
        return NULL;
    memset (ring, 0, offsetof (zb_ring_, reading));
    ring->owner = owner;
    ring->wake_fd = owner->wake_fd;
    ring->next = owner->rings;
    owner->rings = ring;
    ring->sibling = thread->rings;
    thread->rings = ring;
    return ring;
}

//  A slot for a series, in this thread. The caller holds both locks.
static zb_slot_ *
zb_slot_new_ (zb_thread_ *thread, zb_t *owner, zb_series_ *series,
              const zb_label_ *label)
{
    zb_type_t kind = zb_kind_ (owner, series->type);
    zb_block_ *block;
    zb_slot_ *self = (zb_slot_ *) zb_block_take_ (
      &thread->block, sizeof *self + label->size, &block);
    if (!self)
        return NULL;
    self->block = block;
    if (kind == ZB_TYPE_TIMER)
        self->timer = zb_timer_new_ ();
    else if (kind == ZB_TYPE_GAUGE)
        self->ring = zb_ring_find_ (thread, owner);
    if ((kind != ZB_TYPE_COUNTER && !self->timer && !self->ring)
        || ((thread->used + 1) * 2 > thread->table_size
            && zb_thread_reindex_ (thread, 1) == -1)) {
        zb_slot_destroy_ (&self);
        return NULL;
    }
    self->series = series;
    self->owner = owner;
    self->hash = label->hash;
    self->label_size = (uint32_t) label->size;
    memcpy (self + 1, label->text, label->size);
    self->next = series->slots;
    series->slots = self;
    self->sibling = thread->slots;
    thread->slots = self;
    zb_slot_index_ (thread, self);
    thread->used++;
    return self;
}

static void
zb_series_range_ (zb_series_ *self, uint64_t min_ns, uint64_t max_ns)
{
    if (min_ns < self->min_ns)
        self->min_ns = min_ns;
    if (max_ns > self->max_ns)
        self->max_ns = max_ns;
}

static void
zb_series_unlink_ (zb_slot_ *slot)
{
    zb_slot_ **at = &slot->series->slots;
    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
}

//  Adds what a slot has measured to what is gone: the first timer to go becomes
//  that, which takes no memory. Its thread does not measure any more; the
//  caller holds the instance's lock.
static void
zb_slot_fold_ (zb_t *instance, zb_slot_ *self)
{
    zb_series_ *series = self->series;
    series->total += self->total;
    if (self->timer && zb_timer_read_ (self->timer, &instance->part) == 0) {
        zb_series_range_ (series, instance->part.min_ns, instance->part.max_ns);
        if (series->gone)
            zb_timer_merge_ (series->gone, &instance->part);
        else {
            zb_timer_settle_ (self->timer);
            series->gone = self->timer;
            self->timer = NULL;
        }
    }
    zb_series_unlink_ (self);
}

static void
zb_ring_unlink_ (zb_t *instance, zb_ring_ *ring)
{
    zb_ring_ **at = &instance->rings;
    while (*at != ring)
        at = &(*at)->next;
    *at = ring->next;
}

//  Folds all that this thread measured, and frees it. The caller holds
//  zb_lock_.
static void
zb_thread_destroy_ (zb_thread_ **self_p)
{
    zb_thread_ *self = *self_p, **at = &zb_threads_;
    zb_t *instance;
    zb_slot_ *slot;
    zb_ring_ *ring;
    for (instance = zb_instances_; instance; instance = instance->next) {
        pthread_mutex_lock (&instance->lock);
        for (slot = self->slots; slot; slot = slot->sibling)
            if (slot->owner == instance && !slot->dead)
                zb_slot_fold_ (instance, slot);
        for (ring = self->rings; ring; ring = ring->sibling)
            if (ring->owner == instance && !ring->dead) {
                zb_ring_drain_ (instance, ring);
                instance->dropped_ring += ring->dropped;
                zb_ring_unlink_ (instance, ring);
            }
        pthread_mutex_unlock (&instance->lock);
    }
    while ((slot = self->slots)) {
        self->slots = slot->sibling;
        zb_slot_destroy_ (&slot);
    }
    while ((ring = self->rings)) {
        self->rings = ring->sibling;
        free (ring);
    }
    while (*at && *at != self)
        at = &(*at)->next;
    if (*at)
        *at = self->next;
    zb_thread_bury_ (self);
    zb_block_drop_ (&self->block);
    free (self->table);
    free (self);
    *self_p = NULL;
}

//  Key destructors run in four rounds, in no order (POSIX, pthread_key_create).
//  Those of others may still measure, so we leave late, but not in the last
//  round: after ThreadSanitizer's own, which leaves then, no lock may be taken.
static void
zb_thread_exit_ (void *argument)
{
    zb_thread_ *self = (zb_thread_ *) argument;
    if (++self->goodbyes < 3 && pthread_setspecific (zb_key_, self) == 0)
        return;
    zb_enter_ ();
    pthread_mutex_lock (&zb_lock_);
    zb_self_ = NULL;
    zb_gone_ = 1;
    zb_thread_destroy_ (&self);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
}

//  Without a key, or room for its value, nobody would free it.
static zb_thread_ *
zb_thread_self_ (void)
{
    zb_thread_ *self;
    if (zb_self_ || !zb_key_made_)
        return zb_self_;
    self = (zb_thread_ *) calloc (1, sizeof *self);
    if (!self || pthread_setspecific (zb_key_, self) != 0) {
        free (self);
        return NULL;
    }
    self->generation = __atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE);
    self->next = zb_threads_;
    zb_threads_ = self;
    return zb_self_ = self;
}

//  --------------------------------------------------------------------------
//  Subscriptions: which levels have a listener

//  There is no room for a topic: from the first such to the last one, nobody
//  can say what is not wanted.
static void
zb_subscription_crowd_ (zb_t *self, int more, size_t size)
{
    zb_level_ *level;
    if (!more && self->crowd == 0)
        return;
    self->crowd += more ? 1 : (size_t) -1;
    if (!more && size > self->topics_bytes)
        size = self->topics_bytes;
    self->topics_bytes += more ? size : (size_t) 0 - size;
    for (level = self->levels; level && self->crowd <= 1; level = level->next)
        zb_level_listen_ (self, level);
}

//  "\1info|" adds one, "\0info|" takes it away. One that is too long for any
//  level may still want a part of one.
static void
zb_subscription_apply_ (zb_t *self, const char *bytes, size_t size)
{
    zb_topic_ *known = self->subscription;
    zb_topic_ *end = known + self->subscriptions_size;
    const char *topic = bytes + 1;
    zb_level_ *level;
    size--;
    while (known < end
           && (known->size != size || memcmp (known->text, topic, size) != 0))
        known++;
    if (bytes[0])
        self->settled_ms = zb_clock_ms_ () + ZB_SETTLE_MS_;
    if (bytes[0] && known == end && size <= ZB_TOPIC_MAX_
        && known < self->subscription + ZB_SUBSCRIPTIONS_MAX_) {
        memcpy (known->text, topic, size);
        known->size = size;
        self->subscriptions_size++;
        self->topics_bytes += size;
    }
    else if (!bytes[0] && known < end) {
        memmove (known, end - 1, sizeof *known);
        self->subscriptions_size--;
        self->topics_bytes -= size;
    }
    else if (known == end)
        zb_subscription_crowd_ (self, bytes[0], size);
    for (level = self->levels; level; level = level->next)
        if (zb_topic_is_ (topic, size, level))
            zb_level_listen_ (self, level);
}

//  Takes in what the broker says, but not for ever. Returns how many there
//  were.
static int
zb_subscriptions_read_ (zb_t *self)
{
    char bytes[ZB_SUBSCRIPTION_MAX_];
    int count = 0, size;
    while (
      count < ZB_SUBSCRIPTIONS_MAX_
      && (size = zmq_recv (self->socket, bytes, sizeof bytes, ZMQ_DONTWAIT))
           != -1) {
        count++;
        if (size < 1 || size > (int) sizeof bytes || (bytes[0] & ~1))
            continue;
        pthread_mutex_lock (&self->lock);
        zb_subscription_apply_ (self, bytes, (size_t) size);
        pthread_mutex_unlock (&self->lock);
    }
    return count;
}

//  --------------------------------------------------------------------------
//  Connections of an instance

//  Takes in what became of them. Returns how many reports there were.
static int
zb_links_take_ (zb_t *self)
{
    zb_link_report_ report;
    int connected = 0, count = 0;
    uint64_t denied = 0;
    size_t i;
    while ((report = zb_links_read_ (&self->links, zb_clock_ms_ ())).link) {
        denied += report.event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                  || report.event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                  || report.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
        count++;
    }
    for (i = 0; i < self->links.size; i++)
        connected += self->links.link[i].up;
    __atomic_store_n (&self->connected, connected, __ATOMIC_RELAXED);
    __atomic_add_fetch (&self->denied, denied, __ATOMIC_RELAXED);
    return count;
}

//  Is there a connection? When one is lost, ZeroMQ goes on for a moment to take
//  messages for it. Of other transports we do not know.
static int
zb_links_up_ (zb_t *self)
{
    size_t i;
    zb_links_take_ (self);
    for (i = 0; i < self->links.size; i++)
        if (!self->links.link[i].ours || self->links.link[i].up)
            return 1;
    return 0;
}

static int
zb_spare_descriptors_ (int count)
{
    int fd[ZB_SPARE_FDS_], got = 0, rc, keep;
    while (got < count && (fd[got] = eventfd (0, EFD_CLOEXEC)) != -1)
        got++;
    rc = got == count ? 0 : -1;
    keep = errno;
    while (got)
        close (fd[--got]);
    errno = keep;
    return rc;
}

//  Are so many of the highest numbers free that the process may have? Nearly
//  always, and to look costs a tenth of what it costs to open some.
static int
zb_spare_numbers_ (int count)
{
    enum { LOOKED_AT = 4 };
    struct rlimit limit;
    int i;
    if (getrlimit (RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur < LOOKED_AT
        || limit.rlim_cur > INT32_MAX)
        return -1;
    for (i = 1; i <= LOOKED_AT && count > 0; i++)
        count -= fcntl ((int) limit.rlim_cur - i, F_GETFD) == -1;
    return count <= 0 ? 0 : -1;
}

//  When a connection is lost, ZeroMQ looks for its endpoint in a way that takes
//  a descriptor, and ends the process where there is none (getifaddrs, in
//  libzmq's ip_resolver.cpp). So its socket is left alone then, until there is.
//  The process may have none by its own limit, or, hardly ever, by the system's,
//  which is only seen by opening some.
static int
zb_zmq_ok_ (zb_t *self)
{
    int64_t now_ms = zb_clock_ms_ ();
    size_t i;
    if (self->zmq_ok_ms == now_ms)
        return 1;
    if (now_ms - self->opened_ms < ZB_SPARE_MS_ && zb_spare_numbers_ (2) == 0) {
        self->zmq_ok_ms = now_ms;
        return 1;
    }
    if (zb_spare_descriptors_ (2) == 0) {
        self->zmq_ok_ms = self->opened_ms = now_ms;
        return 1;
    }
    zb_links_take_ (self);
    for (i = 0; i < self->links.size; i++)
        if (self->links.link[i].ours && !self->links.link[i].up)
            return 0;
    return 1;
}

typedef struct {
    int option, value;
} zb_sockopt_;

//  Before connecting. What libzmq has no CURVE for must not go out in clear.
static int
zb_curve_apply_ (zb_t *self)
{
    if (!*self->server_key)
        return 0;
    errno = ENOTSUP;
    if (!zmq_has ("curve"))
        return -1;
    return zmq_setsockopt (self->socket, ZMQ_CURVE_SERVERKEY, self->server_key,
                           ZB_KEY_SIZE_)
               || zmq_setsockopt (self->socket, ZMQ_CURVE_PUBLICKEY,
                                  self->public_key, ZB_KEY_SIZE_)
               || zmq_setsockopt (self->socket, ZMQ_CURVE_SECRETKEY,
                                  self->secret_key, ZB_KEY_SIZE_)
             ? -1
             : 0;
}

static int
zb_connect_ (zb_t *self)
{
    static const zb_sockopt_ options[] = {
      {ZMQ_SNDHWM, ZB_HWM_},
      {ZMQ_XPUB_NODROP, 1},  //  say EAGAIN rather than drop
      {ZMQ_IMMEDIATE, 1},    //  no pipe without a connection
      {ZMQ_IPV6, 1},
      {ZMQ_CONNECT_TIMEOUT, ZB_LINK_LIMIT_MS_},
      {ZMQ_RECONNECT_IVL_MAX, ZB_LINK_RETRY_MS_},
      {ZMQ_HEARTBEAT_IVL, 5000},
      {ZMQ_HEARTBEAT_TIMEOUT, 15000},
      {ZMQ_TCP_KEEPALIVE, 1},
      {ZMQ_TCP_MAXRT, ZB_DEAD_MS_},  //  also when there is no room for beats
      //  ZeroMQ takes all in at once that comes while it does so: by this it
      //  has to wait for each
      {ZMQ_RCVHWM, ZB_AHEAD_MAX_},
    };
    const int64_t frame_max = ZB_SUBSCRIPTION_MAX_;
    size_t i, size = sizeof (int);
    zmq_setsockopt (self->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    for (i = 0; i < sizeof options / sizeof *options; i++)
        zmq_setsockopt (self->socket, options[i].option, &options[i].value,
                        sizeof options[i].value);
    if (zb_curve_apply_ (self) == -1)
        return -1;
    self->links.ours = self->zmq_news = 1;
    if (zb_links_open_ (&self->links, self->context, self->socket,
                        self->endpoint)
        == -1)
        return -1;
    zmq_getsockopt (self->socket, ZMQ_FD, &self->zmq_fd[0], &size);
    return zmq_getsockopt (self->links.monitor, ZMQ_FD, &self->zmq_fd[1],
                           &size);
}

//  --------------------------------------------------------------------------
//  Reports: lines of one level into a message
//
//  A report is written under the instance's lock and sent without it. What a
//  line says is noted as told when it is written, and taken back (undo) when
//  the message finds no room in ZeroMQ's pipe.

//  Why a series is reported.
enum { ZB_NOTHING_, ZB_CHANGED_, ZB_REPEATED_ };

static double
zb_series_total_ (const zb_series_ *self)
{
    double total = self->total;
    const zb_slot_ *slot;
    for (slot = self->slots; slot; slot = slot->next)
        total += zb_get_double_ (&slot->total);
    return total;
}

static uint64_t
zb_series_count_ (const zb_series_ *self)
{
    uint64_t count = self->gone ? self->gone->count : 0;
    const zb_slot_ *slot;
    for (slot = self->slots; slot; slot = slot->next)
        if (slot->timer)
            count += zb_get_ (&slot->timer->count);
    return count;
}

//  A sum that overflowed is no number, and stays untold.
static int
zb_series_changed_ (const zb_series_ *self)
{
    double total;
    if (self->type == ZB_TYPE_TIMER)
        return zb_series_count_ (self) != self->told.count;
    total = zb_series_total_ (self);
    return total != self->told.total && zb_finite_ (total);
}

//  What is told again would be told twice in classic lines.
static int
zb_series_due_ (const zb_t *instance, const zb_series_ *self, uint32_t green,
                int64_t now_ms)
{
    const zb_told_ *told = &self->told;
    int64_t age_ms = now_ms - told->at_ms;
    int hurry = instance->stop || instance->round != instance->round_wanted;
    if (zb_series_changed_ (self))
        return ZB_CHANGED_;
    //  zero is told, too, but not while its thread may be about to add
    if (!told->known)
        return self->fresh && (hurry || age_ms >= ZB_QUIET_MS_)
                   && zb_finite_ (zb_series_total_ (self))
                 ? ZB_CHANGED_
                 : ZB_NOTHING_;
    if (told->green == green
        && age_ms < (told->echoed ? ZB_BEAT_MS_ : ZB_QUIET_MS_))
        return ZB_NOTHING_;
    return !instance->classic && zb_finite_ (zb_series_total_ (self))
             ? ZB_REPEATED_
             : ZB_NOTHING_;
}

//  The next series that is due, from there on, or where the level ends. The
//  caches are told ahead where the walk goes: it is the pump's longest.
static size_t
zb_level_next_ (const zb_t *instance, const zb_level_ *self, size_t at,
                int64_t now_ms, int *due)
{
    enum { AHEAD = 24 };
    for (*due = ZB_NOTHING_; at < self->series_size; at++) {
        if (at + 2 * AHEAD < self->series_size) {
            __builtin_prefetch (self->series[at + 2 * AHEAD]);
            __builtin_prefetch (self->series[at + AHEAD]->slots);
        }
        *due = zb_series_due_ (instance, self->series[at], self->green, now_ms);
        if (*due != ZB_NOTHING_)
            break;
    }
    return at;
}

//  Sums a timer's shares. Returns -1 if one could not be read as a set.
static int
zb_series_sum_ (zb_t *instance, zb_series_ *self)
{
    zb_slot_ *slot;
    zb_sum_ *part = &instance->sum;
    int rc = 0;
    if (self->gone) {
        part->count = self->gone->count;
        part->sum_ns = self->gone->sum_ns;
        part->sum_squares = self->gone->sum_squares;
        part->min_ns = UINT64_MAX;
        part->max_ns = 0;
        zb_timer_read_pages_ (self->gone, part);
        part = &instance->part;
    }
    for (slot = self->slots; slot; slot = slot->next) {
        if (zb_timer_read_ (slot->timer, part) == -1)
            rc = -1;
        else if (part == &instance->sum)
            part = &instance->part;
        else
            zb_sum_add_ (&instance->sum, part);
    }
    if (part == &instance->sum)
        zb_sum_clear_ (part);
    zb_sum_range_ (&instance->sum, self->min_ns, self->max_ns);
    self->min_ns = instance->sum.min_ns;
    self->max_ns = instance->sum.max_ns;
    return rc;
}

//  A stream is born with its first report, so that a ledger can tell whether
//  it has been there from the beginning.
static void
zb_level_birth_ (zb_t *instance, zb_level_ *self, uint64_t unix_ms)
{
    if (*self->id)
        return;
    if (!instance->random)
        instance->random = zb_random_ ();
    self->id_size = (size_t) snprintf (
      self->id, sizeof self->id, "|%llx-%016llx:", (unsigned long long) unix_ms,
      (unsigned long long) instance->random);
}

//  level|type|name|
static void
zb_put_head_ (zb_text_ *text, const zb_series_ *series)
{
    zb_put_ (text, zb_series_head_ (series), series->head_size);
}

//  |time|
static void
zb_put_time_ (zb_text_ *text, uint64_t unix_ns)
{
    zb_put_char_ (text, '|');
    zb_put_decimal_ (text, unix_ns / 1000000, 3);
    zb_put_char_ (text, '|');
}

static void
zb_put_source_ (zb_text_ *text, const zb_series_ *series)
{
    zb_put_ (text, zb_series_source_ (series), series->source_size);
}

//  |ID:SEQ
static void
zb_put_stream_ (zb_text_ *text, const zb_level_ *level, uint64_t seq)
{
    zb_put_ (text, level->id, level->id_size);
    zb_put_uint_ (text, seq);
}

//  i=n,i=n
static void
zb_put_buckets_ (zb_text_ *text, const zb_sum_ *sum)
{
    size_t start = text->size;
    int i, j;
    for (i = 0; i < ZB_PAGES_; i++) {
        const uint64_t *bucket = sum->bucket + i * ZB_PAGE_SIZE_;
        for (j = 0; sum->touched[i] && j < ZB_PAGE_SIZE_; j++) {
            if (bucket[j] == 0)
                continue;
            if (text->size != start)
                zb_put_char_ (text, ',');
            zb_put_int_ (text, i * ZB_PAGE_SIZE_ + j + ZB_BUCKET_0_);
            zb_put_char_ (text, '=');
            zb_put_uint_ (text, bucket[j]);
        }
    }
}

//  :COUNT:SUM:SUMSQ:MIN:MAX:BUCKETS
static void
zb_put_sum_ (zb_text_ *text, const zb_sum_ *sum)
{
    int any = sum->min_ns <= sum->max_ns;
    zb_put_char_ (text, ':');
    zb_put_uint_ (text, sum->count);
    zb_put_char_ (text, ':');
    zb_put_decimal_ (text, sum->sum_ns, 9);
    zb_put_char_ (text, ':');
    zb_put_double_ (text, sum->sum_squares);
    zb_put_char_ (text, ':');
    zb_put_decimal_ (text, any ? sum->min_ns : 0, 9);
    zb_put_char_ (text, ':');
    zb_put_decimal_ (text, any ? sum->max_ns : 0, 9);
    zb_put_char_ (text, ':');
    zb_put_buckets_ (text, sum);
}

//  One line for a reading. SENT is what was sent before the message.
static void
zb_put_reading_ (zb_text_ *text, const zb_kept_ *reading, uint64_t seq,
                 uint64_t sent)
{
    zb_put_head_ (text, reading->series);
    zb_put_double_ (text, reading->value);
    zb_put_time_ (text, reading->unix_ns);
    zb_put_source_ (text, reading->series);
    zb_put_stream_ (text, reading->series->level, seq);
    zb_put_char_ (text, ':');
    zb_put_uint_ (text, sent);
}

//  A message being filled.
typedef struct {
    zb_text_ text;
    zb_level_ *level;
    size_t at;                //  next series of the level
    size_t states, changed;   //  lines of series, and new ones of them
    size_t again, readings;   //  lines of those kept, and of the queue
    uint64_t seq, gauge_seq;  //  the level's before
    int64_t now_ms;
    uint64_t now_ns, unix_ns;  //  zb_now_ and the wall clock, as one
    char time[32];             //  |time|, of all lines of series
    size_t time_size;
} zb_message_;

//  One line for a counter or timer; told afterwards. Returns -1 if it has to
//  wait for the next round.
static int
zb_put_state_ (zb_t *self, zb_text_ *text, zb_series_ *series,
               const zb_message_ *message)
{
    zb_level_ *level = series->level;
    zb_told_ *told = &series->told;
    uint64_t first = told->known ? told->first : level->seq;
    double total = 0;
    int timed = series->type == ZB_TYPE_TIMER;
    if (timed && zb_series_sum_ (self, series) == -1)
        return -1;
    zb_put_head_ (text, series);
    if (timed)
        zb_put_decimal_ (text, self->sum.sum_ns - told->sum_ns, 9);
    else {
        total = zb_series_total_ (series);
        zb_put_double_ (text, total - told->total);
    }
    zb_put_ (text, message->time, message->time_size);
    zb_put_source_ (text, series);
    if (!self->classic) {
        zb_put_stream_ (text, level, level->seq);
        zb_put_char_ (text, ':');
        zb_put_uint_ (text, first);
        if (timed)
            zb_put_sum_ (text, &self->sum);
        else {
            zb_put_char_ (text, ':');
            zb_put_double_ (text, total);
        }
    }
    told->first = first;
    told->known = 1;
    told->total = total;
    told->count = timed ? self->sum.count : 0;
    told->sum_ns = timed ? self->sum.sum_ns : 0;
    told->green = level->green;
    level->seq++;
    return 0;
}

//  Nothing is written yet; the walk over the level's series goes on.
static void
zb_message_begin_ (zb_message_ *self, char *text, size_t capacity)
{
    self->text.text = text;
    self->text.size = 0;
    self->text.capacity = capacity;
    self->states = self->changed = self->again = self->readings = 0;
    self->seq = self->level->seq;
    self->gauge_seq = self->level->gauge_seq;
}

static void
zb_message_date_ (zb_message_ *self, uint64_t unix_ns)
{
    zb_text_ time = {self->time, 0, sizeof self->time};
    zb_put_time_ (&time, unix_ns);
    self->time_size = time.size;
    self->unix_ns = unix_ns;
}

//  Where the next line is to be written: behind the last, and its end.
static zb_text_
zb_message_line_ (const zb_message_ *self)
{
    size_t at = self->text.size + (self->text.size > 0);
    zb_text_ line = {self->text.text + at, 0, self->text.capacity - at};
    return line;
}

//  The line belongs to the message. Returns -1 if it has filled it: then it may
//  have been cut, and does not.
static int
zb_message_add_ (zb_message_ *self, const zb_text_ *line)
{
    if (line->size == line->capacity)
        return -1;
    if (self->text.size)
        zb_put_char_ (&self->text, '\n');
    self->text.size += line->size;
    return 0;
}

//  What it takes to undo a line.
static void
zb_message_note_ (zb_t *self, zb_message_ *message, zb_series_ *series,
                  const zb_told_ *before)
{
    self->undo[message->states].series = series;
    self->undo[message->states].told = *before;
    self->undo[message->states].min_ns = series->min_ns;
    self->undo[message->states++].max_ns = series->max_ns;
    series->min_ns = UINT64_MAX;
    series->max_ns = 0;
}

static void
zb_message_series_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    size_t most = self->classic ? 1 : ZB_UNDO_MAX_;
    int due;
    for (; message->states < most; message->at++) {
        zb_series_ *series;
        zb_told_ before;
        zb_text_ line = zb_message_line_ (message);
        message->at =
          zb_level_next_ (self, level, message->at, message->now_ms, &due);
        if (due == ZB_NOTHING_)
            return;
        series = level->series[message->at];
        if (message->at + 4 < level->series_size) {
            //  the next ones are likely to be due, too
            const zb_series_ *next = level->series[message->at + 4];
            __builtin_prefetch (&next->level);
            __builtin_prefetch (next + 1);
        }
        before = series->told;
        if (zb_put_state_ (self, &line, series, message) == -1)
            continue;
        if (zb_message_add_ (message, &line) == -1) {
            series->told = before;
            level->seq--;
            return;
        }
        series->told.at_ms = message->now_ms;
        series->told.echoed = due == ZB_REPEATED_;
        zb_message_note_ (self, message, series, &before);
        message->changed += due == ZB_CHANGED_;
    }
}

//  What was lost with a listener comes before what is new.
static void
zb_message_again_ (zb_message_ *message)
{
    zb_level_ *level = message->level;
    size_t kept = level->kept_size - level->again;
    uint64_t seq = level->gauge_seq - level->again;
    for (; message->again < level->again; message->again++) {
        zb_text_ line = zb_message_line_ (message);
        zb_put_reading_ (&line, zb_kept_at_ (level, kept + message->again),
                         seq + message->again, message->gauge_seq);
        if (zb_message_add_ (message, &line) == -1)
            return;
    }
}

//  The next reading of the queue, in its place among those kept. Classic lines
//  are not kept, since nobody could tell a repetition.
static int
zb_message_reading_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    const zb_reading_ *reading =
      &level->queue[(level->queue_at + message->readings) % level->queue_max];
    zb_text_ line = zb_message_line_ (message);
    uint64_t unix_ns = message->unix_ns - (message->now_ns - reading->ns);
    if (self->classic) {
        zb_put_head_ (&line, reading->series);
        zb_put_double_ (&line, reading->value);
        zb_put_time_ (&line, unix_ns);
        zb_put_source_ (&line, reading->series);
    }
    else {
        zb_kept_ *kept = zb_kept_next_ (level, message->readings);
        if (!kept)
            return -1;
        kept->series = reading->series;
        kept->value = reading->value;
        kept->unix_ns = unix_ns;
        zb_put_reading_ (&line, kept, level->gauge_seq, message->gauge_seq);
    }
    return zb_message_add_ (message, &line);
}

static void
zb_message_readings_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    size_t most = ZB_UNDO_MAX_;
    if (self->classic)
        most = message->states == 0;
    zb_kept_prune_ (level, message->now_ms);
    zb_message_again_ (message);
    if (message->again < level->again)
        return;
    for (; message->readings < level->queue_size && message->readings < most;
         message->readings++) {
        if (zb_message_reading_ (self, message) == -1)
            return;
        level->gauge_seq++;
    }
}

//  It went: readings leave the queue for those kept.
static void
zb_message_sent_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    size_t i, kept = level->kept_size - level->again;
    level->queue_size -= message->readings;
    if (level->queue_max)
        level->queue_at =
          (level->queue_at + message->readings) % level->queue_max;
    if (!self->classic) {
        for (i = 0; i < message->again + message->readings; i++)
            zb_kept_at_ (level, kept + i)->sent_ms = message->now_ms;
        level->kept_size += message->readings;
        level->again -= message->again;
        zb_kept_prune_ (level, message->now_ms);
    }
    self->sent += message->changed + message->readings;
    self->repeated += message->states - message->changed + message->again;
    self->messages++;
    self->bytes += message->text.size;
}

//  It did not: nothing is told, and ranges go on. Meanwhile a thread that ended
//  may have widened them.
static void
zb_message_undo_ (zb_t *self, zb_message_ *message)
{
    while (message->states--) {
        zb_series_ *series = self->undo[message->states].series;
        series->told = self->undo[message->states].told;
        zb_series_range_ (series, self->undo[message->states].min_ns,
                          self->undo[message->states].max_ns);
    }
    message->level->seq = message->seq;
    message->level->gauge_seq = message->gauge_seq;
}

//  Goes to the next series that is due. Returns 0 if there is nothing to say,
//  as in most rounds of most programs: then ZeroMQ is left alone, which would
//  take system calls to see that it has nothing to say either.
static int
zb_message_seek_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    int found = 0, due;
    pthread_mutex_lock (&self->lock);
    message->now_ms = zb_clock_ms_ ();
    if (level->heard) {
        zb_kept_prune_ (level, message->now_ms);
        message->at =
          zb_level_next_ (self, level, message->at, message->now_ms, &due);
        found = due != ZB_NOTHING_ || level->queue_size || level->again;
    }
    pthread_mutex_unlock (&self->lock);
    return found;
}

//  Writes what is due from there on.
static void
zb_message_fill_ (zb_t *self, zb_message_ *message)
{
    pthread_mutex_lock (&self->lock);
    zb_message_begin_ (message, self->message, sizeof self->message);
    message->now_ms = zb_clock_ms_ ();
    message->now_ns = zb_now_ ();
    zb_message_date_ (message, zb_clock_read_ (CLOCK_REALTIME));
    if (message->level->heard) {
        zb_level_birth_ (self, message->level, message->unix_ns / 1000000);
        zb_message_series_ (self, message);
        zb_message_readings_ (self, message);
    }
    pthread_mutex_unlock (&self->lock);
}

//  Sends all that is due at a level that has a listener. Returns -1 if the
//  pipe is full: go on at the next round.
static int
zb_report_ (zb_t *self, zb_level_ *level)
{
    zb_message_ message;
    int64_t asked_ms = 0;
    int rc = 0;
    memset (&message, 0, sizeof message);
    message.level = level;
    while (rc != -1 && zb_message_seek_ (self, &message)) {
        self->zmq_news = 1;
        //  each question to ZeroMQ takes system calls, even if there is nothing
        if (asked_ms != message.now_ms) {
            asked_ms = message.now_ms;
            if (!zb_zmq_ok_ (self) || !zb_links_up_ (self))
                return -1;
            zb_subscriptions_read_ (self);
        }
        zb_message_fill_ (self, &message);
        if (message.text.size == 0)
            break;
        rc = zmq_send (self->socket, message.text.text, message.text.size,
                       ZMQ_DONTWAIT);
        pthread_mutex_lock (&self->lock);
        if (rc == -1)
            zb_message_undo_ (self, &message);
        else
            zb_message_sent_ (self, &message);
        pthread_mutex_unlock (&self->lock);
    }
    return rc == -1 ? -1 : 0;
}

//  --------------------------------------------------------------------------
//  The pump: one thread an instance

//  Measurements that wait; at a stop also readings that are to go again, and
//  none whose level has had time to find a listener and has none. The caller
//  holds the lock, and for a stop has emptied the rings.
static uint64_t
zb_held_ (zb_t *self, int at_stop)
{
    int settled = at_stop && self->subscriptions_size
                  && zb_clock_ms_ () >= self->settled_ms;
    uint64_t held = 0;
    zb_level_ *level;
    zb_ring_ *ring;
    size_t i;
    for (level = self->levels; level; level = level->next) {
        if (settled && !level->heard)
            continue;
        held += level->queue_size + (at_stop ? level->again : 0);
        for (i = 0; i < level->series_size; i++)
            held += (uint64_t) zb_series_changed_ (level->series[i]);
    }
    for (ring = self->rings; ring && !settled; ring = ring->next)
        held += zb_get_ (&ring->head) - zb_get_ (&ring->tail);
    return held;
}

//  Losses are a series of their own, at level zibrato.
static void
zb_pump_dropped_ (zb_t *self)
{
    uint64_t dropped =
      __atomic_load_n (&self->dropped_series, __ATOMIC_RELAXED)
      + __atomic_load_n (&self->refused, __ATOMIC_RELAXED)
      + __atomic_load_n (&self->dropped_async, __ATOMIC_RELAXED)
      + zb_ring_dropped_ (self) + self->dropped_held;
    if (dropped == self->dropped_told)
        return;
    if (!self->dropped) {
        size_t max_series = self->max_series;
        self->max_series = SIZE_MAX;
        self->dropped = zb_series_find_ (self, ZB_TYPE_COUNTER, "zibrato",
                                         "zibrato.dropped", self->source);
        self->max_series = max_series;
    }
    if (self->dropped)
        self->dropped->total += (double) (dropped - self->dropped_told);
    self->dropped_told = dropped;
}

//  Where there is nothing to poll.
static void
zb_pump_nap_ (zb_t *self)
{
    struct timespec until;
    clock_gettime (CLOCK_MONOTONIC, &until);
    until.tv_sec += (until.tv_nsec + ZB_NAP_MS_ * 1000000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + ZB_NAP_MS_ * 1000000) % 1000000000;
    pthread_mutex_lock (&self->lock);
    pthread_cond_timedwait (&self->told, &self->lock, &until);
    pthread_mutex_unlock (&self->lock);
}

//  Whoever wants more than anybody can want would fill our memory, by way of
//  ZeroMQ's. It is left alone for a while, which takes all of it back.
static void
zb_pump_shun_ (zb_t *self)
{
    int64_t now = zb_clock_ms_ ();
    int none = 0;
    size_t i;
    if (now < self->alone_ms
        || (self->subscriptions_size + self->crowd <= ZB_TOPICS_MAX_
            && self->topics_bytes <= ZB_TOPICS_BYTES_MAX_))
        return;
    self->alone_ms = now + ZB_ALONE_MS_;
    self->zmq_news = 1;
    //  or ZeroMQ would go on reading as long as there is much to send
    zmq_setsockopt (self->socket, ZMQ_LINGER, &none, sizeof none);
    for (i = 0; i < self->links.size; i++) {
        zb_link_give_up_ (&self->links, &self->links.link[i]);
        self->links.link[i].up = self->links.link[i].trying = 0;
        self->links.link[i].again_ms = self->alone_ms;
    }
}

static void
zb_pump_round_ (zb_t *self)
{
    zb_level_ *level;
    zb_ring_ *ring;
    uint64_t wanted;
    zb_pump_shun_ (self);
    pthread_mutex_lock (&self->lock);
    wanted = self->round_wanted;
    for (ring = self->rings; ring; ring = ring->next)
        zb_ring_drain_ (self, ring);
    zb_pump_dropped_ (self);
    level = self->levels;
    pthread_mutex_unlock (&self->lock);
    //  levels are only ever put before the first, so this walk needs no lock
    for (; level; level = level->next)
        if (zb_report_ (self, level) == -1)
            break;
    pthread_mutex_lock (&self->lock);
    self->round = wanted;
    pthread_cond_broadcast (&self->told);
    pthread_mutex_unlock (&self->lock);
}

//  Returns what poll does: how many of the descriptors are ready.
static int
zb_pump_poll_ (zb_t *self, int64_t ms)
{
    struct pollfd items[3];
    uint64_t count;
    int rc, i;
    for (i = 0; i < 3; i++) {
        items[i].fd = i ? self->zmq_fd[i - 1] : self->wake_fd;
        items[i].events = POLLIN;
        items[i].revents = 0;
    }
    rc = poll (items, 3, ms < 0 ? 0 : (int) ms);
    if (rc == -1)
        zb_pump_nap_ (self);
    self->zmq_news |= rc > (items[0].revents != 0);
    if (items[0].revents && read (self->wake_fd, &count, sizeof count) == -1) {
        //  EAGAIN: somebody else has read it
    }
    return items[0].revents ? 0 : rc;
}

//  Asks ZeroMQ for what is new, and mends connections. Returns how much there
//  was, or -1 if there is no descriptor that it might need for that, or if the
//  host has ended the context that it gave us: errno is ETERM then.
static int
zb_pump_ask_ (zb_t *self)
{
    int64_t now_ms;
    int count;
    errno = 0;
    if (!zb_zmq_ok_ (self))
        return -1;
    count = zb_links_take_ (self);
    count += zb_subscriptions_read_ (self);
    if (count == 0 && errno == ETERM)
        return -1;
    now_ms = zb_clock_ms_ ();
    self->zmq_news = count > 0 || zb_links_next_ (&self->links) <= now_ms;
    zb_links_mend_ (&self->links, now_ms);
    return count;
}

//  Sleeps until something is to be done. In a stop that is soon, since a
//  thread may have been caught in the midst of a timer. ZeroMQ's descriptors
//  tell that there is something new, but not what, and only once: so it is
//  asked before each sleep, unless it has said nothing and nobody has called it
//  since it was asked last. Returns -1 if the host has ended the ZeroMQ context
//  that it gave us.
static int
zb_pump_wait_ (zb_t *self, int64_t next_ms, int stop)
{
    int64_t now_ms, mend_ms, ms;
    int rc = 0;
    while (rc == 0) {
        now_ms = zb_clock_ms_ ();
        mend_ms = zb_links_next_ (&self->links);
        ms = (mend_ms < next_ms ? mend_ms : next_ms) - now_ms;
        if (self->zmq_news || mend_ms <= now_ms)
            rc = zb_pump_ask_ (self);
        else if (zb_pump_poll_ (self, stop && ms > 10 ? 10 : ms) <= 0)
            return 0;
    }
    if (rc == -1 && errno == ETERM)
        return -1;
    if (rc == -1)
        zb_pump_nap_ (self);
    return 0;
}

//  Returns 1 when a stop has nothing left to do, or no time.
static int
zb_pump_done_ (zb_t *self, int *stop, int64_t *until_ms)
{
    int done;
    pthread_mutex_lock (&self->lock);
    *stop = self->stop;
    if (self->stop)
        *until_ms = self->deadline_ms;
    done = self->stop
           && (zb_held_ (self, 1) == 0 || zb_clock_ms_ () >= self->deadline_ms);
    pthread_mutex_unlock (&self->lock);
    return done;
}

//  Closes what ZeroMQ has opened. It may take ZeroMQ long, if it is asking a
//  name server; so this is done here, and not where the host would wait.
static void
zb_pump_end_ (zb_t *self, int64_t until_ms)
{
    int64_t left_ms;
    int linger;
    pthread_mutex_lock (&self->lock);
    self->pump_left = 1;
    pthread_cond_broadcast (&self->told);
    pthread_mutex_unlock (&self->lock);
    while (!zb_zmq_ok_ (self))
        zb_pump_nap_ (self);
    left_ms = until_ms - zb_clock_ms_ ();
    linger = left_ms < 0 ? 0 : (int) left_ms;
    zb_links_close_ (&self->links);
    zmq_setsockopt (self->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close (self->socket);
    self->socket = NULL;
    while (!self->context_given && zmq_ctx_term (self->context) == -1
           && errno == EINTR) {
        //  a debugger came in between
    }
    self->context = NULL;
    pthread_mutex_lock (&self->lock);
    self->pump_ended = 1;
    pthread_cond_broadcast (&self->told);
    pthread_mutex_unlock (&self->lock);
}

static void *
zb_pump_ (void *argument)
{
    zb_t *self = (zb_t *) argument;
    int64_t until_ms = 0;
    int stop = 0;
    do {
        zb_tsc_tend_ ();
        if ((!self->zmq_news && !stop) || zb_pump_ask_ (self) != -1
            || errno == ETERM)
            zb_pump_round_ (self);
        until_ms = zb_clock_ms_ () + self->interval_ms;
    } while (!zb_pump_done_ (self, &stop, &until_ms)
             && zb_pump_wait_ (self, until_ms, stop) == 0);
    zb_pump_end_ (self, until_ms);
    return NULL;
}

//  --------------------------------------------------------------------------
//  Instances

static void *
zb_spare_thread_ (void *argument)
{
    pthread_mutex_t *gate = (pthread_mutex_t *) argument;
    pthread_mutex_lock (gate);
    pthread_mutex_unlock (gate);
    return NULL;
}

//  Can so many threads be at the same time? Returns -1, errno set.
static int
zb_spare_threads_ (void)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread[ZB_SPARE_THREADS_];
    int got = 0, rc = 0;
    pthread_mutex_lock (&gate);
    while (
      got < ZB_SPARE_THREADS_
      && (rc = pthread_create (&thread[got], NULL, zb_spare_thread_, &gate))
           == 0)
        got++;
    pthread_mutex_unlock (&gate);
    while (got)
        pthread_join (thread[--got], NULL);
    pthread_mutex_destroy (&gate);
    errno = rc;
    return rc ? -1 : 0;
}

//  Socket and thread. ZeroMQ ends the process if it cannot have a descriptor or
//  a thread: so we try whether there are some, with a few more for others that
//  are quicker. Returns -1, errno set, with something left over.
static int
zb_pump_try_ (zb_t *self)
{
    int rc;
    self->wake_fd = zb_wake_open_ ();
    if (self->wake_fd == -1 || zb_spare_descriptors_ (ZB_SPARE_FDS_) == -1
        || zb_spare_threads_ () == -1)
        return -1;
    self->context = self->context_given ? self->context_given : zmq_ctx_new ();
    if (self->context)
        self->socket = zmq_socket (self->context, ZMQ_XPUB);
    if (!self->socket || zb_connect_ (self) == -1)
        return -1;
    errno = rc = pthread_create (&self->pump, NULL, zb_pump_, self);
    return rc ? -1 : 0;
}

//  Threads inherit the mask, so that no signal of the host's comes to one of
//  ours or of ZeroMQ's. Returns -1, errno set, with nothing left over.
static int
zb_pump_start_ (zb_t *self)
{
    sigset_t all, before;
    int rc, keep, none = 0;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    self->pump_left = self->pump_ended = 0;
    rc = zb_pump_try_ (self);
    keep = errno;
    self->pump_runs = rc == 0;
    if (rc == -1 && self->socket) {
        zb_links_close_ (&self->links);
        zmq_setsockopt (self->socket, ZMQ_LINGER, &none, sizeof none);
        zmq_close (self->socket);
    }
    if (rc == -1 && self->context && !self->context_given)
        zmq_ctx_term (self->context);
    if (rc == -1) {
        if (self->wake_fd != -1)
            zb_wake_close_ (&self->wake_fd);
        self->socket = self->context = NULL;
    }
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    errno = keep;
    return rc;
}

//  Asks the pump to report for the last time.
static void
zb_pump_stop_ (zb_t *self, int64_t deadline_ms)
{
    pthread_mutex_lock (&self->lock);
    self->stop = 1;
    self->deadline_ms = deadline_ms;
    pthread_mutex_unlock (&self->lock);
    zb_wake_ (self->wake_fd);
}

//  Waits for that. Returns -1 if ZeroMQ takes longer than it may: the pump goes
//  on, but measures nothing any more.
static int
zb_pump_join_ (zb_t *self)
{
    int64_t until_ms = self->deadline_ms + ZB_ORPHAN_MS_;
    struct timespec until;
    int rc = 0;
    if (!self->pump_runs)
        return 0;
    until.tv_sec = (time_t) (until_ms / 1000);
    until.tv_nsec = (long) (until_ms % 1000) * 1000000;
    pthread_mutex_lock (&self->lock);
    while (!self->pump_left)
        pthread_cond_wait (&self->told, &self->lock);
    while (!self->pump_ended && rc == 0)
        rc = pthread_cond_timedwait (&self->told, &self->lock, &until);
    rc = self->pump_ended ? 0 : -1;
    pthread_mutex_unlock (&self->lock);
    if (rc == 0)
        pthread_join (self->pump, NULL);
    self->pump_runs = rc != 0;
    return rc;
}

static void
zb_level_destroy_ (zb_level_ **self_p)
{
    zb_level_ *self = *self_p;
    free (self->name);
    free (self->topic);
    free (self->series);
    free (self->queue);
    free (self->kept);
    free (self);
    *self_p = NULL;
}

//  Nobody else knows the instance any more.
static void
zb_destroy_ (zb_t **self_p)
{
    zb_t *self = *self_p;
    zb_level_ *level;
    zb_series_ *series;
    size_t i;
    for (i = 0; i < self->table_size; i++)
        while ((series = self->table[i])) {
            self->table[i] = series->chain;
            zb_series_destroy_ (&series);
        }
    while ((level = self->levels)) {
        self->levels = level->next;
        zb_level_destroy_ (&level);
    }
    if (self->wake_fd != -1)
        zb_wake_close_ (&self->wake_fd);
    zb_block_drop_ (&self->block);
    free (self->table);
    free (self->endpoint);
    free (self->source);
    zb_wipe_ (self->secret_key, sizeof self->secret_key);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->told);
    free (self);
    *self_p = NULL;
}

static int
zb_locks_init_ (zb_t *self)
{
    pthread_condattr_t attributes;
    int rc = pthread_mutex_init (&self->lock, NULL);
    if (rc == 0 && (rc = pthread_condattr_init (&attributes)) == 0) {
        pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
        rc = pthread_cond_init (&self->told, &attributes);
        pthread_condattr_destroy (&attributes);
    }
    return rc;
}

//  The option, or the variable, or the default; -1 if it is out of range. A
//  variable that is no number in range does as if it were not there.
static int
zb_config_int_ (int option, const char *variable, int min, int max, int missing)
{
    const char *text = getenv (variable);
    char *end = NULL;
    if (option == -1 && text && *text) {
        long value = strtol (text, &end, 10);
        if (*end == 0 && value >= min && value <= max)
            return (int) value;
    }
    if (option == -1)
        return missing;
    return option >= min && option <= max ? option : -1;
}

static const char *
zb_config_string_ (const char *option, const char *variable,
                   const char *missing)
{
    if (!option && variable)
        option = getenv (variable);
    return option && *option ? option : missing;
}

//  Caller owns the return value.
static char *
zb_config_endpoint_ (const zb_config_t *config)
{
    const char *host =
      zb_config_string_ (config->host, "ZIBRATO_HOST", "127.0.0.1");
    const char *endpoint = zb_config_string_ (
      config->endpoint,
      config->host || config->port != -1 ? NULL : "ZIBRATO_ENDPOINT", NULL);
    int port = zb_config_int_ (config->port, "ZIBRATO_PORT", 1, 65535, 5550);
    size_t size = strlen (host) + 32;
    char *text;
    if (endpoint)
        return zb_strdup_ (endpoint);
    if (port == -1)
        return NULL;
    text = (char *) malloc (size);
    if (text)
        snprintf (text, size,
                  strchr (host, ':') ? "tcp://[%s]:%d" : "tcp://%s:%d", host,
                  port);
    return text;
}

//  The keys stay here, since a child of fork needs them and may not be able to
//  read the file any more. Returns -1, errno set: EINVAL unless it is that of
//  opening the file.
static int
zb_config_curve_ (zb_t *self, const zb_config_t *config)
{
    const char *key = zb_config_string_ (config->curve_server_key,
                                         "ZIBRATO_CURVE_SERVER_KEY", NULL);
    const char *cert =
      zb_config_string_ (config->curve_cert, "ZIBRATO_CURVE_CERT", NULL);
    if (!key && !cert)
        return 0;
    errno = EINVAL;
    if (!key || !cert || !zb_key_ok_ (key)
        || zb_curve_read_ (cert, self->public_key, self->secret_key) == -1)
        return -1;
    memcpy (self->server_key, key, ZB_KEY_SIZE_);
    errno = EINVAL;
    return *self->secret_key ? 0 : -1;
}

static int
zb_disabled_ (void)
{
    const char *text = getenv ("ZIBRATO_DISABLE");
    return text && *text && strcmp (text, "0") != 0;
}

//  Starts the pump, if there is to be one. One that is wanting for descriptors,
//  threads or memory does not matter to the default instance: it counts, and
//  tries again.
static int
zb_begin_ (zb_t *self, int implied)
{
    if (self->disabled || zb_pump_start_ (self) == 0)
        return 0;
    if (!implied || errno == EINVAL)
        return -1;
    zb_retry_ms_ = zb_clock_ms_ () + ZB_RETRY_MS_;
    __atomic_store_n (&zb_stalled_, 1, __ATOMIC_RELAXED);
    return 0;
}

//  Returns NULL, errno set: EINVAL for an option out of range.
static zb_t *
zb_new_ (const zb_config_t *config, int implied)
{
    zb_t *self = (zb_t *) calloc (1, sizeof *self);
    const char *source =
      zb_config_string_ (config->source, "ZIBRATO_SOURCE", "not_specified");
    int max_series = zb_config_int_ (config->max_series, "ZIBRATO_MAX_SERIES",
                                     1, 10000000, 10000);
    if (!self)
        return NULL;
    if ((errno = zb_locks_init_ (self)) != 0) {
        free (self);
        return NULL;
    }
    //  a variable that is wrong does as if it were not there
    if (!config->source && !zb_label_ok_ (source))
        source = "not_specified";
    errno = EINVAL;
    self->wake_fd = -1;
    self->classic = config->classic == 1;
    self->disabled = zb_disabled_ ();
    self->context_given = config->context;
    self->endpoint = zb_config_endpoint_ (config);
    self->source = zb_strdup_ (source);
    self->max_series = (size_t) max_series;
    self->interval_ms = zb_config_int_ (config->interval_ms,
                                        "ZIBRATO_INTERVAL_MS", 1, 3600000, 250);
    self->linger_ms =
      zb_config_int_ (config->linger_ms, "ZIBRATO_LINGER_MS", 0, 3600000, 500);
    if (!self->endpoint || !self->source || !zb_label_ok_ (source)
        || max_series == -1 || self->interval_ms == -1 || self->linger_ms == -1
        || (!self->disabled && zb_config_curve_ (self, config) == -1)
        || zb_begin_ (self, implied) == -1) {
        int keep = errno;
        zb_destroy_ (&self);
        errno = keep;
    }
    return self;
}

static void
zb_list_ (zb_t *self)
{
    self->next = zb_instances_;
    zb_instances_ = self;
}

//  Frees what was closed before ZeroMQ was ready for it; with `wait`, when it
//  is. The caller does not hold zb_lock_.
static void
zb_reap_ (int wait)
{
    zb_t **at, *self, *ready = NULL;
    pthread_mutex_lock (&zb_lock_);
    for (at = &zb_orphans_; (self = *at);) {
        pthread_mutex_lock (&self->lock);
        if (self->pump_ended || wait) {
            *at = self->next;
            self->next = ready;
            ready = self;
        }
        else
            at = &self->next;
        pthread_mutex_unlock (&self->lock);
    }
    pthread_mutex_unlock (&zb_lock_);
    while ((self = ready)) {
        ready = self->next;
        pthread_join (self->pump, NULL);
        zb_destroy_ (&self);
    }
}

zb_t *
zb_open_ (const zb_config_t *config)
{
    zb_t *self;
    int keep = errno;
    errno = EDEADLK;
    if (zb_over_ || zb_enter_ () == -1)
        return NULL;
    pthread_once (&zb_once_, zb_once_init_);
    zb_reap_ (0);
    self = zb_new_ (config, 0);
    if (self) {
        pthread_mutex_lock (&zb_lock_);
        zb_list_ (self);
        if (!zb_default_ || zb_default_implied_) {
            zb_default_set_ (self);
            zb_default_implied_ = 0;
        }
        zb_bump_generation_ ();
        pthread_mutex_unlock (&zb_lock_);
    }
    else
        keep = errno;
    zb_leave_ ();
    errno = keep;
    return self;
}

//  Takes the instance from the lists, so that no thread enters it any more.
//  Returns 0, or -1 if there is none such. The caller holds zb_lock_.
static int
zb_unlist_ (zb_t *self)
{
    zb_t **at = &zb_instances_;
    size_t i;
    zb_series_ *series;
    zb_slot_ *slot;
    zb_ring_ *ring;
    while (*at && *at != self)
        at = &(*at)->next;
    if (!*at)
        return -1;
    *at = self->next;
    if (zb_default_ == self) {
        zb_default_set_ (NULL);
        zb_default_closed_ = 1;
    }
    pthread_mutex_lock (&self->lock);
    for (i = 0; i < self->table_size; i++)
        for (series = self->table[i]; series; series = series->chain)
            for (slot = series->slots; slot; slot = slot->next)
                slot->dead = 1;
    for (ring = self->rings; ring; ring = ring->next)
        ring->dead = 1;
    pthread_mutex_unlock (&self->lock);
    zb_bump_generation_ ();
    return 0;
}

//  The pump, asked to stop before, reads slots while they are alive.
static void
zb_finish_ (zb_t **self_p)
{
    int late = zb_pump_join_ (*self_p), rc;
    pthread_mutex_lock (&zb_lock_);
    rc = zb_unlist_ (*self_p);
    if (rc == 0 && late) {
        (*self_p)->next = zb_orphans_;
        zb_orphans_ = *self_p;
        *self_p = NULL;
    }
    pthread_mutex_unlock (&zb_lock_);
    if (rc == 0 && *self_p)
        zb_destroy_ (self_p);
}

//  Starts the pumps that there should be: in the child of a fork, on its first
//  measurement or flush, and when they could not be started before. The caller
//  holds zb_lock_.
static void
zb_revive_ (void)
{
    zb_t *self;
    zb_ring_ *ring;
    int failed = 0, keep = errno;
    if (zb_retry_ms_ && zb_clock_ms_ () < zb_retry_ms_)
        return;
    for (self = zb_instances_; self; self = self->next)
        if (!self->disabled && !self->pump_runs) {
            if (zb_pump_start_ (self) == -1)
                failed = 1;
            else
                for (ring = self->rings; ring; ring = ring->next)
                    ring->wake_fd = self->wake_fd;
        }
    if (failed)
        __atomic_store_n (&zb_retry_ms_, zb_clock_ms_ () + ZB_RETRY_MS_,
                          __ATOMIC_RELAXED);
    __atomic_store_n (&zb_stalled_, failed, __ATOMIC_RELAXED);
    errno = keep;
}

//  The last chance of what was measured, but not of what a child inherited.
static void
zb_revive_last_ (void)
{
    pthread_mutex_lock (&zb_lock_);
    if (zb_stalled_ && zb_retry_ms_) {
        zb_retry_ms_ = 1;
        zb_revive_ ();
    }
    pthread_mutex_unlock (&zb_lock_);
}

void
zb_close (zb_t **self_p)
{
    zb_t *self = *self_p;
    int keep = errno;
    if (!self || zb_enter_ () == -1)
        return;
    *self_p = NULL;
    zb_revive_last_ ();
    zb_pump_stop_ (self, zb_clock_ms_ () + self->linger_ms);
    zb_finish_ (&self);
    zb_reap_ (0);
    zb_leave_ ();
    errno = keep;
}

//  Asks for rounds until nothing is held.
static int
zb_flush_busy_ (zb_t *self, int ms)
{
    int64_t deadline = zb_clock_ms_ () + ms;
    struct timespec until;
    uint64_t wanted, held;
    int rc = 0, pumps;
    pthread_mutex_lock (&zb_lock_);
    if (zb_stalled_) {
        if (zb_retry_ms_)
            zb_retry_ms_ = 1;  //  now
        zb_revive_ ();
    }
    if (!self)
        self = zb_default_get_ ();
    pumps = self && self->pump_runs;
    pthread_mutex_unlock (&zb_lock_);
    if (!self || self->disabled)
        return 0;
    until.tv_sec = (time_t) (deadline / 1000);
    until.tv_nsec = (long) (deadline % 1000) * 1000000;
    pthread_mutex_lock (&self->lock);
    do {
        held = zb_held_ (self, 0);
        if (!pumps)
            break;
        wanted = ++self->round_wanted;
        zb_wake_ (self->wake_fd);
        while (rc == 0 && self->round < wanted)
            rc = pthread_cond_timedwait (&self->told, &self->lock, &until);
        held = zb_held_ (self, 0);
        //  what is held now goes when a listener comes, which is a round
        if (rc == 0 && held)
            rc = pthread_cond_timedwait (&self->told, &self->lock, &until);
    } while (rc == 0 && held);
    pthread_mutex_unlock (&self->lock);
    return held ? -1 : 0;
}

int
zb_flush (zb_t *self, int ms)
{
    int keep = errno, rc;
    if (zb_enter_ () == -1)
        return -1;
    rc = zb_flush_busy_ (self, ms);
    zb_leave_ ();
    errno = keep;
    return rc;
}

static void
zb_stats_read_ (zb_t *self, zb_stats_t *stats)
{
    zb_level_ *level;
    pthread_mutex_lock (&self->lock);
    stats->sent = self->sent;
    stats->held = zb_held_ (self, 0);
    stats->dropped_series = zb_get_ (&self->dropped_series);
    stats->refused = zb_get_ (&self->refused);
    stats->dropped_ring = zb_ring_dropped_ (self);
    stats->dropped_held = self->dropped_held;
    stats->dropped_async = zb_get_ (&self->dropped_async);
    stats->dropped = stats->dropped_series + stats->refused
                     + stats->dropped_ring + stats->dropped_held
                     + stats->dropped_async;
    stats->measured = stats->sent + stats->held + stats->dropped;
    stats->series = self->series_size;
    stats->repeated = self->repeated;
    stats->messages = self->messages;
    stats->bytes = self->bytes;
    stats->connected = __atomic_load_n (&self->connected, __ATOMIC_RELAXED);
    stats->denied = zb_get_ (&self->denied);
    for (level = self->levels; level; level = level->next)
        stats->listening |= level->heard;
    pthread_mutex_unlock (&self->lock);
}

int
zb_stats (zb_t *self, zb_stats_t *stats)
{
    memset (stats, 0, sizeof *stats);
    if (!self)
        self = zb_default_get_ ();
    if (!self || zb_enter_ () == -1)
        return -1;
    zb_leave_ ();  //  what was missed is counted
    zb_enter_ ();
    zb_stats_read_ (self, stats);
    zb_leave_ ();
    return 0;
}

//  --------------------------------------------------------------------------
//  The slow path: from a label to a slot

//  The instance that `to` names, if it is open. The caller holds zb_lock_.
static zb_t *
zb_instance_ (zb_t *to)
{
    zb_config_t config = ZB_CONFIG_INIT_;
    zb_t *self;
    if (!to && !zb_default_ && !zb_default_closed_) {
        zb_default_closed_ = 1;  //  one try
        self = zb_new_ (&config, 1);
        if (self) {
            zb_list_ (self);
            zb_default_set_ (self);
            zb_default_implied_ = 1;
            zb_default_closed_ = 0;
        }
    }
    if (!to)
        return zb_default_;
    for (self = zb_instances_; self && self != to;)
        self = self->next;
    return self;
}

//  Makes the slot for a label that this thread has not met.
static zb_slot_ *
zb_slot_make_ (const zb_label_ *label, zb_type_t type, const char *level,
               const char *name, const char *source, zb_t *to)
{
    zb_slot_ *slot = NULL;
    zb_series_ *series;
    zb_thread_ *thread = zb_thread_self_ ();
    zb_t *instance = zb_instance_ (to);
    if (!instance || instance->disabled)
        return &zb_nowhere_;
    pthread_mutex_lock (&instance->lock);
    series = zb_series_find_ (instance, type, level, name,
                              source ? source : instance->source);
    if (series && thread)
        slot = zb_slot_new_ (thread, instance, series, label);
    if (series && !slot)
        __atomic_add_fetch (&instance->dropped_series, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock (&instance->lock);
    return slot;
}

static void
zb_refuse_ (zb_t *to)
{
    zb_t *instance;
    pthread_mutex_lock (&zb_lock_);
    instance = zb_over_ ? NULL : zb_instance_ (to);
    if (instance)
        __atomic_add_fetch (&instance->refused, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock (&zb_lock_);
}

//  The slot that this thread has for a label, if nothing has changed since.
static zb_slot_ *
zb_lookup_own_ (const zb_label_ *label, zb_t *to, uint32_t generation)
{
    zb_t *owner = to ? to : zb_default_get_ ();
    if (!zb_self_ || !owner || zb_self_->generation != generation)
        return NULL;
    if (__atomic_load_n (&zb_stalled_, __ATOMIC_RELAXED)
        && zb_clock_ms_ () >= __atomic_load_n (&zb_retry_ms_, __ATOMIC_RELAXED))
        return NULL;
    return zb_slot_find_ (zb_self_, label, owner);
}

//  Returns the slot, or NULL if the measurement must be dropped; counted.
static zb_slot_ *
zb_lookup_busy_ (zb_type_t type, const char *level, const char *name,
                 double value, const char *source, zb_t *to)
{
    zb_label_ label;
    zb_slot_ *slot;
    zb_t *owner;
    uint32_t generation;
    pthread_once (&zb_once_, zb_once_init_);
    if (!zb_finite_ (value)
        || zb_label_make_ (&label, type, level, name, source) == -1) {
        zb_refuse_ (to);
        return NULL;
    }
    generation = __atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE);
    slot = zb_lookup_own_ (&label, to, generation);
    if (slot)
        return slot;
    pthread_mutex_lock (&zb_lock_);
    if (zb_stalled_)
        zb_revive_ ();
    if (zb_self_ && zb_self_->generation != generation)
        zb_thread_purge_ (zb_self_);
    owner = zb_instance_ (to);
    slot = zb_self_ && owner ? zb_slot_find_ (zb_self_, &label, owner) : NULL;
    if (!slot)
        slot = zb_slot_make_ (&label, type, level, name, source, to);
    pthread_mutex_unlock (&zb_lock_);
    return slot;
}

static zb_slot_ *
zb_lookup_ (zb_type_t type, const char *level, const char *name, double value,
            const char *source, zb_t *to)
{
    zb_slot_ *slot = NULL;
    if (zb_over_)
        return NULL;
    if (zb_enter_ () == -1)
        zb_miss_ ();
    else {
        if (zb_gone_)
            zb_miss_ ();
        else
            slot = zb_lookup_busy_ (type, level, name, value, source, to);
        zb_leave_ ();
    }
    return slot;
}

//  The slot that a cell is to have, or NULL if there is nothing to write to.
//  While a pump is wanting, cells remember nothing, so that passes come here
//  and try to start one. The cell changes while the thread is busy: what a
//  handler finds in it is either right or too old.
static zb_slot_ *
zb_resolve_ (const zb_site_ *site, zb_cell_ *cell, double value,
             const char *source, zb_t *to)
{
    int keep = errno, off;
    uint32_t generation = __atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE);
    zb_slot_ *slot =
      zb_lookup_ (site->type, site->level, site->name, value, source, to);
    errno = keep;
    if (!slot || zb_enter_ () == -1)
        return NULL;
    off = slot == &zb_nowhere_;
    __atomic_store_n (&cell->generation, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    cell->slot = off ? NULL : slot;
    cell->to = to;
    //  source is the last of the slot's label
    cell->source = NULL;
    if (source && !off)
        cell->source =
          (const char *) (slot + 1) + slot->label_size - strlen (source) - 1;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    if (!__atomic_load_n (&zb_stalled_, __ATOMIC_RELAXED))
        __atomic_store_n (&cell->generation, generation, __ATOMIC_RELEASE);
    zb_leave_ ();
    errno = keep;
    return off ? NULL : slot;
}

void
zb_count_slow_ (const zb_site_ *site, zb_cell_ *cell, double value,
                const char *source, zb_t *to)
{
    zb_slot_ *slot = zb_resolve_ (site, cell, value, source, to);
    if (slot)
        zb_slot_add_ (slot, value);
}

//  Marks the thread as busy, for it allocates: a signal handler must not then.
static void
zb_timer_add_first_ (zb_timer_ *self, uint64_t ns)
{
    if (zb_enter_ () == -1) {
        zb_miss_ ();
        return;
    }
    zb_timer_page_ (self, zb_bucket_ (ns));
    zb_timer_add_ (self, ns);
    zb_leave_ ();
}

//  In classic mode a timing is a reading.
static inline void
zb_slot_time_ (zb_slot_ *self, uint64_t ns, double seconds)
{
    zb_timer_ *timer = self->timer;
    if (ZB_LIKELY_ (timer && (timer->seq & 1) == 0)) {
        if (ZB_LIKELY_ (zb_timer_has_ (timer, zb_bucket_ (ns))))
            zb_timer_add_ (timer, ns);
        else
            zb_timer_add_first_ (timer, ns);
    }
    else if (timer)
        zb_miss_ ();  //  a signal handler has interrupted the timer's own
    else
        zb_ring_offer_ (self->ring, self->series, seconds, zb_now_ ());
}

void
zb_time_stop_ (const zb_site_ *site, zb_cell_ *cell, uint64_t start,
               const char *source, zb_t *to)
{
    uint64_t ns = zb_elapsed_ (start);
    zb_slot_ *slot = ZB_LIKELY_ (zb_hit_ (cell, source, to))
                       ? cell->slot
                       : zb_resolve_ (site, cell, 0, source, to);
    if (slot)
        zb_slot_time_ (slot, ns, (double) (int64_t) ns * 1e-9);
}

void
zb_gauge_put_ (const zb_site_ *site, zb_cell_ *cell, double value,
               const char *source, zb_t *to)
{
    zb_slot_ *slot =
      ZB_LIKELY_ (zb_finite_ (value) && zb_hit_ (cell, source, to))
        ? cell->slot
        : zb_resolve_ (site, cell, value, source, to);
    if (slot)
        zb_ring_offer_ (slot->ring, slot->series, value, zb_now_ ());
}

void
zb_record_ (zb_type_t type, const char *level, const char *name,
            const zb_options_ *options)
{
    int keep = errno;
    double value = options->value;
    double ns = value * 1e9 + 0.5;
    zb_slot_ *slot;
    //  a duration is neither negative nor longer than 292 years: else it is
    //  refused as what is badly named
    if (type == ZB_TYPE_TIMER && (value < 0 || ns >= 9.2e18))
        level = "";
    slot = zb_lookup_ (type, level, name, value, options->source, options->to);
    if (!slot || slot == &zb_nowhere_) {
        //  counted, or off
    }
    else if (type == ZB_TYPE_COUNTER)
        zb_slot_add_ (slot, value);
    else if (type == ZB_TYPE_TIMER)
        zb_slot_time_ (slot, (uint64_t) ns, value);
    else
        zb_ring_offer_ (slot->ring, slot->series, value, zb_now_ ());
    errno = keep;
}

//  --------------------------------------------------------------------------
//  Fork and exit

//  A signal handler that has interrupted us forks while its own thread may hold
//  the locks: then they are left alone, and its child measures nothing.
static void
zb_fork_prepare_ (void)
{
    zb_t *self;
    if (zb_busy_++ > 0)
        return;
    pthread_mutex_lock (&zb_lock_);
    for (self = zb_instances_; self; self = self->next)
        pthread_mutex_lock (&self->lock);
    pthread_mutex_lock (&zb_wake_lock_);
    pthread_mutex_lock (&zb_tsc_lock_);
}

static void
zb_fork_parent_ (void)
{
    zb_t *self;
    if (zb_busy_ > 1) {
        zb_busy_--;
        return;
    }
    pthread_mutex_unlock (&zb_tsc_lock_);
    pthread_mutex_unlock (&zb_wake_lock_);
    for (self = zb_instances_; self; self = self->next)
        pthread_mutex_unlock (&self->lock);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
}

//  A series of the parent: nothing is measured yet, nothing is told.
static void
zb_series_clear_ (zb_series_ *self)
{
    zb_slot_ *slot;
    self->total = 0;
    if (self->gone)
        zb_timer_clear_ (self->gone);
    for (slot = self->slots; slot; slot = slot->next) {
        slot->total = 0;
        if (slot->timer)
            zb_timer_clear_ (slot->timer);
    }
    self->min_ns = UINT64_MAX;
    self->max_ns = 0;
    self->fresh = 0;
    memset (&self->told, 0, sizeof self->told);
}

//  The pump and ZeroMQ's threads exist in the parent only: their socket and
//  context are left alone, and made anew when the child measures.
static void
zb_clear_ (zb_t *self)
{
    zb_level_ *level;
    zb_ring_ *ring;
    size_t i;
    for (i = 0; i < self->table_size; i++) {
        zb_series_ *series;
        for (series = self->table[i]; series; series = series->chain)
            zb_series_clear_ (series);
    }
    for (level = self->levels; level; level = level->next) {
        level->heard = 0;
        level->seq = level->gauge_seq = 0;
        level->queue_size = 0;
        level->kept_size = level->again = 0;
        level->id[0] = 0;
    }
    for (ring = self->rings; ring; ring = ring->next) {
        ring->tail = ring->tail_seen = ring->head;
        ring->dropped = 0;
        ring->hurried = 0;
        ring->wake_fd = -1;
    }
    self->subscriptions_size = self->crowd = self->topics_bytes = 0;
    self->alone_ms = 0;
    self->sent = self->repeated = self->messages = self->bytes = 0;
    self->dropped_series = self->refused = self->dropped_ring = 0;
    self->dropped_held = self->dropped_async = self->dropped_told = 0;
    self->random = 0;
    self->context = self->context_given = self->socket = NULL;
    zb_links_free_ (&self->links);
    self->connected = 0;
    self->denied = 0;
    if (self->wake_fd != -1)
        close (self->wake_fd);  //  the parent has it, too
    self->wake_fd = -1;
    self->pump_runs = self->stop = 0;
    zb_locks_init_ (self);
}

static void
zb_fork_child_ (void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    zb_t *self;
    zb_thread_ *thread, *next;
    if (zb_busy_ > 1) {
        zb_busy_--;
        zb_over_ = 1;
        return;
    }
    zb_lock_ = zb_wake_lock_ = zb_tsc_lock_ = unlocked;
    zb_wake_clear_ ();
    for (self = zb_instances_; self; self = self->next)
        zb_clear_ (self);
    //  the other threads do not exist here
    for (thread = zb_threads_; thread; thread = next) {
        next = thread->next;
        if (thread != zb_self_)
            zb_thread_destroy_ (&thread);
    }
    zb_orphans_ = NULL;  //  the parent's
    zb_stalled_ = 1;
    zb_retry_ms_ = 0;
    zb_bump_generation_ ();
    zb_leave_ ();
}

//  The functions of atexit run before the destructors at the end of a program,
//  and after them at dlclose.
static void
zb_exiting_set_ (void)
{
    zb_exiting_ = 1;
}

static void
zb_once_init_ (void)
{
    if (atexit (zb_exiting_set_) != 0)
        zb_exiting_ = 1;
    zb_key_made_ =
      pthread_atfork (zb_fork_prepare_, zb_fork_parent_, zb_fork_child_) == 0
      && pthread_key_create (&zb_key_, zb_thread_exit_) == 0;
}

//  At the end of the program other threads may still measure, so what is theirs
//  stays. After dlclose nobody does, and nothing may point to us.
static void
zb_exit_threads_ (void)
{
    zb_thread_ *thread = zb_self_;
    pthread_mutex_lock (&zb_lock_);
    zb_self_ = NULL;
    if (thread)
        zb_thread_destroy_ (&thread);
    while (!zb_exiting_ && (thread = zb_threads_))
        zb_thread_destroy_ (&thread);
    pthread_mutex_unlock (&zb_lock_);
    if (zb_key_made_)
        pthread_key_delete (zb_key_);
}

//  At exit (or dlclose) all instances report for the last time, within the
//  longest linger_ms in all.
__attribute__ ((destructor)) static void
zb_exit_ (void)
{
    int64_t now_ms;
    zb_t *self;
    //  exit () in a signal handler that has interrupted us: locks may be held
    if (zb_over_ || zb_enter_ () == -1)
        return;
    zb_revive_last_ ();
    now_ms = zb_clock_ms_ ();
    pthread_mutex_lock (&zb_lock_);
    for (self = zb_instances_; self; self = self->next)
        zb_pump_stop_ (self, now_ms + self->linger_ms);
    pthread_mutex_unlock (&zb_lock_);
    while ((self = zb_instances_))
        zb_finish_ (&self);
    zb_reap_ (!zb_exiting_);
    zb_wake_clear_ ();
    __atomic_store_n (&zb_over_, 1, __ATOMIC_RELEASE);
    zb_exit_threads_ ();
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    zb_busy_ = 0;
}

#ifdef __cplusplus
}
#endif

#endif  //  !ZB_DISABLE && !ZIBRATO_BODY_
#endif  //  ZIBRATO_IMPLEMENTATION
