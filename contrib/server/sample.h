/*  sample - a measurement of a request: its members, read and checked

    Clients of Librato read the sentences of errors, so they are Librato's own, as its
    documents and bug reports have them. Its documents are github.com/librato/api-docs.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SAMPLE_H
#define ZB_SAMPLE_H

#include "store.h"

#include <cjson/cJSON.h>

enum {
    SAMPLE_NAME_MAX = 255,
    SAMPLE_TAGS_MAX = 50,
    SAMPLE_TAG_NAME_MAX = 64,
    SAMPLE_TAG_VALUE_MAX = 255
};

//  What is wrong with one. The answer has the metric's name, too, as a text or in a
//  list, or not, and for some errors the time.
typedef struct {
    const char *param;  //  NULL: nothing is
    char text[400];
    enum { NAME_LEFT_OUT, NAME_AS_TEXT, NAME_AS_LIST } name;
    bool with_time;
} refusal_t;

void refuse (refusal_t *self, const char *param, const char *format, ...)
  __attribute__ ((format (printf, 3, 4)));

//  The dialects of the API.
typedef struct {
    bool tagged;  //  /v1/measurements: time and tags, and no unknown members
    bool form;    //  numbers may be texts
} dialect_t;

//  What it points to is in the JSON that it was read from.
typedef struct {
    const char *name, *source;
    const cJSON *tags;
    metric_type_t type;
    int64_t period_s;
    bool timed;  //  it has its own time
    point_t point;
    zb_bucket_t *buckets;  //  of point: to be freed by the caller
} sample_t;

//  Reads a measurement, as which type it was sent. The name is that of its place
//  among others, if it has one. Returns 0, or -1 with what is wrong. *unknown is set
//  if there is a member that the dialect has not.
int sample_read (sample_t *self, const cJSON *object, const char *name,
                 metric_type_t type, dialect_t dialect, refusal_t *refusal,
                 bool *unknown);

//  What holds for all measurements of a request that say nothing else: source (or
//  tags), time and period.
int sample_read_globals (sample_t *self, const cJSON *object, dialect_t dialect,
                         refusal_t *refusal);

//  May a metric, or a source, have this name?
bool sample_name_ok (const char *name);

//  Reads tags, ascending by their names, at most SAMPLE_TAGS_MAX. A tag "source" is the
//  source. Returns how many, or -1.
int sample_tags (const cJSON *object, zb_tag_t tags[SAMPLE_TAGS_MAX],
                 const char **source, refusal_t *refusal);

#endif
