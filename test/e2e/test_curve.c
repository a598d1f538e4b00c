/*  test_curve.c - with CURVE the broker admits who is listed, and nobody else

    A place has a broker's certificate, "server", and those of clients in
    "clients", made by `zibrato keygen`. What must not arrive is shown not to by
    something that was sent later and has arrived.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

#include <sys/stat.h>

//  --------------------------------------------------------------------------
//  place: keys, and a broker that has them

enum { KEY_SIZE = 41 };

typedef struct {
    broker_t *broker;
    const char *server, *clients;
    const char *const *env;  //  of the broker, or NULL
} place_t;

static const char *
client_path (const place_t *self, const char *name)
{
    return text_new ("%s/%s", self->clients, name);
}

static void
keygen (const char *dir, const char *name)
{
    process_run (LIST (harness_path ("ZB_BIN"), "keygen", dir, name), NULL);
}

//  Returns the value of a key in a certificate file.
static const char *
key_of (const char *path, const char *name)
{
    const char *text = file_read (path, NULL);
    const char *found = strstr (text, text_new ("%s = \"", name));
    assert_non_null (found);
    return text_new ("%.*s", KEY_SIZE - 1, strchr (found, '"') + 1);
}

//  Starts the broker again at its port, or the first time at port 0.
static void
place_launch (place_t *self)
{
    broker_t *broker = self->broker;
    broker->process = process_start (
      LIST (harness_path ("ZB_BIN"), "broker", "--host", broker->host, "--port",
            text_new ("%d", broker->port), "--curve", self->server,
            "--authorized", self->clients),
      self->env);
    const char *ready = process_await (broker->process, "event=ready");
    broker->port = (int) strtol (strrchr (ready, ':') + 1, NULL, 10) - 1;
}

//  With the clients "app" and "worker" in the list, and "stranger" outside.
static place_t
place_new (void)
{
    broker_t *plain = broker_start ();
    place_t self = {.broker = plain,
                    .server = temporary_path ("keys/server"),
                    .clients = temporary_path ("keys/clients")};
    broker_kill (plain);
    plain->port = 0;
    keygen (temporary_path ("keys"), "server");
    keygen (self.clients, "app");
    keygen (self.clients, "worker");
    keygen (temporary_path ("keys"), "stranger");
    place_launch (&self);
    return self;
}

//  Reads the list again, and waits until that is done.
static void
place_reload (const place_t *self, int keys)
{
    size_t before = process_lines (self->broker->process, "event=reloaded");
    process_signal (self->broker->process, SIGHUP);
    const char *line =
      process_await_nth (self->broker->process, "event=reloaded", before + 1);
    if (!strstr (line, text_new ("keys=%d", keys)))
        fail_msg ("%s: expected keys=%d", line, keys);
}

//  Moves a certificate into a folder that says what it is for.
static const char *
client_move (const place_t *self, const char *name, const char *role)
{
    const char *folder = client_path (self, role);
    const char *path = text_new ("%s/%s", folder, name);
    mkdir (folder, 0700);
    assert_int_equal (rename (client_path (self, name), path), 0);
    assert_int_equal (rename (client_path (self, text_new ("%s_secret", name)),
                              text_new ("%s_secret", path)),
                      0);
    return path;
}

//  Options of a worker with the certificate.
static const char *const *
worker_options (const place_t *self, const char *cert)
{
    const char **options = harness_keep (calloc (10, sizeof *options));
    int i = 0;
    options[i++] = "--flush";
    options[i++] = "1";
    options[i++] = "--format";
    options[i++] = "json";
    options[i++] = "--curve-server";
    options[i++] = self->server;
    options[i++] = "--curve-cert";
    options[i++] = cert;
    return options;
}

static sink_t
place_sink (const place_t *self, const char *cert)
{
    return (sink_t){
      worker_start (self->broker, "stdout", worker_options (self, cert), NULL),
      NULL};
}

//  A worker that need not get ready.
static process_t *
worker_try (const broker_t *broker, const char *const *options)
{
    const char *argv[24] = {harness_path ("ZB_BIN"),
                            "stdout",
                            "--host",
                            broker->host,
                            "--port",
                            text_new ("%d", broker->port + 1)};
    for (int i = 0; options[i]; i++)
        argv[6 + i] = options[i];
    return process_start (argv, NULL);
}

//  Variables of a program with the certificate.
static const char *const *
program_environment (const place_t *self, const char *cert)
{
    const char **env = harness_keep (calloc (6, sizeof *env));
    env[0] = text_new ("ZIBRATO_HOST=%s", self->broker->host);
    env[1] = text_new ("ZIBRATO_PORT=%d", self->broker->port);
    env[2] = text_new ("ZIBRATO_CURVE_SERVER_KEY=%s",
                       key_of (self->server, "public-key"));
    env[3] = text_new ("ZIBRATO_CURVE_CERT=%s", cert);
    env[4] = "ZIBRATO_LINGER_MS=20000";
    return env;
}

static process_t *
measure_start (const place_t *self, const char *cert)
{
    return process_start (LIST (program_path ("measure")),
                          program_environment (self, cert));
}

//  Counts one, and waits until the worker has this many.
static void
measure_check (process_t *measure, const sink_t *sink, const char *name,
               double sum)
{
    process_send (measure, text_new ("count\tinfo\t%s\n", name));
    assert_true (sink_await (sink, NULL, name, 0, sum).sum <= sum);
}

//  --------------------------------------------------------------------------
//  raw sockets

//  Returns a socket with these keys, or none if server is NULL.
static void *
curve_socket (int type, const char *server, const char *cert)
{
    void *socket = socket_new (type);
    if (server) {
        const char *secret = text_new ("%s_secret", cert);
        const char *keys[] = {server, key_of (secret, "public-key"),
                              key_of (secret, "secret-key")};
        static const int options[] = {ZMQ_CURVE_SERVERKEY, ZMQ_CURVE_PUBLICKEY,
                                      ZMQ_CURVE_SECRETKEY};
        for (int i = 0; i < 3; i++)
            assert_int_equal (
              zmq_setsockopt (socket, options[i], keys[i], KEY_SIZE), 0);
    }
    return socket;
}

//  Connects, and waits until that has failed.
static void
socket_fail (void *socket, const char *endpoint)
{
    static int number;
    const char *name = text_new ("inproc://monitor-%d", number++);
    const int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    void *monitor = socket_new (ZMQ_PAIR);
    uint16_t report[3];  //  event and value
    assert_int_equal (zmq_socket_monitor (socket, name, events), 0);
    assert_int_equal (zmq_connect (monitor, name), 0);
    assert_int_equal (zmq_connect (socket, endpoint), 0);
    assert_int_equal (zmq_recv (monitor, report, sizeof report, 0),
                      sizeof report);
    assert_int_equal (*report, ZMQ_EVENT_DISCONNECTED);
    zmq_socket_monitor (socket, NULL, 0);
}

//  Sends to whoever has not subscribed: what a well-behaved socket would not.
static void *
pushy_socket (const char *server, const char *cert)
{
    int on = 1;
    void *socket = curve_socket (ZMQ_PUB, server, cert);
    assert_int_equal (
      zmq_setsockopt (socket, ZMQ_INVERT_MATCHING, &on, sizeof on), 0);
    return socket;
}

//  Who must stay outside: plain, not listed, with a wrong key of the server.
static void
strangers_new (const place_t *self, void *(*make) (const char *, const char *),
               void **strangers)
{
    const char *stranger = temporary_path ("keys/stranger");
    strangers[0] = make (NULL, NULL);
    strangers[1] = make (key_of (self->server, "public-key"), stranger);
    strangers[2] =
      make (key_of (stranger, "public-key"), client_path (self, "app"));
}

static void *
subscriber_new (const char *server, const char *cert)
{
    void *socket = curve_socket (ZMQ_SUB, server, cert);
    assert_int_equal (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "", 0), 0);
    return socket;
}

//  Of all that a listed program publishes.
static void
a_stranger_gets_no_byte (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    void *strangers[3];
    strangers_new (&place, subscriber_new, strangers);
    for (int i = 0; i < 3; i++)
        socket_fail (strangers[i], broker_endpoint (place.broker, 1));
    process_t *measure = measure_start (&place, client_path (&place, "app"));
    for (int i = 1; i <= 3; i++)
        measure_check (measure, &sink, "n", i);
    //  a listed one got it all, by the same way
    void *listed = subscriber_new (key_of (place.server, "public-key"),
                                   client_path (&place, "app"));
    assert_int_equal (zmq_connect (listed, broker_endpoint (place.broker, 1)),
                      0);
    process_send (measure, "count\tinfo\tn\n");
    assert_non_null (strstr (socket_receive (listed), "|"));
    for (int i = 0; i < 3; i++) {
        char text[8];
        assert_int_equal (
          zmq_recv (strangers[i], text, sizeof text, ZMQ_DONTWAIT), -1);
        assert_int_equal (errno, EAGAIN);
    }
}

static void
what_a_stranger_publishes_reaches_nobody (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    void *strangers[4];
    strangers_new (&place, pushy_socket, strangers);
    //  the same from a listed one does arrive: the strangers' failure is not
    //  that of the test
    strangers[3] = pushy_socket (key_of (place.server, "public-key"),
                                 client_path (&place, "app"));
    for (int i = 0; i < 3; i++)
        socket_fail (strangers[i], broker_endpoint (place.broker, 0));
    assert_int_equal (
      zmq_connect (strangers[3], broker_endpoint (place.broker, 0)), 0);
    int64_t until = now_ms () + WAIT_MS;
    while (sink_total_so_far (&sink, "3", "pushed").count < 1
           && now_ms () < until) {
        for (int i = 0; i < 4; i++)
            publisher_send (
              strangers[i],
              text_new ("info|Gauge|pushed|1|%ld|%d", (long) time (NULL), i));
        poll_pause ();
    }
    assert_true (sink_total_so_far (&sink, "3", "pushed").count > 0);
    process_t *measure = measure_start (&place, client_path (&place, "app"));
    measure_check (measure, &sink, "n", 1);
    sink_stop (&sink);
    for (int i = 0; i < 3; i++)
        sink_check_count (&sink, text_new ("%d", i), "pushed", 0);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

//  --------------------------------------------------------------------------
//  Both sides say why

//  Waits for a line that begins so and gives this reason.
static void
s_await_refused (process_t *self, const char *beginning, const char *reason)
{
    size_t nth = 1;
    while (!strstr (process_await_nth (self, beginning, nth), reason))
        nth++;
}

//  The worker says so once, however often it tries, and once more if it finds
//  out more. The broker may not know who it was: who is gone cannot be asked.
static void
s_check_refused (const broker_t *broker, const char *const *options,
                 const char *worker_says, const char *broker_says)
{
    process_t *worker = worker_try (broker, options);
    s_await_refused (
      worker,
      text_new ("event=refused broker=%s ", broker_endpoint (broker, 1)),
      worker_says);
    s_await_refused (broker->process, "event=refused peer=", broker_says);
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    assert_true (process_lines (worker, "event=refused") <= 2);
    assert_int_equal (process_lines (worker, "event=ready"), 0);
}

static void
a_worker_without_keys_is_told_why (void)
{
    place_t place = place_new ();
    s_check_refused (place.broker, LIST ("--flush", "1"), "--curve-server",
                     "CURVE");
}

static void
a_worker_that_is_not_listed_is_told_why (void)
{
    place_t place = place_new ();
    s_check_refused (place.broker,
                     worker_options (&place, temporary_path ("keys/stranger")),
                     "does not list our key", "its key is not listed");
}

//  A key that is listed for the other port is not the same as one that is not.
static void
a_worker_with_a_key_of_programs_is_told_why (void)
{
    place_t place = place_new ();
    const char *app = client_move (&place, "app", "programs");
    place_reload (&place, 2);
    s_check_refused (place.broker, worker_options (&place, app),
                     "lists our key for programs only",
                     "but for the other one");
}

static void
a_worker_with_a_wrong_server_key_is_told_why (void)
{
    place_t place = place_new ();
    const char *worker = client_path (&place, "worker");
    place.server = temporary_path ("keys/stranger");
    s_check_refused (place.broker, worker_options (&place, worker),
                     "--curve-server", "a wrong key of this broker");
}

static void
keys_without_a_broker_that_has_curve_are_said (void)
{
    place_t place = place_new ();
    broker_t *plain = broker_start ();
    s_check_refused (plain,
                     worker_options (&place, client_path (&place, "worker")),
                     "CURVE", "");
}

//  A hundred strangers in a row are a few lines, and all are counted.
static void
strangers_do_not_fill_the_log (void)
{
    enum { STRANGERS = 100 };
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons ((uint16_t) place.broker->port)};
    inet_pton (AF_INET, place.broker->host, &address.sin_addr);
    for (int i = 0; i < STRANGERS; i++) {
        int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal (
          connect (fd, (struct sockaddr *) &address, sizeof address), 0);
        close (fd);
    }
    sink_end_with_sum (&sink, "broker", "zibrato.broker.refused", STRANGERS);
    assert_true (process_lines (place.broker->process, "event=refused") < 10);
}

//  --------------------------------------------------------------------------
//  The list

//  ZeroMQ alone would not try again after it was refused.
static void
who_is_listed_later_gets_in (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    process_t *early = measure_start (&place, client_path (&place, "app"));
    measure_check (early, &sink, "early", 1);
    const char *stranger = temporary_path ("keys/stranger");
    process_t *worker =
      worker_try (place.broker, worker_options (&place, stranger));
    process_t *late = measure_start (&place, stranger);
    process_send (late, "count\tinfo\tlate\n");
    process_await (worker, "event=refused");
    process_await_nth (place.broker->process, "not listed", 2);
    file_write (client_path (&place, "newcomer"), file_read (stranger, NULL));
    place_reload (&place, 3);
    process_await (worker, "event=ready");
    sink_await (&sink, NULL, "late", 0, 1);
    measure_check (early, &sink, "early", 2);
    //  who was there has not noticed
    assert_int_equal (process_lines (sink.worker, "event=disconnected"), 0);
    process_send (early, "stats\n");
    assert_non_null (strstr (process_await (early, "connected"),
                             "\"connected\":1,\"denied\":0"));
    process_send (late, "stats\n");
    assert_null (strstr (process_await (late, "connected"), "\"denied\":0"));
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "early", 2);
    sink_check_sum (&sink, NULL, "late", 1);
}

//  A worker and a program at once, others stay.
static void
who_is_no_more_listed_is_cut_off (void)
{
    place_t place = place_new ();
    keygen (place.clients, "other-app");
    keygen (place.clients, "other-worker");
    place_reload (&place, 4);
    sink_t stays = place_sink (&place, client_path (&place, "worker"));
    sink_t goes = place_sink (&place, client_path (&place, "other-worker"));
    process_t *measure = measure_start (&place, client_path (&place, "app"));
    process_t *other =
      measure_start (&place, client_path (&place, "other-app"));
    measure_check (measure, &stays, "n", 1);
    measure_check (other, &stays, "other", 1);
    sink_await (&goes, NULL, "other", 0, 1);
    assert_int_equal (unlink (client_path (&place, "other-app")), 0);
    assert_int_equal (unlink (client_path (&place, "other-worker")), 0);
    place_reload (&place, 2);
    assert_int_equal (process_lines (place.broker->process, "event=cut"), 2);
    process_await (goes.worker, "event=disconnected");
    process_await (goes.worker, "event=refused");
    process_send (other, "count\tinfo\tother\n");
    for (int i = 2; i < 5; i++)
        measure_check (measure, &stays, "n", i);
    assert_true (sink_total_so_far (&stays, NULL, "other").sum <= 1);
    assert_true (sink_total_so_far (&goes, NULL, "n").sum < 2);
    assert_int_equal (process_lines (stays.worker, "event=disconnected"), 0);
    //  and back: nothing was lost
    keygen (place.clients, "anything");
    file_write (client_path (&place, "back"),
                file_read (client_path (&place, "other-app_secret"), NULL));
    place_reload (&place, 4);
    sink_end_with_sum (&stays, NULL, "other", 2);
}

//  A program's key reads nothing, and a worker's publishes nothing. Who is in
//  the folder itself may do both.
static void
a_key_is_for_one_port (void)
{
    place_t place = place_new ();
    keygen (place.clients, "both");
    const char *app = client_move (&place, "app", "programs");
    const char *worker = client_move (&place, "worker", "workers");
    const char *both = client_path (&place, "both");
    place_reload (&place, 3);
    void *reader = subscriber_new (key_of (place.server, "public-key"), app);
    void *pushy = pushy_socket (key_of (place.server, "public-key"), worker);
    socket_fail (reader, broker_endpoint (place.broker, 1));
    socket_fail (pushy, broker_endpoint (place.broker, 0));
    sink_t sinks[] = {place_sink (&place, worker), place_sink (&place, both)};
    process_t *programs[] = {measure_start (&place, app),
                             measure_start (&place, both)};
    for (int i = 0; i < 2; i++)
        process_send (programs[i], "count\tinfo\tn\n");
    for (int i = 0; i < 2; i++)
        sink_await (&sinks[i], NULL, "n", 0, 2);
    publisher_send (pushy, "info|Counter|pushed|1|1700000000|x");
    char text[8];
    assert_int_equal (zmq_recv (reader, text, sizeof text, ZMQ_DONTWAIT), -1);
    measure_check (programs[0], &sinks[0], "last", 1);
    sink_stop (&sinks[0]);
    sink_check_count (&sinks[0], NULL, "pushed", 0);
}

//  What a key may do can change, and takes effect at once.
static void
a_key_that_changes_its_port_is_cut_off (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    process_t *measure = measure_start (&place, client_path (&place, "app"));
    measure_check (measure, &sink, "n", 1);
    const char *app = client_move (&place, "app", "workers");
    place_reload (&place, 2);
    assert_int_equal (process_lines (place.broker->process, "event=cut"), 1);
    process_await_nth (place.broker->process, "not listed", 2);
    client_move (&place, "worker", "workers");
    place_reload (&place, 2);
    assert_int_equal (process_lines (sink.worker, "event=disconnected"), 0);
    process_send (measure, "count\tinfo\tn\n");
    rename (app, client_path (&place, "app"));
    place_reload (&place, 2);
    sink_end_with_sum (&sink, NULL, "n", 2);
}

//  Two files with one key, what is no certificate, and one with so much in it
//  that it would not fit zauth's buffer.
static void
a_folder_may_hold_anything (void)
{
    place_t place = place_new ();
    const char *app = client_path (&place, "app");
    char *metadata = text_new ("metadata\n");
    for (int i = 0; i < 40; i++)
        metadata = text_new ("%s    name-%d = \"%050d\"\n", metadata, i, i);
    file_write (client_path (&place, "app-again"), file_read (app, NULL));
    file_write (client_path (&place, "notes"), "no certificate\n");
    file_write (app, text_new ("%s%s", metadata, file_read (app, NULL)));
    assert_int_equal (mkdir (client_path (&place, "folder"), 0700), 0);
    place_reload (&place, 2);
    process_await (place.broker->process, "event=unreadable");
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    process_t *measure = measure_start (&place, app);
    measure_check (measure, &sink, "n", 1);
    //  a folder that has gone: the list stays as it is
    const char *away = temporary_path ("keys/away");
    assert_int_equal (rename (place.clients, away), 0);
    process_signal (place.broker->process, SIGHUP);
    process_await (place.broker->process, "event=reload ");
    measure_check (measure, &sink, "n", 2);
    assert_int_equal (rename (away, place.clients), 0);
    broker_stop (place.broker);
}

#if !SANITIZED  //  late.so would have to be loaded after the sanitizer

//  A signal ends the program if any of its threads does not block it.
static void
signals_may_come_before_all_threads_run (void)
{
    place_t place = place_new ();
    broker_stop (place.broker);
    place.env = LIST (text_new ("LD_PRELOAD=%s", program_path ("late.so")));
    place_launch (&place);
    place_reload (&place, 2);
    broker_stop (place.broker);
    place_launch (&place);
    broker_stop (place.broker);
}
#endif

//  --------------------------------------------------------------------------
//  What works without CURVE works with it

static void
a_broker_killed_and_restarted_changes_nothing (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    process_t *measure = measure_start (&place, client_path (&place, "app"));
    for (int i = 0; i < 2; i++) {
        measure_check (measure, &sink, "n", 2 * i + 1);
        broker_kill (place.broker);
        process_await_nth (sink.worker, "event=disconnected", (size_t) i + 1);
        process_send (measure, "count\tinfo\tn\n");
        place_launch (&place);
        process_await_nth (sink.worker, "event=connected", (size_t) i + 1);
        sink_await (&sink, NULL, "n", 0, 2 * i + 2);
    }
    process_send (measure, "gauge\tinfo\tg\t5\nflush\t10000\n");
    assert_string_equal (process_await (measure, "flush"), "flush 0");
    sink_await (&sink, NULL, "g", 1, 5);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "n", 4);
}

//  Not under sanitizers, see test_lives.c.
__attribute__ ((unused)) static void
a_child_has_the_keys_too (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    process_t *forker =
      process_run (LIST (program_path ("forker"), "4", "1000"),
                   program_environment (&place, client_path (&place, "app")));
    long parent;
    assert_int_equal (sscanf (process_out (forker), "parent=%ld", &parent), 1);
    sink_await (&sink, "parent", "forker.count", 0, (double) parent);
    sink_await (&sink, "child", "forker.count", 0, 4000);
    sink_await (&sink, "grandchild", "forker.count", 0, 1000);
    sink_stop (&sink);
    sink_check_sum (&sink, "child", "forker.count", 4000);
}

//  It comes by inproc, without keys.
static void
the_brokers_own_health_arrives (void)
{
    place_t place = place_new ();
    sink_t sink = place_sink (&place, client_path (&place, "worker"));
    sink_await (&sink, "broker", "zibrato.broker.workers", 1, 1);
}

static void
what_the_last_worker_wanted_is_held (void)
{
    place_t place = place_new ();
    process_t *measure = measure_start (&place, client_path (&place, "app"));
    sink_t one = place_sink (&place, client_path (&place, "worker"));
    sink_t two = place_sink (&place, client_path (&place, "worker"));
    measure_check (measure, &one, "n", 1);
    sink_await (&two, NULL, "n", 0, 1);
    sink_stop (&one);
    measure_check (measure, &two, "n", 2);
    sink_stop (&two);
    //  nobody is left: what comes now is held
    int64_t until = now_ms () + WAIT_MS;
    const char *held = NULL;
    for (size_t nth = 1; !held && now_ms () < until; nth++) {
        process_send (measure, "stats\n");
        if (strstr (process_await_nth (measure, "listening", nth),
                    "\"listening\":0"))
            held = "yes";
        poll_pause ();
    }
    assert_non_null (held);
}

//  --------------------------------------------------------------------------
//  The command line

static int
s_mode_of (const char *path)
{
    struct stat status;
    assert_int_equal (stat (path, &status), 0);
    return (int) status.st_mode & 0777;
}

static void
keygen_makes_a_pair_and_overwrites_nothing (void)
{
    const char *dir = temporary_path ("made");
    const char *server = temporary_path ("made/server");
    const char *secret = temporary_path ("made/server_secret");
    mode_t before = umask (0);
    process_t *made =
      process_run (LIST (harness_path ("ZB_BIN"), "keygen", dir), NULL);
    umask (before);
    assert_int_equal (s_mode_of (dir), 0700);
    assert_int_equal (s_mode_of (secret), 0600);
    assert_int_equal (s_mode_of (server), 0644);
    assert_string_equal (process_out (made),
                         text_new ("public  %s\nsecret  %s\nkey     %s\n",
                                   server, secret,
                                   key_of (server, "public-key")));
    assert_string_equal (process_err (made), "");
    assert_null (strstr (file_read (server, NULL), "secret-key ="));
    assert_string_equal (key_of (secret, "public-key"),
                         key_of (server, "public-key"));
    //  each half by itself keeps the other from being made
    for (int half = 0; half < 2; half++) {
        const char *keys = file_read (half ? server : secret, NULL);
        assert_int_equal (unlink (half ? secret : server), 0);
        process_t *again = zibrato_run (LIST ("keygen", dir));
        assert_int_equal (again->status, 1);
        assert_string_equal (process_out (again), "");
        assert_non_null (strstr (process_err (again), "exists"));
        assert_string_equal (file_read (half ? server : secret, NULL), keys);
        assert_string_equal (file_read (half ? secret : server, NULL), "");
        assert_int_equal (access (half ? secret : server, F_OK), -1);
        assert_int_equal (unlink (half ? server : secret), 0);
        process_run (LIST (harness_path ("ZB_BIN"), "keygen", dir), NULL);
    }
}

static void
what_is_wrong_with_keys_is_one_line (void)
{
    const char *keys = temporary_path ("keys");
    const char *server = temporary_path ("keys/server");
    const char *only = temporary_path ("only");
    const char *none = temporary_path ("none");
    keygen (keys, "server");
    file_write (only, file_read (server, NULL));
    file_write (none, "curve\n    public-key = \"short\"\n");
    zibrato_dies (LIST ("keygen", "/nonexistent/keys"), "No such file");
    zibrato_dies (LIST ("keygen", "/nonexistent/a/keys"),
                  "/nonexistent/a/keys: No such file or directory; make the "
                  "folder above it first");
    zibrato_dies (LIST ("keygen", keys),
                  text_new ("%s_secret: File exists; give another", server));
    zibrato_dies (LIST ("keygen", keys, "a/b"), "not a name");
    zibrato_dies (LIST ("keygen", keys, "a_secret"), "not a name");
    zibrato_dies (LIST ("keygen", server), "Not a directory");
    zibrato_dies (LIST ("broker", "--curve", server), "--authorized");
    zibrato_dies (LIST ("broker", "--authorized", keys), "--curve");
    zibrato_dies (LIST ("broker", "--port", "0", "--curve", "/nonexistent",
                        "--authorized", keys),
                  "No such file");
    zibrato_dies (
      LIST ("broker", "--port", "0", "--curve", only, "--authorized", keys),
      "no secret key");
    zibrato_dies (
      LIST ("broker", "--port", "0", "--curve", none, "--authorized", keys),
      "no CURVE certificate");
    zibrato_dies (LIST ("broker", "--port", "0", "--curve", server,
                        "--authorized", "/nonexistent"),
                  "No such file");
    zibrato_dies (LIST ("broker", "--port", "0", "--curve", server,
                        "--authorized", "/nonexistent"),
                  "/nonexistent: No such file");
    zibrato_dies (
      LIST ("broker", "--port", "0", "--curve", only, "--authorized", keys),
      text_new ("%s: no secret key; it is in", only));
    zibrato_dies (LIST ("stdout", "--curve-server", server), "--curve-cert");
    zibrato_dies (LIST ("stdout", "--curve-cert", server), "--curve-server");
    zibrato_dies (
      LIST ("stdout", "--curve-server", none, "--curve-cert", server),
      text_new ("%s: no CURVE certificate; `zibrato keygen`", none));
    zibrato_dies (
      LIST ("stdout", "--curve-server", server, "--curve-cert", only),
      "no secret key");
}

//  An address that is not loopback, and that every machine has.
static void
only_a_broker_without_curve_is_exposed (void)
{
    place_t place = place_new ();
    for (int curve = 0; curve <= 1; curve++) {
        process_t *broker =
          process_start (LIST (harness_path ("ZB_BIN"), "broker", "--host",
                               "0.0.0.0", "--port=0", curve ? "--curve" : NULL,
                               place.server, "--authorized", place.clients),
                         NULL);
        process_await (broker, "event=ready");
        assert_int_equal (process_lines (broker, "event=exposed"),
                          (size_t) !curve);
        assert_int_equal (process_stop (broker, SIGTERM), 0);
        //  nothing of zauth's, nothing at all
        assert_string_equal (process_out (broker), "");
    }
}

//  A key as such, and the secret half by its own name.
static void
keys_may_be_given_in_other_ways (void)
{
    place_t place = place_new ();
    const char *const *options = worker_options (
      &place, text_new ("%s_secret", client_path (&place, "worker")));
    place.server = key_of (place.server, "public-key");
    process_t *worker = worker_try (
      place.broker, LIST (options[0], options[1], options[2], options[3],
                          options[4], place.server, options[6], options[7]));
    process_await (worker, "event=ready");
}

static const struct CMUnitTest tests[] = {
  TEST (a_stranger_gets_no_byte),
  TEST (what_a_stranger_publishes_reaches_nobody),
  TEST (a_worker_without_keys_is_told_why),
  TEST (a_worker_that_is_not_listed_is_told_why),
  TEST (a_worker_with_a_key_of_programs_is_told_why),
  TEST (a_worker_with_a_wrong_server_key_is_told_why),
  TEST (keys_without_a_broker_that_has_curve_are_said),
  TEST (strangers_do_not_fill_the_log),
  TEST (who_is_listed_later_gets_in),
  TEST (who_is_no_more_listed_is_cut_off),
  TEST (a_key_is_for_one_port),
  TEST (a_key_that_changes_its_port_is_cut_off),
  TEST (a_folder_may_hold_anything),
#if !SANITIZED
  TEST (signals_may_come_before_all_threads_run),
#endif
  TEST (a_broker_killed_and_restarted_changes_nothing),
#if !SANITIZED
  TEST (a_child_has_the_keys_too),
#endif
  TEST (the_brokers_own_health_arrives),
  TEST (what_the_last_worker_wanted_is_held),
  TEST (keygen_makes_a_pair_and_overwrites_nothing),
  TEST (what_is_wrong_with_keys_is_one_line),
  TEST (only_a_broker_without_curve_is_exposed),
  TEST (keys_may_be_given_in_other_ways),
};

HARNESS_MAIN (tests)
