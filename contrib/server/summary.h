/*  summary - functions that make one number of points

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SUMMARY_H
#define ZB_SUMMARY_H

#include "out.h"
#include "trace.h"

//  Of one point.
typedef struct {
    const char *name;
    double (*of) (const point_t *point);  //  NULL: all of them
    bool derived;  //  of the difference to the point before
} summary_t;

//  Returns NULL if there is none by that name.
const summary_t *summary_find (const char *name);

//  What all summaries say, as members of an object that was begun.
void summary_write_all (buffer_t *out, const point_t *point);

//  Of points of several series at one time.
typedef struct {
    const char *name;
    double (*join) (double a, double b);
    bool mean;  //  what is joined is divided by how many it was of
} group_t;

const group_t *group_find (const char *name);

double group_value (const group_t *self, const summary_t *summary,
                    const trace_point_t *item, size_t count);

#endif
