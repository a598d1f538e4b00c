/*  answers.h - a server of one thread that takes requests one after the other, gives
    to each the answer that is next, and keeps what it got

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ANSWERS_H
#define ZB_ANSWERS_H

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWERS_MAX = 8, REQUEST_MAX = 1 << 20 };

typedef struct {
    char *text;  //  head and body, terminated
    size_t size;
    const char *body;
    size_t body_size;
} asked_t;

typedef struct {
    int fd;
    char url[64];
    const char *const *answers;  //  up to NULL
    const size_t *sizes;         //  of those that are no text, or NULL
    asked_t asked[ANSWERS_MAX];
    pthread_t thread;
} answers_t;

static size_t
s_content_length (const char *head)
{
    const char *at = strcasestr (head, "\r\nContent-Length:");
    return at ? strtoul (at + 17, NULL, 10) : 0;
}

//  Reads a request whole.
static void
asked_read (asked_t *self, int fd)
{
    ssize_t got = 1;
    self->text = (char *) calloc (1, REQUEST_MAX);
    while (got > 0) {
        const char *end = strstr (self->text, "\r\n\r\n");
        self->body = end ? end + 4 : NULL;
        self->body_size = end ? s_content_length (self->text) : 0;
        if (end && self->text + self->size >= self->body + self->body_size)
            return;
        got =
          recv (fd, self->text + self->size, REQUEST_MAX - 1 - self->size, 0);
        self->size += got > 0 ? (size_t) got : 0;
    }
}

//  Thread. A connection serves one request.
static void *
answers_run (void *argument)
{
    answers_t *self = (answers_t *) argument;
    for (size_t i = 0; self->answers[i]; i++) {
        int fd = accept (self->fd, NULL, NULL);
        asked_read (&self->asked[i], fd);
        send (fd, self->answers[i],
              self->sizes ? self->sizes[i] : strlen (self->answers[i]),
              MSG_NOSIGNAL);
        close (fd);
    }
    return NULL;
}

static void
answers_start (answers_t *self, const char *const *answers, const size_t *sizes)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    memset (self, 0, sizeof *self);
    self->answers = answers;
    self->sizes = sizes;
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    self->fd = socket (AF_INET, SOCK_STREAM, 0);
    bind (self->fd, (struct sockaddr *) &address, sizeof address);
    listen (self->fd, ANSWERS_MAX);
    getsockname (self->fd, (struct sockaddr *) &address, &size);
    snprintf (self->url, sizeof self->url, "http://127.0.0.1:%u/v1/metrics",
              (unsigned) ntohs (address.sin_port));
    pthread_create (&self->thread, NULL, answers_run, self);
}

//  All answers were given. What was asked can be looked at until it is cleared.
static void
answers_end (answers_t *self)
{
    pthread_join (self->thread, NULL);
    close (self->fd);
}

static void
answers_clear (answers_t *self)
{
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        free (self->asked[i].text);
}

#endif
