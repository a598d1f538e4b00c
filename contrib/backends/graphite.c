/*  zibrato graphite - delivers to carbon, or what takes its plain text over TCP

    Nobody answers there: what is known is in halfclose.h. A value of the same path
    and time takes the place of the one before, so that a request that comes twice
    is harmless. But carbon keeps one value for a slot of seconds, too: so all rows
    of a flush have its time, a multiple of --flush, which must be no less than the
    finest retention.

    Sections: options, requests, the backend's table. The lines are made in
    graphite_path.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "fitted.h"
#include "graphite_path.h"
#include "halfclose.h"
#include "percentiles.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

//  --------------------------------------------------------------------------
//  Options

static struct {
    const char *to;
    int64_t timeout;  //  seconds
    graphite_path_t path;
    halfclose_t peer;
    buffer_t body;
} s_graphite = {.timeout = 15, .path = {.pattern = "{worker}.{source}.{name}"}};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "to", .argument = "HOST:PORT", .text = &s_graphite.to,
   .help = "of the plain text over TCP; mostly 2003 is its port"},
  {.name = "path", .argument = "PATTERN", .text = &s_graphite.path.pattern,
   .help = "how series are called"},
  {.name = "tagged", .flag = &s_graphite.path.tagged,
   .help = "send tags as such, in place of --path"},
  {.name = "timeout", .argument = "SECONDS", .number = &s_graphite.timeout,
   .min = 1, .max = 3600, .help = "that a request may take"},
  {.name = NULL}};
// clang-format on

static const char *
graphite_check (void)
{
    if (!s_graphite.to)
        return "expected --to";
    if (halfclose_parse (&s_graphite.peer, s_graphite.to) == -1)
        return "--to: expected HOST:PORT";
    return graphite_path_check (s_graphite.path.pattern);
}

//  A spool keeps rows whose names were made fit.
static const char *
graphite_naming (void)
{
    return s_graphite.path.tagged ? "tagged" : "";
}

static int
graphite_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    int changed =
      graphite_path_fit (text, is_source, s_graphite.path.tagged, fitted);
    fitted_tell (fitted, text, is_source, changed);
    return changed;
}

//  --------------------------------------------------------------------------
//  Requests

//  There is nobody who could be asked.
static zb_outcome_t
graphite_connect (zb_reply_t *reply)
{
    (void) reply;
    graphite_path_fit (zb_worker (), true, false, s_graphite.path.worker);
    return ZB_DELIVERED;
}

//  Puts before the reason where that was.
static void
s_name_address (zb_reply_t *reply)
{
    char why[200];
    snprintf (why, sizeof why, "%.*s", (int) sizeof why - 1, reply->reason);
    snprintf (reply->reason, sizeof reply->reason, "%.280s: %s", s_graphite.to,
              why);
}

static zb_outcome_t
graphite_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    zb_outcome_t outcome;
    s_graphite.body.size = 0;
    for (size_t i = 0; i < count; i++)
        graphite_path_add (&s_graphite.body, &s_graphite.path, &rows[i]);
    outcome =
      halfclose_send (&s_graphite.peer, s_graphite.body.text,
                      s_graphite.body.size, s_graphite.timeout * 1000, reply);
    if (outcome != ZB_DELIVERED)
        s_name_address (reply);
    return outcome;
}

static void
graphite_close (void)
{
    buffer_clear (&s_graphite.body);
    fitted_forget ();
}

//  --------------------------------------------------------------------------
//  The backend's table

const zb_backend_t zb_graphite_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "graphite",
  .summary = "Delivers to Graphite's carbon, or what takes its plain text",
  .options = s_options,
  .wants = ZB_WANTS_SLOTS,
  .batch = 5000,
  .check = graphite_check,
  .connect = graphite_connect,
  .fit = graphite_fit,
  .naming = graphite_naming,
  .percentiles = percentiles_want,
  .deliver = graphite_deliver,
  .close = graphite_close};
