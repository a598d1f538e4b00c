/*  bench_peers.c - a pass of a counter and of a timer, beside what others do
    for one

    A tracepoint of LTTng-UST, with a session that keeps the newest events in
    memory (its cheapest) and without; a USDT probe that nobody looks at; a
    datagram per event, as statsd clients send it; and the Python package.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"
#include "hot.h"
#include "peers_tracepoints.h"
#include "zibrato.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/sdt.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OURS = 20000, TRACEPOINTS = 5000, PROBES = 20000, DATAGRAMS = 200 };

//  --------------------------------------------------------------------------
//  What is measured

static HOT_CALLED void
s_counter (void)
{
    ZB_COUNT_ME ("info", "hot.counter");
}

static HOT_CALLED void
s_timer (void)
{
    ZB_TIME_ME ("info", "hot.timer");
}

static HOT_CALLED void
s_tracepoint (void)
{
    lttng_ust_tracepoint (zibrato_bench, count, 1);
}

static HOT_CALLED void
s_tracepoints (void)
{
    lttng_ust_tracepoint (zibrato_bench, begin);
    lttng_ust_tracepoint (zibrato_bench, end);
}

static HOT_CALLED void
s_probe (void)
{
    DTRACE_PROBE1 (zibrato_bench, count, 1);
}

static HOT_CALLED void
s_probes (void)
{
    DTRACE_PROBE (zibrato_bench, begin);
    DTRACE_PROBE (zibrato_bench, end);
}

static int s_socket;  //  connected to one that takes in nothing

static HOT_CALLED void
s_datagram (void)
{
    char text[64];
    int size = snprintf (text, sizeof text, "%s:%d|c", "hot.counter", 1);
    send (s_socket, text, (size_t) size, MSG_DONTWAIT);
}

static HOT_CALLED void
s_datagram_timed (void)
{
    char text[64];
    uint64_t start = bench_ns ();
    double ms = (double) (bench_ns () - start) * 1e-6;
    int size = snprintf (text, sizeof text, "%s:%g|ms", "hot.timer", ms);
    send (s_socket, text, (size_t) size, MSG_DONTWAIT);
}

HOT_LOOP (s_counter)
HOT_LOOP (s_timer)
HOT_LOOP (s_tracepoint)
HOT_LOOP (s_tracepoints)
HOT_LOOP (s_probe)
HOT_LOOP (s_probes)
HOT_LOOP (s_datagram)
HOT_LOOP (s_datagram_timed)

static void
s_compare (const char *peer, void (*count) (long), void (*time) (long),
           long passes)
{
    char name[64];
    int threads;
    for (threads = 1; threads <= 2; threads++) {
        snprintf (name, sizeof name, "peer.count.%s.%d", peer, threads);
        hot_compare (name, threads, s_counter_loop, OURS, count, passes, NULL);
        snprintf (name, sizeof name, "peer.time.%s.%d", peer, threads);
        hot_compare (name, threads, s_timer_loop, OURS, time, passes, NULL);
    }
}

//  --------------------------------------------------------------------------
//  Ours has a listener, and the clock that it will use

static void
s_zibrato_start (void)
{
    char endpoint[256];
    zb_stats_t stats;
    uint64_t until = bench_ns () + 2000000000;
    hot_listener (endpoint, sizeof endpoint);
    setenv ("ZIBRATO_ENDPOINT", endpoint, 1);
    s_counter ();
    while ((zb_stats (NULL, &stats) == 0 && !stats.sent) || !zb_tsc_on_) {
        if (bench_ns () > until)
            break;  //  a CPU without a counter that serves
        zb_flush (NULL, 10);
    }
    BENCH_CHECK (stats.sent > 0);
}

static void
s_socket_open (void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int sink = socket (AF_INET, SOCK_DGRAM, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    BENCH_CHECK (bind (sink, (struct sockaddr *) &address, size) == 0);
    BENCH_CHECK (getsockname (sink, (struct sockaddr *) &address, &size) == 0);
    s_socket = socket (AF_INET, SOCK_DGRAM, 0);
    BENCH_CHECK (connect (s_socket, (struct sockaddr *) &address, size) == 0);
}

//  Python says how long a pass of each takes it.
static void
s_python (void)
{
    char command[4096], name[64], what[16];
    double ns;
    FILE *file;
    const char *source = getenv ("ZB_SOURCE");
    BENCH_CHECK (source);
    snprintf (command, sizeof command, "'%s/test/bench/peer_zmq.py'", source);
    file = popen (command, "r");
    BENCH_CHECK (file);
    while (fscanf (file, "%15s %lf", what, &ns) == 2) {
        void (*run) (long) =
          strcmp (what, "count") == 0 ? s_counter_loop : s_timer_loop;
        uint64_t start = bench_thread_ns ();
        run (OURS);
        snprintf (name, sizeof name, "peer.%s.python.1", what);
        bench_figure (name, (double) (bench_thread_ns () - start) / OURS, ns);
    }
    BENCH_CHECK (pclose (file) == 0);
}

//  --------------------------------------------------------------------------
//  LTTng

static void
s_session_start (const char *folder)
{
    char command[512];
    uint64_t until = bench_ns () + 5000000000;
    snprintf (command, sizeof command,
              "exec >/dev/null; lttng -n create bench-%d --snapshot -o %s && "
              "lttng -n enable-event -u 'zibrato_bench:*' && lttng -n start",
              getpid (), folder);
    BENCH_CHECK (system (command) == 0);
    while (!lttng_ust_tracepoint_enabled (zibrato_bench, end)) {
        BENCH_CHECK (bench_ns () < until);
        usleep (1000);
    }
}

static void
s_session_end (void)
{
    char command[128];
    snprintf (command, sizeof command, "lttng -n destroy bench-%d >/dev/null",
              getpid ());
    BENCH_CHECK (system (command) == 0);
}

static int
s_measure (const char *folder)
{
    s_zibrato_start ();
    s_socket_open ();
    s_compare ("lttng.off", s_tracepoint_loop, s_tracepoints_loop, PROBES);
    s_session_start (folder);
    s_compare ("lttng.on", s_tracepoint_loop, s_tracepoints_loop, TRACEPOINTS);
    s_session_end ();
    s_compare ("usdt", s_probe_loop, s_probes_loop, PROBES);
    s_compare ("statsd", s_datagram_loop, s_datagram_timed_loop, DATAGRAMS);
    s_python ();
    return 0;
}

//  --------------------------------------------------------------------------
//  A process that measures, and LTTng's daemon around it: a program finds it
//  when it starts

static pid_t
s_start (char *const *argv)
{
    pid_t pid = fork ();
    BENCH_CHECK (pid != -1);
    if (pid == 0) {
        execvp (argv[0], argv);
        _exit (127);
    }
    return pid;
}

//  Returns 0, if there is one of somebody else.
static pid_t
s_daemon_start (void)
{
    char *const daemon[] = {"lttng-sessiond", "--no-kernel", "--quiet", NULL};
    const char *ask = "lttng -n list >/dev/null 2>&1";
    uint64_t until = bench_ns () + 10000000000;
    pid_t pid;
    if (system (ask) == 0)
        return 0;
    pid = s_start (daemon);
    while (system (ask) != 0) {
        BENCH_CHECK (waitpid (pid, NULL, WNOHANG) == 0);
        BENCH_CHECK (bench_ns () < until);
        usleep (10000);
    }
    return pid;
}

int
main (int argc, char **argv)
{
    char folder[] = "/tmp/bench_peers.XXXXXX";
    char *const again[] = {"/proc/self/exe", "measure", folder, NULL};
    int status = 1;
    pid_t daemon;
    if (argc == 3 && strcmp (argv[1], "measure") == 0)
        return s_measure (argv[2]);
    BENCH_CHECK (mkdtemp (folder));
    setenv ("LTTNG_HOME", folder, 1);
    daemon = s_daemon_start ();
    waitpid (s_start (again), &status, 0);
    if (daemon) {
        kill (daemon, SIGTERM);
        waitpid (daemon, NULL, 0);
    }
    rmdir (folder);
    return status != 0;
}
