/*  clock - the time of day. The contract is in clock.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "clock.h"

#include "zibrato_backend.h"

#include <czmq.h>
#include <time.h>

_Atomic int64_t deadline_ms = INT64_MAX;

//  INT64_MAX while nobody has asked the worker to stop.
int64_t
zb_time_left_ms (void)
{
    int64_t deadline = deadline_ms;
    int64_t left = deadline - zclock_mono ();
    return deadline == INT64_MAX ? INT64_MAX : left < 0 ? 0 : left;
}

int64_t
wall_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
boot_ms (void)
{
    struct timespec now;
    if (clock_gettime (CLOCK_BOOTTIME, &now) == -1)
        clock_gettime (CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C (1000) + now.tv_nsec / 1000000;
}

const char *
boot_id (char text[BOOT_ID_SIZE])
{
    FILE *file = fopen ("/proc/sys/kernel/random/boot_id", "re");
    *text = 0;
    if (file) {
        if (fgets (text, BOOT_ID_SIZE, file))
            text[strcspn (text, "\n|")] = 0;
        fclose (file);
    }
    return text;
}

int64_t
boundary_next (int64_t boundary, int64_t wall_us, int64_t interval)
{
    int64_t next = (wall_us / 1000000 / interval + 1) * interval;
    return next == boundary ? next + interval : next;
}

size_t
boundary_ms (int64_t boundary, int64_t wall_us)
{
    return (size_t) ((boundary * 1000000 - wall_us + 999) / 1000);
}
