/*  http - what a backend that delivers by HTTP needs: one connection, kept
    open, and what a status means for a request

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HTTP_H
#define ZB_HTTP_H

#include "zibrato_backend.h"

typedef struct http http_t;

//  What a range of statuses means. A table of them ends with a row of zeros.
typedef struct {
    long least, most;
    zb_outcome_t outcome;
} http_status_t;

typedef struct {
    const char *url;       //  https://... or http://...
    const char *username;  //  for HTTP Basic
    const char *password;
    const char *type;  //  content type of what is posted
    const char *ca;    //  file of certificates to trust; NULL: the system's
    int64_t timeout;   //  seconds that a request may take
    int gzip;          //  1: what is posted is compressed
} http_config_t;

//  Returns NULL, or what is wrong with a URL, a static text.
const char *http_check (const char *url);

//  Says so if credentials can be read on the way.
void http_warn (const char *url);

//  For one thread at a time. Caller owns the return value. The texts are
//  copied.
http_t *http_new (const http_config_t *config);

//  Takes other credentials from now on. The texts are copied.
void
http_authenticate (http_t *self, const char *username, const char *password);

//  Adds a header, "NAME: VALUE", to each request from now on. The text is copied.
void http_header (http_t *self, const char *header);

//  None is added any more.
void http_forget_headers (http_t *self);

//  Ends the connection.
void http_destroy (http_t **self_p);

//  In place of a status: the request was sent, and there was not even that.
enum { HTTP_SILENT = -1 };

//  Sends a body with POST, or without one (NULL) a GET. A worker's stop ends
//  what would take longer than its deadline. Returns the status, be it that of a
//  proxy that lets nobody through; 0 or HTTP_SILENT if there was no response, with
//  the reason in reply.
long http_send (http_t *self, const char *body, size_t size, zb_reply_t *reply);

//  The last response's body, terminated; 64 KiB at most, the rest is cut.
const char *http_text (const http_t *self);

//  Its size, for a body that is no text, and its content type, "" if none is given.
size_t http_size (const http_t *self);
const char *http_type (const http_t *self);

//  What a status means for the request that got it. A row of `own`, of a service
//  that has rules of its own, wins over ours; NULL: it has none.
zb_outcome_t http_outcome (const http_status_t *own, long status);

#endif
