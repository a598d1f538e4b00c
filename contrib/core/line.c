/*  line - text of the wire to zb_line_t. The contract is in line.h, the format
    in zibrato.h, section 3.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "line.h"

#include "decimal.h"
#include "split.h"
#include "tags.h"

#include <ctype.h>
#include <czmq.h>
#include <math.h>

//  What a measurement may have, so that one cannot spoil the others of its row.
//
//  A number: sums of such, and of their squares, stay finite. It is also the
//  API's own limit (Librato API documentation, "Metrics": 1e126).
#define VALUE_MAX 1e126
//  Unix seconds, below the year 5138: what is later is milliseconds.
#define TIME_MAX 100000000000

//  Of a state or reading; a classic line has one less.
enum { LINE_FIELDS = 7 };

//  Whole ones of few digits are nearly all counts.
static inline int
s_value (span_t span, double *value)
{
    const char *c = span.text;
    uint64_t whole = 0;
    if (span.size <= 15 && s_digits (&c, c + span.size, &whole) == span.size
        && span.size) {
        *value = (double) whole;
        return 0;
    }
    return s_number (span, value) == -1 || fabs (*value) > VALUE_MAX ? -1 : 0;
}

//  Reads digits, and behind a point `places` more, of which there are nine at most
//  in nearly all times and durations: *ns is 0 if not. Returns how many digits are
//  before the point.
static inline size_t
s_plain (const char **c, const char *end, uint64_t *seconds, uint32_t *ns,
         size_t *places)
{
    static const uint32_t powers[] = {1000000000, 100000000, 10000000, 1000000,
                                      100000,     10000,     1000,     100,
                                      10,         1};
    uint64_t fraction = 0;
    size_t digits;
    *seconds = *places = 0;
    digits = s_digits (c, end, seconds);
    if (*c < end && **c == '.') {
        ++*c;
        *places = s_digits (c, end, &fraction);
    }
    *ns = *places <= 9 ? (uint32_t) fraction * powers[*places] : 0;
    return digits;
}

//  A division of 128 bits is a call, even if they are few.
static inline zb_ns_t
s_tenth (zb_ns_t number)
{
    return number >> 64 ? number / 10 : (uint64_t) number / 10;
}

//  Seconds as nanoseconds, rounded; -1 if negative, or beyond ZB_NS_MAX. Up to
//  that a factor of 10^9 always has room.
static int
s_nanoseconds_any (span_t span, zb_ns_t *ns)
{
    static const uint32_t powers[] = {1,         10,        100,     1000,
                                      10000,     100000,    1000000, 10000000,
                                      100000000, 1000000000};
    decimal_t number;
    int places, step;
    if (s_decimal (span, &number) == -1 || (number.negative && number.digits))
        return -1;
    for (places = number.exponent + 9; places > 0 && number.digits;
         places -= step) {
        if (number.digits > ZB_NS_MAX)
            return -1;
        step = places < 9 ? places : 9;
        number.digits *= powers[step];
    }
    for (; places < -1 && number.digits; places++)
        number.digits = s_tenth (number.digits);
    if (places == -1)
        number.digits = s_tenth (number.digits + 5);
    else if (places == 0)
        number.digits += number.next >= 5;
    *ns = number.digits;
    return number.digits > ZB_NS_MAX ? -1 : 0;
}

//  The same, quickly if they are plain, and less than 32 years. Returns where they
//  end, or NULL if they are anything else.
static inline const char *
s_nanoseconds_plain (const char *c, const char *end, zb_ns_t *ns)
{
    uint64_t seconds;
    uint32_t fraction;
    size_t places, digits = s_plain (&c, end, &seconds, &fraction, &places);
    *ns = seconds * 1000000000 + fraction;
    return digits == 0 || digits > 9 || places > 9 ? NULL : c;
}

static inline int
s_nanoseconds (span_t span, zb_ns_t *ns)
{
    const char *end = span.text + span.size;
    return s_nanoseconds_plain (span.text, end, ns) == end
             ? 0
             : s_nanoseconds_any (span, ns);
}

//  Takes plain digits off the rest: a number of samples or reports has no sign,
//  blank or exponent.
static inline int
s_integer (span_t *rest, uint64_t *value)
{
    const char *c = rest->text;
    size_t size;
    *value = 0;
    while (c < rest->text + rest->size && *c == '0')
        c++;
    if (s_digits (&c, rest->text + rest->size, value) > DIGITS_SAFE
        || *value > LINE_INTEGER_MAX)
        return -1;
    size = (size_t) (c - rest->text);
    rest->text += size;
    rest->size -= size;
    return size ? 0 : -1;
}

//  Takes this character off the rest, or returns -1.
static inline int
s_skip (span_t *rest, char c)
{
    if (!rest->size || *rest->text != c)
        return -1;
    rest->text++;
    rest->size--;
    return 0;
}

//  Takes a field and the colon behind it off the rest, or returns -1.
static int
s_field (span_t *rest, span_t *field)
{
    const char *colon = memchr (rest->text, ':', rest->size);
    field->text = rest->text;
    field->size = colon ? (size_t) (colon - rest->text) : rest->size;
    rest->text += field->size;
    rest->size -= field->size;
    return s_skip (rest, ':');
}

//  Takes seconds and the colon behind them off the rest.
static inline int
s_nanoseconds_next (span_t *rest, zb_ns_t *ns)
{
    const char *end = rest->text + rest->size;
    const char *c = s_nanoseconds_plain (rest->text, end, ns);
    span_t field;
    if (!c || c == end || *c != ':')
        return s_field (rest, &field) == -1 ? -1
                                            : s_nanoseconds_any (field, ns);
    *rest = (span_t){c + 1, (size_t) (end - c) - 1};
    return 0;
}

//  The same of one sample, for which 292 years are enough.
static inline int
s_sample_next (span_t *rest, int64_t *ns)
{
    zb_ns_t any;
    if (s_nanoseconds_next (rest, &any) == -1 || any > INT64_MAX)
        return -1;
    *ns = (int64_t) any;
    return 0;
}

//  1 to `most` bytes, none a control character; clean: none is anywhere.
static inline int
s_text (span_t span, int clean, size_t most)
{
    size_t i;
    for (i = 0; !clean && i < span.size; i++)
        if ((unsigned char) span.text[i] < 0x20 || span.text[i] == 0x7f)
            return -1;
    return span.size >= 1 && span.size <= most ? 0 : -1;
}

static inline int
s_label (span_t span, int clean)
{
    return s_text (span, clean, LINE_LABEL_MAX);
}

//  Only a name with tags may be longer than other labels. Few are, so nobody
//  looks for tags in the others.
static inline int
s_name (span_t span, int clean)
{
    if (s_text (span, clean, LINE_NAME_MAX) == -1)
        return -1;
    return span.size <= LINE_LABEL_MAX
               || tags_name_size (span.text, span.size) <= LINE_LABEL_MAX
             ? 0
             : -1;
}

static const struct {
    const char *name, *lower;
    size_t size;
    zb_type_t type;
} s_types[] = {{"Counter", "counter", 7, ZB_TYPE_COUNTER},
               {"Timer", "timer", 5, ZB_TYPE_TIMER},
               {"Gauge", "gauge", 5, ZB_TYPE_GAUGE}};

enum {
    TYPES = sizeof s_types / sizeof *s_types,
    BUCKET_DIGITS = 6,  //  of an index, more than any has
    BUCKET_LEAST = 4    //  bytes of a bucket: "0=1,"
};

//  In any case and with a plural s, since the Python package guessed at types
//  and its users came to rely on that.
static int
s_type_loose (span_t span, zb_type_t *type)
{
    size_t i, size;
    for (i = 0; i < TYPES; i++) {
        size = s_types[i].size;
        if (span.size >= size && span.size <= size + 1
            && strncasecmp (span.text, s_types[i].lower, size) == 0
            && (span.size == size
                || tolower ((unsigned char) span.text[size]) == 's')) {
            *type = s_types[i].type;
            return 0;
        }
    }
    return -1;
}

//  Most write it as we do.
static inline int
s_type (span_t span, zb_type_t *type)
{
    size_t i;
    for (i = 0; i < TYPES; i++)
        if (span.size == s_types[i].size
            && memcmp (span.text, s_types[i].name, 4) == 0
            && memcmp (span.text + span.size - 4,
                       s_types[i].name + s_types[i].size - 4, 4)
                 == 0) {
            *type = s_types[i].type;
            return 0;
        }
    return s_type_loose (span, type);
}

//  Reads "i=n" and the comma behind it. Returns where the next one begins, or
//  NULL if it is none. There are so many to a line that they take as long as all
//  the rest: so it is kept plain, and its numbers stay in registers.
static inline const char *
s_bucket (const char *c, const char *end, bucket_t *bucket)
{
    uint64_t index = 0, count = 0;
    int negative = *c == '-';
    size_t digits;
    c += negative;
    digits = s_digits (&c, end, &index);
    if (digits == 0 || digits > BUCKET_DIGITS || c == end || *c++ != '=')
        return NULL;
    digits = s_digits (&c, end, &count);
    if (digits == 0 || digits > DIGITS_SAFE || count > LINE_INTEGER_MAX)
        return NULL;
    bucket->index = negative ? -(int) index : (int) index;
    bucket->count = count;
    return c == end || (*c++ == ',' && c < end) ? c : NULL;
}

//  Ascending buckets that a duration can have, each `step` behind the one before
//  it. Returns how many there are, or -1.
static inline int
s_buckets_read (span_t text, bucket_t *bucket, int step)
{
    const char *c = text.text, *end = text.size ? c + text.size : c;
    int count, next = BUCKET_MIN;
    for (count = 0; c < end; count++, bucket += step) {
        c = s_bucket (c, end, bucket);
        if (!c || bucket->index < next || bucket->index > BUCKET_MAX)
            return -1;
        next = bucket->index + 1;
    }
    return count;
}

static int
s_buckets (span_t text)
{
    bucket_t any;
    return s_buckets_read (text, &any, 0) == -1 ? -1 : 0;
}

int
line_buckets (const zb_line_t *line, hist_t *hist)
{
    span_t text = {line->buckets, line->buckets_size};
    bucket_t *bucket = hist_room (hist, text.size / BUCKET_LEAST + 1);
    int count = s_buckets_read (text, bucket, 1);
    hist->size = count == -1 ? 0 : (uint32_t) count;
    return count == -1 ? -1 : 0;
}

//  COUNT:SUM:SUMSQ:MIN:MAX:BUCKETS, behind the others.
static int
s_stream_timer (span_t rest, zb_line_t *line)
{
    span_t squares;
    if (s_integer (&rest, &line->count) == -1 || s_skip (&rest, ':') == -1
        || s_nanoseconds_next (&rest, &line->sum_ns) == -1
        || s_field (&rest, &squares) == -1
        || s_value (squares, &line->sum_squares) == -1
        || s_sample_next (&rest, &line->min_ns) == -1
        || s_sample_next (&rest, &line->max_ns) == -1)
        return -1;
    line->buckets = rest.text;
    line->buckets_size = rest.size;
    return 0;
}

//  SEQ..., behind the ID of the seventh field.
static int
s_stream_numbers (span_t rest, zb_line_t *line)
{
    if (s_integer (&rest, &line->seq) == -1)
        return -1;
    line->sent_given = line->type == ZB_TYPE_GAUGE && rest.size;
    if (line->type == ZB_TYPE_GAUGE)
        return line->sent_given
                   && (s_skip (&rest, ':') == -1
                       || s_integer (&rest, &line->sent) == -1 || rest.size)
                 ? -1
                 : 0;
    if (s_skip (&rest, ':') == -1 || s_integer (&rest, &line->first) == -1
        || s_skip (&rest, ':') == -1 || line->first > line->seq)
        return -1;
    return line->type == ZB_TYPE_COUNTER ? s_value (rest, &line->total)
                                         : s_stream_timer (rest, line);
}

//  ID:SEQ..., the seventh field.
static int
s_stream (span_t rest, int clean, zb_line_t *line)
{
    span_t id;
    if (s_field (&rest, &id) == -1 || s_label (id, clean) == -1)
        return -1;
    line->id = id.text;
    line->id_size = id.size;
    return s_stream_numbers (rest, line);
}

//  Unix seconds, and the nanoseconds that nine decimals say.
static int
s_time (span_t span, zb_line_t *line)
{
    uint64_t seconds;
    uint32_t ns;
    const char *c = span.text, *end = c + span.size;
    size_t places, digits = s_plain (&c, end, &seconds, &ns, &places);
    double value;
    if (digits && digits <= 11 && c == end) {
        line->time = (int64_t) seconds;
        line->time_ns = (int32_t) ns;
        return 0;
    }
    if (s_number (span, &value) == -1 || value < 0 || value >= TIME_MAX)
        return -1;
    line->time = (int64_t) value;
    line->time_ns = 0;
    return 0;
}

//  What a classic line has not. Word by word, which is faster than a call or
//  a loop of the processor's own.
static inline void
s_clear (zb_line_t *line)
{
    line->id = line->buckets = NULL;
    line->id_size = line->buckets_size = 0;
    line->value = line->total = line->sum_squares = 0;
    line->value_ns = line->sum_ns = 0;
    line->min_ns = line->max_ns = 0;
    line->seq = line->first = line->sent = line->count = 0;
    line->sent_given = line->recent_given = line->by_flush = 0;
    line->recent = 0;
    line->age_ms = -1;
}

static inline int
s_line_value (span_t span, zb_line_t *line)
{
    return line->type == ZB_TYPE_TIMER ? s_nanoseconds (span, &line->value_ns)
                                       : s_value (span, &line->value);
}

//  Reads level and type, if they are those of the line before, or another type.
//  Returns their size with the bars, or 0.
static inline size_t
s_head_like (const char *text, size_t size, zb_line_t *line,
             const zb_line_t *before)
{
    size_t level = before->level_size + 1;
    size_t head = (size_t) (before->name - before->level);
    const char *bar;
    line->type = before->type;
    if (size >= head && memcmp (text, before->level, head) == 0)
        return head;
    if (size < level || memcmp (text, before->level, level) != 0)
        return 0;
    bar = memchr (text + level, '|', size - level);
    return bar
               && s_type ((span_t){text + level, (size_t) (bar - text) - level},
                          &line->type)
                    == 0
             ? (size_t) (bar - text) + 1
             : 0;
}

//  What is as it was in the line before: level, and the tail, which is here now.
static inline void
s_tail_like (const char *tail, zb_line_t *line, const zb_line_t *before)
{
    line->level_size = before->level_size;
    line->time = before->time;
    line->time_ns = before->time_ns;
    line->tail = tail;
    line->tail_size = before->tail_size;
    line->source = tail + (before->source - before->tail);
    line->source_size = before->source_size;
    if (before->id) {
        line->id = tail + (before->id - before->tail);
        line->id_size = before->id_size;
    }
}

//  Nearly all lines have the level, time, source and ID of the one before: then
//  only type, name and numbers are left to read. Returns -1 if this is none of
//  those, or if anything is wrong.
static inline int
line_read_like (const char *text, size_t size, zb_line_t *line,
                const zb_line_t *before)
{
    size_t head = s_head_like (text, size, line, before);
    split_t split;
    span_t rest;
    if (!head)
        return -1;
    s_split (&split, text + head, size - head, 2);
    rest.text = split.begin;
    rest.size = (size_t) (text + size - rest.text);
    if (split.bars != 2 || split.controls || rest.size < before->tail_size
        || memcmp (rest.text, before->tail, before->tail_size) != 0)
        return -1;
    s_clear (line);
    line->level = text;
    line->name = split.field[0].text;
    line->name_size = split.field[0].size;
    s_tail_like (rest.text, line, before);
    rest.text += before->tail_size;
    rest.size -= before->tail_size;
    return s_name (split.field[0], 1) == -1
               || s_line_value (split.field[1], line) == -1
               || (line->id ? s_stream_numbers (rest, line) == -1
                            : rest.size > 0)
             ? -1
             : 0;
}

//  Where time, source and ID end, with what ends the ID.
static inline const char *
s_tail_end (const zb_line_t *line)
{
    return line->id ? line->id + line->id_size + 1
                    : line->source + line->source_size;
}

static const char *
line_read_any (const char *text, size_t size, zb_line_t *line)
{
    split_t split;
    const span_t *field = split.field;
    int clean;
    if (!size)
        return "empty line";
    s_split (&split, text, size, LINE_FIELDS);
    if (split.bars < LINE_FIELDS - 2)
        return "too few fields";
    if (split.bars == LINE_FIELDS)
        return "too many fields";
    clean = !split.controls;
    s_clear (line);
    if (s_label (field[0], clean) == -1)
        return "bad level";
    if (s_type (field[1], &line->type) == -1)
        return "unknown type";
    if (s_name (field[2], clean) == -1)
        return "bad name";
    if (s_line_value (field[3], line) == -1)
        return "bad value";
    if (s_time (field[4], line) == -1)
        return "bad time";
    if (s_label (field[5], clean) == -1)
        return "bad source";
    if (split.bars == LINE_FIELDS - 1 && s_stream (field[6], clean, line) == -1)
        return "bad stream";
    line->level = field[0].text;
    line->level_size = field[0].size;
    line->name = field[2].text;
    line->name_size = field[2].size;
    line->source = field[5].text;
    line->source_size = field[5].size;
    line->tail = field[4].text;
    line->tail_size = (size_t) (s_tail_end (line) - line->tail);
    return NULL;
}

const char *
line_read (const char *text, size_t size, zb_line_t *line,
           const zb_line_t *before)
{
    return before && line_read_like (text, size, line, before) == 0
             ? NULL
             : line_read_any (text, size, line);
}

const char *
line_parse (const char *text, size_t size, zb_line_t *line)
{
    const char *wrong = line_read (text, size, line, NULL);
    if (wrong)
        return wrong;
    return s_buckets ((span_t){line->buckets, line->buckets_size}) == -1
             ? "bad stream"
             : NULL;
}

//  --------------------------------------------------------------------------
//  Labels and fields that are in no line

int
line_label_ok (const char *text, size_t size)
{
    return s_label ((span_t){text, size}, 0) == 0 && !memchr (text, '|', size);
}

int
line_name_ok (const char *text, size_t size)
{
    return s_name ((span_t){text, size}, 0) == 0 && !memchr (text, '|', size);
}

span_t
line_field (span_t *rest)
{
    const char *bar = memchr (rest->text, '|', rest->size);
    span_t field = {rest->text, bar ? (size_t) (bar - rest->text) : rest->size};
    rest->text += field.size + (bar != NULL);
    rest->size -= field.size + (bar != NULL);
    return field;
}
