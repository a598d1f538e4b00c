/*  The worker's ingest without its socket: messages in, requests out

         wrap: spool_request_add

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#define _GNU_SOURCE  //  nftw

#include "../executable.h"

#include "../../folder.h"

#include "../../../contrib/pipeline/row.h"

#include <dirent.h>
#include <semaphore.h>
#include <sys/stat.h>

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "test",
                                       .wants = ZB_WANTS_SECONDS,
                                       .batch = 100};

static worker_t *
s_worker_new (void)
{
    worker_t *self = (worker_t *) zmalloc (sizeof *self);
    s_worker.batch = (int64_t) s_backend.batch;
    worker_init (self, &s_backend);
    strcpy (self->ingest.source, "here");
    return self;
}

static void
s_worker_destroy (worker_t **self_p)
{
    worker_t *self = *self_p;
    worker_clear (self);
    free (self);
    *self_p = NULL;
}

static void
s_receive (worker_t *self, const char *text)
{
    ingest_message (&self->ingest, text, strlen (text));
}

//  How many rows wait whose name, or name and value ("n=4"), begins so; requests
//  leave the queue.
static size_t
s_rows (worker_t *self, const char *beginning)
{
    request_t *request;
    size_t count = 0, i;
    while ((request = queue_pop (self->queue))) {
        rows_t rows = {.row = NULL};
        assert_true (request->rows <= s_backend.batch);
        assert_int_equal (
          rows_read (&rows, request->text, request->size, request->rows), 0);
        for (i = 0; i < rows.count; i++) {
            char text[512];
            snprintf (text, sizeof text, "%s=%.17g", rows.row[i].name,
                      rows.row[i].value);
            count += strncmp (text, beginning, strlen (beginning)) == 0;
        }
        rows_clear (&rows);
        request_destroy (&request);
    }
    return count;
}

//  A flush says every entry once.
static void
test_entries_once (void **state)
{
    enum { SERIES = 5000 };
    worker_t *self = s_worker_new ();
    char line[128];
    int i;
    (void) state;
    for (i = 0; i < SERIES; i++) {
        snprintf (line, sizeof line, "info|Counter|name.%d|2|1760000000|s", i);
        s_receive (self, line);
    }
    worker_flush (self, wall_us () / 1000000, false);
    assert_int_equal (worker_save (self, 0), 1);
    assert_int_equal (s_rows (self, "name."), SERIES);
    s_worker_destroy (&self);
}

//  A flush that is due while the last one is being written waits for it, and
//  loses nothing. Rows are made only when they may.
static sem_t s_may_fit;

static int
s_fit_later (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    (void) text, (void) is_source, (void) fitted;
    sem_wait (&s_may_fit);
    sem_post (&s_may_fit);
    return 0;
}

static void
test_flush_upon_flush (void **state)
{
    enum { SERIES = 1000 };
    static const zb_backend_t backend = {.name = "later", .fit = s_fit_later};
    worker_t *self = s_worker_new ();
    zloop_t *loop = zloop_new ();
    char line[128];
    int i, flush;
    (void) state;
    sem_init (&s_may_fit, 0, 0);
    self->flush->seconds.backend = &backend;
    assert_int_equal (flush_start (self->flush), 0);
    for (flush = 0; flush < 3; flush++) {
        for (i = 0; i < SERIES; i++) {
            snprintf (line, sizeof line, "info|Counter|n.%d|1|1760000000|s", i);
            s_receive (self, line);
        }
        worker_flush_soon (self, loop, wall_us () / 1000000);
        assert_int_equal (self->ingest.window.number,
                          2);  //  the first has its own
        assert_true (self->slicing);
    }
    assert_true (self->due);
    sem_post (&s_may_fit);
    flush_wait (self->flush);
    worker_slice (loop, 0, self);
    assert_int_equal (self->ingest.window.number, 3);
    worker_finish (self);
    assert_false (self->due);
    assert_int_equal (s_rows (self, "n."), 2 * SERIES);  //  two in one
    zloop_destroy (&loop);
    s_worker_destroy (&self);
    sem_destroy (&s_may_fit);
}

//  Nothing measured, nothing sent: not even the worker's own health.
static void
test_empty_flush (void **state)
{
    worker_t *self = s_worker_new ();
    (void) state;
    worker_flush (self, wall_us () / 1000000, false);
    assert_int_equal (worker_save (self, 0), 1);
    assert_null (self->queue->head);
    s_receive (self, "info|Gauge|depth|1|1760000000|s\n");
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, 0)) {
    }
    assert_non_null (self->queue->head);
    s_worker_destroy (&self);
}

//  A sum may be beyond all numbers; the row is not made then, and counted.
static void
test_bad_rows (void **state)
{
    worker_t *self = s_worker_new ();
    (void) state;
    s_receive (self, "info|Gauge|depth|1|1760000000|s\n"
                     "info|Gauge|depth|2|1760000000|s\n");
    self->ingest.window.first->samples->sum = INFINITY;
    s_receive (self, "info|Gauge|other|1|1760000000|s\n");
    worker_flush (self, wall_us () / 1000000, true);
    while (!worker_save (self, 0)) {
    }
    assert_int_equal (self->flush->unwritten, 1);
    assert_int_equal (s_rows (self, "other="), 1);
    s_worker_destroy (&self);
}

//  Good lines of a message count, whatever stands between them.
static void
test_message (void **state)
{
    worker_t *self = s_worker_new ();
    (void) state;
    s_receive (self, "info|Counter|a|1|1760000000|s\n"
                     "nonsense\n"
                     "info|Counter|a|NaN|1760000000|s\n"
                     "info|Counter|a|2|1760000000|s\n"
                     "\n"
                     "more nonsense\n"
                     "info|Counter|a|4|1760000000|s\n");
    assert_int_equal (self->ingest.received, 7);
    assert_int_equal (self->ingest.malformed_lines, 4);
    assert_string_equal (self->ingest.malformed[0].reason, "too few fields");
    assert_string_equal (self->ingest.malformed[0].example, "nonsense");
    assert_int_equal (self->ingest.malformed[0].count, 2);
    assert_string_equal (self->ingest.malformed[1].reason, "bad value");
    assert_string_equal (self->ingest.malformed[2].reason, "empty line");
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, 0)) {
    }
    assert_int_equal (s_rows (self, "a=7"), 1);
    s_worker_destroy (&self);
}

//  Increments of one window end in one row; the next window begins at zero.
static void
test_windows (void **state)
{
    worker_t *self = s_worker_new ();
    (void) state;
    s_receive (self, "info|Counter|a|5|1760000000|s|ffffffffffff-1:0:0:5\n"
                     "info|Counter|a|2|1760000001|s|ffffffffffff-1:1:0:7\n"
                     "info|Counter|a|0|1760000002|s|ffffffffffff-1:2:0:7\n");
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, 0)) {
    }
    assert_int_equal (s_rows (self, "a=7"), 1);
    s_receive (self, "info|Counter|a|0|1760000003|s|ffffffffffff-1:3:0:7\n");
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, 0)) {
    }
    assert_int_equal (s_rows (self, "a="), 0);
    s_receive (self, "info|Counter|a|3|1760000003|s|ffffffffffff-1:5:0:10\n");
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, 0)) {
    }
    assert_int_equal (s_rows (self, "a=3"), 1);
    s_worker_destroy (&self);
}

//  --------------------------------------------------------------------------
//  Who sends without measure

//  One name, but a second of its own for each reading: a window that would grow
//  without end is flushed before the time. One that has a row of each name is
//  not.
static void
test_early_flush (void **state)
{
    worker_t *self = s_worker_new ();
    zloop_t *loop = zloop_new ();
    char line[128];
    int i, most;
    (void) state;
    self->ingest.names.most = 50 * 1000;
    most = ENTRIES_MAX + 100 * 1000;
    for (i = 0; i < most; i++) {
        assert_int_equal (self->ingest.window.number, 1);
        worker_flush_early (self, loop);
        snprintf (line, sizeof line, "info|Gauge|g|1|%d|s", 1000000000 + i);
        s_receive (self, line);
    }
    worker_flush_early (self, loop);
    assert_int_equal (self->ingest.window.number, 2);
    assert_int_equal (self->ingest.window.entries.count, 0);
    while (!worker_save (self, INT64_MAX / 2)) {
    }
    assert_int_equal (s_rows (self, "g=1"), most);
    zloop_destroy (&loop);
    s_worker_destroy (&self);
}

//  --------------------------------------------------------------------------
//  A spool that may hold 64 KiB

enum { SPOOL_MAX = 64 * 1024 };

static char s_dir[] = "/tmp/zibrato-ingest-XXXXXX";
static int64_t s_most;  //  bytes of the folder's requests, as rows were made

static int64_t
s_folder_bytes (void)
{
    DIR *dir = opendir (s_dir);
    struct dirent *item;
    struct stat status;
    int64_t bytes = 0;
    while ((item = readdir (dir)))
        if (strncmp (item->d_name, "request-", 8) == 0
            && fstatat (dirfd (dir), item->d_name, &status, 0) == 0)
            bytes += status.st_size;
    closedir (dir);
    return bytes;
}

int __real_spool_request_add (spool_t *self, const char *text, size_t size,
                              size_t rows, char name[SPOOL_NAME_MAX]);

int
__wrap_spool_request_add (spool_t *self, const char *text, size_t size,
                          size_t rows, char name[SPOOL_NAME_MAX])
{
    int rc = __real_spool_request_add (self, text, size, rows, name);
    int64_t bytes = s_folder_bytes ();
    s_most = bytes > s_most ? bytes : s_most;
    return rc;
}

static worker_t *
s_worker_new_spooled (const zb_backend_t *backend)
{
    worker_t *self = (worker_t *) zmalloc (sizeof *self);
    strcpy (strrchr (s_dir, '-'), "-XXXXXX");
    assert_non_null (mkdtemp (s_dir));
    s_worker.batch = 10;
    s_worker.spool_max = SPOOL_MAX;
    s_worker.spool = s_dir;
    worker_init (self, backend);
    strcpy (self->ingest.source, "here");
    worker_load (self);
    return self;
}

static void
s_worker_destroy_spooled (worker_t **self_p)
{
    s_worker_destroy (self_p);
    folder_remove (s_dir);
    s_worker.spool_max = 256 * 1024 * 1024;
    s_worker.spool = NULL;
}

//  A journal that has its share is flushed before the time, and not before.
static void
test_early_journal (void **state)
{
    static const char line[] = "info|Counter|n|1|1760000000|s\n";
    worker_t *self = s_worker_new_spooled (&s_backend);
    zloop_t *loop = zloop_new ();
    uint32_t number = self->ingest.window.number;
    (void) state;
    while (spool_journal_size (self->spool) <= SPOOL_MAX / JOURNAL_SHARE) {
        worker_flush_early (self, loop);
        assert_int_equal (self->ingest.window.number, number);
        spool_journal (self->spool, line, sizeof line - 1, 0);
        s_receive (self, line);
    }
    worker_flush_early (self, loop);
    assert_int_equal (self->ingest.window.number, number + 1);
    assert_int_equal (spool_journal_size (self->spool), 0);
    worker_finish (self);
    zloop_destroy (&loop);
    s_worker_destroy_spooled (&self);
}

//  A flush that is larger than the folder may be does not fill it meanwhile: its
//  own first rows go, counted.
static void
test_make_room (void **state)
{
    enum { ROWS = 1000 };
    worker_t *self = s_worker_new_spooled (&s_backend);
    char line[320];
    uint64_t rows = 0;
    request_t *request;
    int i;
    (void) state;
    s_most = 0;
    for (i = 0; i < ROWS; i++) {
        snprintf (line, sizeof line, "info|Counter|n.%0200d|1|1760000000|s", i);
        s_receive (self, line);
    }
    worker_flush (self, wall_us () / 1000000, false);
    worker_finish (self);
    assert_in_range (s_most, 1, SPOOL_MAX);
    assert_true (self->queue->dropped_rows > 0);
    while ((request = queue_pop (self->queue))) {
        rows += request->rows;
        request_destroy (&request);
    }
    //  the rest are the worker's own
    assert_in_range (rows + self->queue->dropped_rows, ROWS, ROWS + 20);
    s_worker_destroy_spooled (&self);
}

//  A ledger's file that is beyond its share becomes small again, by the streams
//  that are silent. It never takes the room of rows.
static void
test_ledger_share (void **state)
{
    enum { STREAMS = 10000, MOST = 1024 * 1024 };
    worker_t *self = s_worker_new_spooled (&s_backend);
    int64_t share = MOST / LEDGER_SHARE;
    char line[128];
    int i;
    (void) state;
    s_worker.spool_max = MOST;
    for (i = 0; i < STREAMS; i++) {
        snprintf (line, sizeof line, "info|Counter|n|1|1760000000|s|%x-1:0:0:1",
                  i);
        s_receive (self, line);
    }
    worker_flush (self, wall_us () / 1000000, false);
    worker_finish (self);
    assert_true (spool_ledger_bytes (self->spool) > share);
    worker_clean (NULL, 0, self);
    assert_int_equal (self->ingest.ledger->streams.count, STREAMS);
    self->ingest.ledger->awake_ms += SILENT_FULL_MS;
    s_receive (self, "info|Counter|n|1|1760000000|s|0-1:1:0:2");
    for (i = 0; i < STREAMS && self->ingest.ledger->streams.count > 1; i++)
        worker_clean (NULL, 0, self);
    assert_int_equal (self->ingest.ledger->streams.count, 1);
    worker_flush (self, wall_us () / 1000000, false);
    worker_finish (self);
    assert_in_range (spool_ledger_bytes (self->spool), 1, share);
    assert_int_equal (self->queue->dropped_rows, 0);
    s_worker_destroy_spooled (&self);
}

static int
s_admit (worker_t *self, char kind, int number)
{
    char text[32];
    int size = snprintf (text, sizeof text, "%c%d", kind, number);
    zb_line_t line = {.type = ZB_TYPE_GAUGE,
                      .name = text,
                      .name_size = (size_t) size,
                      .source = "s",
                      .source_size = 1};
    return names_admit (&self->ingest.names, &line);
}

//  Whoever invents new names every day, and keeps the old ones: names are twice
//  Lines that have what the line before has mean what they would alone, though an
//  entry may be of a second or of the flush.
static void
test_like_before (void **state)
{
    worker_t *self = s_worker_new ();
    const entry_t *entry;
    (void) state;
    self->ingest.by_flush = true;
    s_receive (self, "l|Timer|t|1|1760000000|s\n"
                     "l|Gauge|g|2|1760000000|s\n"
                     "l|Gauge|h|3|1760000000|s2\n"
                     "l|Timer|u|1|0|s|a-b:1:1:1:1:1:1:1:0=1\n"
                     "l|Timer|v|1|0|s|a-b:2:1:1:1:1:1:1:0=|1\n"
                     "l|Timer|v|1|0|s|a-b:3:3:1:1:1:1:1:0=1,\n"
                     "l|Gauge|i|1|0|s|a-b:1");
    entry = self->ingest.window.first;
    assert_string_equal (entry->text, "t");
    assert_int_equal (entry->second, 0);
    entry = entry->next;
    assert_string_equal (entry->text, "g");
    assert_int_equal (entry->second, 1760000000);
    entry = entry->next;
    assert_string_equal (entry->text + entry->name_size + 1, "s2");
    entry = entry->next;
    assert_string_equal (entry->text, "u");
    assert_int_equal (entry->second, 0);
    entry = entry->next;
    assert_string_equal (entry->text, "i");
    assert_int_equal (entry->second, 1);
    assert_null (entry->next);
    assert_int_equal (self->ingest.malformed_lines, 2);
    assert_string_equal (self->ingest.malformed[0].reason, "too many fields");
    assert_string_equal (self->ingest.malformed[1].reason, "bad stream");
    s_worker_destroy (&self);
}

//  A line that was refused is none that another can be like.
static void
test_like_refused (void **state)
{
    worker_t *self = s_worker_new ();
    const entry_t *entry;
    (void) state;
    s_receive (self, "l|Gauge|a|1|1760000000|s");
    s_receive (self, "l|Gauge|b|1|5|\n"
                     "l|Gauge|c|1|1760000000|s");
    entry = self->ingest.window.first->next;
    assert_string_equal (entry->text, "c");
    assert_int_equal (entry->second, 1760000000);
    assert_null (entry->next);
    assert_int_equal (self->ingest.malformed_lines, 1);
    s_worker_destroy (&self);
}

//  the bound at most, and those that were there first stay.
static void
test_names (void **state)
{
    enum { MOST = 100, DAYS = 10 };
    worker_t *self = s_worker_new ();
    int day, i, admitted;
    (void) state;
    self->ingest.names.most = MOST;
    for (day = 0; day < DAYS; day++) {
        for (i = 0, admitted = 0; i < 2 * MOST; i++)
            admitted += s_admit (self, (char) ('a' + day), i);
        assert_in_range (admitted, 0, MOST);
        assert_true (day > 0 || admitted == MOST);
        for (i = 0; i < day * 2 * MOST; i++) {
            admitted =
              s_admit (self, (char) ('a' + i / (2 * MOST)), i % (2 * MOST));
            assert_true (i >= MOST || admitted);
        }
        assert_in_range (self->ingest.names.now.count, MOST, 2 * MOST);
        names_turn (&self->ingest.names);
    }
    s_worker_destroy (&self);
}

//  Streams without number: those beyond the bound are not met, and their lines
//  counted; who is known goes on.
static void
test_streams (void **state)
{
    enum { MOST = 100 };
    worker_t *self = s_worker_new ();
    char line[128];
    int i;
    (void) state;
    self->ingest.ledger->series_max = MOST;
    for (i = 0; i < 3 * MOST; i++) {
        snprintf (
          line, sizeof line, "info|%s|n|1|1760000000|s|ffffffffffff-%x:0%s",
          i % 2 ? "Counter" : "Gauge", (unsigned) i, i % 2 ? ":0:1" : "");
        s_receive (self, line);
    }
    assert_int_equal (self->ingest.ledger->streams.count, MOST);
    assert_int_equal (self->ingest.ledger->unmet, 2 * MOST);
    s_receive (self, "info|Counter|n|1|1760000000|s|ffffffffffff-1:1:0:2");
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, 0)) {
    }
    assert_int_equal (s_rows (self, "zibrato.dropped=200"), 1);
    s_worker_destroy (&self);
}

//  What a ledger had met before it stays, whatever the bound is now.
static void
test_restore_beyond (void **state)
{
    ledger_t *ledger = ledger_new ();
    static const char *const line[] = {
      "info|Counter|a|0|0|s|ffffffffffff-1:0:0:5",
      "info|Counter|b|0|0|s|ffffffffffff-2:0:0:5"};
    (void) state;
    ledger->series_max = 1;
    assert_int_equal (ledger_restore (ledger, line[0], strlen (line[0])), 0);
    assert_int_equal (ledger_restore (ledger, line[1], strlen (line[1])), 0);
    assert_int_equal (ledger->series.count, 2);
    assert_int_equal (ledger->series_max, 1);
    ledger_destroy (&ledger);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_entries_once),
                                       cmocka_unit_test (test_flush_upon_flush),
                                       cmocka_unit_test (test_empty_flush),
                                       cmocka_unit_test (test_message),
                                       cmocka_unit_test (test_windows),
                                       cmocka_unit_test (test_bad_rows),
                                       cmocka_unit_test (test_early_flush),
                                       cmocka_unit_test (test_early_journal),
                                       cmocka_unit_test (test_make_room),
                                       cmocka_unit_test (test_ledger_share),
                                       cmocka_unit_test (test_like_before),
                                       cmocka_unit_test (test_like_refused),
                                       cmocka_unit_test (test_names),
                                       cmocka_unit_test (test_streams),
                                       cmocka_unit_test (test_restore_beyond)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
