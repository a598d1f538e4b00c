/*  page_series - who makes the most series: metrics, sources, tags

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"
#include "out.h"
#include "sql.h"
#include "words.h"

#include <string.h>
#include <time.h>

enum {
    ROWS_MAX = 100,  //  metrics, or series of one
    LIST_MAX = 20,   //  sources, or tags
    FRESH_S = 86400  //  a series is new for a day
};

//  --------------------------------------------------------------------------
//  Metrics and sources are counted by SQLite

//  What was not packed yet has no first point in the table: it is of this hour.
#define COUNTS                                                                 \
    "SELECT m.name, COUNT (*) AS series,"                                      \
    " SUM (s.first IS NULL OR s.first >= ?) AS fresh FROM series s"            \
    " JOIN metric m ON m.id = s.metric GROUP BY m.id ORDER BY "

//  A row as an object: a text, then numbers, by the names of their columns.
static void
s_put_row (buffer_t *out, sqlite3_stmt *statement)
{
    out_begin (out, '{');
    out_key (out, sqlite3_column_name (statement, 0));
    out_text (out, sql_text (statement, 0));
    for (int i = 1; i < sqlite3_column_count (statement); i++) {
        out_key (out, sqlite3_column_name (statement, i));
        out_integer (out, sqlite3_column_int64 (statement, i));
    }
    out_end (out, '}');
}

static int
s_put_metrics (web_request_t *request, sqlite3 *db)
{
    buffer_t *out = &request->out;
    bool by_fresh = strcmp (page_text (request, "sort"), "fresh") == 0;
    sqlite3_stmt *statement =
      sql_prepare (db, by_fresh ? COUNTS "fresh DESC, series DESC"
                                : COUNTS "series DESC, fresh DESC");
    int left = ROWS_MAX, rc;
    if (!statement)
        return -1;
    sqlite3_bind_int64 (statement, 1, (int64_t) time (NULL) - FRESH_S);
    while (left && (rc = sqlite3_step (statement)) == SQLITE_ROW) {
        const char *name = sql_text (statement, 0);
        if (!words_match (page_text (request, "search"), name))
            continue;
        left--;
        s_put_row (out, statement);
    }
    sqlite3_finalize (statement);
    return left == 0 || rc == SQLITE_DONE ? 0 : -1;
}

static const char s_sources[] =
  "SELECT source AS name, COUNT (*) AS series FROM series GROUP BY source"
  " ORDER BY series DESC LIMIT ?";

//  --------------------------------------------------------------------------
//  Tags are KEY=VALUE;... in one text, which is taken apart at each ';'

static const char s_tags[] =
  "WITH RECURSIVE part (tag, rest, n) AS ("
  " SELECT '', tags || ';', COUNT (*) FROM series WHERE tags <> ''"
  "  GROUP BY tags"
  " UNION ALL"
  " SELECT substr (rest, 1, instr (rest, ';') - 1),"
  "  substr (rest, instr (rest, ';') + 1), n FROM part WHERE rest <> '')"
  "SELECT substr (tag, 1, instr (tag, '=') - 1) AS name,"
  " COUNT (DISTINCT tag) AS \"values\", SUM (n) AS series"
  " FROM part WHERE tag <> ''"
  " GROUP BY name ORDER BY 2 DESC LIMIT ?";

//  The first rows of a query.
static int
s_put_list (buffer_t *out, sqlite3 *db, const char *query)
{
    sqlite3_stmt *statement = sql_prepare (db, query);
    int rc = SQLITE_ERROR;
    sqlite3_bind_int (statement, 1, LIST_MAX);
    while (statement && (rc = sqlite3_step (statement)) == SQLITE_ROW)
        s_put_row (out, statement);
    sqlite3_finalize (statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

//  --------------------------------------------------------------------------
//  The series of one metric

typedef struct {
    buffer_t *out;
    size_t left;
} listing_t;

static int
s_put_one (void *argument, const series_t *series)
{
    listing_t *self = argument;
    if (self->left == 0)
        return 0;
    self->left--;
    out_begin (self->out, '{');
    out_key (self->out, "source");
    out_text (self->out, series->source);
    out_key (self->out, "tags");
    out_text (self->out, series->tags);
    out_key (self->out, "first");
    out_integer (self->out, series->first_s);
    out_key (self->out, "last");
    out_integer (self->out, series->last_s);
    out_end (self->out, '}');
    return 0;
}

static int
s_put_metric (web_request_t *request, const char *name)
{
    listing_t listing = {&request->out, ROWS_MAX};
    metric_t metric;
    int64_t found;
    out_key (&request->out, "series");
    out_begin (&request->out, '[');
    found = reader_metric (request->reader, name, &metric);
    if (found == 1)
        found = reader_series (request->reader, metric.id, s_put_one, &listing);
    out_end (&request->out, ']');
    out_key (&request->out, "found");
    out_integer (&request->out, found);
    return found < 0 ? -1 : 0;
}

static int
s_put_all (web_request_t *request)
{
    buffer_t *out = &request->out;
    sqlite3 *db = reader_db (request->reader);
    int rc;
    out_key (out, "series");
    out_integer (out, sql_number (db, "SELECT COUNT (*) FROM series"));
    out_key (out, "metrics");
    out_begin (out, '[');
    rc = s_put_metrics (request, db);
    out_end (out, ']');
    out_key (out, "sources");
    out_begin (out, '[');
    rc |= s_put_list (out, db, s_sources);
    out_end (out, ']');
    out_key (out, "tags");
    out_begin (out, '[');
    rc |= s_put_list (out, db, s_tags);
    out_end (out, ']');
    return rc;
}

static void
s_answer (web_request_t *request)
{
    const char *name = web_parameter (request, "metric");
    int rc;
    out_begin (&request->out, '{');
    rc = name ? s_put_metric (request, name) : s_put_all (request);
    out_end (&request->out, '}');
    if (rc == -1)
        page_failed (request);
}

void
page_series (web_request_t *request)
{
    page_of_one_moment (request, s_answer);
}
