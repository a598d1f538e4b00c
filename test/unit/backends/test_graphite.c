/*  test_graphite.c - names and rows as Graphite takes them, and who reads them

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "buffer.h"
#include "graphite_path.h"
#include "halfclose.h"
#include "hist.h"
#include "percentiles.h"
#include "zibrato_backend.h"

#include <arpa/inet.h>
#include <pthread.h>

static zb_row_t
s_row (zb_type_t type, uint64_t count)
{
    return (zb_row_t){.type = type,
                      .name = "work.done",
                      .source = "web1",
                      .time_ns = INT64_C (1795423260000000000),
                      .count = count,
                      .value = 5,
                      .last = 2,
                      .sum = 5,
                      .min = 1,
                      .max = 2.5};
}

static void
s_check_lines (const graphite_path_t *path, const zb_row_t *row,
               const char *lines)
{
    buffer_t text = {NULL, 0, 0};
    graphite_path_add (&text, path, row);
    buffer_add (&text, "", 1);
    assert_string_equal (text.text, lines);
    buffer_clear (&text);
}

static void
test_lines (void **state)
{
    graphite_path_t path = {.pattern = "a.{worker}.{source}.{name}",
                            .worker = "w"};
    zb_row_t row = s_row (ZB_TYPE_COUNTER, 1);
    zb_bucket_t bucket = {hist_bucket (2000000000), 2};
    const double percentile = 99.9;
    (void) state;
    s_check_lines (&path, &row, "a.w.web1.work.done.value 5 1795423260\n");
    row = s_row (ZB_TYPE_TIMER, 3);
    s_check_lines (&path, &row,
                   "a.w.web1.work.done.sum 5 1795423260\n"
                   "a.w.web1.work.done.min 1 1795423260\n"
                   "a.w.web1.work.done.max 2.5 1795423260\n"
                   "a.w.web1.work.done.count 3 1795423260\n");
    row = s_row (ZB_TYPE_GAUGE, 1);
    s_check_lines (&path, &row, "a.w.web1.work.done.last 2 1795423260\n");
    row = s_row (ZB_TYPE_GAUGE, 2);
    s_check_lines (&path, &row,
                   "a.w.web1.work.done.last 2 1795423260\n"
                   "a.w.web1.work.done.last_sum 5 1795423260\n"
                   "a.w.web1.work.done.last_min 1 1795423260\n"
                   "a.w.web1.work.done.last_max 2.5 1795423260\n"
                   "a.w.web1.work.done.last_count 2 1795423260\n");
    row = s_row (ZB_TYPE_TIMER, 2);
    row.min = row.max = 2;
    row.buckets = &bucket;
    row.bucket_count = 1;
    percentiles_want (&percentile, 1);
    s_check_lines (&path, &row,
                   "a.w.web1.work.done.sum 5 1795423260\n"
                   "a.w.web1.work.done.min 2 1795423260\n"
                   "a.w.web1.work.done.max 2 1795423260\n"
                   "a.w.web1.work.done.count 2 1795423260\n"
                   "a.w.web1.work.done.p99_9 2 1795423260\n");
    percentiles_want (NULL, 0);
}

static void
test_tagged (void **state)
{
    graphite_path_t path = {.tagged = 1, .worker = "w"};
    zb_tag_t tags[] = {{"code", "200"}, {"source", "x"}, {"source_", "y"}};
    zb_row_t row = s_row (ZB_TYPE_COUNTER, 1);
    (void) state;
    row.tags = tags;
    row.tag_count = 3;
    s_check_lines (&path, &row,
                   "work.done.value;code=200;source_=x;source__=y;source=web1;"
                   "worker=w 5 1795423260\n");
}

static void
test_fit (void **state)
{
    static const struct {
        const char *text;
        int is_source, tagged;
        const char *fitted;
    } cases[] = {{"plain.name-1_2", 0, 0, "plain.name-1_2"},
                 {"two..dots.", 0, 0, "two._dots_"},
                 {".a", 0, 0, "_a"},
                 {"a/../b c", 0, 0, "a_.__b_c"},
                 {"gr\xc3\xbc"
                  "n",
                  0, 0, "gr__n"},
                 {"web1.example.org", 1, 0, "web1_example_org"},
                 {"n;code=200;route=/a.b", 0, 0, "n.code.200.route._a_b"},
                 {"n;code=200;route=/a.b", 0, 1, "n;code=200;route=_a_b"},
                 {"n;b=1;a=2", 0, 1, "n_b_1_a_2"},
                 {"n;a.b=~1", 0, 0, "n.a_b._1"},
                 {"n;a.b=~1", 0, 1, "n;a.b=_1"}};
    char fitted[ZB_NAME_MAX + 1], longest[ZB_NAME_MAX + 1];
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal (graphite_path_fit (cases[i].text, cases[i].is_source,
                                             cases[i].tagged, fitted),
                          strcmp (cases[i].text, cases[i].fitted) != 0);
        assert_string_equal (fitted, cases[i].fitted);
    }
    memset (longest, 'a', 255);
    longest[255] = 0;
    assert_int_equal (graphite_path_fit (longest, 0, 0, fitted), 1);
    assert_int_equal (strlen (fitted), 250);
}

static void
test_pattern (void **state)
{
    (void) state;
    assert_null (graphite_path_check ("{source}.{name}"));
    assert_null (graphite_path_check ("a.b-{worker}_x.{source}.{name}.y"));
    assert_non_null (graphite_path_check ("{name}"));
    assert_non_null (graphite_path_check ("{source}-{name}"));
    assert_non_null (graphite_path_check ("{source}.{name}.{name}"));
    assert_non_null (graphite_path_check ("{source}.{names}"));
    assert_non_null (graphite_path_check ("{source}. {name}"));
}

//  Whatever is in a name, carbon reads a line of three words, without an empty node.
static void
test_any (void **state)
{
    static const char bytes[] = "ab..;;==~/ \t\xc3\xbc\xff\\\"#!^";
    char text[64], name[ZB_NAME_MAX + 1], source[ZB_NAME_MAX + 1];
    graphite_path_t path = {.pattern = "{worker}.{source}.{name}",
                            .worker = "w"};
    (void) state;
    for (int round = 0; round < 100000; round++) {
        zb_row_t row = s_row (ZB_TYPE_COUNTER, 1);
        buffer_t lines = {NULL, 0, 0};
        size_t i, size = 1 + s_any () % 20;
        for (i = 0; i < size; i++)
            text[i] = bytes[s_any () % (sizeof bytes - 1)];
        text[size] = 0;
        graphite_path_fit (text, 0, 0, name);
        graphite_path_fit (text, 1, 0, source);
        row.name = name;
        row.source = source;
        graphite_path_add (&lines, &path, &row);
        buffer_add (&lines, "", 1);
        size = strspn (lines.text, "abcdefghijklmnopqrstuvwxyz_.-");
        assert_string_equal (lines.text + size, " 5 1795423260\n");
        assert_null (strstr (lines.text, ".."));
        buffer_clear (&lines);
    }
}

//  --------------------------------------------------------------------------
//  Half-close

static void
test_parse (void **state)
{
    static const char *const bad[] = {"h", ":1", "h:", "::1:2003", "[]:1", ""};
    halfclose_t peer;
    (void) state;
    assert_int_equal (halfclose_parse (&peer, "graphite.example.org:2003"), 0);
    assert_string_equal (peer.host, "graphite.example.org");
    assert_string_equal (peer.port, "2003");
    assert_int_equal (halfclose_parse (&peer, "[::1]:graphite"), 0);
    assert_string_equal (peer.host, "::1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal (halfclose_parse (&peer, bad[i]), -1);
}

typedef struct {
    int listener;
    size_t reads;  //  bytes, and then it resets the connection; 0: all
    bool silent;   //  it never closes
    _Atomic size_t got;
} service_peer_t;

static void *
s_read (void *argument)
{
    service_peer_t *self = (service_peer_t *) argument;
    struct linger reset = {1, 0};
    char data[4096];
    int fd = accept (self->listener, NULL, NULL);
    ssize_t size = 1;
    while (size > 0 && (!self->reads || self->got < self->reads)) {
        size = recv (fd, data, sizeof data, 0);
        self->got += size > 0 ? (size_t) size : 0;
    }
    if (self->reads)
        setsockopt (fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (!self->silent)
        close (fd);
    return NULL;
}

//  What becomes of a megabyte.
static zb_outcome_t
s_send (service_peer_t *self, int64_t timeout_ms, zb_reply_t *reply)
{
    enum { SIZE = 1 << 20 };
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = inet_addr ("127.0.0.1")};
    socklen_t size = sizeof address;
    char *text = calloc (1, SIZE);
    halfclose_t peer = {.host = "127.0.0.1"};
    zb_outcome_t outcome;
    pthread_t thread;
    self->listener = socket (AF_INET, SOCK_STREAM, 0);
    assert_int_equal (bind (self->listener, (void *) &address, size), 0);
    assert_int_equal (listen (self->listener, 1), 0);
    getsockname (self->listener, (void *) &address, &size);
    snprintf (peer.port, sizeof peer.port, "%d", ntohs (address.sin_port));
    pthread_create (&thread, NULL, s_read, self);
    outcome = halfclose_send (&peer, text, SIZE, timeout_ms, reply);
    pthread_join (thread, NULL);
    close (self->listener);
    if (outcome == ZB_DELIVERED)
        assert_int_equal (self->got, SIZE);
    free (text);
    return outcome;
}

static void
test_halfclose (void **state)
{
    service_peer_t all = {.reads = 0}, some = {.reads = 10000},
                   silent = {.silent = true};
    zb_reply_t reply = {.at_fault = NULL};
    halfclose_t nobody = {.host = "127.0.0.1", .port = "1"};
    halfclose_t unknown = {.host = "no.such.host.invalid", .port = "1"};
    (void) state;
    assert_int_equal (s_send (&all, 60000, &reply), ZB_DELIVERED);
    assert_int_equal (s_send (&some, 60000, &reply), ZB_FAILED);
    assert_true (*reply.reason);
    assert_int_equal (s_send (&silent, 300, &reply), ZB_FAILED);
    assert_string_equal (reply.reason, "the other side's close: timed out");
    assert_int_equal (halfclose_send (&nobody, "a", 1, 60000, &reply),
                      ZB_RETRY);
    assert_non_null (strstr (reply.reason, "Connection refused"));
    assert_int_equal (halfclose_send (&unknown, "a", 1, 60000, &reply),
                      ZB_RETRY);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_lines),    cmocka_unit_test (test_tagged),
      cmocka_unit_test (test_fit),      cmocka_unit_test (test_pattern),
      cmocka_unit_test (test_any),      cmocka_unit_test (test_parse),
      cmocka_unit_test (test_halfclose)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
