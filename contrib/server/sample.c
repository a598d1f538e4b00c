/*  sample - a measurement of a request. The contract is in sample.h.

    Sections: members, figures, buckets, tags, the whole.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sample.h"

#include "utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

//  Numbers with a larger exponent abort the request, smaller ones are zeros
//  (api-docs, _metrics.md).
static const double s_most = 1e127, s_least = 1e-130;

//  From here on a time is taken for milliseconds; that is in the year 5138.
static const double s_time_most = 1e11;

void
refuse (refusal_t *self, const char *param, const char *format, ...)
{
    va_list arguments;
    *self = (refusal_t){.param = param, .name = NAME_AS_TEXT};
    va_start (arguments, format);
    vsnprintf (self->text, sizeof self->text, format, arguments);
    va_end (arguments);
    utf8_mend (self->text);
}

//  --------------------------------------------------------------------------
//  Members

typedef enum { NUMBER, TEXT, OBJECT, ANY } kind_t;

//  By name.
typedef enum {
    ATTRIBUTES,
    BUCKETS,
    COUNT,
    COUNTERS,
    DESCRIPTION,
    DISPLAY_NAME,
    GAUGES,
    LAST,
    MAX,
    MEASURE_TIME,
    MEASUREMENTS,
    MIN,
    NAME,
    PERIOD,
    SOURCE,
    STDDEV,
    STDDEV_M2,
    SUM,
    SUM_SQUARES,
    TAGS,
    TIME,
    TYPE,
    VALUE,
    MEMBERS
} member_t;

static const struct {
    const char *name;
    kind_t kind;
    bool tagged;  //  the tagged API has it
} s_members[MEMBERS] = {[ATTRIBUTES] = {"attributes", ANY, true},
                        [BUCKETS] = {"buckets", OBJECT, true},
                        [COUNT] = {"count", NUMBER, true},
                        [COUNTERS] = {"counters", ANY, false},
                        [DESCRIPTION] = {"description", ANY, true},
                        [DISPLAY_NAME] = {"display_name", ANY, true},
                        [GAUGES] = {"gauges", ANY, false},
                        [LAST] = {"last", NUMBER, true},
                        [MAX] = {"max", NUMBER, true},
                        [MEASURE_TIME] = {"measure_time", NUMBER, false},
                        [MEASUREMENTS] = {"measurements", ANY, true},
                        [MIN] = {"min", NUMBER, true},
                        [NAME] = {"name", TEXT, true},
                        [PERIOD] = {"period", NUMBER, true},
                        [SOURCE] = {"source", TEXT, false},
                        [STDDEV] = {"stddev", NUMBER, true},
                        [STDDEV_M2] = {"stddev_m2", NUMBER, true},
                        [SUM] = {"sum", NUMBER, true},
                        [SUM_SQUARES] = {"sum_squares", NUMBER, true},
                        [TAGS] = {"tags", OBJECT, true},
                        [TIME] = {"time", NUMBER, true},
                        [TYPE] = {"type", ANY, true},
                        [VALUE] = {"value", NUMBER, true}};

typedef struct {
    const cJSON *member[MEMBERS];
    double number[MEMBERS];  //  of those that are numbers
    dialect_t dialect;
    refusal_t *refusal;
} reading_t;

//  Those of a first letter are beside each other.
static member_t
s_member (const char *name)
{
    static const unsigned char first['z' - 'a' + 1] = {
      ['b' - 'a'] = BUCKETS, ['c' - 'a'] = COUNT,  ['d' - 'a'] = DESCRIPTION,
      ['g' - 'a'] = GAUGES,  ['l' - 'a'] = LAST,   ['m' - 'a'] = MAX,
      ['n' - 'a'] = NAME,    ['p' - 'a'] = PERIOD, ['s' - 'a'] = SOURCE,
      ['t' - 'a'] = TAGS,    ['v' - 'a'] = VALUE};
    size_t at = *name >= 'a' && *name <= 'z' ? first[*name - 'a'] : MEMBERS;
    while (at < MEMBERS && *s_members[at].name == *name
           && strcmp (name, s_members[at].name) != 0)
        at++;
    return at < MEMBERS && *s_members[at].name == *name ? (member_t) at
                                                        : MEMBERS;
}

//  A number, or in a form a text that is one. Returns 0, or -1.
static int
s_number (const cJSON *item, dialect_t dialect, double *number)
{
    char *end;
    *number = item->valuedouble;
    if (cJSON_IsNumber (item))
        return 0;
    if (!dialect.form || !cJSON_IsString (item) || !*item->valuestring)
        return -1;
    *number = strtod (item->valuestring, &end);
    return *end || !isfinite (*number) ? -1 : 0;
}

//  Takes one member. Returns 0, or -1 with what is wrong.
static int
reading_take (reading_t *self, member_t at, const cJSON *item)
{
    kind_t kind = s_members[at].kind;
    bool good = kind == ANY || (kind == TEXT && cJSON_IsString (item))
                || (kind == OBJECT && cJSON_IsObject (item));
    if (kind == NUMBER)
        good = s_number (item, self->dialect, &self->number[at]) == 0;
    self->member[at] = item;
    if (good)
        return 0;
    refuse (self->refusal, s_members[at].name, "is of the wrong type");
    return -1;
}

//  Takes the members apart. A null is no member.
static int
reading_begin (reading_t *self, const cJSON *object, bool *unknown)
{
    const cJSON *item;
    if (!cJSON_IsObject (object)) {
        refuse (self->refusal, "name", "is not present");
        self->refusal->name = NAME_LEFT_OUT;
        return -1;
    }
    for (item = object->child; item; item = item->next) {
        member_t at = s_member (item->string);
        if (at == MEMBERS || (self->dialect.tagged && !s_members[at].tagged))
            *unknown = true;
        else if (!cJSON_IsNull (item) && reading_take (self, at, item) == -1)
            return -1;
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  Names and times

static bool
s_name_byte (char c)
{
    char low = (char) (c | 0x20);
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= ':') || c == '.'
           || c == '-' || c == '_';
}

bool
sample_name_ok (const char *name)
{
    size_t size = 0;
    while (s_name_byte (name[size]))
        size++;
    return size && size <= SAMPLE_NAME_MAX && !name[size];
}

static int
sample_name (sample_t *self, const reading_t *reading, const char *name)
{
    const cJSON *own = reading->member[NAME];
    self->name = own ? own->valuestring : name ? name : "";
    if (sample_name_ok (self->name))
        return 0;
    if (!*self->name)
        refuse (reading->refusal, "name", "is not present");
    else
        refuse (reading->refusal, "name", "%.300s is not a valid metric name",
                self->name);
    reading->refusal->name = NAME_LEFT_OUT;
    return -1;
}

static int
sample_source (sample_t *self, const reading_t *reading)
{
    const cJSON *source = reading->member[SOURCE];
    if (!source || !*source->valuestring)
        return 0;
    self->source = source->valuestring;
    if (sample_name_ok (self->source) && strcasecmp (self->source, "all") != 0)
        return 0;
    refuse (reading->refusal, "source", "%.300s is not a valid source name",
            self->source);
    reading->refusal->name = NAME_LEFT_OUT;
    reading->refusal->with_time = true;
    return -1;
}

//  A fraction of a second is cut off (python-librato and collectd send some).
static int
sample_time (sample_t *self, const reading_t *reading)
{
    member_t at = reading->dialect.tagged ? TIME : MEASURE_TIME;
    double time_s = reading->number[at];
    if (reading->member[PERIOD] && reading->number[PERIOD] > 0
        && reading->number[PERIOD] <= 86400)
        self->period_s = (int64_t) reading->number[PERIOD];
    if (!reading->member[at])
        return 0;
    if (!(time_s >= 0 && time_s < s_time_most)) {
        refuse (reading->refusal, s_members[at].name, "is out of range");
        return -1;
    }
    self->timed = true;
    self->point.time_s = (int64_t) time_s;
    return 0;
}

//  --------------------------------------------------------------------------
//  Figures

//  Each figure is in range, and what is too small is zero.
static int
reading_range (reading_t *self)
{
    static const member_t figures[] = {
      COUNT, LAST, MAX, MIN, STDDEV, STDDEV_M2, SUM, SUM_SQUARES, VALUE};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        member_t at = figures[i];
        if (!self->member[at])
            continue;
        if (!(fabs (self->number[at]) < s_most)) {
            refuse (self->refusal, s_members[at].name, "is out of range");
            return -1;
        }
        if (fabs (self->number[at]) < s_least)
            self->number[at] = 0;
    }
    return 0;
}

static int
s_wrong (const reading_t *self, member_t at, const char *text)
{
    refuse (self->refusal, s_members[at].name, "%s", text);
    return -1;
}

//  One value.
static int
sample_value (sample_t *self, const reading_t *reading)
{
    double value = reading->number[VALUE];
    if (!reading->member[VALUE])
        return s_wrong (reading, VALUE, "is required");
    if (self->type == METRIC_COUNTER && value < 0) {
        s_wrong (reading, VALUE, "must be positive");
        reading->refusal->name = NAME_AS_LIST;
        reading->refusal->with_time = true;
        return -1;
    }
    self->point.n = 1;
    self->point.sum = self->point.min = self->point.max = self->point.last =
      value;
    self->point.sum_squares = value * value;
    return 0;
}

//  The sum of squares: as it was sent, or from a deviation (that of the population, or
//  its sum of squares), or as if all samples were the same.
static double
s_squares (const reading_t *reading, double n, double sum)
{
    const double *number = reading->number;
    if (reading->member[SUM_SQUARES])
        return number[SUM_SQUARES];
    if (reading->member[STDDEV])
        return n * number[STDDEV] * number[STDDEV] + sum * sum / n;
    if (reading->member[STDDEV_M2])
        return number[STDDEV_M2] + sum * sum / n;
    return sum * sum / n;
}

//  Several samples.
static int
sample_samples (sample_t *self, const reading_t *reading)
{
    const double *number = reading->number;
    double n = number[COUNT], mean = number[SUM] / n;
    if (reading->member[VALUE])
        return s_wrong (reading, VALUE, "must not be set with count");
    if (!(n > 0))
        return s_wrong (reading, COUNT, "must be positive");
    if (n != floor (n) || n > 9007199254740992.0)
        return s_wrong (reading, COUNT, "must be a whole number");
    if (!reading->member[SUM])
        return s_wrong (reading, SUM, "is required");
    self->point.n = (uint64_t) n;
    self->point.sum = number[SUM];
    self->point.min = reading->member[MIN] ? number[MIN] : mean;
    self->point.max = reading->member[MAX] ? number[MAX] : mean;
    self->point.last = reading->member[LAST] ? number[LAST] : mean;
    self->point.sum_squares = s_squares (reading, n, number[SUM]);
    if (self->point.sum_squares < 0)
        return s_wrong (reading, SUM_SQUARES, "must be positive");
    if (self->point.min > self->point.max)
        return s_wrong (reading, MIN, "must not be above max");
    return 0;
}

//  --------------------------------------------------------------------------
//  Buckets: what `zibrato librato --histograms` adds,
//  {"scale":5,"index":[-12,...],"count":[3,...]}

//  Reads both lists side by side. Returns how many buckets there are, or -1.
static int
s_buckets (const cJSON *index, const cJSON *count, zb_bucket_t *buckets)
{
    int size = 0;
    for (index = index->child, count = count->child; index && count;
         index = index->next, count = count->next, size++) {
        double i = index->valuedouble, n = count->valuedouble;
        if (!cJSON_IsNumber (index) || !cJSON_IsNumber (count) || i != floor (i)
            || i < BUCKET_MIN || i > BUCKET_MAX || n != floor (n) || n < 1
            || n > 9007199254740992.0
            || (size && (int) i <= buckets[size - 1].index))
            return -1;
        buckets[size] = (zb_bucket_t){(int) i, (uint64_t) n};
    }
    return index || count ? -1 : size;
}

//  A timer has them; its samples are as many as there are in buckets.
static int
sample_buckets (sample_t *self, const reading_t *reading)
{
    const cJSON *object = reading->member[BUCKETS];
    const cJSON *index = cJSON_GetObjectItemCaseSensitive (object, "index");
    const cJSON *count = cJSON_GetObjectItemCaseSensitive (object, "count");
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive (object, "scale");
    int most = cJSON_GetArraySize (index), size = -1;
    uint64_t n = 0;
    if (!object)
        return 0;
    if (cJSON_IsArray (index) && cJSON_IsArray (count) && scale
        && scale->valuedouble == 5 && most > 0
        && most <= BUCKET_MAX - BUCKET_MIN + 1) {
        self->buckets =
          (zb_bucket_t *) malloc ((size_t) most * sizeof *self->buckets);
        size = self->buckets ? s_buckets (index, count, self->buckets) : -1;
    }
    for (int i = 0; i < size; i++)
        n += self->buckets[i].count;
    if (size < 1 || n != self->point.n) {
        free (self->buckets);
        self->buckets = NULL;
        return s_wrong (reading, BUCKETS, "are not those of count samples");
    }
    self->type = METRIC_TIMER;
    self->point.buckets = self->buckets;
    self->point.bucket_count = (size_t) size;
    return 0;
}

//  --------------------------------------------------------------------------
//  Tags

//  Names are [-.:_\w]{1,64}, values [-.:_?\\/\w ]{1,255} (api-docs, _measurements.md).
static bool
s_tag_ok (const char *text, const char *more, size_t most)
{
    size_t i;
    for (i = 0; text[i]; i++) {
        char c = text[i], low = (char) (c | 0x20);
        if (!(c >= '0' && c <= '9') && !(low >= 'a' && low <= 'z')
            && !strchr ("-.:_", c) && !strchr (more, c))
            return false;
    }
    return i > 0 && i <= most;
}

//  Puts a tag where it belongs. Returns 0, or -1 if there is one of that name.
static int
s_tag_put (zb_tag_t *tags, int count, const char *key, const char *value)
{
    int at = count, order = 1;
    while (at > 0 && (order = strcmp (key, tags[at - 1].key)) < 0)
        at--;
    if (at > 0 && order == 0)
        return -1;
    memmove (tags + at + 1, tags + at, (size_t) (count - at) * sizeof *tags);
    tags[at] = (zb_tag_t){key, value};
    return 0;
}

int
sample_tags (const cJSON *object, zb_tag_t tags[SAMPLE_TAGS_MAX],
             const char **source, refusal_t *refusal)
{
    int count = 0;
    const cJSON *item;
    for (item = object ? object->child : NULL; item; item = item->next) {
        const char *value = cJSON_IsString (item) ? item->valuestring : "";
        if (!s_tag_ok (value, "?\\/ ", SAMPLE_TAG_VALUE_MAX))
            refuse (refusal, "tag_value", "%.300s", value);
        else if (strcmp (item->string, "source") == 0) {
            *source = value;
            continue;
        }
        else if (!s_tag_ok (item->string, "", SAMPLE_TAG_NAME_MAX)
                 || count == SAMPLE_TAGS_MAX
                 || s_tag_put (tags, count, item->string, value) == -1)
            refuse (refusal, "tag_name", "%.300s", item->string);
        if (refusal->param)
            return -1;
        count++;
    }
    return count;
}

//  --------------------------------------------------------------------------
//  The whole

int
sample_read (sample_t *self, const cJSON *object, const char *name,
             metric_type_t type, dialect_t dialect, refusal_t *refusal,
             bool *unknown)
{
    reading_t reading = {.dialect = dialect, .refusal = refusal};
    *self = (sample_t){.type = type, .name = name ? name : ""};
    if (reading_begin (&reading, object, unknown) == -1) {
        //  for the answer, as far as it is known
        if (reading.member[NAME] && cJSON_IsString (reading.member[NAME]))
            self->name = reading.member[NAME]->valuestring;
        return -1;
    }
    if (sample_name (self, &reading, name) == -1
        || sample_source (self, &reading) == -1
        || sample_time (self, &reading) == -1 || reading_range (&reading) == -1)
        return -1;
    self->tags = reading.member[TAGS];
    if (type == METRIC_COUNTER)
        return sample_value (self, &reading);
    if ((reading.member[COUNT] ? sample_samples (self, &reading)
                               : sample_value (self, &reading))
        == -1)
        return -1;
    return sample_buckets (self, &reading);
}

int
sample_read_globals (sample_t *self, const cJSON *object, dialect_t dialect,
                     refusal_t *refusal)
{
    reading_t reading = {.dialect = dialect, .refusal = refusal};
    bool unknown = false;
    *self = (sample_t){.name = ""};
    if (reading_begin (&reading, object, &unknown) == -1)
        return -1;
    if (dialect.tagged && unknown) {
        refuse (refusal, "request", "Unable to process JSON");
        return -1;
    }
    self->tags = reading.member[TAGS];
    return sample_source (self, &reading) == -1 ? -1
                                                : sample_time (self, &reading);
}
