/*  plugin_host.cc - loads two plugins, each of which measures

    usage: plugin_host local|global|bound FIRST SECOND

    bound: RTLD_GLOBAL, and each plugin is known to call its own functions.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato.h"

#include "wire.h"

#include <dlfcn.h>

enum { TURNS = 200, SERIES = 6 };

typedef struct {
    const char *source;
    int passes;  //  a turn
    int (*open) (const char *endpoint, const char *source);
    void (*measure) (int passes);
    void (*flush) (int ms);
    int (*stats) (zb_stats_t *stats);
    void (*close) (void);
} plugin_t;

static plugin_t s_plugins[2] = {{"first", 1, NULL, NULL, NULL, NULL, NULL},
                                {"second", 2, NULL, NULL, NULL, NULL, NULL}};

//  POSIX lets a function be made of dlsym's pointer so.
template <typename T>
static void
s_find (void *library, const char *name, T *function)
{
    void *found = dlsym (library, name);
    if (!found)
        wire_fail (name, dlerror ());
    memcpy (function, &found, sizeof found);
}

static void
s_load (plugin_t *self, const char *path, int scope)
{
    void *library = dlopen (path, RTLD_NOW | scope);
    if (!library)
        wire_fail (path, dlerror ());
    s_find (library, "plugin_open", &self->open);
    s_find (library, "plugin_measure", &self->measure);
    s_find (library, "plugin_flush", &self->flush);
    s_find (library, "plugin_stats", &self->stats);
    s_find (library, "plugin_close", &self->close);
}

static void
s_flush (void)
{
    for (const plugin_t &plugin : s_plugins)
        plugin.flush (WIRE_TURN_MS);
}

//  Six series each: those of the function that is copied, and of the one that
//  is inline if it is known whose it is.
static int
s_check_stats (bool bound)
{
    int wrong = 0, sum = 0;
    for (const plugin_t &plugin : s_plugins) {
        zb_stats_t stats;
        if (plugin.stats (&stats))
            wire_fail ("zb_stats", plugin.source);
        sum += (int) stats.series;
        if (stats.dropped || stats.held || (bound && stats.series != SERIES)) {
            fprintf (stderr, "%s: %d series, %d dropped, %d held\n",
                     plugin.source, (int) stats.series, (int) stats.dropped,
                     (int) stats.held);
            wrong++;
        }
    }
    if (!bound && sum != 2 * SERIES && sum != SERIES + SERIES / 2)
        wrong++;
    return wrong;
}

static int
s_check_min (const wire_t *wire)
{
    int wrong = 0;
    for (int i = 0; i < wire->size; i++) {
        const wire_series_t *series = &wire->series[i];
        if (strcmp (series->type, "Timer") != 0 || series->min >= 0.00045)
            continue;
        fprintf (stderr, "%s of %s: a scope of 0.5 ms has taken %g s\n",
                 series->name, series->source, series->min);
        wrong++;
    }
    return wrong;
}

//  All that must arrive: each plugin's, or where it is not known whose function
//  is called, the sum of both.
static int
s_check_wire (wire_t *wire, bool bound)
{
    static const char *const types[] = {"Counter", "Timer", "Gauge"};
    static const char *const copied[] = {"copied.count", "copied.time",
                                         "copied.gauge"};
    static const char *const called[] = {"inline.count", "inline.time",
                                         "inline.gauge"};
    const double first = TURNS * s_plugins[0].passes;
    const double second = TURNS * s_plugins[1].passes;
    wire_want_t wants[4 * 3 + 1] = {}, *want = wants;
    for (int i = 0; i < 3; i++) {
        *want++ = {types[i], "info", copied[i], "first", first};
        *want++ = {types[i], "info", copied[i], "second", second};
        if (bound) {
            *want++ = {types[i], "info", called[i], "first", first};
            *want++ = {types[i], "info", called[i], "second", second};
        }
        else
            *want++ = {types[i], "info", called[i], NULL, first + second};
    }
    return wire_check (wire, wants, s_flush);
}

int
main (int argc, char **argv)
{
    static wire_t wire;
    if (argc != 4)
        return 2;
    int scope = strcmp (argv[1], "local") == 0 ? RTLD_LOCAL : RTLD_GLOBAL;
    bool bound = strcmp (argv[1], "global") != 0;
    wire_open (&wire);
    for (int i = 0; i < 2; i++) {
        s_load (&s_plugins[i], argv[2 + i], scope);
        if (s_plugins[i].open (wire.endpoint, s_plugins[i].source))
            wire_fail ("zb_open", s_plugins[i].source);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        for (const plugin_t &plugin : s_plugins)
            plugin.measure (plugin.passes);
        if (turn % 20 == 0)  //  so that their clocks get going
            s_flush ();
    }
    int wrong = s_check_wire (&wire, bound);
    wrong += s_check_min (&wire) + s_check_stats (bound);
    for (const plugin_t &plugin : s_plugins)
        plugin.close ();
    wire_close (&wire);
    return wrong != 0;
}
