/*  api_metrics - which metrics there are

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <string.h>

//  --------------------------------------------------------------------------
//  A metric as clients read it

//  Increments of ours add up: a client that draws them must not average them,
//  unless somebody said so.
static void
s_attributes (buffer_t *out, const metric_t *metric)
{
    const char *own =
      metric->attributes && *metric->attributes ? metric->attributes : "{}";
    bool sums = metric->type == METRIC_INCREMENT
                && !strstr (own, "\"summarize_function\"");
    out_key (out, "attributes");
    if (!sums)
        out_raw (out, own);
    else {
        out_raw (out, "{\"summarize_function\":\"sum\"");
        buffer_add_text (out, strcmp (own, "{}") == 0 ? "" : ",");
        buffer_add_text (out, own + 1);
    }
}

void
api_metric_members (buffer_t *out, const metric_t *metric)
{
    out_key (out, "name");
    out_text (out, metric->name);
    out_key (out, "display_name");
    out_text (out, metric->display_name);
    out_key (out, "type");
    out_text (out, metric->type == METRIC_COUNTER ? "counter" : "gauge");
    s_attributes (out, metric);
    out_key (out, "description");
    out_text (out, metric->description);
    out_key (out, "period");
    if (metric->period_s)
        out_integer (out, metric->period_s);
    else
        out_raw (out, NULL);
    out_key (out, "source_lag");
    out_raw (out, NULL);
    out_key (out, "composite");
    out_text (out, metric->composite);
}

//  --------------------------------------------------------------------------
//  List

//  A page is written item by item, so that it can be turned round.
typedef struct {
    buffer_t item[API_PAGE_MAX];
    int64_t count;
} items_t;

static int
s_take_item (void *argument, const metric_t *metric)
{
    items_t *self = (items_t *) argument;
    buffer_t *out = &self->item[self->count++];
    out_begin (out, '{');
    api_metric_members (out, metric);
    out_end (out, '}');
    buffer_add (out, "", 1);
    return self->count == API_PAGE_MAX;
}

static int
s_take_none (void *argument, const metric_t *metric)
{
    (void) argument, (void) metric;
    return 1;
}

//  period and attributes are there even if they are null or empty: python-librato
//  fails without them.
static void
s_write_items (buffer_t *out, items_t *items, bool descending)
{
    out_key (out, "metrics");
    out_begin (out, '[');
    for (int64_t i = 0; i < items->count; i++) {
        buffer_t *item = &items->item[descending ? items->count - 1 - i : i];
        out_raw (out, item->text);
        buffer_clear (item);
    }
    out_end (out, ']');
}

//  The last page, backwards, is the first one.
static void
s_turn (page_t *page, int64_t found)
{
    page->offset = found - page->offset - page->length;
    if (page->offset < 0) {
        page->length += page->offset;
        page->offset = 0;
    }
}

//  Takes what is on the page. The store lists by name, ascending; "desc" is the same,
//  from its end. Returns how many there are in all, or -1.
static int64_t
s_take_page (reader_t *reader, const page_t *page, items_t *items,
             int64_t *found)
{
    page_t part = *page;
    int64_t total = reader_metrics (reader, "", 0, 0, s_take_none, NULL);
    *found = reader_metrics (reader, page->name, 0, 0, s_take_none, NULL);
    if (total == -1 || *found == -1)
        return -1;
    if (page->descending)
        s_turn (&part, *found);
    if (part.length > 0
        && reader_metrics (reader, part.name, part.offset, part.length,
                           s_take_item, items)
             == -1)
        return -1;
    return total;
}

//  In one moment, or metrics that come or go meanwhile would shift the page.
void
api_metrics_list (web_request_t *request)
{
    page_t page;
    items_t items = {.count = 0};
    int64_t total = -1, found;
    if (api_compose (request) || api_page (request, &page) == -1)
        return;
    if (reader_begin (request->reader) == 0) {
        total = s_take_page (request->reader, &page, &items, &found);
        reader_end (request->reader);
    }
    if (total == -1) {
        for (int64_t i = 0; i < items.count; i++)
            buffer_clear (&items.item[i]);
        api_failed (request);
        return;
    }
    out_begin (&request->out, '{');
    api_query (&request->out, &page, total, found, items.count);
    s_write_items (&request->out, &items, page.descending);
    out_end (&request->out, '}');
}
