/*  service - an HTTP service, as options of the command line describe it

    What a backend that delivers by HTTP has in common with the others: the options
    --url, --username, --token, --token-file, --header, --header-file, --gzip,
    --timeout and --ca, secrets that are read again when their files change, and
    connections for as many threads as deliver. Such a backend has

        static service_t s_service = {SERVICE_DEFAULTS,
                                      .http = {.url = "http://...", .timeout = 15,
                                               .type = "text/plain"}};
        static const zb_option_t s_options[] = {
          SERVICE_OPTIONS (s_service), {.name = NULL}};

    and calls service_check in its check, service_reload in reload, service_connect
    in connect, service_post in deliver, and service_close in close.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SERVICE_H
#define ZB_SERVICE_H

#include "http.h"
#include "secret.h"

#include <pthread.h>

enum { SERVICE_CONNECTIONS_MAX = 64 };

typedef struct {
    http_config_t http;             //  its password is the token
    const char *scheme;             //  of a token without a user name
    bool apitoken;                  //  which its options call so
    const http_status_t *statuses;  //  those of this service, or NULL
    zb_list_t headers;

    pthread_mutex_t lock;  //  over all that follows
    secret_t token, more_headers;
    http_t *idle[SERVICE_CONNECTIONS_MAX];
    size_t idle_count;
} service_t;

#define SERVICE_DEFAULTS                                                       \
    .scheme = "Bearer", .lock = PTHREAD_MUTEX_INITIALIZER,                     \
    .more_headers = {.whole = true}

// clang-format off
#define SERVICE_OPTIONS(service)                                               \
  {.name = "url", .argument = "URL", .text = &(service).http.url,              \
   .help = "where it is posted to"},                                           \
  {.name = "username", .argument = "USER", .text = &(service).http.username,   \
   .help = "for HTTP Basic, with the token"},                                  \
  {.name = "token", .argument = "TOKEN", .text = &(service).http.password,     \
   .secret = 1, .help = "that authorizes us"},                                 \
  {.name = "token-file", .argument = "FILE", .text = &(service).token.path,    \
   .help = "the token is its first line"},                                     \
  {.name = "header", .argument = "HEADER", .list = &(service).headers,         \
   .secret = 1, .help = "'NAME: VALUE', of each request; may be repeated"},    \
  {.name = "header-file", .argument = "FILE",                                  \
   .text = &(service).more_headers.path,                                       \
   .help = "headers, one a line"},                                             \
  {.name = "gzip", .flag = &(service).http.gzip,                               \
   .help = "compress what is posted"},                                         \
  {.name = "timeout", .argument = "SECONDS",                                   \
   .number = &(service).http.timeout, .min = 1, .max = 3600,                   \
   .help = "that a request may take"},                                         \
  {.name = "ca", .argument = "FILE", .text = &(service).http.ca,               \
   .help = "certificates to trust in place of the system's"}
// clang-format on

//  Looks over what the options say, and reads the files. Of a token and its file the
//  one counts that was given later (options.h), or else the file. Returns NULL, or what
//  is wrong, a static text.
const char *service_check (service_t *self);

//  Looks whether the files can be read; they are, before each request, if they have
//  changed. Returns NULL, or what is wrong, a static text.
const char *service_reload (service_t *self);

//  Asks with GET whether the service would let us in. It does unless it says that
//  the credentials are wrong: what is for POST only may answer anything else.
zb_outcome_t service_connect (service_t *self, zb_reply_t *reply);

//  A connection that nobody uses, with the secrets as they are in the files now.
//  The caller gives it back, with the status of the last response.
http_t *service_take (service_t *self);
void service_give (service_t *self, http_t *http, long status);

//  Makes of a response what became of the request, and the reason in reply if it
//  was not taken. `outcome` is what the status says.
typedef zb_outcome_t service_read_fn (const http_t *http, long status,
                                      zb_outcome_t outcome, zb_reply_t *reply);

//  Posts a body. Without `read` the status decides, and the reason is the beginning
//  of the response.
zb_outcome_t service_post (service_t *self, const char *body, size_t size,
                           zb_reply_t *reply, service_read_fn *read);

//  Ends the connections, wipes the secrets.
void service_close (service_t *self);

#endif
