/*  zibrato statsd - sends to StatsD or DogStatsD, by UDP or a Unix socket

    The second backend that the Python package had in mind. Nobody acknowledges
    anything here: a datagram that was sent counts as delivered. What comes again
    after a crash of the worker counts twice there.

    The lines are made in statsd_line.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "fitted.h"
#include "samples.h"
#include "statsd_line.h"

#include <czmq.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    DATAGRAM_MAX = 1432,  //  bytes that no network cuts (RFC 8085, section 3.2,
                          //  with the 1500 of Ethernet)
    AGAIN_MS = 5,         //  until a receiver that has no room is tried again
    PATIENCE_MS = 2000
};

static struct {
    const char *to, *dialect;
    int64_t samples;
    bool dog;
    char worker[ZB_NAME_MAX + 1];  //  the tag of DogStatsD, which fits
    int fd;                        //  -1: not connected
    buffer_t text;
} s_statsd = {
  .to = "127.0.0.1:8125", .dialect = "statsd", .samples = 200, .fd = -1};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "to", .argument = "ADDRESS", .text = &s_statsd.to,
   .help = "HOST:PORT, or a Unix socket: a path with a '/' in it"},
  {.name = "dialect", .argument = "NAME", .text = &s_statsd.dialect,
   .help = "statsd, or dogstatsd, which has tags, times and distributions"},
  {.name = "samples", .argument = "COUNT", .number = &s_statsd.samples,
   .min = 1, .max = SAMPLES_MAX,
   .help = "of a timer in a flush, at most, each with its weight"},
  {.name = NULL}};
// clang-format on

static const char *
statsd_check (void)
{
    const char *colon = strrchr (s_statsd.to, ':');
    s_statsd.dog = streq (s_statsd.dialect, "dogstatsd");
    if (!s_statsd.dog && !streq (s_statsd.dialect, "statsd"))
        return "--dialect: expected statsd or dogstatsd";
    if (!strchr (s_statsd.to, '/')
        && (!colon || colon == s_statsd.to || !atoi (colon + 1)))
        return "--to: expected HOST:PORT, or a path";
    if (strlen (s_statsd.to) >= sizeof ((struct sockaddr_un *) 0)->sun_path)
        return "--to: expected less than 108 bytes";
    return NULL;
}

static const char *
statsd_naming (void)
{
    return s_statsd.dog ? "dogstatsd" : "";
}

static int
statsd_name_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    return s_statsd.dog ? dogstatsd_fit (text, is_source, fitted)
                        : statsd_fit (text, is_source, fitted);
}

//  --------------------------------------------------------------------------
//  The socket

static int
s_open_unix (void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf (address.sun_path, sizeof address.sun_path, "%s", s_statsd.to);
    if (fd != -1
        && connect (fd, (struct sockaddr *) &address, sizeof address) == -1) {
        close (fd);
        return -1;
    }
    return fd;
}

//  The first address that takes a connection; UDP's always do.
static int
s_open_udp (zb_reply_t *reply)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list, *at;
    const char *colon = strrchr (s_statsd.to, ':');
    char host[256];
    int rc, fd = -1;
    snprintf (host, sizeof host, "%.*s", (int) (colon - s_statsd.to),
              s_statsd.to);
    rc = getaddrinfo (host, colon + 1, &hints, &list);
    if (rc) {
        snprintf (reply->reason, sizeof reply->reason, "%s: %s", host,
                  gai_strerror (rc));
        return -1;
    }
    for (at = list; at && fd == -1; at = at->ai_next) {
        fd =
          socket (at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd != -1 && connect (fd, at->ai_addr, at->ai_addrlen) == -1) {
            close (fd);
            fd = -1;
        }
    }
    freeaddrinfo (list);
    return fd;
}

//  Connects, if need be. Names are looked up anew each time.
static int
statsd_open (zb_reply_t *reply)
{
    if (s_statsd.fd == -1)
        s_statsd.fd =
          strchr (s_statsd.to, '/') ? s_open_unix () : s_open_udp (reply);
    if (s_statsd.fd == -1 && !*reply->reason)
        snprintf (reply->reason, sizeof reply->reason, "%s: %s", s_statsd.to,
                  strerror (errno));
    return s_statsd.fd;
}

static void
s_shut (void)
{
    if (s_statsd.fd != -1)
        close (s_statsd.fd);
    s_statsd.fd = -1;
}

//  Waits for room a while. That nobody was there for an earlier datagram is told
//  by the next, which is not sent then, and is tried once more. Returns 0 or -1.
static int
statsd_send (const char *text, size_t size)
{
    int64_t until = zclock_mono () + PATIENCE_MS;
    bool refused = false;
    while (send (s_statsd.fd, text, size, MSG_NOSIGNAL) == -1) {
        bool full = errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
        bool again = errno == ECONNREFUSED && !refused;
        refused |= again;
        if (!again && (!full || zclock_mono () >= until || !zb_time_left_ms ()))
            return -1;
        if (full)
            zclock_sleep (AGAIN_MS);
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  Delivery

//  Behind the end of a line.
static const char *
s_line_end (const char *line, const char *end)
{
    return (const char *) memchr (line, '\n', (size_t) (end - line)) + 1;
}

//  How many bytes from there on go into one datagram: whole lines, and those of
//  one gauge together. A line that is too long goes alone.
static size_t
s_datagram (const char *text, size_t size)
{
    static const char zero[] = ":0|g\n";
    const char *end = text + size, *at = text;
    while (at < end) {
        const char *next = s_line_end (at, end), *last = next - strlen (zero);
        if (last >= at && memcmp (last, zero, strlen (zero)) == 0 && next < end)
            next = s_line_end (next, end);
        if (next - text > DATAGRAM_MAX && at > text)
            break;
        at = next;
    }
    return (size_t) (at - text);
}

//  Once a part was sent the rest must not come again with it: what was not is
//  lost, and said.
static zb_outcome_t
s_failed (size_t rows, bool any, zb_reply_t *reply)
{
    snprintf (reply->reason, sizeof reply->reason, "%s: %s", s_statsd.to,
              strerror (errno));
    s_shut ();
    reply->refused = rows;
    return any ? ZB_DELIVERED : ZB_RETRY;
}

//  The rows whose lines begin at or behind a place.
static size_t
s_rows_from (const size_t *begin, size_t count, size_t place)
{
    size_t rows = 0;
    while (rows < count && begin[count - 1 - rows] >= place)
        rows++;
    return rows;
}

//  The socket is opened when there is something to send.
static zb_outcome_t
statsd_connect (zb_reply_t *reply)
{
    (void) reply;
    dogstatsd_fit_worker (zb_worker (), s_statsd.worker);
    return ZB_DELIVERED;
}

static zb_outcome_t
statsd_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    buffer_t *text = &s_statsd.text;
    size_t *begin = (size_t *) zmalloc (count * sizeof *begin), i, at = 0, size;
    size_t samples = (size_t) s_statsd.samples;
    zb_outcome_t outcome = ZB_DELIVERED;
    text->size = 0;
    for (i = 0; i < count; i++) {
        begin[i] = text->size;
        if (s_statsd.dog)
            dogstatsd_add (text, &rows[i], s_statsd.worker, samples);
        else
            statsd_add (text, &rows[i], samples);
    }
    if (statsd_open (reply) == -1)
        outcome = ZB_RETRY;
    for (; outcome == ZB_DELIVERED && at < text->size; at += size) {
        size = s_datagram (text->text + at, text->size - at);
        if (statsd_send (text->text + at, size - 1) == -1) {
            outcome = s_failed (s_rows_from (begin, count, at), at > 0, reply);
            break;
        }
    }
    free (begin);
    return outcome;
}

static void
statsd_close (void)
{
    s_shut ();
    buffer_clear (&s_statsd.text);
    fitted_forget ();
}

//  --------------------------------------------------------------------------
//  The backend's table

const zb_backend_t zb_statsd_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "statsd",
  .summary = "Sends to StatsD or DogStatsD, which acknowledge nothing",
  .options = s_options,
  .batch = 300,
  .flush = 10,
  .check = statsd_check,
  .connect = statsd_connect,
  .deliver = statsd_deliver,
  .close = statsd_close,
  .fit = statsd_name_fit,
  .naming = statsd_naming};
