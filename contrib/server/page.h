/*  page - what the page asks for, beside the API of Librato

        assets         its files, in the executable
        page_status    one line: how much there is, how new, what was lost
        page_metrics   names, and small lines of those in sight
        page_points    a chart: survey finds series, groups folds their points
        page_health    what workers and brokers measured of themselves
        page_series    who makes the most series
        page_notes     annotations

    All of it is under /api/, and but for the files it runs in the pool.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PAGE_H
#define ZB_PAGE_H

#include "web.h"

web_fn page_status, page_metrics, page_sparks, page_points, page_health,
  page_series, page_annotations;

//  A file of the page; :name is the last part of its path.
web_fn page_index, page_file;

//  A parameter that is a whole number, or what stands for it if it is not there, or
//  is none.
int64_t page_integer (const web_request_t *request, const char *name,
                      int64_t otherwise);

//  A parameter, "" if it is not there.
const char *page_text (const web_request_t *request, const char *name);

//  A time from `from` to `to`, the last so many seconds if they are not given.
//  Returns 0, or -1 with the answer.
int page_times (web_request_t *request, int64_t otherwise_s, int64_t *from_s,
                int64_t *to_s);

//  "gauge", "counter" for ours that counts increments, "total" for readings that
//  rise, "timer".
const char *page_type (metric_type_t type);

//  Makes an answer of one moment.
void page_of_one_moment (web_request_t *request, web_fn *answer);

//  503, if the store could not be read.
void page_failed (web_request_t *request);

//  Measurements that workers have lost or set aside since, by their own health rows;
//  or -1.
double page_lost (reader_t *reader, int64_t from_s, int64_t to_s);

#endif
