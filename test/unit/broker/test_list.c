/*  test_list.c - a program that connects is told of all topics, and then of the
    broker's marker

    The order is ZeroMQ's, which says so nowhere: an XSUB tells a connection of
    its subscriptions in the order of their bytes, in one go. The first tests
    hold it to that. The others look at what contrib/broker/topics.c makes of
    it, whatever workers want.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "table.h"
#include "topics.h"

#include <czmq.h>

enum {
    CONNECTIONS = 200,
    TOPICS = 400,
    ADDED = 50,  //  while a connection comes
    WAIT_MS = 30000
};

//  --------------------------------------------------------------------------
//  list: topics, each as it goes over the wire: "\1info|"

typedef struct {
    size_t size;
    unsigned char text[1024];
} said_t;

typedef struct {
    said_t said[2 * TOPICS];
    size_t size;
} list_t;

//  In the order of their bytes, what begins another first.
static int
said_compare (const void *one, const void *other)
{
    const said_t *a = one, *b = other;
    int rc = memcmp (a->text, b->text, a->size < b->size ? a->size : b->size);
    return rc ? rc : (a->size > b->size) - (a->size < b->size);
}

static int
list_has (const list_t *self, const said_t *said)
{
    size_t at = 0;
    while (at < self->size && said_compare (&self->said[at], said) != 0)
        at++;
    return at < self->size;
}

static said_t *
list_add (list_t *self, const void *text, size_t size)
{
    said_t *said = &self->said[self->size++];
    assert_true (self->size <= 2 * TOPICS && size <= sizeof said->text);
    memcpy (said->text, text, size);
    said->size = size;
    return said;
}

static said_t *
list_add_text (list_t *self, char on, const char *text)
{
    char said[64] = {on};
    return list_add (self, said,
                     1 + (size_t) snprintf (said + 1, 63, "%s", text));
}

static void
list_sort (list_t *self)
{
    qsort (self->said, self->size, sizeof *self->said, said_compare);
}

static void
list_check (const list_t *self, const list_t *expected)
{
    size_t i;
    assert_int_equal (self->size, expected->size);
    for (i = 0; i < self->size; i++)
        assert_int_equal (said_compare (&self->said[i], &expected->said[i]), 0);
}

//  --------------------------------------------------------------------------
//  pair: the XSUB of a broker, and the XPUB of one program after the other

typedef struct {
    void *context, *sub, *pub;
    topics_t topics;
    list_t wanted, heard;
    char folder[32], endpoint[2][64];
} pair_t;

static void *
pair_socket (pair_t *self, int type)
{
    void *socket = zmq_socket (self->context, type);
    int zero = 0, one = 1;
    assert_non_null (socket);
    zmq_setsockopt (socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_RCVHWM, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_IMMEDIATE, &one, sizeof one);
    return socket;
}

//  The marker is there before anybody can connect, as in a broker.
static pair_t *
pair_new (void)
{
    static pair_t pair;
    pair_t *self = &pair;
    size_t size = sizeof self->endpoint[0];
    int rc;
    memset (self, 0, sizeof *self);
    strcpy (self->folder, "/tmp/zibrato-test-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    self->context = zmq_ctx_new ();
    self->sub = pair_socket (self, ZMQ_XSUB);
    topics_init (&self->topics, self->sub);
    topics_mark (&self->topics);
    assert_int_equal (zmq_bind (self->sub, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt (self->sub, ZMQ_LAST_ENDPOINT, self->endpoint[0], &size);
    rc = snprintf (self->endpoint[1], sizeof self->endpoint[1],
                   "ipc://%s/socket", self->folder);
    assert_in_range (rc, 1, sizeof self->endpoint[1] - 1);
    assert_int_equal (zmq_bind (self->sub, self->endpoint[1]), 0);
    //  the marker is always wanted
    list_add (&self->wanted, self->topics.marker, 1 + MARKER_SIZE);
    return self;
}

static void
pair_destroy (pair_t *self)
{
    if (self->pub)
        zmq_close (self->pub);
    zmq_close (self->sub);
    zmq_ctx_term (self->context);
    table_clear (&self->topics.topics);
    unlink (self->endpoint[1] + strlen ("ipc://"));
    assert_int_equal (rmdir (self->folder), 0);
    zsys_shutdown ();
}

static void
pair_end (pair_t *self, wanted_t *worker)
{
    wanted_clear (worker);
    pair_destroy (self);
}

static void
pair_say (pair_t *self, const said_t *said)
{
    assert_int_equal (zmq_send (self->sub, said->text, said->size, 0),
                      said->size);
}

//  A program connects, in place of the last one, and has heard nothing yet.
//  With VERBOSER it hears of each change twice, too.
static void
pair_connect (pair_t *self, const char *endpoint, int verboser)
{
    if (self->pub)
        zmq_close (self->pub);
    self->pub = pair_socket (self, ZMQ_XPUB);
    zmq_setsockopt (self->pub, ZMQ_XPUB_VERBOSER, &verboser, sizeof verboser);
    assert_int_equal (zmq_connect (self->pub, endpoint), 0);
    self->heard.size = 0;
}

//  Waits up to so many milliseconds for something that the program hears, and
//  adds it to the list. Returns it, or NULL. An XSUB takes connections in when
//  it is asked.
static const said_t *
pair_hear (pair_t *self, long ms)
{
    zmq_pollitem_t items[] = {{self->pub, 0, ZMQ_POLLIN, 0},
                              {self->sub, 0, ZMQ_POLLIN, 0}};
    char text[1024];
    int size;
    zmq_poll (items, 2, ms);
    size = zmq_recv (self->pub, text, sizeof text, ZMQ_DONTWAIT);
    return size == -1 ? NULL : list_add (&self->heard, text, (size_t) size);
}

static int
said_is_marker (const said_t *self)
{
    return self->size == 18 && self->text[0] == 1 && self->text[1] == 0xff
           && strspn ((const char *) self->text + 2, "0123456789abcdef") >= 16;
}

//  Waits for what must come. Returns it.
static const said_t *
pair_await (pair_t *self)
{
    const said_t *said = pair_hear (self, WAIT_MS);
    assert_non_null (said);
    return said;
}

static void
pair_await_marker (pair_t *self)
{
    while (!said_is_marker (pair_await (self))) {
    }
}

//  A new program has heard exactly what is wanted, in order, and the marker. All
//  that comes after it is what is said from now on: the fence.
static void
pair_check_list (pair_t *self, int round)
{
    static list_t fence;
    fence.size = 0;
    list_add_text (&fence, 1, "~fence|");
    list_add_text (&fence, 0, "~fence|");
    list_sort (&self->wanted);
    pair_connect (self, self->endpoint[round % 2], 0);
    pair_await_marker (self);
    list_check (&self->heard, &self->wanted);
    pair_say (self, &fence.said[0]);
    pair_say (self, &fence.said[1]);
    self->heard.size = 0;
    pair_await (self);
    pair_await (self);
    list_check (&self->heard, &fence);
}

//  --------------------------------------------------------------------------
//  What ZeroMQ does

//  Another topic that begins like one of these: any bytes, short and long. (For
//  those in between, see topics_that_break_connections_mean_all.)
static const said_t *
s_add_any (list_t *list)
{
    static const unsigned char firsts[] = {0x00, 0x01, 0x20, 0x30, 0x61, 0x7e,
                                           0x7f, 0x80, 0xc3, 0xf4, 0xfe};
    said_t said;
    size_t i;
    do {
        said.size = 2 + s_any () % (s_any () % 8 ? 8 : 800);
        if (said.size > 246 && said.size <= 256)
            said.size = 257;
        for (i = 1; i < said.size; i++)
            said.text[i] = s_any () % 2 ? (unsigned char) s_any () : 0xff;
        said.text[0] = 1;
        said.text[1] = firsts[s_any () % sizeof firsts];
    } while (list_has (list, &said));
    return list_add (list, said.text, said.size);
}

//  Wants many topics, said in any order, of which some are not wanted any more;
//  the first is the marker.
static void
s_want_many (pair_t *self)
{
    size_t i;
    pair_say (self, list_add_text (&self->wanted, 1, ""));
    for (i = 0; i < TOPICS; i++)
        pair_say (self, s_add_any (&self->wanted));
    for (i = 0; i < TOPICS / 4; i++) {
        said_t *said =
          &self->wanted.said[1 + s_any () % (self->wanted.size - 1)];
        said->text[0] = 0;
        pair_say (self, said);
        *said = self->wanted.said[--self->wanted.size];
    }
}

static void
the_marker_comes_last (void **state)
{
    pair_t *self = pair_new ();
    int i;
    (void) state;
    for (i = 0; i < CONNECTIONS / 4; i++)
        pair_check_list (self, i);
    s_want_many (self);
    for (i = 0; i < CONNECTIONS; i++)
        pair_check_list (self, i);
    pair_destroy (self);
}

//  Topics are added until the program has its marker, one at a time, so that
//  the connection comes at any of them. What was wanted by then is before the
//  marker, in order; all the rest is after it, as it was said.
static void
s_connect_meanwhile (pair_t *self, int round, const list_t *added)
{
    static list_t before, after;
    size_t said = 0, base = self->wanted.size, i;
    const said_t *heard = NULL;
    pair_connect (self, self->endpoint[round % 2], 0);
    while (!heard || !said_is_marker (heard)) {
        if (said < ADDED - 1)
            pair_say (self, &added->said[said++]);
        heard = pair_hear (self, said < ADDED - 1 ? said % 2 : WAIT_MS);
        assert_true (heard || said < ADDED - 1);
    }
    pair_say (self, &added->said[said++]);
    assert_in_range (self->heard.size, base, base + said - 1);
    before = self->wanted;
    after.size = 0;
    for (i = 0; i < said; i++)
        list_add (base + i < self->heard.size ? &before : &after,
                  added->said[i].text, added->said[i].size);
    list_sort (&before);
    list_check (&self->heard, &before);
    self->heard.size = 0;
    while (self->heard.size < after.size)
        pair_await (self);
    list_check (&self->heard, &after);
    for (i = 0; i < said; i++) {
        said_t off = added->said[i];
        off.text[0] = 0;
        pair_say (self, &off);
    }
}

static void
what_was_wanted_before_comes_before_the_marker (void **state)
{
    static list_t added;
    pair_t *self = pair_new ();
    int i;
    (void) state;
    s_want_many (self);
    for (i = 0; i < CONNECTIONS; i++) {
        size_t j, size = self->wanted.size;
        for (j = 0; j < ADDED; j++)
            s_add_any (&self->wanted);
        added.size = 0;
        for (j = size; j < self->wanted.size; j++)
            list_add (&added, self->wanted.said[j].text,
                      self->wanted.said[j].size);
        self->wanted.size = size;
        s_connect_meanwhile (self, i, &added);
    }
    pair_destroy (self);
}

//  --------------------------------------------------------------------------
//  What the broker makes of it

static void
s_change (pair_t *self, wanted_t *worker, int on, const char *topic, int rc)
{
    assert_int_equal (
      topics_change (&self->topics, worker, on, topic, strlen (topic)), rc);
}

//  Two workers want the marker, and do not any more, in each way that there is:
//  programs hear of nothing before what is said next, not even those who hear
//  of each change twice, and the marker is still there.
static void
no_worker_touches_the_marker (void **state)
{
    pair_t *self = pair_new ();
    wanted_t one = {0}, other = {0};
    const char *marker = self->topics.marker + 1;
    (void) state;
    pair_connect (self, self->endpoint[0], 1);
    pair_await_marker (self);
    list_check (&self->heard, &self->wanted);
    self->heard.size = 0;
    s_change (self, &one, 0, marker, -1);
    s_change (self, &one, 1, marker, 0);
    s_change (self, &one, 1, marker, 0);
    s_change (self, &other, 1, marker, 0);
    s_change (self, &one, 0, marker, 0);
    s_change (self, &one, 0, marker, -1);
    topics_drop (&self->topics, marker, MARKER_SIZE);
    topics_drop (&self->topics, marker, MARKER_SIZE);
    wanted_clear (&other);
    s_change (self, &one, 0, marker, -1);
    assert_int_equal (self->topics.live, 0);
    s_change (self, &one, 1, "info|", 0);
    list_add_text (&self->wanted, 1, "info|");
    pair_await (self);
    assert_int_equal (
      said_compare (&self->heard.said[0], &self->wanted.said[1]), 0);
    pair_check_list (self, 1);
    wanted_clear (&one);
    pair_destroy (self);
}

//  They would come after it, or look like one: programs are told that all is
//  wanted, as long as one of them is.
static void
topics_like_a_marker_mean_all (void **state)
{
    static const char like[] = "\xff"
                               "0123456789abcdef";
    static const char *const topics[] = {"\xff", "\xff\xff", like};
    pair_t *self = pair_new ();
    wanted_t worker = {0};
    size_t i;
    (void) state;
    list_add_text (&self->wanted, 1, "");
    for (i = 0; i < 3; i++) {
        s_change (self, &worker, 1, topics[i], 0);
        pair_check_list (self, (int) i);
    }
    for (i = 0; i < 3; i++) {
        pair_check_list (self, (int) i);
        s_change (self, &worker, 0, topics[i], 0);
    }
    self->wanted.size = 0;
    list_add (&self->wanted, self->topics.marker, 1 + MARKER_SIZE);
    pair_check_list (self, 0);
    pair_end (self, &worker);
}

//  ZeroMQ before 4.3.5 cannot tell a new connection of topics from 246 to 255
//  bytes, and ends it.
static void
topics_that_break_connections_mean_all (void **state)
{
    pair_t *self = pair_new ();
    wanted_t worker = {0};
    char topic[300];
    int size;
    (void) state;
    for (size = 240; size < 260; size++) {
        int all = size >= 246 && size <= 255;
        snprintf (topic, sizeof topic, "\1%0*d", size, 1);
        s_change (self, &worker, 1, topic + 1, 0);
        self->wanted.size = 0;
        list_add (&self->wanted, self->topics.marker, 1 + MARKER_SIZE);
        list_add (&self->wanted, topic, all ? 1 : 1 + (size_t) size);
        pair_check_list (self, size);
        s_change (self, &worker, 0, topic + 1, 0);
    }
    pair_end (self, &worker);
}

//  They are for the broker, however many there are, and mean no more.
static void
topics_of_workers_own_are_not_told (void **state)
{
    pair_t *self = pair_new ();
    wanted_t worker = {0};
    char topic[32];
    int i, come;
    (void) state;
    for (come = 1; come >= 0; come--) {
        for (i = 0; i < TOPICS_TOLD + 100; i++) {
            snprintf (topic, sizeof topic, "\xfe%016x", (unsigned) i);
            s_change (self, &worker, come, topic, 0);
        }
        pair_check_list (self, come);
    }
    pair_end (self, &worker);
}

//  There are more topics than programs are told of: they are told that all is
//  wanted, before the marker too; and so it is on the way back.
static void
the_marker_comes_last_when_all_is_wanted (void **state)
{
    pair_t *self = pair_new ();
    wanted_t worker = {0};
    char topic[32];
    int i;
    (void) state;
    for (i = 0; i < TOPICS_TOLD + 100; i++) {
        snprintf (topic, sizeof topic, "level.%d|", i * 7919 % 1000);
        s_change (self, &worker, 1, topic, 0);
        if (i < TOPICS_TOLD)
            list_add_text (&self->wanted, 1, topic);
        if (i == TOPICS_TOLD - 1)
            pair_check_list (self, i);
        if (i == TOPICS_TOLD)
            list_add_text (&self->wanted, 1, "");
        if (i >= TOPICS_TOLD)
            pair_check_list (self, i);
    }
    for (i = TOPICS_TOLD; i < TOPICS_TOLD + 100; i++) {
        pair_check_list (self, i);
        snprintf (topic, sizeof topic, "level.%d|", i * 7919 % 1000);
        s_change (self, &worker, 0, topic, 0);
    }
    //  "" is the first of the sorted list
    memmove (self->wanted.said, self->wanted.said + 1,
             --self->wanted.size * sizeof *self->wanted.said);
    pair_check_list (self, 0);
    pair_end (self, &worker);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_marker_comes_last),
      cmocka_unit_test (what_was_wanted_before_comes_before_the_marker),
      cmocka_unit_test (no_worker_touches_the_marker),
      cmocka_unit_test (topics_like_a_marker_mean_all),
      cmocka_unit_test (topics_of_workers_own_are_not_told),
      cmocka_unit_test (topics_that_break_connections_mean_all),
      cmocka_unit_test (the_marker_comes_last_when_all_is_wanted)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
