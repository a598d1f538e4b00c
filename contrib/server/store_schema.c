/*  store_schema - the tables of the database. The contract is in store_schema.h.

    Whoever needs a table adds a row to the end of s_steps. A database says in
    user_version how many of the rows it has; the others are done when it is opened.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_schema.h"
#include "sql.h"

#include <stdio.h>

//  Pages and vacuum can be chosen before the first table only. The rest is of the
//  connection. A commit is synced; the log is written back by the writer, which
//  knows when nobody waits. Debian's SQLite would overwrite what is deleted.
static const char s_settings[] = "PRAGMA page_size = 8192;"
                                 "PRAGMA auto_vacuum = INCREMENTAL;"
                                 "PRAGMA journal_mode = WAL;"
                                 "PRAGMA synchronous = FULL;"
                                 "PRAGMA secure_delete = OFF;"
                                 "PRAGMA wal_autocheckpoint = 0;"
                                 "PRAGMA journal_size_limit = 67108864;"
                                 "PRAGMA cache_size = -16384;";

//  What a row of table document takes, about: name, body, and two entries of indices.
#define BYTES_OF(row)                                                          \
    "(100 + 2 * length (CAST (" row ".name AS BLOB))"                          \
    " + length (CAST (" row ".body AS BLOB)))"
#define DOCUMENT_BYTES BYTES_OF ("document")
#define NEW_BYTES      BYTES_OF ("new")
#define OLD_BYTES      BYTES_OF ("old")

static const char *const s_steps[] = {
  //  IDs are never used again: what was of a removed one is found by nobody.
  "CREATE TABLE metric ("
  " id INTEGER PRIMARY KEY AUTOINCREMENT,"
  " name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
  " type INTEGER NOT NULL,"  //  metric_type_t
  " period INTEGER NOT NULL DEFAULT 0,"
  " display_name TEXT, description TEXT, attributes TEXT, composite TEXT)"
  " STRICT",

  "CREATE TABLE series ("
  " id INTEGER PRIMARY KEY AUTOINCREMENT,"
  " metric INTEGER NOT NULL,"
  " source TEXT NOT NULL,"         //  "": none
  " tags TEXT NOT NULL,"           //  KEY=VALUE;..., keys ascend
  " first INTEGER, last INTEGER)"  //  points that were packed
  " STRICT;"
  "CREATE INDEX series_metric ON series (metric)",

  //  The inbox of old; what follows has another one.
  "CREATE TABLE inbox ("
  " time INTEGER NOT NULL, series INTEGER NOT NULL,"
  " sum REAL NOT NULL, n INTEGER, min REAL, max REAL, sum_squares REAL,"
  " last REAL, buckets BLOB,"
  " PRIMARY KEY (time, series)) WITHOUT ROWID, STRICT",

  //  A table for each of the levels (kept.h), since what is added at the end of a
  //  table fills its pages. id is the hour of its begin << 32 | series; data is in
  //  chunk.h.
  "CREATE TABLE chunk_0 (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
  "CREATE TABLE chunk_1 (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
  "CREATE TABLE chunk_2 (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
  "CREATE TABLE chunk_3 (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",

  //  What is before `since` is not kept at this level.
  "CREATE TABLE level ("
  " level INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;"
  "INSERT INTO level VALUES (0, 0), (1, 0), (2, 0), (3, 0)",

  //  Requests that were stored, so that a repeated one is not.
  "CREATE TABLE request ("
  " key BLOB PRIMARY KEY, digest INTEGER NOT NULL, time INTEGER NOT NULL)"
  " WITHOUT ROWID, STRICT",

  //  What users keep beside measurements: documents.h.
  "CREATE TABLE document ("
  " id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,"
  " parent INTEGER NOT NULL, time INTEGER NOT NULL,"
  " changed INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE,"
  " body TEXT NOT NULL) STRICT;"
  "CREATE INDEX document_name ON document (kind, parent, name);"
  "CREATE INDEX document_time ON document (kind, parent, time)",

  //  What a request's rows were refused for, as store_write.c writes it; null: none
  //  was. From here on a chunk may say that readings began anew (chunk.h), which
  //  earlier versions cannot read.
  "ALTER TABLE request ADD COLUMN refused BLOB",

  //  Rows as they came, until the packer takes them; id is in inbox.h. What is null
  //  follows from the columns before it: n is 1, min, max and last are the sum, and
  //  so on. With two columns for a key, a row would take half as long again.
  "CREATE TABLE inbox_of_ids ("
  " id INTEGER PRIMARY KEY,"
  " sum REAL NOT NULL, n INTEGER, min REAL, max REAL, sum_squares REAL,"
  " last REAL, buckets BLOB) STRICT;"
  "INSERT INTO inbox_of_ids SELECT time << 31 | series, sum, n, min, max,"
  " sum_squares, last, buckets FROM inbox;"
  "DROP TABLE inbox;"
  "ALTER TABLE inbox_of_ids RENAME TO inbox",

  //  1: nobody but clients of Librato has sent the metric. Of older ones that is not
  //  known; what a program sends next says what they are.
  "ALTER TABLE metric ADD COLUMN posted INTEGER NOT NULL DEFAULT 1",

  //  What annotations take: documents of kinds 1 and 2 (documents.h). Whoever changes
  //  one need not know of it.
  "CREATE TABLE annotations (bytes INTEGER NOT NULL) STRICT;"
  "INSERT INTO annotations SELECT ifnull (sum " DOCUMENT_BYTES ", 0)"
  " FROM document WHERE kind IN (1, 2);"
  "CREATE TRIGGER annotation_new AFTER INSERT ON document"
  " WHEN new.kind IN (1, 2) BEGIN"
  " UPDATE annotations SET bytes = bytes + " NEW_BYTES "; END;"
  "CREATE TRIGGER annotation_changed AFTER UPDATE ON document"
  " WHEN new.kind IN (1, 2) BEGIN"
  " UPDATE annotations SET bytes = bytes + " NEW_BYTES " - " OLD_BYTES "; END;"
  "CREATE TRIGGER annotation_gone AFTER DELETE ON document"
  " WHEN old.kind IN (1, 2) BEGIN"
  " UPDATE annotations SET bytes = bytes - " OLD_BYTES "; END",
};

enum { STEPS = sizeof s_steps / sizeof *s_steps };

//  What SQLite has against it.
static const char *
s_wrong (sqlite3 *db)
{
    static char text[128];
    snprintf (text, sizeof text, "store.db: %s", sqlite3_errmsg (db));
    return text;
}

static int
s_do_step (sqlite3 *db, int64_t step, const char **why)
{
    char version[64];
    snprintf (version, sizeof version, "PRAGMA user_version = %d",
              (int) step + 1);
    if (sql_run (db, "BEGIN IMMEDIATE") == 0 && sql_run (db, s_steps[step]) == 0
        && sql_run (db, version) == 0 && sql_run (db, "COMMIT") == 0)
        return 0;
    *why = s_wrong (db);
    sql_run (db, "ROLLBACK");
    return -1;
}

int
store_schema_open (sqlite3 *db, const char **why)
{
    int64_t step;
    sqlite3_busy_timeout (db, SQL_BUSY_MS);
    //  SQLite would open it for reading all the same, and make files beside it that
    //  cannot be written to either, and stay
    if (sqlite3_db_readonly (db, "main")) {
        *why = "store.db: cannot be written to";
        return -1;
    }
    step = sql_number (db, "PRAGMA user_version");
    if (step > STEPS) {
        *why = "store.db: is of a later version of zibrato";
        return -1;
    }
    if (sql_run (db, s_settings) == -1) {
        *why = s_wrong (db);
        return -1;
    }
    for (; step < STEPS; step++)
        if (s_do_step (db, step, why) == -1)
            return -1;
    return 0;
}
