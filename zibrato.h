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

    What it does to the host program: for each instance one background thread,
    and two of ZeroMQ's, with all signals blocked. No signal handler, no output,
    no locale, no random(). Without a broker it costs the same and keeps
    counting; nothing blocks, nothing grows beyond the bounds below. Where
    descriptors or threads run out, sending stops and counting goes on. Where
    memory runs out, what needs it is not measured, and counted as dropped.

    Compile-time switches, defined before the #include:

        ZIBRATO_IMPLEMENTATION  this file gets the body (one file of a program)
        ZB_DISABLE              every macro and function compiles to nothing,
                                arguments unevaluated; no library needed
        ZIBRATO_SHARED          in all files: the body is in a shared library
                                that others measure through. Without it a
                                program, library or plug-in has its own body,
                                and none of another's meets it

    Sections of this file:

        1. Instances             zb_open, zb_flush, zb_stats, zb_close
        2. Measuring             ZB_COUNT_ME, ZB_TIME_ME, ZB_GAUGE, zb_count ...
        3. The wire format       in words: for programs without this header
        4. What the macros expand to                        (private from here)
        5. The body              under ZIBRATO_IMPLEMENTATION, with a map of
                                 its own

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZIBRATO_H
#define ZIBRATO_H

#include <stddef.h>
#include <stdint.h>

#ifndef __GNUC__
#error "zibrato.h needs __attribute__ ((cleanup)): compile with gcc or clang"
#endif
#if !defined __SIZEOF_INT128__ && !defined ZB_DISABLE
#error "zibrato.h needs __int128, a 64-bit target; elsewhere define ZB_DISABLE"
#define ZB_DISABLE
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
    const char *tags;      //  of all measurements, "env=test;host=a"; see
                           //  section 2. ZIBRATO_TAGS, none
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
    uint64_t refused;         //  NaN, Inf, or a bad level, name, source or tag
    uint64_t series;          //  known now
    uint64_t repeated;        //  lines sent again so that lost ones heal
    uint64_t messages;        //  ZeroMQ messages, and
    uint64_t bytes;           //  their bytes
    int listening;            //  1: at least one level has a listener
    int connected;            //  brokers that we are connected to now
    uint64_t denied;          //  handshakes that failed: wrong keys, CURVE on
                              //  one side only, or no broker at the port
    //  errno of why nothing can be sent, or 0: EINVAL for endpoint, host or
    //  key; that of the certificate; ENOTSUP; EMFILE, EAGAIN (threads), EPERM
    //  (a filter); ETERM: the host has ended the .context that it gave
    int error;
} zb_stats_t;

//  A body that is not shared is hidden: two of them in one process, of whatever
//  age, never call each other. The names of a shared one carry a number that
//  changes with what they hand to each other.
#ifdef ZIBRATO_SHARED
#define ZB_LINKAGE_     __attribute__ ((visibility ("default")))
#define zb_flush        zb_flush_v3
#define zb_stats        zb_stats_v3
#define zb_close        zb_close_v3
#define zb_open_        zb_open_v3_
#define zb_count_at_    zb_count_at_v3_
#define zb_time_at_     zb_time_at_v3_
#define zb_gauge_at_    zb_gauge_at_v3_
#define zb_count_slow_  zb_count_slow_v3_
#define zb_time_stop_   zb_time_stop_v3_
#define zb_gauge_put_   zb_gauge_put_v3_
#define zb_clock_ticks_ zb_clock_ticks_v3_
#define zb_thread_id_   zb_thread_id_v3_
#define zb_generation_  zb_generation_v3_
#define zb_tsc_on_      zb_tsc_on_v3_
#else
#define ZB_LINKAGE_ __attribute__ ((visibility ("hidden")))
#endif

#ifndef ZB_DISABLE

//  zb_t *zb_open (.host = "10.0.0.1", .source = "deathstar");
//
//  Opens an instance. The first one opened so is the default from then on:
//  where measurements without .to go. Strings are copied. Does not wait for
//  the broker. Returns NULL, errno set: an option is out of range, endpoint or
//  key is not one (EINVAL), the certificate cannot be read, libzmq has no CURVE
//  (ENOTSUP), memory or threads are short (ENOMEM, EAGAIN), or this is a signal
//  handler inside this header, the end of the program, or a child of clone
//  (EDEADLK). What ZeroMQ lacks later is in zb_stats. Caller owns the return
//  value; what is open at exit is flushed and closed then.
#define zb_open(...)                                                           \
    __extension__ ({                                                           \
        zb_config_t zb_config_ = ZB_CONFIG_INIT_;                              \
        ZB_EACH_ (zb_config_, __VA_ARGS__)                                     \
        zb_open_ (&zb_config_);                                                \
    })

//  Reports now instead of at the next interval, and waits at most ms
//  milliseconds until all that somebody listens to is handed to ZeroMQ, which
//  sends it in the background: before _exit, zb_close. NULL is the default
//  instance. Returns 0, also if nothing is held or there is no such instance;
//  -1 if something is held that somebody listens to, or of which no broker has
//  said whether anybody does; at once if nothing can be sent at all (zb_stats:
//  error). A cancellation point.
ZB_LINKAGE_ int zb_flush (zb_t *self, int ms);

//  Fills in what became of the measurements so far. NULL is the default
//  instance. Returns 0, or -1 if there is none.
ZB_LINKAGE_ int zb_stats (zb_t *self, zb_stats_t *stats);

//  Flushes within linger_ms and frees the instance; *self_p becomes NULL.
//  What is measured into it from then on goes nowhere: threads that still
//  measure are safe, and a zb_flush of it in another thread ends. Does not wait
//  for what nobody listens to, nor where every broker has refused and none was
//  ever connected. Where it cannot act (see EDEADLK above) it leaves *self_p
//  alone. No cancellation point.
ZB_LINKAGE_ void zb_close (zb_t **self_p);

//  --------------------------------------------------------------------------
//  2. Measuring
//
//  Level and name of the capital-letter macros are string literals: each is a
//  static call site, resolved once a thread, nanoseconds after that. Options,
//  in any order and all optional:
//
//      .value    what a counter adds, a finite double; 1. Zero counts zero
//      .source   1..255 bytes; read anew at each pass, so it may change. It
//                lives until the call is over; for a scope macro, until the
//                scope is left
//      .tags     keys and values, "route=/a;code=200", in any order; as .source
//      .to       an instance other than the default
//
//  A tag makes a series of its own for each of its values. Keys are letters,
//  digits, '_', '.' and '-', and begin with a letter or '_'; values are not
//  empty, without ';'. A key given here wins over that of the instance. Name and
//  tags have at most 1023 bytes together. (The name may have tags, too: then
//  they are part of the literal.)
//
//  A signal handler may use ZB_COUNT_ME, ZB_GAUGE, zb_count and zb_gauge, with
//  names of its own: a counter that it shares with the code it interrupts may
//  miss a pass. One that finds its thread inside this header is dropped and
//  counted (dropped_async). The first pass in a thread allocates memory, so let
//  it happen before, outside of the handler.
//
//  A scope may end on another thread than it began on (coroutines, fibers).
//
//  Level, name, source and tags hold no '|' and no control characters. What is
//  NaN, Inf or badly named, or has a tag twice, is refused and counted (zb_stats).
//
//  A scope macro is a declaration: it stands where one may stand, on a line of
//  its own, and does its work when the scope is left by return, break,
//  continue, goto or a C++ exception; not by longjmp, exit or pthread_exit.

//  ZB_COUNT_ME ("info", "requests");
//  ZB_COUNT_ME ("info", "bytes", .value = size, .source = "q1");
//  ZB_COUNT_ME ("info", "served", .tags = "route=/a;code=200");
//
//  Adds .value to a counter when the enclosing scope ends: first in a function
//  it counts calls, first in a block it counts passes of the block.
#define ZB_COUNT_ME(...)                                                       \
    ZB_SITE_ (zb_count_, ZB_TYPE_COUNTER, __VA_ARGS__)                         \
    ZB_NO_JUMP_ (zb_count_)                                                    \
    zb_count_scope_ ZB_NAME_ (zb_count_scope_)                                 \
      __attribute__ ((cleanup (zb_count_end_), unused)) = __extension__ ({     \
          zb_count_scope_ zb_count_options_ = {&ZB_NAME_ (zb_count_site_v3_),  \
                                               &ZB_NAME_ (zb_count_cell_v3_),  \
                                               1.0,                            \
                                               NULL,                           \
                                               NULL,                           \
                                               NULL,                           \
                                               zb_thread_here_ ()};            \
          ZB_OPTIONS_ (zb_count_options_, __VA_ARGS__)                         \
          zb_count_options_;                                                   \
      })

//  ZB_TIME_ME ("debug", "myfunct_timer");
//
//  Times the rest of the enclosing scope, in nanoseconds of a clock that never
//  steps. Takes .source, .tags and .to.
#define ZB_TIME_ME(...)                                                        \
    ZB_SITE_ (zb_time_, ZB_TYPE_TIMER, __VA_ARGS__)                            \
    ZB_NO_JUMP_ (zb_time_)                                                     \
    zb_time_scope_ ZB_NAME_ (zb_time_scope_)                                   \
      __attribute__ ((cleanup (zb_time_end_), unused)) = __extension__ ({      \
          zb_time_scope_ zb_time_options_ = {&ZB_NAME_ (zb_time_site_v3_),     \
                                             &ZB_NAME_ (zb_time_cell_v3_),     \
                                             0,                                \
                                             NULL,                             \
                                             NULL,                             \
                                             NULL,                             \
                                             zb_thread_here_ ()};              \
          ZB_OPTIONS_ (zb_time_options_, __VA_ARGS__)                          \
          zb_time_options_.start =                                             \
            zb_off_ (zb_time_options_.cell, zb_time_options_.to)               \
              ? 0                                                              \
              : zb_ticks_ ();                                                  \
          zb_time_options_;                                                    \
      })

//  ZB_GAUGE ("crit", "queue_depth", depth);
//
//  Records a reading, a finite double, with the time of now. A statement.
//  Takes .source, .tags and .to.
#define ZB_GAUGE(...)                                                          \
    do {                                                                       \
        ZB_SITE_ (zb_gauge_, ZB_TYPE_GAUGE, __VA_ARGS__)                       \
        zb_options_ zb_gauge_options_ = {0.0, NULL, NULL, NULL};               \
        ZB_READING_ (zb_gauge_options_, __VA_ARGS__)                           \
        zb_gauge_ (&ZB_NAME_ (zb_gauge_site_v3_),                              \
                   &ZB_NAME_ (zb_gauge_cell_v3_), zb_gauge_options_.value,     \
                   zb_gauge_options_.source, zb_gauge_options_.tags,           \
                   zb_gauge_options_.to);                                      \
    } while (0)

//  The same for levels and names that are known only at run time, any string:
//
//  zb_count (level, name, .value = 3, .source = "q1");
//  zb_time (level, name, seconds);     a duration that the program measured
//  zb_gauge (level, name, reading);
//
//  What was added up or read elsewhere has two options more:
//
//  zb_time (level, name, seconds, .count = 20);  so many samples of this length,
//                      0 to 2^53; not with .classic, which sends each sample
//  zb_gauge (level, name, reading, .time = 1795423180.5);  Unix seconds of the
//                      reading, below 10^11, kept in milliseconds
#define zb_count(...)                                                          \
    do {                                                                       \
        zb_options_ zb_count_options_ = {1.0, NULL, NULL, NULL};               \
        ZB_OPTIONS_ (zb_count_options_, __VA_ARGS__)                           \
        zb_count_at_ (ZB_ARG1_ (__VA_ARGS__, 0), ZB_ARG2_ (__VA_ARGS__, 0),    \
                      &zb_count_options_);                                     \
    } while (0)
#define zb_time(...)                                                           \
    do {                                                                       \
        zb_time_given_ zb_time_options_ = {0.0, NULL, NULL, NULL, 1};          \
        ZB_READING_ (zb_time_options_, __VA_ARGS__)                            \
        zb_time_at_ (ZB_ARG1_ (__VA_ARGS__, 0), ZB_ARG2_ (__VA_ARGS__, 0),     \
                     &zb_time_options_);                                       \
    } while (0)
#define zb_gauge(...)                                                          \
    do {                                                                       \
        zb_gauge_given_ zb_gauge_options_ = {0.0, NULL, NULL, NULL, -1.0};     \
        ZB_READING_ (zb_gauge_options_, __VA_ARGS__)                           \
        zb_gauge_at_ (ZB_ARG1_ (__VA_ARGS__, 0), ZB_ARG2_ (__VA_ARGS__, 0),    \
                      &zb_gauge_options_);                                     \
    } while (0)

#endif  //  !ZB_DISABLE

//  --------------------------------------------------------------------------
//  3. The wire format
//
//  A ZeroMQ message is one frame of text: lines of one level, separated by
//  '\n', at most 64 KiB. A line is a measurement, classic or idempotent:
//
//      level|type|name|value|time|source
//      level|type|name|value|time|source|stream
//
//  The idempotent ones of a message are of one stream. A line before them says
//  how old that is, and one behind the very last, what should have come:
//
//      level|Stream|ID|AGE          or  level|Stream|ID|AGE|COUNTS
//      level|End|ID|SERIES|SEQS|READINGS
//
//      level    1..255 bytes, the topic: subscribe to "level|"
//      type     Counter, Timer or Gauge; in any case, with or without an s
//      name     1..255 bytes; source likewise. Tags may stand behind the name
//      value    Counter: the increment since the last report
//               Timer: seconds, the sum since the last report
//               Gauge: the reading
//      time     Unix seconds, decimals allowed: when it was measured
//      stream   Counter: ID:SEQ:FIRST:TOTAL
//               Timer:   ID:SEQ:FIRST:COUNT:SUM:SUMSQ:MIN:MAX:BUCKETS
//               Gauge:   ID:SEQ:SENT, or ID:SEQ
//
//  Tags are part of the name: requests;code=200;route=/a, keys ascending by
//  their bytes, each once, [A-Za-z_][A-Za-z0-9_.-]*; values not empty, without
//  ';', '|' and control characters; name and tags together at most 1023 bytes.
//  A name whose ';' begins no such list has no tags. Readers of before refuse
//  names of more than 255 bytes.
//
//  ID and level are one stream: what one publisher reports at one level since
//  its first report there; the time of its birth (Unix milliseconds) and 64
//  random bits of the publisher, in hexadecimal, joined by '-'. SEQ grows by one with
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
//
//  AGE is in milliseconds, since the stream's first report and by a clock that
//  never steps. So a reader that began before that has all of the stream, and no
//  two wall clocks are compared. COUNTS is n,n,n: the samples since the last
//  report of each Timer line of the message, in their order; left out if there
//  is none. SERIES is how many counters and timers there were, SEQS the sum of
//  the SEQ of each one's last line (modulo 2^64), READINGS the next SEQ of a
//  gauge. A reader whose own sums are the same has all of the stream. When a
//  publisher ends in order, each stream that has a listener gets an End; before
//  it, states of the last 25 seconds are repeated unless they are in the same
//  message. Readers of before take both lines for malformed ones, and lose
//  nothing.
//
//  Once connected, a publisher gets all subscriptions that a broker has, and
//  then its marker: a subscription to byte 0xff and 16 lower-case hexadecimal
//  digits, random for each broker process. Whoever has it has the whole list of
//  that broker; changes come after it. It may be ignored. A broker that has just
//  begun sends it later, when its workers are back, and one whose ZeroMQ keeps no
//  order sends none.
//
//  While a worker leaves, its broker subscribes to the marker with "-" and one of
//  the worker's topics behind it: a publisher sends no line of that topic then,
//  until the broker unsubscribes. To the marker with "?" and a number behind it a
//  publisher answers with a message that is that topic: it has read all that was
//  said before. There is such a one at any time.

//  Also used below: what a series is.
typedef enum {
    ZB_TYPE_COUNTER = 1,
    ZB_TYPE_TIMER = 2,
    ZB_TYPE_GAUGE = 3
} zb_type_t;

//  --------------------------------------------------------------------------
//  4. What the macros expand to: private from here on
//
//  Each macro owns a site, static, and a cell, static in each thread, which
//  remembers the slot that the site resolved to. A slot is one series in one
//  thread: only that thread writes it, so a counter is a load, an add and a
//  store. ZB_COUNT_ME ("info", "n", .value = 5) on line 7 becomes
//
//      static const zb_site_ zb_count_site_v3_7 = {ZB_TYPE_COUNTER, "info", "n"};
//      static __thread zb_cell_ zb_count_cell_v3_7;
//      typedef char zb_count_jump_7[zb_count_site_v3_7.type];   (gcc, in C)
//      zb_count_scope_ zb_count_scope_7
//        __attribute__ ((cleanup (zb_count_end_), unused)) =
//          ({ zb_count_scope_ o = {&site, &cell, 1.0, NULL, NULL, NULL, thread};
//             (void) (o .value = 5), o; });
//
//  The attribute stands behind the name so that `if (c) ZB_COUNT_ME (...)`
//  does not compile, instead of losing its cleanup. Options and the call that
//  takes them are one expression, so that what a C++ option has made for itself
//  lives until the call is over.

// clang-format off
#define ZB_CONFIG_INIT_                                                       \
    {NULL, -1, NULL, NULL, NULL, NULL, -1, -1, -1, -1, NULL, NULL}

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
//  (void) (o .value = 4), (void) (o .source = s),
#define ZB_EACH_(o, ...)                                                      \
    ZB_CAT_ (ZB_EACH_, ZB_COUNT_ (__VA_ARGS__)) (o, __VA_ARGS__)
#define ZB_EACH_1(o, a)       (void) (o a),
#define ZB_EACH_2(o, a, ...)  (void) (o a), ZB_EACH_1 (o, __VA_ARGS__)
#define ZB_EACH_3(o, a, ...)  (void) (o a), ZB_EACH_2 (o, __VA_ARGS__)
#define ZB_EACH_4(o, a, ...)  (void) (o a), ZB_EACH_3 (o, __VA_ARGS__)
#define ZB_EACH_5(o, a, ...)  (void) (o a), ZB_EACH_4 (o, __VA_ARGS__)
#define ZB_EACH_6(o, a, ...)  (void) (o a), ZB_EACH_5 (o, __VA_ARGS__)
#define ZB_EACH_7(o, a, ...)  (void) (o a), ZB_EACH_6 (o, __VA_ARGS__)
#define ZB_EACH_8(o, a, ...)  (void) (o a), ZB_EACH_7 (o, __VA_ARGS__)
#define ZB_EACH_9(o, a, ...)  (void) (o a), ZB_EACH_8 (o, __VA_ARGS__)
#define ZB_EACH_10(o, a, ...) (void) (o a), ZB_EACH_9 (o, __VA_ARGS__)
#define ZB_EACH_11(o, a, ...) (void) (o a), ZB_EACH_10 (o, __VA_ARGS__)
#define ZB_EACH_12(o, a, ...) (void) (o a), ZB_EACH_11 (o, __VA_ARGS__)

//  The same behind level and name, and behind level, name and value.
#define ZB_OPTIONS_(o, ...)                                                   \
    ZB_CAT_ (ZB_OPTIONS_, ZB_COUNT_ (__VA_ARGS__)) (o, __VA_ARGS__)
#define ZB_OPTIONS_2(o, level, name)
#define ZB_OPTIONS_3(o, level, name, a)   (void) (o a),
#define ZB_OPTIONS_4(o, level, name, ...) ZB_EACH_2 (o, __VA_ARGS__)
#define ZB_OPTIONS_5(o, level, name, ...) ZB_EACH_3 (o, __VA_ARGS__)
#define ZB_OPTIONS_6(o, level, name, ...) ZB_EACH_4 (o, __VA_ARGS__)
#define ZB_READING_(o, ...)                                                   \
    ZB_CAT_ (ZB_READING_, ZB_COUNT_ (__VA_ARGS__)) (o, __VA_ARGS__)
#define ZB_READING_3(o, level, name, v)      (o).value = (v),
#define ZB_READING_4(o, level, name, v, a)   (o).value = (v), (void) (o a),
#define ZB_READING_5(o, level, name, v, ...)                                  \
    (o).value = (v), ZB_EACH_2 (o, __VA_ARGS__)
#define ZB_READING_6(o, level, name, v, ...)                                  \
    (o).value = (v), ZB_EACH_3 (o, __VA_ARGS__)
#define ZB_READING_7(o, level, name, v, ...)                                  \
    (o).value = (v), ZB_EACH_4 (o, __VA_ARGS__)
// clang-format on

typedef struct {
    double value;
    const char *source, *tags;
    zb_t *to;
} zb_options_;

typedef struct {
    double value;
    const char *source, *tags;
    zb_t *to;
    int64_t count;
} zb_time_given_;

typedef struct {
    double value;
    const char *source, *tags;
    zb_t *to;
    double time;  //  -1: now
} zb_gauge_given_;

#ifndef ZB_DISABLE

//  --------------------------------------------------------------------------
//  4.1 Sites, slots and cells
//
//  A site is what the program says, a slot is where it is counted, and a cell is
//  the way from the one to the other in one thread.

//  "" s "" lets only a literal through: in C++ a static initializer would
//  freeze the first run-time value, in C it would not compile. The names carry
//  the number of their layout, since C++ shares those of inline functions among
//  all libraries of a process.
//
//  How a cell is found is left to the compiler: by an offset in a program, by a
//  call in a shared library. There the initial-exec model would save less than a
//  nanosecond, and 60 sites of a library be enough that no program can load it
//  any more (glibc has 1664 bytes to spare for such).
#define ZB_SITE_(prefix, type, ...)                                            \
    static const zb_site_ ZB_CAT_ (prefix##site_v3_, __LINE__) = {             \
      type, "" ZB_ARG1_ (__VA_ARGS__, 0) "", "" ZB_ARG2_ (__VA_ARGS__, 0) ""}; \
    static __thread zb_cell_ ZB_CAT_ (prefix##cell_v3_, __LINE__);

//  g++ and clang refuse a goto or case label past a scope macro into its scope:
//  the cleanup would run for what never began. gcc in C refuses it for a type of
//  variable size, which costs nothing.
#if defined __cplusplus || defined __clang__
#define ZB_NO_JUMP_(prefix)
#else
#define ZB_NO_JUMP_(prefix)                                                    \
    _Pragma ("GCC diagnostic push")                                            \
      _Pragma ("GCC diagnostic ignored \"-Wvla\"") typedef char ZB_CAT_ (      \
        prefix##jump_, __LINE__)[ZB_CAT_ (prefix##site_v3_, __LINE__).type]    \
      __attribute__ ((unused));                                                \
    _Pragma ("GCC diagnostic pop")
#endif

#define ZB_LIKELY_(condition) __builtin_expect (!!(condition), 1)

typedef struct {
    zb_type_t type;
    const char *level;
    const char *name;
} zb_site_;

//  One series in one thread. The thread makes, writes and frees it.
typedef struct zb_slot_ {
    //  Atomic, relaxed: the thread writes, the pump reads
    double total;  //  counter: this thread's part
    //  Constant
    uint32_t *changed;  //  of the share: set after each change
    union {
        struct zb_timer_ *timer;  //  timer: this thread's part
        double total_seen;        //  counter: total at the pump's last scan;
                                  //  lock of the instance
    } by_kind;
    struct zb_series_ *series;  //  freed with its instance
    //  Lock of the instance
    struct zb_slot_ *next, *previous;  //  same series, other threads
    struct zb_slot_ *sibling;          //  same thread, other series
    //  Constant. Behind the structure stand level, name, source and tags, as
    //  they were given, each with a terminating zero
    uint64_t hash;                    //  of all of that
    uint16_t head_size;               //  of level and name
    uint16_t source_size, tags_size;  //  0: there is none
    uint8_t type;
    uint8_t kind;  //  how the type is kept: a timer of classic mode is kept
                   //  like a gauge
} zb_slot_;

//  Slots that a cell remembers beside the current one, of other sources or tags;
//  and the turns that these take before more are expected.
enum { ZB_RECENT_ = 3, ZB_TURNS_ = 64 };

//  What a site remembers in one thread. Only that thread reads and writes it.
typedef struct {
    zb_slot_ *slot;  //  NULL: `to` is switched off, whatever the source
    zb_t *to;
    uint64_t generation;           //  zb_generation_ when it was resolved
    uint64_t head_hash;            //  of level and name
    zb_slot_ *recent[ZB_RECENT_];  //  the same with other sources or tags
    uint16_t next_recent;          //  the index in recent[] that is likely next
    uint16_t turns;                //  how often in a row it was
} zb_cell_;

typedef struct {
    const zb_site_ *site;
    zb_cell_ *cell;
    double value;
    const char *source, *tags;
    zb_t *to;
    uintptr_t thread;  //  whose cell it is
} zb_count_scope_;

typedef struct {
    const zb_site_ *site;
    zb_cell_ *cell;
    uint64_t start;  //  of zb_ticks_; 0: switched off when it began
    const char *source, *tags;
    zb_t *to;
    uintptr_t thread;
} zb_time_scope_;

//  Grows when cells must resolve anew. It starts at random, so that a cell which
//  C++ shares between two bodies (of an inline function) is right for one only.
extern ZB_LINKAGE_ uint64_t zb_generation_;
extern ZB_LINKAGE_ int zb_tsc_on_;  //  1: durations are made of the TSC

ZB_LINKAGE_ zb_t *zb_open_ (const zb_config_t *config);
ZB_LINKAGE_ uint64_t zb_clock_ticks_ (void);
ZB_LINKAGE_ uintptr_t zb_thread_id_ (void);
ZB_LINKAGE_ void
zb_count_slow_ (const zb_site_ *site, zb_cell_ *cell, double value,
                const char *source, const char *tags, zb_t *to);
ZB_LINKAGE_ void
zb_time_stop_ (const zb_site_ *site, zb_cell_ *cell, uint64_t start,
               const char *source, const char *tags, zb_t *to);
ZB_LINKAGE_ void
zb_gauge_put_ (const zb_site_ *site, zb_cell_ *cell, double value,
               const char *source, const char *tags, zb_t *to);
ZB_LINKAGE_ void
zb_count_at_ (const char *level, const char *name, const zb_options_ *options);
ZB_LINKAGE_ void zb_time_at_ (const char *level, const char *name,
                              const zb_time_given_ *options);
ZB_LINKAGE_ void zb_gauge_at_ (const char *level, const char *name,
                               const zb_gauge_given_ *options);

//  --------------------------------------------------------------------------
//  4.2 A pass
//
//  These few lines are compiled into each call site. What they cannot do is done
//  by a function of the body.

//  The thread that runs now. Not left to the compiler, which may believe that a
//  function ends on the thread that it began on.
static inline uintptr_t
zb_thread_here_ (void)
{
#if defined __x86_64__ && defined __LP64__
    uintptr_t here;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(here));
    return here;
#elif defined __aarch64__
    uintptr_t here;
    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(here));
    return here;
#else
    return zb_thread_id_ ();
#endif
}

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

//  Was the slot resolved for this source and these tags?
static inline int
zb_slot_has_ (const zb_slot_ *self, const char *source, const char *tags)
{
    const char *tail = (const char *) (self + 1) + self->head_size;
    return (source ? self->source_size && __builtin_strcmp (source, tail) == 0
                   : !self->source_size)
           && (tags
                 ? self->tags_size
                     && __builtin_strcmp (tags, tail + self->source_size) == 0
                 : !self->tags_size);
}

//  Is what the cell remembers still right for this source, tags and instance?
//  What is constantly absent costs nothing to compare.
static inline int
zb_hit_ (const zb_cell_ *cell, const char *source, const char *tags,
         const zb_t *to)
{
    if (!ZB_LIKELY_ (__atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE)
                     == cell->generation))
        return 0;
    if (__builtin_constant_p (!source && !tags && !to) && !source && !tags
        && !to)
        return 1;
    return to == cell->to
           && (!cell->slot || zb_slot_has_ (cell->slot, source, tags));
}

//  Does the cell remember that nothing is to be measured? Then neither clock
//  nor source is of interest. What begins so is not measured, even if it ends
//  when an instance has been opened.
static inline int
zb_off_ (const zb_cell_ *cell, const zb_t *to)
{
    return zb_hit_ (cell, NULL, NULL, to) && !cell->slot;
}

//  The mark comes after the change: who finds the mark finds the change, too.
static inline void
zb_slot_add_ (zb_slot_ *self, double value)
{
    double total;
    __atomic_load (&self->total, &total, __ATOMIC_RELAXED);
    total += value;
    __atomic_store (&self->total, &total, __ATOMIC_RELAXED);
    __atomic_store_n (self->changed, 1, __ATOMIC_RELEASE);
}

//  Inline, or gcc splits it and has to keep its scope in memory. On another
//  thread than where the scope began, the cell is not to be looked at.
__attribute__ ((always_inline)) static inline void
zb_count_end_ (zb_count_scope_ *self)
{
    zb_cell_ *cell =
      ZB_LIKELY_ (self->thread == zb_thread_here_ ()) ? self->cell : NULL;
    if (!ZB_LIKELY_ (cell && zb_finite_ (self->value)
                     && zb_hit_ (cell, self->source, self->tags, self->to)))
        zb_count_slow_ (self->site, cell, self->value, self->source, self->tags,
                        self->to);
    else if (ZB_LIKELY_ (cell->slot != NULL))
        zb_slot_add_ (cell->slot, self->value);
}

__attribute__ ((always_inline)) static inline void
zb_time_end_ (zb_time_scope_ *self)
{
    if (ZB_LIKELY_ (self->start != 0))
        zb_time_stop_ (
          self->site,
          ZB_LIKELY_ (self->thread == zb_thread_here_ ()) ? self->cell : NULL,
          self->start, self->source, self->tags, self->to);
}

static inline void
zb_gauge_ (const zb_site_ *site, zb_cell_ *cell, double value,
           const char *source, const char *tags, zb_t *to)
{
    if (!zb_off_ (cell, to))
        zb_gauge_put_ (site, cell, value, source, tags, to);
}

#else  //  ZB_DISABLE: checked by the compiler, evaluated never

#define ZB_NEVER_(...) (0 && __extension__ ({ __VA_ARGS__ 0; }))

#define zb_open(...)                                                           \
    ((void) ZB_NEVER_ (zb_config_t zb_config_ = ZB_CONFIG_INIT_;               \
                       ZB_EACH_ (zb_config_, __VA_ARGS__)),                    \
     (zb_t *) NULL)
