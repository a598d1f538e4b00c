/*  httpd - a small HTTP server: libmicrohttpd, in one place

    One thread serves all connections, so a slow reader holds up nobody. An answer
    may be made in pieces while it is sent: then it takes no memory that grows with
    it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HTTPD_H
#define ZB_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    HTTPD_CONNECTIONS_MAX = 64,
    HTTPD_IDLE_S = 10,   //  that a connection may be silent,
    HTTPD_ANSWER_S = 60  //  and that an answer in pieces may take
};

typedef struct httpd httpd_t;

//  Valid during the handler's call only.
typedef struct {
    const char *method, *path;
    void *connection;  //  libmicrohttpd's
} httpd_request_t;

//  The handler fills it in: either a text, which is copied, or pieces.
typedef struct {
    unsigned status;
    const char *type;   //  of the content
    const char *allow;  //  of status 405: methods that are allowed
    const char *text;

    //  Copies the next bytes, at most so many, and returns how many; 0 at the end,
    //  -1 if it cannot go on.
    ssize_t (*read) (void *state, char *data, size_t most);
    void (*end) (void *state);  //  frees the state, when it is sent or not
    void *state;
} httpd_answer_t;

//  Answers a request. Called on the server's thread.
typedef void httpd_fn (void *argument, const httpd_request_t *request,
                       httpd_answer_t *answer);

//  Is libmicrohttpd built in?
bool httpd_is_there (void);

//  A header of the request, or NULL.
const char *httpd_header (const httpd_request_t *request, const char *name);

//  What is wrong with HOST:PORT, a static text, or NULL.
const char *httpd_check (const char *listen);

//  Listens at HOST:PORT, and serves. Port 0 picks a free one. Returns NULL, with the
//  reason in errno, if it cannot. Caller owns the return value.
httpd_t *httpd_start (const char *listen, httpd_fn *handler, void *argument);

//  Where it listens, as HOST:PORT.
const char *httpd_address (const httpd_t *self);

//  Ends all connections.
void httpd_stop (httpd_t **self_p);

#endif
