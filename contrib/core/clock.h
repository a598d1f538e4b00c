/*  clock - the time of day, and how much time is left

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CLOCK_H
#define ZB_CLOCK_H

#include <stddef.h>
#include <stdint.h>

//  When the worker has to be done with a stop, milliseconds of zclock_mono;
//  INT64_MAX while nobody has asked it to. The main thread sets it, any thread
//  asks zb_time_left_ms (zibrato_backend.h).
extern _Atomic int64_t deadline_ms;

//  Microseconds of the wall clock.
int64_t wall_us (void);

//  Milliseconds since the machine has started. This clock never steps, and goes
//  on while the machine sleeps and while the worker is replaced.
int64_t boot_ms (void);

enum { BOOT_ID_SIZE = 64 };

//  Writes which start of the machine that is, and returns it; "" if the system
//  does not say.
const char *boot_id (char text[BOOT_ID_SIZE]);

//  Flushes fall on whole multiples of the interval, by the wall clock. The one
//  after that which was armed for `boundary`: not the same again, though the
//  clock may be slow and not be there yet. Only if it was set back by more than
//  an interval, that begins anew.
int64_t boundary_next (int64_t boundary, int64_t wall_us, int64_t interval);

//  Milliseconds from now until a boundary.
size_t boundary_ms (int64_t boundary, int64_t wall_us);

#endif
