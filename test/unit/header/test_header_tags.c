/*  test_header_tags.c - tags of the instrument: one spelling, whoever gives them
    in which order, and none that cannot be

    And what was measured elsewhere: many samples at once, readings of another
    time.

    Sections: spelling, instances, sites, bounds, samples and readings.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "header.h"

enum { NAME_MAX_ = 1023, OF_INSTANCE_MAX = NAME_MAX_ - 255 - 1 };

static uint64_t
s_refused (zb_t *zb)
{
    zb_stats_t stats;
    assert_int_equal (zb_stats (zb, &stats), 0);
    return stats.refused;
}

//  Letters up to a size, and the end of the text.
static char *
s_fill (char *text, size_t size)
{
    size_t at = strlen (text);
    assert_true (at <= size);
    memset (text + at, 'x', size - at);
    text[size] = 0;
    return text;
}

//  --------------------------------------------------------------------------
//  Spelling

static void
test_spelling (void **state)
{
    static const struct {
        const char *name, *tags, *line;
    } names[] = {
      {"n", "k=v", "n;k=v"},
      {"n", "route=/a;code=200", "n;code=200;route=/a"},
      {"n", "c=3;a=1;b=2", "n;a=1;b=2;c=3"},
      {"n;b=2", "c=3;a=1", "n;a=1;b=2;c=3"},
      {"n;b=2;a=1", NULL, "n;a=1;b=2"},
      {"n n", "_a.b-0=x y=z", "n n;_a.b-0=x y=z"},
      //  by bytes: '-' and '.' and digits before the end of a key's like
      {"o", "ab=1;a=2;a-b=3;a0=4;A=5;a.b=6;_=7",
       "o;A=5;_=7;a=2;a-b=3;a.b=6;a0=4;ab=1"},
      //  none, or no tags at all
      {"p", "", "p"},
      {"q;", NULL, "q;"},
      {"q;1=2", NULL, "q;1=2"},
      {";a=b", NULL, ";a=b"},
      {"q;a=1;a=2", "", "q;a=1;a=2"}};
    fixture_t *self = *state;
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        zb_count ("info", names[i].name, .tags = names[i].tags);
        zb_time ("debug", names[i].name, 1, .tags = names[i].tags);
        zb_gauge ("warn", names[i].name, 1, .tags = names[i].tags);
        peer_await_lines (&self->peer, names[i].line, 3);
    }
    assert_int_equal (s_refused (NULL), 0);
    assert_int_equal (self->peer.size, 3 * i);
}

static void
test_refused (void **state)
{
    static const char *const tags[] = {
      "k",     "=v",     "k=",      ";",       "k=v;",    ";k=v", "k=v;;l=w",
      "k=v;k", "1k=v",   ".k=v",    "-k=v",    "k k=v",   " k=v", "k=v;k=v",
      "k=|",   "k=\x7f", "k=a\tb",  "k=\n",    "\xc3=v",  "k;=v", "k=v;k=w",
      "k =v",  "k;l=w",  "a=1;b;c", "a=1;b=;", "a=1;a=2", "=",    "a=1; b=2"};
    size_t i, count = sizeof tags / sizeof *tags;
    fixture_t *self = *state;
    zb_stats_t stats;
    for (i = 0; i < count; i++) {
        ZB_COUNT_ME ("info", "n", .tags = tags[i]);
        ZB_TIME_ME ("info", "n", .tags = tags[i]);
        ZB_GAUGE ("info", "n", 1, .tags = tags[i]);
        zb_count ("info", "n", .tags = tags[i]);
    }
    zb_count ("info", "n;a=1", .tags = "a=1");
    zb_count ("info", "n;a", .tags = "b=1");
    zb_count ("info", ";a=1", .tags = "b=1");
    assert_int_equal (zb_stats (NULL, &stats), 0);
    assert_int_equal (stats.refused, 4 * count + 3);
    //  zibrato.dropped, if the pump has come to it
    assert_in_range (stats.series, 0, 1);
    peer_await_lines (&self->peer, "zibrato.dropped", 1);
}

//  Every byte that a value may have, and as many as there is room for.
static void
test_bytes (void **state)
{
    fixture_t *self = *state;
    char tags[NAME_MAX_ + 8], line[NAME_MAX_ + 8], name[300] = "";
    int c;
    for (c = ' '; c < 256; c++) {
        if (strchr (";|\x7f", c))
            continue;
        snprintf (tags, sizeof tags, "k=%c", c);
        zb_count ("info", "n", .tags = tags);
    }
    for (c = ' '; c < 256; c++) {
        snprintf (line, sizeof line, "n;k=%c", c);
        if (!strchr (";|\x7f", c))
            peer_await_lines (&self->peer, line, 1);
    }
    s_fill (name, 255);
    snprintf (line, sizeof line, "%s;k=", name);
    s_fill (line, NAME_MAX_);
    zb_count ("info", name, .tags = line + 256);
    zb_count ("info", line, .value = 2);
    peer_await_total (&self->peer, line, "host", 3);
    assert_int_equal (s_refused (NULL), 0);
    //  one byte more of either
    strcat (line, "x");
    zb_count ("info", name, .tags = line + 256);
    zb_count ("info", line);
    strcat (name, "x");
    zb_count ("info", name, .tags = "k=v");
    assert_int_equal (s_refused (NULL), 3);
}

//  Twenty tags, the last one first.
static void
test_many (void **state)
{
    fixture_t *self = *state;
    char tags[NAME_MAX_] = "", line[NAME_MAX_] = "n";
    size_t at = 0, to = 1;
    int i;
    for (i = 0; i < 20; i++) {
        at += (size_t) snprintf (tags + at, sizeof tags - at, "%skey.%02d=%d",
                                 i ? ";" : "", 19 - i, 19 - i);
        to +=
          (size_t) snprintf (line + to, sizeof line - to, ";key.%02d=%d", i, i);
    }
    {
        ZB_COUNT_ME ("info", "n", .tags = tags);
    }
    zb_count ("info", "n", .tags = line + 2);
    zb_count ("info", line);
    peer_await_total (&self->peer, line, "host", 3);
}

//  --------------------------------------------------------------------------
//  Instances: their tags are those of all measurements

static void
test_of_instance (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20,
                  .tags = "host=a;env=test");
    assert_non_null (zb);
    zb_count ("info", "n");
    zb_count ("info", "n", .tags = "code=1");
    //  its own ones win
    zb_count ("info", "n", .tags = "host=b", .source = "s");
    zb_count ("info", "n;env=x");
    //  and have no place behind what begins none
    zb_count ("info", "n;");
    zb_count ("info", "n", .value = (double) NAN);
    peer_await_lines (&peer, "n;env=test;host=a", 1);
    peer_await_lines (&peer, "n;code=1;env=test;host=a", 1);
    peer_await_lines (&peer, "n;env=test;host=b", 1);
    peer_await_lines (&peer, "n;env=x;host=a", 1);
    peer_await_lines (&peer, "n;", 1);
    peer_await_lines (&peer, "zibrato.dropped;env=test;host=a", 1);
    assert_int_equal (s_refused (zb), 1);
    zb_close (&zb);
    peer_close (&peer);
}

//  The longest ones leave room for each name without tags.
static void
test_of_instance_long (void **state)
{
    char tags[NAME_MAX_] = "k=", name[300] = "", line[2 * NAME_MAX_];
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    s_fill (tags, OF_INSTANCE_MAX + 1);
    assert_null (zb_open (.endpoint = peer.endpoint, .tags = tags));
    assert_int_equal (errno, EINVAL);
    s_fill (name, 255);
    tags[OF_INSTANCE_MAX] = 0;
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .tags = tags);
    assert_non_null (zb);
    zb_count ("info", name);
    snprintf (line, sizeof line, "%s;%s", name, tags);
    assert_int_equal (strlen (line), NAME_MAX_);
    peer_await_lines (&peer, line, 1);
    zb_count ("info", name, .tags = "a=1");
    assert_int_equal (s_refused (zb), 1);
    zb_close (&zb);
    peer_close (&peer);
}

static void
test_of_environment (void **state)
{
    static const char *const wrong[] = {"a", "a=1;a=2", "a=1;", "=", "a=\n"};
    peer_t peer;
    zb_t *zb;
    size_t i;
    (void) state;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null (zb_open (.tags = wrong[i]));
        assert_int_equal (errno, EINVAL);
    }
    peer_open (&peer, "");
    //  a variable that is wrong does as if it were not there
    setenv ("ZIBRATO_TAGS", "a=1;a=2", 1);
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20);
    zb_count ("info", "n", .to = zb);
    peer_await_lines (&peer, "n", 1);
    zb_close (&zb);
    setenv ("ZIBRATO_TAGS", "b=1;a=2", 1);
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20);
    zb_count ("info", "n", .to = zb);
    peer_await_lines (&peer, "n;a=2;b=1", 1);
    zb_close (&zb);
    //  and one that is right gives way to the option
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .tags = "");
    zb_count ("info", "o", .to = zb);
    peer_await_lines (&peer, "o", 1);
    zb_close (&zb);
    unsetenv ("ZIBRATO_TAGS");
    peer_close (&peer);
}

//  --------------------------------------------------------------------------
//  Sites

static void
s_with_tags (const char *tags, const char *source, double value)
{
    ZB_COUNT_ME ("info", "tagged", .value = value, .tags = tags,
                 .source = source);
    ZB_TIME_ME ("info", "timed", .tags = tags, .source = source);
    ZB_GAUGE ("info", "read", value, .tags = tags, .source = source);
}

//  One call site, other tags at each pass, in memory that changes; between them
//  none, and other sources.
static void
test_tags_change (void **state)
{
    fixture_t *self = *state;
    char tags[32], name[64];
    int i, j;
    for (i = 0; i < 30; i++)
        for (j = 0; j <= i; j++) {
            snprintf (tags, sizeof tags, j % 2 ? "a=%d;b=1" : "b=1;a=%d", j);
            s_with_tags (tags, NULL, 1);
            if (j % 3 == 0)
                s_with_tags (tags, "q1", 2);
            if (j % 5 == 0)
                s_with_tags (NULL, j % 2 ? "q1" : NULL, 1);
        }
    for (j = 0; j < 30; j++) {
        snprintf (name, sizeof name, "tagged;a=%d;b=1", j);
        peer_await_total (&self->peer, name, "host", 30 - j);
        if (j % 3 == 0)
            peer_await_total (&self->peer, name, "q1", 2 * (30 - j));
        snprintf (name, sizeof name, "timed;a=%d;b=1", j);
        peer_await_total (&self->peer, name, "host", 30 - j);
        snprintf (name, sizeof name, "read;a=%d;b=1", j);
        peer_await_lines (&self->peer, name,
                          (size_t) (30 - j) * (j % 3 == 0 ? 2 : 1));
    }
    peer_await_total (&self->peer, "tagged", "host", 30 + 20 + 10);
    peer_await_total (&self->peer, "tagged", "q1", 25 + 15 + 5);
    peer_check_increments (&self->peer);
}

//  When another instance has been closed, a thread makes its table anew.
static void
test_other_closes (void **state)
{
    fixture_t *self = *state;
    zb_t *other = zb_open (.endpoint = self->peer.endpoint, .source = "other");
    int i;
    assert_non_null (other);
    peer_meet (&self->peer, other);
    for (i = 0; i < 3; i++) {
        zb_count ("info", "n", .tags = "b=1;a=1");
        zb_count ("info", "n", .tags = "a=1;b=1", .source = "q1");
        if (other)
            zb_count ("info", "n", .tags = "b=1;a=1", .to = other);
        if (i == 1)
            zb_close (&other);
    }
    peer_await_total (&self->peer, "n;a=1;b=1", "host", 3);
    peer_await_total (&self->peer, "n;a=1;b=1", "q1", 3);
    peer_await_total (&self->peer, "n;a=1;b=1", "other", 2);
}

//  --------------------------------------------------------------------------
//  Bounds

//  The number in the factorial number system: a permutation of seven tags.
static void
s_permutation (int number, char *tags, size_t size)
{
    char left[] = "abcdefg";
    int i;
    *tags = 0;
    for (i = 7; i > 0; i--) {
        char *one = left + number % i;
        size_t at = strlen (tags);
        snprintf (tags + at, size - at, "%s%c=1", at ? ";" : "", *one);
        memmove (one, one + 1, strlen (one));
        number /= i;
    }
}

//  All orders of the tags are one series, in memory that is bounded by that.
static void
test_orders (void **state)
{
    enum { ORDERS = 5040 };
    fixture_t *self = *state;
    char tags[64];
    zb_stats_t stats;
    int i, turn;
    for (turn = 0; turn < 2; turn++)
        for (i = 0; i < ORDERS; i++) {
            s_permutation (i, tags, sizeof tags);
            ZB_COUNT_ME ("info", "n", .tags = tags);
            zb_time ("info", "t", 0.5, .tags = tags);
        }
    peer_await_total (&self->peer, "n;a=1;b=1;c=1;d=1;e=1;f=1;g=1", "host",
                      2 * ORDERS);
    peer_await_total (&self->peer, "t;a=1;b=1;c=1;d=1;e=1;f=1;g=1", "host",
                      2 * ORDERS);
    assert_int_equal (zb_stats (NULL, &stats), 0);
    assert_int_equal (stats.series, 2);
    assert_in_range (self->zb->slots_size, 2, ZB_SPELLINGS_ * 3);
}

//  A site that invents tags: what is beyond .max_series is counted, each pass.
static void
test_values (void **state)
{
    enum { VALUES = 100000, SERIES = 1000 };
    zb_t *zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .max_series = SERIES,
                        .linger_ms = 0);
    char tags[32];
    zb_stats_t stats;
    double sum = 0;
    size_t i;
    (void) state;
    for (i = 0; i < VALUES; i++) {
        snprintf (tags, sizeof tags, "user=%zu", i);
        ZB_COUNT_ME ("info", "n", .tags = tags);
    }
    assert_int_equal (zb_stats (zb, &stats), 0);
    assert_int_equal (stats.dropped_series, VALUES - SERIES);
    assert_in_range (stats.series, SERIES, SERIES + 1);
    assert_in_range (zb->slots_size, SERIES, SERIES);
    pthread_mutex_lock (&zb->lock);
    for (i = 0; i < zb->levels->series_size; i++)
        sum += zb_series_total_ (zb->levels->series[i]);
    if (zb->levels->next)
        for (i = 0; i < zb->levels->next->series_size; i++)
            sum += zb_series_total_ (zb->levels->next->series[i]);
    if (zb->dropped)
        sum -= zb->dropped->total;
    pthread_mutex_unlock (&zb->lock);
    assert_true (sum == SERIES);
    zb_close (&zb);
}

//  --------------------------------------------------------------------------
//  Samples and readings of elsewhere

static void
test_samples (void **state)
{
    fixture_t *self = *state;
    const line_t *line;
    zb_time ("info", "t", 0.5, .count = 20);
    zb_time ("info", "t", 0.25);
    zb_time ("info", "t", 2, .count = 3, .tags = "k=v");
    zb_time ("info", "t", 2, .count = 1, .tags = "k=v");
    zb_time ("info", "t", 7, .count = 0);
    zb_time ("info", "none", 7, .count = 0);
    peer_await_total (&self->peer, "t", "host", 21);
    line = peer_last (&self->peer, "t", "host");
    assert_int_equal (line->sum_ns, INT64_C (10250000000));
    assert_true (line->sum_squares == 20 * 0.25 + 0.0625);
    assert_int_equal (line->bucketed, 21);
    assert_non_null (strstr (line->text, "-65=1,-33=20"));
    peer_await_total (&self->peer, "t;k=v", "host", 4);
    line = peer_last (&self->peer, "t;k=v", "host");
    assert_int_equal (line->sum_ns, INT64_C (8000000000));
    assert_true (line->sum_squares == 16);
    peer_await_lines (&self->peer, "none", 1);
    line = peer_last (&self->peer, "none", "host");
    assert_int_equal (line->count, 0);
    assert_int_equal (line->sum_ns, 0);
    assert_int_equal (s_refused (NULL), 0);
    zb_time ("info", "t", 1, .count = -1);
    zb_time ("info", "t", 1, .count = (INT64_C (1) << 53) + 1);
    zb_time ("info", "t", -1, .count = 2);
    zb_time ("info", "t", (double) NAN, .count = 2);
    assert_int_equal (s_refused (NULL), 4);
}

//  2^53 of 288 years each are too much for 64 bits.
static void
test_samples_long (void **state)
{
    zb_t *zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = 0);
    const zb_sum_ *sum;
    (void) state;
    assert_non_null (zb);
    zb_time ("info", "long", 9.1e9, .count = INT64_C (1) << 53);
    zb_time ("info", "long", 1e-9, .count = 2);
    sum = zb->levels->series[0]->retired;
    assert_int_equal (sum->count, (UINT64_C (1) << 53) + 2);
    assert_true (sum->sum_ns
                 == ((zb_u128_) UINT64_C (9100000000000000000) << 53) + 2);
    zb_close (&zb);
}

//  A classic line is one sample.
static void
test_samples_classic (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .classic = 1);
    assert_non_null (zb);
    zb_time ("info", "t", 0.5, .count = 2);
    zb_time ("info", "t", 0.5, .tags = "k=v");
    zb_time ("info", "t", 0.5);
    zb_time ("info", "t", 0.5, .count = 2);
    assert_int_equal (s_refused (zb), 2);
    peer_await_lines (&peer, "t;k=v", 1);
    peer_await_lines (&peer, "t", 1);
    assert_int_equal (peer.lines[0].fields, 6);
    zb_close (&zb);
    peer_close (&peer);
}

static void
test_readings (void **state)
{
    static const char *const times[] = {"0", "1700000000.25", "0.001",
                                        "99999999999.999"};
    static const double wrong[] = {-0.5, -2,      1e11, 99999999999.9996,
                                   NAN,  INFINITY};
    fixture_t *self = *state;
    size_t i;
    for (i = 0; i < sizeof times / sizeof *times; i++) {
        zb_gauge ("info", "g", 1, .time = strtod (times[i], NULL));
        peer_await_lines (&self->peer, "g", i + 1);
        assert_string_equal (self->peer.lines[i].time_text, times[i]);
    }
    zb_gauge ("info", "now", 1, .tags = "k=v");
    peer_await_lines (&self->peer, "now;k=v", 1);
    assert_true (
      fabs (peer_last (&self->peer, "now;k=v", NULL)->time - s_unix_time ())
      < 60);
    assert_int_equal (s_refused (NULL), 0);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
        zb_gauge ("info", "g", 1, .time = wrong[i]);
    assert_int_equal (s_refused (NULL), i);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_spelling, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_refused, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_bytes, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_many, s_open, s_close),
      cmocka_unit_test (test_of_instance),
      cmocka_unit_test (test_of_instance_long),
      cmocka_unit_test (test_of_environment),
      cmocka_unit_test_setup_teardown (test_tags_change, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_other_closes, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_orders, s_open, s_close),
      cmocka_unit_test (test_values),
      cmocka_unit_test_setup_teardown (test_samples, s_open, s_close),
      cmocka_unit_test (test_samples_long),
      cmocka_unit_test (test_samples_classic),
      cmocka_unit_test_setup_teardown (test_readings, s_open, s_close),
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
