/*  fuzz_exposition.c - whatever a name and a source are, a server takes the line that
    a scrape gets of them; and whatever a client accepts, it gets some form

    The input's first line is a name with tags, its second one a source. All of it is
    taken for a header Accept, too.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=2048

#include "fuzz.h"

#include "../../contrib/backends/exposition.h"
#include "../../contrib/backends/fitted.h"

//  What fits stays so.
static void
s_check_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    char again[ZB_NAME_MAX + 1];
    span_t tags;
    CHECK (prom_fit (text, is_source, fitted) == (strcmp (text, fitted) != 0));
    CHECK (*fitted && strlen (fitted) <= ZB_NAME_MAX);
    CHECK (prom_fit (fitted, is_source, again) == 0);
    if (!is_source)
        CHECK (tags_split (fitted, strlen (fitted), &tags).size <= 255);
}

//  Splits off the tags. Returns how many there are.
static size_t
s_split (char *name, zb_tag_t tags[PROM_LABELS_MAX])
{
    span_t rest;
    size_t count = 0, size = tags_split (name, strlen (name), &rest).size;
    tag_t tag;
    while (tags_next (&rest, &tag)) {
        tags[count].key = tag.key.text;
        tags[count++].value = tag.value.text;
        name[tag.key.text + tag.key.size - name] = 0;
    }
    for (size_t i = 0; i + 1 < count; i++)
        ((char *) (uintptr_t) tags[i + 1].key)[-1] = 0;
    name[size] = 0;
    return count;
}

static void
s_check_line (char *name, const char *source)
{
    zb_tag_t tags[PROM_LABELS_MAX];
    zb_total_t total = {.value = 1};
    zb_row_t row = {.type = ZB_TYPE_COUNTER,
                    .source = source,
                    .tags = tags,
                    .count = 1,
                    .total = &total};
    latest_t *latest = latest_new ("w", 0);
    exposition_t *exposition;
    const char *piece;
    size_t size;
    row.tag_count = s_split (name, tags);
    row.name = name;
    latest_put (latest, &row, 1, 0);
    exposition = exposition_new (latest, EXPOSITION_TEXT, false);
    size = exposition_next (exposition, &piece);
    //  two lines of comment, and the sample's
    for (int i = 0; i < 2; i++) {
        const char *end = memchr (piece, '\n', size);
        CHECK (end && *piece == '#');
        size -= (size_t) (end + 1 - piece);
        piece = end + 1;
    }
    CHECK (size && exposition_check (piece, size));
    exposition_destroy (&exposition);
    latest_destroy (&latest);
}

static void
fuzz (const char *text, size_t size)
{
    char *all = strndup (text, size), *source = all, *name, *fit, *fit_source;
    CHECK ((unsigned) exposition_negotiate (all) <= EXPOSITION_PROTOBUF);
    name = strsep (&source, "\n");
    if (*name && source && *source && strlen (name) <= ZB_NAME_MAX
        && strlen (source) <= LINE_LABEL_MAX
        && tags_name_size (name, strlen (name)) - 1 < LINE_LABEL_MAX) {
        fit = malloc (ZB_NAME_MAX + 1);
        fit_source = malloc (ZB_NAME_MAX + 1);
        s_check_fit (name, 0, fit);
        s_check_fit (source, 1, fit_source);
        s_check_line (fit, fit_source);
        free (fit);
        free (fit_source);
        fitted_forget ();
    }
    free (all);
}
