/*  prom - how a row is said to Prometheus: names, labels, histograms

    What scraping and remote write have in common. The rules are Prometheus'
    (prometheus.io/docs/concepts/data_model, .../practices/naming):

        counter   NAME_total
        timer     NAME_seconds: a histogram
        gauge     NAME; a counter that may fall is one, too

    Tags are labels, and so are `source` and `worker`.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PROM_H
#define ZB_PROM_H

#include "protobuf.h"
#include "zibrato_backend.h"

//  --------------------------------------------------------------------------
//  Names and labels

typedef enum { PROM_COUNTER, PROM_TIMER, PROM_GAUGE, PROM_SIGNED } prom_kind_t;

enum {
    PROM_NAME_MAX = 255 + 16,  //  bytes of a name with its suffixes
    PROM_LABELS_MAX = ZB_NAME_MAX / 4 + 4
};

//  Writes what becomes of a name with its tags, or of a source, and says so when two
//  become one: zb_backend_t's fit.
int prom_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1]);

prom_kind_t prom_kind (const zb_row_t *row);

//  Writes the name that the row's series are shown by, without a histogram's suffixes.
void prom_name (const zb_row_t *row, char name[PROM_NAME_MAX]);

//  The row's labels, ascending by their bytes; the texts are the row's, and the
//  worker's. Returns how many.
size_t prom_labels (const zb_row_t *row, const char *worker,
                    zb_tag_t labels[PROM_LABELS_MAX]);

//  --------------------------------------------------------------------------
//  Histograms

//  Classic buckets end at powers of two, from 1 us to 9 minutes. Those are edges of
//  our own buckets, too, so that counts are exact.
enum { PROM_BOUNDS = 30 };

//  The bound in seconds, and as label `le` has it, wherever it is said: another text
//  would be another series.
double prom_bound (size_t at);
const char *prom_bound_text (size_t at);

//  So many samples were at most at each bound.
void prom_classic (const zb_bucket_t *buckets, size_t count,
                   uint64_t counts[PROM_BOUNDS]);

//  Numbers of the fields of a native histogram: there are two messages of it, one for
//  scraping and one for remote write.
typedef struct {
    int count, sum, schema, zero_threshold, zero_count, span, delta;
} prom_native_t;

//  Writes a native histogram of schema 5, which has our own buckets.
void prom_native (buffer_t *out, const prom_native_t *fields, double sum,
                  const zb_bucket_t *buckets, size_t count);

#endif