#define ZB_COUNT_ME(...)                                                       \
    int ZB_NAME_ (zb_count_off_) __attribute__ ((unused)) =                    \
      ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL, NULL};                \
                 ZB_OPTIONS_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define ZB_TIME_ME(...)                                                        \
    int ZB_NAME_ (zb_time_off_) __attribute__ ((unused)) =                     \
      ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL, NULL};                \
                 ZB_OPTIONS_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define zb_count(...)                                                          \
    (void) ZB_NEVER_ (zb_options_ zb_off_ = {0.0, NULL, NULL, NULL};           \
                      (void) (ZB_ARG1_ (__VA_ARGS__, 0));                      \
                      (void) (ZB_ARG2_ (__VA_ARGS__, 0));                      \
                      ZB_OPTIONS_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define ZB_UNREAD_(type, ...)                                                  \
    (void) ZB_NEVER_ (                                                         \
      type zb_off_; __builtin_memset (&zb_off_, 0, sizeof zb_off_);            \
      (void) (ZB_ARG1_ (__VA_ARGS__, 0)); (void) (ZB_ARG2_ (__VA_ARGS__, 0));  \
      ZB_READING_ (zb_off_, __VA_ARGS__) (void) zb_off_;)
#define zb_time(...)  ZB_UNREAD_ (zb_time_given_, __VA_ARGS__)
#define zb_gauge(...) ZB_UNREAD_ (zb_gauge_given_, __VA_ARGS__)
#define ZB_GAUGE(...) ZB_UNREAD_ (zb_options_, __VA_ARGS__)

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
//  5. The body
//
//      macros ─▶ slots and rings, one writer each ─▶ pump ─▶ XPUB ─▶ broker
//
//  Bottom-up, a banner each:
//
//      Bounds                   sizes and times
//      Clock                    the time-stamp counter, or CLOCK_MONOTONIC
//      Clock: the rate          of the counter
//      Text                     numbers as decimal text, without locale
//      Histogram                the bucket of a duration
//      Timer: its thread        one thread's part of a timer, written
//      Timer: its readers       and read as one consistent set
//      Timer: its series        what threads have left to it
//      Memory                   arenas, and the one hash table
//      Labels                   level, name, source and tags: check, hash
//      Tags                     a name with them, as lines have it
//      Keys                     certificates of CURVE
//      Link                     one connection to a broker
//      Links                    all of an instance, and their monitor
//      Links: their news        and their next tries
//      Structures               who owns what, which lock guards it
//      Structures: the instance
//      Structures: the thread   and what is there once
//      Entry                    busy threads, cancellation, waking a pump
//      Levels                   who listens to what
//      Series                   found by their labels, or made
//      Ring                     readings, from a thread to the pump
//      Queues                   readings that wait or are kept
//      Slots                    a series in a thread
//      Threads: their shares    what a thread has of an instance
//      Threads: their end       what becomes of that
//      Subscriptions            which levels have a listener
//      ZeroMQ: checks           is there what it needs
//      ZeroMQ: connections      may it be used, and is a broker there
//      ZeroMQ: opened           and closed
//      Reports: changes         what threads have changed
//      Reports: due             which series are
//      Lines                    a report as text
//      Messages: written        lines of one level
//      Messages: last line      and first
//      Messages: sent           or undone
//      Pump: rounds             what is reported now
//      Pump: waiting            for time, threads, brokers
//      Pump: its life           from beginning to end
//      Options                  of an instance, and from the environment
//      Instances: the list
//      Instances: opened        and closed
//      Flush and statistics
//      Lookup                   from a label to a slot
//      Sites                    what they remember
//      Measuring                what macros and functions call
//      Fork                     what a child inherits
//      Exit                     or dlclose
//
//  To follow a measurement: zb_count_end_, zb_count_slow_, zb_find_ (a first
//  pass), then zb_pump_round_, zb_scan_, zb_report_ (the pump).
//
//  Locks, in the order in which they are taken:
//
//      zb_lock_                 the lists of instances and threads
//      lock of an instance      its series, levels, queues and shares
//      zb_tsc_lock_             the conversion of the time-stamp counter
//
//  A pass that finds its slot takes none of them. No lock is held while a
//  thread waits, or where it can be cancelled: a host's thread can be cancelled
//  in one place only, the wait of zb_flush.
//
//  Atomics: a value that publishes others is stored with release and loaded
//  with acquire; a comment says what it publishes. A number that stands for
//  itself is relaxed. A signal fence orders what a signal handler of the same
//  thread sees.

#ifdef ZIBRATO_IMPLEMENTATION
#if !defined ZB_DISABLE && !defined ZIBRATO_BODY_
#define ZIBRATO_BODY_

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

//  -std=c99 and -std=c11 hide POSIX, and a feature test macro comes too late
//  where a system header stands before this one. So here is what the body uses
//  of POSIX.1-2008 beyond C99, with Linux' values (linux/time.h, asm/signal.h,
//  asm/mman.h).
#ifndef CLOCK_MONOTONIC
#define CLOCK_REALTIME  0
#define CLOCK_MONOTONIC 1
int clock_gettime (clockid_t, struct timespec *);
#endif
#ifndef CLOCK_BOOTTIME
#define CLOCK_BOOTTIME 7
#endif
#ifndef SIG_SETMASK
#define SIG_SETMASK 2
int sigfillset (sigset_t *);
int pthread_sigmask (int, const sigset_t *, sigset_t *);
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS 0x20
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC EPOLL_CLOEXEC  //  the same bit (linux/eventpoll.h)
#endif
#if defined __linux__ && !defined __USE_XOPEN2K
int pthread_condattr_setclock (pthread_condattr_t *, clockid_t);
int pthread_getcpuclockid (pthread_t, clockid_t *);
int posix_memalign (void **, size_t, size_t);
#endif
#if defined __GLIBC__ && !defined __USE_XOPEN_EXTENDED                         \
  && !defined __USE_XOPEN2K8
char *strdup (const char *);
#endif
#if defined __GLIBC__ && !defined __USE_MISC
long syscall (long, ...);
void explicit_bzero (void *, size_t);
int getprotobyname_r (const char *, struct protoent *, char *, size_t,
                      struct protoent **);
#endif

//  --------------------------------------------------------------------------
//  Bounds: sizes and times
//
//  Some are of the wire format, the others may be chosen.

//  Constants of the wire format (section 3)
enum {
    ZB_LABEL_MAX_ = 255,  //  bytes of a level, name or source,
    ZB_NAME_MAX_ = 1023,  //  and of a name with its tags
    ZB_KEY_SIZE_ = 41,    //  of a CURVE key in Z85, terminated
    ZB_BUCKET_0_ = -957,  //  bucket of 1 ns
    ZB_PAGES_ = 65,       //  pages of 32 buckets: octaves of 1 ns
    ZB_PAGE_SIZE_ = 32,
    ZB_MESSAGE_MAX_ = 65536,  //  bytes
    ZB_HEAD_MAX_ = 4096,      //  bytes of its first line, Stream
    ZB_MARKER_ = 0xff,        //  first byte of a broker's last subscription
    ZB_MARKER_SIZE_ = 17,     //  bytes; behind it:
    ZB_PAUSE_ = '-',          //  a topic of which nothing is to be sent for now
    ZB_QUESTION_ = '?',       //  a number, to be answered
    ZB_ASKING_MAX_ = 8        //  brokers whose questions wait for room
};

//  Bounds
enum {
    ZB_LINES_MAX_ = 2048,     //  lines of a message
    ZB_SLOTS_MAX_ = 1000000,  //  slots of an instance; a measurement that gets
                              //  none is added under a lock
    ZB_SPELLINGS_ = 4,        //  slots of a thread for each series: its tags
                              //  may be given in many orders
    ZB_RING_MIN_ = 32,        //  readings in the first part of a ring
    ZB_RING_MAX_ = 4096,      //  readings in the last part of a ring
    ZB_QUEUE_MAX_ = 16384,    //  readings of a level that wait to be sent,
    ZB_KEPT_MAX_ = 4096,      //  with so many that were sent
    ZB_TOPICS_KNOWN_MAX_ = 1024,        //  subscriptions with their text
    ZB_TOPIC_MAX_ = ZB_LABEL_MAX_ + 2,  //  bytes of the longest one known
    ZB_SUBSCRIPTION_MAX_ = 1024,        //  bytes of a message from a broker
    ZB_TOPICS_BYTES_MAX_ = 262144,  //  bytes of all subscriptions, and their
    ZB_TOPICS_MAX_ = 2048,          //  number: see zb_pump_quarantine_
    ZB_AHEAD_MAX_ = 2,              //  subscriptions that ZeroMQ reads ahead
    ZB_HWM_ = 256,                  //  messages in ZeroMQ's pipe: 16 MiB
    ZB_STACK_SIZE_ = 262144         //  bytes, of the pump
};

//  Times, in milliseconds
enum {
    ZB_KEPT_MS_ = 25000,       //  sent readings are kept; longer than it takes
                               //  to notice a dead peer (ZB_DEAD_MS_)
    ZB_QUARANTINE_MS_ = 5000,  //  brokers are disconnected, if they subscribe
                               //  to too much
    ZB_DEAD_MS_ = 20000,       //  TCP waits for an acknowledgement
    ZB_ALIVE_S_ = 5,           //  seconds; where nothing is sent, TCP asks for
                               //  one so often
    ZB_QUIET_MS_ = 2000,       //  until an unchanged series is repeated once
    ZB_BEAT_MS_ = 30000,       //  until it is repeated again, and so on
    ZB_SETTLE_MS_ = 100,       //  other subscriptions may follow one
    ZB_SPARE_MS_ = 1000,       //  between two tries to open descriptors
    ZB_SLEEP_MS_ = 50,         //  of the pump, where it has no socket
    ZB_IDLE_START_MS_ = 50,    //  until ZeroMQ is opened, if nobody waits
    ZB_RETRY_MS_ = 1000,       //  until a failed start is tried again
    ZB_ORPHAN_MS_ = 250        //  ZeroMQ may take beyond linger_ms to end
};

//  What ZeroMQ needs for an instance, and some more: other threads of the host
//  may take some between our check and ZeroMQ's use
enum { ZB_SPARE_FDS_ = 24, ZB_SPARE_THREADS_ = 3 };

//  --------------------------------------------------------------------------
//  Clock: CLOCK_MONOTONIC, or the time-stamp counter where it is invariant
//
//  Durations are measured with the time-stamp counter where it runs at one
//  rate, since it can be read faster than CLOCK_MONOTONIC.

uint64_t zb_generation_ = 1;
int zb_tsc_on_ = 0;

__extension__ typedef unsigned __int128 zb_u128_;

//  How ticks of the time-stamp counter become nanoseconds of CLOCK_MONOTONIC:
//  ns = base_ns + (ticks - base_ticks) * rate / 2^32. A pump measures the rate.
//  Guard: written under zb_tsc_lock_ before zb_tsc_on_ becomes 1 (release), and
//  never after that; read by threads that have read that 1 (acquire).
typedef struct {
    uint64_t base_ticks;
    uint64_t base_ns;
    uint64_t rate;
} zb_tsc_t_;

static zb_tsc_t_ zb_tsc_;

static uint64_t
zb_clock_read_ (clockid_t id)
{
    struct timespec now;
    clock_gettime (id, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

//  Goes on while the machine sleeps, too: the worker's clock, which tells
//  whether it has seen a stream from the beginning.
static int64_t
zb_boot_ms_ (void)
{
    return (int64_t) (zb_clock_read_ (CLOCK_BOOTTIME) / 1000000);
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

//  The clock where the time-stamp counter is not used. The highest bit tells
//  such a reading from one of the counter.
uint64_t
zb_clock_ticks_ (void)
{
    return zb_clock_ns_ () | (uint64_t) 1 << ZB_CLOCK_BIT_;
}

//  Called after zb_tsc_on_ was read as 1 (acquire): the rate does not change
//  any more.
static inline uint64_t
zb_tsc_ns_ (uint64_t ticks)
{
    return (uint64_t) (((zb_u128_) ticks * zb_tsc_.rate) >> 32);
}

//  Nanoseconds of a clock that never steps. Its zero has no meaning.
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

//  Both clocks at the last comparison. Guard: written under zb_tsc_lock_ while
//  zb_tsc_on_ is 1; read by threads that have read 0 after it was 1.
static uint64_t zb_tsc_checked_ticks_, zb_tsc_checked_ns_;

//  Converts a reading that was taken before the counter was given up. The base
//  may be a year old, and the two clocks have drifted by up to 100 ppm since.
//  So it converts from the last comparison.
static uint64_t
zb_tsc_past_ns_ (uint64_t ticks)
{
    return ticks > zb_tsc_checked_ticks_
             ? zb_tsc_checked_ns_ + zb_tsc_ns_ (ticks - zb_tsc_checked_ticks_)
             : zb_tsc_checked_ns_ - zb_tsc_ns_ (zb_tsc_checked_ticks_ - ticks);
}

//  Nanoseconds from a reading of the clock to now. If the clock was changed in
//  between, both readings are converted to CLOCK_MONOTONIC first.
static inline uint64_t
zb_elapsed_ (uint64_t start)
{
    uint64_t now = zb_ticks_ ();
    if (ZB_LIKELY_ ((start | now) >> ZB_CLOCK_BIT_ == 0))
        return now > start ? zb_tsc_ns_ (now - start) : 0;
    start = now >> ZB_CLOCK_BIT_ && !(start >> ZB_CLOCK_BIT_)
              ? zb_tsc_past_ns_ (start)
              : zb_ticks_ns_ (start);
    now = zb_ticks_ns_ (now);
    return now > start ? now - start : 0;
}

//  --------------------------------------------------------------------------
//  Clock: the rate of the counter
//
//  A pump measures the rate of the time-stamp counter, and gives the counter up if
//  it ever differs from CLOCK_MONOTONIC.

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

//  Reads both clocks at one moment. A preemption between the two readings makes
//  them wrong, so it takes the closest of eight tries.
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

//  Called with zb_tsc_lock_ held. Compares how far both clocks went since the
//  last comparison. They may differ by 100 ppm, and by 10 us for the readings.
//  Comparing with the base would not work: 100 ppm of a month would hide a
//  counter that runs at half its rate for minutes.
static int
zb_tsc_agrees_ (uint64_t ticks, uint64_t ns)
{
    uint64_t clock = ns - zb_tsc_checked_ns_, counter;
    if (ticks <= zb_tsc_checked_ticks_)
        return 0;
    counter = zb_tsc_ns_ (ticks - zb_tsc_checked_ticks_);
    return (counter > clock ? counter - clock : clock - counter)
           <= clock / 10000 + 10000;
}

//  Pump thread only. The first call notes a pair of readings. A call at least
//  100 ms later makes the rate. Each call from then on compares the clocks, and
//  a difference of more than 100 ppm switches the counter off for good.
static void
zb_tsc_check_ (void)
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
        on = zb_tsc_agrees_ (ticks, ns);
        if (!on)
            state = ZB_OFF_;
    }
    if (on) {
        zb_tsc_checked_ticks_ = ticks;
        zb_tsc_checked_ns_ = ns;
    }
    if (on != zb_tsc_on_)
        __atomic_store_n (&zb_tsc_on_, on, __ATOMIC_RELEASE);
    pthread_mutex_unlock (&zb_tsc_lock_);
}

#else

static void
zb_tsc_check_ (void)
{
}

#endif

//  Does not use random (), whose state is the host's. Does not block when the
//  kernel has no entropy yet.
static uint64_t
zb_random_ (void)
{
    uint64_t bits;
    if (getrandom (&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t) sizeof bits)
        bits = zb_clock_read_ (CLOCK_REALTIME) * 0x9e3779b97f4a7c15u
               ^ (uint64_t) getpid () << 32 ^ (uint64_t) (uintptr_t) &bits;
    return bits;
}

//  Closes a descriptor, if there is one. errno stays.
static void
zb_close_fd_ (int fd)
{
    int keep = errno;
    if (fd != -1)
        close (fd);
    errno = keep;
}

//  --------------------------------------------------------------------------
//  Text: a bounded line, written without locale
//
//  Lines are written here and not with printf, whose numbers depend on the
//  host's locale.

typedef struct {
    char *text;
    size_t size, capacity;
} zb_text_;

//  Text beyond the capacity is cut off. The caller sees it by size == capacity.
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

enum { ZB_UINT_SIZE_ = 20 + 1 };  //  of a number and what separates it

//  Writes at least `min` digits, with leading zeros.
static void
zb_put_padded_ (zb_text_ *self, uint64_t value, size_t min)
{
    uint64_t power = 10;
    size_t size = 1, at;
    for (; size < min || (size < 20 && value >= power); size++)
        power *= 10;
    if (size > self->capacity - self->size)
        size = self->capacity - self->size;
    self->size += size;
    for (at = self->size; size; size--) {
        self->text[--at] = (char) ('0' + value % 10);
        value /= 10;
    }
}

static void
zb_put_uint_ (zb_text_ *self, uint64_t value)
{
    zb_put_padded_ (self, value, 1);
}

static void
zb_put_int_ (zb_text_ *self, int64_t value)
{
    if (value < 0)
        zb_put_char_ (self, '-');
    zb_put_uint_ (self, value < 0 ? 0 - (uint64_t) value : (uint64_t) value);
}

//  Writes value / 10^places behind a point, without zeros at the end.
static void
zb_put_decimals_ (zb_text_ *self, uint64_t value, size_t places)
{
    if (value == 0)
        return;
    for (; value % 10 == 0; value /= 10)
        places--;
    zb_put_char_ (self, '.');
    zb_put_padded_ (self, value, places);
}

//  Nanoseconds as seconds.
static void
zb_put_seconds_ (zb_text_ *self, zb_u128_ ns)
{
    //  a sum of more than 64 bits: 10,000 threads that wait for three weeks
    uint64_t seconds =
      ns >> 64 ? (uint64_t) (ns / 1000000000u) : (uint64_t) ns / 1000000000u;
    zb_put_uint_ (self, seconds);
    zb_put_decimals_ (self, (uint64_t) ns - seconds * 1000000000u, 9);
}

//  Writes the shortest of 15 or 17 digits that read back as the same value.
//  snprintf takes the decimal point from the host's locale, which may be any
//  character: a point is written in its place. It is slow, so what has at most
//  nine decimals, as most readings, is written as a number of nanoseconds.
static void
zb_put_double_ (zb_text_ *self, double value)
{
    double size = value < 0 ? -value : value, scaled = size * 1e9 + 0.5;
    char digits[64];
    const char *c;
    if (size < 9007199254740992.0 && (double) (int64_t) value == value) {
        zb_put_int_ (self, (int64_t) value);
        return;
    }
    if (size >= 1e-4 && scaled < 1e15
        && (double) (int64_t) scaled / 1e9 == size) {
        if (value < 0)
            zb_put_char_ (self, '-');
        zb_put_seconds_ (self, (uint64_t) scaled);
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

//  Square nanoseconds as square seconds. Of a number that has more than 64 bits
//  19 digits are written, which read back as the same value.
static void
zb_put_squares_ (zb_text_ *self, double squares)
{
    uint64_t unit = 1000000000000000000u;
    size_t places = 18;
    zb_u128_ digits;
    if (squares >= 1e37) {
        zb_put_double_ (self, squares * 1e-18);
        return;
    }
    for (digits = (zb_u128_) squares; digits >> 64; digits /= 10) {
        unit /= 10;
        places--;
    }
    zb_put_uint_ (self, (uint64_t) digits / unit);
    zb_put_decimals_ (self, (uint64_t) digits % unit, places);
}

//  --------------------------------------------------------------------------
//  Histogram: base-2 exponential, scale 5, from nanoseconds without logarithm
//
//  The place of the highest bit is the octave. The duration is then shifted
//  left until bit 63 is set, and a table of 32 boundaries gives the bucket
//  within the octave. The boundaries are floor (2^63 * 2^((k + 1 - d) / 32))
//  for k = 0..31, with d = 957 - 32 log2 (10^9), because the wire's buckets are
//  of seconds.

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

//  Indexed by the six bits behind the highest: how many boundaries are below
//  all values that begin so. At most one more boundary has to be compared.
// clang-format off
static const uint8_t zb_boundaries_below_[64] = {
  0,  1,  1,  2,  3,  3,  4,  5,  5,  6,  6,  7,  8,  8,  9,  10,
  10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 16, 16, 17, 17, 18, 18,
  19, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 24, 25, 25,
  26, 26, 26, 27, 27, 28, 28, 28, 29, 29, 30, 30, 30, 31, 31, 31};
// clang-format on

//  Returns the bucket of a duration, counted from that of 1 ns (ZB_BUCKET_0_).
//  0 ns counts as 1 ns.
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
//  Timer: its thread
//
//  This is one thread's part of a timer. Only that thread writes it. The pump
//  reads it as one consistent set by a sequence lock: seq is odd while the
//  thread writes, and the pump reads again if seq was odd or has changed. All
//  stores are releases and all loads acquires, in place of fences: on x86 they
//  are plain moves.
//
//  MIN and MAX are since the last report, but the pump must not write here to
//  reset them. So it opens a new window: it stores a new number, and the thread
//  begins a new range when it sees that. The thread keeps three windows, since
//  the pump may read one while the thread still writes the one before.
//
//  A sample enters its bucket when the next sample comes. CPUs (AMD's at least)
//  do not read the time-stamp counter before the addresses of earlier stores
//  are known. A thread that starts its next timer at once would wait for the
//  bucket to be computed. The reader adds the last sample itself.
//
//  Buckets have 32 bits, and the sum has 64. Before one of them overflows, the
//  thread moves them to the series (zb_timer_spill_).

enum { ZB_WINDOWS_ = 3 };

//  A window's number, and in the low bits its place among the three. One word,
//  so that the thread needs no division to find the place.
enum { ZB_WINDOW_BITS_ = 2, ZB_WINDOW_FIRST_ = 1 << ZB_WINDOW_BITS_ };

typedef struct zb_timer_ {
    //  Written by the thread between two values of seq; read by the pump
    uint64_t seq;
    uint64_t count;
    uint64_t sum_ns;      //  since the last spill
    double sum_squares;   //  of nanoseconds
    uint64_t unbucketed;  //  samples that are in no bucket here: moved to the
                          //  series, or without memory for their page
    struct {
        uint64_t id;            //  which window it is
        uint64_t count_before;  //  samples before it
        uint64_t min_ns, max_ns;
    } window[ZB_WINDOWS_];
    uint64_t window_id;   //  pump (release): the window of new samples
    uint64_t count_read;  //  lock: count at the last reading
    //  Lock: the pump reads; the thread moves the buckets or makes a page. The
    //  thread adds to a bucket without it
    uint32_t *buckets;  //  pages of 32, in the order in which they were made
    uint16_t last;      //  bucket of the newest sample, plus 1; 0: it has grown
    uint8_t read_failed;  //  lock: the last reading failed
    //  Of an octave: 1 + place of its page; 0: none
    uint8_t page_at[ZB_PAGES_];
} zb_timer_;

//  Pairs with zb_set_: who reads a value also sees all that was written before
//  it.
static inline uint64_t
zb_get_ (const uint64_t *from)
{
    return __atomic_load_n (from, __ATOMIC_ACQUIRE);
}

static inline void
zb_set_ (uint64_t *to, uint64_t value)
{
    __atomic_store_n (to, value, __ATOMIC_RELEASE);
}

static inline double
zb_get_double_ (const double *from)
{
    double value;
    __atomic_load ((double *) from, &value, __ATOMIC_ACQUIRE);
    return value;
}

static inline void
zb_set_double_ (double *to, double value)
{
    __atomic_store (to, &value, __ATOMIC_RELEASE);
}

//  Returns 1 if the bucket has a page.
static inline int
zb_timer_has_ (const zb_timer_ *self, unsigned bucket)
{
    return self->page_at[bucket / ZB_PAGE_SIZE_] != 0;
}

//  The bucket must have a page.
static inline uint32_t *
zb_timer_place_ (const zb_timer_ *self, unsigned bucket)
{
    unsigned page = self->page_at[bucket / ZB_PAGE_SIZE_] - 1u;
    return self->buckets + page * ZB_PAGE_SIZE_ + bucket % ZB_PAGE_SIZE_;
}

//  Called by the owning thread. Returns 1 if a sample can be added without
//  overflow. The last sample is not yet in its bucket, so that bucket needs room
//  for two.
static inline int
zb_timer_has_room_ (const zb_timer_ *self, uint64_t ns)
{
    return (self->sum_ns + ns) >> 63 == 0
           && (!self->last
               || *zb_timer_place_ (self, self->last - 1u) < UINT32_MAX - 1);
}

//  Called by the owning thread. Adds the last sample to its bucket.
static inline void
zb_timer_bucket_last_ (zb_timer_ *self)
{
    uint32_t *place;
    if (!self->last)
        return;
    place = zb_timer_place_ (self, self->last - 1u);
    __atomic_store_n (place, *place + 1, __ATOMIC_RELEASE);
}

//  Called by the owning thread, when there is room. `last` is the sample's bucket
//  plus 1, or 0 if that has no page. No lock is needed: the pump reads again if
//  seq changed meanwhile.
static inline void
zb_timer_add_ (zb_timer_ *self, uint64_t ns, unsigned last)
{
    double square = (double) (int64_t) ns * (double) (int64_t) ns;
    uint64_t seq = self->seq, count = self->count, asked;
    unsigned at;

    __atomic_store_n (&self->seq, seq + 1, __ATOMIC_RELAXED);
    //  The compiler must not read the window before seq is odd: if the thread is
    //  preempted in between, the pump sees a sample on its way and waits. The
    //  processor may still do so; then the report takes the window before
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    asked = zb_get_ (&self->window_id);
    at = (unsigned) asked & ((1u << ZB_WINDOW_BITS_) - 1);
    zb_set_ (&self->count, count + 1);
    zb_set_ (&self->sum_ns, self->sum_ns + ns);
    zb_set_double_ (&self->sum_squares, self->sum_squares + square);
    if (self->window[at].id != asked) {
        zb_set_ (&self->window[at].id, asked);
        zb_set_ (&self->window[at].count_before, count);
        zb_set_ (&self->window[at].min_ns, ns);
        zb_set_ (&self->window[at].max_ns, ns);
    }
    else if (ns < self->window[at].min_ns)
        zb_set_ (&self->window[at].min_ns, ns);
    else if (ns > self->window[at].max_ns)
        zb_set_ (&self->window[at].max_ns, ns);
    zb_timer_bucket_last_ (self);
    __atomic_store_n (&self->last, (uint16_t) last, __ATOMIC_RELEASE);
    zb_set_ (&self->seq, seq + 2);
}

//  Called by the owning thread with the instance's lock held. Makes a page for
//  the bucket if it has none. Without memory it still has none, and the sample
//  is counted in `unbucketed`. The lock is needed because the pump may be
//  reading the pages that realloc moves.
static void
zb_timer_page_ (zb_timer_ *self, unsigned bucket)
{
    enum { PAGE = ZB_PAGE_SIZE_ * sizeof (uint32_t) };
    unsigned pages = 0, i;
    char *grown;
    if (zb_timer_has_ (self, bucket))
        return;
    for (i = 0; i < ZB_PAGES_; i++)
        pages += self->page_at[i] != 0;
    grown = (char *) realloc (self->buckets, (pages + 1) * (size_t) PAGE);
    if (!grown)
        return;
    memset (grown + pages * (size_t) PAGE, 0, PAGE);
    self->buckets = (uint32_t *) (void *) grown;
    self->page_at[bucket / ZB_PAGE_SIZE_] = (uint8_t) (pages + 1);
}

//  --------------------------------------------------------------------------
//  Timer: its readers
//
//  The pump holds the instance's lock. Buckets are not part of the consistent
//  set, because a thread that measures without pause would change them during
//  each try. They are read after it, so they may contain samples that came
//  since.
//
//  A sample between the opening of a window and the reading is in the ranges of
//  two reports, and in the count of one. A sample may also have read the old
//  window's number and be written after the reading. It is then in the old
//  window, which the next report takes into its range: the report sees more
//  samples since the last reading than its windows have.

//  MIN and MAX; min > max: there is none.
typedef struct {
    uint64_t min_ns, max_ns;
} zb_range_;

static const zb_range_ zb_range_none_ = {UINT64_MAX, 0};

//  The parts of a timer, added up: either all of them, for a report, or those
//  that threads have left to the series. Guard: the instance's lock.
typedef struct {
    uint64_t count;
    zb_u128_ sum_ns;
    double sum_squares;         //  of nanoseconds
    zb_range_ range;            //  of the timers that were added last
    uint64_t *page[ZB_PAGES_];  //  NULL: its buckets are 0
    uint64_t *pool;             //  of a report: room for all pages, so that it
                                //  needs no memory; else NULL
} zb_sum_;

//  The consistent set of one thread's timer.
typedef struct {
    uint64_t count, sum_ns, unbucketed;
    double sum_squares;
    zb_range_ range;
    unsigned last;
} zb_snapshot_;

static void
zb_sum_clear_ (zb_sum_ *self)
{
    uint64_t *pool = self->pool;
    memset (self, 0, sizeof *self);
    self->range = zb_range_none_;
    self->pool = pool;
}

//  Returns a page of buckets, cleared at first use, or NULL without memory: then
//  its samples are in no bucket.
static uint64_t *
zb_sum_page_ (zb_sum_ *self, unsigned i)
{
    enum { PAGE = ZB_PAGE_SIZE_ * sizeof (uint64_t) };
    if (!self->page[i])
        self->page[i] =
          self->pool
            ? (uint64_t *) memset (self->pool + i * ZB_PAGE_SIZE_, 0, PAGE)
            : (uint64_t *) calloc (1, PAGE);
    return self->page[i];
}

static void
zb_sum_bucket_ (zb_sum_ *self, unsigned bucket, uint64_t samples)
{
    uint64_t *page = zb_sum_page_ (self, bucket / ZB_PAGE_SIZE_);
    if (page)
        page[bucket % ZB_PAGE_SIZE_] += samples;
}

static void
zb_range_add_ (zb_range_ *self, zb_range_ other)
{
    if (other.min_ns < self->min_ns)
        self->min_ns = other.min_ns;
    if (other.max_ns > self->max_ns)
        self->max_ns = other.max_ns;
}

//  Returns the window that is `before` windows older than `asked`; a negative
//  number means a newer one.
static uint64_t
zb_window_ (uint64_t asked, int before)
{
    uint64_t place = asked & (ZB_WINDOW_FIRST_ - 1);
    uint64_t number = (asked >> ZB_WINDOW_BITS_) - (uint64_t) (int64_t) before;
    place = (place + ZB_WINDOWS_ - (uint64_t) (int64_t) before) % ZB_WINDOWS_;
    return number << ZB_WINDOW_BITS_ | place;
}

//  Called with the instance's lock held. Adds the range of one window, if its
//  thread has used that window. Returns the number of samples before the
//  window, or `before` if it was not used.
static uint64_t
zb_timer_range_ (const zb_timer_ *self, uint64_t asked, uint64_t before,
                 zb_snapshot_ *snapshot)
{
    unsigned at = (unsigned) asked & (ZB_WINDOW_FIRST_ - 1);
    zb_range_ range;
    if (asked < ZB_WINDOW_FIRST_ || zb_get_ (&self->window[at].id) != asked)
        return before;
    range.min_ns = zb_get_ (&self->window[at].min_ns);
    range.max_ns = zb_get_ (&self->window[at].max_ns);
    zb_range_add_ (&snapshot->range, range);
    return zb_get_ (&self->window[at].count_before);
}

//  Called with the instance's lock held. Tries once to read a consistent
//  snapshot. Returns -1 if the thread wrote meanwhile. Takes the range of this
//  window and of the next one, which the thread may have begun already. The
//  window before is taken if some samples since the last reading are in
//  neither.
static int
zb_timer_try_ (const zb_timer_ *self, uint64_t window, zb_snapshot_ *snapshot)
{
    uint64_t seq = zb_get_ (&self->seq), before;
    snapshot->count = before = zb_get_ (&self->count);
    snapshot->sum_ns = zb_get_ (&self->sum_ns);
    snapshot->sum_squares = zb_get_double_ (&self->sum_squares);
    snapshot->last = __atomic_load_n (&self->last, __ATOMIC_ACQUIRE);
    snapshot->unbucketed = zb_get_ (&self->unbucketed);
    snapshot->range = zb_range_none_;
    before = zb_timer_range_ (self, zb_window_ (window, -1), before, snapshot);
    before = zb_timer_range_ (self, window, before, snapshot);
    if (before > self->count_read)
        zb_timer_range_ (self, zb_window_ (window, 1), before, snapshot);
    return (seq & 1) == 0 && zb_get_ (&self->seq) == seq ? 0 : -1;
}

//  Called with the instance's lock held. Opens a new window and reads all
//  samples up to now. Returns -1 if the thread was writing at each try; then
//  the next round reads the same window again. It yields now and then, because
//  on one processor the writing thread may be waiting for ours.
static int
zb_timer_read_ (zb_timer_ *self, zb_snapshot_ *snapshot)
{
    int tries;
    if (!self->read_failed)
        zb_set_ (&self->window_id, zb_window_ (self->window_id, -1));
    self->read_failed = 0;
    for (tries = 0;
         zb_timer_try_ (self, zb_window_ (self->window_id, 1), snapshot) == -1;
         tries++) {
        if (tries == 200) {
            self->read_failed = 1;
            return -1;
        }
        if (tries % 16 == 15)
            sched_yield ();
    }
    __atomic_store_n (&self->count_read, snapshot->count, __ATOMIC_RELAXED);
    return 0;
}

//  Called with the instance's lock held. Adds a timer's buckets. The last
//  sample is not in its bucket before the next one comes: if the buckets miss a
//  sample, it is that one.
static void
zb_sum_buckets_ (zb_sum_ *self, const zb_timer_ *timer,
                 const zb_snapshot_ *snapshot)
{
    uint64_t samples = snapshot->unbucketed;
    unsigned i, j;
    for (i = 0; i < ZB_PAGES_; i++) {
        const uint32_t *from;
        uint64_t *page;
        if (!timer->page_at[i])
            continue;
        from = zb_timer_place_ (timer, i * ZB_PAGE_SIZE_);
        page = zb_sum_page_ (self, i);
        for (j = 0; page && j < ZB_PAGE_SIZE_; j++) {
            uint32_t count = __atomic_load_n (from + j, __ATOMIC_ACQUIRE);
            page[j] += count;
            samples += count;
        }
    }
    if (samples < snapshot->count && snapshot->last)
        zb_sum_bucket_ (self, snapshot->last - 1, 1);
}

//  Called with the instance's lock held. Adds one thread's timer to the sum.
//  Returns -1 if it could not be read as a consistent snapshot.
static int
zb_sum_timer_ (zb_sum_ *self, zb_timer_ *timer)
{
    zb_snapshot_ snapshot;
    if (zb_timer_read_ (timer, &snapshot) == -1)
        return -1;
    self->count += snapshot.count;
    self->sum_ns += snapshot.sum_ns;
    self->sum_squares += snapshot.sum_squares;
    zb_range_add_ (&self->range, snapshot.range);
    zb_sum_buckets_ (self, timer, &snapshot);
    return 0;
}

//  --------------------------------------------------------------------------
//  Timer: its series
//
//  A series keeps the sums of threads that have ended, and what timers have
//  moved to it.

//  Called with the instance's lock held.
static void
zb_sum_add_ (zb_sum_ *self, const zb_sum_ *other)
{
    unsigned i, j;
    self->count += other->count;
    self->sum_ns += other->sum_ns;
    self->sum_squares += other->sum_squares;
    for (i = 0; i < ZB_PAGES_; i++) {
        const uint64_t *from = other->page[i];
        uint64_t *page = from ? zb_sum_page_ (self, i) : NULL;
        for (j = 0; page && j < ZB_PAGE_SIZE_; j++)
            page[j] += from[j];
    }
}

//  Moves the sum and the buckets to the series. The last sample stays, because
//  it is not yet in its bucket. Called by the owning thread with the instance's
//  lock held.
static void
zb_timer_spill_ (zb_timer_ *self, zb_sum_ *retired)
{
    unsigned bucket;
    retired->sum_ns += self->sum_ns;
    self->sum_ns = 0;
    for (bucket = 0; bucket < ZB_PAGES_ * ZB_PAGE_SIZE_; bucket++)
        if (zb_timer_has_ (self, bucket)) {
            uint32_t *place = zb_timer_place_ (self, bucket);
            if (*place)
                zb_sum_bucket_ (retired, bucket, *place);
            self->unbucketed += *place;
            *place = 0;
        }
}

//  Called by the owning thread with the instance's lock held. Adds a sample and
//  what it needs: a page for its bucket, a sum and buckets that are not full.
static void
zb_timer_add_slow_ (zb_timer_ *self, zb_sum_ *retired, uint64_t ns)
{
    unsigned bucket = zb_bucket_ (ns);
    zb_timer_page_ (self, bucket);
    if (!zb_timer_has_room_ (self, ns))
        zb_timer_spill_ (self, retired);
    if (zb_timer_has_ (self, bucket))
        zb_timer_add_ (self, ns, bucket + 1);
    else {
        self->unbucketed++;
        zb_timer_add_ (self, ns, 0);
    }
}

//  --------------------------------------------------------------------------
//  Memory: arenas, and the one hash table
//
//  An arena gives memory that is freed all at once: for an instance's series,
//  or a thread's slots. These are small, and malloc's overhead would be as
//  large.

typedef struct zb_block_ {
    struct zb_block_ *next;
    size_t used, size;
} zb_block_;

enum { ZB_BLOCK_MIN_ = 1024, ZB_BLOCK_MAX_ = 16384 };

//  Returns `size` bytes, cleared, aligned to 8; or to more, up to a line of the
//  cache, where all that take from it take multiples of that. The arena owns them.
//  Returns NULL without memory.
static void *
zb_arena_take_ (zb_block_ **self, size_t size)
{
    zb_block_ *block = *self;
    void *memory = NULL;
    size = (size + 7) / 8 * 8;
    if (!block || block->used + size > block->size) {
        size_t wanted = block ? block->size * 2 : (size_t) ZB_BLOCK_MIN_;
        if (wanted > ZB_BLOCK_MAX_)
            wanted = ZB_BLOCK_MAX_;
        if (wanted < size + 64)
            wanted = size + 64;
        if (posix_memalign (&memory, 64, wanted) != 0)
            return NULL;
        block = (zb_block_ *) memory;
        block->next = *self;
        block->used = 64;  //  sizes of 64 stay aligned
        block->size = wanted;
        *self = block;
    }
    block->used += size;
    return memset ((char *) block + block->used - size, 0, size);
}

static void
zb_arena_free_ (zb_block_ **self)
{
    zb_block_ *block;
    while ((block = *self)) {
        *self = block->next;
        free (block);
    }
}

//  A hash table with open addressing. At least a quarter of its places is free,
//  so each search ends at a free one.
typedef struct {
    uint64_t hash;
    void *item;
} zb_place_;

typedef struct {
    zb_place_ *place;
    size_t size, used;  //  size: 0, or a power of two
} zb_map_;

//  Returns the next item with that hash, or NULL if there is none. *at is the
//  hash at first. The caller checks whether it is the right item, since
//  different labels may have one hash.
static inline void *
zb_map_next_ (const zb_map_ *self, uint64_t hash, uint64_t *at)
{
    const zb_place_ *place;
    if (!self->size)
        return NULL;
    do
        place = &self->place[(*at)++ & (self->size - 1)];
    while (place->item && place->hash != hash);
    return place->item;
}

//  The map must have a free place.
static void
zb_map_put_ (zb_map_ *self, uint64_t hash, void *item)
{
    uint64_t at = hash;
    zb_place_ *place;
    do
        place = &self->place[at++ & (self->size - 1)];
    while (place->item);
    place->hash = hash;
    place->item = item;
    self->used++;
}

//  Returns -1 without memory; then the map is unchanged.
static int
zb_map_add_ (zb_map_ *self, uint64_t hash, void *item)
{
    if ((self->used + 1) * 4 > self->size * 3) {
        zb_map_ grown = {NULL, self->size ? self->size * 2 : 32, 0};
        size_t i;
        grown.place = (zb_place_ *) calloc (grown.size, sizeof *grown.place);
        if (!grown.place)
            return -1;
        for (i = 0; i < self->size; i++)
            if (self->place[i].item)
                zb_map_put_ (&grown, self->place[i].hash, self->place[i].item);
        free (self->place);
        *self = grown;
    }
    zb_map_put_ (self, hash, item);
    return 0;
}

//  Forgets the items, and keeps the places.
static void
zb_map_clear_ (zb_map_ *self)
{
    size_t i;
    for (i = 0; i < self->size; i++)
        self->place[i].item = NULL;
    self->used = 0;
}

static void
zb_map_free_ (zb_map_ *self)
{
    free (self->place);
    self->place = NULL;
    self->size = self->used = 0;
}

//  --------------------------------------------------------------------------
//  Labels: level, type, name, source and tags of a series
//
//  A label names a series; it is checked, hashed and compared.

//  Returns 1 for 1 to 255 bytes without '|' and control characters.
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

//  Chosen at random, once (zb_once_init_): without the seed nobody can make
//  names that all have one hash, and slow the table down. Atomic, relaxed.
static uint64_t zb_seed_;

//  A thread may hash its first label before the seed is chosen. It is hashed
//  again later (zb_lookup_slow_), so relaxed is enough.
static inline uint64_t
zb_seed_get_ (void)
{
    return __atomic_load_n (&zb_seed_, __ATOMIC_RELAXED);
}

//  Multiplies to 128 bits and folds both halves. The hash, and by it the seed, is
//  one factor: with a constant factor, names that collide under one seed would
//  often collide under others. The other factor is never 0, since no label
//  contains 0x15.
static inline uint64_t
zb_mix_ (uint64_t hash, uint64_t word)
{
    zb_u128_ product = (zb_u128_) (word ^ 0x9e3779b97f4a7c15u) * hash;
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

//  Returns up to eight bytes as a word: two halves that may overlap, or three
//  bytes that may be the same. Without a loop or a call, since most names and
//  sources are short.
static inline uint64_t
zb_word_ (const char *text, size_t size)
{
    uint32_t low, high;
    if (size >= 4) {
        memcpy (&low, text, 4);
        memcpy (&high, text + size - 4, 4);
        return low | (uint64_t) high << 32;
    }
    if (size == 0)
        return 0;
    return (uint64_t) (unsigned char) text[0]
           | (uint64_t) (unsigned char) text[size / 2] << 8
           | (uint64_t) (unsigned char) text[size - 1] << 16;
}

//  Two words to a multiplication: the second one goes to the other factor.
static inline uint64_t
zb_hash_ (uint64_t hash, const char *text, size_t size)
{
    hash ^= size;
    for (; size > 16; text += 16, size -= 16)
        hash = zb_mix_ (hash ^ zb_word_ (text + 8, 8), zb_word_ (text, 8));
    if (size > 8)  //  both may have bytes in common
        return zb_mix_ (hash ^ zb_word_ (text + size - 8, 8),
                        zb_word_ (text, 8));
    return zb_mix_ (hash, zb_word_ (text, size));
}

//  Returns 1 if both have the same bytes. Of size 0 they may be NULL.
static inline int
zb_same_ (const char *a, const char *b, size_t size)
{
    for (; size > 8; a += 8, b += 8, size -= 8)
        if (zb_word_ (a, 8) != zb_word_ (b, 8))
            return 0;
    return zb_word_ (a, size) == zb_word_ (b, size);
}

//  A label to look for; it points to the caller's strings. Sizes count the
//  terminating zero. A source of NULL means the instance's, and has size 0; tags
//  of NULL mean none. The head is level, type and name, the tail source and tags.
typedef struct {
    zb_type_t type;
    const char *level, *name, *source, *tags;
    size_t level_size, name_size, source_size, tags_size;
    uint64_t head_hash, tail_hash;
} zb_label_;

static inline uint64_t
zb_label_hash_ (const zb_label_ *self)
{
    return self->head_hash + self->tail_hash;
}

//  What is NULL has size 0 and hash 0.
static inline void
zb_label_set_tail_ (zb_label_ *self, const char *source, const char *tags)
{
    self->source = source;
    self->tags = tags;
    self->source_size = source ? strlen (source) + 1 : 0;
    self->tags_size = tags ? strlen (tags) + 1 : 0;
    self->tail_hash = 0;
    if (source)
        self->tail_hash = zb_hash_ (zb_seed_get_ (), source, self->source_size);
    if (tags)
        self->tail_hash += zb_hash_ (~zb_seed_get_ (), tags, self->tags_size);
}

static zb_label_
zb_label_make_ (zb_type_t type, const char *level, const char *name,
                const char *source, const char *tags)
{
    zb_label_ self;
    self.type = type;
    self.level = level ? level : "";
    self.name = name ? name : "";
    self.level_size = strlen (self.level) + 1;
    self.name_size = strlen (self.name) + 1;
    self.head_hash =
      zb_hash_ (zb_hash_ (zb_seed_get_ () + type, self.level, self.level_size),
                self.name, self.name_size);
    zb_label_set_tail_ (&self, source, tags);
    return self;
}

//  --------------------------------------------------------------------------
//  Tags: a name with them, as lines have it
//
//  A program gives tags in any order. Here each is put where it belongs by its
//  key, so that a name has one spelling.

static int
zb_is_letter_ (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

//  Returns the bytes of the tag that a list begins with, or 0 if that is none.
static size_t
zb_tag_size_ (const char *list)
{
    const char *c = list, *value;
    if (zb_is_letter_ (*c))
        while (zb_is_letter_ (*c) || (*c >= '0' && *c <= '9') || *c == '.'
               || *c == '-')
            c++;
    if (c == list || *c++ != '=')
        return 0;
    for (value = c; *c && *c != ';'; c++)
        if (*c == '|' || (unsigned char) *c < 0x20 || *c == 0x7f)
            return 0;
    return c > value ? (size_t) (c - list) : 0;
}

//  Compares the keys of two tags, by their bytes. A '=' ends each.
static int
zb_key_compare_ (const char *a, const char *b)
{
    while (*a == *b && *a != '=') {
        a++;
        b++;
    }
    return *a == *b ? 0 : *a == '=' || (*b != '=' && *a < *b) ? -1 : 1;
}

//  Puts a tag where it belongs, behind the name, which ends at `at`. Returns 1
//  if there is one of this key, -1 if there is no room.
static int
zb_tag_put_ (zb_text_ *self, size_t at, const char *tag, size_t size)
{
    int order = 1;
    while (at < self->size
           && (order = zb_key_compare_ (self->text + at + 1, tag)) < 0)
        at += 1 + strcspn (self->text + at + 1, ";");
    if (at < self->size && order == 0)
        return 1;
    if (size >= self->capacity - self->size)
        return -1;
    memmove (self->text + at + size + 1, self->text + at, self->size - at);
    self->text[at] = ';';
    memcpy (self->text + at + 1, tag, size);
    self->size += size + 1;
    self->text[self->size] = 0;
    return 0;
}

//  What becomes of a tag whose key is there already.
typedef enum { ZB_TWICE_REFUSED_, ZB_TWICE_LEFT_OUT_ } zb_twice_;

//  Puts the tags of a list behind the name of that size. The text has room for
//  one byte more than its capacity. Returns -1 if they are none, or too long.
static int
zb_tags_put_ (zb_text_ *self, size_t name_size, const char *list,
              zb_twice_ twice)
{
    size_t size;
    int rc;
    do {
        size = zb_tag_size_ (list);
        rc = size ? zb_tag_put_ (self, name_size, list, size) : -1;
        if (rc == -1 || (rc == 1 && twice == ZB_TWICE_REFUSED_))
            return -1;
        list += size + 1;
    } while (list[-1]);
    return 0;
}

//  --------------------------------------------------------------------------
//  Keys: certificates of CURVE
//
//  Certificates are files in czmq's format (zcert(3), in ZPL:
//  rfc.zeromq.org/spec/4). Memory that held a secret key is cleared, by a
//  function that the compiler does not leave out.

//  Returns 1 for a key of CURVE: 40 characters of Z85.
static int
zb_key_ok_ (const char *key)
{
    uint8_t bytes[32];
    int rc = strlen (key) == ZB_KEY_SIZE_ - 1 && zmq_z85_decode (bytes, key);
    explicit_bzero (bytes, sizeof bytes);
    return rc;
}

//  Takes the key of a line `name = "key"`. Any other line leaves the key as it
//  is.
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
    explicit_bzero (text, sizeof text);
}

//  Reads the keys in section "curve". A key that is not in the file is left as
//  it is. Returns -1, errno set, if the file cannot be opened.
static int
zb_curve_file_ (const char *path, char *public_key, char *secret_key)
{
    char line[512];
    int ours = 0;
    FILE *file = fopen (path, "re");
    if (!file)
        return -1;
    //  stdio's buffer would keep the secret after it is freed
    setvbuf (file, NULL, _IONBF, 0);
    while (fgets (line, sizeof line, file)) {
        //  a line that is not indented, a comment or blank begins a section
        if (!strchr (" \t#\r\n", *line))
            ours = strncmp (line, "curve", 5) == 0;
        if (ours) {
            zb_key_take_ (line, "public-key", public_key);
            zb_key_take_ (line, "secret-key", secret_key);
        }
    }
    fclose (file);
    explicit_bzero (line, sizeof line);
    return 0;
}

//  Reads a key pair from a file. czmq puts the secret key into a second file,
//  whose name ends in "_secret"; that one is read if the first has no secret
//  key. *secret_key is "" if neither has one. Returns 0, or -1: errno of fopen,
//  or EINVAL for an invalid certificate.
static int
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
//  Link: one connection to a broker
//
//  We reconnect broken connections ourselves, for two reasons. ZeroMQ calls
//  rand () for that, and so changes the host's random numbers. And it never
//  tries again after a failed handshake (libzmq 4.3,
//  session_base_t::engine_error). We do it for tcp and ipc, the managed links.
//  ZeroMQ does it for other transports, and we do not know whether those are
//  connected.

enum {
    ZB_LINK_FIRST_MS_ = 100,         //  before the next try; doubles
    ZB_LINK_RETRY_MS_ = 2000,        //  up to this
    ZB_LINK_LIMIT_MS_ = 5000,        //  for TCP's part of a try
    ZB_LINK_HANDSHAKE_MS_ = 40000,   //  for all of it; ZeroMQ gives it 30 s
    ZB_LINK_SILENCE_MS_ = 2000,      //  of a try that nothing is heard of;
    ZB_LINK_SILENCE_MAX_MS_ = 16000  //  doubles up to this
};

typedef enum {
    ZB_LINK_WAITING_,  //  to be made anew when it is due
    ZB_LINK_TRYING_,   //  made, but nothing has come of it; given up when due
    ZB_LINK_UP_        //  the handshake is done
} zb_link_state_;

//  Guard: pump thread only, as for the rest of this section and the next.
typedef struct {
    char *endpoint;  //  as it was given
    char name[128];  //  what ZeroMQ calls it, after it has looked it up
    int managed;     //  by us
    zb_link_state_ state;
    int open;      //  ZeroMQ has it still
    int was_up;    //  once at least
    int answered;  //  this try: somebody is there
    int refused;   //  the last try: nobody is there, as the network says
    int64_t tried_ms, due_ms;
    int delay_ms, silence_ms;
} zb_link_;

//  Checks what ZeroMQ would not: it takes any number for a port, and would try
//  to connect to it for ever.
static int
zb_endpoint_ok_ (const char *endpoint, size_t size)
{
    char text[512], *address, *colon, *end;
    long port;
    if (size >= sizeof text)
        return 0;
    memcpy (text, endpoint, size);
    text[size] = 0;
    for (end = text; end < text + size; end++)
        if ((unsigned char) *end <= ' ')
            return 0;
    address = strstr (text, "://");
    if (!address || address == text || !address[3])
        return 0;
    *address = 0;  //  the text before it is the transport
    address += 3;
    if (strcmp (text, "tcp") != 0)
        return strcmp (text, "inproc") == 0 || strcmp (text, "ipc") == 0
               || zmq_has (text);
    colon = strrchr (address, ':');
    if (!colon || colon == address)
        return 0;
    port = strtol (colon + 1, &end, 10);
    return end != colon + 1 && *end == 0 && port >= 1 && port <= 65535;
}

static void
zb_socket_set_ (void *socket, int option, int value)
{
    zmq_setsockopt (socket, option, &value, sizeof value);
}

//  Pump thread only. ZeroMQ's own reconnection is switched off for managed
//  links. It reads the interval when a connection is made.
static int
zb_link_connect_ (zb_link_ *self, void *socket, int64_t now_ms)
{
    self->state = ZB_LINK_TRYING_;
    self->open = 1;
    self->answered = self->refused = 0;
    self->tried_ms = now_ms;
    self->due_ms = self->managed ? now_ms + self->silence_ms : INT64_MAX;
    zb_socket_set_ (socket, ZMQ_RECONNECT_IVL,
                    self->managed ? -1 : ZB_LINK_FIRST_MS_);
    return zmq_connect (socket, self->endpoint);
}

//  Pump thread only.
static void
zb_link_disconnect_ (zb_link_ *self, void *socket)
{
    if (self->open)
        zmq_disconnect (socket, self->endpoint);
    self->open = 0;
}

//  Pump thread only. The connection broke, or a try failed. The next try is due
//  after a delay that doubles each time. A random part of it keeps many
//  programs from connecting at one moment.
static void
zb_link_lost_ (zb_link_ *self, int64_t now_ms)
{
    self->state = ZB_LINK_WAITING_;
    self->due_ms = now_ms + self->delay_ms
                   - (int64_t) (zb_random_ () % (unsigned) self->delay_ms) / 2;
    self->delay_ms *= 2;
    if (self->delay_ms > ZB_LINK_RETRY_MS_)
        self->delay_ms = ZB_LINK_RETRY_MS_;
}

//  Pump thread only. Applies an event of ZeroMQ's monitor to a link. The end of
//  a try may be reported twice, so a waiting link ignores events. CLOSED as the
//  first event means that the network refused the connection, unless it comes
//  so late that ZeroMQ gave up waiting.
static void
zb_link_apply_ (zb_link_ *self, int event, int64_t now_ms)
{
    if (!self->managed || self->state == ZB_LINK_WAITING_)
        return;
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            self->state = ZB_LINK_UP_;
            self->was_up = 1;
            self->due_ms = INT64_MAX;
            self->delay_ms = ZB_LINK_FIRST_MS_;
            self->silence_ms = ZB_LINK_SILENCE_MS_;
            break;
        case ZMQ_EVENT_CONNECTED:
        case ZMQ_EVENT_CONNECT_DELAYED:
            self->answered |= event == ZMQ_EVENT_CONNECTED;
            if (self->state == ZB_LINK_TRYING_)
                self->due_ms = now_ms + ZB_LINK_HANDSHAKE_MS_;
            break;
        case ZMQ_EVENT_CONNECT_RETRIED:
            break;
        default:
            self->refused = event == ZMQ_EVENT_CLOSED && !self->answered
                            && now_ms - self->tried_ms < ZB_LINK_LIMIT_MS_;
            zb_link_lost_ (self, now_ms);
    }
}

//  --------------------------------------------------------------------------
//  Links: all of an instance, one a broker, and their monitor
//
//  The pump learns from ZeroMQ's monitor what becomes of each link, and
//  reconnects those that are lost.

typedef struct {
    void *socket, *monitor;
    zb_link_ *link;
    size_t size;
} zb_links_;

//  Pump thread only. The socket stays open. The monitor must be stopped first:
//  ZeroMQ's I/O thread would wait for ever to write to a closed one.
static void
zb_links_close_ (zb_links_ *self)
{
    if (self->monitor) {
        zmq_socket_monitor (self->socket, NULL, 0);
        zmq_close (self->monitor);
    }
    while (self->size)
        free (self->link[--self->size].endpoint);
    free (self->link);
    memset (self, 0, sizeof *self);
}

//  Pump thread only. Opens the monitor. This comes before the first connection,
//  or its events would be lost. The name must be unique in the context, which
//  may be the host's.
static int
zb_links_watch_ (zb_links_ *self, void *context)
{
    static unsigned number;
    const int events =
      ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_DELAYED
      | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED
      | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    char name[64];
    snprintf (name, sizeof name, "inproc://zibrato-monitor-%p-%u",
              (void *) self, __atomic_add_fetch (&number, 1, __ATOMIC_RELAXED));
    self->monitor = zmq_socket (context, ZMQ_PAIR);
    if (!self->monitor)
        return -1;
    zb_socket_set_ (self->monitor, ZMQ_LINGER, 0);
    if (zmq_socket_monitor (self->socket, name, events) == -1)
        return -1;
    return zmq_connect (self->monitor, name);
}

//  Pump thread only. Adds a link and connects it. An endpoint that is already
//  there is not added again.
static int
zb_links_add_ (zb_links_ *self, const char *endpoint, size_t size)
{
    zb_link_ *link, *end = self->link + self->size;
    for (link = self->link; link < end; link++)
        if (strlen (link->endpoint) == size
            && memcmp (link->endpoint, endpoint, size) == 0)
            return 0;
    link->endpoint = (char *) calloc (1, size + 1);
    if (!link->endpoint)
        return -1;
    memcpy (link->endpoint, endpoint, size);
    link->managed = strncmp (endpoint, "tcp://", 6) == 0
                    || strncmp (endpoint, "ipc://", 6) == 0;
    link->delay_ms = ZB_LINK_FIRST_MS_;
    link->silence_ms = ZB_LINK_SILENCE_MS_;
    self->size++;
    return zb_link_connect_ (link, self->socket, zb_clock_ms_ ());
}

//  Pump thread only. Connects the socket to endpoints, separated by commas.
//  Returns -1, errno set; then links and socket are the caller's to close.
static int
zb_links_open_ (zb_links_ *self, void *context, void *socket,
                const char *endpoints)
{
    const char *at = endpoints;
    size_t max = 1;
    int rc;
    self->socket = socket;
    for (; *at; at++)
        max += *at == ',';
    self->link = (zb_link_ *) calloc (max, sizeof *self->link);
    rc = self->link ? zb_links_watch_ (self, context) : -1;
    for (at = endpoints; at && rc == 0;) {
        size_t size = strcspn (at, ",");
        rc = zb_links_add_ (self, at, size);
        at = at[size] ? at + size + 1 : NULL;
    }
    return rc;
}

//  --------------------------------------------------------------------------
//  Links: their news, and their next tries
//
//  The monitor says what becomes of each link. Those that are lost are made anew.

//  Pump thread only. Returns the link that an event belongs to. Events of the
//  first try carry the endpoint as it was given; later ones carry the resolved
//  address, which is not known before. An unknown address belongs to the broken
//  link that was tried last.
static zb_link_ *
zb_links_find_ (zb_links_ *self, const char *name)
{
    zb_link_ *link, *broken = self->link;
    for (link = self->link; link < self->link + self->size; link++) {
        if (strcmp (link->endpoint, name) == 0
            || strcmp (link->name, name) == 0)
            return link;
        if (link->state != ZB_LINK_UP_
            && (broken->state == ZB_LINK_UP_
                || link->tried_ms > broken->tried_ms))
            broken = link;
    }
    snprintf (broken->name, sizeof broken->name, "%s", name);
    return broken;
}

//  Pump thread only. Applies the next event of the monitor. Returns the event,
//  one of ZMQ_EVENT_..., or 0 if there is none.
static int
zb_links_read_ (zb_links_ *self, int64_t now_ms)
{
    unsigned char bytes[6] = {0};
    char name[128] = "";  //  a longer one is cut
    uint16_t event;
    if (zmq_recv (self->monitor, bytes, sizeof bytes, ZMQ_DONTWAIT) == -1)
        return 0;
    zmq_recv (self->monitor, name, sizeof name - 1, ZMQ_DONTWAIT);
    memcpy (&event, bytes, sizeof event);
    zb_link_apply_ (zb_links_find_ (self, name), event, now_ms);
    return event;
}

//  How many links are in which state.
typedef struct {
    size_t up;       //  connected
    size_t unknown;  //  not managed: ZeroMQ alone knows
    size_t refused;  //  no broker there, and there never was one
} zb_links_count_;

static zb_links_count_
zb_links_counts_ (const zb_links_ *self)
{
    zb_links_count_ counts = {0, 0, 0};
    const zb_link_ *link;
    for (link = self->link; link < self->link + self->size; link++) {
        counts.up += link->state == ZB_LINK_UP_;
        counts.unknown += !link->managed;
        counts.refused +=
          link->state != ZB_LINK_UP_ && link->refused && !link->was_up;
    }
    return counts;
}

//  Pump thread only. Returns when zb_links_reconnect_ has something to do.
static int64_t
zb_links_due_ (const zb_links_ *self)
{
    const zb_link_ *link;
    int64_t due_ms = INT64_MAX;
    for (link = self->link; link < self->link + self->size; link++)
        if (link->due_ms < due_ms)
            due_ms = link->due_ms;
    return due_ms;
}

//  Pump thread only. Connects the links that are due. ZeroMQ identifies a
//  connection by the address of an object, which it may reuse after freeing it.
//  So all broken connections are closed before a new one is made.
static void
zb_links_reconnect_ (zb_links_ *self, int64_t now_ms)
{
    zb_link_ *link, *end = self->link + self->size;
    if (zb_links_due_ (self) > now_ms)
        return;
    //  ZeroMQ has no event for a name that was not found, so tries time out
    for (link = self->link; link < end; link++)
        if (link->state == ZB_LINK_TRYING_ && link->due_ms <= now_ms) {
            link->silence_ms *= 2;
            if (link->silence_ms > ZB_LINK_SILENCE_MAX_MS_)
                link->silence_ms = ZB_LINK_SILENCE_MAX_MS_;
            zb_link_lost_ (link, now_ms);
        }
    for (link = self->link; link < end; link++)
        if (link->state == ZB_LINK_WAITING_)
            zb_link_disconnect_ (link, self->socket);
    for (link = self->link; link < end; link++)
        if (link->state == ZB_LINK_WAITING_ && link->due_ms <= now_ms
            && zb_link_connect_ (link, self->socket, now_ms) == -1)
            zb_link_lost_ (link, now_ms);
}

//  Pump thread only. Makes all waiting links due now.
static void
zb_links_retry_now_ (zb_links_ *self, int64_t now_ms)
{
    size_t i;
    for (i = 0; i < self->size; i++)
        if (self->link[i].state == ZB_LINK_WAITING_) {
            self->link[i].due_ms = now_ms;
            self->link[i].refused = 0;
        }
}

//  --------------------------------------------------------------------------
//  Structures: who owns what, and which lock guards it
//
//      instance ── levels ── series ──┐
//         └─────────────── shares ── slots: one series in one thread
//      thread ─────────────┘  └── ring of readings
//
//  The instance owns levels and series. A thread owns its shares, with their
//  slots and rings. A thread that exits folds its slots into their series. An
//  instance that closes only marks the shares dead; the owning thread frees
//  them. So no thread can write to a slot that another has freed.
//
//  The line above a group of members is their guard. "Lock" is the instance's.
//  "Constant" members do not change once another thread can see the structure.

//  One gauge reading, or one timing in classic mode.
typedef struct {
    struct zb_series_ *series;
    double value;
    uint64_t time;  //  in a ring see zb_unix_ms_, in a queue Unix milliseconds
} zb_reading_;

//  A part of a ring with one producer, the thread, and one consumer, the pump.
//  The ring starts small. When a part is full, the thread goes on in a new one
//  of twice the size. The pump frees a part that it has read and that has a
//  next.
typedef struct zb_ring_ {
    //  The thread
    uint64_t head;          //  next to write (release: the reading before it)
    uint64_t tail_seen;     //  tail, when the thread last looked
    struct zb_ring_ *next;  //  set once (release: the new part)
    //  Constant
    uint64_t size;  //  a power of two
    //  The pump, with the lock held. On a line of the cache of its own, so that
    //  the thread does not wait for that line when the pump writes
    uint64_t tail __attribute__ ((aligned (64)));  //  next to read (release)
    //  The readings stand behind the structure
} zb_ring_;

//  A thread's part of an instance.
typedef struct zb_share_ {
    //  Atomic: the thread sets it after each change (release). The pump clears
    //  it before it looks (acquire), and so sees the change. It is the first
    //  member, because a slot points to it
    uint32_t changed;
    //  zb_lock_
    uint32_t dead;              //  the instance is closed
    struct zb_share_ *sibling;  //  next share of the same thread
    //  Constant
    zb_t *owner;
    //  Lock: the thread adds slots, the pump walks over them
    zb_slot_ *slots;                    //  by sibling,
    size_t slots_size;                  //  and how many
    zb_ring_ *ring_first;               //  the part that the pump reads
    struct zb_share_ *next, *previous;  //  of the same instance
    //  The thread
    zb_block_ *arena;  //  memory of slots and timers
    zb_ring_ *ring;    //  the part that the thread writes
    int writing;       //  1 while it writes, for its signal handlers
    //  Atomic: thread and pump
    int pump_woken;    //  1 until the pump has read the ring
    uint64_t dropped;  //  readings that found the ring full
} zb_share_;

//  What was last reported of a series. Guard: lock.
typedef struct {
    int64_t at_ms;           //  zb_clock_ms_ of the last report
    uint32_t listen_epoch;   //  of the level at that time
    unsigned char known;     //  1: was reported
    unsigned char repeated;  //  the last report was a repetition: see ZB_AGAIN_
    zb_u128_ sum_ns;         //  timer
    double total;            //  counter
    uint64_t count;          //  timer
    uint64_t first, seq;     //  SEQ of the first report, and of the last
} zb_reported_;

//  What kind of a repetition.
enum {
    ZB_AGAIN_ = 1,  //  while the instance goes on
    ZB_AGAIN_LAST_  //  the last one, at its end
};

//  Why a series may be reported although it has not changed.
enum {
    ZB_PENDING_ZERO_ = 1,  //  it is new: its total of 0 is reported, too
    ZB_PENDING_INHERITED_  //  the child of a fork has to repeat it
};

//  A series of an instance. Guard: lock. The members that tell whether it is due
//  come first, up to reported.repeated, and fill one line of the cache, to which
//  a series is aligned: each round looks at all of them.
typedef struct zb_series_ {
    zb_type_t type;         //  constant
    uint8_t maybe_changed;  //  0: no thread has changed it since its report
    uint8_t pending;        //  ZB_PENDING_ZERO_, ZB_PENDING_INHERITED_, or 0
    uint16_t name_at, head_size, source_size;  //  constant, of the text behind
                                               //  the structure
    zb_slot_ *slots;   //  by next: one in each thread that measures it
    zb_sum_ *retired;  //  timer: from threads that have ended; never NULL
    double total;      //  counter: from threads that have ended
    zb_reported_ reported;
    struct zb_level_ *level;  //  constant
    zb_range_ range;          //  timer: not reported yet
} zb_series_;

typedef struct {
    zb_reading_ reading;
    int64_t sent_ms;  //  zb_clock_ms_, if it was sent
} zb_queued_;

//  Readings in their order, the oldest first: a ring that grows. Those that were
//  sent stay for a while, since they may be lost. Guard: lock.
typedef struct {
    zb_queued_ *item;
    size_t at, size,
      max;             //  the oldest, and how many; max: 0 or a power of two
    size_t sent;       //  how many of them, the oldest, were sent
    size_t to_resend;  //  how many of those, the newest, must be sent again
} zb_queue_;

//  A level of an instance. Guard: lock. New levels go to the head of the list,
//  and none is removed.
typedef struct zb_level_ {
    struct zb_level_ *next;         //  constant
    char name[ZB_LABEL_MAX_ + 1];   //  constant: "info"
    char topic[ZB_LABEL_MAX_ + 2];  //  constant: "info|"
    int has_listener;
    uint32_t listen_epoch;  //  grows each time it gets a listener
    int inherited;  //  1 or 2: a parent's stream, which the child of a fork
                    //  reports; 2: zb_scan_ has seen it
    uint64_t seq, gauge_seq;            //  SEQ of the next line of a state,
                                        //  and of a gauge
    uint64_t message_seq;               //  the first of those, of a state, in
                                        //  the message that is being written
    uint64_t child_seq, child_seq_end;  //  SEQs left to the child of a fork
    //  Shared with such children: 1 when the line that ends the stream was
    //  sent; NULL before the first, or without memory
    int *end_sent;
    char id[48];  //  |ID: of the stream; "" until the first report
    size_t id_size;
    int64_t born_ms;  //  zb_boot_ms_ at that time
    int ended;  //  1: nothing was sent since the line that ends the stream
    zb_series_ **series;  //  counters and timers
    size_t series_size, series_max;
    zb_queue_ queue;  //  readings of gauges: without a gap in their SEQs
    int sending;      //  1: some are in the message that is being sent
} zb_level_;

//  A subscription: all lines that begin with the text. Or a question of a
//  broker, and the answer. Guard: of who has it.
typedef struct {
    char text[ZB_TOPIC_MAX_];
    size_t size;
} zb_topic_;

//  --------------------------------------------------------------------------
//  Structures: the instance
//
//  One for each zb_open, and the default one. Its pump has most of it.

struct zb_s {
    //  zb_lock_
    zb_t *next;     //  in zb_instances_, or in a list of those being closed
    int users;      //  threads that are in zb_flush or zb_stats
    int pump_runs;  //  1: pump is to be joined
    pthread_t pump;

    //  Constant
    pthread_mutex_t lock;
    pthread_cond_t event;  //  with lock: a round or the pump has ended, or a
                           //  round or a stop is wanted
    char *endpoint, *source;
    char *tags;                     //  a list, keys ascending; or ""
    char server_key[ZB_KEY_SIZE_];  //  of the broker; "": no CURVE
    char public_key[ZB_KEY_SIZE_], secret_key[ZB_KEY_SIZE_];
    int interval_ms, linger_ms, classic, disabled;
    int config_error;     //  errno of why it can never connect, or 0
    void *context_given;  //  by the host, or NULL

    //  Lock
    char name[ZB_NAME_MAX_ + 1];  //  the last that zb_name_make_ has made
    size_t max_series;
    zb_level_ *levels;
    zb_map_ series;            //  by label
    zb_block_ *arena;          //  memory of series: each round looks at all,
    zb_block_ *retired;        //  and of what threads have left to them
    zb_share_ *shares;         //  by next
    zb_share_ *parent_shares;  //  by sibling: in the child of a fork, those of
                               //  threads that it does not have
    size_t slots_size;
    zb_topic_ subscription[ZB_TOPICS_KNOWN_MAX_];
    size_t subscriptions_size;
    size_t overflow;        //  subscriptions without room above: while there is
                            //  one, each level has a listener
    size_t topics_bytes;    //  of all subscriptions
    size_t markers;         //  brokers whose list of subscriptions is complete
    size_t questions;       //  subscriptions that ask for an answer
    int64_t settled_ms;     //  when no more subscriptions are expected
    int list_complete;      //  1: each connected broker has sent its list
    int error;              //  errno of why there is no socket, or 0
    int stop;               //  1: the pump must make a last report and end,
    int64_t deadline_ms;    //  until then
    int orphaned;           //  1: closed before the pump had ended. Its threads
                            //  may free their slots, so the pump reads none
    int pump_ended;         //  1: the pump has closed ZeroMQ
    uint64_t round;         //  number of the last round that has ended
    uint64_t round_wanted;  //  zb_flush waits for that one
    uint64_t random;        //  part of the streams' IDs
    //  What is counted as it happens: sent, repeated, messages, bytes, refused,
    //  dropped_series, dropped_ring (by threads that ended), dropped_held
    zb_stats_t stats;
    zb_series_ *dropped;        //  zibrato.dropped, and what of the losses
    uint64_t dropped_reported;  //  was added to it

    //  Atomic: numbers for zb_stats
    uint64_t dropped_async, denied;
    int connected;

    //  The pump
    void *context, *socket;
    zb_links_ links;
    int epoll_fd;         //  of the socket, the monitor and zb_wake_fd_
    int zmq_pending;      //  1: ask ZeroMQ for news before sleeping
    int64_t zmq_safe_ms;  //  when zb_zmq_safe_ last found descriptors,
    int64_t opened_ms;    //  and when it last opened some to see that
    uint64_t root;        //  zb_root_ of ZeroMQ's threads; 0: the host's
    int64_t retry_ms;     //  when opening ZeroMQ may be tried again
    int64_t quarantine_until_ms;
    zb_topic_ answer[ZB_ASKING_MAX_];  //  one a broker, if ZeroMQ has had no
    size_t answers;                    //  room for it yet
    char message[ZB_HEAD_MAX_ + ZB_MESSAGE_MAX_];
    zb_sum_ sum;  //  of the series being reported
    uint64_t sum_pool[ZB_PAGES_ * ZB_PAGE_SIZE_];  //  its pages
    struct {
        zb_series_ *series;
        zb_reported_ reported;
        zb_range_ range;
    } undo[ZB_LINES_MAX_];  //  of each line, if ZeroMQ has no room
};

//  --------------------------------------------------------------------------
//  Structures: the thread, and what is there once
//
//  A thread is known while it has shares. What is there once belongs to the process.

//  A thread that has measured. It owns its shares.
typedef struct zb_thread_ {
    //  zb_lock_
    struct zb_thread_ *next, *previous;
    zb_share_ *shares;  //  by sibling
    zb_share_ *dead;    //  by sibling: of closed instances, to be freed
    //  Written by the thread under zb_lock_, read by it without
    zb_map_ slots;        //  by label
    uint64_t generation;  //  zb_generation_ at the last purge
    //  Constant
    clockid_t clock;  //  of the thread's processor time: see zb_thread_gone_
    int clock_works;
    //  zb_lock_, written by the thread: how often zb_thread_exit_ was called. From
    //  the first time on it is in zb_threads_ended_
    int exit_rounds;
} zb_thread_;

//  Guards the variables of this group.
static pthread_mutex_t zb_lock_ = PTHREAD_MUTEX_INITIALIZER;
static zb_t *zb_instances_;
static int zb_default_implied_;       //  1: opened by a measurement
static int zb_default_closed_;        //  1: was closed; none is opened any more
static zb_t *zb_orphans_;             //  closed before their pump had ended
static zb_share_ *zb_shares_unused_;  //  of closed instances, to be freed
static int zb_closers_;               //  threads in zb_close,
static int64_t zb_closers_until_ms_;  //  and until when they may take
static zb_thread_ *zb_threads_;       //  by next: that may measure,
static zb_thread_ *zb_threads_ended_;   //  and in their last destructors
static zb_thread_ *zb_parent_threads_;  //  in the child of a fork
static pthread_cond_t zb_idle_;  //  an instance has no user left, or a thread
                                 //  has left zb_close

//  Atomic: written under zb_lock_ or by zb_once_init_, read without a lock. The
//  default publishes its instance (release, acquire).
static zb_t *zb_default_;
static int zb_pump_missing_;        //  1: an instance waits for a pump
static int64_t zb_pump_retry_ms_;   //  when to start it; 0: after a fork
static int zb_ended_;               //  1: the program ends, nothing is measured
static pid_t zb_pid_;               //  of the process that owns all of this
static uint64_t zb_async_dropped_;  //  by signal handlers, not counted yet

//  Constant after zb_once_init_.
static pthread_once_t zb_once_ = PTHREAD_ONCE_INIT;
static pthread_key_t zb_key_;  //  runs zb_thread_exit_
static int zb_key_made_;

//  Written once, by a function of atexit.
static int zb_exiting_;  //  1: the program ends; 0: dlclose

//  Each thread has its own, which its signal handlers share.
static __thread zb_thread_ *zb_self_;
static __thread int zb_busy_;  //  1: see zb_enter_

static void zb_once_init_ (void);

//  Called with zb_lock_ held. Pairs with the acquire in zb_lookup_own_: a thread
//  that finds the instance there finds it complete.
static void
zb_default_set_ (zb_t *instance)
{
    __atomic_store_n (&zb_default_, instance, __ATOMIC_RELEASE);
}

static uint64_t
zb_generation_get_ (void)
{
    return __atomic_load_n (&zb_generation_, __ATOMIC_ACQUIRE);
}

//  Called with zb_lock_ held. After this each cell and each thread looks up its
//  slots again.
static void
zb_generation_bump_ (void)
{
    __atomic_add_fetch (&zb_generation_, 1, __ATOMIC_ACQ_REL);
}

//  Called with the lock held. Waits for the event, until that time of
//  zb_clock_ms_. Returns 0, or ETIMEDOUT.
static int
zb_wait_ (pthread_cond_t *event, pthread_mutex_t *lock, int64_t until_ms)
{
    struct timespec until;
    until.tv_sec = (time_t) (until_ms / 1000);
    until.tv_nsec = (long) (until_ms % 1000) * 1000000;
    return pthread_cond_timedwait (event, lock, &until);
}

//  A condition whose waits end by CLOCK_MONOTONIC, so that a step of the date
//  changes none. On Linux neither this nor a mutex can fail: they take no memory.
static void
zb_condition_init_ (pthread_cond_t *self)
{
    pthread_condattr_t attributes;
    pthread_condattr_init (&attributes);
    pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
    pthread_cond_init (self, &attributes);
    pthread_condattr_destroy (&attributes);
}

//  Doubly linked lists, by the members next and previous.
#define ZB_LIST_ADD_(head, item)                                               \
    do {                                                                       \
        (item)->next = (head);                                                 \
        if ((item)->next)                                                      \
            (item)->next->previous = (item);                                   \
        (head) = (item);                                                       \
    } while (0)

#define ZB_LIST_REMOVE_(head, item)                                            \
    do {                                                                       \
        if ((item)->previous)                                                  \
            (item)->previous->next = (item)->next;                             \
        else                                                                   \
            (head) = (item)->next;                                             \
        if ((item)->next)                                                      \
            (item)->next->previous = (item)->previous;                         \
    } while (0)

//  --------------------------------------------------------------------------
//  Entry: busy threads, cancellation, waking a pump
//
//  A signal handler may measure while its thread holds a lock here, or changes
//  its own tables. So each function that does so first marks its thread as
//  busy. If a handler finds that mark, its measurement is dropped, and counted
//  by the next report or zb_stats.

//  Returns -1 if the thread is already busy, which means that a signal handler
//  interrupted it here. The fence is for the compiler only: a handler runs on
//  the same processor.
static inline int
zb_enter_ (void)
{
    if (zb_busy_)
        return -1;
    zb_busy_ = 1;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    return 0;
}

static inline void
zb_leave_ (void)
{
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    zb_busy_ = 0;
}

//  For zb_thread_here_, where the processor is another one. Volatile, or the
//  compiler would take one call's result for the next.
__attribute__ ((noinline)) uintptr_t
zb_thread_id_ (void)
{
    __asm__ volatile("");
    return (uintptr_t) &zb_busy_;
}

//  A signal handler interrupted this header, so its measurement is dropped.
static void
zb_async_drop_ (void)
{
    __atomic_add_fetch (&zb_async_dropped_, 1, __ATOMIC_RELAXED);
}

//  Counts what signal handlers dropped at the default instance, if this is it.
//  The instance that they meant may be closed by now.
static void
zb_async_count_ (zb_t *self)
{
    if (self == __atomic_load_n (&zb_default_, __ATOMIC_ACQUIRE))
        __atomic_add_fetch (
          &self->dropped_async,
          __atomic_exchange_n (&zb_async_dropped_, 0, __ATOMIC_RELAXED),
          __ATOMIC_RELAXED);
}

//  Returns 1 in a child of clone () or _Fork (), where pthread_atfork's
//  handlers have not run. Threads that do not exist in the child may hold our
//  locks, so it measures nothing.
static int
zb_unknown_child_ (void)
{
    pid_t pid = __atomic_load_n (&zb_pid_, __ATOMIC_RELAXED);
    return pid && pid != getpid ();
}

//  What a function that takes locks restores when it leaves: the host's code must
//  not see a change of either.
typedef struct {
    int cancel_state, error;
} zb_entry_;

//  Every function that takes a lock enters here. It disables cancellation, since
//  a cancelled thread would keep the lock. Returns -1 if the caller must not go
//  on.
static int
zb_enter_slow_ (zb_entry_ *entry)
{
    entry->error = errno;
    if (__atomic_load_n (&zb_ended_, __ATOMIC_ACQUIRE) || zb_unknown_child_ ()
        || zb_enter_ () == -1)
        return -1;
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &entry->cancel_state);
    pthread_once (&zb_once_, zb_once_init_);
    return 0;
}

//  The mark is removed before the thread can be cancelled again: a cancelled
//  thread would keep it, and its destructors could not measure.
static void
zb_leave_slow_ (const zb_entry_ *entry)
{
    zb_leave_ ();
    pthread_setcancelstate (entry->cancel_state, NULL);
    errno = entry->error;
}

//  A write to this eventfd wakes all pumps. It stays open while the program
//  runs: a thread may be about to write to it, and a closed number may soon be
//  another file's. It is never read, since each write is an event for every
//  pump that waits (epoll (7), EPOLLET).
static int zb_wake_fd_ = -1;  //  atomic; opened under zb_lock_

//  Pump thread only, without locks. Returns the descriptor, or -1, errno set.
static int
zb_wake_open_ (void)
{
    int fd;
    pthread_mutex_lock (&zb_lock_);
    if (zb_wake_fd_ == -1)
        __atomic_store_n (&zb_wake_fd_, eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK),
                          __ATOMIC_RELEASE);
    fd = zb_wake_fd_;
    pthread_mutex_unlock (&zb_lock_);
    return fd;
}

//  Called after dlclose, and in a child of fork, where the descriptor would
//  wake the parent's pumps.
static void
zb_wake_close_ (void)
{
    zb_close_fd_ (__atomic_exchange_n (&zb_wake_fd_, -1, __ATOMIC_ACQ_REL));
}

//  Signal handlers call this, too. Does nothing if no pump has opened yet. A
//  thread can be cancelled in write (), so it is not called by that name.
static void
zb_wake_ (void)
{
    int fd = __atomic_load_n (&zb_wake_fd_, __ATOMIC_ACQUIRE), keep = errno;
    uint64_t one = 1;
    if (fd != -1)
        syscall (SYS_write, fd, &one, sizeof one);
    errno = keep;
}

//  --------------------------------------------------------------------------
//  Levels: who listens to what
//
//  A level has a listener while a broker subscribes to some of its lines.

//  Returns 1 if a subscription to the topic matches some lines of the level. A
//  topic may be shorter than the level's or longer, as "info|Counter" is.
static int
zb_topic_is_ (const char *topic, size_t size, const zb_level_ *level)
{
    size_t max = strlen (level->topic);
    return memcmp (topic, level->topic, size < max ? size : max) == 0;
}

//  Called with the instance's lock held. Looks again whether a level has a
//  listener. A new listener gets all states, by the epoch, and the readings
//  that were kept.
static void
zb_level_listen_ (zb_t *self, zb_level_ *level)
{
    int has = self->overflow > 0;
    size_t i;
    for (i = 0; i < self->subscriptions_size && !has; i++)
        has = zb_topic_is_ (self->subscription[i].text,
                            self->subscription[i].size, level);
    if (has && !level->has_listener)
        level->listen_epoch++;
    if (has != level->has_listener)
        level->queue.to_resend = has ? level->queue.sent : 0;
    level->has_listener = has;
}

//  Returns 1 for a topic that is a broker's marker with `kind` behind it.
static int
zb_topic_says_ (const char *topic, size_t size, int kind)
{
    return size > ZB_MARKER_SIZE_ && (unsigned char) *topic == ZB_MARKER_
           && topic[ZB_MARKER_SIZE_] == kind;
}

//  Called with the instance's lock held. Returns 1 while a worker of the level is
//  leaving, which then gets what was sent before and nothing else. What is held
//  meanwhile is for others. [ANY_PAUSE] One broker that says so is enough.
static int
zb_level_pauses_ (const zb_t *instance, const zb_level_ *self)
{
    enum { BEFORE = ZB_MARKER_SIZE_ + 1 };
    const zb_topic_ *topic = instance->subscription;
    const zb_topic_ *end = topic + instance->subscriptions_size;
    while (
      topic < end
      && !(zb_topic_says_ (topic->text, topic->size, ZB_PAUSE_)
           && zb_topic_is_ (topic->text + BEFORE, topic->size - BEFORE, self)))
        topic++;
    return topic < end;
}

//  Called when no other thread knows the level. Of its series the arenas own all
//  but the pages of timers.
static void
zb_level_destroy_ (zb_level_ **self_p)
{
    zb_level_ *self = *self_p;
    size_t i, j;
    for (i = 0; i < self->series_size; i++)
        for (j = 0; self->series[i]->retired && j < ZB_PAGES_; j++)
            free (self->series[i]->retired->page[j]);
    free (self->series);
    free (self->queue.item);
    if (self->end_sent)
        munmap (self->end_sent, sizeof *self->end_sent);
    free (self);
    *self_p = NULL;
}

//  Called with the instance's lock held. Finds or makes a level. Returns NULL
//  without memory. The new level goes to the head of the list, so that the pump
//  can walk the list without the lock.
static zb_level_ *
zb_level_find_ (zb_t *self, const char *name)
{
    zb_level_ *level;
    for (level = self->levels; level; level = level->next)
        if (!level->inherited && strcmp (level->name, name) == 0)
            return level;
    level = (zb_level_ *) calloc (1, sizeof *level);
    if (!level)
        return NULL;
    snprintf (level->name, sizeof level->name, "%s", name);
    snprintf (level->topic, sizeof level->topic, "%s|", name);
    level->next = self->levels;
    self->levels = level;
    zb_level_listen_ (self, level);
    return level;
}

//  Called with the instance's lock held. Returns -1 without memory.
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

//  --------------------------------------------------------------------------
//  Series: found by their labels, or made
//
//  A series is made when it is first measured, and stays as long as its instance.

//  Returns level|type|name|, as lines begin. It stands behind the structure,
//  and the source behind it.
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

//  Called with the instance's lock held.
static int
zb_series_is_ (const zb_series_ *self, const zb_label_ *label)
{
    size_t size = (size_t) (self->head_size - self->name_at);
    return self->type == label->type && size == label->name_size
           && memcmp (zb_series_head_ (self) + self->name_at, label->name,
                      size - 1)
                == 0
           && strcmp (zb_series_source_ (self), label->source) == 0
           && strcmp (self->level->name, label->level) == 0;
}

//  Called with the instance's lock held. Returns a name with its tags and those
//  of the instance, as lines have it, or NULL if it is not valid. It holds until
//  the next call. A name with a ';' that begins no tags stays as it is, but then
//  it cannot have others.
static const char *
zb_name_make_ (zb_t *self, const char *name, const char *tags)
{
    const char *own = strchr (name, ';');
    size_t size = own ? (size_t) (own - name) : strlen (name);
    zb_text_ text = {self->name, 0, ZB_NAME_MAX_};
    int tagged = tags && *tags, valid;
    zb_put_ (&text, name, size);
    self->name[text.size] = 0;
    valid = zb_label_ok_ (self->name);
    if (own
        && (!valid
            || zb_tags_put_ (&text, size, own + 1, ZB_TWICE_REFUSED_) == -1))
        return !tagged && zb_label_ok_ (name) ? name : NULL;
    if (!valid
        || (tagged && zb_tags_put_ (&text, size, tags, ZB_TWICE_REFUSED_) == -1)
        || (*self->tags
            && zb_tags_put_ (&text, size, self->tags, ZB_TWICE_LEFT_OUT_)
                 == -1))
        return NULL;
    return self->name;
}

//  Called with the instance's lock held. Writes the text behind a new series.
static void
zb_series_label_ (zb_series_ *self, const zb_label_ *label)
{
    static const char *const types[] = {"", "Counter", "Timer", "Gauge"};
    zb_text_ text = {zb_series_head_ (self), 0,
                     ZB_NAME_MAX_ + 3 * ZB_LABEL_MAX_};
    zb_put_string_ (&text, label->level);
    zb_put_char_ (&text, '|');
    zb_put_string_ (&text, types[label->type]);
    zb_put_char_ (&text, '|');
    self->name_at = (uint16_t) text.size;
    zb_put_string_ (&text, label->name);
    zb_put_char_ (&text, '|');
    self->head_size = (uint16_t) text.size;
    self->source_size = (uint16_t) (label->source_size - 1);
    zb_put_ (&text, label->source, label->source_size);
}

//  Returns how a type is kept. In classic mode a timer is kept like a gauge,
//  because a classic line is one sample.
static zb_type_t
zb_kind_ (const zb_t *self, zb_type_t type)
{
    return self->classic && type == ZB_TYPE_TIMER ? ZB_TYPE_GAUGE : type;
}

//  Called with the instance's lock held. The instance's arena owns the return
//  value. Returns NULL without memory.
static zb_series_ *
zb_series_new_ (zb_t *self, const zb_label_ *label)
{
    zb_type_t kind = zb_kind_ (self, label->type);
    zb_level_ *level = zb_level_find_ (self, label->level);
    zb_sum_ *retired = NULL;
    zb_series_ *series = (zb_series_ *) zb_arena_take_ (
      &self->arena, (sizeof *series + label->level_size + sizeof "Counter"
                     + label->name_size + label->source_size + 63)
                      / 64 * 64);
    if (kind == ZB_TYPE_TIMER)
        retired = (zb_sum_ *) zb_arena_take_ (&self->retired, sizeof *retired);
    if (!series || !level || (kind == ZB_TYPE_TIMER && !retired)
        || (kind != ZB_TYPE_GAUGE && zb_level_add_ (level, series) == -1))
        return NULL;
    zb_series_label_ (series, label);
    series->type = label->type;
    series->level = level;
    series->retired = retired;
    series->pending = self->classic ? 0 : ZB_PENDING_ZERO_;
    series->reported.at_ms = zb_clock_ms_ ();
    series->range = zb_range_none_;
    return series;
}

//  Called with the instance's lock held. Finds or makes a series. The label's
//  source is not NULL. Returns NULL if there is no room, and counts that.
static zb_series_ *
zb_series_find_ (zb_t *self, const zb_label_ *label)
{
    uint64_t hash = zb_label_hash_ (label), at = hash;
    zb_series_ *series;
    while ((series = (zb_series_ *) zb_map_next_ (&self->series, hash, &at)))
        if (zb_series_is_ (series, label))
            return series;
    if (self->series.used < self->max_series)
        series = zb_series_new_ (self, label);
    //  without memory in the map nobody finds the series, so it stays empty
    if (series && zb_map_add_ (&self->series, hash, series) == -1) {
        series->pending = 0;
        series = NULL;
    }
    if (!series)
        self->stats.dropped_series++;
    return series;
}

//  --------------------------------------------------------------------------
//  Ring: readings on their way from a thread to the pump
//
//  A thread passes each reading to the pump by its ring, without a lock.

//  The size is a power of two, so the place is a mask.
static zb_reading_ *
zb_ring_at_ (zb_ring_ *self, uint64_t at)
{
    return (zb_reading_ *) (void *) (self + 1) + (at & (self->size - 1));
}

static size_t
zb_ring_bytes_ (uint64_t size)
{
    return sizeof (zb_ring_) + (size_t) size * sizeof (zb_reading_);
}

//  The first part comes with a slot. The others may be made by a signal handler
//  that has interrupted malloc: they come from the kernel. Caller owns the return
//  value. Returns NULL without memory.
static zb_ring_ *
zb_ring_new_ (uint64_t size)
{
    void *memory = NULL;
    zb_ring_ *self;
    if (size == ZB_RING_MIN_) {
        if (posix_memalign (&memory, 64, zb_ring_bytes_ (size)) != 0)
            return NULL;
    }
    else {
        memory = mmap (NULL, zb_ring_bytes_ (size), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return NULL;
    }
    self = (zb_ring_ *) memory;
    memset (self, 0, sizeof *self);
    self->size = size;
    return self;
}

static void
zb_ring_free_ (zb_ring_ *self)
{
    if (self->size == ZB_RING_MIN_)
        free (self);
    else
        munmap (self, zb_ring_bytes_ (self->size));
}

//  Called by the owning thread. Called when the part being written seems half
//  full. Looks how far the pump has read, and wakes it once if the ring is half
//  full at its largest. Returns the part to write to, which may be a new one,
//  or NULL if there is no room.
static zb_ring_ *
zb_share_ring_ (zb_share_ *self)
{
    zb_ring_ *ring = self->ring, *next = NULL;
    int keep = errno;
    uint64_t ahead;
    int state;
    ring->tail_seen = zb_get_ (&ring->tail);
    ahead = ring->head - ring->tail_seen;
    if (ring->size == ZB_RING_MAX_ && ahead >= ring->size / 2
        && !__atomic_exchange_n (&self->pump_woken, 1, __ATOMIC_ACQ_REL))
        zb_wake_ ();
    if (ahead < ring->size)
        return ring;
    //  neither a signal handler nor a cancellation must interrupt that
    if (ring->size < ZB_RING_MAX_ && zb_enter_ () == 0) {
        pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &state);
        next = zb_ring_new_ (ring->size * 2);
        errno = keep;
        if (next) {
            __atomic_store_n (&ring->next, next, __ATOMIC_RELEASE);
            self->ring = next;
        }
        zb_leave_ ();
        pthread_setcancelstate (state, NULL);
    }
    return next;
}

//  `changed` is the first member of the share.
static zb_share_ *
zb_slot_share_ (const zb_slot_ *self)
{
    return (zb_share_ *) (void *) self->changed;
}

//  Called by the owning thread. A signal handler that interrupts this must not
//  write to the same ring: it finds `writing` set, and drops its reading. The
//  reading is written before head moves (release). The pump reads head first
//  (acquire), so it never sees a reading that is half written.
static inline void
zb_slot_record_ (const zb_slot_ *slot, double value, uint64_t time)
{
    zb_share_ *self = zb_slot_share_ (slot);
    zb_ring_ *ring = NULL;
    zb_reading_ *reading;
    int nested = self->writing;
    self->writing = 1;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    if (!nested) {
        ring = self->ring;
        if (ring->head - ring->tail_seen >= ring->size / 2)
            ring = zb_share_ring_ (self);
    }
    if (ring) {
        reading = zb_ring_at_ (ring, ring->head);
        reading->series = slot->series;
        reading->value = value;
        reading->time = time;
        zb_set_ (&ring->head, ring->head + 1);
        __atomic_store_n (&self->changed, 1, __ATOMIC_RELEASE);
    }
    else
        __atomic_add_fetch (&self->dropped, 1, __ATOMIC_RELAXED);
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    self->writing = nested;
}

//  --------------------------------------------------------------------------
//  Queues: readings that wait for a listener, or were sent and may be lost
//
//  A level has one queue. Readings stay in it when they have been sent, and are
//  sent again when a listener comes.

static zb_queued_ *
zb_queue_at_ (const zb_queue_ *self, size_t i)
{
    return &self->item[(self->at + i) & (self->max - 1)];
}

//  The readings that are to be sent, for the first time or again, are behind all
//  others. Returns where they begin.
static size_t
zb_queue_due_ (const zb_queue_ *self)
{
    return self->sent - self->to_resend;
}

//  Removes the oldest reading. Returns 1 if it was never sent.
static int
zb_queue_drop_ (zb_queue_ *self)
{
    int lost = self->sent == 0;
    self->at++;
    self->size--;
    self->sent -= !lost;
    if (self->to_resend > self->sent)
        self->to_resend = self->sent;
    return lost;
}

//  Makes the ring twice as large. Without memory it stays as it is.
static void
zb_queue_grow_ (zb_queue_ *self)
{
    zb_queue_ grown = *self;
    size_t i;
    grown.at = 0;
    grown.max = self->max ? self->max * 2 : 64;
    grown.item = (zb_queued_ *) malloc (grown.max * sizeof *grown.item);
    if (!grown.item)
        return;
    for (i = 0; i < self->size; i++)
        grown.item[i] = *zb_queue_at_ (self, i);
    free (self->item);
    *self = grown;
}

//  Called with the instance's lock held. Adds a reading to the queue of its
//  level. If there is no room, the oldest reading is dropped; but the new one
//  while the oldest is being sent, since zb_message_sent_ looks for it there.
static void
zb_queue_put_ (zb_t *instance, const zb_reading_ *reading)
{
    zb_level_ *level = reading->series->level;
    zb_queue_ *self = &level->queue;
    if (self->size == self->max && self->max < ZB_QUEUE_MAX_)
        zb_queue_grow_ (self);
    if (self->size == self->max) {
        if (self->max == 0 || (level->sending && zb_queue_due_ (self) == 0)) {
            instance->stats.dropped_held++;
            return;
        }
        instance->stats.dropped_held += (uint64_t) zb_queue_drop_ (self);
    }
    zb_queue_at_ (self, self->size)->reading = *reading;
    self->size++;
}

//  Called with the instance's lock held. Removes readings that were sent long
//  ago, or before many others; of classic ones all, because nobody could tell a
//  repetition from a new one. Those that wait to be sent again stay.
static void
zb_queue_prune_ (const zb_t *instance, zb_queue_ *self, int64_t now_ms)
{
    size_t max = instance->classic ? 0 : ZB_KEPT_MAX_;
    while (zb_queue_due_ (self)
           && (self->sent > max
               || now_ms - zb_queue_at_ (self, 0)->sent_ms > ZB_KEPT_MS_))
        zb_queue_drop_ (self);
}

enum { ZB_UNIX_BIT_ = 63 };  //  of the time of a reading that was given

//  When a reading was: with the highest bit Unix milliseconds, else zb_now_,
//  which the wall clock is ahead of by the offset.
static uint64_t
zb_unix_ms_ (uint64_t time, uint64_t offset_ns)
{
    return time >> ZB_UNIX_BIT_ ? time & ~((uint64_t) 1 << ZB_UNIX_BIT_)
                                : (time + offset_ns) / 1000000;
}

//  Called with the instance's lock held. Moves the readings of a thread's ring
//  to the queues. There they get the time of the wall clock, because
//  CLOCK_MONOTONIC stops while the machine sleeps. A part of the ring is freed
//  when it has been read and the thread has gone on to the next. `next` is read
//  before head: if there is a next part, that head is final.
static void
zb_share_drain_ (zb_t *instance, zb_share_ *self)
{
    uint64_t offset =
      self->ring_first ? zb_clock_read_ (CLOCK_REALTIME) - zb_now_ () : 0;
    __atomic_store_n (&self->pump_woken, 0, __ATOMIC_RELEASE);
    while (self->ring_first) {
        zb_ring_ *ring = self->ring_first;
        zb_ring_ *next = __atomic_load_n (&ring->next, __ATOMIC_ACQUIRE);
        uint64_t tail = ring->tail, head = zb_get_ (&ring->head);
        for (; tail != head; tail++) {
            zb_reading_ reading = *zb_ring_at_ (ring, tail);
            reading.time = zb_unix_ms_ (reading.time, offset);
            zb_queue_put_ (instance, &reading);
        }
        zb_set_ (&ring->tail, tail);
        if (!next)
            break;
        self->ring_first = next;
        zb_ring_free_ (ring);
    }
}

//  Called with the instance's lock held. Returns what was counted so far, with
//  the losses added up.
static zb_stats_t
zb_stats_dropped_ (zb_t *self)
{
    zb_stats_t stats = self->stats;
    const zb_share_ *share;
    zb_async_count_ (self);
    for (share = self->shares; share; share = share->next)
        stats.dropped_ring += zb_get_ (&share->dropped);
    stats.dropped_async = zb_get_ (&self->dropped_async);
    stats.dropped = stats.dropped_series + stats.refused + stats.dropped_ring
                    + stats.dropped_held + stats.dropped_async;
    return stats;
}

//  --------------------------------------------------------------------------
//  Slots: a series in a thread, found by its label
//
//  Only the thread changes its tables, and it does so under zb_lock_. So it may
//  read them without a lock; other threads read them under zb_lock_.

static inline int
zb_slot_is_ (const zb_slot_ *self, const zb_label_ *label, const zb_t *owner)
{
    const char *text = (const char *) (self + 1);
    size_t head_size = label->level_size + label->name_size;
    return self->type == label->type && zb_slot_share_ (self)->owner == owner
           && self->head_size == head_size
           && self->source_size == label->source_size
           && self->tags_size == label->tags_size
           && zb_same_ (text, label->level, label->level_size)
           && zb_same_ (text + label->level_size, label->name, label->name_size)
           && zb_same_ (text + head_size, label->source, label->source_size)
           && zb_same_ (text + head_size + label->source_size, label->tags,
                        label->tags_size);
}

//  Called by the owning thread. Needs no lock, because only this thread changes
//  its table.
static inline zb_slot_ *
zb_slot_find_ (const zb_thread_ *thread, const zb_label_ *label, zb_t *owner)
{
    uint64_t hash = zb_label_hash_ (label), at = hash;
    zb_slot_ *slot;
    while ((slot = (zb_slot_ *) zb_map_next_ (&thread->slots, hash, &at)))
        if (zb_slot_is_ (slot, label, owner))
            return slot;
    return NULL;
}

//  --------------------------------------------------------------------------
//  Threads: their shares of instances
//
//  A thread makes its shares and slots when it first measures into an instance,
//  and frees them after that has closed.

//  Called when neither the thread nor a pump uses the share any more.
static void
zb_share_destroy_ (zb_share_ **self_p)
{
    zb_share_ *self = *self_p;
    zb_slot_ *slot;
    zb_ring_ *ring;
    for (slot = self->slots; slot; slot = slot->sibling)
        if (slot->kind == ZB_TYPE_TIMER)
            free (slot->by_kind.timer->buckets);
    while ((ring = self->ring_first)) {
        self->ring_first = ring->next;
        zb_ring_free_ (ring);
    }
    zb_arena_free_ (&self->arena);
    free (self);
    *self_p = NULL;
}

static void
zb_shares_destroy_ (zb_share_ **list)
{
    zb_share_ *share;
    while ((share = *list)) {
        *list = share->sibling;
        zb_share_destroy_ (&share);
    }
}

//  Called by the owning thread with zb_lock_ held. Takes the shares of closed
//  instances off the thread. A signal handler may be running this: the function
//  that it interrupted may be about to write to one of them, so they are given
//  away at the next purge only; or it may be malloc, so others free them, and
//  the table keeps its places.
static void
zb_thread_purge_ (zb_thread_ *self)
{
    zb_share_ **at = &self->shares, *share;
    zb_slot_ *slot;
    while ((share = self->dead)) {
        self->dead = share->sibling;
        share->sibling = zb_shares_unused_;
        zb_shares_unused_ = share;
    }
    self->generation = zb_generation_get_ ();
    while ((share = *at))
        if (share->dead) {
            *at = share->sibling;
            share->sibling = self->dead;
            self->dead = share;
        }
        else
            at = &share->sibling;
    if (!self->dead)
        return;
    zb_map_clear_ (&self->slots);
    for (share = self->shares; share; share = share->sibling)
        for (slot = share->slots; slot; slot = slot->sibling)
            zb_map_put_ (&self->slots, slot->hash, slot);
}

//  Called by the owning thread with both locks held. Finds or makes the
//  thread's share of an instance. Returns NULL without memory.
static zb_share_ *
zb_share_find_ (zb_thread_ *thread, zb_t *owner)
{
    zb_share_ *self;
    for (self = thread->shares; self; self = self->sibling)
        if (self->owner == owner && !self->dead)
            return self;
    self = (zb_share_ *) calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->owner = owner;
    ZB_LIST_ADD_ (owner->shares, self);
    self->sibling = thread->shares;
    thread->shares = self;
    return self;
}

//  Called by the owning thread with both locks held. Allocates what the slot
//  writes to: a timer, or the ring of the share. Returns -1 without memory.
static int
zb_slot_allocate_ (zb_slot_ *self, zb_share_ *share, zb_type_t kind)
{
    self->kind = (uint8_t) kind;
    if (kind == ZB_TYPE_TIMER) {
        zb_timer_ *timer =
          (zb_timer_ *) zb_arena_take_ (&share->arena, sizeof *timer);
        if (!timer)
            return -1;
        timer->window_id = ZB_WINDOW_FIRST_ | 1;
        self->by_kind.timer = timer;
    }
    else if (kind == ZB_TYPE_GAUGE && !share->ring) {
        share->ring = zb_ring_new_ (ZB_RING_MIN_);
        if (!share->ring)
            return -1;
        share->ring_first = share->ring;
    }
    return 0;
}

//  Called by the owning thread with both locks held. Makes a slot for a series.
//  Returns NULL without memory, or if the instance or the thread has too many
//  slots. It joins the lists last, when it is complete.
static zb_slot_ *
zb_slot_new_ (zb_thread_ *thread, zb_t *owner, zb_series_ *series,
              const zb_label_ *label)
{
    zb_share_ *share = zb_share_find_ (thread, owner);
    size_t head_size = label->level_size + label->name_size;
    char *text;
    zb_slot_ *self;
    if (!share || owner->slots_size >= ZB_SLOTS_MAX_
        || share->slots_size / ZB_SPELLINGS_ > owner->series.used)
        return NULL;
    self = (zb_slot_ *) zb_arena_take_ (&share->arena, sizeof *self + head_size
                                                         + label->source_size
                                                         + label->tags_size);
    if (!self
        || zb_slot_allocate_ (self, share, zb_kind_ (owner, series->type)) == -1
        || zb_map_add_ (&thread->slots, zb_label_hash_ (label), self) == -1)
        return NULL;
    text = (char *) (self + 1);
    memcpy (text, label->level, label->level_size);
    memcpy (text + label->level_size, label->name, label->name_size);
    if (label->source)
        memcpy (text + head_size, label->source, label->source_size);
    if (label->tags)
        memcpy (text + head_size + label->source_size, label->tags,
                label->tags_size);
    self->type = (uint8_t) label->type;
    self->head_size = (uint16_t) head_size;
    self->source_size = (uint16_t) label->source_size;
    self->tags_size = (uint16_t) label->tags_size;
    self->hash = zb_label_hash_ (label);
    self->changed = &share->changed;
    self->series = series;
    ZB_LIST_ADD_ (series->slots, self);
    self->sibling = share->slots;
    share->slots = self;
    share->slots_size++;
    owner->slots_size++;
    return self;
}

//  --------------------------------------------------------------------------
//  Threads: their end
//
//  A thread that exits folds what it has measured into the series of the
//  instances.

//  Called with the instance's lock held. Adds a slot's measurements to its
//  series and takes it off the series. Its thread measures no more.
static void
zb_slot_fold_ (zb_slot_ *self)
{
    zb_series_ *series = self->series;
    zb_timer_ *timer = self->by_kind.timer;
    if (self->kind == ZB_TYPE_TIMER) {
        timer->seq &= ~(uint64_t) 1;  //  if it was cancelled while it wrote
        series->retired->range = zb_range_none_;
        zb_sum_timer_ (series->retired, timer);
        zb_range_add_ (&series->range, series->retired->range);
    }
    series->total += self->total;
    series->maybe_changed = 1;
    ZB_LIST_REMOVE_ (series->slots, self);
}

//  Called with zb_lock_ held. Its thread measures no more. Folds all slots of a
//  share, so that the share can be freed.
static void
zb_share_fold_ (zb_share_ *self)
{
    zb_t *owner = self->owner;
    zb_slot_ *slot;
    pthread_mutex_lock (&owner->lock);
    for (slot = self->slots; slot; slot = slot->sibling) {
        zb_slot_fold_ (slot);
        owner->slots_size--;
    }
    zb_share_drain_ (owner, self);
    owner->stats.dropped_ring += self->dropped;
    ZB_LIST_REMOVE_ (owner->shares, self);
    pthread_mutex_unlock (&owner->lock);
}

//  Called with zb_lock_ held. Folds all that a thread has measured, and frees
//  it. Called by that thread, or when it does not run any more.
static void
zb_thread_destroy_ (zb_thread_ **self_p)
{
    zb_thread_ *self = *self_p;
    zb_share_ *share;
    for (share = self->shares; share; share = share->sibling)
        if (!share->dead)
            zb_share_fold_ (share);
    zb_shares_destroy_ (&self->shares);
    zb_shares_destroy_ (&self->dead);
    if (self->exit_rounds)
        ZB_LIST_REMOVE_ (zb_threads_ended_, self);
    else
        ZB_LIST_REMOVE_ (zb_threads_, self);
    zb_map_free_ (&self->slots);
    free (self);
    *self_p = NULL;
}

//  Returns 1 if the kernel knows the thread no more. To read the processor time
//  of a thread that is gone fails (clock_gettime (2), EINVAL). The call is one
//  that no sandbox refuses. The number of a thread that is gone may become
//  another one's: then we wait for that one, too.
static int
zb_thread_gone_ (const zb_thread_ *self)
{
    struct timespec used;
    return self->clock_works && clock_gettime (self->clock, &used) == -1
           && errno == EINVAL;
}

//  Called with zb_lock_ held. Looks at a bounded number of the threads that
//  have ended, and frees those that are gone.
static void
zb_threads_reap_ (int most)
{
    zb_thread_ *self = zb_threads_ended_, *next;
    int keep = errno;
    for (; self && most > 0; self = next, most--) {
        next = self->next;
        if (zb_thread_gone_ (self))
            zb_thread_destroy_ (&self);
    }
    errno = keep;
}

enum {
    ZB_REAP_AT_EXIT_ = 4,  //  threads, so that a thread's exit takes no longer
    ZB_REAP_IN_ROUND_ = 64
};

//  Runs as the destructor of zb_key_. POSIX runs such destructors in up to four
//  rounds, in any order (pthread_key_create), and those of others may still
//  measure, as signal handlers may. So the thread keeps what it has until it is
//  gone. Then another thread that exits, or a pump, folds and frees it. That one
//  has the lock after this one had it in the second round: so ThreadSanitizer,
//  whose own part of a thread ends in the last, knows the order of the two.
static void
zb_thread_exit_ (void *argument)
{
    zb_thread_ *self = (zb_thread_ *) argument;
    int entered, state;
    if (self != zb_self_)
        return;
    //  a thread that has returned can still be cancelled, if it is at any time
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &state);
    entered = zb_enter_ () == 0;
    pthread_mutex_lock (&zb_lock_);
    if (self->exit_rounds++ == 0) {
        ZB_LIST_REMOVE_ (zb_threads_, self);
        self->previous = NULL;
        ZB_LIST_ADD_ (zb_threads_ended_, self);
        pthread_setspecific (zb_key_, self);
    }
    zb_threads_reap_ (ZB_REAP_AT_EXIT_);
    pthread_mutex_unlock (&zb_lock_);
    if (entered)
        zb_leave_ ();
    pthread_setcancelstate (state, NULL);
}

//  Called by the owning thread with zb_lock_ held. Returns NULL if nobody would
//  free the structure: there is no key, or its value cannot be set.
static zb_thread_ *
zb_thread_self_ (void)
{
    zb_thread_ *self, *unseen;
    struct timespec used;
    if (zb_self_ || !zb_key_made_)
        return zb_self_;
    self = (zb_thread_ *) calloc (1, sizeof *self);
    if (!self || pthread_setspecific (zb_key_, self) != 0) {
        free (self);
        return NULL;
    }
    self->clock_works =
      pthread_getcpuclockid (pthread_self (), &self->clock) == 0
      && clock_gettime (self->clock, &used) == 0;
    self->generation = zb_generation_get_ ();
    //  threads whose first measurement was in their last destructor end unseen
    while ((unseen = zb_threads_) && zb_thread_gone_ (unseen))
        zb_thread_destroy_ (&unseen);
    ZB_LIST_ADD_ (zb_threads_, self);
    return zb_self_ = self;
}

//  --------------------------------------------------------------------------
//  Subscriptions: which levels have a listener
//
//  Brokers subscribe to levels, and only levels with a subscription are sent.

//  Pump thread only, with the instance's lock held. Counts a topic that there
//  is no room for. While there is one, nobody can tell which levels are not
//  wanted, so all have a listener.
static void
zb_subscription_overflow_ (zb_t *self, int adds, size_t size)
{
    zb_level_ *level;
    if (!adds && self->overflow == 0)
        return;
    self->overflow += adds ? 1 : (size_t) -1;
    if (!adds && size > self->topics_bytes)
        size = self->topics_bytes;
    self->topics_bytes += adds ? size : (size_t) 0 - size;
    for (level = self->levels; level && self->overflow <= 1;
         level = level->next)
        zb_level_listen_ (self, level);
}

//  Returns 1 for the last subscription of a broker: 0xff and 16 digits (section
//  3).
static int
zb_marker_is_ (const char *topic, size_t size)
{
    size_t i = 1;
    while (i < size && strchr ("0123456789abcdef", topic[i]) && topic[i])
        i++;
    return size == ZB_MARKER_SIZE_ && i == size
           && (unsigned char) *topic == ZB_MARKER_;
}

//  Pump thread only, with the instance's lock held. "\1info|" adds a topic and
//  "\0info|" removes it. A topic that is longer than any level may still match
//  a part of its lines.
static void
zb_subscription_apply_ (zb_t *self, const char *bytes, size_t size)
{
    zb_topic_ *known = self->subscription;
    zb_topic_ *end = known + self->subscriptions_size;
    const char *topic = bytes + 1;
    int adds = bytes[0];
    zb_level_ *level;
    size--;
    while (known < end
           && (known->size != size || memcmp (known->text, topic, size) != 0))
        known++;
    if (zb_marker_is_ (topic, size)) {
        if (adds || self->markers)
            self->markers += adds ? 1 : (size_t) -1;
        return;
    }
    if (adds)
        self->settled_ms = zb_clock_ms_ () + ZB_SETTLE_MS_;
    if (adds && known == end && size <= ZB_TOPIC_MAX_
        && known < self->subscription + ZB_TOPICS_KNOWN_MAX_) {
        memcpy (known->text, topic, size);
        known->size = size;
        self->subscriptions_size++;
        self->topics_bytes += size;
        self->questions += (size_t) zb_topic_says_ (topic, size, ZB_QUESTION_);
    }
    else if (!adds && known < end) {
        self->questions -= (size_t) zb_topic_says_ (topic, size, ZB_QUESTION_);
        memmove (known, end - 1, sizeof *known);
        self->subscriptions_size--;
        self->topics_bytes -= size;
    }
    else if (known == end)
        zb_subscription_overflow_ (self, adds, size);
    for (level = self->levels; level; level = level->next)
        if (zb_topic_is_ (topic, size, level))
            zb_level_listen_ (self, level);
}

//  Called with the instance's lock held. Forgets what brokers have said. They say
//  it again to a new socket.
static void
zb_subscriptions_forget_ (zb_t *self)
{
    zb_level_ *level;
    self->subscriptions_size = self->overflow = self->topics_bytes = 0;
    self->markers = self->questions = self->answers = 0;
    self->list_complete = 0;
    for (level = self->levels; level; level = level->next)
        zb_level_listen_ (self, level);
}

//  Pump thread only, without the lock. Answers brokers, which ask whether all
//  that they have said is read: [ANSWER_LAST] behind what was sent before. If
//  ZeroMQ has no room, that is tried again.
static void
zb_questions_answer_ (zb_t *self)
{
    size_t i = 0;
    while (i < self->answers)
        if (zmq_send (self->socket, self->answer[i].text, self->answer[i].size,
                      ZMQ_DONTWAIT)
            != -1)
            self->answer[i] = self->answer[--self->answers];
        else
            i++;
}

//  Pump thread only. A broker waits for the answer to its last question only;
//  others wait for theirs.
static void
zb_question_keep_ (zb_t *self, const char *topic, size_t size)
{
    size_t i = 0;
    while (i < self->answers
           && memcmp (self->answer[i].text, topic, ZB_MARKER_SIZE_) != 0)
        i++;
    if (i == ZB_ASKING_MAX_)
        return;
    memcpy (self->answer[i].text, topic, size);
    self->answer[i].size = size;
    if (i == self->answers)
        self->answers++;
}

//  Pump thread only, without the lock. Reads what brokers subscribe to, at most
//  ZB_TOPICS_KNOWN_MAX_ messages, so that a round ends. Returns how many there
//  were.
static int
zb_subscriptions_read_ (zb_t *self)
{
    char bytes[ZB_SUBSCRIPTION_MAX_];
    int count = 0, size;
    while (
      count < ZB_TOPICS_KNOWN_MAX_
      && (size = zmq_recv (self->socket, bytes, sizeof bytes, ZMQ_DONTWAIT))
           != -1) {
        count++;
        if (size < 1 || size > (int) sizeof bytes || (bytes[0] & ~1))
            continue;
        pthread_mutex_lock (&self->lock);
        zb_subscription_apply_ (self, bytes, (size_t) size);
        pthread_mutex_unlock (&self->lock);
        size--;
        if (*bytes && size <= ZB_TOPIC_MAX_
            && zb_topic_says_ (bytes + 1, (size_t) size, ZB_QUESTION_))
            zb_question_keep_ (self, bytes + 1, (size_t) size);
    }
    //  behind zmq_recv: when it has found nothing, ZeroMQ knows of all the room
    //  that there is, and it will say so if there is more (zmq_send may look for
    //  news a millisecond late)
    zb_questions_answer_ (self);
    return count;
}

//  --------------------------------------------------------------------------
//  ZeroMQ: checks before it is opened
//
//  ZeroMQ aborts the process if the system refuses it a descriptor, a thread,
//  or a system call that a filter does not allow (libzmq 4.3: epoll.cpp,
//  thread.cpp, tcp.cpp, signaler.cpp). So the pump tries all of these first.

//  Checks that so many threads can run beside this one at the same time: it
//  starts one, which starts the next, and each waits for the one that it has
//  started. Returns an errno, or NULL.
static void *
zb_spare_threads_ (void *count)
{
    pthread_t thread;
    void *error;
    if ((intptr_t) count == 0)
        return NULL;
    error = (void *) (intptr_t) pthread_create (
      &thread, NULL, zb_spare_threads_, (void *) ((intptr_t) count - 1));
    if (!error)
        pthread_join (thread, &error);
    return error;
}

//  Pump thread only. Checks that `count` descriptors can be opened. Returns -1,
//  errno set.
static int
zb_spare_descriptors_ (int count)
{
    int fd[ZB_SPARE_FDS_], got = 0, rc;
    while (got < count && (fd[got] = eventfd (0, EFD_CLOEXEC)) != -1)
        got++;
    rc = got == count ? 0 : -1;
    while (got)
        zb_close_fd_ (fd[--got]);
    return rc;
}

//  Pump thread only. libsodium reads its random numbers by getrandom or from
//  /dev/urandom.
static int
zb_zmq_random_ (void)
{
    unsigned char byte;
    int fd;
    if (getrandom (&byte, 1, GRND_NONBLOCK) == 1 || errno == EAGAIN)
        return 0;
    fd = open ("/dev/urandom", O_RDONLY | O_CLOEXEC);
    zb_close_fd_ (fd);
    return fd == -1 ? -1 : 0;
}

//  Pump thread only. Tries each system call that ZeroMQ asserts on. A seccomp
//  filter may refuse them. Returns -1, errno set.
static int
zb_zmq_calls_ (void)
{
    int policy, one = 1, rc = -1;
    struct sched_param priority;
    struct epoll_event event;
    struct pollfd item = {-1, POLLIN, 0};
    int wait = epoll_create1 (EPOLL_CLOEXEC);
    int stream = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset (&event, 0, sizeof event);
    event.events = EPOLLIN;
    item.fd = stream;
    errno = pthread_getschedparam (pthread_self (), &policy, &priority);
    if (errno == 0)
        errno = pthread_setschedparam (pthread_self (), policy, &priority);
    if (errno == 0 && wait != -1 && stream != -1
        && epoll_ctl (wait, EPOLL_CTL_ADD, stream, &event) == 0
        && epoll_wait (wait, &event, 1, 0) != -1 && poll (&item, 1, 0) != -1
        && fcntl (stream, F_SETFL, fcntl (stream, F_GETFL) | O_NONBLOCK) == 0
        && setsockopt (stream, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0
        && zb_zmq_random_ () == 0)
        rc = 0;
    zb_close_fd_ (wait);
    zb_close_fd_ (stream);
    return rc;
}

//  Pump thread only. Checks whether the highest descriptor numbers are free.
//  They nearly always are, and this takes a tenth of the time of opening some.
//  Returns -1 if it cannot tell.
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

//  --------------------------------------------------------------------------
//  ZeroMQ: connections of an instance
//
//  The pump asks that before it sends, and before a stop that waits.

//  Pump thread only, without the lock. Applies all events of the monitor.
//  Returns how many there were.
static int
zb_links_update_ (zb_t *self)
{
    int event, count = 0;
    uint64_t denied = 0;
    while ((event = zb_links_read_ (&self->links, zb_clock_ms_ ()))) {
        denied += event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                  || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                  || event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
        count++;
    }
    __atomic_store_n (&self->connected,
                      (int) zb_links_counts_ (&self->links).up,
                      __ATOMIC_RELAXED);
    __atomic_add_fetch (&self->denied, denied, __ATOMIC_RELAXED);
    return count;
}

//  Pump thread only, without the lock. Returns 1 if there is a connection.
//  ZeroMQ takes messages for a while after it was lost, so the monitor is asked
//  first. Links that are not managed count as connected.
static int
zb_links_up_ (zb_t *self)
{
    zb_links_count_ counts;
    zb_links_update_ (self);
    counts = zb_links_counts_ (&self->links);
    return counts.up + counts.unknown > 0;
}

//  Pump thread only, without the lock. Returns 1 if it is safe to call ZeroMQ.
//  When a connection is lost, ZeroMQ opens a descriptor to look up its endpoint
//  (getifaddrs in ip_resolver.cpp), and ends the process if it gets none. So
//  the socket is left alone then. Numbers are looked at each time, for the
//  limit of the process; some are opened once a second, for the limit of the
//  system.
static int
zb_zmq_safe_ (zb_t *self)
{
    int64_t now_ms = zb_clock_ms_ ();
    zb_links_count_ counts;
    if (self->zmq_safe_ms == now_ms)
        return 1;
    if (now_ms - self->opened_ms >= ZB_SPARE_MS_
        || zb_spare_numbers_ (2) == -1) {
        if (zb_spare_descriptors_ (2) == -1) {
            zb_links_update_ (self);
            counts = zb_links_counts_ (&self->links);
            return counts.up + counts.unknown == self->links.size;
        }
        self->opened_ms = now_ms;
    }
    self->zmq_safe_ms = now_ms;
    return 1;
}

//  Pump thread only, with the instance's lock held. Notes whether each broker has
//  sent its whole list, if it is there.
static void
zb_links_status_ (zb_t *self)
{
    zb_links_count_ counts = zb_links_counts_ (&self->links);
    self->list_complete = counts.up > 0 && self->markers >= counts.up
                          && counts.up + counts.refused == self->links.size;
}

//  --------------------------------------------------------------------------
//  ZeroMQ: opened and closed
//
//  The pump opens and closes the socket and its connections. A thread of its own
//  starts those of ZeroMQ.

//  Pump thread only. Sets the keys, before the first connection. A key that
//  ZeroMQ does not take is an error, because nothing must be sent in clear.
static int
zb_curve_apply_ (zb_t *self)
{
    if (!*self->server_key)
        return 0;
    return zmq_setsockopt (self->socket, ZMQ_CURVE_SERVERKEY, self->server_key,
                           ZB_KEY_SIZE_)
               || zmq_setsockopt (self->socket, ZMQ_CURVE_PUBLICKEY,
                                  self->public_key, ZB_KEY_SIZE_)
               || zmq_setsockopt (self->socket, ZMQ_CURVE_SECRETKEY,
                                  self->secret_key, ZB_KEY_SIZE_)
             ? -1
             : 0;
}

//  Pump thread only.
static int
zb_zmq_connect_ (zb_t *self)
{
    static const struct {
        int option, value;
    } options[] = {
      {ZMQ_SNDHWM, ZB_HWM_},
      {ZMQ_XPUB_NODROP, 1},  //  say EAGAIN rather than drop
      {ZMQ_IMMEDIATE, 1},    //  no pipe without a connection
      {ZMQ_IPV6, 1},
      {ZMQ_CONNECT_TIMEOUT, ZB_LINK_LIMIT_MS_},
      {ZMQ_RECONNECT_IVL_MAX, ZB_LINK_RETRY_MS_},
      //  No ZMQ_HEARTBEAT_IVL: when a connection breaks that ZeroMQ does not
      //  read (RCVHWM), a heartbeat ends the program (libzmq issue 4364). TCP
      //  does the same; a broker does not send heartbeats to us either.
      {ZMQ_TCP_KEEPALIVE, 1},
      {ZMQ_TCP_KEEPALIVE_IDLE, ZB_ALIVE_S_},
      {ZMQ_TCP_KEEPALIVE_INTVL, ZB_ALIVE_S_},
      {ZMQ_TCP_MAXRT, ZB_DEAD_MS_},  //  for probes as for data
      //  ZeroMQ takes all in at once that comes while it does so: by this it
      //  has to wait for each
      {ZMQ_RCVHWM, ZB_AHEAD_MAX_},
    };
    const int64_t frame_max = ZB_SUBSCRIPTION_MAX_;
    size_t i;
    zmq_setsockopt (self->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    for (i = 0; i < sizeof options / sizeof *options; i++)
        zb_socket_set_ (self->socket, options[i].option, options[i].value);
    if (zb_curve_apply_ (self) == -1)
        return -1;
    return zb_links_open_ (&self->links, self->context, self->socket,
                           self->endpoint);
}

//  Pump thread only. Opens what the pump sleeps on: ZeroMQ's two descriptors,
//  and the one that wakes all pumps.
static int
zb_zmq_watch_ (zb_t *self)
{
    struct epoll_event event;
    int fd[3] = {zb_wake_open_ ()}, i;
    size_t size = sizeof (int);
    if (fd[0] == -1 || (self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC)) == -1)
        return -1;
    zmq_getsockopt (self->socket, ZMQ_FD, &fd[1], &size);
    zmq_getsockopt (self->links.monitor, ZMQ_FD, &fd[2], &size);
    for (i = 0; i < 3; i++) {
        memset (&event, 0, sizeof event);
        event.events = i == 0 ? EPOLLIN | (uint32_t) EPOLLET : EPOLLIN;
        event.data.u32 = i > 0;
        if (epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, fd[i], &event) == -1)
            return -1;
    }
    return 0;
}

//  Pump thread only. Closes whatever is open. ZeroMQ may take long for it, if
//  it is asking a name server.
static void
zb_zmq_close_ (zb_t *self, int linger_ms)
{
    int fd = self->epoll_fd;
    //  the member first, then the descriptor: a child forked between the two
    //  would close a number that may be another file's
    __atomic_store_n (&self->epoll_fd, -1, __ATOMIC_RELEASE);
    zb_close_fd_ (fd);
    zb_links_close_ (&self->links);
    if (self->socket) {
        zb_socket_set_ (self->socket, ZMQ_LINGER, linger_ms);
        zmq_close (self->socket);
    }
    self->socket = NULL;
    while (self->context && !self->context_given
           && zmq_ctx_term (self->context) == -1 && errno == EINTR) {
        //  a debugger has interrupted it
    }
    self->context = NULL;
}

//  Returns a number that stands for the calling thread's root directory, or 0 if
//  that cannot be read.
static uint64_t
zb_root_ (void)
{
    struct stat root;
    return stat ("/", &root) == 0
             ? zb_mix_ ((uint64_t) root.st_dev, (uint64_t) root.st_ino) | 1
             : 0;
}

//  A thread that makes the socket, and by it ZeroMQ's threads. Returns an errno,
//  or NULL.
//
//  While a thread is inside execve, Linux starts no thread that shares root,
//  working directory and umask with it (fs_struct's in_exec, see copy_fs in
//  kernel/fork.c). pthread_create fails with EAGAIN, and ZeroMQ ends the program
//  for that (thread.cpp). A check before does not help: an execve may begin
//  behind it. So ZeroMQ's threads are started by this one, which has stopped to
//  share these with the host. It may fail to start itself, as any thread; then
//  the pump tries again later.
//
//  What ZeroMQ's threads open by path: the files of the resolver, and ipc://
//  endpoints. They have the host's root, until that calls chroot: then they are
//  started again (zb_pump_follow_), since a thread must not stay outside. Their
//  working directory is "/", which keeps no file system busy; but that of the
//  host if an endpoint may be a relative path. They make no files, so their umask
//  is not used.
//
//  A filter may refuse unshare. Then all is shared, and an execve that begins
//  between zb_spare_threads_ and the second of ZeroMQ's threads does harm. So it
//  is with a context of the host's, since its threads must be like the host's.
static void *
zb_zmq_begin_ (void *argument)
{
    enum { ZB_CLONE_FS_ = 0x200 };  //  CLONE_FS (linux/sched.h)
    zb_t *self = (zb_t *) argument;
    void *error;
    self->root = 0;
    if (!self->context_given && syscall (SYS_unshare, ZB_CLONE_FS_) == 0) {
        self->root = zb_root_ ();
        if (!strstr (self->endpoint, "ipc://") && chdir ("/") == -1) {
            //  a filter: then it stays where the host was
        }
    }
    error = zb_spare_threads_ ((void *) (intptr_t) ZB_SPARE_THREADS_);
    if (!error && !(self->socket = zmq_socket (self->context, ZMQ_XPUB)))
        error = (void *) (intptr_t) errno;
    return error;
}

//  Pump thread only. Makes the socket. Returns -1, errno set.
static int
zb_zmq_socket_ (zb_t *self)
{
    pthread_t thread;
    void *error;
    self->context = self->context_given ? self->context_given : zmq_ctx_new ();
    if (!self->context)
        return -1;
    errno = pthread_create (&thread, NULL, zb_zmq_begin_, self);
    if (errno)
        return -1;
    pthread_join (thread, &error);
    errno = (int) (intptr_t) error;
    return self->socket ? 0 : -1;
}

//  Pump thread only. Opens socket and connections, after checking that ZeroMQ
//  will get all it needs. Returns -1, errno set, with nothing left open.
static int
zb_zmq_open_ (zb_t *self)
{
    int keep;
    if (zb_zmq_calls_ () == -1 || zb_spare_descriptors_ (ZB_SPARE_FDS_) == -1)
        return -1;
    if (zb_zmq_socket_ (self) == 0 && zb_zmq_connect_ (self) == 0
        && zb_zmq_watch_ (self) == 0) {
        self->zmq_pending = 1;
        return 0;
    }
    keep = errno;
    zb_zmq_close_ (self, 0);
    errno = keep;
    return -1;
}

//  --------------------------------------------------------------------------
//  Reports: changes since the last scan
//
//  A scan marks the series of which the next report may have news.

//  Why a series is reported.
typedef enum { ZB_NOTHING_, ZB_CHANGED_, ZB_REPEATED_ } zb_due_;

//  Called with the instance's lock held. The total of a counter: of all its
//  threads, and of those that have ended.
static double
zb_series_total_ (const zb_series_ *self)
{
    double total = self->total;
    const zb_slot_ *slot;
    for (slot = self->slots; slot; slot = slot->next)
        total += zb_get_double_ (&slot->total);
    return total;
}

//  Called with the instance's lock held. The number of a timer's samples,
//  likewise.
static uint64_t
zb_series_count_ (const zb_series_ *self)
{
    uint64_t count = self->retired->count;
    const zb_slot_ *slot;
    for (slot = self->slots; slot; slot = slot->next)
        count += zb_get_ (&slot->by_kind.timer->count);
    return count;
}

//  Called with the instance's lock held. Returns 1 if there is something new to
//  report. A total that has overflowed is not a number, and is never reported.
static int
zb_series_changed_ (const zb_series_ *self)
{
    double total;
    if (!self->maybe_changed)
        return 0;
    if (self->type == ZB_TYPE_TIMER)
        return zb_series_count_ (self) != self->reported.count;
    total = zb_series_total_ (self);
    return total != self->reported.total && zb_finite_ (total);
}

//  Called with the instance's lock held. Marks the series that a thread has
//  changed since the last scan, and takes the thread's readings.
static void
zb_share_scan_ (zb_t *self, zb_share_ *share)
{
    zb_slot_ *slot;
    zb_share_drain_ (self, share);
    for (slot = share->slots; slot; slot = slot->sibling) {
        if (slot->kind == ZB_TYPE_TIMER) {
            const zb_timer_ *timer = slot->by_kind.timer;
            slot->series->maybe_changed |=
              zb_get_ (&timer->count) != timer->count_read;
        }
        else if (slot->kind == ZB_TYPE_COUNTER) {
            double total = zb_get_double_ (&slot->total);
            slot->series->maybe_changed |= total != slot->by_kind.total_seen;
            slot->by_kind.total_seen = total;
        }
    }
}

//  Called with the instance's lock held. The child of a fork reports what its
//  parent had not reported. The parent may also have ended with reports still
//  in ZeroMQ's pipe; so what it reported in the last seconds is reported again
//  when there is a listener.
static void
zb_series_inherit_ (zb_series_ *self)
{
    self->maybe_changed = 1;
    if (self->reported.known
        && zb_clock_ms_ () - self->reported.at_ms < ZB_KEPT_MS_)
        self->pending = ZB_PENDING_INHERITED_;
}

//  Which threads a scan looks at.
typedef enum { ZB_SCAN_CHANGED_, ZB_SCAN_ALL_ } zb_scan_kind_;

//  Called with the instance's lock held. Scans the threads that have set
//  `changed`, or all. A thread may be interrupted between a change and its
//  mark, so a last report scans all. The mark is cleared before the scan
//  (acquire, pairs with the thread's release): a change after that sets it
//  again.
static void
zb_scan_ (zb_t *self, zb_scan_kind_ which)
{
    zb_share_ *share;
    zb_level_ *level;
    size_t i;
    for (share = self->shares; share; share = share->next)
        if (which == ZB_SCAN_ALL_
            || __atomic_load_n (&share->changed, __ATOMIC_RELAXED)) {
            __atomic_exchange_n (&share->changed, 0, __ATOMIC_ACQUIRE);
            zb_share_scan_ (self, share);
        }
    for (level = self->levels; level; level = level->next)
        if (level->inherited == 1) {
            level->inherited = 2;
            for (i = 0; i < level->series_size; i++)
                zb_series_inherit_ (level->series[i]);
        }
}

//  --------------------------------------------------------------------------
//  Reports: due series
//
//  A series is due if it has changed, if its level has a new listener, or if it
//  is to be repeated.

//  Called with the instance's lock held. Returns 1 if a report may still be on
//  its way when the stream ends: then it is repeated, so that a lost one heals,
//  unless it is in the same message as the end. What the child of a fork may
//  have reported needs a higher SEQ, too.
static int
zb_series_is_open_ (const zb_t *instance, const zb_series_ *self,
                    const zb_level_ *level, int64_t age_ms)
{
    const zb_reported_ *reported = &self->reported;
    return instance->stop && !instance->classic
           && reported->repeated != ZB_AGAIN_LAST_
           && reported->seq < level->message_seq
           && (age_ms < ZB_KEPT_MS_ || reported->seq < level->child_seq_end);
}

//  Called with the instance's lock held. Returns 1 if nothing is reported any
//  more of a parent's stream: no SEQ is left, or the parent has said itself that
//  this was all. A reader soon forgets a stream that has ended, and would count
//  what comes later as a new one.
static int
zb_level_is_over_ (const zb_level_ *self)
{
    return self->inherited
           && (self->seq == self->child_seq_end
               || (self->end_sent
                   && __atomic_load_n (self->end_sent, __ATOMIC_ACQUIRE)));
}

//  Called with the instance's lock held. Decides whether a series is reported
//  in this round. Classic lines are never repeated, because they would be
//  counted twice. An inherited series is reported if it has changed, and
//  repeated once.
static zb_due_
zb_series_due_ (const zb_t *instance, zb_series_ *self, const zb_level_ *level,
                int64_t now_ms)
{
    const zb_reported_ *reported = &self->reported;
    int64_t age_ms = now_ms - reported->at_ms;
    int report_now =
      instance->stop || instance->round != instance->round_wanted;
    if (zb_level_is_over_ (level))
        return ZB_NOTHING_;
    if (zb_series_changed_ (self))
        return ZB_CHANGED_;
    self->maybe_changed = 0;
    if (level->inherited)
        return self->pending == ZB_PENDING_INHERITED_
                   && (reported->listen_epoch != level->listen_epoch
                       || (!reported->repeated && age_ms >= ZB_QUIET_MS_))
                 ? ZB_REPEATED_
                 : ZB_NOTHING_;
    //  a new series is reported with total 0, but not at once: its thread is
    //  probably just about to add the first value
    if (!reported->known)
        return self->pending == ZB_PENDING_ZERO_
                   && (report_now || age_ms >= ZB_QUIET_MS_)
                   && zb_finite_ (zb_series_total_ (self))
                 ? ZB_CHANGED_
                 : ZB_NOTHING_;
    if (reported->listen_epoch == level->listen_epoch
        && age_ms < (reported->repeated ? ZB_BEAT_MS_ : ZB_QUIET_MS_)
        && !zb_series_is_open_ (instance, self, level, age_ms))
        return ZB_NOTHING_;
    return instance->classic ? ZB_NOTHING_ : ZB_REPEATED_;
}

//  Called with the instance's lock held. Returns the index of the next series
//  that is due, from `at` on, or series_size. This loop is the longest of the
//  pump, so it prefetches what it will look at.
static size_t
zb_level_next_due_ (const zb_t *instance, const zb_level_ *self, size_t at,
                    int64_t now_ms, zb_due_ *due)
{
    enum { AHEAD = 24 };
    for (*due = ZB_NOTHING_; at < self->series_size; at++) {
        if (at + 2 * AHEAD < self->series_size) {
            __builtin_prefetch (self->series[at + 2 * AHEAD]);
            if (self->series[at + AHEAD]->maybe_changed)
                __builtin_prefetch (self->series[at + AHEAD]->slots);
        }
        *due = zb_series_due_ (instance, self->series[at], self, now_ms);
        if (*due != ZB_NOTHING_)
            break;
    }
    return at;
}

//  Called with the instance's lock held. Adds up the parts of a timer. Returns
//  -1 if one could not be read as a consistent set. If that was inherited, its
//  thread does not exist and can never finish writing, so the series is given
//  up.
static int
zb_series_sum_ (zb_sum_ *sum, zb_series_ *self)
{
    zb_slot_ *slot;
    int rc = 0;
    zb_sum_clear_ (sum);
    zb_sum_add_ (sum, self->retired);
    for (slot = self->slots; slot; slot = slot->next)
        if (zb_sum_timer_ (sum, slot->by_kind.timer) == -1)
            rc = -1;
    zb_range_add_ (&self->range, sum->range);
    sum->range = self->range;
    if (rc == -1 && self->level->inherited)
        self->maybe_changed = 0;
    return rc;
}

//  Called with the instance's lock held. Gives a level its stream ID at the
//  first report. Its age tells a ledger whether it has seen the stream from the
//  beginning.
static void
zb_level_birth_ (zb_t *instance, zb_level_ *self, uint64_t unix_ms)
{
    if (*self->id)
        return;
    if (!instance->random)
        instance->random = zb_random_ ();
    self->born_ms = zb_boot_ms_ ();
    self->id_size = (size_t) snprintf (
      self->id, sizeof self->id, "|%llx-%016llx:", (unsigned long long) unix_ms,
      (unsigned long long) instance->random);
}

//  --------------------------------------------------------------------------
//  Lines: a report as text
//
//  A series or a reading becomes a line of the wire format (section 3).

//  Writes |time|
static void
zb_put_time_ (zb_text_ *text, uint64_t unix_ms)
{
    zb_put_char_ (text, '|');
    zb_put_uint_ (text, unix_ms / 1000);
    zb_put_decimals_ (text, unix_ms % 1000, 3);
    zb_put_char_ (text, '|');
}

//  Writes |ID:SEQ
static void
zb_put_stream_ (zb_text_ *text, const zb_level_ *level, uint64_t seq)
{
    zb_put_ (text, level->id, level->id_size);
    zb_put_uint_ (text, seq);
}

//  Writes i=n,i=n in ascending order.
static void
zb_put_buckets_ (zb_text_ *text, const zb_sum_ *sum)
{
    size_t start = text->size;
    int i, j;
    for (i = 0; i < ZB_PAGES_; i++) {
        const uint64_t *page = sum->page[i];
        for (j = 0; page && j < ZB_PAGE_SIZE_; j++) {
            if (page[j] == 0)
                continue;
            if (text->size != start)
                zb_put_char_ (text, ',');
            zb_put_int_ (text, i * ZB_PAGE_SIZE_ + j + ZB_BUCKET_0_);
            zb_put_char_ (text, '=');
            zb_put_uint_ (text, page[j]);
        }
    }
}

//  Writes :COUNT:SUM:SUMSQ:MIN:MAX:BUCKETS
static void
zb_put_sum_ (zb_text_ *text, const zb_sum_ *sum)
{
    int any = sum->range.min_ns <= sum->range.max_ns;
    zb_put_char_ (text, ':');
    zb_put_uint_ (text, sum->count);
    zb_put_char_ (text, ':');
    zb_put_seconds_ (text, sum->sum_ns);
    zb_put_char_ (text, ':');
    zb_put_squares_ (text, sum->sum_squares);
    zb_put_char_ (text, ':');
    zb_put_seconds_ (text, any ? sum->range.min_ns : 0);
    zb_put_char_ (text, ':');
    zb_put_seconds_ (text, any ? sum->range.max_ns : 0);
    zb_put_char_ (text, ':');
    zb_put_buckets_ (text, sum);
}

//  Called with the instance's lock held. Writes the line of a gauge. `sent` is the
//  field SENT: the gauges that were sent before this message.
static void
zb_put_reading_ (const zb_t *instance, zb_text_ *text,
                 const zb_reading_ *reading, uint64_t seq, uint64_t sent)
{
    const zb_series_ *series = reading->series;
    zb_put_ (text, zb_series_head_ (series), series->head_size);
    zb_put_double_ (text, reading->value);
    zb_put_time_ (text, reading->time);
    zb_put_ (text, zb_series_source_ (series), series->source_size);
    if (instance->classic)
        return;
    zb_put_stream_ (text, series->level, seq);
    zb_put_char_ (text, ':');
    zb_put_uint_ (text, sent);
}

//  A message being filled.
typedef struct {
    zb_text_ text;
    zb_level_ *level;
    size_t at;               //  next series of the level
    size_t states, changed;  //  lines of series, and new ones of them
    size_t readings;         //  lines of the queue, from zb_queue_due_ on
    size_t head_max;         //  bytes of the first line, at most
    int unread;              //  1: a timer has to wait for the next round
    int ended;               //  1: its last line ends the stream
    uint64_t gauge_seq;      //  the level's before
    int64_t now_ms;
    uint64_t unix_ms;
    char time[32];  //  |time|, of all lines of series
    size_t time_size;
} zb_message_;

//  Called with the instance's lock held. Writes the line of a counter or timer,
//  and notes it as reported. A line that is only repeated says the same as the
//  last time. Returns -1 if the series has to wait for the next round.
static int
zb_put_state_ (zb_t *self, zb_text_ *text, zb_series_ *series,
               const zb_message_ *message, zb_due_ due)
{
    zb_level_ *level = series->level;
    zb_reported_ *reported = &series->reported;
    uint64_t first = reported->known ? reported->first : level->seq;
    double total = 0;
    int timed = series->type == ZB_TYPE_TIMER;
    if (timed && zb_series_sum_ (&self->sum, series) == -1)
        return -1;
    zb_put_ (text, zb_series_head_ (series), series->head_size);
    if (timed)
        zb_put_seconds_ (text, self->sum.sum_ns - reported->sum_ns);
    else {
        total =
          due == ZB_REPEATED_ ? reported->total : zb_series_total_ (series);
        zb_put_double_ (text, total - reported->total);
    }
    zb_put_ (text, message->time, message->time_size);
    zb_put_ (text, zb_series_source_ (series), series->source_size);
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
    reported->first = first;
    reported->seq = level->seq;
    reported->known = 1;
    reported->total = total;
    reported->count = timed ? self->sum.count : 0;
    reported->sum_ns = timed ? self->sum.sum_ns : 0;
    reported->listen_epoch = level->listen_epoch;
    level->seq++;
    return 0;
}

//  --------------------------------------------------------------------------
//  Messages: written, as lines of one level
//
//  A message is written under the lock and sent without it. A series is noted
//  as reported when its line is written. That is undone if ZeroMQ's pipe has no
//  room for the message.

//  Called with the instance's lock held. Empties the message. The walk over the
//  level's series goes on where it was.
static void
zb_message_begin_ (zb_message_ *self, zb_t *instance, size_t capacity)
{
    zb_level_ *level = self->level;
    self->text.text = instance->message + ZB_HEAD_MAX_;
    self->text.size = 0;
    self->text.capacity = capacity;
    self->states = self->changed = self->readings = 0;
    self->unread = self->ended = 0;
    self->head_max = instance->classic
                       ? 0
                       : strlen (level->name) + strlen ("|Stream")
                           + sizeof level->id + ZB_UINT_SIZE_;
    self->gauge_seq = level->gauge_seq;
    level->message_seq = level->seq;
}

//  All lines of series in one message have the same time, so its text is made
//  once.
static void
zb_message_date_ (zb_message_ *self, uint64_t unix_ms)
{
    zb_text_ time = {self->time, 0, sizeof self->time};
    zb_put_time_ (&time, unix_ms);
    self->time_size = time.size;
    self->unix_ms = unix_ms;
}

//  Called with the instance's lock held. Returns the room for the next line:
//  behind the last line and its '\n'. There is none if the first line might have
//  none.
static zb_text_
zb_message_line_ (const zb_message_ *self)
{
    size_t at = self->text.size + (self->text.size > 0);
    size_t used = at + self->head_max + ZB_UINT_SIZE_;
    int full = used > self->text.capacity
               || self->head_max + ZB_UINT_SIZE_ > ZB_HEAD_MAX_;
    zb_text_ line = {self->text.text + at, 0,
                     full ? 0 : self->text.capacity - used};
    return line;
}

//  Called with the instance's lock held. Adds a line that was written into the
//  room. Returns -1 if the line has filled the room: then it may be cut, and is
//  not added.
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

//  Called with the instance's lock held. Adds the line of a series that is due.
//  Returns -1 if the message is full.
static int
zb_message_state_ (zb_t *self, zb_message_ *message, zb_series_ *series,
                   zb_due_ due)
{
    zb_level_ *level = message->level;
    zb_text_ line = zb_message_line_ (message);
    zb_reported_ before = series->reported;
    if (zb_put_state_ (self, &line, series, message, due) == -1) {
        message->unread = 1;
        return 0;
    }
    if (zb_message_add_ (message, &line) == -1) {
        series->reported = before;
        level->seq--;
        return -1;
    }
    series->reported.at_ms = message->now_ms;
    series->reported.repeated = 0;
    if (due == ZB_REPEATED_)
        series->reported.repeated = self->stop ? ZB_AGAIN_LAST_ : ZB_AGAIN_;
    message->head_max += series->type == ZB_TYPE_TIMER ? ZB_UINT_SIZE_ : 0;
    if (level->inherited)
        series->pending = ZB_PENDING_INHERITED_;
    self->undo[message->states].series = series;
    self->undo[message->states].reported = before;
    self->undo[message->states++].range = series->range;
    //  MIN and MAX are since the last report
    series->range = zb_range_none_;
    message->changed += due == ZB_CHANGED_;
    return 0;
}

//  Called with the instance's lock held. Adds the series that are due, from
//  message->at on. A classic message has one line.
static void
zb_message_series_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    size_t max = self->classic ? 1 : ZB_LINES_MAX_;
    zb_due_ due;
    for (; message->states < max; message->at++) {
        message->at =
          zb_level_next_due_ (self, level, message->at, message->now_ms, &due);
        if (due == ZB_NOTHING_)
            return;
        if (zb_message_state_ (self, message, level->series[message->at], due)
            == -1)
            return;
    }
}

