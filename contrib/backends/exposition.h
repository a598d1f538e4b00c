/*  exposition - what a scrape gets, made in pieces

    In text of version 0.0.4, in OpenMetrics 1.0, or in Protocol Buffers, which are the
    only form with native histograms. github.com/prometheus/docs,
    content/docs/instrumenting/exposition_formats.md has the rules of the first and the
    last, github.com/OpenObservability/OpenMetrics those of the second.

    No line has a time, since a scrape takes what is now. Each line is looked over
    before it goes out: a single bad one would make a server throw the whole scrape
    away.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_EXPOSITION_H
#define ZB_EXPOSITION_H

#include "latest.h"

typedef enum {
    EXPOSITION_TEXT,
    EXPOSITION_OPENMETRICS,
    EXPOSITION_PROTOBUF
} exposition_form_t;

typedef struct exposition exposition_t;

//  The form that a header Accept wants most of those that there are; text if it is
//  NULL, or wants none.
exposition_form_t exposition_negotiate (const char *accept);

//  The content type that says so.
const char *exposition_type (exposition_form_t form);

//  With `ranges`, gauges have _min, _max, _count and _sum, too. Caller owns the return
//  value.
exposition_t *
exposition_new (latest_t *latest, exposition_form_t form, bool ranges);

//  The next piece, valid until the next call. Returns its size, 0 at the end.
size_t exposition_next (exposition_t *self, const char **piece);

void exposition_destroy (exposition_t **self_p);

//  Is this one line of text, or are they several, that a server takes? Behind them is
//  a byte that is no part of them.
bool exposition_check (const char *lines, size_t size);

#endif
