/*  test_standin.c - can the stand-in be trusted as a judge?

    Each test starts the real server as a child process, talks to it with
    libcurl, reads back what it stored, and ends it with SIGTERM; a server
    that does not exit with status 0 (a leak under the sanitizers, say) fails
    its test. The thirty checks are those of the contract of the Librato API;
    29 and 30 belong to the tagged API, which the stand-in does not speak.

    The server's binary is named by ZB_STANDIN or by the first argument.

    Sections: the server, requests, what is expected, the checks 1 to 28,
    faults, control routes, TLS, the process, volume.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  strcasestr

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JSON      "application/json"
#define FORM      "application/x-www-form-urlencoded"
#define JSON_UTF8 "application/json;charset=utf-8"
#define ONE_GAUGE "{\"gauges\":[{\"name\":\"a\",\"value\":1}]}"
#define POISON    "{\"gauges\":[{\"name\":\"poison.1\",\"value\":1}]}"

//  --------------------------------------------------------------------------
//  The server: one child process a test.

static char *s_binary;
static pid_t s_pid;
static int s_out = -1;             //  the read end of its stdout
static char s_base[128];           //  http://127.0.0.1:PORT
static char s_folder[64];          //  certificate and key; "" if there are none
static const char *s_credentials;  //  USER:TOKEN, NULL for none
static CURL *s_curl;

//  Reads the line that says where the server listens. Returns -1 on none.
static int
s_read_ready (int out)
{
    char line[128];
    size_t length = 0;
    struct pollfd input = {out, POLLIN, 0};
    while (length < sizeof line - 1 && poll (&input, 1, 60000) == 1
           && read (out, line + length, 1) == 1)
        if (line[length++] == '\n')
            break;
    line[length] = '\0';
    char *end = strstr (line, "/v1/metrics\n");
    if (strncmp (line, "ready url=http", 14) != 0 || !end)
        return -1;
    *end = '\0';
    snprintf (s_base, sizeof s_base, "%s", line + strlen ("ready url="));
    return 0;
}

//  Starts a program with its stdout in a pipe, and with its stderr dropped if
//  it is quiet. Returns its process id.
static pid_t
s_spawn (char *const *argv, int *out, bool quiet)
{
    int ends[2];
    assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
    pid_t pid = fork ();
    if (pid == 0) {
        dup2 (ends[1], STDOUT_FILENO);
        if (quiet)
            dup2 (open ("/dev/null", O_WRONLY), STDERR_FILENO);
        execvp (argv[0], argv);
        _exit (127);
    }
    close (ends[1]);
    *out = ends[0];
    return pid;
}

//  Starts the server with these options, NULL at the end.
static void
s_start (char *option, ...)
{
    char *argv[16] = {s_binary};
    int argc = 1;
    va_list options;
    va_start (options, option);
    for (; option && argc < 15; option = va_arg (options, char *))
        argv[argc++] = option;
    va_end (options);
    s_pid = s_spawn (argv, &s_out, false);
    assert_int_equal (s_read_ready (s_out), 0);
}

//  Ends the server. Returns its exit status, -1 if it died otherwise.
static int
s_stop (void)
{
    int status = 0;
    if (s_pid == 0)
        return 0;
    kill (s_pid, SIGTERM);
    waitpid (s_pid, &status, 0);
    s_pid = 0;
    char more;  //  after the line nothing may be printed
    bool silent = read (s_out, &more, 1) == 0;
    close (s_out);
    return WIFEXITED (status) && silent ? WEXITSTATUS (status) : -1;
}

static int
s_set_up_idle (void **state)
{
    (void) state;
    s_credentials = "user@example.org:token";
    s_curl = curl_easy_init ();
    return s_curl ? 0 : -1;
}

static int
s_set_up (void **state)
{
    int rc = s_set_up_idle (state);
    s_start (NULL);
    return rc;
}

static void s_forget_reply (void);

static int
s_tear_down (void **state)
{
    (void) state;
    curl_easy_cleanup (s_curl);
    s_forget_reply ();
    return s_stop ();
}

//  --------------------------------------------------------------------------
//  Requests: the last reply is kept.

typedef struct {
    char *text;
    size_t size;
} text_t;

static text_t s_head, s_body;
static cJSON *s_tree;     //  the body, if it is JSON
static CURLcode s_rc;     //  how the transfer ended
static long s_connects;   //  new connections it took
static int s_body_calls;  //  pieces in which the body came

static void
s_forget_reply (void)
{
    free (s_head.text);
    free (s_body.text);
    s_head = s_body = (text_t){NULL, 0};
    cJSON_Delete (s_tree);
    s_tree = NULL;
}

static size_t
s_append (char *data, size_t one, size_t size, void *argument)
{
    (void) one;
    text_t *text = argument;
    text->text = realloc (text->text, text->size + size + 1);
    memcpy (text->text + text->size, data, size);
    text->size += size;
    text->text[text->size] = '\0';
    return size;
}

static size_t
s_append_body (char *data, size_t one, size_t size, void *argument)
{
    s_body_calls++;
    return s_append (data, one, size, argument);
}

static void
s_set_options (const char *method, const char *path, long timeout_ms)
{
    char url[256];
    snprintf (url, sizeof url, "%s%s", s_base, path);
    curl_easy_reset (s_curl);
    curl_easy_setopt (s_curl, CURLOPT_URL, url);
    curl_easy_setopt (s_curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt (s_curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (s_curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt (s_curl, CURLOPT_USERAGENT, "test/1 \"quoted\"");
    curl_easy_setopt (s_curl, CURLOPT_HEADERFUNCTION, s_append);
    curl_easy_setopt (s_curl, CURLOPT_HEADERDATA, &s_head);
    curl_easy_setopt (s_curl, CURLOPT_WRITEFUNCTION, s_append_body);
    curl_easy_setopt (s_curl, CURLOPT_WRITEDATA, &s_body);
    curl_easy_setopt (s_curl, CURLOPT_CUSTOMREQUEST, method);
    if (strcmp (method, "HEAD") == 0)
        curl_easy_setopt (s_curl, CURLOPT_NOBODY, 1L);
    if (s_credentials)
        curl_easy_setopt (s_curl, CURLOPT_USERPWD, s_credentials);
    if (*s_folder) {
        snprintf (url, sizeof url, "%s/cert.pem", s_folder);
        curl_easy_setopt (s_curl, CURLOPT_CAINFO, url);
    }
}

static const char *s_once;  //  of the next requests, or NULL

static struct curl_slist *
s_set_body (const char *type, const char *body, size_t size)
{
    char line[128];
    snprintf (line, sizeof line, "Content-Type:%s%s", *type ? " " : "", type);
    struct curl_slist *lines = curl_slist_append (NULL, line);
    if (s_once) {
        snprintf (line, sizeof line, "Idempotency-Key: %s", s_once);
        lines = curl_slist_append (lines, line);
    }
    curl_easy_setopt (s_curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt (s_curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt (s_curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) size);
    return lines;
}

//  Returns the status, 0 if there was no reply. Without a body type is NULL.
static long
s_request (const char *method, const char *path, const char *type,
           const char *body, size_t size, long timeout_ms)
{
    long status = 0;
    s_forget_reply ();
    s_body_calls = 0;
    s_set_options (method, path, timeout_ms);
    struct curl_slist *lines = type ? s_set_body (type, body, size) : NULL;
    s_rc = curl_easy_perform (s_curl);
    curl_easy_getinfo (s_curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo (s_curl, CURLINFO_NUM_CONNECTS, &s_connects);
    curl_slist_free_all (lines);
    s_tree = s_body.text ? cJSON_Parse (s_body.text) : NULL;
    return s_rc == CURLE_OK ? status : 0;
}

static long
s_get (const char *path)
{
    return s_request ("GET", path, NULL, NULL, 0, 120000);
}

static long
s_post_as (const char *type, const char *body)
{
    return s_request ("POST", "/v1/metrics", type, body, strlen (body), 120000);
}

static long
s_post (const char *json)
{
    return s_post_as (JSON, json);
}

__attribute__ ((format (printf, 1, 2))) static long
s_postf (const char *format, ...)
{
    char *json;
    va_list arguments;
    va_start (arguments, format);
    assert_true (vasprintf (&json, format, arguments) >= 0);
    va_end (arguments);
    long status = s_post (json);
    free (json);
    return status;
}

static void
s_hang_up (void)
{
    curl_easy_cleanup (s_curl);
    s_curl = curl_easy_init ();
}

//  As s_post, but over a connection of its own: libcurl would repeat by itself
//  what is cut off on one that it reuses.
static long
s_post_anew (const char *json)
{
    s_hang_up ();
    return s_post (json);
}

static void
s_script (const char *words)
{
    assert_int_equal (s_request ("POST", "/control/script", "text/plain", words,
                                 strlen (words), 120000),
                      200);
}

//  --------------------------------------------------------------------------
//  What is expected.

//  Returns what stands in the last body at a path such as errors/params/name/0.
static const cJSON *
s_at (const char *path)
{
    char copy[128], *rest = copy, *part;
    snprintf (copy, sizeof copy, "%s", path);
    const cJSON *item = s_tree;
    while (item && (part = strtok_r (rest, "/", &rest)))
        item = cJSON_IsArray (item)
                 ? cJSON_GetArrayItem (item, atoi (part))
                 : cJSON_GetObjectItemCaseSensitive (item, part);
    return item;
}

static void
s_expect_text (const char *path, const char *text)
{
    const cJSON *item = s_at (path);
    assert_true (cJSON_IsString (item));
    assert_string_equal (item->valuestring, text);
}

//  To the last bit.
static void
s_expect_number (const char *path, double number)
{
    const cJSON *item = s_at (path);
    assert_true (cJSON_IsNumber (item));
    assert_memory_equal (&item->valuedouble, &number, sizeof number);
}

static void
s_expect_header (const char *name, const char *value)
{
    char line[256];
    snprintf (line, sizeof line, "\r\n%s: %s\r\n", name, value);
    if (!strcasestr (s_head.text, line))
        fail_msg ("no header %s in\n%s", line, s_head.text);
}

//  Asks for what is stored, which is then the last body.
static void
s_expect_stored (int rows)
{
    assert_int_equal (s_get ("/control/stored"), 200);
    assert_true (cJSON_IsArray (s_tree));
    assert_int_equal (cJSON_GetArraySize (s_tree), rows);
}

static void
s_expect_accepted (long status)
{
    if (status != 200)
        fail_msg ("%ld %s", status, s_body.text);
    assert_null (s_body.text);
    s_expect_header ("Content-Length", "0");
    s_expect_header ("Content-Type", JSON_UTF8);
}

//  Asserts that a property was refused with this sentence, NULL for any.
static void
s_expect_refused (long status, const char *param, const char *sentence)
{
    char path[64];
    snprintf (path, sizeof path, "errors/params/%s/0", param);
    assert_int_equal (status, 400);
    if (!cJSON_IsString (s_at (path)))
        fail_msg ("no %s in %s", path, s_body.text);
    if (sentence)
        s_expect_text (path, sentence);
    s_expect_header ("Content-Type", JSON_UTF8);
    s_expect_header ("Connection", "close");
}

static char *
s_letters (size_t count)
{
    static char text[1024];
    memset (text, 'x', count);
    text[count] = '\0';
    return text;
}

//  Returns a request of so many gauges g0, g1 ... of value 1, padded to size
//  if that is longer. Caller owns the return value.
static char *
s_batch (int count, size_t size)
{
    char *text;
    size_t length;
    FILE *out = open_memstream (&text, &length);
    fputs ("{\"gauges\":[", out);
    for (int i = 0; i < count; i++)
        fprintf (out, "%s{\"name\":\"g%d\",\"source\":\"s\",\"value\":1}",
                 i ? "," : "", i);
    fputs ("]}", out);
    fflush (out);
    for (size_t i = length; i < size; i++)
        putc (' ', out);
    fclose (out);
    return text;
}

//  --------------------------------------------------------------------------
//  The checks.

static void
check_01_one_gauge (void **state)
{
    (void) state;
    time_t before = time (NULL);
    s_expect_accepted (s_post (
      "{\"gauges\":[{\"name\":\"a\",\"source\":\"s\",\"value\":0.30000000000000004}]}"));
    s_expect_accepted (
      s_post ("{\"counters\":[{\"name\":\"b\",\"value\":9007199254740991}]}"));
    assert_int_equal (s_connects, 0);  //  kept alive
    s_expect_stored (2);
    s_expect_text ("0/kind", "gauge");
    s_expect_text ("0/name", "a");
    s_expect_text ("0/source", "s");
    s_expect_number ("0/value", 0.30000000000000004);
    s_expect_number ("0/request", 0);
    assert_null (s_at ("0/count"));
    assert_true (s_at ("0/measure_time")->valuedouble >= (double) before);
    s_expect_text ("1/kind", "counter");
    s_expect_text ("1/source", "unassigned");
    s_expect_number ("1/value", 9007199254740991.0);
    s_expect_number ("1/request", 1);
}

static void
check_02_hashes (void **state)
{
    (void) state;
    s_expect_accepted (s_post ("{\"gauges\":{\"by.name\":{\"value\":1}}}"));
    s_expect_accepted (s_post (
      "{\"gauges\":{\"0\":{\"name\":\"n\",\"source\":\"one\",\"value\":2},"
      "\"1\":{\"name\":\"n\",\"source\":\"two\",\"value\":3}}}"));
    s_expect_stored (3);
    s_expect_text ("0/name", "by.name");
    s_expect_text ("1/name", "n");
    s_expect_text ("1/source", "one");
    s_expect_text ("2/name", "n");
    s_expect_text ("2/source", "two");
    s_expect_number ("2/value", 3);
}

static void
check_03_form (void **state)
{
    (void) state;
    static const char form[] =
      "source=s+1&gauges[0][name]=a&gauges[0][value]=1.5&counters[x][name]"
      "=b&counters[x][value]=7&gauges%5b1%5D%5Bname%5D=%61.2&gauges[1]"
      "[count]=2&gauges[1][sum]=-3e1&gauges[0][source]=own&gauges[1]"
      "[source]=s";
    assert_int_equal (s_post_as (FORM, form), 400);  //  a blank in the source
    s_expect_text ("errors/params/source/0", "s 1 is not a valid source name");
    char *plain = strdup (form);
    memcpy (plain, "source=s-1", 10);
    s_expect_accepted (s_post_as (FORM, plain));
    s_expect_accepted (s_post_as (FORM "; charset=utf-8", plain));
    s_expect_accepted (s_post_as ("", plain));  //  the documented default
    free (plain);
    s_expect_stored (9);
    s_expect_text ("0/source", "own");
    s_expect_number ("0/value", 1.5);
    s_expect_text ("1/name", "a.2");
    s_expect_number ("1/count", 2);
    s_expect_number ("1/sum", -30);
    s_expect_text ("2/kind", "counter");
    s_expect_text ("2/source", "s-1");
}

static void
check_03_bad_forms (void **state)
{
    (void) state;
    static const char *const forms[] = {
      "gauges[0][name]",
      "gauges[0]=1",
      "gauges[][name]=a&gauges[][value]=1",
      "gauges[0][name]=a&gauges[0][value]=1&gauges[0][value]=2",
      "gauges[0][name]=a%00b&gauges[0][value]=1",
      "gauges[0][name]=a&gauges[0][value]=0x10",
      "gauges[0][name]=a&gauges[0][value]=",
      "gauges[0][name]=a&gauges[0][value][x]=1",
      "gauges=1",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        assert_int_equal (s_post_as (FORM, forms[i]), 400);
    s_expect_stored (0);
}

static void
check_04_globals (void **state)
{
    (void) state;
    long long now = time (NULL);
    s_expect_accepted (s_postf (
      "{\"source\":\"all.of.it\",\"measure_time\":%lld,\"period\":60,"
      "\"attributes\":{\"aggregate\":true},\"gauges\":[{\"name\":\"a\","
      "\"value\":1},{\"name\":\"b\",\"value\":2,\"source\":\"own\","
      "\"measure_time\":%lld}]}",
      now - 60, now - 120));
    s_expect_stored (2);
    s_expect_text ("0/source", "all.of.it");
    s_expect_number ("0/measure_time", (double) (now - 60));
    s_expect_text ("1/source", "own");
    s_expect_number ("1/measure_time", (double) (now - 120));
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (3);
    assert_in_range (
      (int) (s_at ("2/measure_time")->valuedouble - (double) now), 0, 60);
}

static void
check_05_nothing (void **state)
{
    (void) state;
    static const char *const empty[] = {"{}", "{\"gauges\":[],\"counters\":[]}",
                                        "{\"gauges\":{}}",
                                        "{\"source\":\"s\"}"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_int_equal (s_post (empty[i]), 400);
        s_expect_text ("errors/request/0", "Must contain a measurement");
    }
    assert_int_equal (s_post_as (FORM, ""), 400);
    s_expect_text ("errors/request/0", "Must contain a measurement");
}

static void
check_06_no_name (void **state)
{
    (void) state;
    s_expect_refused (s_post ("{\"gauges\":[{\"value\":1}]}"), "name",
                      "is not present");
    s_expect_refused (s_post ("{\"counters\":[{\"name\":null,\"value\":1}]}"),
                      "name", "is not present");
    s_expect_stored (0);
}

static void
check_07_bad_name (void **state)
{
    (void) state;
    static const char *const names[] = {"a b",         "a/b", "a#b",   "a@b",
                                        "caf\xc3\xa9", " ",   "a\\\\b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        long status =
          s_postf ("{\"gauges\":[{\"name\":\"%s\",\"value\":1}]}", names[i]);
        char sentence[64];
        snprintf (sentence, sizeof sentence, "%s is not a valid metric name",
                  i == 6 ? "a\\b" : names[i]);
        s_expect_refused (status, "name", sentence);
    }
    s_expect_stored (0);
    s_expect_accepted (
      s_post ("{\"gauges\":[{\"name\":\"Az09.:-_\",\"value\":1}]}"));
}

static void
check_08_long_name (void **state)
{
    (void) state;
    s_expect_accepted (s_postf ("{\"gauges\":[{\"name\":\"%s\",\"value\":1}]}",
                                s_letters (255)));
    s_expect_refused (
      s_postf ("{\"gauges\":[{\"name\":\"%s\",\"value\":1}]}", s_letters (256)),
      "name", NULL);
    s_expect_refused (
      s_postf ("{\"gauges\":{\"%s\":{\"value\":1}}}", s_letters (256)), "name",
      NULL);
    s_expect_stored (1);
}

static void
check_09_bad_source (void **state)
{
    (void) state;
    static const char *const globals[] = {"\"source\":\"a b\",", "",
                                          "\"source\":\"ok\","};
    static const char *const locals[] = {"", ",\"source\":\"a b\"",
                                         ",\"source\":\"a b\""};
    for (size_t i = 0; i < 3; i++) {
        s_expect_refused (
          s_postf ("{%s\"gauges\":[{\"name\":\"a\",\"value\":1%s}]}",
                   globals[i], locals[i]),
          "source", "a b is not a valid source name");
        assert_true (cJSON_IsNumber (s_at ("request_time")));
    }
    for (size_t length = 255; length <= 257; length++) {
        long status = s_postf (
          "{\"source\":\"%s\",\"gauges\":[{\"name\":\"a\",\"value\":1}]}",
          s_letters (length));
        if (length > 255)
            s_expect_refused (status, "source", NULL);
        else
            s_expect_accepted (status);
    }
    s_expect_stored (1);
}

static void
check_10_source_all (void **state)
{
    (void) state;
    static const char *const words[] = {"all", "ALL", "aLl"};
    for (size_t i = 0; i < 3; i++) {
        s_expect_refused (s_postf ("{\"source\":\"%s\",\"gauges\":[{\"name\":"
                                   "\"a\",\"value\":1,\"source\":\"ok\"}]}",
                                   words[i]),
                          "source", NULL);
        s_expect_refused (s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":1,"
                                   "\"source\":\"%s\"}]}",
                                   words[i]),
                          "source", NULL);
    }
    s_expect_stored (0);
}

static void
check_11_too_old (void **state)
{
    (void) state;
    long long now = time (NULL);
    const char *local =
      "{\"gauges\":[{\"name\":\"a\",\"value\":1,\"measure_time\":%lld}]}";
    char body[128];
    snprintf (body, sizeof body, local, now - 7201);
    s_expect_refused (s_post (body), "measure_time", "is too far in the past");
    assert_true (cJSON_IsNumber (s_at ("request_time")));
    s_expect_refused (s_postf ("{\"measure_time\":%lld,\"gauges\":[{\"name\":"
                               "\"a\",\"value\":1}]}",
                               now - 7201),
                      "measure_time", "is too far in the past");
    snprintf (body, sizeof body, local, now - 7100);
    s_expect_accepted (s_post (body));
    s_expect_stored (1);

    assert_int_equal (s_stop (), 0);
    s_start ("--max-age", "60", NULL);
    s_expect_refused (s_post (body), "measure_time", "is too far in the past");
}

static void
check_12_future_and_float (void **state)
{
    (void) state;
    long long now = time (NULL);
    s_expect_accepted (s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":1,"
                                "\"measure_time\":%lld}]}",
                                now + 30));
    s_expect_accepted (s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":1,"
                                "\"measure_time\":%lld.75}]}",
                                now));
    s_expect_refused (s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":1,"
                               "\"measure_time\":%lld000}]}",
                               now),
                      "measure_time", NULL);  //  milliseconds
    s_expect_stored (2);
    s_expect_number ("0/measure_time", (double) (now + 30));
    s_expect_number ("1/measure_time", (double) now);
}

static void
check_13_count_without_sum (void **state)
{
    (void) state;
    static const char *const sums[] = {"", ",\"sum\":null"};
    for (size_t i = 0; i < 2; i++) {
        s_expect_refused (
          s_postf ("{\"gauges\":[{\"name\":\"M\",\"count\":1%s}]}", sums[i]),
          "sum", "is required");
        s_expect_text ("errors/params/name", "M");
    }
    s_expect_stored (0);
    s_expect_accepted (
      s_post ("{\"gauges\":[{\"name\":\"M\",\"count\":3,\"sum\":0,\"min\":-1.5,"
              "\"max\":1.5,\"sum_squares\":4.5}]}"));
    s_expect_stored (1);
    s_expect_number ("0/count", 3);
    s_expect_number ("0/sum", 0);
    s_expect_number ("0/min", -1.5);
    s_expect_number ("0/max", 1.5);
    s_expect_number ("0/sum_squares", 4.5);
    assert_null (s_at ("0/value"));
}

static void
check_14_count_not_positive (void **state)
{
    (void) state;
    for (int count = -1; count <= 0; count++) {
        s_expect_refused (
          s_postf ("{\"gauges\":[{\"name\":\"M\",\"count\":%d,\"sum\":1}]}",
                   count),
          "count", "must be positive");
        s_expect_text ("errors/params/name", "M");
    }
    s_expect_refused (
      s_post ("{\"gauges\":[{\"name\":\"M\",\"count\":1.5,\"sum\":1}]}"),
      "count", NULL);
    s_expect_stored (0);
}

static void
check_15_value_and_count (void **state)
{
    (void) state;
    static const char *const wrong[][2] = {
      {"value", "\"value\":1,\"count\":1,\"sum\":1"},
      {"value", "\"sum\":1"},
      {"sum", "\"value\":1,\"sum\":1"},
      {"min", "\"value\":1,\"min\":1"},
      {"value", "\"source\":\"s\""},
      {"value", "\"value\":null"},
      {"min", "\"count\":1,\"sum\":1,\"min\":2,\"max\":1"},
      {"sum_squares", "\"count\":1,\"sum\":1,\"sum_squares\":-1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        s_expect_refused (
          s_postf ("{\"gauges\":[{\"name\":\"M\",%s}]}", wrong[i][1]),
          wrong[i][0], NULL);
    s_expect_stored (0);
}

static void
check_16_negative (void **state)
{
    (void) state;
    s_expect_refused (s_post ("{\"counters\":[{\"name\":\"M\",\"value\":-1}]}"),
                      "value", "must be positive");
    s_expect_text ("errors/params/name/0", "M");
    assert_true (cJSON_IsNumber (s_at ("request_time")));
    s_expect_stored (0);
    s_expect_accepted (s_post ("{\"gauges\":[{\"name\":\"M\",\"value\":-1}]}"));
    s_expect_accepted (
      s_post ("{\"counters\":[{\"name\":\"N\",\"value\":0}]}"));
    s_expect_stored (2);
}

static void
check_17_type_clash (void **state)
{
    (void) state;
    s_expect_accepted (
      s_post ("{\"counters\":[{\"name\":\"M\",\"value\":1}]}"));
    s_expect_refused (s_post ("{\"gauges\":[{\"name\":\"M\",\"value\":1}]}"),
                      "type",
                      "'M' is a counter, but was submitted as different type");
    s_expect_accepted (s_post ("{\"gauges\":[{\"name\":\"g\",\"value\":1}]}"));
    s_expect_refused (s_post ("{\"counters\":[{\"name\":\"G\",\"value\":1}]}"),
                      "type",
                      "'G' is a gauge, but was submitted as different type");
    s_expect_accepted (s_post ("{\"gauges\":[{\"name\":\"G\",\"value\":1}]}"));
    s_expect_stored (3);
    s_expect_text ("2/name", "G");

    //  Within one request; and what was refused leaves no type behind
    s_expect_refused (s_post ("{\"counters\":{\"x\":{\"value\":1}},"
                              "\"gauges\":{\"X\":{\"value\":1}}}"),
                      "type", NULL);
    s_expect_accepted (s_post ("{\"counters\":{\"x\":{\"value\":1}}}"));
    s_expect_stored (4);
}

static void
check_18_one_bad_among_many (void **state)
{
    (void) state;
    char *batch = s_batch (300, 0);
    char *last = strstr (batch, "\"g299\"");
    memcpy (last, "\"g 99\"", 6);
    s_expect_refused (s_post (batch), "name",
                      "g 99 is not a valid metric name");
    s_expect_stored (0);
    assert_int_equal (s_get ("/control/totals"), 200);
    assert_string_equal (s_body.text, "{}");
    memcpy (last, "\"g299\"", 6);
    s_expect_accepted (s_post (batch));
    s_expect_stored (300);
    free (batch);
}

static void
check_19_too_big_a_number (void **state)
{
    (void) state;
    static const char *const numbers[] = {"1e127", "-1e127", "1e999"};
    for (size_t i = 0; i < 3; i++)
        s_expect_refused (
          s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":%s}]}", numbers[i]),
          "value", NULL);
    s_expect_refused (s_post ("{\"gauges\":[{\"name\":\"a\",\"count\":1,"
                              "\"sum\":1e127}]}"),
                      "sum", NULL);
    s_expect_stored (0);
    s_expect_accepted (
      s_post ("{\"gauges\":[{\"name\":\"a\",\"value\":-9.75e126}]}"));
    s_expect_stored (1);
    s_expect_number ("0/value", -9.75e126);
}

static void
check_20_too_small_a_number (void **state)
{
    (void) state;
    static const char *const numbers[] = {"1e-131", "-1e-131", "1e-999"};
    for (size_t i = 0; i < 3; i++)
        s_expect_accepted (
          s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":%s}]}", numbers[i]));
    s_expect_accepted (
      s_post ("{\"gauges\":[{\"name\":\"a\",\"value\":1e-130}]}"));
    s_expect_stored (4);
    s_expect_number ("0/value", 0.0);
    s_expect_number ("1/value", 0.0);
    s_expect_number ("2/value", 0.0);
    s_expect_number ("3/value", 1e-130);
}

static void
check_21_senseless (void **state)
{
    (void) state;
    static const char *const values[] = {"NaN",
                                         "Infinity",
                                         "-Infinity",
                                         "bare",
                                         "+1",
                                         "01",
                                         ".5",
                                         "-.5",
                                         "1.",
                                         "1e",
                                         "0x10",
                                         "1,",
                                         "",
                                         "1}",
                                         "\"\\u0000\"",
                                         "\"\x01\"",
                                         "1/*x*/",
                                         "\"\xc3\x28\"",
                                         "1,\"value\":2",
                                         "\"1",
                                         "1\v",
                                         "--1",
                                         "1e5.5"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        long status =
          s_postf ("{\"gauges\":[{\"name\":\"a\",\"value\":%s}]}", values[i]);
        if (status != 400)
            fail_msg ("%s: %ld", values[i], status);
        assert_true (cJSON_IsString (s_at ("errors/request/0")));
    }
    static const char *const bodies[] = {
      "",
      "{\"gauges\":[{\"name\":\"a\",\"value\":1}]",
      "[]",
      "1",
      "null",
      ONE_GAUGE ONE_GAUGE,
      "{\"gauges\":[],\"gauges\":[]}",
      "\xff"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal (s_post (bodies[i]), 400);
    assert_int_equal (s_request ("POST", "/v1/metrics", JSON, ONE_GAUGE,
                                 sizeof ONE_GAUGE, 120000),
                      400);  //  with a NUL at its end
    s_expect_stored (0);
    s_expect_accepted (s_post (" \r\n\t" ONE_GAUGE "\n"));
}

