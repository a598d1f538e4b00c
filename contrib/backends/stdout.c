/*  zibrato stdout - shows each flush: a table for people, JSON for programs

    The smallest useful backend, and the one to copy: what a worker has to
    write itself is how rows are delivered. Reading, adding up, the flush's time,
    retries and the stop are the runtime's. contrib/docs/writing-a-backend.md
    walks through this file.

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
enum { COLUMNS = 9 };

static const struct {
    const char *title;
    int right;   //  numbers stand to the right
    int spared;  //  it is left out when no row has anything in it
} s_columns[COLUMNS] = {{"SOURCE", 0, 0}, {"NAME", 0, 0}, {"TAGS", 0, 1},
                        {"TYPE", 0, 0},   {"TIME", 0, 0}, {"SUM", 1, 0},
                        {"COUNT", 1, 0},  {"MIN", 1, 0},  {"MAX", 1, 0}};

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

//  The cells of a row. Caller owns the return value.
static char *
s_cells (const zb_row_t *row)
{
    static const char *const types[] = {"", "counter", "timer", "gauge"};
    char when[16], *text = NULL;
    time_t second = (time_t) (row->time_ns / 1000000000);
    struct tm local;
    size_t size, i;
    FILE *out = open_memstream (&text, &size);
    localtime_r (&second, &local);
    strftime (when, sizeof when, "%H:%M:%S", &local);
    fprintf (out, "%s\t%s\t", row->source, row->name);
    for (i = 0; i < row->tag_count; i++)
        fprintf (out, "%s%s=%s", i ? ";" : "", row->tags[i].key,
                 row->tags[i].value);
    fprintf (out, "\t%s\t%s\t%.15g", types[row->type], when, row->sum);
    if (row->type != ZB_TYPE_COUNTER)
        fprintf (out, "\t%" PRIu64 "\t%.9g\t%.9g", row->count, row->min,
                 row->max);
    fclose (out);
    return text;
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
        if (!widths[i])
            continue;
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
s_print_table (char **rows, size_t count)
{
    int widths[COLUMNS], i, columns;
    char titles[128] = "";
    const char *cell, *next;
    size_t row;
    for (i = 0; i < COLUMNS; i++) {
        widths[i] = 0;
        strcat (strcat (titles, s_columns[i].title), "\t");
    }
    for (row = 0; row < count; row++)
        for (cell = rows[row], i = 0; i < COLUMNS; i++, cell = next) {
            columns = s_columns_of (cell, s_cell (cell, &next));
            widths[i] = columns > widths[i] ? columns : widths[i];
        }
    for (i = 0; i < COLUMNS; i++)
        if (widths[i] < (int) strlen (s_columns[i].title)
            && (widths[i] || !s_columns[i].spared))
            widths[i] = (int) strlen (s_columns[i].title);
    qsort (rows, count, sizeof *rows, s_compare);
    s_print (titles, widths);
    for (row = 0; row < count; row++)
        s_print (rows[row], widths);
    puts ("");
}

//  Which bytes are a character is the same everywhere: what a terminal shows is
//  UTF-8.
static void
s_deliver_table (const zb_row_t *rows, size_t count)
{
    locale_t utf8 = newlocale (LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
    locale_t before = uselocale (utf8);
    char **cells = malloc (count * sizeof *cells);
    size_t row;
    for (row = 0; row < count; row++)
        cells[row] = s_cells (&rows[row]);
    s_print_table (cells, count);
    for (row = 0; row < count; row++)
        free (cells[row]);
    free (cells);
    uselocale (before);
    if (utf8)
        freelocale (utf8);
}

static zb_outcome_t
s_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    if (!s_table ())
        return zb_rows_print (rows, count, reply);
    s_deliver_table (rows, count);
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
  .wants = ZB_WANTS_SECONDS,
  .batch = 0,  //  a flush at once, for one table
  .check = s_check,
  .deliver = s_deliver,
  .prints = 1,
  .adds = 1};
