/*  test_hosts.c - three hosts, each with its broker and its workers, deliver to one
    server of each kind

    The hosts are network namespaces: each has a loopback of its own, and one cable, to
    the host of the servers. The programs measure under the same names and sources. Only
    what each worker is called (--worker) tells their rows apart: without it one would
    take the place of the other.

    Needs root and ip (iproute2); without them it fails.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the servers take their time beside it

#include "prometheus.h"

#include <sched.h>

enum { HOSTS = 3, STORES = 3 };

//  --------------------------------------------------------------------------
//  net: a network namespace, which the test itself is in, or has been in. What is
//  started while the test is in it is there, too. It goes with the last one that is in
//  it, however that ends.

static const char s_center[] = "10.0.0.1";  //  where the servers are

static const char *
net_address (int number)
{
    return text_new ("10.0.0.%d", 2 + number);
}

static void
net_run (const char *const *command)
{
    process_t *run = process_start (command, NULL);
    if (process_wait (run) != 0)
        fail_msg ("%s %s: %s(root and iproute2 are needed)", command[0],
                  command[1], process_err (run));
}

//  Goes into a new one. Returns the descriptor by which the test gets there again,
//  until it ends.
static int
net_new (void)
{
    int fd;
    if (unshare (CLONE_NEWNET) == -1)
        fail_msg ("no network namespace can be made: %s (needs root)",
                  strerror (errno));
    net_run (LIST ("ip", "link", "set", "lo", "up"));
    fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true (fd >= 0);
    return fd;
}

static void
net_enter (int net)
{
    assert_int_equal (setns (net, CLONE_NEWNET), 0);
}

//  Gives one end of a cable its address, and says who is at the other.
static void
net_plug (const char *cable, const char *address, const char *peer)
{
    net_run (
      LIST ("ip", "address", "add", address, "peer", peer, "dev", cable));
    net_run (LIST ("ip", "link", "set", cable, "up"));
}

//  Lays a cable from the host of the servers, where the test is, to another one.
static void
net_join (int center, int net, int number)
{
    const char *cable = text_new ("cable%d", number);
    net_run (LIST ("ip", "link", "add", cable, "type", "veth", "peer", "name",
                   "cable", "netns",
                   text_new ("/proc/%d/fd/%d", (int) getpid (), net)));
    net_plug (cable, s_center, net_address (number));
    net_enter (net);
    net_plug ("cable", net_address (number), s_center);
    net_enter (center);
}

//  --------------------------------------------------------------------------
//  host: its broker, its program, and a worker for each server

typedef struct {
    int net;
    broker_t *broker;
    store_t store[STORES];
    const char *const *options[STORES];  //  of the workers
    process_t *indexer;
} host_t;

static void
host_work (host_t *self, int store)
{
    store_work (&self->store[store], self->broker, self->options[store]);
}

static void
host_start (host_t *self, const store_t *stores, int number, const char *tree)
{
    const char *name = text_new ("host%d", number);
    net_enter (self->net);
    self->broker = broker_start ();
    for (int i = 0; i < STORES; i++) {
        self->store[i] = stores[i];
        self->options[i] = s_list_keep (
          LIST ("--worker", name, "--spool",
                temporary_path (text_new ("spool-%d-%d", number, i))));
        host_work (self, i);
    }
    self->indexer = indexer_start_lasting (self->broker, tree);
}

static void
host_kill_workers (host_t *self)
{
    net_enter (self->net);
    for (int i = 0; i < STORES; i++) {
        process_stop (self->store[i].worker, SIGKILL);
        host_work (self, i);
    }
}

//  --------------------------------------------------------------------------
//  Totals over all hosts

//  The series that is the same, or NULL: a program has only those that it has met.
static cJSON *
s_find (cJSON *list, const cJSON *series)
{
    static const char *const keys[] = {"type", "name", "source"};
    cJSON *at;
    cJSON_ArrayForEach (at, list)
    {
        bool same = true;
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            same &= row_is (at, keys[i],
                            cJSON_GetObjectItem (series, keys[i])->valuestring);
        if (same)
            return at;
    }
    return NULL;
}

//  Adds what another program has counted.
static void
s_merge (cJSON *into, const cJSON *from)
{
    static const char *const keys[] = {"count", "total", "sum", "sum_ns"};
    const cJSON *series;
    cJSON_ArrayForEach (series, from)
    {
        cJSON *same = s_find (into, series);
        if (!same)
            cJSON_AddItemToArray (into, cJSON_Duplicate (series, 1));
        for (size_t i = 0; same && i < sizeof keys / sizeof *keys; i++) {
            cJSON *number = cJSON_GetObjectItem (same, keys[i]);
            if (number)
                cJSON_SetNumberHelper (
                  number, number->valuedouble + row_number (series, keys[i]));
        }
    }
}

//  What the programs of all hosts have counted, at their end. Caller deletes the return
//  value.
static cJSON *
s_all_totals (host_t *hosts)
{
    cJSON *all = indexer_totals (hosts[0].indexer);
    for (int i = 1; i < HOSTS; i++) {
        cJSON *one = indexer_totals (hosts[i].indexer);
        s_merge (all, one);
        cJSON_Delete (one);
    }
    return all;
}

//  The last readings of gauges are each host's own.
static void
s_check_store (host_t *hosts, int store, const cJSON *all)
{
    int64_t until = now_ms () + WAIT_MS;
    while (!store_has (&hosts->store[store], all, false) && now_ms () < until)
        poll_pause ();
    for (int i = 0; i < HOSTS; i++)
        store_end (&hosts[i].store[store]);
    store_has (&hosts->store[store], all, true);
}

static store_t
s_remote_write (server_t *server)
{
    return (store_t){
      .server = server,
      .mode = "remote-write",
      .rows = prometheus_rows,
      .options = s_list_keep (
        LIST ("--flush", "1", "--url", server_url (server, "/api/v1/write")))};
}

static store_t
s_influx (server_t *server)
{
    influxdb_create (server, "hosts");
    return (store_t){
      .server = server,
      .mode = "influx",
      .rows = influxdb_rows,
      .database = "hosts",
      .options = s_list_keep (LIST ("--flush", "1", "--url",
                                    server_url (server, "/write?db=hosts")))};
}

static void
three_hosts_into_one_of_each (void)
{
    host_t hosts[HOSTS];
    const char *tree = tree_new ();
    int center;
    for (int i = 0; i < HOSTS; i++)
        hosts[i].net = net_new ();
    center = net_new ();
    for (int i = 0; i < HOSTS; i++)
        net_join (center, hosts[i].net, i);
    const store_t stores[STORES] = {
      s_remote_write (server_start_at (&server_prometheus, s_center)),
      s_remote_write (server_start_at (&server_victoriametrics, s_center)),
      s_influx (server_start_at (&server_influxdb, s_center))};
    for (int i = 0; i < HOSTS; i++)
        host_start (&hosts[i], stores, i, tree);
    for (int i = 0; i < HOSTS; i++)
        host_kill_workers (&hosts[i]);
    tree_empty (tree);
    net_enter (center);
    cJSON *all = s_all_totals (hosts);
    for (int i = 0; i < STORES; i++)
        s_check_store (hosts, i, all);
    cJSON_Delete (all);
}

static const struct CMUnitTest tests[] = {
  TEST (three_hosts_into_one_of_each),
};

HARNESS_MAIN (tests)
