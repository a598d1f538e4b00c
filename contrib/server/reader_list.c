/*  reader_list - metrics and series for who reads. The contract is in store.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "reader_own.h"
#include "sql.h"

#include <ctype.h>
#include <string.h>

#define METRIC_COLUMNS                                                         \
    "id, name, type, period, display_name, description, attributes, composite"

enum { WORDS_MOST = 16 };  //  of a search

int
reader_list_open (reader_t *self)
{
    self->metric = sql_prepare (self->db, "SELECT " METRIC_COLUMNS
                                          " FROM metric WHERE name = ?1");
    self->series =
      sql_prepare (self->db, "SELECT id, source, tags FROM series"
                             " WHERE metric = ?1 ORDER BY source, tags");
    return self->metric && self->series ? 0 : -1;
}

void
reader_list_close (reader_t *self)
{
    sqlite3_finalize (self->metric);
    sqlite3_finalize (self->series);
}

//  --------------------------------------------------------------------------
//  Metrics

static const char *
s_text_or_null (sqlite3_stmt *row, int column)
{
    return (const char *) sqlite3_column_text (row, column);
}

static metric_t
s_metric (const reader_t *self, sqlite3_stmt *row)
{
    metric_t metric = {.id = sqlite3_column_int64 (row, 0),
                       .name = sql_text (row, 1),
                       .type = (metric_type_t) sqlite3_column_int (row, 2),
                       .period_s = sqlite3_column_int64 (row, 3),
                       .display_name = s_text_or_null (row, 4),
                       .description = s_text_or_null (row, 5),
                       .attributes = s_text_or_null (row, 6),
                       .composite = s_text_or_null (row, 7)};
    const metric_entry_t *entry =
      catalog_metric_of (self->store->catalog, metric.id);
    if (entry) {
        metric.first_s = entry->first_s;
        metric.last_s = entry->last_s;
    }
    return metric;
}

//  A pattern for LIKE that finds the word: what has a meaning there loses it.
static void
s_bind_word (sqlite3_stmt *row, int at, const char *word, size_t size)
{
    char pattern[2 * 256 + 3];
    size_t used = 0;
    pattern[used++] = '%';
    for (size_t i = 0; i < size && used < sizeof pattern - 3; i++) {
        if (word[i] == '%' || word[i] == '_' || word[i] == '\\')
            pattern[used++] = '\\';
        pattern[used++] = word[i];
    }
    pattern[used++] = '%';
    sqlite3_bind_text (row, at, pattern, (int) used, SQLITE_TRANSIENT);
}

//  The size of the word that *text begins with, behind blanks. 0: there is none.
static size_t
s_word (const char **text)
{
    size_t size = 0;
    while (isspace ((unsigned char) **text))
        ++*text;
    while ((*text)[size] && !isspace ((unsigned char) (*text)[size]))
        size++;
    return size;
}

//  A statement of what, with a condition for each word.
static sqlite3_stmt *
s_search (reader_t *self, const char *what, const char *search,
          const char *order)
{
    const char *at = search;
    sqlite3_stmt *row;
    int words = 0;
    size_t size;
    self->text.size = 0;
    buffer_printf (&self->text, "SELECT %s FROM metric WHERE 1", what);
    for (; words < WORDS_MOST && (size = s_word (&at)); at += size)
        buffer_printf (&self->text, " AND name LIKE ?%d ESCAPE '\\'", ++words);
    buffer_printf (&self->text, "%s%c", order, 0);
    row = sql_prepare (self->db, self->text.text);
    words = 0;
    for (at = search; words < WORDS_MOST && (size = s_word (&at)); at += size)
        s_bind_word (row, ++words, at, size);
    return row;
}

static int64_t
s_count (reader_t *self, const char *search)
{
    sqlite3_stmt *row = s_search (self, "count (*)", search, "");
    int64_t count = -1;
    if (sqlite3_step (row) == SQLITE_ROW)
        count = sqlite3_column_int64 (row, 0);
    sqlite3_finalize (row);
    return count;
}

static void
s_list (reader_t *self, const char *search, int64_t offset, int64_t length,
        metric_fn *each, void *argument)
{
    sqlite3_stmt *row = s_search (self, METRIC_COLUMNS, search,
                                  " ORDER BY name LIMIT ?98 OFFSET ?99");
    bool more = true;
    sqlite3_bind_int64 (row, 98, length);
    sqlite3_bind_int64 (row, 99, offset);
    while (more && sqlite3_step (row) == SQLITE_ROW) {
        metric_t metric = s_metric (self, row);
        more = each (argument, &metric) == 0;
    }
    sqlite3_finalize (row);
}

int64_t
reader_metrics (reader_t *self, const char *search, int64_t offset,
                int64_t length, metric_fn *each, void *argument)
{
    int64_t count;
    if (reader_begin (self) == -1)
        return -1;
    count = s_count (self, search);
    if (count > offset && length != 0)
        s_list (self, search, offset, length, each, argument);
    reader_end (self);
    return count;
}

//  A copy that lasts until the next call, of a text that may be NULL. There is room.
static const char *
s_keep (reader_t *self, const char *text)
{
    char *copy = self->text.text + self->text.size;
    if (!text)
        return NULL;
    buffer_add (&self->text, text, strlen (text) + 1);
    return copy;
}

//  The texts of a row go with it.
static void
s_keep_all (reader_t *self, metric_t *metric)
{
    const char **text[] = {&metric->name, &metric->display_name,
                           &metric->description, &metric->attributes,
                           &metric->composite};
    enum { TEXTS = sizeof text / sizeof *text };
    size_t size = 1;
    for (int i = 0; i < TEXTS; i++)
        size += *text[i] ? strlen (*text[i]) + 1 : 0;
    self->text.size = 0;
    buffer_room (&self->text, size);
    for (int i = 0; i < TEXTS; i++)
        *text[i] = s_keep (self, *text[i]);
}

int
reader_metric (reader_t *self, const char *name, metric_t *metric)
{
    int rc;
    if (reader_begin (self) == -1)
        return -1;
    sqlite3_bind_text (self->metric, 1, name, -1, SQLITE_TRANSIENT);
    rc = sqlite3_step (self->metric);
    if (rc == SQLITE_ROW) {
        *metric = s_metric (self, self->metric);
        s_keep_all (self, metric);
    }
    sqlite3_reset (self->metric);
    reader_end (self);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

//  --------------------------------------------------------------------------
//  Series

int64_t
reader_series (reader_t *self, int64_t metric, series_fn *each, void *argument)
{
    int64_t count = 0;
    bool more = true;
    int rc = SQLITE_DONE;
    if (reader_begin (self) == -1)
        return -1;
    sqlite3_bind_int64 (self->series, 1, metric);
    while (more && (rc = sqlite3_step (self->series)) == SQLITE_ROW) {
        series_t series = {.id = sqlite3_column_int64 (self->series, 0),
                           .metric = metric,
                           .source = sql_text (self->series, 1),
                           .tags = sql_text (self->series, 2)};
        const series_entry_t *entry =
          catalog_series_of (self->store->catalog, series.id);
        if (entry) {
            series.first_s = entry->first_s;
            series.last_s = entry->last_s;
        }
        count++;
        more = each (argument, &series) == 0;
    }
    sqlite3_reset (self->series);
    reader_end (self);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? count : -1;
}
