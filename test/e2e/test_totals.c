/*  test_totals.c - a backend that gets totals: are they exact, and does none
    fall, whatever happens to the worker?

    The worker has a plug-in that adds its rows to a file. Several requests may
    be on their way again, and in another order, after a crash. So rows are
    judged by their times: the later one of a start has no smaller total.

    Sections: the rows, the worker, each step may be the last, what is lost,
    rest, counters that fall.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600

#include "faults.h"

//  --------------------------------------------------------------------------
//  The rows

enum { NAME_MAX_ = 128 };

typedef struct {
    int type, ends, is_signed;
    char name[NAME_MAX_], source[NAME_MAX_];
    int64_t since, time;
    uint64_t count, samples, buckets;
    double value, sum;
} row_t;

typedef struct {
    row_t *row;
    size_t count;
} rows_t;

static int
s_compare_rows (const void *a, const void *b)
{
    const row_t *x = a, *y = b;
    int order = x->type - y->type;
    order = order ? order : strcmp (x->name, y->name);
    order = order ? order : strcmp (x->source, y->source);
    return order ? order : (x->time > y->time) - (x->time < y->time);
}

static bool
s_same_series (const row_t *a, const row_t *b)
{
    return a->type == b->type && strcmp (a->name, b->name) == 0
           && strcmp (a->source, b->source) == 0;
}

//  All whole lines of a file, by series and time.
static rows_t
rows_read (const char *path)
{
    rows_t self = {NULL, 0};
    size_t size, lines = 1;
    if (access (path, R_OK) == -1)
        return self;
    char *at = file_read (path, &size), *end;
    for (size_t i = 0; i < size; i++)
        lines += at[i] == '\n';
    self.row = harness_keep (calloc (lines, sizeof *self.row));
    for (; (end = strchr (at, '\n')); at = end + 1) {
        row_t *row = &self.row[self.count++];
        assert_int_equal (
          sscanf (at,
                  "%d %127s %127s %" SCNd64 " %" SCNd64 " %" SCNu64
                  " %d %d %lf %" SCNu64 " %lf %" SCNu64,
                  &row->type, row->name, row->source, &row->since, &row->time,
                  &row->count, &row->ends, &row->is_signed, &row->value,
                  &row->samples, &row->sum, &row->buckets),
          12);
    }
    qsort (self.row, self.count, sizeof *self.row, s_compare_rows);
    return self;
}

//  The second of two rows of a series, in order of time.
static void
s_check_pair (const row_t *before, const row_t *row)
{
    if (row->since != before->since) {
        //  a start is never before what was said of an older one
        assert_true (row->since >= before->time);
        return;
    }
    assert_false (before->ends && row->time > before->time);
    if (!row->is_signed)
        assert_true (row->value >= before->value);
    assert_true (row->samples >= before->samples && row->sum >= before->sum);
    if (row->time == before->time)  //  sent twice
        assert_true (row->value == before->value
                     && row->samples == before->samples
                     && row->count == before->count);
}

//  No total falls.
static void
rows_check (const rows_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        const row_t *row = &self->row[i];
        if (row->type == 3)
            continue;
        if (row->since >= row->time)
            fail_msg ("%s: since %" PRId64 " at %" PRId64, row->name,
                      row->since, row->time);
        assert_int_equal (row->buckets, row->samples);
        if (i && s_same_series (row - 1, row))
            s_check_pair (row - 1, row);
    }
}

static int
s_compare_starts (const void *a, const void *b)
{
    const row_t *x = a, *y = b;
    int order =
      s_same_series (x, y) ? (x->since > y->since) - (x->since < y->since) : 0;
    return order ? order : s_compare_rows (a, b);
}

//  What came of a name in all: the last total of each start.
typedef struct {
    double value, sum;
    uint64_t samples;
    int starts, rests, ends;
} sum_t;

static sum_t
rows_sum (const rows_t *self, const char *name)
{
    sum_t sum = {0};
    for (size_t i = 0; i < self->count; i++) {
        const row_t *row = &self->row[i];
        if (strcmp (row->name, name) != 0 || row->type == 3)
            continue;
        sum.rests += row->count == 0;
        sum.ends += row->ends;
        if (i + 1 < self->count && s_same_series (row, row + 1)
            && row->since == row[1].since)
            continue;
        sum.value += row->value;
        sum.sum += row->sum;
        sum.samples += row->samples;
        sum.starts++;
    }
    return sum;
}

//  --------------------------------------------------------------------------
//  The worker

typedef struct {
    broker_t *broker;
    const char *plugin, *file, *spool;
    const char *const *more;
    const char *const *env;  //  without a fault
    process_t *worker;
} keeper_t;

static const char *
plugin_new (const char *wants)
{
    const char *path = temporary_path (text_new ("%s.so", wants));
    const char *source = harness_path ("ZB_SOURCE");
    process_run (LIST ("cc", "-shared", "-fPIC", "-I", source, "-I",
                       text_new ("%s/contrib/backends", source),
                       text_new ("-DWANTS=%s", wants), "-o", path,
                       text_new ("%s/test/e2e/plugin_totals.c", source)),
                 NULL);
    return path;
}

static const char *
s_wants_totals (void)
{
    return plugin_new ("ZB_WANTS_TOTALS");
}

static const char *
s_wants_idle (void)
{
    return plugin_new ("ZB_WANTS_TOTALS+ZB_WANTS_IDLE");
}

static keeper_t
keeper_new (broker_t *broker, const char *plugin, const char *name)
{
    return (keeper_t){.broker = broker,
                      .plugin = plugin,
                      .file = temporary_path (text_new ("%s.rows", name)),
                      .spool = temporary_path (name)};
}

//  With a place to die at, or NULL.
static void
keeper_start (keeper_t *self, const char *fault)
{
    const char *argv[32] = {harness_path (fault ? "ZB_FAULTS" : "ZB_BIN"),
                            "worker",
                            "--plugin",
                            self->plugin,
                            "--host",
                            self->broker->host,
                            "--port",
                            text_new ("%d", self->broker->port + 1),
                            "--file",
                            self->file,
                            "--flush",
                            "1",
                            "--levels",
                            "info",
                            "--deadline",
                            "60"};
    size_t count = 16;
    if (self->spool) {
        argv[count++] = "--spool";
        argv[count++] = self->spool;
    }
    for (size_t i = 0; self->more && self->more[i]; i++)
        argv[count++] = self->more[i];
    self->worker = process_start (
      argv, fault ? LIST (text_new ("ZB_FAULT=%s", fault)) : self->env);
}

static void
keeper_kill (keeper_t *self)
{
    assert_int_equal (process_stop (self->worker, SIGKILL), 128 + SIGKILL);
}

//  Stops it, and checks all that came.
static rows_t
keeper_end (keeper_t *self)
{
    process_signal (self->worker, SIGTERM);
    assert_int_equal (process_wait (self->worker), 0);
    rows_t rows = rows_read (self->file);
    rows_check (&rows);
    return rows;
}

//  Waits until so much has come of a counter.
static void
keeper_await (const keeper_t *self, const char *name, double value)
{
    int64_t until = now_ms () + WAIT_MS;
    double came;
    for (;;) {
        rows_t rows = rows_read (self->file);
        came = rows_sum (&rows, name).value;
        if (came >= value)
            return;
        if (now_ms () > until)
            fail_msg ("%s: %g came of %g", name, came, value);
        poll_pause ();
    }
}

//  Waits for more than there is.
static void
keeper_await_more (const keeper_t *self)
{
    rows_t rows = rows_read (self->file);
    process_await (self->worker, "event=ready");
    keeper_await (self, "load.count", rows_sum (&rows, "load.count").value + 1);
}

//  Waits for all that was measured, and tells it to stop.
static void
keeper_stop (const keeper_t *self, const load_t *load)
{
    keeper_await (self, "load.count", load->count);
    process_signal (self->worker, SIGTERM);
}

//  Everything that was measured is there, once, since one start.
static void
keeper_check (keeper_t *self, const load_t *load, const char *died_of)
{
    rows_t rows = keeper_end (self);
    sum_t count = rows_sum (&rows, "load.count");
    sum_t times = rows_sum (&rows, "load.time");
    if (count.value != load->count || count.starts != 1 || times.starts != 1)
        fail_msg ("%g of %g since %d and %d starts (died of %s)", count.value,
                  load->count, count.starts, times.starts, died_of);
    assert_true ((double) times.samples == load->times);
    assert_true (llround (times.sum * 1e9) == load->time_ns);
}

//  --------------------------------------------------------------------------
//  Each step may be the last

//  Starts the worker, again if it dies on its way up.
static void
keeper_begin (keeper_t *self, const char *fault)
{
    keeper_start (self, fault);
    if (worker_gets_ready (self->worker))
        return;
    keeper_start (self, NULL);
    process_await (self->worker, "event=ready");
}

//  Waits until all that can die have died. Bad rows are refused, with others in
//  their requests: these are split.
static void
keepers_await_death (const keeper_t *keepers, void *publisher)
{
    int64_t until = now_ms () + 4 * WAIT_MS;
    for (size_t i = 0; i < POINTS; i++)
        while (
          process_alive (keepers[i].worker)
          && !strcmp (keepers[i].worker->name, harness_path ("ZB_FAULTS"))) {
            publisher_send (publisher, text_new ("info|Gauge|bad|5|%ld|test",
                                                 (long) time (NULL)));
            if (now_ms () > until)
                fail_msg ("nothing died at %s", s_points[i]);
            poll_pause ();
        }
}

static void
each_step_may_be_the_last (void)
{
    broker_t *broker = broker_start ();
    void *publisher = publisher_new_lonely (broker);
    const char *plugins[] = {s_wants_totals (), s_wants_idle ()};
    keeper_t keeper[POINTS];
    for (size_t i = 0; i < POINTS; i++) {
        keeper[i] = keeper_new (broker, plugins[i % 2], s_points[i]);
        keeper_begin (&keeper[i], text_new ("%s:%d", s_points[i], 2));
    }
    load_t load = load_start (broker, 2, 5000);
    keepers_await_death (keeper, publisher);
    for (size_t i = 0; i < POINTS; i++)
        if (!process_alive (keeper[i].worker)) {
            assert_int_equal (process_wait (keeper[i].worker), 128 + SIGKILL);
            keeper_start (&keeper[i], NULL);
        }
    for (size_t i = 0; i < POINTS; i++)
        keeper_await_more (&keeper[i]);
    load_end_dropping (&load);
    for (size_t i = 0; i < POINTS; i++)
        keeper_stop (&keeper[i], &load);
    for (size_t i = 0; i < POINTS; i++)
        keeper_check (&keeper[i], &load, s_points[i]);
}

//  The same at any moment.
static void
killed_again_and_again (void)
{
    enum { KILLS = SANITIZED ? 10 : 30 };
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_idle (), "spool");
    load_t load = load_start (broker, 4, SANITIZED ? 10000 : 2000);
    for (int kills = 0; kills < KILLS; kills++) {
        keeper_start (&keeper, NULL);
        long ms = kills * 97 % 1100;
        nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
        keeper_kill (&keeper);
    }
    keeper_start (&keeper, NULL);
    keeper_await_more (&keeper);
    load_end_dropping (&load);
    keeper_stop (&keeper, &load);
    keeper_check (&keeper, &load, "any");
}

//  --------------------------------------------------------------------------
//  What is lost: a total that is not known any more has a new start

//  Starts it, and waits until a program is under way and some of it has come.
static load_t
keeper_load (keeper_t *self)
{
    keeper_start (self, NULL);
    process_await (self->worker, "event=ready");
    load_t load = load_start (self->broker, 2, 5000);
    keeper_await_more (self);
    return load;
}

//  Stops it, and says how many starts there were. Not more than was measured has
//  come.
static int
keeper_starts (keeper_t *self, load_t *load)
{
    keeper_await_more (self);
    load_end_dropping (load);
    rows_t rows = keeper_end (self);
    sum_t count = rows_sum (&rows, "load.count");
    assert_true (count.value <= load->count);
    return count.starts;
}

static void
without_a_spool_each_worker_begins_anew (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_idle (), "none");
    keeper.spool = NULL;
    load_t load = keeper_load (&keeper);
    for (int kills = 0; kills < 3; kills++) {
        keeper_kill (&keeper);
        keeper_start (&keeper, NULL);
        keeper_await_more (&keeper);
    }
    assert_int_equal (keeper_starts (&keeper, &load), 4);
}

//  The ledger's file, which has a number in its name.
static const char *
s_ledger (const char *spool)
{
    glob_t found;
    assert_int_equal (
      glob (text_new ("%s/ledger-*[0-9]", spool), 0, NULL, &found), 0);
    const char *path = text_new ("%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree (&found);
    return path;
}

static void
a_damaged_ledger_means_new_starts (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "spool");
    load_t load = keeper_load (&keeper);
    keeper_kill (&keeper);
    file_write (s_ledger (keeper.spool), "zibrato");
    keeper_start (&keeper, NULL);
    process_await (keeper.worker, "event=damaged");
    assert_int_equal (keeper_starts (&keeper, &load), 2);
}

//  Fills a disk until nothing goes on it any more. Returns the file.
static const char *
s_fill (const char *disk)
{
    const char *path = text_new ("%s/filler", disk);
    static const char block[4096];
    int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true (fd != -1);
    while (write (fd, block, sizeof block) > 0) {
    }
    close (fd);
    return path;
}

//  Waits until the ledger has lost its state: the last page that it has takes
//  some flushes to fill.
static void
keeper_await_forsaken (const keeper_t *self)
{
    enum { HEAD = 64 };
    int64_t until = now_ms () + WAIT_MS;
    struct stat status;
    do {
        assert_true (now_ms () < until);
        keeper_await_more (self);
    } while (stat (s_ledger (self->spool), &status) == -1
             || status.st_size > HEAD);
}

//  While there is no room totals go on, but nothing is known of them after a
//  crash. Once there is room they last again.
static void
a_full_disk_means_new_starts_after_a_crash (void)
{
    const char *disk = disk_new ("1m");
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "rows");
    keeper.spool = text_new ("%s/spool", disk);
    load_t load = keeper_load (&keeper);
    const char *filler = s_fill (disk);
    keeper_await_forsaken (&keeper);
    keeper_kill (&keeper);
    assert_int_equal (unlink (filler), 0);
    keeper_start (&keeper, NULL);
    keeper_await_more (&keeper);
    filler = s_fill (disk);
    keeper_await_forsaken (&keeper);
    assert_int_equal (unlink (filler), 0);
    process_await (keeper.worker, "event=spool_recovered");
    keeper_await_more (&keeper);
    keeper_kill (&keeper);
    keeper_start (&keeper, NULL);
    assert_int_equal (keeper_starts (&keeper, &load), 2);
}

//  A plug-in for increments leaves totals in its folder alone, and the next one
//  goes on.
static void
another_backend_between (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "spool");
    load_t load = keeper_load (&keeper);
    assert_int_equal (process_stop (keeper.worker, SIGTERM), 0);
    const char *totals = keeper.plugin, *file = keeper.file;
    keeper.plugin = plugin_new ("0");
    keeper.file = temporary_path ("increments");
    keeper_start (&keeper, NULL);
    process_await (keeper.worker, "event=ready");
    assert_null (strstr (process_err (keeper.worker), "bad_states=1"));
    assert_int_equal (process_stop (keeper.worker, SIGTERM), 0);
    keeper.plugin = totals;
    keeper.file = file;
    keeper_start (&keeper, NULL);
    assert_int_equal (keeper_starts (&keeper, &load), 1);
}

//  Counts so much, and stops the worker when it has come under that name.
static void
keeper_count (keeper_t *self, int value, const char *name, double sum)
{
    keeper_start (self, NULL);
    process_await (self->worker, "event=ready");
    publisher_send (
      publisher_new (self->broker, "info|"),
      text_new ("info|Counter|n|%d|%ld|s", value, (long) time (NULL)));
    keeper_await (self, name, sum);
    assert_int_equal (process_stop (self->worker, SIGTERM), 0);
}

//  Totals of before stay in the folder under their names, and those of the new naming
//  begin. Nothing falls, and the first ones go on when they are named so again.
static void
another_naming_between (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "spool");
    keeper_count (&keeper, 5, "n", 5);
    keeper.more = LIST ("--end", ".x");
    keeper_count (&keeper, 7, "n.x", 7);
    keeper.more = NULL;
    keeper_count (&keeper, 11, "n", 16);
    rows_t rows = rows_read (keeper.file);
    rows_check (&rows);
    assert_true (rows_sum (&rows, "n").value == 16);
    assert_int_equal (rows_sum (&rows, "n").starts, 1);
    assert_true (rows_sum (&rows, "n.x").value == 7);
    assert_int_equal (rows_sum (&rows, "n.x").starts, 1);
}

//  What waits has its names, and must be delivered under them.
static void
another_naming_waits_for_what_waits (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "spool");
    const char *file = keeper.file;
    keeper.file = s_folder;  //  no file can be written there
    keeper.more = LIST ("--deadline", "0");
    keeper_start (&keeper, NULL);
    process_await (keeper.worker, "event=ready");
    publisher_send (publisher_new (broker, "info|"),
                    text_new ("info|Counter|n|5|%ld|s", (long) time (NULL)));
    process_await (keeper.worker, "event=retry");
    assert_int_equal (process_stop (keeper.worker, SIGTERM), 0);
    keeper.file = file;
    keeper.more = LIST ("--end", ".x");
    keeper_start (&keeper, NULL);
    assert_int_equal (process_wait (keeper.worker), 1);
    assert_non_null (strstr (process_err (keeper.worker),
                             "rows wait there for another backend"));
    keeper.more = NULL;
    keeper_start (&keeper, NULL);
    keeper_await (&keeper, "n", 5);
    rows_t rows = keeper_end (&keeper);
    assert_true (rows_sum (&rows, "n").value == 5);
    assert_true (rows_sum (&rows, "n.x").value <= 0);
}

#if !SANITIZED  //  clock.so would have to be loaded after the sanitizer

//  For some seconds the worker's clock is an hour ahead, again and again until that
//  was seen. By time no total falls, and all starts together have everything.
static void
a_clock_that_was_ahead_makes_none_fall (void)
{
    enum { HOUR = 3600 };
    const int64_t ns = 1000000000;
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_idle (), "ahead");
    keeper.env = LIST (text_new ("LD_PRELOAD=%s", program_path ("clock.so")),
                       "ZB_CLOCK=step=3:3600,step=7:-3600,step=15:3600,"
                       "step=19:-3600,step=27:3600,step=31:-3600");
    keeper_start (&keeper, NULL);
    void *publisher = publisher_new (broker, "info|");
    double sent = 0;
    sum_t sum = {0};
    rows_t rows = {NULL, 0};
    int64_t began_ms = now_ms ();
    while (sum.starts < 2) {
        assert_true (now_ms () - began_ms < WAIT_MS);
        publisher_send (
          publisher, text_new ("info|Counter|c|1|%ld|s", (long) time (NULL)));
        sent++;
        poll_pause ();
        rows = rows_read (keeper.file);
        qsort (rows.row, rows.count, sizeof *rows.row, s_compare_starts);
        sum = rows_sum (&rows, "c");
    }
    process_signal (keeper.worker, SIGTERM);
    assert_int_equal (process_wait (keeper.worker), 0);
    rows = rows_read (keeper.file);
    qsort (rows.row, rows.count, sizeof *rows.row, s_compare_starts);
    bool ahead = false;
    for (size_t i = 0; i < rows.count; i++) {
        const row_t *row = &rows.row[i];
        ahead |= row->time > ((int64_t) time (NULL) + HOUR / 2) * ns;
        if (i && row->type != 3 && s_same_series (row - 1, row)
            && row->since == row[-1].since)
            s_check_pair (row - 1, row);
    }
    assert_true (ahead);
    assert_true (rows_sum (&rows, "c").value == sent);
}

#endif

//  --------------------------------------------------------------------------
//  Rest

//  Sends a line until there are so many rows of a name that start anew.
static void
keeper_insist (const keeper_t *self, void *publisher, const char *name,
               int starts)
{
    int64_t until = now_ms () + WAIT_MS;
    rows_t rows = {NULL, 0};
    while (rows_sum (&rows, name).starts < starts) {
        publisher_send (publisher, text_new ("info|Counter|%s|1|%ld|s", name,
                                             (long) time (NULL)));
        poll_pause ();
        rows = rows_read (self->file);
        assert_true (now_ms () < until);
    }
}

static void
keeper_await_end (const keeper_t *self, const char *name, int ends)
{
    int64_t until = now_ms () + WAIT_MS;
    rows_t rows = {NULL, 0};
    while (rows_sum (&rows, name).ends < ends) {
        assert_true (now_ms () < until);
        poll_pause ();
        rows = rows_read (self->file);
    }
}

//  A counter that rests is said again and again, though nothing comes any more,
//  and ends once. Who comes back has a new start. A gauge has no total.
static void
what_rests_is_said_until_it_is_stale (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_idle (), "spool");
    keeper.more = LIST ("--stale", "3");
    keeper_start (&keeper, NULL);
    void *publisher = publisher_new (broker, "info|");
    keeper_insist (&keeper, publisher, "c", 1);
    keeper_await_end (&keeper, "c", 1);
    keeper_insist (&keeper, publisher, "c", 2);
    keeper_await_end (&keeper, "c", 2);
    rows_t rows = keeper_end (&keeper);
    sum_t sum = rows_sum (&rows, "c");
    assert_int_equal (sum.starts, 2);
    assert_int_equal (sum.ends, 2);
    assert_true (sum.rests >= 4);
}

//  Who does not want that has the row that ends, and one after a restart.
static void
who_does_not_want_rests_has_the_last_one (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "spool");
    keeper.more = LIST ("--stale", "3");
    keeper_start (&keeper, NULL);
    void *publisher = publisher_new (broker, "info|");
    keeper_insist (&keeper, publisher, "c", 1);
    keeper_await_end (&keeper, "c", 1);
    rows_t rows = rows_read (keeper.file);
    assert_int_equal (rows_sum (&rows, "c").rests, 1);
    keeper_insist (&keeper, publisher, "d", 1);
    assert_int_equal (process_stop (keeper.worker, SIGTERM), 0);
    keeper_start (&keeper, NULL);
    keeper_await_end (&keeper, "d", 1);
    rows = keeper_end (&keeper);
    assert_int_equal (rows_sum (&rows, "d").rests, 2);
    assert_int_equal (rows_sum (&rows, "d").starts, 1);
}

//  --------------------------------------------------------------------------
//  Counters that fall

//  The sum of a counter of the worker's health.
static double
s_health (const rows_t *self, const char *name)
{
    return rows_sum (self, name).value;
}

static void
a_counter_that_falls_is_refused_and_counted (void)
{
    broker_t *broker = broker_start ();
    keeper_t keeper = keeper_new (broker, s_wants_totals (), "spool");
    keeper.more = LIST ("--signed", "balance.*");
    keeper_start (&keeper, NULL);
    void *publisher = publisher_new (broker, "info|");
    keeper_insist (&keeper, publisher, "probe", 1);
    publisher_send (publisher,
                    text_new ("info|Counter|c|-5|%ld|s\n"
                              "info|Counter|balance.a|-7|%ld|s",
                              (long) time (NULL), (long) time (NULL)));
    const char *line = process_await (keeper.worker, "event=fell");
    assert_non_null (strstr (line, "count=1 sum=-5 example=\"c\""));
    //  what was refused is said with the next flush
    keeper_insist (&keeper, publisher, "next", 1);
    rows_t rows = keeper_end (&keeper);
    assert_int_equal (rows_sum (&rows, "c").starts, 0);
    assert_true (rows_sum (&rows, "balance.a").value == -7);
    assert_true (s_health (&rows, "zibrato.refused") == 1);
}

static void
options_for_totals_are_for_those_who_want_them (void)
{
    zibrato_dies (LIST ("stdout", "--signed", "x"),
                  "--signed: this backend gets increments");
    zibrato_dies (LIST ("stdout", "--stale", "60"),
                  "--stale: this backend gets increments");
    zibrato_dies (LIST ("stdout", "--stale", "0"), "--stale");
}

static const struct CMUnitTest tests[] = {
  TEST (each_step_may_be_the_last),
  TEST (killed_again_and_again),
  TEST (without_a_spool_each_worker_begins_anew),
  TEST (a_damaged_ledger_means_new_starts),
  TEST (a_full_disk_means_new_starts_after_a_crash),
  TEST (another_backend_between),
  TEST (another_naming_between),
  TEST (another_naming_waits_for_what_waits),
#if !SANITIZED
  TEST (a_clock_that_was_ahead_makes_none_fall),
#endif
  TEST (what_rests_is_said_until_it_is_stale),
  TEST (who_does_not_want_rests_has_the_last_one),
  TEST (a_counter_that_falls_is_refused_and_counted),
  TEST (options_for_totals_are_for_those_who_want_them),
};

HARNESS_MAIN (tests)
