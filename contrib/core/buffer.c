/*  buffer - bytes that grow at their end. The contract is in buffer.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *
buffer_room (buffer_t *self, size_t more)
{
    if (self->max - self->size < more) {
        self->max = (self->size + more) * 2;
        self->text = (char *) realloc (self->text, self->max);
        assert (self->text);
    }
    return self->text + self->size;
}

void
buffer_add (buffer_t *self, const void *bytes, size_t size)
{
    memcpy (buffer_room (self, size + 1), bytes, size);
    self->size += size;
}

void
buffer_add_text (buffer_t *self, const char *text)
{
    buffer_add (self, text, strlen (text));
}

void
buffer_printf (buffer_t *self, const char *format, ...)
{
    va_list args, again;
    int size;
    va_start (args, format);
    va_copy (again, args);
    size = vsnprintf (NULL, 0, format, args);
    assert (size >= 0);
    vsnprintf (buffer_room (self, (size_t) size + 1), (size_t) size + 1, format,
               again);
    self->size += (size_t) size;
    va_end (again);
    va_end (args);
}

void
buffer_clear (buffer_t *self)
{
    free (self->text);
    *self = (buffer_t){NULL, 0, 0};
}
