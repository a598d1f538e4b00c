/*  temporaries.cc - options that are temporaries of C++, which die with the
    statement: each must be read before it does

    usage: temporaries open|site|count|time|gauge

    Built with -fsanitize=address. The texts are longer than what std::string
    keeps in itself.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define ZIBRATO_IMPLEMENTATION
#include "zibrato.h"

#include "wire.h"

#include <string>

static wire_t s_wire;

static void
s_flush (void)
{
    zb_flush (NULL, WIRE_TURN_MS);
}

static std::string
s_text (const char *what)
{
    return std::string (what) + ", more than any string has room for in itself";
}

#define SELF  "self, more than any string has room for in itself"
#define SHARD "shard, more than any string has room for in itself"
#define NAME  "name, more than any string has room for in itself"
#define LEVEL "level, more than any string has room for in itself"
#define NOBODY                                                                 \
    {                                                                          \
        NULL, NULL, NULL, NULL, 0                                              \
    }

static int
s_open (void)
{
    const wire_want_t wants[] = {{"Counter", "info", "open", SELF, 1}, NOBODY};
    zb_count ("info", "open");
    return wire_check (&s_wire, wants, s_flush);
}

static int
s_site (void)
{
    const wire_want_t wants[] = {{"Gauge", "crit", "site", SHARD, 2},
                                 {"Gauge", "crit", "site;k=" SHARD, SELF, 2},
                                 NOBODY};
    for (int i = 0; i < 2; i++)
        ZB_GAUGE ("crit", "site", 1.5,
                  .tags = ("k=" + s_text ("shard")).c_str ());
    for (int i = 0; i < 2; i++)
        ZB_GAUGE ("crit", "site", 1.5, .source = s_text ("shard").c_str ());
    return wire_check (&s_wire, wants, s_flush);
}

static int
s_count (void)
{
    const wire_want_t wants[] = {{"Counter", "info", "requests", SHARD, 3},
                                 {"Counter", LEVEL, NAME, SELF, 1},
                                 {"Counter", LEVEL, NAME, SHARD, 50},
                                 {"Counter", LEVEL, NAME ";k=" SHARD, SELF, 1},
                                 NOBODY};
    zb_count ("info", "requests", .source = s_text ("shard").c_str ());
    zb_count ("info", "requests", .value = 2,
              .source = s_text ("shard").c_str ());
    zb_count (s_text ("level").c_str (), s_text ("name").c_str ());
    zb_count (s_text ("level").c_str (), s_text ("name").c_str (),
              .source = s_text ("shard").c_str (),
              .value = (double) s_text ("shard").size ());
    zb_count (s_text ("level").c_str (), s_text ("name").c_str (),
              .tags = ("k=" + s_text ("shard")).c_str ());
    return wire_check (&s_wire, wants, s_flush);
}

static int
s_time (void)
{
    const wire_want_t wants[] = {{"Timer", "info", "seconds", SHARD, 1},
                                 {"Timer", LEVEL, NAME, SHARD, 1},
                                 NOBODY};
    zb_time ("info", "seconds", 0.5, .source = s_text ("shard").c_str ());
    zb_time (s_text ("level").c_str (), s_text ("name").c_str (), 0.5,
             .source = s_text ("shard").c_str ());
    return wire_check (&s_wire, wants, s_flush);
}

static int
s_gauge (void)
{
    const wire_want_t wants[] = {{"Gauge", "info", "depth", SHARD, 1},
                                 {"Gauge", LEVEL, NAME, SHARD, 1},
                                 NOBODY};
    zb_gauge ("info", "depth", 1.5, .source = s_text ("shard").c_str ());
    zb_gauge (s_text ("level").c_str (), s_text ("name").c_str (), 1.5,
              .source = s_text ("shard").c_str ());
    return wire_check (&s_wire, wants, s_flush);
}

static const struct {
    const char *name;
    int (*run) (void);
} s_cases[] = {{"open", s_open},
               {"site", s_site},
               {"count", s_count},
               {"time", s_time},
               {"gauge", s_gauge}};

int
main (int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "", *port;
    zb_t *self;
    int wrong = -1;
    wire_open (&s_wire);
    port = strrchr (s_wire.endpoint, ':') + 1;
    //  Two at once for zb_open, if that is the case; else it does no harm.
    if (strcmp (word, "open") == 0)
        self =
          zb_open (.endpoint =
                     (std::string ("tcp://127.0.0.1:") + port).c_str (),
                   .source = s_text ("self").c_str (), .interval_ms = 3600000);
    else
        self = zb_open (.endpoint = s_wire.endpoint, .source = SELF,
                        .interval_ms = 3600000);
    if (!self)
        wire_fail ("zb_open", strerror (errno));
    for (const auto &one : s_cases)
        if (strcmp (one.name, word) == 0)
            wrong = one.run ();
    zb_close (&self);
    wire_close (&s_wire);
    return wrong != 0;
}
