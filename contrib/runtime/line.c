/*  line - text of the wire to zb_line_t. The contract is in line.h, the format
    in zibrato.h, section 3.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "line.h"

#include <ctype.h>
#include <czmq.h>
#include <math.h>

//  Returns how many fields there are, most + 1 if there are more than most.
static size_t
s_split (const char *text, size_t size, char separator, span_t *fields,
         size_t most)
{
    const char *end = text + size, *next;
    size_t count = 0;
    while (count < most) {
        next = memchr (text, separator, (size_t) (end - text));
        fields[count].text = text;
        fields[count++].size = (size_t) ((next ? next : end) - text);
        if (!next)
            return count;
        text = next + 1;
    }
    return count + 1;
}

//  (negative ? -1 : 1) * digits * 10^exponent, unless digits were cut.
typedef struct {
    uint64_t digits;
    int exponent;
    int negative, cut;
    int next;  //  the first digit that was cut
} decimal_t;

//  Reads [+-]digits[.digits][e[+-]digits]; -1 if it is anything else.
static int
s_decimal (span_t span, decimal_t *number)
{
    const char *c = span.text, *end = c + span.size;
    int point = 0, any = 0, cut = 0, exponent = 0, sign;
    memset (number, 0, sizeof *number);
    if (c < end && (*c == '-' || *c == '+'))
        number->negative = *c++ == '-';
    for (; c < end && (isdigit ((unsigned char) *c) || (*c == '.' && !point));
         c++) {
        if (*c == '.') {
            point = 1;
            continue;
        }
        any = 1;
        if (number->digits < UINT64_MAX / 10 - 1) {
            number->digits = number->digits * 10 + (uint64_t) (*c - '0');
            number->exponent -= point;
        }
        else {
            if (!cut++)
                number->next = *c - '0';
            number->cut |= *c != '0';
            number->exponent += !point;
        }
    }
    if (!any)
        return -1;
    if (c < end && (*c == 'e' || *c == 'E')) {
        sign = ++c < end && *c == '-' ? -1 : 1;
        if (c < end && (*c == '-' || *c == '+'))
            c++;
        if (c == end)
            return -1;
        for (; c < end && isdigit ((unsigned char) *c); c++)
            if (exponent < 100000)
                exponent = exponent * 10 + (*c - '0');
        number->exponent += sign * exponent;
    }
    return c == end ? 0 : -1;
}

static const double s_powers[] = {
  1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

//  The nearest double; -1 if the text is no number or not finite. Exact
//  without strtod while digits and power both are (Clinger, "How to read
//  floating point numbers accurately", 1990).
static int
s_number (span_t span, double *value)
{
    decimal_t number;
    char text[512];
    if (s_decimal (span, &number) == -1)
        return -1;
    if (number.digits < (1ull << 53) && !number.cut && number.exponent >= -22
        && number.exponent <= 22) {
        double digits = (double) number.digits;
        *value = number.exponent < 0 ? digits / s_powers[-number.exponent]
                                     : digits * s_powers[number.exponent];
        if (number.negative)
            *value = -*value;
        return 0;
    }
    if (span.size >= sizeof text)
        return -1;
    memcpy (text, span.text, span.size);
    text[span.size] = 0;
    *value = strtod (text, NULL);
    return isfinite (*value) ? 0 : -1;
}

//  A number that a measurement may have: sums of such, and of their squares,
//  stay finite, so that one cannot spoil the others of its row. It is also the
//  API's own limit (Librato API documentation, "Metrics": 1e126).
static int
s_value (span_t span, double *value)
{
    return s_number (span, value) == -1 || fabs (*value) > 1e126 ? -1 : 0;
}

//  Seconds as nanoseconds, rounded; -1 if negative, or beyond 292 years.
static int
s_nanoseconds (span_t span, int64_t *ns)
{
    decimal_t number;
    int places;
    if (s_decimal (span, &number) == -1 || (number.negative && number.digits))
        return -1;
    for (places = number.exponent + 9; places > 0 && number.digits; places--) {
        if (number.digits > INT64_MAX / 10)
            return -1;
        number.digits *= 10;
    }
    for (; places < -1 && number.digits; places++)
        number.digits /= 10;
    if (places == -1)
        number.digits = (number.digits + 5) / 10;
    else if (places == 0)
        number.digits += number.next >= 5;
    if (number.digits > INT64_MAX)
        return -1;
    *ns = (int64_t) number.digits;
    return 0;
}

//  Plain digits only: a number of samples or reports has no sign, blank or
//  exponent. Up to 2^53, since doubles go on exactly so far, and so that sums
//  of such stay whole: one cannot spoil the others of its row.
static int
s_integer (span_t span, uint64_t *value)
{
    size_t i;
    *value = 0;
    for (i = 0; i < span.size; i++) {
        unsigned digit = (unsigned char) span.text[i] - (unsigned) '0';
        if (digit > 9)
            return -1;
        *value = *value * 10 + digit;
        if (*value > 1ull << 53)
            return -1;
    }
    return span.size ? 0 : -1;
}

//  1 to 255 bytes, none a control character.
static int
s_label (span_t span)
{
    size_t i;
    for (i = 0; i < span.size; i++)
        if ((unsigned char) span.text[i] < 0x20 || span.text[i] == 0x7f)
            return -1;
    return span.size >= 1 && span.size <= ZB_LABEL_MAX_ ? 0 : -1;
}

//  In any case and with a plural s, since the Python package guessed at types
//  and its users came to rely on that.
static int
s_type (span_t span, zb_type_t *type)
{
    static const struct {
        const char *name;
        zb_type_t type;
    } types[] = {{"counter", ZB_TYPE_COUNTER},
                 {"timer", ZB_TYPE_TIMER},
                 {"gauge", ZB_TYPE_GAUGE}};
    size_t i, size;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        size = strlen (types[i].name);
        if (span.size >= size && span.size <= size + 1
            && strncasecmp (span.text, types[i].name, size) == 0
            && (span.size == size
                || tolower ((unsigned char) span.text[size]) == 's')) {
            *type = types[i].type;
            return 0;
        }
    }
    return -1;
}

int
line_bucket_next (span_t *rest, int *index, uint64_t *count)
{
    const char *comma, *equals;
    span_t field, number;
    int negative;
    if (!rest->size)
        return 0;
    comma = memchr (rest->text, ',', rest->size);
    field.text = rest->text;
    field.size = comma ? (size_t) (comma - rest->text) : rest->size;
    rest->text += field.size + (comma != NULL);
    rest->size -= field.size + (comma != NULL);
    equals = memchr (field.text, '=', field.size);
    if (!equals || (comma && !rest->size))
        return -1;
    negative = *field.text == '-';
    number.text = field.text + negative;
    number.size = (size_t) (equals - number.text);
    if (s_integer (number, count) == -1 || *count > 100000)
        return -1;
    *index = negative ? -(int) *count : (int) *count;
    number.text = equals + 1;
    number.size = (size_t) (field.text + field.size - number.text);
    return s_integer (number, count) == -1 ? -1 : 1;
}

//  Ascending buckets that a duration can have.
static int
s_buckets (span_t rest)
{
    int index, next = ZB_BUCKET_0_, rc;
    uint64_t count;
    while ((rc = line_bucket_next (&rest, &index, &count)) == 1) {
        if (index < next || index >= ZB_BUCKET_0_ + ZB_PAGES_ * ZB_PAGE_SIZE_)
            return -1;
        next = index + 1;
    }
    return rc;
}

//  ID:SEQ..., the seventh field.
static int
s_stream (span_t span, zb_line_t *line)
{
    static const size_t sizes[] = {0, 4, 9, 3};  //  by type
    span_t field[9];
    size_t fields = s_split (span.text, span.size, ':', field, 9);
    if ((fields != sizes[line->type]
         && (line->type != ZB_TYPE_GAUGE || fields != 2))
        || s_label (field[0]) == -1 || s_integer (field[1], &line->seq) == -1)
        return -1;
    line->id = field[0].text;
    line->id_size = field[0].size;
    line->sent_given = line->type == ZB_TYPE_GAUGE && fields == 3;
    if (line->type == ZB_TYPE_GAUGE)
        return line->sent_given ? s_integer (field[2], &line->sent) : 0;
    if (s_integer (field[2], &line->first) == -1 || line->first > line->seq)
        return -1;
    if (line->type == ZB_TYPE_COUNTER)
        return s_value (field[3], &line->total);
    line->buckets = field[8].text;
    line->buckets_size = field[8].size;
    return s_integer (field[3], &line->count) == -1
               || s_nanoseconds (field[4], &line->sum_ns) == -1
               || s_value (field[5], &line->sum_squares) == -1
               || s_nanoseconds (field[6], &line->min_ns) == -1
               || s_nanoseconds (field[7], &line->max_ns) == -1
               || s_buckets (field[8]) == -1
             ? -1
             : 0;
}

const char *
line_parse (const char *text, size_t size, zb_line_t *line)
{
    span_t field[7];
    double seconds;
    size_t fields;
    if (!size)
        return "empty line";
    fields = s_split (text, size, '|', field, 7);
    memset (line, 0, sizeof *line);
    if (fields < 6)
        return "too few fields";
    if (fields > 7)
        return "too many fields";
    if (s_label (field[0]) == -1)
        return "bad level";
    if (s_type (field[1], &line->type) == -1)
        return "unknown type";
    if (s_label (field[2]) == -1)
        return "bad name";
    if (line->type == ZB_TYPE_TIMER ? s_nanoseconds (field[3], &line->value_ns)
                                    : s_value (field[3], &line->value))
        return "bad value";
    //  the year 5138: what is later is milliseconds
    if (s_number (field[4], &seconds) == -1 || seconds < 0 || seconds >= 1e11)
        return "bad time";
    if (s_label (field[5]) == -1)
        return "bad source";
    if (fields == 7 && s_stream (field[6], line) == -1)
        return "bad stream";
    line->level = field[0].text;
    line->level_size = field[0].size;
    line->name = field[2].text;
    line->name_size = field[2].size;
    line->source = field[5].text;
    line->source_size = field[5].size;
    line->time = (int64_t) seconds;
    return NULL;
}
