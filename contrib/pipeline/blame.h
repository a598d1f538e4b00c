/*  blame - is it the rows, or is it the service?

    A request was not delivered. If others pass meanwhile, the service is well,
    and something in the request is not: it becomes two, until the row at fault
    is alone. That one waits aside, is tried now and then, and is given up when
    it has failed often enough, for long enough. If nothing passes it is the
    service, and all wait as they are.

    A request that may have been taken, though its answer was lost, must come
    again as it is, with its key, or its rows would be there twice. So it waits
    aside like a row that is alone, and becomes two when that one is given up: by
    then a service that had it would have said so. Its parts may have been taken,
    too, when there is no answer to them: each comes some times before it becomes two.

    An answer that only says "later" (ZB_RETRY) never puts the blame on rows:
    a dead machine behind a balancer gives it to whatever comes its way.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BLAME_H
#define ZB_BLAME_H

#include "zibrato_backend.h"

#include <stdbool.h>
#include <stddef.h>

//  Times in milliseconds.
typedef struct {
    int64_t retry_first, retry_most;  //  the service is in trouble
    int64_t retry_asked_most;         //  what a Retry-After may ask
    int64_t hold;                     //  credentials or address are wrong
    int64_t alone_first;              //  a row waits aside; then twice as long
    int64_t alone_least;              //  and is given up after this time
    int alone_failures;               //  and so many failures
    int unsure_failures;  //  of what may have been taken, until it waits aside,
    int part_failures;    //  and there of its parts, until they become two
    int streak_most;      //  failures in a row that still may be the rows'
    int doubt_after;   //  failures in a row until one request is taken apart,
    int takings_most;  //  into two so many times, to see whether parts pass
} blame_policy_t;

extern const blame_policy_t blame_policy_default;

//  Of a request, all zero at first. What a request becomes has it from it.
typedef struct {
    int tries;         //  that failed
    uint64_t passed;   //  rows that had been delivered when one did
    int alone;         //  failures aside, while others passed
    int64_t since_ms;  //  the first of these
    int aside;         //  times that it waited aside
    bool unsure;       //  it may have been taken, but the answer was lost
    bool part;         //  of a request that has waited aside for long enough
} blame_t;

//  Of a service, all zero at first.
typedef struct {
    uint64_t passed;  //  rows that had been delivered at the last failure
    int streak;       //  failures since then
    bool new_failed;  //  one of them of a request that had not failed before
    int takings;      //  of a request into two since then, for want of proof
} blame_service_t;

typedef enum {
    BLAME_SERVICE,   //  all wait
    BLAME_SUSPECTS,  //  all that have failed before wait, others go on
    BLAME_UNKNOWN,   //  all wait, and then halves of this request are tried
    BLAME_ROWS,      //  the request becomes two, others go on
    BLAME_ROW,       //  the request waits aside, others go on
    BLAME_GIVE_UP    //  the row has failed for long enough
} blame_verdict_t;

//  To be called when a request of so many rows was not delivered for a reason
//  that may pass. passed: how many rows have been delivered so far.
blame_verdict_t
blame_judge (const blame_policy_t *policy, blame_service_t *service,
             blame_t *request, zb_outcome_t outcome, size_t rows,
             uint64_t passed, int64_t now_ms);

//  How long the service is left in peace.
int64_t blame_pause (const blame_policy_t *policy, int streak,
                     zb_outcome_t outcome, int64_t asked_ms);

//  How long a row that is alone waits aside.
int64_t blame_aside (const blame_policy_t *policy, const blame_t *request,
                     int64_t asked_ms);

#endif
