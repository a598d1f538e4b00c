/*  page_metrics - names, and small lines of those that are in sight

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"
#include "groups.h"
#include "out.h"
#include "sql.h"
#include "survey.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ALIVE_S = 600,      //  silent for longer: they come after the others
    LENGTH_MAX = 1000,  //  of a list
    SPARKS_MAX = 200,   //  lines of one answer,
    POINTS_MAX = 600,   //  with so many points,
    SERIES_MAX = 2000,  //  of metrics that have as many series as a chart may,
    READ_MAX = 4000     //  and so many together: each takes 0.1 ms
};

//  --------------------------------------------------------------------------
//  Which metrics have a word in their name or in that of a source

//  A sorted list of IDs for each word: metrics of sources that have it.
typedef struct {
    int64_t *id;
    size_t count, max;
} ids_t;

static void
s_ids_add (ids_t *self, int64_t id)
{
    if (self->count == self->max) {
        self->max = self->max ? 2 * self->max : 256;
        self->id = realloc (self->id, self->max * sizeof *self->id);
    }
    self->id[self->count++] = id;
}

static int
s_ids_compare (const void *a, const void *b)
{
    const int64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static bool
s_ids_have (const ids_t *self, int64_t id)
{
    return self->count
           && bsearch (&id, self->id, self->count, sizeof id, s_ids_compare);
}

static int
s_ids_read (ids_t *self, sqlite3 *db, const char *word, size_t size)
{
    int rc = -1;
    sqlite3_stmt *statement =
      sql_prepare (db, "SELECT DISTINCT metric FROM series"
                       " WHERE instr (lower (source), lower (?1))"
                       " OR instr (lower (tags), lower (?1)) ORDER BY 1");
    if (!statement)
        return -1;
    sqlite3_bind_text (statement, 1, word, (int) size, SQLITE_STATIC);
    while ((rc = sqlite3_step (statement)) == SQLITE_ROW)
        s_ids_add (self, sqlite3_column_int64 (statement, 0));
    sqlite3_finalize (statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

//  --------------------------------------------------------------------------
//  The list, each part by name: those that live first, then what Zibrato measures of
//  itself, then those that are silent

enum { WORDS_MAX = 8 };
enum { ALIVE, OWN, SILENT, PARTS };

typedef struct {
    char *word[WORDS_MAX];
    ids_t of_series[WORDS_MAX];
    size_t words;
    int64_t since_s;
    ids_t part[PARTS];
} search_t;

static int
s_search_begin (search_t *self, sqlite3 *db, const char *text)
{
    const char *word;
    size_t size;
    while (self->words < WORDS_MAX && (size = words_next (&text, &word))) {
        self->word[self->words] = strndup (word, size);
        if (s_ids_read (&self->of_series[self->words++], db, word, size) == -1)
            return -1;
    }
    return 0;
}

static int
s_search_part (const search_t *self, const metric_t *metric)
{
    if (metric->last_s < self->since_s)
        return SILENT;
    return strncasecmp (metric->name, "zibrato.", 8) == 0 ? OWN : ALIVE;
}

static int
s_search_each (void *argument, const metric_t *metric)
{
    search_t *self = argument;
    for (size_t i = 0; i < self->words; i++)
        if (!words_match (self->word[i], metric->name)
            && !s_ids_have (&self->of_series[i], metric->id))
            return 0;
    s_ids_add (&self->part[s_search_part (self, metric)], metric->id);
    return 0;
}

static size_t
s_search_count (const search_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < PARTS; i++)
        count += self->part[i].count;
    return count;
}

//  The ID at a place of the whole list.
static int64_t
s_search_at (const search_t *self, size_t place)
{
    const ids_t *part = self->part;
    for (; place >= part->count; part++)
        place -= part->count;
    return part->id[place];
}

static void
s_search_clear (search_t *self)
{
    for (size_t i = 0; i < self->words; i++) {
        free (self->word[i]);
        free (self->of_series[i].id);
    }
    for (size_t i = 0; i < PARTS; i++)
        free (self->part[i].id);
}

//  --------------------------------------------------------------------------
//  One by its ID

typedef struct {
    sqlite3_stmt *name, *series;
} lookup_t;

static lookup_t
s_lookup (sqlite3 *db)
{
    return (lookup_t){
      sql_prepare (db, "SELECT name FROM metric WHERE id = ?"),
      sql_prepare (db, "SELECT COUNT (*) FROM series WHERE metric = ?")};
}

//  Returns true if it is there. Ended ones are not.
static bool
s_lookup_metric (lookup_t *self, reader_t *reader, int64_t id, metric_t *metric)
{
    bool there;
    sqlite3_reset (self->name);
    sqlite3_bind_int64 (self->name, 1, id);
    there = sqlite3_step (self->name) == SQLITE_ROW
            && reader_metric (reader, sql_text (self->name, 0), metric) == 1;
    sqlite3_reset (self->name);
    return there;
}

static int64_t
s_lookup_series (lookup_t *self, int64_t id)
{
    int64_t count;
    sqlite3_reset (self->series);
    sqlite3_bind_int64 (self->series, 1, id);
    count = sqlite3_step (self->series) == SQLITE_ROW
              ? sqlite3_column_int64 (self->series, 0)
              : 0;
    sqlite3_reset (self->series);
    return count;
}

static void
s_lookup_end (lookup_t *self)
{
    sqlite3_finalize (self->name);
    sqlite3_finalize (self->series);
}

static void
s_put_metric (buffer_t *out, const metric_t *metric, int64_t series)
{
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, metric->id);
    out_key (out, "name");
    out_text (out, metric->name);
    out_key (out, "type");
    out_text (out, page_type (metric->type));
    out_key (out, "last");
    out_integer (out, metric->last_s);
    out_key (out, "series");
    out_integer (out, series);
    out_end (out, '}');
}

static void
s_put_list (web_request_t *request, const search_t *search)
{
    buffer_t *out = &request->out;
    size_t found = s_search_count (search);
    int64_t offset = page_integer (request, "offset", 0);
    int64_t length = page_integer (request, "length", 200);
    size_t i = offset > 0 ? (size_t) offset : 0, left;
    lookup_t lookup = s_lookup (reader_db (request->reader));
    metric_t metric;
    left = length < 0 || length > LENGTH_MAX ? LENGTH_MAX : (size_t) length;
    out_begin (out, '{');
    out_key (out, "found");
    out_integer (out, (int64_t) found);
    out_key (out, "alive_s");
    out_integer (out, ALIVE_S);
    out_key (out, "metrics");
    out_begin (out, '[');
    for (; i < found && left; i++, left--) {
        int64_t id = s_search_at (search, i);
        if (s_lookup_metric (&lookup, request->reader, id, &metric))
            s_put_metric (out, &metric, s_lookup_series (&lookup, id));
    }
    out_end (out, ']');
    out_end (out, '}');
    s_lookup_end (&lookup);
}

static void
s_answer_metrics (web_request_t *request)
{
    search_t search = {.since_s = (int64_t) time (NULL) - ALIVE_S};
    reader_t *reader = request->reader;
    if (s_search_begin (&search, reader_db (reader),
                        page_text (request, "search"))
          == 0
        && reader_metrics (reader, "", 0, INT64_MAX, s_search_each, &search)
             >= 0)
        s_put_list (request, &search);
    else
        page_failed (request);
    s_search_clear (&search);
}

void
page_metrics (web_request_t *request)
{
    page_of_one_moment (request, s_answer_metrics);
}

//  --------------------------------------------------------------------------
//  Small lines: a counter's sum a second, a gauge's mean, a timer's p95 or mean

static double
s_spark_value (const groups_t *groups, metric_type_t type, const cell_t *cell)
{
    double value;
    switch (type) {
        case METRIC_GAUGE:
            return cell_value (cell, OVER_MEAN);
        case METRIC_TIMER:
            value = groups_quantile (groups, cell, 0.95);
            return isnan (value) ? cell_value (cell, OVER_SAMPLES) : value;
        default:
            return cell_value (cell, OVER_SUM) / (double) groups->step_s;
    }
}

//  What the last value of a timer is; NULL if there is none, and of others.
static const char *
s_spark_shows (const groups_t *groups, metric_type_t type)
{
    const cell_t *cell = groups->group[0].cell;
    size_t left = groups->intervals;
    while (left && cell[left - 1].series == 0)
        left--;
    if (type != METRIC_TIMER || left == 0)
        return NULL;
    return isnan (groups_quantile (groups, &cell[left - 1], 0.95)) ? "mean"
                                                                   : "p95";
}

//  Reads all series of a metric, unless they are more than `most`. Returns how many
//  there are.
static size_t
s_read_spark (reader_t *reader, const metric_t *metric, size_t most,
              groups_t *groups)
{
    survey_t survey = {.item = NULL};
    over_t over = metric->type == METRIC_GAUGE ? OVER_MEAN : OVER_SUM;
    size_t count;
    groups->type = metric->type;
    groups_add (groups, 0, "");
    survey_list (&survey, reader, metric->id, "");
    count = survey.count;
    for (size_t i = 0; i < count && count <= most; i++)
        groups_read (groups, 0, over, reader, survey.item[i].id);
    survey_clear (&survey);
    return count;
}

//  Takes what it has read from `*left`, the series that may still be read.
static void
s_put_spark (web_request_t *request, const metric_t *metric, groups_t *groups,
             size_t *left)
{
    buffer_t *out = &request->out;
    size_t most = *left < SERIES_MAX ? *left : SERIES_MAX;
    size_t count = s_read_spark (request->reader, metric, most, groups);
    if (count <= most)
        *left -= count;
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, metric->id);
    out_key (out, "last");
    out_integer (out, metric->last_s);
    out_key (out, "left_out");
    out_raw (out, count > most ? "true" : "false");
    out_key (out, "shows");
    out_text (out, s_spark_shows (groups, metric->type));
    out_key (out, "values");
    out_begin (out, '[');
    for (size_t i = 0; i < groups->intervals; i++)
        out_number (
          out, s_spark_value (groups, metric->type, &groups->group[0].cell[i]));
    out_end (out, ']');
    out_end (out, '}');
    groups_clear (groups);
}

static void
s_answer_sparks (web_request_t *request)
{
    const char *ids = page_text (request, "ids");
    int64_t step = page_integer (request, "resolution", 10), from, to;
    size_t left = READ_MAX;
    lookup_t lookup;
    metric_t metric;
    char *end;
    if (page_times (request, ALIVE_S, &from, &to) == -1)
        return;
    if (step < 1 || (to - from) / step > POINTS_MAX) {
        web_error (request, 400, "resolution", "is too fine");
        return;
    }
    lookup = s_lookup (reader_db (request->reader));
    out_begin (&request->out, '{');
    out_key (&request->out, "sparks");
    out_begin (&request->out, '[');
    for (size_t i = 0; i < SPARKS_MAX && *ids; i++) {
        groups_t groups = {.from_s = from / step * step,
                           .step_s = step,
                           .intervals = (size_t) ((to - from) / step)};
        int64_t id = strtoll (ids, &end, 10);
        if (s_lookup_metric (&lookup, request->reader, id, &metric))
            s_put_spark (request, &metric, &groups, &left);
        ids = *end == ',' ? end + 1 : "";
    }
    out_end (&request->out, ']');
    out_end (&request->out, '}');
    s_lookup_end (&lookup);
}

void
page_sparks (web_request_t *request)
{
    page_of_one_moment (request, s_answer_sparks);
}
