/*  test_tags.c - tags on their whole way, from a program to a worker's rows

    A tag is part of the name from the program's report on, so what must arrive
    is one name, to the byte.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

static process_t *
s_measure (const broker_t *broker, const char *variable)
{
    const char *const *env = broker_environment (broker);
    return process_start (
      LIST (program_path ("measure")),
      LIST (env[0], env[1], "ZIBRATO_LINGER_MS=20000", variable));
}

//  Every byte that a value may have: of those that are no UTF-8 a JSON row has a
//  question mark, so these are added up.
static void
every_byte_of_a_value_arrives (void)
{
    enum { LATIN = 128 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *program = s_measure (broker, NULL);
    for (int c = ' '; c < 256; c++)
        if (!strchr (";|\x7f", c))
            process_send (
              program, text_new ("count\tinfo\tbytes\t%d\ts\tk=a%cb\n", c, c));
    process_send (program, "count\tinfo\tbytes\t9\ts\tk=\xc3\xa9\n");
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    sink_await (&sink, "s", "bytes;k=\xc3\xa9", 0, 9);
    sink_stop (&sink);
    for (int c = ' '; c < 127; c++)
        if (!strchr (";|?", c))
            sink_check_sum (&sink, "s", text_new ("bytes;k=a%cb", c), c);
    sink_check_sum (&sink, "s", "bytes;k=a?b", '?' + LATIN * (128 + 255) / 2.0);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

//  Twenty tags of 1,023 bytes with their name, given in descending order; the
//  samples and the time that were given arrive with them.
static void
twenty_tags_of_1023_bytes_arrive (void)
{
    enum { TAGS = 20, SIZE = 1023 };
    char tags[SIZE + 1] = "", name[SIZE + 1] = "long";
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *program = s_measure (broker, NULL);
    //  ";kNN=" and 45 bytes each, the last one a few more
    for (int i = 0; i < TAGS; i++) {
        int size = i < TAGS - 1 ? 45 : SIZE - 4 - (TAGS - 1) * 50 - 5;
        snprintf (name + strlen (name), sizeof name - strlen (name),
                  ";k%02d=%0*d", i, size, i);
        size = i > 0 ? 45 : SIZE - 4 - (TAGS - 1) * 50 - 5;
        snprintf (tags + strlen (tags), sizeof tags - strlen (tags),
                  "%sk%02d=%0*d", i ? ";" : "", TAGS - 1 - i, size,
                  TAGS - 1 - i);
    }
    assert_int_equal (strlen (name), SIZE);
    process_send (program, text_new ("count\tinfo\tlong\t3\tq1\t%s\n", tags));
    process_send (program, text_new ("count\tinfo\t%s\t4\tq1\n", name));
    process_send (program,
                  text_new ("time\tinfo\tlong\t0.5\tq2\t%s\t20\n", tags));
    process_send (program, text_new ("gauge\tinfo\tlong\t5\tq3\t%s\t%ld.5\n",
                                     tags, time (NULL)));
    //  one byte more
    process_send (program, text_new ("count\tinfo\tlong\t1\tq1\t%s0\n", tags));
    process_send (program, text_new ("count\tinfo\t%s0\t1\tq1\n", name));
    process_send (program, "stats\n");
    assert_non_null (
      strstr (process_await (program, "\"refused\":"), "\"refused\":2,"));
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    sink_await (&sink, "q3", name, 1, 5);
    sink_await (&sink, "q2", name, 20, 10);
    sink_await (&sink, "q1", name, 0, 7);
    sink_stop (&sink);
    sink_check_sum (&sink, "q1", name, 7);
    sink_check_sum (&sink, "q2", name, 10);
    sink_check_count (&sink, "q2", name, 20);
    sink_check_count (&sink, "q3", name, 1);
}

static void
tags_of_a_program_come_from_its_environment (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info,zibrato"));
    process_t *program = s_measure (broker, "ZIBRATO_TAGS=host=a;env=test");
    process_send (program, "count\tinfo\tn\t1\ts\n"
                           "count\tinfo\tn\t2\ts\tcode=200\n"
                           "count\tinfo\tn\t4\ts\tenv=other\n"
                           "count\tinfo\tn\t8\ts\tenv\n"
                           "count\tinfo\tn\t16\ts\ta=1;a=2\n");
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    sink_await (&sink, NULL, "zibrato.dropped;env=test;host=a", 0, 2);
    sink_await (&sink, "s", "n;env=other;host=a", 0, 4);
    sink_stop (&sink);
    sink_check_sum (&sink, "s", "n;env=test;host=a", 1);
    sink_check_sum (&sink, "s", "n;code=200;env=test;host=a", 2);
    sink_check_sum (&sink, "s", "n;env=other;host=a", 4);
}

//  What has been counted under its own tags, each value once.
static double
s_own (const sink_t *sink)
{
    cJSON *rows = sink_rows (sink), *row;
    double sum = 0;
    cJSON_ArrayForEach (row, rows) if (row_is (row, "name", "values")) sum +=
      row_number (row, "value");
    cJSON_Delete (rows);
    return sum;
}

//  A site that invents values. The program keeps as many series as it may and
//  counts the other passes; the worker gives as many names as it may and adds the
//  others up. And the tag is named.
static void
a_site_that_invents_values_is_bounded_counted_and_named (void)
{
    enum { VALUES = 100000, SERIES = 19000, NAMES = 5000 };
    broker_t *broker = broker_start ();
    sink_t health = sink_stdout (broker, LIST ("--levels", "zibrato"));
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info", "--max-series",
                                             text_new ("%d", NAMES)));
    process_t *program =
      s_measure (broker, text_new ("ZIBRATO_MAX_SERIES=%d", SERIES));
    process_send (program, text_new ("values\t%d\nstats\n", VALUES));
    const char *stats = process_await (program, "\"dropped_series\":");
    assert_non_null (
      strstr (stats, text_new ("\"dropped_series\":%d,", VALUES - SERIES)));
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    sink_await (&sink, NULL, "zibrato.overflow.counter", 0, SERIES - NAMES);
    const char *line = process_await (sink.worker, "event=overflow");
    assert_non_null (strstr (line, " tag=\"user\" values="));
    double values = strtod (strstr (line, " values=") + 8, NULL);
    sink_end_with_sum (&health, NULL, "zibrato.dropped", VALUES - SERIES);
    sink_stop (&sink);
    assert_true (s_own (&sink) == NAMES);
    sink_check_sum (&sink, NULL, "zibrato.overflow.counter", SERIES - NAMES);
    //  the first flush that says so may have had a part of them
    assert_true (values > NAMES * 0.74 && values < SERIES * 1.26);
}

static const struct CMUnitTest tests[] = {
  TEST (every_byte_of_a_value_arrives),
  TEST (twenty_tags_of_1023_bytes_arrive),
  TEST (tags_of_a_program_come_from_its_environment),
  TEST (a_site_that_invents_values_is_bounded_counted_and_named),
};

HARNESS_MAIN (tests)
