/*  test_serve_folder.c - a folder that the server cannot have, or not as it is: one line
    says why, and nothing in it is changed

    As a user who is not root, since root may write anywhere.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 120 NOTSAN - processes that end at once

#include "serve.h"

enum { NOBODY = 65534 };

static int
s_give (const char *path, const struct stat *status, int type,
        struct FTW *place)
{
    (void) status, (void) type, (void) place;
    return geteuid () == 0 ? chown (path, NOBODY, NOBODY) : 0;
}

//  Starts the mode as that user, with the data in this folder, and waits for its end.
static process_t *
s_run (const char *mode, const char *data)
{
    const char *argv[] = {"setpriv",
                          "--reuid",
                          text_new ("%d", NOBODY),
                          "--clear-groups",
                          harness_path ("ZB_BIN"),
                          mode,
                          "--data",
                          data,
                          "--listen",
                          "127.0.0.1:0",
                          "--port",
                          "0",
                          NULL};
    if (strcmp (mode, "serve") == 0)
        argv[10] = NULL;
    process_t *self = process_start (argv + (geteuid () == 0 ? 0 : 4), NULL);
    process_wait (self);
    return self;
}

//  A folder that a server has had, and its user's.
static const char *
s_used (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    assert_int_equal (serve_post (serve, "/v1/metrics", JSON,
                                  "{\"gauges\":{\"a\":{\"value\":1}}}")
                        .status,
                      200);
    serve_stop (serve);
    assert_int_equal (chmod (s_folder, 0755), 0);
    assert_int_equal (nftw (serve->folder, s_give, 16, FTW_PHYS), 0);
    return serve->folder;
}

//  Who refuses it ends with status 1, and a last line that says which and why.
static void
s_refuses (const char *data, const char *why)
{
    process_t *self = s_run ("serve", data);
    const char *text = process_err (self);
    size_t size = strlen (text), last = size ? size - 1 : 0;
    while (last && text[last - 1] != '\n')
        last--;
    if (self->status != 1 || strncmp (text + last, "zibrato: ", 9) != 0
        || !strstr (text + last, why))
        fail_msg ("status %d, %s does not say: %s", self->status, text, why);
}

//  --------------------------------------------------------------------------
//  Not writable

static void
what_may_not_be_written_is_named (void)
{
    static const struct {
        const char *file;
        mode_t mode, after;
        const char *why;
    } cases[] = {{".", 0500, 0700, "data: store.db: "},
                 {"store.lock", 0400, 0600, "data: store.lock: Permission"},
                 {"store.db", 0400, 0600, "data: store.db: cannot be written"},
                 {"store.db", 0000, 0600, "data: store.db: cannot be opened"},
                 {"tokens", 0000, 0600, "data/tokens: Permission denied"},
                 {"spool/lock", 0400, 0600, "data/spool: Permission denied"}};
    const char *data = s_used ();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = text_new ("%s/%s", data, cases[i].file);
        assert_int_equal (chmod (path, cases[i].mode), 0);
        s_refuses (data, cases[i].why);
        assert_int_equal (chmod (path, cases[i].after), 0);
    }
    //  nothing of that is left
    serve_t *serve = serve_start (NULL, "data", NULL);
    serve_stop (serve);
    serve_check (serve, "a", 1, 1);
}

static void
a_new_folder_may_not_be_made (void)
{
    const char *data = temporary_path ("data");
    assert_int_equal (chmod (s_folder, 0555), 0);
    s_refuses (data, "data: Permission denied");
    assert_int_equal (chmod (s_folder, 0755), 0);
    assert_int_equal (mkdir (data, 0555), 0);
    s_refuses (data, "data: store.lock: Permission denied");
}

//  Both ends, and the reason is that of the server.
static void
up_says_it_too (void)
{
    const char *data = temporary_path ("data");
    assert_int_equal (chmod (s_folder, 0755), 0);
    assert_int_equal (mkdir (data, 0555), 0);
    process_t *self = s_run ("up", data);
    assert_int_equal (self->status, 1);
    assert_non_null (
      strstr (process_err (self), "data: store.lock: Permission denied\n"));
}

//  --------------------------------------------------------------------------
//  Not ours

static void
what_is_no_database_is_refused (void)
{
    const char *data = s_used ();
    const char *path = text_new ("%s/store.db", data);
    size_t size;
    file_write (path, "This was a letter, and must stay one.\n");
    s_refuses (data, "data: store.db: ");
    assert_string_equal (file_read (path, &size),
                         "This was a letter, and must stay one.\n");
    assert_int_equal (unlink (path), 0);
    assert_int_equal (mkdir (path, 0700), 0);
    s_refuses (data, "data: store.db: ");
}

//  Who has gone back to an older one keeps what the newer one has stored.
static void
what_a_later_version_has_made_is_refused (void)
{
    const char *data = s_used ();
    sqlite3 *db;
    assert_int_equal (sqlite3_open (text_new ("%s/store.db", data), &db),
                      SQLITE_OK);
    assert_int_equal (
      sqlite3_exec (db, "PRAGMA user_version = 1000", NULL, NULL, NULL),
      SQLITE_OK);
    sqlite3_close (db);
    s_refuses (data, "data: store.db: is of a later version of zibrato\n");
}

static const struct CMUnitTest tests[] = {
  TEST (what_may_not_be_written_is_named), TEST (a_new_folder_may_not_be_made),
  TEST (up_says_it_too), TEST (what_is_no_database_is_refused),
  TEST (what_a_later_version_has_made_is_refused)};

HARNESS_MAIN (tests)
