/*  survey - the series of a metric, before they are drawn

    Which there are, which of them matter most, how finely they are kept, and how far
    apart their points are: a chart with finer intervals would be one of holes.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SURVEY_H
#define ZB_SURVEY_H

#include "store.h"

typedef struct {
    int64_t id;
    char *label;     //  source and tags
    double weight;   //  the sum of a counter, of others the mean
    int64_t last_s;  //  the time of its last point
} survey_item_t;

enum { SURVEY_STEPS = 22 };

//  All zero at first.
typedef struct {
    survey_item_t *item;
    size_t count, max;
    int64_t kept_s;  //  the coarsest resolution that was read
    uint64_t apart[SURVEY_STEPS];
} survey_t;

//  Lists the series whose source and tags hold all words, in any case. Returns 0, or
//  -1 if the store failed.
int survey_list (survey_t *self, reader_t *reader, int64_t metric,
                 const char *words);

//  Weighs all of them by their points in a time, and sorts them, the largest first.
//  Returns 0 or -1.
int survey_weigh (survey_t *self, reader_t *reader, metric_type_t type,
                  int64_t from_s, int64_t to_s, int64_t step_s);

//  Puts those with these IDs first, in that order, at most so many. Returns how many
//  there are.
size_t survey_prefer (survey_t *self, const char *ids, size_t most);

//  The interval that most points fit into, one each; at least the given one.
int64_t survey_step (const survey_t *self, int64_t least_s);

//  The smallest round interval that is as long, or 0 if none is.
int64_t survey_round (double least_s);

void survey_clear (survey_t *self);

#endif
