/*  standin.c - a strict stand-in for the Librato source-based metrics API

    The service is gone; its clients are not. This server answers POST, GET
    and HEAD /v1/metrics as the service did, down to the sentences and the
    headers, refuses what the service refused, and keeps what it accepted so
    that a test can read it back to the digit. Where the documents of the
    service are silent it is strict: an unknown property, a string in the
    place of a number, a key given twice, JSON that only a lenient parser
    would take are all refused with 400. It is a judge for tests, never a
    server for data: it listens on 127.0.0.1 only and keeps all in memory.

        POST /v1/metrics -> decode -> fault? -> gates -> rules -> rows
                            JSON,     script    TLS,     all good,
                            form                auth..   or none stored

    Started without options it takes plain HTTP as if it were TLS, since most
    tests need no certificate. It prints one line once it listens,

        ready url=http://127.0.0.1:PORT/v1/metrics

    then nothing. SIGTERM ends it with exit status 0. It is killed when the
    thread that started it ends, so that a test that crashes leaves no process.
    --help prints the options and their defaults,
    credentials included, and the words of a script.

    The service knew no key by which a repetition could be told. With
    --idempotent this one does, as an endpoint of one's own should: then what
    is sent again because an answer was lost is stored once.

    Routes for the test only, without credentials:

        GET /control/stored     what is stored, in order: an array of {"kind",
                                "name", "source", "measure_time", and either
                                "value" or "count", "sum", ..., "request"}.
                                "request" is the index in /control/requests.
                                ?name=TEXT leaves out whose name does not begin
                                with it, for one who looks into a large store
        GET /control/totals     {"SOURCE/NAME": {"n": rows, "count": samples,
                                "sum": total}}; a value is one sample. The
                                spelling is the sender's: only the type of a
                                name is case-insensitive
        GET /control/requests   every POST /v1/metrics so far, in the order in
                                which they were answered: {"status" (0 if cut),
                                "measurements" in it, good or not, "bytes",
                                "fnv1a" of the body, "user_agent", "fault",
                                "time_ms" of arrival}
        POST /control/script    the body becomes the script of faults
        DELETE /control/stored  forget rows, totals, types and requests

    A script is a list of words separated by commas. Each POST /v1/metrics
    uses up one, before anything else is looked at; after the last one
    service is normal. `WORD*N` stands for N times WORD, `WORD*` for ever.
    `poison`, `plain`, `refuse` and `mute`, which is `cut`, fail only a request that
    has a name "poison...".
    Beware when counting: libcurl itself sends a request once more if a
    connection that it reuses is cut before the first byte of a reply, so one
    request of a client may use up two words.

    Sections: helpers, replies, faults, decoding, the store, measurements,
    POST /v1/metrics, what is read back, HTTP, command line. To change what
    is accepted start at s_properties and s_rules.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  vasprintf, pthread_cond_clockwait

#include <cjson/cJSON.h>
#include <gnutls/gnutls.h>
#include <locale.h>
#include <math.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

//  --------------------------------------------------------------------------
//  Helpers. Memory that is short ends the process: there is no test to save.

static void
die (const char *why)
{
    fprintf (stderr, "standin: %s\n", why);
    exit (1);
}

static void *
s_resize (void *memory, size_t size)
{
    memory = realloc (memory, size);
    if (!memory)
        die ("out of memory");
    return memory;
}

//  Returns zeroed memory. Caller owns the return value.
static void *
s_new (size_t size)
{
    return memset (s_resize (NULL, size), 0, size);
}

//  Makes room for one more element in an array that doubles when it is full.
static void *
s_grow (void *array, size_t count, size_t element)
{
    bool full = (count & (count - 1)) == 0;  //  0 or a power of two
    return full ? s_resize (array, (count ? 2 * count : 1) * element) : array;
}

//  Returns formatted text. Caller owns the return value.
__attribute__ ((format (printf, 1, 2))) static char *
s_text (const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start (arguments, format);
    if (vasprintf (&text, format, arguments) < 0)
        die ("out of memory");
    va_end (arguments);
    return text;
}

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

//  A table finds what is known by its text, and keeps the latest first.
typedef struct entry_s {
    char *key;  //  owned; search.h's tree compares what an entry starts with
    struct entry_s *next;
    int kind;     //  of a metric: GAUGE or COUNTER
    size_t rows;  //  of a series: what it adds up to
    double samples;
    long double sum;
    cJSON *item;    //  of a form: what stands there
    uint64_t hash;  //  of a key: the body that was stored with it
} entry_t;

typedef struct {
    bool any_case;
    void *tree;
    entry_t *list;
} table_t;

static int
s_by_key (const void *a, const void *b)
{
    return strcmp (*(char *const *) a, *(char *const *) b);
}

static int
s_by_key_any_case (const void *a, const void *b)
{
    return strcasecmp (*(char *const *) a, *(char *const *) b);
}

//  Returns the entry, a zeroed one if it is new.
static entry_t *
table_entry (table_t *self, const char *key)
{
    comparison_fn_t compare = self->any_case ? s_by_key_any_case : s_by_key;
    entry_t **found = tfind (&key, &self->tree, compare);
    if (found)
        return *found;
    entry_t *entry = s_new (sizeof (entry_t));
    entry->key = s_text ("%s", key);
    entry->next = self->list;
    self->list = entry;
    tsearch (entry, &self->tree, compare);
    return entry;
}

//  Forgets the entries that came after this one; all of them after NULL.
static void
table_forget (table_t *self, const entry_t *last)
{
    while (self->list != last) {
        entry_t *entry = self->list;
        self->list = entry->next;
        tdelete (entry, &self->tree,
                 self->any_case ? s_by_key_any_case : s_by_key);
        free (entry->key);
        free (entry);
    }
}

//  Returns a decimal number without sign, -1 if text is anything else.
static long
s_whole_number (const char *text)
{
    size_t length = strspn (text, "0123456789");
    return length && length < 10 && !text[length] ? atol (text) : -1;
}

//  --------------------------------------------------------------------------
//  Replies: put together before HTTP is touched, since a reply can also go
//  out in pieces or not at all.

#define JSON_TYPE                "application/json;charset=utf-8"
#define TEXT_TYPE                "text/plain"
#define REQUEST_ERROR(sentences) "{\"errors\":{\"request\":[" sentences "]}}"

typedef struct {
    unsigned status;
    char head[320];  //  lines, each with its \r\n
    char *body;      //  owned; NULL is an empty one
} reply_t;

//  Takes ownership of the body. The service closed the connection after a 400.
static void
reply_set (reply_t *self, unsigned status, const char *type, char *body)
{
    self->status = status;
    self->body = body;
    snprintf (self->head, sizeof self->head, "Content-Type: %s\r\n%s", type,
              status == 401
                ? "WWW-Authenticate: Basic realm=\"Librato API\"\r\n"
              : status == 400 || status == 413 ? "Connection: close\r\n"
                                               : "");
}

//  What can be wrong with a measurement, and how the service put it. Without a
//  param it is the property at fault. A sentence of two parts has the text at
//  fault between them. name: the reply has the measurement's, as string or
//  array; time: it has a request_time.
typedef struct {
    const char *param, *sentence, *rest;
    enum { WITHOUT, STRING, ARRAY } name;
    bool time;
} refusal_t;

// clang-format off
static const refusal_t
    s_unknown      = {NULL, "is not a known parameter", NULL, STRING, false},
    s_ill_typed    = {NULL, "is of the wrong type", NULL, STRING, false},
    s_out_of_range = {NULL, "is out of range", NULL, STRING, false},
    s_unexpected   = {NULL, "must not be set here", NULL, STRING, false},
    s_not_positive = {NULL, "must be positive", NULL, STRING, false},
    s_required     = {NULL, "is required", NULL, STRING, false},
    s_min_max      = {"min", "must not be above max", NULL, STRING, false},
    s_no_name      = {"name", "is not present", NULL, WITHOUT, false},
    s_bad_name     = {"name", "", " is not a valid metric name", WITHOUT, false},
    s_bad_source   = {"source", "", " is not a valid source name", WITHOUT, true},
    s_too_old      = {"measure_time", "is too far in the past", NULL, WITHOUT, true},
    s_negative     = {"value", "must be positive", NULL, ARRAY, true},
    s_is_gauge     = {"type", "'",
        "' is a gauge, but was submitted as different type", WITHOUT, false},
    s_is_counter   = {"type", "'",
        "' is a counter, but was submitted as different type", WITHOUT, false};
// clang-format on

//  {"errors":{"params":{PARAM:[SENTENCE],"name":NAME}},"request_time":N}
static void
reply_refuse (reply_t *self, const refusal_t *refusal, const char *param,
              const char *text, const char *name)
{
    cJSON *root = cJSON_CreateObject ();
    cJSON *params = cJSON_AddObjectToObject (
      cJSON_AddObjectToObject (root, "errors"), "params");
    char *sentence =
      refusal->rest ? s_text ("%s%s%s", refusal->sentence, text, refusal->rest)
                    : s_text ("%s", refusal->sentence);
    const char *list[] = {sentence};
    param = refusal->param ? refusal->param : param;
    cJSON_AddItemToObject (params, param, cJSON_CreateStringArray (list, 1));
    if (name && refusal->name == STRING && strcmp (param, "name") != 0)
        cJSON_AddStringToObject (params, "name", name);
    if (name && refusal->name == ARRAY)
        cJSON_AddItemToObject (params, "name",
                               cJSON_CreateStringArray (&name, 1));
    if (refusal->time)
        cJSON_AddNumberToObject (root, "request_time",
                                 (double) (s_now_ms () / 1000));
    reply_set (self, 400, JSON_TYPE, cJSON_PrintUnformatted (root));
    cJSON_Delete (root);
    free (sentence);
}

//  --------------------------------------------------------------------------
//  Faults: what goes wrong on purpose, and the script that says when.

enum {
    SERVE = 1,   //  the request is served, whatever becomes of the reply
    CUT = 2,     //  the connection is closed in place of a reply
    SPLIT = 4,   //  the reply goes out in many small packets
    DELAY = 8,   //  the argument is a time to wait before, in ms
    RETRY = 16,  //  the argument is sent as Retry-After, in seconds
    IF = 32,     //  only if a name begins with "poison"; else it is served
};

typedef struct {
    const char *word;
    int flags;
    unsigned status;
    const char *type, *body, *head;
} fault_t;

#define OVER_LIMIT                                                             \
    "{\"request_time\":1700000000,\"error\":\"You have hit the API limit for " \
    "measurements [measure:raw_rate]. Contact: support@example.org to adjust " \
    "this limit.\"}"

// clang-format off
static const fault_t s_faults[] = {
    {"ok",       SERVE, 0, NULL, NULL, NULL},
    {"slow",     SERVE | DELAY, 0, NULL, NULL, NULL},
    {"split",    SERVE | SPLIT, 0, NULL, NULL, NULL},
    {"cut",      CUT, 0, NULL, NULL, NULL},
    {"cutafter", SERVE | CUT, 0, NULL, NULL, NULL},
    {"500",      0, 500, TEXT_TYPE, NULL, NULL},
    {"502",      0, 502, TEXT_TYPE, NULL, NULL},
    {"503",      0, 503, JSON_TYPE,
     "{\"errors\":{\"system\":[\"The API is currently down for maintenance. "
     "It'll be back shortly.\"]}}", NULL},
    {"503empty", 0, 503, TEXT_TYPE, NULL, NULL},
    {"504",      0, 504, TEXT_TYPE, NULL, NULL},
    {"html400",  0, 400, "text/html",
     "<html>\r\n<head><title>400 Bad Request</title></head>\r\n"
     "<body bgcolor=\"white\">\r\n<center><h1>400 Bad Request</h1></center>\r\n"
     "<hr><center>awselb/2.0</center>\r\n</body>\r\n</html>\r\n", NULL},
    {"401",      0, 401, TEXT_TYPE,
     "Credentials are required to access this resource.", NULL},
    {"403limit", 0, 403, JSON_TYPE, OVER_LIMIT,
     "X-Librato-RateLimit-Agg: limit=100,remaining=0\r\n"
     "X-Librato-RateLimit-Std: limit=100,remaining=0\r\n"},
    {"403role",  0, 403, JSON_TYPE,
     REQUEST_ERROR ("\"This token is not permitted to perform this action on "
                    "this resource\""), NULL},
    {"poison",   IF | SERVE, 500, TEXT_TYPE, "Internal error", NULL},
    {"plain",    IF | SERVE, 400, TEXT_TYPE, "No.", NULL},
    {"refuse",   IF | SERVE, 422, JSON_TYPE, REQUEST_ERROR ("\"is poison\""), NULL},
    {"mute",     IF | SERVE | CUT, 0, NULL, NULL, NULL},
    {"429",      RETRY, 429, JSON_TYPE, OVER_LIMIT, NULL},
    {NULL, 0, 0, NULL, NULL, NULL},
};
// clang-format on

typedef struct {
    const fault_t *fault;
    long argument;
    long left;  //  uses; -1 for ever
} word_t;

typedef struct {
    word_t *words;
    size_t count, next;
} script_t;

//  WORD[:ARGUMENT][*[N]]; the text is changed. Returns -1 if it is none.
static int
word_parse (word_t *self, char *text)
{
    char *times = strchr (text, '*');
    if (times)
        *times++ = '\0';
    self->left = !times ? 1 : !*times ? -1 : s_whole_number (times);
    char *argument = strchr (text, ':');
    if (argument)
        *argument++ = '\0';
    self->argument = argument ? s_whole_number (argument) : -1;
    self->fault = s_faults;
    while (self->fault->word && strcmp (self->fault->word, text) != 0)
        self->fault++;
    bool wants_one = (self->fault->flags & (DELAY | RETRY)) != 0;
    bool times_fit = !times || !*times || self->left > 0;
    bool argument_fits = wants_one ? self->argument >= 0 : !argument;
    return self->fault->word && times_fit && argument_fits ? 0 : -1;
}

//  Replaces the script. Returns -1, the script unchanged, on a bad word.
static int
script_parse (script_t *self, const char *text)
{
    script_t fresh = {NULL, 0, 0};
    char *copy = s_text ("%s", text), *rest = copy, *word;
    int rc = 0;
    while (rc == 0 && (word = strtok_r (rest, ", \t\r\n", &rest))) {
        fresh.words = s_grow (fresh.words, fresh.count, sizeof (word_t));
        rc = word_parse (&fresh.words[fresh.count++], word);
    }
    free (copy);
    free (rc == 0 ? self->words : fresh.words);
    if (rc == 0)
        *self = fresh;
    return rc;
}

//  Uses up one word. After the last one all is `ok`.
static word_t
script_next (script_t *self)
{
    if (self->next == self->count)
        return (word_t){s_faults, -1, -1};
    word_t *word = &self->words[self->next];
    if (word->left > 0 && --word->left == 0)
        self->next++;
    return *word;
}

static void
reply_fault (reply_t *self, const word_t *word)
{
    const fault_t *fault = word->fault;
    reply_set (self, fault->status, fault->type,
               fault->body ? s_text ("%s", fault->body) : NULL);
    char *end = self->head + strlen (self->head);
    size_t room = sizeof self->head - strlen (self->head);
    if (fault->head)
        snprintf (end, room, "%s", fault->head);
    if (fault->flags & RETRY)
        snprintf (end, room, "Retry-After: %ld\r\n", word->argument);
}

//  --------------------------------------------------------------------------
//  Decoding: a body becomes a cJSON tree, whichever way it was encoded.

//  What may stand where: at the top level, in a gauge, in a counter. A null
//  is the same as nothing where a sentence says that it is missing.
typedef enum { TEXT, NUMBER, OBJECT, LIST } type_t;
enum { TOP = 1, GAUGE = 2, COUNTER = 4, BOTH = 6, ANY = 7, NULLABLE = 8 };

// clang-format off
typedef enum {
    VALUE, COUNT, SUM, MIN, MAX, SUM_SQUARES, FIGURES,  //  stored, so many
    MEASURE_TIME = FIGURES, NAME, SOURCE, PERIOD, ATTRIBUTES, DISPLAY_NAME,
    DESCRIPTION, GAUGES, COUNTERS, PROPERTIES
} property_t;

static const struct {
    const char *name;
    type_t type;
    int where;
} s_properties[PROPERTIES] = {
    [VALUE]        = {"value",        NUMBER, BOTH | NULLABLE},
    [COUNT]        = {"count",        NUMBER, GAUGE},
    [SUM]          = {"sum",          NUMBER, GAUGE | NULLABLE},
    [MIN]          = {"min",          NUMBER, GAUGE},
    [MAX]          = {"max",          NUMBER, GAUGE},
    [SUM_SQUARES]  = {"sum_squares",  NUMBER, GAUGE},
    [MEASURE_TIME] = {"measure_time", NUMBER, ANY},
    [NAME]         = {"name",         TEXT,   BOTH | NULLABLE},
    [SOURCE]       = {"source",       TEXT,   ANY},
    [PERIOD]       = {"period",       NUMBER, ANY},
    [ATTRIBUTES]   = {"attributes",   OBJECT, ANY},
    [DISPLAY_NAME] = {"display_name", TEXT,   BOTH},
    [DESCRIPTION]  = {"description",  TEXT,   BOTH},
    [GAUGES]       = {"gauges",       LIST,   TOP},
    [COUNTERS]     = {"counters",     LIST,   TOP},
};
// clang-format on

//  Returns PROPERTIES if there is none of that name.
static property_t
s_property (const char *name)
{
    property_t it = VALUE;
    while (it < PROPERTIES && strcmp (s_properties[it].name, name) != 0)
        it++;
    return it;
}

//  Returns the length of the JSON number that text starts with, or 0. strtod
//  and cJSON also take +1, 01, 1. and .5, which JSON does not know.
static size_t
s_number_length (const char *text)
{
    const char *at = text + (*text == '-');
    size_t digits = strspn (at, "0123456789");
    if (digits == 0 || (*at == '0' && digits > 1))
        return 0;
    at += digits;
    if (*at == '.' && (digits = strspn (at + 1, "0123456789")) > 0)
        at += 1 + digits;
    size_t sign = *at && (at[1] == '-' || at[1] == '+');
    if ((*at == 'e' || *at == 'E')
        && (digits = strspn (at + 1 + sign, "0123456789")) > 0)
        at += 1 + sign + digits;
    return *at && strchr ("0123456789.eE+-", *at) ? 0 : (size_t) (at - text);
}

//  Returns the length of the JSON string that text starts with, or 0. What
//  stands behind a backslash is left to cJSON, save an escaped NUL, which
//  would end the C string early.
static size_t
s_string_length (const char *text)
{
    for (const char *at = text + 1; (unsigned char) *at >= ' '; at++) {
        if (*at == '"')
            return (size_t) (at + 1 - text);
        if (*at == '\\' && (!at[1] || strncmp (at, "\\u0000", 6) == 0))
            return 0;
        at += *at == '\\';
    }
    return 0;
}

//  Whether all tokens are JSON's own; their order is left to cJSON.
static bool
s_tokens_are_json (const char *text)
{
    while (*text) {
        size_t length = strspn (text, " \t\r\n{}[]:,aeflnrstu");
        if (length == 0)
            length =
              *text == '"' ? s_string_length (text) : s_number_length (text);
        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

//  Whether some object has a key twice: the last one would win, unnoticed.
static bool
s_has_repeats (const cJSON *tree)
{
    size_t count = (size_t) cJSON_GetArraySize (tree);
    if (count == 0)
        return false;
    bool found = false;
    const char **keys = s_new (count * sizeof (char *));
    count = 0;
    for (cJSON *child = tree->child; child && !found; child = child->next) {
        keys[count++] = child->string;
        found = s_has_repeats (child);
    }
    if (cJSON_IsObject (tree) && !found) {
        qsort (keys, count, sizeof (char *), s_by_key);
        for (size_t i = 1; i < count && !found; i++)
            found = strcmp (keys[i - 1], keys[i]) == 0;
    }
    free (keys);
    return found;
}

//  Returns NULL if it is not JSON. Caller owns the return value.
static cJSON *
s_json_decode (const char *body, size_t size)
{
    return s_tokens_are_json (body)
             ? cJSON_ParseWithLengthOpts (body, size + 1, NULL, true)
             : NULL;
}

//  Adds what is a number by its looks and by its property, else a string.
static void
s_form_add (cJSON *parent, const char *label, const char *value)
{
    property_t it = s_property (label);
    size_t length = s_number_length (value);
    if (it < PROPERTIES && s_properties[it].type == NUMBER && length
        && !value[length])
        cJSON_AddNumberToObject (parent, label, strtod (value, NULL));
    else
        cJSON_AddStringToObject (parent, label, value);
}

//  Returns the object at that path of the form, made if need be. The table of
//  paths is what makes a form of 10000 measurements cheap.
static cJSON *
s_form_object (table_t *paths, const char *path, cJSON *parent,
               const char *label)
{
    entry_t *entry = table_entry (paths, path);
    if (!entry->item)
        entry->item = cJSON_AddObjectToObject (parent, label);
    return entry->item;
}

//  KEY=VALUE, where the key is a word or a path of three, gauges[0][name].
//  Returns -1 if it is neither.
static int
s_form_put (table_t *paths, cJSON *tree, char *key, const char *value)
{
    char list[16], group[256], label[32];
    int end = 0;
    if (!strpbrk (key, "[]")) {
        s_form_add (tree, key, value);
        return 0;
    }
    sscanf (key, "%15[^][][%255[^][]][%31[^][]]%n", list, group, label, &end);
    if (end == 0 || key[end])
        return -1;
    tree = s_form_object (paths, list, tree, list);
    key[strlen (list) + strlen (group) + 2] = '\0';
    s_form_add (s_form_object (paths, key, tree, group), label, value);
    return 0;
}

//  Undoes the form's encoding in place. Returns -1 if it hides a NUL.
static int
s_form_unescape (char *text)
{
    for (char *at = text; (at = strchr (at, '+'));)
        *at = ' ';
    return MHD_http_unescape (text) == strlen (text) ? 0 : -1;
}

//  Returns NULL if it is not a form. Caller owns the return value.
static cJSON *
s_form_decode (const char *body, size_t size)
{
    (void) size;
    table_t paths = {0};
    cJSON *tree = cJSON_CreateObject ();
    char *copy = s_text ("%s", body), *rest = copy, *key;
    int rc = 0;
    while (rc == 0 && (key = strtok_r (rest, "&", &rest))) {
        char *value = key + strcspn (key, "=");
        if (!*value)
            rc = -1;
        else {
            *value++ = '\0';
            rc = s_form_unescape (key) || s_form_unescape (value)
                   ? -1
                   : s_form_put (&paths, tree, key, value);
        }
    }
    table_forget (&paths, NULL);
    free (copy);
    if (rc == 0)
        return tree;
    cJSON_Delete (tree);
    return NULL;
}

typedef cJSON *(decode_fn) (const char *body, size_t size);

static const struct {
    const char *type;
    decode_fn *decode;
} s_content_types[] = {
  {"application/json", s_json_decode},
  {"application/x-www-form-urlencoded", s_form_decode},
  {"", s_form_decode},  //  none given: the documented default
  {NULL, NULL},
};

//  Returns NULL for a content type that is not served. Parameters are ignored.
static decode_fn *
s_decoder (const char *type)
{
    size_t length = strcspn (type, "; \t"), i = 0;
    while (s_content_types[i].type
           && (strlen (s_content_types[i].type) != length
               || strncasecmp (s_content_types[i].type, type, length) != 0))
        i++;
    return s_content_types[i].decode;
}

//  Returns NULL if the body is no object. Caller owns the return value.
static cJSON *
s_decode (decode_fn *decode, const char *body, size_t size)
{
    bool is_text = strlen (body) == size
                   && mbstowcs (NULL, body, 0) != (size_t) -1;  //  UTF-8
    cJSON *tree = decode && is_text ? decode (body, size) : NULL;
    if (cJSON_IsObject (tree) && !s_has_repeats (tree))
        return tree;
    cJSON_Delete (tree);
    return NULL;
}

//  --------------------------------------------------------------------------
//  The store: metrics know the type of a name, series add up, rows are what
//  was accepted, records are the requests that came in.

typedef struct {
    int kind;
    unsigned set;  //  a bit per figure
    double figures[FIGURES];
    int64_t time;
    size_t request;   //  index of its record
    entry_t *series;  //  SOURCE/NAME
} row_t;

typedef struct {
    unsigned status;
    size_t measurements, bytes;
    uint64_t hash;
    int64_t time_ms;
    const char *fault;
    char *user_agent;  //  owned
} record_t;

typedef struct {
    char *user, *token, *cert_file, *key_file, *script_text;
    long port, max_age, limit_body;
    bool require_tls, idempotent, help;

    pthread_mutex_t lock;  //  over all that follows
    pthread_cond_t wake;   //  the server stops: do not wait any longer
    bool stopping;
    script_t script;
    table_t metrics, series, keys;
    row_t *rows;
    size_t row_count;
    record_t *records;
    size_t record_count;
} standin_t;

static void
store_row (standin_t *self, const row_t *row)
{
    self->rows = s_grow (self->rows, self->row_count, sizeof (row_t));
    self->rows[self->row_count++] = *row;
    bool multi = (row->set & 1u << COUNT) != 0;
    row->series->rows++;
    row->series->samples += multi ? row->figures[COUNT] : 1;
    row->series->sum += row->figures[multi ? SUM : VALUE];
}

static void
store_record (standin_t *self, const record_t *record)
{
    self->records =
      s_grow (self->records, self->record_count, sizeof (record_t));
    self->records[self->record_count++] = *record;
}

static void
store_clear (standin_t *self)
{
    table_forget (&self->series, NULL);
    table_forget (&self->metrics, NULL);
    table_forget (&self->keys, NULL);
    while (self->record_count > 0)
        free (self->records[--self->record_count].user_agent);
    free (self->records);
    free (self->rows);
    self->records = NULL;
    self->rows = NULL;
    self->row_count = 0;
}

//  --------------------------------------------------------------------------
//  Measurements: each is held against the rules, one after the other.

typedef struct {
    standin_t *server;
    row_t row;
    int where;        //  TOP, GAUGE or COUNTER
    const char *key;  //  in a hash by name; NULL in an array
    const char *name, *source;
    const cJSON *fields[PROPERTIES];
    const char *param;  //  the property at fault
    const char *text;   //  and what it says, where a sentence wants it
} measurement_t;

static bool
s_is_of_type (const cJSON *item, type_t type)
{
    bool is_object = cJSON_IsObject (item);
    return type == TEXT     ? cJSON_IsString (item)
           : type == NUMBER ? cJSON_IsNumber (item)
           : type == OBJECT ? is_object
                            : is_object || cJSON_IsArray (item);
}

//  Names of metrics and of sources.
static bool
s_is_name (const char *text)
{
    size_t length = strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789.:-_"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return length > 0 && length <= 255 && !text[length];
}

//  Takes the properties apart: none that is unknown, none of the wrong type.
static const refusal_t *
s_read (measurement_t *it, const cJSON *object)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, object)
    {
        property_t i = s_property (item->string);
        it->param = item->string;
        if (i == PROPERTIES || !(s_properties[i].where & it->where))
            return &s_unknown;
        if (cJSON_IsNull (item) && s_properties[i].where & NULLABLE)
            continue;
        if (!s_is_of_type (item, s_properties[i].type))
            return &s_ill_typed;
        it->fields[i] = item;
    }
    return NULL;
}

//  A rule takes what it needs out of the fields, and returns what is wrong or
//  NULL. Where it speaks, those before it have passed.
typedef const refusal_t *(rule_fn) (measurement_t *it);

static const refusal_t *
s_rule_name (measurement_t *it)
{
    const cJSON *name = it->fields[NAME];
    it->name = it->text = name ? name->valuestring : it->key;
    if (!it->name || !*it->name)
        return &s_no_name;
    return s_is_name (it->name) ? NULL : &s_bad_name;
}

static const refusal_t *
s_rule_source (measurement_t *it)
{
    if (!it->fields[SOURCE])
        return NULL;
    it->source = it->text = it->fields[SOURCE]->valuestring;
    bool reserved = strcasecmp (it->source, "all") == 0;
    return s_is_name (it->source) && !reserved ? NULL : &s_bad_source;
}

//  No limit on the future is documented; from the year 5138 on it is taken
//  for what it surely is, milliseconds. A fraction is cut off.
static const refusal_t *
s_rule_time (measurement_t *it)
{
    if (!it->fields[MEASURE_TIME])
        return NULL;
    double when = it->fields[MEASURE_TIME]->valuedouble;
    it->param = "measure_time";
    if (when >= 1e11)
        return &s_out_of_range;
    if (when < (double) (s_now_ms () / 1000 - it->server->max_age))
        return &s_too_old;
    it->row.time = (int64_t) when;
    return NULL;
}

//  A measurement is one value, or a count and a sum and what goes with them.
//  Exponents above 126 abort the request, what is below 1e-130 is a zero.
static const refusal_t *
s_rule_figures (measurement_t *it)
{
    bool multi = it->fields[COUNT] != NULL;
    for (property_t i = VALUE; i < FIGURES; i++) {
        it->param = s_properties[i].name;
        if (!it->fields[i] && i == (multi ? SUM : VALUE))
            return &s_required;
        if (!it->fields[i])
            continue;
        if (multi == (i == VALUE))
            return &s_unexpected;
        double figure = it->fields[i]->valuedouble;
        if (fabs (figure) >= 1e127)
            return &s_out_of_range;
        it->row.figures[i] = fabs (figure) < 1e-130 ? 0.0 : figure;
        it->row.set |= 1u << i;
    }
    return NULL;
}

static const refusal_t *
s_rule_range (measurement_t *it)
{
    const double *figures = it->row.figures;
    if (it->row.kind == COUNTER && figures[VALUE] < 0)
        return &s_negative;
    if (!it->fields[COUNT])
        return NULL;
    it->param = "count";
    if (figures[COUNT] <= 0)
        return &s_not_positive;
    if (figures[COUNT] != floor (figures[COUNT]))
        return &s_ill_typed;
    it->param = "sum_squares";
    if (figures[SUM_SQUARES] < 0)
        return &s_not_positive;
    bool both = it->fields[MIN] && it->fields[MAX];
    return both && figures[MIN] > figures[MAX] ? &s_min_max : NULL;
}

//  Also remembers the type of a new name; s_take undoes that after a refusal.
static const refusal_t *
s_rule_type (measurement_t *it)
{
    entry_t *metric = table_entry (&it->server->metrics, it->name);
    it->text = it->name;
    if (!metric->kind)
        metric->kind = it->row.kind;
    if (metric->kind == it->row.kind)
        return NULL;
    return metric->kind == GAUGE ? &s_is_gauge : &s_is_counter;
}

static rule_fn *const s_rules[] = {
  s_rule_name,  s_rule_source, s_rule_time, s_rule_figures,
  s_rule_range, s_rule_type,   NULL,
};

//  The globals are a measurement on which only two rules have a say.
static rule_fn *const s_global_rules[] = {s_rule_source, s_rule_time, NULL};

static const refusal_t *
s_check (measurement_t *it, const cJSON *object, rule_fn *const *rules)
{
    const refusal_t *refusal =
      cJSON_IsObject (object) ? s_read (it, object) : &s_ill_typed;
    if (refusal && it->where != TOP)
        s_rule_name (it);  //  as far as it is known, for the reply
    while (!refusal && *rules)
        refusal = (*rules++) (it);
    return refusal;
}

//  --------------------------------------------------------------------------
//  POST /v1/metrics.

typedef struct {
    standin_t *server;
    struct MHD_Connection *connection;
    char *body;         //  owned, a NUL after it; at most limit_body
    size_t room, size;  //  the size is that of all that came
    int64_t time_ms;
    cJSON *tree;  //  owned; NULL if the body makes no sense
    reply_t reply;
    int flags;  //  of the fault
} request_t;

static const char *
s_header (const request_t *self, const char *name)
{
    const char *value =
      MHD_lookup_connection_value (self->connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

//  What turns a request away before its measurements are looked at.
// clang-format off
enum { INSECURE = 1, STRANGER = 2, TOO_LARGE = 4, OTHER_TYPE = 8, SENSELESS = 16 };
// clang-format on

static bool
s_is_too_large (const request_t *self)
{
    return self->size > (size_t) self->server->limit_body;
}

static bool
s_is_known (const request_t *self)
{
    char *token = NULL;
    char *user =
      MHD_basic_auth_get_username_password (self->connection, &token);
    bool known = user && token && strcmp (user, self->server->user) == 0
                 && strcmp (token, self->server->token) == 0;
    MHD_free (user);
    MHD_free (token);
    return known;
}

static int
s_troubles (const request_t *self)
{
    bool secure = !self->server->require_tls
                  || MHD_get_connection_info (self->connection,
                                              MHD_CONNECTION_INFO_PROTOCOL);
    return (secure ? 0 : INSECURE) | (s_is_known (self) ? 0 : STRANGER)
           | (s_is_too_large (self) ? TOO_LARGE : 0)
           | (s_decoder (s_header (self, "Content-Type")) ? 0 : OTHER_TYPE)
           | (self->tree ? 0 : SENSELESS);
}

//  In the order in which they are named to the sender
typedef struct {
    int trouble;
    unsigned status;
    const char *type, *body;
} gate_t;

#define USE_HTTPS                                                              \
    REQUEST_ERROR ("\"Please use secured connection through https!\","         \
                   "\"Please provide credentials for authentication.\"")

// clang-format off
static const gate_t s_post_gates[] = {
    {INSECURE, 403, JSON_TYPE, USE_HTTPS},
    {STRANGER, 401, TEXT_TYPE,
     "Credentials are required to access this resource."},
    {TOO_LARGE, 413, JSON_TYPE,
     REQUEST_ERROR ("\"The request is too large\"")},
    {OTHER_TYPE, 415, JSON_TYPE,
     REQUEST_ERROR ("\"The content type is not supported\"")},
    {SENSELESS, 400, JSON_TYPE,
     REQUEST_ERROR ("\"The request cannot be parsed\"")},
    {0, 0, NULL, NULL},
};

static const gate_t s_get_gates[] = {
    {INSECURE, 403, JSON_TYPE, USE_HTTPS},
    {STRANGER, 401, JSON_TYPE, REQUEST_ERROR ("\"Authorization Required\"")},
    {0, 0, NULL, NULL},
};
// clang-format on

//  Returns false, the reply set, if a gate stops the request.
static bool
s_pass (request_t *self, const gate_t *gate)
{
    int troubles = s_troubles (self);
    while (gate->trouble && !(gate->trouble & troubles))
        gate++;
    if (gate->trouble)
        reply_set (&self->reply, gate->status, gate->type,
                   s_text ("%s", gate->body));
    return !gate->trouble;
}

//  How many measurements the request holds, good or not.
static size_t
s_measurements (const request_t *self)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach (item, self->tree)
    {
        property_t i = s_property (item->string);
        if (i == GAUGES || i == COUNTERS)
            count += (size_t) cJSON_GetArraySize (item);
    }
    return count;
}

static bool
s_is_poisoned (const request_t *self)
{
    const cJSON *list, *item;
    cJSON_ArrayForEach (list, self->tree) cJSON_ArrayForEach (item, list)
    {
        const cJSON *name = cJSON_GetObjectItem (item, "name");
        if (cJSON_IsString (name)
            && strncmp (name->valuestring, "poison", 6) == 0)
            return true;
    }
    return false;
}

//  Checks gauges or counters, from *next on. Returns false, the reply set, at
//  the first that is refused.
static bool
s_check_list (request_t *self, const measurement_t *globals, int kind,
              measurement_t **next)
{
    const cJSON *list = globals->fields[kind == GAUGE ? GAUGES : COUNTERS];
    const cJSON *item;
    cJSON_ArrayForEach (item, list)
    {
        measurement_t *it = (*next)++;
        it->server = self->server;
        it->where = it->row.kind = kind;
        it->row.time = globals->row.time;
        it->row.request = self->server->record_count;
        it->source = globals->source;
        it->key = item->string;
        it->param = kind == GAUGE ? "gauges" : "counters";
        const refusal_t *refusal = s_check (it, item, s_rules);
        if (refusal) {
            reply_refuse (&self->reply, refusal, it->param, it->text, it->name);
            return false;
        }
    }
    return true;
}

//  Stores all measurements of the request, or none.
static void
s_take (request_t *self)
{
    standin_t *server = self->server;
    size_t count = s_measurements (self);
    measurement_t globals = {.server = server,
                             .where = TOP,
                             .source = "unassigned",
                             .row.time = self->time_ms / 1000};
    const refusal_t *refusal = s_check (&globals, self->tree, s_global_rules);
    if (refusal)
        reply_refuse (&self->reply, refusal, globals.param, globals.text, NULL);
    else if (count == 0)
        reply_set (&self->reply, 400, JSON_TYPE,
                   s_text (REQUEST_ERROR ("\"Must contain a measurement\"")));
    if (refusal || count == 0)
        return;

    measurement_t *all = s_new (count * sizeof (measurement_t)), *end = all;
    entry_t *last = server->metrics.list;
    if (s_check_list (self, &globals, GAUGE, &end)
        && s_check_list (self, &globals, COUNTER, &end)) {
        for (measurement_t *it = all; it < end; it++) {
            char *key = s_text ("%s/%s", it->source, it->name);
            it->row.series = table_entry (&server->series, key);
            store_row (server, &it->row);
            free (key);
        }
        reply_set (&self->reply, 200, JSON_TYPE, NULL);
    }
    else
        table_forget (&server->metrics, last);
    free (all);
}

//  Waits without the lock, until the server stops at the latest.
static void
s_delay (standin_t *self, long ms)
{
    struct timespec until;
    clock_gettime (CLOCK_MONOTONIC, &until);
    long ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    while (!self->stopping
           && pthread_cond_clockwait (&self->wake, &self->lock, CLOCK_MONOTONIC,
                                      &until)
                == 0)
        ;
}

//  FNV-1a: enough to tell whether a retry carries the same body.
static uint64_t
s_hash (const char *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char) data[i]) * 0x100000001b3u;
    return hash;
}

//  With --idempotent: stores what comes with a key only once. The same key
//  with another body is an error (draft-ietf-httpapi-idempotency-key-header,
//  section 2.7).
static void
s_take_once (request_t *self, uint64_t hash)
{
    const char *key = s_header (self, "Idempotency-Key");
    entry_t *entry = self->server->idempotent && *key
                       ? table_entry (&self->server->keys, key)
                       : NULL;
    if (!entry || !entry->rows)
        s_take (self);
    else if (entry->hash == hash)
        reply_set (&self->reply, 200, JSON_TYPE, NULL);
    else
        reply_set (&self->reply, 422, JSON_TYPE,
                   s_text (REQUEST_ERROR ("\"Key of another body\"")));
    if (entry && self->reply.status == 200) {
        entry->rows = 1;
        entry->hash = hash;
    }
}

static void
s_post_metrics (request_t *self)
{
    standin_t *server = self->server;
    size_t kept = s_is_too_large (self) ? 0 : self->size;
    self->body[kept] = '\0';
    self->tree =
      s_decode (s_decoder (s_header (self, "Content-Type")), self->body, kept);
    record_t record = {
      .measurements = s_measurements (self),
      .bytes = self->size,
      .hash = s_hash (self->body, kept),
      .time_ms = self->time_ms,
      .user_agent = s_text ("%s", s_header (self, "User-Agent")),
    };
    pthread_mutex_lock (&server->lock);
    word_t word = script_next (&server->script);
    self->flags = word.fault->flags;
    if (self->flags & DELAY)
        s_delay (server, word.argument);
    bool bad = self->flags & IF && s_is_poisoned (self);
    if (self->flags & IF && !bad)
        self->flags &= ~CUT;
    if (word.fault->status && (bad || !(self->flags & IF)))
        reply_fault (&self->reply, &word);
    else if (self->flags & SERVE && !bad && s_pass (self, s_post_gates))
        s_take_once (self, record.hash);
    record.fault = word.fault->word;
    record.status = self->flags & CUT ? 0 : self->reply.status;
    store_record (server, &record);
    pthread_mutex_unlock (&server->lock);
}

//  --------------------------------------------------------------------------
//  What is read back. It can be large, so it is printed as text at once; names
//  and sources need no escapes.

//  One page, the latest first: clients ask for it only to see whether their
//  credentials are good.
static void
s_print_metrics (const standin_t *self, const char *name, FILE *out)
{
    (void) name;
    enum { PAGE = 100 };
    int found = 0, length = 0;
    for (const entry_t *it = self->metrics.list; it; it = it->next)
        found++;
    fprintf (out,
             "{\"query\":{\"found\":%d,\"length\":%d,\"offset\":0,"
             "\"total\":%d},\"metrics\":[",
             found, found < PAGE ? found : PAGE, found);
    for (const entry_t *it = self->metrics.list; it && length < PAGE;
         it = it->next)
        fprintf (out, "%s{\"name\":\"%s\",\"type\":\"%s\"}",
                 length++ ? "," : "", it->key,
                 it->kind == GAUGE ? "gauge" : "counter");
    fputs ("]}", out);
}

static int
s_source_length (const row_t *row)
{
    return (int) strcspn (row->series->key, "/");
}

static void
s_print_row (const row_t *row, FILE *out)
{
    int source = s_source_length (row);
    fprintf (out,
             "{\"kind\":\"%s\",\"name\":\"%s\",\"source\":\"%.*s\","
             "\"measure_time\":%lld",
             row->kind == GAUGE ? "gauge" : "counter",
             row->series->key + source + 1, source, row->series->key,
             (long long) row->time);
    for (int i = VALUE; i < FIGURES; i++)
        if (row->set & 1u << i)
            fprintf (out, ",\"%s\":%.17g", s_properties[i].name,
                     row->figures[i]);
    fprintf (out, ",\"request\":%zu}", row->request);
}

static void
s_print_stored (const standin_t *self, const char *name, FILE *out)
{
    const char *before = "[";
    for (const row_t *row = self->rows; row < self->rows + self->row_count;
         row++) {
        if (strncmp (row->series->key + s_source_length (row) + 1, name,
                     strlen (name))
            != 0)
            continue;
        fputs (before, out);
        s_print_row (row, out);
        before = ",\n";
    }
    fputs (*before == '[' ? "[]" : "]", out);
}

static void
s_print_totals (const standin_t *self, const char *name, FILE *out)
{
    (void) name;
    for (const entry_t *it = self->series.list; it; it = it->next)
        fprintf (out, "%s\"%s\":{\"n\":%zu,\"count\":%.17g,\"sum\":%.17g}",
                 it == self->series.list ? "{" : ",\n", it->key, it->rows,
                 it->samples, (double) it->sum);
    fputs (self->series.list ? "}" : "{}", out);
}

static void
s_print_records (const standin_t *self, const char *name, FILE *out)
{
    (void) name;
    for (size_t i = 0; i < self->record_count; i++) {
        const record_t *it = &self->records[i];
        cJSON *text = cJSON_CreateStringReference (it->user_agent);
        char *user_agent = cJSON_PrintUnformatted (text);
        fprintf (out,
                 "%s{\"status\":%u,\"measurements\":%zu,\"bytes\":%zu,"
                 "\"fnv1a\":\"%016llx\",\"user_agent\":%s,\"fault\":\"%s\","
                 "\"time_ms\":%lld}",
                 i ? ",\n" : "[", it->status, it->measurements, it->bytes,
                 (unsigned long long) it->hash, user_agent, it->fault,
                 (long long) it->time_ms);
        free (user_agent);
        cJSON_Delete (text);
    }
    fputs (self->record_count ? "]" : "[]", out);
}

//  --------------------------------------------------------------------------
//  HTTP: libmicrohttpd runs a thread per connection, so that a slow reply
//  holds nobody else up.

static void
s_delete_stored (request_t *self)
{
    pthread_mutex_lock (&self->server->lock);
    store_clear (self->server);
    pthread_mutex_unlock (&self->server->lock);
    reply_set (&self->reply, 200, TEXT_TYPE, NULL);
}

static void
s_post_script (request_t *self)
{
    pthread_mutex_lock (&self->server->lock);
    int rc = s_is_too_large (self)
               ? -1
               : script_parse (&self->server->script, self->body);
    pthread_mutex_unlock (&self->server->lock);
    reply_set (&self->reply, rc ? 400 : 200, TEXT_TYPE,
               rc ? s_text ("bad word in the script\n") : NULL);
}

typedef struct {
    const char *method, *path;
    void (*serve) (request_t *self);  //  or, if there is nothing but to print:
    void (*print) (const standin_t *self, const char *name, FILE *out);
    const gate_t *gates;
} route_t;

// clang-format off
static const route_t s_routes[] = {
    {"POST",   "/v1/metrics",       s_post_metrics,  NULL,            NULL},
    {"GET",    "/v1/metrics",       NULL,            s_print_metrics, s_get_gates},
    {"HEAD",   "/v1/metrics",       NULL,            s_print_metrics, s_get_gates},
    {"GET",    "/control/stored",   NULL,            s_print_stored,  NULL},
    {"GET",    "/control/totals",   NULL,            s_print_totals,  NULL},
    {"GET",    "/control/requests", NULL,            s_print_records, NULL},
    {"POST",   "/control/script",   s_post_script,   NULL,            NULL},
    {"DELETE", "/control/stored",   s_delete_stored, NULL,            NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
// clang-format on

static void
s_print (request_t *self, const route_t *route)
{
    char *body = NULL;
    size_t size;
    FILE *out = open_memstream (&body, &size);
    const char *name = MHD_lookup_connection_value (
      self->connection, MHD_GET_ARGUMENT_KIND, "name");
    if (!out)
        die ("out of memory");
    pthread_mutex_lock (&self->server->lock);
    route->print (self->server, name ? name : "", out);
    pthread_mutex_unlock (&self->server->lock);
    fclose (out);
    reply_set (&self->reply, 200, JSON_TYPE, body);
}

static void
s_route (request_t *self, const char *method, const char *path)
{
    const route_t *route = s_routes;
    while (route->path
           && (strcmp (route->path, path) || strcmp (route->method, method)))
        route++;
    if (!route->path)
        reply_set (&self->reply, 404, JSON_TYPE,
                   s_text (REQUEST_ERROR ("\"Not Found\"")));
    else if (route->serve)
        route->serve (self);
    else if (!route->gates || s_pass (self, route->gates))
        s_print (self, route);
}

//  Writes past libmicrohttpd, which would send the head in one piece.
static ssize_t
s_write (request_t *self, const char *data, size_t size)
{
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info (
      self->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (tls)
        return gnutls_record_send (tls->tls_session, data, size);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info (
      self->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int on = 1;
    setsockopt (info->connect_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return send (info->connect_fd, data, size, MSG_NOSIGNAL);
}

//  Sends the reply a few bytes at a time. The gap is the fault itself: without
//  it the peer's kernel would put the pieces together again.
static void
s_send_split (request_t *self)
{
    enum { PIECE = 8, GAP_NS = 2000000 };
    const reply_t *reply = &self->reply;
    const char *body = reply->body ? reply->body : "";
    char *text = s_text (
      "HTTP/1.1 %u Split\r\n%s%sContent-Length: %zu\r\n\r\n%s", reply->status,
      reply->head,
      strstr (reply->head, "Connection:") ? "" : "Connection: close\r\n",
      strlen (body), body);
    size_t left = strlen (text);
    for (const char *at = text; left > 0;) {
        ssize_t sent = s_write (self, at, left < PIECE ? left : PIECE);
        if (sent <= 0)
            break;
        at += sent;
        left -= (size_t) sent;
        nanosleep (&(struct timespec){0, GAP_NS}, NULL);
    }
    free (text);
}

//  Returns MHD_NO to have the connection closed.
static enum MHD_Result
s_send (request_t *self)
{
    reply_t *reply = &self->reply;
    if (self->flags & SPLIT)
        s_send_split (self);
    if (self->flags & (CUT | SPLIT))
        return MHD_NO;
    struct MHD_Response *response =
      MHD_create_response_from_buffer (reply->body ? strlen (reply->body) : 0,
                                       reply->body, MHD_RESPMEM_MUST_FREE);
    reply->body = NULL;
    MHD_set_response_options (response, MHD_RF_SEND_KEEP_ALIVE_HEADER,
                              MHD_RO_END);
    char *rest = reply->head, *name;
    while ((name = strtok_r (rest, "\r\n", &rest))) {
        char *value = strchr (name, ':');
        *value = '\0';
        MHD_add_response_header (response, name, value + 2);
    }
    enum MHD_Result rc =
      MHD_queue_response (self->connection, reply->status, response);
    MHD_destroy_response (response);
    return rc;
}

//  Beyond the limit a body is read, counted and thrown away: a reply before
//  its end might be lost to the sender.
static void
s_receive (request_t *self, const char *data, size_t size)
{
    size_t had = self->size;
    self->size += size;
    if (s_is_too_large (self))
        return;
    while (self->room < self->size + 1)
        self->body = s_resize (self->body, self->room *= 2);
    memcpy (self->body + had, data, size);
    self->body[self->size] = '\0';
}

//  libmicrohttpd calls this with the head, with each piece of the body, and
//  once more at the end.
static enum MHD_Result
s_on_request (void *argument, struct MHD_Connection *connection,
              const char *path, const char *method, const char *version,
              const char *data, size_t *size, void **context)
{
    (void) version;
    request_t *request = *context;
    if (!request) {
        *context = request = s_new (sizeof (request_t));
        request->server = argument;
        request->connection = connection;
        request->time_ms = s_now_ms ();
        request->room = 4096;
        request->body = s_new (request->room);
    }
    else if (*size) {
        s_receive (request, data, *size);
        *size = 0;
    }
    else {
        s_route (request, method, path);
        return s_send (request);
    }
    return MHD_YES;
}

static void
s_on_completed (void *argument, struct MHD_Connection *connection,
                void **context, enum MHD_RequestTerminationCode code)
{
    (void) argument;
    (void) connection;
    (void) code;
    request_t *request = *context;
    if (!request)
        return;
    cJSON_Delete (request->tree);
    free (request->reply.body);
    free (request->body);
    free (request);
    *context = NULL;
}

//  --------------------------------------------------------------------------
//  Command line.

typedef struct {
    const char *name, *argument, *help;
    enum { FLAG, WHOLE, WORDS } type;
    size_t offset;
} option_t;

#define SETTING(name) offsetof (standin_t, name)

// clang-format off
static const option_t s_options[] = {
    {"--port",        "N",     "port on 127.0.0.1, 0: a free one", WHOLE, SETTING (port)},
    {"--user",        "U",     "the account's e-mail", WORDS, SETTING (user)},
    {"--token",       "T",     "the account's API token", WORDS, SETTING (token)},
    {"--max-age",     "N",     "of a measure_time, in seconds", WHOLE, SETTING (max_age)},
    {"--limit-body",  "N",     "of a request, in bytes", WHOLE, SETTING (limit_body)},
    {"--require-tls", "",      "refuse plain HTTP", FLAG, SETTING (require_tls)},
    {"--tls-cert",    "FILE",  "serve HTTPS, with this", WORDS, SETTING (cert_file)},
    {"--tls-key",     "FILE",  "and this key", WORDS, SETTING (key_file)},
    {"--idempotent",  "",      "store what has an Idempotency-Key once", FLAG, SETTING (idempotent)},
    {"--script",      "WORDS", "faults, see below", WORDS, SETTING (script_text)},
    {"--help",        "",      "print this", FLAG, SETTING (help)},
    {NULL, NULL, NULL, FLAG, 0},
};
// clang-format on

static void
s_usage (standin_t *self, FILE *out)
{
    fputs ("usage: standin [options]\n", out);
    for (const option_t *it = s_options; it->name; it++) {
        void *setting = (char *) self + it->offset;
        fprintf (out, "  %-13s %-5s  %s", it->name, it->argument, it->help);
        if (it->type == WHOLE)
            fprintf (out, " (%ld)", *(long *) setting);
        if (it->type == WORDS && *(char **) setting)
            fprintf (out, " (%s)", *(char **) setting);
        putc ('\n', out);
    }
    fputs ("faults:", out);
    for (const fault_t *it = s_faults; it->word; it++)
        fprintf (out, " %s%s%s", it->word, it->flags & DELAY ? ":MS" : "",
                 it->flags & RETRY ? ":SECONDS" : "");
    putc ('\n', out);
}

//  Returns -1 if there is one that is not ours.
static int
s_parse_options (standin_t *self, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const option_t *it = s_options;
        while (it->name && strcmp (it->name, argv[i]) != 0)
            it++;
        if (!it->name || (it->type != FLAG && ++i == argc))
            return -1;
        void *setting = (char *) self + it->offset;
        if (it->type == FLAG)
            *(bool *) setting = true;
        else if (it->type == WORDS)
            *(char **) setting = argv[i];
        else if ((*(long *) setting = s_whole_number (argv[i])) < 0)
            return -1;
    }
    if (self->port > 65535 || !self->cert_file != !self->key_file)
        return -1;
    return script_parse (&self->script,
                         self->script_text ? self->script_text : "");
}

//  Returns a file's text. Caller owns the return value; NULL for no name.
static char *
s_read_file (const char *name)
{
    char *text = NULL;
    size_t room = 0;
    FILE *file = name ? fopen (name, "r") : NULL;
    if (name && (!file || getdelim (&text, &room, '\0', file) < 0))
        die ("cannot read the certificate or its key");
    if (file)
        fclose (file);
    return text;
}

//  Returns the server, which listens. Caller owns the return value.
static struct MHD_Daemon *
s_start (standin_t *self)
{
    struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons ((uint16_t) self->port),
      .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
    };
    char *cert = s_read_file (self->cert_file);
    char *key = s_read_file (self->key_file);
    struct MHD_OptionItem tls[] = {
      {MHD_OPTION_HTTPS_MEM_CERT, 0, cert},
      {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
      {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL
                     | MHD_USE_THREAD_PER_CONNECTION | (cert ? MHD_USE_TLS : 0);
    struct MHD_Daemon *daemon = MHD_start_daemon (
      flags, 0, NULL, NULL, s_on_request, self, MHD_OPTION_SOCK_ADDR,
      (struct sockaddr *) &address, MHD_OPTION_NOTIFY_COMPLETED, s_on_completed,
      NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) 256 * 1024,
      MHD_OPTION_ARRAY, cert ? tls : &tls[2], MHD_OPTION_END);
    free (cert);
    free (key);
    if (!daemon)
        die ("cannot listen: port in use, or bad certificate");
    return daemon;
}

//  Wakes whoever waits, ends the connections, frees everything.
static void
s_stop (standin_t *self, struct MHD_Daemon *daemon)
{
    pthread_mutex_lock (&self->lock);
    self->stopping = true;
    pthread_cond_broadcast (&self->wake);
    pthread_mutex_unlock (&self->lock);
    MHD_stop_daemon (daemon);
    store_clear (self);
    free (self->script.words);
    pthread_cond_destroy (&self->wake);
    pthread_mutex_destroy (&self->lock);
}

//  Blocks the signals that end us, before any thread is started.
static void
s_block_signals (sigset_t *set)
{
    sigemptyset (set);
    sigaddset (set, SIGTERM);
    sigaddset (set, SIGINT);
    pthread_sigmask (SIG_BLOCK, set, NULL);
    signal (SIGPIPE, SIG_IGN);
}

int
main (int argc, char **argv)
{
    pid_t parent = getppid ();
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)  //  gone in between: nobody will tell us
        return 1;

    setlocale (LC_CTYPE, "C.UTF-8");  //  for mbstowcs
    standin_t self = {
      .user = "user@example.org",
      .token = "token",
      .max_age = 7200,
      .limit_body = 3 * 1024 * 1024,
      .lock = PTHREAD_MUTEX_INITIALIZER,
      .wake = PTHREAD_COND_INITIALIZER,
      .metrics = {.any_case = true},
    };
    int rc = s_parse_options (&self, argc, argv);
    if (rc || self.help) {
        s_usage (&self, rc ? stderr : stdout);
        return rc ? 2 : 0;
    }
    sigset_t stop;
    s_block_signals (&stop);
    struct MHD_Daemon *daemon = s_start (&self);
    const union MHD_DaemonInfo *info =
      MHD_get_daemon_info (daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf ("ready url=http%s://127.0.0.1:%u/v1/metrics\n",
            self.cert_file ? "s" : "", (unsigned) info->port);
    fflush (stdout);

    int signal_number;
    sigwait (&stop, &signal_number);
    s_stop (&self, daemon);
    return 0;
}
