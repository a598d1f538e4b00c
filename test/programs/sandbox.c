/*  sandbox.c - a program that may do little, or that the kernel treats unlike

    usage: sandbox COMMAND [NUMBER]

    The kernel refuses some system calls with EPERM, as a container's filter
    does, or the thread that measures first runs with a policy and on a
    processor of its own. test_sandbox.c says what must come of it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "edge.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

//  --------------------------------------------------------------------------
//  Filters

enum { CALLS_MAX = 8 };

//  What is refused; 0 ends the list.
static const struct {
    const char *name;
    int calls[CALLS_MAX];
} s_filters[] = {
  {"nothing", {0}},
  //  as systemd's @resources
  {"resources",
   {SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr,
    SYS_sched_setaffinity, SYS_setpriority, SYS_setrlimit, SYS_prlimit64}},
#ifdef SYS_epoll_create
  {"epoll_create", {SYS_epoll_create1, SYS_epoll_create}},
#else
  {"epoll_create", {SYS_epoll_create1}},
#endif
#ifdef SYS_poll
  {"poll", {SYS_ppoll, SYS_poll}},
#else
  {"poll", {SYS_ppoll}},
#endif
  {"setsockopt", {SYS_setsockopt}},
  {"fcntl", {SYS_fcntl}},
  {"eventfd", {SYS_eventfd2}},
  {"socket", {SYS_socket}},
  {"threads", {SYS_clone, SYS_clone3}},
  {"epoll_ctl", {SYS_epoll_ctl}},
  {"getrandom", {SYS_getrandom}},
  {"connect", {SYS_connect}},
  {"madvise", {SYS_madvise}}};

enum { FILTERS = sizeof s_filters / sizeof *s_filters };

typedef struct {
    struct sock_filter code[8 * CALLS_MAX + 4];
    unsigned short size;
} filter_t;

static void
s_filter_add (filter_t *self, struct sock_filter instruction)
{
    self->code[self->size++] = instruction;
}

static void
s_filter_load (filter_t *self, size_t at)
{
    s_filter_add (self, (struct sock_filter) BPF_STMT (BPF_LD | BPF_W | BPF_ABS,
                                                       (unsigned) at));
}

//  If the number loaded is this one, goes on, else skips so many.
static void
s_filter_unless_skip (filter_t *self, int value, unsigned char skipped)
{
    s_filter_add (self,
                  (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K,
                                                 (unsigned) value, 0, skipped));
}

static void
s_filter_return (filter_t *self, int error)
{
    s_filter_add (
      self, (struct sock_filter) BPF_STMT (
              BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | (unsigned) error
                                     : SECCOMP_RET_ALLOW));
}

//  prlimit64 that only asks is allowed: its third argument, the new limit, is
//  NULL. Little endian or big, both halves are looked at. A C library that gets
//  ENOSYS from clone3 uses clone.
static void
s_filter_refuse (filter_t *self, int call)
{
    size_t limit = offsetof (struct seccomp_data, args[2]);
    s_filter_load (self, offsetof (struct seccomp_data, nr));
    if (call == SYS_prlimit64) {
        s_filter_unless_skip (self, call, 5);
        s_filter_load (self, limit);
        s_filter_unless_skip (self, 0, 2);
        s_filter_load (self, limit + 4);
        s_filter_add (self, (struct sock_filter) BPF_JUMP (
                              BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
    }
    else
        s_filter_unless_skip (self, call, 1);
    s_filter_return (self, call == SYS_clone3 ? ENOSYS : EPERM);
}

static bool
s_filter_apply (const char *name)
{
    filter_t self = {.size = 0};
    int at = 0;
    while (at < FILTERS && strcmp (s_filters[at].name, name) != 0)
        at++;
    if (at == FILTERS)
        return false;
    for (int i = 0; i < CALLS_MAX && s_filters[at].calls[i]; i++)
        s_filter_refuse (&self, s_filters[at].calls[i]);
    s_filter_return (&self, 0);
    struct sock_fprog program = {self.size, self.code};
    return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
           && prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

//  Measures under the filter that a variable names, gives it NUMBER
//  milliseconds, measures more and reports.
static int
s_filtered (void)
{
    zb_stats_t stats;
    const char *name = getenv ("SANDBOX");
    if (!name || !s_filter_apply (name))
        return 1;
    for (int i = 0; i < 100; i++) {
        ZB_COUNT_ME ("info", "sandbox.count");
        ZB_TIME_ME ("info", "sandbox.time");
    }
    zb_flush (NULL, (int) s_number);
    s_nap (s_number * 1000);
    for (int i = 0; i < 100; i++)
        zb_count ("info", "sandbox.count");
    int rc = zb_flush (NULL, (int) s_number);
    if (zb_stats (NULL, &stats) == -1)
        return 1;
    printf ("flush=%d measured=%" PRIu64 " sent=%" PRIu64 " held=%" PRIu64
            " dropped=%" PRIu64 " error=%d\n",
            rc, stats.measured, stats.sent, stats.held, stats.dropped,
            stats.error);
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  What threads inherit

typedef struct {
    int policy;
    bool measured;
} first_t;

//  Runs under a policy of its own, on one processor, and measures first.
static void *
s_measure_first (void *argument)
{
    first_t *self = argument;
    struct sched_param param = {.sched_priority = 10};
    cpu_set_t cpus;
    CPU_ZERO (&cpus);
    CPU_SET ((size_t) sched_getcpu (), &cpus);
    sched_setaffinity (0, sizeof cpus, &cpus);
    self->policy = SCHED_FIFO;
    if (sched_setscheduler (0, SCHED_FIFO, &param) == -1) {
        param.sched_priority = 0;
        self->policy = SCHED_BATCH;
        if (sched_setscheduler (0, SCHED_BATCH, &param) == -1)
            self->policy = SCHED_OTHER;
    }
    zb_count ("info", "inherit.count");
    self->measured = true;
    return NULL;
}

//  Copies what stands behind a key in /proc/self/task/TID/status.
static void
s_status (long tid, const char *key, char *value, size_t size)
{
    char path[64], line[256];
    snprintf (path, sizeof path, "/proc/self/task/%ld/status", tid);
    FILE *file = fopen (path, "r");
    *value = 0;
    while (file && fgets (line, sizeof line, file))
        if (!strncmp (line, key, strlen (key)))
            snprintf (value, size, "%s",
                      line + strlen (key) + strspn (line + strlen (key), "\t"));
    value[strcspn (value, "\n")] = 0;
    if (file)
        fclose (file);
}

//  What SigBlk says of a thread that has blocked all it can.
static void
s_all_blocked (char *value, size_t size)
{
    sigset_t all, before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    s_status (gettid (), "SigBlk:", value, size);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
}

//  Are all of these blocked? A thread that has not run yet has blocked two more,
//  which the C library keeps for itself.
static bool
s_has_blocked (const char *blocked, const char *expected)
{
    unsigned long long all = strtoull (expected, NULL, 16);
    return all != 0 && (strtoull (blocked, NULL, 16) & all) == all;
}

//  Prints a line of what is wrong about a thread: nothing but its name, if it
//  is as it should be. Returns whether it is.
static bool
s_check_thread (long tid)
{
    char name[64], blocked[64], expected[64];
    cpu_set_t cpus, mine;
    s_status (tid, "Name:", name, sizeof name);
    s_status (tid, "SigBlk:", blocked, sizeof blocked);
    s_all_blocked (expected, sizeof expected);
    sched_getaffinity (0, sizeof mine, &mine);
    bool policy = sched_getscheduler ((pid_t) tid) == SCHED_OTHER,
         affinity = sched_getaffinity ((pid_t) tid, sizeof cpus, &cpus) == 0
                    && CPU_EQUAL (&cpus, &mine),
         signals = s_has_blocked (blocked, expected),
         named = !strncmp (name, "zibrato", 7) || !strncmp (name, "ZMQ", 3);
    printf ("thread %s:%s%s%s%s\n", name, policy ? "" : " policy",
            affinity ? "" : " affinity", signals ? "" : " signals",
            named ? "" : " name");
    return policy && affinity && signals && named;
}

//  A thread under real-time policy measures first, and ends when all is sent;
//  the others that there are then are not like it.
static int
s_inherit (void)
{
    first_t first = {0, false};
    long threads = 0, strange = 0;
    DIR *folder;
    struct dirent *entry;
    s_thread_join (s_thread_new (NULL, s_measure_first, &first));
    if (!first.measured || zb_flush (NULL, PATIENCE_MS) == -1
        || !(folder = opendir ("/proc/self/task")))
        return 1;
    while ((entry = readdir (folder))) {
        long tid = strtol (entry->d_name, NULL, 10);
        if (tid == 0 || tid == gettid ())
            continue;
        threads++;
        strange += !s_check_thread (tid);
    }
    closedir (folder);
    printf ("policy=%d threads=%ld strange=%ld\n", first.policy, threads,
            strange);
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  The command line

static const command_t s_commands[] = {{"filtered", s_filtered},
                                       {"inherit", s_inherit}};

EDGE_MAIN (s_commands)
