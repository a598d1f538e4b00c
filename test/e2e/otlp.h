/*  otlp.h - a receiver of OTLP in a test, and workers that deliver to it

    The receiver is test/otlp/standin, which decodes with the official schema, adds up
    as a receiver does, and says what none must ever be sent.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef OTLP_H
#define OTLP_H

#include "harness.h"

//  Starts it with a script of faults, for the first time or again, and waits until it
//  listens. What had come when it was stopped is there.
static void
receiver_launch (standin_t *self, const char *script)
{
    const char *port = strrchr (self->base, ':') + 1;
    self->process = process_start (
      LIST (
        text_new ("%s/test/otlp/standin", harness_path ("ZB_SOURCE")), "--port",
        port, "--keep", temporary_path (text_new ("receiver-%s", port)),
        text_new ("%s/../otlp-judges", harness_path ("ZB_PROGRAMS")), script),
      NULL);
    process_await (self->process, "ready url=");
}

//  One with a script, or NULL, at a port of its own.
static standin_t *
receiver_start (const char *script)
{
    standin_t *self = harness_keep (calloc (1, sizeof *self));
    process_run (
      LIST (text_new ("%s/test/otlp/install", harness_path ("ZB_SOURCE")),
            text_new ("%s/../otlp-judges", harness_path ("ZB_PROGRAMS"))),
      NULL);
    self->base =
      text_new ("http://127.0.0.1:%d", port_of (port_take ("127.0.0.1", 0)));
    self->url = text_new ("%s/v1/metrics", self->base);
    receiver_launch (self, script ? script : "");
    return self;
}

//  Starts a worker that delivers to it each second, with more options, or NULL.
static process_t *
receiver_work (const standin_t *self, const broker_t *broker,
               const char *const *more)
{
    const char *options[24] = {"--url", self->url, "--flush", "1"};
    for (int i = 0; more && more[i]; i++)
        options[4 + i] = more[i];
    return worker_start (broker, "otlp", options, NULL);
}

static void
receiver_check_none (const standin_t *self, const char *route)
{
    cJSON *wrong = standin_get (self, route);
    if (cJSON_GetArraySize (wrong))
        fail_msg ("%s: %d, %s", route, cJSON_GetArraySize (wrong),
                  cJSON_GetArrayItem (wrong, 0)->valuestring);
    cJSON_Delete (wrong);
}

//  Nothing that no receiver must be sent, each series in the order of its times.
static void
receiver_check (const standin_t *self)
{
    receiver_check_none (self, "wrong");
    receiver_check_none (self, "late");
}

//  A text of a request or stream must be this one, for at least one.
static void
receiver_has (const standin_t *self, const char *route, const char *key,
              const char *text)
{
    cJSON *items = standin_get (self, route);
    const cJSON *item;
    int count = 0;
    cJSON_ArrayForEach (item, items) count += row_is (item, key, text);
    if (!count)
        fail_msg ("no %s has %s %s", route, key, text);
    cJSON_Delete (items);
}

#endif
