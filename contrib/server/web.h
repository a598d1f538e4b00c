/*  web - requests of the server: routes, who may, bodies, answers

    A row of a table is a route. Handlers on the server's thread must be quick; those
    that read the store run in a pool (route_t.pool), and one that writes submits a
    batch and answers when that is committed (web_later, web_answer).

    A request that is refused (nobody known, no such path) is read to its end all the
    same, since a client that still writes does not see an answer: python's http.client
    gets EPIPE.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_WEB_H
#define ZB_WEB_H

#include "buffer.h"
#include "public.h"
#include "store.h"

#include <cjson/cJSON.h>

typedef enum { ROLE_NOBODY, ROLE_VIEWER, ROLE_RECORDER, ROLE_ADMIN } role_t;

enum {
    WEB_CAPTURES = 3,
    WEB_HEADERS = 4,
    WEB_BODY_MAX = 3 * 1024 * 1024  //  bytes, unpacked too; Librato's limit
};

//  A request with its answer. The handler fills in the answer.
typedef struct web_request {
    const char *method, *path;
    const char
      *captured[WEB_CAPTURES];  //  what :name of the route stands for, decoded
    const char *body;           //  terminated; unpacked
    size_t body_size;
    role_t role;
    bool by_cookie;    //  a browser's session, not a client's credentials
    reader_t *reader;  //  of a route in the pool; else NULL
    store_t *store;
    //  The answer
    unsigned status;   //  200 at first
    const char *type;  //  "application/json" at first
    buffer_t out;
    const char *header[WEB_HEADERS][2];  //  further ones, a copy is made
    void *own;                           //  web's
} web_request_t;

typedef void web_fn (web_request_t *request);

typedef struct {
    const char *method;
    const char
      *path;      //  "/v1/metrics/:name"; a literal part goes before a :name
    role_t role;  //  who may, at least. A recorder may write what ROLE_RECORDER
                  //  says, and read what Librato's tokens could
    bool pool;
    web_fn *handler;
} route_t;

//  Tables of routes end with a null method. Librato's API for writing, for reading and
//  managing, and what the page asks for.
extern const route_t api_write_routes[], api_read_routes[], page_routes[];

//  A parameter of the query, decoded, or NULL. The name as sent, e.g. "tags[host]".
const char *web_parameter (const web_request_t *request, const char *name);

//  Calls for each, in order.
void web_parameters (const web_request_t *request,
                     void (*each) (void *argument, const char *name,
                                   const char *value),
                     void *argument);

const char *web_header (const web_request_t *request, const char *name);

//  Is the body of this type, whatever follows it? ("application/json")
bool web_is_type (const web_request_t *request, const char *type);

//  What stands before our paths in the addresses that this client uses: the path of
//  --public-url if it comes by that, or "".
const char *web_path (const web_request_t *request);

//  The server's folder.
const char *web_folder (const web_request_t *request);

//  Adds a header of the answer. What it points to must stay until it is given.
void
web_add_header (web_request_t *request, const char *name, const char *value);

//  The body, sent as JSON or as a form: a[0][b]=c is {"a":[{"b":"c"}]}, a[]=b and a
//  repeated a are arrays, and numbers stay texts. None is an empty object. Returns
//  NULL, with status 400 in the answer, if it is not to be read. Caller deletes the
//  return value.
cJSON *web_json (web_request_t *request);

//  The body as JSON with nothing behind it, and no text in it that has a NUL: names
//  would be cut there. Returns NULL if it is none. Caller deletes the return value.
cJSON *web_parse (const web_request_t *request);

//  To be called before anybody else gets the request. The handler returns without an
//  answer; web_answer is called later, on any thread, and ends the request.
void web_later (web_request_t *request);
void web_answer (web_request_t *request);

//  An error as Librato's clients read it: {"errors":{KIND:{PARAM:[TEXT]}}} with
//  KIND "params", or {"errors":{"request":[TEXT]}} without PARAM ("system" instead of
//  "request" from status 500 on).
void
web_error (web_request_t *request, unsigned status, const char *param,
           const char *format, ...) __attribute__ ((format (printf, 4, 5)));

//  --------------------------------------------------------------------------
//  The server

typedef struct {
    const char *listen;                //  HOST:PORT
    const char *folder;                //  of tokens
    const char *certificate, *key;     //  files in PEM: serve TLS; or NULL
    zb_list_t host_names, embed_from;  //  of --host-name and --embed-from
    public_t by_proxy;                 //  of --public-url
    store_t *store;
} web_options_t;

typedef struct web web_t;

//  Listens, and serves all tables of routes. Returns NULL, or what is wrong, a static
//  text. Caller owns *self_p.
const char *web_start (web_t **self_p, const web_options_t *options);

//  Answers what has come, then ends. The store must be open until then.
void web_stop (web_t **self_p);

#endif
