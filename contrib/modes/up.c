/*  zibrato up - broker and server together: one command, then open the page

        up ── serve
          └── broker, unless there is one at the port already, once serve has its data

    A program that ends waits for the server as long as there is no broker, but only some
    seconds once there is one; and the server of the `up` before may have the data for
    longer. So the server is first. Only with --port 0 it is not: it has to be told which
    port the broker has chosen.

    Each is a child that is started again when it ends. A broker that was there already,
    and ends soon, gets one of ours as its successor. One signal stops both at the same
    moment, and they see to it that nothing is lost by that (leaving.h).

    Sections: options, the two, a broker that is there, what they say, when one ends,
    start and stop.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "address.h"
#include "listen.h"
#include "log.h"
#include "modes.h"
#include "part.h"
#include "process.h"

#include <sys/wait.h>

//  --------------------------------------------------------------------------
//  Options

static struct {
    const char *host, *listen, *data, *public_url;
    int64_t port;
    int verbose;
} s_up = {.host = "127.0.0.1", .port = 5550};

// clang-format off
static const zb_option_t s_up_options[] = {
  {.name = "host", .argument = "HOST", .text = &s_up.host,
   .help = "address where programs and workers find the broker"},
  {.name = "port", .argument = "PORT", .number = &s_up.port, .min = 0,
   .max = 65534,
   .help = "for programs, the next one for workers; 0 picks a free pair"},
  {.name = "listen", .argument = "HOST:PORT", .text = &s_up.listen,
   .help = "where the page and the API are (as of serve)"},
  {.name = "data", .argument = "DIR", .text = &s_up.data,
   .help = "where measurements are kept (as of serve)"},
  {.name = "public-url", .argument = "URL", .text = &s_up.public_url,
   .help = "how browsers come, if a proxy is in front (as of serve)"},
  {.name = "verbose", .flag = &s_up.verbose,
   .help = "on a terminal, too, show all that the two log"},
  {.name = NULL}};
// clang-format on

//  --------------------------------------------------------------------------
//  The two

enum {
    PAUSE_MIN_MS = 500,  //  before one is started again; doubled each time
    PAUSE_MAX_MS = 30 * 1000,
    WELL_MS =
      60 * 1000,  //  who lived so long begins with the least pause again
    KILL_MS = 15 * 1000,    //  more than a worker takes at a stop (--deadline)
    GREETING_MS = 1000,     //  in which a broker that is there answers
    LEAVING_MS = 10 * 1000  //  in which one that is leaving has left its ports
};

typedef enum { UP_BROKER, UP_SERVE, UP_PARTS } up_part_t;

//  A part, and when it is to be started again.
typedef struct {
    part_t part;  //  first: what is called gets this one
    bool was_ready;
    bool pauses;  //  it is started again after a pause
    int64_t began_ms, pause_ms;
} watched_t;

static struct {
    zloop_t *loop;
    watched_t watched[UP_PARTS];
    char port[12], workers[12];              //  of the broker
    char page[ADDRESS_MAX], link[PATH_MAX];  //  address, file with a better one
    bool stopping, quiet;
    bool loaded;  //  serve has its data,
    bool waited;  //  and a broker is to be started when it has
    int status;   //  to exit with
    int64_t
      leaves_ms;  //  who has our ports must have left by then; 0: nobody has
} s_run;

//  Returns 0, or -1 with the reason in the log: no child can be made.
static int
up_start (up_part_t which)
{
    watched_t *self = &s_run.watched[which];
    self->began_ms = zclock_mono ();
    if (part_start (&self->part) == 0)
        return 0;
    zb_log (LOG_ERR, "start", "part=%s reason=\"%s\"", self->part.words[0],
            strerror (errno));
    return -1;
}

//  --------------------------------------------------------------------------
//  A broker that is there

//  Where a program finds it, if that is not where it looks by itself. Said once: a
//  broker that is started again has the same address.
static void
s_print_endpoint (const char *programs)
{
    static bool said;
    if (!said && strcmp (programs, "tcp://127.0.0.1:5550") != 0)
        printf ("export ZIBRATO_ENDPOINT=%s\n", programs);
    said = true;
}

//  Is a peer that speaks ZeroMQ's protocol at the address? Its greeting begins with
//  ten bytes that tell (rfc.zeromq.org/spec/23, signature). Returns 1, 0 if nobody is
//  there or who was there is just leaving, -1 if somebody else is.
static int
s_broker_there (const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    struct timeval wait = {GREETING_MS / 1000, GREETING_MS % 1000 * 1000};
    unsigned char greeting[10] = "";
    ssize_t got;
    int fd, there = 0;
    if (getaddrinfo (host, port, &hints, &found) != 0)
        return 0;
    fd = socket (found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect (fd, found->ai_addr, found->ai_addrlen) == 0) {
        got = recv (fd, greeting, sizeof greeting, MSG_WAITALL);
        if (got == sizeof greeting && greeting[0] == 0xff
            && greeting[9] == 0x7f)
            there = 1;
        else if (got > 0 || (got == -1 && errno == EAGAIN))
            there = -1;
    }
    close (fd);
    freeaddrinfo (found);
    return there;
}

//  Has anybody a port of the broker's, who does not speak to us?
static bool
s_port_taken (const char *port)
{
    bool brackets = strchr (s_up.host, ':') && *s_up.host != '[';
    char address[LISTEN_MAX];
    int fd;
    snprintf (address, sizeof address, brackets ? "[%s]:%s" : "%s:%s",
              s_up.host, port);
    errno = 0;
    fd = listen_open (address);
    if (fd != -1)
        close (fd);
    return fd == -1 && errno == EADDRINUSE;
}

//  A broker that is about to end listens no more, at one port after the other.
static bool
up_broker_leaves (void)
{
    int64_t now_ms = zclock_mono ();
    if (!s_port_taken (s_run.port) && !s_port_taken (s_run.workers)) {
        s_run.leaves_ms = 0;
        return false;
    }
    if (!s_run.leaves_ms)
        s_run.leaves_ms = now_ms + LEAVING_MS;
    return now_ms < s_run.leaves_ms;
}

//  It was not started by us, and may end at any time.
static void
up_broker_found (void)
{
    char address[ADDRESS_MAX], programs[ADDRESS_MAX + 24];
    if (address_resolve (address, sizeof address, s_up.host))
        snprintf (address, sizeof address, "%s", s_up.host);
    snprintf (programs, sizeof programs, "tcp://%s:%s", address, s_run.port);
    printf ("broker  there already: programs connect to %s, workers to "
            "tcp://%s:%s\n",
            programs, address, s_run.workers);
    s_print_endpoint (programs);
    fflush (stdout);
    s_run.watched[UP_BROKER].was_ready = true;
    s_run.watched[UP_BROKER].began_ms = zclock_mono ();
}

//  Unless it runs, or is about to.
static int
up_start_serve (void)
{
    const watched_t *serve = &s_run.watched[UP_SERVE];
    return serve->part.pid || serve->pauses ? 0 : up_start (UP_SERVE);
}

//  Starts a broker, unless there is one: then serve is what is wanting, as it is if it
//  has not loaded yet. Returns 0, 1 if it is to be tried again soon, or -1 with the
//  reason in the log.
static int
up_start_broker (void)
{
    bool any = strtol (s_run.port, NULL, 10) == 0;
    int there = any ? 0 : s_broker_there (s_up.host, s_run.workers);
    if (there == 1) {
        up_broker_found ();
        return up_start_serve ();
    }
    if (there == -1) {
        zb_log (LOG_ERR, "start",
                "part=broker reason=\"port %s is in use, and not by a broker\"",
                s_run.workers);
        return -1;
    }
    if (any)
        return up_start (UP_BROKER);
    if (s_run.loaded)
        return up_broker_leaves () ? 1 : up_start (UP_BROKER);
    s_run.waited = true;
    return up_start_serve ();
}

//  Handler for zloop_timer: starts one that is to be started.
static int
up_again (zloop_t *loop, int timer, void *argument)
{
    watched_t *self = (watched_t *) argument;
    up_part_t which = (up_part_t) (self - s_run.watched);
    int rc;
    (void) loop, (void) timer;
    self->pauses = false;
    if (s_run.stopping || self->part.pid)
        return 0;
    rc = which == UP_BROKER ? up_start_broker () : up_start (which);
    self->pauses = rc != 0;
    if (rc)
        zloop_timer (s_run.loop, rc == 1 ? PAUSE_MIN_MS : PAUSE_MAX_MS, 1,
                     up_again, self);
    return 0;
}

//  serve has its data, and is about to connect.
static void
up_loaded (void)
{
    bool waited = s_run.waited;
    s_run.loaded = true;
    s_run.waited = false;
    if (waited)
        up_again (s_run.loop, 0, &s_run.watched[UP_BROKER]);
}

//  serve has no broker: one that was there already has ended, for those of ours are
//  started again anyway. It was about to end, perhaps as the child of an `up` that was
//  killed. One that stays longer is started again by whoever has started it.
static void
up_broker_gone (void)
{
    const watched_t *broker = &s_run.watched[UP_BROKER];
    if (!broker->part.pid && !broker->pauses && !s_run.stopping
        && zclock_mono () < broker->began_ms + WELL_MS)
        up_start_broker ();
}

//  --------------------------------------------------------------------------
//  What they say

//  The end of a pair of a log line, KEY=VALUE or KEY="VALUE": what is in quotes may
//  look like other pairs, since programs name their measurements (log.h).
static const char *
s_pair_end (const char *pair)
{
    bool within = false;
    for (; *pair && (within || *pair != ' '); pair++)
        if (within && *pair == '\\' && pair[1])
            pair++;
        else if (*pair == '"')
            within = !within;
    return pair;
}

//  The pair of this key, behind the line's time; or NULL.
static const char *
s_pair (const char *line, const char *key)
{
    size_t size = strlen (key);
    for (const char *at = s_pair_end (line); *at; at = s_pair_end (at))
        if (strncmp (++at, key, size) == 0 && at[size] == '=')
            return at;
    return NULL;
}

//  Its value, which has no quote of its own. Without it the value stays as it is.
static void
s_value (const char *line, const char *key, char *value, size_t size)
{
    const char *pair = s_pair (line, key);
    if (!pair)
        return;
    pair += strlen (key) + 1;
    if (*pair == '"')
        snprintf (value, size, "%.*s", (int) strcspn (pair + 1, "\""),
                  pair + 1);
    else
        snprintf (value, size, "%.*s", (int) strcspn (pair, " "), pair);
}

static bool
s_has (const char *line, const char *key, const char *value)
{
    char text[32] = "";
    s_value (line, key, text, sizeof text);
    return streq (text, value);
}

static bool
s_is_minor (const char *line)
{
    return s_has (line, "level", "info") || s_has (line, "level", "debug");
}

//  The broker is there: serve can connect. One that is started again takes the port
//  that it had.
static void
up_broker_ready (const char *line)
{
    char programs[ADDRESS_MAX] = "", workers[ADDRESS_MAX] = "";
    s_value (line, "publishers", programs, sizeof programs);
    s_value (line, "workers", workers, sizeof workers);
    printf ("broker  ready: programs connect to %s, workers to %s\n", programs,
            workers);
    s_print_endpoint (programs);
    if (strrchr (programs, ':') && strrchr (workers, ':')) {
        snprintf (s_run.port, sizeof s_run.port, "%.11s",
                  strrchr (programs, ':') + 1);
        snprintf (s_run.workers, sizeof s_run.workers, "%.11s",
                  strrchr (workers, ':') + 1);
    }
    up_start_serve ();
}

//  The link opens the page without a token, once. Only we can read its file.
static void
up_serve_ready (const char *line)
{
    FILE *file = *s_run.link ? fopen (s_run.link, "r") : NULL;
    (void) line;
    if (file && fgets (s_run.page, sizeof s_run.page, file))
        s_run.page[strcspn (s_run.page, "\n")] = 0;
    if (file)
        fclose (file);
    printf ("serve   ready: the page is at %s\n", s_run.page);
}

//  Called from the loop, with each line of its log.
static void
up_said (part_t *part, const char *line)
{
    static void (*const ready[UP_PARTS]) (const char *line) = {up_broker_ready,
                                                               up_serve_ready};
    watched_t *self = (watched_t *) part;
    if (!s_run.quiet || !s_is_minor (line))
        fprintf (stderr, "%s\n", line);
    if (s_has (line, "event", "listening")) {
        *s_run.link = 0;
        s_value (line, "url", s_run.page, sizeof s_run.page);
        s_value (line, "link", s_run.link, sizeof s_run.link);
    }
    if (s_has (line, "event", "loaded"))
        up_loaded ();
    if (s_has (line, "event", "waiting"))
        up_broker_gone ();
    if (!s_has (line, "event", "ready"))
        return;
    self->was_ready = true;
    ready[self - s_run.watched](line);
    fflush (stdout);
}

//  --------------------------------------------------------------------------
//  When one ends

//  Handler for zloop_timer: one that did not end in time.
static int
up_kill (zloop_t *loop, int timer, void *argument)
{
    (void) loop, (void) timer, (void) argument;
    for (int i = 0; i < UP_PARTS; i++)
        part_signal (&s_run.watched[i].part, SIGKILL);
    return 0;
}

//  Both at the same moment. A broker that is not ours goes on.
static void
up_stop (void)
{
    if (!s_run.stopping)
        zloop_timer (s_run.loop, KILL_MS, 1, up_kill, NULL);
    s_run.stopping = true;
    for (int i = 0; i < UP_PARTS; i++)
        part_signal (&s_run.watched[i].part, SIGTERM);
}

static int
up_running (void)
{
    return s_run.watched[UP_BROKER].part.pid
           || s_run.watched[UP_SERVE].part.pid;
}

//  Called from the loop. One that could not even begin has a reason that will be the
//  same next time, and has said it.
static int
up_ended (part_t *part, int status)
{
    watched_t *self = (watched_t *) part;
    if (self == &s_run.watched[UP_SERVE])
        s_run.loaded = false;
    if (!s_run.stopping && !self->was_ready && WIFEXITED (status)) {
        s_run.status = WEXITSTATUS (status) ? WEXITSTATUS (status) : 1;
        up_stop ();
    }
    if (s_run.stopping)
        return up_running () ? 0 : -1;
    if (zclock_mono () > self->began_ms + WELL_MS || !self->pause_ms)
        self->pause_ms = PAUSE_MIN_MS;
    zb_log (LOG_ERR, "ended", "part=%s %s=%d again_in_ms=%" PRId64,
            part->words[0], WIFSIGNALED (status) ? "signal" : "status",
            WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status),
            self->pause_ms);
    self->pauses = true;
    zloop_timer (s_run.loop, (size_t) self->pause_ms, 1, up_again, self);
    self->pause_ms =
      self->pause_ms * 2 < PAUSE_MAX_MS ? self->pause_ms * 2 : PAUSE_MAX_MS;
    return 0;
}

//  --------------------------------------------------------------------------
//  Start and stop

static void
up_words (void)
{
    const char *const broker[] = {"broker", "--host",   s_up.host,
                                  "--port", s_run.port, NULL};
    const char *const serve[] = {"serve", "--host", s_up.host, "--port",
                                 s_run.workers};
    const struct {
        const char *option, *value;
    } passed[] = {{"--listen", s_up.listen},
                  {"--data", s_up.data},
                  {"--public-url", s_up.public_url}};
    part_t *part = &s_run.watched[UP_SERVE].part;
    size_t at = sizeof serve / sizeof *serve;
    memcpy (s_run.watched[UP_BROKER].part.words, broker, sizeof broker);
    memcpy (part->words, serve, sizeof serve);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (passed[i].value) {
            part->words[at++] = passed[i].option;
            part->words[at++] = passed[i].value;
        }
    snprintf (s_run.port, sizeof s_run.port, "%d", (int) s_up.port);
    snprintf (s_run.workers, sizeof s_run.workers, "%d", (int) s_up.port + 1);
}

//  Handler for zloop_poller. Each further signal is passed on, too.
static int
up_signal (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) loop, (void) argument;
    if (!process_signal (item->fd))
        return 0;
    up_stop ();
    return up_running () ? 0 : -1;
}

//  The broker first, unless there is one.
static int
up_begin (void)
{
    watched_t *broker = &s_run.watched[UP_BROKER];
    int rc = up_start_broker ();
    broker->pauses = rc == 1;
    if (rc == 1)
        zloop_timer (s_run.loop, PAUSE_MIN_MS, 1, up_again, broker);
    return rc == -1 ? -1 : 0;
}

//  What serve would find wrong when the broker runs.
static void
up_check (void)
{
    const char *wrong = s_up.listen ? listen_check (s_up.listen) : NULL;
    if (wrong)
        die ("--listen: %s", wrong);
}

static int
up_run (void)
{
    zmq_pollitem_t stop = {NULL, process_stop_fd (), ZMQ_POLLIN, 0};
    up_check ();
    if (options_checked ())
        return 0;
    s_run.loop = zloop_new ();
    s_run.quiet = !s_up.verbose && isatty (STDERR_FILENO);
    for (int i = 0; i < UP_PARTS; i++) {
        s_run.watched[i].part.loop = s_run.loop;
        s_run.watched[i].part.said = up_said;
        s_run.watched[i].part.ended = up_ended;
    }
    up_words ();
    zloop_poller (s_run.loop, &stop, up_signal, NULL);
    if (up_begin () == -1)
        return 1;
    zloop_start (s_run.loop);
    zloop_destroy (&s_run.loop);
    close (stop.fd);
    return s_run.status;
}

const zb_mode_t zb_up_mode = {
  .name = "up",
  .summary = "Runs broker and server together: one command, then open the page",
  .tables = {s_up_options},
  .run = up_run};
