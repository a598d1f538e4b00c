/*  plugin_totals.c - a backend that gets totals, as test_totals.c builds it

    Appends a line for each row to the file that --file says,

        TYPE NAME SOURCE SINCE TIME COUNT ENDS SIGNED VALUE SAMPLES SUM BUCKETS

    where SINCE and what is behind SIGNED are the total's. A request with a row
    "bad" is refused. -DWANTS=... says which rows it wants. With --end each name has
    that behind it, and the folder is that of another naming.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato_backend.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *s_file, *s_end = "";

static const zb_option_t s_options[] = {{.name = "file",
                                         .argument = "FILE",
                                         .text = &s_file,
                                         .help = "where rows are added"},
                                        {.name = "end",
                                         .argument = "TEXT",
                                         .text = &s_end,
                                         .help = "behind each name"},
                                        {.name = NULL}};

static uint64_t
s_samples (const zb_total_t *total)
{
    uint64_t samples = 0;
    size_t i;
    for (i = 0; i < total->bucket_count; i++)
        samples += total->buckets[i].count;
    return samples;
}

static void
s_write (FILE *out, const zb_row_t *row)
{
    static const zb_total_t none = {.start_ns = 0};
    const zb_total_t *total = row->total ? row->total : &none;
    fprintf (out, "%d %s %s %" PRId64 " %" PRId64 " %" PRIu64 " %d %d",
             row->type, row->name, row->source, total->start_ns, row->time_ns,
             row->count, row->ends, row->is_signed);
    fprintf (out, " %.17g %" PRIu64 " %.17g %" PRIu64 "\n", total->value,
             total->count, total->sum, s_samples (total));
}

//  All lines of a request in one write: a worker that is killed has written all
//  of them or none.
static zb_outcome_t
s_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    char *text;
    size_t size, i;
    int fd, whole;
    FILE *out = open_memstream (&text, &size);
    for (i = 0; i < count; i++) {
        if (strcmp (rows[i].name, "bad") == 0) {
            snprintf (reply->reason, sizeof reply->reason, "a bad row");
            fclose (out);
            free (text);
            return ZB_REFUSED;
        }
        s_write (out, &rows[i]);
    }
    fclose (out);
    fd = open (s_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    whole = write (fd, text, size) == (ssize_t) size;
    close (fd);
    free (text);
    return whole ? ZB_DELIVERED : ZB_RETRY;
}

static int
s_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    snprintf (fitted, ZB_NAME_MAX + 1, "%s%s", text, is_source ? "" : s_end);
    return !is_source && *s_end;
}

static const char *
s_naming (void)
{
    return s_end;
}

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "totals",
                                       .summary = "Keeps totals, for a test",
                                       .options = s_options,
                                       .wants = WANTS,
                                       .batch = 4,
                                       .fit = s_fit,
                                       .naming = s_naming,
                                       .deliver = s_deliver};

const zb_backend_t *
zibrato_backend (void)
{
    return &s_backend;
}
