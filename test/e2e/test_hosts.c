/*  test_hosts.c - three hosts, each with its broker and its worker, deliver to one
    server

    The programs measure under the same names and sources. Only what each worker is
    called (--worker) tells their rows apart: without it one would take the place of
    the other.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the servers take their time beside it

#include "prometheus.h"

enum { HOSTS = 3 };

typedef struct {
    broker_t *broker;
    store_t store;
    const char *const *options;  //  of the worker
    process_t *indexer;
} host_t;

static void
host_start (host_t *self, const store_t *store, int number, const char *tree)
{
    const char *name = text_new ("host%d", number);
    self->broker = broker_start ();
    self->store = *store;
    self->options =
      s_list_keep (LIST ("--worker", name, "--spool", temporary_path (name)));
    store_work (&self->store, self->broker, self->options);
    self->indexer = indexer_start_lasting (self->broker, tree);
}

static void
host_kill_worker (host_t *self)
{
    process_stop (self->store.worker, SIGKILL);
    store_work (&self->store, self->broker, self->options);
}

//  Adds what another program has counted of the same series.
static void
s_merge (cJSON *into, const cJSON *from)
{
    static const char *const keys[] = {"count", "total", "sum", "sum_ns"};
    cJSON *a = into->child;
    const cJSON *b = from->child;
    for (; a && b; a = a->next, b = b->next) {
        assert_string_equal (cJSON_GetObjectItem (a, "name")->valuestring,
                             cJSON_GetObjectItem (b, "name")->valuestring);
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            cJSON *number = cJSON_GetObjectItem (a, keys[i]);
            if (number)
                cJSON_SetNumberHelper (number, number->valuedouble
                                                 + row_number (b, keys[i]));
        }
    }
    assert_true (!a && !b);
}

//  The last readings of gauges are each host's own.
static void
s_check_hosts (const store_t *store)
{
    host_t host[HOSTS];
    const char *tree = tree_new ();
    int64_t until;
    cJSON *all = NULL;
    for (int i = 0; i < HOSTS; i++)
        host_start (&host[i], store, i, tree);
    for (int i = 0; i < HOSTS; i++)
        host_kill_worker (&host[i]);
    tree_empty (tree);
    for (int i = 0; i < HOSTS; i++) {
        cJSON *one = indexer_totals (host[i].indexer);
        if (all) {
            s_merge (all, one);
            cJSON_Delete (one);
        }
        else
            all = one;
    }
    until = now_ms () + WAIT_MS;
    while (!store_has (store, all, false) && now_ms () < until)
        poll_pause ();
    for (int i = 0; i < HOSTS; i++)
        store_end (&host[i].store);
    store_has (store, all, true);
    cJSON_Delete (all);
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

static void
three_hosts_into_one_prometheus (void)
{
    store_t store = s_remote_write (server_start (&server_prometheus));
    s_check_hosts (&store);
}

static void
three_hosts_into_one_victoriametrics (void)
{
    store_t store = s_remote_write (server_start (&server_victoriametrics));
    s_check_hosts (&store);
}

static void
three_hosts_into_one_influxdb (void)
{
    server_t *server = server_start (&server_influxdb);
    influxdb_create (server, "hosts");
    store_t store = {
      .server = server,
      .mode = "influx",
      .rows = influxdb_rows,
      .database = "hosts",
      .options = s_list_keep (LIST ("--flush", "1", "--url",
                                    server_url (server, "/write?db=hosts")))};
    s_check_hosts (&store);
}

static const struct CMUnitTest tests[] = {
  TEST (three_hosts_into_one_prometheus),
  TEST (three_hosts_into_one_victoriametrics),
  TEST (three_hosts_into_one_influxdb),
};

HARNESS_MAIN (tests)
