/*  request - rows on their way. The contract is in request.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "request.h"

#include <czmq.h>

request_t *
request_new (void)
{
    request_t *self = (request_t *) zmalloc (sizeof *self);
    assert (self);
    return self;
}

void
request_destroy (request_t **self_p)
{
    if (*self_p) {
        free ((*self_p)->text);
        free ((*self_p)->reason);
        free ((*self_p)->at_fault);
    }
    free (*self_p);
    *self_p = NULL;
}

void
request_add (request_t *self, const char *text, size_t size)
{
    if (self->size + size + 1 > self->max) {
        self->max = (self->max + size + 1) * 2;
        self->text = (char *) realloc (self->text, self->max);
        assert (self->text);
    }
    memcpy (self->text + self->size, text, size);
    self->text[self->size + size] = '\n';
    self->size += size + 1;
    self->rows++;
}

size_t
request_cost (const request_t *self)
{
    return self->filed ? (self->size / 4096 + 1) * 4096 : self->size;
}

int
request_load (request_t *self, spool_t *spool)
{
    if (!self->text && spool)
        self->text = spool_request_read (spool, self->name, &self->size);
    return self->text ? 0 : -1;
}

void
request_unload (request_t *self)
{
    if (self->filed) {
        free (self->text);
        self->text = NULL;
    }
}

void
request_file (request_t *self, spool_t *spool)
{
    self->filed = spool_request_write (spool, self->name, self->text,
                                       self->size, self->rows)
                  == 0;
    request_unload (self);
}

//  A name has room for so many letters that halves of halves never need more,
//  but marks may.
enum { MARKS_NAME_MAX = SPOOL_NAME_MAX - 26 };

request_t *
request_half (const request_t *self, char which, const char *marks)
{
    request_t *half = request_new ();
    const char *row = self->text, *end;
    size_t i, middle = self->rows / 2;
    if (strlen (self->name) > MARKS_NAME_MAX)
        marks = NULL;
    for (i = 0; i < self->rows; i++, row = end + 1) {
        bool first = marks ? !marks[i] : i < middle;
        end = strchr (row, '\n');
        if (first == (which == 'a'))
            request_add (half, row, (size_t) (end - row));
    }
    snprintf (half->name, sizeof half->name, "%.90s%c", self->name, which);
    half->blame = self->blame;
    return half;
}
