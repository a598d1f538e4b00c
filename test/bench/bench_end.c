/*  bench_end.c - from eight threads to accepted requests

    usage: bench_end [--latency]

    Starts broker, worker with a spool and stand-in, as ZB_BIN and ZB_STANDIN
    say. Eight threads run 2000 events of a microsecond's work each without
    measuring, then 2000 that count and time themselves, and so on in turns for
    eight seconds: what they take on the processor is compared, with all that
    the background threads took on the side of those that measure. Then they
    count and time for two seconds without any work. What the stand-in has
    accepted in the end is compared with what was measured.

    --latency tells how long an event takes until a request that has it is
    accepted, with the worker's --flush 1, while 10 to 100,000 series change
    between any two reports. The limit is half of both intervals, and what a
    plain loop around curl_easy_perform takes to post as many rows to the same
    stand-in. Then how many rows a minute a service gets that takes 100 ms for
    each request, and how many from that loop.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../zibrato.h"

enum {
    THREADS = 8,
    CHUNK = 2000,  //  events
    PROBES = 20,
    INTERVAL_MS = 250,
    FLUSH_MS = 1000,
    BATCH = 300,  //  rows a request, the worker's default
    SLOW_MS = 100,
    WAIT_S = 60
};

static void
pause_ms (long ms)
{
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

//  --------------------------------------------------------------------------
//  The others: broker, worker, stand-in

typedef struct {
    pid_t pid;
    FILE *output;  //  stdout and stderr
} other_t;

static void
other_start (other_t *self, const char *const *argv)
{
    int ends[2];
    BENCH_CHECK (pipe (ends) == 0);
    self->pid = fork ();
    BENCH_CHECK (self->pid != -1);
    if (self->pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        dup2 (ends[1], 1);
        dup2 (ends[1], 2);
        close (ends[0]);
        close (ends[1]);
        execv (argv[0], (char *const *) argv);
        _exit (127);
    }
    close (ends[1]);
    self->output = fdopen (ends[0], "r");
    BENCH_CHECK (self->output);
}

//  Reads on to the line that holds such a text, and copies it.
static void
other_await (other_t *self, const char *text, char *line, int size)
{
    do
        BENCH_CHECK (fgets (line, size, self->output));
    while (!strstr (line, text));
}

static void
other_stop (other_t *self)
{
    int status;
    kill (self->pid, SIGTERM);
    fclose (self->output);
    BENCH_CHECK (waitpid (self->pid, &status, 0) == self->pid);
}

typedef struct {
    other_t broker, worker, standin;
    char url[256], base[256], folder[32];
    int port;
} chain_t;

static const char *
environment (const char *name)
{
    const char *value = getenv (name);
    if (!value)
        fprintf (stderr, "%s is not set: run me by test/bench/run\n", name);
    BENCH_CHECK (value);
    return value;
}

static void
chain_start (chain_t *self)
{
    char line[512], port[16];
    strcpy (self->folder, "/tmp/zibrato-bench-XXXXXX");
    BENCH_CHECK (mkdtemp (self->folder));
    other_start (&self->standin,
                 (const char *[]){environment ("ZB_STANDIN"), NULL});
    other_await (&self->standin, "ready url=", line, sizeof line);
    BENCH_CHECK (sscanf (line, "ready url=%255s", self->url) == 1);
    strcpy (self->base, self->url);
    strstr (self->base, "/v1/")[0] = 0;
    other_start (
      &self->broker,
      (const char *[]){environment ("ZB_BIN"), "broker", "--port", "0", NULL});
    other_await (&self->broker, "event=ready", line, sizeof line);
    self->port = atoi (strrchr (line, ':') + 1) - 1;
    snprintf (port, sizeof port, "%d", self->port + 1);
    other_start (&self->worker,
                 (const char *[]){environment ("ZB_BIN"), "librato",
                                  "--username", "user@example.org",
                                  "--apitoken", "token", "--url", self->url,
                                  "--flush", "1", "--port", port, "--spool",
                                  self->folder, NULL});
    other_await (&self->worker, "event=ready", line, sizeof line);
}

static int
remove_one (const char *path, const struct stat *status, int type,
            struct FTW *place)
{
    (void) status, (void) type, (void) place;
    return remove (path);
}

static void
chain_stop (chain_t *self)
{
    other_stop (&self->worker);
    other_stop (&self->broker);
    other_stop (&self->standin);
    nftw (self->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

//  --------------------------------------------------------------------------
//  What the stand-in has

static size_t
take (char *data, size_t size, size_t count, void *argument)
{
    return fwrite (data, size, count, argument);
}

//  Returns the JSON of a route; caller deletes it. With a method it is sent as
//  that, and the answer is left alone.
static cJSON *
standin_ask (const chain_t *chain, const char *route, const char *method)
{
    char *text = NULL, url[300];
    size_t size;
    cJSON *json;
    FILE *out = open_memstream (&text, &size);
    CURL *curl = curl_easy_init ();
    BENCH_CHECK (curl && out);
    snprintf (url, sizeof url, "%s/control/%s", chain->base, route);
    curl_easy_setopt (curl, CURLOPT_URL, url);
    curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt (curl, CURLOPT_WRITEDATA, out);
    if (method)
        curl_easy_setopt (curl, CURLOPT_CUSTOMREQUEST, method);
    BENCH_CHECK (curl_easy_perform (curl) == CURLE_OK);
    curl_easy_cleanup (curl);
    fclose (out);
    json = method ? NULL : cJSON_Parse (text);
    free (text);
    return json;
}

//  What it is to do to the next requests.
static void
standin_script (const chain_t *chain, const char *script)
{
    char url[300];
    CURL *curl = curl_easy_init ();
    BENCH_CHECK (curl);
    snprintf (url, sizeof url, "%s/control/script", chain->base);
    curl_easy_setopt (curl, CURLOPT_URL, url);
    curl_easy_setopt (curl, CURLOPT_POSTFIELDS, script);
    curl_easy_setopt (curl, CURLOPT_FAILONERROR, 1L);
    BENCH_CHECK (curl_easy_perform (curl) == CURLE_OK);
    curl_easy_cleanup (curl);
}

static double
standin_total (const chain_t *chain, const char *key, const char *field)
{
    cJSON *totals = standin_ask (chain, "totals", NULL);
    cJSON *total = cJSON_GetObjectItemCaseSensitive (totals, key);
    cJSON *item = cJSON_GetObjectItemCaseSensitive (total, field);
    double value = cJSON_IsNumber (item) ? item->valuedouble : 0;
    cJSON_Delete (totals);
    return value;
}

//  Waits until as much has come as was measured, or more. Returns how much.
static double
standin_await (const chain_t *chain, const char *key, const char *field,
               double wanted)
{
    uint64_t until = bench_ns () + WAIT_S * 1000000000ull;
    double got;
    while ((got = standin_total (chain, key, field)) < wanted
           && bench_ns () < until)
        pause_ms (200);
    return got;
}

//  --------------------------------------------------------------------------
//  The plain loop: what one thread with libcurl does

//  Rows as the worker makes them. Caller owns the return value.
static char *
plain_body (size_t first, size_t rows)
{
    char *text = NULL;
    size_t size, i;
    FILE *out = open_memstream (&text, &size);
    BENCH_CHECK (out);
    for (i = first; i < first + rows; i++)
        fprintf (out,
                 "%s{\"measure_time\":%lld,\"name\":\"bench.series.%07zu\","
                 "\"source\":\"not_specified\",\"value\":4}",
                 i == first ? "{\"gauges\":[" : ",", (long long) time (NULL),
                 i);
    fputs ("]}", out);
    fclose (out);
    return text;
}

//  Milliseconds to post so many rows, one request after the other.
static double
plain_ms (const chain_t *chain, size_t rows)
{
    CURL *curl = curl_easy_init ();
    struct curl_slist *headers =
      curl_slist_append (NULL, "Content-Type: application/json");
    uint64_t begun, taken = 0;
    size_t i;
    headers = curl_slist_append (headers, "Expect:");
    BENCH_CHECK (curl && headers);
    curl_easy_setopt (curl, CURLOPT_URL, chain->url);
    curl_easy_setopt (curl, CURLOPT_USERPWD, "user@example.org:token");
    curl_easy_setopt (curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt (curl, CURLOPT_FAILONERROR, 1L);
    for (i = 0; i < rows; i += BATCH) {
        char *body = plain_body (i, rows - i < BATCH ? rows - i : BATCH);
        curl_easy_setopt (curl, CURLOPT_POSTFIELDS, body);
        begun = bench_ns ();
        BENCH_CHECK (curl_easy_perform (curl) == CURLE_OK);
        taken += bench_ns () - begun;
        free (body);
    }
    curl_easy_cleanup (curl);
    curl_slist_free_all (headers);
    return (double) taken * 1e-6;
}

//  --------------------------------------------------------------------------
//  Events

static int s_steps;  //  of work: a microsecond

typedef struct {
    pthread_t thread;
    uint64_t until, flat_until;
    uint64_t events, flat;          //  that count and time themselves
    uint64_t bare_ns, measured_ns;  //  of the same number of events
    uint64_t all_ns;
} worker_t;

__attribute__ ((noinline)) static uint64_t
event_bare (uint64_t x, int steps)
{
    for (int i = 0; i < steps; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

__attribute__ ((noinline)) static uint64_t
event_measured (uint64_t x, int steps)
{
    ZB_COUNT_ME ("info", "end.count");
    ZB_TIME_ME ("info", "end.time");
    for (int i = 0; i < steps; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

//  How many steps take a microsecond: by the best of some tries.
static void
work_calibrate (void)
{
    enum { STEPS = 1000000 };
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t before = bench_thread_ns ();
        event_bare (1, STEPS);
        before = bench_thread_ns () - before;
        best = before < best ? before : best;
    }
    s_steps = (int) (STEPS * 1000.0 / (double) best);
}

static uint64_t
chunk (uint64_t (*event) (uint64_t, int), int steps)
{
    uint64_t before = bench_thread_ns (), x = 1;
    for (int i = 0; i < CHUNK; i++)
        x = event (x, steps);
    return bench_thread_ns () - before;
}

static void *
worker_run (void *argument)
{
    worker_t *self = argument;
    uint64_t before = bench_thread_ns ();
    while (bench_ns () < self->until) {
        self->bare_ns += chunk (event_bare, s_steps);
        self->measured_ns += chunk (event_measured, s_steps);
        self->events += CHUNK;
    }
    while (bench_ns () < self->flat_until) {
        chunk (event_measured, 0);
        self->flat += CHUNK;
    }
    self->all_ns = bench_thread_ns () - before;
    return NULL;
}

static void
measure_totals (const chain_t *chain)
{
    worker_t worker[THREADS] = {0};
    uint64_t ours, cpu, events = 0, all = 0, bare = 0, measured = 0;
    uint64_t until = bench_ns () + (bench_quick () ? 1 : 8) * 1000000000ull;
    int i;
    cpu = bench_cpu_ns ();
    for (i = 0; i < THREADS; i++) {
        worker[i].until = until;
        worker[i].flat_until = until + (bench_quick () ? 1 : 4) * 500000000ull;
        BENCH_CHECK (
          pthread_create (&worker[i].thread, NULL, worker_run, &worker[i])
          == 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join (worker[i].thread, NULL);
        events += worker[i].events + worker[i].flat;
        bare += worker[i].bare_ns;
        measured += worker[i].measured_ns;
        all += worker[i].all_ns;
    }
    zb_flush (NULL, 10000);
    ours = bench_cpu_ns () - cpu - all;  //  what is not the threads'
    bench_figure ("end.cpu", (double) (measured + ours) * 1e-9,
                  (double) bare * 1e-9);
    bench_figure (
      "end.count",
      standin_await (chain, "not_specified/end.count", "sum", (double) events),
      (double) events);
    bench_figure (
      "end.time",
      standin_await (chain, "not_specified/end.time", "count", (double) events),
      (double) events);
}

//  --------------------------------------------------------------------------
//  Latency

static double
wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec * 1e-6;
}

//  How old each probe was when its request came. Returns how many have come.
static int
probes_find (const chain_t *chain, size_t size, const double *sent,
             double *latency)
{
    char route[64];
    cJSON *rows, *row, *requests;
    int found = 0, number, index;
    //  all that is stored would keep the stand-in, and us, busy for seconds
    snprintf (route, sizeof route, "stored?name=probe.%zu.", size);
    rows = standin_ask (chain, route, NULL);
    requests = standin_ask (chain, "requests", NULL);
    cJSON_ArrayForEach (row, rows)
    {
        const char *name =
          cJSON_GetStringValue (cJSON_GetObjectItemCaseSensitive (row, "name"));
        if (!name || sscanf (name, "probe.%*u.%d", &number) != 1
            || number >= PROBES || found == PROBES)
            continue;
        index = cJSON_GetObjectItemCaseSensitive (row, "request")->valueint;
        latency[found++] = cJSON_GetObjectItemCaseSensitive (
                             cJSON_GetArrayItem (requests, index), "time_ms")
                             ->valuedouble
                           - sent[number];
    }
    cJSON_Delete (rows);
    cJSON_Delete (requests);
    return found;
}

static void
touch (size_t size)
{
    char name[64];
    for (size_t i = 0; i < size; i++) {
        snprintf (name, sizeof name, "bench.series.%07zu", i);
        zb_count ("info", name);
    }
}

static void
measure_latency (const chain_t *chain, size_t size)
{
    double sent[PROBES], latency[PROBES], begun, middle, limit;
    uint64_t until = bench_ns () + WAIT_S * 1000000000ull;
    char name[64];
    int i;
    touch (size);
    pause_ms (FLUSH_MS);
    for (i = 0; i < PROBES; i++) {
        begun = wall_ms ();
        touch (size);
        //  not in step with any interval
        pause_ms (rand () % 200);
        snprintf (name, sizeof name, "probe.%zu.%d", size, i);
        sent[i] = wall_ms ();
        zb_count ("info", name);
        while (wall_ms () < begun + INTERVAL_MS)
            pause_ms (1);
    }
    while (probes_find (chain, size, sent, latency) < PROBES) {
        BENCH_CHECK (bench_ns () < until);
        pause_ms (200);
    }
    limit = FLUSH_MS / 2.0 + INTERVAL_MS / 2.0 + plain_ms (chain, size);
    standin_ask (chain, "stored", "DELETE");
    middle = bench_median (latency, PROBES);
    printf ("point growth.latency median %zu %g\n", size, middle);
    printf ("point growth.latency most %zu %g\n", size, latency[PROBES - 1]);
    printf ("point growth.latency limit %zu %g\n", size, limit);
    if (size == 10) {
        bench_figure ("end.latency", middle, limit);
        bench_figure ("end.latency.most", latency[PROBES - 1],
                      FLUSH_MS + INTERVAL_MS);
    }
    if (size == 100000)
        bench_figure ("end.latency.100000", middle, limit);
}

//  What has come of the worker's rows. Returns how many, and in which time.
static double
slow_rows (const chain_t *chain, double *ms)
{
    cJSON *requests = standin_ask (chain, "requests", NULL), *request;
    double rows = 0, first = 1e300, last = 0;
    cJSON_ArrayForEach (request, requests)
    {
        double count = cJSON_GetObjectItem (request, "measurements")->valueint;
        double at = cJSON_GetObjectItem (request, "time_ms")->valuedouble;
        if (count < BATCH)  //  of the worker's own health, or the rest
            continue;
        rows += count;
        first = at < first ? at : first;
        last = at + SLOW_MS > last ? at + SLOW_MS : last;
    }
    cJSON_Delete (requests);
    *ms = last - first;
    return rows;
}

static void
measure_slow (const chain_t *chain)
{
    size_t rows = (bench_quick () ? 20 : 100) * BATCH;
    double got, ms, plain;
    uint64_t until = bench_ns () + WAIT_S * 1000000000ull;
    standin_script (chain, "slow:100*");
    touch (rows);
    do {
        pause_ms (200);
        got = slow_rows (chain, &ms);
        BENCH_CHECK (bench_ns () < until);
    } while (got + BATCH < (double) rows);
    plain = plain_ms (chain, 10 * BATCH);
    bench_figure ("end.slow", got / ms * 60, 10 * BATCH / plain * 60);
}

int
main (int argc, char *argv[])
{
    chain_t chain;
    bool latency = argc > 1 && strcmp (argv[1], "--latency") == 0;
    size_t size;
    chain_start (&chain);
    BENCH_CHECK (zb_open (.host = "127.0.0.1", .port = chain.port,
                          .interval_ms = INTERVAL_MS, .max_series = 200000));
    if (latency) {
        for (size = 10; size <= (bench_quick () ? 1000 : 100000); size *= 10)
            measure_latency (&chain, size);
        measure_slow (&chain);
    }
    else {
        work_calibrate ();
        measure_totals (&chain);
    }
    chain_stop (&chain);
    return 0;
}
