/*  leave.c - processes and threads that leave, and those that they leave behind

    usage: leave COMMAND [NUMBER]

    Programs that count and end, that fork and become daemons, and crowds of
    threads that end or are forked. test_leaving.c says what must come of it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "edge.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>

extern char **environ;

//  --------------------------------------------------------------------------
//  Ending

//  Counts NUMBER times, and returns.
static int
s_count_and_return (void)
{
    s_count ("info", "leave.count", s_number);
    return s_leave ();
}

//  NUMBER programs, four at a time, of which each counts once.
static int
s_programs (void)
{
    char *arguments[] = {"leave", "count", "1", NULL};
    posix_spawn_file_actions_t actions;
    long running = 0, failed = 0, started = 0;
    int status;
    alarm (0);
    posix_spawn_file_actions_init (&actions);
    posix_spawn_file_actions_addopen (&actions, STDOUT_FILENO, "/dev/null",
                                      O_WRONLY, 0);
    while (started < s_number || running > 0)
        if (started < s_number && running < 4) {
            pid_t pid;
            if (posix_spawn (&pid, "/proc/self/exe", &actions, NULL, arguments,
                             environ)
                != 0)
                return 1;
            started++;
            running++;
        }
        else if (wait (&status) > 0) {
            failed += status != 0;
            running--;
        }
    printf ("started=%ld failed=%ld\n", started, failed);
    return 0;
}

//  --------------------------------------------------------------------------
//  Forking

static pid_t
s_fork (void)
{
    pid_t pid = fork ();
    if (pid == -1)
        exit (1);
    if (pid == 0)
        alarm (ALARM_S);
    return pid;
}

//  With NUMBER 1, what is counted before goes when the connection is up.
static bool
s_count_before (void)
{
    if (s_number == 1) {
        zb_count ("info", "leave.first");
        if (!s_listening (NULL))
            return false;
    }
    s_count ("info", "leave.count", 100);
    return true;
}

//  Counts 100, becomes a daemon, and counts 100 more.
static int
s_daemon (void)
{
    if (!s_count_before () || daemon (1, 1) != 0)
        return 1;
    alarm (ALARM_S);
    s_count ("info", "leave.count", 100);
    return 0;
}

//  The classic way: 100 before, 50 by the child in the middle, 100 after.
static int
s_fork_twice (void)
{
    if (!s_count_before ())
        return 1;
    if (s_fork () > 0)
        _exit (0);
    s_count ("info", "leave.count", 50);
    setsid ();
    if (s_fork () > 0)
        _exit (0);
    s_count ("info", "leave.count", 100);
    return 0;
}

//  Both go on: 100 before, 10 by the child, 100 by the parent.
static int
s_fork_both (void)
{
    int status;
    if (!s_count_before ())
        return 1;
    pid_t pid = s_fork ();
    if (pid == 0) {
        s_count ("info", "leave.count", 10);
        exit (0);
    }
    s_count ("info", "leave.count", 100);
    return waitpid (pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static pid_t
s_clone_raw (void)
{
    return (pid_t) syscall (SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

//  A child that no function of pthread_atfork has heard of measures and exits.
//  Nothing of ours runs in the parent meanwhile that might hold a lock.
static int
s_without_atfork (pid_t (*begin) (void))
{
    int status;
    s_count ("info", "leave.count", 100);
    s_count ("info", "leave.clone", 1);
    if (zb_flush (NULL, PATIENCE_MS) == -1)
        return 1;
    int64_t began_ms = s_now_ms ();
    pid_t pid = begin ();
    if (pid == 0) {
        alarm (ALARM_S / 3);
        s_count ("info", "leave.clone", 1);
        s_count ("info", "leave.new", 1);
        for (int i = 0; i < 10; i++) {
            ZB_COUNT_ME ("info", "leave.clone");
            ZB_TIME_ME ("info", "leave.clone");
            ZB_GAUGE ("info", "leave.clone", 1);
        }
        exit (0);
    }
    if (waitpid (pid, &status, 0) != pid)
        return 1;
    s_count ("info", "leave.count", 100);
    printf ("status=%d ms=%" PRId64 "\n", status, s_now_ms () - began_ms);
    return s_leave ();
}

static int
s_clone (void)
{
    return s_without_atfork (s_clone_raw);
}

static int
s_fork_quietly (void)
{
    return s_without_atfork (_Fork);
}

//  Measures and becomes another program, again and again, each time a little
//  later: ZeroMQ must not begin just then.
static int
s_exec (void)
{
    enum { CHILDREN_MAX = 200, STEP_US = 5, INSTANCES = 8 };
    int status, failed = 0;
    for (int i = 0; i < INSTANCES; i++)
        zb_open (.linger_ms = 0);
    for (long i = 0; i < CHILDREN_MAX; i++) {
        pid_t pid = s_fork ();
        if (pid == 0) {
            zb_count ("info", "leave.exec");
            s_nap (i * STEP_US);
            execl ("/bin/true", "true", (char *) NULL);
            _exit (1);
        }
        failed += waitpid (pid, &status, 0) != pid || status != 0;
    }
    printf ("children=%d failed=%d\n", CHILDREN_MAX, failed);
    return 0;
}

//  --------------------------------------------------------------------------
//  Executing, and another root

static atomic_int s_executes = 1;

//  Goes to the folder that a variable names, for what is made here.
static bool
s_folder_enter (void)
{
    const char *folder = getenv ("LEAVE_FOLDER");
    return folder && chdir (folder) == 0;
}

//  Tries to execute what is no program, again and again: the kernel sees that
//  late.
static void *
s_execute (void *path)
{
    while (s_executes) {
        execl (path, path, (char *) NULL);
        s_nap (300);
    }
    return NULL;
}

//  Opens NUMBER instances in turn while a thread tries to execute, and counts
//  100 in each. What is refused meanwhile is tried again: zb_flush fails until
//  then.
static int
s_exec_fails (void)
{
    static char path[] = "./none";
    int fd = s_folder_enter () ? creat (path, 0700) : -1;
    if (fd == -1 || write (fd, "none", 4) != 4 || close (fd) == -1)
        return 1;
    pthread_t thread = s_thread_new (NULL, s_execute, path);
    for (long i = 0; i < s_number; i++) {
        zb_t *zb;
        while (!(zb = zb_open ()))
            s_nap (100);
        for (int j = 0; j < 100; j++)
            zb_count ("info", "leave.count", .to = zb);
        while (zb_flush (zb, PATIENCE_MS) == -1)
            s_nap (10000);
        zb_close (&zb);
    }
    s_executes = 0;
    s_thread_join (thread);
    return s_leave ();
}

//  Counts the threads that have another root than the one that asks.
static long
s_outside (DIR *tasks)
{
    struct stat mine, root;
    struct dirent *entry;
    long outside = 0;
    if (stat ("/", &mine) == -1)
        return -1;
    rewinddir (tasks);
    while ((entry = readdir (tasks))) {
        char path[300];
        snprintf (path, sizeof path, "%s/root", entry->d_name);
        if (*entry->d_name != '.'
            && fstatat (dirfd (tasks), path, &root, 0) == 0)
            outside += root.st_ino != mine.st_ino || root.st_dev != mine.st_dev;
    }
    return outside;
}

//  Counts 100, changes its root, and counts 100 more when no thread is outside
//  any more.
static int
s_chroot (void)
{
    int64_t until_ms = s_now_ms () + PATIENCE_MS;
    DIR *tasks = opendir ("/proc/self/task");
    if (!tasks || !s_folder_enter () || mkdir ("root", 0700) == -1)
        return 1;
    s_count ("info", "leave.count", 100);
    if (zb_flush (NULL, PATIENCE_MS) == -1 || s_outside (tasks) != 0)
        return 1;
    printf ("refused=%d\n", chroot ("root") == -1);
    while (s_outside (tasks) != 0 && s_now_ms () < until_ms)
        s_nap (1000);
    printf ("outside=%ld\n", s_outside (tasks));
    s_count ("info", "leave.count", 100);
    printf ("flush=%d\n", zb_flush (NULL, PATIENCE_MS));
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  Crowds

enum { NAMES_MAX = 200, FORKS = 21, CHILDREN = 5 };

typedef struct {
    size_t threads, names;  //  of which each counts so many
    pthread_barrier_t ready, end;
} crowd_t;

static char s_names[NAMES_MAX][24];

static void
s_names_init (void)
{
    for (int i = 0; i < NAMES_MAX; i++)
        snprintf (s_names[i], sizeof s_names[i], "crowd.%d", i);
}

static void *
s_crowd_member (void *argument)
{
    crowd_t *self = argument;
    for (size_t i = 0; i < self->names; i++)
        zb_count ("info", s_names[i], .source = "parent");
    pthread_barrier_wait (&self->ready);
    pthread_barrier_wait (&self->end);
    return NULL;
}

//  Starts the threads, and waits until all have counted. The last thread waits
//  for the rest of main's life unless it joins them.
static pthread_t *
s_crowd_start (crowd_t *self, size_t threads, size_t names)
{
    pthread_attr_t attributes;
    pthread_t *list = calloc (threads, sizeof *list);
    self->threads = threads;
    self->names = names;
    pthread_attr_init (&attributes);
    pthread_attr_setstacksize (&attributes, 128 * 1024);
    pthread_barrier_init (&self->ready, NULL, (unsigned) threads + 1);
    pthread_barrier_init (&self->end, NULL, (unsigned) threads + 1);
    for (size_t i = 0; i < threads; i++)
        list[i] = s_thread_new (&attributes, s_crowd_member, self);
    pthread_barrier_wait (&self->ready);
    return list;
}

//  Lets the threads end. Returns how long that took, in microseconds.
static int64_t
s_crowd_end (crowd_t *self, pthread_t *list)
{
    int64_t began_us = s_now_us ();
    pthread_barrier_wait (&self->end);
    for (size_t i = 0; i < self->threads; i++)
        s_thread_join (list[i]);
    free (list);
    return s_now_us () - began_us;
}

//  Returns how long a processor is busy from before a fork to the child's first
//  instruction, in microseconds: the median of some. Waiting for a processor
//  is no part of it.
static int64_t
s_fork_us (void)
{
    int64_t us[FORKS], child_us;
    int ends[2];
    if (pipe (ends) == -1)
        exit (1);
    for (int i = 0; i < FORKS; i++) {
        int64_t began_us = s_clock_us (CLOCK_THREAD_CPUTIME_ID);
        if (s_fork () == 0) {
            child_us = s_clock_us (CLOCK_THREAD_CPUTIME_ID);
            _exit (write (ends[1], &child_us, sizeof child_us) < 0);
        }
        us[i] = s_clock_us (CLOCK_THREAD_CPUTIME_ID) - began_us;
        if (read (ends[0], &child_us, sizeof child_us) < 0 || wait (NULL) < 0)
            exit (1);
        us[i] += child_us;
    }
    return s_median (us, FORKS);
}

//  Makes the process so large, in pages as malloc gets them.
static void
s_grow (long kib)
{
    size_t size = (size_t) kib * 1024;
    char *memory = kib <= 0 ? NULL
                            : mmap (NULL, size, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory && memory != MAP_FAILED) {
        madvise (memory, size, MADV_NOHUGEPAGE);
        memset (memory, 1, size);
    }
}

//  A thousand threads that have counted, each 200 counters; then forks. Its
//  children count each counter once.
static int
s_fork_crowd (void)
{
    static crowd_t crowd;
    int status, failed = 0;
    s_names_init ();
    pthread_t *list = s_crowd_start (&crowd, (size_t) s_number, NAMES_MAX);
    printf ("kib=%ld fork_us=%" PRId64 "\n", s_resident_kib (), s_fork_us ());
    fflush (stdout);
    for (int i = 0; i < CHILDREN; i++)
        if (s_fork () == 0) {
            for (int j = 0; j < NAMES_MAX; j++)
                zb_count ("info", s_names[j], .source = "child");
            for (int j = 0; j < NAMES_MAX; j++)
                zb_count ("info", s_names[j], .source = "parent");
            exit (0);
        }
    while (wait (&status) > 0)
        failed += status != 0;
    printf ("failed=%d\n", failed);
    s_crowd_end (&crowd, list);
    return s_leave ();
}

//  The same of threads that have not measured, in a process of NUMBER KiB.
static int
s_fork_plain (void)
{
    static crowd_t crowd;
    pthread_t *list = s_crowd_start (&crowd, 1000, 0);
    s_grow (s_number - s_resident_kib ());
    printf ("kib=%ld fork_us=%" PRId64 "\n", s_resident_kib (), s_fork_us ());
    s_crowd_end (&crowd, list);
    return s_leave ();
}

//  Crowds that have counted, each thread 100 counters, end: a small one, and
//  one of NUMBER threads. Says how long each of their threads took.
static int
s_exits (void)
{
    static crowd_t crowds[2];
    size_t sizes[] = {(size_t) s_number / 10, (size_t) s_number};
    int64_t us[2];
    s_names_init ();
    zb_count ("info", "leave.first");
    for (int i = 0; i < 2; i++) {
        pthread_t *list = s_crowd_start (&crowds[i], sizes[i], 100);
        us[i] = s_crowd_end (&crowds[i], list);
    }
    printf ("threads=%zu few_ns=%" PRId64 " many_ns=%" PRId64 "\n",
            sizes[0] + sizes[1], us[0] * 1000 / (int64_t) sizes[0],
            us[1] * 1000 / (int64_t) sizes[1]);
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  The command line

static const command_t s_commands[] = {{"count", s_count_and_return},
                                       {"programs", s_programs},
                                       {"daemon", s_daemon},
                                       {"fork-twice", s_fork_twice},
                                       {"fork-both", s_fork_both},
                                       {"clone", s_clone},
                                       {"_Fork", s_fork_quietly},
                                       {"exec", s_exec},
                                       {"exec-fails", s_exec_fails},
                                       {"chroot", s_chroot},
                                       {"fork-crowd", s_fork_crowd},
                                       {"fork-plain", s_fork_plain},
                                       {"exits", s_exits}};

EDGE_MAIN (s_commands)
