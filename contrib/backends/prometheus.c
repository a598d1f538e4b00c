/*  zibrato prometheus - lets Prometheus, or what speaks its protocol, scrape

    What it shows are totals since a start, so that a scrape that is lost, or a second
    server that scrapes, too, changes nothing. With --spool they go on through a
    restart.

    Sections: options, what is asked, rows. What is shown is in latest.c, in which form
    in exposition.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "exposition.h"
#include "fitted.h"
#include "httpd.h"
#include "listen.h"
#include "utf8.h"

#include <czmq.h>
#include <stdatomic.h>

//  --------------------------------------------------------------------------
//  Options

enum {
    FLUSH = 10,  //  seconds, the default: what a scrape shows is no older
    READY_MS = 120 * 1000,  //  without a flush there is nothing measured
    PATH_MAX_ = 64
};

static struct {
    const char *listen;
    int ranges;
    char worker[ZB_NAME_MAX + 1];
    latest_t *latest;
    httpd_t *server;
    int64_t began_ns, began_ms;
    _Atomic bool flushed;
} s_prometheus = {.listen = "127.0.0.1:9464"};

static const zb_option_t s_options[] = {
  {.name = "listen",
   .argument = "HOST:PORT",
   .text = &s_prometheus.listen,
   .help = "where /metrics is served"},
  {.name = "gauge-range",
   .flag = &s_prometheus.ranges,
   .help = "of gauges show _min, _max, _count and _sum, too"},
  {.name = NULL}};

static const char *
prometheus_check (void)
{
    static char wrong[128];
    const char *why = listen_check (s_prometheus.listen);
    if (!httpd_is_there ())
        return "prometheus: built without libmicrohttpd";
    if (!why)
        return NULL;
    snprintf (wrong, sizeof wrong, "--listen: %s", why);
    return wrong;
}

//  --------------------------------------------------------------------------
//  What is asked

//  Handler for httpd: copies from the piece, and makes the next one when that is all.
typedef struct {
    exposition_t *exposition;
    const char *piece;
    size_t size;
} scrape_t;

static ssize_t
s_read (void *state, char *data, size_t most)
{
    scrape_t *self = (scrape_t *) state;
    size_t size;
    if (!self->size)
        self->size = exposition_next (self->exposition, &self->piece);
    size = self->size < most ? self->size : most;
    memcpy (data, self->piece, size);
    self->piece += size;
    self->size -= size;
    return (ssize_t) size;
}

static void
s_end (void *state)
{
    scrape_t *self = (scrape_t *) state;
    exposition_destroy (&self->exposition);
    free (self);
}

//  Before the first flush totals of the time before are not known again, and a scrape
//  that lacks a series ends it.
static bool
prometheus_is_ready (void)
{
    return atomic_load (&s_prometheus.flushed)
           || zclock_mono () - s_prometheus.began_ms > READY_MS;
}

static void
prometheus_serve (const httpd_request_t *request, httpd_answer_t *answer)
{
    const char *accept = httpd_header (request, "Accept");
    exposition_form_t form = exposition_negotiate (accept);
    scrape_t *scrape = (scrape_t *) zmalloc (sizeof *scrape);
    assert (scrape);
    scrape->exposition =
      exposition_new (s_prometheus.latest, form, s_prometheus.ranges);
    answer->type = exposition_type (form);
    answer->read = s_read;
    answer->end = s_end;
    answer->state = scrape;
}

//  Handler for httpd_start.
static void
prometheus_answer (void *argument, httpd_request_t *request,
                   httpd_answer_t *answer)
{
    (void) argument;
    if (!streq (request->method, "GET") && !streq (request->method, "HEAD")) {
        answer->status = 405;
        answer->header[0][0] = "Allow";
        answer->header[0][1] = "GET, HEAD";
        answer->text = "GET or HEAD\n";
    }
    else if (streq (request->path, "/"))
        answer->text = "zibrato prometheus: see /metrics\n";
    else if (!streq (request->path, "/metrics")) {
        answer->status = 404;
        answer->text = "see /metrics\n";
    }
    else if (!prometheus_is_ready ()) {
        answer->status = 503;
        answer->text = "wait for the first flush\n";
    }
    else
        prometheus_serve (request, answer);
}

static const char *
prometheus_open (void)
{
    static char wrong[128];
    s_prometheus.began_ns = zclock_time () * INT64_C (1000000);
    s_prometheus.began_ms = zclock_mono ();
    s_prometheus.latest =
      latest_new (s_prometheus.worker, s_prometheus.began_ms);
    s_prometheus.server = httpd_start (&(httpd_options_t){
      .listen = s_prometheus.listen, .handler = prometheus_answer});
    if (!s_prometheus.server) {
        snprintf (wrong, sizeof wrong, "--listen %.64s: %s",
                  s_prometheus.listen, strerror (errno));
        return wrong;
    }
    zb_log (LOG_INFO, "listening", "url=http://%s/metrics",
            httpd_address (s_prometheus.server));
    return NULL;
}

//  --------------------------------------------------------------------------
//  Rows

static zb_outcome_t
prometheus_connect (zb_reply_t *reply)
{
    (void) reply;
    snprintf (s_prometheus.worker, sizeof s_prometheus.worker, "%s",
              zb_worker ());
    utf8_mend (s_prometheus.worker);
    return ZB_DELIVERED;
}

//  What waited in the spool is of a time before we began.
static zb_outcome_t
prometheus_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    bool flushed = false;
    (void) reply;
    latest_put (s_prometheus.latest, rows, count, zclock_mono ());
    for (size_t i = 0; i < count && !flushed; i++)
        flushed = rows[i].time_ns >= s_prometheus.began_ns;
    if (flushed)
        atomic_store (&s_prometheus.flushed, true);
    return ZB_DELIVERED;
}

static void
prometheus_close (void)
{
    httpd_stop (&s_prometheus.server);
    latest_destroy (&s_prometheus.latest);
    fitted_forget ();
}

//  A flush at once, so that the first one is whole.
const zb_backend_t zb_prometheus_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "prometheus",
  .summary = "Lets Prometheus, or what speaks its protocol, scrape /metrics",
  .options = s_options,
  .wants = ZB_WANTS_TOTALS,
  .batch = 0,
  .flush = FLUSH,
  .check = prometheus_check,
  .open = prometheus_open,
  .connect = prometheus_connect,
  .deliver = prometheus_deliver,
  .close = prometheus_close,
  .adds = 1,
  .fit = prom_fit};
