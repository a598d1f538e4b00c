/*  bench_worker - what it costs a worker to take measurements in

    The real executable is fed through a socket of its own, with lines that were
    made before: as fast as it reads, or evenly spaced. Its limit is a SUB
    socket, in a process of its own too, that gets the same bytes and drops
    them, or does no more with them than a plain loop (bench_plain.h). Nothing
    may be lost: each says in the end how many it has taken.

    bench_worker SUITE, of s_suites.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_child.h"
#include "bench_plain.h"

#include <zmq.h>

enum { BATCH = 60 * 1024, WARM_PASSES = 2, IDLE_LOOKS = 5, FLUSHES = 2 };

//  --------------------------------------------------------------------------
//  Lines

//  What publishers send. Those of zibrato.h come in the same order each time,
//  those of others in any. All are of one second if they come as fast as they
//  are read, since a worker that is kept busy takes a million in less.
typedef enum { STATE, TIMER, CLASSIC, SAMPLE } kind_t;

typedef struct {
    kind_t kind;
    size_t series, lines;  //  lines that are measured; others come before
    size_t batch;          //  bytes of a message; 0: one line
    double pace;           //  lines a second; 0: as fast as they are read
    int flush;             //  seconds of a window; 0: there is but one
} load_t;

typedef struct {
    char *text;  //  frames
    size_t size, max;
    size_t lines, frames;
} frames_t;

static uint64_t s_seed = 20250101;

//  When the first line of a paced load is measured.
static time_t s_begin;

//  The same numbers at each run (splitmix64, public domain, S. Vigna).
static uint64_t
s_any (void)
{
    uint64_t z = s_seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

//  The line of a series at its n-th pass; seq counts all lines.
static size_t
s_line (char *text, size_t size, const load_t *load, size_t series, size_t pass,
        size_t seq)
{
    static const char id[] = "1a217690ed2-d9f2c65b7d0ccb8a";
    char time[32] = "1795689090.77";
    kind_t kind = load->kind;
    int length = 0, i;
    if (load->flush)
        snprintf (time, sizeof time, "%.2f",
                  (double) s_begin + (double) seq / load->pace);
    if (kind == CLASSIC)
        length = snprintf (text, size,
                           "info|Counter|bench.requests.%06zu|1|"
                           "%s|web-01",
                           series, time);
    else if (kind == SAMPLE)
        length =
          snprintf (text, size,
                    "info|Timer|bench.seconds.%06zu|%.6f|"
                    "%s|web-01",
                    series, 0.001 + (double) (s_any () % 1000) * 1e-6, time);
    else if (kind == STATE)
        length = snprintf (text, size,
                           "info|Counter|bench.requests.%06zu|5000|"
                           "%s|web-01|%s:%zu:%zu:%zu",
                           series, time, id, seq, series, (pass + 1) * 5000);
    else {
        length =
          snprintf (text, size,
                    "info|Timer|bench.seconds.%06zu|"
                    "5.000000000|%s|web-01|%s:%zu:%zu:%zu:"
                    "%zu.350999976:%.15f:"
                    "0.000142857:0.014285714:",
                    series, time, id, seq, series, (pass + 1) * 160,
                    (pass + 1) * 5, (double) (pass + 1) * 1.3489076119111011);
        for (i = 0; i < 16; i++)
            length +=
              snprintf (text + length, size - (size_t) length, "%s%d=%zu",
                        i ? "," : "", -260 + 3 * i, (pass + 1) * 10);
    }
    return (size_t) length;
}

//  Ends the message that is being made.
static void
frames_end (frames_t *self, const char *message, size_t size)
{
    if (self->size + size + 9 > self->max) {
        self->max = (self->size + size + 9) * 2;
        self->text = realloc (self->text, self->max);
        BENCH_CHECK (self->text);
    }
    self->size +=
      bench_frame_head ((unsigned char *) self->text + self->size, size);
    memcpy (self->text + self->size, message, size);
    self->size += size;
    self->frames++;
}

//  Passes over all series until there are so many lines. *pass and *seq go on.
static frames_t
frames_make (const load_t *load, size_t lines, size_t *pass, size_t *seq)
{
    frames_t self = {NULL, 0, 0, 0, 0};
    static char message[BATCH + 4096];
    size_t size = 0, series = 0;
    int any_order = load->kind == CLASSIC || load->kind == SAMPLE;
    for (; self.lines < lines; self.lines++) {
        size_t at = any_order && *pass ? s_any () % load->series : series;
        size += s_line (message + size, sizeof message - size, load, at, *pass,
                        (*seq)++);
        if (++series == load->series) {
            series = 0;
            ++*pass;
        }
        if (size >= load->batch || self.lines + 1 == lines) {
            frames_end (&self, message, size);
            size = 0;
        }
        else
            message[size++] = '\n';
    }
    return self;
}

//  --------------------------------------------------------------------------
//  Who takes them in

typedef struct {
    int port;
    size_t received;
} drop_t;

static volatile sig_atomic_t s_stopped;

static void
s_stop (int signal_number)
{
    (void) signal_number;
    s_stopped = 1;
}

//  The limit: a SUB socket, and nothing else but what is to be done with the
//  bytes.
static void
s_sub (int port, void (*take) (const char *text, size_t size))
{
    struct sigaction action = {.sa_handler = s_stop};
    int limit = 4000;
    void *context = zmq_ctx_new (), *sub = zmq_socket (context, ZMQ_SUB);
    size_t received = 0;
    char endpoint[64];
    zmq_msg_t message;
    sigaction (SIGTERM, &action, NULL);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    zmq_setsockopt (sub, ZMQ_RCVHWM, &limit, sizeof limit);
    zmq_setsockopt (sub, ZMQ_SUBSCRIBE, "info|", 5);
    BENCH_CHECK (zmq_connect (sub, endpoint) == 0);
    zmq_msg_init (&message);
    while (!s_stopped)
        if (zmq_msg_recv (&message, sub, 0) != -1) {
            received++;
            if (take)
                take (zmq_msg_data (&message), zmq_msg_size (&message));
        }
    fprintf (stderr, "received=%zu\n", received);
}

static void
s_drop (void *argument)
{
    s_sub (*(int *) argument, NULL);
}

static void
s_plain (void *argument)
{
    s_sub (*(int *) argument, bench_plain_lines);
}

typedef enum { DROP, PLAIN, WORKER, SPOOL } taker_t;

static bench_child_t
s_taker (taker_t taker, const load_t *load, int *port)
{
    static char folder[64], endpoint[64], flush[16];
    char *binary = getenv ("ZB_BIN");
    char *command[] = {binary,         "stdout",  "--format",   "json",
                       "--levels",     "info",    "--flush",    flush,
                       "--max-series", "2000000", "--endpoint", endpoint,
                       "--spool-max",  "16G",     "--deadline", "0",
                       NULL,           NULL,      NULL};
    BENCH_CHECK (binary);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", *port);
    snprintf (flush, sizeof flush, "%d", load->flush ? load->flush : 86400);
    snprintf (folder, sizeof folder, "/tmp/bench-spool-%d", (int) getpid ());
    if (taker == SPOOL) {
        command[16] = "--spool";
        command[17] = folder;
    }
    if (taker == DROP || taker == PLAIN)
        return bench_child (taker == DROP ? s_drop : s_plain, port, NULL, 1);
    return bench_child (NULL, NULL, command, 1);
}

static void
s_folder_remove (void)
{
    char command[128];
    snprintf (command, sizeof command, "rm -rf /tmp/bench-spool-%d",
              (int) getpid ());
    BENCH_CHECK (system (command) == 0);
}

//  --------------------------------------------------------------------------
//  Measuring

typedef struct {
    double seconds, cpu;
} cost_t;

//  Waits until the child has nothing to do any more. Returns when it was that
//  it had.
static uint64_t
s_wait_idle (int fd, const bench_child_t *child)
{
    const struct timespec pause = {0, 200000};
    uint64_t cpu, before = 0, last = bench_ns ();
    int waiting, idle = 0;
    while (idle < IDLE_LOOKS) {
        nanosleep (&pause, NULL);
        cpu = bench_child_cpu_ns (child);
        BENCH_CHECK (ioctl (fd, TIOCOUTQ, &waiting) == 0);
        if (waiting || cpu - before > 20000 || !bench_child_sleeps (child)) {
            last = bench_ns ();
            idle = 0;
        }
        else
            idle++;
        before = cpu;
    }
    return last;
}

//  Writes frames, each at its time. Those that are due together are one write,
//  as ZeroMQ has it.
static void
s_write_paced (int fd, const frames_t *frames, double pace)
{
    double apart = (double) frames->lines / (double) frames->frames / pace;
    uint64_t begin = bench_ns ();
    size_t from, at = 0, frame = 0;
    while (at < frames->size) {
        uint64_t passed = bench_ns () - begin;
        for (from = at; at < frames->size
                        && (double) frame * apart * 1e9 <= (double) passed;
             frame++)
            at += bench_frame_size ((unsigned char *) frames->text + at);
        bench_write (fd, frames->text + from, at - from);
    }
}

static cost_t
s_feed (int fd, const bench_child_t *child, const frames_t *frames, double pace)
{
    uint64_t cpu = bench_child_cpu_ns (child), begin = bench_ns (), end;
    if (pace > 0)
        s_write_paced (fd, frames, pace);
    else
        bench_write (fd, frames->text, frames->size);
    end = s_wait_idle (fd, child);
    return (cost_t){(double) (end - begin) * 1e-9,
                    (double) (bench_child_cpu_ns (child) - cpu) * 1e-9};
}

//  The same with all flushes that are due meanwhile: it begins at one, and ends
//  when the last has been encoded.
static cost_t
s_feed_flushes (int fd, const bench_child_t *child, const frames_t *frames,
                const load_t *load)
{
    struct timespec now;
    uint64_t cpu;
    cost_t cost;
    clock_gettime (CLOCK_REALTIME, &now);
    sleep ((unsigned) (load->flush + 1 - now.tv_sec % load->flush));
    cpu = bench_child_cpu_ns (child);
    cost = s_feed (fd, child, frames, load->pace);
    clock_gettime (CLOCK_REALTIME, &now);
    sleep ((unsigned) (load->flush + 1 - now.tv_sec % load->flush));
    cost.cpu = (double) (bench_child_cpu_ns (child) - cpu) * 1e-9;
    return cost;
}

//  What taking in all of the load's lines costs one who has met the series.
static cost_t
s_measure (taker_t taker, const load_t *load, const frames_t *warm,
           const frames_t *frames)
{
    int port, listener = bench_listen (&port), fd;
    bench_child_t child = s_taker (taker, load, &port);
    int counts_messages = taker == DROP || taker == PLAIN;
    cost_t cost;
    long long received;
    fd = accept (listener, NULL, NULL);
    close (listener);
    bench_greet (fd, "XPUB");
    s_feed (fd, &child, warm, 0);
    cost = load->flush ? s_feed_flushes (fd, &child, frames, load)
                       : s_feed (fd, &child, frames, load->pace);
    kill (child.pid, SIGTERM);
    received = bench_child_says (&child, "received=");
    BENCH_CHECK (received
                 == (long long) (counts_messages
                                   ? warm->frames + frames->frames
                                   : warm->lines + frames->lines));
    close (fd);
    bench_child_end (&child);
    return cost;
}

typedef struct {
    const char *name;
    load_t load;
    taker_t limit;
} case_t;

static frames_t s_warm, s_frames;

static void
s_case_begin (const case_t *self)
{
    size_t pass = 0, seq = 0;
    s_begin = time (NULL);
    s_warm =
      frames_make (&self->load, self->load.series * WARM_PASSES, &pass, &seq);
    s_frames = frames_make (&self->load, self->load.lines, &pass, &seq);
}

static void
s_case_end (void)
{
    free (s_warm.text);
    free (s_frames.text);
}

//  Both figures of a case: its rate, if it is as fast as can be, and processor
//  time for a million lines.
static void
s_case (const case_t *self, taker_t taker, taker_t other)
{
    const char *who = taker == SPOOL ? "spool" : "worker";
    double lines = (double) self->load.lines;
    cost_t cost, limit;
    char name[96];
    s_case_begin (self);
    limit = s_measure (other, &self->load, &s_warm, &s_frames);
    cost = s_measure (taker, &self->load, &s_warm, &s_frames);
    s_case_end ();
    s_folder_remove ();
    snprintf (name, sizeof name, "%s.%s.rate", who, self->name);
    if (self->load.pace == 0)
        bench_figure (name, lines / cost.seconds / 1e6,
                      lines / limit.seconds / 1e6);
    snprintf (name, sizeof name, "%s.%s.cpu", who, self->name);
    bench_figure (name, cost.cpu / lines * 1e6, limit.cpu / lines * 1e6);
}

// clang-format off
static const case_t s_cases[] = {
  {"single.100", {CLASSIC, 100, 1000000, 0, 0, 0}, DROP},
  {"single.100000", {CLASSIC, 100000, 1000000, 0, 0, 0}, DROP},
  {"state.100", {STATE, 100, 1000000, BATCH, 0, 0}, PLAIN},
  {"state.100000", {STATE, 100000, 1000000, BATCH, 0, 0}, PLAIN},
  {"classic.100", {CLASSIC, 100, 2000000, BATCH, 0, 0}, PLAIN},
  {"classic.100000", {CLASSIC, 100000, 2000000, BATCH, 0, 0}, PLAIN},
  {"sample.100", {SAMPLE, 100, 2000000, BATCH, 0, 0}, PLAIN},
  {"sample.100000", {SAMPLE, 100000, 2000000, BATCH, 0, 0}, PLAIN},
  {"timer.100", {TIMER, 100, 300000, BATCH, 0, 0}, DROP},
  {"timer.100000", {TIMER, 100000, 300000, BATCH, 0, 0}, DROP}};

//  At a pace, which is what most workers see. Those that flush go on for as long
//  as FLUSHES of them take.
static const case_t s_paced[] = {
  {"paced.single.100", {CLASSIC, 100, 900000, 0, 300e3, 0}, DROP},
  {"paced.classic.100", {CLASSIC, 100, 0, BATCH, 500e3, 5}, PLAIN},
  {"paced.classic.100000", {CLASSIC, 100000, 0, BATCH, 500e3, 5}, PLAIN},
  {"paced.sample.100", {SAMPLE, 100, 0, BATCH, 500e3, 5}, PLAIN},
  {"paced.sample.100000", {SAMPLE, 100000, 0, BATCH, 500e3, 5}, PLAIN}};
// clang-format on

enum {
    CASES = sizeof s_cases / sizeof *s_cases,
    PACED = sizeof s_paced / sizeof *s_paced
};

static void
s_case_paced (const case_t *self)
{
    case_t one = *self;
    if (one.load.flush) {
        one.load.flush = bench_quick () ? 1 : one.load.flush;
        //  what is left of the last second is for the last lines to come
        one.load.lines =
          (size_t) (one.load.pace * (FLUSHES * one.load.flush - 0.8));
    }
    s_case (&one, WORKER, one.limit);
}

//  Over the number of series.
static void
s_growth (void)
{
    size_t series;
    for (series = 10; series <= 1000000; series *= 10) {
        case_t one = {"growth", {STATE, series, 1000000, BATCH, 0, 0}, DROP};
        cost_t cost;
        s_case_begin (&one);
        cost = s_measure (WORKER, &one.load, &s_warm, &s_frames);
        s_case_end ();
        printf ("point worker states %zu %.6g\n", series, cost.cpu);
    }
}

int
main (int argc, char **argv)
{
    const char *suite = argc > 1 ? argv[1] : "ingest";
    const char *only = argc > 2 ? argv[2] : "";
    int spool = strcmp (suite, "spool") == 0, i;
    bench_pin (0);
    if (strcmp (suite, "growth") == 0)
        s_growth ();
    for (i = 0; strcmp (suite, "paced") == 0 && i < PACED; i++)
        if (!*only || strcmp (s_paced[i].name, only) == 0)
            s_case_paced (&s_paced[i]);
    for (i = 0; (spool || strcmp (suite, "ingest") == 0) && i < CASES; i++)
        if (!*only || strcmp (s_cases[i].name, only) == 0)
            s_case (&s_cases[i], spool ? SPOOL : WORKER,
                    spool ? WORKER : s_cases[i].limit);
    return 0;
}
