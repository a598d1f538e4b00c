/*  documents - what users keep beside measurements: JSON objects in one table

    Annotations, spaces and charts, alerts, services, and what sources are called. A
    document has a name and a time to be found by; all else is in its body, which the
    table does not look into.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_DOCUMENTS_H
#define ZB_DOCUMENTS_H

#include "store.h"

#include <cjson/cJSON.h>

//  They are in the table: none may change its place.
typedef enum {
    DOCUMENT_SOURCE,
    DOCUMENT_STREAM,  //  of annotations
    DOCUMENT_EVENT,   //  of a stream
    DOCUMENT_SPACE,
    DOCUMENT_CHART,  //  of a space
    DOCUMENT_SERVICE,
    DOCUMENT_ALERT,
    DOCUMENT_KINDS
} document_kind_t;

typedef struct {
    document_kind_t kind;
    int64_t id;      //  above 0
    int64_t parent;  //  the stream of an event, the space of a chart; else 0
    int64_t time_s;  //  when an event begins; else when the document was made
    int64_t changed_s;  //  last
    char *name;
    cJSON *body;  //  an object
} document_t;


//  Frees what it has.
void document_clear (document_t *self);

//  Gives it another name, unless that is NULL.
void document_rename (document_t *self, const char *name);

//  --------------------------------------------------------------------------
//  Reading

//  Returns 1, or 0 if there is none, or -1. The caller clears *document.
int documents_get (reader_t *reader, document_kind_t kind, int64_t parent,
                   int64_t id, document_t *document);

//  By its name, in any case.
int documents_find (reader_t *reader, document_kind_t kind, const char *name,
                    document_t *document);

typedef struct {
    document_kind_t kind;
    int64_t parent;
    const char *name;      //  what names have in them, "" is all
    int64_t from_s, to_s;  //  time_s, both included; both 0: whenever
    int64_t before_s;      //  events that began so long before, and ended later
    int64_t offset, length;  //  by name, or by time if there is one
    bool descending;
} documents_query_t;

//  Calls for each; *document is cleared afterwards. Returns how many there are
//  without regard to offset and length, or -1.
typedef void document_fn (void *argument, const document_t *document);
int64_t documents_each (reader_t *reader, const documents_query_t *query,
                        document_fn *each, void *argument);

//  --------------------------------------------------------------------------
//  Changing

typedef enum {
    DOCUMENT_FAILED = -1,
    DOCUMENT_ABSENT = 0,
    DOCUMENT_DONE = 1,
    DOCUMENT_TAKEN = 2,  //  names of it are unique, and another one has this
    DOCUMENT_FULL = 3    //  annotations have the share that is theirs
} document_result_t;

//  Makes one, and gives it an ID.
document_result_t documents_new (store_t *store, document_t *document);

//  Changes one. The function runs on the writer's thread, and sees what is there at
//  that moment.
typedef void document_change_fn (void *argument, document_t *document);
document_result_t
documents_change (store_t *store, document_kind_t kind, int64_t parent,
                  int64_t id, document_change_fn *change, void *argument);

//  Deletes one, with all whose parent it is.
document_result_t documents_delete (store_t *store, document_kind_t kind,
                                    int64_t parent, int64_t id);

#endif
