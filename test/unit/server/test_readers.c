/*  test_readers.c - does a reader see each batch whole or not at all, whatever is
    written and packed beside it?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "../unit.h"

#include "asked.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { READERS = 3, WRITERS = 2, BATCHES = 300, SOURCES = 20 };

static stored_t s_stored;
static int64_t s_begin_s;
static atomic_int s_writing;
static atomic_int s_wrong;  //  asserts are for the main thread

static void
s_expect (bool right)
{
    s_wrong += !right;
}

//  A batch is a second: a row of each source, whose values add up to 210.
static void
s_write_second (const char *metric, int second)
{
    static const char *const sources[SOURCES] = {
      "a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
      "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};
    store_row_t rows[SOURCES];
    for (int i = 0; i < SOURCES; i++)
        rows[i] =
          stored_row (metric, sources[i], s_begin_s + 20 * second, i + 1);
    assert_int_equal (stored_write (&s_stored, rows, SOURCES, NULL, NULL),
                      BATCH_STORED);
}

//  Some hours in some seconds, so that most of them are over and are packed.
static void *
s_writer (void *argument)
{
    for (int i = 0; i < BATCHES; i++)
        s_write_second ((const char *) argument, i);
    s_writing--;
    return NULL;
}

static int64_t
s_of (const cJSON *record, const char *name)
{
    return (int64_t) cJSON_GetObjectItem (record, name)->valuedouble;
}

//  Reads all of a metric, and returns how many seconds there are.
static int
s_read_metric (stored_t *own, const char *metric)
{
    char path[256];
    const cJSON *all, *record;
    cJSON *json;
    int seconds = 0;
    snprintf (path, sizeof path,
              "/v1/metrics/%s?start_time=%" PRId64
              "&summarize_sources=true&breakout_sources=false",
              metric, s_begin_s);
    json = asked (own, "GET", path, NULL);
    s_expect (asked_status == 200 || asked_status == 404);
    all =
      cJSON_GetObjectItem (cJSON_GetObjectItem (json, "measurements"), "all");
    cJSON_ArrayForEach (record, all)
    {
        s_expect (s_of (record, "measure_time") == s_begin_s + 20 * seconds);
        s_expect (s_of (record, "summarized") == SOURCES);
        s_expect (s_of (record, "sum") == 210);
        seconds++;
    }
    cJSON_Delete (json);
    return seconds;
}

static void *
s_reader (void *argument)
{
    stored_t own = s_stored;
    int seen[WRITERS] = {0};
    (void) argument;
    own.reader = reader_new (s_stored.store);
    while (s_writing) {
        int one = s_read_metric (&own, "one"),
            two = s_read_metric (&own, "two");
        //  what was there stays
        s_expect (one >= seen[0] && two >= seen[1]);
        seen[0] = one;
        seen[1] = two;
    }
    reader_destroy (&own.reader);
    return NULL;
}

static void
test_readers_beside_writers (void **state)
{
    pthread_t reader[READERS], writer[WRITERS];
    int64_t now = time (NULL);
    (void) state;
    s_begin_s = now - now % 3600 - 7200;
    stored_new (&s_stored);
    s_writing = WRITERS;
    pthread_create (&writer[0], NULL, s_writer, "one");
    pthread_create (&writer[1], NULL, s_writer, "two");
    for (int i = 0; i < READERS; i++)
        pthread_create (&reader[i], NULL, s_reader, NULL);
    for (int i = 0; i < WRITERS; i++)
        pthread_join (writer[i], NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join (reader[i], NULL);
    assert_int_equal (s_wrong, 0);
    assert_int_equal (s_read_metric (&s_stored, "one"), BATCHES);
    assert_int_equal (s_read_metric (&s_stored, "two"), BATCHES);
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_readers_beside_writers)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
