/*  test_netcut.c - two hosts, and the network between them cut for a while

    Two network namespaces, joined by a pair of virtual interfaces, are the two
    hosts. For 30 seconds the packets between them are dropped, both ways and
    without a word to either side, as when a cable is pulled; then it is in
    again. Once the worker is alone on its side, once the program is.

    Both sides must notice while it lasts, and in the end counters and timers
    are what the program was told, to the digit; each reading is there, is
    reported as lost, or was dropped by the program, since nobody listened for
    so long.

    Needs root (CAP_NET_ADMIN), ip and iptables; without them it fails.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOSAN - nothing of it is about memory or threads

#include "harness.h"

enum {
    CUT_MS = 30000,
    //  15 s without an answer, asked every 5 s; the broker tells every 10
    NOTICE_MS = CUT_MS + 25000
};

//  --------------------------------------------------------------------------
//  hosts: A has the broker, B what is alone. They go with the process that
//  made them, however that ends: a namespace without a name and without a
//  process is gone. Commands in them are run through /proc/PID/ns/net.

typedef struct {
    process_t *holder[2];  //  a process that does nothing but be there
} hosts_t;

static const char *
host_name (int host)
{
    return host ? "10.0.0.2" : "10.0.0.1";
}

//  Returns the arguments of a command on one of the hosts.
static const char *const *
host_command (const hosts_t *self, int host, const char *const *command)
{
    const char **argv = harness_keep (calloc (40, sizeof *argv));
    size_t count = 0;
    argv[count++] = "nsenter";
    argv[count++] =
      text_new ("--net=/proc/%d/ns/net", (int) self->holder[host]->pid);
    while (*command)
        argv[count++] = *command++;
    return argv;
}

static void
host_run (const hosts_t *self, int host, const char *const *command)
{
    process_t *run = process_start (host_command (self, host, command), NULL);
    if (process_wait (run) != 0)
        fail_msg ("%s on a host of its own: %s(root, iproute2, iptables and "
                  "util-linux are needed)",
                  command[0], process_err (run));
}

static process_t *
holder_start (void)
{
    process_t *self = process_start (
      LIST ("unshare", "--net", "sh", "-c", "echo here; exec sleep 1000"),
      NULL);
    int64_t until = now_ms () + WAIT_MS;
    while (process_lines (self, "here") == 0) {
        if (!process_alive (self) || now_ms () > until)
            fail_msg ("no network namespace can be made: %s(needs root)",
                      process_err (self));
        poll_pause ();
    }
    return self;
}

static hosts_t *
hosts_new (void)
{
    hosts_t *self = harness_keep (calloc (1, sizeof *self));
    self->holder[0] = holder_start ();
    self->holder[1] = holder_start ();
    host_run (self, 0,
              LIST ("ip", "link", "add", "cable", "type", "veth", "peer",
                    "name", "cable", "netns",
                    text_new ("%d", (int) self->holder[1]->pid)));
    for (int host = 0; host < 2; host++) {
        host_run (self, host, LIST ("ip", "link", "set", "lo", "up"));
        host_run (self, host,
                  LIST ("ip", "address", "add",
                        text_new ("%s/24", host_name (host)), "dev", "cable"));
        host_run (self, host, LIST ("ip", "link", "set", "cable", "up"));
    }
    return self;
}

//  Pulls the cable, at both ends, or puts it in again ("-D").
static void
hosts_cut (const hosts_t *self, const char *what)
{
    for (int host = 0; host < 2; host++)
        host_run (
          self, host,
          LIST ("iptables", "-w", what, "INPUT", "-i", "cable", "-j", "DROP"));
}

//  --------------------------------------------------------------------------
//  A story: who is where, and what was measured

typedef struct {
    hosts_t *hosts;
    broker_t broker;
    process_t *program;
    sink_t near;   //  of the broker's health, at its side
    sink_t judge;  //  of what the program measured
    pthread_t thread;
    _Atomic int stop;
    double lines;
    size_t told;  //  stats, so far
} story_t;

static void *
story_measure (void *argument)
{
    story_t *self = argument;
    static const char lines[] = "count\tinfo\tcut.count\t3\n"
                                "time\tdebug\tcut.time\t0.5\n"
                                "gauge\tinfo\tcut.gauge\t7\n";
    while (!self->stop) {
        if (write (self->program->input, lines, sizeof lines - 1)
            != sizeof lines - 1)
            return NULL;
        self->lines++;
        poll_pause ();
    }
    return self;
}

static sink_t
story_sink (story_t *self, int host, const char *levels)
{
    process_t *worker = process_start (
      host_command (self->hosts, host,
                    LIST (harness_path ("ZB_BIN"), "stdout", "--host",
                          host_name (0), "--port",
                          text_new ("%d", self->broker.port + 1), "--flush",
                          "1", "--format", "json", "--levels", levels)),
      NULL);
    process_await (worker, "event=ready");
    return (sink_t){worker, NULL};
}

//  Broker on A. One of program and worker is on B.
static void
story_begin (story_t *self, int program, int worker)
{
    self->hosts = hosts_new ();
    self->broker.process =
      process_start (host_command (self->hosts, 0,
                                   LIST (harness_path ("ZB_BIN"), "broker",
                                         "--host", host_name (0))),
                     NULL);
    process_await (self->broker.process, "event=ready");
    self->broker.port = 5550;
    self->near = story_sink (self, 0, "zibrato");
    //  not the broker's level, of which readings are lost too
    self->judge = story_sink (self, worker, "info,debug");
    self->program = process_start (
      host_command (self->hosts, program, LIST (program_path ("measure"))),
      LIST (text_new ("ZIBRATO_HOST=%s", host_name (0)), "ZIBRATO_PORT=5550"));
    assert_int_equal (pthread_create (&self->thread, NULL, story_measure, self),
                      0);
    sink_await (&self->judge, NULL, "cut.gauge", 1, 0);
}

//  Waits until the broker says that it has so many connections at one end: as
//  many as its last reading.
static void
story_await_peers (story_t *self, const char *end, double count)
{
    const char *name = text_new ("zibrato.broker.%s", end);
    int64_t until = now_ms () + NOTICE_MS;
    double last = -1;
    while (now_ms () < until) {
        cJSON *rows = sink_rows_so_far (&self->near);
        const cJSON *row;
        cJSON_ArrayForEach (row, rows) if (row_is (row, "name", name)) last =
          row_number (row, "value");
        cJSON_Delete (rows);
        if (last >= count && last <= count)
            return;
        poll_pause ();
    }
    fail_msg ("%s is %g, expected %g", name, last, count);
}

//  Waits until the program says whether somebody listens.
static void
story_await_listening (story_t *self, int listening)
{
    int64_t until = now_ms () + NOTICE_MS;
    const char *wanted = text_new ("\"listening\":%d", listening), *stats = "";
    while (!strstr (stats, wanted)) {
        if (now_ms () > until)
            fail_msg ("the program says: %s", stats);
        process_send (self->program, "stats\n");
        stats = process_await_nth (self->program, "\"measured\"", ++self->told);
        poll_pause ();
    }
}

//  All that was measured has come, or is reported as lost.
static void
story_end (story_t *self)
{
    void *wrote;
    self->stop = 1;
    pthread_join (self->thread, &wrote);
    assert_non_null (wrote);
    process_send (self->program, "flush\t20000\nstats\n");
    process_await (self->program, "flush 0");
    double dropped = stats_dropped (
      process_await_nth (self->program, "\"measured\"", ++self->told));
    close (self->program->input);
    self->program->input = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal (process_wait (self->program), 0);
    sink_await (&self->judge, NULL, "cut.count", 0, 3 * self->lines);
    sink_await (&self->judge, NULL, "cut.time", self->lines, 0);
    sink_stop (&self->judge);
    sink_check_sum (&self->judge, NULL, "cut.count", 3 * self->lines);
    sink_check_sum (&self->judge, NULL, "cut.time", 0.5 * self->lines);
    sink_check_count (&self->judge, NULL, "cut.time", self->lines);
    double stored = sink_total (&self->judge, NULL, "cut.gauge").count;
    double lost = sink_total (&self->judge, NULL, "zibrato.lost").sum;
    print_message ("    %g readings: %g stored, %g lost, %g dropped\n",
                   self->lines, stored, lost, dropped);
    if (stored + lost + dropped != self->lines)
        fail_msg ("%g readings are not accounted for",
                  self->lines - stored - lost - dropped);
}

//  Each notices what concerns it while the cable is out, which is so at least
//  for 30 seconds.
static void
s_pause_until (int64_t until_ms)
{
    while (now_ms () < until_ms)
        poll_pause ();
}

//  The two stories share their thirty seconds.
static void
a_cut_cable_changes_no_total (void)
{
    story_t lonely_worker = {0}, lonely_program = {0};
    story_begin (&lonely_worker, 0, 1);
    story_begin (&lonely_program, 1, 0);
    story_await_peers (&lonely_worker, "workers", 2);
    story_await_peers (&lonely_program, "publishers", 1);
    hosts_cut (lonely_worker.hosts, "-A");
    hosts_cut (lonely_program.hosts, "-A");
    int64_t until = now_ms () + CUT_MS;

    process_await (lonely_worker.judge.worker, "event=disconnected");
    story_await_peers (&lonely_worker, "workers", 1);
    story_await_listening (&lonely_program, 0);
    story_await_peers (&lonely_program, "publishers", 0);
    print_message ("    all have noticed, %" PRId64 " ms early\n",
                   until - now_ms ());
    s_pause_until (until);

    hosts_cut (lonely_worker.hosts, "-D");
    hosts_cut (lonely_program.hosts, "-D");
    process_await (lonely_worker.judge.worker, "event=connected");
    story_await_listening (&lonely_worker, 1);
    story_await_listening (&lonely_program, 1);
    story_await_peers (&lonely_worker, "workers", 2);
    story_await_peers (&lonely_program, "publishers", 1);
    story_end (&lonely_worker);
    story_end (&lonely_program);
}

static const struct CMUnitTest tests[] = {
  TEST (a_cut_cable_changes_no_total),
};

HARNESS_MAIN (tests)