//  Called with the instance's lock held. Adds readings: first those that a new
//  listener may have missed, then new ones, so that SEQ ascends.
static void
zb_message_readings_ (const zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    const zb_queue_ *queue = &level->queue;
    size_t max = ZB_LINES_MAX_, at;
    if (self->classic)
        max = message->states == 0;
    zb_queue_prune_ (self, &level->queue, message->now_ms);
    for (at = zb_queue_due_ (queue);
         at < queue->size && message->readings < max; at++) {
        zb_text_ line = zb_message_line_ (message);
        zb_put_reading_ (self, &line, &zb_queue_at_ (queue, at)->reading,
                         message->gauge_seq - queue->sent + at,
                         message->gauge_seq);
        if (zb_message_add_ (message, &line) == -1)
            return;
        message->readings++;
        level->gauge_seq += at >= queue->sent;
    }
}

//  --------------------------------------------------------------------------
//  Messages: last line, and first
//
//  The last message of a stream says what should have come. The first line of each
//  message, Stream, is written last: only then is it known what that says.

//  Called with the instance's lock held. Has the stream an end that was not sent?
//  It has none if children of forks, who may report for it, could not know.
static int
zb_level_is_open_ (const zb_t *instance, const zb_level_ *self)
{
    return instance->stop && !instance->classic && !self->inherited
           && !self->ended && (self->seq || self->gauge_seq)
           && (self->end_sent || !self->child_seq_end);
}

