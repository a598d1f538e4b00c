/*  bench_flush - a worker with a million series: what a flush takes, how long
    ingest stands still, and memory

    The worker's own code, without its socket: messages go in as they come, and
    the flush goes on in its slices between them, while a thread in the
    sender's place takes the requests. Against it, the same rows in one array
    of cJSON, printed in one go.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#define main zibrato_main
#include "../../zibrato.c"
#undef main

#include <cjson/cJSON.h>
#include <malloc.h>

enum { SERIES = 1000000, SAMPLE = 100000, BATCH = 60 * 1024 };

//  Nanoseconds of this thread's processor time: another program that has the
//  core is no fault of ours, and nothing here waits for anything else.
static uint64_t
s_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static char s_message[BATCH + 1024];

//  So many bytes of this process are in memory; most: at the worst since the
//  last s_memory_mark.
static double
s_memory (bool most)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen ("/proc/self/status", "r");
    BENCH_CHECK (status);
    while (fgets (line, sizeof line, status))
        if (strncmp (line, most ? "VmHWM:" : "VmRSS:", 6) == 0)
            kib = atof (line + 6);
    fclose (status);
    return kib * 1024;
}

static void
s_memory_mark (void)
{
    FILE *file = fopen ("/proc/self/clear_refs", "w");
    BENCH_CHECK (file && fputs ("5", file) >= 0 && fclose (file) == 0);
}

//  --------------------------------------------------------------------------
//  Traffic

typedef struct {
    worker_t worker;
    zb_type_t type;
    size_t series, at, pass, seq;
    uint64_t last_ns, longest_ns;  //  when ingest went on, and stood still
} traffic_t;

static size_t
s_line (const traffic_t *self, char *text, size_t size)
{
    static const char common[] =
      "1795689090.77|web-01|1a217690ed2-d9f2c65b7d0ccb8a";
    int length, i;
    if (self->type == ZB_TYPE_COUNTER)
        return (size_t) snprintf (
          text, size, "info|Counter|bench.requests.%06zu|5|%s:%zu:%zu:%zu\n",
          self->at, common, self->seq, self->at, (self->pass + 1) * 5);
    length = snprintf (
      text, size,
      "info|Timer|bench.seconds.%06zu|5.3|%s:%zu:%zu:%zu:%zu.3:%zu.1:0.1:0.2:",
      self->at, common, self->seq, self->at, (self->pass + 1) * 160,
      (self->pass + 1) * 5, self->pass + 1);
    for (i = 0; i < 16; i++)
        length += snprintf (text + length, size - (size_t) length, "%s%d=%zu",
                            i ? "," : "", -260 + 3 * i, (self->pass + 1) * 10);
    length += snprintf (text + length, size - (size_t) length, "\n");
    return (size_t) length;
}

//  The flush's slices come between messages, as the loop's timer has them.
static void
s_gap (traffic_t *self)
{
    uint64_t now = s_now_ns ();
    if (self->last_ns && now - self->last_ns > self->longest_ns)
        self->longest_ns = now - self->last_ns;
    self->last_ns = now;
}

//  The next message: made while nobody waits, then taken in.
static void
s_message_next (traffic_t *self)
{
    uint64_t begin;
    size_t size = 0;
    while (size < BATCH) {
        size += s_line (self, s_message + size, sizeof s_message - size);
        self->seq++;
        if (++self->at == self->series) {
            self->at = 0;
            self->pass++;
        }
    }
    begin = s_now_ns ();
    ingest_message (&self->worker.ingest, s_message, size);
    begin = s_now_ns () - begin;
    if (begin > self->longest_ns)
        self->longest_ns = begin;
}

static void
s_pass (traffic_t *self)
{
    size_t pass = self->pass;
    while (self->pass == pass)
        s_message_next (self);
}

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "bench",
                                       .batch = 300,
                                       .wants = ZB_WANTS_SECONDS,
                                       .adds = 1};

static void
s_begin (traffic_t *self, zb_type_t type, size_t series)
{
    memset (self, 0, sizeof *self);
    s_worker.max_series = 2 * SERIES;
    s_worker.spool_max = INT64_C (1) << 40;
    s_worker.batch = 300;
    worker_init (&self->worker, &s_backend);
    flush_start (self->worker.flush);
    self->type = type;
    self->series = series;
}

//  --------------------------------------------------------------------------
//  Flush

//  In the sender's place: reads all, keeps nothing.
static void *
s_take (void *argument)
{
    queue_t *queue = (queue_t *) argument;
    request_t *request;
    while ((request = queue_take (queue)))
        request_destroy (&request);
    return NULL;
}

static cJSON *
s_cjson (const traffic_t *self, size_t i)
{
    char name[64];
    cJSON *row = cJSON_CreateObject ();
    snprintf (name, sizeof name, "bench.requests.%06zu", i);
    cJSON_AddNumberToObject (row, "time", 1795689090);
    cJSON_AddStringToObject (row, "type", "counter");
    cJSON_AddStringToObject (row, "name", name);
    cJSON_AddStringToObject (row, "source", "web-01");
    cJSON_AddNumberToObject (row, "value", (double) (self->pass * 5));
    return row;
}

//  Seconds that the same rows take cJSON in one go.
static double
s_limit (const traffic_t *self)
{
    uint64_t begin = s_now_ns ();
    cJSON *rows = cJSON_CreateArray ();
    char *text;
    size_t i;
    for (i = 0; i < self->series; i++)
        cJSON_AddItemToArray (rows, s_cjson (self, i));
    text = cJSON_PrintUnformatted (rows);
    BENCH_CHECK (text && strlen (text) > self->series * 60);
    free (text);
    cJSON_Delete (rows);
    return (double) (s_now_ns () - begin) * 1e-9;
}

//  Without traffic, then with: a message between any two slices, and how long
//  it had to wait for them.
static double
s_flush (traffic_t *self, bool traffic)
{
    uint64_t begin = s_now_ns (), busy = 0, done;
    self->last_ns = begin;
    worker_flush (&self->worker, wall_us () / 1000000, false);
    for (;;) {
        s_gap (self);
        if (traffic) {
            uint64_t from = s_now_ns ();
            s_message_next (self);
            self->last_ns = s_now_ns ();
            busy += self->last_ns - from;
        }
        done = (uint64_t) worker_save (&self->worker, SLICE_US);
        if (done)
            break;
    }
    s_gap (self);
    return (double) (s_now_ns () - begin - busy) * 1e-9;
}

static void
s_million (void)
{
    static traffic_t self;
    pthread_t sender;
    double resting, limit, seconds;
    s_begin (&self, ZB_TYPE_COUNTER, SERIES);
    BENCH_CHECK (pthread_create (&sender, NULL, s_take, self.worker.queue)
                 == 0);
    s_pass (&self);
    bench_figure ("flush.stall.grow", (double) self.longest_ns * 1e-6, 50);
    malloc_trim (0);
    resting = s_memory (false);
    s_memory_mark ();
    self.longest_ns = 0;
    seconds = s_flush (&self, true);
    bench_figure ("flush.memory", s_memory (true) / 1048576, resting / 1048576);
    s_pass (&self);
    bench_figure ("flush.stall", (double) self.longest_ns * 1e-6, 50);
    limit = s_limit (&self);
    bench_figure ("flush.seconds.traffic", seconds, limit);
    s_pass (&self);
    bench_figure ("flush.seconds", s_flush (&self, false), limit);
    queue_close (self.worker.queue);
    pthread_join (sender, NULL);
    worker_clear (&self.worker);
}

//  --------------------------------------------------------------------------
//  Memory

static void
s_bytes (zb_type_t type, const char *figure, double goal)
{
    static traffic_t self;
    double before;
    malloc_trim (0);
    before = s_memory (false);
    s_begin (&self, type, SAMPLE);
    s_pass (&self);
    malloc_trim (0);
    bench_figure (figure, (s_memory (false) - before) / SAMPLE, goal);
    worker_clear (&self.worker);
}

int
main (void)
{
    bench_pin (1);
    table_seed = sockets_random ();
    s_bytes (ZB_TYPE_COUNTER, "memory.worker.counter", 256);
    s_bytes (ZB_TYPE_TIMER, "memory.worker.timer", 4096);
    s_million ();
    return 0;
}
