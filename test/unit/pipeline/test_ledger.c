/*  test_ledger.c - do increments add up, whatever the network does?

    A model publisher makes the lines that zibrato.h would make. The network
    between it and the ledger drops, repeats, delays and reorders them, by
    seeds that are the same at each run. As long as the last state of each
    series arrives some time, the increments must add up to its total: to the
    last bit for counters, counts and sums of time.

    Sections: publisher, network, the property, first sight, ranges of timers,
    gauges, streams.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

//  The body, with its statics.
#define ZIBRATO_IMPLEMENTATION
#include "../../../zibrato.h"

#include "../unit.h"

#include "clock.h"
#include "gaps.h"
#include "hist.h"
#include "ledger.h"
#include "line.h"
#include "stream.h"

#include <czmq.h>
#include <sys/wait.h>

//  --------------------------------------------------------------------------
//  Publisher: its series, and the lines that report them

enum { SERIES = 6, SAMPLES = 2000, LINES = 400, BUCKETS_ALL = 2080 };

typedef struct {
    int timer;
    double total;              //  counter
    uint64_t sample[SAMPLES];  //  timer: all since birth
    size_t samples;
    uint64_t bucket[BUCKETS_ALL];
    double sum_squares;
    int64_t sum_ns;
    //  at the last report
    int known;
    uint64_t first;
    double told_total;
    int64_t told_ns;
    size_t told_samples;
} model_t;

typedef struct {
    char id[40];
    uint64_t seq;
    model_t model[SERIES];
} publisher_t;

typedef struct {
    char *text;
    int series;
    size_t samples;  //  of the series, when it was reported
    int last;        //  of its series
} sent_t;

static void
publisher_start (publisher_t *self, int64_t born_ms)
{
    int i;
    memset (self, 0, sizeof *self);
    snprintf (self->id, sizeof self->id, "%" PRIx64 "-%016" PRIx64,
              (uint64_t) born_ms, s_any ());
    for (i = 0; i < SERIES; i++)
        self->model[i].timer = i % 2;
}

//  Eighths are exact in doubles, whatever the order of additions.
static void
publisher_measure (model_t *series)
{
    size_t i, count = s_any () % 4;
    if (!series->timer) {
        series->total += (double) (int64_t) (s_any () % 2001) / 8 - 100;
        return;
    }
    for (i = 0; i < count && series->samples < SAMPLES; i++) {
        uint64_t ns = 1 + (s_any () >> 28 >> s_any () % 36);
        series->sample[series->samples++] = ns;
        series->sum_ns += (int64_t) ns;
        series->sum_squares += (double) ns * (double) ns * 1e-18;
        series->bucket[hist_bucket (ns) - BUCKET_MIN]++;
    }
}

static size_t
s_put_ns (char *text, uint64_t ns)
{
    return (size_t) sprintf (text, "%" PRIu64 ".%09" PRIu64, ns / 1000000000,
                             ns % 1000000000);
}

static void
publisher_put_timer (char *text, const model_t *series)
{
    uint64_t least = 0, most = 0;
    size_t i;
    int j, comma = 0;
    for (i = series->told_samples; i < series->samples; i++) {
        uint64_t ns = series->sample[i];
        least = i == series->told_samples || ns < least ? ns : least;
        most = ns > most ? ns : most;
    }
    text += sprintf (text, ":%zu:", series->samples);
    text += s_put_ns (text, (uint64_t) series->sum_ns);
    text += sprintf (text, ":%.17g:", series->sum_squares);
    text += s_put_ns (text, least);
    *text++ = ':';
    text += s_put_ns (text, most);
    *text++ = ':';
    for (j = 0; j < BUCKETS_ALL; j++)
        if (series->bucket[j])
            text += sprintf (text, "%s%d=%" PRIu64, comma++ ? "," : "",
                             j + BUCKET_MIN, series->bucket[j]);
    *text = 0;
}

//  Caller owns the return value.
static char *
publisher_report (publisher_t *self, int number)
{
    static char line[65536];
    model_t *series = &self->model[number];
    char *text = line;
    uint64_t seq = self->seq++;
    if (!series->known)
        series->first = seq;
    series->known = 1;
    text += sprintf (text, "info|%s|series%d|",
                     series->timer ? "Timer" : "Counter", number);
    if (series->timer)
        text += s_put_ns (text, (uint64_t) (series->sum_ns - series->told_ns));
    else
        text += sprintf (text, "%.17g", series->total - series->told_total);
    text += sprintf (text, "|1700000000|src|%s:%" PRIu64 ":%" PRIu64, self->id,
                     seq, series->first);
    if (series->timer)
        publisher_put_timer (text, series);
    else
        sprintf (text, ":%.17g", series->total);
    series->told_total = series->total;
    series->told_ns = series->sum_ns;
    series->told_samples = series->samples;
    return strdup (line);
}

//  --------------------------------------------------------------------------
//  Network: what is sent becomes what arrives

typedef struct {
    sent_t *line;
    uint64_t at;  //  place in the order of arrival
} arrival_t;

static int
s_by_arrival (const void *a, const void *b)
{
    const arrival_t *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

//  The last line of each series arrives at least once.
static size_t
s_network (sent_t *sent, size_t count, unsigned loss, unsigned twice,
           unsigned delay, arrival_t *arrivals)
{
    size_t i, size = 0;
    for (i = 0; i < count; i++) {
        if (!sent[i].last && s_any () % 100 < loss)
            continue;
        arrivals[size].line = &sent[i];
        arrivals[size++].at = (i << 20) + s_any () % ((delay << 20) + 1);
        if (s_any () % 100 < twice) {
            arrivals[size].line = &sent[i];
            arrivals[size++].at = (i << 20) + s_any () % (100u << 20);
        }
    }
    qsort (arrivals, size, sizeof *arrivals, s_by_arrival);
    return size;
}

//  --------------------------------------------------------------------------
//  The property

typedef struct {
    double total;
    uint64_t count;
    int64_t sum_ns;
    double sum_squares;
    uint64_t bucket[BUCKETS_ALL];
    size_t samples;  //  accepted so far
} got_t;

static void
s_check_range (const model_t *series, size_t from, size_t to, int64_t value_ns,
               const increment_t *increment)
{
    uint64_t least = UINT64_MAX, most = 0;
    int64_t sum_ns = 0;
    size_t i;
    for (i = from; i < to; i++) {
        uint64_t ns = series->sample[i];
        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
        sum_ns += (int64_t) ns;
    }
    assert_int_equal (increment->count, to - from);
    if (from == to)
        return;
    if (sum_ns == value_ns) {  //  no report was lost
        assert_int_equal (increment->min_ns, least);
        assert_int_equal (increment->max_ns, most);
        return;
    }
    //  edges of the buckets: around what there was, at most a bucket wide
    assert_true (increment->min_ns <= (int64_t) least);
    assert_true ((double) increment->min_ns >= (double) least / 1.0219 - 1);
    assert_true (increment->max_ns >= (int64_t) most);
    assert_true ((double) increment->max_ns <= (double) most * 1.0219 + 1);
}

static void
s_take (ledger_t *ledger, const publisher_t *publisher, const sent_t *sent,
        got_t *got)
{
    const model_t *model = &publisher->model[sent->series];
    increment_t increment = {0};
    zb_line_t line;
    size_t i;
    const char *wrong = line_parse (sent->text, strlen (sent->text), &line);
    if (wrong)
        fail_msg ("%s: %s", wrong, sent->text);
    if (ledger_state (ledger, &line, &increment)) {
        if (model->timer)
            s_check_range (model, got->samples, sent->samples,
                           (int64_t) line.value_ns, &increment);
        got->samples = sent->samples;
        got->total += increment.value;
        got->count += increment.count;
        got->sum_ns += (int64_t) increment.sum_ns;
        got->sum_squares += increment.sum_squares;
        for (i = 0; i < increment.hist.size; i++)
            got->bucket[increment.hist.bucket[i].index - BUCKET_MIN] +=
              increment.hist.bucket[i].count;
    }
    free (increment.hist.bucket);
}

static void
s_check_sums (const model_t *model, const got_t *got)
{
    if (!model->timer) {
        assert_true (got->total == model->total);
        return;
    }
    assert_int_equal (got->count, model->samples);
    assert_int_equal (got->sum_ns, model->sum_ns);
    assert_true (fabs (got->sum_squares - model->sum_squares)
                 <= model->sum_squares * 1e-9);
    assert_memory_equal (got->bucket, model->bucket, sizeof got->bucket);
}

static size_t
s_publish (publisher_t *publisher, sent_t *sent)
{
    size_t i, count = 0, lines = 10 + s_any () % 120, last[SERIES];
    int number;
    for (i = 0; i < lines; i++) {
        number = (int) (s_any () % SERIES);
        if (s_any () % 4)  //  else a repetition
            publisher_measure (&publisher->model[number]);
        sent[count].series = number;
        sent[count].last = 0;
        sent[count].text = publisher_report (publisher, number);
        sent[count].samples = publisher->model[number].samples;
        last[number] = count++;
    }
    for (number = 0; number < SERIES; number++)
        if (publisher->model[number].known)
            sent[last[number]].last = 1;
    return count;
}

static void
s_run (unsigned loss, unsigned twice, unsigned delay)
{
    static publisher_t publisher;
    static sent_t sent[LINES];
    static arrival_t arrivals[2 * LINES];
    static got_t got[SERIES];
    ledger_t *ledger = ledger_new ();
    size_t i, count, size;
    memset (got, 0, sizeof got);
    publisher_start (&publisher,
                     ledger->born_wall_ms + (int64_t) (s_any () % 1000));
    count = s_publish (&publisher, sent);
    size = s_network (sent, count, loss, twice, delay, arrivals);
    for (i = 0; i < size; i++)
        s_take (ledger, &publisher, arrivals[i].line,
                &got[arrivals[i].line->series]);
    for (i = 0; i < SERIES; i++)
        s_check_sums (&publisher.model[i], &got[i]);
    for (i = 0; i < count; i++)
        free (sent[i].text);
    ledger_destroy (&ledger);
    assert_null (ledger);
}

static void
test_property (void **state)
{
    static const struct {
        unsigned loss, twice, delay;  //  percent, percent, lines
    } networks[] = {{0, 0, 0},     {30, 0, 0},  {0, 30, 0},
                    {0, 0, 20},    {90, 0, 0},  {30, 30, 5},
                    {50, 90, 200}, {100, 0, 0}, {100, 100, 50}};
    unsigned i, run;
    (void) state;
    for (i = 0; i < sizeof networks / sizeof *networks; i++)
        for (run = 0; run < 400; run++) {
            s_seed = i * 1000003 + run;
            s_run (networks[i].loss, networks[i].twice, networks[i].delay);
        }
}

//  --------------------------------------------------------------------------
//  First sight (README: exactness): was this ledger there from the beginning?

//  Returns whether the line was taken; the increment is the caller's.
static int
s_state (ledger_t *ledger, increment_t *increment, const char *format, ...)
  __attribute__ ((format (printf, 3, 4)));

static int
s_state (ledger_t *ledger, increment_t *increment, const char *format, ...)
{
    static char text[4096];
    zb_line_t line;
    const char *wrong;
    va_list args;
    va_start (args, format);
    vsnprintf (text, sizeof text, format, args);
    va_end (args);
    free (increment->hist.bucket);
    memset (increment, 0, sizeof *increment);
    wrong = line_parse (text, strlen (text), &line);
    if (wrong)
        fail_msg ("%s: %s", wrong, text);
    return ledger_state (ledger, &line, increment) != NULL;
}

#define ID(ms) (uint64_t) (ledger->born_wall_ms + (ms))

//  Younger than the ledger: all of it, whatever was lost before.
static void
test_first_sight_younger (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|2|1|s|%" PRIx64 "-1:9:3:40", ID (5)));
    assert_true (increment.value == 40);
    assert_true (increment.fresh);
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|2|1|s|%" PRIx64 "-1:10:3:42", ID (5)));
    assert_true (increment.value == 2);
    assert_false (increment.fresh);
    //  the very millisecond of the ledger's birth
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|2|1|s|%" PRIx64 "-2:9:3:40", ID (0)));
    assert_true (increment.value == 40);
    ledger_destroy (&ledger);
}

//  Older, and seen before by an earlier ledger: only what is new.
static void
test_first_sight_older (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|2|1|s|%" PRIx64 "-1:9:3:40", ID (-1)));
    assert_true (increment.value == 2);
    assert_false (increment.fresh);
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|1|1|s|%" PRIx64 "-1:12:3:50", ID (-1)));
    assert_true (increment.value == 10);
    //  met at 9: what began at 9 or after is known as a whole,
    assert_true (s_state (ledger, &increment,
                          "a|Counter|m|1|1|s|%" PRIx64 "-1:20:9:7", ID (-1)));
    assert_true (increment.value == 7);
    assert_true (increment.fresh);
    //  and what began before it is not
    assert_true (s_state (ledger, &increment,
                          "a|Counter|o|1|1|s|%" PRIx64 "-1:21:8:7", ID (-1)));
    assert_true (increment.value == 1);
    //  a mere repetition tells of nothing new
    assert_true (s_state (ledger, &increment,
                          "a|Counter|p|0|1|s|%" PRIx64 "-1:22:2:7", ID (-1)));
    assert_true (increment.value == 0);
    assert_false (increment.fresh);
    ledger_destroy (&ledger);
}

//  Its very first line makes a series known as a whole, in whatever order.
static void
test_first_sight_order (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|4|1|s|%" PRIx64 "-1:9:9:4", ID (-1)));
    assert_true (increment.value == 4);
    assert_true (s_state (ledger, &increment,
                          "a|Counter|m|3|1|s|%" PRIx64 "-1:5:5:3", ID (-1)));
    assert_true (increment.value == 3);
    ledger_destroy (&ledger);
}

//  A level is a stream of its own, and so is each type, name and source.
static void
test_first_sight_keys (void **state)
{
    static const char *const lines[] = {
      "a|Counter|n|1|1|s", "b|Counter|n|1|1|s",  "a|Counter|m|1|1|s",
      "a|Counter|n|1|1|t", "a|Counter|ns|1|1|s", "a|Counter|n|1|1|ss"};
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_true (s_state (ledger, &increment, "%s|%" PRIx64 "-1:1:0:100",
                              lines[i], ID (1)));
        assert_true (increment.value == 100);
        assert_false (s_state (ledger, &increment, "%s|%" PRIx64 "-1:1:0:100",
                               lines[i], ID (1)));
        assert_false (s_state (ledger, &increment, "%s|%" PRIx64 "-1:0:0:99",
                               lines[i], ID (1)));
    }
    assert_int_equal (ledger->duplicates, 2 * i);
    assert_int_equal (ledger->series.count, i);
    assert_int_equal (ledger->streams.count, 2);
    ledger_destroy (&ledger);
}

//  A timer that was counted before by somebody: what is new from here on.
static void
test_first_sight_timer (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    s_state (ledger, &increment,
             "a|Timer|t|1|1|s|%" PRIx64 "-1:9:3:5:7:13:1:1:-1=5", ID (-1));
    assert_int_equal (increment.count, 0);
    assert_int_equal (increment.hist.size, 0);
    assert_true (s_state (
      ledger, &increment,
      "a|Timer|t|3|1|s|%" PRIx64 "-1:10:3:7:10:18:1:2:-1=6,31=1", ID (-1)));
    assert_int_equal (increment.count, 2);
    assert_int_equal (increment.sum_ns, 3000000000);
    assert_true (increment.sum_squares == 5);
    assert_int_equal (increment.min_ns, 1000000000);
    assert_int_equal (increment.max_ns, 2000000000);
    assert_int_equal (increment.hist.size, 2);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  --------------------------------------------------------------------------
//  The sum of squares

//  The sums of a program, as zibrato.h adds them up.
typedef struct {
    uint64_t count;
    uint64_t sum_ns, seq;
    double squares;
    hist_t hist;
} program_t;

static void
program_time (program_t *self, uint64_t ns)
{
    self->count++;
    self->sum_ns += ns;
    self->squares += (double) ns * (double) ns * 1e-18;
    hist_at (&self->hist, hist_bucket (ns))->count++;
}

//  Its report, with a count for the new samples.
static void
program_report (program_t *self, ledger_t *ledger, increment_t *increment)
{
    static char text[65536];
    size_t i, at;
    zb_line_t line;
    at = (size_t) snprintf (
      text, sizeof text,
      "a|Timer|t|0|1|s|%" PRIx64 "-1:%" PRIu64 ":0:%" PRIu64 ":%" PRIu64
      ".%09" PRIu64 ":%.17g:0:0:",
      ID (1), self->seq++, self->count, self->sum_ns / 1000000000,
      self->sum_ns % 1000000000, self->squares);
    for (i = 0; i < self->hist.size; i++)
        at += (size_t) snprintf (text + at, sizeof text - at, "%s%d=%" PRIu64,
                                 i ? "," : "", self->hist.bucket[i].index,
                                 self->hist.bucket[i].count);
    increment->count = increment->hist.size = 0;
    assert_null (line_parse (text, at, &line));
    assert_non_null (ledger_state (ledger, &line, increment));
}

//  One sample of a minute, then short ones: their squares are below the last
//  digit of its own. What each flush says of them is right to one in twenty, and
//  no variance is negative.
static void
test_squares (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    program_t program = {0};
    (void) state;
    program_time (&program, UINT64_C (60000000000));
    program_report (&program, ledger, &increment);
    assert_true (fabs (increment.sum_squares / 3600 - 1) < 1e-12);
    for (int flush = 0; flush < 10; flush++) {
        double count = 10000, sum = 0, squares = 0, wanted, variance, mean;
        for (int i = 0; i < 10000; i++) {
            uint64_t ns = 100 + s_any () % 201;
            program_time (&program, ns);
            sum += (double) ns * 1e-9;
            squares += (double) ns * (double) ns * 1e-18;
        }
        program_report (&program, ledger, &increment);
        mean = (double) increment.sum_ns * 1e-9 / count;
        wanted = squares / count - sum / count * (sum / count);
        variance = increment.sum_squares / count - mean * mean;
        assert_int_equal (increment.count, 10000);
        assert_true (fabs (variance / wanted - 1) < 0.05);
        //  all the same, they have none
        for (int i = 0; i < 1000; i++)
            program_time (&program, 250);
        program_report (&program, ledger, &increment);
        mean = (double) increment.sum_ns * 1e-9 / 1000;
        variance = increment.sum_squares / 1000 - mean * mean;
        assert_true (fabs (variance) <= mean * mean * 1e-15);
    }
    free (program.hist.bucket);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  Where the total has the digits it is used, to the last one.
static void
test_squares_exact (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    program_t program = {0};
    double before = 0;
    (void) state;
    for (int flush = 0; flush < 100; flush++) {
        for (int i = 0; i < 1000; i++)
            program_time (&program, 1000000 + s_any () % 1000000);
        program_report (&program, ledger, &increment);
        assert_true (increment.sum_squares == program.squares - before);
        before = program.squares;
    }
    free (program.hist.bucket);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  --------------------------------------------------------------------------
//  Least and most of a timer

static void
test_range (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    s_state (ledger, &increment,
             "a|Timer|t|0.5|1|s|%" PRIx64
             "-1:0:0:2:0.5:0.13:0.2:0.3:-75=1,-56=1",
             ID (1));
    assert_int_equal (increment.min_ns, 200000000);
    assert_int_equal (increment.max_ns, 300000000);
    //  nothing was lost although lines of other series were
    s_state (ledger, &increment,
             "a|Timer|t|0.7|1|s|%" PRIx64
             "-1:5:0:3:1.2:0.62:0.7:0.7:-75=1,-56=1,-17=1",
             ID (1));
    assert_int_equal (increment.min_ns, 700000000);
    assert_int_equal (increment.max_ns, 700000000);
    //  a report of 0.1 s was lost: edges around 0.1 and 2 seconds
    s_state (ledger, &increment,
             "a|Timer|t|2|1|s|%" PRIx64
             "-1:7:0:5:3.3:4.63:2:2:-107=1,-75=1,-56=1,-17=1,31=1",
             ID (1));
    assert_int_equal (increment.count, 2);
    assert_in_range (increment.min_ns, 97000000, 100000000);
    assert_in_range (increment.max_ns, 2000000000, 2000000001);
    //  a repetition brings what was lost
    s_state (ledger, &increment,
             "a|Timer|t|0|1|s|%" PRIx64
             "-1:9:0:6:3.3:4.63:0:0:-957=1,-107=1,-75=1,-56=1,-17=1,31=1",
             ID (1));
    assert_int_equal (increment.count, 1);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  Handlers for ledger_save.
static void
s_keep_text (void *argument, const char *text, size_t size)
{
    if (*text != '|')
        snprintf (argument, 4096, "%.*s", (int) size - 1, text);
}

static void
s_hand_over (void *argument, const char *text, size_t size)
{
    assert_int_equal (ledger_restore (argument, text, size - 1), 0);
}

//  The increment between two sums of a timer, and what the ledger then saves;
//  the next ledger, which has got that, gives the same increment.
static void
s_check_sum (const char *before, const char *after, uint64_t increment_ns)
{
    static char text[4096], wanted[4096];
    ledger_t *ledger = ledger_new (), *next = ledger_new ();
    increment_t increment = {0};
    const char *format =
      "a|Timer|t|0.5|1|s|%" PRIx64 "-1:%d:0:%d:%s:7:1:1:-1=%d";
    assert_true (s_state (ledger, &increment, format, ID (1), 0, 5, before, 5));
    assert_int_equal (increment.count, 5);
    ledger_save_begin (ledger, 1, s_hand_over, next);
    assert_int_equal (ledger_save (ledger, SIZE_MAX), 1);
    ledger_save_begin (ledger, 1, s_keep_text, text);
    assert_int_equal (ledger_save (ledger, SIZE_MAX), 1);
    snprintf (wanted, sizeof wanted,
              "a|Timer|t|0|0|s|%" PRIx64 "-1:0:0:5:%s:7:0:0:-1=5", ID (1),
              before);
    assert_string_equal (text, wanted);
    assert_true (s_state (ledger, &increment, format, ID (1), 1, 7, after, 7));
    assert_int_equal (increment.count, 2);
    assert_true (increment.sum_ns == increment_ns);
    assert_true (s_state (next, &increment, format, ID (1), 1, 7, after, 7));
    assert_int_equal (increment.count, 2);
    assert_true (increment.sum_ns == increment_ns);
    //  it has not gone back
    assert_false (
      s_state (ledger, &increment, format, ID (1), 2, 7, before, 7));
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
    ledger_destroy (&next);
}

static void
test_sums (void **state)
{
    (void) state;
    s_check_sum ("0.000000000", "0.000000001", 1);
    s_check_sum ("12.000000345", "12.100000345", 100000000);
    //  2^63 and 2^64 nanoseconds
    s_check_sum ("9223372036.854775807", "9223372036.854775808", 1);
    s_check_sum ("9223372036.000000000", "9223372037.000000001", 1000000001);
    s_check_sum ("18446744073.709551615", "18446744073.709551617", 2);
    s_check_sum ("20000000000.123456789", "20000000000.123456790", 1);
    //  2^63 and 2^64 seconds, and the limit
    s_check_sum ("999999999999999999.999999999", "1000000000000000000.0", 1);
    s_check_sum ("1000000000000000000.000000007", "1000000000000000001.0",
                 999999993);
    s_check_sum ("18446744073709551615.999999999", "18446744073709551616.0", 1);
    s_check_sum ("70000000000000000001.000000002", "70000000000000000001.3",
                 299999998);
    s_check_sum ("79228162514264337593.543950335",
                 "79228162514264337593.543950336", 1);
}

//  A mean beyond what a sample can be.
static void
test_mean (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    assert_true (
      s_state (ledger, &increment,
               "a|Timer|t|1|1|s|%" PRIx64 "-1:0:0:1:7e19:1:1:1:", ID (1)));
    assert_int_equal (increment.min_ns, INT64_MAX);
    assert_int_equal (increment.max_ns, INT64_MAX);
    assert_true (increment.sum_ns
                 == (zb_ns_t) 70000000000 * 1000000000 * 1000000000);
    ledger_destroy (&ledger);
}

//  A publisher that contradicts itself must not make 2^64 samples.
static void
test_backwards (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    s_state (ledger, &increment,
             "a|Timer|t|5|1|s|%" PRIx64 "-1:0:0:5:5:5:1:1:-1=5", ID (1));
    assert_int_equal (increment.count, 5);
    if (s_state (ledger, &increment,
                 "a|Timer|t|1|1|s|%" PRIx64 "-1:1:0:2:2:2:1:1:-1=2", ID (1))) {
        assert_int_equal (increment.count, 0);
        assert_true (increment.sum_ns <= 2000000000);
    }
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  --------------------------------------------------------------------------
//  Gauges: each reading once, and what is lost is known

static int
s_reading (ledger_t *ledger, const char *format, ...)
{
    char text[200];
    zb_line_t line;
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    assert_null (line_parse (text, strlen (text), &line));
    return ledger_gauge (ledger, &line) == 0;
}

static int
s_gauge (ledger_t *ledger, int64_t born_ms, uint64_t seq)
{
    return s_reading (ledger,
                      "a|Gauge|g|%" PRIu64 "|1|s|%" PRIx64 "-1:%" PRIu64, seq,
                      (uint64_t) born_ms, seq);
}

//  With SENT: what the publisher had sent before this message.
static int
s_gauge_sent (ledger_t *ledger, int64_t born_ms, uint64_t seq, uint64_t sent)
{
    return s_reading (
      ledger, "a|Gauge|g|%" PRIu64 "|1|s|%" PRIx64 "-1:%" PRIu64 ":%" PRIu64,
      seq, (uint64_t) born_ms, seq, sent);
}

static void
test_gauge_window (void **state)
{
    enum { FAR = 1000000 };
    ledger_t *ledger = ledger_new ();
    int64_t young = ledger->born_wall_ms;
    (void) state;
    assert_true (s_gauge (ledger, young, 0));
    assert_false (s_gauge (ledger, young, 0));
    assert_int_equal (ledger_lost (ledger), 0);
    assert_true (s_gauge (ledger, young, GAUGE_WINDOW));
    assert_int_equal (ledger_lost (ledger), GAUGE_WINDOW - 1);
    //  1 to GAUGE_WINDOW - 1 may be late, each once
    assert_true (s_gauge (ledger, young, 1));
    assert_true (s_gauge (ledger, young, GAUGE_WINDOW - 1));
    assert_false (s_gauge (ledger, young, 1));
    assert_false (s_gauge (ledger, young, GAUGE_WINDOW - 1));
    assert_int_equal (ledger_lost (ledger), GAUGE_WINDOW - 3);
    //  0 is too old to tell whether it was here
    assert_false (s_gauge (ledger, young, 0));
    assert_int_equal (ledger->duplicates, 4);
    //  far ahead: nothing of the old window is left to confuse
    assert_true (s_gauge (ledger, young, FAR));
    assert_int_equal (ledger_lost (ledger), FAR + 1 - 5);
    assert_false (s_gauge (ledger, young, FAR - GAUGE_WINDOW));
    assert_true (s_gauge (ledger, young, FAR - GAUGE_WINDOW + 1));
    assert_true (s_gauge (ledger, young, FAR - 1));
    assert_int_equal (ledger_lost (ledger), FAR + 1 - 7);
    ledger_destroy (&ledger);
}

//  All that a publisher sends again is within reach, even when the other one of
//  two brokers has brought as much again.
static void
test_gauge_reach (void **state)
{
    ledger_t *ledger = ledger_new ();
    (void) state;
    assert_true (GAUGE_WINDOW >= 2 * ZB_KEPT_MAX_);
    assert_true (s_gauge (ledger, ledger->born_wall_ms, 2 * ZB_KEPT_MAX_ - 1));
    assert_true (s_gauge (ledger, ledger->born_wall_ms, 0));
    ledger_destroy (&ledger);
}

//  Met in mid-life, nothing is known of what came before.
static void
test_gauge_older (void **state)
{
    ledger_t *ledger = ledger_new ();
    int64_t old = ledger->born_wall_ms - 1;
    (void) state;
    assert_true (s_gauge (ledger, old, 500));
    assert_int_equal (ledger_lost (ledger), 0);
    assert_true (s_gauge (ledger, old, 502));
    assert_int_equal (ledger_lost (ledger), 1);
    assert_true (s_gauge (ledger, old, 501));
    assert_int_equal (ledger_lost (ledger), 0);
    assert_false (s_gauge (ledger, old, 499));
    assert_int_equal (ledger_lost (ledger), 0);
    //  younger: the first that comes tells of those before it
    assert_true (s_gauge (ledger, old + 1, 3));
    assert_int_equal (ledger_lost (ledger), 3);
    ledger_destroy (&ledger);
}

//  Met with a repetition: what was sent before was for an earlier ledger.
static void
test_gauge_older_again (void **state)
{
    ledger_t *ledger = ledger_new ();
    int64_t old = ledger->born_wall_ms - 1;
    (void) state;
    assert_false (s_gauge_sent (ledger, old, 400, 500));
    assert_false (s_gauge_sent (ledger, old, 499, 500));
    assert_int_equal (ledger->duplicates, 2);
    assert_int_equal (ledger_lost (ledger), 0);
    //  but 500 is ours, and is missing
    assert_true (s_gauge_sent (ledger, old, 501, 500));
    assert_int_equal (ledger_lost (ledger), 1);
    //  until it comes again
    assert_true (s_gauge_sent (ledger, old, 500, 502));
    assert_false (s_gauge_sent (ledger, old, 499, 502));
    assert_int_equal (ledger_lost (ledger), 0);
    ledger_destroy (&ledger);
}

//  Messages of one time may change places on their way: the floor is the same,
//  whichever of them is first.
static void
test_gauge_older_order (void **state)
{
    ledger_t *ledger = ledger_new ();
    int64_t old = ledger->born_wall_ms - 1;
    (void) state;
    //  sent: 1 to 4 again, 5 and 6; then 7 and 8. Came: the other way round
    assert_true (s_gauge_sent (ledger, old, 7, 7));
    assert_true (s_gauge_sent (ledger, old, 8, 7));
    assert_int_equal (ledger_lost (ledger), 0);
    assert_false (s_gauge_sent (ledger, old, 1, 5));
    assert_true (s_gauge_sent (ledger, old, 5, 5));
    //  a first sending of before tells that there was more
    assert_int_equal (ledger_lost (ledger), 1);
    assert_true (s_gauge_sent (ledger, old, 6, 5));
    assert_int_equal (ledger_lost (ledger), 0);
    assert_false (s_gauge_sent (ledger, old, 5, 5));
    assert_false (s_gauge_sent (ledger, old, 4, 5));
    assert_false (s_gauge_sent (ledger, old, 4, 9));
    assert_int_equal (ledger_lost (ledger), 0);
    //  a liar's loses nothing of the others
    assert_true (s_gauge_sent (ledger, old, 2 * GAUGE_WINDOW, 9));
    assert_int_equal (ledger_lost (ledger), 2 * GAUGE_WINDOW - 9);
    assert_false (s_gauge_sent (ledger, old, 4, 0));
    assert_int_equal (ledger_lost (ledger), 2 * GAUGE_WINDOW - 9);
    ledger_destroy (&ledger);
}

static void
s_keep (void *argument, const char *text, size_t size)
{
    assert_int_equal (ledger_restore (*(ledger_t **) argument, text, size - 1),
                      0);
}

//  So it is when the ledger was saved and restored in between, and a reading
//  that was here before still has been.
static void
test_gauge_older_restored (void **state)
{
    ledger_t *ledger = ledger_new (), *next = ledger_new ();
    int64_t old = ledger->born_wall_ms - 1;
    (void) state;
    assert_true (s_gauge_sent (ledger, old, 9000, 9000));
    assert_true (s_gauge_sent (ledger, old, 9003, 9003));
    ledger_save_begin (ledger, 1, s_keep, &next);
    assert_int_equal (ledger_save (ledger, SIZE_MAX), 1);
    assert_int_equal (ledger_lost (next), 2);
    assert_false (s_gauge_sent (next, old, 9000, 9000));
    assert_false (s_gauge_sent (next, old, 9003, 9003));
    assert_true (s_gauge_sent (next, old, 8999, 8999));
    assert_true (s_gauge_sent (next, old, 9001, 9001));
    assert_false (s_gauge_sent (next, old, 8998, 9004));
    assert_int_equal (ledger_lost (next), 1);
    ledger_destroy (&ledger);
    ledger_destroy (&next);
}

//  A stream that is younger: all of it is ours, sent again or not.
static void
test_gauge_younger_again (void **state)
{
    ledger_t *ledger = ledger_new ();
    int64_t young = ledger->born_wall_ms;
    uint64_t seq;
    (void) state;
    for (seq = 0; seq < 10; seq++)
        if (seq != 3 && seq != 7)
            assert_true (s_gauge_sent (ledger, young, seq, seq / 5 * 5));
    assert_int_equal (ledger_lost (ledger), 2);
    for (seq = 0; seq < 10; seq++)
        assert_int_equal (s_gauge_sent (ledger, young, seq, 10),
                          seq == 3 || seq == 7);
    assert_int_equal (ledger_lost (ledger), 0);
    assert_int_equal (ledger->duplicates, 8);
    //  even if all that was before is lost
    assert_true (s_gauge_sent (ledger, young + 1, 2, 4));
    assert_int_equal (ledger_lost (ledger), 2);
    ledger_destroy (&ledger);
}

//  Who misses no readings does not pay for their window.
static void
test_gauge_memory (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    (void) state;
    assert_true (sizeof (stream_t) <= 216);
    s_state (ledger, &increment, "a|Counter|n|1|1|s|%" PRIx64 "-1:0:0:1",
             ID (1));
    assert_null (ledger->last->gaps);
    assert_true (s_gauge (ledger, ledger->born_wall_ms + 1, 0));
    assert_null (ledger->last->gaps);
    assert_true (s_gauge (ledger, ledger->born_wall_ms + 1, 2));
    assert_non_null (ledger->last->gaps);
    assert_true (s_gauge (ledger, ledger->born_wall_ms + 1, 1));
    assert_null (ledger->last->gaps);
    ledger_destroy (&ledger);
}

//  What is lost, late or repeated are messages: of 32 readings here. So there are
//  fewer gaps than are remembered, however late they are within the window.
static void
test_gauge_property (void **state)
{
    enum { MESSAGE = 32, READINGS = 640 * MESSAGE, WINDOW = 8192 / MESSAGE };
    static arrival_t order[2 * READINGS / MESSAGE];
    static sent_t sent[READINGS / MESSAGE];
    static int taken[READINGS];
    unsigned run;
    (void) state;
    for (run = 0; run < 60; run++) {
        ledger_t *ledger = ledger_new ();
        uint64_t lost = 0, seq;
        size_t i, size;
        unsigned delay = run % 3 * (WINDOW / 4);  //  within the window
        s_seed = run;
        memset (taken, 0, sizeof taken);
        for (i = 0; i < READINGS / MESSAGE; i++) {
            sent[i].series = 0;
            sent[i].last = i == READINGS / MESSAGE - 1;
        }
        size = s_network (sent, READINGS / MESSAGE, run % 50, run % 30, delay,
                          order);
        for (i = 0; i < size * MESSAGE; i++) {
            int once;
            seq = (uint64_t) (order[i / MESSAGE].line - sent) * MESSAGE
                  + i % MESSAGE;
            once = s_gauge (ledger, ledger->born_wall_ms, seq);
            if (once != !taken[seq])
                fail_msg ("run %u: %" PRIu64 " taken %d times", run, seq,
                          taken[seq] + once);
            taken[seq] += once;
        }
        for (i = 0; i < READINGS; i++)
            lost += !taken[i];
        assert_int_equal (ledger_lost (ledger), lost);
        ledger_destroy (&ledger);
    }
}

//  Of too many ranges the lowest goes. Returns how many there are.
static uint64_t
s_naive_trim (char *naive, uint64_t next)
{
    uint64_t i, ranges = 0;
    for (i = next; i > 0; i--) {
        if (naive[i] == '-' && naive[i - 1] != '-')
            ranges++;
        if (ranges == GAPS_MAX && naive[i] != '-')
            naive[i - 1] = 0;
    }
    return ranges;
}

//  Ranges against one sign a number: '-' is missing.
static void
test_gaps (void **state)
{
    enum { NUMBERS = 2500 };
    static char naive[NUMBERS + 1];
    uint64_t next, at, i, ranges;
    unsigned run;
    (void) state;
    for (run = 0; run < 200; run++) {
        gaps_t *gaps = NULL;
        s_seed = run;
        memset (naive, 0, sizeof naive);
        for (next = 1; next + 4 < NUMBERS;) {
            uint64_t skipped = s_any () % (run % 4 + 1);
            gaps_add (&gaps, next, next + skipped);
            memset (naive + next, '-', skipped);
            next += skipped + 1;
            ranges = s_naive_trim (naive, next);
            at = s_any () % next;
            if (s_any () % (run % 8 + 1) == 0) {
                assert_int_equal (gaps_fill (&gaps, at), naive[at] == '-');
                naive[at] = 0;
                ranges = s_naive_trim (naive, next);
            }
            if (s_any () % 500 == 0) {
                gaps_trim (&gaps, at);
                memset (naive, 0, at);
                ranges = s_naive_trim (naive, next);
            }
            assert_int_equal (gaps ? gaps->count : 0, ranges);
        }
        for (i = 0; i < next; i++)
            assert_int_equal (gaps_fill (&gaps, i), naive[i] == '-');
        assert_null (gaps);
    }
}

//  The largest SEQ there is: a peer may write it, and nothing may hang.
static void
test_gauge_largest (void **state)
{
    int status;
    pid_t child = fork ();
    (void) state;
    if (child == 0) {
        ledger_t *ledger = ledger_new ();
        zb_line_t line = {.type = ZB_TYPE_GAUGE,
                          .level = "a",
                          .level_size = 1,
                          .id = "0-0",
                          .id_size = 3,
                          .seq = UINT64_MAX};
        alarm (5);
        ledger_gauge (ledger, &line);
        ledger_gauge (ledger, &line);
        line.seq = 3;
        ledger_gauge (ledger, &line);
        _exit (0);
    }
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
}

//  --------------------------------------------------------------------------
//  Streams that fall silent

//  So much of being awake goes by.
static void
s_pass (ledger_t *ledger, int64_t ms)
{
    for (; ms > 0; ms -= TICK_MAX_MS)
        ledger_tick (ledger,
                     ledger->tick_ms + (ms < TICK_MAX_MS ? ms : TICK_MAX_MS));
    while (!ledger_clean (ledger, 10)) {
    }
}

//  A stream without an End is kept for a day of being awake.
static void
test_forget (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    int64_t born_ms = ledger->born_wall_ms -= 1000;
    int i;
    (void) state;
    for (i = 0; i < 100; i++)
        s_state (ledger, &increment,
                 "a|Timer|t%d|1|1|s|%" PRIx64 "-1:%d:%d:1:1:1:1:1:-1=1", i,
                 (uint64_t) born_ms, i, i);
    s_gauge (ledger, born_ms + 1, 7);
    assert_int_equal (ledger->streams.count, 2);
    assert_int_equal (ledger->series.count, 100);
    //  while we stand still nobody is silent,
    ledger_tick (ledger, ledger->tick_ms + 3 * SILENT_MS);
    //  and 23 hours are not a day
    s_pass (ledger, SILENT_MS - 3600 * 1000);
    assert_int_equal (ledger->streams.count, 2);
    assert_int_equal (ledger->series.count, 100);
    assert_false (s_state (ledger, &increment,
                           "a|Timer|t5|1|1|s|%" PRIx64 "-1:5:5:1:1:1:1:1:-1=1",
                           (uint64_t) born_ms));
    assert_int_equal (ledger_lost (ledger), 7);
    s_pass (ledger, 3600 * 1000);
    assert_int_equal (ledger->streams.count, 1);
    assert_false (s_gauge (ledger, born_ms + 1, 6));
    assert_false (s_gauge (ledger, born_ms + 1, 7));
    assert_int_equal (ledger->series.count, 100);
    s_pass (ledger, SILENT_MS);
    assert_int_equal (ledger->streams.count, 0);
    assert_int_equal (ledger->series.count, 0);
    assert_int_equal (ledger_lost (ledger), 7);
    //  while there are stubs, all that is known is known,
    assert_false (s_state (ledger, &increment,
                           "a|Counter|n|7|1|s|%" PRIx64 "-1:5:5:7",
                           (uint64_t) born_ms));
    s_pass (ledger, LATE_MS + 2 * STUBS_TURN_MS);
    assert_int_equal (ledger->stubs.count, 0);
    //  and then the ledger is younger
    assert_true (s_state (ledger, &increment,
                          "a|Counter|n|1|1|s|%" PRIx64 "-1:5:3:7",
                          (uint64_t) born_ms));
    assert_true (increment.value == 1);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  --------------------------------------------------------------------------
//  Streams that come back

//  A counter of a program that was born then. Returns whether it is news.
static int
s_born (ledger_t *ledger, int64_t born_ms, increment_t *increment,
        const char *state)
{
    char text[200];
    zb_line_t line;
    snprintf (text, sizeof text, "a|Counter|n|1|1|s|1-1:%s", state);
    assert_null (line_parse (text, strlen (text), &line));
    line.age_ms = ledger->now_ms - born_ms;
    return ledger_state (ledger, &line, increment) != NULL;
}

//  First its stub knows it, and later the ledger is younger.
static void
test_come_back (void **state)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    int64_t born_ms = ledger->born_ms;
    (void) state;
    assert_true (s_born (ledger, born_ms, &increment, "5:3:7"));
    assert_true (increment.value == 7);
    s_pass (ledger, SILENT_MS);
    assert_int_equal (ledger->streams.count, 0);
    assert_false (s_born (ledger, born_ms, &increment, "5:3:7"));
    assert_true (s_born (ledger, born_ms, &increment, "6:3:9"));
    assert_true (increment.value == 1);
    s_pass (ledger, SILENT_MS);
    s_pass (ledger, LATE_MS + 2 * STUBS_TURN_MS);
    assert_int_equal (ledger->stubs.count, 0);
    assert_true (s_born (ledger, born_ms, &increment, "8:3:12"));
    assert_true (increment.value == 1);
    ledger_destroy (&ledger);
}

//  What its stub knows of readings does not come again, however late.
static void
test_come_back_readings (void **state)
{
    ledger_t *ledger = ledger_new ();
    int64_t old = ledger->born_wall_ms - 1;
    (void) state;
    assert_true (s_gauge_sent (ledger, old, 7, 7));
    s_pass (ledger, SILENT_MS);
    assert_int_equal (ledger->streams.count, 0);
    assert_true (s_gauge_sent (ledger, old, 9, 9));
    assert_int_equal (ledger_lost (ledger), 1);
    assert_false (s_gauge_sent (ledger, old, 7, 7));
    assert_false (s_gauge_sent (ledger, old, 5, 5));
    assert_int_equal (ledger_lost (ledger), 1);
    assert_true (s_gauge_sent (ledger, old, 8, 8));
    assert_int_equal (ledger_lost (ledger), 0);
    ledger_destroy (&ledger);
}

//  One that has come back before a save, and reports on while that is under way:
//  its line is before that of its stub, and counts all the same.
static void
test_come_back_saved (void **state)
{
    ledger_t *ledger = ledger_new (), *next = ledger_new ();
    increment_t increment = {0};
    int64_t born_ms = ledger->born_ms;
    (void) state;
    assert_true (s_born (ledger, born_ms, &increment, "5:3:7"));
    ledger_save_begin (ledger, 1, s_keep, &next);
    assert_int_equal (ledger_save (ledger, SIZE_MAX), 1);
    s_pass (ledger, SILENT_MS);
    assert_true (s_born (ledger, born_ms, &increment, "6:3:9"));
    ledger_save_begin (ledger, 0, s_keep, &next);
    assert_true (s_born (ledger, born_ms, &increment, "7:3:11"));
    //  a generation begins meanwhile
    s_pass (ledger, STUBS_TURN_MS);
    assert_int_equal (ledger_save (ledger, SIZE_MAX), 1);
    assert_int_equal (next->stubs.count, 1);
    assert_int_equal (next->streams.count, 1);
    next->now_ms = ledger->now_ms;
    assert_false (s_born (next, born_ms, &increment, "6:3:9"));
    assert_true (s_born (next, born_ms, &increment, "7:3:12"));
    assert_true (increment.value == 3);
    ledger_destroy (&ledger);
    ledger_destroy (&next);
}

//  --------------------------------------------------------------------------
//  Clocks: what counts is a stream's age

//  A counter of a program that is so old, and whose wall clock is so far ahead.
static double
s_aged (ledger_t *ledger, int64_t age_ms, int64_t ahead_ms, const char *id,
        const char *state)
{
    char text[200];
    increment_t increment = {0};
    zb_line_t line;
    snprintf (text, sizeof text, "a|Counter|n|1|1|s|%" PRIx64 "-%s:%s",
              (uint64_t) (zclock_time () - age_ms + ahead_ms), id, state);
    assert_null (line_parse (text, strlen (text), &line));
    line.age_ms = age_ms;
    return ledger_state (ledger, &line, &increment) ? increment.value : 0;
}

//  Programs that are 60 s ahead or behind, older or younger than a ledger of four
//  seconds.
static void
test_age (void **state)
{
    ledger_t *ledger = ledger_new ();
    int64_t ahead_ms;
    (void) state;
    ledger->now_ms += 4000;
    for (ahead_ms = -60000; ahead_ms <= 60000; ahead_ms += 60000) {
        //  an earlier ledger had 39 of it, or: its first report is lost
        assert_true (
          s_aged (ledger, 4001, ahead_ms, ahead_ms < 0 ? "1" : "2", "9:3:40")
          == 1);
        assert_true (
          s_aged (ledger, 4000, ahead_ms, ahead_ms < 0 ? "3" : "4", "1:0:2")
          == 2);
    }
    ledger_destroy (&ledger);
}

//  A ledger that was saved before the host began anew is as old as it was, and
//  as long as it was down.
static void
test_age_reboot (void **state)
{
    ledger_t *ledger = ledger_new ();
    char head[300];
    const int64_t hour = 3600 * 1000;
    (void) state;
    //  written two hours ago, in another boot, an hour after its birth
    snprintf (head, sizeof head,
              "|ledger|1|0|0|%" PRId64 "|%" PRId64 "|%" PRId64 "|other|7|0",
              5 * hour, 6 * hour, zclock_time () - 2 * hour);
    assert_int_equal (ledger_restore (ledger, head, strlen (head)), 0);
    assert_true (llabs (boot_ms () - 3 * hour - ledger->born_ms) < 1000);
    assert_true (s_aged (ledger, 3 * hour - 2000, 0, "1", "9:3:40") == 40);
    assert_true (s_aged (ledger, 3 * hour + 2000, 0, "2", "9:3:40") == 1);
    //  in this one
    snprintf (head, sizeof head,
              "|ledger|1|0|0|%" PRId64 "|%" PRId64 "|%" PRId64 "|%s|7|0",
              boot_ms () - hour, boot_ms (), INT64_C (0),
              boot_id ((char[BOOT_ID_SIZE]){0}));
    assert_int_equal (ledger_restore (ledger, head, strlen (head)), 0);
    assert_true (llabs (boot_ms () - hour - ledger->born_ms) < 1000);
    ledger_destroy (&ledger);
}

//  Of a timer that an earlier ledger has counted: what its report alone says.
static void
test_first_sight_recent (void **state)
{
    static const char text[] = "a|Timer|t|1.5|1|s|1-1:9:3:8:7:13:0.1:0.9:-1=8";
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    zb_line_t line;
    (void) state;
    assert_null (line_parse (text, strlen (text), &line));
    line.recent_given = 1;
    line.recent = 4;
    assert_non_null (ledger_state (ledger, &line, &increment));
    assert_int_equal (increment.count, 4);
    assert_int_equal (increment.sum_ns, 1500000000);
    assert_int_equal (increment.min_ns, 100000000);
    assert_int_equal (increment.max_ns, 900000000);
    //  0.1, 0.25, 0.25, 0.9
    assert_true (fabs (increment.sum_squares - 0.945) < 1e-9);
    assert_int_equal (increment.hist.size, 3);
    assert_int_equal (increment.hist.bucket[1].count, 2);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
}

//  --------------------------------------------------------------------------
//  Ledgers of old

//  What a worker of before has saved: its streams have no birth but their ID's,
//  what they lost is known, and all is saved anew.
static void
test_old_file (void **state)
{
    static const char *const lines[] = {
      "|ledger|1700000000000|3|2",
      "|stream|a|18bcfe56801-1|1700000005000|1:4|1:0:7:5|2=1,4=1,",
      "a|Counter|n|0|0|s|18bcfe56801-1:9:4:40", "|ledger|1700000000000|3|5",
      "|stream|a|18bcfe56801-1|1700000006000|1:4|1:0:7:6|4=1,"};
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal (ledger_restore (ledger, lines[i], strlen (lines[i])),
                          0);
    assert_int_equal (ledger_lost (ledger), 3 + 1);
    assert_int_equal (ledger->lost_told, 5);
    assert_true (ledger->renew);
    assert_true (
      s_state (ledger, &increment, "a|Counter|n|2|1|s|18bcfe56801-1:10:4:45"));
    assert_true (increment.value == 5);
    //  younger than that ledger, by its wall clock
    assert_true (
      s_state (ledger, &increment, "a|Counter|m|2|1|s|18bcfe56801-1:11:3:45"));
    assert_true (increment.value == 45);
    assert_true (s_reading (ledger, "a|Gauge|g|1|1|s|18bcfe56801-1:4"));
    assert_int_equal (ledger_lost (ledger), 3);
    ledger_destroy (&ledger);
}

//  All labels of a line have as many bytes as they may.
static void
test_longest (void **state)
{
    static const char *const types[] = {"Counter", "Timer"};
    static const char *const sums[] = {"5", "5:1:1:1:1:0=5"};
    static char level[256], name[1024], source[256], id[256];
    ledger_t *ledger = ledger_new (), *next = ledger_new ();
    increment_t increment = {0};
    int i, round;
    (void) state;
    memset (level, 'l', 255);
    memset (name, 'n', 1023);
    memcpy (name + 255, ";k=", 3);
    memset (source, 's', 255);
    memset (id, 'f', 255);
    for (round = 0; round < 2; round++) {
        for (i = 0; i < 2; i++)
            assert_int_equal (s_state (round ? next : ledger, &increment,
                                       "%s|%s|%s|1|1|%s|%s:%d:0:%s", level,
                                       types[i], name, source, id, i, sums[i]),
                              !round);
        if (round)
            break;
        ledger_save_begin (ledger, 1, s_hand_over, next);
        assert_int_equal (ledger_save (ledger, SIZE_MAX), 1);
    }
    assert_int_equal (next->duplicates, 2);
    free (increment.hist.bucket);
    ledger_destroy (&ledger);
    ledger_destroy (&next);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_property),
      cmocka_unit_test (test_first_sight_younger),
      cmocka_unit_test (test_first_sight_older),
      cmocka_unit_test (test_first_sight_order),
      cmocka_unit_test (test_first_sight_keys),
      cmocka_unit_test (test_first_sight_timer),
      cmocka_unit_test (test_squares),
      cmocka_unit_test (test_squares_exact),
      cmocka_unit_test (test_range),
      cmocka_unit_test (test_sums),
      cmocka_unit_test (test_mean),
      cmocka_unit_test (test_backwards),
      cmocka_unit_test (test_gauge_window),
      cmocka_unit_test (test_gauge_reach),
      cmocka_unit_test (test_gauge_older),
      cmocka_unit_test (test_gauge_older_again),
      cmocka_unit_test (test_gauge_older_order),
      cmocka_unit_test (test_gauge_older_restored),
      cmocka_unit_test (test_gauge_younger_again),
      cmocka_unit_test (test_gauge_memory),
      cmocka_unit_test (test_gauge_property),
      cmocka_unit_test (test_gaps),
      cmocka_unit_test (test_gauge_largest),
      cmocka_unit_test (test_forget),
      cmocka_unit_test (test_come_back),
      cmocka_unit_test (test_come_back_readings),
      cmocka_unit_test (test_come_back_saved),
      cmocka_unit_test (test_age),
      cmocka_unit_test (test_age_reboot),
      cmocka_unit_test (test_first_sight_recent),
      cmocka_unit_test (test_old_file),
      cmocka_unit_test (test_longest)};
    return cmocka_run_group_tests_name ("ledger", tests, NULL, NULL);
}
