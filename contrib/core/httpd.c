/*  httpd - a small HTTP server. The contract is in httpd.h.

    Sections: a request, answers, what libmicrohttpd calls, the server.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "httpd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef ZIBRATO_MICROHTTPD

#include "buffer.h"
#include "listen.h"
#include "watch.h"

#include <microhttpd.h>
#include <strings.h>

//  --------------------------------------------------------------------------
//  A request

enum {
    PIECE_BYTES = 32 * 1024,
    CONNECTION_BYTES = 48 * 1024,  //  head, and what is being sent
    TICK_MS = 1000,
    LAST_ANSWERS_MS = 1000  //  that a stop waits until they are sent
};

struct httpd {
    httpd_options_t options;
    struct MHD_Daemon *daemon;
    watch_t *watch;
    char address[LISTEN_MAX];
};

//  One request, from the first line of its head until its answer is sent.
typedef struct {
    httpd_request_t request;  //  the first member
    httpd_t *server;
    char *uri;  //  path, and query behind its end
    buffer_t body;
    bool began, keep, later;
    size_t drained;                 //  bytes of the body so far
    struct MHD_Response *response;  //  of httpd_answer, as is the status
    unsigned status;
    _Atomic bool
      answered;  //  both are there: release, acquired by the server's thread
} transfer_t;

static watched_t *
transfer_watched (const transfer_t *self)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info (
      (struct MHD_Connection *) self->request.connection,
      MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? (watched_t *) info->socket_context : NULL;
}

static void
transfer_phase (const transfer_t *self, watch_phase_t phase)
{
    watch_phase (self->server->watch, transfer_watched (self), phase);
}

//  Handler for libmicrohttpd: a request has begun. Returns what it is known by.
static void *
transfer_new (void *argument, const char *uri,
              struct MHD_Connection *connection)
{
    transfer_t *self = (transfer_t *) calloc (1, sizeof *self);
    char *mark;
    if (!self)
        return NULL;
    self->server = (httpd_t *) argument;
    self->uri = strdup (uri);
    mark = self->uri ? strchr (self->uri, '?') : NULL;
    if (mark)
        *mark++ = 0;
    self->request = (httpd_request_t){.path = self->uri ? self->uri : "",
                                      .query = mark ? mark : "",
                                      .body = "",
                                      .connection = connection};
    return self;
}

//  Handler for libmicrohttpd: it is over, however it ended.
static void
transfer_end (void *argument, struct MHD_Connection *connection, void **state,
              enum MHD_RequestTerminationCode code)
{
    transfer_t *self = (transfer_t *) *state;
    (void) argument, (void) connection, (void) code;
    if (!self)
        return;
    transfer_phase (self, WATCH_IDLE);
    if (self->server->options.end)
        self->server->options.end (self->server->options.argument,
                                   &self->request);
    if (self->response)
        MHD_destroy_response (self->response);
    buffer_clear (&self->body);
    free (self->uri);
    free (self);
    *state = NULL;
}

//  Has the answer come later, from another thread? Then what that wrote is seen.
static bool
transfer_is_answered (const transfer_t *self)
{
    return atomic_load_explicit (&self->answered, memory_order_acquire);
}

//  Takes a piece of the body.
static void
transfer_take (transfer_t *self, const char *data, size_t size)
{
    size_t most = self->server->options.body_max;
    self->drained += size;
    if (!self->keep)
        return;
    if (self->drained <= most) {
        buffer_add (&self->body, data, size);
        return;
    }
    self->request.too_large = true;
    self->keep = false;
    buffer_clear (&self->body);
}

//  How the head says that a body ends.
typedef struct {
    bool bad;  //  a name is none
    int lengths, chunked;
    const char *length;
} framing_t;

static enum MHD_Result
s_frame (void *argument, enum MHD_ValueKind kind, const char *name,
         const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    framing_t *framing = (framing_t *) argument;
    (void) kind;
    if (name[strspn (name, token)])
        framing->bad = true;
    if (strcasecmp (name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        framing->lengths++;
        framing->length = value;
    }
    else if (strcasecmp (name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
        framing->chunked++;
    return MHD_YES;
}

//  Returns the status with which a head is refused, or 0.
static unsigned
transfer_framing (const transfer_t *self)
{
    framing_t framing = {.length = "0"};
    MHD_get_connection_values (
      (struct MHD_Connection *) self->request.connection, MHD_HEADER_KIND,
      s_frame, &framing);
    if (framing.bad || framing.lengths + framing.chunked > 1)
        return MHD_HTTP_BAD_REQUEST;
    return strtoull (framing.length, NULL, 10) > HTTPD_DRAIN_BYTES
             ? MHD_HTTP_CONTENT_TOO_LARGE
             : 0;
}

const char *
httpd_header (const httpd_request_t *request, const char *name)
{
    return MHD_lookup_connection_value (
      (struct MHD_Connection *) request->connection, MHD_HEADER_KIND, name);
}

bool
httpd_is_type (const httpd_request_t *request, const char *type)
{
    const char *header = httpd_header (request, MHD_HTTP_HEADER_CONTENT_TYPE);
    size_t size = strlen (type);
    return header && strncasecmp (header, type, size) == 0
           && strchr ("; \t", header[size]);
}

//  --------------------------------------------------------------------------
//  Answers

bool
httpd_is_there (void)
{
    return true;
}

//  Handler for libmicrohttpd: there is room for more.
static ssize_t
s_read (void *argument, uint64_t at, char *data, size_t most)
{
    httpd_answer_t *answer = (httpd_answer_t *) argument;
    ssize_t size = answer->read (answer->state, data, most);
    (void) at;
    if (size < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return size ? size : MHD_CONTENT_READER_END_OF_STREAM;
}

static void
s_end (void *argument)
{
    httpd_answer_t *answer = (httpd_answer_t *) argument;
    answer->end (answer->state);
    free (answer);
}

static struct MHD_Response *
s_content (const httpd_answer_t *answer)
{
    httpd_answer_t *pieces;
    const char *text = answer->text ? answer->text : "";
    if (answer->bytes)
        return MHD_create_response_from_buffer (answer->size, answer->bytes,
                                                MHD_RESPMEM_MUST_FREE);
    if (!answer->read)
        return MHD_create_response_from_buffer (
          strlen (text), (void *) (uintptr_t) text, MHD_RESPMEM_MUST_COPY);
    pieces = (httpd_answer_t *) malloc (sizeof *pieces);
    if (!pieces) {
        answer->end (answer->state);
        return NULL;
    }
    *pieces = *answer;
    return MHD_create_response_from_callback (MHD_SIZE_UNKNOWN, PIECE_BYTES,
                                              s_read, pieces, s_end);
}

static struct MHD_Response *
s_response (const httpd_answer_t *answer)
{
    struct MHD_Response *response = s_content (answer);
    size_t i;
    if (!response)
        return NULL;
    if (answer->type)
        MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                 answer->type);
    for (i = 0; i < HTTPD_HEADERS && answer->header[i][0]; i++)
        MHD_add_response_header (response, answer->header[i][0],
                                 answer->header[i][1]);
    return response;
}

//  Sends what transfer_t has.
static enum MHD_Result
transfer_send (transfer_t *self)
{
    if (!self->response)
        return MHD_NO;
    transfer_phase (self, WATCH_ANSWER);
    return MHD_queue_response (
      (struct MHD_Connection *) self->request.connection, self->status,
      self->response);
}

static enum MHD_Result
transfer_answer (transfer_t *self, const httpd_answer_t *answer)
{
    self->status = answer->status;
    self->response = s_response (answer);
    return transfer_send (self);
}

//  --------------------------------------------------------------------------
//  What libmicrohttpd calls

//  With the head. Who is answered before its body was read loses the connection.
static enum MHD_Result
s_begin (transfer_t *self, const char *method)
{
    httpd_t *server = self->server;
    unsigned status = transfer_framing (self);
    self->began = true;
    self->request.method = method;
    if (status)
        return transfer_answer (
          self, &(httpd_answer_t){.status = status,
                                  .type = "text/plain",
                                  .text = "bad length of body\n",
                                  .header = {{"Connection", "close"}}});
    self->keep =
      server->options.head
      && server->options.head (server->options.argument, &self->request);
    return MHD_YES;
}

//  With the whole request.
static enum MHD_Result
s_whole (transfer_t *self)
{
    httpd_t *server = self->server;
    httpd_answer_t answer = {.status = MHD_HTTP_OK, .type = "text/plain"};
    if (self->body.size) {
        *buffer_room (&self->body, 1) = 0;
        self->request.body = self->body.text;
        self->request.body_size = self->body.size;
    }
    transfer_phase (self, WATCH_WORK);
    server->options.handler (server->options.argument, &self->request, &answer);
    return self->later ? MHD_YES : transfer_answer (self, &answer);
}

//  Handler for libmicrohttpd: called with the head, with each piece of a body, at
//  its end, and once more when an answer has come later.
static enum MHD_Result
s_handle (void *argument, struct MHD_Connection *connection, const char *path,
          const char *method, const char *version, const char *data,
          size_t *size, void **state)
{
    transfer_t *self = (transfer_t *) *state;
    (void) argument, (void) connection, (void) path, (void) version;
    if (!self)
        return MHD_NO;
    if (!self->began)
        return s_begin (self, method);
    if (self->later)
        return transfer_is_answered (self) ? transfer_send (self) : MHD_YES;
    if (!*size)
        return s_whole (self);
    transfer_take (self, data, *size);
    *size = 0;
    return self->drained > HTTPD_DRAIN_BYTES ? MHD_NO : MHD_YES;
}

//  Handler for libmicrohttpd.
static enum MHD_Result
s_admit (void *argument, const struct sockaddr *address, socklen_t size)
{
    httpd_t *self = (httpd_t *) argument;
    (void) size;
    return watch_admits (self->watch, address) ? MHD_YES : MHD_NO;
}

//  Handler for libmicrohttpd. The socket is open in both cases.
static void
s_connection (void *argument, struct MHD_Connection *connection, void **state,
              enum MHD_ConnectionNotificationCode code)
{
    httpd_t *self = (httpd_t *) argument;
    int fd =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD)
        ->connect_fd;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *state = watch_add (self->watch, fd,
                            MHD_get_connection_info (
                              connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                              ->client_addr);
    else
        watch_remove (self->watch, (watched_t *) *state);
}

//  Handler for libmicrohttpd. What a client does wrong is no business of the log.
static void
s_log (void *argument, const char *format, va_list arguments)
{
    (void) argument, (void) format, (void) arguments;
}

//  Handler for libmicrohttpd: paths stay as they were sent.
static size_t
s_unescape (void *argument, struct MHD_Connection *connection, char *text)
{
    (void) argument, (void) connection;
    return strlen (text);
}

//  --------------------------------------------------------------------------
//  The server

static void
httpd_defaults (httpd_options_t *options)
{
    if (!options->connections)
        options->connections = HTTPD_CONNECTIONS;
    if (!options->per_address)
        options->per_address = options->connections;
    if (!options->idle_s)
        options->idle_s = HTTPD_IDLE_S;
    if (!options->request_ms)
        options->request_ms = INT64_C (1000) * HTTPD_REQUEST_S;
    if (!options->slow_ms)
        options->slow_ms = INT64_C (1000) * HTTPD_SLOW_S;
}

//  Connections are limited by the watch; libmicrohttpd's own limit would let them
//  wait without an end.
static struct MHD_Daemon *
httpd_daemon (httpd_t *self, int fd)
{
    const httpd_options_t *options = &self->options;
    struct MHD_OptionItem tls[] = {
      {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) (uintptr_t) options->certificate},
      {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) options->key},
      {MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL
                     | MHD_ALLOW_SUSPEND_RESUME;
    if (options->certificate)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon (
      flags, 0, s_admit, self, s_handle, self, MHD_OPTION_EXTERNAL_LOGGER,
      s_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned) options->connections + 16, MHD_OPTION_CONNECTION_TIMEOUT,
      options->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      (size_t) CONNECTION_BYTES, MHD_OPTION_URI_LOG_CALLBACK, transfer_new,
      self, MHD_OPTION_NOTIFY_COMPLETED, transfer_end, self,
      MHD_OPTION_NOTIFY_CONNECTION, s_connection, self,
      MHD_OPTION_UNESCAPE_CALLBACK, s_unescape, NULL, MHD_OPTION_ARRAY, tls,
      MHD_OPTION_END);
}

static watch_t *
httpd_watch (const httpd_options_t *options)
{
    return watch_new (&(watch_limits_t){
      .connections = options->connections,
      .per_address = options->per_address,
      .request_ms = options->request_ms,
      .slow_ms = options->slow_ms,
      .answer_ms = INT64_C (1000) * HTTPD_ANSWER_S,
      .tick_ms = options->slow_ms < TICK_MS ? options->slow_ms : TICK_MS});
}

httpd_t *
httpd_start (const httpd_options_t *options)
{
    httpd_t *self;
    int fd = listen_open (options->listen);
    if (fd == -1)
        return NULL;
    self = (httpd_t *) calloc (1, sizeof *self);
    if (self) {
        self->options = *options;
        httpd_defaults (&self->options);
        listen_name (fd, self->address);
        self->watch = httpd_watch (&self->options);
        self->daemon = self->watch ? httpd_daemon (self, fd) : NULL;
    }
    if (!self || !self->daemon) {
        if (self)
            watch_destroy (&self->watch);
        free (self);
        close (fd);
        errno = options->certificate ? EINVAL : EAGAIN;
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
httpd_later (httpd_request_t *request)
{
    transfer_t *self = (transfer_t *) request;
    self->later = true;
    MHD_suspend_connection ((struct MHD_Connection *) request->connection);
}

void
httpd_answer (httpd_request_t *request, const httpd_answer_t *answer)
{
    transfer_t *self = (transfer_t *) request;
    struct MHD_Connection *connection =
      (struct MHD_Connection *) request->connection;
    self->status = answer->status;
    self->response = s_response (answer);
    atomic_store_explicit (&self->answered, true, memory_order_release);
    MHD_resume_connection (connection);
}

void
httpd_stop (httpd_t **self_p)
{
    httpd_t *self = *self_p;
    if (!self)
        return;
    for (int ms = 0; ms < LAST_ANSWERS_MS && watch_busy (self->watch); ms++)
        nanosleep (&(struct timespec){0, 1000000}, NULL);
    MHD_stop_daemon (self->daemon);
    watch_destroy (&self->watch);
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
httpd_start (const httpd_options_t *options)
{
    (void) options;
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
httpd_later (httpd_request_t *request)
{
    (void) request;
}

void
httpd_answer (httpd_request_t *request, const httpd_answer_t *answer)
{
    (void) request, (void) answer;
}

void
httpd_stop (httpd_t **self_p)
{
    (void) self_p;
}

#endif
