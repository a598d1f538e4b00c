/*  log - lines of the log. The contract is in log.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "log.h"

#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

//  The one place that writes log lines: one call, one line, so that lines of
//  several threads do not mix.
void
zb_log (int severity, const char *event, const char *format, ...)
{
    static const char *const names[] = {"emergency", "alert",   "critical",
                                        "error",     "warning", "notice",
                                        "info",      "debug"};
    char text[2048], when[32];
    time_t now = time (NULL);
    struct tm utc;
    va_list args;
    va_start (args, format);
    vsnprintf (text, sizeof text, format, args);
    va_end (args);
    utf8_make_printable (text);
    gmtime_r (&now, &utc);
    strftime (when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    fprintf (stderr, "%s level=%s event=%s%s%s\n", when, names[severity], event,
             *text ? " " : "", text);
}

void
die (const char *format, ...)
{
    int error = errno;
    char text[1024];
    va_list args;
    va_start (args, format);
    vsnprintf (text, sizeof text, format, args);
    va_end (args);
    fprintf (stderr, "zibrato: %s", text);
    if (*text && text[strlen (text) - 1] == ':')
        fprintf (stderr, " %s", zmq_strerror (error));
    fprintf (stderr, "\n");
    //  not exit: czmq's own would find sockets and actors in use, and abort
    _exit (1);
}
