/*  fuzz.h - what a fuzz target begins with: all of zibrato.c, statics included,
    checks, and silence

    A target is test/fuzz/fuzz_NAME.c with one function, fuzz, which takes any
    bytes and returns. Whatever a sanitizer or CHECK finds wrong is a bug. What
    is special about its runs, it says in a line of its source:

        //  fuzz: -max_len=16384

    Its first inputs are the files of corpus/NAME, words that it should try are
    in NAME.dict.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FUZZ_H
#define ZB_FUZZ_H

#define main zibrato_main
#include "../../zibrato.c"
#undef main

#include "../../contrib/core/tags.h"
#include "../../contrib/pipeline/row.h"

//  Says what was wrong where log lines are not: an assert's text would go
//  their way.
#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            dprintf (STDERR_FILENO, "%s:%d: %s (errno: %s)\n", __FILE__,       \
                     __LINE__, #condition, strerror (errno));                  \
            abort ();                                                          \
        }                                                                      \
    } while (0)

static void fuzz (const char *text, size_t size);

//  libFuzzer calls it once, before anything else. Log lines and whatever goes
//  to standard output are written all the same, and nobody sees them.
int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
    (void) argc, (void) argv;
    stdout = fopen ("/dev/null", "w");
    stderr = fopen ("/dev/null", "w");
    CHECK (stdout && stderr);
    return 0;
}

//  libFuzzer calls it for each input, which is in memory of just its size.
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    fuzz ((const char *) data, size);
    return 0;
}

//  --------------------------------------------------------------------------
//  What holds for every line that was accepted

//  A text of the line: within it, of 1 to `most` bytes.
__attribute__ ((unused)) static void
check_text (const char *line, size_t line_size, const char *text, size_t size,
            size_t most)
{
    size_t i;
    CHECK (text >= line && text + size <= line + line_size);
    CHECK (size >= 1 && size <= most);
    for (i = 0; i < size; i++) {
        CHECK ((unsigned char) text[i] >= ' ' && text[i] != 0x7f);
        CHECK (text[i] != '|');
    }
}

__attribute__ ((unused)) static void
check_label (const char *line, size_t line_size, const char *text, size_t size)
{
    check_text (line, line_size, text, size, LINE_LABEL_MAX);
}

//  Only tags make a name longer than a label. Written anew from its parts, it
//  is what it was.
__attribute__ ((unused)) static void
check_name (const char *line, size_t line_size, const char *text, size_t size)
{
    span_t tags, name = tags_split (text, size, &tags);
    size_t at = name.size;
    tag_t tag;
    check_text (line, line_size, text, size, LINE_NAME_MAX);
    check_label (line, line_size, name.text, name.size);
    while (tags_next (&tags, &tag)) {
        CHECK (text[at] == ';' && tag.key.text == text + at + 1);
        at += 1 + tag.key.size;
        CHECK (text[at] == '=' && tag.value.text == text + at + 1);
        at += 1 + tag.value.size;
    }
    CHECK (at == size);
}

//  Reads buckets as the ledger does. They ascend, and are of durations that there
//  are.
__attribute__ ((unused)) static void
check_buckets (const zb_line_t *line)
{
    static hist_t hist;
    int last = BUCKET_MIN - 1;
    uint32_t i;
    CHECK (line_buckets (line, &hist) == 0);
    for (i = 0; i < hist.size; i++) {
        CHECK (hist.bucket[i].index > last);
        CHECK (hist.bucket[i].index <= BUCKET_MAX);
        CHECK (hist_edge_ns (hist.bucket[i].index + 1) <= 9.2e18);
        last = hist.bucket[i].index;
    }
}

//  No sum of such numbers becomes infinite.
__attribute__ ((unused)) static void
check_number (double value)
{
    CHECK (isfinite (value) && fabs (value) <= 1e126);
}

__attribute__ ((unused)) static void
check_line (const char *text, size_t size, const zb_line_t *line)
{
    check_label (text, size, line->level, line->level_size);
    check_name (text, size, line->name, line->name_size);
    check_label (text, size, line->source, line->source_size);
    check_number (line->value);
    check_number (line->total);
    check_number (line->sum_squares);
    CHECK (line->type >= ZB_TYPE_COUNTER && line->type <= ZB_TYPE_GAUGE);
    CHECK (line->time >= 0 && line->time < INT64_C (100000000000));
    CHECK (line->value_ns <= ZB_NS_MAX && line->sum_ns <= ZB_NS_MAX);
    CHECK (line->min_ns >= 0 && line->max_ns >= 0);
    CHECK (line->first <= line->seq || !line->id
           || line->type == ZB_TYPE_GAUGE);
    if (line->id)
        check_label (text, size, line->id, line->id_size);
    if (line->buckets)
        check_buckets (line);
}

//  --------------------------------------------------------------------------
//  A worker without its socket

//  Caller owns the return value.
__attribute__ ((unused)) static worker_t *
worker_new (const zb_backend_t *backend)
{
    worker_t *self = (worker_t *) zmalloc (sizeof *self);
    worker_init (self, backend);
    self->flush->percentile[self->flush->percentiles++] = 50;
    self->flush->percentile[self->flush->percentiles++] = 99.9;
    self->names_ms = INT64_MAX;
    strcpy (self->ingest.source, "here");
    self->flush->batch = backend->batch;
    return self;
}

__attribute__ ((unused)) static void
worker_destroy (worker_t **self_p)
{
    worker_t *self = *self_p;
    worker_clear (self);
    free (self);
    *self_p = NULL;
}

//  A flush from beginning to end.
__attribute__ ((unused)) static void
worker_flush_all (worker_t *self)
{
    worker_flush (self, wall_us () / 1000000, false);
    while (!worker_save (self, INT64_MAX / 2)) {
    }
    CHECK (self->flush->window.entries.count == 0);
    CHECK (!self->flush->request && !self->flush->uncommitted);
}

#endif
