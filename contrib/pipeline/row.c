/*  row - the text of a row. The contract is in row.h.

    Sections: the fields, writing, reading.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "row.h"

#include "decimal.h"
#include "digits.h"
#include "hist.h"
#include "row_json.h"
#include "tags.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  The fields

static const char *const s_types[] = {[ZB_TYPE_COUNTER] = "counter",
                                      [ZB_TYPE_TIMER] = "timer",
                                      [ZB_TYPE_GAUGE] = "gauge"};

enum { TYPES = sizeof s_types / sizeof *s_types };

typedef enum {
    FIELD_SECONDS,  //  int64_t, nanoseconds
    FIELD_NUMBER,   //  double
    FIELD_WHOLE,    //  uint64_t
    FIELD_FLAG,     //  int
    FIELD_BUCKETS   //  a pointer; the number of them comes next
} field_kind_t;

//  Where it is: in the row, or in its total.
typedef struct {
    const char *key;
    field_kind_t kind;
    size_t offset;
    bool of_total;
} field_t;

#define ROW_FIELD(key, kind, member)                                           \
    {                                                                          \
        key, kind, offsetof (zb_row_t, member), false                          \
    }
#define TOTAL_FIELD(key, kind, member)                                         \
    {                                                                          \
        key, kind, offsetof (zb_total_t, member), true                         \
    }

static const field_t s_fields[] = {
  ROW_FIELD ("start", FIELD_SECONDS, start_ns),
  ROW_FIELD ("count", FIELD_WHOLE, count),
  ROW_FIELD ("value", FIELD_NUMBER, value),
  ROW_FIELD ("last", FIELD_NUMBER, last),
  ROW_FIELD ("at", FIELD_SECONDS, last_ns),
  ROW_FIELD ("sum", FIELD_NUMBER, sum),
  ROW_FIELD ("min", FIELD_NUMBER, min),
  ROW_FIELD ("max", FIELD_NUMBER, max),
  ROW_FIELD ("squares", FIELD_NUMBER, sum_squares),
  ROW_FIELD ("buckets", FIELD_BUCKETS, buckets),
  ROW_FIELD ("signed", FIELD_FLAG, is_signed),
  ROW_FIELD ("ends", FIELD_FLAG, ends),
  TOTAL_FIELD ("since", FIELD_SECONDS, start_ns),
  TOTAL_FIELD ("total", FIELD_NUMBER, value),
  TOTAL_FIELD ("total_count", FIELD_WHOLE, count),
  TOTAL_FIELD ("total_sum", FIELD_NUMBER, sum),
  TOTAL_FIELD ("total_buckets", FIELD_BUCKETS, buckets)};

enum { FIELDS = sizeof s_fields / sizeof *s_fields };

//  What a row has whose other fields are not given: one sample, at its time.
static void
row_expect (zb_row_t *row)
{
    row->start_ns = row->last_ns = row->time_ns;
    row->count = 1;
    row->last = row->sum = row->min = row->max = row->value;
    row->sum_squares = row->value * row->value;
}

//  --------------------------------------------------------------------------
//  Writing

static void
s_write_buckets (buffer_t *text, const zb_bucket_t *bucket, size_t count)
{
    text->size += hist_write (buffer_room (text, count * HIST_TEXT_MAX), bucket,
                              count, ':');
}

//  The value of a field, but for buckets, in digits. Returns their size, 0 if it
//  is not finite.
static size_t
field_digits (const field_t *self, const void *value, char digits[DIGITS_MAX])
{
    if (self->kind == FIELD_SECONDS)
        return digits_write_seconds (digits, *(const int64_t *) value);
    if (self->kind == FIELD_WHOLE)
        return digits_write_whole (digits, *(const uint64_t *) value);
    if (self->kind == FIELD_FLAG)
        return digits_write_whole (digits, (uint64_t) * (const int *) value);
    if (!isfinite (*(const double *) value))
        return 0;
    return digits_write (digits, *(const double *) value);
}

//  The number of buckets stands next to the pointer to them.
static size_t *
s_bucket_count (const void *buckets)
{
    return (size_t *) ((zb_bucket_t **) buckets + 1);
}

//  Is there nothing to say?
static bool
field_same (const field_t *self, const void *value, const void *expected)
{
    if (self->kind == FIELD_SECONDS || self->kind == FIELD_WHOLE)
        return memcmp (value, expected, sizeof (int64_t)) == 0;
    if (self->kind == FIELD_NUMBER)
        return memcmp (value, expected, sizeof (double)) == 0;
    if (self->kind == FIELD_FLAG)
        return *(const int *) value == *(const int *) expected;
    return *s_bucket_count (value) == 0;
}

//  Appends " KEY=VALUE", if it is not what one would expect. Returns 0 or -1.
static int
field_write (const field_t *self, const void *from, const void *expected,
             buffer_t *text)
{
    const char *value = (const char *) from + self->offset;
    char digits[DIGITS_MAX];
    size_t size;
    if (field_same (self, value, (const char *) expected + self->offset))
        return 0;
    buffer_add (text, " ", 1);
    buffer_add_text (text, self->key);
    buffer_add (text, "=", 1);
    if (self->kind == FIELD_BUCKETS) {
        s_write_buckets (text, *(const zb_bucket_t *const *) value,
                         *s_bucket_count (value));
        return 0;
    }
    size = field_digits (self, value, digits);
    buffer_add (text, digits, size);
    return size ? 0 : -1;
}

static int
row_write_fields (const zb_row_t *row, buffer_t *text)
{
    static const zb_total_t no_total = {0};
    zb_row_t expected = {.time_ns = row->time_ns, .value = row->value};
    size_t i;
    row_expect (&expected);
    expected.value = 0;
    for (i = 0; i < FIELDS; i++) {
        const field_t *field = &s_fields[i];
        int rc = 0;
        if (!field->of_total)
            rc = field_write (field, row, &expected, text);
        else if (row->total)
            rc = field_write (field, row->total, &no_total, text);
        if (rc == -1)
            return -1;
    }
    return 0;
}

static void
row_write_tags (const zb_row_t *row, buffer_t *text)
{
    size_t i;
    for (i = 0; i < row->tag_count; i++) {
        buffer_add (text, ";", 1);
        buffer_add_text (text, row->tags[i].key);
        buffer_add (text, "=", 1);
        buffer_add_text (text, row->tags[i].value);
    }
}

int
row_write (const zb_row_t *row, buffer_t *text)
{
    size_t before = text->size;
    char digits[DIGITS_MAX];
    digits_write_seconds (digits, row->time_ns);
    buffer_add_text (text, s_types[row->type]);
    buffer_add (text, "|", 1);
    buffer_add_text (text, row->name);
    row_write_tags (row, text);
    buffer_add (text, "|", 1);
    buffer_add_text (text, row->source);
    buffer_add (text, "|", 1);
    buffer_add_text (text, digits);
    if (row_write_fields (row, text) == 0)
        return 0;
    text->size = before;
    return -1;
}

//  --------------------------------------------------------------------------
//  Reading. A function returns NULL, or what was expected.

static const char *
s_read_whole (const char **at, uint64_t *value)
{
    const char *begin = *at;
    uint64_t number = 0;
    for (; isdigit ((unsigned char) **at); ++*at) {
        unsigned digit = (unsigned) (**at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return "a smaller whole number";
        number = number * 10 + digit;
    }
    *value = number;
    return *at > begin ? NULL : "a whole number";
}

//  Seconds with up to nine decimals.
static const char *
s_read_seconds (const char **at, int64_t *ns)
{
    bool negative = **at == '-';
    uint64_t seconds, billionths = 0;
    int digits = 0;
    *at += negative;
    if (s_read_whole (at, &seconds) || seconds > INT64_MAX / 1000000000 - 1)
        return "Unix seconds";
    if (**at == '.')
        for (++*at; digits < 9 && isdigit ((unsigned char) **at); digits++)
            billionths = billionths * 10 + (unsigned) (*(*at)++ - '0');
    for (; digits < 9; digits++)
        billionths *= 10;
    *ns = (int64_t) (seconds * 1000000000 + billionths);
    *ns = negative ? -*ns : *ns;
    return NULL;
}

static const char *
s_read_number (const char **at, double *value)
{
    const char *end = strchr (*at, ' ');
    span_t span = {*at, end ? (size_t) (end - *at) : strlen (*at)};
    if (s_number (span, value) == -1)
        return "a finite number";
    *at += span.size;
    return NULL;
}

//  INDEX:COUNT,... The reader knows how many there may be in all.
static const char *
rows_read_buckets (rows_t *self, const char **at, void *member)
{
    static const char wrong[] = "INDEX:COUNT,... with rising indexes";
    zb_bucket_t *first = self->buckets + self->bucket_count, *bucket = first;
    for (;; bucket++, ++*at) {
        bool negative = **at == '-';
        uint64_t index;
        *at += negative;
        if (s_read_whole (at, &index) || index > INT16_MAX || *(*at)++ != ':'
            || s_read_whole (at, &bucket->count))
            return wrong;
        bucket->index = negative ? -(int) index : (int) index;
        if (bucket > first && bucket->index <= bucket[-1].index)
            return wrong;
        if (**at != ',')
            break;
    }
    *(zb_bucket_t **) member = first;
    *s_bucket_count (member) = (size_t) (bucket + 1 - first);
    self->bucket_count += (size_t) (bucket + 1 - first);
    return NULL;
}

static const char *
rows_read_value (rows_t *self, const field_t *field, const char **at,
                 void *member)
{
    uint64_t flag;
    const char *wrong;
    switch (field->kind) {
        case FIELD_SECONDS:
            return s_read_seconds (at, (int64_t *) member);
        case FIELD_NUMBER:
            return s_read_number (at, (double *) member);
        case FIELD_WHOLE:
            return s_read_whole (at, (uint64_t *) member);
        case FIELD_BUCKETS:
            return rows_read_buckets (self, at, member);
        default:
            wrong = s_read_whole (at, &flag);
            *(int *) member = !wrong && flag;
            return wrong;
    }
}

//  The field whose key and '=' are next, over which it steps; or NULL. They come
//  in the table's order, as a rule: looks from `first` on.
static const field_t *
s_find_field (const char **at, size_t first)
{
    size_t i;
    for (i = 0; i < FIELDS; i++) {
        const field_t *field = &s_fields[(first + i) % FIELDS];
        size_t size = strlen (field->key);
        if (strncmp (*at, field->key, size) == 0 && (*at)[size] == '=') {
            *at += size + 1;
            return field;
        }
    }
    return NULL;
}

//  One field into the row, or its total, which is made by its first.
static const char *
rows_read_field (rows_t *self, zb_row_t *row, const char **at, size_t *next)
{
    const field_t *field = s_find_field (at, *next);
    char *into = (char *) row;
    if (!field)
        return "KEY=VALUE of a row";
    if (field->of_total) {
        if (!row->total)
            row->total = &self->totals[self->total_count++];
        into = (char *) row->total;
    }
    *next = (size_t) (field - s_fields) + 1;
    return rows_read_value (self, field, at, into + field->offset);
}

//  All fields of a row: what is not given is as expected of the value.
static const char *
rows_read_fields (rows_t *self, zb_row_t *row, const char *at)
{
    static const char value_key[] = " value=";
    const char *value = strstr (at, value_key), *wrong = NULL;
    size_t next = 0;
    if (value) {
        value += strlen (value_key);
        wrong = s_read_number (&value, &row->value);
    }
    row_expect (row);
    while (!wrong && *at == ' ') {
        at++;
        wrong = rows_read_field (self, row, &at, &next);
    }
    return !wrong && *at ? "a blank between fields" : wrong;
}

//  Ends the texts of tags, which the name points to.
static void
rows_read_tags (rows_t *self, zb_row_t *row, char *name, size_t size)
{
    span_t rest, alone = tags_split (name, size, &rest);
    tag_t tag;
    row->name = name;
    row->tags = self->tags + self->tag_count;
    name[alone.size] = 0;
    while (tags_next (&rest, &tag)) {
        zb_tag_t *to = &self->tags[self->tag_count++];
        ((char *) tag.key.text)[tag.key.size] = 0;
        ((char *) tag.value.text)[tag.value.size] = 0;
        *to = (zb_tag_t){tag.key.text, tag.value.text};
        row->tag_count++;
    }
}

//  The text up to the next bar, which becomes its end; or NULL.
static char *
s_cell (char **rest)
{
    char *cell = *rest, *bar = strchr (cell, '|');
    if (!bar)
        return NULL;
    *bar = 0;
    *rest = bar + 1;
    return cell;
}

static const char *
rows_read_row (rows_t *self, zb_row_t *row, char *line)
{
    char *rest = line, *type, *name, *source;
    const char *at;
    size_t i;
    if (*line == '{')
        return row_read_json (row, line);
    if (!(type = s_cell (&rest)) || !(name = s_cell (&rest))
        || !(source = s_cell (&rest)))
        return "TYPE|NAME|SOURCE|TIME ...";
    for (i = ZB_TYPE_COUNTER; i < TYPES && !streq (type, s_types[i]); i++) {
    }
    if (i == TYPES)
        return "counter, timer or gauge";
    row->type = (zb_type_t) i;
    if (!line_name_ok (name, strlen (name)))
        return "a name of 1 to 255 bytes, 1023 with tags";
    if (!line_label_ok (source, strlen (source)))
        return "a source of 1 to 255 bytes";
    row->source = source;
    at = rest;
    if (s_read_seconds (&at, &row->time_ns))
        return "Unix seconds";
    rows_read_tags (self, row, name, strlen (name));
    return rows_read_fields (self, row, at);
}

//  At most so many tags and buckets there are: one behind each ';' and ',', and
//  the first ones of two lists a row.
static void
rows_allocate (rows_t *self, const char *text, size_t size, size_t count)
{
    size_t i, tags = 0, buckets = 2 * count;
    for (i = 0; i < size; i++) {
        tags += text[i] == ';';
        buckets += text[i] == ',';
    }
    self->text = (char *) malloc (size + 1);
    self->row = (zb_row_t *) calloc (count + 1, sizeof *self->row);
    self->tags = (zb_tag_t *) malloc ((tags + 1) * sizeof *self->tags);
    self->buckets = (zb_bucket_t *) malloc (buckets * sizeof *self->buckets);
    self->totals = (zb_total_t *) calloc (count + 1, sizeof *self->totals);
    assert (self->text && self->row && self->tags && self->totals
            && (self->buckets || !buckets));
    memcpy (self->text, text, size);
    self->text[size] = 0;
}

int
rows_read (rows_t *self, const char *text, size_t size, size_t count)
{
    char *line, *end;
    rows_allocate (self, text, size, count);
    for (line = self->text; self->count < count; line = end + 1) {
        const char *wrong = "another row";
        end = memchr (line, '\n', (size_t) (self->text + size - line));
        if (end) {
            *end = 0;
            wrong = rows_read_row (self, &self->row[self->count], line);
        }
        if (wrong) {
            snprintf (self->wrong, sizeof self->wrong, "row %zu: expected %s",
                      self->count + 1, wrong);
            return -1;
        }
        self->count++;
    }
    return 0;
}

void
rows_clear (rows_t *self)
{
    free (self->text);
    free (self->row);
    free (self->tags);
    free (self->buckets);
    free (self->totals);
    memset (self, 0, sizeof *self);
}
