/*  collectd.h - collectd as a receiver of StatsD, as servers.h has others

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef COLLECTD_H
#define COLLECTD_H

#include "servers.h"

//  Port 1 is UDP. It writes the totals of counters into files, once a second. Of timers
//  it is no judge: it leaves out durations of some microseconds (5.12).

static const char *const *
s_collectd_configure (const server_t *self)
{
    const char *config = server_path (self, "collectd.conf");
    file_write (config, text_new ("Hostname \"judge\"\nInterval 1\n"
                                  "BaseDir \"%s\"\nPIDFile \"%s\"\n"
                                  "LoadPlugin logfile\n"
                                  "<Plugin logfile>\nFile stdout\n</Plugin>\n"
                                  "LoadPlugin csv\n"
                                  "<Plugin csv>\nDataDir \"%s\"\n</Plugin>\n"
                                  "LoadPlugin statsd\n"
                                  "<Plugin statsd>\nHost \"127.0.0.1\"\n"
                                  "Port \"%d\"\n</Plugin>\n",
                                  self->folder, server_path (self, "pid"),
                                  server_path (self, "csv"), self->port[1]));
    return s_list_keep (LIST ("collectd", "-f", "-C", config));
}

static const server_kind_t server_collectd = {.program = "collectd",
                                              .ports = 2,
                                              .configure = s_collectd_configure,
                                              .says = "entering read-loop"};

//  What has come of a counter of the program's. A file is of one day, and its lines are
//  a time and the total.
static double
collectd_total (const server_t *self, const cJSON *series)
{
    glob_t files;
    double total = 0;
    glob (text_new ("%s/csv/judge/statsd/derive-%s.%s-[0-9]*", self->folder,
                    cJSON_GetObjectItem (series, "source")->valuestring,
                    cJSON_GetObjectItem (series, "name")->valuestring),
          0, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *rest = file_read (files.gl_pathv[i], NULL), *line;
        while ((line = strsep (&rest, "\n"))) {
            const char *comma = strchr (line, ',');
            total = fmax (total, comma ? strtod (comma + 1, NULL) : 0);
        }
    }
    globfree (&files);
    return total;
}

#endif
