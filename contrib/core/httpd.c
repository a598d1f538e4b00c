/*  httpd - a small HTTP server. The contract is in httpd.h.

    Sections: where it listens, answers, the server.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "httpd.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOST_MAX = NI_MAXHOST };

//  --------------------------------------------------------------------------
//  Where it listens

//  Splits HOST:PORT; an IPv6 address has brackets. Returns the port, or NULL.
static const char *
s_split (const char *listen, char host[HOST_MAX])
{
    const char *colon = strrchr (listen, ':');
    size_t size = colon ? (size_t) (colon - listen) : 0;
    bool brackets = size > 2 && *listen == '[' && listen[size - 1] == ']';
    if (!size || size >= HOST_MAX || !colon[1]
        || strspn (colon + 1, "0123456789") != strlen (colon + 1)
        || strlen (colon + 1) > 5 || atoi (colon + 1) > 65535)
        return NULL;
    if (!brackets && memchr (listen, ':', size))
        return NULL;
    snprintf (host, HOST_MAX, "%.*s", (int) size - 2 * brackets,
              listen + brackets);
    return colon + 1;
}

const char *
httpd_check (const char *listen)
{
    char host[HOST_MAX];
    return s_split (listen, host) ? NULL : "expected HOST:PORT";
}

#ifdef ZIBRATO_MICROHTTPD

#include <microhttpd.h>

//  Returns a socket that listens, or -1 with errno.
static int
s_listen (const char *listen_at)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[HOST_MAX];
    const char *port = s_split (listen_at, host);
    int fd, on = 1, error;
    if (getaddrinfo (host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    fd = socket (found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd != -1) {
        setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind (fd, found->ai_addr, found->ai_addrlen) == -1
            || listen (fd, HTTPD_CONNECTIONS_MAX) == -1) {
            error = errno;
            close (fd);
            fd = -1;
            errno = error;
        }
    }
    freeaddrinfo (found);
    return fd;
}

//  The socket's own, since port 0 is none.
static void
s_name (int fd, char *address, size_t size)
{
    struct sockaddr_storage name;
    socklen_t name_size = sizeof name;
    char host[HOST_MAX] = "", port[16] = "";
    getsockname (fd, (struct sockaddr *) &name, &name_size);
    getnameinfo ((struct sockaddr *) &name, name_size, host, sizeof host, port,
                 sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf (address, size, strchr (host, ':') ? "[%s]:%s" : "%s:%s", host,
              port);
}

//  --------------------------------------------------------------------------
//  Answers

enum {
    PIECE_BYTES = 32 * 1024,
    CONNECTION_BYTES = 48 * 1024  //  head, and what is being sent
};

struct httpd {
    struct MHD_Daemon *daemon;
    httpd_fn *handler;
    void *argument;
    char address[HOST_MAX + 16];
};

//  An answer in pieces, and until when.
typedef struct {
    httpd_answer_t answer;
    int64_t until_s;
} pieces_t;

bool
httpd_is_there (void)
{
    return true;
}

static int64_t
s_now_s (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

//  Handler for libmicrohttpd: there is room for more. Who reads so slowly that it
//  never ends keeps a connection from others.
static ssize_t
s_read (void *argument, uint64_t at, char *data, size_t most)
{
    pieces_t *pieces = (pieces_t *) argument;
    ssize_t size;
    (void) at;
    if (s_now_s () > pieces->until_s)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size = pieces->answer.read (pieces->answer.state, data, most);
    if (size < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return size ? size : MHD_CONTENT_READER_END_OF_STREAM;
}

static void
s_end (void *argument)
{
    pieces_t *pieces = (pieces_t *) argument;
    pieces->answer.end (pieces->answer.state);
    free (pieces);
}

static struct MHD_Response *
s_response (const httpd_answer_t *answer)
{
    pieces_t *pieces;
    const char *text = answer->text ? answer->text : "";
    if (!answer->read)
        return MHD_create_response_from_buffer (
          strlen (text), (void *) (uintptr_t) text, MHD_RESPMEM_MUST_COPY);
    pieces = (pieces_t *) malloc (sizeof *pieces);
    if (!pieces) {
        answer->end (answer->state);
        return NULL;
    }
    *pieces = (pieces_t){*answer, s_now_s () + HTTPD_ANSWER_S};
    return MHD_create_response_from_callback (MHD_SIZE_UNKNOWN, PIECE_BYTES,
                                              s_read, pieces, s_end);
}

static enum MHD_Result
s_queue (struct MHD_Connection *connection, const httpd_answer_t *answer)
{
    struct MHD_Response *response = s_response (answer);
    enum MHD_Result rc;
    if (!response)
        return MHD_NO;
    MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE,
                             answer->type);
    if (answer->allow)
        MHD_add_response_header (response, MHD_HTTP_HEADER_ALLOW,
                                 answer->allow);
    rc = MHD_queue_response (connection, answer->status, response);
    MHD_destroy_response (response);
    return rc;
}

//  Handler for libmicrohttpd: called with the head, with each piece of a body, which
//  nobody wants, and at its end. Who answers before that ends the connection.
static enum MHD_Result
s_handle (void *argument, struct MHD_Connection *connection, const char *path,
          const char *method, const char *version, const char *data,
          size_t *size, void **state)
{
    static int began;
    httpd_t *self = (httpd_t *) argument;
    httpd_request_t request = {method, path, connection};
    httpd_answer_t answer = {.status = MHD_HTTP_OK, .type = "text/plain"};
    (void) version, (void) data;
    if (!*state || *size) {
        *state = &began;
        *size = 0;
        return MHD_YES;
    }
    self->handler (self->argument, &request, &answer);
    return s_queue (connection, &answer);
}

const char *
httpd_header (const httpd_request_t *request, const char *name)
{
    return MHD_lookup_connection_value (
      (struct MHD_Connection *) request->connection, MHD_HEADER_KIND, name);
}

//  --------------------------------------------------------------------------
//  The server

//  Handler for libmicrohttpd. What a client does wrong is no business of the log.
static void
s_log (void *argument, const char *format, va_list arguments)
{
    (void) argument, (void) format, (void) arguments;
}

httpd_t *
httpd_start (const char *listen_at, httpd_fn *handler, void *argument)
{
    httpd_t *self;
    int fd = s_listen (listen_at);
    if (fd == -1)
        return NULL;
    self = (httpd_t *) calloc (1, sizeof *self);
    if (self) {
        self->handler = handler;
        self->argument = argument;
        s_name (fd, self->address, sizeof self->address);
        self->daemon = MHD_start_daemon (
          MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL,
          s_handle, self, MHD_OPTION_EXTERNAL_LOGGER, s_log, NULL,
          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
          (unsigned) HTTPD_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
          (unsigned) HTTPD_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
          (size_t) CONNECTION_BYTES, MHD_OPTION_END);
    }
    if (!self || !self->daemon) {
        free (self);
        close (fd);
        return NULL;
    }
    return self;
}

const char *
httpd_address (const httpd_t *self)
{
    return self->address;
}

void
httpd_stop (httpd_t **self_p)
{
    httpd_t *self = *self_p;
    if (!self)
        return;
    MHD_stop_daemon (self->daemon);
    free (self);
    *self_p = NULL;
}

#else

bool
httpd_is_there (void)
{
    return false;
}

const char *
httpd_header (const httpd_request_t *request, const char *name)
{
    (void) request, (void) name;
    return NULL;
}

httpd_t *
httpd_start (const char *listen_at, httpd_fn *handler, void *argument)
{
    (void) listen_at, (void) handler, (void) argument;
    errno = ENOSYS;
    return NULL;
}

const char *
httpd_address (const httpd_t *self)
{
    (void) self;
    return "";
}

void
httpd_stop (httpd_t **self_p)
{
    (void) self_p;
}

#endif
