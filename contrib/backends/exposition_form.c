/*  exposition_form - which form a scrape gets, and whether a line is good. The contract
    is in exposition.h.

    Sections: which form, looking lines over.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "exposition.h"

#include "line.h"
#include "utf8.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  Which form

static const struct {
    exposition_form_t form;
    const char *media;
    const char *parameter, *value;  //  that must have the value, if it is there
    const char *type;
} s_forms[] = {{EXPOSITION_TEXT, "text/plain", "version", "0.0.4",
                "text/plain; version=0.0.4; charset=utf-8"},
               {EXPOSITION_OPENMETRICS, "application/openmetrics-text",
                "version", "1.0.0",
                "application/openmetrics-text; version=1.0.0; charset=utf-8"},
               {EXPOSITION_PROTOBUF, "application/vnd.google.protobuf",
                "encoding", "delimited",
                "application/vnd.google.protobuf; "
                "proto=io.prometheus.client.MetricFamily; encoding=delimited"}};

enum { FORMS = sizeof s_forms / sizeof *s_forms };

//  Takes a word up to one of these bytes, without blanks around it.
static span_t
s_word (const char **at, const char *ends)
{
    span_t word = {*at + strspn (*at, " \t"), 0};
    *at = word.text + strcspn (word.text, ends);
    word.size = (size_t) (*at - word.text);
    while (word.size && strchr (" \t\"", word.text[word.size - 1]))
        word.size--;
    if (word.size && *word.text == '"') {
        word.text++;
        word.size--;
    }
    return word;
}

static bool
s_is (span_t word, const char *text)
{
    return word.size == strlen (text)
           && strncasecmp (word.text, text, word.size) == 0;
}

//  Takes one range of media, and how much it is wanted. Returns its form, or -1.
static int
s_take_range (const char **at, double *weight)
{
    span_t media = s_word (at, ",;");
    int form = -1;
    *weight = 1;
    for (int i = 0; i < FORMS; i++)
        if (s_is (media, s_forms[i].media))
            form = i;
    while (**at == ';') {
        span_t name, value = {"", 0};
        ++*at;
        name = s_word (at, "=,;");
        if (**at == '=') {
            ++*at;
            value = s_word (at, ",;");
        }
        if (s_is (name, "q"))
            *weight = strtod (value.text, NULL);
        else if (form != -1 && s_is (name, s_forms[form].parameter)
                 && !s_is (value, s_forms[form].value))
            form = -1;
    }
    *at += **at == ',';
    return form;
}

exposition_form_t
exposition_negotiate (const char *accept)
{
    exposition_form_t best = EXPOSITION_TEXT;
    double most = 0, weight;
    while (accept && *accept) {
        int form = s_take_range (&accept, &weight);
        if (form != -1 && weight > most) {
            most = weight;
            best = s_forms[form].form;
        }
    }
    return best;
}

const char *
exposition_type (exposition_form_t form)
{
    return s_forms[form].type;
}

//  --------------------------------------------------------------------------
//  Looking lines over

static bool
s_is_word_byte (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_';
}

//  Each of these returns what is behind it, or NULL.
static const char *
s_check_word (const char *at)
{
    const char *start = at;
    if (*at >= '0' && *at <= '9')
        return NULL;
    while (s_is_word_byte (*at))
        at++;
    return at == start ? NULL : at;
}

static const char *
s_check_quoted (const char *at, const char *end)
{
    if (*at++ != '"')
        return NULL;
    while (at < end && *at != '"') {
        size_t size = 1;
        if (*at == '\n')
            return NULL;
        if (*at == '\\' && !strchr ("\\\"n", *++at))
            return NULL;
        if ((unsigned char) *at >= 0x80)
            size = utf8_size (at);
        if (!size)
            return NULL;
        at += size;
    }
    return at < end ? at + 1 : NULL;
}

static const char *
s_check_labels (const char *at, const char *end)
{
    do {
        at = s_check_word (at + 1);
        if (!at || *at != '=')
            return NULL;
        at = s_check_quoted (at + 1, end);
    } while (at && *at == ',');
    return at && *at == '}' ? at + 1 : NULL;
}

static const char *
s_check_number (const char *at)
{
    size_t size = strspn (at, "+-.0123456789eE");
    if (strncmp (at, "NaN", 3) == 0)
        size = 3;
    else if (size <= 1 && strncmp (at + size, "Inf", 3) == 0)
        size += 3;
    return size ? at + size : NULL;
}

bool
exposition_check (const char *lines, size_t size)
{
    const char *at = lines, *end = lines + size;
    while (at && at < end) {
        at = s_check_word (at);
        if (at && *at == '{')
            at = s_check_labels (at, end);
        if (at)
            at = *at == ' ' ? s_check_number (at + 1) : NULL;
        at = at && *at == '\n' ? at + 1 : NULL;
    }
    return at == end;
}
