/*  api_sources - sources, and what they are called

    A source is there when a series has it, or when somebody gave it a name to be shown
    by, which is a document.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <stdlib.h>
#include <string.h>

#define KIND_SOURCE "0"  //  DOCUMENT_SOURCE

_Static_assert(DOCUMENT_SOURCE == 0, "KIND_SOURCE");

//  All of them, by name: (name, display_name).
#define ALL                                                                    \
    "WITH named (name, shown) AS (SELECT name,"                                \
    " json_extract (body, '$.display_name') FROM document"                     \
    " WHERE kind = " KIND_SOURCE " AND parent = 0),"                           \
    " source (name) AS (SELECT source FROM series WHERE source != ''"          \
    " UNION SELECT name FROM named),"                                          \
    " both (name, shown) AS (SELECT source.name, shown FROM source"            \
    " LEFT JOIN named ON named.name = source.name)"

#define FOUND                                                                  \
    "?1 = '' OR instr (lower (name), lower (?1)) > 0"                          \
    " OR instr (lower (ifnull (shown, '')), lower (?1)) > 0"

static void
s_write (buffer_t *out, const char *name, const char *shown)
{
    out_begin (out, '{');
    out_key (out, "name");
    out_text (out, name);
    out_key (out, "display_name");
    out_text (out, shown);
    out_end (out, '}');
}

typedef struct {
    int64_t total, found, written;
} counts_t;

//  One pass over all series finds how many there are, and writes those of the page.
//  Returns 0 or -1.
static int
s_write_all (buffer_t *out, sqlite3 *db, const page_t *page, counts_t *counts)
{
    static const char *const texts[2] = {
      ALL " SELECT name, shown, " FOUND " FROM both ORDER BY name",
      ALL " SELECT name, shown, " FOUND " FROM both ORDER BY name DESC"};
    sqlite3_stmt *statement = NULL;
    int rc;
    sqlite3_prepare_v2 (db, texts[page->descending], -1, &statement, NULL);
    sqlite3_bind_text (statement, 1, page->name, -1, SQLITE_STATIC);
    for (; (rc = sqlite3_step (statement)) == SQLITE_ROW; counts->total++) {
        if (!sqlite3_column_int (statement, 2) || counts->found++ < page->offset
            || counts->written == page->length)
            continue;
        s_write (out, (const char *) sqlite3_column_text (statement, 0),
                 (const char *) sqlite3_column_text (statement, 1));
        counts->written++;
    }
    sqlite3_finalize (statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

void
api_sources_list (web_request_t *request)
{
    buffer_t *out = &request->out;
    counts_t counts = {0, 0, 0};
    page_t page;
    int rc;
    if (api_page (request, &page) == -1)
        return;
    out_begin (out, '{');
    out_key (out, "sources");
    out_begin (out, '[');
    rc = s_write_all (out, reader_db (request->reader), &page, &counts);
    out_end (out, ']');
    api_query (out, &page, counts.total, counts.found, counts.written);
    out_end (out, '}');
    if (rc == -1)
        api_failed (request);
}

//  The document of the source of the path. Returns 1 if there is such a source, be it
//  without one, 0 if there is not, or -1.
static int
s_find (web_request_t *request, document_t *source)
{
    const char *name = request->captured[0];
    sqlite3_stmt *statement = NULL;
    int rc = documents_find (request->reader, DOCUMENT_SOURCE, name, source);
    if (rc != 0)
        return rc;
    sqlite3_prepare_v2 (reader_db (request->reader),
                        "SELECT 1 FROM series WHERE source = ? LIMIT 1", -1,
                        &statement, NULL);
    sqlite3_bind_text (statement, 1, name, -1, SQLITE_STATIC);
    rc = sqlite3_step (statement);
    sqlite3_finalize (statement);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

void
api_source_get (web_request_t *request)
{
    document_t source;
    int rc = s_find (request, &source);
    if (rc == 1)
        s_write (&request->out, request->captured[0],
                 api_text (source.body, "display_name"));
    else
        api_changed (request, rc);
    document_clear (&source);
}

static void
s_rename (void *argument, document_t *source)
{
    api_take (source->body, (const cJSON *) argument, "display_name");
}

//  A source that has no document gets one.
static void
s_name (web_request_t *request, const cJSON *body, bool is_new)
{
    document_t source = {.kind = DOCUMENT_SOURCE,
                         .name = strdup (request->captured[0]),
                         .body = cJSON_CreateObject ()};
    document_result_t result;
    s_rename ((void *) (uintptr_t) body, &source);
    result = documents_new (request->store, &source);
    if (result == DOCUMENT_DONE && is_new) {
        api_created (request, "/v1/sources/%s", source.name);
        s_write (&request->out, source.name,
                 api_text (source.body, "display_name"));
    }
    else
        api_result (request, result);
    document_clear (&source);
}

void
api_source_update (web_request_t *request)
{
    cJSON *body = web_json (request);
    document_t source = {.id = 0};
    int rc = body ? s_find (request, &source) : -1;
    if (body && rc == -1)
        api_failed (request);
    else if (source.id)
        api_result (request, documents_change (request->store, DOCUMENT_SOURCE,
                                               0, source.id, s_rename, body));
    else if (body
             && (rc == 1
                 || api_name_ok (request, "name", request->captured[0],
                                 "source name")))
        s_name (request, body, rc == 0);
    document_clear (&source);
    cJSON_Delete (body);
}
