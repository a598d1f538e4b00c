/*  age - which rows of a request are too old for a service

    A service that refuses old rows names none of them, and not how old they
    may be. But what it has refused once for its age, and all that is older, it
    will refuse for ever. So the first request costs a search, by halves of the
    time that it spans; after that the old rows are known at once.

    No clock of another machine is looked at: the bound moves with the time
    that has passed since a row was refused.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_AGE_H
#define ZB_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

//  All zero at first.
typedef struct {
    bool known;
    int64_t second;  //  a row of this time was refused,
    int64_t at_ms;   //  at this time, of a clock that never steps
} age_t;

//  To be called when a request was refused for its age, with the Unix times of
//  its rows, at least one. Sets marks of rows that are at fault, or are likely
//  to be: these are to be tried by themselves. If it marks all, they are.
void age_refused (age_t *self, const int64_t *times, size_t count,
                  int64_t now_ms, char *marks);

//  To be called when a request was taken: what is known may be wrong.
void
age_taken (age_t *self, const int64_t *times, size_t count, int64_t now_ms);

#endif
