/*  documents - what users keep beside measurements. The contract is in documents.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "documents.h"
#include "sql.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

//  Points are what the store is for, and end when there is no room. Anyone who may write
//  measurements may write annotations, so these have a share: an eighth of --max-bytes,
//  as keys of requests do (trim.c). What administrators keep is not counted.
enum { ANNOTATIONS_SHARE = 8 };

//  The table is in store_schema.c.
#define COLUMNS "id, parent, time, changed, name, body"

//  Of which names are unique, and whose children go with them.
static const struct {
    bool unique;
    int child;  //  a kind, or -1
} s_kinds[DOCUMENT_KINDS] = {
  [DOCUMENT_SOURCE] = {true, -1}, [DOCUMENT_STREAM] = {true, DOCUMENT_EVENT},
  [DOCUMENT_EVENT] = {false, -1}, [DOCUMENT_SPACE] = {true, DOCUMENT_CHART},
  [DOCUMENT_CHART] = {false, -1}, [DOCUMENT_SERVICE] = {false, -1},
  [DOCUMENT_ALERT] = {true, -1},
};

void
document_clear (document_t *self)
{
    free (self->name);
    cJSON_Delete (self->body);
    *self = (document_t){.id = 0};
}

void
document_rename (document_t *self, const char *name)
{
    if (!name)
        return;
    free (self->name);
    self->name = strdup (name);
}

//  A statement with its values: i is an int64_t, t a text that stays until the
//  statement has run. Returns NULL if the database is not as it should be.
static sqlite3_stmt *
s_prepare (sqlite3 *db, const char *text, const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list values;
    if (sqlite3_prepare_v2 (db, text, -1, &statement, NULL) != SQLITE_OK)
        return NULL;
    va_start (values, types);
    for (int i = 0; types[i]; i++)
        if (types[i] == 'i')
            sqlite3_bind_int64 (statement, i + 1, va_arg (values, int64_t));
        else
            sqlite3_bind_text (statement, i + 1, va_arg (values, const char *),
                               -1, SQLITE_STATIC);
    va_end (values);
    return statement;
}

//  --------------------------------------------------------------------------
//  Reading

static void
s_take (sqlite3_stmt *statement, document_kind_t kind, document_t *document)
{
    *document = (document_t){
      .kind = kind,
      .id = sqlite3_column_int64 (statement, 0),
      .parent = sqlite3_column_int64 (statement, 1),
      .time_s = sqlite3_column_int64 (statement, 2),
      .changed_s = sqlite3_column_int64 (statement, 3),
      .name = strdup ((const char *) sqlite3_column_text (statement, 4)),
      .body = cJSON_Parse ((const char *) sqlite3_column_text (statement, 5))};
    if (!document->body)
        document->body = cJSON_CreateObject ();
}

//  The first row of a statement, which is done with then.
static int
s_take_one (sqlite3_stmt *statement, document_kind_t kind, document_t *document)
{
    int rc;
    *document = (document_t){.id = 0};
    if (!statement)
        return -1;
    rc = sqlite3_step (statement);
    if (rc == SQLITE_ROW)
        s_take (statement, kind, document);
    sqlite3_finalize (statement);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static int
s_get (sqlite3 *db, document_kind_t kind, int64_t parent, int64_t id,
       document_t *document)
{
    return s_take_one (s_prepare (db,
                                  "SELECT " COLUMNS " FROM document"
                                  " WHERE id = ? AND kind = ? AND parent = ?",
                                  "iii", id, (int64_t) kind, parent),
                       kind, document);
}

int
documents_get (reader_t *reader, document_kind_t kind, int64_t parent,
               int64_t id, document_t *document)
{
    return s_get (reader_db (reader), kind, parent, id, document);
}

int
documents_find (reader_t *reader, document_kind_t kind, const char *name,
                document_t *document)
{
    return s_take_one (s_prepare (reader_db (reader),
                                  "SELECT " COLUMNS " FROM document"
                                  " WHERE kind = ? AND parent = 0 AND name = ?",
                                  "it", (int64_t) kind, name),
                       kind, document);
}

//  instr is exact, but for lower, which knows ASCII as NOCASE does.
#define CONDITION                                                              \
    " FROM document WHERE kind = ?1 AND parent = ?2"                           \
    " AND (?3 = '' OR instr (lower (name), lower (?3)))"                       \
    " AND (?5 = 0 OR (time BETWEEN ?4 - ?6 AND ?5"                             \
    " AND (time >= ?4 OR json_extract (body, '$.end_time') > ?4)))"

static int64_t
s_count (sqlite3 *db, const documents_query_t *query)
{
    sqlite3_stmt *statement = s_prepare (
      db, "SELECT count (*)" CONDITION, "iitiii", (int64_t) query->kind,
      query->parent, query->name, query->from_s, query->to_s, query->before_s);
    int64_t count = -1;
    if (statement && sqlite3_step (statement) == SQLITE_ROW)
        count = sqlite3_column_int64 (statement, 0);
    sqlite3_finalize (statement);
    return count;
}

int64_t
documents_each (reader_t *reader, const documents_query_t *query,
                document_fn *each, void *argument)
{
    //  by time or by name, ascending or descending
    static const char *const texts[2][2] = {
      {"SELECT " COLUMNS CONDITION " ORDER BY name, id LIMIT ?8 OFFSET ?7",
       "SELECT " COLUMNS CONDITION
       " ORDER BY name DESC, id DESC LIMIT ?8 OFFSET ?7"},
      {"SELECT " COLUMNS CONDITION " ORDER BY time, id LIMIT ?8 OFFSET ?7",
       "SELECT " COLUMNS CONDITION
       " ORDER BY time DESC, id DESC LIMIT ?8 OFFSET ?7"}};
    sqlite3 *db = reader_db (reader);
    sqlite3_stmt *statement = s_prepare (
      db, texts[query->to_s != 0][query->descending], "iitiiiii",
      (int64_t) query->kind, query->parent, query->name, query->from_s,
      query->to_s, query->before_s, query->offset, query->length);
    int rc = statement ? SQLITE_ROW : SQLITE_ERROR;
    while (rc == SQLITE_ROW) {
        rc = sqlite3_step (statement);
        if (rc == SQLITE_ROW) {
            document_t document;
            s_take (statement, query->kind, &document);
            each (argument, &document);
            document_clear (&document);
        }
    }
    sqlite3_finalize (statement);
    return rc == SQLITE_DONE ? s_count (db, query) : -1;
}

//  --------------------------------------------------------------------------
//  Changing, on the writer's thread

typedef struct {
    document_kind_t kind;
    int64_t parent, id;
    document_t *made;  //  or NULL:
    document_change_fn *change;
    void *argument;
    int64_t annotations_most;  //  bytes that they may take
    document_result_t result;
    bool more;  //  children are left
} work_t;

static int64_t
s_annotations_most (store_t *store)
{
    store_stats_t stats;
    store_stats (store, &stats);
    return stats.max_bytes / ANNOTATIONS_SHARE;
}

//  Does another one have its name, and may not?
static bool
s_is_taken (sqlite3 *db, const document_t *document)
{
    sqlite3_stmt *statement;
    bool taken;
    if (!s_kinds[document->kind].unique)
        return false;
    statement = s_prepare (db,
                           "SELECT 1 FROM document WHERE kind = ?"
                           " AND parent = ? AND name = ? AND id != ?",
                           "iiti", (int64_t) document->kind, document->parent,
                           document->name, document->id);
    taken = statement && sqlite3_step (statement) == SQLITE_ROW;
    sqlite3_finalize (statement);
    return taken;
}

//  Writes one that may have an ID already.
static int
s_write (sqlite3 *db, const document_t *document)
{
    char *body = cJSON_PrintUnformatted (document->body);
    sqlite3_stmt *statement = s_prepare (
      db,
      "INSERT INTO document (kind, parent, time, changed, name, body, id)"
      " VALUES (?, ?, ?, ?, ?, ?, nullif (?, 0)) ON CONFLICT (id) DO UPDATE SET"
      " time = excluded.time, changed = excluded.changed,"
      " name = excluded.name, body = excluded.body",
      "iiiitti", (int64_t) document->kind, document->parent, document->time_s,
      document->changed_s, document->name, body, document->id);
    int rc = statement ? sqlite3_step (statement) : SQLITE_ERROR;
    sqlite3_finalize (statement);
    free (body);
    return rc == SQLITE_DONE ? 0 : -1;
}

//  Writes it, unless it makes annotations larger that have their share already.
static document_result_t
s_write_within (sqlite3 *db, const work_t *self, const document_t *document)
{
    static const char annotations[] = "SELECT bytes FROM annotations";
    int64_t before = sql_number (db, annotations), after;
    if (s_write (db, document) == -1)
        return DOCUMENT_FAILED;
    after = sql_number (db, annotations);
    return after > before && after > self->annotations_most ? DOCUMENT_FULL
                                                            : DOCUMENT_DONE;
}

//  Looks for the name and takes it in one transaction.
static int
s_new (sqlite3 *db, void *argument)
{
    work_t *self = (work_t *) argument;
    if (s_is_taken (db, self->made)) {
        self->result = DOCUMENT_TAKEN;
        return -1;
    }
    self->result = s_write_within (db, self, self->made);
    if (self->result != DOCUMENT_DONE)
        return -1;
    self->made->id = sqlite3_last_insert_rowid (db);
    return 0;
}

//  store_change, or store_change_more.
typedef int
change_fn (store_t *store, store_change_fn *function, void *argument);

//  What the function said it was, unless the commit failed then.
static document_result_t
s_work (store_t *store, change_fn *change, store_change_fn *function,
        work_t *self)
{
    self->result = DOCUMENT_FAILED;
    return change (store, function, self) == 0 || self->result != DOCUMENT_DONE
             ? self->result
             : DOCUMENT_FAILED;
}

document_result_t
documents_new (store_t *store, document_t *document)
{
    work_t work = {.made = document,
                   .annotations_most = s_annotations_most (store)};
    document->id = 0;
    document->changed_s = time (NULL);
    if (!document->time_s)
        document->time_s = document->changed_s;
    return s_work (store, store_change_more, s_new, &work);
}

//  Reads, changes and writes in one transaction: none is lost between two requests.
static int
s_change (sqlite3 *db, void *argument)
{
    work_t *self = (work_t *) argument;
    document_t document;
    int rc = s_get (db, self->kind, self->parent, self->id, &document);
    if (rc == 1) {
        self->change (self->argument, &document);
        document.changed_s = time (NULL);
        self->result = s_is_taken (db, &document)
                         ? DOCUMENT_TAKEN
                         : s_write_within (db, self, &document);
    }
    else if (rc == 0)
        self->result = DOCUMENT_ABSENT;
    document_clear (&document);
    return self->result == DOCUMENT_DONE ? 0 : -1;
}

document_result_t
documents_change (store_t *store, document_kind_t kind, int64_t parent,
                  int64_t id, document_change_fn *change, void *argument)
{
    work_t work = {.kind = kind,
                   .parent = parent,
                   .id = id,
                   .change = change,
                   .argument = argument,
                   .annotations_most = s_annotations_most (store)};
    return s_work (store, store_change_more, s_change, &work);
}

//  --------------------------------------------------------------------------
//  Deleting: children first, some at a time, so that nobody waits for long

static int
s_delete_children (sqlite3 *db, void *argument)
{
    work_t *self = (work_t *) argument;
    sqlite3_stmt *statement =
      s_prepare (db,
                 "DELETE FROM document WHERE id IN (SELECT id FROM document"
                 " WHERE kind = ? AND parent = ? LIMIT 1000)",
                 "ii", (int64_t) s_kinds[self->kind].child, self->id);
    int rc = statement ? sqlite3_step (statement) : SQLITE_ERROR;
    sqlite3_finalize (statement);
    self->more = sqlite3_changes (db) > 0;
    if (rc == SQLITE_DONE)
        self->result = DOCUMENT_DONE;
    return rc == SQLITE_DONE ? 0 : -1;
}

static int
s_delete (sqlite3 *db, void *argument)
{
    work_t *self = (work_t *) argument;
    sqlite3_stmt *statement = s_prepare (
      db, "DELETE FROM document WHERE id = ? AND kind = ? AND parent = ?",
      "iii", self->id, (int64_t) self->kind, self->parent);
    int rc = statement ? sqlite3_step (statement) : SQLITE_ERROR;
    sqlite3_finalize (statement);
    if (rc == SQLITE_DONE)
        self->result = sqlite3_changes (db) ? DOCUMENT_DONE : DOCUMENT_ABSENT;
    return rc == SQLITE_DONE ? 0 : -1;
}

document_result_t
documents_delete (store_t *store, document_kind_t kind, int64_t parent,
                  int64_t id)
{
    work_t work = {.kind = kind, .parent = parent, .id = id, .more = true};
    while (s_kinds[kind].child != -1 && work.more)
        if (s_work (store, store_change, s_delete_children, &work)
            != DOCUMENT_DONE)
            return DOCUMENT_FAILED;
    return s_work (store, store_change, s_delete, &work);
}
