/*  log - a log line is event=... key=value ... on stderr

    The lines are written by zb_log, whose contract is in zibrato_backend.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LOG_H
#define ZB_LOG_H

#include "zibrato_backend.h"

#include <stddef.h>
#include <syslog.h>

//  Writes a part of a line, which is then one of the values of zb_log that stand
//  without quotes. In it, too, a value that stands within quotes, reason=\"%s\",
//  has no quote that looks as if it ended there.
void log_part (char *text, size_t size, const char *format, ...)
  __attribute__ ((format (printf, 3, 4)));

//  Ends the program: exit status 1. A message that ends in a colon gets the
//  reason of errno. Only what the command line asked for and cannot be had
//  comes here, nothing that a peer does.
void
die (const char *format, ...) __attribute__ ((format (printf, 1, 2), noreturn));

#endif
