/*  filter - which series a request means

    By the values of their tags, where a source is the tag "source": what
    tags[KEY]=PATTERN says, or the language of tags_search. A pattern is a text in
    which '*' stands for anything. Small and capital letters are the same, as they
    were for Librato.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FILTER_H
#define ZB_FILTER_H

#include "line.h"
#include "out.h"
#include "store.h"

enum { FILTER_PARTS_MAX = 200, FILTER_DEPTH_MAX = 20 };

//  Does the pattern mean the whole text?
bool pattern_match (const char *pattern, const char *text, size_t size);

//  The value of a series' tag, not terminated. Returns false if it has no such tag.
bool series_tag (const series_t *series, const char *key, span_t *value);

//  All tags of a series as members of an object.
void series_tags_write (buffer_t *out, const series_t *series);

typedef struct filter filter_t;

//  Lets all series pass. Caller owns the return value.
filter_t *filter_new (void);
void filter_destroy (filter_t **self_p);

//  tags[KEY]=PATTERN. Of a key's patterns one must match, and of those that begin
//  with '!' none; the series must have the tag. KEY itself may begin with '!': the
//  series must not have it. Returns NULL, or what is wrong, a static text.
const char *filter_tag (filter_t *self, const char *key, const char *pattern);

//  tags_search: "region=us-* and not (db=*test* or !host)". A value with blanks
//  stands in quotes. Returns NULL, or what is wrong, a static text.
const char *filter_search (filter_t *self, const char *text);

bool filter_match (const filter_t *self, const series_t *series);

#endif
