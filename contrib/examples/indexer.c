/*  indexer.c - a multi-threaded file indexer that measures itself

    Walks a directory tree, hashes every regular file in it and counts the
    words. What it does and how fast is measured with zibrato.h, as in any
    program; at the end it prints what it counted by itself, so that the
    figures at the other end can be compared to the digit.

        main thread             hashers             counters
        +--------+  s_found   +---------+  s_read  +---------+
        | walker |----------->| pool of |--------->| pool of |
        +--------+            | threads |          | threads |
                              +---------+          +---------+

    Walker and pools are the sources of the measurements. Level info says how
    much is done, level debug where the time goes.

    With CMake it links zibrato::zibrato. Without, from this directory:

        gcc -O2 -DZIBRATO_IMPLEMENTATION -I../.. indexer.c -o indexer \
            -lzmq -lpthread

    Then, each in a terminal of its own:

        zibrato broker
        zibrato stdout --flush 2
        ./indexer /usr/share

    Sections: totals, queues, hashers, counters, walker, report, main. To see
    how a program is instrumented, read the three in the middle.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  For fts
#define _DEFAULT_SOURCE

#include "zibrato.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
//  Bytes read of one file; the rest of it is ignored
#define FILE_CAP (1 << 20)
//  Files that wait in one queue, so at most 64 MiB
#define QUEUE_CAP 64
//  Files between two readings of a gauge. Each reading is kept and sent, unlike
//  counters and timers, so take as many as somebody looks at.
#define GAUGE_EVERY 16
//  Milliseconds that the end waits for a listener
#define FLUSH_MS 3000

static void
die (const char *what, int error)
{
    fprintf (stderr, "indexer: %s: %s\n", what, strerror (error));
    exit (1);
}

//  --------------------------------------------------------------------------
//  Totals: what the program counts by itself, to be compared with what arrives
//
//  No other program needs this section. One row a series, in the words that
//  the measuring code below uses. Each thread counts in a totals_t of its own.

// clang-format off
enum {
    FILES, FOLDERS, SKIPPED, DEPTH, VISIT,
    HASHED, UNREADABLE, BYTES, FILE_SIZE, READ, HASH,
    COUNTED, WORDS, COUNT,
    SERIES
};

typedef struct {
    const char *type, *name, *source, *level;
    const char *passes_key, *sum_key;  //  in JSON; NULL: not told there
} series_t;

static const series_t s_series[SERIES] = {
    [FILES] = {"counter", "indexer.files", "walker", "info", NULL, "total"},
    [FOLDERS] = {"counter", "indexer.folders", "walker", "info", NULL, "total"},
    [SKIPPED] = {"counter", "indexer.skipped", "walker", "info", NULL, "total"},
    [DEPTH] = {"gauge", "indexer.queue", "walker", "info", "count", "sum"},
    [VISIT] = {"timer", "indexer.visit", "walker", "debug", "count", NULL},
    [HASHED] = {"counter", "indexer.files", "hashers", "info", NULL, "total"},
    [UNREADABLE] = {"counter", "indexer.skipped", "hashers", "info", NULL, "total"},
    [BYTES] = {"counter", "indexer.bytes", "hashers", "info", NULL, "total"},
    [FILE_SIZE] = {"gauge", "indexer.file_size", "hashers", "debug", "count", "sum"},
    [READ] = {"timer", "indexer.read", "hashers", "info", "count", "sum_ns"},
    [HASH] = {"timer", "indexer.hash", "hashers", "debug", "count", NULL},
    [COUNTED] = {"counter", "indexer.files", "counters", "info", NULL, "total"},
    [WORDS] = {"counter", "indexer.words", "counters", "info", NULL, "total"},
    [COUNT] = {"timer", "indexer.count", "counters", "debug", "count", NULL},
};
// clang-format on

typedef struct {
    uint64_t passes[SERIES];
    uint64_t sums[SERIES];
    uint64_t fingerprint;  //  sum of the hashes: the same in any order
} totals_t;

static void
totals_add (totals_t *self, int series, uint64_t amount)
{
    self->passes[series]++;
    self->sums[series] += amount;
}

static void
totals_merge (totals_t *self, const totals_t *other)
{
    for (int series = 0; series < SERIES; series++) {
        self->passes[series] += other->passes[series];
        self->sums[series] += other->sums[series];
    }
    self->fingerprint += other->fingerprint;
}

//  --------------------------------------------------------------------------
//  Queues: files on their way from one stage to the next
//
//  Bounded, so that a fast stage waits for a slow one and memory stays small.

typedef struct {
    unsigned char *data;  //  NULL until a hasher has read the file
    size_t size;          //  bytes to read, then bytes read
    char path[];
} file_t;

typedef struct {
    sem_t used, unused;
    pthread_mutex_t lock;
    file_t *files[QUEUE_CAP];
    size_t put, taken;
} queue_t;

static queue_t s_found, s_read;

static void
file_destroy (file_t **self_p)
{
    free ((*self_p)->data);
    free (*self_p);
    *self_p = NULL;
}

static void
queue_init (queue_t *self)
{
    sem_init (&self->unused, 0, QUEUE_CAP);
    sem_init (&self->used, 0, 0);
    pthread_mutex_init (&self->lock, NULL);
}

//  Takes ownership of the file; NULL tells one taker that there are no more.
//  Returns how many are queued now.
static size_t
queue_put (queue_t *self, file_t *file)
{
    sem_wait (&self->unused);
    pthread_mutex_lock (&self->lock);
    self->files[self->put++ % QUEUE_CAP] = file;
    size_t depth = self->put - self->taken;
    pthread_mutex_unlock (&self->lock);
    sem_post (&self->used);
    return depth;
}

//  Waits for a file. Caller owns the return value.
static file_t *
queue_take (queue_t *self)
{
    sem_wait (&self->used);
    pthread_mutex_lock (&self->lock);
    file_t *file = self->files[self->taken++ % QUEUE_CAP];
    pthread_mutex_unlock (&self->lock);
    sem_post (&self->unused);
    return file;
}

//  --------------------------------------------------------------------------
//  Hashers: read a file once, hash it, hand it on

static uint64_t
s_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

//  Reads at most file->size bytes. Returns 0, or -1 if it cannot be read.
//  O_NONBLOCK: a pipe may have taken the file's place since the walk.
static int
s_load (file_t *file)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int handle = open (file->path, flags);
    if (handle == -1)
        return -1;
    file->data = malloc (file->size + 1);
    if (!file->data)
        die ("memory", ENOMEM);
    size_t done = 0;
    ssize_t got = 1;
    while (done < file->size && got > 0) {
        got = read (handle, file->data + done, file->size - done);
        done += got > 0 ? (size_t) got : 0;
    }
    close (handle);
    file->size = done;
    return got == -1 ? -1 : 0;
}

//  FNV-1a, 64 bits
static uint64_t
s_hash (const file_t *file, totals_t *totals)
{
    ZB_TIME_ME ("debug", "indexer.hash", .source = "hashers");
    totals_add (totals, HASH, 0);

    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t at = 0; at < file->size; at++)
        hash = (hash ^ file->data[at]) * 0x100000001b3u;
    return hash;
}

//  Returns 0, or -1 if the file cannot be read
static int
s_hash_file (file_t *file, totals_t *totals)
{
    //  A duration that is at hand anyway goes in through zb_time
    uint64_t start = s_now_ns ();
    int rc = s_load (file);
    uint64_t elapsed = s_now_ns () - start;
    zb_time ("info", "indexer.read", (double) elapsed / 1e9,
             .source = "hashers");
    totals_add (totals, READ, elapsed);

    if (rc == -1) {
        ZB_COUNT_ME ("info", "indexer.skipped", .source = "hashers");
        totals_add (totals, UNREADABLE, 1);
        return -1;
    }
    ZB_COUNT_ME ("info", "indexer.files", .source = "hashers");
    totals_add (totals, HASHED, 1);
    ZB_COUNT_ME ("info", "indexer.bytes", .value = (double) file->size,
                 .source = "hashers");
    totals_add (totals, BYTES, file->size);
    if (totals->passes[HASHED] % GAUGE_EVERY == 0) {
        ZB_GAUGE ("debug", "indexer.file_size", (double) file->size,
                  .source = "hashers");
        totals_add (totals, FILE_SIZE, file->size);
    }
    totals->fingerprint += s_hash (file, totals);
    return 0;
}

static void *
s_hasher (void *totals)
{
    file_t *file;
    while ((file = queue_take (&s_found)))
        if (s_hash_file (file, totals) == 0)
            queue_put (&s_read, file);
        else
            file_destroy (&file);
    return NULL;
}

//  --------------------------------------------------------------------------
//  Counters: count the words of what the hashers have read

static uint64_t
s_count_words (const file_t *file, totals_t *totals)
{
    ZB_TIME_ME ("debug", "indexer.count", .source = "counters");
    totals_add (totals, COUNT, 0);

    uint64_t words = 0;
    bool in_word = false;
    for (size_t at = 0; at < file->size; at++) {
        unsigned char byte = file->data[at];
        bool was_in_word = in_word;
        in_word = byte != ' ' && (byte < '\t' || byte > '\r');
        words += in_word && !was_in_word;
    }
    return words;
}

static void *
s_counter (void *totals)
{
    file_t *file;
    while ((file = queue_take (&s_read))) {
        //  First in a block, the macro counts passes of the block
        ZB_COUNT_ME ("info", "indexer.files", .source = "counters");
        totals_add (totals, COUNTED, 1);

        uint64_t words = s_count_words (file, totals);
        ZB_COUNT_ME ("info", "indexer.words", .value = (double) words,
                     .source = "counters");
        totals_add (totals, WORDS, words);
        file_destroy (&file);
    }
    return NULL;
}

//  --------------------------------------------------------------------------
//  Walker: finds the files

static void
s_visit_file (const FTSENT *entry, totals_t *totals)
{
    //  Long when the hashers are behind: the queue is full then
    ZB_TIME_ME ("debug", "indexer.visit", .source = "walker");
    totals_add (totals, VISIT, 0);
    ZB_COUNT_ME ("info", "indexer.files", .source = "walker");
    totals_add (totals, FILES, 1);

    off_t size = entry->fts_statp->st_size;
    file_t *file = calloc (1, sizeof *file + strlen (entry->fts_path) + 1);
    if (!file)
        die ("memory", ENOMEM);
    file->size = size < FILE_CAP ? (size_t) size : FILE_CAP;
    strcpy (file->path, entry->fts_path);

    size_t depth = queue_put (&s_found, file);
    if (totals->passes[FILES] % GAUGE_EVERY == 0) {
        ZB_GAUGE ("info", "indexer.queue", (double) depth, .source = "walker");
        totals_add (totals, DEPTH, depth);
    }
}

static void
s_visit (const FTSENT *entry, totals_t *totals)
{
    if (entry->fts_info == FTS_F)
        s_visit_file (entry, totals);
    else if (entry->fts_info == FTS_D) {
        ZB_COUNT_ME ("info", "indexer.folders", .source = "walker");
        totals_add (totals, FOLDERS, 1);
    }
    else if (entry->fts_info != FTS_DP) {
        //  Links, devices, folders that cannot be read. DP: out of a folder.
        ZB_COUNT_ME ("info", "indexer.skipped", .source = "walker");
        totals_add (totals, SKIPPED, 1);
    }
}

static void
s_walk (char *dir, long delay_us, totals_t *totals)
{
    struct timespec pause = {delay_us / 1000000, delay_us % 1000000 * 1000};
    char *roots[] = {dir, NULL};
    FTS *tree = fts_open (roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!tree)
        die (dir, errno);
    FTSENT *entry;
    while ((entry = fts_read (tree))) {
        s_visit (entry, totals);
        if (delay_us && entry->fts_info == FTS_F)
            nanosleep (&pause, NULL);
    }
    fts_close (tree);
}

//  --------------------------------------------------------------------------
//  Report
//
//  A series that was never passed is left out: it has sent nothing either.

static void
s_print_json (const series_t *self, uint64_t passes, uint64_t sum)
{
    printf ("{\"type\":\"%s\",\"name\":\"%s\",\"source\":\"%s\"", self->type,
            self->name, self->source);
    if (self->passes_key)
        printf (",\"%s\":%" PRIu64, self->passes_key, passes);
    if (self->sum_key)
        printf (",\"%s\":%" PRIu64, self->sum_key, sum);
    printf (",\"level\":\"%s\"}\n", self->level);
}

static void
s_print_row (const series_t *self, uint64_t passes, uint64_t sum)
{
    printf ("%-8s %-18s %-9s %-6s %9" PRIu64, self->type, self->name,
            self->source, self->level, passes);
    if (self->sum_key)
        printf (" %15" PRIu64, sum);
    puts (self == &s_series[READ] ? " ns" : "");
}

static void
s_report (const totals_t *totals, bool json)
{
    if (!json)
        printf ("%-8s %-18s %-9s %-6s %9s %15s\n", "TYPE", "NAME", "SOURCE",
                "LEVEL", "PASSES", "SUM");
    for (int series = 0; series < SERIES; series++)
        if (totals->passes[series])
            (json ? s_print_json : s_print_row) (
              &s_series[series], totals->passes[series], totals->sums[series]);
    if (!json)
        printf ("fingerprint %016" PRIx64 "\n", totals->fingerprint);
}

//  All is well with the program when nobody listens, but the user may wonder
static void
s_report_undelivered (void)
{
    zb_stats_t stats;
    if (zb_stats (NULL, &stats) == 0 && stats.held + stats.dropped > 0)
        fprintf (stderr,
                 "indexer: not delivered: %llu held (%s), %llu dropped\n",
                 (unsigned long long) stats.held,
                 stats.listening ? "out of time" : "no listener",
                 (unsigned long long) stats.dropped);
}

//  --------------------------------------------------------------------------
//  Main

static const char *s_usage =
  "usage: indexer [-t THREADS] [-r REPEAT] [-d DELAY_US] [--json] [DIR]\n"
  "  -t THREADS   one half hashes, the other counts words; 2..256 (4)\n"
  "  -r REPEAT    walk the tree so many times (1)\n"
  "  -d DELAY_US  microseconds of pause after each file (0)\n"
  "  --json       print the totals as JSON lines, not as a table\n"
  "  DIR          the tree (/usr/share); 1 MiB is read of each file at most\n";

static long s_size = 4, s_repeat = 1, s_delay_us = 0;
static bool s_json = false;
static char *s_dir = "/usr/share";

static void
s_exit_usage (void)
{
    fputs (s_usage, stderr);
    exit (2);
}

static long
s_number (const char *text, long min, long max)
{
    char *end;
    long number = strtol (text, &end, 10);
    if (end == text || *end || number < min || number > max)
        s_exit_usage ();
    return number;
}

static void
s_parse (int argc, char *argv[])
{
    static const struct option names[] = {{"json", 0, NULL, 'j'}, {0}};
    int option;
    while ((option = getopt_long (argc, argv, "t:r:d:", names, NULL)) != -1)
        if (option == 't')
            s_size = s_number (optarg, 2, THREADS_MAX);
        else if (option == 'r')
            s_repeat = s_number (optarg, 1, 1000000);
        else if (option == 'd')
            s_delay_us = s_number (optarg, 0, 60000000);
        else if (option == 'j')
            s_json = true;
        else
            s_exit_usage ();
    if (optind < argc)
        s_dir = argv[optind++];
    if (optind < argc)
        s_exit_usage ();
    if (access (s_dir, R_OK) == -1)
        die (s_dir, errno);
}

//  Threads from..to: first the hashers, then the counters, each with its totals
static pthread_t s_threads[THREADS_MAX];
static totals_t s_totals[THREADS_MAX];

static void
s_start (void *(*run) (void *), long from, long to)
{
    for (long thread = from; thread < to; thread++) {
        int rc =
          pthread_create (&s_threads[thread], NULL, run, &s_totals[thread]);
        if (rc != 0)
            die ("thread", rc);
    }
}

static void
s_finish (queue_t *queue, long from, long to, totals_t *sum)
{
    for (long thread = from; thread < to; thread++)
        queue_put (queue, NULL);
    for (long thread = from; thread < to; thread++) {
        pthread_join (s_threads[thread], NULL);
        totals_merge (sum, &s_totals[thread]);
    }
}

int
main (int argc, char *argv[])
{
    s_parse (argc, argv);
    queue_init (&s_found);
    queue_init (&s_read);

    long hashers = s_size / 2;
    s_start (s_hasher, 0, hashers);
    s_start (s_counter, hashers, s_size);
    totals_t totals = {0};
    for (long turn = 0; turn < s_repeat; turn++)
        s_walk (s_dir, s_delay_us, &totals);
    s_finish (&s_found, 0, hashers, &totals);
    s_finish (&s_read, hashers, s_size, &totals);

    //  Exit flushes too, but the report wants to know what became of it
    zb_flush (NULL, FLUSH_MS);
    s_report (&totals, s_json);
    s_report_undelivered ();
    return 0;
}
