/*  test_powerloss.c - the host loses power, at each step of a worker with a
    spool

    In place of the functions by which the spool writes there are those of this
    file (the "wrap:" lines). They do the same in a folder, and keep note of
    what a disk would have of it without power: of a file what was synced, of
    the names in a folder those that a sync of the folder has made sure of.

    Before each such call the worker's folder is built as the disk might have
    it. Of what was not synced there may be nothing, or all, or part, in any
    order: the beginning of a file, zeros in place of its end, one new name and
    not the other. A worker starts with that folder, the program goes on and
    reports its totals, what was refused is replayed: and the service, which
    stores what has a key once, has everything exactly once. What was flushed it
    has even without the program. Totals say the same, and none falls. From some
    of these images the worker goes on to live, until power is lost again.

    Sections: the disk, functions in place of others, images of the disk, the
    service, the program, a start with an image, the world, the test.

         wrap: open openat mkdir mkdirat renameat unlinkat close
         wrap: write writev pwrite ftruncate fsync fdatasync clock_gettime

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 400 LONG 900 NOTSAN - there is one thread

#define _GNU_SOURCE  //  nftw

#include "../executable.h"

#include "../../../contrib/pipeline/sender.c"

#include "../../folder.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char s_root[64];  //  the disk is mounted here
static FILE *s_stderr;   //  while nothing is to be said there

//  --------------------------------------------------------------------------
//  The disk. Paths of it begin with "~", which is s_root.

enum {
    PATH_SIZE = 160,
    NODES_MAX = 1024,
    NAMES_MAX = 64,
    CHANGES_MAX = 64,
    FDS_MAX = 256,
    FOLDER = -1  //  in place of a node
};

//  A file, whatever its name.
typedef struct {
    char *now, *synced;
    size_t size, synced_size;
} node_t;

typedef struct {
    char path[PATH_SIZE];
    int node;
} name_t;

typedef struct {
    name_t name[NAMES_MAX];
    size_t size;
} tree_t;

//  A name that came, went, or became another; "" is none.
typedef struct {
    char from[PATH_SIZE], to[PATH_SIZE];
    int node;
} change_t;

static struct {
    bool on;    //  somebody writes whom we look at
    bool full;  //  there is no room for another byte
    node_t node[NODES_MAX];
    size_t nodes;
    tree_t now, durable;
    change_t change[CHANGES_MAX];  //  from the one to the other, in order
    size_t changes;
    int anew;        //  how often a ledger got its name
    int rejected;    //  and how often files of refused rows were looked at
    bool in_ledger;  //  the next step is a sync of what is in a ledger,
    bool refused;    //  or removes a request that was set aside
    struct {
        int node;
        char path[PATH_SIZE];  //  "": not of the disk
    } fd[FDS_MAX];
} s_disk;

static void world_lose_power (void);  //  the part of the test

static name_t *
tree_find (tree_t *self, const char *path)
{
    size_t i;
    for (i = 0; i < self->size; i++)
        if (strcmp (self->name[i].path, path) == 0)
            return &self->name[i];
    return NULL;
}

static void
tree_apply (tree_t *self, const change_t *change)
{
    name_t *from = tree_find (self, change->from), *to;
    if (from)
        *from = self->name[--self->size];
    if (!*change->to)
        return;
    to = tree_find (self, change->to);
    if (!to) {
        assert_true (self->size < NAMES_MAX);
        to = &self->name[self->size++];
    }
    strcpy (to->path, change->to);
    to->node = change->node;
}

static void
disk_change (const char *from, const char *to, int node)
{
    change_t *change = &s_disk.change[s_disk.changes++];
    assert_true (s_disk.changes <= CHANGES_MAX);
    strcpy (change->from, from);
    strcpy (change->to, to);
    change->node = node;
    tree_apply (&s_disk.now, change);
}

static bool
s_is_in (const char *path, const char *folder)
{
    const char *slash = strrchr (path, '/');
    return slash && (size_t) (slash - path) == strlen (folder)
           && strncmp (path, folder, strlen (folder)) == 0;
}

//  The folder is synced. A name that moves from one folder to another does so
//  in one step.
static void
disk_settle (const char *folder)
{
    size_t i, left = 0;
    for (i = 0; i < s_disk.changes; i++) {
        change_t *change = &s_disk.change[i];
        if (s_is_in (change->from, folder) || s_is_in (change->to, folder))
            tree_apply (&s_disk.durable, change);
        else
            s_disk.change[left++] = *change;
    }
    s_disk.changes = left;
}

static bool
disk_has (int fd)
{
    return s_disk.on && fd >= 0 && fd < FDS_MAX && *s_disk.fd[fd].path;
}

//  The path of a name in a folder, "" if that is not of the disk.
static bool
disk_path (char path[PATH_SIZE], int dir, const char *name)
{
    size_t root = strlen (s_root);
    *path = 0;
    if (s_disk.on && strncmp (name, s_root, root) == 0)
        snprintf (path, PATH_SIZE, "~%.90s", name + root);
    else if (disk_has (dir) && strcmp (name, "..") == 0)
        snprintf (
          path, PATH_SIZE, "%.*s",
          (int) (strrchr (s_disk.fd[dir].path, '/') - s_disk.fd[dir].path),
          s_disk.fd[dir].path);
    else if (disk_has (dir) && *name != '/')
        snprintf (path, PATH_SIZE, "%.60s/%.90s", s_disk.fd[dir].path, name);
    return *path != 0;
}

//  The file of a descriptor has changed.
static void
disk_read (int fd)
{
    node_t *node = &s_disk.node[s_disk.fd[fd].node];
    char path[64];
    FILE *file;
    struct stat status;
    snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
    file = fopen (path, "re");
    assert_true (file && fstat (fd, &status) == 0);
    node->size = (size_t) status.st_size;
    node->now = (char *) realloc (node->now, node->size + 1);
    assert_int_equal (fread (node->now, 1, node->size, file), node->size);
    fclose (file);
}

static void
disk_opened (int fd, const char *path, bool folder)
{
    name_t *name = tree_find (&s_disk.now, path);
    assert_true (fd < FDS_MAX);
    strcpy (s_disk.fd[fd].path, path);
    if (!folder && !name) {
        assert_true (s_disk.nodes < NODES_MAX);
        disk_change ("", path, (int) s_disk.nodes++);
        name = tree_find (&s_disk.now, path);
    }
    s_disk.fd[fd].node = folder ? FOLDER : name->node;
    if (!folder)
        disk_read (fd);
}

static void
node_sync (node_t *self)
{
    self->synced = (char *) realloc (self->synced, self->size + 1);
    self->synced_size = self->size;
    memcpy (self->synced, self->now, self->size);
}

static void
disk_sync (int fd)
{
    if (s_disk.fd[fd].node == FOLDER)
        disk_settle (s_disk.fd[fd].path);
    else
        node_sync (&s_disk.node[s_disk.fd[fd].node]);
}

//  Whoever looks finds a refused row's file whole, or not at all: two lines of
//  head, and the row. A replay may be run at any time.
static void
disk_check_rejected (void)
{
    size_t i, j, lines;
    for (i = 0; i < s_disk.now.size; i++) {
        const name_t *name = &s_disk.now.name[i];
        const node_t *node;
        if (!strstr (name->path, "/rejected/request-"))
            continue;
        node = &s_disk.node[name->node];
        for (j = lines = 0; j < node->size; j++)
            lines += node->now[j] == '\n';
        assert_true (lines >= 3);
        assert_int_equal (node->now[node->size - 1], '\n');
        s_disk.rejected++;
    }
}

//  Something is about to change.
static void
disk_step (void)
{
    disk_check_rejected ();
    s_disk.on = false;
    world_lose_power ();
    s_disk.on = true;
}

//  --------------------------------------------------------------------------
//  Functions in place of others

#define WRAP(type, name, ...)                                                  \
    type __real_##name (__VA_ARGS__);                                          \
    type __wrap_##name (__VA_ARGS__);                                          \
    type __wrap_##name (__VA_ARGS__)

WRAP (int, openat, int dir, const char *name, int flags, ...)
{
    char path[PATH_SIZE];
    mode_t mode = 0;
    va_list args;
    int fd;
    va_start (args, flags);
    if (flags & O_CREAT)
        mode = va_arg (args, mode_t);
    va_end (args);
    if (disk_path (path, dir, name) && flags & O_CREAT)
        disk_step ();
    fd = __real_openat (dir, name, flags, mode);
    if (fd != -1 && *path)
        disk_opened (fd, path, flags & O_DIRECTORY);
    return fd;
}

WRAP (int, open, const char *name, int flags, ...)
{
    assert_false (flags & O_CREAT);
    return __wrap_openat (AT_FDCWD, name, flags);
}

WRAP (int, close, int fd)
{
    if (disk_has (fd))
        *s_disk.fd[fd].path = 0;
    return __real_close (fd);
}

WRAP (int, mkdirat, int dir, const char *name, mode_t mode)
{
    char path[PATH_SIZE];
    int rc;
    if (disk_path (path, dir, name))
        disk_step ();
    rc = __real_mkdirat (dir, name, mode);
    if (rc == 0 && *path)
        disk_change ("", path, FOLDER);
    return rc;
}

WRAP (int, mkdir, const char *name, mode_t mode)
{
    return __wrap_mkdirat (AT_FDCWD, name, mode);
}

WRAP (int, unlinkat, int dir, const char *name, int flags)
{
    char path[PATH_SIZE], aside[PATH_SIZE + 32];
    int rc;
    snprintf (aside, sizeof aside, "~/spool/rejected/%s", name);
    if (disk_path (path, dir, name)) {
        s_disk.refused = tree_find (&s_disk.now, aside);
        disk_step ();
        s_disk.refused = false;
    }
    rc = __real_unlinkat (dir, name, flags);
    if (rc == 0 && *path)
        disk_change (path, "", tree_find (&s_disk.now, path)->node);
    return rc;
}

WRAP (int, renameat, int dir, const char *name, int new_dir,
      const char *new_name)
{
    char path[PATH_SIZE], new_path[PATH_SIZE];
    int rc;
    if (disk_path (path, dir, name))
        disk_step ();
    rc = __real_renameat (dir, name, new_dir, new_name);
    if (rc == 0 && *path && disk_path (new_path, new_dir, new_name))
        disk_change (path, new_path, tree_find (&s_disk.now, path)->node);
    s_disk.anew += rc == 0 && *path && strstr (path, ".new");
    return rc;
}

WRAP (ssize_t, writev, int fd, const struct iovec *part, int count)
{
    ssize_t rc;
    if (!disk_has (fd))
        return __real_writev (fd, part, count);
    disk_step ();
    errno = ENOSPC;
    rc = s_disk.full ? -1 : __real_writev (fd, part, count);
    disk_read (fd);
    return rc;
}

WRAP (ssize_t, write, int fd, const void *data, size_t size)
{
    struct iovec part = {(void *) data, size};
    return disk_has (fd) ? __wrap_writev (fd, &part, 1)
                         : __real_write (fd, data, size);
}

WRAP (ssize_t, pwrite, int fd, const void *data, size_t size, off_t at)
{
    ssize_t rc;
    if (disk_has (fd))
        disk_step ();
    rc = __real_pwrite (fd, data, size, at);
    if (disk_has (fd))
        disk_read (fd);
    return rc;
}

WRAP (int, ftruncate, int fd, off_t size)
{
    int rc;
    if (disk_has (fd))
        disk_step ();
    rc = __real_ftruncate (fd, size);
    if (disk_has (fd))
        disk_read (fd);
    return rc;
}

//  Nothing is synced in truth: that would only take time.
WRAP (int, fsync, int fd)
{
    if (disk_has (fd)) {
        s_disk.in_ledger = strstr (s_disk.fd[fd].path, "/ledger-");
        disk_step ();
        s_disk.in_ledger = false;
        disk_sync (fd);
    }
    return 0;
}

WRAP (int, fdatasync, int fd)
{
    return __wrap_fsync (fd);
}

//  It is always the same second, which the order of rows depends on.
WRAP (int, clock_gettime, clockid_t clock, struct timespec *now)
{
    int rc = __real_clock_gettime (clock, now);
    if (clock == CLOCK_REALTIME)
        *now = (struct timespec){1760000000, 0};
    return rc;
}

//  --------------------------------------------------------------------------
//  Images of the disk

enum { LOST, KEPT, HALF, ZEROS, WAYS };

//  What the disk has of each file.
typedef struct {
    tree_t tree;
    char *text[NAMES_MAX];
    size_t size[NAMES_MAX];
} image_t;

//  Returns what is left of a file, and its size. Caller owns the return value.
static char *
node_left (const node_t *self, int way, size_t *size)
{
    bool longer = self->size > self->synced_size;
    char *text = (char *) zmalloc (self->size + self->synced_size + 1);
    if (way == LOST || (way == HALF && !longer)) {
        *size = self->synced_size;
        memcpy (text, self->synced ? self->synced : "", *size);
        return text;
    }
    *size = way == HALF ? (self->size + self->synced_size) / 2 : self->size;
    memcpy (text, self->now, *size);
    if (way == ZEROS && longer)
        memset (text + self->synced_size, 0, *size - self->synced_size);
    return text;
}

//  With those of the changes that are done; in one of the ways, or in any for
//  each file.
static void
image_new (image_t *self, const bool *done, int way)
{
    size_t i;
    self->tree = s_disk.durable;
    for (i = 0; i < s_disk.changes; i++)
        if (done[i])
            tree_apply (&self->tree, &s_disk.change[i]);
    for (i = 0; i < self->tree.size; i++) {
        int node = self->tree.name[i].node;
        self->size[i] = 0;
        self->text[i] =
          node == FOLDER
            ? NULL
            : node_left (&s_disk.node[node],
                         way < WAYS ? way : (int) (s_any () % WAYS),
                         &self->size[i]);
    }
}

static void
image_destroy (image_t *self)
{
    size_t i;
    for (i = 0; i < self->tree.size; i++)
        free (self->text[i]);
}

static uint64_t
image_digest (const image_t *self)
{
    uint64_t sum = 0;
    size_t i;
    for (i = 0; i < self->tree.size; i++) {
        const char *path = self->tree.name[i].path;
        sum += table_digest (table_digest (1, path, strlen (path)),
                             self->text[i] ? self->text[i] : "", self->size[i]);
    }
    return sum;
}

//  Writes it to a folder that is made for it. What is in a folder that is not
//  there is not there, either.
static void
image_write (const image_t *self, const char *to)
{
    char path[PATH_SIZE + 64];
    size_t i, depth;
    folder_remove (to);
    assert_int_equal (mkdir (to, 0700), 0);
    for (depth = 0; depth < 3; depth++)
        for (i = 0; i < self->tree.size; i++) {
            const char *name = self->tree.name[i].path + 1, *c;
            size_t slashes = 0;
            FILE *file;
            for (c = name; *c; c++)
                slashes += *c == '/';
            snprintf (path, sizeof path, "%s%s", to, name);
            if (!self->text[i] && slashes == depth + 1)
                mkdir (path, 0700);
            else if (self->text[i] && depth == 2
                     && (file = fopen (path, "w"))) {
                fwrite (self->text[i], 1, self->size[i], file);
                fclose (file);
            }
        }
}

//  The disk, and the last image of it.
static int
s_remove_all (void)
{
    char image[96];
    snprintf (image, sizeof image, "%s.image", s_root);
    folder_remove (image);
    return folder_remove (s_root);
}

//  The disk has this, and nothing else, all of it synced.
static void
disk_reset (const image_t *image)
{
    size_t i;
    memset (s_disk.fd, 0, sizeof s_disk.fd);
    s_disk.changes = 0;
    s_disk.full = false;
    s_disk.durable = image->tree;
    for (i = 0; i < image->tree.size; i++)
        if (image->text[i]) {
            node_t *node = &s_disk.node[s_disk.nodes];
            assert_true (s_disk.nodes < NODES_MAX);
            s_disk.durable.name[i].node = (int) s_disk.nodes++;
            node->size = image->size[i];
            node->now = (char *) zmalloc (node->size + 1);
            memcpy (node->now, image->text[i], node->size);
            node_sync (node);
        }
    s_disk.now = s_disk.durable;
}

//  --------------------------------------------------------------------------
//  The service: stores what has a key once, refuses the series "bad" until that
//  is mended

enum { SERIES = 5, STORED_MAX = 4096 };

static const char *const s_series[SERIES] = {"a", "b", "c", "bad", "t"};

//  What a request says of a series: what it has had since the last one, and since
//  a start. Nothing, if its time is 0.
typedef struct {
    double sum, total;
    int64_t start_ns, time_ns;
} said_t;

static struct {
    struct {
        char key[128];
        uint64_t digest;
        said_t said[SERIES];
    } stored[STORED_MAX];
    size_t size;
    bool mended;
    double came[SERIES];  //  to a start with an image, all in all
    const char *wrong;    //  with what was sent, or NULL
} s_service;

static void
service_row (const zb_row_t *row, said_t said[SERIES])
{
    int i;
    for (i = 0; i < SERIES; i++)
        if (strcmp (row->name, s_series[i]) == 0) {
            said[i].sum += row->sum;
            said[i].total =
              row->type == ZB_TYPE_TIMER ? row->total->sum : row->total->value;
            said[i].start_ns = row->total->start_ns;
            said[i].time_ns = row->time_ns;
        }
}

static uint64_t
service_digest (uint64_t digest, const zb_row_t *row)
{
    char *text = zb_row_json (row, 1);
    digest = table_digest (digest, text, strlen (text));
    free (text);
    return digest;
}

//  A key that is known has the same rows.
static zb_outcome_t
service_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    const char *key = zb_request_key ();
    said_t said[SERIES] = {0};
    uint64_t digest = 0;
    size_t i, known = 0;
    (void) reply;
    while (known < s_service.size
           && strcmp (s_service.stored[known].key, key) != 0)
        known++;
    for (i = 0; i < count; i++) {
        if (known == s_service.size && !s_service.mended
            && strcmp (rows[i].name, "bad") == 0)
            return ZB_REFUSED;
        service_row (&rows[i], said);
        digest = service_digest (digest, &rows[i]);
    }
    if (known == s_service.size) {
        assert_true (s_service.size++ < STORED_MAX);
        snprintf (s_service.stored[known].key,
                  sizeof s_service.stored[known].key, "%s", key);
        s_service.stored[known].digest = digest;
        memcpy (s_service.stored[known].said, said, sizeof said);
    }
    else if (s_service.stored[known].digest != digest)
        s_service.wrong = "other rows have the same key";
    return ZB_DELIVERED;
}

static double
service_sum (int series)
{
    double sum = 0;
    size_t i;
    for (i = 0; i < s_service.size; i++)
        sum += s_service.stored[i].said[series].sum;
    return sum;
}

//  Is it the last that was said since its start? Of such the later one must not be
//  smaller.
static bool
service_is_last (const said_t *said, int series)
{
    size_t i;
    for (i = 0; i < s_service.size; i++) {
        const said_t *other = &s_service.stored[i].said[series];
        if (other->start_ns != said->start_ns
            || other->time_ns <= said->time_ns)
            continue;
        if (other->total < said->total)
            s_service.wrong = "a total falls";
        return false;
    }
    return true;
}

//  The last total of each start.
static double
service_total (int series)
{
    double total = 0;
    size_t i;
    for (i = 0; i < s_service.size; i++) {
        const said_t *said = &s_service.stored[i].said[series];
        if (said->time_ns && service_is_last (said, series))
            total += said->total;
    }
    return total;
}

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "service",
                                       .wants = ZB_WANTS_TOTALS,
                                       .adds = 1,
                                       .deliver = service_deliver};

//  --------------------------------------------------------------------------
//  The program, whose reports a worker gets. Its timer has many buckets, so that
//  the ledger is soon written anew.

typedef struct {
    char id[64];
    uint64_t seq;
    double total[SERIES];
    int samples;  //  of each bucket
} program_t;

enum { BUCKETS = 300 };

static size_t
program_timer (const program_t *self, double more, char *text, size_t size)
{
    double total = self->total[SERIES - 1];
    size_t at = (size_t) snprintf (text, size,
                                   "info|Timer|t|%.17g|1760000000|s|%s:%" PRIu64
                                   ":%d:%d:%.17g:%.17g:%d:%d:",
                                   more, self->id, self->seq, SERIES - 1,
                                   BUCKETS * self->samples, total, total, 1, 1);
    int i;
    for (i = 0; i < BUCKETS; i++)
        at += (size_t) snprintf (text + at, size - at, "%s%d=%d", i ? "," : "",
                                 i - BUCKETS, self->samples);
    return at;
}

//  Reports all series, after it has measured so much more of each; of that which
//  is refused only if it is told to.
static void
program_report (program_t *self, worker_t *to, double more, bool bad)
{
    static char text[16384];
    size_t at = 0;
    int i;
    self->samples += more > 0;
    for (i = 0; i < SERIES; i++) {
        double value = strcmp (s_series[i], "bad") != 0 || bad ? more : 0;
        self->total[i] += value;
        at +=
          i == SERIES - 1
            ? program_timer (self, value, text + at, sizeof text - at)
            : (size_t) snprintf (
              text + at, sizeof text - at,
              "info|Counter|%s|%.17g|1760000000|s|%s:%" PRIu64 ":%d:%.17g\n",
              s_series[i], value, self->id, self->seq, i, self->total[i]);
        self->seq++;
    }
    spool_journal (to->spool, text, at, to->ingest.ledger->now_ms);
    ingest_message (&to->ingest, text, at);
    spool_journal_write (to->spool);
}

//  --------------------------------------------------------------------------
//  A worker, and a start with an image

static struct {
    program_t program;
    double flushed[SERIES];  //  its totals at the last flush that counts
    bool lossy;              //  something may be missing, for good
    bool second;             //  power was lost before
    size_t steps, images;
} s_world;

static void
worker_begin (worker_t *self, const char *spool)
{
    s_worker.spool = spool;
    worker_init (self, &s_backend);
    strcpy (self->ingest.source, "here");
    worker_load (self);
}

static void
worker_close_window (worker_t *self)
{
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, INT64_MAX / 2)) {
    }
}

//  Sends so many of the requests that wait.
static void
worker_deliver (worker_t *self, int most)
{
    sender_t sender = {.queue = self->queue,
                       .backend = &s_backend,
                       .rejected.logged = LOGGED_MAX};
    while (most-- > 0 && (self->queue->head || self->queue->aside)) {
        request_t *request = queue_take (self->queue);
        sender_take (&sender, &request);
    }
}

static void
s_ignore (const char *name, const char *reason)
{
    (void) name, (void) reason;
}

//  What was refused goes again, and is mended, or not.
static void
worker_replay (worker_t *self, bool mended)
{
    s_service.mended = mended;
    assert_true (spool_replay (s_worker.spool, s_ignore) >= 0);
    spool_replayed (self->spool, &s_worker_reader, self);
    worker_deliver (self, INT_MAX);
    s_service.mended = false;
}

//  Is what was flushed there, and nothing that was not measured?
static const char *
s_check (const double least[SERIES], const double most[SERIES], bool refused)
{
    int i;
    for (i = 0; i < SERIES; i++) {
        double total = service_total (i);
        bool whole =
          !s_world.lossy && (refused || strcmp (s_series[i], "bad") != 0);
        s_service.came[i] = service_sum (i);
        if (s_service.came[i] > most[i])
            return "there is more than was measured";
        if (whole && s_service.came[i] < least[i])
            return "something is missing";
        if (total > most[i] || (whole && total != s_service.came[i]))
            return "totals say something else";
    }
    return s_service.wrong;
}

//  The worker starts with what is left, and the program goes on; what is refused
//  may have been mended meanwhile. Returns what is wrong then, or NULL.
static const char *
world_start (const char *image)
{
    char spool[112];
    const char *keep = s_worker.spool, *wrong;
    program_t program = s_world.program;
    size_t stored = s_service.size;
    bool mended = s_service.mended;
    worker_t worker;
    snprintf (spool, sizeof spool, "%s/spool", image);
    s_service.mended = s_any () % 2;
    worker_begin (&worker, spool);
    worker_close_window (&worker);
    worker_deliver (&worker, INT_MAX);
    wrong = s_check (s_world.flushed, program.total, false);
    if (*program.id)
        program_report (&program, &worker, 1, false);
    worker_close_window (&worker);
    worker_deliver (&worker, INT_MAX);
    worker_replay (&worker, true);
    if (!wrong)
        wrong = s_check (program.total, program.total, true);
    worker_clear (&worker);
    s_worker.spool = keep;
    s_service.size = stored;
    s_service.mended = mended;
    return wrong;
}

static void
image_check (const image_t *self, const char *what)
{
    char to[96];
    const char *wrong;
    size_t i;
    snprintf (to, sizeof to, "%s.image", s_root);
    image_write (self, to);
    s_world.images++;
    wrong = world_start (to);
    if (!wrong)
        return;
    stderr = s_stderr;
    for (i = 0; i < self->tree.size; i++)
        print_error ("%6zu %s\n", self->size[i], self->tree.name[i].path);
    for (i = 0; i < SERIES; i++)
        print_error ("%s: %g measured, %g flushed, %g came\n", s_series[i],
                     s_world.program.total[i], s_world.flushed[i],
                     s_service.came[i]);
    fail_msg ("power lost at step %zu, %s: %s", s_world.steps, what, wrong);
}

//  --------------------------------------------------------------------------
//  The world: a worker's life, and what becomes of it without power

//  The program was born after the ledger, and before all later ones.
static void
program_begin (program_t *self)
{
    int64_t now = zclock_time ();
    snprintf (self->id, sizeof self->id, "%" PRIx64 "-1", now);
    while (zclock_time () == now)
        zclock_sleep (1);
}

//  A refused row is edited: its file ends with another line end, on disk.
static void
s_edit (void)
{
    char path[PATH_SIZE + 64];
    size_t i = 0;
    int fd;
    while (!strstr (s_disk.now.name[i].path, "/rejected/"))
        assert_true (++i < s_disk.now.size);
    snprintf (path, sizeof path, "%s%s", s_root, s_disk.now.name[i].path + 1);
    fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal (__real_write (fd, "\n", 1), 1);
    disk_read (fd);
    disk_sync (fd);
    close (fd);
}

//  A window with two reports.
static void
world_window (worker_t *worker, bool bad)
{
    program_report (&s_world.program, worker, 1, bad);
    program_report (&s_world.program, worker, 2, false);
    worker_close_window (worker);
    memcpy (s_world.flushed, s_world.program.total, sizeof s_world.flushed);
}

//  Windows that are delivered, in part or not at all, until the ledger has been
//  written anew, and a row that is refused.
static void
world_work (worker_t *worker)
{
    world_window (worker, false);
    worker_deliver (worker, 1);
    world_window (worker, true);
    worker_deliver (worker, INT_MAX);
    world_window (worker, false);
    world_window (worker, false);
    worker_deliver (worker, 3);
    assert_int_equal (s_disk.anew, 2);
    assert_true (s_disk.rejected > 0);
}

//  There is no room for a while: until a flush is whole again, what waits is
//  lost with the worker.
static void
world_fill (worker_t *worker)
{
    s_disk.full = s_world.lossy = true;
    world_window (worker, false);
    worker_deliver (worker, 1);
    s_disk.full = false;
    world_window (worker, true);
    s_world.lossy = false;
    disk_step ();
    worker_deliver (worker, INT_MAX);
}

//  Which of the changes to names are done: none, the first, the first two ...;
//  one alone; all but one; any. Those to one file happen in their order.
static void
s_choose (size_t choice, bool done[CHANGES_MAX])
{
    size_t size = s_disk.changes, i, j;
    for (i = 0; i < size; i++) {
        if (choice <= size)
            done[i] = i < choice;
        else if (choice <= 2 * size)
            done[i] = i == choice - size - 1;
        else if (choice <= 3 * size)
            done[i] = i != choice - 2 * size - 1;
        else
            done[i] = s_any () % 2;
        for (j = 0; j < i; j++)
            if (s_disk.change[j].node == s_disk.change[i].node
                && s_disk.change[i].node != FOLDER)
                done[i] &= done[j];
    }
}

//  Was there no such image yet since the world last changed?
static bool
image_is_new (const image_t *self)
{
    enum { SEEN_MAX = 16384 };
    static uint64_t seen[SEEN_MAX], world;
    static size_t size;
    uint64_t now[] = {s_service.size, s_service.mended, s_world.program.seq,
                      (uint64_t) s_world.flushed[0], s_world.lossy};
    uint64_t digest = table_digest (0, (const char *) now, sizeof now);
    size_t i = 0;
    if (digest != world)
        size = 0;
    world = digest;
    assert_true (size < SEEN_MAX);
    seen[size] = image_digest (self);
    while (seen[i] != seen[size])
        i++;
    if (i < size)
        return false;
    size++;
    return true;
}

//  A worker goes on with what is left, and power is lost again: all that is said
//  of the first time holds for the second.
static void
world_go_on (void)
{
    char spool[112];
    worker_t worker;
    snprintf (spool, sizeof spool, "%s/spool", s_root);
    s_world.second = s_disk.on = true;
    s_service.mended = s_any () % 2;
    worker_begin (&worker, spool);
    if (!*s_world.program.id)
        program_begin (&s_world.program);
    world_window (&worker, true);
    worker_deliver (&worker, 3);
    world_window (&worker, false);
    worker_deliver (&worker, INT_MAX);
    worker_replay (&worker, true);
    s_disk.on = false;
    worker_clear (&worker);
}

//  The same, beside the world, which does not lose its power.
static void
world_fork (const image_t *image)
{
    pid_t pid = fork ();
    int status;
    assert_true (pid != -1);
    if (pid == 0) {
        strcat (s_root, ".second");
        image_write (image, s_root);
        disk_reset (image);
        world_go_on ();
        s_remove_all ();
        _exit (0);
    }
    assert_int_equal (waitpid (pid, &status, 0), pid);
    assert_int_equal (status, 0);
}

//  Tries what the disk might have now: all of it in the long run, else one image of
//  three, and of eight with a sanitizer. The second time less, or there would be no
//  end.
static void
world_lose_power (void)
{
    enum { ANY = 4, EVERY = 40, ONE_IN = SANITIZED ? 8 : 3 };
    static size_t tried;
    const size_t one_in = getenv ("ZB_LONG") ? 1 : ONE_IN;
    bool done[CHANGES_MAX], second = s_world.second;
    size_t choice, most = s_disk.changes * (second ? 1 : 3);
    image_t image;
    char what[64];
    int way, again = -1;
    if (++s_world.steps % EVERY == 0 || s_disk.refused)
        again = WAYS;
    if (s_disk.in_ledger)
        again = HALF;
    for (choice = 0; choice <= most + ANY; choice++) {
        s_choose (choice <= most ? choice : SIZE_MAX, done);
        for (way = LOST; way <= WAYS; way += second ? WAYS : 1) {
            image_new (&image, done, way);
            snprintf (what, sizeof what, "%s time, choice %zu of %zu, way %d",
                      second ? "second" : "first", choice, s_disk.changes, way);
            if (image_is_new (&image) && tried++ % one_in == 0)
                image_check (&image, what);
            if (choice == most + ANY && way == again && !second)
                world_fork (&image);
            image_destroy (&image);
        }
    }
}

//  --------------------------------------------------------------------------
//  The test

static int
s_setup (void **state)
{
    (void) state;
    snprintf (s_root, sizeof s_root, "%s/zibrato-powerloss-XXXXXX",
              access ("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    s_stderr = stderr;
    s_worker.batch = 3;
    s_worker.spool_max = 96 * 1024;
    deadline_ms = INT64_MAX;
    return mkdtemp (s_root) && (stderr = fopen ("/dev/null", "we")) ? 0 : -1;
}

static int
s_teardown (void **state)
{
    (void) state;
    s_disk.on = false;
    stderr = s_stderr;
    while (s_disk.nodes--) {
        free (s_disk.node[s_disk.nodes].now);
        free (s_disk.node[s_disk.nodes].synced);
    }
    return s_remove_all ();
}

static void
test_each_step (void **state)
{
    char spool[112];
    worker_t worker;
    (void) state;
    snprintf (spool, sizeof spool, "%s/spool", s_root);
    s_disk.on = true;
    worker_begin (&worker, spool);
    program_begin (&s_world.program);
    world_work (&worker);
    //  the worker is killed, with a journal and requests that wait
    program_report (&s_world.program, &worker, 1, true);
    worker_clear (&worker);
    worker_begin (&worker, spool);
    world_window (&worker, false);
    worker_deliver (&worker, INT_MAX);
    worker_replay (&worker, false);
    world_fill (&worker);
    worker_replay (&worker, true);
    world_window (&worker, true);
    worker_deliver (&worker, INT_MAX);
    s_edit ();
    worker_replay (&worker, true);
    disk_step ();
    worker_clear (&worker);
    stderr = s_stderr;
    assert_null (s_check (s_world.program.total, s_world.program.total, true));
    print_message ("%zu steps, %zu images\n", s_world.steps, s_world.images);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_each_step, s_setup, s_teardown)};
    return cmocka_run_group_tests_name ("powerloss", tests, NULL, NULL);
}
