/*  zibrato exec - hands rows to a program, which says what has become of them

        {"key": "ID-request-...", "rows": [{...}, ...]}   ─▶ its standard input
        {"key": "ID-request-...", "ok": true}             ◀─ its standard output

    A request is a line, and so is its answer, which has the request's key and
    one of

        "ok": true                              all are taken
        "refused": [2, 7], "reason": "..."      these are not, the first being 0
        "retry_ms": 5000, "reason": "..."       not now
        "hold": "..."                           not as long as this is so

    A program that ends, or does not answer, gets the same request again, with the
    same key. With --once it is started for each request: rows come as lines, the
    key as ZIBRATO_KEY, and its exit status is the answer (sysexits.h). In both cases
    ZIBRATO_WORKER is the worker's name.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "child.h"

#include "zibrato_backend.h"

#include <cjson/cJSON.h>
#include <czmq.h>
#include <sys/wait.h>
#include <sysexits.h>

enum { CLOSE_MS = 2000 };  //  that it has to end by itself, when we do

static struct {
    zb_list_t program;
    int64_t timeout;
    int once;
    const char **arguments;  //  the program's, ended by NULL
    child_t *child;          //  or NULL
} s_exec = {.timeout = 30};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "timeout", .argument = "SECONDS", .number = &s_exec.timeout,
   .min = 1, .max = 3600, .help = "that the program may take for a request"},
  {.name = "once", .flag = &s_exec.once,
   .help = "start it for each request; its exit status is the answer"},
  {.name = NULL}};

static const zb_option_t s_arguments[] = {
  {.name = "PROGRAM", .list = &s_exec.program,
   .help = "and its arguments; \"--\" before it lets these have dashes"},
  {.name = NULL}};
// clang-format on

static const char *
exec_check (void)
{
    size_t count = s_exec.program.count;
    if (!count || !*s_exec.program.texts[0])
        return "expected PROGRAM: zibrato exec [OPTION]... -- PROGRAM ARG...";
    free (s_exec.arguments);
    s_exec.arguments =
      (const char **) zmalloc ((count + 1) * sizeof *s_exec.arguments);
    memcpy (s_exec.arguments, s_exec.program.texts,
            count * sizeof *s_exec.arguments);
    return NULL;
}

//  --------------------------------------------------------------------------
//  What it is given

static void
s_add_row (buffer_t *text, const zb_row_t *row, const char *behind)
{
    char *json = zb_row_json (row, 1);
    buffer_add_text (text, json);
    buffer_add_text (text, behind);
    free (json);
}

static void
s_add_request (buffer_t *text, const zb_row_t *rows, size_t count)
{
    size_t i;
    buffer_printf (text, "{\"key\":\"%s\",\"rows\":[", zb_request_key ());
    for (i = 0; i < count; i++)
        s_add_row (text, &rows[i], i + 1 < count ? "," : "]}\n");
}

static void
s_add_lines (buffer_t *text, const zb_row_t *rows, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        s_add_row (text, &rows[i], "\n");
}

//  --------------------------------------------------------------------------
//  What it answers

static zb_outcome_t
s_wrong (zb_reply_t *reply, const char *reason)
{
    snprintf (reply->reason, sizeof reply->reason, "%s: %s",
              s_exec.arguments[0], reason);
    reply->unsure = 1;
    return ZB_FAILED;
}

//  Marks the rows of "refused". Returns -1 if that is no list of such.
static int
s_refused (const cJSON *list, size_t count, zb_reply_t *reply)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, list)
    {
        if (!cJSON_IsNumber (item) || !(item->valuedouble >= 0)
            || !(item->valuedouble < (double) count))
            return -1;
        reply->at_fault[(size_t) item->valuedouble] = 1;
    }
    return cJSON_GetArraySize (list) ? 0 : -1;
}

static zb_outcome_t
exec_outcome (const cJSON *answer, size_t count, zb_reply_t *reply)
{
    const cJSON *refused = cJSON_GetObjectItem (answer, "refused");
    const cJSON *retry = cJSON_GetObjectItem (answer, "retry_ms");
    const cJSON *hold = cJSON_GetObjectItem (answer, "hold");
    const cJSON *reason = cJSON_GetObjectItem (answer, "reason");
    const cJSON *key = cJSON_GetObjectItem (answer, "key");
    if (!cJSON_IsString (key) || !streq (key->valuestring, zb_request_key ()))
        return s_wrong (reply, "an answer to something else");
    if (cJSON_IsTrue (cJSON_GetObjectItem (answer, "ok")))
        return ZB_DELIVERED;
    reason = cJSON_IsString (hold) ? hold : reason;
    snprintf (reply->reason, sizeof reply->reason, "%s: %.400s",
              s_exec.arguments[0],
              cJSON_IsString (reason) ? reason->valuestring : "no reason");
    if (cJSON_IsArray (refused) && s_refused (refused, count, reply) == 0)
        return ZB_REFUSED;
    if (cJSON_IsString (hold))
        return ZB_HOLD;
    if (!cJSON_IsNumber (retry))
        return s_wrong (reply, "an answer with none of ok, refused, retry_ms, "
                               "hold");
    reply->retry_after_ms =
      (int64_t) fmin (fmax (retry->valuedouble, 0), 86400000);
    return ZB_RETRY;
}

static zb_outcome_t
exec_answered (const char *line, size_t count, zb_reply_t *reply)
{
    cJSON *answer = cJSON_Parse (line);
    zb_outcome_t outcome = answer
                             ? exec_outcome (answer, count, reply)
                             : s_wrong (reply, "an answer that is no JSON");
    cJSON_Delete (answer);
    return outcome;
}

//  --------------------------------------------------------------------------
//  Delivery

static int64_t
s_until (void)
{
    return zclock_mono () + s_exec.timeout * 1000;
}

static zb_outcome_t
s_not_started (zb_reply_t *reply)
{
    snprintf (reply->reason, sizeof reply->reason, "%s: %s",
              s_exec.arguments[0], strerror (errno));
    return ZB_HOLD;
}

//  For a request with this key, which it reads from a file, or for all of them.
static child_t *
exec_start (const char *key, int input)
{
    char worker[ZB_NAME_MAX + 32], request[256];
    const char *variables[] = {worker, key ? request : NULL, NULL};
    snprintf (worker, sizeof worker, "ZIBRATO_WORKER=%s", zb_worker ());
    snprintf (request, sizeof request, "ZIBRATO_KEY=%s", key ? key : "");
    return child_new (s_exec.arguments, variables, input);
}

//  A program that has answered nothing, or nonsense, starts anew.
static zb_outcome_t
exec_deliver_line (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    buffer_t text = {.text = NULL};
    const char *line = NULL;
    zb_outcome_t outcome;
    if (!s_exec.child && !(s_exec.child = exec_start (NULL, -1)))
        return s_not_started (reply);
    s_add_request (&text, rows, count);
    if (child_write (s_exec.child, &text, s_until ()) == 0)
        line = child_read (s_exec.child, s_until ());
    buffer_clear (&text);
    outcome = line             ? exec_answered (line, count, reply)
              : errno == EPIPE ? s_wrong (reply, "it has ended")
                               : s_wrong (reply, strerror (errno));
    if (reply->unsure)
        child_destroy (&s_exec.child, 0);
    return outcome;
}

//  Of a program that has ended (sysexits.h).
static zb_outcome_t
exec_ended (int status, zb_reply_t *reply)
{
    static const struct {
        int status;
        zb_outcome_t outcome;
        const char *name;
    } known[] = {{EX_OK, ZB_DELIVERED, "0"},
                 {EX_DATAERR, ZB_REFUSED, "65, refused"},
                 {EX_TEMPFAIL, ZB_RETRY, "75, not now"},
                 {EX_NOPERM, ZB_HOLD, "77, not permitted"}};
    char text[64];
    size_t i;
    for (i = 0; WIFEXITED (status) && i < sizeof known / sizeof *known; i++)
        if (WEXITSTATUS (status) == known[i].status) {
            snprintf (reply->reason, sizeof reply->reason, "%s: status %s",
                      s_exec.arguments[0], known[i].name);
            return known[i].outcome;
        }
    snprintf (text, sizeof text, WIFEXITED (status) ? "status %d" : "signal %d",
              WIFEXITED (status) ? WEXITSTATUS (status) : WTERMSIG (status));
    return s_wrong (reply, text);
}

//  With a pipe the program could not tell the end of its input from the death of a worker
//  that had not written all.
static int
exec_file (const zb_row_t *rows, size_t count)
{
    buffer_t text = {.text = NULL};
    int fd;
    s_add_lines (&text, rows, count);
    fd = child_file (&text);
    buffer_clear (&text);
    return fd;
}

//  What it prints is for nobody; that its output ends says that it has ended.
static zb_outcome_t
exec_deliver_once (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    int64_t until = s_until ();
    int input = exec_file (rows, count), status;
    child_t *child = input == -1 ? NULL : exec_start (zb_request_key (), input);
    bool late;
    if (!child)
        return s_not_started (reply);
    while (child_read (child, until)) {
    }
    late = errno == ETIMEDOUT;
    status = child_destroy (&child, late ? 0 : until);
    return late ? s_wrong (reply, strerror (ETIMEDOUT))
                : exec_ended (status, reply);
}

static zb_outcome_t
exec_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    return s_exec.once ? exec_deliver_once (rows, count, reply)
                       : exec_deliver_line (rows, count, reply);
}

static void
exec_close (void)
{
    child_destroy (&s_exec.child, zclock_mono () + CLOSE_MS);
    free (s_exec.arguments);
    s_exec.arguments = NULL;
}

//  --------------------------------------------------------------------------
//  The backend's table

const zb_backend_t zb_exec_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "exec",
  .summary = "Hands rows as JSON to a program, which says what became of them",
  .options = s_options,
  .arguments = s_arguments,
  .batch = 300,
  .check = exec_check,
  .deliver = exec_deliver,
  .close = exec_close,
  .adds = 1};
