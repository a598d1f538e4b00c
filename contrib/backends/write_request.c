/*  write_request - rows as a request of remote write. The contract is in
    write_request.h.

    Sections: samples, classic and native histograms, rows.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "write_request.h"

#include <czmq.h>

enum {
    MS_NS = 1000000,
    REQUEST_SERIES = 1,
    SERIES_LABEL = 1,
    SERIES_SAMPLE = 2,
    SERIES_HISTOGRAM = 4,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    SAMPLE_VALUE = 1,
    SAMPLE_TIME = 2,
    HISTOGRAM_TIME = 15
};

//  A value that says that the series has ended: one of many that are no number
//  (github.com/prometheus/prometheus, model/value/value.go).
#define STALE UINT64_C (0x7ff0000000000002)

static const prom_native_t s_native = {.count = 1,
                                       .sum = 3,
                                       .schema = 4,
                                       .zero_threshold = 5,
                                       .zero_count = 6,
                                       .span = 11,
                                       .delta = 12};

//  What is being written of a row. Its series have the same labels, but for two: the
//  name and, of a classic bucket, its bound. Labels ascend, so they are in three
//  pieces, and each is encoded once.
enum { BEFORE_NAME, BEFORE_BOUND, BEHIND, PIECES };

typedef struct {
    buffer_t *out;
    const zb_row_t *row;
    bool zero;
    buffer_t *labels;
    size_t piece_end[PIECES];  //  in labels
    char name[PROM_NAME_MAX];
} writing_t;

static const char s_key_name[] = "__name__", s_key_bound[] = "le";

//  --------------------------------------------------------------------------
//  Samples

//  A start has a part of a second, and falls behind the flush before.
bool
write_begins (const zb_row_t *row)
{
    return row->total && !row->ends && row->total->start_ns >= row->start_ns;
}

//  Behind the last sample of an older start, which may be of the same millisecond, and
//  before the first one of this.
static int64_t
s_zero_ms (const zb_row_t *row)
{
    int64_t start = row->total->start_ns / MS_NS + 1;
    int64_t before = row->time_ns / MS_NS - 1;
    return start < before ? start : before;
}

static void
s_write_sample (buffer_t *out, double value, bool ends, int64_t ms)
{
    size_t sample = protobuf_begin (out, SERIES_SAMPLE);
    if (ends)
        protobuf_fixed (out, SAMPLE_VALUE, STALE);
    else
        protobuf_double (out, SAMPLE_VALUE, value);
    protobuf_unsigned (out, SAMPLE_TIME, (uint64_t) ms);
    protobuf_end (out, sample);
}

static void
s_write_label (buffer_t *out, const char *name, const char *value)
{
    size_t label = protobuf_begin (out, SERIES_LABEL);
    protobuf_text (out, LABEL_NAME, name);
    protobuf_text (out, LABEL_VALUE, value);
    protobuf_end (out, label);
}

static void
writing_encode_labels (writing_t *self, const char *worker)
{
    const char *const ends[PIECES - 1] = {s_key_name, s_key_bound};
    zb_tag_t labels[PROM_LABELS_MAX];
    size_t count = prom_labels (self->row, worker, labels), i = 0;
    for (int piece = 0; piece < PIECES; piece++) {
        for (; i < count
               && (piece == BEHIND || strcmp (labels[i].key, ends[piece]) < 0);
             i++)
            s_write_label (self->labels, labels[i].key, labels[i].value);
        self->piece_end[piece] = self->labels->size;
    }
}

static void
writing_add_piece (writing_t *self, int piece)
{
    size_t begin = piece ? self->piece_end[piece - 1] : 0;
    if (self->piece_end[piece] > begin)
        buffer_add (self->out, self->labels->text + begin,
                    self->piece_end[piece] - begin);
}

//  A series begins, with all its labels.
static size_t
writing_begin (writing_t *self, const char *suffix, const char *bound)
{
    char name[PROM_NAME_MAX + 16];
    size_t series = protobuf_begin (self->out, REQUEST_SERIES);
    snprintf (name, sizeof name, "%s%s", self->name, suffix);
    writing_add_piece (self, BEFORE_NAME);
    s_write_label (self->out, s_key_name, name);
    writing_add_piece (self, BEFORE_BOUND);
    if (bound)
        s_write_label (self->out, s_key_bound, bound);
    writing_add_piece (self, BEHIND);
    return series;
}

static void
writing_number (writing_t *self, const char *suffix, const char *bound,
                double value)
{
    size_t series = writing_begin (self, suffix, bound);
    if (self->zero)
        s_write_sample (self->out, 0, false, s_zero_ms (self->row));
    s_write_sample (self->out, value, self->row->ends,
                    self->row->time_ns / MS_NS);
    protobuf_end (self->out, series);
}

//  --------------------------------------------------------------------------
//  Classic and native histograms

static void
writing_classic (writing_t *self)
{
    const zb_total_t *total = self->row->total;
    uint64_t counts[PROM_BOUNDS];
    prom_classic (total->buckets, total->bucket_count, counts);
    for (size_t i = 0; i < PROM_BOUNDS; i++)
        writing_number (self, "_bucket", prom_bound_text (i),
                        (double) counts[i]);
    writing_number (self, "_bucket", "+Inf", (double) total->count);
    writing_number (self, "_sum", NULL, total->sum);
    writing_number (self, "_count", NULL, (double) total->count);
}

static void
s_write_histogram (buffer_t *out, const zb_total_t *total, int64_t ms)
{
    size_t histogram = protobuf_begin (out, SERIES_HISTOGRAM);
    prom_native (out, &s_native, total->sum, total->buckets,
                 total->bucket_count);
    protobuf_unsigned (out, HISTOGRAM_TIME, (uint64_t) ms);
    protobuf_end (out, histogram);
}

//  Of one that ends the sum is what says so.
static void
writing_native (writing_t *self)
{
    static const uint64_t stale = STALE;
    size_t series = writing_begin (self, "", NULL);
    zb_total_t none = {.sum = 0};
    if (self->zero)
        s_write_histogram (self->out, &none, s_zero_ms (self->row));
    if (self->row->ends)
        memcpy (&none.sum, &stale, sizeof none.sum);
    s_write_histogram (self->out, self->row->ends ? &none : self->row->total,
                       self->row->time_ns / MS_NS);
    protobuf_end (self->out, series);
}

//  --------------------------------------------------------------------------
//  Rows

void
write_request_add (buffer_t *out, const write_form_t *form, const zb_row_t *row)
{
    static buffer_t labels;  //  its memory is used again
    writing_t self = {.out = out,
                      .row = row,
                      .zero = form->zeros && write_begins (row),
                      .labels = &labels};
    labels.size = 0;
    writing_encode_labels (&self, form->worker);
    prom_name (row, self.name);
    if (row->type == ZB_TYPE_GAUGE || !row->total)
        writing_number (&self, "", NULL, row->last);
    else if (row->type == ZB_TYPE_COUNTER)
        writing_number (&self, "", NULL, row->total->value);
    else if (form->native)
        writing_native (&self);
    else
        writing_classic (&self);
}
