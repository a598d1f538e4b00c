/*  harness.h - what the end-to-end tests stand on

    Starts the real executables, reads what they print, waits for what must
    come, and leaves nothing behind. A test file is a list of functions that
    take nothing, and a table:

        static const struct CMUnitTest tests[] = {TEST (counts_arrive), ...};

    Around each test the harness makes a temporary folder, and afterwards ends
    every process that the test has started, whether it passed or not. All
    output of the processes is printed if it did not, or with ZB_VERBOSE set,
    and what those that still live are doing. A process that crashes fails the
    test, whatever the test sees of it.
    Each test has a process of its own, and some run at once; ZB_TEST=PATTERN
    runs only those that match, one after the other.

    Waiting means polling or sleeping on a condition until something that can
    be observed has happened. WAIT_MS is a deadline for that, never a pause: a
    test that passes does not depend on its length.

    Classes, bottom-up: harness, process, port, broker, standin, worker, rows,
    sink, publisher.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef HARNESS_H
#define HARNESS_H

#define _GNU_SOURCE  //  pipe2, asprintf

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "../examine.h"
#include "../folder.h"
#include "../jobs.h"
#include "../sanitized.h"

//  No test file uses all of it
#pragma GCC diagnostic ignored "-Wunused-function"

enum { WAIT_MS = 60000, POLL_MS = 10, PROCESSES_MAX = 1024 };

//  LIST ("a", "b") is a list of texts that ends with NULL.
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

//  --------------------------------------------------------------------------
//  harness: what is around a test

typedef struct {
    void (*run) (void);
} harness_test_t;

#define TEST(function)                                                         \
    {                                                                          \
#function, harness_run, harness_setup, harness_teardown,               \
          &(harness_test_t)                                                    \
        {                                                                      \
            function                                                           \
        }                                                                      \
    }

static char s_folder[64];
static bool s_passed;
static void **s_kept;
static size_t s_kept_count;
static void *s_context;  //  of ZeroMQ, while a test uses one
static char s_disk[96];  //  where a small file system is mounted, or empty

//  Frees the memory after the test. Returns it. A test may have threads.
static void *
harness_keep (void *memory)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    assert_non_null (memory);
    pthread_mutex_lock (&lock);
    if (s_kept_count % 1024 == 0) {
        s_kept = realloc (s_kept, (s_kept_count + 1024) * sizeof *s_kept);
        assert_non_null (s_kept);
    }
    s_kept[s_kept_count++] = memory;
    pthread_mutex_unlock (&lock);
    return memory;
}

//  Returns formatted text, freed after the test.
__attribute__ ((format (printf, 1, 2))) static char *
text_new (const char *format, ...)
{
    char *text;
    va_list args;
    va_start (args, format);
    assert_true (vasprintf (&text, format, args) >= 0);
    va_end (args);
    return harness_keep (text);
}

static int64_t
now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

//  The beat of polling; what is polled has a deadline.
static void
poll_pause (void)
{
    nanosleep (&(struct timespec){0, POLL_MS * 1000000}, NULL);
}

//  The same between two looks at all that has come, which may be much: looking has
//  a fifth of the time.
static void
poll_pause_since (int64_t looked_ms)
{
    int64_t ms = 4 * (now_ms () - looked_ms);
    ms = ms > POLL_MS ? ms : POLL_MS;
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

//  Returns a variable that ctest sets.
static const char *
harness_path (const char *variable)
{
    const char *path = getenv (variable);
    if (!path)
        fail_msg ("%s is not set: run me with ctest", variable);
    return path;
}

static char *
program_path (const char *name)
{
    return text_new ("%s/%s", harness_path ("ZB_PROGRAMS"), name);
}

//  Returns the path of a file in the test's own folder.
static char *
temporary_path (const char *name)
{
    return text_new ("%s/%s", s_folder, name);
}

//  Returns the text of a file, "" if it cannot be read, with its size if that
//  is asked for. Works in /proc too, where size is not known beforehand.
static char *
file_read (const char *path, size_t *size_p)
{
    char *text = NULL;
    size_t size = 0, got = 1;
    FILE *file = fopen (path, "r");
    while (file && got) {
        text = realloc (text, size + 4097);
        assert_non_null (text);
        got = fread (text + size, 1, 4096, file);
        size += got;
    }
    if (file)
        fclose (file);
    else
        text = calloc (1, 1);
    text[size] = 0;
    if (size_p)
        *size_p = size;
    return harness_keep (text);
}

static void
file_write (const char *path, const char *text)
{
    FILE *file = fopen (path, "w");
    assert_non_null (file);
    assert_true (fputs (text, file) >= 0);
    assert_int_equal (fclose (file), 0);
}

//  Mounts a file system of such a size (64k, 1m) in the test's folder, until the
//  test ends. That takes root. Returns its path.
static const char *
disk_new (const char *size)
{
    snprintf (s_disk, sizeof s_disk, "%s/disk", s_folder);
    assert_int_equal (mkdir (s_disk, 0700), 0);
    if (mount ("tmpfs", s_disk, "tmpfs", 0, text_new ("size=%s", size)) == -1) {
        *s_disk = 0;
        fail_msg ("mount a tmpfs: %s", strerror (errno));
    }
    return s_disk;
}

//  --------------------------------------------------------------------------
//  process: a child, and what it has printed so far

typedef struct {
    char *text;
    size_t size, room;
    int fd;
} output_t;

typedef struct {
    char *name;
    pid_t pid;
    int input;           //  its standard input
    output_t output[2];  //  its standard output and error
    pthread_t reader;
    pthread_mutex_t lock;  //  of the output, and of:
    pthread_cond_t changed;
    bool ended;
    int status;  //  exit status, or 128 and the signal
    int64_t started_ms, ended_ms;
    bool joined;
} process_t;

enum { OUT, ERR };

static process_t *s_processes[PROCESSES_MAX];
static size_t s_process_count;

//  Returns false at the end of the file.
static bool
output_read (process_t *self, output_t *output)
{
    char data[65536];
    ssize_t got = read (output->fd, data, sizeof data);
    if (got <= 0)
        return false;
    pthread_mutex_lock (&self->lock);
    while (output->room < output->size + (size_t) got + 1) {
        output->room = output->room ? output->room * 2 : 4096;
        output->text = realloc (output->text, output->room);
    }
    memcpy (output->text + output->size, data, (size_t) got);
    output->size += (size_t) got;
    output->text[output->size] = 0;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    return true;
}

//  Thread: reads all that the process prints, and takes note of its end. The
//  PID stays the child's until the lock is held, so that no signal goes astray.
static void *
process_read (void *argument)
{
    process_t *self = argument;
    struct pollfd poll_set[2] = {{self->output[OUT].fd, POLLIN, 0},
                                 {self->output[ERR].fd, POLLIN, 0}};
    siginfo_t info;
    int status = 0;
    while (poll_set[OUT].fd != -1 || poll_set[ERR].fd != -1) {
        poll (poll_set, 2, -1);
        for (int i = OUT; i <= ERR; i++)
            if (poll_set[i].fd != -1 && poll_set[i].revents
                && !output_read (self, &self->output[i]))
                poll_set[i].fd = -1;
    }
    waitid (P_PID, (id_t) self->pid, &info, WEXITED | WNOWAIT);
    pthread_mutex_lock (&self->lock);
    waitpid (self->pid, &status, 0);
    self->status =
      WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
    self->ended_ms = now_ms ();
    self->ended = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

//  In the child. It dies with the test, even if that is killed; its own
//  children share its process group.
static void
process_become (pid_t parent, const int fds[3], char *const *argv, char **env)
{
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
        _exit (127);
    setpgid (0, 0);
    for (int i = 0; i < 3; i++)
        dup2 (fds[i], i);
    signal (SIGPIPE, SIG_DFL);
    execvpe (argv[0], argv, env);
    _exit (127);
}

//  Our environment and those in `more`, which come first: the first is found.
static char **
process_environment (const char *const *more)
{
    size_t count = 0, had = 0;
    while (more && more[count])
        count++;
    while (environ[had])
        had++;
    char **env = harness_keep (calloc (count + had + 1, sizeof *env));
    for (size_t i = 0; i < count; i++)
        env[i] = (char *) more[i];
    for (size_t i = 0; i < had; i++) {
        size_t name = strcspn (environ[i], "=") + 1;
        bool replaced = false;
        for (size_t j = 0; j < count; j++)
            replaced |= strncmp (env[j], environ[i], name) == 0;
        if (!replaced)
            env[count++] = environ[i];
    }
    return env;
}

static void
process_init (process_t *self, const char *name)
{
    pthread_condattr_t attributes;
    pthread_mutex_init (&self->lock, NULL);
    pthread_condattr_init (&attributes);
    pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
    pthread_cond_init (&self->changed, &attributes);
    pthread_condattr_destroy (&attributes);
    self->name = strdup (name);
    for (int i = OUT; i <= ERR; i++) {
        self->output[i].text = calloc (1, 1);
        self->output[i].room = 1;
    }
}

//  Starts argv[0] with more variables, or NULL. The harness owns the return
//  value, and ends it after the test.
static process_t *
process_start (const char *const *argv, const char *const *env)
{
    process_t *self = calloc (1, sizeof *self);
    int in[2], out[2], err[2];
    pid_t parent = getpid ();
    char **environment = process_environment (env);
    assert_non_null (self);
    assert_true (s_process_count < PROCESSES_MAX);
    process_init (self, argv[0]);
    assert_int_equal (pipe2 (in, O_CLOEXEC), 0);
    assert_int_equal (pipe2 (out, O_CLOEXEC), 0);
    assert_int_equal (pipe2 (err, O_CLOEXEC), 0);
    self->started_ms = now_ms ();
    self->pid = fork ();
    if (self->pid == 0)
        process_become (parent, (int[]){in[0], out[1], err[1]},
                        (char *const *) argv, environment);
    assert_true (self->pid > 0);
    close (in[0]);
    close (out[1]);
    close (err[1]);
    self->input = in[1];
    self->output[OUT].fd = out[0];
    self->output[ERR].fd = err[0];
    pthread_create (&self->reader, NULL, process_read, self);
    return s_processes[s_process_count++] = self;
}

static void
process_signal (process_t *self, int number)
{
    pthread_mutex_lock (&self->lock);
    if (!self->ended)
        kill (self->pid, number);
    pthread_mutex_unlock (&self->lock);
}

static bool
process_alive (process_t *self)
{
    pthread_mutex_lock (&self->lock);
    bool alive = !self->ended;
    pthread_mutex_unlock (&self->lock);
    return alive;
}

static void
process_send (process_t *self, const char *text)
{
    size_t size = strlen (text);
    assert_int_equal (write (self->input, text, size), size);
}

//  Ends the standard input of a process.
static void
process_close_input (process_t *self)
{
    close (self->input);
    self->input = -1;
}

//  Finds the nth line that contains the text and is complete. Returns NULL if
//  there is none yet. The caller holds the lock.
static char *
output_find (const output_t *self, const char *text, size_t nth)
{
    const char *line = self->text, *end;
    for (; (end = strchr (line, '\n')); line = end + 1) {
        const char *found =
          memmem (line, (size_t) (end - line), text, strlen (text));
        if (found && --nth == 0)
            return text_new ("%.*s", (int) (end - line), line);
    }
    return NULL;
}

//  How many complete lines, printed or logged so far, contain the text.
static size_t
process_lines (process_t *self, const char *text)
{
    size_t count = 0;
    pthread_mutex_lock (&self->lock);
    for (int i = OUT; i <= ERR; i++) {
        const char *line = self->output[i].text, *end;
        for (; (end = strchr (line, '\n')); line = end + 1)
            count +=
              memmem (line, (size_t) (end - line), text, strlen (text)) != NULL;
    }
    pthread_mutex_unlock (&self->lock);
    return count;
}

//  Waits a while for a change. Returns false when the deadline is over.
static bool
process_wait_change (process_t *self, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    return pthread_cond_timedwait (&self->changed, &self->lock, &until) == 0;
}

//  Waits for the nth line that contains the text, and returns it.
static const char *
process_await_nth (process_t *self, const char *text, size_t nth)
{
    int64_t until = now_ms () + WAIT_MS;
    char *line = NULL;
    bool more = true;
    pthread_mutex_lock (&self->lock);
    while (!line && more) {
        bool last = self->ended;
        for (int i = OUT; i <= ERR && !line; i++)
            line = output_find (&self->output[i], text, nth);
        more = !last && (line || process_wait_change (self, until));
    }
    pthread_mutex_unlock (&self->lock);
    if (!line)
        fail_msg ("%s did not say: %s (%zu times)", self->name, text, nth);
    return line;
}

static const char *
process_await (process_t *self, const char *text)
{
    return process_await_nth (self, text, 1);
}

//  Waits for the end. Returns the exit status, or 128 and the signal.
static int
process_wait (process_t *self)
{
    int64_t until = now_ms () + WAIT_MS;
    pthread_mutex_lock (&self->lock);
    while (!self->ended && process_wait_change (self, until)) {
    }
    bool ended = self->ended;
    pthread_mutex_unlock (&self->lock);
    if (!ended)
        fail_msg ("%s does not end", self->name);
    if (!self->joined)
        pthread_join (self->reader, NULL);
    self->joined = true;
    return self->status;
}

static int
process_stop (process_t *self, int number)
{
    process_signal (self, number);
    return process_wait (self);
}

//  Runs to the end; 0 must be its exit status.
static process_t *
process_run (const char *const *argv, const char *const *env)
{
    process_t *self = process_start (argv, env);
    assert_int_equal (process_wait (self), 0);
    return self;
}

//  What the process says, once it has ended.
static const char *
process_out (const process_t *self)
{
    return self->output[OUT].text;
}

static const char *
process_err (const process_t *self)
{
    return self->output[ERR].text;
}

//  The executable, to its end.
static process_t *
zibrato_run (const char *const *arguments)
{
    const char *argv[16] = {harness_path ("ZB_BIN")};
    for (int i = 0; arguments[i]; i++)
        argv[1 + i] = arguments[i];
    process_t *self = process_start (argv, NULL);
    process_wait (self);
    return self;
}

//  Cannot do it: exit status 1 and one line that says why.
static void
zibrato_dies (const char *const *arguments, const char *why)
{
    process_t *self = zibrato_run (arguments);
    assert_int_equal (self->status, 1);
    assert_string_equal (process_out (self), "");
    const char *text = process_err (self);
    if (strncmp (text, "zibrato: ", 9) != 0 || !strstr (text, why))
        fail_msg ("%s does not say: %s", text, why);
    assert_ptr_equal (strchr (text, '\n'), text + strlen (text) - 1);
}

//  Returns a number of /proc/PID/status, such as "VmRSS:" in KiB.
static long
process_status (const process_t *self, const char *key)
{
    char *text =
      file_read (text_new ("/proc/%d/status", (int) self->pid), NULL);
    const char *found = strstr (text, key);
    return found ? strtol (found + strlen (key), NULL, 10) : 0;
}

//  Returns whether it died of what no test does to a process.
static bool
process_crashed (process_t *self)
{
    static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    bool crashed = false;
    pthread_mutex_lock (&self->lock);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        crashed |= self->ended && self->status == 128 + signals[i];
    pthread_mutex_unlock (&self->lock);
    return crashed;
}

//  Before it is ended. Of many, the first are enough.
static void
process_examine (process_t *self)
{
    enum { EXAMINED_MAX = 16 };
    static int examined;
    if (process_crashed (self))
        fprintf (stderr, "---- %s, PID %d, has crashed: %s\n", self->name,
                 (int) self->pid, strsignal (self->status - 128));
    else if (process_alive (self) && examined++ < EXAMINED_MAX) {
        fprintf (stderr, "---- %s, PID %d, lives:\n", self->name,
                 (int) self->pid);
        examine_process (self->pid);
    }
}

static void
process_destroy (process_t **self_p)
{
    process_t *self = *self_p;
    close (self->input);
    process_signal (self, SIGKILL);
    pthread_mutex_lock (&self->lock);
    if (!self->ended)
        kill (-self->pid, SIGKILL);
    pthread_mutex_unlock (&self->lock);
    if (!self->joined)
        pthread_join (self->reader, NULL);
    if (!s_passed || getenv ("ZB_VERBOSE"))
        fprintf (stderr, "---- %s, PID %d, status %d\n%s%s", self->name,
                 (int) self->pid, self->status, self->output[OUT].text,
                 self->output[ERR].text);
    for (int i = OUT; i <= ERR; i++) {
        close (self->output[i].fd);
        free (self->output[i].text);
    }
    free (self->name);
    free (self);
    *self_p = NULL;
}

//  --------------------------------------------------------------------------
//  harness: setup, run, teardown

static int
harness_setup (void **state)
{
    (void) state;
    s_passed = false;
    signal (SIGPIPE, SIG_IGN);
    snprintf (s_folder, sizeof s_folder, "/tmp/zibrato-test-XXXXXX");
    return mkdtemp (s_folder) ? 0 : -1;
}

static void
harness_run (void **state)
{
    ((const harness_test_t *) *state)->run ();
    for (size_t i = 0; i < s_process_count; i++)
        assert_false (process_crashed (s_processes[i]));
    s_passed = true;
}

static void publishers_destroy (void);

static int
harness_teardown (void **state)
{
    (void) state;
    publishers_destroy ();
    for (size_t i = 0; i < s_process_count && !s_passed; i++)
        process_examine (s_processes[i]);
    while (s_process_count)
        process_destroy (&s_processes[--s_process_count]);
    if (*s_disk)
        umount2 (s_disk, MNT_DETACH);
    *s_disk = 0;
    while (s_kept_count)
        free (s_kept[--s_kept_count]);
    free (s_kept);
    s_kept = NULL;
    return folder_remove (s_folder);
}

#define HARNESS_MAIN(tests)                                                    \
    int main (void)                                                            \
    {                                                                          \
        return jobs_run (tests, sizeof tests / sizeof *tests, NULL);           \
    }

//  --------------------------------------------------------------------------
//  port: of TCP, in place of a server's

//  Takes a port at the address, or a free one for 0, and does not listen: who
//  connects is refused, and another may listen there, but no connection gets
//  the port as its own. Returns the descriptor.
static int
port_take (const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) port),
                                  .sin_addr.s_addr = inet_addr (host)};
    int on = 1, fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true (fd >= 0);
    setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal (bind (fd, (void *) &address, sizeof address), 0);
    return fd;
}

static int
port_listen (const char *host, int port)
{
    int fd = port_take (host, port);
    assert_int_equal (listen (fd, 8), 0);
    return fd;
}

static int
port_of (int fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    assert_int_equal (getsockname (fd, (void *) &address, &size), 0);
    return ntohs (address.sin_port);
}

//  --------------------------------------------------------------------------
//  broker

typedef struct {
    process_t *process;
    char host[32];
    int port;                //  for programs; the next one for workers
    const char *const *env;  //  more variables, or NULL
} broker_t;

//  Starts it at the host and port, and waits until it listens.
static void
broker_launch (broker_t *self)
{
    self->process =
      process_start (LIST (harness_path ("ZB_BIN"), "broker", "--host",
                           self->host, "--port", text_new ("%d", self->port)),
                     self->env);
    const char *ready = process_await (self->process, "event=ready");
    const char *port = strrchr (ready, ':');
    assert_non_null (port);
    self->port = (int) strtol (port + 1, NULL, 10) - 1;
    assert_true (self->port > 0);
}

//  Gives it a loopback address of its own, so that nobody else can get the
//  port while the broker is dead for a moment.
static void
broker_give_host (broker_t *self)
{
    static int number;
    int pid = (int) getpid ();
    snprintf (self->host, sizeof self->host, "127.%d.%d.%d",
              1 + pid / 256 % 254, pid % 256, 1 + number++ % 254);
}

static broker_t *
broker_start (void)
{
    broker_t *self = harness_keep (calloc (1, sizeof *self));
    broker_give_host (self);
    broker_launch (self);
    return self;
}

static void
broker_kill (broker_t *self)
{
    assert_int_equal (process_stop (self->process, SIGKILL), 128 + SIGKILL);
}

static void
broker_stop (broker_t *self)
{
    assert_int_equal (process_stop (self->process, SIGTERM), 0);
}

//  Variables that send a program's measurements to this broker.
static const char *const *
broker_environment (const broker_t *self)
{
    const char **env = harness_keep (calloc (3, sizeof *env));
    env[0] = text_new ("ZIBRATO_HOST=%s", self->host);
    env[1] = text_new ("ZIBRATO_PORT=%d", self->port);
    return env;
}

static const char *
broker_endpoint (const broker_t *self, int next)
{
    return text_new ("tcp://%s:%d", self->host, self->port + next);
}

//  --------------------------------------------------------------------------
//  standin: the judge in place of the API

//  Or something else that speaks the API, if it says itself what it has stored.
typedef struct standin {
    process_t *process;
    char *url;  //  of POST /v1/metrics
    char *base;
    const char *token;
    cJSON *(*stored) (const struct standin *self);  //  or NULL
    void *own;                                      //  of that
} standin_t;

//  Starts it with more options, or NULL, and waits until it listens.
static standin_t *
standin_start (const char *const *options)
{
    standin_t *self = harness_keep (calloc (1, sizeof *self));
    const char *argv[16] = {harness_path ("ZB_STANDIN"), "--port", "0"};
    for (int i = 0; options && options[i]; i++)
        argv[3 + i] = options[i];
    self->process = process_start (argv, NULL);
    const char *ready = process_await (self->process, "ready url=");
    self->url = text_new ("%s", strstr (ready, "url=") + 4);
    self->base = text_new ("%s", self->url);
    strstr (self->base, "/v1/")[0] = 0;
    self->token = "token";
    return self;
}

static size_t
s_curl_take (char *data, size_t size, size_t count, void *argument)
{
    FILE *out = argument;
    return fwrite (data, size, count, out);
}

//  Returns the body, or NULL. A body to send makes it a POST. Certificates are
//  not checked: that is the worker's to do. Caller frees the return value.
static char *
http (const char *url, const char *body)
{
    CURL *curl = curl_easy_init ();
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    curl_easy_setopt (curl, CURLOPT_URL, url);
    curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, s_curl_take);
    curl_easy_setopt (curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt (curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (curl, CURLOPT_SSL_VERIFYPEER, 0L);
    if (body)
        curl_easy_setopt (curl, CURLOPT_POSTFIELDS, body);
    CURLcode rc = curl_easy_perform (curl);
    curl_easy_cleanup (curl);
    fclose (out);
    if (rc != CURLE_OK)
        free (text);
    return rc == CURLE_OK ? text : NULL;
}

//  Returns the JSON of a /control/ route. Caller deletes the return value.
static cJSON *
standin_get (const standin_t *self, const char *route)
{
    char *text = http (text_new ("%s/control/%s", self->base, route), NULL);
    cJSON *json = text ? cJSON_Parse (text) : NULL;
    free (text);
    assert_non_null (json);
    return json;
}

static void
standin_script (const standin_t *self, const char *words)
{
    char *text = http (text_new ("%s/control/script", self->base), words);
    assert_non_null (text);
    free (text);
}

//  How many POSTs came, and with such a status (-1: any).
static int
standin_requests (const standin_t *self, int status)
{
    cJSON *requests = standin_get (self, "requests");
    const cJSON *request;
    int count = 0;
    cJSON_ArrayForEach (request, requests) count +=
      status == -1
      || cJSON_GetObjectItem (request, "status")->valueint == status;
    cJSON_Delete (requests);
    return count;
}

//  Waits until so many POSTs have come.
static void
standin_await_requests (const standin_t *self, int count)
{
    int64_t until = now_ms () + WAIT_MS;
    int came;
    while ((came = standin_requests (self, -1)) < count && now_ms () < until)
        poll_pause ();
    if (came < count)
        fail_msg ("%d requests came, expected %d", came, count);
}

//  --------------------------------------------------------------------------
//  worker

//  Starts a worker's mode from an executable, with more options.
static process_t *
worker_launch (const char *binary, const broker_t *broker, const char *mode,
               const char *const *options, const char *const *env)
{
    const char *argv[32] = {binary,   mode,
                            "--host", broker->host,
                            "--port", text_new ("%d", broker->port + 1)};
    for (int i = 0; options && options[i]; i++)
        argv[6 + i] = options[i];
    return process_start (argv, env);
}

//  The same of the executable, and waits until the broker has it.
static process_t *
worker_start (const broker_t *broker, const char *mode,
              const char *const *options, const char *const *env)
{
    process_t *self =
      worker_launch (harness_path ("ZB_BIN"), broker, mode, options, env);
    process_await (self, "event=ready");
    return self;
}

//  Returns seconds for --flush, of whose multiples, which is when a worker
//  flushes, none comes in the next quarter of an hour: no flush while a test
//  runs.
static const char *
flush_far (void)
{
    long seconds = 3600;
    while (seconds - (long) time (NULL) % seconds < 900)
        seconds--;
    return text_new ("%ld", seconds);
}

//  Is the text in a journal of this folder of --spool? Then the worker has it.
static bool
spool_has (const char *spool, const char *text)
{
    glob_t journals;
    bool has = false;
    if (glob (text_new ("%s/journal-*", spool), 0, NULL, &journals) != 0)
        return false;
    for (size_t i = 0; i < journals.gl_pathc; i++) {
        size_t size;
        const char *journal = file_read (journals.gl_pathv[i], &size);
        has |= memmem (journal, size, text, strlen (text)) != NULL;
    }
    globfree (&journals);
    return has;
}

//  Of all rows this one was refused, and is in a file of this folder of --spool.
static void
spool_check_set_aside (const char *spool, const char *row)
{
    glob_t files;
    assert_int_equal (
      glob (text_new ("%s/rejected/request-*", spool), 0, NULL, &files), 0);
    assert_int_equal (files.gl_pathc, 1);
    assert_non_null (strstr (file_read (files.gl_pathv[0], NULL), row));
    globfree (&files);
}

//  --------------------------------------------------------------------------
//  rows and totals: what has arrived

typedef struct {
    double rows, count, sum;  //  samples, and their sum
    int64_t sum_ns;           //  each row's sum, rounded to nanoseconds
    double min, max, sum_squares;
} total_t;

static double
row_number (const cJSON *row, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (row, key);
    return cJSON_IsNumber (item) ? item->valuedouble : 0;
}

//  The same of a program's line of JSON, which must have the key.
static double
json_number (const char *line, const char *key)
{
    cJSON *object = cJSON_Parse (line);
    assert_true (cJSON_HasObjectItem (object, key));
    double number = row_number (object, key);
    cJSON_Delete (object);
    return number;
}

//  Of a program that has sent all that somebody wants: how many it has dropped. That
//  number it holds, if it is not 0, as long as nobody wants the level "zibrato".
static double
stats_dropped (const char *stats)
{
    double dropped = json_number (stats, "dropped");
    assert_true (json_number (stats, "held") <= (dropped > 0));
    return dropped;
}

static bool
row_is (const cJSON *row, const char *key, const char *text)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (row, key);
    return !text
           || (cJSON_IsString (item) && !strcmp (item->valuestring, text));
}

//  Is it of that name, with its tags as name;key=value;key=value?
static bool
row_is_named (const cJSON *row, const char *wanted)
{
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive (row, "tags"), *tag;
    char name[2048];
    if (!tags)
        return row_is (row, "name", wanted);
    int size =
      snprintf (name, sizeof name, "%s",
                cJSON_GetObjectItemCaseSensitive (row, "name")->valuestring);
    cJSON_ArrayForEach (tag, tags) size +=
      snprintf (name + size, sizeof name - (size_t) size, ";%s=%s", tag->string,
                tag->valuestring);
    return strcmp (name, wanted) == 0;
}

static void
total_add (total_t *self, const cJSON *row)
{
    bool one = cJSON_HasObjectItem (row, "value");
    double sum = row_number (row, one ? "value" : "sum");
    double min = one ? sum : row_number (row, "min");
    double max = one ? sum : row_number (row, "max");
    self->min = self->rows == 0 || min < self->min ? min : self->min;
    self->max = self->rows == 0 || max > self->max ? max : self->max;
    self->rows++;
    self->count += one ? 1 : row_number (row, "count");
    self->sum += sum;
    self->sum_ns += llround (sum * 1e9);
    self->sum_squares += one ? sum * sum : row_number (row, "sum_squares");
}

//  Adds up what came of a series; any source if that is NULL.
static total_t
rows_total (const cJSON *rows, const char *source, const char *name)
{
    total_t total = {0};
    const cJSON *row;
    cJSON_ArrayForEach (row, rows) if (row_is_named (row, name)
                                       && row_is (row, "source", source))
      total_add (&total, row);
    return total;
}

static int
s_text_compare (const void *a, const void *b)
{
    return strcmp (*(const char *const *) a, *(const char *const *) b);
}

//  Returns a name, source and second that two rows have, or NULL.
static const char *
rows_same_second (const cJSON *rows)
{
    size_t size = (size_t) cJSON_GetArraySize (rows), count = 0;
    const char **keys = harness_keep (calloc (size + 1, sizeof *keys));
    const cJSON *row;
    cJSON_ArrayForEach (row, rows) keys[count++] =
      text_new ("%s %s %.0f", cJSON_GetObjectItem (row, "name")->valuestring,
                cJSON_GetObjectItem (row, "source")->valuestring,
                row_number (row, "measure_time"));
    qsort (keys, count, sizeof *keys, s_text_compare);
    for (size_t i = 1; i < count; i++)
        if (strcmp (keys[i - 1], keys[i]) == 0)
            return keys[i];
    return NULL;
}

//  --------------------------------------------------------------------------
//  sink: where measurements arrive, a stand-in behind `zibrato librato` or the
//  output of `zibrato stdout --format json`

typedef struct {
    process_t *worker;
    standin_t *standin;  //  or NULL
} sink_t;

static sink_t
sink_stdout (const broker_t *broker, const char *const *more)
{
    const char *options[16] = {"--flush", "1", "--format", "json"};
    for (int i = 0; more && more[i]; i++)
        options[4 + i] = more[i];
    return (sink_t){worker_start (broker, "stdout", options, NULL), NULL};
}

//  With a stand-in that was started with such options.
static sink_t
sink_librato (const broker_t *broker, const char *const *standin,
              const char *const *more)
{
    standin_t *judge = standin_start (standin);
    const char *options[24] = {
      "--username", "user@example.org", "--apitoken", "token",
      "--url",      judge->url,         "--flush",    "1"};
    for (int i = 0; more && more[i]; i++)
        options[8 + i] = more[i];
    return (sink_t){worker_start (broker, "librato", options, NULL), judge};
}

//  Returns the rows so far, of which the last flush may be a part. Caller
//  deletes the return value.
static cJSON *
sink_rows_so_far (const sink_t *self)
{
    if (self->standin && self->standin->stored)
        return self->standin->stored (self->standin);
    if (self->standin)
        return standin_get (self->standin, "stored");
    cJSON *rows = cJSON_CreateArray ();
    pthread_mutex_lock (&self->worker->lock);
    const char *line = self->worker->output[OUT].text, *end;
    for (; (end = strchr (line, '\n')); line = end + 1) {
        cJSON *row = cJSON_ParseWithLength (line, (size_t) (end - line));
        if (row)
            cJSON_AddItemToArray (rows, row);
    }
    pthread_mutex_unlock (&self->worker->lock);
    return rows;
}

//  What there is of a series so far.
static total_t
sink_total_so_far (const sink_t *self, const char *source, const char *name)
{
    cJSON *rows = sink_rows_so_far (self);
    total_t total = rows_total (rows, source, name);
    cJSON_Delete (rows);
    return total;
}

//  Waits until so many samples and such a sum of a series have come; a figure
//  that is 0 is not waited for.
static total_t
sink_await (const sink_t *self, const char *source, const char *name,
            double count, double sum)
{
    int64_t looked = now_ms (), until = looked + WAIT_MS;
    total_t total = sink_total_so_far (self, source, name);
    while ((total.count < count || total.sum < sum) && now_ms () < until) {
        poll_pause_since (looked);
        looked = now_ms ();
        total = sink_total_so_far (self, source, name);
    }
    if (total.count < count || total.sum < sum)
        fail_msg ("%s/%s: %.17g samples, sum %.17g; expected %.17g, %.17g",
                  source ? source : "*", name, total.count, total.sum, count,
                  sum);
    return total;
}

//  Ends the worker, which delivers what it still has.
static void
sink_stop (const sink_t *self)
{
    assert_int_equal (process_stop (self->worker, SIGTERM), 0);
}

//  Returns all rows, of a worker that has ended: before, one that is awaited
//  may come before others of its flush, and what is not too much may still
//  become so. Caller deletes the return value.
static cJSON *
sink_rows (const sink_t *self)
{
    assert_true (self->worker->ended);
    return sink_rows_so_far (self);
}

static total_t
sink_total (const sink_t *self, const char *source, const char *name)
{
    assert_true (self->worker->ended);
    return sink_total_so_far (self, source, name);
}

//  The sum of a series must be this one at the end, to the last bit.
static void
sink_check_sum (const sink_t *self, const char *source, const char *name,
                double sum)
{
    total_t total = sink_total (self, source, name);
    if (total.sum < sum || total.sum > sum)
        fail_msg ("%s/%s: sum %.17g, expected %.17g", source ? source : "*",
                  name, total.sum, sum);
}

static void
sink_check_count (const sink_t *self, const char *source, const char *name,
                  double count)
{
    total_t total = sink_total (self, source, name);
    if (total.count < count || total.count > count)
        fail_msg ("%s/%s: %.17g samples, expected %.17g", source ? source : "*",
                  name, total.count, count);
}

//  Waits for such a sum of a series, and ends the worker: no more has come.
static void
sink_end_with_sum (const sink_t *self, const char *source, const char *name,
                   double sum)
{
    sink_await (self, source, name, 0, sum);
    sink_stop (self);
    sink_check_sum (self, source, name, sum);
}

//  --------------------------------------------------------------------------
//  publisher: raw lines into the broker. An XPUB sees the subscriptions, so it
//  knows when somebody listens, and without a high-water mark it drops nothing.

enum { PUBLISHERS_MAX = 16 };

static void *s_publishers[PUBLISHERS_MAX];
static size_t s_publisher_count;

static void
publishers_destroy (void)
{
    while (s_publisher_count)
        zmq_close (s_publishers[--s_publisher_count]);
    if (s_context)
        zmq_ctx_term (s_context);
    s_context = NULL;
}

//  Returns a socket that the harness closes after the test.
static void *
socket_new (int type)
{
    int zero = 0, ms = WAIT_MS;
    if (!s_context)
        s_context = zmq_ctx_new ();
    void *socket = zmq_socket (s_context, type);
    assert_non_null (socket);
    assert_true (s_publisher_count < PUBLISHERS_MAX);
    zmq_setsockopt (socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_RCVHWM, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &ms, sizeof ms);
    return s_publishers[s_publisher_count++] = socket;
}

//  Returns a message as text, waiting for it.
static char *
socket_receive (void *socket)
{
    zmq_msg_t message;
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, socket, 0) == -1)
        fail_msg ("no message: %s", zmq_strerror (errno));
    char *text = text_new ("%.*s", (int) zmq_msg_size (&message),
                           (const char *) zmq_msg_data (&message));
    zmq_msg_close (&message);
    return text;
}

//  Connects, and waits until somebody wants the topic ("": all of them).
static void *
publisher_new (const broker_t *broker, const char *topic)
{
    void *socket = socket_new (ZMQ_XPUB);
    char *wanted = text_new ("\1%s", topic);
    assert_int_equal (zmq_connect (socket, broker_endpoint (broker, 0)), 0);
    while (strcmp (socket_receive (socket), wanted) != 0) {
    }
    return socket;
}

//  Connects, and waits for nobody.
static void *
publisher_new_lonely (const broker_t *broker)
{
    void *socket = socket_new (ZMQ_XPUB);
    assert_int_equal (zmq_connect (socket, broker_endpoint (broker, 0)), 0);
    return socket;
}

static void
publisher_send_bytes (void *socket, const void *data, size_t size)
{
    assert_int_equal (zmq_send (socket, data, size, 0), size);
}

static void
publisher_send (void *socket, const char *text)
{
    publisher_send_bytes (socket, text, strlen (text));
}

//  Sends a line of value 1 until the sink has it, for a worker may be ready a
//  moment before the broker knows, or the broker still know one that was killed.
static void
publisher_insist (void *socket, const char *line, const sink_t *sink,
                  const char *source, const char *name)
{
    int64_t until = now_ms () + WAIT_MS;
    while (sink_total_so_far (sink, source, name).sum < 1) {
        publisher_send (socket, line);
        poll_pause ();
        assert_true (now_ms () < until);
    }
}

//  Sends "probe" at the level until all sinks have it: from then on they get
//  all that is sent.
static void
publisher_probe (void *socket, const char *level, const sink_t *sinks,
                 size_t count)
{
    const char *line =
      text_new ("%s|Counter|probe|1|%ld|probe", level, (long) time (NULL));
    for (size_t i = 0; i < count; i++)
        publisher_insist (socket, line, &sinks[i], "probe", "probe");
}

#endif
