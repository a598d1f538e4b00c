/*  bench_streams - a worker's ledger and its streams: programs that come and go,
    and a million that stay

    Time is simulated, so that ten minutes of ten thousand programs a second are
    over soon; what is measured is processor time of this thread, and memory.
    Programs say their End, as those of zibrato.h do when they end in order.
    Ingest stands still for as long as one step takes: a message, a slice of a
    save, a look at what has ended.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#include "../../contrib/pipeline/ledger.h"

#include <inttypes.h>
#include <malloc.h>
#include <string.h>

enum {
    MILLION = 1000 * 1000,
    PROGRAMS_A_SECOND = 10 * 1000,
    SLICE = 64,       //  of the worker, between two looks at the clock
    SLICE_US = 2000,  //  after which it goes on later
    STEPS_MAX = 64 * MILLION / SLICE
};

//  --------------------------------------------------------------------------
//  Steps: how long each has taken

typedef struct {
    double *ms;
    int size;
} steps_t;

static void
steps_add (steps_t *self, uint64_t since_ns)
{
    BENCH_CHECK (self->size < STEPS_MAX);
    self->ms[self->size++] = (double) (bench_thread_ns () - since_ns) / 1e6;
}

//  The longest, and the one in a hundred, against what README promises.
static void
steps_figures (steps_t *self, const char *most, const char *p99)
{
    qsort (self->ms, (size_t) self->size, sizeof *self->ms, bench_compare);
    bench_figure (most, self->ms[self->size - 1], 20);
    bench_figure (p99, self->ms[self->size * 99 / 100], 5);
    self->size = 0;
}

//  --------------------------------------------------------------------------
//  Lines

static double
s_memory (void)
{
    long pages = 0, ours = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    BENCH_CHECK (file && fscanf (file, "%ld %ld", &pages, &ours) == 2);
    fclose (file);
    return (double) ours * 4096;
}

//  The text of the ID is the caller's buffer.
static zb_line_t
s_line (size_t program, char id[40])
{
    zb_line_t line = {.type = ZB_TYPE_COUNTER,
                      .level = "info",
                      .level_size = 4,
                      .name = "jobs.done",
                      .name_size = 9,
                      .source = "batch-host-01",
                      .source_size = 13,
                      .id = id,
                      .total = 1,
                      .value = 1,
                      .age_ms = 10};
    line.id_size =
      (size_t) snprintf (id, 40, "19a%08zx-%016" PRIx64, program & 0xffffffff,
                         program * UINT64_C (0x9e3779b97f4a7c15));
    return line;
}

//  A program of one counter, from its birth to its end.
static void
s_live (ledger_t *ledger, size_t program, increment_t *out)
{
    char id[40];
    zb_line_t line = s_line (program, id);
    note_t end = {.kind = NOTE_END,
                  .level = {line.level, line.level_size},
                  .id = {line.id, line.id_size},
                  .age_ms = line.age_ms,
                  .series = 1};
    BENCH_CHECK (ledger_state (ledger, &line, out));
    ledger_end (ledger, &end);
}

//  What the worker does ten times a second.
static void
s_look (ledger_t *ledger, steps_t *steps)
{
    uint64_t start = bench_thread_ns (), now;
    ledger_tick (ledger, ledger->tick_ms + 100);
    do
        now = bench_thread_ns ();
    while (!ledger_clean (ledger, SLICE) && now - start < SLICE_US * 1000);
    if (steps)
        steps_add (steps, start);
}

//  --------------------------------------------------------------------------
//  Programs that come and go

static void
s_programs (steps_t *steps)
{
    enum { A_LOOK = PROGRAMS_A_SECOND / 10 };
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    size_t i, looks = bench_quick () ? 4 * 600 : 10 * 600;
    double before = s_memory (), early = 0;
    uint64_t most = 0;
    uint64_t start = bench_thread_ns (), took = 0;
    for (i = 0; i < looks * A_LOOK; i++) {
        s_live (ledger, i, &increment);
        if (i % A_LOOK == A_LOOK - 1)
            s_look (ledger, steps);
        most = ledger->stubs.count > most ? ledger->stubs.count : most;
        if (i + 1 == looks * A_LOOK / 2)
            early = s_memory ();
    }
    took = bench_thread_ns () - start;
    BENCH_CHECK (ledger->unmet == 0 && ledger->streams.count == 0);
    bench_figure ("streams.program", (double) took / (double) i, 1000);
    bench_figure ("streams.stub", (s_memory () - before) / (double) most, 16);
    bench_figure ("streams.flat", s_memory () / 1048576, early / 1048576);
    steps_figures (steps, "streams.stall.end", "streams.stall.end.p99");
    ledger_destroy (&ledger);
}

//  --------------------------------------------------------------------------
//  A million that stay

typedef struct {
    char *text;
    size_t size, max;
} file_t;

static void
file_write (void *argument, const char *text, size_t size)
{
    file_t *self = (file_t *) argument;
    if (self->size + size > self->max) {
        self->max = (self->max + size) * 2;
        self->text = realloc (self->text, self->max);
        BENCH_CHECK (self->text);
    }
    memcpy (self->text + self->size, text, size);
    self->size += size;
}

static void
s_save (ledger_t *ledger, int all, file_t *file, steps_t *steps)
{
    uint64_t start = bench_thread_ns ();
    int done;
    ledger_save_begin (ledger, all, file_write, file);
    steps_add (steps, start);
    do {
        start = bench_thread_ns ();
        done = ledger_save (ledger, SLICE);
        steps_add (steps, start);
    } while (!done);
}

//  Seconds.
static double
s_restore (const file_t *file, size_t streams)
{
    ledger_t *ledger = ledger_new ();
    const char *line = file->text, *end;
    uint64_t start = bench_thread_ns ();
    for (; line < file->text + file->size; line = end + 1) {
        end = memchr (line, '\n', file->size);
        BENCH_CHECK (ledger_restore (ledger, line, (size_t) (end - line)) == 0);
    }
    start = bench_thread_ns () - start;
    BENCH_CHECK (ledger->streams.count == streams);
    ledger_destroy (&ledger);
    return (double) start / 1e9;
}

static void
s_stay (steps_t *steps)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0};
    file_t file = {malloc (512 << 20), 0, 512 << 20};
    size_t i, count = bench_quick () ? MILLION / 10 : MILLION;
    double before = s_memory ();
    uint64_t start;
    char id[40];
    for (i = 0; i < count; i++) {
        zb_line_t line = s_line (i, id);
        start = bench_thread_ns ();
        BENCH_CHECK (ledger_state (ledger, &line, &increment));
        if (i % SLICE == 0)
            steps_add (steps, start);
        if (i % 1000 == 0)
            s_look (ledger, steps);
    }
    bench_figure ("streams.live", (s_memory () - before) / (double) count, 324);
    s_save (ledger, 1, &file, steps);
    bench_figure ("streams.restore", s_restore (&file, count), 5);
    file.size = 0;
    s_save (ledger, 0, &file, steps);
    BENCH_CHECK (file.size < 1000);
    ledger->awake_ms += SILENT_MS;
    while (ledger->streams.count || ledger->dying)
        s_look (ledger, steps);
    steps_figures (steps, "streams.stall", "streams.stall.p99");
    ledger_destroy (&ledger);
    free (file.text);
}

int
main (void)
{
    steps_t steps = {calloc (STEPS_MAX, sizeof (double)), 0};
    BENCH_CHECK (steps.ms);
    bench_pin (1);
    s_programs (&steps);
    s_stay (&steps);
    free (steps.ms);
    return 0;
}
