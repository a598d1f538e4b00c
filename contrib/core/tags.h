/*  tags - what stands behind a name: requests;code=200;route=/a

    This is the one place that knows what tags are. They are part of the name:
    a series with other tags is another series, and who knows nothing of tags
    sees a longer name.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TAGS_H
#define ZB_TAGS_H

#include "line.h"

typedef struct {
    span_t key, value;
} tag_t;

//  Returns how many bytes the name has without its tags, which is all of them
//  if it has none. It has tags if what stands behind its first ';' is a list of
//  them, the keys ascending by their bytes, each once.
size_t tags_name_size (const char *name, size_t size);

//  Splits a name. Returns the name alone, and in *tags what tags_next takes:
//  of size 0 if there are none. Both point into the given text.
span_t tags_split (const char *name, size_t size, span_t *tags);

//  Takes the first tag off a list that tags_split has given. Returns 1, or 0 at
//  the end.
int tags_next (span_t *tags, tag_t *tag);

#endif
