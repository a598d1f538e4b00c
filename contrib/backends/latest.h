/*  latest - the latest row of each series, for whoever asks

        deliver ──▶ families ──▶ series ──▶ a scrape
                    (a name)     (labels)

    The sender's thread puts rows in, the server's thread reads. Whoever reads does it
    in pieces, between latest_lock and latest_unlock, and what he has seen stays in
    place from latest_open to latest_close, so that he can go on from there. A family
    or series that comes meanwhile is behind him or before him.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LATEST_H
#define ZB_LATEST_H

#include "claims.h"

//  Seconds until a gauge that is not read any more is forgotten.
enum { LATEST_GAUGE_S = 3600 };

typedef struct latest_series {
    struct latest_series *next;  //  in its family
    struct latest_family *family;
    int64_t time_ns;  //  of its row
    int64_t seen_ms;  //  when that came
    uint64_t turn;    //  with which call of latest_put
    bool gone;        //  it has ended; the memory waits for readers
    union {
        double value;  //  counter: the total
        struct {
            double sum;
            zb_bucket_t *buckets;
            size_t size, max;
        } timer;
        struct {
            double last, min, max, sum;  //  of the last flush with readings
            uint64_t count;
        } gauge;
    };
    uint32_t label_count, text_size;
    char text[];  //  labels: key and value, each terminated
} latest_series_t;

typedef struct latest_family {
    struct latest_family *next;
    prom_kind_t kind;
    latest_series_t *first, *last;
    size_t count;  //  series that have not ended
    char name[];   //  that it is shown by
} latest_family_t;

typedef struct latest latest_t;

//  `worker` is a label of all series. Caller owns the return value.
latest_t *latest_new (const char *worker, int64_t now_ms);

void latest_destroy (latest_t **self_p);

//  Takes rows in. now_ms is of a clock that never steps.
void
latest_put (latest_t *self, const zb_row_t *rows, size_t count, int64_t now_ms);

//  A reader comes. Returns the first family, or NULL if there is none.
const latest_family_t *latest_open (latest_t *self);
void latest_close (latest_t *self);

void latest_lock (latest_t *self);
void latest_unlock (latest_t *self);

//  Is there a family with series of that name? Called with the lock held.
bool latest_has (latest_t *self, const char *name);

#endif
