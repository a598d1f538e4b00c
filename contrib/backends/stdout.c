/*  zibrato stdout - shows each flush: a table for people, JSON for programs

    The smallest useful backend, and the one to copy: what a worker has to
    write itself is how a row looks (post), and how rows are delivered
    (flush). Reading, adding up, the flush's time, retries and the stop are
    the runtime's. contrib/docs/writing-a-backend.md walks through this file.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _XOPEN_SOURCE 700  //  wcwidth

#include "zibrato_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

//  A row of the table is its cells, separated by tabs, until all rows are
//  there, are sorted, and the columns' widths are known.
enum { COLUMNS = 8 };

static const struct {
    const char *title;
    int right;  //  numbers stand to the right
} s_columns[COLUMNS] = {{"SOURCE", 0}, {"NAME", 0},  {"TYPE", 0}, {"TIME", 0},
                        {"SUM", 1},    {"COUNT", 1}, {"MIN", 1},  {"MAX", 1}};

static const char *s_format = "auto";

static const zb_option_t s_options[] = {
  {.name = "format",
   .argument = "auto|table|json",
   .text = &s_format,
   .help = "a table, or JSON lines; auto: a table on a terminal"},
  {.name = NULL}};

static int
s_table (void)
{
    return strcmp (s_format, "table") == 0
           || (strcmp (s_format, "auto") == 0 && isatty (STDOUT_FILENO));
}

static const char *
s_check (void)
{
    static const char *const formats[] = {"auto", "table", "json"};
    size_t i;
    if ((fcntl (STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return "standard output is closed";
    for (i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp (s_format, formats[i]) == 0)
            return NULL;
    return "--format: expected auto, table or json";
}

static size_t
s_post (const zb_row_t *row, char *text, size_t size)
{
    static const char *const types[] = {"", "counter", "timer", "gauge"};
    char when[16];
    time_t second = (time_t) row->time;
    struct tm local;
    int length;
    if (!s_table ())
        return zb_row_json (row, "time", text, size);
    localtime_r (&second, &local);
    strftime (when, sizeof when, "%H:%M:%S", &local);
    length = snprintf (text, size, "%s\t%s\t%s\t%s\t%.15g", row->source,
                       row->name, types[row->type], when, row->sum);
    if (row->type != ZB_TYPE_COUNTER && length > 0 && (size_t) length < size)
        length += snprintf (text + length, size - (size_t) length,
                            "\t%" PRIu64 "\t%.9g\t%.9g", row->count, row->min,
                            row->max);
    return length > 0 && (size_t) length < size ? (size_t) length : 0;
}

//  How many columns a text takes on a terminal. A byte that is no UTF-8 takes
//  one.
static int
s_columns_of (const char *text, int length)
{
    const char *end = text + length;
    mbstate_t state = {0};
    int columns = 0;
    while (text < end) {
        wchar_t c;
        size_t size = mbrtowc (&c, text, (size_t) (end - text), &state);
        int width = 1;
        if (size == 0 || size > (size_t) (end - text)) {
            memset (&state, 0, sizeof state);
            size = 1;
        }
        else
            width = wcwidth (c);
        columns += width > 0 ? width : 0;
        text += size;
    }
    return columns;
}

//  The cell's length; *next is where the one behind it begins.
static int
s_cell (const char *cell, const char **next)
{
    int length = (int) strcspn (cell, "\t");
    *next = cell[length] ? cell + length + 1 : cell + length;
    return length;
}

static void
s_print (const char *row, const int *widths)
{
    int i, pad, length;
    for (i = 0; i < COLUMNS && *row; i++) {
        const char *cell = row;
        length = s_cell (cell, &row);
        pad = widths[i] - s_columns_of (cell, length);
        printf ("%s%*s%.*s%*s", i ? "  " : "", s_columns[i].right ? pad : 0, "",
                length, cell, s_columns[i].right ? 0 : pad, "");
    }
    puts ("");
}

static int
s_compare (const void *a, const void *b)
{
    return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
s_print_table (const char **rows, size_t count)
{
    int widths[COLUMNS], i, columns;
    char titles[128] = "";
    const char *cell, *next;
    size_t row;
    for (i = 0; i < COLUMNS; i++) {
        widths[i] = (int) strlen (s_columns[i].title);
        strcat (strcat (titles, s_columns[i].title), "\t");
    }
    for (row = 0; row < count; row++)
        for (cell = rows[row], i = 0; i < COLUMNS; i++, cell = next) {
            columns = s_columns_of (cell, s_cell (cell, &next));
            widths[i] = columns > widths[i] ? columns : widths[i];
        }
    qsort (rows, count, sizeof *rows, s_compare);
    s_print (titles, widths);
    for (row = 0; row < count; row++)
        s_print (rows[row], widths);
    puts ("");
}

static zb_outcome_t
s_flush (const char *const *rows, size_t count, zb_reply_t *reply)
{
    const char **sorted = malloc (count * sizeof *sorted);
    size_t row;
    if (s_table () && sorted) {
        locale_t utf8 = newlocale (LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
        locale_t before = uselocale (utf8);
        memcpy (sorted, rows, count * sizeof *sorted);
        s_print_table (sorted, count);
        uselocale (before);
        if (utf8)
            freelocale (utf8);
    }
    else
        for (row = 0; row < count; row++)
            puts (rows[row]);
    free (sorted);
    if (fflush (stdout) == 0)
        return ZB_DELIVERED;
    snprintf (reply->reason, sizeof reply->reason, "standard output: %s",
              strerror (errno));
    return ZB_RETRY;
}

const zb_backend_t zb_stdout_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "stdout",
  .summary = "Prints each flush: a table for people, JSON lines for programs",
  .options = s_options,
  .batch = 0,  //  a flush at once, for one table
  .check = s_check,
  .post = s_post,
  .flush = s_flush,
  .prints = 1,
  .adds = 1};
