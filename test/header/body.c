/*  body.c - the file of a program that has the body, as C and as C++

    Receives on a socket of its own what user.c measures, and compares it with
    a table: each counter's sum, each timer's number of samples, each gauge's
    readings, to the digit.

    USER_IS_CXX     this file is C, but user.c was compiled as C++
    HEADERS_FIRST   include the system's headers before zibrato.h, as many a
                    program does

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifdef HEADERS_FIRST
#include <stdio.h>
#include <stdlib.h>
#endif

#define ZIBRATO_IMPLEMENTATION
#include "zibrato.h"

#include "user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define TIMEOUT_MS 20000
#define TURN_MS    10

//  --------------------------------------------------------------------------
//  What must arrive. Sums are exact: all values are dyadic.

typedef struct {
    double counted;   //  sum of its counter
    double samples;   //  of its timer
    double readings;  //  of its gauge, and
    double read;      //  their sum
} totals_t;

typedef struct {
    const char *name;
    const char *source;
    totals_t want;
    totals_t got;
    double samples[2];  //  of its timer, as each instance last reported
} series_t;

// clang-format off
#define NONE {0, 0, 0, 0}, {0, 0}

static series_t s_series[] = {
    {"orders.scope",      "self",  {  3,  0, 0,   0}, NONE},
    {"orders.scope",      "other", {  5,  0, 0,   0}, NONE},
    {"orders.scope",      "q1",    { 19,  0, 0,   0}, NONE},
    {"orders.call",       "self",  {  3,  0, 0,   0}, NONE},
    {"orders.call",       "other", {  5,  0, 0,   0}, NONE},
    {"orders.call",       "q1",    { 19,  0, 0,   0}, NONE},
    {"orders.time",       "self",  {  0,  1, 0,   0}, NONE},
    {"orders.time",       "other", {  0,  1, 0,   0}, NONE},
    {"orders.time",       "q1",    {  0,  3, 0,   0}, NONE},
    {"orders.seconds",    "self",  {  0,  1, 0,   0}, NONE},
    {"orders.seconds",    "other", {  0,  1, 0,   0}, NONE},
    {"orders.seconds",    "q1",    {  0,  3, 0,   0}, NONE},
    {"orders.gauge",      "self",  {  0,  0, 1, 1.5}, NONE},
    {"orders.gauge",      "other", {  0,  0, 1, 1.5}, NONE},
    {"orders.gauge",      "q1",    {  0,  0, 3, 4.5}, NONE},
    {"orders.reading",    "self",  {  0,  0, 1, 1.5}, NONE},
    {"orders.reading",    "other", {  0,  0, 1, 1.5}, NONE},
    {"orders.reading",    "q1",    {  0,  0, 3, 4.5}, NONE},
    {"tags;a=1;b=2",      "self",  {  7,  5, 1,   1}, NONE},
    {"tags;a=1;b=2",      "q1",    {  8,  8, 1,   2}, NONE},
    {"types",             "self",  {  0,  0, 5, 202}, NONE},
    {"leave.return",      "self",  {  3,  3, 0,   0}, NONE},
    {"leave.break",       "self",  {  6,  6, 0,   0}, NONE},
    {"leave.continue",    "self",  {  9,  9, 0,   0}, NONE},
    {"leave.not_continue","self",  {  6,  0, 0,   0}, NONE},
    {"leave.goto",        "self",  {  9,  9, 0,   0}, NONE},
    {"leave.case",        "self",  {  1,  0, 0,   0}, NONE},
    {"leave.default",     "self",  {  3,  0, 0,   0}, NONE},
    {"leave.if",          "self",  {  1,  0, 0,   0}, NONE},
    {"leave.then",        "self",  {  0,  0, 1,   1}, NONE},
    {"leave.else",        "self",  {  0,  0, 2,   2}, NONE},
    {"leave.call_then",   "self",  {  1,  0, 0,   0}, NONE},
    {"leave.call_else",   "self",  {  2,  0, 0,   0}, NONE},
    {"leave.recursion",   "self",  { 15, 15, 0,   0}, NONE},
    {"leave.depth",       "self",  { 30,  0, 0,   0}, NONE},
    {"values.zero",       "self",  {  0,  0, 0,   0}, NONE},
    {"values.negative",   "self",  { -6,  0, 0,   0}, NONE},
    {"values.fraction",   "self",  {.75,  0, 0,   0}, NONE},
    {"values.sites",      "self",  {  9,  0, 0,   0}, NONE},
    {"values.joined",     "self",  {  3,  0, 0,   0}, NONE},
#if defined __cplusplus || defined USER_IS_CXX
    {"cxx.template",      "self",  {4.5,  0, 0,   0}, NONE},
    {"cxx.constructor",   "self",  {  3,  0, 0,   0}, NONE},
    {"cxx.method",        "self",  {  0,  3, 0,   0}, NONE},
    {"cxx.lambda",        "self",  {  3,  0, 3,   3}, NONE},
#ifdef __EXCEPTIONS
    {"leave.throw",       "self",  {  3,  3, 0,   0}, NONE},
    {"leave.try",         "self",  {  3,  0, 0,   0}, NONE},
    {"leave.catch",       "self",  {  1,  0, 0,   0}, NONE},
#endif
#endif
};
// clang-format on

#define SERIES (sizeof s_series / sizeof s_series[0])

static void
s_fail (const char *what, const char *detail)
{
    fprintf (stderr, "%s: %s\n", what, detail);
    exit (1);
}

static series_t *
s_find (const char *name, const char *source)
{
    for (size_t i = 0; i < SERIES; i++)
        if (strcmp (s_series[i].name, name) == 0
            && strcmp (s_series[i].source, source) == 0)
            return &s_series[i];
    s_fail ("nobody measured", name);
    return NULL;
}

//  --------------------------------------------------------------------------
//  What arrives

//  Cuts line at its first mark; returns what follows, or NULL.
static char *
s_cut (char *line, char mark)
{
    char *rest = strchr (line, mark);
    if (rest)
        *rest++ = 0;
    return rest;
}

//  Which of the two instances reports: its own part of the ID, which is the same
//  for all levels, is between '-' and the colon.
static int
s_instance (const char *stream)
{
    static char first[64];
    const char *own = stream + strcspn (stream, "-");
    size_t size = strcspn (own, ":");
    if (!*first && size < sizeof first)
        memcpy (first, own, size);
    return strncmp (first, own, size) != 0;
}

//  Takes level|type|name|value|time|source|ID:SEQ:FIRST:STATE. A timer's state
//  begins with the number of its samples since its stream's birth. A gauge has
//  ID:SEQ:SENT, and is a repetition if SEQ is below SENT.
static void
s_take_line (char *line)
{
    char *fields[7] = {line};
    for (int i = 1; i < 7; i++) {
        fields[i] = s_cut (fields[i - 1], '|');
        if (!fields[i])
            s_fail ("fewer than seven fields", line);
    }
    if (strncmp (fields[2], "zibrato.", 8) == 0)
        return;  //  what the header reports of itself
    series_t *series = s_find (fields[2], fields[5]);
    totals_t *got = &series->got;
    double value = strtod (fields[3], NULL);
    unsigned long samples = 0, seq, sent;
    if (strcmp (fields[1], "Counter") == 0)
        got->counted += value;
    else if (strcmp (fields[1], "Gauge") == 0) {
        if (sscanf (fields[6], "%*[^:]:%lu:%lu", &seq, &sent) == 2
            && seq < sent)
            return;
        got->readings++;
        got->read += value;
    }
    else if (sscanf (fields[6], "%*[^:]:%*u:%*u:%lu:", &samples) == 1) {
        series->samples[s_instance (fields[6])] = (double) samples;
        got->samples = series->samples[0] + series->samples[1];
    }
    else
        s_fail ("not a timer's state", fields[6]);
}

static void
s_take_message (void *subscriber)
{
    static char text[65536 + 1];
    int size = zmq_recv (subscriber, text, sizeof text - 1, 0);
    if (size < 0)
        return;
    text[size] = 0;
    for (char *line = text, *rest; line; line = rest) {
        rest = s_cut (line, '\n');
        //  but for what the message says of its stream
        if (*line && !strstr (line, "|Stream|") && !strstr (line, "|End|"))
            s_take_line (line);
    }
}

//  --------------------------------------------------------------------------

//  Sends all that is held, and checks that nothing is missing but what had to
//  be refused. A subscriber tells a new peer what it wants when its own thread
//  enters ZeroMQ, hence the turns.
static void
s_flush (void *subscriber, zb_t *self, uint64_t refused)
{
    zb_stats_t stats;
    int turns = TIMEOUT_MS / TURN_MS;
    while (zb_flush (self, TURN_MS) && turns--) {
        zmq_pollitem_t item = {subscriber, 0, ZMQ_POLLIN, 0};
        zmq_poll (&item, 1, 0);
    }
    if (turns < 0)
        s_fail ("zb_flush", "something is still held");
    if (zb_stats (self, &stats))
        s_fail ("zb_stats", "no instance");
    if (stats.refused != refused || stats.dropped != refused || stats.held)
        s_fail ("zb_stats", "refused, dropped or held is not what it must be");
    if (stats.measured != stats.sent + refused)
        s_fail ("zb_stats", "measured is not sent + held + dropped");
}

//  Tells on stderr, if it is to, what is not as it must be.
static int
s_check (int tell, const char *what, const series_t *series, double want,
         double got)
{
    int wrong = want < got || want > got;
    if (wrong && tell)
        fprintf (stderr, "%s of %s: %s %g, not %g\n", series->name,
                 series->source, what, got, want);
    return wrong;
}

static int
s_check_all (int tell)
{
    int wrong = 0;
    for (size_t i = 0; i < SERIES; i++) {
        const series_t *series = &s_series[i];
        const totals_t *want = &series->want, *got = &series->got;
        wrong |= s_check (tell, "counted", series, want->counted, got->counted);
        wrong |= s_check (tell, "samples", series, want->samples, got->samples);
        wrong |=
          s_check (tell, "readings", series, want->readings, got->readings);
        wrong |= s_check (tell, "read", series, want->read, got->read);
    }
    return wrong;
}

//  The number that these bits are; no compiler switch can reason about it.
static double
s_from_bits (uint64_t bits)
{
    double number;
    memcpy (&number, &bits, sizeof number);
    return number;
}

int
main (void)
{
    char endpoint[64];
    size_t size = sizeof endpoint;
    int timeout = TURN_MS;
    void *context = zmq_ctx_new ();
    void *subscriber = zmq_socket (context, ZMQ_SUB);
    zmq_setsockopt (subscriber, ZMQ_SUBSCRIBE, "", 0);
    zmq_setsockopt (subscriber, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    if (zmq_bind (subscriber, "tcp://127.0.0.1:*")
        || zmq_getsockopt (subscriber, ZMQ_LAST_ENDPOINT, endpoint, &size))
        s_fail ("bind", zmq_strerror (zmq_errno ()));

    //  Only zb_flush reports, so that each series of an instance does once.
    zb_t *self =
      zb_open (.endpoint = endpoint, .source = "self", .interval_ms = 3600000);
    zb_t *other =
      zb_open (.source = "other", .interval_ms = 3600000, .endpoint = endpoint);
    if (!self || !other)
        s_fail ("zb_open", "no instance");
    user_measure (other);
    user_measure_refused (s_from_bits (0x7ff8000000000000),
                          s_from_bits (0x7ff0000000000000));
    s_flush (subscriber, NULL, USER_REFUSED);
    s_flush (subscriber, other, 0);

    uint64_t until = zb_now_ () + (uint64_t) TIMEOUT_MS * 1000000;
    while (s_check_all (0) && zb_now_ () < until)
        s_take_message (subscriber);
    int wrong = s_check_all (1);
    zb_close (&other);
    zb_close (&self);
    zmq_close (subscriber);
    zmq_ctx_term (context);
    return wrong || self || other;
}
