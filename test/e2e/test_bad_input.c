/*  test_bad_input.c - what peers send that is no measurement

    100,000 malformed lines between 1,000 good ones: alone in a message, many
    in one, and with good ones in one. Every good one counts, each kind of bad
    one is reported once a flush with its count, broker and worker live on and
    stay as small as they were.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

enum {
    GOOD = 1000,
    BAD_PER_GOOD = 100,
    MUTANTS = 20000,
    MULTIPART = 10,
    LONG = 60 * 1024,       //  bytes of a name that is far too long
    LONG_EVERY = 500,       //  bad lines
    BATCH = 50,             //  lines
    GROWTH_KIB = 20 * 1024  //  of a process, at most
};

#define ID       "18c0de00000-0123456789abcdef"
#define STREAM   ID ":1"
#define STREAM_2 ID ":2"

//  A NUL cannot stand in a text, so each has its size.
typedef struct {
    const char *text;
    size_t size;
} bytes_t;

#define BYTES(text)                                                            \
    {                                                                          \
        text, sizeof text - 1                                                  \
    }

//  Bad lines and why, in the words of the log.
static const struct {
    const char *reason;
    bytes_t line;
} s_bad[] = {
  {"empty line", BYTES ("")},
  {"too few fields", BYTES ("x")},
  {"too few fields", BYTES ("info|Counter|bad|1|1700000000")},
  {"too few fields", BYTES ("\xff\xfe\x80\x00\x01\xc3\x28")},
  {"too many fields",
   BYTES ("info|Counter|bad|1|1700000000|test|" STREAM ":1:5|more")},
  {"too many fields", BYTES ("|||||||||||||||||||||||||||||||||||")},
  {"bad level", BYTES ("|Counter|bad|1|1700000000|test")},
  {"bad level", BYTES ("in\x01o|Counter|bad|1|1700000000|test")},
  {"unknown type", BYTES ("info|Histogram|bad|1|1700000000|test")},
  {"unknown type", BYTES ("info||bad|1|1700000000|test")},
  {"unknown type", BYTES ("info|Counterss|bad|1|1700000000|test")},
  {"unknown type", BYTES ("info|Count|bad|1|1700000000|test")},
  {"bad name", BYTES ("info|Counter||1|1700000000|test")},
  {"bad name", BYTES ("info|Counter|b\0d|1|1700000000|test")},
  {"bad name", BYTES ("info|Counter|b\td|1|1700000000|test")},
  {"bad name", BYTES ("info|Counter|b\x7f|1|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad||1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|NaN|1700000000|test")},
  {"bad value", BYTES ("info|Gauge|bad|nan|1700000000|test")},
  {"bad value", BYTES ("info|Gauge|bad|inf|1700000000|test")},
  {"bad value", BYTES ("info|Gauge|bad|-Infinity|1700000000|test")},
  {"bad value", BYTES ("info|Gauge|bad|1e999|1700000000|test")},
  {"bad value", BYTES ("info|Gauge|bad|-1e127|1700000000|test")},
  {"bad value", BYTES ("info|Timer|bad|1e999|1700000000|test")},
  {"bad value", BYTES ("info|Timer|bad|-1|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|0x10|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|1 |1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|1,5|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|--1|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|1e|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|.|1700000000|test")},
  {"bad value", BYTES ("info|Counter|bad|1\0|1700000000|test")},
  {"bad time", BYTES ("info|Counter|bad|1||test")},
  {"bad time", BYTES ("info|Counter|bad|1|yesterday|test")},
  {"bad time", BYTES ("info|Counter|bad|1|-1|test")},
  {"bad time", BYTES ("info|Counter|bad|1|inf|test")},
  {"bad time", BYTES ("info|Counter|bad|1|1e300|test")},
  {"bad source", BYTES ("info|Counter|bad|1|1700000000|")},
  {"bad source", BYTES ("info|Counter|bad|1|1700000000|te\rst")},
  {"bad source", BYTES ("info|Counter|bad|1|1700000000|test\0")},
  {"bad stream", BYTES ("info|Counter|bad|1|1700000000|test|")},
  {"bad stream", BYTES ("info|Counter|bad|1|1700000000|test|x")},
  {"bad stream", BYTES ("info|Counter|bad|1|1700000000|test|" STREAM)},
  {"bad stream", BYTES ("info|Counter|bad|1|1700000000|test|" STREAM ":2:5")},
  {"bad stream", BYTES ("info|Counter|bad|1|1700000000|test|" STREAM ":1:NaN")},
  {"bad stream", BYTES ("info|Counter|bad|1|1700000000|test|a:-1:1:5")},
  {"bad stream",
   BYTES ("info|Counter|bad|1|1700000000|test|a:99999999999999999999:1:5")},
  {"bad stream", BYTES ("info|Gauge|bad|1|1700000000|test|" STREAM ":1:1")},
  {"bad stream", BYTES ("info|Timer|bad|1|1700000000|test|" STREAM ":1:5")},
  {"bad stream",
   BYTES ("info|Timer|bad|1|1700000000|test|" STREAM ":1:1:1:1:1:1:0=x")},
  {"bad stream",
   BYTES ("info|Timer|bad|1|1700000000|test|" STREAM ":1:1:1:1:1:1:5=1,4=1")},
  {"bad stream",
   BYTES ("info|Timer|bad|1|1700000000|test|" STREAM ":1:1:1e99:1:1:1:0=1")},
  {"bad stream",
   BYTES ("info|Timer|bad|1|1700000000|test|" STREAM ":1:1:1:1:1:1:,")},
};

enum { BAD_KINDS = sizeof s_bad / sizeof *s_bad };

//  Numbers that are the same in each run (Marsaglia, "Xorshift RNGs", 2003).
static uint32_t
s_random (void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

//  --------------------------------------------------------------------------
//  batch: lines on their way into one message

typedef struct {
    void *publisher;
    char *text;
    size_t size, lines;
    size_t sent;  //  messages
} batch_t;

static void
batch_send (batch_t *self)
{
    if (self->lines == 0)
        return;
    publisher_send_bytes (self->publisher, self->text, self->size - 1);
    self->size = self->lines = 0;
    self->sent++;
}

static void
batch_add (batch_t *self, const char *text, size_t size)
{
    //  an empty line at the end would be no line
    if (size == 0 && self->lines > 0)
        batch_send (self);
    self->text = realloc (self->text, self->size + size + 1);
    memcpy (self->text + self->size, text, size);
    self->text[self->size + size] = '\n';
    self->size += size + 1;
    self->lines++;
    if (size == 0)
        batch_send (self);
}

//  --------------------------------------------------------------------------

static void
s_add_good (batch_t *batch, int number)
{
    static const char *const types[] = {"Counter", "Timer", "Gauge"};
    const char *line = text_new ("info|%s|good|1|1700000000|%s",
                                 types[number % 3], types[number % 3]);
    batch_add (batch, line, strlen (line));
}

static void
s_add_bad (batch_t *batch, int number, const char *long_line)
{
    if (number % LONG_EVERY == 0 && long_line)
        batch_add (batch, long_line, strlen (long_line));
    else
        batch_add (batch, s_bad[number % BAD_KINDS].line.text,
                   s_bad[number % BAD_KINDS].line.size);
}

//  A good line with one to four bytes replaced by any but the newline. By luck
//  it may still be good; nobody mistakes it for one of those that are counted.
static void
s_add_mutant (batch_t *batch)
{
    char line[] = "info|Timer|mutant|1.5|1700000000|mutant|" STREAM
                  ":1:3:4.5:7.25:1.5:1.5:16=1,20=2";
    for (uint32_t change = s_random () % 4 + 1; change > 0; change--) {
        char byte = (char) s_random ();
        line[s_random () % (sizeof line - 1)] = byte == '\n' ? '|' : byte;
    }
    batch_add (batch, line, sizeof line - 1);
}

//  Bad lines between good ones, every twentieth in a message of its own.
static void
s_send_all (batch_t *batch)
{
    char *long_line = text_new ("info|Counter|%0*d|1|1700000000|test", LONG, 0);
    for (int good = 0, bad = 0; good < GOOD; good++) {
        size_t lines = good % 20 == 0 ? 1 : BATCH;
        s_add_good (batch, good);
        for (int i = 0; i < BAD_PER_GOOD; i++) {
            s_add_bad (batch, bad++, long_line);
            if (batch->lines >= lines)
                batch_send (batch);
        }
    }
    for (int i = 0; i < MUTANTS; i++) {
        s_add_mutant (batch);
        if (batch->lines >= BATCH)
            batch_send (batch);
    }
    batch_send (batch);
}

static void
s_send_multipart (void *publisher)
{
    for (int i = 0; i < MULTIPART; i++) {
        const char *line = "info|Counter|bad|1|1700000000|test";
        zmq_send (publisher, line, strlen (line), ZMQ_SNDMORE);
        publisher_send (publisher, line);
    }
}

//  The sum of the counts that the log has for a reason, or for all if NULL.
static double
s_reported (process_t *worker, const char *reason)
{
    double count = 0;
    const char *line = process_err (worker);
    for (; (line = strstr (line, "event=malformed ")); line++) {
        const char *key =
          reason ? text_new ("reason=\"%s\" count=", reason) : "count=";
        const char *found = strstr (line, key);
        if (found && found < strchr (line, '\n'))
            count += strtod (found + strlen (key), NULL);
    }
    return count;
}

//  One of each kind, in messages of their own.
static void
s_send_each_kind (batch_t *batch)
{
    for (int i = 0; i < BAD_KINDS; i++) {
        s_add_bad (batch, i, NULL);
        batch_send (batch);
    }
}

//  How often bad ones of that kind were sent, in both ways.
static double
s_sent (const char *reason)
{
    double count = 0;
    for (int i = 0; i < BAD_KINDS; i++)
        count += strcmp (reason, s_bad[i].reason) == 0;
    for (int i = 0; i < GOOD * BAD_PER_GOOD; i++)
        if (i % LONG_EVERY == 0)
            count += strcmp (reason, "bad name") == 0;
        else
            count += strcmp (reason, s_bad[i % BAD_KINDS].reason) == 0;
    return count;
}

//  Each kind was reported as often as it was sent, mutants come on top, and
//  at most once a flush.
static void
s_check_reports (process_t *worker, double mutants, double flushes)
{
    double more = 0;
    for (int i = 0; i < BAD_KINDS; i++) {
        const char *reason = s_bad[i].reason;
        if (i > 0 && strcmp (reason, s_bad[i - 1].reason) == 0)
            continue;
        double extra = s_reported (worker, reason) - s_sent (reason);
        if (extra < 0)
            fail_msg ("%g times too few: %s", -extra, reason);
        more += extra;
        double lines = (double) process_lines (
          worker, text_new ("event=malformed reason=\"%s\"", reason));
        if (lines > flushes)
            fail_msg ("%g reports in %g flushes: %s", lines, flushes, reason);
    }
    assert_true (more <= mutants);
    assert_true (s_reported (worker, "more than one frame") == MULTIPART);
    assert_true (s_reported (worker, NULL)
                 == BAD_KINDS + GOOD * BAD_PER_GOOD + more + MULTIPART);
}

static void
bad_lines_harm_nobody (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    batch_t batch = {.publisher = publisher_new (broker, "")};
    //  memory is compared with what it is once all kinds have been seen
    int64_t start = now_ms ();
    s_send_each_kind (&batch);
    publisher_probe (batch.publisher, "info", &sink, 1);
    long broker_kib = process_status (broker->process, "VmRSS:");
    long worker_kib = process_status (sink.worker, "VmRSS:");

    s_send_all (&batch);
    s_send_multipart (batch.publisher);
    const char *last = "info|Counter|last|1|1700000000|test";
    publisher_send (batch.publisher, last);
    sink_await (&sink, "test", "last", 0, 1);

    assert_true (process_alive (broker->process));
    assert_true (process_alive (sink.worker));
    if (!SANITIZED) {
        broker_kib = process_status (broker->process, "VmRSS:") - broker_kib;
        worker_kib = process_status (sink.worker, "VmRSS:") - worker_kib;
        print_message ("    grown by %ld and %ld KiB\n", broker_kib,
                       worker_kib);
        assert_true (broker_kib < GROWTH_KIB);
        assert_true (worker_kib < GROWTH_KIB);
    }
    sink_stop (&sink);
    broker_stop (broker);
    sink_check_sum (&sink, "Counter", "good", 334);
    sink_check_count (&sink, "Timer", "good", 333);
    sink_check_count (&sink, "Gauge", "good", 333);
    //  one flush a second, one begun before, one at the end
    s_check_reports (sink.worker, MUTANTS,
                     (double) (sink.worker->ended_ms - start) / 1000 + 2);
    free (batch.text);
}

//  Lines that are well formed, and still cannot be: states that go backwards,
//  sums beyond what a number holds. Whatever becomes of them, no row comes of
//  it that is no number, and the neighbours are right.
static void
impossible_lines_harm_nobody (void)
{
    static const char *const lines[] = {
      "info|Timer|back|1|1700000000|test|" STREAM ":1:5:1:1:0.1:0.5:-10=5",
      "info|Timer|back|1|1700000000|test|" STREAM_2 ":1:3:.5:1:.1:.5:-10=3",
      "info|Counter|huge|1e308|1700000000|test",
      "info|Counter|huge|1e308|1700000000|test",
      "info|Gauge|high|9e125|1700000000|test",
      "info|Gauge|high|9e125|1700000000|test",
      "info|Timer|long|9000000000|1700000000|test",
      "info|Timer|long|9000000000|1700000000|test",
      "info|Timer|long|70000000000000000000|1700000000|test",
      "info|Counter|good|1|18446744073|test",
      "info|Gauge|late|1|99999999999.999|test",
    };
    enum { LINES = sizeof lines / sizeof *lines };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    void *publisher = publisher_new (broker, "");
    for (int i = 0; i < LINES; i++) {
        publisher_send (publisher, lines[i]);
        publisher_send (publisher, "info|Counter|good|1|1700000000|test");
        //  a flush between the two states
        if (i == 0)
            sink_await (&sink, "test", "back", 5, 0);
    }
    sink_end_with_sum (&sink, "test", "good", LINES + 1);
    cJSON *rows = sink_rows (&sink);
    const cJSON *row, *item;
    cJSON_ArrayForEach (row, rows)
    {
        cJSON_ArrayForEach (item, row) if (cJSON_IsNull (item))
          fail_msg ("%s of a row is null", item->string);
        assert_true (row_number (row, "count") < 1e15);
        if (row_is (row, "type", "timer"))
            assert_true (row_number (row, "sum") >= 0);
    }
    cJSON_Delete (rows);
}

static const struct CMUnitTest tests[] = {
  TEST (bad_lines_harm_nobody),
  TEST (impossible_lines_harm_nobody),
};

HARNESS_MAIN (tests)
