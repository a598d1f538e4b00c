/*  bench_broker - what a broker carries, and how fast

    The real executable against zmq_proxy in a process of its own, with the
    same kinds of sockets and the same options, both on one core, with the
    publishers and workers that feed and read them on the other. They take
    turns, each as often first as second: of throughput and processor time the
    median turn counts, and in latency every other message is the peer's, so
    that whatever disturbs them meets both alike. Before a message there is a
    pause, or it would wait for what the other broker does after its own.

    bench_broker SUITE [SIZE]: throughput, latency, paced, or growth; of messages of
    that size alone.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_child.h"

#include <poll.h>
#include <sys/resource.h>
#include <zmq.h>

enum {
    PUBLISHERS_MAX = 1000,
    WORKERS_MAX = 4,
    BUFFER = 256 * 1024,  //  bytes that a worker reads at once
    TURNS = 16,           //  of throughput
    PINGS = 5000,         //  messages whose latency is taken,
    WARM = 50,            //  behind so many others
    PAUSE_NS = 50000,     //  before each of them
    PACE = 300000,        //  messages a second, evenly spaced,
    PACED = 150000        //  and how many in a turn
};

//  --------------------------------------------------------------------------
//  Both of them

typedef struct {
    bench_child_t child;
    int programs, workers;  //  ports
} broker_t;

static void
s_int (void *socket, int option, int value)
{
    BENCH_CHECK (zmq_setsockopt (socket, option, &value, sizeof value) == 0);
}

//  As `zibrato broker` opens its sockets.
static void *
s_socket (void *context, int type)
{
    void *self = zmq_socket (context, type);
    int64_t most = 65 * 1024;
    zmq_setsockopt (self, ZMQ_MAXMSGSIZE, &most, sizeof most);
    s_int (self, ZMQ_HANDSHAKE_IVL, 5000);
    s_int (self, ZMQ_HEARTBEAT_IVL, 5000);
    s_int (self, ZMQ_HEARTBEAT_TIMEOUT, 15000);
    s_int (self, ZMQ_TCP_KEEPALIVE, 1);
    s_int (self, ZMQ_TCP_MAXRT, 20000);
    s_int (self, ZMQ_BACKLOG, 1024);
    s_int (self, ZMQ_SNDHWM, 10000);
    s_int (self, ZMQ_RCVHWM, type == ZMQ_XSUB ? 256 : 10000);
    s_int (self, ZMQ_LINGER, 0);
    s_int (self, ZMQ_IPV6, 1);
    if (type == ZMQ_XPUB) {
        s_int (self, ZMQ_XPUB_VERBOSER, 1);
        s_int (self, ZMQ_XPUB_NODROP, 1);
    }
    return self;
}

static int
s_bind (void *socket)
{
    char endpoint[128];
    size_t size = sizeof endpoint;
    BENCH_CHECK (zmq_bind (socket, "tcp://127.0.0.1:*") == 0);
    zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    return atoi (strrchr (endpoint, ':') + 1);
}

static void
s_proxy (void *argument)
{
    void *context = zmq_ctx_new ();
    void *programs = s_socket (context, ZMQ_XSUB);
    void *workers = s_socket (context, ZMQ_XPUB);
    int port = s_bind (programs);
    (void) argument;
    fprintf (stderr, "publishers=tcp://127.0.0.1:%d\n", port);
    fprintf (stderr, "workers=tcp://127.0.0.1:%d\n", s_bind (workers));
    zmq_proxy (programs, workers, NULL);
}

static void
s_open (broker_t *zibrato, broker_t *proxy)
{
    char *command[] = {getenv ("ZB_BIN"), "broker", "--port", "0", NULL};
    BENCH_CHECK (command[0]);
    zibrato->child = bench_child (NULL, NULL, command, 1);
    zibrato->programs =
      (int) bench_child_says (&zibrato->child, "publishers=tcp://127.0.0.1:");
    zibrato->workers = zibrato->programs + 1;
    proxy->child = bench_child (s_proxy, NULL, NULL, 1);
    proxy->programs =
      (int) bench_child_says (&proxy->child, "publishers=tcp://127.0.0.1:");
    proxy->workers =
      (int) bench_child_says (&proxy->child, "workers=tcp://127.0.0.1:");
}

//  --------------------------------------------------------------------------
//  Publishers and workers

typedef struct {
    int fd;
    size_t messages;  //  that came
    size_t rest;      //  bytes of the frame that is coming
    int command;      //  which is no message
    size_t used, size;
    unsigned char *text;  //  BUFFER bytes
} reader_t;

typedef struct {
    broker_t *broker;
    size_t publishers, workers, size;  //  bytes of a message
    int publisher[PUBLISHERS_MAX];
    reader_t worker[WORKERS_MAX];
    size_t at;      //  whose turn it is to publish
    char *message;  //  a frame, many times
    size_t frame, frames;
} net_t;

//  Counts the messages that are whole. A command is none, but asks whether we
//  live (ZMTP 3.1, PING).
static void
reader_count (reader_t *self)
{
    const unsigned char *at = self->text, *end = at + self->size;
    size_t i, head, left;
    while ((left = (size_t) (end - at)) && !(self->rest == 0 && left < 2)) {
        if (self->rest) {
            size_t size = left < self->rest ? left : self->rest;
            self->rest -= size;
            at += size;
            self->messages += self->rest == 0 && !self->command;
            continue;
        }
        head = *at & 2 ? 9 : 2;
        if (left < head)
            break;
        self->command = *at & 4;
        if (self->command)
            bench_write (self->fd, "\4\5\4PONG", 7);
        for (i = 1; i < head; i++)
            self->rest = self->rest << 8 | at[i];
        at += head;
    }
    memmove (self->text, at, (size_t) (end - at));
    self->size = (size_t) (end - at);
}

//  Reads what is there.
static void
reader_read (reader_t *self)
{
    ssize_t got = recv (self->fd, self->text + self->size, BUFFER - self->size,
                        MSG_DONTWAIT);
    BENCH_CHECK (got > 0 || (got == -1 && errno == EAGAIN));
    if (got > 0) {
        self->size += (size_t) got;
        reader_count (self);
    }
}

static void
net_open (net_t *self, broker_t *broker, size_t publishers, size_t workers,
          size_t size)
{
    unsigned char wanted[] = "\0\6\1info|", text[64];
    size_t i, head;
    memset (self, 0, sizeof *self);
    self->broker = broker;
    self->publishers = publishers;
    self->workers = workers;
    self->size = size;
    for (i = 0; i < workers; i++) {
        self->worker[i].fd = bench_connect (broker->workers);
        self->worker[i].text = malloc (BUFFER);
        bench_greet (self->worker[i].fd, "SUB");
        bench_write (self->worker[i].fd, wanted, 8);
    }
    for (i = 0; i < publishers; i++) {
        self->publisher[i] = bench_connect (broker->programs);
        bench_greet (self->publisher[i], "XPUB");
        bench_read (self->publisher[i], text, 8);
    }
    head = bench_frame_head (text, size);
    self->frame = head + size;
    self->frames = 16 * 1024 / self->frame + 1;
    self->message = malloc (self->frame * self->frames);
    for (i = 0; i < self->frames; i++) {
        char *frame = self->message + i * self->frame;
        memcpy (frame, text, head);
        memset (frame + head, 'x', size);
        memcpy (frame + head, "info|", 5);
    }
}

static void
net_close (net_t *self)
{
    size_t i;
    for (i = 0; i < self->workers; i++) {
        close (self->worker[i].fd);
        free (self->worker[i].text);
    }
    for (i = 0; i < self->publishers; i++)
        close (self->publisher[i]);
    free (self->message);
}

static void
net_publish (net_t *self, size_t frames)
{
    bench_write (self->publisher[self->at], self->message,
                 frames * self->frame);
    self->at = (self->at + 1) % self->publishers;
}

//  Messages that the slowest worker has got.
static size_t
net_least (net_t *self)
{
    size_t i, least = SIZE_MAX;
    for (i = 0; i < self->workers; i++) {
        reader_read (&self->worker[i]);
        if (self->worker[i].messages < least)
            least = self->worker[i].messages;
    }
    return least;
}

//  --------------------------------------------------------------------------
//  Throughput

//  Messages per second, from the first sent to the last received by all. Never
//  are so many on their way that a worker would lose one.
static double
net_rate (net_t *self, size_t messages)
{
    size_t before = net_least (self), sent = 0, came = 0;
    size_t ahead =
      4000 < (8 << 20) / self->frame ? 4000 : (8 << 20) / self->frame;
    uint64_t begin = bench_ns ();
    while (came < messages) {
        if (sent < messages && sent - came < ahead) {
            net_publish (self, self->frames);
            sent += self->frames;
        }
        if (sent >= messages || sent - came >= ahead / 2)
            came = net_least (self) - before;
    }
    while (net_least (self) - before < sent) {
    }
    return (double) sent / ((double) (bench_ns () - begin) * 1e-9);
}

//  Medians: messages per second, and microseconds of processor time a message.
static void
s_rates (broker_t *zibrato, broker_t *proxy, size_t publishers, size_t workers,
         size_t size, double rate[2], double cpu[2])
{
    static net_t net[2];
    double rates[2][TURNS], cpus[2][TURNS];
    //  a turn of 30 to 100 ms, if one worker reads
    size_t some = size < 1024 ? 100000 : size < 4096 ? 30000 : 4000;
    size_t messages = some / workers;
    int turn, both, i;
    net_open (&net[0], zibrato, publishers, workers, size);
    net_open (&net[1], proxy, publishers, workers, size);
    for (turn = -1; turn < TURNS; turn++)
        for (both = 0; both < 2; both++) {
            uint64_t before;
            int at = turn < 0 ? 0 : turn;  //  the first warms up
            i = (both + turn) & 1;
            before = bench_child_cpu_ns (&net[i].broker->child);
            rates[i][at] = net_rate (&net[i], messages);
            cpus[i][at] =
              (double) (bench_child_cpu_ns (&net[i].broker->child) - before)
              * 1e-3 / (double) messages;
        }
    for (i = 0; i < 2; i++) {
        rate[i] = bench_median (rates[i], TURNS);
        cpu[i] = bench_median (cpus[i], TURNS);
        net_close (&net[i]);
    }
}

//  --------------------------------------------------------------------------
//  Messages that come one by one

//  Those that are due together are one write, as ZeroMQ has it. Returns microseconds of
//  processor time a message.
static double
net_paced (net_t *self)
{
    uint64_t cpu = bench_child_cpu_ns (&self->broker->child);
    uint64_t begin = bench_ns ();
    size_t before = net_least (self), sent = 0;
    while (sent < PACED) {
        uint64_t due = (bench_ns () - begin) * PACE / 1000000000;
        size_t frames = due < PACED ? due - sent : PACED - sent;
        if (frames > self->frames)
            frames = self->frames;
        if (frames)
            net_publish (self, frames);
        sent += frames;
        net_least (self);
    }
    while (net_least (self) - before < sent) {
    }
    cpu = bench_child_cpu_ns (&self->broker->child) - cpu;
    return (double) cpu * 1e-3 / PACED;
}

static void
s_paced (broker_t *zibrato, broker_t *proxy, size_t publishers)
{
    static net_t net[2];
    double cpu[2][TURNS];
    char name[96];
    int turn, both;
    net_open (&net[0], zibrato, publishers, 1, 64);
    net_open (&net[1], proxy, publishers, 1, 64);
    for (turn = 0; turn < TURNS / 4; turn++)
        for (both = 0; both < 2; both++) {
            int i = (both + turn) & 1;
            cpu[i][turn] = net_paced (&net[i]);
        }
    snprintf (name, sizeof name, "broker.paced.%zu", publishers);
    bench_figure (name, bench_median (cpu[0], TURNS / 4),
                  bench_median (cpu[1], TURNS / 4));
    net_close (&net[0]);
    net_close (&net[1]);
}

//  --------------------------------------------------------------------------
//  Latency

//  A message that nothing waits before, to a broker that has nothing to do.
//  Adds what it took to each worker.
static void
net_ping (net_t *self, double *us, size_t *count)
{
    size_t i, before = self->worker[0].messages, left = self->workers;
    uint64_t begin = bench_ns () + PAUSE_NS;
    while (bench_ns () < begin) {
    }
    begin = bench_ns ();
    net_publish (self, 1);
    while (left)
        for (i = 0; i < self->workers; i++) {
            if (self->worker[i].messages != before)
                continue;
            reader_read (&self->worker[i]);
            if (self->worker[i].messages == before)
                continue;
            us[(*count)++] = (double) (bench_ns () - begin) * 1e-3;
            left--;
        }
}

static void
s_latency (broker_t *zibrato, broker_t *proxy, size_t publishers,
           size_t workers, size_t size)
{
    static const struct {
        const char *name;
        double share;
    } percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};
    static net_t net[2];
    static double us[2][PINGS * WORKERS_MAX];
    size_t count[2] = {0, 0}, ping, both, i;
    char name[96];
    net_open (&net[0], zibrato, publishers, workers, size);
    net_open (&net[1], proxy, publishers, workers, size);
    for (ping = 0; ping < PINGS + WARM; ping++)
        for (both = 0; both < 2; both++) {
            i = (both + ping) & 1;
            if (ping == WARM)
                count[i] = 0;
            net_ping (&net[i], us[i], &count[i]);
        }
    for (i = 0; i < 2; i++)
        qsort (us[i], count[i], sizeof (double), bench_compare);
    for (i = 0; i < 3; i++) {
        size_t at = (size_t) ((double) count[0] * percentiles[i].share);
        snprintf (name, sizeof name, "broker.latency.%zu.%zu.%zu.%s", size,
                  publishers, workers, percentiles[i].name);
        bench_figure (name, us[0][at], us[1][at]);
    }
    net_close (&net[0]);
    net_close (&net[1]);
}

//  --------------------------------------------------------------------------

static void
s_cases (broker_t *zibrato, broker_t *proxy, int latency, size_t only)
{
    static const size_t sizes[] = {64, 1024, 16384};
    double rate[2], cpu[2];
    char name[96];
    size_t i, publishers, workers;
    for (i = 0; i < 3; i++)
        for (publishers = only && only != sizes[i] ? 101 : 1; publishers <= 100;
             publishers += 99)
            for (workers = 1; workers <= 4; workers += 3) {
                if (latency) {
                    s_latency (zibrato, proxy, publishers, workers, sizes[i]);
                    continue;
                }
                s_rates (zibrato, proxy, publishers, workers, sizes[i], rate,
                         cpu);
                snprintf (name, sizeof name, "broker.rate.%zu.%zu.%zu",
                          sizes[i], publishers, workers);
                bench_figure (name, rate[0] * 1e-6, rate[1] * 1e-6);
                snprintf (name, sizeof name, "broker.cpu.%zu.%zu.%zu", sizes[i],
                          publishers, workers);
                bench_figure (name, cpu[0], cpu[1]);
            }
}

//  Over the number of publishers.
static void
s_growth (broker_t *zibrato, broker_t *proxy)
{
    size_t publishers;
    double rate[2], cpu[2];
    for (publishers = 1; publishers <= PUBLISHERS_MAX; publishers *= 10) {
        s_rates (zibrato, proxy, publishers, 1, 1024, rate, cpu);
        printf ("point broker zibrato %zu %.6g\n", publishers, rate[0] * 1e-6);
        printf ("point broker zmq_proxy %zu %.6g\n", publishers,
                rate[1] * 1e-6);
    }
}

int
main (int argc, char **argv)
{
    const char *suite = argc > 1 ? argv[1] : "throughput";
    broker_t zibrato, proxy;
    struct rlimit files;
    getrlimit (RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit (RLIMIT_NOFILE, &files);
    s_open (&zibrato, &proxy);
    bench_pin (0);
    if (strcmp (suite, "growth") == 0)
        s_growth (&zibrato, &proxy);
    else if (strcmp (suite, "paced") == 0) {
        s_paced (&zibrato, &proxy, 1);
        s_paced (&zibrato, &proxy, 100);
    }
    else
        s_cases (&zibrato, &proxy, strcmp (suite, "latency") == 0,
                 argc > 2 ? (size_t) atol (argv[2]) : 0);
    kill (proxy.child.pid, SIGKILL);
    bench_child_end (&proxy.child);
    bench_child_end (&zibrato.child);
    return 0;
}
