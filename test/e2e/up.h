/*  up.h - `zibrato up`: what it said, and its children

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef UP_H
#define UP_H

#include "serve.h"

typedef struct {
    process_t *process;
    broker_t broker;  //  without a process of its own
    const char *data;
    serve_t serve;
} up_t;

//  What is behind a text in a line, up to a blank or its end.
static char *
text_behind (const char *line, const char *text)
{
    const char *found = strstr (line, text);
    assert_non_null (found);
    found += strlen (text);
    return text_new ("%.*s", (int) strcspn (found, " ,\n"), found);
}

static void
up_launch (up_t *self, const char *const *more)
{
    const char *argv[24] = {harness_path ("ZB_BIN"),
                            "up",
                            "--host",
                            self->broker.host,
                            "--port",
                            text_new ("%d", self->broker.port),
                            "--data",
                            self->data,
                            "--listen",
                            text_new ("%s:5580", self->broker.host)};
    for (int i = 10; more && *more; i++)
        argv[i] = *more++;
    self->process = process_start (argv, NULL);
}

//  At an address of its own. Waits until both are ready.
static up_t *
up_start (void)
{
    up_t *self = harness_keep (calloc (1, sizeof *self));
    broker_give_host (&self->broker);
    self->data = temporary_path ("data");
    up_launch (self, NULL);
    const char *line = process_await (self->process, "programs connect to ");
    self->broker.port =
      atoi (strrchr (text_behind (line, "connect to "), ':') + 1);
    line = process_await (self->process, "the page is at ");
    self->serve = (serve_t){.folder = self->data,
                            .url = text_behind (line, "the page is at "),
                            .process = self->process};
    return self;
}

//  Requests go to the server from now on. Returns what was behind its address.
static const char *
up_ask_at (up_t *self)
{
    const char *url = self->serve.url, *path = strstr (url, "/?key=");
    assert_non_null (path);
    serve_read_token (&self->serve);
    self->serve.url = text_new ("%.*s", (int) (path - url), url);
    return path;
}

//  The one that was started last as this mode.
static pid_t
up_child (const up_t *self, const char *mode)
{
    char *list =
      file_read (text_new ("/proc/%d/task/%d/children",
                           (int) self->process->pid, (int) self->process->pid),
                 NULL);
    pid_t found = 0;
    for (char *at = list; *at; at += strspn (at, " \n")) {
        pid_t pid = (pid_t) strtol (at, &at, 10);
        const char *words =
          file_read (text_new ("/proc/%d/cmdline", (int) pid), NULL);
        if (strcmp (words + strlen (words) + 1, mode) == 0)
            found = pid;
    }
    return found;
}

static void
await_gone (pid_t pid)
{
    int64_t until = now_ms () + WAIT_MS;
    assert_true (pid > 1);
    while (kill (pid, 0) == 0 && now_ms () < until)
        poll_pause ();
    assert_int_equal (kill (pid, 0), -1);
}

#endif
