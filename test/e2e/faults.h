/*  faults.h - workers that die at a place of contrib/core/fault.h

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef FAULTS_H
#define FAULTS_H

#include "site.h"

#include "../../contrib/core/fault.h"

//  The steps of a commit, as ZB_FAULT names them
#define POINT_NAME(name) #name,
static const char *const s_points[] = {FAULT_POINTS (POINT_NAME)};

enum { POINTS = sizeof s_points / sizeof *s_points };

//  Returns true when a worker is ready, false if it has died on its way up, where
//  it makes its folder. Then it is to be started again, before the program: it
//  must meet the program's stream from the beginning.
static bool
worker_gets_ready (process_t *worker)
{
    while (process_alive (worker) && !process_lines (worker, "event=ready"))
        poll_pause ();
    if (process_lines (worker, "event=ready"))
        return true;
    assert_int_equal (process_wait (worker), 128 + SIGKILL);
    return false;
}

//  Starts the worker, with the place that it is to die at.
static void
site_begin (site_t *self)
{
    site_start (self, self->fault);
    if (worker_gets_ready (self->worker))
        return;
    site_start (self, NULL);
    process_await (self->worker, "event=ready");
}

#endif
