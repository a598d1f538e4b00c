/*  bench_worker - what it costs a worker to take measurements in

    The real executable is fed through a socket of its own, as fast as it
    reads, with lines that were made before. Its limit is a SUB socket, in a
    process of its own too, that gets the same bytes and drops them. Nothing
    may be lost: each says in the end how many it has taken.

    bench_worker SUITE, of s_suites.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_child.h"

#include <zmq.h>

enum { BATCH = 60 * 1024, WARM_PASSES = 2, IDLE_LOOKS = 5 };

//  --------------------------------------------------------------------------
//  Lines

//  What publishers send. Those of zibrato.h come in the same order each time,
//  those of others in any. All are of one second, since a worker that is kept
//  busy takes a million in less.
typedef enum { STATE, TIMER, CLASSIC, SAMPLE } kind_t;

typedef struct {
    kind_t kind;
    size_t series, lines;  //  lines that are measured; others come before
    size_t batch;          //  bytes of a message; 0: one line
} load_t;

typedef struct {
    char *text;  //  frames
    size_t size, max;
    size_t lines, frames;
} frames_t;

static uint64_t s_seed = 20250101;

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
s_line (char *text, size_t size, kind_t kind, size_t series, size_t pass,
        size_t seq)
{
    static const char time[] = "1795689090.77",
                      id[] = "1a217690ed2-d9f2c65b7d0ccb8a";
    int length = 0, i;
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
        length = snprintf (text, size,
                           "info|Timer|bench.seconds.%06zu|"
                           "5.000000000|%s|web-01|%s:%zu:%zu:%zu:"
                           "%zu.350999976:%zu.34890761191110115:"
                           "0.000142857:0.014285714:",
                           series, time, id, seq, series, (pass + 1) * 160,
                           (pass + 1) * 5, pass + 1);
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
        size += s_line (message + size, sizeof message - size, load->kind, at,
                        *pass, (*seq)++);
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

//  The limit: a SUB socket, and nothing else.
static void
s_drop (void *argument)
{
    struct sigaction action = {.sa_handler = s_stop};
    int port = *(int *) argument, limit = 4000;
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
        received += zmq_msg_recv (&message, sub, 0) != -1;
    fprintf (stderr, "received=%zu\n", received);
}

typedef enum { DROP, WORKER, SPOOL } taker_t;

static bench_child_t
s_taker (taker_t taker, int *port)
{
    static char folder[64], endpoint[64];
    char *binary = getenv ("ZB_BIN");
    char *command[] = {binary,         "stdout",  "--format",   "json",
                       "--levels",     "info",    "--flush",    "86400",
                       "--max-series", "2000000", "--endpoint", endpoint,
                       "--spool-max",  "16G",     "--deadline", "0",
                       NULL,           NULL,      NULL};
    BENCH_CHECK (binary);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", *port);
    snprintf (folder, sizeof folder, "/tmp/bench-spool-%d", (int) getpid ());
    if (taker == SPOOL) {
        command[16] = "--spool";
        command[17] = folder;
    }
    return taker == DROP ? bench_child (s_drop, port, NULL, 1)
                         : bench_child (NULL, NULL, command, 1);
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

static cost_t
s_feed (int fd, const bench_child_t *child, const frames_t *frames)
{
    uint64_t cpu = bench_child_cpu_ns (child), begin = bench_ns (), end;
    bench_write (fd, frames->text, frames->size);
    end = s_wait_idle (fd, child);
    return (cost_t){(double) (end - begin) * 1e-9,
                    (double) (bench_child_cpu_ns (child) - cpu) * 1e-9};
}

//  What taking in all of the load's lines costs one who has met the series.
static cost_t
s_measure (taker_t taker, const load_t *load, const frames_t *warm,
           const frames_t *frames)
{
    int port, listener = bench_listen (&port), fd;
    bench_child_t child = s_taker (taker, &port);
    cost_t cost;
    long long received;
    fd = accept (listener, NULL, NULL);
    close (listener);
    bench_greet (fd, "XPUB");
    s_feed (fd, &child, warm);
    cost = s_feed (fd, &child, frames);
    kill (child.pid, SIGTERM);
    received = bench_child_says (&child, "received=");
    BENCH_CHECK (received
                 == (long long) (taker == DROP ? warm->frames + frames->frames
                                               : warm->lines + frames->lines));
    (void) load;
    close (fd);
    bench_child_end (&child);
    return cost;
}

typedef struct {
    const char *name;
    load_t load;
    double goal;  //  CPU-seconds per million lines, 0: none
} case_t;

static frames_t s_warm, s_frames;

static void
s_case_begin (const case_t *self)
{
    size_t pass = 0, seq = 0;
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

//  A figure of the goal's own row, and of that against the limit.
static void
s_case (const case_t *self, taker_t taker, taker_t other)
{
    double lines = (double) self->load.lines;
    cost_t cost, limit;
    char name[96];
    s_case_begin (self);
    limit = s_measure (other, &self->load, &s_warm, &s_frames);
    cost = s_measure (taker, &self->load, &s_warm, &s_frames);
    s_case_end ();
    s_folder_remove ();
    snprintf (name, sizeof name, "%s.%s.rate",
              taker == SPOOL ? "spool" : "worker", self->name);
    bench_figure (name, lines / cost.seconds / 1e6,
                  lines / limit.seconds / 1e6);
    snprintf (name, sizeof name, "%s.%s.cpu",
              taker == SPOOL ? "spool" : "worker", self->name);
    bench_figure (name, cost.cpu / lines * 1e6,
                  self->goal && taker == WORKER ? self->goal
                                                : limit.cpu / lines * 1e6);
}

// clang-format off
static const case_t s_cases[] = {
  {"single.100", {CLASSIC, 100, 1000000, 0}, 0},
  {"single.100000", {CLASSIC, 100000, 1000000, 0}, 0},
  {"state.100", {STATE, 100, 1000000, BATCH}, 0.12},
  {"state.100000", {STATE, 100000, 1000000, BATCH}, 0.33},
  {"classic.100", {CLASSIC, 100, 2000000, BATCH}, 0.12},
  {"classic.100000", {CLASSIC, 100000, 2000000, BATCH}, 0.33},
  {"sample.100", {SAMPLE, 100, 2000000, BATCH}, 0.12},
  {"sample.100000", {SAMPLE, 100000, 2000000, BATCH}, 0.33},
  {"timer.100", {TIMER, 100, 300000, BATCH}, 0},
  {"timer.100000", {TIMER, 100000, 300000, BATCH}, 0}};
// clang-format on

enum { CASES = sizeof s_cases / sizeof *s_cases };

//  Over the number of series.
static void
s_growth (void)
{
    size_t series;
    for (series = 10; series <= 1000000; series *= 10) {
        case_t one = {"growth", {STATE, series, 1000000, BATCH}, 0};
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
    int i;
    bench_pin (0);
    if (strcmp (suite, "growth") == 0)
        s_growth ();
    for (i = 0; strcmp (suite, "growth") != 0 && i < CASES; i++)
        if (!*only || strcmp (s_cases[i].name, only) == 0)
            s_case (&s_cases[i], strcmp (suite, "spool") == 0 ? SPOOL : WORKER,
                    strcmp (suite, "spool") == 0 ? WORKER : DROP);
    return 0;
}
