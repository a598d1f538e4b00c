/*  test_damaged.c - a spool's folder in which something is wrong: what is not
    whole is set aside, the rest goes on, at the first start and at the next

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "ledger.h"
#include "line.h"
#include "spool.h"
#include "stream.h"
#include "table.h"

static char s_dir[64];

//  What a start has handed over.
typedef struct {
    size_t requests, rows, lines;
    int64_t came_ms;  //  the lines, as the journal says
} found_t;

static void
s_state (void *argument, const char *line, size_t size)
{
    (void) argument, (void) line, (void) size;
}

static void
s_request (void *argument, const char *name, size_t rows, size_t size)
{
    found_t *self = (found_t *) argument;
    (void) name, (void) size;
    self->requests++;
    self->rows += rows;
}

static void
s_messages (void *argument, const char *text, size_t size, int64_t came_ms)
{
    found_t *self = (found_t *) argument;
    while (size--)
        self->lines += *text++ == '\n';
    self->came_ms = came_ms;
}

//  A worker comes, and dies before it has done anything.
static found_t
s_start (void)
{
    static const spool_reader_t reader = {s_state, s_request, s_messages};
    found_t found = {0};
    spool_t *spool = spool_new (s_dir, "test", 1 << 30);
    assert_non_null (spool);
    spool_load (spool, &reader, &found);
    spool_destroy (&spool);
    return found;
}

static int
s_is_there (const char *name)
{
    char path[512];
    snprintf (path, sizeof path, "%s/%s", s_dir, name);
    return access (path, F_OK) == 0;
}

//  A file with one record: so many bytes, and such a head.
static void
s_write (const char *name, const char *kind, const char *head, const char *text,
         size_t size)
{
    char path[512];
    FILE *file;
    snprintf (path, sizeof path, "%s/%s", s_dir, name);
    file = fopen (path, "w");
    assert_non_null (file);
    fprintf (file, "zibrato %s 1 test\n= %zu %016" PRIx64 " %s\n", kind, size,
             table_digest (0, text, size), head);
    fwrite (text, 1, size, file);
    fputc ('\n', file);
    assert_int_equal (fclose (file), 0);
}

static int
s_setup (void **state)
{
    (void) state;
    strcpy (s_dir, "/tmp/zibrato-damaged-XXXXXX");
    return mkdtemp (s_dir) ? 0 : -1;
}

static int
s_teardown (void **state)
{
    char command[128];
    (void) state;
    snprintf (command, sizeof command, "rm -r '%s'", s_dir);
    return system (command);
}

//  --------------------------------------------------------------------------
//  Requests

//  The number of rows is what a sender goes by.
static void
test_request_rows (void **state)
{
    static const struct {
        const char *head, *text;
        size_t size;
    } bad[] = {{"3 ", "a\nb\n", 4},
               {"1 ", "a\nb\n", 4},
               {"0 ", "", 0},
               {"1 ", "a", 1},
               {"2 ", "a\nb", 3},
               {"1 ", "a\0b\n", 4},
               {"1000000000000000000 ", "a\nb\n", 4},
               {"18446744073709551616 ", "a\nb\n", 4}};
    char name[64], aside[80];
    size_t i;
    found_t found;
    (void) state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf (name, sizeof name, "request-0000000000-%04zu", i);
        s_write (name, "request", bad[i].head, bad[i].text, bad[i].size);
    }
    s_write ("request-0000000000-9999", "request", "2 ", "a\nb\n", 4);
    found = s_start ();
    assert_int_equal (found.requests, 1);
    assert_int_equal (found.rows, 2);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf (aside, sizeof aside, "damaged/request-0000000000-%04zu", i);
        assert_true (s_is_there (aside));
    }
    assert_int_equal (s_start ().rows, 2);
}

//  A name that is longer than any of ours is not of us.
static void
test_long_names (void **state)
{
    static const char *const kinds[] = {"ledger", "request", "journal"};
    char name[256];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        memset (name, 'x', sizeof name);
        name[(size_t) sprintf (name, "%s-1-", kinds[i])] = 'x';
        name[250] = 0;
        s_write (name, kinds[i], i ? "1 " : "1 end", "a\n", 2);
        s_start ();
        assert_true (s_is_there (name));
    }
}

//  --------------------------------------------------------------------------
//  Ledgers

//  What the flush of a damaged ledger has made is not lost with it, neither at
//  the start that finds it so, nor at the one after.
static void
test_damaged_ledger (void **state)
{
    int start;
    found_t found;
    (void) state;
    s_write ("ledger-0000000007", "ledger", "7 not the end", "|ledger|1|0|0\n",
             14);
    s_write ("request-0000000007-0000", "request", "1 ", "a\n", 2);
    s_write ("request-0000000008-0000", "request", "1 ", "b\n", 2);
    s_write ("journal-0000000008", "journal", "8 ", "x\ny\n", 4);
    for (start = 0; start < 3; start++) {
        found = s_start ();
        assert_int_equal (found.requests, 1);
        assert_int_equal (found.lines, 2);
    }
    assert_true (s_is_there ("damaged/ledger-0000000007"));
}

//  What came is handed over as of then, if the journal says when that was: one of
//  a version before does not.
static void
test_journal_time (void **state)
{
    spool_t *spool = spool_new (s_dir, "test", 1 << 30);
    found_t found;
    (void) state;
    spool_flush_begin (spool, true);
    spool_flush_open (spool);
    assert_int_equal (spool_commit (spool), 0);
    spool_journal (spool, "a\nb", 3, 7000000000123);
    spool_journal (spool, "c\n", 2, 7000000000123);
    spool_journal_write (spool);
    spool_destroy (&spool);
    found = s_start ();
    assert_int_equal (found.lines, 3);
    assert_int_equal (found.came_ms, 7000000000123);
    s_write ("journal-0000000009", "journal", "9 ", "x\n", 2);
    found = s_start ();
    assert_int_equal (found.lines, 4);
    assert_int_equal (found.came_ms, -1);
}

//  A stream's line that makes no sense changes nothing.
static void
test_bad_streams (void **state)
{
    static const char *const bad[] = {
      "|stream|info|1-1|1|1:0",  //  too few fields
      "|stream||1-1|1|1:0|1:0:5:4|",
      "|stream|info||1|1:0|1:0:5:4|",
      "|stream|info|1-1|x|1:0|1:0:5:4|",
      "|stream|info|1-1|-9223372036854775808|1:0|1:0:5:4|",
      "|stream|info|1-1|1|1|1:0:5:4|",
      "|stream|info|1-1|1|1:0|1:0:5|",
      "|stream|info|1-1|1|1:0|1:6:5:0|",  //  ends before it begins
      "|stream|info|1-1|1|1:0|1:0:5:6|",  //  more came than there were
      "|ledger|1|2",
      "|ledger|x|2|3",
      "|other|1|2|3",
      "",
      "info|Counter|n|1|2|s",
      "info|Gauge|n|1|2|s|1-1:1"};
    ledger_t *ledger = ledger_new ();
    size_t i;
    (void) state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (ledger_restore (ledger, bad[i], strlen (bad[i])) != -1)
            fail_msg ("%s: taken for good", bad[i]);
        assert_int_equal (ledger->streams.count, 0);
    }
    assert_int_equal (ledger_lost (ledger), 0);
    ledger_destroy (&ledger);
}

//  Readings that are missing outside of the window, however many, take no time
//  and change nothing.
static void
test_missing (void **state)
{
    static const char line[] =
      "|stream|info|1-1|1|1:0|1:0:18446744073709551615:18446744073709551613"
      "|0=18446744073709551000,18446744073709551600=2,";
    zb_line_t reading = {.type = ZB_TYPE_GAUGE,
                         .level = "info",
                         .level_size = 4,
                         .id = "1-1",
                         .id_size = 3};
    ledger_t *ledger = ledger_new ();
    uint64_t seq, taken = 0;
    (void) state;
    assert_int_equal (ledger_restore (ledger, line, strlen (line)), 0);
    assert_int_equal (ledger_lost (ledger), 2);
    for (seq = UINT64_MAX - GAUGE_WINDOW; seq != UINT64_MAX; seq++) {
        reading.seq = seq;
        taken += ledger_gauge (ledger, &reading) == 0;
    }
    assert_int_equal (taken, 2);
    assert_int_equal (ledger_lost (ledger), 0);
    ledger_destroy (&ledger);
}

#define IN_FOLDER(test)                                                        \
    cmocka_unit_test_setup_teardown (test, s_setup, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
      IN_FOLDER (test_request_rows),       IN_FOLDER (test_long_names),
      IN_FOLDER (test_damaged_ledger),     IN_FOLDER (test_journal_time),
      cmocka_unit_test (test_bad_streams), cmocka_unit_test (test_missing)};
    return cmocka_run_group_tests_name ("damaged", tests, NULL, NULL);
}
