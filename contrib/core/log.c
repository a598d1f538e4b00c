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

enum { TEXT_MAX = 2048 };

//  Formats, with other bytes in place of the format's own quotes.
static void
s_format (char text[TEXT_MAX], char quote, const char *format, va_list args)
{
    char other[TEXT_MAX];
    size_t i;
    for (i = 0; format[i] && i < sizeof other - 1; i++)
        other[i] = format[i] == '"' ? quote : format[i];
    other[i] = 0;
    vsnprintf (text, TEXT_MAX, other, args);
}

//  Formats a text in which quotes of values within quotes, and backslashes, have
//  a backslash before them. Whose a quote is shows when it is formatted twice: the
//  format's own ones differ.
static void
s_format_values (char *text, size_t size, const char *format, va_list args)
{
    char one[TEXT_MAX], two[TEXT_MAX];
    int within = 0;
    size_t i, at = 0;
    va_list again;
    va_copy (again, args);
    s_format (one, '\1', format, args);
    s_format (two, '\2', format, again);
    va_end (again);
    for (i = 0; one[i] && at + 2 < size; i++) {
        int quote = one[i] != two[i];
        within ^= quote;
        if (within && (one[i] == '"' || one[i] == '\\'))
            text[at++] = '\\';
        text[at++] = quote ? '"' : one[i];
    }
    text[at] = 0;
}

void
log_part (char *text, size_t size, const char *format, ...)
{
    va_list args;
    va_start (args, format);
    s_format_values (text, size, format, args);
    va_end (args);
}

//  The one place that writes log lines: one call, one line, so that lines of
//  several threads do not mix.
void
zb_log (int severity, const char *event, const char *format, ...)
{
    static const char *const names[] = {"emergency", "alert",   "critical",
                                        "error",     "warning", "notice",
                                        "info",      "debug"};
    char text[2 * TEXT_MAX], when[32];
    time_t now = time (NULL);
    struct tm utc;
    va_list args;
    va_start (args, format);
    s_format_values (text, sizeof text, format, args);
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
