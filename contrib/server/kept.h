/*  kept - at which resolutions points are kept, and in chunks of which spans

    All points of an hour are in one chunk of each level. A point of a rollup is of
    an interval that lies within an hour, so that those of an hour can be made anew
    from what is finer.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_KEPT_H
#define ZB_KEPT_H

#include <stdint.h>

enum { LEVEL_RAW, LEVEL_MINUTE, LEVEL_QUARTER, LEVEL_HOUR, LEVELS };

enum { HOUR_S = 3600 };

typedef struct {
    int64_t step_s, span_s;
    int
      shift;  //  buckets have lost so many bits of their index: scale 5 - shift
} kept_t;

extern const kept_t kept[LEVELS];

//  The begin of the interval, or span, that a time is in.
static inline int64_t
time_floor (int64_t time_s, int64_t step_s)
{
    return time_s - time_s % step_s;
}

//  The key of a series' chunk that a time is in.
static inline int64_t
kept_chunk (int level, int64_t time_s, int64_t series)
{
    int64_t hour = time_floor (time_s, kept[level].span_s) / HOUR_S;
    return hour << 32 | series;
}

#endif
