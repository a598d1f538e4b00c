/*  zibrato - carries what zibrato.h measures to where it is looked at

        programs ──▶ broker ──▶ worker ──▶ HTTP, a terminal, ...

    One executable, a mode each: `zibrato broker` forwards, `zibrato librato`
    and `zibrato stdout` are workers, `zibrato worker --plugin` is a worker
    with somebody else's backend. In a worker:

        XSUB ─▶ parse ─▶ ledger ─▶ window ─▶ rows ─▶ requests ─▶ queue ─▶ sender
        └──────── ingest thread ────────┘ └─ flush's thread ─┘        its thread

    With --spool what is received, the ledger and the queue are in files, too.

    Here are the loops of both, from bottom to top, then the table of modes and
    main. What they stand on is a class a file in contrib, whose README.md is the
    map.

    To see what happens to a measurement, start at worker_receive_some, then
    ingest_lines. To add a backend, write one file like contrib/backends/stdout.c,
    a line in backends.h there, and a row in s_backends.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato.h"

#include "contrib/core/address.h"
#include "contrib/core/clock.h"
#include "contrib/core/curve.h"
#include "contrib/core/fault.h"
#include "contrib/core/intake.h"
#include "contrib/core/log.h"
#include "contrib/core/options.h"
#include "contrib/core/process.h"
#include "contrib/core/sockets.h"

#include "contrib/broker/faults.h"
#include "contrib/broker/forward.h"
#include "contrib/broker/peers.h"
#include "contrib/broker/ports.h"

#include "contrib/pipeline/flush.h"
#include "contrib/pipeline/health.h"
#include "contrib/pipeline/ingest.h"
#include "contrib/pipeline/ledger.h"
#include "contrib/pipeline/levels.h"
#include "contrib/pipeline/names.h"
#include "contrib/pipeline/queue.h"
#include "contrib/pipeline/sender.h"
#include "contrib/pipeline/subscriber.h"
#include "contrib/pipeline/window.h"

#include "contrib/backends/backends.h"
#include "contrib/modes/modes.h"

#include <czmq.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    NEEDED_THREADS = 6,  //  two of ZeroMQ's, and our own
    NEEDED_DESCRIPTORS = 64,
    DRAIN_MESSAGES = 256  //  read in one go, then the timers' turn
};

//  --------------------------------------------------------------------------
//  Ingest: the worker's main thread reads, and closes a window at each flush

enum {
    SLICE_US = 5000,            //  of saving, then the socket's turn,
    SLICE_MS = 1,               //  for so long,
    FILES_MS = 5,               //  or so if what is missing is done by others
    JOURNAL_SHARE = 4,          //  of --spool-max, at most a quarter;
    LEDGER_SHARE = 4,           //  beside it, but for what is active
    ENTRIES_MAX = 1000 * 1000,  //  of a window, beside one a name
    CATCH_UP_MS = 2000,         //  from flush to flush while seconds are ahead
    NAMES_MS = 24 * 3600 * 1000,  //  unseen in one of two such: forgotten
    CLEAN_MS = 100,               //  between two looks at what has ended,
    CLEAN_US = 2000               //  and how long each may take
};

//  The worker's options, with their defaults.
static struct {
    const char *host, *endpoint, *server, *cert, *name, *worker, *levels,
      *percentiles, *signs, *spool;
    int64_t port, flush, batch, max_series, stale, spool_max, deadline;
} s_worker = {.host = "127.0.0.1",
              .port = 5551,
              .levels = "",
              .percentiles = "",
              .flush = 60,
              .max_series = 250000,
              .stale = TOTALS_STALE,
              .spool_max = 256 * 1024 * 1024,
              .deadline = 8};

// clang-format off
static const zb_option_t s_worker_options[] = {
  {.name = "host", .argument = "HOST", .text = &s_worker.host,
   .help = "where the broker is"},
  {.name = "port", .argument = "PORT", .number = &s_worker.port, .min = 1,
   .max = 65535, .help = "where it serves workers"},
  {.name = "endpoint", .argument = "ENDPOINTS", .text = &s_worker.endpoint,
   .help = "of several brokers, separated by commas, in place of host and port"},
  {.name = "curve-server", .argument = "KEY", .text = &s_worker.server,
   .help = "the broker's public key, or the FILE that it is in"},
  {.name = "curve-cert", .argument = "FILE", .text = &s_worker.cert,
   .help = "our own certificate; goes with --curve-server"},
  {.name = "name", .argument = "NAME", .text = &s_worker.name,
   .help = "of this worker in its health: mode and levels if none is given"},
  {.name = "worker", .argument = "NAME", .text = &s_worker.worker,
   .help = "of this worker where it delivers: host and --name if none is given"},
  {.name = "levels", .argument = "LEVELS", .text = &s_worker.levels,
   .help = "those wanted, separated by commas; all if none is given"},
  {.name = "flush", .argument = "SECONDS", .number = &s_worker.flush, .min = 1,
   .max = 86400, .help = "what is measured goes on at this interval"},
  {.name = "percentiles", .argument = "LIST", .text = &s_worker.percentiles,
   .help = "50,95,99 adds NAME.p50 ... for each timer"},
  {.name = "batch", .argument = "ROWS", .number = &s_worker.batch, .min = 0,
   .max = 100000, .help = "in a request, at most; 0: a flush at once"},
  {.name = "max-series", .argument = "N", .number = &s_worker.max_series,
   .min = 1, .max = 100000000,
   .help = "with names of their own; others go into zibrato.overflow.*"},
  {.name = "signed", .argument = "NAMES", .text = &s_worker.signs,
   .help = "counters that may fall where totals are sent: balance,*.open"},
  {.name = "stale", .argument = "SECONDS", .number = &s_worker.stale, .min = 1,
   .max = 86400, .help = "without measurements, then a total ends"},
  {.name = "spool", .argument = "DIR", .text = &s_worker.spool,
   .help = "folder that keeps everything through a crash of the worker"},
  {.name = "spool-max", .argument = "BYTES", .number = &s_worker.spool_max,
   .min = 65536, .max = INT64_C (1) << 40,
   .help = "that may wait, or fill the folder of --spool; the oldest go first"},
  {.name = "deadline", .argument = "SECONDS", .number = &s_worker.deadline,
   .min = 0, .max = 3600, .help = "to deliver what is left when stopped"},
  {.name = NULL}};
// clang-format on

typedef struct {
    const zb_backend_t *backend;
    subscriber_t subscriber;
    intake_t intake;
    zloop_t *loop;
    ingest_t ingest;
    queue_t *queue;
    flush_t *flush;      //  the last one, while it is under way
    bool saving;         //  the ledger has not said all for it
    bool slicing;        //  worker_slice is armed
    int64_t due;         //  0: no flush, when the last one is done
    bool full;           //  it has to take all with it
    int64_t boundary;    //  at which the next one will be
    int64_t second;      //  of the last one's counters,
    int64_t flushed_ms;  //  and when it was, of zclock_mono
    spool_t *spool;      //  or NULL
    uint64_t loaded_rows, bad_states;  //  from the spool
    health_t health;
    int64_t names_ms;  //  when names are to be forgotten next
    int unread;        //  nobody reads standard output any more
} worker_t;

//  Reads the lines of a message.
static void
worker_take (worker_t *self, zmq_msg_t *message)
{
    const char *text = (const char *) zmq_msg_data (message);
    size_t size = zmq_msg_size (message);
    if (!subscriber_take (&self->subscriber, message))
        return;
    if (zmq_msg_more (message)) {
        ingest_malformed (&self->ingest, "more than one frame", text, size);
        return;
    }
    if (self->spool)
        spool_journal (self->spool, text, size, self->ingest.ledger->now_ms);
    ingest_lines (&self->ingest, text, size);
}

//  Takes in messages. Returns how many there were. The ledger's clock is read when
//  they are here: by an earlier one a stream would look older than it is, and what
//  was sent to us would be another worker's.
static size_t
worker_receive_some (worker_t *self)
{
    size_t count = subscriber_receive (&self->subscriber), i;
    self->ingest.ledger->now_ms = boot_ms ();
    for (i = 0; i < count; i++)
        worker_take (self, &self->subscriber.message[i]);
    ingest_take_all (&self->ingest);
    return count;
}

//  --------------------------------------------------------------------------
//  Ingest: flush

//  Goes on with the flush for so long. Returns 0 if there is more to do, here or
//  in its own thread, 1 at the end.
static int
worker_save (worker_t *self, int64_t us)
{
    int64_t until = zclock_usecs () + us;
    while (self->saving && flush_has_room (self->flush)) {
        if (ledger_save (self->ingest.ledger, 64)) {
            self->saving = 0;
            flush_end (self->flush);
        }
        else if (zclock_usecs () >= until)
            break;
    }
    return !self->saving && flush_idle (self->flush);
}

//  With a spool the ledger is saved as it is now, and lines have a new journal.
static void
worker_flush_begin (worker_t *self, bool whole, int64_t second, bool all)
{
    if (self->spool) {
        whole = spool_flush_begin (self->spool, whole);
        ledger_save_begin (self->ingest.ledger, whole, flush_state_add,
                           self->flush);
        self->saving = 1;
    }
    flush_begin (self->flush, &self->ingest.window, second, all);
    window_begin (&self->ingest.window);
    if (!self->spool)
        flush_end (self->flush);
}

//  Closes the window, and hands it over, its second the one that is due, or the
//  next free one; with all of it nothing stays open. Nothing measured, nothing
//  sent, but totals; and a journal of repetitions must end, too. None may be
//  under way.
static void
worker_flush (worker_t *self, int64_t due, bool all)
{
    seconds_t *seconds = &self->flush->seconds;
    const totals_t *totals = self->flush->totals;
    int64_t second = seconds_next (seconds, due);
    ingest_log_malformed (&self->ingest);
    names_report (&self->ingest.names, self->ingest.ledger);
    health_log_missed (&self->health);
    if (self->ingest.window.entries.count || seconds->opens
        || health_has_lost (&self->health))
        health_measure (&self->health,
                        seconds_of_health (seconds, second, all));
    else if (!(totals && totals_due (totals, zclock_mono ()))
             && !(self->spool && spool_journal_size (self->spool)))
        return;
    if (zclock_mono () >= self->names_ms) {
        names_turn (&self->ingest.names);
        self->names_ms = zclock_mono () + NAMES_MS;
    }
    self->second = second;
    self->flushed_ms = zclock_mono ();
    worker_flush_begin (self, self->ingest.ledger->renew, second, all);
}

//  Handlers for spool_load.
static void
worker_load_state (void *argument, const char *line, size_t size)
{
    worker_t *self = (worker_t *) argument;
    int rc = seconds_restore (&self->flush->seconds, line, size);
    if (rc == 1)
        rc = totals_restore (self->flush->totals, line, size);
    if (rc == 1)
        rc = ledger_restore (self->ingest.ledger, line, size);
    self->bad_states += rc == -1;
}

static void
worker_load_request (void *argument, const char *name, size_t rows, size_t size)
{
    worker_t *self = (worker_t *) argument;
    request_t *request = request_new ();
    snprintf (request->name, sizeof request->name, "%s", name);
    request->filed = true;
    request->blame.unsure = true;  //  the last worker may have sent it
    request->rows = rows;
    request->size = size;
    self->loaded_rows += rows;
    queue_put (self->queue, &request);
}

static void
worker_load_messages (void *argument, const char *text, size_t size,
                      int64_t came_ms)
{
    worker_t *self = (worker_t *) argument;
    int64_t now_ms = boot_ms ();
    came_ms += came_ms >= 0 ? self->ingest.ledger->shift_ms : 0;
    self->ingest.ledger->now_ms =
      came_ms >= 0 && came_ms < now_ms ? came_ms : now_ms;
    ingest_message (&self->ingest, text, size);
}

static const spool_reader_t s_worker_reader = {
  worker_load_state, worker_load_request, worker_load_messages};

//  Handler for zloop_timer while a flush is under way, or due: goes on with it
//  in slices, so that ingest never stands still for long, however many series
//  there are.
static int
worker_slice (zloop_t *loop, int timer, void *argument)
{
    worker_t *self = (worker_t *) argument;
    int done = worker_save (self, SLICE_US);
    (void) timer;
    if (done && self->due) {
        worker_flush (self, self->due, self->full);
        self->due = 0;
        self->full = false;
        done = worker_save (self, SLICE_US);
    }
    self->slicing = !done || self->due;
    if (self->slicing)
        zloop_timer (loop, self->saving ? SLICE_MS : FILES_MS, 1, worker_slice,
                     self);
    return 0;
}

//  A flush, as soon as none is under way.
static void
worker_flush_soon (worker_t *self, zloop_t *loop, int64_t due)
{
    self->due = due;
    if (!self->slicing)
        worker_slice (loop, 0, self);
}

//  Handler for zloop_timer at each boundary, and arms the next, however the wall
//  clock was set or slewed meanwhile. A boundary whose second is taken, since a
//  flush was early or the clock was set back, is left out if there was a flush
//  just now: else seconds would run ahead of the clock for ever.
static int
worker_tick (zloop_t *loop, int timer, void *argument)
{
    worker_t *self = (worker_t *) argument;
    int64_t boundary = self->boundary, now_us = wall_us ();
    int64_t slot_ms = self->flush->seconds.slot * 1000;
    (void) timer;
    flush_look (self->flush);
    if (boundary > self->second
        || zclock_mono () - self->flushed_ms
             >= (slot_ms > CATCH_UP_MS ? slot_ms : CATCH_UP_MS))
        worker_flush_soon (self, loop, boundary);
    self->boundary = boundary_next (boundary, now_us, s_worker.flush);
    zloop_timer (loop, boundary_ms (self->boundary, now_us), 1, worker_tick,
                 argument);
    return 0;
}

//  Handler for zloop_timer: what has ended goes bit by bit.
static int
worker_clean (zloop_t *loop, int timer, void *argument)
{
    worker_t *self = (worker_t *) argument;
    int64_t until = zclock_usecs () + CLEAN_US;
    (void) loop;
    (void) timer;
    self->ingest.ledger->crowded =
      self->spool
      && spool_ledger_bytes (self->spool) > s_worker.spool_max / LEDGER_SHARE;
    ledger_tick (self->ingest.ledger, boot_ms ());
    while (!ledger_clean (self->ingest.ledger, 64) && zclock_usecs () < until) {
    }
    return 0;
}

//  Arms the first boundary.
static void
worker_tick_begin (worker_t *self)
{
    int64_t now_us = wall_us ();
    self->boundary = boundary_next (0, now_us, s_worker.flush);
    zloop_timer (self->loop, boundary_ms (self->boundary, now_us), 1,
                 worker_tick, self);
}

//  A journal must not fill the folder, nor a window the memory: what is received
//  is flushed before, and nothing stays open. That takes a second, too, so there
//  is one flush for each; but not if the journal has twice its share by then.
static void
worker_flush_early (worker_t *self, zloop_t *loop)
{
    size_t journal = self->spool ? spool_journal_size (self->spool) : 0;
    size_t share = (size_t) s_worker.spool_max / JOURNAL_SHARE;
    int64_t now;
    if (journal <= share
        && self->ingest.window.entries.count
             < ENTRIES_MAX + 2 * self->ingest.names.most)
        return;
    now = wall_us () / 1000000;
    if (now <= self->second && journal <= 2 * share)
        return;
    self->full = true;
    worker_flush_soon (self, loop, now);
}

//  Handler for intake. Reads a bounded number of messages, so that signals
//  and timers get their turn while publishers never pause.
static size_t
worker_readable (void *argument)
{
    worker_t *self = (worker_t *) argument;
    size_t count = 0, some = MESSAGES_MAX;
    for (; count < DRAIN_MESSAGES && some == MESSAGES_MAX; count += some)
        some = worker_receive_some (self);
    if (count)
        self->subscriber.leaving.came_ms = zclock_mono ();
    if (self->spool)
        spool_journal_write (self->spool);
    FAULT (counted);
    worker_flush_early (self, self->loop);
    return count;
}

//  --------------------------------------------------------------------------
//  Ingest: start and stop

//  Connects to the brokers, or ends the program.
static void
worker_connect (subscriber_t *subscriber)
{
    char endpoint[ADDRESS_MAX];
    address_endpoint (endpoint, sizeof endpoint, s_worker.host,
                      (int) s_worker.port);
    subscriber_connect (subscriber,
                        s_worker.endpoint ? s_worker.endpoint : endpoint,
                        s_worker.server, s_worker.cert);
}

//  Ends the flush that is under way.
static void
worker_finish (worker_t *self)
{
    while (!worker_save (self, INT64_MAX / 2))
        if (self->saving)
            zclock_sleep (SLICE_MS);
        else
            flush_wait (self->flush);
}

//  The second of the last flush. The next worker with these names, which knows
//  of no seconds that were given out without a spool, leaves its first one out.
//  So this one must not be later than that: one that lived only for a moment has
//  to wait.
static int64_t
worker_last_second (const worker_t *self)
{
    int64_t now = wall_us () / 1000000;
    int64_t ahead = seconds_next (&self->flush->seconds, now) - 1 - now;
    bool any = self->ingest.window.entries.count || self->flush->seconds.opens;
    if (any && !self->spool && !self->backend->adds && ahead > 0
        && self->flush->seconds.slot == 1)
        zclock_sleep (ahead < CATCH_UP_MS / 1000 ? (int) ahead * 1000
                                                 : CATCH_UP_MS);
    return wall_us () / 1000000;
}

//  Handler for zloop_poller: a signal begins the stop, and a second one ends it.
static int
worker_stop (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    worker_t *self = (worker_t *) argument;
    if (process_stopped (loop, item, NULL) == 0)
        return 0;
    if (subscriber_leaves (&self->subscriber))
        return -1;
    deadline_ms = zclock_mono () + s_worker.deadline * 1000;
    subscriber_leave_begin (&self->subscriber, loop, s_worker.deadline * 1000);
    return 0;
}

//  Handler for zloop_poller: SIGHUP, reads secrets and lists again.
static int
worker_reload (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    const worker_t *self = (const worker_t *) argument;
    const char *wrong = NULL;
    (void) loop;
    if (!process_signal (item->fd))
        return 0;
    if (self->backend->reload)
        wrong = self->backend->reload ();
    if (wrong)
        zb_log (LOG_ERR, "reload", "reason=\"%s\"", wrong);
    else
        zb_log (LOG_INFO, "reloaded", "mode=%s", self->backend->name);
    queue_hurry (self->queue);
    return 0;
}

//  Handler for zloop_poller: whoever has read standard output is gone.
static int
worker_unread (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) loop, (void) item;
    ((worker_t *) argument)->unread = 1;
    zb_log (LOG_INFO, "stopping", "reason=\"nobody reads standard output\"");
    return -1;
}

//  Runs until a signal, or until nobody reads what it prints.
static void
worker_loop (worker_t *self, int stop_fd, int hangup_fd)
{
    zmq_pollitem_t stop = {NULL, stop_fd, ZMQ_POLLIN, 0};
    zmq_pollitem_t hangup = {NULL, hangup_fd, ZMQ_POLLIN, 0};
    zmq_pollitem_t output = {NULL, STDOUT_FILENO, ZMQ_POLLERR, 0};
    self->loop = zloop_new ();
    self->intake = (intake_t){.socket = self->subscriber.socket,
                              .read = worker_readable,
                              .argument = self,
                              .most = DRAIN_MESSAGES,
                              .room = WORKER_MARK / 4};
    intake_start (&self->intake, self->loop);
    zloop_poller (self->loop, &stop, worker_stop, self);
    zloop_poller (self->loop, &hangup, worker_reload, self);
    if (self->backend->prints || !self->backend->deliver) {
        zloop_poller (self->loop, &output, worker_unread, self);
        zloop_poller_set_tolerant (self->loop, &output);
    }
    zloop_timer (self->loop, CLEAN_MS, 0, worker_clean, self);
    worker_tick_begin (self);
    subscriber_start (&self->subscriber, self->loop);
    zloop_start (self->loop);
    subscriber_disconnect (&self->subscriber);
    worker_finish (self);
    worker_flush (self, worker_last_second (self), true);
    worker_finish (self);
    zloop_destroy (&self->loop);
}

//  From which second on rows are given out.
static void
worker_seconds_begin (worker_t *self)
{
    self->flush->began = wall_us () / 1000000;
    seconds_start (&self->flush->seconds, self->flush->began);
    self->second = self->flush->seconds.flush;
    self->flushed_ms = zclock_mono ();
}

//  Goes on where the last worker with this folder ended, however it did.
static void
worker_load (worker_t *self)
{
    char owner[FILE_OWNER_MAX];
    const char *waits;
    bool fresh;
    spool_owner (self->backend, owner);
    self->spool = self->queue->spool =
      spool_new (s_worker.spool, owner, s_worker.spool_max);
    if (!self->spool && errno == EWOULDBLOCK)
        die ("--spool %s: another worker has it", s_worker.spool);
    if (!self->spool)
        die ("--spool %s:", s_worker.spool);
    waits = spool_waits_for (self->spool);
    if (waits)
        die (
          "--spool %s: rows wait there for another backend: let `zibrato %s` "
          "deliver them, or move request-* away",
          s_worker.spool, waits);
    zb_log (LOG_INFO, "loading", "dir=%s", s_worker.spool);
    self->flush->spool = self->spool;
    fresh = spool_load (self->spool, &s_worker_reader, self);
    self->flush->seconds.known |= fresh;
    worker_seconds_begin (self);
    if (fresh) {
        worker_flush_begin (self, true, self->second, false);
        worker_save (self, INT64_MAX / 2);
    }
    zb_log (LOG_INFO, "loaded",
            "dir=%s series=%zu rows=%" PRIu64 " lines=%" PRIu64
            " bad_states=%" PRIu64,
            s_worker.spool, ledger_series_count (self->ingest.ledger),
            self->loaded_rows, self->ingest.received, self->bad_states);
}

//  Everything but its sockets.
static void
worker_init (worker_t *self, const zb_backend_t *backend)
{
    const char *wrong;
    memset (self, 0, sizeof *self);
    self->backend = backend;
    ingest_init (&self->ingest, (size_t) s_worker.max_series);
    self->ingest.by_flush = !(backend->wants & ZB_WANTS_SECONDS);
    self->ingest.all_by_flush = backend->wants & ZB_WANTS_SLOTS;
    self->ingest.ledger->several =
      s_worker.endpoint && strchr (s_worker.endpoint, ',');
    self->queue = queue_new ((size_t) s_worker.spool_max);
    self->flush = flush_new (backend, self->queue);
    if (backend->wants & ZB_WANTS_SLOTS)
        self->flush->seconds.slot = s_worker.flush;
    self->flush->batch = (size_t) s_worker.batch;
    self->flush->reader = &s_worker_reader;
    self->flush->reader_argument = self;
    self->flush->totals =
      totals_new (backend, s_worker.signs, s_worker.stale, zclock_mono ());
    self->names_ms = zclock_mono () + NAMES_MS;
    self->health = (health_t){.ingest = &self->ingest,
                              .subscriber = &self->subscriber,
                              .queue = self->queue,
                              .flush = self->flush};
    wrong = levels_source (self->ingest.source, s_worker.name, backend->name,
                           s_worker.levels);
    if (wrong)
        die ("--name %s: %s", s_worker.name, wrong);
}

//  Frees it.
static void
worker_clear (worker_t *self)
{
    flush_destroy (&self->flush);
    queue_destroy (&self->queue);
    ingest_clear (&self->ingest);
    if (self->spool)
        spool_destroy (&self->spool);
}

//  Ends the program if the options do not go together.
static void
worker_check (const zb_backend_t *backend)
{
    const char *name = s_worker.worker;
    const char *wrong = backend->check ? backend->check () : NULL;
    if (wrong)
        die ("%s", wrong);
    if (backend->flush_most && s_worker.flush > backend->flush_most)
        die ("--flush: expected at most %d for %s", (int) backend->flush_most,
             backend->name);
    wrong = levels_check (s_worker.levels);
    if (wrong)
        die ("--levels: %s", wrong);
    if (name && !line_label_ok (name, strlen (name)))
        die ("--worker %s: expected a label", name);
    if (!s_worker.server != !s_worker.cert)
        die ("--curve-server and --curve-cert: give both, or neither");
}

//  A worker from beginning to end: check, subscribe, ingest, drain, deliver.
static int
worker_run (const zb_backend_t *given)
{
    zb_backend_t own = *given;
    const zb_backend_t *backend = &own;
    worker_t self;
    sender_t sender = {.backend = backend};
    int stop = process_stop_fd (), hangup = process_hangup_fd ();
    const char *wrong;
    pthread_t thread;
    worker_check (backend);
    process_need (NEEDED_THREADS, NEEDED_DESCRIPTORS);
    if (own.wants_too)
        own.wants |= *own.wants_too;
    if (!s_worker.spool && own.spool)
        s_worker.spool = own.spool ();
    wrong = totals_check (backend, s_worker.signs, s_worker.stale);
    if (wrong)
        die ("%s", wrong);
    worker_init (&self, backend);
    wrong = flush_percentiles (self.flush, s_worker.percentiles);
    if (wrong)
        die ("--percentiles %s: %s", s_worker.percentiles, wrong);
    if (options_checked ()) {
        worker_clear (&self);
        return 0;
    }
    wrong = backend->open ? backend->open () : NULL;
    if (wrong)
        die ("%s", wrong);
    subscriber_open (&self.subscriber, backend->name, s_worker.levels);
    sender.queue = self.queue;
    snprintf (sender.id, sizeof sender.id, "%016" PRIx64, sockets_random ());
    sender.worker = s_worker.worker ? s_worker.worker : self.ingest.source;
    if (s_worker.spool)
        worker_load (&self);
    else
        worker_seconds_begin (&self);
    worker_connect (&self.subscriber);
    if (pthread_create (&thread, NULL, sender_run, &sender) != 0
        || flush_start (self.flush) == -1)
        die ("start a thread:");
    worker_loop (&self, stop, hangup);
    if (self.unread)
        deadline_ms = zclock_mono ();
    queue_close (self.queue);
    pthread_join (thread, NULL);
    queue_log_trimmed (self.queue);
    zb_log (LOG_INFO, "stopped",
            "received=%" PRIu64 " delivered=%" PRIu64 " rejected=%" PRIu64
            " overflowed=%" PRIu64,
            self.ingest.received, self.queue->delivered_rows,
            self.queue->rejected_rows, self.queue->dropped_rows);
    worker_clear (&self);
    subscriber_close (&self.subscriber);
    close (stop);
    close (hangup);
    if (self.unread)
        process_end_unread ();
    return 0;
}

//  --------------------------------------------------------------------------
//  Broker: programs connect to XSUB at the port, workers to XPUB at the next

enum {
    HEALTH_MS = 10000,           //  between reports of the broker's health
    FAULTS_MS = 1000,            //  between looks at what is wrong
    LEAVING_PROGRAMS_MS = 2000,  //  for programs to end, when we are to,
    LEAVING_LINGER_MS = 2000,    //  and for workers to get the last messages
    RETURN_MS = 3000  //  until workers of the last broker are back: they try
                      //  every two seconds (LINKS_RETRY_MS)
};

static struct {
    const char *host, *cert, *authorized;
    int64_t port;
    ports_t ports;
    int again;           //  the timer that goes on with the rest, or 0
    int64_t leaving_ms;  //  we end then, whoever is still here; 0: not yet
    peers_t peers;
    forward_t forward;
    faults_t faults;
} s_broker = {.host = "127.0.0.1", .port = 5550};

// clang-format off
static const zb_option_t s_broker_options[] = {
  {.name = "host", .argument = "HOST", .text = &s_broker.host,
   .help = "address to listen at"},
  {.name = "port", .argument = "PORT", .number = &s_broker.port, .min = 0,
   .max = 65534,
   .help = "for programs, the next one for workers; 0 picks a free pair"},
  {.name = "curve", .argument = "FILE", .text = &s_broker.cert,
   .help = "our certificate, as `zibrato keygen` makes it: encrypt, and"},
  {.name = "authorized", .argument = "DIR", .text = &s_broker.authorized,
   .help = "admit who has a certificate here; read again on SIGHUP"},
  {.name = NULL}};
// clang-format on

//  What workers want goes to the programs. Nothing else goes upstream. Returns
//  1 if there was something.
static int
broker_subscribe (void)
{
    void *from = zsock_resolve (s_broker.ports.workers);
    zmq_msg_t message;
    int count = 0;
    zmq_msg_init (&message);
    while (count < DRAIN_MESSAGES
           && zmq_msg_recv (&message, from, ZMQ_DONTWAIT) != -1) {
        //  one that is not admitted is cut, and has to be counted until it is
        //  gone
        if (s_broker.ports.curve)
            curve_admits (s_broker.ports.curve, &message, KEYS_WORKER);
        peers_said (&s_broker.peers, &message);
        count++;
    }
    zmq_msg_close (&message);
    return count > 0;
}

//  Handler for zloop_timer, and of all that touches the sockets the last step.
//
//  If zloop polled the sockets and their monitors, it would ask ZeroMQ of each
//  of them, twice whenever it wakes up, which takes longer than to forward a
//  message. So it polls their descriptors, and those tell once of all that has
//  come (zmq_getsockopt(3), ZMQ_FD); a send to a socket may take that for
//  itself. So we read until nothing comes, or see to it that we are called
//  again: subscriptions that came have been sent to the programs' socket.
//
//  While workers have no room, programs wait.
static int
broker_forward (zloop_t *loop, int timer, void *argument)
{
    forward_t *forward = &s_broker.forward;
    forward_state_t state;
    int paused;
    (void) argument;
    if (timer == s_broker.again)
        s_broker.again = 0;
    state = forward_turn (forward, zclock_mono ());
    if (forward->messages) {
        ZB_COUNT_ME ("zibrato", "zibrato.broker.messages",
                     .value = (double) forward->messages);
        ZB_COUNT_ME ("zibrato", "zibrato.broker.bytes",
                     .value = (double) forward->bytes);
        forward->messages = forward->bytes = 0;
    }
    paused = state == FORWARD_PAUSED;
    if (paused)
        zsock_events (
          s_broker.ports.programs);  //  or it would wake us up for ever
    if (!broker_subscribe () && state == FORWARD_DONE)
        return 0;
    if (!s_broker.again)
        s_broker.again = zloop_timer (loop, paused ? FORWARD_PAUSE_MS : 0, 1,
                                      broker_forward, NULL);
    return 0;
}

//  Handler for zloop_poller: something came for one of the sockets.
static int
broker_ready (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) item;
    return broker_forward (loop, 0, argument);
}

//  Handler for zloop_timer: connections come, go, and are refused.
static int
broker_connections (zloop_t *loop, int timer, void *argument)
{
    handshake_t *hands = (handshake_t *) argument;
    int i;
    (void) timer;
    for (i = 0; i < DRAIN_MESSAGES; i++)
        if (!handshake_report (hands))
            return 0;
    zloop_timer (loop, 0, 1, broker_connections, hands);
    return 0;
}

//  Handler for zloop_poller: the monitor's descriptor, as the sockets' do, tells
//  once.
static int
broker_monitor (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) item;
    return broker_connections (loop, 0, argument);
}

//  Handler for zloop_timer: no peer has taken more than it may?
static int
broker_look (zloop_t *loop, int timer, void *argument)
{
    int more;
    (void) timer;
    do {
        int events = zsock_events (s_broker.ports.programs);
        s_broker.peers.drained = !(events & ZMQ_POLLIN);
        more = peers_look (&s_broker.peers);
        broker_forward (loop, 0, argument);
    } while (more);
    return 0;
}

//  Handler for zloop_timer.
static int
broker_faults (zloop_t *loop, int timer, void *argument)
{
    (void) loop, (void) timer, (void) argument;
    faults_tell (&s_broker.faults, s_broker.peers.faults, zclock_mono ());
    return 0;
}

//  Handler for zloop_timer: what only changes now and then.
static int
broker_health (zloop_t *loop, int timer, void *argument)
{
    (void) loop, (void) timer, (void) argument;
    ZB_GAUGE ("zibrato", "zibrato.broker.publishers",
              (double) s_broker.peers.connected[PEER_PROGRAM]);
    ZB_GAUGE ("zibrato", "zibrato.broker.workers",
              (double) s_broker.peers.connected[PEER_WORKER]);
    return 0;
}

//  Handler for zloop_timer: ends the loop when all programs have ended, and all
//  that they sent is on its way.
static int
broker_leave (zloop_t *loop, int timer, void *argument)
{
    (void) loop, (void) timer, (void) argument;
    if (zclock_mono () >= s_broker.leaving_ms && peers_leave (&s_broker.peers))
        return -1;
    return s_broker.peers.connected[PEER_PROGRAM] || s_broker.again
               || zsock_events (s_broker.ports.programs) & ZMQ_POLLIN
             ? 0
             : -1;
}

//  Handler for zloop_poller. When a whole machine is stopped, programs, broker
//  and workers are told so at the same moment. So we take in what programs have
//  to say at their end, and workers stay as long; nobody else may come. A second
//  signal ends that.
static int
broker_stop (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) argument;
    if (process_stopped (loop, item, NULL) == 0)
        return 0;
    if (s_broker.leaving_ms)
        return -1;
    s_broker.leaving_ms = zclock_mono () + LEAVING_PROGRAMS_MS;
    ports_deafen (&s_broker.ports);
    marks_leave (&s_broker.peers.marks);
    broker_forward (loop, 0, NULL);
    zloop_timer (loop, LEAVING_TICK_MS, 0, broker_leave, NULL);
    return 0;
}

//  Workers get what is on its way to them, and know then what they have missed.
static void
broker_last_words (void)
{
    marks_leave (&s_broker.peers.marks);
    forward_turn (&s_broker.forward, zclock_mono ());
    zsock_set_linger (s_broker.ports.workers, LEAVING_LINGER_MS);
}

//  Handler for zloop_timer: the list of what workers want is one.
static int
broker_mark (zloop_t *loop, int timer, void *argument)
{
    (void) loop, (void) timer, (void) argument;
    topics_mark (&s_broker.peers.topics);
    return 0;
}

//  Handler for zloop_poller: reads the list of keys again.
static int
broker_reload (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    const char *wrong;
    (void) loop, (void) argument;
    if (!process_signal (item->fd))
        return 0;
    wrong = s_broker.ports.curve ? curve_reload (s_broker.ports.curve) : NULL;
    if (!s_broker.ports.curve)
        zb_log (LOG_INFO, "reloaded", "mode=broker");
    else if (wrong)
        zb_log (LOG_ERR, "reload", "authorized=\"%s\" reason=\"%s\"",
                s_broker.authorized, wrong);
    else
        zb_log (LOG_INFO, "reloaded", "authorized=\"%s\" keys=%zu",
                s_broker.authorized,
                zhashx_size (s_broker.ports.curve->listed));
    return 0;
}

//  Handler for zloop_poller: the answers to handshakes. Its descriptor, too, tells
//  once.
static int
broker_answer (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) loop, (void) item, (void) argument;
    curve_answer (s_broker.ports.curve);
    return 0;
}

//  Polls a socket, or an actor's, by its descriptor.
static void
broker_poll (zloop_t *loop, void *socket, zloop_fn *handler, void *argument)
{
    zmq_pollitem_t item = {NULL, zsock_fd (socket), ZMQ_POLLIN, 0};
    zloop_poller (loop, &item, handler, argument);
}

//  Both sockets, and whoever comes to them. Ends the program if it cannot.
static void
broker_open (zloop_t *loop, const char *address)
{
    ports_t *ports = &s_broker.ports;
    const char *wrong =
      ports_open (ports, &s_broker.peers, s_broker.cert, s_broker.authorized);
    int end;
    if (wrong)
        die ("--curve %s --authorized %s: %s", s_broker.cert,
             s_broker.authorized, wrong);
    ports_log_access (ports, address, s_broker.authorized);
    forward_init (&s_broker.forward, zsock_resolve (ports->programs),
                  zsock_resolve (ports->workers), &s_broker.peers,
                  ports->curve);
    for (end = 0; end < PEER_ENDS; end++) {
        broker_poll (loop, ports->hands[end]->monitor, broker_monitor,
                     ports->hands[end]);
        //  none yet; until then it tells nothing
        broker_connections (loop, 0, ports->hands[end]);
    }
}

//  A broker from beginning to end. Its health goes through an instance of
//  zibrato.h like any program's, by way of inproc, so that it is as exact.
static int
broker_run (void)
{
    char address[ADDRESS_MAX];
    const char *wrong;
    zmq_pollitem_t stop = {NULL, process_stop_fd (), ZMQ_POLLIN, 0};
    zmq_pollitem_t hangup = {NULL, process_hangup_fd (), ZMQ_POLLIN, 0};
    zloop_t *loop;
    zb_t *health;
    int port;
    wrong = address_resolve (address, sizeof address, s_broker.host);
    if (wrong)
        die ("--host %s: %s", s_broker.host, wrong);
    if (!s_broker.cert != !s_broker.authorized)
        die ("--curve and --authorized: give both, or neither");
    if (options_checked ())
        return 0;
    loop = zloop_new ();
    process_need (NEEDED_THREADS, NEEDED_DESCRIPTORS);
    zloop_poller (loop, &stop, broker_stop, NULL);
    zloop_poller (loop, &hangup, broker_reload, NULL);
    broker_open (loop, address);
    zsock_bind (s_broker.ports.programs, "inproc://zibrato-broker");
    if (s_broker.ports.curve)
        broker_poll (loop, s_broker.ports.curve->zap, broker_answer, NULL);
    port =
      ports_bind (&s_broker.ports, address, s_broker.host, (int) s_broker.port);
    zb_log (LOG_INFO, "ready",
            "mode=broker publishers=tcp://%s:%d workers=tcp://%s:%d", address,
            port, address, port + 1);
    health =
      zb_open (.context = zsys_init (), .source = "broker",
               .endpoint = "inproc://zibrato-broker", .curve_server_key = "",
               .curve_cert = "", .interval_ms = HEALTH_MS, .linger_ms = 0);
    broker_poll (loop, s_broker.ports.programs, broker_ready, NULL);
    broker_poll (loop, s_broker.ports.workers, broker_ready, NULL);
    zloop_timer (loop, RETURN_MS, 1, broker_mark, NULL);
    zloop_timer (loop, PEERS_TICK_MS, 0, broker_look, NULL);
    zloop_timer (loop, FAULTS_MS, 0, broker_faults, NULL);
    zloop_timer (loop, HEALTH_MS, 0, broker_health, NULL);
    zloop_start (loop);
    broker_last_words ();
    zb_close (&health);
    zloop_destroy (&loop);
    ports_close (&s_broker.ports);
    forward_done (&s_broker.forward);
    peers_done (&s_broker.peers);
    close (stop.fd);
    close (hangup.fd);
    return 0;
}

//  --------------------------------------------------------------------------
//  Modes: one row each

//  Backends, a file and a row each.
// clang-format off
static const zb_backend_t *const s_backends[] = {
  &zb_exec_backend,
  &zb_graphite_backend,
  &zb_influx_backend,
  &zb_librato_backend,
  &zb_otlp_backend,
  &zb_prometheus_backend,
  &zb_remote_write_backend,
#ifdef ZIBRATO_SERVER
  &zb_serve_backend,
#endif
  &zb_statsd_backend,
  &zb_stdout_backend,
};
// clang-format on

enum { BACKENDS = sizeof s_backends / sizeof *s_backends };

static const char *s_plugin;

// clang-format off
static const zb_option_t s_plugin_options[] = {
  {.name = "plugin", .argument = "FILE.so", .text = &s_plugin,
   .help = "shared object with the backend; its options follow"},
  {.name = NULL}};
// clang-format on

static const zb_mode_t s_broker_mode = {
  .name = "broker",
  .summary = "Takes in what programs publish and gives it to workers",
  .tables = {s_broker_options},
  .run = broker_run};
static const zb_mode_t s_plugin_mode = {
  .name = "worker --plugin FILE.so",
  .summary =
    "Runs a backend from a shared object; with --help after it, says its "
    "options",
  .tables = {s_plugin_options, s_worker_options}};

//  Those that are no workers.
static const zb_mode_t *const s_modes[] = {
  &s_broker_mode,
  &zb_keygen_mode,
  &zb_replay_mode,
#ifdef ZIBRATO_SERVER
  &zb_up_mode,
#endif
};

enum { MODES = sizeof s_modes / sizeof *s_modes };

//  A worker with this backend: the name of the backend is the mode's.
static int
mode_backend (const zb_backend_t *backend, int argc, char **argv)
{
    zb_mode_t mode = {.name = backend->name,
                      .summary = backend->summary,
                      .tables = {backend->options, s_worker_options},
                      .arguments = backend->arguments};
    s_worker.batch = (int64_t) backend->batch;
    s_worker.flush = backend->flush ? backend->flush : s_worker.flush;
    options_parse (&mode, argc, argv);
    return worker_run (backend);
}

//  --plugin must come first, since only the shared object knows the rest.
static int
mode_plugin (int argc, char **argv)
{
    if (argc < 2 || !streq (argv[0], "--plugin")) {
        options_parse (&s_plugin_mode, argc, argv);
        usage_die (&s_plugin_mode, "expected --plugin FILE.so first");
    }
    return mode_backend (plugin_load (argv[1]), argc - 2, argv + 2);
}

//  The overview: one line a mode, from the rows that dispatch.
static void
s_help (FILE *out)
{
    size_t i;
    fprintf (out, "usage: zibrato MODE [OPTION]...\n\n"
                  "Carries measurements from programs to where they are looked "
                  "at.\n\n");
    for (i = 0; i < MODES; i++)
        fprintf (out, "  %-12s %s\n", s_modes[i]->name, s_modes[i]->summary);
    for (i = 0; i < BACKENDS; i++)
        fprintf (out, "  %-12s %s\n", s_backends[i]->name,
                 s_backends[i]->summary);
    fprintf (out, "  %-12s %s\n", "worker",
             "Runs a backend from a shared object: --plugin FILE.so");
    fprintf (out, "  %-12s %s\n", "help",
             "Prints this, or with MODE the mode's options");
    fprintf (out, "\n`zibrato MODE --help` prints a mode's options, "
                  "`zibrato --version` the version.\n");
}

//  Returns the exit status, or -1 if there is no such mode.
static int
s_mode (const char *mode, int argc, char **argv)
{
    size_t i;
    for (i = 0; i < MODES; i++)
        if (streq (mode, s_modes[i]->name)) {
            options_parse (s_modes[i], argc, argv);
            return s_modes[i]->run ();
        }
    if (streq (mode, "worker"))
        return mode_plugin (argc, argv);
    for (i = 0; i < BACKENDS; i++)
        if (streq (mode, s_backends[i]->name))
            return mode_backend (s_backends[i], argc, argv);
    return -1;
}

int
main (int argc, char **argv)
{
    static char help[] = "--help", *ask[] = {help};
    const char *mode = argc > 1 ? argv[1] : "";
    int rc = -1;
    process_open_standard ();
    table_seed = sockets_random ();
    process_keep_memory ();
    if (streq (mode, "--version") || streq (mode, "-V")) {
        printf ("zibrato %s\n", ZIBRATO_VERSION);
        return 0;
    }
    if (streq (mode, "help") && argc > 2)
        rc = s_mode (mode = argv[2], 1, ask);
    else if (streq (mode, "help") || streq (mode, "--help")
             || streq (mode, "-h")) {
        s_help (stdout);
        return 0;
    }
    else if (*mode)
        rc = s_mode (mode, argc - 2, argv + 2);
    if (rc == -1) {
        fprintf (stderr, "zibrato: %s%s\n",
                 *mode ? "no such mode: " : "expected a mode", mode);
        s_help (stderr);
        rc = 2;
    }
    return rc;
}
