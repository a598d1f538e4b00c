/*  fuzz_filter.c - whatever a filter says, it is refused or means some series; "not"
    means the others; a pattern matches what a plain matcher says

    The input is a line of tags_search, a line of tags of a series, and a pattern.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=600

#include "fuzz.h"

//  What a reader and a series are is different in the server.
#define reader_t       store_reader_t
#define series_t       store_series_t
#define reader_new     store_reader_new
#define reader_destroy store_reader_destroy

#include "../../contrib/server/filter.c"

//  By trying everything, for short texts only.
static bool
s_matches (const char *pattern, const char *text)
{
    if (!*pattern)
        return !*text;
    if (*pattern == '*')
        return s_matches (pattern + 1, text)
               || (*text && s_matches (pattern, text + 1));
    return *text && s_same_letter (*pattern, *text)
           && s_matches (pattern + 1, text + 1);
}

static void
s_check_pattern (const char *pattern, const char *text)
{
    bool matches;
    if (strlen (pattern) > 12 || strlen (text) > 24)
        return;
    matches = pattern_match (pattern, text, strlen (text));
    CHECK (matches == s_matches (pattern, text));
}

//  Returns 1 or 0, or -1 if the filter is refused.
static int
s_means (const char *search, const series_t *series)
{
    filter_t *filter = filter_new ();
    const char *wrong = filter_search (filter, search);
    int means = wrong ? -1 : filter_match (filter, series);
    CHECK (!wrong || *wrong);
    filter_destroy (&filter);
    return means;
}

static void
s_check_search (const char *search, const series_t *series)
{
    char *negated = (char *) malloc (strlen (search) + 8);
    int means = s_means (search, series), other;
    sprintf (negated, "not (%s)", search);
    other = s_means (negated, series);
    //  it may be too long, or too deep, with one more
    if (means != -1 && other != -1)
        CHECK (means != other);
    free (negated);
}

static void
s_check_tags (const char *key, const char *pattern, const series_t *series)
{
    filter_t *filter = filter_new ();
    span_t value;
    if (!filter_tag (filter, key, pattern)) {
        bool has = series_tag (series, key + (*key == '!'), &value);
        bool means = filter_match (filter, series);
        CHECK (!means || has == (*key != '!'));
    }
    filter_destroy (&filter);
}

static void
fuzz (const char *text, size_t size)
{
    char *copy = strndup (text, size), *rest = copy;
    const char *search = strsep (&rest, "\n");
    const char *tags = rest ? strsep (&rest, "\n") : "";
    const char *pattern = rest ? rest : "*";
    series_t series = {.source = pattern, .tags = tags};
    buffer_t out = {NULL, 0, 0};
    s_check_pattern (pattern, search);
    s_check_search (search, &series);
    s_check_tags (search, pattern, &series);
    series_tags_write (&out, &series);
    buffer_clear (&out);
    free (copy);
}
