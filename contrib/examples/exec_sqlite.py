#!/usr/bin/python3
"""exec_sqlite.py FILE - a program for `zibrato exec`: rows into SQLite

    zibrato exec -- contrib/examples/exec_sqlite.py rows.db

A request is a line, and so is its answer. Rows and the request's key are stored
together or not at all, so what comes again is known, and nothing is stored twice.

SPDX-License-Identifier: BSD-3-Clause
"""

import json
import sqlite3
import sys


def store (db, request):
    """Returns what has become of a request."""
    answer = {"key": request["key"]}
    try:
        with db:
            db.execute ("INSERT INTO request VALUES (?)", (request["key"],))
            db.executemany (
                "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(row["time"], row["type"], row["name"],
                  json.dumps (row.get ("tags", {})), row["source"],
                  row.get ("count", 1), row.get ("value", row.get ("sum")))
                 for row in request["rows"]])
        answer["ok"] = True
    except sqlite3.IntegrityError:      # the key is there
        answer["ok"] = True
    except sqlite3.OperationalError as error:   # locked, disk full, ...
        answer.update (retry_ms=1000, reason=str (error))
    return answer


def main ():
    db = sqlite3.connect (sys.argv[1])
    db.executescript ("""
        CREATE TABLE IF NOT EXISTS request (key TEXT PRIMARY KEY);
        CREATE TABLE IF NOT EXISTS row (time REAL, type TEXT, name TEXT,
                                        tags TEXT, source TEXT, count INTEGER,
                                        sum REAL);
    """)
    for line in sys.stdin:
        print (json.dumps (store (db, json.loads (line))), flush=True)


main ()