//  Called with the instance's lock held. Ends the stream with the message, if
//  all that there is has been sent by then: the line says what should have come.
static void
zb_message_end_ (const zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    zb_text_ line = zb_message_line_ (message);
    uint64_t series = 0, seqs = 0;
    size_t i;
    if (!zb_level_is_open_ (self, level) || message->unread
        || message->at < level->series_size
        || zb_queue_due_ (&level->queue) + message->readings
             < level->queue.size)
        return;
    for (i = 0; i < level->series_size; i++)
        if (level->series[i]->reported.known) {
            series++;
            seqs += level->series[i]->reported.seq;
        }
    if (!series && !level->gauge_seq)
        return;
    zb_put_string_ (&line, level->name);
    zb_put_string_ (&line, "|End");
    zb_put_ (&line, level->id, level->id_size - 1);
    zb_put_char_ (&line, '|');
    zb_put_uint_ (&line, series);
    zb_put_char_ (&line, '|');
    zb_put_uint_ (&line, seqs);
    zb_put_char_ (&line, '|');
    zb_put_uint_ (&line, level->gauge_seq);
    message->ended = zb_message_add_ (message, &line) == 0;
}

//  Called with the instance's lock held. Writes the first line: how old the
//  stream is, and how many samples each timer has that are new in this message.
//  It is written to the beginning of the buffer, then moved up to the others.
static void
zb_message_head_ (zb_t *self, zb_message_ *message)
{
    const zb_level_ *level = message->level;
    zb_text_ head = {self->message, 0, ZB_HEAD_MAX_};
    size_t i;
    char separator = '|';
    zb_put_string_ (&head, level->name);
    zb_put_string_ (&head, "|Stream");
    zb_put_ (&head, level->id, level->id_size - 1);
    zb_put_char_ (&head, '|');
    zb_put_uint_ (&head, (uint64_t) (zb_boot_ms_ () - level->born_ms));
    for (i = 0; i < message->states; i++) {
        const zb_series_ *series = self->undo[i].series;
        if (series->type != ZB_TYPE_TIMER)
            continue;
        zb_put_char_ (&head, separator);
        zb_put_uint_ (&head,
                      series->reported.count - self->undo[i].reported.count);
        separator = ',';
    }
    zb_put_char_ (&head, '\n');
    message->text.text -= head.size;
    message->text.size += head.size;
    memmove (message->text.text, head.text, head.size);
}

