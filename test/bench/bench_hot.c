/*  bench_hot.c - what a pass costs: counter, timer and gauge against the least
    that could do in their place

    Each setup is a process of its own, for the default instance is opened once.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"
#include "hot.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

//  What is compared, and how many passes a slice has. Those of a gauge are
//  fewer than wake the pump.
typedef struct {
    const char *figure, *ours, *limit;
    long passes;
} pair_t;

typedef struct {
    const char *name;  //  ends the figure's
    int threads, series, heard;
    enum { NOTHING, SHARED, OFF, CLOCK } special;
    pair_t pairs[5];  //  up to one without a figure
} setup_t;

//  --------------------------------------------------------------------------
//  Setups

// clang-format off
#define COUNT {"count", "counter", "limit", 200000}
#define TURNS {"turns", "counters", "limits", 200000}
#define TIME  {"time", "timer", "clock", 40000}
#define GAUGE {"gauge", "gauge", "store", 1500}

static const setup_t s_setups[] = {
  //  threads, series, heard
  {"1.1.alone", 1, 1, 0, NOTHING, {COUNT}},
  {"1.1.heard", 1, 1, 1, NOTHING, {COUNT, TURNS, TIME, GAUGE}},
  {"1.1000.alone", 1, 1000, 0, NOTHING, {COUNT}},
  {"1.1000.heard", 1, 1000, 1, NOTHING, {COUNT}},
  {"1.10000.alone", 1, 10000, 0, NOTHING, {COUNT}},
  {"1.10000.heard", 1, 10000, 1, NOTHING, {COUNT}},
  {"2.1.alone", 2, 1, 0, NOTHING, {COUNT}},
  {"2.1.heard", 2, 1, 1, NOTHING, {COUNT, TIME}},
  {"2.1000.alone", 2, 1000, 0, NOTHING, {COUNT}},
  {"2.1000.heard", 2, 1000, 1, NOTHING, {COUNT}},
  {"2.10000.alone", 2, 10000, 0, NOTHING, {COUNT}},
  {"2.10000.heard", 2, 10000, 1, NOTHING, {COUNT}},
  {"shared", 1, 1, 1, SHARED, {COUNT, TURNS, TIME, GAUGE}},
  {"clock", 1, 1, 0, CLOCK, {TIME}},
  {"off", 1, 1, 0, OFF,
   {COUNT, {"time", "timer", "limit", 40000},
    {"gauge", "gauge", "limit", 40000}}},
  {"unheard", 1, 1, 1, NOTHING,
   {{"count", "counter.unheard", "counter", 200000},
    {"time", "timer.unheard", "timer", 40000},
    {"gauge", "gauge.unheard", "gauge", 900}}},
};
// clang-format on

//  --------------------------------------------------------------------------
//  A process each

static void (*s_find (const hot_t *side, const char *name)) (long)
{
    const hot_loop_t *loop;
    for (loop = side->loops; loop->name && strcmp (loop->name, name) != 0;)
        loop++;
    BENCH_CHECK (loop->name);
    return loop->run;
}

static void
s_setup_run (const setup_t *setup, const hot_t *side)
{
    const pair_t *pair;
    char name[64];
    side->prepare (setup->series - 1, setup->heard, setup->special != CLOCK);
    for (pair = setup->pairs; pair->figure; pair++) {
        snprintf (name, sizeof name, "%s.%s", pair->figure, setup->name);
        hot_compare (name, setup->threads, s_find (side, pair->ours),
                     pair->passes, s_find (side, pair->limit), pair->passes,
                     side->rest);
    }
}

static const hot_t *
s_side (int shared)
{
    char path[4096];
    void *library, *side;
    ssize_t size;
    if (!shared)
        return &hot;
    size = readlink ("/proc/self/exe", path, sizeof path - 1);
    BENCH_CHECK (size > 0);
    path[size] = 0;
    strcpy (strrchr (path, '/'), "/libhot.so");
    library = dlopen (path, RTLD_NOW | RTLD_LOCAL);
    BENCH_CHECK (library);
    side = dlsym (library, "hot");
    BENCH_CHECK (side);
    return (const hot_t *) side;
}

static void
s_child (const setup_t *setup)
{
    char endpoint[256] = "tcp://127.0.0.1:1";  //  where nobody is
    if (setup->heard)
        hot_listener (endpoint, sizeof endpoint);
    setenv ("ZIBRATO_ENDPOINT", endpoint, 1);
    setenv ("ZIBRATO_MAX_SERIES", "20000", 1);
    setenv ("ZIBRATO_DISABLE", setup->special == OFF ? "1" : "0", 1);
    if (setup->special == CLOCK)  //  the pump never comes to try the other
        setenv ("ZIBRATO_INTERVAL_MS", "3600000", 1);
    s_setup_run (setup, s_side (setup->special == SHARED));
    fflush (stdout);
    _exit (0);
}

//  With a word, only the setups whose name holds it.
int
main (int argc, char **argv)
{
    size_t i;
    for (i = 0; i < sizeof s_setups / sizeof *s_setups; i++) {
        int status;
        pid_t pid;
        if (argc > 1 && !strstr (s_setups[i].name, argv[1]))
            continue;
        pid = fork ();
        if (pid == 0)
            s_child (&s_setups[i]);
        BENCH_CHECK (pid != -1 && waitpid (pid, &status, 0) == pid);
        BENCH_CHECK (status == 0);
    }
    return 0;
}
