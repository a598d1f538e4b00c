/*  test_groups.c - are the lines of a chart what its series measured?

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "groups.h"
#include "survey.h"
#include "words.h"

#include "clock.h"
#include "stored.h"

enum { SERIES = 7, SECONDS = 600, ROWS = SERIES * SECONDS };

static stored_t s_stored;
static int64_t s_from;

//  What each series measured in each second, not a number where it did not.
static double s_value[SERIES][SECONDS];

//  Whole numbers in two of three seconds. Those that rise begin anew now and then.
static void
s_write (const char *name, metric_type_t type)
{
    static store_row_t rows[ROWS];
    static char sources[SERIES][16];
    size_t count = 0;
    for (int i = 0; i < SERIES; i++) {
        double rising = 1000;
        snprintf (sources[i], sizeof sources[i], "web%d", i);
        for (int j = 0; j < SECONDS; j++) {
            s_value[i][j] = s_any () % 3 ? (double) (s_any () % 1000) : NAN;
            if (isnan (s_value[i][j]))
                continue;
            rising = s_any () % 50 ? rising + s_value[i][j] : s_value[i][j];
            rows[count] =
              stored_row (name, sources[i], s_from + j,
                          type == METRIC_COUNTER ? rising : s_value[i][j]);
            rows[count++].type = type;
        }
    }
    assert_int_equal (stored_write (&s_stored, rows, count, NULL, NULL),
                      BATCH_STORED);
}

static int64_t
s_metric (const char *name)
{
    metric_t metric;
    assert_int_equal (reader_metric (s_stored.reader, name, &metric), 1);
    return metric.id;
}

static int
s_begin (void **state)
{
    (void) state;
    stored_new (&s_stored);
    s_from = (wall_us () / 1000000 - 2 * SECONDS) / 60 * 60;
    return 0;
}

static int
s_end (void **state)
{
    (void) state;
    stored_end (&s_stored);
    return 0;
}

//  The value of a series in an interval: the sum of a counter, the mean of a gauge.
static double
s_one (metric_type_t type, int series, int from, int step)
{
    double sum = 0;
    int n = 0;
    for (int j = from; j < from + step; j++)
        if (!isnan (s_value[series][j])) {
            sum += s_value[series][j];
            n++;
        }
    if (n == 0)
        return NAN;
    return type == METRIC_INCREMENT ? sum : sum / n;
}

//  The same of all of them, by the definition.
static double
s_all (metric_type_t type, over_t over, int from, int step)
{
    double result = NAN, all = 0, samples = 0;
    int series = 0, n = 0;
    for (int i = 0; i < SERIES; i++) {
        double value = s_one (type, i, from, step);
        if (isnan (value))
            continue;
        series++;
        all += value;
        if (over == OVER_MIN)
            result = fmin (result, value);
        else if (over == OVER_MAX)
            result = fmax (result, value);
        for (int j = from; j < from + step; j++)
            if (!isnan (s_value[i][j])) {
                samples += s_value[i][j];
                n++;
            }
    }
    if (over == OVER_SAMPLES)
        return n ? samples / n : NAN;
    if (over == OVER_SUM || over == OVER_MEAN)
        return !series ? NAN : over == OVER_SUM ? all : all / series;
    return result;
}

static void
s_check (metric_type_t type, over_t over, int step)
{
    groups_t groups = {.type = type,
                       .from_s = s_from,
                       .step_s = step,
                       .intervals = (size_t) (SECONDS / step)};
    survey_t survey = {.item = NULL};
    survey_list (&survey, s_stored.reader,
                 s_metric (type == METRIC_GAUGE ? "gauge" : "counter"), "");
    assert_int_equal (survey.count, SERIES);
    groups_add (&groups, 0, "all");
    for (size_t i = 0; i < survey.count; i++)
        assert_int_equal (
          groups_read (&groups, 0, over, s_stored.reader, survey.item[i].id),
          0);
    for (size_t i = 0; i < groups.intervals; i++) {
        double is = cell_value (&groups.group[0].cell[i], over);
        double should = s_all (type, over, (int) i * step, step);
        assert_true (isnan (should) ? isnan (is)
                                    : fabs (is - should) <= 1e-9 * should);
    }
    groups_clear (&groups);
    survey_clear (&survey);
}

static void
test_folds (void **state)
{
    static const metric_type_t types[] = {METRIC_GAUGE, METRIC_INCREMENT};
    static const int steps[] = {1, 2, 10, 60};
    (void) state;
    for (size_t type = 0; type < 2; type++) {
        s_write (types[type] == METRIC_GAUGE ? "gauge" : "counter",
                 types[type]);
        for (over_t over = OVER_SUM; over <= OVER_SAMPLES; over++)
            for (size_t step = 0; step < 4; step++)
                s_check (types[type], over, steps[step]);
    }
}

//  What readings rise by, though they begin anew, is what was counted; of the first
//  reading nobody knows.
static void
test_rises (void **state)
{
    groups_t groups = {.type = METRIC_COUNTER,
                       .from_s = s_from,
                       .step_s = 1,
                       .intervals = SECONDS};
    survey_t survey = {.item = NULL};
    (void) state;
    s_write ("rising", METRIC_COUNTER);
    survey_list (&survey, s_stored.reader, s_metric ("rising"), "web3");
    assert_int_equal (survey.count, 1);
    groups_add (&groups, survey.item->id, survey.item->label);
    groups_read (&groups, 0, OVER_SUM, s_stored.reader, survey.item->id);
    for (int j = 0, first = 1; j < SECONDS; j++) {
        double is = cell_value (&groups.group[0].cell[j], OVER_SUM);
        if (isnan (s_value[3][j]) || first)
            assert_true (isnan (is));
        else
            assert_true (is == s_value[3][j]);
        first = first && isnan (s_value[3][j]);
    }
    groups_clear (&groups);
    survey_clear (&survey);
}

//  Of 100 samples in two buckets: the middle of each, and no more than was measured.
static void
test_quantiles (void **state)
{
    static const zb_bucket_t buckets[] = {{-64, 90}, {32, 10}};
    store_row_t row = stored_row ("timer", "web", s_from, 1);
    groups_t groups = {
      .type = METRIC_TIMER, .from_s = s_from, .step_s = 60, .intervals = 2};
    survey_t survey = {.item = NULL};
    (void) state;
    row.type = METRIC_TIMER;
    row.point.n = 100;
    row.point.sum = 44;
    row.point.max = 2.01;
    row.point.min = 0.25;
    row.point.buckets = buckets;
    row.point.bucket_count = 2;
    stored_write (&s_stored, &row, 1, NULL, NULL);
    survey_list (&survey, s_stored.reader, s_metric ("timer"), "");
    groups_add (&groups, 0, "all");
    groups_read (&groups, 0, OVER_SAMPLES, s_stored.reader, survey.item->id);
    const cell_t *cell = groups.group[0].cell;
    assert_true (fabs (groups_quantile (&groups, cell, 0.9) - 0.2527) < 1e-4);
    assert_true (groups_quantile (&groups, cell, 0.99) == 2.01);
    assert_true (cell_value (cell, OVER_SAMPLES) == 0.44);
    assert_true (isnan (groups_quantile (&groups, cell + 1, 0.5)));
    groups_clear (&groups);
    survey_clear (&survey);
}

//  --------------------------------------------------------------------------
//  survey

//  Three series a minute apart, and one of a second: a chart of a second would be one
//  of holes.
static void
test_surveys (void **state)
{
    survey_t survey = {.item = NULL};
    store_row_t rows[60];
    char ids[64];
    (void) state;
    for (int i = 0; i < 60; i++)
        rows[i] =
          stored_row ("minutes", i % 3 ? i % 3 == 1 ? "db 1" : "DB 2" : NULL,
                      s_from + 20 * i / 3 * 3, i % 3);
    stored_write (&s_stored, rows, 60, NULL, NULL);
    survey_list (&survey, s_stored.reader, s_metric ("minutes"), "");
    assert_int_equal (survey.count, 3);
    assert_int_equal (survey_weigh (&survey, s_stored.reader, METRIC_GAUGE,
                                    s_from, s_from + 1200, 1),
                      0);
    assert_string_equal (survey.item[0].label, "DB 2");
    assert_string_equal (survey.item[2].label, "");
    assert_int_equal (survey_step (&survey, 1), 60);
    assert_int_equal (survey_step (&survey, 120), 120);
    snprintf (ids, sizeof ids, "%d,99999,%d", (int) survey.item[2].id,
              (int) survey.item[0].id);
    assert_int_equal (survey_prefer (&survey, ids, 1), 1);
    assert_string_equal (survey.item[0].label, "");
    assert_int_equal (survey_prefer (&survey, ids, 2), 2);
    assert_string_equal (survey.item[0].label, "");
    assert_string_equal (survey.item[1].label, "DB 2");
    survey_clear (&survey);
    survey_list (&survey, s_stored.reader, s_metric ("minutes"), "2 db");
    assert_int_equal (survey.count, 1);
    survey_clear (&survey);
    assert_int_equal (survey_round (0.3), 1);
    assert_int_equal (survey_round (61), 120);
    assert_int_equal (survey_round (1e9), 0);
}

static void
test_words (void **state)
{
    (void) state;
    assert_true (words_match ("", ""));
    assert_true (words_match ("  ", "anything"));
    assert_true (words_match ("time API", "api.response.time"));
    assert_false (words_match ("time apis", "api.response.time"));
    assert_false (words_match ("a", ""));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_folds), cmocka_unit_test (test_rises),
      cmocka_unit_test (test_quantiles), cmocka_unit_test (test_surveys),
      cmocka_unit_test (test_words)};
    return cmocka_run_group_tests (tests, s_begin, s_end);
}