//  --------------------------------------------------------------------------
//  Messages: sent, or undone
//
//  The pump fills, sends and accounts for the messages of one level after the
//  other.

//  Called with the instance's lock held. ZeroMQ has taken the message.
static void
zb_message_sent_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    zb_queue_ *queue = &level->queue;
    size_t due = zb_queue_due_ (queue), resent = queue->to_resend, i;
    if (resent > message->readings)
        resent = message->readings;
    for (i = 0; i < message->readings; i++)
        zb_queue_at_ (queue, due + i)->sent_ms = message->now_ms;
    queue->to_resend -= resent;
    queue->sent += message->readings - resent;
    zb_queue_prune_ (self, queue, message->now_ms);
    level->sending = 0;
    level->ended = message->ended;
    if (message->ended && level->end_sent)
        __atomic_store_n (level->end_sent, 1, __ATOMIC_RELEASE);
    if (level->inherited)
        message->changed = 0;
    self->stats.sent += message->changed + message->readings - resent;
    self->stats.repeated += message->states - message->changed + resent;
    self->stats.messages++;
    self->stats.bytes += message->text.size;
}

//  Called with the instance's lock held. ZeroMQ had no room. The series are as
//  they were before. Their ranges are merged, not replaced: a thread that ended
//  meanwhile may have widened them.
static void
zb_message_undo_ (zb_t *self, zb_message_ *message)
{
    while (message->states--) {
        zb_series_ *series = self->undo[message->states].series;
        series->reported = self->undo[message->states].reported;
        series->maybe_changed = 1;
        zb_range_add_ (&series->range, self->undo[message->states].range);
    }
    message->level->seq = message->level->message_seq;
    message->level->gauge_seq = message->gauge_seq;
    message->level->sending = 0;
}

