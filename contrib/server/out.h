/*  out - JSON into a buffer, piece by piece

    A list of a hundred thousand points would be a tree of millions of nodes in
    cJSON. Commas come by themselves.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OUT_H
#define ZB_OUT_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>

//  '{' or '[', and its end.
void out_begin (buffer_t *self, char bracket);
void out_end (buffer_t *self, char bracket);

//  The name of the member whose value comes next.
void out_key (buffer_t *self, const char *name);

//  What is no UTF-8 becomes '?'. NULL is null.
void out_text (buffer_t *self, const char *text);
void out_text_of (buffer_t *self, const char *text, size_t size);

//  A number that is not finite is null.
void out_number (buffer_t *self, double value);
void out_integer (buffer_t *self, int64_t value);
void out_bool (buffer_t *self, bool value);

//  Members that are integers.
typedef struct {
    const char *name;
    int64_t value;
} out_member_t;

void out_integers (buffer_t *self, const out_member_t *member, size_t count);

//  JSON as it is, or null.
void out_raw (buffer_t *self, const char *json);

#endif
