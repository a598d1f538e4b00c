/*  test_rest.c - is a thread that is woken again and again left to rest, and no other?

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "hangup.h"
#include "peer.h"
#include "rest.h"
#include "sockets.h"

#include <czmq.h>
#include <dirent.h>

enum { MESSAGES = 20000, APART_US = 20 };

//  It was woken so often, each time after so long.
static void
s_wake (rest_t *self, int times, int64_t waited_us)
{
    while (times--)
        rest_woken (self, waited_us);
}

static void
test_wakes (void **state)
{
    rest_t rest = {.wakes = 0};
    (void) state;
    assert_false (rest_now (&rest, 0));
    s_wake (&rest, REST_WAKES - 1, REST_US - 1);
    assert_false (rest_now (&rest, 0));
    s_wake (&rest, 1, REST_US - 1);
    assert_true (rest_now (&rest, 0));
    assert_true (rest_now (&rest, 0));
    s_wake (&rest, 1, REST_US);
    assert_false (rest_now (&rest, 0));
    s_wake (&rest, REST_WAKES - 1, 0);
    assert_false (rest_now (&rest, 0));
}

//  What comes in a rest must not fill the connection.
static void
test_flood (void **state)
{
    rest_t rest = {.wakes = REST_WAKES};
    int i;
    (void) state;
    for (i = 0; i < 10 * REST_TURNS; i++)
        rest_turn (&rest);
    assert_true (rest_now (&rest, 1));
    for (i = 0; i < REST_TURNS; i++)
        rest_turn (&rest);
    assert_true (rest_now (&rest, 2));
    for (i = 0; i < REST_TURNS + 1; i++)
        rest_turn (&rest);
    assert_false (rest_now (&rest, 3));
    assert_false (rest_now (&rest, 3 + REST_NOT_US - 1));
    assert_true (rest_now (&rest, 3 + REST_NOT_US));
}

//  How often ZeroMQ's threads have waited since they began.
static long
s_waits (void)
{
    static const char key[] = "voluntary_ctxt_switches:";
    DIR *tasks = opendir ("/proc/self/task");
    struct dirent *task;
    char path[300], line[128];
    long waits = 0;
    int ours;
    while ((task = readdir (tasks))) {
        FILE *file;
        snprintf (path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        file = fopen (path, "r");
        for (ours = 0; file && fgets (line, sizeof line, file);) {
            ours |= strncmp (line, "Name:\tZMQbg/IO/", 15) == 0;
            if (ours && strncmp (line, key, sizeof key - 1) == 0)
                waits += strtol (line + sizeof key - 1, NULL, 10);
        }
        if (file)
            fclose (file);
    }
    closedir (tasks);
    return waits;
}

//  Messages come one by one. Returns how often a thread has waited meanwhile: for each
//  of them, on a machine that has nothing else to do, or nearly never.
static long
s_come (void)
{
    static const char frame[] = "\0\5hello";
    zsock_t *socket = sockets_new (ZMQ_XSUB);
    int64_t next_us;
    long waits;
    int peer, i;
    zsock_set_rcvhwm (socket, 0);
    peer = peer_new (zsock_bind (socket, "tcp://127.0.0.1:*"));
    waits = s_waits ();
    next_us = zclock_usecs ();
    for (i = 0; i < MESSAGES; i++) {
        while (zclock_usecs () < next_us) {
        }
        next_us = zclock_usecs () + APART_US;
        assert_int_equal (write (peer, frame, sizeof frame - 1),
                          sizeof frame - 1);
    }
    for (i = 0; i < MESSAGES; i++) {
        char *text = zstr_recv (socket);
        assert_string_equal (text, "hello");
        free (text);
    }
    waits = s_waits () - waits;
    close (peer);
    zsock_destroy (&socket);
    return waits;
}

static void
test_socket (void **state)
{
    long before = s_come (), after;
    (void) state;
    rest_allow ();
    after = s_come ();
    print_message ("waits for %d messages: %ld, and %ld with rests\n", MESSAGES,
                   before, after);
    assert_true (after < MESSAGES / 5);
}

//  Who is no thread of ZeroMQ's answers at once.
static void
test_others (void **state)
{
    (void) state;
    rest_allow ();
    assert_false (rest_allowed ());
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_wakes), cmocka_unit_test (test_flood),
      cmocka_unit_test (test_socket), cmocka_unit_test (test_others)};
    return cmocka_run_group_tests_name ("rest", tests, NULL, NULL);
}
