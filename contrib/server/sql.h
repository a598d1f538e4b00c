/*  sql - SQLite with less to write

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SQL_H
#define ZB_SQL_H

#include <sqlite3.h>
#include <stdint.h>

//  Milliseconds that a connection waits for another one's lock.
enum { SQL_BUSY_MS = 5000 };

//  Runs statements that return nothing. Returns 0 or -1.
int sql_run (sqlite3 *db, const char *text);

//  A statement that is used again and again. NULL if the database cannot be read:
//  then all that is done with it fails. Caller owns the return value.
sqlite3_stmt *sql_prepare (sqlite3 *db, const char *text);

//  Runs a statement that returns nothing, once more. Returns 0 or -1.
int sql_done (sqlite3_stmt *statement);

//  The first number of the first row, 0 if there is none.
int64_t sql_number (sqlite3 *db, const char *text);

//  A column of a row; "" if it is null.
const char *sql_text (sqlite3_stmt *statement, int column);

#endif
