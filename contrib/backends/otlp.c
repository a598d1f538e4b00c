/*  zibrato otlp - delivers by OTLP/HTTP to whatever takes OpenTelemetry's metrics

    With --temporality cumulative (the default) a point is a total since a start, so
    that one that comes twice changes nothing; with delta it is what one flush has
    added.

    The specification is opentelemetry-proto's docs/specification.md, "OTLP/HTTP".
    What a row becomes is in otlp_encode.c, HTTP is in service.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "fitted.h"
#include "otlp_answer.h"
#include "otlp_encode.h"
#include "service.h"
#include "utf8.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  Options

enum { RESOURCE_MAX = 64, OWN_ATTRIBUTES = 3 };

//  Only these may be tried again; of the others only what the sender takes for the
//  service's own fault, or for the credentials'.
static const http_status_t s_statuses[] = {
  {408, 408, ZB_REFUSED}, {425, 425, ZB_REFUSED}, {0, 0, ZB_HOLD}};

static struct {
    service_t service;
    const char *encoding, *temporality;
    zb_list_t attributes;
    otlp_form_t form;
    int wants;
    buffer_t body;  //  sender's thread, the following too
    zb_tag_t resource[RESOURCE_MAX];
    char warning[256];
} s_otlp = {.service = {SERVICE_DEFAULTS,
                        .http = {.url = "http://127.0.0.1:4318/v1/metrics",
                                 .timeout = 15},
                        .statuses = s_statuses},
            .encoding = "protobuf",
            .temporality = "cumulative",
            .form.max_buckets = 160};

// clang-format off
static const zb_option_t s_options[] = {
  SERVICE_OPTIONS (s_otlp.service),
  {.name = "encoding", .argument = "protobuf|json", .text = &s_otlp.encoding,
   .help = "of what is posted"},
  {.name = "temporality", .argument = "cumulative|delta",
   .text = &s_otlp.temporality, .help = "totals, or what each flush adds"},
  {.name = "max-buckets", .argument = "N", .number = &s_otlp.form.max_buckets,
   .min = 20, .max = 2080, .help = "of a timer; beyond them they get coarser"},
  {.name = "resource", .argument = "KEY=VALUE", .list = &s_otlp.attributes,
   .help = "another attribute of this resource; may be repeated"},
  {.name = NULL}};
// clang-format on

//  Returns 1 for the second word, 0 for the first, -1 for any other.
static int
s_choice (const char *text, const char *first, const char *second)
{
    return streq (text, second) ? 1 : streq (text, first) ? 0 : -1;
}

static const char *
s_check_attributes (void)
{
    if (s_otlp.attributes.count > RESOURCE_MAX - OWN_ATTRIBUTES)
        return "--resource: there are too many";
    for (size_t i = 0; i < s_otlp.attributes.count; i++)
        if (strcspn (s_otlp.attributes.texts[i], "=") == 0
            || !strchr (s_otlp.attributes.texts[i], '='))
            return "--resource: expected KEY=VALUE";
    return NULL;
}

static const char *
otlp_check (void)
{
    const char *wrong = service_check (&s_otlp.service);
    int delta = s_choice (s_otlp.temporality, "cumulative", "delta");
    s_otlp.form.json = s_choice (s_otlp.encoding, "protobuf", "json");
    if (wrong)
        return wrong;
    if (delta == -1)
        return "--temporality: expected cumulative or delta";
    if (s_otlp.form.json == -1)
        return "--encoding: expected protobuf or json";
    s_otlp.service.http.type =
      s_otlp.form.json ? "application/json" : "application/x-protobuf";
    s_otlp.wants = delta ? 0 : ZB_WANTS_TOTALS | ZB_WANTS_IDLE;
    return s_check_attributes ();
}

static const char *
otlp_reload (void)
{
    return service_reload (&s_otlp.service);
}

//  What waits in a spool was made for one or the other.
static const char *
otlp_naming (void)
{
    return s_otlp.temporality;
}

//  What is no UTF-8 makes a receiver refuse the whole request.
static int
otlp_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    static int any;  //  nothing can become the same before
    int changed;
    snprintf (fitted, ZB_NAME_MAX + 1, "%s", text);
    changed = utf8_mend (fitted);
    any |= changed;
    if (any)
        fitted_tell (fitted, text, is_source, changed);
    return changed;
}

//  --------------------------------------------------------------------------
//  Requests and responses

//  Of two attributes with one key the last one counts.
static void
s_add_attribute (const char *key, const char *value)
{
    size_t i = 0;
    while (i < s_otlp.form.resource_count
           && !streq (s_otlp.resource[i].key, key))
        i++;
    if (i == s_otlp.form.resource_count)
        s_otlp.form.resource_count++;
    s_otlp.resource[i] = (zb_tag_t){key, value};
}

//  A text KEY=VALUE becomes two.
static void
s_add_attributes (void)
{
    for (size_t i = 0; i < s_otlp.attributes.count; i++) {
        char *key = (char *) s_otlp.attributes.texts[i];
        char *value = strchr (key, '=');
        *value++ = 0;
        s_add_attribute (key, value);
    }
}

//  Each stream must have one writer. A receiver tells them by their resource, most of
//  them by service.name and service.instance.id.
static zb_outcome_t
otlp_connect (zb_reply_t *reply)
{
    s_otlp.form.resource = s_otlp.resource;
    s_add_attribute ("service.name", "zibrato");
    s_add_attribute ("service.instance.id", zb_worker_id ());
    s_add_attribute ("zibrato.worker", zb_worker ());
    s_add_attributes ();
    return service_connect (&s_otlp.service, reply);
}

//  Taken, but some points were not, or there is a warning. It does not say which, and
//  must not be sent again.
static zb_outcome_t
otlp_read_success (const otlp_answer_t *answer, zb_reply_t *reply)
{
    reply->refused = answer->rejected;
    snprintf (reply->reason, sizeof reply->reason, "%s", answer->message);
    if (!answer->rejected && *answer->message
        && !streq (answer->message, s_otlp.warning)) {
        zb_log (LOG_WARNING, "warned", "reason=\"%s\"", answer->message);
        snprintf (s_otlp.warning, sizeof s_otlp.warning, "%s", answer->message);
    }
    return ZB_DELIVERED;
}

//  Handler for service_post. A page in place of an answer is that of a login, or of
//  whatever else is at a wrong address.
static zb_outcome_t
otlp_read (const http_t *http, long status, zb_outcome_t outcome,
           zb_reply_t *reply)
{
    const char *type = http_type (http);
    int json = strncmp (type, "application/json", 16) == 0;
    bool page = strncmp (type, "text/html", 9) == 0;
    otlp_answer_t answer;
    if (outcome == ZB_DELIVERED && !page) {
        otlp_answer_success (&answer, json, http_text (http), http_size (http));
        return otlp_read_success (&answer, reply);
    }
    otlp_answer_failure (&answer, json, http_text (http), http_size (http));
    snprintf (reply->reason, sizeof reply->reason, "status %ld %s", status,
              answer.message);
    return outcome == ZB_DELIVERED ? ZB_HOLD : outcome;
}

static zb_outcome_t
otlp_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    s_otlp.body.size = 0;
    if (!otlp_encode (&s_otlp.form, rows, count, &s_otlp.body))
        return ZB_DELIVERED;
    return service_post (&s_otlp.service, s_otlp.body.text, s_otlp.body.size,
                         reply, otlp_read);
}

static void
otlp_close (void)
{
    service_close (&s_otlp.service);
    buffer_clear (&s_otlp.body);
    fitted_forget ();
}

//  --------------------------------------------------------------------------
//  The backend's table

//  A request of 2000 rows has some 200 KiB, 1 MiB with large histograms: the least
//  that a receiver was found to take (New Relic).
const zb_backend_t zb_otlp_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "otlp",
  .summary = "Delivers to what takes OpenTelemetry's metrics by OTLP/HTTP",
  .options = s_options,
  .wants_too = &s_otlp.wants,
  .batch = 2000,
  .check = otlp_check,
  .connect = otlp_connect,
  .deliver = otlp_deliver,
  .close = otlp_close,
  .reload = otlp_reload,
  .ordered = 1,
  .fit = otlp_fit,
  .naming = otlp_naming};
