/*  zibrato serve - keeps what is measured, and serves it: Librato's API, and a page

        programs ─▶ broker ─▶ worker ─┐
                                      ├─▶ store
        clients of Librato ─▶ web ────┘     └──▶ web ─▶ page, clients

    As a worker it is one as the others are, but what it delivers to is its own store:
    rows are delivered when they are on disk, with their request's key, so that each is
    there once. The worker's spool lies in the same folder.

    Sections: options, tokens, start, rows, the backend's table.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "assets.h"
#include "claim.h"
#include "folder.h"
#include "listen.h"
#include "log.h"
#include "tokens.h"
#include "web.h"

#include "backends.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

//  --------------------------------------------------------------------------
//  Options

enum {
    DAY_S = 24 * 3600,
    FLUSH_S = 1,  //  the default: the page is live
    BATCH = 3000  //  rows that are committed together
};

static struct {
    const char *data;
    web_options_t web;
    store_options_t store;
    const char *public_url;
    const char *page;  //  files of the page
    const char *token_new, *role, *token_end;
    int token_list;
    char folder[FOLDER_MAX], spool[FOLDER_MAX + 8];
    store_t *opened;
    web_t *served;
} s_serve = {.web = {.listen = "127.0.0.1:5580"},
             //  as AppOptics kept it, and 15 minutes for a year
             .store = {.max_bytes = INT64_C (10) << 30,
                       .max_series = 250000,
                       .keep_raw_s = 2 * DAY_S,
                       .keep_60_s = 31 * DAY_S,
                       .keep_900_s = 365 * DAY_S,
                       .keep_3600_s = 558 * DAY_S,
                       .max_age_s = 0,
                       .lock_ms = CLAIM_MS},
             .role = "recorder"};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "listen", .argument = "HOST:PORT", .text = &s_serve.web.listen,
   .help = "where the API and the page are"},
  {.name = "data", .argument = "DIR", .text = &s_serve.data,
   .help = "folder of all that is kept; ~/.local/state/zibrato if none is given"},
  {.name = "retention-raw", .argument = "SECONDS",
   .number = &s_serve.store.keep_raw_s, .min = 3600, .max = INT64_C (1) << 40,
   .help = "how long each second is kept"},
  {.name = "retention-60", .argument = "SECONDS",
   .number = &s_serve.store.keep_60_s, .min = 3600, .max = INT64_C (1) << 40,
   .help = "how long each minute is kept"},
  {.name = "retention-900", .argument = "SECONDS",
   .number = &s_serve.store.keep_900_s, .min = 3600, .max = INT64_C (1) << 40,
   .help = "how long each quarter of an hour is kept"},
  {.name = "retention-3600", .argument = "SECONDS",
   .number = &s_serve.store.keep_3600_s, .min = 3600, .max = INT64_C (1) << 40,
   .help = "how long each hour is kept"},
  {.name = "max-bytes", .argument = "BYTES", .number = &s_serve.store.max_bytes,
   .min = 1 << 20, .max = INT64_C (1) << 50,
   .help = "of the database; the oldest seconds go first"},
  {.name = "max-stored-series", .argument = "N",
   .number = &s_serve.store.max_series, .min = 1, .max = 100000000,
   .help = "in it; rows of others are refused"},
  {.name = "max-age", .argument = "SECONDS", .number = &s_serve.store.max_age_s,
   .min = 0, .max = INT64_C (1) << 40,
   .help = "of a measurement when it comes; 0: --retention-raw"},
  {.name = "host-name", .argument = "NAME", .list = &s_serve.web.host_names,
   .help = "by which browsers may ask, beside localhost and numbers"},
  {.name = "public-url", .argument = "URL", .text = &s_serve.public_url,
   .help = "of the page, where a proxy is in front: https://stats.example.org"},
  {.name = "tls-cert", .argument = "FILE", .text = &s_serve.web.certificate,
   .help = "certificates in PEM, and"},
  {.name = "tls-key", .argument = "FILE", .text = &s_serve.web.key,
   .help = "the key of the first: serve https"},
  {.name = "embed-from", .argument = "ORIGIN", .list = &s_serve.web.embed_from,
   .help = "whose pages may show charts in a frame: https://wiki.example.org"},
  {.name = "web", .argument = "DIR", .text = &s_serve.page,
   .help = "the page's files, while it is changed; those built in if none is given"},
  {.name = "token-new", .argument = "NAME", .text = &s_serve.token_new,
   .help = "makes a token, prints it, and ends"},
  {.name = "role", .argument = "ROLE", .text = &s_serve.role,
   .help = "of --token-new: admin, recorder or viewer"},
  {.name = "token-list", .flag = &s_serve.token_list,
   .help = "prints names and roles of tokens, and ends"},
  {.name = "token-end", .argument = "NAME", .text = &s_serve.token_end,
   .help = "ends a token"},
  {.name = NULL}};
// clang-format on

static const char *
serve_check (void)
{
    static char wrong[2 * PUBLIC_MAX];
    const char *why = listen_check (s_serve.web.listen);
    if (why) {
        snprintf (wrong, sizeof wrong, "--listen: %s", why);
        return wrong;
    }
    if (s_serve.public_url)
        why = public_read (&s_serve.web.by_proxy, s_serve.public_url);
    if (why) {
        snprintf (wrong, sizeof wrong, "--public-url: %s", why);
        return wrong;
    }
    if (!s_serve.web.certificate != !s_serve.web.key)
        return "--tls-cert and --tls-key: give both, or neither";
    if (folder_default (s_serve.folder, s_serve.data) == -1)
        return "--data: neither HOME nor XDG_STATE_HOME says where to";
    if (!s_serve.store.max_age_s)
        s_serve.store.max_age_s = s_serve.store.keep_raw_s;
    s_serve.store.folder = s_serve.web.folder = s_serve.folder;
    snprintf (s_serve.spool, sizeof s_serve.spool, "%s/spool", s_serve.folder);
    return NULL;
}

static const char *
serve_spool (void)
{
    return s_serve.spool;
}

//  --------------------------------------------------------------------------
//  Tokens

//  Handler for tokens_list.
static void
s_print_token (void *argument, const char *name, const char *role,
               int64_t since_s)
{
    time_t since = (time_t) since_s;
    struct tm day;
    char text[32];
    (void) argument;
    localtime_r (&since, &day);
    strftime (text, sizeof text, "%Y-%m-%d", &day);
    printf ("%-24s %-10s %s\n", name, role, text);
}

//  Returns what is wrong with the folder.
static const char *
s_folder_wrong (const char *why)
{
    static char text[FOLDER_MAX + 128];
    snprintf (text, sizeof text, "--data %s: %s", s_serve.folder, why);
    return text;
}

//  To list and to end tokens makes nothing: a folder that is not there is the wrong one.
static const char *
s_need_tokens (void)
{
    char path[FOLDER_MAX + 8];
    snprintf (path, sizeof path, "%s/tokens", s_serve.folder);
    if ((!s_serve.token_list && !s_serve.token_end) || access (path, F_OK) == 0)
        return NULL;
    return s_folder_wrong (errno == ENOENT ? "no server has this folder"
                                           : strerror (errno));
}

//  Does what the options say of tokens, and ends the process; returns if they say
//  nothing.
static const char *
serve_tokens (void)
{
    char token[TOKEN_SIZE];
    const char *wrong = NULL;
    if (s_serve.token_new) {
        wrong =
          tokens_new (s_serve.folder, s_serve.token_new, s_serve.role, token);
        if (!wrong)
            printf ("%s\n", token);
    }
    else if (s_serve.token_end)
        wrong = tokens_end (s_serve.folder, s_serve.token_end);
    else if (s_serve.token_list)
        wrong = tokens_list (s_serve.folder, s_print_token, NULL);
    else
        return NULL;
    if (!wrong)
        exit (fflush (stdout) == 0 ? 0 : 1);
    return wrong;
}

//  --------------------------------------------------------------------------
//  Start and stop

static const char *
serve_open (void)
{
    const char *wrong = s_need_tokens ();
    if (wrong)
        return wrong;
    if (folder_make_all (s_serve.folder) == -1)
        return s_folder_wrong (strerror (errno));
    wrong = serve_tokens ();
    if (wrong)
        return wrong;
    s_serve.opened = store_open (&s_serve.store, &wrong);
    if (!s_serve.opened)
        return s_folder_wrong (wrong);
    s_serve.web.store = s_serve.opened;
    assets_folder (s_serve.page);
    return web_start (&s_serve.served, &s_serve.web);
}

static void
serve_close (void)
{
    web_stop (&s_serve.served);
    store_close (&s_serve.opened);
}

//  --------------------------------------------------------------------------
//  Rows

//  What a row of a flush is in the store. A tag "source" would be taken for the source;
//  the name that it gets is the next one, so that names still ascend.
static void
s_store_row (const zb_row_t *from, store_row_t *row, zb_tag_t *tags)
{
    static const metric_type_t types[] = {[ZB_TYPE_COUNTER] = METRIC_INCREMENT,
                                          [ZB_TYPE_TIMER] = METRIC_TIMER,
                                          [ZB_TYPE_GAUGE] = METRIC_GAUGE};
    bool counter = from->type == ZB_TYPE_COUNTER;
    for (size_t i = 0; i < from->tag_count; i++) {
        tags[i] = from->tags[i];
        if (strcmp (tags[i].key, "source") == 0)
            tags[i].key = "source-";
    }
    *row = (store_row_t){
      .name = from->name,
      .source = from->source && *from->source ? from->source : NULL,
      .tags = tags,
      .tag_count = from->tag_count,
      .type = types[from->type],
      .point = {.time_s = from->time_ns / INT64_C (1000000000),
                .n = counter ? 1 : from->count,
                .sum = counter ? from->value : from->sum,
                .min = counter ? from->value : from->min,
                .max = counter ? from->value : from->max,
                .sum_squares =
                  counter ? from->value * from->value : from->sum_squares,
                .last = counter ? 0 : from->last,
                .buckets = from->buckets,
                .bucket_count = from->bucket_count}};
}

//  Handler for batch_t: store_write waits for it.
static void
s_done (batch_t *batch)
{
    (void) batch;
}

//  What has become of the batch. Rows that are refused are at fault; the worker sends
//  the others again without them.
static zb_outcome_t
s_outcome (const batch_t *batch, zb_reply_t *reply)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->refused[i] != ROW_TAKEN) {
            reply->at_fault[i] = 1;
            snprintf (reply->reason, sizeof reply->reason, "%.200s: %s",
                      batch->rows[i].name,
                      store_refusal_text ((row_result_t) batch->refused[i]));
        }
    if (batch->result == BATCH_REFUSED)
        return ZB_REFUSED;
    if (batch->result == BATCH_STORED || batch->result == BATCH_REPEATED)
        return ZB_DELIVERED;
    snprintf (reply->reason, sizeof reply->reason,
              "the store cannot be written to");
    return ZB_RETRY;
}

static zb_outcome_t
serve_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    const char *key = zb_request_key ();
    size_t tags = 0, i;
    store_row_t *row = (store_row_t *) calloc (count, sizeof *row);
    unsigned char *refused = (unsigned char *) calloc (count, 1);
    batch_t batch = {.rows = row,
                     .count = count,
                     .key = key,
                     .key_size = strlen (key),
                     .whole = true,
                     .comes_again = true,
                     .refused = refused,
                     .done = s_done};
    zb_tag_t *tag;
    zb_outcome_t outcome;
    for (i = 0; i < count; i++)
        tags += rows[i].tag_count;
    tag = (zb_tag_t *) calloc (tags + 1, sizeof *tag);
    assert (row && refused && tag);
    for (i = 0, tags = 0; i < count; tags += rows[i++].tag_count)
        s_store_row (&rows[i], &row[i], tag + tags);
    store_write (s_serve.opened, &batch);
    outcome = s_outcome (&batch, reply);
    free (tag);
    free (refused);
    free (row);
    return outcome;
}

//  --------------------------------------------------------------------------
//  The backend's table

const zb_backend_t zb_serve_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "serve",
  .summary = "Keeps what is measured, and serves Librato's API and a page",
  .options = s_options,
  .wants = ZB_WANTS_SECONDS,
  .batch = BATCH,
  .flush = FLUSH_S,
  .check = serve_check,
  .open = serve_open,
  .deliver = serve_deliver,
  .close = serve_close,
  .adds = 1,
  .spool = serve_spool};