static void
check_21_ill_typed (void **state)
{
    (void) state;
    static const char *const wrong[][2] = {
      {"value", "\"name\":\"a\",\"value\":\"1\""},
      {"value", "\"name\":\"a\",\"value\":true"},
      {"value", "\"name\":\"a\",\"value\":[1]"},
      {"name", "\"name\":5,\"value\":1"},
      {"source", "\"name\":\"a\",\"value\":1,\"source\":null"},
      {"measure_time", "\"name\":\"a\",\"value\":1,\"measure_time\":\"1\""},
      {"attributes", "\"name\":\"a\",\"value\":1,\"attributes\":[]"},
      {"stddev", "\"name\":\"a\",\"count\":1,\"sum\":1,\"stddev\":1"},
      {"tags", "\"name\":\"a\",\"value\":1,\"tags\":{}"},
      {"Value", "\"name\":\"a\",\"Value\":1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        s_expect_refused (s_postf ("{\"gauges\":[{%s}]}", wrong[i][1]),
                          wrong[i][0], NULL);
    s_expect_text ("errors/params/name", "a");
    s_expect_refused (
      s_post ("{\"counters\":[{\"name\":\"a\",\"count\":1,\"sum\":1}]}"),
      "count", NULL);
    s_expect_refused (s_post ("{\"gauges\":5}"), "gauges", NULL);
    s_expect_refused (s_post ("{\"gauges\":[5]}"), "gauges", NULL);
    s_expect_refused (s_post ("{\"tags\":{},\"gauges\":[]}"), "tags", NULL);
    assert_int_equal (s_post_as ("text/plain", ONE_GAUGE), 415);
    s_expect_stored (0);
    s_expect_accepted (
      s_post ("{\"gauges\":[{\"name\":\"a\",\"value\":1,\"display_name\":\"A\","
              "\"description\":\"d\",\"period\":60,\"attributes\":{}}]}"));
}

static void
check_22_credentials (void **state)
{
    (void) state;
    static const char *const credentials[] = {NULL,
                                              "user@example.org:wrong",
                                              "nobody@example.org:token",
                                              "user@example.org:",
                                              ":token",
                                              "user@example.org:token2"};
    for (size_t i = 0; i < sizeof credentials / sizeof *credentials; i++) {
        s_credentials = credentials[i];
        assert_int_equal (s_post (ONE_GAUGE), 401);
        s_expect_header ("Content-Type", "text/plain");
        assert_string_equal (
          s_body.text, "Credentials are required to access this resource.");
    }
    s_expect_stored (0);
    assert_int_equal (s_stop (), 0);
    s_start ("--user", "me", "--token", "a:b", NULL);
    s_credentials = "user@example.org:token";
    assert_int_equal (s_post (ONE_GAUGE), 401);
    s_credentials = "me:a:b";
    s_expect_accepted (s_post (ONE_GAUGE));
}

static void
check_23_get_and_head (void **state)
{
    (void) state;
    s_expect_accepted (s_post (ONE_GAUGE));
    assert_int_equal (s_get ("/v1/metrics"), 200);
    s_expect_header ("Content-Type", JSON_UTF8);
    s_expect_number ("query/found", 1);
    s_expect_text ("metrics/0/name", "a");
    s_expect_text ("metrics/0/type", "gauge");
    assert_int_equal (s_request ("HEAD", "/v1/metrics", NULL, NULL, 0, 120000),
                      200);
    assert_null (s_body.text);
    s_credentials = "user@example.org:wrong";
    assert_int_equal (s_get ("/v1/metrics"), 401);
    s_expect_text ("errors/request/0", "Authorization Required");
    assert_int_equal (s_request ("HEAD", "/v1/metrics", NULL, NULL, 0, 120000),
                      401);
    assert_null (s_body.text);
}

static void
check_24_plain_http (void **state)
{
    (void) state;
    s_start ("--require-tls", NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (i ? s_post (ONE_GAUGE) : s_get ("/v1/metrics"), 403);
        s_expect_text ("errors/request/0",
                       "Please use secured connection through https!");
    }
    s_expect_stored (0);
}

static void
check_25_over_quota (void **state)
{
    (void) state;
    s_script ("403limit,429:7");
    assert_int_equal (s_post (ONE_GAUGE), 403);
    s_expect_header ("X-Librato-RateLimit-Agg", "limit=100,remaining=0");
    s_expect_header ("X-Librato-RateLimit-Std", "limit=100,remaining=0");
    assert_null (strcasestr (s_head.text, "Retry-After"));
    assert_true (cJSON_IsString (s_at ("error")));
    assert_non_null (strstr (s_at ("error")->valuestring, "API limit"));
    assert_true (cJSON_IsNumber (s_at ("request_time")));
    assert_int_equal (s_post (ONE_GAUGE), 429);
    s_expect_header ("Retry-After", "7");
    assert_true (cJSON_IsString (s_at ("error")));
    s_expect_stored (0);
    s_expect_accepted (s_post (ONE_GAUGE));
}

static void
check_26_maintenance (void **state)
{
    (void) state;
    s_script ("503,ok");
    assert_int_equal (s_post (ONE_GAUGE), 503);
    s_expect_header ("Content-Type", JSON_UTF8);
    assert_true (cJSON_IsString (s_at ("errors/system/0")));
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (1);
    assert_int_equal (s_get ("/control/requests"), 200);
    s_expect_number ("0/status", 503);
    s_expect_text ("0/fault", "503");
    s_expect_number ("1/status", 200);
    s_expect_text ("1/fnv1a", s_at ("0/fnv1a")->valuestring);
}

static void
check_27_odd_replies (void **state)
{
    (void) state;
    s_script ("html400,split,split,ok");
    assert_int_equal (s_post (ONE_GAUGE), 400);
    s_expect_header ("Content-Type", "text/html");
    s_expect_header ("Connection", "close");
    assert_null (s_tree);
    assert_non_null (strstr (s_body.text, "awselb/2.0"));
    s_expect_stored (0);
    assert_int_equal (s_connects, 1);

    s_expect_refused (s_post ("{\"gauges\":[{\"value\":1}]}"), "name",
                      "is not present");
    assert_int_equal (s_connects, 0);
    assert_true (s_body_calls > 1);
    s_expect_accepted (s_post (ONE_GAUGE));
    assert_int_equal (s_connects, 1);
    s_expect_accepted (s_post (ONE_GAUGE));
    assert_int_equal (s_connects, 1);
    s_expect_stored (2);
}

static void
check_28_size (void **state)
{
    (void) state;
    const size_t limit = 3 * 1024 * 1024;
    char *batch = s_batch (301, limit + 1);
    assert_int_equal (s_post (batch), 413);
    s_expect_header ("Connection", "close");
    s_expect_stored (0);
    batch[limit] = '\0';
    s_expect_accepted (s_post (batch));
    s_expect_stored (301);
    free (batch);
    batch = s_batch (500, 0);
    s_expect_accepted (s_post (batch));
    s_expect_stored (801);
    assert_int_equal (s_get ("/control/requests"), 200);
    s_expect_number ("0/bytes", (double) (limit + 1));
    s_expect_number ("0/status", 413);
    s_expect_number ("1/measurements", 301);

    assert_int_equal (s_stop (), 0);
    s_start ("--limit-body", "100", NULL);
    assert_int_equal (s_post (batch), 413);
    s_expect_accepted (s_post (ONE_GAUGE));
    free (batch);
}

//  --------------------------------------------------------------------------
//  Faults that the checks above have not.

static double
s_seconds (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
fault_slow (void **state)
{
    (void) state;
    s_script ("slow:300,slow:600000,ok");
    double start = s_seconds ();
    s_expect_accepted (s_post (ONE_GAUGE));
    assert_true (s_seconds () - start >= 0.3);
    s_expect_stored (1);

    //  While one waits, others are served; and the end does not wait for it
    long status = s_request ("POST", "/v1/metrics", JSON, ONE_GAUGE,
                             strlen (ONE_GAUGE), 200);
    assert_int_equal (status, 0);
    assert_int_equal (s_rc, CURLE_OPERATION_TIMEDOUT);
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (2);
    start = s_seconds ();
    assert_int_equal (s_stop (), 0);
    assert_true (s_seconds () - start < 60);
}

static void
fault_cut (void **state)
{
    (void) state;
    s_script ("cut");
    assert_int_equal (s_post_anew (ONE_GAUGE), 0);
    assert_int_equal (s_rc, CURLE_GOT_NOTHING);
    s_expect_stored (0);
    assert_int_equal (s_get ("/control/requests"), 200);
    s_expect_number ("0/status", 0);
    s_expect_text ("0/fault", "cut");
    s_expect_accepted (s_post (ONE_GAUGE));
}

static void
fault_cutafter (void **state)
{
    (void) state;
    s_script ("cutafter*2");
    assert_int_equal (s_post_anew (ONE_GAUGE), 0);
    assert_int_equal (s_rc, CURLE_GOT_NOTHING);
    s_expect_stored (1);
    assert_int_equal (s_post_anew ("{}"), 0);
    s_expect_stored (1);
    assert_int_equal (s_get ("/control/requests"), 200);
    s_expect_number ("0/status", 0);
    s_expect_text ("0/fault", "cutafter");
}

//  Only the request that has such a name fails, however often it comes.
static void
fault_poison (void **state)
{
    (void) state;
    s_script ("poison*2,plain*");
    assert_int_equal (s_post (POISON), 500);
    assert_int_equal (s_post (ONE_GAUGE), 200);
    assert_int_equal (s_post (POISON), 400);
    s_expect_header ("Content-Type", "text/plain");
    assert_int_equal (s_post (ONE_GAUGE), 200);
    s_expect_stored (2);
}

static void
fault_403role (void **state)
{
    (void) state;
    s_script ("403role");
    assert_int_equal (s_post (ONE_GAUGE), 403);
    s_expect_text ("errors/request/0",
                   "This token is not permitted to perform this action on this "
                   "resource");
    s_expect_stored (0);
}

static void
fault_401 (void **state)
{
    (void) state;
    s_script ("401");
    assert_int_equal (s_post (ONE_GAUGE), 401);
    s_expect_header ("Content-Type", "text/plain");
    assert_string_equal (s_body.text,
                         "Credentials are required to access this resource.");
    s_expect_stored (0);
}

//  Reads the reply as it comes. Returns in how many pieces.
static int
s_count_pieces (const char *request, char *reply, size_t room)
{
    size_t got, length = 0;
    int pieces = 0;
    curl_socket_t handle;
    s_set_options ("POST", "/v1/metrics", 120000);
    curl_easy_setopt (s_curl, CURLOPT_CONNECT_ONLY, 1L);
    assert_int_equal (curl_easy_perform (s_curl), CURLE_OK);
    curl_easy_getinfo (s_curl, CURLINFO_ACTIVESOCKET, &handle);
    assert_int_equal (curl_easy_send (s_curl, request, strlen (request), &got),
                      CURLE_OK);
    struct pollfd input = {handle, POLLIN, 0};
    while (poll (&input, 1, 60000) == 1) {
        CURLcode rc =
          curl_easy_recv (s_curl, reply + length, room - 1 - length, &got);
        if (rc != CURLE_AGAIN && (rc != CURLE_OK || got == 0))
            break;
        pieces += rc == CURLE_OK;
        length += rc == CURLE_OK ? got : 0;
    }
    reply[length] = '\0';
    s_hang_up ();
    return pieces;
}

static void
fault_split (void **state)
{
    (void) state;
    s_script ("split");
    char request[512], reply[1024];
    snprintf (request, sizeof request,
              "POST /v1/metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic "
              "dXNlckBleGFtcGxlLm9yZzp0b2tlbg==\r\nContent-Type: " JSON
              "\r\nContent-Length: %zu\r\n\r\n" ONE_GAUGE,
              strlen (ONE_GAUGE));
    assert_true (s_count_pieces (request, reply, sizeof reply) > 2);
    assert_memory_equal (reply, "HTTP/1.1 200 ", 13);
    assert_non_null (strstr (reply, "\r\nContent-Length: 0\r\n\r\n"));
    s_expect_stored (1);
}

static void
fault_repeated (void **state)
{
    (void) state;
    s_script ("500*3, 503empty\n502*");
    static const long expected[] = {500, 500, 500, 503, 502, 502, 502, 502};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal (s_post (ONE_GAUGE), expected[i]);
        assert_null (s_body.text);
    }
    s_expect_stored (0);
    s_script ("");
    s_expect_accepted (s_post (ONE_GAUGE));
    assert_int_equal (s_stop (), 0);
    s_start ("--script", "429:1*2,ok,504", NULL);
    static const long next[] = {429, 429, 200, 504, 200};
    for (size_t i = 0; i < sizeof next / sizeof *next; i++)
        assert_int_equal (s_post (ONE_GAUGE), next[i]);
}

static void
fault_bad_words (void **state)
{
    (void) state;
    static const char *const bad[] = {"505",       "slow",  "slow:", "slow:x",
                                      "429",       "500:1", "ok*0",  "ok*x",
                                      "ok,,bogus", "*",     ":",     "-"};
    s_script ("500");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal (s_request ("POST", "/control/script", "text/plain",
                                     bad[i], strlen (bad[i]), 120000),
                          400);
    assert_int_equal (s_post (ONE_GAUGE), 500);  //  the script was kept
}

//  --------------------------------------------------------------------------
//  Control routes.

static void
control_totals_and_clear (void **state)
{
    (void) state;
    for (int i = 1; i <= 10; i++)
        s_expect_accepted (s_postf (
          "{\"source\":\"s\",\"counters\":{\"c\":{\"value\":%d}},\"gauges\":"
          "{\"t\":{\"count\":%d,\"sum\":0.5,\"source\":\"z\"}}}",
          i, i));
    assert_int_equal (s_get ("/control/totals"), 200);
    const cJSON *total = cJSON_GetObjectItemCaseSensitive (s_tree, "s/c");
    assert_int_equal (cJSON_GetObjectItem (total, "n")->valueint, 10);
    assert_int_equal (cJSON_GetObjectItem (total, "count")->valueint, 10);
    assert_int_equal (cJSON_GetObjectItem (total, "sum")->valueint, 55);
    total = cJSON_GetObjectItemCaseSensitive (s_tree, "z/t");
    assert_int_equal (cJSON_GetObjectItem (total, "n")->valueint, 10);
    assert_int_equal (cJSON_GetObjectItem (total, "count")->valueint, 55);
    assert_int_equal (cJSON_GetObjectItem (total, "sum")->valueint, 5);

    assert_int_equal (s_get ("/control/stored?name=t"), 200);
    assert_int_equal (cJSON_GetArraySize (s_tree), 10);
    assert_int_equal (s_get ("/control/stored?name=s"), 200);
    assert_string_equal (s_body.text, "[]");
    s_expect_stored (20);
    assert_int_equal (
      s_request ("DELETE", "/control/stored", NULL, NULL, 0, 9999), 200);
    s_expect_stored (0);
    assert_int_equal (s_get ("/control/requests"), 200);
    assert_string_equal (s_body.text, "[]");
    s_expect_accepted (s_post ("{\"gauges\":{\"c\":{\"value\":1}}}"));
}

static void
control_requests (void **state)
{
    (void) state;
    double before = (double) time (NULL) * 1000;
    assert_int_equal (s_post ("{\"gauges\":[{},{}]}"), 400);
    s_expect_accepted (s_post (ONE_GAUGE));
    s_credentials = NULL;
    assert_int_equal (s_post (ONE_GAUGE), 401);
    assert_int_equal (s_get ("/control/requests"), 200);
    assert_int_equal (cJSON_GetArraySize (s_tree), 3);
    s_expect_number ("0/status", 400);
    s_expect_number ("0/measurements", 2);
    s_expect_number ("1/bytes", (double) strlen (ONE_GAUGE));
    s_expect_text ("1/user_agent", "test/1 \"quoted\"");
    s_expect_text ("1/fault", "ok");
    assert_true (s_at ("1/time_ms")->valuedouble >= before);
    s_expect_number ("2/status", 401);
}

static void
control_other_routes (void **state)
{
    (void) state;
    assert_int_equal (s_get ("/"), 404);
    assert_int_equal (s_get ("/v1/metrics/a"), 404);
    assert_int_equal (
      s_request ("POST", "/v1/measurements", JSON, "{}", 2, 9999), 404);
    assert_int_equal (s_request ("DELETE", "/v1/metrics", NULL, NULL, 0, 9999),
                      404);
}

//  --------------------------------------------------------------------------
//  TLS, with a certificate that lives as long as the test.

static char s_cert[80], s_key[80];

static void
s_remove_certificate (void)
{
    unlink (s_cert);
    unlink (s_key);
    rmdir (s_folder);
    *s_folder = '\0';
}

static int
s_set_up_tls (void **state)
{
    snprintf (s_folder, sizeof s_folder, "/tmp/standin.XXXXXX");
    assert_non_null (mkdtemp (s_folder));
    snprintf (s_cert, sizeof s_cert, "%s/cert.pem", s_folder);
    snprintf (s_key, sizeof s_key, "%s/key.pem", s_folder);
    char *const argv[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:P-256",
                          "-nodes",
                          "-batch",
                          "-days",
                          "2",
                          "-subj",
                          "/CN=standin",
                          "-addext",
                          "subjectAltName=IP:127.0.0.1",
                          "-keyout",
                          s_key,
                          "-out",
                          s_cert,

                          NULL};
    int out, status;
    pid_t pid = s_spawn (argv, &out, true);
    close (out);
    waitpid (pid, &status, 0);
    if (status)
        s_remove_certificate ();
    return status ? -1 : s_set_up_idle (state);
}

static int
s_tear_down_tls (void **state)
{
    s_remove_certificate ();
    return s_tear_down (state);
}

static void
tls_serves_https (void **state)
{
    (void) state;
    s_start ("--require-tls", "--tls-cert", s_cert, "--tls-key", s_key, NULL);
    assert_memory_equal (s_base, "https://127.0.0.1:", 18);
    s_expect_accepted (s_post (ONE_GAUGE));
    assert_int_equal (s_get ("/v1/metrics"), 200);
    s_script ("split*2,cut");
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_refused (s_post ("{\"gauges\":[{\"value\":1}]}"), "name",
                      "is not present");
    assert_int_equal (s_post_anew (ONE_GAUGE), 0);
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (3);
    char *batch = s_batch (500, 3 * 1024 * 1024);
    s_expect_accepted (s_post (batch));
    free (batch);
    s_expect_stored (503);

    //  A client that does not know the certificate does not get in
    char folder[sizeof s_folder];
    memcpy (folder, s_folder, sizeof folder);
    *s_folder = '\0';
    assert_int_equal (s_post_anew (ONE_GAUGE), 0);
    assert_int_equal (s_rc, CURLE_PEER_FAILED_VERIFICATION);
    memcpy (s_folder, folder, sizeof folder);
}

//  --------------------------------------------------------------------------
//  The process.

static void
process_usage (void **state)
{
    (void) state;
    static const struct {
        char *option, *value;
        int status;
    } lines[] = {
      {"--help", NULL, 0},      {"--bogus", NULL, 2}, {"--port", NULL, 2},
      {"--port", "65536", 2},   {"--port", "x", 2},   {"--script", "bogus", 2},
      {"--tls-cert", "/no", 2},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *const argv[] = {s_binary, lines[i].option, lines[i].value, NULL};
        int out, status;
        pid_t pid = s_spawn (argv, &out, true);
        char text[4096];
        while (read (out, text, sizeof text) > 0)
            ;
        close (out);
        waitpid (pid, &status, 0);
        assert_true (WIFEXITED (status));
        assert_int_equal (WEXITSTATUS (status), lines[i].status);
    }
}

static void
process_port_in_use (void **state)
{
    (void) state;
    char *const argv[] = {s_binary, "--port", strrchr (s_base, ':') + 1, NULL};
    int out, status;
    pid_t pid = s_spawn (argv, &out, true);
    waitpid (pid, &status, 0);
    close (out);
    assert_true (WIFEXITED (status));
    assert_int_equal (WEXITSTATUS (status), 1);
}

//  Another address of this machine does not lead to the server.
static void
process_listens_on_loopback (void **state)
{
    (void) state;
    char *address = strstr (s_base, "127.0.0.1");
    address[8] = '2';
    assert_int_equal (s_get ("/v1/metrics"), 0);
    assert_int_equal (s_rc, CURLE_COULDNT_CONNECT);
}

//  The end of the server's stdout tells that it is gone.
static void
process_dies_with_parent (void **state)
{
    (void) state;
    int ends[2];
    assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
    pid_t parent = fork ();
    if (parent == 0) {
        if (fork () == 0) {
            dup2 (ends[1], STDOUT_FILENO);
            execl (s_binary, s_binary, NULL);
            _exit (127);
        }
        for (;;)
            pause ();
    }
    close (ends[1]);
    int rc = s_read_ready (ends[0]);
    kill (parent, SIGKILL);
    waitpid (parent, NULL, 0);
    assert_int_equal (rc, 0);
    char more;
    struct pollfd input = {ends[0], POLLIN, 0};
    assert_int_equal (poll (&input, 1, 60000), 1);
    assert_int_equal (read (ends[0], &more, 1), 0);
    close (ends[0]);
}

//  --------------------------------------------------------------------------
//  Volume.

static void
volume_100000 (void **state)
{
    (void) state;
    enum { BATCH = 300, TOTAL = 100000 };
    char *batch = s_batch (BATCH, 0), *rest = s_batch (TOTAL % BATCH, 0);
    for (int i = 0; i < TOTAL / BATCH; i++)
        s_expect_accepted (s_post (batch));
    s_expect_accepted (s_post (rest));
    free (batch);
    free (rest);
    s_expect_stored (TOTAL);
    assert_int_equal (s_get ("/control/totals"), 200);
    assert_int_equal (cJSON_GetArraySize (s_tree), BATCH);
    double sum = 0;
    const cJSON *total;
    cJSON_ArrayForEach (total, s_tree)
    {
        sum += cJSON_GetObjectItem (total, "sum")->valuedouble;
    }
    assert_true (sum == TOTAL);
}

//  One request near the limit, and one form: each as many names as fit.
static void
volume_large_requests (void **state)
{
    (void) state;
    enum { COUNT = 60000 };
    char *batch = s_batch (COUNT, 0);
    assert_in_range (strlen (batch), 2000000, 3 * 1024 * 1024);
    s_expect_accepted (s_post (batch));
    free (batch);

    char *form;
    size_t length;
    FILE *out = open_memstream (&form, &length);
    for (int i = 0; i < COUNT / 2; i++)
        fprintf (out, "gauges[%d][name]=f%d&", i, i);
    for (int i = 0; i < COUNT / 2; i++)
        fprintf (out, "gauges[%d][value]=1&", i);
    fclose (out);
    s_expect_accepted (s_post_as (FORM, form));
    free (form);
    s_expect_stored (COUNT + COUNT / 2);
}

#define CHECK(name)                                                            \
    cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
#define IDLE(name)                                                             \
    cmocka_unit_test_setup_teardown (name, s_set_up_idle, s_tear_down)

static void
idempotent_key (void **state)
{
    (void) state;
    s_start ("--idempotent", NULL);
    s_once = "\"one\"";
    s_script ("503,cutafter,ok,ok");
    assert_int_equal (s_post_anew (ONE_GAUGE), 503);
    s_expect_stored (0);
    //  stored, but the answer is lost: again, and it is there once
    assert_int_equal (s_post_anew (ONE_GAUGE), 0);
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (1);
    s_once = "\"two\"";
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (2);
    assert_int_equal (
      s_post ("{\"gauges\":[{\"name\":\"other\",\"value\":1}]}"), 422);
    s_expect_stored (2);
    s_once = NULL;
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_accepted (s_post (ONE_GAUGE));
    s_expect_stored (4);
}

int
main (int argc, char **argv)
{
    s_binary = argc > 1 ? argv[1] : getenv ("ZB_STANDIN");
    if (!s_binary) {
        fprintf (stderr, "usage: test_standin STANDIN (or set ZB_STANDIN)\n");
        return 2;
    }
    // clang-format off
    const struct CMUnitTest tests[] = {
        CHECK (check_01_one_gauge),
        CHECK (check_02_hashes),
        CHECK (check_03_form),
        CHECK (check_03_bad_forms),
        CHECK (check_04_globals),
        CHECK (check_05_nothing),
        CHECK (check_06_no_name),
        CHECK (check_07_bad_name),
        CHECK (check_08_long_name),
        CHECK (check_09_bad_source),
        CHECK (check_10_source_all),
        CHECK (check_11_too_old),
        CHECK (check_12_future_and_float),
        CHECK (check_13_count_without_sum),
        CHECK (check_14_count_not_positive),
        CHECK (check_15_value_and_count),
        CHECK (check_16_negative),
        CHECK (check_17_type_clash),
        CHECK (check_18_one_bad_among_many),
        CHECK (check_19_too_big_a_number),
        CHECK (check_20_too_small_a_number),
        CHECK (check_21_senseless),
        CHECK (check_21_ill_typed),
        CHECK (check_22_credentials),
        CHECK (check_23_get_and_head),
        IDLE (check_24_plain_http),
        CHECK (check_25_over_quota),
        CHECK (check_26_maintenance),
        CHECK (check_27_odd_replies),
        CHECK (check_28_size),
        CHECK (fault_slow),
        CHECK (fault_split),
        CHECK (fault_cut),
        CHECK (fault_cutafter),
        CHECK (fault_poison),
        CHECK (fault_401),
        CHECK (fault_403role),
        CHECK (fault_repeated),
        CHECK (fault_bad_words),
        CHECK (control_totals_and_clear),
        CHECK (control_requests),
        CHECK (control_other_routes),
        cmocka_unit_test_setup_teardown (tls_serves_https, s_set_up_tls,
                                         s_tear_down_tls),
        IDLE (idempotent_key),
        IDLE (process_usage),
        CHECK (process_port_in_use),
        CHECK (process_listens_on_loopback),
        IDLE (process_dies_with_parent),
        CHECK (volume_100000),
        CHECK (volume_large_requests),
    };
    // clang-format on
    curl_global_init (CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    curl_global_cleanup ();
    return failed ? 1 : 0;
}