//  Pump thread only, without the lock. Goes to the next series that is due.
//  Returns 0 if the level has nothing to send, which is so in most rounds: then
//  ZeroMQ is not called, since each call takes system calls.
static int
zb_message_find_due_ (zb_t *self, zb_message_ *message)
{
    zb_level_ *level = message->level;
    zb_due_ due;
    int found = 0;
    pthread_mutex_lock (&self->lock);
    message->now_ms = zb_clock_ms_ ();
    if (level->has_listener && !zb_level_pauses_ (self, level)
        && !self->orphaned) {
        zb_queue_prune_ (self, &level->queue, message->now_ms);
        message->at =
          zb_level_next_due_ (self, level, message->at, message->now_ms, &due);
        found = due != ZB_NOTHING_
                || zb_queue_due_ (&level->queue) < level->queue.size
                || zb_level_is_open_ (self, level);
    }
    pthread_mutex_unlock (&self->lock);
    return found;
}

//  Pump thread only, without the lock. Fills the message with what is due.
static void
zb_message_fill_ (zb_t *self, zb_message_ *message)
{
    pthread_mutex_lock (&self->lock);
    zb_message_begin_ (message, self, ZB_MESSAGE_MAX_);
    message->now_ms = zb_clock_ms_ ();
    zb_message_date_ (message, zb_clock_read_ (CLOCK_REALTIME) / 1000000);
    if (message->level->has_listener && !zb_level_pauses_ (self, message->level)
        && !self->orphaned) {
        zb_level_birth_ (self, message->level, message->unix_ms);
        zb_message_series_ (self, message);
        if (self->stop && message->at == message->level->series_size) {
            //  what an earlier message had may have to be repeated
            message->at = 0;
            zb_message_series_ (self, message);
        }
        zb_message_readings_ (self, message);
        zb_message_end_ (self, message);
        if (message->text.size && !self->classic)
            zb_message_head_ (self, message);
        message->level->sending = message->readings > 0;
    }
    pthread_mutex_unlock (&self->lock);
}

