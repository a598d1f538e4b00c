/*  test_statsd.c - what comes to a real StatsD, to collectd, and to a socket that is
    slow, or not there

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 180 NOTSAN - the threads are those of any worker

#include "collectd.h"
#include "indexer.h"
#include "site.h"

#include <math.h>
#include <pthread.h>
#include <sys/un.h>

//  --------------------------------------------------------------------------
//  npm's statsd: port 0 is its console, port 1 is UDP. It prints what it has got
//  twice a second.

static const char *const *
s_configure (const server_t *self)
{
    const char *source = harness_path ("ZB_SOURCE");
    const char *modules =
      text_new ("%s/../statsd", harness_path ("ZB_PROGRAMS"));
    process_run (LIST (text_new ("%s/test/statsd/install", source), modules),
                 NULL);
    file_write (server_path (self, "config.js"),
                text_new ("{ mgmt_address: '127.0.0.1', mgmt_port: %d, "
                          "address: '127.0.0.1', port: %d, "
                          "flushInterval: 500, deleteIdleStats: true, "
                          "percentThreshold: [50, 90], "
                          "backends: ['%s/test/statsd/json.js'] }",
                          self->port[0], self->port[1], source));
    return s_list_keep (
      LIST ("node", text_new ("%s/node_modules/statsd/stats.js", modules),
            server_path (self, "config.js")));
}

static const server_kind_t server_statsd = {
  .program = "node", .ports = 2, .configure = s_configure};

//  What all flushes together have in "counters", or in `field` of "timers".
static double
statsd_sum (const server_t *self, const char *name, const char *field)
{
    const char *line, *end;
    double sum = 0;
    pthread_mutex_lock (&self->process->lock);
    for (line = self->process->output[OUT].text; (end = strchr (line, '\n'));
         line = end + 1) {
        cJSON *json = cJSON_ParseWithLength (line, (size_t) (end - line));
        const cJSON *list =
          cJSON_GetObjectItem (json, field ? "timers" : "counters");
        const cJSON *item = cJSON_GetObjectItemCaseSensitive (list, name);
        item = field ? cJSON_GetObjectItem (item, field) : item;
        sum += cJSON_IsNumber (item) ? item->valuedouble : 0;
        cJSON_Delete (json);
    }
    pthread_mutex_unlock (&self->process->lock);
    return sum;
}

static void
statsd_await (const server_t *self, const char *name, const char *field,
              double sum)
{
    int64_t until = now_ms () + WAIT_MS;
    while (statsd_sum (self, name, field) < sum - 1e-6 && now_ms () < until)
        poll_pause ();
    if (fabs (statsd_sum (self, name, field) - sum) > 1e-6)
        fail_msg ("%s: %g, expected %g", name, statsd_sum (self, name, field),
                  sum);
}

static void
collectd_await (const server_t *self, const cJSON *series)
{
    int64_t until = now_ms () + WAIT_MS;
    double total = row_number (series, "total");
    while (collectd_total (self, series) < total && now_ms () < until)
        poll_pause ();
    if (collectd_total (self, series) != total)
        fail_msg ("%s: %g, expected %g",
                  cJSON_GetObjectItem (series, "name")->valuestring,
                  collectd_total (self, series), total);
}

static process_t *
s_worker (const broker_t *broker, const server_t *server)
{
    return worker_start (broker, "statsd",
                         LIST ("--flush", "1", "--samples", "1000", "--to",
                               text_new ("127.0.0.1:%d", server->port[1])),
                         NULL);
}

//  --------------------------------------------------------------------------
//  Tests

//  The last reading below zero needs a zero before it.
static void
what_was_counted_comes_to_statsd (void)
{
    broker_t *broker = broker_start ();
    server_t *server = server_start (&server_statsd);
    process_t *worker = s_worker (broker, server);
    process_t *indexer = indexer_start (broker, tree_new (), 3, 1000);
    cJSON *series = indexer_totals (indexer), *one;
    int counters = 0;
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    cJSON_ArrayForEach (one, series)
    {
        const char *type = cJSON_GetObjectItem (one, "type")->valuestring;
        const char *name =
          text_new ("%s.%s", cJSON_GetObjectItem (one, "source")->valuestring,
                    cJSON_GetObjectItem (one, "name")->valuestring);
        if (strcmp (type, "counter") == 0) {
            counters++;
            statsd_await (server, name, NULL,
                          cJSON_GetObjectItem (one, "total")->valuedouble);
        }
        if (strcmp (type, "timer") == 0)
            statsd_await (server, name, "count",
                          cJSON_GetObjectItem (one, "count")->valuedouble);
    }
    assert_true (counters > 2);
    cJSON_Delete (series);
}

static void
what_was_counted_comes_to_collectd (void)
{
    broker_t *broker = broker_start ();
    server_t *server = server_start (&server_collectd);
    process_t *worker = s_worker (broker, server);
    process_t *indexer = indexer_start (broker, tree_new (), 3, 1000);
    cJSON *series = indexer_totals (indexer), *one;
    int checked = 0;
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    cJSON_ArrayForEach (one, series) if (row_is (one, "type", "counter"))
    {
        collectd_await (server, one);
        checked++;
    }
    assert_true (checked > 4);
    cJSON_Delete (series);
}

//  A thousand durations of one flush: 1 to 1000 ms.
static void
timers_keep_mean_and_percentiles (void)
{
    static const struct {
        const char *field;
        double right;
    } cases[] = {{"count", 1000},   {"sum", 500500},   {"mean", 500.5},
                 {"median", 500.5}, {"upper_90", 900}, {"upper_50", 500}};
    broker_t *broker = broker_start ();
    server_t *server = server_start (&server_statsd);
    process_t *worker = s_worker (broker, server);
    char *lines = NULL;
    size_t size, i;
    FILE *out = open_memstream (&lines, &size);
    for (i = 1; i <= 1000; i++)
        fprintf (out, "info|Timer|t|%g|%ld|s\n", (double) i / 1000,
                 (long) time (NULL));
    fclose (out);
    publisher_send (publisher_new (broker, ""), lines);
    free (lines);
    statsd_await (server, "s.t", "count", 1000);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = statsd_sum (server, "s.t", cases[i].field);
        if (fabs (got / cases[i].right - 1) > 0.011)
            fail_msg ("%s: %g, expected %g", cases[i].field, got,
                      cases[i].right);
    }
    assert_int_equal (process_stop (worker, SIGTERM), 0);
}

//  Every byte, in name, tag and source: it comes, and takes nothing else with it.
static void
all_bytes_come (void)
{
    broker_t *broker = broker_start ();
    server_t *server = server_start (&server_statsd);
    process_t *worker = s_worker (broker, server);
    char *lines = NULL;
    size_t size;
    FILE *out = open_memstream (&lines, &size);
    int bytes = 0;
    for (int c = 0x20; c < 256; c++)
        if (c != '|' && c != 0x7f && c != ';') {
            bytes++;
            fprintf (out, "info|Counter|n%cx|1|1|s\n", c);
            fprintf (out, "info|Counter|t;k=v%cx|1|1|s\n", c);
            fprintf (out, "info|Counter|o|1|1|s%cx\n", c);
        }
    fprintf (out, "info|Gauge|below|-5|%ld|s\n", (long) time (NULL));
    fclose (out);
    publisher_send (publisher_new (broker, ""), lines);
    free (lines);
    //  62 letters and digits, '_', '-' and in a name '.' are themselves; '_' is also
    //  what all others become
    statsd_await (server, "s.n_x", NULL, bytes - 64);
    statsd_await (server, "s.nax", NULL, 1);
    statsd_await (server, "s.n.x", NULL, 1);
    statsd_await (server, "s.t.k.v_x", NULL, bytes - 63);
    statsd_await (server, "s.t.k.v9x", NULL, 1);
    statsd_await (server, "s_x.o", NULL, bytes - 63);
    statsd_await (server, "sZx.o", NULL, 1);
    process_await (server->process, "\"s.below\":-5");
    assert_int_equal (process_stop (worker, SIGTERM), 0);
}

//  --------------------------------------------------------------------------
//  A Unix socket of ours

static int
s_bind (const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal (bind (fd, (void *) &address, sizeof address), 0);
    return fd;
}

//  Adds up what comes of the names n.*, until there is so much of it.
static void
s_read_sum (int fd, double wanted)
{
    struct timeval wait = {WAIT_MS / 1000, 0};
    double sum = 0;
    char text[9000], *line;
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    while (sum < wanted) {
        ssize_t size = recv (fd, text, sizeof text - 1, 0);
        assert_true (size > 0 && size <= 1432);
        text[size] = 0;
        for (line = strtok (text, "\n"); line; line = strtok (NULL, "\n"))
            if (strncmp (line, "n.", 2) == 0)
                sum += strtod (strchr (line, ':') + 1, NULL);
    }
    assert_true (sum == wanted);
}

//  Counters n.0, n.1, ... of 1 each, a message each thousand.
static void
s_send_counters (void *publisher, int count)
{
    for (int i = 0; i < count;) {
        char *lines = NULL;
        size_t size;
        FILE *out = open_memstream (&lines, &size);
        do
            fprintf (out, "info|Counter|n.%d|1|1|s\n", i);
        while (++i % 1000);
        fclose (out);
        publisher_send (publisher, lines);
        free (lines);
    }
}

//  More datagrams than such a socket holds (net.unix.max_dgram_qlen): the worker
//  waits for who reads slowly. While nobody is there, it keeps all.
static void
a_slow_reader_gets_all (void)
{
    enum { COUNTERS = 5000 };
    broker_t *broker = broker_start ();
    const char *path = temporary_path ("socket");
    int fd = s_bind (path);
    process_t *worker = worker_start (
      broker, "statsd",
      LIST ("--flush", "1", "--dialect", "dogstatsd", "--to", path), NULL);
    void *publisher = publisher_new (broker, "");
    s_send_counters (publisher, COUNTERS);
    s_read_sum (fd, COUNTERS);
    close (fd);
    unlink (path);
    s_send_counters (publisher, COUNTERS);
    process_await (worker, "event=retry");
    fd = s_bind (path);
    s_read_sum (fd, COUNTERS);
    close (fd);
    process_stop (worker, SIGTERM);
}

//  --------------------------------------------------------------------------
//  reader: takes in what comes to such a socket, by a thread of its own

typedef struct {
    const char *path;
    int fd;
    pthread_t thread;
    _Atomic bool ends;
    pthread_mutex_t lock;  //  of the rest
    FILE *out;
    char *text;  //  all lines
    size_t size;
} reader_t;

static void
reader_take (reader_t *self)
{
    char data[2000];
    ssize_t size;
    pthread_mutex_lock (&self->lock);
    while ((size = recv (self->fd, data, sizeof data, MSG_DONTWAIT)) > 0) {
        fwrite (data, 1, (size_t) size, self->out);
        fputc ('\n', self->out);
    }
    fflush (self->out);
    pthread_mutex_unlock (&self->lock);
}

static void *
reader_run (void *argument)
{
    reader_t *self = argument;
    while (!self->ends) {
        struct pollfd waits = {self->fd, POLLIN, 0};
        poll (&waits, 1, POLL_MS);
        reader_take (self);
    }
    return NULL;
}

static void
reader_begin (reader_t *self)
{
    self->fd = s_bind (self->path);
    self->ends = false;
    pthread_create (&self->thread, NULL, reader_run, self);
}

//  Nobody is there any more. Who sends must have ended: what comes just then is lost.
static void
reader_end (reader_t *self)
{
    self->ends = true;
    pthread_join (self->thread, NULL);
    reader_take (self);
    close (self->fd);
    unlink (self->path);
}

static int
s_compare_texts (const void *a, const void *b)
{
    return strcmp (*(char *const *) a, *(char *const *) b);
}

//  The sum of a name's lines, without those that are there already.
static double
reader_sum (reader_t *self, const char *name)
{
    enum { LINES = 10000 };
    static char *lines[LINES];
    size_t count = 0;
    double sum = 0;
    pthread_mutex_lock (&self->lock);
    char *copy = strdup (self->text ? self->text : ""), *rest = copy, *line;
    pthread_mutex_unlock (&self->lock);
    while ((line = strsep (&rest, "\n")))
        if (strncmp (line, name, strlen (name)) == 0) {
            assert_true (count < LINES);
            lines[count++] = line;
        }
    qsort (lines, count, sizeof *lines, s_compare_texts);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp (lines[i], lines[i - 1]) != 0)
            sum += strtod (lines[i] + strlen (name), NULL);
    free (copy);
    return sum;
}

//  Waits until it is that, or more. Returns what it is.
static double
reader_await (reader_t *self, const char *name, double sum)
{
    int64_t until = now_ms () + WAIT_MS;
    double came;
    while ((came = reader_sum (self, name)) < sum && now_ms () < until)
        poll_pause ();
    if (came < sum)
        fail_msg ("%s%.17g, expected %.17g", name, came, sum);
    return came;
}

//  A worker is killed at 20 moments, and twice nobody is there for some of them. What it
//  sends again are the same lines, with the same times: nothing else counts twice, and
//  nothing is lost.
static void
what_a_killed_worker_sends_again_is_the_same (void)
{
    enum { KILLS = 20 };
    broker_t *broker = broker_start ();
    reader_t reader = {.path = temporary_path ("socket"),
                       .lock = PTHREAD_MUTEX_INITIALIZER};
    const char *const options[] = {
      "--flush",   "1",         "--spool", temporary_path ("spool"),
      "--dialect", "dogstatsd", "--to",    reader.path,
      "--levels",  "info",      NULL};
    reader.out = open_memstream (&reader.text, &reader.size);
    reader_begin (&reader);
    process_t *worker = worker_start (broker, "statsd", options, NULL);
    load_t load = load_start (broker, 1, 1000);
    for (int kills = 0; kills < KILLS; kills++) {
        random_moment (700);
        process_stop (worker, SIGKILL);
        if (kills % 10 == 4)
            reader_end (&reader);
        if (kills % 10 == 7)
            reader_begin (&reader);
        worker = worker_start (broker, "statsd", options, NULL);
    }
    //  a worker that has just come must be known before the last report
    reader_await (&reader,
                  "load.count:", reader_sum (&reader, "load.count:") + 1);
    load_end (&load);
    reader_await (&reader, "load.count:", load.count);
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    reader_end (&reader);
    assert_true (reader_sum (&reader, "load.count:") == load.count);
    fclose (reader.out);
    free (reader.text);
}

static const struct CMUnitTest tests[] = {
  TEST (what_was_counted_comes_to_statsd),
  TEST (what_was_counted_comes_to_collectd),
  TEST (timers_keep_mean_and_percentiles),
  TEST (all_bytes_come),
  TEST (a_slow_reader_gets_all),
  TEST (what_a_killed_worker_sends_again_is_the_same),
};

HARNESS_MAIN (tests)
