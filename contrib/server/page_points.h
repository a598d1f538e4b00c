/*  page_points - a chart: the points of a metric, a point a pixel at most

    survey finds the series and how far their points are apart, groups folds them.
    The answer is columnar: "from", "resolution" and "count" say what times there are,
    and each group has columns of that length, with null where nobody measured.
    format=csv has the same as lines.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PAGE_POINTS_H
#define ZB_PAGE_POINTS_H

#include "groups.h"
#include "page.h"
#include "survey.h"

typedef struct {
    web_request_t *request;
    int64_t metric;
    char *name;  //  our own
    metric_type_t type;
    int64_t from_s, to_s;  //  what was asked for
    int64_t asked_s;       //  the interval of a point a pixel
    int64_t running_s;     //  of the last interval, if it is not over yet; or 0
    over_t over;
    bool split;  //  a line for each series
    bool heat;   //  cells of a heat map, too
    survey_t survey;
    groups_t groups;
} chart_t;

//  The answer, into the request.
void chart_put_json (const chart_t *self);
void chart_put_csv (const chart_t *self);

#endif