//  Pump thread only, without the lock. Sends all that is due at a level.
//  Returns -1 if ZeroMQ's pipe is full, or there is no connection; the next
//  round goes on. The lock is not held while ZeroMQ is called.
static int
zb_report_ (zb_t *self, zb_level_ *level)
{
    zb_message_ message;
    int64_t asked_ms = 0;
    int rc = 0;
    memset (&message, 0, sizeof message);
    message.level = level;
    while (rc != -1 && zb_message_find_due_ (self, &message)) {
        self->zmq_pending = 1;
        //  at most once a millisecond: each call of ZeroMQ takes system calls
        if (asked_ms != message.now_ms) {
            asked_ms = message.now_ms;
            if (!zb_zmq_safe_ (self) || !zb_links_up_ (self))
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
//  Pump: rounds
//
//  The pump is the thread of an instance, which reports every interval_ms. It
//  also opens and closes ZeroMQ, so that no thread of the host waits for that.

//  What is waited for.
typedef enum {
    ZB_HELD_ALL_,     //  whatever waits, for a listener or the next report,
                      //  of this process
    ZB_HELD_WANTED_,  //  what somebody listens to, as far as that is known
    ZB_HELD_AT_STOP_  //  that, and readings that are to be sent again
} zb_held_kind_;

//  Called with the instance's lock held. Counts the measurements that wait.
static uint64_t
zb_held_ (zb_t *self, zb_held_kind_ which)
{
    //  older brokers send no marker: their list counts as complete when no
    //  subscription has come for ZB_SETTLE_MS_
    int settled = which != ZB_HELD_ALL_
                  && (self->list_complete
                      || (self->subscriptions_size > self->questions
                          && zb_clock_ms_ () >= self->settled_ms));
    uint64_t held = 0;
    zb_level_ *level;
    size_t i;
    zb_scan_ (self, ZB_SCAN_ALL_);
    for (level = self->levels; level; level = level->next) {
        if ((settled && !level->has_listener) || zb_level_is_over_ (level)
            || (level->inherited && which == ZB_HELD_ALL_))
            continue;
        held += level->queue.size - level->queue.sent;
        held += which == ZB_HELD_AT_STOP_ ? level->queue.to_resend : 0;
        for (i = 0; i < level->series_size; i++)
            held += (uint64_t) zb_series_changed_ (level->series[i]);
    }
    return held;
}

//  Pump thread only, with the instance's lock held. Losses are reported as a
//  series of their own, zibrato.dropped at level zibrato. It is not subject to
//  max_series.
static void
zb_pump_dropped_ (zb_t *self)
{
    uint64_t dropped = zb_stats_dropped_ (self).dropped;
    if (dropped == self->dropped_reported)
        return;
    if (!self->dropped) {
        size_t max_series = self->max_series;
        zb_label_ label = zb_label_make_ (
          ZB_TYPE_COUNTER, "zibrato",
          zb_name_make_ (self, "zibrato.dropped", NULL), self->source, NULL);
        self->max_series = SIZE_MAX;
        self->dropped = zb_series_find_ (self, &label);
        self->max_series = max_series;
    }
    if (self->dropped) {
        self->dropped->total += (double) (dropped - self->dropped_reported);
        self->dropped->maybe_changed = 1;
    }
    self->dropped_reported = dropped;
}

//  Pump thread only, without the lock. Disconnects brokers for a while if their
//  subscriptions are too many. The memory that those take in ZeroMQ is freed by
//  that.
static void
zb_pump_quarantine_ (zb_t *self)
{
    int64_t now = zb_clock_ms_ ();
    size_t i;
    if (now < self->quarantine_until_ms
        || (self->subscriptions_size + self->overflow + self->markers
              <= ZB_TOPICS_MAX_
            && self->topics_bytes <= ZB_TOPICS_BYTES_MAX_))
        return;
    self->quarantine_until_ms = now + ZB_QUARANTINE_MS_;
    self->zmq_pending = 1;
    //  with a linger time ZeroMQ would go on reading while it has to send
    zb_socket_set_ (self->socket, ZMQ_LINGER, 0);
    for (i = 0; i < self->links.size; i++) {
        zb_link_disconnect_ (&self->links.link[i], self->socket);
        self->links.link[i].state = ZB_LINK_WAITING_;
        self->links.link[i].due_ms = self->quarantine_until_ms;
    }
}

//  Pump thread only, without the lock. Scans the threads, and reports what is
//  due if there is a socket. Who waits in zb_flush is told when the round that
//  it asked for is over.
static void
zb_pump_round_ (zb_t *self, int reports)
{
    zb_level_ *level;
    uint64_t wanted;
    if (self->socket)
        zb_pump_quarantine_ (self);
    pthread_mutex_lock (&self->lock);
    wanted = self->round_wanted;
    if (!self->orphaned) {
        zb_scan_ (self, self->stop || self->round != wanted ? ZB_SCAN_ALL_
                                                            : ZB_SCAN_CHANGED_);
        zb_pump_dropped_ (self);
    }
    level = self->levels;
    pthread_mutex_unlock (&self->lock);
    //  new levels go before the first one, so this walk needs no lock
    for (; level && reports; level = level->next)
        if (zb_report_ (self, level) == -1)
            break;
    pthread_mutex_lock (&self->lock);
    if (self->socket)
        zb_links_status_ (self);
    self->round = wanted;
    pthread_cond_broadcast (&self->event);
    pthread_mutex_unlock (&self->lock);
}

//  --------------------------------------------------------------------------
//  Pump: waiting
//
//  The pump sleeps until the next report, until ZeroMQ has news, or until a
//  thread wakes it.

//  Pump thread only, without the lock. Waits where there is no socket to wait
//  for. A last report has no time to lose, so it waits a tenth.
static void
zb_pump_sleep_ (zb_t *self, int64_t ms)
{
    int64_t max_ms;
    pthread_mutex_lock (&self->lock);
    max_ms = self->stop ? ZB_SLEEP_MS_ / 10 : ZB_SLEEP_MS_;
    zb_wait_ (&self->event, &self->lock,
              zb_clock_ms_ () + (ms < max_ms ? ms : max_ms));
    pthread_mutex_unlock (&self->lock);
}

//  Pump thread only, without the lock. Sleeps until something happens, at most
//  ms. Returns the number of ZeroMQ's events if nothing else woke the pump.
static int
zb_pump_poll_ (zb_t *self, int64_t ms)
{
    struct epoll_event event[3];
    int rc, i, ours = 0;
    rc = epoll_wait (self->epoll_fd, event, 3, ms < 0 ? 0 : (int) ms);
    if (rc == -1)
        zb_pump_sleep_ (self, ms);
    for (i = 0; i < rc; i++)
        ours += event[i].data.u32 == 0;
    self->zmq_pending |= rc > ours;
    return ours ? 0 : rc;
}

//  Pump thread only, without the lock. Takes ZeroMQ's news and connects links
//  that are due. Returns how many news there were. Returns -1 if it is not safe
//  to call ZeroMQ, or, with errno ETERM, if the host has ended the context that
//  it gave us.
static int
zb_pump_ask_ (zb_t *self)
{
    int64_t now_ms;
    int count;
    errno = 0;
    if (!zb_zmq_safe_ (self))
        return -1;
    count = zb_links_update_ (self);
    count += zb_subscriptions_read_ (self);
    if (count == 0 && errno == ETERM)
        return -1;
    now_ms = zb_clock_ms_ ();
    self->zmq_pending = count > 0 || zb_links_due_ (&self->links) <= now_ms;
    zb_links_reconnect_ (&self->links, now_ms);
    return count;
}

//  Pump thread only, without the lock. Sleeps until something is to be done, at
//  most until next_ms. ZeroMQ's descriptors report news once, and only to one
//  who has asked for all of the old news (ZMQ_FD, zmq_getsockopt(3)). So ZeroMQ
//  is asked before each sleep, unless it had nothing to say and was not called
//  since. During a stop it sleeps at most 10 ms, since a thread may have been
//  in the midst of writing a timer. Returns -1 if the host has ended the
//  context that it gave us.
static int
zb_pump_wait_ (zb_t *self, int64_t next_ms, int stop)
{
    int64_t now_ms, due_ms, ms;
    int rc = 0;
    while (rc == 0) {
        now_ms = zb_clock_ms_ ();
        if (!self->socket) {
            zb_pump_sleep_ (self, next_ms - now_ms);
            return 0;
        }
        due_ms = zb_links_due_ (&self->links);
        ms = (due_ms < next_ms ? due_ms : next_ms) - now_ms;
        if (self->zmq_pending || due_ms <= now_ms)
            rc = zb_pump_ask_ (self);
        else if (zb_pump_poll_ (self, stop && ms > 10 ? 10 : ms) <= 0)
            return 0;
    }
    if (rc == -1 && errno == ETERM)
        return -1;
    if (rc == -1)
        zb_pump_sleep_ (self, ZB_SLEEP_MS_);
    return 0;
}

//  --------------------------------------------------------------------------
//  Pump: its life
//
//  The pump opens ZeroMQ, makes rounds until it is stopped, and closes ZeroMQ.

//  Pump thread only, without the lock. Closes ZeroMQ if its threads are outside
//  of the host's root. Series and readings go on with the next socket.
static void
zb_pump_follow_ (zb_t *self)
{
    uint64_t root = self->socket && self->root ? zb_root_ () : 0;
    if (!root || root == self->root || !zb_zmq_safe_ (self))
        return;
    zb_zmq_close_ (self, self->linger_ms);
    self->retry_ms = 0;
    pthread_mutex_lock (&self->lock);
    zb_subscriptions_forget_ (self);
    pthread_mutex_unlock (&self->lock);
}

//  Pump thread only, without the lock. Opens ZeroMQ, if it is not open and a
//  try is due. Returns 1 if reports can be sent. A context that was ended by
//  the host counts as ready: sending then fails at once.
static int
zb_pump_ready_ (zb_t *self, int stop)
{
    int64_t now_ms = zb_clock_ms_ ();
    int error = self->config_error;
    zb_pump_follow_ (self);
    if (!self->socket && !error) {
        if (now_ms < self->retry_ms && !stop)
            return 0;
        self->retry_ms = now_ms + ZB_RETRY_MS_;
        error = zb_zmq_open_ (self) == -1 ? errno : 0;
    }
    pthread_mutex_lock (&self->lock);
    self->error = error;
    pthread_mutex_unlock (&self->lock);
    return self->socket
           && ((!self->zmq_pending && !stop) || zb_pump_ask_ (self) != -1
               || errno == ETERM);
}

//  Called with the instance's lock held. Is there a stream to be ended? That is
//  worth a round, but no waiting.
static int
zb_pump_has_open_ (const zb_t *self)
{
    const zb_level_ *level = self->levels;
    while (level && !(level->has_listener && zb_level_is_open_ (self, level)))
        level = level->next;
    return level != NULL;
}

//  Pump thread only, without the lock. Returns 1 if a stop has nothing left to
//  do, or no time. When the stop is first seen, each connection is tried once
//  more. If all refuse it, or there is none, nothing can be sent.
static int
zb_pump_done_ (zb_t *self, int *stop, int64_t *until_ms)
{
    int64_t now_ms = zb_clock_ms_ ();
    int first, done = 0;
    pthread_mutex_lock (&self->lock);
    first = self->stop && !*stop;
    *stop = self->stop;
    if (self->stop) {
        *until_ms = self->deadline_ms;
        done =
          now_ms >= self->deadline_ms || self->config_error || self->orphaned
          || (!first
              && zb_links_counts_ (&self->links).refused == self->links.size)
          || (zb_held_ (self, ZB_HELD_AT_STOP_) == 0
              && !(first && zb_pump_has_open_ (self)));
    }
    pthread_mutex_unlock (&self->lock);
    if (first && self->socket) {
        zb_links_retry_now_ (&self->links, now_ms);
        self->zmq_pending = 1;
    }
    return done;
}

//  Pump thread only. A thread inherits the affinity of the one that started it,
//  which may be a host's thread bound to one processor. So the pump asks for
//  all of them; the kernel leaves out those that there are not.
static void
zb_pump_set_attributes_ (void)
{
    unsigned long all[128];
    memset (all, 0xff, sizeof all);
    syscall (SYS_sched_setaffinity, 0, sizeof all, all);
    prctl (PR_SET_NAME, "zibrato", 0, 0, 0);
}

//  Pump thread only, without the lock. Closes ZeroMQ. That is done here,
//  because it may take longer than the host can wait.
static void
zb_pump_end_ (zb_t *self, int64_t until_ms)
{
    int64_t left_ms;
    while (self->socket && !zb_zmq_safe_ (self))
        poll (NULL, 0, ZB_SLEEP_MS_);
    left_ms = until_ms - zb_clock_ms_ ();
    zb_zmq_close_ (self, left_ms < 0 ? 0 : (int) left_ms);
    pthread_mutex_lock (&self->lock);
    if (!self->stop)
        self->error = ETERM;
    self->pump_ended = 1;
    pthread_cond_broadcast (&self->event);
    pthread_mutex_unlock (&self->lock);
}

//  Pump thread only, without the lock. Waits a moment before ZeroMQ is opened,
//  unless somebody waits for a report. A process that measures and then
//  executes another program mostly does so at once, and needs no ZeroMQ.
static void
zb_pump_delay_start_ (zb_t *self)
{
    int64_t until_ms = zb_clock_ms_ () + ZB_IDLE_START_MS_;
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    while (rc == 0 && !self->stop && self->round == self->round_wanted)
        rc = zb_wait_ (&self->event, &self->lock, until_ms);
    pthread_mutex_unlock (&self->lock);
}

//  The thread of an instance.
static void *
zb_pump_ (void *argument)
{
    zb_t *self = (zb_t *) argument;
    int64_t until_ms = 0;
    int stop = 0;
    zb_pump_set_attributes_ ();
    zb_pump_delay_start_ (self);
    do {
        zb_tsc_check_ ();
        pthread_mutex_lock (&zb_lock_);
        zb_threads_reap_ (ZB_REAP_IN_ROUND_);
        pthread_mutex_unlock (&zb_lock_);
        zb_pump_round_ (self, zb_pump_ready_ (self, stop));
        until_ms = zb_clock_ms_ () + self->interval_ms;
    } while (!zb_pump_done_ (self, &stop, &until_ms)
             && zb_pump_wait_ (self, until_ms, stop) == 0);
    zb_pump_end_ (self, until_ms);
    return NULL;
}

//  Called with zb_lock_ held. Starts the pump. It inherits neither the
//  scheduling nor the signal mask of the thread that measured first. Returns
//  -1, errno set.
static int
zb_pump_start_ (zb_t *self)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    struct sched_param priority;
    int rc;
    memset (&priority, 0, sizeof priority);
    pthread_attr_init (&attributes);
    pthread_attr_setstacksize (&attributes, ZB_STACK_SIZE_);
    pthread_attr_setinheritsched (&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy (&attributes, SCHED_OTHER);
    pthread_attr_setschedparam (&attributes, &priority);
    //  a thread inherits the mask: signals are for the host's threads only.
    //  ZeroMQ's threads inherit it from the pump
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    self->pump_ended = 0;
    rc = pthread_create (&self->pump, &attributes, zb_pump_, self);
    if (rc == EINVAL || rc == EPERM)
        rc = pthread_create (&self->pump, NULL, zb_pump_, self);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    pthread_attr_destroy (&attributes);
    self->pump_runs = rc == 0;
    pthread_mutex_lock (&self->lock);
    self->error = rc;
    pthread_mutex_unlock (&self->lock);
    errno = rc;
    return rc ? -1 : 0;
}

//  --------------------------------------------------------------------------
//  Options: of an instance, and from the environment
//
//  Each option comes from the caller, from its environment variable, or from
//  its default.

//  Returns the option, or the variable, or the default. Returns -1 if the
//  option is out of range. An invalid variable is ignored.
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

//  Returns the option, or the variable, or the default. An empty string counts
//  as absent.
static const char *
zb_config_string_ (const char *option, const char *variable,
                   const char *missing)
{
    if (!option && variable)
        option = getenv (variable);
    return option && *option ? option : missing;
}

//  Caller owns the return value. Puts an IPv6 address into brackets if it has
//  none. The port has been checked. Returns NULL without memory.
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
        return strdup (endpoint);
    text = (char *) malloc (size);
    if (text)
        snprintf (text, size,
                  strchr (host, ':') && *host != '[' ? "tcp://[%s]:%d"
                                                     : "tcp://%s:%d",
                  host, port);
    return text;
}

//  Returns 1 if each of the endpoints, separated by commas, is valid.
static int
zb_config_endpoints_ok_ (const char *endpoints)
{
    const char *at = endpoints;
    while (at) {
        size_t size = strcspn (at, ",");
        if (!zb_endpoint_ok_ (at, size))
            return 0;
        at = at[size] ? at + size + 1 : NULL;
    }
    return 1;
}

//  Takes the keys for CURVE. They stay in memory, because the child of a fork
//  needs them and may not be allowed to read the file. Returns -1: errno of
//  opening the file, EINVAL, or ENOTSUP if libzmq has no CURVE.
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
    errno = zmq_has ("curve") ? EINVAL : ENOTSUP;
    return *self->secret_key && zmq_has ("curve") ? 0 : -1;
}

//  Takes the tags of all measurements. With any name that has none of its own
//  they are short enough. Returns -1, errno set.
static int
zb_config_tags_ (zb_t *self, const zb_config_t *config)
{
    const char *tags = zb_config_string_ (config->tags, "ZIBRATO_TAGS", "");
    zb_text_ text = {self->name, 0, ZB_NAME_MAX_ - ZB_LABEL_MAX_};
    if (*tags && zb_tags_put_ (&text, 0, tags, ZB_TWICE_REFUSED_) == -1) {
        errno = EINVAL;
        if (config->tags)
            return -1;
        text.size = 0;
    }
    errno = ENOMEM;
    self->tags = strdup (text.size ? text.text + 1 : "");
    return self->tags ? 0 : -1;
}

//  Takes the options. Returns -1, errno set, if one is invalid. An error about
//  the broker's address or keys goes to config_error instead: these may come
//  from the environment, and the default instance then counts although it
//  cannot connect.
static int
zb_config_apply_ (zb_t *self, const zb_config_t *config)
{
    const char *source =
      zb_config_string_ (config->source, "ZIBRATO_SOURCE", "not_specified");
    int max_series = zb_config_int_ (config->max_series, "ZIBRATO_MAX_SERIES",
                                     1, 10000000, 10000);
    //  a variable that is wrong does as if it were not there
    if (!config->source && !zb_label_ok_ (source))
        source = "not_specified";
    self->classic = config->classic == 1;
    //  unless it is empty, or "0"
    self->disabled =
      strcmp (zb_config_string_ (NULL, "ZIBRATO_DISABLE", "0"), "0") != 0;
    self->context_given = config->context;
    self->max_series = (size_t) max_series;
    self->interval_ms = zb_config_int_ (config->interval_ms,
                                        "ZIBRATO_INTERVAL_MS", 1, 3600000, 250);
    self->linger_ms =
      zb_config_int_ (config->linger_ms, "ZIBRATO_LINGER_MS", 0, 3600000, 500);
    errno = EINVAL;
    if (!zb_label_ok_ (source) || max_series == -1 || self->interval_ms == -1
        || self->linger_ms == -1
        || zb_config_int_ (config->port, "", 1, 65535, 0) == -1)
        return -1;
    self->source = strdup (source);
    self->endpoint = zb_config_endpoint_ (config);
    errno = ENOMEM;
    if (!self->source || !self->endpoint
        || zb_config_tags_ (self, config) == -1)
        return -1;
    if (!zb_config_endpoints_ok_ (self->endpoint))
        self->config_error = EINVAL;
    else if (!self->disabled && zb_config_curve_ (self, config) == -1)
        self->config_error = errno;
    return 0;
}

//  --------------------------------------------------------------------------
//  Instances: the list of them
//
//  A thread in zb_flush or zb_stats counts as a user of its instance. zb_close
//  takes the instance off the list first, so that it gets no new users and no
//  second thread closes it. Then it asks the pump to stop, which ends all
//  waits. Then it waits until there is no user left, and frees the instance.

static void
zb_locks_init_ (zb_t *self)
{
    pthread_mutex_init (&self->lock, NULL);
    zb_condition_init_ (&self->event);
}

//  Called when no other thread knows the instance any more.
static void
zb_destroy_ (zb_t **self_p)
{
    zb_t *self = *self_p;
    zb_level_ *level;
    while ((level = self->levels)) {
        self->levels = level->next;
        zb_level_destroy_ (&level);
    }
    zb_shares_destroy_ (&self->parent_shares);
    zb_map_free_ (&self->series);
    zb_arena_free_ (&self->arena);
    zb_arena_free_ (&self->retired);
    free (self->endpoint);
    free (self->source);
    free (self->tags);
    explicit_bzero (self->secret_key, sizeof self->secret_key);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->event);
    free (self);
    *self_p = NULL;
}

//  Caller owns the return value. Returns NULL, errno set. The instance may have a
//  config_error.
static zb_t *
zb_new_ (const zb_config_t *config)
{
    zb_t *self = (zb_t *) calloc (1, sizeof *self);
    int error;
    if (!self)
        return NULL;
    zb_locks_init_ (self);
    self->epoll_fd = -1;
    self->sum.pool = self->sum_pool;
    if (zb_config_apply_ (self, config) == -1) {
        error = errno;
        zb_destroy_ (&self);
        errno = error;
    }
    return self;
}

//  Called with zb_lock_ held.
static void
zb_instance_add_ (zb_t *self)
{
    self->next = zb_instances_;
    zb_instances_ = self;
}

//  Called with zb_lock_ held. Returns the instance if it is open, or NULL: the
//  caller may have a pointer to one that was closed.
static zb_t *
zb_instance_open_ (const zb_t *instance)
{
    zb_t *self = zb_instances_;
    while (self && self != instance)
        self = self->next;
    return self;
}

//  Called with zb_lock_ held. Starts the pumps that do not run: that of the
//  default instance, those that could not be started before, and all of them in
//  the child of a fork, on its first measurement. An instance counts without one.
//  Does nothing before the next try is due; INT64_MAX: it is tried at once.
static void
zb_pumps_start_ (int64_t now_ms)
{
    zb_t *self;
    int failed = 0;
    if (now_ms < zb_pump_retry_ms_)
        return;
    for (self = zb_instances_; self; self = self->next)
        if (!self->disabled && !self->pump_runs && zb_pump_start_ (self) == -1)
            failed = 1;
    if (failed)
        __atomic_store_n (&zb_pump_retry_ms_, zb_clock_ms_ () + ZB_RETRY_MS_,
                          __ATOMIC_RELAXED);
    __atomic_store_n (&zb_pump_missing_, failed, __ATOMIC_RELAXED);
}

//  Called with zb_lock_ held. Returns the instance `to` if it is open, or NULL.
//  NULL means the default, which is opened if there never was one.
static zb_t *
zb_instance_find_ (zb_t *to)
{
    zb_config_t config = ZB_CONFIG_INIT_;
    zb_t *self;
    if (!to && !zb_default_ && !zb_default_closed_) {
        //  it counts in spite of a config_error, which may come from the
        //  environment
        self = zb_new_ (&config);
        zb_default_closed_ = self == NULL;
        if (self) {
            zb_instance_add_ (self);
            zb_default_set_ (self);
            zb_default_implied_ = 1;
            zb_pumps_start_ (zb_clock_ms_ ());
        }
    }
    return to ? zb_instance_open_ (to) : zb_default_;
}

//  Called with zb_lock_ held, for a last report. What the child of a fork has
//  inherited, and has not measured into, is not started: its parent reports that.
static void
zb_pumps_start_last_ (void)
{
    if (zb_pump_missing_ && zb_pump_retry_ms_)
        zb_pumps_start_ (INT64_MAX);
}

//  Called with zb_lock_ held. Counts the calling thread as a user, so that
//  zb_close waits for it. Returns NULL if the instance is not open.
static zb_t *
zb_instance_acquire_ (zb_t *to)
{
    zb_t *self = zb_instance_open_ (to ? to : zb_default_);
    if (self)
        self->users++;
    return self;
}

//  The last user wakes a thread that may wait to free the instance.
static void
zb_instance_release_ (zb_t *self)
{
    pthread_mutex_lock (&zb_lock_);
    if (--self->users == 0)
        pthread_cond_broadcast (&zb_idle_);
    pthread_mutex_unlock (&zb_lock_);
}

//  Called with zb_lock_ held. Takes an instance off the list. No thread can
//  find it any more, and the caller is the only one to end it. Returns -1 if it
//  is not on the list.
static int
zb_instance_remove_ (zb_t *self)
{
    zb_t **at = &zb_instances_;
    while (*at && *at != self)
        at = &(*at)->next;
    if (!*at)
        return -1;
    *at = self->next;
    if (zb_default_ == self) {
        zb_async_count_ (self);
        zb_default_set_ (NULL);
        zb_default_closed_ = 1;
    }
    zb_generation_bump_ ();
    return 0;
}

//  --------------------------------------------------------------------------
//  Instances: opened and closed
//
//  Closing has three steps: off the list, a last report by the pump, and
//  freeing.

//  Asks the pump for a last report, and ends all waits for it. Takes the
//  instance's lock.
static void
zb_instance_stop_ (zb_t *self, int64_t deadline_ms)
{
    pthread_mutex_lock (&self->lock);
    self->stop = 1;
    self->deadline_ms = deadline_ms;
    pthread_cond_broadcast (&self->event);
    pthread_mutex_unlock (&self->lock);
    zb_wake_ ();
}

//  Waits for the end of the pump. Returns -1 if ZeroMQ takes too long for it,
//  or waits for a lock of the loader that the caller holds. Then the pump runs
//  on, but does not touch slots any more.
static int
zb_pump_join_ (zb_t *self)
{
    int rc = 0;
    if (!self->pump_runs)
        return 0;
    pthread_mutex_lock (&self->lock);
    while (!self->pump_ended && rc == 0)
        rc = zb_wait_ (&self->event, &self->lock,
                       self->deadline_ms + ZB_ORPHAN_MS_);
    rc = self->pump_ended ? 0 : -1;
    self->orphaned = rc == -1;
    pthread_mutex_unlock (&self->lock);
    if (rc == 0)
        pthread_join (self->pump, NULL);
    return rc;
}

//  Frees an instance that is off the list and was asked to stop. Threads free
//  their shares later, so these are only marked. That comes after the end of
//  the pump: it reads the slots.
static void
zb_instance_finish_ (zb_t **self_p)
{
    zb_t *self = *self_p;
    zb_share_ *share;
    int late = zb_pump_join_ (self) == -1;
    pthread_mutex_lock (&zb_lock_);
    while (self->users)
        pthread_cond_wait (&zb_idle_, &zb_lock_);
    for (share = self->shares; share; share = share->next)
        share->dead = 1;
    zb_generation_bump_ ();
    if (late) {
        self->next = zb_orphans_;
        zb_orphans_ = self;
    }
    pthread_mutex_unlock (&zb_lock_);
    if (!late)
        zb_destroy_ (&self);
    *self_p = NULL;
}

typedef enum { ZB_ORPHANS_ENDED_, ZB_ORPHANS_ALL_ } zb_orphans_kind_;

//  Called without zb_lock_. Frees the instances whose pump had not ended when
//  they were closed, and what threads had of closed instances. ZB_ORPHANS_ALL_
//  waits for the end of each pump.
static void
zb_orphans_free_ (zb_orphans_kind_ which)
{
    zb_t **at, *self, *ready = NULL;
    zb_share_ *unused;
    pthread_mutex_lock (&zb_lock_);
    unused = zb_shares_unused_;
    zb_shares_unused_ = NULL;
    for (at = &zb_orphans_; (self = *at);) {
        pthread_mutex_lock (&self->lock);
        if (self->pump_ended || which == ZB_ORPHANS_ALL_) {
            *at = self->next;
            self->next = ready;
            ready = self;
        }
        else
            at = &self->next;
        pthread_mutex_unlock (&self->lock);
    }
    pthread_mutex_unlock (&zb_lock_);
    zb_shares_destroy_ (&unused);
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
    zb_entry_ entry;
    if (zb_enter_slow_ (&entry) == -1) {
        errno = EDEADLK;
        return NULL;
    }
    zb_orphans_free_ (ZB_ORPHANS_ENDED_);
    self = zb_new_ (config);
    if (!self)
        entry.error = errno;
    pthread_mutex_lock (&zb_lock_);
    //  before others can find it, since without a thread it is refused
    if (self
        && (self->config_error
            || (!self->disabled && zb_pump_start_ (self) == -1))) {
        entry.error = self->config_error ? self->config_error : errno;
        zb_destroy_ (&self);
    }
    if (self) {
        zb_instance_add_ (self);
        if (!zb_default_ || zb_default_implied_) {
            zb_default_set_ (self);
            zb_default_implied_ = 0;
        }
        zb_generation_bump_ ();
    }
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_slow_ (&entry);
    return self;
}

void
zb_close (zb_t **self_p)
{
    zb_t *self = *self_p;
    int64_t until_ms;
    zb_entry_ entry;
    int rc;
    if (!self || zb_enter_slow_ (&entry) == -1)
        return;
    *self_p = NULL;
    pthread_mutex_lock (&zb_lock_);
    zb_pumps_start_last_ ();
    rc = zb_instance_remove_ (self);
    if (rc == 0) {
        until_ms = zb_clock_ms_ () + self->linger_ms;
        zb_closers_++;
        if (until_ms > zb_closers_until_ms_)
            zb_closers_until_ms_ = until_ms;
    }
    pthread_mutex_unlock (&zb_lock_);
    if (rc == 0) {
        zb_instance_stop_ (self, until_ms);
        zb_instance_finish_ (&self);
        zb_orphans_free_ (ZB_ORPHANS_ENDED_);
        pthread_mutex_lock (&zb_lock_);
        zb_closers_--;
        pthread_cond_broadcast (&zb_idle_);
        pthread_mutex_unlock (&zb_lock_);
    }
    zb_leave_slow_ (&entry);
}

//  --------------------------------------------------------------------------
//  Flush and statistics
//
//  Both count as users of the instance, so that it is not freed meanwhile.

//  What the wait of a flush has to undo when its thread is cancelled.
typedef struct {
    zb_t *instance;
    zb_entry_ entry;
} zb_flush_waiter_;

