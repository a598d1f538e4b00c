/*  test_window.c - what does a flush make of what a window took in?

    Sections: entries, rows, JSON, the flush's clock, requests, the queue.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clock.h"
#include "hist.h"
#include "ledger.h"
#include "line.h"
#include "queue.h"
#include "request.h"
#include "window.h"
#include "zibrato_backend.h"

#include <cjson/cJSON.h>
#include <float.h>

static entry_t *
window_entry (window_t *self, const zb_line_t *line)
{
    uint64_t hash = window_hash (line);
    entry_t *entry = window_find (self, line, hash);
    return entry ? entry : window_add (self, line, hash);
}

//  The line's texts point into the text.
static zb_line_t
s_line (const char *text)
{
    zb_line_t line;
    assert_null (line_parse (text, strlen (text), &line));
    return line;
}

static entry_t *
s_entry (window_t *window, const char *text)
{
    zb_line_t line = s_line (text);
    return window_entry (window, &line);
}

static entry_t *
s_sample (window_t *window, const char *text)
{
    zb_line_t line = s_line (text);
    entry_t *entry = window_entry (window, &line);
    entry_sample (entry, &line);
    return entry;
}

//  --------------------------------------------------------------------------
//  Entries: a counter has one, others one a second

static void
test_entries (void **state)
{
    window_t window = {.number = 0};
    entry_t *counter, *gauge, *timer;
    (void) state;
    window_begin (&window);
    assert_int_equal (window.number, 1);
    counter = s_entry (&window, "a|Counter|n|1|100|s");
    assert_ptr_equal (counter, s_entry (&window, "a|Counter|n|1|100|s"));
    assert_ptr_equal (counter, s_entry (&window, "a|Counter|n|9|200.5|s"));
    //  of whatever level: the service could not tell them apart
    assert_ptr_equal (counter, s_entry (&window, "b|Counter|n|1|100|s"));
    gauge = s_entry (&window, "a|Gauge|n|1|100|s");
    assert_ptr_not_equal (gauge, counter);
    assert_ptr_equal (gauge, s_entry (&window, "a|Gauge|n|1|100.999|s"));
    assert_ptr_not_equal (gauge, s_entry (&window, "a|Gauge|n|1|101|s"));
    timer = s_entry (&window, "a|Timer|n|1|100|s");
    assert_ptr_not_equal (timer, gauge);
    assert_ptr_not_equal (timer, s_entry (&window, "a|Timer|n|1|99.9|s"));
    assert_ptr_not_equal (counter, s_entry (&window, "a|Counter|m|1|100|s"));
    assert_ptr_not_equal (counter, s_entry (&window, "a|Counter|n|1|100|t"));
    //  name and source do not run into one another
    assert_ptr_not_equal (s_entry (&window, "a|Counter|ab|1|100|c"),
                          s_entry (&window, "a|Counter|a|1|100|bc"));
    assert_int_equal (window.entries.count, 9);
    assert_string_equal (counter->text, "n");
    assert_string_equal (counter->text + counter->name_size + 1, "s");
    window_clear (&window);
    window_begin (&window);
    assert_int_equal (window.number, 2);
    assert_int_equal (window.entries.count, 0);
}

static void
test_many_entries (void **state)
{
    window_t window = {.number = 0};
    char text[100];
    int i, round;
    (void) state;
    window_begin (&window);
    for (round = 0; round < 2; round++)
        for (i = 0; i < 20000; i++) {
            snprintf (text, sizeof text, "a|Gauge|n%d|1|%d|s", i / 10, i % 10);
            s_sample (&window, text);
            assert_int_equal (window.entries.count, round ? 20000 : i + 1);
        }
    window_clear (&window);
}

//  --------------------------------------------------------------------------
//  Rows

static const int64_t s_billion = 1000000000;

static void
test_row_counter (void **state)
{
    window_t window = {.number = 0};
    increment_t increment = {.value = 2.5};
    zb_row_t row;
    entry_t *entry;
    (void) state;
    window_begin (&window);
    entry = s_entry (&window, "a|Counter|n|1|100|s");
    entry_increment (entry, &increment);
    entry_increment (entry, &increment);
    increment.value = -1;
    entry_increment (entry, &increment);
    entry_row (entry, 12300, 12345, &row);
    assert_int_equal (row.type, ZB_TYPE_COUNTER);
    assert_true (row.time_ns == 12345 * s_billion);  //  of the flush
    assert_true (row.start_ns == 12300 * s_billion);
    assert_int_equal (row.count, 1);
    assert_true (row.value == 4);
    assert_string_equal (row.name, "n");
    assert_string_equal (row.source, "s");
    window_clear (&window);
}

static void
test_row_gauge (void **state)
{
    window_t window = {.number = 0};
    zb_row_t row;
    entry_t *entry;
    (void) state;
    window_begin (&window);
    entry = s_sample (&window, "a|Gauge|n|-3|100.2|s");
    entry_row (entry, 12300, 12345, &row);
    assert_true (row.time_ns == 100 * s_billion);  //  its own
    assert_true (row.start_ns == row.time_ns);
    assert_true (row.last_ns == 100 * s_billion + 200000000);
    assert_int_equal (row.count, 1);
    assert_true (row.value == -3 && row.sum == -3);
    assert_true (row.min == -3 && row.max == -3);
    s_sample (&window, "a|Gauge|n|-5|100.9|s");
    s_sample (&window, "a|Gauge|n|2|100.9|s");
    entry_row (entry, 12300, 12345, &row);
    assert_int_equal (row.count, 3);
    assert_true (row.sum == -6 && row.min == -5 && row.max == 2);
    assert_true (row.sum_squares == 38);
    assert_true (row.last == 2 && row.last_ns == 100 * s_billion + 900000000);
    window_clear (&window);
}

static void
test_row_timer (void **state)
{
    window_t window = {.number = 0};
    increment_t increment = {.count = 3,
                             .sum_ns = 6000000001,
                             .sum_squares = 14,
                             .min_ns = 1000000000,
                             .max_ns = 3000000000};
    zb_row_t row;
    entry_t *entry;
    size_t at = 0;
    (void) state;
    window_begin (&window);
    entry = s_sample (&window, "a|Timer|n|0.25|100|s");
    entry_row (entry, 12300, 12345, &row);
    assert_int_equal (row.count, 1);
    assert_true (row.value == 0.25 && row.sum == 0.25);
    assert_true (row.min == 0.25 && row.max == 0.25);
    assert_true (fabs (row.sum_squares - 0.0625) < 1e-15);
    hist_place (&increment.hist, &at, -1)->count = 1;
    hist_place (&increment.hist, &at, 31)->count = 2;
    entry_increment (entry, &increment);
    entry_row (entry, 12300, 12345, &row);
    assert_true (row.time_ns == 100 * s_billion);
    assert_int_equal (row.count, 4);
    assert_true (row.sum == 6.250000001);
    assert_true (row.min == 0.25 && row.max == 3);
    assert_true (fabs (row.sum_squares - 14.0625) < 1e-12);
    assert_int_equal (entry->samples->hist.size, 3);
    //  a first report without samples says nothing of their range
    entry_increment (entry, &(increment_t){.max_ns = 9000000000, .fresh = 1});
    entry_row (entry, 12300, 12345, &row);
    assert_int_equal (row.count, 4);
    assert_true (row.min == 0.25 && row.max == 3);
    free (increment.hist.bucket);
    window_clear (&window);
}

//  Of one sample the sum is exact, though its range may be that of its bucket.
static void
test_row_single (void **state)
{
    window_t window = {.number = 0};
    const increment_t increment = {
      .count = 1, .sum_ns = 1000, .min_ns = 996, .max_ns = 1018};
    zb_row_t row;
    entry_t *entry;
    (void) state;
    window_begin (&window);
    entry = s_entry (&window, "a|Timer|n|1|100|s");
    entry_increment (entry, &increment);
    entry_row (entry, 12300, 12345, &row);
    assert_true (row.value == 1e-6 && row.sum == 1e-6);
    assert_true (row.min == 1e-6 && row.max == 1e-6);
    assert_true (row.sum_squares == 1e-6 * 1e-6);
    window_clear (&window);
}

//  What two publishers of one name measured is one row.
static void
test_row_merge (void **state)
{
    window_t window = {.number = 0};
    uint64_t count = 0;
    zb_ns_t sum_ns = 0;
    zb_row_t row;
    entry_t *entry;
    int i;
    (void) state;
    window_begin (&window);
    entry = s_entry (&window, "a|Timer|n|1|100|s");
    for (i = 0; i < 10000; i++) {
        increment_t increment = {.count = s_any () % 100,
                                 .sum_ns = (zb_ns_t) s_any () << 20};
        increment.min_ns = increment.max_ns = 1 + (int64_t) (s_any () >> 30);
        if (!increment.count)
            increment.sum_ns = 0;
        count += increment.count;
        sum_ns += increment.sum_ns;
        entry_increment (entry, &increment);
    }
    entry_row (entry, 0, 1, &row);
    assert_int_equal (row.count, count);
    assert_true (entry->samples->sum_ns == sum_ns);
    assert_true (row.sum == (double) sum_ns / 1e9);
    window_clear (&window);
}

//  However late a line says it is, its row has a time that there is.
static void
test_row_late (void **state)
{
    window_t window = {.number = 0};
    const int64_t last = INT64_C (9223372035) * s_billion;
    zb_row_t row;
    entry_t *entry;
    (void) state;
    window_begin (&window);
    entry = s_sample (&window, "a|Gauge|n|1|99999999999.9|s");
    entry_row (entry, 0, 1, &row);
    assert_true (row.time_ns == last && row.start_ns == last);
    assert_true (row.last_ns >= last);
    entry = s_sample (&window, "a|Gauge|o|1|9223372034.25|s");
    entry_row (entry, 0, 1, &row);
    assert_true (row.time_ns == last - s_billion);
    assert_true (row.last_ns == row.time_ns + s_billion / 4);
    window_clear (&window);
}

//  However long the durations that peers write are: no signed overflow.
static void
test_row_huge (void **state)
{
    window_t window = {.number = 0};
    zb_row_t row;
    entry_t *entry = NULL;
    int i;
    (void) state;
    window_begin (&window);
    for (i = 0; i < 5; i++)
        entry = s_sample (&window, "a|Timer|n|9223372036|100|s");
    entry_row (entry, 0, 1, &row);
    assert_true (row.sum >= 9223372036.0);
    window_clear (&window);
}

//  --------------------------------------------------------------------------
//  JSON of rows, read back

static double
s_get (const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (json, name);
    if (!cJSON_IsNumber (item))
        fail_msg ("%s: no number", name);
    return item->valuedouble;
}

//  Exact: cJSON's own way would lose the last bit.
static void
s_check_number (const cJSON *json, const char *name, double wanted)
{
    assert_true (s_get (json, name) == wanted);
}

static const char *
s_get_text (const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (json, name);
    if (!cJSON_IsString (item))
        fail_msg ("%s: no text", name);
    return item->valuestring;
}

static void
test_json (void **state)
{
    static const char *const types[] = {"", "counter", "timer", "gauge"};
    zb_row_t row = {.name = "n \"quoted\" \\ \xc3\xa4",
                    .source = "s/\x7f",
                    .time_ns = 1700000000 * s_billion};
    int i;
    (void) state;
    for (i = 0; i < 50000; i++) {
        uint64_t bits = s_any ();
        char *text;
        cJSON *json;
        memcpy (&row.value, &bits, sizeof bits);
        if (!(fabs (row.value) > 1e-120 && fabs (row.value) < 1e120))
            continue;  //  beyond what the service takes
        row.sum = row.value;
        row.min = -row.value;
        row.max = row.value / 3;
        row.sum_squares = 1 / (row.value + 0.5);
        row.type = (zb_type_t) (1 + i % 3);
        row.count = i % 2 ? 1 : 2 + (s_any () >> 12);
        text = zb_row_json (&row, 0);
        assert_null (strchr (text, '\n'));
        json = cJSON_Parse (text);
        free (text);
        assert_non_null (json);
        assert_true (s_get (json, "time") == 1700000000);
        assert_string_equal (s_get_text (json, "type"), types[row.type]);
        assert_string_equal (s_get_text (json, "name"), row.name);
        assert_string_equal (s_get_text (json, "source"), row.source);
        if (row.count == 1) {
            s_check_number (json, "value", row.value);
            assert_int_equal (cJSON_GetArraySize (json), 5);
        }
        else {
            assert_true (s_get (json, "count") == (double) row.count);
            s_check_number (json, "sum", row.sum);
            s_check_number (json, "min", row.min);
            s_check_number (json, "max", row.max);
            s_check_number (json, "sum_squares", row.sum_squares);
            assert_int_equal (cJSON_GetArraySize (json), 9);
        }
        cJSON_Delete (json);
    }
}

//  Labels may be any bytes; what is printed is UTF-8 (RFC 3629).
static void
test_json_bytes (void **state)
{
    static const struct {
        const char *label, *printed;
    } labels[] = {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                   "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
                  {"n\xff\xfe", "n??"},
                  {"\xe4rger", "?rger"},
                  {"a\xc3", "a?"},
                  {"\xe2\x82", "??"},
                  {"\xc0\xaf", "??"},
                  {"\xed\xa0\x80", "???"},
                  {"\xf4\x90\x80\x80", "????"},
                  {"\xe0\x80\xaf", "???"}};
    zb_row_t row = {.type = ZB_TYPE_GAUGE, .source = "s", .count = 1};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof labels / sizeof *labels; i++) {
        cJSON *json;
        char *text;
        row.name = labels[i].label;
        text = zb_row_json (&row, 0);
        json = cJSON_Parse (text);
        free (text);
        assert_non_null (json);
        assert_string_equal (s_get_text (json, "name"), labels[i].printed);
        cJSON_Delete (json);
    }
}

//  --------------------------------------------------------------------------
//  The flush's clock

static void
test_boundary (void **state)
{
    static const int64_t intervals[] = {1, 7, 60, 3600, 86400};
    size_t i;
    int j;
    (void) state;
    assert_int_equal (boundary_next (0, 0, 60), 60);
    assert_int_equal (boundary_next (0, 59999999, 60), 60);
    assert_int_equal (boundary_next (60, 60000000, 60), 120);
    assert_int_equal (boundary_next (60, 59999999, 60), 120);
    assert_int_equal (boundary_next (60, 3600000000, 60), 3660);
    assert_int_equal (boundary_next (3600, 120000000, 60), 180);
    assert_int_equal (boundary_ms (60, 0), 60000);
    assert_int_equal (boundary_ms (60, 1000), 59999);
    assert_int_equal (boundary_ms (60, 59999001), 1);
    for (i = 0; i < sizeof intervals / sizeof *intervals; i++)
        for (j = 0; j < 20000; j++) {
            int64_t wall = 1700000000000000 + (int64_t) (s_any () >> 14);
            int64_t next = boundary_next (0, wall, intervals[i]);
            int64_t ms = (int64_t) boundary_ms (next, wall);
            assert_int_equal (next % intervals[i], 0);
            assert_in_range (ms, 1, intervals[i] * 1000);
            //  at the boundary or less than a millisecond behind it
            assert_in_range (wall + ms * 1000 - next * 1000000, 0, 999);
        }
}

//  A wall clock that is slewed beside the clock of timers: one flush for each
//  boundary, and none for two.
static void
test_boundary_slewed (void **state)
{
    static const double slews[] = {-0.08, -500e-6, -1e-7, 0, 500e-6, 0.08};
    static const int64_t intervals[] = {1, 5, 60, 86400};
    size_t i, j;
    int k;
    (void) state;
    for (i = 0; i < sizeof slews / sizeof *slews; i++)
        for (j = 0; j < sizeof intervals / sizeof *intervals; j++) {
            int64_t interval = intervals[j];
            double wall = 1700000000123456;
            int64_t boundary = boundary_next (0, (int64_t) wall, interval);
            for (k = 0; k < 1000; k++) {
                int64_t before = boundary;
                wall += (double) boundary_ms (boundary, (int64_t) wall) * 1000
                        * (1 + slews[i]);
                boundary = boundary_next (boundary, (int64_t) wall, interval);
                assert_int_equal (boundary, before + interval);
            }
        }
}

//  --------------------------------------------------------------------------
//  Requests

static void
test_request (void **state)
{
    request_t *request = request_new ();
    const char *at;
    char row[300];
    size_t i, size = 0;
    (void) state;
    for (i = 0; i < 2000; i++) {
        snprintf (row, sizeof row, "%zu%*s", i, (int) (i % 250), "");
        request_add (request, row, strlen (row));
        size += strlen (row) + 1;
        assert_int_equal (request->rows, i + 1);
        assert_int_equal (request->size, size);
        assert_true (request->max >= size);
    }
    for (i = 0, at = request->text; i < 2000; i++, at = strchr (at, '\n') + 1)
        assert_int_equal (strtoul (at, NULL, 10), i);
    assert_ptr_equal (at, request->text + size);
    request_destroy (&request);
    assert_null (request);
    request_destroy (&request);
}

//  --------------------------------------------------------------------------
//  The queue: bounded in bytes, the oldest go

static void
s_put (queue_t *queue, size_t rows, size_t bytes)
{
    static char row[100000];
    request_t *request = request_new ();
    size_t i;
    memset (row, 'x', sizeof row);
    for (i = 0; i < rows; i++)
        request_add (request, row, bytes / rows - 1);
    queue_put (queue, &request);
    assert_null (request);
}

static void
test_queue_bound (void **state)
{
    queue_t *queue = queue_new (1000);
    request_t *request;
    int i;
    (void) state;
    for (i = 1; i <= 5; i++)
        s_put (queue, (size_t) i, 200 - 200 % (size_t) i);
    assert_int_equal (queue->bytes, 200 + 200 + 198 + 200 + 200);
    assert_int_equal (queue->dropped_rows, 0);
    s_put (queue, 6, 600);  //  the oldest three must go
    assert_int_equal (queue->dropped_rows, 1 + 2 + 3);
    assert_int_equal (queue->bytes, 1000);
    for (i = 4; i <= 6; i++) {
        request = queue_take (queue);
        assert_int_equal (request->rows, i);
        assert_null (request->next);
        request_destroy (&request);
    }
    assert_int_equal (queue->bytes, 0);
    //  what is larger than the bound stays, alone
    s_put (queue, 2, 400);
    s_put (queue, 3, 3000);
    assert_int_equal (queue->dropped_rows, 6 + 2);
    assert_int_equal (queue->bytes, 3000);
    s_put (queue, 1, 10);
    assert_int_equal (queue->dropped_rows, 8 + 3);
    assert_int_equal (queue->bytes, 10);
    queue_close (queue);
    request = queue_take (queue);  //  closed is not empty
    assert_int_equal (request->rows, 1);
    request_destroy (&request);
    assert_null (queue_take (queue));
    queue_destroy (&queue);
    assert_null (queue);
}

//  Whatever the order of putting and taking: bytes are those that are there.
static void
test_queue_random (void **state)
{
    queue_t *queue = queue_new (5000);
    size_t there = 0, rows_in = 0, rows_out = 0;
    int i;
    (void) state;
    for (i = 0; i < 3000; i++) {
        if (s_any () % 3) {
            size_t rows = 1 + s_any () % 9;
            s_put (queue, rows, rows * (2 + s_any () % 60));
            rows_in += rows;
        }
        else if (queue->head) {
            request_t *request = queue_take (queue);
            rows_out += request->rows;
            request_destroy (&request);
        }
        const request_t *at = queue->head;
        for (there = 0; at; at = at->next)
            there += at->size;
        assert_int_equal (queue->bytes, there);
        assert_true (there <= 5000);
    }
    queue_close (queue);
    for (;;) {
        request_t *request = queue_take (queue);
        if (!request)
            break;
        rows_out += request->rows;
        request_destroy (&request);
    }
    assert_int_equal (rows_in, rows_out + queue->dropped_rows);
    s_put (queue, 1, 10);  //  freed with the queue
    queue_destroy (&queue);
}

static void *
s_take (void *argument)
{
    queue_t *queue = argument;
    request_t *request;
    size_t rows = 0;
    while ((request = queue_take (queue))) {
        rows += request->rows;
        request_destroy (&request);
    }
    return (void *) rows;
}

static void
test_queue_threads (void **state)
{
    queue_t *queue = queue_new (1 << 30);
    pthread_t thread;
    void *rows;
    int i;
    (void) state;
    assert_int_equal (pthread_create (&thread, NULL, s_take, queue), 0);
    for (i = 0; i < 2000; i++)
        s_put (queue, 3, 30);
    queue_close (queue);
    pthread_join (thread, &rows);
    assert_int_equal ((size_t) rows, 6000);
    queue_destroy (&queue);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_entries),
                                       cmocka_unit_test (test_many_entries),
                                       cmocka_unit_test (test_row_counter),
                                       cmocka_unit_test (test_row_gauge),
                                       cmocka_unit_test (test_row_timer),
                                       cmocka_unit_test (test_row_single),
                                       cmocka_unit_test (test_row_late),
                                       cmocka_unit_test (test_row_merge),
                                       cmocka_unit_test (test_row_huge),
                                       cmocka_unit_test (test_json),
                                       cmocka_unit_test (test_json_bytes),
                                       cmocka_unit_test (test_boundary),
                                       cmocka_unit_test (test_boundary_slewed),
                                       cmocka_unit_test (test_request),
                                       cmocka_unit_test (test_queue_bound),
                                       cmocka_unit_test (test_queue_random),
                                       cmocka_unit_test (test_queue_threads)};
    return cmocka_run_group_tests_name ("window", tests, NULL, NULL);
}
