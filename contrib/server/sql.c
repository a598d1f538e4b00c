/*  sql - SQLite with less to write. The contract is in sql.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sql.h"

#include <stddef.h>

int
sql_run (sqlite3 *db, const char *text)
{
    return sqlite3_exec (db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

sqlite3_stmt *
sql_prepare (sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v3 (db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                        NULL);
    return statement;
}

int
sql_done (sqlite3_stmt *statement)
{
    int rc = sqlite3_step (statement);
    sqlite3_reset (statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}

int64_t
sql_number (sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = sql_prepare (db, text);
    int64_t number = 0;
    if (sqlite3_step (statement) == SQLITE_ROW)
        number = sqlite3_column_int64 (statement, 0);
    sqlite3_finalize (statement);
    return number;
}

const char *
sql_text (sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text (statement, column);
    return text ? (const char *) text : "";
}
