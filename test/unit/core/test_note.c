/*  test_note.c - what a message says about its stream: is it read, and does the
    worker give it to the lines that it is about, and to no others?

    Sections: the text, the worker.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../executable.h"

//  The text is copied to memory of its size, so that ASan sees who reads on.
static const char *
s_parse (const char *text, note_t *note)
{
    static char *copy;
    size_t size = strlen (text);
    free (copy);
    copy = malloc (size ? size : 1);
    assert_non_null (copy);
    memcpy (copy, text, size);
    return note_parse (copy, size, note);
}

static void
s_same_text (span_t span, const char *wanted)
{
    assert_int_equal (span.size, strlen (wanted));
    assert_memory_equal (span.text, wanted, span.size);
}

//  --------------------------------------------------------------------------
//  The text

//  Of a line that begins with info|...|18c-f00.
static note_t
s_note (const char *text, int kind)
{
    note_t note;
    assert_null (s_parse (text, &note));
    assert_int_equal (note.kind, kind);
    s_same_text (note.level, "info");
    s_same_text (note.id, "18c-f00");
    return note;
}

static void
test_stream (void **state)
{
    note_t note = s_note ("info|Stream|18c-f00|1234", NOTE_STREAM);
    uint64_t count;
    (void) state;
    assert_int_equal (note.age_ms, 1234);
    assert_int_equal (note_count_next (&note.counts, &count), 0);
    assert_null (s_parse ("a b|Stream|i|0|3,1,9007199254740992", &note));
    assert_int_equal (note.age_ms, 0);
    assert_int_equal (note_count_next (&note.counts, &count), 1);
    assert_int_equal (count, 3);
    assert_int_equal (note_count_next (&note.counts, &count), 1);
    assert_int_equal (count, 1);
    assert_int_equal (note_count_next (&note.counts, &count), 1);
    assert_int_equal (count, UINT64_C (1) << 53);
    assert_int_equal (note_count_next (&note.counts, &count), 0);
}

static void
test_end (void **state)
{
    note_t note =
      s_note ("info|End|18c-f00|2|18446744073709551615|7", NOTE_END);
    (void) state;
    assert_int_equal (note.series, 2);
    assert_true (note.seqs == UINT64_MAX);
    assert_int_equal (note.readings, 7);
}

//  Nothing but that, and none of it is a measurement.
static void
test_bad (void **state)
{
    static const char *const bad[] = {
      "",
      "|",
      "info",
      "info|Stream",
      "info|Stream|i",
      "info|Stream|i|",
      "info|Stream|i|1|",
      "info|Stream|i|1|2,",
      "info|Stream|i|1|,2",
      "info|Stream|i|1|2,,3",
      "info|Stream|i|1|2 ",
      "info|Stream|i|1|2|3",
      "info|Stream|i|-1",
      "info|Stream|i|+1",
      "info|Stream|i|1.5",
      "info|Stream|i|1e3",
      "info|Stream|i|9007199254740993",
      "info|Stream|i|1|9007199254740993",
      "info|Stream|i|99999999999999999999",
      "info|Stream||1",
      "info|Stream|i:7|1",
      "|Stream|i|1",
      "in\tfo|Stream|i|1",
      "info|Stream|i\r|1",
      "info|stream|i|1",
      "info|Streams|i|1",
      "info|End|i|1|2",
      "info|End|i|1|2|",
      "info|End|i|1|2|3|",
      "info|End|i|1|2|3|4",
      "info|End|i|1|18446744073709551616|3",
      "info|End|i|9007199254740993|2|3",
      "info|End|i|1|2|9007199254740993",
      "info|End|i|-1|2|3",
      "info|End||1|2|3",
      "info|END|i|1|2|3",
      "info|Counter|n|1|2|s",
    };
    note_t note;
    size_t i;
    (void) state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_string_equal (s_parse (bad[i], &note), "not a note");
        assert_int_equal (note.kind, NOTE_NONE);
    }
}

//  --------------------------------------------------------------------------
//  The worker

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI, .name = "test"};

//  Takes lines in, at most AHEAD of them: then they can be looked at.
static void
s_take (worker_t *self, const char *text)
{
    ingest_message (&self->ingest, text, strlen (text));
}

#define WORKER(self)                                                           \
    worker_t *self = (worker_t *) zmalloc (sizeof *self);                      \
    worker_init (self, &s_backend)

static void
s_worker_destroy (worker_t *self)
{
    worker_clear (self);
    free (self);
}

//  A line has the age of its own stream's note in the same message, and each
//  timer the next count.
static void
test_lines (void **state)
{
    WORKER (self);
    const ahead_t *ahead = self->ingest.ahead;
    (void) state;
    s_take (self, "a|Stream|i|70|3,5\n"
                  "a|Counter|c|1|1|s|i:0:0:1\n"
                  "a|Timer|t|1|1|s|i:1:1:3:1:1:0:1:0=3\n"
                  "a|Gauge|g|1|1|s|i:0:0\n"
                  "b|Counter|c|1|1|s|i:0:0:1\n"
                  "a|Counter|c|1|1|s|j:0:0:1\n"
                  "a|Counter|c|1|1|s\n"
                  "a|Timer|u|1|1|s|i:2:2:5:1:1:0:1:0=5\n"
                  "a|Timer|v|1|1|s|i:3:3:9:1:1:0:1:0=9\n");
    assert_int_equal (self->ingest.received, 8);
    assert_int_equal (self->ingest.malformed_lines, 0);
    assert_int_equal (ahead[0].line.age_ms, 70);
    assert_int_equal (ahead[0].line.recent_given, 0);
    assert_int_equal (ahead[1].line.age_ms, 70);
    assert_int_equal (ahead[1].line.recent_given, 1);
    assert_int_equal (ahead[1].line.recent, 3);
    assert_int_equal (ahead[2].line.age_ms, 70);
    assert_int_equal (ahead[3].line.age_ms, -1);
    assert_int_equal (ahead[4].line.age_ms, -1);
    assert_int_equal (ahead[5].line.age_ms, -1);
    assert_int_equal (ahead[6].line.recent, 5);
    assert_int_equal (ahead[7].line.age_ms, 70);
    assert_int_equal (ahead[7].line.recent_given, 0);
    s_take (self, "a|Counter|c|1|1|s|i:4:0:2");
    assert_int_equal (ahead[0].line.age_ms, -1);
    s_worker_destroy (self);
}

//  The end of a stream is taken in behind the lines before it, and says which
//  readings should have come.
static void
test_end_of_stream (void **state)
{
    WORKER (self);
    char id[32], text[512];
    (void) state;
    snprintf (id, sizeof id, "%" PRIx64 "-1", zclock_time () + 60000);
    snprintf (text, sizeof text,
              "a|Stream|%s|5\n"
              "a|Gauge|g|1|1|s|%s:0:0\n"
              "a|Gauge|g|1|1|s|%s:1:0\n"
              "a|End|%s|0|0|4\n",
              id, id, id, id);
    s_take (self, text);
    assert_int_equal (self->ingest.received, 2);
    assert_int_equal (self->ingest.malformed_lines, 0);
    assert_int_equal (ledger_lost (self->ingest.ledger), 2);
    //  the end of a stream that nobody has heard of
    s_take (self, "a|End|7-7|3|12|4");
    assert_int_equal (self->ingest.received, 2);
    assert_int_equal (ledger_lost (self->ingest.ledger), 2);
    s_worker_destroy (self);
}

//  What is no note is malformed, as before.
static void
test_malformed (void **state)
{
    WORKER (self);
    (void) state;
    s_take (self, "a|Stream|i|-3\na|End|i|1|2\na|End|i|1|2|x");
    assert_int_equal (self->ingest.received, 3);
    assert_int_equal (self->ingest.malformed_lines, 3);
    s_worker_destroy (self);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_stream),        cmocka_unit_test (test_end),
      cmocka_unit_test (test_bad),           cmocka_unit_test (test_lines),
      cmocka_unit_test (test_end_of_stream), cmocka_unit_test (test_malformed),
    };
    return cmocka_run_group_tests_name ("note", tests, NULL, NULL);
}
