/*  store_schema - the tables of the database

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_STORE_SCHEMA_H
#define ZB_STORE_SCHEMA_H

#include <sqlite3.h>

//  Sets up a connection that writes, and makes the tables that are not there.
//  Returns 0, or -1 with the reason in *why, a static text.
int store_schema_open (sqlite3 *db, const char **why);

#endif
