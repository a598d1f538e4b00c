/*  out - JSON into a buffer. The contract is in out.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "out.h"

#include "digits.h"
#include "utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

//  What stands before a value is a bracket, a colon, or another value.
static void
s_separate (buffer_t *self)
{
    if (self->size && !strchr ("{[:", self->text[self->size - 1]))
        buffer_add (self, ",", 1);
}

void
out_begin (buffer_t *self, char bracket)
{
    s_separate (self);
    buffer_add (self, &bracket, 1);
}

void
out_end (buffer_t *self, char bracket)
{
    buffer_add (self, &bracket, 1);
}

//  Of a character that may not stand in a text as it is.
static void
s_escape (buffer_t *self, char c)
{
    if (c == '"' || c == '\\')
        buffer_printf (self, "\\%c", c);
    else
        buffer_printf (self, "\\u%04x", (unsigned) (unsigned char) c);
}

void
out_text_of (buffer_t *self, const char *text, size_t size)
{
    char *copy = strndup (text, size), *at = copy;
    s_separate (self);
    buffer_add (self, "\"", 1);
    utf8_mend (copy);
    while (*at) {
        size_t plain = 0;
        while ((unsigned char) at[plain] >= ' ' && !strchr ("\"\\", at[plain]))
            plain++;
        buffer_add (self, at, plain);
        at += plain;
        if (*at)
            s_escape (self, *at++);
    }
    buffer_add (self, "\"", 1);
    free (copy);
}

void
out_text (buffer_t *self, const char *text)
{
    if (text)
        out_text_of (self, text, strlen (text));
    else
        out_raw (self, NULL);
}

void
out_key (buffer_t *self, const char *name)
{
    out_text (self, name);
    buffer_add (self, ":", 1);
}

void
out_number (buffer_t *self, double value)
{
    char digits[DIGITS_MAX];
    if (isfinite (value)) {
        s_separate (self);
        buffer_add (self, digits, digits_write (digits, value));
    }
    else
        out_raw (self, NULL);
}

void
out_integer (buffer_t *self, int64_t value)
{
    s_separate (self);
    buffer_printf (self, "%" PRId64, value);
}

void
out_integers (buffer_t *self, const out_member_t *member, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out_key (self, member[i].name);
        out_integer (self, member[i].value);
    }
}

void
out_bool (buffer_t *self, bool value)
{
    out_raw (self, value ? "true" : "false");
}

void
out_raw (buffer_t *self, const char *json)
{
    s_separate (self);
    buffer_add_text (self, json ? json : "null");
}
