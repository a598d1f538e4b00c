/*  buffer - bytes that grow at their end

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BUFFER_H
#define ZB_BUFFER_H

#include <stddef.h>

//  All zero at first: it is empty.
typedef struct {
    char *text;  //  not terminated
    size_t size, max;
} buffer_t;

//  Has room for so many bytes more. Returns where they are to be written; size is
//  up to the caller.
char *buffer_room (buffer_t *self, size_t more);

void buffer_add (buffer_t *self, const void *bytes, size_t size);

//  A terminated text, without its end.
void buffer_add_text (buffer_t *self, const char *text);

void buffer_printf (buffer_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

//  The memory goes, too.
void buffer_clear (buffer_t *self);

#endif
