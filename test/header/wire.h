/*  wire.h - what arrives on a socket, compared with what must, to the digit

    The files that include it are C++, each the main of one cell of the matrix.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef WIRE_H
#define WIRE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define WIRE_TIMEOUT_MS 10000
#define WIRE_TURN_MS    10
#define WIRE_SERIES_MAX 64

//  A stream's share of a series.
typedef struct {
    char type[8], level[256], name[256], source[256], id[64];
    double total;  //  counter: its sum; timer: samples; gauge: readings
    double min;    //  timer: seconds, the least that was ever reported
} wire_series_t;

typedef struct {
    void *context;
    void *subscriber;
    char endpoint[64];
    wire_series_t series[WIRE_SERIES_MAX];
    int size;
} wire_t;

//  What must arrive. A table of them ends with a null type.
typedef struct {
    const char *type, *level, *name;
    const char *source;  //  NULL: whichever, all of them together
    double total;
} wire_want_t;

static inline void
wire_fail (const char *what, const char *detail)
{
    fprintf (stderr, "%s: %s\n", what, detail);
    exit (1);
}

static inline void
wire_open (wire_t *self)
{
    size_t size = sizeof self->endpoint;
    int timeout = WIRE_TURN_MS;
    memset (self, 0, sizeof *self);
    self->context = zmq_ctx_new ();
    self->subscriber = zmq_socket (self->context, ZMQ_SUB);
    zmq_setsockopt (self->subscriber, ZMQ_SUBSCRIBE, "", 0);
    zmq_setsockopt (self->subscriber, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    if (zmq_bind (self->subscriber, "tcp://127.0.0.1:*")
        || zmq_getsockopt (self->subscriber, ZMQ_LAST_ENDPOINT, self->endpoint,
                           &size))
        wire_fail ("bind", zmq_strerror (zmq_errno ()));
}

static inline void
wire_close (wire_t *self)
{
    zmq_close (self->subscriber);
    zmq_ctx_term (self->context);
}

static inline int
wire_same (const wire_series_t *a, const wire_series_t *b)
{
    return strcmp (a->type, b->type) == 0 && strcmp (a->level, b->level) == 0
           && strcmp (a->name, b->name) == 0
           && strcmp (a->source, b->source) == 0 && strcmp (a->id, b->id) == 0;
}

static inline wire_series_t *
wire_find (wire_t *self, const wire_series_t *key)
{
    for (int i = 0; i < self->size; i++)
        if (wire_same (&self->series[i], key))
            return &self->series[i];
    if (self->size == WIRE_SERIES_MAX)
        wire_fail ("too many series", key->name);
    self->series[self->size] = *key;
    return &self->series[self->size++];
}

//  level|type|name|value|time|source|ID:SEQ:FIRST:STATE, where a timer's state is
//  COUNT:SUM:SUMSQ:MIN:MAX:BUCKETS and a gauge has ID:SEQ:SENT.
static inline void
wire_take_line (wire_t *self, const char *line)
{
    wire_series_t key, *series;
    double value, samples, min;
    unsigned long seq, sent;
    int at = 0;
    if (strstr (line, "|Stream|") || strstr (line, "|End|"))
        return;  //  what the message says of its stream
    memset (&key, 0, sizeof key);
    if (sscanf (line, "%255[^|]|%7[^|]|%255[^|]|%lf|%*[^|]|%255[^|]|%63[^:]%n",
                key.level, key.type, key.name, &value, key.source, key.id, &at)
        != 6)
        wire_fail ("not a line of the wire format", line);
    if (strncmp (key.name, "zibrato.", 8) == 0)
        return;  //  what the header reports of itself
    series = wire_find (self, &key);
    line += at;
    if (strcmp (key.type, "Counter") == 0)
        series->total += value;
    else if (strcmp (key.type, "Gauge") == 0) {
        if (sscanf (line, ":%lu:%lu", &seq, &sent) == 2 && seq < sent)
            return;  //  a repetition
        series->total++;
    }
    else if (sscanf (line, ":%*u:%*u:%lf:%*[^:]:%*[^:]:%lf", &samples, &min)
             == 2) {
        //  a state that is only repeated measures nothing
        if (samples > series->total
            && (series->total <= 0 || min < series->min))
            series->min = min;
        series->total = samples;
    }
    else
        wire_fail ("not a timer's state", line);
}

//  Takes in what is there, or what comes within a turn.
static inline void
wire_take (wire_t *self)
{
    static char text[65536 + 1];
    int size;
    while ((size = zmq_recv (self->subscriber, text, sizeof text - 1, 0))
           >= 0) {
        text[size] = 0;
        for (char *line = strtok (text, "\n"); line; line = strtok (NULL, "\n"))
            wire_take_line (self, line);
    }
}

static inline int
wire_is (const wire_series_t *series, const wire_want_t *want)
{
    return strcmp (series->type, want->type) == 0
           && strcmp (series->level, want->level) == 0
           && strcmp (series->name, want->name) == 0
           && (!want->source || strcmp (series->source, want->source) == 0);
}

static inline double
wire_total (const wire_t *self, const wire_want_t *want)
{
    double total = 0;
    for (int i = 0; i < self->size; i++)
        total += wire_is (&self->series[i], want) ? self->series[i].total : 0;
    return total;
}

static inline int
wire_wanted (const wire_series_t *series, const wire_want_t *wants)
{
    for (; wants->type; wants++)
        if (wire_is (series, wants))
            return 1;
    return 0;
}

//  How many totals are not what they must be, and series that nobody wants.
static inline int
wire_compare (const wire_t *self, const wire_want_t *wants, int tell)
{
    int wrong = 0;
    for (const wire_want_t *want = wants; want->type; want++) {
        double got = wire_total (self, want);
        if (got >= want->total && got <= want->total)
            continue;
        wrong++;
        if (tell)
            fprintf (stderr, "%s %s of %s: %g, not %g\n", want->type,
                     want->name, want->source ? want->source : "all", got,
                     want->total);
    }
    for (int i = 0; i < self->size; i++)
        if (!wire_wanted (&self->series[i], wants)) {
            wrong++;
            if (tell)
                fprintf (stderr, "nobody measured %s %s of %s\n",
                         self->series[i].type, self->series[i].name,
                         self->series[i].source);
        }
    return wrong;
}

//  Lets flush send what it holds, until all has arrived. Returns what is wrong
//  in the end, and says it on stderr.
static inline int
wire_check (wire_t *self, const wire_want_t *wants, void (*flush) (void))
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    time_t until = now.tv_sec + WIRE_TIMEOUT_MS / 1000;
    while (wire_compare (self, wants, 0) && now.tv_sec < until) {
        flush ();
        wire_take (self);
        clock_gettime (CLOCK_MONOTONIC, &now);
    }
    return wire_compare (self, wants, 1);
}

#endif
