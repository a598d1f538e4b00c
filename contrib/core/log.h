/*  log - a log line is event=... key=value ... on stderr

    The lines are written by zb_log, whose contract is in zibrato_backend.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LOG_H
#define ZB_LOG_H

#include "zibrato_backend.h"

#include <syslog.h>

//  Ends the program: exit status 1. A message that ends in a colon gets the
//  reason of errno. Only what the command line asked for and cannot be had
//  comes here, nothing that a peer does.
void
die (const char *format, ...) __attribute__ ((format (printf, 1, 2), noreturn));

#endif
