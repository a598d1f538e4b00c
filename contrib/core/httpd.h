/*  httpd - a small HTTP server: libmicrohttpd, in one place

    One thread serves all connections, so a slow reader holds up nobody. An answer
    may be made in pieces while it is sent: then it takes no memory that grows with
    it. Or it may be given later, by any thread.

    What must not get as far as a handler is refused here: two lengths of one body,
    which two servers behind each other may read differently (RFC 9112, 11.2), names of
    headers that are none, such as one with a blank before its colon (5.1), and bodies
    without end. A client that is too slow is cut off (watch.h).

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HTTPD_H
#define ZB_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    HTTPD_CONNECTIONS = 64,  //  at once,
    HTTPD_IDLE_S = 10,       //  that one may be silent,
    HTTPD_REQUEST_S = 30,    //  that a request may take to come,
    HTTPD_SLOW_S = 10,       //  or so if it is slower than WATCH_RATE
    HTTPD_ANSWER_S = 60,     //  and its answer to be sent
    HTTPD_HEADERS = 16,      //  of an answer
    HTTPD_DRAIN_BYTES = 16 * 1024 * 1024  //  of a body are read, wanted or not
};

typedef struct httpd httpd_t;

//  Valid from the call of `head` to that of `end`.
typedef struct {
    const char *method;
    const char *path;   //  as sent: %XX is not decoded
    const char *query;  //  what follows '?', as sent; "" if nothing does
    const char *body;   //  terminated; "" if it was not kept
    size_t body_size;
    bool too_large;  //  the body had more than body_max bytes, and is not here
    void *own;       //  the handler's; NULL at first
    void *connection;  //  libmicrohttpd's
} httpd_request_t;

//  The handler fills it in: a text, which is copied, bytes, or pieces.
typedef struct {
    unsigned status;
    const char *type;  //  of the content
    const char *text;
    char *bytes;  //  in place of text: freed when they are sent
    size_t size;
    const char *header[HTTPD_HEADERS][2];  //  names and values; copies are made

    //  Copies the next bytes, at most so many, and returns how many; 0 at the end,
    //  -1 if it cannot go on.
    ssize_t (*read) (void *state, char *data, size_t most);
    void (*end) (void *state);  //  frees the state, when it is sent or not
    void *state;
} httpd_answer_t;

//  Answers a request. Called on the server's thread, when its body is there.
typedef void
httpd_fn (void *argument, httpd_request_t *request, httpd_answer_t *answer);

typedef struct {
    const char *listen;  //  HOST:PORT; port 0 picks a free one
    httpd_fn *handler;
    void *argument;  //  of the functions

    //  Called with the head: is the body to be kept? NULL: it never is.
    bool (*head) (void *argument, httpd_request_t *request);
    //  Called when it is over, for what the handler has made; or NULL.
    void (*end) (void *argument, httpd_request_t *request);

    size_t body_max;                  //  bytes that are kept of a body
    size_t connections, per_address;  //  0: HTTPD_CONNECTIONS
    unsigned idle_s;                  //  0: HTTPD_IDLE_S
    int64_t request_ms, slow_ms;      //  0: HTTPD_REQUEST_S, HTTPD_SLOW_S
    const char *certificate, *key;    //  texts in PEM: serve TLS; or NULL
} httpd_options_t;

//  Is libmicrohttpd built in?
bool httpd_is_there (void);

//  A header of the request, or NULL.
const char *httpd_header (const httpd_request_t *request, const char *name);

//  Is the body of this type, whatever follows it? ("application/json")
bool httpd_is_type (const httpd_request_t *request, const char *type);

//  Listens, and serves. Returns NULL if it cannot, with the reason in errno; EINVAL
//  if certificate and key are no good. Caller owns the return value.
httpd_t *httpd_start (const httpd_options_t *options);

//  Where it listens, as HOST:PORT.
const char *httpd_address (const httpd_t *self);

//  To be called by the handler, which then fills in no answer: httpd_answer gives it
//  later. That may be called on another thread before the handler returns.
void httpd_later (httpd_request_t *request);

//  Gives the answer. The request is not to be used any more.
void httpd_answer (httpd_request_t *request, const httpd_answer_t *answer);

//  Ends all connections, when answers are sent that are on their way; for those of slow
//  clients it waits a second at most. There must be no request whose answer is to come later.
void httpd_stop (httpd_t **self_p);

#endif
