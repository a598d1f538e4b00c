/*  bench_serve - `zibrato serve` over HTTP against VictoriaMetrics: 100,000 series, POSTs
    of 300 rows, four connections

    Ours come as Librato's JSON, and are answered when they are on disk, synced.
    VictoriaMetrics gets its line protocol, syncs nothing, and goes on with its work
    when it has answered: so processor time is that until it rests. Each repetition is
    some rows of every series to one, then to the other.

    rows     that are taken in a second
    cpu      processor microseconds of the server a row
    memory   of our process in the end, against the goal of 64 MB

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_child.h"

#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>

enum {
    SERIES = 100000,
    BATCH = 300,
    CLIENTS = 4,
    STEPS = 4,  //  rows of each series in a repetition
    REPETITIONS = 5,
    REST_S = 3,  //  it flushes once a second
    READY_S = 20,
    ROW_MAX = 320,
    HEAD_MAX = 512,
    BODIES = (SERIES + BATCH - 1) / BATCH
};

//  --------------------------------------------------------------------------
//  Servers

typedef struct {
    const char *path;  //  of the requests
    const char *type;
    const char *before, *between, *after;  //  of a body's rows
    int (*row) (char *text, int series, int value, long time_s);
    char folder[64], token[80];
    int port;
    bench_child_t child;
} server_t;

//  Half of the series are increments, a quarter readings with two decimals, and a
//  quarter timers.
typedef enum { INCREMENT, READING, TIMER } kind_t;

static kind_t
s_kind (int series)
{
    return series % 2 ? INCREMENT : series % 4 ? READING : TIMER;
}

//  What a timer has had: count, sum, min, max, sum of squares.
static void
s_timer (int value, double figures[5])
{
    double min = 1e-4 * (1 + value % 97) / 3,
           max = min * (2 + value % 13) / 1.7;
    double count = 2 + value % 50, mean = (min + 2 * max) / 3;
    figures[0] = count;
    figures[1] = count * mean;
    figures[2] = min;
    figures[3] = max;
    figures[4] = count * mean * mean * 1.1;
}

static int
s_row_json (char *text, int series, int value, long time_s)
{
    double figures[5];
    int size = sprintf (text,
                        "{\"name\":\"bench.requests.%06d\",\"source\":"
                        "\"web-01\",\"measure_time\":%ld,",
                        series, time_s);
    if (s_kind (series) == INCREMENT)
        return size + sprintf (text + size, "\"value\":%d}", value);
    if (s_kind (series) == READING)
        return size + sprintf (text + size, "\"value\":%.2f}", value / 7.0);
    s_timer (value, figures);
    return size
           + sprintf (text + size,
                      "\"count\":%.0f,\"sum\":%.17g,\"min\":%.17g,"
                      "\"max\":%.17g,\"sum_squares\":%.17g}",
                      figures[0], figures[1], figures[2], figures[3],
                      figures[4]);
}

static int
s_row_line (char *text, int series, int value, long time_s)
{
    double figures[5];
    int size = sprintf (text, "bench.requests.%06d,source=web-01 ", series);
    s_timer (value, figures);
    if (s_kind (series) == INCREMENT)
        size += sprintf (text + size, "value=%d", value);
    else if (s_kind (series) == READING)
        size += sprintf (text + size, "value=%.2f", value / 7.0);
    else
        size +=
          sprintf (text + size,
                   "count=%.0f,sum=%.17g,min=%.17g,max=%.17g,"
                   "sum_squares=%.17g",
                   figures[0], figures[1], figures[2], figures[3], figures[4]);
    return size + sprintf (text + size, " %ld000000000", time_s);
}

static server_t s_zibrato = {.path = "/v1/metrics",
                             .type = "application/json",
                             .before = "{\"gauges\":[",
                             .between = ",",
                             .after = "]}",
                             .row = s_row_json};
static server_t s_other = {.path = "/write",
                           .type = "text/plain",
                           .before = "",
                           .between = "\n",
                           .after = "\n",
                           .row = s_row_line};

//  A port that nobody listens at just now.
static int
s_port (void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK (bind (fd, (struct sockaddr *) &address, size) == 0);
    BENCH_CHECK (getsockname (fd, (struct sockaddr *) &address, &size) == 0);
    close (fd);
    return ntohs (address.sin_port);
}

//  Waits until somebody listens there.
static void
server_await (const server_t *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) self->port),
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    uint64_t until = bench_ns () + (uint64_t) READY_S * 1000000000;
    int rc = -1;
    while (rc == -1 && bench_ns () < until) {
        int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        rc = connect (fd, (struct sockaddr *) &address, sizeof address);
        close (fd);
        usleep (10000);
    }
    BENCH_CHECK (rc == 0);
}

static void
server_start (server_t *self, char **command)
{
    self->child = bench_child (NULL, NULL, command, -1);
    server_await (self);
}

static void
zibrato_start (server_t *self)
{
    char address[64], path[128];
    char *command[] = {getenv ("ZB_BIN"), "serve",    "--data",
                       self->folder,      "--listen", address,
                       "--port",          "9",        NULL};
    FILE *file;
    BENCH_CHECK (command[0]);
    self->port = s_port ();
    snprintf (address, sizeof address, "127.0.0.1:%d", self->port);
    server_start (self, command);
    snprintf (path, sizeof path, "%s/admin-token", self->folder);
    file = fopen (path, "r");
    BENCH_CHECK (file && fscanf (file, "%70s", self->token) == 1);
    fclose (file);
}

static void
other_start (server_t *self)
{
    char address[64], folder[96];
    char *command[] = {"/usr/bin/victoria-metrics", address, folder,
                       "-loggerLevel=ERROR", NULL};
    self->port = s_port ();
    snprintf (address, sizeof address, "-httpListenAddr=127.0.0.1:%d",
              self->port);
    snprintf (folder, sizeof folder, "-storageDataPath=%s", self->folder);
    server_start (self, command);
}

//  --------------------------------------------------------------------------
//  Clients: requests are made before, and answers are only looked at for their status

typedef struct {
    char *text;
    size_t size;
} body_t;

static body_t s_body[STEPS * BODIES];

//  The head and the rows of one series after the other.
static void
body_make (body_t *self, const server_t *server, int first, int value,
           long time_s)
{
    char *text = realloc (self->text, HEAD_MAX + BATCH * ROW_MAX);
    char head[HEAD_MAX], *rows = text + HEAD_MAX, *at = rows;
    int size;
    BENCH_CHECK (text);
    at += sprintf (at, "%s", server->before);
    for (int i = first; i < first + BATCH && i < SERIES; i++) {
        at += sprintf (at, "%s", i > first ? server->between : "");
        at += server->row (at, i, (i * 31 + value) % 1000, time_s);
    }
    at += sprintf (at, "%s", server->after);
    size =
      snprintf (head, sizeof head,
                "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Authorization: Bearer %s\r\nContent-Type: %s\r\n"
                "Content-Length: %ld\r\n\r\n",
                server->path, server->token, server->type, (long) (at - rows));
    memmove (text + size, rows, (size_t) (at - rows));
    memcpy (text, head, (size_t) size);
    *self = (body_t){text, (size_t) (size + (at - rows))};
}

static void
s_make_bodies (const server_t *server, long time_s)
{
    for (int step = 0; step < STEPS; step++)
        for (int i = 0; i < BODIES; i++)
            body_make (&s_body[step * BODIES + i], server, i * BATCH, step * 7,
                       time_s + step);
}

static void
s_send (int fd, const body_t *body)
{
    for (size_t sent = 0; sent < body->size;) {
        ssize_t more = send (fd, body->text + sent, body->size - sent, 0);
        BENCH_CHECK (more > 0);
        sent += (size_t) more;
    }
}

//  Reads an answer without a body.
static void
s_receive (int fd)
{
    char text[4096];
    size_t size = 0;
    do {
        ssize_t more = recv (fd, text + size, sizeof text - 1 - size, 0);
        BENCH_CHECK (more > 0);
        size += (size_t) more;
        text[size] = 0;
    } while (!strstr (text, "\r\n\r\n"));
    BENCH_CHECK (strncmp (text, "HTTP/1.1 20", 11) == 0);
}

typedef struct {
    const server_t *server;
    int first;
    pthread_t thread;
} client_t;

static void *
client_run (void *argument)
{
    client_t *self = argument;
    int fd = bench_connect (self->server->port), on = 1;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = self->first; i < STEPS * BODIES; i += CLIENTS) {
        s_send (fd, &s_body[i]);
        s_receive (fd);
    }
    close (fd);
    return NULL;
}

//  Rows of every series. Returns rows a second, and the server's processor
//  microseconds a row in *cpu_us.
static double
s_repetition (const server_t *server, long time_s, double *cpu_us)
{
    client_t client[CLIENTS];
    uint64_t began, cpu;
    s_make_bodies (server, time_s);
    began = bench_ns ();
    cpu = bench_child_cpu_ns (&server->child);
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = (client_t){.server = server, .first = i};
        BENCH_CHECK (
          pthread_create (&client[i].thread, NULL, client_run, &client[i])
          == 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join (client[i].thread, NULL);
    began = bench_ns () - began;
    sleep (REST_S);
    cpu = bench_child_cpu_ns (&server->child) - cpu;
    *cpu_us = (double) cpu / 1e3 / SERIES / STEPS;
    return STEPS * SERIES * 1e9 / (double) began;
}

//  --------------------------------------------------------------------------

static double
s_memory_mb (const server_t *server)
{
    char path[64], line[256];
    double kib = 0;
    FILE *file;
    snprintf (path, sizeof path, "/proc/%d/status", (int) server->child.pid);
    file = fopen (path, "r");
    while (file && fgets (line, sizeof line, file))
        if (strncmp (line, "VmRSS:", 6) == 0)
            kib = strtod (line + 6, NULL);
    if (file)
        fclose (file);
    return kib / 1024;
}

static int
s_remove (const char *path, const struct stat *status, int type,
          struct FTW *place)
{
    (void) status, (void) type, (void) place;
    return remove (path);
}

static void
server_end (server_t *self)
{
    kill (self->child.pid, SIGKILL);
    waitpid (self->child.pid, NULL, 0);
    nftw (self->folder, s_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void
server_folder (server_t *self)
{
    snprintf (self->folder, sizeof self->folder, "/tmp/bench-serve-XXXXXX");
    BENCH_CHECK (mkdtemp (self->folder));
}

int
main (void)
{
    int repetitions = bench_quick () ? 1 : REPETITIONS;
    long began_s = (long) time (NULL) - 60 * (repetitions + 1);
    double cpu[2], rows[2];
    server_folder (&s_zibrato);
    server_folder (&s_other);
    zibrato_start (&s_zibrato);
    other_start (&s_other);
    //  the first rows make the series, in both
    for (int i = 0; i <= repetitions; i++) {
        rows[0] = s_repetition (&s_zibrato, began_s + 60 * i, &cpu[0]);
        rows[1] = s_repetition (&s_other, began_s + 60 * i, &cpu[1]);
        bench_figure (i ? "serve.rows" : "serve.rows.new", rows[0], rows[1]);
        bench_figure (i ? "serve.cpu" : "serve.cpu.new", cpu[0], cpu[1]);
    }
    bench_figure ("serve.memory", s_memory_mb (&s_zibrato), 64);
    server_end (&s_zibrato);
    server_end (&s_other);
    return 0;
}
