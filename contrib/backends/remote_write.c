/*  zibrato remote-write - posts to whatever takes Prometheus' remote write 1.0

    What is posted are totals, and their times rise. So a request that comes twice
    changes nothing, and a total that a server does not take, since it has a later one,
    is no loss.

    Sections: options, requests, what is refused, rows. What a row becomes is in
    write_request.c, HTTP is in service.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "age.h"
#include "claims.h"
#include "fitted.h"
#include "service.h"
#include "utf8.h"
#include "write_request.h"

#include <czmq.h>

#ifdef ZIBRATO_SNAPPY
#include <snappy-c.h>
#endif

//  --------------------------------------------------------------------------
//  Options

enum {
    FLUSH = 15,  //  seconds, the default
    FLUSH_MOST =
      240,         //  a server takes a series for ended after 5 min of silence
    BATCH = 500,   //  rows; a classic histogram is 33 series
    AHEAD_S = 600  //  of our clock: one sample that is further ahead may keep
                   //  Prometheus from taking any that comes after it
};

static struct {
    service_t service;
    write_form_t form;
    int native;
    char worker[ZB_NAME_MAX + 1];
    buffer_t body;  //  sender's thread, the following too
    char *packed;
    size_t packed_max;
    claims_t claims;
    age_t age;
} s_write = {.service = {SERVICE_DEFAULTS,
                         .http = {.url = "http://127.0.0.1:9090/api/v1/write",
                                  .timeout = 30,
                                  .type = "application/x-protobuf"}}};

// clang-format off
static const zb_option_t s_options[] = {
  SERVICE_OPTIONS (s_write.service),
  {.name = "native-histograms", .flag = &s_write.native,
   .help = "timers have all their buckets; else those at powers of two"},
  {.name = NULL}};
// clang-format on

static const char *
write_check (void)
{
    const char *wrong = service_check (&s_write.service);
#ifndef ZIBRATO_SNAPPY
    return "remote-write: built without libsnappy";
#endif
    if (!wrong && s_write.service.http.gzip)
        return "--gzip: what is posted is compressed anyway, by snappy";
    s_write.form.native = s_write.native != 0;
    return wrong;
}

static const char *
write_reload (void)
{
    return service_reload (&s_write.service);
}

static zb_outcome_t
write_connect (zb_reply_t *reply)
{
    snprintf (s_write.worker, sizeof s_write.worker, "%s", zb_worker ());
    utf8_mend (s_write.worker);
    s_write.form.worker = s_write.worker;
    claims_init (&s_write.claims);
    return service_connect (&s_write.service, reply);
}

//  --------------------------------------------------------------------------
//  Requests

//  Returns the size of what is in s_write.packed then.
static size_t
write_pack (void)
{
    size_t size = 0;
#ifdef ZIBRATO_SNAPPY
    snappy_status rc;
    size = snappy_max_compressed_length (s_write.body.size);
    if (size > s_write.packed_max) {
        s_write.packed = (char *) realloc (s_write.packed, size);
        assert (s_write.packed);
        s_write.packed_max = size;
    }
    rc = snappy_compress (s_write.body.text, s_write.body.size, s_write.packed,
                          &size);
    assert (rc == SNAPPY_OK);
#endif
    return size;
}

//  Posts the rows, with zeros at starts or without.
static zb_outcome_t
write_post (const zb_row_t *rows, size_t count, bool zeros, zb_reply_t *reply)
{
    zb_outcome_t outcome = ZB_RETRY;
    http_t *http;
    size_t size;
    long status;
    s_write.body.size = 0;
    s_write.form.zeros = zeros;
    for (size_t i = 0; i < count; i++)
        write_request_add (&s_write.body, &s_write.form, &rows[i]);
    size = write_pack ();
    http = service_take (&s_write.service);
    http_header (http, "Content-Encoding: snappy");
    http_header (http, "X-Prometheus-Remote-Write-Version: 0.1.0");
    status = http_send (http, s_write.packed, size, reply);
    if (status == HTTP_SILENT)
        outcome = ZB_FAILED;
    else if (status)
        outcome = http_outcome (NULL, status);
    if (status > 0 && outcome != ZB_DELIVERED)
        snprintf (reply->reason, sizeof reply->reason, "status %ld %.200s",
                  status, http_text (http));
    service_give (&s_write.service, http, status);
    return outcome;
}

//  --------------------------------------------------------------------------
//  What is refused

//  What a server says of samples that come too late for it. Of a total it has a later
//  one then, or will have.
typedef enum { LATE_NOT, LATE_SERIES, LATE_AGE } late_t;

static const struct {
    const char *text;
    late_t late;
} s_late[] = {{"out of order sample", LATE_SERIES},
              {"duplicate sample for timestamp", LATE_SERIES},
              {"out of bounds", LATE_AGE},
              {"too old sample", LATE_AGE}};

static late_t
s_late_of (zb_outcome_t outcome, const char *reason)
{
    if (outcome == ZB_REFUSED || outcome == ZB_FAILED)
        for (size_t i = 0; i < sizeof s_late / sizeof *s_late; i++)
            if (strstr (reason, s_late[i].text))
                return s_late[i].late;
    return LATE_NOT;
}

//  Totals are superseded; readings that come too late are lost, and one that is alone
//  is set aside.
static zb_outcome_t
write_supersede (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    if (count == 1 && rows->type == ZB_TYPE_GAUGE)
        return ZB_REFUSED;
    for (size_t i = 0; i < count; i++)
        if (rows[i].type == ZB_TYPE_GAUGE)
            reply->refused++;
        else
            reply->superseded++;
    return ZB_DELIVERED;
}

//  Without marks, they were taken; else those that are too old get some.
static void
write_learn_age (const zb_row_t *rows, size_t count, char *marks)
{
    int64_t *seconds = (int64_t *) zmalloc (count * sizeof *seconds);
    for (size_t i = 0; i < count; i++)
        seconds[i] = rows[i].time_ns / INT64_C (1000000000);
    if (marks)
        age_refused (&s_write.age, seconds, count, zclock_mono (), marks);
    else
        age_taken (&s_write.age, seconds, count, zclock_mono ());
    free (seconds);
}

//  Some are too old: which ones, is found once. Those are tried by themselves then,
//  and if all of them are marked they are.
static zb_outcome_t
write_too_old (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    write_learn_age (rows, count, reply->at_fault);
    if (memchr (reply->at_fault, 0, count))
        return ZB_REFUSED;
    memset (reply->at_fault, 0, count);
    return write_supersede (rows, count, reply);
}

static zb_outcome_t
write_late (late_t late, const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    if (late == LATE_AGE)
        return write_too_old (rows, count, reply);
    return count == 1 ? write_supersede (rows, count, reply) : ZB_REFUSED;
}

//  --------------------------------------------------------------------------
//  Rows

//  A server must not get these, or cannot tell them from others. Returns why.
static const char *
write_unfit (const zb_row_t *row, int64_t now_s)
{
    char name[PROM_NAME_MAX];
    if (row->time_ns / INT64_C (1000000000) > now_s + AHEAD_S)
        return "its time is more than 10 minutes ahead of our clock";
    prom_name (row, name);
    return claims_take (&s_write.claims, prom_kind (row), row->name, name)
             ? NULL
             : "another measurement has its name";
}

static bool
write_marks_unfit (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    int64_t now_s = zclock_time () / 1000;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const char *why = write_unfit (&rows[i], now_s);
        if (!why)
            continue;
        reply->at_fault[i] = 1;
        if (!any)
            snprintf (reply->reason, sizeof reply->reason, "%s", why);
        any = true;
    }
    return any;
}

//  A request that comes again, since its answer was lost, has zeros that are older than
//  what the server has by then: so it goes once more without them.
static zb_outcome_t
write_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    zb_outcome_t outcome;
    bool zeros = false;
    late_t late;
    if (write_marks_unfit (rows, count, reply))
        return ZB_REFUSED;
    for (size_t i = 0; i < count; i++)
        zeros |= write_begins (&rows[i]);
    outcome = write_post (rows, count, zeros, reply);
    late = s_late_of (outcome, reply->reason);
    if (late == LATE_SERIES && zeros) {
        outcome = write_post (rows, count, false, reply);
        late = s_late_of (outcome, reply->reason);
    }
    if (late != LATE_NOT)
        return write_late (late, rows, count, reply);
    if (outcome == ZB_DELIVERED && s_write.age.known)
        write_learn_age (rows, count, NULL);
    return outcome;
}

static void
write_close (void)
{
    service_close (&s_write.service);
    buffer_clear (&s_write.body);
    free (s_write.packed);
    s_write.packed = NULL;
    claims_clear (&s_write.claims);
    fitted_forget ();
}

const zb_backend_t zb_remote_write_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "remote-write",
  .summary = "Delivers by Prometheus' remote write, to it and its likes",
  .options = s_options,
  .wants = ZB_WANTS_TOTALS | ZB_WANTS_IDLE,
  .batch = BATCH,
  .flush = FLUSH,
  .flush_most = FLUSH_MOST,
  .check = write_check,
  .connect = write_connect,
  .deliver = write_deliver,
  .close = write_close,
  .reload = write_reload,
  .ordered = 1,
  .fit = prom_fit};
