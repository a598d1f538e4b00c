/*  influx_blame - which rows were refused. The contract is in influx_blame.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "influx_blame.h"

#include "influx_line.h"

#include <czmq.h>

//  One way to find them. Returns whether those that it has marked are all that the
//  answer is about.
typedef bool (influx_blame_fn) (const influx_blame_t *self, char *marks);

//  'LINE': the server could not read it. These are not among those dropped.
static bool
s_quoted (const influx_blame_t *self, char *marks)
{
    const char *line = self->lines, *end;
    bool any = false;
    for (size_t i = 0; i < self->count; i++, line = end + 1) {
        char *quoted;
        end = strchr (line, '\n');
        quoted = zsys_sprintf ("'%.*s'", (int) (end - line), line);
        marks[i] = strstr (self->error, quoted) != NULL;
        any |= marks[i];
        zstr_free (&quoted);
    }
    return any;
}

//  A field was of another type before: input field "F" on measurement "M" is type ...
static bool
s_conflict (const influx_blame_t *self, char *marks)
{
    static const char says[] = "input field \"";
    const char *field = strstr (self->error, says);
    size_t size, marked = 0;
    if (!field)
        return false;
    field += strlen (says);
    size = strcspn (field, "\"");
    for (size_t i = 0; i < self->count; i++) {
        char *named = zsys_sprintf ("\" on measurement \"%s\" is type ",
                                    self->rows[i].name);
        marks[i] = strncmp (field + size, named, strlen (named)) == 0
                   && influx_line_has (&self->rows[i], field, size);
        marked += marks[i] != 0;
        zstr_free (&named);
    }
    return marked == self->dropped;
}

static int
s_compare_times (const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

//  They are older than what is kept: the oldest.
static bool
s_old (const influx_blame_t *self, char *marks)
{
    int64_t *times, last;
    size_t marked = 0;
    if (!strstr (self->error, "beyond retention policy") || !self->dropped
        || self->dropped > self->count)
        return false;
    times = (int64_t *) zmalloc (self->count * sizeof *times);
    for (size_t i = 0; i < self->count; i++)
        times[i] = self->rows[i].time_ns;
    qsort (times, self->count, sizeof *times, s_compare_times);
    last = times[self->dropped - 1];
    free (times);
    for (size_t i = 0; i < self->count; i++) {
        marks[i] = self->rows[i].time_ns <= last;
        marked += marks[i] != 0;
    }
    return marked == self->dropped;
}

void
influx_blame (influx_blame_t *self, char *marks)
{
    static influx_blame_fn *const ways[] = {s_quoted, s_conflict, s_old};
    const char *says = strstr (self->error, "dropped=");
    self->dropped =
      says ? (size_t) strtoul (says + strlen ("dropped="), NULL, 10) : 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i](self, marks))
            return;
        memset (marks, 0, self->count);
    }
}