//  Runs if a thread is cancelled while it waits in zb_flush.
static void
zb_flush_cancelled_ (void *argument)
{
    zb_flush_waiter_ *self = (zb_flush_waiter_ *) argument;
    pthread_mutex_unlock (&self->instance->lock);
    zb_instance_release_ (self->instance);
    zb_leave_slow_ (&self->entry);
}

//  Called with the instance's lock held. Waits for the pump. This is the only
//  place of this header where a thread of the host can be cancelled.
static int
zb_flush_wait_ (zb_flush_waiter_ *waiter, int64_t deadline_ms)
{
    zb_t *self = waiter->instance;
    int rc;
    pthread_cleanup_push (zb_flush_cancelled_, waiter);
    pthread_setcancelstate (waiter->entry.cancel_state, NULL);
    rc = zb_wait_ (&self->event, &self->lock, deadline_ms);
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cleanup_pop (0);
    return rc;
}

//  Asks for rounds of the pump until nothing wanted is held. Returns -1 if time
//  is over, or the pump has ended.
static int
zb_flush_rounds_ (zb_flush_waiter_ *waiter, int64_t deadline_ms)
{
    zb_t *self = waiter->instance;
    uint64_t wanted, held;
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    do {
        wanted = ++self->round_wanted;
        pthread_cond_broadcast (&self->event);
        zb_wake_ ();
        while (rc == 0 && self->round < wanted && !self->stop
               && !self->pump_ended)
            rc = zb_flush_wait_ (waiter, deadline_ms);
        held = zb_held_ (self, ZB_HELD_WANTED_);
        //  wait for the next round: a listener may come, or the pipe get room
    } while (rc == 0 && held && !self->stop && !self->pump_ended && !self->error
             && (rc = zb_flush_wait_ (waiter, deadline_ms)) == 0);
    held = held ? zb_held_ (self, ZB_HELD_WANTED_) : 0;
    pthread_mutex_unlock (&self->lock);
    return held ? -1 : 0;
}

int
zb_flush (zb_t *self, int ms)
{
    int runs = 0, rc = 0;
    zb_flush_waiter_ waiter;
    if (zb_enter_slow_ (&waiter.entry) == -1)
        return -1;
    pthread_mutex_lock (&zb_lock_);
    if (zb_pump_missing_)
        zb_pumps_start_ (INT64_MAX);
    waiter.instance = zb_instance_acquire_ (self);
    if (waiter.instance)
        runs = waiter.instance->pump_runs;
    pthread_mutex_unlock (&zb_lock_);
    if (waiter.instance) {
        if (runs)
            rc = zb_flush_rounds_ (&waiter, zb_clock_ms_ () + ms);
        else
            rc = waiter.instance->disabled ? 0 : -1;
        zb_instance_release_ (waiter.instance);
    }
    zb_leave_slow_ (&waiter.entry);
    pthread_testcancel ();
    return rc;
}

//  Takes the instance's lock.
static void
zb_stats_read_ (zb_t *self, zb_stats_t *stats)
{
    zb_level_ *level;
    uint64_t held;
    pthread_mutex_lock (&self->lock);
    //  first, since it takes readings from the rings, and may drop some
    held = zb_held_ (self, ZB_HELD_ALL_);
    *stats = zb_stats_dropped_ (self);
    stats->held = held;
    stats->measured = stats->sent + stats->held + stats->dropped;
    stats->series = self->series.used;
    stats->connected = __atomic_load_n (&self->connected, __ATOMIC_RELAXED);
    stats->denied = zb_get_ (&self->denied);
    stats->error = self->error ? self->error : self->config_error;
    for (level = self->levels; level; level = level->next)
        stats->listening |= level->has_listener;
    pthread_mutex_unlock (&self->lock);
}

int
zb_stats (zb_t *self, zb_stats_t *stats)
{
    zb_entry_ entry;
    memset (stats, 0, sizeof *stats);
    if (zb_enter_slow_ (&entry) == -1)
        return -1;
    pthread_mutex_lock (&zb_lock_);
    self = zb_instance_acquire_ (self);
    pthread_mutex_unlock (&zb_lock_);
    if (self) {
        zb_stats_read_ (self, stats);
        zb_instance_release_ (self);
    }
    zb_leave_slow_ (&entry);
    return self ? 0 : -1;
}

//  --------------------------------------------------------------------------
//  Lookup: from a label to a slot
//
//  A measurement finds its slot by its label: first in the table of its thread,
//  then with locks.

//  One measurement, with all that names it.
typedef struct {
    zb_label_ label;
    zb_t *to;
    double
      value;      //  of a counter or gauge; of a timer in classic mode: seconds
    uint64_t ns;  //  of a timer,
    uint64_t count;  //  and how many samples of that length; else 1
    uint64_t time;   //  of a gauge, if it was given: see zb_unix_ms_; or 0
    int off;         //  1: zb_find_ has found measuring switched off
} zb_sample_;

//  Called by the owning thread. Returns the thread's slot for a label, without
//  a lock, or NULL. NULL also if instances were opened or closed since: the
//  slow way then updates the thread. NULL if a pump is missing and its next
//  start is due, because the slow way starts it.
static zb_slot_ *
zb_lookup_own_ (const zb_sample_ *sample)
{
    zb_thread_ *thread = zb_self_;
    zb_t *owner = sample->to ? sample->to
                             : __atomic_load_n (&zb_default_, __ATOMIC_ACQUIRE);
    if (!thread || !owner || thread->generation != zb_generation_get_ ())
        return NULL;
    if (__atomic_load_n (&zb_pump_missing_, __ATOMIC_RELAXED)
        && zb_clock_ms_ ()
             >= __atomic_load_n (&zb_pump_retry_ms_, __ATOMIC_RELAXED))
        return NULL;
    return zb_slot_find_ (thread, &sample->label, owner);
}

//  Called with the instance's lock held. Adds samples of a timer, all of one
//  length, to what threads have left.
static void
zb_series_time_ (zb_series_ *self, uint64_t ns, uint64_t count)
{
    zb_range_ range = {ns, ns};
    double square = (double) ns * (double) ns;
    self->maybe_changed = 1;
    self->retired->count += count;
    self->retired->sum_ns += (zb_u128_) ns * count;
    self->retired->sum_squares += square * (double) count;
    zb_sum_bucket_ (self->retired, zb_bucket_ (ns), count);
    if (count)
        zb_range_add_ (&self->range, range);
}

//  Called with both locks held. Adds a measurement whose thread cannot have a
//  slot: without memory, at the end of the thread, or beyond ZB_SLOTS_MAX_.
static void
zb_series_add_ (zb_t *self, zb_series_ *series, const zb_sample_ *sample)
{
    zb_type_t kind = zb_kind_ (self, series->type);
    series->maybe_changed = 1;
    if (kind == ZB_TYPE_COUNTER)
        series->total += sample->value;
    else if (kind == ZB_TYPE_TIMER)
        zb_series_time_ (series, sample->ns, sample->count);
    else if (sample->count != 1)
        self->stats.refused++;
    else {
        zb_reading_ reading = {
          series, sample->value,
          zb_unix_ms_ (sample->time, zb_clock_read_ (CLOCK_REALTIME))};
        zb_queue_put_ (self, &reading);
    }
}

//  Called by the owning thread with zb_lock_ held. Makes the slot for a label
//  that is new in this thread. Returns NULL if the measurement was added or
//  refused.
static zb_slot_ *
zb_slot_make_ (zb_t *self, const zb_sample_ *sample)
{
    const zb_label_ *label = &sample->label;
    zb_thread_ *thread = zb_thread_self_ ();
    zb_slot_ *slot = NULL;
    zb_series_ *series = NULL;
    const char *source = label->source ? label->source : self->source, *name;
    pthread_mutex_lock (&self->lock);
    name = zb_name_make_ (self, label->name, label->tags);
    if (!zb_finite_ (sample->value) || !zb_label_ok_ (label->level) || !name
        || !zb_label_ok_ (source))
        self->stats.refused++;
    else {
        zb_label_ whole =
          zb_label_make_ (label->type, label->level, name, source, NULL);
        series = zb_series_find_ (self, &whole);
    }
    if (series && thread)
        slot = zb_slot_new_ (thread, self, series, label);
    if (series && !slot)
        zb_series_add_ (self, series, sample);
    pthread_mutex_unlock (&self->lock);
    return slot;
}

//  The lookup with locks. Returns NULL if the measurement is done with.
static zb_slot_ *
zb_lookup_slow_ (zb_sample_ *sample)
{
    zb_slot_ *slot = NULL;
    zb_t *owner;
    //  the very first label was hashed before the seed was chosen
    sample->label = zb_label_make_ (sample->label.type, sample->label.level,
                                    sample->label.name, sample->label.source,
                                    sample->label.tags);
    pthread_mutex_lock (&zb_lock_);
    if (!zb_ended_) {
        if (zb_pump_missing_)
            zb_pumps_start_ (zb_clock_ms_ ());
        if (zb_self_ && zb_self_->generation != zb_generation_get_ ())
            zb_thread_purge_ (zb_self_);
        owner = zb_instance_find_ (sample->to);
        sample->off = !owner || owner->disabled;
        if (!sample->off && zb_self_ && zb_finite_ (sample->value))
            slot = zb_slot_find_ (zb_self_, &sample->label, owner);
        if (!sample->off && !slot)
            slot = zb_slot_make_ (owner, sample);
    }
    pthread_mutex_unlock (&zb_lock_);
    return slot;
}

//  Returns the slot that a measurement goes to, or NULL if there is nothing left
//  to do: it was added, or dropped and counted, or measuring is switched off.
static zb_slot_ *
zb_find_ (zb_sample_ *sample)
{
    zb_slot_ *slot = NULL;
    zb_entry_ entry;
    if (zb_busy_) {
        zb_async_drop_ ();
        return NULL;
    }
    if (ZB_LIKELY_ (zb_finite_ (sample->value))) {
        zb_enter_ ();
        slot = zb_lookup_own_ (sample);
        zb_leave_ ();
    }
    if (!slot && zb_enter_slow_ (&entry) == 0) {
        slot = zb_lookup_slow_ (sample);
        zb_leave_slow_ (&entry);
    }
    return slot;
}

//  --------------------------------------------------------------------------
//  Sites: what they remember, and where a measurement goes
//
//  A cell belongs to one thread, but a signal handler of that thread may come
//  between any two steps and use the same cell.

//  Called by the owning thread while it is busy. Makes `slot` the current one
//  of the cell, and remembers the one before. The generation is 0 meanwhile: a
//  signal handler that interrupts this finds an invalid cell, and does not use
//  half of it.
static inline void
zb_cell_switch_ (zb_cell_ *cell, zb_slot_ *slot, unsigned index)
{
    uint64_t generation = cell->generation;
    __atomic_store_n (&cell->generation, 0, __ATOMIC_RELAXED);
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    cell->recent[index] = cell->slot;
    cell->slot = slot;
    index = index + 1 < ZB_RECENT_ && cell->recent[index + 1] ? index + 1 : 0;
    cell->next_recent = (uint16_t) index;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    __atomic_store_n (&cell->generation, generation, __ATOMIC_RELAXED);
}

//  Called by the owning thread while it is busy. The same for a cell whose
//  other slots are not valid any more.
static void
zb_cell_set_ (zb_cell_ *cell, zb_slot_ *slot, const zb_sample_ *sample,
              uint64_t generation)
{
    __atomic_store_n (&cell->generation, 0, __ATOMIC_RELAXED);
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    memset (cell->recent, 0, sizeof cell->recent);
    cell->next_recent = cell->turns = 0;
    cell->slot = slot;
    cell->to = sample->to;
    cell->head_hash = sample->label.head_hash;
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
    __atomic_store_n (&cell->generation, generation, __ATOMIC_RELAXED);
}

//  Called by the owning thread while it is busy. Returns the index of the
//  remembered slot that has the label's source and tags, or of the one to
//  replace.
static inline unsigned
zb_cell_recent_ (const zb_cell_ *cell, const zb_label_ *label)
{
    unsigned i;
    for (i = 0; i < ZB_RECENT_ && cell->recent[i]; i++)
        if (cell->recent[i]->hash == zb_label_hash_ (label)
            && zb_slot_has_ (cell->recent[i], label->source, label->tags))
            return i;
    return i < ZB_RECENT_ ? i : cell->next_recent;
}

//  Called by the owning thread while it is busy. Returns the slot for another
//  source or other tags than last time, without a lock, or NULL if this thread
//  has none. They mostly take turns, so what came next the last time is tried
//  first. Where they have done so for a while, the one after it is made the
//  current one, and the next pass finds that without a call. Not at once: where
//  each comes twice, the current one has to stay.
static inline zb_slot_ *
zb_cell_find_ (const zb_site_ *site, zb_cell_ *cell, zb_sample_ *sample,
               const char *source, const char *tags)
{
    zb_label_ *label = &sample->label;
    unsigned index = cell->next_recent;
    zb_slot_ *slot = cell->recent[index];
    if (slot && zb_slot_has_ (slot, source, tags)) {
        zb_cell_switch_ (cell, slot, index);
        index = cell->next_recent;
        if (cell->recent[index] && ++cell->turns > ZB_TURNS_)
            zb_cell_switch_ (cell, cell->recent[index], index);
        return slot;
    }
    cell->turns = 0;
    zb_label_set_tail_ (label, source, tags);
    label->head_hash = cell->head_hash;
    index = zb_cell_recent_ (cell, label);
    slot = cell->recent[index];
    if (!slot || slot->hash != zb_label_hash_ (label)) {
        //  level and name stand together, behind any slot of the site
        label->type = site->type;
        label->level = label->name = (const char *) (cell->slot + 1);
        label->level_size = cell->slot->head_size;
        label->name_size = 0;
        slot = zb_lookup_own_ (sample);
    }
    if (slot)
        zb_cell_switch_ (cell, slot, index);
    return slot;
}

//  The same with locks, if it must be. The thread is not busy.
static __attribute__ ((noinline)) zb_slot_ *
zb_resolve_slow_ (const zb_site_ *site, zb_cell_ *cell, zb_sample_ *sample,
                  const char *source, const char *tags, uint64_t generation)
{
    zb_slot_ *slot;
    int known;
    sample->count = 1;
    sample->time = 0;
    sample->off = 0;
    sample->label =
      zb_label_make_ (site->type, site->level, site->name, source, tags);
    slot = zb_find_ (sample);
    if ((slot || sample->off) && cell
        && !__atomic_load_n (&zb_pump_missing_, __ATOMIC_RELAXED)
        && zb_enter_ () == 0) {
        known = cell->generation == generation && cell->to == sample->to
                && cell->slot && slot;
        if (known)
            zb_cell_switch_ (cell, slot,
                             zb_cell_recent_ (cell, &sample->label));
        else
            zb_cell_set_ (cell, slot, sample, generation);
        zb_leave_ ();
    }
    return slot;
}

//  Returns the slot of a measurement at a site, or NULL if there is nothing
//  left to do. While a pump is missing, cells remember nothing: so passes come
//  here and try to start it. The cell is NULL if the scope has ended on another
//  thread than it began on.
static inline zb_slot_ *
zb_resolve_ (const zb_site_ *site, zb_cell_ *cell, const char *source,
             const char *tags, zb_t *to, double value, uint64_t ns)
{
    uint64_t generation = zb_generation_get_ ();
    zb_slot_ *slot = NULL;
    zb_sample_ sample;
    if (zb_busy_) {
        zb_async_drop_ ();
        return NULL;
    }
    sample.to = to;
    sample.value = value;
    sample.ns = ns;
    if (cell && cell->generation == generation && cell->to == to && cell->slot
        && zb_finite_ (value)) {
        zb_enter_ ();
        slot = zb_cell_find_ (site, cell, &sample, source, tags);
        zb_leave_ ();
    }
    return slot
             ? slot
             : zb_resolve_slow_ (site, cell, &sample, source, tags, generation);
}

//  --------------------------------------------------------------------------
//  Measuring: what macros and functions call
//
//  These functions find the slot of a measurement and add it there.

//  The cell does not have the slot, or the value is refused.
void
zb_count_slow_ (const zb_site_ *site, zb_cell_ *cell, double value,
                const char *source, const char *tags, zb_t *to)
{
    zb_slot_ *slot = zb_resolve_ (site, cell, source, tags, to, value, 0);
    if (slot)
        zb_slot_add_ (slot, value);
}

//  Called by the owning thread. Takes the locks to make room for a sample, or to
//  add many to the series; in classic mode a line is one sample. The share may be
//  dead: its series are freed then, and the sample goes nowhere.
static void
zb_slot_time_slow_ (zb_slot_ *self, uint64_t ns, uint64_t count)
{
    zb_share_ *share = zb_slot_share_ (self);
    zb_entry_ entry;
    if (zb_enter_slow_ (&entry) == -1) {
        zb_async_drop_ ();
        return;
    }
    pthread_mutex_lock (&zb_lock_);
    if (!share->dead) {
        pthread_mutex_lock (&share->owner->lock);
        if (self->kind != ZB_TYPE_TIMER)
            share->owner->stats.refused++;
        else if (count == 1)
            zb_timer_add_slow_ (self->by_kind.timer, self->series->retired, ns);
        else
            zb_series_time_ (self->series, ns, count);
        pthread_mutex_unlock (&share->owner->lock);
    }
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_slow_ (&entry);
}

//  Called by the owning thread. In classic mode a timing is a reading. An odd
//  seq means that this is a signal handler, and that it interrupted the same
//  timer.
static inline void
zb_slot_time_ (zb_slot_ *self, uint64_t ns)
{
    zb_timer_ *timer = self->by_kind.timer;
    if (!ZB_LIKELY_ (self->kind == ZB_TYPE_TIMER))
        zb_slot_record_ (self, (double) (int64_t) ns / 1e9, zb_now_ ());
    else if (ZB_LIKELY_ ((timer->seq & 1) == 0)) {
        unsigned bucket = zb_bucket_ (ns);
        if (ZB_LIKELY_ (zb_timer_has_ (timer, bucket)
                        && zb_timer_has_room_ (timer, ns)))
            zb_timer_add_ (timer, ns, bucket + 1);
        else
            zb_slot_time_slow_ (self, ns, 1);
        __atomic_store_n (self->changed, 1, __ATOMIC_RELEASE);
    }
    else
        zb_async_drop_ ();  //  a signal handler has interrupted the timer's own
}

void
zb_time_stop_ (const zb_site_ *site, zb_cell_ *cell, uint64_t start,
               const char *source, const char *tags, zb_t *to)
{
    uint64_t ns = zb_elapsed_ (start);
    zb_slot_ *slot = ZB_LIKELY_ (cell && zb_hit_ (cell, source, tags, to))
                       ? cell->slot
                       : zb_resolve_ (site, cell, source, tags, to,
                                      (double) (int64_t) ns * 1e-9, ns);
    if (slot)
        zb_slot_time_ (slot, ns);
}

void
zb_gauge_put_ (const zb_site_ *site, zb_cell_ *cell, double value,
               const char *source, const char *tags, zb_t *to)
{
    zb_slot_ *slot =
      ZB_LIKELY_ (zb_finite_ (value) && zb_hit_ (cell, source, tags, to))
        ? cell->slot
        : zb_resolve_ (site, cell, source, tags, to, value, 0);
    if (slot)
        zb_slot_record_ (slot, value, zb_now_ ());
}

void
zb_count_at_ (const char *level, const char *name, const zb_options_ *options)
{
    zb_sample_ sample = {zb_label_make_ (ZB_TYPE_COUNTER, level, name,
                                         options->source, options->tags),
                         options->to,
                         options->value,
                         0,
                         1,
                         0,
                         0};
    zb_slot_ *slot = zb_find_ (&sample);
    if (slot)
        zb_slot_add_ (slot, options->value);
}

//  What cannot be is refused, by a level that is not valid: a duration that is
//  negative or above 292 years, or more samples than a line may have.
void
zb_time_at_ (const char *level, const char *name, const zb_time_given_ *options)
{
    double ns = options->value * 1e9 + 0.5;
    int valid = zb_finite_ (ns) && options->value >= 0 && ns < 9.2e18
                && options->count >= 0 && options->count <= (int64_t) 1 << 53;
    zb_sample_ sample = {zb_label_make_ (ZB_TYPE_TIMER, valid ? level : "",
                                         name, options->source, options->tags),
                         options->to,
                         options->value,
                         valid ? (uint64_t) ns : 0,
                         (uint64_t) options->count,
                         0,
                         0};
    zb_slot_ *slot = zb_find_ (&sample);
    if (slot && sample.count == 1)
        zb_slot_time_ (slot, sample.ns);
    else if (slot)
        zb_slot_time_slow_ (slot, sample.ns, sample.count);
}

//  A time beyond those of a line is refused likewise.
void
zb_gauge_at_ (const char *level, const char *name,
              const zb_gauge_given_ *options)
{
    double ms = options->time * 1e3 + 0.5;
    int now = options->time == -1.0;
    int valid =
      now || (zb_finite_ (ms) && options->time >= 0 && ms < 100000000000e3);
    zb_sample_ sample = {
      zb_label_make_ (ZB_TYPE_GAUGE, valid ? level : "", name, options->source,
                      options->tags),
      options->to,
      options->value,
      0,
      1,
      now || !valid ? 0 : (uint64_t) ms | (uint64_t) 1 << ZB_UNIX_BIT_,
      0};
    zb_slot_ *slot = zb_find_ (&sample);
    if (slot)
        zb_slot_record_ (slot, sample.value, now ? zb_now_ () : sample.time);
}

//  --------------------------------------------------------------------------
//  Fork: what a child inherits
//
//  The child of a fork has one thread, and no pump. It keeps its parent's
//  series as they are, and starts with empty tables: so a fork takes the same
//  time for one series and for a million.
//
//  The parent reports what it has counted. But a parent that ends at once, as
//  daemon (3) does, never reports it. So a child that measures reports it, too,
//  as the parent's stream, with SEQs that the parent has left to it, until the
//  parent has ended that stream itself. A state that arrives twice, or late,
//  changes nothing.

//  Memory that the child of a fork shares. Returns NULL if there is none.
static int *
zb_shared_new_ (void)
{
    int keep = errno;
    void *memory = mmap (NULL, sizeof (int), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    errno = keep;
    return memory == MAP_FAILED ? NULL : (int *) memory;
}

//  Takes all locks, so that the child finds no structure half changed. A signal
//  handler may fork while its own thread holds the locks: then they are left
//  alone, and the child measures nothing. Each stream leaves some SEQs to the
//  child.
static void
zb_fork_prepare_ (void)
{
    zb_t *self;
    zb_level_ *level;
    if (zb_busy_++ > 0)
        return;
    pthread_mutex_lock (&zb_lock_);
    for (self = zb_instances_; self; self = self->next) {
        pthread_mutex_lock (&self->lock);
        for (level = self->levels; level; level = level->next)
            if (level->series_size && !self->classic && !level->inherited) {
                zb_level_birth_ (self, level,
                                 zb_clock_read_ (CLOCK_REALTIME) / 1000000);
                if (!level->child_seq_end)
                    level->end_sent = zb_shared_new_ ();
                level->child_seq = level->seq;
                level->seq += 4 * level->series_size;
                level->child_seq_end = level->seq;
            }
    }
    pthread_mutex_lock (&zb_tsc_lock_);
}

//  Releases the locks, in the reverse order.
static void
zb_fork_parent_ (void)
{
    zb_t *self;
    if (zb_busy_ > 1) {
        zb_busy_--;
        return;
    }
    pthread_mutex_unlock (&zb_tsc_lock_);
    for (self = zb_instances_; self; self = self->next)
        pthread_mutex_unlock (&self->lock);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
}

//  Called in the child, which has one thread. The levels are from now on the
//  parent's streams, and the shares are those of threads that do not exist
//  here. ZeroMQ's socket and context are left alone: closing them would disturb
//  the parent.
static void
zb_instance_inherit_ (zb_t *self)
{
    zb_level_ *level;
    zb_share_ *share;
    for (level = self->levels; level; level = level->next) {
        if (!level->inherited)
            level->seq = level->child_seq;
        level->inherited = 1;
        level->queue.size = level->queue.sent = level->queue.to_resend = 0;
        level->sending = 0;
        if (self->classic)
            level->series_size = 0;
    }
    while ((share = self->shares)) {
        self->shares = share->next;
        share->sibling = self->parent_shares;
        self->parent_shares = share;
    }
    zb_map_free_ (&self->series);
    self->slots_size = 0;
    self->dropped = NULL;
    zb_subscriptions_forget_ (self);
    self->error = 0;
    memset (&self->stats, 0, sizeof self->stats);
    self->dropped_async = self->dropped_reported = 0;
    self->random = self->denied = 0;
    self->connected = 0;
    self->context = self->context_given = self->socket = NULL;
    memset (&self->links, 0, sizeof self->links);
    self->retry_ms = self->quarantine_until_ms = 0;
    zb_close_fd_ (self->epoll_fd);
    self->epoll_fd = -1;
    self->users = self->pump_runs = self->stop = 0;
    self->round_wanted = self->round;
    zb_locks_init_ (self);
}

//  The locks are initialized, not unlocked: their owner is a thread of the
//  parent.
static void
zb_fork_child_ (void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    zb_t *self;
    zb_thread_ **last = &zb_parent_threads_;
    if (zb_busy_ > 1) {
        zb_busy_--;
        zb_ended_ = 1;
        return;
    }
    zb_lock_ = zb_tsc_lock_ = unlocked;
    zb_condition_init_ (&zb_idle_);  //  threads of the parent may wait for it
    zb_wake_close_ ();
    for (self = zb_instances_; self; self = self->next)
        zb_instance_inherit_ (self);
    while (*last)
        last = &(*last)->next;
    *last = zb_threads_;
    while (*last)
        last = &(*last)->next;
    *last = zb_threads_ended_;
    zb_threads_ = zb_threads_ended_ = NULL;
    zb_self_ = NULL;
    zb_orphans_ = NULL;  //  the parent's, as what it was closing,
    zb_closers_ = 0;
    zb_async_dropped_ = 0;  //  and what it has not counted yet
    __atomic_store_n (&zb_pid_, getpid (), __ATOMIC_RELAXED);
    zb_pump_retry_ms_ = 0;
    zb_pump_missing_ = 1;
    zb_generation_bump_ ();
    zb_leave_ ();
}

//  --------------------------------------------------------------------------
//  Exit: the last reports, at the end of the program or at dlclose

//  Functions of atexit run before the destructors at the end of a program, and
//  after them at dlclose. So zb_exit_ can tell the two apart.
static void
zb_exiting_set_ (void)
{
    zb_exiting_ = 1;
}

//  Runs once, before the first lock is taken.
static void
zb_once_init_ (void)
{
    if (atexit (zb_exiting_set_) != 0)
        zb_exiting_ = 1;
    __atomic_store_n (&zb_seed_, zb_random_ (), __ATOMIC_RELAXED);
    __atomic_store_n (&zb_pid_, getpid (), __ATOMIC_RELAXED);
    zb_condition_init_ (&zb_idle_);
    __atomic_store_n (&zb_generation_, zb_random_ () | 1, __ATOMIC_RELEASE);
    zb_key_made_ =
      pthread_atfork (zb_fork_prepare_, zb_fork_parent_, zb_fork_child_) == 0
      && pthread_key_create (&zb_key_, zb_thread_exit_) == 0;
}

//  At the end of the program other threads may still measure, so only the
//  caller's structure is freed. After dlclose nobody measures, and nothing may
//  point to this library: all are freed.
static void
zb_exit_threads_ (void)
{
    zb_thread_ *thread = zb_self_;
    pthread_mutex_lock (&zb_lock_);
    zb_self_ = NULL;
    if (thread)
        zb_thread_destroy_ (&thread);
    while (!zb_exiting_
           && ((thread = zb_threads_) || (thread = zb_threads_ended_)))
        zb_thread_destroy_ (&thread);
    pthread_mutex_unlock (&zb_lock_);
    if (zb_key_made_)
        pthread_key_delete (zb_key_);
}

//  Called with zb_lock_ held. Takes all instances off the list and asks them to
//  stop, so that their last reports run at the same time. Returns them, linked
//  by next.
static zb_t *
zb_exit_begin_ (void)
{
    zb_t *self, *ending = NULL;
    int64_t now_ms = zb_clock_ms_ ();
    zb_pumps_start_last_ ();
    __atomic_store_n (&zb_ended_, 1, __ATOMIC_RELEASE);
    while ((self = zb_instances_)) {
        zb_instance_remove_ (self);
        self->next = ending;
        ending = self;
        zb_instance_stop_ (self, now_ms + self->linger_ms);
    }
    return ending;
}

#if defined __PIC__ && !defined __PIE__ && defined __GLIBC__

//  The first ZeroMQ context of a process loads libraries: libpgm looks up a
//  protocol, and NSS loads a library for that. A thread in dlclose holds the
//  loader's lock and waits for the pump here, while the pump would wait for
//  that lock. So those libraries are loaded when this one is.
__attribute__ ((constructor)) static void
zb_preload_libraries_ (void)
{
    struct protoent entry, *found;
    char text[1024];
    int keep = errno;
    getprotobyname_r ("pgm", &entry, text, sizeof text, &found);
    errno = keep;
}

#endif

//  In a program it runs after all other destructors, which may still measure. A
//  library hears of dlclose by some of them only: so there, as the linker puts
//  them.
#if defined __PIC__ && !defined __PIE__
#define ZB_LAST_ destructor
#else
#define ZB_LAST_ destructor (101)
#endif

//  Runs at exit and at dlclose. All instances report for the last time, within
//  the longest linger_ms of them.
__attribute__ ((ZB_LAST_)) static void
zb_exit_ (void)
{
    zb_t *self, *ending;
    zb_entry_ entry;
    int rc = 0;
    //  exit () may come from a signal handler that has interrupted this header:
    //  zb_enter_slow_ finds the thread busy then, as locks may be held
    if (!__atomic_load_n (&zb_pid_, __ATOMIC_RELAXED)
        || zb_enter_slow_ (&entry) == -1)
        return;
    pthread_mutex_lock (&zb_lock_);
    ending = zb_exit_begin_ ();
    pthread_mutex_unlock (&zb_lock_);
    while ((self = ending)) {
        ending = self->next;
        zb_instance_finish_ (&self);
    }
    //  threads in zb_close get the time that they may take
    pthread_mutex_lock (&zb_lock_);
    while (zb_closers_ && rc == 0)
        rc = zb_wait_ (&zb_idle_, &zb_lock_,
                       zb_closers_until_ms_ + 2 * ZB_ORPHAN_MS_);
    pthread_mutex_unlock (&zb_lock_);
    zb_orphans_free_ (zb_exiting_ ? ZB_ORPHANS_ENDED_ : ZB_ORPHANS_ALL_);
    //  at the end of a program other threads may still write to it
    if (!zb_exiting_)
        zb_wake_close_ ();
    zb_exit_threads_ ();
    zb_leave_slow_ (&entry);
}

#ifdef __cplusplus
}
#endif

#endif  //  !ZB_DISABLE && !ZIBRATO_BODY_
#endif  //  ZIBRATO_IMPLEMENTATION
