/*  test_links.c - a worker's connections, which are made anew when ZeroMQ gives
    them up

    Reports are made up here, in the order in which ZeroMQ makes them; that it
    does is for e2e.curve and e2e.pair.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"
#include "../../../contrib/pipeline/links.c"

static zsock_t *s_socket;

static int
s_setup (void **state)
{
    (void) state;
    s_socket = zsock_new (ZMQ_XSUB);
    zsock_set_linger (s_socket, 0);
    return s_socket ? 0 : -1;
}

static int
s_teardown (void **state)
{
    (void) state;
    zsock_destroy (&s_socket);
    return 0;
}

static link_t *
s_report (links_t *links, int event, const char *name, int64_t now_ms)
{
    link_t *link = links_find (links, name);
    links_apply (links, link, event, now_ms);
    return link;
}

//  One that is named twice is one.
static void
test_endpoints (void **state)
{
    links_t *links = links_new (s_socket, "tcp://localhost:9,tcp://127.0.0.9:9,"
                                          "tcp://localhost:9,inproc://here");
    (void) state;
    assert_non_null (links);
    assert_int_equal (links->size, 3);
    assert_string_equal (links->link[0].endpoint, "tcp://localhost:9");
    assert_string_equal (links->link[1].endpoint, "tcp://127.0.0.9:9");
    assert_string_equal (links->link[2].endpoint, "inproc://here");
    links_destroy (&links);
    assert_null (links);
    links_destroy (&links);
}

static void
test_bad_endpoints (void **state)
{
    static const char *const endpoints[] = {"",
                                            "tcp://127.0.0.1:0",
                                            "tcp://127.0.0.1:9,",
                                            "nonsense:9",
                                            "tcp://127.0.0.1:9,,x://",
                                            "tcp://127.0.0.1:99999",
                                            "tcp://127.0.0.1:9x",
                                            "tcp://127.0.0.1"};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        errno = 0;
        assert_null (links_new (s_socket, endpoints[i]));
        assert_int_not_equal (errno, 0);
    }
}

static void
test_broken (void **state)
{
    links_t *links =
      links_new (s_socket, "tcp://localhost:9,tcp://127.0.0.9:9");
    link_t *link = links->link;
    (void) state;
    s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "tcp://localhost:9", 0);
    assert_true (link->connected && !links->link[1].connected);
    assert_true (links_renew (links, 1000000) == INT64_MAX);
    //  broken, and ZeroMQ sees to it, by the address
    s_report (links, ZMQ_EVENT_DISCONNECTED, "tcp://localhost:9", 1000);
    assert_false (link->connected);
    assert_true (links_renew (links, 1001) == 1000 + LINKS_RETRY_MS);
    assert_ptr_equal (
      s_report (links, ZMQ_EVENT_CONNECT_RETRIED, "tcp://127.0.0.1:9", 1001),
      link);
    assert_true (links_renew (links, 1000000) == INT64_MAX);
    assert_ptr_equal (links_find (links, "tcp://127.0.0.1:9"), link);
    assert_ptr_equal (links_find (links, "tcp://localhost:9"), link);
    //  it does not: the link is made anew, when it is due and not before
    s_report (links, ZMQ_EVENT_DISCONNECTED, "tcp://127.0.0.1:9", 5000);
    assert_true (links_renew (links, 5000 + LINKS_RETRY_MS - 1)
                 == 5000 + LINKS_RETRY_MS);
    assert_true (links_renew (links, 5000 + LINKS_RETRY_MS) == INT64_MAX);
    assert_false (link->disconnected);
    links_destroy (&links);
}

//  Ours from then on, whatever ZeroMQ still has to say.
static void
test_refused (void **state)
{
    static const int events[] = {ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
                                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL};
    links_t *links =
      links_new (s_socket, "tcp://127.0.0.8:9,tcp://127.0.0.9:9");
    link_t *link = &links->link[1];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof events / sizeof *events; i++) {
        int64_t at = 9000 * (int64_t) (i + 1), due = at + LINKS_RETRY_MS;
        s_report (links, events[i], link->endpoint, at);
        s_report (links, ZMQ_EVENT_DISCONNECTED, link->endpoint, at + 1);
        s_report (links, ZMQ_EVENT_CONNECT_RETRIED, link->endpoint, at + 1);
        assert_true (link->disconnected && !link->connected);
        assert_true (links_renew (links, at + 2) == due);
        assert_true (link->disconnected);
        assert_true (links_renew (links, due) == INT64_MAX);
        assert_false (link->disconnected);
    }
    links_destroy (&links);
}

//  None is made anew before all that are broken are gone.
static void
test_two_broken (void **state)
{
    links_t *links =
      links_new (s_socket, "tcp://127.0.0.8:9,tcp://127.0.0.9:9");
    (void) state;
    s_report (links, ZMQ_EVENT_DISCONNECTED, "tcp://127.0.0.8:9", 1000);
    s_report (links, ZMQ_EVENT_DISCONNECTED, "tcp://127.0.0.9:9", 1500);
    assert_true (links_renew (links, 1000 + LINKS_RETRY_MS)
                 == 1500 + LINKS_RETRY_MS);
    assert_false (links->link[0].disconnected);
    assert_true (links->link[1].disconnected);
    assert_true (links_renew (links, 1500 + LINKS_RETRY_MS) == INT64_MAX);
    assert_false (links->link[1].disconnected);
    links_destroy (&links);
}

//  Two brokers are known by names, and both get other addresses: which of the two
//  it is that ZeroMQ speaks of cannot be told. When one of them is given up, both
//  are made anew, and are told apart again.
static void
test_two_move (void **state)
{
    static const int events[] = {ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
                                 ZMQ_EVENT_DISCONNECTED};
    size_t i, j;
    (void) state;
    for (i = 0; i < 2; i++) {
        links_t *links =
          links_new (s_socket, "tcp://localhost:9,tcp://ip6-localhost:9");
        link_t *link = links->link;
        for (j = 0; j < 2; j++) {
            s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, link[j].endpoint,
                      1);
            s_report (links, ZMQ_EVENT_DISCONNECTED, link[j].endpoint, 2);
        }
        s_report (links, ZMQ_EVENT_CONNECT_RETRIED, "tcp://10.0.0.1:9", 3);
        s_report (links, ZMQ_EVENT_CONNECT_RETRIED, "tcp://10.0.0.2:9", 3);
        s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "tcp://10.0.0.1:9", 4);
        s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "tcp://10.0.0.2:9", 4);
        assert_int_equal (links_connected (links), 2);
        assert_true (link[0].guessed && link[1].guessed);
        s_report (links, events[i], "tcp://10.0.0.2:9", 5000);
        assert_true (links_renew (links, 5000 + LINKS_RETRY_MS) == INT64_MAX);
        for (j = 0; j < 2; j++) {
            assert_false (link[j].guessed || link[j].disconnected);
            assert_string_equal (link[j].address, "");
        }
        links_destroy (&links);
    }
}

//  While one has its connection, a new address is that of the other.
static void
test_one_moves (void **state)
{
    links_t *links =
      links_new (s_socket, "tcp://localhost:9,tcp://ip6-localhost:9");
    link_t *link = links->link;
    (void) state;
    s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, link[0].endpoint, 1);
    s_report (links, ZMQ_EVENT_CONNECT_RETRIED, "tcp://10.0.0.2:9", 2);
    s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "tcp://10.0.0.3:9", 3);
    assert_true (link[0].connected && link[1].connected);
    assert_string_equal (link[1].address, "tcp://10.0.0.3:9");
    assert_false (link[0].guessed || link[1].guessed);
    links_destroy (&links);
}

//  What has no connection is said whenever the time without one has doubled,
//  but every ten minutes at least.
static void
test_waiting (void **state)
{
    static const int64_t said_ms[] = {2000,   4000,    8000,    16000,
                                      32000,  64000,   128000,  256000,
                                      512000, 1024000, 1624000, 2224000};
    links_t *links =
      links_new (s_socket, "tcp://127.0.0.8:9,tcp://127.0.0.9:9");
    link_t *link = links->link;
    int64_t ms;
    size_t count = 0;
    (void) state;
    s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, link[1].endpoint, 0);
    for (ms = 0; ms <= 2300000; ms += LINKS_LOOK_MS)
        while (links_waiting (links, 5000 + ms) == link) {
            assert_int_equal (link->alone_ms, 5000);
            assert_true (count < sizeof said_ms / sizeof *said_ms);
            assert_int_equal (ms, said_ms[count++]);
        }
    assert_int_equal (count, sizeof said_ms / sizeof *said_ms);
    //  it comes, goes, and is alone anew
    s_report (links, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, link->endpoint, ms);
    assert_null (links_waiting (links, ms + 600000));
    s_report (links, ZMQ_EVENT_DISCONNECTED, link->endpoint, ms + 600000);
    assert_null (links_waiting (links, ms + 600000));
    assert_null (links_waiting (links, ms + 601999));
    assert_ptr_equal (links_waiting (links, ms + 602000), link);
    assert_null (links_waiting (links, ms + 602000));
    links_destroy (&links);
}

//  From a real monitor: a peer that is bound comes up, and is lost.
static void
test_reports (void **state)
{
    zsock_t *peer = zsock_new (ZMQ_XPUB);
    int port = zsock_bind (peer, "tcp://127.0.0.1:*");
    char *endpoint = zsys_sprintf ("tcp://127.0.0.1:%d", port);
    links_t *links = links_new (s_socket, endpoint);
    zpoller_t *poller = zpoller_new (links->monitor, NULL);
    link_report_t report = {NULL, 0, 0, 0};
    int up = 0;
    (void) state;
    while (report.event != ZMQ_EVENT_DISCONNECTED) {
        assert_ptr_equal (zpoller_wait (poller, 10000), links->monitor);
        assert_int_equal (links_read (links, &report, 1000), 1);
        assert_ptr_equal (report.link, links->link);
        if (report.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            assert_false (report.was_connected);
            assert_true (report.link->connected);
            up++;
            zsock_destroy (&peer);
        }
    }
    assert_int_equal (up, 1);
    assert_true (report.was_connected && !report.link->connected);
    zpoller_destroy (&poller);
    links_destroy (&links);
    zstr_free (&endpoint);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_endpoints, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_bad_endpoints, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_broken, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_refused, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_two_broken, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_two_move, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_one_moves, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_waiting, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (test_reports, s_setup, s_teardown)};
    return cmocka_run_group_tests_name ("links", tests, NULL, NULL);
}
