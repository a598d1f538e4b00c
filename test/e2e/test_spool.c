/*  test_spool.c - a worker's folder: full, shared, damaged, bounded, replayed;
    and a worker that is given more names than it may keep

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "site.h"

#include <dirent.h>

//  --------------------------------------------------------------------------
//  The folder's files

//  Returns the newest whole file in a folder whose name begins so, after waiting.
static const char *
s_await_file (const char *folder, const char *beginning)
{
    int64_t until = now_ms () + WAIT_MS;
    const char *found = NULL;
    while (!found) {
        DIR *dir = opendir (folder);
        struct dirent *entry;
        const char *last = "";
        while (dir && (entry = readdir (dir)))
            if (strncmp (entry->d_name, beginning, strlen (beginning)) == 0
                && !strstr (entry->d_name, ".new")
                && strcmp (entry->d_name, last) > 0)
                last = text_new ("%s", entry->d_name);
        if (*last)
            found = text_new ("%s/%s", folder, last);
        if (dir)
            closedir (dir);
        if (!found && now_ms () > until)
            fail_msg ("no %s... in %s", beginning, folder);
        if (!found)
            poll_pause ();
    }
    return found;
}

static int s_files;
static int64_t s_bytes;

static int
s_add (const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void) path, (void) place;
    s_files += type == FTW_F;
    s_bytes += type == FTW_F ? status->st_size : 0;
    return 0;
}

//  Files in a folder and below it.
static int
s_count_files (const char *folder)
{
    s_files = 0;
    s_bytes = 0;
    nftw (folder, s_add, 8, FTW_PHYS);
    return s_files;
}

//  How many files of a folder hold the text.
static int
s_count_with (const char *folder, const char *text)
{
    DIR *dir = opendir (folder);
    struct dirent *entry;
    int count = 0;
    while (dir && (entry = readdir (dir)))
        count +=
          strstr (file_read (text_new ("%s/%s", folder, entry->d_name), NULL),
                  text)
          != NULL;
    if (dir)
        closedir (dir);
    return count;
}

//  --------------------------------------------------------------------------
//  No room

//  Writes to a file until there is no room for another byte.
static const char *
s_fill (const char *disk)
{
    static const char zeros[4096];
    const char *path = text_new ("%s/filler", disk);
    int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true (fd != -1);
    while (write (fd, zeros, sizeof zeros) > 0) {
    }
    assert_int_equal (errno, ENOSPC);
    close (fd);
    return path;
}

//  A worker and its load, whose spool has been without room for a flush.
static site_t
s_without_room (load_t *load, const char **filler)
{
    const char *disk = disk_new ("1m");
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "disk/spool");
    site_start (&site, NULL);
    process_await (site.worker, "event=ready");
    *load = load_start (broker, 2, 1000);
    site_await (&site);
    *filler = s_fill (disk);
    process_await (site.worker, "event=spool_failed");
    site_await (&site);
    return site;
}

static void
a_full_disk_stops_nothing (void)
{
    load_t load;
    const char *filler;
    site_t site = s_without_room (&load, &filler);
    site_await (&site);
    assert_int_equal (unlink (filler), 0);
    process_await (site.worker, "event=spool_recovered");
    assert_int_equal (process_lines (site.worker, "event=spool_failed"), 1);
    s_await_file (site.spool, "journal-");
    site_kill (&site);
    site_start (&site, NULL);
    site_await (&site);
    load_end_dropping (&load);
    site_check (&site, &load);
    assert_int_equal (standin_requests (site.standin, 422), 0);
}

#if !SANITIZED  //  disk.so would have to be loaded after the sanitizer

//  A flush waits for the disk, while more is received than the folder may hold.
static void
a_slow_disk_fills_no_folder (void)
{
    enum { MESSAGES = 800, LINES = 30, SPOOL_MAX = 128 * 1024 };
    const char *spool = temporary_path ("slow");
    broker_t *broker = broker_start ();
    standin_t *standin = standin_start (NULL);
    process_t *worker =
      worker_start (broker, "librato",
                    LIST ("--username", "user@example.org", "--apitoken",
                          "token", "--url", standin->url, "--flush", "1",
                          "--spool", spool, "--spool-max", "128K"),
                    LIST (text_new ("LD_PRELOAD=%s", program_path ("disk.so")),
                          text_new ("ZB_DISK=under=%s,sync=1000", spool)));
    sink_t sink = {worker, standin};
    void *publisher = publisher_new (broker, "");
    char text[LINES * 64];
    int size = 0;
    for (int i = 0; i < LINES; i++)
        size +=
          sprintf (text + size, "info|Counter|n|1|%ld|s\n", (long) time (NULL));
    //  a start says what it waits for, and a flush waits for as long
    assert_true (process_lines (worker, "event=loading") == 1);
    process_await (worker, "event=slow_disk");
    publisher_send (publisher, "info|Counter|first|1|1|s");
    sink_await (&sink, "s", "first", 0, 1);
    for (int i = 0; i < MESSAGES; i++) {
        publisher_send (publisher, text);
        s_count_files (spool);
        assert_true (s_bytes < 3 * SPOOL_MAX);
    }
    process_await (worker, "event=spool_failed");
    process_await (worker, "event=spool_recovered");
    sink_await (&sink, "s", "n", 0, MESSAGES * LINES);
    sink_stop (&sink);
    sink_check_sum (&sink, "s", "n", MESSAGES * LINES);
}

#endif

//  A worker that is killed while there is no room has lost what was in its
//  memory; but it counts nothing twice.
static void
killed_on_a_full_disk_counts_nothing_twice (void)
{
    load_t load;
    const char *filler;
    site_t site = s_without_room (&load, &filler);
    site_kill (&site);
    assert_int_equal (unlink (filler), 0);
    site_start (&site, NULL);
    site_await (&site);
    load_end_dropping (&load);
    assert_true (site_check_most (&site, &load) > load.count / 2);
}

//  Nothing can be written down, not even how many flushes there were: what is
//  sent after a crash must not pass for what was sent before.
static void
a_disk_that_was_always_full_tells_lives_apart (void)
{
    const char *disk = disk_new ("1m");
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "disk/spool");
    assert_int_equal (mkdir (site.spool, 0700), 0);
    file_write (text_new ("%s/lock", site.spool),
                "zibrato spool 1 0123456789abcdef\n");
    s_fill (disk);
    for (int life = 0; life < 2; life++) {
        site_start (&site, NULL);
        sink_t sink = {site.worker, site.standin};
        void *publisher = publisher_new (broker, "info|");
        const char *name = text_new ("life.%d", life);
        publisher_insist (
          publisher,
          text_new ("info|Gauge|%s|1|%ld|s", name, (long) time (NULL)), &sink,
          "s", name);
        site_kill (&site);
    }
    assert_int_equal (standin_requests (site.standin, 422), 0);
}

//  The service is down, and the folder may hold 128 KiB.
static void
the_folder_is_bounded (void)
{
    enum { READINGS = 6000, MOST = 128 * 1024 };
    broker_t *broker = broker_start ();
    standin_t *standin = standin_start (LIST ("--script", "503*"));
    const char *spool = temporary_path ("spool");
    process_t *worker = worker_start (
      broker, "librato",
      LIST ("--username", "user@example.org", "--apitoken", "token", "--url",
            standin->url, "--flush", "1", "--spool", spool, "--spool-max",
            "128K", "--deadline", "60"),
      NULL);
    sink_t sink = {worker, standin};
    void *publisher = publisher_new (broker, "");
    for (int i = 0; i < READINGS; i++) {
        publisher_send (publisher, text_new ("info|Gauge|g.%d|1|%ld|s", i,
                                             (long) time (NULL)));
        if (i % 1000 == 999)
            poll_pause ();
    }
    process_await (worker, "event=dropped");
    int64_t until = now_ms () + 3000;
    while (now_ms () < until) {
        s_count_files (spool);
        //  a walk may see what goes as well as what came in its place
        assert_true (s_bytes < 2 * MOST);
        poll_pause ();
    }
    standin_script (standin, "");
    sink_await (&sink, "s", text_new ("g.%d", READINGS - 1), 1, 0);
    sink_stop (&sink);
    cJSON *rows = sink_rows (&sink);
    const cJSON *row;
    double came = 0;
    cJSON_ArrayForEach (row, rows) came += row_is (row, "source", "s");
    cJSON_Delete (rows);
    //  the worker's own rows are dropped with the others; what the last flush
    //  pushed out is only in its last word
    const char *stopped = process_await (worker, "event=stopped");
    double dropped = strtod (strstr (stopped, "overflowed=") + 11, NULL);
    assert_true (sink_total (&sink, NULL, "zibrato.overflowed").sum > 0);
    assert_true (came + dropped >= READINGS && came < READINGS);
    assert_true (came + dropped < READINGS + READINGS / 20);
    assert_int_equal (s_count_files (text_new ("%s/damaged", spool)), 0);
}

//  The service is down when the worker is stopped: what --deadline did not
//  suffice for waits for the next one, and comes once.
static void
a_short_deadline_keeps_all_for_the_next_start (void)
{
    enum { READINGS = 10 };
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    standin_script (site.standin, "503*");
    site.more = LIST ("--deadline", "1");
    site_start (&site, NULL);
    void *publisher = publisher_new (broker, "info|");
    for (int i = 0; i < READINGS; i++)
        publisher_send (publisher, text_new ("info|Gauge|kept.%d|1|%ld|s", i,
                                             (long) time (NULL)));
    process_await (site.worker, "event=retry");
    assert_int_equal (process_stop (site.worker, SIGTERM), 0);
    const char *kept = process_await (site.worker, "event=kept");
    int rows = (int) strtol (strstr (kept, "rows=") + 5, NULL, 10);
    assert_int_equal (process_lines (site.worker, "event=lost"), 0);
    assert_int_equal (standin_requests (site.standin, 200), 0);
    standin_script (site.standin, "");
    site_start (&site, NULL);
    sink_t sink = {site.worker, site.standin};
    process_await (site.worker, text_new (" rows=%d lines=0", rows));
    for (int i = 0; i < READINGS; i++)
        sink_await (&sink, "s", text_new ("kept.%d", i), 1, 0);
    sink_stop (&sink);
    for (int i = 0; i < READINGS; i++)
        sink_check_count (&sink, "s", text_new ("kept.%d", i), 1);
    cJSON *stored = sink_rows (&sink);
    assert_int_equal (cJSON_GetArraySize (stored), rows);
    cJSON_Delete (stored);
}

//  A row at which the service fails waits aside; with a folder a stop keeps it,
//  and the next worker tries again.
static void
what_waits_aside_waits_for_the_next_start (void)
{
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    standin_script (site.standin, "poison*");
    site_start (&site, NULL);
    void *publisher = publisher_new (broker, "info|");
    publisher_send (publisher,
                    text_new ("info|Gauge|good|1|%ld|s\n"
                              "info|Gauge|poison|1|%ld|s",
                              (long) time (NULL), (long) time (NULL)));
    sink_t sink = {site.worker, site.standin};
    sink_await (&sink, "s", "good", 1, 0);
    process_await (site.worker, "event=aside");
    assert_int_equal (process_stop (site.worker, SIGTERM), 0);
    process_await (site.worker, "event=kept");
    assert_int_equal (process_lines (site.worker, "event=rejected"), 0);
    standin_script (site.standin, "");
    site_start (&site, NULL);
    sink.worker = site.worker;
    sink_await (&sink, "s", "poison", 1, 0);
    sink_stop (&sink);
    sink_check_count (&sink, "s", "good", 1);
    sink_check_count (&sink, "s", "poison", 1);
}

//  --------------------------------------------------------------------------
//  Somebody else's

static void
a_second_worker_is_refused (void)
{
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    site_start (&site, NULL);
    process_t *first = site.worker;
    process_await (first, "event=ready");
    site_start (&site, NULL);
    assert_int_equal (process_wait (site.worker), 1);
    assert_string_equal (
      process_err (site.worker),
      text_new ("zibrato: --spool %s: another worker has it\n", site.spool));
    assert_true (process_alive (first));
}

//  Requests of three kinds of damage among good ones; a journal and a ledger
//  that are none.
static void
damaged_files_are_set_aside (void)
{
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    standin_script (site.standin, "503*");
    site_start (&site, NULL);
    process_await (site.worker, "event=ready");
    load_t load = load_start (broker, 1, 1000);
    s_await_file (site.spool, "request-0000000003-");
    site_kill (&site);
    process_stop (load.process, SIGKILL);
    const char *ledger = s_await_file (site.spool, "ledger-");
    //  cut in its first record: the last one does not count yet if the kill
    //  came between that and the ledger's new name
    const char *text = file_read (ledger, NULL);
    assert_int_equal (truncate (ledger, strchr (text, '\n') - text + 10), 0);
    file_write (text_new ("%s/request-0000000001-9001", site.spool),
                "nonsense");
    file_write (text_new ("%s/request-0000000001-9002", site.spool), "");
    file_write (
      text_new ("%s/request-0000000001-9003", site.spool),
      "zibrato request 1 librato\n= 5 0123456789abcdef 1 \nrow 1\n\n");
    file_write (text_new ("%s/request-0000000001-9004", site.spool),
                "zibrato request 1 librato\n= 0 0 1 \n\n");
    file_write (text_new ("%s/journal-0000009999", site.spool), "\1\2\3");
    file_write (text_new ("%s/notes.txt", site.spool), "an operator's");
    site_start (&site, NULL);
    process_await (site.worker, "event=ready");
    assert_int_equal (process_lines (site.worker, "event=damaged"), 6);
    assert_int_equal (s_count_files (text_new ("%s/damaged", site.spool)), 6);
    assert_string_equal (
      file_read (text_new ("%s/notes.txt", site.spool), NULL), "an operator's");
    //  good requests are sent all the same
    standin_script (site.standin, "");
    sink_t sink = {site.worker, site.standin};
    sink_await (&sink, NULL, "load.count", 0, 1);
    sink_stop (&sink);
}

//  --------------------------------------------------------------------------
//  What was refused

static process_t *
s_replay (const char *spool)
{
    return process_run (LIST (harness_path ("ZB_BIN"), "replay", spool), NULL);
}

//  A worker whose service has refused a row, and the file that this is in.
typedef struct {
    site_t site;
    sink_t sink;
    const char *rejected, *file;  //  its folder and itself
} refused_t;

static void
refused_begin (refused_t *self)
{
    broker_t *broker = broker_start ();
    self->site = site_new (broker, "spool");
    site_start (&self->site, NULL);
    self->sink = (sink_t){self->site.worker, self->site.standin};
    publisher_send (publisher_new (broker, "info|"),
                    "info|Gauge|old|7|1000|test");
    self->rejected = text_new ("%s/rejected", self->site.spool);
    self->file = s_await_file (self->rejected, "request-");
    process_await (self->site.worker, "event=rejected");
}

static void
refused_rows_are_kept_and_sent_again (void)
{
    refused_t self;
    refused_begin (&self);
    const char *file = self.file;
    assert_non_null (strstr (file_read (file, NULL), "too far in the past"));
    assert_non_null (strstr (file_read (file, NULL), "gauge|old|test|1000 "));
    //  nothing is mended: it comes back
    process_t *replay = s_replay (self.site.spool);
    assert_non_null (strstr (process_out (replay), "too far in the past"));
    assert_non_null (strstr (process_out (replay), "1 refused row"));
    process_await_nth (self.site.worker, "event=rejected", 2);
    file = s_await_file (self.rejected, "request-0000000000-");
    assert_string_equal (strrchr (file, '-'), "-r1");
    //  the row is mended by hand
    char *text = file_read (file, NULL), *time_at = strstr (text, "|1000 ");
    assert_non_null (time_at);
    file_write (file, text_new ("%.*s|%ld %s", (int) (time_at - text), text,
                                (long) time (NULL), time_at + 6));
    s_replay (self.site.spool);
    sink_await (&self.sink, "test", "old", 1, 7);
    assert_int_equal (s_count_files (self.rejected), 0);
    sink_stop (&self.sink);
    sink_check_count (&self.sink, "test", "old", 1);
    //  the worker may be away
    replay = s_replay (self.site.spool);
    assert_string_equal (process_out (replay),
                         "0 refused rows to be sent again\n");
}

//  What is no file of ours is left where it is, and holds up neither replay nor
//  a start.
static void
what_is_no_file_stops_no_replay (void)
{
    refused_t self;
    refused_begin (&self);
    const char *pipe = text_new ("%s/request-0000000000-a", self.rejected);
    const char *folder = text_new ("%s/request-0000000000-b", self.rejected);
    assert_int_equal (mkfifo (pipe, 0600), 0);
    assert_int_equal (mkdir (folder, 0700), 0);
    assert_non_null (
      strstr (process_out (s_replay (self.site.spool)), "1 refused row"));
    process_await_nth (self.site.worker, "event=rejected", 2);
    sink_stop (&self.sink);
    assert_int_equal (
      mkfifo (text_new ("%s/request-0000000001-0000", self.site.spool), 0600),
      0);
    site_start (&self.site, NULL);
    process_await (self.site.worker, "event=damaged");
    assert_int_equal (process_stop (self.site.worker, SIGTERM), 0);
    unlink (pipe);
    rmdir (folder);
}

//  An operator is root, the worker is not: what it is to take must be its own.
static void
replayed_files_are_the_workers (void)
{
    enum { NOBODY = 65534 };
    refused_t self;
    refused_begin (&self);
    sink_stop (&self.sink);
    assert_int_equal (chown (self.site.spool, NOBODY, NOBODY), 0);
    //  as an editor leaves it
    char *text = file_read (self.file, NULL);
    file_write (self.file, text_new ("%s\n", text));
    s_replay (self.site.spool);
    struct stat status;
    const char *moved =
      text_new ("%s/replay/%s", self.site.spool, strrchr (self.file, '/') + 1);
    assert_int_equal (stat (moved, &status), 0);
    assert_int_equal (status.st_uid, NOBODY);
    assert_int_equal (stat (text_new ("%s/replay", self.site.spool), &status),
                      0);
    assert_int_equal (status.st_uid, NOBODY);
}

//  A file is where the folder should be.
static void
a_refused_row_that_cannot_be_kept_stops_nothing (void)
{
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    assert_int_equal (mkdir (site.spool, 0700), 0);
    file_write (text_new ("%s/rejected", site.spool), "in the way");
    site_start (&site, NULL);
    sink_t sink = {site.worker, site.standin};
    void *publisher = publisher_new (broker, "info|");
    publisher_send (publisher, "info|Gauge|old|7|1000|test");
    process_await (site.worker, "event=rejected");
    process_await (site.worker, "event=reject_failed");
    publisher_send (publisher,
                    text_new ("info|Gauge|good|1|%ld|s", (long) time (NULL)));
    sink_await (&sink, "s", "good", 1, 0);
    sink_end_with_sum (&sink, NULL, "zibrato.rejected", 1);
    assert_int_equal (process_lines (site.worker, "event=reject_failed"), 1);
}

//  Half of 64 KiB are eight files. One that was replayed in vain is kept longest.
static void
of_refused_rows_the_newest_are_kept (void)
{
    enum { ROOM = 8 };
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    site.more = LIST ("--spool-max", "64K");
    standin_script (site.standin, "refuse*");
    site_start (&site, NULL);
    void *publisher = publisher_new (broker, "info|");
    const char *rejected = text_new ("%s/rejected", site.spool);
    publisher_send (publisher, text_new ("info|Gauge|poison.replayed|1|%ld|s",
                                         (long) time (NULL)));
    process_await (site.worker, "event=rejected");
    s_await_file (rejected, "request-");
    s_replay (site.spool);
    process_await_nth (site.worker, "event=rejected", 2);
    s_await_file (rejected, "request-0000000000-");
    for (int i = 0; i < 2 * ROOM; i++) {
        publisher_send (publisher, text_new ("info|Gauge|poison.%s.%d|1|%ld|s",
                                             i < ROOM ? "early" : "late", i,
                                             (long) time (NULL)));
        if (i % ROOM == ROOM - 1)
            process_await_nth (site.worker, "event=rejected", (size_t) i + 3);
    }
    //  the last are being set aside; what is too much goes at the next flush
    int64_t until = now_ms () + WAIT_MS;
    while ((s_count_with (rejected, "|poison.early.") > 0
            || s_count_with (rejected, "|poison.late.") != ROOM - 1)
           && now_ms () < until) {
        publisher_send (publisher, "info|Counter|c|1|1|s");
        poll_pause ();
    }
    assert_int_equal (s_count_with (rejected, "|poison.early."), 0);
    assert_int_equal (s_count_with (rejected, "|poison.late."), ROOM - 1);
    assert_int_equal (s_count_with (rejected, "|poison.replayed|"), 1);
    assert_int_equal (process_stop (site.worker, SIGTERM), 0);
}

static void
replay_wants_a_spool (void)
{
    process_t *replay =
      process_start (LIST (harness_path ("ZB_BIN"), "replay", s_folder), NULL);
    assert_int_equal (process_wait (replay), 1);
    assert_non_null (strstr (process_err (replay), "--spool"));
}

//  --------------------------------------------------------------------------
//  More names than there is room for

//  Sums the values of rows whose name begins so, without a parser: there are
//  very many.
static double
s_sum (const process_t *worker, const char *beginning)
{
    const char *key = text_new ("\"name\":\"%s", beginning);
    const char *at = worker->output[OUT].text;
    double sum = 0;
    while ((at = strstr (at, key))) {
        const char *value = strstr (at, "\"value\":");
        sum += value ? strtod (value + 8, NULL) : 0;
        at++;
    }
    return sum;
}

static void
a_million_names (void)
{
    enum {
        NAMES = SANITIZED ? 40000 : 1000000,
        MOST = SANITIZED ? 10000 : 250000
    };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (
      broker, LIST ("--levels", "info", "--max-series", text_new ("%d", MOST)));
    const char *const *env = broker_environment (broker);
    process_t *program =
      process_start (LIST (program_path ("measure")),
                     LIST (env[0], env[1], "ZIBRATO_MAX_SERIES=2000000",
                           "ZIBRATO_LINGER_MS=60000"));
    process_send (program, text_new ("many\t%d\n", NAMES));
    process_close_input (program);
    int64_t until = now_ms () + 4 * WAIT_MS;
    double own = 0, others = 0;
    while (own + others < NAMES && now_ms () < until) {
        for (int i = 0; i < 20; i++)
            poll_pause ();
        pthread_mutex_lock (&sink.worker->lock);
        own = s_sum (sink.worker, "many.");
        others = s_sum (sink.worker, "zibrato.overflow.counter");
        pthread_mutex_unlock (&sink.worker->lock);
    }
    assert_int_equal (process_wait (program), 0);
    const char *line = process_await (sink.worker, "event=overflow");
    assert_non_null (strstr (line, "source=\"not_specified\" name=\"many."));
    sink_stop (&sink);
    assert_true (s_sum (sink.worker, "many.") == MOST);
    assert_true (s_sum (sink.worker, "zibrato.overflow.counter")
                 == NAMES - MOST);
}

//  Series are remembered four times as many as there may be names. Of twenty
//  two have rows of their own, six are added up, the lines of the rest count.
static void
lines_beyond_what_is_remembered_are_counted (void)
{
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_stdout (broker, LIST ("--levels", "info", "--max-series", "2"));
    void *publisher = publisher_new (broker, "info|");
    for (int i = 0; i < 20; i++)
        publisher_send (
          publisher, text_new ("info|Counter|many.%d|1|%ld|s|%llx-1:%d:%d:1", i,
                               (long) time (NULL), time (NULL) * 1000ll, i, i));
    sink_end_with_sum (&sink, NULL, "zibrato.dropped", 12);
    sink_check_sum (&sink, "s", "many.0", 1);
    sink_check_sum (&sink, "s", "many.1", 1);
    sink_check_sum (&sink, NULL, "zibrato.overflow.counter", 6);
}

static const struct CMUnitTest tests[] = {
  TEST (a_full_disk_stops_nothing),
  TEST (killed_on_a_full_disk_counts_nothing_twice),
#if !SANITIZED
  TEST (a_slow_disk_fills_no_folder),
#endif
  TEST (a_disk_that_was_always_full_tells_lives_apart),
  TEST (the_folder_is_bounded),
  TEST (a_short_deadline_keeps_all_for_the_next_start),
  TEST (what_waits_aside_waits_for_the_next_start),
  TEST (a_second_worker_is_refused),
  TEST (damaged_files_are_set_aside),
  TEST (refused_rows_are_kept_and_sent_again),
  TEST (what_is_no_file_stops_no_replay),
  TEST (replayed_files_are_the_workers),
  TEST (a_refused_row_that_cannot_be_kept_stops_nothing),
  TEST (of_refused_rows_the_newest_are_kept),
  TEST (replay_wants_a_spool),
  TEST (a_million_names),
  TEST (lines_beyond_what_is_remembered_are_counted),
};

HARNESS_MAIN (tests)
