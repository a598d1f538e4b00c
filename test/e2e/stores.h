/*  stores.h - what must be true of whatever server a worker delivers to

    Rows are read back from the server, each as an object of name, source and what
    rows_total of harness.h adds up. So one test serves for all servers.

    Classes, bottom-up: store, percentiles, cutter.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef STORES_H
#define STORES_H

#include "indexer.h"
#include "servers.h"

#include <math.h>

//  --------------------------------------------------------------------------
//  store: a server, and the worker that delivers to it

typedef struct {
    server_t *server;
    const char *mode;            //  of the worker,
    const char *const *options;  //  and where the server is
    //  What the server has. Caller deletes the return value.
    cJSON *(*rows) (const server_t *server, const char *database);
    const char *database;
    //  Waits until the server has on disk what it has read, if a stop would lose it;
    //  or NULL
    void (*settle) (const server_t *server);
    process_t *worker;
} store_t;

enum { STORE_OPTIONS = 24 };

//  Starts the worker, with more options, or NULL.
static void
store_work (store_t *self, const broker_t *broker, const char *const *more)
{
    const char *options[STORE_OPTIONS] = {"--deadline", "30"};
    size_t count = 2;
    const char *const *lists[] = {self->options, more};
    for (int list = 0; list < 2; list++)
        for (size_t i = 0; lists[list] && lists[list][i]; i++)
            options[count++] = lists[list][i];
    self->worker = worker_start (broker, self->mode, options, NULL);
}

static total_t
store_total (const store_t *self, const char *source, const char *name)
{
    cJSON *rows = self->rows (self->server, self->database);
    total_t total = rows_total (rows, source, name);
    cJSON_Delete (rows);
    return total;
}

//  Waits for such a sum of a series.
static void
store_await (const store_t *self, const char *source, const char *name,
             double sum)
{
    int64_t until = now_ms () + WAIT_MS;
    while (store_total (self, source, name).sum < sum) {
        poll_pause ();
        if (now_ms () > until)
            fail_msg ("%s/%s: sum %.17g, expected %.17g", source, name,
                      store_total (self, source, name).sum, sum);
    }
}

//  Ends the worker, which delivers what it has.
static void
store_end (const store_t *self)
{
    assert_int_equal (process_stop (self->worker, SIGTERM), 0);
}

//  The sum of a series must be this one at the end, to the last bit.
static void
store_check (const store_t *self, const char *source, const char *name,
             double sum)
{
    total_t total = store_total (self, source, name);
    if (total.sum < sum || total.sum > sum)
        fail_msg ("%s/%s: sum %.17g, expected %.17g", source, name, total.sum,
                  sum);
}

//  Has all come that the program counted? Readings may be lost where a worker was.
static bool
store_has (const store_t *self, const cJSON *program, bool fails)
{
    cJSON *rows = self->rows (self->server, self->database);
    const cJSON *series;
    bool has = true;
    cJSON_ArrayForEach (series, program)
    {
        total_t came = indexer_came (rows, series);
        if (fails)
            indexer_check_series (series, came, NO_GAUGES);
        has = has && indexer_is_same (series, came, NO_GAUGES);
    }
    cJSON_Delete (rows);
    return has;
}

//  Ends program and worker: what came is what was counted.
static void
store_check_program (store_t *self, process_t *indexer)
{
    int64_t until = now_ms () + WAIT_MS;
    cJSON *program = indexer_totals (indexer);
    while (!store_has (self, program, false) && now_ms () < until)
        poll_pause ();
    store_end (self);
    store_has (self, program, true);
    cJSON_Delete (program);
}

//  A worker with a folder is killed at 20 moments of a program's life, and the
//  server twice away for some of them. The program ends soon when there is no file
//  left: not before a worker is there, or nobody would get its last report.
static void
store_survives_kills (store_t *self, const char *const *more)
{
    enum { KILLS = 20, PAUSE_MS = 700 };
    broker_t *broker = broker_start ();
    const char *options[STORE_OPTIONS] = {"--spool", temporary_path ("spool")};
    unsigned seed = 20261129;
    for (size_t i = 0; more && more[i]; i++)
        options[2 + i] = more[i];
    store_work (self, broker, options);
    const char *tree = tree_new ();
    process_t *indexer = indexer_start_lasting (broker, tree);
    for (int kills = 0; kills < KILLS; kills++) {
        int ms = rand_r (&seed) % PAUSE_MS;
        nanosleep (&(struct timespec){0, ms * 1000000L}, NULL);
        process_stop (self->worker, SIGKILL);
        if (kills % 10 == 4) {
            if (self->settle)
                self->settle (self->server);
            server_stop (self->server);
        }
        if (kills % 10 == 7)
            server_launch (self->server);
        store_work (self, broker, options);
    }
    tree_empty (tree);
    store_check_program (self, indexer);
}

//  A counter's line of that value. Freed after the test.
__attribute__ ((unused)) static const char *
store_counter_line (const char *name, int value, const char *source)
{
    return text_new ("info|Counter|%s|%d|%ld|%s\n", name, value,
                     (long) time (NULL), source);
}

//  --------------------------------------------------------------------------
//  Percentiles

//  A timer of 1 ms to 1 s, evenly: the share q of its samples is below q s.
static const char *
durations_of (const char *name)
{
    enum { SAMPLES = 1000 };
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    for (int ms = 1; ms <= SAMPLES; ms++)
        fprintf (out, "info|Timer|%s|%d.%03d|%ld|s\n", name, ms / 1000,
                 ms % 1000, (long) time (NULL));
    fclose (out);
    return harness_keep (text);
}

//  As the handbook says how far off it may be.
static void
percentile_check (double found, double share)
{
    if (!(fabs (found - share) <= 0.011 * share))
        fail_msg ("of all samples %g are below %.17g", share, found);
}

//  A field of a name that the server has once; NAN: not yet.
static double
store_field (const store_t *self, const char *name, const char *field)
{
    cJSON *rows = self->rows (self->server, self->database);
    const cJSON *row;
    double found = NAN;
    cJSON_ArrayForEach (row, rows)
    {
        if (!row_is (row, "name", name) || !cJSON_HasObjectItem (row, field))
            continue;
        assert_true (isnan (found));
        found = row_number (row, field);
    }
    cJSON_Delete (rows);
    return found;
}

//  Those that a worker adds are stored.
static void
store_check_percentiles (store_t *self)
{
    static const struct {
        const char *field;
        double share;
    } cases[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99_9", 0.999}};
    int64_t until = now_ms () + WAIT_MS;
    broker_t *broker = broker_start ();
    store_work (self, broker,
                LIST ("--percentiles", "50,90,99.9", "--worker", "shares"));
    publisher_send (publisher_new (broker, ""), durations_of ("wait.shares"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double found;
        while (isnan (found = store_field (self, "wait.shares", cases[i].field))
               && now_ms () < until)
            poll_pause ();
        percentile_check (found, cases[i].share);
    }
    store_end (self);
}

//  --------------------------------------------------------------------------
//  cutter: stands before a server, and cuts the connection when a request has gone
//  through whose answer it was to bring

typedef struct {
    int listener, port, server_port;
    pthread_t thread;
    _Atomic int answers;  //  so far, those that were cut, too
    _Atomic int to_cut;   //  so many of the next ones
    _Atomic int cuts;     //  so far
    _Atomic bool ends;
} cutter_t;

//  Passes bytes on until one side ends, or until an answer is to be cut: then it
//  has come, and nobody gets it.
static void
cutter_pass (cutter_t *self, int client, int server)
{
    struct pollfd sides[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    char data[65536];
    while (!self->ends) {
        poll (sides, 2, POLL_MS);
        for (int i = 0; i < 2; i++) {
            if (!sides[i].revents)
                continue;
            ssize_t size = read (sides[i].fd, data, sizeof data);
            if (size <= 0 && i == 0 && size == 0) {
                //  half of a connection ends where the answer is its end
                shutdown (server, SHUT_WR);
                sides[0].events = 0;
                sides[0].fd = -1;
                continue;
            }
            self->answers += i == 1 && size > 0;
            if (i == 1 && self->to_cut > 0) {
                self->to_cut--;
                self->cuts++;
                return;
            }
            if (size <= 0 || write (sides[!i].fd, data, (size_t) size) != size)
                return;
        }
    }
}

//  Thread: one connection after the other.
static void *
cutter_run (void *argument)
{
    cutter_t *self = argument;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port =
                                    htons ((uint16_t) self->server_port),
                                  .sin_addr.s_addr = inet_addr ("127.0.0.1")};
    struct linger reset = {1, 0};
    while (!self->ends) {
        struct pollfd waits = {self->listener, POLLIN, 0};
        if (poll (&waits, 1, POLL_MS) != 1)
            continue;
        int client = accept4 (self->listener, NULL, NULL, SOCK_CLOEXEC);
        int server = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int cuts = self->cuts;
        if (connect (server, (void *) &address, sizeof address) == 0)
            cutter_pass (self, client, server);
        if (self->cuts != cuts)
            setsockopt (client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close (client);
        close (server);
    }
    return NULL;
}

static cutter_t *
cutter_start (int server_port)
{
    cutter_t *self = harness_keep (calloc (1, sizeof *self));
    self->listener = port_listen ("127.0.0.1", 0);
    self->port = port_of (self->listener);
    self->server_port = server_port;
    pthread_create (&self->thread, NULL, cutter_run, self);
    return self;
}

static void
cutter_end (cutter_t *self)
{
    self->ends = true;
    pthread_join (self->thread, NULL);
    close (self->listener);
}

#endif
