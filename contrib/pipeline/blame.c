/*  blame - the rows or the service. The contract is in blame.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "blame.h"

#include <unistd.h>

//  A row that is alone fails at once and after 1, 2, 4 and 8 minutes: five
//  times in a quarter of an hour.
const blame_policy_t blame_policy_default = {.retry_first = 500,
                                             .retry_most = 60000,
                                             .retry_asked_most = 3600000,
                                             .hold = 60000,
                                             .alone_first = 60000,
                                             .alone_least = 900000,
                                             .alone_failures = 5,
                                             .unsure_failures = 3,
                                             .part_failures = 3,
                                             .streak_most = 2,
                                             .doubt_after = 3,
                                             .takings_most = 10};

//  Others have passed since this request failed, and the service has not
//  begun to fail everything. An answer that is lost once or twice proves nothing.
static bool
blame_others_pass (const blame_policy_t *policy, const blame_service_t *service,
                   const blame_t *request)
{
    int least = request->unsure ? policy->unsure_failures : 1;
    return request->tries >= least && service->passed > request->passed
           && service->streak <= policy->streak_most;
}

//  When each request has a bad row, none passes, and the service looks dead. So
//  one of them is taken apart now and then; if it is the service, that costs a
//  few halves and no more.
static blame_verdict_t
blame_doubt (const blame_policy_t *policy, blame_service_t *service,
             const blame_t *request, zb_outcome_t outcome, size_t rows)
{
    if (request->tries > 1 && !service->new_failed)
        return BLAME_SUSPECTS;
    service->new_failed = true;
    if (outcome != ZB_FAILED || rows < 2 || request->unsure
        || service->streak < policy->doubt_after
        || service->takings >= policy->takings_most)
        return BLAME_SERVICE;
    service->takings++;
    return BLAME_UNKNOWN;
}

//  Has it failed often enough aside, for long enough?
static bool
blame_is_enough (const blame_policy_t *policy, const blame_t *request,
                 size_t rows, int64_t now_ms)
{
    if (request->part && rows > 1)
        return request->alone >= policy->part_failures;
    return request->alone >= policy->alone_failures
           && now_ms - request->since_ms >= policy->alone_least;
}

//  A row of which others have proved that it is at fault, or a request that must
//  stay whole: from then on it tells nothing about the service.
static blame_verdict_t
blame_alone (const blame_policy_t *policy, blame_t *request,
             zb_outcome_t outcome, size_t rows, uint64_t passed, int64_t now_ms)
{
    if (request->alone == 0)
        request->since_ms = now_ms;
    request->alone += outcome != ZB_RETRY && passed > request->passed;
    request->passed = passed;
    request->aside++;
    if (!blame_is_enough (policy, request, rows, now_ms))
        return BLAME_ROW;
    if (rows == 1)
        return BLAME_GIVE_UP;
    request->alone = request->aside = 0;
    request->unsure = false;
    request->part = true;
    return BLAME_ROWS;
}

blame_verdict_t
blame_judge (const blame_policy_t *policy, blame_service_t *service,
             blame_t *request, zb_outcome_t outcome, size_t rows,
             uint64_t passed, int64_t now_ms)
{
    bool others;
    if (request->alone)
        return blame_alone (policy, request, outcome, rows, passed, now_ms);
    if (passed > service->passed)
        *service = (blame_service_t){.passed = passed};
    service->streak++;
    others =
      outcome != ZB_RETRY && blame_others_pass (policy, service, request);
    request->tries++;
    if (others && rows > 1 && !request->unsure)
        return BLAME_ROWS;
    if (others)
        return blame_alone (policy, request, outcome, rows, passed, now_ms);
    request->passed = passed;
    return blame_doubt (policy, service, request, outcome, rows);
}

//  Doubled for each time but the first.
static int64_t
s_doubled (int64_t ms, int times, int64_t most)
{
    for (; times > 1 && ms < most; times--)
        ms *= 2;
    return ms < most ? ms : most;
}

static int64_t
blame_asked (const blame_policy_t *policy, int64_t ms, int64_t asked_ms)
{
    if (asked_ms > policy->retry_asked_most)
        asked_ms = policy->retry_asked_most;
    return asked_ms > ms ? asked_ms : ms;
}

//  With jitter of a quarter, so that workers do not come all at once.
int64_t
blame_pause (const blame_policy_t *policy, int streak, zb_outcome_t outcome,
             int64_t asked_ms)
{
    int64_t ms = outcome == ZB_HOLD ? policy->hold
                                    : s_doubled (policy->retry_first, streak,
                                                 policy->retry_most);
    uint64_t random = 0;
    getentropy (&random, sizeof random);
    ms -= (int64_t) (random % (uint64_t) (ms / 4 + 1));
    return blame_asked (policy, ms, asked_ms);
}

int64_t
blame_aside (const blame_policy_t *policy, const blame_t *request,
             int64_t asked_ms)
{
    int64_t ms =
      s_doubled (policy->alone_first, request->aside, policy->alone_least);
    return blame_asked (policy, ms, asked_ms);
}
