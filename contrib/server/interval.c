/*  interval - the time that a request means. The contract is in interval.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"
#include "interval.h"

#include <time.h>

typedef struct {
    int64_t start, end, count, duration, resolution;
    int has_start, has_end, has_count, has_duration, has_resolution;
} said_t;

//  A time of eleven digits, as in lines.
#define TIME_MAX_S INT64_C (99999999999)

//  Reads and bounds all of them. Returns 0, or -1 with the answer.
static int
s_read (web_request_t *request, said_t *said)
{
    struct {
        const char *name;
        int64_t *value;
        int *has;
    } rows[] = {{"start_time", &said->start, &said->has_start},
                {"end_time", &said->end, &said->has_end},
                {"count", &said->count, &said->has_count},
                {"duration", &said->duration, &said->has_duration},
                {"resolution", &said->resolution, &said->has_resolution}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *rows[i].has = api_integer (request, rows[i].name, rows[i].value);
        if (*rows[i].has == -1)
            return -1;
        if (*rows[i].has
            && (*rows[i].value < 0 || *rows[i].value > TIME_MAX_S)) {
            web_error (request, 400, rows[i].name, "is out of range");
            return -1;
        }
    }
    if (said->resolution >= 1 && said->resolution <= INTERVAL_RESOLUTION_MAX)
        return 0;
    web_error (request, 400, "resolution", "must be 1 to %d",
               INTERVAL_RESOLUTION_MAX);
    return -1;
}

//  All points that begin in start .. end, both included.
static range_t
s_range (int64_t start, int64_t end, int64_t resolution)
{
    range_t range = {.resolution_s = resolution};
    range.from_s = (start + resolution - 1) / resolution * resolution;
    range.to_s = end / resolution * resolution + resolution;
    return range;
}

//  Without a time or a count only the metric is asked for.
int
interval_read (web_request_t *request, interval_t *interval)
{
    said_t said = {.end = time (NULL), .resolution = 1};
    *interval = (interval_t){.given = false};
    if (s_read (request, &said) == -1)
        return -1;
    if (said.has_count && !said.count) {
        web_error (request, 400, "count", "must be positive");
        return -1;
    }
    if (said.has_end && !said.has_start && !said.has_count) {
        web_error (request, 400, "start_time", "is required");
        return -1;
    }
    interval->given = said.has_start || said.has_count;
    interval->counted = said.has_count == 1;
    interval->last = !said.has_start;
    interval->range = s_range (said.start, said.end, said.resolution);
    interval->range.most = (size_t) said.count;
    return 0;
}

int
interval_read_tagged (web_request_t *request, interval_t *interval)
{
    said_t said = {.end = time (NULL), .resolution = 1};
    *interval = (interval_t){.given = true};
    if (s_read (request, &said) == -1)
        return -1;
    if (!said.has_resolution)
        web_error (request, 400, "resolution", "is required");
    else if (!said.has_start && !said.has_duration)
        web_error (request, 400, "start_time", "is required");
    else if (said.has_start && said.has_end && said.has_duration)
        web_error (request, 400, "duration",
                   "may not be given beside start_time and end_time");
    else {
        if (said.has_start && said.has_duration)
            said.end = said.start + said.duration;
        else if (said.has_duration)
            said.start =
              said.end > said.duration ? said.end - said.duration : 0;
        interval->range = s_range (said.start, said.end, said.resolution);
        return 0;
    }
    return -1;
}
