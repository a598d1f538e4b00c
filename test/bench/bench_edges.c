/*  bench_edges.c - what costs little until there is much of it: sources that
    change, forks, threads that end, rest, memory, the end of a program

    usage: bench_edges [WORD]

    With a word, only the cases whose name holds it. Each is a process of its
    own, with a default instance of its own. A figure's other side is what it
    may take, but for those that end in .limit.

    fork      1,000 threads, each with 1,000 counters: from fork to the child's
              first instruction. Beyond the same in a process whose threads have
              touched as much memory, and measure nothing.
    thread    4,000 threads, each with 100 counters, of which a hundred end, one
              by one: from a thread's last line to the return of pthread_join.
              Beyond the same of threads that have measured nothing.
    idle      1,000 threads with counters that rest, and a listener: processor
              time of the whole process.
    memory    resident pages, of timers whose samples stay in one octave.
    exit      from the last line of a program that has counted once to its end.
              Beyond the same of one that has a context and an XPUB of ZeroMQ,
              connected to the same place. Of 100 each, the 95th.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_child.h"
#include "hot.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "../../zibrato.h"

enum { SERIES_MAX = 100000, STACK = 256 * 1024, WAIT_S = 60 };

#define NOWHERE "tcp://127.0.0.1:1"  //  where nobody is

static void
pause_ms (long ms)
{
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static double
resident (void)
{
    unsigned long size, pages = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    BENCH_CHECK (file && fscanf (file, "%lu %lu", &size, &pages) == 2);
    fclose (file);
    return (double) pages * (double) sysconf (_SC_PAGESIZE);
}

//  The default instance, which never waits. Its pump has opened ZeroMQ when this
//  returns: 3 MiB that are nobody's series.
static void
open_at (const char *endpoint)
{
    BENCH_CHECK (
      zb_open (.endpoint = endpoint, .max_series = SERIES_MAX, .linger_ms = 0));
    BENCH_CHECK (zb_flush (NULL, WAIT_S * 1000) == 0);
}

//  --------------------------------------------------------------------------
//  A listener that wants everything, a process that ends with its parent

static void
listener_run (int ready)
{
    char text[65536];
    size_t size = sizeof text;
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_XSUB);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    BENCH_CHECK (zmq_bind (socket, "tcp://127.0.0.1:*") == 0);
    BENCH_CHECK (zmq_send (socket, "\1", 1, 0) == 1);
    BENCH_CHECK (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, text, &size) == 0);
    BENCH_CHECK (write (ready, text, size) == (ssize_t) size);
    while (zmq_recv (socket, text, sizeof text, 0) != -1) {
    }
    _exit (0);
}

//  Opens the default instance, and waits until it knows its listener.
static void
open_heard (void)
{
    char endpoint[256];
    int ends[2];
    zb_stats_t stats = {0};
    uint64_t until = bench_ns () + WAIT_S * 1000000000ull;
    ssize_t size;
    BENCH_CHECK (pipe (ends) == 0);
    if (fork () == 0)
        listener_run (ends[1]);
    size = read (ends[0], endpoint, sizeof endpoint - 1);
    BENCH_CHECK (size > 0);
    endpoint[size] = 0;
    open_at (endpoint);
    zb_count ("info", "edges.first");
    while (zb_stats (NULL, &stats) == 0 && !stats.sent) {
        BENCH_CHECK (bench_ns () < until);
        zb_flush (NULL, 10);
    }
}

//  --------------------------------------------------------------------------
//  A crowd: threads that do their work, and stay until they are told to end

typedef struct {
    pthread_t thread;
    void (*work) (void);
    sem_t end;
    uint64_t ended_ns;  //  when it came to its last line
} member_t;

static sem_t s_worked;  //  as often as members have done so
static int s_count;     //  counters, or timers, a thread
static double s_bytes;  //  that work_touch touches

static void *
member_run (void *argument)
{
    member_t *self = argument;
    self->work ();
    sem_post (&s_worked);
    while (sem_wait (&self->end) == -1) {
    }
    self->ended_ns = bench_ns ();
    return NULL;
}

//  Returns when all have worked. Caller owns the return value.
static member_t *
crowd_new (int size, void (*work) (void))
{
    member_t *self = calloc ((size_t) size, sizeof *self);
    pthread_attr_t attributes;
    BENCH_CHECK (self);
    pthread_attr_init (&attributes);
    pthread_attr_setstacksize (&attributes, STACK);
    sem_init (&s_worked, 0, 0);
    for (int i = 0; i < size; i++) {
        self[i].work = work;
        sem_init (&self[i].end, 0, 0);
        BENCH_CHECK (
          pthread_create (&self[i].thread, &attributes, member_run, &self[i])
          == 0);
    }
    for (int i = 0; i < size; i++)
        while (sem_wait (&s_worked) == -1) {
        }
    return self;
}

//  Nanoseconds from its last line until it has ended.
static double
member_end (member_t *self)
{
    sem_post (&self->end);
    pthread_join (self->thread, NULL);
    return (double) (bench_ns () - self->ended_ns);
}

static void
work_nothing (void)
{
}

static void
work_counters (void)
{
    char name[64];
    for (int i = 0; i < s_count; i++) {
        snprintf (name, sizeof name, "edges.counter.%d", i);
        zb_count ("info", name);
    }
}

//  Eight samples each, in one octave wherever the first begins: of a nanosecond,
//  1.02 to 2.04 microseconds; of a second, 0.95 to 1.91.
static void
work_timers (void)
{
    char name[64];
    for (int i = 0; i < s_count; i++) {
        snprintf (name, sizeof name, "edges.timer.%d", i);
        for (int j = 0; j < 8; j++)
            zb_time ("info", name, 1.1e-6 + 1e-7 * j);
    }
}

static void
work_touch (void)
{
    enum { CHUNK = 16384 };
    for (double left = s_bytes; left > 0; left -= CHUNK) {
        char *chunk = malloc (CHUNK);
        BENCH_CHECK (chunk);
        memset (chunk, 1, CHUNK);
    }
}

//  --------------------------------------------------------------------------
//  Sources and tags that change

static char s_sources[64][32], s_tags[64][32];
static const char *s_level = "info", *s_name = "edges.run-time";
static __thread double s_sum;

static HOT_CALLED void
s_add (long i)
{
    (void) i;
    s_sum += 1.0;
}

static HOT_CALLED void
s_of_2 (long i)
{
    ZB_COUNT_ME ("info", "edges.of_2", .source = s_sources[i & 1]);
}

static HOT_CALLED void
s_of_4 (long i)
{
    ZB_COUNT_ME ("info", "edges.of_4", .source = s_sources[i & 3]);
}

static HOT_CALLED void
s_of_64 (long i)
{
    ZB_COUNT_ME ("info", "edges.of_64", .source = s_sources[i & 63]);
}

static HOT_CALLED void
s_tags_of_4 (long i)
{
    ZB_COUNT_ME ("info", "edges.tags_of_4", .tags = s_tags[i & 3]);
}

static HOT_CALLED void
s_tags_of_64 (long i)
{
    ZB_COUNT_ME ("info", "edges.tags_of_64", .tags = s_tags[i & 63]);
}

static HOT_CALLED void
s_run_time (long i)
{
    zb_count (s_level, s_name, .source = s_sources[i & 63]);
}

//  Nanoseconds a pass, by the median slice.
static double
pass_ns (void (*run) (long i))
{
    enum { SLICES = 51, PASSES = 20000 };
    double slices[SLICES];
    for (int i = 0; i < SLICES; i++) {
        for (long j = 0; j < 256; j++)
            run (j);
        uint64_t before = bench_thread_ns ();
        for (long j = 0; j < PASSES; j++)
            run (j);
        slices[i] = (double) (bench_thread_ns () - before) / PASSES;
    }
    return bench_median (slices, SLICES);
}

static void
source_compare (const char *name, void (*run) (long i), double most)
{
    char figure[64];
    double ours = pass_ns (run);
    bench_figure (name, ours, most);
    snprintf (figure, sizeof figure, "%s.limit", name);
    bench_figure (figure, ours, pass_ns (s_add));
}

static void
measure_source (void)
{
    bench_pin (0);
    for (int i = 0; i < 64; i++) {
        snprintf (s_sources[i], sizeof s_sources[i], "source-%02d", i);
        snprintf (s_tags[i], sizeof s_tags[i], "route=/%02d", i);
    }
    open_heard ();
    source_compare ("edges.source.2", s_of_2, 10);
    source_compare ("edges.source.4", s_of_4, 10);
    source_compare ("edges.source.64", s_of_64, 25);
    source_compare ("edges.tags.4", s_tags_of_4, 10);
    source_compare ("edges.tags.64", s_tags_of_64, 25);
    source_compare ("edges.source.run-time", s_run_time, 25);
}

//  --------------------------------------------------------------------------
//  Fork

//  Of a process with such a crowd, in memory that both share.
typedef struct {
    double ms;     //  the median
    double bytes;  //  that the crowd has taken
    uint64_t child_ns;
} forks_t;

enum { FORK_THREADS = 1000, FORK_COUNTERS = 1000, FORKS_MAX = 5 };

static void
forks_run (forks_t *self, void (*work) (void))
{
    double took[FORKS_MAX], before = resident ();
    int forks = bench_quick () ? 1 : FORKS_MAX;
    free (crowd_new (FORK_THREADS, work));
    self->bytes = resident () - before;
    for (int i = 0; i < forks; i++) {
        uint64_t begun = bench_ns ();
        pid_t child = fork ();
        if (child == 0) {
            self->child_ns = bench_ns ();
            _exit (0);
        }
        BENCH_CHECK (child != -1 && waitpid (child, NULL, 0) == child);
        took[i] = (double) (self->child_ns - begun) * 1e-6;
    }
    self->ms = bench_median (took, forks);
}

//  In a process of its own.
static void
forks_run_apart (forks_t *self, void (*work) (void))
{
    int status;
    pid_t child = fork ();
    if (child == 0) {
        if (work == work_counters)
            open_at (NOWHERE);
        forks_run (self, work);
        _exit (0);
    }
    BENCH_CHECK (child != -1 && waitpid (child, &status, 0) == child);
    BENCH_CHECK (status == 0);
}

static void
measure_fork (void)
{
    forks_t *forks = mmap (NULL, 2 * sizeof *forks, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK (forks != MAP_FAILED);
    s_count = FORK_COUNTERS;
    forks_run_apart (&forks[0], work_counters);
    s_bytes = forks[0].bytes / FORK_THREADS;
    forks_run_apart (&forks[1], work_touch);
    bench_figure ("edges.fork", forks[0].ms - forks[1].ms, 10);
    bench_figure ("edges.fork.limit", forks[0].ms, forks[1].ms);
}

//  --------------------------------------------------------------------------
//  The end of a thread

static void
measure_thread (void)
{
    enum { THREADS = 4000, ENDS = 100 };
    double ours[ENDS], plain[ENDS];
    int threads = bench_quick () ? THREADS / 10 : THREADS;
    open_at (NOWHERE);
    s_count = 100;
    member_t *crowd = crowd_new (threads, work_counters);
    member_t *others = crowd_new (ENDS, work_nothing);
    for (int i = 0; i < ENDS; i++) {
        //  neither the first nor the last, wherever a list of them begins
        ours[i] = member_end (&crowd[threads / 2 + i]) * 1e-6;
        plain[i] = member_end (&others[i]) * 1e-6;
    }
    double of_ours = bench_median (ours, ENDS);
    double of_plain = bench_median (plain, ENDS);
    bench_figure ("edges.thread", of_ours - of_plain, 0.5);
    bench_figure ("edges.thread.limit", of_ours, of_plain);
}

//  --------------------------------------------------------------------------
//  Rest

static void
idle_run (int counters, double most)
{
    char figure[64];
    zb_stats_t before, after;
    uint64_t until = bench_ns () + WAIT_S * 1000000000ull, cpu;
    int ms = bench_quick () ? 1000 : 5000;
    open_heard ();
    s_count = counters;
    crowd_new (1000, work_counters);
    //  A series that rests is repeated once, after two seconds, and then with
    //  all others every half minute.
    zb_flush (NULL, 1000);
    do {
        BENCH_CHECK (bench_ns () < until);
        zb_stats (NULL, &before);
        pause_ms (3000);
        zb_stats (NULL, &after);
    } while (after.messages != before.messages || after.held);
    cpu = bench_cpu_ns ();
    pause_ms (ms);
    cpu = bench_cpu_ns () - cpu;
    snprintf (figure, sizeof figure, "edges.idle.%d", counters);
    bench_figure (figure, (double) cpu * 1e-6 / ms * 100, most);
}

static void
measure_idle_100 (void)
{
    idle_run (100, 0.2);
}

static void
measure_idle_1000 (void)
{
    idle_run (1000, 0.5);
}

//  --------------------------------------------------------------------------
//  Memory

//  The second thread's share: the first one makes the series.
static void
measure_memory_one (void)
{
    double before;
    s_count = 20000;
    open_at (NOWHERE);
    crowd_new (1, work_timers);
    before = resident ();
    crowd_new (1, work_timers);
    bench_figure ("edges.memory.timer", (resident () - before) / s_count, 512);
}

//  Threads that have waited for their work have touched their stacks.
static pthread_barrier_t s_begin;

static void
work_timers_late (void)
{
    char stack[32768];
    memset (stack, 1, sizeof stack);
    __asm__ volatile("" : : "r"(stack) : "memory");
    pthread_barrier_wait (&s_begin);  //  all are there
    pthread_barrier_wait (&s_begin);  //  and have been weighed
    work_timers ();
}

static void *
weigh (void *before)
{
    pthread_barrier_wait (&s_begin);
    *(double *) before = resident ();
    pthread_barrier_wait (&s_begin);
    return NULL;
}

static void
measure_memory_crowd (void)
{
    enum { THREADS = 1000 };
    double before;
    pthread_t scales;
    s_count = 100;
    open_at (NOWHERE);
    work_timers ();  //  makes the series
    pthread_barrier_init (&s_begin, NULL, THREADS + 1);
    BENCH_CHECK (pthread_create (&scales, NULL, weigh, &before) == 0);
    crowd_new (THREADS, work_timers_late);
    pthread_join (scales, NULL);
    bench_figure ("edges.memory.crowd",
                  (resident () - before) / (1024.0 * 1024.0), 64);
}

//  --------------------------------------------------------------------------
//  The end of a program

typedef struct {
    const char *endpoint;
    uint64_t *last_ns;  //  when it came to its last line
} program_t;

static void
program_ours (const program_t *self)
{
    zb_open (.endpoint = self->endpoint);
    ZB_COUNT_ME ("info", "edges.program");
}

static void *s_context, *s_socket;

static void
program_plain_end (void)
{
    zmq_close (s_socket);
    zmq_ctx_term (s_context);
}

static void
program_plain (const program_t *self)
{
    int linger = 0;
    s_context = zmq_ctx_new ();
    s_socket = zmq_socket (s_context, ZMQ_XPUB);
    zmq_setsockopt (s_socket, ZMQ_LINGER, &linger, sizeof linger);
    BENCH_CHECK (zmq_connect (s_socket, self->endpoint) == 0);
    atexit (program_plain_end);
}

//  Milliseconds that its end takes, after a life of 20 ms.
static double
program_end (const program_t *self, void (*run) (const program_t *self))
{
    int status;
    pid_t child = fork ();
    if (child == 0) {
        run (self);
        pause_ms (20);
        *self->last_ns = bench_ns ();
        exit (0);
    }
    BENCH_CHECK (child != -1 && waitpid (child, &status, 0) == child);
    BENCH_CHECK (status == 0);
    return (double) (bench_ns () - *self->last_ns) * 1e-6;
}

static void
exit_run (const char *name, const char *endpoint)
{
    enum { RUNS = 100 };
    char figure[64];
    double ours[RUNS], plain[RUNS];
    int runs = bench_quick () ? RUNS / 10 : RUNS;
    program_t program = {endpoint,
                         mmap (NULL, sizeof (uint64_t), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    BENCH_CHECK (program.last_ns != MAP_FAILED);
    for (int i = 0; i < runs; i++) {
        ours[i] = program_end (&program, program_ours);
        plain[i] = program_end (&program, program_plain);
    }
    qsort (ours, (size_t) runs, sizeof *ours, bench_compare);
    qsort (plain, (size_t) runs, sizeof *plain, bench_compare);
    double of_ours = ours[runs * 95 / 100 - 1];
    double of_plain = plain[runs * 95 / 100 - 1];
    bench_figure (name, of_ours - of_plain, 20);
    snprintf (figure, sizeof figure, "%s.limit", name);
    bench_figure (figure, of_ours, of_plain);
}

static void
measure_exit_alone (void)
{
    exit_run ("edges.exit.alone", NOWHERE);
}

static void
measure_exit_broker (void)
{
    char endpoint[64], line[512] = "";
    char *bin = getenv ("ZB_BIN");
    char *command[] = {bin, "broker", "--port", "0", NULL};
    if (!bin)
        fprintf (stderr, "ZB_BIN is not set: run me by test/bench/run\n");
    BENCH_CHECK (bin);
    bench_child_t broker = bench_child (NULL, NULL, command, -1);
    while (!strstr (line, "event=ready"))
        BENCH_CHECK (fgets (line, sizeof line, broker.log));
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d",
              atoi (strrchr (line, ':') + 1) - 1);
    //  a broker that has just begun gives its workers time to come back before
    //  it says that its list is complete
    zb_t *first = zb_open (.endpoint = endpoint);
    zb_count ("bench", "first", .to = first);
    BENCH_CHECK (first && zb_flush (first, WAIT_S * 1000) == 0);
    zb_close (&first);
    exit_run ("edges.exit.broker", endpoint);
    bench_child_end (&broker);
}

//  --------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*measure) (void);
} s_cases[] = {
  {"source", measure_source},
  {"fork", measure_fork},
  {"thread", measure_thread},
  {"idle.100", measure_idle_100},
  {"idle.1000", measure_idle_1000},
  {"memory.one", measure_memory_one},
  {"memory.crowd", measure_memory_crowd},
  {"exit.alone", measure_exit_alone},
  {"exit.broker", measure_exit_broker},
};

int
main (int argc, char **argv)
{
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        int status;
        if (argc > 1 && !strstr (s_cases[i].name, argv[1]))
            continue;
        pid_t child = fork ();
        if (child == 0) {
            s_cases[i].measure ();
            fflush (stdout);
            _exit (0);
        }
        BENCH_CHECK (child != -1 && waitpid (child, &status, 0) == child);
        BENCH_CHECK (status == 0);
    }
    return 0;
}
