/*  api_measurements - measurements by tags, as clients read them

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"
#include "tagged.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

//  --------------------------------------------------------------------------
//  Series

static void
s_write_value (buffer_t *out, int64_t time_s, double value)
{
    out_begin (out, '{');
    out_key (out, "time");
    out_integer (out, time_s);
    out_key (out, "value");
    out_number (out, value);
    out_end (out, '}');
}

static void
s_write_point (buffer_t *out, const summary_t *summary, const point_t *point)
{
    if (summary->of) {
        s_write_value (out, point->time_s, summary->of (point));
        return;
    }
    out_begin (out, '{');
    out_key (out, "time");
    out_integer (out, point->time_s);
    summary_write_all (out, point);
    out_end (out, '}');
}

static void
s_write_trace (buffer_t *out, const tagged_t *self, const trace_t *trace)
{
    out_key (out, "measurements");
    out_begin (out, '[');
    for (size_t i = 0, count; i < trace->count; i += count) {
        const trace_point_t *item = &trace->item[i];
        for (count = 1; i + count < trace->count
                        && item[count].point.time_s == item->point.time_s;
             count++) {
        }
        if (self->group)
            s_write_value (
              out, item->point.time_s,
              group_value (self->group, self->summary, item, count));
        else
            s_write_point (out, self->summary, &item->point);
    }
    out_end (out, ']');
}

//  All tags of a series, its source among them, or those of group_by.
static void
s_write_tags (buffer_t *out, const tagged_t *self, const series_t *series)
{
    span_t value;
    out_key (out, "tags");
    out_begin (out, '{');
    for (size_t i = 0; i < self->key_count; i++)
        if (series_tag (series, self->key[i], &value)) {
            out_key (out, self->key[i]);
            out_text_of (out, value.text, value.size);
        }
    if (!self->group)
        series_tags_write (out, series);
    out_end (out, '}');
}

//  A group is what has the same label.
typedef struct {
    char *label;
    const traces_item_t *item;
} member_t;

//  The values of the tags of group_by. Caller frees the return value.
static char *
s_label (const tagged_t *self, const series_t *series)
{
    buffer_t label = {NULL, 0, 0};
    span_t value;
    for (size_t i = 0; i < self->key_count; i++)
        if (series_tag (series, self->key[i], &value))
            buffer_printf (&label, "%.*s;", (int) value.size, value.text);
    buffer_add (&label, "", 1);
    return label.text;
}

static int
s_compare (const void *a, const void *b)
{
    const member_t *x = (const member_t *) a, *y = (const member_t *) b;
    int order = strcasecmp (x->label, y->label);
    return order ? order : (x->item > y->item) - (x->item < y->item);
}

static void
s_write_group (buffer_t *out, const tagged_t *self, const member_t *member,
               size_t count)
{
    trace_t trace = {.item = NULL};
    for (size_t i = 0; i < count; i++)
        trace_append (&trace, &member[i].item->trace, (uint32_t) i);
    trace_sort (&trace);
    if (trace.count) {
        out_begin (out, '{');
        s_write_tags (out, self, &member->item->series);
        s_write_trace (out, self, &trace);
        out_end (out, '}');
    }
    trace_clear (&trace);
}

//  Series are sorted by their labels, so each group is a run of them.
static void
s_write_groups (buffer_t *out, const tagged_t *self)
{
    size_t all = self->traces.count;
    member_t *member = (member_t *) calloc (all + 1, sizeof *member);
    assert (member);
    for (size_t i = 0; i < all; i++) {
        const traces_item_t *item = &self->traces.item[i];
        member[i] = (member_t){s_label (self, &item->series), item};
    }
    qsort (member, all, sizeof *member, s_compare);
    for (size_t i = 0, count; i < all; i += count) {
        for (count = 1;
             i + count < all
             && strcasecmp (member[i + count].label, member[i].label) == 0;
             count++) {
        }
        s_write_group (out, self, &member[i], count);
    }
    for (size_t i = 0; i < all; i++)
        free (member[i].label);
    free (member);
}

static void
s_write_series (buffer_t *out, const tagged_t *self)
{
    for (size_t i = 0; i < self->traces.count; i++) {
        const traces_item_t *item = &self->traces.item[i];
        if (!item->trace.count)
            continue;
        out_begin (out, '{');
        s_write_tags (out, self, &item->series);
        s_write_trace (out, self, &item->trace);
        out_end (out, '}');
    }
}

//  --------------------------------------------------------------------------
//  The next page: the same request, from a later time on

static void
s_encode (buffer_t *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++)
        if (strchr (plain, *text))
            buffer_add (out, text, 1);
        else
            buffer_printf (out, "%%%02X", (unsigned) (unsigned char) *text);
}

//  The time is said anew: "the last hour" is another one a minute later.
static void
s_take_parameter (void *argument, const char *name, const char *value)
{
    buffer_t *out = (buffer_t *) argument;
    if (strcmp (name, "start_time") == 0 || strcmp (name, "end_time") == 0
        || strcmp (name, "duration") == 0)
        return;
    s_encode (out, name);
    buffer_add (out, "=", 1);
    s_encode (out, value);
    buffer_add (out, "&", 1);
}

//  Relative to this server, whatever name it is known by.
static void
s_write_links (buffer_t *out, const tagged_t *self)
{
    buffer_t href = {NULL, 0, 0};
    out_key (out, "links");
    out_begin (out, '[');
    if (self->traces.next_s) {
        buffer_add_text (&href, web_path (self->request));
        buffer_add_text (&href, "/v1/measurements/");
        s_encode (&href, self->request->captured[0]);
        buffer_add (&href, "?", 1);
        web_parameters (self->request, s_take_parameter, &href);
        buffer_printf (&href, "start_time=%" PRId64 "&end_time=%" PRId64,
                       self->traces.next_s, self->interval.range.to_s - 1);
        out_begin (out, '{');
        out_key (out, "rel");
        out_text (out, "next");
        out_key (out, "href");
        out_text_of (out, href.text, href.size);
        out_end (out, '}');
        buffer_clear (&href);
    }
    out_end (out, ']');
}

//  --------------------------------------------------------------------------
//  The whole answer

static void
s_write (buffer_t *out, const tagged_t *self)
{
    int64_t resolution = self->interval.range.resolution_s;
    if (resolution < self->traces.resolution_s)
        resolution = self->traces.resolution_s;
    out_begin (out, '{');
    out_key (out, "series");
    out_begin (out, '[');
    if (self->group)
        s_write_groups (out, self);
    else
        s_write_series (out, self);
    out_end (out, ']');
    s_write_links (out, self);
    out_key (out, "resolution");
    out_integer (out, resolution);
    out_key (out, "name");
    out_text (out, self->request->captured[0]);
    out_end (out, '}');
}

void
api_measurements_get (web_request_t *request)
{
    tagged_t tagged;
    if (tagged_read (&tagged, request) == 0)
        s_write (&request->out, &tagged);
    tagged_clear (&tagged);
}

void
api_measurements_compose (web_request_t *request)
{
    if (!api_compose (request))
        web_error (request, 400, "compose", "is required");
}
