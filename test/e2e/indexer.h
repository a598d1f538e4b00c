/*  indexer.h - runs contrib/examples/indexer, which counts by itself, too

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef INDEXER_H
#define INDEXER_H

#include "harness.h"

enum { EVERYTHING = 0, NO_GAUGES = 1 };

//  Makes 200 files in 8 folders, and a link. Returns the tree.
static const char *
tree_new (void)
{
    const char *tree = temporary_path ("tree");
    assert_int_equal (mkdir (tree, 0700), 0);
    for (int folder = 0; folder < 8; folder++) {
        assert_int_equal (mkdir (text_new ("%s/%d", tree, folder), 0700), 0);
        for (int file = 0; file < 25; file++)
            file_write (
              text_new ("%s/%d/%d", tree, folder, file),
              text_new ("%*s words %d %d\n", 10 * file, "some", folder, file));
    }
    assert_int_equal (symlink ("0/0", text_new ("%s/link", tree)), 0);
    return tree;
}

//  Removes what is in it. Who walks through it many times is done soon.
static void
tree_empty (const char *tree)
{
    for (int folder = 0; folder < 8; folder++)
        assert_int_equal (folder_remove (text_new ("%s/%d", tree, folder)), 0);
}

//  Starts the indexer with 4 threads, so many turns through the tree, and a
//  pause after each file.
static process_t *
indexer_start (const broker_t *broker, const char *tree, int repeat,
               int delay_us)
{
    return process_start (LIST (harness_path ("ZB_INDEXER"), "-t", "4", "-r",
                                text_new ("%d", repeat), "-d",
                                text_new ("%d", delay_us), "--json", tree),
                          broker_environment (broker));
}

//  Starts one that works until tree_empty, however slow everybody is.
static process_t *
indexer_start_lasting (const broker_t *broker, const char *tree)
{
    return indexer_start (broker, tree, 10000, 300);
}

//  Returns what the indexer counted. Caller deletes the return value.
static cJSON *
indexer_totals (process_t *self)
{
    assert_int_equal (process_wait (self), 0);
    cJSON *series = cJSON_CreateArray ();
    const char *line = process_out (self), *end;
    for (; (end = strchr (line, '\n')); line = end + 1)
        assert_true (cJSON_AddItemToArray (
          series, cJSON_ParseWithLength (line, (size_t) (end - line))));
    assert_true (cJSON_GetArraySize (series) > 8);
    return series;
}

//  Has come what the program has counted, as far as it tells?
static bool
indexer_is_same (const cJSON *series, total_t came, int what)
{
    const char *type = cJSON_GetObjectItem (series, "type")->valuestring;
    double count = row_number (series, "count");
    double sum = row_number (series, "total") + row_number (series, "sum");
    int64_t sum_ns = (int64_t) row_number (series, "sum_ns");
    bool right = strcmp (type, "counter") != 0 ? came.count == count : true;
    right = right && (strcmp (type, "timer") != 0 ? came.sum == sum : true);
    right = right && (sum_ns ? came.sum_ns == sum_ns : true);
    if (what == NO_GAUGES && strcmp (type, "gauge") == 0)
        right = came.count <= count;
    return right;
}

//  The count and the sum that a series must have.
static void
indexer_check_series (const cJSON *series, total_t came, int what)
{
    if (indexer_is_same (series, came, what))
        return;
    fail_msg ("%s %s/%s: came %.17g samples, sum %.17g, %" PRId64
              " ns; the program has %.17g, %.17g, %" PRId64,
              cJSON_GetObjectItem (series, "type")->valuestring,
              cJSON_GetObjectItem (series, "source")->valuestring,
              cJSON_GetObjectItem (series, "name")->valuestring, came.count,
              came.sum, came.sum_ns, row_number (series, "count"),
              row_number (series, "total") + row_number (series, "sum"),
              (int64_t) row_number (series, "sum_ns"));
}

//  What came of a series that the program has counted.
static total_t
indexer_came (const cJSON *rows, const cJSON *series)
{
    return rows_total (rows,
                       cJSON_GetObjectItem (series, "source")->valuestring,
                       cJSON_GetObjectItem (series, "name")->valuestring);
}

#endif
